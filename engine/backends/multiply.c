/* Products of inputs and matrices: see backend.h. Tiles of 16 rows of a matrix are unpacked, two at a time, and meet all
 * rows of x; where x has one or two rows each tile is multiplied as it is read. */
#include "engine/backends/tiles.h"
#include "engine/base/memory.h"
#include "engine/kernels/kernels.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Tiles of a panel, of floats more, since their rows of x are four times as long and should be read seldom; rows of x
 * that meet tiles one by one; tiles that are read together then; rows whose results are kept apart where a tile reaches
 * beyond the matrix. */
enum { PANEL = 2, FLOAT_PANEL = 8, FEW = 2, TOGETHER = 4, APART = 64 };

static const struct tile_format *format_of(const struct matrix *m)
{
    return m->tiles && !m->tiles->floats ? &kernels_get()->tiles[m->tiles->kind]->format : NULL;
}

static size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* --- inputs --- */

/* How inputs of floats are rounded; INPUT_F32: not at all. */
static enum input_kind rounding(const struct matrix *m)
{
    if (!m->tiles || !m->tiles->floats) return INPUT_F32;
    return m->tiles->kind == DTYPE_F16 ? INPUT_F16 : m->tiles->kind == DTYPE_BF16 ? INPUT_BF16 : INPUT_F32;
}

/* Where the parts of a row's room begin, n rows of each together. */
struct room {
    size_t seen, d, fix, sum, large, q, end; /* bytes of each part for one row; end: of all */
};

static struct room room_of(const struct matrix *m)
{
    struct room r = {0};
    const struct tile_format *f = format_of(m);
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
static void gather(const struct tiles *t, const float *x, int64_t first, float *out)
{
    for (int64_t i = 0; i < 32; i++) {
        int64_t c = t->where.order ? t->where.order[first + i] : first + i;
        out[i] = c >= 0 && c < t->cols ? x[c] : 0.f;
    }
}

/* LLM.int8(): large inputs are left out and noted, the others share one scale, max |x| / 127 (see int8_llm.c). */
static void quantize_apart(const struct tiles *t, const struct tile_format *f, const float *x,
                           const struct quantized *row, int32_t *large)
{
    float most = 0;
    int32_t count = 0;
    bool finite = true;
    for (int64_t c = 0; c < t->cols; c++) {
        float size = fabsf(x[c]);
        if (!isfinite(x[c])) finite = false;
        if ((double)size > t->threshold)
            large[++count] = (int32_t)c;
        else
            most = size > most ? size : most;
    }
    large[0] = count;
    double inverse = most > 0 ? 127.0 / (double)most : 0.0;
    for (int64_t b = 0; b < t->where.padded / 32; b++) {
        int sum = 0;
        for (int64_t i = 32 * b; i < 32 * b + 32; i++) {
            bool ordinary = i < t->cols && fabs((double)x[i]) <= t->threshold;
            row->q[i] = (int8_t)(ordinary ? nearbyint((double)x[i] * inverse) : 0.0);
            sum += row->q[i];
        }
        row->d[b] = finite ? most / 127.f : NAN;
        row->fix[b] = -(f->zero - (f->wide ? kernels_get()->wide_zero : 0)) * sum;
        row->sum[b] = (float)sum;
    }
}

static void quantize_row(const struct matrix *m, const float *x, const struct quantized *row, int32_t *large)
{
    const struct tiles *t = m->tiles;
    const struct tile_format *f = format_of(m);
    if (t->threshold > 0) {
        quantize_apart(t, f, x, row, large);
    } else if (!t->where.order && t->where.padded == t->cols) {
        kernels_get()->quantize_inputs(f, x, t->cols, row);
    } else {
        for (int64_t b = 0; b < t->where.padded / 32; b++) {
            float piece[32];
            gather(t, x, 32 * b, piece);
            const struct quantized at = {row->q + 32 * b, row->d + b, row->fix + b, row->sum + b};
            kernels_get()->quantize_inputs(f, piece, 32, &at);
        }
    }
}

/* Row i of what was made. */
static struct quantized quantized_row(const struct matrix *m, const struct matrix_inputs *x, int64_t i)
{
    const struct tile_format *f = format_of(m);
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
    bool watched = m->tiles && m->backend->watch;
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
                struct quantized row = quantized_row(m, out, j);
                quantize_row(m, x + j * m->cols, &row, r.large ? out->large + j * (1 + m->cols) : NULL);
            }
        }
    }
}

bool matrix_shares_inputs(const struct matrix *a, const struct matrix *b)
{
    if (a->cols != b->cols || !a->tiles != !b->tiles) return false;
    if (!a->tiles) return !a->backend->inputs && !b->backend->inputs;
    const struct tile_format *f = format_of(a), *g = format_of(b);
    if (!f || !g) return !f && !g && rounding(a) == rounding(b);
    bool plain =
        !a->tiles->where.order && !b->tiles->where.order && !(a->tiles->threshold > 0) && !(b->tiles->threshold > 0);
    return plain && f->input == g->input && f->group == g->group && f->zero == g->zero && f->wide == g->wide &&
           f->offset == g->offset;
}

