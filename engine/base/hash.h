/* SHA-256 (FIPS 180-4, by Nettle) for fingerprints.
 *
 *     char hex[HASH_HEX];
 *     hash_hex(data, n, hex);
 *
 *     struct hash h;
 *     hash_init(&h);
 *     hash_update(&h, data, n);       as often as there are pieces
 *     hash_finish(&h, hex);
 */
#ifndef KERF_ENGINE_BASE_HASH_H
#define KERF_ENGINE_BASE_HASH_H

#include <nettle/sha2.h>
#include <stddef.h>

enum { HASH_HEX = 65 }; /* 64 hexadecimal digits and a NUL */

struct hash {
    struct sha256_ctx sha256;
};

void hash_init(struct hash *h);
void hash_update(struct hash *h, const void *data, size_t n);
void hash_finish(struct hash *h, char hex[HASH_HEX]);
void hash_hex(const void *data, size_t n, char hex[HASH_HEX]); /* the three in one */

#endif
