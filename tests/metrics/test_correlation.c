/* Correlations worked by hand, and against their definitions on random numbers. */
#include "tests/metrics/close.h"

#include "engine/base/random.h"
#include "metrics/resampling.h"

#include <math.h>
#include <stdio.h>

enum { MOST = 200 };

/* Statistics of text[i] against reference[i], prepared. */
static double *stats_of(const struct measure *m, const char *const *texts, const char *const *references, size_t n)
{
    double *stats = test_malloc(n * m->metric->width * sizeof *stats);
    struct error e;
    for (size_t i = 0; i < n; i++) {
        const struct outcome o = {
            .kind = OUTCOME_GENERATION, .text = texts[i], .references = &references[i], .n_references = 1};
        assert_ok(measure_accumulate(m, &o, stats + i * m->metric->width, &e), &e);
    }
    assert_ok(measure_prepare(m, stats, n, &e), &e);
    return stats;
}

static double value_of(const char *name, const char *const *texts, const char *const *references, size_t n)
{
    const struct measure m = measure_of(metric_find(name, OUTCOME_GENERATION));
    double *stats = stats_of(&m, texts, references, n);
    const double value = measure_value(&m, stats, n);
    test_free(stats);
    return value;
}

static void test_values(void **state)
{
    (void)state;
    static const char *const up[] = {"1", "2", "3", "4", "5"}, *const other[] = {"5", "6", "7", "8", "7"};
    static const char *const down[] = {"10", " 8\n", "6", "4", "2"}, *const flat[] = {"0.1", "0.1", "0.1", "0.1",
                                                                                      "0.1"};
    static const char *const large[] = {"1e300", "-1e300", "0", "1", "2"};
    assert_close(value_of("pearson", up, up, 5), 1, 1e-15);
    assert_close(value_of("pearson", up, down, 5), -1, 1e-15);
    /* deviations -2 -1 0 1 2 and -1.6 -0.6 0.4 1.4 0.4: 6 / sqrt(10 * 5.2) */
    assert_close(value_of("pearson", up, other, 5), 6 / sqrt(52), 1e-15);
    /* SciPy's documentation: spearmanr([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) */
    assert_close(value_of("spearman", up, other, 5), 0.8207826816681233, 1e-15);
    /* and pearsonr([1, 2, 3, 4, 5, 6, 7], [10, 9, 2.5, 6, 4, 3, 2]) */
    static const char *const seven[] = {"1", "2", "3", "4", "5", "6", "7"};
    static const char *const falls[] = {"10", "9", "2.5", "6", "4", "3", "2"};
    assert_close(value_of("pearson", seven, falls, 7), -0.828503883588428, 1e-14);
    assert_true(isnan(value_of("pearson", flat, up, 5)) && isnan(value_of("pearson", up, flat, 5)));
    assert_true(isnan(value_of("spearman", flat, up, 5)) && isnan(value_of("spearman", up, flat, 5)));
    assert_true(isnan(value_of("pearson", up, up, 1)));
    assert_close(value_of("pearson", large, large, 5), 1, 1e-15);
    assert_close(value_of("spearman", large, large, 5), 1, 1e-15);
    assert_true(isnan(value_of("pearson", large, up, 5)));
}

/* Random numbers, rounded so that many are equal, far from 0: two passes for Pearson's, and for the ranks a count of
 * those below and of the equals. */
static void test_oracle(void **state)
{
    (void)state;
    static char words[2][MOST][32];
    const char *texts[2][MOST];
    double x[2][MOST], ranks[2][MOST];
    struct random g = {31};
    for (size_t i = 0; i < MOST; i++) {
        const double common = random_unit(&g);
        for (size_t k = 0; k < 2; k++) {
            x[k][i] = 1e6 + round(20 * (common + random_unit(&g)));
            snprintf(words[k][i], sizeof words[k][i], "%.0f", x[k][i]);
            texts[k][i] = words[k][i];
        }
    }
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < MOST; i++) {
            double below = 0, equal = 0;
            for (size_t j = 0; j < MOST; j++) below += x[k][j] < x[k][i], equal += x[k][j] == x[k][i];
            ranks[k][i] = below + (equal + 1) / 2;
        }
    for (size_t of_ranks = 0; of_ranks < 2; of_ranks++) {
        double(*v)[MOST] = of_ranks ? ranks : x;
        double mean[2] = {0}, xx = 0, yy = 0, xy = 0;
        for (size_t i = 0; i < MOST; i++) mean[0] += v[0][i] / MOST, mean[1] += v[1][i] / MOST;
        for (size_t i = 0; i < MOST; i++) {
            const double a = v[0][i] - mean[0], b = v[1][i] - mean[1];
            xx += a * a, yy += b * b, xy += a * b;
        }
        assert_close(value_of(of_ranks ? "spearman" : "pearson", texts[0], texts[1], MOST), xy / sqrt(xx * yy), 1e-12);
    }
}

/* Resamples are correlations too, those of one item alone are left out, and the interval holds the value. */
static void test_resampled(void **state)
{
    (void)state;
    static const char *const x[] = {"1", "2", "3", "4"}, *const y[] = {"2", "1", "4", "3"},
                             *const z[] = {"1", "2", "4", "3"};
    const struct measure m = measure_of(metric_find("pearson", OUTCOME_GENERATION));
    double *base = stats_of(&m, x, y, 4), *candidate = stats_of(&m, z, y, 4);
    struct estimate est;
    struct error e;
    const struct resampling how = {.resamples = 2000, .seed = 1};
    assert_ok(measure_estimate(&m, base, 4, &how, &est, &e), &e);
    assert_close(est.value, 0.6, 1e-12);
    assert_true(est.low >= -1 && est.low < 0.6 && est.high > 0.6 && est.high <= 1);
    double p;
    assert_ok(measure_randomize(&m, base, base, 4, &how, &p, &e), &e);
    assert_true(p == 1);
    assert_ok(measure_randomize(&m, base, candidate, 4, &how, &p, &e), &e);
    assert_true(p > 0 && p <= 1);
    test_free(base);
    test_free(candidate);
}

static void test_no_numbers(void **state)
{
    (void)state;
    static const char *const references[] = {"1", "2", "four"};
    struct measure m = measure_of(metric_find("pearson", OUTCOME_GENERATION));
    double stats[METRIC_WIDTH];
    struct error e;
    static const char *const texts[] = {"", "x", "1 2", "nan", "inf", "1e999", "0x10", "--1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct outcome o = {
            .kind = OUTCOME_GENERATION, .text = texts[i], .references = references, .n_references = 1};
        assert_error(measure_accumulate(&m, &o, stats, &e), &e, ERROR_INPUT, "is not a number; see default");
    }
    assert_ok(measure_set(&m, "default", "2.5", &e), &e);
    const struct outcome o = {.kind = OUTCOME_GENERATION, .text = "x", .references = references, .n_references = 1};
    assert_ok(measure_accumulate(&m, &o, stats, &e), &e);
    const struct outcome bad = {
        .kind = OUTCOME_GENERATION, .text = "1", .references = references + 2, .n_references = 1};
    assert_error(measure_accumulate(&m, &bad, stats, &e), &e, ERROR_INPUT, "references: \"four\" is not a number");
    assert_error(measure_set(&m, "default", "x", &e), &e, ERROR_INPUT, "default: \"x\" is not a number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_oracle),
        cmocka_unit_test(test_resampled),
        cmocka_unit_test(test_no_numbers),
    };
    return cmocka_run_group_tests_name("metrics/correlation", tests, NULL, NULL);
}
