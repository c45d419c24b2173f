#include "engine/base/json_walk.h"
#include "engine/base/json.h"
#include "engine/base/json_parse.h"

#include <string.h>

enum { KEY_BYTES = 1 << 16 }; /* of a key's text: no name is as long */

static void skip_white(struct json_walk *w)
{
    while (w->at < w->n && memchr(" \t\r\n", w->text[w->at], 4)) w->at++;
}

void json_walk_close(struct json_walk *w)
{
    json_decref(w->owner);
    w->owner = NULL;
    w->key = w->value = NULL;
}

/* What is due at the current byte is not there. */
static int refuse(struct json_walk *w, const char *due, struct error *e)
{
    const struct json_place at = json_place(w->whole, w->text + w->at, w->text + w->n);
    const unsigned char c = w->at < w->n ? (unsigned char)w->text[w->at] : 0;
    if (w->at >= w->n)
        return error_set(e, ERROR_INPUT, "line %zu, column %zu: ends where %s is due", at.line, at.column, due);
    if (c > 0x20 && c < 0x7F)
        return error_set(e, ERROR_INPUT, "line %zu, column %zu: \"%c\" stands where %s is due", at.line, at.column, c,
                         due);
    return error_set(e, ERROR_INPUT, "line %zu, column %zu: 0x%02X stands where %s is due", at.line, at.column, c, due);
}

/* What is at the current byte is wrong. */
static int wrong(struct json_walk *w, const char *words, struct error *e)
{
    const struct json_place at = json_place(w->whole, w->text + w->at, w->text + w->n);
    return error_set(e, ERROR_INPUT, "line %zu, column %zu: %s", at.line, at.column, words);
}

json_t *json_walk_value(const struct json_walk *w, struct error *e)
{
    return json_parse_part(w->whole, w->value, w->size, JSON_MEMORY, e);
}

int json_walk_open(struct json_walk *w, const char *whole, const char *text, size_t n, char kind, struct error *e)
{
    *w = (struct json_walk){.whole = whole, .text = text, .n = n, .kind = kind};
    skip_white(w);
    if (w->at == n || text[w->at] != kind) return w->status = refuse(w, kind == '{' ? "a {" : "a [", e);
    w->at++;
    return 0;
}

/* The bytes of the string whose quotation mark is at s; 0 where it has no end. */
static size_t string_size(const char *s, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (s[i] == '\\')
            i++;
        else if (s[i] == '"')
            return i + 1;
    }
    return 0;
}

/* The bytes of the value at s, as far as brackets and quotation marks tell; 0 where it has no end. */
static size_t value_size(const char *s, size_t n)
{
    size_t depth = 0;
    for (size_t i = 0; i < n; i++) {
        const char c = s[i];
        if (c == '"') {
            const size_t size = string_size(s + i, n - i);
            if (!size) return 0;
            i += size - 1;
            if (!depth) return i + 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (!depth) return i; /* of what the value is in */
            if (!--depth) return i + 1;
        } else if (!depth && memchr(", \t\r\n", c, 5)) {
            return i;
        }
    }
    return 0;
}

static int take_key(struct json_walk *w, struct error *e)
{
    if (w->at == w->n || w->text[w->at] != '"') return refuse(w, "a name in quotation marks", e);
    const size_t left = w->n - w->at, most = left < KEY_BYTES ? left : KEY_BYTES,
                 size = string_size(w->text + w->at, most);
    if (!size && most < left) return wrong(w, "a name is longer than 65536 bytes", e);
    if (!size) return wrong(w, "a name has no quotation mark at its end", e);
    w->owner = json_parse_part(w->whole, w->text + w->at, size, JSON_MEMORY, e);
    if (!w->owner) return (int)e->code;
    w->key = json_string_value(w->owner);
    w->at += size;
    skip_white(w);
    if (w->at == w->n || w->text[w->at] != ':') return refuse(w, "a :", e);
    w->at++;
    skip_white(w);
    return 0;
}

static int take_entry(struct json_walk *w, struct error *e)
{
    const int status = w->kind == '{' ? take_key(w, e) : 0;
    if (status) return status;
    if (w->at == w->n) return refuse(w, "a value", e);
    w->value = w->text + w->at;
    w->size = value_size(w->value, w->n - w->at);
    if (!w->size && strchr(",}]", *w->value)) return refuse(w, "a value", e);
    if (!w->size) return wrong(w, "a value has no end", e);
    w->at += w->size;
    return 0;
}

static int finish(struct json_walk *w, struct error *e)
{
    w->at++;
    skip_white(w);
    return w->at < w->n ? refuse(w, "the end", e) : 0;
}

bool json_walk_next(struct json_walk *w, struct error *e)
{
    struct error ours;
    if (!e) e = &ours;
    const char end = w->kind == '{' ? '}' : ']';
    json_walk_close(w);
    if (w->status || w->ended) return false;
    skip_white(w);
    const bool closes = w->at < w->n && w->text[w->at] == end;
    if (closes) {
        w->ended = true;
        w->status = finish(w, e);
        return false;
    }
    if (w->begun) {
        w->index++;
        if (w->at == w->n || w->text[w->at] != ',') w->status = refuse(w, end == '}' ? "a , or }" : "a , or ]", e);
        w->at++;
        skip_white(w);
    }
    w->begun = true;
    if (!w->status) w->status = take_entry(w, e);
    if (w->status) json_walk_close(w);
    return !w->status;
}
