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
    struct outcome *at;
    size_t n;               /* one an item, or one a chunk */
    struct choice *choices; /* of all outcomes */
};

size_t outcomes_count(const struct suite *s, const struct requests *q, size_t n_items);
/* The outcome that a group of requests counts for. */
size_t outcomes_index(const struct suite *s, const struct requests *q, size_t group);
/* Texts of generations lose the white space around them; outcomes point into items and requests. outcomes_free() also
 * after failure. */
int outcomes_make(struct outcomes *o, const struct suite *s, const struct item *items, size_t n_items,
                  struct requests *q, struct error *e);
void outcomes_free(struct outcomes *o);

/* *stats, [n_scores] of [n, width], and *estimates, [n_scores], are the caller's to free, also after failure. */
int outcomes_measure(const struct outcomes *o, const struct suite *s, const struct resampling *how, double ***stats,
                     struct estimate **estimates, struct error *e);

#endif
