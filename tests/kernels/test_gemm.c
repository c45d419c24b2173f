/* Products of floats by every row of the table: the bits of fmaf() in the order of the columns, in each mode and for
 * any number of rows and tiles; tiles of floats, unpacked and multiplied; and fused multiply-adds in software against
 * the machine's or the C library's. */
#pragma GCC diagnostic ignored "-Wpsabi" /* no vector of c.h leaves this file */
#include "engine/kernels/lanes/c.h"
#include "tests/kernels/checks.h"

#include <float.h>

/* Values about 1, a few of them very large, very small, or not numbers. */
static void fill_floats(float *x, int64_t n, bool special, struct random *r)
{
    static const float values[] = {0.f, -0.f, 1e-45f, -FLT_MIN, FLT_MAX, 1e30f, -1e-30f, INFINITY, -INFINITY, NAN};
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(2 * random_unit(r) - 1);
        if (special && random_below(r, 40) == 0) x[i] = values[random_below(r, sizeof values / sizeof *values)];
    }
}

enum { MOST_ROWS = 40, PAST = 5 };

/* Shapes of one call; every stride is longer than need be. */
struct shape {
    int64_t m, k, lda, b_row, b_tile, ldc;
    int tiles;
    bool beside; /* tiles side by side in rows of b, not one after the other */
};

static struct shape shape_of(int64_t m, int tiles, int64_t k, bool beside)
{
    struct shape s = {.m = m, .k = k, .tiles = tiles, .lda = k + 1, .ldc = tiles * TILE_ROWS + PAST, .beside = beside};
    s.b_row = beside ? tiles * TILE_ROWS + PAST : TILE_ROWS;
    s.b_tile = beside ? TILE_ROWS : k * TILE_ROWS + PAST;
    return s;
}

static void check_gemm(const struct shape s, bool special, enum buffer_place place, struct random *r)
{
    struct pool pool = {.place = place};
    int64_t na = (s.m - 1) * s.lda + s.k, nc = (s.m - 1) * s.ldc + s.tiles * TILE_ROWS;
    int64_t nb = (s.tiles - 1) * s.b_tile + (s.k - 1) * s.b_row + TILE_ROWS;
    float *a = pool_new(&pool, na, sizeof *a), *b = pool_new(&pool, nb, sizeof *b);
    float *before = pool_new(&pool, nc, sizeof *before), *wanted = pool_new(&pool, nc, sizeof *wanted);
    fill_floats(a, na, special, r);
    fill_floats(b, nb, special, r);
    fill_floats(before, nc, special, r);
    float *c = pool_new(&pool, nc, sizeof *c);
    for (int mode = GEMM_SET; mode <= GEMM_ON; mode++) {
        memcpy(wanted, before, (size_t)nc * sizeof *c);
        for (int64_t i = 0; i < s.m; i++)
            for (int64_t j = 0; j < s.tiles * TILE_ROWS; j++) {
                float *to = &wanted[i * s.ldc + j], sum = mode == GEMM_ON ? *to : 0;
                for (int64_t k = 0; k < s.k; k++)
                    sum = fmaf(a[i * s.lda + k], b[j / TILE_ROWS * s.b_tile + k * s.b_row + j % TILE_ROWS], sum);
                *to = mode == GEMM_ADD ? *to + sum : sum;
            }
        for (size_t t = 0; kernels_at(t); t++) {
            memcpy(c, before, (size_t)nc * sizeof *c);
            kernels_at(t)->gemm(a, s.lda, s.m, b, s.b_row, s.b_tile, s.tiles, s.k, c, s.ldc, (enum gemm_mode)mode);
            assert_same_floats(c, wanted, nc, "gemm", kernels_at(t)->name);
        }
    }
    pool_free(&pool);
}

