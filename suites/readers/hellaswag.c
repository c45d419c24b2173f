/* HellaSwag's JSON lines: {"ctx": "...", "endings": ["...", ...], "label": 2}; other keys stay in the document. The
 * label is a number or, as the copy on the Hugging Face hub has it, digits in a string; the document has the number.
 *
 * Where the line has `activity_label`, `ctx_a` and `ctx_b`, as the published files do, the document also has `query`
 * and `choices`: context and endings as lm-evaluation-harness prepares them (lm_eval/tasks/hellaswag/utils.py): the
 * activity and a colon first, the second sentence capitalized, without the marks in brackets that WikiHow's articles
 * left.
 *
 * Source: Zellers and others, "HellaSwag: Can a Machine Really Finish Your Sentence?", 2019. */
#include "suites/letters.h"
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

#include <string.h>
#include <utf8proc.h>

/* As str.capitalize() of Python: the first letter in title case, the others in lower case. (By Unicode's simple
 * mappings: no letter becomes two.) */
static void add_capitalized(struct text *t, const char *s)
{
    uint32_t c;
    size_t n = strlen(s), size;
    for (size_t i = 0; i < n && (size = utf8_decode(s + i, n - i, &c)); i += size) {
        utf8proc_int32_t x = (utf8proc_int32_t)c;
        text_codepoint(t, (uint32_t)(i ? utf8proc_tolower(x) : utf8proc_totitle(x)));
    }
}

/* Without the marks in brackets. A mark begins at the first "[", ends at the next "]" and is within a line. */
static void add_unmarked(struct text *t, const char *s)
{
    for (const char *end; *s; s = end) {
        end = s + strcspn(s, "[");
        text_bytes(t, s, (size_t)(end - s));
        if (!*end) break;
        s = end;
        end += strcspn(end, "]\n");
        if (*end == ']')
            end++;
        else
            text_bytes(t, s, (size_t)(end - s));
    }
}

static json_t *prepared(const char *s)
{
    struct text marked = {0}, t = {0};
    size_t n = strlen(s);
    s = letters_strip(s, &n, true, true);
    text_bytes(&marked, s, n);
    text_replace(&marked, " [title]", ". ");
    add_unmarked(&t, text_c(&marked));
    text_replace(&t, "  ", " ");
    json_t *v = marked.failed || t.failed ? NULL : json_stringn(text_c(&t), t.length);
    text_free(&marked);
    text_free(&t);
    return v;
}

static json_t *prepared_query(const char *activity, const char *a, const char *b)
{
    struct text t = {0};
    text_printf(&t, "%s: %s ", activity, a);
    add_capitalized(&t, b);
    json_t *v = t.failed ? NULL : prepared(text_c(&t));
    text_free(&t);
    return v;
}

static int add_prepared(json_t *doc, struct error *e)
{
    const char *activity = json_string_value(json_object_get(doc, "activity_label"));
    const char *a = json_string_value(json_object_get(doc, "ctx_a"));
    const char *b = json_string_value(json_object_get(doc, "ctx_b"));
    if (!activity || !a || !b) return 0;
    int status = document_set(doc, "query", prepared_query(activity, a, b), e);
    json_t *choices = status ? NULL : json_array();
    if (status || (status = document_set(doc, "choices", choices, e))) return status;
    const json_t *endings = json_object_get(doc, "endings");
    for (size_t i = 0; i < json_array_size(endings); i++)
        if (json_array_append_new(choices, prepared(json_string_value(json_array_get(endings, i)))))
            return error_set(e, ERROR_IO, "out of memory for a document");
    return 0;
}

static int complete(void *state, json_t *doc, struct error *e)
{
    int status = document_text(doc, "ctx", e) ? document_texts(doc, "endings", 2, e) : ERROR_INPUT;
    if (!status) status = document_index(doc, "label", 0, json_array_size(json_object_get(doc, "endings")) - 1, e);
    return status ? status : add_prepared(doc, e);
}

static int hellaswag_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    return jsonl_read(source, complete, NULL, emit, user, e);
}

const struct reader reader_hellaswag = {
    .name = "hellaswag",
    .summary = "HellaSwag JSON lines: a context, endings, the right one's number",
    .fields = (const char *const[]){"ctx", "endings", "label", NULL},
    .read = hellaswag_read,
};
