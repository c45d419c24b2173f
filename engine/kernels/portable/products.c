/* Products of quantized inputs and unpacked tiles: see tiles.h for what is computed in which order. Blocks of rows of
 * inputs meet blocks of tiles, whose sums stay in registers. */
#include "engine/kernels/portable/tiles.h"

/* What is multiplied, from a row of inputs and a tile on. */
struct work {
    const struct panel *w;
    const struct quantized *x;
    int64_t cols;
    float *y;
    int64_t stride;
};

/* Constants where this is inlined. */
struct shape {
    int rows, tiles, block, group;
    bool wide, offset;
};

ALWAYS_INLINE void group_sums(const struct work *k, const struct shape *s, int64_t group, int64_t groups, ints *sum)
{
    for (int i = 0; i < s->rows; i++)
        for (int t = 0; t < s->tiles; t++) sum[i * s->tiles + t] = ints_all(k->x->fix[i * groups + group]);
    const int8_t *q = k->x->q + group * s->group;
#pragma GCC unroll 8
    for (int j = 0; j < s->group / 4; j++) {
        ints codes[DOT_TILES];
        for (int t = 0; t < s->tiles; t++)
            codes[t] = ints_load(k->w[t].codes + (group * s->group / 4 + j) * 4 * TILE_ROWS);
        for (int i = 0; i < s->rows; i++) {
            ints x = ints_load_all(q + i * k->cols + 4 * j);
            for (int t = 0; t < s->tiles; t++)
                sum[i * s->tiles + t] = dot_codes(sum[i * s->tiles + t], codes[t], x, s->wide);
        }
    }
}

ALWAYS_INLINE void multiply(const struct work *k, const struct shape s)
{
    int64_t groups = k->cols / s.group, each = s.block / s.group;
    floats total[DOT_ROWS * DOT_TILES];
    for (int i = 0; i < s.rows * s.tiles; i++) total[i] = floats_all(0);
    for (int64_t b = 0; b < k->cols / s.block; b++) {
        floats inner[DOT_ROWS * DOT_TILES];
        for (int64_t g = 0; g < each; g++) {
            ints sum[DOT_ROWS * DOT_TILES];
            int64_t group = b * each + g;
            group_sums(k, &s, group, groups, sum);
            for (int t = 0; t < s.tiles; t++) {
                floats scale = floats_load(k->w[t].scales + group * TILE_ROWS);
                for (int i = 0; i < s.rows; i++) {
                    int a = i * s.tiles + t;
                    floats part = floats_of_ints(sum[a]);
                    inner[a] = g ? floats_fma(part, scale, inner[a]) : floats_times(part, scale);
                }
                if (!s.offset) continue;
                floats offset = floats_load(k->w[t].offsets + group * TILE_ROWS);
                for (int i = 0; i < s.rows; i++) {
                    int a = i * s.tiles + t;
                    inner[a] = floats_fma(offset, floats_all(k->x->sum[i * groups + group]), inner[a]);
                }
            }
        }
        for (int i = 0; i < s.rows; i++)
            for (int t = 0; t < s.tiles; t++)
                total[i * s.tiles + t] = floats_fma(
                    inner[i * s.tiles + t], floats_all(k->x->d[i * (k->cols / s.block) + b]), total[i * s.tiles + t]);
    }
    for (int i = 0; i < s.rows; i++)
        for (int t = 0; t < s.tiles; t++) floats_store(k->y + i * k->stride + t * TILE_ROWS, total[i * s.tiles + t]);
}

/* All rows against some tiles, as many rows at a time as fit, what is left in twos and ones. */
ALWAYS_INLINE void all_rows(struct work k, int64_t n, struct shape s)
{
    struct quantized x = *k.x;
    int64_t blocks = k.cols / s.block, groups = k.cols / s.group;
    k.x = &x;
    while (n > 0) {
        int rows = n >= DOT_ROWS ? DOT_ROWS : n >= 2 ? 2 : 1;
        s.rows = rows;
        if (rows == DOT_ROWS)
            s.rows = DOT_ROWS, multiply(&k, s);
        else if (rows == 2)
            s.rows = 2, multiply(&k, s);
        else
            s.rows = 1, multiply(&k, s);
        x.q += rows * k.cols;
        x.d += rows * blocks;
        x.fix += rows * groups;
        x.sum += s.offset ? rows * groups : 0;
        k.y += rows * k.stride;
        n -= rows;
    }
}

