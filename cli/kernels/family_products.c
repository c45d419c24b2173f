/* Products of quantized inputs and tiles of every kind, products() and dot(), and the unpacking before them: held
 * against the exact sum of weights and codes (samples.h, whose bound follows from the order of tiles.h). All rows of the
 * table give the same bits. An input that is not a number shows in its row of results and in no other. */
#include "cli/kernels/family.h"
#include "cli/kernels/samples.h"
#include "engine/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_A_NUMBER = CONTENTS, GAP = 3, MOST_ZEROS = 4 };

static const struct setting {
    int64_t n;
    int tiles;
    int64_t cols_32, cols_256; /* where blocks are of 32, and of 256 */
    int content, inputs;
    bool measured;
} of_products[] =
    {
        {64, 2, 768, 768, RANDOM, RANDOM, true},
        {7, 3, 352, 768, RANDOM, RANDOM, true},
        {1, 1, 32, 256, RANDOM, RANDOM, false},
        {2, 1, 32, 256, HIGH, RANDOM, false},
        {3, 4, 96, 512, RANDOM, RANDOM, false},
        {4, 2, 64, 256, RANDOM, LOW, false},
        {13, 5, 64, 256, RANDOM, RANDOM, false},
        {1, 1, 8192, 8192, RANDOM, RANDOM, false},
        {3, 2, 96, 512, ZEROS, RANDOM, false},
        {3, 2, 96, 512, RANDOM, ZEROS, false},
        {3, 2, 96, 512, LOW, HIGH, false},
        {3, 2, 96, 512, HIGH, HIGH, false},
        {3, 2, 96, 512, LARGE, LARGE, false},
        {3, 2, 96, 512, LARGE, RANDOM, false},
        {3, 2, 96, 512, TINY, TINY, false},
        {3, 2, 96, 512, TINY, LARGE, false},
        {3, 2, 96, 512, RANDOM, NOT_A_NUMBER, false},
},
  of_dots[] =
      {
          {1, 1, 768, 768, RANDOM, RANDOM, true}, {1, 1, 352, 1280, RANDOM, RANDOM, true},
          {1, 1, 32, 256, RANDOM, RANDOM, false}, {1, 1, 8192, 8192, HIGH, HIGH, false},
          {1, 1, 96, 512, ZEROS, RANDOM, false},  {1, 1, 96, 512, RANDOM, ZEROS, false},
          {1, 1, 96, 512, LOW, RANDOM, false},    {1, 1, 96, 512, LARGE, LARGE, false},
          {1, 1, 96, 512, TINY, TINY, false},     {1, 1, 96, 512, RANDOM, NOT_A_NUMBER, false},
},
  of_unpacking[] = {
      {1, 1, 768, 768, RANDOM, RANDOM, true}, {1, 1, 352, 1280, RANDOM, RANDOM, true},
      {1, 1, 32, 256, RANDOM, RANDOM, false}, {1, 1, 8192, 8192, RANDOM, RANDOM, false},
      {1, 1, 96, 512, ZEROS, RANDOM, false},  {1, 1, 96, 512, LOW, RANDOM, false},
      {1, 1, 96, 512, HIGH, RANDOM, false},   {1, 1, 96, 512, LARGE, RANDOM, false},
      {1, 1, 96, 512, TINY, RANDOM, false},
};

static int64_t columns(int kind, const struct setting *s)
{
    return kernels_at(0)->tiles[kind]->format.block == 32 ? s->cols_32 : s->cols_256;
}

static bool describe(const char *kernel, const struct setting *settings, size_t count, size_t i,
                     struct kernel_case *out)
{
    const int kind = tile_kind_at(case_variant(i, count));
    if (kind == TILE_KINDS) return false;
    const struct setting *s = &settings[case_setting(i, count)];
    const char *inputs = s->inputs == NOT_A_NUMBER ? "nan" : content_name(s->inputs);
    int64_t cols = columns(kind, s);
    char variant[32], content[sizeof out->content];
    tile_variant(kind, variant);
    contents_name(content, s->content, settings == of_unpacking ? content_name(s->content) : inputs);
    case_put(out, kernel, variant, content, s->measured, (double)(s->n * s->tiles * TILE_ROWS * cols));
    if (settings == of_unpacking)
        snprintf(out->shape, sizeof out->shape, "%dx%lld", TILE_ROWS, (long long)cols);
    else
        snprintf(out->shape, sizeof out->shape, "%lldx%dx%lld", (long long)s->n, s->tiles * TILE_ROWS, (long long)cols);
    return true;
}

enum { PRODUCTS = sizeof of_products / sizeof *of_products, DOTS = sizeof of_dots / sizeof *of_dots };
enum { UNPACKINGS = sizeof of_unpacking / sizeof *of_unpacking };

static bool describe_products(size_t i, struct kernel_case *out)
{
    return describe("products", of_products, PRODUCTS, i, out);
}
static bool describe_dot(size_t i, struct kernel_case *out) { return describe("dot", of_dots, DOTS, i, out); }
static bool describe_unpack(size_t i, struct kernel_case *out)
{
    return describe("unpack", of_unpacking, UNPACKINGS, i, out);
}

