/* What the checks of tiles, their inputs and their products share: memory that shows every touch beside it, and
 * matrices and inputs of every kind and size.
 *
 *     struct pool pool = {.place = AT_END};
 *     struct sample w = sample_new(&pool, TILE_U4, 3, 512, RANDOM, &random);     3 tiles of 512 columns
 *     struct quantized x = quantized_new(&pool, w.format, n, 512);
 *     pool_seal(&pool);                        what there is now can no longer be written
 *     float *y = pool_new(&pool, n * 48, sizeof *y);
 *     ...
 *     pool_free(&pool);                        fails the test where a byte beside a buffer has changed
 *
 * A row of a sample lies in the order of files, which decode() knows, and is put in the order of tiles here, from what
 * tiles.h says alone. */
#ifndef KERF_TESTS_KERNELS_CHECKS_H
#define KERF_TESTS_KERNELS_CHECKS_H

#include "engine/base/random.h"
#include "engine/kernels/half.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST_TILES = 5, MOST_BUFFERS = 64, PAGE = 4096, UNTOUCHED = 0xa5 };

/* --- buffers between pages that cannot be touched --- */

/* Where a buffer lies between its pages: at the first byte, at the last, or one element after the first, where a
 * vector's alignment ends. */
enum place { AT_START, AT_END, OFF_START, PLACES };

struct pool {
    enum place place;
    int count;
    struct {
        uint8_t *map, *p;
        size_t inside, bytes; /* of the pages between, and of the buffer */
    } buffers[MOST_BUFFERS];
};

static inline void *pool_new(struct pool *pool, int64_t count, size_t size)
{
    size_t bytes = (size_t)count * size, inside = (bytes + size + PAGE - 1) / PAGE * PAGE;
    assert_true(pool->count < MOST_BUFFERS);
    uint8_t *map = mmap(NULL, inside + 2 * (size_t)PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map, PAGE, PROT_NONE), 0);
    assert_int_equal(mprotect(map + PAGE + inside, PAGE, PROT_NONE), 0);
    uint8_t *first = map + PAGE;
    uint8_t *p = pool->place == AT_END ? first + inside - bytes : pool->place == OFF_START ? first + size : first;
    memset(first, UNTOUCHED, inside);
    pool->buffers[pool->count].map = map;
    pool->buffers[pool->count].p = p;
    pool->buffers[pool->count].inside = inside;
    pool->buffers[pool->count++].bytes = bytes;
    return p;
}

/* From here on the buffers that there are can only be read. */
static inline void pool_seal(struct pool *pool)
{
    for (int i = 0; i < pool->count; i++)
        assert_int_equal(mprotect(pool->buffers[i].map + PAGE, pool->buffers[i].inside, PROT_READ), 0);
}

static inline void pool_free(struct pool *pool)
{
    for (int i = 0; i < pool->count; i++) {
        const uint8_t *first = pool->buffers[i].map + PAGE, *p = pool->buffers[i].p;
        for (const uint8_t *b = first; b < first + pool->buffers[i].inside; b++) {
            if (b == p) b += pool->buffers[i].bytes;
            if (b < first + pool->buffers[i].inside && *b != UNTOUCHED)
                fail_msg("buffer %d: byte %d of %d was written", i, (int)(b - p), (int)pool->buffers[i].bytes);
        }
        munmap(pool->buffers[i].map, pool->buffers[i].inside + 2 * (size_t)PAGE);
    }
    pool->count = 0;
}

/* --- numbers --- */

/* Which NaN it is depends on the machine. */
static inline bool same_float(float a, float b) { return isnan(a) ? isnan(b) : bits_of_float(a) == bits_of_float(b); }

static inline void assert_same_floats(const float *got, const float *wanted, int64_t n, const char *what,
                                      const char *isa)
{
    for (int64_t i = 0; i < n; i++)
        if (!same_float(got[i], wanted[i]))
            fail_msg("%s, %s: value %d of %d is %.9g instead of %.9g", what, isa, (int)i, (int)n, (double)got[i],
                     (double)wanted[i]);
}

/* What tiles and inputs are filled with. */
enum content {
    RANDOM,
    ZEROS, /* every byte */
    LOW,   /* every code the least, with random scales */
    HIGH,  /* every bit of the codes, likewise */
    LARGE, /* scales of 65504, the largest that 16 bits have; inputs whose own scale nearly is */
    TINY,  /* scales without leading bit */
    CONTENTS,
};

static inline uint16_t random_half(struct random *r, enum content content)
{
    uint16_t sign = (uint16_t)(random_below(r, 2) << 15);
    if (content == ZEROS) return 0;
    if (content == LARGE) return sign | 0x7bffu;
    if (content == TINY) return (uint16_t)(sign | (1 + random_below(r, 1023)));
    return (uint16_t)(sign | ((5 + random_below(r, 12)) << 10) | random_below(r, 1024)); /* 2^-10 .. 4 */
}

