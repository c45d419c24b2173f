/* Checkpoints written as GGUF files and read back: the same model to the bit. */
#include "engine/base/file.h"
#include "engine/formats/imatrix.h"
#include "engine/kernels/kernels.h"
#include "engine/models/model.h"
#include "suites/run.h"
#include "tests/models/tiny_llama.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const specs[] = {"f16", "f32", "bf16", "gguf:q8_0", "gguf:q4_0"};
enum { SPECS = sizeof specs / sizeof *specs };

/* SOURCE packed by `spec` (NULL: as stored) in FOLDER/NAME; the path, to be freed. */
static char *export_to(const char *source, const char *spec, const char *folder, const char *name)
{
    struct error e;
    struct backend_options how;
    if (spec) assert_ok(backend_parse(&how, spec, &e), &e);
    char *path = path_join(folder, name, &e);
    assert_non_null(path);
    struct model_options options = {.how = spec ? &how : NULL};
    assert_ok(model_export(source, &options, path, NULL, NULL, &e), &e);
    return path;
}

static const char *folder_of(const char *name)
{
    return strcmp(name, "llama") ? "datasets/millbrook/gpt2" : "datasets/millbrook/llama";
}

/* Logits of every position of a text of 60 tokens, to be freed. */
static float *logits_of(const struct model *m)
{
    struct error e;
    enum { N = 60 };
    const struct hyper *h = model_hyper(m);
    int32_t ids[N];
    for (int32_t i = 0; i < N; i++) ids[i] = i * 37 % 1280;
    float *hidden = calloc((size_t)(N * h->width), sizeof *hidden);
    float *logits = calloc((size_t)(N * h->vocab), sizeof *logits);
    struct span s = {cache_new(m, NULL, 0, N, &e), ids, N, 0};
    assert_true(hidden && logits && s.cache);
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
    assert_ok(model_logits(m, hidden, N, logits, &e), &e);
    cache_free(s.cache);
    free(hidden);
    return logits;
}

static void assert_same_model(const struct model *a, const struct model *b)
{
    const struct facts *fa = model_facts(a), *fb = model_facts(b);
    const struct hyper *ha = model_hyper(a), *hb = model_hyper(b);
    assert_string_equal(fa->architecture, fb->architecture);
    assert_int_equal(fa->parameters, fb->parameters);
    assert_int_equal(fa->weight_bytes, fb->weight_bytes);
    assert_true(ha->layers == hb->layers && ha->width == hb->width && ha->vocab == hb->vocab);
    assert_true(ha->context == hb->context && ha->heads == hb->heads && ha->kv_heads == hb->kv_heads);
    assert_true(ha->head == hb->head && ha->ffn == hb->ffn && ha->rope_dims == hb->rope_dims);
    assert_true(ha->rope_base == hb->rope_base && ha->norm_eps == hb->norm_eps);
    assert_string_equal(tokenizer_hash(model_tokenizer(a)), tokenizer_hash(model_tokenizer(b)));
    float *x = logits_of(a), *y = logits_of(b);
    assert_memory_equal(x, y, 60 * (size_t)ha->vocab * sizeof *x);
    free(x);
    free(y);
}

static void assert_same_scores(const struct model *a, const struct model *b, const char *suite)
{
    struct error e;
    struct suite_result x, y;
    struct run_options options = {.limit = test_items(20), .batch = 16, .resampling = {.resamples = 10}};
    assert_ok(suite_run(a, suite, &options, &x, &e), &e);
    assert_ok(suite_run(b, suite, &options, &y, &e), &e);
    assert_string_equal(x.fingerprint, y.fingerprint);
    assert_true(json_equal(x.samples, y.samples));
    assert_int_equal(x.n, y.n);
    for (size_t i = 0; i < x.suite->n_scores; i++)
        assert_memory_equal(x.stats[i], y.stats[i], x.n * x.suite->scores[i].measure.metric->width * sizeof(double));
    suite_result_free(&x);
    suite_result_free(&y);
}

/* The file as stored is the folder packed on load, for every type that GGUF has. */
static void test_round_trip(void **state)
{
    char *folder = folder_temporary();
    struct error e;
    for (size_t i = 0; i < SPECS; i++) {
        char *path = export_to(folder_of(*state), specs[i], folder, "model.gguf");
        struct model *file, *packed = model_shipped(*state, specs[i]);
        assert_ok(model_open(&file, path, NULL, &e), &e);
        assert_string_equal(model_facts(file)->backend, "stored");
        assert_same_model(file, packed);
        assert_same_scores(file, packed, i % 2 ? "endings" : "questions");
        model_close(file);
        model_close(packed);
        free(path);
    }
    folder_remove(folder);
}

