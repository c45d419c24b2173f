#!/usr/bin/env bash
# Scores and texts are the same bytes for any number of threads, any batch, any memory, every instruction set that the
# machine has, and any other subject before: in exact math, and in fast math.
source "$(dirname "$0")/lib.sh"

# run.json's lines that hold numbers which must be the same.
steady() { grep -A2 -E '"(value|stderr|ci95|fingerprint|id)"' "$1"; }

expect_same_samples() { # EXPECTED GOT
    local file
    for file in "$1"/samples_*.jsonl; do expect_same_file "$file" "$2/$(basename "$file")"; done
}

expect_same_run() { # EXPECTED GOT
    expect_same_samples "$1" "$2"
    expect_equal "numbers of $2/run.json" "$(steady "$1/run.json")" "$(steady "$2/run.json")"
}

# Builds that are slow prove it for a part: one subject of each math, one option of each kind, no plain C.
slow=${KERF_TEST_ITEMS:+yes}
threaded=(millbrook-llama@f32 millbrook-gpt2@gguf:q4_0 millbrook-llama@gguf:q4_k_m+fast millbrook-gpt2@gguf:q8_0+fast)
ways=('--batch 7 --threads 3' '--memory 20M' '--threads 1' '--threads 2' '--batch 1')
masked=(millbrook-llama@gguf:q5_k millbrook-llama@gguf:q5_k+fast millbrook-gpt2@f16+fast millbrook-gpt2@gguf:iq4_xs+fast
    millbrook-llama@int8:llm+fast millbrook-gpt2@rtn:3+fast)
if [ "$slow" ]; then
    threaded=(millbrook-llama@f32 millbrook-gpt2@gguf:q8_0+fast)
    ways=("${ways[@]:0:2}")
    masked=(millbrook-llama@gguf:q5_k+fast millbrook-gpt2@f16+fast)
fi

masks=
for mask in c avx2 avx512 amx; do
    KERF_CPU=$mask run generate millbrook-gpt2 --prompt a --max-tokens 1
    [ "$status" -eq 0 ] && masks+=" $mask"
done
expect_equal "that c is everywhere" " c" "${masks:0:2}"
[ -z "$slow" ] || masks=${masks# c}

for subject in "${threaded[@]}"; do
    run eval $subject --limit 10 --out "$folder/expected"
    expect_status 0
    for options in "${ways[@]}"; do
        run eval $subject --limit 10 $options --fresh --out "$folder/got"
        expect_status 0
        expect_same_run "$folder/expected" "$folder/got"
    done
done

# The instruction sets: c is slow.
for subject in "${masked[@]}"; do
    suites='--suite endings --suite stories --suite translation --limit 2'
    run eval $subject $suites --out "$folder/expected"
    expect_status 0
    for mask in $masks; do
        KERF_CPU=$mask run eval $subject $suites --fresh --out "$folder/got"
        expect_status 0
        expect_equal "the instruction set that ran" "$mask" "$(sed -n 's/^  "isa": "\(.*\)",/\1/p' "$folder/got/run.json")"
        expect_same_run "$folder/expected" "$folder/got"
    done
done

for math in '' +fast; do
    run eval millbrook-gpt2@gguf:q4_0$math --limit 10 --out "$folder/expected"
    expect_status 0
    run compare millbrook-gpt2@f16 @gguf:q4_0$math --limit 10 --out "$folder/compare"
    expect_status 0
    expect_same_samples "$folder/expected" "$folder/compare/runs/millbrook-gpt2-gguf-q4_0${math/+/-}"
done

# Another seed moves intervals, never values.
run eval millbrook-gpt2@gguf:q4_0 --limit 10 --out "$folder/expected"
run eval millbrook-gpt2@gguf:q4_0 --limit 10 --seed 5 --out "$folder/got"
expect_equal values "$(grep '"value"' "$folder/expected/run.json")" "$(grep '"value"' "$folder/got/run.json")"
[ "$(grep -A2 ci95 "$folder/expected/run.json")" != "$(grep -A2 ci95 "$folder/got/run.json")" ] || fail "other intervals" "the same"
finish
