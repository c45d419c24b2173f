/* Folders whose tokenizer.json GGUF has no words for: the tokenizer.model beside it is written, if it is the same one. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/models/model.h"
#include "engine/models/synth.h"
#include "tests/tokenizers/model_file.h"

static const char *const pieces[] = {"\xE2\x96\x81", "a", "aa",
                                     "\xE2\x96\x81"
                                     "a",
                                     "aaa"};
enum { PIECES = sizeof pieces / sizeof *pieces, FIRST = 259, VOCAB = FIRST + PIECES };

/* As Hugging Face writes Gemma's: the ways to make one piece do not stand together, so the order of scores is unknown. */
static json_t *scattered_json(void)
{
    json_t *vocab = json_pack("{s:i, s:i, s:i}", "<unk>", 0, "<s>", 1, "</s>", 2);
    char spelled[8];
    for (int byte = 0; byte < 256; byte++) {
        snprintf(spelled, sizeof spelled, "<0x%02X>", (unsigned)byte);
        json_object_set_new(vocab, spelled, json_integer(3 + byte));
    }
    for (int i = 0; i < PIECES; i++) json_object_set_new(vocab, pieces[i], json_integer(FIRST + i));
    json_t *merges = json_pack("[[s, s], [s, s], [s, s], [s, s]]", "a", "a", "aa", "a", pieces[0], "a", "a", "aa");
    json_t *model = json_pack("{s:s, s:o, s:o, s:b, s:b, s:s}", "type", "BPE", "vocab", vocab, "merges", merges,
                              "byte_fallback", 1, "fuse_unk", 1, "unk_token", "<unk>");
    json_t *added = json_array();
    for (int i = 0; i < 3; i++)
        json_array_append_new(added, json_pack("{s:i, s:s, s:b}", "id", i, "content",
                                               i == 0   ? "<unk>"
                                               : i == 1 ? "<s>"
                                                        : "</s>",
                                               "special", 1));
    return json_pack("{s:o, s:{s:s, s:{s:s}, s:s}, s:o}", "model", model, "normalizer", "type", "Replace", "pattern",
                     "String", " ", "content", pieces[0], "added_tokens", added);
}

static void put_json(const char *folder, const char *name, json_t *root)
{
    char *words = json_dump_text(root, 0, NULL);
    assert_non_null(words);
    free(file_put(folder, name, words, strlen(words)));
    free(words);
    json_decref(root);
}

/* With this as its last piece. */
static void put_model_file(const char *folder, const char *last)
{
    struct text t = {0}, spec = {0};
    put_first_pieces(&t);
    for (int i = 0; i < PIECES; i++) put_piece(&t, i + 1 < PIECES ? pieces[i] : last, (float)-i, TOKEN_NORMAL);
    put_value(&spec, 3, 2); /* BPE */
    put_field(&t, 2, text_c(&spec), spec.length);
    text_clear(&spec);
    put_value(&spec, 3, 0); /* no space in front */
    put_value(&spec, 4, 0);
    put_field(&t, 3, text_c(&spec), spec.length);
    free(file_put(folder, "tokenizer.model", text_c(&t), t.length));
    text_free(&spec);
    text_free(&t);
}

static int export(const char *folder, const char *path, struct error *e)
{
    return model_export(folder, NULL, path, NULL, NULL, e);
}

static void test_export(void **state)
{
    (void)state;
    struct error e;
    struct synth s = {.layers = 1, .width = 32, .ffn = 32, .heads = 2, .kv_heads = 2, .vocab = VOCAB, .context = 64};
    struct tokenizer *t;
    char *outer = folder_temporary(), *folder = path_join(outer, "model", &e), *path = path_join(outer, "x.gguf", &e);
    static const char refusal[] = "tokenizer.ggml.model: GGUF has no name for BPE over characters";
    assert_ok(backend_parse(&s.how, "f32", &e), &e);
    assert_ok(model_synth(&s, folder, NULL, NULL, &e), &e);
    put_json(folder, "tokenizer.json", scattered_json());
    put_json(folder, "tokenizer_config.json", json_pack("{s:s, s:b}", "bos_token", "<s>", "add_bos_token", 1));
    assert_ok(tokenizer_open(&t, folder, &e), &e);
    assert_string_equal(tokenizer_kind_name(t), "bpe");
    struct ids before = encode(t, "aaaa a", 6, 0);
    tokenizer_close(t);

    assert_error(export(folder, path, &e), &e, ERROR_INPUT, refusal);
    put_model_file(folder, "aab");
    assert_error(export(folder, path, &e), &e, ERROR_INPUT, refusal);
    put_model_file(folder, pieces[PIECES - 1]);
    assert_ok(export(folder, path, &e), &e);

    assert_ok(tokenizer_open(&t, path, &e), &e);
    assert_string_equal(tokenizer_kind_name(t), "sentencepiece");
    assert_int_equal(tokenizer_bos(t), 1);
    assert_true(tokenizer_adds_bos(t));
    struct ids after = encode(t, "aaaa a", 6, 0);
    assert_int_equal(after.count, before.count);
    assert_memory_equal(after.at, before.at, before.count * sizeof *before.at);
    ids_free(&before);
    ids_free(&after);
    tokenizer_close(t);
    free(folder);
    free(path);
    folder_remove(outer);
}

/* A chat template goes along, wherever the folder has it. */
static void test_chat_template(void **state)
{
    (void)state;
    static const struct {
        const char *config, *alone, *written; /* NULL: there is none */
    } cases[] = {
        {NULL, NULL, NULL},
        {"{}", NULL, NULL},
        {"{\"chat_template\": null}", NULL, NULL},
        {"{\"chat_template\": \"{% x %}\\n\"}", NULL, "{% x %}\n"},
        {"{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"a\"}, {\"name\": \"default\", \"template\": "
         "\"b\"}]}",
         NULL, "b"},
        {"{\"chat_template\": \"a\"}", "{{ b }}\n", "{{ b }}\n"},
    };
    struct error e;
    struct synth s = {.layers = 1, .width = 32, .ffn = 32, .heads = 2, .kv_heads = 2, .vocab = 257, .context = 64};
    assert_ok(backend_parse(&s.how, "f32", &e), &e);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *outer = folder_temporary(), *folder = path_join(outer, "model", &e),
             *path = path_join(outer, "x.gguf", &e);
        struct gguf *g;
        struct gguf_string is = {"", 0};
        assert_ok(model_synth(&s, folder, NULL, NULL, &e), &e);
        if (cases[i].config) free(file_put(folder, "tokenizer_config.json", cases[i].config, strlen(cases[i].config)));
        if (cases[i].alone) free(file_put(folder, "chat_template.jinja", cases[i].alone, strlen(cases[i].alone)));
        assert_ok(export(folder, path, &e), &e);
        assert_ok(gguf_open(&g, path, &e), &e);
        const struct gguf_value *v = gguf_find(g, "tokenizer.chat_template");
        assert_int_equal(v != NULL, cases[i].written != NULL);
        if (v) assert_true(gguf_as_string(v, &is) && is.length == strlen(cases[i].written));
        if (v) assert_memory_equal(is.bytes, cases[i].written, is.length);
        gguf_close(g);
        free(folder);
        free(path);
        folder_remove(outer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_export), cmocka_unit_test(test_chat_template)};
    return cmocka_run_group_tests_name("models/export_tokenizer", tests, NULL, NULL);
}
