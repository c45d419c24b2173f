/* Gemma (Gemma Team 2024): embeddings times the root of the width, GELU in its tanh form as gate, norms that multiply by
 * 1 + weight, which GGUF files have added up. Gemma 2 (Gemma Team 2024): norms behind the blocks too, soft caps of scores
 * and logits, a window in every other layer, and a scale of scores of its own. */
#include "engine/models/internal.h"

#include <stddef.h>

static const struct key_map keys2[] = {
    {"attention.sliding_window", "sliding_window", 4096, NULL},
    {"attention.scale", "query_pre_attn_scalar", 0, NULL},
    {"attn_logit_softcapping", "attn_logit_softcapping", 50, NULL}, /* of both kinds that do not say */
    {"final_logit_softcapping", "final_logit_softcapping", 30, NULL},
    {NULL, NULL, 0, NULL},
};

static const struct name_map names[] = {
    {"token_embd.weight", "model.embed_tokens.weight", AS_IS},
    {"output_norm.weight", "model.norm.weight", LESS_ONE},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "model.layers.%d.input_layernorm.weight", LESS_ONE},
    {"blk.%d.attn_q.weight", "model.layers.%d.self_attn.q_proj.weight", AS_IS},
    {"blk.%d.attn_k.weight", "model.layers.%d.self_attn.k_proj.weight", AS_IS},
    {"blk.%d.attn_v.weight", "model.layers.%d.self_attn.v_proj.weight", AS_IS},
    {"blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", AS_IS},
    {"blk.%d.ffn_norm.weight", "model.layers.%d.post_attention_layernorm.weight", LESS_ONE},
    {"blk.%d.ffn_gate.weight", "model.layers.%d.mlp.gate_proj.weight", AS_IS},
    {"blk.%d.ffn_up.weight", "model.layers.%d.mlp.up_proj.weight", AS_IS},
    {"blk.%d.ffn_down.weight", "model.layers.%d.mlp.down_proj.weight", AS_IS},
    {NULL, NULL, AS_IS},
};

static const struct name_map names2[] = {
    {"token_embd.weight", "model.embed_tokens.weight", AS_IS},
    {"output_norm.weight", "model.norm.weight", LESS_ONE},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "model.layers.%d.input_layernorm.weight", LESS_ONE},
    {"blk.%d.attn_q.weight", "model.layers.%d.self_attn.q_proj.weight", AS_IS},
    {"blk.%d.attn_k.weight", "model.layers.%d.self_attn.k_proj.weight", AS_IS},
    {"blk.%d.attn_v.weight", "model.layers.%d.self_attn.v_proj.weight", AS_IS},
    {"blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", AS_IS},
    {"blk.%d.post_attention_norm.weight", "model.layers.%d.post_attention_layernorm.weight", LESS_ONE},
    {"blk.%d.ffn_norm.weight", "model.layers.%d.pre_feedforward_layernorm.weight", LESS_ONE},
    {"blk.%d.ffn_gate.weight", "model.layers.%d.mlp.gate_proj.weight", AS_IS},
    {"blk.%d.ffn_up.weight", "model.layers.%d.mlp.up_proj.weight", AS_IS},
    {"blk.%d.ffn_down.weight", "model.layers.%d.mlp.down_proj.weight", AS_IS},
    {"blk.%d.post_ffw_norm.weight", "model.layers.%d.post_feedforward_layernorm.weight", LESS_ONE},
    {NULL, NULL, AS_IS},
};

static const struct guard guards[] = {
    {NULL, "hidden_activation", "\"gelu_pytorch_tanh\""},
    {NULL, "hidden_act", "\"gelu\"|\"gelu_pytorch_tanh\""},
    {NULL, "attention_bias", "false"},
    {NULL, "use_bidirectional_attention", "false"},
    {NULL, NULL, NULL},
};

static const char *const ignored[] = {".rotary_emb.inv_freq", NULL};

static const struct style style = {.scaled_embedding = true, .activation = GELU_TANH},
                          style2 = {.scaled_embedding = true,
                                    .activation = GELU_TANH,
                                    .post_norms = true,
                                    .every_other = true};

extern const struct architecture architecture_gemma, architecture_gemma2;

const struct architecture architecture_gemma = {.name = "gemma",
                                                .folder_types = "gemma",
                                                .eps_key = "attention.layer_norm_rms_epsilon",
                                                .prefix = "model.",
                                                .keys = decoder_keys,
                                                .names = names,
                                                .guards = guards,
                                                .ignored = ignored,
                                                .style = &style,
                                                .ties_by_default = true,
                                                .load = decoder_load,
                                                .room = decoder_room,
                                                .layer = decoder_layer,
                                                .finish = decoder_finish};

const struct architecture architecture_gemma2 = {.name = "gemma2",
                                                 .folder_types = "gemma2",
                                                 .eps_key = "attention.layer_norm_rms_epsilon",
                                                 .prefix = "model.",
                                                 .keys = decoder_keys,
                                                 .more_keys = keys2,
                                                 .names = names2,
                                                 .guards = guards,
                                                 .ignored = ignored,
                                                 .style = &style2,
                                                 .ties_by_default = true,
                                                 .load = decoder_load,
                                                 .room = decoder_room,
                                                 .layer = decoder_layer,
                                                 .finish = decoder_finish};
