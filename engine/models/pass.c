/* The steps of a forward pass, over the rows of all spans at once. Every output element has one owner and a fixed order
 * of summation: threads and batch-mates change nothing. */
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum {
    PASS_BYTES_LEAST = 12 << 20,
    PASS_BYTES_MOST = 128 << 20,
    FEW = 2
}; /* so few rows are not worth a parallel loop */

/* A sixteenth of the weights, within bounds: large enough for panels to be unpacked seldom, small beside the model. */
int64_t pass_room(const struct model *m)
{
    size_t bytes = m->facts.weight_bytes / 16;
    bytes = bytes < PASS_BYTES_LEAST ? PASS_BYTES_LEAST : bytes > PASS_BYTES_MOST ? PASS_BYTES_MOST : bytes;
    int64_t floats = m->architecture->room(&m->hyper) + 2 * m->hyper.width;
    int64_t each = floats * (int64_t)sizeof(float) + (int64_t)m->most_inputs, room = (int64_t)bytes / each;
    return room < 1 ? 1 : room > PASS_TOKENS ? PASS_TOKENS : room;
}

/* Bytes for each thread. */
static size_t scratch_each(const struct model *m, int64_t longest)
{
    size_t attention = attend_scratch(m, longest) * sizeof(float);
    return ((attention > m->most_scratch ? attention : m->most_scratch) + 63) / 64 * 64;
}

/* See pass_open(). */
size_t pass_bytes(const struct model *m, int64_t tokens, int64_t longest)
{
    enum { INTS = 5, PARTS = 6, ALIGNED = 64 };
    const struct hyper *h = &m->hyper;
    const size_t each = (size_t)(m->architecture->room(h) + h->width + h->rope_dims) * sizeof(float) +
                        INTS * sizeof(int32_t) + m->most_inputs;
    return (size_t)tokens * each + PARTS * ALIGNED + (size_t)omp_get_max_threads() * scratch_each(m, longest);
}

size_t model_pass_bytes(const struct model *m, int64_t tokens)
{
    const int64_t room = pass_room(m);
    return pass_bytes(m, tokens < room ? tokens : room, m->hyper.context);
}

/* Angles in float32, as the reference implementations have them: position * frequency. */
static void fill_turns(struct pass *p)
{
    const struct rope *r = &p->m->rope;
    int64_t half = p->m->hyper.rope_dims / 2;
    for (int64_t i = 0; i < half; i++) {
        for (int64_t t = 0; t < p->n; t++) {
            float angle = (float)p->position[t] * r->frequencies[i];
            p->turn[2 * t * half + i] = (float)cos((double)angle) * r->factor;
            p->turn[2 * t * half + half + i] = (float)sin((double)angle) * r->factor;
        }
    }
}

void pass_begins(const struct model *m)
{
    m->work->last = seconds_now();
    if (m->watch) m->watch->begin(m->watch->user);
}

void pass_tell(const struct model *m, int64_t layer, enum pass_part part, double flop, double bytes)
{
    struct work *w = m->work;
    const double now = seconds_now(), took = now - w->last;
    w->times.seconds[part] += took;
    w->last = now;
    if (!m->watch) return;
    m->watch->piece(m->watch->user, &(struct pass_piece){layer, (int)part, took, flop, bytes});
}

void pass_worked(const struct pass *p, enum pass_part part, double flop, double bytes)
{
    pass_tell(p->m, p->layer, part, flop, bytes);
}

void pass_took(const struct pass *p, enum pass_part part) { pass_worked(p, part, 0, 0); }

void *model_memory(const struct model *m, size_t bytes, struct error *e)
{
    struct work *w = m->work;
    if (w->bytes >= bytes) return w->memory;
    free(w->memory);
    w->bytes = 0;
    w->memory = memory_new(1, bytes, "activations", e);
    if (w->memory) w->bytes = bytes;
    return w->memory;
}

