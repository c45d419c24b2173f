/* What products of quantized matrices are checked with: tiles and inputs of every kind and size.
 *
 *     struct sample w;
 *     struct quantized x;
 *     if (sample_make(&w, m, TILE_U4, 3, 512, RANDOM, &random, e)) return e->code;     3 tiles of 512 columns
 *     if (quantized_make(&x, m, w.format, n, 512, e)) ...                               n rows of inputs, not filled
 *     quantize_rows(k, w.format, inputs, n, 512, &x);
 *     double y = sample_product(&w, tile, row, &panel, &x, &bound);
 *     sample_drop(&w);                                    the buffers are m's
 *
 * A row of a sample lies in the order of files, which decode() knows, and is put in the order of tiles here, from what
 * tiles.h says alone. */
#ifndef KERF_CLI_KERNELS_SAMPLES_H
#define KERF_CLI_KERNELS_SAMPLES_H

#include "cli/kernels/check.h"
#include "engine/base/random.h"

#include <math.h>

enum { MOST_TILES = 5 };

/* What tiles and inputs are filled with. */
enum content {
    RANDOM,
    ZEROS, /* every byte */
    LOW,   /* every code the least, with random scales */
    HIGH,  /* every bit of the codes, likewise */
    LARGE, /* scales of 65504, the largest that 16 bits have; inputs whose own scale nearly is */
    TINY,  /* scales without leading bit */
    CONTENTS,
};

struct sample {
    int kind, tiles;
    const struct tile_format *format;
    int64_t cols;
    struct tile tile[MOST_TILES];
    double *weight; /* [tiles * TILE_ROWS, cols]: rounded once to float32 where a minimum is added */
};

static inline bool is_ggml(int kind) { return kind < DTYPE_LIMIT; }
/* Whether field h of 16 bits is a float; the other of IQ4_XS is bits of scales. */
static inline bool is_scale(int kind, int h) { return kind != DTYPE_IQ4_XS || h == 0; }
uint8_t random_byte(struct random *r, enum content content);
uint16_t random_half(struct random *r, enum content content);

/* cols: a multiple of the format's block; tiles: MOST_TILES at most. Dropped where it fails. */
int sample_make(struct sample *s, struct kernel_memory *m, int kind, int tiles, int64_t cols, enum content content,
                struct random *r, struct error *e);
void sample_drop(struct sample *s);
/* Row r of a tile from its blocks in the order of files: halves of all rows, one field after the other, then the other
 * bytes by fours. */
void put_row(const struct tile_format *f, const uint8_t *row, int64_t cols, int r, uint8_t *tile);

/* Where a format has no offsets, a touch of them ends in a signal: they are NULL. */
int panel_make(struct panel *p, struct kernel_memory *m, const struct tile_format *f, int64_t cols, struct error *e);
int quantized_make(struct quantized *x, struct kernel_memory *m, const struct tile_format *f, int64_t n, int64_t cols,
                   struct error *e);
struct quantized quantized_row(const struct tile_format *f, const struct quantized *x, int64_t i, int64_t cols);
void quantize_rows(const struct kernels *k, const struct tile_format *f, const float *x, int64_t n, int64_t cols,
                   const struct quantized *out);
void fill_inputs(float *x /* [n] */, int64_t n, enum content content, struct random *r);

/* The sum of weights, scales and codes of one row of inputs, for row r of tile t, and how far from it the formula of
 * tiles.h may be; infinite where the parts leave float32's range, so that nothing is known. */
double sample_product(const struct sample *s, int t, int r, const struct panel *w, const struct quantized *x,
                      double *bound);

/* Which NaN it is depends on the machine. */
bool same_float(float a, float b);

#endif
