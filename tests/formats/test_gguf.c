#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/formats/gguf.h"
#include "tests/formats/samples.h"
#include "tests/testing.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

static struct gguf *open_ok(const char *path)
{
    struct error e;
    struct gguf *g;
    assert_ok(gguf_open(&g, path, &e), &e);
    return g;
}

/* Puts the text into a folder and opens it. */
static struct gguf *open_text(const char *folder, struct text *t)
{
    char *path = put_file(folder, "x.gguf", t);
    struct gguf *g = open_ok(path);
    free(path);
    text_free(t);
    return g;
}

static void test_reads_layout(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    for (uint32_t version = 2; version <= 3; version++) {
        struct text t = {0};
        put_gguf(&t, version, 3, 1);
        put_key(&t, "general.name", GGUF_STRING);
        put_string(&t, "small");
        put_tensor(&t, "matrix", (uint64_t[]){4, 3, 0}, DTYPE_F32, 0);
        put_tensor(&t, "blocks", (uint64_t[]){32, 2, 1, 0}, DTYPE_Q8_0, 64);
        put_tensor(&t, "scalar", (uint64_t[]){0}, DTYPE_I8, 160);
        put_zeros(&t, (32 - t.length % 32) % 32);
        size_t start = t.length;
        put_zeros(&t, 161); /* ends with the last tensor */
        struct gguf *g = open_text(folder, &t);
        assert_int_equal(gguf_version(g), version);
        assert_int_equal(gguf_size(g), start + 161);
        assert_int_equal(gguf_tensor_count(g), 3);
        const struct tensor *m = gguf_tensor(g, "matrix"), *b = gguf_tensor_at(g, 1), *s = gguf_tensor(g, "scalar");
        assert_int_equal(m->n_dims, 2);
        assert_int_equal(m->shape[0], 3); /* rows first */
        assert_int_equal(m->shape[1], 4);
        assert_int_equal(m->shape[2], 1);
        assert_int_equal(m->bytes, 48);
        assert_ptr_equal(m->data, gguf_bytes(g) + start);
        assert_string_equal(b->name, "blocks");
        assert_int_equal(b->type, DTYPE_Q8_0);
        assert_int_equal(b->shape[1], 2);
        assert_int_equal(b->bytes, 68);
        assert_ptr_equal(b->data, gguf_bytes(g) + start + 64);
        assert_int_equal(s->n_dims, 0);
        assert_int_equal(s->bytes, 1);
        assert_null(gguf_tensor(g, "absent"));
        gguf_close(g);
    }
    folder_remove(folder);
}

static void test_alignment_and_order(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct text t = {0};
    put_gguf(&t, 3, 3, 1);
    put_key(&t, "general.alignment", GGUF_U32);
    put_u32(&t, 8);
    put_tensor(&t, "later", (uint64_t[]){2, 0}, DTYPE_F32, 16);
    put_tensor(&t, "first", (uint64_t[]){4, 0}, DTYPE_F32, 0);
    /* a dimension of zero is legal, and may even lie within another tensor */
    put_string(&t, "empty");
    put_u32(&t, 2);
    put_u64(&t, 5);
    put_u64(&t, 0);
    put_u32(&t, DTYPE_F32);
    put_u64(&t, 8);
    put_zeros(&t, (8 - t.length % 8) % 8);
    size_t start = t.length;
    put_zeros(&t, 24);
    struct gguf *g = open_text(folder, &t);
    assert_ptr_equal(gguf_tensor(g, "later")->data, gguf_bytes(g) + start + 16);
    assert_int_equal(gguf_tensor(g, "empty")->bytes, 0);
    assert_int_equal(gguf_tensor(g, "empty")->shape[0], 0);
    assert_int_equal(gguf_tensor(g, "empty")->shape[1], 5);
    gguf_close(g);

    put_gguf(&t, 3, 0, 0); /* nothing at all, and no padding either */
    g = open_text(folder, &t);
    assert_int_equal(gguf_tensor_count(g), 0);
    assert_int_equal(gguf_value_count(g), 0);
    assert_null(gguf_find(g, "general.name"));
    gguf_close(g);
    folder_remove(folder);
}

