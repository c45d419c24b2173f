/* Hyper-parameters: read from metadata under GGUF's names, checked, and written as GGUF has them. */
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* A size of 0 that the file does not give means that there is none, or is worked out below. */
static const struct {
    const char *key;
    size_t offset;
    int64_t low, high;
} numbers[] = {
    {"context_length", offsetof(struct hyper, context), 1, INT32_MAX},
    {"embedding_length", offsetof(struct hyper, width), 1, 1 << 18},
    {"block_count", offsetof(struct hyper, layers), 1, 1 << 20},
    {"feed_forward_length", offsetof(struct hyper, ffn), 1, 1 << 20},
    {"attention.head_count", offsetof(struct hyper, heads), 1, 1 << 16},
    {"attention.head_count_kv", offsetof(struct hyper, kv_heads), 1, 1 << 16},
    {"attention.key_length", offsetof(struct hyper, head), 1, 1 << 16},
    {"rope.dimension_count", offsetof(struct hyper, rope_dims), 2, ROPE_DIMS},
    {"vocab_size", offsetof(struct hyper, vocab), 1, INT32_MAX},
    {"attention.sliding_window", offsetof(struct hyper, window), 0, INT32_MAX},
    {"expert_count", offsetof(struct hyper, experts), 0, 1 << 16},
    {"expert_used_count", offsetof(struct hyper, experts_used), 0, 1 << 16},
    {"expert_feed_forward_length", offsetof(struct hyper, expert_ffn), 0, 1 << 20},
    {"expert_shared_feed_forward_length", offsetof(struct hyper, shared_ffn), 0, 1 << 20},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static const struct {
    const char *key;
    size_t offset;
} caps[] = {{"attn_logit_softcapping", offsetof(struct hyper, attn_cap)},
            {"final_logit_softcapping", offsetof(struct hyper, logit_cap)}};
enum { CAPS = sizeof caps / sizeof *caps };

static int64_t number_at(const struct hyper *h, size_t i)
{
    return *(const int64_t *)((const char *)h + numbers[i].offset);
}

static float cap_at(const struct hyper *h, size_t i) { return *(const float *)((const char *)h + caps[i].offset); }

/* --- what sizes say together --- */

static int refuse(const struct model *m, const char *key, const char *what, int64_t is, int64_t wanted, struct error *e)
{
    char shown[SOURCE_KEY];
    return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " %s %" PRId64, m->facts.path,
                     source_key(m->source, key, shown), is, what, wanted);
}

static int check_experts(const struct model *m, struct error *e)
{
    const struct hyper *h = &m->hyper;
    if (!h->experts) return 0;
    if (h->experts_used < 1 || h->experts_used > h->experts)
        return refuse(m, "expert_used_count", "experts for each token must be from 1 to", h->experts_used, h->experts,
                      e);
    if (h->expert_ffn < 1)
        return refuse(m, "expert_feed_forward_length", "rows of an expert must be at least", h->expert_ffn, 1, e);
    return 0;
}

static int check_hyper(const struct model *m, struct error *e)
{
    const struct hyper *h = &m->hyper;
    char key[SOURCE_KEY];
    const int64_t tensors = (int64_t)checkpoint_count(source_checkpoint(m->source));
    const bool gguf = checkpoint_gguf(source_checkpoint(m->source));
    if (h->layers > tensors)
        return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " layers cannot come from %" PRId64 " tensors",
                         m->facts.path, source_key(m->source, "block_count", key), h->layers, tensors);
    if (h->heads % h->kv_heads)
        return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " heads do not divide into %" PRId64 " key heads",
                         m->facts.path, source_key(m->source, "attention.head_count", key), h->heads, h->kv_heads);
    if (h->head * h->heads > 1 << 24)
        return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " x %" PRId64 " heads is too large", m->facts.path,
                         source_key(m->source, "attention.key_length", key), h->head, h->heads);
    const bool turns = architecture_key(m->architecture, "rope.freq_base");
    const bool shared = !gguf && architecture_key(m->architecture, "rope.share");
    if (h->rope_dims % 2 || h->rope_dims > h->head || h->rope_dims > ROPE_DIMS || (turns && !h->rope_dims))
        return error_set(e, ERROR_INPUT,
                         "%s: %s: dimensions that turn, %" PRId64 ", must be even, from 2 to the %" PRId64 " of a head",
                         m->facts.path, source_key(m->source, shared ? "rope.share" : "rope.dimension_count", key),
                         h->rope_dims, h->head);
    if (!(h->norm_eps > 0) || !(h->rope_base > 0))
        return error_set(e, ERROR_INPUT, "%s: %s: must be positive", m->facts.path,
                         source_key(m->source, h->rope_base > 0 ? m->architecture->eps_key : "rope.freq_base", key));
    return check_experts(m, e);
}

