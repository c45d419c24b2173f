#include "engine/base/memory.h"
#include "engine/tokenizers/split.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct gguf_value *find(const struct gguf *g, const char *name)
{
    char key[96];
    snprintf(key, sizeof key, "tokenizer.ggml.%s", name);
    return gguf_find(g, key);
}

static int wrong(const struct gguf *g, const struct gguf_value *v, struct error *e, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int wrong(const struct gguf *g, const struct gguf_value *v, struct error *e, const char *format, ...)
{
    char words[700];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return error_set(e, ERROR_INPUT, "offset 0x%zx: %.*s%s", (size_t)(v->data - gguf_bytes(g)), shown(v->key),
                     v->key.bytes, words);
}

static int missing(const char *name, const char *why, struct error *e)
{
    return error_set(e, ERROR_INPUT, "tokenizer.ggml.%s: is missing; %s", name, why);
}

/* An array of `count` elements (any number where count is 0), of strings or of numbers that are read one by one. */
static int find_array(const struct gguf *g, const char *name, uint64_t count, const struct gguf_value **out,
                      struct error *e)
{
    const struct gguf_value *v = find(g, name);
    if (!v) return missing(name, "a vocabulary of this kind has it", e);
    if (v->type != GGUF_ARRAY) return wrong(g, v, e, ": type %s, but must be an array", gguf_type_name(v->type));
    if (count && v->count != count)
        return wrong(g, v, e, ": %llu elements, but there are %llu tokens", (unsigned long long)v->count,
                     (unsigned long long)count);
    *out = v;
    return 0;
}

static int find_strings(const struct gguf *g, const char *name, const struct gguf_value **v, struct gguf_string **out,
                        struct error *e)
{
    if (find_array(g, name, 0, v, e)) return e->code;
    if ((*v)->element != GGUF_STRING)
        return wrong(g, *v, e, ": an array of %s, but must be one of strings", gguf_type_name((*v)->element));
    *out = gguf_strings(g, *v, e);
    if (!*out) return e->code;
    return 0;
}

static int read_type(const struct gguf *g, const struct gguf_value *types, uint64_t i, enum token_type *type,
                     struct error *e)
{
    int64_t n;
    if (!gguf_element_i64(types, i, &n) || n < TOKEN_NORMAL || n > TOKEN_BYTE)
        return wrong(g, types, e, "[%llu]: not a token type; those are the integers 1 to 6", (unsigned long long)i);
    *type = (enum token_type)n;
    return 0;
}

static int read_pieces(struct vocabulary *v, const struct gguf *g, const struct tokenizer_kind *kind, struct error *e)
{
    const struct gguf_value *tokens = NULL, *types = NULL;
    struct gguf_string *pieces = NULL;
    if (find_strings(g, "tokens", &tokens, &pieces, e)) return e->code;
    int status = vocabulary_open(v, kind, tokens->count, e);
    if (!status) status = find_array(g, "token_type", tokens->count, &types, e);
    for (uint64_t i = 0; !status && i < tokens->count; i++) {
        enum token_type type = TOKEN_NORMAL;
        status = read_type(g, types, i, &type, e);
        if (!status) vocabulary_add(v, pieces[i].bytes, pieces[i].length, type);
    }
    free(pieces);
    return status ? status : vocabulary_index(v, e);
}

static int read_scores(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    const struct gguf_value *scores = NULL;
    if (!v->kind->has_scores) return 0;
    if (find_array(g, "scores", v->size, &scores, e)) return e->code;
    if (scores->element != GGUF_F32)
        return wrong(g, scores, e, ": an array of %s, but must be one of f32", gguf_type_name(scores->element));
    for (size_t i = 0; i < v->size; i++) {
        double score;
        if (!gguf_element_f64(scores, i, &score) || !isfinite(score))
            return wrong(g, scores, e, "[%zu]: a score must be finite", i);
        v->scores[i] = (float)score;
    }
    return 0;
}

static int read_merges(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    const struct gguf_value *value = NULL;
    struct gguf_string *merges = NULL;
    if (!v->kind->has_merges) return 0;
    if (find_strings(g, "merges", &value, &merges, e)) return e->code;
    int status = 0;
    for (uint64_t i = 0; !status && i < value->count; i++) status = vocabulary_add_merge_words(v, merges[i], e);
    free(merges);
    return status ? error_prefix(e, "offset 0x%zx: tokenizer.ggml", (size_t)(value->data - gguf_bytes(g))) : 0;
}

/* Files from before there was tokenizer.ggml.pre were split in whatever way their model asks for; that is known of
 * GPT-2 only. */
static int read_split(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    if (!v->kind->has_split) return 0;
    const struct gguf_value *value = find(g, "pre"), *architecture = gguf_find(g, "general.architecture");
    struct gguf_string name;
    if (!value && architecture && gguf_as_string(architecture, &name) && name.length == 4 &&
        memcmp(name.bytes, "gpt2", 4) == 0) {
        v->split = split_known_name("gpt-2", 5);
        return 0;
    }
    if (!value) return missing("pre", "it names the pre-split, such as \"gpt-2\"", e);
    if (!gguf_as_string(value, &name)) return wrong(g, value, e, ": must be a string");
    v->split = split_known_name(name.bytes, name.length);
    return v->split
               ? 0
               : wrong(g, value, e, ": pre-split \"%.*s\" is not supported; \"gpt-2\" is", shown(name), name.bytes);
}

/* 2^32 - 1 is how writers say that there is none. */
static int read_id(const struct vocabulary *v, const struct gguf *g, const char *name, int32_t *id, struct error *e)
{
    const struct gguf_value *value = find(g, name);
    uint64_t n;
    if (!value) return 0;
    if (!gguf_as_u64(value, &n)) return wrong(g, value, e, ": must be an integer that is not negative");
    if (n == UINT32_MAX) return 0;
    if (n >= v->size)
        return wrong(g, value, e, ": %llu is out of range; ids are 0 to %zu", (unsigned long long)n, v->size - 1);
    *id = (int32_t)n;
    return 0;
}

static int read_bool(const struct gguf *g, const char *name, bool *flag, struct error *e)
{
    const struct gguf_value *value = find(g, name);
    return !value || gguf_as_bool(value, flag) ? 0 : wrong(g, value, e, ": must be a bool");
}

static int read_settings(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    bool adds_eos = false, removes_spaces = false;
    v->adds_bos = v->kind->adds_bos;
    v->adds_space = v->kind->adds_space;
    if (read_id(v, g, "bos_token_id", &v->bos, e) || read_id(v, g, "eos_token_id", &v->eos, e) ||
        read_bool(g, "add_bos_token", &v->adds_bos, e) || read_bool(g, "add_space_prefix", &v->adds_space, e) ||
        read_bool(g, "add_eos_token", &adds_eos, e) || read_bool(g, "remove_extra_whitespaces", &removes_spaces, e))
        return e->code;
    if (adds_eos) return wrong(g, find(g, "add_eos_token"), e, ": true is not supported; false is");
    if (removes_spaces) return wrong(g, find(g, "remove_extra_whitespaces"), e, ": true is not supported; false is");
    return 0;
}

static int find_kind(const struct gguf *g, const struct tokenizer_kind **kind, struct error *e)
{
    const struct gguf_value *value = find(g, "model");
    struct gguf_string name;
    struct text known = {0};
    if (!value) return missing("model", "the file holds no vocabulary", e);
    if (!gguf_as_string(value, &name)) return wrong(g, value, e, ": must be a string");
    for (size_t i = 0; i < tokenizer_kind_count; i++) {
        *kind = tokenizer_kinds[i];
        if (strlen((*kind)->gguf_model) == name.length && memcmp((*kind)->gguf_model, name.bytes, name.length) == 0) {
            text_free(&known);
            return 0;
        }
        text_printf(&known, "%s\"%s\"", i ? ", " : "", (*kind)->gguf_model);
    }
    wrong(g, value, e, ": \"%.*s\" is not supported; known are %s", shown(name), name.bytes, text_c(&known));
    text_free(&known);
    return e->code;
}

int vocabulary_from_gguf(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    const struct tokenizer_kind *kind = NULL;
    *v = (struct vocabulary){0};
    if (find_kind(g, &kind, e) == 0 && read_pieces(v, g, kind, e) == 0 && read_scores(v, g, e) == 0 &&
        read_merges(v, g, e) == 0 && read_split(v, g, e) == 0 && read_settings(v, g, e) == 0)
        return 0;
    vocabulary_close(v);
    return e->code;
}
