/* float32 to the stored types and back. */
#include "cli/kernels/layouts.h"
#include "engine/base/random.h"
#include "engine/kernels/half.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool encode_known(int type) { return dtype_of(type) && kernels_get()->encode[type]; }

static void encode_row(enum dtype_id type, const float *x, void *out, int64_t n)
{
    assert_true(encode_known((int)type));
    kernels_get()->encode[type](x, NULL, out, n);
}

/* Binary16 by its definition: 5 bits of exponent, 10 of mantissa. */
static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double v = exponent == 0    ? ldexp(mantissa, -24)
               : exponent == 31 ? (mantissa ? (double)NAN : (double)INFINITY)
                                : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -v : v;
}

static double bfloat_value(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return (double)f;
}

static float decode_bf16(uint16_t h)
{
    float f;
    kernels_get()->decode[DTYPE_BF16](&h, &f, 1);
    return f;
}

static const struct type {
    const char *name;
    double (*value)(uint16_t);
    float (*decode)(uint16_t);
    uint16_t (*encode)(float);
    uint16_t infinity;
} types[] = {{"f16", half_value, f32_from_f16, f16_from_f32, 0x7c00},
             {"bf16", bfloat_value, decode_bf16, bf16_from_f32, 0x7f80}};

static void assert_bits(const struct type *t, float x, uint16_t wanted)
{
    if (t->encode(x) != wanted)
        fail_msg("%s: %a becomes %04x instead of %04x", t->name, (double)x, t->encode(x), wanted);
}

static void test_all_values(void **state)
{
    (void)state;
    for (const struct type *t = types; t < types + 2; t++)
        for (uint32_t i = 0; i < 65536; i++) {
            uint16_t h = (uint16_t)i;
            double v = t->value(h);
            float f = t->decode(h);
            if (isnan(v)) {
                assert_true(isnan(f) && isnan(t->value(t->encode(f))));
                continue;
            }
            assert_true((double)f == v && !signbit(f) == !(h & 0x8000));
            assert_bits(t, f, h);
        }
}

/* Between each value and the next larger in magnitude: the half way goes to the even one, what is off it to the nearer.
 * Beyond the largest stands infinity, in the place of the next power of two. */
static void test_rounding(void **state)
{
    (void)state;
    for (const struct type *t = types; t < types + 2; t++)
        for (uint32_t i = 0; i < t->infinity; i++) {
            uint16_t low = (uint16_t)i, high = (uint16_t)(i + 1);
            double a = t->value(low), b = high == t->infinity ? 2 * a - t->value((uint16_t)(low - 1)) : t->value(high);
            float middle = (float)((a + b) / 2);
            if ((double)middle != (a + b) / 2)
                continue; /* half of bfloat16's smallest is a float, but not of float's */
            uint16_t even = low & 1 ? high : low;
            assert_bits(t, middle, even);
            assert_bits(t, -middle, even | 0x8000);
            assert_bits(t, nextafterf(middle, 0.f), low);
            assert_bits(t, nextafterf(middle, INFINITY), high);
            assert_bits(t, -nextafterf(middle, INFINITY), high | 0x8000);
        }
    assert_int_equal(f16_from_f32(65519.996f), 0x7bff);
    assert_int_equal(f16_from_f32(65520.f), 0x7c00);
    assert_int_equal(f16_from_f32(-3e38f), 0xfc00);
    assert_int_equal(f16_from_f32(0x1p-25f), 0);
    assert_int_equal(f16_from_f32(0x1.000002p-25f), 1);
    assert_int_equal(f16_from_f32(1e-45f), 0);
    assert_int_equal(f16_from_f32(-1e-45f), 0x8000);
    assert_int_equal(bf16_from_f32(3.4028235e38f), 0x7f80);
}

/* Every type whose blocks are written can be read, in every table. */
static void test_known(void **state)
{
    (void)state;
    static const enum dtype_id known[] = {DTYPE_F32,  DTYPE_F16,  DTYPE_BF16, DTYPE_Q8_0,  DTYPE_Q4_0,
                                          DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_TQ1_0, DTYPE_TQ2_0};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) assert_true(encode_known((int)known[i]));
    for (size_t t = 0; kernels_at(t); t++)
        for (int type = 0; type < DTYPE_LIMIT; type++) {
            assert_int_equal(!kernels_at(t)->encode[type], !encode_known(type));
            if (encode_known(type)) assert_non_null(kernels_at(t)->decode[type]);
        }
    assert_false(encode_known(DTYPE_Q8_K));
    assert_false(encode_known(DTYPE_IQ2_XXS));
    assert_false(encode_known(DTYPE_LIMIT - 4)); /* the number of no type */
}

/* One block by hand: the largest is -12.7, so d = 0.1 in 16 bits (0x2e66) and q = x / 0.1. */
static void test_q8_0_block(void **state)
{
    (void)state;
    float x[32] = {-12.7f, 12.6f, 0.05f, -0.04f, 0.f, 1.f};
    uint8_t out[34], wanted[34] = {0x66, 0x2e, 0x81, 126, 1, 0, 0, 10};
    encode_row(DTYPE_Q8_0, x, out, 32);
    wanted[4] = (uint8_t)(int8_t)roundf(0.05f * (1 / (12.7f / 127)));
    assert_memory_equal(out, wanted, sizeof out);
}

