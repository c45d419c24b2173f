/* Broken vocabularies, one field at a time: each is refused in one line that names the field. */
#include "engine/tokenizers/normalize.h"
#include "tests/tokenizers/small.h"

#include <math.h>

/* --- tokenizer.json --- */

struct json_case {
    const char *field;   /* "model.vocab", "added_tokens.0.id": where `value` goes; "" for all of the file */
    const char *value;   /* JSON, or NULL to take the field away */
    const char *message; /* what the error must say */
};

static const struct json_case json_cases[] = {
    {"", "[1]", "tokenizer: [1]; it must be an object"},
    {"model", NULL, "model: missing"},
    {"model", "3", "model: 3; it must be an object"},
    {"model.type", "\"WordLevel\"", "model.type: \"WordLevel\""},
    {"model.type", "\"WordPiece\"", "model.merges: ["},
    {"model.type", "\"Unigram\"", "model.merges: ["},
    {"model.dropout", "0.1", "model.dropout: 0.1"},
    {"model.byte_fallback", "true", "model.byte_fallback: true"},
    {"model.ignore_merges", "1", "model.ignore_merges: 1"},
    {"model.fuse_unk", "\"yes\"", "model.fuse_unk: \"yes\""},
    {"model.end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix: \"</w>\""},
    {"model.continuing_subword_prefix", "\"##\"", "model.continuing_subword_prefix: \"##\""},
    {"model.vocab", NULL, "model.vocab: missing"},
    {"model.vocab", "[1]", "model.vocab: [1]; it must be an object"},
    {"model.vocab", "{}", "merges[0]: left \"h\" is not in the vocabulary"},
    {"model.vocab.he", "\"256\"", "model.vocab[\"he\"]: \"256\"; it must be an integer"},
    {"model.vocab.he", "-1", "model.vocab[\"he\"]: -1 is out of range"},
    {"model.vocab.he", "1287", "model.vocab[\"he\"]: 1287 is out of range"},
    {"model.vocab.he", "9223372036854775807", "is out of range"},
    {"model.vocab.he", "12", "id 12 is that of"},
    {"model.vocab.hello", NULL, "merges[3]: what it makes, \"hello\" is not in the vocabulary"},
    {"model.vocab.<s>", "260", "id 260 is that of"},
    {"model.vocab.a", NULL, "the piece of byte 0x61, is missing"},
    {"model.merges", NULL, "model.merges: missing"},
    {"model.merges", "{}", "model.merges: {}"},
    {"model.merges.1", "7", "model.merges[1]: 7"},
    {"model.merges.1", "[\"l\"]", "model.merges[1]: [\"l\"]"},
    {"model.merges.1", "\"ll\"", "merges[1]: \"ll\" is not two pieces"},
    {"model.merges.1", "\"l l l\"", "merges[1]: \"l l l\" is not two pieces"},
    {"model.merges.1", "\"l \"", "merges[1]: an empty piece"},
    {"model.merges.1", "\"l zz\"", "merges[1]: right \"zz\" is not in the vocabulary"},
    {"model.merges.1", "\"l m\"", "merges[1]: what it makes, \"lm\" is not in the vocabulary"},
    {"model.merges.1", "\"h e\"", "merges[1]: the same pair is there before"},
    {"normalizer", "{\"type\":\"Nmt\"}", "normalizer: {\"type\":\"Nmt\"}; it must be of type NFC"},
    {"normalizer", "7", "normalizer: 7; it must be an object"},
    {"normalizer", "{\"type\":\"Replace\",\"pattern\":\"x\",\"content\":\"\"}", "normalizer.pattern: \"x\""},
    {"normalizer", "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"\"}",
     "normalizer.pattern: an empty string"},
    {"normalizer", "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}",
     "normalizer.pattern: pattern \"(\""},
    {"normalizer", "{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"}}", "normalizer.content: missing"},
    {"normalizer", "{\"type\":\"Prepend\"}", "normalizer.prepend: missing"},
    {"normalizer", "{\"type\":\"Precompiled\"}", "normalizer.precompiled_charsmap: missing"},
    {"normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"%\"}",
     "precompiled_charsmap: \"%\" is no digit"},
    {"normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}",
     "precompiled_charsmap: a map of characters of 3 bytes"},
    {"normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////////////w==\"}",
     "precompiled_charsmap: a map of characters whose trie"},
    {"normalizer", "{\"type\":\"NFC\",\"surprise\":1}", "normalizer.surprise: 1"},
    {"normalizer", "{\"type\":\"Sequence\"}", "normalizer: {\"type\":\"Sequence\"}"},
    {"surprise", "1", "surprise: 1; it must be absent"},
    {"pre_tokenizer.type", "\"UnicodeScripts\"", "pre_tokenizer: {"},
    {"pre_tokenizer.use_regex", "7", "pre_tokenizer.use_regex: 7"},
    {"pre_tokenizer", "{\"type\":\"Split\"}", "pre_tokenizer.pattern: missing"},
    {"pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a**\"},\"behavior\":\"Twice\"}",
     "pre_tokenizer.behavior: \"Twice\""},
    {"pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[\"},\"behavior\":\"Isolated\"}", "pattern \"[\""},
    {"pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"String\":\"\"}}", "pre_tokenizer.pattern: {"},
    {"pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"_\"}", "pre_tokenizer.replacement: \"_\""},
    {"pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\",\"prepend_scheme\":\"often\"}",
     "pre_tokenizer.prepend_scheme: \"often\""},
    {"pre_tokenizer", "{\"type\":\"Sequence\",\"pretokenizers\":[7]}", "pre_tokenizer: 7; it must be an object"},
    {"pre_tokenizer", "{\"type\":\"Sequence\"}", "pre_tokenizer: {"},
    {"pre_tokenizer.add_prefix_space", "\"yes\"", "pre_tokenizer.add_prefix_space: \"yes\""},
    {"pre_tokenizer.pattern", "\"x\"", "pre_tokenizer.pattern: \"x\""},
    {"decoder", "{\"type\":\"Metaspace\"}", "decoder: {\"type\":\"Metaspace\"}"},
    {"post_processor", "{\"type\":\"BertProcessing\"}", "post_processor.cls: missing"},
    {"post_processor", "{\"type\":\"RobertaProcessing\",\"cls\":[\"<s>\",3]}", "post_processor.cls: [\"<s>\",3]"},
    {"post_processor", "{\"type\":\"Other\"}", "post_processor: {\"type\":\"Other\"}"},
    {"post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[]}", "post_processor.single: []"},
    {"post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{}},{\"Sequence\":{}}]}",
     "post_processor.single: ["},
    {"post_processor",
     "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{}},{\"SpecialToken\":{\"id\":\"<s>\"}},"
     "{\"SpecialToken\":{\"id\":\"<s>\"}}],\"special_tokens\":{\"<s>\":{\"ids\":[261]}}}",
     "post_processor.single: ["},
    {"post_processor",
     "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<x>\"}},{\"Sequence\":{}}]}",
     "SpecialToken.id: \"<x>\""},
    {"post_processor",
     "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{}}]}",
     "post_processor.special_tokens: missing"},
    {"added_tokens", "{}", "added_tokens: {}"},
    {"added_tokens.0", "\"<s>\"", "added_tokens[0]: \"<s>\"; it must be an object"},
    {"added_tokens.0.lstrip", "7", "added_tokens[0].lstrip: 7"},
    {"added_tokens.0.rstrip", "\"x\"", "added_tokens[0].rstrip: \"x\""},
    {"added_tokens.0.single_word", "[]", "added_tokens[0].single_word: []"},
    {"added_tokens.0.special", "1", "added_tokens[0].special: 1"},
    {"added_tokens.0.content", "4", "added_tokens[0].content: 4"},
    {"added_tokens.0.id", NULL, "added_tokens[0].id: missing"},
    {"added_tokens.0.id", "3.5", "added_tokens[0].id: 3.5"},
    {"added_tokens.0.id", "5", "added_tokens[0].id: 5, of \"<s>\", is that of"},
    {"added_tokens.0.content", "\"he\"", "added_tokens[0].id: 261, but \"he\" has the id 256 already"},
    {"added_tokens.0.content", "\"<tool>\"", "added_tokens[1].id: 262, but \"<tool>\" has the id 261 already"},
};

