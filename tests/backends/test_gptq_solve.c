/* GPTQ's solver and its control, rounding to nearest: on problems small enough to know better. */
#include "engine/backends/gptq.h"
#include "engine/backends/gptq_grid.h"
#include "engine/base/random.h"
#include "engine/models/model.h"
#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A matrix and the inputs that it meets. */
struct problem {
    int64_t rows, cols, tokens;
    float *w;  /* [rows, cols] */
    double *x; /* [tokens, cols] */
    double *h; /* [cols, cols] */
    struct hessian hessian;
};

static void sum_products(struct problem *p)
{
    int64_t n = p->cols;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t t = 0; t < p->tokens; t++) sum += p->x[t * n + i] * p->x[t * n + j];
            p->h[i * n + j] = sum / (double)p->tokens;
        }
}

/* Inputs that are sums of a few common sources, `noise` of their own, and of very different size. */
static struct problem problem_new(int64_t rows, int64_t cols, int64_t tokens, double noise, uint64_t seed)
{
    enum { SOURCES = 8 };
    struct problem p = {.rows = rows, .cols = cols, .tokens = tokens};
    struct random random = {seed};
    p.w = calloc((size_t)(rows * cols), sizeof *p.w);
    p.x = calloc((size_t)(tokens * cols), sizeof *p.x);
    p.h = calloc((size_t)(cols * cols), sizeof *p.h);
    double *mix = calloc((size_t)cols * SOURCES, sizeof *mix);
    assert_true(p.w && p.x && p.h && mix);
    fill_random(p.w, (size_t)(rows * cols), 0.1f, seed + 1);
    for (int64_t i = 0; i < cols * SOURCES; i++) mix[i] = 2 * random_unit(&random) - 1;
    for (int64_t t = 0; t < tokens; t++) {
        double source[SOURCES];
        for (int s = 0; s < SOURCES; s++) source[s] = 2 * random_unit(&random) - 1;
        for (int64_t c = 0; c < cols; c++) {
            double sum = noise * (2 * random_unit(&random) - 1);
            for (int s = 0; s < SOURCES; s++) sum += mix[c * SOURCES + s] * source[s];
            p.x[t * cols + c] = sum * exp2((double)(c * 7 % 5));
        }
    }
    free(mix);
    sum_products(&p);
    p.hessian = (struct hessian){p.h, cols, tokens};
    return p;
}

static void problem_free(struct problem *p)
{
    free(p->w);
    free(p->x);
    free(p->h);
}

static struct tensor weights_of(const struct problem *p)
{
    struct tensor t = {.name = "w", .type = DTYPE_F32, .n_dims = 2, .shape = {p->rows, p->cols, 1, 1}, .data = p->w};
    t.bytes = (size_t)(p->rows * p->cols) * sizeof *p->w;
    return t;
}

static int solve(struct matrix *out, const struct problem *p, const char *spec, struct calibrated *report,
                 struct error *e)
{
    struct backend_options how;
    struct matrix w;
    struct tensor t = weights_of(p);
    const struct place at = {.name = "blk.0.attn_q.weight", .layers = 1, .queries = 1};
    assert_ok(blas_open(e), e);
    assert_ok(backend_parse(&how, spec, e), e);
    assert_ok(matrix_pack(&w, &t, NULL, NULL, e), e);
    int status = how.backend->calibrate(out, &w, &p->hessian, &how, &at, report, e);
    matrix_free(&w);
    if (status) matrix_free(out);
    return status;
}

