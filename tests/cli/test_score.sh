#!/usr/bin/env bash
# kerf score: published values, second opinions, the forms of output, what is refused.
source "$(dirname "$0")/lib.sh"

# The JSON's scores, a line each: metric, file (from 0), value.
scores() {
    awk '/^   "name": / { name = $2; file = 0 }
         /^     "value": / { gsub(/[",]/, "", name); gsub(/,/, "", $2); print name, file++, $2 }' "$kept/stdout"
}

score_of() { # METRIC FILE
    scores | awk -v metric="$1" -v file="$2" '$1 == metric && $2 == file { print $3 }'
}

expect_near() { # WHAT EXPECTED GOT TOLERANCE
    awk -v a="$2" -v b="$3" -v t="$4" 'BEGIN { d = a - b; exit !(a != "" && b != "" && d <= t && -d <= t) }' ||
        fail "$1: $2" "$3"
}

field() { # KEY: the first value of it
    sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},*\$/\1/p" "$kept/stdout" | head -n 1
}

cd "$folder" || exit 1

# --- lines of texts ---

printf 'the cat sat on the mat today\n\nNo, it did not happen.\nfour words are here\n' >ref
printf 'the cat sat on the mat\n\nno, it did not happen!\nfour words are here\n' >hyp
printf 'a dog\n\nnothing at all\nfour words\n' >worse

run score --metric bleu,chrf --ref ref hyp
expect_status 0
expect_stderr_empty
expect_no_controls
expect_stdout_match '^metric +value +95% interval +std error +items$'
expect_stdout_match '^bleu +[0-9]+\.[0-9]{2}  \[[0-9.]+, [0-9.]+\] +[0-9.]+ +4$'
expect_stdout_match '^bleu: nrefs:1\|case:mixed\|eff:no\|tok:13a\|smooth:exp\|version:'
expect_stdout_match '^chrf: nrefs:1\|case:mixed\|eff:yes\|nc:6\|nw:0\|space:no\|version:'

# One that is the reference is perfect; lines may end as Windows ends them; the last end may be missing.
sed 's/$/\r/' ref | head -c -2 >same
run score --metric bleu,exact_match --ref ref same --json
expect_status 0
expect_near bleu 100 "$(score_of bleu 0)" 1e-9
expect_near exact_match 1 "$(score_of exact_match 0)" 0

# Of two references the better counts, in any order.
run score --metric exact_match --ref hyp --ref ref hyp --json
expect_near exact_match 1 "$(score_of exact_match 0)" 0
expect_stdout_match '^ *"items": 4,$'
run score --metric bleu --ref hyp --ref ref ref
expect_stdout_match '^bleu: nrefs:2\|'

# Empty ones do not count: sacreBLEU's signature has "var" where the number of the others varies.
printf '\n\nNo.\n\n' >partly
run score --metric bleu,chrf,ter --ref ref --ref partly hyp
expect_status 0
expect_equal "signatures" 3 "$(grep -c ': nrefs:var|' "$kept/stdout")"
printf '\n\n\n\n' >blank
run score --metric bleu --ref ref --ref blank hyp
expect_stdout_match '^bleu: nrefs:1\|'

# Settings reach the metrics that take them, and change signature and fingerprint; the candidates do not.
run score --metric bleu,chrf --ref ref hyp --json
plain=$(field fingerprint) value=$(score_of bleu 0)
run score --metric bleu,chrf --ref ref worse --json
expect_equal "the fingerprint of other candidates" "$plain" "$(field fingerprint)"
run score --metric bleu,chrf --ref ref hyp --json --lowercase --set bleu.smooth_method=floor --set bleu.smooth_value=0.2
expect_status 0
expect_equal "signature" "nrefs:1|case:lc|eff:no|tok:13a|smooth:floor[0.20]|" "$(field signature | sed 's/version.*//')"
expect_stdout_match '"lowercase=true"'
[ "$(field fingerprint)" != "$plain" ] || fail "another fingerprint" "$plain"
[ "$(score_of bleu 0)" != "$value" ] || fail "another BLEU" "$value"
other=$(field fingerprint)
run score --metric chrf,bleu --ref ref hyp --json --set bleu.smooth_value=0.2 --set bleu.smooth_method=floor --lowercase
expect_equal "fingerprints in another order of settings" 1 "$(grep -c "$other" "$kept/stdout")"
run score --metric bleu --ref hyp hyp --json
[ "$(field fingerprint)" != "$plain" ] || fail "another fingerprint of other references" "$plain"
run score --metric bleu --tokenize char --ref ref hyp
expect_stdout_match 'tok:char'

# Standard input, once; a byte order mark is no text.
run_with hyp score --metric bleu --ref ref - --json
expect_status 0
expect_near "bleu of standard input" "$value" "$(score_of bleu 0)" 0
expect_stdout_match '"path": "standard input"'
run score --metric bleu --ref <(cat ref) <(cat hyp) --json
expect_status 0
expect_near "bleu of pipes" "$value" "$(score_of bleu 0)" 0
printf '\xef\xbb\xbf' | cat - hyp >marked
run score --metric bleu --ref ref marked --json
expect_near "bleu behind a byte order mark" "$value" "$(score_of bleu 0)" 0
expect_stdout_match "\"sha256\": \"$(sha256sum marked | cut -d ' ' -f 1)\""

# Every item by itself.
run score --metric exact_match,f1 --ref ref hyp --sentence-level
expect_status 0
expect_stdout "$(printf 'exact_match\tf1\n0.000000\t0.888889\n1.000000\t1.000000\n0.000000\t1.000000\n1.000000\t1.000000')"
run score --metric bleu --ref ref hyp worse --sentence-level --json
expect_status 0
expect_json "$kept/stdout"
expect_equal "lists of items" 2 "$(grep -c '^     "items": \[' "$kept/stdout")"
expect_stdout_match 'eff:yes'

# --- several files ---

for i in 1 2 3 4 5 6 7 8 9 10; do cat ref; done >ref40
for i in 1 2 3 4 5 6 7 8 9 10; do cat hyp; done >hyp40
for i in 1 2 3 4 5 6 7 8 9 10; do cat worse; done >worse40
run score --metric bleu,exact_match --ref ref40 hyp40 worse40 hyp40 --paired
expect_status 0
expect_stdout_match '^metric +file +value +95% interval +std error +items +difference +95% interval +p +p \(Holm\)$'
expect_stdout_match '^ +worse40 .* -[0-9.]+ +\[-[0-9.]+, -[0-9.]+\]  0\.0002    0\.0004$'
expect_stdout_match '^ +hyp40 .*  0\.00 .*  1\.0000    1\.0000$'
expect_stdout_match '^exact_match +hyp40 '
run score --metric bleu,exact_match --ref ref40 hyp40 worse40 --paired=ar --json --resamples 200
expect_status 0
expect_json "$kept/stdout"
for pattern in '"schema": "kerf-score-1"' '"format": "lines"' '"test": "randomization"' '"p_holm": 0.00' \
    '"significant": true' '"resamples": 200' '"seed": 1234' '"difference": null' '"better": "higher"' '"unit": "%"'; do
    expect_stdout_match "$pattern"
done
expect_equal "tests" 2 "$(grep -c '"test"' "$kept/stdout")"
run score --metric exact_match --ref ref40 hyp40 worse40 --paired --json
expect_stdout_match '"test": "mcnemar"'
expect_stdout_match '"lost": 10'
run score --metric bleu --ref ref40 hyp40 worse40 --paired --markdown
expect_status 0
expect_stdout_match '^\| metric \| file +\| +value \| '
expect_stdout_match '^- bleu: `nrefs:1'
expect_equal "columns of every line of the table" "10" "$(grep '^|' "$kept/stdout" | tr -dc '|\n' | awk '{ print length }' | uniq)"

# The same bits for any number of threads.
run score --metric bleu,chrf,f1 --ref ref40 hyp40 worse40 --paired=ar --json --threads 1 --sentence-level
grep -v '"threads"' "$kept/stdout" >one
run score --metric bleu,chrf,f1 --ref ref40 hyp40 worse40 --paired=ar --json --threads 3 --sentence-level
grep -v '"threads"' "$kept/stdout" >three
expect_same_file one three

# --- labels ---

printf '%s\n' pos neg pos neg pos neg neg pos neg pos >gold
printf '%s\n' pos neg neg neg pos pos neg pos neg pos >said
printf '%s\n' pos neg neg maybe pos pos neg pos neg pos >odd
run score --metric acc,f1,mcc,precision,recall --ref gold said --json
expect_status 0
expect_stderr_empty
expect_stdout_match '"format": "labels"'
expect_equal "labels" '["neg","pos"]' "$(tr -d ' \n' <"$kept/stdout" | sed 's/.*"labels":\([^]]*]\).*/\1/')"
for expected in 'acc 0.8' 'f1 0.8' 'mcc 0.6' 'precision 0.8' 'recall 0.8'; do
    expect_near "${expected% *}" "${expected#* }" "$(score_of "${expected% *}" 0)" 1e-12
done
run score --metric acc,mcc --ref gold said odd
expect_status 0
expect_stderr_line 'odd: 1 of 10 lines are no label of gold; they are a class of their own, which is never right$'
expect_stdout_match '^ +odd +0\.7000'
run score --metric f1 --labels --ref gold said --json
expect_near "f1 of labels" 0.8 "$(score_of f1 0)" 1e-12
expect_stdout_match '"format": "labels"'
run score --metric f1 --ref gold said --json
expect_stdout_match '"format": "lines"'
run score --metric f1 --labels --ref gold odd
expect_status 3
seq 65 >many
run score --metric acc --ref many many
expect_error 3 'many: line 65: more than 64 different labels$'
printf 'a\n\nb\n' >hole
run score --metric acc --ref hole hole
expect_error 3 'hole: line 2: is empty, a label is due$'

# --- SQuAD ---

cat >data.json <<'END'
{"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "The Fog was thick over a mill.", "qas": [
 {"id": "a", "question": "What?", "is_impossible": false, "answers": [{"text": "The Fog"}, {"text": "thick fog"}]},
 {"id": "b", "question": "Who?", "is_impossible": true, "answers": [], "plausible_answers": [{"text": "a mill"}]},
 {"id": "c", "question": "Why?", "is_impossible": true, "answers": []},
 {"id": "d", "question": "Where?", "is_impossible": false, "answers": [{"text": "over a mill"}]}]}]}]}
