/* Exact tests and intervals against counting, and Holm's correction. */
#include "tests/metrics/close.h"

#include "metrics/significance.h"

#include <math.h>

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

/* P(X >= k) of X ~ B(n, p), term by term. */
static double at_least(int64_t k, int64_t n, double p)
{
    double sum = 0;
    for (int64_t i = k; i <= n; i++) {
        const double a = (double)i, b = (double)(n - i);
        sum += exp(lgamma(a + b + 1) - lgamma(a + 1) - lgamma(b + 1) + a * log(p) + b * log1p(-p));
    }
    return sum;
}

static void test_clopper_pearson(void **state)
{
    (void)state;
    double low, high;
    /* both limits have closed forms where all agree */
    clopper_pearson(0, 500, 0.95, &low, &high);
    assert_true(low == 0);
    assert_close(high, 1 - pow(0.025, 1.0 / 500), 1e-15);
    clopper_pearson(500, 500, 0.95, &low, &high);
    assert_true(high == 1);
    assert_close(low, pow(0.025, 1.0 / 500), 1e-15);
    clopper_pearson(1, 1, 0.9, &low, &high);
    assert_close(low, 0.05, 1e-15);
    /* R's binom.test(682, 925): 0.7076683 0.7654066 */
    clopper_pearson(682, 925, 0.95, &low, &high);
    assert_close(low, 0.7076683, 1e-7);
    assert_close(high, 0.7654066, 1e-7);
    static const int64_t cases[][2] = {{1, 2},   {1, 10},    {6, 10},    {9, 10},
                                       {3, 200}, {100, 200}, {199, 200}, {730, 1000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t k = cases[i][0], n = cases[i][1];
        clopper_pearson(k, n, 0.95, &low, &high);
        assert_close(at_least(k, n, low), 0.025, 1e-11);
        assert_close(1 - at_least(k + 1, n, high), 0.025, 1e-11);
    }
    /* many items: the normal law */
    clopper_pearson(400000, 1000000, 0.95, &low, &high);
    assert_close(low, 0.4 - 1.959964 * sqrt(0.24e-6), 2e-6);
    assert_close(high, 0.4 + 1.959964 * sqrt(0.24e-6), 2e-6);
    clopper_pearson(4000000000, 4294967295, 0.95, &low, &high);
    assert_true(low < 4000000000.0 / 4294967295.0 && 4000000000.0 / 4294967295.0 < high && high - low < 1e-4);
}

static void test_holm(void **state)
{
    (void)state;
    /* Sorted: 0.005 * 4, 0.01 * 3, then 0.03 * 2 = 0.06, then 0.04, which may not be less than 0.06. */
    double p[] = {0.01, 0.04, 0.03, 0.005};
    holm(p, 4);
    static const double wanted[] = {0.03, 0.06, 0.06, 0.02};
    for (size_t i = 0; i < 4; i++) assert_close(p[i], wanted[i], 1e-15);
    double odd[] = {NAN, 0.5, 0, 0.02, NAN, 0.02, 0.9};
    holm(odd, 7);
    assert_true(isnan(odd[0]) && isnan(odd[4]) && odd[2] == 0 && !signbit(odd[2]));
    assert_close(odd[3], 0.08, 1e-15);
    assert_close(odd[5], 0.08, 1e-15);
    assert_true(odd[1] == 1 && odd[6] == 1);
    double one = 0.04;
    holm(&one, 1);
    assert_close(one, 0.04, 1e-15);
    holm(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mcnemar),
        cmocka_unit_test(test_clopper_pearson),
        cmocka_unit_test(test_holm),
    };
    return cmocka_run_group_tests_name("metrics/significance", tests, NULL, NULL);
}
