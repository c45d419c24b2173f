/* Files made to be costly: read or refused in a second, with 64 MB. */
#include "engine/base/file.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/safetensors.h"
#include "suites/reader.h"
#include "tests/corrupt/limits.h"
#include "tests/formats/samples.h"

#include <stdio.h>

enum { MANY = 100000, DEEP = 100000 };

static int open_checkpoint(const char *path, struct error *e)
{
    struct checkpoint *c;
    const int status = checkpoint_open(&c, path, e);
    checkpoint_close(c);
    return status;
}

/* --- GGUF --- */

static void put_many_keys(struct text *t, size_t last)
{
    char key[32];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "key.%06zu", i == MANY - 1 ? last : i);
        put_key(t, key, GGUF_U8);
        text_char(t, 1);
    }
}

static void put_many_tensors(struct text *t, size_t last)
{
    char name[32];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "blk.%06zu.weight", i == MANY - 1 ? last : i);
        put_tensor(t, name, (uint64_t[]){1, 0}, DTYPE_F32, 32 * (MANY - 1 - i));
    }
    put_zeros(t, (32 - t->length % 32) % 32 + 32 * (size_t)MANY);
}

static void test_many(void **state)
{
    (void)state;
    static const struct {
        bool tensors;
        size_t last;
        enum error_code code;
        const char *says;
    } cases[] = {{false, MANY, 0, NULL},
                 {false, 7, ERROR_INPUT, "metadata \"key.000007\": key: is there twice"},
                 {true, MANY, 0, NULL},
                 {true, 7, ERROR_INPUT, "tensor \"blk.000007.weight\": name: is there twice"}};
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text t = {0};
        put_gguf(&t, 3, cases[i].tensors ? MANY : 0, cases[i].tensors ? 0 : MANY);
        if (cases[i].tensors)
            put_many_tensors(&t, cases[i].last);
        else
            put_many_keys(&t, cases[i].last);
        char *path = put_file(folder, "many.gguf", &t);
        text_free(&t);
        assert_cheap(open_checkpoint, path, cases[i].code, cases[i].says);
        free(path);
    }
    folder_remove(folder);
}

/* --- safetensors --- */

/* A file of `size` bytes, a hole but for the header's length and its beginning. */
static char *put_header(const char *folder, uint64_t length, const char *header, off_t size)
{
    struct text t = {0};
    put_u64(&t, length);
    text_add(&t, header);
    char *path = put_file(folder, "model.safetensors", &t);
    text_free(&t);
    assert_int_equal(truncate(path, size), 0);
    return path;
}

static int open_safetensors(const char *path, struct error *e)
{
    struct safetensors *s;
    const int status = safetensors_open(&s, path, e);
    safetensors_close(s);
    return status;
}

static void test_large_headers(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *header;
        off_t size;
        const char *says;
    } cases[] = {
        {100000001, "{}", 200000000, "offset 0x0: header length: 100000001 is more than is allowed, 100000000"},
        {100000000, "{}", 100000007, "offset 0x0: header length: 100000000 is more than the bytes that follow, 999999"},
        {100000000, "{", 100000008, "offset 0x8: header: byte 1: a NUL byte is no JSON"},
        {UINT64_C(1) << 60, "{", (off_t)1 << 40, "header length: 1152921504606846976 is more than the bytes that"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = put_header(folder, cases[i].length, cases[i].header, cases[i].size);
        assert_cheap(open_safetensors, path, ERROR_INPUT, cases[i].says);
        free(path);
    }
    folder_remove(folder);
}

static void test_many_tensors_in_json(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct text header = {0}, t = {0};
    for (size_t i = 0; i < MANY / 4; i++)
        text_printf(&header, "%c\"t%zu\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}", i ? ',' : '{', i,
                    i, i + 1);
    text_char(&header, '}');
    put_safetensors(&t, text_c(&header), MANY / 4);
    char *path = put_file(folder, "model.safetensors", &t);
    assert_cheap(open_safetensors, path, 0, NULL);
    free(path);
    text_free(&header);
    text_free(&t);
    folder_remove(folder);
}

/* --- JSON beside the weights --- */

