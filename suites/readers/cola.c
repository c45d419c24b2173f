/* CoLA as GLUE has it: four columns with tabs between and no header, which are the source, the label (1: acceptable),
 * the label's mark as the source printed it ("*" or nothing) and the sentence. The document's label is a number.
 * Sources: Warstadt, Singh and Bowman, "Neural Network Acceptability Judgments", 2018; Wang and others, "GLUE", 2018. */
#include "suites/readers/fields.h"
#include "suites/readers/table.h"

static int complete(void *state, json_t *doc, struct error *e)
{
    return document_text(doc, "sentence", e) ? document_index(doc, "label", 0, 1, e) : ERROR_INPUT;
}

static int cola_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    json_t *columns = json_pack("[s, s, s, s]", "source", "label", "mark", "sentence");
    struct table t = {.columns = columns, .complete = complete, .emit = emit, .user = user};
    int status = columns ? tsv_rows(source, &t, e) : error_set(e, ERROR_IO, "out of memory for columns");
    json_decref(columns);
    return status;
}

const struct reader reader_cola = {
    .name = "cola",
    .summary = "CoLA TSV: sentences, acceptable (1) or not (0)",
    .fields = (const char *const[]){"source", "label", "mark", "sentence", NULL},
    .read = cola_read,
};