END
echo '{"a": "fog!", "b": "", "c": "a mill", "d": "a mill in town"}' >predictions.json
run score --metric squad --ref data.json predictions.json --json
expect_status 0
expect_stderr_empty
expect_near exact_match 0.5 "$(score_of exact_match 0)" 1e-12
expect_near f1 0.6 "$(score_of f1 0)" 1e-12
echo '{"a": "fog!", "c": "", "x": "y", "z": ""}' >some.json
run score --metric squad --ref data.json some.json --json
expect_status 0
expect_equal "notes" 2 "$(wc -l <"$kept/stderr")"
grep -q 'some.json: 2 of 4 questions have no prediction and count 0$' "$kept/stderr" || fail "a note of missing ones" "$(cat "$kept/stderr")"
grep -q 'some.json: predictions whose id no question of data.json has: 2;' "$kept/stderr" || fail "a note of unknown ones" "$(cat "$kept/stderr")"
expect_near "exact_match where one without an answer is missing" 0.5 "$(score_of exact_match 0)" 1e-12
expect_equal "missing" 2 "$(field missing)"

bad_predictions() { # JSON, ERROR
    printf '%b' "$1" >bad.json
    run score --metric squad --ref data.json bad.json
    expect_error 3 "$2"
}
bad_predictions '[1]' 'bad.json: must be an object'
bad_predictions '{"a": 7}' 'bad.json: a: must be a string$'
bad_predictions '{"a": "x", "a": "y"}' 'bad.json: .*duplicate'
bad_predictions '{"a": "x"' 'bad.json: line 1'
bad_predictions '{"a": "\\u0000"}' 'bad.json: '
bad_predictions "$(head -c 100000 /dev/zero | tr '\0' '[')" 'bad.json: .*depth'
sed 's/"id": "b"/"id": "a"/' data.json >twice.json
run score --metric squad --ref twice.json predictions.json
expect_error 3 'twice.json: .*id: "a" is given to two questions$'
run score --metric squad --ref predictions.json predictions.json
expect_error 3 'predictions.json: data: is missing$'
echo '{"data": []}' >none.json
run score --metric squad --ref none.json predictions.json
expect_error 3 'none.json: has no questions$'

