/* Exact match and F1 of answers as SQuAD v1.1 scores them (Rajpurkar, Zhang, Lopyrev and Liang 2016): lower case, ASCII
 * punctuation removed, the words a, an and the replaced by a space, split at white space; F1 over the bags of words;
 * of several references the best. Two answers that are empty after this match exactly and have an F1 of 0. Letters,
 * digits and case are Unicode's, as Python's str.lower() and \b have them. Ratios, 0 .. 1. */
#include "engine/base/memory.h"
#include "metrics/ngrams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { SIGMA = 0x3A3, SIGMA_SMALL = 0x3C3, SIGMA_FINAL = 0x3C2, I_DOTTED = 0x130, DOT_ABOVE = 0x307 };

static bool is_word(uint32_t c)
{
    if (c == '_') return true;
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) ||
           (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO);
}

/* Letters of either case; the symbols that Unicode counts as cased too (circled letters, Roman numerals) are not asked
 * for, as only a sigma right beside one would tell. */
static bool is_cased(uint32_t c)
{
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT;
}

/* What the rule of the final sigma looks through (the property Case_Ignorable). */
static bool is_ignored(uint32_t c)
{
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x2018 || c == 0x2019 || c == 0x2024 || c == 0x2027 ||
           k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF ||
           k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_SK;
}

/* Whether a cased letter follows, from s on. */
static bool cased_follows(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const size_t size = utf8_decode(s + i, n - i, &c);
        if (!size) return false;
        if (is_cased(c)) return true;
        if (!is_ignored(c)) return false;
        i += size;
    }
    return false;
}

/* Unicode's full lower casing: the simple mapping but for the dotted capital I and the sigma that ends a word. */
static void add_lower(struct text *out, uint32_t c, bool cased_before, const char *after, size_t n)
{
    if (c == I_DOTTED) {
        text_char(out, 'i');
        text_codepoint(out, DOT_ABOVE);
    } else if (c == SIGMA) {
        text_codepoint(out, cased_before && !cased_follows(after, n) ? SIGMA_FINAL : SIGMA_SMALL);
    } else {
        text_codepoint(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    }
}

/* Lower case without ASCII punctuation. */
static void add_plain(struct text *out, const char *s)
{
    const size_t n = strlen(s);
    bool cased = false; /* a cased letter stands before, seen through what is ignored */
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const size_t size = utf8_decode(s + i, n - i, &c);
        if (!size) {
            text_char(out, s[i++]);
            cased = false;
            continue;
        }
        if (size > 1 || !is_ascii_punctuation(s[i])) add_lower(out, c, cased, s + i + size, n - i - size);
        if (is_cased(c) || !is_ignored(c)) cased = is_cased(c);
        i += size;
    }
}

static bool is_article(const char *s, size_t n)
{
    return (n == 1 && s[0] == 'a') || (n == 2 && memcmp(s, "an", 2) == 0) || (n == 3 && memcmp(s, "the", 3) == 0);
}

/* Copies s; runs of word characters that are an article become a space. */
static void add_without_articles(struct text *out, const char *s, size_t n)
{
    size_t start = 0; /* of the run that ends at i */
    for (size_t i = 0; i <= n;) {
        uint32_t c = 0;
        const size_t size = i < n ? utf8_decode(s + i, n - i, &c) : 0;
        const size_t step = size ? size : 1;
        if (!size || !is_word(c)) {
            if (is_article(s + start, i - start))
                text_char(out, ' ');
            else
                text_bytes(out, s + start, i - start);
            if (i < n) text_bytes(out, s + i, step);
            start = i + step;
        }
        i += step;
    }
}

static int answer_open(struct sequence *s, const char *text, struct error *e)
{
    struct text plain = {0};
    add_plain(&plain, text);
    add_without_articles(&s->text, text_c(&plain), plain.length);
    const bool failed = plain.failed || s->text.failed;
    text_free(&plain);
    if (failed) return error_set(e, ERROR_IO, "out of memory for the words of an answer");
    const int status = sequence_words(s, text_c(&s->text), s->text.length, e);
    return status ? status : sequence_index(s, 1, e);
}

static double same(const struct sequence *a, struct sequence *b)
{
    bool equal = a->length == b->length;
    for (size_t i = 0; equal && i < a->length; i++)
        equal = a->symbols[i].length == b->symbols[i].length &&
                memcmp(a->symbols[i].bytes, b->symbols[i].bytes, a->symbols[i].length) == 0;
    return equal;
}

static double overlap(const struct sequence *a, struct sequence *b)
{
    const size_t shared = sequence_matches(a, b, 1, 1);
    return shared ? 2 * (double)shared / (double)(a->length + b->length) : 0;
}

static int accumulate(const struct outcome *o, double (*score)(const struct sequence *, struct sequence *),
                      double *stats, struct error *e)
{
    if (!o->text) return error_set(e, ERROR_INPUT, "text: there is none");
    if (!o->n_references) return error_set(e, ERROR_INPUT, "references: there are none");
    struct sequence answer = {0};
    int status = answer_open(&answer, o->text, e);
    double best = 0;
    for (size_t i = 0; !status && i < o->n_references; i++) {
        struct sequence reference = {0};
        status = answer_open(&reference, o->references[i], e);
        if (!status) best = fmax(best, score(&answer, &reference));
        sequence_free(&reference);
    }
    sequence_free(&answer);
    stats[0] = best;
    stats[1] = 1;
    return status;
}

static int accumulate_exact(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, same, stats, e);
}

static int accumulate_f1(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, overlap, stats, e);
}

static double mean(const double *sums, const void *settings) { return sums[1] > 0 ? sums[0] / sums[1] : NAN; }

const struct metric metric_squad_exact_match = {
    .name = "exact_match",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .accumulate = accumulate_exact,
    .finish = mean,
};
const struct metric metric_squad_f1 = {
    .name = "f1",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .accumulate = accumulate_f1,
    .finish = mean,
};
