/* The calibration loop, seen by a backend that looks at what it is handed and changes nothing, or spoils everything. */
#include "engine/backends/pack.h"
#include "engine/base/file.h"
#include "engine/models/model.h"
#include "tests/models/tiny_llama.h"
#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 24, SAMPLES = 5, MOST = 64 };

/* What the backend was handed, in order. */
static struct {
    struct calibration_plan plan;
    bool spoils;
    size_t n;
    struct {
        char name[64];
        int64_t layer, cols, tokens;
        double *h;
    } calls[MOST];
} spy;

static int spy_pack(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                    struct error *e)
{
    (void)o;
    assert_true(at->layer < 0); /* those of layers come by calibrate */
    return pack_decoded(out, w, DTYPE_F32, NULL, e);
}

static int spy_calibrate(struct matrix *out, const struct matrix *w, const struct hessian *h,
                         const struct backend_options *o, const struct place *at, struct calibrated *report,
                         struct error *e)
{
    assert_true(spy.n < MOST);
    size_t bytes = (size_t)(h->cols * h->cols) * sizeof *h->h;
    snprintf(spy.calls[spy.n].name, sizeof spy.calls->name, "%s", at->name);
    spy.calls[spy.n].layer = at->layer;
    spy.calls[spy.n].cols = h->cols;
    spy.calls[spy.n].tokens = h->tokens;
    spy.calls[spy.n].h = malloc(bytes);
    assert_non_null(spy.calls[spy.n].h);
    memcpy(spy.calls[spy.n++].h, h->h, bytes);
    *report = (struct calibrated){.damping = 0.01 * (double)spy.n, .raised = spy.n == 2, .error = 1, .baseline = 4};
    struct tensor t;
    int status = matrix_to_f32(w, at->name, &t, e);
    if (!status && spy.spoils) memset(t.owned, 0, t.bytes);
    if (!status) status = pack_decoded(out, &t, DTYPE_F32, NULL, e);
    free(t.owned);
    out->backend = o->backend;
    return status;
}

static bool spy_plan(const struct backend_options *o, struct calibration_plan *plan)
{
    (void)o;
    *plan = spy.plan;
    return true;
}

static const struct backend spying = {
    .name = "spy", .pack = spy_pack, .unpack = unpack_decoded, .calibrate = spy_calibrate, .plan = spy_plan};

static struct model *open_spied(const char *name, bool sequential, bool spoils)
{
    for (size_t i = 0; i < spy.n; i++) free(spy.calls[i].h);
    memset(&spy, 0, sizeof spy);
    spy.plan = (struct calibration_plan){.samples = SAMPLES, .length = LENGTH, .sequential = sequential};
    spy.spoils = spoils;
    struct backend_options how = {.backend = &spying, .spec = "spy"};
    struct model_options options = {.how = &how, .calibration = "datasets/millbrook/calibration.txt"};
    struct error e;
    struct model *m;
    char path[64];
    snprintf(path, sizeof path, "datasets/millbrook/%s", name);
    assert_ok(blas_open(&e), &e);
    assert_ok(model_open(&m, path, &options, &e), &e);
    return m;
}

/* The windows that the header promises: evenly spread, without overlap, behind BOS where the tokenizer wants one. */
static void windows(const struct model *m, int32_t *ids /* [SAMPLES, LENGTH] */)
{
    struct error e;
    struct file f;
    struct ids all = {0};
    const struct tokenizer *t = model_tokenizer(m);
    assert_ok(file_map(&f, "datasets/millbrook/calibration.txt", &e), &e);
    assert_ok(tokenizer_encode(t, (const char *)f.data, f.size, TOKENIZER_PLAIN, &all, &e), &e);
    int64_t own = tokenizer_adds_bos(t) ? 1 : 0, stride = (int64_t)all.count / SAMPLES;
    for (int64_t i = 0; i < SAMPLES; i++) {
        if (own) ids[i * LENGTH] = tokenizer_bos(t);
        for (int64_t j = own; j < LENGTH; j++) ids[i * LENGTH + j] = all.at[i * stride + j - own];
    }
    ids_free(&all);
    file_unmap(&f);
}

struct wanted {
    int64_t layer;
    enum linear_role role;
    double *h;
    int64_t cols;
};

