/* One decoder for the architectures that differ in details: norms before or behind the blocks, of heads, biases, matrices
 * in one or apart, activations, blocks in parallel, mixtures of experts. What a layer has is the architecture's style;
 * what metadata says is in the hyper-parameters. */
#include "engine/models/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct key_map decoder_keys[] = {
    {"context_length", "max_position_embeddings", NAN, NULL},
    {"embedding_length", "hidden_size", NAN, NULL},
    {"block_count", "num_hidden_layers", NAN, NULL},
    {"feed_forward_length", "intermediate_size", NAN, NULL},
    {"attention.head_count", "num_attention_heads", NAN, NULL},
    {"attention.head_count_kv", "num_key_value_heads", NAN, "attention.head_count"},
    {"attention.key_length", "head_dim", 0, NULL},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", NAN, NULL},
    {"rope.dimension_count", NULL, 0, NULL},
    {"rope.share", "partial_rotary_factor|rope_parameters.partial_rotary_factor", 1, NULL},
    {"rope.freq_base", "rope_theta|rope_parameters.rope_theta", 10000, NULL},
    {"vocab_size", "vocab_size", 0, NULL},
    {NULL, NULL, 0, NULL},
};

/* --- loading --- */

static int load_attention(struct model *m, int64_t i, struct error *e)
{
    const struct hyper *h = &m->hyper;
    const struct style *s = m->architecture->style;
    struct layer *l = &m->layers[i];
    const int64_t q = h->heads * h->head, kv = h->kv_heads * h->head, width = h->width;
    const bool bias = s->qkv_biases || s->all_biases || h->attn_biases;
    static const char o_name[] = "blk.%d.attn_output.bias";
    int status = 0;
    if (s->one_qkv) {
        status = load_linear(m, "blk.%d.attn_qkv.weight", bias, i, q + 2 * kv, width, &l->w[LINEAR_QKV], e);
    } else {
        status = load_linear(m, "blk.%d.attn_q.weight", bias, i, q, width, &l->w[LINEAR_Q], e);
        if (!status) status = load_linear(m, "blk.%d.attn_k.weight", bias, i, kv, width, &l->w[LINEAR_K], e);
        if (!status) status = load_linear(m, "blk.%d.attn_v.weight", bias, i, kv, width, &l->w[LINEAR_V], e);
    }
    const bool whole = s->qk_norms == QK_WHOLE;
    if (s->qk_norms && !status)
        status = load_vector(m, "blk.%d.attn_q_norm.weight", i, whole ? q : h->head, &l->q_norm, e);
    if (s->qk_norms && !status)
        status = load_vector(m, "blk.%d.attn_k_norm.weight", i, whole ? kv : h->head, &l->k_norm, e);
    const bool o_may_lack = checkpoint_gguf(source_checkpoint(m->source)); /* as llama.cpp has it */
    const bool o_bias = s->all_biases || (h->attn_biases && (!o_may_lack || source_there(m->source, o_name, i)));
    if (!status) status = load_linear(m, "blk.%d.attn_output.weight", o_bias, i, width, q, &l->w[LINEAR_O], e);
    return status;
}

static int load_ffn(struct model *m, int64_t i, struct error *e)
{
    const struct hyper *h = &m->hyper;
    const struct style *s = m->architecture->style;
    struct linear *w = m->layers[i].w;
    if (h->experts) return experts_load(m, i, e);
    const int64_t ups = s->one_gate_up ? 2 * h->ffn : h->ffn;
    const bool bias = s->all_biases || h->ffn_biases;
    int status = 0;
    if (!s->one_gate_up && !s->ungated)
        status = load_linear(m, "blk.%d.ffn_gate.weight", bias, i, h->ffn, h->width, &w[LINEAR_GATE], e);
    if (!status) status = load_linear(m, "blk.%d.ffn_up.weight", bias, i, ups, h->width, &w[LINEAR_UP], e);
    if (!status) status = load_linear(m, "blk.%d.ffn_down.weight", bias, i, h->width, h->ffn, &w[LINEAR_DOWN], e);
    return status;
}

