/* Llama (Touvron et al. 2023): RMSNorm before each block, rotary positions (Su et al. 2021), grouped-query attention,
 * SwiGLU; no biases; output matrix tied to the embedding or its own. TinyLlama and SmolLM2 are Llamas; Mistral (Jiang et
 * al. 2023) is one whose attention may have a window, Mixtral (Jiang et al. 2024) one with a mixture of experts. GGUF
 * files call all of them llama. */
#include "engine/models/internal.h"

#include <math.h>
#include <stddef.h>

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
    {"attention.sliding_window", "sliding_window", 0, NULL},
    {"expert_count", "num_local_experts", 0, NULL},
    {"expert_used_count", "num_experts_per_tok", 0, NULL},
    {"expert_weights_norm", NULL, 1, NULL},
    {"rope.freq_base", "rope_theta|rope_parameters.rope_theta", 10000, NULL},
    {"vocab_size", "vocab_size", 0, NULL},
    {"attention_bias", "attention_bias", 0, NULL},
    {"mlp_bias", "mlp_bias", 0, NULL},
    {NULL, NULL, 0, NULL},
};

static const struct name_map names[] = {
    {"token_embd.weight", "model.embed_tokens.weight", AS_IS},
    {"output_norm.weight", "model.norm.weight", AS_IS},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "model.layers.%d.input_layernorm.weight", AS_IS},
    {"blk.%d.attn_q.weight", "model.layers.%d.self_attn.q_proj.weight", ROPE_ROWS},
    {"blk.%d.attn_q.bias", "model.layers.%d.self_attn.q_proj.bias", ROPE_ROWS},
    {"blk.%d.attn_k.weight", "model.layers.%d.self_attn.k_proj.weight", ROPE_ROWS},
    {"blk.%d.attn_k.bias", "model.layers.%d.self_attn.k_proj.bias", ROPE_ROWS},
    {"blk.%d.attn_v.weight", "model.layers.%d.self_attn.v_proj.weight", AS_IS},
    {"blk.%d.attn_v.bias", "model.layers.%d.self_attn.v_proj.bias", AS_IS},
    {"blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", AS_IS},
    {"blk.%d.attn_output.bias", "model.layers.%d.self_attn.o_proj.bias", AS_IS},
    {"blk.%d.ffn_norm.weight", "model.layers.%d.post_attention_layernorm.weight", AS_IS},
    {"blk.%d.ffn_gate.weight", "model.layers.%d.mlp.gate_proj.weight", AS_IS},
    {"blk.%d.ffn_gate.bias", "model.layers.%d.mlp.gate_proj.bias", AS_IS},
    {"blk.%d.ffn_up.weight", "model.layers.%d.mlp.up_proj.weight", AS_IS},
    {"blk.%d.ffn_up.bias", "model.layers.%d.mlp.up_proj.bias", AS_IS},
    {"blk.%d.ffn_down.weight", "model.layers.%d.mlp.down_proj.weight", AS_IS},
    {"blk.%d.ffn_down.bias", "model.layers.%d.mlp.down_proj.bias", AS_IS},
    {"blk.%d.ffn_gate_inp.weight", "model.layers.%d.block_sparse_moe.gate.weight", AS_IS},
    {"blk.%d.ffn_gate_inp.weight", "model.layers.%d.mlp.gate.weight", AS_IS},
    {"blk.%d.ffn_gate_exps.weight", "model.layers.%d.block_sparse_moe.experts.%d.w1.weight", AS_IS},
    {"blk.%d.ffn_up_exps.weight", "model.layers.%d.block_sparse_moe.experts.%d.w3.weight", AS_IS},
    {"blk.%d.ffn_down_exps.weight", "model.layers.%d.block_sparse_moe.experts.%d.w2.weight", AS_IS},
    {"blk.%d.ffn_gate_exps.weight", "model.layers.%d.mlp.experts.gate_up_proj", FIRST_HALF},
    {"blk.%d.ffn_up_exps.weight", "model.layers.%d.mlp.experts.gate_up_proj", SECOND_HALF},
    {"blk.%d.ffn_down_exps.weight", "model.layers.%d.mlp.experts.down_proj", STACKED},
    {NULL, NULL, AS_IS},
};

static const struct guard guards[] = {
    {NULL, "hidden_act", "\"silu\"|\"swish\""},
    {NULL, "rope_interleaved", "false"},
    {NULL, "partial_rotary_factor", "1|1.0"},
    {NULL, "rope_parameters.partial_rotary_factor", "1|1.0"},
    {NULL, NULL, NULL},
};

static const char *const ignored[] = {".rotary_emb.inv_freq", NULL};

static const struct style style = {.activation = SILU};

extern const struct architecture architecture_llama;

const struct architecture architecture_llama = {.name = "llama",
                                                .folder_types = "llama|mistral|mixtral",
                                                .eps_key = "attention.layer_norm_rms_epsilon",
                                                .prefix = "model.",
                                                .keys = keys,
                                                .names = names,
                                                .guards = guards,
                                                .ignored = ignored,
                                                .style = &style,
                                                .rope_interleaved_in_gguf = true,
                                                .load = decoder_load,
                                                .room = decoder_room,
                                                .layer = decoder_layer,
                                                .finish = decoder_finish};