static void add(void *user, int64_t layer, enum linear_role role, const float *x, int64_t n, int64_t cols)
{
    struct wanted *w = user;
    if (layer != w->layer || role != w->role) return;
    w->cols = cols;
    if (!w->h) w->h = calloc((size_t)(cols * cols), sizeof *w->h);
    assert_non_null(w->h);
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < cols; i++)
            for (int64_t j = 0; j < cols; j++)
                w->h[i * cols + j] += (double)x[t * cols + i] * (double)x[t * cols + j] / (SAMPLES * LENGTH);
}

static void assert_hessian(const struct model *m, size_t call, int64_t layer, enum linear_role role)
{
    struct error e;
    int32_t ids[SAMPLES * LENGTH];
    windows(m, ids);
    struct wanted w = {.layer = layer, .role = role};
    struct probe probe = {.user = &w, .linear_input = add};
    struct span spans[SAMPLES];
    for (int i = 0; i < SAMPLES; i++)
        spans[i] = (struct span){cache_new(m, NULL, 0, LENGTH, &e), ids + i * LENGTH, LENGTH, LENGTH};
    float none;
    assert_ok(model_forward(m, spans, SAMPLES, &none, &probe, &e), &e);
    assert_int_equal(spy.calls[call].cols, w.cols);
    assert_int_equal(spy.calls[call].tokens, SAMPLES * LENGTH);
    double most = 0;
    for (int64_t i = 0; i < w.cols * w.cols; i++) most = fmax(most, fabs(w.h[i]));
    for (int64_t i = 0; i < w.cols * w.cols; i++)
        assert_near(spy.calls[call].h[i], w.h[i], 1e-6 * most, "an element of a Hessian");
    for (int i = 0; i < SAMPLES; i++) cache_free(spans[i].cache);
    free(w.h);
}

static void test_llama(void **state)
{
    (void)state;
    static const char *const order[] = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
    for (int sequential = 0; sequential < 2; sequential++) {
        struct model *m = open_spied("llama", sequential, false), *plain = model_shipped("llama", "f32");
        int64_t layers = model_hyper(m)->layers;
        assert_int_equal(spy.n, 7 * layers);
        for (size_t i = 0; i < spy.n; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%zu.%s.weight", i / 7, order[i % 7]);
            assert_string_equal(spy.calls[i].name, name);
            assert_int_equal(spy.calls[i].layer, i / 7);
        }
        assert_memory_equal(spy.calls[0].h, spy.calls[2].h, 256 * 256 * sizeof(double)); /* one input, one Hessian */
        assert_hessian(plain, 1, 0, LINEAR_K);
        assert_hessian(plain, 3 * 7 + 3, 3, LINEAR_O);
        assert_hessian(plain, (size_t)layers * 7 - 1, layers - 1, LINEAR_DOWN);
        const struct facts *f = model_facts(m);
        assert_int_equal(f->calibration.sequences, SAMPLES);
        assert_int_equal(f->calibration.length, LENGTH);
        assert_int_equal(f->calibration.matrices, spy.n);
        assert_int_equal(f->calibration.raised, 1);
        assert_near(f->calibration.damping, 0.01 * (double)spy.n, 1e-12, "the most damping");
        assert_near(f->calibration.error, 0.25, 1e-12, "the share of the error");
        assert_int_equal(f->parameters, model_facts(plain)->parameters);
        assert_int_equal(f->weight_bytes, model_facts(plain)->weight_bytes); /* what was replaced counts no more */
        model_close(plain);
        model_close(m);
    }
}

static void test_gpt2(void **state)
{
    (void)state;
    static const enum linear_role order[] = {LINEAR_QKV, LINEAR_O, LINEAR_UP, LINEAR_DOWN};
    struct model *m = open_spied("gpt2", true, false);
    assert_int_equal(spy.n, 4 * model_hyper(m)->layers);
    for (size_t i = 0; i < 4; i++) assert_hessian(m, 4 + i, 1, order[i]);
    model_close(m);
}

/* In true-sequential order what follows sees the spoiled matrices: zeros behind attention leave nothing for its output
 * matrix; calibrated together all see the layer as it was. */
static void test_what_follows_sees(void **state)
{
    (void)state;
    struct model *m = open_spied("llama", true, true);
    double sum = 0;
    for (int64_t i = 0; i < spy.calls[3].cols; i++) sum += spy.calls[3].h[i * (spy.calls[3].cols + 1)];
    assert_true(sum == 0);
    model_close(m);
    m = open_spied("llama", false, true);
    for (int64_t i = 0; i < spy.calls[3].cols; i++) sum += spy.calls[3].h[i * (spy.calls[3].cols + 1)];
    assert_true(sum > 0);
    model_close(m);
}

