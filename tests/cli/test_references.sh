#!/usr/bin/env bash
# The signature of a metric counts the references of the data.
source "$(dirname "$0")/lib.sh"
for references in '["a"]:nrefs:1' '["a", "b"]:nrefs:2'; do
    count=${references#*:}
    printf '{"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "c", "qas": [{"id": "1", "question": "q", "answers": [%s]}]}]}]}\n' \
        "$(sed 's/:nrefs.*//; s/[][]//g; s/"\([ab]\)"/{"text": "\1", "answer_start": 0}/g' <<<"$references")" >"$folder/data.json"
    cat >"$folder/refs.yaml" <<'Y'
task: refs
dataset_path: data.json
dataset_format: squad
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answers}}"
generation_kwargs: {until: ["\n"], max_gen_toks: 2}
metric_list: [{metric: bleu}]
Y
    run eval millbrook-llama --suite "$folder/refs.yaml" --out "$folder/out"
    expect_status 0
    expect_equal "signature" 1 "$(grep -c "\"signature\": \"$count|" "$folder/out/run.json")"
done
finish