/* One value of each type, and what each conversion says of it; NAN and -1 where it refuses. */
static void test_conversions(void **state)
{
    (void)state;
    static const struct {
        enum gguf_type type;
        uint64_t bits;
        double f64;
        int64_t u64, i64;
    } cases[] = {
        {GGUF_U8, 200, 200, 200, 200},
        {GGUF_I8, 0xfe, -2, -1, -2},
        {GGUF_U16, 65535, 65535, 65535, 65535},
        {GGUF_I16, 0x8000, -32768, -1, -32768},
        {GGUF_U32, 0xffffffff, 4294967295.0, 4294967295, 4294967295},
        {GGUF_I32, 0xfffffff6, -10, -1, -10},
        {GGUF_F32, 0x3f000000, 0.5, -1, -1},
        {GGUF_BOOL, 1, NAN, -1, -1},
        {GGUF_U64, UINT64_C(1) << 53, 0x1p53, INT64_C(1) << 53, INT64_C(1) << 53},
        {GGUF_U64, (UINT64_C(1) << 53) + 1, NAN, (INT64_C(1) << 53) + 1, (INT64_C(1) << 53) + 1},
        {GGUF_I64, UINT64_MAX - 6, -7, -1, -7},
        {GGUF_I64, 7, 7, 7, 7},
        {GGUF_F64, 0x3ff8000000000000, 1.5, -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[9]; /* one aside, so that the value is unaligned */
        memcpy(bytes + 1, &cases[i].bits, 8);
        struct gguf_value v = {.type = cases[i].type, .element = cases[i].type, .count = 1, .data = bytes + 1};
        struct gguf_string s;
        uint64_t u;
        int64_t n;
        double d;
        bool b;
        assert_int_equal(gguf_as_u64(&v, &u), cases[i].u64 >= 0);
        if (cases[i].u64 >= 0) assert_int_equal(u, cases[i].u64);
        assert_int_equal(gguf_as_f64(&v, &d), !isnan(cases[i].f64));
        if (!isnan(cases[i].f64)) assert_true(d == cases[i].f64);
        assert_int_equal(gguf_element_i64(&v, 0, &n), cases[i].i64 != -1);
        if (cases[i].i64 != -1) assert_int_equal(n, cases[i].i64);
        assert_false(gguf_element_i64(&v, 1, &n));
        assert_int_equal(gguf_as_bool(&v, &b), v.type == GGUF_BOOL);
        assert_false(gguf_as_string(&v, &s));
    }
    uint64_t huge = UINT64_MAX;
    struct gguf_value v = {.type = GGUF_U64, .element = GGUF_U64, .count = 1, .data = (const uint8_t *)&huge};
    int64_t n;
    assert_false(gguf_element_i64(&v, 0, &n));
    assert_string_equal(gguf_type_name(GGUF_F64), "f64");
    assert_string_equal(gguf_type_name(GGUF_TYPES), "unknown");
}

/* Writes metadata of every kind and three tensors, in pieces that do not respect their borders. */
static char *write_sample(const char *folder, uint32_t alignment)
{
    struct error e;
    struct gguf_writer *w;
    char *path = path_join(folder, "written.gguf", &e);
    assert_ok(gguf_writer_open(&w, path, &e), &e);
    gguf_write_u32(w, "general.alignment", alignment);
    gguf_write_string(w, "general.architecture", "llama");
    gguf_write_u32(w, "llama.block_count", 7);
    gguf_write_f32(w, "llama.epsilon", 1e-5f);
    gguf_write_bool(w, "tokenizer.ggml.add_bos_token", true);
    gguf_write_strings(w, "tokens", (struct gguf_string[]){{"a\0b", 3}, {"", 0}, {"\xff", 1}}, 3);
    gguf_write_i32s(w, "types", (int32_t[]){1, -2, 3}, 3);
    gguf_write_f32s(w, "scores", (float[]){0.5f, -1}, 2);
    gguf_write_strings(w, "none", NULL, 0);
    gguf_write_tensor(w, "nothing", DTYPE_F16, 2, (int64_t[]){0, 4});
    gguf_write_tensor(w, "a", DTYPE_F32, 2, (int64_t[]){3, 5});
    gguf_write_tensor(w, "b", DTYPE_Q4_K, 1, (int64_t[]){256});
    gguf_write_tensor(w, "c", DTYPE_I8, 0, NULL);
    gguf_write_tensor(w, "nothing more", DTYPE_F16, 1, (int64_t[]){0});
    uint8_t data[60 + 144 + 1];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i + 1);
    gguf_write_data(w, data, 17);
    gguf_write_data(w, data + 17, 0);
    gguf_write_data(w, data + 17, sizeof data - 17);
    assert_ok(gguf_writer_commit(&w, &e), &e);
    assert_null(w);
    return path;
}