/* --- what is multiplied --- */

struct own {
    int kind;
    int64_t n, cols, stride;
    struct sample s;
    struct panel w[MOST_TILES]; /* inputs of products(), outputs of unpack() */
    struct quantized x;
    /* Sums begin with what takes a format's zero off the codes, of which some instruction sets have taken off a part. */
    int zeros[MOST_ZEROS];
    int32_t *fix[MOST_ZEROS];
    struct wanted y;
    float *got;
    uint8_t *bytes; /* outputs, one after the other, where NaN is always the same */
};

static void close_products(void *own)
{
    struct own *o = own;
    if (!o) return;
    sample_drop(&o->s);
    wanted_free(&o->y);
    free(o->bytes);
    free(o);
}

static int open_weights(struct own *o, const struct setting *s, size_t variant, struct kernel_memory *m,
                        struct random *r, struct error *e)
{
    o->kind = tile_kind_at(variant);
    o->n = s->n;
    o->cols = columns(o->kind, s);
    o->stride = s->tiles * TILE_ROWS + (s->n > 1 ? GAP : 0);
    return sample_make(&o->s, m, o->kind, s->tiles, o->cols, (enum content)s->content, r, e);
}

static int make_fixes(struct own *o, struct kernel_memory *m, struct error *e)
{
    const struct tile_format *f = o->s.format;
    const int64_t groups = o->n * (o->cols / f->group);
    int count = 0;
    for (size_t t = 0; kernels_at(t); t++) {
        int zero = f->zero - (f->wide ? kernels_at(t)->wide_zero : 0), i = 0;
        while (i < count && o->zeros[i] != zero) i++;
        if (i < count || count == MOST_ZEROS) continue;
        o->zeros[count] = zero;
        if (!(o->fix[count] = kernel_buffer(m, groups, sizeof **o->fix, e))) return ERROR_IO;
        for (int64_t g = 0; g < groups; g++) {
            int sum = 0;
            for (int c = 0; c < f->group; c++) sum += o->x.q[g * f->group + c];
            o->fix[count][g] = -zero * sum;
        }
        count++;
    }
    return 0;
}

static int make_inputs(struct own *o, const struct setting *s, struct kernel_memory *m, struct random *r,
                       struct error *e)
{
    float *x = memory_new((size_t)(o->n * o->cols), sizeof *x, "inputs", e);
    if (!x) return ERROR_IO;
    fill_inputs(x, o->n * o->cols, s->inputs == NOT_A_NUMBER ? RANDOM : (enum content)s->inputs, r);
    if (s->inputs == NOT_A_NUMBER) x[o->n / 2 * o->cols + (int64_t)random_below(r, (uint32_t)o->cols)] = NAN;
    int status = quantized_make(&o->x, m, o->s.format, o->n, o->cols, e);
    if (!status) quantize_rows(kernels_at(0), o->s.format, x, o->n, o->cols, &o->x);
    free(x);
    return status ? status : make_fixes(o, m, e);
}

static int make_wanted(struct own *o, struct error *e)
{
    const int64_t width = o->s.tiles * TILE_ROWS, n = (o->n - 1) * o->stride + width;
    int status = wanted_new(&o->y, n, e);
    for (int64_t i = 0; !status && i < o->n; i++) {
        struct quantized row = quantized_row(o->s.format, &o->x, i, o->cols);
        for (int t = 0; t < o->s.tiles; t++)
            for (int r = 0; r < TILE_ROWS; r++) {
                double bound, y = sample_product(&o->s, t, r, &o->w[t], &row, &bound);
                wanted_put(&o->y, i * o->stride + t * TILE_ROWS + r, y, bound);
            }
    }
    return status;
}

static int open_multiplied(void **own, const struct setting *s, size_t variant, struct kernel_memory *m, uint64_t seed,
                           struct error *e)
{
    struct random r = {seed};
    struct own *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    int status = o ? open_weights(o, s, variant, m, &r, e) : ERROR_IO;
    if (!status) status = make_inputs(o, s, m, &r, e);
    for (int t = 0; !status && t < s->tiles; t++) {
        status = panel_make(&o->w[t], m, o->s.format, o->cols, e);
        if (!status) kernels_at(0)->tiles[o->kind]->unpack(&o->s.tile[t], &o->w[t]);
    }
    if (!status) status = make_wanted(o, e);
    if (status) return status;
    kernel_memory_seal(m);
    o->got = kernel_buffer(m, o->y.n, sizeof *o->got, e);
    o->bytes = memory_new((size_t)o->y.n, sizeof *o->got, "outputs", e);
    return o->got && o->bytes ? 0 : ERROR_IO;
}

static int open_products(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                         struct error *e)
{
    return open_multiplied(own, &of_products[case_setting(i, PRODUCTS)], case_variant(i, PRODUCTS), m, seed, e);
}

static int open_dot(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                    struct error *e)
{
    return open_multiplied(own, &of_dots[case_setting(i, DOTS)], case_variant(i, DOTS), m, seed, e);
}