/* What is stored as float16 in the folder is so in the file, and the scores are the folder's own. */
static void test_as_stored(void **state)
{
    char *folder = folder_temporary();
    struct error e;
    char *stored = export_to(folder_of(*state), NULL, folder, "stored.gguf");
    char *half = export_to(folder_of(*state), "f16", folder, "f16.gguf");
    struct file a, b;
    assert_ok(file_map(&a, stored, &e), &e);
    assert_ok(file_map(&b, half, &e), &e);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    struct model *file, *own = model_shipped(*state, NULL);
    assert_ok(model_open(&file, stored, NULL, &e), &e);
    assert_same_model(file, own);
    assert_same_scores(file, own, "stories");
    assert_same_scores(file, own, "endings");
    assert_same_scores(file, own, "translation");
    model_close(file);
    model_close(own);
    file_unmap(&a);
    file_unmap(&b);
    free(stored);
    free(half);
    folder_remove(folder);
}

/* A file made from a file is, byte for byte, the one made from the folder: metadata is copied, nothing is turned twice.
 */
static void test_from_gguf(void **state)
{
    char *folder = folder_temporary();
    struct error e;
    char *first = export_to(folder_of(*state), NULL, folder, "first.gguf");
    for (size_t i = 0; i < SPECS; i++) {
        char *direct = export_to(folder_of(*state), specs[i], folder, "direct.gguf");
        char *second = export_to(first, specs[i], folder, "second.gguf");
        struct file a, b;
        assert_ok(file_map(&a, direct, &e), &e);
        assert_ok(file_map(&b, second, &e), &e);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        file_unmap(&a);
        file_unmap(&b);
        free(direct);
        free(second);
    }
    free(first);
    folder_remove(folder);
}

static void assert_u32(const struct gguf *g, const char *key, uint64_t wanted)
{
    uint64_t v = 0;
    const struct gguf_value *value = gguf_find(g, key);
    if (!value || value->type != GGUF_U32 || !gguf_as_u64(value, &v) || v != wanted)
        fail_msg("%s: %d instead of %d", key, (int)v, (int)wanted);
}

static void assert_string(const struct gguf *g, const char *key, const char *wanted)
{
    struct gguf_string s;
    const struct gguf_value *value = gguf_find(g, key);
    assert_true(value && gguf_as_string(value, &s));
    assert_int_equal(s.length, strlen(wanted));
    assert_memory_equal(s.bytes, wanted, s.length);
}

/* What other programs look for in the file. */
static void test_metadata(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    static const uint64_t file_types[SPECS] = {1, 0, 32, 7, 2};
    for (size_t i = 0; i < SPECS; i++) {
        char *path = export_to("datasets/millbrook/llama/", specs[i], folder, "llama.gguf");
        struct gguf *g;
        assert_ok(gguf_open(&g, path, &e), &e);
        assert_string(g, "general.architecture", "llama");
        assert_string(g, "general.name", "llama");
        assert_u32(g, "general.file_type", file_types[i]);
        assert_int_equal(gguf_find(g, "general.quantization_version") != NULL, i >= 3);
        assert_u32(g, "llama.block_count", 6);
        assert_u32(g, "llama.context_length", 512);
        assert_u32(g, "llama.embedding_length", 256);
        assert_u32(g, "llama.feed_forward_length", 768);
        assert_u32(g, "llama.attention.head_count", 4);
        assert_u32(g, "llama.attention.head_count_kv", 2);
        assert_u32(g, "llama.rope.dimension_count", 64);
        assert_u32(g, "llama.vocab_size", 1280);
        assert_u32(g, "tokenizer.ggml.bos_token_id", 0);
        const struct tensor *norm = gguf_tensor(g, "blk.5.ffn_norm.weight");
        assert_true(norm && norm->type == DTYPE_F32 && norm->n_dims == 1 && norm->shape[0] == 256);
        const struct tensor *up = gguf_tensor(g, "blk.5.ffn_up.weight");
        assert_true(up && up->n_dims == 2 && up->shape[0] == 768 && up->shape[1] == 256);
        assert_int_equal(gguf_tensor_count(g), 2 + 6 * 9);
        gguf_close(g);
        free(path);
    }
    folder_remove(folder);
}

static float next(float x, float toward) { return nextafterf(x, toward); }