/* --- reading --- */

static int read_numbers(struct model *m, struct error *e)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        int64_t *to = (int64_t *)((char *)&m->hyper + numbers[i].offset);
        if (!architecture_key(m->architecture, numbers[i].key)) continue;
        int status = source_i64(m->source, numbers[i].key, numbers[i].low, numbers[i].high, to, e);
        if (status) return status;
    }
    return 0;
}

/* Sizes of GGUF files that do not say them, as llama.cpp works them out. */
static void derive_experts(struct hyper *h, const struct architecture *a)
{
    if (!h->experts) return;
    const bool own = architecture_key(a, "expert_feed_forward_length"); /* else all of the width is one expert's */
    if (!h->expert_ffn) h->expert_ffn = own ? h->ffn / (h->experts_used ? h->experts_used : 1) : h->ffn;
    if (!h->shared_ffn && architecture_key(a, "expert_shared_feed_forward_length")) h->shared_ffn = h->ffn;
}

static int derive_sizes(struct model *m, struct error *e)
{
    struct hyper *h = &m->hyper;
    char key[SOURCE_KEY];
    if (!h->kv_heads) h->kv_heads = h->heads;
    if (!h->head && h->width % h->heads)
        return error_set(e, ERROR_INPUT, "%s: %s: %" PRId64 " does not divide into %" PRId64 " heads", m->facts.path,
                         source_key(m->source, "embedding_length", key), h->width, h->heads);
    if (!h->head) h->head = h->width / h->heads;
    if (!h->ffn) h->ffn = 4 * h->width;
    derive_experts(h, m->architecture);
    return 0;
}

static int read_rotation(struct model *m, struct error *e)
{
    struct hyper *h = &m->hyper;
    double share = 1; /* of a folder; a GGUF file that does not say turns whole heads, as in llama.cpp */
    const bool folder = !checkpoint_gguf(source_checkpoint(m->source));
    h->rope_base = 10000;
    if (!architecture_key(m->architecture, "rope.freq_base")) return 0;
    int status = source_f64(m->source, "rope.freq_base", &h->rope_base, e);
    if (!status && folder && architecture_key(m->architecture, "rope.share"))
        status = source_f64(m->source, "rope.share", &share, e);
    if (!status && !(share > 0 && share <= 1)) {
        char key[SOURCE_KEY];
        return error_set(e, ERROR_INPUT, "%s: %s: %g must be from 0 to 1", m->facts.path,
                         source_key(m->source, "rope.share", key), share);
    }
    if (!h->rope_dims) h->rope_dims = (int64_t)((double)h->head * share);
    return status;
}

