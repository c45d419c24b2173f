#include "engine/base/memory.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static int by_bytes(const void *a, const void *b)
{
    const struct special *x = a, *y = b;
    const size_t shorter = x->piece.length < y->piece.length ? x->piece.length : y->piece.length;
    const int order = memcmp(x->piece.bytes, y->piece.bytes, shorter);
    if (order) return order;
    if (x->piece.length != y->piece.length) return x->piece.length < y->piece.length ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

bool token_is_special(enum token_type type)
{
    return type == TOKEN_CONTROL || type == TOKEN_UNKNOWN || type == TOKEN_USER_DEFINED;
}

static int add_special(struct specials *s, const struct vocabulary *v, int32_t id, struct error *e)
{
    const struct gguf_string piece = vocabulary_piece(v, id);
    const unsigned traits = vocabulary_traits(v, id);
    struct special *special = s->at + s->count;
    *special = (struct special){piece, id, v->types[id] == TOKEN_USER_DEFINED, (uint8_t)traits};
    if (traits & TOKEN_NORMALIZED && v->normalizer) {
        /* its bytes move while others are added, so only the length is known here */
        const size_t before = s->bytes.length;
        if (normalizer_apply(v->normalizer, piece.bytes, piece.length, false, &s->bytes, e)) return e->code;
        special->piece = (struct gguf_string){NULL, s->bytes.length - before};
    }
    if (special->piece.length > PIECE_LENGTH_MAX)
        return error_set(e, ERROR_INPUT, "tokens[%d]: a special token of %zu bytes; %d are the limit", id,
                         special->piece.length, PIECE_LENGTH_MAX);
    s->count += special->piece.length > 0;
    return 0;
}

int specials_open(struct specials *s, const struct vocabulary *v, bool normalized, struct error *e)
{
    *s = (struct specials){0};
    size_t count = 0;
    for (size_t id = 0; id < v->size; id++) count += token_is_special(v->types[id]);
    s->at = memory_new(count, sizeof *s->at, "special tokens", e);
    if (!s->at) return e->code;
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const bool is_normalized = v->normalizer && vocabulary_traits(v, id) & TOKEN_NORMALIZED;
        if (token_is_special(v->types[id]) && is_normalized == normalized && add_special(s, v, id, e)) return e->code;
    }
    for (size_t i = 0, at = 0; normalized && i < s->count; at += s->at[i++].piece.length)
        s->at[i].piece.bytes = s->bytes.bytes + at;
    qsort(s->at, s->count, sizeof *s->at, by_bytes);
    for (size_t i = 0; i < s->count; i++) s->first[(unsigned char)s->at[i].piece.bytes[0] + 1] = i + 1;
    for (size_t b = 1; b < 257; b++)
        if (s->first[b] < s->first[b - 1]) s->first[b] = s->first[b - 1];
    return 0;
}

void specials_close(struct specials *s)
{
    free(s->at);
    text_free(&s->bytes);
    *s = (struct specials){0};
}

static int byte_at(const struct special *s, size_t depth) { return (unsigned char)s->piece.bytes[depth]; }

/* Of at[low .. high), which agree up to `depth` and are longer: the first whose byte there is not less. The ends are
 * tried before the middle, since mostly all agree. */
static size_t lower_bound(const struct special *at, size_t low, size_t high, size_t depth, int byte)
{
    if (low == high || byte_at(at + low, depth) >= byte) return low;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (byte_at(at + middle, depth) < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first whose byte is greater. */
static size_t upper_bound(const struct special *at, size_t low, size_t high, size_t depth, int byte)
{
    if (low == high || byte_at(at + high - 1, depth) <= byte) return high;
    return lower_bound(at, low, high, depth, byte + 1);
}

static const struct special *longest_at(const struct specials *s, const char *text, size_t n, bool plain)
{
    const struct special *best = NULL;
    size_t low = s->first[(unsigned char)*text], high = s->first[(unsigned char)*text + 1];
    for (size_t depth = 1; low < high; depth++) {
        /* the shorter sorts first, so what ends here is at the front */
        const struct special *here = NULL;
        for (; low < high && s->at[low].piece.length == depth; low++)
            if (!here && (!plain || s->at[low].always)) here = s->at + low;
        if (here) best = here;
        if (depth == n) break;
        low = lower_bound(s->at, low, high, depth, (unsigned char)text[depth]);
        high = upper_bound(s->at, low, high, depth, (unsigned char)text[depth]);
    }
    return best;
}

/* The code point that ends at text[end - 1], 0 where that is none; its length. */
static size_t codepoint_before(const char *text, size_t end, uint32_t *c)
{
    size_t begin = end;
    while (begin && end - begin < 4 && ((unsigned char)text[begin - 1] & 0xC0) == 0x80) begin--;
    if (begin) begin--;
    *c = 0;
    return end && utf8_decode(text + begin, end - begin, c) == end - begin ? end - begin : 0;
}

/* What is alphabetic, marks, digits, connectors and joiners. */
static bool is_word(uint32_t c)
{
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    const bool circled = (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F189);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) || category == UTF8PROC_CATEGORY_PC ||
           circled || c == 0x200C || c == 0x200D;
}

static bool stands_alone(const char *text, size_t n, size_t begin, size_t end)
{
    uint32_t c = 0;
    if (codepoint_before(text, begin, &c) && is_word(c)) return false;
    return !(end < n && utf8_decode(text + end, n - end, &c) && is_word(c));
}

static void strip(const char *text, size_t n, size_t from, struct special_match *m)
{
    uint32_t c;
    size_t step;
    while (m->special->traits & TOKEN_LSTRIP && m->begin > from &&
           (step = codepoint_before(text + from, m->begin - from, &c)) > 0 && codepoint_is_space(c))
        m->begin -= step;
    while (m->special->traits & TOKEN_RSTRIP && m->end < n && (step = utf8_decode(text + m->end, n - m->end, &c)) > 0 &&
           codepoint_is_space(c))
        m->end += step;
}

struct special_match specials_next(const struct specials *s, const char *text, size_t n, size_t from, bool plain)
{
    for (size_t i = s->count ? from : n; i < n; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if (s->first[byte] == s->first[byte + 1]) continue;
        struct special_match m = {longest_at(s, text + i, n - i, plain), i, i};
        if (!m.special) continue;
        m.end = i + m.special->piece.length;
        if (m.special->traits & TOKEN_SINGLE_WORD && !stands_alone(text, n, m.begin, m.end)) {
            i = m.end - 1;
            continue;
        }
        strip(text, n, from, &m);
        return m;
    }
    return (struct special_match){NULL, n, n};
}
