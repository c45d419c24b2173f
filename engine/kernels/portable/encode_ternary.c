/* float32 to the types whose codes are -1, 0 and 1, as ggml's reference has it (ggml-quants.c), byte for byte:
 * d = max |x|, q = round(x / d). With an importance the scale is searched (fit.h). */
#include "engine/kernels/portable/fit.h"

#include <math.h>

/* q + 1 */
static void digits_of(const float *x, float inverse, uint8_t *digits /* [256] */)
{
    for (int i = 0; i < 256; i++) digits[i] = (uint8_t)(held(roundf(x[i] * inverse), -1.f, 1.f) + 1.f);
}

/* Digits of 1/3, 1/9, ... as a fraction of 256, rounded up so that decode_trits() (decode_k.c) gets them back. */
static void write_trits(const uint8_t *digits, int bytes, int count, uint8_t *out)
{
    for (int i = 0; i < bytes; i++) {
        int whole = 0;
        for (int j = 0; j < 5; j++) whole = 3 * whole + (j < count ? digits[j * bytes + i] : 0);
        out[i] = (uint8_t)((whole * 256 + 242) / 243);
    }
}

static void pack_tq1_0(const uint8_t *digits, uint8_t *out)
{
    write_trits(digits, 32, 5, out);
    write_trits(digits + 160, 16, 5, out + 32);
    write_trits(digits + 240, 4, 4, out + 48);
}

static void pack_tq2_0(const uint8_t *digits, uint8_t *out)
{
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < 32; i++) {
            const uint8_t *q = digits + 128 * half + i;
            out[32 * half + i] = (uint8_t)(q[0] | q[32] << 2 | q[64] << 4 | q[96] << 6);
        }
}

/* Packed digits, then the scale. */
struct form {
    enum dtype_id type;
    size_t bytes;
    void (*pack)(const uint8_t *digits, uint8_t *out);
    void (*decode)(const void *blocks, float *restrict out, int64_t n);
};

static void write_block(const struct form *f, const float *x, float d, uint8_t *out)
{
    uint8_t digits[256];
    digits_of(x, inverse_of(d), digits);
    f->pack(digits, out);
    f16_put(out + f->bytes - 2, d);
}

static void encode_blocks(const struct form *f, const float *x, const float *importance, uint8_t *out, int64_t n)
{
    uint8_t tried[66];
    for (int64_t i = 0; i < n; i += 256, x += 256, out += f->bytes) {
        float most = 0;
        for (int j = 0; j < 256; j++) most = fmaxf(most, fabsf(x[j]));
        write_block(f, x, most, out);
        if (!importance) continue;
        write_block(f, x, f16_rounded(KERNEL(fit_scale)(x, importance + i, 256, -1, 1)), tried);
        KERNEL(keep_better)(f->type, f->decode, x, importance + i, tried, out);
    }
}

void KERNEL(encode_tq1_0)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    static const struct form tq1_0 = {DTYPE_TQ1_0, 54, pack_tq1_0, KERNEL(decode_tq1_0)};
    encode_blocks(&tq1_0, x, importance, out, n);
}

void KERNEL(encode_tq2_0)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    static const struct form tq2_0 = {DTYPE_TQ2_0, 66, pack_tq2_0, KERNEL(decode_tq2_0)};
    encode_blocks(&tq2_0, x, importance, out, n);
}
