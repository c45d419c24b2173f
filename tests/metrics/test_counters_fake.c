/* Counters over a PMU that is made up, papi_fake.h, on three threads. */
#include "metrics/counters/counters.h"
#include "tests/metrics/papi_fake.h"
#include "tests/testing.h"

#include <inttypes.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- the tests' hands --- */

static int reset(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    static const char *const names[COMPONENTS] = {"perf_event", "uncore", "soft"};
    for (int i = 0; i < COMPONENTS; i++) {
        snprintf(fake.components[i].name, sizeof fake.components[i].name, "%s", names[i]);
        snprintf(fake.components[i].short_name, sizeof fake.components[i].short_name, "%s", i ? names[i] : "perf");
        fake.components[i].attach = i != PROCESS;
        fake.components[i].fast_counter_read = i == CORE;
        fake.components[i].available_granularities = i == UNCORE ? PAPI_GRN_SYS : PAPI_GRN_THR;
    }
    for (int i = 0; i < EVENTS; i++) {
        memset(events[i].now, 0, sizeof events[i].now);
        memset(events[i].counted, 0, sizeof events[i].counted);
        events[i].refuse_start = events[i].refuse_read = 0;
    }
#pragma omp parallel num_threads(THREADS)
    fake.threads[omp_get_thread_num()] = (unsigned long)syscall(SYS_gettid);
    return 0;
}

static struct counters *open_with(const char *const *names)
{
    struct error e;
    struct counters *c;
    assert_ok(
        counters_open(&c, &(struct counters_options){.names = names, .threads = THREADS, .powercap = "/none"}, &e), &e);
    return c;
}

static void close_whole(struct counters *c)
{
    counters_close(c);
    for (int i = 0; i < SETS; i++) assert_false(fake.sets[i].live);
    for (int i = 0; i < EVENTS; i++)
        for (int t = 0; t <= THREADS; t++) assert_int_equal(events[i].counted[t], 0);
}

static size_t find(const struct counters *c, const char *name)
{
    const int i = counters_find(c, name);
    assert_true(i >= 0);
    return (size_t)i;
}

/* `n` of every event on every thread, thread t (t + 1) times as many. */
static void work(uint64_t n)
{
    for (int i = 0; i < EVENTS; i++)
        for (int t = 0; t <= THREADS; t++) events[i].now[t] += n * (uint64_t)(i + 1) * (uint64_t)(t + 1);
}

static struct counter_values *read_all(struct counters *c)
{
    struct counter_values *v = counters_values(c);
    assert_non_null(v);
    counters_read(c, COUNTERS_HARDWARE, v);
    return v;
}

static void assert_since(const struct counters *c, const struct counter_values *a, const struct counter_values *b,
                         const char *name, int thread, uint64_t wanted)
{
    const uint64_t got = counter_since(c, a, b, thread, find(c, name));
    if (got != wanted) fail_msg("%s on thread %d: %" PRIu64 " instead of %" PRIu64, name, thread, got, wanted);
}

static void assert_reason(const struct counters *c, const char *name, const char *part)
{
    const struct counter *one = counters_at(c, find(c, name));
    if (!strstr(one->reason, part) || (!*part && *one->reason))
        fail_msg("%s: \"%s\" instead of \"%s\"", name, one->reason, part);
}

static void rotate_to(struct counters *c, const char *name)
{
    struct counter_values *v = read_all(c);
    for (int i = 0; i < counters_groups(c) && !counter_active(c, v, find(c, name)); i++) {
        counters_rotate(c);
        counters_read(c, COUNTERS_HARDWARE, v);
    }
    assert_true(counter_active(c, v, find(c, name)));
    free(v);
}

/* --- groups --- */