/* The values that a spec of gptq or rtn comes to, to be freed, and their error as the report has it, counted anew. */
static float *values_of(const struct problem *p, const char *spec, double *error, struct calibrated *report)
{
    struct matrix m;
    struct error e;
    struct backend_options how;
    struct calibrated unread;
    struct tensor t = weights_of(p);
    assert_ok(backend_parse(&how, spec, &e), &e);
    if (how.backend->calibrate)
        assert_ok(solve(&m, p, spec, report ? report : &unread, &e), &e);
    else
        assert_ok(matrix_pack(&m, &t, &how, NULL, &e), &e);
    float *q = calloc((size_t)(p->rows * p->cols), sizeof *q);
    assert_non_null(q);
    matrix_unpack(&m, 0, p->rows, q);
    matrix_free(&m);
    double sum = 0;
    for (int64_t r = 0; r < p->rows && error; r++)
        for (int64_t i = 0; i < p->tokens; i++) {
            double y = 0;
            for (int64_t c = 0; c < p->cols; c++)
                y += ((double)p->w[r * p->cols + c] - (double)q[r * p->cols + c]) * p->x[i * p->cols + c];
            sum += y * y;
        }
    if (error) *error = sum;
    return q;
}

static double error_of(const struct problem *p, const char *spec)
{
    double error;
    free(values_of(p, spec, &error, NULL));
    return error;
}

/* --- the solver --- */

/* Correlated inputs: clearly better than rounding to nearest on the same grids, in every variant, for groups and blocks
 * that divide nothing. */
static void test_better_than_rounding(void **state)
{
    (void)state;
    static const char *const variants[] = {
        "", ",act-order", ",act-order,static-groups", ",static-groups", ",block=48", ",block=1", ",damping=0.1"};
    static const char *const grids[] = {"", ",group=32", ",group=40,sym", ",group=-1", ",group=24,mse"};
    struct problem p = problem_new(33, 100, 400, 0.3, 5);
    for (int bits = 2; bits <= 8; bits += bits == 4 ? 4 : 1)
        for (size_t g = 0; g < sizeof grids / sizeof *grids; g++) {
            char spec[128];
            snprintf(spec, sizeof spec, "rtn:%d%s", bits, grids[g]);
            double rounded = error_of(&p, spec);
            for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
                snprintf(spec, sizeof spec, "gptq:%d%s%s", bits, grids[g], variants[v]);
                double solved = error_of(&p, spec);
                if (!(solved < 0.7 * rounded)) fail_msg("%s: %g, rounded to nearest %g", spec, solved, rounded);
            }
        }
    problem_free(&p);
}

/* What the report says of errors is what the inputs say. */
static void test_report(void **state)
{
    (void)state;
    struct problem p = problem_new(40, 64, 300, 0.5, 6);
    struct calibrated report = {0};
    double error, whole = 0;
    free(values_of(&p, "gptq:3,group=32,act-order", &error, &report));
    for (int64_t r = 0; r < p.rows; r++)
        for (int64_t t = 0; t < p.tokens; t++) {
            double y = 0;
            for (int64_t c = 0; c < p.cols; c++) y += (double)p.w[r * p.cols + c] * p.x[t * p.cols + c];
            whole += y * y;
        }
    assert_near(report.error / error, 1, 1e-9, "error");
    assert_near(report.baseline / whole, 1, 1e-9, "baseline");
    assert_false(report.raised);
    assert_near(report.damping, 0.01, 0, "damping");
    problem_free(&p);
}

/* Inputs that have nothing to do with each other: nothing can be made good, and nothing is touched. */
static void test_diagonal(void **state)
{
    (void)state;
    static const char *const specs[][2] = {{"rtn:4,group=32", "gptq:4,group=32"},
                                           {"rtn:3,group=40", "gptq:3,group=40,block=64"},
                                           {"rtn:2,sym", "gptq:2,sym"},
                                           {"rtn:4,group=32", "gptq:4,group=32,act-order,static-groups"},
                                           {"rtn:8,group=-1", "gptq:8,group=-1,act-order"}};
    struct problem p = problem_new(9, 96, 1, 1, 7);
    for (int64_t i = 0; i < p.cols * p.cols; i++) p.h[i] = i % (p.cols + 1) == 0 ? 0.5 + (double)(i * 13 % 31) : 0;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        float *a = values_of(&p, specs[i][0], NULL, NULL), *b = values_of(&p, specs[i][1], NULL, NULL);
        assert_memory_equal(a, b, (size_t)(p.rows * p.cols) * sizeof *a);
        free(a);
        free(b);
    }
    problem_free(&p);
}

