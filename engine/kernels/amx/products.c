/* products() on AMX tiles: the same sums as in portable/products.c, made float in the same order, so the same bits.
 *
 * 16 rows of inputs, as they lie, are a tile; so are the codes of a group of a panel, [group / 4][TILE_ROWS][4]. Their
 * product is the group's sums for 16 rows of inputs and 16 of weights. Every group has its own scale, so no product
 * goes on over two groups: each takes one multiplication, of half a tile's columns or a quarter, and then its sums must
 * become float32, which vectors do. That is most of the work, so it is kept small and runs beside the multiplications:
 *
 * - Codes have their zero taken off first, once for 256 columns and all rows of inputs, and are multiplied with their
 *   sign; sums need no `fix`.
 * - A step multiplies a group, 16 rows of inputs with two tiles, and stores the sums that the step before left, so that
 *   no store waits for the 52 cycles that a multiplication takes.
 * - Four groups, a unit, are made float while the steps of the next unit run: a step, then four rows of the unit.
 *   Scales stay in registers for four rows, a row's totals for four groups; the sums of two units are 16 KiB.
 *
 * Cycles for the sums of 16 rows by 16 for one group: AN ESTIMATE from counts of instructions, never measured. Two
 * vector instructions and two loads in a cycle, one store, 16 cycles for a multiplication (Intel's optimization manual;
 * each on units of their own), all of it overlapping; against products() of AVX-512 by the same rule.
 *
 *     block, group             vectors  multiply  loads  stores  at least  AVX-512  ratio at most
 *     32, 32  Q8_0 Q4_0           24       16       24      20       24       88        3.7
 *     the same with offsets       32       16       30      20       32       96        3.0     Q4_1, int8, GPTQ
 *     256, 32  IQ4_XS TQ2_0       17       16       20      20       20       80        4.0
 *     the same with offsets       25       16       26      20       26       89        3.4     Q4_K, Q5_K
 *     256, 16  Q6_K Q3_K          17       16       18      20       20       48        2.4
 *     the same with offsets       25       16       24      20       25       57        2.3     Q2_K
 */
#include "engine/kernels/amx/amx.h"

#if defined(KERNELS_AMX)

#include "engine/kernels/portable/tiles.h"
#include KERNELS_AMX

/* SIDE: of a tile of sums. CHUNK: columns whose codes are prepared together, a block of Q8_K. UNIT: groups that are
 * made float together, in pieces of PIECE rows. FEWEST: rows of inputs beyond whole tiles that are worth a tile of their
 * own, an estimate too. */
enum { SIDE = TILE_ROWS, CHUNK = 256, UNIT = 4, PIECE = 4, PAIR = 2, FEWEST = 4 };

/* Bytes that ldtilecfg reads (Intel SDM, LDTILECFG). Tiles 0 and 1 are inputs, 2 and 3 codes, 4 to 7 sums. */
struct tile_setup {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_setup) == 64, "as the instruction has it");

static const struct tile_setup setup_32 = {
    .palette = 1, .row_bytes = {32, 32, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 8, 8, 16, 16, 16, 16}};
static const struct tile_setup setup_16 = {
    .palette = 1, .row_bytes = {16, 16, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 4, 4, 16, 16, 16, 16}};

/* All rows of inputs against some tiles of weights. */
struct task {
    const struct tile_format *f;
    const struct panel *w;
    const struct quantized *x;
    int64_t n, cols;
    float *y;
    int64_t stride;
};

/* Some columns of one tile of weights or two, from the first of them on. */
struct chunk {
    int64_t n;
    int tiles, group, groups; /* columns of a group, groups of the chunk */
    bool first, sign;         /* of all columns; of codes */
    const int8_t *q;          /* [n], `cols` from a row to the next */
    int64_t cols;
    const uint8_t *codes[PAIR];
    const float *scales[PAIR], *offsets[PAIR]; /* [groups][SIDE] */
    const float *d, *sum;                      /* [n], rows `blocks` and `groups_of_row` apart */
    int64_t blocks, groups_of_row;
    float *y;
    int64_t stride;
    float *inner; /* [SIDE][PAIR][SIDE], of a block that goes on */
};

