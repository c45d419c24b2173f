/* int8: error bounds from the definitions, what scales reach over, and the inputs of int8:llm against double
 * precision. */
#include "engine/backends/backend.h"
#include "engine/models/model.h"
#include "tests/testing.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int pack_at(struct matrix *m, const float *w, int64_t rows, int64_t cols, const char *spec,
                   const struct place *at, struct error *e)
{
    struct backend_options how;
    assert_ok(backend_parse(&how, spec, e), e);
    struct tensor t = {.name = "w", .type = DTYPE_F32, .n_dims = 2, .shape = {rows, cols, 1, 1}, .data = w};
    t.bytes = (size_t)(rows * cols) * sizeof *w;
    return matrix_pack(m, &t, &how, at, e);
}

static struct matrix packed(const float *w, int64_t rows, int64_t cols, const char *spec)
{
    struct matrix m;
    struct error e;
    assert_ok(pack_at(&m, w, rows, cols, spec, NULL, &e), &e);
    return m;
}

/* All rows, last one first. To be freed. */
static float *unpacked(const struct matrix *m)
{
    float *w = calloc((size_t)(m->rows * m->cols), sizeof *w);
    assert_non_null(w);
    for (int64_t r = m->rows - 1; r >= 0; r--) matrix_unpack(m, r, 1, w + r * m->cols);
    return w;
}

/* What becomes of weights. To be freed. */
static float *through(const float *w, int64_t rows, int64_t cols, const char *spec)
{
    struct matrix m = packed(w, rows, cols, spec);
    float *back = unpacked(&m);
    matrix_free(&m);
    return back;
}

static double rms(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / (double)n);
}

/* --- error bounds --- */

enum per { ROW, TENSOR, BLOCK, PERS };

struct scheme {
    bool zeropoint;
    enum per per;
    int64_t block;
};

static const char *scheme_spec(const struct scheme *s, char spec[64])
{
    static const char *const pers[] = {"row", "tensor", "block"};
    int n = snprintf(spec, 64, "int8:%s,per=%s", s->zeropoint ? "zeropoint" : "absmax", pers[s->per]);
    if (s->per == BLOCK) snprintf(spec + n, 64 - (size_t)n, ",block=%d", (int)s->block);
    return spec;
}

/* Half of the step that the definition gives to these weights, and what float32 adds. absmax: half an ulp of the code
 * 127, and the rounding of s (half of the smallest float, or 2^-24 of it), 127 times. zeropoint: s is rounded up, and
 * the product of s and a code of up to 255 to the nearest. */
static double bound(const struct scheme *s, const float *w, size_t n)
{
    double low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, (double)w[i]);
        high = fmax(high, (double)w[i]);
    }
    double step = s->zeropoint ? (high - low) / 255 : fmax(high, -low) / 127;
    if (s->zeropoint) return (step * (1 + 0x1p-22) + 0x1p-149) / 2 + 255 * step * 0x1p-24 + 0x1p-150;
    return step / 2 + 127 * (step * 0x1p-22 + 0x1p-150);
}

static void assert_block(const struct scheme *s, const float *w, const float *back, int64_t n, double most)
{
    char spec[64];
    for (int64_t i = 0; i < n; i++) {
        if (w[i] == 0) assert_true(back[i] == 0);
        assert_near(back[i], w[i], most, scheme_spec(s, spec));
    }
}

static void assert_bounds(const struct scheme *s, const float *w, int64_t rows, int64_t cols)
{
    char spec[64];
    struct matrix m = packed(w, rows, cols, scheme_spec(s, spec));
    float *back = unpacked(&m);
    int64_t block = s->per == BLOCK && s->block < cols ? s->block : cols;
    size_t scales = s->per == TENSOR ? 1 : (size_t)(rows * ((cols + block - 1) / block));
    assert_int_equal(m.bytes, (size_t)(rows * cols) + scales * (s->zeropoint ? 5 : 4));
    double whole = bound(s, w, (size_t)(rows * cols));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = r * cols; c < (r + 1) * cols; c += block) {
            int64_t n = (r + 1) * cols - c < block ? (r + 1) * cols - c : block;
            assert_block(s, w + c, back + c, n, s->per == TENSOR ? whole : bound(s, w + c, (size_t)n));
        }
    free(back);
    matrix_free(&m);
}

