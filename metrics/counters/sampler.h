/* When to do what costs time, so that over all it takes no more than a share of it.
 *
 *     struct sampler s;
 *     sampler_open(&s, 0.005, 0.001, 5e-6, 16, now);          5 us each, half a percent of the time and a millisecond
 *     for (...) if (sampler_due(&s, &random, now)) { read(); sampler_spend(&s, seconds_that_it_took); }
 *
 * Where everything can be afforded, everything is due. Else intervals in a row are, 17 boundaries for 16 of them, and
 * where they begin is left to chance, at a rate that uses up what is there (what was saved, within a fifth of a
 * second): no boundary of a pass or phase is preferred, whatever period they have. Times are those of the caller's
 * clock, which need not be exact. */
#ifndef KERF_METRICS_COUNTERS_SAMPLER_H
#define KERF_METRICS_COUNTERS_SAMPLER_H

#include "engine/base/random.h"
#include <stdbool.h>

struct sampler {
    double budget, start; /* of the time, and seconds besides */
    double cost;          /* seconds that one takes, as measured so far */
    int64_t in_a_row;     /* intervals */
    double opened, now;
    int64_t left;  /* due in any case */
    int64_t asked; /* boundaries so far */
    double spent;  /* seconds */
    int64_t times; /* that were spent */
    double given;  /* what `cost` was opened with */
};

void sampler_open(struct sampler *s, double budget, double start, double cost, int64_t in_a_row, double now);
/* Asked at each boundary. */
bool sampler_due(struct sampler *s, struct random *random, double now);
/* What took much longer than usual was interrupted: that is not what it costs. */
void sampler_spend(struct sampler *s, double seconds);
/* Whether so many can be paid now. */
bool sampler_affords(const struct sampler *s, double now, int64_t n);
/* So many at least are due from here on. */
void sampler_extend(struct sampler *s, int64_t n);

#endif
