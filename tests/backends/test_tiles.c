/* Tiles: which column goes where, what the bytes are, and that a matrix of any backend unpacks to the same bits before
 * and after it is made fast, with nothing left of what it was. */
#include "engine/backends/tiles.h"
#include "engine/base/file.h"
#include "engine/kernels/kernels.h"
#include "tests/backends/matrices.h"

#include <omp.h>
#include <stdio.h>

/* --- columns --- */

/* By the description in tiles.h: groups in order, each filled up to whole blocks of 32, its columns ascending. */
static void check_columns(int64_t cols, int64_t groups, const int32_t *group, int64_t size)
{
    struct tile_columns t;
    struct error e;
    assert_ok(tile_columns_new(&t, cols, groups, group, size, "w", &e), &e);
    assert_int_equal(t.groups, groups);
    int64_t at = 0;
    for (int64_t g = 0; g < groups; g++) {
        for (int64_t c = 0; c < cols; c++) {
            if ((group ? group[c] : c / size) != g) continue;
            assert_int_equal(t.order ? t.order[at] : at, c);
            assert_int_equal(t.group_of[at / 32], g);
            at++;
        }
        for (; at % 32; at++) {
            if (t.order) assert_int_equal(t.order[at], -1);
            if (!t.order) assert_true(at >= cols);
            assert_int_equal(t.group_of[at / 32], g);
        }
    }
    assert_int_equal(t.padded, at);
    tile_columns_free(&t);
    assert_null(t.group_of);
}

static void test_columns(void **state)
{
    (void)state;
    static const int64_t sizes[] = {8, 9, 31, 32, 33, 64, 100, 128, 1000};
    for (int64_t cols = 1; cols <= 300; cols += cols < 70 ? 1 : 23)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            check_columns(cols, (cols + sizes[i] - 1) / sizes[i], NULL, sizes[i]);
    struct random r = {1};
    for (int i = 0; i < 200; i++) {
        int32_t group[200];
        int64_t cols = 1 + random_below(&r, 200), groups = 1 + random_below(&r, 9);
        for (int64_t c = 0; c < cols; c++) group[c] = (int32_t)random_below(&r, (uint32_t)groups);
        check_columns(cols, groups, group, 1);
    }
}

/* Where columns lie in order there is no index: their inputs can be shared. */
static void test_order(void **state)
{
    (void)state;
    static const struct {
        int64_t cols, size;
        bool in_order;
    } cases[] = {{300, 32, true}, {300, 64, true}, {300, 300, true}, {5, 5, true}, {300, 40, false}, {64, 8, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tile_columns t;
        struct error e;
        int64_t groups = (cases[i].cols + cases[i].size - 1) / cases[i].size;
        assert_ok(tile_columns_new(&t, cases[i].cols, groups, NULL, cases[i].size, "w", &e), &e);
        assert_int_equal(!t.order, cases[i].in_order);
        tile_columns_free(&t);
    }
}

/* --- bytes --- */

/* What tiles.h says of a row's block: its halves first, then its dwords, each beside those of the other rows. */
static void assert_block(const struct tile_format *f, const uint8_t *row, const uint8_t *tile, int r)
{
    const uint8_t *dwords = tile + 2 * TILE_ROWS * f->halves;
    for (int h = 0; h < f->halves; h++) assert_memory_equal(tile + 2 * (h * TILE_ROWS + r), row + f->half_at[h], 2);
    for (int at = 0; at < f->bytes;) {
        bool half = false;
        for (int h = 0; h < f->halves; h++) half |= f->half_at[h] == at;
        if (!half) {
            assert_memory_equal(dwords + 4 * r, row + at, 4);
            dwords += 4 * TILE_ROWS;
        }
        at += half ? 2 : 4;
    }
}

static void check_bytes(const struct sort *s, int64_t rows)
{
    struct matrix m = matrix_of(s, rows, 1);
    if (m.data) {
        uint8_t *data = malloc(m.bytes);
        assert_non_null(data);
        memcpy(data, m.data, m.bytes);
        make_fast(&m);
        const struct dtype *d = dtype_of((int)m.type);
        size_t block = TILE_ROWS * d->block_bytes;
        assert_int_equal(m.tiles->count, (rows + TILE_ROWS - 1) / TILE_ROWS);
        assert_int_equal(m.tiles->tile_bytes, TILE_ROWS * m.row_bytes);
        for (int64_t r = 0; r < m.tiles->count * TILE_ROWS; r++)
            for (size_t b = 0; b < m.row_bytes / d->block_bytes; b++) {
                static const uint8_t zeros[256];
                const uint8_t *row = r < rows ? data + (size_t)r * m.row_bytes + b * d->block_bytes : zeros;
                const uint8_t *tile = tiles_tile(m.tiles, r / TILE_ROWS).bytes + b * block;
                int lane = (int)(r % TILE_ROWS);
                if (d->block > 1)
                    assert_block(&kernels_get()->tiles[m.type]->format, row, tile, lane);
                else
                    assert_memory_equal(tile + (size_t)lane * d->block_bytes, row, d->block_bytes);
            }
        free(data);
    }
    matrix_free(&m);
}

static void test_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SORTS; i++) {
        check_bytes(&sorts[i], 1);
        check_bytes(&sorts[i], 35);
    }
}

/* --- every backend --- */

