/* Items as requests: token ids for the scheduler and the decoder.
 *
 * Prompt and continuation are tokenized separately; a prompt starts with BOS if the tokenizer says so. A document that
 * is scored whole becomes windows (suites/windows.h). */
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
    size_t *item_of;           /* [n_groups or n_generations]; an item's generations lie together */
    struct extent *extents;    /* [n_groups] of windows that are outcomes; NULL where documents are */
    int64_t context;           /* the window in tokens */
    int64_t stride;            /* 0 but for PROTOCOL_STRIDED */
    char token_hash[HASH_HEX]; /* SHA-256 over all sequences of ids */
    struct ids pool;           /* where the ids of groups and generations lie */
    struct slice *slices;      /* while being built */
    size_t n_slices, group_capacity, part_capacity, extent_capacity, slice_capacity;
};

/* limit: of windows, where they are outcomes; 0: all. */
int requests_make(struct requests *r, const struct model *m, const struct suite *s, const struct item *items, size_t n,
                  size_t limit, struct error *e);
void requests_free(struct requests *r);

#endif
