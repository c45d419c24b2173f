/* The names under which the gguf backend packs: a type for every matrix, or a preset that chooses by place.
 *
 *     const struct gguf_variant *v = gguf_variant("q4_k_m");
 *     enum dtype_id type = gguf_preset_type(v, &at);       Q6_K for blk.0.attn_v.weight, else Q4_K */
#ifndef KERF_ENGINE_BACKENDS_GGUF_PRESETS_H
#define KERF_ENGINE_BACKENDS_GGUF_PRESETS_H

#include "engine/backends/backend.h"

struct gguf_variant {
    const char *name;
    enum dtype_id type; /* of what the preset has no rule for; without a preset of every matrix */
    bool mixes;         /* a preset with rules */
    uint32_t file_type; /* llama.cpp's enum llama_ftype, general.file_type in files */
};

/* NULL for a name that is none. */
const struct gguf_variant *gguf_variant(const char *name);
/* The preset's type before the columns are looked at. */
enum dtype_id gguf_preset_type(const struct gguf_variant *v, const struct place *at);

#endif
