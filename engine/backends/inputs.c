/* What becomes of inputs before they are multiplied: see backend.h. */
#include "engine/backends/tiles.h"
#include "engine/kernels/kernels.h"

#include <math.h>
#include <string.h>

static bool is_fast(const struct matrix *m) { return m->tiles && m->tiles->math == MATH_FAST; }

const struct tile_format *tiles_format(const struct matrix *m)
{
    return is_fast(m) && !m->tiles->floats ? &kernels_get()->tiles[m->tiles->kind]->format : NULL;
}

/* How inputs of floats are rounded; INPUT_F32: not at all. */
static enum input_kind rounding(const struct matrix *m)
{
    if (!is_fast(m) || !m->tiles->floats) return INPUT_F32;
    return m->tiles->kind == DTYPE_F16 ? INPUT_F16 : m->tiles->kind == DTYPE_BF16 ? INPUT_BF16 : INPUT_F32;
}

/* Where the parts of a row's room begin, n rows of each together. */
struct room {
    size_t seen, d, fix, sum, large, q, end; /* bytes of each part for one row; end: of all */
};

static struct room room_of(const struct matrix *m)
{
    struct room r = {0};
    const struct tile_format *f = tiles_format(m);
    if (f) {
        size_t padded = (size_t)m->tiles->where.padded;
        r.d = padded / (size_t)f->block * sizeof(float);
        r.fix = padded / (size_t)f->group * sizeof(int32_t);
        r.sum = f->offset ? padded / (size_t)f->group * sizeof(float) : 0;
        r.large = m->tiles->threshold > 0 ? (size_t)(1 + m->cols) * sizeof(int32_t) : 0;
        r.q = padded;
    } else if (rounding(m) != INPUT_F32 || (!m->tiles && m->backend->inputs)) {
        r.seen = (size_t)m->cols * sizeof(float);
    }
    r.end = r.seen + r.d + r.fix + r.sum + r.large + r.q;
    return r;
}

size_t matrix_inputs_bytes(const struct matrix *m) { return room_of(m).end; }

/* Columns in the order of the tile's, zeros where it has none. */
static void gather(const struct tiles *t, const float *x, int64_t first, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t c = t->where.order ? t->where.order[first + i] : first + i;
        out[i] = c >= 0 && c < t->cols ? x[c] : 0.f;
    }
}

/* To nearest, halves to even, as nearbyint() rounds numbers of this size, in a form that compilers vectorize. */
static double round_even(double x)
{
    const double shift = 0x1.8p52;
    return (x + shift) - shift;
}

static float largest_below(const float *x, int64_t n, double threshold)
{
    float most = 0;
    for (int64_t c = 0; c < n; c++) {
        float size = (double)fabsf(x[c]) <= threshold ? fabsf(x[c]) : 0.f;
        most = size > most ? size : most;
    }
    return most;
}

/* LLM.int8(): large inputs are left out and noted, the others share one scale, max |x| / 127 (see int8_llm.c). */
static void quantize_apart(const struct tiles *t, const struct tile_format *f, const float *x,
                           const struct quantized *row, int32_t *large)
{
    double threshold = t->threshold;
    float most = largest_below(x, t->cols, threshold), scale = most / 127.f;
    double inverse = most > 0 ? 127.0 / (double)most : 0.0;
    int32_t count = 0;
    for (int64_t c = 0; c < t->cols; c++) {
        double v = (double)fabsf(x[c]) <= threshold ? (double)x[c] * inverse : 0.0;
        row->q[c] = (int8_t)round_even(v);
    }
    memset(row->q + t->cols, 0, (size_t)(t->where.padded - t->cols));
    for (int64_t c = 0; c < t->cols; c++) {
        if ((double)fabsf(x[c]) <= threshold) continue;
        large[++count] = (int32_t)c;
        if (!isfinite(x[c])) scale = NAN;
    }
    large[0] = count;
    int zero = f->zero - (f->wide ? kernels_get()->wide_zero : 0);
    for (int64_t b = 0; b < t->where.padded / 32; b++) {
        int sum = 0;
        for (int64_t i = 32 * b; i < 32 * b + 32; i++) sum += row->q[i];
        row->d[b] = scale;
        row->fix[b] = -zero * sum;
        row->sum[b] = (float)sum;
    }
}

