/* The steps of a forward pass, over the rows of all spans at once. Every output element has one owner and a fixed order
 * of summation: threads and batch-mates change nothing. */
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { PASS_BYTES = 128 << 20 };

int64_t pass_room(const struct model *m)
{
    int64_t each = (m->architecture->room(&m->hyper) + 2 * m->hyper.width + m->most_inputs) * (int64_t)sizeof(float);
    int64_t room = PASS_BYTES / each;
    return room < 1 ? 1 : room > PASS_TOKENS ? PASS_TOKENS : room;
}

size_t model_pass_bytes(const struct model *m, int64_t tokens)
{
    const struct hyper *h = &m->hyper;
    int64_t room = pass_room(m), n = tokens < room ? tokens : room;
    size_t scratch = m->most_scratch > (size_t)h->context ? m->most_scratch : (size_t)h->context;
    size_t each = (size_t)(m->architecture->room(h) + h->width + m->most_inputs + h->rope_dims + 3);
    return ((size_t)n * each + (size_t)omp_get_max_threads() * scratch) * sizeof(float);
}

/* Angles in float32, as the reference implementations have them: position * base^(-2i/dims). */
static void fill_turns(struct pass *p)
{
    const struct hyper *h = &p->m->hyper;
    int64_t half = h->rope_dims / 2;
    for (int64_t i = 0; i < half; i++) {
        float frequency = (float)(1.0 / pow(h->rope_base, (double)(2 * i) / (double)h->rope_dims));
        for (int64_t t = 0; t < p->n; t++) {
            float angle = (float)p->position[t] * frequency;
            p->turn[2 * (t * half + i)] = (float)cos((double)angle);
            p->turn[2 * (t * half + i) + 1] = (float)sin((double)angle);
        }
    }
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
    p->scratch_each = p->m->most_scratch > (size_t)longest ? p->m->most_scratch : (size_t)longest;
    p->ids = memory_new(n, 3 * sizeof *p->ids, "tokens", e);
    p->x = memory_new(n, (size_t)p->m->hyper.width * sizeof *p->x, "activations", e);
    p->turn = memory_new(n, (size_t)p->m->hyper.rope_dims * sizeof *p->turn, "angles", e);
    p->scratch = memory_new((size_t)omp_get_max_threads(), p->scratch_each * sizeof *p->scratch, "scratch", e);
    p->rooms = memory_new(n, (size_t)p->m->architecture->room(&p->m->hyper) * sizeof *p->rooms, "activations", e);
    if (p->m->most_inputs) p->seen = memory_new(n, (size_t)p->m->most_inputs * sizeof *p->seen, "activations", e);
    if (!p->ids || !p->x || !p->turn || !p->scratch || !p->rooms || (p->m->most_inputs && !p->seen)) return ERROR_IO;
    p->position = p->ids + n;
    p->span_of = p->position + n;
    int64_t at = 0;
    for (size_t i = 0; i < p->n_spans; i++)
        for (int64_t j = 0; j < p->spans[i].count; j++, at++) {
            p->ids[at] = p->spans[i].ids[j];
            p->position[at] = (int32_t)(p->spans[i].cache->length + j);
            p->span_of[at] = (int32_t)i;
        }
    fill_turns(p);
    return 0;
}

void pass_close(struct pass *p)
{
    free(p->ids);
    free(p->x);
    free(p->turn);
    free(p->scratch);
    free(p->rooms);
    free(p->seen);
}

void pass_embed(struct pass *p)
{
    const struct model *m = p->m;
    int64_t width = m->hyper.width;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++) {
        float *row = p->x + i * width;
        matrix_unpack(&m->embedding, p->ids[i], 1, row);
        if (m->positions) m->kernels->add(row, m->positions + p->position[i] * width, width);
    }
}

void pass_rms_norm(const struct pass *p, const struct norm *w, const float *x, float *y)
{
    const struct model *m = p->m;
    int64_t width = m->hyper.width;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++)
        m->kernels->rms_norm(x + i * width, w->weight, m->hyper.norm_eps, width, y + i * width);
}

void pass_layer_norm(const struct pass *p, const struct norm *w, const float *x, float *y)
{
    const struct model *m = p->m;
    int64_t width = m->hyper.width;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++)
        m->kernels->layer_norm(x + i * width, w->weight, w->bias, m->hyper.norm_eps, width, y + i * width);
}

/* Cut into pieces, each row by itself. */
static const float *inputs(const struct pass *p, const struct matrix *m, const float *x)
{
    if (!m->backend->inputs) return x;
    enum { ROWS = 16 };
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i += ROWS)
        m->backend->inputs(m, x + i * m->cols, p->n - i < ROWS ? p->n - i : ROWS, p->seen + i * m->cols);
    return p->seen;
}

