/* The encoders of K-quants and IQ4: what they may be off by, and that the search finds better than the usual does. */
#include "engine/base/random.h"
#include "engine/formats/gguf.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256, MOST = 24 * BLOCK };

static const struct kind {
    enum dtype_id type;
    int size;       /* values in a sub-block */
    int low, high;  /* codes, or the ends of the codebook */
    int minimum;    /* largest integer of a minimum; 0: there is none */
    int end, most;  /* integers of scales: of the largest in magnitude, and the largest */
    double against; /* what is promised: at most this part of ggml's error */
} kinds[] = {{DTYPE_Q2_K, 16, 0, 3, 15, 15, 15, 0.88},       {DTYPE_Q3_K, 16, -4, 3, 0, -32, 31, 0.96},
             {DTYPE_Q4_K, 32, 0, 15, 63, 63, 63, 0.975},     {DTYPE_Q5_K, 32, 0, 31, 63, 63, 63, 0.95},
             {DTYPE_Q6_K, 16, -32, 31, 0, -128, 127, 0.94},  {DTYPE_IQ4_NL, 32, -127, 113, 0, 1, 1, 0.97},
             {DTYPE_IQ4_XS, 32, -127, 113, 0, -32, 31, 0.97}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool has_codebook(const struct kind *k) { return k->high == 113; }
static int block_of(const struct kind *k) { return dtype_of((int)k->type)->block; }
static size_t bytes_of(const struct kind *k, int n)
{
    return (size_t)(n / block_of(k)) * dtype_of((int)k->type)->block_bytes;
}

static void recode(const struct kind *k, const float *x, const float *importance, float *out, int n)
{
    uint8_t blocks[MOST / 32 * 34];
    kernels_get()->encode[k->type](x, importance, blocks, n);
    kernels_get()->decode[k->type](blocks, out, n);
}

static double error_of(const float *x, const float *y, const float *w, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (w ? (double)w[i] : 1) * pow((double)x[i] - (double)y[i], 2);
    return sum;
}

/* Box and Muller (1958). */
static double normal(struct random *r)
{
    double radius = sqrt(-2 * log(1 - random_unit(r)));
    return radius * cos(6.283185307179586 * random_unit(r));
}

enum { NORMAL, HEAVY, SPARSE, SHIFTED, NEGATIVE, OUTLIERS, CONSTANT, DATA };
static const char *const data_names[DATA] = {"normal",   "heavy",    "sparse",  "shifted",
                                             "negative", "outliers", "constant"};

static void fill(int data, float *x, int n, uint64_t seed)
{
    struct random r = {seed};
    for (int i = 0; i < n; i++) {
        double g = 0.02 * normal(&r);
        x[i] = (float)(data == HEAVY      ? g * exp(normal(&r))
                       : data == SPARSE   ? (random_below(&r, 8) ? 0 : g)
                       : data == SHIFTED  ? fabs(g) + 0.01
                       : data == NEGATIVE ? -fabs(g) - 0.01
                       : data == OUTLIERS ? (i % 100 == 99 ? 40 * g : g)
                       : data == CONSTANT ? (i / BLOCK % 2 ? -0.7 : 0.3)
                                          : g);
    }
}

/* The code nearest to t by trying all. */
static double nearest_code(const struct kind *k, double t)
{
    static const int values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    double best = k->low;
    for (int q = 0; q <= (has_codebook(k) ? 15 : k->high - k->low); q++) {
        double code = has_codebook(k) ? values[q] : k->low + q;
        if (fabs(code - t) < fabs(best - t)) best = code;
    }
    return best;
}

struct line {
    double scale, offset;
};

static double line_error(const struct kind *k, struct line l, const float *x, const float *w)
{
    double sum = 0;
    for (int i = 0; i < k->size; i++) {
        double v = (double)x[i] - l.offset;
        double off = v - l.scale * nearest_code(k, l.scale != 0 ? v / l.scale : 0);
        sum += (w ? (double)w[i] : 1) * off * off;
    }
    return sum;
}

/* The usual: the extremes of a sub-block are its first and last code; with more candidates the best of scales that are
 * 2 % smaller each. */
static struct line usual_line(const struct kind *k, const float *x, const float *w, int candidates)
{
    double low = 0, high = 0, best = INFINITY;
    struct line found = {0, 0};
    for (int i = 0; i < k->size; i++) low = fmin(low, (double)x[i]), high = fmax(high, (double)x[i]);
    for (int c = 0; c < candidates; c++) {
        double step = k->minimum ? (high - low) / k->high : (-low > high ? low : high) / k->low;
        struct line l = {step * (1 - 0.02 * c), k->minimum ? low : 0};
        double error = line_error(k, l, x, w);
        if (error < best) best = error, found = l;
    }
    return found;
}

/* Of a block: usual lines, then scales and minima in integers of the largest. */
static double usual_error(const struct kind *k, const float *x, const float *w, int candidates)
{
    struct line lines[16];
    double scale = 0, offset = 0, sum = 0;
    for (int j = 0; j < block_of(k) / k->size; j++) {
        lines[j] = usual_line(k, x + j * k->size, w ? w + j * k->size : NULL, candidates);
        if (fabs(lines[j].scale) > fabs(scale)) scale = lines[j].scale;
        offset = fmin(offset, lines[j].offset);
    }
    double d = scale / k->end, dmin = k->minimum ? -offset / k->minimum : 0;
    for (int j = 0; j < block_of(k) / k->size; j++) {
        struct line l = {d != 0 ? d * fmin(round(lines[j].scale / d), k->most) : 0,
                         dmin > 0 ? -dmin * round(-lines[j].offset / dmin) : 0};
        sum += line_error(k, l, x + j * k->size, w ? w + j * k->size : NULL);
    }
    return sum;
}

static double usual_errors(const struct kind *k, const float *x, const float *w, int n, int candidates)
{
    double sum = 0;
    for (int i = 0; i < n; i += block_of(k)) sum += usual_error(k, x + i, w ? w + i : NULL, candidates);
    return sum;
}

/* No value is off by more than two steps of its block's widest sub-block, and none of a constant block by more than
 * what 16 bits of d and 4 or 6 of its integers leave. */
static void assert_steps(const struct kind *k, int data, const float *x, const float *y, int n)
{
    for (int first = 0; first < n; first += block_of(k)) {
        double low = 0, high = 0, step;
        for (int i = first; i < first + block_of(k); i++)
            low = fmin(low, (double)x[i]), high = fmax(high, (double)x[i]);
        step = k->minimum ? (high - low) / k->high : fmax(-low, high) / -k->low * (has_codebook(k) ? 12 : 1);
        if (data == CONSTANT) step = 0.002 * fmax(-low, high);
        for (int i = first; i < first + block_of(k); i++)
            if (!(fabs((double)x[i] - (double)y[i]) <= 2 * step))
                fail_msg("%s, %s data: value %d is %g instead of %g; a step is %g", dtype_of((int)k->type)->name,
                         data_names[data], i, (double)y[i], (double)x[i], step);
    }
}

static void test_errors(void **state)
{
    (void)state;
    const int n = (int)test_items(16) * BLOCK;
    for (const struct kind *k = kinds; k < kinds + KINDS; k++)
        for (int data = 0; data < DATA; data++) {
            float x[MOST], y[MOST];
            fill(data, x, n, (uint64_t)data);
            recode(k, x, NULL, y, n);
            assert_steps(k, data, x, y, n);
            double ours = error_of(x, y, NULL, n), usual = usual_errors(k, x, NULL, n, 1);
            if (data != CONSTANT && !(ours < usual))
                fail_msg("%s, %s data: error %g, of the usual %g", dtype_of((int)k->type)->name, data_names[data], ours,
                         usual);
        }
}

/* With importance the weighted error is clearly less than without, and than that of the best of a grid of scales. */
static void test_importance(void **state)
{
    (void)state;
    const int n = (int)(4 + test_items(12)) * BLOCK;
    for (const struct kind *k = kinds; k < kinds + KINDS; k++)
        for (int data = NORMAL; data <= HEAVY; data++) {
            float x[MOST], y[MOST], w[MOST];
            struct random r = {7};
            fill(data, x, n, 3);
            for (int i = 0; i < n; i++) w[i] = (float)(1e6 * exp(1.5 * normal(&r)));
            recode(k, x, NULL, y, n);
            double without = error_of(x, y, w, n);
            recode(k, x, w, y, n);
            double with = error_of(x, y, w, n), usual = usual_errors(k, x, w, n, 20);
            if (!(with < 0.95 * without && with < usual))
                fail_msg("%s, %s data: weighted error %g, without importance %g, of the usual %g",
                         dtype_of((int)k->type)->name, data_names[data], with, without, usual);
        }
}

/* Weights that are all alike, all nothing or nothing but for one must not do harm. */
static void test_flat_importance(void **state)
{
    (void)state;
    static const float flat[] = {0.f, 1e-40f, 1e38f};
    for (const struct kind *k = kinds; k < kinds + KINDS; k++) {
        float x[BLOCK], y[BLOCK], w[BLOCK];
        fill(NORMAL, x, BLOCK, 5);
        recode(k, x, NULL, y, BLOCK);
        double without = error_of(x, y, NULL, BLOCK);
        for (size_t c = 0; c < sizeof flat / sizeof *flat; c++) {
            for (int i = 0; i < BLOCK; i++) w[i] = flat[c];
            recode(k, x, w, y, BLOCK);
            assert_near(error_of(x, y, NULL, BLOCK), without, 0.02 * without, dtype_of((int)k->type)->name);
        }
        memset(w, 0, sizeof w);
        w[77] = 1;
        recode(k, x, w, y, BLOCK);
        for (int i = 0; i < BLOCK; i++) assert_true(fabsf(y[i]) < 1.f);
    }
}

/* Zeros are zeros, of blocks and of sub-blocks beside others, and d of a block of zeros is +0. */
static void test_zeros(void **state)
{
    (void)state;
    for (const struct kind *k = kinds; k < kinds + KINDS; k++) {
        float x[2 * BLOCK] = {0}, y[2 * BLOCK];
        uint8_t blocks[2 * BLOCK / 32 * 34], minus[sizeof blocks];
        size_t bytes = bytes_of(k, 2 * BLOCK);
        kernels_get()->encode[k->type](x, NULL, blocks, 2 * BLOCK);
        kernels_get()->decode[k->type](blocks, y, 2 * BLOCK);
        for (int i = 0; i < 2 * BLOCK; i++) assert_true(y[i] == 0.f && !signbit(y[i]));
        for (int i = 0; i < 2 * BLOCK; i++) x[i] = -0.f;
        kernels_get()->encode[k->type](x, NULL, minus, 2 * BLOCK);
        assert_memory_equal(blocks, minus, bytes);
        fill(NORMAL, x, BLOCK, 1);
        memset(x + 32, 0, 32 * sizeof *x);
        recode(k, x, NULL, y, 2 * BLOCK);
        for (int i = 32; i < 64; i++) assert_true(y[i] == 0.f);
    }
}

/* Small values are off by little more than the largest of them, and by no more than two steps and the smallest d, of
 * which IQ4 has large multiples only. Values near the end of 16 bits keep their precision, and a scale beyond them is
 * seen to be infinite. */
static void test_extreme_sizes(void **state)
{
    (void)state;
    static const float sizes[] = {1e-45f, 1e-40f, 1e-30f, 1e-9f, 2e-8f,   6e-8f,
                                  1e-7f,  1e-6f,  1e-4f,  1.f,   60000.f, 3e38f};
    for (const struct kind *k = kinds; k < kinds + KINDS; k++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            float x[BLOCK], y[BLOCK];
            struct random r = {s};
            double most = 0, finite = 0;
            for (int i = 0; i < BLOCK; i++) x[i] = (float)((double)sizes[s] * (2 * random_unit(&r) - 1));
            recode(k, x, NULL, y, BLOCK);
            for (int i = 0; i < BLOCK; i++) finite += isfinite(y[i]) != 0;
            if (sizes[s] > 1e38f) {
                assert_true(finite < BLOCK);
                continue;
            }
            for (int i = 0; i < BLOCK; i++) most = fmax(most, fabs((double)x[i] - (double)y[i]));
            double size = (double)sizes[s], step = has_codebook(k) ? 0.2 : 2. / (k->high - k->low);
            double least = (has_codebook(k) ? 127 : 1) * 0x1p-24;
            assert_near(most, 0, fmin(1.2 * size, 2 * step * size + least), dtype_of((int)k->type)->name);
        }
}

/* Every row of the table gives the same bytes, and a block's do not depend on what stands beside it. */
static void test_same_bytes(void **state)
{
    (void)state;
    const int n = 5 * BLOCK;
    for (const struct kind *k = kinds; k < kinds + KINDS; k++)
        for (int weighted = 0; weighted < 2; weighted++) {
            float x[5 * BLOCK], w[5 * BLOCK];
            uint8_t whole[5 * BLOCK / 32 * 34], parts[sizeof whole];
            size_t bytes = bytes_of(k, n), block = bytes_of(k, block_of(k));
            fill(HEAVY, x, n, 11);
            fill(SHIFTED, w, n, 12);
            kernels_at(0)->encode[k->type](x, weighted ? w : NULL, whole, n);
            for (size_t i = 1; kernels_at(i); i++) {
                kernels_at(i)->encode[k->type](x, weighted ? w : NULL, parts, n);
                assert_memory_equal(whole, parts, bytes);
            }
            for (int b = 0; b < n / block_of(k); b++) {
                int at = b * block_of(k);
                kernels_get()->encode[k->type](x + at, weighted ? w + at : NULL, parts, block_of(k));
                assert_memory_equal(whole + (size_t)b * block, parts, block);
            }
        }
}

/* All tensors of a public file, against the error that ggml's encoder leaves on them. */
static void assert_promised(const struct kind *k, const struct gguf *g, json_t *tensors)
{
    const char *name;
    json_t *said;
    json_object_foreach(tensors, name, said)
    {
        const struct tensor *t = gguf_tensor(g, name);
        assert_non_null(t);
        const int n = (int)tensor_elements(t);
        double sum = 0, theirs = json_number_value(json_object_get(said, "rmse"));
        for (int at = 0; at < n; at += MOST) {
            float x[MOST], y[MOST];
            int part = n - at < MOST ? n - at : MOST;
            kernels_get()->decode[t->type]((const uint8_t *)t->data + 2 * at, x, part);
            recode(k, x, NULL, y, part);
            sum += error_of(x, y, NULL, part);
        }
        if (!(sqrt(sum / n) <= k->against * theirs))
            fail_msg("%s: %s: root mean square error %g; ggml's is %g", dtype_of((int)k->type)->name, name,
                     sqrt(sum / n), theirs);
    }
}

static void test_promised(void **state)
{
    (void)state;
    static const char *const files[KINDS] = {"tiny-q2_k.gguf", "tiny-q3_k.gguf",   "tiny-q4_k.gguf",  "tiny-q5_k.gguf",
                                             "tiny-q6_k.gguf", "tiny-iq4_nl.gguf", "tiny-iq4_xs.gguf"};
    struct error e;
    struct gguf *g;
    json_t *root = golden(shared_path("vectors/gguf/expected.json"));
    assert_ok(gguf_open(&g, shared_path("vectors/gguf/tiny-f16.gguf"), &e), &e);
    for (size_t i = 0; i < test_items(KINDS); i++)
        assert_promised(kinds + i, g, json_object_get(json_object_get(root, "files"), files[i]));
    gguf_close(g);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),   cmocka_unit_test(test_importance),    cmocka_unit_test(test_flat_importance),
        cmocka_unit_test(test_zeros),    cmocka_unit_test(test_extreme_sizes), cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_promised),
    };
    return cmocka_run_group_tests_name("kernels/encode_k", tests, NULL, NULL);
}
