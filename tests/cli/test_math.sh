#!/usr/bin/env bash
# Exact and fast math: how they are asked for, how they are named, and that they are never taken for each other.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama

# The same weights in both, beside the floats they came from: what the weights lost, and what the kernels lose besides.
out=$folder/out
run compare $L@f16 @gguf:q4_k @gguf:q4_k+fast +fast --suite stories --suite endings --limit 12 --out "$out"
expect_status 0
expect_no_controls
expect_stdout_match '@gguf:q4_k +@gguf:q4_k\+fast +@f16\+fast'
runs='f16 gguf-q4_k gguf-q4_k-fast f16-fast'
expect_equal "runs" "$(printf "$L-%s\n" $runs | sort)" "$(ls "$out/runs")"
of() { sed -n "s/^  \"$2\": \"*\([^\",]*\)\"*,*$/\1/p" "$out/runs/$L-$1/run.json" | head -n 1; }
for run in $runs; do
    math=exact
    [[ $run != *-fast ]] || math=fast
    expect_equal "math of $run" $math "$(of $run math)"
done
expect_equal "name" "$L@gguf:q4_k+fast" "$(of gguf-q4_k-fast name)"
expect_equal "weights" "$(of gguf-q4_k weight_bytes)" "$(of gguf-q4_k-fast weight_bytes)"
[ "$(of gguf-q4_k id)" != "$(of gguf-q4_k-fast id)" ] || fail "two ids" "$(of gguf-q4_k id)"
cmp -s "$out"/runs/$L-gguf-q4_k{,-fast}/samples_stories.jsonl && fail "other log-likelihoods" "the same"
prints() { sed -n 's/^   "fingerprint": "\(.*\)",/\1/p' "$out/runs/$L-$1/run.json"; }
expect_equal "fingerprints" "$(prints gguf-q4_k)" "$(prints gguf-q4_k-fast)"
expect_equal "math in leaderboard.csv" 'exact exact fast fast' "$(grep -oE '"(exact|fast)"' "$out/leaderboard.csv" | tr -d '"' | sort | paste -sd ' ')"
grep -q '@gguf:q4_k+fast' "$out/report.md" || fail "@gguf:q4_k+fast in report.md" "$(grep -m1 q4_k "$out/report.md")"
grep -q 'Fast math: inputs in 8 bits' "$out/index.html" || fail "what fast math is in index.html" nothing
grep -q '(fast)' "$out/report.md" "$out/index.html" && fail "the math said once" "twice"

# A board keeps both, and adding them again changes nothing.
run leaderboard add "$folder/board.csv" "$out"
expect_status 0
expect_equal "rows" 5 "$(wc -l <"$folder/board.csv")"
cp "$folder/board.csv" "$folder/before.csv"
run leaderboard add "$folder/board.csv" "$out"
expect_same_file "$folder/before.csv" "$folder/board.csv"

# Runs that were made before are compared as well.
run compare "$out/runs/$L-gguf-q4_k" "$out/runs/$L-gguf-q4_k-fast" --out "$folder/again"
expect_status 0
expect_stdout_match '@gguf:q4_k +@gguf:q4_k\+fast'

# --math is for all that do not say.
run compare $L@f16 @gguf:q8_0 @gguf:q8_0+exact +exact --math fast --suite reviews --limit 2 --out "$folder/all"
expect_status 0
expect_equal "runs" "$(printf "$L-%s\n" f16-fast gguf-q8_0-fast gguf-q8_0 f16 | sort)" "$(ls "$folder/all/runs")"
run compare "$folder/all/runs/$L-f16" "$folder/all/runs/$L-gguf-q8_0" --math fast --out "$folder/x"
expect_error 2 '--math: is for subjects that are run'

# A page of exact math alone does not speak of the other.
run compare "$folder/all/runs/$L-f16" "$folder/all/runs/$L-gguf-q8_0" --out "$folder/exact"
expect_status 0
grep -q 'Fast math' "$folder/exact/index.html" && fail "no word of fast math" "some"

# Weights as stored; a file whose name ends like a math is a file.
run quantize $L@gguf:q4_0 -o "$folder/model.gguf"
cp "$folder/model.gguf" "$folder/model.gguf+fast"
expect_first_line() { expect_equal "first line" "$1" "$(head -n 1 "$kept/stdout")"; }
run eval "$folder/model.gguf+exact" --suite reviews --limit 1
expect_first_line "$folder/model.gguf"
run eval "$folder/model.gguf" --math fast --suite reviews --limit 1
expect_first_line "$folder/model.gguf+fast"
run eval "$folder/model.gguf+fast" --suite reviews --limit 1 --out "$folder/file"
expect_first_line "$folder/model.gguf+fast"
grep -q '"math": "exact"' "$folder/file/run.json" || fail "exact math" "$(grep '"math"' "$folder/file/run.json")"

# perplexity and generate.
head -c 3000 datasets/millbrook/stories.test.txt >"$folder/text.txt"
run perplexity $L@gguf:q4_k @gguf:q4_k+fast +fast --file "$folder/text.txt" --json
expect_status 0
expect_equal "maths" 'exact fast fast' "$(sed -n 's/^   "math": "\(.*\)",/\1/p' "$kept/stdout" | paste -sd ' ')"
expect_equal "names" "$L@gguf:q4_k $L@gguf:q4_k+fast $L@gguf:q4_k+fast" \
    "$(sed -n 's/^   "name": "\(millbrook.*\)",/\1/p' "$kept/stdout" | paste -sd ' ')"
kl=$(grep -A1 '"kl_divergence"' "$kept/stdout" | sed -n 's/.*"value": \(.*\),/\1/p')
expect_equal "the same divergence of the same" 1 "$(sort -u <<<"$kl" | wc -l)"
case $kl in 0.000*) ;; *) fail "a small divergence" "$kl" ;; esac
for spec in "$L@gguf:q4_0+fast" "$L@gguf:q4_0 --math fast"; do
    run generate $spec --prompt "Clara was" --max-tokens 12
    expect_status 0
    cat "$kept/stdout" >>"$folder/texts"
done
expect_equal "one text" 1 "$(sort -u "$folder/texts" | wc -l)"

# A journal is of one math, and of every instruction set.
run_here() { run eval $L@gguf:q4_k+$1 --suite endings --limit 8 --out "$folder/journal"; }
run_here fast
expect_status 0
expect_stderr_line '^wrote '
KERF_CPU=c run_here fast
expect_status 0
grep -q '^note: endings: 8 of 8 items were done before' "$kept/stderr" || fail "a note of 8 items" "$(cat "$kept/stderr")"
run_here exact
expect_status 0
expect_stderr_line '^wrote '
grep -qE '"(isa|blas)"' "$folder"/journal/journal/*.jsonl && fail "neither isa nor blas in a key" "$(head -n 1 "$folder"/journal/journal/*.jsonl)"
finish