static int read_scales(struct model *m, struct error *e)
{
    struct hyper *h = &m->hyper;
    h->attn_scale = 1.f / sqrtf((float)h->head);
    h->embed_scale = m->architecture->style && m->architecture->style->scaled_embedding ? sqrtf((float)h->width) : 1;
    int status = 0;
    double v = 0;
    for (size_t i = 0; i < CAPS && !status; i++) {
        if (!architecture_key(m->architecture, caps[i].key)) continue;
        status = source_f64(m->source, caps[i].key, &v, e);
        if (source_null(m->source, caps[i].key)) v = 0;
        char key[SOURCE_KEY];
        if (!status && v < 0)
            status = error_set(e, ERROR_INPUT, "%s: %s: %g must not be negative", m->facts.path,
                               source_key(m->source, caps[i].key, key), v);
        *(float *)((char *)h + caps[i].offset) = (float)v;
    }
    if (status || !architecture_key(m->architecture, "attention.scale")) return status;
    /* A folder has the width whose root divides scores, a GGUF file the factor; where it has none Gemma 2's largest, of
     * 46 layers, goes by the width of the model, as llama.cpp has it. */
    bool folder = !checkpoint_gguf(source_checkpoint(m->source));
    status = source_f64(m->source, "attention.scale", &v, e);
    if (!status && folder && !source_has(m->source, "attention.scale")) v = 256;
    char key[SOURCE_KEY];
    if (!status && (folder ? !(v > 0) : v < 0))
        status =
            error_set(e, ERROR_INPUT, "%s: %s: %g must %s", m->facts.path,
                      source_key(m->source, "attention.scale", key), v, folder ? "be positive" : "not be negative");
    if (!status && !folder && v == 0 && h->layers == 46) v = 1 / sqrt((double)(h->width / h->heads));
    if (!status && v > 0) h->attn_scale = folder ? 1.f / sqrtf((float)v) : (float)v;
    return status;
}

/* --- windows --- */

/* A folder's window. transformers has one where a Mistral's config.json does not say, none where it says null, and
 * reads none of a Llama's. Qwen's counts where a switch says so. */
static int read_window(struct model *m, struct error *e)
{
    struct hyper *h = &m->hyper;
    const json_t *type = source_config(m->source, "model_type");
    const bool qwen = architecture_key(m->architecture, "use_sliding_window");
    const char *name = json_is_string(type) ? json_string_value(type) : "";
    const json_t *given = source_config(m->source, "sliding_window");
    bool used = true;
    int status = qwen ? source_bool(m->source, "use_sliding_window", &used, e) : 0;
    if (status || !json_is_object(checkpoint_config(source_checkpoint(m->source)))) return status;
    if (!used || json_is_null(given) || strcmp(name, "llama") == 0) return h->window = 0, 0;
    if (!given && (qwen || strcmp(name, "mistral") == 0)) h->window = 4096;
    return qwen && given ? source_i64(m->source, "sliding_window", 0, INT32_MAX, &h->window, e) : 0;
}

/* Whether the architecture has its window in this layer where nothing says so. */
static bool has_window(const struct model *m, int64_t layer, int64_t first)
{
    const struct style *style = m->architecture->style;
    return layer >= first && !(style && style->every_other && layer % 2);
}

/* config.json's kinds of attention, or NULL. Of more than there are layers the first count. */
static int find_types(const struct model *m, const json_t **types, struct error *e)
{
    const json_t *given = source_config(m->source, "layer_types");
    const bool listed = given && !json_is_null(given);
    *types = listed ? given : NULL;
    if (!listed || json_array_size(given) >= (size_t)m->hyper.layers) return 0;
    return error_set(e, ERROR_INPUT, "%s: config.json: layer_types: must be a list of %" PRId64 " strings",
                     m->facts.path, m->hyper.layers);
}

/* Layers that have the window: as config.json lists them, else as the architecture has it. */
static int read_layers(struct model *m, struct error *e)
{
    struct hyper *h = &m->hyper;
    const json_t *types = NULL;
    int64_t first = 0;
    int status = find_types(m, &types, e);
    if (!status) status = read_window(m, e);
    if (!status && h->window && architecture_key(m->architecture, "max_window_layers"))
        status = source_i64(m->source, "max_window_layers", 0, INT32_MAX, &first, e);
    uint8_t *windows = status ? NULL : memory_new((size_t)h->layers, sizeof *windows, "layers", e);
    if (!windows) return status ? status : ERROR_IO;
    h->windows = windows;
    bool any = false;
    for (int64_t i = 0; i < h->layers; i++) {
        const char *is = json_string_value(json_array_get(types, (size_t)i));
        const bool sliding = is && strcmp(is, "sliding_attention") == 0;
        windows[i] = types ? sliding : has_window(m, i, first);
        any |= windows[i];
        if (!types || (is && strcmp(is, "full_attention") == 0) || (sliding && h->window)) continue;
        return error_set(e, ERROR_INPUT,
                         "%s: config.json: layer_types: \"%.40s\" of layer %" PRId64
                         " is not supported by this version (only \"full_attention\"%s)",
                         m->facts.path, is ? is : "", i,
                         h->window ? ", \"sliding_attention\"" : ": there is no sliding_window");
    }
    if (!any) h->window = 0;
    return 0;
}

