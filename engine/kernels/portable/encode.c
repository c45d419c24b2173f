/* float32 to floats of other widths and to the GGML family's first block types. Without an importance the roundings are
 * those of ggml's reference quantizers (ggml-quants.c), byte for byte. */
#include "engine/kernels/portable/portable.h"

#include <math.h>
#include <string.h>

void KERNEL(encode_f32)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    (void)importance;
    memcpy(out, x, (size_t)n * sizeof *x);
}

void KERNEL(encode_f16)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    (void)importance;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h = f16_from_f32(x[i]);
        memcpy(out + 2 * i, &h, 2);
    }
}

void KERNEL(encode_bf16)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    (void)importance;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h = bf16_from_f32(x[i]);
        memcpy(out + 2 * i, &h, 2);
    }
}

/* 1 / d, and 0 for a d so small that it has none: the block is all zeros then. */
static float inverse_of(float d)
{
    float inverse = d != 0.f ? 1.f / d : 0.f;
    return isfinite(inverse) ? inverse : 0.f;
}

/* d = max |x| / 127, q = round(x / d) */
void KERNEL(encode_q8_0)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    (void)importance;
    for (; n > 0; n -= 32, x += 32, out += 34) {
        float most = 0;
        for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
        float d = most / 127.f, inverse = inverse_of(d);
        uint16_t h = f16_from_f32(d);
        memcpy(out, &h, 2);
        for (int i = 0; i < 32; i++) out[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
    }
}

/* d = (the value of largest magnitude, with its sign) / -8, q = min(15, floor(x / d + 8.5)) */
void KERNEL(encode_q4_0)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    (void)importance;
    for (; n > 0; n -= 32, x += 32, out += 18) {
        float most = 0, signed_most = 0;
        for (int i = 0; i < 32; i++)
            if (fabsf(x[i]) > most) most = fabsf(x[i]), signed_most = x[i];
        float d = signed_most / -8.f, inverse = inverse_of(d);
        uint16_t h = f16_from_f32(d);
        memcpy(out, &h, 2);
        for (int i = 0; i < 16; i++) {
            int low = (int)(x[i] * inverse + 8.5f), high = (int)(x[i + 16] * inverse + 8.5f);
            out[2 + i] = (uint8_t)((low > 15 ? 15 : low) | (high > 15 ? 15 : high) << 4);
        }
    }
}
