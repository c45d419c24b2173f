#include "cli/kernels/layouts.h"

#include <math.h>
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

static const struct layout layouts[] = {
    {DTYPE_F32, value_f32, {2, -1}},      {DTYPE_F16, value_f16, {0, -1}},       {DTYPE_BF16, value_bf16, {0, -1}},
    {DTYPE_Q8_0, value_q8_0, {0, -1}},    {DTYPE_Q4_0, value_q4_0, {0, -1}},     {DTYPE_Q4_1, value_q4_1, {0, 2}},
    {DTYPE_Q5_0, value_q5_0, {0, -1}},    {DTYPE_Q5_1, value_q5_1, {0, 2}},      {DTYPE_Q2_K, value_q2_k, {80, 82}},
    {DTYPE_Q3_K, value_q3_k, {108, -1}},  {DTYPE_Q4_K, value_q4_k, {0, 2}},      {DTYPE_Q5_K, value_q5_k, {0, 2}},
    {DTYPE_Q6_K, value_q6_k, {208, -1}},  {DTYPE_IQ4_NL, value_iq4_nl, {0, -1}}, {DTYPE_IQ4_XS, value_iq4_xs, {0, -1}},
    {DTYPE_TQ1_0, value_tq1_0, {52, -1}}, {DTYPE_TQ2_0, value_tq2_0, {64, -1}},
};

const struct layout *layout_at(size_t i) { return i < sizeof layouts / sizeof *layouts ? &layouts[i] : NULL; }

const struct layout *layout_of(int type)
{
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if ((int)layouts[i].type == type) return &layouts[i];
    return NULL;
}

/* --- errors --- */

static const struct accuracy {
    enum dtype_id type;
    double levels, step;
    bool minimum;
} accuracies[] = {{DTYPE_Q8_0, 127, 0.5, false}, {DTYPE_Q4_0, 8, 1, false},   {DTYPE_Q5_0, 16, 1, false},
                  {DTYPE_Q4_1, 15, 0.5, true},   {DTYPE_Q5_1, 31, 0.5, true}, {DTYPE_TQ1_0, 1, 0.5, false},
                  {DTYPE_TQ2_0, 1, 0.5, false}};

/* Of the rounding of v to 16 bits: 2^-11 of it, or half of 2^-24 for the smallest. */
static double half_error(double v) { return fmax(fabs(v) * 0x1p-11, 0x1p-25); }

/* From x to its code there are no more than 5 roundings of numbers below 2 levels, each off by 2^-24 of them. */
static double error_of(const struct accuracy *a, const float *x, int n)
{
    const double limit = 65504; /* the largest of 16 bits */
    double most = 0, first = (double)x[0], last = (double)x[0];
    for (int i = 0; i < n; i++) {
        most = fmax(most, fabs((double)x[i]));
        first = fmin(first, (double)x[i]);
        last = fmax(last, (double)x[i]);
    }
    double d = (a->minimum ? last - first : most) / a->levels;
    if (!(d < limit) || (a->minimum && !(fabs(first) < limit))) return (double)INFINITY;
    return (a->step + 10 * a->levels * 0x1p-24) * d + a->levels * half_error(d) + (a->minimum ? half_error(first) : 0);
}

double encoding_bound(int type, const float *x)
{
    for (size_t i = 0; i < sizeof accuracies / sizeof *accuracies; i++)
        if ((int)accuracies[i].type == type) return error_of(&accuracies[i], x, dtype_of(type)->block);
    return (double)INFINITY;
}
