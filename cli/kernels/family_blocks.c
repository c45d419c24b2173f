/* Stored types: decoding, which is exact (layouts.h); encoding, whose error has a bound where the rounding has one, and
 * whose bytes are those of "c" in any case; and codes of 8 bits with one scale, which is one rounding. */
#include "cli/kernels/family.h"
#include "cli/kernels/judge_inputs.h"
#include "cli/kernels/layouts.h"
#include "cli/kernels/samples.h"
#include "engine/base/memory.h"

#include <ctype.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void variant_of(enum dtype_id type, bool importance, char name[32])
{
    char lower[24];
    const char *from = dtype_of((int)type)->name;
    size_t n = 0;
    for (; from[n] && n + 1 < sizeof lower; n++) lower[n] = (char)tolower((unsigned char)from[n]);
    lower[n] = '\0';
    snprintf(name, 32, "%s%s", lower, importance ? "+weights" : "");
}

/* Elements of about n, a multiple of the type's block. */
static int64_t whole_blocks(enum dtype_id type, int64_t n)
{
    const int64_t block = dtype_of((int)type)->block;
    return (n + block - 1) / block * block;
}

static size_t bytes_of(enum dtype_id type, int64_t n)
{
    return (size_t)(n / dtype_of((int)type)->block) * dtype_of((int)type)->block_bytes;
}

/* --- decoding --- */

enum { PLAIN, ANY_BITS, NOTHING, DENORMAL };
static const char *const decode_contents[] = {"random", "bits", "zeros", "denormal"};

static const struct {
    int64_t n;
    int content;
    bool measured;
} of_decoding[] = {{2048, PLAIN, true}, {731, PLAIN, true},      {1, PLAIN, false},    {1, ANY_BITS, false},
                   {300, PLAIN, false}, {4096, ANY_BITS, false}, {99, NOTHING, false}, {331, DENORMAL, false}};
enum { DECODING = sizeof of_decoding / sizeof *of_decoding };

static bool describe_decode(size_t i, struct kernel_case *out)
{
    const struct layout *l = layout_at(case_variant(i, DECODING));
    if (!l) return false;
    const size_t s = case_setting(i, DECODING);
    int64_t n = whole_blocks(l->type, of_decoding[s].n);
    char variant[32];
    variant_of(l->type, false, variant);
    case_put(out, "decode", variant, decode_contents[of_decoding[s].content], of_decoding[s].measured, (double)n);
    snprintf(out->shape, sizeof out->shape, "%lld", (long long)n);
    return true;
}

struct own_decode {
    const struct layout *l;
    const uint8_t *blocks;
    struct wanted y;
    float *got, *same;
};

/* Random bytes with scales of 16 bits whose exponents are below the largest; of denormals, 0. */
static void fill_blocks(uint8_t *bytes, const struct layout *l, int64_t count, int content, struct random *r)
{
    const size_t each = dtype_of((int)l->type)->block_bytes;
    for (size_t i = 0; i < (size_t)count * each; i++) bytes[i] = content == NOTHING ? 0 : (uint8_t)random_below(r, 256);
    for (int64_t i = 0; (content == PLAIN || content == DENORMAL) && i < count; i++)
        for (int s = 0; s < 2; s++) {
            if (l->scales[s] < 0) continue;
            uint8_t *high = bytes + (size_t)i * each + (size_t)l->scales[s] + 1;
            *high &= content == DENORMAL ? 0x83 : 0xbf;
        }
}

static int open_decode(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                       struct error *e)
{
    struct random r = {seed};
    struct own_decode *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    if (!o) return ERROR_IO;
    o->l = layout_at(case_variant(i, DECODING));
    const struct dtype *d = dtype_of((int)o->l->type);
    const int64_t n = whole_blocks(o->l->type, of_decoding[case_setting(i, DECODING)].n);
    uint8_t *blocks = kernel_buffer(m, (int64_t)bytes_of(o->l->type, n), 1, e);
    o->same = memory_new((size_t)n, sizeof *o->same, "outputs", e);
    if (!blocks || !o->same || wanted_new(&o->y, n, e)) return ERROR_IO;
    fill_blocks(blocks, o->l, n / d->block, of_decoding[case_setting(i, DECODING)].content, &r);
    for (int64_t at = 0; at < n; at++)
        wanted_put(&o->y, at,
                   (double)(float)o->l->value(blocks + (size_t)(at / d->block) * d->block_bytes, (int)(at % d->block)),
                   0);
    o->blocks = blocks;
    kernel_memory_seal(m);
    o->got = kernel_buffer(m, n, sizeof *o->got, e);
    return o->got ? 0 : ERROR_IO;
}

static void run_decode(void *own, const struct kernels *k)
{
    const struct own_decode *o = own;
    k->decode[o->l->type](o->blocks, o->got, o->y.n);
}

static void check_decode(void *own, struct kernel_verdict *v)
{
    const struct own_decode *o = own;
    wanted_judge(&o->y, o->got, v);
}

