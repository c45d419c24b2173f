/* Tiles of every kind, unpacked by every row of the table: the weights must be those that the exact decoders give for
 * the same bytes in the order of files. What is unpacked has the same bits everywhere. */
#include "tests/kernels/checks.h"

/* Every row has the same kinds, each with the same format; the blocks are those of the types, and no type of blocks that
 * can be decoded is without. */
static void test_formats(void **state)
{
    (void)state;
    for (size_t t = 0; kernels_at(t); t++) print_message("checking %s\n", kernels_at(t)->name);
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        const struct tile_kernels *c = kernels_at(0)->tiles[kind];
        for (size_t t = 0; kernels_at(t); t++) {
            const struct tile_kernels *k = kernels_at(t)->tiles[kind];
            assert_true(!k == !c);
            if (!k) continue;
            const struct tile_format *a = &c->format, *b = &k->format;
            assert_string_equal(a->name, b->name);
            assert_true(a->input == b->input && a->block == b->block && a->bytes == b->bytes && a->group == b->group);
            assert_true(a->halves == b->halves && memcmp(a->half_at, b->half_at, sizeof a->half_at) == 0);
            assert_true(a->zero == b->zero && a->wide == b->wide && a->offset == b->offset);
        }
        assert_true(c || (is_ggml(kind) && !(kernels_at(0)->decode[kind] && dtype_of(kind)->block > 1)));
        if (!c) continue;
        assert_true((c->format.input == INPUT_Q8_K) == (c->format.block == 256));
        if (is_ggml(kind)) {
            assert_int_equal(c->format.block, dtype_of(kind)->block);
            assert_int_equal(c->format.bytes, dtype_of(kind)->block_bytes);
            assert_string_equal(c->format.name, dtype_of(kind)->name);
            assert_non_null(kernels_at(0)->decode[kind]);
        }
    }
}

/* weight = scale (code - zero) + offset, rounded once; scales and offsets of all kinds have so few bits that they are
 * exact in float32, but for the product of a float32 scale and a zero point. */
static void assert_weights(const struct sample *s, int t, const struct panel *p, const char *isa)
{
    const struct tile_format *f = s->format;
    for (int r = 0; r < TILE_ROWS; r++)
        for (int64_t c = 0; c < s->cols; c++) {
            int code = p->codes[c / 4 * 4 * TILE_ROWS + r * 4 + c % 4];
            int64_t g = c / f->group * TILE_ROWS + r;
            double offset = f->offset ? (double)p->offsets[g] : 0;
            double got = (double)p->scales[g] * (code - f->zero) + offset;
            double wanted = s->weight[(t * TILE_ROWS + r) * s->cols + c];
            double slack = s->kind == TILE_I8 ? 0x1p-24 * fabs(offset) + 0x1p-150 : 0;
            if (is_ggml(s->kind)) got = (double)(float)got;
            if (!(fabs(got - wanted) <= slack))
                fail_msg("%s, %s: row %d, column %d is %.17g instead of %.17g", f->name, isa, r, (int)c, got, wanted);
            if (!f->wide && code > 127) fail_msg("%s, %s: code %d in a narrow format", f->name, isa, code);
        }
}

static void assert_same_panels(const struct tile_format *f, int64_t cols, const struct panel *a, const struct panel *b,
                               const char *isa)
{
    assert_memory_equal(a->codes, b->codes, (size_t)cols * TILE_ROWS);
    assert_same_floats(a->scales, b->scales, cols / f->group * TILE_ROWS, f->name, isa);
    if (f->offset) assert_same_floats(a->offsets, b->offsets, cols / f->group * TILE_ROWS, f->name, isa);
}