static void check_scalars(const struct gguf *g)
{
    double d;
    bool b;
    uint64_t u;
    int64_t n;
    struct gguf_string s;
    assert_true(gguf_as_string(gguf_find(g, "general.architecture"), &s));
    assert_int_equal(s.length, 5);
    assert_memory_equal(s.bytes, "llama", 5);
    assert_true(gguf_as_u64(gguf_find(g, "llama.block_count"), &u) && u == 7);
    assert_true(gguf_as_f64(gguf_find(g, "llama.epsilon"), &d) && d == (double)1e-5f);
    assert_true(gguf_as_bool(gguf_find(g, "tokenizer.ggml.add_bos_token"), &b) && b);
    assert_true(gguf_element_i64(gguf_find(g, "types"), 1, &n) && n == -2);
    assert_true(gguf_element_f64(gguf_find(g, "scores"), 0, &d) && d == 0.5);
    assert_false(gguf_element_f64(gguf_find(g, "scores"), 2, &d));
}

static void check_strings(const struct gguf *g)
{
    struct error e;
    struct gguf_string *strings = gguf_strings(g, gguf_find(g, "tokens"), &e);
    assert_non_null(strings);
    assert_int_equal(gguf_find(g, "tokens")->count, 3);
    assert_int_equal(strings[0].length, 3);
    assert_memory_equal(strings[0].bytes, "a\0b", 3);
    assert_int_equal(strings[1].length, 0);
    assert_memory_equal(strings[2].bytes, "\xff", 1);
    free(strings);
    assert_null(gguf_strings(g, gguf_find(g, "types"), &e));
    assert_error((int)e.code, &e, ERROR_INPUT, "metadata \"types\": type: is an array of i32");
    assert_null(gguf_strings(g, gguf_find(g, "general.architecture"), &e));
    assert_error((int)e.code, &e, ERROR_INPUT, "type: is string");
    strings = gguf_strings(g, gguf_find(g, "none"), &e);
    assert_non_null(strings);
    free(strings);
}

static void check_data(const struct gguf *g, uint32_t alignment)
{
    const uint8_t *a = gguf_tensor(g, "a")->data, *q = gguf_tensor(g, "b")->data, *c = gguf_tensor(g, "c")->data;
    assert_int_equal(gguf_tensor(g, "a")->shape[0], 3);
    assert_int_equal(gguf_tensor(g, "a")->shape[1], 5);
    assert_int_equal((a - gguf_bytes(g)) % alignment, 0);
    assert_int_equal((q - a) % alignment, 0);
    assert_int_equal(a[0], 1);
    assert_int_equal(a[59], 60);
    for (const uint8_t *p = a + 60; p < q; p++) assert_int_equal(*p, 0);
    assert_int_equal(q[0], 61);
    assert_int_equal(q[143], 204);
    assert_int_equal(*c, 205);
    assert_int_equal(gguf_size(g) % alignment, 0);
    assert_string_equal(gguf_tensor_at(g, 4)->name, "nothing more");
}

static void test_writer_round_trip(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    for (uint32_t alignment = 8; alignment <= 256; alignment *= 2) {
        char *path = write_sample(folder, alignment);
        struct gguf *g = open_ok(path);
        assert_int_equal(gguf_version(g), 3);
        assert_int_equal(gguf_value_count(g), alignment == 32 ? 8 : 9);
        assert_int_equal(gguf_find(g, "general.alignment") == NULL, alignment == 32);
        check_scalars(g);
        check_strings(g);
        check_data(g, alignment);
        gguf_close(g);
        free(path);
    }
    folder_remove(folder);
}

