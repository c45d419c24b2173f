#!/usr/bin/env bash
# A model written as GGUF and read again is the same model, score by score.
source "$(dirname "$0")/lib.sh"

for model in millbrook-llama millbrook-gpt2; do
    for backend in f32 f16 gguf:q8_0 gguf:q4_0; do
        file=$folder/$model-${backend/:/-}.gguf
        run quantize $model@$backend -o "$file"
        expect_status 0
        expect_stderr_line "^wrote $file: [0-9.]+ MiB, [0-9.]+ MiB/s$"
        expect_stdout_golden /dev/null
        run eval "$file" --limit 3 --suite stories --suite endings --suite questions --out "$folder/file"
        expect_status 0
        run eval $model@$backend --limit 3 --suite stories --suite endings --suite questions --out "$folder/folder"
        expect_status 0
        for suite in stories endings questions; do
            expect_same_file "$folder/folder/samples_$suite.jsonl" "$folder/file/samples_$suite.jsonl"
        done
    done
done

# Side by side: comparable, and no difference at all.
file=$folder/millbrook-llama-gguf-q8_0.gguf
run compare millbrook-llama@gguf:q8_0 "$file" --limit 3 --suite stories --suite reviews --out "$folder/out"
expect_status 0
expect_equal "differences that are 0" 8 "$(sed -n '/"difference": {/,/}/p' "$folder/out/compare.json" | grep -cE '"value": -?0.0,?$')"

# As stored, from a folder (whose weights are half precision) and from a file: the same bytes again.
run quantize millbrook-llama -o "$folder/stored.gguf"
expect_status 0
expect_same_file "$folder/millbrook-llama-f16.gguf" "$folder/stored.gguf"
run quantize "$file" -o "$folder/again.gguf"
expect_status 0
run eval "$folder/again.gguf" --limit 3 --suite stories --out "$folder/again"
run eval "$file" --limit 3 --suite stories --out "$folder/file"
expect_same_file "$folder/file/samples_stories.jsonl" "$folder/again/samples_stories.jsonl"

# Not onto itself.
run quantize "$folder/stored.gguf@gguf:q8_0" -o "$folder/stored.gguf"
expect_error 2 "-o $folder/stored.gguf: is read by this command: give another name"
expect_same_file "$folder/millbrook-llama-f16.gguf" "$folder/stored.gguf"

