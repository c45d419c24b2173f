/* Decoding: continuing texts, many at a time.
 *
 *     struct generation g = {.prompt = ids, .n_prompt = n, .limit = 48, .stops = (const char *[]){"\n"}, .n_stops = 1};
 *     if (generate(model, &strategy_greedy, &g, 1, &(struct generate_options){.batch = 32}, e)) ...
 *     puts(text_c(&g.text));
 *     generation_free(&g);
 *
 * A text ends before the first stop string, at EOS or BOS, or at its limit. Prompts that leave no room for `limit` new
 * tokens in the model's context are cut on the left. Texts do not depend on their batch-mates. */
#ifndef KERF_ENGINE_DECODING_GENERATE_H
#define KERF_ENGINE_DECODING_GENERATE_H

#include "engine/models/model.h"

struct generation {
    const int32_t *prompt; /* [n_prompt > 0], borrowed */
    int64_t n_prompt;
    int64_t limit; /* new tokens, > 0 and below the model's context */
    const char *const *stops;
    size_t n_stops;
    /* results, owned: generation_free() */
    struct ids ids;    /* the new tokens, an ending EOS left out */
    struct text text;  /* what they stand for, cut before the first stop string */
    const char *ended; /* "stop", "eos" or "limit" */
};

/* How the next token is chosen from one row of logits. */
struct strategy {
    const char *name;
    int32_t (*pick)(const struct model *m, const float *logits /* [vocab] */);
};

extern const struct strategy strategy_greedy;

struct generate_options {
    size_t batch; /* sequences in one pass, at least 1 */
    void *user;
    bool (*progress)(void *user, size_t done); /* may be NULL; done texts; false stops with ERROR_INTERRUPTED */
    int64_t *computed;                         /* may be NULL; tokens that went through the model are added */
};

int generate(const struct model *m, const struct strategy *strategy, struct generation *all, size_t n,
             const struct generate_options *options, struct error *e);
void generation_free(struct generation *g);

#endif