/* --- matrices --- */

struct sample {
    int kind, tiles;
    const struct tile_format *format;
    int64_t cols;
    struct tile tile[MOST_TILES];
    double *weight; /* [tiles * TILE_ROWS, cols]: rounded once to float32 where a minimum is added */
};

static inline bool is_ggml(int kind) { return kind < DTYPE_LIMIT; }

/* Whether field h of 16 bits is a float; the other of IQ4_XS is bits of scales. */
static inline bool is_scale(int kind, int h) { return kind != DTYPE_IQ4_XS || h == 0; }

static inline uint8_t random_byte(struct random *r, enum content content)
{
    return (uint8_t)(content == ZEROS || content == LOW ? 0 : content == HIGH ? 255 : random_below(r, 256));
}

/* A row of blocks. */
static inline void fill_row(const struct sample *s, uint8_t *row, enum content content, struct random *r)
{
    const struct tile_format *f = s->format;
    for (int64_t i = 0; i < s->cols / f->block * f->bytes; i++) row[i] = random_byte(r, content);
    for (int64_t b = 0; b < s->cols / f->block; b++)
        for (int h = 0; h < f->halves; h++)
            if (is_scale(s->kind, h)) {
                uint16_t half = random_half(r, content);
                memcpy(row + b * f->bytes + f->half_at[h], &half, sizeof half);
            }
}

/* Halves of all rows, one field after the other, then the other bytes by fours. */
static inline void put_row(const struct tile_format *f, const uint8_t *row, int64_t cols, int r, uint8_t *tile)
{
    for (int64_t b = 0; b < cols / f->block; b++) {
        const uint8_t *from = row + b * f->bytes;
        uint8_t *to = tile + b * f->bytes * TILE_ROWS, *dwords = to + f->halves * TILE_ROWS * 2;
        int dword = 0;
        for (int at = 0; at < f->bytes;) {
            int half = -1;
            for (int h = 0; h < f->halves; h++) half = f->half_at[h] == at ? h : half;
            if (half >= 0) memcpy(to + (half * TILE_ROWS + r) * 2, from + at, 2);
            if (half < 0) memcpy(dwords + (dword++ * TILE_ROWS + r) * 4, from + at, 4);
            at += half >= 0 ? 2 : 4;
        }
    }
}

static inline void fill_blocks(struct sample *s, uint8_t *bytes[MOST_TILES], enum content content, struct random *r)
{
    uint8_t *row = malloc((size_t)(s->cols / s->format->block * s->format->bytes));
    float *values = malloc((size_t)s->cols * sizeof *values);
    assert_true(row && values);
    for (int i = 0; i < s->tiles * TILE_ROWS; i++) {
        fill_row(s, row, content, r);
        put_row(s->format, row, s->cols, i % TILE_ROWS, bytes[i / TILE_ROWS]);
        kernels_at(0)->decode[s->kind](row, values, s->cols);
        for (int64_t c = 0; c < s->cols; c++) s->weight[i * s->cols + c] = (double)values[c];
    }
    free(row);
    free(values);
}

/* The bits of one of 32 codes, in 4 bytes by 4. */
static inline void put_code(int kind, uint8_t *block, int c, unsigned code)
{
    if (kind == TILE_I8 || kind == TILE_U8) block[c] = (uint8_t)code;
    if (kind == TILE_U4) block[c % 16] |= (uint8_t)(code << 4 * (c / 16));
    if (kind == TILE_U3 || kind == TILE_U2) block[c % 8] |= (uint8_t)((code & 3) << 2 * (c / 8));
    if (kind == TILE_U3) block[8 + c % 4] |= (uint8_t)((code >> 2) << c / 4);
}

static inline int code_bits(int kind) { return kind == TILE_U4 ? 4 : kind == TILE_U3 ? 3 : kind == TILE_U2 ? 2 : 8; }

