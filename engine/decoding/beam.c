/* Beam search, its settings as Hugging Face defines them.
 *
 * At each step the continuations of all live hypotheses are ranked by their sums of log-probabilities. The best `width`
 * that go on live on; those that end among the first `width` of the ranking are finished, with the sum divided by
 * length^penalty (the ending token counts), and the best `width` of the finished are kept. A text is whole when nothing
 * lives on, or `width` are finished and the early stopping has it that no live one would replace the worst of them. */
#include "engine/base/memory.h"
#include "engine/decoding/lane.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXPECTED = 64 }; /* new tokens that a cache is made for; it grows */

struct pick {
    double score, log_probability; /* of the whole continuation */
    size_t parent;                 /* in live */
    int32_t id;
};

/* The best first; of equal ones that of the better parent, then the lower id. */
static int by_rank(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    if (x->score > y->score || x->score < y->score) return x->score > y->score ? -1 : 1;
    if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Lists the best 2 * width continuations of one hypothesis: even if all that live on were its own, that leaves `width`
 * for those that end. Where stop strings end more, fewer live on. */
static int pick(const struct work *w, const struct lane *l, size_t parent, const float *row, size_t *n, struct error *e)
{
    const struct hypothesis *h = &l->live[parent];
    double log_sum;
    int status = row_log_sum(w->m, row, &log_sum, e);
    if (status) return status;
    row_candidates(w, l, h, row, log_sum);
    const int64_t most = candidates_best(w->candidates, model_hyper(w->m)->vocab, 2 * (int64_t)w->width);
    for (int64_t i = 0; i < most; i++) {
        const struct candidate *c = &w->candidates[i];
        w->picks[(*n)++] = (struct pick){.score = h->score + c->score,
                                         .log_probability = h->log_probability + ((double)row[c->id] - log_sum),
                                         .parent = parent,
                                         .id = c->id};
    }
    return 0;
}

/* A continuation, without a cache. */
static int grow(const struct work *w, const struct lane *l, const struct pick *p, struct hypothesis *out,
                struct error *e)
{
    const struct hypothesis *from = &l->live[p->parent];
    *out = (struct hypothesis){.log_probability = p->log_probability, .score = p->score};
    int status = 0;
    for (size_t i = 0; i < from->ids.count && !status; i++) status = ids_add(&out->ids, from->ids.at[i], e);
    text_bytes(&out->text, text_c(&from->text), from->text.length);
    if (!status) status = hypothesis_extend(w->m, l->g, out, p->id, e);
    if (status) hypothesis_free(out);
    return status;
}

/* Keeps a finished hypothesis if it is among the best; takes it over. */
static void finish(const struct work *w, struct lane *l, struct hypothesis *h)
{
    const bool closed = strcmp(h->ended, "eos") == 0; /* by a token that is not among the ids */
    h->score /= pow((double)(h->ids.count + closed), w->how->length_penalty);
    size_t at = l->n_finished;
    while (at && l->finished[at - 1].score < h->score) at--;
    if (at == w->width) {
        hypothesis_free(h);
        return;
    }
    if (l->n_finished == w->width) hypothesis_free(&l->finished[--l->n_finished]);
    for (size_t i = l->n_finished++; i > at; i--) l->finished[i] = l->finished[i - 1];
    l->finished[at] = *h;
}

/* The first child of a hypothesis takes its cache, others copy it. At the first step all stand behind the prompt. */
static int share_caches(const struct work *w, struct lane *l, size_t n, struct error *e)
{
    if (!l->prompt) {
        l->prompt = l->live[0].cache;
        l->live[0].cache = NULL;
        for (size_t i = 0; i < n; i++) {
            const int64_t room = l->g->limit < EXPECTED ? l->g->limit : EXPECTED;
            w->next[i].cache = cache_new(w->m, l->prompt, l->n_fed, room, e);
            if (!w->next[i].cache) return ERROR_IO;
        }
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct hypothesis *parent = &l->live[w->parents[i]];
        size_t first = 0; /* of its children */
        while (w->parents[first] != w->parents[i]) first++;
        if (first == i) {
            w->next[i].cache = parent->cache;
            parent->cache = NULL;
        } else if (!(w->next[i].cache = cache_copy(w->next[first].cache, e)))
            return ERROR_IO;
    }
    return 0;
}

/* True where no live hypothesis could displace a finished one, or none is to be waited for. */
static bool settled(const struct work *w, const struct lane *l)
{
    if (!l->n_live) return true;
    if (l->n_finished < w->width) return false;
    const struct decode *how = w->how;
    if (how->early_stopping == EARLY_STOPPING_TRUE) return true;
    const bool longest = how->early_stopping == EARLY_STOPPING_NEVER && how->length_penalty > 0;
    const double length = longest ? (double)l->g->limit : (double)l->live[0].ids.count;
    return l->live[0].score / pow(length, how->length_penalty) <= l->finished[w->width - 1].score;
}

int beam_step(const struct work *w, struct lane *l, const float *rows, struct hypothesis **whole, struct error *e)
{
    size_t n_picks = 0, n = 0;
    int status = 0;
    for (size_t i = 0; i < l->n_live && !status; i++)
        status = pick(w, l, i, rows + (int64_t)i * model_hyper(w->m)->vocab, &n_picks, e);
    if (!status) qsort(w->picks, n_picks, sizeof *w->picks, by_rank);
    for (size_t rank = 0; rank < n_picks && n < w->width && !status; rank++) {
        struct hypothesis h;
        status = grow(w, l, &w->picks[rank], &h, e);
        if (status) break;
        if (!h.ended) {
            w->parents[n] = w->picks[rank].parent;
            w->next[n++] = h;
        } else if (rank < w->width)
            finish(w, l, &h);
        else
            hypothesis_free(&h);
    }
    if (!status) status = share_caches(w, l, n, e);
    for (size_t i = 0; i < l->n_live; i++) hypothesis_free(&l->live[i]);
    for (size_t i = 0; i < n; i++) l->live[i] = w->next[i];
    l->n_live = n;
    *whole = !status && settled(w, l) ? &l->finished[0] : NULL;
    return status;
}

int beam_open(struct work *w, struct error *e)
{
    w->picks = memory_new(w->width * w->width, 2 * sizeof *w->picks, "a beam search", e);
    w->next = memory_new(w->width, sizeof *w->next, "a beam search", e);
    w->parents = memory_new(w->width, sizeof *w->parents, "a beam search", e);
    return w->picks && w->next && w->parents ? 0 : ERROR_IO;
}

void beam_close(struct work *w)
{
    free(w->picks);
    free(w->next);
    free(w->parents);
}
