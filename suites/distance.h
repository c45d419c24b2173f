/* How far a subject's predictions are from the baseline's in a suite of documents: both models walk through it in
 * lockstep (suites/walk.h), and the run's record gets a "divergence".
 *
 *     const struct distance_options o = {.baseline = base, .name = "millbrook-llama@f32", .folder = "kerf-out", ...};
 *     if (distance_measure(&divergence, model, suite, &requests, n_items, parts, &o, e)) return e->code;
 *
 * walk.whole is told of each window, whose log-likelihood is to the bit what score_groups() gives it. The walk has a
 * journal of its own in the folder: one that was killed goes on, and one that is whole is not walked again. */
#ifndef KERF_SUITES_DISTANCE_H
#define KERF_SUITES_DISTANCE_H

#include "suites/divergence.h"

struct distance_options {
    const struct model *baseline;
    const char *name;   /* of the baseline as a subject */
    const char *folder; /* MAY: where the journal lies */
    bool fresh;         /* what was measured before is measured again */
    struct walk_options walk;
    struct resampling resampling;
};

/* Whether a suite's outcomes are documents or windows, of which every token's predictions can be compared. */
bool distance_applies(const struct suite *s);
/* `parts` is what the results depend on: the key of the suite's journal (suites/journal.h). *out is the caller's:
 * { "baseline": { name, sha256, backend, math }, "tokens", "metrics": [...], quantiles and ratio as in
 * divergences_record(), "worst": [...], "noise_floor" }. */
int distance_measure(json_t **out, struct cost *beside /* seconds in the baseline */, const struct model *m,
                     const struct suite *s, const struct requests *q, size_t n_items, const json_t *parts,
                     const struct distance_options *o, struct error *e);

#endif
