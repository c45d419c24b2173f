/* The layouts of blocks, as they are drawn where the formats come from (ggml-quants.c, gguf-py), value by value: what
 * decoders are checked with, and written without them.
 *
 *     const struct layout *l = layout_of(DTYPE_Q4_K);              NULL for a type without
 *     float wanted = (float)l->value(block, 17);
 *
 * Scales have 11 bits, what multiplies them no more than 13, so that products are exact in float32 and the one rounding
 * is that of adding the minimum: decoders must give the double rounded once, bit for bit. */
#ifndef KERF_CLI_KERNELS_LAYOUTS_H
#define KERF_CLI_KERNELS_LAYOUTS_H

#include "engine/tensor.h"

struct layout {
    enum dtype_id type;
    double (*value)(const uint8_t *block, int i);
    int scales[2]; /* the bytes where 16-bit scales begin; -1: none */
};

const struct layout *layout_at(size_t i); /* NULL past the last */
const struct layout *layout_of(int type); /* NULL: there is none */

/* The most that a value of this block may be off by after encoding without an importance, where that is a theorem of
 * the rounding: the scale is the largest magnitude (or the range, where there is a minimum) by the number of levels, and
 * a value is off by half a step, by one where its sign is that of the shorter end. INFINITY: nothing is known, since
 * scales are searched or 16 bits do not hold them. */
double encoding_bound(int type, const float *x /* [block] */);

#endif
