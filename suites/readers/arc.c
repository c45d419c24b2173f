/* ARC's JSON lines, in either form that is about:
 *     AI2's:            {"question": {"stem": "...", "choices": [{"text": "...", "label": "A"}, ...]}, "answerKey": "A"}
 *     Hugging Face's:   {"question": "...", "choices": {"text": ["...", ...], "label": ["A", ...]}, "answerKey": "A"}
 * The document has the second, which lm-evaluation-harness's prompts name. Labels are letters, in some questions digits.
 * Other keys stay. OpenBookQA and CommonsenseQA are published in the first form, too.
 * Source: Clark and others, "Think you have Solved Question Answering? Try ARC", 2018. */
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

#include <string.h>

/* [{"text", "label"}, ...] as two lists. */
static int add_lists(json_t *doc, const json_t *list, struct error *e)
{
    json_t *texts = json_array(), *labels = json_array();
    int status = document_set(doc, "choices", json_pack("{s:o, s:o}", "text", texts, "label", labels), e);
    for (size_t i = 0; !status && i < json_array_size(list); i++) {
        const json_t *choice = json_array_get(list, i);
        if (!document_text(choice, "text", e) || !document_text(choice, "label", e))
            return error_prefix(e, "question: choices[%zu]", i);
        if (json_array_append(texts, json_object_get(choice, "text")) ||
            json_array_append(labels, json_object_get(choice, "label")))
            status = error_set(e, ERROR_IO, "out of memory for a document");
    }
    return status;
}

/* AI2's form becomes the other. */
static int make_plain(json_t *doc, struct error *e)
{
    json_t *question = json_incref(json_object_get(doc, "question")), *list = json_object_get(question, "choices");
    int status = 0;
    if (json_is_object(question)) {
        if (!document_text(question, "stem", e))
            status = error_prefix(e, "question");
        else if (!json_is_array(list))
            status = error_set(e, ERROR_INPUT, "question: choices: %s", list ? "must be a list" : "is missing");
        if (!status) status = add_lists(doc, list, e);
        if (!status) status = document_set(doc, "question", json_incref(json_object_get(question, "stem")), e);
    }
    json_decref(question);
    return status;
}

static int complete(void *state, json_t *doc, struct error *e)
{
    int status = make_plain(doc, e);
    if (status) return status;
    const char *key = document_text(doc, "question", e) ? document_text(doc, "answerKey", e) : NULL;
    if (!key) return ERROR_INPUT;
    const json_t *choices = json_object_get(doc, "choices"), *labels = json_object_get(choices, "label");
    if (!json_is_object(choices))
        return error_set(e, ERROR_INPUT, "choices: %s", choices ? "must be an object" : "is missing");
    if (document_texts(choices, "text", 2, e) || document_texts(choices, "label", 2, e))
        return error_prefix(e, "choices");
    size_t n = json_array_size(labels), due = json_array_size(json_object_get(choices, "text")), i = 0;
    if (n != due) return error_set(e, ERROR_INPUT, "choices: there are %zu texts and %zu labels", due, n);
    while (i < n && strcmp(json_string_value(json_array_get(labels, i)), key) != 0) i++;
    return i < n ? 0 : error_set(e, ERROR_INPUT, "answerKey: \"%.40s\" is the label of no choice", key);
}

static int arc_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    return jsonl_read(source, complete, NULL, emit, user, e);
}

const struct reader reader_arc = {
    .name = "arc",
    .summary = "ARC JSON lines, AI2's or Hugging Face's: a question, labelled choices",
    .fields = (const char *const[]){"question", "choices", "answerKey", NULL},
    .read = arc_read,
};
