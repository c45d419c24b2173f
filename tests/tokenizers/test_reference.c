/* tokenizer.json in its many forms, against the ids of Hugging Face's tokenizers (reference.js). */
#include "engine/base/json.h"
#include "tests/tokenizers/small.h"

#include "engine/base/random.h"
#include "engine/tokenizers/split.h"

static void compare(const char *name, const struct tokenizer *t, const json_t *texts, const json_t *all)
{
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const json_t *text = json_array_get(texts, i);
        struct ids ids = encode(t, json_string_value(text), json_string_length(text), 0);
        json_t *got = json_array();
        for (size_t k = 0; k < ids.count; k++) json_array_append_new(got, json_integer(ids.at[k]));
        if (!json_equal(got, json_array_get(all, i))) {
            char *is = json_dump_text(got, JSON_COMPACT, NULL),
                 *should = json_dump_text(json_array_get(all, i), JSON_COMPACT, NULL);
            fail_msg("%s: \"%s\": %s, not %s", name, json_string_value(text), is, should);
        }
        json_decref(got);
        ids_free(&ids);
    }
}

static void open_and_compare(const char *name, json_t *file, const json_t *texts, const json_t *ids)
{
    struct error e;
    struct tokenizer *t;
    char *folder = folder_temporary();
    assert_ok(small_open(&t, folder, file, &e), &e);
    compare(name, t, texts, ids);
    tokenizer_close(t);
    folder_remove(folder);
}

static void patched(void **state)
{
    (void)state;
    json_t *root = golden("tests/tokenizers/reference.json"), *one;
    const char *name;
    json_object_foreach(json_object_get(root, "patches"), name, one)
    {
        json_t *file = golden("datasets/millbrook/llama/tokenizer.json");
        json_object_update(file, json_object_get(one, "patch"));
        open_and_compare(name, file, json_object_get(root, "texts"), json_object_get(one, "ids"));
    }
    assert_int_equal(json_object_size(json_object_get(root, "patches")), 21);
    json_decref(root);
}

static void whole(void **state)
{
    (void)state;
    json_t *root = golden("tests/tokenizers/reference.json"), *one;
    const char *name;
    json_object_foreach(json_object_get(root, "files"), name, one) open_and_compare(
        name, json_incref(json_object_get(one, "file")), json_object_get(root, "texts"), json_object_get(one, "ids"));
    assert_int_equal(json_object_size(json_object_get(root, "files")), 14);
    json_decref(root);
}

static struct tokenizer *open_file(const char *part, const char *name, bool patches)
{
    struct error e;
    struct tokenizer *t;
    json_t *root = golden("tests/tokenizers/reference.json"), *one = json_object_get(json_object_get(root, part), name);
    json_t *file =
        patches ? golden("datasets/millbrook/llama/tokenizer.json") : json_incref(json_object_get(one, "file"));
    char *folder = folder_temporary();
    if (patches) json_object_update(file, json_object_get(one, "patch"));
    assert_ok(small_open(&t, folder, file, &e), &e);
    json_decref(root);
    folder_remove(folder);
    return t;
}

