#!/usr/bin/env bash
# Every architecture gives the same perplexities, in exact and in fast math, under every instruction set that the machine
# has, any number of threads and any batch.
source "$(dirname "$0")/../cli/lib.sh"

figures() { grep -Ev '"(seconds|peak_bytes|threads|batch|isa)"' "$kept/stdout"; }

head -c 1500 datasets/millbrook/stories.test.txt >"$folder/text"
for model in tests/goldens/models/*/; do
    name=$(basename "$model")
    mkdir "$folder/$name"
    cp "$model"/{config.json,model.safetensors} tests/goldens/models/tokenizer.json "$folder/$name"
    arguments=("$folder/$name" @gguf:q8_0+fast --file "$folder/text" --protocol chunked --context 48 --chunks 8 --json)
    run perplexity "${arguments[@]}"
    expect_status 0
    expected=$(figures)
    [ "$(grep -c '"value"' <<<"$expected")" -ge 4 ] || fail "values of $name" "${expected:0:300}"
    for mask in c avx2 avx512; do
        KERF_CPU=$mask run perplexity "${arguments[@]}"
        [ "$status" -eq 2 ] || expect_equal "figures of $name by $mask" "$expected" "$(figures)" # 2: not here
    done
    run perplexity "${arguments[@]}" --threads 1 --batch 1
    expect_equal "figures of $name by one thread" "$expected" "$(figures)"
done
finish