/* All inputs the same number: only the sum of a row's weights counts, and what all but the last column lost the last
 * one makes good, to half a step where it stays within its range. */
static void test_one_source(void **state)
{
    (void)state;
    struct problem p = problem_new(64, 24, 1, 0, 8);
    for (int64_t c = 0; c < p.cols; c++) p.x[c] = 1;
    sum_products(&p);
    for (int64_t r = 0; r < p.rows; r++) p.w[r * p.cols + p.cols - 1] = 0; /* room to both sides */
    float *q = values_of(&p, "gptq:4,group=-1,damping=1e-6", NULL, NULL);
    const struct grid_rule rule = {.bits = 4};
    int64_t within = 0;
    for (int64_t r = 0; r < p.rows; r++) {
        struct grid g = grid_fit(&rule, p.w + r * p.cols, NULL, p.cols);
        double sum = 0;
        for (int64_t c = 0; c < p.cols; c++) sum += (double)p.w[r * p.cols + c] - (double)q[r * p.cols + c];
        within += fabs(sum) <= 0.501 * (double)g.scale;
    }
    assert_int_equal(within, p.rows);
    free(q);
    problem_free(&p);
}

/* Every choice of codes for three weights: none is better by more than greed costs, rounding is worse. */
static void test_brute_force(void **state)
{
    (void)state;
    double solved = 0, rounded = 0, best = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct problem p = problem_new(1, 3, 30, 0.3, 100 + seed);
        for (int64_t i = 0; i < 3 * p.tokens; i++) p.x[i] = 0.03 * p.x[i] + (double)(i / 3 % 7 - 3);
        sum_products(&p);
        const struct grid_rule rule = {.bits = 4};
        struct grid g = grid_fit(&rule, p.w, NULL, 3);
        double least = INFINITY;
        for (uint32_t k = 0; k < 4096; k++) {
            double error = 0;
            for (int64_t t = 0; t < p.tokens; t++) {
                double y = 0;
                for (int64_t c = 0; c < 3; c++)
                    y += ((double)p.w[c] - (double)grid_value(&g, k >> 4 * c & 15u)) * p.x[t * 3 + c];
                error += y * y;
            }
            least = error < least ? error : least;
        }
        double mine = error_of(&p, "gptq:4,group=-1,damping=1e-6");
        assert_true(mine >= least * (1 - 1e-9));
        best += least;
        solved += mine;
        rounded += error_of(&p, "rtn:4,group=-1");
        problem_free(&p);
    }
    assert_true(solved < 2.5 * best);
    assert_true(solved < 0.5 * rounded);
}

/* The width of the blocks is a matter of speed: results differ by the rounding of sums, if at all. */
static void test_blocks(void **state)
{
    (void)state;
    static const char *const blocks[] = {"1", "7", "32", "50", "128"};
    struct problem p = problem_new(16, 120, 300, 0.4, 9);
    double wanted[2];
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        for (int act = 0; act < 2; act++) {
            char spec[96];
            snprintf(spec, sizeof spec, "gptq:3,group=24%s,block=%s", act ? ",act-order" : "", blocks[i]);
            double error = error_of(&p, spec);
            if (i == 0) wanted[act] = error;
            assert_near(error / wanted[act], 1, 0.01, spec);
        }
    problem_free(&p);
}

static void test_threads(void **state)
{
    (void)state;
    struct problem p = problem_new(131, 160, 200, 0.5, 10);
    static const char *const specs[] = {"gptq:3,group=32", "gptq:4,act-order,mse"};
    int before = omp_get_max_threads();
    for (size_t i = 0; i < 2; i++) {
        struct calibrated one, more;
        omp_set_num_threads(1);
        float *a = values_of(&p, specs[i], NULL, &one);
        for (int threads = 2; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            float *b = values_of(&p, specs[i], NULL, &more);
            assert_memory_equal(a, b, (size_t)(p.rows * p.cols) * sizeof *a);
            assert_memory_equal(&one.error, &more.error, sizeof one.error);
            assert_memory_equal(&one.baseline, &more.baseline, sizeof one.baseline);
            free(b);
        }
        free(a);
    }
    omp_set_num_threads(before);
    problem_free(&p);
}

