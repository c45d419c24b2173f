/* chrF (Popovic 2015) and chrF++ (Popovic 2017) as sacreBLEU 2.6.0 defines them: the F score, recall weighing beta = 2
 * times as much as precision, of the means of precision and recall over n-grams of 1 .. 6 characters (white space left
 * out) and, for chrF++, of 1 and 2 words. Orders of which the hypotheses or the references have no n-gram stay out of
 * the means. Of several references an item is counted against the one that gives it the best score. Points, 0 .. 100.
 */
#include "engine/base/memory.h"
#include "metrics/ngrams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHARACTERS = 6, WORDS = 2, ORDERS = CHARACTERS + WORDS };

/* One text: its characters and, for chrF++, its words. */
struct sides {
    struct sequence characters, words;
};

/* The words of chrF++: split at white space, one ASCII punctuation mark at a word's end or else at its start apart. */
static int words_split(struct sequence *s, const char *text, struct error *e)
{
    struct sequence whole = {0};
    int status = sequence_words(&whole, text, strlen(text), e);
    for (size_t i = 0; !status && i < whole.length; i++) {
        const struct span w = whole.symbols[i];
        size_t cut = 0;
        if (w.length > 1 && is_ascii_punctuation(w.bytes[w.length - 1]))
            cut = w.length - 1;
        else if (w.length > 1 && is_ascii_punctuation(w.bytes[0]))
            cut = 1;
        if (cut) status = sequence_add(s, w.bytes, cut, e);
        if (!status) status = sequence_add(s, w.bytes + cut, w.length - cut, e);
    }
    sequence_free(&whole);
    return status;
}

static int sides_open(struct sides *s, const char *text, size_t word_orders, struct error *e)
{
    int status = sequence_characters(&s->characters, text, strlen(text), e);
    if (!status) status = sequence_index(&s->characters, CHARACTERS, e);
    if (!status && word_orders) status = words_split(&s->words, text, e);
    if (!status && word_orders) status = sequence_index(&s->words, word_orders, e);
    return status;
}

static void sides_free(struct sides *s)
{
    sequence_free(&s->characters);
    sequence_free(&s->words);
}

/* Of one order: n-grams of the hypothesis (where the reference has any), of the reference, and of both. */
static void count(const struct sequence *h, struct sequence *r, size_t order, double *stats /* [3] */)
{
    stats[1] = (double)sequence_grams(r, order);
    stats[0] = stats[1] > 0 ? (double)sequence_grams(h, order) : 0;
    stats[2] = (double)sequence_matches(h, r, 1, order);
}

static double score(const double *sums, size_t orders)
{
    double precision = 0, recall = 0, effective = 0;
    for (size_t i = 0; i < orders; i++) {
        const double *s = sums + 3 * i;
        if (s[0] <= 0 || s[1] <= 0) continue;
        precision += s[2] / s[0];
        recall += s[2] / s[1];
        effective++;
    }
    if (precision + recall <= 0) return 0;
    precision /= effective;
    recall /= effective;
    return 100 * 5 * precision * recall / (4 * precision + recall);
}

static int accumulate(const struct outcome *o, size_t word_orders, double *stats, struct error *e)
{
    const char **texts;
    size_t n;
    int status = references_used(o, &texts, &n, e);
    if (status) return status;
    struct sides hypothesis = {0};
    status = sides_open(&hypothesis, o->text, word_orders, e);
    const size_t orders = CHARACTERS + word_orders;
    double best = -1;
    for (size_t i = 0; !status && i < n; i++) {
        struct sides reference = {0};
        double now[3 * ORDERS];
        status = sides_open(&reference, texts[i], word_orders, e);
        for (size_t k = 0; !status && k < CHARACTERS; k++)
            count(&hypothesis.characters, &reference.characters, k + 1, now + 3 * k);
        for (size_t k = 0; !status && k < word_orders; k++)
            count(&hypothesis.words, &reference.words, k + 1, now + 3 * (CHARACTERS + k));
        if (!status && score(now, orders) > best) {
            best = score(now, orders);
            memcpy(stats, now, 3 * orders * sizeof *stats);
        }
        sides_free(&reference);
    }
    sides_free(&hypothesis);
    free(texts);
    return status;
}

static double finish(const double *sums, size_t orders)
{
    double references = 0;
    for (size_t i = 0; i < orders; i++) references += sums[3 * i + 1];
    return references > 0 ? score(sums, orders) : NAN;
}

static int accumulate_characters(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, 0, stats, e);
}

static int accumulate_words(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, WORDS, stats, e);
}

static double finish_characters(const double *sums, const void *settings) { return finish(sums, CHARACTERS); }
static double finish_words(const double *sums, const void *settings) { return finish(sums, ORDERS); }

static void signature_characters(const void *settings, size_t n_references, struct text *out)
{
    signature_references(n_references, out);
    text_add(out, "case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0");
}

static void signature_words(const void *settings, size_t n_references, struct text *out)
{
    signature_references(n_references, out);
    text_add(out, "case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0");
}

const struct metric metric_chrf = {
    .name = "chrf",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 3 * CHARACTERS,
    .unit = "%",
    .accumulate = accumulate_characters,
    .finish = finish_characters,
    .signature = signature_characters,
};
const struct metric metric_chrf_words = {
    .name = "chrf++",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 3 * ORDERS,
    .unit = "%",
    .accumulate = accumulate_words,
    .finish = finish_words,
    .signature = signature_words,
};
