#!/usr/bin/env bash
# The jobs in docs/ci.md, played step by step as they stand there: what a step calls of the repository and of git is a
# stand-in that puts a program where a build would have put it. The clean program must pass, those with a fault must
# not, and for the right reason.
source "$(dirname "$0")/lib.sh"

faulty=$(dirname "$kerf")/tests
[ -x "$faulty/kerf_lane" ] || skip "this build has no programs with faults (a sanitized one has none)"
if ! command -v valgrind >/dev/null; then
    [ -z "${CI:-}" ] || { echo "valgrind is missing: script/bootstrap --test installs it" && exit 1; }
    skip "valgrind is missing"
fi

# --- the documents ---

block() { # NAME: of the comment that the block of YAML begins with
    awk -v name="# $1" '/^```/ { inside = 0 } inside { print } /^```yaml/ { getline; inside = $0 == name }' "$root/docs/ci.md"
}

job() { # FILE JOB: its part, by indentation
    block "$1" | awk -v job="$2:" '
        { match($0, /^ */); indent = RLENGTH }
        inside && $0 != "" && indent <= depth { exit }
        inside { print }
        $1 == job && $0 !~ /\{/ { inside = 1; depth = indent }'
}

steps() { # FILE JOB: the commands, one a line
    case $1 in
    .github/*) job "$1" "$2" | sed -nE 's/^ *(- )?run: //p' ;;
    *) job "$1" "$2" | awk '/^ *script:/ { inside = 1; next } /^ *[a-z]+:/ { inside = 0 } inside { sub(/^ *- /, ""); print }' ;;
    esac
}

# --- a checkout that is none ---

make_stage() { # PROGRAM OF THE CHANGE
    local stage=$folder/stage side
    rm -rf "$stage"
    mkdir -p "$stage/change/script" "$stage/base/script" "$stage/bin"
    printf '#!/bin/sh\n' | tee "$stage/change/script/bootstrap" >"$stage/bin/git"
    for side in change base; do
        local program=$1
        [ $side = change ] || program=$kerf
        printf '#!/bin/sh\ncd %q && mkdir -p "$1" && ln -sf %q "$1/kerf"\n' "$stage/$side" "$program" >"$stage/$side/script/build"
    done
    chmod +x "$stage"/*/script/* "$stage/bin/git"
    block limits.yaml >"$stage/change/limits.yaml"
}

play() { # FILE JOB PROGRAM; $failed: the step that failed, or nothing
    local step
    failed=
    make_stage "$3"
    command_line="$2 of $1 with $(basename "$3")"
    while read -r step; do
        [ -z "$failed" ] || [[ $step == cat* ]] || continue
        (cd "$folder/stage/change" && PATH=$folder/stage/bin:$PATH GITHUB_STEP_SUMMARY=summary.md GITHUB_BASE_REF=main \
            CI_MERGE_REQUEST_TARGET_BRANCH_NAME=main KERF_CPU=avx2 bash -e -c "$step" </dev/null) \
            >"$kept/stdout" 2>"$kept/stderr" || failed=$step
        [ "$failed" != "$step" ] || { cp "$kept/stdout" "$kept/failed.out" && cp "$kept/stderr" "$kept/failed.err"; }
    done < <(steps "$1" "$2")
}

expect_played() { [ -z "$failed" ] || fail "every step to pass" "$failed: $(tail -n 3 "$kept/failed.err")"; }

expect_stopped() { # PART OF THE STEP, WHAT IT MUST SAY ON STANDARD OUTPUT
    [[ $failed == *"$1"* ]] || { fail "to stop at $1" "${failed:-no step failed}" && return; }
    grep -aEq -- "$2" "$kept/failed.out" || fail "it to say $2" "$(tail -n 12 "$kept/failed.out")"
}

expect_file_match() { # FILE OF THE JOB, REGULAR EXPRESSION
    grep -aEq -- "$2" "$folder/stage/change/$1" || fail "$1 to have $2" "$(head -c 600 "$folder/stage/change/$1" 2>&1)"
}

github=.github/workflows/kerf.yml
gitlab=.gitlab-ci.yml
command_line="docs/ci.md"
[ "$(steps $github kernels | wc -l)" -ge 6 ] || fail "the steps of a job" "$(steps $github kernels)"
for name in kernels quality; do # what is played of one holds for the other
    diff <(steps $github $name | grep '/kerf ') <(steps $gitlab $name | grep '/kerf ') >"$kept/diff" ||
        fail "the same commands in both $name" "$(cat "$kept/diff")"
done

play $github kernels "$kerf"
expect_played
expect_file_match kernels.xml '<testsuite .*failures="0"'
expect_file_match summary.md 'kernels'

play $github kernels "$faulty/kerf_lane"
expect_stopped --check 'products'
expect_file_match kernels.xml '<failure'
expect_file_match summary.md 'products'

play $github kernels "$faulty/kerf_slow"
expect_stopped --check 'products.* times the cost'
expect_file_match kernels.xml '<failure'

play $gitlab quality "$kerf"
expect_played
expect_file_match quality.xml '<testsuite .*failures="0"'

play $github quality "$faulty/kerf_coarse"
expect_stopped --limits 'stories'
expect_file_match quality.xml '<failure'
expect_file_match summary.md 'stories'

# The clean program again and again, as a gate is asked day after day.
run kernels --only products/q4_0 --count callgrind --save "$folder/baseline.csv"
expect_status 0
for i in $(seq 20); do
    run kernels --only products/q4_0 --count callgrind --check "$folder/baseline.csv"
    expect_status 0
done
finish