/* All names of ours: what fits together is together, with cycles and instructions; what is not there says so. */
static void test_groups(void **state)
{
    (void)state;
    struct counters *c = open_with(NULL);
    assert_string_equal(counters_why_no_hardware(c), "");
    assert_int_equal(counters_threads(c), THREADS);
    /* branches and their misses; l1d, l3; l1i alone, which is in the way of l1d; the four of fp_ops */
    assert_int_equal(counters_groups(c), 4);
    static const char *const there[] = {"cycles",     "instructions", "branches",  "branch_misses",
                                        "l1d_misses", "l1i_misses",   "l3_misses", "fp_ops"};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++) {
        const struct counter *one = counters_at(c, find(c, there[i]));
        assert_reason(c, there[i], "");
        assert_int_equal(one->scope, COUNTER_THREADS);
        assert_true(counter_in_group(c, one->group, find(c, there[i])));
        for (int g = 0; g < one->group; g++) assert_false(counter_in_group(c, g, find(c, there[i])));
    }
    assert_string_equal(counters_at(c, find(c, "l3_misses"))->source, "LONGEST_LAT_CACHE:MISS");
    assert_reason(c, "l2_misses", "no event of this CPU");
    assert_string_equal(counters_at(c, find(c, "l2_misses"))->source, "");
    assert_int_equal(counters_at(c, find(c, "l2_misses"))->group, -1);
    for (int g = 0; g < 4; g++) {
        const bool fp = counter_in_group(c, g, find(c, "fp_ops"));
        assert_int_equal(counter_in_group(c, g, find(c, "cycles")), !fp); /* four counters are full of fp_ops alone */
        assert_int_equal(counter_in_group(c, g, find(c, "instructions")), !fp);
        assert_false(counter_in_group(c, g, find(c, "l1d_misses")) && counter_in_group(c, g, find(c, "l1i_misses")));
        assert_false(counter_in_group(c, g, find(c, "l2_misses")));
        assert_true(counter_in_group(c, g, find(c, "task_clock")));
    }
    close_whole(c);
}

/* One group at a time counts, on each thread its own; totals go on from group to group. */
static void test_rotation(void **state)
{
    (void)state;
    struct counters *c = open_with(
        (const char *const[]){"cycles", "instructions", "branches", "branch_misses", "l1d_misses", "l1i_misses", NULL});
    assert_int_equal(counters_groups(c), 3);
    struct counter_values *start = read_all(c), *last = read_all(c);
    uint64_t worked[6] = {0};
    bool seen[8] = {0};
    for (int turn = 0; turn < 7; turn++) {
        struct counter_values *before = read_all(c);
        work(1000 + (uint64_t)turn);
        struct counter_values *after = read_all(c);
        assert_int_equal(before->group, after->group);
        assert_in_range(after->group, 0, counters_groups(c) - 1);
        if (turn < counters_groups(c)) assert_false(seen[after->group]);
        seen[after->group] = true;
        for (size_t i = 0; i < 6; i++) {
            const bool active = counter_active(c, after, i);
            if (active) worked[i] += 1000 + (uint64_t)turn;
            for (int t = 0; t < THREADS; t++)
                assert_since(c, before, after, counters_at(c, i)->name, t,
                             active ? (1000 + (uint64_t)turn) * (uint64_t)(i + 1) * (uint64_t)(t + 1) : 0);
        }
        free(before);
        free(after);
        counters_rotate(c);
        work(0);
    }
    counters_read(c, COUNTERS_HARDWARE, last);
    for (size_t i = 0; i < 6; i++)
        for (int t = 0; t < THREADS; t++)
            assert_since(c, start, last, counters_at(c, i)->name, t, worked[i] * (uint64_t)(i + 1) * (uint64_t)(t + 1));
    assert_true(worked[CYC] == 7 * 1000 + 21 && worked[INS] == worked[CYC] && worked[L1D] && worked[L1I]);
    assert_true(worked[L1D] < worked[CYC]);
    free(start);
    free(last);
    close_whole(c);
}

