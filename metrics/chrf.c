/* chrF (Popovic 2015) and chrF++ (Popovic 2017) as sacreBLEU 2.6.0 defines them: the F score, recall weighing beta = 2
 * times as much as precision, of the means of precision and recall over n-grams of 1 .. 6 characters (white space left
 * out) and, for chrF++, of 1 and 2 words. Orders of which the hypotheses or the references have no n-gram stay out of
 * the means. Of several references an item is counted against the one that gives it the best score. Points, 0 .. 100.
 *
 * Options, by sacreBLEU's names and defaults: char_order, word_order, beta, lowercase, whitespace (as a character), and
 * eps_smoothing (the mean of the orders' own F scores, all orders counted, as chrF++.py and NLTK have it). sacreBLEU's
 * signature does not tell beta: it stands in the name it prints, chrF2. */
#include "engine/base/memory.h"
#include "metrics/lowercase.h"
#include "metrics/ngrams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHARACTERS_MOST = 10, WORDS_MOST = 4, ORDERS_MOST = CHARACTERS_MOST + WORDS_MOST, WIDTH = 3 * ORDERS_MOST };

static const char *const options[] = {"char_order", "word_order",    "beta", "lowercase",
                                      "whitespace", "eps_smoothing", NULL};

struct chrf {
    double char_order, beta; /* 0: the default */
    double word_order;       /* where it is given */
    bool has_word_order;     /* else it depends on the metric */
    bool lowercase, whitespace, eps_smoothing;
};

_Static_assert(sizeof(struct chrf) <= METRIC_SETTINGS, "settings of chrF");

static int whole(const char *value, double least, double most, double *out, struct error *e)
{
    double v;
    const int status = setting_is_number(value, least, most, &v, e);
    if (status) return status;
    if (v != floor(v)) return error_set(e, ERROR_INPUT, "\"%.60s\" is not a whole number", value);
    *out = v;
    return 0;
}

static int configure(void *settings, const char *key, const char *value, struct error *e)
{
    struct chrf *c = settings;
    if (strcmp(key, "char_order") == 0) return whole(value, 1, CHARACTERS_MOST, &c->char_order, e);
    if (strcmp(key, "beta") == 0) return setting_is_number(value, 0.1, 100, &c->beta, e);
    if (strcmp(key, "lowercase") == 0) return setting_is_flag(value, &c->lowercase, e);
    if (strcmp(key, "whitespace") == 0) return setting_is_flag(value, &c->whitespace, e);
    if (strcmp(key, "eps_smoothing") == 0) return setting_is_flag(value, &c->eps_smoothing, e);
    c->has_word_order = true;
    return whole(value, 0, WORDS_MOST, &c->word_order, e);
}

/* The settings with what is not given filled in. */
struct plan {
    size_t characters, words, orders;
    double beta;
    bool lowercase, whitespace, eps_smoothing;
};

static struct plan plan_of(const void *settings, size_t usual_words)
{
    const struct chrf *c = settings;
    const size_t characters = c->char_order > 0 ? (size_t)c->char_order : 6;
    const size_t words = c->has_word_order ? (size_t)c->word_order : usual_words;
    return (struct plan){.characters = characters,
                         .words = words,
                         .orders = characters + words,
                         .beta = c->beta > 0 ? c->beta : 2,
                         .lowercase = c->lowercase,
                         .whitespace = c->whitespace,
                         .eps_smoothing = c->eps_smoothing};
}

/* One text: its characters and, for chrF++, its words. */
struct sides {
    struct text text; /* where it had to be rewritten */
    struct sequence characters, words;
};

/* The words of chrF++: split at white space, one ASCII punctuation mark at a word's end or else at its start apart. */
static int words_split(struct sequence *s, const char *text, struct error *e)
{
    struct sequence whole_words = {0};
    int status = sequence_words(&whole_words, text, strlen(text), e);
    for (size_t i = 0; !status && i < whole_words.length; i++) {
        const struct span w = whole_words.symbols[i];
        size_t cut = 0;
        if (w.length > 1 && is_ascii_punctuation(w.bytes[w.length - 1]))
            cut = w.length - 1;
        else if (w.length > 1 && is_ascii_punctuation(w.bytes[0]))
            cut = 1;
        if (cut) status = sequence_add(s, w.bytes, cut, e);
        if (!status) status = sequence_add(s, w.bytes + cut, w.length - cut, e);
    }
    sequence_free(&whole_words);
    return status;
}

static int sides_open(struct sides *s, const char *text, const struct plan *p, struct error *e)
{
    if (p->lowercase) {
        lowercase_add(&s->text, text, strlen(text));
        if (s->text.failed) return error_set(e, ERROR_IO, "out of memory for the characters of a text");
        text = text_c(&s->text);
    }
    int status = sequence_characters(&s->characters, text, strlen(text), p->whitespace, e);
    if (!status) status = sequence_index(&s->characters, p->characters, e);
    if (!status && p->words) status = words_split(&s->words, text, e);
    if (!status && p->words) status = sequence_index(&s->words, p->words, e);
    return status;
}