static void assert_vector(const struct gguf *g, const char *name, const json_t *golden_tensor)
{
    const struct tensor *t = gguf_tensor(g, name);
    if (!t) fail_msg("the file has no tensor %s", name);
    char hash[HASH_HEX];
    hash_hex(t->data, t->bytes, hash);
    if (strcmp(hash, json_string_value(json_object_get(golden_tensor, "sha256"))))
        fail_msg("%s: its bytes are not llama.cpp's", name);
    float row[64];
    const json_t *values = json_object_get(golden_tensor, "row");
    assert_int_equal(json_array_size(values), 64);
    kernels_get()->decode[t->type](t->data, row, 64);
    for (size_t i = 0; i < 64; i++) {
        float v = (float)json_number_value(json_array_get(values, i));
        assert_true(row[i] >= next(v, -INFINITY) && row[i] <= next(v, INFINITY));
    }
}

/* The bytes of llama.cpp's own quantizer. */
static void test_vectors(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    json_t *all = golden("tests/goldens/gguf-q8_0-q4_0.json");
    static const char *const types[] = {"q8_0", "q4_0"};
    for (size_t i = 0; i < 2; i++) {
        char spec[16];
        snprintf(spec, sizeof spec, "gguf:%s", types[i]);
        char *path = export_to("datasets/millbrook/llama", spec, folder, "llama.gguf");
        struct gguf *g;
        assert_ok(gguf_open(&g, path, &e), &e);
        json_t *tensors = json_object_get(all, types[i]), *tensor;
        const char *name;
        assert_int_equal(json_object_size(tensors), 8);
        json_object_foreach(tensors, name, tensor) assert_vector(g, name, tensor);
        gguf_close(g);
        free(path);
    }
    json_decref(all);
    folder_remove(folder);
}

static struct gguf *opened(char *path)
{
    struct gguf *g;
    struct error e;
    assert_ok(gguf_open(&g, path, &e), &e);
    free(path);
    return g;
}

/* llama.cpp's files of a model of one layer, for the types whose bytes must be its own. */
static void test_tiny(void **state)
{
    (void)state;
    static const char *const types[] = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "tq1_0", "tq2_0"};
    char *folder = folder_temporary(), *source = strdup(shared_path("vectors/gguf/tiny-f16.gguf"));
    json_t *all = golden(shared_path("vectors/gguf/expected.json")), *files = json_object_get(all, "files"), *tensor;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char spec[16], file[32], hash[HASH_HEX];
        const char *name;
        snprintf(spec, sizeof spec, "gguf:%s", types[i]);
        snprintf(file, sizeof file, "tiny-%s.gguf", types[i]);
        struct gguf *g = opened(export_to(source, spec, folder, "tiny.gguf"));
        assert_int_equal(json_object_size(json_object_get(files, file)), 8);
        json_object_foreach(json_object_get(files, file), name, tensor)
        {
            const struct tensor *t = gguf_tensor(g, name);
            assert_non_null(t);
            hash_hex(t->data, t->bytes, hash);
            if (strcmp(hash, json_string_value(json_object_get(tensor, "sha256"))))
                fail_msg("%s: %s: its bytes are not llama.cpp's", file, name);
        }
        gguf_close(g);
    }
    json_decref(all);
    free(source);
    folder_remove(folder);
}

static void assert_tensor(const struct gguf *g, const char *name, enum dtype_id type)
{
    const struct tensor *t = gguf_tensor(g, name);
    assert_non_null(t);
    if (t->type != type)
        fail_msg("%s: is %s instead of %s", name, dtype_of((int)t->type)->name, dtype_of((int)type)->name);
}

/* What llama-quantize writes for q4_k_m of 6 layers: more bits for layers 2 and 5, and for the matrix that makes the
 * logits. Written as stored again, the file says the same of itself. */
