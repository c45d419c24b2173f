#!/usr/bin/env bash
# kerf leaderboard: rows are added, replaced, ranked and shown; whatever interrupts, the file is the old one or the new one.
source "$(dirname "$0")/lib.sh"
small=tests/goldens/compare-small.json
board=$folder/board.csv

# A comparison of the golden's four subjects, whose names end in a suffix.
make_comparison() { # SUFFIX
    mkdir -p "$folder/$1"
    sed "s/\"name\": \"millbrook-llama@[^\"]*/&-$1/" "$small" >"$folder/$1/compare.json"
}
make_comparison a
make_comparison b

run leaderboard add "$board" "$folder/a"
expect_status 0
expect_stdout "$board: 4 rows added, 0 replaced, 4 in all"
expect_stderr_empty
run leaderboard add "$board" "$folder/a/compare.json" "$folder/b"
expect_status 0
expect_stdout "$board: 4 rows added, 4 replaced, 8 in all"
expect_equal "lines" 9 "$(wc -l <"$board")"

# A run, from where kerf eval put it.
run eval millbrook-llama --suite reviews --limit 5 --out "$folder/run"
expect_status 0
run leaderboard add "$board" "$folder/run"
expect_stdout "$board: 1 row added, 0 replaced, 9 in all"
run leaderboard add "$board" "$folder/run/run.json"
expect_stdout "$board: 0 rows added, 1 replaced, 9 in all"

# Ranking again changes nothing; by what stays in the file; show does not write.
cp "$board" "$folder/before.csv"
run leaderboard rank "$board"
expect_status 0
expect_same_file "$folder/before.csv" "$board"
expect_stdout_match '^ *1 .* millbrook-llama@int8:absmax-'
expect_stdout_match '^ranked by score, percent of the quality of millbrook-llama@f32-a: the mean of stories/perplexity, '
expect_stdout_match '^1 row is not ranked: by other protocols than most, or without some of the suites .measure them'
run leaderboard show "$board" --by stories/perplexity
expect_status 0
expect_stdout_match '^ranked by stories/perplexity \(lower is better\)'
expect_same_file "$folder/before.csv" "$board"
run leaderboard rank "$board" --by stories/perplexity
expect_status 0
run leaderboard add "$board" "$folder/a"
expect_equal "ranked by" 8 "$(grep -c '"stories/perplexity","millbrook' "$board")"
run leaderboard rank "$board" --by score
expect_same_file "$folder/before.csv" "$board"

# The rights of the file stay; a file of a header alone is ranked too.
chmod 660 "$board"
run leaderboard rank "$board"
expect_equal "rights" 660 "$(stat -c %a "$board")"
head -n 1 "$board" >"$folder/header.csv"
run leaderboard rank "$folder/header.csv"
expect_status 0
expect_stdout 'no rows'
run leaderboard add "$folder/header.csv" "$folder/a" "$folder/b" "$folder/run"
expect_same_file "$board" "$folder/header.csv"

# A second opinion on ranks, ties, scores and their intervals, from the formulas of docs/leaderboard.md.
if command -v python3 >"$kept/found"; then
    oracle=$root/tests/oracle/leaderboard.py
    for seed in 1 2 3 real; do
        made=$folder/made.csv
        if [ $seed = real ]; then cp "$board" "$made"; else python3 "$oracle" make "$board" 300 $seed >"$made"; fi
        run leaderboard rank "$made" --by score
        expect_status 0
        python3 "$oracle" check "$made" >"$kept/differs" || fail "the ranking of the formulas" "$(head -n 3 "$kept/differs")"
    done
else
    echo "skipped: the second opinion on rankings, python3 is not here"
fi

