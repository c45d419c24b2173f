/* The products on AMX tiles, on any machine: engine/kernels/amx/products.c, built here upon a tile unit in C and lanes
 * in C, gives the bits of the C row for every kind of tile and any number of rows, and does nothing that hardware would
 * end the process for. What the compiler made of it for the row "amx" is run too, where the CPU has AVX-512, with each
 * instruction on tiles that it lacks done by a handler. Where it has them, the checks of all rows of the table run that
 * row as it is. */
#define KERNELS_ISA c
#define KERNELS_LANES "engine/kernels/lanes/c.h"
#define KERNELS_AMX "tests/kernels/amx_unit.h"
#include "engine/kernels/amx/products.c"

#include "tests/kernels/amx_trap.h"
#include "tests/kernels/checks.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { MOST_ROWS = 70 };

typedef void products_function(const struct tile_format *f, const struct panel *w, int tiles, const struct quantized *x,
                               int64_t n, int64_t cols, float *y, int64_t stride);

/* --- the unit itself --- */

static const struct tile_setup good = {
    .palette = 1, .row_bytes = {32, 32, 64, 64, 64, 64, 64, 60}, .rows = {16, 5, 8, 16, 16, 5, 7, 16}};

/* A matrix [5, 32] times one of [32, 16] that lies in fours, as the sums say it. */
static void check_unit(bool sign, struct random *r)
{
    int8_t a[5][40];
    uint8_t b[8][16][4];
    int32_t sums[5][16], before[5][16];
    for (int i = 0; i < 5 * 40; i++) a[i / 40][i % 40] = (int8_t)(i % 3 ? random_below(r, 256) : 128);
    for (int i = 0; i < 8 * 64; i++) b[i / 64][i / 4 % 16][i % 4] = (uint8_t)(i % 3 ? random_below(r, 256) : 255);
    for (int i = 0; i < 80; i++) before[i / 16][i % 16] = (int32_t)random_below(r, 1 << 30) - (1 << 29);
    amx_reset();
    tile_configure(&good);
    tile_load(5, before, 64);
    tile_load(1, a, sizeof a[0]);
    tile_load(2, b, 64);
    if (sign)
        tile_dot_signed(5, 1, 2);
    else
        tile_dot_unsigned(5, 1, 2);
    tile_store(5, sums, 64);
    assert_string_equal(amx_unit.fault, "");
    for (int m = 0; m < 5; m++)
        for (int n = 0; n < 16; n++) {
            int32_t sum = before[m][n];
            for (int k = 0; k < 32; k++) sum += a[m][k] * (sign ? (int8_t)b[k / 4][n][k % 4] : b[k / 4][n][k % 4]);
            assert_int_equal(sums[m][n], sum);
        }
    tile_zero(5);
    tile_store(5, sums, 64);
    for (int i = 0; i < 80; i++) assert_int_equal(sums[i / 16][i % 16], 0);
    tile_release();
}

static void test_unit(void **state)
{
    (void)state;
    struct random r = {1};
    check_unit(true, &r);
    check_unit(false, &r);
    uint8_t to[7 + 16][64];
    memset(to, UNTOUCHED, sizeof to);
    tile_configure(&good);
    tile_store(6, to, 64);    /* 7 rows */
    tile_store(7, to[7], 64); /* 16 rows of 60 bytes */
    for (int i = 0; i < (int)sizeof to; i++)
        assert_int_equal(to[i / 64][i % 64], i < 7 * 64 || i % 64 < 60 ? 0 : UNTOUCHED);
}

static void assert_fault(const char *part)
{
    if (!strstr(amx_unit.fault, part)) fail_msg("\"%s\" instead of a fault: %s", amx_unit.fault, part);
    amx_reset();
    tile_configure(&good);
}

