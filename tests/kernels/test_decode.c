/* Every decoder against one that is written from the layout alone: value i of a block by itself, in double. The scales
 * have 11 bits, what multiplies them no more than 13, so that products are exact in float32 and the one rounding is
 * that of adding the minimum: the decoders must give the double rounded once, bit for bit. */
#include "engine/base/random.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The number of `count` bits that starts at bit `at`, counted from the lowest of the first byte. */
static int bits(const uint8_t *p, int at, int count)
{
    int v = 0;
    for (int i = 0; i < count; i++) v |= (p[(at + i) / 8] >> (at + i) % 8 & 1) << i;
    return v;
}

static int byte_signed(int b) { return b < 128 ? b : b - 256; }

/* Binary16 by its definition: 5 bits of exponent, 10 of mantissa. */
static double half(const uint8_t *p)
{
    int mantissa = bits(p, 0, 10), exponent = bits(p, 10, 5);
    double v = exponent == 0    ? ldexp(mantissa, -24)
               : exponent == 31 ? (mantissa ? (double)NAN : (double)INFINITY)
                                : ldexp(1024 + mantissa, exponent - 25);
    return bits(p, 15, 1) ? -v : v;
}

static double value_f32(const uint8_t *b, int i)
{
    float f;
    memcpy(&f, b + 4 * i, sizeof f);
    return (double)f;
}

static double value_f16(const uint8_t *b, int i) { return half(b + 2 * i); }

static double value_bf16(const uint8_t *b, int i)
{
    uint8_t wide[4] = {0, 0, b[2 * i], b[2 * i + 1]};
    return value_f32(wide, 0);
}

static double value_q8_0(const uint8_t *b, int i) { return half(b) * byte_signed(b[2 + i]); }

/* Of 32 values the first half lies in the low nibbles. */
static int nibble(const uint8_t *p, int i) { return bits(p, 8 * (i % 16) + (i < 16 ? 0 : 4), 4); }

static double value_q4_0(const uint8_t *b, int i) { return half(b) * (nibble(b + 2, i) - 8); }
static double value_q4_1(const uint8_t *b, int i) { return half(b) * nibble(b + 4, i) + half(b + 2); }
static double value_q5_0(const uint8_t *b, int i) { return half(b) * (nibble(b + 6, i) + 16 * bits(b + 2, i, 1) - 16); }
static double value_q5_1(const uint8_t *b, int i)
{
    return half(b) * (nibble(b + 8, i) + 16 * bits(b + 4, i, 1)) + half(b + 2);
}

/* Two bits of 256 values: 128 values a half, 32 values a pair of bits. */
static int pair(const uint8_t *p, int i) { return bits(p, 8 * (i / 128 * 32 + i % 32) + i % 128 / 32 * 2, 2); }

static double value_q2_k(const uint8_t *b, int i)
{
    return half(b + 80) * bits(b, 8 * (i / 16), 4) * pair(b + 16, i) - half(b + 82) * bits(b, 8 * (i / 16) + 4, 4);
}

static double value_q3_k(const uint8_t *b, int i)
{
    int s = i / 16; /* of the scale's bits, the low 4 run through 8 bytes twice, the high 2 through 4 bytes 4 times */
    int scale = bits(b + 96, 8 * (s % 8) + 4 * (s / 8), 4) + 16 * bits(b + 104, 8 * (s % 4) + 2 * (s / 4), 2);
    return half(b + 108) * (scale - 32) * (pair(b + 32, i) + 4 * bits(b, 8 * (i % 32) + i / 32, 1) - 4);
}

/* The 12 bytes of scales, as written where the layout is drawn in gguf-py: EEAAAAAA.. eeaaaaaa.. eeeeEEEE.. */
static int scale_k(const uint8_t *p, int s)
{
    return s < 4 ? bits(p, 8 * s, 6) : bits(p, 8 * (s + 4), 4) + 16 * bits(p, 8 * (s - 4) + 6, 2);
}
static int minimum_k(const uint8_t *p, int s)
{
    return s < 4 ? bits(p, 8 * (s + 4), 6) : bits(p, 8 * (s + 4) + 4, 4) + 16 * bits(p, 8 * s + 6, 2);
}

/* Nibbles of 256 values: 64 values in 32 bytes. */
static int nibble_k(const uint8_t *p, int i) { return bits(p, 8 * (i / 64 * 32 + i % 32) + i % 64 / 32 * 4, 4); }

static double value_q4_k(const uint8_t *b, int i)
{
    return half(b) * scale_k(b + 4, i / 32) * nibble_k(b + 16, i) - half(b + 2) * minimum_k(b + 4, i / 32);
}

static double value_q5_k(const uint8_t *b, int i)
{
    int q = nibble_k(b + 48, i) + 16 * bits(b + 16, 8 * (i % 32) + i / 32, 1);
    return half(b) * scale_k(b + 4, i / 32) * q - half(b + 2) * minimum_k(b + 4, i / 32);
}

