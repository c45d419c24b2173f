#include "engine/base/memory.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* tokenizer.ggml.NAME, or where the name begins with it, kerf's own key. */
static const struct gguf_value *find(const struct gguf *g, const char *name)
{
    char key[96];
    snprintf(key, sizeof key, "%s%s", strncmp(name, "kerf.", 5) == 0 ? "" : "tokenizer.ggml.", name);
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

/* Without the pieces at the end that only say that a row of the embedding has no token. */
static size_t count_tokens(const struct gguf_value *types, const struct gguf_string *pieces, size_t n)
{
    int64_t type;
    while (n && gguf_element_i64(types, n - 1, &type) && type == TOKEN_UNUSED &&
           is_padding(TOKEN_UNUSED, n - 1, pieces[n - 1]))
        n--;
    return n;
}

static int read_pieces(struct vocabulary *v, const struct gguf *g, const struct tokenizer_kind *kind, struct error *e)
{
    const struct gguf_value *tokens = NULL, *types = NULL;
    struct gguf_string *pieces = NULL;
    if (find_strings(g, "tokens", &tokens, &pieces, e)) return e->code;
    int status = find_array(g, "token_type", tokens->count, &types, e);
    const size_t n = status ? 0 : count_tokens(types, pieces, tokens->count);
    if (!status) status = vocabulary_open(v, kind, n, e);
    for (size_t i = 0; !status && i < n; i++) {
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
    if (find_array(g, "scores", find(g, "tokens")->count, &scores, e)) return e->code;
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

static int unknown_split(const struct gguf *g, const struct gguf_value *value, struct gguf_string name, struct error *e)
{
    const char *meant = NULL;
    for (size_t i = 0; !meant && split_rule_at(i); i++)
        if (name.length > 2 && strncmp(split_rule_at(i)->name, name.bytes, 3) == 0) meant = split_rule_at(i)->name;
    return wrong(g, value, e, ": pre-split \"%.*s\" is not known%s%s%s", shown(name), name.bytes, meant ? "; \"" : "",
                 meant ? meant : "", meant ? "\" is" : "; docs/tokenizers.md lists those that are");
}

/* Files from before there was tokenizer.ggml.pre were split in whatever way their model asks for; that is known of
 * GPT-2 only. */
static int read_split(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    if (!v->kind->has_split) return 0;
    const struct gguf_value *value = find(g, "pre"), *architecture = gguf_find(g, "general.architecture");
    struct gguf_string name = {"gpt-2", 5}, is;
    const bool known =
        architecture && gguf_as_string(architecture, &is) && is.length == 4 && memcmp(is.bytes, "gpt2", 4) == 0;
    if (!value && !known) return missing("pre", "it names the pre-split, such as \"gpt-2\"", e);
    if (value && !gguf_as_string(value, &name)) return wrong(g, value, e, ": must be a string");
    const struct split_rule *rule = split_rule_find(name.bytes, name.length);
    if (!rule) return unknown_split(g, value, name, e);
    v->split = rule->name;
    v->ignores_merges = rule->ignores_merges;
    v->adds_bos = rule->adds_bos;
    return 0;
}

static int read_bool(const struct gguf *g, const char *name, bool *flag, struct error *e)
{
    const struct gguf_value *value = find(g, name);
    return !value || gguf_as_bool(value, flag) ? 0 : wrong(g, value, e, ": must be a bool");
}

/* BERT's normalization and cutting: words at white space, each character of punctuation by itself. */
static int read_bert(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    bool lowercase = true, accents;
    if (read_bool(g, "normalizer.lowercase", &lowercase, e)) return e->code;
    accents = lowercase;
    if (read_bool(g, "normalizer.strip_accents", &accents, e)) return e->code;
    v->word_max = 100;
    const unsigned flags =
        BERT_CLEAN | BERT_CHINESE | (accents ? (unsigned)BERT_ACCENTS : 0) | (lowercase ? (unsigned)BERT_LOWERCASE : 0);
    int status = normalizer_open(&v->normalizer, e);
    if (!status) status = normalizer_add(v->normalizer, NORMAL_BERT, flags, "", 0, "", 0, e);
    return status ? status : vocabulary_add_bert_stages(v, e);
}

static int read_unigram(struct vocabulary *v, const struct gguf *g, bool joins_spaces, struct error *e)
{
    const struct gguf_value *map = find(g, "precompiled_charsmap");
    if (normalizer_open(&v->normalizer, e)) return e->code;
    v->marks = true;
    if (map && (map->type != GGUF_ARRAY || (map->element != GGUF_U8 && map->element != GGUF_I8)))
        return wrong(g, map, e, ": must be an array of u8");
    if (map && normalizer_add(v->normalizer, NORMAL_CHARSMAP, 0, (const char *)map->data, map->bytes, "", 0, e))
        return error_prefix(e, "offset 0x%zx: %.*s", (size_t)(map->data - gguf_bytes(g)), shown(map->key),
                            map->key.bytes);
    return joins_spaces ? normalizer_add(v->normalizer, NORMAL_SPACES, 0, "", 0, "", 0, e) : 0;
}

static int read_id(const struct vocabulary *v, const struct gguf *g, const char *name, int32_t *id, struct error *e)
{
    const struct gguf_value *value = find(g, name);
    uint64_t n;
    if (!value) return 0;
    if (!gguf_as_u64(value, &n)) return wrong(g, value, e, ": must be an integer that is not negative");
    if (n >= v->size)
        return wrong(g, value, e, ": %llu is out of range; ids are 0 to %zu", (unsigned long long)n, v->size - 1);
    *id = (int32_t)n;
    return 0;
}

/* What the tokens of a kind are where a file does not say: those of its first model. */
static void set_usual(struct vocabulary *v)
{
    const bool bert = v->kind == &wordpiece_kind, t5 = v->kind == &unigram_kind;
    const int32_t size = (int32_t)v->size;
    if (bert && v->bos < 0 && size > 101) v->bos = 101;
    if (bert && v->eos < 0 && size > 102) v->eos = 102;
    if (bert && v->unknown < 0 && size > 100) v->unknown = 100;
    if (t5 && v->eos < 0 && size > 1) v->eos = 1;
    if (t5 && v->unknown < 0 && size > 2) v->unknown = 2;
}

static int read_ids(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    if (v->kind == &wordpiece_kind &&
        (read_id(v, g, "cls_token_id", &v->bos, e) || read_id(v, g, "seperator_token_id", &v->eos, e)))
        return e->code;
    if (read_id(v, g, "bos_token_id", &v->bos, e) || read_id(v, g, "eos_token_id", &v->eos, e) ||
        read_id(v, g, "unknown_token_id", &v->unknown, e))
        return e->code;
    set_usual(v);
    return 0;
}

static int read_settings(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    bool adds_eos = false, joins_spaces = false;
    v->adds_bos = v->adds_bos || v->kind->adds_bos;
    v->adds_space = v->kind->adds_space;
    if (read_ids(v, g, e) || read_bool(g, "add_bos_token", &v->adds_bos, e) ||
        read_bool(g, "add_space_prefix", &v->adds_space, e) || read_bool(g, "add_eos_token", &adds_eos, e) ||
        read_bool(g, "remove_extra_whitespaces", &joins_spaces, e) ||
        read_bool(g, "kerf.tokenizer.space_once", &v->adds_space_once, e) ||
        read_bool(g, "kerf.tokenizer.missing_space", &v->adds_missing_space, e))
        return e->code;
    if (adds_eos && v->kind != &unigram_kind)
        return wrong(g, find(g, "add_eos_token"), e, ": true is not supported; false is");
    if (v->kind == &wordpiece_kind) return read_bert(v, g, e);
    if (v->kind == &unigram_kind) return read_unigram(v, g, joins_spaces, e);
    if (joins_spaces) return wrong(g, find(g, "remove_extra_whitespaces"), e, ": true is not supported; false is");
    return 0;
}

static int read_own_traits(struct vocabulary *v, const struct gguf *g, const struct gguf_value *value, struct error *e)
{
    if (value->type != GGUF_ARRAY || value->count != v->size) return wrong(g, value, e, ": must be one number a token");
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        int64_t traits;
        if (!gguf_element_i64(value, (uint64_t)id, &traits) || traits < 0 || traits > TOKEN_TRAITS)
            return wrong(g, value, e, "[%d]: traits are 0 to %d", id, TOKEN_TRAITS);
        if (traits && vocabulary_set_traits(v, id, (unsigned)traits, e)) return e->code;
    }
    return 0;
}

/* GGUF does not say which special tokens take the white space behind them; that Phi-3's do is known by its name. */
static int read_traits(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    const struct gguf_value *value = gguf_find(g, "general.name"), *own = gguf_find(g, "kerf.tokenizer.token_traits");
    struct gguf_string name;
    char lower[64] = "";
    if (own) return read_own_traits(v, g, own, e);
    if (v->kind != &sentencepiece_kind || !value || !gguf_as_string(value, &name)) return 0;
    for (size_t i = 0; i < name.length && i + 1 < sizeof lower; i++)
        lower[i] = (char)tolower((unsigned char)name.bytes[i]);
    if (!strstr(lower, "phi-3") && !strstr(lower, "phi3")) return 0;
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        static const char *const plain[] = {"<unk>", "<s>", "<|endoftext|>"};
        bool strips =
            v->types[id] == TOKEN_CONTROL || v->types[id] == TOKEN_USER_DEFINED || v->types[id] == TOKEN_UNKNOWN;
        for (size_t i = 0; i < 3; i++)
            if (strlen(plain[i]) == piece.length && memcmp(plain[i], piece.bytes, piece.length) == 0) strips = false;
        if (strips && vocabulary_set_traits(v, id, TOKEN_RSTRIP, e)) return e->code;
    }
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
        if (strlen((*kind)->gguf_model) == name.length && memcmp((*kind)->gguf_model, name.bytes, name.length) == 0)
            return 0;
    }
    for (size_t i = 0; i < tokenizer_kind_count; i++)
        text_printf(&known, "%s\"%s\"", i ? ", " : "", tokenizer_kinds[i]->gguf_model);
    wrong(g, value, e, ": \"%.*s\" is not supported; known are %s", shown(name), name.bytes, text_c(&known));
    text_free(&known);
    return e->code;
}

int vocabulary_from_gguf(struct vocabulary *v, const struct gguf *g, struct error *e)
{
    const struct tokenizer_kind *kind = NULL;
    *v = (struct vocabulary){0};
    if (find_kind(g, &kind, e) == 0 && read_pieces(v, g, kind, e) == 0 && read_scores(v, g, e) == 0 &&
        read_merges(v, g, e) == 0 && read_split(v, g, e) == 0 && read_settings(v, g, e) == 0 &&
        read_traits(v, g, e) == 0)
        return 0;
    vocabulary_close(v);
    return e->code;
}
