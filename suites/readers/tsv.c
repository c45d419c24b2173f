/* Tab-separated files; see tsv.h. */
#include "suites/readers/tsv.h"
#include "engine/base/text.h"

#include <string.h>

enum { MOST = 1000 }; /* names are compared in pairs */

int tsv_columns_check(const json_t *columns, struct error *e)
{
    size_t n = json_array_size(columns);
    if (!n) return error_set(e, ERROR_INPUT, "columns: must be a list of names");
    if (n > MOST) return error_set(e, ERROR_INPUT, "columns: has %zu names, at most %d are accepted", n, MOST);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(columns, i));
        if (!name || !*name) return error_set(e, ERROR_INPUT, "columns: name %zu must be a non-empty string", i + 1);
        for (size_t k = 0; k < i; k++)
            if (strcmp(name, json_string_value(json_array_get(columns, k))) == 0)
                return error_set(e, ERROR_INPUT, "columns: \"%.60s\" is there twice", name);
    }
    return 0;
}

/* The next column of a line from *at on, a new string; NULL past the last one and without memory. */
static json_t *next_column(const char **at, const char *end)
{
    if (!*at) return NULL;
    const char *tab = memchr(*at, '\t', (size_t)(end - *at));
    json_t *v = json_stringn(*at, (size_t)((tab ? tab : end) - *at));
    *at = tab ? tab + 1 : NULL;
    return v;
}

static size_t count_columns(const struct lines *l)
{
    size_t n = 1;
    for (size_t i = 0; i < l->length; i++) n += l->text[i] == '\t';
    return n;
}

json_t *tsv_header(const struct lines *l, struct error *e)
{
    size_t n = count_columns(l);
    if (n > MOST) {
        error_set(e, ERROR_INPUT, "header: has %zu columns, at most %d are accepted", n, MOST);
        return NULL;
    }
    json_t *columns = json_array(), *name;
    const char *at = l->text;
    while ((name = next_column(&at, l->text + l->length))) json_array_append_new(columns, name);
    if (json_array_size(columns) == n && tsv_columns_check(columns, e) == 0) return columns;
    if (json_array_size(columns) != n) error_set(e, ERROR_IO, "header: out of memory");
    json_decref(columns);
    return NULL;
}

static void wrong_count(const struct lines *l, const json_t *columns, struct error *e)
{
    struct text names = {0};
    for (size_t i = 0; i < json_array_size(columns); i++)
        text_printf(&names, "%s%.60s", i ? ", " : "", json_string_value(json_array_get(columns, i)));
    size_t n = count_columns(l), due = json_array_size(columns);
    error_set(e, ERROR_INPUT, "has %zu column%s, not %zu with tabs between: %.300s", n, n == 1 ? "" : "s", due,
              text_c(&names));
    text_free(&names);
}

json_t *tsv_document(const struct lines *l, const json_t *columns, struct error *e)
{
    size_t n = json_array_size(columns);
    if (count_columns(l) != n) {
        wrong_count(l, columns, e);
        return NULL;
    }
    json_t *doc = json_object();
    const char *at = l->text;
    for (size_t i = 0; i < n; i++) {
        json_t *v = next_column(&at, l->text + l->length);
        if (!json_object_set_new(doc, json_string_value(json_array_get(columns, i)), v)) continue;
        error_set(e, ERROR_IO, "out of memory for a document");
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static int tsv_check(const json_t *kwargs, struct error *e)
{
    const json_t *columns = json_object_get(kwargs, "columns"), *header = json_object_get(kwargs, "header");
    if (header && !json_is_boolean(header)) return error_set(e, ERROR_INPUT, "header: must be true or false");
    if (!columns && !json_is_true(header))
        return error_set(e, ERROR_INPUT, "columns: is missing; without \"header: true\" the columns need names");
    return columns ? tsv_columns_check(columns, e) : 0;
}

static int one_document(const struct lines *l, const json_t *columns, reader_emit emit, void *user, struct error *e)
{
    json_t *doc = tsv_document(l, columns, e);
    if (!doc) return e ? (int)e->code : ERROR_INPUT;
    int status = emit(user, doc, e);
    json_decref(doc);
    return status;
}

static int tsv_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    if (tsv_check(source->options, e)) return error_prefix(e, "%s: dataset_kwargs", source->path);
    json_t *columns = json_incref(json_object_get(source->options, "columns"));
    bool header = json_is_true(json_object_get(source->options, "header"));
    struct lines l;
    lines_open(&l, source);
    while (lines_next(&l, e)) {
        int status = 0;
        if (!header || l.number > 1) {
            status = one_document(&l, columns, emit, user, e);
        } else if (!columns) {
            columns = tsv_header(&l, e);
            status = columns ? 0 : ERROR_INPUT;
        }
        lines_end(&l, status, e);
    }
    json_decref(columns);
    return l.status;
}

/* dataset_kwargs: `columns`, the names from left to right; `header: true` where the first line is none of the data (and
 * has the names, where `columns` does not give them). */
const struct reader reader_tsv = {
    .name = "tsv",
    .summary = "lines of tab-separated columns, without quoting",
    .fields = (const char *const[]){NULL},
    .kwargs = (const char *const[]){"columns", "header", NULL},
    .check = tsv_check,
    .read = tsv_read,
};
