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

# --- bench model ---

# Of the only result, or of that with this test and math: the value of a field, which may be within an object.
figure() { # TEST MATH FIELD [OBJECT]
    awk -v test="\"$1\"," -v math="\"$2\"," -v name="\"$3\":" -v object="\"${4:-}\":" '
        $1 == "\"math\":" { right = $2 == math }
        $1 == "\"test\":" { sub(/^ *"test": /, ""); here = right && $0 == test; within = object == "\"\":" }
        here && $1 == object { within = 1 }
        here && within && $1 == name { sub(",$", "", $2); print $2; exit }' "$kept/stdout"
}
quick='--no-memory --no-machine'

# llama-bench's columns first, its names of tests, in its order; a subject without a model is the first one's.
run bench model millbrook-llama @gguf:q4_0 -p 4,6 -n 2 --ppl 5 -d 0,3 -r 2 --threads 1 --math both --markdown $quick
expect_status 0
expect_stderr_empty
expect_stdout_match '^\| model +\| +size \| params \| backend +\| math +\| threads \| +test \| +t/s \| GFLOP/s \|$'
expect_stdout_match '^\| millbrook-llama +\| 9\.64 MiB \| 5\.05 M \| f16 +\| exact \| +1 \| +pp4 \| +[0-9.]+ ± [0-9.]+ \| +[0-9.]+ \|$'
expect_stdout_match '^\| millbrook-llama@gguf:q4_0 \| 2\.72 MiB \| 5\.05 M \| gguf:q4_0 \| fast +\| +1 \| +ppl5 @ d3 \|'
tests='pp4 pp6 tg2 ppl5 pp4 @ d3 pp6 @ d3 tg2 @ d3 ppl5 @ d3'
expect_equal "tests" "$tests $tests $tests $tests " "$(awk -F ' *[|] *' 'NR > 2 { printf "%s ", $8 }' "$kept/stdout")"
run bench model millbrook-llama @f32+exact +fast -p 4 -n 0 -r 1 --math both --csv $quick
expect_status 0
expect_equal "subjects that say which math" 'millbrook-llama,exact millbrook-llama,fast millbrook-llama@f32,exact millbrook-llama,fast ' \
    "$(awk -F '","' 'NR > 1 { sub(/^"/, ""); printf "%s,%s ", $1, $4 }' "$kept/stdout")"
run bench model millbrook-llama -p 4 -n 0 -r 1 --parts $quick
expect_status 0
expect_no_controls
expect_stdout_match '^millbrook-llama +exact +pp4 +[0-9.]+ +[0-9.]+$' # one repetition spreads nowhere
expect_stdout_match '^model .* inputs .* rest$'

# What a test has to do: two operations for each element of a matrix and token, of pp the output matrix once. The llama
# has 6 layers of 256 with 4 and 2 heads of 64, 768 between, and 1280 tokens; it is float16.
layers=$((6 * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 768 * 256))) output=$((1280 * 256))
run bench model millbrook-llama -p 8 -n 8 --ppl 8 -r 2 --math both --json --no-machine
expect_status 0
expect_stderr_empty
cp "$kept/stdout" "$folder/model.json"
expect_json "$folder/model.json"
expect_stdout_match '"schema": "kerf-bench-1"'
expect_stdout_match '"benchmark": "model"'
for math in exact fast; do
    expect_equal "$math pp8's flop" "$((2 * (8 * layers + output))).0" "$(figure pp8 $math flop)"
    expect_equal "$math tg8's flop" "$((2 * 8 * (layers + output))).0" "$(figure tg8 $math flop)"
    expect_equal "$math ppl8's flop" "$((2 * 8 * (layers + output))).0" "$(figure ppl8 $math flop)"
    expect_equal "$math tg8's bytes" "$((2 * (layers + output))).0" "$(figure tg8 $math bytes_per_token)"
    expect_equal "$math pp8's bytes" null "$(figure pp8 $math bytes_per_token)"
    speed=$(figure tg8 $math mean tokens_per_second)
    expect_true "$math: GFLOP/s are t/s by the flop of a token" \
        "$(figure tg8 $math gflop_per_second) / ($speed * 2 * ($layers + $output) / 1e9) < 1.001"
    # No part is counted twice, and none that should have taken time is missing.
    for test in pp8 tg8 ppl8; do
        for part in norms q_k_v attention gate_and_up output; do
            expect_true "$math $test's $part" "$(figure $test $math $part parts) > 0"
        done
        expect_true "$math $test's rest" "$(figure $test $math rest parts) >= -0.001"
    done
    expect_true "$math ppl8's scores" "$(figure ppl8 $math scores parts) > 0 && $(figure pp8 $math scores parts) == 0"
    # Memory: more than before, the file is in it, and what is allowed is that and keys and values and a tenth.
    file=$(stat -c %s datasets/millbrook/llama/model.safetensors)
    expect_equal "bytes of the file" "$file" "$(figure pp8 $math file_bytes memory)"
    expect_equal "bytes of keys and values" $((8 * 6 * 2 * 128 * 4)) "$(figure pp8 $math cache_bytes memory)"
    expect_equal "allowed bytes" $(((file + 8 * 6 * 2 * 128 * 4) * 11 / 10)) "$(figure pp8 $math allowed_bytes memory)"
    expect_true "$math peak" "$(figure pp8 $math peak_bytes memory) >= $(figure pp8 $math before_bytes memory) + $file"
