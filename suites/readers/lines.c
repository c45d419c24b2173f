#include "suites/readers/lines.h"
#include "engine/base/text.h"
#include "engine/formats/json.h"

#include <stdio.h>
#include <string.h>

void lines_body(const struct reader_source *source, const char **data, size_t *n)
{
    bool mark = source->size >= 3 && memcmp(source->data, "\xEF\xBB\xBF", 3) == 0;
    *data = source->data + (mark ? 3 : 0);
    *n = source->size - (mark ? 3 : 0);
}

void lines_open(struct lines *l, const struct reader_source *source)
{
    size_t n;
    *l = (struct lines){.path = source->path};
    lines_body(source, &l->at, &n);
    while (n && (l->at[n - 1] == '\n' || l->at[n - 1] == '\r')) n--;
    l->end = l->at + n;
}

bool lines_next(struct lines *l, struct error *e)
{
    if (l->at == l->end || l->status) return false;
    const char *newline = memchr(l->at, '\n', (size_t)(l->end - l->at));
    const char *end = newline ? newline : l->end;
    l->text = l->at;
    l->at = newline ? newline + 1 : l->end;
    l->length = (size_t)(end - l->text);
    if (newline && l->length && end[-1] == '\r') l->length--;
    l->number++;
    l->status = text_check(l->path, l->number, l->text, l->length, e);
    if (l->status) l->at = l->end;
    return !l->status;
}

void lines_end(struct lines *l, int status, struct error *e)
{
    if (!status) return;
    l->at = l->end;
    if (status == READER_STOP) return;
    error_prefix(e, "%s: line %zu", l->path, l->number);
    l->status = status;
}

static int one_document(const struct lines *l, int (*complete)(json_t *, struct error *), reader_emit emit, void *user,
                        struct error *e)
{
    if (!l->length) return error_set(e, ERROR_INPUT, "is empty: a JSON object is due on every line");
    json_t *doc = json_read_bytes(l->text, l->length, "JSON", e);
    if (!doc) return e ? (int)e->code : ERROR_INPUT;
    int status = json_is_object(doc) ? complete(doc, e) : error_set(e, ERROR_INPUT, "is not a JSON object");
    if (!status) status = emit(user, doc, e);
    json_decref(doc);
    return status;
}

int jsonl_read(const struct reader_source *source, int (*complete)(json_t *doc, struct error *e), reader_emit emit,
               void *user, struct error *e)
{
    struct lines l;
    lines_open(&l, source);
    while (lines_next(&l, e)) lines_end(&l, one_document(&l, complete, emit, user, e), e);
    return l.status;
}

const char *document_text(const json_t *doc, const char *field, struct error *e)
{
    const json_t *v = json_object_get(doc, field);
    const char *s = json_string_value(v);
    if (s && *s) return s;
    error_set(e, ERROR_INPUT, "%s: %s", field, !v ? "is missing" : s ? "is empty" : "must be a string");
    return NULL;
}