/* Each thing that hardware refuses, once. */
static void test_unit_faults(void **state)
{
    (void)state;
    uint8_t m[16 * 64] = {0};
    amx_reset();
    tile_zero(0);
    assert_fault("tilezero: tiles are not configured");
    tile_dot_signed(4, 0, 0);
    assert_fault("tdpbssd: the three tiles must differ");
    tile_dot_unsigned(4, 1, 2);
    assert_fault("tdpbsud: the tiles' shapes do not fit"); /* 16 rows of sums, 5 of inputs */
    tile_dot_unsigned(4, 0, 3);
    assert_fault("tdpbsud: the tiles' shapes do not fit"); /* 32 columns of inputs, 64 of codes */
    tile_dot_unsigned(7, 0, 2);
    assert_fault("tdpbsud: the tiles' shapes do not fit"); /* 15 sums of 16 */
    tile_release();
    tile_store(4, m, 64);
    assert_fault("tilestored: tiles are not configured");
    static const struct tile_setup bad[] = {
        {.palette = 2},
        {.palette = 1, .reserved = {[13] = 1}},
        {.palette = 1, .row_bytes = {[8] = 64}, .rows = {[8] = 16}},
        {.palette = 1, .row_bytes = {65}, .rows = {1}},
        {.palette = 1, .row_bytes = {64}, .rows = {17}},
        {.palette = 1, .row_bytes = {64}},
        {.palette = 1, .rows = {16}},
        {.palette = 1, .start_row = 3, .row_bytes = {64}, .rows = {16}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tile_configure(&bad[i]);
        assert_fault("ldtilecfg: ");
    }
    struct tile_setup odd = good;
    odd.row_bytes[5] = odd.row_bytes[2] = 62;
    tile_configure(&odd);
    tile_dot_signed(5, 1, 2);
    assert_fault("tdpbssd: rows must be whole dwords");
    struct tile_setup fewer = good;
    fewer.row_bytes[6] = fewer.rows[6] = 0;
    tile_configure(&fewer);
    tile_load(6, m, 64);
    assert_fault("tileloadd: no such tile");
    amx_reset();
}

/* --- products --- */

/* A matrix, inputs, and what the C row makes of them: a row's results do not depend on the rows and tiles beside it. */
struct fixture {
    struct pool pool;
    struct sample sample;
    struct panel w[MOST_TILES];
    struct quantized x;
    int64_t n;
    float *y; /* [n][tiles * TILE_ROWS] */
};

static struct fixture fixture_new(int kind, int tiles, int64_t n, int64_t cols, enum content content,
                                  enum buffer_place place, struct random *r)
{
    const struct kernels *c = kernels_at(0);
    struct fixture x = {.pool = {.place = place}, .n = n};
    x.sample = sample_new(&x.pool, kind, tiles, cols, content, r);
    const struct tile_format *f = x.sample.format;
    for (int t = 0; t < tiles; t++) {
        x.w[t] = panel_new(&x.pool, f, cols);
        c->tiles[kind]->unpack(&x.sample.tile[t], &x.w[t]);
    }
    x.x = quantized_new(&x.pool, f, n, cols);
    float *inputs = malloc((size_t)(n * cols) * sizeof *inputs);
    x.y = malloc((size_t)(n * tiles * TILE_ROWS) * sizeof *x.y);
    assert_true(inputs && x.y);
    fill_inputs(inputs, n * cols, content, r);
    quantize_rows(c, f, inputs, n, cols, &x.x);
    free(inputs);
    return x;
}

/* From here on nothing of it is written. */
static void fixture_seal(struct fixture *x)
{
    kernels_at(0)->products(x->sample.format, x->w, x->sample.tiles, &x->x, x->n, x->sample.cols, x->y,
                            x->sample.tiles * TILE_ROWS);
    pool_seal(&x->pool);
}

static void fixture_free(struct fixture *x)
{
    pool_free(&x->pool);
    sample_drop(&x->sample);
    free(x->y);
}

/* The first n rows of inputs and the first tiles give the bits that they have, and write nothing else. */
static void check(const struct fixture *x, products_function *products, int64_t n, int tiles)
{
    enum { BETWEEN = 5 };
    int64_t stride = tiles * TILE_ROWS + BETWEEN;
    struct pool pool = {.place = x->pool.place};
    float *y = pool_new(&pool, n * stride - BETWEEN, sizeof *y);
    products(x->sample.format, x->w, tiles, &x->x, n, x->sample.cols, y, stride);
    for (int64_t i = 0; i < n; i++) {
        char what[64];
        snprintf(what, sizeof what, "%s, row %d of %d, %d tiles, %d columns", x->sample.format->name, (int)i, (int)n,
                 tiles, (int)x->sample.cols);
        assert_same_floats(y + i * stride, x->y + i * x->sample.tiles * TILE_ROWS, tiles * TILE_ROWS, what, "amx");
        for (int j = 0; i < n - 1 && j < BETWEEN; j++) {
            static const uint8_t untouched[4] = {UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED};
            assert_memory_equal(y + i * stride + tiles * TILE_ROWS + j, untouched, sizeof untouched);
        }
    }
    pool_free(&pool);
}

/* And every tile was configured, multiplied and given back as it must be. `unit`: whether the unit in C did it. */
static void check_all(const struct fixture *x, products_function *products, int64_t n, int tiles, bool unit)
{
    const struct tile_format *f = x->sample.format;
    int64_t side = (n + 15) / 16, by_tiles = n < 16 ? 0 : n % 16 && n % 16 < 4 ? side - 1 : side;
    amx_reset();
    check(x, products, n, tiles);
    assert_string_equal(amx_unit.fault, "");
    assert_false(amx_unit.configured);
    if (!unit) return;
    assert_int_equal(amx_unit.configurations, by_tiles > 0);
    assert_int_equal(amx_unit.products, by_tiles * tiles * (x->sample.cols / f->group));
    assert_int_equal(amx_unit.stores, amx_unit.products);
}

static int64_t columns(int kind, int blocks) { return kernels_at(0)->tiles[kind]->format.block * blocks; }

/* Every kind; few columns and many, whole chunks of 256 and what is left of them. */
static void check_kinds(products_function *products, bool unit, const int64_t *rows, int count)
{
    struct random r = {2};
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        if (!kernels_at(0)->tiles[kind]) continue;
        static const int of_32[] = {1, 9, 19}, of_256[] = {1, 2, 3};
        for (int size = 0; size < 3; size++) {
            const int blocks = (columns(kind, 1) == 32 ? of_32 : of_256)[size];
            struct fixture x = fixture_new(kind, MOST_TILES, MOST_ROWS, columns(kind, blocks), RANDOM,
                                           (enum buffer_place)(size % BUFFER_PLACES), &r);
            fixture_seal(&x);
            for (int i = 0; i < count; i++)
                for (int tiles = 1; tiles <= MOST_TILES; tiles++)
                    if (size == 0 || tiles == 1 + (i + size) % MOST_TILES)
                        check_all(&x, products, rows[i], tiles, unit);
            fixture_free(&x);
        }
    }
}

