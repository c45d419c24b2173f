/* Rows of named columns, for the readers of tables: a row becomes a document {column: text}.
 *
 *     struct table t = {.columns = names, .complete = complete, .emit = emit, .user = user};
 *     status = table_row(&t, fields, e);      for every row
 *     table_close(&t);
 *
 * dataset_kwargs of such a reader: `columns`, the names from left to right; `header: true` where the first row is none
 * of the data (and has the names, where `columns` does not give them). */
#ifndef KERF_SUITES_READERS_TABLE_H
#define KERF_SUITES_READERS_TABLE_H

#include "suites/readers/lines.h"

enum { TABLE_COLUMNS = 1000 }; /* at most; names are compared in pairs */

struct table {
    const json_t *columns; /* NULL: the header has the names */
    bool header;
    int (*check)(const json_t *names, struct error *e); /* MAY: whether the header's names are those due */
    complete_document complete;                         /* MAY */
    void *state;
    reader_emit emit;
    void *user;
    json_t *names; /* of the header */
    bool started;
};

/* The next row, a list of texts that becomes the table's. Errors are without a place. */
int table_row(struct table *t, json_t *fields, struct error *e);
void table_close(struct table *t);

/* A list of different, non-empty names of columns. */
int table_columns_check(const json_t *columns, struct error *e);
/* `columns` and `header` of dataset_kwargs. */
int table_kwargs_check(const json_t *kwargs, struct error *e);
void table_kwargs(struct table *t, const json_t *kwargs);

/* Lines of columns with a tab between them. There is no quoting: a quotation mark is a character (as in GLUE's files).
 * Closes the table. */
int tsv_rows(const struct reader_source *source, struct table *t, struct error *e);
/* Records as RFC 4180 has them: fields with a delimiter between them, in quotation marks where they hold one. Closes
 * the table. */
int csv_rows(const struct reader_source *source, char delimiter, struct table *t, struct error *e);

#endif
