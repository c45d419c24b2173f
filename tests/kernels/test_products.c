/* Products of quantized inputs and tiles of every kind, by every row of the table: the bits of tiles.h's formula with
 * the C library's fmaf, the value of double precision within the formula's own rounding, and the same bits for a row of
 * inputs whatever stands beside it. */
#include "tests/kernels/checks.h"

/* y of one row of inputs and row r of a panel. */
static float formula(const struct tile_format *f, const struct panel *w, int r, const struct quantized *x, int64_t cols)
{
    float total = 0;
    for (int64_t b = 0; b < cols / f->block; b++) {
        float inner = 0;
        for (int64_t g = b * (f->block / f->group); g < (b + 1) * (f->block / f->group); g++) {
            int sum = 0, plain = 0;
            for (int64_t c = g * f->group; c < (g + 1) * f->group; c++) {
                sum += (w->codes[c / 4 * 4 * TILE_ROWS + r * 4 + c % 4] - f->zero) * x->q[c];
                plain += x->q[c];
            }
            float scale = w->scales[g * TILE_ROWS + r];
            inner = g % (f->block / f->group) ? fmaf((float)sum, scale, inner) : (float)sum * scale;
            if (f->offset) inner = fmaf(w->offsets[g * TILE_ROWS + r], (float)plain, inner);
        }
        total = fmaf(inner, x->d[b], total);
    }
    return total;
}

struct products {
    struct pool in, out;
    struct sample s;
    struct panel w[MOST_TILES];
    int64_t n, stride;
    float *x, *y;
    struct quantized q;
};

static void products_run(struct products *p, const struct kernels *k, int kind, int tiles, int64_t n, int64_t cols,
                         enum content content, enum content inputs, enum buffer_place place, uint64_t seed)
{
    struct random r = {seed};
    *p = (struct products){.in = {.place = place}, .out = {.place = place}, .n = n, .stride = tiles * TILE_ROWS + 3};
    p->s = sample_new(&p->in, kind, tiles, cols, content, &r);
    p->x = pool_new(&p->in, n * cols, sizeof *p->x);
    fill_inputs(p->x, n * cols, inputs, &r);
    p->q = quantized_new(&p->in, p->s.format, n, cols);
    quantize_rows(k, p->s.format, p->x, n, cols, &p->q);
    for (int t = 0; t < tiles; t++) {
        p->w[t] = panel_new(&p->in, p->s.format, cols);
        k->tiles[kind]->unpack(&p->s.tile[t], &p->w[t]);
    }
    pool_seal(&p->in);
    p->y = pool_new(&p->out, (n - 1) * p->stride + tiles * TILE_ROWS, sizeof *p->y);
    k->products(p->s.format, p->w, tiles, &p->q, n, cols, p->y, p->stride);
}

static void products_free(struct products *p)
{
    pool_free(&p->in);
    pool_free(&p->out);
    sample_drop(&p->s);
}

/* Row i of the inputs against tile t by dot(), in memory of its own. */
static void assert_dot(const struct products *p, const struct kernels *k, int64_t i, int t, const float *wanted)
{
    struct pool pool = {.place = p->in.place};
    float *y = pool_new(&pool, TILE_ROWS, sizeof *y);
    struct quantized row = quantized_row(p->s.format, &p->q, i, p->s.cols);
    k->tiles[p->s.kind]->dot(&p->s.tile[t], &row, y);
    assert_same_floats(y, wanted, TILE_ROWS, p->s.format->name, k->name);
    pool_free(&pool);
}

static void assert_products(const struct products *p, const struct kernels *k)
{
    const struct tile_format *f = p->s.format;
    for (int64_t i = 0; i < p->n; i++) {
        struct quantized row = quantized_row(f, &p->q, i, p->s.cols);
        const float *y = p->y + i * p->stride;
        for (int t = 0; t < p->s.tiles; t++) {
            for (int r = 0; r < TILE_ROWS; r++) {
                float got = y[t * TILE_ROWS + r], wanted = formula(f, &p->w[t], r, &row, p->s.cols);
                double slack, value = sample_product(&p->s, t, r, &p->w[t], &row, &slack);
                assert_same_floats(&got, &wanted, 1, f->name, k->name);
                if (isfinite(slack)) assert_near((double)got, value, slack, f->name);
            }
            assert_dot(p, k, i, t, y + t * TILE_ROWS);
        }
        uint8_t gap[12];
        memset(gap, UNTOUCHED, sizeof gap);
        if (i + 1 < p->n) assert_memory_equal(y + p->s.tiles * TILE_ROWS, gap, sizeof gap);
    }
}

static bool has_kind(int kind) { return kernels_at(0)->tiles[kind] != NULL; }

