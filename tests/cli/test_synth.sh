#!/usr/bin/env bash
# Synthetic models: the same bytes for the same settings, files and folders that are one model, what other commands make
# of them, and what is refused.
source "$(dirname "$0")/lib.sh"
small='--layers 3 --width 256 --ffn 512 --heads 8 --kv-heads 2 --vocab 1000 --context 128'
head -c 3000 datasets/millbrook/stories.test.txt >"$folder/text.txt"

value() { # METADATA KEY
    sed -n "s/^  $1  *//p" "$kept/stdout"
}

# The data of a file's tensors, whose sizes are multiples of what they are aligned to.
expect_same_weights() { # EXPECTED GOT
    run inspect "$1"
    local bytes
    bytes=$(awk '$NF == "bytes" && /\.weight/ { n += $(NF - 1) } END { print n }' "$kept/stdout")
    expect_equal "a sum of sizes" true "$([ "$bytes" -gt 100000 ] && echo true)"
    cmp -s <(tail -c "$bytes" "$1") <(tail -c "$bytes" "$2") || fail "$2 with the weights of $1" "others"
}

# A file: the same bytes again and with other threads, others with another seed.
run synth -o "$folder/a.gguf" $small
expect_status 0
expect_stdout_golden /dev/null
expect_stderr_line "^wrote $folder/a.gguf: 1\.929 million parameters, 3\.7 MiB of weights, [0-9.]+ s$"
run synth -o "$folder/b.gguf" $small --threads 1
run synth -o "$folder/c.gguf" $small --threads 3 --seed 1 --type f16
expect_status 0
expect_same_file "$folder/a.gguf" "$folder/b.gguf"
expect_same_file "$folder/a.gguf" "$folder/c.gguf"
run synth -o "$folder/c.gguf" $small --seed 2
expect_status 0
cmp -s "$folder/a.gguf" "$folder/c.gguf" && fail "another file by another seed" "the same"

run inspect "$folder/a.gguf"
expect_status 0
expect_equal layers 3 "$(value llama.block_count)"
expect_equal width 256 "$(value llama.embedding_length)"
expect_equal ffn 512 "$(value llama.feed_forward_length)"
expect_equal heads 8 "$(value llama.attention.head_count)"
expect_equal kv-heads 2 "$(value llama.attention.head_count_kv)"
expect_equal context 128 "$(value llama.context_length)"
expect_equal vocab 1000 "$(value llama.vocab_size)"
expect_equal "end of text" 999 "$(value tokenizer.ggml.eos_token_id)"
expect_equal file_type 1 "$(value general.file_type)"
expect_stdout_match '^  token_embd\.weight +F16 +1000 x 256 '
expect_stdout_match '^  blk\.2\.attn_k\.weight +F16 +64 x 256 '
expect_stdout_match '^  blk\.0\.ffn_norm\.weight +F32 '
grep -q ' output\.weight' "$kept/stdout" && fail "no output matrix" "one"

# A folder: deterministic too, and the same model, which is so for its GGUF form's weights in their order.
run synth -o "$folder/a" $small --threads 2
expect_status 0
expect_files "$folder/a" config.json model.safetensors tokenizer.json tokenizer_config.json
for file in config tokenizer tokenizer_config; do expect_json "$folder/a/$file.json"; done
mkdir "$folder/b"
run synth -o "$folder/b" $small --threads 1
expect_status 0
for file in "$folder"/a/*; do expect_same_file "$file" "$folder/b/${file##*/}"; done
run quantize "$folder/a" -o "$folder/from-a.gguf"
expect_status 0
expect_same_weights "$folder/a.gguf" "$folder/from-a.gguf"

# Other types are what kerf quantize makes of the float32 weights, the mixtures by place included.
run synth -o "$folder/f32.gguf" $small --type f32 --untied
expect_status 0
for type in bf16 gguf:q8_0 gguf:q4_0 gguf:q3_k_m 'gguf:q6_k,tensor=blk.1.ffn_*:q4_k'; do
    run synth -o "$folder/typed.gguf" $small --type "$type" --untied
    expect_status 0
    run quantize "$folder/f32.gguf@$type" -o "$folder/quantized.gguf"
    expect_status 0
    expect_same_weights "$folder/typed.gguf" "$folder/quantized.gguf"
done
run inspect "$folder/typed.gguf"
expect_stdout_match '^  output\.weight +Q6_K +1000 x 256 '
expect_stdout_match '^  blk\.1\.ffn_down\.weight +Q4_K '
expect_equal quantization_version 2 "$(value general.quantization_version)"
run synth -o "$folder/typed.gguf" --layers 1 --width 96 --ffn 100 --heads 4 --vocab 300 --type gguf:q4_0
expect_status 0
expect_equal "notes" 1 "$(grep -c '^note: 1 matrices have columns that do not divide' "$kept/stderr")"

# Scores: a file and its folder agree to the last digit, and predictions are neither even nor certain. With logits of
# deviation 2 perplexity is about the vocabulary's size times exp(2).
run perplexity "$folder/a.gguf" "$folder/a" --file "$folder/text.txt"
expect_status 0
expect_stdout_match "^$folder/a .* 0\.00000 +\[0\.00000, 0\.00000\]$"
perplexity=$(awk -v name="$folder/a.gguf" '$1 == name { print $2; exit }' "$kept/stdout")
expect_equal "perplexity $perplexity is from 2000 to 30000" 1 "$(awk "BEGIN { print ($perplexity > 2000 && $perplexity < 30000) }")"
run generate "$folder/a.gguf" --prompt 'The fog' --max-tokens 12
expect_status 0
cp "$kept/stdout" "$folder/text"
run generate "$folder/a" --prompt 'The fog' --max-tokens 12
expect_stdout_golden "$folder/text"

