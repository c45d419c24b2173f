/* Importance matrices in both formats, and what is wrong with a file. */
#include "engine/base/file.h"
#include "engine/formats/imatrix.h"
#include "tests/formats/samples.h"

#include <math.h>
#include <stdio.h>

static void put_i32(struct text *t, int32_t v) { text_bytes(t, &v, 4); }
static void put_f32(struct text *t, float v) { text_bytes(t, &v, 4); }

static void put_entry(struct text *t, const char *name, int32_t calls, int32_t n, const float *values)
{
    put_i32(t, (int32_t)strlen(name));
    text_add(t, name);
    put_i32(t, calls);
    put_i32(t, n);
    for (int32_t i = 0; i < n; i++) put_f32(t, values[i]);
}

/* Two entries; the chunks and the dataset's name begin at *first_end and *second_end. */
static struct text binary_sample(size_t *first_end, size_t *second_end)
{
    struct text t = {0};
    put_i32(&t, 2);
    put_entry(&t, "blk.0.attn_q.weight", 4, 3, (float[]){4.f, 8.f, 0.f});
    put_entry(&t, "b", 0, 2, (float[]){1.f, 2.f});
    *first_end = t.length;
    put_i32(&t, 7);
    *second_end = t.length;
    put_i32(&t, 8);
    text_add(&t, "text.txt");
    return t;
}

struct put {
    const char *name;
    int n;
    const float *values;
    uint64_t dims[3]; /* fastest first */
    uint32_t type;
};

/* A GGUF file of these tensors (name NULL ends). */
static struct text gguf_sample(const struct put *tensors)
{
    struct text t = {0};
    uint64_t n = 0, offset = 0;
    while (tensors[n].name) n++;
    put_gguf(&t, 3, n, 3);
    put_key(&t, "general.type", GGUF_STRING);
    put_string(&t, "imatrix");
    put_key(&t, "imatrix.chunk_count", GGUF_U32);
    put_u32(&t, 9);
    put_key(&t, "imatrix.datasets", GGUF_ARRAY);
    put_u32(&t, GGUF_STRING);
    put_u64(&t, 2);
    put_string(&t, "one.txt");
    put_string(&t, "two.txt");
    for (uint64_t i = 0; i < n; i++) {
        put_tensor(&t, tensors[i].name, tensors[i].dims, tensors[i].type, offset);
        offset += ((uint64_t)tensors[i].n * 4 + 31) / 32 * 32;
    }
    for (uint64_t i = 0; i < n; i++) {
        put_zeros(&t, (32 - t.length % 32) % 32);
        for (int k = 0; k < tensors[i].n; k++) put_f32(&t, tensors[i].values[k]);
    }
    put_zeros(&t, (32 - t.length % 32) % 32);
    return t;
}

static const float three[] = {6.f, 0.f, 3.f}, four[] = {1.f, 2.f, 3.f, 4.f}, hundred[] = {100.f, 200.f, 300.f};
static const struct put good[] = {
    {"x.weight.in_sum2", 3, three, {3, 1}, 0},      {"x.weight.in_sum", 3, hundred, {3, 1}, 0},
    {"x.weight.counts", 1, &three[2], {1, 1}, 0},   {"experts.weight.counts", 2, four, {1, 2}, 0},
    {"experts.weight.in_sum2", 4, four, {2, 2}, 0}, {"none.in_sum2", 2, four, {2}, 0},
    {"none.counts", 1, &three[1], {1}, 0},          {NULL, 0, NULL, {0}, 0}};

/* Written without a sync, since it is done some thousand times. */
static int open_text(struct imatrix **im, const char *folder, const struct text *t, struct error *e)
{
    char *path = path_join(folder, "im", e);
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(text_c(t), 1, t->length, f) == t->length && fclose(f) == 0);
    int status = imatrix_open(im, path, e);
    free(path);
    return status;
}

static void assert_means(const struct imatrix *im, const char *name, int64_t cols, const float *wanted)
{
    struct error e;
    const float *got;
    assert_ok(imatrix_find(im, name, cols, &got, &e), &e);
    if (!wanted) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_memory_equal(got, wanted, (size_t)cols * sizeof *got);
}

static void test_binary(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    size_t first, second;
    struct text t = binary_sample(&first, &second);
    struct imatrix *im;
    assert_ok(open_text(&im, folder, &t, &e), &e);
    assert_int_equal(imatrix_count(im), 2);
    assert_int_equal(imatrix_chunks(im), 7);
    assert_string_equal(imatrix_dataset(im), "text.txt");
    char hash[HASH_HEX];
    hash_hex(t.bytes, t.length, hash);
    assert_string_equal(imatrix_hash(im), hash);
    assert_means(im, "blk.0.attn_q.weight", 3, (float[]){1.f, 2.f, 0.f});
    assert_means(im, "b", 2, NULL); /* no call */
    assert_means(im, "blk.0.attn_q", 3, NULL);
    const float *means;
    assert_error(imatrix_find(im, "blk.0.attn_q.weight", 4, &means, &e), &e, ERROR_INPUT,
                 "blk.0.attn_q.weight: has 3 columns, the model's has 4: it was made for another model");
    imatrix_close(im);
    text_free(&t);
    folder_remove(folder);
}

