/* The kernel table: the inner loops of the engine, filled once for the instruction set at hand.
 *
 *     const struct kernels *k = kernels_get();
 *     k->rms_norm(x, weight, eps, width, y);
 *
 * The same C source (portable/) is compiled for every instruction set, sums run in KERNEL_LANES fixed partial sums and
 * multiply-adds are fused where the source says so and nowhere else: every row of the table gives the same bits.
 * KERF_CPU=c|avx2|avx512|amx|neon masks what the CPU has beyond the named set. All lengths are elements; no pointer
 * needs alignment. */
#ifndef KERF_ENGINE_KERNELS_KERNELS_H
#define KERF_ENGINE_KERNELS_KERNELS_H

#include "engine/base/error.h"
#include "engine/kernels/tiles.h"
#include "engine/tensor.h"

enum { KERNEL_LANES = 16 };

/* Columns whose products are summed by themselves before they join the rest: sums stay short, and a panel's part stays
 * in the nearest cache. */
enum { GEMM_CHUNK = 256 };

/* What gemm() makes of c: a product in its place, added to it, or summed on from it. */
enum gemm_mode { GEMM_SET, GEMM_ADD, GEMM_ON };

struct kernels {
    const char *name; /* "c", "avx2", "avx512", "amx", "neon" */

    /* Exact dequantization of n elements (a multiple of the block) of type DTYPE_x; NULL where the type is only known
     * by name. Scales that are NaN or infinite make all their values NaN or infinite, NaN where a code is 0. */
    void (*decode[DTYPE_LIMIT])(const void *blocks, float *out /* [n] */, int64_t n);
    /* Quantization of n float32 (a multiple of the block) to blocks of type DTYPE_x; NULL where the type cannot be
     * written. Values are finite; where 16 bits cannot hold a block's scale it becomes infinite. importance: weights of
     * the squared errors of the n values, none negative; NULL: all alike. */
    void (*encode[DTYPE_LIMIT])(const float *x /* [n] */, const float *importance /* [n] or NULL */, uint8_t *out,
                                int64_t n);
    /* out[i] = (q[i] - zero) * scale; with a scale that is no number all are NaN */
    void (*affine_i8)(const int8_t *q /* [n] */, int zero, float scale, float *out /* [n] */, int64_t n);

    /* --- products; tiles.h says in which form and order. What is not finite shows in all results that it meets
     * and in no others; of inputs of 8 bits by their block's d, which is NaN then. --- */
    const struct tile_kernels *tiles[TILE_KINDS]; /* by enum tile_kind; NULL: no tiles of this kind */
    const struct float_tile_kernels *float_tiles[FLOAT_TILE_TYPES];
    int wide_zero; /* what products() takes off codes beyond 127 by itself: WIDE_ZERO of lanes.h */
    /* x: n rows of `cols`; y[i * stride + r] for the rows r of `tiles` unpacked tiles. */
    void (*products)(const struct tile_format *f, const struct panel *w /* [tiles] */, int tiles,
                     const struct quantized *x, int64_t n, int64_t cols, float *y, int64_t stride);
    /* One row. Where a block has a value that is not finite its d is NaN, and its codes may be anything. */
    void (*quantize_inputs)(const struct tile_format *f, const float *x /* [cols] */, int64_t cols,
                            const struct quantized *row);
    void (*round_inputs)(enum input_kind kind /* INPUT_F16, INPUT_BF16 */, const float *x /* [n] */, int64_t n,
                         float *y);
    /* c[i * ldc + TILE_ROWS t + r] = sum over k, in order, of a[i * lda + k] b[t * b_tile + k * b_row + r], with a fused
     * multiply-add for each; c and b have TILE_ROWS values for every tile. */
    void (*gemm)(const float *a, int64_t lda, int64_t m, const float *b, int64_t b_row, int64_t b_tile, int tiles,
                 int64_t k, float *c, int64_t ldc, enum gemm_mode mode);
    /* out[c * TILE_ROWS + r] = rows[r * stride + c] */
    void (*transpose)(const float *rows /* TILE_ROWS of them */, int64_t stride, int64_t cols, float *out);

    /* --- vectors; n > 0. None hides a NaN, but for argmax: where one goes in, it comes out, in its own value where
     * values do not meet (add, rope: its pair, silu_multiply, gelu_tanh), in all where they are summed. What is said of
     * infinities is what their formulas make of them in IEEE 754. --- */
    void (*add)(float *x /* [n], += y */, const float *y /* [n] */, int64_t n);
    /* x = exp(scale * x - max) / sum, scale > 0. -infinity becomes 0; all are NaN where one is infinity, or all are
     * -infinity. What is more than 87 below the largest may become 0. */
    void (*softmax)(float *x /* [n] */, float scale, int64_t n);
    /* y = x / sqrt(mean(x^2) + eps) * weight          (Zhang and Sennrich 2019). Infinity gives NaN in its place and 0 in
     * the others; where the mean of squares is beyond float32 all are 0. */
    void (*rms_norm)(const float *x, const float *weight, float eps, int64_t n, float *y);
    /* y = (x - mean) / sqrt(var + eps) * weight + bias (Ba et al. 2016); bias may be NULL. Infinity gives NaN in all. */
    void (*layer_norm)(const float *x, const float *weight, const float *bias, float eps, int64_t n, float *y);
    /* Turns the first `dims` (even, at most 1024) of a head: pairs (i, i + dims / 2), or (2i, 2i + 1) where interleaved,
     * which leave as (i, i + dims / 2) all the same (Su et al. 2021). */
    void (*rope)(float *x, const float *turn /* [2, dims / 2] cosines, sines */, int64_t dims, bool interleaved);
    /* gate = silu(gate) * up, silu(x) = x / (1 + exp(-x)) (Shazeer 2020). Below -88 it may be 0; of -infinity it is NaN,
     * of infinity infinity. */
    void (*silu_multiply)(float *gate /* [n] */, const float *up /* [n] */, int64_t n);
    /* x = 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the tanh form of GELU (Hendrycks and Gimpel 2016). Where
     * the tanh is within 1e-38 of -1 it may be 0; of -infinity it is NaN, of infinity infinity. */
    void (*gelu_tanh)(float *x /* [n] */, int64_t n);
    /* log(sum(exp(x))), summed in double. NaN where one is infinity, or all are -infinity. */
    double (*log_sum_exp)(const float *x /* [n] */, int64_t n);
    /* The first of the largest; a NaN is never it unless first. Where the first is NaN it is 0. */
    int64_t (*argmax)(const float *x /* [n] */, int64_t n);
};

/* The best row that the CPU and KERF_CPU allow; chosen once. An unknown KERF_CPU is ignored here: kernels_check() says
 * so. */
const struct kernels *kernels_get(void);
/* ERROR_USAGE where KERF_CPU names no instruction set, or one that this CPU lacks. */
int kernels_check(struct error *e);
/* Row i of all that were compiled and that this CPU can run, for tests; NULL past the end. */
const struct kernels *kernels_at(size_t i);

#endif
