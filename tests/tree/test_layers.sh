#!/usr/bin/env bash
# The rules of the tree: who may include whom, guards, sizes, and what does not belong into committed files. The checker
# is tried first on a small tree that breaks each rule once.
set -u
export LC_ALL=C

sources() { find cli engine metrics reports suites tests \( -name '*.c' -o -name '*.h' \) -print 2>&1 | sort; }

# Of LAYER, what it may include: itself and these.
allowed() {
    case $1 in
    engine/base) echo engine/base ;;
    engine) echo engine ;;
    metrics) echo metrics engine/base ;;
    reports) echo reports engine/base ;;
    suites) echo suites metrics engine ;;
    cli) echo cli reports suites metrics engine ;;
    tests) echo tests cli reports suites metrics engine ;;
    esac
}

layer_of() { # FILE
    case $1 in
    engine/base/*) echo engine/base ;;
    *) echo "${1%%/*}" ;;
    esac
}

check_includes() {
    local file included line layer found
    while IFS=: read -r file line included; do
        included=${included#*\"}
        included=${included%%\"*}
        [[ $included != *.c ]] || [[ $file == tests/* ]] || echo "$file:$line: includes the source file $included"
        [ "$included" != version.h ] || continue # made by the build, of no layer
        [[ $included == */* ]] || { echo "$file:$line: $included must be named from the root"; continue; }
        found=no
        for layer in $(allowed "$(layer_of "$file")"); do [[ $included == $layer/* ]] && found=yes; done
        [ $found = yes ] || echo "$file:$line: $(layer_of "$file") may not include $included"
    done < <(sources | xargs grep -nE '^ *# *include *"')
}

check_guards() {
    local file guard
    for file in $(sources | grep '\.h$'); do
        guard=KERF_$(tr 'a-z/.-' 'A-Z___' <<<"$file")
        grep -qx "#ifndef $guard" "$file" && grep -qx "#define $guard" "$file" && [ "$(tail -n 1 "$file")" = '#endif' ] ||
            echo "$file: must be guarded by $guard"
    done
}

check_texts() {
    local file
    sources | xargs wc -l | awk '$2 != "total" && $1 > 600 { print $2 ": has " $1 " lines, more than 600" }'
    for file in $(sources); do
        [ -z "$(tail -c 1 "$file")" ] || echo "$file: must end with a newline"
    done
    sources | xargs grep -nP '\t' | sed 's/\t/\\t/g; s/$/: a tab/'
    sources | xargs grep -nP '[ \r]$' | sed 's/$/: white space at the end/'
    sources | xargs grep -nE 'TO''DO|FIX''ME|XX''X[^X]' | grep -v 'tmpXXX\|-XXXXXX' | sed 's/$/: a note to oneself/'
}

check_tree() { # FOLDER
    (cd "$1" && check_includes && check_guards && check_texts)
}

failures=0
fail() {
    failures=$((failures + 1))
    echo "FAILED   $1"
}

bad=$(mktemp -d)
trap 'rm -rf "$bad"' EXIT
mkdir -p "$bad"/{cli,engine/base,engine/formats,metrics,reports,suites,tests}
put() { printf '%b' "$2" >"$bad/$1"; } # FILE TEXT
guarded() { printf '#ifndef KERF_%s\\n#define KERF_%s\\n%s\\n#endif\\n' "$1" "$1" "$2"; }

# A good file of each layer: nothing is found.
put engine/base/error.h "$(guarded ENGINE_BASE_ERROR_H 'int error_set(void);')"
put engine/formats/gguf.h "$(guarded ENGINE_FORMATS_GGUF_H '#include "engine/base/error.h"')"
put metrics/acc.c '#include "metrics/acc.h"\n#include "engine/base/error.h"\n#include <math.h>\n'
put reports/table.c '#include "reports/table.h"\n#include "engine/base/error.h"\n'
put suites/run.c '#include "suites/run.h"\n#include "metrics/acc.h"\n#include "engine/formats/gguf.h"\n#include "version.h"\n'
put cli/main.c '#include "cli/main.h"\n#include "reports/table.h"\n#include "suites/run.h"\n#include "engine/formats/gguf.h"\n'
put tests/test.c '#include "suites/run.c"\n'
found=$(check_tree "$bad")
[ -z "$found" ] || fail "a good tree was refused: $found"

# FILE | TEXT | WHAT IS SAID
while IFS='|' read -r file text words; do
    put "$file" "$text"
    found=$(check_tree "$bad")
    grep -qE "^$file:.*$words" <<<"$found" || fail "not found in $file: $words; instead: $found"
    [ "$(wc -l <<<"$found")" -eq 1 ] || fail "more than one finding for $file: $found"
    rm "$bad/$file"
done <<'CASES'
metrics/x.c|#include "engine/formats/gguf.h"\n|1: metrics may not include engine/formats/gguf.h
metrics/x.c|#include <math.h>\n\n# include  "suites/run.h"\n|3: metrics may not include suites/run.h
reports/x.c|#include "engine/tensor.h"\n|1: reports may not include engine/tensor.h
reports/x.c|#include "metrics/acc.h"\n|1: reports may not include metrics/acc.h
engine/x.c|#include "metrics/acc.h"\n|1: engine may not include metrics/acc.h
engine/formats/x.c|#include "cli/main.h"\n|1: engine may not include cli/main.h
engine/base/x.c|#include "engine/formats/gguf.h"\n|1: engine/base may not include engine/formats/gguf.h
suites/x.c|#include "reports/table.h"\n|1: suites may not include reports/table.h
suites/x.c|#include "cli/main.h"\n|1: suites may not include cli/main.h
cli/x.c|#include "tests/testing.h"\n|1: cli may not include tests/testing.h
cli/x.c|#include "suites/run.c"\n|1: includes the source file suites/run.c
cli/x.c|#include "main.h"\n|1: main.h must be named from the root
cli/x.h|int x;\n|must be guarded by KERF_CLI_X_H
cli/x.h|#ifndef KERF_X_H\n#define KERF_X_H\n#endif\n|must be guarded by KERF_CLI_X_H
cli/x.c|int\tx;\n|a tab
cli/x.c|int x; \n|white space at the end
cli/x.c|int x;\r\n|white space at the end
cli/x.c|int x; // TO\x44O later\n|a note to oneself
cli/x.c|int x; /* FIX\x4dE */\n|a note to oneself
cli/x.c|int x;|must end with a newline
CASES
put cli/x.c "$(printf '/* */\\n%.0s' {1..601})"
check_tree "$bad" | grep -q '^cli/x.c: has 601 lines' || fail "a long file was not found"

found=$(check_tree .)
[ -z "$found" ] || fail "the tree breaks its rules:"$'\n'"$found"
[ "$(sources | wc -l)" -gt 100 ] || fail "only $(sources | wc -l) source files were found: is this the tree's root?"
[ $failures -eq 0 ]
