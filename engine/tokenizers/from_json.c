/* tokenizer.json as Hugging Face's tokenizers write it: so far byte-level BPE with GPT-2's pre-split. Whatever else in
 * the file would change ids is refused by name. */
#include "engine/base/memory.h"
#include "engine/tokenizers/split.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong(struct error *e, const char *field, const json_t *value, const char *instead)
{
    char *words = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    error_set(e, ERROR_INPUT, "%s: %.120s%s; it must be %s", field, words ? words : "missing",
              words && strlen(words) > 120 ? "..." : "", instead);
    free(words);
    return e->code;
}

/* What a field may hold. */
enum allowed { ANYTHING, NOTHING, NOT_TRUE }; /* NOTHING: null or ""; NOT_TRUE: false or null */

struct field {
    const char *name;
    enum allowed allowed;
};

static bool allows(enum allowed allowed, const json_t *value)
{
    if (allowed == NOTHING) return json_is_null(value) || (json_is_string(value) && !json_string_length(value));
    return allowed == ANYTHING || json_is_false(value) || json_is_null(value);
}

/* Every field of the object must be one of `fields` and hold what that allows. */
static int check_fields(const char *where, const json_t *object, const struct field *fields, size_t n, struct error *e)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return wrong(e, where, object, "an object");
    json_object_foreach((json_t *)object, key, value)
    {
        char name[160];
        size_t i = 0;
        snprintf(name, sizeof name, "%.40s%s%.100s", where, *where ? "." : "", key);
        while (i < n && strcmp(fields[i].name, key) != 0) i++;
        if (i == n) return wrong(e, name, value, "absent: the field is unknown and could change ids");
        if (!allows(fields[i].allowed, value))
            return wrong(e, name, value,
                         fields[i].allowed == NOTHING ? "null: nothing else is supported"
                                                      : "false: nothing else is supported");
    }
    return 0;
}

#define CHECK_FIELDS(where, object, fields, e) check_fields(where, object, fields, sizeof fields / sizeof *fields, e)

static const struct field root_fields[] = {
    {"version", ANYTHING},        {"truncation", NOTHING}, {"padding", NOTHING},
    {"added_tokens", ANYTHING},   {"normalizer", NOTHING}, {"pre_tokenizer", ANYTHING},
    {"post_processor", ANYTHING}, {"decoder", ANYTHING},   {"model", ANYTHING},
};
/* No byte is unknown, as opening checks, so unk_token and fuse_unk change nothing. */
static const struct field model_fields[] = {
    {"type", ANYTHING},          {"dropout", NOTHING},        {"unk_token", ANYTHING},
    {"fuse_unk", ANYTHING},      {"byte_fallback", NOT_TRUE}, {"continuing_subword_prefix", NOTHING},
    {"vocab", ANYTHING},         {"merges", ANYTHING},        {"end_of_word_suffix", NOTHING},
    {"ignore_merges", NOT_TRUE},
};
/* There is no normalizer, so it is all the same whether a token is normalized. */
static const struct field added_fields[] = {
    {"id", ANYTHING},     {"content", ANYTHING}, {"special", ANYTHING},     {"normalized", ANYTHING},
    {"lstrip", NOT_TRUE}, {"rstrip", NOT_TRUE},  {"single_word", NOT_TRUE},
};
static const struct field byte_level_fields[] = {
    {"type", ANYTHING},
    {"add_prefix_space", ANYTHING},
    {"trim_offsets", ANYTHING},
    {"use_regex", ANYTHING},
};

static bool is_type(const json_t *object, const char *type)
{
    const char *is = json_string_value(json_object_get(object, "type"));
    return is && strcmp(is, type) == 0;
}

static struct gguf_string bytes_of(const json_t *string)
{
    return (struct gguf_string){json_string_value(string), json_string_length(string)};
}

/* --- pieces, by id --- */

struct piece {
    struct gguf_string text; /* bytes NULL: none yet */
    enum token_type type;
};

struct pieces {
    struct piece *at;
    size_t count, capacity; /* capacity: more than any id may be */
};

static int piece_id(const struct pieces *p, const char *field, const json_t *id, size_t *out, struct error *e)
{
    const json_int_t n = json_integer_value(id);
    if (!json_is_integer(id)) return wrong(e, field, id, "an integer");
    if (n < 0 || (unsigned long long)n >= p->capacity)
        return error_set(e, ERROR_INPUT, "%s: %lld is out of range; the file's %zu tokens need ids from 0 without gaps",
                         field, (long long)n, p->capacity);
    *out = (size_t)n;
    return 0;
}

static int read_vocabulary(struct pieces *p, const json_t *vocab, struct error *e)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)vocab, key, value)
    {
        char field[160];
        size_t id = 0;
        snprintf(field, sizeof field, "model.vocab[\"%.100s\"]", key);
        if (piece_id(p, field, value, &id, e)) return e->code;
        if (p->at[id].text.bytes)
            return error_set(e, ERROR_INPUT, "%s: id %zu is that of \"%.100s\" already", field, id,
                             p->at[id].text.bytes);
        p->at[id] = (struct piece){{key, strlen(key)}, TOKEN_NORMAL};
        p->count++;
    }
    return 0;
}