/* Copies every value and tensor of a file with the writer. */
static char *copy_file(const char *folder, const struct gguf *g)
{
    struct error e;
    struct gguf_writer *w;
    char *path = path_join(folder, "copy.gguf", &e);
    assert_ok(gguf_writer_open(&w, path, &e), &e);
    for (size_t i = 0; i < gguf_value_count(g); i++) gguf_write_value(w, gguf_value(g, i));
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct tensor *t = gguf_tensor_at(g, i);
        gguf_write_tensor(w, t->name, t->type, t->n_dims, t->shape);
    }
    for (size_t i = 0; i < gguf_tensor_count(g); i++)
        gguf_write_data(w, gguf_tensor_at(g, i)->data, gguf_tensor_at(g, i)->bytes);
    assert_ok(gguf_writer_commit(&w, &e), &e);
    return path;
}

static void assert_same_file(const struct gguf *g, const char *path)
{
    struct gguf *h = open_ok(path);
    assert_int_equal(gguf_size(g), gguf_size(h));
    assert_memory_equal(gguf_bytes(g), gguf_bytes(h), gguf_size(g));
    gguf_close(h);
}

static void test_copy_is_identical(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    for (uint32_t alignment = 16; alignment <= 64; alignment *= 2) {
        char *path = write_sample(folder, alignment);
        struct gguf *g = open_ok(path);
        char *copy = copy_file(folder, g);
        assert_same_file(g, copy);
        gguf_close(g);
        free(copy);
        free(path);
    }
    folder_remove(folder);
}

/* Files that another program wrote: names and types as expected.json has them, and a copy that is the same bytes. */
static void test_vectors(void **state)
{
    (void)state;
    json_t *expected = golden(shared_path("vectors/gguf/expected.json")), *tensors;
    char *folder = folder_temporary();
    const char *name;
    size_t files = 0;
    json_object_foreach(json_object_get(expected, "files"), name, tensors)
    {
        char relative[128];
        snprintf(relative, sizeof relative, "vectors/gguf/%s", name);
        struct gguf *g = open_ok(shared_path(relative));
        const char *tensor_name;
        json_t *about;
        json_object_foreach(tensors, tensor_name, about)
        {
            const struct tensor *t = gguf_tensor(g, tensor_name);
            assert_non_null(t);
            assert_string_equal(dtype_of((int)t->type)->name, json_string_value(json_object_get(about, "type")));
            size_t bytes;
            assert_true(tensor_bytes(t->type, t->n_dims, t->shape, &bytes));
            assert_int_equal(t->bytes, bytes);
            char hex[HASH_HEX];
            hash_hex(t->data, t->bytes, hex);
            assert_string_equal(hex, json_string_value(json_object_get(about, "sha256")));
        }
        char *copy = copy_file(folder, g);
        assert_same_file(g, copy);
        free(copy);
        gguf_close(g);
        files++;
    }
    assert_true(files > 10);
    struct gguf *g = open_ok(shared_path("vectors/gguf/tiny-f16.gguf"));
    assert_true(gguf_tensor_count(g) > 0);
    gguf_close(g);
    json_decref(expected);
    folder_remove(folder);
}

