/* The parts of a run, put together by those who read another tool's files.
 *
 *     json_t *run = foreign_run("llama-bench b5163", path);
 *     json_t *suite = foreign_suite(run, "bench", 5);
 *     foreign_metric(suite, &(struct foreign_value){.name = "tg128", .value = 131.4, .unit = "t/s", .higher = true, ...});
 *
 * Each gives NULL where memory ran out, and takes NULL in the place of what another could not give. */
#ifndef KERF_REPORTS_FOREIGN_BUILD_H
#define KERF_REPORTS_FOREIGN_BUILD_H

#include "reports/foreign/foreign.h"
#include <stdint.h>

/* The tools, one file each. */
extern const struct foreign foreign_lm_eval, foreign_llama_bench;

struct foreign_value {
    const char *name, *unit;
    double value, standard_error, low, high; /* NAN where not known */
    bool higher;                             /* is better */
    const char *reason;                      /* why the value is not known, or NULL */
};

/* A run without suites, in which nothing is known but who measured and where that stands. */
json_t *foreign_run(const char *tool, const char *path);
/* Adds a suite; items: -1 where not known. The run keeps it. */
json_t *foreign_suite(json_t *run, const char *name, int64_t items);
int foreign_metric(json_t *suite, const struct foreign_value *v);
/* Says in the run's "source" what of the file is not in it; after a good many it only counts. */
void foreign_left_out(json_t *run, const char *what);

/* What a file of no particular shape may hold under a key. */
/* A number, or a text that is one (CSV, and Python's str()); NAN for anything else, also for NULL. */
double foreign_number(const json_t *v);
/* The same, whole and not negative, else -1. */
int64_t foreign_count(const json_t *v);
/* A number as JSON; null where it is not finite. */
json_t *foreign_real(double v);

/* The 97.5 % quantile of Student's t distribution with so many degrees of freedom (1 or more). */
double student_t(int64_t freedom);

#endif
