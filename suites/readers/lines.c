#include "suites/readers/lines.h"
#include "engine/base/json.h"
#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

void lines_body(const struct reader_source *source, const char **data, size_t *n)
{
    bool mark = source->size >= 3 && memcmp(source->data, "\xEF\xBB\xBF", 3) == 0;
    *data = source->data + (mark ? 3 : 0);
    *n = source->size - (mark ? 3 : 0);
}

void lines_open_all(struct lines *l, const struct reader_source *source)
{
    size_t n;
    *l = (struct lines){.path = source->path};
    lines_body(source, &l->at, &n);
    l->end = l->at + n;
}

void lines_open(struct lines *l, const struct reader_source *source)
{
    lines_open_all(l, source);
    while (l->end > l->at && (l->end[-1] == '\n' || l->end[-1] == '\r')) l->end--;
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

static int one_document(const struct lines *l, complete_document complete, void *state, reader_emit emit, void *user,
                        struct error *e)
{
    if (!l->length) return error_set(e, ERROR_INPUT, "is empty: a JSON object is due on every line");
    json_t *doc = json_read_line(l->text, l->length, e);
    if (!doc) return e ? (int)e->code : ERROR_INPUT;
    int status = 0;
    if (!json_is_object(doc))
        status = error_set(e, ERROR_INPUT, "is not a JSON object");
    else if (complete)
        status = complete(state, doc, e);
    if (!status) status = emit(user, doc, e);
    json_decref(doc);
    return status;
}

int jsonl_read(const struct reader_source *source, complete_document complete, void *state, reader_emit emit,
               void *user, struct error *e)
{
    struct lines l;
    lines_open(&l, source);
    while (lines_next(&l, e)) lines_end(&l, one_document(&l, complete, state, emit, user, e), e);
    return l.status;
}
