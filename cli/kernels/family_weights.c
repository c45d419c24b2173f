/* Exact math with quantized tiles: the weights themselves, which are the exact decoders' to the bit where the format has
 * its own scales, and one row of inputs times them. A sum is of chunks of GEMM_CHUNK columns: its terms meet a rounding
 * for each column of their chunk after them, and one for each chunk. A NaN in an input shows in all results, an infinity
 * as infinity, or as NaN where it meets a weight of 0 or another infinity. */
#include "cli/kernels/family.h"
#include "cli/kernels/samples.h"
#include "engine/base/memory.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

enum { NOT_A_NUMBER = CONTENTS, INFINITE, NO_INPUTS };

static const struct setting {
    int tiles;
    int64_t cols_32, cols_256; /* where blocks are of 32, and of 256 */
    int content, inputs;
    bool measured;
} of_weights[] =
    {
        {1, 768, 768, RANDOM, NO_INPUTS, true}, {1, 352, 1280, RANDOM, NO_INPUTS, true},
        {1, 32, 256, RANDOM, NO_INPUTS, false}, {1, 96, 512, ZEROS, NO_INPUTS, false},
        {1, 96, 512, LOW, NO_INPUTS, false},    {1, 96, 512, HIGH, NO_INPUTS, false},
        {1, 96, 512, LARGE, NO_INPUTS, false},  {1, 96, 512, TINY, NO_INPUTS, false},
},
  of_dots[] = {
      {2, 768, 768, RANDOM, RANDOM, true},       {1, 352, 1280, RANDOM, RANDOM, true},
      {1, 32, 256, RANDOM, RANDOM, false},       {2, 288, 512, RANDOM, RANDOM, false},
      {2, 96, 512, ZEROS, RANDOM, false},        {1, 96, 512, RANDOM, ZEROS, false},
      {2, 96, 512, LOW, RANDOM, false},          {1, 96, 512, HIGH, RANDOM, false},
      {2, 96, 512, LARGE, LARGE, false},         {1, 96, 512, TINY, TINY, false},
      {2, 96, 512, RANDOM, NOT_A_NUMBER, false}, {1, 96, 512, RANDOM, INFINITE, false},
};
enum { WEIGHTS = sizeof of_weights / sizeof *of_weights, DOTS = sizeof of_dots / sizeof *of_dots };

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
    const char *inputs = s->inputs == NO_INPUTS      ? content_name(s->content)
                         : s->inputs == NOT_A_NUMBER ? "nan"
                         : s->inputs == INFINITE     ? "infinity"
                                                     : content_name(s->inputs);
    char content[sizeof out->content];
    contents_name(content, s->content, inputs);
    char variant[32];
    tile_variant(kind, variant);
    long long rows = s->tiles * TILE_ROWS, cols = columns(kind, s);
    case_put(out, kernel, variant, content, s->measured, (double)(rows * cols));
    snprintf(out->shape, sizeof out->shape, s->inputs == NO_INPUTS ? "%lldx%lld" : "1x%lldx%lld", rows, cols);
    return true;
}

static bool describe_weights(size_t i, struct kernel_case *out)
{
    return describe("weights", of_weights, WEIGHTS, i, out);
}
static bool describe_dot_weights(size_t i, struct kernel_case *out)
{
    return describe("dot_weights", of_dots, DOTS, i, out);
}

struct own {
    struct sample s;
    const float *x;       /* [cols] */
    double *weight_bound; /* [tiles * TILE_ROWS, cols] */
    struct wanted y;
    float *got, *same;
};

static void close_weights(void *own)
{
    struct own *o = own;
    if (!o) return;
    sample_drop(&o->s);
    wanted_free(&o->y);
    free(o->weight_bound);
    free(o->same);
    free(o);
}

/* How far weights may be from those of the sample. Codes with scales of their own: fl(scale code + fl(scale zero)), off
 * by a rounding of the product and one of the sum; 11 bits times 8 are exact. */
static int make_bounds(struct own *o, struct kernel_memory *m, struct error *e)
{
    const struct sample *s = &o->s;
    const int64_t each = TILE_ROWS * s->cols;
    struct panel p;
    o->weight_bound = memory_new((size_t)(s->tiles * each), sizeof *o->weight_bound, "bounds", e);
    int status = o->weight_bound ? panel_make(&p, m, s->format, s->cols, e) : ERROR_IO;
    for (int64_t i = 0; !status && !is_ggml(s->kind) && i < s->tiles * each; i++) {
        if (i % each == 0) kernels_at(0)->tiles[s->kind]->unpack(&s->tile[i / each], &p);
        int64_t g = i % s->cols / s->format->group * TILE_ROWS + i / s->cols % TILE_ROWS;
        double product = s->kind == TILE_I8 ? fabs((double)p.offsets[g]) : 0;
        o->weight_bound[i] = 1.001 * UNIT * (product + fabs(s->weight[i])) + 2 * LEAST;
    }
    return status;
}

