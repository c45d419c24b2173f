/* Tiles of floats: unpacked, which is exact, and one row of inputs times them, in chunks of GEMM_CHUNK columns: a term
 * meets a rounding for each column of its chunk and one for each chunk. NaN and infinity go the way of IEEE 754. */
#include "cli/kernels/family.h"
#include "cli/kernels/samples.h"
#include "engine/base/memory.h"
#include "engine/kernels/half.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP_BYTES = 32 }; /* between tiles */

static const struct {
    enum dtype_id type;
    const char *name;
} types[] = {{DTYPE_F32, "f32"}, {DTYPE_F16, "f16"}, {DTYPE_BF16, "bf16"}};
enum { TYPES = sizeof types / sizeof *types };

enum float_content { PLAIN, NOTHING, DENORMAL, EVERY_BIT, NOT_A_NUMBER, INFINITE, FLOAT_CONTENTS };
static const char *const contents[FLOAT_CONTENTS] = {"random", "zeros", "denormal", "bits", "nan", "infinity"};

static const struct setting {
    int64_t tiles, cols;
    enum float_content content;
    bool measured;
} of_dots[] =
    {
        {4, 768, PLAIN, true},        {3, 331, PLAIN, true},    {1, 1, PLAIN, false},    {9, 257, PLAIN, false},
        {1, 8192, PLAIN, false},      {5, 16, PLAIN, false},    {2, 50, NOTHING, false}, {5, 50, DENORMAL, false},
        {2, 50, NOT_A_NUMBER, false}, {2, 50, INFINITE, false},
},
  of_unpacking[] = {
      {1, 768, PLAIN, true},       {1, 331, PLAIN, true},    {1, 1, PLAIN, false},
      {1, 4096, EVERY_BIT, false}, {1, 7, EVERY_BIT, false},
};
enum { DOTS = sizeof of_dots / sizeof *of_dots, UNPACKINGS = sizeof of_unpacking / sizeof *of_unpacking };

static bool describe(const char *kernel, const struct setting *settings, size_t count, size_t i,
                     struct kernel_case *out)
{
    if (case_variant(i, count) >= TYPES) return false;
    const struct setting *s = &settings[case_setting(i, count)];
    long long rows = s->tiles * TILE_ROWS, cols = s->cols;
    case_put(out, kernel, types[case_variant(i, count)].name, contents[s->content], s->measured, (double)(rows * cols));
    snprintf(out->shape, sizeof out->shape, settings == of_dots ? "1x%lldx%lld" : "%lldx%lld", rows, cols);
    return true;
}

static bool describe_dots(size_t i, struct kernel_case *out) { return describe("dot_floats", of_dots, DOTS, i, out); }
static bool describe_unpacking(size_t i, struct kernel_case *out)
{
    return describe("unpack_floats", of_unpacking, UNPACKINGS, i, out);
}

struct own {
    const struct setting *s;
    enum dtype_id type;
    size_t step; /* bytes from a tile to the next */
    const uint8_t *tiles;
    const float *x; /* [cols] */
    struct wanted y;
    float *got, *same;
};

static float one_value(enum float_content content, struct random *r)
{
    float x = (float)(2 * random_unit(r) - 1);
    return content == NOTHING ? 0.f : content == DENORMAL ? x * 0x1p-15f : x;
}

static void put_value(uint8_t *to, enum dtype_id type, float x, enum float_content content, struct random *r)
{
    uint32_t bits = type == DTYPE_F32   ? bits_of_float(content == DENORMAL ? x * 0x1p-112f : x)
                    : type == DTYPE_F16 ? f16_from_f32(x)
                                        : bf16_from_f32(content == DENORMAL ? x * 0x1p-112f : x);
    if (content == EVERY_BIT) bits = (uint32_t)random_next(r);
    uint16_t half = (uint16_t)bits;
    memcpy(to, type == DTYPE_F32 ? (void *)&bits : (void *)&half, dtype_of((int)type)->block_bytes);
}

static int make_tiles(struct own *o, struct kernel_memory *m, struct random *r, struct error *e)
{
    const struct setting *s = o->s;
    const size_t each = dtype_of((int)o->type)->block_bytes, bytes = (size_t)(s->cols * TILE_ROWS) * each;
    o->step = bytes + GAP_BYTES;
    uint8_t *tiles = kernel_buffer(m, (s->tiles - 1) * (int64_t)o->step + (int64_t)bytes, 1, e);
    float *x = kernel_buffer(m, s->cols, sizeof *x, e);
    if (!tiles || !x) return ERROR_IO;
    for (int64_t t = 0; t < s->tiles; t++)
        for (int64_t i = 0; i < s->cols * TILE_ROWS; i++)
            put_value(tiles + (size_t)t * o->step + (size_t)i * each, o->type, one_value(s->content, r), s->content, r);
    for (int64_t i = 0; i < s->cols; i++) x[i] = one_value(s->content, r);
    if (s->content == NOT_A_NUMBER) x[random_below(r, (uint32_t)s->cols)] = NAN;
    if (s->content == INFINITE) x[random_below(r, (uint32_t)s->cols)] = INFINITY;
    o->tiles = tiles;
    o->x = x;
    return 0;
}

