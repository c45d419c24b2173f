/* What products read: inputs of 8 bits, against Q8_0 and Q8_K by their definition (ggml-quants.c: d = max |x| / 127, or
 * that with the sign of minus the first value furthest from zero; q = x / d to nearest), and inputs rounded to 16 bits,
 * which is exact. A block with a value that is not finite has a d that is not a number, and its codes may be anything;
 * likewise where d is 0. */
#include "cli/kernels/family.h"
#include "cli/kernels/judge_inputs.h"
#include "cli/kernels/samples.h"
#include "engine/base/memory.h"
#include "engine/kernels/half.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DENORMAL = CONTENTS, NOT_A_NUMBER, INFINITE, TIES, ANY_BITS };

static const char *name_of(int content)
{
    static const char *const more[] = {"float denormal", "nan", "infinity", "ties", "bits"};
    return content < CONTENTS ? content == TINY ? "tiny" : content_name(content) : more[content - CONTENTS];
}

static const struct setting {
    int64_t cols_32, cols_256; /* where blocks are of 32, and of 256 */
    int content;
    bool measured;
} of_codes[] = {
    {768, 768, RANDOM, true}, {352, 1280, RANDOM, true},  {32, 256, RANDOM, false},       {288, 2304, RANDOM, false},
    {64, 512, ZEROS, false},  {64, 512, LOW, false},      {64, 512, HIGH, false},         {64, 512, LARGE, false},
    {64, 512, TINY, false},   {64, 512, DENORMAL, false}, {96, 768, NOT_A_NUMBER, false}, {96, 768, INFINITE, false},
    {64, 512, TIES, false},
};
enum { CODES = sizeof of_codes / sizeof *of_codes };

static int64_t columns(int kind, const struct setting *s)
{
    return kernels_at(0)->tiles[kind]->format.block == 32 ? s->cols_32 : s->cols_256;
}

static bool describe_codes(size_t i, struct kernel_case *out)
{
    const int kind = tile_kind_at(case_variant(i, CODES));
    if (kind == TILE_KINDS) return false;
    const struct setting *s = &of_codes[case_setting(i, CODES)];
    char variant[32];
    tile_variant(kind, variant);
    case_put(out, "quantize_inputs", variant, name_of(s->content), s->measured, (double)columns(kind, s));
    snprintf(out->shape, sizeof out->shape, "%lld", (long long)columns(kind, s));
    return true;
}

struct own {
    const struct tile_format *f;
    int64_t cols;
    const float *x;
    struct quantized out;
    int wide_zero; /* of the row that ran last */
    uint8_t *bytes;
};

static void fill(float *x, int64_t n, int content, struct random *r)
{
    fill_inputs(x, n, content < CONTENTS ? (enum content)content : RANDOM, r);
    for (int64_t i = 0; content == DENORMAL && i < n; i++) x[i] *= 0x1p-130f;
    for (int64_t i = 0; content == TIES && i < n; i++) /* halves where d is 1, the furthest value later */
        x[i] = i % 16 == 9 ? (i % 32 > 16 ? 127.f : -127.f) : (float)random_below(r, 250) / 2.f - 62.f;
    if (content == NOT_A_NUMBER || content == INFINITE)
        x[n / 3 + (int64_t)random_below(r, (uint32_t)n / 3)] = content == INFINITE ? -INFINITY : NAN;
}

static int open_codes(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                      struct error *e)
{
    struct random r = {seed};
    const int kind = tile_kind_at(case_variant(i, CODES));
    const struct setting *s = &of_codes[case_setting(i, CODES)];
    struct own *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    if (!o) return ERROR_IO;
    o->f = &kernels_at(0)->tiles[kind]->format;
    o->cols = columns(kind, s);
    float *x = kernel_buffer(m, o->cols, sizeof *x, e);
    o->bytes = memory_new((size_t)o->cols, 4, "outputs", e); /* codes, and less than 12 bytes for a group of 16 */
    if (!x || !o->bytes) return ERROR_IO;
    fill(x, o->cols, s->content, &r);
    o->x = x;
    kernel_memory_seal(m);
    return quantized_make(&o->out, m, o->f, 1, o->cols, e);
}

static void run_codes(void *own, const struct kernels *k)
{
    struct own *o = own;
    o->wide_zero = k->wide_zero;
    k->quantize_inputs(o->f, o->x, o->cols, &o->out);
}

static void check_codes(void *own, struct kernel_verdict *v)
{
    const struct own *o = own;
    judge_quantized(o->f, o->x, o->cols, &o->out, o->wide_zero, v);
}

/* Of blocks whose d is a number and not 0: codes and sums; `fix` differs by what instruction sets take off by
 * themselves. */
static const void *output_codes(void *own, size_t *bytes)
{
    struct own *o = own;
    const int64_t blocks = o->cols / o->f->block, groups = o->cols / o->f->group;
    float *d = (float *)(o->bytes + o->cols), *sum = d + blocks;
    floats_canonical(d, o->out.d, blocks);
    memcpy(o->bytes, o->out.q, (size_t)o->cols);
    for (int64_t b = 0; b < blocks; b++)
        if (!(fabsf(d[b]) > 0)) memset(o->bytes + b * o->f->block, 0, (size_t)o->f->block);
    for (int64_t g = 0; o->f->offset && g < groups; g++)
        sum[g] = fabsf(d[g * o->f->group / o->f->block]) > 0 ? o->out.sum[g] : 0.f;
    *bytes = (size_t)o->cols + (size_t)(blocks + (o->f->offset ? groups : 0)) * sizeof *d;
    return o->bytes;
}

