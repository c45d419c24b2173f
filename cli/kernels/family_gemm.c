/* Products of float32 and the transposition before them. A sum takes one fused multiply-add a column, so that a term
 * meets k roundings at most and one more where the sum is added to what was there: gamma(k) of the sum of |a b| (Higham
 * 2002, section 3.1). NaN and infinity go the way of IEEE 754: a NaN in a row of a or a column of b shows in all that it
 * meets and nowhere else. */
#include "cli/kernels/family.h"
#include "cli/kernels/samples.h"
#include "engine/base/memory.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAST = 5 }; /* what strides are longer than need be */

enum gemm_content { PLAIN, NOTHING, BIG, SMALL, SPECIAL, GEMM_CONTENTS };
static const char *const contents[GEMM_CONTENTS] = {"random", "zeros", "large", "denormal", "nan"};

static const struct setting {
    int64_t m, k;
    int tiles;
    enum gemm_content content;
    bool measured;
    bool beside; /* tiles side by side in rows of b, not one after the other */
} settings[] = {
    {48, 256, 2, PLAIN, true, false},  {7, 119, 3, PLAIN, true, true},    {1, 1, 1, PLAIN, false, false},
    {1, 256, 5, PLAIN, false, false},  {2, 33, 4, PLAIN, false, true},    {3, 64, 2, PLAIN, false, false},
    {4, 17, 3, PLAIN, false, false},   {5, 31, 1, PLAIN, false, true},    {6, 16, 2, PLAIN, false, false},
    {12, 40, 3, PLAIN, false, true},   {13, 7, 5, PLAIN, false, true},    {29, 5, 2, PLAIN, false, false},
    {2, 4096, 1, PLAIN, false, false}, {5, 20, 3, NOTHING, false, false}, {5, 20, 3, BIG, false, true},
    {5, 20, 3, SMALL, false, false},   {7, 50, 3, SPECIAL, false, true},  {12, 90, 2, SPECIAL, false, false},
};
enum { SETTINGS = sizeof settings / sizeof *settings };
static const char *const modes[] = {"set", "add", "on"}; /* enum gemm_mode */

static bool describe_gemm(size_t i, struct kernel_case *out)
{
    if (case_variant(i, SETTINGS) > GEMM_ON) return false;
    const struct setting *s = &settings[case_setting(i, SETTINGS)];
    long long n = s->tiles * TILE_ROWS;
    case_put(out, "gemm", modes[case_variant(i, SETTINGS)], contents[s->content], s->measured,
             (double)(s->m * n * s->k));
    snprintf(out->shape, sizeof out->shape, "%lldx%lldx%lld", (long long)s->m, n, (long long)s->k);
    return true;
}

struct own {
    const struct setting *s;
    enum gemm_mode mode;
    int64_t lda, b_row, b_tile, ldc;
    const float *a, *b, *before;
    float *c;
    struct wanted wanted;
    float *same;
};

static void fill(float *x, int64_t n, enum gemm_content content, struct random *r)
{
    static const float values[] = {0.f, -0.f, NAN, INFINITY, -INFINITY};
    const float size = content == NOTHING ? 0.f : content == BIG ? 0x1p60f : content == SMALL ? 0x1p-72f : 1.f;
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(2 * random_unit(r) - 1) * size;
        if (content == SPECIAL && random_below(r, 200) == 0) x[i] = values[random_below(r, 5)];
    }
}

static void want(struct own *o, int64_t i, int64_t j)
{
    const float *a = o->a + i * o->lda, *b = o->b + j / TILE_ROWS * o->b_tile + j % TILE_ROWS;
    const double old = o->mode == GEMM_SET ? 0 : (double)o->before[i * o->ldc + j];
    double y = old, size = fabs(old);
    for (int64_t k = 0; k < o->s->k; k++) {
        y += (double)a[k] * (double)b[k * o->b_row];
        size += fabs((double)a[k] * (double)b[k * o->b_row]);
    }
    double bound = 1.001 * gamma_of((double)o->s->k + 1) * size + LEAST * (double)(o->s->k + 1);
    wanted_put(&o->wanted, i * o->ldc + j, y, isfinite(y) && !(size < (double)FLT_MAX) ? INFINITY : bound);
}

/* What lies between rows of c is not to be written. */
static int open_gemm(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                     struct error *e)
{
    struct random r = {seed};
    const struct setting *s = &settings[case_setting(i, SETTINGS)];
    struct own *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    if (!o) return ERROR_IO;
    *o = (struct own){.s = s, .mode = (enum gemm_mode)case_variant(i, SETTINGS), .lda = s->k + 1};
    const int64_t width = s->tiles * TILE_ROWS;
    o->ldc = width + PAST;
    o->b_row = s->beside ? width + PAST : TILE_ROWS;
    o->b_tile = s->beside ? TILE_ROWS : s->k * TILE_ROWS + PAST;
    const int64_t na = (s->m - 1) * o->lda + s->k, nc = (s->m - 1) * o->ldc + width;
    const int64_t nb = (s->tiles - 1) * o->b_tile + (s->k - 1) * o->b_row + TILE_ROWS;
    float *a = kernel_buffer(m, na, sizeof *a, e), *b = kernel_buffer(m, nb, sizeof *b, e);
    float *before = kernel_buffer(m, nc, sizeof *before, e);
    o->same = memory_new((size_t)nc, sizeof *o->same, "outputs", e);
    if (!a || !b || !before || !o->same || wanted_new(&o->wanted, nc, e)) return ERROR_IO;
    fill(a, na, s->content, &r);
    fill(b, nb, s->content, &r);
    fill(before, nc, s->content, &r);
    if (s->content == SPECIAL) { /* that chance need not put there */
        a[random_below(&r, (uint32_t)s->k)] = INFINITY;
        a[(s->m - 1) * o->lda + random_below(&r, (uint32_t)s->k)] = NAN;
    }
    o->a = a, o->b = b, o->before = before;
    for (int64_t at = 0; at < s->m * width; at++) want(o, at / width, at % width);
    for (int64_t at = 0; at < nc; at++)
        if (at % o->ldc >= width) memset(before + at, UNTOUCHED, sizeof *before);
    kernel_memory_seal(m);
    o->c = kernel_buffer(m, nc, sizeof *o->c, e);
    return o->c ? 0 : ERROR_IO;
}

