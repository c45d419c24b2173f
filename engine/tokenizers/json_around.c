/* What stands around the model in a tokenizer.json: normalizer, pre-tokenizer, post-processor, decoder. */
#include "engine/tokenizers/json_fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 8 /* of sequences in sequences */ };

/* U+200C and U+200D, which Whitespace takes for word characters, and Split does not. */
#define JOINERS "\\x{200c}\\x{200d}"

/* --- normalizer --- */

static const struct field normalizer_fields[] = {
    {"type", FIELD_STRING},        {"normalizers", FIELD_ANY}, {"pattern", FIELD_ANY},
    {"content", FIELD_STRING},     {"prepend", FIELD_STRING},  {"strip_left", FIELD_BOOL},
    {"strip_right", FIELD_BOOL},   {"clean_text", FIELD_BOOL}, {"handle_chinese_chars", FIELD_BOOL},
    {"strip_accents", FIELD_BOOL}, {"lowercase", FIELD_BOOL},  {"precompiled_charsmap", FIELD_STRING},
};

static const struct {
    const char *name;
    enum normal_type type;
} plain_normalizers[] = {
    {"NFC", NORMAL_NFC},
    {"NFD", NORMAL_NFD},
    {"NFKC", NORMAL_NFKC},
    {"NFKD", NORMAL_NFKD},
    {"Lowercase", NORMAL_LOWERCASE},
    {"StripAccents", NORMAL_STRIP_ACCENTS},
};

static int decode_base64(const char *words, struct text *out, struct error *e)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int count = 0;
    for (; *words && *words != '='; words++) {
        const char *found = strchr(digits, *words);
        if (!found) return error_set(e, ERROR_INPUT, "\"%.1s\" is no digit of base64", words);
        bits = bits << 6 | (uint32_t)(found - digits);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        text_char(out, (char)(bits >> count & 0xFF));
    }
    return out->failed ? error_set(e, ERROR_IO, "out of memory for a map of characters") : 0;
}

static int add_charsmap(struct vocabulary *v, const json_t *map, struct error *e)
{
    struct text bytes = {0};
    if (!json_is_string(map)) return field_wrong(e, "normalizer.precompiled_charsmap", map, "a string");
    int status = decode_base64(json_string_value(map), &bytes, e);
    if (!status) status = normalizer_add(v->normalizer, NORMAL_CHARSMAP, 1, text_c(&bytes), bytes.length, "", 0, e);
    text_free(&bytes);
    return status ? error_prefix(e, "normalizer.precompiled_charsmap") : 0;
}

/* A pattern: {"String": ...} or {"Regex": ...}. */
static int read_pattern(const char *field, const json_t *pattern, bool *is_regex, struct gguf_string *words,
                        struct error *e)
{
    const json_t *string = json_object_get(pattern, "String"), *regex = json_object_get(pattern, "Regex");
    if (json_object_size(pattern) != 1 || !(json_is_string(string) || json_is_string(regex)))
        return field_wrong(e, field, pattern, "{\"String\": ...} or {\"Regex\": ...}");
    *is_regex = json_is_string(regex);
    *words = json_bytes(*is_regex ? regex : string);
    return 0;
}

static int add_replacement(struct vocabulary *v, const json_t *step, struct error *e)
{
    bool is_regex;
    struct gguf_string pattern;
    const json_t *content = json_object_get(step, "content");
    if (read_pattern("normalizer.pattern", json_object_get(step, "pattern"), &is_regex, &pattern, e)) return e->code;
    if (!json_is_string(content)) return field_wrong(e, "normalizer.content", content, "a string");
    if (normalizer_add(v->normalizer, is_regex ? NORMAL_REPLACE_REGEX : NORMAL_REPLACE, 0, pattern.bytes,
                       pattern.length, json_string_value(content), json_string_length(content), e))
        return error_prefix(e, "normalizer.pattern");
    return 0;
}

static int add_bert(struct vocabulary *v, const json_t *step, struct error *e)
{
    const bool lowercase = json_flag(step, "lowercase", true);
    const unsigned flags = (json_flag(step, "clean_text", true) ? (unsigned)BERT_CLEAN : 0) |
                           (json_flag(step, "handle_chinese_chars", true) ? (unsigned)BERT_CHINESE : 0) |
                           (json_flag(step, "strip_accents", lowercase) ? (unsigned)BERT_ACCENTS : 0) |
                           (lowercase ? (unsigned)BERT_LOWERCASE : 0);
    return normalizer_add(v->normalizer, NORMAL_BERT, flags, "", 0, "", 0, e);
}

