/* Standard errors, intervals and p-values against what theory and exact counting say. */
#include "tests/metrics/close.h"

#include "engine/base/random.h"
#include "metrics/resampling.h"
#include "metrics/significance.h"

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

static double randomize(const struct measure *m, const double *a, const double *b, size_t n, struct resampling how)
{
    double p;
    struct error e;
    assert_ok(measure_randomize(m, a, b, n, &how, &p, &e), &e);
    return p;
}

/* 4 zeros and 6 ones: variance 0.24 n / (n - 1), standard error sqrt(0.24 / 9); the interval of Clopper and Pearson. */
static void test_shares_are_exact(void **state)
{
    (void)state;
    enum { N = 500 };
    double stats[2 * N];
    for (size_t i = 0; i < 10; i++) stats[2 * i] = i >= 4, stats[2 * i + 1] = 1;
    const struct estimate est = estimate(acc(), stats, 10, (struct resampling){.seed = 1});
    assert_close(est.value, 0.6, 1e-15);
    assert_close(est.standard_error, sqrt(0.24 / 9), 1e-15);
    assert_true(est.exact);
    assert_close(est.low, 0.262378, 1e-6);
    assert_close(est.high, 0.878448, 1e-6);
    assert_int_equal(est.n, 10);
    for (size_t i = 0; i < N; i++) stats[2 * i] = stats[2 * i + 1] = 1;
    const struct estimate all = estimate(acc(), stats, N, (struct resampling){.seed = 1});
    assert_true(all.value == 1 && all.standard_error == 0 && all.high == 1 && all.exact);
    assert_close(all.low, pow(0.025, 1.0 / N), 1e-14);
    /* parts of right are not counted */
    stats[0] = 0.5;
    const struct estimate parts = estimate(acc(), stats, N, (struct resampling){.seed = 1});
    assert_true(!parts.exact && parts.low < 0.999 && parts.high == 1);
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
    const double p1 = randomize(m, stats, other, N, how);
    omp_set_num_threads(2);
    const struct estimate two = estimate(m, stats, N, how);
    const struct difference d2 = compare(m, stats, other, N, how);
    const double p2 = randomize(m, stats, other, N, how);
    omp_set_num_threads(threads);
    assert_true(p1 == p2 && p1 > 0);
    assert_memory_equal(&one, &two, sizeof one);
    assert_true(d1.value == d2.value && d1.standard_error == d2.standard_error && d1.low == d2.low &&
                d1.high == d2.high && d1.p == d2.p);
    const struct estimate reseeded = estimate(m, stats, N, (struct resampling){.resamples = 501, .seed = 10});
    assert_true(reseeded.value == one.value && reseeded.low != one.low && reseeded.high != one.high);
    test_free(stats);
}

/* Against a baseline that is always 0 the difference is the candidate's value in every resample, so the interval is the
 * candidate's own: the draws are the same. */
static void test_draws_are_shared(void **state)
{
    (void)state;
    enum { N = 200 };
    double none[2 * N], some[2 * N];
    struct measure room;
    const struct measure *f1 = measure(&room, "f1", OUTCOME_GENERATION);
    for (size_t i = 0; i < N; i++) {
        none[2 * i] = 0, some[2 * i] = (double)(i % 3) / 4;
        none[2 * i + 1] = some[2 * i + 1] = 1;
    }
    const struct resampling how = {.resamples = 1000, .seed = 5};
    const struct estimate est = estimate(f1, some, N, how);
    const struct difference d = compare(f1, none, some, N, how);
    assert_true(!est.exact && d.low == est.low && d.high == est.high && d.value == est.value);
    assert_close(d.standard_error, est.standard_error, 1e-15);
}

static void test_flips(void **state)
{
    (void)state;
    enum { N = 200 };
    double was[2 * N], is[2 * N];
    for (size_t i = 0; i < N; i++) {
        was[2 * i] = i % 5 == 0, is[2 * i] = i % 3 == 0;
        was[2 * i + 1] = is[2 * i + 1] = 1;
    }
    const struct difference d = compare(acc(), was, is, N, (struct resampling){.resamples = 1000, .seed = 5});
    assert_true(d.mcnemar);
    assert_int_equal(d.gained, 67 - 14);
    assert_int_equal(d.lost, 40 - 14);
    assert_true(d.p == mcnemar_exact(67 - 14, 40 - 14));
    assert_close(d.value, 27.0 / N, 1e-15);
    assert_true(d.low < d.value && d.value < d.high);
}

/* The resampled values in the plainest way: item by item, in the order of the draw. */
static void test_against_plain_sums(void **state)
{
    (void)state;
    enum { N = 1500, B = 300 };
    static double stats[2 * N], values[B];
    struct random g = {17};
    for (size_t i = 0; i < N; i++)
        stats[2 * i] = 3 * random_unit(&g), stats[2 * i + 1] = 1 + (double)random_below(&g, 9);
    for (size_t r = 0; r < B; r++) {
        struct random first = {21};
        struct random second = {random_next(&first) + r * 0xd1b54a32d192ed03u};
        struct random draw = {random_next(&second)};
        double sums[2] = {0};
        for (size_t i = 0; i < N; i++) {
            const double *item = stats + 2 * (size_t)random_below(&draw, N);
            sums[0] += item[0], sums[1] += item[1];
        }
        values[r] = exp(sums[0] / sums[1]);
    }
    double smallest = INFINITY, largest = 0, sum = 0;
    for (size_t r = 0; r < B; r++)
        smallest = fmin(smallest, values[r]), largest = fmax(largest, values[r]), sum += values[r];
    double squares = 0;
    for (size_t r = 0; r < B; r++) squares += pow(values[r] - sum / B, 2);
    const struct estimate est = estimate(perplexity(), stats, N, (struct resampling){.resamples = B, .seed = 21});
    assert_close(est.standard_error, sqrt(squares / (B - 1)), 1e-12);
    assert_true(smallest < est.low && est.low < est.high && est.high < largest);
}