#define ALL_TILES(name, block, group, wide, offset)                                                                    \
    static void name(struct work k, int tiles, int64_t n)                                                              \
    {                                                                                                                  \
        for (; tiles >= DOT_TILES; tiles -= DOT_TILES, k.w += DOT_TILES, k.y += DOT_TILES * TILE_ROWS)                 \
            all_rows(k, n, (struct shape){1, DOT_TILES, block, group, wide, offset});                                  \
        for (; DOT_TILES > 1 && tiles; tiles--, k.w++, k.y += TILE_ROWS)                                               \
            all_rows(k, n, (struct shape){1, 1, block, group, wide, offset});                                          \
    }
ALL_TILES(narrow_32, 32, 32, false, false)
ALL_TILES(wide_32, 32, 32, true, false)
ALL_TILES(narrow_32_offset, 32, 32, false, true)
ALL_TILES(wide_32_offset, 32, 32, true, true)
ALL_TILES(narrow_256, 256, 32, false, false)
ALL_TILES(wide_256, 256, 32, true, false)
ALL_TILES(narrow_256_offset, 256, 32, false, true)
ALL_TILES(narrow_256_16, 256, 16, false, false)
ALL_TILES(narrow_256_16_offset, 256, 16, false, true)

void KERNEL(products)(const struct tile_format *f, const struct panel *w, int tiles, const struct quantized *x,
                      int64_t n, int64_t cols, float *y, int64_t stride)
{
    struct work k = {w, x, cols, y, stride};
    if (f->block == 32)
        (f->offset ? f->wide ? wide_32_offset : narrow_32_offset : f->wide ? wide_32 : narrow_32)(k, tiles, n);
    else if (f->group == 32)
        (f->offset ? narrow_256_offset : f->wide ? wide_256 : narrow_256)(k, tiles, n);
    else
        (f->offset ? narrow_256_16_offset : narrow_256_16)(k, tiles, n);
}

/* --- inputs --- */

/* Adding 1.5 2^23 leaves a float32 of this size no bits for a fraction: to nearest, halves to even. */
static inline float whole(float x)
{
    const float magic = 12582912.f;
    return (x + magic) - magic;
}

/* The value furthest from zero, the first where two are, which becomes -127 in Q8_K. */
static float furthest(const float *x, int n, float size)
{
    int above = 0, below = 0, i = 0;
    for (int j = 0; j < n; j++) above |= x[j] == size;
    for (int j = 0; j < n; j++) below |= x[j] == -size;
    if (above && below)
        while (x[i] != size && x[i] != -size) i++;
    return above && below ? x[i] : above ? size : -size;
}

/* As bits, numbers without their sign have their own order, and what is not finite comes last: d is not a number then,
 * so that it shows in the results. */
static void quantize_block(const float *x, int n, enum input_kind kind, int8_t *q, float *d)
{
    uint32_t bits = 0;
    for (int i = 0; i < n; i++) {
        uint32_t b = bits_of_float(x[i]) & 0x7fffffffu;
        bits = b > bits ? b : bits;
    }
    float size = float_of_bits(bits), inverse;
    if (kind == INPUT_Q8_K) {
        inverse = size > 0 ? -127.f / furthest(x, n, size) : 0.f;
        *d = inverse != 0 ? 1.f / inverse : 0.f;
    } else {
        float scale = size / 127.f;
        inverse = scale > 0 ? 1.f / scale : 0.f;
        *d = f16_rounded(scale);
    }
    if (bits >= 0x7f800000u) *d = NAN;
    for (int i = 0; i < n; i++) q[i] = (int8_t)held(whole(x[i] * inverse), -127.f, 127.f);
}

void KERNEL(quantize_inputs)(const struct tile_format *f, const float *x, int64_t cols, const struct quantized *row)
{
    int zero = f->zero - (f->wide ? WIDE_ZERO : 0), each = f->block / f->group;
    for (int64_t b = 0; b < cols / f->block; b++) {
        int8_t *q = row->q + b * f->block;
        quantize_block(x + b * f->block, f->block, f->input, q, &row->d[b]);
        for (int g = 0; g < each; g++) {
            int sum = 0;
            for (int i = 0; i < f->group; i++) sum += q[g * f->group + i];
            row->fix[b * each + g] = -zero * sum;
            if (f->offset) row->sum[b * each + g] = (float)sum;
        }
    }
}
