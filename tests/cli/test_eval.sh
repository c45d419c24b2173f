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
grep -vE '^(seconds|tokens/s)' "$kept/stdout" >"$folder/table"

out=$folder/a/b
run eval $L --limit 3 --out "$out"
expect_status 0
expect_stderr_line "^wrote $out/\{run.json, samples_\*.jsonl\}$"
expect_equal "the same table" "$(cat "$folder/table")" "$(grep -vE '^(seconds|tokens/s)' "$kept/stdout")"
journal=$(cd "$out" && find journal -type f | grep -E "^journal/(lock|(${suites// /|})-[0-9a-f]{16}\.jsonl)$")
expect_equal "files of the journal" 7 "$(wc -l <<<"$journal")"
expect_files "$out" $journal run.json $(printf 'samples_%s.jsonl ' $suites)
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

# Documents by their numbers, in the file's order; from a file too.
printf '{"reviews": [7, 0, 3]}' >"$folder/samples.json"
for samples in "$(cat "$folder/samples.json")" "$folder/samples.json"; do
    run eval $L --suite reviews --samples "$samples" --out "$folder/some"
    expect_status 0
    expect_equal "doc_ids" "0 3 7" "$(sed -n 's/^{"doc_id":\([0-9]*\),.*/\1/p' "$folder/some/samples_reviews.jsonl" | paste -sd ' ')"
done
run eval $L --suite reviews --samples '{"endings": [1]}'
expect_error 2 '--samples: "endings" is no suite of this run: name it by --suite'
run eval $L --suite reviews --samples '{"reviews": 1}'
expect_error 2 '--samples: must be like'
run eval $L --suite reviews --samples '{"reviews": '
expect_error 3 '--samples'
run eval $L --suite reviews --samples '{"reviews": [500]}'
expect_error 3 '500'

# Another strategy for texts; suites without texts do not mind.
run eval $L --suite reviews --suite translation --limit 3 --decode beam:2 --out "$folder/beam"
expect_status 0
expect_equal "strategies" 1 "$(grep -c '"decoding": "beam:2"' "$folder/beam/run.json")"
for suite in reviews translation; do expect_json_lines "$folder/beam/samples_$suite.jsonl" 3; done
run eval $L --suite translation --limit 1 --decode nonsense
expect_error 2 '--decode: '

# Little memory changes nothing; too little is an error that says what is needed.
run eval $L --suite endings --suite questions --limit 3 --out "$folder/plenty"
run eval $L --suite endings --suite questions --limit 3 --memory 12M --out "$folder/little"
expect_status 0
for suite in endings questions; do expect_same_file "$folder/plenty/samples_$suite.jsonl" "$folder/little/samples_$suite.jsonl"; done
for suite in endings questions; do
    run eval $L --suite $suite --limit 3 --memory 100K
    expect_error 2 "suite $suite: --memory: item [0-2] needs [0-9.]+ MiB for .* 0\.1 MiB are allowed: give more"
done
run eval $L --memory 12X
expect_error 2 '--memory: "12X" must be a whole number of at least 1, K, M or G behind it if need be'
run eval $L --memory 99999999999G
expect_error 2 '--memory: "99999999999G" is too large'

# Classes have their confusion matrix: 12 sentences, of which the rows count the bad and the good ones.
run eval millbrook-llama --suite reviews --limit 12 --out "$folder/classes"
expect_status 0
expect_equal "items in the confusion matrix" 12 "$(sed -n '/"confusion"/,/^   \]/p' "$folder/classes/run.json" | grep -oE '^ +[0-9]+' | awk "{ n += \$1 } END { print n }")"
finish
