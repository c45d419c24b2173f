/* LAMBADA's JSON lines: {"text": "..."}. The last word is to be guessed: the text is split at its last space into the
 * fields `context` and `target`.
 * Source: Paperno and others, "The LAMBADA dataset: Word prediction requiring a broad discourse context", 2016. */
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

#include <string.h>

static int complete(void *state, json_t *doc, struct error *e)
{
    const char *text = document_text(doc, "text", e);
    if (!text) return ERROR_INPUT;
    const char *space = strrchr(text, ' ');
    if (!space || space == text || !space[1])
        return error_set(e, ERROR_INPUT, "text: %s",
                         !space      ? "has no space before its last word"
                         : !space[1] ? "ends with a space, where a last word is due"
                                     : "has nothing before its last word");
    int status = document_set(doc, "context", json_stringn(text, (size_t)(space - text)), e);
    return status ? status : document_set(doc, "target", json_string(space + 1), e);
}

static int lambada_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    return jsonl_read(source, complete, NULL, emit, user, e);
}

const struct reader reader_lambada = {
    .name = "lambada",
    .summary = "LAMBADA JSON lines: a text whose last word is to be guessed",
    .fields = (const char *const[]){"text", "context", "target", NULL},
    .read = lambada_read,
};
