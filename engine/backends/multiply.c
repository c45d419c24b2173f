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

static size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

static int panel_tiles(const struct matrix *m) { return tiles_format(m) ? PANEL : FLOAT_PANEL; }

static size_t apart_bytes(const struct matrix *m)
{
    return (size_t)(APART * panel_tiles(m) * TILE_ROWS) * sizeof(float);
}

size_t matrix_scratch(const struct matrix *m)
{
    size_t apart = apart_bytes(m);
    const struct tile_format *f = tiles_format(m);
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

static void tile_weights(const struct tiles *t, int64_t i, float *out)
{
    struct tile tile = tiles_tile(t, i);
    if (t->floats)
        kernels_get()->float_tiles[t->kind]->unpack(tile.bytes, t->cols, out);
    else
        kernels_get()->tiles[t->kind]->weights(&tile, out);
}

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
            tile_weights(m->tiles, k->first + t, out);
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
    const struct tile_format *f = tiles_format(k->m);
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
    struct quantized x = inputs_row(k->m, k->x, i);
    kernels_get()->products(tiles_format(k->m), w, k->tiles, &x, n, k->m->tiles->where.padded, y, stride);
    for (int64_t r = 0; k->x->large && r < n; r++)
        for (int t = 0; t < k->tiles; t++) add_large(k, i + r, k->first + t, y + r * stride + t * TILE_ROWS);
}

static void many_rows(const struct task *k)
{
    const struct matrix *m = k->m;
    struct panel w[PANEL];
    const float *floats = tiles_format(m) ? NULL : float_panel(k);
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

/* Row i of x against the task's tiles. */
static void dot_tiles(const struct task *k, int64_t i, float *y)
{
    const struct tiles *t = k->m->tiles;
    const float *seen = k->x->seen + i * t->cols;
    if (t->floats) {
        kernels_get()->float_tiles[t->kind]->dot(tiles_tile(t, k->first).bytes, t->tile_bytes, k->tiles, seen, t->cols,
                                                 y);
    } else if (t->math == MATH_EXACT) {
        for (int j = 0; j < k->tiles; j += 2) {
            const struct tile pair[2] = {tiles_tile(t, k->first + j), tiles_tile(t, k->first + j + 1)};
            kernels_get()->tiles[t->kind]->dot_weights(pair, k->tiles - j < 2 ? 1 : 2, seen, y + j * TILE_ROWS);
        }
    } else {
        struct quantized x = inputs_row(k->m, k->x, i);
        for (int j = 0; j < k->tiles; j++) {
            struct tile tile = tiles_tile(t, k->first + j);
            kernels_get()->tiles[t->kind]->dot(&tile, &x, y + j * TILE_ROWS);
            if (k->x->large) add_large(k, i, k->first + j, y + j * TILE_ROWS);
        }
    }
}

/* Tiles are read and multiplied in one go. */
static void few_rows(const struct task *k)
{
    const struct matrix *m = k->m;
    float y[TOGETHER * TILE_ROWS];
    int64_t first = k->first * TILE_ROWS, end = (k->first + k->tiles) * TILE_ROWS;
    for (int64_t i = 0; i < k->x->n; i++) {
        float *to = end <= m->rows ? k->y + i * m->rows + first : y;
        dot_tiles(k, i, to);
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