static const void *output_decode(void *own, size_t *bytes)
{
    struct own_decode *o = own;
    floats_canonical(o->same, o->got, o->y.n);
    *bytes = (size_t)o->y.n * sizeof *o->same;
    return o->same;
}

static void close_decode(void *own)
{
    struct own_decode *o = own;
    if (!o) return;
    wanted_free(&o->y);
    free(o->same);
    free(o);
}

static bool has_decode(const struct kernels *k, const struct kernel_case *c)
{
    return k->decode[dtype_named(c->variant)];
}

const struct kernel_family family_decode = {"decode",   "blocks to float32", describe_decode, has_decode,  open_decode,
                                            run_decode, check_decode,        output_decode,   close_decode};

/* --- encoding --- */

enum { NORMAL, SHIFTED, ZEROES, CONSTANT, SMALLER, SMALLEST, LARGER, TOO_LARGE };
static const char *const encode_contents[] = {"random", "shifted",  "zeros", "constant",
                                              "small",  "denormal", "large", "too large"};

static const struct {
    int64_t n;
    int content;
    bool measured;
} of_encoding[] = {{1024, NORMAL, true}, {331, NORMAL, true},    {1, NORMAL, false},   {257, SHIFTED, false},
                   {256, ZEROES, false}, {256, CONSTANT, false}, {97, SMALLER, false}, {33, SMALLEST, false},
                   {256, LARGER, false}, {33, TOO_LARGE, false}};
enum { ENCODING = sizeof of_encoding / sizeof *of_encoding };

/* What is encoded as its v-th variant: types of blocks come without and with an importance; NULL past the last. */
static const struct layout *encode_variant(size_t v, bool *importance)
{
    const struct layout *l;
    for (size_t i = 0; (l = layout_at(i)); i++)
        for (int with = 0; with < (dtype_of((int)l->type)->block > 1 ? 2 : 1); with++) {
            *importance = with;
            if (v-- == 0) return l;
        }
    return NULL;
}

static bool describe_encode(size_t i, struct kernel_case *out)
{
    const size_t s = case_setting(i, ENCODING);
    bool weighted;
    const struct layout *l = encode_variant(case_variant(i, ENCODING), &weighted);
    if (!l) return false;
    int64_t n = whole_blocks(l->type, of_encoding[s].n);
    char name[32];
    variant_of(l->type, weighted, name);
    case_put(out, "encode", name, encode_contents[of_encoding[s].content], of_encoding[s].measured, (double)n);
    snprintf(out->shape, sizeof out->shape, "%lld", (long long)n);
    return true;
}

struct own_encode {
    enum dtype_id type;
    int64_t n;
    const float *x, *importance; /* [n]; importance: or NULL */
    double *bound;               /* [n], of decoded values */
    uint8_t *got;
};

static float one_value(int content, int64_t block, struct random *r)
{
    /* The sum of some uniform numbers is nearly normal. */
    double x = 0.02 * (random_unit(r) + random_unit(r) + random_unit(r) + random_unit(r) - 2);
    switch (content) {
    case SHIFTED:
        return (float)(fabs(x) + 0.01);
    case ZEROES:
        return 0;
    case CONSTANT:
        return block % 2 ? -0.7f : 0.3f;
    case SMALLER:
        return (float)(x * 1e-28);
    case SMALLEST:
        return (float)(x * 0x1p-130);
    case LARGER:
        return (float)(x * 1e6); /* 16 bits end at 65504 */
    case TOO_LARGE:
        return (float)(x * 1e14);
    default:
        return (float)x;
    }
}

/* Floats are rounded to nearest; where blocks with importance have searched scales nothing is known. */
static void want_encoded(struct own_encode *o)
{
    const int block = dtype_of((int)o->type)->block;
    for (int64_t i = 0; i < o->n; i++)
        if (block == 1)
            o->bound[i] = 0;
        else if (o->importance)
            o->bound[i] = (double)INFINITY;
        else
            o->bound[i] = i % block ? o->bound[i - 1] : encoding_bound((int)o->type, o->x + i);
}

static int open_encode(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                       struct error *e)
{
    struct random r = {seed};
    struct own_encode *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    if (!o) return ERROR_IO;
    const size_t s = case_setting(i, ENCODING);
    bool weighted;
    o->type = encode_variant(case_variant(i, ENCODING), &weighted)->type;
    o->n = whole_blocks(o->type, of_encoding[s].n);
    float *x = kernel_buffer(m, o->n, sizeof *x, e), *importance = NULL;
    if (!x || (weighted && !(importance = kernel_buffer(m, o->n, sizeof *importance, e)))) return ERROR_IO;
    o->bound = memory_new((size_t)o->n, sizeof *o->bound, "bounds", e);
    if (!o->bound) return ERROR_IO;
    for (int64_t at = 0; at < o->n; at++)
        x[at] = one_value(of_encoding[s].content, at / dtype_of((int)o->type)->block, &r);
    for (int64_t at = 0; importance && at < o->n; at++)
        importance[at] = random_below(&r, 16) ? (float)(10 * random_unit(&r)) : 0.f;
    o->x = x;
    o->importance = importance;
    want_encoded(o);
    kernel_memory_seal(m);
    o->got = kernel_buffer(m, (int64_t)bytes_of(o->type, o->n), 1, e);
    return o->got ? 0 : ERROR_IO;
}