static void test_threads(void **state)
{
    (void)state;
    struct model *m = open_spied("llama", true, false);
    size_t n = spy.n, cols = (size_t)spy.calls[13].cols, bytes = cols * cols * sizeof(double);
    double *h = malloc(bytes);
    assert_non_null(h);
    memcpy(h, spy.calls[13].h, bytes);
    model_close(m);
    int threads = omp_get_max_threads();
    omp_set_num_threads(threads == 1 ? 2 : 1);
    m = open_spied("llama", true, false);
    omp_set_num_threads(threads);
    assert_int_equal(spy.n, n);
    assert_memory_equal(h, spy.calls[13].h, bytes);
    free(h);
    model_close(m);
}

static void test_refused(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    char *shorter = file_put(folder, "short.txt", "The sun.", 8);
    struct backend_options how = {.backend = &spying, .spec = "spy"};
    struct model_options options = {.how = &how};
    struct error e;
    struct model *m;
    spy.plan = (struct calibration_plan){.samples = 1, .length = LENGTH};
    assert_error(model_open(&m, "datasets/millbrook/llama", &options, &e), &e, ERROR_USAGE,
                 "backend \"spy\": needs text to calibrate with: give --calibration FILE");
    options.calibration = shorter;
    assert_error(model_open(&m, "datasets/millbrook/llama", &options, &e), &e, ERROR_INPUT,
                 "short.txt: has 3 tokens, a calibration sequence needs");
    options.calibration = "datasets/nothing.txt";
    assert_error(model_open(&m, "datasets/millbrook/llama", &options, &e), &e, ERROR_IO, "datasets/nothing.txt");
    free(shorter);
    folder_remove(folder);
}

static bool not_yet(void *user, const char *what, size_t done, size_t total)
{
    (void)user, (void)done, (void)total;
    assert_string_equal(what, "packing"); /* and never "calibrating" */
    return true;
}

/* GiB that products with a matrix of this shape take beside it, for one row of inputs and all threads. */
static double products_gib(int64_t rows, int64_t cols)
{
    struct error e;
    struct matrix m;
    struct tensor t = {.name = "w", .type = DTYPE_F32, .n_dims = 2, .shape = {rows, cols, 1, 1}};
    t.bytes = (size_t)(rows * cols) * sizeof(float);
    t.data = t.owned = calloc(1, t.bytes);
    assert_non_null(t.data);
    assert_ok(matrix_pack(&m, &t, NULL, NULL, &e), &e);
    const size_t bytes = matrix_inputs_bytes(&m) + (size_t)omp_get_max_threads() * matrix_scratch(&m);
    matrix_free(&m);
    return (double)bytes / 0x1p30;
}

/* Some 12 MiB of weights whose widest matrix would need two times 8 TiB, and what a pass takes. */
static void test_too_wide(void **state)
{
    (void)state;
    char *folder = folder_temporary(), *path = tiny_llama(folder, 2, 1 << 20);
    struct backend_options how = {.backend = &spying, .spec = "spy"};
    struct model_options options = {
        .how = &how, .calibration = "datasets/millbrook/calibration.txt", .progress = not_yet};
    struct error e;
    struct model *m;
    for (int sequential = 0; sequential < 2; sequential++) {
        spy.plan = (struct calibration_plan){.samples = 1, .length = LENGTH, .sequential = sequential};
        static const char words[] = "tiny.gguf: blk.0.ffn_down.weight: calibrating its 1048576 columns takes ";
        assert_error(model_open(&m, path, &options, &e), &e, ERROR_INPUT, words);
        const double gib = strtod(strstr(e.text, words) + strlen(words), NULL), pass = products_gib(2, 1 << 20);
        assert_true(gib >= 16384 + pass - 0.05 && gib < 16384 + pass + 0.2); /* it has a digit behind the point */
        assert_non_null(
            strstr(e.text, " GiB are available: use rtn, which calibrates nothing, or a machine with more"));
        assert_null(m);
    }
    free(path);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama),   cmocka_unit_test(test_gpt2),    cmocka_unit_test(test_what_follows_sees),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_refused), cmocka_unit_test(test_too_wide),
    };
    int failed = cmocka_run_group_tests_name("models/calibrate", tests, NULL, NULL);
    for (size_t i = 0; i < spy.n; i++) free(spy.calls[i].h);
    return failed;
}
