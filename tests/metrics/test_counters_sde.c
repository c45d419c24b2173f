/* The real library, by its software-defined events: counters that this program registers and that PAPI reads, starts,
 * stops and takes turns with as it does those of hardware. They need no PMU. */
#include "metrics/counters/counters.h"
#include "tests/testing.h"

#include <inttypes.h>
#include <limits.h>
#include <papi.h>
#include <sde_lib.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS = 50 }; /* more than the 40 that the component counts at a time */

static papi_handle_t library;
static long long work[EVENTS];

static int open_library(void **state)
{
    (void)state;
    library = papi_sde_init("kerf_test");
    assert_non_null(library);
    for (int i = 0; i < EVENTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "work%d", i);
        assert_int_equal(
            papi_sde_register_counter(library, name, PAPI_SDE_RO | PAPI_SDE_DELTA, PAPI_SDE_long_long, &work[i]),
            SDE_OK);
    }
    return 0;
}

static int close_library(void **state)
{
    (void)state;
    PAPI_shutdown();
    return papi_sde_shutdown(library);
}

static struct counters *open_with(const char *const *names)
{
    struct error e;
    struct counters *c;
    assert_ok(counters_open(&c, &(struct counters_options){.names = names, .threads = 2}, &e), &e);
    return c;
}

static void assert_since(const struct counters *c, const struct counter_values *a, const struct counter_values *b,
                         int thread, size_t i, uint64_t wanted)
{
    const uint64_t got = counter_since(c, a, b, thread, i);
    if (got != wanted)
        fail_msg("%s, thread %d: %" PRIu64 " instead of %" PRIu64, counters_at(c, i)->name, thread, got, wanted);
}

/* Differences between any two reads, for the process as a whole, past the ends of a signed and an unsigned number. */
static void test_deltas(void **state)
{
    (void)state;
    static const long long steps[] = {5, 0, 1000000007, LLONG_MAX, 17, LLONG_MAX, LLONG_MAX};
    struct counters *c =
        open_with((const char *const[]){"sde:::kerf_test::work0", "sde:::kerf_test::work1",
                                        "sde:::kerf_test::work0 + 3 sde:::kerf_test::work1", "task_clock", NULL});
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(counters_at(c, i)->reason, "");
        assert_int_equal(counters_at(c, i)->scope, COUNTER_PROCESS);
        assert_int_equal(counters_at(c, i)->kind, COUNTER_HARDWARE);
    }
    assert_int_equal(counters_groups(c), 1);
    struct counter_values *before = counters_values(c), *after = counters_values(c);
    work[0] = 100;
    counters_read(c, COUNTERS_ALL, before);
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        work[0] = (long long)((uint64_t)work[0] + (uint64_t)steps[s]);
        work[1] += 2;
        counters_read(c, COUNTERS_HARDWARE, after);
        assert_true(counter_active(c, after, 0));
        assert_since(c, before, after, 0, 0, (uint64_t)steps[s]);
        assert_since(c, before, after, 0, 1, 2);
        assert_since(c, before, after, 0, 2, (uint64_t)steps[s] + 6);
        assert_since(c, before, after, 1, 0, 0);
        struct counter_values *swap = before;
        before = after;
        after = swap;
    }
    free(before);
    free(after);
    counters_close(c);
}

/* Those that PAPI does not take all at once take turns, and what one counts goes on when its turn comes again. */
static void test_turns(void **state)
{
    (void)state;
    char text[EVENTS][32];
    const char *names[EVENTS + 1] = {NULL};
    for (int i = 0; i < EVENTS; i++) {
        snprintf(text[i], sizeof text[i], "sde:::kerf_test::work%d", i);
        names[i] = text[i];
        work[i] = i;
    }
    struct counters *c = open_with(names);
    assert_int_equal(counters_groups(c), 2);
    struct counter_values *start = counters_values(c), *v = counters_values(c);
    uint64_t wanted[EVENTS] = {0};
    counters_read(c, COUNTERS_ALL, start);
    for (int turn = 0; turn < 6; turn++) {
        counters_read(c, COUNTERS_HARDWARE, v);
        assert_int_equal(v->group, (start->group + turn) % 2);
        for (int i = 0; i < EVENTS; i++) {
            work[i] += 10 + i;
            if (counter_active(c, v, (size_t)i)) wanted[i] += 10 + (uint64_t)i;
        }
        counters_rotate(c);
    }
    counters_read(c, COUNTERS_HARDWARE, v);
    for (size_t i = 0; i < EVENTS; i++) {
        assert_int_equal(wanted[i], 3 * (10 + i)); /* each in one of the two */
        assert_since(c, start, v, 0, i, wanted[i]);
    }
    free(start);
    free(v);
    counters_close(c);
}

/* The library once: sets of an earlier opening are gone, and a second at the same time is told. */
static void test_again(void **state)
{
    (void)state;
    const char *const names[] = {"sde:::kerf_test::work3", NULL};
    struct counters *first = open_with(names), *second = open_with(names);
    assert_string_equal(counters_at(first, 0)->reason, "");
    assert_non_null(strstr(counters_at(second, 0)->reason, "counting for something else"));
    counters_close(second);
    counters_close(first);
    first = open_with(names);
    assert_string_equal(counters_at(first, 0)->reason, "");
    counters_close(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_deltas), cmocka_unit_test(test_turns),
                                       cmocka_unit_test(test_again)};
    return cmocka_run_group_tests(tests, open_library, close_library);
}
