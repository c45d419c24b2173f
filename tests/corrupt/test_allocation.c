/* Memory that runs out while a model's files are read. */
#include "engine/base/json.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/gptq_config.h"
#include "engine/formats/imatrix.h"
#include "engine/formats/safetensors.h"
#include "engine/models/model.h"
#include "engine/tokenizers/tokenizer.h"
#include "tests/corrupt/failing.h"
#include "tests/formats/samples.h"

static int read_gguf(const char *path, struct error *e)
{
    struct gguf *g;
    int status = gguf_open(&g, path, e);
    if (status) return status;
    for (size_t i = 0; i < gguf_value_count(g) && !status; i++) {
        const struct gguf_value *v = gguf_value(g, i);
        if (v->type != GGUF_ARRAY || v->element != GGUF_STRING) continue;
        struct gguf_string *all = gguf_strings(g, v, e);
        if (!all) status = (int)e->code;
        free(all);
    }
    gguf_close(g);
    return status;
}

static int read_safetensors(const char *path, struct error *e)
{
    struct safetensors *s;
    const int status = safetensors_open(&s, path, e);
    if (!status) safetensors_close(s);
    return status;
}

static int read_checkpoint(const char *path, struct error *e)
{
    struct checkpoint *c;
    char hex[HASH_HEX];
    int status = checkpoint_open(&c, path, e);
    if (status) return status;
    status = checkpoint_hash(c, hex, e);
    const char *place;
    struct gptq_config config;
    if (!status) status = gptq_config_read(&config, checkpoint_quantization(c, 0, &place), "here", e);
    checkpoint_close(c);
    return status;
}

static int read_imatrix(const char *path, struct error *e)
{
    struct imatrix *im;
    const int status = imatrix_open(&im, path, e);
    if (!status) imatrix_close(im);
    return status;
}

static int read_json(const char *path, struct error *e)
{
    json_t *value = json_read_file(path, e);
    json_decref(value);
    return value ? 0 : (int)e->code;
}

static int read_tokenizer(const char *path, struct error *e)
{
    struct tokenizer *t;
    const int status = tokenizer_open(&t, path, e);
    if (!status) tokenizer_close(t);
    return status;
}

__attribute__((unused)) static int read_model(const char *path, struct error *e)
{
    struct model *m;
    const int status = model_open(&m, path, NULL, e);
    if (!status) model_close(m);
    return status;
}

static void test_corpus(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        failing *read;
        long least;
    } cases[] = {
        {"gguf/values.gguf", read_gguf, 5},
        {"gguf/tensors.gguf", read_gguf, 10},
        {"gguf/imatrix.gguf", read_imatrix, 10},
        {"gguf/imatrix.dat", read_imatrix, 5},
        {"safetensors/metadata.safetensors", read_safetensors, 20},
        {"safetensors/types.safetensors", read_safetensors, 50},
        {"tokenizer/bytelevel.json", read_json, 300},
        {"tokenizer/bytelevel.json", read_tokenizer, 300},
        {"tokenizer/llama.json", read_tokenizer, 100},
        {"tokenizer/split.json", read_tokenizer, 300},
        {"tokenizer/unigram.json", read_tokenizer, 50},
        {"tokenizer/wordpiece.json", read_tokenizer, 50},
        {"safetensors/two.safetensors", read_safetensors, 20},
        {"safetensors/escapes.safetensors", read_safetensors, 20},
        {"gguf/bpe.gguf", read_tokenizer, 10},
        {"gguf/sentencepiece.gguf", read_tokenizer, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        snprintf(path, sizeof path, "tests/fuzz/corpus/%s", cases[i].path);
        assert_fails(cases[i].path, cases[i].read, path, cases[i].least, 0);
    }
}

static void put_text(const char *folder, const char *name, const char *text)
{
    free(file_put(folder, name, text, strlen(text)));
}

