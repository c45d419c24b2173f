/* From requests that were run to outcomes, and from outcomes to statistics and estimates.
 *
 *     struct outcomes o;
 *     int status = outcomes_make(&o, suite, items, n_items, &requests, e);
 *     if (!status) status = outcomes_measure(&o, suite, &resampling, &stats, &estimates, e);
 *     outcomes_free(&o);
 */
#ifndef KERF_SUITES_OUTCOMES_H
#define KERF_SUITES_OUTCOMES_H

#include "metrics/resampling.h"
#include "suites/requests.h"

struct outcomes {
    struct outcome *at;      /* [n_pipelines, n] */
    size_t n;                /* one an item, or one a window */
    size_t n_pipelines;      /* at least 1, also of a suite that has none */
    struct choice *choices;  /* of all outcomes */
    struct answers *answers; /* [n_pipelines, n] of generations: what the filters leave; the first is scored */
};

/* Of protocols other than rolling: an outcome is a window, and no item's. */
bool outcomes_are_windows(const struct suite *s);
size_t outcomes_count(const struct suite *s, const struct requests *q, size_t n_items);
/* The outcome that a group of requests counts for. */
size_t outcomes_index(const struct suite *s, const struct requests *q, size_t group);
/* Answers go through the suite's filters, or are the first of their item where it has none, and lose the white space
 * around them; outcomes point into items. outcomes_free() also after failure. */
int outcomes_make(struct outcomes *o, const struct suite *s, const struct item *items, size_t n_items,
                  const struct requests *q, struct error *e);
void outcomes_free(struct outcomes *o);

/* *stats, [n_scores] of [n, width], and *estimates, [n_scores], are the caller's to free, also after failure. */
int outcomes_measure(const struct outcomes *o, const struct suite *s, const struct resampling *how, double ***stats,
                     struct estimate **estimates, struct error *e);

#endif
