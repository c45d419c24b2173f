#include "tests/tokenizers/small.h"

#include "engine/base/random.h"
#include "engine/tokenizers/split.h"

#define IDS(...) (const int32_t[]){__VA_ARGS__}, sizeof(int32_t[]){__VA_ARGS__} / sizeof(int32_t)

static struct tokenizer *open_path(const char *path)
{
    struct error e;
    struct tokenizer *t;
    assert_ok(tokenizer_open(&t, path, &e), &e);
    return t;
}

static struct tokenizer *open_small(json_t *root)
{
    struct error e;
    struct tokenizer *t = NULL;
    char *folder = folder_temporary();
    assert_ok(small_open(&t, folder, root, &e), &e);
    folder_remove(folder);
    return t;
}

/* Byte-level BPE of the reference implementation that trained the shipped models. */
static void goldens(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"datasets/millbrook/llama", "tests/goldens/goldens-llama.json"},
                                           {"datasets/millbrook/gpt2", "tests/goldens/goldens-gpt2.json"}};
    for (size_t m = 0; m < 2; m++) {
        struct tokenizer *t = open_path(names[m][0]);
        json_t *root = golden(names[m][1]), *cases = json_object_get(root, "tokenizer"), *one;
        size_t i;
        assert_true(json_array_size(cases) > 8);
        json_array_foreach(cases, i, one)
        {
            const json_t *wanted = json_object_get(one, "ids"), *text = json_object_get(one, "text");
            struct ids ids = encode(t, json_string_value(text), json_string_length(text), 0);
            assert_int_equal(ids.count, json_array_size(wanted));
            for (size_t k = 0; k < ids.count; k++)
                assert_int_equal(ids.at[k], json_integer_value(json_array_get(wanted, k)));
            ids_free(&ids);
            assert_round_trip(t, json_string_value(text), json_string_length(text), 0);
        }
        const json_t *logits = json_object_get(root, "logits"), *wanted = json_object_get(logits, "ids");
        const char *prompt = json_string_value(json_object_get(logits, "prompt"));
        struct ids ids = encode(t, prompt, strlen(prompt), 0);
        assert_true(tokenizer_adds_bos(t));
        assert_int_equal(tokenizer_bos(t), json_integer_value(json_array_get(wanted, 0)));
        assert_int_equal(ids.count + 1, json_array_size(wanted));
        for (size_t k = 0; k < ids.count; k++)
            assert_int_equal(ids.at[k], json_integer_value(json_array_get(wanted, k + 1)));
        ids_free(&ids);
        json_decref(root);
        tokenizer_close(t);
    }
}

static void properties(void **state)
{
    (void)state;
    struct tokenizer *t = open_path("datasets/millbrook/llama");
    struct tokenizer *file = open_path("datasets/millbrook/llama/tokenizer.json");
    assert_string_equal(tokenizer_hash(t), tokenizer_hash(file));
    assert_int_equal(strlen(tokenizer_hash(t)), 64);
    assert_string_equal(tokenizer_kind_name(t), "bpe");
    assert_int_equal(tokenizer_size(t), 1280);
    assert_int_equal(tokenizer_bos(t), 0);
    assert_int_equal(tokenizer_eos(t), 0);
    assert_int_equal(tokenizer_type(t, 0), TOKEN_CONTROL);
    assert_int_equal(tokenizer_type(t, 1), TOKEN_NORMAL);
    assert_memory_equal(tokenizer_piece(t, 0).bytes, "<|endoftext|>", tokenizer_piece(t, 0).length);
    assert_int_equal(tokenizer_piece(t, 0).length, 13);
    tokenizer_close(file);
    tokenizer_close(t);
}

static void merges_in_order(void **state)
{
    (void)state;
    struct tokenizer *t = open_small(small_json());
    assert_ids(t, "hello", 0, IDS(259));
    assert_ids(t, "hell", 0, IDS(258));
    assert_ids(t, "lll", 0, IDS(257, 'l'));
    assert_ids(t, "hehehell w", 0, IDS(256, 256, 258, 260));
    assert_ids(t, "", 0, NULL, 0);
    tokenizer_close(t);
}