/* --- switches --- */

static const struct {
    const char *name;
    enum activation is;
} activations[] = {
    {"gelu", GELU_ERF}, {"gelu_new", GELU_TANH}, {"gelu_fast", GELU_TANH}, {"gelu_pytorch_tanh", GELU_TANH}};
enum { ACTIVATIONS = sizeof activations / sizeof *activations };

/* By the style, or by name where the architecture has such a key. A GGUF file that does not say means the fallback:
 * llama.cpp writes and reads no such key for these, and computes the tanh form for all of them. */
static int read_activation(struct model *m, struct error *e)
{
    static const char key[] = "hidden_activation";
    const struct key_map *map = architecture_key(m->architecture, key);
    if (!map) return m->hyper.activation = m->architecture->style->activation, 0;
    const struct gguf_value *value = source_gguf(m->source, key);
    const json_t *v = source_config(m->source, map->folder_key);
    struct gguf_string string = {.bytes = json_string_value(v), .length = json_string_length(v)};
    m->hyper.activation = map->fallback == GELU_ERF ? GELU_ERF : GELU_TANH;
    if (!value && (!v || json_is_null(v))) return 0;
    if (value && !gguf_as_string(value, &string)) string.length = 0;
    for (size_t i = 0; i < ACTIVATIONS; i++) {
        if (strlen(activations[i].name) != string.length) continue;
        if (memcmp(activations[i].name, string.bytes, string.length)) continue;
        m->hyper.activation = activations[i].is;
        return 0;
    }
    char shown[SOURCE_KEY];
    return error_set(e, ERROR_INPUT,
                     "%s: %s: \"%.*s\" is not supported by this version (only gelu, gelu_new, gelu_fast, "
                     "gelu_pytorch_tanh)",
                     m->facts.path, source_key(m->source, key, shown), (int)(string.length < 40 ? string.length : 40),
                     string.bytes ? string.bytes : "");
}

/* What config.json says, or that the file has such a tensor. */
static int read_biases(struct model *m, struct error *e)
{
    static const char *const keys[] = {"attention_bias", "mlp_bias"};
    static const char *const tensors[] = {"blk.%d.attn_q.bias", "blk.%d.ffn_up.bias"};
    bool *const out[] = {&m->hyper.attn_biases, &m->hyper.ffn_biases};
    int status = 0;
    for (size_t i = 0; i < 2 && !status; i++) {
        if (!architecture_key(m->architecture, keys[i])) continue;
        if (checkpoint_gguf(source_checkpoint(m->source)))
            *out[i] = source_there(m->source, tensors[i], 0);
        else
            status = source_bool(m->source, keys[i], out[i], e);
    }
    return status;
}

/* A folder that does not say has shares as they are, Qwen3's too, as transformers has it; files by the table. */
static int read_shares(struct model *m, struct error *e)
{
    static const char key[] = "expert_weights_norm";
    struct hyper *h = &m->hyper;
    const bool told = source_has(m->source, key) || checkpoint_gguf(source_checkpoint(m->source));
    const bool says = architecture_key(m->architecture, key)->folder_key; /* else all of its models have the same */
    return says && !told ? 0 : source_bool(m->source, key, &h->experts_norm, e);
}

static int read_switches(struct model *m, struct error *e)
{
    struct hyper *h = &m->hyper;
    const struct style *style = m->architecture->style;
    const bool gguf = checkpoint_gguf(source_checkpoint(m->source));
    h->rope_interleaved = m->architecture->rope_interleaved_in_gguf && gguf;
    h->qkv_by_head = style && style->qkv_by_head && !gguf;
    h->gates_in_one = style && style->one_gate_up;
    int status = read_activation(m, e);
    if (!status) status = read_biases(m, e);
    if (!status && architecture_key(m->architecture, "use_parallel_residual"))
        status = source_bool(m->source, "use_parallel_residual", &h->parallel, e);
    if (!status && h->experts) status = read_shares(m, e);
    bool tied; /* source_ties() reads it again */
    if (!status && !gguf) status = source_bool(m->source, "tie_word_embeddings", &tied, e);
    return status;
}