static void assert_all_schemes(const float *w, int64_t rows, int64_t cols)
{
    for (int zeropoint = 0; zeropoint < 2; zeropoint++)
        for (int per = 0; per < PERS; per++) {
            assert_bounds(&(struct scheme){zeropoint, (enum per)per, 8}, w, rows, cols);
            if (per == BLOCK) assert_bounds(&(struct scheme){zeropoint, BLOCK, 32}, w, rows, cols);
        }
}

static void test_bounds(void **state)
{
    (void)state;
    enum { ROWS = 7, COLS = 35 };
    for (int power = -149; power <= 127; power += power < -120 ? 3 : 6) {
        float w[ROWS * COLS], one = ldexpf(1.f, power);
        fill_random(w, ROWS * COLS, one, (uint64_t)(power + 200));
        memset(w + COLS, 0, COLS * sizeof *w);                                /* a row of zeros */
        for (int c = 2 * COLS; c < 3 * COLS; c++) w[c] = -0.75f * one;        /* a constant row */
        for (int c = 3 * COLS; c < 4 * COLS; c++) w[c] = fabsf(w[c]);         /* of one sign */
        for (int c = 4 * COLS; c < 5 * COLS; c++) w[c] = -one - 0.25f * w[c]; /* of one sign, far from zero */
        w[5 * COLS + 3] = -one;                                               /* the extreme is negative */
        memset(w + 5 * COLS + 8, 0, 8 * sizeof *w);                           /* a block of zeros */
        assert_all_schemes(w, ROWS, COLS);
    }
}

static void test_special_rows(void **state)
{
    (void)state;
    static const float rows[][4] = {
        {0.f, 0.f, 0.f, 0.f},           {1e-45f, 0.f, -1e-45f, 0.f},   {1e-40f, 5e-41f, -2e-41f, 0.f},
        {1e-37f, 5e-38f, -2e-38f, 0.f}, {-0.f, 127.f, -127.f, 63.5f},  {FLT_MIN, -FLT_MIN, 0.f, 0.f},
        {-3.f, -3.f, -3.f, -3.f},       {1e38f, -1e38f, 2e38f, -0.f},  {-0.f, -0.f, 0.f, -0.f},
        {1e-45f, 3e-45f, 4e-45f, 0.f},  {1.f, 1e-30f, -1e-30f, -1e-3f}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_all_schemes(rows[i], 1, 4);
        assert_all_schemes(rows[i], 4, 1);
        assert_all_schemes(rows[i], 2, 2);
        assert_all_schemes(rows[i], 1, 1);
    }
}

/* Nothing becomes infinite. absmax keeps its bound; the affine grid need not have a point within half a step of the
 * largest float, and then is up to a whole one off. */
static void test_largest(void **state)
{
    (void)state;
    static const float rows[][4] = {{-FLT_MAX, FLT_MAX, 1.f, -1e38f}, {FLT_MAX, 0.f, 1.f, 1e38f},
                                    {-FLT_MAX, 0.f, 1.f, -1e38f},     {FLT_MAX, -1e37f, 3e38f, 2e36f},
                                    {-FLT_MAX, 1.7e36f, 0.f, -3e38f}, {FLT_MAX, -1e30f, FLT_MAX, 0.f}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scheme absmax = {false, ROW, 8}, zeropoint = {true, ROW, 8};
        assert_bounds(&absmax, rows[i], 1, 4);
        float *back = through(rows[i], 1, 4, "int8:zeropoint");
        for (int c = 0; c < 4; c++) assert_true(isfinite(back[c]));
        assert_block(&zeropoint, rows[i], back, 4, 2 * bound(&zeropoint, rows[i], 4));
        free(back);
    }
}