/* Whole, and row by row from the last on. */
static void assert_unpacks(const struct matrix *m, const float *wanted, const char *spec)
{
    float *whole = weights_of(m), *row = calloc((size_t)m->cols, sizeof *row);
    size_t bytes = (size_t)m->cols * sizeof *row;
    assert_non_null(row);
    for (int64_t r = m->rows - 1; r >= 0; r--) {
        matrix_unpack(m, r, 1, row);
        if (memcmp(row, wanted + r * m->cols, bytes) || memcmp(whole + r * m->cols, wanted + r * m->cols, bytes))
            fail_msg("%s [%d, %d]: row %d is another", spec, (int)m->rows, (int)m->cols, (int)r);
    }
    free(row);
    free(whole);
}

/* Which kind of tiles a backend has. */
static void assert_kind(const struct matrix *m, const char *spec)
{
    const char *of = strchr(spec, ':');
    if (memcmp(spec, "int8", 4) == 0) assert_int_equal(m->tiles->kind, TILE_I8);
    if (memcmp(spec, "rtn", 3) && memcmp(spec, "act", 3)) return;
    assert_int_equal(m->tiles->kind, of[1] == '2'   ? TILE_U2
                                     : of[1] == '3' ? TILE_U3
                                     : of[1] == '4' ? TILE_U4
                                                    : TILE_U8);
}

static void check_same_weights(const struct sort *s, int64_t rows)
{
    struct matrix m = matrix_of(s, rows, 7);
    struct tensor t;
    struct error e;
    float *w = weights_of(&m);
    size_t bytes = m.bytes;
    make_fast(&m);
    assert_unpacks(&m, w, s->spec);
    assert_kind(&m, s->spec);
    assert_int_equal(m.bytes, bytes);
    assert_true((m.tiles->threshold > 0) == (s->input == APART));
    assert_true(!m.data && !m.owned);
    assert_true(!m.own == (s->input != APART)); /* int8:llm keeps its counts */
    assert_ok(matrix_to_f32(&m, "w", &t, &e), &e);
    assert_memory_equal(t.data, w, (size_t)(rows * s->cols) * sizeof *w);
    free(t.owned);
    free(w);
    matrix_free(&m);
}

static void test_same_weights(void **state)
{
    (void)state;
    static const int64_t rows[] = {1, 15, 16, 17, 70};
    for (size_t i = 0; i < SORTS; i++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) check_same_weights(&sorts[i], rows[r]);
}

/* Any number of threads makes the same tiles. */
static void test_threads(void **state)
{
    (void)state;
    int threads = omp_get_max_threads();
    for (size_t i = 0; i < SORTS; i++) {
        struct matrix a = matrix_of(&sorts[i], 70, 3), b = matrix_of(&sorts[i], 70, 3);
        omp_set_num_threads(1);
        make_fast(&a);
        omp_set_num_threads(3);
        make_fast(&b);
        omp_set_num_threads(threads);
        const struct tiles *t = a.tiles, *u = b.tiles;
        size_t grids = (size_t)(t->count * t->where.groups) * TILE_ROWS;
        assert_memory_equal(t->bytes, u->bytes, (size_t)t->count * t->tile_bytes);
        if (t->scales) assert_memory_equal(t->scales, u->scales, grids * (t->kind == TILE_I8 ? 4 : 2));
        if (t->zeros) assert_memory_equal(t->zeros, u->zeros, grids);
        matrix_free(&a);
        matrix_free(&b);
    }
}

/* Weights that were used where a file has them: the mapping stays as it is. */
static void test_mapped(void **state)
{
    (void)state;
    enum { ROWS = 70, COLS = 512 };
    char *folder = folder_temporary();
    float *w = calloc(ROWS * COLS, sizeof *w);
    assert_non_null(w);
    fill_weights(w, ROWS, COLS, 5);
    char *path = file_put(folder, "weights", w, ROWS * COLS * sizeof *w);
    struct file f;
    struct error e;
    assert_ok(file_map(&f, path, &e), &e);
    struct tensor t = {.name = "w", .type = DTYPE_F32, .n_dims = 2, .shape = {ROWS, COLS, 1, 1}, .data = f.data};
    t.bytes = f.size;
    struct matrix m;
    assert_ok(matrix_pack(&m, &t, NULL, NULL, &e), &e);
    assert_ptr_equal(m.data, f.data);
    make_fast(&m);
    assert_unpacks(&m, w, "mapped");
    assert_memory_equal(f.data, w, f.size);
    matrix_free(&m);
    file_unmap(&f);
    free(w);
    free(path);
    folder_remove(folder);
}

/* Who asks a fast matrix for its codes gets none, and no folder is written of it. */
static void test_gptq_codes(void **state)
{
    (void)state;
    struct matrix m = matrix_of(&(struct sort){"rtn:4", 64, BY_32, 128}, 32, 2);
    struct gptq_parts parts;
    struct error e;
    assert_ok(gptq_unadopt(&m, GPTQ_V1, &parts, &e), &e);
    gptq_parts_free(&parts);
    make_fast(&m);
    assert_null(gptq_codes_of(&m));
    assert_error(gptq_unadopt(&m, GPTQ_V1, &parts, &e), &e, ERROR_USAGE, "cannot be written in GPTQ's layout");
    matrix_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_columns),   cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_bytes),     cmocka_unit_test(test_same_weights),
                                       cmocka_unit_test(test_threads),   cmocka_unit_test(test_mapped),
                                       cmocka_unit_test(test_gptq_codes)};
    return cmocka_run_group_tests_name("backends/tiles", tests, NULL, NULL);
}