static int add_normalizer(struct vocabulary *v, const json_t *step, int depth, struct error *e)
{
    if (FIELDS_CHECK("normalizer", step, normalizer_fields, e)) return e->code;
    for (size_t i = 0; i < sizeof plain_normalizers / sizeof *plain_normalizers; i++)
        if (json_is_type(step, plain_normalizers[i].name))
            return normalizer_add(v->normalizer, plain_normalizers[i].type, 0, "", 0, "", 0, e);
    if (json_is_type(step, "BertNormalizer")) return add_bert(v, step, e);
    if (json_is_type(step, "Replace")) return add_replacement(v, step, e);
    if (json_is_type(step, "Precompiled")) return add_charsmap(v, json_object_get(step, "precompiled_charsmap"), e);
    if (json_is_type(step, "Strip"))
        return normalizer_add(v->normalizer, NORMAL_STRIP,
                              json_flag(step, "strip_left", true) * 1u | json_flag(step, "strip_right", true) * 2u, "",
                              0, "", 0, e);
    if (json_is_type(step, "Prepend")) {
        const json_t *words = json_object_get(step, "prepend");
        if (!json_is_string(words)) return field_wrong(e, "normalizer.prepend", words, "a string");
        return normalizer_add(v->normalizer, NORMAL_PREPEND, 0, json_string_value(words), json_string_length(words), "",
                              0, e);
    }
    const json_t *all = json_object_get(step, "normalizers"), *one;
    if (!json_is_type(step, "Sequence") || !json_is_array(all) || depth == DEPTH_MAX)
        return field_wrong(e, "normalizer", step,
                           "of type NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, BertNormalizer, Replace, Prepend, "
                           "Strip, Precompiled or Sequence");
    size_t i;
    json_array_foreach((json_t *)all, i, one) if (add_normalizer(v, one, depth + 1, e)) return e->code;
    return 0;
}

int json_read_normalizer(struct vocabulary *v, const json_t *normalizer, struct error *e)
{
    if (!normalizer || json_is_null(normalizer)) return 0;
    return normalizer_open(&v->normalizer, e) ? (int)e->code : add_normalizer(v, normalizer, 0, e);
}

/* --- pre-tokenizer --- */

static const struct field pre_tokenizer_fields[] = {
    {"type", FIELD_STRING},
    {"pretokenizers", FIELD_ANY},
    {"pattern", FIELD_ANY},
    {"behavior", FIELD_STRING},
    {"invert", FIELD_BOOL},
    {"individual_digits", FIELD_BOOL},
    {"add_prefix_space", FIELD_BOOL},
    {"trim_offsets", FIELD_BOOL},
    {"use_regex", FIELD_BOOL},
    {"replacement", FIELD_STRING},
    {"str_rep", FIELD_STRING},
    {"prepend_scheme", FIELD_STRING},
    {"split", FIELD_BOOL},
    {"delimiter", FIELD_STRING},
};

/* What the parts before have said. */
struct pre_reading {
    struct vocabulary *v;
    bool mapped; /* after a ByteLevel */
};

static int add_stage(struct pre_reading *r, const char *pattern, enum split_behavior behavior, bool invert,
                     struct error *e)
{
    if (r->v->marks) return error_set(e, ERROR_INPUT, "pre_tokenizer: nothing may follow Metaspace");
    return vocabulary_add_stage(r->v, (struct split_stage){pattern, behavior, invert, r->mapped}, e);
}

/* Patterns as split_rules.c spells them: line ends by letters, what is not ASCII by its number. */
static void spell_pattern(struct gguf_string words, bool is_regex, struct text *out)
{
    for (size_t i = 0; i < words.length;) {
        uint32_t c;
        const size_t length = utf8_decode(words.bytes + i, words.length - i, &c);
        if (!length) return; /* jansson's strings are UTF-8 */
        if (c == '\r' || c == '\n' || c == '\t')
            text_add(out, c == '\r' ? "\\r" : c == '\n' ? "\\n" : "\\t");
        else if (c >= 0x80)
            text_printf(out, "\\x{%x}", (unsigned)c);
        else if (!is_regex && c < 0x80 && strchr("\\^$.[]|()?*+{}-", (int)c) && c)
            text_printf(out, "\\%c", (int)c);
        else
            text_char(out, (char)c);
        i += length;
    }
}