static void assert_through(const float *w, int64_t n, const char *spec, const float *wanted)
{
    float *back = through(w, 1, n, spec);
    for (int64_t i = 0; i < n; i++)
        if (back[i] != wanted[i])
            fail_msg("%s: %.9g became %.9g instead of %.9g", spec, (double)w[i], (double)back[i], (double)wanted[i]);
    free(back);
}

/* Whole numbers are exact where the scale is 1; halves go to the even neighbour. */
static void test_exact(void **state)
{
    (void)state;
    static const float small[] = {127.f, -127.f, 5.f, -64.f, 0.5f, 1.5f, -0.5f, -2.5f};
    assert_through(small, 8, "int8:absmax", (const float[]){127, -127, 5, -64, 0, 2, 0, -2});
    static const float wide[] = {200.f, -55.f, 0.f, 1.f, 199.f, 0.5f, 1.5f, -2.5f};
    assert_through(wide, 8, "int8:zeropoint", (const float[]){200, -55, 0, 1, 199, 0, 2, -2});
    static const float above[] = {255.f, 254.f, 0.f, 128.f, 1.f};
    assert_through(above, 5, "int8:zeropoint", above);
    static const float below[] = {-255.f, -254.f, 0.f, -128.f, -1.f};
    assert_through(below, 5, "int8:zeropoint", below);
    static const float constants[] = {1e-45f, 1e-40f, 0.1f, -0.1f, 3.f, -1e30f, FLT_MAX, -FLT_MAX, 0.f};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        float row[11], block[] = {constants[i], constants[i], constants[i], constants[i], constants[i], constants[i],
                                  constants[i], constants[i], 5.f,          0.f,          -2.5f};
        for (int c = 0; c < 11; c++) row[c] = constants[i];
        assert_through(row, 11, "int8:zeropoint", row);
        assert_through(row, 11, "int8:zeropoint,per=tensor", row);
        float *back = through(block, 1, 11, "int8:zeropoint,per=block,block=8");
        assert_memory_equal(back, row, 8 * sizeof *back);
        free(back);
    }
}

/* --- what scales reach over --- */

/* A matrix with one scale is a row; a block of a row is a row of its own, but for the zeros of their place. */
static void test_granularity(void **state)
{
    (void)state;
    enum { ROWS = 5, COLS = 29 };
    static const char *const names[] = {"int8:absmax", "int8:zeropoint"};
    float w[ROWS * COLS];
    fill_random(w, ROWS * COLS, 1.f, 3);
    for (int i = 0; i < ROWS * COLS; i++) w[i] *= (float)(1 + i % 3 + i / 11);
    for (size_t k = 0; k < 2; k++) {
        char spec[64];
        snprintf(spec, sizeof spec, "%s,per=tensor", names[k]);
        float *all = through(w, ROWS, COLS, spec), *flat = through(w, 1, ROWS * COLS, names[k]);
        assert_memory_equal(all, flat, sizeof w);
        snprintf(spec, sizeof spec, "%s,per=block,block=8", names[k]);
        float *blocks = through(w, ROWS, COLS, spec);
        for (int r = 0; r < ROWS; r++)
            for (int c = 0; c < COLS; c += 8) {
                int n = COLS - c < 8 ? COLS - c : 8;
                float *alone = through(w + r * COLS + c, 1, n, names[k]);
                assert_memory_equal(blocks + r * COLS + c, alone, (size_t)n * sizeof *alone);
                free(alone);
            }
        snprintf(spec, sizeof spec, "%s,per=block", names[k]); /* of 64: wider than the row */
        float *wide = through(w, ROWS, COLS, spec), *rows = through(w, ROWS, COLS, names[k]);
        assert_memory_equal(wide, rows, sizeof w);
        free(all), free(flat), free(blocks), free(wide), free(rows);
    }
}

