#include "engine/models/walk.h"
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <stdlib.h>
#include <string.h>

struct walk {
    const struct model *m;
    const int32_t *ids; /* [sequences, length] */
    int64_t sequences, length;
    float *x; /* [sequences, length, width] */
};

/* What is done with every sequence. */
struct step {
    enum { EMBED, WATCH, ADVANCE } kind;
    int64_t layer;
    const struct probe *probe;
    enum linear_role last; /* of WATCH */
};

static int one_pass(struct walk *w, struct pass *p, const struct step *step, int64_t row, struct error *e)
{
    int64_t width = w->m->hyper.width;
    float *x = w->x + row * width;
    int status = pass_open(p, e);
    if (!status && step->kind == EMBED) pass_embed(p);
    if (!status && step->kind != EMBED) {
        memcpy(p->x, x, (size_t)(p->n * width) * sizeof *x);
        p->layer = step->layer;
        w->m->architecture->layer(p, step->layer);
    }
    if (!status && step->kind != WATCH) memcpy(x, p->x, (size_t)(p->n * width) * sizeof *x);
    return status;
}

/* `count` sequences from `first` on, in pieces of at most `piece` tokens each. */
static int some_sequences(struct walk *w, int64_t first, int64_t count, int64_t piece, const struct step *step,
                          struct error *e)
{
    struct span *spans = memory_new((size_t)count, sizeof *spans, "a batch", e);
    int status = spans ? 0 : ERROR_IO;
    for (int64_t i = 0; i < count && !status; i++)
        if (!(spans[i].cache = cache_of_layer(w->m, step->layer, w->length, e))) status = ERROR_IO;
    for (int64_t begin = 0; begin < w->length && !status; begin += piece) {
        int64_t here = w->length - begin < piece ? w->length - begin : piece;
        for (int64_t i = 0; i < count; i++) {
            spans[i].ids = w->ids + (first + i) * w->length + begin;
            spans[i].count = spans[i].first_output = here;
        }
        struct pass p = {.m = w->m,
                         .spans = spans,
                         .n_spans = (size_t)count,
                         .probe = step->probe,
                         .layer = -1,
                         .stops = step->kind == WATCH,
                         .last = step->last};
        status = one_pass(w, &p, step, first * w->length + begin, e);
        for (int64_t i = 0; i < count && !status; i++) spans[i].cache->length += here;
    }
    for (int64_t i = 0; spans && i < count; i++) cache_free(spans[i].cache);
    free(spans);
    return status;
}

int64_t walk_tokens(const struct model *m, int64_t sequences, int64_t length)
{
    const int64_t group = pass_room(m) / length, most = group < sequences ? group : sequences;
    return (most < 1 ? 1 : most) * length;
}

/* As many sequences at a time as a pass has room for; a sequence that is longer goes in pieces. */
static int all_sequences(struct walk *w, const struct step *step, struct error *e)
{
    int64_t room = pass_room(w->m), group = walk_tokens(w->m, w->sequences, w->length) / w->length;
    int status = 0;
    for (int64_t first = 0; first < w->sequences && !status; first += group) {
        int64_t count = w->sequences - first < group ? w->sequences - first : group;
        status = some_sequences(w, first, count, room < w->length ? room : w->length, step, e);
    }
    return status;
}

int walk_open(struct walk **out, const struct model *m, const int32_t *ids, int64_t sequences, int64_t length,
              struct error *e)
{
    *out = NULL;
    struct walk *w = memory_new(1, sizeof *w, "a calibration", e);
    if (!w) return ERROR_IO;
    *w = (struct walk){.m = m, .ids = ids, .sequences = sequences, .length = length};
    w->x = memory_new((size_t)(sequences * length), (size_t)m->hyper.width * sizeof *w->x, "activations", e);
    int status = w->x ? all_sequences(w, &(struct step){.kind = EMBED}, e) : ERROR_IO;
    if (status) {
        walk_close(w);
        return status;
    }
    *out = w;
    return 0;
}

int walk_watch(struct walk *w, int64_t i, const struct probe *probe, enum linear_role last, struct error *e)
{
    return all_sequences(w, &(struct step){WATCH, i, probe, last}, e);
}

int walk_advance(struct walk *w, int64_t i, const struct probe *probe, struct error *e)
{
    return all_sequences(w, &(struct step){.kind = ADVANCE, .layer = i, .probe = probe}, e);
}

void walk_close(struct walk *w)
{
    if (!w) return;
    free(w->x);
    free(w);
}
