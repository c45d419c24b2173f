/* The readers there are. */
#include "suites/reader.h"

#include <string.h>

extern const struct reader reader_arc, reader_boolq, reader_cola, reader_conll, reader_csv, reader_gsm8k,
    reader_hellaswag, reader_hellaswag_text, reader_json, reader_jsonl, reader_lambada, reader_mmlu, reader_mrpc,
    reader_paragraphs, reader_parallel, reader_piqa, reader_squad, reader_sst2, reader_text, reader_tsv,
    reader_wikitext, reader_winogrande;

static const struct reader *const readers[] = {
    &reader_arc,      &reader_boolq,      &reader_cola,           &reader_conll,      &reader_csv,
    &reader_gsm8k,    &reader_hellaswag,  &reader_hellaswag_text, &reader_json,       &reader_jsonl,
    &reader_lambada,  &reader_mmlu,       &reader_mrpc,           &reader_paragraphs, &reader_parallel,
    &reader_piqa,     &reader_squad,      &reader_sst2,           &reader_text,       &reader_tsv,
    &reader_wikitext, &reader_winogrande,
};

const struct reader *reader_at(size_t i) { return i < sizeof readers / sizeof *readers ? readers[i] : NULL; }

const struct reader *reader_find(const char *name)
{
    const struct reader *r;
    for (size_t i = 0; (r = reader_at(i)) && strcmp(r->name, name) != 0;) i++;
    return r;
}