/* One large value spoils a whole matrix with one scale, only its row with a scale a row, only its block with blocks. */
static void test_one_large(void **state)
{
    (void)state;
    float w[2 * 32];
    fill_random(w, 64, 1.f, 3);
    w[32] = 1000;
    float *rows = through(w, 2, 32, "int8:absmax"), *one = through(w, 2, 32, "int8:absmax,per=tensor"),
          *blocks = through(w, 2, 32, "int8:absmax,per=block,block=8");
    for (int i = 0; i < 64; i++) {
        if (i < 32) assert_near(rows[i], w[i], 0.5 / 127 + 1e-6, "a row of its own");
        if (i < 32 || i >= 40) assert_near(blocks[i], w[i], 0.5 / 127 + 1e-6, "a block of its own");
        if (i != 32) assert_true(one[i] == 0); /* below half of 1000 / 127 */
    }
    assert_true(rms(w + 32, blocks + 32, 32) < 0.6 * rms(w + 32, rows + 32, 32));
    free(rows), free(one), free(blocks);
}

/* Weights of one sign use all codes of an affine grid and half of a symmetric one. */
static void test_skewed(void **state)
{
    (void)state;
    enum { N = 4096 };
    static float w[N];
    fill_random(w, N, 0.5f, 8);
    for (int i = 0; i < N; i++) w[i] += 0.5f;
    float *symmetric = through(w, 1, N, "int8:absmax"), *affine = through(w, 1, N, "int8:zeropoint");
    assert_near(rms(w, affine, N) / rms(w, symmetric, N), 127.0 / 255, 0.02, "error of the affine grid");
    free(symmetric), free(affine);
}

static void test_not_finite(void **state)
{
    (void)state;
    static const char *const specs[] = {"int8:zeropoint", "int8:zeropoint,per=tensor", "int8:absmax,per=block",
                                        "int8:llm"};
    float w[3 * 70];
    fill_random(w, 3 * 70, 1.f, 2);
    w[70 + 65] = -INFINITY;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct matrix m;
        struct error e;
        assert_error(pack_at(&m, w, 3, 70, specs[i], NULL, &e), &e, ERROR_NUMBER,
                     "w: element [1, 65] is infinite: weights must be finite");
        assert_null(m.own);
    }
}

/* --- int8:llm --- */

enum { TOKENS = 24, FEATURES = 53, OUTPUTS = 9 };

struct trial {
    struct matrix m;
    double threshold;
    float w[OUTPUTS * FEATURES], x[TOKENS * FEATURES], y[TOKENS * FEATURES];
};

static void trial_open(struct trial *t, const char *spec, double threshold)
{
    t->threshold = threshold;
    fill_random(t->w, OUTPUTS * FEATURES, 0.3f, 4);
    fill_random(t->x, TOKENS * FEATURES, 2.f, 5);
    for (int i = 0; i < TOKENS * FEATURES; i += 37) t->x[i] *= 20; /* large ones */
    memset(t->x + FEATURES, 0, FEATURES * sizeof *t->x);           /* a row of zeros */
    for (int c = 0; c < FEATURES; c++) {
        t->x[2 * FEATURES + c] = (float)threshold + 1 + (float)c;              /* nothing but large ones */
        t->x[3 * FEATURES + c] = (float)(c - 20) * 1e-45f;                     /* the smallest */
        t->x[4 * FEATURES + c] = c % 2 ? (float)threshold : -(float)threshold; /* at the threshold: not above it */
    }
    t->x[5 * FEATURES] = -INFINITY; /* kept, to be found out behind the multiplication */
    t->m = packed(t->w, OUTPUTS, FEATURES, spec);
    t->m.backend->inputs(&t->m, t->x, TOKENS, t->y);
}

/* The definition in double. A code is checked by what makes it one: a whole number of steps, at most half of one from
 * the input. */
