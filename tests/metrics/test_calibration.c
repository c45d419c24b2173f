/* Brier scores worked by hand, and the calibration error against a count of its bins. */
#include "tests/metrics/close.h"

#include "engine/base/random.h"
#include "metrics/metric.h"

#include <math.h>

static double value_of(const char *name, const char *bins, const struct outcome *o, size_t n)
{
    struct measure m;
    struct error e;
    assert_ok(measure_open(&m, name, OUTCOME_CHOICE, &e), &e);
    if (bins) assert_ok(measure_set(&m, "bins", bins, &e), &e);
    double *stats = test_malloc(n * m.metric->width * sizeof *stats);
    for (size_t i = 0; i < n; i++) assert_ok(measure_accumulate(&m, &o[i], stats + i * m.metric->width, &e), &e);
    const double value = measure_value(&m, stats, n);
    measure_close(&m);
    test_free(stats);
    return value;
}

static void test_brier(void **state)
{
    (void)state;
    /* Probabilities 0.7, 0.2, 0.1: only differences of log-likelihoods count. */
    const struct choice choices[] = {
        {.loglikelihood = log(0.7) - 1000}, {.loglikelihood = log(0.2) - 1000}, {.loglikelihood = log(0.1) - 1000}};
    const struct choice sure[] = {{.loglikelihood = -2000}, {.loglikelihood = 0}, {.loglikelihood = -1500}};
    const struct outcome o[] = {
        {.choices = choices, .n_choices = 3, .gold = 0}, /* 0.09 + 0.04 + 0.01 */
        {.choices = choices, .n_choices = 3, .gold = 1}, /* 0.49 + 0.64 + 0.01 */
        {.choices = sure, .n_choices = 3, .gold = 1},    /* 0 */
        {.choices = sure, .n_choices = 3, .gold = 2},    /* 2 */
    };
    static const double wanted[] = {0.14, 1.14, 0, 2};
    for (size_t i = 0; i < 4; i++) assert_close(value_of("brier_score", NULL, &o[i], 1), wanted[i], 1e-12);
    assert_close(value_of("brier_score", NULL, o, 4), 0.82, 1e-12);
}

static void test_bins(void **state)
{
    (void)state;
    /* Confidences of the first choice, right or wrong. */
    static const struct {
        double confidence;
        size_t gold;
    } items[] = {{0.95, 0}, {0.92, 1}, {0.75, 0}, {0.71, 0}, {0.79, 1}, {0.55, 1}};
    struct choice choices[6][2];
    struct outcome o[6];
    for (size_t i = 0; i < 6; i++) {
        choices[i][0] = (struct choice){.loglikelihood = log(items[i].confidence)};
        choices[i][1] = (struct choice){.loglikelihood = log(1 - items[i].confidence)};
        o[i] = (struct outcome){.choices = choices[i], .n_choices = 2, .gold = items[i].gold};
    }
    /* 10 bins: (0.9, 1] |1 - 1.87| = 0.87, (0.7, 0.8] |2 - 2.25| = 0.25, (0.5, 0.6] |0 - 0.55| */
    assert_close(value_of("ece", NULL, o, 6), (0.87 + 0.25 + 0.55) / 6, 1e-12);
    assert_close(value_of("ece", "10", o, 6), (0.87 + 0.25 + 0.55) / 6, 1e-12);
    /* One bin: |3 - 4.67|; two: all are above 1/2; four: (0.75, 1] |1 - 2.66|, (0.5, 0.75] |2 - 2.01| */
    assert_close(value_of("ece", "1", o, 6), 1.67 / 6, 1e-12);
    assert_close(value_of("ece", "2", o, 6), 1.67 / 6, 1e-12);
    /* 0.75 from logarithms is at the edge of two bins: left out */
    o[2] = o[5];
    assert_close(value_of("ece", "4", o, 5), (1.66 + 0.26) / 5, 1e-12);
}

/* An edge belongs to the bin below it (0.5 and 1 are exact), and the lowest confidence there can be has a bin too. */
static void test_edges(void **state)
{
    (void)state;
    const struct choice even[] = {{.loglikelihood = -3}, {.loglikelihood = -3}};
    const struct choice sure[] = {{.loglikelihood = 0}, {.loglikelihood = -2000}};
    const struct choice over[] = {{.loglikelihood = 0}, {.loglikelihood = -1e-9}};
    const struct outcome o[] = {
        {.choices = even, .n_choices = 2, .gold = 0},
        {.choices = over, .n_choices = 2, .gold = 1},
        {.choices = sure, .n_choices = 2, .gold = 0},
    };
    assert_close(value_of("ece", "2", o, 3), (0.5 + 0.5) / 3, 1e-9);
    assert_close(value_of("ece", "1", o, 3), 0, 1e-9);
    struct choice many[100] = {0};
    const struct outcome m = {.choices = many, .n_choices = 100, .gold = 0};
    assert_close(value_of("ece", "100", &m, 1), 0.99, 1e-12);
    assert_close(value_of("ece", "1", &m, 1), 0.99, 1e-12);
}

/* Random items against a count of the bins as the definition has it. */
static void test_oracle(void **state)
{
    (void)state;
    enum { N = 300, BINS = 15 };
    static struct choice choices[N][4];
    static struct outcome o[N];
    struct random g = {99};
    double count[BINS] = {0}, confidence[BINS] = {0}, right[BINS] = {0}, wanted = 0;
    for (size_t i = 0; i < N; i++) {
        double sum = 0, most = 0;
        size_t best = 0;
        for (size_t k = 0; k < 4; k++) {
            const double p = exp(3 * random_unit(&g));
            choices[i][k].loglikelihood = log(p) - 50;
            sum += p;
            if (p > most) most = p, best = k;
        }
        o[i] = (struct outcome){.choices = choices[i], .n_choices = 4, .gold = random_below(&g, 4)};
        int bin = 0;
        while (most / sum > (bin + 1.0) / BINS) bin++;
        count[bin]++;
        confidence[bin] += most / sum;
        right[bin] += best == o[i].gold;
    }
    for (size_t b = 0; b < BINS; b++)
        if (count[b] > 0) wanted += count[b] / N * fabs(right[b] / count[b] - confidence[b] / count[b]);
    assert_close(value_of("ece", "15", o, N), wanted, 1e-12);
}

static void test_refused(void **state)
{
    (void)state;
    struct measure m = measure_of(metric_find("ece", OUTCOME_CHOICE));
    struct error e;
    assert_error(measure_set(&m, "bins", "0", &e), &e, ERROR_INPUT, "bins: \"0\" is not a number from 1 to 100");
    assert_error(measure_set(&m, "bins", "2.5", &e), &e, ERROR_INPUT, "whole");
    const struct choice bad[] = {{.loglikelihood = NAN}};
    const struct outcome o = {.choices = bad, .n_choices = 1};
    double stats[METRIC_WIDTH];
    assert_error(measure_accumulate(&m, &o, stats, &e), &e, ERROR_NUMBER, "choice 0");
    struct text t = {0};
    measure_signature(&m, 0, &t);
    assert_string_equal(text_c(&t), "bins:10");
    text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brier),  cmocka_unit_test(test_bins),    cmocka_unit_test(test_edges),
        cmocka_unit_test(test_oracle), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("metrics/calibration", tests, NULL, NULL);
}
