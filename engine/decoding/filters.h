/* Filters of sampling: which tokens may come next, in doubles; equal ones go by id, the lower first.
 *
 *     struct candidate *c = memory_new(vocab, sizeof *c, "candidates", e);
 *     candidates_fill(c, logits, 0, vocab);
 *     int64_t n = candidates_filter(&how, c, vocab);
 *     int32_t id = candidates_draw(c, n, random_unit(&r));
 *
 * The order is Hugging Face's: repetition penalty, temperature, top-k, top-p, min-p, typical-p, each on what the one
 * before left, its probabilities adding up to 1 again. At least one token is always left. Of tokens that tie with the
 * last one kept, Hugging Face's top-k and typical-p keep all; here the lower ids. */
#ifndef KERF_ENGINE_DECODING_FILTERS_H
#define KERF_ENGINE_DECODING_FILTERS_H

#include "engine/decoding/decode.h"

struct candidate {
    double score; /* a logit or a log-probability */
    double key;   /* what they are ordered by while a filter works */
    int32_t id;
};

/* Candidate i is token i, its score logits[i] - less. */
void candidates_fill(struct candidate *c /* [vocab] */, const float *logits /* [vocab] */, double less, int64_t vocab);
/* After candidates_fill(), as often as there are lists: scores of tokens that were there, each once however often it
 * was, are divided by the penalty where they are positive and multiplied where not (Keskar et al. 2019, CTRL). */
void candidates_penalize(struct candidate *c, double penalty, const int32_t *ids /* [n] */, int64_t n);
/* Temperature and filters; returns how many are left, at the beginning of c. Scores are finite or -infinity. */
int64_t candidates_filter(const struct decode *how, struct candidate *c /* [n > 0] */, int64_t n);
/* Brings the `wanted` best, in order, to the beginning; returns how many there are. What is behind them is in no
 * order. */
int64_t candidates_best(struct candidate *c /* [n] */, int64_t n, int64_t wanted);
/* The token where the cumulative probability, from the most likely on, passes `place` in [0, 1). Reorders c. */
int32_t candidates_draw(struct candidate *c /* [n > 0] */, int64_t n, double place);

/* What a strategy of samples draws from after `ids`: the candidates that are left, the most likely first, their
 * probabilities as keys. Returns how many. */
int64_t candidates_distribution(const struct decode *how, const float *logits /* [vocab] */, int64_t vocab,
                                const int32_t *ids /* [n] */, int64_t n, struct candidate *c /* [vocab] */);

#endif
