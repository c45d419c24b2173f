/* Divergence of two rows of logits against sums in long double, against closed forms, and at the extremes. */
#include "tests/metrics/close.h"

#include "engine/base/random.h"
#include "metrics/divergence.h"
#include "metrics/resampling.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

/* KL, and the log-probability of one token, by the definition. */
static long double log_sum(const float *x, int64_t n)
{
    long double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = fmaxl(most, (long double)x[i]);
    for (int64_t i = 0; i < n; i++) sum += expl((long double)x[i] - most);
    return most + logl(sum);
}

static double brute_kl(const float *p, const float *q, int64_t n)
{
    const long double lp = log_sum(p, n), lq = log_sum(q, n);
    long double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const long double a = (long double)p[i] - lp;
        if (expl(a) > 0) sum += expl(a) * (a - ((long double)q[i] - lq));
    }
    return (double)sum;
}

static double kl(const float *p, const float *q, int64_t n)
{
    const struct prediction a = prediction_of(p, n), b = prediction_of(q, n);
    return kl_divergence(&a, &b);
}

static float *row(size_t n, float scale, uint64_t seed)
{
    float *x = calloc(n, sizeof *x);
    assert_non_null(x);
    fill_random(x, n, scale, seed);
    return x;
}

/* Two tokens with chances p and 1 - p against q and 1 - q. */
static void test_closed_form(void **state)
{
    (void)state;
    static const double chances[][2] = {{0.5, 0.5}, {0.9, 0.1}, {0.25, 0.75}, {0.999, 0.5}, {1e-6, 0.3}};
    for (size_t i = 0; i < sizeof chances / sizeof *chances; i++) {
        const double p = chances[i][0], q = chances[i][1];
        const float a[] = {(float)log(p / (1 - p)), 0}, b[] = {(float)log(q / (1 - q)), 0};
        const double wanted = p * log(p / q) + (1 - p) * log((1 - p) / (1 - q));
        assert_close(kl(a, b, 2), wanted, 1e-6); /* the logits are float32 */
    }
    /* a fair coin, told from one that never fails: ln 2 */
    const float certain[] = {0, -INFINITY}, fair[] = {3, 3};
    assert_close(kl(certain, fair, 2), log(2), 1e-15);
}

static void test_against_definition(void **state)
{
    (void)state;
    static const struct {
        int64_t n;
        float scale, apart;
    } cases[] = {{1, 1, 1},      {2, 5, 1},         {17, 30, 5},        {1280, 8, 0.01f}, {1280, 20, 1e-4f},
                 {50257, 10, 3}, {151936, 5, 0.1f}, {151936, 80, 40.f}, {1000, 500, 500}, {4096, 1e-3f, 1e-3f},
                 {333, 3, 1e-6f}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t n = (size_t)cases[i].n;
        float *p = row(n, cases[i].scale, 7 + i), *q = row(n, cases[i].apart, 70 + i);
        for (size_t k = 0; k < n; k++) q[k] += p[k];
        const double wanted = brute_kl(p, q, cases[i].n), got = kl(p, q, cases[i].n);
        assert_true(got >= 0);
        assert_close(got, wanted, 1e-12 * wanted + 4e-15 * fmax(1, (double)cases[i].scale));
        const struct prediction a = prediction_of(p, cases[i].n);
        for (int64_t k = 0; k < cases[i].n; k += 1 + cases[i].n / 5)
            assert_close(prediction_log(&a, k), (double)((long double)p[k] - log_sum(p, cases[i].n)),
                         1e-14 * fmax(1, (double)cases[i].scale));
        free(p);
        free(q);
    }
}

/* Equal rows are exactly 0; a constant added to every logit changes no prediction. */
static void test_equal(void **state)
{
    (void)state;
    enum { N = 5000 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        float *p = row(N, (float)(1 + seed * seed), seed), *q = row(N, 1, seed);
        memcpy(q, p, N * sizeof *q);
        assert_true(kl(p, q, N) == 0);
        for (size_t i = 0; i < N; i++) p[i] = q[i] = roundf(p[i] * 64) / 64; /* so that adding 8 is exact */
        for (size_t i = 0; i < N; i++) q[i] += 8;
        assert_true(kl(p, q, N) < 1e-14);
        free(p);
        free(q);
    }
}

/* Never below 0, also where nearly nothing is left of the sum. */
static void test_not_negative(void **state)
{
    (void)state;
    enum { N = 64, TRIES = 2000 };
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        float *p = row(N, 4, seed), *q = row(N, 1, seed + TRIES);
        for (size_t i = 0; i < N; i++) q[i] = p[i] + q[i] * (seed % 2 ? 1e-7f : 1e-5f);
        assert_true(kl(p, q, N) >= 0);
        free(p);
        free(q);
    }
}