static void test_gemm(void **state)
{
    (void)state;
    struct random r = {1};
    for (int64_t m = 1; m <= MOST_ROWS; m++)
        for (int tiles = 1; tiles <= MOST_TILES; tiles++)
            check_gemm(shape_of(m, tiles, 1 + (m * 7 + tiles) % 19, m % 2), m % 3 == 0,
                       (enum buffer_place)((m + tiles) % BUFFER_PLACES), &r);
    for (int64_t k = 1; k <= 260; k += k < 70 ? 1 : 19)
        check_gemm(shape_of(3, 3, k, false), k % 3 == 0, BUFFER_AT_END, &r);
    check_gemm(shape_of(2, 1, 16384, false), false, BUFFER_AT_START, &r);
}

/* --- tiles of floats --- */

static const enum dtype_id float_types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};

/* All numbers of 16 bits are in turn among the weights. */
static void fill_float_tile(uint8_t *to, enum dtype_id type, int64_t n, bool special, struct random *r)
{
    for (int64_t i = 0; i < n; i++) {
        float x;
        fill_floats(&x, 1, special, r);
        uint16_t half = type == DTYPE_F16 ? f16_from_f32(x) : bf16_from_f32(x);
        if (special) half = (uint16_t)random_next(r);
        memcpy(to + (size_t)i * dtype_of((int)type)->block_bytes, type == DTYPE_F32 ? (void *)&x : (void *)&half,
               dtype_of((int)type)->block_bytes);
    }
}

/* One row against tiles, `gap` bytes between them: what decode() gives, multiplied by fmaf() in chunks. */
static void check_float_tiles(enum dtype_id type, int64_t count, int64_t cols, bool special, enum buffer_place place,
                              struct random *r)
{
    struct pool pool = {.place = place};
    size_t bytes = (size_t)(cols * TILE_ROWS) * dtype_of((int)type)->block_bytes, step = bytes + 32;
    uint8_t *tiles = pool_new(&pool, (count - 1) * (int64_t)step + (int64_t)bytes, 1);
    float *x = pool_new(&pool, cols, sizeof *x);
    for (int64_t t = 0; t < count; t++) fill_float_tile(tiles + t * (int64_t)step, type, cols * TILE_ROWS, special, r);
    fill_floats(x, cols, special, r);
    pool_seal(&pool);
    float *y = pool_new(&pool, count * TILE_ROWS, sizeof *y), *w = pool_new(&pool, cols * TILE_ROWS, sizeof *w);
    float *values = malloc((size_t)(cols * TILE_ROWS) * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; kernels_at(i); i++) {
        const struct kernels *k = kernels_at(i);
        memset(y, UNTOUCHED, (size_t)(count * TILE_ROWS) * sizeof *y);
        k->float_tiles[type]->dot(tiles, step, count, x, cols, y);
        for (int64_t t = 0; t < count; t++) {
            kernels_at(0)->decode[type](tiles + t * (int64_t)step, values, cols * TILE_ROWS);
            k->float_tiles[type]->unpack(tiles + t * (int64_t)step, cols, w);
            assert_same_floats(w, values, cols * TILE_ROWS, "unpacked floats", k->name);
            for (int row = 0; row < TILE_ROWS; row++) {
                float total = 0;
                for (int64_t from = 0; from < cols; from += GEMM_CHUNK) {
                    float sum = 0;
                    for (int64_t c = from; c < cols && c < from + GEMM_CHUNK; c++)
                        sum = fmaf(x[c], values[c * TILE_ROWS + row], sum);
                    total = from ? total + sum : sum;
                }
                assert_same_floats(y + t * TILE_ROWS + row, &total, 1, dtype_of((int)type)->name, k->name);
            }
        }
    }
    free(values);
    pool_free(&pool);
}

