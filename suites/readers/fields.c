#include "suites/readers/fields.h"

#include <stdlib.h>
#include <string.h>

const char *document_text(const json_t *doc, const char *field, struct error *e)
{
    const json_t *v = json_object_get(doc, field);
    const char *s = json_string_value(v);
    if (s && *s) return s;
    error_set(e, ERROR_INPUT, "%s: %s", field, !v ? "is missing" : s ? "is empty" : "must be a string");
    return NULL;
}

int document_texts(const json_t *doc, const char *field, size_t least, struct error *e)
{
    const json_t *list = json_object_get(doc, field);
    if (!json_is_array(list))
        return error_set(e, ERROR_INPUT, "%s: %s", field, list ? "must be a list of strings" : "is missing");
    size_t n = json_array_size(list);
    if (n < least) return error_set(e, ERROR_INPUT, "%s: has %zu, at least %zu are due", field, n, least);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s || !*s) return error_set(e, ERROR_INPUT, "%s[%zu]: %s", field, i, s ? "is empty" : "must be a string");
    }
    return 0;
}

int document_index(json_t *doc, const char *field, int first, size_t last, struct error *e)
{
    const json_t *v = json_object_get(doc, field);
    if (!v) return error_set(e, ERROR_INPUT, "%s: is missing", field);
    const char *digits = json_string_value(v);
    bool is_number = json_is_integer(v) || (digits && *digits && !digits[strspn(digits, "0123456789")]);
    if (!is_number)
        return digits
                   ? error_set(e, ERROR_INPUT, "%s: \"%.40s\" is no number from %d to %zu", field, digits, first, last)
                   : error_set(e, ERROR_INPUT, "%s: must be a number from %d to %zu", field, first, last);
    json_int_t i = digits ? strtoll(digits, NULL, 10) : json_integer_value(v);
    if (i < first || (uint64_t)i > last)
        return error_set(e, ERROR_INPUT, "%s: %" JSON_INTEGER_FORMAT " is not from %d to %zu", field, i, first, last);
    return document_set(doc, field, json_integer(i - first), e);
}

int document_set(json_t *doc, const char *field, json_t *value, struct error *e)
{
    return json_object_set_new(doc, field, value) ? error_set(e, ERROR_IO, "out of memory for a document") : 0;
}

void text_replace(struct text *t, const char *from, const char *to)
{
    struct text out = {0};
    size_t n = strlen(from);
    const char *at = text_c(t), *end = at + t->length;
    for (const char *found; (found = memmem(at, (size_t)(end - at), from, n)); at = found + n) {
        text_bytes(&out, at, (size_t)(found - at));
        text_add(&out, to);
    }
    text_bytes(&out, at, (size_t)(end - at));
    out.failed = out.failed || t->failed;
    text_free(t);
    *t = out;
}
