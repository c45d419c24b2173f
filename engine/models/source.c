#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/models/source_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct architecture architecture_llama, architecture_gpt2, architecture_qwen2, architecture_qwen3,
    architecture_qwen2moe, architecture_qwen3moe, architecture_phi3, architecture_gemma, architecture_gemma2,
    architecture_olmo2, architecture_gptneox;
static const struct architecture *const registry[] = {
    &architecture_llama,    &architecture_gpt2,     &architecture_qwen2,  &architecture_qwen3,
    &architecture_qwen2moe, &architecture_qwen3moe, &architecture_phi3,   &architecture_gemma,
    &architecture_gemma2,   &architecture_olmo2,    &architecture_gptneox};
enum { ARCHITECTURES = sizeof registry / sizeof *registry };

const struct architecture *source_architecture(const struct source *s) { return s->architecture; }
const struct checkpoint *source_checkpoint(const struct source *s) { return s->checkpoint; }

const struct gguf_value *source_gguf(const struct source *s, const char *key)
{
    char full[NAME];
    const struct gguf *g = checkpoint_gguf(s->checkpoint);
    snprintf(full, sizeof full, "%s.%s", s->architecture->name, key);
    return g ? gguf_find(g, full) : NULL;
}

/* Whether a value is one of those that stand with | between. */
static bool is_allowed(const char *allowed, const char *value, size_t n)
{
    for (const char *p = allowed; *p;) {
        size_t length = strcspn(p, "|");
        if (length == n && memcmp(p, value, n) == 0) return true;
        p += length + (p[length] == '|');
    }
    return false;
}

static int find_architecture(struct source *s, struct error *e)
{
    char name[NAME] = "";
    const struct gguf *g = checkpoint_gguf(s->checkpoint);
    if (g) {
        struct gguf_string v;
        const struct gguf_value *value = gguf_find(g, "general.architecture");
        if (!value || !gguf_as_string(value, &v))
            return error_set(e, ERROR_INPUT, "%s: general.architecture: a string must name the architecture",
                             path_of(s));
        snprintf(name, sizeof name, "%.*s", (int)(v.length < NAME ? v.length : NAME - 1), v.bytes);
    } else {
        const char *type = json_string_value(json_object_get(checkpoint_config(s->checkpoint), "model_type"));
        if (!type)
            return error_set(e, ERROR_INPUT, "%s/config.json: model_type: a string must name the architecture",
                             path_of(s));
        snprintf(name, sizeof name, "%s", type);
    }
    struct text known = {0};
    for (size_t i = 0; i < ARCHITECTURES; i++) {
        const char *names = g ? registry[i]->name : registry[i]->folder_types;
        if (is_allowed(names, name, strlen(name))) s->architecture = registry[i];
        for (const char *c = (text_add(&known, i ? ", " : ""), names); *c; c++)
            text_add(&known, (char[]){*c == '|' ? ',' : *c, *c == '|' ? ' ' : 0, 0});
    }
    int status = known.failed ? error_set(e, ERROR_IO, "%s: out of memory", path_of(s)) : 0;
    if (!status && !s->architecture)
        status = error_set(e, ERROR_INPUT, "%s%s: architecture \"%s\" is not one that this version knows (%s)",
                           path_of(s), g ? ": general.architecture" : "/config.json: model_type", name, text_c(&known));
    text_free(&known);
    return status;
}

/* The value of a folder_key in config.json; NULL where it is absent. */
const json_t *source_config(const struct source *s, const char *keys)
{
    char copy[NAME];
    if (!keys || checkpoint_gguf(s->checkpoint)) return NULL;
    const json_t *found = NULL;
    snprintf(copy, sizeof copy, "%s", keys);
    for (char *rest = copy, *path; (!found || json_is_null(found)) && (path = strsep(&rest, "|")) != NULL;) {
        const json_t *v = checkpoint_config(s->checkpoint);
        for (char *key; v && (key = strsep(&path, ".")) != NULL;) v = json_object_get(v, key);
        if (v) found = v;
    }
    return found;
}

const struct key_map *architecture_key(const struct architecture *a, const char *key)
{
    const struct key_map *const tables[] = {a->keys, a->more_keys};
    for (int i = 0; i < 2; i++)
        for (const struct key_map *k = tables[i]; k && k->key; k++)
            if (strcmp(k->key, key) == 0) return k;
    return NULL;
}

