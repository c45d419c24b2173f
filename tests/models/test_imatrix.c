/* What is collected against sums made here, and what packing makes of it. */
#include "engine/base/file.h"
#include "engine/formats/imatrix.h"
#include "engine/models/imatrix.h"
#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text of about 700 tokens: the beginning of one that ships. */
static char *text_in(const char *folder)
{
    struct file f;
    struct error e;
    assert_ok(file_map(&f, "datasets/millbrook/calibration.txt", &e), &e);
    char *path = file_put(folder, "text.txt", f.data, 3000);
    file_unmap(&f);
    return path;
}

static char *collect(const char *model, const char *text, int64_t window, int64_t windows, const char *folder,
                     const char *name, struct imatrix_done *done)
{
    struct error e;
    struct model *m = model_shipped(model, NULL);
    char *path = path_join(folder, name, &e);
    const struct imatrix_plan plan = {.text = text, .window = window, .windows = windows};
    assert_ok(model_collect_imatrix(m, &plan, path, done, &e), &e);
    model_close(m);
    return path;
}

static void assert_same_file(const char *a, const char *b)
{
    struct file x, y;
    struct error e;
    assert_ok(file_map(&x, a, &e), &e);
    assert_ok(file_map(&y, b, &e), &e);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    file_unmap(&x);
    file_unmap(&y);
}

/* Inputs of one matrix, summed one after the other. */
struct watched {
    double sums[1024];
    int64_t tokens;
};

static void watch(void *user, int64_t layer, enum linear_role role, const float *x, int64_t n, int64_t cols)
{
    struct watched *w = user;
    if (layer != 2 || role != LINEAR_DOWN) return;
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < cols; i++) w->sums[i] += (double)x[r * cols + i] * (double)x[r * cols + i];
    w->tokens += n;
}

/* The ids as llama.cpp's imatrix makes them, each window in a pass of its own. */
static void watch_windows(const struct model *m, const char *text, int64_t window, int64_t windows, struct watched *out)
{
    struct error e;
    struct file f;
    struct ids ids = {0};
    const struct tokenizer *t = model_tokenizer(m);
    const struct probe probe = {.user = out, .linear_input = watch};
    assert_ok(file_map(&f, text, &e), &e);
    if (tokenizer_adds_bos(t)) assert_ok(ids_add(&ids, tokenizer_bos(t), &e), &e);
    assert_ok(tokenizer_encode(t, (const char *)f.data, f.size, TOKENIZER_PLAIN, &ids, &e), &e);
    assert_true((int64_t)ids.count >= window * windows);
    for (int64_t i = 0; i < windows; i++) {
        int32_t *at = ids.at + i * window;
        if (tokenizer_adds_bos(t)) at[0] = tokenizer_bos(t);
        struct span s = {cache_new(m, NULL, 0, window, &e), at, window, window};
        assert_ok(model_forward(m, &s, 1, NULL, &probe, &e), &e);
        cache_free(s.cache);
    }
    ids_free(&ids);
    file_unmap(&f);
}

static void test_sums(void **state)
{
    char *folder = folder_temporary();
    struct error e;
    char *text = text_in(folder);
    struct imatrix_done done;
    char *path = collect(*state, text, 48, 5, folder, "im.gguf", &done);
    bool llama = strcmp(*state, "llama") == 0;
    assert_int_equal(done.windows, 5);
    assert_int_equal(done.tokens, 240);
    struct model *m = model_shipped(*state, NULL);
    assert_int_equal(done.matrices, model_hyper(m)->layers * (llama ? 7 : 4));
    static struct watched w;
    w = (struct watched){0};
    watch_windows(m, text, 48, 5, &w);
    assert_int_equal(w.tokens, 240);
    struct imatrix *im;
    assert_ok(imatrix_open(&im, path, &e), &e);
    assert_int_equal(imatrix_count(im), done.matrices);
    assert_string_equal(imatrix_dataset(im), text);
    const float *means, *q, *k;
    int64_t width = model_hyper(m)->width, ffn = model_hyper(m)->ffn;
    assert_ok(imatrix_find(im, "blk.2.ffn_down.weight", ffn, &means, &e), &e);
    assert_non_null(means);
    for (int64_t i = 0; i < ffn; i++) assert_true(means[i] == (float)w.sums[i] / 240.f);
    if (llama) { /* matrices that share an input have an entry each */
        assert_ok(imatrix_find(im, "blk.0.attn_q.weight", width, &q, &e), &e);
        assert_ok(imatrix_find(im, "blk.0.attn_k.weight", width, &k, &e), &e);
        assert_true(q && k);
        assert_memory_equal(q, k, (size_t)width * sizeof *q);
    }
    assert_ok(imatrix_find(im, "token_embd.weight", width, &q, &e), &e);
    assert_null(q);
    imatrix_close(im);
    model_close(m);
    free(path);
    free(text);
    folder_remove(folder);
}

