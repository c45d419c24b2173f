#!/usr/bin/env bash
# Perplexity of a text and divergence of candidates: the table, the JSON, what is refused.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama
head -c 3000 datasets/millbrook/stories.test.txt >"$folder/text.txt"
text=$folder/text.txt

# A value of the JSON by its place among those of the same key.
value() { # KEY NUMBER
    sed -n "s/^ *\"$1\": \([^,]*\),*\$/\1/p" "$kept/stdout" | sed -n "$2p"
}

run perplexity $L --file "$text"
expect_status 0
expect_stderr_empty
expect_no_controls
expect_stdout_match 'text.txt: 7 documents, [0-9]+ tokens scored \(rolling, windows of 512\)$'
expect_stdout_match "^$L +[0-9]\.[0-9]{4}  \[[0-9]\.[0-9]{4}, [0-9]\.[0-9]{4}\]\$"
expect_stdout_match '^ +word ppl +byte ppl +bits/byte'
expect_equal "lines about a baseline" 0 "$(grep -cE 'KL|ln ratio' "$kept/stdout")"

run perplexity $L@f32 @gguf:q8_0 @int8:absmax --file "$text"
expect_status 0
expect_stderr_empty
expect_no_controls
expect_stdout_match '^ +perplexity +95% interval +ln ratio +95% interval$'
expect_stdout_match '^@gguf:q8_0 +[0-9]\.[0-9]{4}  \[.*\] +[-+][0-9.e-]+ ?.?.?.? +\[[-+].*, [-+].*\]$'
expect_stdout_match '^ +KL median +90% +95% +99% +99.9% +maximum$'
expect_equal "rows of the candidate" 7 "$(grep -c '^@int8:absmax ' "$kept/stdout")"
expect_equal "rows of the baseline" 3 "$(grep -c "^$L@f32 " "$kept/stdout")"
expect_stdout_match '^noise floor: mean KL 0 exactly, maximum 0, same top 100.00%'
expect_stdout_match '^@int8:absmax: the tokens with the largest KL$'
expect_equal "worst tokens" 20 "$(grep -c '^KL 0' "$kept/stdout")"

# A narrow terminal gets the same numbers in more blocks.
sed 's/  */\n/g' "$kept/stdout" | grep -E '^[-+]?[0-9.]+$' | sort >"$folder/wide"
seconds=$(grep -A4 'seconds$' "$kept/stdout" | awk 'NF > 2 { print $NF }')
COLUMNS=40 run perplexity $L@f32 @gguf:q8_0 @int8:absmax --file "$text"
expect_status 0
sed 's/  */\n/g' "$kept/stdout" | grep -E '^[-+]?[0-9.]+$' | sort >"$folder/narrow"
for number in $(grep -vxF "$seconds" "$folder/wide" | grep -E '\.[0-9]{4,}' | head -n 40); do
    grep -qxF -- "$number" "$folder/narrow" || fail "$number in the narrow table" "$(head -n 20 "$kept/stdout")"
done

# The JSON: the same bits for any batch and number of threads; a subject beside itself is exactly where it was.
run perplexity $L@f32 @f32 @gguf:q4_0 --file "$text" --json --threads 1 --batch 1
expect_status 0
expect_stderr_empty
expect_json "$kept/stdout"
for pattern in '"schema": "kerf-perplexity-1"' '"fingerprint": "[0-9a-f]{64}"' '"protocol": "rolling"' '"items": 7' \
    '"tokens": [0-9]+' '"name": "millbrook-llama@gguf:q4_0"' '"tokenizer_sha256": "[0-9a-f]{64}"' '"peak_bytes": [0-9]+' \
    '"bits_per_weight": 4\.5' '"0.999": 0' '"resamples": 10000' '"log_ratio": null' '"kl_largest": 0.0' '"change_quantiles": \{' '"worst": \['; do
    expect_stdout_match "$pattern"