int pass_open(struct pass *p, struct error *e)
{
    int64_t longest = 1;
    for (size_t i = 0; i < p->n_spans; i++) {
        const struct span *s = &p->spans[i];
        int64_t end = s->cache->length + s->count;
        int status = cache_reserve(s->cache, end - s->cache->start, e);
        if (status) return status;
        if (end > longest) longest = end;
        p->n += s->count;
    }
    size_t n = (size_t)p->n;
    pass_begins(p->m);
    p->scratch_each = scratch_each(p->m, longest);
    p->longest = longest;
    const struct hyper *h = &p->m->hyper;
    const size_t sizes[] = {(5 * n + 1) * sizeof *p->ids,
                            n * (size_t)h->width * sizeof *p->x,
                            n * (size_t)h->rope_dims * sizeof *p->turn,
                            n * (size_t)p->m->architecture->room(h) * sizeof *p->rooms,
                            n * p->m->most_inputs,
                            (size_t)omp_get_max_threads() * p->scratch_each};
    enum { PARTS_OF_MEMORY = sizeof sizes / sizeof *sizes };
    size_t at[PARTS_OF_MEMORY + 1] = {0};
    for (size_t i = 0; i < PARTS_OF_MEMORY; i++) at[i + 1] = at[i] + (sizes[i] + 63) / 64 * 64;
    uint8_t *memory = model_memory(p->m, at[PARTS_OF_MEMORY], e);
    if (!memory) return ERROR_IO;
    p->ids = (void *)memory;
    p->x = (void *)(memory + at[1]);
    p->turn = (void *)(memory + at[2]);
    p->rooms = (void *)(memory + at[3]);
    p->inputs = memory + at[4];
    p->scratch = memory + at[5];
    p->position = p->ids + n;
    p->span_of = p->position + n;
    p->first = p->span_of + n;
    p->blocks = p->first + n;
    int64_t token = 0;
    for (size_t i = 0; i < p->n_spans; i++) {
        p->first[i] = (int32_t)token;
        for (int64_t j = 0; j < p->spans[i].count; j++, token++) {
            p->ids[token] = p->spans[i].ids[j];
            p->position[token] = (int32_t)(p->spans[i].cache->length + j);
            p->span_of[token] = (int32_t)i;
        }
    }
    p->n_blocks = attend_blocks(p, p->blocks);
    fill_turns(p);
    return 0;
}

void pass_embed(struct pass *p)
{
    const struct model *m = p->m;
    int64_t width = m->hyper.width;
#pragma omp parallel for schedule(static) if (p->n > FEW)
    for (int64_t i = 0; i < p->n; i++) {
        float *row = p->x + i * width;
        matrix_unpack(&m->embedding, p->ids[i], 1, row);
        for (int64_t k = 0; m->hyper.embed_scale != 1 && k < width; k++) row[k] *= m->hyper.embed_scale;
        if (m->positions) m->kernels->add(row, m->positions + p->position[i] * width, width);
    }
    const double row = (double)m->embedding.bytes / (double)m->embedding.rows;
    const double place = m->positions ? (double)width * sizeof *m->positions : 0;
    pass_worked(p, PART_EMBED, 0, (double)p->n * (row + place));
}

void pass_rms_norm(const struct pass *p, const struct norm *w, const float *x, float *y)
{
    const struct model *m = p->m;
    int64_t width = m->hyper.width;
#pragma omp parallel for schedule(static) if (p->n > FEW)
    for (int64_t i = 0; i < p->n; i++)
        m->kernels->rms_norm(x + i * width, w->weight, m->hyper.norm_eps, width, y + i * width);
    pass_took(p, PART_NORM);
}

void pass_layer_norm(const struct pass *p, const struct norm *w, const float *x, float *y)
{
    const struct model *m = p->m;
    int64_t width = m->hyper.width;
#pragma omp parallel for schedule(static) if (p->n > FEW)
    for (int64_t i = 0; i < p->n; i++)
        m->kernels->layer_norm(x + i * width, w->weight, w->bias, m->hyper.norm_eps, width, y + i * width);
    pass_took(p, PART_NORM);
}

void pass_norm(const struct pass *p, const struct norm *w, const float *x, float *y)
{
    if (w->bias)
        pass_layer_norm(p, w, x, y);
    else
        pass_rms_norm(p, w, x, y);
}

void pass_norm_pieces(const struct pass *p, const float *weight, float *rows, int64_t stride, int64_t count,
                      int64_t width)
{
    const struct model *m = p->m;
#pragma omp parallel for schedule(static) if (p->n > FEW)
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < count; j++) {
            float *x = rows + i * stride + j * width;
            m->kernels->rms_norm(x, weight, m->hyper.norm_eps, width, x);
        }
    pass_took(p, PART_NORM);
}

enum pass_part part_of(enum linear_role role)
{
    switch (role) {
    case LINEAR_O:
        return PART_O;
    case LINEAR_GATE:
    case LINEAR_UP:
        return PART_GATE_UP;
    case LINEAR_DOWN:
        return PART_DOWN;
    default:
        return PART_QKV;
    }
}

static void add_bias(const struct pass *p, const struct linear *w, float *y)
{
    if (!w->bias) return;
#pragma omp parallel for schedule(static) if (p->n > FEW)
    for (int64_t i = 0; i < p->n; i++) p->m->kernels->add(y + i * w->m.rows, w->bias, w->m.rows);
}

