/* What the files of tiles share: a format is two functions, and what is done with them is here. */
#ifndef KERF_ENGINE_KERNELS_PORTABLE_TILES_H
#define KERF_ENGINE_KERNELS_PORTABLE_TILES_H

#include "engine/kernels/lanes/lanes.h"
#include "engine/kernels/portable/portable.h"
#include "engine/kernels/tiles.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Bytes that are fetched ahead where a tile is read once: blocks have several streams within them, which machines do not
 * guess. */
enum { MOST_GROUPS = 16, AHEAD = 4096 };

/* Codes of the 32 columns from 32 s on: dword i has columns 4i .. 4i + 3. */
typedef void codes_function(const uint8_t *dwords, int s, ints c[8]);
/* Scales and offsets of block b's groups; p: the block. */
typedef void scales_function(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset);

static inline ints dword(const uint8_t *p, int i) { return ints_load(p + 64 * i); }
static inline floats half_field(const uint8_t *p, int i) { return floats_of_halves(p + 32 * i); }
/* Bits [shift, shift + 8) of every lane less `zero`, as float32. */
static inline floats byte_field(ints a, int shift, int mask)
{
    return floats_of_ints(ints_and(ints_right(a, shift), ints_all(mask)));
}

ALWAYS_INLINE ints dot_codes(ints sum, ints codes, ints x, bool wide)
{
    return wide ? ints_dot_wide(sum, codes, x) : ints_dot(sum, codes, x);
}

ALWAYS_INLINE void unpack_tile(const struct tile_format *f, codes_function *codes, scales_function *scales,
                               const struct tile *t, const struct panel *out)
{
    int groups = f->block / f->group;
    uint8_t *to = out->codes;
    for (int64_t b = 0; b < t->cols / f->block; b++) {
        const uint8_t *p = t->bytes + b * TILE_ROWS * f->bytes;
        floats scale[MOST_GROUPS], offset[MOST_GROUPS];
        scales(t, p, b, scale, offset);
        for (int g = 0; g < groups; g++) {
            floats_store(out->scales + (b * groups + g) * TILE_ROWS, scale[g]);
            if (f->offset) floats_store(out->offsets + (b * groups + g) * TILE_ROWS, offset[g]);
        }
        for (int s = 0; s < f->block / 32; s++) {
            ints c[8];
            codes(p + 2 * TILE_ROWS * f->halves, s, c);
            for (int i = 0; i < 8; i++, to += 64) ints_store(to, c[i]);
        }
    }
}

ALWAYS_INLINE void dot_tile(const struct tile_format *f, codes_function *codes, scales_function *scales,
                            const struct tile *t, const struct quantized *x, float *y)
{
    int groups = f->block / f->group, each = f->group / 4; /* dwords of a group */
    floats total = floats_all(0);
    for (int64_t b = 0; b < t->cols / f->block; b++) {
        const uint8_t *p = t->bytes + b * TILE_ROWS * f->bytes;
        const int8_t *q = x->q + b * f->block;
        floats scale[MOST_GROUPS], offset[MOST_GROUPS], inner = floats_all(0);
        for (int i = 0; i < TILE_ROWS * f->bytes; i += 64) __builtin_prefetch(p + AHEAD + i);
        scales(t, p, b, scale, offset);
        for (int s = 0; s < f->block / 32; s++) {
            ints c[8];
            codes(p + 2 * TILE_ROWS * f->halves, s, c);
            for (int h = 0; h < 8 / each; h++) {
                int g = s * (8 / each) + h;
                ints sum = ints_all(x->fix[b * groups + g]);
                for (int i = h * each; i < (h + 1) * each; i++)
                    sum = dot_codes(sum, c[i], ints_load_all(q + 32 * s + 4 * i), f->wide);
                floats part = floats_of_ints(sum);
                inner = floats_fma(part, scale[g], inner);
                if (f->offset) inner = floats_fma(offset[g], floats_all(x->sum[b * groups + g]), inner);
            }
        }
        total = floats_fma(inner, floats_all(x->d[b]), total);
    }
    floats_store(y, total);
}

/* Column 4 i + j of 32: a byte of each lane becomes a weight. */
ALWAYS_INLINE floats weight_of(const struct tile_format *f, ints c, const int j, floats scale, floats offset)
{
    floats code = floats_of_ints(ints_and(ints_right(c, 8 * j), ints_all(255)));
    floats v = f->zero ? floats_sub(code, floats_all((float)f->zero)) : code;
    return f->offset ? floats_fma(scale, v, offset) : floats_times(scale, v);
}

