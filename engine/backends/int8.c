/* int8: 8-bit integers with float32 scales.
 *
 * absmax (symmetric): s = max |w| / 127, q = round(w / s) in [-127, 127], w ~ s q, with one s for a row (the default)
 * or for the whole matrix (per=tensor). Source: Dettmers et al. 2022, "LLM.int8()", section 2.1, where the scale is
 * 127 / max |w|. */
#include "engine/backends/pack.h"
#include "engine/base/memory.h"
#include "engine/kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const variants[] = {"absmax", NULL};
static const char *const keys[] = {"per", NULL};

struct settings {
    bool per_tensor;
};

/* What a matrix owns. */
struct codes {
    float *scales;     /* [rows] or [1] */
    int64_t scale_step; /* 1: a scale a row; 0: one for all */
    int8_t data[];     /* [rows, cols] */
};

static const struct settings *settings_of(const struct backend_options *o) { return (const void *)o->parsed; }

static int configure(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    struct settings *set = (void *)o->parsed;
    if (!spec->variant)
        return error_set(e, ERROR_USAGE, "backend \"%s\": a scheme must follow, as in int8:absmax", spec->whole);
    for (size_t i = 0; i < spec->n_settings; i++) {
        const char *per = spec->settings[i].value;
        if (!per || (strcmp(per, "row") && strcmp(per, "tensor")))
            return error_set(e, ERROR_USAGE, "backend \"%s\": per: must be row or tensor", spec->whole);
        set->per_tensor = strcmp(per, "tensor") == 0;
    }
    snprintf(o->spec, sizeof o->spec, "int8:%s%s", spec->variant, set->per_tensor ? ",per=tensor" : "");
    return 0;
}

static float largest(const float *x, int64_t n)
{
    float most = 0;
    for (int64_t i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i]));
    return most;
}

/* The last bit gives way where 127 of the scale would round to infinity. */
static float scale_for(float most)
{
    float scale = most / 127.f;
    return isinf(scale * 127.f) ? nextafterf(scale, 0.f) : scale;
}

/* In double, where 127 / most is finite for the smallest weights too. */
static void quantize(const float *x, float most, int8_t *q, int64_t n)
{
    double inverse = most > 0 ? 127.0 / (double)most : 0.0;
    for (int64_t i = 0; i < n; i++) q[i] = (int8_t)nearbyint((double)x[i] * inverse);
}

struct packing {
    int64_t cols;
    int8_t *data;   /* [rows, cols] */
    float *largest; /* [rows] */
    bool per_tensor;
    float most; /* of the tensor */
};

static int measure_row(void *user, int64_t r, float *row, struct error *e)
{
    (void)e;
    const struct packing *p = user;
    p->largest[r] = largest(row, p->cols);
    return 0;
}

static int pack_row(void *user, int64_t r, float *row, struct error *e)
{
    (void)e;
    const struct packing *p = user;
    quantize(row, p->per_tensor ? p->most : p->largest[r], p->data + r * p->cols, p->cols);
    return 0;
}

static int pack(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                struct error *e)
{
    (void)at;
    int64_t rows = w->shape[0], cols = w->shape[1];
    bool per_tensor = settings_of(o)->per_tensor;
    size_t n_scales = per_tensor ? 1 : (size_t)rows;
    *out = (struct matrix){.rows = rows, .cols = cols};
    struct packing p = {.cols = cols, .per_tensor = per_tensor};
    struct codes *codes = out->own = memory_new(1, sizeof *codes + (size_t)rows * (size_t)cols, w->name, e);
    if (!codes) return ERROR_IO;
    p.data = codes->data;
    codes->scales = memory_new(n_scales, sizeof *codes->scales, w->name, e);
    p.largest = memory_new((size_t)rows, sizeof *p.largest, w->name, e);
    int status = codes->scales && p.largest ? tensor_each_row(w, measure_row, &p, e) : ERROR_IO;
    if (!status) p.most = largest(p.largest, rows);
    if (!status) status = tensor_each_row(w, pack_row, &p, e);
    for (size_t i = 0; i < n_scales && !status; i++) codes->scales[i] = scale_for(per_tensor ? p.most : p.largest[i]);
    free(p.largest);
    codes->scale_step = per_tensor ? 0 : 1;
    out->bytes = (size_t)rows * (size_t)cols + n_scales * sizeof *codes->scales;
    return status;
}

static void release(struct matrix *m)
{
    struct codes *codes = m->own;
    if (codes) free(codes->scales);
    free(codes);
}

static void unpack(const struct matrix *m, int64_t row, int64_t n, float *out)
{
    const struct codes *codes = m->own;
    for (int64_t r = 0; r < n; r++) {
        const int8_t *q = codes->data + (row + r) * m->cols;
        kernels_get()->affine_i8(q, 0, codes->scales[(row + r) * codes->scale_step], out + r * m->cols, m->cols);
    }
}

extern const struct backend backend_int8;

const struct backend backend_int8 = {.name = "int8",
                                     .summary = "8-bit integers, float32 scales: absmax[,per=row|tensor]",
                                     .variants = variants,
                                     .keys = keys,
                                     .configure = configure,
                                     .pack = pack,
                                     .unpack = unpack,
                                     .release = release};
