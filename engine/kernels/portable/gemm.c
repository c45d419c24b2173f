/* Products of float32, with one fused multiply-add a step in the order of the columns: see gemm in kernels.h. */
#include "engine/kernels/portable/tiles.h"

struct work {
    const float *a;
    int64_t lda;
    const float *b;
    int64_t b_row, b_tile, k;
    float *c;
    int64_t ldc;
};

ALWAYS_INLINE void multiply(const struct work *w, const int rows, const int tiles, enum gemm_mode mode)
{
    floats sum[GEMM_ROWS * GEMM_TILES];
    for (int i = 0; i < rows; i++)
        for (int t = 0; t < tiles; t++)
            sum[i * tiles + t] = mode == GEMM_ON ? floats_load(w->c + i * w->ldc + t * TILE_ROWS) : floats_all(0);
    const float *b = w->b;
    for (int64_t k = 0; k < w->k; k++, b += w->b_row) {
        floats v[GEMM_TILES];
        for (int t = 0; t < tiles; t++) v[t] = floats_load(b + t * w->b_tile);
        for (int i = 0; i < rows; i++) {
            floats x = floats_all(w->a[i * w->lda + k]);
            for (int t = 0; t < tiles; t++) sum[i * tiles + t] = floats_fma(x, v[t], sum[i * tiles + t]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int t = 0; t < tiles; t++) {
            float *c = w->c + i * w->ldc + t * TILE_ROWS;
            floats s = sum[i * tiles + t];
            floats_store(c, mode == GEMM_ADD ? floats_add(floats_load(c), s) : s);
        }
}

/* Rows of a that are read stay near for all tiles. */
ALWAYS_INLINE void all_tiles(struct work w, const int rows, int tiles, enum gemm_mode mode)
{
    for (; tiles >= GEMM_TILES; tiles -= GEMM_TILES, w.b += GEMM_TILES * w.b_tile, w.c += GEMM_TILES * TILE_ROWS)
        multiply(&w, rows, GEMM_TILES, mode);
    for (; GEMM_TILES > 1 && tiles; tiles--, w.b += w.b_tile, w.c += TILE_ROWS) multiply(&w, rows, 1, mode);
}

void KERNEL(gemm)(const float *a, int64_t lda, int64_t m, const float *b, int64_t b_row, int64_t b_tile, int tiles,
                  int64_t k, float *c, int64_t ldc, enum gemm_mode mode)
{
    struct work w = {a, lda, b, b_row, b_tile, k, c, ldc};
    while (m > 0) {
        int rows = m >= GEMM_ROWS ? GEMM_ROWS : m >= 4 ? 4 : m >= 2 ? 2 : 1;
        if (rows == GEMM_ROWS)
            all_tiles(w, GEMM_ROWS, tiles, mode);
        else if (rows == 4)
            all_tiles(w, 4, tiles, mode);
        else if (rows == 2)
            all_tiles(w, 2, tiles, mode);
        else
            all_tiles(w, 1, tiles, mode);
        w.a += rows * lda;
        w.c += rows * ldc;
        m -= rows;
    }
}

/* --- tiles of floats --- */

typedef float four __attribute__((vector_size(16)));

/* Those of the eight numbers of a and b that i to l name. Clang has one of the two only, and gcc before 12 the other. */
#if defined(__clang__)
#define PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int32_t picks __attribute__((vector_size(16)));
#define PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (picks){i, j, k, l})
#endif

/* 4 rows of 4 become columns. */
static inline void transpose_4(const float *rows, int64_t stride, float *out)
{
    four r[4];
    for (int i = 0; i < 4; i++) memcpy(&r[i], rows + i * stride, sizeof *r);
    four a = PICK(r[0], r[1], 0, 4, 1, 5), b = PICK(r[2], r[3], 0, 4, 1, 5);
    four c = PICK(r[0], r[1], 2, 6, 3, 7), d = PICK(r[2], r[3], 2, 6, 3, 7);
    const four t[4] = {PICK(a, b, 0, 1, 4, 5), PICK(a, b, 2, 3, 6, 7), PICK(c, d, 0, 1, 4, 5), PICK(c, d, 2, 3, 6, 7)};
    for (int i = 0; i < 4; i++) memcpy(out + i * TILE_ROWS, &t[i], sizeof *t);
}

void KERNEL(transpose)(const float *rows, int64_t stride, int64_t cols, float *out)
{
    int64_t c = 0;
    for (; c + 4 <= cols; c += 4)
        for (int r = 0; r < TILE_ROWS; r += 4) transpose_4(rows + r * stride + c, stride, out + c * TILE_ROWS + r);
    for (; c < cols; c++)
        for (int r = 0; r < TILE_ROWS; r++) out[c * TILE_ROWS + r] = rows[r * stride + c];
}

static inline floats load_f32(const uint8_t *p, int64_t c)
{
    floats a;
    memcpy(&a, p + c * 64, sizeof a);
    return a;
}
static inline floats load_f16(const uint8_t *p, int64_t c) { return floats_of_halves(p + c * 32); }
static inline floats load_bf16(const uint8_t *p, int64_t c) { return floats_of_bf16(p + c * 32); }

typedef floats load_function(const uint8_t *p, int64_t c);

ALWAYS_INLINE void unpack_floats(load_function *load, const uint8_t *tile, int64_t cols, float *out)
{
    for (int64_t c = 0; c < cols; c++) floats_store(out + c * TILE_ROWS, load(tile, c));
}

/* One row of inputs against `count` tiles, whose sums do not wait for each other. */
ALWAYS_INLINE void dot_some(load_function *load, const uint8_t *tiles, size_t tile_bytes, const int count,
                            const float *x, int64_t cols, float *y)
{
    floats total[4] = {floats_all(0), floats_all(0), floats_all(0), floats_all(0)};
    for (int64_t first = 0; first < cols; first += GEMM_CHUNK) {
        int64_t end = cols - first < GEMM_CHUNK ? cols : first + GEMM_CHUNK;
        floats sum[4] = {floats_all(0), floats_all(0), floats_all(0), floats_all(0)};
        for (int64_t c = first; c < end; c++) {
            floats v = floats_all(x[c]);
            for (int t = 0; t < count; t++) sum[t] = floats_fma(v, load(tiles + (size_t)t * tile_bytes, c), sum[t]);
        }
        for (int t = 0; t < count; t++) total[t] = first ? floats_add(total[t], sum[t]) : sum[t];
    }
    for (int t = 0; t < count; t++) floats_store(y + t * TILE_ROWS, total[t]);
}

ALWAYS_INLINE void dot_floats(load_function *load, const uint8_t *tiles, size_t tile_bytes, int64_t count,
                              const float *x, int64_t cols, float *y)
{
    for (; count >= 4; count -= 4, tiles += 4 * tile_bytes, y += 4 * TILE_ROWS)
        dot_some(load, tiles, tile_bytes, 4, x, cols, y);
    for (; count; count--, tiles += tile_bytes, y += TILE_ROWS) dot_some(load, tiles, tile_bytes, 1, x, cols, y);
}

#define FLOAT_TILES(type)                                                                                              \
    static void unpack_##type(const uint8_t *tile, int64_t cols, float *out)                                           \
    {                                                                                                                  \
        unpack_floats(load_##type, tile, cols, out);                                                                   \
    }                                                                                                                  \
    static void dot_##type(const uint8_t *tiles, size_t tile_bytes, int64_t count, const float *x, int64_t cols,       \
                           float *y)                                                                                   \
    {                                                                                                                  \
        dot_floats(load_##type, tiles, tile_bytes, count, x, cols, y);                                                 \
    }                                                                                                                  \
    const struct float_tile_kernels KERNEL(tile_##type) = {unpack_##type, dot_##type};
FLOAT_TILES(f32)
FLOAT_TILES(f16)
FLOAT_TILES(bf16)
