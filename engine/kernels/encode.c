/* float32 to the stored types. The roundings are those of ggml's reference quantizers (ggml-quants.c), byte for byte.
 */
#include "engine/kernels/kernels.h"

#include <math.h>
#include <string.h>

float f32_from_f16(uint16_t h)
{
    float f;
    kernels_get()->decode[DTYPE_F16](&h, &f, 1);
    return f;
}

uint16_t f16_from_f32(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000u);
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) return sign | 0x7e00u;
    if (u >= 0x477ff000u) return sign | 0x7c00u; /* 65520 and above round to infinity */
    if (u < 0x38800000u) { /* subnormal in 16 bits: adding 0.5 lines the mantissa up and rounds it */
        float magnitude, lined;
        memcpy(&magnitude, &u, 4);
        lined = magnitude + 0.5f;
        memcpy(&u, &lined, 4);
        return (uint16_t)(sign | (u - 0x3f000000u));
    }
    u += 0xfffu + (u >> 13 & 1u);
    return (uint16_t)(sign | ((u - 0x38000000u) >> 13));
}

uint16_t bf16_from_f32(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 64u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

static void encode_f32(const float *x, uint8_t *out, int64_t n) { memcpy(out, x, (size_t)n * 4); }

static void encode_f16(const float *x, uint8_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h = f16_from_f32(x[i]);
        memcpy(out + 2 * i, &h, 2);
    }
}

static void encode_bf16(const float *x, uint8_t *out, int64_t n)
{
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
static void encode_q8_0(const float *x, uint8_t *out, int64_t n)
{
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
static void encode_q4_0(const float *x, uint8_t *out, int64_t n)
{
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

typedef void encoder(const float *x, uint8_t *out, int64_t n);

static encoder *const encoders[DTYPE_LIMIT] = {[DTYPE_F32] = encode_f32,
                                               [DTYPE_F16] = encode_f16,
                                               [DTYPE_BF16] = encode_bf16,
                                               [DTYPE_Q8_0] = encode_q8_0,
                                               [DTYPE_Q4_0] = encode_q4_0};

bool encode_known(enum dtype_id type) { return dtype_of((int)type) && encoders[type]; }

bool encode_row(enum dtype_id type, const float *x, void *out, int64_t n)
{
    if (!encode_known(type) || n % dtype_of((int)type)->block) return false;
    encoders[type](x, out, n);
    return true;
}