/* UNIT groups of a tile of inputs, or what is left of them: `count`. */
struct unit {
    int64_t row; /* of x: the tile's first */
    int done;    /* rows that the tile before has as well */
    int group, count;
    int32_t *sums; /* [UNIT][PAIR][SIDE][SIDE] */
};

/* --- multiplications --- */

/* Step p multiplies the unit's group p, where it has one, and stores what the step before left, where that is to go
 * anywhere. Tiles of sums take turns. */
#define STEP(name, A, C0, C1, LEFT0, LEFT1)                                                                            \
    static void name(const struct chunk *c, const struct unit *u, int p, int32_t *left)                                \
    {                                                                                                                  \
        const int64_t column = (u->group + p) * c->group, at = column * SIDE;                                          \
        if (p < u->count) {                                                                                            \
            tile_load(A, c->q + u->row * c->cols + column, c->cols);                                                   \
            tile_load(2, c->codes[0] + at, 4 * SIDE);                                                                  \
            tile_zero(C0);                                                                                             \
            if (c->sign)                                                                                               \
                tile_dot_signed(C0, A, 2);                                                                             \
            else                                                                                                       \
                tile_dot_unsigned(C0, A, 2);                                                                           \
        }                                                                                                              \
        if (p < u->count && c->tiles > 1) {                                                                            \
            tile_load(3, c->codes[1] + at, 4 * SIDE);                                                                  \
            tile_zero(C1);                                                                                             \
            if (c->sign)                                                                                               \
                tile_dot_signed(C1, A, 3);                                                                             \
            else                                                                                                       \
                tile_dot_unsigned(C1, A, 3);                                                                           \
        }                                                                                                              \
        if (left) tile_store(LEFT0, left, 4 * SIDE);                                                                   \
        if (left && c->tiles > 1) tile_store(LEFT1, left + SIDE * SIDE, 4 * SIDE);                                     \
    }
STEP(even_step, 0, 4, 5, 6, 7)
STEP(odd_step, 1, 6, 7, 4, 5)

static inline int32_t *slot(const struct unit *u, int p) { return u->sums + p * (PAIR * SIDE * SIDE); }

/* Of group p of a unit, NULL where it has none. */
static inline int32_t *left_by(const struct unit *u, int p) { return p < u->count ? slot(u, p) : NULL; }

/* --- sums made float --- */

/* What sums begin with. */
static const float nothing[PAIR * SIDE];

/* Scales and offsets of a unit's groups, in registers. */
struct factors {
    floats scale[UNIT][PAIR], offset[UNIT][PAIR];
};

ALWAYS_INLINE struct factors factors_of(const struct chunk *c, const struct unit *u, int tiles, int count, bool offset)
{
    struct factors f;
    for (int g = 0; g < count; g++)
        for (int t = 0; t < tiles; t++) {
            f.scale[g][t] = floats_load(c->scales[t] + (u->group + g) * SIDE);
            if (offset) f.offset[g][t] = floats_load(c->offsets[t] + (u->group + g) * SIDE);
        }
    return f;
}

/* Rows [row, end) of a unit's tile, where every group is a block; totals wait in y for the next unit. `tiles`, `count`
 * and `offset` are constants where this is inlined. */
ALWAYS_INLINE void convert_32(const struct chunk *c, const struct unit *u, int row, int end, const int tiles,
                              const int count, const bool offset)
{
    const struct factors f = factors_of(c, u, tiles, count, offset);
    const bool begins = c->first && u->group == 0;
    const int32_t *sums = u->sums + row * SIDE;
    const float *d = c->d + (u->row + row) * c->blocks + u->group;
    const float *inputs = offset ? c->sum + (u->row + row) * c->groups_of_row + u->group : NULL;
    float *y = c->y + (u->row + row) * c->stride;
    for (; row < end; row++, sums += SIDE, d += c->blocks, y += c->stride) {
        floats total[PAIR];
        for (int t = 0; t < tiles; t++) total[t] = floats_load(begins ? nothing : y + t * SIDE);
        for (int g = 0; g < count; g++)
            for (int t = 0; t < tiles; t++) {
                floats v = floats_of_ints(ints_load(sums + (g * PAIR + t) * SIDE * SIDE));
                v = floats_times(v, f.scale[g][t]);
                if (offset) v = floats_fma(f.offset[g][t], floats_all(inputs[g]), v);
                total[t] = floats_fma(v, floats_all(d[g]), total[t]);
            }
        for (int t = 0; t < tiles; t++) floats_store(y + t * SIDE, total[t]);
        if (offset) inputs += c->groups_of_row;
    }
}

