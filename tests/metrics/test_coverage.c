/* What intervals and tests promise, on many samples of known laws: of the 95 % intervals 93 to 97 % hold the truth, and of
 * the tests at 5 % about 5 % reject where nothing differs. The seeds are fixed, so the counts are too. */
#include "tests/metrics/close.h"

#include "engine/base/random.h"
#include "metrics/resampling.h"

#include <math.h>

enum { N = 200, RESAMPLES = 1000 };

/* The standard normal law (Box and Muller 1958). */
static double normal(struct random *g)
{
    const double radius = sqrt(-2 * log1p(-random_unit(g)));
    return radius * cos(2 * acos(-1) * random_unit(g));
}

static void draw_normal(struct random *g, double *item /* [2] */) { item[0] = 3 + normal(g), item[1] = 1; }
static void draw_half(struct random *g, double *item) { item[0] = random_unit(g) < 0.5, item[1] = 1; }
static void draw_most(struct random *g, double *item) { item[0] = random_unit(g) < 0.9, item[1] = 1; }
static void draw_nearly_all(struct random *g, double *item) { item[0] = random_unit(g) < 0.995, item[1] = 1; }

/* A document: 20 to 99 tokens, whose mean negative log-likelihood is log-normal with a mean of exp(0.125). */
static void draw_document(struct random *g, double *item)
{
    item[1] = 20 + (double)random_below(g, 80);
    item[0] = item[1] * exp(0.5 * normal(g));
}

static const struct law {
    const char *words, *metric;
    enum outcome_kind kind;
    void (*draw)(struct random *, double *item /* [2] */);
    double truth, most; /* the largest share that may hold it */
} laws[] = {
    {"a mean, normal", "f1", OUTCOME_GENERATION, draw_normal, 3, 0.97},
    {"a share of 0.5", "acc", OUTCOME_CHOICE, draw_half, 0.5, 0.97},
    {"a share of 0.9", "acc", OUTCOME_CHOICE, draw_most, 0.9, 0.97},
    /* one item of 200: the exact interval holds too often, never too seldom */
    {"a share of 0.995", "acc", OUTCOME_CHOICE, draw_nearly_all, 0.995, 1},
    {"a ratio, log-normal", "perplexity", OUTCOME_ROLLING, draw_document, 0, 0.97},
};

static double truth_of(const struct law *l) { return l->truth > 0 ? l->truth : exp(exp(0.125)); }

static void draw_sample(const struct law *l, struct random *g, double *stats /* [N, 2] */)
{
    for (size_t i = 0; i < N; i++) l->draw(g, stats + 2 * i);
}

static void test_intervals(void **state)
{
    (void)state;
    const size_t trials = test_items(1000);
    for (size_t k = 0; k < sizeof laws / sizeof *laws; k++) {
        const struct measure m = measure_of(metric_find(laws[k].metric, laws[k].kind));
        struct random g = {k};
        size_t held = 0;
        for (size_t t = 0; t < trials; t++) {
            double stats[2 * N];
            draw_sample(&laws[k], &g, stats);
            struct estimate est;
            struct error e;
            assert_ok(measure_estimate(&m, stats, N, &(struct resampling){RESAMPLES, t}, &est, &e), &e);
            held += est.low <= truth_of(&laws[k]) && truth_of(&laws[k]) <= est.high;
        }
        const double share = (double)held / (double)trials;
        print_message("%s: %.3f of the intervals hold the truth\n", laws[k].words, share);
        if (trials == 1000 && !(share >= 0.93 && share <= laws[k].most)) fail_msg("%s: %.3f", laws[k].words, share);
    }
}

/* Pairs that have something in common and differ by 0.1 in the mean; then by nothing, where tests should not reject. */
static void test_differences(void **state)
{
    (void)state;
    const size_t trials = test_items(1000);
    const struct measure m = measure_of(metric_find("f1", OUTCOME_GENERATION));
    struct random g = {77};
    size_t held = 0, by_bootstrap = 0, by_randomization = 0;
    for (size_t t = 0; t < trials; t++) {
        double a[2 * N], b[2 * N], p;
        for (size_t i = 0; i < N; i++) {
            const double common = normal(&g);
            a[2 * i] = common + 0.5 * normal(&g);
            b[2 * i] = common + 0.5 * normal(&g) + 0.1;
            a[2 * i + 1] = b[2 * i + 1] = 1;
        }
        const struct resampling how = {RESAMPLES, t};
        struct difference d;
        struct error e;
        assert_ok(measure_compare(&m, a, b, N, &how, &d, &e), &e);
        held += d.low <= 0.1 && 0.1 <= d.high;
        for (size_t i = 0; i < N; i++) b[2 * i] -= 0.1;
        assert_ok(measure_compare(&m, a, b, N, &how, &d, &e), &e);
        by_bootstrap += d.p < 0.05;
        assert_ok(measure_randomize(&m, a, b, N, &how, &p, &e), &e);
        by_randomization += p < 0.05;
    }
    print_message("of %zu: %zu intervals hold, %zu and %zu false alarms\n", trials, held, by_bootstrap,
                  by_randomization);
    if (trials < 1000) return;
    assert_in_range(held, 930, 970);
    assert_in_range(by_bootstrap, 30, 70);
    assert_in_range(by_randomization, 30, 70);
}

/* Perplexities of two subjects with documents of the same law: as tests of ratios should be. */
static void test_false_alarms_of_ratios(void **state)
{
    (void)state;
    const size_t trials = test_items(1000);
    const struct measure m = measure_of(metric_find("perplexity", OUTCOME_ROLLING));
    struct random g = {78};
    size_t by_bootstrap = 0, by_randomization = 0;
    for (size_t t = 0; t < trials; t++) {
        double a[2 * N], b[2 * N], p;
        for (size_t i = 0; i < N; i++) {
            draw_document(&g, a + 2 * i);
            b[2 * i] = a[2 * i] * exp(0.1 * normal(&g)) / exp(0.005);
            b[2 * i + 1] = a[2 * i + 1];
        }
        const struct resampling how = {RESAMPLES, t};
        struct difference d;
        struct error e;
        assert_ok(measure_compare(&m, a, b, N, &how, &d, &e), &e);
        by_bootstrap += d.p < 0.05;
        assert_ok(measure_randomize(&m, a, b, N, &how, &p, &e), &e);
        by_randomization += p < 0.05;
    }
    print_message("of %zu: %zu and %zu false alarms\n", trials, by_bootstrap, by_randomization);
    if (trials < 1000) return;
    assert_in_range(by_bootstrap, 30, 70);
    assert_in_range(by_randomization, 30, 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_false_alarms_of_ratios),
    };
    return cmocka_run_group_tests_name("metrics/coverage", tests, NULL, NULL);
}
