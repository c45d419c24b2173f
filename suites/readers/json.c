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

/* The list at `field` (NULL: the text itself), borrowed; NULL with an error. */
static const json_t *find_list(const json_t *root, const char *field, struct error *e)
{
    for (const char *at = field; at && *at;) {
        char key[256];
        size_t n = strcspn(at, ".");
        if (n >= sizeof key) {
            error_set(e, ERROR_INPUT, "dataset_kwargs: field: a key in it is too long");
            return NULL;
        }
        snprintf(key, sizeof key, "%.*s", (int)n, at);
        const json_t *next = json_object_get(root, key);
        if (!next) {
            error_set(e, ERROR_INPUT, "%.*s: is missing", (int)(at - field) + (int)n, field);
            return NULL;
        }
        root = next;
        at += n + (at[n] == '.');
    }
    if (json_is_array(root)) return root;
    error_set(e, ERROR_INPUT, "%s%smust be a list of objects%s", field ? field : "", field ? ": " : "",
              field ? "" : "; a list further in is named by the suite's dataset_kwargs: field");
    return NULL;
}

static int emit_all(const json_t *list, reader_emit emit, void *user, struct error *e)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *doc = json_array_get(list, i);
        int status = json_is_object(doc) ? emit(user, doc, e) : error_set(e, ERROR_INPUT, "must be an object");
        if (status > 0) error_prefix(e, "[%zu]", i);
        if (status) return status;
    }
    return 0;
}

static int read_json(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    if (json_check(source->options, e)) return error_prefix(e, "%s: dataset_kwargs", source->path);
    struct error x = {0};
    json_t *root = lines_json(source, &x);
    if (!root) return x.code ? error_set(e, x.code, "%s", x.text) : 0;
    const json_t *list = find_list(root, json_string_value(json_object_get(source->options, "field")), e);
    int status = list ? emit_all(list, emit, user, e) : ERROR_INPUT;
    json_decref(root);
    if (status > 0) error_prefix(e, "%s", source->path);
    return status == READER_STOP ? 0 : status;
}

const struct reader reader_json = {
    .name = "json",
    .summary = "one JSON text: a list of objects",
    .fields = (const char *const[]){NULL},
    .kwargs = (const char *const[]){"field", NULL},
    .check = json_check,
    .read = read_json,
};
