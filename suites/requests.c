#include "suites/requests.h"
#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Ids as a place in the pool, since the pool moves while it grows. */
struct slice {
    size_t at;
    int64_t n;
};

struct maker {
    struct requests *r;
    const struct suite *suite;
    const struct model *m;
    const struct tokenizer *t;
    size_t n_items;
    size_t limit; /* of windows that are outcomes; 0: none */
};

static int add_slice(struct requests *r, size_t at, int64_t n, struct error *e)
{
    if (memory_reserve((void **)&r->slices, &r->slice_capacity, r->n_slices + 1, sizeof *r->slices, "requests", e))
        return ERROR_IO;
    r->slices[r->n_slices++] = (struct slice){at, n};
    return 0;
}

/* Opens a group whose context is pool[at, at + n). Parts that are added next belong to it. */
static int add_group(struct requests *r, size_t item, size_t at, int64_t n, struct error *e)
{
    size_t capacity = r->group_capacity;
    if (memory_reserve((void **)&r->groups, &r->group_capacity, r->n_groups + 1, sizeof *r->groups, "requests", e) ||
        memory_reserve((void **)&r->item_of, &capacity, r->n_groups + 1, sizeof *r->item_of, "requests", e))
        return ERROR_IO;
    r->groups[r->n_groups] = (struct group){0};
    r->item_of[r->n_groups++] = item;
    return add_slice(r, at, n, e);
}

static int add_part(struct requests *r, size_t at, int64_t n, struct error *e)
{
    if (memory_reserve((void **)&r->parts, &r->part_capacity, r->n_parts + 1, sizeof *r->parts, "requests", e))
        return ERROR_IO;
    r->parts[r->n_parts++] = (struct part){0};
    r->groups[r->n_groups - 1].n_parts++;
    return add_slice(r, at, n, e);
}

/* Of the window that was added last. */
static int add_extent(const struct maker *k, size_t at, const struct window *w, struct error *e)
{
    struct requests *r = k->r;
    if (memory_reserve((void **)&r->extents, &r->extent_capacity, r->n_groups, sizeof *r->extents, "requests", e))
        return ERROR_IO;
    return extent_of(k->t, r->pool.at + at, w->given, w->given + w->scored, &r->extents[r->n_groups - 1], e);
}

/* Appends the prompt's ids to the pool. */
static int encode_prompt(const struct maker *k, const char *prompt, size_t *at, int64_t *n, struct error *e)
{
    *at = k->r->pool.count;
    if (tokenizer_encode_prompt(k->t, prompt, strlen(prompt), &k->r->pool, e))
        return error_prefix(e, "%s", model_facts(k->m)->path);
    *n = (int64_t)(k->r->pool.count - *at);
    return 0;
}

static int encode_continuation(const struct maker *k, size_t index, const char *target, struct error *e)
{
    struct ids *pool = &k->r->pool;
    struct text whole = {0};
    size_t at = pool->count;
    text_add(&whole, k->suite->delimiter);
    text_add(&whole, target);
    int status = whole.failed ? error_set(e, ERROR_IO, "out of memory for a text")
                              : tokenizer_encode(k->t, text_c(&whole), whole.length, TOKENIZER_CONTINUES, pool, e);
    text_free(&whole);
    if (status) return status;
    int64_t n = (int64_t)(pool->count - at), context = model_hyper(k->m)->context;
    if (!n) return error_set(e, ERROR_INPUT, "%s: item %zu: a continuation has no tokens", k->suite->data_path, index);
    if (n > context)
        return error_set(e, ERROR_INPUT,
                         "%s: item %zu: a continuation of %lld tokens exceeds the context of %lld of %s",
                         k->suite->data_path, index, (long long)n, (long long)context, model_facts(k->m)->path);
    return add_part(k->r, at, n, e);
}

static int make_scored(const struct maker *k, const struct item *item, size_t index, struct error *e)
{
    size_t at = 0;
    int64_t n = 0;
    int status = encode_prompt(k, item->prompt, &at, &n, e);
    if (!status) status = add_group(k->r, index, at, n, e);
    for (size_t i = 0; i < item->n_targets && !status; i++) status = encode_continuation(k, index, item->targets[i], e);
    return status;
}

/* Of a choice between contexts: what the item's one target is scored behind each of. */
static int make_contexts(const struct maker *k, const struct item *item, size_t index, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < item->n_contexts && !status; i++) {
        struct text whole = {0};
        size_t at = 0;
        int64_t n = 0;
        text_add(&whole, item->prompt);
        text_add(&whole, item->contexts[i]);
        status = whole.failed ? error_set(e, ERROR_IO, "out of memory for a text")
                              : encode_prompt(k, text_c(&whole), &at, &n, e);
        text_free(&whole);
        if (!status) status = add_group(k->r, index, at, n, e);
        if (!status) status = encode_continuation(k, index, item->targets[0], e);
    }
    return status;
}

/* The window's tokens are where they stand in the stream, which begins at `at`, or copied where the first is another. */
static int add_window(const struct maker *k, size_t index, size_t at, const struct window *w, struct error *e)
{
    struct requests *r = k->r;
    size_t from = at + (size_t)w->first, copy = r->pool.count;
    int status = 0;
    for (int64_t i = 0; w->reopened && i < w->given + w->scored && !status; i++)
        status = ids_add(&r->pool, i ? r->pool.at[from + (size_t)i] : tokenizer_opening(k->t), e);
    if (w->reopened) from = copy;
    if (!status) status = add_group(r, index, from, w->given, e);
    if (!status) status = add_part(r, from + (size_t)w->given, w->scored, e);
    if (status || k->suite->protocol == PROTOCOL_ROLLING) return status;
    return add_extent(k, from, w, e);
}

