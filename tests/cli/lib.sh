# What the command-line tests share. A test begins with
#
#     source "$(dirname "$0")/lib.sh"
#
# and ends with `finish`. `run` keeps what kerf printed and returned; every expectation that fails says which command
# ran, what was expected and what came. $folder is a fresh folder of the test's own, removed at the end.
set -u
export LC_ALL=C OMP_WAIT_POLICY=passive # other tests run beside this one
unset KERF_DATA COLUMNS NO_COLOR
kerf=$(realpath "$1")
root=$PWD
shared=$(realpath -m "${KERF_SHARED:-../shared}")
kept=$(mktemp -d)
folder=$(mktemp -d)
trap 'rm -rf "$kept" "$folder"' EXIT
failures=0
command_line=

skip() { # REASON
    echo "skipped: $1"
    exit 77
}

finish() {
    [ "$failures" -eq 0 ] || echo "$failures expectations failed"
    [ "$failures" -eq 0 ]
    exit
}

fail() { # EXPECTED GOT
    failures=$((failures + 1))
    printf 'FAILED   %s\n  expected %s\n  got      %s\n' "$command_line" "$1" "$2"
}

run() { # ARGUMENTS OF KERF
    run_with /dev/null "$@"
}

run_with() { # FILE FOR STANDARD INPUT, ARGUMENTS OF KERF
    local input=$1
    shift
    command_line="kerf $(printf '%q ' "$@")"
    timeout 120 "$kerf" "$@" <"$input" >"$kept/stdout" 2>"$kept/stderr"
    status=$?
}

expect_status() { # STATUS
    [ "$status" -eq "$1" ] || fail "status $1" "status $status: $(tail -n 3 "$kept/stderr")"
}

expect_stdout() { # TEXT, with a newline after it
    printf '%s\n' "$1" | cmp -s - "$kept/stdout" || fail "on standard output: $1" "$(head -c 500 "$kept/stdout")"
}

expect_stdout_golden() { # FILE
    cmp -s "$1" "$kept/stdout" || fail "the bytes of $1" "$(diff -a "$1" "$kept/stdout" | head -n 5)"
}

expect_stdout_match() { # REGULAR EXPRESSION that a line matches
    grep -aEq -- "$1" "$kept/stdout" || fail "a line like $1" "$(head -c 500 "$kept/stdout")"
}

expect_stderr_empty() {
    [ ! -s "$kept/stderr" ] || fail "nothing on standard error" "$(head -n 5 "$kept/stderr")"
}

# Standard error is one line and matches.
expect_stderr_line() { # REGULAR EXPRESSION
    if [ "$(wc -l <"$kept/stderr")" -ne 1 ] || ! grep -aEq -- "$1" "$kept/stderr"; then
        fail "one line on standard error like $1" "$(head -n 5 "$kept/stderr")"
    fi
}

# Nothing on standard output, one line "error: ..." that matches.
expect_error() { # STATUS, REGULAR EXPRESSION
    expect_status "$1"
    [ ! -s "$kept/stdout" ] || fail "nothing on standard output" "$(head -c 300 "$kept/stdout")"
    expect_stderr_line "^error: .*$2"
}

expect_equal() { # WHAT, EXPECTED, GOT
    [ "$2" = "$3" ] || fail "$1: $2" "$3"
}

expect_same_file() { # EXPECTED GOT
    cmp -s "$1" "$2" || fail "$2 to be the same bytes as $1" "$(cmp "$1" "$2" 2>&1)"
}

# A folder holds these files and nothing else, at any depth.
expect_files() { # FOLDER FILE...
    local where=$1
    shift
    expect_equal "files in $where" "$(printf '%s\n' "$@" | sed '/^$/d' | sort)" "$(cd "$where" && find . ! -type d -printf '%P\n' | sort)"
}

# No byte that a terminal would act on: controls but the newline, DEL, and C1 controls as UTF-8.
expect_no_controls() {
    local found
    found=$(cat "$kept/stdout" "$kept/stderr" | tr -d '\n' | grep -aoP '[\x00-\x1f\x7f]|\xc2[\x80-\x9f]' | head -n 1 | od -An -tx1)
    [ -z "$found" ] || fail "no control characters" "the bytes$found"
}

# Every line of a file is a whole JSON text: strings become @, other scalars #, then the inmost lists and objects become #
# until one is left. Prints how many lines are.
json_lines_good() { # FILE
    sed -E 's~"([^"\\\x01-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"~@~g
            s~(true|false|null)~#~g
            s~-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?~#~g
            s~[ \t]+([]:,}])~\1~g
            s~([{:,[])[ \t]+~\1~g
            :again
            s~\[([@#](,[@#])*)?\]~#~g
            s~\{(@:[@#](,@:[@#])*)?\}~#~g
            t again' "$1" | grep -ac '^[@#]$'
}

expect_json_lines() { # FILE, NUMBER OF LINES
    expect_equal "lines of $1" "$2" "$(wc -l <"$1")"
    expect_equal "lines of $1 that are JSON" "$2" "$(json_lines_good "$1")"
}

expect_json() { # FILE: one JSON text, on as many lines as it likes
    tr '\n' ' ' <"$1" | sed 's/ *$//' >"$kept/one-line"
    expect_equal "texts of $1 that are JSON" 1 "$(json_lines_good "$kept/one-line")"
}

# Little-endian numbers and GGUF's strings, to make small files by hand.
u32() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 24 & 255)))"; }
u64() { u32 $(($1 & 0xffffffff)) && u32 $(($1 >> 32)); }
gguf_string() { # TEXT, whose \ sequences are bytes
    u64 "$(printf '%b' "$1" | wc -c)"
    printf '%b' "$1"
}
gguf_header() { # NUMBER OF TENSORS, NUMBER OF KEYS
    printf GGUF && u32 3 && u64 "$1" && u64 "$2"
}
gguf_text_value() { # KEY VALUE
    gguf_string "$1" && u32 8 && gguf_string "$2"
}

# Overwrites bytes of a file: poke FILE OFFSET '\x00\x01'
poke() { printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