/* Whole counts, weights and all, past 2^63 and 2^64. */
static void test_wrap(void **state)
{
    (void)state;
    struct counters *c = open_with((const char *const[]){"cycles", "fp_ops", NULL});
    static const uint64_t steps[] = {(uint64_t)1 << 62, (uint64_t)1 << 63, UINT64_MAX, 1, UINT64_MAX - 7, 12345};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        rotate_to(c, "cycles");
        struct counter_values *before = read_all(c);
        events[CYC].now[1] += steps[s];
        struct counter_values *after = read_all(c);
        assert_since(c, before, after, "cycles", 1, steps[s]);
        assert_since(c, before, after, "cycles", 0, 0);
        free(before);
        free(after);
        rotate_to(c, "fp_ops");
        before = read_all(c);
        events[SCALAR].now[2] += steps[s];
        events[W128].now[2] += 3;
        events[W256].now[2] += 5;
        events[W512].now[2] += 7;
        after = read_all(c);
        assert_since(c, before, after, "fp_ops", 2, steps[s] + 4 * 3 + 8 * 5 + 16 * 7);
        free(before);
        free(after);
    }
    assert_true(strstr(counters_at(c, find(c, "fp_ops"))->source, "+ 16 FP_ARITH_INST_RETIRED:512B") != NULL);
    close_whole(c);
}

/* Components that attach to no thread: one set for the process, or the machine, beside the CPU's groups. */
static void test_scopes(void **state)
{
    (void)state;
    struct counters *c =
        open_with((const char *const[]){"l1d_misses", "l1i_misses", "uncore:::READS", "soft:::jobs", "soft:::ratio",
                                        "soft:::none", "other:::x", "perf::NONE", NULL});
    assert_int_equal(counters_at(c, find(c, "uncore:::READS"))->scope, COUNTER_MACHINE);
    assert_int_equal(counters_at(c, find(c, "soft:::jobs"))->scope, COUNTER_PROCESS);
    assert_string_equal(counters_at(c, find(c, "soft:::jobs"))->what, "Jobs done");
    assert_reason(c, "soft:::ratio", "no whole numbers");
    assert_reason(c, "soft:::none", "no such event");
    assert_reason(c, "other:::x", "no component");
    assert_reason(c, "perf::NONE", "no such event");
    assert_int_equal(counters_groups(c), 2);
    struct counter_values *before = read_all(c);
    uint64_t l1d = 0;
    for (int turn = 0; turn < 4; turn++) {
        struct counter_values *v = read_all(c);
        assert_true(counter_active(c, v, find(c, "soft:::jobs")));
        assert_true(counter_active(c, v, find(c, "uncore:::READS")));
        l1d += counter_active(c, v, find(c, "l1d_misses"));
        free(v);
        work(10);
        counters_rotate(c);
    }
    assert_int_equal(l1d, 2);
    struct counter_values *after = read_all(c);
    assert_since(c, before, after, "soft:::jobs", 0, 40 * (JOBS + 1) * (THREADS + 1));
    assert_since(c, before, after, "soft:::jobs", 1, 0);
    assert_since(c, before, after, "uncore:::READS", 0, 40 * (READS + 1) * (THREADS + 1));
    free(before);
    free(after);
    close_whole(c);
}

/* A component with fewer groups than another goes round evenly. */
static void test_components(void **state)
{
    (void)state;
    struct counters *c =
        open_with((const char *const[]){"cycles", "instructions", "branches", "branch_misses", "l1d_misses",
                                        "l1i_misses", "fp_ops", "uncore:::READS", "uncore:::WRITES", NULL});
    assert_int_equal(counters_groups(c), 4);
    for (int g = 0; g < 4; g++)
        assert_true(counter_in_group(c, g, find(c, "uncore:::READS")) !=
                    counter_in_group(c, g, find(c, "uncore:::WRITES")));
    struct counter_values *before = read_all(c);
    for (int turn = 0; turn < 4; turn++) {
        work(10);
        counters_rotate(c);
    }
    struct counter_values *after = read_all(c);
    assert_since(c, before, after, "uncore:::READS", 0, 20 * (READS + 1) * (THREADS + 1));
    assert_since(c, before, after, "uncore:::WRITES", 0, 20 * (WRITES + 1) * (THREADS + 1));
    assert_since(c, before, after, "fp_ops", 0, 10 * (9 + 4 * 10 + 8 * 11 + 16 * 12));
    free(before);
    free(after);
    close_whole(c);
}

