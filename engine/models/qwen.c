/* Qwen2 (Yang et al. 2024): Llama with biases of q, k and v. Qwen3 (Yang et al. 2025): without them, with norms of the
 * heads of q and k. Both also as mixtures of experts; Qwen2's have a shared one, and its router's shares are not made to
 * sum to 1. */
#include "engine/models/internal.h"

#include <stddef.h>

/* A window in the layers behind the first max_window_layers, for which GGUF has no key. */
static const struct key_map dense_keys[] = {
    {"use_sliding_window", "use_sliding_window", 0, NULL},
    {"max_window_layers", "max_window_layers", 28, NULL},
    {NULL, NULL, 0, NULL},
};

static const struct key_map moe2_keys[] = {
    {"use_sliding_window", "use_sliding_window", 0, NULL},
    {"max_window_layers", "max_window_layers", 28, NULL},
    {"expert_count", "num_experts|num_local_experts", 0, NULL},
    {"expert_used_count", "num_experts_per_tok", 0, NULL},
    {"expert_feed_forward_length", "moe_intermediate_size", 0, NULL},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size", 0, NULL},
    {"expert_weights_norm", "norm_topk_prob", 0, NULL},
    {NULL, NULL, 0, NULL},
};

/* A GGUF file that does not say so means it, a folder does not. */
static const struct key_map moe3_keys[] = {
    {"expert_count", "num_experts|num_local_experts", 0, NULL},
    {"expert_used_count", "num_experts_per_tok", 0, NULL},
    {"expert_feed_forward_length", "moe_intermediate_size", 0, NULL},
    {"expert_weights_norm", "norm_topk_prob", 1, NULL},
    {NULL, NULL, 0, NULL},
};

static const struct name_map names2[] = {
    {"token_embd.weight", "model.embed_tokens.weight", AS_IS},
    {"output_norm.weight", "model.norm.weight", AS_IS},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "model.layers.%d.input_layernorm.weight", AS_IS},
    {"blk.%d.attn_q.weight", "model.layers.%d.self_attn.q_proj.weight", AS_IS},
    {"blk.%d.attn_q.bias", "model.layers.%d.self_attn.q_proj.bias", AS_IS},
    {"blk.%d.attn_k.weight", "model.layers.%d.self_attn.k_proj.weight", AS_IS},
    {"blk.%d.attn_k.bias", "model.layers.%d.self_attn.k_proj.bias", AS_IS},
    {"blk.%d.attn_v.weight", "model.layers.%d.self_attn.v_proj.weight", AS_IS},
    {"blk.%d.attn_v.bias", "model.layers.%d.self_attn.v_proj.bias", AS_IS},
    {"blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", AS_IS},
    {"blk.%d.ffn_norm.weight", "model.layers.%d.post_attention_layernorm.weight", AS_IS},
    {"blk.%d.ffn_gate.weight", "model.layers.%d.mlp.gate_proj.weight", AS_IS},
    {"blk.%d.ffn_up.weight", "model.layers.%d.mlp.up_proj.weight", AS_IS},
    {"blk.%d.ffn_down.weight", "model.layers.%d.mlp.down_proj.weight", AS_IS},
    {NULL, NULL, AS_IS},
};

static const struct name_map names3[] = {
    {"token_embd.weight", "model.embed_tokens.weight", AS_IS},
    {"output_norm.weight", "model.norm.weight", AS_IS},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "model.layers.%d.input_layernorm.weight", AS_IS},
    {"blk.%d.attn_q.weight", "model.layers.%d.self_attn.q_proj.weight", AS_IS},
    {"blk.%d.attn_k.weight", "model.layers.%d.self_attn.k_proj.weight", AS_IS},
    {"blk.%d.attn_v.weight", "model.layers.%d.self_attn.v_proj.weight", AS_IS},
    {"blk.%d.attn_q_norm.weight", "model.layers.%d.self_attn.q_norm.weight", AS_IS},
    {"blk.%d.attn_k_norm.weight", "model.layers.%d.self_attn.k_norm.weight", AS_IS},
    {"blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", AS_IS},
    {"blk.%d.ffn_norm.weight", "model.layers.%d.post_attention_layernorm.weight", AS_IS},
    {"blk.%d.ffn_gate.weight", "model.layers.%d.mlp.gate_proj.weight", AS_IS},
    {"blk.%d.ffn_up.weight", "model.layers.%d.mlp.up_proj.weight", AS_IS},
    {"blk.%d.ffn_down.weight", "model.layers.%d.mlp.down_proj.weight", AS_IS},
    {NULL, NULL, AS_IS},
};