static int read_added(struct pieces *p, const json_t *vocab, size_t i, const json_t *token, struct error *e)
{
    char field[64];
    size_t id = 0;
    snprintf(field, sizeof field, "added_tokens[%zu]", i);
    if (CHECK_FIELDS(field, token, added_fields, e)) return e->code;
    const json_t *content = json_object_get(token, "content"), *special = json_object_get(token, "special");
    if (!json_is_string(content)) return wrong(e, strcat(field, ".content"), content, "a string");
    if (special && !json_is_boolean(special)) return wrong(e, strcat(field, ".special"), special, "true or false");
    if (piece_id(p, strcat(field, ".id"), json_object_get(token, "id"), &id, e)) return e->code;
    const struct gguf_string text = bytes_of(content);
    struct piece *piece = p->at + id;
    const json_t *other = json_object_get(vocab, text.bytes);
    if (other && json_integer_value(other) != (json_int_t)id)
        return error_set(e, ERROR_INPUT, "%s: %zu, but model.vocab gives \"%.100s\" the id %lld", field, id, text.bytes,
                         (long long)json_integer_value(other));
    if (piece->text.bytes && (piece->text.length != text.length || memcmp(piece->text.bytes, text.bytes, text.length)))
        return error_set(e, ERROR_INPUT, "%s: %zu, of \"%.100s\", is that of \"%.100s\" already", field, id, text.bytes,
                         piece->text.bytes);
    if (!piece->text.bytes) p->count++;
    *piece = (struct piece){text, json_is_true(special) ? TOKEN_CONTROL : TOKEN_USER_DEFINED};
    return 0;
}

static int add_pieces(struct vocabulary *v, const struct pieces *p, struct error *e)
{
    if (vocabulary_open(v, &bpe_kind, p->count, e)) return e->code;
    for (size_t id = 0; id < p->count; id++) {
        const struct piece *piece = p->at + id;
        if (!piece->text.bytes)
            return error_set(e, ERROR_INPUT, "model.vocab: %zu tokens, but none has the id %zu", p->count, id);
        vocabulary_add(v, piece->text.bytes, piece->text.length, piece->type);
    }
    return vocabulary_index(v, e);
}

static int read_pieces(struct vocabulary *v, const json_t *root, struct error *e)
{
    const json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    const json_t *added = json_object_get(root, "added_tokens");
    if (!json_is_object(vocab)) return wrong(e, "model.vocab", vocab, "an object");
    if (added && !json_is_array(added)) return wrong(e, "added_tokens", added, "an array");
    struct pieces p = {.capacity = json_object_size(vocab) + json_array_size(added)};
    p.at = memory_new(p.capacity, sizeof *p.at, "pieces", e);
    if (!p.at) return e->code;
    int status = read_vocabulary(&p, vocab, e);
    for (size_t i = 0; !status && i < json_array_size(added); i++)
        status = read_added(&p, vocab, i, json_array_get(added, i), e);
    if (!status) status = add_pieces(v, &p, e);
    free(p.at);
    return status;
}

static int read_merges(struct vocabulary *v, const json_t *merges, struct error *e)
{
    if (!json_is_array(merges)) return wrong(e, "model.merges", merges, "an array");
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
        char field[64];
        snprintf(field, sizeof field, "model.merges[%zu]", i);
        int status;
        if (json_is_string(merge))
            status = vocabulary_add_merge_words(v, bytes_of(merge), e);
        else if (json_array_size(merge) == 2 && json_is_string(left) && json_is_string(right))
            status = vocabulary_add_merge(v, bytes_of(left), bytes_of(right), e);
        else
            return wrong(e, field, merge, "\"LEFT RIGHT\" or [\"LEFT\", \"RIGHT\"]");
        if (status) return error_prefix(e, "model");
    }
    return 0;
}

/* --- what stands around the model --- */

static int read_pre_tokenizer(struct vocabulary *v, const json_t *pre, struct error *e)
{
    if (!is_type(pre, "ByteLevel")) return wrong(e, "pre_tokenizer", pre, "one of type ByteLevel");
    if (CHECK_FIELDS("pre_tokenizer", pre, byte_level_fields, e)) return e->code;
    const json_t *regex = json_object_get(pre, "use_regex"), *space = json_object_get(pre, "add_prefix_space");
    if (regex && !json_is_true(regex)) return wrong(e, "pre_tokenizer.use_regex", regex, "true");
    if (!json_is_boolean(space)) return wrong(e, "pre_tokenizer.add_prefix_space", space, "true or false");
    v->adds_space = json_is_true(space);
    v->split = "gpt-2";
    return 0;
}

static int find_id(const struct vocabulary *v, const char *field, const json_t *piece, int32_t *id, struct error *e)
{
    int64_t found;
    if (!json_is_string(piece) || !table_find(&v->ids, json_string_value(piece), json_string_length(piece), &found))
        return wrong(e, field, piece, "a token of the vocabulary");
    *id = (int32_t)found;
    return 0;
}

