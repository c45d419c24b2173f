/* SST-2 as GLUE has it: a header line names the columns `sentence` and `label` in either order, a label is 0 (negative)
 * or 1 (positive); the document has it as a number. For a file without a header dataset_kwargs gives the order:
 * `columns: [label, sentence]`. Sources: Socher and others, "Recursive Deep Models for Semantic Compositionality Over a
 * Sentiment Treebank", 2013; Wang and others, "GLUE", 2018. */
#include "suites/readers/tsv.h"

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

static json_t *header(const struct lines *l, struct error *e)
{
    json_t *columns = tsv_header(l, NULL);
    if (columns && check_names(columns, NULL) == 0) return columns;
    json_decref(columns);
    error_set(e, ERROR_INPUT,
              "header: must name the columns sentence and label; a file without one needs the suite's dataset_kwargs "
              "with columns: [label, sentence], or the other way round");
    return NULL;
}

static int complete(json_t *doc, struct error *e)
{
    const char *label = json_string_value(json_object_get(doc, "label"));
    if (!document_text(doc, "sentence", e)) return ERROR_INPUT;
    if (strcmp(label, "0") != 0 && strcmp(label, "1") != 0)
        return error_set(e, ERROR_INPUT, "label: \"%.60s\" is neither 0 nor 1", label);
    return json_object_set_new(doc, "label", json_integer(*label - '0')) ? error_set(e, ERROR_IO, "out of memory") : 0;
}

static int one_document(const struct lines *l, const json_t *columns, reader_emit emit, void *user, struct error *e)
{
    json_t *doc = tsv_document(l, columns, e);
    if (!doc) return e ? (int)e->code : ERROR_INPUT;
    int status = complete(doc, e);
    if (!status) status = emit(user, doc, e);
    json_decref(doc);
    return status;
}

static int sst2_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    if (sst2_check(source->options, e)) return error_prefix(e, "%s: dataset_kwargs", source->path);
    json_t *columns = json_incref(json_object_get(source->options, "columns"));
    struct lines l;
    lines_open(&l, source);
    while (lines_next(&l, e)) {
        int status = 0;
        if (columns) {
            status = one_document(&l, columns, emit, user, e);
        } else {
            columns = header(&l, e);
            status = columns ? 0 : ERROR_INPUT;
        }
        lines_end(&l, status, e);
    }
    json_decref(columns);
    return l.status;
}

const struct reader reader_sst2 = {
    .name = "sst2",
    .summary = "SST-2 TSV: sentences with the label 0 or 1",
    .fields = (const char *const[]){"sentence", "label", NULL},
    .kwargs = (const char *const[]){"columns", NULL},
    .check = sst2_check,
    .read = sst2_read,
};
