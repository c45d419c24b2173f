#!/usr/bin/env bash
# kerf kernels: what it checks, what it writes, and when it fails. Never how fast anything is.
source "$(dirname "$0")/lib.sh"
export TMPDIR=$folder/tmp # where nothing may be left
mkdir "$TMPDIR"
some=(kernels --only softmax)
isas=$(KERF_CPU=c "$kerf" kernels --only softmax --count none >/dev/null && "$kerf" kernels --only softmax --count none | sed -n 's/^softmax  *\([a-z0-9]*\) .*/\1/p')

# The table: a line for every kernel and instruction set.
run "${some[@]}" --count none
expect_status 0
expect_stderr_empty
expect_no_controls
expect_stdout_match '^kernels: c(, [a-z0-9]+)*; [0-9]+ cases, each with its buffers in 3 places; seed 1; [0-9.]+ s$'
expect_stdout_match '^kernel  *isa  *cases  *error/bound$'
expect_stdout_match '^softmax  *c  *[0-9]+  *0\.[0-9]+$'
KERF_CPU=c run "${some[@]}" --count none
expect_equal "lines under KERF_CPU=c" c "$(sed -n 's/^softmax  *\([a-z0-9]*\) .*/\1/p' "$kept/stdout")"
run "${some[@]}" --count none --isa c
expect_equal "lines of --isa c" c "$(sed -n 's/^softmax  *\([a-z0-9]*\) .*/\1/p' "$kept/stdout")"
run kernels --only 'soft*/[0-9]*' --count none --isa c --seed 7
expect_status 0
expect_stdout_match '; seed 7; '

# As JSON.
run "${some[@]}" --count time --rounds 8 --json
expect_status 0
cp "$kept/stdout" "$folder/kernels.json"
expect_json "$folder/kernels.json"
expect_stdout_match '"schema": "kerf-kernels-1"'
expect_stdout_match '"wrong": 0'
expect_stdout_match '"counter": "time"'
expect_stdout_match '"content": "nan"'

# A baseline, which the same program meets.
run "${some[@]}" --count time --rounds 8 --save "$folder/time.csv"
expect_status 0
expect_equal header '"kernel","variant","shape","isa","counter","value","low","high","unit","work","error","kerf","compiler","cpu"' \
    "$(head -n 1 "$folder/time.csv")"
expect_equal "instruction sets" "$isas" "$(cut -d, -f4 "$folder/time.csv" | tail -n +2 | tr -d '"' | awk '!seen[$0]++')"
run "${some[@]}" --check "$folder/time.csv" --tolerance 1000 --rounds 8
expect_status 0
expect_stdout_match ': 0 more than before, 0 less, the rest within 1000 %$'

# One that was 10,000 times as fast: the costs regressed, and do when they are looked at again. Much less might lie in the
# interval of a program that waited for others.
scaled() { # FACTOR: value, low and high of all lines
    awk -v factor="$1" 'BEGIN { FS = OFS = "," }
        NR > 1 { for (i = 6; i <= 8; i++) { gsub("\"", "", $i); $i = sprintf("%.9g", $i * factor) } } { print }' "$folder/time.csv"
}
costs=$(($(wc -l <"$folder/time.csv") - 1))
scaled 0.0001 >"$folder/fast.csv"
run "${some[@]}" --check "$folder/fast.csv" --rounds 8 --junit "$folder/k.xml" --markdown "$folder/k.md" --save "$folder/new.csv"
expect_status 1
expect_stderr_line "^error: $costs of $costs costs are more than before$"
expect_stdout_match '^more than before:$'
expect_stdout_match '^  softmax [0-9]+ c: [0-9.]+ times the cost \[[0-9.]+, [0-9.]+\]: [0-9.]+ to [0-9.]+ ns$'
expect_equal "failures" $costs "$(grep -c '<failure type="cost"' "$folder/k.xml")"
expect_equal "first line of Markdown" "**$costs of $costs costs are more than before**" "$(head -n 1 "$folder/k.md")"
expect_equal "lines saved" $((costs + 1)) "$(wc -l <"$folder/new.csv")"
scaled 10000 >"$folder/slow.csv"
run "${some[@]}" --check "$folder/slow.csv" --rounds 8
expect_status 0
expect_stdout_match '^less than before:$'

