#include "metrics/significance.h"

#include <math.h>

/* P(X <= k) of X ~ B(n, p) with a mean n p of k or more: the terms relative to the one at k, the tail below and the
 * rest above each summed by the ratio of neighbours until nothing changes. No factorials, so nothing is lost for large
 * n; where the rest overflows the result is below 1e-307. */
static double at_most(int64_t k, double n, double p)
{
    const double odds = p / (1 - p);
    double below = 1, above = 0, term = 1;
    for (int64_t i = k; i > 0 && term > below * 0x1p-60; i--) below += term *= (double)i / (n - (double)i + 1) / odds;
    term = 1;
    for (double i = (double)k + 1; i <= n; i++) {
        term *= (n - i + 1) / i * odds;
        above += term;
        if ((i > n * p && term < above * 0x1p-60) || isinf(above)) break;
    }
    return below / (below + above);
}

double mcnemar_exact(int64_t gained, int64_t lost)
{
    if (gained < 0 || lost < 0) return NAN;
    const int64_t k = gained < lost ? gained : lost;
    return fmin(1, 2 * at_most(k, (double)gained + (double)lost, 0.5));
}

/* The share for which `right` or fewer of n have this probability: by bisection, as it falls with the share. */
static double upper_share(int64_t right, int64_t n, double probability)
{
    if (right >= n) return 1;
    double low = (double)right / (double)n, high = 1;
    for (;;) {
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) return low;
        if (at_most(right, (double)n, middle) > probability)
            low = middle;
        else
            high = middle;
    }
}

void clopper_pearson(int64_t right, int64_t n, double confidence, double *low, double *high)
{
    const double tail = (1 - confidence) / 2;
    *high = upper_share(right, n, tail);
    *low = 1 - upper_share(n - right, n, tail);
}

/* From the smallest to the largest: with `left` tests to go p becomes p * left, and never less than the one before. The
 * sign marks what is done: p-values have none of their own. */
void holm(double *p, size_t n)
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(p[i])) left++;
    for (double before = 0; left; left--) {
        size_t smallest = n;
        for (size_t i = 0; i < n; i++)
            if (!isnan(p[i]) && !signbit(p[i]) && (smallest == n || p[i] < p[smallest])) smallest = i;
        if (smallest == n) break;
        before = fmax(before, fmin(1, p[smallest] * (double)left));
        p[smallest] = -before;
    }
    for (size_t i = 0; i < n; i++) p[i] = fabs(p[i]);
}