static void special_tokens(void **state)
{
    (void)state;
    struct tokenizer *t = open_small(small_json());
    assert_ids(t, "he<s>he", 0, IDS(256, 261, 256));
    assert_ids(t, "<s><s", 0, IDS(261, '<', 's'));
    assert_ids(t, "<s>", TOKENIZER_PLAIN, IDS('<', 's', '>'));
    /* added tokens that are not special are pieces of text: found whatever the flags */
    assert_ids(t, "<tool>", 0, IDS(262));
    assert_ids(t, "<tool>", TOKENIZER_PLAIN, IDS(262));
    assert_round_trip(t, "a<s>b<tool>c<tool", 17, 0);
    assert_round_trip(t, "a<s>b<tool>c<tool", 17, TOKENIZER_PLAIN);
    tokenizer_close(t);
}

static void longest_special_wins(void **state)
{
    (void)state;
    json_t *root = small_json(), *added = json_object_get(root, "added_tokens");
    static const char *const names[] = {"<a", "<ab", "<abcd>", "b"};
    for (int i = 0; i < 4; i++)
        json_array_append_new(
            added, json_pack("{s:i, s:s, s:b}", "id", i < 3 ? 263 + i : 'b', "content", names[i], "special", i != 1));
    struct tokenizer *t = open_small(root);
    assert_ids(t, "<abcd><abc<a<b", 0, IDS(265, 264, 'c', 263, '<', 'b'));
    /* in plain text only the one that is not special is left */
    assert_ids(t, "<abcd>", TOKENIZER_PLAIN, IDS(264, 'c', 'd', '>'));
    tokenizer_close(t);
}

static void merges_as_arrays(void **state)
{
    (void)state;
    json_t *root = small_json(), *model = json_object_get(root, "model");
    struct tokenizer *words = open_small(json_incref(root));
    json_object_set_new(
        model, "merges",
        json_pack("[[s,s],[s,s],[s,s],[s,s],[s,s]]", "h", "e", "l", "l", "he", "ll", "hell", "o", "\xC4\xA0", "w"));
    struct tokenizer *arrays = open_small(root);
    assert_string_equal(tokenizer_hash(words), tokenizer_hash(arrays));
    tokenizer_close(words);
    tokenizer_close(arrays);
}

static void hash_tells_what_differs(void **state)
{
    (void)state;
    struct tokenizer *t = open_small(small_json());
    json_t *root = small_json();
    json_object_set_new(json_object_get(root, "pre_tokenizer"), "add_prefix_space", json_true());
    struct tokenizer *space = open_small(root);
    root = small_json();
    json_array_remove(json_object_get(json_object_get(root, "model"), "merges"), 4);
    struct tokenizer *merge = open_small(root);
    assert_string_not_equal(tokenizer_hash(t), tokenizer_hash(space));
    assert_string_not_equal(tokenizer_hash(t), tokenizer_hash(merge));
    tokenizer_close(t);
    tokenizer_close(space);
    tokenizer_close(merge);
}

static void prefix_space(void **state)
{
    (void)state;
    json_t *root = small_json();
    json_object_set_new(json_object_get(root, "pre_tokenizer"), "add_prefix_space", json_true());
    struct tokenizer *t = open_small(root);
    assert_ids(t, "w", 0, IDS(260));
    assert_ids(t, " w", 0, IDS(260));
    assert_ids(t, "w", TOKENIZER_CONTINUES, IDS('w'));
    assert_ids(t, "w<s>w", 0, IDS(260, 261, 260));
    assert_written_equal(t);
    tokenizer_close(t);
}

static void template_adds_bos(void **state)
{
    (void)state;
    json_t *root = small_json();
    json_object_set_new(root, "post_processor",
                        json_pack("{s:s, s:[{s:{s:s}}, {s:{s:s}}], s:{s:{s:[i]}}}", "type", "TemplateProcessing",
                                  "single", "SpecialToken", "id", "<s>", "Sequence", "id", "A", "special_tokens", "<s>",
                                  "ids", 261));
    struct tokenizer *t = open_small(root);
    assert_true(tokenizer_adds_bos(t));
    assert_int_equal(tokenizer_bos(t), 261);
    assert_int_equal(tokenizer_eos(t), -1);
    assert_ids(t, "he", 0, IDS(256));
    assert_written_equal(t);
    tokenizer_close(t);
}