# What is wrong is said in a line, and the file stays.
run leaderboard
expect_error 2 'leaderboard takes add, rank or show, and a FILE$'
run leaderboard ad "$board" "$folder/a"
expect_error 2 'leaderboard ad: is none of add, rank and show, did you mean "add"\?$'
run leaderboard add "$board"
expect_error 2 'leaderboard add takes a FILE and at least one RUN$'
run leaderboard rank
expect_error 2 'leaderboard rank takes one FILE$'
run leaderboard show "$folder/absent.csv"
expect_error 4 "$folder/absent.csv: no such file \(kerf leaderboard add makes one\)$"
run leaderboard rank "$board" --by stories/perplexty
expect_error 2 '--by stories/perplexty: is no metric of this leaderboard, did you mean "stories/perplexity"\?$'
run leaderboard add "$board" "$folder/absent"
expect_error 4 "$folder/absent: no such file or folder"
run leaderboard add "$folder/new.csv" "$folder/absent"
expect_error 4 "$folder/absent: no such file or folder"
run leaderboard add "$folder" "$folder/a"
expect_error 4 "$folder: is a folder"
run leaderboard add "$folder/a/compare.json" "$folder/a"
expect_error 2 "FILE $folder/a/compare.json: is read by this command"
run leaderboard add /dev/full "$folder/a"
expect_error 3 '/dev/full: is a device or pipe, not a regular file$'
run leaderboard add /proc/board.csv "$folder/a"
expect_error 4 '/proc/board.csv: '
sed 's/"score"/"x"/' "$board" >"$folder/other.csv"
cp "$folder/other.csv" "$folder/same.csv"
run leaderboard add "$folder/other.csv" "$folder/a"
expect_error 3 'other.csv: column 3: is "x", "score" is expected: this is no leaderboard of this version of kerf: give another file$'
expect_same_file "$folder/same.csv" "$folder/other.csv"
rm "$folder/other.csv" "$folder/same.csv"

# No room for the new file: a limit of 8 KiB.
command_line="kerf leaderboard add, ulimit -f"
(ulimit -f 8 && "$kerf" leaderboard add "$board" "$folder/b" >"$kept/stdout" 2>"$kept/stderr")
status=$?
expect_error 4 'File too large$'
expect_same_file "$folder/before.csv" "$board"

# A folder that cannot be written; root could.
if [ "$(id -u)" -ne 0 ]; then
    mkdir "$folder/locked"
    cp "$board" "$folder/locked/board.csv"
    chmod 555 "$folder/locked"
    run leaderboard add "$folder/locked/board.csv" "$folder/a"
    expect_error 4 'Permission denied$'
    expect_same_file "$board" "$folder/locked/board.csv"
    chmod 755 "$folder/locked"
fi

# Two writers at once: nobody's rows are lost.
rounds=20
for i in $(seq $rounds); do
    make_comparison "left$i"
    make_comparison "right$i"
done
add_all() { # SIDE
    for n in $(seq $rounds); do
        "$kerf" leaderboard add "$folder/two.csv" "$folder/$1$n" >/dev/null || echo "$1$n failed"
    done
}
add_all left >"$kept/left" 2>&1 &
writer=$!
add_all right >"$kept/right" 2>&1
wait $writer
command_line="two writers"
expect_equal "what they said" "" "$(cat "$kept/left" "$kept/right")"
for side in left right; do
    for i in $(seq $rounds); do
        expect_equal "rows of $side$i" 4 "$(grep -c "\"millbrook-llama@[^\"]*-$side$i\"" "$folder/two.csv")"
    done
done

# A writer who is killed leaves the old file or the new one, and no lock.
for i in $(seq 30); do
    "$kerf" leaderboard add "$folder/killed.csv" "$folder/left1" "$folder/left$((i % rounds + 1))" >/dev/null 2>&1 &
    writer=$!
    sleep "0.00$((i % 10))"
    kill -9 $writer 2>/dev/null
    wait $writer 2>/dev/null
    lines=$(wc -l 2>/dev/null <"$folder/killed.csv" || echo 0)
    [ $((lines % 4)) -le 1 ] || fail "whole lines of four subjects and a header" "$lines lines"
done 2>/dev/null
run leaderboard add "$folder/killed.csv" "$folder/left1"
expect_status 0
run leaderboard show "$folder/killed.csv"
expect_status 0

finish
