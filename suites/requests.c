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
    size_t limit;    /* of chunks; 0: none */
    int32_t opening; /* BOS, else EOS, else -1: what stands before a text that nothing stands before */
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

/* Appends the prompt's ids to the pool. */
static int encode_prompt(const struct maker *k, const struct item *item, size_t *at, int64_t *n, struct error *e)
{
    *at = k->r->pool.count;
    if (tokenizer_encode_prompt(k->t, item->prompt, strlen(item->prompt), &k->r->pool, e))
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
    int status = encode_prompt(k, item, &at, &n, e);
    if (!status) status = add_group(k->r, index, at, n, e);
    for (size_t i = 0; i < item->n_targets && !status; i++) status = encode_continuation(k, index, item->targets[i], e);
    return status;
}

/* The opening token and the document's ids, in the pool. */
static int encode_document(const struct maker *k, const struct item *item, size_t *at, int64_t *n, struct error *e)
{
    struct ids *pool = &k->r->pool;
    *at = pool->count;
    if (k->opening < 0)
        return error_set(e, ERROR_INPUT, "%s: scoring a document needs a BOS or EOS token, and the tokenizer has none",
                         model_facts(k->m)->path);
    int status = ids_add(pool, k->opening, e);
    if (!status) status = tokenizer_encode(k->t, item->targets[0], strlen(item->targets[0]), 0, pool, e);
    *n = (int64_t)(pool->count - *at) - 1;
    return status;
}

static int make_rolling(const struct maker *k, const struct item *item, size_t index, struct error *e)
{
    size_t at;
    int64_t n, window = k->r->context;
    int status = encode_document(k, item, &at, &n, e);
    for (int64_t done = 0; done < n && !status;) { /* stream[0] opens; token i of the document is stream[i + 1] */
        int64_t here = n - done < window ? n - done : window, end = done + here;
        int64_t first = end - window > 0 ? end - window : 0;
        status = add_group(k->r, index, at + (size_t)first, done + 1 - first, e);
        if (!status) status = add_part(k->r, at + (size_t)done + 1, here, e);
        done = end;
    }
    return status;
}

static int make_chunked(const struct maker *k, const struct item *item, size_t index, struct error *e)
{
    struct ids *pool = &k->r->pool;
    size_t at;
    int64_t n, window = k->r->context, before = window / 2 + 1;
    int status = encode_document(k, item, &at, &n, e);
    if (window < 4)
        return error_set(e, ERROR_INPUT,
                         "%s: a context of %lld is too short for the chunked protocol: it needs 4 tokens",
                         model_facts(k->m)->path, (long long)window);
    for (int64_t first = 0; first + window <= n + 1 && !status; first += window) {
        if (k->limit && k->r->n_groups == k->limit) break;
        size_t copy = pool->count;
        status = ids_add(pool, k->opening, e);
        for (int64_t i = 1; i < window && !status; i++) status = ids_add(pool, pool->at[at + (size_t)(first + i)], e);
        if (!status) status = add_group(k->r, index, copy, before, e);
        if (!status) status = add_part(k->r, copy + (size_t)before, window - before, e);
    }
    return status;
}

static int make_generation(const struct maker *k, const struct item *item, size_t index, struct error *e)
{
    size_t at = 0;
    int64_t n = 0;
    int status = encode_prompt(k, item, &at, &n, e);
    k->r->generations[index] = (struct generation){
        .limit = k->suite->max_tokens, .stops = (const char *const *)k->suite->until, .n_stops = k->suite->n_until};
    return status ? status : add_slice(k->r, at, n, e);
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
        return make_scored(k, item, index, e);
    case OUTCOME_ROLLING:
        return k->suite->protocol == PROTOCOL_CHUNKED ? make_chunked(k, item, index, e)
                                                      : make_rolling(k, item, index, e);
    case OUTCOME_GENERATION:
        return make_generation(k, item, index, e);
    }
    return 0;
}

int requests_make(struct requests *r, const struct model *m, const struct suite *s, const struct item *items, size_t n,
                  size_t limit, struct error *e)
{
    *r = (struct requests){.context = model_hyper(m)->context};
    if (s->context && s->context < r->context) r->context = s->context;
    const struct tokenizer *t = model_tokenizer(m);
    struct maker k = {r, s, m, t, limit, tokenizer_opening(t)};
    int status = 0;
    if (s->kind == OUTCOME_GENERATION && s->max_tokens >= model_hyper(m)->context)
        return error_set(e, ERROR_INPUT,
                         "%s: max_gen_toks: %d new tokens leave no room for a prompt in the context of %lld of %s",
                         s->path, s->max_tokens, (long long)model_hyper(m)->context, model_facts(m)->path);
    if (s->kind == OUTCOME_GENERATION) {
        r->generations = memory_new(n, sizeof *r->generations, "requests", e);
        r->n_generations = n;
        if (!r->generations) status = ERROR_IO;
    }
    for (size_t i = 0; i < n && !status; i++) status = make_item(&k, &items[i], i, e);
    if (!status && !r->n_groups && !r->n_generations)
        status = error_set(e, ERROR_INPUT, "%s: shorter than one window of %lld tokens: nothing to score", s->data_path,
                           (long long)r->context);
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
    free(r->slices);
    ids_free(&r->pool);
    *r = (struct requests){0};
}
