/* Exact dequantization. The layouts are those of ggml (ggml-common.h); bytes are read one at a time or copied out, since
 * blocks lie at any address. */
#include "engine/kernels/portable/portable.h"

#include <string.h>

void KERNEL(decode_f32)(const void *blocks, float *out, int64_t n) { memcpy(out, blocks, (size_t)n * sizeof *out); }

void KERNEL(decode_f16)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        out[i] = f32_from_f16(h);
    }
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

/* Block of 32 values in 34 bytes: float16 d, int8 q[32]; x = d q. */
void KERNEL(decode_q8_0)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (int64_t b = 0; b < n / 32; b++, p += 34, out += 32) {
        uint16_t h;
        memcpy(&h, p, 2);
        float d = f32_from_f16(h);
        for (int i = 0; i < 32; i++) out[i] = d * (float)(int8_t)p[2 + i];
    }
}

/* Block of 32 values in 18 bytes: float16 d, 16 bytes whose low nibbles are values 0..15 and high nibbles 16..31;
 * x = d (q - 8). */
void KERNEL(decode_q4_0)(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (int64_t b = 0; b < n / 32; b++, p += 18, out += 32) {
        uint16_t h;
        memcpy(&h, p, 2);
        float d = f32_from_f16(h);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)((p[2 + i] & 15) - 8);
            out[i + 16] = d * (float)((p[2 + i] >> 4) - 8);
        }
    }
}
