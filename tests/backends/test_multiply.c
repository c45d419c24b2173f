/* Exact math: bit for bit the sums that backend.h promises, from fmaf(); against double precision; and independent of
 * batch, place and threads, under every row of the kernel table: the program starts itself anew with KERF_CPU set. */
#include "engine/backends/backend.h"
#include "engine/base/random.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ROWS = 40, CHILD_PASSED = 42, CHILD_OTHER_KERNELS = 43 };

struct trial {
    struct matrix m;
    float *w, *x, *y; /* [rows, cols], [n, cols], [n, rows] */
    int64_t n;
};

static void multiply(const struct matrix *m, const float *x, int64_t n, float *y)
{
    struct error e;
    assert_ok(matrix_multiply(m, x, n, y, &e), &e);
}

static struct trial trial_new(int64_t rows, int64_t cols, int64_t n, const char *spec)
{
    struct trial p = {.n = n};
    struct error e;
    struct backend_options how;
    p.w = calloc((size_t)(rows * cols), sizeof *p.w);
    p.x = calloc((size_t)(n * cols), sizeof *p.x);
    p.y = calloc((size_t)(n * rows), sizeof *p.y);
    assert_true(p.w && p.x && p.y);
    fill_random(p.w, (size_t)(rows * cols), 1.f, (uint64_t)(rows * 1000 + cols));
    fill_random(p.x, (size_t)(n * cols), 2.f, (uint64_t)(n * 1000 + cols));
    struct tensor t = {.name = "w", .type = DTYPE_F32, .n_dims = 2, .shape = {rows, cols, 1, 1}, .data = p.w};
    t.bytes = (size_t)(rows * cols) * sizeof *p.w;
    assert_ok(backend_parse(&how, spec, &e), &e);
    assert_ok(matrix_pack(&p.m, &t, &how, NULL, &e), &e);
    matrix_unpack(&p.m, 0, rows, p.w);
    multiply(&p.m, p.x, n, p.y);
    return p;
}

static void trial_free(struct trial *p)
{
    matrix_free(&p->m);
    free(p->w);
    free(p->x);
    free(p->y);
}

/* Fused multiply-adds in the order of the columns, GEMM_CHUNK of them from zero, and the chunks' sums in order. */
static float in_chunks(const float *x, const float *w, int64_t cols)
{
    float y = 0;
    for (int64_t first = 0; first < cols; first += GEMM_CHUNK) {
        float sum = 0;
        for (int64_t c = first; c < cols && c < first + GEMM_CHUNK; c++) sum = fmaf(x[c], w[c], sum);
        y = first ? y + sum : sum;
    }
    return y;
}

/* And any order of float32 multiply-adds is within (cols + 1) 2^-24 of the sum of magnitudes (Higham 2002, section
 * 3.1). */
static void assert_sums(const struct trial *p)
{
    int64_t rows = p->m.rows, cols = p->m.cols;
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t r = 0; r < rows; r++) {
            double sum = 0, size = 0;
            for (int64_t c = 0; c < cols; c++) {
                double product = (double)p->x[i * cols + c] * (double)p->w[r * cols + c];
                sum += product;
                size += fabs(product);
            }
            float got = p->y[i * rows + r], wanted = in_chunks(p->x + i * cols, p->w + r * cols, cols);
            assert_near(got, sum, (double)(cols + 1) * 0x1p-24 * size, "a product");
            if (memcmp(&got, &wanted, sizeof got))
                fail_msg("[%d, %d]: element [%d, %d] is %.9g instead of %.9g", (int)rows, (int)cols, (int)i, (int)r,
                         (double)got, (double)wanted);
        }
}

static const int64_t some_rows[] = {1, 2, 7, 15, 16, 17, 63, 64, 65, 130}, some_n[] = {1, 2, 7, 8, 9, 17, 40},
                     some_cols[] = {1, 2, 3, 15, 16, 17, 31, 64, 100, 255, 256, 257, 300, 513};

static void test_values(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof some_rows / sizeof *some_rows; r++)
        for (size_t c = 0; c < sizeof some_cols / sizeof *some_cols; c++)
            for (size_t n = 0; n < sizeof some_n / sizeof *some_n; n++) {
                struct trial p = trial_new(some_rows[r], some_cols[c], some_n[n], "f32");
                assert_sums(&p);
                trial_free(&p);
            }
    struct trial wide = trial_new(70, 4100, 9, "f32");
    assert_sums(&wide);
    trial_free(&wide);
}

static void test_backends(void **state)
{
    (void)state;
    static const char *const specs[] = {"f16",       "bf16",      "int8:absmax", "int8:absmax,per=tensor",
                                        "gguf:q8_0", "gguf:q4_0", "rtn:3"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct trial p = trial_new(67, 288, 11, specs[i]);
        assert_sums(&p);
        trial_free(&p);
    }
}

/* NaN and infinity come out where they went in, and in no other row. */
static void test_not_finite(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const int64_t columns[] = {0, 255, 256, 299};
    struct trial p = trial_new(35, 300, 5, "f32");
    float *y = calloc(5 * 35, sizeof *y);
    assert_non_null(y);
    for (size_t b = 0; b < 3; b++)
        for (size_t c = 0; c < 4; c++) {
            float was = p.x[2 * 300 + columns[c]];
            p.x[2 * 300 + columns[c]] = bad[b];
            multiply(&p.m, p.x, 5, y);
            for (int r = 0; r < 35; r++) assert_true(!isfinite(y[2 * 35 + r]));
            assert_memory_equal(y, p.y, sizeof(float[2 * 35]));
            assert_memory_equal(y + 3 * 35, p.y + 3 * 35, sizeof(float[2 * 35]));
            p.x[2 * 300 + columns[c]] = was;
        }
    free(y);
    trial_free(&p);
}