# What is in one of the two only is told.
sed '2s/softmax/xsoftmax/' "$folder/time.csv" >"$folder/gone.csv"
run kernels --only '*softmax' --check "$folder/gone.csv" --tolerance 1000 --rounds 8
expect_status 0
expect_stdout_match '^in the baseline only:$'
expect_stdout_match '^not in the baseline:$'
sed 's/softmax/xsoftmax/' "$folder/time.csv" >"$folder/gone.csv"
run kernels --only '*softmax' --check "$folder/gone.csv" --rounds 8
expect_error 3 'gone.csv: has none of the kernels that were measured'
sed '2,$s/"[^"]*"$/"Another CPU"/' "$folder/time.csv" >"$folder/cpu.csv"
run "${some[@]}" --check "$folder/cpu.csv"
expect_error 3 'cpu.csv: time of another CPU \(Another CPU\).*--count callgrind'
sed 's/"time"/"cycles"/; s/"ns"/"cycles"/' "$folder/time.csv" >"$folder/cycles.csv"
run "${some[@]}" --check "$folder/cycles.csv"
[ "$status" -eq 3 ] && expect_error 3 'cycles.csv: papi: cycles cannot be counted here: .*--count callgrind'
sed '3s/,"time"/,"hours"/' "$folder/time.csv" >"$folder/bad.csv"
run "${some[@]}" --check "$folder/bad.csv"
expect_error 3 'bad.csv: line 3: counter: is "hours"'

sed '2,$s/"GNU/"\x1b[2JGNU/' "$folder/time.csv" >"$folder/controls.csv"
run "${some[@]}" --check "$folder/controls.csv" --tolerance 1000 --rounds 8
expect_status 0
expect_stdout_match '[\\]x1B\[2JGNU'
expect_no_controls

# Another program, in turns: this one itself, and one that says that it was 10,000 times as fast.
run "${some[@]}" --count time --against "$kerf" --rounds 8 --tolerance 100
expect_status 0
expect_stdout_match "costs compared with .*: 0 more than before"
cat >"$folder/other" <<END
#!/bin/sh
while [ "\$1" != --save ]; do shift; done
cp "$folder/fast.csv" "\$2"
END
chmod +x "$folder/other"
run "${some[@]}" --count time --against "$folder/other" --rounds 8
expect_status 1
expect_stderr_line "$costs of $costs costs are more than before"
run "${some[@]}" --count time --against "$(type -P true)" --rounds 8
expect_error 3 'saved no costs: it is no kerf'
run "${some[@]}" --count time --against "$(type -P false)" --rounds 8
expect_error 3 'ended with status 1'

# STATUS | WORDS | ARGUMENTS
while IFS='|' read -r expected words arguments; do
    eval "run kernels $arguments"
    expect_error "$expected" "$words"
done <<'CASES'
2|--only softmx: fits no kernel, did you mean "softmax"\?|--only softmx
2|--isa avx5: neither all nor|--isa avx5
2|--count valgrind: must be auto, papi, instructions, cycles, callgrind, time or none, did you mean "callgrind"\?|--count valgrind
2|--count none: --save needs a counter|--count none --save x.csv
2|--rounds: 3 is not in 8 to 10000|--rounds 3
2|--tolerance much: must be a percentage|--tolerance much --check x.csv
2|--tolerance: is for --check or --against|--tolerance 3
2|--count callgrind: .*time.csv was counted by time|--check $folder/time.csv --count callgrind
2|softmax: kernels takes no operand|softmax
2|--markdown .*x.md: is the file of --junit|--junit $folder/x.md --markdown $folder/x.md
2|--save .*time.csv: is read by this command|--check $folder/time.csv --save $folder/time.csv
3|time.csv.*: |--check $folder/time.csv --only add --count time
4|none.csv: |--check $folder/none.csv
4|--against .*none: is no program|--against $folder/none
4|none/x.csv: |--save $folder/none/x.csv
CASES

# What says that nothing is to be checked is not for a user to set.
KERF_KERNELS=costs run "${some[@]}" --check "$folder/time.csv"
expect_error 2 'KERF_KERNELS: is set for programs that this one starts'

KERF_KERNELS=callgrind run "${some[@]}" --check "$folder/time.csv"
expect_error 2 'KERF_KERNELS: is set for programs that this one starts'

# Interrupted, it leaves nothing behind.
timeout --preserve-status -s INT 0.3 "$kerf" kernels --count time --rounds 10000 --save "$folder/never.csv" >"$kept/stdout" 2>"$kept/stderr"
status=$?
command_line='kerf kernels, interrupted'
expect_status 130
expect_equal "a baseline that was not measured" no "$([ -e "$folder/never.csv" ] && echo yes || echo no)"
expect_files "$TMPDIR"
finish
