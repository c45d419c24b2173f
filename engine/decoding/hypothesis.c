/* Taking tokens in. */
#include "engine/decoding/lane.h"
#include "engine/kernels/kernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Cuts the text before the first stop string that ends behind its first `seen` bytes. Of those that end before there
 * is none: they would have ended the text. */
static bool cut(const struct generation *g, struct text *t, size_t seen)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < g->n_stops && t->bytes; i++) {
        const size_t n = strlen(g->stops[i]), back = n ? n - 1 : 0, from = seen > back ? seen - back : 0;
        const char *at = memmem(t->bytes + from, t->length - from, g->stops[i], n);
        if (at && (size_t)(at - t->bytes) < first) first = (size_t)(at - t->bytes);
    }
    if (first == SIZE_MAX) return false;
    t->bytes[first] = 0;
    t->length = first;
    return true;
}

int hypothesis_extend(const struct model *m, const struct generation *g, struct hypothesis *h, int32_t id,
                      struct error *e)
{
    const struct tokenizer *t = model_tokenizer(m);
    if (id == tokenizer_eos(t) || id == tokenizer_bos(t)) return h->ended = "eos", 0;
    const bool opens = h->ids.count == 0 && g->n_prompt == 1 && g->prompt[0] == tokenizer_bos(t);
    const size_t seen = h->text.length;
    int status = ids_add(&h->ids, id, e);
    if (!status) status = tokenizer_decode(t, &id, 1, opens ? 0 : TOKENIZER_CONTINUES, &h->text, e);
    if (!status && h->text.failed) status = error_set(e, ERROR_IO, "out of memory for a text");
    if (status) return status;
    h->ended = cut(g, &h->text, seen) ? "stop" : (int64_t)h->ids.count == g->limit ? "limit" : NULL;
    return 0;
}

void hypothesis_free(struct hypothesis *h)
{
    ids_free(&h->ids);
    text_free(&h->text);
    cache_free(h->cache);
    *h = (struct hypothesis){0};
}

int row_log_sum(const struct model *m, const float *row, double *out, struct error *e)
{
    *out = kernels_get()->log_sum_exp(row, model_hyper(m)->vocab);
    if (isfinite(*out)) return 0; /* a NaN anywhere shows in the sum */
    return error_set(e, ERROR_NUMBER, "%s: the logits of a generation are not finite", model_facts(m)->path);
}

void row_candidates(const struct work *w, const struct lane *l, const struct hypothesis *h, const float *row,
                    double less)
{
    candidates_fill(w->candidates, row, less, model_hyper(w->m)->vocab);
    candidates_penalize(w->candidates, w->how->repetition_penalty, l->fed, l->n_fed);
    candidates_penalize(w->candidates, w->how->repetition_penalty, h->ids.at, (int64_t)h->ids.count);
}
