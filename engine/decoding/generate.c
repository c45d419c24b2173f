#include "engine/decoding/generate.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "engine/decoding/lane.h"
#include "engine/kernels/kernels.h"

#include <stdlib.h>

enum { EXPECTED = 64 }; /* new tokens that a cache is made for; it grows */

struct batch {
    struct work work;
    const struct generate_options *options;
    struct generation *all;
    size_t n, taken, done;
    struct lane *lanes;
    size_t n_lanes;
    struct span *spans;     /* [n_lanes * width] */
    float *hidden, *logits; /* rows of the spans */
};

/* The end of the prompt that leaves room for the limit. */
void generation_fed(const struct model *m, const struct generation *g, const int32_t **ids, int64_t *n)
{
    int64_t room = model_hyper(m)->context - g->limit;
    *n = g->n_prompt < room ? g->n_prompt : room;
    *ids = g->prompt + g->n_prompt - *n;
}

/* Takes the next prompt into a free lane. */
static int begin(struct batch *b, struct lane *l, struct error *e)
{
    const struct model *m = b->work.m;
    struct cache *prefix = NULL;
    const size_t width = b->work.width;
    l->index = b->taken++;
    l->g = &b->all[l->index];
    generation_fed(m, l->g, &l->fed, &l->n_fed);
    if (b->options->prefix) {
        int status = b->options->prefix(b->options->user, l->index, &prefix, &l->known, e);
        if (status) return status;
    }
    if (!prefix) l->known = 0;
    l->live = memory_new(2 * width, sizeof *l->live, "a batch", e);
    if (!l->live) return ERROR_IO;
    l->finished = l->live + width;
    /* The hypotheses of a beam search keep their new tokens themselves. */
    const int64_t room = width > 1 ? 0 : l->g->limit < EXPECTED ? l->g->limit : EXPECTED;
    l->live[0].cache = cache_new(m, prefix, l->known, l->n_fed - l->known + room, e);
    l->n_live = 1;
    return l->live[0].cache ? 0 : ERROR_IO;
}

/* Frees the lane and what the text's continuations hold. */
static void leave(struct lane *l)
{
    for (size_t i = 0; i < l->n_live; i++) hypothesis_free(&l->live[i]);
    for (size_t i = 0; i < l->n_finished; i++) hypothesis_free(&l->finished[i]);
    cache_free(l->prompt);
    free(l->live);
    *l = (struct lane){0};
}

/* Puts waiting prompts into free lanes, as many as make about a pass, and lists one span for each that goes on. */
static int fill(struct batch *b, size_t *n_spans, struct error *e)
{
    int64_t fresh = 0;
    *n_spans = 0;
    for (size_t i = 0; i < b->n_lanes; i++) {
        struct lane *l = &b->lanes[i];
        if (!l->g && (b->taken == b->n || fresh >= PASS_TOKENS)) continue;
        int status = l->g ? 0 : begin(b, l, e);
        if (status) return status;
        for (size_t j = 0; j < l->n_live; j++) {
            const struct hypothesis *h = &l->live[j];
            struct span s = {.cache = h->cache, .ids = l->fed + l->known, .count = l->n_fed - l->known};
            if (l->begun)
                s.ids = h->ids.at + h->ids.count - 1, s.count = 1, l->g->fed++;
            else
                fresh += s.count;
            s.first_output = s.count - 1;
            b->spans[(*n_spans)++] = s;
        }
        l->begun = true;
    }
    return 0;
}

/* A draw is a function of the seed, the text's stream and the position alone. */
static double place_of(const struct work *w, const struct lane *l)
{
    struct random r = {(uint64_t)w->how->seed};
    r.state = random_next(&r) ^ l->g->stream;
    r.state = random_next(&r) ^ (uint64_t)l->live[0].ids.count;
    return random_unit(&r);
}

static int32_t choose(const struct work *w, const struct lane *l, const float *row)
{
    const int64_t vocab = model_hyper(w->m)->vocab;
    struct candidate *c = w->candidates;
    const bool greedy = w->how->kind == DECODE_GREEDY;
    if (greedy && w->how->repetition_penalty == 1) return (int32_t)kernels_get()->argmax(row, vocab);
    row_candidates(w, l, &l->live[0], row, 0);
    if (!greedy) return candidates_draw(c, candidates_filter(w->how, c, vocab), place_of(w, l));
    candidates_best(c, vocab, 1);
    return c[0].id;
}