/* --- what goes wrong --- */

static void test_refused(void **state)
{
    (void)state;
    events[L1I].refuse_start = PAPI_ECNFLCT; /* its group never starts */
    struct counters *c = open_with(
        (const char *const[]){"cycles", "instructions", "branches", "branch_misses", "l1d_misses", "l1i_misses", NULL});
    assert_reason(c, "l1i_misses", "could not be started: PAPI: conflict");
    assert_reason(c, "l1d_misses", "");
    assert_reason(c, "cycles", "");
    for (int turn = 0; turn < 5; turn++) { /* the dead group gets no turn */
        struct counter_values *v = read_all(c);
        assert_true(counter_active(c, v, find(c, "cycles")));
        assert_false(counter_active(c, v, find(c, "l1i_misses")));
        free(v);
        counters_rotate(c);
    }
    assert_int_equal(fake.refused, 1);    /* nor a second try */
    events[L1D].refuse_start = PAPI_ESYS; /* later another does not */
    rotate_to(c, "branches");
    for (int turn = 0; turn < 3; turn++) counters_rotate(c);
    assert_reason(c, "l1d_misses", "could not be started: PAPI: other");
    assert_reason(c, "branches", "");
    struct counter_values *before = read_all(c);
    assert_true(counter_active(c, before, find(c, "branches")));
    work(5);
    struct counter_values *after = read_all(c);
    assert_since(c, before, after, "branches", 2, 5 * 3 * 3);
    free(before);
    free(after);
    close_whole(c);
}

/* Counts that can be read no more stay, and never fall. */
static void test_vanished(void **state)
{
    (void)state;
    struct counters *c = open_with((const char *const[]){"cycles", "instructions", NULL});
    struct counter_values *start = read_all(c);
    work(100);
    struct counter_values *before = read_all(c);
    events[INS].refuse_read = PAPI_ECLOST;
    work(100);
    struct counter_values *after = read_all(c);
    for (int t = 0; t < THREADS; t++) {
        assert_since(c, start, before, "instructions", t, 100 * 2 * (uint64_t)(t + 1));
        assert_since(c, before, after, "instructions", t, 0);
        assert_since(c, before, after, "cycles", t, 0);
    }
    assert_reason(c, "instructions", "read no more: PAPI: other");
    assert_reason(c, "cycles", "read no more");
    assert_false(counter_active(c, after, find(c, "cycles")));
    counters_rotate(c);
    counters_read(c, COUNTERS_ALL, after);
    assert_since(c, before, after, "cycles", 1, 0);
    free(start);
    free(before);
    free(after);
    close_whole(c);
}

/* A thread that ends is told where nobody asked for its clock, too. */
static void test_thread_ended(void **state)
{
    (void)state;
    struct counters *c = open_with((const char *const[]){"cycles", "uncore:::READS", NULL});
    struct counter_values *v = read_all(c);
    assert_reason(c, "cycles", "");
#pragma omp parallel num_threads(THREADS - 1)
    assert_true(omp_get_num_threads() == THREADS - 1);
    for (int tries = 0; tries < 200 && !counters_at(c, find(c, "cycles"))->reason[0]; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        counters_read(c, COUNTERS_ALL, v);
    }
    assert_reason(c, "cycles", "thread 2 ended while it was counted");
    assert_reason(c, "uncore:::READS", "");
    assert_false(counter_active(c, v, find(c, "cycles")));
    free(v);
    close_whole(c);
}

