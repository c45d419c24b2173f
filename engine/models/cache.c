/* Keys and values of one sequence. */
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <stdlib.h>
#include <string.h>

size_t cache_position_bytes(const struct model *m)
{
    return (size_t)(m->hyper.layers * m->hyper.kv_heads * m->hyper.head) * 2 * sizeof(float);
}

static int64_t key_tiles(const struct cache *c, int64_t capacity)
{
    return (c->start % KEY_TILE + capacity + KEY_TILE - 1) / KEY_TILE;
}

static int64_t kv_heads(const struct cache *c) { return c->width / c->head; }

float *cache_keys(const struct cache *c, int64_t layer, int64_t kv_head)
{
    return c->k + ((layer - c->first_layer) * kv_heads(c) + kv_head) * c->key_tiles * c->head * KEY_TILE;
}

float *cache_values(const struct cache *c, int64_t layer)
{
    return c->v + (layer - c->first_layer) * c->capacity * c->width;
}

/* Room for more positions, what there is moved into it. Behind the last value there is as much as a kernel may read
 * beyond it. */
static int resize(const struct cache *c, int64_t capacity, struct cache *out, struct error *e)
{
    *out = *c;
    out->capacity = capacity;
    out->key_tiles = key_tiles(c, capacity);
    size_t values = (size_t)(c->layers * capacity), heads = (size_t)(c->layers * kv_heads(c)), row = (size_t)c->width;
    size_t head = (size_t)c->head * KEY_TILE * sizeof *c->k;
    out->k = memory_new(heads * (size_t)out->key_tiles, head, "keys", e);
    out->v = out->k ? memory_new(values * row + KEY_TILE, sizeof *c->v, "values", e) : NULL;
    if (!out->v) {
        free(out->k);
        return ERROR_IO;
    }
    for (size_t i = 0; c->k && i < heads; i++)
        memcpy((char *)out->k + i * (size_t)out->key_tiles * head, (const char *)c->k + i * (size_t)c->key_tiles * head,
               (size_t)key_tiles(c, c->length - c->start) * head);
    for (int64_t i = 0; c->v && i < c->layers; i++)
        memcpy(out->v + i * capacity * c->width, c->v + i * c->capacity * c->width,
               (size_t)(c->length - c->start) * row * sizeof *c->v);
    return 0;
}

int cache_reserve(struct cache *c, int64_t positions, struct error *e)
{
    if (positions <= c->capacity) return 0;
    struct cache larger;
    int status = resize(c, positions > 2 * c->capacity ? positions : 2 * c->capacity, &larger, e);
    if (status) return status;
    free(c->k);
    free(c->v);
    *c = larger;
    return 0;
}

struct cache *cache_new(const struct model *m, struct cache *prefix, int64_t prefix_length, int64_t capacity,
                        struct error *e)
{
    struct cache *c = memory_new(1, sizeof *c, "a cache", e);
    if (!c) return NULL;
    c->prefix = prefix;
    c->start = c->length = prefix ? prefix_length : 0;
    c->head = m->hyper.head;
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
    if (resize(c, c->capacity, copy, e) == 0) return copy;
    free(copy);
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
