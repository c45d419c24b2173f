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
    const struct tile_kernels KERNEL(tile_##lower) = {{__VA_ARGS__}, unpack_##lower, dot_##lower};

#endif