static void test_every_kind(void **state)
{
    (void)state;
    int64_t rows[MOST_ROWS];
    for (int i = 0; i < MOST_ROWS; i++) rows[i] = i + 1;
    check_kinds(products_amx_c, true, rows, MOST_ROWS);
}

/* Codes, scales and inputs at their ends, with as many rows of inputs as are read and no byte more. */
static void test_extremes(void **state)
{
    (void)state;
    struct random r = {3};
    for (int kind = 0; kind < TILE_KINDS; kind++)
        for (int content = 0; kernels_at(0)->tiles[kind] && content < CONTENTS; content++) {
            const int n = 16 + (kind * CONTENTS + content) % 17, place = (kind + content) % BUFFER_PLACES;
            struct fixture x = fixture_new(kind, 3, n, columns(kind, columns(kind, 1) == 32 ? 11 : 2),
                                           (enum content)content, (enum buffer_place)place, &r);
            fixture_seal(&x);
            check_all(&x, products_amx_c, n, 3, true);
            fixture_free(&x);
        }
}

/* Scales and inputs that are infinite or no number reach the results that the C row has them in. */
static void test_not_finite(void **state)
{
    (void)state;
    struct random r = {4};
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        if (!kernels_at(0)->tiles[kind]) continue;
        struct fixture x =
            fixture_new(kind, 2, 35, columns(kind, columns(kind, 1) == 32 ? 10 : 2), RANDOM, BUFFER_AT_END, &r);
        const struct tile_format *f = x.sample.format;
        x.x.d[20 * (x.sample.cols / f->block) + 1] = NAN;
        x.w[0].scales[7] = INFINITY;
        x.w[1].scales[(x.sample.cols / f->group - 1) * TILE_ROWS + 3] = -INFINITY;
        if (f->offset) x.w[1].offsets[TILE_ROWS + 9] = NAN;
        fixture_seal(&x);
        int bad = 0;
        for (int i = 0; i < 35 * 2 * TILE_ROWS; i++) bad += !isfinite(x.y[i]);
        assert_true(bad >= 35 + 34 + 30);
        check_all(&x, products_amx_c, 35, 2, true);
        fixture_free(&x);
    }
}

/* Where a block's part is so small that the total becomes -0, it depends on the sign of the next block's zeros whether
 * that stays. */
static void test_zeros(void **state)
{
    (void)state;
    struct random r = {7};
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        if (!kernels_at(0)->tiles[kind]) continue;
        struct fixture x = fixture_new(kind, 2, 20, columns(kind, 2), RANDOM, BUFFER_AT_END, &r);
        const struct tile_format *f = x.sample.format;
        const int64_t cols = x.sample.cols, groups = cols / f->group;
        for (int t = 0; t < 2; t++)
            for (int64_t i = 0; i < groups * TILE_ROWS; i++) {
                x.w[t].scales[i] = -1e-30f;
                if (f->offset) x.w[t].offsets[i] = -1e-30f;
            }
        for (int64_t i = 0; i < 20 * cols; i++) x.x.q[i] = (int8_t)(i % cols < f->block ? i % 5 - 2 : 0);
        for (int64_t i = 0; i < 20 * 2; i++) x.x.d[i] = i % 2 ? 1.f : 1e-30f;
        for (int64_t i = 0; i < 20 * groups; i++) {
            int sum = 0;
            for (int j = 0; j < f->group; j++) sum += x.x.q[i * f->group + j];
            x.x.fix[i] = -f->zero * sum;
            if (f->offset) x.x.sum[i] = (float)sum;
        }
        fixture_seal(&x);
        int minus = 0;
        for (int i = 0; i < 20 * 2 * TILE_ROWS; i++) minus += bits_of_float(x.y[i]) == 0x80000000u;
        assert_true(minus > 0 || f->offset || f->block > 32); /* elsewhere sums begin with +0 */
        check_all(&x, products_amx_c, 20, 2, true);
        fixture_free(&x);
    }
}