/* Puts a copy of `value`, or nothing, where `field` says. */
static void edit(json_t *at, const char *field, json_t *value)
{
    char key[64];
    const size_t n = strcspn(field, ".");
    snprintf(key, sizeof key, "%.*s", (int)n, field);
    if (field[n]) {
        json_t *next = json_is_array(at) ? json_array_get(at, (size_t)atoi(key)) : json_object_get(at, key);
        assert_non_null(next);
        edit(next, field + n + 1, value);
    } else if (json_is_array(at)) {
        assert_int_equal(json_array_set(at, (size_t)atoi(key), value), 0);
    } else if (value) {
        assert_int_equal(json_object_set(at, key, value), 0);
    } else {
        assert_int_equal(json_object_del(at, key), 0);
    }
}

static void broken_json(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof json_cases / sizeof *json_cases; i++) {
        const struct json_case *c = json_cases + i;
        struct error e;
        struct tokenizer *t;
        json_t *root = small_json(), *value = c->value ? json_loads(c->value, JSON_DECODE_ANY, NULL) : NULL;
        if (*c->field) {
            edit(root, c->field, value);
        } else {
            json_decref(root);
            root = json_incref(value);
        }
        json_decref(value);
        assert_error(small_open(&t, folder, root, &e), &e, ERROR_INPUT, c->message);
        assert_non_null(strstr(e.text, "tokenizer.json: "));
    }
    folder_remove(folder);
}