static int load_layer(struct model *m, int64_t i, struct error *e)
{
    const struct style *s = m->architecture->style;
    struct layer *l = &m->layers[i];
    const bool before = !s->no_pre_norms, bias = s->layer_norms;
    int status = before ? load_norm(m, "blk.%d.attn_norm", bias, i, &l->attn_norm, e) : 0;
    if (!status) status = load_attention(m, i, e);
    if (s->post_norms && !status) status = load_norm(m, "blk.%d.post_attention_norm", bias, i, &l->attn_post_norm, e);
    if (before && !status) status = load_norm(m, "blk.%d.ffn_norm", bias, i, &l->ffn_norm, e);
    if (!status) status = load_ffn(m, i, e);
    if (s->post_norms && !status) status = load_norm(m, "blk.%d.post_ffw_norm", bias, i, &l->ffn_post_norm, e);
    return status;
}

int decoder_load(struct model *m, struct error *e)
{
    int status = load_embeddings(m, e);
    for (int64_t i = 0; i < m->hyper.layers && !status; i++) status = load_layer(m, i, e);
    if (!status) status = load_norm(m, "output_norm", m->architecture->style->layer_norms, 0, &m->final_norm, e);
    return status;
}

/* --- room --- */

struct buffers {
    float *y, *kept; /* [n, width] */
    float *q, *k, *v, *heads;
    float *one; /* q, k and v head by head, to be sorted */
    float *gate, *up, *middle, *rest;
    int64_t q_stride, kv_stride;
};

/* Attention and the feed-forward part follow each other: they share their room, behind y and kept. */
int64_t decoder_room(const struct hyper *h)
{
    const int64_t q = h->heads * h->head, kv = h->kv_heads * h->head;
    const int64_t attention = 2 * q + 2 * kv + (h->qkv_by_head ? q + 2 * kv : 0);
    const int64_t ffn = h->experts ? experts_room(h) : h->gates_in_one ? 3 * h->ffn : 2 * h->ffn;
    return (h->parallel ? 2 : 1) * h->width + (attention > ffn ? attention : ffn);
}

static struct buffers buffers_of(const struct pass *p)
{
    const struct hyper *h = &p->m->hyper;
    const struct style *s = p->m->architecture->style;
    const int64_t q = h->heads * h->head, kv = h->kv_heads * h->head;
    const bool fused = s->one_qkv && !h->qkv_by_head;
    struct buffers b = {.y = p->rooms, .kept = p->rooms + p->n * h->width};
    b.q = h->parallel ? b.kept + p->n * h->width : b.kept;
    b.k = b.q + (fused ? q : p->n * q);
    b.v = b.k + (fused ? kv : p->n * kv);
    b.heads = b.q + p->n * (q + 2 * kv);
    b.one = b.heads + p->n * q;
    b.q_stride = fused ? q + 2 * kv : q;
    b.kv_stride = fused ? q + 2 * kv : kv;
    b.rest = b.gate = b.q;
    b.up = b.gate + (s->one_gate_up ? h->ffn : p->n * h->ffn);
    b.middle = s->one_gate_up ? b.gate + 2 * p->n * h->ffn : s->ungated ? b.up : b.gate;
    return b;
}

/* --- a layer --- */

/* Rows of heads, each its q, k and v, become rows of q, of k and of v. */
static void sort_heads(const struct pass *p, const struct buffers *b)
{
    const struct hyper *h = &p->m->hyper;
    const int64_t q = h->heads * h->head;
    const size_t bytes = (size_t)h->head * sizeof(float);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < h->heads; j++) {
            const float *from = b->one + (i * h->heads + j) * 3 * h->head;
            const int64_t to = i * q + j * h->head;
            memcpy(b->q + to, from, bytes);
            memcpy(b->k + to, from + h->head, bytes);
            memcpy(b->v + to, from + 2 * h->head, bytes);
        }
    pass_took(p, PART_REST);
}