static void test_inputs(void **state)
{
    (void)state;
    static const double thresholds[] = {6, 0.5, 1000};
    static const char *const specs[] = {"int8:llm", "int8:llm,threshold=0.5", "int8:llm,threshold=1000"};
    for (size_t k = 0; k < 3; k++) {
        struct trial t;
        trial_open(&t, specs[k], thresholds[k]);
        for (int r = 0; r < TOKENS; r++) {
            double most = 0;
            for (int c = r * FEATURES; c < (r + 1) * FEATURES; c++)
                if (fabs((double)t.x[c]) <= t.threshold) most = fmax(most, fabs((double)t.x[c]));
            for (int c = r * FEATURES; c < (r + 1) * FEATURES; c++) {
                double x = (double)t.x[c], y = (double)t.y[c], step = most / 127;
                if (fabs(x) > t.threshold) {
                    assert_memory_equal(&t.x[c], &t.y[c], sizeof *t.x);
                    continue;
                }
                assert_near(y, x, step / 2 + 127 * (step * 0x1p-22 + 0x1p-150), "an input");
                if (step > 1e-30) assert_near(y / step, nearbyint(y / step), 1e-4, "a code");
            }
        }
        matrix_free(&t.m);
    }
}

static void test_inputs_not_a_number(void **state)
{
    (void)state;
    float w[2 * 4] = {1, 2, 3, 4, 5, 6, 7, 8}, x[4] = {1, NAN, 100, -2}, y[4];
    struct matrix m = packed(w, 2, 4, "int8:llm");
    m.backend->inputs(&m, x, 1, y);
    assert_near(y[0], 1, 1.0 / 127, "beside it");
    assert_true(isnan(y[1]));
    assert_true(y[2] == 100 && y[3] == -2);
    matrix_free(&m);
}

static void test_inputs_alone(void **state)
{
    (void)state;
    struct trial t;
    trial_open(&t, "int8:llm", 6);
    for (int r = 0; r < TOKENS; r++) {
        float alone[FEATURES];
        t.m.backend->inputs(&t.m, t.x + r * FEATURES, 1, alone);
        assert_memory_equal(alone, t.y + r * FEATURES, sizeof alone);
    }
    matrix_free(&t.m);
}

/* The product of the codes in whole numbers, as the paper has it, beside the exact multiplication of what inputs() made
 * and the product of codes that fast math makes. */
static void check_product(const struct trial *t, const float *y)
{
    for (int r = 0; r < TOKENS; r++)
        for (int o = 0; o < OUTPUTS; o++) {
            double most = 0, most_weight = 0, large = 0, size = 0;
            const float *x = t->x + r * FEATURES, *w = t->w + o * FEATURES;
            for (int c = 0; c < FEATURES; c++) {
                if (fabsf(x[c]) <= 6) most = fmax(most, fabs((double)x[c]));
                most_weight = fmax(most_weight, fabs((double)w[c]));
            }
            int64_t codes = 0;
            for (int c = 0; c < FEATURES; c++) {
                long q = lrint((double)w[c] * (127 / most_weight));
                if (fabsf(x[c]) > 6) large += (double)x[c] * (double)q * most_weight / 127;
                if (fabsf(x[c]) <= 6 && most > 0) codes += q * lrint((double)x[c] * (127 / most));
                size += fabs((double)x[c]) * most_weight;
            }
            assert_near(y[r * OUTPUTS + o], (double)codes * most / 127 * most_weight / 127 + large, 1e-6 * size + 1e-40,
                        "a product");
        }
}

static void test_product(void **state)
{
    (void)state;
    struct trial t;
    float y[TOKENS * OUTPUTS];
    struct error e;
    trial_open(&t, "int8:llm", 6);
    t.x[5 * FEATURES] = -7;
    for (int fast = 0; fast < 2; fast++) {
        if (fast) assert_ok(matrix_make_tiles(&t.m, MATH_FAST, "w", &e), &e);
        assert_ok(matrix_multiply(&t.m, t.x, TOKENS, y, &e), &e);
        check_product(&t, y);
    }
    matrix_free(&t.m);
}

