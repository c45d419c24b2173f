#include "engine/formats/safetensors.h"
#include "tests/formats/samples.h"
#include "tests/testing.h"

static struct safetensors *open_text(const char *folder, const char *header, size_t size)
{
    struct error e;
    struct safetensors *s;
    struct text t = {0};
    put_safetensors(&t, header, size);
    char *path = put_file(folder, "x.safetensors", &t);
    assert_ok(safetensors_open(&s, path, &e), &e);
    assert_string_equal(safetensors_path(s), path);
    assert_int_equal(safetensors_size(s), t.length);
    assert_memory_equal(safetensors_bytes(s), t.bytes, t.length);
    free(path);
    text_free(&t);
    return s;
}

static void test_reads_layout(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    static const char header[] = "{\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
                                 "\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"none\":{\"dtype\":\"F32\",\"shape\":[7,0],\"data_offsets\":[4,4]},"
                                 "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}    ";
    struct safetensors *s = open_text(folder, header, 16);
    const uint8_t *data = safetensors_bytes(s) + 8 + strlen(header);
    static const char *const order[] = {"scalar", "none", "b"};
    assert_int_equal(safetensors_count(s), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(safetensors_at(s, i)->name, order[i]);
        assert_ptr_equal(safetensors_tensor(s, order[i]), safetensors_at(s, i));
    }
    const struct tensor *b = safetensors_tensor(s, "b"), *scalar = safetensors_tensor(s, "scalar");
    assert_int_equal(b->type, DTYPE_F16);
    assert_int_equal(b->n_dims, 2);
    assert_int_equal(b->shape[0], 2);
    assert_int_equal(b->shape[1], 3);
    assert_int_equal(b->shape[3], 1);
    assert_int_equal(b->bytes, 12);
    assert_ptr_equal(b->data, data + 4);
    assert_int_equal(scalar->n_dims, 0);
    assert_ptr_equal(scalar->data, data);
    assert_int_equal(safetensors_tensor(s, "none")->bytes, 0);
    assert_null(safetensors_tensor(s, "__metadata__"));
    safetensors_close(s);

    s = open_text(folder, "{}", 0);
    assert_int_equal(safetensors_count(s), 0);
    safetensors_close(s);
    folder_remove(folder);
}

static void test_dtypes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum dtype_id type;
        size_t bytes;
    } cases[] = {{"F64", DTYPE_F64, 8}, {"F32", DTYPE_F32, 4}, {"F16", DTYPE_F16, 2}, {"BF16", DTYPE_BF16, 2},
                 {"I64", DTYPE_I64, 8}, {"I32", DTYPE_I32, 4}, {"I16", DTYPE_I16, 2}, {"I8", DTYPE_I8, 1},
                 {"U8", DTYPE_I8, 1},   {"BOOL", DTYPE_I8, 1}};
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"t\":{\"dtype\":\"%s\",\"shape\":[1,5,1,2],\"data_offsets\":[0,%zu]}}",
                 cases[i].name, 10 * cases[i].bytes);
        struct safetensors *s = open_text(folder, header, 10 * cases[i].bytes);
        assert_int_equal(safetensors_at(s, 0)->type, cases[i].type);
        assert_int_equal(safetensors_at(s, 0)->bytes, 10 * cases[i].bytes);
        safetensors_close(s);
    }
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_layout),
        cmocka_unit_test(test_dtypes),
    };
    return cmocka_run_group_tests_name("formats/safetensors", tests, NULL, NULL);
}
