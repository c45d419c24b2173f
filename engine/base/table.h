/* A hash table from byte strings to numbers: vocabularies, tensor names, metadata keys.
 *
 *     struct table t = {0};
 *     if (table_add(&t, name, strlen(name), 7, NULL, e)) return e->code;
 *     int64_t id;
 *     if (table_find(&t, "x", 1, &id)) ...
 *     table_free(&t);
 *
 * Keys are not copied: they must outlive the table. Open addressing at most half full, hashed
 * under a secret of the table's own: linear time for any keys, whoever chose them. Nothing comes out in the order of the
 * hashes. */
#ifndef KERF_ENGINE_BASE_TABLE_H
#define KERF_ENGINE_BASE_TABLE_H

#include "engine/base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
    const char *key;
    size_t length;
    int64_t value;
    uint64_t hash;
};

struct table {
    struct table_slot *slots;
    size_t capacity, count;
    uint64_t secret[2]; /* drawn with the first slots */
};

/* Adds key unless it is there; *was_there (may be NULL) tells, and then the old value stays. */
int table_add(struct table *t, const char *key, size_t length, int64_t value, bool *was_there, struct error *e);
bool table_find(const struct table *t, const char *key, size_t length, int64_t *value);
void table_free(struct table *t);

#endif