done
expect_equal "subjects" 3 "$(grep -c '"weight_bytes"' "$kept/stdout")"
expect_equal "the largest divergence from itself" 0.0 "$(value 1 1)"
expect_equal "divergences" 2 "$(grep -c '"name": "kl_divergence"' "$kept/stdout")"
expect_equal "divergence from itself" 0.0 "$(grep -A1 '"kl_divergence"' "$kept/stdout" | sed -n 's/.*"value": \(.*\),/\1/p' | head -n 1)"
expect_equal "same top as itself" 1.0 "$(grep -A1 '"same_top"' "$kept/stdout" | sed -n 's/.*"value": \(.*\),/\1/p' | head -n 1)"
steady() { grep -vE '"(seconds|peak_bytes|threads)"' "$kept/stdout"; }
steady >"$folder/expected"
for options in '--threads 2' '--threads 3 --batch 100'; do
    run perplexity $L@f32 @f32 @gguf:q4_0 --file "$text" --json $options
    expect_status 0
    expect_equal "the same JSON" "$(cat "$folder/expected")" "$(steady)"
done
run perplexity $L@f32 @f32 @gguf:q4_0 --file "$text" --json --seed 5
expect_equal "values with another seed" "$(grep '"value"' "$folder/expected")" "$(grep '"value"' "$kept/stdout")"
[ "$(grep -A2 ci95 "$folder/expected")" != "$(grep -A2 ci95 "$kept/stdout")" ] || fail "other intervals" "the same"

# The suite's number and fingerprint.
sed "s|^dataset_path:.*|dataset_path: $text|" suites/stories.yaml >"$folder/mine.yaml"
run eval $L@f32 --suite "$folder/mine.yaml" --out "$folder/run"
expect_status 0
perplexity() { grep -A1 '"name": "perplexity"' "$1" | sed -n 's/.*"value": \(.*\),/\1/p' | head -n 1; }
expect_equal "perplexity of eval" "$(perplexity "$folder/expected")" "$(perplexity "$folder/run/run.json")"
expect_equal "fingerprint of eval" "$(sed -n 's/.*"fingerprint": "\(.*\)".*/\1/p' "$folder/expected")" \
    "$(sed -n 's/.*"fingerprint": "\(.*\)".*/\1/p' "$folder/run/run.json")"

# Chunks.
run perplexity millbrook-gpt2 @gguf:q8_0 --file "$text" --protocol chunked --context 64 --chunks 3
expect_status 0
expect_stdout_match 'text.txt: 3 windows, 93 tokens scored \(chunked, windows of 64\)$'
expect_stdout_match '^ +word ppl +byte ppl +bits/byte'
run perplexity millbrook-gpt2 --file "$text" --protocol chunked --context 128 --chunks 1
expect_status 0
expect_stdout_match '^millbrook-gpt2 +[0-9.]+$' # one chunk has no interval
expect_stdout_match 'text.txt: 1 window, 63 tokens scored'
expect_stdout_match '^One window has no interval: a smaller --context'

# Nor has one document, and what has is named.
tr -s '\n' <"$text" >"$folder/one.txt"
run perplexity $L --file "$folder/one.txt"
expect_status 0
expect_stdout_match 'one.txt: 1 document, [0-9]+ tokens scored'
expect_stdout_match '^One document has no interval: .*--protocol chunked or strided'
run perplexity $L --file "$folder/one.txt" --markdown
expect_status 0
expect_stdout_match '^One document has no interval: .*--protocol chunked or strided'
run perplexity $L --file "$text"
expect_equal "reasons with 7 documents" 0 "$(grep -c 'no interval' "$kept/stdout")"

# Windows that overlap score every token but the first, BOS: all of the text.
run perplexity $L @gguf:q8_0 --file "$text" --protocol strided --context 128 --stride 48 --worst 2
expect_status 0
expect_stdout_match 'text.txt: [0-9]+ windows, [0-9]+ tokens scored \(strided, windows of 128 every 48\)$'
expect_equal "worst tokens" 2 "$(grep -c '^KL 0' "$kept/stdout")"
scored=$(sed -n 's/.* \([0-9]*\) tokens scored.*/\1/p' "$kept/stdout")
run tokenize $L --whole --no-bos --file "$text"
expect_equal "tokens scored" "$(wc -w <"$kept/stdout")" "$scored"
run perplexity $L --file "$text" --protocol strided --context 128 --chunks 2
expect_status 0
expect_stdout_match 'text.txt: 2 windows, 191 tokens scored \(strided, windows of 128 every 64\)$'
run perplexity $L --file "$text" --chunks 2
expect_status 0
expect_stdout_match 'text.txt: 2 documents, '