static int make_document(const struct maker *k, const struct item *item, size_t index, struct error *e)
{
    struct requests *r = k->r;
    struct windowing how = {k->suite->protocol, r->context, r->stride, 0, tokenizer_adds_bos(k->t)};
    const size_t at = r->pool.count;
    int status = windowing_check(&how, e);
    if (!status) status = stream_encode(k->t, how.protocol, item->targets[0], &r->pool, e);
    if (status) return error_prefix(e, "%s", model_facts(k->m)->path);
    how.tokens = (int64_t)(r->pool.count - at);
    struct window w;
    for (int64_t i = 0; window_at(&how, i, &w) && !status; i++) {
        if (k->limit && how.protocol != PROTOCOL_ROLLING && r->n_groups == k->limit) break;
        status = add_window(k, index, at, &w, e);
    }
    return status;
}

/* All answers to an item, each with its own stream of draws, which no other item shares. */
static int make_generations(const struct maker *k, const struct item *item, size_t index, struct error *e)
{
    size_t at = 0, repeats = k->r->n_generations / k->n_items;
    int64_t n = 0;
    int status = encode_prompt(k, item->prompt, &at, &n, e);
    for (size_t i = 0; i < repeats && !status; i++) {
        const size_t request = index * repeats + i;
        k->r->item_of[request] = index;
        k->r->generations[request] = (struct generation){.limit = k->suite->max_tokens,
                                                         .stops = (const char *const *)k->suite->until,
                                                         .n_stops = k->suite->n_until,
                                                         .stream = (uint64_t)item->index << 16 | i};
        status = add_slice(k->r, at, n, e);
    }
    return status;
}

/* The pool is whole: slices become pointers, in the order in which they were added. */
static void point(struct requests *r)
{
    const struct slice *s = r->slices;
    struct part *part = r->parts;
    struct hash hash;
    hash_init(&hash);
    for (size_t i = 0; i < r->n_slices; i++) {
        hash_update(&hash, &s[i].n, sizeof s[i].n);
        hash_update(&hash, r->pool.at + s[i].at, (size_t)s[i].n * sizeof *r->pool.at);
    }
    hash_finish(&hash, r->token_hash);
    for (size_t i = 0; i < r->n_groups; i++) {
        struct group *g = &r->groups[i];
        g->context = r->pool.at + s->at;
        g->n_context = s++->n;
        g->parts = part;
        for (size_t p = 0; p < g->n_parts; p++, part++, s++) part->ids = r->pool.at + s->at, part->n = s->n;
    }
    for (size_t i = 0; i < r->n_generations; i++, s++) {
        r->generations[i].prompt = r->pool.at + s->at;
        r->generations[i].n_prompt = s->n;
    }
}

static int make_item(const struct maker *k, const struct item *item, size_t index, struct error *e)
{
    switch (k->suite->kind) {
    case OUTCOME_CHOICE:
    case OUTCOME_LIKELIHOOD:
        return item->n_contexts ? make_contexts(k, item, index, e) : make_scored(k, item, index, e);
    case OUTCOME_ROLLING:
        return make_document(k, item, index, e);
    case OUTCOME_GENERATION:
        return make_generations(k, item, index, e);
    }
    return 0;
}

int requests_make(struct requests *r, const struct model *m, const struct suite *s, const struct item *items, size_t n,
                  size_t limit, struct error *e)
{
    *r = (struct requests){.context = model_hyper(m)->context};
    if (s->context && s->context < r->context) r->context = s->context;
    if (s->protocol == PROTOCOL_STRIDED) r->stride = s->stride ? s->stride : (r->context + 1) / 2;
    const struct tokenizer *t = model_tokenizer(m);
    struct maker k = {r, s, m, t, n, limit};
    int status = 0;
    if (s->kind == OUTCOME_GENERATION && s->max_tokens >= model_hyper(m)->context)
        return error_set(e, ERROR_INPUT,
                         "%s: max_gen_toks: %d new tokens leave no room for a prompt in the context of %lld of %s",
                         s->path, s->max_tokens, (long long)model_hyper(m)->context, model_facts(m)->path);
    if (s->kind == OUTCOME_GENERATION) {
        r->n_generations = n * (s->repeats > 1 ? (size_t)s->repeats : 1);
        r->generations = memory_new(r->n_generations, sizeof *r->generations, "requests", e);
        r->item_of = memory_new(r->n_generations, sizeof *r->item_of, "requests", e);
        if (!r->generations || !r->item_of) status = ERROR_IO;
    }
    for (size_t i = 0; i < n && !status; i++) status = make_item(&k, &items[i], i, e);
    if (!status && !r->n_groups && !r->n_generations)
        status = error_set(e, ERROR_INPUT, "%s: shorter than one window of %lld tokens: nothing to score%s",
                           s->data_path, (long long)r->context,
                           s->protocol == PROTOCOL_CHUNKED ? "; give a smaller --context (context: in a suite)" : "");
    if (status) {
        requests_free(r);
        return status;
    }
    point(r);
    return 0;
}

void requests_free(struct requests *r)
{
    for (size_t i = 0; r->generations && i < r->n_generations; i++) generation_free(&r->generations[i]);
    free(r->groups);
    free(r->parts);
    free(r->generations);
    free(r->item_of);
    free(r->extents);
    free(r->slices);
    ids_free(&r->pool);
    *r = (struct requests){0};
}
