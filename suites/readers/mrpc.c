/* MRPC, the file of the Microsoft Research Paraphrase Corpus that GLUE takes: a header line and five columns with tabs
 * between: "Quality", "#1 ID", "#2 ID", "#1 String", "#2 String". The document has them as `label` (1: a paraphrase),
 * `id1`, `id2`, `sentence1` and `sentence2`.
 * Sources: Dolan and Brockett, "Automatically Constructing a Corpus of Sentential Paraphrases", 2005; Wang and others,
 * "GLUE", 2018. */
#include "suites/readers/fields.h"
#include "suites/readers/table.h"

#include <string.h>

static int check_names(const json_t *names, struct error *e)
{
    static const char *const due[] = {"Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"};
    bool same = json_array_size(names) == 5;
    for (size_t i = 0; same && i < 5; i++) same = strcmp(json_string_value(json_array_get(names, i)), due[i]) == 0;
    return same ? 0
                : error_set(e, ERROR_INPUT,
                            "header: must be Quality, #1 ID, #2 ID, #1 String, #2 String with tabs between");
}

static int rename_field(json_t *doc, const char *from, const char *to, struct error *e)
{
    int status = document_set(doc, to, json_incref(json_object_get(doc, from)), e);
    json_object_del(doc, from);
    return status;
}

static int complete(void *state, json_t *doc, struct error *e)
{
    static const char *const names[][2] = {{"Quality", "label"},
                                           {"#1 ID", "id1"},
                                           {"#2 ID", "id2"},
                                           {"#1 String", "sentence1"},
                                           {"#2 String", "sentence2"}};
    int status = 0;
    for (size_t i = 0; !status && i < 5; i++) status = rename_field(doc, names[i][0], names[i][1], e);
    if (!status && (!document_text(doc, "sentence1", e) || !document_text(doc, "sentence2", e))) status = ERROR_INPUT;
    return status ? status : document_index(doc, "label", 0, 1, e);
}

static int mrpc_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    struct table t = {.header = true, .check = check_names, .complete = complete, .emit = emit, .user = user};
    return tsv_rows(source, &t, e);
}

const struct reader reader_mrpc = {
    .name = "mrpc",
    .summary = "MRPC TSV: pairs of sentences, paraphrases (1) or not (0)",
    .fields = (const char *const[]){"label", "id1", "id2", "sentence1", "sentence2", NULL},
    .read = mrpc_read,
};
