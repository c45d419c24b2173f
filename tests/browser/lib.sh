# What the browser tests share: the programs that they need. Where one is missing they are skipped, but in continuous
# integration (CI is set) that is a failure, unless KERF_NO_BROWSER says that it is meant.
source "$(dirname "$0")/../cli/lib.sh"
browser_test() { # SCRIPT
    local missing=() program
    for program in python3 chromium chromedriver; do
        command -v "$program" >"$kept/which" || missing+=("$program")
    done
    [ -z "${KERF_NO_BROWSER:-}" ] || skip "KERF_NO_BROWSER is set"
    if [ ${#missing[@]} -gt 0 ]; then
        [ -z "${CI:-}" ] || { echo "FAILED   not installed: ${missing[*]} (script/bootstrap --test; KERF_NO_BROWSER=1 goes without)"; exit 1; }
        skip "not installed: ${missing[*]} (script/bootstrap --test)"
    fi
    rm -rf "$kept" "$folder"
    exec python3 -B "$(dirname "$0")/$1" "$kerf"
}
