/* float32 to K-quants, by the search of search.h; the layouts stand at the decoders. */
#include "engine/kernels/portable/search.h"

#include <string.h>

/* size, per, low, high, codebook, least, most, most_minimum, starts, rounds, reach, weighted_reach */
static const struct scheme q2_k = {16, 16, 0, 3, false, 0, 15, 15, 4, 2, 1, 4},
                           q3_k = {16, 16, -4, 3, false, -32, 31, 0, 3, 2, 2, 16},
                           q4_k = {32, 8, 0, 15, false, 0, 63, 63, 3, 2, 6, 10},
                           q5_k = {32, 8, 0, 31, false, 0, 63, 63, 3, 2, 6, 10},
                           q6_k = {16, 16, -32, 31, false, -128, 127, 0, 3, 2, 2, 6};

/* 2 bits of 256 codes: bits 2j..2j+1 of byte 32h + i are of value 128h + 32j + i. */
static void store_2_bits(const uint8_t *codes /* [256] */, uint8_t *out /* [64] */)
{
    for (int h = 0; h < 2; h++, codes += 128, out += 32)
        for (int i = 0; i < 32; i++)
            out[i] = (uint8_t)((codes[i] & 3) | (codes[i + 32] & 3) << 2 | (codes[i + 64] & 3) << 4 |
                               (codes[i + 96] & 3) << 6);
}

static void store_q2_k(const struct chosen *c, int first, uint8_t *out)
{
    (void)first;
    for (int j = 0; j < 16; j++) out[j] = (uint8_t)(c->scales[j] | c->minima[j] << 4);
    store_2_bits(c->codes, out + 16);
    memcpy(out + 80, c->d, 2);
    memcpy(out + 82, c->dmin, 2);
}

static void store_q3_k(const struct chosen *c, int first, uint8_t *out)
{
    (void)first;
    memset(out, 0, 32);
    for (int i = 0; i < 256; i++) out[i % 32] |= (uint8_t)(c->codes[i] >> 2 << i / 32);
    store_2_bits(c->codes, out + 32);
    memset(out + 96, 0, 12);
    for (int j = 0; j < 16; j++) {
        int scale = c->scales[j] + 32;
        out[96 + j % 8] |= (uint8_t)((scale & 15) << 4 * (j / 8));
        out[104 + j % 4] |= (uint8_t)(scale >> 4 << 2 * (j / 4));
    }
    memcpy(out + 108, c->d, 2);
}

/* float16 d and dmin, then 8 scales and minima of 6 bits in 12 bytes. */
static void store_scales(const struct chosen *c, int first, uint8_t *out /* [16] */)
{
    const int *scales = c->scales + first, *minima = c->minima + first;
    memcpy(out, c->d + first, 2);
    memcpy(out + 2, c->dmin + first, 2);
    for (int j = 0; j < 4; j++) {
        out[4 + j] = (uint8_t)(scales[j] | scales[j + 4] >> 4 << 6);
        out[8 + j] = (uint8_t)(minima[j] | minima[j + 4] >> 4 << 6);
        out[12 + j] = (uint8_t)((scales[j + 4] & 15) | (minima[j + 4] & 15) << 4);
    }
}

static void store_q4_k(const struct chosen *c, int first, uint8_t *out)
{
    store_scales(c, first, out);
    for (int g = 0; g < 4; g++) store_nibbles(c->codes + 32 * first + 64 * g, 32, out + 16 + 32 * g);
}

static void store_q5_k(const struct chosen *c, int first, uint8_t *out)
{
    const uint8_t *codes = c->codes + 32 * first;
    store_scales(c, first, out);
    memset(out + 16, 0, 32);
    for (int i = 0; i < 256; i++) out[16 + i % 32] |= (uint8_t)(codes[i] >> 4 << i / 32);
    for (int g = 0; g < 4; g++) store_nibbles(codes + 64 * g, 32, out + 48 + 32 * g);
}

static void store_q6_k(const struct chosen *c, int first, uint8_t *out)
{
    uint8_t high[256];
    (void)first;
    for (int i = 0; i < 256; i++) high[i] = c->codes[i] >> 4;
    for (int h = 0; h < 2; h++) store_nibbles(c->codes + 128 * h, 64, out + 64 * h);
    store_2_bits(high, out + 128);
    for (int j = 0; j < 16; j++) out[192 + j] = (uint8_t)(int8_t)c->scales[j];
    memcpy(out + 208, c->d, 2);
}

void KERNEL(encode_q2_k)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    KERNEL(encode_by_search)(&q2_k, store_q2_k, 84, x, importance, out, n);
}

void KERNEL(encode_q3_k)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    KERNEL(encode_by_search)(&q3_k, store_q3_k, 110, x, importance, out, n);
}

void KERNEL(encode_q4_k)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    KERNEL(encode_by_search)(&q4_k, store_q4_k, 144, x, importance, out, n);
}

void KERNEL(encode_q5_k)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    KERNEL(encode_by_search)(&q5_k, store_q5_k, 176, x, importance, out, n);
}

void KERNEL(encode_q6_k)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    KERNEL(encode_by_search)(&q6_k, store_q6_k, 210, x, importance, out, n);
}
