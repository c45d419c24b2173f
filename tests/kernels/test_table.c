/* Every kernel table against the C one, bit for bit, at every length; and what families of kernels do not say
 * (test_families.c): the whole range of activations, values by hand, and KERF_CPU. */
#include "engine/base/random.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 100, SIZE = 5 * MOST };

/* What kernels read; x and y are also written. */
struct input {
    float x[SIZE], y[SIZE], w[SIZE], bias[SIZE];
    int8_t q[SIZE];
};

/* Values of every size: denormals, zeros of both signs, near 1, large. */
static float any_size(struct random *r)
{
    static const float special[] = {0.f, -0.f, FLT_MIN, -FLT_MIN / 8, 1e-45f, 1.f, -1.f, 1e15f, -3e15f, 88.8f, -87.4f};
    uint32_t pick = random_below(r, 64);
    if (pick < sizeof special / sizeof *special) return special[pick];
    float sign = random_below(r, 2) ? 1.f : -1.f;
    return sign * ldexpf((float)random_unit(r), (int)random_below(r, 60) - 40);
}

static struct input *input_new(uint64_t seed, bool extremes)
{
    struct input *in = calloc(1, sizeof *in);
    assert_non_null(in);
    struct random r = {seed};
    float *all[] = {in->x, in->y, in->w, in->bias};
    for (size_t k = 0; k < 4; k++) {
        fill_random(all[k], SIZE, 3.f, seed + k);
        for (size_t i = 0; extremes && i < SIZE; i++) all[k][i] = any_size(&r);
    }
    for (size_t i = 0; i < SIZE; i++) in->q[i] = (int8_t)random_below(&r, 256);
    return in;
}

/* Each runs one kernel on n elements and leaves all that it wrote in `in`. */
static void run_affine_i8(const struct kernels *k, struct input *in, int64_t n)
{
    k->affine_i8(in->q, 3, in->w[0], in->x, n);
}
static void run_rope(const struct kernels *k, struct input *in, int64_t n) { k->rope(in->x, in->w, 2 * n, false); }
static void run_rope_interleaved(const struct kernels *k, struct input *in, int64_t n)
{
    k->rope(in->x, in->w, 2 * n, true);
}
static void run_add(const struct kernels *k, struct input *in, int64_t n) { k->add(in->x, in->y, n); }
static void run_softmax(const struct kernels *k, struct input *in, int64_t n) { k->softmax(in->x, 0.125f, n); }
static void run_softmax_masked(const struct kernels *k, struct input *in, int64_t n)
{
    for (int64_t i = 1; i < n; i += 3) in->x[i] = -INFINITY;
    k->softmax(in->x, 0.125f, n);
}
static void run_rms_norm(const struct kernels *k, struct input *in, int64_t n)
{
    k->rms_norm(in->x, in->w, 1e-5f, n, in->y);
}
static void run_layer_norm(const struct kernels *k, struct input *in, int64_t n)
{
    k->layer_norm(in->x, in->w, in->bias, 1e-5f, n, in->y);
}
static void run_layer_norm_bare(const struct kernels *k, struct input *in, int64_t n)
{
    k->layer_norm(in->x, in->w, NULL, 1e-5f, n, in->y);
}
static void run_silu(const struct kernels *k, struct input *in, int64_t n) { k->silu_multiply(in->x, in->y, n); }
static void run_gelu(const struct kernels *k, struct input *in, int64_t n) { k->gelu_tanh(in->x, n); }
static void run_log_sum_exp(const struct kernels *k, struct input *in, int64_t n)
{
    double v = k->log_sum_exp(in->x, n);
    memcpy(in->y, &v, sizeof v);
}
static void run_argmax(const struct kernels *k, struct input *in, int64_t n) { in->q[0] = (int8_t)k->argmax(in->x, n); }

static const struct {
    const char *name;
    void (*run)(const struct kernels *k, struct input *in, int64_t n);
} runs[] = {{"affine_i8", run_affine_i8},
            {"rope", run_rope},
            {"rope, interleaved", run_rope_interleaved},
            {"add", run_add},
            {"softmax", run_softmax},
            {"softmax, masked", run_softmax_masked},
            {"rms_norm", run_rms_norm},
            {"layer_norm", run_layer_norm},
            {"layer_norm without bias", run_layer_norm_bare},
            {"silu_multiply", run_silu},
            {"gelu_tanh", run_gelu},
            {"log_sum_exp", run_log_sum_exp},
            {"argmax", run_argmax}};
enum { RUNS = sizeof runs / sizeof *runs };

static void assert_tables_agree(size_t run, int64_t n, uint64_t seed, bool extremes)
{
    struct input *expected = input_new(seed, extremes), *before = input_new(seed, extremes);
    runs[run].run(kernels_at(0), expected, n);
    if (n == MOST && !extremes) assert_memory_not_equal(expected, before, sizeof *before); /* it did something */
    for (size_t t = 1; kernels_at(t); t++) {
        struct input *got = input_new(seed, extremes);
        runs[run].run(kernels_at(t), got, n);
        if (memcmp(got, expected, sizeof *got))
            fail_msg("%s: %s and c differ on %d elements (seed %d)", runs[run].name, kernels_at(t)->name, (int)n,
                     (int)seed);
        free(got);
    }
    free(expected);
    free(before);
}

static void test_tables_agree(void **state)
{
    (void)state;
    assert_string_equal(kernels_at(0)->name, "c");
    for (size_t t = 1; kernels_at(t); t++) print_message("comparing %s with c\n", kernels_at(t)->name);
    for (size_t run = 0; run < RUNS; run++)
        for (int64_t n = 1; n <= MOST; n++)
            for (uint64_t seed = 1; seed <= 2; seed++) {
                assert_tables_agree(run, n, 1000 * seed + (uint64_t)n, false);
                assert_tables_agree(run, n, 5000 * seed + (uint64_t)n, true);
            }
}

