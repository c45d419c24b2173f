#include "engine/formats/gptq_config.h"
#include "engine/base/json.h"

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
    char *text = json_dump_text(v, JSON_ENCODE_ANY | JSON_COMPACT, NULL);
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

static const char *const method_names[] = {"quant_method", "method", NULL};
static const char *const format_names[] = {"checkpoint_format", "format", NULL};

static int check_method(const json_t *json, const char *where, struct error *e)
{
    /* AutoAWQ's quant_config.json has no method but calls its layouts versions. */
    const char *version = json_string_value(json_object_get(json, "version"));
    const char *name, *method = version && strncasecmp(version, "gem", 3) == 0 ? "awq" : "gptq";
    int status = read_text(json, method_names, where, &method, &name, e);
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
    static const char *const marlin[] = {"is_marlin_format", NULL}, *const pack[] = {"pack_dtype", NULL};
    const char *format = "gptq", *word = "int32", *name, *word_name;
    bool is_marlin = false;
    int status = read_text(json, format_names, where, &format, &name, e);
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

static const char *const bits_names[] = {"bits", "wbits", "w_bit", NULL};
static const char *const group_names[] = {"group_size", "groupsize", "q_group_size", NULL};
static const char *const order_names[] = {"desc_act", "act_order", NULL};

int gptq_config_read(struct gptq_config *out, const json_t *json, const char *where, struct error *e)
{
    static const char *const symmetric[] = {"sym", NULL};
    *out = (struct gptq_config){.zeros = GPTQ_V1, .symmetric = true};
    if (!json) return 0;
    if (!json_is_object(json)) return error_set(e, ERROR_INPUT, "%s: must be an object", where);
    int status = check_method(json, where, e);
    if (!status) status = read_format(json, where, &out->zeros, e);
    if (!status) status = read_number(json, bits_names, where, "2, 3, 4 or 8", bits_allowed, &out->bits, e);
    if (!status)
        status = read_number(json, group_names, where, "-1 or a positive number of columns", group_allowed,
                             &out->group_size, e);
    if (!status) status = read_flag(json, order_names, where, &out->act_order, e);
    if (!status) status = read_flag(json, symmetric, where, &out->symmetric, e);
    out->mixed = json_object_size(json_object_get(json, "dynamic")) > 0;
    return status;
}

static bool same(const json_t *a, const json_t *b)
{
    if (json_is_string(a) && json_is_string(b)) return is(json_string_value(a), json_string_value(b));
    return json_equal(a, b);
}

int gptq_config_agree(const json_t *a, const char *where, const json_t *b, const char *other, struct error *e)
{
    static const char *const *const fields[] = {method_names, bits_names, group_names, format_names};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *x, *y = NULL;
        const char *name, *name_there;
        int status = find(a, fields[i], where, &x, &name, e);
        if (!status) status = find(b, fields[i], other, &y, &name_there, e);
        if (status) return status;
        if (!x || !y || same(x, y)) continue;
        char *left = json_dump_text(x, JSON_ENCODE_ANY | JSON_COMPACT, NULL),
             *right = json_dump_text(y, JSON_ENCODE_ANY | JSON_COMPACT, NULL);
        status =
            error_set(e, ERROR_INPUT, "%s: %s: %.80s contradicts %.80s of %s: %s: correct the one that is wrong", where,
                      name, left ? left : "what stands there", right ? right : "what stands", other, name_there);
        free(left);
        free(right);
        return status;
    }
    return 0;
}

void gptq_config_merge(struct gptq_config *c, const struct gptq_config *other)
{
    if (!c->bits) c->bits = other->bits;
    if (!c->group_size) c->group_size = other->group_size;
    if (other->zeros == GPTQ_V2) c->zeros = GPTQ_V2;
    c->act_order |= other->act_order;
    c->symmetric &= other->symmetric;
    c->mixed |= other->mixed;
}

const char *gptq_zeros_name(enum gptq_zeros zeros) { return zeros == GPTQ_V2 ? "gptq_v2" : "gptq"; }
