#include "engine/tokenizers/normalize.h"

#include "engine/base/memory.h"
#include "engine/tokenizers/expression.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct normal_step {
    enum normal_type type;
    unsigned flags;
    struct text a, b;
    struct expression *pattern;
};

/* No step makes a text longer than these allow, whatever a file asks for: one that replaces stops where it gets there. */
enum { STEPS_MAX = 32, REPLACEMENT_MAX = 256 /* bytes */, GROWTH_MAX = 64 };

static size_t longest_of(size_t length)
{
    const size_t wanted = length + GROWTH_MAX;
    return wanted > SIZE_MAX / GROWTH_MAX ? SIZE_MAX : wanted * GROWTH_MAX;
}

struct normalizer {
    struct normal_step steps[STEPS_MAX];
    size_t count;
};

int normalizer_open(struct normalizer **out, struct error *e)
{
    *out = memory_new(1, sizeof **out, "a normalizer", e);
    return *out ? 0 : (int)e->code;
}

void normalizer_close(struct normalizer *n)
{
    if (!n) return;
    for (size_t i = 0; i < n->count; i++) {
        text_free(&n->steps[i].a);
        text_free(&n->steps[i].b);
        expression_close(n->steps[i].pattern);
    }
    free(n);
}

size_t normalizer_length(const struct normalizer *n) { return n ? n->count : 0; }

enum normal_type normalizer_step(const struct normalizer *n, size_t i, unsigned *flags, const struct text **a,
                                 const struct text **b)
{
    *flags = n->steps[i].flags;
    *a = &n->steps[i].a;
    *b = &n->steps[i].b;
    return n->steps[i].type;
}

int normalizer_add(struct normalizer *n, enum normal_type type, unsigned flags, const char *a, size_t a_length,
                   const char *b, size_t b_length, struct error *e)
{
    if (n->count == STEPS_MAX) return error_set(e, ERROR_INPUT, "more than %d steps of normalization", STEPS_MAX);
    if (b_length > REPLACEMENT_MAX || (type == NORMAL_PREPEND && a_length > REPLACEMENT_MAX))
        return error_set(e, ERROR_INPUT, "a replacement of more than %d bytes", REPLACEMENT_MAX);
    struct normal_step *s = n->steps + n->count++;
    *s = (struct normal_step){.type = type, .flags = flags};
    text_bytes(&s->a, a, a_length);
    text_bytes(&s->b, b, b_length);
    if (s->a.failed || s->b.failed) return error_set(e, ERROR_IO, "out of memory for a normalizer");
    if (type == NORMAL_REPLACE && !a_length) return error_set(e, ERROR_INPUT, "an empty string cannot be replaced");
    if (type == NORMAL_REPLACE_REGEX) return expression_open(&s->pattern, a, a_length, e);
    return type == NORMAL_CHARSMAP ? charsmap_check(a, a_length, e) : 0;
}

bool codepoint_is_mark(uint32_t c)
{
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME;
}

bool codepoint_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) ||
               (c >= 0x7B && c <= 0x7E);
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/* The white space of Unicode: what Python adds are controls. */
static bool is_space(uint32_t c) { return codepoint_is_space(c) && !(c >= 0x1C && c <= 0x1F); }

/* --- one character at a time --- */

