/* MMLU's CSV files: records of question, four choices and the right one's letter, without a header. The document has
 * `question`, the list `choices` and `answer`, the right one's number from 0, as the copy on the Hugging Face hub has
 * it.
 * Source: Hendrycks and others, "Measuring Massive Multitask Language Understanding", 2020. */
#include "suites/readers/fields.h"
#include "suites/readers/table.h"

static const char *const letters[] = {"A", "B", "C", "D"};

static int complete(void *state, json_t *doc, struct error *e)
{
    const char *answer = document_text(doc, "question", e) ? document_text(doc, "answer", e) : NULL;
    if (!answer) return ERROR_INPUT;
    if (*answer < 'A' || *answer > 'D' || answer[1])
        return error_set(e, ERROR_INPUT, "answer: \"%.40s\" is none of the letters A to D", answer);
    json_t *choices = json_array();
    int status = document_set(doc, "choices", choices, e);
    for (size_t i = 0; !status && i < 4; i++) {
        if (json_array_append(choices, json_object_get(doc, letters[i])))
            status = error_set(e, ERROR_IO, "out of memory for a document");
        json_object_del(doc, letters[i]);
    }
    return status ? status : document_set(doc, "answer", json_integer(*answer - 'A'), e);
}

static int mmlu_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    json_t *columns = json_pack("[s, s, s, s, s, s]", "question", "A", "B", "C", "D", "answer");
    struct table t = {.columns = columns, .complete = complete, .emit = emit, .user = user};
    int status = columns ? csv_rows(source, ',', &t, e) : error_set(e, ERROR_IO, "out of memory for columns");
    json_decref(columns);
    return status;
}

const struct reader reader_mmlu = {
    .name = "mmlu",
    .summary = "MMLU CSV: a question, four choices, the right one's letter",
    .fields = (const char *const[]){"question", "choices", "answer", NULL},
    .read = mmlu_read,
};
