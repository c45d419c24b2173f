/* Scoring requests, batched. Everything that is scored is a continuation after a context: the choices of an item share
 * one context, a rolling window is a continuation after one token. A context is computed once for all its
 * continuations, batches are built from groups of like length, and logits are computed at scored positions only, a
 * bounded number at a time.
 *
 *     struct group g = {.context = ids, .n_context = n, .parts = parts, .n_parts = 4};
 *     if (score_groups(model, &g, 1, &(struct schedule){.batch = 32}, &tally, e)) ...
 *     parts[0].loglikelihood, parts[0].greedy
 *
 * Results do not depend on the batch, bit for bit. */
#ifndef KERF_SUITES_SCHEDULER_H
#define KERF_SUITES_SCHEDULER_H

#include "engine/models/model.h"

struct part {
    const int32_t *ids; /* [n > 0] */
    int64_t n;
    /* results */
    double loglikelihood; /* sum of log p(ids[i] | context, ids[0 .. i)), nats */
    bool greedy;          /* every token was the most likely one */
};

struct group {
    const int32_t *context; /* [n_context > 0]; cut on the left where context and continuation do not fit the model */
    int64_t n_context;
    struct part *parts;
    size_t n_parts;
};

struct schedule {
    size_t batch; /* sequences in one pass, at least 1 */
    void *user;
    /* May be NULL; groups, or parts where a group had to be split; false stops with ERROR_INTERRUPTED. */
    bool (*progress)(void *user, size_t done, size_t total);
};

struct tally {
    int64_t asked;    /* tokens of all contexts and continuations */
    int64_t computed; /* tokens that went through the model */
    int64_t scored;   /* tokens whose likelihood was taken */
};

int score_groups(const struct model *m, struct group *groups, size_t n, const struct schedule *how,
                 struct tally *tally /* added to */, struct error *e);

#endif
