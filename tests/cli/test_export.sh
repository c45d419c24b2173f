#!/usr/bin/env bash
# Runs as the files of lm-evaluation-harness, read as its tools read them, and back.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama

run eval $L@int8:absmax --limit 3 --suite millbrook --out "$folder/run"
expect_status 0
run export "$folder/run" --out "$folder/out"
expect_status 0
expect_stderr_empty
expect_equal "files" 7 "$(wc -l <"$kept/stdout")"
expect_stdout_match "^$folder/out/$L@int8__absmax/samples_stories_[-0-9]*T[-0-9]*\.000000\.jsonl$"
results=$(tail -n 1 "$kept/stdout")
expect_json "$results"
while read -r file; do
    case $file in *.jsonl) expect_json_lines "$file" 3 ;; esac
done < <(head -n 6 "$kept/stdout")

# The same run gives the same bytes, also where run.json is named itself.
run export "$folder/run/run.json" --format lm-eval --out "$folder/again"
expect_status 0
expect_equal "the second export" "" "$(diff -r "$folder/out" "$folder/again")"

if command -v python3 >/dev/null; then
    command_line="lm_eval_readers.py"
    python3 "$root/tests/oracle/lm_eval_readers.py" "$folder/out/$L@int8__absmax" >"$kept/table" 2>"$kept/problems" ||
        fail "a folder that the harness's tools can read" "$(tail -n 3 "$kept/problems")"
    expect_equal "metrics in the table" 16 "$(wc -l <"$kept/table")"
    expect_equal "translation's bleu" "$(sed -n '/"name": "bleu"/{n;s/.*: \([0-9.]*\),/\1/p}' "$folder/run/run.json" | xargs printf '%.4f')" \
        "$(awk -F'\t' '$1 == "translation" && $4 == "bleu" { print $5 }' "$kept/table")"
fi

# Back into a report, beside the run it came from: the same values, which are not compared.
run report "$folder/run" "$results" --out "$folder/page"
expect_status 0
expect_equal "fields about the reason" 1 "$(grep -c 'measured by kerf .*(exported), whose protocol is not known' <(sort -u <(grep '"refused"' "$folder/page/compare.json")))"

run export "$folder/run" --format lm-evel --out "$folder/none"
expect_error 2 'lm-evel: unknown format, did you mean "lm-eval"\?'
run export --out "$folder/none"
expect_error 2 'export takes the folder of a run'
run export "$folder/nothing" --out "$folder/none"
expect_error 4 'nothing: no such file or folder'
run export "$folder/page" --out "$folder/none"
expect_error 3 'page: holds no run.json: it is a comparison; give the folders of its runs'
run export "$folder/page/compare.json" --out "$folder/none"
expect_error 3 'page: holds no run.json: it is a comparison; give the folders of its runs'
run export "$folder/run" --out ""
expect_error 2 '--out: an empty name is no folder'
rm "$folder/run/samples_reviews.jsonl"
run export "$folder/run" --out "$folder/torn"
expect_error 4 'samples_reviews.jsonl'
expect_equal "results of a run that is torn" "" "$(find "$folder/torn" -name 'results_*')"
[ ! -e "$folder/none" ] || fail "nothing written" "$folder/none"

finish