/* Scales and zero points of a tile; every weight is scale (code - zero), exactly. */
static inline void fill_codes(struct sample *s, struct pool *pool, int t, uint8_t *bytes, enum content content,
                              struct random *r)
{
    const bool sign = s->kind == TILE_I8;
    struct tile *tile = &s->tile[t];
    int64_t groups = 1 + random_below(r, 4);
    int32_t *group_of = pool_new(pool, s->cols / 32, sizeof *group_of);
    for (int64_t b = 0; b < s->cols / 32; b++) group_of[b] = (int32_t)random_below(r, (uint32_t)groups);
    groups *= TILE_ROWS;
    bool zeros = !sign || random_below(r, 2);
    uint8_t *scales = pool_new(pool, groups, sign ? sizeof(float) : sizeof(uint16_t));
    uint8_t *zero = zeros ? pool_new(pool, groups, 1) : NULL;
    double *scale = malloc((size_t)groups * sizeof *scale);
    assert_non_null(scale);
    for (int64_t i = 0; i < groups; i++) {
        uint16_t half = random_half(r, content);
        /* float32 has more bits */
        float single = f32_from_f16(half) * (content == TINY ? 0x1p-120f : 1.f + 0x1p-20f);
        if (zero) zero[i] = (uint8_t)random_below(r, sign ? 256 : 1u << code_bits(s->kind));
        memcpy(scales + i * (sign ? 4 : 2), sign ? (void *)&single : (void *)&half, sign ? 4 : 2);
        scale[i] = sign ? (double)single : (double)f32_from_f16(half);
    }
    uint8_t *row = malloc((size_t)(s->cols / 32 * s->format->bytes));
    assert_non_null(row);
    for (int i = 0; i < TILE_ROWS; i++) {
        memset(row, 0, (size_t)(s->cols / 32 * s->format->bytes));
        for (int64_t c = 0; c < s->cols; c++) {
            unsigned code = random_byte(r, content) & ((1u << code_bits(s->kind)) - 1);
            int64_t g = group_of[c / 32] * TILE_ROWS + i;
            int from = !zero ? 0 : sign ? (int8_t)zero[g] : zero[g];
            put_code(s->kind, row + c / 32 * s->format->bytes, (int)(c % 32), code);
            s->weight[(t * TILE_ROWS + i) * s->cols + c] = scale[g] * ((sign ? (int8_t)code : (int)code) - from);
        }
        put_row(s->format, row, s->cols, i, bytes);
    }
    free(row);
    free(scale);
    tile->group_of = group_of;
    tile->scales = scales;
    tile->zeros = zero;
}

static inline struct sample sample_new(struct pool *pool, int kind, int tiles, int64_t cols, enum content content,
                                       struct random *r)
{
    struct sample s = {.kind = kind, .tiles = tiles, .format = &kernels_at(0)->tiles[kind]->format, .cols = cols};
    uint8_t *bytes[MOST_TILES];
    assert_true(tiles <= MOST_TILES && cols % s.format->block == 0);
    s.weight = malloc((size_t)(tiles * TILE_ROWS * cols) * sizeof *s.weight);
    assert_non_null(s.weight);
    for (int t = 0; t < tiles; t++) {
        bytes[t] = pool_new(pool, cols / s.format->block * s.format->bytes * TILE_ROWS, 1);
        s.tile[t] = (struct tile){.bytes = bytes[t], .cols = cols};
        if (!is_ggml(kind)) fill_codes(&s, pool, t, bytes[t], content, r);
    }
    if (is_ggml(kind)) fill_blocks(&s, bytes, content, r);
    return s;
}

static inline void sample_free(struct sample *s) { free(s->weight); }

/* Where a format has no offsets, a touch of them ends the test. */
static inline struct panel panel_new(struct pool *pool, const struct tile_format *f, int64_t cols)
{
    struct panel p = {.codes = pool_new(pool, cols * TILE_ROWS, 1)};
    p.scales = pool_new(pool, cols / f->group * TILE_ROWS, sizeof *p.scales);
    p.offsets = f->offset ? pool_new(pool, cols / f->group * TILE_ROWS, sizeof *p.offsets) : NULL;
    return p;
}

/* --- inputs --- */

static inline struct quantized quantized_new(struct pool *pool, const struct tile_format *f, int64_t n, int64_t cols)
{
    struct quantized x = {.q = pool_new(pool, n * cols, 1)};
    x.d = pool_new(pool, n * (cols / f->block), sizeof *x.d);
    x.fix = pool_new(pool, n * (cols / f->group), sizeof *x.fix);
    x.sum = f->offset ? pool_new(pool, n * (cols / f->group), sizeof *x.sum) : NULL;
    return x;
}

static inline struct quantized quantized_row(const struct tile_format *f, const struct quantized *x, int64_t i,
                                             int64_t cols)
{
    int64_t groups = cols / f->group;
    return (struct quantized){x->q + i * cols, x->d + i * (cols / f->block), x->fix + i * groups,
                              f->offset ? x->sum + i * groups : NULL};
}

static inline void quantize_rows(const struct kernels *k, const struct tile_format *f, const float *x, int64_t n,
                                 int64_t cols, const struct quantized *out)
{
    for (int64_t i = 0; i < n; i++) {
        struct quantized row = quantized_row(f, out, i, cols);
        k->quantize_inputs(f, x + i * cols, cols, &row);
    }
}

static inline void fill_inputs(float *x, int64_t n, enum content content, struct random *r)
{
    for (int64_t i = 0; i < n; i++) {
        float v = (float)(2 * random_unit(r) - 1);
        x[i] = content == ZEROS   ? 0.f
               : content == LOW   ? -3.f
               : content == HIGH  ? (v < 0 ? -2.f : 2.f) /* all codes -127 or 127 */
               : content == LARGE ? v * 65504.f * 126.f
               : content == TINY  ? v * 1e-5f
                                  : v * 3.f;
    }
}

#endif
