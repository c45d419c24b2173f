#!/usr/bin/env bash
# A model written as GGUF and read again is the same model, score by score.
source "$(dirname "$0")/lib.sh"

for model in millbrook-llama millbrook-gpt2; do
    for backend in f32 f16 gguf:q8_0 gguf:q4_0; do
        file=$folder/$model-${backend/:/-}.gguf
        run quantize $model@$backend -o "$file"
        expect_status 0
        expect_stderr_line "^wrote $file: [0-9.]+ MiB, [0-9]+ MiB/s$"
        expect_stdout_golden /dev/null
        run eval "$file" --limit 3 --suite stories --suite endings --suite questions --out "$folder/file"
        expect_status 0
        run eval $model@$backend --limit 3 --suite stories --suite endings --suite questions --out "$folder/folder"
        expect_status 0
        for suite in stories endings questions; do
            expect_same_file "$folder/folder/samples_$suite.jsonl" "$folder/file/samples_$suite.jsonl"
        done
    done
done

# Side by side: comparable, and no difference at all.
file=$folder/millbrook-llama-gguf-q8_0.gguf
run compare millbrook-llama@gguf:q8_0 "$file" --limit 3 --suite stories --suite reviews --out "$folder/out"
expect_status 0
expect_equal "differences that are 0" 8 "$(sed -n '/"difference": {/,/}/p' "$folder/out/compare.json" | grep -cE '"value": -?0.0,?$')"

# As stored, from a folder (whose weights are half precision) and from a file: the same bytes again.
run quantize millbrook-llama -o "$folder/stored.gguf"
expect_status 0
expect_same_file "$folder/millbrook-llama-f16.gguf" "$folder/stored.gguf"
run quantize "$file" -o "$folder/again.gguf"
expect_status 0
run eval "$folder/again.gguf" --limit 3 --suite stories --out "$folder/again"
run eval "$file" --limit 3 --suite stories --out "$folder/file"
expect_same_file "$folder/file/samples_stories.jsonl" "$folder/again/samples_stories.jsonl"

# Onto itself: the file that is read is replaced only once the new one is whole.
run quantize "$folder/stored.gguf@gguf:q8_0" -o "$folder/stored.gguf"
expect_status 0
run inspect "$folder/stored.gguf"
expect_status 0
expect_stdout_match '^  blk.0.attn_q.weight +Q8_0 '
finish