/* Keys of GGUF files that change the arithmetic of every architecture that does not have them in its table. */
static const struct guard everywhere[] = {
    {"logit_scale", NULL, "0|1"},
    {"residual_scale", NULL, "0|1"},
    {"embedding_scale", NULL, "0|1"},
    {"attn_logit_softcapping", NULL, "0"},
    {"final_logit_softcapping", NULL, "0"},
    {"router_logit_softcapping", NULL, "0"},
    {"attention.sliding_window", NULL, "0"},
    {"attention.sliding_window_pattern", NULL, "none"},
    {"attention.scale", NULL, "0"},
    {"attention.output_scale", NULL, "0|1"},
    {"attention.temperature_scale", NULL, "0|1"},
    {"attention.temperature_length", NULL, "0"},
    {"attention.clamp_kqv", NULL, "0"},
    {"attention.max_alibi_bias", NULL, "0"},
    {"attention.causal", NULL, "true"},
    {"rope.scaling.alpha", NULL, "0"},
    {"rope.dimension_sections", NULL, "none"},
    {"expert_count", NULL, "0"},
    {"expert_weights_scale", NULL, "0|1"},
    {"expert_gating_func", NULL, "0|1"},
    {"expert_group_count", NULL, "0|1"},
    {"moe_every_n_layers", NULL, "0|1"},
    {"interleave_moe_layer_step", NULL, "0|1"},
    {"leading_dense_block_count", NULL, "0"},
    {"nextn_predict_layers", NULL, "0"},
    {NULL, NULL, NULL},
};

static int check_guard(const struct source *s, const struct guard *guard, struct error *e)
{
    struct text value = {0};
    const char *key = guard->key;
    if (checkpoint_gguf(s->checkpoint)) {
        const struct gguf_value *v = key ? source_gguf(s, key) : NULL;
        struct gguf_string string;
        double number;
        bool truth;
        if (v && gguf_as_bool(v, &truth))
            text_add(&value, truth ? "true" : "false");
        else if (v && gguf_as_string(v, &string))
            text_bytes(&value, string.bytes, string.length);
        else if (v && gguf_as_f64(v, &number))
            text_printf(&value, "%g", number);
        else if (v)
            text_add(&value, "of another type");
    } else {
        key = guard->folder_key;
        const json_t *v = key ? source_config(s, key) : NULL;
        const bool is_there = v && !json_is_null(v);
        char *dump = is_there ? json_dump_text(v, JSON_COMPACT, NULL) : NULL;
        if (dump) text_add(&value, dump);
        value.failed |= is_there && !dump;
        free(dump);
    }
    int status = value.failed ? error_set(e, ERROR_IO, "%s: %s: out of memory", path_of(s), key) : 0;
    if (!status && value.length && !is_allowed(guard->allowed, value.bytes, value.length))
        status = error_set(e, ERROR_INPUT, "%s%s: %s: %.80s is not supported by this version (only %s)", path_of(s),
                           checkpoint_gguf(s->checkpoint) ? "" : "/config.json", key, value.bytes, guard->allowed);
    text_free(&value);
    return status;
}

/* A method that is not GPTQ is refused here, by its name, and not by what its tensors look like. */
static int read_quantization(struct source *s, struct error *e)
{
    const char *place;
    char where[2 * NAME];
    const json_t *settings = checkpoint_quantization(s->checkpoint, 0, &place);
    snprintf(where, sizeof where, "%s/%s", path_of(s), place);
    const json_t *more = checkpoint_quantization(s->checkpoint, 1, &place);
    for (size_t i = 0; i < checkpoint_count(s->checkpoint) && !checkpoint_gguf(s->checkpoint); i++)
        if (text_ends_with(checkpoint_at(s->checkpoint, i)->name, ".qweight")) s->has_parts = true;
    int status = more ? gptq_config_agree(settings, where, more, place, e) : 0;
    if (!status) status = gptq_config_read(&s->first, settings, where, e);
    s->gptq = s->first;
    if (status || !more) return status;
    struct gptq_config other;
    snprintf(where, sizeof where, "%s/%s", path_of(s), place);
    status = gptq_config_read(&other, more, where, e);
    gptq_config_merge(&s->gptq, &other);
    return status;
}

bool source_has_parts(const struct source *s) { return s->has_parts; }

