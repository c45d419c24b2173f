#!/usr/bin/env bash
# Names of models and files, texts of items and edited records, with what a terminal, a spreadsheet, Markdown, HTML and XML
# would act on: every sink of every command has them escaped.
source "$(dirname "$0")/lib.sh"
kerf=$(realpath "$kerf")
name=$'=cmd()<img src=x onerror=alert(1)>"\'`|[a](javascript:x)&amp;\e[31m\e]52;c;aGk=\a\xe2\x80\xae\xe2\x80\x8b\xff\r\n+1\t'
cp -r datasets/millbrook/llama "$folder/$name"
cd "$folder" || exit 1 # the name is the model's, with no path before it

# No control, no mark of direction, nothing without width; line ends aside.
expect_plain() { # FILE
    local found
    found=$(grep -aoP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f\xad]|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]' "$1" | head -n 1 | od -An -tx1)
    [ -z "$found" ] || fail "nothing unseen in $1" "the bytes$found"
}

# Tags that only the hostile texts would bring, and as many scripts and styles as the page has by itself.
expect_no_markup() { # FILE
    local found
    found=$(grep -aoE '<(img|svg [^>]*onload|iframe|script>alert)[^>]{0,40}|(href|src)="(javascript|x)[^"]{0,20}' "$1" | head -n 1)
    [ -z "$found" ] || fail "no markup in $1" "$found"
}

expect_reports() { # FOLDER
    local file
    for file in report.md index.html junit.xml; do
        expect_plain "$1/$file"
        expect_no_markup "$1/$file"
    done
    expect_equal "scripts in $1/index.html" 1 "$(grep -aoi '<script' "$1/index.html" | wc -l)"
    expect_equal "ends of scripts" 1 "$(grep -aoi '</script' "$1/index.html" | wc -l)"
    expect_equal "headings of $1/report.md" 1 "$(grep -ac '^#' "$1/report.md")"
    expect_equal "links and fences" 0 "$(grep -acE '\]\(|```|://' "$1/report.md")"
    expect_equal "formulas in $1/leaderboard.csv" 0 "$(grep -acE '(^|,)"([=+@]|-[^0-9.])' "$1/leaderboard.csv")"
    expect_json "$1/compare.json"
}

cat >mine.yaml <<'Y'
task: mine
about: "<script>alert(1)</script>"
dataset_path: "d<b>\u202e.jsonl"
dataset_format: jsonl
output_type: multiple_choice
doc_to_text: "{{q}}"
doc_to_choice: ["</script><script>alert(1)</script>", "\e[31m]]> |`=cmd()"]
doc_to_target: "{{a}}"
metric_list: [{metric: acc}]
Y
cat >texts.yaml <<'Y'
task: texts
dataset_path: "d<b>\u202e.jsonl"
dataset_format: jsonl
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: "@SUM(A1)"
generation_kwargs: {until: ["</script>"], max_gen_toks: 4}
metric_list: [{metric: exact_match}]
Y
word=$(printf 'W%.0s' {1..400})
for i in 0 1 0 1; do
    printf '{"q": "<script>alert(%s)</script><img src=x onerror=alert(1)> \\u001b[31m\\u001b]52;c;x\\u0007 =cmd() \\u202e\\r\\n\\t ```|[l](javascript:x) &amp; ]]> --> \\u2028\\u200b\\ufffe\\ufeff\\u00ad \\"onload=x %s", "a": %s}\n' $i "$word" $i
done >$'d<b>\xe2\x80\xae.jsonl'

# Runs and comparisons, and what is made of them later.
run eval "$name" --suite ./mine.yaml --suite ./texts.yaml --out one
expect_status 0
expect_no_controls
expect_plain "$kept/stdout"
run compare "$name" @rtn:2 --suite ./mine.yaml --suite ./texts.yaml --out both
expect_status 0
expect_no_controls
expect_plain "$kept/stdout"
expect_plain "$kept/stderr"
expect_reports both
run report both --out again
expect_status 0
expect_no_controls
expect_reports again
run leaderboard add board.csv both
expect_status 0
expect_no_controls
expect_equal "formulas in the leaderboard" 0 "$(grep -acE '(^|,)"([=+@]|-[^0-9.])' board.csv)"
run leaderboard show board.csv
expect_status 0
expect_no_controls
expect_plain "$kept/stdout"
grep -q '^=cmd\|  *=cmd' "$kept/stdout" || fail "the name as it was" "$(head -n 5 "$kept/stdout")"
run export one --out exported
expect_status 0
expect_no_controls

# A comparison that someone edited: any text anywhere.
cp -r both edited
sed -i 's|"suite": "mine"|"suite": "</h1><script>alert(2)</script>\\u001b]0;x\\u0007=1"|; s|"metric": "acc"|"metric": "@SUM(A1)\|x\\u202e"|; s|"cpu": "[^"]*"|"cpu": "+1<img src=x>\\u0000"|' edited/compare.json
run report edited --out never
expect_error 3 'compare.json: line [0-9]+, column [0-9]+: '
expect_no_controls
sed -i 's|\\u0000||' edited/compare.json
run report edited --out changed
expect_no_controls
if [ "$status" -eq 0 ]; then expect_reports changed; else expect_error 3 'edited'; fi

# A name of a suite is a file's name, or refused.
for bad in '<script>' '=cmd()' '"a\e[31mb"' 'a|b' "$word"; do
    sed "s/^task: .*/task: $bad/" mine.yaml >bad.yaml
    run eval "$name" --suite ./bad.yaml --out never
    expect_error 3 'bad.yaml: .*task: must be a name of letters'
    expect_no_controls
done

# One model, one text, an error.
run inspect "$name"
expect_status 0
expect_no_controls
expect_plain "$kept/stdout"
run generate "$name" --prompt $'<script>\e[31m' --max-tokens 4 --json
expect_status 0
expect_no_controls
run eval "$name@nothing" --suite ./mine.yaml
expect_stderr_line '^error: '
expect_no_controls
expect_plain "$kept/stderr"

# Lines of progress, on a terminal.
if command -v script >"$kept/script"; then
    export kerf name
    command_line="kerf eval on a terminal"
    script -qec '"$kerf" eval "$name" --suite ./mine.yaml --suite ./texts.yaml --fresh --out again-one' /dev/null </dev/null |
        sed 's/\x1b\[K//g; s/\r//g' >"$kept/stdout"
    : >"$kept/stderr"
    expect_plain "$kept/stdout"
    grep -q 'mine (4 items)' "$kept/stdout" || fail "a table" "$(head -c 300 "$kept/stdout" | cat -v)"
fi
cd "$root" || exit 1
finish
