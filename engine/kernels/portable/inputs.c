/* Inputs in 8 bits: see tiles.h for what is computed. Several blocks at a time, so that their scales are found side by
 * side. */
#include "engine/kernels/lanes/lanes.h"
#include "engine/kernels/portable/portable.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { SIDE = 8 }; /* blocks side by side */

/* As bits, numbers without their sign have their own order, and what is not finite comes last. */
ALWAYS_INLINE int32_t largest(const float *x, const int n)
{
    const ints magnitude = ints_all(0x7fffffff);
    ints bits = ints_and(ints_load(x), magnitude);
    for (int i = LANES; i < n; i += LANES) bits = ints_most(bits, ints_and(ints_load(x + i), magnitude));
    return ints_largest(bits);
}

/* Whether the value furthest from zero, the first where two are, is below it. */
static bool furthest_below(const float *x, int n, float size)
{
    int above = 0, below = 0, i = 0;
    for (int j = 0; j < n; j++) above |= x[j] == size;
    for (int j = 0; j < n; j++) below |= x[j] == -size;
    if (above && below)
        while (x[i] != size && x[i] != -size) i++;
    return above && below ? x[i] < 0 : below;
}

/* d and 1 / d of blocks whose largest values have these bits; where those are not finite, d is not a number, so that it
 * shows in the results. */
ALWAYS_INLINE void scales_q8_0(const int32_t *bits, float *d, float *inverse)
{
    for (int i = 0; i < SIDE; i++) {
        float scale = float_of_bits((uint32_t)bits[i]) / 127.f;
        inverse[i] = scale > 0 ? 1.f / scale : 0.f;
        d[i] = bits[i] >= 0x7f800000 ? NAN : f16_rounded(scale);
    }
}

ALWAYS_INLINE void scales_q8_k(const int32_t *bits, const bool *below, float *d, float *inverse)
{
    for (int i = 0; i < SIDE; i++) {
        float size = float_of_bits((uint32_t)bits[i]), one = (below[i] ? 127.f : -127.f) / size;
        inverse[i] = size > 0 ? one : 0.f;
        d[i] = bits[i] >= 0x7f800000 ? NAN : inverse[i] != 0 ? 1.f / inverse[i] : 0.f;
    }
}

/* Codes of `group` values and their sum. */
ALWAYS_INLINE int codes(const float *x, float inverse, const int group, int8_t *q)
{
    ints sum = ints_all(0);
    for (int i = 0; i < group; i += LANES) {
        ints code = ints_of_floats(floats_times(floats_load(x + i), floats_all(inverse)));
        ints_put_bytes(q + i, code);
        sum = ints_add(sum, code);
    }
    return ints_sum(sum);
}

/* `count` blocks, at most SIDE, from block b on. */
ALWAYS_INLINE void some_blocks(const struct tile_format *f, const float *x, int64_t b, int count, const int block,
                               const int group, const struct quantized *row)
{
    int32_t bits[SIDE] = {0};
    bool below[SIDE] = {0};
    float d[SIDE], inverse[SIDE];
    x += b * block;
    for (int i = 0; i < count; i++) bits[i] = largest(x + i * block, block);
    if (f->input == INPUT_Q8_K) {
        for (int i = 0; i < count; i++)
            below[i] = furthest_below(x + i * block, block, float_of_bits((uint32_t)bits[i]));
        scales_q8_k(bits, below, d, inverse);
    } else {
        scales_q8_0(bits, d, inverse);
    }
    int zero = f->zero - (f->wide ? WIDE_ZERO : 0);
    for (int i = 0; i < count; i++) {
        row->d[b + i] = d[i];
        for (int g = 0; g < block / group; g++) {
            int at = i * block + g * group;
            int sum = codes(x + at, inverse[i], group, row->q + b * block + at);
            int64_t to = (b + i) * (block / group) + g;
            /* Sums of what is not finite may be anything. */
            row->fix[to] = (int32_t)(0u - (uint32_t)zero * (uint32_t)sum);
            if (f->offset) row->sum[to] = (float)sum;
        }
    }
}

void KERNEL(quantize_inputs)(const struct tile_format *f, const float *x, int64_t cols, const struct quantized *row)
{
    int64_t blocks = cols / f->block;
    for (int64_t b = 0; b < blocks; b += SIDE) {
        int count = (int)(blocks - b < SIDE ? blocks - b : SIDE);
        if (f->block == 32)
            some_blocks(f, x, b, count, 32, 32, row);
        else if (f->group == 32)
            some_blocks(f, x, b, count, 256, 32, row);
        else
            some_blocks(f, x, b, count, 256, 16, row);
    }
}

void KERNEL(round_inputs)(enum input_kind kind, const float *x, int64_t n, float *y)
{
    if (kind == INPUT_F16)
        for (int64_t i = 0; i < n; i++) y[i] = f16_rounded(x[i]);
    else
        for (int64_t i = 0; i < n; i++) y[i] = float_of_bits((uint32_t)bf16_from_f32(x[i]) << 16);
}