static void close_codes(void *own)
{
    struct own *o = own;
    if (o) free(o->bytes);
    free(o);
}

const struct kernel_family family_quantize_inputs = {"quantize_inputs", "a row of inputs to 8 bits",
                                                     describe_codes,    tile_known,
                                                     open_codes,        run_codes,
                                                     check_codes,       output_codes,
                                                     close_codes};

/* --- 16 bits --- */

static const struct {
    int64_t n;
    int content;
    bool measured;
} of_rounding[] = {{768, RANDOM, true}, {331, RANDOM, true},   {1, RANDOM, false},
                   {15, RANDOM, false}, {33, ANY_BITS, false}, {4096, ANY_BITS, false},
                   {1000, TIES, false}, {50, ZEROS, false},    {77, DENORMAL, false}};
enum { ROUNDING = sizeof of_rounding / sizeof *of_rounding };
static const char *const rounded_to[] = {"f16", "bf16"};

static bool describe_rounding(size_t i, struct kernel_case *out)
{
    if (case_variant(i, ROUNDING) >= 2) return false;
    const size_t s = case_setting(i, ROUNDING);
    case_put(out, "round_inputs", rounded_to[case_variant(i, ROUNDING)], name_of(of_rounding[s].content),
             of_rounding[s].measured, (double)of_rounding[s].n);
    snprintf(out->shape, sizeof out->shape, "%lld", (long long)of_rounding[s].n);
    return true;
}

struct own_rounding {
    enum input_kind kind;
    const float *x;
    float *got, *same;
    struct wanted y;
};

/* Numbers of 16 bits, what lies halfway to the next and one float32 beside it, in turn. */
static float tie(enum input_kind kind, struct random *r)
{
    uint16_t h = (uint16_t)random_next(r);
    float low = kind == INPUT_F16 ? f32_from_f16(h) : float_of_bits((uint32_t)h << 16);
    float next = kind == INPUT_F16 ? f32_from_f16((uint16_t)(h + 1)) : float_of_bits((uint32_t)(h + 1) << 16);
    float middle = low + (next - low) / 2;
    switch (random_below(r, 4)) {
    case 0:
        return low;
    case 1:
        return nextafterf(middle, 0.f);
    case 2:
        return nextafterf(middle, FLT_MAX);
    default:
        return middle;
    }
}

static int open_rounding(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                         struct error *e)
{
    struct random r = {seed};
    const int64_t n = of_rounding[case_setting(i, ROUNDING)].n;
    const int content = of_rounding[case_setting(i, ROUNDING)].content;
    struct own_rounding *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    if (!o || wanted_new(&o->y, n, e)) return ERROR_IO;
    o->kind = case_variant(i, ROUNDING) == 0 ? INPUT_F16 : INPUT_BF16;
    o->same = memory_new((size_t)n, sizeof *o->same, "outputs", e);
    float *x = kernel_buffer(m, n, sizeof *x, e);
    if (!o->same || !x) return ERROR_IO;
    fill_inputs(x, n, content == ZEROS ? ZEROS : RANDOM, &r);
    for (int64_t at = 0; at < n; at++) {
        if (content == DENORMAL) x[at] *= o->kind == INPUT_F16 ? 0x1p-16f : 0x1p-128f;
        if (content == ANY_BITS) x[at] = float_of_bits((uint32_t)random_next(&r));
        if (content == TIES) x[at] = tie(o->kind, &r);
        double wanted = o->kind == INPUT_F16 ? nearest_half((double)x[at]) : nearest_bf16((double)x[at]);
        wanted_put(&o->y, at, wanted, 0);
    }
    o->x = x;
    kernel_memory_seal(m);
    o->got = kernel_buffer(m, n, sizeof *o->got, e);
    return o->got ? 0 : ERROR_IO;
}

static void run_rounding(void *own, const struct kernels *k)
{
    const struct own_rounding *o = own;
    k->round_inputs(o->kind, o->x, o->y.n, o->got);
}

static void check_rounding(void *own, struct kernel_verdict *v)
{
    const struct own_rounding *o = own;
    wanted_judge(&o->y, o->got, v);
}

static const void *output_rounding(void *own, size_t *bytes)
{
    struct own_rounding *o = own;
    floats_canonical(o->same, o->got, o->y.n);
    *bytes = (size_t)o->y.n * sizeof *o->same;
    return o->same;
}

static void close_rounding(void *own)
{
    struct own_rounding *o = own;
    if (!o) return;
    wanted_free(&o->y);
    free(o->same);
    free(o);
}

static bool has_rounding(const struct kernels *k, const struct kernel_case *c) { return k->round_inputs; }

const struct kernel_family family_round_inputs = {"round_inputs",    "inputs rounded to 16 bits",
                                                  describe_rounding, has_rounding,
                                                  open_rounding,     run_rounding,
                                                  check_rounding,    output_rounding,
                                                  close_rounding};
