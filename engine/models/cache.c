/* Keys and values of one sequence. */
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <stdlib.h>
#include <string.h>

size_t cache_position_bytes(const struct model *m)
{
    return (size_t)(m->hyper.layers * m->hyper.kv_heads * m->hyper.head) * 2 * sizeof(float);
}

/* Moves keys or values into room for more positions; a layer's positions lie together. */
static float *grown(const struct cache *c, const float *old, int64_t capacity, struct error *e)
{
    size_t row = (size_t)c->width * sizeof *old;
    float *room = memory_new((size_t)capacity * (size_t)c->layers, row, "keys and values", e);
    for (int64_t i = 0; room && old && i < c->layers; i++)
        memcpy(room + i * capacity * c->width, old + i * c->capacity * c->width, (size_t)(c->length - c->start) * row);
    return room;
}

int cache_reserve(struct cache *c, int64_t positions, struct error *e)
{
    if (positions <= c->capacity) return 0;
    int64_t capacity = positions > 2 * c->capacity ? positions : 2 * c->capacity;
    float *k = grown(c, c->k, capacity, e), *v = k ? grown(c, c->v, capacity, e) : NULL;
    if (!v) {
        free(k);
        return ERROR_IO;
    }
    free(c->k);
    free(c->v);
    c->k = k;
    c->v = v;
    c->capacity = capacity;
    return 0;
}

struct cache *cache_new(const struct model *m, struct cache *prefix, int64_t prefix_length, int64_t capacity,
                        struct error *e)
{
    struct cache *c = memory_new(1, sizeof *c, "a cache", e);
    if (!c) return NULL;
    c->prefix = prefix;
    c->start = c->length = prefix ? prefix_length : 0;
    c->width = m->hyper.kv_heads * m->hyper.head;
    c->layers = m->hyper.layers;
    if (cache_reserve(c, capacity, e) == 0) return c;
    cache_free(c);
    return NULL;
}

struct cache *cache_copy(const struct cache *c, struct error *e)
{
    struct cache *copy = memory_new(1, sizeof *copy, "a cache", e);
    if (!copy) return NULL;
    *copy = *c;
    copy->k = grown(c, c->k, c->capacity, e);
    copy->v = copy->k ? grown(c, c->v, c->capacity, e) : NULL;
    if (copy->v) return copy;
    cache_free(copy);
    return NULL;
}

void cache_free(struct cache *c)
{
    if (!c) return;
    free(c->k);
    free(c->v);
    free(c);
}

int64_t cache_length(const struct cache *c) { return c->length; }

void cache_truncate(struct cache *c, int64_t length)
{
    if (length < c->length) c->length = length < c->start ? c->start : length;
}

struct cache *cache_of_layer(const struct model *m, int64_t layer, int64_t capacity, struct error *e)
{
    struct cache *c = cache_new(m, NULL, 0, 0, e);
    if (!c) return NULL;
    c->first_layer = layer;
    c->layers = 1;
    if (cache_reserve(c, capacity, e) == 0) return c;
    cache_free(c);
    return NULL;
}