# --- entities ---

printf -- '-DOCSTART- -X- O\n\nAda NNP B-PER\nLovelace NNP I-PER\nleft O\nLondon NNP B-LOC\n\nRain O\n' >gold.conll
printf 'Ada\tB-PER\nLovelace\tI-PER\nleft\tO\nLondon\tB-ORG\n\n\n\xef\xbb\xbf\nRain\tO\n' >said.conll
run score --metric entity-f1 --ref gold.conll said.conll
expect_status 0
expect_stdout_match '^entity_f1 +0\.5000 .* 2$'
expect_stdout_match '^type +references +predicted +right +precision +recall +F1$'
expect_stdout_match '^LOC +1 +0 +0 +0\.0000 +0\.0000 +0\.0000$'
expect_stdout_match '^PER +1 +1 +1 +1\.0000 +1\.0000 +1\.0000$'
run score --metric entity-f1 --ref gold.conll said.conll gold.conll --markdown
expect_status 0
expect_stdout_match '^\| type \| references \|'

bad_columns() { # SED EXPRESSION, ERROR
    sed "$1" gold.conll >bad.conll
    run score --metric entity-f1 --ref gold.conll bad.conll
    expect_error 3 "$2"
}
bad_columns 's/^left/went/' 'bad.conll: line 5: the token is "went", in gold.conll line 5 it is "left"$'
bad_columns 's/^left O/left/' 'bad.conll: line 5: has one column, a token and its tag are due$'
bad_columns '$d' 'bad.conll: has 4 tokens, gold.conll has 5$'
bad_columns '7d' 'bad.conll: line 7: does not begin a sentence, unlike line 8 of gold.conll$'
bad_columns 's/^left/\n&/' 'bad.conll: line 6: begins a sentence, unlike line 5 of gold.conll$'
bad_columns 's/B-LOC/LOC/' 'bad.conll: sentence 1: entity_f1: .*LOC'
bad_columns '1,$d;a\\n' 'bad.conll: (has no tokens|is empty)$'

