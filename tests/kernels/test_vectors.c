/* Public files of every type of block, written by ggml, and what is said of them: the decoders must give their values
 * and the encoders their bytes, or, where kerf searches longer than ggml does, an error that is no larger. */
#include "engine/base/hash.h"
#include "engine/formats/gguf.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "vectors/gguf/"

/* One tensor of one file. */
struct sample {
    char name[160]; /* "tiny-q4_0.gguf: token_embd.weight", for messages */
    const struct tensor *stored;
    json_t *said; /* type, sha256, rmse, sum, sum_of_squares, rows */
    size_t n;
    float *values;   /* [n], decoded from the file */
    float *original; /* [n], what was encoded */
};

static struct gguf *open_file(const char *name)
{
    char path[128];
    struct gguf *g;
    struct error e;
    snprintf(path, sizeof path, FOLDER "%s", name);
    assert_ok(gguf_open(&g, shared_path(path), &e), &e);
    return g;
}

static float *decoded(const struct tensor *t)
{
    int64_t n = tensor_elements(t);
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    assert_non_null(kernels_get()->decode[t->type]);
    kernels_get()->decode[t->type](t->data, x, n);
    return x;
}

static void each_tensor_of(const char *file, json_t *tensors, const struct gguf *originals,
                           void (*visit)(const struct sample *))
{
    struct gguf *g = open_file(file);
    const char *name;
    json_t *said;
    json_object_foreach(tensors, name, said)
    {
        struct sample s = {.stored = gguf_tensor(g, name), .said = said};
        const struct tensor *original = gguf_tensor(originals, name);
        snprintf(s.name, sizeof s.name, "%s: %s", file, name);
        if (!s.stored || !original) fail_msg("%s is not there", s.name);
        s.n = (size_t)tensor_elements(s.stored);
        assert_int_equal(s.n, tensor_elements(original));
        s.values = decoded(s.stored);
        s.original = decoded(original);
        visit(&s);
        free(s.values);
        free(s.original);
    }
    gguf_close(g);
}

static void each_tensor(void (*visit)(const struct sample *))
{
    json_t *root = golden(shared_path(FOLDER "expected.json")), *files = json_object_get(root, "files"), *tensors;
    struct gguf *originals = open_file("tiny-f16.gguf");
    const char *file;
    assert_true(json_object_size(files) >= 15);
    json_object_foreach(files, file, tensors) each_tensor_of(file, tensors, originals, visit);
    gguf_close(originals);
    json_decref(root);
}

static double said_number(const struct sample *s, const char *key)
{
    json_t *v = json_object_get(s->said, key);
    if (!json_is_number(v)) fail_msg("%s: %s is no number", s->name, key);
    return json_number_value(v);
}

static double rmse_of(const float *x, const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += pow((double)x[i] - (double)y[i], 2);
    return sqrt(sum / (double)n);
}

/* The rows are printed with 9 digits, which name a float32. */
static void assert_rows(const struct sample *s)
{
    size_t r, c, at = 0;
    json_t *row, *v;
    json_array_foreach(json_object_get(s->said, "rows"), r, row) json_array_foreach(row, c, v)
    {
        float wanted = (float)json_number_value(v), got = s->values[at++];
        if (got != wanted)
            fail_msg("%s: row %zu, column %zu: %.9g instead of %.9g", s->name, r, c, (double)got, (double)wanted);
    }
    assert_int_equal(at, 2 * s->stored->shape[1]);
}

static void assert_decoded(const struct sample *s)
{
    char hash[HASH_HEX];
    double sum = 0, size = 0, squares = 0;
    assert_string_equal(dtype_of((int)s->stored->type)->name, json_string_value(json_object_get(s->said, "type")));
    hash_hex(s->stored->data, s->stored->bytes, hash);
    assert_string_equal(hash, json_string_value(json_object_get(s->said, "sha256")));
    assert_rows(s);
    for (size_t i = 0; i < s->n; i++) {
        sum += (double)s->values[i];
        size += fabs((double)s->values[i]);
        squares += (double)s->values[i] * (double)s->values[i];
    }
    assert_near(sum, said_number(s, "sum"), 1e-12 * size, s->name);
    assert_near(squares, said_number(s, "sum_of_squares"), 1e-12 * squares, s->name);
    double rmse = said_number(s, "rmse");
    assert_near(rmse_of(s->values, s->original, s->n), rmse, 1e-12 * rmse, s->name);
}

static void test_decoding(void **state)
{
    (void)state;
    each_tensor(assert_decoded);
}

static bool encodes_as_ggml(enum dtype_id type)
{
    static const enum dtype_id types[] = {DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0,  DTYPE_Q4_1,
                                          DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_TQ1_0, DTYPE_TQ2_0};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i] == type) return true;
    return false;
}

/* Encodes the first rows, all of them where there is time. */
static uint8_t *encoded(const struct sample *s, size_t *n)
{
    int64_t rows = (int64_t)test_items((size_t)s->stored->shape[0]);
    uint8_t *bytes = malloc(s->stored->bytes);
    assert_non_null(bytes);
    *n = (size_t)(rows * s->stored->shape[1]);
    kernels_get()->encode[s->stored->type](s->original, NULL, bytes, (int64_t)*n);
    return bytes;
}

static void assert_same_bytes(const struct sample *s)
{
    if (!encodes_as_ggml(s->stored->type)) return;
    const struct dtype *d = dtype_of((int)s->stored->type);
    const uint8_t *wanted = s->stored->data;
    size_t n;
    uint8_t *bytes = encoded(s, &n);
    for (size_t i = 0; i < n / (size_t)d->block * d->block_bytes; i++)
        if (bytes[i] != wanted[i])
            fail_msg("%s: block %zu, byte %zu: %02x instead of %02x", s->name, i / d->block_bytes, i % d->block_bytes,
                     bytes[i], wanted[i]);
    free(bytes);
}

static void test_encoding_is_ggml_s(void **state)
{
    (void)state;
    each_tensor(assert_same_bytes);
}

static void assert_no_worse(const struct sample *s)
{
    enum dtype_id type = s->stored->type;
    if (encodes_as_ggml(type)) return;
    size_t n;
    uint8_t *bytes = encoded(s, &n);
    double theirs = rmse_of(s->values, s->original, n); /* what the file says, see above */
    kernels_get()->decode[type](bytes, s->values, (int64_t)n);
    double ours = rmse_of(s->values, s->original, n);
    if (!(ours <= theirs)) fail_msg("%s: root mean square error %.9g, ggml's %.9g", s->name, ours, theirs);
    free(bytes);
}

static void test_encoding_is_no_worse(void **state)
{
    (void)state;
    each_tensor(assert_no_worse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_encoding_is_ggml_s),
        cmocka_unit_test(test_encoding_is_no_worse),
    };
    return cmocka_run_group_tests_name("kernels/vectors", tests, NULL, NULL);
}
