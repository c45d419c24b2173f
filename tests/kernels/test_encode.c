/* float32 to the stored types and back. */
#include "engine/base/random.h"
#include "engine/kernels/half.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool encode_known(int type) { return dtype_of(type) && kernels_get()->encode[type]; }

static bool encode_row(enum dtype_id type, const float *x, void *out, int64_t n)
{
    if (!encode_known((int)type) || n % dtype_of((int)type)->block) return false;
    kernels_get()->encode[type](x, NULL, out, n);
    return true;
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

static void test_ragged(void **state)
{
    (void)state;
    float x[64] = {0};
    uint8_t out[64 * 4] = {0}, untouched[sizeof out] = {0};
    for (int type = 0; type < DTYPE_LIMIT; type++) {
        if (!encode_known(type)) {
            assert_false(encode_row((enum dtype_id)type, x, out, 32));
            continue;
        }
        int block = dtype_of(type)->block;
        for (int64_t n = 0; n <= 64; n++)
            if (n % block) assert_false(encode_row((enum dtype_id)type, x, out, n));
    }
    assert_memory_equal(out, untouched, sizeof out);
    static const enum dtype_id known[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_true(encode_known((int)known[i]));
        assert_true(encode_row(known[i], x, out, 64));
        assert_non_null(kernels_get()->decode[known[i]]); /* what is written can be read */
    }
    assert_false(encode_known(DTYPE_Q6_K));
    assert_false(encode_known(DTYPE_LIMIT - 4)); /* the number of no type */
}

/* One block by hand: the largest is -12.7, so d = 0.1 in 16 bits (0x2e66) and q = x / 0.1. */
static void test_q8_0_block(void **state)
{
    (void)state;
    float x[32] = {-12.7f, 12.6f, 0.05f, -0.04f, 0.f, 1.f};
    uint8_t out[34], wanted[34] = {0x66, 0x2e, 0x81, 126, 1, 0, 0, 10};
    assert_true(encode_row(DTYPE_Q8_0, x, out, 32));
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
    assert_true(encode_row(DTYPE_Q4_0, x, out, 32));
    assert_memory_equal(out, wanted, sizeof out);
}

static double largest(const float *x, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)x[i]));
    return most;
}

/* |x - d q| is half a step, the rounding of d to 16 bits (2^-11 of it, or half of 2^-24 for the smallest) times q. */
static void test_block_errors(void **state)
{
    (void)state;
    static const struct {
        enum dtype_id type;
        double levels, step; /* d = most / levels; error of the worst value in steps */
    } cases[] = {{DTYPE_Q8_0, 127, 0.5}, {DTYPE_Q4_0, 8, 1}};
    for (size_t c = 0; c < 2; c++)
        for (int round = 0; round < 400; round++) {
            float x[64], back[64];
            uint8_t out[2 * 34];
            fill_random(x, 64, ldexpf(1.f, round % 36 - 24), (uint64_t)round);
            assert_true(encode_row(cases[c].type, x, out, 64));
            kernels_get()->decode[cases[c].type](out, back, 64);
            for (size_t b = 0; b < 64; b += 32) {
                double most = largest(x + b, 32), d = most / cases[c].levels;
                double bound = (cases[c].step + 1e-4) * d + cases[c].levels * fmax(d * 0x1p-11, 0x1p-25);
                for (size_t i = b; i < b + 32; i++)
                    assert_near(back[i], x[i], bound, dtype_of((int)cases[c].type)->name);
            }
        }
}

/* Zeros stay zeros, and what is too small for the scale becomes zero. Where even 1 / d overflows the bytes are those of
 * zeros. */
static void test_tiny_blocks(void **state)
{
    (void)state;
    static const float sizes[] = {0.f, 1e-45f, 1e-40f, 1e-38f, 1e-30f};
    static const enum dtype_id blocked[] = {DTYPE_Q8_0, DTYPE_Q4_0};
    for (size_t t = 0; t < 2; t++) {
        uint8_t out[34] = {0}, zeros[34] = {0};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            float x[32] = {sizes[s], -sizes[s], sizes[s] / 2}, back[32];
            assert_true(encode_row(blocked[t], x, out, 32));
            if (s == 0) memcpy(zeros, out, sizeof zeros);
            if (sizes[s] <= 1e-40f) assert_memory_equal(out, zeros, sizeof out);
            kernels_get()->decode[blocked[t]](out, back, 32);
            for (size_t i = 0; i < 32; i++) assert_true(back[i] == 0.f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_values),  cmocka_unit_test(test_rounding),   cmocka_unit_test(test_ragged),
        cmocka_unit_test(test_q8_0_block),  cmocka_unit_test(test_q4_0_block), cmocka_unit_test(test_block_errors),
        cmocka_unit_test(test_tiny_blocks),
    };
    return cmocka_run_group_tests_name("kernels/encode", tests, NULL, NULL);
}