static void test_float_tiles(void **state)
{
    (void)state;
    struct random r = {2};
    for (size_t i = 0; i < sizeof float_types / sizeof *float_types; i++) {
        for (int64_t count = 1; count <= 9; count++)
            for (int special = 0; special < 2; special++)
                check_float_tiles(float_types[i], count, 1 + (count * 37) % 70, special,
                                  (enum buffer_place)(count % BUFFER_PLACES), &r);
        for (int64_t cols = GEMM_CHUNK - 1; cols <= 4 * GEMM_CHUNK; cols += cols % GEMM_CHUNK < 2 ? 1 : GEMM_CHUNK - 3)
            check_float_tiles(float_types[i], 5, cols, false, BUFFER_AT_END, &r);
        check_float_tiles(float_types[i], 1, 16384, false, BUFFER_AT_END, &r);
    }
}

/* dot() of tiles is gemm() in chunks: the first put in its place, the others added. */
static void test_chunks(void **state)
{
    (void)state;
    enum { COLS = 1000, TILES = 3 };
    static float x[COLS], b[TILES * COLS * TILE_ROWS], y[TILES * TILE_ROWS], c[TILES * TILE_ROWS];
    struct random r = {3};
    fill_floats(x, COLS, false, &r);
    fill_floats(b, TILES * COLS * TILE_ROWS, false, &r);
    for (size_t t = 0; kernels_at(t); t++) {
        const struct kernels *k = kernels_at(t);
        const size_t step = COLS * TILE_ROWS * sizeof *b;
        k->float_tiles[DTYPE_F32]->dot((const uint8_t *)b, step, TILES, x, COLS, y);
        for (int64_t from = 0; from < COLS; from += GEMM_CHUNK)
            k->gemm(x + from, COLS, 1, b + from * TILE_ROWS, TILE_ROWS, COLS * TILE_ROWS, TILES,
                    COLS - from < GEMM_CHUNK ? COLS - from : GEMM_CHUNK, c, 99, from ? GEMM_ADD : GEMM_SET);
        assert_same_floats(y, c, TILES * TILE_ROWS, "dot of tiles", k->name);
    }
}

/* --- fused multiply-adds --- */

/* Factors b and an addend c for which one rounding of a b + c is hard to get right. */
static void hard_case(float a, float *b, float *c, struct random *r)
{
    static const float special[] = {0.f,      -0.f,      1e-45f,        -1e-45f,       FLT_MIN, 0x1.fffffcp-127f,
                                    1.f,      -1.f,      0x1.000002p0f, 0x1.fffffep0f, FLT_MAX, -FLT_MAX,
                                    INFINITY, -INFINITY, NAN,           0x1p-149f,     0x1p127f};
    enum { SPECIAL = sizeof special / sizeof *special };
    float sign = random_below(r, 2) ? 1.f : -1.f, product;
    *b = sign * ldexpf((float)(1 + 2 * random_below(r, 1 << (3 + random_below(r, 20)))), (int)random_below(r, 60) - 40);
    product = a * *b;
    switch (random_below(r, 8)) {
    case 0: /* any bits */
        *b = float_of_bits((uint32_t)random_next(r));
        *c = float_of_bits((uint32_t)random_next(r));
        break;
    case 1: /* what is left of the product when its first half is taken away */
        *c = -product;
        break;
    case 2: /* nearly as large as the product */
        *c = -product * (float)(1 + ldexp(random_unit(r) - 0.5, -(int)random_below(r, 24)));
        break;
    case 3: /* far below its last bit, where that decides a tie */
        *c = product * ldexpf(sign, -24 - (int)random_below(r, 60));
        break;
    case 4: /* far above its first */
        *c = product * ldexpf(sign, (int)random_below(r, 60));
        break;
    case 5: /* results without a leading bit, or none */
        *b = ldexpf(*b, -120 - (int)random_below(r, 40));
        *c = sign * ldexpf((float)random_below(r, 1 << 24), -149 - (int)random_below(r, 2));
        break;
    case 6: /* about the largest */
        *b = FLT_MAX / a * (float)(1 + ldexp(random_unit(r) - 0.5, -(int)random_below(r, 26)));
        *c = sign * ldexpf((float)random_unit(r), 80 + (int)random_below(r, 48));
        break;
    default:
        if (random_below(r, 2)) *b = special[random_below(r, SPECIAL)];
        *c = special[random_below(r, SPECIAL)];
    }
}

