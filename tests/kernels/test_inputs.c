/* What products read: inputs of 8 bits against Q8_0 and Q8_K by their definition (ggml-quants.c: d = max |x| / 127, or
 * that with the sign of minus the first value furthest from zero; q = x / d to nearest) in double precision, and
 * inputs rounded to 16 bits. All rows of the table give the same. */
#include "cli/kernels/judge_inputs.h"
#include "tests/kernels/checks.h"

#include <float.h>

static void assert_row(const struct tile_format *f, const float *x, int64_t cols, const struct quantized *row,
                       const struct kernels *k)
{
    struct kernel_verdict v = {0};
    judge_quantized(f, x, cols, row, k->wide_zero, &v);
    if (v.wrong) fail_msg("%s, %s: %s", f->name, k->name, v.words);
}

/* Every row of the table on these inputs. */
static void assert_quantized(const struct tile_format *f, const float *values, int64_t cols, enum buffer_place place)
{
    struct pool in = {.place = place}, first = {.place = BUFFER_AT_END};
    float *x = pool_new(&in, cols, sizeof *x);
    memcpy(x, values, (size_t)cols * sizeof *x);
    pool_seal(&in);
    struct quantized c = quantized_new(&first, f, 1, cols);
    kernels_at(0)->quantize_inputs(f, x, cols, &c);
    for (size_t t = 0; kernels_at(t); t++) {
        const char *isa = kernels_at(t)->name;
        struct pool out = {.place = place};
        struct quantized q = quantized_new(&out, f, 1, cols);
        kernels_at(t)->quantize_inputs(f, x, cols, &q);
        assert_row(f, x, cols, &q, kernels_at(t));
        assert_same_floats(q.d, c.d, cols / f->block, f->name, isa);
        for (int64_t b = 0; b < cols / f->block; b++)
            if (fabsf(q.d[b]) > 0) assert_memory_equal(q.q + b * f->block, c.q + b * f->block, (size_t)f->block);
        pool_free(&out);
    }
    pool_free(&first);
    pool_free(&in);
}

enum { COLS = 1024 };

static const struct tile_format *format_of(int kind)
{
    return kernels_at(0)->tiles[kind] ? &kernels_at(0)->tiles[kind]->format : NULL;
}

static void test_quantized(void **state)
{
    (void)state;
    struct random r = {1};
    static float x[COLS];
    for (int kind = 0; kind < TILE_KINDS; kind++)
        for (int turn = 0; format_of(kind) && turn < 120; turn++) {
            const struct tile_format *f = format_of(kind);
            fill_inputs(x, COLS, (enum content)(turn % CONTENTS), &r);
            /* of every size, from none of what a float32 has to all of it */
            float scale = ldexpf(1, (int)random_below(&r, 270) - 149);
            for (int i = 0; turn >= CONTENTS && i < COLS; i++) x[i] *= scale;
            for (int i = 0; i < COLS; i++) x[i] = isfinite(x[i]) ? x[i] : copysignf(FLT_MAX, x[i]);
            assert_quantized(f, x, f->block * (1 + turn % (COLS / f->block)),
                             (enum buffer_place)(turn % BUFFER_PLACES));
        }
}

/* Whole numbers and a half where d is 1: to even. */
static void test_halves(void **state)
{
    (void)state;
    static float x[256];
    for (int kind = 0; kind < TILE_KINDS; kind++)
        for (size_t t = 0; format_of(kind) && kernels_at(t); t++)
            for (int from = -127; from < 127; from++) {
                const struct tile_format *f = format_of(kind);
                struct pool pool = {.place = BUFFER_AT_END};
                struct quantized q = quantized_new(&pool, f, 1, f->block);
                for (int i = 0; i < f->block; i++) x[i] = (float)(from + i % 3) + (i % 5 < 4 ? 0.5f : 0.f);
                for (int i = 0; i < f->block; i++) x[i] = fabsf(x[i]) > 126.5f ? 0 : x[i];
                x[from & (f->block - 1)] = 127;
                kernels_at(t)->quantize_inputs(f, x, f->block, &q);
                float sign = f->input == INPUT_Q8_K ? -1.f : 1.f;
                assert_true(q.d[0] == sign);
                for (int i = 0; i < f->block; i++)
                    if (q.q[i] != (int)rintf(sign * x[i]))
                        fail_msg("%s, %s: %g became %d", f->name, kernels_at(t)->name, (double)x[i], q.q[i]);
                pool_free(&pool);
            }
}

/* In the i-th 32nd of a block. */
static int somewhere(const struct tile_format *f, int i, struct random *r)
{
    return i * (f->block / 32) + (int)random_below(r, (uint32_t)f->block / 32);
}