# A reference: the same ratio and change as beside the baseline itself, and a KL that is not more.
run perplexity $L@f32 @gguf:q4_0 --file "$text" --json --save-reference "$folder/base.kref"
expect_status 0
decided() { sed -n '/"name": "probability_change"/,/"unit"/p; /"name": "same_top"/,/"unit"/p; /"log_ratio": {/,/}/p' "$1"; }
decided "$kept/stdout" >"$folder/live"
run perplexity $L@gguf:q4_0 --file "$text" --json --reference "$folder/base.kref"
expect_status 0
expect_stderr_empty
expect_json "$kept/stdout"
expect_stdout_match '"bounded": true'
expect_stdout_match '"reference": "'
expect_equal "figures beside the reference" "$(cat "$folder/live")" "$(decided "$kept/stdout")"
run perplexity $L@gguf:q4_0 --file "$text" --reference "$folder/base.kref" --worst 0
expect_status 0
expect_stdout_match "^$L@f32 "
expect_equal "worst tokens" 0 "$(grep -c 'the tokens with the largest' "$kept/stdout")"
run perplexity $L --file "$text" --save-reference "$folder/base.kref" --top 4
expect_status 0
[ "$(stat -c %s "$folder/base.kref")" -lt 40000 ] || fail "4 tokens of each" "$(stat -c %s "$folder/base.kref") bytes"
head -c 5000 "$folder/base.kref" >"$folder/cut.kref"
printf 'more of it' | cat "$text" - >"$folder/more.txt"

# Names that a terminal would act on, and a text whose name begins with a dash.
evil=$(printf '%b' 'a\x1b[31mred\r\xc2\x9b31m\xe2\x80\xae\x7f\nb')
cp "$text" "$folder/$evil.txt"
run perplexity $L @f16 --file "$folder/$evil.txt"
expect_status 0
expect_no_controls
expect_stdout_match 'a\\x1B\[31mred\\x0D'
run perplexity $L --file "$folder/$evil.txt" --json
expect_status 0
expect_no_controls
expect_json "$kept/stdout"
run perplexity $L --file "$folder/$evil"
expect_error 4 'No such file'
expect_no_controls
cp "$text" "$folder/--x"
(cd "$folder" && KERF_DATA=$root "$kerf" perplexity $L --file --x >/dev/null 2>&1) || fail "a name like an option" "an error"

# Texts that cannot be scored.
: >"$folder/empty.txt"
printf '\n\n  \n' >"$folder/blank.txt"
printf 'good\n\nbad \xff\xfe\n' >"$folder/bytes.txt"
printf 'good\nba\0d' >"$folder/nul.txt"
printf 'One.\n' >"$folder/short.txt"
mkfifo "$folder/pipe"

# A candidate of another tokenizer.
other=$shared/data/models/stories260K.gguf
if [ -e "$other" ]; then
    run perplexity $L "$other" --file "$text"
    expect_error 3 'stories260K.gguf: its tokenizer is not that of the baseline'
fi

# One that has the same pieces and another normalizer, which matters to some texts alone.
cp -r datasets/millbrook/llama "$folder/nfc"
sed -i 's/"normalizer": null/"normalizer": {"type": "NFC"}/' "$folder/nfc/tokenizer.json"
printf 'The caf\xC3\xA9 was old.\n' >"$folder/composed.txt"
printf 'The cafe\xCC\x81 was old.\n' >"$folder/decomposed.txt"
run perplexity $L "$folder/nfc" --file "$folder/composed.txt" --json
expect_status 0
grep -q '"same_top": 1.0' "$kept/stdout" || fail "the same predictions" "$(grep -m1 same_top "$kept/stdout")"
run perplexity $L "$folder/nfc" --file "$folder/decomposed.txt"
expect_error 3 "nfc: $folder/decomposed.txt is other tokens to it than to the baseline"

