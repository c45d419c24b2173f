/* Exact dequantization of floats, of blocks of 32 and of IQ4. Layouts: ggml (ggml-common.h). Products of a 16-bit
 * scale, a small whole scale and a code fit into float32's 24 bits, so only the sum with a minimum is rounded, and the
 * values are those of every other exact reader. Bytes are read one at a time or copied out, since blocks lie at any
 * address. */
#include "engine/kernels/portable/portable.h"

#include <string.h>

void KERNEL(decode_f32)(const void *blocks, float *restrict out, int64_t n)
{
    memcpy(out, blocks, (size_t)n * sizeof *out);
}

void KERNEL(decode_f16)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (int64_t i = 0; i < n; i++) out[i] = f16_at(p + 2 * i);
}

void KERNEL(decode_bf16)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        out[i] = float_of_bits((uint32_t)h << 16);
    }
}

/* 34 bytes: float16 d, int8 q[32]; x = d q. */
void KERNEL(decode_q8_0)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 32, p += 34, out += 32) {
        float d = f16_at(p);
        for (int i = 0; i < 32; i++) out[i] = d * (float)(int8_t)p[2 + i];
    }
}

/* 18 bytes: float16 d, 16 bytes whose low nibbles are values 0..15 and high nibbles 16..31; x = d (q - 8). */
void KERNEL(decode_q4_0)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 32, p += 18, out += 32) {
        float d = f16_at(p);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)((p[2 + i] & 15) - 8);
            out[i + 16] = d * (float)((p[2 + i] >> 4) - 8);
        }
    }
}

/* 20 bytes: float16 d, float16 m, nibbles as in Q4_0; x = d q + m. */
void KERNEL(decode_q4_1)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 32, p += 20, out += 32) {
        float d = f16_at(p), m = f16_at(p + 2);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)(p[4 + i] & 15) + m;
            out[i + 16] = d * (float)(p[4 + i] >> 4) + m;
        }
    }
}

/* The 32 codes of Q5_0 and Q5_1: bit i of a little-endian number of 32 bits is the fifth bit of code i, before nibbles
 * as in Q4_0. */
static inline void codes_of_5_bits(const uint8_t *p, int *restrict q)
{
    uint32_t fifth = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    for (int i = 0; i < 16; i++) {
        q[i] = (p[4 + i] & 15) | (int)(fifth >> i & 1u) << 4;
        q[i + 16] = p[4 + i] >> 4 | (int)(fifth >> (i + 16) & 1u) << 4;
    }
}

/* 22 bytes: float16 d, the fifth bits, nibbles; x = d (q - 16). */
void KERNEL(decode_q5_0)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 32, p += 22, out += 32) {
        int q[32];
        float d = f16_at(p);
        codes_of_5_bits(p + 2, q);
        for (int i = 0; i < 32; i++) out[i] = d * (float)(q[i] - 16);
    }
}

/* 24 bytes: float16 d, float16 m, the fifth bits, nibbles; x = d q + m. */
void KERNEL(decode_q5_1)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 32, p += 24, out += 32) {
        int q[32];
        float d = f16_at(p), m = f16_at(p + 2);
        codes_of_5_bits(p + 4, q);
        for (int i = 0; i < 32; i++) out[i] = d * (float)q[i] + m;
    }
}

/* Nibbles as in Q4_0 that index the 16 values. */
static inline void decode_iq4(float d, const uint8_t *p, float *restrict out)
{
    float values[16];
    for (int i = 0; i < 16; i++) values[i] = d * (float)iq4_values[i];
    for (int i = 0; i < 16; i++) {
        out[i] = values[p[i] & 15];
        out[i + 16] = values[p[i] >> 4];
    }
}

/* 18 bytes: float16 d, nibbles; x = d value[q]. */
void KERNEL(decode_iq4_nl)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 32, p += 18, out += 32) decode_iq4(f16_at(p), p + 2, out);
}

/* 256 values in 136 bytes: float16 d, the high 2 bits of 8 scales of 6 bits (16 bits, scale 0 lowest), their low 4 bits
 * (4 bytes, even scales in the low nibbles), 8 times the nibbles of 32 values; x = d (scale - 32) value[q]. */
void KERNEL(decode_iq4_xs)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 256, p += 136, out += 256) {
        float d = f16_at(p);
        int high = p[2] | p[3] << 8;
        for (int s = 0; s < 8; s++) {
            int scale = (p[4 + s / 2] >> 4 * (s % 2) & 15) | (high >> 2 * s & 3) << 4;
            decode_iq4(d * (float)(scale - 32), p + 8 + 16 * s, out + 32 * s);
        }
    }
}
