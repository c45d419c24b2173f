/* Sequences that begin alike: what they share goes through the model once.
 *
 *     struct prefixes *p;
 *     if (prefixes_new(&p, m, sequences, n, PREFIX_LEAST, e)) return e->code;
 *     for (size_t k = 0; k < n; k++) {
 *         size_t i = prefixes_order(p)[k];                 the order in which the least has to be held
 *         prefixes_want(p, i);                             and of as many more as run together
 *         if (prefixes_compute(p, &computed, e)) ...
 *         int64_t length;
 *         struct cache *shared = prefixes_cache(p, i, &length);
 *         struct cache *c = cache_new(m, shared, length, rest, e);     then feed sequence i from `length` on
 *         cache_free(c);
 *         prefixes_release(p, i);                          whoever comes last takes the cache with it
 *     }
 *     prefixes_free(p);
 *
 * The shared beginnings form a tree: a preamble of examples, in it a paragraph, in it a question. A node of the tree is
 * a cache behind its parent's. What is shared, and so how many tokens are saved, is a function of the sequences alone. */
#ifndef KERF_ENGINE_MODELS_PREFIXES_H
#define KERF_ENGINE_MODELS_PREFIXES_H

#include "engine/models/model.h"

enum { PREFIX_LEAST = 16 }; /* tokens for which a cache of their own is worth it */

struct sequence {
    const int32_t *ids; /* borrowed while the prefixes live */
    int64_t n;          /* how many tokens from the first on may be shared; what follows is its own */
};

struct prefixes;
/* A node adds at least `least` > 0 tokens to what its parent holds. */
int prefixes_new(struct prefixes **out, const struct model *m, const struct sequence *sequences, size_t n,
                 int64_t least, struct error *e);
void prefixes_free(struct prefixes *p);

/* All sequences, depth first; among equals the longest first. */
const size_t *prefixes_order(const struct prefixes *p);
/* Tokens that sequence i shares; 0: none. */
int64_t prefixes_length(const struct prefixes *p, size_t i);
/* Tokens that need not be computed, over all sequences. */
int64_t prefixes_saved(const struct prefixes *p);
/* Positions that are held or wanted now, and how many more sequence i would need. */
int64_t prefixes_held(const struct prefixes *p);
int64_t prefixes_cost(const struct prefixes *p, size_t i);

void prefixes_want(struct prefixes *p, size_t i);
/* Computes what is wanted and not there, all sequences' together, level by level. Tokens are added to *computed, which
 * may be NULL. */
int prefixes_compute(struct prefixes *p, int64_t *computed, struct error *e);
/* NULL, and length 0, where sequence i shares nothing. Lives until the sequence is released. */
struct cache *prefixes_cache(const struct prefixes *p, size_t i, int64_t *length);
/* Sequence i is done with, or need not be run at all. Once each. */
void prefixes_release(struct prefixes *p, size_t i);

#endif