/* --- against double precision; unit: half an ulp of 1 --- */

static const double unit = 0x1p-24;

/* By hand; test_families.c has the rest. */
static void test_softmax(void **state)
{
    (void)state;
    float masked[] = {1, -INFINITY, 1, -INFINITY}, far[] = {0, -1000, 1000, 1000};
    kernels_at(0)->softmax(masked, 1, 4);
    kernels_at(0)->softmax(far, 1, 4);
    assert_memory_equal(masked, ((float[]){.5f, 0, .5f, 0}), sizeof masked);
    assert_memory_equal(far, ((float[]){0, 0, .5f, .5f}), sizeof far);
}

/* From -87 to 88 in small steps: the argument of exp is exact, so its own error shows, and a little for 1 + and /. */
static void test_silu(void **state)
{
    (void)state;
    for (double x = -87; x < 88; x += 0.00390625) {
        float gate = (float)x, up = 2.f;
        double y = 2 * x / (1 + exp(-x));
        kernels_at(0)->silu_multiply(&gate, &up, 1);
        assert_near(gate, y, 5e-7 * fabs(y), "silu");
    }
    float gate[] = {-1e30f, 1e30f, -100.f, 0.f}, up[] = {1, 1, 1, 1};
    kernels_at(0)->silu_multiply(gate, up, 4);
    assert_true(gate[0] == 0 && gate[1] == 1e30f && gate[2] == 0 && gate[3] == 0);
}

/* The argument u of exp is rounded: its error of 4 units is one of the result's, relative, times 2 |u|. */
static void test_gelu(void **state)
{
    (void)state;
    for (double x = -6; x < 10; x += 0.00390625) {
        float got = (float)x;
        double u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x), y = x / (1 + exp(-2 * u));
        kernels_at(0)->gelu_tanh(&got, 1);
        assert_near(got, y, (5e-7 + 8 * unit * fabs(u)) * fabs(y), "gelu");
        assert_near(y, 0.5 * x * (1 + tanh(u)), 1e-14 * fabs(x), "the two forms of gelu");
    }
    float far[] = {-3e38f, 3e38f, -30.f, 30.f};
    kernels_at(0)->gelu_tanh(far, 4);
    assert_true(far[0] == 0 && far[1] == 3e38f && far[2] == 0 && far[3] == 30.f);
}

static void test_log_sum_exp(void **state)
{
    (void)state;
    assert_near(kernels_at(0)->log_sum_exp((float[]){1e4f, 1e4f}, 2), 1e4 + log(2), 1e-6, "large");
    assert_near(kernels_at(0)->log_sum_exp((float[]){-1e4f, -2e4f}, 2), -1e4, 1e-6, "small");
}

static void test_argmax(void **state)
{
    (void)state;
    struct random r = {3};
    for (size_t t = 0; kernels_at(t); t++)
        for (int64_t n = 1; n <= MOST; n++) {
            float x[MOST];
            for (int64_t i = 0; i < n; i++) x[i] = (float)random_below(&r, 6); /* many ties */
            int64_t first = 0;
            for (int64_t i = 1; i < n; i++)
                if (x[i] > x[first]) first = i;
            assert_int_equal(kernels_at(t)->argmax(x, n), first);
        }
    float x[40] = {1, NAN, 3, NAN, 5};
    for (size_t t = 0; kernels_at(t); t++) assert_int_equal(kernels_at(t)->argmax(x, 40), 4);
}

static void test_affine_i8(void **state)
{
    (void)state;
    int8_t q[256];
    float out[256];
    for (int i = 0; i < 256; i++) q[i] = (int8_t)(i - 128);
    kernels_at(0)->affine_i8(q, 0, 0.1f, out, 256);
    for (int i = 0; i < 256; i++) assert_true(out[i] == (float)(i - 128) * 0.1f);
}

/* KERF_CPU names a table or is refused; what is in use then is that table. */
static void test_mask(void **state)
{
    (void)state;
    struct error e;
    for (size_t t = 0; kernels_at(t); t++) {
        setenv("KERF_CPU", kernels_at(t)->name, 1);
        assert_ok(kernels_check(&e), &e);
    }
    static const char *const names[] = {"avx2", "avx512", "amx", "neon"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool has = false;
        for (size_t t = 0; kernels_at(t); t++) has |= strcmp(kernels_at(t)->name, names[i]) == 0;
        setenv("KERF_CPU", names[i], 1);
        if (!has) assert_error(kernels_check(&e), &e, ERROR_USAGE, names[i]);
    }
    setenv("KERF_CPU", "avx1024", 1);
    assert_error(kernels_check(&e), &e, ERROR_USAGE, "\"avx1024\" is no instruction set: use c");
    for (size_t t = 0; kernels_at(t); t++) assert_non_null(strstr(e.text, kernels_at(t)->name));
    setenv("KERF_CPU", "c", 1);
    assert_string_equal(kernels_get()->name, "c"); /* this process's first call chooses */
    unsetenv("KERF_CPU");
    assert_ok(kernels_check(&e), &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_agree), cmocka_unit_test(test_softmax),     cmocka_unit_test(test_silu),
        cmocka_unit_test(test_gelu),         cmocka_unit_test(test_log_sum_exp), cmocka_unit_test(test_argmax),
        cmocka_unit_test(test_affine_i8),    cmocka_unit_test(test_mask),
    };
    return cmocka_run_group_tests_name("kernels/table", tests, NULL, NULL);
}