static void test_gguf(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    struct text t = gguf_sample(good);
    struct imatrix *im;
    assert_ok(open_text(&im, folder, &t, &e), &e);
    assert_int_equal(imatrix_count(im), 3);
    assert_int_equal(imatrix_chunks(im), 9);
    assert_string_equal(imatrix_dataset(im), "one.txt");
    assert_means(im, "x.weight", 3, (float[]){2.f, 0.f, 1.f});
    assert_means(im, "none", 2, NULL);
    const float *means;
    assert_error(imatrix_find(im, "experts.weight", 2, &means, &e), &e, ERROR_INPUT,
                 "experts.weight: is of 2 experts, the model's matrix is one");
    imatrix_close(im);
    text_free(&t);
    folder_remove(folder);
}

static void test_written(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    char *path = path_join(folder, "im.gguf", &e);
    const struct imatrix_entry entries[] = {{"blk.0.ffn_up.weight", 3, 2, (float[]){1.f, 0.f, 5.f}, 0, NULL},
                                            {"blk.0.ffn_down.weight", 2, 4, (float[]){2.f, 4.f}, 0, NULL}};
    assert_ok(imatrix_write(path, entries, 2, "a text.txt", 6, 512, &e), &e);
    struct imatrix *im;
    assert_ok(imatrix_open(&im, path, &e), &e);
    assert_int_equal(imatrix_count(im), 2);
    assert_int_equal(imatrix_chunks(im), 6);
    assert_string_equal(imatrix_dataset(im), "a text.txt");
    assert_string_equal(imatrix_path(im), path);
    assert_means(im, "blk.0.ffn_up.weight", 3, (float[]){.5f, 0.f, 2.5f});
    assert_means(im, "blk.0.ffn_down.weight", 2, (float[]){.5f, 1.f});
    imatrix_close(im);
    struct gguf *g; /* what other programs look for */
    assert_ok(gguf_open(&g, path, &e), &e);
    struct gguf_string type;
    assert_true(gguf_find(g, "general.type") && gguf_as_string(gguf_find(g, "general.type"), &type));
    assert_memory_equal(type.bytes, "imatrix", type.length);
    uint64_t size;
    assert_true(gguf_as_u64(gguf_find(g, "imatrix.chunk_size"), &size) && size == 512);
    const struct tensor *counts = gguf_tensor(g, "blk.0.ffn_down.weight.counts");
    assert_true(counts && counts->n_dims == 2 && counts->shape[0] == 1 && counts->shape[1] == 1);
    gguf_close(g);
    assert_error(imatrix_write("nowhere/at/all.gguf", entries, 2, "", 1, 1, &e), &e, ERROR_IO, "nowhere/at/all.gguf");
    free(path);
    folder_remove(folder);
}

static void refuse(const char *folder, struct text *t, enum error_code code, const char *says)
{
    struct imatrix *im;
    struct error e;
    assert_error(open_text(&im, folder, t, &e), &e, code, says);
    assert_null(im);
    text_free(t);
}

