#include "engine/base/table.h"
#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static struct table_slot *slot_of(const struct table *t, const char *key, size_t length, uint64_t hash)
{
    for (size_t i = (size_t)hash & (t->capacity - 1);; i = (i + 1) & (t->capacity - 1)) {
        struct table_slot *s = &t->slots[i];
        if (!s->key || (s->hash == hash && s->length == length && memcmp(s->key, key, length) == 0)) return s;
    }
}

static int grow(struct table *t, struct error *e)
{
    struct table bigger = {.capacity = t->capacity ? t->capacity * 2 : 64, .count = t->count};
    bigger.slots = memory_new(bigger.capacity, sizeof *bigger.slots, "a hash table", e);
    if (!bigger.slots) return ERROR_IO;
    for (size_t i = 0; i < t->capacity; i++) {
        const struct table_slot *s = &t->slots[i];
        if (s->key) *slot_of(&bigger, s->key, s->length, s->hash) = *s;
    }
    free(t->slots);
    *t = bigger;
    return 0;
}

int table_add(struct table *t, const char *key, size_t length, int64_t value, bool *was_there, struct error *e)
{
    if (2 * (t->count + 1) > t->capacity && grow(t, e)) return ERROR_IO;
    uint64_t hash = hash_bytes(key, length);
    struct table_slot *s = slot_of(t, key, length, hash);
    if (was_there) *was_there = s->key != NULL;
    if (s->key) return 0;
    *s = (struct table_slot){key, length, value, hash};
    t->count++;
    return 0;
}

bool table_find(const struct table *t, const char *key, size_t length, int64_t *value)
{
    if (!t->count) return false;
    const struct table_slot *s = slot_of(t, key, length, hash_bytes(key, length));
    if (s->key) *value = s->value;
    return s->key != NULL;
}

void table_free(struct table *t)
{
    free(t->slots);
    *t = (struct table){0};
}
