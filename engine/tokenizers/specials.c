#include "engine/base/memory.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <stdlib.h>
#include <string.h>

static int by_bytes(const void *a, const void *b)
{
    const struct special *x = a, *y = b;
    const size_t shorter = x->piece.length < y->piece.length ? x->piece.length : y->piece.length;
    const int order = memcmp(x->piece.bytes, y->piece.bytes, shorter);
    if (order) return order;
    if (x->piece.length != y->piece.length) return x->piece.length < y->piece.length ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool is_special(enum token_type type)
{
    return type == TOKEN_CONTROL || type == TOKEN_UNKNOWN || type == TOKEN_USER_DEFINED;
}

int specials_open(struct specials *s, const struct vocabulary *v, struct error *e)
{
    *s = (struct specials){0};
    size_t count = 0;
    for (size_t id = 0; id < v->size; id++) count += is_special(v->types[id]);
    s->at = memory_new(count, sizeof *s->at, "special tokens", e);
    if (!s->at) return e->code;
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        if (!is_special(v->types[id]) || !piece.length) continue;
        if (piece.length > PIECE_LENGTH_MAX)
            return error_set(e, ERROR_INPUT, "tokens[%d]: a special token of %zu bytes; %d are the limit", id,
                             piece.length, PIECE_LENGTH_MAX);
        s->at[s->count++] = (struct special){piece, id, v->types[id] == TOKEN_USER_DEFINED};
    }
    qsort(s->at, s->count, sizeof *s->at, by_bytes);
    for (size_t i = 0; i < s->count; i++) s->first[(unsigned char)s->at[i].piece.bytes[0] + 1] = i + 1;
    for (size_t b = 1; b < 257; b++)
        if (s->first[b] < s->first[b - 1]) s->first[b] = s->first[b - 1];
    return 0;
}

void specials_close(struct specials *s) { free(s->at); }

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

size_t specials_next(const struct specials *s, const char *text, size_t n, size_t from, bool plain,
                     const struct special **found)
{
    *found = NULL;
    for (size_t i = s->count ? from : n; i < n; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if (s->first[byte] == s->first[byte + 1]) continue;
        *found = longest_at(s, text + i, n - i, plain);
        if (*found) return i;
    }
    return n;
}