static void test_threads(void **state)
{
    char *folder = folder_temporary();
    char *text = text_in(folder);
    struct imatrix_done done;
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    char *one = collect(*state, text, 64, 0, folder, "1.gguf", &done);
    omp_set_num_threads(3);
    char *three = collect(*state, text, 64, 0, folder, "3.gguf", &done);
    omp_set_num_threads(threads);
    assert_true(done.windows > 8);
    assert_same_file(one, three);
    free(one);
    free(three);
    free(text);
    folder_remove(folder);
}

static bool stop(void *user, size_t done, size_t total)
{
    (void)done;
    (void)total;
    ++*(int *)user;
    return false;
}

static void test_refused(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    char *text = text_in(folder), *empty = file_put(folder, "empty.txt", "", 0), *out = path_join(folder, "o", &e);
    struct model *m = model_shipped("llama", NULL);
    struct imatrix_done done;
    int calls = 0;
    static const struct {
        int64_t window;
        enum error_code code;
        const char *says;
    } cases[] = {{513, ERROR_USAGE, "a window of 513 tokens does not fit in the model's context of 512"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct imatrix_plan plan = {.text = text, .window = cases[i].window};
        assert_error(model_collect_imatrix(m, &plan, out, &done, &e), &e, cases[i].code, cases[i].says);
    }
    struct imatrix_plan nothing = {.text = empty}, lost = {.text = "nowhere.txt"},
                        stopped = {.text = text, .window = 64, .user = &calls, .progress = stop};
    assert_error(model_collect_imatrix(m, &nothing, out, &done, &e), &e, ERROR_INPUT,
                 "has 1 tokens, less than one window of 512: give more text");
    assert_error(model_collect_imatrix(m, &lost, out, &done, &e), &e, ERROR_IO, "nowhere.txt");
    assert_error(model_collect_imatrix(m, &stopped, out, &done, &e), &e, ERROR_INTERRUPTED, "interrupted");
    assert_int_equal(calls, 1);
    assert_false(path_exists(out));
    model_close(m);
    free(text);
    free(empty);
    free(out);
    folder_remove(folder);
}

static struct model *packed(const char *spec, const char *imatrix)
{
    struct error e;
    struct backend_options how;
    struct model *m;
    assert_ok(backend_parse(&how, spec, &e), &e);
    const struct model_options options = {.how = &how, .imatrix = imatrix};
    assert_ok(model_open(&m, "datasets/millbrook/llama", &options, &e), &e);
    return m;
}

static bool same_matrix(const struct model *a, const struct model *b, int64_t layer, enum linear_role role)
{
    const struct matrix *x = model_linear(a, layer, role, NULL), *y = model_linear(b, layer, role, NULL);
    assert_int_equal(x->bytes, y->bytes);
    uint8_t *p = malloc(x->row_bytes), *q = malloc(x->row_bytes);
    assert_true(p && q);
    bool same = true;
    for (int64_t r = 0; r < x->rows; r++) {
        matrix_row_bytes(x, r, p);
        matrix_row_bytes(y, r, q);
        same &= memcmp(p, q, x->row_bytes) == 0;
    }
    free(p);
    free(q);
    return same;
}

/* Only the matrices that the file has an entry for are packed otherwise, and only by backends that weigh errors. */
static void test_packing(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    float sums[256];
    for (size_t i = 0; i < 256; i++) sums[i] = i % 16 ? .01f : 5.f;
    const struct imatrix_entry entry = {"blk.1.ffn_up.weight", 256, 10, sums, 0, NULL};
    const struct imatrix_entry wrong = {"blk.1.ffn_up.weight", 255, 10, sums, 0, NULL};
    char *path = path_join(folder, "one.gguf", &e), *other = path_join(folder, "other.gguf", &e);
    assert_ok(imatrix_write(path, &entry, 1, "", 1, 10, &e), &e);
    assert_ok(imatrix_write(other, &wrong, 1, "", 1, 10, &e), &e);
    struct model *plain = packed("gguf:q4_0", NULL), *weighed = packed("gguf:q4_0", path);
    assert_int_equal(model_facts(plain)->unweighted, 0);
    assert_string_equal(model_facts(plain)->imatrix_hash, "");
    assert_int_equal(model_facts(weighed)->unweighted, 6 * 7 - 1);
    assert_int_equal(strlen(model_facts(weighed)->imatrix_hash), 64);
    for (int64_t i = 0; i < 6; i++)
        for (int role = 0; role < LINEARS; role++)
            if (model_linear(plain, i, (enum linear_role)role, NULL))
                assert_int_equal(same_matrix(plain, weighed, i, (enum linear_role)role), i != 1 || role != LINEAR_UP);
    model_close(plain);
    model_close(weighed);
    struct model *f16 = packed("f16", "nowhere.gguf"); /* not even opened */
    assert_string_equal(model_facts(f16)->imatrix_hash, "");
    model_close(f16);
    struct backend_options how;
    struct model *m;
    assert_ok(backend_parse(&how, "gguf:q4_0", &e), &e);
    const struct model_options lost = {.how = &how, .imatrix = "nowhere.gguf"},
                               foreign = {.how = &how, .imatrix = other};
    assert_error(model_open(&m, "datasets/millbrook/llama", &lost, &e), &e, ERROR_IO, "nowhere.gguf");
    assert_error(model_open(&m, "datasets/millbrook/llama", &foreign, &e), &e, ERROR_INPUT,
                 "blk.1.ffn_up.weight: has 255 columns, the model's has 256");
    free(path);
    free(other);
    folder_remove(folder);
}

static bool never(void *user, const char *what, size_t done, size_t total)
{
    (void)user, (void)what, (void)done, (void)total;
    fail_msg("it was packed for nothing");
    return false;
}

/* Importances of other matrices than the model's are those of another model: said before anything is packed. */
static void test_foreign(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    struct model *m;
    struct backend_options how;
    const float sums[256] = {1};
    const struct imatrix_entry entries[] = {{"blk.6.ffn_up.weight", 256, 10, sums, 0, NULL},
                                            {"enc.0.q.weight", 256, 10, sums, 0, NULL}};
    char *im = path_join(folder, "im.gguf", &e), *out = path_join(folder, "out.gguf", &e);
    assert_ok(imatrix_write(im, entries, 2, "", 1, 10, &e), &e);
    assert_ok(backend_parse(&how, "gguf:q4_0", &e), &e);
    const struct model_options options = {.how = &how, .imatrix = im, .progress = never};
    const char *says = "im.gguf: has importances for none of the matrices of datasets/millbrook/llama: it was made for "
                       "another model, make one for this with kerf imatrix";
    assert_error(model_open(&m, "datasets/millbrook/llama", &options, &e), &e, ERROR_INPUT, says);
    assert_null(m);
    assert_error(model_export("datasets/millbrook/llama", &options, out, NULL, NULL, &e), &e, ERROR_INPUT, says);
    assert_false(path_exists(out));
    free(im);
    free(out);
    folder_remove(folder);
}

struct packing {
    size_t calls, most, total;
};

static bool count_packing(void *user, const char *what, size_t done, size_t total)
{
    struct packing *p = user;
    assert_string_equal(what, "packing");
    assert_int_equal(done, p->calls++);
    p->total = total;
    return p->calls < p->most;
}

/* Told of each matrix, and ended between any two. */
static void test_packing_stops(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    struct backend_options how;
    struct packing all = {.most = 1000}, some = {.most = 20};
    struct model_options options = {.how = &how, .user = &all, .progress = count_packing};
    assert_ok(backend_parse(&how, "gguf:q4_0", &e), &e);
    assert_ok(model_open(&m, "datasets/millbrook/llama", &options, &e), &e);
    model_close(m);
    assert_int_equal(all.calls, 1 + 6 * 7);
    assert_int_equal(all.total, all.calls);
    options.user = &some;
    assert_error(model_open(&m, "datasets/millbrook/llama", &options, &e), &e, ERROR_INTERRUPTED, "interrupted");
    assert_int_equal(some.calls, 20);
    assert_null(m);
}

/* A pattern that fits nothing is a slip, and said. */
static void test_patterns(void **state)
{
    (void)state;
    struct error e;
    struct backend_options how;
    struct model *m;
    const struct model_options options = {.how = &how};
    assert_ok(backend_parse(&how, "gguf:q4_0,tensor=*.ffn_up:q8_0,tensor=blk.6.*:q8_0", &e), &e);
    assert_error(model_open(&m, "datasets/millbrook/llama", &options, &e), &e, ERROR_USAGE,
                 "blk.6.*: fits no matrix of datasets/millbrook/llama (kerf inspect lists their names)");
    assert_error(model_export("datasets/millbrook/llama", &options, "/nowhere/x.gguf", NULL, NULL, &e), &e, ERROR_USAGE,
                 "blk.6.*: fits no matrix of");
    assert_ok(backend_parse(&how, "gguf:q4_0,tensor=*.ffn_up:q8_0,tensor=token_embd:f16", &e), &e);
    assert_ok(model_open(&m, "datasets/millbrook/llama", &options, &e), &e);
    assert_int_equal(model_linear(m, 0, LINEAR_UP, NULL)->type, DTYPE_Q8_0);
    assert_int_equal(model_linear(m, 5, LINEAR_DOWN, NULL)->type, DTYPE_Q4_0);
    model_close(m);
}

#define BOTH(test)                                                                                                     \
    {#test " llama", test, NULL, NULL, "llama"}, { #test " gpt2", test, NULL, NULL, "gpt2" }

int main(void)
{
    const struct CMUnitTest tests[] = {BOTH(test_sums),
                                       BOTH(test_threads),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_packing),
                                       cmocka_unit_test(test_foreign),
                                       cmocka_unit_test(test_packing_stops),
                                       cmocka_unit_test(test_patterns)};
    return cmocka_run_group_tests_name("models/imatrix", tests, NULL, NULL);
}
