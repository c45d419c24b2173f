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
    return matrix_pack(m, &t, &how, e);
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

static float most_of(const float *w, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(w[i]));
    return most;
}

/* |w - s q| <= s / 2 with s = max |w| / 127, and a little for float32: of w / s, half an ulp of q = 127 (127 x 2^-24
 * steps); of s itself, 2^-24 of it or half the smallest float, times 127. */
static void assert_absmax(const float *w, int64_t rows, int64_t cols, bool per_tensor)
{
    struct matrix m;
    struct error e;
    assert_ok(pack(&m, w, rows, cols, per_tensor ? "int8:absmax,per=tensor" : "int8:absmax", &e), &e);
    assert_int_equal(m.type, DTYPE_I8);
    assert_int_equal(m.bytes, (size_t)(rows * cols) + 4 * (size_t)(per_tensor ? 1 : rows));
    float *back = unpacked(&m);
    for (int64_t r = 0; r < rows; r++) {
        float most = per_tensor ? most_of(w, (size_t)(rows * cols)) : most_of(w + r * cols, (size_t)cols);
        double s = (double)most / 127, slack = 127 * (s * 0x1p-22 + 0x1p-150);
        assert_near(m.scales[r * m.scale_step], s, s * 0x1p-23 + 0x1p-150, "a scale");
        for (int64_t c = r * cols; c < (r + 1) * cols; c++) {
            assert_int_not_equal((int8_t)m.data[c], -128);
            assert_near(back[c], w[c], s / 2 + slack, "a weight");
        }
    }
    free(back);
    matrix_free(&m);
}

static void test_absmax_bound(void **state)
{
    (void)state;
    for (int power = -149; power <= 127; power += 3) {
        float w[7 * 33];
        fill_random(w, 7 * 33, ldexpf(1.f, power), (uint64_t)(power + 200));
        memset(w + 33, 0, 33 * sizeof *w);                          /* a row of zeros */
        for (int c = 66; c < 99; c++) w[c] = ldexpf(-0.75f, power); /* a constant row */
        w[100] = -ldexpf(1.f, power);                               /* the extreme is negative */
        assert_absmax(w, 7, 33, false);
        assert_absmax(w, 7, 33, true);
    }
}

static void test_absmax_special(void **state)
{
    (void)state;
    static const float rows[][4] = {
        {0.f, 0.f, 0.f, 0.f},           {1e-45f, 0.f, -1e-45f, 0.f},      {1e-40f, 5e-41f, -2e-41f, 0.f},
        {1e-37f, 5e-38f, -2e-38f, 0.f}, {-FLT_MAX, FLT_MAX, 1.f, -1e38f}, {-3.f, -3.f, -3.f, -3.f},
        {-0.f, 127.f, -127.f, 63.5f},   {FLT_MIN, -FLT_MIN, 0.f, 0.f},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_absmax(rows[i], 1, 4, false);
        assert_absmax(rows[i], 1, 4, true);
        assert_absmax(rows[i], 4, 1, false);
    }
    struct matrix m; /* whole numbers up to 127 are exact; halves go to the even neighbour */
    struct error e;
    static const float exact[] = {127.f, -127.f, 5.f, -64.f, 0.5f, 1.5f, -0.5f, -2.5f};
    assert_ok(pack(&m, exact, 1, 8, "int8:absmax", &e), &e);
    assert_memory_equal(m.data, ((int8_t[]){127, -127, 5, -64, 0, 2, 0, -2}), 8);
    matrix_free(&m);
}

/* One large value spoils a whole matrix with one scale, and only its row with a scale a row. */
static void test_scales_are_apart(void **state)
{
    (void)state;
    float w[2 * 32];
    fill_random(w, 64, 1.f, 3);
    w[32] = 1000;
    struct matrix rows, one;
    struct error e;
    assert_ok(pack(&rows, w, 2, 32, "int8:absmax", &e), &e);
    assert_ok(pack(&one, w, 2, 32, "int8:absmax,per=tensor", &e), &e);
    float *a = unpacked(&rows), *b = unpacked(&one);
    for (int i = 0; i < 32; i++) {
        assert_near(a[i], w[i], 0.5 / 127 + 1e-6, "row of its own");
        assert_true(b[i] == 0); /* below half of 1000 / 127 */
    }
    free(a);
    free(b);
    matrix_free(&rows);
    matrix_free(&one);
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
        assert_ok(matrix_pack(&same, &t, &how, &e), &e);
        assert_ok(matrix_pack(&stored, &u, NULL, &e), &e);
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
            assert_ok(matrix_pack(&direct, &again, &how, &e), &e);
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
        assert_error(matrix_pack(&m, &t, NULL, &e), &e, ERROR_NUMBER, bad[b].says);
    }
    uint16_t half[64] = {0}; /* a NaN that is stored in 16 bits */
    half[63] = 0x7e00;
    struct tensor t = tensor_of(half, DTYPE_F16, 1, 64);
    assert_error(matrix_pack(&m, &t, NULL, &e), &e, ERROR_NUMBER, "w: element [0, 63] is not a number");
    uint8_t block[34] = {0, 0x7c, 1}; /* a block whose scale is infinite */
    t = tensor_of(block, DTYPE_Q8_0, 1, 32);
    assert_error(matrix_pack(&m, &t, NULL, &e), &e, ERROR_NUMBER, "w: element [0, 0] is infinite");
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
    assert_error(matrix_pack(&m, &vector, &how, &e), &e, ERROR_INPUT, "v: has 1 dimensions, a matrix has 2");
    struct tensor unknown = tensor_of(data, DTYPE_Q6_K, 1, 256);
    assert_error(matrix_pack(&m, &unknown, NULL, &e), &e, ERROR_INPUT, "w: type Q6_K cannot be decoded");
    assert_error(matrix_pack(&m, &unknown, &how, &e), &e, ERROR_INPUT, "w: type Q6_K cannot be decoded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absmax_bound),     cmocka_unit_test(test_absmax_special),
        cmocka_unit_test(test_scales_are_apart), cmocka_unit_test(test_packed_rows),
        cmocka_unit_test(test_ragged_columns),   cmocka_unit_test(test_adoption),
        cmocka_unit_test(test_not_finite),       cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("backends/pack", tests, NULL, NULL);
}
