#!/usr/bin/env bash
# The kernels' checks on another machine: built for aarch64 by Debian's cross compiler, run by qemu. Only the kernels and
# their checks are; what testing.c has for other tests needs libraries, and the linker drops it.
set -u -o pipefail
export LC_ALL=C

missing=()
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do command -v "$tool" >/dev/null || missing+=("$tool"); done
[ ${#missing[@]} -gt 0 ] || echo 'int main(void) { return 0; }' |
    aarch64-linux-gnu-gcc -static -x c -o /dev/null - 2>/dev/null || missing+=(libc6-dev-arm64-cross)
if [ ${#missing[@]} -gt 0 ]; then
    [ -z "${CI:-}" ] || { echo "FAILED   not installed: ${missing[*]} (script/bootstrap --test)"; exit 1; }
    echo "skipped: not installed: ${missing[*]}"
    exit 77
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "FAILED   $1"
    exit 1
}

# Options as in CMakeLists.txt, but for what is of x86 alone.
compile=(aarch64-linux-gnu-gcc -std=c11 -D_GNU_SOURCE -I"$PWD" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
    -Wno-unused-parameter -Wno-maybe-uninitialized -Wno-psabi -ffp-contract=off -fopenmp-simd -ffunction-sections -c)
objects() { # FOLDER OPTIONS, with files of the tree on standard input
    local to=$folder/$1
    shift
    mkdir "$to"
    sed "s|^|$PWD/|" | (cd "$to" && xargs -P "$(nproc)" -n 1 "${compile[@]}" "$@")
}
kernels() { # INSTRUCTION SET, OPTIONS
    ls engine/kernels/portable/*.c | objects "$1" -fno-math-errno -fno-trapping-math -DKERNELS_ISA="$1" \
        -DKERNELS_LANES="<engine/kernels/lanes/$1.h>" "${@:2}" || fail "$1 does not compile"
}
programs=(families tiles products inputs gemm table decode encode)
kernels c -O2 # they are only compared with, and -O3 takes thrice the time
kernels neon -O3 -march=armv8.2-a+dotprod
{
    printf '%s\n' engine/kernels/kernels.c engine/base/{error,memory}.c engine/tensor.c
    ls cli/kernels/{guarded,fixture,expected,samples,layouts,judge_inputs,family_*}.c
    printf '%s\n' tests/testing.c tests/kernels/alone/cmocka.c
} | objects shared -O2 -I"$PWD/tests/kernels/alone" || fail "what the checks need does not compile"
printf 'tests/kernels/test_%s.c\n' "${programs[@]}" | objects tests -O2 -I"$PWD/tests/kernels/alone" ||
    fail "the checks do not compile"

for name in "${programs[@]}"; do
    aarch64-linux-gnu-gcc -static -Wl,--gc-sections -o "$folder/$name" "$folder/tests/test_$name.o" \
        "$folder"/{shared,c,neon}/*.o -lm || fail "$name does not link"
done

export KERF_TEST_ITEMS=2 # an emulator is slow
run() { # CPU PROGRAM
    qemu-aarch64 -cpu "$1" "$folder/$2" >"$folder/$2.$1.log" 2>&1
}
export -f run
export folder
printf 'max %s\n' "${programs[@]}" | xargs -P "$(nproc)" -n 2 bash -c 'run "$0" "$1"' ||
    fail "$(cat "$folder"/*.log | grep -v '^[a-z]*/[a-z]*: ' | head -n 20)"
grep -qx 'checking neon' "$folder/tiles.max.log" || fail "the machine has no NEON with dot products"

# A machine without them, where KERF_CPU=neon is refused.
run cortex-a53 table || fail "$(cat "$folder/table.cortex-a53.log")"
run cortex-a53 tiles && ! grep -q 'neon' "$folder/tiles.cortex-a53.log" || fail "NEON on a machine that lacks it"
