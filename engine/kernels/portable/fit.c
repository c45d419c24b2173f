#include "engine/kernels/portable/fit.h"

#include <math.h>
#include <string.h>

enum { L = KERNEL_LANES, MOST = 256 };

/* Values and weights, each divided by its largest so that no sum leaves float32. */
struct problem {
    int n;
    float low, high;   /* codes */
    float unit;        /* what the values were divided by */
    float total, mean; /* sum of weights; of fit_line: the weighted mean, which was taken off the values */
    float first, last; /* least and largest of the values that have weight */
    float x[MOST], w[MOST];
};

static float sum_of(const float *s /* [L] */)
{
    float half[L / 2];
    for (int i = 0; i < L / 2; i++) half[i] = s[i] + s[i + L / 2];
    for (int width = L / 4; width; width /= 2)
        for (int i = 0; i < width; i++) half[i] += half[i + width];
    return half[0];
}

/* False where nothing with weight differs from 0, or weights or values are not finite. */
static bool problem_init(struct problem *p, const float *x, const float *importance, int n, int low, int high)
{
    float most = 0, heaviest = 0;
    for (int i = 0; i < n; i++) {
        float size = importance[i] > 0.f ? fabsf(x[i]) : 0.f;
        most = size > most ? size : most;
        heaviest = importance[i] > heaviest ? importance[i] : heaviest;
    }
    if (!(most > 0.f && most < INFINITY && heaviest < INFINITY)) return false;
    float total[L] = {0};
    *p = (struct problem){.n = n, .low = (float)low, .high = (float)high, .unit = most, .first = 1, .last = -1};
    for (int i = 0; i < n; i += L)
        for (int j = 0; j < L; j++) {
            p->x[i + j] = x[i + j] / most;
            p->w[i + j] = importance[i + j] / heaviest;
            total[j] += p->w[i + j];
        }
    p->total = sum_of(total);
    for (int i = 0; i < n; i++) {
        p->first = p->w[i] > 0.f && p->x[i] < p->first ? p->x[i] : p->first;
        p->last = p->w[i] > 0.f && p->x[i] > p->last ? p->x[i] : p->last;
    }
    return true;
}

/* The grid: scales from a ninth above the extreme one down to a quarter of it; lines whose ends lie from 5 % of the
 * range outside of it to a third inside; then a few rounds of scales within 2 % of the best so far. */
enum { SCALES = 8 * L, ROUNDS = 4 };
static const float SCALE_STEP = 1.0125f, CUT_STEP = 0.025f, FINE_STEP = 0.002f;

/* In each lane one line x ~ (q - offset) / inverse, and for the nearest codes q the sums of w x q, w q q and w q. */
struct trials {
    float inverse[L], offset[L], xq[L], qq[L], q[L];
};

static void trials_sum(const struct problem *p, struct trials *t)
{
    const float magic = 12582912.f; /* 1.5 * 2^23: adding it rounds to a whole number */
    float xq[L] = {0}, qq[L] = {0}, one[L] = {0};
    for (int i = 0; i < p->n; i++) {
        float x = p->x[i], w = p->w[i];
        for (int j = 0; j < L; j++) {
            float q = held(x * t->inverse[j] + t->offset[j], p->low, p->high) + magic - magic;
            float wq = w * q;
            xq[j] += x * wq;
            qq[j] += q * wq;
            one[j] += wq;
        }
    }
    memcpy(t->xq, xq, sizeof xq);
    memcpy(t->qq, qq, sizeof qq);
    memcpy(t->q, one, sizeof one);
}

/* The best so far: its least squares take `gain` off the error. */
struct found {
    float gain, scale, minimum;
};

/* Least squares of x ~ scale q: the gain is xq^2 / qq. */
static void take_scale(struct found *best, const struct trials *t)
{
    for (int j = 0; j < L; j++)
        if (t->xq[j] * t->xq[j] > best->gain * t->qq[j]) {
            best->scale = t->xq[j] / t->qq[j];
            best->gain = t->xq[j] * best->scale;
        }
}

