/* Standard errors, intervals and p-values against what theory and exact counting say. */
#include "tests/metrics/close.h"

#include "engine/base/random.h"
#include "metrics/resampling.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

static const struct measure *measure(struct measure *room, const char *name, enum outcome_kind kind)
{
    *room = measure_of(metric_find(name, kind));
    return room;
}

static const struct measure *acc(void)
{
    static struct measure room;
    return measure(&room, "acc", OUTCOME_CHOICE);
}

static const struct measure *perplexity(void)
{
    static struct measure room;
    return measure(&room, "perplexity", OUTCOME_ROLLING);
}

static struct estimate estimate(const struct measure *m, const double *stats, size_t n, struct resampling how)
{
    struct estimate out;
    struct error e;
    assert_ok(measure_estimate(m, stats, n, &how, &out, &e), &e);
    return out;
}

static struct difference compare(const struct measure *m, const double *a, const double *b, size_t n,
                                 struct resampling how)
{
    struct difference out;
    struct error e;
    assert_ok(measure_compare(m, a, b, n, &how, &out, &e), &e);
    return out;
}

static void test_mcnemar(void **state)
{
    (void)state;
    static const struct {
        int64_t gained, lost;
        double p;
    } cases[] = {
        {0, 0, 1},
        {0, 1, 1},
        {1, 0, 1},
        {5, 5, 1},
        {0, 6, 2.0 / 64},
        {1, 5, 14.0 / 64},
        {10, 2, 158.0 / 4096},
        {2, 10, 158.0 / 4096},
        {3, 17, 2 * 1351.0 / 1048576},
        {0, 60, 0x1p-59},
        {0, 5000, 0},
        {0, 2000000000, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_close(mcnemar_exact(cases[i].gained, cases[i].lost), cases[i].p, 1e-14 * cases[i].p);
    assert_true(isnan(mcnemar_exact(-1, 3)));
    /* n = 4,000,000, two standard deviations (of 1000) below the middle: the normal law with continuity correction. */
    assert_close(mcnemar_exact(1998000, 2002000), erfc((2000 - 0.5) / 1000 / sqrt(2)), 1e-7);
    assert_close(mcnemar_exact(2000000000, 2000000002), 1, 1e-4);
}

/* 4 zeros and 6 ones: variance 0.24 n / (n - 1), standard error sqrt(0.24 / 9). */
static void test_standard_error_of_a_mean(void **state)
{
    (void)state;
    double stats[20];
    for (size_t i = 0; i < 10; i++) stats[2 * i] = i >= 4, stats[2 * i + 1] = 1;
    const struct estimate est = estimate(acc(), stats, 10, (struct resampling){.seed = 1});
    assert_close(est.value, 0.6, 1e-15);
    assert_close(est.standard_error, sqrt(0.24 / 9), 1e-15);
    /* Binomial(10, 0.6): P(X <= 2) = 0.0123, P(X <= 3) = 0.0548, P(X <= 8) = 0.9536, P(X <= 9) = 0.9940. */
    assert_close(est.low, 0.3, 1e-15);
    assert_close(est.high, 0.9, 1e-15);
    assert_int_equal(est.n, 10);
}

/* A ratio of sums: the delta method's standard error is exp(v) sd(nll) / sqrt(n) for documents of one length. */
static void test_standard_error_by_resampling(void **state)
{
    (void)state;
    enum { N = 400 };
    double stats[2 * N], sum = 0, squares = 0;
    struct random g = {7};
    for (size_t i = 0; i < N; i++) {
        stats[2 * i] = 100 + 20 * random_unit(&g);
        stats[2 * i + 1] = 100;
        sum += stats[2 * i];
    }
    for (size_t i = 0; i < N; i++) squares += pow(stats[2 * i] / 100 - sum / N / 100, 2);
    const struct estimate est = estimate(perplexity(), stats, N, (struct resampling){.seed = 2});
    const double theory = exp(sum / N / 100) * sqrt(squares) / N;
    assert_close(est.standard_error, theory, 0.03 * theory);
    assert_close(est.low, est.value - 1.96 * theory, 0.15 * theory);
    assert_close(est.high, est.value + 1.96 * theory, 0.15 * theory);
}

/* Share of intervals that hold the true mean of an exponential law (skewed: less kind than the normal). */
static void test_coverage(void **state)
{
    (void)state;
    enum { N = 300, TRIALS = 500 };
    const struct measure *m = perplexity();
    double stats[2 * N];
    struct random g = {2024};
    int held = 0, significant = 0;
    for (int t = 0; t < TRIALS; t++) {
        double other[2 * N];
        for (size_t i = 0; i < N; i++) {
            stats[2 * i] = -log1p(-random_unit(&g));
            other[2 * i] = -log1p(-random_unit(&g));
            stats[2 * i + 1] = other[2 * i + 1] = 1;
        }
        const struct resampling how = {.resamples = 400, .seed = (uint64_t)t};
        const struct estimate est = estimate(m, stats, N, how);
        held += est.low <= exp(1) && exp(1) <= est.high;
        significant += compare(m, stats, other, N, how).p < 0.05;
    }
    print_message("coverage %.3f, false alarms %.3f\n", held / (double)TRIALS, significant / (double)TRIALS);
    assert_in_range(held, TRIALS * 93 / 100, TRIALS * 97 / 100);
    assert_in_range(significant, TRIALS * 3 / 100, TRIALS * 7 / 100);
}

static void test_threads_and_seeds(void **state)
{
    (void)state;
    enum { N = 2500, WIDTH = 10 };
    const struct measure x = measure_of(metric_find("bleu", OUTCOME_GENERATION)), *m = &x;
    double *stats = test_malloc(2 * N * WIDTH * sizeof *stats), *other = stats + N * WIDTH;
    struct random g = {3};
    for (size_t i = 0; i < 2 * N * WIDTH; i++) stats[i] = 10 + random_unit(&g) + (i % WIDTH > 5 ? 5 : 0);
    const struct resampling how = {.resamples = 501, .seed = 9};
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const struct estimate one = estimate(m, stats, N, how);
    const struct difference d1 = compare(m, stats, other, N, how);
    omp_set_num_threads(2);
    const struct estimate two = estimate(m, stats, N, how);
    const struct difference d2 = compare(m, stats, other, N, how);
    omp_set_num_threads(threads);
    assert_memory_equal(&one, &two, sizeof one);
    assert_true(d1.value == d2.value && d1.standard_error == d2.standard_error && d1.low == d2.low &&
                d1.high == d2.high && d1.p == d2.p);
    const struct estimate reseeded = estimate(m, stats, N, (struct resampling){.resamples = 501, .seed = 10});
    assert_true(reseeded.value == one.value && reseeded.low != one.low && reseeded.high != one.high);
    test_free(stats);
}

/* Against a baseline that is always wrong the difference is the candidate's value in every resample, so the interval is
 * the candidate's own: the draws are the same. */
static void test_draws_are_shared(void **state)
{
    (void)state;
    enum { N = 200 };
    double wrong[2 * N], right[2 * N];
    for (size_t i = 0; i < N; i++) {
        wrong[2 * i] = 0, right[2 * i] = i % 3 == 0;
        wrong[2 * i + 1] = right[2 * i + 1] = 1;
    }
    const struct resampling how = {.resamples = 1000, .seed = 5};
    const struct estimate est = estimate(acc(), right, N, how);
    const struct difference d = compare(acc(), wrong, right, N, how);
    assert_true(d.low == est.low && d.high == est.high && d.value == est.value);
    assert_close(d.standard_error, est.standard_error, 1e-15);
    assert_true(d.mcnemar);
    assert_int_equal(d.gained, 67);
    assert_int_equal(d.lost, 0);
    assert_true(d.p == mcnemar_exact(67, 0));
}

static void test_identical(void **state)
{
    (void)state;
    enum { N = 50 };
    double stats[2 * N];
    for (size_t i = 0; i < N; i++) stats[2 * i] = 0.1 * (double)i, stats[2 * i + 1] = 1 + (double)(i % 7);
    const struct difference d = compare(perplexity(), stats, stats, N, (struct resampling){.resamples = 200});
    assert_true(d.value == 0 && d.standard_error == 0 && d.low == 0 && d.high == 0 && d.p == 1);
    assert_false(d.mcnemar);
    assert_true(d.gained == -1 && d.lost == -1);
    for (size_t i = 0; i < N; i++) stats[2 * i] = (double)(i % 2), stats[2 * i + 1] = 1;
    const struct difference f = compare(acc(), stats, stats, N, (struct resampling){.resamples = 200});
    assert_true(f.value == 0 && f.low == 0 && f.high == 0 && f.p == 1 && f.mcnemar && f.gained == 0 && f.lost == 0);
}

/* Every pair differs by the same amount: the paired standard error is 0, and no resample contradicts the sign. */
static void test_pairs_count(void **state)
{
    (void)state;
    enum { N = 100 };
    double a[2 * N], b[2 * N];
    struct random g = {11};
    for (size_t i = 0; i < N; i++) {
        a[2 * i] = (double)random_below(&g, 1024) / 1024;
        b[2 * i] = a[2 * i] + 0.125;
        a[2 * i + 1] = b[2 * i + 1] = 1;
    }
    const struct measure x = measure_of(metric_find("f1", OUTCOME_GENERATION)), *m = &x;
    const struct difference d = compare(m, a, b, N, (struct resampling){.resamples = 999, .seed = 4});
    assert_close(d.value, 0.125, 1e-12);
    assert_close(d.low, 0.125, 1e-12);
    assert_close(d.high, 0.125, 1e-12);
    assert_close(d.standard_error, 0, 1e-12);
    assert_close(d.p, 0.002, 1e-15);
    assert_false(d.mcnemar);
}

/* One document of five has tokens: where it is not drawn there is no perplexity, where it is, always the same. */
static void test_undefined_resamples(void **state)
{
    (void)state;
    double stats[10] = {2, 2};
    const struct resampling how = {.resamples = 500, .seed = 6};
    const struct estimate est = estimate(perplexity(), stats, 5, how);
    assert_close(est.value, exp(1), 1e-12);
    assert_close(est.low, exp(1), 1e-12);
    assert_close(est.high, exp(1), 1e-12);
    assert_close(est.standard_error, 0, 1e-12);
    stats[1] = 0;
    const struct estimate none = estimate(perplexity(), stats, 5, how);
    assert_true(isnan(none.value) && isnan(none.low) && isnan(none.high) && isnan(none.standard_error));
}

static void test_too_few_items(void **state)
{
    (void)state;
    const double one[] = {1, 1}, zero[] = {0, 1};
    const struct resampling how = {.resamples = 100};
    const struct estimate est = estimate(acc(), one, 1, how);
    assert_true(est.value == 1 && est.n == 1 && isnan(est.standard_error) && isnan(est.low) && isnan(est.high));
    const struct difference d = compare(acc(), zero, one, 1, how);
    assert_true(d.value == 1 && isnan(d.standard_error) && d.p == 1 && d.mcnemar && d.gained == 1);
    const struct difference p = compare(perplexity(), zero, one, 1, how);
    assert_true(isnan(p.p) && isnan(p.low));
    const struct estimate none = estimate(acc(), one, 0, how);
    assert_true(isnan(none.value) && isnan(none.standard_error) && none.n == 0);
    struct error e;
    struct estimate out;
    const size_t many = (size_t)UINT32_MAX + 1;
    assert_error(measure_estimate(acc(), one, many, &how, &out, &e), &e, ERROR_INPUT, "4294967296 items");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mcnemar),
        cmocka_unit_test(test_standard_error_of_a_mean),
        cmocka_unit_test(test_standard_error_by_resampling),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_threads_and_seeds),
        cmocka_unit_test(test_draws_are_shared),
        cmocka_unit_test(test_identical),
        cmocka_unit_test(test_pairs_count),
        cmocka_unit_test(test_undefined_resamples),
        cmocka_unit_test(test_too_few_items),
    };
    return cmocka_run_group_tests_name("metrics/resampling", tests, NULL, NULL);
}
