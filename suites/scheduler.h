/* Requests of a whole suite, batched. Everything that is scored is a continuation after a context: the choices of an
 * item share one context, a rolling window is a continuation after one token. A context is computed once for all its
 * continuations, and what contexts have in common (the same examples, the same paragraph) once for all of them
 * (engine/models/prefixes.h); logits are computed at scored positions only, a bounded number at a time.
 *
 *     struct group g = {.context = ids, .n_context = n, .parts = parts, .n_parts = 4};
 *     if (score_groups(model, &g, 1, &(struct schedule){.batch = 32}, &tally, e)) ...
 *     parts[0].loglikelihood, parts[0].greedy
 *
 * Results do not depend on the batch, nor on what is shared or done before, bit for bit. What is computed is planned
 * from all the requests, so the tally of a run that was stopped and went on is that of one that was not. */
#ifndef KERF_SUITES_SCHEDULER_H
#define KERF_SUITES_SCHEDULER_H

#include "engine/decoding/generate.h"

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
    bool done; /* has its results: is not run (again) */
};

enum { SCHEDULE_MEMORY = 1 << 30 };

struct schedule {
    size_t batch;  /* sequences in one pass, at least 1 */
    size_t memory; /* bytes for keys and values, activations and logits, beyond the weights; 0: SCHEDULE_MEMORY */
    const size_t *item_of; /* of a request, for messages; NULL: its number */
    void *user;
    /* May be NULL; requests that are done, those from before counted, and tokens that went through the model by now;
     * false stops with ERROR_INTERRUPTED. */
    bool (*progress)(void *user, size_t done, size_t total, int64_t tokens);
    /* May be NULL; told once as soon as a request is whole; an error code ends the work. */
    int (*whole)(void *user, size_t request, struct error *e);
};

struct tally {
    int64_t asked;    /* tokens of all contexts and continuations, of prompts and their answers */
    int64_t computed; /* tokens that go through the model, all beams counted; asked - computed are saved */
    int64_t scored;   /* tokens whose likelihood is taken */
    int64_t cut;      /* requests whose prompt loses its beginning, for one of its continuations at least */
    int64_t fed;      /* tokens that went through the model in this call */
};

/* ERROR_USAGE, with the item and what it needs, where a single one does not fit in the memory. */
int score_groups(const struct model *m, struct group *groups, size_t n, const struct schedule *how,
                 struct tally *tally /* added to */, struct error *e);

/* Texts in the same way: prompts that begin alike share it. A generation that has `ended` is done. */
int generate_texts(const struct model *m, const struct decode *strategy, struct generation *all, size_t n,
                   const struct schedule *how, struct tally *tally /* added to */, struct error *e);

/* Of a request that needs `need` bytes where the schedule allows fewer. */
int schedule_refuse(const struct schedule *how, size_t request, size_t need, struct error *e);
size_t schedule_memory(const struct schedule *how);

#endif
