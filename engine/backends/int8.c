/* int8: 8-bit integers with float32 scales. One scale stands for a row (the default), for the whole matrix (per=tensor)
 * or for BLOCK columns of a row, the last of which may be fewer (per=block).
 *
 * absmax (symmetric): s = max |w| / 127, q = round(w / s) in [-127, 127], w ~ s q. Source: Dettmers et al. 2022,
 * "LLM.int8()", section 2.1, where the scale is 127 / max |w|.
 *
 * zeropoint (affine): s = (max w - min w) / 255, w ~ s (q - z) with q and z in [-128, 127]. The range always reaches to
 * 0, so that z is one of the codes and 0 stays exactly 0 (Jacob et al. 2018, "Quantization and Training of Neural
 * Networks for Efficient Integer-Arithmetic-Only Inference", sections 2.1 and 3.1). */
#include "engine/backends/pack.h"
#include "engine/backends/tiles.h"
#include "engine/base/memory.h"
#include "engine/kernels/kernels.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const variants[] = {"absmax", "zeropoint", "llm", NULL};
static const char *const keys[] = {"per", "block", "threshold", NULL};

enum per { PER_ROW, PER_TENSOR, PER_BLOCK };

struct settings {
    bool zeropoint;
    enum per per;
    int64_t block; /* columns of a block; 0 where there are none */
};
_Static_assert(sizeof(struct settings) <= BACKEND_PARSED, "settings fit in their place");

extern const struct backend backend_int8, backend_int8_llm;

/* --- settings --- */

static const struct settings *settings_of(const struct backend_options *o) { return (const void *)o->parsed; }

static int configure_per(struct settings *set, const struct backend_spec *spec, struct error *e)
{
    static const char *const names[] = {[PER_ROW] = "row", [PER_TENSOR] = "tensor", [PER_BLOCK] = "block"};
    bool given;
    const char *text = setting_text(spec, "per", &given);
    size_t per = 0;
    while (given && per < 3 && (!text || strcmp(text, names[per]))) per++;
    if (per == 3) return setting_wrong(spec, "per", "row, tensor or block", e);
    set->per = (enum per)per;
    setting_text(spec, "block", &given);
    if (set->per != PER_BLOCK) return given ? setting_wrong(spec, "block", "given with per=block", e) : 0;
    set->block = 64;
    return setting_number(spec, "block", 8, 65536, &set->block, e);
}

static int configure(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    if (!spec->variant)
        return error_set(e, ERROR_USAGE, "backend \"%s\": a scheme must follow, as in int8:absmax", spec->whole);
    if (strcmp(spec->variant, "llm") == 0) {
        o->backend = &backend_int8_llm;
        return backend_int8_llm.configure(o, spec, e);
    }
    bool given;
    setting_text(spec, "threshold", &given);
    if (given) return setting_wrong(spec, "threshold", "given with int8:llm", e);
    struct settings *set = (void *)o->parsed;
    set->zeropoint = strcmp(spec->variant, "zeropoint") == 0;
    int status = configure_per(set, spec, e);
    if (status) return status;
    snprintf(o->spec, sizeof o->spec, "int8:%s", spec->variant);
    if (set->per == PER_TENSOR) spec_add(o, ",per=tensor");
    if (set->per == PER_BLOCK) spec_add(o, ",per=block");
    if (set->per == PER_BLOCK && set->block != 64) spec_add(o, ",block=%" PRId64, set->block);
    return 0;
}

/* --- one block --- */

struct range {
    float low, high;
};

static struct range range_of(struct range r, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        r.low = x[i] < r.low ? x[i] : r.low;
        r.high = x[i] > r.high ? x[i] : r.high;
    }
    return r;
}

static const struct range nothing = {INFINITY, -INFINITY};

/* w ~ scale (q - zero) with q in [low, high]. */
struct form {
    float scale;
    int zero, low, high;
    double inverse; /* codes for one; in double, where it is finite for the smallest weights too */
};

