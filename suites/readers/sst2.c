/* SST-2 as GLUE has it: a header line names the columns `sentence` and `label` in either order, a label is 0 (negative)
 * or 1 (positive); the document has it as a number. For a file without a header dataset_kwargs gives the order:
 * `columns: [label, sentence]`. Sources: Socher and others, "Recursive Deep Models for Semantic Compositionality Over a
 * Sentiment Treebank", 2013; Wang and others, "GLUE", 2018. */
#include "suites/readers/fields.h"
#include "suites/readers/table.h"

#include <string.h>

static int check_names(const json_t *columns, struct error *e)
{
    const char *a = json_string_value(json_array_get(columns, 0)), *b = json_string_value(json_array_get(columns, 1));
    bool right = json_array_size(columns) == 2 && a && b &&
                 ((strcmp(a, "sentence") == 0 && strcmp(b, "label") == 0) ||
                  (strcmp(a, "label") == 0 && strcmp(b, "sentence") == 0));
    return right ? 0 : error_set(e, ERROR_INPUT, "columns: must be sentence and label, in the file's order");
}

static int sst2_check(const json_t *kwargs, struct error *e)
{
    const json_t *columns = json_object_get(kwargs, "columns");
    return columns ? check_names(columns, e) : 0;
}

static int check_header(const json_t *names, struct error *e)
{
    if (check_names(names, NULL) == 0) return 0;
    return error_set(e, ERROR_INPUT,
                     "header: must name the columns sentence and label; a file without one needs the suite's "
                     "dataset_kwargs with columns: [label, sentence], or the other way round");
}

static int complete(void *state, json_t *doc, struct error *e)
{
    return document_text(doc, "sentence", e) ? document_index(doc, "label", 0, 1, e) : ERROR_INPUT;
}

static int sst2_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    if (sst2_check(source->options, e)) return error_prefix(e, "%s: dataset_kwargs", source->path);
    const json_t *columns = json_object_get(source->options, "columns");
    struct table t = {.columns = columns,
                      .header = !columns,
                      .check = check_header,
                      .complete = complete,
                      .emit = emit,
                      .user = user};
    return tsv_rows(source, &t, e);
}

const struct reader reader_sst2 = {
    .name = "sst2",
    .summary = "SST-2 TSV: sentences with the label 0 or 1",
    .fields = (const char *const[]){"sentence", "label", NULL},
    .kwargs = (const char *const[]){"columns", NULL},
    .check = sst2_check,
    .read = sst2_read,
};
