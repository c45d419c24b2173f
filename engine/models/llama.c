/* Llama (Touvron et al. 2023): RMSNorm before each block, rotary positions (Su et al. 2021), grouped-query attention,
 * SwiGLU; no biases; output matrix tied to the embedding or its own. */
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <math.h>
#include <stdlib.h>

static const struct key_map keys[] = {
    {"context_length", "max_position_embeddings", NAN, NULL},
    {"embedding_length", "hidden_size", NAN, NULL},
    {"block_count", "num_hidden_layers", NAN, NULL},
    {"feed_forward_length", "intermediate_size", NAN, NULL},
    {"attention.head_count", "num_attention_heads", NAN, NULL},
    {"attention.head_count_kv", "num_key_value_heads", NAN, "attention.head_count"},
    {"attention.key_length", "head_dim", 0, NULL},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", NAN, NULL},
    {"rope.dimension_count", "head_dim", 0, NULL},
    {"rope.freq_base", "rope_theta|rope_parameters.rope_theta", 10000, NULL},
    {"vocab_size", "vocab_size", 0, NULL},
    {NULL, NULL, 0, NULL},
};

static const struct name_map names[] = {
    {"token_embd.weight", "model.embed_tokens.weight", AS_IS},
    {"output_norm.weight", "model.norm.weight", AS_IS},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "model.layers.%d.input_layernorm.weight", AS_IS},
    {"blk.%d.attn_q.weight", "model.layers.%d.self_attn.q_proj.weight", ROPE_ROWS},
    {"blk.%d.attn_k.weight", "model.layers.%d.self_attn.k_proj.weight", ROPE_ROWS},
    {"blk.%d.attn_v.weight", "model.layers.%d.self_attn.v_proj.weight", AS_IS},
    {"blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", AS_IS},
    {"blk.%d.ffn_norm.weight", "model.layers.%d.post_attention_layernorm.weight", AS_IS},
    {"blk.%d.ffn_gate.weight", "model.layers.%d.mlp.gate_proj.weight", AS_IS},
    {"blk.%d.ffn_up.weight", "model.layers.%d.mlp.up_proj.weight", AS_IS},
    {"blk.%d.ffn_down.weight", "model.layers.%d.mlp.down_proj.weight", AS_IS},
    {NULL, NULL, AS_IS},
};

static const struct guard guards[] = {
    {NULL, "hidden_act", "\"silu\""},
    {NULL, "attention_bias", "false"},
    {NULL, "mlp_bias", "false"},
    {"rope.scaling.type", "rope_scaling", "null|none"},
    {NULL, "rope_parameters.rope_type", "null|\"default\""},
    {NULL, "partial_rotary_factor", "null|1|1.0"},
    {NULL, "rope_parameters.partial_rotary_factor", "null|1|1.0"},
    {"rope.scale_linear", NULL, "1"},
    {"rope.scaling.factor", NULL, "1"},
    {"expert_count", "num_local_experts", "0"},
    {"attention.sliding_window", "sliding_window", "null|0"},
    {NULL, NULL, NULL},
};

static const char *const ignored[] = {".rotary_emb.inv_freq", NULL};

static int load_layer(struct model *m, int64_t i, struct error *e)
{
    const struct hyper *h = &m->hyper;
    struct layer *l = &m->layers[i];
    int64_t q = h->heads * h->head, kv = h->kv_heads * h->head;
    int status = load_norm(m, "blk.%d.attn_norm", false, i, &l->attn_norm, e);
    if (!status) status = load_linear(m, "blk.%d.attn_q.weight", false, i, q, h->width, &l->w[LINEAR_Q], e);
    if (!status) status = load_linear(m, "blk.%d.attn_k.weight", false, i, kv, h->width, &l->w[LINEAR_K], e);
    if (!status) status = load_linear(m, "blk.%d.attn_v.weight", false, i, kv, h->width, &l->w[LINEAR_V], e);
    if (!status) status = load_linear(m, "blk.%d.attn_output.weight", false, i, h->width, q, &l->w[LINEAR_O], e);
    if (!status) status = load_norm(m, "blk.%d.ffn_norm", false, i, &l->ffn_norm, e);
    if (!status) status = load_linear(m, "blk.%d.ffn_gate.weight", false, i, h->ffn, h->width, &l->w[LINEAR_GATE], e);
    if (!status) status = load_linear(m, "blk.%d.ffn_up.weight", false, i, h->ffn, h->width, &l->w[LINEAR_UP], e);
    if (!status) status = load_linear(m, "blk.%d.ffn_down.weight", false, i, h->width, h->ffn, &l->w[LINEAR_DOWN], e);
    return status;
}