static void add_lower(uint32_t c, struct text *out)
{
    if (c < 0x80)
        text_char(out, (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
    else if (c == 0x130) /* the one character whose lower case is two */
        text_add(out, "i\xCC\x87");
    else
        text_codepoint(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
}

/* What BERT (Devlin et al. 2018) takes away: controls that are no white space, formats, private use, U+FFFD. */
static bool is_unclean(uint32_t c)
{
    if (c == 0 || c == 0xFFFD) return true;
    if (c == '\t' || c == '\n' || c == '\r') return false;
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO;
}

/* BERT's blocks, as Hugging Face's tokenizers have them: extension E begins at 0x2B920 there, not at 0x2B820. */
static bool is_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static void add_bert(unsigned flags, uint32_t c, struct text *out)
{
    if (flags & BERT_CLEAN && is_unclean(c)) return;
    if (flags & BERT_CLEAN && is_space(c)) c = ' ';
    const bool apart = flags & BERT_CHINESE && is_chinese(c);
    if (apart) text_char(out, ' ');
    text_codepoint(out, c);
    if (apart) text_char(out, ' ');
}

static void add_unaccented(uint32_t c, struct text *out)
{
    if (c < 0x80 || utf8proc_category((utf8proc_int32_t)c) != UTF8PROC_CATEGORY_MN) text_codepoint(out, c);
}

static void by_characters(enum normal_type type, unsigned flags, const char *text, size_t n, struct text *out)
{
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        const size_t step = utf8_decode(text + i, n - i, &c);
        if (!step)
            text_char(out, text[i]);
        else if (type == NORMAL_LOWERCASE)
            add_lower(c, out);
        else if (type == NORMAL_BERT && flags == BERT_ACCENTS)
            add_unaccented(c, out);
        else if (type == NORMAL_BERT)
            add_bert(flags, c, out);
        else if (!codepoint_is_mark(c))
            text_codepoint(out, c);
        i += step ? step : 1;
    }
}

static int bert(unsigned flags, const char *text, size_t n, struct text *out, struct error *e)
{
    struct text first = {0}, second = {0};
    by_characters(NORMAL_BERT, flags & (BERT_CLEAN | BERT_CHINESE), text, n, &first);
    int status = 0;
    if (flags & BERT_ACCENTS) {
        status = normal_form(NORMAL_NFD, text_c(&first), first.length, &second, e);
        text_clear(&first);
        by_characters(NORMAL_BERT, BERT_ACCENTS, text_c(&second), second.length, &first);
    }
    if (flags & BERT_LOWERCASE)
        by_characters(NORMAL_LOWERCASE, 0, text_c(&first), first.length, out);
    else
        text_bytes(out, text_c(&first), first.length);
    out->failed = out->failed || first.failed || second.failed;
    text_free(&first);
    text_free(&second);
    return status;
}

/* --- the rest --- */

static void replace(const struct normal_step *s, const char *text, size_t n, size_t most, struct text *out)
{
    const char *at = text, *end = text + n, *found;
    while (out->length <= most && (found = memmem(at, (size_t)(end - at), s->a.bytes, s->a.length)) != NULL) {
        text_bytes(out, at, (size_t)(found - at));
        text_bytes(out, text_c(&s->b), s->b.length);
        at = found + s->a.length;
    }
    text_bytes(out, at, (size_t)(end - at));
}

/* In one run of UTF-8. */
static int replace_run(const struct normal_step *s, struct expression_match *m, const char *text, size_t n, size_t most,
                       struct text *out, struct error *e)
{
    for (size_t at = 0, begin = 0, end = 0; at < n && out->length <= most; at = end) {
        if (expression_match(s->pattern, m, text, n, at, &begin, &end, e)) return e->code;
        text_bytes(out, text + at, begin - at);
        if (begin < n || end > begin) text_bytes(out, text_c(&s->b), s->b.length);
    }
    return 0;
}

static int replace_matches(const struct normal_step *s, const char *text, size_t n, size_t most, struct text *out,
                           struct error *e)
{
    struct expression_match *m;
    if (expression_match_open(&m, e)) return e->code;
    int status = 0;
    for (size_t at = 0; !status && at < n;) {
        uint32_t c;
        size_t end = at, step;
        while (end < n && (step = utf8_decode(text + end, n - end, &c)) > 0) end += step;
        status = replace_run(s, m, text + at, end - at, most, out, e);
        for (at = end; at < n && !utf8_decode(text + at, n - at, &c); at++) text_char(out, text[at]);
    }
    expression_match_close(m);
    return status;
}

static void strip(unsigned flags, const char *text, size_t n, struct text *out)
{
    size_t begin = 0, end = n, step;
    uint32_t c;
    while (flags & 1 && begin < end && (step = utf8_decode(text + begin, end - begin, &c)) > 0 && is_space(c))
        begin += step;
    while (flags & 2 && end > begin) {
        size_t last = end - 1;
        while (last > begin && ((unsigned char)text[last] & 0xC0) == 0x80) last--;
        step = utf8_decode(text + last, end - last, &c);
        if (step != end - last || !is_space(c)) break;
        end = last;
    }
    text_bytes(out, text + begin, end - begin);
}

static void join_spaces(const char *text, size_t n, struct text *out)
{
    bool wanted = false, any = false;
    for (size_t i = 0; i < n; i++) {
        wanted = wanted || text[i] == ' ';
        if (text[i] == ' ') continue;
        if (wanted && any) text_char(out, ' ');
        text_char(out, text[i]);
        wanted = false;
        any = true;
    }
}

/* Goes on until *out is longer than `most` or the text is done. */
static int apply_step(const struct normal_step *s, const char *text, size_t n, bool prefix, size_t most,
                      struct text *out, struct error *e)
{
    switch (s->type) {
    case NORMAL_NFC:
    case NORMAL_NFD:
    case NORMAL_NFKC:
    case NORMAL_NFKD:
        return normal_form(s->type, text, n, out, e);
    case NORMAL_LOWERCASE:
    case NORMAL_STRIP_ACCENTS:
        return by_characters(s->type, 0, text, n, out), 0;
    case NORMAL_BERT:
        return bert(s->flags, text, n, out, e);
    case NORMAL_REPLACE:
        return replace(s, text, n, most, out), 0;
    case NORMAL_REPLACE_REGEX:
        return replace_matches(s, text, n, most, out, e);
    case NORMAL_PREPEND:
        if (prefix && n) text_bytes(out, text_c(&s->a), s->a.length);
        return text_bytes(out, text, n), 0;
    case NORMAL_STRIP:
        return strip(s->flags, text, n, out), 0;
    case NORMAL_CHARSMAP:
        return (s->flags ? charsmap_apply_graphemes : charsmap_apply)(s->a.bytes, s->a.length, text, n, most, out), 0;
    case NORMAL_SPACES:
        return join_spaces(text, n, out), 0;
    }
    return 0;
}

int normalizer_apply(const struct normalizer *n, const char *text, size_t length, bool prefix, struct text *out,
                     struct error *e)
{
    struct text now = {0}, next = {0};
    const size_t most = longest_of(length);
    int status = 0;
    for (size_t i = 0; !status && i < n->count; i++) {
        text_clear(&next);
        status = apply_step(n->steps + i, i ? text_c(&now) : text, i ? now.length : length, prefix, most, &next, e);
        if (!status && next.failed) status = error_set(e, ERROR_IO, "out of memory for a normalized text");
        if (!status && next.length > most)
            status = error_set(e, ERROR_INPUT, "text: the normalizer makes more than %zu bytes of %zu", most, length);
        const struct text swapped = now;
        now = next;
        next = swapped;
    }
    if (!status) text_bytes(out, n->count ? text_c(&now) : text, n->count ? now.length : length);
    if (!status && out->failed) status = error_set(e, ERROR_IO, "out of memory for a normalized text");
    text_free(&now);
    text_free(&next);
    return status;
}
