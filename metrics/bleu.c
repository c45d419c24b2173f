/* BLEU (Papineni, Roukos, Ward and Zhu 2002) as sacreBLEU 2.6.0 defines it (Post 2018): 4 orders, counts clipped by the
 * largest count in one reference, brevity penalty against the reference length closest to the hypothesis (of two the
 * shorter), and one of four smoothings for orders without a match (Chen and Cherry 2014). In points, 0 .. 100. `bleu` is
 * of the corpus; `sentence_bleu` the mean over the items of each one's own, by default of the orders it has words for.
 *
 * Options, by sacreBLEU's names and defaults: tokenize (metrics/tokenize.h), lowercase, smooth_method, smooth_value,
 * effective_order. */
#include "engine/base/memory.h"
#include "metrics/tokenize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ORDERS = 4, HYPOTHESIS = 0, REFERENCE = 1, MATCHED = 2, TOTAL = MATCHED + ORDERS, WIDTH = TOTAL + ORDERS };

enum smoothing {
    SMOOTH_EXP,   /* a half, a quarter, ... of a match: mteval's, method 3 of Chen and Cherry */
    SMOOTH_FLOOR, /* a given fraction of a match: method 1 */
    SMOOTH_ADD_K, /* k more matches and n-grams of all orders but the first: method 2 */
    SMOOTH_NONE
};

static const char *const smoothing_names[] = {"exp", "floor", "add-k", "none", NULL};
static const char *const options[] = {"tokenize",     "lowercase",       "smooth_method",
                                      "smooth_value", "effective_order", NULL};

struct bleu {
    int tokenization, smoothing;
    bool lowercase;
    bool has_value, has_order; /* whether the next two are given */
    double value;
    bool effective_order; /* orders of which there is no n-gram stay out; else they make the score 0 */
};

_Static_assert(sizeof(struct bleu) <= METRIC_SETTINGS, "settings of BLEU");

static int configure(void *settings, const char *key, const char *value, struct error *e)
{
    struct bleu *b = settings;
    if (strcmp(key, "tokenize") == 0) return setting_is_word(value, tokenization_names, &b->tokenization, e);
    if (strcmp(key, "lowercase") == 0) return setting_is_flag(value, &b->lowercase, e);
    if (strcmp(key, "smooth_method") == 0) return setting_is_word(value, smoothing_names, &b->smoothing, e);
    if (strcmp(key, "smooth_value") == 0) {
        b->has_value = true;
        return setting_is_number(value, 0, 1e6, &b->value, e);
    }
    b->has_order = true;
    return setting_is_flag(value, &b->effective_order, e);
}

static double smooth_value(const struct bleu *b)
{
    if (b->has_value) return b->value;
    return b->smoothing == SMOOTH_ADD_K ? 1 : 0.1;
}

static bool is_effective(const struct bleu *b, bool usual) { return b->has_order ? b->effective_order : usual; }

static double score(const double *stats, const struct bleu *b, bool effective)
{
    const double hypothesis = stats[HYPOTHESIS], reference = stats[REFERENCE], value = smooth_value(b);
    double logs = 0, half = 1, any = 0;
    for (size_t i = 0; i < ORDERS; i++) any += stats[MATCHED + i];
    if (any <= 0) return 0;
    size_t orders = 0;
    for (; orders < ORDERS; orders++) {
        const double more = b->smoothing == SMOOTH_ADD_K && orders > 0 ? value : 0;
        double matched = stats[MATCHED + orders] + more;
        const double total = stats[TOTAL + orders] + more;
        if (total <= 0) break;
        if (matched <= 0 && b->smoothing == SMOOTH_EXP) matched = half /= 2;
        if (matched <= 0 && b->smoothing == SMOOTH_FLOOR) matched = value;
        if (matched <= 0) return 0;
        logs += log(matched / total);
    }
    if (orders < ORDERS && !effective) return 0;
    const double brevity = hypothesis < reference ? exp(1 - reference / hypothesis) : 1;
    return 100 * brevity * exp(logs / (double)orders);
}

static size_t distance(size_t a, size_t b) { return a > b ? a - b : b - a; }

static void count(const struct sequence *h, struct sequence *references, size_t n, double *stats)
{
    size_t closest = references[0].length;
    for (size_t r = 1; r < n; r++) {
        const size_t length = references[r].length, d = distance(length, h->length);
        const size_t least = distance(closest, h->length);
        if (d < least || (d == least && length < closest)) closest = length;
    }
    stats[HYPOTHESIS] = (double)h->length;
    stats[REFERENCE] = (double)closest;
    for (size_t i = 0; i < ORDERS; i++) {
        stats[MATCHED + i] = (double)sequence_matches(h, references, n, i + 1);
        stats[TOTAL + i] = (double)sequence_grams(h, i + 1);
    }
}

static int words(struct sequence *s, const char *text, const struct bleu *b, struct error *e)
{
    const int status = tokenize(s, text, (enum tokenization)b->tokenization, b->lowercase, e);
    return status ? status : sequence_index(s, ORDERS, e);
}

static int accumulate(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const char **texts;
    size_t n;
    int status = references_used(o, &texts, &n, e);
    if (status) return status;
    struct sequence hypothesis = {0}, *references = memory_new(n, sizeof *references, "references", e);
    status = references ? words(&hypothesis, o->text, settings, e) : ERROR_IO;
    for (size_t r = 0; !status && r < n; r++) status = words(&references[r], texts[r], settings, e);
    if (!status) count(&hypothesis, references, n, stats);
    sequence_free(&hypothesis);
    sequences_free(references, n);
    free(texts);
    return status;
}

static double finish(const double *sums, const void *settings)
{
    if (sums[HYPOTHESIS] + sums[REFERENCE] <= 0) return NAN;
    return score(sums, settings, is_effective(settings, false));
}

static int accumulate_sentence(const struct outcome *o, const void *settings, double *stats /* [2] */, struct error *e)
{
    double counts[WIDTH];
    const int status = accumulate(o, settings, counts, e);
    if (status) return status;
    stats[0] = score(counts, settings, is_effective(settings, true));
    stats[1] = 1;
    return 0;
}

static double finish_sentence(const double *sums, const void *settings) { return sums[0] / sums[1]; }

static void add_signature(const struct bleu *b, bool effective, size_t n_references, struct text *out)
{
    signature_references(n_references, out);
    text_printf(out, "case:%s|eff:%s|tok:%s|smooth:%s", b->lowercase ? "lc" : "mixed", effective ? "yes" : "no",
                tokenization_names[b->tokenization], smoothing_names[b->smoothing]);
    if (b->smoothing == SMOOTH_FLOOR || b->smoothing == SMOOTH_ADD_K) text_printf(out, "[%.2f]", smooth_value(b));
    signature_version(out);
}

static void signature(const void *settings, size_t n_references, struct text *out)
{
    add_signature(settings, is_effective(settings, false), n_references, out);
}

static void signature_sentence(const void *settings, size_t n_references, struct text *out)
{
    add_signature(settings, is_effective(settings, true), n_references, out);
}

const struct metric metric_bleu = {
    .name = "bleu",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "%",
    .options = options,
    .configure = configure,
    .accumulate = accumulate,
    .finish = finish,
    .signature = signature,
};
const struct metric metric_sentence_bleu = {
    .name = "sentence_bleu",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "%",
    .options = options,
    .configure = configure,
    .accumulate = accumulate_sentence,
    .finish = finish_sentence,
    .signature = signature_sentence,
};
