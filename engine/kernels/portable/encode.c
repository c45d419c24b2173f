/* float32 to floats of other widths and to blocks of 32. Without an importance the roundings are those of ggml's
 * reference quantizers (ggml-quants.c), byte for byte; with one, scales are searched (fit.h). */
#include "engine/kernels/portable/fault.h"
#include "engine/kernels/portable/fit.h"

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
    for (int64_t i = 0; i < n; i++) f16_put(out + 2 * i, x[i]);
}

void KERNEL(encode_bf16)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    (void)importance;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h = bf16_from_f32(x[i]);
        memcpy(out + 2 * i, &h, 2);
    }
}

/* 34 bytes, see decode.c: q = round(x / d), where inverse is 1 / d before d became a float16 */
static void write_q8_0(const float *x, float d, float inverse, uint8_t *out)
{
    f16_put(out, d);
    for (int i = 0; i < 32; i++) out[2 + i] = (uint8_t)(int8_t)held(roundf(x[i] * inverse), -127.f, 127.f);
}

/* d = max |x| / 127 */
void KERNEL(encode_q8_0)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i += 32, x += 32, out += 34) {
        float most = 0;
        for (int j = 0; j < 32; j++) most = fmaxf(most, fabsf(x[j]));
        float d = most / 127.f;
        write_q8_0(x, d, inverse_of(d), out);
        if (importance) {
            uint8_t tried[34];
            d = f16_rounded(KERNEL(fit_scale)(x, importance + i, 32, -127, 127));
            write_q8_0(x, d, inverse_of(d), tried);
            KERNEL(keep_better)(DTYPE_Q8_0, KERNEL(decode_q8_0), x, importance + i, tried, out);
        }
    }
}

/* The other four types have codes of 4 or 5 bits, with a minimum or centered about 0. */
struct form {
    enum dtype_id type;
    int bits;
    bool minimum;
    size_t bytes;
    void (*decode)(const void *blocks, float *restrict out, int64_t n);
};

/* q = floor((x - minimum) / scale + 1/2), and half the codes more where there is no minimum. The layouts stand in
 * decode.c. */
static inline void write_block(const struct form *f, const float *x, struct line l, float inverse, uint8_t *out)
{
    int q[32], half = f->minimum ? 0 : 1 << (f->bits - 1);
    float offset = (float)half + 0.5f, last = (float)((1 << f->bits) - 1);
    for (int i = 0; i < 32; i++) q[i] = (int)held((x[i] - l.minimum) * inverse + offset, 0.f, last);
    for (int i = 0; KERNELS_FAULT == FAULT_COARSE && i < 32; i++) q[i] &= ~1;
    f16_put(out, l.scale);
    out += 2;
    if (f->minimum) f16_put(out, l.minimum), out += 2;
    if (f->bits == 5) {
        uint32_t fifth = 0;
        for (int i = 0; i < 32; i++) fifth |= (uint32_t)(q[i] >> 4) << i;
        for (int i = 0; i < 4; i++) *out++ = (uint8_t)(fifth >> 8 * i);
    }
    for (int i = 0; i < 16; i++) out[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

/* From the extremes: d = (max - min) / (2^bits - 1), or d = (the value of largest magnitude, with its sign) /
 * -2^(bits - 1). */
static inline struct line extreme_line(const struct form *f, const float *x)
{
    float first = x[0], last = x[0], most = 0, signed_most = 0;
    for (int i = 0; i < 32; i++) {
        first = x[i] < first ? x[i] : first;
        last = x[i] > last ? x[i] : last;
        if (fabsf(x[i]) > most) most = fabsf(x[i]), signed_most = x[i];
    }
    if (f->minimum) return (struct line){(last - first) / (float)((1 << f->bits) - 1), first};
    return (struct line){signed_most / (float)-(1 << (f->bits - 1)), 0};
}

/* Codes for the scale and the minimum that will be read. */
static void improve(const struct form *f, const float *x, const float *importance, uint8_t *out)
{
    uint8_t tried[24];
    int half = 1 << (f->bits - 1);
    struct line l = {0};
    if (f->minimum)
        l = KERNEL(fit_line)(x, importance, 32, 2 * half - 1);
    else
        l.scale = KERNEL(fit_scale)(x, importance, 32, -half, half - 1);
    l = (struct line){f16_rounded(l.scale), f16_rounded(l.minimum)};
    write_block(f, x, l, inverse_of(l.scale), tried);
    KERNEL(keep_better)(f->type, f->decode, x, importance, tried, out);
}

static inline void encode_blocks(const struct form *f, const float *x, const float *importance, uint8_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i += 32, out += f->bytes) {
        struct line l = extreme_line(f, x + i);
        write_block(f, x + i, l, inverse_of(l.scale), out);
        if (importance) improve(f, x + i, importance + i, out);
    }
}

void KERNEL(encode_q4_0)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    static const struct form q4_0 = {DTYPE_Q4_0, 4, false, 18, KERNEL(decode_q4_0)};
    encode_blocks(&q4_0, x, importance, out, n);
}

void KERNEL(encode_q4_1)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    static const struct form q4_1 = {DTYPE_Q4_1, 4, true, 20, KERNEL(decode_q4_1)};
    encode_blocks(&q4_1, x, importance, out, n);
}

void KERNEL(encode_q5_0)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    static const struct form q5_0 = {DTYPE_Q5_0, 5, false, 22, KERNEL(decode_q5_0)};
    encode_blocks(&q5_0, x, importance, out, n);
}

void KERNEL(encode_q5_1)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    static const struct form q5_1 = {DTYPE_Q5_1, 5, true, 24, KERNEL(decode_q5_1)};
    encode_blocks(&q5_1, x, importance, out, n);
}