static void config_names_tokens(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    char *folder = folder_temporary();
    static const char config[] =
        "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"<tool>\", \"add_bos_token\": true}";
    free(file_put(folder, "tokenizer_config.json", config, sizeof config - 1));
    assert_ok(small_open(&t, folder, small_json(), &e), &e);
    assert_int_equal(tokenizer_bos(t), 261);
    assert_int_equal(tokenizer_eos(t), 262);
    assert_true(tokenizer_adds_bos(t));
    tokenizer_close(t);
    folder_remove(folder);
}

static void model_config_fills_what_is_open(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    char *folder = folder_temporary();
    static const char named[] = "{\"bos_token\": \"<s>\"}",
                      ids[] = "{\"bos_token_id\": 262, \"eos_token_id\": [262, 3]}",
                      beyond[] = "{\"eos_token_id\": 70000}";
    free(file_put(folder, "tokenizer_config.json", named, sizeof named - 1));
    free(file_put(folder, "config.json", ids, sizeof ids - 1));
    assert_ok(small_open(&t, folder, small_json(), &e), &e);
    assert_int_equal(tokenizer_bos(t), 261);
    assert_int_equal(tokenizer_eos(t), 262);
    assert_false(tokenizer_adds_bos(t));
    tokenizer_close(t);
    free(file_put(folder, "config.json", beyond, sizeof beyond - 1));
    assert_error(small_open(&t, folder, small_json(), &e), &e, ERROR_INPUT, "eos_token_id");
    folder_remove(folder);
}

/* Opens small_json() with a template that adds <s>, or without, and this tokenizer_config.json. */
static struct tokenizer *open_configured(bool templated, const char *config)
{
    struct error e;
    struct tokenizer *t;
    char *folder = folder_temporary();
    json_t *root = small_json();
    if (templated)
        json_object_set_new(root, "post_processor",
                            json_pack("{s:s, s:[{s:{s:s}}, {s:{s:s}}], s:{s:{s:[i]}}}", "type", "TemplateProcessing",
                                      "single", "SpecialToken", "id", "<s>", "Sequence", "id", "A", "special_tokens",
                                      "<s>", "ids", 261));
    free(file_put(folder, "tokenizer_config.json", config, strlen(config)));
    if (small_open(&t, folder, root, &e)) fail_msg("%s: %s", config, e.text);
    folder_remove(folder);
    return t;
}

/* Some classes go by what the config says, the others by the template. */
static void classes(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        bool templated, adds;
        int32_t bos;
    } cases[] = {
        {"{\"tokenizer_class\": \"LlamaTokenizerFast\", \"add_bos_token\": false}", true, false, 261},
        {"{\"tokenizer_class\": \"LlamaTokenizer\", \"add_bos_token\": null}", true, true, 261},
        {"{\"tokenizer_class\": \"LlamaTokenizerFast\", \"bos_token\": \"<s>\"}", false, true, 261},
        {"{\"tokenizer_class\": \"GemmaTokenizer\", \"bos_token\": \"<tool>\"}", true, true, 262},
        {"{\"tokenizer_class\": \"GPTNeoXTokenizerFast\", \"bos_token\": \"<s>\"}", true, false, 261},
        {"{\"tokenizer_class\": \"LlamaTokenizerFaster\", \"add_bos_token\": false}", true, true, 261},
        {"{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"add_bos_token\": false}", true, true, 261},
        {"{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<tool>\"}", true, true, 261},
        {"{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<s>\"}", false, false, 261},
        {"{\"tokenizer_class\": \"LlamaTokenizer\", \"bos_token\": \"\", \"eos_token\": \"\"}", true, true, 261},
        {"{\"add_bos_token\": false}", true, false, 261},
        {"{\"add_eos_token\": true, \"eos_token\": \"<tool>\"}", true, true, 261},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer *t = open_configured(cases[i].templated, cases[i].config);
        if (tokenizer_adds_bos(t) != cases[i].adds || tokenizer_bos(t) != cases[i].bos)
            fail_msg("%s: adds %d, bos %d", cases[i].config, tokenizer_adds_bos(t), tokenizer_bos(t));
        tokenizer_close(t);
    }
}

