/* Profiles of kerf bench model: what a test costs the hardware. Its repetitions run once more, behind those that are
 * timed, so that reading counters does not touch the speeds. */
#include "cli/bench_model.h"

#include <math.h>

static const struct bench_cost costs[BENCH_COSTS] = {{"instructions", "instructions", "Minstr/t", 1e6},
                                                     {"l1d_misses", "l1d_misses", "kL1D/t", 1e3},
                                                     {"l2_misses", "l2_misses", "kL2/t", 1e3},
                                                     {"l3_misses", "l3_misses", "kL3/t", 1e3},
                                                     {"energy_joules", "joules", "mJ/t", 1e-3},
                                                     {"task_clock_seconds", "task_clock_seconds", "CPU ms/t", 1e-3},
                                                     {"bytes", "bytes", "MB/t", 1e6}};

const struct bench_cost *bench_cost_at(size_t i) { return &costs[i]; }

double bench_cost_of(const struct contender *c, size_t test, size_t i)
{
    const json_t *x = json_object_get(json_object_get(c->cells[test].profile, "per_token"), costs[i].key);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

/* The repetitions of a test, watched; what comes before each is ready when the clock starts. */
static int repeat(struct model_bench *b, struct contender *c, size_t test, struct profiling *x, struct error *e)
{
    const struct bench_test *t = &b->tests[test];
    struct bench_cell *cell = &c->cells[test];
    struct bench_run ignored;
    int status = bench_prepare(c, t, &b->how, &cell->room, e);
    if (!status) status = profiling_start(x, e);
    if (status) return status;
    model_watch(c->m, profiling_watch(x));
    for (int64_t i = 0; i < b->how.repeat && !status; i++) {
        status = bench_run(c, t, &b->how, t->tokens, &cell->room, &ignored, e);
        if (!status && !progress_update(&b->progress, "profile", (size_t)i, (size_t)b->how.repeat))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
    }
    profiling_stop(x);
    model_watch(c->m, NULL);
    return status;
}

static int profile_test(struct model_bench *b, struct contender *c, size_t test, struct profiling *x, struct error *e)
{
    const struct profiled what = {.m = c->m,
                                  .fast = c->subject.math == MATH_FAST,
                                  .tokens = b->tests[test].tokens * b->how.repeat,
                                  .limits = b->measures_machine ? &b->limits : NULL,
                                  .no_limits = "--no-machine",
                                  .limits_seconds = NAN};
    int status = repeat(b, c, test, x, e);
    if (!status && !(c->cells[test].profile = profiling_record(x, &what, e))) status = (int)e->code;
    profiling_end(x);
    return status;
}

int bench_profiles(struct model_bench *b, struct error *e)
{
    struct profiling x;
    int status = profiling_open(&x, &b->profiling, e);
    if (status || !x.counters) return status;
    for (size_t i = 0; i < b->n * b->n_tests && !status; i++)
        status = profile_test(b, &b->all[i % b->n], i / b->n, &x, e);
    profiling_close(&x);
    return status;
}
