/* What the checks of fast math share: matrices of every backend and setting, made of the same weights.
 *
 *     struct matrix m = matrix_of(&sorts[i], 70, seed);          [70, sorts[i].cols], packed
 *     int64_t blocks, *block = blocks_of(&m, &sorts[i], &blocks);   which inputs are quantized together; to be freed
 *     make_fast(&m);
 *     matrix_free(&m); */
#ifndef KERF_TESTS_BACKENDS_MATRICES_H
#define KERF_TESTS_BACKENDS_MATRICES_H

#include "engine/backends/gptq.h"
#include "engine/base/random.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

/* What inputs become. */
enum input { AS_THEY_ARE, TO_F16, TO_BF16, BY_32, BY_256, APART /* as in int8:llm */ };

struct sort {
    const char *spec; /* "act:4": of GPTQ, with an index in no order and groups of any size, one of them empty */
    int64_t cols;
    enum input input;
    int64_t group; /* columns that share a scale in their backend; 0: types of blocks, -1: all */
};

static const struct sort sorts[] = {
    {"f32", 300, AS_THEY_ARE, 0},
    {"f16", 300, TO_F16, 0},
    {"bf16", 300, TO_BF16, 0},
    {"f32", 5, AS_THEY_ARE, 0},
    {"gguf:q8_0", 288, BY_32, 0},
    {"gguf:q4_0", 288, BY_32, 0},
    {"gguf:q4_1", 288, BY_32, 0},
    {"gguf:q5_0", 288, BY_32, 0},
    {"gguf:q5_1", 288, BY_32, 0},
    {"gguf:iq4_nl", 288, BY_32, 0},
    {"gguf:q2_k,pure", 512, BY_256, 0},
    {"gguf:q3_k", 512, BY_256, 0},
    {"gguf:q4_k", 512, BY_256, 0},
    {"gguf:q5_k", 512, BY_256, 0},
    {"gguf:q6_k", 512, BY_256, 0},
    {"gguf:iq4_xs", 512, BY_256, 0},
    {"gguf:tq1_0", 512, BY_256, 0},
    {"gguf:tq2_0", 512, BY_256, 0},
    {"gguf:q4_0", 300, TO_F16, 0}, /* what takes its place */
    {"int8:absmax", 300, BY_32, -1},
    {"int8:absmax", 288, BY_32, -1},
    {"int8:absmax", 1, BY_32, -1},
    {"int8:absmax", 33, BY_32, -1},
    {"int8:absmax,per=tensor", 300, BY_32, -1},
    {"int8:absmax,per=block,block=8", 300, BY_32, 8},
    {"int8:absmax,per=block,block=24", 300, BY_32, 24},
    {"int8:absmax,per=block,block=32", 288, BY_32, 32},
    {"int8:absmax,per=block", 300, BY_32, 64},
    {"int8:absmax,per=block,block=65536", 300, BY_32, -1},
    {"int8:zeropoint", 300, BY_32, -1},
    {"int8:zeropoint", 7, BY_32, -1},
    {"int8:zeropoint,per=tensor", 300, BY_32, -1},
    {"int8:zeropoint,per=block,block=9", 37, BY_32, 9},
    {"int8:zeropoint,per=block,block=33", 300, BY_32, 33},
    {"int8:zeropoint,per=block", 320, BY_32, 64},
    {"int8:zeropoint,per=block,block=100", 300, BY_32, 100},
    {"int8:llm", 300, APART, -1},
    {"int8:llm,threshold=0.5", 288, APART, -1},
    {"int8:llm,threshold=1000", 37, APART, -1},
    {"rtn:2", 300, BY_32, 128},
    {"rtn:3", 300, BY_32, 128},
    {"rtn:4", 300, BY_32, 128},
    {"rtn:8", 300, BY_32, 128},
    {"rtn:2,group=8", 300, BY_32, 8},
    {"rtn:3,group=8", 288, BY_32, 8},
    {"rtn:4,group=8", 300, BY_32, 8},
    {"rtn:8,group=8", 5, BY_32, 8},
    {"rtn:2,group=32,sym", 300, BY_32, 32},
    {"rtn:3,group=33", 300, BY_32, 33},
    {"rtn:4,group=64", 320, BY_32, 64},
    {"rtn:8,group=40", 300, BY_32, 40},
    {"rtn:2,group=-1", 300, BY_32, -1},
    {"rtn:3,group=-1", 37, BY_32, -1},
    {"rtn:4,group=-1", 300, BY_32, -1},
    {"rtn:8,group=-1", 288, BY_32, -1},
    {"rtn:4,group=1000", 300, BY_32, -1},
    {"act:2", 300, BY_32, 40},
    {"act:3", 300, BY_32, 64},
    {"act:4", 320, BY_32, 32},
    {"act:8", 37, BY_32, 8},
};
enum { SORTS = sizeof sorts / sizeof *sorts };

