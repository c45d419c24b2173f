#!/usr/bin/env bash
# Interrupted in the middle of a comparison: status 130, one line, the runs that were finished are kept whole.
source "$(dirname "$0")/lib.sh"

out=$folder/out
command_line="kerf compare, SIGINT in its second run"
# Job control gives the command its own SIGINT, which a shell otherwise has background jobs ignore.
set -m
"$kerf" compare millbrook-llama@f16 @f32 @int8:absmax @gguf:q8_0 @gguf:q4_0 @bf16 --suite endings --suite questions --limit 200 \
    --out "$out" >"$kept/stdout" 2>"$kept/stderr" &
process=$!
set +m
for _ in $(seq 1200); do
    [ -e "$out/runs/millbrook-llama-f16/run.json" ] && break
    sleep 0.05
done
kill -INT "$process"
wait "$process"
status=$?
expect_error 130 'interrupted'
run_folders=$(ls "$out/runs")
expect_equal "no more than two runs" true "$([ "$(wc -w <<<"$run_folders")" -le 2 ] && echo true)"
for run_folder in $run_folders; do
    expect_files "$out/runs/$run_folder" run.json samples_endings.jsonl samples_questions.jsonl
    expect_json "$out/runs/$run_folder/run.json"
    expect_json_lines "$out/runs/$run_folder/samples_endings.jsonl" 200
done
for file in compare.json leaderboard.csv report.md junit.xml index.html; do
    [ ! -e "$out/$file" ] || fail "no $file" "one"
done

# In the middle of writing a file: it is removed.
for delay in 0.01 0.02 0.03 0.04 0.1 0.3; do
    command_line="timeout -s INT $delay kerf quantize"
    timeout --preserve-status -s INT $delay "$kerf" quantize millbrook-llama@gguf:q4_0 -o "$folder/model.gguf" >"$kept/stdout" 2>"$kept/stderr"
    status=$?
    [ "$status" -eq 130 ] || expect_status 0
    expect_equal "temporary files" '' "$(find "$folder" -name '*.tmp*')"
done

for signal in INT TERM; do
    command_line="kerf eval --out, SIG$signal at once"
    set -m
    "$kerf" eval millbrook-llama --suite stories --suite questions --out "$folder/eval-$signal" >"$kept/stdout" 2>"$kept/stderr" &
    process=$!
    set +m
    sleep 1
    kill -"$signal" "$process"
    wait "$process"
    status=$?
    expect_error 130 'interrupted'
    left=$(find "$folder/eval-$signal" -type f ! -path '*/journal/*' 2>/dev/null)
    [ -z "$left" ] || fail "no file in eval but the journal's" "$left"
done
finish
