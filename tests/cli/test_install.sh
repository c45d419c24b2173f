#!/usr/bin/env bash
# What cmake --install puts under a prefix works from anywhere: the prefix may be moved, and the source tree is not used.
source "$(dirname "$0")/lib.sh"
build=$(dirname "$kerf")
[ -e "$build/cmake_install.cmake" ] || skip "$build is not a build folder"
command -v cmake >"$kept/unused" || skip "there is no cmake"

command_line="cmake --install"
cmake --install "$build" --prefix "$folder/first" >"$kept/stdout" 2>&1 || fail "success" "$(tail -n 3 "$kept/stdout")"
mv "$folder/first" "$folder/prefix"
installed=$folder/prefix/bin/kerf
for file in share/kerf/suites/millbrook.yaml share/kerf/datasets/millbrook/llama/model.safetensors share/kerf/datasets/millbrook/endings.test.jsonl; do
    [ -s "$folder/prefix/$file" ] || fail "$file installed" "none"
done
for suite in suites/*.yaml; do expect_same_file "$suite" "$folder/prefix/share/kerf/$suite"; done

# The installed suites come before the source tree's: marks in their words tell which was taken.
sed -i 's/^about:.*/about: from the prefix/' "$folder/prefix/share/kerf/suites/"*.yaml
mkdir -p "$folder/elsewhere" "$folder/data/suites"
sed 's/^about:.*/about: from KERF_DATA/; s/^task: .*/task: endings/' suites/endings.yaml >"$folder/data/suites/endings.yaml"
cd "$folder/elsewhere" || exit 1
kerf=$installed
run suites endings stories
expect_status 0
expect_equal "where suites come from" 2 "$(grep -c 'from the prefix' "$kept/stdout")"
run eval millbrook-llama --limit 1 --out "$folder/out"
expect_status 0
expect_equal "the model's path" "\"path\": \"$folder/prefix/share/kerf/datasets/millbrook/llama\"" "$(grep -o '"path": "[^"]*"' "$folder/out/run.json")"
run eval millbrook-gpt2 --suite reviews --limit 1
expect_status 0

# KERF_DATA comes first; what it lacks is looked for further on.
export KERF_DATA=$folder/data
run suites endings stories
expect_status 0
expect_stdout_match 'from KERF_DATA'
expect_stdout_match 'from the prefix'
run eval millbrook-llama --suite endings --limit 1
expect_status 0
export KERF_DATA=/nonexistent
run suites endings
expect_status 0
expect_stdout_match 'from the prefix'

# Without the source tree, where the system lets us hide it: everything still works.
unset KERF_DATA
command_line="kerf eval without the source tree"
if unshare -rm true 2>"$kept/unused"; then
    unshare -rm bash -c 'mount -t tmpfs none "$0" && ! [ -e "$0/suites" ] && cd / && exec "$1" eval millbrook-llama --limit 1' \
        "$root" "$installed" >"$kept/stdout" 2>"$kept/stderr" </dev/null
    status=$?
    expect_status 0
    expect_stdout_match '^endings \(1 items\)$'
fi
finish
