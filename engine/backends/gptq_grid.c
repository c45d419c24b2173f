#include "engine/backends/gptq_grid.h"
#include "engine/kernels/half.h"

/* The scale is rounded to float16, as it is stored, before zero is chosen. A range too small for float16 gets its
 * smallest positive number. Zero is never 0 (see gptq.h): where nothing is negative the lowest code is given up. */
static struct grid grid_of(const struct grid_rule *rule, float low, float high)
{
    float top = (float)grid_top(rule->bits), zero = ((float)grid_top(rule->bits) + 1) / 2;
    uint16_t half = f16_from_f32((high - low) / top);
    if (isinf(f32_from_f16(half))) return (struct grid){.scale = INFINITY, .half = half, .zero = 1};
    if (!rule->symmetric) {
        zero = nearbyintf(-low / f32_from_f16(half ? half : 1));
        if (zero < 1) {
            half = f16_from_f32(high / (top - 1));
            zero = 1;
        }
        if (zero > top) zero = top;
    }
    if (!half) half = 1;
    return (struct grid){.scale = f32_from_f16(half), .half = half, .zero = (uint8_t)zero};
}

/* (w - the nearest value)^2. Adding and taking away 1.5 * 2^23 rounds to whole numbers, to nearest even, without a
 * call. */
static inline float square_off(const struct grid *g, float inverse, float low, float high, float w)
{
    float q = w * inverse;
    q = q < low ? low : q > high ? high : q;
    float d = w - ((q + 0x1.8p23f) - 0x1.8p23f) * g->scale;
    return d * d;
}

static float squared_error(const struct grid *g, float top, const float *w, const float *weight, int64_t n)
{
    enum { LANES = 8 };
    const float inverse = 1 / g->scale, low = -(float)g->zero, high = top - (float)g->zero;
    float sums[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int64_t k = 0; k < LANES; k++)
            sums[k] += square_off(g, inverse, low, high, w[i + k]) * (weight ? weight[i + k] : 1);
    for (; i < n; i++) sum += square_off(g, inverse, low, high, w[i]) * (weight ? weight[i] : 1);
    for (int64_t k = 0; k < LANES; k++) sum += sums[k];
    return sum;
}

/* How the range shrinks: as in Frantar et al.'s program by hundredths of it. */
enum { SHRINK_STEPS = 80 };

struct grid grid_fit(const struct grid_rule *rule, const float *w, const float *weight, int64_t n)
{
    float low = 0, high = 0;
    for (int64_t i = 0; i < n; i++) {
        low = w[i] < low ? w[i] : low;
        high = w[i] > high ? w[i] : high;
    }
    if (low == high) return (struct grid){.scale = 1, .half = 0x3c00, .zero = (uint8_t)(1 << (rule->bits - 1))};
    if (rule->symmetric) {
        high = high > -low ? high : -low;
        low = -high;
    }
    struct grid best = grid_of(rule, low, high);
    if (!rule->mse || !isfinite(best.scale)) return best;
    float top = (float)grid_top(rule->bits);
    float least = squared_error(&best, top, w, weight, n);
    for (int i = 1; i < SHRINK_STEPS; i++) {
        float share = 1 - (float)i / 100;
        struct grid g = grid_of(rule, share * low, share * high);
        float error = squared_error(&g, top, w, weight, n);
        if (error < least) least = error, best = g;
    }
    return best;
}
