#!/usr/bin/env bash
# Model files that were cut short or garbled, in both formats: status 3, one line that names the file and the place, and
# nothing written.
source "$(dirname "$0")/lib.sh"

run quantize millbrook-llama@gguf:q8_0 -o "$folder/whole.gguf"
expect_status 0
whole=$folder/whole.gguf
size=$(stat -c %s "$whole")
broken=$folder/broken.gguf

# Commands that open a model, each of which must refuse it alike.
expect_refused() { # MODEL, WORDS
    local words=$2
    run eval "$1" --limit 1 --suite endings --out "$folder/out"
    expect_error 3 "$words"
    run quantize "$1@f16" -o "$folder/out.gguf"
    expect_error 3 "$words"
    run generate "$1" --prompt x
    expect_error 3 "$words"
    [ ! -e "$folder/out.gguf" ] || fail "no $folder/out.gguf" "one"
    [ ! -e "$folder/out/run.json" ] || fail "no $folder/out/run.json" "one"
}

# GGUF: cut at the header, in the metadata, in the tensor infos and in the data.
for cut in 0 3 4 7 8 15 16 23 24 100 3000 $((size / 2)) $((size - 1)); do
    head -c "$cut" "$whole" >"$broken"
    run inspect "$broken"
    expect_error 3 "broken.gguf: .*offset 0x"
done
expect_refused "$broken" 'broken.gguf: offset 0x[0-9a-f]+: tensor ".*": offset: .* exceed the data'

# GGUF: fields of the header; OFFSET | BYTES | WORDS
while IFS='|' read -r offset bytes words; do
    cp "$whole" "$broken"
    poke "$broken" "$offset" "$bytes"
    run inspect "$broken"
    expect_error 3 "broken.gguf: offset 0x[0-9a-f]+: $words"
done <<'CASES'
0|XGUF|magic
4|\x01|version: 1 is not supported
4|\x09|version: 9 is not supported
4|\x00\x00\x00\x03|version: .*big-endian
8|\xff\xff\xff\xff\xff\xff\xff\xff|tensor_count: 18446744073709551615 does not fit
16|\xff\xff\xff\xff\xff\xff\xff\x7f|metadata_count: 9223372036854775807 does not fit
24|\xff\xff\xff\xff\xff\xff\xff\xff|metadata 0: key: 18446744073709551615 does not fit
24|\x00|metadata 0: key: is empty
32|\x00|metadata 0: key: has a NUL
CASES
cp "$whole" "$broken"
poke "$broken" 200 "$(printf '\\xa5%.0s' {1..64})"
expect_refused "$broken" 'broken.gguf: '

# GGUF: settings that leave no room for what a suite does. Right after the key stand its type, u32, and the value.
cp "$whole" "$broken"
at=$(grep -abo llama.context_length "$whole" | cut -d: -f1)
for context in 1 2; do
    poke "$broken" $((at + 20 + 4)) "\\x0$context\\x00\\x00\\x00"
    run eval "$broken" --suite stories_chunked
    expect_error 3 'context'
    run eval "$broken" --suite questions --limit 1
    expect_error 3 "context of $context"
    run generate "$broken" --prompt x --max-tokens 5
    expect_error 3 "context of $context"
done

# A whole GGUF that is no model.
{ gguf_header 0 1 && gguf_text_value general.architecture mamba; } >"$broken"
run inspect "$broken"
expect_status 0
expect_refused "$broken" 'broken.gguf: general.architecture: architecture "mamba" is not one that this version knows \(llama, gpt2, qwen2, '
gguf_header 0 0 >"$broken"
expect_refused "$broken" 'broken.gguf: general.architecture'

# A Hugging Face folder: each of its files cut short, garbled and absent.
hf=$folder/hf
fresh() { rm -rf "$hf" && cp -r datasets/millbrook/llama "$hf"; }
for file in config.json tokenizer.json tokenizer_config.json; do
    fresh
    head -c $(($(stat -c %s "$hf/$file") / 2)) "datasets/millbrook/llama/$file" >"$hf/$file"
    run generate "$hf" --prompt x
    expect_error 3 "hf/$file: line [0-9]+, column [0-9]+: "
    printf '\x00\xff' >"$hf/$file"
    run generate "$hf" --prompt x
    expect_error 3 "hf/$file: "
done
weights=$(stat -c %s datasets/millbrook/llama/model.safetensors)
for cut in 0 7 8 9 500 $((weights / 2)) $((weights - 1)); do
    fresh
    head -c "$cut" datasets/millbrook/llama/model.safetensors >"$hf/model.safetensors"
    run inspect "$hf"
    expect_error 3 "hf/model.safetensors: "
done
expect_refused "$hf" 'hf/model.safetensors: .*exceeds the data'
while IFS='|' read -r offset bytes words; do
    fresh
    poke "$hf/model.safetensors" "$offset" "$bytes"
    run inspect "$hf"
    expect_error 3 "hf/model.safetensors: $words"
done <<'CASES'
0|\xff\xff\xff\xff\xff\xff\xff\xff|offset 0x0: header length: 18446744073709551615 is more than
0|\x00\x00\x00\x00\x00\x00\x00\x00|offset 0x8: header: must be a JSON object
8|[|offset 0x8: header: must be a JSON object
9|\x00|offset 0x8: header: line 1, column 2: 0x00 stands where a name in quotation marks is due
CASES
for file in config.json:4 model.safetensors:4 tokenizer.json:3; do
    fresh
    rm "$hf/${file%:*}"
    run generate "$hf" --prompt x
    expect_error "${file#*:}" "hf.*${file%:*}"
done

# Settings that disagree with the tensors; FIELD | VALUE | WORDS
while IFS='|' read -r field value words; do
    fresh
    sed -i "s/\"$field\": [^,]*/\"$field\": $value/" "$hf/config.json"
    run eval "$hf" --limit 1 --suite endings
    expect_error 3 "hf.*$words"
done <<'CASES'
num_hidden_layers|7|model.layers.6.* is missing
num_hidden_layers|5|model.layers.5.* is not part of
num_hidden_layers|1e300|whole number
num_hidden_layers|"six"|num_hidden_layers: must be a finite number
hidden_size|128|shape .* must be
num_attention_heads|0|whole number from 1
num_attention_heads|3|do(es)? not divide
num_key_value_heads|3|do(es)? not divide
intermediate_size|-1|whole number
max_position_embeddings|0|whole number
rms_norm_eps|-1|positive
rope_theta|0|positive
hidden_act|"gelu"|hidden_act.*only .*silu
model_type|"bert"|architecture "bert" is not one
CASES

# Tensors of another shape, as many bytes: no command takes them.
for shape in 16,4096 4096,16 8,8192; do
    fresh
    sed -i "s/\(\"model.layers.0.self_attn.q_proj.weight\":{[^}]*\"shape\":\[\)256,256\]/\1$shape]/" "$hf/model.safetensors"
    poke "$hf/model.safetensors" 0 "$(u64 $(($(od -An -N8 -tu8 "$hf/model.safetensors") + ${#shape} - 7)) | od -An -v -tx1 | sed 's/ /\\x/g')"
    run inspect "$hf"
    expect_status 0
    expect_stdout_match "q_proj.weight +F16 +${shape%,*} x ${shape#*,} "
    expect_refused "$hf" "q_proj.weight: shape \[${shape%,*}, ${shape#*,}\] must be \[256, 256\]"
done
[ -z "$(find "$folder" -name '*.tmp*')" ] || fail "no temporary file" "$(find "$folder" -name '*.tmp*')"
finish
