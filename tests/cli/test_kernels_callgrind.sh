#!/usr/bin/env bash
# kerf kernels --count callgrind: the same counts in every run, and a gate on them.
source "$(dirname "$0")/lib.sh"
if ! command -v valgrind >/dev/null; then
    [ "${CI:-}" != true ] || { echo "FAILED   valgrind is not there: script/bootstrap --test installs it" && exit 1; }
    skip "valgrind is not there: script/bootstrap --test installs it"
fi
if ldd "$kerf" 2>/dev/null | grep -q libasan || grep -aq __asan_init "$kerf"; then
    run kernels --only softmax --count callgrind
    expect_error 3 'callgrind: valgrind cannot run a program built with a sanitizer'
    finish
fi
export TMPDIR=$folder/tmp # where nothing may be left
mkdir "$TMPDIR"
some=(kernels --only softmax --only 'dot/q[45]_*')

run "${some[@]}" --count callgrind --save "$folder/first.csv"
expect_status 0
expect_stdout_match 'callgrind/op$'
expect_equal "counters" callgrind "$(cut -d, -f5 "$folder/first.csv" | tail -n +2 | tr -d '"' | sort -u)"
expect_equal "instruction sets beyond avx2" 0 "$(cut -d, -f4 "$folder/first.csv" | grep -c 'avx512\|amx')"
costs=$(($(wc -l <"$folder/first.csv") - 1))
expect_equal "at least 10 costs" yes "$([ $costs -ge 10 ] && echo yes)"

# Again; under other variables, in another folder, of a program with another path and without symbols.
run "${some[@]}" --count callgrind --save "$folder/second.csv"
expect_same_file "$folder/first.csv" "$folder/second.csv"
deep="$folder/a folder with a name that is rather long/and another one in it"
mkdir -p "$deep"
cp "$kerf" "$deep/renamed"
strip "$deep/renamed"
(
    cd "$deep" || exit 1
    export WORDS VALGRIND_OPTS=--tool=memcheck TMPDIR=$deep
    WORDS=$(printf 'word%.0s' {1..3000})
    ./renamed "${some[@]}" --count callgrind --save "$folder/third.csv" >/dev/null 2>&1
)
expect_same_file "$folder/first.csv" "$folder/third.csv"
expect_files "$deep" renamed

# What auto takes depends on what there is; of a baseline it is its counter.
run "${some[@]}" --check "$folder/first.csv"
expect_status 0
expect_stdout_match "^$costs costs compared with .*first.csv .*: 0 more than before, 0 less, the rest within 1 %$"
mkdir "$folder/empty" && ln -s "$(command -v timeout)" "$folder/empty" # what run needs
PATH=$folder/empty run "${some[@]}" --check "$folder/first.csv"
expect_error 3 'first.csv: callgrind: no valgrind in PATH: apt-get install valgrind'
PATH=$folder/empty run "${some[@]}" --count callgrind
expect_error 3 'callgrind: no valgrind in PATH: apt-get install valgrind'

# Counts that were 0.9 % and 1.2 % less.
scaled() { # FACTOR
    awk -v factor="$1" 'BEGIN { FS = OFS = "," }
        NR > 1 { for (i = 6; i <= 8; i++) { gsub("\"", "", $i); $i = sprintf("%.9g", $i * factor) } } { print }' "$folder/first.csv"
}
scaled 0.991 >"$folder/less.csv"
run "${some[@]}" --check "$folder/less.csv"
expect_status 0
scaled 0.988 >"$folder/less.csv"
run "${some[@]}" --check "$folder/less.csv" --markdown "$folder/k.md"
expect_status 1
expect_stderr_line "^error: $costs of $costs costs are more than before"
expect_equal "costs in Markdown" $costs "$(grep -c '^| <code>.* | +1.21 % | ' "$folder/k.md")"
run "${some[@]}" --check "$folder/less.csv" --tolerance 2
expect_status 0

# Another program counts for itself.
run "${some[@]}" --count callgrind --against "$deep/renamed"
expect_status 0
expect_stdout_match "^$costs costs compared with .*: 0 more than before, 0 less"

# A valgrind that fails, that counts nothing, and one that is interrupted.
mkdir "$folder/bin"
printf '#!/bin/sh\necho "no such tool" >&2\nexit 3\n' >"$folder/bin/valgrind"
chmod +x "$folder/bin/valgrind"
PATH=$folder/bin:$PATH run "${some[@]}" --count callgrind
expect_error 3 'bin/valgrind: ended with status 3: no such tool'
cat >"$folder/bin/valgrind" <<'END'
#!/bin/sh
for word; do case $word in --callgrind-out-file=*) : >"${word#*=}" ;; esac; done
echo '0 c'
END
PATH=$folder/bin:$PATH run "${some[@]}" --count callgrind
expect_error 4 'callgrind: counted nothing of'
printf '#!/bin/sh\nexec sleep 60\n' >"$folder/bin/valgrind"
started=$SECONDS
PATH=$folder/bin:$PATH timeout --preserve-status -s INT 2 "$kerf" "${some[@]}" --count callgrind >"$kept/stdout" 2>"$kept/stderr"
status=$?
command_line='kerf kernels --count callgrind, interrupted'
expect_status 130
expect_equal "seconds until it ended" few "$([ $((SECONDS - started)) -lt 20 ] && echo few)"
expect_files "$TMPDIR"

# Interrupted while another kerf counts, that one's valgrind ends, too.
printf '#!/bin/sh\necho $$ >"%s/pid"\nexec sleep 60\n' "$folder" >"$folder/bin/valgrind"
printf '#!/bin/sh\nPATH=%q:$PATH exec %q "$@"\n' "$folder/bin" "$kerf" >"$folder/other"
chmod +x "$folder/other"
"$kerf" "${some[@]}" --count callgrind --against "$folder/other" >"$kept/stdout" 2>"$kept/stderr" &
interrupted=$!
for ((i = 0; i < 600; i++)); do [ ! -s "$folder/pid" ] || break && sleep 0.1; done
kill -INT $interrupted
wait $interrupted
status=$?
command_line='kerf kernels --count callgrind --against, interrupted'
expect_status 130
expect_equal "the other's valgrind" gone "$(kill -0 "$(cat "$folder/pid")" 2>/dev/null || echo gone)"
expect_files "$TMPDIR"

# A folder whose name has what valgrind would expand; the real one, interrupted; no room.
mkdir "$TMPDIR/a%pb"
TMPDIR=$TMPDIR/a%pb run kernels --only argmax --count callgrind
expect_status 0
expect_stdout_match '^argmax  *c .*[0-9]$'
rmdir "$TMPDIR/a%pb"
timeout --preserve-status -s INT 2 "$kerf" kernels --count callgrind --only '*dot*' >"$kept/stdout" 2>"$kept/stderr"
status=$?
command_line='kerf kernels --count callgrind --only dot, interrupted'
expect_status 130
expect_files "$TMPDIR"
finish
