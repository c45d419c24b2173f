#include "engine/formats/safetensors.h"
#include "tests/formats/samples.h"
#include "tests/testing.h"

static int open_sample(const char *folder, const struct text *t, struct error *e)
{
    struct safetensors *s;
    char *path = put_file(folder, "x.safetensors", t);
    int status = safetensors_open(&s, path, e);
    assert_int_equal(s == NULL, status != 0);
    safetensors_close(s);
    free(path);
    return status;
}

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"
#define B "\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[16,18]}"

static const char valid[] = "{" A "," B "}";

/* Headers before 18 bytes of data, which A and B cover. */
static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header, *says;
    } cases[] = {
        {"", "offset 0x8: header: must be a JSON object"},
        {" {}", "offset 0x8: header: must be a JSON object that begins with {"},
        {"[]", "offset 0x8: header: must be a JSON object"},
        {"{", "offset 0x8: header: line 1, column 1: ends where a name in quotation marks is due"},
        {"{\"a\"", "offset 0x8: header: line 1, column 4: ends where a : is due"},
        {"{\"a\":", "offset 0x8: header: line 1, column 5: ends where a value is due"},
        {"{\"a\":}", "offset 0x8: header: line 1, column 6: \"}\" stands where a value is due"},
        {"{\"a\":,}", "offset 0x8: header: line 1, column 6: \",\" stands where a value is due"},
        {"{\"a\":{\"b\":\"}}", "offset 0x8: header: line 1, column 6: a value has no end"},
        {"{\"a\":{}]", "offset 0x8: header: line 1, column 8: \"]\" stands where a , or } is due"},
        {"{\"a\":{]}", "offset 0x8: header: \"a\": line 1, column 7: "},
        {"{7:{}}", "offset 0x8: header: line 1, column 2: \"7\" stands where a name in quotation marks is due"},
        {"{" A "," B ",}", "stands where a name in quotation marks is due"},
        {"{" A "," B "}\v", "0x0B stands where the end is due"},
        {"{" A "," B "} x", "\"x\" stands where the end is due"},
        {"{" A "," A "}", "tensor \"a\": name: is there twice"},
        {"{\"a\\u0000\":{}}", "offset 0x8: header: line 1, column "},
        {"{\"a\xff\":{}}", "offset 0x8: header: line 1, column "},
        {"{\"\\ud800\":{}," A "," B "}", "offset 0x8: header: line 1, column "},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[1e999],\"data_offsets\":[16,18]}}", "real number overflow"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[],\"shape\":[],\"data_offsets\":[16,18]}}",
         "duplicate object key"},
        {"{" A "," B ",\"__metadata__\":{},\"__metadata__\":{}}", "__metadata__: is there twice"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[0,9223372036854775807],\"data_offsets\":[16,18]}}",
         "tensor \"b\": data_offsets: [16, 18] is 2 bytes, but dtype and shape take 0"},
        {"{\"__metadata__\":[]," A "," B "}", "__metadata__: must be an object of strings"},
        {"{\"__metadata__\":{\"k\":1}," A "," B "}", "__metadata__: must be an object of strings"},
        {"{\"\":{\"dtype\":\"F16\",\"shape\":[9],\"data_offsets\":[0,18]}}", "tensor \"\": name: is empty"},
        {"{" A ",\"b\":7}", "tensor \"b\": value: must be an object"},
        {"{" A ",\"b\":{\"shape\":[],\"data_offsets\":[16,18]}}", "tensor \"b\": dtype: must be a string"},
        {"{" A ",\"b\":{\"dtype\":3,\"shape\":[],\"data_offsets\":[16,18]}}", "tensor \"b\": dtype: must be a string"},
        {"{" A ",\"b\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[16,18]}}",
         "tensor \"b\": dtype: \"F8_E4M3\" is not supported"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"data_offsets\":[16,18]}}", "tensor \"b\": shape: must be an array"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[1,1,1,1,1],\"data_offsets\":[16,18]}}",
         "tensor \"b\": shape: 5 dimensions are more than 4"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[1,-1],\"data_offsets\":[16,18]}}",
         "tensor \"b\": shape: dimension 1 is no integer of at least 0"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[1.0],\"data_offsets\":[16,18]}}",
         "tensor \"b\": shape: dimension 0 is no integer"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[4294967296,4294967296],\"data_offsets\":[16,18]}}",
         "tensor \"b\": shape: the product of the dimensions"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[9223372036854775807],\"data_offsets\":[16,18]}}",
         "tensor \"b\": shape: the product of the dimensions"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[99999999999999999999],\"data_offsets\":[16,18]}}",
         "offset 0x8: header: \"b\": line 1, column "},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[]}}", "tensor \"b\": data_offsets: must be two integers"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[16]}}",
         "tensor \"b\": data_offsets: must be two integers"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[16,\"18\"]}}",
         "tensor \"b\": data_offsets: must be two integers"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[18,16]}}",
         "tensor \"b\": data_offsets: [18, 16] is no range"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[-2,0]}}",
         "tensor \"b\": data_offsets: [-2, 0] is no range"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[17,19]}}",
         "tensor \"b\": data_offsets: [17, 19] exceeds the data, 18 bytes"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[9223372036854775805,9223372036854775807]}}",
         "tensor \"b\": data_offsets: [9223372036854775805, 9223372036854775807] exceeds"},
        {"{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[16,18]}}",
         "tensor \"b\": data_offsets: [16, 18] is 2 bytes, but dtype and shape take 4"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[14,16]}}",
         "tensor \"b\": data_offsets: overlap: begins at 14"},
        {"{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[8,8]}}",
         "tensor \"b\": data_offsets: overlap: begins at 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}," B "}",
         "tensor \"b\": data_offsets: gap: begins at 16, but the tensor before it ends at 12"},
        {"{" B "}", "tensor \"b\": data_offsets: gap: begins at 16, but the header ends at 0"},
        {"{" A "}", "data: 2 bytes follow the last tensor"},
        {"{}", "data: 18 bytes follow the last tensor"},
    };
    char *folder = folder_temporary();
    struct text t = {0};
    struct error e;
    put_safetensors(&t, valid, 18);
    assert_ok(open_sample(folder, &t, &e), &e);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_clear(&t);
        put_safetensors(&t, cases[i].header, 18);
        assert_error(open_sample(folder, &t, &e), &e, ERROR_INPUT, cases[i].says);
    }
    text_free(&t);
    folder_remove(folder);
}

