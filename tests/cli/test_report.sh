#!/usr/bin/env bash
# Reports of runs that were made before: what is taken, what comes out, and what is told when something is not there.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama
cd "$folder" || exit 1
files='compare.json index.html junit.xml leaderboard.csv report.md'
rows() { sed -n '/"rows": \[/,/^ \]/p' "$1/compare.json" | sha256sum; }

run compare $L@f32 @int8:absmax @gguf:q4_0 --limit 6 --suite stories --suite endings --out night
expect_status 0
expect_equal "the page" night/index.html "$(tail -n 1 "$kept/stdout")"

# A comparison is taken as it is, by its folder or its file.
run report night --out page
expect_status 0
expect_files page $files
expect_stderr_line '^wrote page/\{compare.json, leaderboard.csv, report.md, junit.xml, index.html\}$'
expect_stdout_match 'smallest candidate with no significant loss|every smaller candidate'
expect_equal "the page" page/index.html "$(tail -n 1 "$kept/stdout")"
for file in leaderboard.csv report.md junit.xml index.html; do expect_same_file night/$file page/$file; done
expect_equal rows "$(rows night)" "$(rows page)"
expect_equal "whole paths of runs" 3 "$(grep -c "\"run\": \"$folder/night/runs/" page/compare.json)"
run report night/compare.json --out page2
expect_status 0
expect_same_file page/index.html page2/index.html

# Made again in its place it stays what it was, and so does a report of a report.
cp -r night before
run report night --out night
expect_status 0
for file in $files; do expect_same_file before/$file night/$file; done
run report page --out page2
expect_status 0
expect_same_file page/index.html page2/index.html

# The same runs one by one, by folder or by file, and a run that is given twice.
run report night/runs/$L-f32 night/runs/$L-int8-absmax/run.json night/runs/$L-gguf-q4_0 night/runs/$L-gguf-q4_0 --out runs
expect_status 0
expect_equal rows "$(rows night)" "$(rows runs)"
expect_equal flips "$(grep -c 'class="flip"' night/index.html)" "$(grep -c 'class="flip"' runs/index.html)"

# Two comparisons become one; what one of them has alone stands there without a difference.
run compare $L@f32 @gguf:q8_0 --limit 6 --suite stories --suite reviews --out other
run report night other --out both
expect_status 0
expect_equal subjects 5 "$(grep -c '"run": "' both/compare.json)"
expect_equal "rows of a suite that the baseline has not" 4 "$(grep -c '"suite": "reviews"' both/compare.json)"
grep -q '"not measured"' both/compare.json || fail '"not measured" in both/compare.json' "$(grep -c reason both/compare.json)"

# One run alone; other tools' files alone, and beside a comparison.
run report night/runs/$L-f32 --out alone
expect_status 0
expect_stdout_match 'has no candidate beside it'
cat >bench.jsonl <<'J'
{"build_commit": "abc1234", "build_number": 5000, "cpu_info": "AMD EPYC", "backends": "CPU", "model_filename": "model.gguf", "model_type": "llama ?B Q4_0", "model_size": 3000000, "model_n_params": 5049600, "n_threads": 2, "n_prompt": 512, "n_gen": 0, "avg_ts": 100.5, "stddev_ts": 1.5, "samples_ts": [99.0, 102.0], "test_time": "2026-11-24T08:00:00Z"}
{"build_commit": "abc1234", "build_number": 5000, "cpu_info": "AMD EPYC", "backends": "CPU", "model_filename": "model.gguf", "model_type": "llama ?B Q4_0", "model_size": 3000000, "model_n_params": 5049600, "n_threads": 2, "n_prompt": 0, "n_gen": 128, "avg_ts": 20.5, "stddev_ts": 0.5, "samples_ts": [20.0, 21.0], "test_time": "2026-11-24T08:00:09Z"}
J
run report bench.jsonl --out bench
expect_status 0
grep -q llama-bench bench/index.html || fail "llama-bench in the page" "$(head -c 300 bench/index.html)"
run report night bench.jsonl --out beside
expect_status 0
run report night bench.jsonl ./bench.jsonl --out twice
expect_status 0
expect_same_file beside/leaderboard.csv twice/leaderboard.csv
grep -q 'tg128' beside/leaderboard.csv || fail "tg128 in the leaderboard" "$(head -c 300 beside/leaderboard.csv)"
expect_equal "the kerf rows stay as they are" "$(grep -c '"p":' night/compare.json)" "$(grep -c '"p":' beside/compare.json)"