/* --- products --- */

static int panel_tiles(const struct matrix *m) { return format_of(m) ? PANEL : FLOAT_PANEL; }

static size_t apart_bytes(const struct matrix *m)
{
    return (size_t)(APART * panel_tiles(m) * TILE_ROWS) * sizeof(float);
}

size_t matrix_scratch(const struct matrix *m)
{
    size_t apart = apart_bytes(m);
    const struct tile_format *f = format_of(m);
    if (f) {
        size_t padded = (size_t)m->tiles->where.padded, scales = padded / (size_t)f->group * TILE_ROWS * sizeof(float);
        return rounded(apart + PANEL * (padded * TILE_ROWS + (f->offset ? 2 : 1) * scales));
    }
    size_t tile = (size_t)m->cols * TILE_ROWS * sizeof(float);
    return rounded(apart + FLOAT_PANEL * tile + (m->tiles ? 0 : tile));
}

/* Where one product stands in the loop over all. */
struct task {
    const struct matrix *m;
    const struct matrix_inputs *x;
    float *y;
    int64_t first; /* tile */
    int tiles;
    uint8_t *scratch;
};

static int64_t tiles_in(const struct matrix *m) { return (m->rows + TILE_ROWS - 1) / TILE_ROWS; }

/* A panel of floats: as they lie in tiles, or unpacked and turned. */
static float *float_panel(const struct task *k)
{
    const struct matrix *m = k->m;
    float *panel = (float *)(void *)(k->scratch + apart_bytes(m));
    int64_t each = m->cols * TILE_ROWS;
    float *rows = panel + FLOAT_PANEL * each;
    for (int t = 0; t < k->tiles; t++) {
        float *out = panel + t * each;
        if (m->tiles) {
            kernels_get()->float_tiles[m->tiles->kind]->unpack(tiles_tile(m->tiles, k->first + t).bytes, m->cols, out);
            continue;
        }
        int64_t first = (k->first + t) * TILE_ROWS, here = m->rows - first < TILE_ROWS ? m->rows - first : TILE_ROWS;
        matrix_unpack(m, first, here, rows);
        memset(rows + here * m->cols, 0, (size_t)((TILE_ROWS - here) * m->cols) * sizeof *rows);
        kernels_get()->transpose(rows, m->cols, m->cols, out);
    }
    return panel;
}

static void float_products(const struct task *k, const float *panel, int64_t i, int64_t n, float *y, int64_t stride)
{
    int64_t cols = k->m->cols;
    for (int64_t c = 0; c < cols; c += GEMM_CHUNK) {
        int64_t here = cols - c < GEMM_CHUNK ? cols - c : GEMM_CHUNK;
        kernels_get()->gemm(k->x->seen + i * cols + c, cols, n, panel + c * TILE_ROWS, TILE_ROWS, cols * TILE_ROWS,
                            k->tiles, here, y, stride, c ? GEMM_ADD : GEMM_SET);
    }
}

static void code_panels(const struct task *k, struct panel *w)
{
    const struct tile_format *f = format_of(k->m);
    int64_t padded = k->m->tiles->where.padded, scales = padded / f->group * TILE_ROWS;
    uint8_t *at = k->scratch + apart_bytes(k->m);
    for (int t = 0; t < k->tiles; t++) {
        w[t].scales = (float *)(void *)at;
        w[t].offsets = w[t].scales + scales;
        w[t].codes = (uint8_t *)(w[t].scales + (f->offset ? 2 : 1) * scales);
        at = w[t].codes + padded * TILE_ROWS;
        struct tile tile = tiles_tile(k->m->tiles, k->first + t);
        kernels_get()->tiles[k->m->tiles->kind]->unpack(&tile, &w[t]);
    }
}

/* Adds the inputs that were not quantized, in the order of the columns. */
static void add_large(const struct task *k, int64_t i, int64_t tile, float *y)
{
    const int32_t *large = k->x->large + i * (1 + k->m->cols);
    for (int32_t j = 1; j <= large[0]; j++) {
        int64_t c = large[j];
        const uint8_t *codes = tiles_tile(k->m->tiles, tile).bytes + (c / 4 * TILE_ROWS) * 4 + c % 4;
        const float *scale = (const float *)(const void *)k->m->tiles->scales +
                             tiles_at(k->m->tiles, tile * TILE_ROWS, k->m->tiles->where.group_of[c / 32]);
        for (int r = 0; r < TILE_ROWS; r++)
            y[r] = fmaf(k->x->x[i * k->m->cols + c], (float)(int8_t)codes[4 * r] * scale[r], y[r]);
    }
}