# --- what is refused ---

run score --metric bleu --ref missing hyp
expect_error 4 'missing: .*No such file'
run score --metric bleu --ref ref .
expect_error 4 '\.: .*directory'
: >empty
run score --metric bleu --ref ref empty
expect_error 3 'empty: is empty$'
head -c 64 "$kerf" >binary
run score --metric bleu --ref ref binary
expect_error 3 'binary: line 1: byte [0-9]+: is '
head -n 3 hyp >short
run score --metric bleu --ref ref short
expect_error 3 'short: has 3 lines, ref has 4: they must go together line by line$'
run score --metric bleu --ref ref --ref short hyp
expect_error 3 'short: has 3 lines, ref has 4'
run score --metric pearson --ref ref hyp
expect_error 3 'hyp: line 1: pearson: .*not a number'

refused() { # ERROR, ARGUMENTS
    local expected=$1
    shift
    run score "$@"
    expect_error 2 "$expected"
}
refused '--metric bleuu: unknown metric, did you mean "bleu"\?$' --metric bleuu --ref ref hyp
refused '--metric NAME is missing' --ref ref hyp
refused '--metric: a name is empty$' --metric bleu, --ref ref hyp
refused '--metric: bleu is given twice$' --metric bleu --metric chrf,bleu --ref ref hyp
refused '--metric acc: takes labels, which the other metrics do not$' --metric bleu,acc --ref ref hyp
refused '--metric bleu: takes texts, not labels$' --metric bleu --labels --ref ref hyp
refused '--metric word_perplexity: needs a model, kerf eval measures it$' --metric word_perplexity --ref ref hyp
refused '--metric squad reads files of its own kind and stands alone$' --metric squad,bleu --ref ref hyp
refused '--ref FILE is missing$' --metric bleu hyp
refused 'at least one FILE' --metric bleu --ref ref
refused '--ref: files of this kind \(labels\) take one$' --metric acc --ref gold --ref gold said
refused '-: standard input can be one file only$' --metric bleu --ref - -
refused '--set bleu.tokenise=zh: tokenise: unknown option of the metric bleu, did you mean "tokenize"\?$' --metric bleu --set bleu.tokenise=zh --ref ref hyp
refused '--set bleu.tokenize=zz: tokenize: "zz" is none of ' --metric bleu --set bleu.tokenize=zz --ref ref hyp
refused '--set chrf.beta=1: chrf is none of the metrics$' --metric bleu --set chrf.beta=1 --ref ref hyp
refused '--set beta=1: is not METRIC.KEY=VALUE$' --metric bleu --set beta=1 --ref ref hyp
refused '--tokenize: tokenize: "zz" is none of ' --metric bleu --tokenize zz --ref ref hyp
refused '--tokenize: none of the metrics takes it \(chrf, f1\)$' --metric chrf,f1 --tokenize zh --ref ref hyp
refused '--lowercase: none of the metrics takes it \(f1\)$' --metric f1 --lowercase --ref ref hyp
refused '--paired takes at least two FILEs' --metric bleu --paired --ref ref hyp
refused '--paired=t: must be bootstrap or ar' --metric bleu --paired=t --ref ref hyp worse
refused '--json and --markdown' --metric bleu --json --markdown --ref ref hyp
refused '--sentence-level takes one FILE, or --json$' --metric bleu --sentence-level --ref ref hyp worse
refused '--sentence-level and --markdown' --metric bleu --sentence-level --markdown --ref ref hyp
refused '--resamples: "0" must be' --metric bleu --resamples 0 --ref ref hyp

