/* tokenizer.json in its many forms, against the ids of Hugging Face's tokenizers (reference.js). */
#include "tests/tokenizers/small.h"

#include "engine/base/random.h"

static void compare(const char *name, const struct tokenizer *t, const json_t *texts, const json_t *all)
{
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const json_t *text = json_array_get(texts, i);
        struct ids ids = encode(t, json_string_value(text), json_string_length(text), 0);
        json_t *got = json_array();
        for (size_t k = 0; k < ids.count; k++) json_array_append_new(got, json_integer(ids.at[k]));
        if (!json_equal(got, json_array_get(all, i))) {
            char *is = json_dumps(got, JSON_COMPACT), *should = json_dumps(json_array_get(all, i), JSON_COMPACT);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(patched), cmocka_unit_test(whole),
                                       cmocka_unit_test(hostile_texts)};
    return cmocka_run_group_tests_name("tokenizers/reference", tests, NULL, NULL);
}
