/* SipHash-1-3: a hash of bytes under a secret, so that nobody can make names whose hashes collide.
 *
 *     uint64_t secret[2];                        drawn at random, once per table
 *     uint64_t h = siphash(secret, name, n);
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, section 2, with c = 1 round for a word and
 * d = 3 at the end: not for signatures, enough against floods of a hash table. */
#ifndef KERF_ENGINE_BASE_SIPHASH_H
#define KERF_ENGINE_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct siphash {
    uint64_t a, b, c, d; /* the paper's v0 to v3 */
};

static inline uint64_t siphash_turn(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

static inline void siphash_round(struct siphash *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = siphash_turn(s->b, 13) ^ s->a;
    s->d = siphash_turn(s->d, 16) ^ s->c;
    s->a = siphash_turn(s->a, 32) + s->d;
    s->c += s->b;
    s->d = siphash_turn(s->d, 21) ^ s->a;
    s->b = siphash_turn(s->b, 17) ^ s->c;
    s->c = siphash_turn(s->c, 32);
}

static inline void siphash_word(struct siphash *s, uint64_t word)
{
    s->d ^= word;
    siphash_round(s);
    s->a ^= word;
}

static inline uint64_t siphash(const uint64_t secret[static 2], const void *data, size_t n)
{
    struct siphash s = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du,
                        secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
    const unsigned char *p = data;
    uint64_t word, last = (uint64_t)n << 56;
    for (size_t left = n; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8); /* little-endian, as every machine that this is built for */
        siphash_word(&s, word);
    }
    for (size_t i = 0; i < n % 8; i++) last |= (uint64_t)p[i] << 8 * i;
    siphash_word(&s, last);
    s.c ^= 0xff;
    for (int i = 0; i < 3; i++) siphash_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

#endif
