#!/usr/bin/env bash
# Help on every level, and every example in it works as it stands.
source "$(dirname "$0")/lib.sh"

run --version
expect_status 0
expect_stdout_match '^kerf [0-9]+\.[0-9]+\.[0-9]+ \(.+\)$'
expect_equal "lines of --version" 1 "$(wc -l <"$kept/stdout")"
expect_stderr_empty

run
expect_status 2
expect_stderr_line 'kerf --help'

for option in --help -h; do
    run $option
    expect_status 0
    expect_stderr_empty
    expect_stdout_match '^examples:$'
done
commands=$(sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' "$kept/stdout" | grep -v '^kerf$')
expect_equal "number of commands" 19 "$(wc -w <<<"$commands")"

# What the examples name.
cp -r datasets/millbrook/llama "$folder/model-folder"
cp datasets/millbrook/llama/tokenizer.json "$folder"
sed "s|millbrook/endings|$root/datasets/millbrook/endings|; s/^task: .*/task: mine/" suites/endings.yaml >"$folder/my-suite.yaml"
head -c 8000 datasets/millbrook/stories.test.txt >"$folder/text.txt"
run quantize millbrook-llama@f16 -o "$folder/model.gguf"
run quantize millbrook-llama@rtn:4 -o "$folder/gptq-folder"
expect_status 0
cp "$folder/model.gguf" "$folder/other.gguf"
for file in {ref.A,ref.B,output}.en {ref,first,second}.zh {gold,predicted}.txt; do printf 'fog\nmill\n' >"$folder/$file"; done
for file in {gold,predicted}.conll; do echo 'Ada B-PER' >"$folder/$file"; done
echo '{"q": "fog"}' >"$folder/predictions.json"
echo '{"data": [{"paragraphs": [{"context": "The fog.", "qas": [{"id": "q", "question": "What?", "answers": [{"text": "fog"}]}]}]}]}' >"$folder/dev-v2.0.json"

echo '{"model_filename": "model.gguf", "n_prompt": 512, "n_gen": 0, "avg_ts": 100.5, "stddev_ts": 1.5, "samples_ts": [99, 102]}' >"$folder/bench.jsonl"
echo '{"results": {"endings": {"acc,none": 0.5, "acc_stderr,none": 0.05}}, "model_name": "model", "configs": {}, "versions": {}}' >"$folder/results_2026-11-24T08-00-00.json"

printf 'limits:\n  flips: 100%%\n' >"$folder/limits.yaml"

# The calibration set that ships, cut: gptq takes time by the token.
mkdir -p "$folder/cut/datasets/millbrook"
head -c 8000 datasets/millbrook/calibration.txt >"$folder/cut/datasets/millbrook/calibration.txt"

# Runs a line of a shell as the reader of the help would, on one item where it takes --limit.
run_line() { # LINE
    local line=$1
    case $line in
    'kerf compare '*/runs/*) ;; # of runs that were made before
    'kerf eval '* | 'kerf compare '*) line="$line --limit 1" ;;
    esac
    command_line=$line
    (
        cd "$folder" || exit 1
        kerf() { KERF_DATA=$folder/cut timeout 120 "$kerf" "$@" </dev/null; }
        eval "$line"
    ) >"$kept/stdout" 2>"$kept/stderr"
    status=$?
    expect_status 0
}

run --help
examples=$(sed -n '/^examples:/,/^$/s/^  \(kerf .*\)/\1/p' "$kept/stdout" | grep -v COMMAND)
for command in $commands; do
    run "$command" --help
    expect_status 0
    expect_stderr_empty
    expect_stdout_match "^usage: kerf $command"
    expect_stdout_match '^examples:$'
    expect_stdout_match "^  kerf $command"
    examples+=$'\n'$(sed -n '/^examples:/,$s/^  \(kerf .*\)/\1/p' "$kept/stdout")
    cp "$kept/stdout" "$kept/help"
    run "$command" some operands -h
    expect_status 0
    expect_stdout_golden "$kept/help"
done
while read -r line; do run_line "$line"; done <<<"$examples"
expect_equal "at least 18 examples" true "$([ "$(wc -l <<<"$examples")" -ge 18 ] && echo true)"

# The pages' too, but in builds that are slow; what follows a # there is a comment.
[ -n "${KERF_TEST_ITEMS:-}" ] || while read -r line; do
    run_line "$line"
done < <(sed -n '/^```/,/^```/s/^ *\$\? *\(build\/\)\?\(kerf [a-z].*\)/\2/p' README.md docs/*.md | sed 's/  *# .*//' | sort -u)
finish
