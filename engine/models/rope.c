/* Rotary positions whose speeds are scaled, for contexts beyond those that a model was first trained on. Pair i of a
 * head's `dims` turns by base^(-2i / dims) radians from one position to the next (Su et al. 2021). Scalings:
 *
 *     linear    all speeds divided by the factor (Chen et al. 2023)
 *     dynamic   a base that grows with sequences longer than the context: within it, and here nothing goes beyond it,
 *               the plain speeds
 *     yarn      slow pairs as linear has them, fast ones as they were, a ramp between; cosines and sines times
 *               0.1 ln(factor) + 1 (Peng et al. 2023)
 *     llama3    the same by wave lengths, without a factor of cosines (Llama 3.1; Dubey et al. 2024)
 *     longrope  divisors for each pair from the file, others for sequences longer than the first context, and a factor
 *               of cosines sqrt(1 + ln(s) / ln(original)) (Ding et al. 2024). transformers chooses by the length of each
 *               sequence, so that what follows a token would change it, llama.cpp by the context that it was started
 *               with. So here: a model that is opened for more positions than the first context has the others, for all
 *               sequences; any other model has the first, and its context ends with them.
 *
 * Folders: "rope_scaling", or "rope_parameters", an object. GGUF: ARCHITECTURE.rope.scaling.*, and the divisors of
 * llama3 and longrope as tensors. */
#include "engine/base/memory.h"
#include "engine/models/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { PLAIN, LINEAR, DYNAMIC, YARN, LLAMA3, LONGROPE, KINDS };
static const char *const kinds[KINDS] = {"default", "linear", "dynamic", "yarn", "llama3", "longrope"};
static const char known_kinds[] = "default, linear, dynamic, yarn, llama3, longrope";

static const double pi = 3.14159265358979323846;

struct scaling {
    struct model *m;
    const char *object; /* "rope_scaling" */
    const json_t *o;
    enum kind kind;
    double factor, original, attention; /* attention 0: as the kind has it */
    double fast, slow;                  /* yarn: turns within the original context that the ramp lies between */
    double low, high;                   /* llama3: the same, as it calls them */
    double mscale, mscale_all;
    bool truncate;
};

/* --- folders --- */

/* A positive number of the object; absent: *out stays. */
static int number(const struct scaling *s, const char *key, double *out, struct error *e)
{
    const json_t *v = json_object_get(s->o, key);
    if (!v || json_is_null(v)) return 0;
    *out = json_number_value(v);
    if (json_is_number(v) && *out > 0 && isfinite(*out)) return 0;
    return error_set(e, ERROR_INPUT, "%s: config.json: %s.%s: must be a positive number", s->m->facts.path, s->object,
                     key);
}

static int find_kind(struct scaling *s, struct error *e)
{
    const json_t *type = json_object_get(s->o, "rope_type");
    if (!type || json_is_null(type)) type = json_object_get(s->o, "type");
    const char *name = json_string_value(type);
    if ((!type || json_is_null(type)) && strcmp(s->object, "rope_parameters") == 0) name = "default";
    if (name && (strcmp(name, "su") == 0 || strcmp(name, "longrope") == 0)) name = "longrope";
    while (name && s->kind < KINDS && strcmp(name, kinds[s->kind])) s->kind++;
    if (name && s->kind < KINDS) return 0;
    return error_set(e, ERROR_INPUT,
                     "%s: config.json: %s.rope_type: \"%.40s\" is not supported by this version (only %s)",
                     s->m->facts.path, s->object, name ? name : "", known_kinds);
}

/* Settings that would change speeds and that nothing here reads. */
static int refuse_unknown(const struct scaling *s, struct error *e)
{
    static const char *const known[] = {"rope_type",        "type",
                                        "rope_theta",       "partial_rotary_factor",
                                        "factor",           "original_max_position_embeddings",
                                        "attention_factor", "beta_fast",
                                        "beta_slow",        "low_freq_factor",
                                        "high_freq_factor", "short_factor",
                                        "long_factor",      "mscale",
                                        "mscale_all_dim",   "truncate",
                                        "finetuned"};
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)s->o, key, v)
    {
        size_t i = 0, n = sizeof known / sizeof *known;
        while (i < n && strcmp(key, known[i])) i++;
        if (i == n && !json_is_null(v))
            return error_set(e, ERROR_INPUT, "%s: config.json: %s.%.60s: is not supported by this version",
                             s->m->facts.path, s->object, key);
    }
    return 0;
}

