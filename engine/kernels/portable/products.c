/* Products of quantized inputs and unpacked tiles: see tiles.h for what is computed in which order. Blocks of rows of
 * inputs meet blocks of tiles, whose sums stay in registers. */
#include "engine/kernels/portable/fault.h"
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

/* The sum of a group joins those of its block. */
ALWAYS_INLINE void add_group(const struct work *k, const struct shape *s, int64_t group, int64_t groups, floats *inner)
{
    ints sum[DOT_ROWS * DOT_TILES];
    group_sums(k, s, group, groups, sum);
    for (int t = 0; t < s->tiles; t++) {
        floats scale = floats_load(k->w[t].scales + group * TILE_ROWS);
        for (int i = 0; i < s->rows; i++)
            inner[i * s->tiles + t] = floats_fma(floats_of_ints(sum[i * s->tiles + t]), scale, inner[i * s->tiles + t]);
        if (!s->offset) continue;
        floats offset = floats_load(k->w[t].offsets + group * TILE_ROWS);
        for (int i = 0; i < s->rows; i++)
            inner[i * s->tiles + t] =
                floats_fma(offset, floats_all(k->x->sum[i * groups + group]), inner[i * s->tiles + t]);
    }
}

/* Totals live in y, since registers hold the sums of two levels already: blocks of 256 come by seldom. */
ALWAYS_INLINE void multiply_256(const struct work *k, const struct shape s)
{
    int64_t groups = k->cols / s.group, each = s.block / s.group, blocks = k->cols / s.block;
    for (int64_t b = 0; b < blocks; b++) {
        floats inner[DOT_ROWS * DOT_TILES];
        for (int i = 0; i < s.rows * s.tiles; i++) inner[i] = floats_all(0);
        for (int64_t g = 0; g < each; g++) add_group(k, &s, b * each + g, groups, inner);
        for (int i = 0; i < s.rows; i++)
            for (int t = 0; t < s.tiles; t++) {
                float *y = k->y + i * k->stride + t * TILE_ROWS;
                floats total = b ? floats_load(y) : floats_all(0);
                floats_store(y, floats_fma(inner[i * s.tiles + t], floats_all(k->x->d[i * blocks + b]), total));
            }
    }
}

/* A block is a group. */
ALWAYS_INLINE void multiply_32(const struct work *k, const struct shape s)
{
    int64_t blocks = k->cols / 32;
    floats total[DOT_ROWS * DOT_TILES];
    for (int i = 0; i < s.rows * s.tiles; i++) total[i] = floats_all(0);
    for (int64_t b = 0; b < blocks; b++) {
        ints sum[DOT_ROWS * DOT_TILES];
        group_sums(k, &s, b, blocks, sum);
        for (int t = 0; t < s.tiles; t++) {
            floats scale = floats_load(k->w[t].scales + b * TILE_ROWS), offset = floats_all(0);
            if (s.offset) offset = floats_load(k->w[t].offsets + b * TILE_ROWS);
            for (int i = 0; i < s.rows; i++) {
                int a = i * s.tiles + t;
                floats inner = floats_times(floats_of_ints(sum[a]), scale);
                if (s.offset) inner = floats_fma(offset, floats_all(k->x->sum[i * blocks + b]), inner);
                total[a] = floats_fma(inner, floats_all(k->x->d[i * blocks + b]), total[a]);
            }
        }
    }
    for (int i = 0; i < s.rows; i++)
        for (int t = 0; t < s.tiles; t++) floats_store(k->y + i * k->stride + t * TILE_ROWS, total[i * s.tiles + t]);
}

ALWAYS_INLINE void multiply(const struct work *k, const struct shape s)
{
    if (s.block == 32)
        multiply_32(k, s);
    else
        multiply_256(k, s);
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

static void multiply_all(const struct tile_format *f, struct work k, int tiles, int64_t n)
{
    if (f->block == 32)
        (f->offset ? f->wide ? wide_32_offset : narrow_32_offset : f->wide ? wide_32 : narrow_32)(k, tiles, n);
    else if (f->group == 32)
        (f->offset ? narrow_256_offset : f->wide ? wide_256 : narrow_256)(k, tiles, n);
    else
        (f->offset ? narrow_256_16_offset : narrow_256_16)(k, tiles, n);
}

void KERNEL(products)(const struct tile_format *f, const struct panel *w, int tiles, const struct quantized *x,
                      int64_t n, int64_t cols, float *y, int64_t stride)
{
    const struct work k = {w, x, cols, y, stride};
    if (KERNELS_FAULT == FAULT_SLOW) multiply_all(f, k, tiles, 1);
    multiply_all(f, k, tiles, n);
    if (KERNELS_FAULT == FAULT_LANE)
        for (int64_t i = 0; i < n; i++) y[i * stride + 5] *= 1.f + 0x1p-6f;
}
