/* Costs around runs of a kernel that costs what this test says: by the clock, and by counters that are defined here and
 * win over the library's, as few machines that run tests have any. */
#include "tests/testing.h"

#include "cli/kernels/costs.h"
#include "engine/base/memory.h"
#include "metrics/counters/counters.h"

#include <stdlib.h>
#include <string.h>

/* --- counters --- */

enum { INSTRUCTIONS, CYCLES, EVENTS, A_READ = 700 };

static struct {
    struct counter counters[EVENTS];
    uint64_t now[EVENTS];
    const char *none; /* why there are no counters at all; "" */
    int open;
} fake;

static void fake_reset(const char *instructions, const char *cycles, const char *none)
{
    memset(&fake, 0, sizeof fake);
    fake.counters[INSTRUCTIONS].name = "instructions";
    fake.counters[CYCLES].name = "cycles";
    snprintf(fake.counters[INSTRUCTIONS].reason, sizeof fake.counters->reason, "%s", instructions);
    snprintf(fake.counters[CYCLES].reason, sizeof fake.counters->reason, "%s", cycles);
    fake.none = none;
    for (int i = 0; i < EVENTS; i++) fake.now[i] = UINT64_MAX - 100000; /* they wrap while the tests run */
}

int counters_open(struct counters **out, const struct counters_options *options, struct error *e)
{
    assert_int_equal(options->threads, 1);
    *out = (struct counters *)&fake;
    fake.open++;
    return 0;
}

void counters_close(struct counters *c) { fake.open -= c != NULL; }
const struct counter *counters_at(const struct counters *c, size_t i) { return &fake.counters[i]; }
const char *counters_why_no_hardware(const struct counters *c) { return fake.none; }
int counters_find(const struct counters *c, const char *name)
{
    return strcmp(name, "instructions") == 0 ? INSTRUCTIONS : strcmp(name, "cycles") == 0 ? CYCLES : -1;
}

struct counter_values *counters_values(const struct counters *c)
{
    return calloc(1, sizeof(struct counter_values) + EVENTS * sizeof(uint64_t));
}

void counters_read(struct counters *c, enum counters_extent extent, struct counter_values *out)
{
    for (int i = 0; i < EVENTS; i++) out->at[i] = fake.now[i] += A_READ;
}

uint64_t counter_since(const struct counters *c, const struct counter_values *before,
                       const struct counter_values *after, int thread, size_t i)
{
    return after->at[i] - before->at[i];
}

/* --- a kernel --- */

static double run_seconds;
static uint64_t runs;

static bool describe(size_t i, struct kernel_case *out)
{
    *out = (struct kernel_case){"fake", "", "257", "random", i == 0, 257};
    if (i == 1) snprintf(out->shape, sizeof out->shape, "not measured");
    return i < 2;
}

static bool has(const struct kernels *k, const struct kernel_case *c) { return strcmp(k->name, "c") == 0; }

static int open_fake(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                     struct error *e)
{
    *own = memory_new(1, 1, "a fake", e);
    return *own ? 0 : ERROR_IO;
}

/* 12345 instructions; of cycles 20000 and, by turns, some more. */
static void run_fake(void *own, const struct kernels *k)
{
    const double started = seconds_now();
    while (seconds_now() - started < run_seconds) continue;
    fake.now[INSTRUCTIONS] += 12345;
    fake.now[CYCLES] += 20000 + 100 * (runs++ % 7);
}

static const struct kernel_family family = {
    .name = "fake", .describe = describe, .has = has, .open = open_fake, .run = run_fake, .close = free};

static struct kernel_plan plan_of(struct kernel_pick picks[2])
{
    struct kernel_plan plan = {.picks = picks, .n = 2};
    for (size_t i = 0; i < 2; i++) {
        picks[i] = (struct kernel_pick){.family = &family, .i = i};
        describe(i, &picks[i].its);
    }
    for (; plan.n_isas < KERNEL_ISAS && kernels_at(plan.n_isas); plan.n_isas++)
        plan.isas[plan.n_isas] = kernels_at(plan.n_isas);
    return plan;
}