/* Columns that no input reaches become 0 and leave no trace, in the others' grids neither. */
static void test_dead_columns(void **state)
{
    (void)state;
    static const char *const specs[] = {"gptq:4,group=32", "gptq:2,group=32,act-order",
                                        "gptq:3,act-order,static-groups"};
    struct problem p = problem_new(12, 96, 200, 0.5, 11), q;
    for (int64_t c = 0; c < 96; c += 5)
        for (int64_t t = 0; t < p.tokens; t++) p.x[t * 96 + c] = 0;
    sum_products(&p);
    q = p;
    q.w = calloc((size_t)(p.rows * p.cols), sizeof *q.w);
    assert_non_null(q.w);
    memcpy(q.w, p.w, (size_t)(p.rows * p.cols) * sizeof *q.w);
    for (int64_t r = 0; r < p.rows; r++)
        for (int64_t c = 0; c < 96; c += 5) q.w[r * 96 + c] = 1000;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct calibrated report;
        float *a = values_of(&p, specs[i], NULL, &report), *b = values_of(&q, specs[i], NULL, NULL);
        assert_false(report.raised);
        assert_memory_equal(a, b, (size_t)(p.rows * p.cols) * sizeof *a);
        for (int64_t r = 0; r < p.rows; r++)
            for (int64_t c = 0; c < 96; c += 5) assert_true(a[r * 96 + c] == 0);
        free(a);
        free(b);
    }
    free(q.w);
    memset(p.h, 0, (size_t)(p.cols * p.cols) * sizeof *p.h); /* no inputs at all */
    struct calibrated report;
    float *a = values_of(&p, specs[0], NULL, &report);
    for (int64_t i = 0; i < p.rows * p.cols; i++) assert_true(a[i] == 0);
    assert_true(report.error == 0 && report.baseline == 0);
    free(a);
    problem_free(&p);
}

/* Fewer inputs than columns, and no damping asked for: what was needed is said. */
static void test_singular(void **state)
{
    (void)state;
    struct problem p = problem_new(8, 64, 10, 0.5, 12);
    struct calibrated report;
    free(values_of(&p, "gptq:4,damping=0", NULL, &report));
    assert_true(report.raised);
    assert_true(report.damping >= 1e-6 && report.damping <= 1e-3);
    free(values_of(&p, "gptq:4", NULL, &report));
    assert_false(report.raised);
    p.h[5 * 64 + 6] = p.h[6 * 64 + 5] = 1e3; /* not positive definite by far */
    free(values_of(&p, "gptq:4", NULL, &report));
    assert_true(report.raised && report.damping > 1);
    problem_free(&p);
}

/* ... and the same is said, and done, by any number of threads, also where it hangs on the last bits of a sum whether a
 * factor is found. */
static void test_singular_threads(void **state)
{
    (void)state;
    static const struct {
        int64_t cols, tokens;
        const char *spec;
    } cases[] = {{128, 126, "gptq:4,damping=0"}, {200, 199, "gptq:4,damping=0"}, {320, 40, "gptq:4,damping=1e-14"}};
    int before = omp_get_max_threads();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct problem p = problem_new(4, cases[k].cols, cases[k].tokens, 0.5, 19);
        struct calibrated reports[2];
        float *q[2];
        for (int i = 0; i < 2; i++) {
            omp_set_num_threads(i + 1);
            q[i] = values_of(&p, cases[k].spec, NULL, &reports[i]);
            assert_int_equal(omp_get_max_threads(), i + 1);
        }
        assert_true(reports[0].damping == reports[1].damping);
        assert_memory_equal(q[0], q[1], (size_t)(p.rows * p.cols) * sizeof *q[0]);
        free(q[0]);
        free(q[1]);
        problem_free(&p);
    }
    omp_set_num_threads(before);
}

