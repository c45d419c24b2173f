#include "engine/tokenizers/merge.h"

#include "engine/base/memory.h"
#include <stdlib.h>
#include <string.h>

/* Never 0, since left is not negative. */
static uint64_t pair_key(int32_t left, int32_t right) { return (uint64_t)((int64_t)left + 1) << 32 | (uint32_t)right; }

static size_t pair_slot(uint64_t key, size_t capacity)
{
    const uint64_t h = key * 0x9e3779b97f4a7c15u;
    return (size_t)(h ^ h >> 32) & (capacity - 1);
}

static struct pair *find_slot(struct pair *slots, size_t capacity, uint64_t key)
{
    size_t i = pair_slot(key, capacity);
    while (slots[i].key && slots[i].key != key) i = (i + 1) & (capacity - 1);
    return slots + i;
}

static int pairs_grow(struct pairs *p, struct error *e)
{
    const size_t capacity = p->capacity ? p->capacity * 2 : 64;
    struct pair *slots = memory_new(capacity, sizeof *slots, "merge pairs", e);
    if (!slots) return e->code;
    for (size_t i = 0; i < p->capacity; i++)
        if (p->slots[i].key) *find_slot(slots, capacity, p->slots[i].key) = p->slots[i];
    free(p->slots);
    p->slots = slots;
    p->capacity = capacity;
    return 0;
}

int pairs_add(struct pairs *p, int32_t left, int32_t right, uint32_t rank, int32_t into, bool *was_there,
              struct error *e)
{
    if (2 * (p->count + 1) > p->capacity && pairs_grow(p, e)) return e->code;
    const uint64_t key = pair_key(left, right);
    struct pair *slot = find_slot(p->slots, p->capacity, key);
    const bool there = slot->key != 0;
    if (was_there) *was_there = there;
    if (there) return 0;
    *slot = (struct pair){key, rank, into};
    p->count++;
    return 0;
}

const struct pair *pairs_find(const struct pairs *p, int32_t left, int32_t right)
{
    if (!p->count || left < 0 || right < 0) return NULL;
    const struct pair *slot = find_slot(p->slots, p->capacity, pair_key(left, right));
    return slot->key ? slot : NULL;
}

void pairs_free(struct pairs *p)
{
    free(p->slots);
    *p = (struct pairs){0};
}

void merge_scan(const struct pairs *p, struct symbol *s, size_t *n)
{
    const struct pair *pair[MERGE_SCAN_MAX]; /* pair[i] is that of s[i] and s[i + 1] */
    size_t count = *n;
    for (size_t i = 0; i + 1 < count; i++) pair[i] = pairs_find(p, s[i].id, s[i + 1].id);
    for (;;) {
        size_t best = count;
        for (size_t i = 0; i + 1 < count; i++)
            if (pair[i] && (best == count || pair[i]->rank < pair[best]->rank)) best = i;
        if (best == count) break;
        s[best].id = pair[best]->into;
        count--;
        memmove(s + best + 1, s + best + 2, (count - best - 1) * sizeof *s);
        if (best + 1 < count) {
            memmove(pair + best + 1, pair + best + 2, (count - best - 2) * sizeof *pair);
            pair[best] = pairs_find(p, s[best].id, s[best + 1].id);
        }
        if (best) pair[best - 1] = pairs_find(p, s[best - 1].id, s[best].id);
    }
    *n = count;
}

struct merge_link {
    const struct pair *pair; /* of this symbol and the next one; NULL: none, or the symbol is gone */
    uint32_t previous, next;
};

/* An entry is rank << 32 | symbol, so the order of numbers is the order of merging. An entry is out of date when the
 * symbol's pair no longer has that rank: it is dropped when it comes up, never looked for. */
struct merge_heap {
    uint64_t *at;
    size_t count;
};

static void heap_down(struct merge_heap *h, size_t i)
{
    const uint64_t entry = h->at[i];
    for (size_t child; (child = 2 * i + 1) < h->count; i = child) {
        if (child + 1 < h->count && h->at[child + 1] < h->at[child]) child++;
        if (h->at[child] >= entry) break;
        h->at[i] = h->at[child];
    }
    h->at[i] = entry;
}

static void heap_push(struct merge_heap *h, uint64_t entry)
{
    size_t i = h->count++;
    for (; i && h->at[(i - 1) / 2] > entry; i = (i - 1) / 2) h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = entry;
}

