/* The files beside a vocabulary, as Hugging Face's programs read them: added_tokens.json, tokenizer_config.json,
 * special_tokens_map.json and the model's config.json. */
#include "engine/base/memory.h"
#include "engine/tokenizers/json_fields.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- added tokens --- */

struct added {
    json_int_t id;
    struct gguf_string text;
    enum token_type type;
    unsigned traits;
    const json_t *value; /* for errors */
    int32_t found;       /* its id in the vocabulary, or -1 */
    char field[64];
};

static int by_id(const void *a, const void *b)
{
    const struct added *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static bool is_piece(const struct vocabulary *v, json_int_t id, struct gguf_string text)
{
    if (id < 0 || id >= (json_int_t)v->size) return false;
    const struct gguf_string piece = vocabulary_piece(v, (int32_t)id);
    return piece.length == text.length && memcmp(piece.bytes, text.bytes, text.length) == 0;
}

/* The id of a token of the vocabulary, the one that is said or another, or -1. WordPiece spells what goes on within a
 * word as if it were such a token. */
static int32_t find_token(const struct vocabulary *v, json_int_t said, struct gguf_string text)
{
    int64_t id;
    if (is_piece(v, said, text)) return (int32_t)said;
    if (!text.length || !table_find(&v->ids, text.bytes, text.length, &id)) return -1;
    return v->kind == &wordpiece_kind && v->types[id] == TOKEN_NORMAL && *text.bytes != '[' ? -1 : (int32_t)id;
}

/* Room for `count` pieces more, and for the traits of all where any piece has one. */
static int make_room(struct vocabulary *v, size_t count, bool traited, struct error *e)
{
    traited = traited || v->traits;
    const size_t size = v->size + count;
    size_t *starts = memory_new(size + 1, sizeof *starts, "pieces", e);
    uint8_t *types = starts ? memory_new(size, sizeof *types, "types of pieces", e) : NULL;
    uint8_t *traits = types && traited ? memory_new(size, 1, "traits of tokens", e) : NULL;
    float *scores = types && v->scores ? memory_new(size, sizeof *scores, "scores", e) : NULL;
    if (!types || (traited && !traits) || (v->scores && !scores)) {
        free(starts);
        free(types);
        free(traits);
        free(scores);
        return e->code;
    }
    memcpy(starts, v->starts, (v->size + 1) * sizeof *starts);
    memcpy(types, v->types, v->size);
    if (v->traits) memcpy(traits, v->traits, v->size);
    if (scores) memcpy(scores, v->scores, v->size * sizeof *scores);
    free(v->starts);
    free(v->types);
    free(v->traits);
    free(v->scores);
    v->starts = starts;
    v->types = types;
    v->traits = traits;
    v->scores = scores;
    return 0;
}

/* A token that is in the vocabulary becomes one that is looked for in texts; others follow the last id. */
static int take_token(struct vocabulary *v, const struct added *a, struct error *e)
{
    const bool there = a->found >= 0;
    if (!there && a->id < (json_int_t)v->size && v->kind == &wordpiece_kind) return 0; /* it is spelled otherwise */
    if (!there && a->id != (json_int_t)v->size)
        return field_wrong(e, a->field, a->value,
                           "a token of the vocabulary, or one with the id that follows the vocabulary's last");
    if (!there) vocabulary_add(v, a->text.bytes, a->text.length, a->type);
    const int32_t id = there ? a->found : (int32_t)a->id;
    if (v->types[id] != TOKEN_UNKNOWN) v->types[id] = (uint8_t)a->type;
    if (v->traits) v->traits[id] = (uint8_t)a->traits;
    return 0;
}

static int take_tokens(struct vocabulary *v, struct added *at, size_t count, struct error *e)
{
    bool traited = false;
    if (!count) return 0;
    qsort(at, count, sizeof *at, by_id);
    for (size_t i = 0; i < count; i++) {
        if (!normalizer_length(v->normalizer)) at[i].traits &= ~(unsigned)TOKEN_NORMALIZED;
        traited = traited || at[i].traits;
    }
    if (make_room(v, count, traited, e)) return e->code;
    /* all before the first is added: then pieces move, and v->ids holds where they stood */
    for (size_t i = 0; i < count; i++) at[i].found = find_token(v, at[i].id, at[i].text);
    for (size_t i = 0; i < count; i++)
        if (take_token(v, at + i, e)) return e->code;
    return vocabulary_index(v, e);
}

/* A decimal number, and nothing else. */
static bool read_key(const char *key, json_int_t *id)
{
    char *end;
    errno = 0;
    *id = strtoll(key, &end, 10);
    return *key >= '0' && *key <= '9' && !*end && !errno;
}

/* Tokens of tokenizer_config.json, {ID: {"content": ...}}: what they say counts, also of tokens that the vocabulary
 * has. */
static int read_decoder(struct vocabulary *v, const json_t *tokens, struct error *e)
{
    const char *key;
    json_t *value;
    size_t count = 0;
    if (tokens && !json_is_null(tokens) && !json_is_object(tokens))
        return field_wrong(e, "added_tokens_decoder", tokens, "an object");
    struct added *at = memory_new(json_object_size(tokens), sizeof *at, "added tokens", e);
    int status = at ? 0 : (int)e->code;
    json_object_foreach((json_t *)tokens, key, value)
    {
        if (status) break;
        struct added *a = at + count++;
        const json_t *content = json_object_get(value, "content");
        const bool special = json_flag(value, "special", false);
        snprintf(a->field, sizeof a->field, "added_tokens_decoder.%.30s", key);
        if (!json_string_length(content)) status = field_wrong(e, strcat(a->field, ".content"), content, "a string");
        if (!status && !read_key(key, &a->id)) status = field_wrong(e, a->field, value, "of a key that is an id");
        a->text = json_bytes(content);
        a->type = special ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
        a->traits = token_traits(value, !special);
        a->value = value;
    }
    if (!status) status = take_tokens(v, at, count, e);
    free(at);
    return status;
}

/* What Hugging Face's programs make of these: tokens that are no special ones, but for those that are named as such
 * elsewhere. */
int vocabulary_configure_added(struct vocabulary *v, const json_t *tokens, struct error *e)
{
    const char *key;
    json_t *value;
    size_t count = 0;
    if (!json_is_object(tokens)) return field_wrong(e, "added_tokens", tokens, "an object");
    struct added *at = memory_new(json_object_size(tokens), sizeof *at, "added tokens", e);
    int status = at ? 0 : (int)e->code;
    json_object_foreach((json_t *)tokens, key, value)
    {
        if (status) break;
        struct added *a = at + count++;
        *a = (struct added){
            json_integer_value(value), {key, strlen(key)}, TOKEN_USER_DEFINED, TOKEN_NORMALIZED, value, -1, ""};
        snprintf(a->field, sizeof a->field, "\"%.50s\"", key);
        if (!json_is_integer(value) || !a->text.length) status = field_wrong(e, a->field, value, "an id");
        /* one that the file before has as a token is as that says */
        if (is_piece(v, a->id, a->text) && v->types[a->id] != TOKEN_NORMAL) count--;
    }
    if (!status) status = take_tokens(v, at, count, e);
    free(at);
    return status;
}

/* --- special tokens by name --- */

static const json_t *content_of(const json_t *token)
{
    return json_is_object(token) ? json_object_get(token, "content") : token;
}

/* A token that is named as special is special. One that is not in the vocabulary has no id that a model could know. */
static void set_special(struct vocabulary *v, const json_t *token, bool *changed)
{
    const int32_t id = find_token(v, -1, json_bytes(content_of(token)));
    if (id < 0) return;
    if (v->types[id] != TOKEN_NORMAL && v->types[id] != TOKEN_USER_DEFINED) return;
    v->types[id] = TOKEN_CONTROL;
    if (v->traits) v->traits[id] &= (uint8_t)~TOKEN_NORMALIZED;
    *changed = true;
}

int vocabulary_configure_specials(struct vocabulary *v, const json_t *names, struct error *e)
{
    static const char *const attributes[] = {"bos_token", "eos_token", "unk_token",  "sep_token",
                                             "pad_token", "cls_token", "mask_token", "additional_special_tokens"};
    bool changed = false;
    if (!json_is_object(names)) return field_wrong(e, "special_tokens_map", names, "an object");
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        const json_t *token = json_object_get(names, attributes[i]), *one;
        size_t k;
        if (!json_is_array(token)) set_special(v, token, &changed);
        if (json_is_array(token)) json_array_foreach((json_t *)token, k, one) set_special(v, one, &changed);
    }
    return changed ? vocabulary_index(v, e) : 0;
}

