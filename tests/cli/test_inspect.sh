#!/usr/bin/env bash
# What inspect says of a model and takes out of it.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama
run quantize $L@f16 -o "$folder/f16.gguf"
run quantize $L@gguf:q8_0 -o "$folder/q8_0.gguf"
expect_status 0

run inspect $L
expect_status 0
expect_stderr_empty
expect_no_controls
expect_stdout_match 'llama: Hugging Face folder$'
expect_stdout_match '^  num_hidden_layers +6$'
expect_stdout_match '^56 tensors$'
expect_stdout_match '^  model.embed_tokens.weight +F16 +1280 x 256 +655360 bytes$'
run inspect "$folder/q8_0.gguf"
expect_status 0
expect_stdout_match 'q8_0.gguf: GGUF version 3, [0-9]+ bytes$'
expect_stdout_match '^  llama.block_count +6$'
expect_stdout_match '^  tokenizer.ggml.tokens +.*\(1280 in all\)$'
expect_stdout_match '^  blk.0.attn_q.weight +Q8_0 +256 x 256 +69632 bytes$'
expect_stdout_match '^  Q8_0 +[0-9]+ elements +[0-9]+ bytes$'
expect_stdout_match '^  all +[0-9]+ elements +[0-9]+ bytes, [0-9.]+ bits an element$'

# Tensors listed, their number and the sum agree.
expect_equal "tensors" "$(sed -n 's/^\([0-9]*\) tensors$/\1/p' "$kept/stdout")" "$(grep -c ' bytes$' <(sed -n '/ tensors$/,/^$/p' "$kept/stdout"))"
expect_equal "bytes" "$(sed -n 's/^  all .* \([0-9]*\) bytes,.*/\1/p' "$kept/stdout")" \
    "$(sed -n '/ tensors$/,/^$/s/.* \([0-9]*\) bytes$/\1/p' "$kept/stdout" | awk '{ n += $1 } END { print n }')"

for model in $L millbrook-gpt2 "$folder/f16.gguf" "$folder/q8_0.gguf"; do
    run inspect "$model" --json
    expect_status 0
    expect_stderr_empty
    expect_json "$kept/stdout"
    for key in path format metadata tensors; do expect_stdout_match "^ \"$key\": "; done
done

# Values that JSON has no word for are null, and none is left out.
f32() { u32 "$1"; }
{
    gguf_header 0 3
    gguf_string nan && u32 6 && f32 0x7fc00000
    gguf_string inf && u32 6 && f32 0xff800000
    gguf_string list && u32 9 && u32 6 && u64 4 && f32 0x3f800000 && f32 0x7fc00000 && f32 0x7f800000 && f32 0x40000000
} >"$folder/values.gguf"
run inspect "$folder/values.gguf" --json
expect_status 0
expect_json "$kept/stdout"
expect_equal metadata '"metadata": { "nan": null, "inf": null, "list": [ 1.0, null, null, 2.0 ] }' \
    "$(tr -s ' \n' '  ' <"$kept/stdout" | grep -o '"metadata": {[^}]*}')"
run inspect "$folder/values.gguf"
expect_status 0
expect_stdout_match '^  list .*\[1.0,null,null,2.0\]$'

# A tensor as float32: its length, and values against the file's own bytes.
dump() { # MODEL TENSOR
    rm -f "$folder/dump"
    run inspect "$1" --tensor "$2" --dump "$folder/dump"
    expect_status 0
    expect_stderr_line "^wrote $folder/dump: [0-9]+ values, [0-9]+ bytes$"
    expect_stdout_golden /dev/null
}
dump $L model.embed_tokens.weight
expect_equal "bytes of 1280 x 256 float32" $((1280 * 256 * 4)) "$(stat -c %s "$folder/dump")"
cp "$folder/dump" "$folder/folder-embedding"
dump "$folder/f16.gguf" token_embd.weight
expect_same_file "$folder/folder-embedding" "$folder/dump"

# Q8_0: a block is a half-precision scale and 32 signed bytes; every value is scale * byte.
dump "$folder/q8_0.gguf" token_embd.weight
expect_equal "largest error of 8 bits against 16, in 1/127 of the largest value" 1 "$(paste \
    <(od -An -v -w4 -tf4 "$folder/folder-embedding") <(od -An -v -w4 -tf4 "$folder/dump") | awk '
    { if ($1 > top) top = $1; if (-$1 > top) top = -$1
      d = $1 - $2; if (d < 0) d = -d; if (d > most) most = d; if (d > 0) any = 1 }
    END { print any && most * 127 <= top }')"

# A small file by hand: F32 and F16, where every value is known.
{
    gguf_header 2 0
    gguf_string whole && u32 2 && u64 3 && u64 1 && u32 0 && u64 0
    gguf_string half && u32 1 && u64 4 && u32 1 && u64 32
} >"$folder/small.gguf"
head -c $(((32 - $(stat -c %s "$folder/small.gguf") % 32) % 32)) /dev/zero >>"$folder/small.gguf"
{
    f32 0x3f800000 && f32 0xc0200000 && f32 0x7f800000 && head -c 20 /dev/zero
    printf '\x00\x3c\x00\xc0\x01\x00\x00\x7c'
} >>"$folder/small.gguf"
dump "$folder/small.gguf" whole
expect_equal "1, -2.5, infinity" ' 3f800000 c0200000 7f800000' "$(od -An -v -tx4 "$folder/dump")"
dump "$folder/small.gguf" half
expect_equal "1, -2, 2^-24, infinity" ' 3f800000 c0000000 33800000 7f800000' "$(od -An -v -tx4 "$folder/dump")"

# An existing file is replaced; a pipe or device is not, also behind a link.
printf old >"$folder/old"
run inspect "$folder/small.gguf" --tensor half --dump "$folder/old"
expect_same_file "$folder/dump" "$folder/old"
mkfifo "$folder/pipe"
ln -s pipe "$folder/link"
for path in "$folder/pipe" "$folder/link"; do
    timeout 10 cat "$folder/pipe" >"$folder/through" &
    reader=$!
    run inspect "$folder/small.gguf" --tensor half --dump "$path"
    [ -p "$path" ] || fail "a pipe to stay one" "$(ls -l "$path")"
    kill "$reader" 2>"$kept/unused"
    wait "$reader"
done

# A model that is cut off while it is read is an error of input and output, not the end by a signal. The output waits at
# the pipe until it was cut.
cp "$folder/f16.gguf" "$folder/cut.gguf"
command_line="kerf inspect cut.gguf --tensor token_embd.weight --dump pipe, cut.gguf cut off"
"$kerf" inspect "$folder/cut.gguf" --tensor token_embd.weight --dump "$folder/pipe" >"$kept/stdout" 2>"$kept/stderr" &
reading=$!
until grep -q cut.gguf /proc/$reading/maps 2>"$kept/unused" || ! kill -0 $reading 2>"$kept/unused"; do sleep 0.05; done
: >"$folder/cut.gguf"
timeout 60 cat "$folder/pipe" >"$folder/through" &
reader=$!
wait $reading
status=$?
kill $reader 2>"$kept/unused"
wait $reader
expect_error 4 'a file got shorter while it was read, or its disk failed: run it again when nothing writes to it$'
finish
