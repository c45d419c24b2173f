#include "engine/formats/gptq_config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value under one of these names, NULL-terminated; NULL where none is there. Two that contradict are an error. */
static int find(const json_t *json, const char *const *names, const char *where, const json_t **out, const char **name,
                struct error *e)
{
    *out = NULL;
    *name = names[0];
    for (; *names; names++) {
        const json_t *v = json_object_get(json, *names);
        if (!v || json_is_null(v)) continue;
        if (*out && !json_equal(*out, v))
            return error_set(e, ERROR_INPUT, "%s: %s and %s contradict each other: remove one", where, *name, *names);
        if (*out) continue;
        *out = v;
        *name = *names;
    }
    return 0;
}

static int read_number(const json_t *json, const char *const *names, const char *where, const char *rule,
                       bool (*allowed)(json_int_t), int64_t *out, struct error *e)
{
    const json_t *v;
    const char *name;
    int status = find(json, names, where, &v, &name, e);
    if (status || !v) return status;
    if (json_is_integer(v) && allowed(json_integer_value(v))) return *out = json_integer_value(v), 0;
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    status =
        error_set(e, ERROR_INPUT, "%s: %s: %.80s must be %s", where, name, text ? text : "what stands there", rule);
    free(text);
    return status;
}

static int read_flag(const json_t *json, const char *const *names, const char *where, bool *out, struct error *e)
{
    const json_t *v;
    const char *name;
    int status = find(json, names, where, &v, &name, e);
    if (status || !v) return status;
    if (!json_is_boolean(v)) return error_set(e, ERROR_INPUT, "%s: %s: must be true or false", where, name);
    *out = json_is_true(v);
    return 0;
}

/* *out stays where nothing is said. */
static int read_text(const json_t *json, const char *const *names, const char *where, const char **out,
                     const char **name, struct error *e)
{
    const json_t *v;
    int status = find(json, names, where, &v, name, e);
    if (status || !v) return status;
    if (!json_is_string(v)) return error_set(e, ERROR_INPUT, "%s: %s: must be a string", where, *name);
    *out = json_string_value(v);
    return 0;
}

static bool bits_allowed(json_int_t v) { return v == 2 || v == 3 || v == 4 || v == 8; }
static bool group_allowed(json_int_t v) { return v == -1 || (v > 0 && v <= INT32_MAX); }

static bool is(const char *a, const char *b) { return strcasecmp(a, b) == 0; }

static int check_method(const json_t *json, const char *where, struct error *e)
{
    static const char *const names[] = {"quant_method", "method", NULL};
    /* AutoAWQ's quant_config.json has no method but calls its layouts versions. */
    const char *version = json_string_value(json_object_get(json, "version"));
    const char *name, *method = version && strncasecmp(version, "gem", 3) == 0 ? "awq" : "gptq";
    int status = read_text(json, names, where, &method, &name, e);
    if (status || is(method, "gptq")) return status;
    const char *remedy = "give the model that it was made from, or one quantized with GPTQ";
    if (is(method, "bitsandbytes")) remedy = "save the model dequantized (model.dequantize() of transformers)";
    if (is(method, "auto-round") || is(method, "intel/auto-round"))
        remedy = "export it in AutoRound's format auto_gptq";
    if (is(method, "compressed-tensors")) remedy = "save the model decompressed, or give the one it was made from";
    return error_set(e, ERROR_INPUT, "%s: %s: \"%.64s\" is not read by this version (only \"gptq\"): %s", where, name,
                     method, remedy);
}

static int read_format(const json_t *json, const char *where, enum gptq_zeros *zeros, struct error *e)
{
    static const char *const names[] = {"checkpoint_format", "format", NULL};
    static const char *const marlin[] = {"is_marlin_format", NULL}, *const pack[] = {"pack_dtype", NULL};
    const char *format = "gptq", *word = "int32", *name, *word_name;
    bool is_marlin = false;
    int status = read_text(json, names, where, &format, &name, e);
    if (!status) status = read_flag(json, marlin, where, &is_marlin, e);
    if (!status) status = read_text(json, pack, where, &word, &word_name, e);
    if (status) return status;
    if (is_marlin) format = "marlin", name = marlin[0];
    *zeros = is(format, "gptq_v2") ? GPTQ_V2 : GPTQ_V1;
    if (*zeros == GPTQ_V1 && !is(format, "gptq"))
        return error_set(e, ERROR_INPUT,
                         "%s: %s: \"%.64s\" is another order of the codes, made for one kernel (only \"gptq\" and "
                         "\"gptq_v2\" are read): save the model in the format gptq",
                         where, name, format);
    if (!is(word, "int32"))
        return error_set(e, ERROR_INPUT, "%s: pack_dtype: \"%.64s\" is not read by this version (only \"int32\")",
                         where, word);
    return 0;
}