/* --- tokenizer_config.json --- */

/* The id of a token that is a string or an object with "content"; absent or null leaves *id as it is. */
/* Absent, null and "", as of the first Llamas, say nothing. */
static int read_named(const struct vocabulary *v, const json_t *config, const char *name, int32_t *id, struct error *e)
{
    const json_t *token = json_object_get(config, name);
    const json_t *content = content_of(token);
    if (!token || json_is_null(token) || (json_is_string(content) && !json_string_length(content))) return 0;
    return json_find_id(v, name, content, id, e);
}

/* Classes that put what add_bos_token and add_eos_token say in the place of the file's template, and what they say where
 * the file does not. Where no class is named, the config's own word counts. */
static bool class_rules(const json_t *config, bool *adds_bos)
{
    static const struct {
        const char *name;
        bool adds_bos;
    } classes[] = {{"LlamaTokenizer", true},
                   {"CodeLlamaTokenizer", true},
                   {"GemmaTokenizer", true},
                   {"CohereTokenizer", true},
                   {"GPTNeoXTokenizer", false}};
    const char *name = json_string_value(json_object_get(config, "tokenizer_class"));
    if (!name) return json_is_boolean(json_object_get(config, "add_bos_token"));
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        const size_t n = strlen(classes[i].name);
        if (strncmp(name, classes[i].name, n) != 0 || (name[n] && strcmp(name + n, "Fast") != 0)) continue;
        *adds_bos = classes[i].adds_bos;
        return true;
    }
    return false;
}

