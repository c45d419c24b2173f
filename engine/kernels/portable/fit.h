/* Scales with the least weighted squared error, for encoders that are given the importance of each value.
 *
 *     float d = KERNEL(fit_scale)(x, importance, 32, -8, 7);            x[i] ~ d q[i], q = -8 .. 7
 *     struct line l = KERNEL(fit_line)(x, importance, 32, 15);          x[i] ~ scale q[i] + minimum, q = 0 .. 15
 *     ... encode with it to `tried` ...
 *     KERNEL(keep_better)(DTYPE_Q4_0, KERNEL(decode_q4_0), x, importance, tried, out);
 *
 * A grid of scales below the one that the extreme values ask for; the best is refined as in Lloyd's algorithm (1982):
 * nearest codes, then for these codes the scale of least squares, in closed form. n is a multiple of 16, at most 256.
 * The lanes of a register are as many candidates. */
#ifndef KERF_ENGINE_KERNELS_PORTABLE_FIT_H
#define KERF_ENGINE_KERNELS_PORTABLE_FIT_H

#include "engine/kernels/portable/portable.h"

struct line {
    float scale, minimum;
};

/* 0 where nothing has weight or is not 0. */
float KERNEL(fit_scale)(const float *x /* [n] */, const float *importance /* [n] */, int n, int low, int high);
/* A scale of 0 where what has weight is constant. */
struct line KERNEL(fit_line)(const float *x /* [n] */, const float *importance /* [n] */, int n, int high);

/* Copies the block `tried` over the block `out` where the values of `tried` are nearer to x. */
void KERNEL(keep_better)(enum dtype_id type, void (*decode)(const void *, float *, int64_t), const float *x,
                         const float *importance, const uint8_t *tried, uint8_t *out);

#endif
