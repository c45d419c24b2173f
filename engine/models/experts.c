/* A mixture of experts (Shazeer et al. 2017) in the place of a layer's feed-forward part: a router's softmax over all
 * experts, the best of which compute for each token and are summed by what the router gives them (Jiang et al. 2024,
 * Mixtral), and where there is one an expert that every token uses, through a gate of its own (Qwen2-MoE).
 *
 * A token's sum runs over its experts in their order, whatever else is in the batch. */
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <math.h>
#include <string.h>

int experts_load(struct model *m, int64_t i, struct error *e)
{
    const struct hyper *h = &m->hyper;
    struct layer *l = &m->layers[i];
    const int64_t ffn = h->expert_ffn, shared = h->shared_ffn, width = h->width;
    int status = load_float_matrix(m, "blk.%d.ffn_gate_inp.weight", i, h->experts, width, &l->router, e);
    if (!status) status = load_experts(m, "blk.%d.ffn_gate_exps.weight", i, ffn, width, &l->experts[EXPERT_GATE], e);
    if (!status) status = load_experts(m, "blk.%d.ffn_up_exps.weight", i, ffn, width, &l->experts[EXPERT_UP], e);
    if (!status) status = load_experts(m, "blk.%d.ffn_down_exps.weight", i, width, ffn, &l->experts[EXPERT_DOWN], e);
    if (!shared || status) return status;
    struct linear *w = l->w;
    status = load_vector(m, "blk.%d.ffn_gate_inp_shexp.weight", i, width, &l->shared_gate, e);
    if (!status) status = load_linear(m, "blk.%d.ffn_gate_shexp.weight", false, i, shared, width, &w[LINEAR_GATE], e);
    if (!status) status = load_linear(m, "blk.%d.ffn_up_shexp.weight", false, i, shared, width, &w[LINEAR_UP], e);
    if (!status) status = load_linear(m, "blk.%d.ffn_down_shexp.weight", false, i, width, shared, &w[LINEAR_DOWN], e);
    return status;
}

struct mixture {
    float *sum;  /* [n, width] */
    float *seen; /* [n, width], the tokens of an expert */
    float *out;  /* [n, width], what it makes of them */
    float *gate, *up;
    float *shares;   /* [n, experts]: what the router gives to those chosen, -1 to the others */
    float *of_layer; /* [n]: the shared expert's */
    int32_t *tokens; /* [n]: of an expert */
};

static int64_t widest(const struct hyper *h) { return h->expert_ffn > h->shared_ffn ? h->expert_ffn : h->shared_ffn; }

int64_t experts_room(const struct hyper *h) { return 3 * h->width + 2 * widest(h) + h->experts + 2; }

static struct mixture mixture_of(const struct pass *p, float *rooms)
{
    const struct hyper *h = &p->m->hyper;
    struct mixture x = {.sum = rooms};
    x.seen = x.sum + p->n * h->width;
    x.out = x.seen + p->n * h->width;
    x.gate = x.out + p->n * h->width;
    x.up = x.gate + p->n * widest(h);
    x.shares = x.up + p->n * widest(h);
    x.of_layer = x.shares + p->n * h->experts;
    x.tokens = (int32_t *)(void *)(x.of_layer + p->n);
    return x;
}

/* Of the router's scores of one token the shares of the experts that it chooses: the largest, of equals the first. */
static void choose(const struct model *m, float *shares)
{
    const struct hyper *h = &m->hyper;
    float sum = 0;
    m->kernels->softmax(shares, 1, h->experts);
    for (int64_t k = 0; k < h->experts_used; k++) { /* those that are chosen have a minus sign meanwhile, 0 too */
        int64_t best = -1;
        for (int64_t i = 0; i < h->experts; i++)
            if (!signbit(shares[i]) && (best < 0 || shares[i] > shares[best])) best = i;
        if (best < 0) break; /* not a number, all of them */
        sum += shares[best];
        shares[best] = -shares[best];
    }
    for (int64_t i = 0; i < h->experts; i++) {
        const float share = h->experts_norm ? -shares[i] / sum : -shares[i];
        shares[i] = signbit(shares[i]) ? share : -1;
    }
}

