#!/usr/bin/env bash
# Importance matrices from the command line: collected, written, used and refused.
source "$(dirname "$0")/lib.sh"

head -c 6000 datasets/millbrook/calibration.txt >"$folder/text.txt"
im=$folder/im.gguf

run imatrix millbrook-llama --data "$folder/text.txt" --context 128 --threads 1 -o "$im"
expect_status 0
expect_stdout_golden /dev/null
expect_stderr_line "^wrote $im: 42 matrices, [0-9]+ tokens in [0-9]+ windows, [0-9.]+ s$"
run imatrix millbrook-llama --data "$folder/text.txt" --context 128 --threads 3 -o "$folder/again.gguf"
expect_status 0
expect_same_file "$im" "$folder/again.gguf"
run imatrix millbrook-gpt2 --data "$folder/text.txt" --context 128 --chunks 2 -o "$folder/gpt2.gguf"
expect_status 0
expect_stderr_line ': [0-9]+ matrices, 256 tokens in 2 windows, '

run inspect "$im"
expect_status 0
expect_stdout_match '^  general.type +"imatrix"$'
expect_stdout_match '^  imatrix.chunk_size +128$'
expect_stdout_match '^  blk.5.ffn_down.weight.in_sum2 +F32 +1 x 768 '
expect_stdout_match '^  blk.5.ffn_down.weight.counts +F32 +1 x 1 '

# A file that was packed with it is the model that is, score by score, and not the one packed without.
run quantize millbrook-llama@gguf:q4_0 --imatrix "$im" -o "$folder/weighed.gguf"
expect_status 0
expect_stderr_line "^wrote $folder/weighed.gguf: "
run inspect "$folder/weighed.gguf"
expect_stdout_match "^  quantize.imatrix.file +\"$im\"$"
expect_stdout_match '^  quantize.imatrix.entries_count +42$'
run eval "$folder/weighed.gguf" --limit 3 --suite stories --out "$folder/a"
run eval millbrook-llama@gguf:q4_0 --imatrix "$im" --limit 3 --suite stories --out "$folder/b"
expect_status 0
run eval millbrook-llama@gguf:q4_0 --limit 3 --suite stories --out "$folder/c"
expect_same_file "$folder/a/samples_stories.jsonl" "$folder/b/samples_stories.jsonl"
cmp -s "$folder/b/samples_stories.jsonl" "$folder/c/samples_stories.jsonl" && fail "other scores without weights" "the same"

# Who does not use it is told so; who has no entries for all, too.
run generate millbrook-llama@f16 --imatrix "$im" --prompt "The" --max-tokens 1
expect_status 0
expect_stderr_line 'note: millbrook-llama@f16: does not weigh errors, the importance matrix is not used for it$'
run generate millbrook-gpt2@gguf:q4_0 --imatrix "$im" --prompt "The" --max-tokens 1
expect_error 3 "im.gguf: blk.0.ffn_down.weight: has 768 columns, the model's has 1024: it was made for another model"

# Presets and overrides.
run quantize "millbrook-llama@gguf:q4_0,tensor=blk.[01].ffn_*:q8_0,tensor=token_embd:f16" -o "$folder/mixed.gguf"
expect_status 0
run inspect "$folder/mixed.gguf"
expect_stdout_match '^  token_embd.weight +F16 '
expect_stdout_match '^  blk.1.ffn_gate.weight +Q8_0 '
expect_stdout_match '^  blk.2.ffn_gate.weight +Q4_0 '
run quantize "millbrook-llama@gguf:q4_0,tensor=output:f16" -o "$folder/none.gguf"
expect_error 2 'backend "gguf:q4_0,tensor=output:f16": output: fits no matrix of .*kerf inspect lists their names'
run backends
expect_status 0
for variant in q4_k q4_k_m iq4_xs tq1_0 q2_k; do expect_stdout_match "^ +gguf:$variant +[A-Za-z]"; done

# What is missing or wrong.
run imatrix millbrook-llama -o "$im"
expect_error 2 '^error: --data FILE is missing$|--data FILE is missing'
run imatrix millbrook-llama --data "$folder/text.txt"
expect_error 2 '-o FILE.gguf is missing'
run imatrix --data "$folder/text.txt" -o "$im"
expect_error 2 'imatrix takes one SUBJECT, not 0'
run imatrix millbrook-llama --data "$folder/text.txt" --context 600 -o "$im"
expect_error 2 "a window of 600 tokens does not fit in the model's context of 512"
run imatrix millbrook-llama --data "$folder/nowhere.txt" -o "$im"
expect_error 4 'nowhere.txt: open: No such file'
printf 'good\nbad \xff' >"$folder/bytes.txt"
run imatrix millbrook-llama --data "$folder/bytes.txt" -o "$folder/x.gguf"
expect_error 3 'bytes.txt: line 2: byte 5: 0xFF: is not UTF-8'
printf 'short' >"$folder/short.txt"
run imatrix millbrook-llama --data "$folder/short.txt" -o "$folder/x.gguf"
expect_error 3 'short.txt: has [0-9]+ tokens, less than one window of 512: give more text'
run imatrix millbrook-llama --data "$folder/text.txt" --context 128 -o "$folder/no/where.gguf"
expect_error 4 'no/where.gguf'
run quantize millbrook-llama@gguf:q4_0 --imatrix "$folder/text.txt" -o "$folder/x.gguf"
expect_error 3 'text.txt: is no importance matrix: kerf imatrix makes one'
head -c 5000 "$im" >"$folder/cut.gguf"
run quantize millbrook-llama@gguf:q4_0 --imatrix "$folder/cut.gguf" -o "$folder/x.gguf"
expect_error 3 'cut.gguf: '
[ ! -e "$folder/x.gguf" ] || fail "no x.gguf" "one"

# Nothing that is read is replaced, under whatever name, and nothing is read before an -o that cannot be.
cp "$folder/text.txt" "$kept/text.txt"
ln -s text.txt "$folder/link.txt"
for out in text.txt link.txt; do
    run imatrix millbrook-llama --data "$folder/text.txt" --context 128 -o "$folder/$out"
    expect_error 2 "-o $folder/$out: is read by this command: give another name"
    expect_same_file "$kept/text.txt" "$folder/text.txt"
done
cp -r datasets/millbrook/llama "$folder/model"
run imatrix "$folder/model" --data "$folder/text.txt" -o "$folder/model/config.json"
expect_error 2 'config.json: is read by this command'
expect_same_file datasets/millbrook/llama/config.json "$folder/model/config.json"
for backend in q4_0 q2_k; do # a second time over the first
    run quantize "$folder/model@gguf:$backend" -o "$folder/model/packed.gguf"
    expect_status 0
done
cp "$im" "$kept/im.gguf"
run quantize "$folder/model@gguf:q4_0" --imatrix "$im" -o "$im"
expect_error 2 'im.gguf: is read by this command'
expect_same_file "$kept/im.gguf" "$im"
run imatrix millbrook-llama --data "$folder/nowhere.txt" -o "$folder/model"
expect_error 4 'model: is a folder: give a file name'
run imatrix millbrook-llama --data "$folder/nowhere.txt" -o ''
expect_error 2 '-o: an empty name is no file'
finish
