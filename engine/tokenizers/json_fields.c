#include "engine/tokenizers/json_fields.h"
#include "engine/base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int field_wrong(struct error *e, const char *field, const json_t *value, const char *instead)
{
    char *words = value ? json_dump_text(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII, NULL) : NULL;
    error_set(e, ERROR_INPUT, "%s: %.120s%s; it must be %s", field, words ? words : "missing",
              words && strlen(words) > 120 ? "..." : "", instead);
    free(words);
    return e->code;
}

static const char *refused(enum field_allowed allowed, const json_t *value)
{
    switch (allowed) {
    case FIELD_ANY:
        return NULL;
    case FIELD_NOTHING:
        return json_is_null(value) || (json_is_string(value) && !json_string_length(value))
                   ? NULL
                   : "null: nothing else is supported";
    case FIELD_NOT_TRUE:
        return json_is_false(value) || json_is_null(value) ? NULL : "false: nothing else is supported";
    case FIELD_BOOL:
        return json_is_boolean(value) || json_is_null(value) ? NULL : "true or false";
    case FIELD_STRING:
        return json_is_string(value) ? NULL : "a string";
    }
    return NULL;
}

int fields_check(const char *where, const json_t *object, const struct field *fields, size_t n, struct error *e)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return field_wrong(e, where, object, "an object");
    json_object_foreach((json_t *)object, key, value)
    {
        char name[160];
        size_t i = 0;
        snprintf(name, sizeof name, "%.40s%s%.100s", where, *where ? "." : "", key);
        while (i < n && strcmp(fields[i].name, key) != 0) i++;
        if (i == n) return field_wrong(e, name, value, "absent: the field is unknown and could change ids");
        const char *instead = refused(fields[i].allowed, value);
        if (instead) return field_wrong(e, name, value, instead);
    }
    return 0;
}

bool json_is_type(const json_t *object, const char *type)
{
    const char *is = json_string_value(json_object_get(object, "type"));
    return is && strcmp(is, type) == 0;
}

struct gguf_string json_bytes(const json_t *string)
{
    return (struct gguf_string){json_string_value(string), json_string_length(string)};
}

bool json_flag(const json_t *object, const char *name, bool otherwise)
{
    const json_t *value = json_object_get(object, name);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

unsigned token_traits(const json_t *token, bool normalized)
{
    return json_flag(token, "lstrip", false) * (unsigned)TOKEN_LSTRIP |
           json_flag(token, "rstrip", false) * (unsigned)TOKEN_RSTRIP |
           json_flag(token, "single_word", false) * (unsigned)TOKEN_SINGLE_WORD |
           json_flag(token, "normalized", normalized) * (unsigned)TOKEN_NORMALIZED;
}

int json_find_id(const struct vocabulary *v, const char *field, const json_t *piece, int32_t *id, struct error *e)
{
    const struct gguf_string wanted = json_bytes(piece);
    int64_t found;
    if (wanted.length && table_find(&v->ids, wanted.bytes, wanted.length, &found)) {
        *id = (int32_t)found;
        return 0;
    }
    /* a kind need not have special tokens in its table */
    for (int32_t i = 0; wanted.length && (size_t)i < v->size; i++) {
        const struct gguf_string is = vocabulary_piece(v, i);
        if (is.length != wanted.length || memcmp(is.bytes, wanted.bytes, is.length) != 0) continue;
        *id = i;
        return 0;
    }
    return field_wrong(e, field, piece, "a token of the vocabulary");
}
