/* Tiles: how a matrix lies in memory for fast math, and what its inputs become.
 *
 * TILE_ROWS rows stand side by side. A row's block of `bytes` bytes is `halves` fields of 16 bits and then dwords of 32;
 * in a tile the first field of all rows comes first, then the second, so that one load takes the same dword of 16 rows:
 *
 *     tile of a block:   halves [halves][TILE_ROWS] of 16 bits, dwords [(bytes - 2 halves) / 4][TILE_ROWS] of 32 bits
 *     a tile:            [cols / block] of these
 *
 * It is the same bytes in another order. Unpacked, a tile is codes of 8 bits, four columns of a row in a lane:
 *
 *     codes [cols / 4][TILE_ROWS][4],  scales [cols / group][TILE_ROWS],  offsets the same or none
 *     weight = scale (code - zero) + offset
 *
 * Inputs are quantized as llama.cpp does (ggml-quants.c): blocks of 32 with d = max |x| / 127 as float16 (Q8_0), or
 * of 256 with a float32 d = -m / 127, m the value furthest from zero (Q8_K); q = round(x / d) by the d before it is
 * made float16, halves to even.
 *
 *     y = sum over blocks, in order, of d (sum over groups of scale (sum of (code - zero) q) + offset (sum of q))
 *
 * Sums of products are exact in int32; the rest is float32 with fused multiply-adds in this order, so that a y has the
 * same bits under every instruction set and beside any others. */
#ifndef KERF_ENGINE_KERNELS_TILES_H
#define KERF_ENGINE_KERNELS_TILES_H

#include "engine/tensor.h"

enum { TILE_ROWS = 16 };

/* The GGML family's types have their own numbers; the rest are codes without scales of their own (struct tile has
 * them): of 8 bits with a sign, and of 8, 4, 3 and 2 without. Of 3 bits the low two lie before the third. */
enum tile_kind { TILE_I8 = DTYPE_LIMIT, TILE_U8, TILE_U4, TILE_U3, TILE_U2, TILE_KINDS };

enum input_kind {
    INPUT_F32,  /* as they are: float32 weights */
    INPUT_F16,  /* rounded to float16, and multiplied in float32: float16 weights */
    INPUT_BF16, /* rounded to bfloat16 likewise */
    INPUT_Q8_0, /* 8 bits in blocks of 32 */
    INPUT_Q8_K, /* 8 bits in blocks of 256 */
};

struct tile_format {
    const char *name;
    enum input_kind input;
    int block;      /* columns of a block */
    int bytes;      /* of a row's block */
    int halves;     /* fields of 16 bits, which come first in a tile */
    int half_at[3]; /* where they are in a row's block; the dwords are the rest in order */
    int group;      /* columns that share a scale: 16 or 32 */
    int zero;       /* the code that is taken off; codes with one of their own (struct tile) have it in their offset */
    bool wide;      /* codes reach beyond 127 */
    bool offset;
};

/* One tile of a matrix. */
struct tile {
    const uint8_t *bytes;
    int64_t cols; /* a multiple of the format's block */
    /* Where the format's bytes have no scales: for every group of columns TILE_ROWS scales, float32 for TILE_I8 and
     * float16 for the others, and TILE_ROWS zero points, int8_t for TILE_I8 and uint8_t for the others; zeros may be
     * NULL for TILE_I8: all 0. */
    const int32_t *group_of; /* [cols / 32] */
    const void *scales, *zeros;
};

/* One unpacked tile. */
struct panel {
    uint8_t *codes; /* [cols / 4][TILE_ROWS][4] */
    float *scales;  /* [cols / group][TILE_ROWS] */
    float *offsets; /* the same; unused where the format has none */
};

/* Quantized rows of inputs. */
struct quantized {
    int8_t *q;    /* [n, cols] */
    float *d;     /* [n, cols / block] */
    int32_t *fix; /* [n, cols / group]: what the sum of a group's products begins with: takes `zero` off the codes */
    float *sum;   /* [n, cols / group]: sum of q; unused without offsets */
};

struct tile_kernels {
    struct tile_format format;
    void (*unpack)(const struct tile *t, const struct panel *out);
    /* One row of x times the transpose of a tile: the bits of unpack() and products(). */
    void (*dot)(const struct tile *t, const struct quantized *x, float *y /* [TILE_ROWS] */);
    /* Exact math: the weights themselves, which no rounding but that of the sum with the offset touches: a product of a
     * scale and a code fits into 24 bits. (Not for codes with scales of their own.) */
    void (*weights)(const struct tile *t, float *out /* [cols][TILE_ROWS] */);
    /* One row of inputs as they are times the transpose of one or two tiles: the bits of weights() and gemm(). */
    void (*dot_weights)(const struct tile *t /* [count] */, int count, const float *x /* [cols] */,
                        float *y /* [count * TILE_ROWS] */);
};

/* Floats need no scales: a tile is [cols][TILE_ROWS] of them. Sums run in chunks of GEMM_CHUNK columns. */
enum { FLOAT_TILE_TYPES = DTYPE_LIMIT };

struct float_tile_kernels {
    void (*unpack)(const uint8_t *tile, int64_t cols, float *out /* [cols][TILE_ROWS] */);
    /* One row of x times the transpose of `count` tiles, `tile_bytes` from one to the next: the bits of gemm(). */
    void (*dot)(const uint8_t *tiles, size_t tile_bytes, int64_t count, const float *x /* [cols] */, int64_t cols,
                float *y /* [count * TILE_ROWS] */);
};

#endif
