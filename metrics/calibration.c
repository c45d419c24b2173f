/* How well the probabilities of the choices, the softmax of their log-likelihoods, say how often they are right.
 *   brier_score  mean over items of the sum over choices of (p - y)^2, y = 1 for the right choice and 0 for the others
 *                (Brier 1950; lm-evaluation-harness's brier_score): 0 .. 2
 *   ece          expected calibration error (Guo, Pleiss, Sun and Weinberger 2017): items in bins of equal width by the
 *                probability of their most likely choice; sum over bins of |right - probability| / n
 * A sample's ece is larger than that of the law behind it, and a resample's larger again: its interval lies high. */
#include "metrics/metric.h"

#include <math.h>

enum { BINS = 100, BINS_DEFAULT = 10 };

struct bins {
    int less_default; /* number of bins - BINS_DEFAULT: zeroed settings are the default */
};

/* The probability of the most likely choice: 1 / sum of exp(l - the largest l). */
static double confidence_of(const struct outcome *o)
{
    const double most = o->choices[choice_best(o, NULL)].loglikelihood;
    double sum = 0;
    for (size_t k = 0; k < o->n_choices; k++) sum += exp(o->choices[k].loglikelihood - most);
    return 1 / sum;
}

static int accumulate_brier(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const int status = choice_check(o, e);
    if (status) return status;
    const double most = o->choices[choice_best(o, NULL)].loglikelihood, confidence = confidence_of(o);
    stats[0] = 0;
    stats[1] = 1;
    for (size_t k = 0; k < o->n_choices; k++) {
        const double miss = exp(o->choices[k].loglikelihood - most) * confidence - (k == o->gold);
        stats[0] += miss * miss;
    }
    return 0;
}

static double mean(const double *sums, const void *settings) { return sums[1] > 0 ? sums[0] / sums[1] : NAN; }

static int configure(void *settings, const char *key, const char *value, struct error *e)
{
    double bins;
    const int status = setting_is_number(value, 1, BINS, &bins, e);
    if (status) return status;
    if (bins != floor(bins)) return error_set(e, ERROR_INPUT, "%.60s is not a whole number", value);
    ((struct bins *)settings)->less_default = (int)bins - BINS_DEFAULT;
    return 0;
}

/* stats[0] counts the item, stats[1 + b] is what it is too right in bin b: of M bins number b, from 0, holds the
 * probabilities in (b / M, (b + 1) / M]. */
static int accumulate_ece(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const int status = choice_check(o, e);
    if (status) return status;
    const int bins = BINS_DEFAULT + ((const struct bins *)settings)->less_default;
    const double confidence = confidence_of(o);
    const int bin = (int)ceil(confidence * bins) - 1;
    for (size_t k = 0; k < 1 + BINS; k++) stats[k] = 0;
    stats[0] = 1;
    stats[1 + (bin < 0 ? 0 : bin >= bins ? bins - 1 : bin)] = (choice_best(o, NULL) == o->gold) - confidence;
    return 0;
}

static double ece(const double *sums, const void *settings)
{
    double error = 0;
    for (size_t k = 1; k <= BINS; k++) error += fabs(sums[k]);
    return sums[0] > 0 ? error / sums[0] : NAN;
}

static void signature(const void *settings, size_t n_references, struct text *out)
{
    text_printf(out, "bins:%d", BINS_DEFAULT + ((const struct bins *)settings)->less_default);
}

const struct metric metric_brier_score = {
    .name = "brier_score",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_LOWER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .accumulate = accumulate_brier,
    .finish = mean,
};
const struct metric metric_ece = {
    .name = "ece",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_LOWER,
    .width = 1 + BINS,
    .unit = "",
    .options = (const char *const[]){"bins", NULL},
    .configure = configure,
    .accumulate = accumulate_ece,
    .finish = ece,
    .signature = signature,
};
