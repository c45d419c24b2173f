#include "metrics/divergence.h"

#include <math.h>
#include <stdlib.h>

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

/* A term is p_i times the difference of two logarithms, which is exactly 0 where the rows are equal. */
static double term(double log_p, double log_q)
{
    const double p = exp(log_p);
    return p != 0 ? p * (log_p - log_q) : 0; /* 0 ln 0 = 0 */
}

/* The terms have either sign: where all but nothing is left of their sum rounding may make it negative. */
static double not_negative(double sum) { return sum < 0 ? 0 : sum; }

double kl_divergence(const struct prediction *p, const struct prediction *q)
{
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) sum += term(prediction_log(p, i), prediction_log(q, i));
    return not_negative(sum);
}

struct divergence divergence_of(const struct prediction *baseline, const struct prediction *candidate,
                                double baseline_chance, double candidate_chance)
{
    return (struct divergence){
        .kl = kl_divergence(baseline, candidate),
        .reverse = kl_divergence(candidate, baseline),
        .change = candidate_chance - baseline_chance,
        .same_top = baseline->top == candidate->top,
    };
}

/* --- summaries --- */

/* Whether token a is less likely than b; of equals the later. */
static bool below(const struct prediction *p, int64_t a, int64_t b)
{
    return p->logits[a] != p->logits[b] ? p->logits[a] < p->logits[b] : a > b;
}

/* A heap whose root is the least likely of the tokens kept (Williams 1964). */
static void sink(const struct prediction *p, int32_t *heap, int64_t n, int64_t at)
{
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && below(p, heap[child + 1], heap[child])) child++;
        if (!below(p, heap[child], heap[at])) return;
        const int32_t held = heap[at];
        heap[at] = heap[child];
        heap[child] = held;
    }
}

static int ascending(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* ln of the chance of all tokens but those of the ascending ids. The sum is of chances beside the largest so far: its
 * logarithm is finite also where the chances themselves are too small for a double. */
static double log_rest(const struct prediction *p, const int32_t *ids, int64_t k)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0, next = 0; i < p->n; i++) {
        if (next < k && ids[next] == i) {
            next++;
            continue;
        }
        const double log_p = prediction_log(p, i);
        if (log_p > most) {
            sum = sum * exp(most - log_p) + 1;
            most = log_p;
        } else if (log_p != -INFINITY)
            sum += exp(log_p - most);
    }
    return most + log(sum);
}

void summary_fill(struct summary *s, const struct prediction *p)
{
    const int64_t k = s->k;
    for (int64_t i = 0; i < k; i++) s->ids[i] = (int32_t)i;
    for (int64_t i = k / 2; i-- > 0;) sink(p, s->ids, k, i);
    for (int64_t i = k; i < p->n; i++) {
        if (!below(p, s->ids[0], i)) continue;
        s->ids[0] = (int32_t)i;
        sink(p, s->ids, k, 0);
    }
    qsort(s->ids, (size_t)k, sizeof *s->ids, ascending);
    for (int64_t i = 0; i < k; i++) s->logs[i] = (float)prediction_log(p, s->ids[i]);
    s->rest = (float)log_rest(p, s->ids, k);
    s->top = p->top;
}

struct divergence divergence_from_summary(const struct summary *baseline, const struct prediction *candidate,
                                          double baseline_chance, double candidate_chance)
{
    const double p_rest = (double)baseline->rest, q_rest = log_rest(candidate, baseline->ids, baseline->k);
    double kl = term(p_rest, q_rest), reverse = term(q_rest, p_rest);
    for (int64_t i = 0; i < baseline->k; i++) {
        const double p = (double)baseline->logs[i], q = prediction_log(candidate, baseline->ids[i]);
        kl += term(p, q);
        reverse += term(q, p);
    }
    return (struct divergence){
        .kl = not_negative(kl),
        .reverse = not_negative(reverse),
        .change = candidate_chance - baseline_chance,
        .same_top = baseline->top == candidate->top,
    };
}

/* --- metrics --- */

enum { KL, REVERSE, SAME_TOP, CHANGE, SQUARES, POSITIONS };
_Static_assert(POSITIONS + 1 == DIVERGENCE_WIDTH, "the statistics are what the header says");

void divergence_add(const struct divergence *d, double *stats)
{
    stats[KL] += d->kl;
    stats[REVERSE] += d->reverse;
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
static double mean_reverse(const double *sums, const void *settings) { return mean(sums, REVERSE); }
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
            .name = "kl_reverse",
            .kind = OUTCOME_ROLLING,
            .better = BETTER_LOWER,
            .width = DIVERGENCE_WIDTH,
            .unit = "nat",
            .finish = mean_reverse,
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