/* What the writer is told wrongly is an error of the commit, and no file comes of it. */
static void misuse_key_twice(struct gguf_writer *w)
{
    gguf_write_u32(w, "k", 1);
    gguf_write_bool(w, "k", true);
}
static void misuse_tensor_twice(struct gguf_writer *w)
{
    gguf_write_tensor(w, "t", DTYPE_F32, 1, (int64_t[]){0});
    gguf_write_tensor(w, "t", DTYPE_F32, 1, (int64_t[]){0});
}
static void misuse_too_little(struct gguf_writer *w)
{
    gguf_write_tensor(w, "t", DTYPE_F32, 1, (int64_t[]){2});
    gguf_write_data(w, "1234", 4);
}
static void misuse_too_much(struct gguf_writer *w)
{
    gguf_write_tensor(w, "t", DTYPE_F32, 1, (int64_t[]){1});
    gguf_write_data(w, "12345", 5);
}
static void misuse_late_key(struct gguf_writer *w)
{
    misuse_tensor_twice(w);
    gguf_write_u32(w, "after a failure nothing is written", 1);
}
static void misuse_after_data(struct gguf_writer *w)
{
    gguf_write_tensor(w, "t", DTYPE_I8, 1, (int64_t[]){1});
    gguf_write_data(w, "1", 1);
    gguf_write_u32(w, "late", 1);
}
static void misuse_shape(struct gguf_writer *w) { gguf_write_tensor(w, "t", DTYPE_Q8_0, 1, (int64_t[]){33}); }
static void misuse_dims(struct gguf_writer *w) { gguf_write_tensor(w, "t", DTYPE_F32, 5, (int64_t[]){1, 1, 1, 1, 1}); }
static void misuse_alignment(struct gguf_writer *w) { gguf_write_u32(w, "general.alignment", 24); }
static void misuse_empty_key(struct gguf_writer *w) { gguf_write_f32(w, "", 1); }

static void test_writer_misuse(void **state)
{
    (void)state;
    static const struct {
        void (*misuse)(struct gguf_writer *);
        const char *says;
    } cases[] = {
        {misuse_key_twice, "key \"k\" is written twice"},
        {misuse_tensor_twice, "tensor \"t\" is written twice"},
        {misuse_too_little, "tensor \"t\" got 4 of its 8 bytes"},
        {misuse_too_much, "1 bytes of data beyond the last"},
        {misuse_late_key, "tensor \"t\" is written twice"},
        {misuse_after_data, "\"late\" comes after the first data"},
        {misuse_shape, "tensor \"t\": no file can have this type and shape"},
        {misuse_dims, "tensor \"t\": no file can have this type and shape"},
        {misuse_alignment, "24 is not a power of two"},
        {misuse_empty_key, "is no name"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        struct gguf_writer *w;
        char *path = path_join(folder, "never.gguf", &e);
        assert_ok(gguf_writer_open(&w, path, &e), &e);
        cases[i].misuse(w);
        assert_error(gguf_writer_commit(&w, &e), &e, ERROR_IO, cases[i].says);
        assert_null(w);
        assert_false(path_exists(path));
        free(path);
    }
    assert_int_equal(rmdir(folder), 0); /* and no temporary file is left */
    free(folder);
}

static void test_writer_abandon(void **state)
{
    (void)state;
    struct error e;
    struct gguf_writer *w;
    char *folder = folder_temporary(), *path = path_join(folder, "never.gguf", &e);
    assert_ok(gguf_writer_open(&w, path, &e), &e);
    misuse_too_little(w);
    gguf_writer_abandon(&w);
    assert_null(w);
    gguf_writer_abandon(&w);
    assert_int_equal(rmdir(folder), 0);
    assert_error(gguf_writer_open(&w, path, &e), &e, ERROR_IO, "No such file or directory");
    free(path);
    free(folder);
}

/* A quadratic check for duplicates would take minutes here. */
static void test_many_keys(void **state)
{
    (void)state;
    enum { N = 100000 };
    char *folder = folder_temporary(), key[32];
    struct text t = {0};
    put_gguf(&t, 3, 0, N);
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "key.%d", i);
        put_key(&t, key, GGUF_U32);
        put_u32(&t, (uint32_t)i);
    }
    clock_t start = clock();
    struct gguf *g = open_text(folder, &t);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5);
    assert_int_equal(gguf_value_count(g), N);
    uint64_t v;
    assert_true(gguf_as_u64(gguf_find(g, "key.99999"), &v) && v == 99999);
    gguf_close(g);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_layout),      cmocka_unit_test(test_alignment_and_order),
        cmocka_unit_test(test_conversions),       cmocka_unit_test(test_writer_round_trip),
        cmocka_unit_test(test_copy_is_identical), cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_writer_misuse),     cmocka_unit_test(test_writer_abandon),
        cmocka_unit_test(test_many_keys),
    };
    return cmocka_run_group_tests_name("formats/gguf", tests, NULL, NULL);
}