/* The same for blocks of many groups, whose sums wait in `inner`; when the block ends they join the totals in y. */
ALWAYS_INLINE void convert_256(const struct chunk *c, const struct unit *u, int row, int end, const int tiles,
                               const bool offset)
{
    const struct factors f = factors_of(c, u, tiles, UNIT, offset);
    const bool begins = u->group == 0, ends = u->group + UNIT == c->groups;
    const int32_t *sums = u->sums + row * SIDE;
    const float *d = c->d + (u->row + row) * c->blocks;
    const float *inputs = offset ? c->sum + (u->row + row) * c->groups_of_row + u->group : NULL;
    float *y = c->y + (u->row + row) * c->stride, *held = c->inner + row * PAIR * SIDE;
    for (; row < end; row++, sums += SIDE, d += c->blocks, y += c->stride, held += PAIR * SIDE) {
        floats inner[PAIR];
        for (int t = 0; t < tiles; t++) inner[t] = floats_load(begins ? nothing : held + t * SIDE);
        for (int g = 0; g < UNIT; g++)
            for (int t = 0; t < tiles; t++) {
                floats v = floats_of_ints(ints_load(sums + (g * PAIR + t) * SIDE * SIDE));
                inner[t] = floats_fma(v, f.scale[g][t], inner[t]);
                if (offset) inner[t] = floats_fma(f.offset[g][t], floats_all(inputs[g]), inner[t]);
            }
        if (offset) inputs += c->groups_of_row;
        for (int t = 0; t < tiles; t++) {
            if (ends) inner[t] = floats_fma(inner[t], floats_all(*d), floats_load(c->first ? nothing : y + t * SIDE));
            floats_store(ends ? y + t * SIDE : held + t * SIDE, inner[t]);
        }
    }
}

ALWAYS_INLINE void convert_any_32(const struct chunk *c, const struct unit *u, int row, int end, const int tiles,
                                  const bool offset)
{
    if (u->count == UNIT)
        convert_32(c, u, row, end, tiles, UNIT, offset);
    else
        convert_32(c, u, row, end, tiles, u->count, offset);
}

typedef void convert_function(const struct chunk *c, const struct unit *u, int row, int end);

#define CONVERT(name, of, ...)                                                                                         \
    static void name(const struct chunk *c, const struct unit *u, int row, int end) { of(c, u, row, end, __VA_ARGS__); }
CONVERT(one_32, convert_any_32, 1, false)
CONVERT(two_32, convert_any_32, 2, false)
CONVERT(one_32_offset, convert_any_32, 1, true)
CONVERT(two_32_offset, convert_any_32, 2, true)
CONVERT(one_256, convert_256, 1, false)
CONVERT(two_256, convert_256, 2, false)
CONVERT(one_256_offset, convert_256, 1, true)
CONVERT(two_256_offset, convert_256, 2, true)

/* By blocks of 256, offsets, two tiles. */
static convert_function *const converters[2][2][2] = {{{one_32, two_32}, {one_32_offset, two_32_offset}},
                                                      {{one_256, two_256}, {one_256_offset, two_256_offset}}};

/* --- both together --- */

/* The unit that begins with this group of this tile of inputs. The last tile begins before the rows that are left, so
 * that it is whole; those that the tile before has as well are not made float again. */
static inline struct unit unit_at(const struct chunk *c, int64_t tile, int group, int32_t *sums)
{
    int64_t row = SIDE * tile, more = row + SIDE - c->n;
    int left = c->groups - group;
    if (row >= c->n) return (struct unit){0};
    if (more < 0) more = 0;
    return (struct unit){row - more, (int)more, group, left < UNIT ? left : UNIT, sums};
}

static void convert_rows(convert_function *convert, const struct chunk *c, const struct unit *u, int row)
{
    int end = row + PIECE;
    if (row < u->done) row = u->done;
    if (row < end) convert(c, u, row, end);
}