/* All kinds of tiles with all kinds of inputs, by each row of the table, whose results are those of the first. */
static void test_formula(void **state)
{
    (void)state;
    for (int kind = 0; kind < TILE_KINDS; kind++)
        for (int turn = 0; has_kind(kind) && turn < CONTENTS * CONTENTS; turn++) {
            int64_t cols = kernels_at(0)->tiles[kind]->format.block * (1 + turn % 3);
            struct products c, p;
            enum content content = (enum content)(turn / CONTENTS), inputs = (enum content)(turn % CONTENTS);
            products_run(&c, kernels_at(0), kind, 2, 3, cols, content, inputs, BUFFER_AT_START, (uint64_t)turn);
            for (size_t t = 0; kernels_at(t); t++) {
                products_run(&p, kernels_at(t), kind, 2, 3, cols, content, inputs,
                             (enum buffer_place)(turn % BUFFER_PLACES), (uint64_t)turn);
                assert_products(&p, kernels_at(t));
                assert_same_floats(p.y, c.y, 2 * p.stride + 2 * TILE_ROWS, p.s.format->name, kernels_at(t)->name);
                for (int i = 0; (content == ZEROS || inputs == ZEROS) && i < 3 * 2 * TILE_ROWS; i++)
                    assert_true(p.y[i / (2 * TILE_ROWS) * p.stride + i % (2 * TILE_ROWS)] == 0.f);
                products_free(&p);
            }
            products_free(&c);
        }
}

static void test_long_rows(void **state)
{
    (void)state;
    for (int kind = 0; kind < TILE_KINDS; kind++)
        for (size_t t = 0; has_kind(kind) && kernels_at(t); t++) {
            struct products p;
            products_run(&p, kernels_at(t), kind, 1, 1, 16384, RANDOM, RANDOM, BUFFER_AT_END, (uint64_t)kind);
            assert_products(&p, kernels_at(t));
            products_free(&p);
        }
}

/* --- any number of rows and tiles --- */

enum { MOST_ROWS = 40, WIDTH = MOST_TILES * TILE_ROWS };

static void assert_any_number(const struct products *p, const struct kernels *k, int64_t n, int tiles)
{
    struct pool pool = {.place = n % 2 ? BUFFER_AT_END : BUFFER_AT_START};
    float *y = pool_new(&pool, n * tiles * TILE_ROWS, sizeof *y);
    k->products(p->s.format, p->w, tiles, &p->q, n, p->s.cols, y, tiles * TILE_ROWS);
    for (int64_t i = 0; i < n; i++)
        assert_same_floats(y + i * tiles * TILE_ROWS, p->y + i * p->stride, tiles * TILE_ROWS, p->s.format->name,
                           k->name);
    pool_free(&pool);
}

/* A row's bits depend neither on how many are multiplied at once nor on which. products() is given the format and what
 * is unpacked: kinds whose formats are alike are alike to it, so that one of them is tried with all numbers. */
static void test_any_rows_and_tiles(void **state)
{
    (void)state;
    bool seen[2][2][2][2] = {0};
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        if (!has_kind(kind)) continue;
        const struct tile_format *f = &kernels_at(0)->tiles[kind]->format;
        bool *same = &seen[f->block == 256][f->group == 16][f->wide][f->offset];
        for (size_t t = 0; kernels_at(t); t++) {
            struct products p;
            products_run(&p, kernels_at(t), kind, MOST_TILES, MOST_ROWS, f->block, RANDOM, RANDOM, BUFFER_AT_END, 7);
            for (int64_t i = 0; i < MOST_ROWS; i += *same ? 13 : 1)
                for (int tile = 0; tile < MOST_TILES; tile++)
                    assert_dot(&p, kernels_at(t), i, tile, p.y + i * p.stride + tile * TILE_ROWS);
            for (int64_t n = 1; n <= MOST_ROWS; n += *same ? 13 : 1)
                for (int tiles = 1; tiles <= MOST_TILES; tiles++) assert_any_number(&p, kernels_at(t), n, tiles);
            products_free(&p);
        }
        *same = true;
    }
}

/* --- what is not finite shows --- */

/* In an input: in all of its row's results, and in no other's. In a scale: in all results with it, and in no others. */
static void check_not_finite(int kind, const struct kernels *k, float bad, struct random *r)
{
    struct products p, q;
    int64_t cols = 2 * k->tiles[kind]->format.block;
    products_run(&p, k, kind, 2, 3, cols, RANDOM, RANDOM, BUFFER_AT_END, 11);
    struct pool pool = {.place = BUFFER_AT_END};
    q = p; /* but for its inputs */
    q.q = quantized_new(&pool, p.s.format, 3, cols);
    float *x = pool_new(&pool, 3 * cols, sizeof *x), *y = pool_new(&pool, 3 * p.stride, sizeof *y);
    memcpy(x, p.x, (size_t)(3 * cols) * sizeof *x);
    x[cols + (int64_t)random_below(r, (uint32_t)cols)] = bad;
    quantize_rows(k, p.s.format, x, 3, cols, &q.q);
    k->products(p.s.format, p.w, 2, &q.q, 3, cols, y, p.stride);
    assert_same_floats(y, p.y, 2 * TILE_ROWS, p.s.format->name, k->name);
    assert_same_floats(y + 2 * p.stride, p.y + 2 * p.stride, 2 * TILE_ROWS, p.s.format->name, k->name);
    for (int i = 0; i < 2 * TILE_ROWS; i++) assert_true(!isfinite(y[p.stride + i]));
    assert_dot(&q, k, 1, 1, y + p.stride + TILE_ROWS);

    struct panel w[2] = {p.w[0], p.w[1]};
    int64_t scales = cols / p.s.format->group * TILE_ROWS, at = random_below(r, (uint32_t)scales);
    float *changed = pool_new(&pool, scales, sizeof *changed);
    bool offset = p.s.format->offset && random_below(r, 2);
    memcpy(changed, offset ? w[1].offsets : w[1].scales, (size_t)scales * sizeof *changed);
    changed[at] = bad;
    *(offset ? &w[1].offsets : &w[1].scales) = changed;
    k->products(p.s.format, w, 2, &p.q, 3, cols, y, p.stride);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2 * TILE_ROWS; j++)
            if (j == TILE_ROWS + (int)(at % TILE_ROWS))
                assert_true(!isfinite(y[i * p.stride + j]));
            else
                assert_same_floats(y + i * p.stride + j, p.y + i * p.stride + j, 1, p.s.format->name, k->name);
    pool_free(&pool);
    products_free(&p);
}

