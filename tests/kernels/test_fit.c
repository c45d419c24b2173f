/* Encoding with an importance: the weighted error is what is to become small. */
#include "engine/base/random.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 16 * 256, BYTES = N / 32 * 34 };

/* Types whose blocks are those of the extreme values where there is no importance; root mean square error that is left
 * on the data below, at most. */
static const struct plain {
    enum dtype_id type;
    double left;
} plains[] = {{DTYPE_Q4_0, 0.87}, {DTYPE_Q4_1, 0.77}, {DTYPE_Q5_0, 0.87}, {DTYPE_Q5_1, 0.77},
              {DTYPE_Q8_0, 0.81}, {DTYPE_TQ1_0, 0.6}, {DTYPE_TQ2_0, 0.6}};
enum { PLAINS = sizeof plains / sizeof *plains };

struct data {
    float x[N], importance[N], same[N], back[N];
    uint8_t bytes[BYTES], other[BYTES];
};

/* Normal values (Box and Muller 1958) and weights over three orders of magnitude. */
static void data_fill(struct data *d, uint64_t seed)
{
    struct random r = {seed};
    for (int i = 0; i < N; i++) {
        double size = sqrt(-2 * log(1 - random_unit(&r))), turn = random_unit(&r);
        d->x[i] = (float)(0.1 * size * cos(2 * M_PI * turn));
        d->importance[i] = (float)pow(10, 3 * random_unit(&r) - 1);
        d->same[i] = 3.f;
    }
}

static struct data *data_new(uint64_t seed)
{
    struct data *d = calloc(1, sizeof *d);
    assert_non_null(d);
    data_fill(d, seed);
    return d;
}

static double weighted_error(const float *x, const float *back, const float *importance, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += pow((double)x[i] - (double)back[i], 2) * (double)importance[i];
    return sum;
}

/* The error, by the weights `judged`, of encoding n values with the importance `given`. */
static double error_with(struct data *d, int type, const float *given, const float *judged, int n)
{
    kernels_get()->encode[type](d->x, given, d->bytes, n);
    kernels_get()->decode[type](d->bytes, d->back, n);
    return weighted_error(d->x, d->back, judged, n);
}

static bool every_block_type(int *type)
{
    for (++*type; *type < DTYPE_LIMIT; ++*type)
        if (kernels_get()->encode[*type] && dtype_of(*type)->block > 1) return true;
    return false;
}

/* Never worse with the weights than without them, whether they are even (then but for chance, where both were searched)
 * or not. */
static void test_never_worse(void **state)
{
    (void)state;
    struct data *d = data_new(1);
    for (int type = -1; every_block_type(&type);) {
        double plain = error_with(d, type, NULL, d->same, N), even = error_with(d, type, d->same, d->same, N);
        if (!(even <= plain * 1.001))
            fail_msg("%s: %g with equal weights, %g without", dtype_of(type)->name, even, plain);
        double blind = error_with(d, type, NULL, d->importance, N);
        double seeing = error_with(d, type, d->importance, d->importance, N);
        if (!(seeing < blind)) fail_msg("%s: %g with weights, %g without", dtype_of(type)->name, seeing, blind);
    }
    free(d);
}

static void test_clearly_better(void **state)
{
    (void)state;
    struct data *d = data_new(2);
    for (size_t i = 0; i < PLAINS; i++) {
        double blind = error_with(d, (int)plains[i].type, NULL, d->importance, N);
        double left = sqrt(error_with(d, (int)plains[i].type, d->importance, d->importance, N) / blind);
        if (!(left < plains[i].left)) fail_msg("%s: %g is left", dtype_of((int)plains[i].type)->name, left);
    }
    free(d);
}

/* Each block by itself, for data of any size: none is worse than the plain one. */
static void test_each_block(void **state)
{
    (void)state;
    struct data *d = data_new(3);
    struct random r = {3};
    for (int i = 0; i < N; i++) d->x[i] *= ldexpf(1.f, (int)random_below(&r, 8)) * (i / 256 % 2 ? 1.f : 1e-6f);
    for (size_t t = 0; t < PLAINS; t++) {
        int type = (int)plains[t].type, block = dtype_of(type)->block;
        float plain[N];
        kernels_get()->encode[type](d->x, NULL, d->bytes, N);
        kernels_get()->decode[type](d->bytes, plain, N);
        error_with(d, type, d->importance, d->importance, N);
        for (int b = 0; b < N; b += block)
            assert_true(weighted_error(d->x + b, d->back + b, d->importance + b, block) <=
                        weighted_error(d->x + b, plain + b, d->importance + b, block));
    }
    free(d);
}

