#!/usr/bin/env bash
# Benchmarks: what they list, what they write, and what they refuse. Never how fast anything is.
source "$(dirname "$0")/lib.sh"
small='--rows 8 --cols 256 --repeat 2'

# The backends of a report, one a line, in its order.
listed() { sed -n 's/^ *"backend": "\(.*\)",*$/\1/p' "$kept/stdout"; }

value() { # BACKEND FIELD
    awk -v backend="\"$1\"," -v name="\"$2\":" '
        $1 == "\"backend\":" { here = $2 == backend }
        here && $1 == name { sub(",$", "", $2); print $2; exit }' "$kept/stdout"
}

expect_true() { # WHAT, ARITHMETIC OF AWK
    expect_equal "$1 ($2)" 1 "$(awk "BEGIN { print ($2) }")"
}

# The table: units in its header, a row for each backend in the order given.
run bench quantize f16 int8:absmax gguf:q4_0 $small
expect_status 0
expect_stderr_empty
expect_no_controls
expect_stdout_match '^quantize: 8 x 256 float32 \(0\.008192 MB\), kernels (c|avx2|avx512), 1 thread, 2 repetitions$'
expect_stdout_match '^backend +MB/s per core +seconds +bits/weight +weights +outputs$'
expect_equal "rows" "f16 int8:absmax gguf:q4_0 " "$(awk '/±.*[0-9]$/ { printf "%s ", $1 }' "$kept/stdout")"
expect_stdout_match '^f16 +[0-9.]+ ± [0-9.]+ +[0-9.e-]+ +16\.000 +0\.02[0-9]* +0\.02[0-9]*$'
expect_stdout_match '^gguf:q4_0 .* 4\.500 '
run bench quantize f16 --rows 8 --cols 256 --repeat 1
expect_status 0
expect_stdout_match '^f16 +[0-9.]+ +[0-9.e-]+ +16\.000 ' # one repetition spreads nowhere

# The same as JSON.
run bench quantize f32 bf16 gguf:q8_0 gguf:q4_0 $small --json
expect_status 0
expect_stderr_empty
cp "$kept/stdout" "$folder/report.json"
expect_json "$folder/report.json"
expect_stdout_match '"schema": "kerf-bench-1"'
expect_stdout_match '"benchmark": "quantize"'
expect_stdout_match '"isa": "(c|avx2|avx512)"'
expect_stdout_match '"version": "'
expect_stdout_match '"cols": 256'
expect_equal backends "f32 bf16 gguf:q8_0 gguf:q4_0" "$(listed | xargs)"
expect_equal "sets of samples" 8 "$(grep -c '"samples"' "$folder/report.json")"
expect_equal "bits of f32" 32.0 "$(value f32 bits_per_weight)"
expect_equal "error of f32" 0.0 "$(value f32 weights_error)"
expect_equal "bytes of gguf:q8_0" $((8 * 256 * 34 / 32)) "$(value gguf:q8_0 bytes)"
expect_equal "bits of gguf:q4_0" 4.5 "$(value gguf:q4_0 bits_per_weight)"
expect_equal "calibrated" false "$(value gguf:q4_0 calibrated)"
# Rounding to 8 bits of significand loses at most 2^-8 of a weight, rounding to blocks of 4 bits some 8 % of normal ones.
expect_true "bf16's error" "$(value bf16 weights_error) > 0.001 && $(value bf16 weights_error) < 0.002"
expect_true "q8_0's error" "$(value gguf:q8_0 weights_error) > 0.002 && $(value gguf:q8_0 weights_error) < 0.01"
expect_true "q4_0's error" "$(value gguf:q4_0 weights_error) > 0.05 && $(value gguf:q4_0 weights_error) < 0.12"
expect_true "q4_0's outputs" "$(value gguf:q4_0 outputs_error) > 0.05 && $(value gguf:q4_0 outputs_error) < 0.12"
run bench quantize f16 --rows 1 --cols 32 --repeat 1 --json
expect_stdout_match '"sd": null'
expect_stdout_match '"reason": "one repetition'

# All but the times is the same for any number of threads.
untimed() { sed '/^ *"\(mean\|sd\|threads\)"/d; /"samples": \[/,/\]/d' "$1"; }
run bench quantize f32 bf16 gguf:q8_0 gguf:q4_0 $small --json --threads 2
expect_status 0
expect_stdout_match '"threads": 2'
expect_equal "the report of 2 threads" "$(untimed "$folder/report.json")" "$(untimed "$kept/stdout")"

# Without names: every variant that is listed but presets, and every type with an encoder.
run backends
variants=$(awk '{ print $1 }' "$kept/stdout" | grep : | grep -v '^gguf:')
run bench quantize --rows 8 --cols 256 --repeat 1 --json
expect_status 0
expect_stderr_empty
listed >"$folder/listed"
for backend in f16 bf16 $variants gguf:q8_0 gguf:q4_0; do
    grep -qxE "$backend" "$folder/listed" || fail "$backend among all" "$(xargs <"$folder/listed")"
done
grep -qx f32 "$folder/listed" && fail "no f32 among all" "it"
expect_equal "backends that are listed twice" "" "$(sort "$folder/listed" | uniq -d)"

# What is calibrated aims at the outputs, whatever becomes of the weights.
if grep -qx gptq:3 "$folder/listed"; then
    run bench quantize rtn:3 gptq:3 --rows 64 --cols 256 --repeat 1 --json
    expect_status 0
    expect_equal "gptq is calibrated" "false true" "$(value rtn:3 calibrated) $(value gptq:3 calibrated)"
    expect_true "weights" "$(value gptq:3 weights_error) > $(value rtn:3 weights_error)"
    expect_true "outputs" "$(value gptq:3 outputs_error) < $(value rtn:3 outputs_error)"
fi

# STATUS | WORDS | ARGUMENTS
while IFS='|' read -r expected words arguments; do
    eval "run bench $arguments"
    expect_error "$expected" "$words"
done <<'CASES'
2|the name of a benchmark must follow|
2|the name of a benchmark must follow|--json quantize
2|bench quantise: no such benchmark, did you mean "quantize"\?|quantise
2|bench zzz: no such benchmark \(kerf bench --help lists them\)|zzz
2|absmx: no such variant, did you mean "absmax"\?|quantize int8:absmx
2|--row: unknown option, did you mean "--rows"\?|quantize --row 3
2|--rows: "0" must be a whole number|quantize --rows 0
2|--repeat: "0" must be a whole number|quantize --repeat 0
2|--repeat: 10001 is more than 10000|quantize --repeat 10001
2|--threads: 1025 is more than 1024|quantize --threads 1025
2|more than 1073741824 elements|quantize --rows 65536 --cols 65536
2|more than 1073741824 elements|quantize --rows 9223372036854775807 --cols 9223372036854775807
2|cols 1073741824: calibrating gptq:4 takes [0-9.]+ GiB of memory, [0-9.]+ GiB are available|quantize f16 gptq:4 --rows 1 --cols 1073741824
2|gguf:q8_0": a row of 33 does not divide into its blocks: change --cols|quantize f16 gguf:q8_0 --rows 2 --cols 33
CASES

run bench --help
expect_stdout_match '^kerf bench quantize \[BACKEND\]'
expect_stdout_match '^  --repeat N '
cp "$kept/stdout" "$folder/help"
for words in '-h' 'quantize --help' 'zzz -h'; do
    run bench $words
    expect_status 0
    expect_stdout_golden "$folder/help"
done
finish
