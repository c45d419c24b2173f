/* A profile: what a run spent, by phase and by piece of its passes, in time and in every counter that there is.
 *
 *     struct profile *p;
 *     if (profile_open(&p, counters, e)) return e->code;      counters stay the caller's
 *     options.watch = profile_watch(p);                       the engine and the suites tell it what they do
 *     ...
 *     profile_stop(p);
 *     struct profile_figures f = profile_phase(p, PHASE_PREFILL);
 *     profile_close(p);
 *
 * Times are whole: phases follow each other without gap, their seconds add up to those between profile_open() and
 * profile_stop(). Counters are read where phases change, and hardware counters and the task clock between the pieces of
 * passes as well, as often as PROFILE_BUDGET of the time allows (and a millisecond at the start); an interval counts only
 * when they were read at both of its ends. Where not everything can be read, a few intervals in a row are, from places
 * that are drawn by chance, so that no phase or piece is preferred. Hardware counters take turns in groups of
 * PROFILE_TURN. So a counter may have seen only a share of a phase or piece. Its value is then scaled to the time that
 * it did not see, and the share stands beside it: 1 means that nothing was scaled. Pieces are told without the seconds
 * that went into reading; these are none of `seconds` here either, but for energy, and taken off the first thread's task
 * clock.
 *
 *     value = counted * seconds / seconds_counted,  share = seconds_counted / seconds */
#ifndef KERF_METRICS_COUNTERS_PROFILE_H
#define KERF_METRICS_COUNTERS_PROFILE_H

#include "engine/base/watch.h"
#include "metrics/counters/counters.h"

#define PROFILE_BUDGET 0.01 /* of the time goes into reading counters at most, */
#define PROFILE_START 0.001 /* and these seconds, so that the first phases are seen */
#define PROFILE_TURN 0.005  /* seconds that a group of hardware counters counts, at least */

struct profile;

/* The clock starts, in PHASE_OTHER. */
int profile_open(struct profile **out, struct counters *counters, struct error *e);
/* Lives as long as the profile. Phases that are told after profile_stop() are not counted. */
const struct watch *profile_watch(struct profile *p);
void profile_stop(struct profile *p);  /* nothing is counted from here on */
void profile_close(struct profile *p); /* NULL is fine */

/* What stands for a phase, a piece or the whole run. */
struct profile_figures {
    double seconds;
    int64_t times;      /* entered, or done */
    double flop, bytes; /* of pieces, and of phases the sum of theirs */
};

/* Of one counter in it; NaN and share 0: it was never seen there. Of a level (peak_resident) the one at the end. */
struct profile_value {
    double value, share;
};

double profile_seconds(const struct profile *p);  /* wall time, from open to stop or now */
double profile_overhead(const struct profile *p); /* seconds of it that went into reading counters */
bool profile_failed(const struct profile *p);     /* memory ran out: pieces are missing */
struct profile_figures profile_phase(const struct profile *p, enum phase phase);
struct profile_value profile_phase_value(const struct profile *p, enum phase phase, size_t counter,
                                         int thread /* -1: sum */);
/* Of the whole run, until profile_stop(). What is no hardware counter is exact; of these what the phases have together,
 * scaled to those in which they were never seen. */
struct profile_value profile_run_value(const struct profile *p, size_t counter, int thread);
/* Several phases together, bit 1 << phase of each: their values added. NaN where one that took time was never seen. */
struct profile_value profile_phases_value(const struct profile *p, unsigned phases, size_t counter, int thread);

/* Pieces, in the order in which they were first met. */
struct profile_place {
    enum phase phase;
    int64_t layer;
    int part;
};
size_t profile_places(const struct profile *p);
struct profile_place profile_place_at(const struct profile *p, size_t i);
struct profile_figures profile_piece(const struct profile *p, size_t place);
struct profile_value profile_piece_value(const struct profile *p, size_t place, size_t counter, int thread);
/* Several places together, as one: raw counts and counted seconds are added before they are scaled. */
struct profile_value profile_pieces_value(const struct profile *p, const size_t *places, size_t n, size_t counter,
                                          int thread);

#endif
