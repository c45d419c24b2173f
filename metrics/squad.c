/* F1 of answers: of the bags of words, the best over the references. Two answers of which nothing is left, such as
 * "the" and "a", have an F1 of 0 as in version 1.1 of the script; only against an empty reference it is 1. */
#include "metrics/squad.h"
#include "metrics/lowercase.h"
#include "metrics/ngrams.h"

#include <math.h>
#include <string.h>
#include <utf8proc.h>

static bool is_word(uint32_t c)
{
    if (c == '_') return true;
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) ||
           (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO);
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

/* Lower case without ASCII punctuation. */
static void add_plain(struct text *out, const char *s)
{
    struct text lower = {0};
    lowercase_add(&lower, s, strlen(s));
    for (size_t i = 0; i < lower.length; i++)
        if (!is_ascii_punctuation(lower.bytes[i])) text_char(out, lower.bytes[i]);
    out->failed |= lower.failed;
    text_free(&lower);
}

int squad_normalize(struct text *out, const char *s, struct error *e)
{
    struct text plain = {0}, rest = {0};
    struct sequence words = {0};
    add_plain(&plain, s);
    add_without_articles(&rest, text_c(&plain), plain.length);
    int status = sequence_words(&words, text_c(&rest), rest.length, e);
    for (size_t i = 0; i < words.length; i++) {
        if (i) text_char(out, ' ');
        text_bytes(out, words.symbols[i].bytes, words.symbols[i].length);
    }
    if (!status && (plain.failed || rest.failed || out->failed))
        status = error_set(e, ERROR_IO, "out of memory for the words of an answer");
    sequence_free(&words);
    text_free(&rest);
    text_free(&plain);
    return status;
}

static int answer_open(struct sequence *s, const char *text, struct error *e)
{
    int status = squad_normalize(&s->text, text, e);
    if (!status) status = sequence_words(s, text_c(&s->text), s->text.length, e);
    return status ? status : sequence_index(s, 1, e);
}

/* Twice the words that both have by the words of both, 0 where one has none. The empty reference says that the question
 * has no answer (SQuAD 2.0), and an answer without words says so too. */
static double overlap(const struct sequence *answer, struct sequence *reference, bool no_answer)
{
    if (no_answer) return answer->length == 0;
    const size_t shared = sequence_matches(answer, reference, 1, 1);
    return shared ? 2 * (double)shared / (double)(answer->length + reference->length) : 0;
}

static int accumulate(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    int status = generation_check(o, e);
    if (status) return status;
    struct sequence answer = {0};
    status = answer_open(&answer, o->text, e);
    double best = 0;
    for (size_t i = 0; !status && i < o->n_references; i++) {
        struct sequence reference = {0};
        status = answer_open(&reference, o->references[i], e);
        if (!status) best = fmax(best, overlap(&answer, &reference, !*o->references[i]));
        sequence_free(&reference);
    }
    sequence_free(&answer);
    stats[0] = best;
    stats[1] = 1;
    return status;
}

static double mean(const double *sums, const void *settings) { return sums[1] > 0 ? sums[0] / sums[1] : NAN; }

const struct metric metric_squad_f1 = {
    .name = "f1",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .accumulate = accumulate,
    .finish = mean,
};
