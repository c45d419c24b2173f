/* GPT-2 (Radford et al. 2019): learned positions, LayerNorm before each block, one matrix for q, k and v, GELU in its
 * tanh form, biases everywhere; output matrix tied to the embedding. Hugging Face stores its matrices as [in, out]. */
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <math.h>
#include <stdlib.h>

static const struct key_map keys[] = {
    {"context_length", "n_positions", NAN, NULL},
    {"embedding_length", "n_embd", NAN, NULL},
    {"block_count", "n_layer", NAN, NULL},
    {"feed_forward_length", "n_inner", 0, NULL},
    {"attention.head_count", "n_head", NAN, NULL},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon", NAN, NULL},
    {"hidden_activation", "activation_function", GELU_TANH, NULL},
    {NULL, NULL, 0, NULL},
};

static const struct name_map names[] = {
    {"token_embd.weight", "wte.weight", AS_IS},
    {"position_embd.weight", "wpe.weight", AS_IS},
    {"output_norm.weight", "ln_f.weight", AS_IS},
    {"output_norm.bias", "ln_f.bias", AS_IS},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "h.%d.ln_1.weight", AS_IS},
    {"blk.%d.attn_norm.bias", "h.%d.ln_1.bias", AS_IS},
    {"blk.%d.attn_qkv.weight", "h.%d.attn.c_attn.weight", TRANSPOSED},
    {"blk.%d.attn_qkv.bias", "h.%d.attn.c_attn.bias", AS_IS},
    {"blk.%d.attn_output.weight", "h.%d.attn.c_proj.weight", TRANSPOSED},
    {"blk.%d.attn_output.bias", "h.%d.attn.c_proj.bias", AS_IS},
    {"blk.%d.ffn_norm.weight", "h.%d.ln_2.weight", AS_IS},
    {"blk.%d.ffn_norm.bias", "h.%d.ln_2.bias", AS_IS},
    {"blk.%d.ffn_up.weight", "h.%d.mlp.c_fc.weight", TRANSPOSED},
    {"blk.%d.ffn_up.bias", "h.%d.mlp.c_fc.bias", AS_IS},
    {"blk.%d.ffn_down.weight", "h.%d.mlp.c_proj.weight", TRANSPOSED},
    {"blk.%d.ffn_down.bias", "h.%d.mlp.c_proj.bias", AS_IS},
    {NULL, NULL, AS_IS},
};

static const struct guard guards[] = {
    {NULL, "scale_attn_weights", "true"},
    {NULL, "scale_attn_by_inverse_layer_idx", "false"},
    {NULL, "add_cross_attention", "false"},
    {NULL, NULL, NULL},
};

static const char *const ignored[] = {".attn.bias", ".attn.masked_bias", NULL};

static int load_layer(struct model *m, int64_t i, struct error *e)
{
    const struct hyper *h = &m->hyper;
    struct layer *l = &m->layers[i];
    int status = load_norm(m, "blk.%d.attn_norm", true, i, &l->attn_norm, e);
    if (!status)
        status = load_linear(m, "blk.%d.attn_qkv.weight", true, i, 3 * h->width, h->width, &l->w[LINEAR_QKV], e);
    if (!status) status = load_linear(m, "blk.%d.attn_output.weight", true, i, h->width, h->width, &l->w[LINEAR_O], e);
    if (!status) status = load_norm(m, "blk.%d.ffn_norm", true, i, &l->ffn_norm, e);
    if (!status) status = load_linear(m, "blk.%d.ffn_up.weight", true, i, h->ffn, h->width, &l->w[LINEAR_UP], e);
    if (!status) status = load_linear(m, "blk.%d.ffn_down.weight", true, i, h->width, h->ffn, &l->w[LINEAR_DOWN], e);
    return status;
}

static int load(struct model *m, struct error *e)
{
    const struct hyper *h = &m->hyper;
    int status = load_embeddings(m, e);
    if (!status) status = load_table(m, "position_embd.weight", h->context, h->width, &m->positions, e);
    for (int64_t i = 0; i < h->layers && !status; i++) status = load_layer(m, i, e);
    if (!status) status = load_norm(m, "output_norm", true, 0, &m->final_norm, e);
    return status;
}

struct buffers {
    float *y, *qkv, *heads, *up;
};

/* Attention and the feed-forward part follow each other: they share their room, behind y. */
static int64_t room(const struct hyper *h) { return h->width + (4 * h->width > h->ffn ? 4 * h->width : h->ffn); }

static struct buffers buffers_of(const struct pass *p)
{
    int64_t width = p->m->hyper.width;
    struct buffers b = {.y = p->rooms, .qkv = p->rooms + p->n * width};
    b.heads = b.qkv + p->n * 3 * width;
    b.up = b.qkv;
    return b;
}

static void layer_forward(struct pass *p, int64_t i)
{
    struct buffers buffers = buffers_of(p), *b = &buffers;
    const struct layer *l = &p->m->layers[i];
    int64_t width = p->m->hyper.width;
    pass_layer_norm(p, &l->attn_norm, p->x, b->y);
    pass_linear(p, i, LINEAR_QKV, b->y, b->qkv);
    pass_attend(p, i, b->qkv, 3 * width, b->qkv + width, b->qkv + 2 * width, 3 * width, b->heads);
    pass_linear(p, i, LINEAR_O, b->heads, b->y);
    pass_add(p, b->y);
    pass_layer_norm(p, &l->ffn_norm, p->x, b->y);
    pass_linear(p, i, LINEAR_UP, b->y, b->up);
    pass_activate(p, p->m->hyper.activation, b->up, p->m->hyper.ffn);
    pass_linear(p, i, LINEAR_DOWN, b->up, b->y);
    pass_add(p, b->y);
    pass_layer_done(p, i);
}

static void finish(struct pass *p) { pass_layer_norm(p, &p->m->final_norm, p->x, p->x); }

extern const struct architecture architecture_gpt2;

const struct architecture architecture_gpt2 = {.name = "gpt2",
                                               .folder_types = "gpt2",
                                               .eps_key = "attention.layer_norm_epsilon",
                                               .prefix = "transformer.",
                                               .keys = keys,
                                               .names = names,
                                               .guards = guards,
                                               .ignored = ignored,
                                               .ties_by_default = true,
                                               .load = load,
                                               .room = room,
                                               .layer = layer_forward,
                                               .finish = finish};
