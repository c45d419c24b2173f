#!/usr/bin/env bash
# Limits of a real comparison and of a run: what passes, what fails, what is refused, and what is written.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama
cd "$folder" || exit 1

run compare $L@f32 @int8:absmax @gguf:q3_k --limit 40 --suite stories --suite endings --out night
expect_status 0
sums=$(cksum night/compare.json)

limits() { # LINES
    printf 'limits:\n' >limits.yaml
    printf '  %s\n' "$@" >>limits.yaml
}

# Passes: every kind of rule.
limits 'stories/perplexity: +5%' 'kl_mean: 0.1' 'same_top: 0.5' 'endings/acc: -0.5' 'flips: 40' 'endings/lost: 90%' \
    'stories/*per_byte: {difference: +0.1, at_most: 3}'
run check night --limits limits.yaml
expect_status 0
expect_stderr_empty
expect_stdout_match '^baseline: millbrook-llama@f32$'
expect_stdout_match '^stories/perplexity +@gguf:q3_k +[-+][0-9.]+% +\[.*%, .*%\] +≤ \+5% +within$'
expect_stdout_match '^endings/flips +@int8:absmax +[0-9]+ +\[.*\] +≤ 40 +within$'
expect_stdout_match '^16 checks: 16 within, 0 undecided, 0 beyond$'
cp "$kept/stdout" table
run check night/compare.json --limits limits.yaml --strict
expect_status 0
expect_stdout_golden table

# Fails, for one candidate alone: the other one passes.
limits 'stories/kl_mean: 0.001' 'stories/perplexity: +9%'
run check night --limits limits.yaml --junit check.xml --markdown check.md
expect_status 1
expect_stderr_line '^error: 1 of 4 checks failed: stories/kl_divergence of @gguf:q3_k is 0\.[0-9]+ \[.*\], the limit ≤ 0\.001$'
expect_stdout_match '^stories/kl_divergence +@gguf:q3_k .* ≤ 0\.001 +beyond ✗$'
expect_stdout_match '^stories/kl_divergence +@int8:absmax .* within$'
expect_equal "failures in check.xml" 1 "$(grep -c '<failure type="beyond"' check.xml)"
grep -q '^<testsuites name="kerf check" tests="4" failures="1" errors="0">$' check.xml || fail "counts in check.xml" "$(head -n 2 check.xml)"
grep -q '^# 1 of 4 checks failed$' check.md || fail "a heading in check.md" "$(head -n 1 check.md)"
echo "subjects: ['@int8:absmax']" >>limits.yaml
run check night --limits limits.yaml --junit check.xml --markdown check.md
expect_status 0
expect_stdout_match '^2 checks: 2 within'
expect_equal "failures in check.xml" 0 "$(grep -c '<failure' check.xml)"
run check night --limits limits.yaml --json
expect_status 0
expect_json "$kept/stdout"
expect_stdout_match '"passed": true,'

# Undecided: the limit is the value itself, to which every interval reaches. It passes unless that is forbidden.
limits 'stories/bits_per_byte: {at_most: 3}'
run check night --limits limits.yaml --json
expect_status 0
value=$(sed -n 's/^ *"value": \([0-9.]*\),$/\1/p' "$kept/stdout" | tail -n 1)
limits "stories/bits_per_byte: {at_most: $value}"
run check night --limits limits.yaml
expect_status 0
expect_stdout_match 'undecided: (\+[0-9.e+]+ items?|at any number)$'
run check night --limits limits.yaml --strict --junit check.xml
expect_status 1
expect_stderr_line 'undecided \(--strict\)$'
grep -q '<failure type="undecided"' check.xml || fail "a failure in check.xml" "$(cat check.xml)"
run check night --limits limits.yaml --strict --json
expect_status 1
expect_json "$kept/stdout"
expect_stdout_match '"passed": false,'

# A run alone has values and no differences.
limits 'stories/perplexity: {at_most: 20}' 'acc: {at_least: 0.01}'
for run in night/runs/$L-f32 night/runs/$L-f32/run.json; do
    run check $run --limits limits.yaml
    expect_status 0
    expect_stdout_match '^stories/perplexity +millbrook-llama@f32 +[0-9.]+ .* ≤ 20 +within$'
