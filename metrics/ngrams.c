#include "metrics/ngrams.h"
#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

int sequence_add(struct sequence *s, const char *bytes, size_t length, struct error *e)
{
    const int status =
        memory_reserve((void **)&s->symbols, &s->capacity, s->length + 1, sizeof *s->symbols, "words", e);
    if (status) return status;
    s->symbols[s->length++] = (struct span){bytes, length};
    return 0;
}

/* Length of the code point at text[0 .. n), 1 for a byte that is not UTF-8, and whether it is white space. */
static size_t step(const char *text, size_t n, bool *space)
{
    uint32_t c;
    const size_t size = utf8_decode(text, n, &c);
    *space = size && codepoint_is_space(c);
    return size ? size : 1;
}

int sequence_words(struct sequence *s, const char *text, size_t n, struct error *e)
{
    size_t start = 0;
    for (size_t i = 0; i < n;) {
        bool space;
        const size_t size = step(text + i, n - i, &space);
        if (space && i > start && sequence_add(s, text + start, i - start, e)) return ERROR_IO;
        i += size;
        if (space) start = i;
    }
    return n > start ? sequence_add(s, text + start, n - start, e) : 0;
}

int sequence_characters(struct sequence *s, const char *text, size_t n, bool white_space, struct error *e)
{
    for (size_t i = 0; i < n;) {
        bool space;
        const size_t size = step(text + i, n - i, &space);
        if ((white_space || !space) && sequence_add(s, text + i, size, e)) return ERROR_IO;
        i += size;
    }
    return 0;
}

/* Any total order of the symbols does; the shorter one first is the cheapest. */
static int symbol_compare(const struct span *a, const struct span *b)
{
    if (a->length != b->length) return a->length < b->length ? -1 : 1;
    return memcmp(a->bytes, b->bytes, a->length);
}

/* Compares the first `depth` symbols of two suffixes; one that ends before them comes first. */
static int suffix_compare(const struct sequence *a, size_t i, const struct sequence *b, size_t j, size_t depth)
{
    for (size_t k = 0; k < depth; k++) {
        const bool a_ends = i + k >= a->length, b_ends = j + k >= b->length;
        if (a_ends || b_ends) return (int)b_ends - (int)a_ends;
        const int order = symbol_compare(&a->symbols[i + k], &b->symbols[j + k]);
        if (order) return order;
    }
    return 0;
}

static int suffix_order(const void *a, const void *b, void *sequence)
{
    const struct sequence *s = sequence;
    return suffix_compare(s, *(const size_t *)a, s, *(const size_t *)b, s->depth);
}

int sequence_index(struct sequence *s, size_t depth, struct error *e)
{
    s->suffixes = memory_new(s->length, sizeof *s->suffixes, "n-grams", e);
    if (!s->suffixes) return ERROR_IO;
    for (size_t i = 0; i < s->length; i++) s->suffixes[i] = i;
    s->depth = depth;
    qsort_r(s->suffixes, s->length, sizeof *s->suffixes, suffix_order, s);
    return 0;
}

size_t sequence_grams(const struct sequence *s, size_t order) { return s->length >= order ? s->length - order + 1 : 0; }

/* Moves the cursor past everything up to the n-gram at `start` of h, and returns how often it was there. */
static size_t count_forward(struct sequence *s, const struct sequence *h, size_t start, size_t order)
{
    size_t count = 0;
    for (; s->cursor < s->length; s->cursor++) {
        const int sign = suffix_compare(s, s->suffixes[s->cursor], h, start, order);
        if (sign > 0) break;
        count += sign == 0;
    }
    return count;
}

size_t sequence_matches(const struct sequence *h, struct sequence *references, size_t n_references, size_t order)
{
    for (size_t r = 0; r < n_references; r++) references[r].cursor = 0;
    size_t matches = 0;
    for (size_t i = 0; i < h->length;) {
        const size_t start = h->suffixes[i];
        if (h->length - start < order) {
            i++;
            continue;
        }
        size_t count = 1, most = 0;
        while (i + count < h->length && suffix_compare(h, h->suffixes[i + count], h, start, order) == 0) count++;
        for (size_t r = 0; r < n_references; r++) {
            const size_t there = count_forward(&references[r], h, start, order);
            if (there > most) most = there;
        }
        matches += count < most ? count : most;
        i += count;
    }
    return matches;
}

struct two {
    const struct sequence *a, *b;
};

static const struct span *symbol_of(const struct two *t, size_t i)
{
    return i < t->a->length ? &t->a->symbols[i] : &t->b->symbols[i - t->a->length];
}

static int symbol_order(const void *i, const void *j, void *two)
{
    return symbol_compare(symbol_of(two, *(const size_t *)i), symbol_of(two, *(const size_t *)j));
}

int sequences_number(const struct sequence *a, const struct sequence *b, uint32_t *of_a, uint32_t *of_b,
                     size_t *distinct, struct error *e)
{
    struct two t = {a, b};
    const size_t n = a->length + b->length;
    size_t *order = memory_new(n, sizeof *order, "words", e);
    if (!order) return ERROR_IO;
    for (size_t i = 0; i < n; i++) order[i] = i;
    qsort_r(order, n, sizeof *order, symbol_order, &t);
    *distinct = 0;
    for (size_t k = 0; k < n; k++) {
        const size_t i = order[k];
        *distinct += k == 0 || symbol_compare(symbol_of(&t, order[k - 1]), symbol_of(&t, i)) != 0;
        const uint32_t number = (uint32_t)(*distinct - 1);
        if (i < a->length)
            of_a[i] = number;
        else
            of_b[i - a->length] = number;
    }
    free(order);
    return 0;
}

void sequence_free(struct sequence *s)
{
    free(s->symbols);
    free(s->suffixes);
    text_free(&s->text);
    *s = (struct sequence){0};
}

void sequences_free(struct sequence *s, size_t n)
{
    for (size_t i = 0; s && i < n; i++) sequence_free(&s[i]);
    free(s);
}

int references_used(const struct outcome *o, const char ***used, size_t *n, struct error *e)
{
    const int status = generation_check(o, e);
    if (status) return status;
    const char **list = memory_new(o->n_references, sizeof *list, "references", e);
    if (!list) return ERROR_IO;
    *n = 0;
    for (size_t i = 0; i < o->n_references; i++)
        if (o->references[i][0]) list[(*n)++] = o->references[i];
    if (*n == 0) list[(*n)++] = "";
    *used = list;
    return 0;
}

void signature_references(size_t n_references, struct text *out)
{
    if (n_references)
        text_printf(out, "nrefs:%zu|", n_references);
    else
        text_add(out, "nrefs:var|");
}

void signature_version(struct text *out) { text_add(out, "|version:2.6.0"); }

bool is_ascii_punctuation(char c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}
