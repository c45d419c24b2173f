#include "metrics/divergence.h"

#include <math.h>

struct prediction prediction_of(const float *logits, int64_t n)
{
    struct prediction p = {.logits = logits, .n = n};
    for (int64_t i = 1; i < n; i++)
        if (logits[i] > logits[p.top]) p.top = i;
    const double most = (double)logits[p.top];
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp((double)logits[i] - most); /* from the largest on: none overflows */
    p.log_sum = most + log(sum);
    return p;
}

double prediction_log(const struct prediction *p, int64_t i) { return (double)p->logits[i] - p->log_sum; }

/* A term is p_i times the difference of two logarithms, which is exactly 0 where the rows are equal. The terms have
 * either sign: where all but nothing is left of their sum rounding may make it negative. */
double kl_divergence(const struct prediction *p, const struct prediction *q)
{
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double log_p = prediction_log(p, i), p_i = exp(log_p);
        if (p_i != 0) sum += p_i * (log_p - prediction_log(q, i)); /* 0 ln 0 = 0 */
    }
    return sum < 0 ? 0 : sum;
}

struct divergence divergence_of(const struct prediction *baseline, const struct prediction *candidate, int64_t target)
{
    return (struct divergence){
        .kl = kl_divergence(baseline, candidate),
        .change = exp(prediction_log(candidate, target)) - exp(prediction_log(baseline, target)),
        .same_top = baseline->top == candidate->top,
    };
}

enum { KL, SAME_TOP, CHANGE, SQUARES, POSITIONS };
_Static_assert(POSITIONS + 1 == DIVERGENCE_WIDTH, "the statistics are what the header says");

void divergence_add(const struct divergence *d, double *stats)
{
    stats[KL] += d->kl;
    stats[SAME_TOP] += d->same_top;
    stats[CHANGE] += d->change;
    stats[SQUARES] += d->change * d->change;
    stats[POSITIONS] += 1;
}

static double mean(const double *sums, int statistic)
{
    return sums[POSITIONS] > 0 ? sums[statistic] / sums[POSITIONS] : NAN;
}

static double mean_kl(const double *sums, const void *settings) { return mean(sums, KL); }
static double share_same_top(const double *sums, const void *settings) { return mean(sums, SAME_TOP); }
static double mean_change(const double *sums, const void *settings) { return mean(sums, CHANGE); }
static double rms_change(const double *sums, const void *settings) { return sqrt(mean(sums, SQUARES)); }

const struct metric *divergence_metric(size_t i)
{
    static const struct metric metrics[] = {
        {
            .name = "kl_divergence",
            .kind = OUTCOME_ROLLING,
            .better = BETTER_LOWER,
            .width = DIVERGENCE_WIDTH,
            .unit = "nat",
            .finish = mean_kl,
        },
        {
            .name = "same_top",
            .kind = OUTCOME_ROLLING,
            .better = BETTER_HIGHER,
            .width = DIVERGENCE_WIDTH,
            .unit = "",
            .finish = share_same_top,
        },
        {
            .name = "probability_change",
            .kind = OUTCOME_ROLLING,
            .better = BETTER_HIGHER,
            .width = DIVERGENCE_WIDTH,
            .unit = "",
            .finish = mean_change,
        },
        {
            .name = "probability_change_rms",
            .kind = OUTCOME_ROLLING,
            .better = BETTER_LOWER,
            .width = DIVERGENCE_WIDTH,
            .unit = "",
            .finish = rms_change,
        },
    };
    return i < sizeof metrics / sizeof *metrics ? &metrics[i] : NULL;
}

static double log_perplexity(const double *sums, const void *settings) { return sums[1] > 0 ? sums[0] / sums[1] : NAN; }

const struct metric metric_log_perplexity = {
    .name = "log_perplexity",
    .kind = OUTCOME_ROLLING,
    .better = BETTER_LOWER,
    .width = 2,
    .unit = "nat",
    .finish = log_perplexity,
};
