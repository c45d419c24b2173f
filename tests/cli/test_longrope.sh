#!/usr/bin/env bash
# longrope: which divisors a model has goes by what it is opened for, and records say so.
source "$(dirname "$0")/lib.sh"
model=$folder/model
mkdir "$model"
cp tests/goldens/models/{phi3/model.safetensors,tokenizer.json} "$model"
scaling='"rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.5, 2.0, 3.0], "long_factor": [1.0, 2.0, 4.0, 8.0]}'
sed "s/\"hidden_act\"/\"original_max_position_embeddings\": 32, $scaling, &/" tests/goldens/models/phi3/config.json \
    >"$model/config.json"
head -c 500 datasets/millbrook/stories.test.txt >"$folder/text"

measure() { # ARGUMENTS
    run perplexity "$model" --file "$folder/text" --protocol chunked --chunks 4 --json "$@"
    expect_status 0
    perplexity=$(grep -m 1 '"value"' "$kept/stdout")
}

measure
short=$perplexity
expect_stdout_match '"math": "exact"'
expect_stderr_line 'warning: .*context is taken as 32 of 64 positions, .*--max-context takes the others'
measure --context 32
expect_equal "a context that the first divisors are for" "$short" "$perplexity"
measure --context 32 --max-context 64
expect_stdout_match "\"math\": \"exact, longrope's second divisors\""
[ "$perplexity" != "$short" ] || fail "other divisors than without --max-context" "$perplexity"
long=$perplexity
measure --context 32 --max-context 33
expect_equal "whatever the context is beyond the first" "$long" "$perplexity"
measure --context 40
expect_stdout_match "\"math\": \"exact, longrope's second divisors\""
run generate "$model" --prompt abcd --max-tokens 40 --max-context 64
expect_status 0
run generate "$model" --prompt abcd --max-tokens 40
expect_status 3
finish