int load_hyper(struct model *m, struct error *e)
{
    struct hyper *h = &m->hyper;
    double eps = 0, value_length = 0;
    int status = read_numbers(m, e);
    if (!status) status = source_rows(m->source, "token_embd.weight", h->width, &h->vocab, e);
    if (!status) status = derive_sizes(m, e);
    if (!status) source_heads(m->source, h->heads * h->head, h->kv_heads * h->head);
    if (!status) status = source_f64(m->source, m->architecture->eps_key, &eps, e);
    h->norm_eps = (float)eps;
    if (!status) status = read_rotation(m, e);
    if (!status) status = read_scales(m, e);
    if (!status) status = read_switches(m, e);
    if (!status) status = check_hyper(m, e);
    if (!status) status = read_layers(m, e);
    const struct gguf_value *v = status ? NULL : source_gguf(m->source, "attention.value_length");
    char key[SOURCE_KEY];
    if (v && gguf_as_f64(v, &value_length) && value_length != (double)h->head)
        status = error_set(e, ERROR_INPUT, "%s: %s: %g is not supported: values must be as long as keys, %" PRId64,
                           m->facts.path, source_key(m->source, "attention.value_length", key), value_length, h->head);
    return status ? status : rope_load(m, e);
}

/* --- writing --- */

const char *hyper_lost(const struct model *m)
{
    const struct hyper *h = &m->hyper;
    bool as_known = true;
    if (m->rope.ramps_between) return "rope_scaling.truncate: false";
    if (checkpoint_gguf(source_checkpoint(m->source)) || !h->window) return NULL;
    if (h->window >= m->rope.claimed) return NULL; /* nothing lies outside it */
    for (int64_t i = 0; i < h->layers; i++) as_known &= h->windows[i] == has_window(m, i, 0);
    if (!architecture_key(m->architecture, "attention.sliding_window")) return "use_sliding_window: true";
    return as_known ? NULL : "layer_types: another order than the architecture's";
}

static const char *full_key(const struct model *m, const char *key, char full[128])
{
    snprintf(full, 128, "%s.%s", m->architecture->name, key);
    return full;
}

void hyper_write(const struct model *m, struct gguf_writer *w)
{
    const struct hyper *h = &m->hyper;
    const struct architecture *a = m->architecture;
    char key[128];
    for (size_t i = 0; i < NUMBERS; i++) {
        int64_t value = numbers[i].offset == offsetof(struct hyper, context) ? m->rope.claimed : number_at(h, i);
        const struct key_map *known = architecture_key(a, numbers[i].key);
        if (known && (value || known->fallback > 0)) /* else absent is 0, too */
            gguf_write_u32(w, full_key(m, numbers[i].key, key), (uint32_t)value);
    }
    if (h->head * h->heads != h->width)
        gguf_write_u32(w, full_key(m, "attention.value_length", key), (uint32_t)h->head);
    gguf_write_f32(w, full_key(m, a->eps_key, key), h->norm_eps);
    if (h->rope_dims) gguf_write_f32(w, full_key(m, "rope.freq_base", key), (float)h->rope_base);
    for (size_t i = 0; i < CAPS; i++)
        if (architecture_key(a, caps[i].key)) /* 0, too: a file that does not say means another */
            gguf_write_f32(w, full_key(m, caps[i].key, key), cap_at(h, i));
    if (architecture_key(a, "attention.scale")) gguf_write_f32(w, full_key(m, "attention.scale", key), h->attn_scale);
    if (architecture_key(a, "use_parallel_residual"))
        gguf_write_bool(w, full_key(m, "use_parallel_residual", key), h->parallel);
    const struct key_map *map = architecture_key(a, "hidden_activation");
    if (map && (double)h->activation != map->fallback)
        gguf_write_string(w, full_key(m, "hidden_activation", key), h->activation == GELU_ERF ? "gelu" : "gelu_new");
    if (h->experts) gguf_write_bool(w, full_key(m, "expert_weights_norm", key), h->experts_norm);
    rope_write(m, w);
}