static uint64_t heap_pop(struct merge_heap *h)
{
    const uint64_t entry = h->at[0];
    h->at[0] = h->at[--h->count];
    if (h->count) heap_down(h, 0);
    return entry;
}

static void pair_up(const struct pairs *p, const struct symbol *s, struct merge_link *links, uint32_t i, size_t n,
                    struct merge_heap *h)
{
    links[i].pair = links[i].next < n ? pairs_find(p, s[i].id, s[links[i].next].id) : NULL;
    if (links[i].pair) heap_push(h, (uint64_t)links[i].pair->rank << 32 | i);
}

int merge_heap(const struct pairs *p, struct symbol *s, size_t *n, struct merge_work *work, struct error *e)
{
    const size_t count = *n;
    if (count >= UINT32_MAX) return error_set(e, ERROR_INPUT, "text: a word of %zu symbols is too long", count);
    /* each merge takes one entry off and puts at most two on, so there are never more than two for a symbol */
    if (memory_reserve((void **)&work->links, &work->link_capacity, count, sizeof *work->links, "merging", e) ||
        memory_reserve((void **)&work->heap, &work->heap_capacity, 2 * count, sizeof *work->heap, "merging", e))
        return e->code;
    struct merge_link *links = work->links;
    struct merge_heap h = {work->heap, 0};
    for (uint32_t i = 0; i < count; i++) {
        links[i] = (struct merge_link){NULL, i - 1, i + 1};
        pair_up(p, s, links, i, count, &h);
    }
    while (h.count) {
        const uint64_t entry = heap_pop(&h);
        const uint32_t i = (uint32_t)entry;
        if (!links[i].pair || links[i].pair->rank != entry >> 32) continue;
        s[i].id = links[i].pair->into;
        const uint32_t gone = links[i].next;
        links[i].next = links[gone].next;
        links[gone].pair = NULL;
        if (links[i].next < count) links[links[i].next].previous = i;
        pair_up(p, s, links, i, count, &h);
        if (i) pair_up(p, s, links, links[i].previous, count, &h);
    }
    size_t left = 0;
    for (size_t i = 0; i < count; i = links[i].next) s[left++] = s[i];
    *n = left;
    return 0;
}

int merge_symbols(const struct pairs *p, struct symbol *s, size_t *n, struct merge_work *work, struct error *e)
{
    if (*n > MERGE_SCAN_MAX) return merge_heap(p, s, n, work, e);
    merge_scan(p, s, n);
    return 0;
}

void merge_work_free(struct merge_work *work)
{
    free(work->symbols);
    free(work->links);
    free(work->heap);
    *work = (struct merge_work){0};
}

int known_words_open(struct known_words *k, size_t text_length, struct error *e)
{
    /* a short text gets a small table: clearing it must not cost more than encoding the text */
    k->capacity = 16;
    while (k->capacity < text_length / 4 && k->capacity < 32768) k->capacity *= 2;
    k->slots = memory_new(k->capacity, sizeof *k->slots, "known words", e);
    if (!k->slots) return e->code;
    return 0;
}

static struct known_word *find_word(const struct known_words *k, const char *word, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t eight = 0;
        memcpy(&eight, word + i, n - i < 8 ? n - i : 8);
        h = (h ^ eight) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return k->slots + (h & (k->capacity - 1));
}

static int repeat(struct ids *out, size_t at, size_t count, struct error *e)
{
    if (memory_reserve((void **)&out->at, &out->capacity, out->count + count, sizeof *out->at, "token ids", e))
        return e->code;
    memcpy(out->at + out->count, out->at + at, count * sizeof *out->at);
    out->count += count;
    return 0;
}

int known_words_encode(const struct known_words *k, struct word_encoder *w, const char *word, size_t n, struct ids *out,
                       struct error *e)
{
    if (n > KNOWN_WORD_MAX) return w->encode(w, word, n, out, e);
    struct known_word *slot = find_word(k, word, n);
    if (slot->bytes && slot->length == n && memcmp(slot->bytes, word, n) == 0)
        return repeat(out, slot->at, slot->count, e);
    const size_t at = out->count;
    if (w->encode(w, word, n, out, e)) return e->code;
    *slot = (struct known_word){word, (uint32_t)n, (uint32_t)(out->count - at), at};
    return 0;
}

void known_words_free(struct known_words *k)
{
    free(k->slots);
    *k = (struct known_words){0};
}
