/* Decoding: continuing texts, many at a time.
 *
 *     const struct decode how = decode_greedy();
 *     struct generation g = {.prompt = ids, .n_prompt = n, .limit = 48, .stops = (const char *[]){"\n"}, .n_stops = 1};
 *     if (generate(model, &how, &g, 1, &(struct generate_options){.batch = 32}, e)) ...
 *     puts(text_c(&g.text));
 *     generation_free(&g);
 *
 * A text ends before the first stop string, at EOS or BOS, or at its limit. Prompts that leave no room for `limit` new
 * tokens in the model's context are cut on the left. Texts do not depend on their batch-mates. */
#ifndef KERF_ENGINE_DECODING_GENERATE_H
#define KERF_ENGINE_DECODING_GENERATE_H

#include "engine/decoding/decode.h"
#include "engine/models/model.h"

struct generation {
    const int32_t *prompt; /* [n_prompt > 0], borrowed */
    int64_t n_prompt;
    int64_t limit; /* new tokens, > 0 and below the model's context */
    const char *const *stops;
    size_t n_stops;
    uint64_t stream; /* random draws are a function of the strategy's seed, this, and the position alone */
    /* results, owned: generation_free() */
    struct ids ids;         /* the new tokens, an ending EOS left out */
    struct text text;       /* what they stand for, cut before the first stop string */
    const char *ended;      /* "stop", "eos" or "limit" */
    double log_probability; /* sum of ln p of the tokens, the ending one counted, under the model itself, unfiltered */
    int64_t fed;            /* tokens behind the prompt that went through the model for it, all its beams counted */
};

struct generate_options {
    size_t batch; /* sequences in one pass (a beam search takes one for each of its beams), at least 1 */
    void *user;
    bool (*progress)(void *user, size_t done); /* may be NULL; done texts; false stops with ERROR_INTERRUPTED */
    /* MAY: asked before generation i is begun, in the order of the array: a cache that holds the first *length tokens
     * of the prompt as it is fed (cut, where it had to be), fewer than all of them. It must live until finished() or
     * the end of the call. None where *prefix stays NULL. */
    int (*prefix)(void *user, size_t i, struct cache **prefix, int64_t *length, struct error *e);
    /* MAY: told as soon as generation i is whole; an error code ends the work. */
    int (*finished)(void *user, size_t i, struct error *e);
    int64_t *computed; /* may be NULL; tokens that went through the model are added */
};

/* The end of a prompt that leaves room for the limit, as generate() feeds it. */
void generation_fed(const struct model *m, const struct generation *g, const int32_t **ids, int64_t *n);
int generate(const struct model *m, const struct decode *how, struct generation *all, size_t n,
             const struct generate_options *options, struct error *e);
void generation_free(struct generation *g);

#endif