done
limits 'stories/perplexity: {at_most: 1}'
run check night/runs/$L-f32 --limits limits.yaml
expect_status 1
limits 'stories/perplexity: +1%'
run check night/runs/$L-f32 --limits limits.yaml
expect_error 3 'limits.yaml: line 2: limits.stories/perplexity: .*a run alone has not'

# What is named and not there: the file, the line and the place, and no pass.
limits 'flips: 40' 'stories/perplexty: +1%'
run check night --limits limits.yaml
expect_error 3 'limits.yaml: line 3: limits.stories/perplexty: the comparison has no metric "perplexty" here, did you mean "perplexity"\?'
limits 'endings/acc: 0.02'
run check night --limits limits.yaml
expect_error 3 'limits.yaml: line 2: limits.endings/acc: acc is better when higher, so this would be a gain: write -0.02'
limits 'flips: 40'
printf "subjects: ['@int8:absmax', '@gguf:q3_k_x']\n" >>limits.yaml
run check night --limits limits.yaml
expect_error 3 'limits.yaml: line 3: subjects\[1\]: no subject here is'
run compare night/runs/$L-f32 $L@gguf:q4_0 --limit 40 --suite stories --suite endings --no-divergence --out bare
expect_status 0
limits 'kl_mean: 0.02'
run check bare --limits limits.yaml
expect_error 3 'limits.kl_mean: the comparison has no kl_divergence here: .*--no-divergence'
run eval $L@int8:absmax --limit 3 --suite stories --out other
run report night/runs/$L-f32 other --out refused
expect_status 0
limits 'stories/perplexity: +50%'
run check refused --limits limits.yaml
expect_error 3 'is not compared in stories: items is 3'

# Hostile YAML: one line, status 3.
while IFS= read -r text; do
    printf '%b\n' "$text" >hostile.yaml
    run check night --limits hostile.yaml
    expect_error 3 'hostile.yaml: '
done <<'CASES'

limits
limits: &a {flips: *a}
limits: {flips: 5, flips: 6}
limits: {flips: .inf}
limits: {flips: 1e999}
limits: {flips: 99999999999999999999}
limits: {"\x1b[31m": 5}
limits: {flips: [[[[[[[[[[[[[[[[[[[[5]]]]]]]]]]]]]]]]]]]]}
limits: {? [a] : 5}
limits: {flips: !!float 5}
--- {limits: {flips: 5}}\n--- {}
limits: {flips: "5\\0"}
CASES
expect_no_controls

run check night --limits <(echo limits) # which is a pipe
expect_error 3 ''
# What is read is not written over, and what cannot be written is told before anything is printed.
limits 'flips: 40'
for option in --junit --markdown; do
    for out in limits.yaml night/compare.json; do
        run check night --limits limits.yaml $option $out
        expect_error 2 "$option $out: is read by this command"
    done
    run check night --limits limits.yaml $option absent/x
    expect_error 4 'absent/x: '
    run check night --limits limits.yaml $option ''
    expect_error 2 "$option: an empty name is no file"
done
run check night --limits limits.yaml --junit x --markdown x
expect_error 2 "is --junit's file"
expect_equal "sum of compare.json" "$sums" "$(cksum night/compare.json)"
run check night --limits limits.yaml --junit night/check.xml # beside what is read, again and again
run check night --limits limits.yaml --junit night/check.xml
expect_status 0

# STATUS | WORDS | ARGUMENTS
while IFS='|' read -r expected words arguments; do
    eval "run check $arguments"
    expect_error "$expected" "$words"
done <<'CASES'
2|check takes one COMPARISON or RUN, but got 0 operands|--limits limits.yaml
2|check takes one COMPARISON or RUN, but got 2 operands|night night --limits limits.yaml
2|--limits FILE.yaml is missing|night
2|--limit: unknown option, did you mean "--limits"\?|night --limit limits.yaml
4|nothing: no such file or folder|nothing --limits limits.yaml
4|nothing.yaml: open: No such file|night --limits nothing.yaml
3|.: holds neither run.json nor compare.json|. --limits limits.yaml
CASES
sed -i 's/"rows": \[/"rows": 7, "x": [/' bare/compare.json
run check bare --limits limits.yaml
expect_error 3 'bare/compare.json: comparison: rows: is a whole number'
finish
