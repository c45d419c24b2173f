/* One JSON text: a list of objects, each a document as it is. Where the list is deeper, dataset_kwargs says where:
 * `field: data.items` is the list "items" in the object "data". */
#include "suites/readers/lines.h"

#include <stdio.h>
#include <string.h>

static int json_check(const json_t *kwargs, struct error *e)
{
    const json_t *field = json_object_get(kwargs, "field");
    return !field || json_string_length(field)
               ? 0
               : error_set(e, ERROR_INPUT, "field: must be keys with dots between, like data.items");
}

static int no_list(const char *field, struct error *e)
{
    return error_set(e, ERROR_INPUT, "%s%smust be a list of objects%s", field ? field : "", field ? ": " : "",
                     field ? "" : "; a list further in is named by the suite's dataset_kwargs: field");
}

/* The walk of a file's text, or of an entry of another walk, goes on with the entry at `field`, keys with dots between;
 * *value is where that begins. */
static int find_field(struct json_walk *w, const char *field, const char **value, size_t *size, struct error *e)
{
    const char *whole = *value;
    for (const char *at = field; *at;) {
        char key[256], place[1024];
        const size_t n = strcspn(at, ".");
        if (n >= sizeof key) return error_set(e, ERROR_INPUT, "dataset_kwargs: field: a key in it is too long");
        snprintf(key, sizeof key, "%.*s", (int)n, at);
        snprintf(place, sizeof place, "%.*s", (int)(at - field) + (int)n, field);
        json_walk_close(w);
        if (json_walk_open(w, whole, *value, *size, '{', NULL))
            return error_set(e, ERROR_INPUT, "%s: is missing", place);
        const int status = lines_find(w, key, place, NULL, e);
        if (status) return status;
        *value = w->value;
        *size = w->size;
        at += n + (at[n] == '.');
    }
    return 0;
}

static int emit_all(struct json_walk *w, reader_emit emit, void *user, struct error *e)
{
    int status = 0;
    while (!status && json_walk_next(w, e)) {
        json_t *doc = json_walk_value(w, e);
        if (!doc)
            status = (int)e->code;
        else
            status = json_is_object(doc) ? emit(user, doc, e) : error_set(e, ERROR_INPUT, "must be an object");
        json_decref(doc);
        if (status > 0) error_prefix(e, "[%zu]", w->index);
    }
    return status ? status : w->status;
}

static bool begins_with_list(const char *s, size_t n)
{
    while (n && memchr(" \t\r\n", *s, 4)) s++, n--;
    return n && *s == '[';
}

/* A document at a time is parsed. */
static int read_list(const char *data, size_t n, const char *field, reader_emit emit, void *user, struct error *e)
{
    struct json_walk w = {0};
    const char *value = data;
    size_t size = n;
    int status = lines_check_json(data, n, e);
    if (!status && field) status = find_field(&w, field, &value, &size, e);
    if (!status) {
        json_walk_close(&w);
        if (begins_with_list(value, size))
            status = json_walk_open(&w, data, value, size, '[', e);
        else
            status = no_list(field, e);
    }
    if (!status) status = emit_all(&w, emit, user, e);
    json_walk_close(&w);
    return status;
}

static int read_json(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    if (json_check(source->options, e)) return error_prefix(e, "%s: dataset_kwargs", source->path);
    const char *data;
    size_t n;
    struct error x = {0};
    lines_body(source, &data, &n);
    const char *field = json_string_value(json_object_get(source->options, "field"));
    const int status = n ? read_list(data, n, field, emit, user, &x) : 0;
    if (status <= 0) return 0;
    error_set(e, x.code, "%s", x.text);
    return error_prefix(e, "%s", source->path);
}

const struct reader reader_json = {
    .name = "json",
    .summary = "one JSON text: a list of objects",
    .fields = (const char *const[]){NULL},
    .kwargs = (const char *const[]){"field", NULL},
    .check = json_check,
    .read = read_json,
};
