#!/usr/bin/env bash
# Lines and texts as token ids.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama

# WHAT IS PRINTED (lines joined by /) ; THE TEXT ; OPTIONS; -- stands for no line at all
while IFS=';' read -r expected text options; do
    printf '%b' "$text" >"$folder/text"
    run tokenize $L $options --file "$folder/text"
    expect_status 0
    expect_stderr_empty
    if [ "$expected" = -- ]; then : >"$folder/expected"; else tr / '\n' <<<"$expected" >"$folder/expected"; fi
    expect_stdout_golden "$folder/expected"
    cp "$kept/stdout" "$folder/from-file"
    run_with "$folder/text" tokenize $L $options --file -
    expect_status 0
    expect_stdout_golden "$folder/from-file"
done <<'CASES'
0 65;a;
0 65;a\n;
0 65/0 66;a\nb;
0 65/0 66;a\nb\n;
0 65/0/0 66;a\n\nb\n;
0;\n;
--;;
0;;--whole
65/66;a\nb;--no-bos
65//66;a\n\nb;--no-bos
;\n;--no-bos
;;--no-bos --whole
0 65 199 66;a\nb;--whole
0 65 199 66 199;a\nb\n;--whole
0 65 202 199 66 202 199;a\r\nb\r\n;--whole
65 202 199 66;a\r\nb;--whole --no-bos
0 65 202/0 66;a\r\nb;
0:<|endoftext|> 65:a;a;--pieces
65:a 202:č 199:Ċ;a\r\n;--pieces --whole --no-bos
0:<|endoftext|> 65:a/0:<|endoftext|>;a\n\n;--pieces
CASES

# A text as an operand is treated as a file that holds it, an empty one as one empty line.
for text in 'The sun was shining.' $'two\nlines' $'\n' ' '; do
    for option in --no-bos --pieces --whole; do
        printf %s "$text" >"$folder/text"
        run tokenize $L $option --file "$folder/text"
        cp "$kept/stdout" "$folder/from-file"
        run tokenize $L "$text" $option
        expect_status 0
        expect_stdout_golden "$folder/from-file"
    done
done
run tokenize $L ''
expect_stdout 0
run tokenize $L --no-bos ''
expect_stdout ''
run tokenize $L -- --pieces
expect_status 0
expect_stdout_match '^0 '

# A folder, its tokenizer.json and the GGUF that is made of it are the same tokenizer.
run quantize $L@gguf:q4_0 -o "$folder/model.gguf"
expect_status 0
head -n 200 datasets/millbrook/stories.test.txt >"$folder/text"
printf 'Fran\xc3\xa7ois \xe2\x82\xac \xff\xc3 <|endoftext|> \x00 0123456789   don'"'"'t\t\n' >>"$folder/text"
for options in '' --whole --pieces --no-bos; do
    run tokenize $L $options --file "$folder/text"
    expect_status 0
    cp "$kept/stdout" "$folder/expected"
    for model in datasets/millbrook/llama datasets/millbrook/llama/tokenizer.json "$folder/model.gguf"; do
        run tokenize $model $options --file "$folder/text"
        expect_status 0
        expect_stdout_golden "$folder/expected"
    done
done
expect_equal "lines" 201 "$(wc -l <"$folder/expected")"
cp datasets/millbrook/llama/tokenizer.json "$folder" # without the tokenizer_config.json beside it
run tokenize "$folder/tokenizer.json" --no-bos --file "$folder/text"
expect_status 0
expect_stdout_golden "$folder/expected"

# Vocabularies that others made: texts apart by a line, and the ids that each must give.
checked=0
for name in gpt-2 llama-spm falcon phi-3 bert-bge; do
    vocabulary=$shared/data/tokenizers/ggml-vocab-$name.gguf
    [ -e "$vocabulary" ] || continue
    awk -v folder="$folder" 'BEGIN { RS = "\n__ggml_vocab_test__\n" } { printf "%s", $0 > (folder "/text" NR) }' "$vocabulary.inp"
    number=0
    while IFS= read -r expected; do
        number=$((number + 1))
        run tokenize "$vocabulary" --whole --no-bos --file "$folder/text$number"
        expect_status 0
        expect_stdout "$(sed 's/^ *//; s/ *$//' <<<"$expected")"
        checked=$((checked + 1))
    done <"$vocabulary.out"
done
[ "$failures" -gt 0 ] || [ "$checked" -gt 0 ] || skip "all but the vocabularies passed: there are none at $shared/data/tokenizers"
finish

# a piece that is there again is told, and text becomes the last
cat >"$folder/twice.json" <<'JSON'
{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1], ["b", -2], ["a", -3]]}}
JSON
run tokenize "$folder/twice.json" ab
expect_status 0
expect_equal "a piece twice" "3 2" "$(cat "$kept/stdout")"
expect_equal "its warning" "warning: $folder/twice.json: tokens: \"a\" is there twice, as 1 and as 3: text becomes the last" \
    "$(cat "$kept/stderr")"