static void test_header_length(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct text t = {0};
    struct error e;
    put_safetensors(&t, valid, 18);
    const uint64_t lengths[] = {t.length - 7, UINT64_C(100000001), UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memcpy(t.bytes, &lengths[i], 8);
        assert_error(open_sample(folder, &t, &e), &e, ERROR_INPUT, "offset 0x0: header length: ");
    }
    memcpy(t.bytes, &(uint64_t){2}, 8);
    assert_error(open_sample(folder, &t, &e), &e, ERROR_INPUT,
                 "offset 0x8: header: line 1, column 2: a name has no quotation mark at its end");
    text_free(&t);
    folder_remove(folder);
}

static void test_deep_nesting(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    static const struct {
        int opened, closed;
        const char *says;
    } cases[] = {{100000, 0, "header: line 1, column 6: a value has no end"},
                 {100000, 100000, "tensor \"a\": value: has more than 65536 bytes"},
                 {10000, 10000, "header: \"a\": line 1, column 2054: maximum parsing depth reached"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text header = {0}, t = {0};
        struct error e;
        text_add(&header, "{\"a\":");
        for (int k = 0; k < cases[i].opened; k++) text_char(&header, '[');
        for (int k = 0; k < cases[i].closed; k++) text_char(&header, ']');
        text_char(&header, '}');
        put_safetensors(&t, text_c(&header), 0);
        assert_error(open_sample(folder, &t, &e), &e, ERROR_INPUT, cases[i].says);
        text_free(&header);
        text_free(&t);
    }
    folder_remove(folder);
}

static void test_truncated(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct text t = {0};
    struct error e;
    put_safetensors(&t, valid, 18);
    size_t whole = t.length;
    for (t.length = 0; t.length < whole; t.length++)
        assert_error(open_sample(folder, &t, &e), &e, ERROR_INPUT, "x.safetensors: ");
    text_free(&t);
    folder_remove(folder);
}

static void test_every_byte(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct text t = {0};
    struct error e;
    size_t refused = 0;
    put_safetensors(&t, valid, 18);
    for (size_t i = 0; i < t.length - 18; i++) {
        char saved = t.bytes[i];
        const char values[] = {0, '0', '9', '"', '{', (char)0xff};
        for (size_t k = 0; k < sizeof values; k++) {
            t.bytes[i] = values[k];
            int status = open_sample(folder, &t, &e);
            if (status) assert_error(status, &e, ERROR_INPUT, "x.safetensors: ");
            refused += status != 0;
        }
        t.bytes[i] = saved;
    }
    assert_true(refused > 500);
    text_free(&t);
    folder_remove(folder);
}

/* Every bit of the header's length and of the header. */
static void test_every_bit(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct text t = {0};
    struct error e;
    size_t refused = 0;
    put_safetensors(&t, valid, 18);
    for (size_t i = 0; i < 8 * (t.length - 18); i++) {
        t.bytes[i / 8] ^= (char)(1 << i % 8);
        const int status = open_sample(folder, &t, &e);
        t.bytes[i / 8] ^= (char)(1 << i % 8);
        if (status) assert_error(status, &e, ERROR_INPUT, "x.safetensors: ");
        refused += status != 0;
    }
    assert_in_range(refused, 900, 8 * (t.length - 18) - 8); /* names may be others */
    assert_ok(open_sample(folder, &t, &e), &e);
    text_free(&t);
    folder_remove(folder);
}

/* Odd, and as the format allows. */
static void test_oddities(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t size;
    } cases[] = {
        {"{}", 0},
        {"{}                              ", 0},
        {"{\"__metadata__\":{}}", 0},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[7,0,3],\"data_offsets\":[16,16]},\"b\":{\"dtype\":\"F32\",\"shape\":[4],"
         "\"data_offsets\":[0,16]}}",
         16},
        {"{" B "," A "}", 18}, /* not in the order of the data */
        {"{\"a\":{\"data_offsets\":[0,1],\"note\":[{}],\"shape\":[1],\"dtype\":\"U8\"}}", 1},
        {"{\"\\ud83d\\ude00 \\n\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[0,1]}}", 1},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text t = {0};
        struct error e;
        put_safetensors(&t, cases[i].header, cases[i].size);
        assert_ok(open_sample(folder, &t, &e), &e);
        text_free(&t);
    }
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),   cmocka_unit_test(test_header_length), cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_every_byte),    cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_oddities),
    };
    return cmocka_run_group_tests_name("corrupt/safetensors", tests, NULL, NULL);
}