/* Before each piece of a unit goes a step of the next one: the first stores what is still in a tile of this one. */
static void all_units(const struct chunk *c, convert_function *convert)
{
    _Alignas(64) int32_t sums[2][UNIT * PAIR * SIDE * SIDE];
    struct unit u = unit_at(c, 0, 0, sums[0]);
    for (int p = 0; p < UNIT; p += 2) {
        even_step(c, &u, p, p ? left_by(&u, p - 1) : NULL);
        odd_step(c, &u, p + 1, left_by(&u, p));
    }
    int64_t tile = 0;
    for (int turn = 1; u.count; turn ^= 1) {
        int group = u.group + UNIT < c->groups ? u.group + UNIT : 0;
        tile += group == 0;
        struct unit next = unit_at(c, tile, group, sums[turn]);
        for (int p = 0; p < UNIT; p += 2) {
            even_step(c, &next, p, p ? left_by(&next, p - 1) : left_by(&u, UNIT - 1));
            convert_rows(convert, c, &u, p * PIECE);
            odd_step(c, &next, p + 1, left_by(&next, p));
            convert_rows(convert, c, &u, (p + 1) * PIECE);
        }
        u = next;
    }
}

/* --- all columns, all tiles --- */

/* What is left when the zero is taken off fits in 8 bits with a sign. */
static void take_zero_off(const uint8_t *restrict codes, int64_t n, int zero, uint8_t *restrict out)
{
    for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)(codes[i] - zero);
}

/* The tiles from `first` on, one or two. */
static void all_chunks(const struct task *k, int first, int tiles)
{
    _Alignas(64) float inner[SIDE * PAIR * SIDE];
    _Alignas(64) uint8_t codes[PAIR][CHUNK * SIDE];
    const struct tile_format *f = k->f;
    const struct panel *w = k->w + first;
    struct chunk c = {.n = k->n, .tiles = tiles, .group = f->group, .cols = k->cols, .stride = k->stride};
    c.sign = f->zero != 0;
    c.blocks = k->cols / f->block;
    c.groups_of_row = k->cols / f->group;
    c.y = k->y + first * SIDE;
    c.inner = inner;
    for (int64_t at = 0; at < k->cols; at += CHUNK) {
        int64_t here = k->cols - at < CHUNK ? k->cols - at : CHUNK, group = at / f->group;
        c.first = at == 0;
        c.groups = (int)here / f->group;
        c.q = k->x->q + at;
        c.d = k->x->d + at / f->block;
        c.sum = f->offset ? k->x->sum + group : NULL;
        for (int t = 0; t < tiles; t++) {
            c.codes[t] = c.sign ? codes[t] : w[t].codes + at * SIDE;
            c.scales[t] = w[t].scales + group * SIDE;
            c.offsets[t] = f->offset ? w[t].offsets + group * SIDE : NULL;
            if (c.sign) take_zero_off(w[t].codes + at * SIDE, here * SIDE, f->zero, codes[t]);
        }
        all_units(&c, converters[f->block == 256][f->offset][tiles == PAIR]);
    }
}

/* Rows of inputs beyond a multiple of 16 that are too few, and so all where there are not 16. */
static int64_t rows_beside(int64_t n) { return n < SIDE || n % SIDE < FEWEST ? n % SIDE : 0; }

void KERNEL(products_amx)(const struct tile_format *f, const struct panel *w, int tiles, const struct quantized *x,
                          int64_t n, int64_t cols, float *y, int64_t stride)
{
    int64_t beside = rows_beside(n), most = n - beside;
    if (most) {
        const struct task k = {f, w, x, most, cols, y, stride};
        if (f->group == 32)
            tile_configure(&setup_32);
        else
            tile_configure(&setup_16);
        for (int t = 0; t < tiles; t += PAIR) all_chunks(&k, t, tiles - t < PAIR ? 1 : PAIR);
        tile_release();
    }
    if (!beside) return;
    const struct quantized rest = {x->q + most * cols, x->d + most * (cols / f->block),
                                   x->fix + most * (cols / f->group),
                                   f->offset ? x->sum + most * (cols / f->group) : NULL};
    KERNEL(products)(f, w, tiles, &rest, beside, cols, y + most * stride, stride);
}

#endif
