#include "reports/foreign/bench_rows.h"
#include "engine/base/json.h"
#include "engine/base/text.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>

static char first_of(const struct file *f)
{
    for (size_t i = 0; i < f->size; i++)
        if (!strchr(" \t\r\n", f->data[i]) || !f->data[i]) return (char)f->data[i];
    return 0;
}

static size_t line_length(const char *s, size_t n)
{
    const char *end = n ? memchr(s, '\n', n) : NULL;
    return end ? (size_t)(end - s) : n;
}

static bool contains(const void *s, size_t n, const char *word) { return memmem(s, n, word, strlen(word)) != NULL; }

/* Every format has the names of its fields in it: JSON each time, CSV in its first line. The table that llama-bench prints
 * unless told otherwise is known too, for the sake of what is said about it. */
bool bench_rows_are(const struct file *f)
{
    const char first = first_of(f);
    if (first == '[' || first == '{')
        return contains(f->data, f->size, "\"avg_ts\"") && contains(f->data, f->size, "\"n_prompt\"");
    const size_t n = line_length((const char *)f->data, f->size);
    if (first == '|') return contains(f->data, n, " test |") && contains(f->data, n, " t/s |");
    return contains(f->data, n, "avg_ts") && contains(f->data, n, "n_prompt");
}

/* --- JSON --- */

static json_t *read_lines(const struct file *f, const char *path, struct error *e)
{
    json_t *all = json_array();
    const char *at = (const char *)f->data, *end = at + f->size;
    for (size_t number = 1; at < end; number++) {
        const size_t n = line_length(at, (size_t)(end - at));
        size_t blank = 0;
        while (blank < n && strchr(" \t\r", at[blank]) && at[blank]) blank++;
        json_t *row = blank < n ? json_read_line(at, n, e) : NULL;
        if (blank < n && !row) error_prefix(e, "%s: line %zu", path, number);
        if (blank < n && (!row || json_array_append_new(all, row))) {
            json_decref(all);
            return NULL;
        }
        at += n < (size_t)(end - at) ? n + 1 : n;
    }
    return all;
}

/* --- CSV --- */

struct rows {
    const char *path;
    json_t *names, *row, *all; /* row: the fields of the line so far */
    size_t line;
    struct error *e;
    int status;
};

static void take_field(void *data, size_t n, void *state)
{
    struct rows *t = state;
    if (t->status) return;
    if (json_array_append_new(t->row, json_text(data ? data : "", n)))
        t->status = error_set(t->e, ERROR_IO, "%s: out of memory", t->path);
}

/* The first line names the fields; where outputs were put into one file, others repeat it. */
static void take_row(int end, void *state)
{
    struct rows *t = state;
    t->line++;
    const size_t n = json_array_size(t->row), names = json_array_size(t->names);
    const bool repeats = names && json_equal(t->row, t->names);
    if (!names) json_array_extend(t->names, t->row);
    if (names && !repeats && n != names && !t->status)
        t->status = error_set(t->e, ERROR_INPUT, "%s: row %zu: has %zu fields, the first row names %zu", t->path,
                              t->line, n, names);
    json_t *object = names && !repeats && !t->status ? json_object() : NULL;
    for (size_t i = 0; object && i < n; i++)
        json_object_set(object, json_string_value(json_array_get(t->names, i)), json_array_get(t->row, i));
    if (object) json_array_append_new(t->all, object);
    json_array_clear(t->row);
}

static json_t *read_csv(const struct file *f, const char *path, struct error *e)
{
    struct csv_parser parser;
    struct rows t = {path, json_array(), json_array(), json_array(), 0, e, 0};
    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI)) t.status = error_set(e, ERROR_IO, "%s: out of memory", path);
    if (!t.status) {
        const size_t n = csv_parse(&parser, f->data, f->size, take_field, take_row, &t);
        const bool whole = n == f->size && csv_fini(&parser, take_field, take_row, &t) == 0;
        if (!whole && !t.status)
            t.status = error_set(e, ERROR_INPUT, "%s: row %zu: %s", path, t.line + 1, csv_strerror(csv_error(&parser)));
        csv_free(&parser);
    }
    json_decref(t.names);
    json_decref(t.row);
    if (!t.status) return t.all;
    json_decref(t.all);
    return NULL;
}

json_t *bench_rows_read(const struct file *f, const char *path, struct error *e)
{
    const char first = first_of(f);
    if (first == '|')
        return error_set(e, ERROR_INPUT, "%s: is llama-bench's table: give what it prints with -o json, jsonl or csv",
                         path),
               NULL;
    if (first == '{') return read_lines(f, path, e);
    if (first == '[') return json_read_bytes((const char *)f->data, f->size, path, e);
    return read_csv(f, path, e);
}