/* What GGUF has words for comes back from it the same; the rest is refused. */
static void written(void **state)
{
    (void)state;
    static const struct {
        const char *part, *name, *kind;
        bool writable;
    } cases[] = {
        {"patches", "plain", "bpe", true},
        {"patches", "digits", "bpe", false},
        {"patches", "bounds", "bpe", false},
        {"patches", "lower", "bpe", false},
        {"files", "prepended", "sentencepiece", true},
        {"files", "first", "sentencepiece", true},
        {"files", "unprefixed", "sentencepiece", true},
        {"files", "fused", "bpe", false},
        {"files", "always", "bpe", false},
        {"files", "bert", "wordpiece", false},
        {"files", "unigram", "unigram", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        struct gguf_writer *w;
        struct tokenizer *t = open_file(cases[i].part, cases[i].name, *cases[i].part == 'p');
        assert_string_equal(tokenizer_kind_name(t), cases[i].kind);
        char *folder = folder_temporary();
        char *path = file_put(folder, "written.gguf", "", 0);
        assert_ok(gguf_writer_open(&w, path, &e), &e);
        tokenizer_write_gguf(t, 0, w);
        const int status = gguf_writer_commit(&w, &e);
        if (cases[i].writable)
            assert_written_equal(t);
        else
            assert_error(status, &e, ERROR_INPUT, "GGUF has no name");
        tokenizer_close(t);
        free(path);
        folder_remove(folder);
    }
}

/* The patterns of Llama 3 and GPT-4o get their names in GGUF, spelled in either way. */
static void named(void **state)
{
    (void)state;
    struct split_stage stages[SPLIT_STAGES_MAX] = {{0}};
    for (size_t i = 0; split_rule_at(i); i++) {
        const struct split_rule *rule = split_rule_at(i);
        const size_t n = split_rule_length(rule);
        memcpy(stages, rule->stages, n * sizeof *stages);
        const struct split_rule *found = split_rule_of(stages, n, rule->ignores_merges);
        assert_non_null(found);
        assert_true(found->stages == rule->stages);
    }
    /* Bloom's tokenizer.json */
    json_t *file = golden("datasets/millbrook/llama/tokenizer.json"), *parts = json_array();
    json_array_append_new(parts, json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex",
                                           " ?[^(\\s|[.,!?\xE2\x80\xA6\xE3\x80\x82\xEF\xBC\x8C\xE3\x80\x81\xE0\xA5\xA4"
                                           "\xDB\x94\xD8\x8C])]+",
                                           "behavior", "Isolated", "invert", 0));
    json_array_append_new(parts, json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                                           "trim_offsets", 1, "use_regex", 0));
    json_object_set_new(file, "pre_tokenizer", json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", parts));
    struct error e;
    struct tokenizer *t;
    char *folder = folder_temporary();
    assert_ok(small_open(&t, folder, file, &e), &e);
    assert_written_equal(t);
    tokenizer_close(t);
    folder_remove(folder);
    const struct split_rule *rule = split_rule_find("gpt-4o", 6);
    stages[0] = rule->stages[0];
    stages[0].behavior = SPLIT_REMOVED;
    assert_null(split_rule_of(stages, 1, false));
    stages[0].invert = true;
    assert_true(split_rule_of(stages, 1, false) == rule);
}

/* Any bytes are encoded, and a million the same in time. */
static void hostile_texts(void **state)
{
    (void)state;
    json_t *root = golden("tests/tokenizers/reference.json"), *one;
    const char *name;
    struct random r = {8};
    enum { SIZE = 300000 };
    char *text = malloc(SIZE);
    json_object_foreach(json_object_get(root, "files"), name, one)
    {
        struct error e;
        struct tokenizer *t;
        char *folder = folder_temporary();
        assert_ok(small_open(&t, folder, json_incref(json_object_get(one, "file")), &e), &e);
        for (const char *c = "a \xFF\xCC\n1"; *c; c++) {
            memset(text, *c, SIZE);
            if (*c == '\xCC')
                for (size_t i = 0; i < SIZE; i++) text[i] = "\xCC\x81\xCC\xA3"[i % 4]; /* marks out of order */
            struct ids ids = encode(t, text, SIZE, 0);
            ids_free(&ids);
        }
        for (int round = 0; round < 50; round++) {
            const size_t n = random_below(&r, 500);
            for (size_t i = 0; i < n; i++) text[i] = (char)random_below(&r, 256);
            struct ids ids = encode(t, text, n, round % 2 ? TOKENIZER_PLAIN : 0);
            struct text out = {0};
            assert_ok(tokenizer_decode(t, ids.at, ids.count, 0, &out, &e), &e);
            text_free(&out);
            ids_free(&ids);
        }
        tokenizer_close(t);
        folder_remove(folder);
    }
    free(text);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(patched), cmocka_unit_test(whole), cmocka_unit_test(written),
                                       cmocka_unit_test(named), cmocka_unit_test(hostile_texts)};
    return cmocka_run_group_tests_name("tokenizers/reference", tests, NULL, NULL);
}