static int check_dynamic(const struct scaling *s, struct error *e)
{
    if (s->kind != DYNAMIC || s->original == (double)s->m->hyper.context) return 0;
    return error_set(e, ERROR_INPUT,
                     "%s: config.json: %s.original_max_position_embeddings: %g: \"dynamic\" is supported by this "
                     "version only where it is max_position_embeddings, %" PRId64,
                     s->m->facts.path, s->object, s->original, s->m->hyper.context);
}

/* The first of the two that is there; s->o stays NULL where none is. */
static int find_object(struct scaling *s, struct error *e)
{
    static const char *const names[] = {"rope_scaling", "rope_parameters"};
    for (size_t i = 0; i < 2 && !s->o; i++) {
        const json_t *v = source_config(s->m->source, names[i]);
        s->object = names[i];
        if (v && !json_is_null(v) && !json_is_object(v))
            return error_set(e, ERROR_INPUT, "%s: config.json: %s: must be an object or null", s->m->facts.path,
                             s->object);
        if (json_is_object(v)) s->o = v;
    }
    return 0;
}

/* The context that positions are scaled from, where it stands beside the object. */
static int read_original(struct scaling *s, struct error *e)
{
    static const char key[] = "original_max_position_embeddings";
    const json_t *v = source_config(s->m->source, key);
    if (!v || json_is_null(v)) return 0;
    s->original = json_number_value(v);
    if (s->original > 0) return 0;
    return error_set(e, ERROR_INPUT, "%s: config.json: %s: must be a positive number", s->m->facts.path, key);
}

static int read_folder(struct scaling *s, struct error *e)
{
    int status = find_object(s, e);
    if (status || !s->o) return status;
    s->factor = 0;
    status = find_kind(s, e);
    if (!status) status = refuse_unknown(s, e);
    if (!status) status = read_original(s, e);
    if (!status) status = number(s, "factor", &s->factor, e);
    if (!status) status = number(s, "original_max_position_embeddings", &s->original, e);
    if (!status) status = number(s, "attention_factor", &s->attention, e);
    if (!status) status = number(s, "beta_fast", &s->fast, e);
    if (!status) status = number(s, "beta_slow", &s->slow, e);
    if (!status) status = number(s, "low_freq_factor", &s->low, e);
    if (!status) status = number(s, "high_freq_factor", &s->high, e);
    if (!status) status = number(s, "mscale", &s->mscale, e);
    if (!status) status = number(s, "mscale_all_dim", &s->mscale_all, e);
    s->truncate = !json_is_false(json_object_get(s->o, "truncate"));
    if (!status) status = check_dynamic(s, e);
    const bool needs = s->kind == LINEAR || s->kind == YARN || s->kind == LLAMA3;
    if (!status && needs && s->factor <= 0)
        status = error_set(e, ERROR_INPUT, "%s: config.json: %s.factor: is missing", s->m->facts.path, s->object);
    return status;
}

/* --- GGUF --- */

static int gguf_number(const struct scaling *s, const char *key, double *out, struct error *e)
{
    char full[64];
    snprintf(full, sizeof full, "rope.%s", key);
    const struct gguf_value *v = source_gguf(s->m->source, full);
    if (!v || (gguf_as_f64(v, out) && *out > 0 && isfinite(*out))) return 0;
    return error_set(e, ERROR_INPUT, "%s: %s.%s: must be a positive number", s->m->facts.path, s->m->architecture->name,
                     full);
}

/* By how much positions are stretched; 0 says nothing. */
static int gguf_factor(struct scaling *s, const char *key, struct error *e)
{
    char full[64];
    double v;
    snprintf(full, sizeof full, "rope.%s", key);
    const struct gguf_value *value = source_gguf(s->m->source, full);
    if (value && gguf_as_f64(value, &v) && v == 0) return 0;
    return gguf_number(s, key, &s->factor, e);
}

/* Divisors that the file brings as a tensor. */
static int read_divisors(struct scaling *s, const char *name, float **out, struct error *e)
{
    struct model *m = s->m;
    if (!source_there(m->source, name, 0)) return 0;
    *out = source_vector(m->source, name, 0, m->hyper.rope_dims / 2, e);
    if (!*out) return (int)e->code;
    for (int64_t i = 0; i < m->hyper.rope_dims / 2; i++)
        if (!((*out)[i] > 0))
            return error_set(e, ERROR_INPUT, "%s: %s: element [%" PRId64 "] must be positive", m->facts.path, name, i);
    return 0;
}

