/* Calibration of a mixture's experts: each by the tokens that the router sends to it, which no packing changes. As many
 * experts at a time as the memory has room for: what comes out does not depend on how many.
 *
 * An expert that few tokens meet says too little of its inputs: below half a percent of all tokens it is rounded to
 * nearest on the same grids, as GPTQModel's `failsafe` does by default, and counted. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/models/calibrate.h"

#include <stdlib.h>

enum { INPUTS, OUTPUTS, SIDES };

static const enum expert_part told_by[SIDES] = {EXPERT_GATE, EXPERT_DOWN}; /* gate and up read the same */

struct group {
    int64_t layer, first, count; /* experts [first, first + count) */
    struct hessian *of[SIDES];   /* [count] or NULL: not wanted */
    double *h[SIDES];            /* [count, cols, cols] */
    float *tiles;
};

static int64_t cols_of(const struct layer *l, int side) { return l->experts[told_by[side]]->m.cols; }

static double side_bytes(const struct layer *l, int side)
{
    return (double)cols_of(l, side) * (double)cols_of(l, side) * sizeof(double);
}

double expert_bytes(const struct layer *l, bool inputs, bool outputs, const struct linear **widest)
{
    const bool wanted[SIDES] = {inputs, outputs};
    double all = 0, most = 0;
    for (int side = 0; side < SIDES; side++) {
        if (!wanted[side] || !l->experts[told_by[side]]) continue;
        const double each = side_bytes(l, side);
        all += each;
        if (each > most) most = each, *widest = l->experts[told_by[side]];
    }
    return all + most;
}

static void collect(void *user, int64_t layer, enum expert_part part, int64_t expert, const float *x, int64_t n,
                    int64_t cols)
{
    (void)layer;
    struct group *g = user;
    for (int side = 0; side < SIDES; side++) {
        if (part != told_by[side] || !g->of[side] || expert < g->first || expert >= g->first + g->count) continue;
        struct hessian *h = &g->of[side][expert - g->first];
        hessian_add(g->h[side] + (expert - g->first) * cols * cols, x, n, cols, g->tiles);
        h->tokens += n;
    }
}

/* What takes nothing from one column to another: each is rounded by itself. */
static void forget(double *h, int64_t cols)
{
    for (int64_t i = 0; i < cols * cols; i++) h[i] = i % (cols + 1) == 0;
}

static int pack_side(struct calibrating *c, const struct group *g, int side, int64_t i, struct error *e)
{
    struct layer *l = &c->m->layers[g->layer];
    struct hessian *h = &g->of[side][i];
    double *values = g->h[side] + i * h->cols * h->cols;
    const bool few = (double)h->tokens < 0.005 * (double)c->tokens || h->tokens == 0;
    if (few) {
        forget(values, h->cols);
        h->tokens = 0;
    } else {
        hessian_finish(values, h->cols, h->tokens);
    }
    int status = 0;
    for (int part = 0; part < EXPERT_PARTS && !status; part++) {
        if ((part == EXPERT_DOWN) != (side == OUTPUTS)) continue;
        status = calibrate_matrix(c, g->layer, &l->experts[part][g->first + i], h, e);
        c->m->facts.calibration.rounded += few;
    }
    return status;
}

static void group_free(struct group *g)
{
    for (int side = 0; side < SIDES; side++) {
        free(g->of[side]);
        free(g->h[side]);
    }
    free(g->tiles);
}

static int group_open(struct group *g, const struct layer *l, const bool wanted[SIDES], struct error *e)
{
    g->tiles = hessian_tiles(e);
    int status = g->tiles ? 0 : ERROR_IO;
    for (int side = 0; side < SIDES && !status; side++) {
        if (!wanted[side]) continue;
        const size_t cols = (size_t)cols_of(l, side);
        g->of[side] = memory_new((size_t)g->count, sizeof *g->of[side], "Hessians", e);
        g->h[side] = memory_new((size_t)g->count * cols, cols * sizeof *g->h[side], "Hessians", e);
        if (!g->of[side] || !g->h[side]) return ERROR_IO;
        for (int64_t i = 0; i < g->count; i++)
            g->of[side][i] = (struct hessian){.h = g->h[side] + i * (int64_t)(cols * cols), .cols = (int64_t)cols};
    }
    return status;
}

static int calibrate_group(struct calibrating *c, struct group *g, const bool wanted[SIDES], struct error *e)
{
    const struct model_options *o = c->m->options;
    const struct probe probe = {.user = g, .expert_input = collect};
    int status = group_open(g, &c->m->layers[g->layer], wanted, e);
    if (!status) status = walk_watch(c->walk, g->layer, &probe, LINEARS, e);
    for (int64_t i = 0; i < g->count && !status; i++) {
        if (o->progress && !o->progress(o->user, "calibrating", c->done, c->total))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
        for (int side = 0; side < SIDES && !status; side++)
            if (wanted[side]) status = pack_side(c, g, side, i, e);
    }
    group_free(g);
    return status;
}

int calibrate_experts(struct calibrating *c, int64_t layer, bool inputs, bool outputs, struct error *e)
{
    const struct layer *l = &c->m->layers[layer];
    const bool wanted[SIDES] = {inputs, outputs};
    const int64_t all = l->experts[EXPERT_GATE] ? c->m->hyper.experts : 0;
    int status = 0;
    for (int64_t first = 0, count; first < all && !status; first += count) {
        const struct linear *widest;
        const double each = expert_bytes(l, inputs, outputs, &widest), room = (double)memory_available() / 2;
        count = each * (double)(all - first) < room ? all - first : (int64_t)(room / each);
        if (count < 1) count = 1;
        status = calibrate_group(c, &(struct group){.layer = layer, .first = first, .count = count}, wanted, e);
    }
    return status;
}