int source_open(struct source **out, const char *path, struct error *e)
{
    *out = NULL;
    struct source *s = memory_new(1, sizeof *s, "a checkpoint", e);
    if (!s) return ERROR_IO;
    s->expert = -1;
    int status = checkpoint_open(&s->checkpoint, path, e);
    if (!status) status = find_architecture(s, e);
    for (const struct guard *g = status ? NULL : s->architecture->guards; g && g->allowed && !status; g++)
        status = check_guard(s, g, e);
    for (const struct guard *g = everywhere; g->allowed && !status; g++)
        if (!architecture_key(s->architecture, g->key)) status = check_guard(s, g, e);
    if (!status) status = read_quantization(s, e);
    size_t n = status ? 0 : checkpoint_count(s->checkpoint);
    if (!status && !(s->used = memory_new(n, sizeof *s->used, "a checkpoint", e))) status = ERROR_IO;
    for (size_t i = 0; i < n && !status; i++) {
        const char *name = checkpoint_at(s->checkpoint, i)->name;
        status = table_add(&s->index, name, strlen(name), (int64_t)i, NULL, e);
    }
    if (status) {
        source_close(s);
        return status;
    }
    *out = s;
    return 0;
}

void source_close(struct source *s)
{
    if (!s) return;
    checkpoint_close(s->checkpoint);
    table_free(&s->index);
    free(s->used);
    free(s);
}

const char *source_key(const struct source *s, const char *key, char shown[SOURCE_KEY])
{
    const struct key_map *map = architecture_key(s->architecture, key);
    if (checkpoint_gguf(s->checkpoint))
        snprintf(shown, SOURCE_KEY, "%s.%s", s->architecture->name, key);
    else {
        const char *name = map && map->folder_key ? map->folder_key : key;
        snprintf(shown, SOURCE_KEY, "config.json: %.*s", (int)strcspn(name, "|"), name);
    }
    return shown;
}

/* *given tells whether the file has the key or the value is the fallback. */
static int look_up(const struct source *s, const char *key, double *out, bool *given, struct error *e)
{
    const struct key_map *map = architecture_key(s->architecture, key);
    char shown[SOURCE_KEY];
    bool number = false;
    if (checkpoint_gguf(s->checkpoint)) {
        const struct gguf_value *v = source_gguf(s, key);
        *given = v != NULL;
        number = v && gguf_as_f64(v, out);
    } else {
        const json_t *v = source_config(s, map ? map->folder_key : key);
        *given = v && !json_is_null(v);
        number = json_is_number(v);
        *out = json_number_value(v);
    }
    if (!*given && map && map->like) return look_up(s, map->like, out, given, e);
    if (!*given && map && !isnan(map->fallback)) return *out = map->fallback, 0;
    if (!*given) return error_set(e, ERROR_INPUT, "%s: %s: is missing", path_of(s), source_key(s, key, shown));
    if (!number || !isfinite(*out))
        return error_set(e, ERROR_INPUT, "%s: %s: must be a finite number", path_of(s), source_key(s, key, shown));
    return 0;
}

int source_f64(const struct source *s, const char *key, double *out, struct error *e)
{
    bool given;
    return look_up(s, key, out, &given, e);
}

int source_i64(const struct source *s, const char *key, int64_t low, int64_t high, int64_t *out, struct error *e)
{
    double v = 0;
    bool given;
    char shown[SOURCE_KEY];
    int status = look_up(s, key, &v, &given, e);
    if (status) return status;
    if (given && (v != floor(v) || v < (double)low || v > (double)high))
        return error_set(e, ERROR_INPUT, "%s: %s: %.17g must be a whole number from %" PRId64 " to %" PRId64,
                         path_of(s), source_key(s, key, shown), v, low, high);
    *out = (int64_t)v;
    return 0;
}

int source_bool(const struct source *s, const char *key, bool *out, struct error *e)
{
    const struct key_map *map = architecture_key(s->architecture, key);
    char shown[SOURCE_KEY];
    bool told = false;
    *out = map && map->fallback != 0;
    if (checkpoint_gguf(s->checkpoint)) {
        const struct gguf_value *v = source_gguf(s, key);
        told = !v || gguf_as_bool(v, out);
    } else {
        const json_t *v = source_config(s, map ? map->folder_key : key);
        told = !v || json_is_null(v) || json_is_boolean(v);
        if (json_is_boolean(v)) *out = json_is_true(v);
    }
    if (told) return 0;
    return error_set(e, ERROR_INPUT, "%s: %s: must be true or false", path_of(s), source_key(s, key, shown));
}

bool source_null(const struct source *s, const char *key)
{
    const struct key_map *map = architecture_key(s->architecture, key);
    return json_is_null(source_config(s, map ? map->folder_key : key));
}

bool source_has(const struct source *s, const char *key)
{
    const struct key_map *map = architecture_key(s->architecture, key);
    const json_t *v = map ? source_config(s, map->folder_key) : NULL;
    return source_gguf(s, key) || (v && !json_is_null(v));
}
