/* Keys of a suite: how texts are generated and answers filtered, and how documents are cut. */
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "suites/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS = 1 << 24, MOST_REPEATS = 1 << 10 };

static int take_until(struct loading *l, const char *place, const json_t *v)
{
    struct suite *s = l->s;
    if (!json_is_array(v) && !json_is_string(v))
        return yaml_file_error(&l->y, l->e, place, "must be a list of strings");
    size_t n = json_is_string(v) ? 1 : json_array_size(v);
    if (!(s->until = memory_new(n, sizeof *s->until, "stop strings", l->e))) return ERROR_IO;
    for (size_t i = 0; i < n; i++) {
        const json_t *stop = json_is_string(v) ? v : json_array_get(v, i);
        if (!json_string_length(stop))
            return yaml_file_error(&l->y, l->e, place, "string %zu must be a non-empty string", i + 1);
        int status = take_string(l, place, stop, &s->until[i]);
        if (status) return status;
        s->n_until++;
    }
    return 0;
}

/* A setting of the decoding strategy, in the words of lm-evaluation-harness. */
static int take_decoding(struct loading *l, const char *place, const char *key, const json_t *v)
{
    char *other;
    const char *value = setting_value(v, &other, l->e);
    struct error x = {0};
    if (!value) return ERROR_IO;
    int status = decode_set(&l->s->decode, key, value, &x);
    free(other);
    return status ? setting_error(l, place, key, &x) : 0;
}

static int unknown_setting(struct loading *l, const char *place, const char *key)
{
    static const char *const names[] = {
        "until", "max_gen_toks", "do_sample", "num_beams", "length_penalty",     "temperature",   "top_k",
        "top_p", "min_p",        "typical_p", "seed",      "repetition_penalty", "early_stopping"};
    struct suggestion s = suggest(key, names, sizeof names / sizeof *names);
    return yaml_file_error(&l->y, l->e, place, "unknown key%s", s.words);
}

int take_generation(struct loading *l, const char *place, const json_t *v)
{
    if (!json_is_object(v)) return yaml_file_error(&l->y, l->e, place, "must be a mapping with max_gen_toks and until");
    const char *key;
    json_t *value;
    bool decodes = false;
    json_object_foreach((json_t *)(uintptr_t)v, key, value)
    {
        char at[2 * YAML_KEY_BYTES];
        int64_t most = 0;
        int status = 0;
        snprintf(at, sizeof at, "%s.%s", place, key);
        if (strcmp(key, "until") == 0) {
            status = take_until(l, at, value);
        } else if (strcmp(key, "max_gen_toks") == 0) {
            status = take_integer(l, at, value, 1, MOST_TOKENS, &most);
            l->s->max_tokens = (int)most;
        } else if (decode_knows(key)) {
            status = take_decoding(l, at, key, value);
            decodes = true;
        } else {
            status = unknown_setting(l, at, key);
        }
        if (status) return status;
    }
    if (!l->s->max_tokens)
        return yaml_file_error(&l->y, l->e, place, "max_gen_toks: missing key: the limit of new tokens");
    if (decodes && json_object_get(l->y.root, "decode"))
        return yaml_file_error(&l->y, l->e, "decode", "generation_kwargs says how texts are decoded already");
    struct error x = {0};
    return decodes && decode_settle(&l->s->decode, &x) ? yaml_file_pass(&l->y, l->e, place, &x) : 0;
}

static int take_strategy(struct loading *l, const char *place, const json_t *v, struct decode *out)
{
    const char *spec = json_string_value(v);
    struct error x = {0};
    if (!spec)
        return yaml_file_error(&l->y, l->e, place,
                               "must be a decoding strategy (greedy, beam:4, ...) or a list of them");
    return decode_parse(out, spec, &x) ? yaml_file_pass(&l->y, l->e, place, &x) : 0;
}

/* Of a list the first counts here: suite_expand() makes a suite of each. */
int take_decode(struct loading *l, const char *place, const json_t *v)
{
    if (!json_is_array(v)) return take_strategy(l, place, v, &l->s->decode);
    size_t n = json_array_size(v);
    if (!n) return yaml_file_error(&l->y, l->e, place, "the list is empty");
    for (size_t i = n; i-- > 0;) {
        char at[64];
        snprintf(at, sizeof at, "%s[%zu]", place, i);
        int status = take_strategy(l, at, json_array_get(v, i), &l->s->decode);
        if (status) return status;
        for (size_t k = 0; k < i; k++) {
            struct decode other;
            status = take_strategy(l, place, json_array_get(v, k), &other);
            if (status) return status;
            if (strcmp(other.spec, l->s->decode.spec) == 0)
                return yaml_file_error(&l->y, l->e, at, "%s is there twice", other.spec);
        }
    }
    return 0;
}

int take_repeats(struct loading *l, const char *place, const json_t *v)
{
    int64_t n;
    int status = take_integer(l, place, v, 1, MOST_REPEATS, &n);
    if (!status) l->s->repeats = (int)n;
    return status;
}

static int take_pipeline(struct loading *l, const char *place, const json_t *v)
{
    struct suite *s = l->s;
    char inner[FILTER_PLACE], at[2 * FILTER_PLACE];
    struct error x = {0};
    int status = pipeline_open(&s->pipelines[s->n_pipelines++], v, inner, &x);
    snprintf(at, sizeof at, "%s%s%s", place, *inner ? "." : "", inner);
    if (status) return yaml_file_pass(&l->y, l->e, at, &x);
    for (size_t i = 0; i + 1 < s->n_pipelines; i++)
        if (strcmp(s->pipelines[i].name, s->pipelines[s->n_pipelines - 1].name) == 0)
            return yaml_file_error(&l->y, l->e, place, "\"%.60s\" is there twice", s->pipelines[i].name);
    return 0;
}

int take_filters(struct loading *l, const char *place, const json_t *v)
{
    size_t n = json_array_size(v);
    if (!n) return yaml_file_error(&l->y, l->e, place, "must be a list of { name: NAME, filter: [...] }");
    if (!(l->s->pipelines = memory_new(n, sizeof *l->s->pipelines, "filters", l->e))) return ERROR_IO;
    int status = 0;
    for (size_t i = 0; i < n && !status; i++) {
        char at[64];
        snprintf(at, sizeof at, "%s[%zu]", place, i);
        status = take_pipeline(l, at, json_array_get(v, i));
    }
    return status;
}

/* --- of documents that are scored whole --- */

int take_protocol(struct loading *l, const char *place, const json_t *v)
{
    const char *name = json_string_value(v);
    if (name && protocol_find(name, &l->s->protocol)) return 0;
    return yaml_file_error(&l->y, l->e, place, "must be %s", protocol_names());
}

int take_context(struct loading *l, const char *place, const json_t *v)
{
    int64_t n;
    int status = take_integer(l, place, v, windowing_least(l->s->protocol), MOST_TOKENS, &n);
    if (!status) l->s->context = (int)n;
    return status;
}

int take_stride(struct loading *l, const char *place, const json_t *v)
{
    int64_t n;
    if (l->s->protocol != PROTOCOL_STRIDED)
        return yaml_file_error(&l->y, l->e, place, "does not belong to protocol %s", protocol_name(l->s->protocol));
    int status = take_integer(l, place, v, 1, MOST_TOKENS, &n);
    if (!status) l->s->stride = (int)n;
    return status;
}