/* A row of large weights is refused whatever their sign: a step of more than float16 holds. */
static void test_too_large(void **state)
{
    (void)state;
    static const char *const specs[] = {"rtn:4", "rtn:8", "rtn:4,sym", "rtn:4,mse", "gptq:4", "gptq:8,group=32"};
    struct problem p = problem_new(4, 64, 100, 0.5, 20);
    for (size_t i = 0; i < 2 * sizeof specs / sizeof *specs; i++) {
        struct backend_options how;
        struct matrix m = {0};
        struct calibrated report;
        struct error e;
        struct tensor t = weights_of(&p);
        for (int64_t c = 0; c < 64; c++) p.w[64 + c] = i % 2 ? -2e7f : 2e7f;
        assert_ok(backend_parse(&how, specs[i / 2], &e), &e);
        int status =
            how.backend->calibrate ? solve(&m, &p, specs[i / 2], &report, &e) : matrix_pack(&m, &t, &how, NULL, &e);
        assert_error(status, &e, ERROR_NUMBER, "row 1: its weights are too large for a scale of float16");
    }
    problem_free(&p);
}

static void test_hopeless(void **state)
{
    (void)state;
    struct problem p = problem_new(70, 64, 100, 0.5, 13);
    struct matrix m;
    struct calibrated report;
    struct error e;
    p.w[50 * 64 + 7] = 1e7f; /* of rows 50 and 60 the first is named, with any number of threads */
    p.w[60 * 64 + 7] = -1e7f;
    assert_error(solve(&m, &p, "gptq:4", &report, &e), &e, ERROR_NUMBER,
                 "blk.0.attn_q.weight: row 50: its weights are too large for a scale of float16");
    p.w[50 * 64 + 7] = p.w[60 * 64 + 7] = 0;
    p.h[9 * 64 + 8] = p.h[8 * 64 + 9] = 1e300;
    assert_error(solve(&m, &p, "gptq:4", &report, &e), &e, ERROR_NUMBER, "cannot be factored");
    p.h[9 * 64 + 8] = p.h[8 * 64 + 9] = NAN;
    assert_error(solve(&m, &p, "gptq:4", &report, &e), &e, ERROR_NUMBER, "cannot be factored");
    p.h[9 * 64 + 9] = NAN;
    assert_error(solve(&m, &p, "gptq:4", &report, &e), &e, ERROR_NUMBER, "inputs met in calibration are not finite");
    p.h[9 * 64 + 9] = INFINITY;
    assert_error(solve(&m, &p, "gptq:4", &report, &e), &e, ERROR_NUMBER, "inputs met in calibration are not finite");
    problem_free(&p);
}

/* All weights zero, or all of a row the same: exact up to the float16 of the scale. */
static void test_plain_rows(void **state)
{
    (void)state;
    static const char *const specs[] = {"rtn:4",      "gptq:4",    "rtn:2,sym",
                                        "gptq:2,sym", "rtn:3,mse", "gptq:8,act-order,group=8"};
    struct problem p = problem_new(4, 64, 100, 0.5, 14);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        memset(p.w, 0, (size_t)(p.rows * p.cols) * sizeof *p.w);
        float *q = values_of(&p, specs[i], NULL, NULL);
        for (int64_t k = 0; k < p.rows * p.cols; k++) assert_true(q[k] == 0);
        free(q);
        for (int64_t k = 0; k < p.rows * p.cols; k++) p.w[k] = k / p.cols % 2 ? -0.37f : 2.f;
        double error;
        q = values_of(&p, specs[i], &error, NULL);
        for (int64_t k = 0; k < p.rows * p.cols && !strstr(specs[i], "sym") && !strstr(specs[i], "gptq"); k++)
            assert_near((double)q[k], (double)p.w[k], 1e-3 * fabs((double)p.w[k]), specs[i]);
        free(q);
    }
    problem_free(&p);
}

