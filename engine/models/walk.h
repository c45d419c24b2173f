/* Layer by layer over fixed sequences of tokens: what calibration needs. The activations between two layers are kept for
 * all sequences (sequences x length x width floats), everything else for a few sequences and one layer at a time.
 *
 *     struct walk *w;
 *     if (walk_open(&w, model, ids, sequences, length, e)) return e->code;
 *     walk_watch(w, 0, &probe, LINEAR_UP, e);      what the matrices of layer 0 meet, up to there
 *     walk_advance(w, 0, NULL, e);                 its outputs are the next layer's inputs
 *     walk_close(w);
 *
 * The matrices may be replaced between two calls. Results do not depend on the number of threads. */
#ifndef KERF_ENGINE_MODELS_WALK_H
#define KERF_ENGINE_MODELS_WALK_H

#include "engine/models/model.h"

struct walk;

/* Tokens of the sequences that go through a layer together: as many as a pass has room for, and at least one sequence. */
int64_t walk_tokens(const struct model *m, int64_t sequences, int64_t length);
/* The model and the ids must outlive the walk; length is at most the model's context. */
int walk_open(struct walk **out, const struct model *m, const int32_t *ids /* [sequences, length] */, int64_t sequences,
              int64_t length, struct error *e);
/* Sends all sequences through layer i, only as far as it takes to tell the probe the input of `last`; where the layer
 * has no such matrix, through all of it. */
int walk_watch(struct walk *w, int64_t i, const struct probe *probe, enum linear_role last, struct error *e);
/* The same through the whole layer; what comes out is what the next call starts from. probe may be NULL. */
int walk_advance(struct walk *w, int64_t i, const struct probe *probe, struct error *e);
void walk_close(struct walk *w); /* NULL is fine */

#endif