static void run_encode(void *own, const struct kernels *k)
{
    const struct own_encode *o = own;
    k->encode[o->type](o->x, o->importance, o->got, o->n);
}

static void check_encode(void *own, struct kernel_verdict *v)
{
    const struct own_encode *o = own;
    const struct dtype *d = dtype_of((int)o->type);
    const struct layout *l = layout_of((int)o->type);
    for (int64_t i = 0; i < o->n; i++) {
        if (o->bound[i] == (double)INFINITY) continue;
        double x = (double)o->x[i];
        double wanted = o->type == DTYPE_F16 ? nearest_half(x) : o->type == DTYPE_BF16 ? nearest_bf16(x) : x;
        double got = l->value(o->got + (size_t)(i / d->block) * d->block_bytes, (int)(i % d->block));
        verdict_value(v, i, o->n, got, wanted, o->bound[i]);
    }
}

static const void *output_encode(void *own, size_t *bytes)
{
    const struct own_encode *o = own;
    *bytes = bytes_of(o->type, o->n);
    return o->got;
}

static void close_encode(void *own)
{
    struct own_encode *o = own;
    if (o) free(o->bound);
    free(o);
}

static bool has_encode(const struct kernels *k, const struct kernel_case *c)
{
    char name[32];
    snprintf(name, sizeof name, "%s", c->variant);
    name[strcspn(name, "+")] = '\0';
    return k->encode[dtype_named(name)];
}

const struct kernel_family family_encode = {"encode",   "float32 to blocks", describe_encode, has_encode,  open_encode,
                                            run_encode, check_encode,        output_encode,   close_encode};

/* --- codes with one scale --- */

static const struct {
    int64_t n;
    float scale;
    const char *content;
    bool measured;
} of_affine[] = {{768, 0.1f, "random", true}, {331, -0.1f, "random", true},     {1, 0.1f, "random", false},
                 {17, 0.f, "zeros", false},   {256, 0x1p120f, "large", false},  {70, 0x1p-145f, "denormal", false},
                 {70, NAN, "nan", false},     {70, INFINITY, "infinity", false}};
enum { AFFINE = sizeof of_affine / sizeof *of_affine };

static bool describe_affine(size_t i, struct kernel_case *out)
{
    if (i >= AFFINE) return false;
    case_put(out, "affine_i8", "", of_affine[i].content, of_affine[i].measured, (double)of_affine[i].n);
    snprintf(out->shape, sizeof out->shape, "%lld", (long long)of_affine[i].n);
    return true;
}

struct own_affine {
    const int8_t *q;
    int zero;
    float scale;
    struct wanted y;
    float *got, *same;
};

static int open_affine(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                       struct error *e)
{
    struct random r = {seed};
    const int64_t n = of_affine[i].n;
    struct own_affine *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    if (!o || wanted_new(&o->y, n, e)) return ERROR_IO;
    int8_t *q = kernel_buffer(m, n, 1, e);
    o->same = memory_new((size_t)n, sizeof *o->same, "outputs", e);
    if (!q || !o->same) return ERROR_IO;
    o->scale = of_affine[i].scale;
    o->zero = (int)random_below(&r, 256) - 128;
    for (int64_t at = 0; at < n; at++) q[at] = (int8_t)((int)random_below(&r, 256) - 128);
    for (int64_t at = 0; at < n; at++) {
        double y = (double)(q[at] - o->zero) * (double)o->scale; /* 9 bits times 24 are exact in double */
        wanted_put(&o->y, at, y, isfinite(y) ? UNIT * fabs(y) + LEAST : 0);
    }
    o->q = q;
    kernel_memory_seal(m);
    o->got = kernel_buffer(m, n, sizeof *o->got, e);
    return o->got ? 0 : ERROR_IO;
}

static void run_affine(void *own, const struct kernels *k)
{
    const struct own_affine *o = own;
    k->affine_i8(o->q, o->zero, o->scale, o->got, o->y.n);
}

static void check_affine(void *own, struct kernel_verdict *v)
{
    const struct own_affine *o = own;
    wanted_judge(&o->y, o->got, v);
}

static const void *output_affine(void *own, size_t *bytes)
{
    struct own_affine *o = own;
    floats_canonical(o->same, o->got, o->y.n);
    *bytes = (size_t)o->y.n * sizeof *o->same;
    return o->same;
}

static void close_affine(void *own)
{
    struct own_affine *o = own;
    if (!o) return;
    wanted_free(&o->y);
    free(o->same);
    free(o);
}

static bool has_affine(const struct kernels *k, const struct kernel_case *c) { return k->affine_i8; }

const struct kernel_family family_affine_i8 = {"affine_i8",     "codes of 8 bits with one scale",
                                               describe_affine, has_affine,
                                               open_affine,     run_affine,
                                               check_affine,    output_affine,
                                               close_affine};
