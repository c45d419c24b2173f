/* The kernels in portable C. This file is compiled once for each instruction set, with KERNELS_ISA naming the table
 * that it defines; see kernels.h for why the results agree to the bit. */
#include "engine/kernels/kernels.h"

#include <math.h>
#include <string.h>

typedef float lanes __attribute__((vector_size(4 * KERNEL_LANES)));
enum { L = KERNEL_LANES };

static inline lanes load(const float *p)
{
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store(float *p, lanes v) { memcpy(p, &v, sizeof v); }

/* Pairwise, so that the order does not depend on how wide the registers are. */
static inline float sum(lanes v)
{
    float s[L];
    store(s, v);
    for (int width = L / 2; width; width /= 2)
        for (int i = 0; i < width; i++) s[i] += s[i + width];
    return s[0];
}

static inline float as_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t as_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* exp(x) with a relative error below 2e-7: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]. Below -87.3 it is 0 and
 * above 88.3, where 2^n would leave the exponent's range, infinite; NaN stays NaN. */
static inline float fast_exp(float x)
{
    const float magic = 12582912.f; /* 1.5 * 2^23: adding it rounds to a whole number in the low bits */
    float c = x < -87.3f ? -87.3f : x > 88.3f ? 88.3f : x;
    float t = c * 1.44269504f + magic;
    float n = t - magic;
    float r = c - n * 0.693359375f + n * 2.12194440e-4f; /* ln 2 in two parts */
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.f;
    float y = p * as_float((as_bits(t) - as_bits(magic) + 127) << 23);
    return x < -87.3f ? 0.f : x > 88.3f ? INFINITY : x == x ? y : x;
}

static void decode_f32(const void *blocks, float *out, int64_t n) { memcpy(out, blocks, (size_t)n * sizeof *out); }

/* A shift moves exponent and mantissa in place, a multiplication by 2^112 mends the exponent's bias and makes
 * subnormals normal; infinities and NaN get their exponent back. */
static inline float half_to_float(uint16_t h)
{
    uint32_t magnitude = h & 0x7fffu, sign = (uint32_t)(h & 0x8000u) << 16;
    float f = as_float(magnitude << 13) * 0x1p112f;
    uint32_t bits = as_bits(f) | (magnitude >= 0x7c00u ? 0x7f800000u : 0u);
    return as_float(bits | sign);
}

static void decode_f16(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        out[i] = half_to_float(h);
    }
}

static void decode_bf16(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        out[i] = as_float((uint32_t)h << 16);
    }
}

/* Block of 32 values in 34 bytes: float16 d, int8 q[32]; x = d q. */
static void decode_q8_0(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (int64_t b = 0; b < n / 32; b++, p += 34, out += 32) {
        uint16_t h;
        memcpy(&h, p, 2);
        float d = half_to_float(h);
        for (int i = 0; i < 32; i++) out[i] = d * (float)(int8_t)p[2 + i];
    }
}

/* Block of 32 values in 18 bytes: float16 d, 16 bytes whose low nibbles are values 0..15 and high nibbles 16..31;
 * x = d (q - 8). */
static void decode_q4_0(const void *blocks, float *restrict out, int64_t n)
{
    const uint8_t *p = blocks;
    for (int64_t b = 0; b < n / 32; b++, p += 18, out += 32) {
        uint16_t h;
        memcpy(&h, p, 2);
        float d = half_to_float(h);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)((p[2 + i] & 15) - 8);
            out[i + 16] = d * (float)((p[2 + i] >> 4) - 8);
        }
    }
}

static void scale_i8(const int8_t *restrict q, float scale, float *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = (float)q[i] * scale;
}

static float dot(const float *a, const float *b, int64_t n)
{
    lanes s = {0};
    int64_t i = 0;
    for (; i + L <= n; i += L) s += load(a + i) * load(b + i);
    float rest = 0;
    for (; i < n; i++) rest += a[i] * b[i];
    return sum(s) + rest;
}

static void dots(const float *q, const float *rows, int64_t stride, int64_t count, int64_t n, float *out)
{
    for (int64_t r = 0; r < count; r++) out[r] = dot(q, rows + r * stride, n);
}