/* The value of largest magnitude is 8, so d = -1 (0xbc00) and q = 8 - x rounded; 0x88 is two zeros. */
static void test_q4_0_block(void **state)
{
    (void)state;
    float x[32] = {8.f, -7.f, 0.4f, 0.6f};
    x[16] = -8.f; /* would be 16: held at 15 */
    x[17] = 3.f;
    uint8_t out[18], wanted[18] = {0x00, 0xbc, 0xf0, 0x5f, 0x88, 0x87};
    memset(wanted + 6, 0x88, 12);
    encode_row(DTYPE_Q4_0, x, out, 32);
    assert_memory_equal(out, wanted, sizeof out);
}

/* From -1 to 2.75, so d = 0.25 (0x3400) and m = -1 (0xbc00); a value midway goes up. */
static void test_q4_1_block(void **state)
{
    (void)state;
    float x[32] = {-1.f, 2.75f, 0.f, 0.124f, 0.125f};
    x[16] = 0.5f;
    uint8_t out[20], wanted[20] = {0x00, 0x34, 0x00, 0xbc, 0x60, 0x4f, 0x44, 0x44, 0x45};
    memset(wanted + 9, 0x44, 11);
    encode_row(DTYPE_Q4_1, x, out, 32);
    assert_memory_equal(out, wanted, sizeof out);
}

/* The value of largest magnitude is -16, so d = 1 (0x3c00) and q = x + 16 rounded, at most 31; zero is 16, whose fifth
 * bit is set. */
static void test_q5_0_block(void **state)
{
    (void)state;
    float x[32] = {-16.f, 15.4f, -0.6f, 16.f};
    x[31] = -8.f;
    uint8_t out[22], wanted[22] = {0x00, 0x3c, 0xfa, 0xff, 0xff, 0x7f, 0x00, 0x0f, 0x0f, 0x0f};
    wanted[21] = 0x80;
    encode_row(DTYPE_Q5_0, x, out, 32);
    assert_memory_equal(out, wanted, sizeof out);
}

/* From 1 to 32: d = 1, m = 1 and q = x - 1. */
static void test_q5_1_block(void **state)
{
    (void)state;
    float x[32];
    uint8_t out[24], wanted[24] = {0x00, 0x3c, 0x00, 0x3c, 0x00, 0x00, 0xff, 0xff};
    for (int i = 0; i < 32; i++) x[i] = (float)(i + 1);
    for (int i = 0; i < 16; i++) wanted[8 + i] = (uint8_t)(i | i << 4);
    encode_row(DTYPE_Q5_1, x, out, 32);
    assert_memory_equal(out, wanted, sizeof out);
}

/* d = max |x| = 2 (0x4000); 1 is half of it and goes away from zero. Zeros are digits of 1: 11111 to the base 3 is 121,
 * and 121 * 256 / 243 rounded up 0x80. */
static void test_ternary_blocks(void **state)
{
    (void)state;
    float x[256] = {2.f, -2.f, 0.99f, 1.f, -1.f};
    uint8_t out[66], tq1_0[54], tq2_0[66];
    memset(tq1_0, 0x80, 52);
    memset(tq1_0 + 48, 0x7f, 4);                                                      /* 4 digits and a 0: 120 */
    static const uint8_t first[] = {(202 * 256 + 242) / 243, (40 * 256 + 242) / 243}; /* 21111 and 01111 */
    memcpy(tq1_0, (uint8_t[]){first[0], first[1], 0x80, first[0], first[1]}, 5);
    memcpy(tq1_0 + 52, "\x00\x40", 2);
    encode_row(DTYPE_TQ1_0, x, out, 256);
    assert_memory_equal(out, tq1_0, sizeof tq1_0);
    memset(tq2_0, 0x55, 64);
    memcpy(tq2_0, "\x56\x54\x55\x56\x54", 5);
    memcpy(tq2_0 + 64, "\x00\x40", 2);
    encode_row(DTYPE_TQ2_0, x, out, 256);
    assert_memory_equal(out, tq2_0, sizeof tq2_0);
}

/* What is known of a type's errors, at every size. */
static void test_block_errors(void **state)
{
    (void)state;
    for (int type = 0; type < DTYPE_LIMIT; type++)
        for (int round = 0; encode_known(type) && round < (int)test_items(400); round++) {
            int block = dtype_of(type)->block;
            float x[512], back[512];
            uint8_t out[2 * 256];
            float scale = ldexpf(1.f, round % 36 - 24);
            fill_random(x, 512, scale, (uint64_t)round);
            for (int i = 0; round % 3 == 0 && i < 512; i++) x[i] += 2 * scale;
            if (block == 1 || encoding_bound(type, x) == (double)INFINITY) continue;
            encode_row((enum dtype_id)type, x, out, 2 * block);
            kernels_get()->decode[type](out, back, 2 * block);
            for (int i = 0; i < 2 * block; i++)
                assert_near(back[i], x[i], encoding_bound(type, x + i / block * block), dtype_of(type)->name);
        }
}

