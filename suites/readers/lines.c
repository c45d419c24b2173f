#include "suites/readers/lines.h"
#include "engine/base/json.h"
#include "engine/base/json_parse.h"
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
    *l = (struct lines){.path = source->path, .most = LINE_BYTES};
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
    const size_t left = (size_t)(l->end - l->at);
    const bool may_be_long = left > l->most; /* then no more is looked at: "\r\n" may follow */
    const char *newline = memchr(l->at, '\n', may_be_long && left - l->most > 2 ? l->most + 2 : left);
    const char *end = newline ? newline : l->end;
    l->text = l->at;
    l->at = newline ? newline + 1 : l->end;
    l->length = (size_t)(end - l->text);
    if (newline && l->length && end[-1] == '\r') l->length--;
    l->number++;
    l->status = l->length > l->most
                    ? error_set(e, ERROR_INPUT, "%s: line %zu: is longer than %zu bytes, the most that a line may have",
                                l->path, l->number, l->most)
                    : text_check(l->path, l->number, l->text, l->length, e);
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

int lines_check_json(const char *data, size_t n, struct error *e)
{
    static const bool ends[256] = {[' '] = true, ['\t'] = true, ['\n'] = true, ['\r'] = true, [','] = true,
                                   [':'] = true, ['['] = true,  [']'] = true,  ['{'] = true,  ['}'] = true};
    size_t begin = 0, line = 1, depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        const char c = data[i];
        if (i - begin > LINE_BYTES)
            return error_set(e, ERROR_INPUT, "line %zu: a %s is longer than %d bytes, the most that one may have", line,
                             quoted ? "string" : "word", (int)LINE_BYTES);
        if (c == '"') {
            quoted = !quoted;
            begin = i + 1;
        } else if (quoted) {
            i += c == '\\';
        } else if (ends[(unsigned char)c]) {
            line += c == '\n';
            depth += c == '[' || c == '{';
            depth -= depth && (c == ']' || c == '}');
            if (depth > JSON_LEVELS)
                return error_set(e, ERROR_INPUT, "line %zu: has more than %d levels of lists and objects", line,
                                 JSON_LEVELS);
            begin = i + 1;
        }
    }
    return 0;
}

int lines_find(struct json_walk *w, const char *key, const char *place, json_t **title, struct error *e)
{
    struct json_walk found = {0};
    while (json_walk_next(w, e)) {
        const bool is_it = strcmp(w->key, key) == 0;
        if (is_it && found.value) return error_set(e, ERROR_INPUT, "%s: is there twice", place);
        if (is_it) {
            found = *w;
            continue;
        }
        json_t *other = json_walk_value(w, e);
        if (!other) return (int)e->code;
        const bool titles = title && strcmp(w->key, "title") == 0, twice = titles && *title;
        if (titles && !twice) *title = json_incref(other);
        json_decref(other);
        if (twice) return error_set(e, ERROR_INPUT, "title: is there twice");
    }
    if (w->status) return w->status;
    if (!found.value) return error_set(e, ERROR_INPUT, "%s: is missing", place);
    found.owner = NULL; /* the walk has freed it */
    found.key = key;
    *w = found;
    return 0;
}

static int one_document(const struct lines *l, complete_document complete, void *state, reader_emit emit, void *user,
                        struct error *e)
{
    if (!l->length) return error_set(e, ERROR_INPUT, "is empty: a JSON object is due on every line");
    json_t *doc = json_read_bounded(l->text, l->length, e);
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