# Without gnuplot everything but the charts is there, and the reason is told, once.
mkdir bin && ln -s "$(command -v timeout)" bin/timeout
PATH=$folder/bin run report night --out bare
expect_status 0
expect_files bare $files
expect_equal "notes" 1 "$(grep -c '^note: .*gnuplot' "$kept/stderr")"
grep -q 'gnuplot' bare/index.html && ! grep -q '<figure' bare/index.html || fail "a reason in place of charts" "none"

# One that fails after the first chart costs the page no more than the further ones.
cat >bin/gnuplot <<S
#!/bin/sh
PATH=$PATH
echo >>$folder/drawn
[ "\$(wc -l <$folder/drawn)" -le 3 ] || exit 1
exec gnuplot "\$@"
S
chmod +x bin/gnuplot
PATH=$folder/bin run report night --out some
expect_status 0
expect_files some $files
expect_equal "notes" 1 "$(grep -c '^note: index.html lacks charts: gnuplot: failed' "$kept/stderr")"
expect_equal "charts" 1 "$(($(grep -c '<figure' some/index.html) < $(grep -c '<figure' page/index.html)))"
grep -q '<figure' some/index.html || fail "the charts before" "none"

# A report that cannot be made leaves no older one in its place, and the others are made.
cp -r page old
command_line="kerf report night --out old, files smaller than index.html"
(
    trap '' XFSZ
    ulimit -f $(($(stat -c %s page/index.html) / 1024))
    "$kerf" report night --out old
) >"$kept/stdout" 2>"$kept/stderr"
status=$?
expect_error 4 'old/index.html: '
expect_files old ${files/index.html/}

# What is no regular file in the place of a report is refused before the work; nobody waits at a pipe.
cp -r page placed
for name in $files; do
    for make in mkfifo mkdir 'ln -s /dev/null'; do
        rm placed/$name
        $make placed/$name
        run report night --out placed
        expect_error 4 "placed/$name: is a "
        rm -r placed/$name
        cp page/$name placed
    done
done
for file in $files; do expect_same_file page/$file placed/$file; done

# Without its runs a comparison has no flips, and says so.
mkdir far && cp night/compare.json far
run report far --out lost
expect_status 0
grep -q '^note: .*int8:absmax' "$kept/stderr" || fail "a note of the missing run" "$(cat "$kept/stderr")"
expect_equal "flips" 0 "$(grep -c 'class="flip"' lost/index.html)"
run report far night/runs/$L-f32 --out lost
expect_error 4 'far/runs/'

# What is no input.
run report
expect_error 2 'report takes a RUN'
run report nothing --out x
expect_error 4 'nothing: no such file or folder'
mkdir empty
run report empty --out x
expect_error 3 'empty: holds neither run.json nor compare.json'
echo '[1]' >list.json
run report list.json --out x
expect_error 3 'list.json: '
cp -r before broken && sed -i 's/"rows": \[/"rows": 7, "x": [/' broken/compare.json
run report broken --out x
expect_error 3 'broken/compare.json: comparison: rows: is a whole number'
cp -r before cut && sed -i '$d' cut/runs/$L-int8-absmax/samples_endings.jsonl
run report cut --out x
expect_error 3 'cut/runs/.*samples_endings.jsonl: '
cp -r night/runs/$L-f32 wrong && sed -i 's/"weight_bytes": [0-9]*/"weight_bytes": "x"/' wrong/run.json
cp -r page stays
run report wrong --out stays
expect_error 3 'wrong/run.json: run: subject.weight_bytes: is a string'
run report night/runs/$L-f32 wrong --out stays
expect_error 3 'wrong/run.json: run: subject.weight_bytes: is a string'
run compare night/runs/$L-f32 wrong --out stays
expect_error 3 'wrong/run.json: run: subject.weight_bytes: is a string'
for file in $files; do expect_same_file page/$file stays/$file; done
run report night --out ''
expect_error 2 '--out: an empty name'
touch file
run report night --out file/x
expect_error 4 'file'
finish
