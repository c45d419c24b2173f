/* Files that are written: the layout byte by byte, read back the same, and nothing left behind by what fails. */
#include "engine/base/file.h"
#include "engine/formats/safetensors.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int64_t two_three[] = {2, 3}, none[] = {7, 0};

static struct safetensors_writer *open_writer(const char *folder, char **path)
{
    struct error e;
    struct safetensors_writer *w;
    *path = path_join(folder, "x.safetensors", &e);
    assert_non_null(*path);
    assert_ok(safetensors_writer_open(&w, *path, &e), &e);
    return w;
}

static void test_layout(void **state)
{
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]},"
                                 "\"a \\\"\\u0001\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[12,13]}}";
    char *folder = folder_temporary(), *path;
    struct error e;
    struct file f;
    struct safetensors_writer *w = open_writer(folder, &path);
    safetensors_write_tensor(w, "b", DTYPE_F16, 2, two_three);
    safetensors_write_tensor(w, "a \"\x01", DTYPE_I8, 0, NULL);
    safetensors_write_data(w, "abcdefghijkl!", 13);
    assert_ok(safetensors_writer_commit(&w, &e), &e);
    assert_null(w);
    assert_ok(file_map(&f, path, &e), &e);
    size_t n = strlen(header), padded = (n + 7) / 8 * 8;
    assert_int_equal(f.size, 8 + padded + 13);
    uint64_t length;
    memcpy(&length, f.data, sizeof length);
    assert_int_equal(length, padded);
    assert_memory_equal(f.data + 8, header, n);
    for (size_t i = n; i < padded; i++) assert_int_equal(f.data[8 + i], ' ');
    assert_memory_equal(f.data + 8 + padded, "abcdefghijkl!", 13);
    file_unmap(&f);
    free(path);
    folder_remove(folder);
}

/* Every type, empty tensors among them, data in pieces of every size. */
static void test_reads_back(void **state)
{
    (void)state;
    static const enum dtype_id types[] = {DTYPE_F64, DTYPE_I64,  DTYPE_F32, DTYPE_I32,
                                          DTYPE_F16, DTYPE_BF16, DTYPE_I16, DTYPE_I8};
    enum { TYPES = sizeof types / sizeof *types, BYTES = 6 * (8 + 8 + 4 + 4 + 2 + 2 + 2 + 1) };
    uint8_t data[BYTES];
    for (size_t i = 0; i < BYTES; i++) data[i] = (uint8_t)(i * 7);
    for (size_t step = 1; step < 40; step += 13) {
        char *folder = folder_temporary(), *path, name[32];
        struct error e;
        struct safetensors *s;
        struct safetensors_writer *w = open_writer(folder, &path);
        for (size_t i = 0; i < TYPES; i++) {
            snprintf(name, sizeof name, "empty %zu", i);
            safetensors_write_tensor(w, name, types[i], 2, none);
            safetensors_write_tensor(w, dtype_of((int)types[i])->name, types[i], 2, two_three);
        }
        for (size_t i = 0; i < BYTES; i += step)
            safetensors_write_data(w, data + i, BYTES - i < step ? BYTES - i : step);
        assert_ok(safetensors_writer_commit(&w, &e), &e);
        assert_ok(safetensors_open(&s, path, &e), &e);
        assert_int_equal(safetensors_count(s), 2 * TYPES);
        size_t at = 0;
        for (size_t i = 0; i < TYPES; i++) {
            const struct tensor *t = safetensors_tensor(s, dtype_of((int)types[i])->name);
            assert_non_null(t);
            assert_int_equal(t->type, types[i]);
            assert_true(t->n_dims == 2 && t->shape[0] == 2 && t->shape[1] == 3);
            assert_memory_equal(t->data, data + at, t->bytes);
            assert_int_equal((uintptr_t)t->data % dtype_of((int)types[i])->block_bytes, 0);
            at += t->bytes;
        }
        assert_int_equal(at, BYTES);
        safetensors_close(s);
        free(path);
        folder_remove(folder);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    char *folder = folder_temporary(), *path;
    struct error e;
    struct safetensors *s;
    struct safetensors_writer *w = open_writer(folder, &path);
    assert_ok(safetensors_writer_commit(&w, &e), &e);
    assert_ok(safetensors_open(&s, path, &e), &e);
    assert_int_equal(safetensors_count(s), 0);
    safetensors_close(s);
    free(path);
    folder_remove(folder);
}

/* What a caller may do wrong, named by a letter in the order of the calls. */
static void misuse(struct safetensors_writer *w, char how)
{
    if (how == 'd') safetensors_write_data(w, "123456", 6);
    if (how == 's') safetensors_write_data(w, "12345", 5);
    if (how == 'a') safetensors_write_tensor(w, "a", DTYPE_I8, 2, two_three);
    if (how == 'h') safetensors_write_tensor(w, "h", DTYPE_F16, 2, two_three);
    if (how == '1') safetensors_write_tensor(w, "1", DTYPE_I8, 0, NULL);
    if (how == 'q') safetensors_write_tensor(w, "q", DTYPE_Q8_0, 2, two_three);
    if (how == 'm') safetensors_write_tensor(w, "__metadata__", DTYPE_I8, 2, two_three);
    if (how == 'e') safetensors_write_tensor(w, "", DTYPE_I8, 2, two_three);
    if (how == 'u') safetensors_write_tensor(w, "\xff", DTYPE_I8, 2, two_three);
    if (how == 'l') safetensors_write_tensor(w, "l", DTYPE_I8, 2, (int64_t[]){INT64_MAX, 2});
    if (how == 'n') safetensors_write_tensor(w, "n", DTYPE_I8, 2, (int64_t[]){-1, 2});
}

static void test_misuse(void **state)
{
    (void)state;
    static const struct {
        const char *calls, *says;
    } cases[] = {
        {"a", "tensor 0 of 1 got 0 of its 6 bytes"},
        {"as", "tensor 0 of 1 got 5 of its 6 bytes"},
        {"add", "6 bytes of data beyond the last declared tensor"},
        {"d", "6 bytes of data beyond the last declared tensor"},
        {"adh", "tensor \"h\": comes after the first data"},
        {"aa", "tensor \"a\": is no name or is written twice"},
        {"m", "tensor \"__metadata__\": is no name"},
        {"e", "tensor \"\": is no name"},
        {"u", "is not UTF-8"},
        {"q", "tensor \"q\": the format has no such type"},
        {"l", "tensor \"l\": no file can have this shape"},
        {"n", "tensor \"n\": no file can have this shape"},
        {"1h", "tensor \"h\": its data would not be aligned"},
    };
    char *folder = folder_temporary();
    struct error e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path;
        struct safetensors_writer *w = open_writer(folder, &path);
        for (const char *c = cases[i].calls; *c; c++) misuse(w, *c);
        assert_error(safetensors_writer_commit(&w, &e), &e, ERROR_IO, cases[i].says);
        assert_null(w);
        assert_false(path_exists(path));
        free(path);
    }
    char *path;
    struct safetensors_writer *w = open_writer(folder, &path);
    misuse(w, 'a');
    misuse(w, 's');
    safetensors_writer_abandon(&w);
    safetensors_writer_abandon(&w);
    assert_int_equal(rmdir(folder), 0); /* nothing is left behind */
    assert_error(safetensors_writer_open(&w, path, &e), &e, ERROR_IO, "x.safetensors: create");
    assert_null(w);
    free(path);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_reads_back),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests_name("formats/safetensors_write", tests, NULL, NULL);
}