done
expect_equal "sets of samples" 6 "$(grep -c '"samples"' "$folder/model.json")"
expect_equal "reasons" 6 "$(grep -c '"reason": "--no-machine"' "$folder/model.json")"

# The same columns whatever was measured.
run bench model millbrook-llama@int8:absmax -p 4 -n 2 -r 1 --csv $quick
expect_status 0
head -n 1 "$kept/stdout" >"$folder/header"
expect_stdout_match '^"model","backend","weights","math","isa","model_size","model_n_params","n_threads","n_prompt","n_gen",'
expect_stdout_match '^"millbrook-llama@int8:absmax","int8:absmax","int8:absmax","exact",'
expect_equal "lines" 3 "$(wc -l <"$kept/stdout")"
expect_equal "fields of each line" "$(awk -F'","' '{ print NF; exit }' "$kept/stdout")" "$(awk -F'","' '{ print NF }' "$kept/stdout" | sort -u)"
expect_equal "columns but the parts" 39 "$(tr ',' '\n' <"$folder/header" | grep -cvE '^"part_|_per_token"$')"

# The goal: the fastest peer of a test and type, by sgemm here over sgemm there, and by the bandwidths.
echo '{"limits": {"sgemm_gflops_2_threads": 50, "dram_read_gb_per_s_2_threads": 20},
       "pp4": {"f16": {"one": 10, "two": 40, "three": 20}}, "tg2": {"q4_0": {"one": 5}}}' >"$folder/peers.json"
run bench model millbrook-llama -p 4 -n 2 -r 1 --against "$folder/peers.json" --json --no-memory
expect_status 0
expect_stderr_empty
limit() { # NAME: on all threads
    awk -v name="\"$1\"," '$1 == "\"limit\":" { here = $2 == name } here && $1 == "\"all\":" { sub(",$", "", $2); print $2; exit }' "$kept/stdout"
}
near() { # WHAT A B
    expect_true "$1" "$2 / ($3) > 0.99999 && $2 / ($3) < 1.00001"
}
expect_equal "the fastest" '"two"' "$(figure pp4 exact peer against)"
near "scaled" "$(figure pp4 exact scaled against)" "40 * $(limit sgemm) / 50"
near "ratio" "$(figure pp4 exact ratio against)" "$(figure pp4 exact mean tokens_per_second) / $(figure pp4 exact scaled against)"
near "ratio by reading" "$(figure pp4 exact ratio_by_read against)" \
    "$(figure pp4 exact mean tokens_per_second) / (40 * $(limit read) / 20)"
expect_equal "no such weights" null "$(figure tg2 exact ratio against)"
expect_stdout_match '"reason": "the peers have no such weights"'
near "t/s for each GFLOP/s" "$(figure pp4 exact tokens_per_sgemm_gflop)" "$(figure pp4 exact mean tokens_per_second) / $(limit sgemm)"
near "share of reading" "$(figure tg2 exact share limit)" \
    "$(figure tg2 exact bytes_per_token) * $(figure tg2 exact mean tokens_per_second) / 1e9 / $(limit read)"

# An error in the process that measures memory is told as any other.
printf 'GGUF' >"$folder/broken.gguf"
run bench model "$folder/broken.gguf" -r 1
expect_error 3 'broken\.gguf: '
command_line="kerf bench model, interrupted"
timeout --preserve-status -s INT 2 "$kerf" bench model millbrook-llama -r 10000 $quick >"$kept/stdout" 2>"$kept/stderr"
status=$?
expect_error 130 'interrupted'