# --- second opinions over public data ---

data=$shared/data
if ! command -v python3 >"$kept/found"; then
    echo "skipped: the second opinions, python3 is not here"
elif [ ! -d "$data" ]; then
    echo "skipped: the second opinions, $data is not here"
else
    oracle=$root/tests/oracle
    squad=$data/xquad/xquad.en.json
    for seed in 1 2; do
        python3 "$oracle/squad.py" predict "$squad" $seed made.json
        read -r n exact f1 <<<"$(python3 "$oracle/squad.py" score "$squad" made.json)"
        run score --metric squad --ref "$squad" made.json --json --resamples 1
        expect_status 0
        expect_equal "questions" "1190 1190" "$n $(field items)"
        expect_near "exact match, seed $seed" "$exact" "$(score_of exact_match 0)" 1e-12
        expect_near "F1, seed $seed" "$f1" "$(score_of f1 0)" 1e-12

        gold=$data/classification/emerging.dev.conll
        python3 "$oracle/entities.py" perturb "$gold" $seed made.conll
        python3 "$oracle/entities.py" score "$gold" made.conll >expected
        run score --metric entity-f1 --ref "$gold" made.conll --json --resamples 1
        expect_status 0
        read -r _ precision recall f1 _ <expected
        expect_near "precision, seed $seed" "$precision" "$(score_of entity_precision 0)" 1e-12
        expect_near "recall, seed $seed" "$recall" "$(score_of entity_recall 0)" 1e-12
        expect_near "F1 of entities, seed $seed" "$f1" "$(score_of entity_f1 0)" 1e-12
        awk 'NR > 1 { print $1, $6, $7, $5 }' expected >expected-types
        tr -d '\n' <"$kept/stdout" | grep -o '{ *"type": [^}]*' |
            sed 's/.*"type": "\([^"]*\)", *"references": \([0-9]*\), *"predicted": \([0-9]*\), *"right": \([0-9]*\).*/\1 \2 \3 \4/' >types
        expect_same_file expected-types types
    done
    # SQuAD 2.0, of which some questions have no answer.
    python3 - "$squad" v2.json <<'END'
import json, sys
data = json.load(open(sys.argv[1], encoding="utf-8"))
questions = [q for a in data["data"] for p in a["paragraphs"] for q in p["qas"]]
for i, question in enumerate(questions):
    question["is_impossible"] = i % 3 == 0
    if i % 3 == 0:
        question["answers"] = []
json.dump(data, open(sys.argv[2], "w", encoding="utf-8"))
END
    python3 "$oracle/squad.py" predict v2.json 3 made.json
    read -r n exact f1 <<<"$(python3 "$oracle/squad.py" score v2.json made.json)"
    run score --metric squad --ref v2.json made.json --json --resamples 1
    expect_status 0
    expect_near "exact match of SQuAD 2.0" "$exact" "$(score_of exact_match 0)" 1e-12
    expect_near "F1 of SQuAD 2.0" "$f1" "$(score_of f1 0)" 1e-12
fi

# --- published values: WMT22 ---

if [ ! -d "$data/wmt22" ]; then
    echo "skipped: WMT22, $data/wmt22 is not here"
else
    wmt() { # PAIR LANGUAGE REFERENCES SYSTEM...
        local pair=$1 language=$2 references=$3 which i metric published
        shift 3
        local arguments=() systems=("$@")
        for which in ${references/all/A B}; do arguments+=(--ref "$data/wmt22/generaltest2022.$pair.ref.$which.$language"); done
        for i in "${systems[@]}"; do arguments+=("$data/wmt22/generaltest2022.$pair.hyp.$i.$language"); done
        [ "$pair" != en-zh ] || arguments+=(--set bleu.tokenize=zh)
        run score --metric bleu,chrf --json --resamples 1 "${arguments[@]}"
        expect_status 0
        for i in "${!systems[@]}"; do
            for metric in bleu chrf; do
                published=$(awk -v p="$pair" -v s="${systems[i]}" -v m="$metric-$references" '$1 == p && $2 == s && $5 == m { print $6 }' "$data/wmt22/scores.tsv")
                expect_near "$pair ${systems[i]} $metric-$references" "$published" "$(score_of $metric "$i")" 1e-6
            done
        done
    }
    for references in A B all; do wmt de-en en $references LT22 Online-A Online-B; done
    wmt en-zh zh A Online-A
fi
finish
