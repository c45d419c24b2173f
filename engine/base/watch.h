/* What those who work tell those who measure: which phase of a run begins, and what a piece of a pass was.
 *
 *     enum phase before = watch_enter(w, PHASE_SCORING);        w may be NULL: nobody watches
 *     ...
 *     watch_enter(w, before);
 *
 * Phases do not overlap: time is of the phase that was entered last. Everything is told by the thread that drives the
 * work, between parallel loops, never from within one. metrics/counters/profile.h is the watch that counts. */
#ifndef KERF_ENGINE_BASE_WATCH_H
#define KERF_ENGINE_BASE_WATCH_H

#include <stddef.h>
#include <stdint.h>

enum phase {
    PHASE_OTHER,      /* what no other is: options, tables, reports */
    PHASE_LOAD,       /* opening and hashing files, reading tensors, the tokenizer */
    PHASE_PACK,       /* quantizing, calibrating, making tiles */
    PHASE_PROMPTS,    /* reading items, rendering and tokenizing prompts */
    PHASE_PREFILL,    /* passes in which any sequence brings several tokens, or its first; with their logits */
    PHASE_DECODE,     /* passes in which every sequence brings one token more; with their logits */
    PHASE_SCORING,    /* log-likelihoods, choosing tokens, the journal, and making up the batches of passes */
    PHASE_STATISTICS, /* metrics, resampling, records */
    PHASES
};

const char *phase_name(enum phase phase); /* "load" */

/* A piece of a pass, told when it is done. */
struct pass_piece {
    int64_t layer; /* -1: of none (embedding, output) */
    int part;      /* enum pass_part of engine/models/model.h */
    double seconds;
    double flop; /* two for each multiplication with its addition, of products and attention; 0 of other parts */
    /* Of the matrices of products, whole; of the embedding the rows that were looked up; in attention of every
     * sequence's keys and values: each read once. 0 of other parts. */
    double bytes;
};

struct watch {
    void *user;
    enum phase (*enter)(void *user, enum phase phase); /* MUST; returns the phase before */
    /* MUST: a pass begins, or the logits behind one; its first piece is counted from here. May be followed by another
     * begin() where memory ran out. */
    void (*begin)(void *user);
    /* MUST: follows begin() or another piece without gap; what the watch itself takes is part of the next piece. */
    void (*piece)(void *user, const struct pass_piece *piece);
};

static inline enum phase watch_enter(const struct watch *w, enum phase phase)
{
    return w ? w->enter(w->user, phase) : PHASE_OTHER;
}

#endif
