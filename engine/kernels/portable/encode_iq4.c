/* float32 to the types whose codes are places in iq4_values, by the search of search.h; the layouts stand at the
 * decoders. */
#include "engine/kernels/portable/search.h"

#include <string.h>

/* size, per, low, high, codebook, least, most, most_minimum, starts, rounds, reach, weighted_reach */
static const struct scheme iq4_nl = {32, 1, -127, 113, true, 1, 1, 0, 1, 2, 0, 0},
                           iq4_xs = {32, 8, -127, 113, true, -32, 31, 0, 3, 2, 2, 8};

static void store_iq4_nl(const struct chosen *c, int first, uint8_t *out)
{
    memcpy(out, c->d + first, 2);
    store_nibbles(c->codes + 32 * first, 16, out + 2);
}

static void store_iq4_xs(const struct chosen *c, int first, uint8_t *out)
{
    unsigned high = 0;
    memcpy(out, c->d + first, 2);
    memset(out + 4, 0, 4);
    for (int j = 0; j < 8; j++) {
        unsigned scale = (unsigned)(c->scales[first + j] + 32);
        high |= scale >> 4 << 2 * j;
        out[4 + j / 2] |= (uint8_t)((scale & 15) << 4 * (j % 2));
        store_nibbles(c->codes + 32 * (first + j), 16, out + 8 + 16 * j);
    }
    out[2] = (uint8_t)high;
    out[3] = (uint8_t)(high >> 8);
}

/* The only scale is d: the integer is 1 in every block. */
void KERNEL(encode_iq4_nl)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    KERNEL(encode_by_search)(&iq4_nl, store_iq4_nl, 18, x, importance, out, n);
}

void KERNEL(encode_iq4_xs)(const float *x, const float *importance, uint8_t *out, int64_t n)
{
    KERNEL(encode_by_search)(&iq4_xs, store_iq4_xs, 136, x, importance, out, n);
}
