/* Texts, scheduled: in the order of what their prompts share, as many at a time as the memory allows. */
#include "engine/base/memory.h"
#include "engine/models/prefixes.h"
#include "suites/scheduler.h"

#include <stdlib.h>

struct texts {
    const struct model *m;
    const struct decode *strategy;
    const struct schedule *how;
    struct generation *all;
    size_t n, n_done;
    struct prefixes *prefixes;
    struct tally *tally;
    struct generation *ordered; /* those that are not done, as they are given to generate() */
    size_t *request;            /* what they are among all */
    size_t n_ordered;
};

static int share(void *user, size_t i, struct cache **prefix, int64_t *length, struct error *e)
{
    const struct texts *t = user;
    prefixes_want(t->prefixes, t->request[i]);
    int status = prefixes_compute(t->prefixes, &t->tally->fed, e);
    *prefix = prefixes_cache(t->prefixes, t->request[i], length);
    return status;
}

static int finish(void *user, size_t i, struct error *e)
{
    struct texts *t = user;
    size_t request = t->request[i];
    t->all[request] = t->ordered[i]; /* which owns the text from now on */
    t->ordered[i] = (struct generation){0};
    prefixes_release(t->prefixes, request);
    t->n_done++;
    return t->how->whole ? t->how->whole(t->how->user, request, e) : 0;
}

static bool on_progress(void *user, size_t done)
{
    const struct texts *t = user;
    return !t->how->progress || t->how->progress(t->how->user, t->n_done, t->n, t->tally->fed);
}

/* The last token of a prompt is never shared: the state behind it is wanted. */
static int plan(struct texts *t, struct sequence *sequences, struct error *e)
{
    for (size_t i = 0; i < t->n; i++) {
        generation_fed(t->m, &t->all[i], &sequences[i].ids, &sequences[i].n);
        t->tally->cut += sequences[i].n < t->all[i].n_prompt;
        t->tally->computed += sequences[i].n--;
    }
    int status = prefixes_new(&t->prefixes, t->m, sequences, t->n, PREFIX_LEAST, e);
    if (status) return status;
    t->tally->computed -= prefixes_saved(t->prefixes);
    for (size_t k = 0; k < t->n; k++) {
        size_t i = prefixes_order(t->prefixes)[k];
        if (t->all[i].ended) {
            t->n_done++;
            prefixes_release(t->prefixes, i);
        } else {
            t->request[t->n_ordered] = i;
            t->ordered[t->n_ordered++] = t->all[i];
        }
    }
    return 0;
}

/* Sequences at a time whose caches, logits and activations fit, were all their prompts in one pass. What prompts share
 * is held in place of the sequences' own, so each counts with its whole prompt. */
static int bound(const struct texts *t, size_t *batch, struct error *e)
{
    const struct hyper *h = model_hyper(t->m);
    size_t beams = (size_t)t->strategy->beams, each = 0, largest = 0, memory = schedule_memory(t->how);
    int64_t longest = 1;
    for (size_t i = 0; i < t->n_ordered; i++) {
        const struct generation *g = &t->ordered[i];
        const int32_t *ids;
        int64_t n;
        generation_fed(t->m, g, &ids, &n);
        if (n > longest) longest = n;
        size_t positions = (size_t)n + beams * (size_t)g->limit;
        size_t need = positions * cache_position_bytes(t->m) + beams * (size_t)(h->vocab + h->width) * sizeof(float);
        if (need > each) each = need, largest = i;
    }
    size_t fixed = model_pass_bytes(t->m, longest);
    if (fixed + each > memory) return schedule_refuse(t->how, t->request[largest], fixed + each, e);
    size_t most = t->how->batch / beams, texts = (memory - fixed) / each;
    if (texts > most) texts = most ? most : 1;
    while (texts > 1 && texts * each + model_pass_bytes(t->m, (int64_t)texts * longest) > memory) texts--;
    *batch = texts * beams;
    return 0;
}

static int run(struct texts *t, struct error *e)
{
    size_t batch = 0;
    int status = t->n_ordered ? bound(t, &batch, e) : 0;
    if (status || !t->n_ordered) return status;
    struct generate_options options = {.batch = batch,
                                       .user = t,
                                       .progress = on_progress,
                                       .prefix = share,
                                       .finished = finish,
                                       .computed = &t->tally->fed};
    return generate(t->m, t->strategy, t->ordered, t->n_ordered, &options, e);
}

int generate_texts(const struct model *m, const struct decode *strategy, struct generation *all, size_t n,
                   const struct schedule *how, struct tally *tally, struct error *e)
{
    struct texts t = {.m = m, .strategy = strategy, .how = how, .all = all, .n = n, .tally = tally};
    struct sequence *sequences = memory_new(n, sizeof *sequences, "requests", e);
    t.ordered = memory_new(n, sizeof *t.ordered, "requests", e);
    t.request = memory_new(n, sizeof *t.request, "requests", e);
    int status = sequences && t.ordered && t.request ? plan(&t, sequences, e) : ERROR_IO;
    if (!status) status = run(&t, e);
    for (size_t i = 0; t.ordered && i < t.n_ordered; i++) generation_free(&t.ordered[i]);
    for (size_t i = 0; i < n && !status; i++) {
        tally->asked += all[i].n_prompt + (int64_t)all[i].ids.count;
        tally->computed += all[i].fed;
    }
    prefixes_free(t.prefixes);
    free(sequences);
    free(t.ordered);
    free(t.request);
    return status;
}
