#!/usr/bin/env bash
# datasets/fetch, from a mirror of file:// URLs: what it says, what it checks, and what it leaves where.
source "$(dirname "$0")/lib.sh"
for tool in curl tar sha256sum awk; do command -v $tool >"$kept/unused" || skip "there is no $tool"; done
fetch=$root/datasets/fetch
mirror=$folder/mirror into=$folder/into table=$folder/sets.tsv

run_fetch() { # ARGUMENTS
    command_line="datasets/fetch $*"
    "$fetch" --sets "$table" --into "$into" "$@" >"$kept/stdout" 2>"$kept/stderr" </dev/null
    status=$?
}
sum() { sha256sum "$1" | cut -d ' ' -f 1; }
row() { # SET SUITES FILE SUM MEMBER PATH FILE-SUM
    printf '%s\t%s\tfree\tfile://%s\t%s\t%s\t%s\t%s\t%s\tA set\n' "$1" "$2" "$mirror/$3" "$(stat -c %s "$mirror/$3")" "$4" "$5" "$6" "$7" >>"$table"
}

mkdir -p "$mirror/box/test" "$folder/other"
printf 'one\n' >"$mirror/plain.txt"
printf 'a,1\n' >"$mirror/box/test/b_test.csv"
printf 'b,2' >"$mirror/box/test/a_test.csv"
printf 'no\n' >"$mirror/box/test/other.csv"
tar -C "$mirror" -cf "$mirror/box.tar" box
printf 'set\tsuites\tlicence\turl\tbytes\tsha256\tmember\tpath\tfile_sha256\twhat\n' >"$table"
row plain first,second plain.txt "$(sum "$mirror/plain.txt")" - plain/plain.txt -
row unsure third plain.txt - - unsure/copy.txt -
row wrong - plain.txt "$(printf x | sha256sum | cut -d ' ' -f 1)" - wrong/plain.txt -
row box fourth box.tar "$(sum "$mirror/box.tar")" 'box/test/*_test.csv' box/joined.csv -
row box - box.tar "$(sum "$mirror/box.tar")" 'box/test/*_test.csv' box/test/ -
row box - box.tar "$(sum "$mirror/box.tar")" box/test/b_test.csv box/b.csv "$(sum "$mirror/box/test/b_test.csv")"
row lost - box.tar "$(sum "$mirror/box.tar")" box/nothing.csv lost/nothing.csv -

# Nothing is fetched before a set is named, and nothing by a dry run.
run_fetch
expect_status 0
expect_stdout_match '^plain$'
expect_stdout_match '^  absent +plain/plain.txt: A set$'
expect_stdout_match '^ +suite first,second$'
expect_stdout_match '^ +SHA-256 unknown: printed and recorded'
run_fetch --dry-run plain box
expect_status 0
expect_stdout_match "would go to $into/box/test/"
[ ! -e "$into" ] || fail "nothing in $into" "$(ls "$into")"

# By the set's name or by that of a suite; once it is here it is left alone.
run_fetch second
expect_status 0
expect_stdout_match "^plain: file://$mirror/plain.txt \(0 kB, licence: free\)$"
expect_same_file "$mirror/plain.txt" "$into/plain/plain.txt"
run_fetch plain
expect_status 0
expect_stdout 'plain/plain.txt is here'

# What a table has no sum for is recorded.
run_fetch unsure box
expect_status 0
expect_stdout_match "SHA-256 $(sum "$mirror/plain.txt") \(the table has none"
printf 'b,2\na,1\n' >"$folder/joined"
expect_same_file "$folder/joined" "$into/box/joined.csv"
expect_files "$into" SHA256SUMS plain/plain.txt unsure/copy.txt box/joined.csv box/test/a_test.csv box/test/b_test.csv box/b.csv
run_fetch --offline-check
expect_status 0
expect_equal "good files" 6 "$(grep -c '^good ' "$kept/stdout")"
expect_stdout_match '^absent   wrong/plain.txt$'
run_fetch box
expect_equal "what is here" 3 "$(grep -c ' is here$' "$kept/stdout")"

# A file that changed is found, and fetched again.
for file in plain/plain.txt box/test/a_test.csv box/b.csv; do echo x >>"$into/$file"; done
run_fetch --offline-check plain box
expect_status 1
expect_equal "changed files" 3 "$(grep -c '^differs ' "$kept/stdout")"
run_fetch plain box
expect_status 0
run_fetch --offline-check
expect_status 0

