/* Exact math: against double precision, and bit for bit independent of batch, place and threads, under every sgemm
 * kernel of OpenBLAS that this CPU can run: the program starts itself anew with OPENBLAS_CORETYPE set. */
#include "engine/backends/backend.h"
#include "engine/base/random.h"
#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ROWS = 40, CHILD_PASSED = 42, CHILD_OTHER_CORE = 43 };

struct product {
    struct matrix m;
    float *w, *x, *y, *scratch; /* [rows, cols], [n, cols], [n, rows] */
    int64_t n;
};

static struct product product_new(int64_t rows, int64_t cols, int64_t n, const char *spec)
{
    struct product p = {.n = n};
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
    p.scratch = calloc(matrix_scratch(&p.m) * (size_t)omp_get_max_threads(), sizeof *p.scratch);
    assert_non_null(p.scratch);
    matrix_multiply(&p.m, p.x, n, p.y, p.scratch);
    return p;
}

static void product_free(struct product *p)
{
    matrix_free(&p->m);
    free(p->w);
    free(p->x);
    free(p->y);
    free(p->scratch);
}

/* Any order of float32 multiply-adds is within (cols + 1) 2^-24 of the sum of magnitudes (Higham 2002, section 3.1). */
static void assert_near_double(const struct product *p)
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
            assert_near(p->y[i * rows + r], sum, (double)(cols + 1) * 0x1p-24 * size, "a product");
        }
}

static const int64_t some_rows[] = {1, 2, 7, 63, 64, 65, 130}, some_n[] = {1, 2, 7, 8, 9, 17, 40},
                     some_cols[] = {1, 2, 3, 15, 16, 17, 31, 64, 100, 255, 256, 300};

static void test_values(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof some_rows / sizeof *some_rows; r++)
        for (size_t c = 0; c < sizeof some_cols / sizeof *some_cols; c++)
            for (size_t n = 0; n < sizeof some_n / sizeof *some_n; n++) {
                struct product p = product_new(some_rows[r], some_cols[c], some_n[n], "f32");
                assert_near_double(&p);
                product_free(&p);
            }
    struct product wide = product_new(70, 4100, 9, "f32"); /* panels are narrower here */
    assert_near_double(&wide);
    product_free(&wide);
}

static void test_backends(void **state)
{
    (void)state;
    static const char *const specs[] = {"f16",       "bf16",     "int8:absmax", "int8:absmax,per=tensor",
                                        "gguf:q8_0", "gguf:q4_0"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct product p = product_new(67, 96, 11, specs[i]);
        assert_near_double(&p);
        product_free(&p);
    }
}

/* Rows of x in another order, alone, and fewer of them: each gives the bits that it gave before. */
static void assert_same_bits(struct product *p, struct random *random)
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
        matrix_multiply(&p->m, x, counts[k], y, p->scratch);
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
            struct product p = product_new(rows, cols, n, "f32");
            assert_same_bits(&p, &random);
            product_free(&p);
        }
    static const int64_t shapes[][2] = {{256, 256},  {768, 256}, {256, 768},  {1024, 256},
                                        {200, 2048}, {70, 4100}, {40, 20000}, {20, 40000}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct product p = product_new(shapes[i][0], shapes[i][1], 37, "f32");
        assert_same_bits(&p, &random);
        product_free(&p);
    }
}

static void test_threads_are_nothing(void **state)
{
    (void)state;
    int threads = omp_get_max_threads();
    for (int k = 1; k <= 3; k++) {
        struct product p = product_new(257, 300, 13, "gguf:q8_0");
        omp_set_num_threads(k);
        float *y = calloc(13 * 257, sizeof *y), *scratch = calloc(matrix_scratch(&p.m) * 3, sizeof *scratch);
        assert_true(y && scratch);
        matrix_multiply(&p.m, p.x, 13, y, scratch);
        assert_memory_equal(y, p.y, 13 * 257 * sizeof *y);
        omp_set_num_threads(threads);
        free(y);
        free(scratch);
        product_free(&p);
    }
}

/* --- other cores --- */

/* "SkylakeX" of "OpenBLAS 0.3.21 SkylakeX". */
static const char *core_name(char buffer[128])
{
    blas_name(buffer, 128);
    const char *last = strrchr(buffer, ' ');
    return last ? last + 1 : buffer;
}

#if defined(__x86_64__)
static bool has(const char *feature)
{
    if (strcmp(feature, "avx512") == 0) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    if (strcmp(feature, "avx2") == 0) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return strcmp(feature, "avx") == 0 ? __builtin_cpu_supports("avx") : __builtin_cpu_supports("sse4.2");
}
#endif

/* This program with another kernel in OpenBLAS: every test but this one. */
static int run_with_core(const char *core)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("OPENBLAS_CORETYPE", core, 1);
        setenv("KERF_TEST_CORE", core, 1);
        execl("/proc/self/exe", "test_multiply", (char *)NULL);
        _exit(1);
    }
    int status = 0;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_other_cores(void **state)
{
    (void)state;
#if defined(__x86_64__)
    static const char *const cores[][2] = {{"Haswell", "avx2"},    {"Zen", "avx2"},       {"SkylakeX", "avx512"},
                                           {"Sandybridge", "avx"}, {"Nehalem", "sse4.2"}, {"Prescott", "sse4.2"}};
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++) {
        if (!has(cores[i][1])) {
            print_message("%s: left out: this CPU has no %s\n", cores[i][0], cores[i][1]);
            continue;
        }
        int status = run_with_core(cores[i][0]);
        if (status == CHILD_OTHER_CORE) fail_msg("OpenBLAS did not take the core type %s", cores[i][0]);
        if (status != CHILD_PASSED) fail_msg("%s: %d", cores[i][0], status);
    }
#else
    print_message("skipped: core types are those of x86-64\n");
    skip();
#endif
}

static void test_openblas(void **state)
{
    (void)state;
    struct error e;
    char name[128];
    int threads = omp_get_max_threads();
    assert_ok(blas_open(&e), &e);
    assert_int_equal(omp_get_max_threads(), threads);
    core_name(name);
    assert_memory_equal(name, "OpenBLAS 0.", 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_openblas),
                                       cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_backends),
                                       cmocka_unit_test(test_place_is_nothing),
                                       cmocka_unit_test(test_threads_are_nothing),
                                       cmocka_unit_test(test_other_cores)};
    enum { ALL = sizeof tests / sizeof *tests };
    struct CMUnitTest inner[ALL - 1];
    memcpy(inner, tests, sizeof inner);
    const char *core = getenv("KERF_TEST_CORE");
    char name[128], group[128];
    if (!core) return cmocka_run_group_tests_name("backends/multiply", tests, NULL, NULL);
    if (strcasecmp(core_name(name), core) != 0) return CHILD_OTHER_CORE;
    snprintf(group, sizeof group, "backends/multiply by %s", core);
    return cmocka_run_group_tests_name(group, inner, NULL, NULL) ? 1 : CHILD_PASSED;
}
