#!/usr/bin/env bash
# Output that cannot be written: status 4, one line, and nothing half-written.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama

# Standard output that is full.
for arguments in --help --version 'eval --help' suites backends "inspect $L" "inspect $L --json" "tokenize $L text" \
    "generate $L --prompt x --max-tokens 1" "eval $L --suite reviews --limit 1"; do
    command_line="kerf $arguments >/dev/full"
    "$kerf" $arguments >/dev/full 2>"$kept/stderr"
    status=$?
    expect_status 4
    expect_stderr_line '^error: standard output: write: No space left on device$'
done
[ -c /dev/full ] || fail "/dev/full to stay a device" "$(ls -l /dev/full)"

# A file in the way of the folder, a folder in the way of the file, a parent that is a file or absent.
touch "$folder/file"
mkdir "$folder/full" "$folder/out.gguf"
touch "$folder/full/leaderboard"
for out in "$folder/file" "$folder/file/below" /proc/kerf; do
    run eval $L --suite reviews --limit 1 --out "$out"
    expect_error 4 "$out: "
    run compare $L @int8:absmax --suite reviews --limit 1 --out "$out"
    expect_error 4 "$out: "
done
for out in "$folder/file/x.gguf" "$folder/absent/x.gguf" /proc/x.gguf "$folder/out.gguf"; do
    run quantize $L@gguf:q4_0 -o "$out"
    expect_error 4 "$out: "
    run inspect $L --tensor model.norm.weight --dump "$out"
    expect_error 4 "$out: "
done
expect_files "$folder" file full/leaderboard

# A GPTQ folder that cannot be made or written shows before the calibration, for which there is no text here.
mkdir "$folder/here"
for out in "$folder/file/below" "$folder/here/a/$(printf '%0300d' 0)/b" /proc/kerf; do
    run quantize $L@gptq:4 --calibration "$folder/absent.txt" -o "$out"
    expect_error 4 ': make folder: '
done
run quantize $L@gptq:4 --calibration "$folder/absent.txt" -o ''
expect_error 2 'an empty name is no folder'
run quantize $L@gguf:q4_0 -o ''
expect_error 2 '-o: an empty name is no file'
run quantize $L@gguf:q4_0 -o "$folder/out.gguf"
expect_error 4 'out.gguf: is a folder: give a file name'
run quantize $L@gptq:4 --calibration "$folder/absent.txt" -o "$folder/here/a/b"
expect_error 4 'absent.txt: open: '
command_line="kerf quantize $L@rtn:4 -o here/a/b/c, files of at most 64 KiB"
(
    trap '' XFSZ
    ulimit -f 64
    "$kerf" quantize $L@rtn:4 -o "$folder/here/a/b/c"
) >"$kept/stdout" 2>"$kept/stderr"
status=$?
expect_error 4 'model.safetensors: '
expect_equal "what is left of a/b/c" "" "$(ls "$folder/here")"
rmdir "$folder/here"

# A folder in the place of each file of a run; a pipe, at which nobody waits.
mkdir "$folder/eval"
mkfifo "$folder/eval/run.json"
run eval $L --suite reviews --limit 1 --out "$folder/eval"
expect_error 4 'eval/run.json: is a device, pipe or socket, not a regular file: remove it, or give another folder$'
rm -r "$folder/eval"
for name in run.json samples_reviews.jsonl; do
    mkdir -p "$folder/eval/$name"
    run eval $L --suite reviews --limit 1 --out "$folder/eval"
    expect_error 4 "eval/$name: "
    [ -z "$(find "$folder" -name '*.tmp*')" ] || fail "no temporary file" "$(find "$folder" -name '*.tmp*')"
    rm -r "$folder/eval"
done

# In the place of a file of a comparison they show before the work.
for name in compare.json leaderboard.csv report.md junit.xml index.html; do
    for make in mkdir mkfifo; do
        mkdir "$folder/compare"
        $make "$folder/compare/$name"
        run compare $L @int8:absmax --suite reviews --limit 1 --out "$folder/compare"
        expect_error 4 "compare/$name: is a "
        [ ! -e "$folder/compare/runs" ] || fail "no runs" "$(ls "$folder/compare/runs")"
        [ -z "$(find "$folder" -name '*.tmp*')" ] || fail "no temporary file" "$(find "$folder" -name '*.tmp*')"
        rm -r "$folder/compare"
    done
done

# A report that cannot be written after the work: the figures are told all the same, and the other files are there.
run compare $L @int8:absmax --suite reviews --limit 1 --out "$folder/runs"
expect_status 0
command_line="kerf compare runs/runs/* --out compare, files smaller than index.html"
(
    trap '' XFSZ
    ulimit -f $(($(stat -c %s "$folder/runs/index.html") / 1024))
    "$kerf" compare "$folder"/runs/runs/* --out "$folder/compare"
) >"$kept/stdout" 2>"$kept/stderr"
status=$?
expect_status 4
expect_stderr_line '^error: .*compare/index.html: '
expect_stdout_match 'reviews \(1 item'
expect_equal "the other files" 4 "$(find "$folder/compare" -maxdepth 1 -type f -name '[!.]*' | wc -l)"
[ -z "$(find "$folder" -name '*.tmp*')" ] || fail "no temporary file" "$(find "$folder" -name '*.tmp*')"
rm -r "$folder/compare" "$folder/runs"

# A disk that fills up: a limit on the size of files stands for it.
command_line="kerf quantize $L@f16 -o big.gguf, files of at most 64 KiB"
(
    trap '' XFSZ
    ulimit -f 64
    "$kerf" quantize $L@f16 -o "$folder/big.gguf"
) >"$kept/stdout" 2>"$kept/stderr"
status=$?
expect_error 4 'big.gguf: '
expect_files "$folder" file full/leaderboard

# What was there before an error is there after it.
printf 'precious\n' >"$folder/kept.gguf"
cp "$folder/kept.gguf" "$kept/precious"
run quantize $L@int8:absmax -o "$folder/kept.gguf"
expect_status 2
run quantize "$folder/file" -o "$folder/kept.gguf"
expect_error 3 "$folder/file: "
expect_same_file "$kept/precious" "$folder/kept.gguf"

# So is what is read.
cp -r datasets/millbrook/llama "$folder/model"
sums=$(cd "$folder/model" && cksum *)
for name in $(ls "$folder/model"); do
    run quantize "$folder/model@f32" -o "$folder/model/$name"
    expect_error 2 "-o $folder/model/$name: is read by this command: give another name"
done
expect_equal "sums of $folder/model" "$sums" "$(cd "$folder/model" && cksum *)"
finish