# A folder whose files are not all there is not taken for whole, whatever stopped its run.
rm -r "$into/box/test" "$into/SHA256SUMS"
mkdir -p "$into/box/test/b_test.csv"
run_fetch box
expect_status 4
rmdir "$into/box/test/b_test.csv"
run_fetch box
expect_status 0
expect_same_file "$mirror/box/test/b_test.csv" "$into/box/test/b_test.csv"
run_fetch --offline-check unsure
expect_status 0
expect_stdout_match '^unknown  unsure/copy.txt: [0-9a-f]{64}, nothing to check it against$'

# Names and mirrors may have spaces and what a shell or curl would expand.
mkdir -p "$mirror/odd" "$folder/a [b] {c,d}"
printf 'x\n' | tee "$mirror/odd/a  b" "$mirror/odd/*" >"$mirror/odd/c"
tar -C "$mirror" -cf "$folder/a [b] {c,d}/odd.tar" odd
cp "$folder/a [b] {c,d}/odd.tar" "$mirror"
row odd - odd.tar - 'odd/*' odd/ -
run_fetch --mirror "file://$folder/a [b] {c,d}" odd
expect_status 0
run_fetch odd
expect_stdout 'odd/ is here'
run_fetch --offline-check odd
expect_equal "good files" "good     odd/*
good     odd/a  b
good     odd/c" "$(cat "$kept/stdout")"

# Errors leave nothing behind.
run_fetch wrong
expect_status 1
expect_stderr_line "^error: file://$mirror/plain.txt: has SHA-256 .*, must have .*; nothing was kept$"
run_fetch lost
expect_status 4
[ ! -e "$into/wrong" ] && [ ! -e "$into/lost" ] || fail "neither wrong nor lost" "$(ls "$into")"
expect_equal "temporary folders" "" "$(find "$into" -name '.fetch-*')"
run_fetch --mirror "file://$folder/other" unsure
expect_status 0
expect_stdout 'unsure/copy.txt is here'
rm "$into/unsure/copy.txt"
run_fetch --mirror "file://$folder/other" unsure
expect_status 4
printf 'one\n' >"$folder/other/plain.txt"
run_fetch --mirror "file://$folder/other/" unsure
expect_status 0
expect_same_file "$mirror/plain.txt" "$into/unsure/copy.txt"
run_fetch nothing
expect_error 2 'nothing: no such set or suite'
run_fetch --nothing
expect_error 2 '--nothing: unknown option'
run_fetch --into
expect_error 2 '--into needs a value'
run_fetch --into "$table" plain
expect_status 4
cp "$table" "$folder/out.tsv"
row out - plain.txt - - out/../../plain.txt -
run_fetch out
expect_error 2 'a row has the path out/../../plain.txt, which leads out'
cp "$folder/out.tsv" "$table"
printf 'short\trow\n' >>"$table"
run_fetch plain
expect_error 2 'a row has 2 columns, not 10'
cp "$folder/out.tsv" "$table"

# The shipped table: every suite it names ships, and its data lie where the table says.
while IFS=$'\t' read -r set suites licence url bytes sha256 member path file_sha256 what; do
    [ "$set" != set ] || continue
    [ -n "$what" ] || fail "ten columns for $path" "fewer"
    [[ $url == https://* ]] && [[ $sha256 =~ ^[0-9a-f]{64}$ ]] && [[ $path == "$set"/* ]] || fail "a URL, a sum and a path in $set/" "$url $sha256 $path"
    for suite in ${suites//[,-]/ }; do
        [ -e "$root/suites/$suite.yaml" ] || fail "suites/$suite.yaml" "none"
    done
done <"$root/datasets/sets.tsv"
for suite in $(sed -n 's/^task: \[\(.*\)\]$/\1/p' "$root/suites/public.yaml" | tr -d ,); do
    data=$(sed -n 's/^dataset_path: //p' "$root/suites/$suite.yaml")
    awk -F '\t' -v suite="$suite" -v data="$data" '$8 == data && index("," $2 ",", "," suite ",") { found = 1 } END { exit !found }' \
        "$root/datasets/sets.tsv" || fail "a row for $data of suite $suite in datasets/sets.tsv" "none"
done

# Public data that is here has the table's sums.
public=$shared/data
if [ -d "$public" ]; then
    table=$root/datasets/sets.tsv into=$folder/public
    mkdir -p "$into/xquad" "$into/wmt22"
    cp "$public/xquad/xquad.en.json" "$into/xquad"
    cp "$public"/wmt22/generaltest2022.de-en.{src.de,ref.A.en,ref.B.en} "$into/wmt22"
    run_fetch --offline-check xquad wmt22
    expect_status 0
    expect_equal "good files" 4 "$(grep -c '^good ' "$kept/stdout")"
fi
finish
