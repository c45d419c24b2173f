/* HellaSwag in the text form that llama.cpp's perplexity tool takes with --hellaswag: six lines an item, which are the
 * context, the number of the right ending from 0, and four endings. Source: tools/perplexity of llama.cpp and the file
 * hellaswag_val_full.txt that its scripts/get-hellaswag.sh fetches. */
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

enum { ENDINGS = 4 };

static json_t *line_text(struct lines *l, struct error *e)
{
    json_t *v = json_stringn(l->text, l->length);
    if (!v) lines_end(l, error_set(e, ERROR_IO, "out of memory for a document"), e);
    return v;
}

/* The next line of the item, NULL with an error where the file ends before. */
static json_t *next_text(struct lines *l, const char *what, struct error *e)
{
    if (lines_next(l, e)) return line_text(l, e);
    if (!l->status)
        lines_end(l, error_set(e, ERROR_INPUT, "the file ends where %s is due: an item has 6 lines", what), e);
    return NULL;
}

static int one_item(struct lines *l, json_t *doc, struct error *e)
{
    int status = document_set(doc, "ctx", line_text(l, e), e);
    if (!status && !document_text(doc, "ctx", e)) status = ERROR_INPUT;
    json_t *label = status ? NULL : next_text(l, "the number of the right ending", e);
    if (!label) return status;
    status = document_set(doc, "label", label, e);
    if (!status) status = document_index(doc, "label", 0, ENDINGS - 1, e);
    if (status) return status;
    json_t *endings = json_array();
    status = document_set(doc, "endings", endings, e);
    for (int i = 0; !status && i < ENDINGS; i++) {
        json_t *ending = next_text(l, "an ending", e);
        if (!ending) return 0;
        if (json_array_append_new(endings, ending)) status = error_set(e, ERROR_IO, "out of memory for a document");
    }
    return status ? status : document_texts(doc, "endings", ENDINGS, e);
}

static int hellaswag_text_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    struct lines l;
    lines_open(&l, source);
    while (lines_next(&l, e)) {
        json_t *doc = json_object();
        int status = one_item(&l, doc, e);
        if (!status && !l.status) status = emit(user, doc, e);
        lines_end(&l, status, e);
        json_decref(doc);
    }
    return l.status;
}

const struct reader reader_hellaswag_text = {
    .name = "hellaswag_text",
    .summary = "HellaSwag as llama.cpp takes it: 6 lines of text an item",
    .fields = (const char *const[]){"ctx", "endings", "label", NULL},
    .read = hellaswag_text_read,
};
