/* The search behind the encoders of blocks whose scales are integers: K-quants and IQ4.
 *
 *     static const struct scheme s = {.size = 32, .per = 8, .high = 15, .most = 63, ...};
 *     KERNEL(encode_by_search)(&s, store_q4_k, 144, x, importance, out, n);
 *
 * A value of sub-block j is d scales[j] q - dmin minima[j], with float16 d and dmin of its super-block and codes q. 16
 * sub-blocks are searched at once, each in a lane of its own, so that no sum runs across lanes:
 *
 *  1. real scales and offsets: a grid about those that the extreme values ask for. The nearest codes of each grid point
 *     give the line of least squares for them, as in Lloyd's algorithm (1982), and the best line is kept;
 *  2. d and dmin such that the largest scale and minimum come to the end of their integers, or nearly;
 *  3. of the integers about the real ones, those with the least error, all codes chosen anew;
 *  4. d and dmin of least squares for these integers and codes, and 3 again, near by.
 *
 * Squared errors are weighted with the importance. What counts is what a decoder will see: d and dmin are rounded to 16
 * bits before 3. The best of several starts at 2 is written. */
#ifndef KERF_ENGINE_KERNELS_PORTABLE_SEARCH_H
#define KERF_ENGINE_KERNELS_PORTABLE_SEARCH_H

#include "engine/kernels/portable/portable.h"

enum { SEARCH_LANES = 16, SEARCH_ROWS = 32 };

struct scheme {
    int size;         /* values in a sub-block: 16 or 32 */
    int per;          /* sub-blocks in a super-block: 1, 8 or 16 */
    int low, high;    /* codes; of a codebook their values */
    bool codebook;    /* codes are places in iq4_values */
    int least, most;  /* scales */
    int most_minimum; /* minima are 0 .. this; 0: the type has none */
    int starts;       /* of 2: how many d are tried */
    int rounds;       /* of 4 */
    int reach;        /* at 3, how far from the nearest integer scales are tried */
    int weighted_reach;
};

/* Of 16 sub-blocks, in the order of the values. */
struct chosen {
    uint16_t d[SEARCH_LANES], dmin[SEARCH_LANES]; /* float16, the same in all sub-blocks of a super-block */
    int scales[SEARCH_LANES], minima[SEARCH_LANES];
    uint8_t codes[SEARCH_LANES * SEARCH_ROWS]; /* [16, size] q - low, or the place in the codebook */
};

/* Writes the super-block whose first sub-block is `first`. */
typedef void store_block(const struct chosen *c, int first, uint8_t *out);

/* n: a multiple of a super-block's values. bytes: of a super-block. */
void KERNEL(encode_by_search)(const struct scheme *s, store_block *store, size_t bytes, const float *x /* [n] */,
                              const float *importance /* [n] or NULL */, uint8_t *out, int64_t n);

/* The low nibbles of 2 n codes: those of the first n are low in their bytes, those of the other n high. */
static inline void store_nibbles(const uint8_t *codes /* [2 n] */, int n, uint8_t *out /* [n] */)
{
    for (int i = 0; i < n; i++) out[i] = (uint8_t)((codes[i] & 15) | (codes[i + n] & 15) << 4);
}

#endif