static const struct {
    const char *name;
    enum split_behavior behavior;
} behaviors[] = {{"Isolated", SPLIT_ISOLATED},
                 {"Removed", SPLIT_REMOVED},
                 {"Contiguous", SPLIT_CONTIGUOUS},
                 {"MergedWithPrevious", SPLIT_WITH_PREVIOUS},
                 {"MergedWithNext", SPLIT_WITH_NEXT}};

static int read_behavior(const json_t *part, enum split_behavior *behavior, struct error *e)
{
    const json_t *name = json_object_get(part, "behavior");
    *behavior = SPLIT_ISOLATED;
    for (size_t i = 0; name && i < sizeof behaviors / sizeof *behaviors; i++)
        if (strcmp(json_string_value(name), behaviors[i].name) == 0) {
            *behavior = behaviors[i].behavior;
            return 0;
        }
    return name ? field_wrong(e, "pre_tokenizer.behavior", name,
                              "Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext")
                : 0;
}

static int add_split(struct pre_reading *r, const json_t *part, struct error *e)
{
    bool is_regex;
    struct gguf_string words;
    enum split_behavior behavior;
    struct text pattern = {0};
    if (read_pattern("pre_tokenizer.pattern", json_object_get(part, "pattern"), &is_regex, &words, e) ||
        read_behavior(part, &behavior, e))
        return e->code;
    spell_pattern(words, is_regex, &pattern);
    int status = pattern.failed ? error_set(e, ERROR_IO, "out of memory for a pattern")
                 : !pattern.length
                     ? field_wrong(e, "pre_tokenizer.pattern", json_object_get(part, "pattern"), "not empty")
                     : add_stage(r, text_c(&pattern), behavior, json_flag(part, "invert", false), e);
    text_free(&pattern);
    return status;
}

static int add_byte_level(struct pre_reading *r, const json_t *part, struct error *e)
{
    const json_t *space = json_object_get(part, "add_prefix_space"), *pattern = json_object_get(part, "pattern");
    if (!json_is_boolean(space)) return field_wrong(e, "pre_tokenizer.add_prefix_space", space, "true or false");
    if (pattern)
        return field_wrong(e, "pre_tokenizer.pattern", pattern, "absent: the field is unknown and could change ids");
    if (r->mapped) return field_wrong(e, "pre_tokenizer", part, "the only part of type ByteLevel");
    if (json_is_true(space) && r->v->stage_count)
        return field_wrong(e, "pre_tokenizer.add_prefix_space", space, "false where another part comes before");
    r->v->adds_space = json_is_true(space);
    if (json_flag(part, "use_regex", true) && add_stage(r, SPLIT_GPT2, SPLIT_ISOLATED, false, e)) return e->code;
    r->mapped = true;
    return 0;
}

static int read_metaspace(struct pre_reading *r, const json_t *part, struct error *e)
{
    const json_t *mark = json_object_get(part, "replacement"), *scheme = json_object_get(part, "prepend_scheme");
    const char *when = scheme                                      ? json_string_value(scheme)
                       : json_flag(part, "add_prefix_space", true) ? "always"
                                                                   : "never";
    if (!json_is_string(mark) || strcmp(json_string_value(mark), SPACE_MARK) != 0)
        return field_wrong(e, "pre_tokenizer.replacement", mark, "U+2581");
    if (strcmp(when, "always") != 0 && strcmp(when, "first") != 0 && strcmp(when, "never") != 0)
        return field_wrong(e, "pre_tokenizer.prepend_scheme", scheme, "always, first or never");
    if (r->v->marks || r->mapped)
        return field_wrong(e, "pre_tokenizer", part, "without ByteLevel or a second Metaspace");
    r->v->marks = r->v->adds_missing_space = true;
    r->v->adds_space = strcmp(when, "never") != 0;
    r->v->adds_space_once = strcmp(when, "first") == 0;
    r->v->cuts_at_marks = json_flag(part, "split", true);
    return 0;
}