static void broken_config(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", "tokenizer_config: []"},
        {"{\"bos_token\": \"<none>\"}", "bos_token: \"<none>\""},
        {"{\"eos_token\": 7}", "eos_token: 7"},
        {"{\"eos_token\": {\"text\": \"<s>\"}}", "eos_token: missing"},
        {"{\"add_bos_token\": 1}", "add_bos_token: 1"},
        {"{\"add_bos_token\": true}", "bos: a BOS is to be added"},
        {"{\"add_eos_token\": true}", "add_eos_token: true"},
        {"{\"add_prefix_space\": true}", "add_prefix_space: true"},
        {"{\"bos_token\"", "line 1"},
        {"{\"added_tokens_decoder\": {\"262\": {}}}", "added_tokens_decoder.262.content: missing"},
        {"{\"added_tokens_decoder\": {\"264\": {\"content\": \"<x>\"}}}",
         "added_tokens_decoder.264: {\"content\":\"<x>\"}; it must be a token of the vocabulary"},
        {"{\"added_tokens_decoder\": {\"3\": {\"content\": \"<x>\"}}}", "added_tokens_decoder.3: {"},
        {"{\"added_tokens_decoder\": {\"-1\": {\"content\": \"<x>\"}}}", "added_tokens_decoder.-1: {"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        struct tokenizer *t;
        free(file_put(folder, "tokenizer_config.json", cases[i][0], strlen(cases[i][0])));
        assert_error(small_open(&t, folder, small_json(), &e), &e, ERROR_INPUT, cases[i][1]);
    }
    free(file_put(folder, "tokenizer_config.json", "{}", 2));
    static const char *const added[][2] = {{"{\"<tool>\": 262, \"<x>\": 264}", "added_tokens.json: \"<x>\": 264"},
                                           {"{\"<x>\": \"263\"}", "added_tokens.json: \"<x>\": \"263\""},
                                           {"[]", "added_tokens.json: added_tokens: []"}};
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        struct error e;
        struct tokenizer *t;
        free(file_put(folder, "added_tokens.json", added[i][0], strlen(added[i][0])));
        assert_error(small_open(&t, folder, small_json(), &e), &e, ERROR_INPUT, added[i][1]);
    }
    folder_remove(folder);
}

static void no_tokenizer(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    char *folder = folder_temporary();
    assert_error(tokenizer_open(&t, folder, &e), &e, ERROR_INPUT, "holds no tokenizer.json");
    assert_int_not_equal(tokenizer_open(&t, "/nowhere/at/all.gguf", &e), 0);
    static const char *const contents[] = {"", "GGUF", "not JSON", "{\"model\": ", "\xFF\xFE"};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        char *path = file_put(folder, "file", contents[i], strlen(contents[i]));
        assert_error(tokenizer_open(&t, path, &e), &e, ERROR_INPUT, "file: ");
        free(path);
    }
    folder_remove(folder);
}

