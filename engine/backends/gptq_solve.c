/* GPTQ (Frantar et al. 2022, algorithm 1): the columns of a matrix are rounded one after the other; what a column lost is
 * made good, as far as the inputs go together, by the columns behind it.
 *
 * With the inverse of H = mean of x x^T written as U^T U, U upper triangular, rounding column i by an error of d leaves
 * the others best off when each column j > i takes d / U_ii * U_ij less, and costs (d / U_ii)^2 a token. */
#include "engine/backends/gptq.h"
#include "engine/backends/gptq_grid.h"
#include "engine/backends/pack.h"
#include "engine/base/memory.h"
#include "engine/kernels/half.h"

#include <cblas.h>
#include <inttypes.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* LAPACK, in OpenBLAS; its headers declare it only where LAPACKE is installed. Matrices lie column by column there: its
 * upper triangle is our lower one. */
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void dtrtri_(const char *uplo, const char *diag, const int *n, double *a, const int *lda, int *info);

enum { ROWS = 64 }; /* solved together by one thread; rows do not depend on each other */

struct solver {
    const struct gptq_settings *s;
    const struct matrix *w;
    const struct hessian *h;
    const char *name;
    struct gptq_codes *q;
    int64_t rows, cols;
    bool fresh;       /* a group's grids are made when its first column's turn comes, of what the weights are by then */
    double *diagonal; /* [cols] of H; 0: no input ever reached this column, its weights do nothing and become 0 */
    int64_t *order;   /* [cols] the columns as they are rounded */
    double *u;        /* [cols, cols], upper triangular, rows and columns in that order; the rest is arbitrary */
    float *cost;      /* [cols] of a squared error in a column, relative: 1 / U_ii^2 */
    double *error;    /* [rows] mean of ((w - q) x)^2 over the inputs */
    double *whole;    /* [rows] mean of (w x)^2 */
};

/* --- the order of the columns and the factor --- */

struct ranked {
    double diagonal;
    int64_t column;
};

static int by_diagonal(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->diagonal != y->diagonal) return x->diagonal < y->diagonal ? 1 : -1;
    return (x->column > y->column) - (x->column < y->column);
}

static int arrange(struct solver *v, struct error *e)
{
    struct ranked *ranked = memory_new((size_t)v->cols, sizeof *ranked, v->name, e);
    if (!ranked) return ERROR_IO;
    for (int64_t i = 0; i < v->cols; i++) {
        v->diagonal[i] = v->h->h[i * v->cols + i];
        ranked[i] = (struct ranked){v->diagonal[i], i};
    }
    if (v->s->act_order) qsort(ranked, (size_t)v->cols, sizeof *ranked, by_diagonal);
    for (int64_t i = 0; i < v->cols; i++) v->order[i] = ranked[i].column;
    free(ranked);
    return 0;
}

/* The mean of the diagonal over the live columns; any number serves where there is none. */
static double mean_diagonal(const struct solver *v)
{
    double sum = 0;
    int64_t live = 0;
    for (int64_t i = 0; i < v->cols; i++) {
        sum += v->diagonal[i];
        live += v->diagonal[i] != 0;
    }
    return live ? sum / (double)live : 1;
}

/* H with `more` on its diagonal, rows and columns in v->order from the end to the beginning. */
static void fill_backwards(const struct solver *v, double mean, double more)
{
    int64_t n = v->cols;
#pragma omp parallel for schedule(static, 16)
    for (int64_t i = 0; i < n; i++) {
        const double *from = v->h->h + v->order[n - 1 - i] * n;
        double *to = v->u + i * n;
        for (int64_t j = 0; j <= i; j++) to[j] = from[v->order[n - 1 - j]];
        to[i] = (to[i] == 0 ? mean : to[i]) + more;
    }
}

static void reverse(double *x, int64_t n)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n / 2; i++) {
        double t = x[i];
        x[i] = x[n - 1 - i];
        x[n - 1 - i] = t;
    }
}

