/* BoolQ's JSON lines: {"question": "...", "passage": "...", "answer": true}, or with `label` in place of `answer` as
 * SuperGLUE's copy has it; other keys stay. The document's `label` is 0 (no) or 1 (yes).
 * Source: Clark and others, "BoolQ: Exploring the Surprising Difficulty of Natural Yes/No Questions", 2019. */
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

static int complete(void *state, json_t *doc, struct error *e)
{
    if (!document_text(doc, "question", e) || !document_text(doc, "passage", e)) return ERROR_INPUT;
    json_t *answer = json_object_get(doc, "answer");
    if (!answer) answer = json_object_get(doc, "label");
    if (!answer) return error_set(e, ERROR_INPUT, "answer: is missing, and so is label");
    if (!json_is_boolean(answer)) return error_set(e, ERROR_INPUT, "answer: must be true or false");
    return document_set(doc, "label", json_integer(json_is_true(answer)), e);
}

static int boolq_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    return jsonl_read(source, complete, NULL, emit, user, e);
}

const struct reader reader_boolq = {
    .name = "boolq",
    .summary = "BoolQ JSON lines: yes/no questions about a passage",
    .fields = (const char *const[]){"question", "passage", "label", NULL},
    .read = boolq_read,
};