/* --- GGUF --- */

struct gguf_case {
    const char *key; /* without "tokenizer.ggml.": what is left out before `put` writes its own */
    void (*put)(struct gguf_writer *w, const char *key, const struct gguf_value *old);
    const char *message;
};

static void put_nothing(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    (void)w, (void)key, (void)old;
}

static void put_number(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    (void)old;
    gguf_write_u32(w, key, 263 + 400);
}

static void put_none(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    (void)old;
    gguf_write_u32(w, key, UINT32_MAX);
}

static void put_true(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    (void)old;
    gguf_write_bool(w, key, true);
}

static void put_word(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    (void)old;
    gguf_write_string(w, key, "no-such-word");
}

static void put_integers(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    int32_t numbers[512];
    assert_true(old->count <= 512);
    for (size_t i = 0; i < old->count; i++) numbers[i] = 7;
    gguf_write_i32s(w, key, numbers, old->count);
}

static void put_not_finite(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    float numbers[512] = {0};
    assert_true(old->count <= 512);
    numbers[2] = NAN;
    gguf_write_f32s(w, key, numbers, old->count);
}

static void put_bytes(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    const struct gguf_value v = {{key, strlen(key)}, GGUF_ARRAY, GGUF_I8, old->count, old->data, (size_t)old->count};
    gguf_write_value(w, &v);
}

/* Zeros, one fewer than there were elements. */
static void put_short(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    int32_t numbers[512] = {1};
    float reals[512] = {0};
    if (old->element == GGUF_F32)
        gguf_write_f32s(w, key, reals, old->count - 1);
    else
        gguf_write_i32s(w, key, numbers, old->count - 1);
}

/* Writes the strings of `old` with number i as `s`. */
static void put_changed(struct gguf_writer *w, const char *key, const struct gguf_value *old, size_t i, const char *s,
                        size_t n)
{
    struct gguf_string all[512];
    const uint8_t *p = old->data;
    assert_true(old->count <= 512 && i < old->count);
    for (size_t k = 0; k < old->count; k++) {
        uint64_t length;
        memcpy(&length, p, 8);
        all[k] = (struct gguf_string){(const char *)p + 8, (size_t)length};
        p += 8 + length;
    }
    all[i] = (struct gguf_string){s, n};
    gguf_write_strings(w, key, all, old->count);
}

static void put_no_strings(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    (void)old;
    gguf_write_strings(w, key, NULL, 0);
}

#define CHANGED(name, i, s)                                                                                            \
    static void name(struct gguf_writer *w, const char *key, const struct gguf_value *old)                             \
    {                                                                                                                  \
        put_changed(w, key, old, i, s, sizeof s - 1);                                                                  \
    }
CHANGED(put_long_byte, 'b', "bbb")
CHANGED(put_one_word, 2, "hell")
CHANGED(put_three_words, 2, "he l l")
CHANGED(put_half, 2, "he ")
CHANGED(put_unknown, 2, "he zz")
CHANGED(put_same_again, 2, "h e")
CHANGED(put_same_byte, 5, "<0x01>")
CHANGED(put_no_byte, 5, "<0xZZ>")
CHANGED(put_no_mark, 259, "m")
CHANGED(put_not_utf8, 260, "a\xFF")
CHANGED(put_empty, 260, "")

static void put_long(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    char piece[2000];
    memset(piece, 'x', sizeof piece);
    put_changed(w, key, old, 260, piece, sizeof piece);
}

static void put_long_special(struct gguf_writer *w, const char *key, const struct gguf_value *old)
{
    char piece[2000];
    memset(piece, 'x', sizeof piece);
    put_changed(w, key, old, 261, piece, sizeof piece);
}