static int open_both(void **own, const struct setting *s, size_t variant, struct kernel_memory *m, struct random *r,
                     struct error *e)
{
    const int kind = tile_kind_at(variant);
    struct own *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    int status = o ? sample_make(&o->s, m, kind, s->tiles, columns(kind, s), (enum content)s->content, r, e) : ERROR_IO;
    return status ? status : make_bounds(o, m, e);
}

static int make_output(struct own *o, struct kernel_memory *m, struct error *e)
{
    kernel_memory_seal(m);
    o->got = kernel_buffer(m, o->y.n, sizeof *o->got, e);
    o->same = memory_new((size_t)o->y.n, sizeof *o->same, "outputs", e);
    return o->got && o->same ? 0 : ERROR_IO;
}

static int open_weights(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                        struct error *e)
{
    struct random r = {seed};
    int status = open_both(own, &of_weights[case_setting(i, WEIGHTS)], case_variant(i, WEIGHTS), m, &r, e);
    struct own *o = *own;
    if (!status) status = wanted_new(&o->y, TILE_ROWS * o->s.cols, e);
    for (int64_t at = 0; !status && at < o->y.n; at++) { /* [cols][TILE_ROWS] */
        int64_t from = at % TILE_ROWS * o->s.cols + at / TILE_ROWS;
        wanted_put(&o->y, at, o->s.weight[from], o->weight_bound[from]);
    }
    return status ? status : make_output(o, m, e);
}

static int make_inputs(struct own *o, int inputs, struct kernel_memory *m, struct random *r, struct error *e)
{
    const int64_t cols = o->s.cols;
    float *x = kernel_buffer(m, cols, sizeof *x, e);
    if (!x) return ERROR_IO;
    fill_inputs(x, cols, inputs < CONTENTS ? (enum content)inputs : RANDOM, r);
    if (inputs >= CONTENTS) x[random_below(r, (uint32_t)cols)] = inputs == INFINITE ? -INFINITY : NAN;
    o->x = x;
    return 0;
}

static void want_sum(struct own *o, int64_t row)
{
    const int64_t cols = o->s.cols, chunk = cols < GEMM_CHUNK ? cols : GEMM_CHUNK;
    const double *w = o->s.weight + row * cols, *off = o->weight_bound + row * cols;
    const double roundings = (double)chunk + (double)((cols + GEMM_CHUNK - 1) / GEMM_CHUNK);
    double y = 0, size = 0, weights = 0;
    for (int64_t c = 0; c < cols; c++) {
        y += (double)o->x[c] * w[c];
        size += fabs((double)o->x[c] * w[c]);
        weights += fabs((double)o->x[c]) * off[c];
    }
    double bound = 1.001 * (gamma_of(roundings) * size + weights) + LEAST * (double)(cols + 8);
    wanted_put(&o->y, row, y, isfinite(y) && !(size < (double)FLT_MAX) ? INFINITY : bound);
}

static int open_dot_weights(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                            struct error *e)
{
    struct random r = {seed};
    const struct setting *s = &of_dots[case_setting(i, DOTS)];
    int status = open_both(own, s, case_variant(i, DOTS), m, &r, e);
    struct own *o = *own;
    if (!status) status = make_inputs(o, s->inputs, m, &r, e);
    if (!status) status = wanted_new(&o->y, s->tiles * TILE_ROWS, e);
    for (int64_t row = 0; !status && row < o->y.n; row++) want_sum(o, row);
    return status ? status : make_output(o, m, e);
}

static void run_weights(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->tiles[o->s.kind]->weights(o->s.tile, o->got);
}

static void run_dot_weights(void *own, const struct kernels *k)
{
    const struct own *o = own;
    k->tiles[o->s.kind]->dot_weights(o->s.tile, o->s.tiles, o->x, o->got);
}

static void check_weights(void *own, struct kernel_verdict *v)
{
    const struct own *o = own;
    wanted_judge(&o->y, o->got, v);
}

static const void *output_weights(void *own, size_t *bytes)
{
    struct own *o = own;
    floats_canonical(o->same, o->got, o->y.n);
    *bytes = (size_t)o->y.n * sizeof *o->same;
    return o->same;
}

const struct kernel_family family_weights = {
    "weights",   "the weights of a tile", describe_weights, tile_known,   open_weights,
    run_weights, check_weights,           output_weights,   close_weights};
const struct kernel_family family_dot_weights = {"dot_weights",        "one row of inputs by the weights of tiles",
                                                 describe_dot_weights, tile_known,
                                                 open_dot_weights,     run_dot_weights,
                                                 check_weights,        output_weights,
                                                 close_weights};