/* Weights are those of int8:absmax, in as many bytes. */
static void test_llm_weights(void **state)
{
    (void)state;
    float w[OUTPUTS * FEATURES];
    fill_random(w, OUTPUTS * FEATURES, 0.3f, 4);
    struct matrix m = packed(w, OUTPUTS, FEATURES, "int8:llm");
    float *a = unpacked(&m), *b = through(w, OUTPUTS, FEATURES, "int8:absmax");
    assert_memory_equal(a, b, sizeof w);
    assert_int_equal(m.bytes, sizeof w / 4 + 4 * OUTPUTS);
    assert_int_equal(m.fell_back, false);
    free(a), free(b);
    matrix_free(&m);
    struct error e; /* outside of the layers: float16 */
    const struct place outside = {.name = "token_embd.weight", .layer = -1, .layers = 4, .queries = 1};
    assert_ok(pack_at(&m, w, OUTPUTS, FEATURES, "int8:llm", &outside, &e), &e);
    assert_string_equal(m.backend->name, "f16");
    assert_int_equal(m.bytes, sizeof w / 2);
    assert_int_equal(m.fell_back, false);
    matrix_free(&m);
    assert_ok(pack_at(&m, w, OUTPUTS, FEATURES, "int8:absmax", &outside, &e), &e);
    assert_string_equal(m.backend->name, "int8");
    assert_null(m.backend->inputs);
    assert_null(m.backend->count_outliers);
    matrix_free(&m);
}

static void assert_counts(const struct trial *t, struct outliers wanted)
{
    struct outliers got;
    t->m.backend->count_outliers(&t->m, &got);
    assert_true(got.threshold == wanted.threshold);
    assert_int_equal(got.values, wanted.values);
    assert_int_equal(got.large, wanted.large);
    assert_int_equal(got.features, wanted.features);
    assert_int_equal(got.touched, wanted.touched);
}

static void test_counts(void **state)
{
    (void)state;
    static const char *const specs[] = {"int8:llm", "int8:llm,threshold=25"};
    int threads = omp_get_max_threads();
    for (size_t k = 0; k < 2; k++) {
        struct trial t;
        trial_open(&t, specs[k], k ? 25 : 6);
        matrix_free(&t.m); /* counts begin anew */
        t.m = packed(t.w, OUTPUTS, FEATURES, specs[k]);
        struct outliers wanted = {.threshold = t.threshold, .features = FEATURES};
        assert_counts(&t, wanted);
        bool touched[FEATURES] = {false};
        memcpy(t.x + 2 * FEATURES, t.x + 6 * FEATURES, FEATURES * sizeof *t.x); /* else all would be touched */
        for (int i = 0; i < TOKENS * FEATURES; i++)
            if (fabs((double)t.x[i]) > t.threshold) wanted.large++, touched[i % FEATURES] = true;
        for (int c = 0; c < FEATURES; c++) wanted.touched += touched[c];
        assert_in_range(wanted.touched, 1, FEATURES - 1);
        int64_t large = wanted.large;
        for (int k2 = 1; k2 <= 3; k2++) { /* one thread, two, three: the same again on top */
            omp_set_num_threads(k2);
#pragma omp parallel for schedule(dynamic, 1)
            for (int r = 0; r < TOKENS; r += 3) t.m.backend->inputs(&t.m, t.x + r * FEATURES, 3, t.y + r * FEATURES);
            wanted.values = (int64_t)k2 * TOKENS * FEATURES;
            wanted.large = (int64_t)k2 * large;
            assert_counts(&t, wanted);
        }
        omp_set_num_threads(threads);
        struct error e; /* they go on in fast math */
        float y[TOKENS * OUTPUTS];
        assert_ok(matrix_make_tiles(&t.m, MATH_FAST, "w", &e), &e);
        assert_counts(&t, wanted);
        assert_ok(matrix_multiply(&t.m, t.x, TOKENS, y, &e), &e);
        wanted.values += TOKENS * FEATURES;
        wanted.large += large;
        assert_counts(&t, wanted);
        matrix_free(&t.m);
    }
}

