#include "cli/kernels/judge_inputs.h"
#include "cli/kernels/family.h"

#include <float.h>

/* x to the nearest number of `bits` significant bits, halves to even, no finer than 2^least; `limit` and above become
 * infinite. */
static double nearest(double x, int bits, int least, double limit)
{
    int exponent;
    if (!isfinite(x)) return x;
    frexp(x, &exponent);
    double unit = ldexp(1, exponent - bits > least ? exponent - bits : least), y = rint(x / unit) * unit;
    return fabs(y) >= limit ? copysign((double)INFINITY, x) : y;
}

double nearest_half(double x) { return nearest(x, 11, -24, 0x1p16); }
double nearest_bf16(double x) { return nearest(x, 8, -133, 0x1p128); }

/* The first value furthest from zero; 1 / its 127th part must be finite for codes to mean anything. A code is x times a
 * rounded reciprocal: off by half a step, and by few roundings of 127 steps. */
static void judge_block(const struct tile_format *f, const float *x, const int8_t *q, float d, int64_t b,
                        struct kernel_verdict *v)
{
    float first = 0;
    bool finite = true;
    for (int i = 0; i < f->block; i++) {
        finite &= isfinite(x[i]) != 0;
        if (fabsf(x[i]) > fabsf(first)) first = x[i];
    }
    if (!finite) {
        if (!isnan(d)) verdict_wrong(v, "d of block %lld is %g instead of nan", (long long)b, (double)d);
        return;
    }
    double step = f->input == INPUT_Q8_K ? -(double)first / 127 : fabs((double)first) / 127;
    bool means = fabs(step) > 0 && 1 / fabs(step) < (double)FLT_MAX;
    bool right = !means                   ? d == 0
                 : f->input == INPUT_Q8_0 ? (double)d == nearest_half((double)(float)step)
                                          : fabs((double)d - step) <= 0x1p-22 * fabs(step);
    if (!right) verdict_wrong(v, "d of block %lld is %a instead of %a", (long long)b, (double)d, step);
    for (int i = 0; means && i < f->block; i++)
        verdict_value(v, b * f->block + i, (b + 1) * f->block, q[i], (double)x[i] / step, 0.5 + 127 * 0x1p-21);
}

void judge_quantized(const struct tile_format *f, const float *x, int64_t cols, const struct quantized *row,
                     int wide_zero, struct kernel_verdict *v)
{
    int zero = f->zero - (f->wide ? wide_zero : 0);
    for (int64_t b = 0; b < cols / f->block; b++)
        judge_block(f, x + b * f->block, row->q + b * f->block, row->d[b], b, v);
    for (int64_t g = 0; g < cols / f->group; g++) {
        int sum = 0;
        if (!(fabsf(row->d[g * f->group / f->block]) > 0)) continue; /* lost, or of no weight */
        for (int64_t c = g * f->group; c < (g + 1) * f->group; c++) {
            if (row->q[c] < -127) verdict_wrong(v, "code %lld is -128", (long long)c);
            sum += row->q[c];
        }
        if (row->fix[g] != -zero * sum)
            verdict_wrong(v, "fix of group %lld is %d instead of %d", (long long)g, row->fix[g], -zero * sum);
        if (f->offset && row->sum[g] != (float)sum)
            verdict_wrong(v, "sum of group %lld is %g instead of %d", (long long)g, (double)row->sum[g], sum);
    }
}
