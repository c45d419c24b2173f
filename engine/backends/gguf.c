/* gguf: the block types of the GGML family, packed on load or adopted from a file as they are. A type for every matrix,
 * or a preset of llama.cpp (gguf_presets.c); types for matrices by name above either. */
#include "engine/backends/gguf_presets.h"
#include "engine/backends/pack.h"
#include "engine/base/suggest.h"
#include "engine/kernels/kernels.h"

#include <stdio.h>
#include <string.h>

static const char *const variants[] = {"q4_0",   "q4_1",   "q5_0",   "q5_1",   "q8_0",   "q2_k",  "q3_k",   "q4_k",
                                       "q5_k",   "q6_k",   "iq4_nl", "iq4_xs", "tq1_0",  "tq2_0", "q3_k_s", "q3_k_m",
                                       "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", NULL};
static const char *const notes[] = {"every matrix in Q4_0, 4.5 bits a weight",
                                    "Q4_1, 5 bits",
                                    "Q5_0, 5.5 bits",
                                    "Q5_1, 6 bits",
                                    "Q8_0, 8.5 bits",
                                    "llama.cpp's mixture of Q2_K and more; with ,pure every matrix in Q2_K, 2.63 bits",
                                    "Q3_K, 3.44 bits",
                                    "Q4_K, 4.5 bits",
                                    "Q5_K, 5.5 bits",
                                    "Q6_K, 6.56 bits",
                                    "IQ4_NL, 4.5 bits",
                                    "IQ4_XS, 4.25 bits",
                                    "TQ1_0, 1.69 bits, for ternary models",
                                    "TQ2_0, 2.06 bits, for ternary models",
                                    "llama.cpp's mixture: Q3_K, the output Q6_K",
                                    "and values, attention output and ffn_down Q4_K, some Q5_K",
                                    "and these three Q5_K",
                                    "llama.cpp's mixture: Q4_K, the output Q6_K, first values and ffn_down Q5_K",
                                    "Q4_K, the output and half of values and ffn_down Q6_K",
                                    "llama.cpp's mixture: Q5_K, the output Q6_K",
                                    "Q5_K, the output and half of values and ffn_down Q6_K"};
_Static_assert(sizeof variants / sizeof *variants == sizeof notes / sizeof *notes + 1, "a note for each variant");
static const char *const keys[] = {"pure", "tensor", NULL};

/* What an override may ask for. */
static const enum dtype_id types[] = {DTYPE_F32,  DTYPE_F16,    DTYPE_BF16,   DTYPE_Q4_0,  DTYPE_Q4_1, DTYPE_Q5_0,
                                      DTYPE_Q5_1, DTYPE_Q8_0,   DTYPE_Q2_K,   DTYPE_Q3_K,  DTYPE_Q4_K, DTYPE_Q5_K,
                                      DTYPE_Q6_K, DTYPE_IQ4_NL, DTYPE_IQ4_XS, DTYPE_TQ1_0, DTYPE_TQ2_0};
enum { TYPES = sizeof types / sizeof *types };

struct settings {
    const struct gguf_variant *variant;
    bool pure;
    uint32_t n_overrides;
    struct {
        uint16_t pattern; /* where it begins in `patterns` */
        uint16_t type;
    } overrides[BACKEND_SETTINGS];
    char patterns[BACKEND_SPEC];
};
_Static_assert(sizeof(struct settings) <= BACKEND_PARSED, "settings fit in their place");

static const struct settings *settings_of(const struct backend_options *o) { return (const void *)o->parsed; }

/* --- settings --- */

static int parse_type(const struct backend_spec *spec, const char *name, enum dtype_id *type, struct error *e)
{
    char lower[TYPES][16];
    const char *known[TYPES];
    for (size_t i = 0; i < TYPES; i++) {
        dtype_lower_name(types[i], lower[i]);
        known[i] = lower[i];
        if (strcmp(name, known[i]) == 0) return *type = types[i], 0;
    }
    struct suggestion guess = suggest(name, known, TYPES);
    return error_set(e, ERROR_USAGE, "backend \"%s\": tensor: %s: no such type%s", spec->whole,
                     *name ? name : "(empty)",
                     guess.words[0] ? guess.words : " (kerf backends lists them; f32, f16 and bf16 too)");
}