static void test_bad_gguf(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    static const float bad[] = {1.f, NAN, INFINITY, -1.f, -0.5f, 1e-40f, 3e38f};
    static const struct {
        struct put tensors[3];
        const char *says;
        enum error_code code;
    } cases[] = {
        {{{"x.in_sum2", 2, four, {2}, 0}}, "x.in_sum2: has no x.counts beside it", ERROR_INPUT},
        {{{"x.counts", 1, four, {1}, 0}}, "x.counts: has no x.in_sum2 beside it", ERROR_INPUT},
        {{{"x.in_sum", 1, four, {1}, 0}}, "is no importance matrix: no tensor's name ends in .in_sum2", ERROR_INPUT},
        {{{"x.in_sum2", 2, four, {2}, 24}, {"x.counts", 1, four, {1}, 0}}, "must be F32", ERROR_INPUT},
        {{{"x.in_sum2", 2, four, {2}, 0}, {"x.counts", 1, four, {1}, 26}}, "x.counts: must be F32", ERROR_INPUT},
        {{{"x.in_sum2", 2, four, {2}, 0}, {"x.counts", 2, four, {2}, 0}}, "for each of the 1 rows", ERROR_INPUT},
        {{{"x.in_sum2", 4, four, {2, 2}, 0}, {"x.counts", 3, four, {1, 3}, 0}}, "each of the 2 rows", ERROR_INPUT},
        {{{"x.in_sum2", 2, four, {2}, 0}, {"x.counts", 1, &bad[1], {1}, 0}}, "nan is no number of tokens", ERROR_INPUT},
        {{{"x.in_sum2", 2, four, {2}, 0}, {"x.counts", 1, &bad[3], {1}, 0}}, "-1 is no number of tokens", ERROR_INPUT},
        {{{"x.in_sum2", 2, bad, {2}, 0}, {"x.counts", 1, four, {1}, 0}},
         "x: value 1 is nan: must be a finite number",
         ERROR_NUMBER},
        {{{"x.in_sum2", 1, &bad[2], {1}, 0}, {"x.counts", 1, four, {1}, 0}}, "x: value 0 is inf", ERROR_NUMBER},
        {{{"x.in_sum2", 1, &bad[4], {1}, 0}, {"x.counts", 1, four, {1}, 0}},
         "x: value 0 is -0.5: a sum of squares is not negative",
         ERROR_INPUT},
        {{{"x.in_sum2", 1, &bad[6], {1}, 0}, {"x.counts", 1, &bad[5], {1}, 0}},
         "x: value 0 is 3e+38: divided by the count, 9.99995e-41, it is more than a float32 holds",
         ERROR_INPUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text t = gguf_sample(cases[i].tensors);
        refuse(folder, &t, cases[i].code, cases[i].says);
    }
    folder_remove(folder);
}

static void test_bad_binary(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    static const struct {
        size_t at;
        int32_t value;
        const char *says;
    } cases[] = {
        {0, 0, "im: is no importance matrix: kerf imatrix makes one"},
        {0, -1, "im: is no importance matrix: kerf imatrix makes one"},
        {0, INT32_MAX, "im: is no importance matrix: kerf imatrix makes one"},
        {4, 0, "im: is no importance matrix: kerf imatrix makes one"},
        {4, 1 << 20, "im: is no importance matrix: kerf imatrix makes one"},
        {4, 30, "im: is no importance matrix: kerf imatrix makes one"}, /* a NUL in the first name */
        {0, 3, "length of a name: 7 cannot be"},                        /* the chunk count as one more entry */
        {27, -4, "offset 0x1b: calls: -4 is less than 0"},
        {31, 0, "offset 0x1f: number of values: 0 is less than 1"},
        {31, 1 << 29, "offset 0x1f: number of values: 536870912 cannot be"},
        {31, INT32_MIN, "number of values: -2147483648 is less than 1"},
        {35, (int32_t)0xff800000, "blk.0.attn_q.weight: value 0 is -inf: must be a finite number"},
        {35, (int32_t)0xbf800000, "blk.0.attn_q.weight: value 0 is -1: a sum of squares is not negative"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t first, second;
        struct text t = binary_sample(&first, &second);
        memcpy(t.bytes + cases[i].at, &cases[i].value, 4);
        refuse(folder, &t, strstr(cases[i].says, "-inf") ? ERROR_NUMBER : ERROR_INPUT, cases[i].says);
    }
    struct text twice = {0}, empty = {0}, words = {0};
    text_add(&words, "The mill stood where the brook ran fast, and nobody asked what it ground.\n");
    refuse(folder, &words, ERROR_INPUT, "im: is no importance matrix: kerf imatrix makes one");
    put_i32(&twice, 2);
    put_entry(&twice, "same", 1, 1, four);
    put_entry(&twice, "same", 1, 1, four);
    refuse(folder, &twice, ERROR_INPUT, "same: has two entries");
    refuse(folder, &empty, ERROR_INPUT, "im: is no importance matrix: kerf imatrix makes one");
    struct imatrix *im;
    struct error e;
    assert_error(imatrix_open(&im, "nowhere.dat", &e), &e, ERROR_IO, "nowhere.dat");
    folder_remove(folder);
}

/* Cut at every byte, and every byte changed: an error or a matrix, never more than that. */
static void test_damaged(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    size_t first = 0, second = 0;
    for (int gguf = 0; gguf < 2; gguf++) {
        struct text t = gguf ? gguf_sample(good) : binary_sample(&first, &second);
        struct imatrix *im;
        for (size_t n = 0; n < t.length; n++) {
            struct text cut = {.bytes = t.bytes, .length = n};
            int status = open_text(&im, folder, &cut, &e);
            bool whole = gguf ? n >= t.length - 28 : n == first || n == second; /* padding behind the last tensor */
            if (status != (whole ? 0 : ERROR_INPUT)) fail_msg("cut at %zu of %zu: status %d", n, t.length, status);
            imatrix_close(im);
        }
        for (size_t i = 0; i < t.length; i++)
            for (int bit = 0; bit < 8; bit += 7) {
                const float *means;
                t.bytes[i] = (char)(t.bytes[i] ^ 1 << bit);
                int status = open_text(&im, folder, &t, &e);
                assert_true(status == 0 || status == ERROR_INPUT || status == ERROR_NUMBER);
                if (!status) imatrix_find(im, gguf ? "x.weight" : "blk.0.attn_q.weight", 3, &means, &e);
                imatrix_close(im);
                t.bytes[i] = (char)(t.bytes[i] ^ 1 << bit);
            }
        text_free(&t);
    }
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_binary),     cmocka_unit_test(test_gguf),
                                       cmocka_unit_test(test_written),    cmocka_unit_test(test_bad_gguf),
                                       cmocka_unit_test(test_bad_binary), cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests_name("formats/imatrix", tests, NULL, NULL);
}