static bool every_block_type(int *type)
{
    for (++*type; *type < DTYPE_LIMIT; ++*type)
        if (encode_known(*type) && dtype_of(*type)->block > 1) return true;
    return false;
}

/* Zeros stay zeros, and what is too small for the scale becomes zero. */
static void test_tiny_blocks(void **state)
{
    (void)state;
    static const float sizes[] = {0.f, 1e-45f, 1e-40f, 1e-38f, 1e-30f};
    for (int type = -1; every_block_type(&type);)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            float x[256] = {sizes[s], -sizes[s], sizes[s] / 2}, back[256];
            uint8_t out[8 * 34];
            encode_row((enum dtype_id)type, x, out, 256);
            kernels_get()->decode[type](out, back, 256);
            for (size_t i = 0; i < 256; i++)
                if (back[i] != 0.f) fail_msg("%s: %g becomes %g", dtype_of(type)->name, (double)x[i], (double)back[i]);
        }
}

/* One value in all places. */
static void test_constant_blocks(void **state)
{
    (void)state;
    static const float values[] = {1.f, -1.f, 0.1f, -3.7f, 0.05f, 60000.f, -60000.f};
    for (int type = -1; every_block_type(&type);)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            float x[256], back[256];
            uint8_t out[8 * 34];
            for (int i = 0; i < 256; i++) x[i] = values[v];
            encode_row((enum dtype_id)type, x, out, 256);
            kernels_get()->decode[type](out, back, 256);
            for (int i = 0; i < 256; i++) assert_near(back[i], x[i], 2e-3 * fabs((double)x[i]), dtype_of(type)->name);
        }
}

/* Where no 16-bit scale holds the values the block is not finite, rather than silently another one. */
static void test_large_blocks(void **state)
{
    (void)state;
    for (int type = -1; every_block_type(&type);)
        for (int size = 0; size < 2; size++) {
            float x[256], back[256];
            uint8_t out[8 * 34];
            bool finite = true;
            fill_random(x, 256, size ? 3.4e38f : 1e12f, 3);
            encode_row((enum dtype_id)type, x, out, 256);
            kernels_get()->decode[type](out, back, 256);
            for (int i = 0; i < 256; i++) finite = finite && isfinite(back[i]);
            if (finite) fail_msg("%s: %g found a finite scale", dtype_of(type)->name, (double)x[0]);
        }
}

/* Values of very different sizes. */
static void fill_uneven(float *x, size_t n, uint64_t seed)
{
    struct random r = {seed};
    fill_random(x, n, 1.f, seed);
    for (size_t i = 0; i < n; i++) x[i] *= ldexpf(1.f, (int)random_below(&r, 12) - 8);
}

/* The same bytes from every table, at odd addresses, and for each block alone. */
static void test_tables_agree(void **state)
{
    (void)state;
    enum { N = 4 * 256 };
    float x[N], importance[N];
    for (int type = -1; every_block_type(&type);)
        for (uint64_t round = 0; round < 2 * test_items(8); round++) {
            const struct dtype *d = dtype_of(type);
            size_t bytes = (size_t)(N / d->block) * d->block_bytes;
            const float *weights = round % 2 ? importance : NULL;
            uint8_t *wanted = malloc(bytes), *memory = malloc(bytes + 1);
            assert_true(wanted && memory);
            fill_uneven(x, N, round);
            fill_uneven(importance, N, 100 + round);
            for (int i = 0; i < N; i++) importance[i] = fabsf(importance[i]);
            kernels_at(0)->encode[type](x, weights, wanted, N);
            for (size_t t = 1; kernels_at(t); t++) {
                kernels_at(t)->encode[type](x, weights, memory + 1, N);
                if (memcmp(memory + 1, wanted, bytes))
                    fail_msg("%s: %s and c differ (seed %d)", d->name, kernels_at(t)->name, (int)round);
            }
            for (int64_t i = 0; i < N; i += d->block)
                kernels_get()->encode[type](x + i, weights ? weights + i : NULL,
                                            memory + (size_t)(i / d->block) * d->block_bytes, d->block);
            assert_memory_equal(memory, wanted, bytes);
            free(wanted);
            free(memory);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_values),     cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_known),          cmocka_unit_test(test_q8_0_block),
        cmocka_unit_test(test_q4_0_block),     cmocka_unit_test(test_q4_1_block),
        cmocka_unit_test(test_q5_0_block),     cmocka_unit_test(test_q5_1_block),
        cmocka_unit_test(test_ternary_blocks), cmocka_unit_test(test_block_errors),
        cmocka_unit_test(test_tiny_blocks),    cmocka_unit_test(test_constant_blocks),
        cmocka_unit_test(test_large_blocks),   cmocka_unit_test(test_tables_agree),
    };
    return cmocka_run_group_tests_name("kernels/encode", tests, NULL, NULL);
}
