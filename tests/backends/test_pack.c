/* What packing does to weights: error bounds, exactness, refusals. */
#include "engine/backends/backend.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct tensor tensor_of(const void *data, enum dtype_id type, int64_t rows, int64_t cols)
{
    struct tensor t = {.name = "w", .type = type, .n_dims = 2, .shape = {rows, cols, 1, 1}, .data = data};
    assert_true(tensor_bytes(type, 2, t.shape, &t.bytes));
    return t;
}

static int pack(struct matrix *m, const float *w, int64_t rows, int64_t cols, const char *spec, struct error *e)
{
    struct backend_options how;
    assert_ok(backend_parse(&how, spec, e), e);
    struct tensor t = tensor_of(w, DTYPE_F32, rows, cols);
    return matrix_pack(m, &t, &how, NULL, e);
}

/* All rows, unpacked in one piece, and again row by row: the same. To be freed. */
static float *unpacked(const struct matrix *m)
{
    size_t n = (size_t)(m->rows * m->cols);
    float *whole = calloc(n, sizeof *whole), *row = calloc((size_t)m->cols, sizeof *row);
    assert_true(whole && row);
    matrix_unpack(m, 0, m->rows, whole);
    for (int64_t r = 0; r < m->rows; r++) {
        matrix_unpack(m, r, 1, row);
        assert_memory_equal(row, whole + r * m->cols, (size_t)m->cols * sizeof *row);
    }
    free(row);
    return whole;
}

/* Packing is the encoder on every row, whatever the row's number and neighbours. */
static void test_packed_rows(void **state)
{
    (void)state;
    static const char *const specs[] = {"f32", "f16", "bf16", "gguf:q8_0", "gguf:q4_0"};
    float w[5 * 96];
    fill_random(w, 5 * 96, 2.f, 11);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct matrix m;
        struct error e;
        uint8_t row[96 * 4];
        assert_ok(pack(&m, w, 5, 96, specs[i], &e), &e);
        assert_int_equal(m.bytes, 5 * m.row_bytes);
        for (int64_t r = 0; r < 5; r++) {
            kernels_get()->encode[m.type](w + r * 96, NULL, row, 96);
            assert_memory_equal(m.data + (size_t)r * m.row_bytes, row, m.row_bytes);
        }
        free(unpacked(&m));
        matrix_free(&m);
    }
}

/* Columns that do not divide into blocks: the matrix says that it is F16, and is. */
static void test_ragged_columns(void **state)
{
    (void)state;
    float w[3 * 40];
    fill_random(w, 3 * 40, 1.f, 5);
    struct matrix m, half;
    struct error e;
    assert_ok(pack(&m, w, 3, 40, "gguf:q4_0", &e), &e);
    assert_ok(pack(&half, w, 3, 40, "f16", &e), &e);
    assert_int_equal(m.type, DTYPE_F16);
    assert_int_equal(m.bytes, half.bytes);
    assert_memory_equal(m.data, half.data, m.bytes);
    matrix_free(&m);
    matrix_free(&half);
}

/* Weights that are stored the way that is asked for are used where they lie; all others are decoded and packed. */
static void test_adoption(void **state)
{
    (void)state;
    static const char *const specs[] = {"f32", "f16", "bf16", "gguf:q8_0", "gguf:q4_0"};
    enum { N = sizeof specs / sizeof *specs };
    float w[2 * 64];
    fill_random(w, 2 * 64, 1.f, 9);
    struct error e;
    for (size_t i = 0; i < N; i++) {
        struct matrix m, same, stored;
        struct backend_options how;
        assert_ok(pack(&m, w, 2, 64, specs[i], &e), &e);
        struct tensor t = tensor_of(m.data, m.type, 2, 64), u = t;
        assert_ok(backend_parse(&how, specs[i], &e), &e);
        assert_ok(matrix_pack(&same, &t, &how, NULL, &e), &e);
        assert_ok(matrix_pack(&stored, &u, NULL, NULL, &e), &e);
        assert_ptr_equal(same.data, m.data);
        assert_ptr_equal(stored.data, m.data);
        assert_null(same.owned);
        assert_ptr_equal(same.backend, how.backend);
        assert_ptr_equal(stored.backend, how.backend);
        float *values = unpacked(&stored);
        for (size_t k = 0; k < N; k++) { /* from this type to every type: as from its decoded values */
            struct matrix direct, decoded;
            struct tensor again = tensor_of(m.data, m.type, 2, 64);
            assert_ok(backend_parse(&how, specs[k], &e), &e);
            assert_ok(matrix_pack(&direct, &again, &how, NULL, &e), &e);
            assert_ok(pack(&decoded, values, 2, 64, specs[k], &e), &e);
            assert_int_equal(direct.type, decoded.type);
            if (k != i) assert_memory_equal(direct.data, decoded.data, direct.bytes);
            matrix_free(&direct);
            matrix_free(&decoded);
        }
        free(values);
        matrix_free(&stored);
        matrix_free(&same);
        matrix_free(&m);
    }
}