static int read_gguf_kind(struct scaling *s, struct error *e)
{
    const struct gguf_value *v = source_gguf(s->m->source, "rope.scaling.type");
    struct gguf_string name = {"none", 4};
    if (v && !gguf_as_string(v, &name)) name.length = 0;
    if (name.length == 4 && memcmp(name.bytes, "none", 4) == 0) return 0;
    if (name.length == 6 && memcmp(name.bytes, "linear", 6) == 0) return s->kind = LINEAR, 0;
    if (name.length == 4 && memcmp(name.bytes, "yarn", 4) == 0) return s->kind = YARN, 0;
    if (name.length == 8 && memcmp(name.bytes, "longrope", 8) == 0) return s->kind = LONGROPE, 0;
    return error_set(e, ERROR_INPUT,
                     "%s: %s.rope.scaling.type: \"%.*s\" is not supported by this version (only none, linear, yarn, "
                     "longrope)",
                     s->m->facts.path, s->m->architecture->name, (int)(name.length < 40 ? name.length : 40),
                     name.bytes);
}

static int read_gguf(struct scaling *s, struct error *e)
{
    double ext = 1, multiplier = 0;
    struct rope *r = &s->m->rope;
    int status = read_gguf_kind(s, e);
    if (!status) status = gguf_factor(s, "scale_linear", e); /* the older name */
    if (!status) status = gguf_factor(s, "scaling.factor", e);
    if (!status) status = gguf_number(s, "scaling.original_context_length", &s->original, e);
    if (!status) status = gguf_number(s, "scaling.attn_factor", &s->attention, e);
    if (!status) status = gguf_number(s, "scaling.yarn_beta_fast", &s->fast, e);
    if (!status) status = gguf_number(s, "scaling.yarn_beta_slow", &s->slow, e);
    if (!status) status = gguf_number(s, "scaling.yarn_ext_factor", &ext, e);
    if (!status) status = gguf_number(s, "scaling.yarn_log_multiplier", &multiplier, e);
    if (!source_gguf(s->m->source, "rope.scaling.type") && s->factor != 1) s->kind = LINEAR; /* as llama.cpp has it */
    if (!status && (ext != 1 || multiplier != 0))
        status = error_set(e, ERROR_INPUT, "%s: %s.rope.scaling.%s: is not supported by this version", s->m->facts.path,
                           s->m->architecture->name, ext != 1 ? "yarn_ext_factor" : "yarn_log_multiplier");
    if (!status) status = read_divisors(s, "rope_freqs.weight", &r->divisors, e);
    if (!status && !r->divisors) status = read_divisors(s, "rope_factors_short.weight", &r->divisors, e);
    if (!status) status = read_divisors(s, "rope_factors_long.weight", &r->long_divisors, e);
    if (!status && r->long_divisors) s->kind = LONGROPE;
    return status;
}

/* --- speeds --- */

/* A pair, not necessarily a whole number, that makes so many turns within the original context. */
static double pair_of(const struct scaling *s, double turns)
{
    const struct hyper *h = &s->m->hyper;
    return (double)h->rope_dims * log(s->original / (turns * 2 * pi)) / (2 * log(h->rope_base));
}

/* How much of the plain speed a pair keeps; the rest is of the linear one. */
static double yarn_kept(const struct scaling *s, int64_t i)
{
    double first = pair_of(s, s->fast), last = pair_of(s, s->slow);
    if (s->truncate) first = floor(first), last = ceil(last);
    first = fmax(first, 0);
    last = fmin(last, (double)s->m->hyper.rope_dims - 1);
    if (first == last) last += 0.001;
    return 1 - fmin(fmax(((double)i - first) / (last - first), 0), 1);
}

static double llama3_speed(const struct scaling *s, double speed)
{
    const double turns = s->original * speed / (2 * pi);
    if (turns > s->high) return speed;
    if (turns < s->low) return speed / s->factor;
    const double kept = (turns - s->low) / (s->high - s->low);
    return (1 - kept) * speed / s->factor + kept * speed;
}

static double speed_of(const struct scaling *s, int64_t i, double plain)
{
    const double kept = s->kind == YARN ? yarn_kept(s, i) : 0;
    switch (s->kind) {
    case LINEAR:
        return plain / s->factor;
    case YARN:
        return plain / s->factor * (1 - kept) + plain * kept;
    default:
        return plain;
    }
}

