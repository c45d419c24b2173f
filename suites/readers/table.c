#include "suites/readers/table.h"
#include "engine/base/text.h"

#include <string.h>

int table_columns_check(const json_t *columns, struct error *e)
{
    size_t n = json_array_size(columns);
    if (!n) return error_set(e, ERROR_INPUT, "columns: must be a list of names");
    if (n > TABLE_COLUMNS)
        return error_set(e, ERROR_INPUT, "columns: has %zu names, at most %d are accepted", n, TABLE_COLUMNS);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(columns, i));
        if (!name || !*name) return error_set(e, ERROR_INPUT, "columns: name %zu must be a non-empty string", i + 1);
        for (size_t k = 0; k < i; k++)
            if (strcmp(name, json_string_value(json_array_get(columns, k))) == 0)
                return error_set(e, ERROR_INPUT, "columns: \"%.60s\" is there twice", name);
    }
    return 0;
}

int table_kwargs_check(const json_t *kwargs, struct error *e)
{
    const json_t *columns = json_object_get(kwargs, "columns"), *header = json_object_get(kwargs, "header");
    if (header && !json_is_boolean(header)) return error_set(e, ERROR_INPUT, "header: must be true or false");
    if (!columns && !json_is_true(header))
        return error_set(e, ERROR_INPUT, "columns: is missing; without \"header: true\" the columns need names");
    return columns ? table_columns_check(columns, e) : 0;
}

void table_kwargs(struct table *t, const json_t *kwargs)
{
    t->columns = json_object_get(kwargs, "columns");
    t->header = json_is_true(json_object_get(kwargs, "header"));
}

static int wrong_count(size_t n, const json_t *columns, struct error *e)
{
    struct text names = {0};
    for (size_t i = 0; i < json_array_size(columns); i++)
        text_printf(&names, "%s%.60s", i ? ", " : "", json_string_value(json_array_get(columns, i)));
    error_set(e, ERROR_INPUT, "has %zu column%s, not %zu: %.300s", n, n == 1 ? "" : "s", json_array_size(columns),
              text_c(&names));
    text_free(&names);
    return ERROR_INPUT;
}

static int take_header(struct table *t, json_t *fields, struct error *e)
{
    if (t->columns) return 0;
    int status = t->check ? t->check(fields, e) : 0;
    if (!status) status = table_columns_check(fields, e);
    if (!status) t->columns = t->names = json_incref(fields);
    return status;
}

static int take_row(struct table *t, const json_t *fields, struct error *e)
{
    size_t n = json_array_size(fields);
    if (n != json_array_size(t->columns)) return wrong_count(n, t->columns, e);
    json_t *doc = json_object();
    int status = 0;
    for (size_t i = 0; !status && i < n; i++) {
        const char *name = json_string_value(json_array_get(t->columns, i));
        if (json_object_set(doc, name, json_array_get(fields, i)))
            status = error_set(e, ERROR_IO, "out of memory for a document");
    }
    if (!status && t->complete) status = t->complete(t->state, doc, e);
    if (!status) status = t->emit(t->user, doc, e);
    json_decref(doc);
    return status;
}

int table_row(struct table *t, json_t *fields, struct error *e)
{
    bool header = t->header && !t->started;
    t->started = true;
    int status = !fields  ? error_set(e, ERROR_IO, "out of memory for a row")
                 : header ? take_header(t, fields, e)
                          : take_row(t, fields, e);
    json_decref(fields);
    return status;
}

void table_close(struct table *t)
{
    json_decref(t->names);
    t->names = NULL;
}
