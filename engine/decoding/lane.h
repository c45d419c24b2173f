/* What the strategies share: a text under way and its place in the batch. */
#ifndef KERF_ENGINE_DECODING_LANE_H
#define KERF_ENGINE_DECODING_LANE_H

#include "engine/decoding/filters.h"
#include "engine/decoding/generate.h"

/* A continuation of the prompt. */
struct hypothesis {
    struct ids ids;         /* new tokens, an ending EOS left out */
    struct text text;       /* cut before the first stop string */
    const char *ended;      /* NULL: it goes on */
    double log_probability; /* of its tokens, the ending one counted, under the model */
    double score;           /* beams: the sum that they are ranked by; of finished ones after the length penalty */
    struct cache *cache;    /* beams: behind lane.prompt; NULL where it is finished */
};

/* A text's place in the batch; all zero: free. */
struct lane {
    struct generation *g;
    size_t index;                       /* of g among all */
    const int32_t *fed;                 /* [n_fed], the prompt */
    int64_t n_fed, known;               /* tokens of the prompt that the cache holds before the first pass */
    bool begun;                         /* the prompt went through the model */
    struct cache *prompt;               /* beams: what the hypotheses share, once begun */
    struct hypothesis *live, *finished; /* [width] */
    size_t n_live, n_finished;
};

struct pick;

struct work {
    const struct model *m;
    const struct decode *how;
    size_t width;                 /* hypotheses of a text */
    struct candidate *candidates; /* [vocab] */
    /* of a beam search: */
    struct pick *picks;      /* [width * 2 * width] */
    struct hypothesis *next; /* [width] */
    size_t *parents;         /* [width] of next, in live */
};

/* Takes one token in and sees whether that ends it; its probabilities are the caller's to count. */
int hypothesis_extend(const struct model *m, const struct generation *g, struct hypothesis *h, int32_t id,
                      struct error *e);
void hypothesis_free(struct hypothesis *h);

/* ln of the sum of exp over a row of logits; ERROR_NUMBER where they are not finite. */
int row_log_sum(const struct model *m, const float *row /* [vocab] */, double *out, struct error *e);
/* Fills w->candidates with a row's scores after the repetition penalty for this hypothesis. */
void row_candidates(const struct work *w, const struct lane *l, const struct hypothesis *h, const float *row,
                    double less);

/* One step of a text from the logits of its live hypotheses; *whole becomes the result when that was the last. */
int beam_step(const struct work *w, struct lane *l, const float *rows /* [l->n_live, vocab] */,
              struct hypothesis **whole, struct error *e);
/* Room for beam_step() in *w. */
int beam_open(struct work *w, struct error *e);
void beam_close(struct work *w);

#endif