static double grown(double factor, double scale) { return factor > 1 ? 0.1 * scale * log(factor) + 1 : 1; }

static double factor_of(const struct scaling *s, bool gguf)
{
    const struct hyper *h = &s->m->hyper;
    if (gguf) /* there attn_factor counts whatever the kind, beside what yarn computes */
        return (s->kind == YARN ? grown(s->factor, 1) : 1) * (s->attention > 0 ? s->attention : 1);
    if (s->kind != YARN && s->kind != LONGROPE) return 1;
    if (s->attention > 0) return s->attention;
    if (s->kind == YARN && s->mscale > 0 && s->mscale_all > 0)
        return grown(s->factor, s->mscale) / grown(s->factor, s->mscale_all);
    if (s->kind == YARN) return grown(s->factor, 1);
    const double factor = s->factor > 0 ? s->factor : (double)h->context / s->original;
    return factor > 1 ? sqrt(1 + log(factor) / log(s->original)) : 1;
}

/* Divisors of longrope in a folder: an array of the object. */
static int read_array(const struct scaling *s, const char *key, float **out, struct error *e)
{
    const json_t *a = json_object_get(s->o, key);
    const int64_t half = s->m->hyper.rope_dims / 2;
    if (json_array_size(a) != (size_t)half)
        return error_set(e, ERROR_INPUT, "%s: config.json: %s.%s: must be an array of %" PRId64 " numbers",
                         s->m->facts.path, s->object, key, half);
    *out = memory_new((size_t)half, sizeof **out, "rotary positions", e);
    if (!*out) return ERROR_IO;
    for (int64_t i = 0; i < half; i++) {
        (*out)[i] = (float)json_number_value(json_array_get(a, (size_t)i));
        if (!((*out)[i] > 0) || !isfinite((*out)[i]))
            return error_set(e, ERROR_INPUT, "%s: config.json: %s.%s: element %" PRId64 " must be a positive number",
                             s->m->facts.path, s->object, key, i);
    }
    return 0;
}

/* llama3's divisors, as GGUF has them. */
static int make_divisors(const struct scaling *s, float **out, struct error *e)
{
    const struct hyper *h = &s->m->hyper;
    *out = memory_new((size_t)(h->rope_dims / 2), sizeof **out, "rotary positions", e);
    for (int64_t i = 0; *out && i < h->rope_dims / 2; i++) {
        const double plain = 1.0 / pow(h->rope_base, (double)(2 * i) / (double)h->rope_dims);
        (*out)[i] = (float)(plain / llama3_speed(s, plain));
    }
    return *out ? 0 : ERROR_IO;
}

/* Whether the model is opened for more positions than the first divisors are for, and has them. */
static bool is_long(const struct scaling *s)
{
    const struct model_options *o = s->m->options;
    const bool beyond = o && (double)o->context > s->original && (double)s->m->hyper.context > s->original;
    return s->kind == LONGROPE && s->m->rope.long_divisors && beyond;
}

static int fill(struct scaling *s, bool gguf, struct error *e)
{
    struct model *m = s->m;
    struct rope *r = &m->rope;
    const int64_t half = m->hyper.rope_dims / 2;
    const float *divisors = is_long(s) ? r->long_divisors : r->divisors;
    r->frequencies = memory_new((size_t)half, sizeof *r->frequencies, "rotary positions", e);
    if (!r->frequencies) return ERROR_IO;
    for (int64_t i = 0; i < half; i++) {
        const double plain = 1.0 / pow(m->hyper.rope_base, (double)(2 * i) / (double)m->hyper.rope_dims);
        const double speed = speed_of(s, i, plain);
        r->frequencies[i] = (float)(divisors ? speed / (double)divisors[i] : speed);
    }
    r->factor = (float)factor_of(s, gguf);
    bool finite = isfinite(r->factor) && r->factor > 0;
    for (int64_t i = 0; i < half; i++) finite &= isfinite(r->frequencies[i]);
    char key[SOURCE_KEY];
    if (finite) return 0;
    return error_set(e, ERROR_INPUT, "%s: %s: its scaling gives no finite rotation", m->facts.path,
                     source_key(m->source, "rope.freq_base", key));
}

