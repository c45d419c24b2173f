/* tokenizer.json as Hugging Face's tokenizers write it: pieces, added tokens and merges here, what stands around them in
 * json_around.c. Whatever in the file would change ids and is not supported is refused by name. */
#include "engine/base/memory.h"
#include "engine/tokenizers/json_fields.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Hugging Face's programs truncate and pad only where they are asked to, whatever the file says. */
static const struct field root_fields[] = {
    {"version", FIELD_ANY},        {"truncation", FIELD_ANY}, {"padding", FIELD_ANY},
    {"added_tokens", FIELD_ANY},   {"normalizer", FIELD_ANY}, {"pre_tokenizer", FIELD_ANY},
    {"post_processor", FIELD_ANY}, {"decoder", FIELD_ANY},    {"model", FIELD_ANY},
};
static const struct field bpe_fields[] = {
    {"type", FIELD_ANY},           {"dropout", FIELD_NOTHING},    {"unk_token", FIELD_ANY},
    {"fuse_unk", FIELD_BOOL},      {"byte_fallback", FIELD_BOOL}, {"continuing_subword_prefix", FIELD_NOTHING},
    {"vocab", FIELD_ANY},          {"merges", FIELD_ANY},         {"end_of_word_suffix", FIELD_NOTHING},
    {"ignore_merges", FIELD_BOOL},
};
static const struct field wordpiece_fields[] = {
    {"type", FIELD_ANY},
    {"vocab", FIELD_ANY},
    {"unk_token", FIELD_STRING},
    {"continuing_subword_prefix", FIELD_STRING},
    {"max_input_chars_per_word", FIELD_ANY},
};
static const struct field unigram_fields[] = {
    {"type", FIELD_ANY},
    {"vocab", FIELD_ANY},
    {"unk_id", FIELD_ANY},
    {"byte_fallback", FIELD_BOOL},
};
static const struct field added_fields[] = {
    {"id", FIELD_ANY},      {"content", FIELD_ANY}, {"special", FIELD_ANY},      {"normalized", FIELD_BOOL},
    {"lstrip", FIELD_BOOL}, {"rstrip", FIELD_BOOL}, {"single_word", FIELD_BOOL},
};

/* --- pieces, by id --- */

struct piece {
    struct gguf_string text; /* bytes NULL: none yet */
    enum token_type type;
    unsigned traits;
    float score;
};

struct pieces {
    struct piece *at;
    size_t size, capacity; /* more than any id is, and than any may be */
    struct table ids;
};

static int piece_id(const struct pieces *p, const char *field, const json_t *id, size_t *out, struct error *e)
{
    const json_int_t n = json_integer_value(id);
    if (!json_is_integer(id)) return field_wrong(e, field, id, "an integer");
    if (n < 0 || (unsigned long long)n >= p->capacity)
        return error_set(e, ERROR_INPUT, "%s: %lld is out of range; so few tokens may have ids up to %zu", field,
                         (long long)n, p->capacity - 1);
    *out = (size_t)n;
    return 0;
}

static int put_piece(struct pieces *p, const char *field, size_t id, struct piece piece, struct error *e)
{
    if (p->at[id].text.bytes)
        return error_set(e, ERROR_INPUT, "%s: id %zu is that of \"%.100s\" already", field, id, p->at[id].text.bytes);
    p->at[id] = piece;
    if (p->size <= id) p->size = id + 1;
    return table_add(&p->ids, piece.text.bytes, piece.text.length, (int64_t)id, NULL, e);
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
        if (piece_id(p, field, value, &id, e) ||
            put_piece(p, field, id, (struct piece){{key, strlen(key)}, TOKEN_NORMAL, 0, 0}, e))
            return e->code;
    }
    return 0;
}