/* The one template that is taken: [BOS, text] or [text], for a single text. */
static int read_template(struct vocabulary *v, const json_t *post, struct error *e)
{
    const json_t *single = json_object_get(post, "single"), *first = json_array_get(single, 0);
    const size_t n = json_array_size(single);
    const json_t *bos = json_object_get(json_object_get(first, "SpecialToken"), "id");
    if (n < 1 || n > 2 || (n == 2 && !bos) || !json_object_get(json_array_get(single, n - 1), "Sequence"))
        return wrong(e, "post_processor.single", single, "the text alone, or one special token and the text");
    if (n == 1) return 0;
    if (find_id(v, "post_processor.single[0].SpecialToken.id", bos, &v->bos, e)) return e->code;
    const json_t *special = json_object_get(json_object_get(post, "special_tokens"), json_string_value(bos));
    const json_t *ids = json_object_get(special, "ids");
    if (json_array_size(ids) != 1 || json_integer_value(json_array_get(ids, 0)) != v->bos)
        return wrong(e, "post_processor.special_tokens", ids, "the id that the token has in the vocabulary");
    v->adds_bos = true;
    return 0;
}

static int read_around(struct vocabulary *v, const json_t *root, struct error *e)
{
    const json_t *post = json_object_get(root, "post_processor"), *decoder = json_object_get(root, "decoder");
    if (decoder && !json_is_null(decoder) && !is_type(decoder, "ByteLevel"))
        return wrong(e, "decoder", decoder, "null or one of type ByteLevel");
    if (read_pre_tokenizer(v, json_object_get(root, "pre_tokenizer"), e)) return e->code;
    if (!post || json_is_null(post) || is_type(post, "ByteLevel")) return 0;
    if (!is_type(post, "TemplateProcessing"))
        return wrong(e, "post_processor", post, "null or one of type ByteLevel or TemplateProcessing");
    return read_template(v, post, e);
}

int vocabulary_from_json(struct vocabulary *v, const json_t *root, struct error *e)
{
    *v = (struct vocabulary){0};
    if (!json_is_object(root)) return wrong(e, "tokenizer", root, "an object");
    const json_t *model = json_object_get(root, "model"), *type = json_object_get(model, "type");
    if (!json_is_object(model)) return wrong(e, "model", model, "an object");
    /* older files leave the type out, and then merges tell a BPE */
    const bool is_bpe = type ? is_type(model, "BPE") : json_is_array(json_object_get(model, "merges"));
    if (!is_bpe) return wrong(e, "model.type", type, "\"BPE\": nothing else is supported");
    if (CHECK_FIELDS("", root, root_fields, e) || CHECK_FIELDS("model", model, model_fields, e)) return e->code;
    if (read_pieces(v, root, e) || read_merges(v, json_object_get(model, "merges"), e) || read_around(v, root, e)) {
        vocabulary_close(v);
        return e->code;
    }
    return 0;
}

/* --- tokenizer_config.json --- */

/* The id of a token that is a string or an object with "content"; absent or null leaves *id as it is. */
static int read_named(const struct vocabulary *v, const json_t *config, const char *name, int32_t *id, struct error *e)
{
    const json_t *token = json_object_get(config, name);
    if (!token || json_is_null(token)) return 0;
    return find_id(v, name, json_is_object(token) ? json_object_get(token, "content") : token, id, e);
}

int vocabulary_configure(struct vocabulary *v, const json_t *config, struct error *e)
{
    if (!json_is_object(config)) return wrong(e, "tokenizer_config", config, "an object");
    const json_t *add_bos = json_object_get(config, "add_bos_token"),
                 *add_eos = json_object_get(config, "add_eos_token");
    const json_t *space = json_object_get(config, "add_prefix_space");
    const int32_t bos = v->bos;
    if (read_named(v, config, "bos_token", &v->bos, e) || read_named(v, config, "eos_token", &v->eos, e))
        return e->code;
    if (v->adds_bos && v->bos != bos)
        return wrong(e, "bos_token", json_object_get(config, "bos_token"), "the token that post_processor adds");
    if (add_bos && !json_is_boolean(add_bos)) return wrong(e, "add_bos_token", add_bos, "true or false");
    if (json_is_false(add_bos) && v->adds_bos)
        return wrong(e, "add_bos_token", add_bos, "true or absent, since post_processor adds BOS");
    if (add_eos && !allows(NOT_TRUE, add_eos))
        return wrong(e, "add_eos_token", add_eos, "false: nothing else is supported");
    if (space && json_is_true(space) != v->adds_space)
        return wrong(e, "add_prefix_space", space, "what pre_tokenizer.add_prefix_space is");
    v->adds_bos = v->adds_bos || json_is_true(add_bos);
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
            return wrong(e, tokens[i].name, value, "the id of a token");
        *tokens[i].id = (int32_t)id;
    }
    return 0;
}