static void measure(struct costs *out, struct cost_how *how)
{
    struct error e = {0};
    struct progress progress;
    struct kernel_pick picks[2];
    const struct kernel_plan plan = plan_of(picks);
    progress_open(&progress, "test");
    how->progress = &progress;
    how->rounds = 15;
    assert_ok(cost_counter_choose(how, &plan, &e), &e);
    assert_ok(costs_measure(out, &plan, how, &e), &e);
    progress_close(&progress);
    assert_int_equal(out->n, 1); /* the case that is measured, under the one instruction set that has it */
    assert_string_equal(out->rows[0].isa, "c");
    assert_string_equal(out->rows[0].its.shape, "257");
    assert_int_equal(fake.open, 0);
}

static void instructions_are_those_of_a_run(void **state)
{
    struct costs c = {0};
    struct cost_how how = {.counter = COST_AUTO};
    fake_reset("", "", "");
    run_seconds = 2e-6; /* so that a batch has several runs */
    measure(&c, &how);
    assert_int_equal(how.counter, COST_PAPI);
    assert_string_equal(c.rows[0].counter, "instructions");
    assert_near(c.rows[0].value, 12345, 0, "instructions of a run"); /* without those of the reads */
    assert_near(c.rows[0].low, 12345, 0, "low");
    assert_near(c.rows[0].high, 12345, 0, "high");
    costs_free(&c);
}

static void cycles_are_second_best_and_noisy(void **state)
{
    struct costs c = {0};
    struct cost_how how = {.counter = COST_PAPI};
    fake_reset("the CPU does not say", "", "");
    run_seconds = 30e-6; /* a batch is one run */
    measure(&c, &how);
    assert_string_equal(c.rows[0].counter, "cycles");
    assert_true(cost_how_noisy(&how));
    assert_in_range((uint64_t)c.rows[0].value, 20000, 20600);
    assert_true(c.rows[0].low < c.rows[0].value && c.rows[0].value < c.rows[0].high);
    costs_free(&c);

    c = (struct costs){0};
    how = (struct cost_how){0};
    fake_reset("", "", "");
    struct error e = {0};
    assert_ok(cost_counter_parse("cycles", &how, &e), &e); /* also where there are instructions */
    measure(&c, &how);
    assert_string_equal(c.rows[0].counter, "cycles");
    costs_free(&c);
}

static void what_is_not_there_is_told_with_the_remedy(void **state)
{
    struct error e = {0};
    struct kernel_pick picks[2];
    const struct kernel_plan plan = plan_of(picks);
    struct cost_how how = {.counter = COST_PAPI};
    fake_reset("", "", "this machine has no counters");
    snprintf(fake.counters[0].reason, sizeof fake.counters->reason, "no PMU");
    snprintf(fake.counters[1].reason, sizeof fake.counters->reason, "no PMU");
    assert_error(cost_counter_choose(&how, &plan, &e), &e, ERROR_INPUT,
                 "this machine has no counters; count otherwise (--count callgrind)");
    fake_reset("too many of them are in use", "", "");
    how = (struct cost_how){.counter = COST_PAPI, .papi = "instructions"};
    assert_error(cost_counter_choose(&how, &plan, &e), &e, ERROR_INPUT,
                 "instructions cannot be counted here: too many of them are in use");
    assert_int_equal(fake.open, 0);
}

static void the_clock_tells_what_a_run_takes(void **state)
{
    struct costs c = {0};
    struct cost_how how = {.counter = COST_TIME};
    fake_reset("", "", "");
    run_seconds = 50e-6;
    measure(&c, &how);
    assert_string_equal(c.rows[0].counter, "time");
    assert_true(c.rows[0].low >= 49e3); /* nothing is quicker, and what is slower is the machine */
    assert_true(c.rows[0].low <= c.rows[0].value && c.rows[0].value <= c.rows[0].high);
    costs_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions_are_those_of_a_run),
        cmocka_unit_test(cycles_are_second_best_and_noisy),
        cmocka_unit_test(what_is_not_there_is_told_with_the_remedy),
        cmocka_unit_test(the_clock_tells_what_a_run_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