/* [[PIECE, SCORE], ...] in the order of ids. */
static int read_scored(struct pieces *p, const json_t *vocab, struct error *e)
{
    const json_t *row;
    size_t i;
    json_array_foreach((json_t *)vocab, i, row)
    {
        const json_t *text = json_array_get(row, 0), *score = json_array_get(row, 1);
        char field[64];
        snprintf(field, sizeof field, "model.vocab[%zu]", i);
        if (json_array_size(row) != 2 || !json_is_string(text) || !json_is_number(score) ||
            !isfinite((float)json_number_value(score)))
            return field_wrong(e, field, row, "[PIECE, SCORE]");
        const struct piece piece = {json_bytes(text), TOKEN_NORMAL, 0, (float)json_number_value(score)};
        if (put_piece(p, field, i, piece, e)) return e->code;
    }
    return 0;
}

static int read_added(struct pieces *p, size_t i, const json_t *token, struct error *e)
{
    char field[64];
    size_t id = 0;
    int64_t other;
    snprintf(field, sizeof field, "added_tokens[%zu]", i);
    if (FIELDS_CHECK(field, token, added_fields, e)) return e->code;
    const json_t *content = json_object_get(token, "content"), *special = json_object_get(token, "special");
    if (!json_is_string(content)) return field_wrong(e, strcat(field, ".content"), content, "a string");
    if (special && !json_is_boolean(special))
        return field_wrong(e, strcat(field, ".special"), special, "true or false");
    if (piece_id(p, strcat(field, ".id"), json_object_get(token, "id"), &id, e)) return e->code;
    const struct gguf_string text = json_bytes(content);
    struct piece *piece = p->at + id;
    if (table_find(&p->ids, text.bytes, text.length, &other) && (size_t)other != id)
        return error_set(e, ERROR_INPUT, "%s: %zu, but \"%.100s\" has the id %lld already", field, id, text.bytes,
                         (long long)other);
    if (piece->text.bytes && (piece->text.length != text.length || memcmp(piece->text.bytes, text.bytes, text.length)))
        return error_set(e, ERROR_INPUT, "%s: %zu, of \"%.100s\", is that of \"%.100s\" already", field, id, text.bytes,
                         piece->text.bytes);
    const struct piece added = {text, json_is_true(special) ? TOKEN_CONTROL : TOKEN_USER_DEFINED,
                                token_traits(token, false), piece->score};
    *piece = (struct piece){0};
    return put_piece(p, field, id, added, e);
}

/* A piece of WordPiece's as GGUF spells it: "##x" goes on, "x" begins a word, "[X]" stands for itself. */
static void add_wordpiece(struct vocabulary *v, struct gguf_string text, enum token_type type, struct text *spelled)
{
    const bool bracketed = text.length > 1 && text.bytes[0] == '[' && text.bytes[text.length - 1] == ']';
    text_clear(spelled);
    if (type == TOKEN_NORMAL && text.length > 2 && memcmp(text.bytes, "##", 2) == 0) {
        text_bytes(spelled, text.bytes + 2, text.length - 2);
    } else {
        if (type == TOKEN_NORMAL && !bracketed) text_add(spelled, SPACE_MARK);
        text_bytes(spelled, text.bytes, text.length);
    }
    v->bytes.failed = v->bytes.failed || spelled->failed;
    vocabulary_add(v, text_c(spelled), spelled->length, type);
}

/* An id of no token, as converters to GGUF call it. */
static void add_gap(struct vocabulary *v, size_t id)
{
    char bytes[PADDING_SIZE];
    const struct gguf_string piece = padding_piece(id, bytes);
    vocabulary_add(v, piece.bytes, piece.length, TOKEN_UNUSED);
}

static int add_pieces(struct vocabulary *v, const struct pieces *p, const struct tokenizer_kind *kind, struct error *e)
{
    struct text spelled = {0};
    if (vocabulary_open(v, kind, p->size, e)) return e->code;
    int status = 0;
    for (size_t id = 0; id < p->size; id++) {
        const struct piece *piece = p->at + id;
        if (!piece->text.bytes)
            add_gap(v, id);
        else if (kind == &wordpiece_kind)
            add_wordpiece(v, piece->text, piece->type, &spelled);
        else
            vocabulary_add(v, piece->text.bytes, piece->text.length, piece->type);
        if (v->scores) v->scores[id] = piece->score;
    }
    for (size_t id = 0; !status && id < p->size; id++)
        if (p->at[id].traits) status = vocabulary_set_traits(v, (int32_t)id, p->at[id].traits, e);
    text_free(&spelled);
    return status ? status : vocabulary_index(v, e);
}