static void route(const struct pass *p, const struct layer *l, const float *x, const struct mixture *mix)
{
    pass_products(p, &(struct product){&l->router, mix->shares}, 1, x, p->n, PART_GATE_UP);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++) choose(p->m, mix->shares + i * p->m->hyper.experts);
}

/* Gathers the tokens that chose this expert; returns how many. */
static int64_t gather(const struct pass *p, int64_t expert, const float *x, const struct mixture *mix)
{
    const int64_t width = p->m->hyper.width, experts = p->m->hyper.experts;
    int64_t n = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (mix->shares[i * experts + expert] < 0) continue;
        memcpy(mix->seen + n * width, x + i * width, (size_t)width * sizeof *x);
        mix->tokens[n++] = (int32_t)i;
    }
    return n;
}

/* The probe is told what matrices of an expert meet. */
static void tell(const struct pass *p, int64_t layer, enum expert_part part, int64_t expert, const float *x, int64_t n)
{
    if (!p->probe || !p->probe->expert_input) return;
    const int64_t cols = p->m->layers[layer].experts[part][expert].m.cols;
    p->probe->expert_input(p->probe->user, layer, part, expert, x, n, cols);
}

static void run_expert(const struct pass *p, int64_t layer, int64_t expert, const float *x, const struct mixture *mix)
{
    const struct hyper *h = &p->m->hyper;
    const struct layer *l = &p->m->layers[layer];
    const int64_t n = gather(p, expert, x, mix), width = h->width;
    if (!n) return;
    tell(p, layer, EXPERT_GATE, expert, mix->seen, n);
    tell(p, layer, EXPERT_UP, expert, mix->seen, n);
    const struct product gate_up[] = {{&l->experts[EXPERT_GATE][expert].m, mix->gate},
                                      {&l->experts[EXPERT_UP][expert].m, mix->up}};
    pass_products(p, gate_up, 2, mix->seen, n, PART_GATE_UP);
    pass_gate(p, p->m->hyper.activation, mix->gate, mix->up, h->expert_ffn, n, h->expert_ffn, mix->gate);
    tell(p, layer, EXPERT_DOWN, expert, mix->gate, n);
    pass_products(p, &(struct product){&l->experts[EXPERT_DOWN][expert].m, mix->out}, 1, mix->gate, n, PART_DOWN);
    for (int64_t i = 0; i < n; i++) {
        const int64_t token = mix->tokens[i];
        const float share = mix->shares[token * h->experts + expert];
        for (int64_t k = 0; k < width; k++) mix->sum[token * width + k] += share * mix->out[i * width + k];
    }
    pass_took(p, PART_REST);
}

/* sigmoid(x w), summed in double. */
static float gate_of(const float *x, const float *w, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)w[i];
    return (float)(1 / (1 + exp(-sum)));
}

static void run_shared(struct pass *p, int64_t i, const float *x, const struct mixture *mix)
{
    const struct hyper *h = &p->m->hyper;
    const struct linear_output gate_up[] = {{LINEAR_GATE, mix->gate}, {LINEAR_UP, mix->up}};
    pass_linears(p, i, x, gate_up, 2);
    if (p->stopped) return;
    pass_gate(p, p->m->hyper.activation, mix->gate, mix->up, h->shared_ffn, p->n, h->shared_ffn, mix->gate);
    pass_linear(p, i, LINEAR_DOWN, mix->gate, mix->out);
    if (p->stopped) return;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < p->n; t++) {
        const float share = gate_of(x + t * h->width, p->m->layers[i].shared_gate, h->width);
        for (int64_t k = 0; k < h->width; k++) mix->sum[t * h->width + k] += share * mix->out[t * h->width + k];
    }
}

void experts_forward(struct pass *p, int64_t i, const float *x, float *rooms, float *y)
{
    const struct layer *l = &p->m->layers[i];
    const struct mixture mix = mixture_of(p, rooms);
    if (p->stopped) return;
    const size_t bytes = (size_t)(p->n * p->m->hyper.width) * sizeof *y;
    memset(mix.sum, 0, bytes);
    route(p, l, x, &mix);
    for (int64_t k = 0; k < p->m->hyper.experts; k++) run_expert(p, i, k, x, &mix);
    if (l->shared_gate) run_shared(p, i, x, &mix);
    if (!p->stopped) memcpy(y, mix.sum, bytes);
}