static const struct name_map moe2_names[] = {
    {"token_embd.weight", "model.embed_tokens.weight", AS_IS},
    {"output_norm.weight", "model.norm.weight", AS_IS},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "model.layers.%d.input_layernorm.weight", AS_IS},
    {"blk.%d.attn_q.weight", "model.layers.%d.self_attn.q_proj.weight", AS_IS},
    {"blk.%d.attn_q.bias", "model.layers.%d.self_attn.q_proj.bias", AS_IS},
    {"blk.%d.attn_k.weight", "model.layers.%d.self_attn.k_proj.weight", AS_IS},
    {"blk.%d.attn_k.bias", "model.layers.%d.self_attn.k_proj.bias", AS_IS},
    {"blk.%d.attn_v.weight", "model.layers.%d.self_attn.v_proj.weight", AS_IS},
    {"blk.%d.attn_v.bias", "model.layers.%d.self_attn.v_proj.bias", AS_IS},
    {"blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", AS_IS},
    {"blk.%d.ffn_norm.weight", "model.layers.%d.post_attention_layernorm.weight", AS_IS},
    {"blk.%d.ffn_gate_inp.weight", "model.layers.%d.mlp.gate.weight", AS_IS},
    {"blk.%d.ffn_gate_exps.weight", "model.layers.%d.mlp.experts.%d.gate_proj.weight", AS_IS},
    {"blk.%d.ffn_up_exps.weight", "model.layers.%d.mlp.experts.%d.up_proj.weight", AS_IS},
    {"blk.%d.ffn_down_exps.weight", "model.layers.%d.mlp.experts.%d.down_proj.weight", AS_IS},
    {"blk.%d.ffn_gate_exps.weight", "model.layers.%d.mlp.experts.gate_up_proj", FIRST_HALF},
    {"blk.%d.ffn_up_exps.weight", "model.layers.%d.mlp.experts.gate_up_proj", SECOND_HALF},
    {"blk.%d.ffn_down_exps.weight", "model.layers.%d.mlp.experts.down_proj", STACKED},
    {"blk.%d.ffn_gate_inp_shexp.weight", "model.layers.%d.mlp.shared_expert_gate.weight", AS_IS},
    {"blk.%d.ffn_gate_shexp.weight", "model.layers.%d.mlp.shared_expert.gate_proj.weight", AS_IS},
    {"blk.%d.ffn_up_shexp.weight", "model.layers.%d.mlp.shared_expert.up_proj.weight", AS_IS},
    {"blk.%d.ffn_down_shexp.weight", "model.layers.%d.mlp.shared_expert.down_proj.weight", AS_IS},
    {NULL, NULL, AS_IS},
};

static const struct name_map moe3_names[] = {
    {"token_embd.weight", "model.embed_tokens.weight", AS_IS},
    {"output_norm.weight", "model.norm.weight", AS_IS},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "model.layers.%d.input_layernorm.weight", AS_IS},
    {"blk.%d.attn_q.weight", "model.layers.%d.self_attn.q_proj.weight", AS_IS},
    {"blk.%d.attn_k.weight", "model.layers.%d.self_attn.k_proj.weight", AS_IS},
    {"blk.%d.attn_v.weight", "model.layers.%d.self_attn.v_proj.weight", AS_IS},
    {"blk.%d.attn_q_norm.weight", "model.layers.%d.self_attn.q_norm.weight", AS_IS},
    {"blk.%d.attn_k_norm.weight", "model.layers.%d.self_attn.k_norm.weight", AS_IS},
    {"blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", AS_IS},
    {"blk.%d.ffn_norm.weight", "model.layers.%d.post_attention_layernorm.weight", AS_IS},
    {"blk.%d.ffn_gate_inp.weight", "model.layers.%d.mlp.gate.weight", AS_IS},
    {"blk.%d.ffn_gate_exps.weight", "model.layers.%d.mlp.experts.%d.gate_proj.weight", AS_IS},
    {"blk.%d.ffn_up_exps.weight", "model.layers.%d.mlp.experts.%d.up_proj.weight", AS_IS},
    {"blk.%d.ffn_down_exps.weight", "model.layers.%d.mlp.experts.%d.down_proj.weight", AS_IS},
    {"blk.%d.ffn_gate_exps.weight", "model.layers.%d.mlp.experts.gate_up_proj", FIRST_HALF},
    {"blk.%d.ffn_up_exps.weight", "model.layers.%d.mlp.experts.gate_up_proj", SECOND_HALF},
    {"blk.%d.ffn_down_exps.weight", "model.layers.%d.mlp.experts.down_proj", STACKED},
    {NULL, NULL, AS_IS},
};