/* By definition: float16 has 5 bits of exponent and 10 of mantissa, bfloat16 the first half of float32's. */
static double value_at(const struct own *o, int64_t tile, int64_t i)
{
    const uint8_t *p = o->tiles + (size_t)tile * o->step + (size_t)i * dtype_of((int)o->type)->block_bytes;
    uint32_t bits = 0;
    memcpy(&bits, p, dtype_of((int)o->type)->block_bytes);
    if (o->type == DTYPE_F16) {
        int exponent = bits >> 10 & 31, mantissa = bits & 1023;
        double v = exponent == 0    ? ldexp(mantissa, -24)
                   : exponent == 31 ? (mantissa ? (double)NAN : (double)INFINITY)
                                    : ldexp(1024 + mantissa, exponent - 25);
        return bits & 0x8000 ? -v : v;
    }
    return (double)float_of_bits(o->type == DTYPE_BF16 ? bits << 16 : bits);
}

static void want_sum(struct own *o, int64_t row)
{
    const int64_t cols = o->s->cols, chunk = cols < GEMM_CHUNK ? cols : GEMM_CHUNK;
    const double roundings = (double)chunk + (double)((cols + GEMM_CHUNK - 1) / GEMM_CHUNK);
    double y = 0, size = 0;
    for (int64_t c = 0; c < cols; c++) {
        double term = (double)o->x[c] * value_at(o, row / TILE_ROWS, c * TILE_ROWS + row % TILE_ROWS);
        y += term;
        size += fabs(term);
    }
    wanted_put(&o->y, row, y, 1.001 * gamma_of(roundings) * size + LEAST * (double)(cols + 8));
}

static int open_floats(void **own, const struct setting *s, size_t type, int64_t n, struct kernel_memory *m,
                       uint64_t seed, struct error *e)
{
    struct random r = {seed};
    struct own *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    if (!o) return ERROR_IO;
    o->s = s;
    o->type = types[type].type;
    if (make_tiles(o, m, &r, e) || wanted_new(&o->y, n, e)) return ERROR_IO;
    kernel_memory_seal(m);
    o->got = kernel_buffer(m, n, sizeof *o->got, e);
    o->same = memory_new((size_t)n, sizeof *o->same, "outputs", e);
    return o->got && o->same ? 0 : ERROR_IO;
}

static int open_dots(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                     struct error *e)
{
    const struct setting *s = &of_dots[case_setting(i, DOTS)];
    int status = open_floats(own, s, case_variant(i, DOTS), s->tiles * TILE_ROWS, m, seed, e);
    for (int64_t row = 0; !status && row < s->tiles * TILE_ROWS; row++) want_sum(*own, row);
    return status;
}

static int open_unpacking(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                          struct error *e)
{
    const struct setting *s = &of_unpacking[case_setting(i, UNPACKINGS)];
    int status = open_floats(own, s, case_variant(i, UNPACKINGS), s->cols * TILE_ROWS, m, seed, e);
    struct own *o = *own;
    for (int64_t at = 0; !status && at < o->y.n; at++) wanted_put(&o->y, at, value_at(o, 0, at), 0);
    return status;
}

static void run_dots(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->float_tiles[o->type]->dot(o->tiles, o->step, o->s->tiles, o->x, o->s->cols, o->got);
}

static void run_unpacking(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->float_tiles[o->type]->unpack(o->tiles, o->s->cols, o->got);
}

static void check_floats(void *own, struct kernel_verdict *v)
{
    const struct own *o = own;
    wanted_judge(&o->y, o->got, v);
}

static const void *output_floats(void *own, size_t *bytes)
{
    struct own *o = own;
    floats_canonical(o->same, o->got, o->y.n);
    *bytes = (size_t)o->y.n * sizeof *o->same;
    return o->same;
}

static void close_floats(void *own)
{
    struct own *o = own;
    if (!o) return;
    wanted_free(&o->y);
    free(o->same);
    free(o);
}

static bool has_floats(const struct kernels *k, const struct kernel_case *c)
{
    for (size_t i = 0; i < TYPES; i++)
        if (strcmp(types[i].name, c->variant) == 0) return k->float_tiles[types[i].type];
    return false;
}

const struct kernel_family family_dot_floats = {"dot_floats",  "one row of inputs by tiles of floats",
                                                describe_dots, has_floats,
                                                open_dots,     run_dots,
                                                check_floats,  output_floats,
                                                close_floats};
const struct kernel_family family_unpack_floats = {"unpack_floats",    "tiles of floats to float32",
                                                   describe_unpacking, has_floats,
                                                   open_unpacking,     run_unpacking,
                                                   check_floats,       output_floats,
                                                   close_floats};
