/* The BLAS that GPTQ's solver uses: see blas_open() in backend.h. */
#include "engine/backends/backend.h"

#include <cblas.h>
#include <omp.h>
#include <stdio.h>

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
