/* HellaSwag's JSON lines: {"ctx": "...", "endings": ["...", ...], "label": 2}; other keys stay in the document. The
 * label is a number or, as the copy on the Hugging Face hub has it, digits in a string; the document has the number.
 * Source: Zellers and others, "HellaSwag: Can a Machine Really Finish Your Sentence?", 2019. */
#include "suites/readers/lines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int check_endings(const json_t *endings, struct error *e)
{
    if (!json_is_array(endings))
        return error_set(e, ERROR_INPUT, "endings: %s", endings ? "must be a list of strings" : "is missing");
    size_t n = json_array_size(endings);
    if (n < 2) return error_set(e, ERROR_INPUT, "endings: has %zu, a choice needs at least 2", n);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(endings, i));
        if (!s || !*s) return error_set(e, ERROR_INPUT, "endings[%zu]: %s", i, s ? "is empty" : "must be a string");
    }
    return 0;
}

static int complete(json_t *doc, struct error *e)
{
    const json_t *endings = json_object_get(doc, "endings"), *label = json_object_get(doc, "label");
    int status = document_text(doc, "ctx", e) ? check_endings(endings, e) : ERROR_INPUT;
    if (status) return status;
    if (!label) return error_set(e, ERROR_INPUT, "label: is missing");
    const char *digits = json_string_value(label);
    bool is_number = json_is_integer(label) || (digits && *digits && !digits[strspn(digits, "0123456789")]);
    if (!is_number) return error_set(e, ERROR_INPUT, "label: must be the number of an ending, from 0");
    json_int_t v = digits ? strtoll(digits, NULL, 10) : json_integer_value(label);
    size_t n = json_array_size(endings);
    if (v < 0 || (uint64_t)v >= n)
        return error_set(e, ERROR_INPUT, "label: %" JSON_INTEGER_FORMAT " is not one of the endings 0 to %zu", v,
                         n - 1);
    return json_object_set_new(doc, "label", json_integer(v)) ? error_set(e, ERROR_IO, "out of memory") : 0;
}

static int hellaswag_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    return jsonl_read(source, complete, emit, user, e);
}

const struct reader reader_hellaswag = {
    .name = "hellaswag",
    .summary = "HellaSwag JSON lines: a context, endings, the right one's number",
    .fields = (const char *const[]){"ctx", "endings", "label", NULL},
    .read = hellaswag_read,
};