static void test_extremes(void **state)
{
    (void)state;
    /* excluded by both; by the baseline alone; by the candidate alone */
    const float base[] = {1, -INFINITY, 0, -INFINITY}, same[] = {1, -INFINITY, 0, 2}, not [] = {-INFINITY, 1, 0, 2};
    assert_true(kl(base, base, 4) == 0);
    assert_close(kl(base, same, 4), brute_kl(base, same, 4), 1e-15);
    assert_true(isinf(kl(base, not, 4)) && kl(base, not, 4) > 0);
    /* finite logits that are as good as excluded stay finite */
    const float low[] = {1, -1e30f, 0, -1e30f}, far[] = {FLT_MAX, -FLT_MAX, 0, 1};
    assert_true(kl(low, low, 4) == 0);
    assert_true(isfinite(kl(low, base, 4)) && kl(low, base, 4) == 0);
    assert_true(kl(far, far, 4) == 0);
    assert_close(kl(low, far, 4) / (double)FLT_MAX, 1 / (1 + exp(1)), 1e-6); /* the second of two likely tokens */
    assert_true(isfinite(kl(far, low, 4)));
    /* what is no prediction says so */
    const float nan[] = {1, NAN, 0, 0}, infinite[] = {INFINITY, 0, 0, 0},
                none[] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    const float *const broken[] = {nan, infinite, none};
    for (size_t i = 0; i < 3; i++) {
        assert_true(isnan(prediction_of(broken[i], 4).log_sum));
        assert_true(isnan(kl(broken[i], same, 4)));
        assert_true(isnan(kl(same, broken[i], 4)));
    }
}

static double chance(const struct prediction *p, int64_t i) { return exp(prediction_log(p, i)); }

static void test_position(void **state)
{
    (void)state;
    const float a[] = {0, 2, 2, 1}, b[] = {0, 1, 2, 1}, c[] = {0, 3, 3, 1};
    const struct prediction p = prediction_of(a, 4), q = prediction_of(b, 4), r = prediction_of(c, 4);
    assert_int_equal(p.top, 1); /* the first of equals */
    assert_int_equal(q.top, 2);
    const struct divergence d = divergence_of(&p, &q, chance(&p, 3), chance(&q, 3));
    assert_false(d.same_top);
    assert_true(divergence_of(&p, &r, 0, 0).same_top);
    assert_close(d.change, exp(1) / (1 + 2 * exp(1) + exp(2)) - exp(1) / (1 + 2 * exp(2) + exp(1)), 1e-15);
    assert_true(d.kl == kl_divergence(&p, &q));
    assert_true(d.reverse == kl_divergence(&q, &p));
    assert_true(divergence_of(&p, &p, chance(&p, 0), chance(&p, 0)).change == 0);
}

/* --- summaries --- */

static struct summary summary_of(const struct prediction *p, int64_t k)
{
    struct summary s = {.k = k, .ids = calloc((size_t)k, sizeof *s.ids), .logs = calloc((size_t)k, sizeof *s.logs)};
    assert_true(s.ids && s.logs);
    summary_fill(&s, p);
    return s;
}

static void summary_release(struct summary *s)
{
    free(s->ids);
    free(s->logs);
}

/* The k most likely, of equals the first, in the order of the vocabulary. */
static void test_summary(void **state)
{
    (void)state;
    const float x[] = {1, 3, 2, 3, -INFINITY, 2, 2};
    const struct prediction p = prediction_of(x, 7);
    static const int32_t wanted[] = {1, 2, 3};
    struct summary s = summary_of(&p, 3);
    double rest = 0;
    for (int64_t i = 0; i < 3; i++) {
        assert_int_equal(s.ids[i], wanted[i]);
        assert_close((double)s.logs[i], prediction_log(&p, wanted[i]), 1e-6);
    }
    for (int64_t i = 0; i < 7; i++) rest += i >= 1 && i <= 3 ? 0 : chance(&p, i);
    assert_close((double)s.rest, log(rest), 1e-6);
    assert_int_equal(s.top, 1);
    summary_release(&s);
    s = summary_of(&p, 7);
    assert_true(isinf(s.rest) && s.rest < 0);
    for (int32_t i = 0; i < 7; i++) assert_int_equal(s.ids[i], i);
    summary_release(&s);
}

