#include "engine/base/file.h"
#include "engine/formats/checkpoint.h"
#include "tests/formats/samples.h"
#include "tests/testing.h"

#include <unistd.h>

static struct checkpoint *open_ok(const char *path)
{
    struct error e;
    struct checkpoint *c;
    assert_ok(checkpoint_open(&c, path, &e), &e);
    assert_string_equal(checkpoint_path(c), path);
    return c;
}

static void test_shipped(void **state)
{
    (void)state;
    static const struct {
        const char *path, *type, *tensor;
        int64_t rows, columns;
    } cases[] = {
        {"datasets/millbrook/llama", "llama", "model.embed_tokens.weight", 1280, 256},
        {"datasets/millbrook/gpt2", "gpt2", "wte.weight", 1280, 256},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct checkpoint *c = open_ok(cases[i].path);
        const struct tensor *t = checkpoint_tensor(c, cases[i].tensor);
        const json_t *config = checkpoint_config(c);
        assert_null(checkpoint_gguf(c));
        assert_string_equal(json_string_value(json_object_get(config, "model_type")), cases[i].type);
        assert_non_null(t);
        assert_int_equal(t->type, DTYPE_F16);
        assert_int_equal(t->shape[0], cases[i].rows);
        assert_int_equal(t->shape[1], cases[i].columns);
        assert_true(checkpoint_count(c) > 20);
        for (size_t k = 0; k < checkpoint_count(c); k++)
            assert_ptr_equal(checkpoint_tensor(c, checkpoint_at(c, k)->name), checkpoint_at(c, k));
        checkpoint_close(c);
    }
}

static void put_text(const char *folder, const char *name, const char *text)
{
    free(file_put(folder, name, text, strlen(text)));
}

/* One shard of two F32 scalars with values of its own. */
static void put_shard(const char *folder, const char *name, const char *first, const char *second, float value)
{
    struct text t = {0}, header = {0};
    text_printf(&header,
                "{\"%s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                "\"%s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]}}",
                first, second);
    put_string(&t, text_c(&header));
    text_bytes(&t, &value, 4);
    value += 1;
    text_bytes(&t, &value, 4);
    free(put_file(folder, name, &t));
    text_free(&header);
    text_free(&t);
}

static float value_of(const struct checkpoint *c, const char *name)
{
    const struct tensor *t = checkpoint_tensor(c, name);
    float v;
    assert_non_null(t);
    memcpy(&v, t->data, sizeof v);
    return v;
}

static const char index_text[] = "{\"metadata\":{\"total_size\":16},\"weight_map\":{"
                                 "\"d\":\"model-00002-of-00002.safetensors\","
                                 "\"a\":\"model-00001-of-00002.safetensors\","
                                 "\"c\":\"model-00002-of-00002.safetensors\"}}";

static void test_sharded(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    put_text(folder, "config.json", "{\"model_type\":\"llama\"}");
    put_text(folder, "model.safetensors.index.json", index_text);
    put_shard(folder, "model-00001-of-00002.safetensors", "a", "unlisted", 1);
    put_shard(folder, "model-00002-of-00002.safetensors", "c", "d", 3);
    struct checkpoint *c = open_ok(folder);
    assert_int_equal(checkpoint_count(c), 3);
    assert_string_equal(checkpoint_at(c, 0)->name, "d");
    assert_true(value_of(c, "a") == 1 && value_of(c, "c") == 3 && value_of(c, "d") == 4);
    assert_null(checkpoint_tensor(c, "unlisted"));
    checkpoint_close(c);

    put_shard(folder, "model.safetensors", "a", "b", 7); /* a single file goes before an index */
    c = open_ok(folder);
    assert_int_equal(checkpoint_count(c), 2);
    assert_true(value_of(c, "a") == 7);
    checkpoint_close(c);
    folder_remove(folder);
}

static void test_links(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    put_shard(folder, "blob", "a", "b", 5);
    put_text(folder, "config.json", "{}");
    char *path = path_join(folder, "model.safetensors", &e);
    assert_int_equal(symlink("blob", path), 0);
    struct checkpoint *c = open_ok(folder);
    assert_true(value_of(c, "b") == 6);
    checkpoint_close(c);
    free(path);
    folder_remove(folder);
}

