#!/usr/bin/env bash
# Suite files and data files with a mistake in them: status 3 and one line with the file, the line and the remedy.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama
mine=$folder/mine.yaml

fresh() { # SUITE
    local data
    data=$(sed -n 's|^dataset_path: millbrook/||p' "suites/$1.yaml")
    sed "s|^dataset_path: .*|dataset_path: $data|" "suites/$1.yaml" >"$mine"
    cp "datasets/millbrook/$data" "$folder"
    data_file=$folder/$data
}

fresh endings
run eval $L --suite "$mine" --limit 2
expect_status 0

# SUITE | sed SCRIPT for the suite file | WORDS
while IFS='|' read -r suite script words; do
    fresh "$suite"
    sed -i "$script" "$mine"
    run eval $L --suite "$mine" --limit 2 --out "$folder/out"
    expect_error 3 "mine.yaml: $words"
    run suites "$mine"
    expect_error 3 "mine.yaml: $words"
done <<'CASES'
endings|s/^doc_to_choice/doc_to_choise/|line 7: doc_to_choise: unknown key, did you mean "doc_to_choice"\?
endings|$a zzz: 1|line [0-9]+: zzz: unknown key
endings|s/metric: acc$/metric: acc_nrm/|line [0-9]+: metric_list\[0\]: "acc_nrm": no such metric of multiple_choice, did you mean "acc_norm"\?
endings|s/metric: acc$/metric: bleu/|line [0-9]+: metric_list\[0\]: "bleu" is a metric of generate_until, not of multiple_choice
endings|s/hellaswag/helaswag/|line 4: dataset_format: "helaswag": no such format, did you mean "hellaswag"\?
endings|s/multiple_choice/multiple_choise/|line 5: output_type: must be one of .*did you mean "multiple_choice"\?
endings|/^doc_to_text/d|doc_to_text: missing key
endings|s/^task:.*/task: ..\/evil/|line 1: task: must be a name
endings|s/^dataset_path:.*/dataset_path: nothing.jsonl/|line 3: dataset_path: no such file; looked at
endings|s/{{ctx}}/{{ctx/|line [0-9]+: doc_to_text:
endings|$a task: again|line [0-9]+: task: the key is there twice
endings|1s/.*/task: [endings/|line
questions|s/max_gen_toks: 8/max_gen_toks: 0/|line [0-9]+: generation_kwargs.max_gen_toks: must be a whole number
questions|s/until:.*/until: 3/|line [0-9]+: generation_kwargs.until: must be a list of strings
CASES

# SUITE | sed SCRIPT for the data | WORDS
while IFS='|' read -r suite script words; do
    fresh "$suite"
    sed -i "$script" "$data_file"
    run eval $L --suite "$mine" --limit 4 --out "$folder/out"
    expect_error 3 "$(basename "$data_file"): $words"
done <<'CASES'
endings|3s/.*/{"ctx": "broken/|line 3: 
endings|2s/"label": *[^,}]*/"label": 9/|line 2: .*9
endings|4s/"ctx"/"cx"/|line 4: ctx: is missing
lastword|2s/.*/[]/|line 2: 
lastword|1s/.*/\xff\xfe/|line 1: 
reviews|1d|line 1: header: must name the columns
reviews|3s/\t.*/\t2/|line 3: label: 2 is not from 0 to 1
reviews|4s/\t/ /|line 4: has 1 column, not 2
translation|2s/$/\tmore/|line 2: has 3 columns, not 2
questions|1s/./[/|line
questions|s/"question"/"kuestion"/|data\[0\]: paragraphs\[0\]: qas\[0\]: question: is missing
CASES

# A data file with nothing in it.
fresh endings
: >"$data_file"
run eval $L --suite "$mine"
expect_error 3 'endings.test.jsonl'

[ ! -e "$folder/out/run.json" ] || fail "no run.json after an error" "one"
[ -z "$(find "$folder" -name '*.tmp*')" ] || fail "no temporary file" "$(find "$folder" -name '*.tmp*')"
finish