/* Cholesky's factor and its inverse, by one thread: outside of a parallel region OpenBLAS takes as many as OpenMP has,
 * and sums in an order that depends on how many those are. */
static int factor_alone(double *a, int n)
{
    int threads = omp_get_max_threads(), info;
    omp_set_num_threads(1);
    dpotrf_("U", &n, a, &n, &info);
    if (!info) dtrtri_("U", "N", &n, a, &n, &info);
    omp_set_num_threads(threads);
    return info;
}

/* U without inverting H: Cholesky's L of H taken backwards is, turned about, an upper R with H = R R^T, and U is R's
 * inverse. Where H is not positive definite in this precision more is added to its diagonal. */
static int factor(struct solver *v, struct calibrated *report, struct error *e)
{
    const double mean = mean_diagonal(v);
    if (!isfinite(mean) || mean < 0)
        return error_set(e, ERROR_NUMBER, "%s: the inputs met in calibration are not finite", v->name);
    int info = 1;
    for (double damping = v->s->damping; info && damping <= 1e3; damping = damping < 1e-7 ? 1e-6 : 10 * damping) {
        fill_backwards(v, mean, damping * mean);
        info = factor_alone(v->u, (int)v->cols);
        for (int64_t i = 0; i < v->cols && !info; i++) info = !isfinite(v->u[i * v->cols + i]);
        report->damping = damping;
    }
    if (info)
        return error_set(e, ERROR_NUMBER, "%s: the products of its inputs cannot be factored, however much is added",
                         v->name);
    report->raised = report->damping > v->s->damping;
    reverse(v->u, v->cols * v->cols);
    for (int64_t i = 0; i < v->cols; i++) {
        double u = v->u[i * v->cols + i];
        v->cost[v->order[i]] = (float)(1 / (u * u * mean));
    }
    return 0;
}

/* --- some rows --- */

struct room {
    double *w;       /* [ROWS, cols] in order: what the weights are by now */
    double *product; /* [ROWS, cols] */
    double *lost;    /* [ROWS, block] (w - q) / U_ii of the block's columns */
    float *row;      /* [cols] */
    float *cost;     /* [group] */
};

static void room_free(struct room *room)
{
    free(room->w);
    free(room->product);
    free(room->lost);
    free(room->row);
    free(room->cost);
}

static int room_new(struct room *room, const struct solver *v, struct error *e)
{
    size_t cols = (size_t)v->cols;
    *room = (struct room){.w = memory_new(ROWS * cols, sizeof *room->w, v->name, e),
                          .product = memory_new(ROWS * cols, sizeof *room->product, v->name, e),
                          .lost = memory_new(ROWS * (size_t)v->s->block, sizeof *room->lost, v->name, e),
                          .row = memory_new(cols, sizeof *room->row, v->name, e),
                          .cost = memory_new((size_t)v->q->group, sizeof *room->cost, v->name, e)};
    return room->w && room->product && room->lost && room->row && room->cost ? 0 : ERROR_IO;
}

static struct grid stored_grid(const struct gptq_codes *q, int64_t row, int64_t g)
{
    int64_t at = row * q->groups + g;
    return (struct grid){.scale = f32_from_f16(q->scales[at]), .half = q->scales[at], .zero = q->zeros[at]};
}

static int fit(const struct solver *v, int64_t row, int64_t g, const float *w, const float *cost, int64_t n,
               struct error *e)
{
    const struct grid_rule rule = {v->s->bits, v->s->symmetric, v->s->mse};
    struct grid grid = grid_fit(&rule, w, cost, n);
    v->q->scales[row * v->q->groups + g] = grid.half;
    v->q->zeros[row * v->q->groups + g] = grid.zero;
    return isfinite(grid.scale) ? 0 : gptq_too_large(v->name, row, e);
}