static double value_q6_k(const uint8_t *b, int i)
{
    int low = bits(b, 8 * (i / 128 * 64 + i % 64) + i % 128 / 64 * 4, 4);
    return half(b + 208) * byte_signed(b[192 + i / 16]) * (low + 16 * pair(b + 128, i) - 32);
}

static int value_of_iq4(int code)
{
    static const int values[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    return values[code];
}

static double value_iq4_nl(const uint8_t *b, int i) { return half(b) * value_of_iq4(nibble(b + 2, i)); }

static double value_iq4_xs(const uint8_t *b, int i)
{
    int s = i / 32, scale = bits(b + 4, 4 * s, 4) + 16 * bits(b + 2, 2 * s, 2);
    return half(b) * (scale - 32) * value_of_iq4(nibble(b + 8 + 16 * s, i % 32));
}

/* The digits of byte / 256 to the base 3, the byte being that of 3^-5 times a whole number, rounded up. Other bytes do
 * not occur, but have their digits too: what comes out of multiplying the byte, modulo 256, by powers of 3. */
static int trit(int byte, int digit)
{
    for (int k = 0; k < digit; k++) byte = byte * 3 % 256;
    return byte * 3 / 256;
}

static double value_tq1_0(const uint8_t *b, int i)
{
    int q = i < 160   ? trit(b[i % 32], i / 32)
            : i < 240 ? trit(b[32 + i % 16], (i - 160) / 16)
                      : trit(b[48 + i % 4], (i - 240) / 4);
    return half(b + 52) * (q - 1);
}

static double value_tq2_0(const uint8_t *b, int i) { return half(b + 64) * (pair(b, i) - 1); }

static const struct layout {
    enum dtype_id type;
    double (*value)(const uint8_t *block, int i);
    int scales[2]; /* the bytes where 16-bit scales begin; -1: none */
} layouts[] = {
    {DTYPE_F32, value_f32, {2, -1}},      {DTYPE_F16, value_f16, {0, -1}},       {DTYPE_BF16, value_bf16, {0, -1}},
    {DTYPE_Q8_0, value_q8_0, {0, -1}},    {DTYPE_Q4_0, value_q4_0, {0, -1}},     {DTYPE_Q4_1, value_q4_1, {0, 2}},
    {DTYPE_Q5_0, value_q5_0, {0, -1}},    {DTYPE_Q5_1, value_q5_1, {0, 2}},      {DTYPE_Q2_K, value_q2_k, {80, 82}},
    {DTYPE_Q3_K, value_q3_k, {108, -1}},  {DTYPE_Q4_K, value_q4_k, {0, 2}},      {DTYPE_Q5_K, value_q5_k, {0, 2}},
    {DTYPE_Q6_K, value_q6_k, {208, -1}},  {DTYPE_IQ4_NL, value_iq4_nl, {0, -1}}, {DTYPE_IQ4_XS, value_iq4_xs, {0, -1}},
    {DTYPE_TQ1_0, value_tq1_0, {52, -1}}, {DTYPE_TQ2_0, value_tq2_0, {64, -1}},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts, BLOCKS = 5 };

/* Blocks at an odd address, in memory of exactly their size. */
struct blocks {
    const struct dtype *type;
    uint8_t *memory, *bytes;
    int64_t n;
    float *values; /* [n] */
};

static struct blocks blocks_new(const struct layout *l, int count)
{
    struct blocks b = {.type = dtype_of((int)l->type), .n = (int64_t)count * dtype_of((int)l->type)->block};
    b.memory = malloc(1 + (size_t)count * b.type->block_bytes);
    b.values = malloc((size_t)b.n * sizeof *b.values);
    assert_true(b.memory && b.values);
    b.bytes = b.memory + 1;
    return b;
}

static void blocks_free(struct blocks *b)
{
    free(b->memory);
    free(b->values);
}

/* Random bytes. Finite: with 16-bit scales whose exponents are below the largest. */
static void blocks_fill(struct blocks *b, const struct layout *l, struct random *r, bool finite)
{
    int64_t count = b->n / b->type->block;
    for (size_t i = 0; i < (size_t)count * b->type->block_bytes; i++) b->bytes[i] = (uint8_t)random_below(r, 256);
    for (int64_t i = 0; finite && i < count; i++)
        for (int s = 0; s < 2; s++)
            if (l->scales[s] >= 0) b->bytes[(size_t)i * b->type->block_bytes + (size_t)l->scales[s] + 1] &= 0xbf;
}

static void assert_layout(const struct layout *l, const struct blocks *b, const char *isa)
{
    for (int64_t i = 0; i < b->n; i++) {
        const uint8_t *block = b->bytes + (size_t)(i / b->type->block) * b->type->block_bytes;
        float wanted = (float)l->value(block, (int)(i % b->type->block)), got = b->values[i];
        if (isnan(wanted) ? !isnan(got) : memcmp(&got, &wanted, sizeof got) != 0)
            fail_msg("%s, %s: value %d is %.9g instead of %.9g", b->type->name, isa, (int)i, (double)got,
                     (double)wanted);
    }
}

static void test_every_decoder_is_tested(void **state)
{
    (void)state;
    bool tested[DTYPE_LIMIT] = {false};
    for (size_t l = 0; l < LAYOUTS; l++) tested[layouts[l].type] = true;
    for (int type = 0; type < DTYPE_LIMIT; type++)
        if (!kernels_get()->decode[type] != !tested[type])
            fail_msg("type %d is %s", type, tested[type] ? "not decoded" : "decoded, but not tested");
}

static void test_random_blocks(void **state)
{
    (void)state;
    struct random r = {1};
    for (size_t l = 0; l < LAYOUTS; l++)
        for (size_t round = 0; round < test_items(200); round++) {
            struct blocks b = blocks_new(&layouts[l], round % 2 ? 1 : BLOCKS);
            blocks_fill(&b, &layouts[l], &r, round % 4 > 0);
            for (size_t t = 0; kernels_at(t); t++) {
                kernels_at(t)->decode[layouts[l].type](b.bytes, b.values, b.n);
                assert_layout(&layouts[l], &b, kernels_at(t)->name);
            }
            blocks_free(&b);
        }
}

/* One bit set, scales of 1 apart from it: each bit of a block is in its place. */
static void test_single_bits(void **state)
{
    (void)state;
    for (size_t l = 0; l < LAYOUTS; l++) {
        struct blocks b = blocks_new(&layouts[l], 1);
        for (size_t bit = 0; bit < 8 * b.type->block_bytes; bit++) {
            memset(b.bytes, 0, b.type->block_bytes);
            for (int s = 0; s < 2 && b.type->block > 1; s++)
                if (layouts[l].scales[s] >= 0) memcpy(b.bytes + layouts[l].scales[s], "\x00\x3c", 2);
            b.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            kernels_get()->decode[layouts[l].type](b.bytes, b.values, b.n);
            assert_layout(&layouts[l], &b, kernels_get()->name);
        }
        blocks_free(&b);
    }
}

/* A block of zero bytes is exact zeros, whatever its type. */
static void test_zeros(void **state)
{
    (void)state;
    for (size_t l = 0; l < LAYOUTS; l++) {
        struct blocks b = blocks_new(&layouts[l], BLOCKS);
        memset(b.bytes, 0, BLOCKS * b.type->block_bytes);
        kernels_get()->decode[layouts[l].type](b.bytes, b.values, b.n);
        for (int64_t i = 0; i < b.n; i++) assert_true(b.values[i] == 0.f);
        blocks_free(&b);
    }
}

/* By hand: super-blocks whose every value can be said in words. */
static void test_by_hand(void **state)
{
    (void)state;
    float out[256];
    uint8_t q4_k[144] = {0x00, 0x3c, 0x00, 0x40}; /* d = 1, dmin = 2 */
    q4_k[4] = 5, q4_k[8] = 3;                     /* sub-block 0: scale 5, minimum 3 */
    q4_k[7] = 2 << 6, q4_k[15] = 1 << 4 | 7;      /* sub-block 7: scale 2 * 16 + 7, minimum 1 */
    memset(q4_k + 16, 0x0a, 32);
    memset(q4_k + 112, 0x90, 32);
    kernels_get()->decode[DTYPE_Q4_K](q4_k, out, 256);
    assert_true(out[0] == 5 * 10 - 2 * 3 && out[31] == 44 && out[32] == 0 && out[224] == 39 * 9 - 2 && out[255] == 349);

    uint8_t q6_k[210] = {0};
    memcpy(q6_k + 208, "\x00\xb8", 2); /* d = -0.5 */
    memset(q6_k + 192, 4, 15);
    q6_k[207] = 0x80; /* -128 */
    q6_k[127] = 0x1f; /* value 191 has code 15, value 255 code 1 */
    q6_k[191] = 0xc0; /* and value 255 high bits 3: 49 */
    kernels_get()->decode[DTYPE_Q6_K](q6_k, out, 256);
    assert_true(out[0] == -0.5f * 4 * -32 && out[191] == -2 * (15 - 32) && out[255] == -0.5f * -128 * (49 - 32));

    uint8_t tq1_0[54] = {0};
    memcpy(tq1_0 + 52, "\x00\x3c", 2);
    tq1_0[1] = (uint8_t)((((((2 * 3 + 0) * 3 + 1) * 3 + 2) * 3 + 1) * 256 + 242) / 243);
    kernels_get()->decode[DTYPE_TQ1_0](tq1_0, out, 256);
    assert_true(out[0] == -1 && out[1] == 1 && out[33] == -1 && out[65] == 0 && out[97] == 1 && out[129] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_decoder_is_tested),
        cmocka_unit_test(test_random_blocks),
        cmocka_unit_test(test_single_bits),
        cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_by_hand),
    };
    return cmocka_run_group_tests_name("kernels/decode", tests, NULL, NULL);
}