static int read_pieces(struct vocabulary *v, const json_t *root, const struct tokenizer_kind *kind, struct error *e)
{
    const json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    const json_t *added = json_object_get(root, "added_tokens");
    const bool scored = kind == &unigram_kind;
    if (scored ? !json_is_array(vocab) : !json_is_object(vocab))
        return field_wrong(e, "model.vocab", vocab, scored ? "an array" : "an object");
    if (added && !json_is_array(added)) return field_wrong(e, "added_tokens", added, "an array");
    /* some leave gaps between the ids of their tokens */
    enum { GAPS_MAX = 1024 };
    struct pieces p = {.capacity =
                           json_object_size(vocab) + json_array_size(vocab) + json_array_size(added) + GAPS_MAX};
    p.at = memory_new(p.capacity, sizeof *p.at, "pieces", e);
    if (!p.at) return e->code;
    int status = scored ? read_scored(&p, vocab, e) : read_vocabulary(&p, vocab, e);
    for (size_t i = 0; !status && i < json_array_size(added); i++)
        status = read_added(&p, i, json_array_get(added, i), e);
    if (!status) status = add_pieces(v, &p, kind, e);
    table_free(&p.ids);
    free(p.at);
    return status;
}

static int read_merges(struct vocabulary *v, const json_t *merges, struct error *e)
{
    if (!json_is_array(merges)) return field_wrong(e, "model.merges", merges, "an array");
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
        char field[64];
        snprintf(field, sizeof field, "model.merges[%zu]", i);
        int status;
        if (json_is_string(merge))
            status = vocabulary_add_merge_words(v, json_bytes(merge), e);
        else if (json_array_size(merge) == 2 && json_is_string(left) && json_is_string(right))
            status = vocabulary_add_merge(v, json_bytes(left), json_bytes(right), e);
        else
            return field_wrong(e, field, merge, "\"LEFT RIGHT\" or [\"LEFT\", \"RIGHT\"]");
        if (status) return error_prefix(e, "model");
    }
    return 0;
}

/* --- models --- */

/* The token for what is unknown; a special one is of that type, as in GGUF. */
static int set_unknown(struct vocabulary *v, const char *field, const json_t *token, struct error *e)
{
    if (!token || json_is_null(token)) return 0;
    if (json_find_id(v, field, token, &v->unknown, e)) return e->code;
    if (v->types[v->unknown] == TOKEN_CONTROL) v->types[v->unknown] = TOKEN_UNKNOWN;
    return 0;
}

static int read_bpe(struct vocabulary *v, const json_t *root, struct error *e)
{
    const json_t *model = json_object_get(root, "model");
    if (FIELDS_CHECK("model", model, bpe_fields, e) || read_pieces(v, root, &bpe_kind, e)) return e->code;
    v->characters = !json_has_byte_level(json_object_get(root, "pre_tokenizer"), 0);
    v->ignores_merges = json_flag(model, "ignore_merges", false);
    v->byte_fallback = json_flag(model, "byte_fallback", false);
    if (v->byte_fallback && !v->characters)
        return field_wrong(e, "model.byte_fallback", json_object_get(model, "byte_fallback"), "false with ByteLevel");
    v->fuses_unknown = v->characters && json_flag(model, "fuse_unk", false);
    if (v->characters && set_unknown(v, "model.unk_token", json_object_get(model, "unk_token"), e)) return e->code;
    return read_merges(v, json_object_get(model, "merges"), e);
}

