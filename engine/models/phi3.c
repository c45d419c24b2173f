/* Phi-3 (Abdin et al. 2024): Llama with q, k and v in one matrix and gate and up in another. */
#include "engine/models/internal.h"

#include <stddef.h>

static const struct key_map keys[] = {
    {"attention.sliding_window", "sliding_window", 0, NULL},
    {NULL, NULL, 0, NULL},
};

static const struct name_map names[] = {
    {"token_embd.weight", "model.embed_tokens.weight", AS_IS},
    {"output_norm.weight", "model.norm.weight", AS_IS},
    {"output.weight", "lm_head.weight", AS_IS},
    {"blk.%d.attn_norm.weight", "model.layers.%d.input_layernorm.weight", AS_IS},
    {"blk.%d.attn_qkv.weight", "model.layers.%d.self_attn.qkv_proj.weight", AS_IS},
    {"blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", AS_IS},
    {"blk.%d.ffn_norm.weight", "model.layers.%d.post_attention_layernorm.weight", AS_IS},
    {"blk.%d.ffn_up.weight", "model.layers.%d.mlp.gate_up_proj.weight", AS_IS},
    {"blk.%d.ffn_down.weight", "model.layers.%d.mlp.down_proj.weight", AS_IS},
    {NULL, NULL, AS_IS},
};

static const struct guard guards[] = {
    {NULL, "hidden_act", "\"silu\""},
    {NULL, "attention_bias", "false"},
    {NULL, "mlp_bias", "false"},
    {NULL, "lm_head_bias", "false"},
    {NULL, NULL, NULL},
};

static const char *const ignored[] = {".rotary_emb.inv_freq", NULL};

static const struct style style = {.one_qkv = true, .one_gate_up = true};

extern const struct architecture architecture_phi3;

const struct architecture architecture_phi3 = {.name = "phi3",
                                               .folder_types = "phi3",
                                               .eps_key = "attention.layer_norm_rms_epsilon",
                                               .prefix = "model.",
                                               .keys = decoder_keys,
                                               .more_keys = keys,
                                               .names = names,
                                               .guards = guards,
                                               .ignored = ignored,
                                               .style = &style,
                                               .load = decoder_load,
                                               .room = decoder_room,
                                               .layer = decoder_layer,
                                               .finish = decoder_finish};