static void test_gguf_file(void **state)
{
    (void)state;
    char *folder = folder_temporary(), hex[HASH_HEX], expected[HASH_HEX];
    struct error e;
    struct text t = {0};
    put_gguf(&t, 3, 1, 0);
    put_tensor(&t, "w", (uint64_t[]){2, 3, 0}, DTYPE_F16, 0);
    put_zeros(&t, (32 - t.length % 32) % 32 + 12);
    hash_hex(t.bytes, t.length, expected);
    char *path = put_file(folder, "any.name", &t);
    struct checkpoint *c = open_ok(path);
    assert_non_null(checkpoint_gguf(c));
    assert_null(checkpoint_config(c));
    assert_int_equal(checkpoint_count(c), 1);
    assert_ptr_equal(checkpoint_tensor(c, "w"), checkpoint_at(c, 0));
    assert_int_equal(checkpoint_at(c, 0)->shape[0], 3);
    assert_ok(checkpoint_hash(c, hex, &e), &e);
    assert_string_equal(hex, expected);
    checkpoint_close(c);
    text_free(&t);
    free(path);
    folder_remove(folder);
}

static void hash_of(const char *folder, char hex[HASH_HEX])
{
    struct error e;
    struct checkpoint *c = open_ok(folder);
    assert_ok(checkpoint_hash(c, hex, &e), &e);
    checkpoint_close(c);
}

static void add_part(struct text *t, const char *folder, const char *name)
{
    struct error e;
    struct file f;
    char *path = path_join(folder, name, &e);
    assert_ok(file_map(&f, path, &e), &e);
    text_add(t, name);
    text_char(t, 0);
    put_u64(t, f.size);
    text_bytes(t, f.data, f.size);
    file_unmap(&f);
    free(path);
}

/* The hash is over config.json, the index and the shards in order of name, and over nothing else in the folder. */
static void test_folder_hash(void **state)
{
    (void)state;
    static const char *const parts[] = {"config.json", "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors", "model.safetensors.index.json"};
    char *folder = folder_temporary(), before[HASH_HEX], after[HASH_HEX], expected[HASH_HEX];
    put_text(folder, "config.json", "{}");
    put_text(folder, "model.safetensors.index.json", index_text);
    put_shard(folder, "model-00001-of-00002.safetensors", "a", "b", 1);
    put_shard(folder, "model-00002-of-00002.safetensors", "c", "d", 3);
    struct text t = {0};
    for (size_t i = 0; i < 4; i++) add_part(&t, folder, parts[i]);
    hash_hex(t.bytes, t.length, expected);
    text_free(&t);
    hash_of(folder, before);
    assert_string_equal(before, expected);
    put_text(folder, "README.md", "something else");
    hash_of(folder, after);
    assert_string_equal(before, after);
    put_shard(folder, "model-00002-of-00002.safetensors", "c", "d", 4);
    hash_of(folder, after);
    assert_string_not_equal(before, after);
    folder_remove(folder);
}

/* Pieces of any size give the hash of the whole. */
static void test_hash_streams(void **state)
{
    (void)state;
    char whole[HASH_HEX], pieces[HASH_HEX];
    uint8_t data[300];
    struct hash h;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)i;
    hash_hex(data, sizeof data, whole);
    hash_init(&h);
    for (size_t at = 0, n = 0; at < sizeof data; at += n, n++)
        hash_update(&h, data + at, n < sizeof data - at ? n : sizeof data - at);
    hash_finish(&h, pieces);
    assert_string_equal(whole, pieces);
    hash_hex("abc", 3, whole); /* FIPS 180-2, appendix B.1 */
    assert_string_equal(whole, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped),   cmocka_unit_test(test_sharded),     cmocka_unit_test(test_links),
        cmocka_unit_test(test_gguf_file), cmocka_unit_test(test_folder_hash), cmocka_unit_test(test_hash_streams),
    };
    return cmocka_run_group_tests_name("formats/checkpoint", tests, NULL, NULL);
}
