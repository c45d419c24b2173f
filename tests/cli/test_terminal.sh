#!/usr/bin/env bash
# What a terminal would act on never reaches it from a file's contents or from its name.
source "$(dirname "$0")/lib.sh"
evil='\x1b]0;owned\x07\x1b[31mred\r\xc2\x9b31m\xe2\x80\xae\x7f'
name=$(printf '%b' "$evil")

# Metadata's keys and values, tensor names.
file=$folder/$name.gguf
tensor() { # NAME: of two float32
    gguf_string "$1" && u32 1 && u64 2 && u32 0 && u64 0
}
{
    gguf_header 1 3
    gguf_text_value general.architecture "$evil"
    gguf_text_value "key$evil" "value$evil"
    gguf_string list && u32 9 && u32 8 && u64 2 && gguf_string "one$evil" && gguf_string "$evil"
    tensor "tensor$evil"
} >"$file"
padding=$(((32 - $(stat -c %s "$file") % 32) % 32))
head -c $((padding + 8)) /dev/zero >>"$file"

run inspect "$file"
expect_status 0
expect_stderr_empty
expect_no_controls
expect_stdout_match 'key\\x1B\]0;owned\\x07\\x1B\[31mred\\x0D\\u\{009B\}31m'
expect_stdout_match 'tensor\\x1B'
run inspect "$file" --json
expect_status 0
expect_no_controls
expect_json "$kept/stdout"
run eval "$file" --limit 1
expect_error 3 'architecture "\\x1B\]0;owned'
expect_no_controls
run inspect "$file" --tensor none --dump "$folder/x"
expect_status 2
expect_no_controls
run inspect "$file" --tensor "tensor$name" --dump "$folder/x"
expect_status 0
expect_equal "bytes of a tensor of two numbers" 8 "$(stat -c %s "$folder/x")"
{ gguf_header 0 1 && gguf_string "key$evil" && u32 99; } >"$folder/bad.gguf"
run inspect "$folder/bad.gguf"
expect_error 3 'metadata "key\\x1B.*": type: 99 is no value type'
expect_no_controls

# Names on the command line.
newline=$'two\nlines'
for argument in "$name" "$newline"; do
    for arguments in "inspect x" "eval x" "eval millbrook-llama@x" "eval millbrook-llama --suite x" \
        "eval millbrook-llama --suite x.yaml" "eval millbrook-llama --x" "eval millbrook-llama --limit x" "x" \
        "tokenize millbrook-llama --file x" "quantize millbrook-llama@f16 -o /proc/x" "suites x" \
        "inspect millbrook-llama --tensor x --dump y" "eval millbrook-llama --out /proc/x --suite reviews --limit 1"; do
        words=()
        for word in $arguments; do words+=("${word/%x/$argument}"); done
        [[ $arguments == *x.yaml ]] && words[-1]="./$argument.yaml"
        run "${words[@]}"
        expect_stderr_line '^error: '
        expect_no_controls
    done
done

# A subject's name in the table; a suite's words; keys and values of a suite file.
cp -r datasets/millbrook/llama "$folder/model$name"
run eval "$folder/model$name" --suite reviews --limit 1 --out "$folder/out"
expect_status 0
expect_no_controls
run compare "$folder/model$name" @int8:absmax --suite reviews --limit 1 --out "$folder/out"
expect_status 0
expect_no_controls
mine=$folder/mine.yaml
cp datasets/millbrook/reviews.test.tsv "$folder"
sed 's|millbrook/||; s/^about: .*/about: "evil \\e[31m \\x9b \\u202e \\t \\r"/' suites/reviews.yaml >"$mine"
run suites "$mine"
expect_no_controls
run eval millbrook-llama --suite "$mine" --limit 1
expect_no_controls
for key in '"ke\ey": 1' 'dataset_format: "s\est"' 'doc_to_text: "{{\e[31m}}"' 'dataset_path: "\e[31m.txt"'; do
    { sed "/^${key%%:*}:/d" suites/reviews.yaml && printf '%s\n' "$key"; } >"$mine"
    run suites "$mine"
    expect_error 3 'mine.yaml: '
    expect_no_controls
done

# Pieces of a vocabulary.
run tokenize millbrook-llama --pieces --whole --file "$file"
expect_status 0
expect_no_controls
finish
