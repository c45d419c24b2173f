#!/usr/bin/env bash
# Continuations: they alone are printed, with one newline.
source "$(dirname "$0")/lib.sh"

for model in millbrook-llama millbrook-gpt2 millbrook-llama@gguf:q8_0; do
    run generate $model --prompt 'The sun was shining. Clara went to the' --max-tokens 12
    expect_status 0
    expect_stderr_empty
    expect_stdout_match '^ [a-z]+'
    expect_equal "the last byte, alone" ' 0a' "$(tail -c 1 "$kept/stdout" | od -An -tx1)"
    cp "$kept/stdout" "$folder/whole"

    # Fewer tokens are a beginning of more; any number of threads gives the same.
    run generate $model --prompt 'The sun was shining. Clara went to the' --max-tokens 3 --threads 1
    expect_status 0
    short=$(cat "$kept/stdout")
    [ "${#short}" -gt 2 ] || fail "some text" "$short"
    expect_equal "a beginning of the longer text" "$short" "$(head -c ${#short} "$folder/whole")"

    # It ends before a stop text, whichever comes first.
    stop=$(head -c 9 "$folder/whole" | tail -c 3)
    run generate $model --prompt 'The sun was shining. Clara went to the' --max-tokens 12 --stop zzz --stop "$stop"
    expect_status 0
    expect_stdout "$(head -c 6 "$folder/whole")"
done

run generate millbrook-llama --prompt '' --max-tokens 5
expect_status 0
expect_stderr_empty

# A stop text of the first token leaves nothing but the newline.
run generate millbrook-gpt2 --prompt $'English: Nora returned to the river.\nSpanish:' --max-tokens 20
expect_status 0
first=$(head -c 3 "$kept/stdout")
run generate millbrook-gpt2 --prompt $'English: Nora returned to the river.\nSpanish:' --stop "$first"
expect_status 0
expect_stdout ''

# Prompts: a long one is cut on the left, which is said; more tokens than the context has are an error.
long=$(head -c 4000 datasets/millbrook/stories.test.txt)
run generate millbrook-llama --prompt "$long" --max-tokens 4
expect_status 0
expect_stderr_line '^note: .*the prompt is cut on the left$'
run generate millbrook-llama --prompt x --max-tokens 512
expect_error 3 '512 new tokens after a prompt of 2 must fit in a context of 512'
run generate millbrook-llama --prompt x --max-tokens 9223372036854775807
expect_error 3 'must fit in a context of 512'

# Strategies. A beam search finds what is at least as likely; samples differ, and the same seed gives the same ones.
prompt='The sun was shining. Clara went to the'
run generate millbrook-llama --prompt "$prompt" --max-tokens 6 --json
expect_status 0
expect_json "$kept/stdout"
for field in '"text": " ' '"log_probability": -[0-9.]+,' '"ended": "limit"' '"tokens": 6'; do expect_stdout_match "$field"; done
run generate millbrook-llama --prompt "$prompt" --max-tokens 6
greedy=$(cat "$kept/stdout")
run generate millbrook-llama --prompt "$prompt" --max-tokens 6 --decode beam:1,length-penalty=0
expect_stdout "$greedy"
run generate millbrook-llama --prompt "$prompt" --max-tokens 6 --decode sample,top-k=1
expect_stdout "$greedy"
run generate millbrook-llama --prompt "$prompt" --max-tokens 20 --decode beam:4 --stop .
expect_status 0
expect_stderr_empty

samples() { # MORE OPTIONS
    run generate millbrook-llama --prompt "$prompt" --max-tokens 12 --decode sample,temperature=3,seed=5 "$@"
    expect_status 0
}
samples
first=$(cat "$kept/stdout")
samples --samples 3
expect_equal "separators" 2 "$(grep -c '^---$' "$kept/stdout")"
expect_equal "the first of three is the one" "$first" "$(head -c ${#first} "$kept/stdout")"
cp "$kept/stdout" "$folder/three"
samples --samples 3 --threads 1 --seed 5
expect_same_file "$folder/three" "$kept/stdout"
samples --samples 3 --seed 6
! cmp -s "$folder/three" "$kept/stdout" || fail "other samples by another seed" "the same"
samples --samples 3 --json
expect_json "$kept/stdout"
expect_equal "texts" 3 "$(grep -c '"text"' "$kept/stdout")"

run generate millbrook-llama --prompt x --decode sampel
expect_error 2 'decoding "sampel": sampel: no such strategy, did you mean "sample"'
run generate millbrook-llama --prompt x --decode sample,temperature=0
expect_error 2 'temperature: must be a number from 0.001 to 1000'
run generate millbrook-llama --prompt x --samples 2
expect_error 2 '"greedy" has one text alone'
run generate millbrook-llama --prompt x --decode beam:2 --seed 1
expect_error 2 '"beam:2" draws nothing at random'
run generate millbrook-llama --prompt x --decode sample --samples 0
expect_error 2 '--samples'

# A model that others trained.
stories=$shared/data/models/stories260K.gguf
[ "$failures" -gt 0 ] || [ -e "$stories" ] || skip "all but stories260K.gguf passed: it is not at $shared/data/models"
if [ -e "$stories" ]; then
    run generate "$stories" --prompt '' --max-tokens 200
    expect_status 0
    expect_equal "the first 150 bytes" "$(head -c 150 "$shared/data/models/expected_greedy_200.txt")" "$(head -c 150 "$kept/stdout")"
fi
finish
