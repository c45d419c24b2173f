#include "engine/base/json_parse.h"
#include "engine/base/text.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What jansson 2.14 takes for a value, with malloc()'s own; of a list or object with its first entries. */
enum { OBJECT_BYTES = 224, KEY_BYTES = 104, LIST_BYTES = 128, ENTRY_BYTES = 16, NUMBER_BYTES = 32, STRING_BYTES = 72 };

struct parser {
    const char *s;
    size_t n, at;
    size_t used, most; /* bytes of memory */
    struct text keys;  /* of the objects that are open, each with a NUL */
    struct text plain; /* a string without its escapes, a number with a NUL */
    const char *whole; /* where lines are counted from */
    const char *words; /* what is wrong at `at` */
    uint32_t byte;     /* that the words are about */
    enum error_code code;
    int depth;
};

static json_t *value(struct parser *p);

static json_t *wrong(struct parser *p, const char *words)
{
    p->code = ERROR_INPUT;
    p->words = words;
    return NULL;
}

static json_t *no_memory(struct parser *p)
{
    p->code = ERROR_IO;
    return NULL;
}

/* Whether there is room for so many bytes more. */
static bool charge(struct parser *p, size_t bytes)
{
    p->used += bytes;
    if (!p->most || p->used <= p->most) return true;
    wrong(p, NULL);
    return false;
}

static bool is_at(const struct parser *p, char c) { return p->at < p->n && p->s[p->at] == c; }

static void skip_white(struct parser *p)
{
    while (p->at < p->n && (p->s[p->at] == ' ' || (p->s[p->at] >= '\t' && strchr("\t\n\r", p->s[p->at])))) p->at++;
}

static const char *unexpected(const struct parser *p, const char *words)
{
    return p->at < p->n ? words : "premature end of input";
}

/* --- strings --- */

static bool four_digits(struct parser *p, uint32_t *c)
{
    *c = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        const char x = p->at < p->n ? p->s[p->at] : 0;
        const int digit = x >= '0' && x <= '9'   ? x - '0'
                          : x >= 'a' && x <= 'f' ? x - 'a' + 10
                          : x >= 'A' && x <= 'F' ? x - 'A' + 10
                                                 : -1;
        if (digit < 0) return wrong(p, unexpected(p, "invalid escape"));
        *c = *c << 4 | (uint32_t)digit;
    }
    return true;
}

/* What follows "\u". */
static bool unicode_escape(struct parser *p)
{
    uint32_t c, low;
    if (!four_digits(p, &c)) return false;
    if (!c) return wrong(p, "\\u0000 is not allowed");
    if (c >= 0xD800 && c < 0xDC00) {
        if (!is_at(p, '\\') || p->n - p->at < 2 || p->s[p->at + 1] != 'u')
            return wrong(p, "invalid Unicode: a lone surrogate");
        p->at += 2;
        if (!four_digits(p, &low)) return false;
        if (low < 0xDC00 || low >= 0xE000) return wrong(p, "invalid Unicode: a lone surrogate");
        c = 0x10000 + ((c - 0xD800) << 10 | (low - 0xDC00));
    } else if (c >= 0xDC00 && c < 0xE000) {
        return wrong(p, "invalid Unicode: a lone surrogate");
    }
    text_codepoint(&p->plain, c);
    return true;
}

static bool escape(struct parser *p)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    p->at++;
    if (p->at == p->n) return wrong(p, "premature end of input");
    if (p->s[p->at] == 'u') {
        p->at++;
        return unicode_escape(p);
    }
    const char *found = p->s[p->at] ? strchr(names, p->s[p->at]) : NULL;
    if (!found) return wrong(p, "invalid escape");
    text_char(&p->plain, meanings[found - names]);
    p->at++;
    return true;
}

/* Goes over what is no escape: characters up to the next quotation mark or backslash. */
static bool plain_run(struct parser *p)
{
    while (p->at < p->n && p->s[p->at] != '"' && p->s[p->at] != '\\') {
        const unsigned char c = (unsigned char)p->s[p->at];
        uint32_t codepoint;
        const size_t size = c < 0x80 ? 1 : utf8_decode(p->s + p->at, p->n - p->at, &codepoint);
        p->byte = c;
        if (!size) return wrong(p, "unable to decode byte");
        if (c < 0x20) return wrong(p, c == '\n' ? "unexpected newline" : "control character");
        p->at += size;
    }
    return p->at < p->n || wrong(p, "premature end of input");
}