static const struct guard guards2[] = {
    {NULL, "hidden_act", "\"silu\""},
    {NULL, NULL, NULL},
};

static const struct guard guards3[] = {
    {NULL, "hidden_act", "\"silu\""},
    {NULL, "attention_bias", "false"},
    {NULL, NULL, NULL},
};

static const struct guard moe2_guards[] = {
    {NULL, "hidden_act", "\"silu\""}, {NULL, "qkv_bias", "true"}, {NULL, "decoder_sparse_step", "1"},
    {NULL, "mlp_only_layers", "[]"},  {NULL, NULL, NULL},
};

/* Versions of transformers disagree on which layers of Qwen3-MoE a window is in; no published model has one. */
static const struct guard moe3_guards[] = {
    {NULL, "hidden_act", "\"silu\""},   {NULL, "attention_bias", "false"}, {NULL, "use_sliding_window", "false"},
    {NULL, "decoder_sparse_step", "1"}, {NULL, "mlp_only_layers", "[]"},   {NULL, NULL, NULL},
};

static const char *const ignored[] = {".rotary_emb.inv_freq", NULL};

static const struct style style2 = {.qkv_biases = true}, style3 = {.qk_norms = QK_BY_HEAD};

extern const struct architecture architecture_qwen2, architecture_qwen3, architecture_qwen2moe, architecture_qwen3moe;

const struct architecture architecture_qwen2 = {.name = "qwen2",
                                                .folder_types = "qwen2",
                                                .eps_key = "attention.layer_norm_rms_epsilon",
                                                .prefix = "model.",
                                                .keys = decoder_keys,
                                                .more_keys = dense_keys,
                                                .names = names2,
                                                .guards = guards2,
                                                .ignored = ignored,
                                                .style = &style2,
                                                .load = decoder_load,
                                                .room = decoder_room,
                                                .layer = decoder_layer,
                                                .finish = decoder_finish};

const struct architecture architecture_qwen3 = {.name = "qwen3",
                                                .folder_types = "qwen3",
                                                .eps_key = "attention.layer_norm_rms_epsilon",
                                                .prefix = "model.",
                                                .keys = decoder_keys,
                                                .more_keys = dense_keys,
                                                .names = names3,
                                                .guards = guards3,
                                                .ignored = ignored,
                                                .style = &style3,
                                                .load = decoder_load,
                                                .room = decoder_room,
                                                .layer = decoder_layer,
                                                .finish = decoder_finish};

const struct architecture architecture_qwen2moe = {.name = "qwen2moe",
                                                   .folder_types = "qwen2_moe",
                                                   .eps_key = "attention.layer_norm_rms_epsilon",
                                                   .prefix = "model.",
                                                   .keys = decoder_keys,
                                                   .more_keys = moe2_keys,
                                                   .names = moe2_names,
                                                   .guards = moe2_guards,
                                                   .ignored = ignored,
                                                   .style = &style2,
                                                   .stores_output = true,
                                                   .load = decoder_load,
                                                   .room = decoder_room,
                                                   .layer = decoder_layer,
                                                   .finish = decoder_finish};

const struct architecture architecture_qwen3moe = {.name = "qwen3moe",
                                                   .folder_types = "qwen3_moe",
                                                   .eps_key = "attention.layer_norm_rms_epsilon",
                                                   .prefix = "model.",
                                                   .keys = decoder_keys,
                                                   .more_keys = moe3_keys,
                                                   .names = moe3_names,
                                                   .guards = moe3_guards,
                                                   .ignored = ignored,
                                                   .style = &style3,
                                                   .load = decoder_load,
                                                   .room = decoder_room,
                                                   .layer = decoder_layer,
                                                   .finish = decoder_finish};