static const struct gguf_case bpe_cases[] = {
    {"model", put_nothing, "tokenizer.ggml.model: is missing"},
    {"model", put_number, "tokenizer.ggml.model: must be a string"},
    {"model", put_word, "tokenizer.ggml.model: \"no-such-word\" is not supported; known are \"gpt2\", \"llama\""},
    {"pre", put_nothing, "tokenizer.ggml.pre: is missing"},
    {"pre", put_number, "tokenizer.ggml.pre: must be a string"},
    {"pre", put_word, "tokenizer.ggml.pre: pre-split \"no-such-word\" is not known"},
    {"tokens", put_nothing, "tokenizer.ggml.tokens: is missing"},
    {"tokens", put_word, "tokenizer.ggml.tokens: type "},
    {"tokens", put_integers, "tokenizer.ggml.tokens: an array of "},
    {"tokens", put_no_strings, "tokens: 0 pieces"},
    {"tokens", put_long_byte, "tokens: \"b\", the piece of byte 0x62, is missing"},
    {"tokens", put_long_special, "tokens[261]: a special token of 2000 bytes"},
    {"token_type", put_nothing, "tokenizer.ggml.token_type: is missing"},
    {"token_type", put_word, "tokenizer.ggml.token_type: type "},
    {"token_type", put_integers, "tokenizer.ggml.token_type[0]: not a token type"},
    {"token_type", put_not_finite, "tokenizer.ggml.token_type[0]: not a token type"},
    {"token_type", put_short, "tokenizer.ggml.token_type: 262 elements, but there are 263 tokens"},
    {"merges", put_nothing, "tokenizer.ggml.merges: is missing"},
    {"merges", put_integers, "tokenizer.ggml.merges: an array of "},
    {"merges", put_one_word, "merges[2]: \"hell\" is not two pieces"},
    {"merges", put_three_words, "merges[2]: \"he l l\" is not two pieces"},
    {"merges", put_half, "merges[2]: an empty piece"},
    {"merges", put_unknown, "merges[2]: right \"zz\" is not in the vocabulary"},
    {"merges", put_same_again, "merges[2]: the same pair is there before"},
    {"bos_token_id", put_number, "tokenizer.ggml.bos_token_id: 663 is out of range"},
    {"eos_token_id", put_word, "tokenizer.ggml.eos_token_id: must be an integer"},
    {"add_bos_token", put_number, "tokenizer.ggml.add_bos_token: must be a bool"},
    {"add_bos_token", put_true, "bos: a BOS is to be added, but there is none"},
    {"add_eos_token", put_true, "tokenizer.ggml.add_eos_token: true is not supported"},
    {"add_space_prefix", put_word, "tokenizer.ggml.add_space_prefix: must be a bool"},
};

static const struct gguf_case sentencepiece_cases[] = {
    {"scores", put_nothing, "tokenizer.ggml.scores: is missing"},
    {"scores", put_bytes, "tokenizer.ggml.scores: an array of i8, but must be one of f32"},
    {"scores", put_integers, "tokenizer.ggml.scores: an array of i32"},
    {"scores", put_short, "tokenizer.ggml.scores: 260 elements, but there are 261 tokens"},
    {"scores", put_not_finite, "tokenizer.ggml.scores[2]: a score must be finite"},
    {"tokens", put_same_byte, "tokens: the byte piece <0x02> is missing"},
    {"tokens", put_no_byte, "tokens[5]: a byte piece is spelled <0x00> to <0xFF>, not \"<0xZZ>\""},
    {"tokens", put_no_mark, "U+2581, the piece of the space, is missing"},
    {"tokens", put_not_utf8, "tokens[260]: \"a\xFF\" is not UTF-8"},
    {"tokens", put_empty, "tokens[260]: a piece of 0 bytes"},
    {"tokens", put_long, "tokens[260]: a piece of 2000 bytes"},
    {"bos_token_id", put_nothing, "bos: a BOS is to be added, but there is none"},
    {"bos_token_id", put_none, "tokenizer.ggml.bos_token_id: 4294967295 is out of range"},
    {"eos_token_id", put_none, "tokenizer.ggml.eos_token_id: 4294967295 is out of range"},
    {"eos_token_id", put_number, "tokenizer.ggml.eos_token_id: 663 is out of range"},
    {"remove_extra_whitespaces", put_true, "tokenizer.ggml.remove_extra_whitespaces: true is not supported"},
};