int gptq_config_read(struct gptq_config *out, const json_t *json, const char *where, struct error *e)
{
    static const char *const bits[] = {"bits", "wbits", "w_bit", NULL};
    static const char *const group[] = {"group_size", "groupsize", "q_group_size", NULL};
    static const char *const order[] = {"desc_act", "act_order", NULL}, *const symmetric[] = {"sym", NULL};
    *out = (struct gptq_config){.zeros = GPTQ_V1, .symmetric = true};
    if (!json) return 0;
    if (!json_is_object(json)) return error_set(e, ERROR_INPUT, "%s: must be an object", where);
    int status = check_method(json, where, e);
    if (!status) status = read_format(json, where, &out->zeros, e);
    if (!status) status = read_number(json, bits, where, "2, 3, 4 or 8", bits_allowed, &out->bits, e);
    if (!status)
        status =
            read_number(json, group, where, "-1 or a positive number of columns", group_allowed, &out->group_size, e);
    if (!status) status = read_flag(json, order, where, &out->act_order, e);
    if (!status) status = read_flag(json, symmetric, where, &out->symmetric, e);
    out->mixed = json_object_size(json_object_get(json, "dynamic")) > 0;
    return status;
}

const char *gptq_zeros_name(enum gptq_zeros zeros) { return zeros == GPTQ_V2 ? "gptq_v2" : "gptq"; }

json_t *gptq_config_write(const struct backend_options *how, enum gptq_zeros zeros, const char *quantizer)
{
    const struct gptq_settings *s = gptq_settings_of(how);
    json_t *json = json_pack("{s:I, s:I, s:b, s:b, s:b, s:s, s:s, s:s, s:{s:s, s:s}}", "bits", (json_int_t)s->bits,
                             "group_size", (json_int_t)s->group, "desc_act", s->act_order, "sym", s->symmetric,
                             "lm_head", false, "quant_method", "gptq", "checkpoint_format", gptq_zeros_name(zeros),
                             "pack_dtype", "int32", "meta", "quantizer", quantizer, "backend", how->spec);
    if (!json || !how->backend->calibrate) return json;
    json_object_set_new(json, "static_groups", json_boolean(s->static_groups));
    json_object_set_new(json, "true_sequential", json_boolean(s->sequential));
    /* readers want it between 0 and 1, ends excluded */
    if (s->damping > 0 && s->damping < 1) json_object_set_new(json, "damp_percent", json_real(s->damping));
    return json;
}

/* 1 where all zero points are the middle of the grid as they were read, 2 where they would be the other way, else 0. */
static int symmetric_as(const struct gptq_codes *q, int64_t rows, enum gptq_zeros read_as)
{
    int middle = 1 << (q->bits - 1), other = read_as == GPTQ_V1 ? middle + 1 : middle - 1, first = q->zeros[0];
    for (int64_t i = 1; i < rows * q->groups; i++)
        if (q->zeros[i] != first) return 0;
    return first == middle ? 1 : first == other ? 2 : 0;
}

void gptq_evidence_add(struct gptq_evidence *g, const struct gptq_stored *w, const struct matrix *m)
{
    struct gptq_centring c = {0};
    gptq_centre(w, &c);
    g->v1 += c.v1;
    g->v2 += c.v2;
    g->weights += (double)c.weights;
    g->matrices++;
    g->v1_nearer += fabs(c.v1) < fabs(c.v2);
    int as = symmetric_as(gptq_codes_of(m), m->rows, w->zeros);
    g->middle1 += as == (w->zeros == GPTQ_V1 ? 1 : 2);
    g->middle2 += as == (w->zeros == GPTQ_V2 ? 1 : 2);
}

/* Symmetric grids decide it. Else the other convention must be clearly better: the mean of all weights within a quarter
 * of a step where it is more than three quarters off as read, and nine matrices of ten must agree. The mean of a model's
 * weights is a hundredth of their standard deviation or less: a thirtieth of a step at 4 bits, a fifth at 8 bits (both of
 * the shipped gpt2), so that no model is accused that is read the right way. */
bool gptq_evidence_contradicts(const struct gptq_evidence *g, enum gptq_zeros read_as, char *what, size_t size)
{
    if (!g->matrices || !(g->weights > 0)) return false;
    bool v1 = read_as == GPTQ_V1;
    double here = fabs(v1 ? g->v1 : g->v2) / g->weights, there = fabs(v1 ? g->v2 : g->v1) / g->weights;
    int64_t nearer = v1 ? g->matrices - g->v1_nearer : g->v1_nearer;
    bool symmetric = (v1 ? g->middle2 : g->middle1) == g->matrices;
    bool centred = here > 0.75 && there < 0.25 && 10 * nearer >= 9 * g->matrices;
    if ((v1 ? g->middle1 : g->middle2) == g->matrices || !(symmetric || centred)) return false;
    enum gptq_zeros other = v1 ? GPTQ_V2 : GPTQ_V1;
    snprintf(what, size,
             "zero points look like %s (weights centred within %.2f steps; as %s they are %.2f steps off): try "
             "@gptq,zero-points=v%d",
             gptq_zeros_name(other), there, gptq_zeros_name(read_as), here, (int)other);
    return true;
}