static void test_mixture(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    char *path = export_to("datasets/millbrook/llama", "gguf:q4_k_m", folder, "mixed.gguf");
    struct gguf *mixed = opened(strdup(path)), *again = opened(export_to(path, NULL, folder, "again.gguf"));
    struct model *packed = model_shipped("llama", "gguf:q4_k_m");
    assert_u32(mixed, "general.file_type", 15);
    assert_u32(again, "general.file_type", 15);
    assert_u32(again, "general.quantization_version", 2);
    assert_int_equal(gguf_size(mixed), gguf_size(again));
    assert_tensor(mixed, "token_embd.weight", DTYPE_Q6_K);
    for (int i = 0; i < 6; i++)
        for (int role = 0; role < LINEARS; role++) {
            const char *pattern;
            const struct matrix *w = model_linear(packed, i, (enum linear_role)role, &pattern);
            bool more = i % 3 == 2 && (role == LINEAR_V || role == LINEAR_DOWN);
            char name[64];
            if (!w) continue;
            snprintf(name, sizeof name, "blk.%d%s", i, pattern + strlen("blk.%d"));
            assert_tensor(mixed, name, more ? DTYPE_Q6_K : DTYPE_Q4_K);
            assert_memory_equal(gguf_tensor(again, name)->data, gguf_tensor(mixed, name)->data, w->bytes);
            if (role == LINEAR_Q || role == LINEAR_K) continue; /* GGUF has their rows in another order */
            uint8_t *bytes = malloc(w->bytes);
            assert_non_null(bytes);
            for (int64_t r = 0; r < w->rows; r++) matrix_row_bytes(w, r, bytes + (size_t)r * w->row_bytes);
            assert_memory_equal(gguf_tensor(mixed, name)->data, bytes, w->bytes);
            free(bytes);
        }
    model_close(packed);
    gguf_close(mixed);
    gguf_close(again);
    free(path);
    folder_remove(folder);
}

/* The file tells which importances it was packed with, until it is packed anew. */
static void test_imatrix(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    float sums[256];
    for (size_t i = 0; i < 256; i++) sums[i] = (float)(i % 7 + 1);
    const struct imatrix_entry entry = {"blk.3.attn_v.weight", 256, 1, sums, 0, NULL};
    char *im = path_join(folder, "im.gguf", &e), *path = path_join(folder, "weighed.gguf", &e);
    assert_ok(imatrix_write(im, &entry, 1, "a text.txt", 4, 512, &e), &e);
    struct backend_options how;
    assert_ok(backend_parse(&how, "gguf:q4_0", &e), &e);
    const struct model_options options = {.how = &how, .imatrix = im};
    assert_ok(model_export("datasets/millbrook/llama", &options, path, NULL, NULL, &e), &e);
    struct gguf *weighed = opened(strdup(path));
    struct gguf *plain = opened(export_to("datasets/millbrook/llama", "gguf:q4_0", folder, "plain.gguf"));
    struct gguf *again = opened(export_to(path, NULL, folder, "again.gguf"));
    struct gguf *anew = opened(export_to(path, "gguf:q8_0", folder, "anew.gguf"));
    assert_string(weighed, "quantize.imatrix.file", im);
    assert_string(weighed, "quantize.imatrix.dataset", "a text.txt");
    assert_u32(weighed, "quantize.imatrix.entries_count", 1);
    assert_u32(weighed, "quantize.imatrix.chunks_count", 4);
    assert_string(again, "quantize.imatrix.file", im);
    assert_null(gguf_find(anew, "quantize.imatrix.file"));
    assert_null(gguf_find(anew, "quantize.imatrix.chunks_count"));
    assert_null(gguf_find(plain, "quantize.imatrix.file"));
    for (size_t i = 0; i < gguf_tensor_count(plain); i++) {
        const struct tensor *a = gguf_tensor_at(plain, i), *b = gguf_tensor_at(weighed, i);
        assert_string_equal(a->name, b->name);
        assert_int_equal(memcmp(a->data, b->data, a->bytes) != 0, strcmp(a->name, entry.name) == 0);
    }
    gguf_close(weighed);
    gguf_close(plain);
    gguf_close(again);
    gguf_close(anew);
    free(im);
    free(path);
    folder_remove(folder);
}

/* What is told of a file that is written is what an opened model tells. */
static void assert_told(const char *source, const char *spec, const char *imatrix, const char *folder,
                        int64_t fell_back, int64_t unweighted)
{
    struct error e;
    struct backend_options how;
    struct facts told;
    struct model *m;
    if (spec) assert_ok(backend_parse(&how, spec, &e), &e);
    const struct model_options options = {.how = spec ? &how : NULL, .imatrix = imatrix};
    char *path = path_join(folder, "told.gguf", &e);
    assert_ok(model_export(source, &options, path, NULL, &told, &e), &e);
    assert_ok(model_open(&m, source, &options, &e), &e);
    const struct facts *f = model_facts(m);
    assert_int_equal(told.fell_back, fell_back);
    assert_int_equal(told.unweighted, unweighted);
    assert_int_equal(f->fell_back, fell_back);
    assert_int_equal(f->unweighted, unweighted);
    assert_int_equal(told.parameters, f->parameters);
    assert_int_equal(told.weight_bytes, f->weight_bytes);
    assert_string_equal(told.path, source);
    assert_string_equal(told.architecture, f->architecture);
    assert_string_equal(told.backend, f->backend);
    assert_string_equal(told.math, f->math);
    assert_string_equal(told.imatrix_hash, f->imatrix_hash);
    assert_string_equal(told.warning, "");
    model_close(m);
    free(path);
}

