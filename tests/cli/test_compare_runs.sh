#!/usr/bin/env bash
# Runs that were made before compared; what cannot be compared; strategies against each other.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama

# Finished runs give the numbers that running now gives.
run compare $L@f32 @int8:absmax --limit 4 --suite stories --suite reviews --suite translation --out "$folder/now"
expect_status 0
runs=$folder/now/runs
run compare "$runs/$L-f32" "$runs/$L-int8-absmax" --out "$folder/again"
expect_status 0
expect_stderr_line "^wrote $folder/again/\{compare.json, leaderboard.csv, report.md, junit.xml, index.html\}$"
rows() { sed -n '/"rows": \[/,/^ \]/p' "$1/compare.json" | sha256sum; }
expect_equal "rows" "$(rows "$folder/now")" "$(rows "$folder/again")"
cut -d, -f10-60 "$folder/now/leaderboard.csv" >"$folder/a"
cut -d, -f10-60 "$folder/again/leaderboard.csv" >"$folder/b"
expect_equal "leaderboard" "$(cat "$folder/a")" "$(cat "$folder/b")"

run compare "$runs/$L-f32" "$runs/$L-int8-absmax" --suite stories --out "$folder/again"
expect_error 2 '--suite: is for subjects that are run'

# So does one of each kind.
run compare "$runs/$L-f32" $L@int8:absmax --limit 4 --suite stories --suite reviews --suite translation --no-divergence --out "$folder/mixed"
expect_status 0
expect_equal "differences" "$(grep -c '"gained"' "$folder/now/compare.json")" "$(grep -c '"gained"' "$folder/mixed/compare.json")"

# Another number of items is another protocol, before and after the work.
run eval $L@q8 --limit 1 --out "$folder/x"
expect_status 2
run eval $L --limit 5 --suite stories --out "$folder/five"
expect_status 0
run compare "$runs/$L-f32" "$folder/five" --out "$folder/refused"
expect_error 3 "suite stories: $L is not comparable with the baseline: items is 5, the baseline.s is 4; --force shows them"
run compare "$runs/$L-f32" "$folder/five" --force --out "$folder/forced"
expect_status 0
expect_stdout_match "$L: not compared: items is 5, the baseline's is 4"
expect_stdout_match "^  bleu  *[0-9.]+  *–"
expect_equal "differences" 0 "$(grep -c '"gained"' "$folder/forced/compare.json")"

# A folder that is no run, and runs that were tampered with.
mkdir "$folder/empty"
run compare "$folder/empty" "$runs/$L-f32" --out "$folder/none"
expect_status 4
cp -r "$runs/$L-f32" "$folder/broken"
sed -i '2s/"statistics"/"statistic"/' "$folder/broken/samples_stories.jsonl"
run compare "$runs/$L-f32" "$folder/broken" --out "$folder/none"
expect_error 3 'broken/samples_stories.jsonl: line 2: statistics: is missing'

# A folder of its own for every subject, whatever the names; what is read for the comparison is not written over.
folders() { sed -n 's/^   "run": "\(.*\)",*$/\1/p' "$1/compare.json" | paste -sd ' '; }
mkdir "$folder/models"
for name in m m.2; do ln -s "$root/datasets/millbrook/gpt2" "$folder/models/$name"; done
run compare "$folder/models/m.2" "$folder/models/m" "$folder/models/m" "$folder/models/m/" "$folder/models/m/." --suite endings --limit 2 --out "$folder/names"
expect_status 0
expect_equal "folders" "runs/m.2 runs/m runs/m.3 runs/- runs/-.2" "$(folders "$folder/names")"
cp -r "$folder/names/runs/m" "$kept/m"
run compare "$folder/names/runs/m" "$folder/models/m@int8:absmax" "$folder/models/m" --suite endings --limit 2 --out "$folder/names"
expect_status 0
expect_equal "folders" "$folder/names/runs/m runs/m-int8-absmax runs/m.2" "$(folders "$folder/names")"
expect_same_file "$kept/m/run.json" "$folder/names/runs/m/run.json"

# Models whose windows cannot be laid side by side: --force shows them without a divergence.
cp -r "$root/datasets/millbrook/llama" "$folder/models/short"
sed -i 's/"max_position_embeddings": 512/"max_position_embeddings": 128/' "$folder/models/short/config.json"
run compare "$folder/models/short" $L --suite stories --limit 2 --force --out "$folder/short"
expect_status 0
expect_stdout_match "$L: not compared: context is 512, the baseline's is 128"
expect_equal "divergences" 0 "$(grep -c '"kl_divergence"' "$folder/short/compare.json")"

# Two strategies of one subject: a column each.
run compare $L --suite translation --limit 6 --decode greedy --decode beam:2 --out "$folder/decode"
expect_status 0
expect_equal "names" "$L greedy $L beam:2" "$(sed -n '/"subjects"/,/^ ]/s/^   "name": "\(.*\)",/\1/p' "$folder/decode/compare.json" | paste -sd ' ')"
expect_equal "rows" "bleu chrf" "$(sed -n 's/^   "metric": "\(.*\)",/\1/p' "$folder/decode/compare.json" | paste -sd ' ')"
run compare $L --suite translation --limit 6 --decode greedy --decode bean:2 --out "$folder/decode"
expect_error 2 '--decode: .*beam'
run compare $L --suite translation --decode greedy --out "$folder/decode"
expect_error 2 'compare takes a BASELINE and at least one CANDIDATE, or two --decode'

# What was done is not done again, and says so in place of a time.
run compare $L@f32 @int8:absmax --limit 4 --suite stories --suite reviews --suite translation --out "$folder/now"
expect_status 0
expect_equal notes 6 "$(grep -c '4 of 4 items were done before (--fresh does them again)' "$kept/stderr")"
expect_equal "rows" "$(rows "$folder/again")" "$(rows "$folder/now")"
expect_equal "times" 2 "$(sed -n '/"subjects"/,/^ ]/p' "$folder/now/compare.json" | grep -c '"seconds": null')"
finish
