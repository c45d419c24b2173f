#include "engine/decoding/generate.h"
#include "engine/base/memory.h"
#include "engine/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXPECTED = 64 }; /* new tokens that a cache is made for; it grows */

/* A place in the batch. */
struct lane {
    struct generation *g; /* NULL: free */
    struct cache *cache;
    int32_t next; /* the token to feed */
};

struct work {
    const struct model *m;
    const struct generate_options *options;
    struct generation *all;
    size_t n, taken, done;
    struct lane *lanes;
    struct span *spans; /* [batch] */
    size_t *lane_of;    /* [batch], of a span */
    float *hidden, *logits;
};

/* The end of the prompt that leaves room for the limit. */
void generation_fed(const struct model *m, const struct generation *g, const int32_t **ids, int64_t *n)
{
    int64_t room = model_hyper(m)->context - g->limit;
    *n = g->n_prompt < room ? g->n_prompt : room;
    *ids = g->prompt + g->n_prompt - *n;
}

/* Puts waiting prompts into free lanes and lists one span a busy lane. */
static int fill(struct work *w, size_t *n_spans, struct error *e)
{
    int64_t fresh = 0;
    *n_spans = 0;
    for (size_t i = 0; i < w->options->batch; i++) {
        struct lane *l = &w->lanes[i];
        struct span s = {.ids = &l->next, .count = 1};
        if (!l->g) {
            if (w->taken == w->n) continue;
            struct generation *g = &w->all[w->taken];
            generation_fed(w->m, g, &s.ids, &s.count);
            if (fresh && fresh + s.count > PASS_TOKENS) continue;
            l->cache = cache_new(w->m, NULL, 0, s.count + (g->limit < EXPECTED ? g->limit : EXPECTED), e);
            if (!l->cache) return ERROR_IO;
            l->g = g;
            w->taken++;
            fresh += s.count;
        }
        s.cache = l->cache;
        s.first_output = s.count - 1;
        w->lane_of[*n_spans] = i;
        w->spans[(*n_spans)++] = s;
    }
    return 0;
}

/* Takes one token into the text; returns why the text ends here, or NULL. */
static const char *take(const struct model *m, struct generation *g, int32_t id, int *status, struct error *e)
{
    const struct tokenizer *t = model_tokenizer(m);
    if (id == tokenizer_eos(t) || id == tokenizer_bos(t)) return "eos";
    bool opens = g->ids.count == 0 && g->n_prompt == 1 && g->prompt[0] == tokenizer_bos(t);
    *status = ids_add(&g->ids, id, e);
    if (!*status) *status = tokenizer_decode(t, &id, 1, opens ? 0 : TOKENIZER_CONTINUES, &g->text, e);
    if (!*status && g->text.failed) *status = error_set(e, ERROR_IO, "out of memory for a text");
    if (*status) return NULL;
    char *first = NULL;
    for (size_t i = 0; i < g->n_stops; i++) {
        char *at = g->text.bytes ? memmem(g->text.bytes, g->text.length, g->stops[i], strlen(g->stops[i])) : NULL;
        if (at && (!first || at < first)) first = at;
    }
    if (first) {
        *first = 0;
        g->text.length = (size_t)(first - g->text.bytes);
        return "stop";
    }
    return (int64_t)g->ids.count == g->limit ? "limit" : NULL;
}

static int step(struct work *w, struct error *e)
{
    size_t n;
    int status = fill(w, &n, e);
    if (!status) status = model_forward(w->m, w->spans, n, w->hidden, NULL, e);
    if (!status) status = model_logits(w->m, w->hidden, (int64_t)n, w->logits, e);
    int64_t vocab = model_hyper(w->m)->vocab;
    for (size_t i = 0; i < n && w->options->computed; i++) *w->options->computed += w->spans[i].count;
    for (size_t i = 0; i < n && !status; i++) {
        struct lane *l = &w->lanes[w->lane_of[i]];
        const float *row = w->logits + (int64_t)i * vocab;
        l->next = (int32_t)kernels_get()->argmax(row, vocab);
        if (!isfinite(kernels_get()->log_sum_exp(row, vocab))) /* a NaN anywhere shows in the sum */
            return error_set(e, ERROR_NUMBER, "%s: the logits of a generation are not finite", model_facts(w->m)->path);
        l->g->ended = take(w->m, l->g, l->next, &status, e);
        if (!l->g->ended) continue;
        cache_free(l->cache);
        *l = (struct lane){0};
        w->done++;
    }
    return status;
}

int generate(const struct model *m, const struct decode *how, struct generation *all, size_t n,
             const struct generate_options *options, struct error *e)
{
    size_t batch = options->batch < n ? options->batch : n;
    if (!n) return 0;
    struct generate_options bounded = *options;
    bounded.batch = batch;
    struct work w = {.m = m, .options = &bounded, .all = all, .n = n};
    const struct hyper *h = model_hyper(m);
    for (size_t i = 0; i < n; i++)
        if (all[i].n_prompt < 1 || all[i].limit < 1 || all[i].limit >= h->context)
            return error_set(e, ERROR_INPUT, "%s: %lld new tokens after a prompt of %lld must fit in a context of %lld",
                             model_facts(m)->path, (long long)all[i].limit, (long long)all[i].n_prompt,
                             (long long)h->context);
    w.lanes = memory_new(batch, sizeof *w.lanes, "a batch", e);
    w.spans = memory_new(batch, sizeof *w.spans, "a batch", e);
    w.lane_of = memory_new(batch, sizeof *w.lane_of, "a batch", e);
    w.hidden = memory_new(batch, (size_t)h->width * sizeof *w.hidden, "a batch", e);
    w.logits = memory_new(batch, (size_t)h->vocab * sizeof *w.logits, "a batch", e);
    int status = w.lanes && w.spans && w.lane_of && w.hidden && w.logits ? 0 : ERROR_IO;
    while (!status && w.done < n) {
        status = step(&w, e);
        if (!status && options->progress && !options->progress(options->user, w.done))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
    }
    for (size_t i = 0; w.lanes && i < batch; i++) cache_free(w.lanes[i].cache);
    free(w.lanes);
    free(w.spans);
    free(w.lane_of);
    free(w.hidden);
    free(w.logits);
    return status;
}

void generation_free(struct generation *g)
{
    ids_free(&g->ids);
    text_free(&g->text);
}