static void test_hostile_json(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors.index.json", "quantize_config.json"};
    static const struct {
        const char *text;
        size_t times; /* that it stands there */
        const char *says;
    } cases[] = {
        {"[", DEEP, "maximum parsing depth reached"},
        {"{\"a\":", DEEP, "maximum parsing depth reached"},
        {"{\"a\": \"\\ud800\"}", 1, "line 1, column "},
        {"{\"a\": \"\\udc00\\ud800\"}", 1, "line 1, column "},
        {"{\"a\": 1e999}", 1, "real number overflow"},
        {"{\"a\": 99999999999999999999}", 1, "too big integer"},
        {"{\"a\": 1, \"b\": 2, \"a\": 1}", 1, "duplicate object key"},
        {"{\"a\": \"\xED\xA0\x80\"}", 1, "unable to decode byte"},
        {"\xEF\xBB\xBF{}", 1, "line 1, column "},
        {"[]", 1, "must be a JSON object"},
        {"", 1, "line 1, column 0"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        for (size_t k = 0; k < sizeof files / sizeof *files; k++) free(file_put(folder, files[k], "{}", 2));
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            struct text t = {0};
            struct error e;
            for (size_t n = 0; n < cases[k].times; n++) text_add(&t, cases[k].text);
            free(put_file(folder, files[i], &t));
            assert_cheap(open_checkpoint, folder, ERROR_INPUT, cases[k].says);
            assert_error(open_checkpoint(folder, &e), &e, ERROR_INPUT, files[i]);
            text_free(&t);
        }
    }
    folder_remove(folder);
}

/* --- data --- */

static int pass_by(void *user, json_t *doc, struct error *e)
{
    ++*(size_t *)user;
    return 0;
}

static int read_as(const char *reader, const char *options, const char *path, struct error *e)
{
    struct file f;
    size_t n = 0;
    int status = file_map(&f, path, e);
    if (status) return status;
    json_t *kwargs = options ? json_loads(options, 0, NULL) : NULL;
    const struct reader_source source = {path, (const char *)f.data, f.size, kwargs};
    status = reader_find(reader)->read(&source, pass_by, &n, e);
    json_decref(kwargs);
    file_unmap(&f);
    return status;
}

static int read_jsonl(const char *path, struct error *e) { return read_as("jsonl", NULL, path, e); }
static int read_squad(const char *path, struct error *e) { return read_as("squad", NULL, path, e); }
static int read_mmlu(const char *path, struct error *e) { return read_as("mmlu", NULL, path, e); }
static int read_cola(const char *path, struct error *e) { return read_as("cola", NULL, path, e); }
static int read_conll(const char *path, struct error *e) { return read_as("conll", NULL, path, e); }
static int read_csv(const char *path, struct error *e) { return read_as("csv", "{\"header\": true}", path, e); }

/* A line of 100 MB. A line is a document, which may be large: what it costs is some times its size, and no more. */
static void test_long_line(void **state)
{
    (void)state;
    enum { LINE = 100000000, SECONDS = 4, TIMES_MB = 400 };
    static const struct {
        limited *read;
        const char *begin, *says;
    } cases[] = {{read_jsonl, "", "long: line 1: column "},
                 {read_jsonl, "{\"a\": \"", "long: line 1: column "},
                 {read_squad, "", "long: line 1, column "},
                 {read_mmlu, "", "long: line 1: has 1 column, not 6"},
                 {read_mmlu, "\"", "long: line 1: a quotation mark is not closed, or"},
                 {read_csv, "\"", "long: line 1: a quotation mark is not closed, or"},
                 {read_cola, "", "long: line 1: has 1 column, not 4"},
                 {read_conll, "", "long: line 1: has one column"}};
    char *folder = folder_temporary(), *line = malloc(LINE);
    assert_non_null(line);
    memset(line, 'x', LINE);
    char *path = file_put(folder, "long", line, LINE);
    free(line);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FILE *f = fopen(path, "r+");
        assert_non_null(f);
        fprintf(f, "%s%.*s", cases[i].begin, (int)(8 - strlen(cases[i].begin)), "xxxxxxxx");
        fclose(f);
        assert_costs(cases[i].read, path, ERROR_INPUT, cases[i].says, SECONDS, TIMES_MB);
    }
    free(path);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_large_headers),
        cmocka_unit_test(test_many_tensors_in_json),
        cmocka_unit_test(test_hostile_json),
        cmocka_unit_test(test_long_line),
    };
    return cmocka_run_group_tests_name("corrupt/limits", tests, NULL, NULL);
}
