/* Unicode's normalization forms (UAX 15). Marks are put in order by sorting, so that a text of a million marks takes no
 * longer than another. */
#include "engine/base/memory.h"
#include "engine/tokenizers/normalize.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Of a mark in a run of marks: class << 32 | place, so that sorting keeps the order of equal classes. */
struct ordered {
    uint64_t key;
    utf8proc_int32_t codepoint;
};

struct forming {
    enum normal_type type;
    utf8proc_int32_t *at;
    size_t count, capacity;
    struct ordered *marks;
    size_t mark_capacity;
};

static int by_key(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static int decompose(struct forming *f, const char *text, size_t length, struct error *e)
{
    const bool compatible = f->type == NORMAL_NFKC || f->type == NORMAL_NFKD;
    const utf8proc_option_t options =
        (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
    f->count = 0;
    for (size_t i = 0; i < length;) {
        uint32_t c = 0;
        int boundary = 0;
        enum { MOST = 32 }; /* no character has more than 18 in its decomposition */
        i += utf8_decode(text + i, length - i, &c);
        if (memory_reserve((void **)&f->at, &f->capacity, f->count + MOST, sizeof *f->at, "normalizing", e))
            return e->code;
        const utf8proc_ssize_t n =
            utf8proc_decompose_char((utf8proc_int32_t)c, f->at + f->count, MOST, options, &boundary);
        if (n < 0 || n > MOST) return error_set(e, ERROR_IO, "U+%04X does not decompose", (unsigned)c);
        f->count += (size_t)n;
    }
    return 0;
}

static uint64_t class_of(utf8proc_int32_t c) { return (uint64_t)utf8proc_get_property(c)->combining_class; }

static int sort_marks(struct forming *f, struct error *e)
{
    for (size_t i = 0; i < f->count; i++) {
        size_t end = i;
        bool sorted = true;
        for (; end < f->count && class_of(f->at[end]); end++)
            sorted = sorted && (end == i || class_of(f->at[end - 1]) <= class_of(f->at[end]));
        const size_t n = end - i;
        if (sorted) {
            i = n ? end - 1 : i;
            continue;
        }
        if (memory_reserve((void **)&f->marks, &f->mark_capacity, n, sizeof *f->marks, "normalizing", e))
            return e->code;
        for (size_t k = 0; k < n; k++)
            f->marks[k] = (struct ordered){class_of(f->at[i + k]) << 32 | (uint32_t)k, f->at[i + k]};
        qsort(f->marks, n, sizeof *f->marks, by_key);
        for (size_t k = 0; k < n; k++) f->at[i + k] = f->marks[k].codepoint;
        i = end - 1;
    }
    return 0;
}

static int form_stretch(struct forming *f, const char *text, size_t length, struct text *out, struct error *e)
{
    if (decompose(f, text, length, e) || sort_marks(f, e)) return e->code;
    size_t count = f->count;
    if (f->type == NORMAL_NFC || f->type == NORMAL_NFKC) {
        const utf8proc_ssize_t n = utf8proc_normalize_utf32(f->at, (utf8proc_ssize_t)count,
                                                            (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
        if (n < 0) return error_set(e, ERROR_IO, "a text does not compose");
        count = (size_t)n;
    }
    for (size_t i = 0; i < count; i++) text_codepoint(out, (uint32_t)f->at[i]);
    return 0;
}

static bool is_ascii(char c) { return (unsigned char)c < 0x80; }

int normal_form(enum normal_type type, const char *text, size_t length, struct text *out, struct error *e)
{
    struct forming f = {.type = type};
    int status = 0;
    for (size_t at = 0; !status && at < length;) {
        /* nothing happens between two characters of ASCII, nor to bytes that are no character */
        size_t end = at;
        while (end < length && is_ascii(text[end]) && (end + 1 == length || is_ascii(text[end + 1]))) end++;
        text_bytes(out, text + at, end - at);
        at = end;
        uint32_t c;
        size_t step;
        if (end < length && is_ascii(text[end])) end++;
        while (end < length && !is_ascii(text[end]) && (step = utf8_decode(text + end, length - end, &c)) > 0)
            end += step;
        status = form_stretch(&f, text + at, end - at, out, e);
        at = end;
        while (at < length && !is_ascii(text[at]) && !utf8_decode(text + at, length - at, &c))
            text_char(out, text[at++]);
    }
    free(f.at);
    free(f.marks);
    return status;
}