/* Of right and wrong, only the pairs that differ matter, and a swap of one is the toss of a coin: McNemar's exact test. */
static void test_randomization_of_flips(void **state)
{
    (void)state;
    enum { N = 60, TRIALS = 20000 };
    static const struct {
        size_t gained, lost;
    } cases[] = {{0, 0}, {1, 0}, {5, 5}, {6, 0}, {10, 2}, {2, 10}, {17, 3}, {20, 8}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double a[2 * N], b[2 * N];
        for (size_t i = 0; i < N; i++) {
            a[2 * i] = i < cases[c].lost || i % 2;
            b[2 * i] = i < cases[c].lost ? 0 : i < cases[c].lost + cases[c].gained ? 1 : a[2 * i];
            if (i >= cases[c].lost && i < cases[c].lost + cases[c].gained) a[2 * i] = 0;
            a[2 * i + 1] = b[2 * i + 1] = 1;
        }
        const double wanted = mcnemar_exact((int64_t)cases[c].gained, (int64_t)cases[c].lost);
        const double p = randomize(acc(), a, b, N, (struct resampling){.resamples = TRIALS, .seed = c});
        assert_close(p, wanted, 4 * sqrt(wanted * (1 - wanted) / TRIALS) + 1.0 / TRIALS);
        assert_true(p == randomize(acc(), b, a, N, (struct resampling){.resamples = TRIALS, .seed = c}));
    }
}

/* Few enough items that all swaps can be tried: of a ratio, whose sides both change. */
static void test_randomization_of_a_ratio(void **state)
{
    (void)state;
    enum { N = 10, TRIALS = 50000 };
    double a[2 * N], b[2 * N];
    struct random g = {8};
    for (size_t i = 0; i < N; i++) {
        a[2 * i] = 10 * random_unit(&g), b[2 * i] = 10 * random_unit(&g) + 2;
        a[2 * i + 1] = 5 + (double)i, b[2 * i + 1] = 4 + (double)i;
    }
    double found = 0;
    int larger = 0;
    for (int swaps = 0; swaps < 1 << N; swaps++) {
        double x[2] = {0}, y[2] = {0};
        for (size_t i = 0; i < N; i++)
            for (size_t k = 0; k < 2; k++) {
                const bool swapped = swaps >> i & 1;
                x[k] += swapped ? b[2 * i + k] : a[2 * i + k];
                y[k] += swapped ? a[2 * i + k] : b[2 * i + k];
            }
        const double d = fabs(exp(y[0] / y[1]) - exp(x[0] / x[1]));
        if (swaps == 0) found = d;
        larger += d >= found - 1e-12;
    }
    const double p = randomize(perplexity(), a, b, N, (struct resampling){.resamples = TRIALS, .seed = 3});
    assert_close(p, larger / (double)(1 << N), 0.01);
    assert_true(larger > 20 && larger < 1000);
    assert_true(randomize(perplexity(), a, a, N, (struct resampling){.resamples = 100}) == 1);
    assert_true(isnan(randomize(perplexity(), a, b, 0, (struct resampling){.resamples = 100})));
    double none[2 * N] = {0};
    assert_true(isnan(randomize(perplexity(), none, b, N, (struct resampling){.resamples = 100})));
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

/* All pairs on one side say the less the fewer they are: by chance that is so once in 2^(n-1) times. */
static void test_few_pairs(void **state)
{
    (void)state;
    enum { MOST = 30 };
    double a[2 * MOST], b[2 * MOST];
    for (size_t i = 0; i < MOST; i++) {
        a[2 * i] = (double)i / 64;
        b[2 * i] = a[2 * i] + 0.25 + (double)i / 128;
        a[2 * i + 1] = b[2 * i + 1] = 1;
    }
    const struct measure x = measure_of(metric_find("f1", OUTCOME_GENERATION)), *m = &x;
    for (size_t n = 2; n <= MOST; n++) {
        const double p = compare(m, a, b, n, (struct resampling){.resamples = 999, .seed = 4}).p;
        assert_close(p, fmax(ldexp(1, 1 - (int)n), 0.002), 1e-15);
        assert_true((p < 0.05) == (n >= 6));
    }
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
        cmocka_unit_test(test_shares_are_exact),
        cmocka_unit_test(test_standard_error_by_resampling),
        cmocka_unit_test(test_threads_and_seeds),
        cmocka_unit_test(test_draws_are_shared),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_against_plain_sums),
        cmocka_unit_test(test_randomization_of_flips),
        cmocka_unit_test(test_randomization_of_a_ratio),
        cmocka_unit_test(test_identical),
        cmocka_unit_test(test_pairs_count),
        cmocka_unit_test(test_few_pairs),
        cmocka_unit_test(test_undefined_resamples),
        cmocka_unit_test(test_too_few_items),
    };
    return cmocka_run_group_tests_name("metrics/resampling", tests, NULL, NULL);
}
