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

# A model that others trained.
stories=$shared/data/models/stories260K.gguf
[ "$failures" -gt 0 ] || [ -e "$stories" ] || skip "all but stories260K.gguf passed: it is not at $shared/data/models"
if [ -e "$stories" ]; then
    run generate "$stories" --prompt '' --max-tokens 200
    expect_status 0
    expect_equal "the first 150 bytes" "$(head -c 150 "$shared/data/models/expected_greedy_200.txt")" "$(head -c 150 "$kept/stdout")"
fi
finish
