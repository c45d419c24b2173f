/* What is counted by a meter read around batches of runs: rounds over all cases, which take turns, so that what happens
 * to the machine for a while happens to all of them. */
#include "cli/kernels/costs.h"
#include "engine/base/memory.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const double least_seconds = 20e-6; /* of a batch: the clock's own cost is some 20 ns */
enum { MOST_BATCH = 1 << 20, EMPTY_ROUNDS = 31, STACK_BYTES = 8 << 20 };

/* One case under one instruction set. */
struct cell {
    struct kernel_fixture *fixture;
    const struct kernel_pick *pick;
    const struct kernels *isa;
    int batch;
    double *samples; /* [rounds] */
};

struct rounds {
    const struct cost_meter *meter;
    struct kernel_fixture *fixtures; /* [n_fixtures] */
    struct cell *cells;              /* [n] */
    double *samples;                 /* [n][of_each] */
    size_t n_fixtures, n;
    int64_t of_each;
    double empty; /* what the meter counts of nothing */
};

static void choose_batch(struct cell *c)
{
    kernel_fixture_run(c->fixture, c->isa); /* caches, lazy binding */
    for (c->batch = 1; c->batch < MOST_BATCH; c->batch *= 2) {
        const double started = seconds_now();
        for (int i = 0; i < c->batch; i++) kernel_fixture_run(c->fixture, c->isa);
        if (seconds_now() - started >= least_seconds) break;
    }
}

static double run_batch(const struct rounds *r, const struct cell *c)
{
    r->meter->start(r->meter->user);
    for (int i = 0; i < c->batch; i++) kernel_fixture_run(c->fixture, c->isa);
    const double all = r->meter->stop(r->meter->user) - r->empty;
    return (all > 0 ? all : 0) / c->batch;
}

static void measure_empty(struct rounds *r)
{
    double x[EMPTY_ROUNDS], low, high;
    for (int i = 0; i < EMPTY_ROUNDS; i++) {
        r->meter->start(r->meter->user);
        x[i] = r->meter->stop(r->meter->user);
    }
    cost_median(x, EMPTY_ROUNDS, &r->empty, &low, &high);
}

static int open_all(struct rounds *r, const struct kernel_plan *plan, struct progress *progress, struct error *e)
{
    size_t most = plan->n * plan->n_isas;
    r->fixtures = memory_new(plan->n, sizeof *r->fixtures, "kernels' buffers", e);
    if (!r->fixtures) return ERROR_IO;
    r->cells = memory_new(most, sizeof *r->cells, "kernels' samples", e);
    if (!r->cells) return ERROR_IO;
    for (size_t i = 0; i < plan->n; i++) {
        const struct kernel_pick *pick = &plan->picks[i];
        if (!progress_update(progress, "making inputs", i, plan->n))
            return error_set(e, ERROR_INTERRUPTED, "interrupted");
        if (!pick->its.measured) continue;
        struct kernel_fixture *x = &r->fixtures[r->n_fixtures];
        int status = kernel_fixture_open(x, pick->family, pick->i, BUFFER_AT_END, plan->seed, e);
        if (status) return status;
        r->n_fixtures++;
        for (size_t j = 0; j < plan->n_isas; j++)
            if (kernel_plan_has(plan, i, j)) r->cells[r->n++] = (struct cell){x, pick, plan->isas[j], 1, NULL};
    }
    r->samples = memory_new(r->n * (size_t)r->of_each, sizeof *r->samples, "kernels' samples", e);
    return r->samples ? 0 : ERROR_IO;
}

static int go_round(struct rounds *r, struct progress *progress, struct error *e)
{
    for (size_t i = 0; i < r->n; i++) {
        r->cells[i].samples = r->samples + i * (size_t)r->of_each;
        choose_batch(&r->cells[i]);
    }
    for (int64_t round = 0; round < r->of_each; round++) {
        for (size_t i = 0; i < r->n; i++) r->cells[i].samples[round] = run_batch(r, &r->cells[i]);
        if (!progress_update(progress, "measuring", (size_t)round + 1, (size_t)r->of_each))
            return error_set(e, ERROR_INTERRUPTED, "interrupted");
    }
    return 0;
}

static int tell(const struct rounds *r, struct costs *out, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < r->n && !status; i++) {
        const struct cell *c = &r->cells[i];
        struct cost_row row = {.its = c->pick->its, .error = NAN};
        snprintf(row.isa, sizeof row.isa, "%s", c->isa->name);
        snprintf(row.counter, sizeof row.counter, "%s", r->meter->counter);
        cost_median(c->samples, (size_t)r->of_each, &row.value, &row.low, &row.high);
        if (cost_is_exact(row.counter)) row.low = row.high = row.value;
        status = costs_add(out, &row, e);
    }
    return status;
}

int count_rounds(struct costs *out, const struct kernel_plan *plan, const struct cost_meter *meter, int64_t rounds,
                 struct progress *progress, struct error *e)
{
    struct rounds r = {.meter = meter, .of_each = rounds};
    measure_empty(&r);
    int status = open_all(&r, plan, progress, e);
    if (!status) status = go_round(&r, progress, e);
    if (!status) status = tell(&r, out, e);
    for (size_t i = 0; i < r.n_fixtures; i++) kernel_fixture_close(&r.fixtures[i]);
    free(r.fixtures);
    free(r.cells);
    free(r.samples);
    return status;
}

/* --- the clock --- */

static void start_clock(void *user) { *(double *)user = seconds_now(); }
static double stop_clock(void *user) { return (seconds_now() - *(double *)user) * 1e9; }

int count_time(struct costs *out, const struct kernel_plan *plan, const struct cost_how *how, struct error *e)
{
    double started;
    const struct cost_meter meter = {"time", start_clock, stop_clock, &started};
    return count_rounds(out, plan, &meter, how->rounds, how->progress, e);
}

/* --- a stack that does not move --- */

struct job {
    int (*work)(void *user, struct error *e);
    void *user;
    struct error *e;
    int status;
};

static void *do_job(void *user)
{
    struct job *j = user;
    j->status = j->work(j->user, j->e);
    return NULL;
}

/* Buffers on the stack begin at the same place of a page, and copies to and from them take the same path. */
int count_on_thread(int (*work)(void *user, struct error *e), void *user, struct error *e)
{
    struct job job = {work, user, e, 0};
    pthread_attr_t how;
    pthread_t thread;
    void *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return error_set(e, ERROR_IO, "out of memory for a thread");
    int failed = pthread_attr_init(&how);
    if (!failed) failed = pthread_attr_setstack(&how, stack, STACK_BYTES);
    if (!failed) failed = pthread_create(&thread, &how, do_job, &job);
    if (!failed) pthread_join(thread, NULL);
    pthread_attr_destroy(&how);
    munmap(stack, STACK_BYTES);
    return failed ? error_set(e, ERROR_IO, "a thread cannot be started: %s", strerror(failed)) : job.status;
}
