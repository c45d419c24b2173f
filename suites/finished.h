/* Runs that were finished, read back from their folder for comparison.
 *
 *     struct finished f;
 *     if (finished_is(folder) && finished_read(&f, folder, e)) return e->code;
 *     f.contender ...
 *     finished_free(&f);
 *
 * run.json says what was measured, samples_SUITE.jsonl have each item's statistics. Both are checked: a samples file that
 * has other items than its run says, or other statistics than its metrics take, is an error that names file and line. */
#ifndef KERF_SUITES_FINISHED_H
#define KERF_SUITES_FINISHED_H

#include "suites/compare.h"

struct finished_suite {
    struct score *scores; /* [n_scores], owned */
    size_t n_scores;
    double **stats; /* [n_scores] of [n, width], owned */
    size_t n;
};

struct finished {
    json_t *run;
    struct finished_suite *suites; /* [n_suites] */
    struct measured *measured;     /* [n_suites], pointing into suites and run */
    size_t n_suites;
    struct contender contender;
};

bool finished_is(const char *folder); /* it has a run.json */
int finished_read(struct finished *f, const char *folder, struct error *e);
void finished_free(struct finished *f);

#endif