/* Rows of x in another order, alone, and fewer of them: each gives the bits that it gave before. */
static void assert_same_bits(struct trial *p, struct random *random)
{
    int64_t rows = p->m.rows, cols = p->m.cols, order[MOST_ROWS];
    for (int64_t i = 0; i < p->n; i++) order[i] = i;
    for (int64_t i = p->n - 1; i > 0; i--) {
        int64_t j = random_below(random, (uint32_t)i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    float *x = calloc((size_t)(p->n * cols), sizeof *x), *y = calloc((size_t)(p->n * rows), sizeof *y);
    assert_true(x && y);
    int64_t counts[] = {p->n, 1, 1 + random_below(random, (uint32_t)p->n)};
    for (size_t k = 0; k < 3; k++) {
        for (int64_t i = 0; i < counts[k]; i++) memcpy(x + i * cols, p->x + order[i] * cols, (size_t)cols * sizeof *x);
        multiply(&p->m, x, counts[k], y);
        for (int64_t i = 0; i < counts[k]; i++)
            if (memcmp(y + i * rows, p->y + order[i] * rows, (size_t)rows * sizeof *y))
                fail_msg("[%d, %d]: row %d of %d differs as row %d of %d", (int)rows, (int)cols, (int)order[i],
                         (int)p->n, (int)i, (int)counts[k]);
    }
    free(x);
    free(y);
}

static void test_place_is_nothing(void **state)
{
    (void)state;
    struct random random = {1};
    for (int64_t n = 1; n <= MOST_ROWS; n++)
        for (int k = 0; k < 8; k++) {
            int64_t rows = 1 + random_below(&random, 130), cols = 1 + random_below(&random, 300);
            struct trial p = trial_new(rows, cols, n, "f32");
            assert_same_bits(&p, &random);
            trial_free(&p);
        }
    static const int64_t shapes[][2] = {{256, 256},  {768, 256}, {256, 768},  {1024, 256},
                                        {200, 2048}, {70, 4100}, {40, 20000}, {20, 40000}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct trial p = trial_new(shapes[i][0], shapes[i][1], 37, "f32");
        assert_same_bits(&p, &random);
        trial_free(&p);
    }
}

static void test_threads_are_nothing(void **state)
{
    (void)state;
    int threads = omp_get_max_threads();
    for (int k = 1; k <= 3; k++) {
        struct trial p = trial_new(257, 300, 13, "gguf:q8_0");
        omp_set_num_threads(k);
        float *y = calloc(13 * 257, sizeof *y);
        assert_non_null(y);
        multiply(&p.m, p.x, 13, y);
        assert_memory_equal(y, p.y, 13 * 257 * sizeof *y);
        omp_set_num_threads(threads);
        free(y);
        trial_free(&p);
    }
}

/* --- every row of the kernel table --- */

/* This program with KERF_CPU set: every test but the last two. */
static int run_with(const char *isa)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("KERF_CPU", isa, 1);
        setenv("KERF_TEST_KERNELS", isa, 1);
        execl("/proc/self/exe", "test_multiply", (char *)NULL);
        _exit(1);
    }
    int status = 0;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_other_kernels(void **state)
{
    (void)state;
    for (size_t i = 0; kernels_at(i); i++) {
        if (kernels_at(i) == kernels_get()) continue; /* they ran above */
        int status = run_with(kernels_at(i)->name);
        if (status == CHILD_OTHER_KERNELS) fail_msg("KERF_CPU=%s was not taken", kernels_at(i)->name);
        if (status != CHILD_PASSED) fail_msg("%s: %d", kernels_at(i)->name, status);
    }
}

static void test_openblas(void **state)
{
    (void)state;
    struct error e;
    char name[128];
    int threads = omp_get_max_threads();
    assert_ok(blas_open(&e), &e);
    assert_int_equal(omp_get_max_threads(), threads);
    blas_name(name, sizeof name);
    assert_memory_equal(name, "OpenBLAS 0.", 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_backends),
                                       cmocka_unit_test(test_not_finite),
                                       cmocka_unit_test(test_place_is_nothing),
                                       cmocka_unit_test(test_threads_are_nothing),
                                       cmocka_unit_test(test_openblas),
                                       cmocka_unit_test(test_other_kernels)};
    struct CMUnitTest inner[sizeof tests / sizeof *tests - 2];
    memcpy(inner, tests, sizeof inner);
    const char *isa = getenv("KERF_TEST_KERNELS");
    char group[64];
    if (!isa) return cmocka_run_group_tests_name("backends/multiply", tests, NULL, NULL);
    if (strcmp(kernels_get()->name, isa)) return CHILD_OTHER_KERNELS;
    snprintf(group, sizeof group, "backends/multiply by %s", isa);
    return cmocka_run_group_tests_name(group, inner, NULL, NULL) ? 1 : CHILD_PASSED;
}