static int add_punctuation(struct pre_reading *r, const json_t *part, struct error *e)
{
    enum split_behavior behavior;
    if (read_behavior(part, &behavior, e)) return e->code;
    return add_stage(r, SPLIT_PUNCTUATION, behavior, false, e);
}

static int add_delimiter(struct pre_reading *r, const json_t *part, struct error *e)
{
    struct text pattern = {0};
    const json_t *delimiter = json_object_get(part, "delimiter");
    if (!json_string_length(delimiter)) return field_wrong(e, "pre_tokenizer.delimiter", delimiter, "a character");
    spell_pattern(json_bytes(delimiter), false, &pattern);
    const int status = add_stage(r, text_c(&pattern), SPLIT_REMOVED, false, e);
    text_free(&pattern);
    return status;
}

static int add_part(struct pre_reading *r, const json_t *part, int depth, struct error *e)
{
    if (FIELDS_CHECK("pre_tokenizer", part, pre_tokenizer_fields, e)) return e->code;
    if (json_is_type(part, "ByteLevel")) return add_byte_level(r, part, e);
    if (json_is_type(part, "Split")) return add_split(r, part, e);
    if (json_is_type(part, "Metaspace")) return read_metaspace(r, part, e);
    if (json_is_type(part, "Punctuation")) return add_punctuation(r, part, e);
    if (json_is_type(part, "CharDelimiterSplit")) return add_delimiter(r, part, e);
    if (json_is_type(part, "Digits"))
        return add_stage(r, json_flag(part, "individual_digits", false) ? "\\p{N}" : "\\p{N}+", SPLIT_ISOLATED, false,
                         e);
    if (json_is_type(part, "Whitespace"))
        return add_stage(r, "[\\w" JOINERS "]+|[^\\w\\s" JOINERS "]+", SPLIT_REMOVED, true, e);
    if (json_is_type(part, "WhitespaceSplit")) return add_stage(r, "\\s+", SPLIT_REMOVED, false, e);
    if (json_is_type(part, "BertPreTokenizer")) {
        const int status = add_stage(r, "\\s+", SPLIT_REMOVED, false, e);
        return status ? status : add_stage(r, SPLIT_PUNCTUATION, SPLIT_ISOLATED, false, e);
    }
    const json_t *all = json_object_get(part, "pretokenizers"), *one;
    if (!json_is_type(part, "Sequence") || !json_is_array(all) || depth == DEPTH_MAX)
        return field_wrong(e, "pre_tokenizer", part,
                           "of type ByteLevel, Split, Metaspace, Punctuation, Digits, Whitespace, WhitespaceSplit, "
                           "BertPreTokenizer, CharDelimiterSplit or Sequence");
    size_t i;
    json_array_foreach((json_t *)all, i, one) if (add_part(r, one, depth + 1, e)) return e->code;
    return 0;
}

int json_read_pre_tokenizer(struct vocabulary *v, const json_t *pre, struct error *e)
{
    struct pre_reading r = {v, false};
    if (pre && !json_is_null(pre) && add_part(&r, pre, 0, e)) return e->code;
    if (v->kind != &bpe_kind || v->characters) return 0;
    const struct split_rule *rule = split_rule_of(v->stages, v->stage_count, v->ignores_merges);
    v->split = rule ? rule->name : NULL;
    return 0;
}

bool json_has_byte_level(const json_t *pre, int depth)
{
    const json_t *all = json_object_get(pre, "pretokenizers"), *one;
    size_t i;
    if (json_is_type(pre, "ByteLevel")) return true;
    if (depth == DEPTH_MAX) return false;
    json_array_foreach((json_t *)all, i, one) if (json_has_byte_level(one, depth + 1)) return true;
    return false;
}

/* --- post-processor --- */

/* A token before the text is its BOS, one after it an EOS, which a prompt goes without. */
static int take_token(struct vocabulary *v, const char *field, const json_t *token, bool before, struct error *e)
{
    int32_t id = -1;
    if (json_find_id(v, field, token, &id, e)) return e->code;
    if (before) v->adds_bos = v->template_adds_bos = true;
    *(before ? &v->bos : &v->eos) = id;
    return 0;
}