static void test_told(void **state)
{
    (void)state;
    char *folder = folder_temporary(), *tiny = tiny_llama(folder, 48, 256);
    struct error e;
    float sums[256];
    for (size_t i = 0; i < 256; i++) sums[i] = (float)(i % 7 + 1);
    const struct imatrix_entry entry = {"blk.3.attn_v.weight", 256, 1, sums, 0, NULL};
    char *im = path_join(folder, "im.gguf", &e);
    assert_ok(imatrix_write(im, &entry, 1, "", 1, 10, &e), &e);
    assert_told(tiny, NULL, NULL, folder, 0, 0);
    assert_told(tiny, "f16", NULL, folder, 0, 0);
    assert_told(tiny, "gguf:q8_0", NULL, folder, 7, 0); /* all but ffn_down have 48 columns */
    assert_told("datasets/millbrook/llama", "gguf:q4_0", im, folder, 0, 6 * 7 - 1);
    assert_told("datasets/millbrook/gpt2", "gguf:q4_k_m", NULL, folder, 0, 0);
    free(im);
    free(tiny);
    folder_remove(folder);
}

struct counter {
    size_t calls, last, most; /* most: of tensors, before the export is stopped */
};

static bool count_tensor(void *user, size_t done, size_t total)
{
    struct counter *c = user;
    assert_int_equal(total, 56);
    assert_true(done >= c->last && done <= total);
    c->calls++;
    c->last = done;
    return c->calls < c->most;
}

static void test_progress(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    struct counter all = {.most = 1000}, some = {.most = 20};
    char *path = path_join(folder, "x.gguf", &e);
    assert_error(
        model_export("datasets/millbrook/llama", NULL, path, &(struct export_progress){&some, count_tensor}, NULL, &e),
        &e, ERROR_INTERRUPTED, "interrupted");
    assert_int_equal(some.calls, 20);
    assert_int_equal(rmdir(folder), 0); /* nothing is left behind */
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_ok(
        model_export("datasets/millbrook/llama", NULL, path, &(struct export_progress){&all, count_tensor}, NULL, &e),
        &e);
    assert_true(all.calls >= 56);
    free(path);
    folder_remove(folder);
}

/* What GGUF has no type for, sources that are not there, places that cannot be written: no file is left behind. */
static void test_refused(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    struct backend_options int8, f16;
    char *path = path_join(folder, "x.gguf", &e), *lost = path_join(folder, "nowhere/x.gguf", &e);
    assert_ok(backend_parse(&int8, "int8:absmax", &e), &e);
    assert_ok(backend_parse(&f16, "f16", &e), &e);
    assert_error(model_export("datasets/millbrook/llama", &(struct model_options){.how = &int8}, path, NULL, NULL, &e),
                 &e, ERROR_USAGE, "backend \"int8:absmax\": GGUF has no type for it: use f32, f16, bf16 or gguf:TYPE");
    assert_error(model_export("datasets/nothing", &(struct model_options){.how = &f16}, path, NULL, NULL, &e), &e,
                 ERROR_IO, "datasets/nothing");
    assert_error(model_export("datasets/millbrook/llama", &(struct model_options){.how = &f16}, lost, NULL, NULL, &e),
                 &e, ERROR_IO, "nowhere/x.gguf");
    assert_false(path_exists(path));
    assert_int_equal(rmdir(folder), 0); /* not even a temporary file */
    free(path);
    free(lost);
    free(folder);
}

#define BOTH(test)                                                                                                     \
    {#test " llama", test, NULL, NULL, "llama"}, { #test " gpt2", test, NULL, NULL, "gpt2" }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_round_trip),           BOTH(test_as_stored),           BOTH(test_from_gguf),
        cmocka_unit_test(test_metadata), cmocka_unit_test(test_vectors), cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_mixture),  cmocka_unit_test(test_imatrix), cmocka_unit_test(test_told),
        cmocka_unit_test(test_progress), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests_name("models/export", tests, NULL, NULL);
}