static void check_unpacking(int kind, int64_t cols, enum content content, enum buffer_place place, struct random *r)
{
    struct pool in = {.place = place};
    struct sample s = sample_new(&in, kind, 1, cols, content, r);
    pool_seal(&in);
    struct pool first = {.place = BUFFER_AT_START};
    struct panel c = panel_new(&first, s.format, cols);
    kernels_at(0)->tiles[kind]->unpack(&s.tile[0], &c);
    for (size_t t = 0; kernels_at(t); t++) {
        struct pool out = {.place = place};
        struct panel p = panel_new(&out, s.format, cols);
        kernels_at(t)->tiles[kind]->unpack(&s.tile[0], &p);
        assert_weights(&s, 0, &p, kernels_at(t)->name);
        assert_same_panels(s.format, cols, &p, &c, kernels_at(t)->name);
        pool_free(&out);
    }
    pool_free(&first);
    pool_free(&in);
    sample_drop(&s);
}

static void test_unpack(void **state)
{
    (void)state;
    struct random r = {1};
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        if (!kernels_at(0)->tiles[kind]) continue;
        int block = kernels_at(0)->tiles[kind]->format.block;
        for (int blocks = 1; blocks <= 4; blocks++)
            for (int content = 0; content < CONTENTS; content++)
                check_unpacking(kind, blocks * block, (enum content)content,
                                (enum buffer_place)((blocks + content) % BUFFER_PLACES), &r);
        check_unpacking(kind, 16384, RANDOM, BUFFER_AT_END, &r);
    }
}

/* Infinite scales and those that are no number stay so, in their row alone. */
static void test_scales_not_finite(void **state)
{
    (void)state;
    static const uint16_t bad[] = {0x7c00, 0xfc00, 0x7e00, 0xfe01, 0x7c01};
    struct random r = {2};
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        if (!kernels_at(0)->tiles[kind] || !is_ggml(kind)) continue;
        const struct tile_format *f = &kernels_at(0)->tiles[kind]->format;
        for (int h = 0; h < f->halves; h++)
            for (size_t i = 0; is_scale(kind, h) && i < sizeof bad / sizeof *bad; i++) {
                struct pool pool = {.place = BUFFER_AT_END};
                struct sample s = sample_new(&pool, kind, 1, f->block, HIGH, &r);
                int row = (int)random_below(&r, TILE_ROWS);
                memcpy((uint8_t *)(uintptr_t)s.tile[0].bytes + 2 * (h * TILE_ROWS + row), &bad[i], 2);
                for (size_t t = 0; kernels_at(t); t++) {
                    struct panel p = panel_new(&pool, f, f->block);
                    kernels_at(t)->tiles[kind]->unpack(&s.tile[0], &p);
                    const float *hit = h ? p.offsets : p.scales;
                    for (int at = 0; at < f->block / f->group * TILE_ROWS; at++) {
                        assert_int_equal(!isfinite(hit[at]), at % TILE_ROWS == row);
                        if (f->offset) assert_true(isfinite((h ? p.scales : p.offsets)[at]));
                    }
                }
                pool_free(&pool);
                sample_drop(&s);
            }
    }
}

/* --- exact math --- */

/* A row of inputs times row r of a tile's weights, in chunks as gemm() would be given them. */
static float chunked(const float *x, const float *weights, int r, int64_t cols)
{
    float total = 0;
    for (int64_t from = 0; from < cols; from += GEMM_CHUNK) {
        float sum = 0;
        for (int64_t c = from; c < cols && c < from + GEMM_CHUNK; c++)
            sum = fmaf(x[c], weights[c * TILE_ROWS + r], sum);
        total = from ? total + sum : sum;
    }
    return total;
}