/* Rows [first, first + count), the grids of all groups where these do not wait for their turn. */
static int load_rows(const struct solver *v, const struct room *room, int64_t first, int64_t count, struct error *e)
{
    int status = 0;
    for (int64_t r = 0; r < count && !status; r++) {
        matrix_unpack(v->w, first + r, 1, room->row);
        for (int64_t c = 0; c < v->cols; c++)
            if (v->diagonal[c] == 0) room->row[c] = 0;
        for (int64_t g = 0; g < v->q->groups && !v->fresh && !status; g++) {
            int64_t begin = g * v->q->group, left = v->cols - begin;
            status =
                fit(v, first + r, g, room->row + begin, v->cost + begin, left < v->q->group ? left : v->q->group, e);
        }
        for (int64_t i = 0; i < v->cols; i++) room->w[r * v->cols + i] = (double)room->row[v->order[i]];
    }
    return status;
}

/* The grids of the group that begins with the i-th column in order. */
static int fit_group(const struct solver *v, const struct room *room, int64_t first, int64_t count, int64_t i,
                     struct error *e)
{
    int64_t n = v->cols - i < v->q->group ? v->cols - i : v->q->group;
    int status = 0;
    for (int64_t k = 0; k < n; k++) room->cost[k] = v->cost[v->order[i + k]];
    for (int64_t r = 0; r < count && !status; r++) {
        for (int64_t k = 0; k < n; k++) room->row[k] = (float)room->w[r * v->cols + i + k];
        status = fit(v, first + r, i / v->q->group, room->row, room->cost, n, e);
    }
    return status;
}

/* Blocks of at most s->block columns that hold groups whole or lie within one, so that a group's first column finds all
 * that came before it carried over to the whole group. */
static int64_t block_end(const struct solver *v, int64_t begin)
{
    int64_t end = begin + v->s->block, whole = end - end % v->q->group;
    if (v->fresh && whole > begin) end = whole;
    return end < v->cols ? end : v->cols;
}

/* Rounds the i-th column and carries its errors on to the block's other columns. */
static void round_column(const struct solver *v, const struct room *room, int64_t first, int64_t count, int64_t begin,
                         int64_t i, int64_t end)
{
    const uint32_t top = grid_top(v->s->bits);
    const double *u = v->u + i * v->cols;
    int64_t column = v->order[i], g = gptq_group_of(v->q, column);
    for (int64_t r = 0; r < count; r++) {
        double *w = room->w + r * v->cols;
        const struct grid grid = stored_grid(v->q, first + r, g);
        uint32_t code = grid_code(&grid, top, w[i]);
        gptq_put(v->q->codes + (first + r) * v->q->words, v->q->bits, column, code);
        double lost = (w[i] - (double)grid_value(&grid, code)) / u[i];
        room->lost[r * v->s->block + i - begin] = lost;
        for (int64_t j = i + 1; j < end; j++) w[j] -= lost * u[j];
    }
}

static int solve_rows(const struct solver *v, const struct room *room, int64_t first, int64_t count, struct error *e)
{
    int64_t n = v->cols;
    int status = load_rows(v, room, first, count, e);
    for (int64_t begin = 0, end; begin < n && !status; begin = end) {
        end = block_end(v, begin);
        for (int64_t i = begin; i < end && !status; i++) {
            if (v->fresh && i % v->q->group == 0) status = fit_group(v, room, first, count, i, e);
            if (!status) round_column(v, room, first, count, begin, i, end);
        }
        if (end < n && !status)
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)count, (int)(n - end), (int)(end - begin), -1,
                        room->lost, (int)v->s->block, v->u + begin * n + end, (int)n, 1, room->w + end, (int)n);
    }
    return status;
}

/* out[r] = x_r H x_r^T for the rows in room->w, by half of the symmetric H: twice its triangle's part less the
 * diagonal's. */
static void measure(const struct solver *v, const struct room *room, int64_t count, double *out)
{
    int64_t n = v->cols;
    const double *x = room->w, *y = room->product;
    memcpy(room->product, x, (size_t)(count * n) * sizeof *x);
    cblas_dtrmm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)count, (int)n, 1, v->h->h,
                (int)n, room->product, (int)n);
    for (int64_t r = 0; r < count; r++, x += n, y += n) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += x[i] * (2 * y[i] - v->diagonal[i] * x[i]);
        out[r] = sum > 0 ? sum : 0;
    }
}