static float hard_factor(struct random *r)
{
    if (random_below(r, 8) == 0) return float_of_bits((uint32_t)random_next(r));
    /* an odd number: products of two short ones end in the bit after a float32's last */
    return ldexpf((float)(1 + 2 * random_below(r, 1 << (3 + random_below(r, 20)))), (int)random_below(r, 40) - 20);
}

static void assert_fused(float a, float b, float c, float got, const char *isa)
{
    float wanted = fmaf(a, b, c);
    if (!same_float(got, wanted))
        fail_msg("%s: %a %a + %a is %a instead of %a", isa, (double)a, (double)b, (double)c, (double)got,
                 (double)wanted);
}

static void test_fused(void **state)
{
    (void)state;
    struct random r = {4};
    float b[TILE_ROWS], c[TILE_ROWS], y[TILE_ROWS];
    for (size_t turn = 0; turn < 25000 * test_items(12); turn++) {
        float a = hard_factor(&r);
        for (int i = 0; i < TILE_ROWS; i++) {
            hard_case(a, &b[i], &c[i], &r);
            assert_fused(a, b[i], c[i], fma_one(a, b[i], c[i]), "fma_one");
        }
        for (size_t t = 0; kernels_at(t); t++) {
            memcpy(y, c, sizeof y);
            kernels_at(t)->gemm(&a, 1, 1, b, TILE_ROWS, TILE_ROWS, 1, 1, y, TILE_ROWS, GEMM_ON);
            for (int i = 0; i < TILE_ROWS; i++) assert_fused(a, b[i], c[i], y[i], kernels_at(t)->name);
        }
    }
}

/* All of the numbers where something ends, by threes. */
static void test_fused_ends(void **state)
{
    (void)state;
    static const uint32_t ends[] = {0,          1,          2,          0x007fffff, 0x00800000, 0x00800001,
                                    0x33800000, 0x34000000, 0x3effffff, 0x3f000000, 0x3f7fffff, 0x3f800000,
                                    0x3f800001, 0x3f800003, 0x3fffffff, 0x4b000000, 0x4b7fffff, 0x4b800001,
                                    0x7f000000, 0x7f7ffffe, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000};
    enum { ENDS = 2 * sizeof ends / sizeof *ends };
    float x[ENDS];
    for (size_t i = 0; i < ENDS; i++) x[i] = float_of_bits(ends[i / 2] | (i % 2 ? 0x80000000u : 0));
    for (size_t i = 0; i < ENDS; i++)
        for (size_t j = 0; j < ENDS; j++)
            for (size_t k = 0; k < ENDS; k++) assert_fused(x[i], x[j], x[k], fma_one(x[i], x[j], x[k]), "fma_one");
    _Static_assert(ENDS % TILE_ROWS == 0, "all of them, a tile's rows at a time");
    for (size_t t = 0; kernels_at(t); t++)
        for (size_t n = 0; n < ENDS * ENDS * ENDS; n += TILE_ROWS) {
            const float a = x[n / ENDS / ENDS], *c = x + n % ENDS;
            float b[TILE_ROWS], y[TILE_ROWS];
            for (size_t r = 0; r < TILE_ROWS; r++) b[r] = x[n / ENDS % ENDS];
            memcpy(y, c, sizeof y);
            kernels_at(t)->gemm(&a, 1, 1, b, TILE_ROWS, TILE_ROWS, 1, 1, y, TILE_ROWS, GEMM_ON);
            for (size_t r = 0; r < TILE_ROWS; r++) assert_fused(a, b[r], c[r], y[r], kernels_at(t)->name);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),  cmocka_unit_test(test_float_tiles), cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_fused), cmocka_unit_test(test_fused_ends),
    };
    return cmocka_run_group_tests_name("kernels/gemm", tests, NULL, NULL);
}
