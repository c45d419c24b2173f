/* A text file whose documents are separated by empty lines. A document's lines are joined by "\n"; it neither begins
 * nor ends with one. What is only white space is no document. */
#include "engine/base/text.h"
#include "suites/readers/lines.h"

static bool is_blank(const char *s, size_t n)
{
    uint32_t c;
    size_t size;
    for (size_t i = 0; i < n; i += size)
        if (!(size = utf8_decode(s + i, n - i, &c)) || !codepoint_is_space(c)) return false;
    return true;
}

/* Emits and clears the lines gathered so far. */
static int flush(struct text *t, reader_emit emit, void *user, struct error *e)
{
    if (t->failed) return error_set(e, ERROR_IO, "out of memory for a document");
    int status = 0;
    if (!is_blank(text_c(t), t->length)) {
        json_t *doc = json_pack("{s:s%}", "text", t->bytes, t->length);
        status = doc ? emit(user, doc, e) : error_set(e, ERROR_IO, "out of memory for a document");
        json_decref(doc);
    }
    text_clear(t);
    return status;
}

static int paragraphs_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    struct lines l;
    struct text t = {0};
    lines_open(&l, source);
    while (lines_next(&l, e)) {
        bool last = l.at == l.end;
        if (t.length) text_char(&t, '\n');
        text_bytes(&t, l.text, l.length);
        if (l.length && !last) continue;
        if (!l.length && t.length) t.length--;
        lines_end(&l, flush(&t, emit, user, e), e);
    }
    text_free(&t);
    return l.status;
}

const struct reader reader_paragraphs = {
    .name = "paragraphs",
    .summary = "text whose documents are separated by empty lines",
    .fields = (const char *const[]){"text", NULL},
    .read = paragraphs_read,
};