/* The same by dot(), whose scales are those of the tile. */
static void check_scale_not_finite(int kind, const struct kernels *k, float bad, struct random *r)
{
    struct pool pool = {.place = BUFFER_AT_END};
    struct sample s = sample_new(&pool, kind, 1, k->tiles[kind]->format.block, RANDOM, r);
    const struct tile_format *f = s.format;
    float *x = pool_new(&pool, s.cols, sizeof *x), *y = pool_new(&pool, TILE_ROWS, sizeof *y);
    struct quantized q = quantized_new(&pool, f, 1, s.cols);
    fill_inputs(x, s.cols, RANDOM, r);
    quantize_rows(k, f, x, 1, s.cols, &q);
    int row = (int)random_below(r, TILE_ROWS), h = f->halves > 1 && is_scale(kind, 1) ? (int)random_below(r, 2) : 0;
    uint16_t half = f16_from_f32(bad);
    uint8_t *to = (uint8_t *)(uintptr_t)(is_ggml(kind) ? s.tile[0].bytes : s.tile[0].scales);
    if (kind == TILE_I8)
        memcpy(to + (size_t)(s.tile[0].group_of[0] * TILE_ROWS + row) * sizeof bad, &bad, sizeof bad);
    else if (is_ggml(kind))
        memcpy(to + (size_t)(h * TILE_ROWS + row) * sizeof half, &half, sizeof half);
    else
        memcpy(to + (size_t)(s.tile[0].group_of[0] * TILE_ROWS + row) * sizeof half, &half, sizeof half);
    k->tiles[kind]->dot(&s.tile[0], &q, y);
    for (int i = 0; i < TILE_ROWS; i++)
        if (isfinite(y[i]) != (i != row)) fail_msg("%s, %s: row %d is %g", f->name, k->name, i, (double)y[i]);
    pool_free(&pool);
    sample_drop(&s);
}

static void test_not_finite(void **state)
{
    (void)state;
    struct random r = {5};
    for (int kind = 0; kind < TILE_KINDS; kind++)
        for (size_t t = 0; has_kind(kind) && kernels_at(t); t++)
            for (int i = 0; i < 6; i++) {
                float bad = i % 3 ? i % 3 == 1 ? INFINITY : -INFINITY : NAN;
                check_not_finite(kind, kernels_at(t), bad, &r);
                check_scale_not_finite(kind, kernels_at(t), bad, &r);
            }
}

/* Finite inputs whose scale 16 bits cannot hold. */
static void test_inputs_too_large(void **state)
{
    (void)state;
    for (int kind = 0; kind < TILE_KINDS; kind++)
        for (size_t t = 0; has_kind(kind) && kernels_at(t); t++) {
            struct products p;
            const struct kernels *k = kernels_at(t);
            products_run(&p, k, kind, 1, 1, 256, RANDOM, RANDOM, BUFFER_AT_END, 13);
            struct pool pool = {.place = BUFFER_AT_END};
            struct quantized q = quantized_new(&pool, p.s.format, 1, 256);
            float *x = pool_new(&pool, 256, sizeof *x), *y = pool_new(&pool, TILE_ROWS, sizeof *y);
            for (int i = 0; i < 256; i++) x[i] = i == 100 ? 3e38f : 1.f;
            quantize_rows(k, p.s.format, x, 1, 256, &q);
            k->products(p.s.format, p.w, 1, &q, 1, 256, y, TILE_ROWS);
            for (int r = 0; r < TILE_ROWS; r++) {
                float wanted = formula(p.s.format, p.w, r, &q, 256);
                assert_same_floats(y + r, &wanted, 1, p.s.format->name, k->name);
                if (p.s.format->input == INPUT_Q8_0) assert_true(!isfinite(y[r]));
            }
            pool_free(&pool);
            products_free(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_any_rows_and_tiles),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_inputs_too_large),
    };
    return cmocka_run_group_tests_name("kernels/products", tests, NULL, NULL);
}