static void test_absent(void **state)
{
    (void)state;
    const char *const names[] = {"cycles", "task_clock", NULL};
    snprintf(fake.components[CORE].disabled_reason, sizeof fake.components[CORE].disabled_reason,
             "perf_event support disabled by Linux with paranoid=3\n");
    fake.components[CORE].disabled = PAPI_ECMP;
    struct counters *c = open_with(names);
    assert_reason(c, "cycles", "perf_event_paranoid");
    assert_non_null(strstr(counters_why_no_hardware(c), "paranoid=3): sysctl kernel.perf_event_paranoid=2"));
    assert_int_equal(counters_groups(c), 0);
    assert_reason(c, "task_clock", "");
    counters_rotate(c); /* nothing to turn */
    close_whole(c);

    snprintf(fake.components[CORE].disabled_reason, sizeof fake.components[CORE].disabled_reason,
             "Error libpfm4 no default PMU found");
    c = open_with(names);
    assert_non_null(strstr(counters_why_no_hardware(c), "libpfm4 no default PMU found"));
    assert_reason(c, "cycles", "counters");
    close_whole(c);

    fake.components[CORE].disabled = 0;
    fake.attach = PAPI_EPERM;
    c = open_with(names);
    assert_reason(c, "cycles", "Linux refused it: root, CAP_PERFMON or kernel.perf_event_paranoid=2");
    assert_int_equal(counters_groups(c), 0);
    close_whole(c);

    fake.initialised = false;
    fake.init = PAPI_ESYS;
    c = open_with(names);
    assert_reason(c, "cycles", "PAPI does not start: other");
    close_whole(c);
}

/* Two at a time: the second is told why it cannot count. */
static void test_twice(void **state)
{
    (void)state;
    const char *const names[] = {"cycles", NULL};
    struct counters *first = open_with(names), *second = open_with(names);
    assert_reason(first, "cycles", "");
    assert_reason(second, "cycles", "counting for something else");
    counters_close(second);
    struct counter_values *before = read_all(first);
    work(3);
    struct counter_values *after = read_all(first);
    assert_since(first, before, after, "cycles", 0, 3);
    free(before);
    free(after);
    close_whole(first);
}

static void test_names(void **state)
{
    (void)state;
    struct error e;
    struct counters *c = (struct counters *)&e;
    int status = counters_open(
        &c, &(struct counters_options){.names = (const char *const[]){"l3_mises", NULL}, .threads = THREADS}, &e);
    assert_error(status, &e, ERROR_USAGE, "l3_mises: no counter of this name, did you mean \"l3_misses\"?");
    assert_null(c);
    status = counters_open(
        &c, &(struct counters_options){.names = (const char *const[]){"PAPI_NONE", NULL}, .threads = THREADS}, &e);
    assert_error(status, &e, ERROR_USAGE, "PAPI_NONE");
    c = open_with((const char *const[]){"PAPI_TOT_CYC", "cycles", "cycles", "PAPI_BR_INS + 2 PAPI_BR_MSP", NULL});
    assert_int_equal(counters_count(c), 3);
    assert_int_equal(counters_groups(c), 1); /* the one event serves both names */
    struct counter_values *before = read_all(c);
    work(7);
    struct counter_values *after = read_all(c);
    assert_since(c, before, after, "PAPI_TOT_CYC", 1, 14);
    assert_since(c, before, after, "cycles", 1, 14);
    assert_since(c, before, after, "PAPI_BR_INS + 2 PAPI_BR_MSP", 0, 7 * 3 + 2 * 7 * 4);
    free(before);
    free(after);
    close_whole(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_groups, reset),      cmocka_unit_test_setup(test_rotation, reset),
        cmocka_unit_test_setup(test_wrap, reset),        cmocka_unit_test_setup(test_scopes, reset),
        cmocka_unit_test_setup(test_components, reset),  cmocka_unit_test_setup(test_refused, reset),
        cmocka_unit_test_setup(test_vanished, reset),    cmocka_unit_test_setup(test_absent, reset),
        cmocka_unit_test_setup(test_twice, reset),       cmocka_unit_test_setup(test_names, reset),
        cmocka_unit_test_setup(test_thread_ended, reset)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
