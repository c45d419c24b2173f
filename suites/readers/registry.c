/* The readers there are. */
#include "suites/reader.h"

#include <string.h>

extern const struct reader reader_hellaswag, reader_lambada, reader_paragraphs, reader_squad, reader_sst2, reader_text,
    reader_tsv;

static const struct reader *const readers[] = {
    &reader_hellaswag, &reader_lambada, &reader_paragraphs, &reader_squad, &reader_sst2, &reader_text, &reader_tsv,
};

const struct reader *reader_at(size_t i) { return i < sizeof readers / sizeof *readers ? readers[i] : NULL; }

const struct reader *reader_find(const char *name)
{
    const struct reader *r;
    for (size_t i = 0; (r = reader_at(i)) && strcmp(r->name, name) != 0;) i++;
    return r;
}
