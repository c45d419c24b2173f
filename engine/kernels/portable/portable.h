/* The kernels in portable C. Every file of this folder is compiled once for each instruction set, with KERNELS_ISA
 * naming it: KERNEL(decode_q8_0) is decode_q8_0_avx2 in one of the objects. No sum is reordered and nothing contracted,
 * so that all give the same bits (see kernels.h).
 *
 * To add a type of block: its functions, and its row in DECODED and ENCODED. */
#ifndef KERF_ENGINE_KERNELS_PORTABLE_PORTABLE_H
#define KERF_ENGINE_KERNELS_PORTABLE_PORTABLE_H

#include "engine/kernels/half.h"
#include "engine/kernels/kernels.h"

#include <math.h>

#define KERNEL_NAME_(name, isa) name##_##isa
#define KERNEL_NAME(name, isa) KERNEL_NAME_(name, isa)
#define KERNEL(name) KERNEL_NAME(name, KERNELS_ISA)

/* the type's name, and that in the functions' names */
#define DECODED(X)                                                                                                     \
    X(F32, f32)                                                                                                        \
    X(F16, f16)                                                                                                        \
    X(BF16, bf16)                                                                                                      \
    X(Q8_0, q8_0)                                                                                                      \
    X(Q4_0, q4_0)                                                                                                      \
    X(Q4_1, q4_1)                                                                                                      \
    X(Q5_0, q5_0)                                                                                                      \
    X(Q5_1, q5_1)                                                                                                      \
    X(Q2_K, q2_k)                                                                                                      \
    X(Q3_K, q3_k)                                                                                                      \
    X(Q4_K, q4_k)                                                                                                      \
    X(Q5_K, q5_k)                                                                                                      \
    X(Q6_K, q6_k)                                                                                                      \
    X(IQ4_NL, iq4_nl)                                                                                                  \
    X(IQ4_XS, iq4_xs)                                                                                                  \
    X(TQ1_0, tq1_0)                                                                                                    \
    X(TQ2_0, tq2_0)
#define ENCODED(X) DECODED(X)

#define X(name, lower) void KERNEL(decode_##lower)(const void *blocks, float *restrict out, int64_t n);
DECODED(X)
#undef X
#define X(name, lower) void KERNEL(encode_##lower)(const float *x, const float *importance, uint8_t *out, int64_t n);
ENCODED(X)
#undef X

/* Types of tiles: the number, and the name in the functions' names. */
#define TILED(X)                                                                                                       \
    X(DTYPE_Q8_0, q8_0)                                                                                                \
    X(DTYPE_Q4_0, q4_0)                                                                                                \
    X(DTYPE_Q4_1, q4_1)                                                                                                \
    X(DTYPE_Q5_0, q5_0)                                                                                                \
    X(DTYPE_Q5_1, q5_1)                                                                                                \
    X(DTYPE_Q2_K, q2_k)                                                                                                \
    X(DTYPE_Q3_K, q3_k)                                                                                                \
    X(DTYPE_Q4_K, q4_k)                                                                                                \
    X(DTYPE_Q5_K, q5_k)                                                                                                \
    X(DTYPE_Q6_K, q6_k)                                                                                                \
    X(DTYPE_IQ4_NL, iq4_nl)                                                                                            \
    X(DTYPE_IQ4_XS, iq4_xs)                                                                                            \
    X(DTYPE_TQ1_0, tq1_0)                                                                                              \
    X(DTYPE_TQ2_0, tq2_0)                                                                                              \
    X(TILE_I8, i8)                                                                                                     \
    X(TILE_U8, u8)                                                                                                     \
    X(TILE_U4, u4)                                                                                                     \
    X(TILE_U3, u3)                                                                                                     \
    X(TILE_U2, u2)
#define X(id, lower) extern const struct tile_kernels KERNEL(tile_##lower);
TILED(X)
#undef X
#define FLOAT_TILED(X) X(DTYPE_F32, f32) X(DTYPE_F16, f16) X(DTYPE_BF16, bf16)
#define X(id, lower) extern const struct float_tile_kernels KERNEL(tile_##lower);
FLOAT_TILED(X)
#undef X
void KERNEL(products)(const struct tile_format *f, const struct panel *w, int tiles, const struct quantized *x,
                      int64_t n, int64_t cols, float *y, int64_t stride);
void KERNEL(quantize_inputs)(const struct tile_format *f, const float *x, int64_t cols, const struct quantized *row);
void KERNEL(round_inputs)(enum input_kind kind, const float *x, int64_t n, float *y);
void KERNEL(gemm)(const float *a, int64_t lda, int64_t m, const float *b, int64_t b_row, int64_t b_tile, int tiles,
                  int64_t k, float *c, int64_t ldc, enum gemm_mode mode);
void KERNEL(transpose)(const float *rows, int64_t stride, int64_t cols, float *out);

/* A float16 that lies at any address. */
static inline float f16_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return f32_from_f16(h);
}

static inline void f16_put(uint8_t *p, float x)
{
    uint16_t h = f16_from_f32(x);
    memcpy(p, &h, sizeof h);
}

static inline float f16_rounded(float x) { return f32_from_f16(f16_from_f32(x)); }

/* 1 / d, and 0 for a d so small that it has none: the codes are those of zeros then. */
static inline float inverse_of(float d)
{
    float inverse = d != 0.f ? 1.f / d : 0.f;
    return inverse < INFINITY && inverse > -INFINITY ? inverse : 0.f;
}

/* x held between low and high; NaN becomes low, so that the result can be made an integer. */
static inline float held(float x, float low, float high)
{
    x = x > low ? x : low;
    return x < high ? x : high;
}

/* What the codes of IQ4_NL and IQ4_XS stand for, before the scale (ggml-common.h, kvalues_iq4nl): close together about
 * zero, where most weights are. */
static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const uint8_t iq4_codes[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                      129, 141, 153, 166, 181, 197, 217, 241}; /* + 128 */

#endif
