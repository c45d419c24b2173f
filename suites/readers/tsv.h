/* Lines of columns with a tab between them. There is no quoting: a quotation mark is a character (as in GLUE's files).
 */
#ifndef KERF_SUITES_READERS_TSV_H
#define KERF_SUITES_READERS_TSV_H

#include "suites/readers/lines.h"

/* A list of different, non-empty names of columns. */
int tsv_columns_check(const json_t *columns, struct error *e);
/* The names on a header line, a new list; NULL with an error. */
json_t *tsv_header(const struct lines *l, struct error *e);
/* The current line as a document {column: text}, new; NULL with an error. */
json_t *tsv_document(const struct lines *l, const json_t *columns, struct error *e);

#endif