static void check_weights(int kind, int64_t cols, enum content content, enum buffer_place place, struct random *r)
{
    enum { TILES = 2 };
    struct pool in = {.place = place};
    struct sample s = sample_new(&in, kind, TILES, cols, content, r);
    float *x = pool_new(&in, cols, sizeof *x);
    fill_inputs(x, cols, RANDOM, r);
    if (content == HIGH) x[random_below(r, (uint32_t)cols)] = random_below(r, 2) ? INFINITY : NAN;
    pool_seal(&in);
    for (size_t t = 0; kernels_at(t); t++) {
        const struct tile_kernels *k = kernels_at(t)->tiles[kind];
        const char *isa = kernels_at(t)->name;
        struct pool out = {.place = place};
        float *w = pool_new(&out, cols * TILE_ROWS, sizeof *w), *one = pool_new(&out, TILE_ROWS, sizeof *one);
        float *two = pool_new(&out, TILES * TILE_ROWS, sizeof *two);
        k->dot_weights(s.tile, TILES, x, two);
        for (int i = 0; i < TILES; i++) {
            k->weights(&s.tile[i], w);
            k->dot_weights(&s.tile[i], 1, x, one);
            assert_same_floats(one, two + i * TILE_ROWS, TILE_ROWS, s.format->name, isa);
            for (int row = 0; row < TILE_ROWS; row++) {
                for (int64_t c = 0; is_ggml(kind) && c < cols; c++) {
                    float wanted = (float)s.weight[(i * TILE_ROWS + row) * cols + c];
                    assert_same_floats(&w[c * TILE_ROWS + row], &wanted, 1, s.format->name, isa);
                }
                float wanted = chunked(x, w, row, cols);
                assert_same_floats(&one[row], &wanted, 1, s.format->name, isa);
            }
        }
        pool_free(&out);
    }
    pool_free(&in);
    sample_drop(&s);
}

/* The weights are the exact decoders', bit for bit; products with them are gemm()'s. */
static void test_weights(void **state)
{
    (void)state;
    struct random r = {3};
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        if (!kernels_at(0)->tiles[kind]) continue;
        int block = kernels_at(0)->tiles[kind]->format.block;
        for (int i = 0; i < 3 * CONTENTS; i++)
            check_weights(kind, block * (1 + i % 10), (enum content)(i % CONTENTS),
                          (enum buffer_place)(i / 2 % BUFFER_PLACES), &r);
    }
}

/* Zeros too have the decoders' sign, which shows where scales are negative and minima are none. */
static void test_signs_of_zeros(void **state)
{
    (void)state;
    enum { MOST = 256 };
    static const uint16_t halves[] = {0x0000, 0x8000, 0x3c00, 0xbc00};
    uint8_t row[MOST], tile[MOST * TILE_ROWS];
    float wanted[MOST], w[MOST * TILE_ROWS];
    struct random r = {4};
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        if (!kernels_at(0)->tiles[kind] || !is_ggml(kind)) continue;
        const struct tile_format *f = &kernels_at(0)->tiles[kind]->format;
        for (int i = 0; i < 3 * 16; i++) {
            for (int b = 0; b < f->bytes; b++)
                row[b] = random_byte(&r, i / 16 == 0 ? ZEROS : i / 16 == 1 ? HIGH : RANDOM);
            for (int h = 0; h < f->halves; h++)
                if (is_scale(kind, h)) memcpy(row + f->half_at[h], &halves[i >> 2 * h & 3], sizeof *halves);
            for (int at = 0; at < TILE_ROWS; at++) put_row(f, row, f->block, at, tile);
            kernels_at(0)->decode[kind](row, wanted, f->block);
            for (size_t t = 0; kernels_at(t); t++) {
                kernels_at(t)->tiles[kind]->weights(&(struct tile){.bytes = tile, .cols = f->block}, w);
                for (int c = 0; c < f->block; c++)
                    assert_same_floats(w + c * TILE_ROWS, wanted + c, 1, f->name, kernels_at(t)->name);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats), cmocka_unit_test(test_unpack),         cmocka_unit_test(test_scales_not_finite),
        cmocka_unit_test(test_weights), cmocka_unit_test(test_signs_of_zeros),
    };
    return cmocka_run_group_tests_name("kernels/tiles", tests, NULL, NULL);
}
