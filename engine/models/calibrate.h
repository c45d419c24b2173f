/* What calibrate.c (the sets of a layer) and calibrate_experts.c share. */
#ifndef KERF_ENGINE_MODELS_CALIBRATE_H
#define KERF_ENGINE_MODELS_CALIBRATE_H

#include "engine/models/internal.h"
#include "engine/models/walk.h"

/* Matrices that were packed and take their places once all that a layer's step looks at was seen. */
struct pending {
    struct linear *at;
    struct matrix packed;
};

struct calibrating {
    struct model *m;
    struct walk *walk;
    int64_t tokens; /* of all sequences */
    double error, baseline;
    size_t done, total; /* steps, for progress */
    struct pending *pending;
    size_t n_pending, capacity;
};

/* h += the transpose of x times x, in the upper triangle of tiles; `tiles`: hessian_tiles() of the memory. */
void hessian_add(double *h, const float *x /* [n, cols] */, int64_t n, int64_t cols, float *tiles);
float *hessian_tiles(struct error *e);
/* The mean over the tokens, both triangles. */
void hessian_finish(double *h, int64_t cols, int64_t tokens);
/* Packs a matrix by what it met; it takes its place, as all that are pending do, behind the step. */
int calibrate_matrix(struct calibrating *c, int64_t layer, struct linear *w, const struct hessian *h, struct error *e);

/* The matrices of a layer's experts: those that read its input (gate, up), those that read what these make of it (down),
 * or both as they are before either is packed. */
int calibrate_experts(struct calibrating *c, int64_t layer, bool inputs, bool outputs, struct error *e);
/* Bytes for one expert of a layer, the least that it takes at a time; *widest is its widest matrix. */
double expert_bytes(const struct layer *l, bool inputs, bool outputs, const struct linear **widest);

#endif