static void quantize_row(const struct matrix *m, const float *x, const struct quantized *row, int32_t *large)
{
    enum { PIECE = 256 };
    const struct tiles *t = m->tiles;
    const struct tile_format *f = tiles_format(m);
    if (t->threshold > 0) {
        quantize_apart(t, f, x, row, large);
    } else if (!t->where.order && t->where.padded == t->cols) {
        kernels_get()->quantize_inputs(f, x, t->cols, row);
    } else {
        for (int64_t i = 0; i < t->where.padded; i += PIECE) {
            float piece[PIECE];
            int64_t n = t->where.padded - i < PIECE ? t->where.padded - i : PIECE;
            gather(t, x, i, n, piece);
            const struct quantized at = {row->q + i, row->d + i / 32, row->fix + i / 32, row->sum + i / 32};
            kernels_get()->quantize_inputs(f, piece, n, &at);
        }
    }
}

struct quantized inputs_row(const struct matrix *m, const struct matrix_inputs *x, int64_t i)
{
    const struct tile_format *f = tiles_format(m);
    int64_t padded = m->tiles->where.padded, groups = i * (padded / f->group);
    return (struct quantized){x->q + i * padded, x->d + i * (padded / f->block), x->fix + groups,
                              f->offset ? x->sum + groups : NULL};
}

void matrix_inputs(const struct matrix *m, const float *x, int64_t n, void *room, struct matrix_inputs *out)
{
    enum { ROWS = 4 };
    struct room r = room_of(m);
    uint8_t *at = room;
    *out = (struct matrix_inputs){.n = n, .cols = m->cols, .x = x, .seen = x};
    float *seen = (void *)at;
    if (r.seen) out->seen = seen;
    out->d = (void *)(at += (size_t)n * r.seen);
    out->fix = (void *)(at += (size_t)n * r.d);
    out->sum = (void *)(at += (size_t)n * r.fix);
    out->large = (void *)(at += (size_t)n * r.sum);
    out->q = (void *)(at += (size_t)n * r.large);
    if (!r.large) out->large = NULL;
    bool watched = is_fast(m) && m->backend->watch;
    if (!r.end) return;
#pragma omp parallel for schedule(static) if (n > ROWS)
    for (int64_t i = 0; i < n; i += ROWS) {
        int64_t end = n - i < ROWS ? n : i + ROWS;
        if (watched) m->backend->watch(m, x + i * m->cols, end - i);
        if (!m->tiles) {
            m->backend->inputs(m, x + i * m->cols, end - i, seen + i * m->cols);
        } else if (m->tiles->floats) {
            kernels_get()->round_inputs(rounding(m), x + i * m->cols, (end - i) * m->cols, seen + i * m->cols);
        } else {
            for (int64_t j = i; j < end; j++) {
                struct quantized row = inputs_row(m, out, j);
                quantize_row(m, x + j * m->cols, &row, r.large ? out->large + j * (1 + m->cols) : NULL);
            }
        }
    }
}

bool matrix_shares_inputs(const struct matrix *a, const struct matrix *b)
{
    if (a->cols != b->cols || !a->tiles != !b->tiles) return false;
    if (!a->tiles) return !a->backend->inputs && !b->backend->inputs;
    const struct tile_format *f = tiles_format(a), *g = tiles_format(b);
    if (!f || !g) return !f && !g && rounding(a) == rounding(b);
    bool plain =
        !a->tiles->where.order && !b->tiles->where.order && !(a->tiles->threshold > 0) && !(b->tiles->threshold > 0);
    return plain && f->input == g->input && f->group == g->group && f->zero == g->zero && f->wide == g->wide &&
           f->offset == g->offset;
}