static struct form absmax_form(struct range r)
{
    float most = fmaxf(fabsf(r.low), fabsf(r.high)), scale = most / 127.f;
    /* The last bit gives way where 127 of the scale would round to infinity. */
    if (isinf(scale * 127.f)) scale = nextafterf(scale, 0.f);
    return (struct form){scale, 0, -127, 127, most > 0 ? 127.0 / (double)most : 0.0};
}

/* Where all weights are the same one the scale is that weight, which is exact. Elsewhere the scale is rounded up, so
 * that 255 of it reach over the range among the smallest numbers too. A code at an end of the scale that would be
 * infinite is not used: a weight within half a step of the largest float then is up to a whole step off. */
static struct form zeropoint_form(struct range r)
{
    if (r.low == r.high) return (struct form){fabsf(r.low), 0, -1, 1, r.low != 0 ? 1.0 / fabs((double)r.low) : 0.0};
    double low = fmin((double)r.low, 0.0), high = fmax((double)r.high, 0.0), span = high - low;
    struct form f = {.scale = (float)(span / 255.0), .low = -128, .high = 127};
    if ((double)f.scale * 255.0 < span) f.scale = nextafterf(f.scale, INFINITY);
    f.inverse = 1.0 / (double)f.scale;
    f.zero = (int)nearbyint(-low * f.inverse) - 128;
    if (isinf((float)(f.low - f.zero) * f.scale)) f.low++;
    if (isinf((float)(f.high - f.zero) * f.scale)) f.high--;
    return f;
}

static void quantize(const struct form *f, const float *x, int8_t *q, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int code = (int)nearbyint((double)x[i] * f->inverse) + f->zero;
        q[i] = (int8_t)(code < f->low ? f->low : code > f->high ? f->high : code);
    }
}

/* --- a matrix --- */

/* What a matrix owns. */
struct codes {
    int64_t block; /* columns that share a scale, but for the last ones of a row */
    int64_t step;  /* scales of a row; 0: one for all rows */
    float *scales; /* [rows * step] or [1] */
    int8_t *zeros; /* the same; NULL: all 0 */
    int8_t data[]; /* [rows, cols] */
};

struct packing {
    int64_t cols;
    bool zeropoint;
    struct codes *codes;
    struct range *ranges; /* [rows], with one scale for all; else NULL */
    struct form shared;   /* made of them */
};

static int measure_row(void *user, int64_t r, float *row, struct error *e)
{
    (void)e;
    const struct packing *p = user;
    p->ranges[r] = range_of(nothing, row, p->cols);
    return 0;
}

static struct form form_of(const struct packing *p, struct range r)
{
    return p->zeropoint ? zeropoint_form(r) : absmax_form(r);
}

static void keep_form(struct codes *codes, int64_t i, const struct form *f)
{
    codes->scales[i] = f->scale;
    if (codes->zeros) codes->zeros[i] = (int8_t)f->zero;
}

static int pack_row(void *user, int64_t r, float *row, struct error *e)
{
    (void)e;
    const struct packing *p = user;
    struct codes *codes = p->codes;
    int64_t scale = r * codes->step;
    for (int64_t c = 0; c < p->cols; c += codes->block, scale++) {
        int64_t n = p->cols - c < codes->block ? p->cols - c : codes->block;
        struct form f = p->shared;
        if (codes->step) {
            f = form_of(p, range_of(nothing, row + c, n));
            keep_form(codes, scale, &f);
        }
        quantize(&f, row + c, codes->data + r * p->cols + c, n);
    }
    return 0;
}

static int measure(struct packing *p, const struct tensor *w, struct error *e)
{
    int64_t rows = w->shape[0];
    p->ranges = memory_new((size_t)rows, sizeof *p->ranges, w->name, e);
    int status = p->ranges ? tensor_each_row(w, measure_row, p, e) : ERROR_IO;
    if (status) return status;
    struct range all = nothing;
    for (int64_t r = 0; r < rows; r++) {
        all.low = fminf(all.low, p->ranges[r].low);
        all.high = fmaxf(all.high, p->ranges[r].high);
    }
    p->shared = form_of(p, all);
    keep_form(p->codes, 0, &p->shared);
    return 0;
}

