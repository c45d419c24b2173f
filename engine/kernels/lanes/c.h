/* Lanes in plain C: what the others are checked against; see lanes.h. */
#ifndef KERF_ENGINE_KERNELS_LANES_C_H
#define KERF_ENGINE_KERNELS_LANES_C_H

#include "engine/kernels/half.h"

#include <stdint.h>
#include <string.h>

typedef int32_t ints __attribute__((vector_size(64)));
typedef float floats __attribute__((vector_size(64)));
typedef uint32_t unsigned_ints __attribute__((vector_size(64)));
typedef uint16_t halves_of_ints __attribute__((vector_size(64)));

enum { WIDE_ZERO = 0, GEMM_ROWS = 4, GEMM_TILES = 1, DOT_ROWS = 4, DOT_TILES = 1 };

static inline ints ints_load(const void *p)
{
    ints a;
    memcpy(&a, p, sizeof a);
    return a;
}
static inline ints ints_all(int32_t x) { return (ints){0} + x; }
static inline ints ints_load_all(const void *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return ints_all(x);
}
static inline ints ints_of_halves(const void *p)
{
    uint16_t h[16];
    memcpy(h, p, sizeof h);
    ints a;
    for (int i = 0; i < 16; i++) a[i] = h[i];
    return a;
}
static inline void ints_store(void *p, ints a) { memcpy(p, &a, sizeof a); }
static inline ints ints_and(ints a, ints b) { return a & b; }
static inline ints ints_or(ints a, ints b) { return a | b; }
static inline ints ints_xor(ints a, ints b) { return a ^ b; }
static inline ints ints_add(ints a, ints b) { return a + b; }
static inline ints ints_left(ints a, int n) { return (ints)((unsigned_ints)a << (uint32_t)n); }
static inline ints ints_right(ints a, int n) { return (ints)((unsigned_ints)a >> (uint32_t)n); }
static inline ints ints_right_signed(ints a, int n) { return a >> n; }
static inline ints ints_halves_times(ints a, int b) { return (ints)((halves_of_ints)a * (uint16_t)b); }
static inline ints ints_lookup(const uint8_t table[16], ints a)
{
    uint8_t bytes[64];
    memcpy(bytes, &a, sizeof bytes);
    for (int i = 0; i < 64; i++) bytes[i] = table[bytes[i] & 15];
    return ints_load(bytes);
}
static inline ints ints_dot(ints sum, ints codes, ints x)
{
    uint8_t c[64];
    int8_t v[64];
    memcpy(c, &codes, sizeof c);
    memcpy(v, &x, sizeof v);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 4; j++) sum[i] += c[4 * i + j] * v[4 * i + j];
    return sum;
}
static inline ints ints_dot_wide(ints sum, ints codes, ints x) { return ints_dot(sum, codes, x); }
static inline ints ints_most(ints a, ints b)
{
    for (int i = 0; i < 16; i++) a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}
static inline int32_t ints_largest(ints a)
{
    int32_t most = a[0];
    for (int i = 1; i < 16; i++) most = a[i] > most ? a[i] : most;
    return most;
}
static inline int32_t ints_sum(ints a)
{
    int32_t sum = 0;
    for (int i = 0; i < 16; i++) sum += a[i];
    return sum;
}
static inline void ints_put_bytes(int8_t *p, ints a)
{
    for (int i = 0; i < 16; i++) p[i] = (int8_t)a[i];
}
/* Adding 1.5 2^23 leaves a float32 of this size no bits for a fraction: to nearest, halves to even. What is not finite
 * becomes some number. */
static inline ints ints_of_floats(floats a)
{
    ints out;
    for (int i = 0; i < 16; i++) {
        float whole = (a[i] + 12582912.f) - 12582912.f;
        out[i] = whole >= -128.f && whole <= 127.f ? (int32_t)whole : 0;
    }
    return out;
}

static inline floats floats_load(const float *p)
{
    floats a;
    memcpy(&a, p, sizeof a);
    return a;
}
/* Not {0} + x, which takes the sign off zeros. */
static inline floats floats_all(float x) { return (floats){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
static inline void floats_store(float *p, floats a) { memcpy(p, &a, sizeof a); }
static inline floats floats_of_ints(ints a) { return __builtin_convertvector(a, floats); }
static inline floats floats_of_halves(const void *p)
{
    uint16_t h[16];
    floats a;
    memcpy(h, p, sizeof h);
    for (int i = 0; i < 16; i++) a[i] = f32_from_f16(h[i]);
    return a;
}
static inline floats floats_of_bf16(const void *p)
{
    uint16_t h[16];
    memcpy(h, p, sizeof h);
    ints a;
    for (int i = 0; i < 16; i++) a[i] = (int32_t)((uint32_t)h[i] << 16);
    return (floats)a;
}
static inline floats floats_of_i8(const int8_t *p)
{
    floats a;
    for (int i = 0; i < 16; i++) a[i] = (float)p[i];
    return a;
}
static inline floats floats_of_u8(const uint8_t *p)
{
    floats a;
    for (int i = 0; i < 16; i++) a[i] = (float)p[i];
    return a;
}
static inline floats floats_add(floats a, floats b) { return a + b; }
static inline floats floats_sub(floats a, floats b) { return a - b; }
static inline floats floats_times(floats a, floats b) { return a * b; }

/* a b + c with one rounding, for machines that have no such instruction. In double the product is exact and the sum is
 * off by a part that is exact too (Knuth 1969, TwoSum). Rounding that sum to odd, not to even, makes the second rounding,
 * to float, come out as if it were the only one (Boldo and Melquiond 2008, "Emulation of FMA and correctly rounded
 * sums"). */
static inline float fma_one(float a, float b, float c)
{
    double product = (double)a * (double)b, addend = (double)c, sum = product + addend;
    double part = sum - product, off = (product - (sum - part)) + (addend - part);
    int64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    /* Towards where the rest lies: one further from zero where it has the sum's sign, else one nearer. */
    int64_t inexact = off != 0.0 && off == off && !(bits & 1);
    bits += inexact ? ((off > 0.0) == (sum > 0.0) ? 1 : -1) : 0;
    memcpy(&sum, &bits, sizeof sum);
    return (float)sum;
}
static inline floats floats_fma(floats a, floats b, floats c)
{
    for (int i = 0; i < 16; i++) c[i] = fma_one(a[i], b[i], c[i]);
    return c;
}

#endif
