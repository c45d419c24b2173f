/* Items as requests: token ids for the scheduler and the decoder.
 *
 * Prompt and continuation are tokenized separately; a prompt starts with BOS if the tokenizer says so. A document that
 * is scored whole becomes windows:
 *
 * - rolling, as lm-evaluation-harness has it: BOS (or EOS where there is none), then disjoint windows behind one token
 *   of context; the last window reaches back to full length for more context. Every token is scored once.
 *
 * - chunked, as llama.cpp's perplexity tool has it: BOS before the stream, windows of `context` tokens whose first is
 *   replaced by BOS; the tokens at positions context/2 + 1 .. context - 1 are scored; a shorter last window is dropped.
 *   Each window is an outcome of its own. */
#ifndef KERF_SUITES_REQUESTS_H
#define KERF_SUITES_REQUESTS_H

#include "engine/decoding/generate.h"
#include "suites/scheduler.h"
#include "suites/suite.h"

struct requests {
    struct group *groups; /* what is scored */
    struct part *parts;   /* of all groups, in order */
    struct generation *generations;
    size_t n_groups, n_parts, n_generations;
    size_t *item_of;           /* [n_groups]: the item of a group; generation i belongs to item i */
    int64_t context;           /* the window in tokens */
    char token_hash[HASH_HEX]; /* SHA-256 over all sequences of ids */
    struct ids pool;           /* where the ids of groups and generations lie */
    struct slice *slices;      /* while being built */
    size_t n_slices, group_capacity, part_capacity, slice_capacity;
};

/* limit: of the chunks of a chunked document; 0: all. */
int requests_make(struct requests *r, const struct model *m, const struct suite *s, const struct item *items, size_t n,
                  size_t limit, struct error *e);
void requests_free(struct requests *r);

#endif
