#include "engine/base/table.h"
#include "engine/base/memory.h"
#include "engine/base/siphash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static uint64_t hash_bytes(const struct table *t, const char *s, size_t n) { return siphash(t->secret, s, n); }

/* Where the system has no random bytes yet, a secret that at least differs from run to run. */
static void draw_secret(struct table *t)
{
    if (getrandom(t->secret, sizeof t->secret, GRND_NONBLOCK) == (ssize_t)sizeof t->secret) return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    t->secret[0] = (uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec;
    t->secret[1] = (uint64_t)(uintptr_t)t->slots ^ (uint64_t)getpid() << 48;
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
    const bool first = !t->slots;
    memcpy(bigger.secret, t->secret, sizeof t->secret);
    free(t->slots);
    *t = bigger;
    if (first) draw_secret(t);
    return 0;
}

int table_add(struct table *t, const char *key, size_t length, int64_t value, bool *was_there, struct error *e)
{
    if (2 * (t->count + 1) > t->capacity && grow(t, e)) return ERROR_IO;
    uint64_t hash = hash_bytes(t, key, length);
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
    const struct table_slot *s = slot_of(t, key, length, hash_bytes(t, key, length));
    if (s->key) *value = s->value;
    return s->key != NULL;
}

void table_free(struct table *t)
{
    free(t->slots);
    *t = (struct table){0};
}