static void measure_rows(const struct solver *v, const struct matrix *out, const struct room *room, int64_t first,
                         int64_t count)
{
    int64_t n = v->cols;
    for (int64_t r = 0; r < count; r++) {
        matrix_unpack(v->w, first + r, 1, room->row);
        for (int64_t i = 0; i < n; i++) room->w[r * n + i] = (double)room->row[i];
    }
    measure(v, room, count, v->whole + first);
    for (int64_t r = 0; r < count; r++) {
        matrix_unpack(out, first + r, 1, room->row);
        for (int64_t i = 0; i < n; i++) room->w[r * n + i] -= (double)room->row[i];
    }
    measure(v, room, count, v->error + first);
}

/* --- all rows --- */

/* The error of the first rows that failed is reported, whichever thread met one first. */
static int solve_all(const struct solver *v, const struct matrix *out, struct error *e)
{
    int64_t failed = INT64_MAX;
    struct error first_error = {0};
#pragma omp parallel
    {
        struct room room;
        struct error mine = {0};
        int status = room_new(&room, v, &mine);
#pragma omp for schedule(dynamic, 1)
        for (int64_t first = 0; first < v->rows; first += ROWS) {
            int64_t count = v->rows - first < ROWS ? v->rows - first : ROWS;
            if (!status) status = solve_rows(v, &room, first, count, &mine);
            if (!status) measure_rows(v, out, &room, first, count);
            if (!status) continue;
#pragma omp critical(gptq_solve)
            if (first < failed) {
                failed = first;
                first_error = mine;
            }
        }
        room_free(&room);
    }
    if (failed == INT64_MAX) return 0;
    if (e) *e = first_error;
    return (int)first_error.code;
}

static int prepare(struct solver *v, struct matrix *out, struct calibrated *report, struct error *e)
{
    const struct gptq_settings *s = v->s;
    bool indexed = s->act_order && !s->static_groups && s->group > 0 && s->group < v->cols;
    size_t n = (size_t)v->cols;
    int status = gptq_codes_new(out, v->rows, v->cols, s->bits, s->group, indexed, v->name, e);
    if (status) return status;
    v->q = out->own;
    v->fresh = !s->static_groups && v->q->groups > 1;
    v->diagonal = memory_new(n, sizeof *v->diagonal, v->name, e);
    v->order = memory_new(n, sizeof *v->order, v->name, e);
    v->u = memory_new(n, n * sizeof *v->u, v->name, e);
    v->cost = memory_new(n, sizeof *v->cost, v->name, e);
    v->error = memory_new((size_t)v->rows, sizeof *v->error, v->name, e);
    v->whole = memory_new((size_t)v->rows, sizeof *v->whole, v->name, e);
    if (!v->diagonal || !v->order || !v->u || !v->cost || !v->error || !v->whole) return ERROR_IO;
    status = arrange(v, e);
    for (int64_t i = 0; i < v->cols && v->q->g_idx; i++) v->q->g_idx[v->order[i]] = (int32_t)(i / v->q->group);
    return status ? status : factor(v, report, e);
}

int gptq_solve(struct matrix *out, const struct matrix *w, const struct hessian *h, const struct gptq_settings *s,
               const char *name, struct calibrated *report, struct error *e)
{
    struct solver v = {.s = s, .w = w, .h = h, .name = name, .rows = w->rows, .cols = w->cols};
    *report = (struct calibrated){0};
    int status = prepare(&v, out, report, e);
    if (!status) status = solve_all(&v, out, e);
    for (int64_t r = 0; r < v.rows && !status; r++) {
        report->error += v.error[r] * (double)h->tokens;
        report->baseline += v.whole[r] * (double)h->tokens;
    }
    free(v.diagonal);
    free(v.order);
    free(v.u);
    free(v.cost);
    free(v.error);
    free(v.whole);
    return status;
}
