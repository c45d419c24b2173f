/* GSM8K's JSON lines: {"question": "...", "answer": "... #### 18"}; other keys stay. `answer_number` is what follows
 * the last "####", as it is written (a thousand may be "1,000").
 * Source: Cobbe and others, "Training Verifiers to Solve Math Word Problems", 2021. */
#include "suites/letters.h"
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

#include <string.h>

static int complete(void *state, json_t *doc, struct error *e)
{
    const char *answer = document_text(doc, "question", e) ? document_text(doc, "answer", e) : NULL;
    if (!answer) return ERROR_INPUT;
    const char *number = "";
    for (const char *mark = strstr(answer, "####"); mark; mark = strstr(number, "####")) number = mark + 4;
    size_t n = strlen(number);
    number = letters_strip(number, &n, true, true);
    if (!n) return error_set(e, ERROR_INPUT, "answer: has no number after ####");
    return document_set(doc, "answer_number", json_stringn(number, n), e);
}

static int gsm8k_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    return jsonl_read(source, complete, NULL, emit, user, e);
}

const struct reader reader_gsm8k = {
    .name = "gsm8k",
    .summary = "GSM8K JSON lines: a problem, its solution with #### and the number at the end",
    .fields = (const char *const[]){"question", "answer", "answer_number", NULL},
    .read = gsm8k_read,
};