static void weigh(const float *weights, const float *rows, int64_t stride, int64_t count, int64_t n, float *out)
{
    int64_t i = 0;
    for (; i + L <= n; i += L) { /* one block of the output stays in registers over all rows */
        lanes s = load(out + i);
        for (int64_t r = 0; r < count; r++) s += weights[r] * load(rows + r * stride + i);
        store(out + i, s);
    }
    for (; i < n; i++)
        for (int64_t r = 0; r < count; r++) out[i] += weights[r] * rows[r * stride + i];
}

static void add(float *restrict x, const float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] += y[i];
}

static float maximum(const float *x, int64_t n)
{
    float m[L];
    for (int j = 0; j < L; j++) m[j] = x[0];
    int64_t i = 0;
    for (; i + L <= n; i += L)
        for (int j = 0; j < L; j++) m[j] = x[i + j] > m[j] ? x[i + j] : m[j];
    for (; i < n; i++) m[0] = x[i] > m[0] ? x[i] : m[0];
    for (int j = 1; j < L; j++) m[0] = m[j] > m[0] ? m[j] : m[0];
    return m[0];
}

static void softmax(float *x, float scale, int64_t n)
{
    float m = maximum(x, n) * scale;
    for (int64_t i = 0; i < n; i++) x[i] = fast_exp(x[i] * scale - m);
    lanes s = {0};
    int64_t i = 0;
    for (; i + L <= n; i += L) s += load(x + i);
    float rest = 0;
    for (; i < n; i++) rest += x[i];
    float inverse = 1.f / (sum(s) + rest);
    for (i = 0; i < n; i++) x[i] *= inverse;
}

static void rms_norm(const float *x, const float *weight, float eps, int64_t n, float *y)
{
    float scale = 1.f / sqrtf(dot(x, x, n) / (float)n + eps);
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale * weight[i];
}

static void layer_norm(const float *x, const float *weight, const float *bias, float eps, int64_t n, float *y)
{
    lanes s = {0};
    int64_t i = 0;
    for (; i + L <= n; i += L) s += load(x + i);
    float rest = 0;
    for (; i < n; i++) rest += x[i];
    float mean = (sum(s) + rest) / (float)n;
    for (i = 0; i < n; i++) y[i] = x[i] - mean;
    float scale = 1.f / sqrtf(dot(y, y, n) / (float)n + eps);
    for (i = 0; i < n; i++) y[i] = y[i] * scale * weight[i] + (bias ? bias[i] : 0.f);
}

static void silu_multiply(float *restrict gate, const float *restrict up, int64_t n)
{
    for (int64_t i = 0; i < n; i++) gate[i] = gate[i] / (1.f + fast_exp(-gate[i])) * up[i];
}

static void gelu_tanh(float *x, int64_t n)
{
    /* 0.5 (1 + tanh(u)) = 1 / (1 + exp(-2 u)) */
    for (int64_t i = 0; i < n; i++) {
        float u = 0.797884561f * (x[i] + 0.044715f * x[i] * x[i] * x[i]);
        x[i] = x[i] / (1.f + fast_exp(-2.f * u));
    }
}

static double log_sum_exp(const float *x, int64_t n)
{
    float m = maximum(x, n);
    double s[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) s[j] += (double)fast_exp(x[i + j] - m);
    for (; i < n; i++) s[0] += (double)fast_exp(x[i] - m);
    return (double)m + log(((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])));
}

static int64_t argmax(const float *x, int64_t n)
{
    float m = maximum(x, n);
    for (int64_t i = 0; i < n; i++)
        if (x[i] == m) return i;
    return 0;
}

#define TABLE_NAME_(isa) kernels_##isa
#define TABLE_NAME(isa) TABLE_NAME_(isa)
#define TABLE_TEXT_(isa) #isa
#define TABLE_TEXT(isa) TABLE_TEXT_(isa)

extern const struct kernels TABLE_NAME(KERNELS_ISA);
const struct kernels TABLE_NAME(KERNELS_ISA) = {
    .name = TABLE_TEXT(KERNELS_ISA),
    .decode = {[DTYPE_F32] = decode_f32,
               [DTYPE_F16] = decode_f16,
               [DTYPE_BF16] = decode_bf16,
               [DTYPE_Q8_0] = decode_q8_0,
               [DTYPE_Q4_0] = decode_q4_0},
    .scale_i8 = scale_i8,
    .dots = dots,
    .weigh = weigh,
    .add = add,
    .softmax = softmax,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .silu_multiply = silu_multiply,
    .gelu_tanh = gelu_tanh,
    .log_sum_exp = log_sum_exp,
    .argmax = argmax,
};