static void sides_free(struct sides *s)
{
    sequence_free(&s->characters);
    sequence_free(&s->words);
    text_free(&s->text);
}

/* Of one order: n-grams of the hypothesis (where the reference has any), of the reference, and of both. */
static void count(const struct sequence *h, struct sequence *r, size_t order, double *stats /* [3] */)
{
    stats[1] = (double)sequence_grams(r, order);
    stats[0] = stats[1] > 0 ? (double)sequence_grams(h, order) : 0;
    stats[2] = (double)sequence_matches(h, r, 1, order);
}

static double f_score(double precision, double recall, double beta)
{
    return (1 + beta * beta) * precision * recall / (beta * beta * precision + recall);
}

static double score_smoothed(const double *sums, const struct plan *p)
{
    const double epsilon = 1e-16; /* sacreBLEU's */
    double sum = 0;
    for (size_t i = 0; i < p->orders; i++) {
        const double *s = sums + 3 * i;
        const double precision = s[0] > 0 ? s[2] / s[0] : epsilon, recall = s[1] > 0 ? s[2] / s[1] : epsilon;
        sum += precision + recall > 0 ? f_score(precision, recall, p->beta) : epsilon;
    }
    return 100 * sum / (double)p->orders;
}

static double score(const double *sums, const struct plan *p)
{
    if (p->eps_smoothing) return score_smoothed(sums, p);
    double precision = 0, recall = 0, effective = 0;
    for (size_t i = 0; i < p->orders; i++) {
        const double *s = sums + 3 * i;
        if (s[0] <= 0 || s[1] <= 0) continue;
        precision += s[2] / s[0];
        recall += s[2] / s[1];
        effective++;
    }
    if (precision + recall <= 0) return 0;
    return 100 * f_score(precision / effective, recall / effective, p->beta);
}

static int accumulate(const struct outcome *o, const struct plan *p, double *stats, struct error *e)
{
    const char **texts;
    size_t n;
    int status = references_used(o, &texts, &n, e);
    if (status) return status;
    struct sides hypothesis = {0};
    status = sides_open(&hypothesis, o->text, p, e);
    double best = -1;
    for (size_t i = 0; !status && i < n; i++) {
        struct sides reference = {0};
        double now[WIDTH] = {0};
        status = sides_open(&reference, texts[i], p, e);
        for (size_t k = 0; !status && k < p->characters; k++)
            count(&hypothesis.characters, &reference.characters, k + 1, now + 3 * k);
        for (size_t k = 0; !status && k < p->words; k++)
            count(&hypothesis.words, &reference.words, k + 1, now + 3 * (p->characters + k));
        if (!status && score(now, p) > best) {
            best = score(now, p);
            memcpy(stats, now, sizeof now);
        }
        sides_free(&reference);
    }
    sides_free(&hypothesis);
    free(texts);
    return status;
}

static double finish(const double *sums, const struct plan *p)
{
    double references = 0;
    for (size_t i = 0; i < p->orders; i++) references += sums[3 * i + 1];
    return references > 0 ? score(sums, p) : NAN;
}

static void add_signature(const struct plan *p, size_t n_references, struct text *out)
{
    signature_references(n_references, out);
    text_printf(out, "case:%s|eff:%s|nc:%zu|nw:%zu|space:%s", p->lowercase ? "lc" : "mixed",
                p->eps_smoothing ? "no" : "yes", p->characters, p->words, p->whitespace ? "yes" : "no");
    signature_version(out);
}

/* --- chrF and chrF++ differ in the words they count unless told otherwise --- */

enum { USUAL_WORDS = 0, USUAL_WORDS_PLUS = 2 };

static int accumulate_chrf(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const struct plan p = plan_of(settings, USUAL_WORDS);
    return accumulate(o, &p, stats, e);
}

static int accumulate_plus(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const struct plan p = plan_of(settings, USUAL_WORDS_PLUS);
    return accumulate(o, &p, stats, e);
}

static double finish_chrf(const double *sums, const void *settings)
{
    const struct plan p = plan_of(settings, USUAL_WORDS);
    return finish(sums, &p);
}

static double finish_plus(const double *sums, const void *settings)
{
    const struct plan p = plan_of(settings, USUAL_WORDS_PLUS);
    return finish(sums, &p);
}

static void signature_chrf(const void *settings, size_t n_references, struct text *out)
{
    const struct plan p = plan_of(settings, USUAL_WORDS);
    add_signature(&p, n_references, out);
}

static void signature_plus(const void *settings, size_t n_references, struct text *out)
{
    const struct plan p = plan_of(settings, USUAL_WORDS_PLUS);
    add_signature(&p, n_references, out);
}

const struct metric metric_chrf = {
    .name = "chrf",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "%",
    .options = options,
    .configure = configure,
    .accumulate = accumulate_chrf,
    .finish = finish_chrf,
    .signature = signature_chrf,
};
const struct metric metric_chrf_words = {
    .name = "chrf++",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "%",
    .options = options,
    .configure = configure,
    .accumulate = accumulate_plus,
    .finish = finish_plus,
    .signature = signature_plus,
};