/* Never more than the whole divergence, the more tokens the closer, and the whole of it where all are kept. */
static void test_bound(void **state)
{
    (void)state;
    enum { N = 300 };
    for (uint64_t seed = 0; seed < 50; seed++) {
        float *a = row(N, 6, seed), *b = row(N, 1, seed + 1000);
        for (size_t i = 0; i < N; i++) b[i] += a[i];
        const struct prediction p = prediction_of(a, N), q = prediction_of(b, N);
        const struct divergence whole = divergence_of(&p, &q, 0.5, 0.25);
        static const int64_t kept[] = {1, 4, 16, 64, N};
        for (size_t i = 0; i < 5; i++) {
            struct summary s = summary_of(&p, kept[i]);
            const struct divergence d = divergence_from_summary(&s, &q, 0.5, 0.25);
            assert_true(d.kl <= whole.kl + 1e-6 && d.reverse <= whole.reverse + 1e-6 && d.kl >= 0 && d.reverse >= 0);
            assert_true(d.same_top == whole.same_top && d.change == -0.25);
            if (kept[i] == N) {
                assert_close(d.kl, whole.kl, 1e-6);
                assert_close(d.reverse, whole.reverse, 1e-6);
            }
            summary_release(&s);
        }
        free(a);
        free(b);
    }
}

/* Chances of all others that are too small for a double are no reason for an infinite divergence. */
static void test_far(void **state)
{
    (void)state;
    const float sure[] = {0, -2000, -2000}, even[] = {0, 0, 0}, alone[] = {0, -INFINITY, -INFINITY};
    const struct prediction p = prediction_of(sure, 3), q = prediction_of(even, 3), r = prediction_of(alone, 3);
    const struct divergence whole = divergence_of(&p, &q, 1, 1);
    struct summary s = summary_of(&p, 1);
    struct divergence d = divergence_from_summary(&s, &q, 1, 1);
    assert_close(d.kl, whole.kl, 1e-6);
    assert_close(d.reverse, whole.reverse, 1e-3); /* what is merged is equal; -2000 in float32 */
    d = divergence_from_summary(&s, &r, 1, 1);
    assert_true(d.kl == 0 && d.reverse == 0);
    summary_release(&s);
    s = summary_of(&q, 1);
    assert_close(divergence_from_summary(&s, &p, 1, 1).kl, whole.reverse, 1e-3);
    assert_true(isinf(divergence_from_summary(&s, &r, 1, 1).kl)); /* the candidate excludes what may come */
    summary_release(&s);
}

static double value_of(const char *name, const double *stats, size_t n)
{
    size_t i = 0;
    while (divergence_metric(i) && strcmp(divergence_metric(i)->name, name)) i++;
    if (!divergence_metric(i)) fail_msg("no metric %s", name);
    return measure_value(&(struct measure){.metric = divergence_metric(i)}, stats, n);
}

/* Two documents of 3 and 1 positions: every position weighs the same. */
static void test_metrics(void **state)
{
    (void)state;
    static const struct divergence positions[] = {
        {0.5, 1, 0.1, true}, {0, 0, 0, true}, {0.1, 0.2, -0.4, false}, {2, 4, 0.2, true}};
    double stats[2 * DIVERGENCE_WIDTH] = {0};
    for (size_t i = 0; i < 4; i++) divergence_add(&positions[i], stats + (i == 3) * DIVERGENCE_WIDTH);
    assert_close(value_of("kl_divergence", stats, 2), 0.65, 1e-15);
    assert_close(value_of("kl_reverse", stats, 2), 1.3, 1e-15);
    assert_close(value_of("same_top", stats, 2), 0.75, 0);
    assert_close(value_of("probability_change", stats, 2), -0.025, 1e-16);
    assert_close(value_of("probability_change_rms", stats, 2), sqrt(0.21 / 4), 1e-15);
    const double none[DIVERGENCE_WIDTH] = {0};
    for (size_t i = 0; divergence_metric(i); i++) {
        assert_int_equal(divergence_metric(i)->width, DIVERGENCE_WIDTH);
        assert_true(isnan(measure_value(&(struct measure){.metric = divergence_metric(i)}, none, 1)));
    }
    const double nll[] = {3, 2, 5, 6};
    assert_close(measure_value(&(struct measure){.metric = &metric_log_perplexity}, nll, 2), 1, 0);
}

static void test_quantiles(void **state)
{
    (void)state;
    const double values[] = {1, 2, 4, 8, 16};
    assert_close(quantile_of(values, 5, 0), 1, 0);
    assert_close(quantile_of(values, 5, 0.5), 4, 0);
    assert_close(quantile_of(values, 5, 0.9), 8 + 0.6 * 8, 1e-14);
    assert_close(quantile_of(values, 5, 1), 16, 0);
    assert_close(quantile_of(values, 1, 0.3), 1, 0);
    assert_true(isnan(quantile_of(values, 0, 0.5)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_closed_form), cmocka_unit_test(test_against_definition),
                                       cmocka_unit_test(test_equal),       cmocka_unit_test(test_not_negative),
                                       cmocka_unit_test(test_extremes),    cmocka_unit_test(test_position),
                                       cmocka_unit_test(test_metrics),     cmocka_unit_test(test_summary),
                                       cmocka_unit_test(test_bound),       cmocka_unit_test(test_far),
                                       cmocka_unit_test(test_quantiles)};
    return cmocka_run_group_tests_name("metrics/divergence", tests, NULL, NULL);
}