/* Ids without a token are pieces that no text becomes. */
static void gaps(void **state)
{
    (void)state;
    json_t *root = small_json(), *added = json_object_get(root, "added_tokens");
    json_object_set_new(json_array_get(added, 1), "id", json_integer(270));
    struct tokenizer *t = open_small(root);
    assert_int_equal(tokenizer_size(t), 271);
    assert_int_equal(tokenizer_type(t, 269), TOKEN_UNUSED);
    assert_ids(t, "<tool>[PAD269]", 0, IDS(270, '[', 'P', 'A', 'D', '2', '6', '9', ']'));
    assert_written_equal(t);
    tokenizer_close(t);
    /* not even where a word that is a piece is that piece */
    root = small_json();
    json_object_set_new(json_array_get(json_object_get(root, "added_tokens"), 1), "id", json_integer(270));
    json_object_set_new(json_object_get(root, "model"), "ignore_merges", json_true());
    json_object_set_new(json_object_get(root, "pre_tokenizer"), "use_regex", json_false());
    t = open_small(root);
    assert_ids(t, "<tool>[PAD269]", 0, IDS(270, '[', 'P', 'A', 'D', '2', '6', '9', ']'));
    assert_string_equal(tokenizer_warning(t), "");
    tokenizer_close(t);
}

/* tokenizer_config.json says what its tokens are, and may add some; added_tokens.json the same in few words. */
static void added_beside(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t = open_configured(
        false,
        "{\"bos_token\": \"<s>\", \"pad_token\": \"he\", \"added_tokens_decoder\": {\"262\": {\"content\": "
        "\"<tool>\", \"special\": true, \"rstrip\": true}, \"263\": {\"content\": \"<x>\"}, \"258\": {\"content\": "
        "\"hell\", \"lstrip\": true}}}");
    assert_int_equal(tokenizer_size(t), 264);
    assert_int_equal(tokenizer_type(t, 256), TOKEN_CONTROL);
    assert_int_equal(tokenizer_type(t, 262), TOKEN_CONTROL);
    assert_int_equal(tokenizer_type(t, 263), TOKEN_USER_DEFINED);
    assert_ids(t, "<tool>  a<x> hello", 0, IDS(262, 'a', 263, 258, 'o'));
    assert_ids(t, "<tool> <x>", TOKENIZER_PLAIN, IDS('<', 't', 'o', 'o', 'l', '>', ' ', 263));
    tokenizer_close(t);
    char *folder = folder_temporary();
    static const char added[] = "{\"<y>\": 264, \"<x>\": 263, \"<s>\": 261}",
                      config[] = "{\"added_tokens_decoder\": {\"263\": {\"content\": \"<x>\", \"rstrip\": true}}}",
                      specials[] = "{\"pad_token\": \"<y>\", \"unk_token\": \"<unknown>\"}";
    free(file_put(folder, "added_tokens.json", added, sizeof added - 1));
    free(file_put(folder, "tokenizer_config.json", config, sizeof config - 1));
    free(file_put(folder, "special_tokens_map.json", specials, sizeof specials - 1));
    assert_ok(small_open(&t, folder, small_json(), &e), &e);
    assert_int_equal(tokenizer_size(t), 265);
    assert_int_equal(tokenizer_type(t, 264), TOKEN_CONTROL);
    assert_ids(t, "<y> <x> he", 0, IDS(264, ' ', 263, 256));
    tokenizer_close(t);
    folder_remove(folder);
}

/* A token of added_tokens.json may be a piece that merges make; one that is said under another id is found though
 * pieces moved for one that is new. */
