/* The steps of a forward pass, over the rows of all spans at once. Every output element has one owner and a fixed order
 * of summation: threads and batch-mates change nothing. */
#include "engine/models/internal.h"

#include <math.h>
#include <omp.h>
#include <string.h>

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

void pass_linear(const struct pass *p, const struct linear *w, const float *x, float *y)
{
    matrix_multiply(&w->m, x, p->n, y, p->scratch);
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
        int64_t at = (layer * c->capacity + p->position[i] - c->start) * c->width;
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
    const float *k = c->k + a->layer * c->capacity * c->width + a->offset;
    a->kernels->dots(a->q, k, c->width, end - c->start, a->head, a->scores + c->start);
}

static void weigh(const struct query *a, const struct cache *c, int64_t end)
{
    if (c->prefix && c->start) weigh(a, c->prefix, c->start < end ? c->start : end);
    if (end <= c->start) return;
    const float *v = c->v + a->layer * c->capacity * c->width + a->offset;
    a->kernels->weigh(a->scores + c->start, v, c->width, end - c->start, a->head, a->out);
}

void pass_attend(const struct pass *p, int64_t layer, const float *q, int64_t q_stride, const float *k, const float *v,
                 int64_t kv_stride, float *out)
{
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
    if (p->probe && p->probe->layer_output)
        p->probe->layer_output(p->probe->user, layer, p->x, p->n, p->m->hyper.width);
}
