/* What all backends share: choosing between adopting and packing, the check for finite values, freeing. */
#include "engine/backends/backend.h"
#include "engine/backends/pack.h"
#include "engine/backends/tiles.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/kernels/kernels.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int row_finite(const struct tensor *w, int64_t r, const float *row, struct error *e)
{
    for (int64_t c = 0; c < w->shape[1]; c++)
        if (!isfinite(row[c]))
            return error_set(e, ERROR_NUMBER, "%s: element [%lld, %lld] is %s: weights must be finite", w->name,
                             (long long)r, (long long)c, isnan(row[c]) ? "not a number" : "infinite");
    return 0;
}

int tensor_each_row(const struct tensor *w, row_visitor *visit, void *user, struct error *e)
{
    const struct dtype *d = dtype_of((int)w->type);
    int64_t rows = w->shape[0], cols = w->shape[1], failed = rows;
    size_t row_bytes = (size_t)(cols / d->block) * d->block_bytes;
    float *all = memory_new((size_t)omp_get_max_threads(), (size_t)cols * sizeof *all, "rows", e);
    if (!all) return ERROR_IO;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        float *row = all + (int64_t)omp_get_thread_num() * cols;
        struct error mine = {0};
        kernels_get()->decode[w->type]((const uint8_t *)w->data + (size_t)r * row_bytes, row, cols);
        int status = row_finite(w, r, row, &mine);
        if (!status && visit) status = visit(user, r, row, &mine);
        if (!status) continue;
#pragma omp critical(each_row)
        if (r < failed) { /* the first bad row is reported, whichever thread met one first */
            failed = r;
            if (e) *e = mine;
        }
    }
    free(all);
    return failed == rows ? 0 : e ? (int)e->code : ERROR_NUMBER;
}

struct packing {
    const struct tensor *w;
    struct matrix *out;
    const float *importance; /* [cols] or NULL */
};

/* A row that was packed must still be finite: 16-bit floats and scales end at 65504. */
static int pack_row(void *user, int64_t r, float *row, struct error *e)
{
    const struct packing *p = user;
    struct matrix *m = p->out;
    kernels_get()->encode[m->type](row, p->importance, (uint8_t *)m->owned + (size_t)r * m->row_bytes, m->cols);
    unpack_decoded(m, r, 1, row);
    for (int64_t c = 0; c < m->cols; c++)
        if (!isfinite(row[c]))
            return error_set(e, ERROR_NUMBER, "%s: element [%lld, %lld] is too large for %s: use bf16 or f32",
                             p->w->name, (long long)r, (long long)c, dtype_of((int)m->type)->name);
    return 0;
}

int pack_decoded(struct matrix *out, const struct tensor *w, enum dtype_id type, const float *importance,
                 struct error *e)
{
    const struct dtype *d = dtype_of((int)type);
    *out = (struct matrix){.rows = w->shape[0], .cols = w->shape[1], .type = type};
    out->row_bytes = (size_t)(out->cols / d->block) * d->block_bytes;
    out->bytes = out->row_bytes * (size_t)out->rows;
    out->data = out->owned = memory_new((size_t)out->rows, out->row_bytes, w->name, e);
    return out->owned ? tensor_each_row(w, pack_row, &(struct packing){w, out, importance}, e) : ERROR_IO;
}

int pack_f16(struct matrix *out, struct tensor *w, struct error *e)
{
    struct backend_options f16;
    int status = backend_parse(&f16, "f16", e);
    return status ? status : matrix_pack(out, w, &f16, NULL, e);
}

/* The backend that takes a stored type as it is: of floats the one of that name, of blocks gguf. */
static const struct backend *adopter(enum dtype_id type)
{
    const char *name = dtype_of((int)type)->block > 1 ? "gguf" : dtype_of((int)type)->name;
    size_t i = 0;
    while (strcasecmp(backend_at(i)->name, name)) i++;
    return backend_at(i);
}