static int read_template(struct vocabulary *v, const json_t *post, struct error *e)
{
    const json_t *single = json_object_get(post, "single"), *one;
    const json_t *tokens = json_object_get(post, "special_tokens");
    size_t i, texts = 0, behind = 0;
    json_array_foreach((json_t *)single, i, one)
    {
        const json_t *token = json_object_get(json_object_get(one, "SpecialToken"), "id");
        char field[64];
        snprintf(field, sizeof field, "post_processor.single[%zu].SpecialToken.id", i);
        texts += json_object_get(one, "Sequence") != NULL;
        if (json_object_get(one, "Sequence")) continue;
        if (!token || (texts ? behind++ : i)) break;
        if (take_token(v, field, token, !texts, e)) return e->code;
        const json_t *ids = json_object_get(json_object_get(tokens, json_string_value(token)), "ids");
        const int32_t id = texts ? v->eos : v->bos;
        if (json_array_size(ids) != 1 || json_integer_value(json_array_get(ids, 0)) != id)
            return field_wrong(e, "post_processor.special_tokens", ids, "the id that the token has in the vocabulary");
    }
    if (texts == 1 && i == json_array_size(single)) return 0;
    return field_wrong(e, "post_processor.single", single,
                       "the text, with one special token before it, behind it or both");
}

/* cls and sep: [TOKEN, ID] each. */
static int read_pair(struct vocabulary *v, const json_t *post, struct error *e)
{
    static const char *const names[] = {"cls", "sep"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *pair = json_object_get(post, names[i]);
        char field[64];
        snprintf(field, sizeof field, "post_processor.%s", names[i]);
        if (json_array_size(pair) != 2) return field_wrong(e, field, pair, "[TOKEN, ID]");
        if (take_token(v, field, json_array_get(pair, 0), i == 0, e)) return e->code;
        if (json_integer_value(json_array_get(pair, 1)) != (i ? v->eos : v->bos))
            return field_wrong(e, field, pair, "with the id that the token has in the vocabulary");
    }
    return 0;
}

static int read_processor(struct vocabulary *v, const json_t *post, int depth, struct error *e)
{
    const json_t *all = json_object_get(post, "processors"), *one;
    size_t i;
    if (json_is_type(post, "ByteLevel")) return 0; /* it moves offsets alone */
    if (json_is_type(post, "TemplateProcessing")) return read_template(v, post, e);
    if (json_is_type(post, "RobertaProcessing") || json_is_type(post, "BertProcessing")) return read_pair(v, post, e);
    if (!json_is_type(post, "Sequence") || !json_is_array(all) || depth == DEPTH_MAX)
        return field_wrong(
            e, "post_processor", post,
            "null or of type ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing or Sequence");
    json_array_foreach((json_t *)all, i, one) if (read_processor(v, one, depth + 1, e)) return e->code;
    return 0;
}

int json_read_post_processor(struct vocabulary *v, const json_t *post, struct error *e)
{
    return !post || json_is_null(post) ? 0 : read_processor(v, post, 0, e);
}

/* --- decoder: each kind has one way back, and the file must ask for that --- */

static bool decodes(const json_t *decoder, const char *const *types, int depth)
{
    const json_t *all = json_object_get(decoder, "decoders"), *one;
    size_t i;
    for (const char *const *type = types; *type; type++)
        if (json_is_type(decoder, *type)) return true;
    if (!json_is_type(decoder, "Sequence") || !json_is_array(all) || depth == DEPTH_MAX) return false;
    json_array_foreach((json_t *)all, i, one) if (!decodes(one, types, depth + 1)) return false;
    return true;
}

int json_check_decoder(const struct vocabulary *v, const json_t *decoder, struct error *e)
{
    static const char *const bytes[] = {"ByteLevel", NULL}, *const pieces[] = {"WordPiece", NULL};
    static const char *const marks[] = {"Metaspace", "Replace", "ByteFallback", "Fuse", "Strip", NULL};
    if (!decoder || json_is_null(decoder)) return 0;
    if (v->kind == &bpe_kind && !v->characters)
        return decodes(decoder, bytes, 0) ? 0 : field_wrong(e, "decoder", decoder, "null or of type ByteLevel");
    if (v->kind == &wordpiece_kind)
        return decodes(decoder, pieces, 0) ? 0 : field_wrong(e, "decoder", decoder, "null or of type WordPiece");
    return decodes(decoder, marks, 0)
               ? 0
               : field_wrong(e, "decoder", decoder, "null or of Metaspace, Replace, ByteFallback, Fuse and Strip");
}
