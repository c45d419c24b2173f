/* 16-bit floats and the bits of float32. */
#ifndef KERF_ENGINE_KERNELS_HALF_H
#define KERF_ENGINE_KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t bits_of_float(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* IEEE 754 binary16 to float32. A shift moves exponent and mantissa in place, a multiplication by 2^112 mends the
 * exponent's bias and makes subnormals normal; infinities and NaN get their exponent back. */
static inline float f32_from_f16(uint16_t h)
{
    uint32_t magnitude = h & 0x7fffu, sign = (uint32_t)(h & 0x8000u) << 16;
    float f = float_of_bits(magnitude << 13) * 0x1p112f;
    uint32_t bits = bits_of_float(f) | (magnitude >= 0x7c00u ? 0x7f800000u : 0u);
    return float_of_bits(bits | sign);
}

/* To nearest even; what is too large becomes infinite. */
static inline uint16_t f16_from_f32(float x)
{
    uint32_t u = bits_of_float(x);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000u);
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) return sign | 0x7e00u;
    if (u >= 0x477ff000u) return sign | 0x7c00u; /* 65520 and above round to infinity */
    if (u < 0x38800000u) /* subnormal in 16 bits: adding 0.5 lines the mantissa up and rounds it */
        return (uint16_t)(sign | (bits_of_float(float_of_bits(u) + 0.5f) - 0x3f000000u));
    u += 0xfffu + (u >> 13 & 1u);
    return (uint16_t)(sign | ((u - 0x38000000u) >> 13));
}

/* bfloat16, to nearest even; NaN stays NaN. */
static inline uint16_t bf16_from_f32(float x)
{
    uint32_t u = bits_of_float(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 64u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

#endif