static struct quantized inputs_for(const struct own *o, const struct kernels *k)
{
    const struct tile_format *f = o->s.format;
    struct quantized x = o->x;
    for (int i = 0; i < MOST_ZEROS && o->fix[i]; i++)
        if (o->zeros[i] == f->zero - (f->wide ? k->wide_zero : 0)) x.fix = o->fix[i];
    return x;
}

static void run_products(void *own, const struct kernels *k)
{
    const struct own *o = own;
    const struct quantized x = inputs_for(o, k);
    k->products(o->s.format, o->w, o->s.tiles, &x, o->n, o->cols, o->got, o->stride);
}

static void run_dot(void *own, const struct kernels *k)
{
    const struct own *o = own;
    const struct quantized x = inputs_for(o, k);
    k->tiles[o->kind]->dot(o->s.tile, &x, o->got);
}

static void check_products(void *own, struct kernel_verdict *v)
{
    const struct own *o = own;
    wanted_judge(&o->y, o->got, v);
}

static const void *output_products(void *own, size_t *bytes)
{
    struct own *o = own;
    floats_canonical((float *)o->bytes, o->got, o->y.n);
    *bytes = (size_t)o->y.n * sizeof *o->got;
    return o->bytes;
}

static int kind_named(const struct kernel_case *c)
{
    char name[32];
    for (size_t i = 0; tile_kind_at(i) < TILE_KINDS; i++) {
        tile_variant(tile_kind_at(i), name);
        if (strcmp(name, c->variant) == 0) return tile_kind_at(i);
    }
    return -1;
}

bool tile_known(const struct kernels *k, const struct kernel_case *c)
{
    const int kind = kind_named(c);
    return kind >= 0 && k->tiles[kind];
}

const struct kernel_family family_products = {"products",        "rows of inputs by unpacked tiles",
                                              describe_products, tile_known,
                                              open_products,     run_products,
                                              check_products,    output_products,
                                              close_products};
const struct kernel_family family_dot = {"dot",          "one row of inputs by a tile",
                                         describe_dot,   tile_known,
                                         open_dot,       run_dot,
                                         check_products, output_products,
                                         close_products};

/* --- unpacking --- */

static int open_unpack(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                       struct error *e)
{
    struct random r = {seed};
    struct own *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    const struct setting *s = &of_unpacking[case_setting(i, UNPACKINGS)];
    int status = o ? open_weights(o, s, case_variant(i, UNPACKINGS), m, &r, e) : ERROR_IO;
    if (status) return status;
    kernel_memory_seal(m);
    status = panel_make(&o->w[0], m, o->s.format, o->cols, e);
    if (status) return status;
    o->bytes = memory_new((size_t)o->cols * TILE_ROWS * 3, 1, "outputs", e);
    return o->bytes ? 0 : ERROR_IO;
}

static void run_unpack(void *own, const struct kernels *k)
{
    struct own *o = own;
    k->tiles[o->kind]->unpack(o->s.tile, o->w);
}

/* weight = scale (code - zero) + offset. Scales and offsets of all kinds have so few bits that they are exact in
 * float32, and the sum is rounded once as the exact decoders round theirs, but for the product of a float32 scale and a
 * zero point, which is one rounding of it. */
static void check_unpack(void *own, struct kernel_verdict *v)
{
    const struct own *o = own;
    const struct tile_format *f = o->s.format;
    for (int64_t i = 0; i < TILE_ROWS * o->cols; i++) {
        const int64_t r = i / o->cols, c = i % o->cols, g = c / f->group * TILE_ROWS + r;
        int code = o->w->codes[c / 4 * 4 * TILE_ROWS + r * 4 + c % 4];
        double offset = f->offset ? (double)o->w->offsets[g] : 0;
        double got = (double)o->w->scales[g] * (code - f->zero) + offset;
        if (is_ggml(o->kind)) got = (double)(float)got;
        verdict_value(v, i, TILE_ROWS * o->cols, got, o->s.weight[i],
                      o->kind == TILE_I8 ? UNIT * fabs(offset) + LEAST : 0);
        if (!f->wide && code > 127) verdict_wrong(v, "code %d of a narrow format", code);
    }
}

static const void *output_unpack(void *own, size_t *bytes)
{
    struct own *o = own;
    const int64_t codes = o->cols * TILE_ROWS, scales = o->cols / o->s.format->group * TILE_ROWS;
    memcpy(o->bytes, o->w->codes, (size_t)codes);
    floats_canonical((float *)(o->bytes + codes), o->w->scales, scales);
    if (o->s.format->offset) floats_canonical((float *)(o->bytes + codes) + scales, o->w->offsets, scales);
    *bytes = (size_t)codes + (size_t)(o->s.format->offset ? 2 * scales : scales) * sizeof(float);
    return o->bytes;
}

const struct kernel_family family_unpack = {"unpack",        "a tile to codes and scales",
                                            describe_unpack, tile_known,
                                            open_unpack,     run_unpack,
                                            check_unpack,    output_unpack,
                                            close_products};