static int adopt(struct matrix *out, struct tensor *w, struct error *e)
{
    int status = tensor_each_row(w, NULL, NULL, e);
    if (status) return status;
    const struct dtype *d = dtype_of((int)w->type);
    *out = (struct matrix){.backend = adopter(w->type),
                           .rows = w->shape[0],
                           .cols = w->shape[1],
                           .type = w->type,
                           .data = w->data,
                           .row_bytes = (size_t)(w->shape[1] / d->block) * d->block_bytes,
                           .bytes = w->bytes,
                           .owned = w->owned};
    w->owned = NULL;
    return 0;
}

static int refuse_type(const struct tensor *w, struct error *e)
{
    struct text known = {0};
    for (int id = 0; id < DTYPE_LIMIT; id++)
        if (dtype_of(id) && kernels_get()->decode[id])
            text_printf(&known, "%s%s", known.length ? ", " : "", dtype_of(id)->name);
    int status = error_set(e, ERROR_INPUT, "%s: type %s cannot be decoded by this version (only %s)", w->name,
                           dtype_of((int)w->type)->name, text_c(&known));
    text_free(&known);
    return status;
}

int matrix_pack(struct matrix *out, struct tensor *w, const struct backend_options *how, const struct place *at,
                struct error *e)
{
    static const struct place ordinary = {.name = "", .layers = 1, .queries = 1};
    *out = (struct matrix){0};
    if (!at) at = &ordinary;
    int status = 0;
    if (w->n_dims != 2) {
        status = error_set(e, ERROR_INPUT, "%s: has %d dimensions, a matrix has 2", w->name, w->n_dims);
    } else if (!kernels_get()->decode[w->type]) {
        status = refuse_type(w, e);
    } else {
        bool fell_back = false, typed = how && how->backend->gguf_type;
        bool same = typed && how->backend->gguf_type(how, at, w->shape[1], &fell_back) == w->type;
        status = !how || same ? adopt(out, w, e) : how->backend->pack(out, w, how, at, e);
        if (!out->backend && how) out->backend = how->backend;
        if (fell_back) out->fell_back = true;
    }
    free(w->owned);
    w->owned = NULL;
    if (status) matrix_free(out);
    return status;
}

void matrix_free(struct matrix *m)
{
    if (m->own) m->backend->release(m);
    free(m->owned);
    if (m->tiles) tiles_free(m->tiles);
    free(m->tiles);
    *m = (struct matrix){0};
}

void matrix_unpack(const struct matrix *m, int64_t row, int64_t n, float *out)
{
    if (m->tiles)
        tiles_unpack(m->tiles, row, n, out);
    else
        m->backend->unpack(m, row, n, out);
}

void matrix_row_bytes(const struct matrix *m, int64_t row, uint8_t *out)
{
    if (m->tiles)
        tiles_row(m->tiles, row, out);
    else
        memcpy(out, m->data + (size_t)row * m->row_bytes, m->row_bytes);
}

int matrix_make_tiles(struct matrix *m, enum math math, const char *name, struct error *e)
{
    if (math == MATH_EXACT && !m->data) return 0;
    struct tiles *t = memory_new(1, sizeof *t, name, e);
    if (!t) return ERROR_IO;
    int status = m->data ? tiles_of_type(t, m, name, e) : m->backend->tile(m, t, name, e);
    if (status) {
        free(t);
        return status;
    }
    free(m->owned);
    m->data = m->owned = NULL;
    m->tiles = t;
    t->math = math;
    return 0;
}

int matrix_to_f32(const struct matrix *m, const char *name, struct tensor *out, struct error *e)
{
    *out = (struct tensor){.name = name, .type = DTYPE_F32, .n_dims = 2, .shape = {m->rows, m->cols, 1, 1}};
    float *w = memory_new((size_t)m->rows, (size_t)m->cols * sizeof *w, name, e);
    if (!w) return ERROR_IO;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < m->rows; r++) matrix_unpack(m, r, 1, w + r * m->cols);
    out->data = out->owned = w;
    out->bytes = (size_t)(m->rows * m->cols) * sizeof *w;
    return 0;
}

void unpack_decoded(const struct matrix *m, int64_t row, int64_t n, float *out)
{
    kernels_get()->decode[m->type](m->data + (size_t)row * m->row_bytes, out, n * m->cols);
}
