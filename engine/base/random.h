/* A small seeded generator: SplitMix64 (Steele, Lea, Flood 2014). Two streams with different seeds are independent
 * enough for resampling; the sequence is part of the results, so it never changes. */
#ifndef KERF_ENGINE_BASE_RANDOM_H
#define KERF_ENGINE_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in [0, n), 0 < n < 2^32 (Lemire's multiplication; its bias, below n / 2^32, is far under sampling noise). */
static inline uint32_t random_below(struct random *r, uint32_t n)
{
    return (uint32_t)((random_next(r) >> 32) * n >> 32);
}

/* Uniform in [0, 1), 53 bits. */
static inline double random_unit(struct random *r) { return (double)(random_next(r) >> 11) * 0x1p-53; }

#endif