/* What a GGUF file would say of it. */
static void note(const struct scaling *s)
{
    struct rope *r = &s->m->rope;
    r->scaling = s->kind == LINEAR ? "linear" : s->kind == YARN ? "yarn" : s->kind == LONGROPE ? "longrope" : NULL;
    r->by = s->kind == LINEAR || s->kind == YARN ? s->factor : 0;
    r->original = s->kind == YARN || s->kind == LONGROPE ? s->original : 0;
    r->attention = s->kind == YARN ? r->factor / grown(s->factor, 1) : s->kind == LONGROPE ? r->factor : 0;
    r->fast = s->fast;
    r->slow = s->slow;
    r->ramps_between = s->kind == YARN && !s->truncate;
}

/* Results are of other numbers than those of the first divisors: what they are kept and compared under says so. */
static void tell_long(struct model *m)
{
    static const char *const told[][2] = {
        {"exact", "exact, longrope's second divisors"},
        {"fast", "fast, longrope's second divisors"},
        {"exact, inputs in 8 bits", "exact, inputs in 8 bits, longrope's second divisors"}};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        if (strcmp(m->facts.math, told[i][0]) == 0) {
            m->facts.math = told[i][1];
            return;
        }
}

static void shorten(const struct scaling *s)
{
    struct model *m = s->m;
    if (is_long(s)) tell_long(m);
    if (s->kind != LONGROPE || s->original >= (double)m->hyper.context || is_long(s)) return;
    m->hyper.context = (int64_t)s->original;
    model_warn(m,
               "longrope: the context is taken as %" PRId64 " of %" PRId64
               " positions, those of its divisors for short sequences: --max-context takes the others",
               m->hyper.context, m->rope.claimed);
}

int rope_load(struct model *m, struct error *e)
{
    const bool gguf = checkpoint_gguf(source_checkpoint(m->source));
    struct scaling s = {.m = m, .factor = 1, .original = (double)m->hyper.context, .truncate = true};
    s.fast = 32;
    s.slow = 1;
    s.low = 1;
    s.high = 4;
    m->rope.claimed = m->hyper.context;
    m->rope.factor = 1;
    if (!m->hyper.rope_dims) return 0;
    int status = gguf ? read_gguf(&s, e) : read_folder(&s, e);
    if (!status && (s.original < 1 || s.original > INT32_MAX))
        status = error_set(e, ERROR_INPUT,
                           "%s: the context that rotary positions were made for, %g, must be at least 1 and below 2^31",
                           m->facts.path, s.original);
    if (!status && s.kind == LONGROPE && !gguf) {
        status = read_array(&s, "short_factor", &m->rope.divisors, e);
        if (!status) status = read_array(&s, "long_factor", &m->rope.long_divisors, e);
    }
    if (!status && s.kind == LLAMA3) status = make_divisors(&s, &m->rope.divisors, e);
    if (!status) status = fill(&s, gguf, e);
    if (status) return status;
    note(&s);
    shorten(&s);
    return 0;
}

void rope_free(struct rope *r)
{
    free(r->frequencies);
    free(r->divisors);
    free(r->long_divisors);
}

/* --- writing --- */

const float *rope_tensor(const struct model *m, size_t i, const char **name)
{
    const struct rope *r = &m->rope;
    *name = r->long_divisors ? i ? "rope_factors_long.weight" : "rope_factors_short.weight" : "rope_freqs.weight";
    return i == 0 ? r->divisors : i == 1 ? r->long_divisors : NULL;
}

static void write_number(const struct model *m, struct gguf_writer *w, const char *key, double v, bool whole)
{
    char full[128];
    snprintf(full, sizeof full, "%s.rope.scaling.%s", m->architecture->name, key);
    if (v > 0 && whole) gguf_write_u32(w, full, (uint32_t)v);
    if (v > 0 && !whole) gguf_write_f32(w, full, (float)v);
}

void rope_write(const struct model *m, struct gguf_writer *w)
{
    const struct rope *r = &m->rope;
    char key[128];
    if (!r->scaling) return;
    snprintf(key, sizeof key, "%s.rope.scaling.type", m->architecture->name);
    gguf_write_string(w, key, r->scaling);
    write_number(m, w, "factor", r->by, false);
    write_number(m, w, "original_context_length", r->original, true);
    write_number(m, w, "attn_factor", r->attention, false);
    if (strcmp(r->scaling, "yarn")) return;
    write_number(m, w, "yarn_beta_fast", r->fast, false);
    write_number(m, w, "yarn_beta_slow", r->slow, false);
}