float KERNEL(fit_scale)(const float *x, const float *importance, int n, int low, int high)
{
    struct problem p;
    struct trials t = {.offset = {0}};
    struct found best = {0};
    if (!problem_init(&p, x, importance, n, low, high)) return 0;
    float inverse = 0.9f * (float)(-low > high ? -low : high);
    for (int batch = 0; batch < SCALES / L; batch++) {
        for (int j = 0; j < L; j++, inverse *= SCALE_STEP) t.inverse[j] = inverse;
        trials_sum(&p, &t);
        take_scale(&best, &t);
        if (low == -high) continue; /* -d is as good as d */
        for (int j = 0; j < L; j++) t.inverse[j] = -t.inverse[j];
        trials_sum(&p, &t);
        take_scale(&best, &t);
    }
    for (int round = 0; round < ROUNDS && best.gain > 0.f; round++) {
        for (int j = 0; j < L; j++) t.inverse[j] = (1.f + FINE_STEP * (float)(j - L / 2)) / best.scale;
        trials_sum(&p, &t);
        take_scale(&best, &t);
    }
    return best.scale * p.unit;
}

/* Least squares of x ~ scale q + minimum where the weighted mean of x is 0, so that xq is a covariance: the gain is
 * xq^2 / variance. A variance of 0 but for rounding counts as 0. */
static void take_line(struct found *best, const struct trials *t, float total)
{
    for (int j = 0; j < L; j++) {
        float mean = t->q[j] / total, variance = t->qq[j] - t->q[j] * mean;
        if (variance > 1e-5f * t->qq[j] && t->xq[j] * t->xq[j] > best->gain * variance) {
            best->scale = t->xq[j] / variance;
            best->minimum = -best->scale * mean;
            best->gain = t->xq[j] * best->scale;
        }
    }
}

static void problem_center(struct problem *p)
{
    float mean[L] = {0};
    for (int i = 0; i < p->n; i += L)
        for (int j = 0; j < L; j++) mean[j] += p->x[i + j] * p->w[i + j];
    p->mean = sum_of(mean) / p->total;
    for (int i = 0; i < p->n; i++) p->x[i] -= p->mean;
    p->first -= p->mean, p->last -= p->mean;
}

struct line KERNEL(fit_line)(const float *x, const float *importance, int n, int high)
{
    struct problem p;
    struct trials t = {.offset = {0}};
    struct found best = {0};
    if (!problem_init(&p, x, importance, n, 0, high)) return (struct line){0};
    problem_center(&p);
    float range = p.last - p.first;
    for (int cut = 0; cut < L && range > 0.f; cut++) { /* either end, from a little outside of the values */
        float first = p.first + range * (CUT_STEP * (float)(cut - 2));
        for (int j = 0; j < L; j++) {
            float last = p.last - range * (CUT_STEP * (float)(j - 2));
            t.inverse[j] = p.high / (last - first);
            t.offset[j] = -first * t.inverse[j];
        }
        trials_sum(&p, &t);
        take_line(&best, &t, p.total);
    }
    for (int round = 0; round < ROUNDS && best.gain > 0.f; round++) {
        for (int j = 0; j < L; j++) {
            t.inverse[j] = (1.f + FINE_STEP * (float)(j - L / 2)) / best.scale;
            t.offset[j] = -best.minimum * t.inverse[j];
        }
        trials_sum(&p, &t);
        take_line(&best, &t, p.total);
    }
    return (struct line){best.scale * p.unit, (best.minimum + p.mean) * p.unit};
}

static double error_of(const float *decoded, const float *x, const float *importance, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double off = (double)decoded[i] - (double)x[i];
        sum += off * off * (double)importance[i];
    }
    return sum;
}

/* A block whose scale became infinite stays, so that it is seen. */
void KERNEL(keep_better)(enum dtype_id type, void (*decode)(const void *, float *, int64_t), const float *x,
                         const float *importance, const uint8_t *tried, uint8_t *out)
{
    const struct dtype *d = dtype_of((int)type);
    float before[MOST], after[MOST];
    decode(out, before, d->block);
    decode(tried, after, d->block);
    double was = error_of(before, x, importance, d->block), is = error_of(after, x, importance, d->block);
    if (was < INFINITY && is < was) memcpy(out, tried, d->block_bytes);
}