/* In Q8_K the first of the values furthest from zero becomes -127, whatever its sign and wherever it is. */
static void test_first_furthest(void **state)
{
    (void)state;
    struct random r = {2};
    static float x[256];
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        const struct tile_format *f = format_of(kind);
        for (int i = 0; f && i < 32; i++) {
            int first = somewhere(f, i, &r);
            fill_inputs(x, f->block, RANDOM, &r);
            for (int j = first + 1; j < f->block; j++)
                if (random_below(&r, 8) == 0) x[j] = random_below(&r, 2) ? 5.f : -5.f;
            x[first] = first % 2 ? 5.f : -5.f;
            for (size_t t = 0; kernels_at(t); t++) {
                struct pool pool = {.place = BUFFER_AT_END};
                struct quantized q = quantized_new(&pool, f, 1, f->block);
                kernels_at(t)->quantize_inputs(f, x, f->block, &q);
                int wanted = f->input == INPUT_Q8_K || x[first] < 0 ? -127 : 127;
                if (q.q[first] != wanted || signbit(q.d[0]) != signbit(x[first] / (float)wanted))
                    fail_msg("%s, %s: value %d became %d", f->name, kernels_at(t)->name, first, q.q[first]);
                pool_free(&pool);
            }
            assert_quantized(f, x, f->block, BUFFER_AT_END);
        }
    }
}

/* What is not finite makes its block's d none, and no other's; large values beside it do not hide it. */
static void test_not_finite(void **state)
{
    (void)state;
    static const uint32_t bad[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0xffffffff};
    struct random r = {3};
    static float x[768];
    for (int kind = 0; kind < TILE_KINDS; kind++) {
        const struct tile_format *f = format_of(kind);
        for (int i = 0; f && i < 32; i++) {
            int at = somewhere(f, i, &r);
            fill_inputs(x, 3 * f->block, i % 2 ? RANDOM : ZEROS, &r);
            if (i % 3 == 0) x[f->block + (at + 1) % f->block] = FLT_MAX;
            x[f->block + at] = float_of_bits(bad[i % 6]);
            assert_quantized(f, x, 3 * f->block, BUFFER_AT_END); /* which judges d of all three */
        }
    }
}

/* --- 16 bits --- */

enum { MOST = 400 };

static void assert_rounded(enum input_kind kind, const float *values, int n, enum buffer_place place)
{
    struct pool pool = {.place = place};
    float *x = pool_new(&pool, n, sizeof *x);
    memcpy(x, values, (size_t)n * sizeof *x);
    pool_seal(&pool);
    float *y = pool_new(&pool, n, sizeof *y);
    for (size_t t = 0; kernels_at(t); t++) {
        memset(y, UNTOUCHED, (size_t)n * sizeof *y);
        kernels_at(t)->round_inputs(kind, x, n, y);
        for (int i = 0; i < n; i++) {
            float wanted = (float)(kind == INPUT_F16 ? nearest_half((double)x[i]) : nearest_bf16((double)x[i]));
            if (!same_float(y[i], wanted))
                fail_msg("%s: %a becomes %a instead of %a", kernels_at(t)->name, (double)x[i], (double)y[i],
                         (double)wanted);
        }
    }
    pool_free(&pool);
}

/* Values until there are enough for a call, of another length each time. */
struct batch {
    enum input_kind kind;
    int n, turn;
    float x[MOST];
};

static void batch_flush(struct batch *b)
{
    if (b->n) assert_rounded(b->kind, b->x, b->n, (enum buffer_place)(b->turn++ % BUFFER_PLACES));
    b->n = 0;
}

static void batch_add(struct batch *b, float x)
{
    b->x[b->n++] = x;
    if (b->n == 1 + b->turn % MOST) batch_flush(b);
}

/* Every number of 16 bits, what lies halfway to the next, and their neighbours in float32. */
static void test_rounded(void **state)
{
    (void)state;
    static const uint32_t beside[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    struct batch half = {.kind = INPUT_F16}, bf16 = {.kind = INPUT_BF16};
    for (uint32_t h = 0; h < 0x10000; h++) {
        float low = f32_from_f16((uint16_t)h), middle = low + (f32_from_f16((uint16_t)(h + 1)) - low) / 2;
        batch_add(&half, low);
        batch_add(&half, middle);
        batch_add(&half, nextafterf(middle, 0));
        batch_add(&half, nextafterf(middle, FLT_MAX));
        for (int i = 0; i < 6; i++) {
            batch_add(&bf16, float_of_bits(h << 16 | beside[i]));
            if (h % 5 == 0) batch_add(&half, float_of_bits(h << 16 | beside[i]));
        }
    }
    struct random r = {4};
    for (int i = 0; i < 100000; i++) {
        float any = float_of_bits((uint32_t)random_next(&r));
        batch_add(&half, any);
        batch_add(&bf16, any);
    }
    batch_flush(&half);
    batch_flush(&bf16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantized),  cmocka_unit_test(test_halves),  cmocka_unit_test(test_first_furthest),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_rounded),
    };
    return cmocka_run_group_tests_name("kernels/inputs", tests, NULL, NULL);
}
