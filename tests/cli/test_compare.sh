#!/usr/bin/env bash
# A baseline and candidates: the table, and the files that hold the same.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama
out=$folder/out

run compare $L@f32 @int8:absmax @gguf:q8_0 @gguf:q4_0 --limit 3 --out "$out"
expect_status 0
expect_stderr_line "^wrote $out/\{compare.json, leaderboard.csv, report.md, junit.xml, index.html, runs/\}$"
expect_no_controls
for name in "$L@f32" int8:absmax gguf:q8_0 gguf:q4_0 stories endings lastword questions translation reviews bits/weight; do
    grep -q "$name" "$kept/stdout" || fail "$name in the table" "$(head -n 3 "$kept/stdout")"
done

files='compare.json index.html junit.xml leaderboard.csv report.md'
for i in $L-f32 $L-int8-absmax $L-gguf-q8_0 $L-gguf-q4_0; do
    files+=" runs/$i/run.json"
    expect_json "$out/runs/$i/run.json"
    for suite in stories endings lastword questions translation reviews; do
        files+=" runs/$i/samples_$suite.jsonl"
        expect_json_lines "$out/runs/$i/samples_$suite.jsonl" 3
    done
done
expect_files "$out" $files $(cd "$out" && find journal -type f)

# 16 metrics of six suites, four cells each, of which the baseline's have no difference; two distances from the baseline.
expect_json "$out/compare.json"
count() { grep -cE "$1" "$out/compare.json"; }
expect_equal rows 18 "$(count '^   "metric": ')"
expect_equal cells 72 "$(count '^     "difference": ')"
expect_equal "cells without a difference" 24 "$(count '^     "difference": null')"
expect_equal differences 48 "$(count '^      "test": "(bootstrap|mcnemar)"')"
expect_equal subjects 4 "$(count '^   "run": "runs/millbrook-llama-')"
expect_equal resampling 1 "$(count '"seed": 1234')"

# A header and a row a subject, all of as many fields; every field is quoted.
expect_equal "lines of leaderboard.csv" 5 "$(wc -l <"$out/leaderboard.csv")"
expect_equal "numbers of fields" 1 "$(awk -F'","' '{ print NF }' "$out/leaderboard.csv" | sort -u | wc -l)"
expect_equal "subjects" "1 2 3 4" "$(sed -n 's/^"\([0-9]\)".*/\1/p' "$out/leaderboard.csv" | paste -sd ' ')"
expect_equal "columns" $((30 + 6 * 2 + 16 * 13 + 2 * 5)) "$(head -n 1 "$out/leaderboard.csv" | awk -F'","' '{ print NF }')"
grep -q 'gguf:q4' "$out/report.md" || fail "gguf:q4_0 in report.md" "$(head -n 5 "$out/report.md")"

# A backend beside itself differs in nothing.
run compare $L@int8:absmax @int8:absmax --limit 3 --suite endings --suite questions --out "$folder/same"
expect_status 0
expect_equal "differences that are 0" 4 "$(sed -n '/"difference": {/,/}/p' "$folder/same/compare.json" | grep -cE '"value": -?0.0,?$')"
expect_equal "differences that are significant" 0 "$(grep -c '"significant": true' "$folder/same/compare.json")"

# A folder's name may hold the sign that separates a backend.
mkdir "$folder/a@b"
cp -r datasets/millbrook/llama "$folder/a@b/m"
run compare "$folder/a@b/m" @int8:absmax --limit 1 --suite reviews --out "$folder/at"
expect_status 0
expect_equal "names" "$folder/a@b/m $folder/a@b/m@int8:absmax" "$(sed -n '/"subjects"/,/^ ]/s/^   "name": "\(.*\)",/\1/p' "$folder/at/compare.json" | paste -sd ' ')"
expect_equal "models" "$folder/a@b/m" "$(sed -n 's/^   "model": "\(.*\)",/\1/p' "$folder/at/compare.json" | sort -u)"

# Models that split text differently cannot be compared token by token, and nothing is reported.
cp -r datasets/millbrook/llama "$folder/other"
sed -i 's/"max_position_embeddings": 512/"max_position_embeddings": 256/' "$folder/other/config.json"
run compare $L "$folder/other" --limit 3 --suite stories --out "$folder/refused"
expect_error 3 'suite stories: not comparable with the baseline: context is 256, the baseline.s is 512'
expect_equal "reports" '' "$(find "$folder/refused" -maxdepth 1 -type f)"

# Where no folder is named it is kerf-out.
command_line="kerf compare without --out"
(cd "$folder" && "$kerf" compare $L @int8:absmax --suite reviews --limit 1 >"$kept/stdout" 2>"$kept/stderr")
status=$?
expect_status 0
[ -s "$folder/kerf-out/compare.json" ] || fail "kerf-out/compare.json" "$(ls "$folder")"
finish