static int load(struct model *m, struct error *e)
{
    int status = load_embeddings(m, e);
    for (int64_t i = 0; i < m->hyper.layers && !status; i++) status = load_layer(m, i, e);
    if (!status) status = load_norm(m, "output_norm", false, 0, &m->final_norm, e);
    return status;
}

struct buffers {
    float *y, *q, *k, *v, *heads, *gate, *up;
};

/* Attention and the feed-forward part follow each other: they share their room, behind y. */
static int64_t room(const struct hyper *h)
{
    int64_t attention = (2 * h->heads + 2 * h->kv_heads) * h->head;
    return h->width + (attention > 2 * h->ffn ? attention : 2 * h->ffn);
}

static struct buffers buffers_of(const struct pass *p)
{
    const struct hyper *h = &p->m->hyper;
    int64_t q = h->heads * h->head, kv = h->kv_heads * h->head;
    struct buffers b = {.y = p->rooms};
    b.q = b.y + p->n * h->width;
    b.k = b.q + p->n * q;
    b.v = b.k + p->n * kv;
    b.heads = b.v + p->n * kv;
    b.gate = b.q;
    b.up = b.gate + p->n * h->ffn;
    return b;
}

static void layer_forward(struct pass *p, int64_t i)
{
    struct buffers buffers = buffers_of(p), *b = &buffers;
    const struct hyper *h = &p->m->hyper;
    const struct layer *l = &p->m->layers[i];
    int64_t q = h->heads * h->head, kv = h->kv_heads * h->head;
    pass_rms_norm(p, &l->attn_norm, p->x, b->y);
    const struct linear_output qkv[] = {{LINEAR_Q, b->q}, {LINEAR_K, b->k}, {LINEAR_V, b->v}};
    pass_linears(p, i, b->y, qkv, 3);
    pass_rope(p, b->q, q, h->heads);
    pass_rope(p, b->k, kv, h->kv_heads);
    pass_attend(p, i, b->q, q, b->k, b->v, kv, b->heads);
    pass_linear(p, i, LINEAR_O, b->heads, b->y);
    pass_add(p, b->y);
    pass_rms_norm(p, &l->ffn_norm, p->x, b->y);
    const struct linear_output gate_up[] = {{LINEAR_GATE, b->gate}, {LINEAR_UP, b->up}};
    pass_linears(p, i, b->y, gate_up, 2);
    pass_silu_multiply(p, b->gate, b->up, h->ffn);
    pass_linear(p, i, LINEAR_DOWN, b->gate, b->y);
    pass_add(p, b->y);
    pass_layer_done(p, i);
}

static void finish(struct pass *p) { pass_rms_norm(p, &p->m->final_norm, p->x, p->x); }

extern const struct architecture architecture_llama;

const struct architecture architecture_llama = {.name = "llama",
                                                .eps_key = "attention.layer_norm_rms_epsilon",
                                                .prefix = "model.",
                                                .keys = keys,
                                                .names = names,
                                                .guards = guards,
                                                .ignored = ignored,
                                                .rope_interleaved_in_gguf = true,
                                                .load = load,
                                                .room = room,
                                                .layer = layer_forward,
                                                .finish = finish};
