/* Reading tokenizer.json: fields that are checked by name, so that nothing in the file that could change ids is passed
 * over.
 *
 *     static const struct field fields[] = {{"type", FIELD_ANY}, {"dropout", FIELD_NOTHING}};
 *     if (fields_check("model", object, fields, 2, e)) return e->code;
 *
 * Errors name the field, what it holds and what it must hold. */
#ifndef KERF_ENGINE_TOKENIZERS_JSON_FIELDS_H
#define KERF_ENGINE_TOKENIZERS_JSON_FIELDS_H

#include "engine/tokenizers/tokenizer_kinds.h"

/* What a field may hold; a field that is absent is fine. */
enum field_allowed {
    FIELD_ANY,
    FIELD_NOTHING,  /* null or "" */
    FIELD_NOT_TRUE, /* false or null */
    FIELD_BOOL,
    FIELD_STRING
};

struct field {
    const char *name;
    enum field_allowed allowed;
};

/* ERROR_INPUT: "FIELD: VALUE; it must be INSTEAD". */
int field_wrong(struct error *e, const char *field, const json_t *value, const char *instead);
/* Every field of the object must be one of `fields` and hold what that allows. */
int fields_check(const char *where, const json_t *object, const struct field *fields, size_t n, struct error *e);

#define FIELDS_CHECK(where, object, fields, e) fields_check(where, object, fields, sizeof(fields) / sizeof *(fields), e)

bool json_is_type(const json_t *object, const char *type); /* object.type is that word */
struct gguf_string json_bytes(const json_t *string);
bool json_flag(const json_t *object, const char *name, bool otherwise);
/* The traits of an added token; `normalized`: what it is where the token does not say. */
unsigned token_traits(const json_t *token, bool normalized);

/* The parts of the file that stand around the model; the vocabulary's pieces are there. */
int json_read_normalizer(struct vocabulary *v, const json_t *normalizer, struct error *e);
int json_read_pre_tokenizer(struct vocabulary *v, const json_t *pre, struct error *e);
int json_read_post_processor(struct vocabulary *v, const json_t *post, struct error *e);
int json_check_decoder(const struct vocabulary *v, const json_t *decoder, struct error *e);
/* Whether the pre-tokenizer, or a part of it, is a ByteLevel: then pieces are spelled in GPT-2's characters. */
bool json_has_byte_level(const json_t *pre, int depth);
/* The id of a token that a field names. */
int json_find_id(const struct vocabulary *v, const char *field, const json_t *piece, int32_t *id, struct error *e);

/* Makes a BPE over characters the SentencePiece that it was converted from, where it is one: merges in order of the
 * pieces that they make, all ways to make each, bytes as the fallback. */
int vocabulary_to_sentencepiece(struct vocabulary *v, struct error *e);

#endif