/* The probe is told the input of each; false: what follows is not wanted. */
static bool tell(struct pass *p, int64_t layer, const float *x, const struct linear_output *o)
{
    const struct linear *w = &p->m->layers[layer].w[o->role];
    if (p->probe && p->probe->linear_input) p->probe->linear_input(p->probe->user, layer, o->role, x, p->n, w->m.cols);
    p->stopped = p->stops && p->last == o->role;
    return !p->stopped;
}

void pass_products(const struct pass *p, const struct product *products, size_t count, const float *x, int64_t n,
                   enum pass_part part)
{
    for (size_t i = 0; i < count;) {
        const struct matrix *first = products[i].m;
        struct matrix_inputs in;
        size_t begin = i;
        matrix_inputs(first, x, n, p->inputs, &in);
        pass_took(p, PART_INPUTS);
        double elements = 0, bytes = 0;
        do {
            const struct matrix *m = products[i++].m;
            elements += (double)m->rows * (double)m->cols;
            bytes += (double)m->bytes;
        } while (i < count && matrix_shares_inputs(first, products[i].m));
        matrix_products(products + begin, i - begin, &in, p->scratch);
        pass_worked(p, part, 2 * (double)n * elements, bytes);
    }
}

void pass_linears(struct pass *p, int64_t layer, const float *x, const struct linear_output *outputs, size_t count)
{
    const struct linear *w = p->m->layers[layer].w;
    struct product products[LINEARS];
    if (p->stopped) return;
    for (size_t i = 0; i < count; i++) {
        if (!tell(p, layer, x, &outputs[i])) return;
        products[i] = (struct product){&w[outputs[i].role].m, outputs[i].y};
    }
    pass_took(p, PART_REST);
    pass_products(p, products, count, x, p->n, part_of(outputs[0].role));
    for (size_t i = 0; i < count; i++) add_bias(p, &w[outputs[i].role], outputs[i].y);
}

void pass_add(const struct pass *p, const float *y)
{
    int64_t width = p->m->hyper.width;
#pragma omp parallel for schedule(static) if (p->n > FEW)
    for (int64_t i = 0; i < p->n; i++) p->m->kernels->add(p->x + i * width, y + i * width, width);
    pass_took(p, PART_REST);
}

/* GELU with the error function, which tanh stands for elsewhere: x (1 + erf(x / sqrt(2))) / 2 (Hendrycks and Gimpel
 * 2016), in double. */
static void gelu_erf(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)(0.5 * (double)x[i] * (1 + erf((double)x[i] * 0.70710678118654752)));
}

void soft_cap(float *x, float cap, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)((double)cap * tanh((double)x[i] / (double)cap));
}

static void gate_row(const struct pass *p, enum activation f, float *restrict gate, const float *restrict up, int64_t n)
{
    if (f == SILU) {
        p->m->kernels->silu_multiply(gate, up, n);
        return;
    }
    if (f == GELU_TANH)
        p->m->kernels->gelu_tanh(gate, n);
    else
        gelu_erf(gate, n);
    for (int64_t i = 0; i < n; i++) gate[i] *= up[i];
}

void pass_gate(const struct pass *p, enum activation f, float *gate, const float *up, int64_t stride, int64_t n,
               int64_t width, float *y)
{
#pragma omp parallel for schedule(static) if (n > FEW)
    for (int64_t i = 0; i < n; i++) {
        gate_row(p, f, gate + i * stride, up + i * stride, width);
        if (y != gate) memcpy(y + i * width, gate + i * stride, (size_t)width * sizeof *y);
    }
    pass_took(p, PART_ACTIVATION);
}

void pass_activate(const struct pass *p, enum activation f, float *x, int64_t width)
{
#pragma omp parallel for schedule(static) if (p->n > FEW)
    for (int64_t i = 0; i < p->n; i++) {
        if (f == GELU_TANH)
            p->m->kernels->gelu_tanh(x + i * width, width);
        else
            gelu_erf(x + i * width, width);
    }
    pass_took(p, PART_ACTIVATION);
}

void pass_rope(const struct pass *p, float *rows, int64_t stride, int64_t heads)
{
    const struct hyper *h = &p->m->hyper;
#pragma omp parallel for schedule(static) if (p->n > FEW)
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < heads; j++)
            p->m->kernels->rope(rows + i * stride + j * h->head, p->turn + i * h->rope_dims, h->rope_dims,
                                h->rope_interleaved);
    pass_took(p, PART_ROPE);
}

void pass_layer_done(const struct pass *p, int64_t layer)
{
    if (!p->stopped && p->probe && p->probe->layer_output)
        p->probe->layer_output(p->probe->user, layer, p->x, p->n, p->m->hyper.width);
}