/* The string at `at`, which begins there: a piece of the text, or of p->plain where it has escapes. */
static bool string(struct parser *p, const char **out, size_t *n)
{
    const size_t begin = ++p->at;
    text_clear(&p->plain);
    if (!plain_run(p)) return false;
    if (is_at(p, '"')) {
        *out = p->s + begin;
        *n = p->at++ - begin;
        return true;
    }
    text_bytes(&p->plain, p->s + begin, p->at - begin);
    while (!is_at(p, '"')) {
        if (!escape(p)) return false;
        const size_t from = p->at;
        if (!plain_run(p)) return false;
        text_bytes(&p->plain, p->s + from, p->at - from);
        if (!charge(p, p->at - from)) return false;
    }
    p->at++;
    *out = p->plain.bytes;
    *n = p->plain.length;
    return !p->plain.failed || no_memory(p);
}

static json_t *string_value(struct parser *p)
{
    const char *s;
    size_t n;
    if (!string(p, &s, &n) || !charge(p, STRING_BYTES + n)) return NULL;
    json_t *v = json_stringn_nocheck(s, n);
    return v ? v : no_memory(p);
}

/* --- numbers --- */

static size_t skip_digits(struct parser *p)
{
    const size_t from = p->at;
    while (p->at < p->n && p->s[p->at] >= '0' && p->s[p->at] <= '9') p->at++;
    return p->at - from;
}

static json_t *integer(struct parser *p, size_t begin)
{
    const bool negative = p->s[begin] == '-';
    json_int_t v = 0;
    bool fits = true;
    for (size_t i = begin + negative; i < p->at && fits; i++) {
        const json_int_t digit = p->s[i] - '0';
        fits =
            !__builtin_mul_overflow(v, 10, &v) && !__builtin_sub_overflow(v, digit, &v); /* there is one more below 0 */
    }
    fits = fits && (negative || v != INT64_MIN);
    if (!fits) p->at = begin;
    if (!fits) return wrong(p, negative ? "too big negative integer" : "too big integer");
    json_t *out = json_integer(negative ? v : -v);
    return out ? out : no_memory(p);
}

static json_t *real(struct parser *p, size_t begin)
{
    text_clear(&p->plain);
    text_bytes(&p->plain, p->s + begin, p->at - begin);
    if (p->plain.failed) return no_memory(p);
    const double v = strtod(p->plain.bytes, NULL);
    if (!isfinite(v)) {
        p->at = begin;
        return wrong(p, "real number overflow");
    }
    json_t *out = json_real(v);
    return out ? out : no_memory(p);
}

static json_t *number(struct parser *p)
{
    const size_t begin = p->at;
    bool whole = true;
    if (!charge(p, NUMBER_BYTES)) return NULL;
    p->at += is_at(p, '-');
    if (is_at(p, '0')) {
        p->at++;
        if (skip_digits(p)) return p->at = begin, wrong(p, "invalid token");
    } else if (!skip_digits(p)) {
        return wrong(p, unexpected(p, "invalid token"));
    }
    if (is_at(p, '.')) {
        p->at++;
        whole = false;
        if (!skip_digits(p)) return wrong(p, unexpected(p, "invalid token"));
    }
    if (is_at(p, 'e') || is_at(p, 'E')) {
        p->at++;
        whole = false;
        p->at += is_at(p, '-') || is_at(p, '+');
        if (!skip_digits(p)) return wrong(p, unexpected(p, "invalid token"));
    }
    return whole ? integer(p, begin) : real(p, begin);
}

/* --- lists and objects --- */

/* After an entry: true where another follows. */
static bool goes_on(struct parser *p, char end)
{
    skip_white(p);
    if (is_at(p, end)) return false;
    if (!is_at(p, ',')) return wrong(p, unexpected(p, end == '}' ? "'}' expected" : "']' expected"));
    p->at++;
    skip_white(p);
    return true;
}

static bool fill_list(struct parser *p, json_t *list)
{
    if (is_at(p, ']')) return true;
    do {
        json_t *v = charge(p, ENTRY_BYTES) ? value(p) : NULL;
        if (!v) return false;
        if (json_array_append_new(list, v)) return no_memory(p);
    } while (goes_on(p, ']'));
    return !p->code;
}

static bool entry(struct parser *p, json_t *object)
{
    const char *s;
    const size_t key = p->keys.length, at = p->at;
    size_t n;
    if (!is_at(p, '"')) return wrong(p, unexpected(p, "string or '}' expected"));
    if (!string(p, &s, &n) || !charge(p, KEY_BYTES + n)) return false;
    text_bytes(&p->keys, s, n);
    text_char(&p->keys, 0);
    if (p->keys.failed) return no_memory(p);
    if (json_object_get(object, p->keys.bytes + key)) {
        p->at = at;
        return wrong(p, "duplicate object key");
    }
    skip_white(p);
    if (!is_at(p, ':')) return wrong(p, unexpected(p, "':' expected"));
    p->at++;
    skip_white(p);
    json_t *v = value(p);
    if (!v) return false;
    if (json_object_set_new_nocheck(object, p->keys.bytes + key, v)) return no_memory(p);
    p->keys.length = key;
    return true;
}

