/* What the checks of tiles, their inputs and their products share with `kerf kernels` (cli/kernels/samples.h, check.h),
 * as tests have it: what fails ends the test.
 *
 *     struct pool pool = {.place = BUFFER_AT_END};
 *     struct sample w = sample_new(&pool, TILE_U4, 3, 512, RANDOM, &random);     3 tiles of 512 columns
 *     struct quantized x = quantized_new(&pool, w.format, n, 512);
 *     pool_seal(&pool);                        what there is now can no longer be written
 *     float *y = pool_new(&pool, n * 48, sizeof *y);
 *     ...
 *     pool_free(&pool);                        fails the test where a byte beside a buffer has changed
 */
#ifndef KERF_TESTS_KERNELS_CHECKS_H
#define KERF_TESTS_KERNELS_CHECKS_H

#include "cli/kernels/family.h"
#include "cli/kernels/samples.h"
#include "engine/kernels/half.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

struct pool {
    enum buffer_place place;
    struct kernel_memory *memory; /* made when the first buffer is */
};

static inline struct kernel_memory *pool_memory(struct pool *pool)
{
    struct error e;
    if (!pool->memory) pool->memory = kernel_memory_new(pool->place, &e);
    assert_non_null(pool->memory);
    return pool->memory;
}

static inline void *pool_new(struct pool *pool, int64_t count, size_t size)
{
    struct error e;
    void *p = kernel_buffer(pool_memory(pool), count, size, &e);
    assert_non_null(p);
    return p;
}

/* From here on the buffers that there are can only be read. */
static inline void pool_seal(struct pool *pool) { kernel_memory_seal(pool_memory(pool)); }

static inline void pool_free(struct pool *pool)
{
    char words[160];
    if (kernel_memory_damaged(pool_memory(pool), words, sizeof words)) fail_msg("a kernel %s", words);
    kernel_memory_free(pool->memory);
    pool->memory = NULL;
}

static inline void assert_same_floats(const float *got, const float *wanted, int64_t n, const char *what,
                                      const char *isa)
{
    for (int64_t i = 0; i < n; i++)
        if (!same_float(got[i], wanted[i]))
            fail_msg("%s, %s: value %d of %d is %.9g instead of %.9g", what, isa, (int)i, (int)n, (double)got[i],
                     (double)wanted[i]);
}

static inline struct sample sample_new(struct pool *pool, int kind, int tiles, int64_t cols, enum content content,
                                       struct random *r)
{
    struct sample s;
    struct error e;
    assert_ok(sample_make(&s, pool_memory(pool), kind, tiles, cols, content, r, &e), &e);
    return s;
}

static inline struct panel panel_new(struct pool *pool, const struct tile_format *f, int64_t cols)
{
    struct panel p;
    struct error e;
    assert_ok(panel_make(&p, pool_memory(pool), f, cols, &e), &e);
    return p;
}

static inline struct quantized quantized_new(struct pool *pool, const struct tile_format *f, int64_t n, int64_t cols)
{
    struct quantized x;
    struct error e;
    assert_ok(quantized_make(&x, pool_memory(pool), f, n, cols, &e), &e);
    return x;
}

#endif