# The machine's limits: a row for each, with numbers or with a reason, in four forms.
limits='sgemm fma-256 fma-512 maddubs-256 avx-vnni vnni-256 vnni-512 bf16-512 amx-int8 amx-bf16 read'
run bench machine --repeat 2
expect_status 0
expect_stderr_empty
expect_no_controls
expect_stdout_match '^machine: [0-9]+ threads?, OpenBLAS [0-9.]+ [A-Za-z0-9]+, .*, 2 repetitions$'
expect_equal "rows" "$limits" "$(awk '/^[a-z0-9-]+ +(G[A-Z]|none: )/ { print $1 }' "$kept/stdout" | xargs)"
expect_stdout_match '^sgemm +GFLOP/s +[0-9.]+ ± [0-9.]+ +[0-9.]+ +[0-9.]+ ± [0-9.]+ +[0-9.]+  OpenBLAS'
expect_stdout_match '^read +GB/s +[0-9.]+ ± '
run bench machine --repeat 1 --threads 1 --csv
expect_status 0
expect_stderr_empty
expect_equal "header" "limit,what,unit,threads,repetitions,mean,sd,best,reason" "$(head -n 1 "$kept/stdout")"
expect_equal "lines of CSV" 23 "$(wc -l <"$kept/stdout")"
sed '1d; s/"[^"]*"/x/g' "$kept/stdout" >"$folder/fields" # a number more than zero, or a reason
expect_equal "rows as they must be" 22 \
    "$(awk -F, 'NF == 9 && $4 == 1 && $5 == 1 && $7 == "" && ($9 == "" ? $6 > 0 && $8 == $6 : $6 == "" && $8 == "")' "$folder/fields" | wc -l)"
run bench machine --repeat 1 --markdown
expect_status 0
expect_stderr_empty
expect_equal "lines of 8 bars" 13 "$(grep -cE '^\|([^|]*\|){7}$' "$kept/stdout")"
run bench machine --repeat 2 --json --threads 2
expect_status 0
expect_stderr_empty
expect_json "$kept/stdout"
expect_stdout_match '"benchmark": "machine"'
expect_equal "limits" "$limits" "$(sed -n 's/^ *"limit": "\(.*\)",$/\1/p' "$kept/stdout" | xargs)"
expect_equal "means and reasons" 22 "$(($(grep -c '"mean": [0-9]' "$kept/stdout") + 2 * $(grep -c '"reason": "the ' "$kept/stdout")))"
expect_equal "means that are zero" 0 "$(grep -cE '"(mean|best)": 0(\.0)?,' "$kept/stdout")"

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
2|bench model takes at least one SUBJECT|model
2|--threads: 1025 is more than 1024|model millbrook-llama --threads 1025 --no-memory
2|-p: "4,,5" must be whole numbers|model millbrook-llama -p 4,,5
2|-n: "x" must be whole numbers|model millbrook-llama -n x
2|-d: "" must be whole numbers|model millbrook-llama -d ""
2|-p: 16777217 tokens are more than 16777216|model millbrook-llama -p 16777217
2|no test is left|model millbrook-llama -p 0 -n 0
2|more than 32 tests|model millbrook-llama -p 1,2,3,4,5,6,7,8 -d 1,2,3,4
2|-r: 10001 is more than 10000|model millbrook-llama -r 10001
2|--math quick: must be exact, fast or both|model millbrook-llama --math quick
2|one of them, not more|model millbrook-llama --json --csv
2|pp513: does not fit in the model.s context of 512: give a smaller -p|model millbrook-llama -p 513
2|tg2 @ d511: does not fit in the model.s context of 512: give a smaller -d|model millbrook-llama -p 0 -n 2 -d 511 --no-memory --no-machine
4|nowhere.json: |model millbrook-llama --against nowhere.json
3|sgemm_gflops_2_threads: must be a number above 0|model millbrook-llama --against datasets/millbrook/llama/config.json
2|gguf:q8_0": a row of 33 does not divide into its blocks: change --cols|quantize f16 gguf:q8_0 --rows 2 --cols 33
2|bench machine takes no operands, but got "x"|machine x
2|--json, --csv and --markdown: give one of them|machine --json --csv
2|--repeat: 10001 is more than 10000|machine --repeat 10001
2|--threads: 1025 is more than 1024|machine --threads 1025
CASES

run bench --help
expect_stdout_match '^kerf bench quantize \[BACKEND\]'
expect_stdout_match '^  --repeat N '
expect_stdout_match '^kerf bench machine \[options\]'
expect_stdout_match '^kerf bench model SUBJECT'
cp "$kept/stdout" "$folder/help"
for words in '-h' 'quantize --help' 'model millbrook-llama --help' 'zzz -h'; do
    run bench $words
    expect_status 0
    expect_stdout_golden "$folder/help"
done
finish