static int pack(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                struct error *e)
{
    (void)at;
    const struct settings *set = settings_of(o);
    int64_t rows = w->shape[0], cols = w->shape[1],
            block = set->per == PER_BLOCK && set->block < cols ? set->block : cols;
    int64_t step = set->per == PER_TENSOR ? 0 : (cols + block - 1) / block;
    size_t n = step ? (size_t)(rows * step) : 1, n_zeros = set->zeropoint ? n : 0;
    *out = (struct matrix){.rows = rows, .cols = cols};
    struct codes *codes = out->own = memory_new(1, sizeof *codes + (size_t)rows * (size_t)cols, w->name, e);
    if (!codes) return ERROR_IO;
    codes->block = block;
    codes->step = step;
    codes->scales = memory_new(n, sizeof *codes->scales, w->name, e);
    if (set->zeropoint) codes->zeros = memory_new(n, sizeof *codes->zeros, w->name, e);
    if (!codes->scales || (set->zeropoint && !codes->zeros)) return ERROR_IO;
    struct packing p = {.cols = cols, .zeropoint = set->zeropoint, .codes = codes};
    int status = step ? 0 : measure(&p, w, e);
    if (!status) status = tensor_each_row(w, pack_row, &p, e);
    free(p.ranges);
    out->bytes = (size_t)rows * (size_t)cols + n * sizeof *codes->scales + n_zeros * sizeof *codes->zeros;
    return status;
}

static void release(struct matrix *m)
{
    struct codes *codes = m->own;
    if (!codes) return;
    free(codes->scales);
    free(codes->zeros);
    free(codes);
}

static void unpack(const struct matrix *m, int64_t row, int64_t n, float *out)
{
    const struct codes *codes = m->own;
    for (int64_t r = row; r < row + n; r++, out += m->cols) {
        const int8_t *q = codes->data + r * m->cols;
        int64_t scale = r * codes->step;
        for (int64_t c = 0; c < m->cols; c += codes->block, scale++) {
            int64_t here = m->cols - c < codes->block ? m->cols - c : codes->block;
            int zero = codes->zeros ? codes->zeros[scale] : 0;
            kernels_get()->affine_i8(q + c, zero, codes->scales[scale], out + c, here);
        }
    }
}

/* Scales by row and group, also where all rows share one. */
static int tile(struct matrix *m, struct tiles *out, const char *name, struct error *e)
{
    const struct codes *codes = m->own;
    int64_t groups = (m->cols + codes->block - 1) / codes->block;
    struct tile_columns columns;
    int status = tile_columns_new(&columns, m->cols, groups, NULL, codes->block, name, e);
    if (!status) status = tiles_of_codes(out, TILE_I8, m->rows, m->cols, &columns, codes->zeros != NULL, name, e);
    if (status) return status;
    float *scales = (void *)out->scales;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < m->rows; r++) {
        tiles_put(out, r, (const uint8_t *)codes->data + r * m->cols);
        for (int64_t g = 0; g < groups; g++) {
            int64_t from = r * codes->step + g, to = tiles_at(out, r, g);
            scales[to] = codes->scales[from];
            if (codes->zeros) out->zeros[to] = (uint8_t)codes->zeros[from];
        }
    }
    release(m);
    m->own = NULL;
    return 0;
}

const struct backend backend_int8 = {
    .name = "int8",
    .summary = "8-bit integers: absmax, zeropoint[,per=row|tensor|block][,block=64]; llm[,threshold=6]: inputs too",
    .variants = variants,
    .keys = keys,
    .configure = configure,
    .pack = pack,
    .unpack = unpack,
    .release = release,
    .tile = tile};
