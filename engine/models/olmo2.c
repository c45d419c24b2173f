/* OLMo 2 (OLMo Team 2024): norms behind the blocks and none before, and norms of all heads of q and of k as one. */
#include "engine/models/internal.h"

#include <stddef.h>

static const struct name_map names[] = {
    {"token_embd.weight", "model.embed_tokens.weight", AS_IS},
    {"output_norm.weight", "model.norm.weight", AS_IS},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_q.weight", "model.layers.%d.self_attn.q_proj.weight", AS_IS},
    {"blk.%d.attn_k.weight", "model.layers.%d.self_attn.k_proj.weight", AS_IS},
    {"blk.%d.attn_v.weight", "model.layers.%d.self_attn.v_proj.weight", AS_IS},
    {"blk.%d.attn_q_norm.weight", "model.layers.%d.self_attn.q_norm.weight", AS_IS},
    {"blk.%d.attn_k_norm.weight", "model.layers.%d.self_attn.k_norm.weight", AS_IS},
    {"blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", AS_IS},
    {"blk.%d.post_attention_norm.weight", "model.layers.%d.post_attention_layernorm.weight", AS_IS},
    {"blk.%d.ffn_gate.weight", "model.layers.%d.mlp.gate_proj.weight", AS_IS},
    {"blk.%d.ffn_up.weight", "model.layers.%d.mlp.up_proj.weight", AS_IS},
    {"blk.%d.ffn_down.weight", "model.layers.%d.mlp.down_proj.weight", AS_IS},
    {"blk.%d.post_ffw_norm.weight", "model.layers.%d.post_feedforward_layernorm.weight", AS_IS},
    {NULL, NULL, AS_IS},
};

static const struct guard guards[] = {
    {NULL, "hidden_act", "\"silu\""},
    {NULL, "attention_bias", "false"},
    {NULL, NULL, NULL},
};

static const char *const ignored[] = {".rotary_emb.inv_freq", NULL};

static const struct style style = {.no_pre_norms = true, .post_norms = true, .qk_norms = QK_WHOLE};

extern const struct architecture architecture_olmo2;

const struct architecture architecture_olmo2 = {.name = "olmo2",
                                                .folder_types = "olmo2",
                                                .eps_key = "attention.layer_norm_rms_epsilon",
                                                .prefix = "model.",
                                                .keys = decoder_keys,
                                                .names = names,
                                                .guards = guards,
                                                .ignored = ignored,
                                                .style = &style,
                                                .stores_output = true,
                                                .load = decoder_load,
                                                .room = decoder_room,
                                                .layer = decoder_layer,
                                                .finish = decoder_finish};