/* A wide matrix, as models have them. */
static void test_wide(void **state)
{
    (void)state;
    struct random r = {5};
    static const int kinds[] = {DTYPE_Q8_0, DTYPE_Q4_K, DTYPE_Q6_K, TILE_I8};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct fixture x = fixture_new(kinds[i], 2, 18, 16384, i % 2 ? HIGH : RANDOM, BUFFER_AT_START, &r);
        fixture_seal(&x);
        check_all(&x, products_amx_c, 18, 2, true);
        check_all(&x, products_amx_c, 16, 1, true);
        fixture_free(&x);
    }
}

/* Threads do not see each other's tiles. */
static void test_threads(void **state)
{
    (void)state;
    struct random r = {6};
    struct fixture x = fixture_new(DTYPE_Q4_0, 2, 40, 320, RANDOM, BUFFER_AT_END, &r);
    fixture_seal(&x);
    float y[8][40 * 2 * TILE_ROWS];
    int faults = 0;
#pragma omp parallel for num_threads(4) reduction(+ : faults) schedule(static, 1)
    for (int i = 0; i < 8; i++) {
        amx_reset();
        products_amx_c(x.sample.format, x.w, 2, &x.x, 40, 320, y[i], 2 * TILE_ROWS);
        faults += amx_unit.fault[0] || amx_unit.configured;
    }
    assert_int_equal(faults, 0);
    for (int i = 0; i < 8; i++) assert_memory_equal(y[i], x.y, sizeof y[i]);
    fixture_free(&x);
}

#if defined(__x86_64__) && defined(__linux__)

static bool has_row(const char *name)
{
    for (size_t t = 0; kernels_at(t); t++)
        if (!strcmp(kernels_at(t)->name, name)) return true;
    return false;
}

/* CPUID leaf 7: AMX-TILE. */
static bool cpu_has_tiles(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 1);
}

/* What is in the library: no instruction on tiles works here, or all do. */
static void test_shipped(void **state)
{
    (void)state;
    if (!has_row("avx512")) {
        print_message("skipped: this CPU has no AVX-512, which the row \"amx\" needs beside tiles\n");
        skip();
    }
    if (cpu_has_tiles() && !amx_usable()) {
        print_message("skipped: this CPU has tiles, and the system does not give them\n");
        skip();
    }
    static const int64_t rows[] = {5, 16, 18, 23, 32, 37};
    trap_open();
    check_kinds(products_amx_avx512, false, rows, sizeof rows / sizeof *rows);
    trap_close();
    print_message("%s\n", trapped ? "each instruction on tiles was done by the handler" : "this CPU has tiles");
    assert_true(amx_usable() ? trapped == 0 : trapped > 10000);
}

/* The row is that of AVX-512 but for its name and products; without tiles it is refused by name. */
static void test_row(void **state)
{
    (void)state;
    struct error e;
    setenv("KERF_CPU", "amx", 1);
    if (!amx_usable()) {
        assert_false(has_row("amx"));
        assert_error(kernels_check(&e), &e, ERROR_USAGE, "KERF_CPU: amx: this CPU does not have it");
    } else {
        assert_ok(kernels_check(&e), &e);
        size_t t = 0;
        while (strcmp(kernels_at(t)->name, "avx512")) t++;
        const struct kernels *vectors = kernels_at(t), *tiles = kernels_at(t + 1);
        assert_string_equal(tiles->name, "amx");
        assert_true(tiles->products == products_amx_avx512 && tiles->gemm == vectors->gemm);
        assert_true(kernels_get() == tiles);
    }
    unsetenv("KERF_CPU");
}

#else

static void test_shipped(void **state)
{
    (void)state;
    print_message("skipped: AMX is of x86-64\n");
    skip();
}
static void test_row(void **state) { test_shipped(state); }

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unit),     cmocka_unit_test(test_unit_faults), cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_not_finite),  cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_wide),     cmocka_unit_test(test_threads),     cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_row),
    };
    return cmocka_run_group_tests_name("kernels/amx", tests, NULL, NULL);
}