/* NaN and infinity in any place, under every backend and as stored: the place is named. */
static void test_not_finite(void **state)
{
    (void)state;
    static const char *const specs[] = {"f32",       "f16",      "bf16", "int8:absmax", "int8:absmax,per=tensor",
                                        "gguf:q8_0", "gguf:q4_0"};
    static const struct {
        float value;
        const char *says;
    } bad[] = {{NAN, "w: element [2, 37] is not a number: weights must be finite"},
               {INFINITY, "w: element [2, 37] is infinite: weights must be finite"},
               {-INFINITY, "w: element [2, 37] is infinite: weights must be finite"}};
    float w[4 * 64];
    struct matrix m;
    struct error e;
    for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
        fill_random(w, 4 * 64, 1.f, 2);
        w[2 * 64 + 37] = bad[b].value;
        w[3 * 64] = NAN; /* the first one is named */
        for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
            assert_error(pack(&m, w, 4, 64, specs[i], &e), &e, ERROR_NUMBER, bad[b].says);
            assert_null(m.owned);
        }
        struct tensor t = tensor_of(w, DTYPE_F32, 4, 64);
        assert_error(matrix_pack(&m, &t, NULL, NULL, &e), &e, ERROR_NUMBER, bad[b].says);
    }
    uint16_t half[64] = {0}; /* a NaN that is stored in 16 bits */
    half[63] = 0x7e00;
    struct tensor t = tensor_of(half, DTYPE_F16, 1, 64);
    assert_error(matrix_pack(&m, &t, NULL, NULL, &e), &e, ERROR_NUMBER, "w: element [0, 63] is not a number");
    uint8_t block[34] = {0, 0x7c, 1}; /* a block whose scale is infinite */
    t = tensor_of(block, DTYPE_Q8_0, 1, 32);
    assert_error(matrix_pack(&m, &t, NULL, NULL, &e), &e, ERROR_NUMBER, "w: element [0, 0] is infinite");
}

static void test_too_large(void **state)
{
    (void)state;
    struct matrix m;
    struct error e;
    float w[2 * 32] = {0};
    w[32 + 5] = 65519.f; /* the largest that still rounds to 65504 */
    assert_ok(pack(&m, w, 2, 32, "f16", &e), &e);
    matrix_free(&m);
    w[32 + 5] = -65520.f;
    assert_error(pack(&m, w, 2, 32, "f16", &e), &e, ERROR_NUMBER,
                 "w: element [1, 5] is too large for F16: use bf16 or f32");
    assert_ok(pack(&m, w, 2, 32, "gguf:q8_0", &e), &e); /* its scale is 65520 / 127 */
    matrix_free(&m);
    w[32 + 5] = 1e7f;
    assert_error(pack(&m, w, 2, 32, "gguf:q8_0", &e), &e, ERROR_NUMBER, "is too large for Q8_0");
    assert_error(pack(&m, w, 2, 32, "gguf:q4_0", &e), &e, ERROR_NUMBER, "is too large for Q4_0");
    w[32 + 5] = FLT_MAX;
    assert_error(pack(&m, w, 2, 32, "bf16", &e), &e, ERROR_NUMBER, "w: element [1, 5] is too large for BF16");
    assert_ok(pack(&m, w, 2, 32, "f32", &e), &e);
    matrix_free(&m);
}

static void test_refused(void **state)
{
    (void)state;
    struct matrix m;
    struct error e;
    struct backend_options how;
    uint8_t data[1024] = {0};
    assert_ok(backend_parse(&how, "f32", &e), &e);
    struct tensor vector = {.name = "v", .type = DTYPE_F32, .n_dims = 1, .shape = {8, 1, 1, 1}, .data = data};
    assert_error(matrix_pack(&m, &vector, &how, NULL, &e), &e, ERROR_INPUT, "v: has 1 dimensions, a matrix has 2");
    struct tensor unknown = tensor_of(data, DTYPE_IQ2_S, 1, 256);
    assert_error(matrix_pack(&m, &unknown, NULL, NULL, &e), &e, ERROR_INPUT, "w: type IQ2_S cannot be decoded");
    assert_error(matrix_pack(&m, &unknown, &how, NULL, &e), &e, ERROR_INPUT, "w: type IQ2_S cannot be decoded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_rows), cmocka_unit_test(test_ragged_columns), cmocka_unit_test(test_adoption),
        cmocka_unit_test(test_not_finite),  cmocka_unit_test(test_too_large),      cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("backends/pack", tests, NULL, NULL);
}