/* One step of a text whose tokens are chosen one at a time. */
static int token_step(const struct work *w, struct lane *l, const float *row, struct hypothesis **whole,
                      struct error *e)
{
    struct hypothesis *h = &l->live[0];
    double log_sum;
    int status = row_log_sum(w->m, row, &log_sum, e);
    if (status) return status;
    const int32_t id = choose(w, l, row);
    h->log_probability += (double)row[id] - log_sum;
    status = hypothesis_extend(w->m, l->g, h, id, e);
    *whole = h->ended ? h : NULL;
    return status;
}

/* Hands a text over; its caches are gone when the caller hears of it. */
static int deliver(struct batch *b, struct lane *l, struct hypothesis *h, struct error *e)
{
    struct generation *g = l->g;
    const size_t index = l->index;
    g->ids = h->ids;
    g->text = h->text;
    g->ended = h->ended;
    g->log_probability = h->log_probability;
    h->ids = (struct ids){0};
    h->text = (struct text){0};
    leave(l);
    b->done++;
    return b->options->finished ? b->options->finished(b->options->user, index, e) : 0;
}

static int step(struct batch *b, struct error *e)
{
    size_t n;
    const struct work *w = &b->work;
    int status = fill(b, &n, e);
    if (!status) status = model_forward(w->m, b->spans, n, b->hidden, NULL, e);
    if (!status) status = model_logits(w->m, b->hidden, (int64_t)n, b->logits, e);
    for (size_t i = 0; i < n && !status && b->options->computed; i++) *b->options->computed += b->spans[i].count;
    const float *row = b->logits;
    for (size_t i = 0; i < b->n_lanes && !status; i++) {
        struct lane *l = &b->lanes[i];
        struct hypothesis *whole = NULL;
        if (!l->g) continue;
        const int64_t rows = (int64_t)l->n_live;
        status = w->how->kind == DECODE_BEAM ? beam_step(w, l, row, &whole, e) : token_step(w, l, row, &whole, e);
        if (!status && whole) status = deliver(b, l, whole, e);
        row += rows * model_hyper(w->m)->vocab;
    }
    return status;
}

static int check(const struct model *m, const struct generation *all, size_t n, struct error *e)
{
    const int64_t context = model_hyper(m)->context;
    for (size_t i = 0; i < n; i++)
        if (all[i].n_prompt < 1 || all[i].limit < 1 || all[i].limit >= context)
            return error_set(e, ERROR_INPUT, "%s: %lld new tokens after a prompt of %lld must fit in a context of %lld",
                             model_facts(m)->path, (long long)all[i].limit, (long long)all[i].n_prompt,
                             (long long)context);
    return 0;
}

static int make_room(struct batch *b, struct error *e)
{
    const struct hyper *h = model_hyper(b->work.m);
    const size_t rows = b->n_lanes * b->work.width;
    b->lanes = memory_new(b->n_lanes, sizeof *b->lanes, "a batch", e);
    b->spans = memory_new(rows, sizeof *b->spans, "a batch", e);
    b->hidden = memory_new(rows, (size_t)h->width * sizeof *b->hidden, "a batch", e);
    b->logits = memory_new(rows, (size_t)h->vocab * sizeof *b->logits, "a batch", e);
    b->work.candidates = memory_new((size_t)h->vocab, sizeof *b->work.candidates, "candidates", e);
    if (!b->lanes || !b->spans || !b->hidden || !b->logits || !b->work.candidates) return ERROR_IO;
    return beam_open(&b->work, e);
}

int generate(const struct model *m, const struct decode *how, struct generation *all, size_t n,
             const struct generate_options *options, struct error *e)
{
    const size_t width = how->kind == DECODE_BEAM ? (size_t)how->beams : 1, fit = options->batch / width;
    struct batch b = {.work = {.m = m, .how = how, .width = width}, .options = options, .all = all, .n = n};
    b.n_lanes = fit < 1 ? 1 : fit < n ? fit : n;
    if (!n) return 0;
    int status = check(m, all, n, e);
    if (!status) status = make_room(&b, e);
    while (!status && b.done < n) {
        status = step(&b, e);
        if (!status && options->progress && !options->progress(options->user, b.done))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
    }
    for (size_t i = 0; b.lanes && i < b.n_lanes; i++) leave(&b.lanes[i]);
    free(b.lanes);
    free(b.spans);
    free(b.hidden);
    free(b.logits);
    free(b.work.candidates);
    beam_close(&b.work);
    return status;
}

void generation_free(struct generation *g)
{
    ids_free(&g->ids);
    text_free(&g->text);
}