/* Whether a prompt starts with BOS, and with which. */
static int read_bos(struct vocabulary *v, const json_t *config, struct error *e)
{
    const json_t *says = json_object_get(config, "add_bos_token");
    const bool given = says && !json_is_null(says), template_adds = v->template_adds_bos;
    const int32_t template_bos = v->bos;
    bool adds_bos = v->adds_bos;
    if (given && !json_is_boolean(says)) return field_wrong(e, "add_bos_token", says, "true or false");
    if (read_named(v, config, "bos_token", &v->bos, e)) return e->code;
    if (class_rules(config, &adds_bos)) {
        v->adds_bos = given ? json_is_true(says) : adds_bos && v->bos >= 0;
    } else if (template_adds) {
        v->bos = template_bos;
    } else if (given) {
        v->adds_bos = json_is_true(says);
    }
    return 0;
}

int vocabulary_configure(struct vocabulary *v, const json_t *config, struct error *e)
{
    if (!json_is_object(config)) return field_wrong(e, "tokenizer_config", config, "an object");
    const json_t *add_eos = json_object_get(config, "add_eos_token"),
                 *space = json_object_get(config, "add_prefix_space");
    if (read_decoder(v, json_object_get(config, "added_tokens_decoder"), e) ||
        vocabulary_configure_specials(v, config, e) || read_bos(v, config, e) ||
        read_named(v, config, "eos_token", &v->eos, e))
        return e->code;
    if (add_eos && !json_is_boolean(add_eos) && !json_is_null(add_eos))
        return field_wrong(e, "add_eos_token", add_eos, "true or false");
    if (json_is_true(add_eos) && v->eos < 0)
        return field_wrong(e, "add_eos_token", add_eos, "false where there is no EOS");
    const bool bytes = v->kind == &bpe_kind && !v->characters;
    if (bytes && json_is_boolean(space) && json_is_true(space) != v->adds_space)
        return field_wrong(e, "add_prefix_space", space, "what pre_tokenizer.add_prefix_space is");
    return 0;
}

/* --- config.json --- */

int vocabulary_configure_model(struct vocabulary *v, const json_t *config, struct error *e)
{
    const struct {
        const char *name;
        int32_t *id;
    } tokens[] = {{"bos_token_id", &v->bos}, {"eos_token_id", &v->eos}};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        const json_t *value = json_object_get(config, tokens[i].name);
        if (json_is_array(value)) value = json_array_get(value, 0);
        if (*tokens[i].id >= 0 || !value || json_is_null(value)) continue;
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id >= (json_int_t)v->size)
            return field_wrong(e, tokens[i].name, value, "the id of a token");
        *tokens[i].id = (int32_t)id;
    }
    return 0;
}