static int read_wordpiece(struct vocabulary *v, const json_t *root, struct error *e)
{
    const json_t *model = json_object_get(root, "model"), *most = json_object_get(model, "max_input_chars_per_word");
    const json_t *prefix = json_object_get(model, "continuing_subword_prefix");
    if (FIELDS_CHECK("model", model, wordpiece_fields, e)) return e->code;
    if (prefix && strcmp(json_string_value(prefix), "##") != 0)
        return field_wrong(e, "model.continuing_subword_prefix", prefix, "\"##\": nothing else is supported");
    if (most && (!json_is_integer(most) || json_integer_value(most) < 1 || json_integer_value(most) > PIECE_LENGTH_MAX))
        return field_wrong(e, "model.max_input_chars_per_word", most, "from 1 to 512");
    if (read_pieces(v, root, &wordpiece_kind, e)) return e->code;
    v->word_max = most ? (uint32_t)json_integer_value(most) : 100;
    return set_unknown(v, "model.unk_token", json_object_get(model, "unk_token"), e);
}

static int read_unigram(struct vocabulary *v, const json_t *root, struct error *e)
{
    const json_t *model = json_object_get(root, "model"), *unknown = json_object_get(model, "unk_id");
    if (FIELDS_CHECK("model", model, unigram_fields, e) || read_pieces(v, root, &unigram_kind, e)) return e->code;
    v->byte_fallback = json_flag(model, "byte_fallback", false);
    if (!unknown || json_is_null(unknown)) return 0;
    const json_int_t id = json_integer_value(unknown);
    if (!json_is_integer(unknown) || id < 0 || id >= (json_int_t)v->size)
        return field_wrong(e, "model.unk_id", unknown, "the id of a token");
    v->unknown = (int32_t)id;
    v->types[id] = TOKEN_UNKNOWN;
    return 0;
}

static int read_model(struct vocabulary *v, const json_t *root, struct error *e)
{
    const json_t *model = json_object_get(root, "model"), *type = json_object_get(model, "type");
    if (!json_is_object(model)) return field_wrong(e, "model", model, "an object");
    /* older files leave the type out, and then the other fields tell */
    if (type ? json_is_type(model, "BPE") : json_is_array(json_object_get(model, "merges")))
        return read_bpe(v, root, e);
    if (type ? json_is_type(model, "Unigram") : json_is_array(json_object_get(model, "vocab")))
        return read_unigram(v, root, e);
    if (type ? json_is_type(model, "WordPiece") : json_object_get(model, "max_input_chars_per_word") != NULL)
        return read_wordpiece(v, root, e);
    return field_wrong(e, "model.type", type, "\"BPE\", \"WordPiece\" or \"Unigram\": nothing else is supported");
}

/* Without a normalizer it is all the same whether a token is normalized. */
static void drop_normalized(struct vocabulary *v)
{
    bool any = false;
    for (size_t id = 0; v->traits && id < v->size; id++) {
        v->traits[id] &= (uint8_t)~TOKEN_NORMALIZED;
        any = any || v->traits[id];
    }
    if (any) return;
    free(v->traits);
    v->traits = NULL;
}

static int read_around(struct vocabulary *v, const json_t *root, struct error *e)
{
    if (json_read_normalizer(v, json_object_get(root, "normalizer"), e) ||
        json_read_pre_tokenizer(v, json_object_get(root, "pre_tokenizer"), e) ||
        json_read_post_processor(v, json_object_get(root, "post_processor"), e) ||
        json_check_decoder(v, json_object_get(root, "decoder"), e))
        return e->code;
    if (v->marks && v->kind == &wordpiece_kind)
        return field_wrong(e, "pre_tokenizer", json_object_get(root, "pre_tokenizer"),
                           "without Metaspace for WordPiece");
    if (v->kind == &bpe_kind && v->characters && vocabulary_to_sentencepiece(v, e)) return e->code;
    if (!normalizer_length(v->normalizer)) drop_normalized(v);
    return 0;
}

int vocabulary_from_json(struct vocabulary *v, const json_t *root, struct error *e)
{
    *v = (struct vocabulary){0};
    if (!json_is_object(root)) return field_wrong(e, "tokenizer", root, "an object");
    if (FIELDS_CHECK("", root, root_fields, e) || read_model(v, root, e) || read_around(v, root, e)) {
        vocabulary_close(v);
        return e->code;
    }
    return 0;
}