/* Writes what `whole` holds to `path`, with one key the way the case wants it. */
static void write_case(const char *path, const char *whole, const struct gguf_case *c)
{
    struct error e;
    struct gguf *g;
    struct gguf_writer *w;
    char key[64];
    snprintf(key, sizeof key, "tokenizer.ggml.%s", c->key);
    assert_ok(gguf_open(&g, whole, &e), &e);
    assert_ok(gguf_writer_open(&w, path, &e), &e);
    for (size_t i = 0; i < gguf_value_count(g); i++) {
        const struct gguf_value *v = gguf_value(g, i);
        if (v->key.length != strlen(key) || memcmp(v->key.bytes, key, v->key.length) != 0) gguf_write_value(w, v);
    }
    c->put(w, key, gguf_find(g, key));
    assert_ok(gguf_writer_commit(&w, &e), &e);
    gguf_close(g);
}

static void assert_cases(char *folder, const char *whole, const struct gguf_case *cases, size_t n)
{
    char *path = file_put(folder, "case.gguf", "", 0);
    for (size_t i = 0; i < n; i++) {
        struct error e;
        struct tokenizer *t;
        write_case(path, whole, cases + i);
        assert_error(tokenizer_open(&t, path, &e), &e, ERROR_INPUT, cases[i].message);
        assert_non_null(strstr(e.text, "case.gguf: "));
    }
    free(path);
}

static void broken_bpe(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    struct gguf_writer *w;
    char *folder = folder_temporary();
    char *whole = file_put(folder, "whole.gguf", "", 0);
    assert_ok(small_open(&t, folder, small_json(), &e), &e);
    assert_ok(gguf_writer_open(&w, whole, &e), &e);
    tokenizer_write_gguf(t, 0, w);
    assert_ok(gguf_writer_commit(&w, &e), &e);
    tokenizer_close(t);
    assert_cases(folder, whole, bpe_cases, sizeof bpe_cases / sizeof *bpe_cases);
    free(whole);
    folder_remove(folder);
}

static void broken_sentencepiece(void **state)
{
    (void)state;
    struct error e;
    struct gguf_writer *w;
    char *folder = folder_temporary();
    char *whole = file_put(folder, "whole.gguf", "", 0);
    assert_ok(gguf_writer_open(&w, whole, &e), &e);
    small_sentencepiece(w, (const char *[]){"\xE2\x96\x81", "a"}, NULL, (const float[]){-1, -2}, 2);
    assert_ok(gguf_writer_commit(&w, &e), &e);
    assert_cases(folder, whole, sentencepiece_cases, sizeof sentencepiece_cases / sizeof *sentencepiece_cases);
    free(whole);
    folder_remove(folder);
}

/* Without tokenizer.ggml.pre, GPT-2 itself is the one architecture whose pre-split is known. */
static void absent_pre_split(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    struct gguf_writer *w;
    char *folder = folder_temporary();
    char *whole = file_put(folder, "whole.gguf", "", 0);
    const struct gguf_case absent = {"pre", put_nothing, "tokenizer.ggml.pre: is missing"};
    assert_ok(small_open(&t, folder, small_json(), &e), &e);
    static const char *const architectures[] = {"gpt2", "gptj"};
    for (size_t i = 0; i < 2; i++) {
        struct tokenizer *again;
        char *path = file_put(folder, "absent.gguf", "", 0);
        assert_ok(gguf_writer_open(&w, whole, &e), &e);
        gguf_write_string(w, "general.architecture", architectures[i]);
        tokenizer_write_gguf(t, 0, w);
        assert_ok(gguf_writer_commit(&w, &e), &e);
        write_case(path, whole, &absent);
        const int status = tokenizer_open(&again, path, &e);
        if (i) {
            assert_error(status, &e, ERROR_INPUT, absent.message);
        } else {
            assert_ok(status, &e);
            assert_string_equal(tokenizer_hash(again), tokenizer_hash(t));
            tokenizer_close(again);
        }
        free(path);
    }
    tokenizer_close(t);
    free(whole);
    folder_remove(folder);
}

