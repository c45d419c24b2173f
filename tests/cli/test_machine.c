#include "cli/machine.h"
#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Limits as if these meters had been measured, in GOP/s, and no others. */
static struct machine_limits with(const enum machine_meter *meters, const double *values, size_t n)
{
    struct machine_limits m = {.threads = 2};
    for (int i = 0; i < MACHINE_METERS; i++) {
        m.all[i].one = m.all[i].all = NAN;
        snprintf(m.all[i].reason, sizeof m.all[i].reason, "meter %d is not there", i);
    }
    for (size_t i = 0; i < n; i++) {
        m.all[meters[i]].one = values[i] / 2;
        m.all[meters[i]].all = values[i];
        m.all[meters[i]].reason[0] = 0;
    }
    return m;
}

static void assert_peak(const struct machine_limits *m, enum machine_kind kind, const char *isa, double value)
{
    const struct machine_limit *peak = machine_peak(m, kind, isa);
    assert_non_null(peak);
    if (isnan(value) ? !isnan(peak->all) : !(peak->all >= value && peak->all <= value))
        fail_msg("the peak of kind %d for %s is %g instead of %g", (int)kind, isa, peak->all, value);
    assert_int_equal(isnan(value), peak->reason[0] != 0);
}

/* Each set of kernels is held against what it may use, and not against what the machine has besides. */
static void test_peaks(void **state)
{
    (void)state;
    static const enum machine_meter all[] = {MACHINE_SGEMM,    MACHINE_FMA_256,  MACHINE_FMA_512,  MACHINE_MADDUBS_256,
                                             MACHINE_AVX_VNNI, MACHINE_VNNI_256, MACHINE_VNNI_512, MACHINE_BF16_512,
                                             MACHINE_AMX_INT8, MACHINE_AMX_BF16, MACHINE_READ};
    static const double values[] = {1e6, 100, 200, 50, 300, 310, 600, 400, 7000, 3500, 40};
    const struct machine_limits m = with(all, values, MACHINE_METERS);
    assert_peak(&m, MACHINE_F32, "avx2", 100);
    assert_peak(&m, MACHINE_F32, "avx512", 200);
    assert_peak(&m, MACHINE_F32, "amx", 200);
    assert_peak(&m, MACHINE_INT8, "avx2", 300);
    assert_peak(&m, MACHINE_INT8, "avx512", 600);
    assert_peak(&m, MACHINE_INT8, "amx", 7000);
    assert_peak(&m, MACHINE_BF16, "avx2", NAN);
    assert_peak(&m, MACHINE_BF16, "avx512", 400);
    assert_peak(&m, MACHINE_BF16, "amx", 3500);
    for (int kind = MACHINE_F32; kind < MACHINE_MEMORY; kind++) assert_peak(&m, (enum machine_kind)kind, "c", NAN);
    assert_peak(&m, MACHINE_MEMORY, "c", 40);
    assert_peak(&m, MACHINE_MEMORY, "amx", 40);
}

/* Of a plain machine: the next best is taken, and where there is none a reason is left. */
static void test_absent(void **state)
{
    (void)state;
    static const enum machine_meter some[] = {MACHINE_FMA_256, MACHINE_MADDUBS_256};
    static const double values[] = {100, 50};
    const struct machine_limits m = with(some, values, 2);
    assert_peak(&m, MACHINE_F32, "avx512", 100);
    assert_peak(&m, MACHINE_INT8, "amx", 50);
    assert_peak(&m, MACHINE_BF16, "amx", NAN);
    assert_string_equal(machine_peak(&m, MACHINE_BF16, "avx512")->reason, "meter 7 is not there");
    assert_peak(&m, MACHINE_MEMORY, "avx2", NAN);
}

static void assert_limit(const struct machine_limit *l)
{
    assert_true(l->name[0] && l->what[0] && l->unit[0]);
    if (l->reason[0]) {
        assert_true(isnan(l->one) && isnan(l->all) && isnan(l->on_one.mean) && isnan(l->on_all.best));
        return;
    }
    const struct machine_reading *const readings[] = {&l->on_one, &l->on_all};
    for (int k = 0; k < 2; k++) {
        assert_true(readings[k]->mean > 0 && readings[k]->best >= readings[k]->mean * (1 - 1e-12));
        assert_true(readings[k]->sd >= 0);
    }
    assert_true(l->one <= l->on_one.best && l->one >= l->on_one.best);
    assert_true(l->all <= l->on_all.best && l->all >= l->on_all.best);
}

struct watched {
    size_t calls, stop_at;
};

static bool watch(void *user, size_t done, size_t total)
{
    struct watched *w = user;
    assert_true(done < total);
    return ++w->calls != w->stop_at;
}

static void test_measure(void **state)
{
    (void)state;
    struct machine_limits m;
    struct error e;
    struct watched w = {0};
    omp_set_num_threads(2);
    assert_ok(machine_measure(&m, 2, watch, &w, &e), &e);
    assert_true(w.calls >= 2 * MACHINE_METERS);
    assert_int_equal(m.threads, 2);
    assert_int_equal(m.rounds, 2);
    assert_int_equal(omp_get_max_threads(), 2); /* as it was */
    assert_non_null(strstr(m.blas, "OpenBLAS"));
    for (int i = 0; i < MACHINE_METERS; i++) assert_limit(&m.all[i]);
    const struct machine_limit *const named[] = {&m.sgemm, &m.fma, &m.int8, &m.bf16, &m.amx_int8, &m.amx_bf16, &m.read};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) assert_limit(named[i]);
    assert_false(m.sgemm.reason[0] || m.read.reason[0]); /* these are everywhere */
    assert_true(isnan(m.fma.all) || m.fma.all >= m.all[MACHINE_FMA_256].all);
}

static void test_interrupted(void **state)
{
    (void)state;
    struct machine_limits m;
    struct error e;
    assert_error(machine_measure(&m, 2, watch, &(struct watched){.stop_at = 3}, &e), &e, ERROR_INTERRUPTED,
                 "interrupted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peaks),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests_name("cli/machine", tests, NULL, NULL);
}