static bool fill_object(struct parser *p, json_t *object)
{
    if (is_at(p, '}')) return true;
    do {
        if (!entry(p, object)) return false;
    } while (goes_on(p, '}'));
    return !p->code;
}

static json_t *container(struct parser *p)
{
    const bool is_list = p->s[p->at] == '[';
    if (++p->depth > JSON_LEVELS) return wrong(p, "maximum parsing depth reached");
    if (!charge(p, is_list ? LIST_BYTES : OBJECT_BYTES)) return NULL;
    json_t *v = is_list ? json_array() : json_object();
    if (!v) return no_memory(p);
    p->at++;
    skip_white(p);
    if (is_list ? fill_list(p, v) : fill_object(p, v)) {
        p->at++;
        p->depth--;
        return v;
    }
    json_decref(v);
    return NULL;
}

static json_t *value(struct parser *p)
{
    static const struct {
        const char *word;
        json_t *(*make)(void);
    } words[] = {{"true", json_true}, {"false", json_false}, {"null", json_null}};
    if (p->at == p->n) return wrong(p, "premature end of input");
    const char c = p->s[p->at];
    if (c == '"') return string_value(p);
    if (c == '[' || c == '{') return container(p);
    if (c == '-' || (c >= '0' && c <= '9')) return number(p);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t n = strlen(words[i].word);
        if (p->n - p->at < n || memcmp(p->s + p->at, words[i].word, n) != 0) continue;
        p->at += n;
        return words[i].make();
    }
    return wrong(p, "invalid token");
}

/* --- errors --- */

struct json_place json_place(const char *whole, const char *at, const char *end)
{
    struct json_place place = {1, 0};
    const char *begin = whole;
    for (const char *c = whole; c < at; c++)
        if (*c == '\n') place.line++, begin = c + 1;
    place.column = utf8_length(begin, (size_t)(at - begin)) + (at < end);
    return place;
}

static void tell(const struct parser *p, bool with_line, struct error *e)
{
    enum { NEAR = 20 };
    size_t size = p->at < p->n ? p->n - p->at : 0;
    char near[2 * NEAR] = "";
    if (p->code == ERROR_IO) {
        error_set(e, ERROR_IO, "out of memory for %zu bytes of JSON", p->n);
        return;
    }
    if (!p->words) {
        error_set(e, ERROR_INPUT, "takes more than the %zu MB of memory that are allowed for it", p->most >> 20);
        return;
    }
    if (size && !p->s[p->at]) {
        error_set(e, ERROR_INPUT, "byte %zu: a NUL byte is no JSON", p->at);
        return;
    }
    const struct json_place place = json_place(p->whole, p->s + p->at, p->s + p->n);
    if (strncmp(p->words, "unable", 6) == 0 || strncmp(p->words, "control", 7) == 0) {
        snprintf(near, sizeof near, " 0x%x", (unsigned)p->byte);
    } else if (size) {
        const size_t most = size < NEAR ? size : NEAR;
        for (size = 1; size < most && !strchr(" \t\r\n,:]}", p->s[p->at + size]); size++) {
        }                                                                          /* the word there */
        while (size < p->n - p->at && (p->s[p->at + size] & 0xC0) == 0x80) size--; /* whole characters */
        snprintf(near, sizeof near, " near '%.*s'", (int)size, p->s + p->at);
    }
    for (char *c = near; *c; c++)
        if ((unsigned char)*c < 0x20) *c = ' ';
    if (with_line)
        error_set(e, ERROR_INPUT, "line %zu, column %zu: %s%s", place.line, place.column, p->words, near);
    else
        error_set(e, ERROR_INPUT, "column %zu: %s%s", place.column, p->words, near);
}

static json_t *parse(const char *whole, const char *text, size_t n, bool line, size_t most, struct error *e)
{
    struct parser p = {.s = text, .n = n, .most = most, .whole = whole};
    skip_white(&p);
    json_t *v = value(&p);
    skip_white(&p);
    if (v && p.at < n) {
        json_decref(v);
        v = wrong(&p, "end of file expected");
    }
    if (!v) tell(&p, line, e);
    text_free(&p.keys);
    text_free(&p.plain);
    return v;
}

json_t *json_parse(const char *text, size_t n, bool line, size_t most, struct error *e)
{
    return parse(text, text, n, line, most, e);
}

json_t *json_parse_part(const char *whole, const char *part, size_t n, size_t most, struct error *e)
{
    return parse(whole, part, n, true, most, e);
}