/* Weights of zero throughout say nothing: the plain block. One value without weight is not there. */
static void test_zero_weights(void **state)
{
    (void)state;
    struct data *d = data_new(4);
    float none[256] = {0};
    for (size_t t = 0; t < PLAINS; t++) {
        int type = (int)plains[t].type, block = dtype_of(type)->block;
        kernels_get()->encode[type](d->x, none, d->bytes, block);
        kernels_get()->encode[type](d->x, NULL, d->other, block);
        assert_memory_equal(d->bytes, d->other, dtype_of(type)->block_bytes);
        float was = d->x[5], weight = d->importance[5];
        d->importance[5] = 0;
        d->x[5] = 0;
        double without = error_with(d, type, d->importance, d->importance, block);
        d->x[5] = -1000;
        double with = error_with(d, type, d->importance, d->importance, block);
        d->x[5] = was, d->importance[5] = weight;
        assert_near(with, without, 0.01 * without, dtype_of(type)->name);
    }
    free(d);
}

/* Only the ratios of weights count, and those of values. */
static void test_units(void **state)
{
    (void)state;
    struct data *d = data_new(5);
    for (size_t t = 0; t < PLAINS; t++) {
        int type = (int)plains[t].type;
        kernels_get()->encode[type](d->x, d->importance, d->bytes, N);
        for (int power = -100; power <= 100; power += 200) {
            float scaled[N];
            for (int i = 0; i < N; i++) scaled[i] = ldexpf(d->importance[i], power);
            kernels_get()->encode[type](d->x, scaled, d->other, N);
            assert_memory_equal(d->bytes, d->other, (size_t)(N / dtype_of(type)->block) * dtype_of(type)->block_bytes);
        }
    }
    free(d);
}

/* Where the plain scale is infinite no search hides it; tiny and zero blocks stay zeros. */
static void test_extreme_values(void **state)
{
    (void)state;
    struct data *d = data_new(6);
    for (size_t t = 0; t < PLAINS; t++) {
        int type = (int)plains[t].type;
        size_t bytes = (size_t)(N / dtype_of(type)->block) * dtype_of(type)->block_bytes;
        fill_random(d->x, N, 1e12f, 6);
        for (int round = 0; round < 2; round++) { /* about zero, where errors are NaN, and off it, where infinite */
            kernels_get()->encode[type](d->x, d->importance, d->bytes, N);
            kernels_get()->encode[type](d->x, NULL, d->other, N);
            assert_memory_equal(d->bytes, d->other, bytes);
            for (int i = 0; i < N; i++) d->x[i] = fabsf(d->x[i]) + 2e12f;
        }
        static const float sizes[] = {0.f, 1e-44f, 1e-39f, 1e-20f};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            fill_random(d->x, N, sizes[s], 7);
            error_with(d, type, d->importance, d->importance, N);
            for (int i = 0; i < N; i++) assert_true(d->back[i] == 0.f);
        }
    }
    free(d);
}

struct weighted {
    double x, w;
};

static int larger_first(const void *a, const void *b)
{
    double x = ((const struct weighted *)a)->x, y = ((const struct weighted *)b)->x;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The best of all scales for codes of -1, 0 and 1: the values that are not 0 are the largest k, for some k, and least
 * squares of these k take (sum w |x|)^2 / sum w off the error. */
static double best_ternary(const float *x, const float *importance)
{
    struct weighted v[256];
    double all = 0, gain = 0, wx = 0, w = 0;
    for (int i = 0; i < 256; i++) {
        v[i] = (struct weighted){fabs((double)x[i]), (double)importance[i]};
        all += v[i].w * v[i].x * v[i].x;
    }
    qsort(v, 256, sizeof *v, larger_first);
    for (int k = 0; k < 256; k++) {
        wx += v[k].w * v[k].x;
        w += v[k].w;
        gain = fmax(gain, wx * wx / w);
    }
    return all - gain;
}

static void test_ternary_is_optimal(void **state)
{
    (void)state;
    struct data *d = data_new(8);
    for (int t = 0; t < 2; t++) {
        double best = 0, got = error_with(d, t ? DTYPE_TQ2_0 : DTYPE_TQ1_0, d->importance, d->importance, N);
        for (int b = 0; b < N; b += 256) best += best_ternary(d->x + b, d->importance + b);
        assert_near(got, best, 1e-4 * best, "error of ternary codes");
    }
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_worse),
        cmocka_unit_test(test_clearly_better),
        cmocka_unit_test(test_each_block),
        cmocka_unit_test(test_zero_weights),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_extreme_values),
        cmocka_unit_test(test_ternary_is_optimal),
    };
    return cmocka_run_group_tests_name("kernels/fit", tests, NULL, NULL);
}
