#!/usr/bin/env bash
# Makes llamacpp.json: what llama.cpp v0.5.0 makes of files that kerf writes, which tests/suites/test_llamacpp.c
# holds kerf's fast math to. Its library comes prebuilt in a package of npm's registry. With a folder, files that
# llama.cpp quantizes itself instead, for KERF_LLAMACPP (tests/suites/test_vectors_perplexity.c). With the program of
# tests/models/test_llamacpp.c llamacpp-models.json, of the files of every architecture that it writes.
#
#     tests/goldens/make_llamacpp.sh build/kerf              in the tree's root; ten minutes
#     tests/goldens/make_llamacpp.sh build/kerf FOLDER
#     tests/goldens/make_llamacpp.sh build/tests/test_models_llamacpp      half a minute
#
# NODE_LLAMA_CPP: the folder of such packages (node_modules/@node-llama-cpp) where it is there already.
set -eu
kerf=$(realpath "$1")
folder=${2:-}
here=tests/goldens
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ "${NODE_LLAMA_CPP:-}" ] && mkdir -p "$work/node_modules" && ln -s "$NODE_LLAMA_CPP" "$work/node_modules/@node-llama-cpp"
[ "${NODE_LLAMA_CPP:-}" ] || npm install --silent --prefix "$work" --ignore-scripts @node-llama-cpp/linux-x64@3.22.1
library=$work/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64
cc -O2 $here/make_llamacpp.c -o "$work/windows" "$library"/{libllama.v0.5.0,libggml.v0.5.0,libggml-base}.so \
    -Wl,-rpath,"$library" -Wl,--allow-shlib-undefined -lm
cpu=$library/libggml-cpu-${CPU:-zen4}.so

if [ "${kerf##*/}" = test_models_llamacpp ]; then
    mkdir "$work/files"
    "$kerf" "$work/files" >"$work/names"
    {
        echo '{'
        echo ' "about": "log-likelihoods in nats of every fourth token of a text of 160 by llama.cpp v0.5.0, of the files of tests/models/llamacpp.json; made by make_llamacpp.sh",'
        echo ' "files": {'
        comma=
        while IFS=$'\t' read -r file name; do
            numbers=$("$work/windows" "$cpu" "$work/files/$file" "$work/files/ids")
            printf '%s  "%s": [%s]' "$comma" "$name" "$numbers"
            comma=$',\n'
        done <"$work/names"
        printf '\n }\n}\n'
    } >"$work/models.json"
    cp "$work/models.json" $here/llamacpp-models.json
    exit
fi

if [ "$folder" ]; then
    mkdir -p "$folder"
    for model in llama gpt2; do "$kerf" quantize millbrook-$model@f16 -o "$work/$model.gguf"; done
    # NAME:FTYPE:PURE
    for row in q8_0:7:1 q4_0:2:1 q5_1:9:1 q3_k:11:1 q4_k:14:1 q4_k_m:15:0 q5_k:16:1 q6_k:18:1 iq4_nl:25:1; do
        IFS=: read -r name ftype pure <<<"$row"
        "$work/windows" "$cpu" "$work/llama.gguf" "$folder/$name.gguf" "$ftype" "$pure"
    done
    "$work/windows" "$cpu" "$work/gpt2.gguf" "$folder/gpt2-q8_0.gguf" 7 1
    "$work/windows" "$cpu" "$work/gpt2.gguf" "$folder/gpt2-q4_k.gguf" 14 1
    exit
fi

windows=32
types='f32 f16 bf16 gguf:q8_0 gguf:q4_0 gguf:q4_1 gguf:q5_0 gguf:q5_1 gguf:q2_k,pure gguf:q3_k gguf:q4_k gguf:q5_k gguf:q6_k
    gguf:iq4_nl gguf:iq4_xs gguf:tq1_0 gguf:tq2_0 gguf:q4_k_m'
of_gpt2='gguf:q8_0 gguf:q4_k'

line() { # MODEL BACKEND
    "$kerf" quantize "millbrook-$1@$2" -o "$work/model.gguf" 2>/dev/null
    "$kerf" tokenize "millbrook-$1" --whole --file datasets/millbrook/stories.test.txt >"$work/ids"
    printf '%s  "%s %s": [%s]' "$comma" "$1" "$2" \
        "$("$work/windows" "$cpu" "$work/model.gguf" "$work/ids" $windows)"
    comma=$',\n'
}

{
    echo '{'
    echo ' "about": "log-likelihoods in nats of the first windows of stories.test.txt (chunked protocol, n_ctx 512) by llama.cpp v0.5.0, of files that kerf quantize wrote; made by make_llamacpp.sh",'
    echo ' "files": {'
    comma=
    for type in $types; do line llama "$type"; done
    for type in $of_gpt2; do line gpt2 "$type"; done
    printf '\n }\n}\n'
} >"$work/llamacpp.json"
cp "$work/llamacpp.json" $here/llamacpp.json