/* Groups follow the order of the diagonal, largest first, unless they stand still. */
static void test_act_order_groups(void **state)
{
    (void)state;
    struct problem p = problem_new(4, 64, 100, 0.5, 15);
    struct matrix m;
    struct calibrated report;
    struct error e;
    assert_ok(solve(&m, &p, "gptq:4,group=16,act-order", &report, &e), &e);
    const int32_t *g_idx = gptq_codes_of(&m)->g_idx;
    assert_non_null(g_idx);
    int64_t in_group[4] = {0};
    for (int64_t c = 0; c < 64; c++) in_group[g_idx[c]]++;
    for (int g = 0; g < 4; g++) assert_int_equal(in_group[g], 16);
    for (int64_t a = 0; a < 64; a++)
        for (int64_t b = 0; b < 64; b++)
            if (g_idx[a] < g_idx[b]) assert_true(p.h[a * 65] >= p.h[b * 65]);
    matrix_free(&m);
    assert_ok(solve(&m, &p, "gptq:4,group=16,act-order,static-groups", &report, &e), &e);
    assert_null(gptq_codes_of(&m)->g_idx);
    matrix_free(&m);
    /* one group needs no index, and takes no room for one */
    struct matrix plain;
    assert_ok(solve(&plain, &p, "gptq:4,group=-1", &report, &e), &e);
    for (int whole = 0; whole < 2; whole++) {
        assert_ok(solve(&m, &p, whole ? "gptq:4,group=64,act-order" : "gptq:4,group=-1,act-order", &report, &e), &e);
        assert_null(gptq_codes_of(&m)->g_idx);
        assert_int_equal(m.bytes, plain.bytes);
        matrix_free(&m);
    }
    matrix_free(&plain);
    problem_free(&p);
}

/* --- rounding to nearest and the grids --- */

static void test_rounding_bound(void **state)
{
    (void)state;
    struct random random = {16};
    for (int bits = 2; bits <= 8; bits += bits == 4 ? 4 : 1)
        for (int sym = 0; sym < 2; sym++)
            for (size_t i = 0; i < test_items(200); i++) {
                float w[40];
                fill_random(w, 40, (float)exp2((double)random_below(&random, 14) - 4), i);
                const struct grid_rule rule = {.bits = bits, .symmetric = sym};
                struct grid g = grid_fit(&rule, w, NULL, 40);
                assert_true(isfinite(g.scale) && g.scale > 0 && g.zero >= 1);
                if (sym) assert_int_equal(g.zero, 1 << (bits - 1));
                double low = (double)g.scale * (-0.5 - g.zero),
                       high = (double)g.scale * (grid_top(bits) - g.zero + 0.5);
                for (size_t k = 0; k < 40; k++) {
                    double value = (double)grid_value(&g, grid_code(&g, grid_top(bits), (double)w[k]));
                    double off = fabs(value - (double)w[k]) / (double)g.scale;
                    /* the scale's own rounding moves the range's ends by 2^-11 of 2^bits steps at most */
                    bool inside = (double)w[k] >= low && (double)w[k] <= high;
                    assert_true(off <= (inside ? 0.5 + 1e-6 : 0.5 + exp2(bits - 11)));
                }
            }
}

