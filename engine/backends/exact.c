/* Exact math: see matrix_multiply() in backend.h. */
#include "engine/backends/backend.h"
#include "engine/base/memory.h"

#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* BLOCK rows of x meet one panel of rows of m in each call. Eight and no more, since it is then that every sgemm kernel
 * of OpenBLAS 0.3 sums all elements of a block in the same order: with twelve columns or more the Haswell and Zen
 * kernels sum some columns differently from others, and a row's result would depend on its place. */
enum { BLOCK = 8, PANEL = 64 };

/* Whether OpenBLAS's kernels here have a path for products of up to 10^6 multiplications that needs no packing, several
 * times faster for blocks this narrow: in 0.3 those for AVX-512 have. */
static bool has_small_path(void)
{
    static const char *const cores[] = {"SkylakeX", "Cooperlake", "Sapphirerapids"};
    const char *core = openblas_get_corename();
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++)
        if (strcasecmp(core, cores[i]) == 0) return true;
    return false;
}

/* Where there is such a path panels shrink to stay on it, to 4 rows at the least. The height depends on the machine and
 * the columns alone: one shape a matrix. */
static int64_t panel_rows(int64_t cols)
{
    int64_t panel = PANEL;
    while (has_small_path() && panel > 4 && BLOCK * panel * cols > 1000000) panel /= 2;
    return panel;
}

size_t matrix_scratch(const struct matrix *m)
{
    int64_t panel = panel_rows(m->cols);
    return (size_t)(panel * m->cols + BLOCK * m->cols + BLOCK * panel);
}

static void multiply_panel(const struct matrix *m, int64_t first, const float *x, int64_t n, float *y, float *scratch)
{
    int64_t cols = m->cols, panel = panel_rows(cols);
    int64_t count = m->rows - first < panel ? m->rows - first : panel;
    float *w = scratch, *x_block = w + panel * cols, *y_block = x_block + BLOCK * cols;
    matrix_unpack(m, first, count, w);
    if (count < panel) memset(w + count * cols, 0, (size_t)((panel - count) * cols) * sizeof *w);
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t here = n - i < BLOCK ? n - i : BLOCK;
        const float *from = x + i * cols;
        if (here < BLOCK) {
            memcpy(x_block, from, (size_t)(here * cols) * sizeof *x);
            memset(x_block + here * cols, 0, (size_t)((BLOCK - here) * cols) * sizeof *x);
            from = x_block;
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, BLOCK, (int)panel, (int)cols, 1.f, from, (int)cols, w,
                    (int)cols, 0.f, y_block, (int)panel);
        for (int64_t j = 0; j < here; j++)
            memcpy(y + (i + j) * m->rows + first, y_block + j * panel, (size_t)count * sizeof *y);
    }
}

void matrix_multiply(const struct matrix *m, const float *x, int64_t n, float *y, float *scratch)
{
    int64_t panel = panel_rows(m->cols), panels = (m->rows + panel - 1) / panel;
    size_t each = matrix_scratch(m);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t p = 0; p < panels; p++)
        multiply_panel(m, p * panel, x, n, y, scratch + each * (size_t)omp_get_thread_num());
}

int blas_open(struct error *e)
{
    if (openblas_get_parallel() != OPENBLAS_OPENMP)
        return error_set(e, ERROR_IO,
                         "OpenBLAS: this is its %s build, and only the OpenMP build shares threads with kerf: install "
                         "libopenblas0-openmp",
                         openblas_get_parallel() == OPENBLAS_THREAD ? "pthread" : "single-threaded");
    int threads = omp_get_max_threads();
    openblas_set_num_threads(1); /* outside of parallel regions it does as OpenMP says all the same */
    omp_set_num_threads(threads);
    return 0;
}

void blas_name(char *out, size_t size)
{
    char version[32] = "";
    sscanf(openblas_get_config(), "OpenBLAS %31s", version);
    snprintf(out, size, "OpenBLAS %s %s", version, openblas_get_corename());
}
