/* WinoGrande's JSON lines: {"sentence": "... _ ...", "option1": "...", "option2": "...", "answer": "2"}; other keys
 * stay. The document gets what partial evaluation needs (Trinh and Le, "A Simple Method for Commonsense Reasoning",
 * 2018; as lm-evaluation-harness does it): `choices`, the sentence up to the gap with either option in it, `target`,
 * what follows the gap and is scored after both, and `label`, the right one counted from 0.
 * Source: Sakaguchi and others, "WinoGrande: An Adversarial Winograd Schema Challenge at Scale", 2019. */
#include "suites/letters.h"
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

#include <string.h>

static json_t *filled(const char *sentence, const char *gap, const char *option)
{
    struct text t = {0};
    text_bytes(&t, sentence, (size_t)(gap - sentence));
    text_add(&t, option);
    json_t *v = t.failed ? NULL : json_stringn(text_c(&t), t.length);
    text_free(&t);
    return v;
}

static int split(json_t *doc, const char *sentence, struct error *e)
{
    const char *gap = strchr(sentence, '_'), *rest = gap ? gap + 1 : "";
    size_t n = strlen(rest);
    rest = letters_strip(rest, &n, true, true);
    if (!gap) return error_set(e, ERROR_INPUT, "sentence: has no _ where the option belongs");
    if (!n) return error_set(e, ERROR_INPUT, "sentence: has nothing after the _ that could be scored");
    const char *first = document_text(doc, "option1", e), *second = first ? document_text(doc, "option2", e) : NULL;
    if (!second) return ERROR_INPUT;
    json_t *choices = json_pack("[o, o]", filled(sentence, gap, first), filled(sentence, gap, second));
    int status = document_set(doc, "choices", choices, e);
    return status ? status : document_set(doc, "target", json_stringn(rest, n), e);
}

static int complete(void *state, json_t *doc, struct error *e)
{
    const char *sentence = document_text(doc, "sentence", e);
    int status = sentence ? split(doc, sentence, e) : ERROR_INPUT;
    if (status) return status;
    json_t *answer = json_deep_copy(json_object_get(doc, "answer"));
    status = document_index(doc, "answer", 1, 2, e);
    if (!status) status = document_set(doc, "label", json_incref(json_object_get(doc, "answer")), e);
    if (!status) status = document_set(doc, "answer", json_incref(answer), e);
    json_decref(answer);
    return status;
}

static int winogrande_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    return jsonl_read(source, complete, NULL, emit, user, e);
}

const struct reader reader_winogrande = {
    .name = "winogrande",
    .summary = "WinoGrande JSON lines: a sentence with a gap, two options for it",
    .fields = (const char *const[]){"sentence", "option1", "option2", "answer", "choices", "target", "label", NULL},
    .read = winogrande_read,
};
