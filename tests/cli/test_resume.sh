#!/usr/bin/env bash
# A run that is killed at any moment goes on when it is asked for again, and ends as if it had never been killed.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama
suites='--suite stories --suite endings --suite questions'
limit=${KERF_TEST_ITEMS:-30}
[ "$limit" -le 30 ] || limit=30

# run.json without what depends on the clock and on memory.
timeless() { sed -E '/"(seconds|started|peak_bytes|tokens_per_second|cpu_seconds)":/d' "$1"; }

expect_same_run() { # EXPECTED GOT
    local file
    # A kill while a file is written leaves its temporary file beside it: the last six characters are random.
    expect_equal "files of $2" "$(ls "$1")" "$(ls --ignore='*.tmp??????' "$2")"
    for file in "$1"/samples_*.jsonl; do expect_same_file "$file" "$2/$(basename "$file")"; done
    timeless "$1/run.json" >"$kept/expected.json"
    timeless "$2/run.json" >"$kept/got.json"
    expect_same_file "$kept/expected.json" "$kept/got.json"
}

lines() { # FOLDER: lines of results in its journals
    cat "$1"/journal/*.jsonl 2>/dev/null | grep -cE '^\{"(g|window)'
}

eval_into() { # FOLDER, OPTIONS
    local out=$1
    shift
    run eval $L $suites --limit "$limit" --out "$out" "$@"
}

whole=$folder/whole
eval_into "$whole"
expect_status 0
expect_stderr_line '^wrote '
total=$(lines "$whole")

# Killed again and again, some lines further each time and at some moment after that; nothing that is there is lost.
kill_again() { # FOLDER, LINES further at most, COMMAND...
    local out=$1 step=$2 kills=0 now=0 try process wanted before
    shift 2
    for try in $(seq 12); do
        command_line="kerf $1, killed for the $try. time"
        "$kerf" "$@" --out "$out" --batch 3 >"$kept/stdout" 2>"$kept/stderr" &
        process=$!
        wanted=$((now + RANDOM % step))
        while [ "$(lines "$out")" -le "$wanted" ] && kill -0 "$process" 2>/dev/null; do sleep 0.02; done
        sleep "0.0$((RANDOM % 10))"
        kill -KILL "$process" 2>/dev/null
        wait "$process" 2>/dev/null
        status=$?
        [ "$status" -eq 0 ] && break
        expect_status 137
        kills=$((kills + 1))
        before=$now
        now=$(lines "$out")
        [ "$now" -gt "$before" ] || fail "more than $before lines" "$now"
    done
    [ "$kills" -gt 0 ] || fail "a kill before the end" "$kills"
}

out=$folder/killed
kill_again "$out" $((total / 6 + 1)) eval $L $suites --limit "$limit"
touch "$out/run.json.tmpa1B2c3" "$out/samples_stories.jsonl.tmpa1B2c3" # as kills at other moments leave them
eval_into "$out"
expect_status 0
expect_equal "temporary files that kills have left" '' "$(ls "$out" | grep tmp)"
expect_stdout_match '^  perplexity '
grep -Eq "^note: stories: [1-9][0-9]* of $limit items were done before \(--fresh does them again\)$" "$kept/stderr" ||
    fail "a note about the items of stories" "$(cat "$kept/stderr")"
expect_same_run "$whole" "$out"
expect_equal "lines in the journal of a run that was killed" "$total" "$(lines "$out")"

# Torn and changed lines: what they stood for is done again.
for file in "$out"/journal/*.jsonl; do
    truncate -s -5 "$file"
    sed -i '2s/-/+/; 4s/[0-9]/x/' "$file"
done
eval_into "$out"
expect_status 0
expect_equal notes 3 "$(grep -c '^note: .* items were done before' "$kept/stderr")"
grep -q " $limit of $limit " "$kept/stderr" && fail "fewer items than all" "$(cat "$kept/stderr")"
expect_same_run "$whole" "$out"

# Another model, another protocol, less memory: the first two share nothing with what is there, the third everything.
eval_into "$out" --memory 20M
expect_status 0
expect_equal notes 3 "$(grep -c " $limit of $limit items were done before" "$kept/stderr")"
run eval $L@int8:absmax --suite endings --limit "$limit" --out "$out"
expect_status 0
expect_stderr_line '^wrote '
run eval $L --suite endings --limit $((limit - 1)) --out "$out"
expect_status 0
expect_stderr_line '^wrote '

# From the start: the same again, with nothing taken over.
eval_into "$out" --fresh
expect_status 0
expect_stderr_line '^wrote '
expect_same_run "$whole" "$out"

# Without a folder nothing is written.
mkdir "$folder/empty"
cd "$folder/empty" || exit 1
run eval "$root/datasets/millbrook/llama" --suite "$root/suites/reviews.yaml" --limit 2
expect_status 0
expect_files "$folder/empty"
cd "$root" || exit 1

# Interrupted: what was done counts, and the notes say how much.
command_line="kerf eval, SIGINT"
set -m
"$kerf" eval $L --suite questions --out "$folder/interrupted" --batch 2 >"$kept/stdout" 2>"$kept/stderr" &
process=$!
set +m
for _ in $(seq 200); do
    [ "$(lines "$folder/interrupted")" -gt 5 ] && break
    sleep 0.02
done
kill -INT "$process"
wait "$process"
status=$?
if [ "$status" -ne 0 ]; then
    expect_error 130 'interrupted'
    done_before=$(lines "$folder/interrupted")
    run eval $L --suite questions --out "$folder/interrupted"
    expect_status 0
    grep -q "^note: questions: $done_before of 500 items were done before" "$kept/stderr" ||
        fail "a note of $done_before items" "$(cat "$kept/stderr")"
fi

# A disk that fills up: a limit on the size of files stands for it. What fits is kept.
command_line="kerf eval --out full, files of at most 4 KiB"
(
    ulimit -f 4
    "$kerf" eval $L --suite stories --limit 60 --out "$folder/full"
) >"$kept/stdout" 2>"$kept/stderr"
status=$?
expect_error 4 'full/journal/stories-[0-9a-f]{16}\.jsonl: write: File too large: make room and run the same again'
kept_lines=$(lines "$folder/full")
[ "$kept_lines" -gt 10 ] || fail "more than 10 lines kept" "$kept_lines"
run eval $L --suite stories --limit 60 --out "$folder/full"
expect_status 0
grep -q '^note: stories: [1-9][0-9]* of 60 items were done before' "$kept/stderr" || fail "a note" "$(cat "$kept/stderr")"

# Two at once in one folder: the second is told who is there.
command_line="kerf eval, two at once"
"$kerf" eval $L --suite stories --suite endings --out "$folder/two" >"$kept/first" 2>&1 &
process=$!
for _ in $(seq 200); do
    [ -s "$folder/two/journal/lock" ] && break
    sleep 0.02
done
run eval $L --suite reviews --limit 1 --out "$folder/two"
expect_error 4 "$folder/two: process $process works in this folder: wait for its end, or give another --out"
kill -KILL "$process"
wait "$process" 2>/dev/null
run eval $L --suite reviews --limit 1 --out "$folder/two"
expect_status 0

# A comparison walks through documents with both models at once, and goes on in the middle of that too.
pair="$L@f32 @int8:absmax --suite stories --limit 60"
run compare $pair --out "$folder/walked"
expect_status 0
out=$folder/stopped
kill_again "$out" 40 compare $pair
run compare $pair --out "$out"
expect_status 0
expect_same_comparison() {
    for subject in $L-f32 $L-int8-absmax; do expect_same_run "$folder/walked/runs/$subject" "$out/runs/$subject"; done
    timeless "$folder/walked/compare.json" >"$kept/expected.json"
    timeless "$out/compare.json" >"$kept/got.json"
    expect_same_file "$kept/expected.json" "$kept/got.json"
}
expect_same_comparison
expect_equal "lines of 60 windows, each of two models and of the walk" 180 "$(lines "$out")"
for file in "$out"/journal/*.jsonl; do
    truncate -s -5 "$file"
    sed -i '2s/[0-9]/x/; 7s/[0-9]/x/' "$file"
done
run compare $pair --out "$out"
expect_status 0
expect_same_comparison

# What the candidate did there is done for kerf eval as well.
run eval $L@int8:absmax --suite stories --limit 60 --out "$out"
expect_status 0
grep -q '^note: stories: 60 of 60 items were done before' "$kept/stderr" || fail "a note of 60" "$(cat "$kept/stderr")"

# Comparisons have their journals in common.
run compare $L@f32 @int8:absmax --suite endings --limit 20 --out "$folder/compare"
expect_status 0
run compare $L@f32 @int8:absmax @f16 --suite endings --limit 20 --out "$folder/compare"
expect_status 0
finish