static void run_gemm(void *own, const struct kernels *k)
{
    const struct own *o = own;
    const struct setting *s = o->s;
    if (o->mode != GEMM_SET) memcpy(o->c, o->before, (size_t)o->wanted.n * sizeof *o->c);
    k->gemm(o->a, o->lda, s->m, o->b, o->b_row, o->b_tile, s->tiles, s->k, o->c, o->ldc, o->mode);
}

static void check_gemm(void *own, struct kernel_verdict *v)
{
    const struct own *o = own;
    wanted_judge(&o->wanted, o->c, v);
}

static const void *output_gemm(void *own, size_t *bytes)
{
    struct own *o = own;
    floats_canonical(o->same, o->c, o->wanted.n);
    *bytes = (size_t)o->wanted.n * sizeof *o->same;
    return o->same;
}

static void close_gemm(void *own)
{
    struct own *o = own;
    if (!o) return;
    wanted_free(&o->wanted);
    free(o->same);
    free(o);
}

static bool has_gemm(const struct kernels *k, const struct kernel_case *c) { return k->gemm; }

const struct kernel_family family_gemm = {
    "gemm", "products of float32", describe_gemm, has_gemm, open_gemm, run_gemm, check_gemm, output_gemm, close_gemm};

/* --- transposition: any bits, unchanged --- */

static const struct {
    int64_t cols, past;
    bool measured;
} transposed[] = {{256, 512, true}, {119, 0, true}, {1, 0, false},  {2, 1, false}, {3, 1, false},
                  {4, 3, false},    {6, 5, false},  {17, 2, false}, {64, 0, false}};
enum { TRANSPOSED = sizeof transposed / sizeof *transposed };

static bool describe_transpose(size_t i, struct kernel_case *out)
{
    if (i >= TRANSPOSED) return false;
    case_put(out, "transpose", "", "random", transposed[i].measured, (double)(TILE_ROWS * transposed[i].cols));
    snprintf(out->shape, sizeof out->shape, "%dx%lld", TILE_ROWS, (long long)transposed[i].cols);
    return true;
}

struct own_rows {
    int64_t cols, stride;
    const float *rows;
    float *out;
    uint8_t *wanted;
};

static int open_transpose(void **own, const struct kernel_case *c, size_t i, struct kernel_memory *m, uint64_t seed,
                          struct error *e)
{
    struct random r = {seed};
    struct own_rows *o = *own = memory_new(1, sizeof *o, "a fixture", e);
    if (!o) return ERROR_IO;
    *o = (struct own_rows){.cols = transposed[i].cols, .stride = transposed[i].cols + transposed[i].past};
    int64_t n = (TILE_ROWS - 1) * o->stride + o->cols;
    uint32_t *rows = kernel_buffer(m, n, sizeof *rows, e);
    o->wanted = memory_new((size_t)(o->cols * TILE_ROWS), sizeof *rows, "expected values", e);
    if (!rows || !o->wanted) return ERROR_IO;
    for (int64_t at = 0; at < n; at++) rows[at] = (uint32_t)random_next(&r);
    for (int64_t at = 0; at < o->cols * TILE_ROWS; at++)
        memcpy(o->wanted + at * 4, &rows[at % TILE_ROWS * o->stride + at / TILE_ROWS], 4);
    o->rows = (const float *)rows;
    kernel_memory_seal(m);
    o->out = kernel_buffer(m, o->cols * TILE_ROWS, sizeof *o->out, e);
    return o->out ? 0 : ERROR_IO;
}

static void run_transpose(void *own, const struct kernels *k)
{
    const struct own_rows *o = own;
    k->transpose(o->rows, o->stride, o->cols, o->out);
}

static void check_transpose(void *own, struct kernel_verdict *v)
{
    const struct own_rows *o = own;
    verdict_bytes(v, (const uint8_t *)o->out, o->wanted, o->cols * TILE_ROWS * 4);
}

static void close_transpose(void *own)
{
    struct own_rows *o = own;
    if (o) free(o->wanted);
    free(o);
}

static bool has_transpose(const struct kernels *k, const struct kernel_case *c) { return k->transpose; }

const struct kernel_family family_transpose = {.name = "transpose",
                                               .summary = "16 rows of float32 to a tile",
                                               .describe = describe_transpose,
                                               .has = has_transpose,
                                               .open = open_transpose,
                                               .run = run_transpose,
                                               .check = check_transpose,
                                               .close = close_transpose};