static int add_override(struct settings *s, const struct backend_spec *spec, const char *value, size_t *used,
                        struct error *e)
{
    const char *colon = value ? strrchr(value, ':') : NULL;
    if (!colon || colon == value)
        return setting_wrong(spec, "tensor", "NAMES:TYPE, as in tensor=blk.*.ffn_down:q6_k", e);
    enum dtype_id type;
    int status = parse_type(spec, colon + 1, &type, e);
    if (status) return status;
    size_t length = (size_t)(colon - value); /* all values together are shorter than the spec, and so than `patterns` */
    s->overrides[s->n_overrides].pattern = (uint16_t)*used;
    s->overrides[s->n_overrides++].type = (uint16_t)type;
    memcpy(s->patterns + *used, value, length);
    *used += length + 1;
    return 0;
}

static int configure(struct backend_options *o, const struct backend_spec *spec, struct error *e)
{
    if (!spec->variant)
        return error_set(e, ERROR_USAGE, "backend \"%s\": a type or preset must follow, as in gguf:q8_0 or gguf:q4_k_m",
                         spec->whole);
    struct settings *s = (void *)o->parsed;
    s->variant = gguf_variant(spec->variant);
    int status = setting_flag(spec, "pure", &s->pure, e);
    size_t used = 0;
    for (size_t i = 0; i < spec->n_settings && !status; i++)
        if (strcmp(spec->settings[i].key, "tensor") == 0)
            status = add_override(s, spec, spec->settings[i].value, &used, e);
    if (status) return status;
    char name[16];
    dtype_lower_name(s->variant->type, name);
    if (s->pure && s->variant->mixes && gguf_variant(name) && !gguf_variant(name)->mixes)
        s->variant = gguf_variant(name); /* q4_k_m,pure is q4_k */
    s->pure = s->pure && s->variant->mixes;
    snprintf(o->spec, sizeof o->spec, "gguf:%s%s", s->variant->name, s->pure ? ",pure" : "");
    for (uint32_t i = 0; i < s->n_overrides; i++) {
        dtype_lower_name((enum dtype_id)s->overrides[i].type, name);
        spec_add(o, ",tensor=%s:%s", s->patterns + s->overrides[i].pattern, name); /* no longer than the spec was */
    }
    return 0;
}

/* --- types --- */

/* What llama-quantize takes where the columns do not divide into a type's blocks (llama-quant.cpp, the fallbacks at the
 * end of llama_tensor_get_type). */
static enum dtype_id smaller_blocks(enum dtype_id type)
{
    switch (type) {
    case DTYPE_Q2_K:
    case DTYPE_Q3_K:
    case DTYPE_TQ1_0:
    case DTYPE_TQ2_0:
        return DTYPE_Q4_0;
    case DTYPE_IQ4_XS:
        return DTYPE_IQ4_NL;
    case DTYPE_Q4_K:
        return DTYPE_Q5_0;
    case DTYPE_Q5_K:
        return DTYPE_Q5_1;
    case DTYPE_Q6_K:
        return DTYPE_Q8_0;
    default:
        return DTYPE_F16;
    }
}

static enum dtype_id wanted_type(const struct settings *s, const struct place *at)
{
    for (uint32_t i = s->n_overrides; i-- > 0;)
        if (pattern_fits(s->patterns + s->overrides[i].pattern, at->name)) return (enum dtype_id)s->overrides[i].type;
    return s->pure ? s->variant->type : gguf_preset_type(s->variant, at);
}

static enum dtype_id gguf_type(const struct backend_options *o, const struct place *at, int64_t cols, bool *fell_back)
{
    enum dtype_id wanted = wanted_type(settings_of(o), at), type = wanted;
    if (cols % dtype_of((int)type)->block) type = smaller_blocks(type);
    if (cols % dtype_of((int)type)->block) type = DTYPE_F16;
    *fell_back = type != wanted;
    return type;
}

static uint32_t file_type(const struct backend_options *o) { return settings_of(o)->variant->file_type; }

static const char *pattern(const struct backend_options *o, size_t i)
{
    const struct settings *s = settings_of(o);
    return i < s->n_overrides ? s->patterns + s->overrides[i].pattern : NULL;
}

static int pack(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                struct error *e)
{
    bool fell_back;
    enum dtype_id type = gguf_type(o, at, w->shape[1], &fell_back);
    return pack_decoded(out, w, type, at->importance, e);
}

extern const struct backend backend_gguf;

const struct backend backend_gguf = {
    .name = "gguf",
    .summary = "GGML's block types and llama.cpp's mixtures of them; [,tensor=NAMES:TYPE] for matrices by name",
    .variants = variants,
    .notes = notes,
    .keys = keys,
    .repeated_key = "tensor",
    .weighs = true,
    .configure = configure,
    .pack = pack,
    .unpack = unpack_decoded,
    .gguf_type = gguf_type,
    .file_type = file_type,
    .pattern = pattern};
