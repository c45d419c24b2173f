#!/usr/bin/env bash
# The checks of lib.sh find what they are for.
source "$(dirname "$0")/lib.sh"

# An expectation on purpose unmet: counts it, takes it back.
expect_failure() { # EXPECTATION...
    local before=$failures
    "$@" >"$kept/expected-failure"
    if [ "$failures" -eq "$before" ]; then
        fail "$* to fail" "that it passed"
    else
        failures=$before
    fi
}

for good in '{}' '[]' '{"a": [1, -2.5e+3, "x\n\u00e9"], "b": {"c": null}}' '"text"' 'true' '[[[]], {"a":{}}]'; do
    printf '%s\n' "$good" >"$folder/good"
    expect_json "$folder/good"
    expect_json_lines "$folder/good" 1
done
for bad in '' '{' '[1,]' '{"a"}' '{"a":1,}' '[NaN]' '[01]' '["a]' '1 2' '["\x"]' '{a:1}' '[1 2]' '[,]' 'nul'; do
    printf '%s\n' "$bad" >"$folder/bad"
    expect_failure expect_json "$folder/bad"
    expect_failure expect_json_lines "$folder/bad" 1
done
expect_failure expect_json_lines "$folder/good" 2

run backends
expect_status 0
expect_stdout_golden "$kept/stdout"
expect_failure expect_status 1
expect_failure expect_error 0 f32
expect_failure expect_stdout nothing
expect_failure expect_stdout_match 'no such line'
expect_failure expect_stdout_golden /dev/null
expect_failure expect_stderr_line x
expect_failure expect_files "$kept" stdout
expect_failure expect_same_file "$kept/stdout" "$kept/stderr"
for control in '\x1b[31m' '\r' '\x07' '\xc2\x9b' '\x7f' '\x00'; do
    printf "$control" >"$kept/stdout"
    expect_failure expect_no_controls
done

run no-such-command
expect_failure expect_stderr_empty
printf 'two\nlines\n' >"$kept/stderr"
expect_failure expect_stderr_line two

{ u32 258 && u64 4294967297 && gguf_string 'a\x1b'; } >"$folder/bytes"
expect_equal bytes ' 02 01 00 00 01 00 00 00 01 00 00 00 02 00 00 00 00 00 00 00 61 1b' "$(od -An -v -w64 -tx1 "$folder/bytes")"
poke "$folder/bytes" 1 '\xff'
expect_equal bytes ' 02 ff 00 00' "$(od -An -N4 -tx1 "$folder/bytes")"
finish
