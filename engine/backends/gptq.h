/* GPTQ's matrices: codes of 2, 3, 4 or 8 bits with a float16 scale and a zero point for each row and group of columns;
 * w = scale (q - zero).
 *
 * Hugging Face's layout, of a matrix [rows, cols] = [outputs, inputs]:
 *     qweight I32 [cols / 32 * bits, rows]      column by column, codes packed from the low bits up along the inputs;
 *                                               32 codes of 3 bits lie across 3 words
 *     qzeros  I32 [groups, rows / 32 * bits]    the same along the outputs: zero - 1 ("gptq", v1) or zero ("gptq_v2")
 *     scales  F16 [groups, rows]
 *     g_idx   I32 [cols]                        the group of each column; may be absent: c / group size
 *
 * A zero point of 0 is stored in v1 as all ones, and read back modulo 2^bits; programs differ there (some read 2^bits),
 * so grids made here have none. In memory a row's codes lie together. */
#ifndef KERF_ENGINE_BACKENDS_GPTQ_H
#define KERF_ENGINE_BACKENDS_GPTQ_H

#include "engine/backends/backend.h"
#include "engine/formats/gptq_config.h"

/* What a matrix of the backends gptq and rtn owns: matrix.own. */
struct gptq_codes {
    int64_t bits, group, groups; /* group: columns of one, the last may have fewer */
    int64_t words;               /* of a row's codes */
    uint32_t *codes;             /* [rows, words], from the low bits up; a code may lie across two words */
    uint16_t *scales;            /* [rows, groups] float16 */
    uint8_t *zeros;              /* [rows, groups] */
    int32_t *g_idx;              /* [cols]; NULL: c / group */
};

extern const struct backend backend_gptq, backend_rtn;

/* NULL where the matrix belongs to another backend, or was made fast: its codes are in tiles then. */
struct gptq_codes *gptq_codes_of(const struct matrix *m);
/* A matrix of zeros; `indexed`: with a g_idx. Freed by matrix_free(), also after a failure. */
int gptq_codes_new(struct matrix *out, int64_t rows, int64_t cols, int64_t bits, int64_t group, bool indexed,
                   const char *name, struct error *e);
/* Error of a row whose weights need a scale beyond float16. */
int gptq_too_large(const char *name, int64_t row, struct error *e);

static inline int64_t gptq_group_of(const struct gptq_codes *q, int64_t c)
{
    return q->g_idx ? q->g_idx[c] : c / q->group;
}

/* Sets the i-th field of so many bits, which was 0. */
static inline void gptq_put(uint32_t *words, int64_t bits, int64_t i, uint32_t value)
{
    int64_t bit = i * bits, over = bit % 32 + bits - 32;
    words[bit / 32] |= value << bit % 32;
    if (over > 0) words[bit / 32 + 1] |= value >> (bits - over);
}

/* A matrix as a checkpoint holds it; the tensors are only read. */
struct gptq_stored {
    const char *name; /* of the matrix, for messages: "model.layers.0.self_attn.q_proj" */
    const struct tensor *qweight, *qzeros, *scales;
    const struct tensor *g_idx; /* NULL: groups of group_size columns in order */
    int64_t group_size;         /* columns of a group, -1: all */
    enum gptq_zeros zeros;
};

/* Repacks a stored matrix, bit for bit; after a failure there is nothing to free. Shapes and types that do not fit, g_idx out of range and scales that are zero,
 * negative or not finite are ERROR_INPUT or ERROR_NUMBER with tensor and index; the bits follow from the shapes. */
int gptq_adopt(struct matrix *out, const struct gptq_stored *w, int64_t rows, int64_t cols, struct error *e);

/* How far the weights' mean lies from zero, as a share of the mean scale, under each reading of the zero points: what is
 * read the right way is centred, the other way it is a whole step off. */
struct gptq_centring {
    double v1, v2;
    int64_t weights;
};
/* Adds a stored matrix to what was seen (start from zeros); divides when it is asked. */
void gptq_centre(const struct gptq_stored *w, struct gptq_centring *sum);

/* Which convention the zero points of a checkpoint's matrices speak for. Weights are centred: read the right way their
 * mean is a small part of a step from zero, read the other way it is a whole step further. Start from zeros. */
struct gptq_evidence {
    double v1, v2; /* sums over all weights of their distance from zero, in steps */
    double weights;
    int64_t matrices;
    int64_t v1_nearer;        /* matrices that are better centred as v1 */
    int64_t middle1, middle2; /* matrices whose zero points are all 2^(bits - 1) as v1, as v2: symmetric grids */
};
/* m: the matrix that was adopted from w. */
void gptq_evidence_add(struct gptq_evidence *g, const struct gptq_stored *w, const struct matrix *m);
/* Whether all matrices together speak clearly against the convention they were read by; `what` says why and names the
 * way out. */
bool gptq_evidence_contradicts(const struct gptq_evidence *g, enum gptq_zeros read_as, char *what, size_t size);

/* The matrix in Hugging Face's layout, in new memory. */
struct gptq_parts {
    int32_t *qweight, *qzeros, *g_idx;
    uint16_t *scales;
    int64_t words, zero_words, groups; /* rows of qweight, columns of qzeros, rows of scales */
};
int gptq_unadopt(const struct matrix *m, enum gptq_zeros zeros, struct gptq_parts *out, struct error *e);
void gptq_parts_free(struct gptq_parts *p);

/* What the options of a gptq or rtn backend say, for the checkpoint's configuration. */
struct gptq_settings {
    int64_t bits, group; /* bits 0: as stored; group -1: all columns */
    bool act_order, static_groups, symmetric, sequential, mse;
    double damping;
    int64_t block; /* columns whose errors are carried on together */
    int64_t samples, length;
    enum gptq_zeros zeros; /* as given; 0: not given */
};
/* NULL where the backend is neither. */
const struct gptq_settings *gptq_settings_of(const struct backend_options *o);
/* The object that goes into quantize_config.json and config.json, keys and values as the readers that gptq_config.h names
 * expect them: `how` is a gptq or rtn backend with bits, `quantizer` who wrote it ("kerf:0.1.0"). NULL when memory ran
 * out. */
json_t *gptq_config_write(const struct backend_options *how, enum gptq_zeros zeros, const char *quantizer);

/* The solver, in gptq_solve.c: codes for w [rows, cols] that make the outputs' error small (Frantar et al. 2022, "GPTQ",
 * algorithm 1). `name` is for messages. The BLAS must have been opened. */
int gptq_solve(struct matrix *out, const struct matrix *w, const struct hessian *h, const struct gptq_settings *s,
               const char *name, struct calibrated *report, struct error *e);

#endif