/* A file's pattern and normalizer may ask for any amount of work and memory: they do not get it. */
static void greedy_files(void **state)
{
    (void)state;
    static const char eight[] = "()()()()()()()()";
    char captures[256];
    snprintf(captures, sizeof captures, "(?:%s%s%s%s(a|c))*[bd]", eight, eight, eight, eight);
    const struct {
        const char *pattern, *message; /* NULL: it may work */
    } pre[] = {
        {"(a+)+[bd]", "takes too much work or memory (error -47"},
        {"(a|aa)+[bd]", "takes too much work or memory (error -47"},
        {"(?:a*)*b", NULL},
        {"(.*)*\\1x", NULL},
        {"(?R)?a", NULL},
        {"a{1,1000}{1,60}b", NULL},
        {captures, "takes too much work or memory (error -63"}, /* gigabytes of captures to go back to */
    };
    char text[200000], *folder = folder_temporary();
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof pre / sizeof *pre; i++) {
        struct error e;
        struct tokenizer *t;
        struct ids ids = {0};
        json_t *root = small_json();
        json_object_set_new(root, "pre_tokenizer",
                            json_pack("{s:s, s:[{s:s, s:{s:s}, s:s}, {s:s, s:b, s:b}]}", "type", "Sequence",
                                      "pretokenizers", "type", "Split", "pattern", "Regex", pre[i].pattern, "behavior",
                                      "Isolated", "type", "ByteLevel", "add_prefix_space", 0, "use_regex", 0));
        const bool opened = !small_open(&t, folder, root, &e);
        assert_true(opened || (e.code == ERROR_INPUT && !pre[i].message));
        if (!opened) continue;
        const int status = tokenizer_encode(t, text, sizeof text, 0, &ids, &e);
        if (pre[i].message)
            assert_error(status, &e, ERROR_INPUT, pre[i].message);
        else
            assert_true(!status || e.code == ERROR_INPUT);
        ids_free(&ids);
        tokenizer_close(t);
    }
    json_t *root = small_json(), *steps = json_array();
    for (int i = 0; i < 30; i++)
        json_array_append_new(steps, json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", "String", "a",
                                               "content", "aaaaaaaaaaaaaaaa"));
    json_object_set_new(root, "normalizer", json_pack("{s:s, s:o}", "type", "Sequence", "normalizers", steps));
    struct error e;
    struct tokenizer *t;
    struct ids ids = {0};
    assert_ok(small_open(&t, folder, root, &e), &e);
    assert_error(tokenizer_encode(t, text, 100, 0, &ids, &e), &e, ERROR_INPUT, "the normalizer makes");
    ids_free(&ids);
    tokenizer_close(t);
    folder_remove(folder);
}

/* A map of characters whose trie leads back into itself has a key as long as any text; and what it makes ends. */
static void map_in_a_circle(void **state)
{
    (void)state;
    struct {
        uint32_t bytes, units[98];
        char replacement[2];
    } map = {4 * 98, {0}, "b"};
    const size_t length = sizeof map.bytes + sizeof map.units + sizeof map.replacement;
    char text[1024];
    struct error e;
    struct text out = {0};
    memset(text, 'a', sizeof text);
    map.units['a'] = 'a' << 10 | 1 << 8 | 'a'; /* its child by a is itself, its value the root's 0 */
    assert_ok(charsmap_check((const char *)&map, length, &e), &e);
    charsmap_apply((const char *)&map, length, text, sizeof text, SIZE_MAX, &out);
    assert_string_equal(text_c(&out), "bbbb");
    text_clear(&out);
    charsmap_apply((const char *)&map, length, text, sizeof text, 1, &out);
    assert_string_equal(text_c(&out), "bb");
    text_clear(&out);
    charsmap_apply_graphemes((const char *)&map, length, text, sizeof text, 1, &out);
    assert_string_equal(text_c(&out), "bb");
    text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_json),  cmocka_unit_test(broken_config),        cmocka_unit_test(no_tokenizer),
        cmocka_unit_test(broken_bpe),   cmocka_unit_test(broken_sentencepiece), cmocka_unit_test(absent_pre_split),
        cmocka_unit_test(greedy_files), cmocka_unit_test(map_in_a_circle),
    };
    return cmocka_run_group_tests_name("corrupt/tokenizer", tests, NULL, NULL);
}