void pass_linear(struct pass *p, int64_t layer, enum linear_role role, const float *x, float *y)
{
    const struct linear *w = &p->m->layers[layer].w[role];
    if (p->stopped) return;
    if (p->probe && p->probe->linear_input) p->probe->linear_input(p->probe->user, layer, role, x, p->n, w->m.cols);
    p->stopped = p->stops && p->last == role;
    if (p->stopped) return;
    matrix_multiply(&w->m, inputs(p, &w->m, x), p->n, y, p->scratch);
    if (!w->bias) return;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++) p->m->kernels->add(y + i * w->m.rows, w->bias, w->m.rows);
}

void pass_add(const struct pass *p, const float *y)
{
    int64_t width = p->m->hyper.width;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++) p->m->kernels->add(p->x + i * width, y + i * width, width);
}

void pass_silu_multiply(const struct pass *p, float *gate, const float *up, int64_t width)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++) p->m->kernels->silu_multiply(gate + i * width, up + i * width, width);
}

void pass_gelu(const struct pass *p, float *x, int64_t width)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++) p->m->kernels->gelu_tanh(x + i * width, width);
}

/* turn: pairs (cos, sin). The halves are gathered first, so that reading interleaved pairs may write over them. */
static void rope_head(float *x, const float *turn, int64_t dims, bool interleaved)
{
    float a[ROPE_DIMS / 2], b[ROPE_DIMS / 2];
    int64_t half = dims / 2;
    for (int64_t i = 0; i < half; i++) {
        a[i] = interleaved ? x[2 * i] : x[i];
        b[i] = interleaved ? x[2 * i + 1] : x[i + half];
    }
    for (int64_t i = 0; i < half; i++) {
        float c = turn[2 * i], s = turn[2 * i + 1];
        x[i] = a[i] * c - b[i] * s;
        x[i + half] = a[i] * s + b[i] * c;
    }
}

void pass_rope(const struct pass *p, float *rows, int64_t stride, int64_t heads)
{
    const struct hyper *h = &p->m->hyper;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < heads; j++)
            rope_head(rows + i * stride + j * h->head, p->turn + i * h->rope_dims, h->rope_dims, h->rope_interleaved);
}

static void store(const struct pass *p, int64_t layer, const float *k, const float *v, int64_t stride)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++) {
        const struct cache *c = p->spans[p->span_of[i]].cache;
        int64_t at = ((layer - c->first_layer) * c->capacity + p->position[i] - c->start) * c->width;
        memcpy(c->k + at, k + i * stride, (size_t)c->width * sizeof *k);
        memcpy(c->v + at, v + i * stride, (size_t)c->width * sizeof *v);
    }
}

struct query {
    const struct kernels *kernels;
    int64_t layer, head, offset; /* offset of the key head within a row */
    const float *q;
    float *scores, *out;
};

/* The scores of positions [0, end), the prefix first. */
static void score(const struct query *a, const struct cache *c, int64_t end)
{
    if (c->prefix && c->start) score(a, c->prefix, c->start < end ? c->start : end);
    if (end <= c->start) return;
    const float *k = c->k + (a->layer - c->first_layer) * c->capacity * c->width + a->offset;
    a->kernels->dots(a->q, k, c->width, end - c->start, a->head, a->scores + c->start);
}

static void weigh(const struct query *a, const struct cache *c, int64_t end)
{
    if (c->prefix && c->start) weigh(a, c->prefix, c->start < end ? c->start : end);
    if (end <= c->start) return;
    const float *v = c->v + (a->layer - c->first_layer) * c->capacity * c->width + a->offset;
    a->kernels->weigh(a->scores + c->start, v, c->width, end - c->start, a->head, a->out);
}

void pass_attend(const struct pass *p, int64_t layer, const float *q, int64_t q_stride, const float *k, const float *v,
                 int64_t kv_stride, float *out)
{
    if (p->stopped) return;
    const struct hyper *h = &p->m->hyper;
    int64_t group = h->heads / h->kv_heads, width = h->heads * h->head;
    float scale = 1.f / sqrtf((float)h->head);
    store(p, layer, k, v, kv_stride);
#pragma omp parallel for collapse(2) schedule(dynamic, 4)
    for (int64_t i = 0; i < p->n; i++) {
        for (int64_t head = 0; head < h->heads; head++) {
            const struct cache *c = p->spans[p->span_of[i]].cache;
            float *scores = p->scratch + p->scratch_each * (size_t)omp_get_thread_num();
            int64_t end = p->position[i] + 1;
            struct query a = {p->m->kernels,
                              layer,
                              h->head,
                              head / group * h->head,
                              q + i * q_stride + head * h->head,
                              scores,
                              out + i * width + head * h->head};
            score(&a, c, end);
            a.kernels->softmax(scores, scale, end);
            memset(a.out, 0, (size_t)h->head * sizeof *a.out);
            weigh(&a, c, end);
        }
    }
}

void pass_layer_done(const struct pass *p, int64_t layer)
{
    if (!p->stopped && p->probe && p->probe->layer_output)
        p->probe->layer_output(p->probe->user, layer, p->x, p->n, p->m->hyper.width);
}