ALWAYS_INLINE void tile_weights(const struct tile_format *f, codes_function *codes, scales_function *scales,
                                const struct tile *t, float *out)
{
    for (int64_t b = 0; b < t->cols / f->block; b++) {
        const uint8_t *p = t->bytes + b * TILE_ROWS * f->bytes;
        floats scale[MOST_GROUPS], offset[MOST_GROUPS];
        scales(t, p, b, scale, offset);
        for (int s = 0; s < f->block / 32; s++) {
            ints c[8];
            codes(p + 2 * TILE_ROWS * f->halves, s, c);
            for (int i = 0; i < 32; i++, out += TILE_ROWS) {
                int g = (32 * s + i) / f->group;
                floats_store(out, weight_of(f, c[i / 4], i % 4, scale[g], offset[g]));
            }
        }
    }
}

/* One sum for each tile, so that two do not wait for each other. */
ALWAYS_INLINE void dot_weights(const struct tile_format *f, codes_function *codes, scales_function *scales,
                               const struct tile *t, const int count, const float *x, float *y)
{
    floats total[2] = {floats_all(0), floats_all(0)}, sum[2] = {floats_all(0), floats_all(0)};
    int64_t blocks = t->cols / f->block, chunk = GEMM_CHUNK / f->block;
    for (int64_t b = 0; b < blocks; b++) {
        floats scale[2][MOST_GROUPS], offset[2][MOST_GROUPS];
        const uint8_t *p[2];
        for (int k = 0; k < count; k++) {
            p[k] = t[k].bytes + b * TILE_ROWS * f->bytes;
            for (int i = 0; i < TILE_ROWS * f->bytes; i += 64) __builtin_prefetch(p[k] + AHEAD + i);
            scales(&t[k], p[k], b, scale[k], offset[k]);
        }
        for (int s = 0; s < f->block / 32; s++) {
            ints c[2][8];
            for (int k = 0; k < count; k++) codes(p[k] + 2 * TILE_ROWS * f->halves, s, c[k]);
            const float *from = x + b * f->block + 32 * s;
            for (int i = 0; i < 32; i++) {
                int g = (32 * s + i) / f->group;
                for (int k = 0; k < count; k++)
                    sum[k] = floats_fma(floats_all(from[i]),
                                        weight_of(f, c[k][i / 4], i % 4, scale[k][g], offset[k][g]), sum[k]);
            }
        }
        if ((b + 1) % chunk && b + 1 < blocks) continue;
        for (int k = 0; k < count; k++) {
            total[k] = b < chunk ? sum[k] : floats_add(total[k], sum[k]);
            sum[k] = floats_all(0);
        }
    }
    for (int k = 0; k < count; k++) floats_store(y + k * TILE_ROWS, total[k]);
}

/* The two functions of a format and its row. */
#define TILE_FORMAT(id, lower, ...)                                                                                    \
    static void unpack_##lower(const struct tile *t, const struct panel *out)                                          \
    {                                                                                                                  \
        static const struct tile_format f = {__VA_ARGS__};                                                             \
        unpack_tile(&f, codes_##lower, scales_##lower, t, out);                                                        \
    }                                                                                                                  \
    static void dot_##lower(const struct tile *t, const struct quantized *x, float *y)                                 \
    {                                                                                                                  \
        static const struct tile_format f = {__VA_ARGS__};                                                             \
        dot_tile(&f, codes_##lower, scales_##lower, t, x, y);                                                          \
    }                                                                                                                  \
    static void weights_##lower(const struct tile *t, float *out)                                                      \
    {                                                                                                                  \
        static const struct tile_format f = {__VA_ARGS__};                                                             \
        tile_weights(&f, codes_##lower, scales_##lower, t, out);                                                       \
    }                                                                                                                  \
    static void dot_weights_##lower(const struct tile *t, int count, const float *x, float *y)                         \
    {                                                                                                                  \
        static const struct tile_format f = {__VA_ARGS__};                                                             \
        if (count == 2)                                                                                                \
            dot_weights(&f, codes_##lower, scales_##lower, t, 2, x, y);                                                \
        else                                                                                                           \
            dot_weights(&f, codes_##lower, scales_##lower, t, 1, x, y);                                                \
    }                                                                                                                  \
    const struct tile_kernels KERNEL(tile_##lower) = {                                                                 \
        {__VA_ARGS__}, unpack_##lower, dot_##lower, weights_##lower, dot_weights_##lower};

#endif
