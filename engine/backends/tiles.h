/* A matrix in tiles, for fast math (engine/kernels/tiles.h): the bytes of what was packed, in another order.
 *
 *     struct tiles t;
 *     if (tiles_of_type(&t, m, e)) ...                       floats and the GGML family's blocks
 *
 *     if (tiles_of_codes(&t, TILE_U4, rows, cols, &columns, e)) ...     codes whose scales stand apart
 *     tiles_put(&t, row, codes);                             [cols] for every row; scales and zeros are the caller's
 *     ...
 *     tiles_free(&t); */
#ifndef KERF_ENGINE_BACKENDS_TILES_H
#define KERF_ENGINE_BACKENDS_TILES_H

#include "engine/backends/backend.h"
#include "engine/kernels/tiles.h"

/* Codes lie in blocks of 32 columns of one group, so groups of other lengths are filled up with zero codes. */
struct tile_columns {
    int64_t groups, padded; /* padded: a multiple of 32 */
    int32_t *group_of;      /* [padded / 32] */
    int32_t *order;         /* [padded]: the matrix's column, -1 for none; NULL: 0, 1, 2, ... and -1 from cols on */
};

struct tiles {
    enum math math; /* that they serve */
    int kind;       /* enum tile_kind, or a type of floats */
    bool floats;
    int64_t rows, cols;
    int64_t count;             /* of tiles; rows beyond the matrix's are zeros */
    size_t tile_bytes;         /* of one */
    uint8_t *bytes;            /* [count, tile_bytes] */
    struct tile_columns where; /* padded is set for all kinds, the rest for codes */
    uint8_t *scales,
        *zeros;       /* codes: [count, groups, TILE_ROWS] float32, int8_t or float16, uint8_t; zeros may be NULL */
    double threshold; /* inputs above it are not quantized (LLM.int8()) and all others share a scale; 0: none */
};

/* The columns of `cols` in groups: group[c] is c's, in [0, groups); NULL: c / size. To be freed by
 * tile_columns_free(), or given away to tiles_of_codes(). */
int tile_columns_new(struct tile_columns *out, int64_t cols, int64_t groups, const int32_t *group, int64_t size,
                     const char *name, struct error *e);
void tile_columns_free(struct tile_columns *c);

/* From m->data, a type of floats or blocks that has tiles. */
int tiles_of_type(struct tiles *out, const struct matrix *m, const char *name, struct error *e);
/* Zeroed codes, scales and (where asked for) zero points; takes *columns in any case. */
int tiles_of_codes(struct tiles *out, enum tile_kind kind, int64_t rows, int64_t cols, struct tile_columns *columns,
                   bool zeros, const char *name, struct error *e);
/* A row's codes, in the order of the matrix's columns; of TILE_I8 with their sign. */
void tiles_put(struct tiles *t, int64_t row, const uint8_t *codes /* [cols] */);
/* Where the scale and zero point of a row and group stand: the i-th of scales or zeros. */
int64_t tiles_at(const struct tiles *t, int64_t row, int64_t group);
void tiles_free(struct tiles *t);

/* Exact dequantization of rows [row, row + n), the same bits as before they were tiles. */
void tiles_unpack(const struct tiles *t, int64_t row, int64_t n, float *out /* [n, cols] */);
/* Floats and blocks: a row's bytes as files have them. */
void tiles_row(const struct tiles *t, int64_t row, uint8_t *out);
/* Tile i for the kernels. */
struct tile tiles_tile(const struct tiles *t, int64_t i);

/* How a matrix is multiplied as integers; NULL where it is as floats. */
const struct tile_format *tiles_format(const struct matrix *m);
/* Row i of inputs that were quantized for m. */
struct quantized inputs_row(const struct matrix *m, const struct matrix_inputs *x, int64_t i);

#endif
