/* The inner loops of a forward pass, and the table of all portable kernels. */
#include "engine/kernels/lanes/lanes.h"
#include "engine/kernels/portable/portable.h"

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
    float y = p * float_of_bits((bits_of_float(t) - bits_of_float(magic) + 127) << 23);
    return x < -87.3f ? 0.f : x > 88.3f ? INFINITY : x == x ? y : x;
}

static void affine_i8(const int8_t *restrict q, int zero, float scale, float *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = (float)(q[i] - zero) * scale;
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

/* The halves are gathered first, so that reading interleaved pairs may write over them. */
static void rope(float *x, const float *turn, int64_t dims, bool interleaved)
{
    enum { PIECE = 512 };
    float a[PIECE], b[PIECE];
    int64_t half = dims / 2;
    const float *restrict c = turn, *restrict s = turn + half;
    for (int64_t i = 0; i < half; i++) a[i] = interleaved ? x[2 * i] : x[i];
    for (int64_t i = 0; i < half; i++) b[i] = interleaved ? x[2 * i + 1] : x[i + half];
    for (int64_t i = 0; i < half; i++) x[i] = a[i] * c[i] - b[i] * s[i];
    for (int64_t i = 0; i < half; i++) x[i + half] = a[i] * s[i] + b[i] * c[i];
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

#define KERNEL_TEXT_(isa) #isa
#define KERNEL_TEXT(isa) KERNEL_TEXT_(isa)

extern const struct kernels KERNEL(kernels);
const struct kernels KERNEL(kernels) = {
    .name = KERNEL_TEXT(KERNELS_ISA),
#define X(name, lower) [DTYPE_##name] = KERNEL(decode_##lower),
    .decode = {DECODED(X)},
#undef X
#define X(name, lower) [DTYPE_##name] = KERNEL(encode_##lower),
    .encode = {ENCODED(X)},
#undef X
    .affine_i8 = affine_i8,
#define X(id, lower) [id] = &KERNEL(tile_##lower),
    .tiles = {TILED(X)},
    .float_tiles = {FLOAT_TILED(X)},
#undef X
    .wide_zero = WIDE_ZERO,
    .products = KERNEL(products),
    .quantize_inputs = KERNEL(quantize_inputs),
    .round_inputs = KERNEL(round_inputs),
    .gemm = KERNEL(gemm),
    .transpose = KERNEL(transpose),
    .rope = rope,
    .add = add,
    .softmax = softmax,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .silu_multiply = silu_multiply,
    .gelu_tanh = gelu_tanh,
    .log_sum_exp = log_sum_exp,
    .argmax = argmax,
};
