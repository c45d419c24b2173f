/* The mixtures of llama.cpp's llama-quantize (src/llama-quant.cpp, llama_tensor_get_type, as its release 0.5.0 has it), as
 * a table. What is said of values is true of queries, keys and values in one matrix as well, which releases of 2025 had
 * rules of their own for. Its special cases for Falcon are left out: no architecture here has them. */
#include "engine/backends/gguf_presets.h"

#include <string.h>

static const struct gguf_variant variants[] = {
    {"q4_0", DTYPE_Q4_0, false, 2},      {"q4_1", DTYPE_Q4_1, false, 3},      {"q5_0", DTYPE_Q5_0, false, 8},
    {"q5_1", DTYPE_Q5_1, false, 9},      {"q8_0", DTYPE_Q8_0, false, 7},      {"q3_k", DTYPE_Q3_K, false, 11},
    {"q4_k", DTYPE_Q4_K, false, 14},     {"q5_k", DTYPE_Q5_K, false, 16},     {"q6_k", DTYPE_Q6_K, false, 18},
    {"iq4_nl", DTYPE_IQ4_NL, false, 25}, {"iq4_xs", DTYPE_IQ4_XS, false, 30}, {"tq1_0", DTYPE_TQ1_0, false, 36},
    {"tq2_0", DTYPE_TQ2_0, false, 37},   {"q2_k", DTYPE_Q2_K, true, 10},      {"q3_k_s", DTYPE_Q3_K, true, 11},
    {"q3_k_m", DTYPE_Q3_K, true, 12},    {"q3_k_l", DTYPE_Q3_K, true, 13},    {"q4_k_s", DTYPE_Q4_K, true, 14},
    {"q4_k_m", DTYPE_Q4_K, true, 15},    {"q5_k_s", DTYPE_Q5_K, true, 16},    {"q5_k_m", DTYPE_Q5_K, true, 17},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

const struct gguf_variant *gguf_variant(const char *name)
{
    for (size_t i = 0; i < VARIANTS; i++)
        if (strcmp(variants[i].name, name) == 0) return &variants[i];
    return NULL;
}

/* The first and the last eighth of the layers, and every third between. */
static bool more_bits(const struct place *at)
{
    int64_t first = at->layers / 8;
    return at->layer < first || at->layer >= 7 * at->layers / 8 || (at->layer - first) % 3 == 2;
}

/* Llama 2 and 3 70B, whose value matrices are an eighth of their query matrices. */
static bool is_70b(const struct place *at) { return at->layers == 80 && at->queries > 1; }

enum condition { ALWAYS, MORE_BITS, FIRST_TWO, FIRST_FOUR, FIRST_EIGHTH, FIRST_SIXTEENTH, FOUR_QUERIES };

static bool holds(enum condition c, const struct place *at)
{
    switch (c) {
    case ALWAYS:
        return true;
    case MORE_BITS:
        return more_bits(at);
    case FIRST_TWO:
        return at->layer < 2;
    case FIRST_FOUR:
        return at->layer < 4;
    case FIRST_EIGHTH:
        return at->layer < at->layers / 8;
    case FIRST_SIXTEENTH:
        return at->layer < at->layers / 16;
    case FOUR_QUERIES:
        return at->queries >= 4;
    }
    return false;
}

/* The first row that fits decides. What no row names (queries, keys, gate, up, an embedding that is not the output
 * matrix as well) has the preset's own type. */
static const struct {
    const char *preset, *part;
    enum condition when;
    enum dtype_id type;
} rules[] = {
    {"q2_k", "attn_v", FOUR_QUERIES, DTYPE_Q4_K},  {"q2_k", "attn_v", ALWAYS, DTYPE_Q3_K},
    {"q2_k", "attn_output", ALWAYS, DTYPE_Q3_K},   {"q2_k", "ffn_down", ALWAYS, DTYPE_Q3_K},
    {"q3_k_m", "attn_v", FIRST_TWO, DTYPE_Q5_K},   {"q3_k_m", "attn_v", ALWAYS, DTYPE_Q4_K},
    {"q3_k_m", "attn_output", ALWAYS, DTYPE_Q4_K}, {"q3_k_m", "ffn_down", FIRST_SIXTEENTH, DTYPE_Q5_K},
    {"q3_k_m", "ffn_down", ALWAYS, DTYPE_Q4_K},    {"q3_k_l", "attn_v", ALWAYS, DTYPE_Q5_K},
    {"q3_k_l", "attn_output", ALWAYS, DTYPE_Q5_K}, {"q3_k_l", "ffn_down", ALWAYS, DTYPE_Q5_K},
    {"q4_k_s", "attn_v", FIRST_FOUR, DTYPE_Q5_K},  {"q4_k_s", "ffn_down", FIRST_EIGHTH, DTYPE_Q5_K},
    {"q4_k_m", "attn_v", MORE_BITS, DTYPE_Q6_K},   {"q4_k_m", "ffn_down", MORE_BITS, DTYPE_Q6_K},
    {"q5_k_m", "attn_v", MORE_BITS, DTYPE_Q6_K},   {"q5_k_m", "ffn_down", MORE_BITS, DTYPE_Q6_K},
};

/* Whether a name is "blk.N.PART.weight", or PART_exps or PART_shexp of a mixture. */
static bool is_part(const char *name, const char *part)
{
    static const char *const endings[] = {".weight", "_exps.weight", "_shexp.weight"};
    const size_t n = strlen(name), length = strlen(part);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t ending = strlen(endings[i]);
        if (n > ending + length && strcmp(name + n - ending, endings[i]) == 0 && name[n - ending - length - 1] == '.' &&
            memcmp(name + n - ending - length, part, length) == 0)
            return true;
    }
    return false;
}

static bool has_values(const char *name) { return is_part(name, "attn_v") || is_part(name, "attn_qkv"); }

static bool is_ruled(const char *name, const char *part)
{
    return strcmp(part, "attn_v") == 0 ? has_values(name) : is_part(name, part);
}

/* Beside eight experts the matrices of attention are small: they get more bits. */
static enum dtype_id beside_eight(const struct gguf_variant *v, const char *name, enum dtype_id type)
{
    if (is_part(name, "attn_k") || has_values(name)) return DTYPE_Q8_0;
    if (!is_part(name, "attn_output")) return type;
    return v->type < DTYPE_Q5_K && strcmp(v->name, "q3_k_l") ? DTYPE_Q5_K : v->type;
}

enum dtype_id gguf_preset_type(const struct gguf_variant *v, const struct place *at)
{
    if (!v->mixes) return v->type;
    if (at->makes_logits) return DTYPE_Q6_K;
    enum dtype_id type = v->type;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (strcmp(rules[i].preset, v->name) || !is_ruled(at->name, rules[i].part) || !holds(rules[i].when, at))
            continue;
        type = rules[i].type;
        break;
    }
    if (at->experts == 8) return beside_eight(v, at->name, type);
    bool small = type == DTYPE_Q3_K || type == DTYPE_Q4_K;
    return small && has_values(at->name) && is_70b(at) ? DTYPE_Q5_K : type;
}