static void added_pieces(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    char name[401] = "", *folder = folder_temporary();
    memset(name, 'y', sizeof name - 1);
    static const char added[] = "{\"hell\": 258}";
    free(file_put(folder, "added_tokens.json", added, sizeof added - 1));
    assert_ok(small_open(&t, folder, small_json(), &e), &e);
    assert_int_equal(tokenizer_type(t, 258), TOKEN_USER_DEFINED);
    assert_ids(t, "hello", 0, IDS(258, 'o'));
    tokenizer_close(t);
    folder_remove(folder);
    struct text config = {0};
    text_printf(&config, "{\"added_tokens_decoder\": {\"263\": {\"content\": \"%s\"}", name);
    for (int i = 0; i < 3; i++)
        text_printf(&config, ", \"%d\": {\"content\": \"%s\"}", 270 + i, (const char *[]){"he", "ll", "hello"}[i]);
    text_add(&config, "}}");
    t = open_configured(false, text_c(&config));
    assert_int_equal(tokenizer_size(t), 264);
    assert_ids(t, name, 0, IDS(263));
    assert_int_equal(tokenizer_type(t, 256), TOKEN_USER_DEFINED);
    assert_int_equal(tokenizer_type(t, 257), TOKEN_USER_DEFINED);
    assert_int_equal(tokenizer_type(t, 259), TOKEN_USER_DEFINED);
    tokenizer_close(t);
    text_free(&config);
    /* one that is there again is no other token */
    t = open_configured(
        false, "{\"added_tokens_decoder\": {\"263\": {\"content\": \"<x>\"}, \"264\": {\"content\": \"<x>\"}}}");
    assert_ids(t, "<x>", 0, IDS(263));
    assert_string_equal(tokenizer_warning(t),
                        "tokens: \"<x>\" is there twice, as 263 and as 264: text becomes the first");
    tokenizer_close(t);
    /* any number of them, with traits */
    text_add(&config, "{\"added_tokens_decoder\": {");
    for (int i = 0; i < 2000; i++)
        text_printf(&config, "%s\"%d\": {\"content\": \"<x%d>\", \"rstrip\": %s}", i ? ", " : "", 263 + i, i,
                    i % 2 ? "true" : "false");
    text_add(&config, "}}");
    t = open_configured(false, text_c(&config));
    assert_int_equal(tokenizer_size(t), 2263);
    assert_ids(t, "<x0> <x1> <x1998> <x1999> a", 0, IDS(263, ' ', 264, 2261, ' ', 2262, 'a'));
    assert_ids(t, "<s> a", 0, IDS(261, ' ', 'a'));
    assert_written_equal(t);
    tokenizer_close(t);
    text_free(&config);
}