/* Weights of another size in every row, and of another mean; one in a hundred is large. */
static inline void fill_weights(float *w, int64_t rows, int64_t cols, uint64_t seed)
{
    fill_random(w, (size_t)(rows * cols), 0.1f, seed);
    for (int64_t i = 0; i < rows * cols; i++)
        w[i] = (float)(1 + i / cols % 7) * (w[i] + 0.05f * (float)(i / cols % 3)) * (i % 101 == 7 ? 4.f : 1.f);
}

static inline struct matrix act_order(const struct sort *s, int64_t rows, uint64_t seed)
{
    struct matrix m;
    struct error e;
    struct random r = {seed};
    assert_ok(gptq_codes_new(&m, rows, s->cols, s->spec[4] - '0', s->group, true, "w", &e), &e);
    struct gptq_codes *q = gptq_codes_of(&m);
    for (int64_t c = 0; c < s->cols; c++) q->g_idx[c] = (int32_t)(1 + random_below(&r, (uint32_t)q->groups - 1));
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < s->cols; c++)
            gptq_put(q->codes + i * q->words, q->bits, c, random_below(&r, 1u << q->bits));
        for (int64_t g = i * q->groups; g < (i + 1) * q->groups; g++) {
            q->scales[g] = (uint16_t)(0x2000 + random_below(&r, 0x1000)); /* 2^-7 to 1/8 */
            q->zeros[g] = (uint8_t)random_below(&r, 1u << q->bits);
        }
    }
    return m;
}

static inline struct matrix matrix_of(const struct sort *s, int64_t rows, uint64_t seed)
{
    struct matrix m;
    struct error e;
    struct backend_options how;
    if (memcmp(s->spec, "act:", 4) == 0) return act_order(s, rows, seed);
    float *w = calloc((size_t)(rows * s->cols), sizeof *w);
    assert_non_null(w);
    fill_weights(w, rows, s->cols, seed);
    struct tensor t = {.name = "w", .type = DTYPE_F32, .n_dims = 2, .shape = {rows, s->cols, 1, 1}, .data = w};
    t.bytes = (size_t)(rows * s->cols) * sizeof *w;
    t.owned = w;
    assert_ok(backend_parse(&how, s->spec, &e), &e);
    assert_ok(matrix_pack(&m, &t, &how, NULL, &e), &e);
    return m;
}

static inline void make_fast(struct matrix *m)
{
    struct error e;
    assert_ok(matrix_make_tiles(m, MATH_FAST, "w", &e), &e);
}

/* All weights. To be freed. */
static inline float *weights_of(const struct matrix *m)
{
    float *w = calloc((size_t)(m->rows * m->cols), sizeof *w);
    assert_non_null(w);
    matrix_unpack(m, 0, m->rows, w);
    return w;
}

/* Of a matrix in exact math, the block of inputs that each column is quantized with: so many columns in order, or so
 * many of those of a group of weights. To be freed. */
static inline int64_t *blocks_of(const struct matrix *m, const struct sort *s, int64_t *count)
{
    int64_t *block = calloc((size_t)m->cols, sizeof *block);
    assert_non_null(block);
    const struct gptq_codes *q = gptq_codes_of(m);
    int64_t each = s->input == BY_256 ? 256 : 32, group = s->group > 0 ? s->group : m->cols, next = 0;
    for (int64_t g = 0; g < (q ? q->groups : (m->cols + group - 1) / group); g++) {
        int64_t seen = 0;
        for (int64_t c = 0; c < m->cols; c++) {
            if ((q ? gptq_group_of(q, c) : c / group) != g) continue;
            next += seen++ % each == 0;
            block[c] = next - 1;
        }
    }
    *count = next;
    return block;
}

#endif
