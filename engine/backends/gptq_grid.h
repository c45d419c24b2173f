/* The grid of a group of weights, shared by gptq and rtn: w = scale (q - zero), q from 0 to 2^bits - 1.
 *
 *     struct grid g = grid_fit(&rule, w, NULL, n);
 *     if (!isfinite(g.scale)) ...                       the weights are too large for a float16 scale
 *     uint32_t code = grid_code(&g, 15, w[i]);
 *     float value = grid_value(&g, code); */
#ifndef KERF_ENGINE_BACKENDS_GPTQ_GRID_H
#define KERF_ENGINE_BACKENDS_GPTQ_GRID_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct grid_rule {
    int64_t bits;
    bool symmetric; /* zero lies in the middle: 2^(bits - 1) */
    bool mse;       /* the range may shrink where that makes the squared error less */
};

struct grid {
    float scale; /* what `half` stands for; > 0 */
    uint16_t half;
    uint8_t zero; /* >= 1 */
};

/* The grid for w [n]; weight [n]: of the squared errors, or NULL: all alike. */
struct grid grid_fit(const struct grid_rule *rule, const float *w, const float *weight, int64_t n);

static inline uint32_t grid_top(int64_t bits) { return (1u << bits) - 1; }

/* The nearest code from 0 to `top`, 2^bits - 1. */
static inline uint32_t grid_code(const struct grid *g, uint32_t top, double w)
{
    double q = nearbyint(w / (double)g->scale) + g->zero;
    return !(q > 0) ? 0 : q >= top ? top : (uint32_t)q;
}

/* Exact: the product of 8 and 11 bits fits into 24. */
static inline float grid_value(const struct grid *g, uint32_t code) { return g->scale * (float)((int)code - g->zero); }

#endif