static void project(struct pass *p, int64_t i, const struct buffers *b, const float *x)
{
    const struct hyper *h = &p->m->hyper;
    const struct layer *l = &p->m->layers[i];
    const struct linear_output qkv[] = {{LINEAR_Q, b->q}, {LINEAR_K, b->k}, {LINEAR_V, b->v}};
    if (!p->m->architecture->style->one_qkv)
        pass_linears(p, i, x, qkv, 3);
    else
        pass_linear(p, i, LINEAR_QKV, x, h->qkv_by_head ? b->one : b->q);
    if (p->stopped) return;
    if (h->qkv_by_head) sort_heads(p, b);
    const bool whole = p->m->architecture->style->qk_norms == QK_WHOLE;
    const int64_t q = whole ? 1 : h->heads, k = whole ? 1 : h->kv_heads;
    if (l->q_norm) pass_norm_pieces(p, l->q_norm, b->q, b->q_stride, q, h->heads * h->head / q);
    if (l->k_norm) pass_norm_pieces(p, l->k_norm, b->k, b->kv_stride, k, h->kv_heads * h->head / k);
    pass_rope(p, b->q, b->q_stride, h->heads);
    pass_rope(p, b->k, b->kv_stride, h->kv_heads);
}

/* From x to y, which may be x. */
static void attention(struct pass *p, int64_t i, const struct buffers *b, const float *x, float *y)
{
    const struct layer *l = &p->m->layers[i];
    project(p, i, b, x);
    pass_attend(p, i, b->q, b->q_stride, b->k, b->v, b->kv_stride, b->heads);
    pass_linear(p, i, LINEAR_O, b->heads, y);
    if (l->attn_post_norm.weight && !p->stopped) pass_norm(p, &l->attn_post_norm, y, y);
}

static void feed_forward(struct pass *p, int64_t i, const struct buffers *b, const float *x, float *y)
{
    const struct hyper *h = &p->m->hyper;
    const struct style *s = p->m->architecture->style;
    const struct layer *l = &p->m->layers[i];
    const struct linear_output gate_up[] = {{LINEAR_GATE, b->gate}, {LINEAR_UP, b->up}};
    if (h->experts) {
        experts_forward(p, i, x, b->rest, y);
    } else {
        if (s->one_gate_up)
            pass_linear(p, i, LINEAR_UP, x, b->gate);
        else
            pass_linears(p, i, x, s->ungated ? gate_up + 1 : gate_up, s->ungated ? 1 : 2);
        if (p->stopped) return;
        if (s->ungated)
            pass_activate(p, h->activation, b->up, h->ffn);
        else
            pass_gate(p, h->activation, b->gate, b->up, s->one_gate_up ? 2 * h->ffn : h->ffn, p->n, h->ffn, b->middle);
        pass_linear(p, i, LINEAR_DOWN, b->middle, y);
    }
    if (l->ffn_post_norm.weight && !p->stopped) pass_norm(p, &l->ffn_post_norm, y, y);
}

/* What a block reads: the stream, normed into y where the layer has such a norm. */
static const float *normed(const struct pass *p, const struct norm *w, float *y)
{
    if (!w->weight) return p->x;
    pass_norm(p, w, p->x, y);
    return y;
}

void decoder_layer(struct pass *p, int64_t i)
{
    const struct buffers b = buffers_of(p);
    const struct layer *l = &p->m->layers[i];
    float *attended = p->m->hyper.parallel ? b.kept : b.y;
    attention(p, i, &b, normed(p, &l->attn_norm, b.y), attended);
    if (!p->m->hyper.parallel) pass_add(p, attended);
    feed_forward(p, i, &b, normed(p, &l->ffn_norm, b.y), b.y);
    if (p->m->hyper.parallel) pass_add(p, attended);
    pass_add(p, b.y);
    pass_layer_done(p, i);
}

void decoder_finish(struct pass *p) { pass_norm(p, &p->m->final_norm, p->x, p->x); }