# STATUS | WORDS | ARGUMENTS
while IFS='|' read -r expected words arguments; do
    eval "run perplexity $arguments"
    expect_error "$expected" "$words"
done <<'CASES'
2|perplexity takes at least one SUBJECT|--file $text
2|--file FILE is missing|$L
2|a model must stand before the @|@f16 --file $text
2|--protocol strides: must be rolling, chunked or strided|$L --file $text --protocol strides
2|--protocol : must be rolling, chunked or strided|$L --file $text --protocol ""
2|--stride goes with --protocol strided|$L --file $text --stride 3
2|--top goes with --save-reference|$L --file $text --top 3
2|--worst: must be 0 to 1000|$L --file $text --worst 1001
2|--reference and --save-reference: one of them|$L --file $text --reference a --save-reference b
2|--save-reference|$L --file $text --save-reference $text
2|--save-reference .*cut.kref: is read by this command|$L@gguf:q4_k --imatrix $folder/cut.kref --file $text --save-reference $folder/cut.kref
2|--stride 4294967298: must be 1 to the window of 512|$L --file $text --protocol strided --stride 4294967298
2|--stride 65: must be 1 to the window of 64 tokens|$L --file $text --protocol strided --context 64 --stride 65
3|cut.kref: offset 0x18: tokens: .*write it again|$L --file $text --reference $folder/cut.kref
3|text.txt: offset 0x0: magic: is no reference file|$L --file $text --reference $text
3|base.kref: its protocol is another: data_sha256|$L --file $folder/more.txt --reference $folder/base.kref
4|no-such.kref|$L --file $text --reference no-such.kref
4|no-such|$L --file $text --save-reference no-such/base.kref
2|--chunks: "0" must be a whole number|$L --file $text --protocol chunked --chunks 0
2|--context: "-5" must be a whole number|$L --file $text --context -5
2|--fle: unknown option, did you mean "--file"\?|$L --fle $text
2|--threads: 5000 is more than 1024|$L --file $text --threads 5000
2|q8_1: no such variant|$L @gguf:q8_1 --file $text
2|a window of 513 tokens exceeds the model.s context of 512|$L --file $text --context 513
2|--context 3: is too short for the chunked protocol: it needs 4 tokens|$L --file $text --context 3 --protocol chunked
2|--context 1: is too short for the strided protocol: it needs 2 tokens|$L --file $text --context 1 --protocol strided
2|--top 1000000: must be 1 to the [0-9]+ tokens of the vocabulary of |$L --file $text --save-reference $folder/huge.kref --top 1000000
3|shorter than one window of 512 tokens.*--context|$L --file $folder/short.txt --protocol chunked
3|empty.txt: has no text$|$L --file $folder/empty.txt
3|blank.txt: has no text$|$L --file $folder/blank.txt
3|bytes.txt: line 3: byte 5: 0xFF: is not UTF-8|$L --file $folder/bytes.txt
3|bytes.txt: line 3: byte 5: 0xFF: is not UTF-8|$L@gptq:4 --calibration $folder/bytes.txt --file $text
3|nul.txt: line 2: byte 3: is a NUL byte|$L@gptq:4 --calibration $folder/nul.txt --file $text
3|bytes.txt: line 3|$L --file $folder/bytes.txt --protocol chunked
3|pipe: |$L --file $folder/pipe
3|: is a folder|$L --file $folder
4|no-such.txt: .*No such file|$L --file no-such.txt
4|no-such.gguf: no such file|$L no-such.gguf --file $text
CASES

# One table of Markdown, names escaped.
cp "$text" "$folder/a|b.txt"
run perplexity $L@f32 @int8:absmax --file "$folder/a|b.txt" --markdown
expect_status 0
expect_stdout_match '^\| subject \| perplexity \| ln ratio \| mean KL \| same top % \| bits/weight \| weights MiB \|$'
expect_stdout_match '^\| <code>@int8:absmax</code> \| [0-9.]+ \| [-+0-9.e]+ ?[^|]* \[[-+0-9., ]+\] \|( [^|]+ \|){4}$'
expect_equal "lines" 4 "$(wc -l <"$kept/stdout")"
run perplexity $L --file "$text" --json --markdown
expect_error 2 "--json and --markdown"
finish