/* What the files beside a vocabulary hold is what they must hold, or an error says what is not. */
static void refused_beside(void **state)
{
    (void)state;
    static const struct {
        const char *name, *words, *error;
    } cases[] = {
        {"tokenizer_config.json", "{\"added_tokens_decoder\": [1]}", "added_tokens_decoder: [1]; it must be an object"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"263x\": {\"content\": \"<x>\"}}}",
         "a key that is an id"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"-1\": {\"content\": \"he\"}}}", "a key that is an id"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"9223372036854775808\": {\"content\": \"he\"}}}",
         "a key that is an id"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"263\": \"<x>\"}}", "263.content: missing"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"265\": {\"content\": \"<x>\"}}}",
         "follows the vocabulary"},
        {"tokenizer_config.json", "[]", "an object"},
        {"special_tokens_map.json", "[\"<s>\"]", "special_tokens_map: [\"<s>\"]; it must be an object"},
        {"added_tokens.json", "[]", "an object"},
        {"added_tokens.json", "{\"<x>\": 263.0}", "an id"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        struct tokenizer *t;
        char *folder = folder_temporary();
        free(file_put(folder, cases[i].name, cases[i].words, strlen(cases[i].words)));
        const int status = small_open(&t, folder, small_json(), &e);
        assert_error(status, &e, ERROR_INPUT, cases[i].error);
        assert_error(status, &e, ERROR_INPUT, cases[i].name);
        folder_remove(folder);
    }
}

/* As Hugging Face's library does it: what is no single word is text to its end, other tokens in it included. */
static void single_words(void **state)
{
    (void)state;
    json_t *root = small_json(), *added = json_object_get(root, "added_tokens");
    json_array_append_new(added, json_pack("{s:i, s:s, s:b}", "id", 263, "content", "abc", "single_word", 1));
    json_array_append_new(added, json_pack("{s:i, s:s}", "id", 264, "content", "bc"));
    struct tokenizer *t = open_small(root);
    assert_ids(t, "abc bc", 0, IDS(263, ' ', 264));
    assert_ids(t, "abcd", 0, IDS('a', 'b', 'c', 'd'));
    assert_ids(t, "xabcbc", 0, IDS('x', 'a', 'b', 'c', 264));
    tokenizer_close(t);
}

/* As Hugging Face's library does it: what is unknown is a piece that may merge with what stands behind it. */
static void unknown_that_merges(void **state)
{
    (void)state;
    json_t *vocab = json_pack("{s:i, s:i, s:i, s:i, s:i}", "<unk>", 0, "\xE2\x96\x81", 1, "a", 2,
                              "\xE2\x96\x81"
                              "a",
                              3,
                              "<unk>\xE2\x96\x81"
                              "a",
                              4);
    json_t *merges = json_pack("[s, s]", "\xE2\x96\x81 a",
                               "<unk> \xE2\x96\x81"
                               "a");
    json_t *model =
        json_pack("{s:s, s:s, s:o, s:o}", "type", "BPE", "unk_token", "<unk>", "vocab", vocab, "merges", merges);
    json_t *marks =
        json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", "String", " ", "content", "\xE2\x96\x81");
    struct tokenizer *t = open_small(json_pack("{s:o, s:o}", "model", model, "normalizer", marks));
    assert_ids(t, "x a", 0, IDS(4));
    assert_ids(t, "a a y a", 0, IDS(2, 3, 1, 4));
    tokenizer_close(t);
}

static void written_as_gguf(void **state)
{
    (void)state;
    struct tokenizer *t = open_path("datasets/millbrook/llama");
    assert_written_equal(t);
    tokenizer_close(t);
    t = open_small(small_json());
    assert_int_equal(tokenizer_bos(t), -1);
    assert_written_equal(t);
    tokenizer_close(t);
}

static void bytes_that_are_not_utf8(void **state)
{
    (void)state;
    struct tokenizer *t = open_small(small_json());
    assert_ids(t, "he\xFF\xFEhe\xE2\x82 \xC3", 0, IDS(256, 0xFF, 0xFE, 256, 0xE2, 0x82, ' ', 0xC3));
    struct random r = {7};
    char bytes[600];
    for (int round = 0; round < 300; round++) {
        const size_t n = random_below(&r, sizeof bytes);
        const uint32_t alphabet = round % 3 ? 256 : 3; /* few different bytes make many merges and specials */
        for (size_t i = 0; i < n; i++)
            bytes[i] = alphabet == 3 ? "he "[random_below(&r, 3)] : (char)random_below(&r, 256);
        assert_round_trip(t, bytes, n, 0);
        assert_round_trip(t, bytes, n, TOKENIZER_PLAIN);
    }
    tokenizer_close(t);
}

static void decoding(void **state)
{
    (void)state;
    struct error e;
    struct text out = {0};
    struct tokenizer *t = open_small(small_json());
    assert_ok(tokenizer_decode(t, IDS(261, 260, 0xC3, 262), 0, &out, &e), &e);
    assert_string_equal(text_c(&out), "<s> w\xC3<tool>");
    assert_error(tokenizer_decode(t, IDS(1, 263), 0, &out, &e), &e, ERROR_INPUT, "ids[1]: 263 is out of range");
    assert_error(tokenizer_decode(t, IDS(-1), 0, &out, &e), &e, ERROR_INPUT, "ids[0]: -1 is out of range");
    text_free(&out);
    tokenizer_close(t);
}

/* Cuts `text` by GPT-2's pre-split and compares with the words in `wanted`, which bars part. */
static void assert_words(const char *text, const char *wanted)
{
    struct error e;
    struct split *s;
    struct split_words w;
    struct text got = {0};
    assert_ok(split_open(&s, split_rule_find("gpt-2", 5)->stages, 1, &e), &e);
    assert_ok(split_words_open(&w, s, text, strlen(text), &e), &e);
    for (;;) {
        const char *word;
        size_t n;
        assert_ok(split_words_next(&w, &word, &n, &e), &e);
        if (!word) break;
        if (got.length) text_char(&got, '|');
        text_bytes(&got, word, n);
    }
    assert_string_equal(text_c(&got), wanted);
    text_free(&got);
    split_words_close(&w);
    split_close(s);
}

static void pre_split(void **state)
{
    (void)state;
    assert_words("Hello, world!", "Hello|,| world|!");
    assert_words("it's we'll I'D", "it|'s| we|'ll| I|'|D");
    assert_words("  two \n\n x1", " | two| \n\n| x|1");
    assert_words("a  ", "a|  ");
    assert_words("1\xC2\xB2\xE2\x85\xA7 \xE2\x82\xAC", "1\xC2\xB2\xE2\x85\xA7| \xE2\x82\xAC");
    /* white space is Unicode's: U+00A0 and U+3000 are, U+180E and U+200B are not */
    assert_words("a\xC2\xA0\xC2\xA0"
                 "b",
                 "a|\xC2\xA0|\xC2\xA0|b");
    assert_words("a\xE3\x80\x80"
                 "b",
                 "a|\xE3\x80\x80|b");
    assert_words("a\xE1\xA0\x8E!", "a|\xE1\xA0\x8E!");
    assert_words("a\xE2\x80\x8B!", "a|\xE2\x80\x8B!");
    /* what is not UTF-8 is a word of its own, and the text ends before it */
    assert_words("a  \xFF\xFE  b", "a|  |\xFF\xFE| | b");
}

static void large_texts(void **state)
{
    (void)state;
    struct tokenizer *t = open_path("datasets/millbrook/llama");
    const size_t n = 1000000, ten = 10 * n;
    char *text = malloc(ten);
    assert_non_null(text);
    static const char repeated[] = "a \n\t'0\xFF\xE2";
    for (const char *c = repeated; *c; c++) {
        memset(text, *c, n);
        assert_round_trip(t, text, n, 0);
        text[n - 1] = 'x';
        assert_round_trip(t, text, n, 0);
    }
    struct random r = {1};
    for (size_t i = 0; i < n; i++) text[i] = (char)('a' + random_below(&r, 26));
    assert_round_trip(t, text, n, 0);
    for (size_t i = 0; i < ten; i++) text[i] = "the miller of Millbrook, \n"[random_below(&r, 26)];
    assert_round_trip(t, text, ten, 0);
    free(text);
    tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goldens),
        cmocka_unit_test(properties),
        cmocka_unit_test(merges_in_order),
        cmocka_unit_test(special_tokens),
        cmocka_unit_test(longest_special_wins),
        cmocka_unit_test(merges_as_arrays),
        cmocka_unit_test(hash_tells_what_differs),
        cmocka_unit_test(prefix_space),
        cmocka_unit_test(template_adds_bos),
        cmocka_unit_test(config_names_tokens),
        cmocka_unit_test(model_config_fills_what_is_open),
        cmocka_unit_test(classes),
        cmocka_unit_test(gaps),
        cmocka_unit_test(added_beside),
        cmocka_unit_test(added_pieces),
        cmocka_unit_test(refused_beside),
        cmocka_unit_test(single_words),
        cmocka_unit_test(unknown_that_merges),
        cmocka_unit_test(written_as_gguf),
        cmocka_unit_test(bytes_that_are_not_utf8),
        cmocka_unit_test(decoding),
        cmocka_unit_test(pre_split),
        cmocka_unit_test(large_texts),
    };
    return cmocka_run_group_tests_name("tokenizers/bpe", tests, NULL, NULL);
}