/* --- a model --- */

enum { IDS = 19 };

/* Final states after IDS tokens, computed `each` tokens at a time. */
static void forward(const struct model *m, int64_t each, float *hidden)
{
    struct error e;
    int32_t ids[IDS];
    for (int i = 0; i < IDS; i++) ids[i] = 40 + 7 * i;
    struct cache *c = cache_new(m, NULL, 0, IDS, &e);
    assert_non_null(c);
    for (int64_t i = 0; i < IDS; i += each) {
        struct span s = {.cache = c, .ids = ids + i, .count = IDS - i < each ? IDS - i : each};
        assert_ok(model_forward(m, &s, 1, hidden + i * model_hyper(m)->width, NULL, &e), &e);
    }
    cache_free(c);
}

static int64_t columns_of_layer(const struct model *m, int64_t layer)
{
    int64_t columns = 0;
    for (int role = 0; role < LINEARS; role++) {
        const struct matrix *w = model_linear(m, layer, (enum linear_role)role, NULL);
        if (w) columns += w->cols;
    }
    return columns;
}

static void test_model(void **state)
{
    const char *name = *state;
    struct model *a = model_shipped(name, "int8:llm,threshold=2"), *b = model_shipped(name, "int8:llm,threshold=2");
    struct model *plain = model_shipped(name, "int8:absmax");
    assert_string_equal(model_facts(a)->math, "exact, inputs in 8 bits");
    assert_string_equal(model_facts(plain)->math, "exact");
    size_t n = (size_t)(IDS * model_hyper(a)->width);
    float *x = calloc(n, sizeof *x), *y = calloc(n, sizeof *y), *z = calloc(n, sizeof *z);
    assert_true(x && y && z);
    forward(a, IDS, x);
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    forward(b, 4, y);
    omp_set_num_threads(threads);
    forward(plain, IDS, z);
    assert_memory_equal(x, y, n * sizeof *x);
    double size = 0;
    for (size_t i = 0; i < n; i++) size += (double)z[i] * (double)z[i];
    assert_true(rms(x, z, n) > 0);
    assert_true(rms(x, z, n) < 0.1 * sqrt(size / (double)n)); /* close to what 8 bits of weights alone do */
    int64_t large = 0;
    for (int64_t i = 0; i < model_hyper(a)->layers; i++) {
        struct outliers one, two, none;
        assert_true(model_outliers(a, i, &one) && model_outliers(b, i, &two));
        assert_false(model_outliers(plain, i, &none));
        assert_true(one.threshold == 2 && two.threshold == 2);
        assert_int_equal(one.features, columns_of_layer(a, i));
        assert_int_equal(one.values, IDS * one.features);
        assert_int_equal(two.values, one.values);
        assert_int_equal(two.large, one.large);
        assert_int_equal(two.touched, one.touched);
        assert_true(one.touched <= one.large && one.touched <= one.features && one.large < one.values);
        large += one.large;
    }
    assert_true(large > 0);
    free(x), free(y), free(z);
    model_close(a), model_close(b), model_close(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_special_rows),
                                       cmocka_unit_test(test_largest),
                                       cmocka_unit_test(test_exact),
                                       cmocka_unit_test(test_granularity),
                                       cmocka_unit_test(test_one_large),
                                       cmocka_unit_test(test_skewed),
                                       cmocka_unit_test(test_not_finite),
                                       cmocka_unit_test(test_inputs),
                                       cmocka_unit_test(test_inputs_not_a_number),
                                       cmocka_unit_test(test_inputs_alone),
                                       cmocka_unit_test(test_product),
                                       cmocka_unit_test(test_llm_weights),
                                       cmocka_unit_test(test_counts),
                                       {"test_model llama", test_model, NULL, NULL, "llama"},
                                       {"test_model gpt2", test_model, NULL, NULL, "gpt2"}};
    return cmocka_run_group_tests_name("backends/int8", tests, NULL, NULL);
}