static void test_grids(void **state)
{
    (void)state;
    const struct grid_rule four = {.bits = 4}, two = {.bits = 2};
    struct grid g = grid_fit(&four, (float[]){0, 0, 0}, NULL, 3);
    assert_true(g.scale == 1 && g.zero == 8);
    g = grid_fit(&four, (float[]){0, 7, 14}, NULL, 3); /* nothing is negative: the lowest code is given up */
    assert_true(g.scale == 1 && g.zero == 1);
    g = grid_fit(&four, (float[]){-15, -3, -1}, NULL, 3);
    assert_true(g.scale == 1 && g.zero == 15);
    g = grid_fit(&two, (float[]){-1e-30f, 1e-30f}, NULL, 2); /* the smallest float16 */
    assert_true(g.scale == 0x1p-24f && g.zero >= 1);
    g = grid_fit(&two, (float[]){-3e38f, 3e38f}, NULL, 2);
    assert_true(isinf(g.scale));
    struct random random = {17};
    for (size_t i = 0; i < test_items(200); i++) { /* a range that may shrink errs no more than one that may not */
        float w[48], cost[48];
        fill_random(w, 48, 1.f, 3 * i);
        w[i % 48] *= 3; /* an outlier */
        for (size_t k = 0; k < 48; k++) cost[k] = (float)random_unit(&random);
        double error[2] = {0}, plain[2] = {0};
        for (int mse = 0; mse < 2; mse++) {
            const struct grid_rule rule = {.bits = 3, .mse = mse};
            struct grid heavy = grid_fit(&rule, w, cost, 48), even = grid_fit(&rule, w, NULL, 48);
            for (size_t k = 0; k < 48; k++) {
                double d = (double)grid_value(&heavy, grid_code(&heavy, 7, (double)w[k])) - (double)w[k];
                error[mse] += (double)cost[k] * d * d;
                d = (double)grid_value(&even, grid_code(&even, 7, (double)w[k])) - (double)w[k];
                plain[mse] += d * d;
            }
        }
        assert_true(error[1] <= error[0] * 1.0001 && plain[1] <= plain[0] * 1.0001);
    }
}

/* --- in a model --- */

static void test_model(void **state)
{
    (void)state;
    static const char *const specs[] = {"gptq:4,samples=4,length=64",
                                        "gptq:2,act-order,samples=2,length=64,true-sequential=no"};
    for (size_t i = 0; i < 2; i++) {
        struct model *m = model_shipped("llama", specs[i]);
        const struct facts *f = model_facts(m);
        assert_int_equal(f->calibration.matrices, 7 * model_hyper(m)->layers);
        assert_int_equal(f->calibration.raised, 0);
        assert_true(f->calibration.error > 0 && f->calibration.error < (i ? 0.5 : 0.05));
        for (int64_t layer = 0; layer < model_hyper(m)->layers; layer++)
            assert_non_null(gptq_codes_of(model_linear(m, layer, LINEAR_Q, NULL)));
        model_close(m);
    }
}

/* What has not been calibrated is refused, but for what lies outside of the layers. */
static void test_pack(void **state)
{
    (void)state;
    struct problem p = problem_new(4, 64, 1, 1, 18);
    static const struct {
        const char *spec, *says;
    } cases[] = {{"gptq", "w: is not stored as GPTQ: give the bits, as in gptq:4"},
                 {"gptq:3,sym", "w: backend \"gptq:3,sym\" packs matrices only with what they meet: use rtn"}};
    const struct place outside = {.name = "output.weight", .layer = -1, .layers = 1, .queries = 1};
    for (size_t i = 0; i < 2; i++) {
        struct backend_options how;
        struct matrix m;
        struct error e;
        struct tensor t = weights_of(&p), u = t;
        assert_ok(backend_parse(&how, cases[i].spec, &e), &e);
        assert_error(matrix_pack(&m, &t, &how, NULL, &e), &e, ERROR_USAGE, cases[i].says);
        assert_ok(matrix_pack(&m, &u, &how, &outside, &e), &e);
        assert_string_equal(m.backend->name, i ? "f16" : "f32");
        matrix_free(&m);
    }
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_better_than_rounding),
                                       cmocka_unit_test(test_report),
                                       cmocka_unit_test(test_diagonal),
                                       cmocka_unit_test(test_one_source),
                                       cmocka_unit_test(test_brute_force),
                                       cmocka_unit_test(test_blocks),
                                       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_dead_columns),
                                       cmocka_unit_test(test_singular),
                                       cmocka_unit_test(test_singular_threads),
                                       cmocka_unit_test(test_too_large),
                                       cmocka_unit_test(test_hopeless),
                                       cmocka_unit_test(test_plain_rows),
                                       cmocka_unit_test(test_act_order_groups),
                                       cmocka_unit_test(test_rounding_bound),
                                       cmocka_unit_test(test_grids),
                                       cmocka_unit_test(test_model),
                                       cmocka_unit_test(test_pack)};
    return cmocka_run_group_tests_name("backends/gptq_solve", tests, NULL, NULL);
}
