/* Comparisons: subjects that went through the same suites, side by side, with paired differences to the first, the
 * baseline. They come from runs that were just made or from the folders of finished ones (suites/finished.h).
 *
 *     const struct contender all[] = {{run, suites, n_suites}, {other_run, other_suites, n_suites}};
 *     json_t *comparison = compare_record(all, 2, &(struct compare_options){.resampling = how}, e);
 *
 * Two numbers are comparable where their protocols are the same, to the last key. */
#ifndef KERF_SUITES_COMPARE_H
#define KERF_SUITES_COMPARE_H

#include "metrics/resampling.h"
#include "suites/suite.h"

/* One suite as one subject went through it; everything is borrowed. */
struct measured {
    const json_t *record; /* its entry in run.json */
    const struct score *scores;
    size_t n_scores;
    double *const *stats; /* [n_scores] of [n, width] */
    size_t n;
};

struct contender {
    const json_t *run; /* run.json */
    const struct measured *suites;
    size_t n_suites;
};

struct compare_options {
    struct resampling resampling;
    bool decoding_differs; /* the subjects differ in how they decode, and that is what is compared */
    bool force; /* what cannot be compared stands side by side, without a difference and with the reason; so do
                            * suites that the baseline has not been through */
};

/* compare.json without "kerf" and "machine". A row for each suite and score of the baseline, and for each number of a
 * candidate's divergence from it. ERROR_INPUT names the suite and the first part in which a protocol differs; with
 * `force` that is the cell's "refused". Where a row has several candidates, differences get "p_holm"
 * (metrics/significance.h) and are significant by it. */
json_t *compare_record(const struct contender *all, size_t n, const struct compare_options *how, struct error *e);

/* The suite of that name among a contender's, or NULL. */
const struct measured *contender_suite(const struct contender *c, const char *name);

#endif
