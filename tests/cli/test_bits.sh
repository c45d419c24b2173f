#!/usr/bin/env bash
# Scores and texts are the same bytes for any number of threads, any batch and any other subject before.
source "$(dirname "$0")/lib.sh"

for subject in millbrook-llama@f32 millbrook-gpt2@gguf:q4_0; do
    run eval $subject --limit 10 --out "$folder/expected"
    expect_status 0
    for options in '--threads 1' '--threads 2' '--batch 1' '--batch 7 --threads 3'; do
        run eval $subject --limit 10 $options --out "$folder/got"
        expect_status 0
        for file in "$folder/expected"/samples_*.jsonl; do
            expect_same_file "$file" "$folder/got/$(basename "$file")"
        done
        # metrics with their intervals too: the resampling has a seed
        for name in value stderr ci95 fingerprint; do
            expect_equal "$name in run.json" "$(grep -A2 "\"$name\"" "$folder/expected/run.json")" "$(grep -A2 "\"$name\"" "$folder/got/run.json")"
        done
    done
done

run compare millbrook-gpt2@f16 @gguf:q4_0 --limit 10 --out "$folder/compare"
expect_status 0
for file in "$folder/expected"/samples_*.jsonl; do
    expect_same_file "$file" "$folder/compare/runs/millbrook-gpt2-gguf-q4_0/$(basename "$file")"
done

# Another seed moves intervals, never values.
run eval millbrook-gpt2@gguf:q4_0 --limit 10 --seed 5 --out "$folder/got"
expect_equal values "$(grep '"value"' "$folder/expected/run.json")" "$(grep '"value"' "$folder/got/run.json")"
[ "$(grep -A2 ci95 "$folder/expected/run.json")" != "$(grep -A2 ci95 "$folder/got/run.json")" ] || fail "other intervals" "the same"
finish