# A GPTQ folder is a model like any other: read as it is stored, the same scores as the model that it was made from.
gptq_files="config.json model.safetensors quantize_config.json tokenizer.json tokenizer_config.json"
for backend in rtn:4,group=64,sym rtn:3,zero-points=v2 gptq:4,act-order,sym,samples=2,length=32; do
    out=$folder/${backend//[:,=]/-}
    run quantize millbrook-llama@$backend -o "$out"
    expect_status 0
    expect_stderr_line "^wrote $out: [0-9.]+ MiB, [0-9.]+ MiB/s$"
    expect_stdout_golden /dev/null
    expect_files "$out" $gptq_files
    run eval "$out" --limit 3 --suite stories --suite endings --out "$folder/file"
    expect_status 0
    run eval millbrook-llama@$backend --limit 3 --suite stories --suite endings --out "$folder/folder"
    expect_status 0
    for suite in stories endings; do
        expect_same_file "$folder/folder/samples_$suite.jsonl" "$folder/file/samples_$suite.jsonl"
    done
done
expect_json "$out/quantize_config.json"
expect_json "$out/config.json"

# What readers of other programs must know, and which way the zero points go.
run quantize millbrook-gpt2@rtn:4 -o "$folder/asymmetric"
expect_status 0
expect_equal "lines on standard error" 2 "$(wc -l <"$kept/stderr")"
grep -q '^note: GPTQModel refuses asymmetric zero points' "$kept/stderr" || fail "a note" "$(cat "$kept/stderr")"
run eval "$folder/asymmetric@gptq,zero-points=v2" --limit 2 --suite stories --out "$folder/file"
expect_status 0
grep -q "^warning: $folder/asymmetric: zero points look like gptq .*: try @gptq,zero-points=v1$" "$kept/stderr" ||
    fail "a warning" "$(cat "$kept/stderr")"

# A folder that says the wrong one is warned of also on the way to GGUF.
cp -r "$folder/asymmetric" "$folder/mislabelled"
sed -i -E 's/("checkpoint_format": *)"gptq"/\1"gptq_v2"/' "$folder/mislabelled"/{quantize_config,config}.json
run quantize "$folder/mislabelled@gguf:q8_0" -o "$folder/mislabelled.gguf"
expect_status 0
grep -q "^warning: $folder/mislabelled: zero points look like gptq .*: try @gptq,zero-points=v1$" "$kept/stderr" ||
    fail "a warning" "$(cat "$kept/stderr")"

# On to GGUF, which has no type for it as it is stored.
run quantize "$out@gguf:q8_0" -o "$folder/from-gptq.gguf"
expect_status 0
run eval "$folder/from-gptq.gguf" --limit 2 --suite stories --out "$folder/file"
expect_status 0
run quantize "$out" -o "$folder/none.gguf"
expect_error 2 "$out: GGUF has no type for GPTQ matrices as they are stored: say which they become"
run quantize millbrook-llama@rtn:4 -o "$folder/none.gguf"
expect_error 2 "none.gguf: GGUF has no type for \"rtn:4\": name a folder"
expect_equal "none.gguf" no "$([ -e "$folder/none.gguf" ] && echo yes || echo no)"

# What a GGUF file lacks of importances is said as it is elsewhere; of another model there are none.
head -c 3000 datasets/millbrook/calibration.txt >"$folder/text.txt"
run imatrix millbrook-gpt2 --data "$folder/text.txt" --context 64 --chunks 2 -o "$folder/gpt2.imatrix"
sed 's/blk\.0\.ffn_up/blk.9.ffn_up/g' "$folder/gpt2.imatrix" >"$folder/lacks.imatrix"
run quantize millbrook-gpt2@gguf:q4_0 --imatrix "$folder/lacks.imatrix" -o "$folder/lacks.gguf"
expect_status 0
grep -q '^note: millbrook-gpt2@gguf:q4_0: 1 matrices have no entry in the importance matrix' "$kept/stderr" ||
    fail "a note" "$(cat "$kept/stderr")"
sed 's/blk\./lkb./g' "$folder/gpt2.imatrix" >"$folder/foreign.imatrix"
run quantize millbrook-gpt2@gguf:q4_0 --imatrix "$folder/foreign.imatrix" -o "$folder/none.gguf"
expect_error 3 'foreign.imatrix: has importances for none of the matrices of .*: it was made for another model'
run generate millbrook-gpt2@gguf:q4_0 --imatrix "$folder/foreign.imatrix" --prompt The --max-tokens 1
expect_error 3 'foreign.imatrix: has importances for none of the matrices of '

# Nothing that is there is touched, and what was refused shows before the work.
sums=$(cd "$out" && cat $gptq_files | cksum)
run quantize millbrook-llama@rtn:4 -o "$out"
expect_error 2 "$out: is not empty \(it has [a-z_.]+\), and nothing is replaced there: name another folder"
expect_equal "sums of $out" "$sums" "$(cd "$out" && cat $gptq_files | cksum)"
run quantize "$file@gptq:4" -o "$folder/none"
expect_error 2 "a GPTQ folder is made from a Hugging Face folder"
run quantize millbrook-llama@gptq -o "$folder/none"
expect_error 2 'backend "gptq": is not written as a folder'
run quantize millbrook-llama@int8:absmax -o "$folder/none"
expect_error 2 "GGUF has no type for it"
run eval millbrook-llama@gptq
expect_error 2 "is no GPTQ checkpoint: bits must follow, as in gptq:4"
expect_equal "folder none" no "$([ -e "$folder/none" ] && echo yes || echo no)"
finish
