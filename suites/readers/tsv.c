/* Tab-separated files; see table.h. */
#include "suites/readers/table.h"

#include <string.h>

/* The line's columns, new; NULL with an error. */
static json_t *split(const struct lines *l, struct error *e)
{
    size_t n = 1;
    for (size_t i = 0; i < l->length; i++) n += l->text[i] == '\t';
    if (n > TABLE_COLUMNS) {
        error_set(e, ERROR_INPUT, "has %zu columns, at most %d are accepted", n, TABLE_COLUMNS);
        return NULL;
    }
    json_t *fields = json_array();
    const char *at = l->text, *end = at + l->length;
    for (const char *tab; at; at = tab ? tab + 1 : NULL) {
        tab = memchr(at, '\t', (size_t)(end - at));
        json_array_append_new(fields, json_stringn(at, (size_t)((tab ? tab : end) - at)));
    }
    if (json_array_size(fields) == n) return fields;
    error_set(e, ERROR_IO, "out of memory for a row");
    json_decref(fields);
    return NULL;
}

int tsv_rows(const struct reader_source *source, struct table *t, struct error *e)
{
    struct lines l;
    lines_open(&l, source);
    while (lines_next(&l, e)) {
        json_t *fields = split(&l, e);
        lines_end(&l, fields ? table_row(t, fields, e) : e ? (int)e->code : ERROR_INPUT, e);
    }
    table_close(t);
    return l.status;
}

static int tsv_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    if (table_kwargs_check(source->options, e)) return error_prefix(e, "%s: dataset_kwargs", source->path);
    struct table t = {.emit = emit, .user = user};
    table_kwargs(&t, source->options);
    return tsv_rows(source, &t, e);
}

const struct reader reader_tsv = {
    .name = "tsv",
    .summary = "lines of tab-separated columns, without quoting",
    .fields = (const char *const[]){NULL},
    .kwargs = (const char *const[]){"columns", "header", NULL},
    .check = table_kwargs_check,
    .read = tsv_read,
};
