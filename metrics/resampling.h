/* Uncertainty by resampling items (Efron and Tibshirani 1993; for translations Koehn 2004). Right/wrong outcomes have
 * exact intervals and tests instead (metrics/significance.h).
 *
 *     struct estimate est;
 *     if (measure_estimate(&m, stats, n, &(struct resampling){.resamples = 10000, .seed = 1234}, &est, e)) ...
 *     struct difference d;
 *     if (measure_compare(&m, base_stats, cand_stats, n, &how, &d, e)) ...
 *
 * The draw of resample r is a function of (seed, r, n) alone: results do not depend on the number of threads, and the
 * same items are drawn for every metric and subject, so differences are paired. Intervals are 95 % percentile
 * intervals: the quantiles 0.025 and 0.975 of the resampled values, interpolated linearly between the order statistics
 * around (B - 1) q (type 7 of Hyndman and Fan 1996). Resamples whose value is undefined are left out.
 *
 * A mean over items that are right or wrong has the interval of Clopper and Pearson instead: resampling would give it
 * no width where all items agree, and too little near there. */
#ifndef KERF_METRICS_RESAMPLING_H
#define KERF_METRICS_RESAMPLING_H

#include "metrics/metric.h"

struct resampling {
    size_t resamples; /* 0: 10,000 */
    uint64_t seed;
};

struct estimate {
    double value, standard_error, low, high; /* NAN where undefined */
    size_t n;                                /* items */
    bool exact;                              /* the interval is that of Clopper and Pearson */
};

struct difference {
    double value; /* candidate - baseline, of the metric over all items */
    double standard_error, low, high;
    /* Two-sided: exact McNemar where statistics are right/wrong, else from the B paired resamples
     * min(1, 2 (min(#(d <= 0), #(d >= 0)) + 1) / (B + 1)) (Davison and Hinkley 1997, section 4.4), and no less than
     * 2^(1 - n): so often n pairs lie all on one side by chance, and then no resample lies on the other. */
    double p;
    bool mcnemar;         /* which of the two p is */
    int64_t gained, lost; /* flips: items wrong -> right and right -> wrong; -1 where an item is not right or wrong */
};

/* Standard error: of a mean the sample standard deviation / sqrt(n) (of a difference, that of the items' differences);
 * of others the standard deviation of the resamples. One item says nothing about spread: below two items the standard
 * error, the interval and the bootstrap's p are NAN. n is below 2^32. */
int measure_estimate(const struct measure *m, const double *stats /* [n, width] */, size_t n,
                     const struct resampling *how, struct estimate *out, struct error *e);
int measure_compare(const struct measure *m, const double *baseline /* [n, width] */,
                    const double *candidate /* [n, width] */, size_t n, const struct resampling *how,
                    struct difference *out, struct error *e);

/* Two-sided p-value of the difference by approximate randomization (Noreen 1989; Riezler and Maxwell 2005; sacreBLEU's
 * --paired-ar): where both subjects are the same, swapping an item's two outcomes changes nothing. Of R trials, each
 * of which swaps every item with a probability of 1/2, c have a difference at least as large as the one found:
 * p = (c + 1) / (R + 1). R is how->resamples. NAN where the difference is undefined. */
int measure_randomize(const struct measure *m, const double *baseline /* [n, width] */,
                      const double *candidate /* [n, width] */, size_t n, const struct resampling *how, double *p,
                      struct error *e);

/* Quantile q, 0 to 1, of ascending values by the rule above; NAN where there are none. */
double quantile_of(const double *sorted /* [n] */, size_t n, double q);

#endif
