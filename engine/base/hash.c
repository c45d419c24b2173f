#include "engine/base/hash.h"

#include <stdint.h>
#include <stdio.h>

void hash_init(struct hash *h) { sha256_init(&h->sha256); }

void hash_update(struct hash *h, const void *data, size_t n) { sha256_update(&h->sha256, n, data); }

void hash_finish(struct hash *h, char hex[HASH_HEX])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&h->sha256, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void hash_hex(const void *data, size_t n, char hex[HASH_HEX])
{
    struct hash h;
    hash_init(&h);
    hash_update(&h, data, n);
    hash_finish(&h, hex);
}
