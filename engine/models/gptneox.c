/* GPT-NeoX (Black et al. 2022) and Pythia (Biderman et al. 2023): LayerNorm, biases everywhere, attention and the
 * feed-forward part in parallel, GELU with the error function or, of 20B, in its tanh form, positions that turn only part of a head. */
#include "engine/models/internal.h"

#include <math.h>
#include <stddef.h>

static const struct key_map keys[] = {
    {"context_length", "max_position_embeddings", NAN, NULL},
    {"embedding_length", "hidden_size", NAN, NULL},
    {"block_count", "num_hidden_layers", NAN, NULL},
    {"feed_forward_length", "intermediate_size", NAN, NULL},
    {"attention.head_count", "num_attention_heads", NAN, NULL},
    {"attention.head_count_kv", NULL, NAN, "attention.head_count"},
    {"attention.key_length", NULL, 0, NULL},
    {"attention.layer_norm_epsilon", "layer_norm_eps", NAN, NULL},
    {"rope.dimension_count", NULL, 0, NULL},
    {"rope.share", "rotary_pct|partial_rotary_factor|rope_parameters.partial_rotary_factor", 0.25, NULL},
    {"rope.freq_base", "rotary_emb_base|rope_theta|rope_parameters.rope_theta", 10000, NULL},
    {"vocab_size", "vocab_size", 0, NULL},
    {"use_parallel_residual", "use_parallel_residual", 1, NULL},
    {"hidden_activation", "hidden_act", GELU_ERF, NULL},
    {NULL, NULL, 0, NULL},
};

static const struct name_map names[] = {
    {"token_embd.weight", "gpt_neox.embed_in.weight", AS_IS},
    {"output_norm.weight", "gpt_neox.final_layer_norm.weight", AS_IS},
    {"output_norm.bias", "gpt_neox.final_layer_norm.bias", AS_IS},
    {"output.weight", "embed_out.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "gpt_neox.layers.%d.input_layernorm.weight", AS_IS},
    {"blk.%d.attn_norm.bias", "gpt_neox.layers.%d.input_layernorm.bias", AS_IS},
    {"blk.%d.attn_qkv.weight", "gpt_neox.layers.%d.attention.query_key_value.weight", ROWS_BY_HEAD},
    {"blk.%d.attn_qkv.bias", "gpt_neox.layers.%d.attention.query_key_value.bias", ROWS_BY_HEAD},
    {"blk.%d.attn_output.weight", "gpt_neox.layers.%d.attention.dense.weight", AS_IS},
    {"blk.%d.attn_output.bias", "gpt_neox.layers.%d.attention.dense.bias", AS_IS},
    {"blk.%d.ffn_norm.weight", "gpt_neox.layers.%d.post_attention_layernorm.weight", AS_IS},
    {"blk.%d.ffn_norm.bias", "gpt_neox.layers.%d.post_attention_layernorm.bias", AS_IS},
    {"blk.%d.ffn_up.weight", "gpt_neox.layers.%d.mlp.dense_h_to_4h.weight", AS_IS},
    {"blk.%d.ffn_up.bias", "gpt_neox.layers.%d.mlp.dense_h_to_4h.bias", AS_IS},
    {"blk.%d.ffn_down.weight", "gpt_neox.layers.%d.mlp.dense_4h_to_h.weight", AS_IS},
    {"blk.%d.ffn_down.bias", "gpt_neox.layers.%d.mlp.dense_4h_to_h.bias", AS_IS},
    {NULL, NULL, AS_IS},
};

static const struct guard guards[] = {
    {NULL, "attention_bias", "true"},
    {NULL, NULL, NULL},
};

static const char *const ignored[] = {".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq", NULL};

static const struct style style = {
    .layer_norms = true, .all_biases = true, .one_qkv = true, .qkv_by_head = true, .ungated = true};

extern const struct architecture architecture_gptneox;

const struct architecture architecture_gptneox = {.name = "gptneox",
                                                  .folder_types = "gpt_neox",
                                                  .eps_key = "attention.layer_norm_epsilon",
                                                  .prefix = "gpt_neox.",
                                                  .keys = keys,
                                                  .names = names,
                                                  .guards = guards,
                                                  .ignored = ignored,
                                                  .style = &style,
                                                  .stores_output = true,
                                                  .load = decoder_load,
                                                  .room = decoder_room,
                                                  .layer = decoder_layer,
                                                  .finish = decoder_finish};
