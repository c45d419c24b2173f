/* Exact dequantization of the K-quants (sub-blocks of 16 or 32 values whose scales are integers themselves) and of the
 * ternary types: blocks of 256 values. Layouts: ggml (ggml-common.h). See decode.c for why the values are exact. */
#include "engine/kernels/portable/portable.h"

/* 84 bytes: 16 bytes of scale (low nibble) and minimum (high nibble) of 16 values each, 64 bytes of 2-bit codes,
 * float16 d, float16 dmin; x = (d scale) q - (dmin minimum). Bits 2j..2j+1 of 32 bytes are the values 32j..32j+31. */
void KERNEL(decode_q2_k)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 256, p += 84, out += 256) {
        float d = f16_at(p + 80), dmin = f16_at(p + 82);
        for (int s = 0; s < 16; s++) {
            const uint8_t *q = p + 16 + 32 * (s / 8) + 16 * (s % 2);
            float scale = d * (float)(p[s] & 15), minimum = dmin * (float)(p[s] >> 4);
            int shift = s % 8 / 2 * 2;
            for (int i = 0; i < 16; i++) out[16 * s + i] = scale * (float)(q[i] >> shift & 3) - minimum;
        }
    }
}

/* 110 bytes: 32 bytes of third bits (bit j: values 32j..32j+31), 64 bytes of 2-bit codes as in Q2_K, 16 scales of 6
 * bits (8 bytes with the low 4 bits, scales 0..7 in the low nibbles; 4 bytes with the high 2 bits, scale 4j + i in bits
 * 2j of byte i), float16 d; x = (d (scale - 32)) (q - 4). */
void KERNEL(decode_q3_k)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 256, p += 110, out += 256) {
        float d = f16_at(p + 108);
        const uint8_t *scales = p + 96;
        for (int s = 0; s < 16; s++) {
            const uint8_t *q = p + 32 + 32 * (s / 8) + 16 * (s % 2), *third = p + 16 * (s % 2);
            int low = scales[s % 8] >> 4 * (s / 8) & 15, high = scales[8 + s % 4] >> 2 * (s / 4) & 3;
            float scale = d * (float)((low | high << 4) - 32);
            int shift = s % 8 / 2 * 2, bit = s / 2;
            for (int i = 0; i < 16; i++)
                out[16 * s + i] = scale * (float)((q[i] >> shift & 3) + (third[i] >> bit & 1) * 4 - 4);
        }
    }
}

/* Scale and minimum s (0..7) of Q4_K and Q5_K, 6 bits each: of 0..3 in the low bits of bytes s and 4 + s; of 4..7 the
 * low 4 bits are the nibbles of byte 4 + s, and the high 2 bits those of bytes s - 4 and s. */
static inline void scale_of(const uint8_t *p, int s, int *scale, int *minimum)
{
    if (s < 4) {
        *scale = p[s] & 63;
        *minimum = p[s + 4] & 63;
    } else {
        *scale = (p[s + 4] & 15) | p[s - 4] >> 6 << 4;
        *minimum = p[s + 4] >> 4 | p[s] >> 6 << 4;
    }
}

/* 144 bytes: float16 d, float16 dmin, 12 bytes of scales and minima of 32 values each, 4 times 32 bytes with the codes
 * of one sub-block in the low nibbles and of the next in the high; x = (d scale) q - (dmin minimum). */
void KERNEL(decode_q4_k)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 256, p += 144, out += 256) {
        float d = f16_at(p), dmin = f16_at(p + 2);
        for (int s = 0; s < 8; s++) {
            const uint8_t *q = p + 16 + 32 * (s / 2);
            int scale, minimum, shift = 4 * (s % 2);
            scale_of(p + 4, s, &scale, &minimum);
            float a = d * (float)scale, b = dmin * (float)minimum;
            for (int i = 0; i < 32; i++) out[32 * s + i] = a * (float)(q[i] >> shift & 15) - b;
        }
    }
}

/* 176 bytes: as Q4_K with, before the nibbles, 32 bytes of fifth bits (bit s: sub-block s). */
void KERNEL(decode_q5_k)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 256, p += 176, out += 256) {
        float d = f16_at(p), dmin = f16_at(p + 2);
        for (int s = 0; s < 8; s++) {
            const uint8_t *fifth = p + 16, *q = p + 48 + 32 * (s / 2);
            int scale, minimum, shift = 4 * (s % 2);
            scale_of(p + 4, s, &scale, &minimum);
            float a = d * (float)scale, b = dmin * (float)minimum;
            for (int i = 0; i < 32; i++)
                out[32 * s + i] = a * (float)((q[i] >> shift & 15) | (fifth[i] >> s & 1) << 4) - b;
        }
    }
}

/* 210 bytes: 128 bytes of low nibbles, 64 bytes of high 2 bits, int8 scales of 16 values each, float16 d;
 * x = (d scale) (q - 32). In each half of 128 values, 32j + i has the nibble of byte 32 (j % 2) + i, low where j < 2,
 * and bits 2j..2j+1 of byte i. */
void KERNEL(decode_q6_k)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 256, p += 210, out += 256) {
        float d = f16_at(p + 208);
        for (int s = 0; s < 16; s++) {
            int half = s / 8, j = s % 8 / 2, within = 16 * (s % 2);
            const uint8_t *low = p + 64 * half + 32 * (j % 2) + within, *high = p + 128 + 32 * half + within;
            float scale = d * (float)(int8_t)p[192 + s];
            int shift = 4 * (j / 2);
            for (int i = 0; i < 16; i++)
                out[16 * s + i] = scale * (float)((low[i] >> shift & 15) + (high[i] >> 2 * j & 3) * 16 - 32);
        }
    }
}

/* Digit j (of 3^-1, 3^-2, ...) of a fraction of 256: multiplying by 3^j drops the digits before it from the byte, and
 * what carries over in one more multiplication is the digit. */
static inline void decode_trits(float d, const uint8_t *p, int bytes, int digits, float *restrict out)
{
    for (int j = 0, power = 1; j < digits; j++, power *= 3)
        for (int i = 0; i < bytes; i++) out[j * bytes + i] = d * (float)(((p[i] * power & 255) * 3 >> 8) - 1);
}

/* 54 bytes: 32 bytes of 5 ternary digits (digit j of byte i is value 32j + i), 16 bytes of 5, 4 bytes of 4, float16 d;
 * x = d (digit - 1). */
void KERNEL(decode_tq1_0)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 256, p += 54, out += 256) {
        float d = f16_at(p + 52);
        decode_trits(d, p, 32, 5, out);
        decode_trits(d, p + 32, 16, 5, out + 160);
        decode_trits(d, p + 48, 4, 4, out + 240);
    }
}

/* 66 bytes: 64 bytes of 2-bit codes as in Q2_K, float16 d; x = d (q - 1). */
void KERNEL(decode_tq2_0)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (; n > 0; n -= 256, p += 66, out += 256) {
        float d = f16_at(p + 64);
        for (int g = 0; g < 8; g++) {
            const uint8_t *q = p + 32 * (g / 4);
            int shift = 2 * (g % 4);
            for (int i = 0; i < 32; i++) out[32 * g + i] = d * (float)((q[i] >> shift & 3) - 1);
        }
    }
}