# The vocabulary: 256 bytes, short pieces before long ones, BOS first; what is encoded comes back.
run tokenize "$folder/a.gguf" --pieces 'ab the zz'
expect_status 0
expect_stdout '999:<|endoftext|> 257:ab 951:Ġt 442:he 220:Ġ 931:zz'
cp "$kept/stdout" "$folder/pieces"
run tokenize "$folder/a" --pieces 'ab the zz'
expect_stdout_golden "$folder/pieces"
run synth -o "$folder/bytes.gguf" --layers 1 --width 2 --ffn 1 --heads 1 --vocab 257 --context 8
expect_status 0
run tokenize "$folder/bytes.gguf" --pieces 'ab'
expect_stdout '256:<|endoftext|> 64:a 65:b'
run synth -o "$folder/letters.gguf" --layers 1 --width 2 --ffn 1 --heads 1 --vocab 60000 --context 8
run tokenize "$folder/letters.gguf" --pieces 'aaab aab'
expect_status 0
expect_stdout '59999:<|endoftext|> 256:aa 257:ab 220:Ġ 959:aab'

# STATUS | WORDS | ARGUMENTS
while IFS='|' read -r expected words arguments; do
    eval "run synth $arguments"
    expect_error "$expected" "$words"
done <<'CASES'
2|-o FILE.gguf or -o FOLDER is missing|
2|synth takes no operands, but got "x"|x -o $folder/none.gguf
2|--layer: unknown option, did you mean "--layers"\?|-o $folder/none.gguf --layer 3
2|width 770 does not divide into 12 heads of an even size up to 1024|-o $folder/none.gguf --width 770
2|width 36 does not divide into 12 heads of an even size|-o $folder/none.gguf --width 36
2|width 2048 does not divide into 1 heads of an even size up to 1024|-o $folder/none.gguf --width 2048 --heads 1
2|12 heads do not divide into 5 kv-heads|-o $folder/none.gguf --kv-heads 5
2|vocab 256: must be from 257 to 1048576|-o $folder/none.gguf --vocab 256
2|vocab 1048577: must be from 257 to 1048576|-o $folder/none.gguf --vocab 1048577
2|layers 9223372036854775807: must be from 1 to |-o $folder/none.gguf --layers 9223372036854775807
2|--seed: "-1" must be a whole number|-o $folder/none.gguf --seed -1
2|backend "int8:absmax": GGUF has no type for it|-o $folder/none.gguf --type int8:absmax
2|backend "gptq:4": GGUF has no type for it|-o $folder/none --type gptq:4
2|q9: no such variant|-o $folder/none.gguf --type gguf:q9
2|foo: fits no matrix of this model|-o $folder/none.gguf --type gguf:q4_0,tensor=foo:f16
2|backend "gguf:q4_0": a folder holds f32, f16 or bf16: name a file that ends in .gguf|-o $folder/none --type gguf:q4_0
2|/a: is not empty \(it has [a-z_.]+\), and nothing is replaced there|-o $folder/a
2|text.txt: is a file: name a folder, or a file that ends in .gguf|-o $folder/text.txt
2|an empty name is no folder|-o ''
4|absent/none.gguf: create: No such file or directory|-o $folder/absent/none.gguf
4|text.txt/none: make folder: Not a directory|-o $folder/text.txt/none
CASES
expect_equal "what refusals left" '' "$(find "$folder" -name 'none*' -o -name absent -o -name '*.tmp*')"

# A disk that is full, and an end in the middle: nothing is left, and what was there stays.
for out in c.gguf made/here; do
    sum=$(cksum "$folder/c.gguf")
    (
        failures=0
        ulimit -f 1000
        run synth -o "$folder/$out" $small
        expect_error 4 "write: File too large"
        [ "$failures" -eq 0 ]
    ) || failures=$((failures + 1))
    expect_equal "sum of c.gguf" "$sum" "$(cksum "$folder/c.gguf")"
done
expect_equal "folder made" no "$([ -e "$folder/made" ] && echo yes || echo no)"
# At the first write that fails nothing more is made: of 237 GB that would be an hour or more of it.
for out in long.gguf made; do
    (
        failures=0
        ulimit -f 1000
        run synth -o "$folder/$out" --layers 16000 --width 1024 --ffn 1024 --heads 16 --vocab 1000000
        expect_error 4 "write: File too large"
        [ "$failures" -eq 0 ]
    ) || failures=$((failures + 1))
done
expect_equal "folder made" no "$([ -e "$folder/made" ] && echo yes || echo no)"
# Nor after an interruption, however large the tensor is that is being made.
command_line="timeout -s INT 0.5 kerf synth --vocab 1000000"
timeout -s KILL 20 timeout --preserve-status -s INT 0.5 "$kerf" synth -o "$folder/made.gguf" --layers 1 --width 4096 --heads 16 \
    --vocab 1000000 >"$kept/stdout" 2>"$kept/stderr"
status=$?
expect_error 130 interrupted
for delay in 0.05 0.2 0.4; do
    command_line="timeout -s INT $delay kerf synth"
    timeout --preserve-status -s INT $delay "$kerf" synth -o "$folder/made" --layers 10 --vocab 257 >"$kept/stdout" 2>"$kept/stderr"
    status=$?
    if [ "$status" -ne 0 ]; then
        expect_error 130 interrupted
        expect_equal "folder made" no "$([ -e "$folder/made" ] && echo yes || echo no)"
    fi
    rm -rf "$folder/made"
done
expect_equal "temporary files" '' "$(find "$folder" -name '*.tmp*')"
finish