/* Rows [i, i + n) of y for all of the task's tiles, which are whole. */
static void some_rows(const struct task *k, const float *floats, const struct panel *w, int64_t i, int64_t n, float *y,
                      int64_t stride)
{
    if (floats) {
        float_products(k, floats, i, n, y, stride);
        return;
    }
    struct quantized x = quantized_row(k->m, k->x, i);
    kernels_get()->products(format_of(k->m), w, k->tiles, &x, n, k->m->tiles->where.padded, y, stride);
    for (int64_t r = 0; k->x->large && r < n; r++)
        for (int t = 0; t < k->tiles; t++) add_large(k, i + r, k->first + t, y + r * stride + t * TILE_ROWS);
}

static void many_rows(const struct task *k)
{
    const struct matrix *m = k->m;
    struct panel w[PANEL];
    const float *floats = format_of(m) ? NULL : float_panel(k);
    if (!floats) code_panels(k, w);
    int64_t first = k->first * TILE_ROWS, end = (k->first + k->tiles) * TILE_ROWS;
    if (end <= m->rows) {
        some_rows(k, floats, w, 0, k->x->n, k->y + first, m->rows);
        return;
    }
    float *apart = (float *)(void *)k->scratch;
    int64_t stride = panel_tiles(m) * TILE_ROWS;
    for (int64_t i = 0; i < k->x->n; i += APART) {
        int64_t n = k->x->n - i < APART ? k->x->n - i : APART;
        some_rows(k, floats, w, i, n, apart, stride);
        for (int64_t r = 0; r < n; r++)
            memcpy(k->y + (i + r) * m->rows + first, apart + r * stride, (size_t)(m->rows - first) * sizeof *apart);
    }
}

/* One row of x, tiles that are read and multiplied in one go. */
static void few_rows(const struct task *k)
{
    const struct matrix *m = k->m;
    float y[TOGETHER * TILE_ROWS];
    int64_t first = k->first * TILE_ROWS, end = (k->first + k->tiles) * TILE_ROWS;
    for (int64_t i = 0; i < k->x->n; i++) {
        float *to = end <= m->rows ? k->y + i * m->rows + first : y;
        struct tile t = tiles_tile(m->tiles, k->first);
        if (m->tiles->floats)
            kernels_get()->float_tiles[m->tiles->kind]->dot(t.bytes, m->tiles->tile_bytes, k->tiles,
                                                            k->x->seen + i * m->cols, m->cols, to);
        for (int j = 0; !m->tiles->floats && j < k->tiles; j++) {
            struct quantized x = quantized_row(m, k->x, i);
            t = tiles_tile(m->tiles, k->first + j);
            kernels_get()->tiles[m->tiles->kind]->dot(&t, &x, to + j * TILE_ROWS);
            if (k->x->large) add_large(k, i, k->first + j, to + j * TILE_ROWS);
        }
        if (to == y) memcpy(k->y + i * m->rows + first, y, (size_t)(m->rows - first) * sizeof *y);
    }
}

/* How many tasks a matrix is cut into, and of how many tiles. */
static int64_t tasks_in(const struct matrix *m, bool few, int *step)
{
    *step = few && m->tiles ? TOGETHER : panel_tiles(m);
    return (tiles_in(m) + *step - 1) / *step;
}

void matrix_products(const struct product *products, size_t count, const struct matrix_inputs *x, void *scratch)
{
    size_t each = 0;
    int64_t tasks = 0;
    bool few = x->n <= FEW;
    for (size_t p = 0; p < count; p++) {
        int step;
        tasks += tasks_in(products[p].m, few, &step);
        if (matrix_scratch(products[p].m) > each) each = matrix_scratch(products[p].m);
    }
    int64_t chunk = few ? tasks / (8 * omp_get_max_threads()) + 1 : 1;
#pragma omp parallel for schedule(dynamic, chunk)
    for (int64_t i = 0; i < tasks; i++) {
        const struct product *p = products;
        int64_t at = i, n;
        int step;
        for (; at >= (n = tasks_in(p->m, few, &step)); p++) at -= n;
        int64_t left = tiles_in(p->m) - at * step;
        struct task k = {p->m,
                         x,
                         p->y,
                         at * step,
                         (int)(left < step ? left : step),
                         (uint8_t *)scratch + each * (size_t)omp_get_thread_num()};
        (few && p->m->tiles ? few_rows : many_rows)(&k);
    }
}

int matrix_multiply(const struct matrix *m, const float *x, int64_t n, float *y, struct error *e)
{
    void *room = memory_new((size_t)n, matrix_inputs_bytes(m), "inputs", e);
    void *scratch = room ? memory_new((size_t)omp_get_max_threads(), matrix_scratch(m), "scratch", e) : NULL;
    if (scratch) {
        struct matrix_inputs in;
        matrix_inputs(m, x, n, room, &in);
        matrix_products(&(struct product){m, y}, 1, &in, scratch);
    }
    free(room);
    free(scratch);
    return scratch ? 0 : ERROR_IO;
}
