#!/usr/bin/env bash
# One subject through suites: the table and the files.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama
suites='stories endings lastword questions translation reviews'

run eval $L --limit 3
expect_status 0
expect_stderr_empty
expect_no_controls
expect_equal "first line" $L "$(head -n 1 "$kept/stdout")"
for suite in $suites; do expect_stdout_match "^$suite \(3 items\)$"; done
expect_stdout_match '^  perplexity +[0-9.]+ +[0-9.]+ +\[[0-9.]+, [0-9.]+\] +lower$'
expect_stdout_match '^  acc +[01]\.[0-9]{3} +0\.[0-9]{3} +\[[01]\.[0-9]{3}, [01]\.[0-9]{3}\] +higher$'
expect_stdout_match '^bits/weight +16\.0[0-9]$'
expect_equal "rows of metrics" 16 "$(grep -cE ' (lower|higher)$' "$kept/stdout")"
grep -v '^seconds' "$kept/stdout" >"$folder/table"

out=$folder/a/b
run eval $L --limit 3 --out "$out"
expect_status 0
expect_stderr_line "^wrote $out/\{run.json, samples_\*.jsonl\}$"
expect_equal "the same table" "$(cat "$folder/table")" "$(grep -v '^seconds' "$kept/stdout")"
expect_files "$out" run.json $(printf 'samples_%s.jsonl ' $suites)
expect_json "$out/run.json"
for suite in $suites; do
    file=$out/samples_$suite.jsonl
    expect_json_lines "$file" 3
    expect_equal "doc_ids of $suite" "0 1 2" "$(sed -n 's/^{"doc_id":\([0-9]*\),.*/\1/p' "$file" | paste -sd ' ')"
    for key in doc_hash target arguments resps filtered_resps metrics; do
        expect_equal "lines of $suite with $key" 3 "$(grep -c "\"$key\":" "$file")"
    done
done
expect_equal "suites in run.json" "$suites" "$(sed -n 's/^   "name": "\([a-z]*\)",$/\1/p' "$out/run.json" | paste -sd ' ')"
for pattern in '"schema": "kerf-run-1"' '"backend": "stored"' '"sha256": "[0-9a-f]{64}"' '"items": 3' '"version": "[0-9.]+"' \
    '"threads": [0-9]+' '"peak_bytes": [0-9]+' '"started": "20[0-9-]+T[0-9:]+Z"'; do
    command_line="kerf eval --out: run.json"
    grep -qE "$pattern" "$out/run.json" || fail "$pattern" "$(head -c 400 "$out/run.json")"
done

# A second run into the folder replaces the first; the whole of a suite is 500 items.
run eval $L@int8:absmax --suite reviews --out "$out"
expect_status 0
expect_stdout_match '^reviews \(500 items\)$'
expect_json_lines "$out/samples_reviews.jsonl" 500
grep -q '"backend": "int8:absmax"' "$out/run.json" || fail "the second run's record" "$(head -c 400 "$out/run.json")"

# Asked for twice, a suite runs once; a suite of one's own and one that ships may not share a name.
run eval $L --suite reviews --suite reviews --limit 1
expect_status 0
expect_equal "headings" 1 "$(grep -c '^reviews' "$kept/stdout")"
run eval $L --suite millbrook --suite endings --limit 1
expect_status 0
expect_equal "headings" 6 "$(grep -c ' (1 items)$' "$kept/stdout")"
cp suites/reviews.yaml datasets/millbrook/reviews.test.tsv "$folder"
sed -i 's|millbrook/||' "$folder/reviews.yaml"
run eval $L --suite reviews --suite "$folder/reviews.yaml" --limit 1 --out "$folder/twice"
expect_error 2 'reviews'

# More items than there are: all.
run eval $L --suite reviews --limit 9223372036854775807
expect_status 0
expect_stdout_match '^reviews \(500 items\)$'
finish
