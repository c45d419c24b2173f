/* Exact intervals and tests that need no resampling, and the correction for many tests.
 *
 *     double low, high;
 *     clopper_pearson(497, 500, 0.95, &low, &high);   0.9826 .. 0.9988
 *     const double p = mcnemar_exact(31, 15);         0.0259
 *     holm(p_values, n); */
#ifndef KERF_METRICS_SIGNIFICANCE_H
#define KERF_METRICS_SIGNIFICANCE_H

#include <stddef.h>
#include <stdint.h>

/* The interval of a share of `right` in n > 0 independent items that holds the true share with at least this
 * probability, whatever it is (Clopper and Pearson 1934): the shares for which `right` or more, and `right` or fewer,
 * have a probability of (1 - confidence) / 2. */
void clopper_pearson(int64_t right, int64_t n, double confidence, double *low, double *high);

/* Exact two-sided McNemar test of `gained` against `lost` discordant pairs: min(1, 2 P(X <= min)), X ~ B(n, 1/2). */
double mcnemar_exact(int64_t gained, int64_t lost);

/* Adjusts p-values in place for being n at once (Holm 1979): whoever rejects those that are at most alpha rejects a
 * true hypothesis with a probability of at most alpha. NAN stands for no test: it stays and does not count. */
void holm(double *p /* [n] */, size_t n);

#endif