static void test_folders(void **state)
{
    (void)state;
    static const char a[] = "{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                      b[] = "{\"b\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    char *folder = folder_temporary();
    struct text t = {0};
    put_text(folder, "config.json", "{\"quantization_config\": {\"bits\": 4}}");
    put_text(folder, "quantize_config.json", "{\"bits\": 4, \"group_size\": 128}");
    put_safetensors(&t, a, 1);
    free(put_file(folder, "x.safetensors", &t));
    assert_fails("one file", read_checkpoint, folder, 20, 0);
    text_clear(&t);
    put_safetensors(&t, b, 1);
    free(put_file(folder, "y.safetensors", &t));
    put_text(folder, "model.safetensors.index.json",
             "{\"weight_map\":{\"a\":\"x.safetensors\",\"b\":\"y.safetensors\"}}");
    assert_fails("shards", read_checkpoint, folder, 30, 0);
    text_free(&t);
    folder_remove(folder);
}

/* --- tokenizers of several files or without JSON --- */

static void put_varint(struct text *t, uint64_t n)
{
    for (; n > 127; n >>= 7) text_char(t, (char)(n | 128));
    text_char(t, (char)n);
}

static void put_field(struct text *t, unsigned number, const void *data, size_t n)
{
    put_varint(t, number << 3 | 2);
    put_varint(t, n);
    text_bytes(t, data, n);
}

static void put_piece(struct text *t, const char *piece, float score, char type)
{
    struct text p = {0};
    put_field(&p, 1, piece, strlen(piece));
    text_char(&p, 2 << 3 | 5);
    text_bytes(&p, &score, sizeof score);
    text_bytes(&p, (const char[]){3 << 3, type}, 2);
    put_field(t, 1, p.bytes, p.length);
    text_free(&p);
}

/* SentencePiece's tokenizer.model: pieces (normal 1, unknown 2, control 3, byte 6), then the trainer's type, BPE. */
static void test_sentencepiece(void **state)
{
    (void)state;
    char *folder = folder_temporary(), byte[8];
    struct text t = {0};
    put_piece(&t, "<unk>", 0, 2);
    put_piece(&t, "<s>", 0, 3);
    put_piece(&t, "</s>", 0, 3);
    for (int i = 0; i < 256; i++) {
        snprintf(byte, sizeof byte, "<0x%02X>", (unsigned)i);
        put_piece(&t, byte, 0, 6);
    }
    put_piece(&t, "\xE2\x96\x81", -1, 1);
    put_piece(&t, "a", -2, 1);
    put_field(&t, 2, (const char[]){3 << 3, 2}, 2);
    free(put_file(folder, "tokenizer.model", &t));
    text_free(&t);
    assert_fails("tokenizer.model", read_tokenizer, folder, 5, 0);
    folder_remove(folder);
}

/* GPT-2's vocab.json and merges.txt. */
static void test_vocabulary_and_merges(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e = {0};
    json_t *whole = json_read_file("tests/fuzz/corpus/tokenizer/bytelevel.json", &e);
    assert_non_null(whole);
    json_t *model = json_object_get(whole, "model");
    char *vocab = json_dump_text(json_object_get(model, "vocab"), 0, NULL);
    assert_non_null(vocab);
    put_text(folder, "vocab.json", vocab);
    struct text merges = {0};
    text_add(&merges, "#version: 0.2\n");
    for (size_t i = 0; i < json_array_size(json_object_get(model, "merges")); i++)
        text_printf(&merges, "%s\n", json_string_value(json_array_get(json_object_get(model, "merges"), i)));
    put_text(folder, "merges.txt", text_c(&merges));
    put_text(folder, "config.json", "{\"model_type\": \"gpt2\"}");
    assert_fails("vocab.json and merges.txt", read_tokenizer, folder, 100, 0);
    text_free(&merges);
    free(vocab);
    json_decref(whole);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus), cmocka_unit_test(test_folders),
                                       cmocka_unit_test(test_sentencepiece),
                                       cmocka_unit_test(test_vocabulary_and_merges)};
    return cmocka_run_group_tests_name("corrupt/allocation", tests, NULL, NULL);
}
