/* Importances of a mixture's experts: what each of them met, file and quantization. */
#include "engine/formats/imatrix.h"
#include "engine/models/imatrix.h"
#include "tests/models/tiny_models.h"

#include <math.h>

enum { WINDOW = 50, EXPERTS = 4, FFN = 32, WIDTH = 32, MODELS = 3 };
static const char *const mixtures[MODELS] = {"mixtral", "qwen2moe", "qwen3moe"};

/* Sums over the matrices of layer 1. */
struct seen {
    double sums[EXPERT_PARTS][EXPERTS][WIDTH];
    int64_t tokens[EXPERT_PARTS][EXPERTS];
};

static void see(void *user, int64_t layer, enum expert_part part, int64_t expert, const float *x, int64_t n,
                int64_t cols)
{
    struct seen *s = user;
    if (layer != 1) return;
    assert_int_equal(cols, WIDTH);
    for (int64_t i = 0; i < n * cols; i++) s->sums[part][expert][i % cols] += (double)x[i] * (double)x[i];
    s->tokens[part][expert] += n;
}

static struct model *open_tiny(const char *folder, const char *spec, const char *imatrix)
{
    struct error e;
    struct model *m;
    struct backend_options how;
    struct model_options o = {.imatrix = imatrix};
    if (spec) assert_ok(backend_parse(&how, spec, &e), &e);
    if (spec) o.how = &how;
    assert_ok(model_open(&m, folder, &o, &e), &e);
    return m;
}

/* Bytes of one window's length. */
static char *put_text(const char *folder)
{
    char text[WINDOW];
    for (int i = 0; i < WINDOW; i++) text[i] = (char)('A' + i * i % 50);
    return file_put(folder, "text", text, WINDOW);
}

static void assert_means(const struct model *m, const char *path, const char *name)
{
    static const char *const names[] = {"blk.1.ffn_gate_exps.weight", "blk.1.ffn_up_exps.weight",
                                        "blk.1.ffn_down_exps.weight"};
    struct error e;
    struct imatrix *im;
    struct seen s = {0};
    int32_t ids[WINDOW];
    for (int i = 0; i < WINDOW; i++) ids[i] = 'A' + i * i % 50;
    struct cache *c = cache_new(m, NULL, 0, WINDOW, &e);
    const struct span span = {c, ids, WINDOW, WINDOW};
    assert_ok(model_forward(m, &span, 1, NULL, &(struct probe){.user = &s, .expert_input = see}, &e), &e);
    cache_free(c);
    assert_ok(imatrix_open(&im, path, &e), &e);
    for (size_t part = 0; part < EXPERT_PARTS; part++) {
        int64_t tokens = 0;
        for (int64_t i = 0; i < EXPERTS; i++) {
            const float *mean;
            tokens += s.tokens[part][i];
            assert_ok(imatrix_find_expert(im, names[part], i, EXPERTS, WIDTH, &mean, &e), &e);
            assert_int_equal(mean != NULL, s.tokens[part][i] > 0);
            for (int64_t k = 0; mean && k < WIDTH; k++) {
                const double wanted = s.sums[part][i][k] / (double)s.tokens[part][i];
                assert_near(mean[k], wanted, 1e-6 * wanted, name);
            }
        }
        assert_int_equal(tokens, 2 * WINDOW); /* each token has two */
    }
    const float *mean;
    assert_error(imatrix_find_expert(im, names[0], 0, 5, WIDTH, &mean, &e), &e, ERROR_INPUT,
                 "has 4 experts of 32 columns, the model's has 5 of 32: it was made for another model");
    assert_error(imatrix_find(im, names[0], WIDTH, &mean, &e), &e, ERROR_INPUT, "is of 4 experts, the model's");
    imatrix_close(im);
}

static void test_importances(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        struct error e;
        struct imatrix_done done;
        char *folder = tiny_folder(mixtures[i], NULL), *out = folder_temporary(), *text = put_text(out);
        char *path = path_join(out, "im.gguf", &e);
        struct model *m = open_tiny(folder, NULL, NULL);
        const struct imatrix_plan plan = {.text = text, .window = WINDOW};
        assert_ok(model_collect_imatrix(m, &plan, path, &done, &e), &e);
        assert_int_equal(done.windows, 1);
        assert_means(m, path, mixtures[i]);
        struct model *plain = open_tiny(folder, "gguf:q4_0", NULL), *weighed = open_tiny(folder, "gguf:q4_0", path);
        assert_int_equal(model_facts(weighed)->unweighted, 0);
        int32_t ids[] = {70, 80, 90};
        const size_t bytes = 3 * (size_t)model_hyper(m)->vocab * sizeof(float);
        float *a = tiny_logits(plain, ids, 3), *b = tiny_logits(weighed, ids, 3);
        assert_memory_not_equal(a, b, bytes);
        /* A file that export quantizes is the same. */
        struct backend_options how;
        char *file = path_join(out, "model.gguf", &e);
        assert_ok(backend_parse(&how, "gguf:q4_0", &e), &e);
        assert_ok(model_export(folder, &(struct model_options){.how = &how, .imatrix = path}, file, NULL, NULL, &e),
                  &e);
        struct model *written = open_tiny(file, NULL, NULL);
        float *again = tiny_logits(written, ids, 3);
        assert_memory_equal(b, again, bytes);
        struct model *const all[] = {m, plain, weighed, written};
        for (size_t k = 0; k < 4; k++) model_close(all[k]);
        free(a);
        free(b);
        free(again);
        free(file);
        free(path);
        free(text);
        folder_remove(folder);
        folder_remove(out);
    }
}

/* A GPTQ folder of a mixture gives the bits of what it was written from, a GGUF file of it opens. */
static void test_folders(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        struct error e;
        struct backend_options how;
        char *folder = tiny_folder(mixtures[i], NULL), *out = folder_temporary(), *path = path_join(out, "gptq", &e);
        assert_ok(backend_parse(&how, "rtn:8", &e), &e);
        struct model *m = open_tiny(folder, "rtn:8", NULL);
        assert_ok(model_export_folder_check(folder, &how, path, &e), &e);
        assert_ok(model_export_folder(m, &how, path, NULL, &e), &e);
        struct model *again = open_tiny(path, NULL, NULL);
        int32_t ids[] = {70, 80, 90};
        float *a = tiny_logits(m, ids, 3), *b = tiny_logits(again, ids, 3);
        assert_memory_equal(a, b, 3 * (size_t)model_hyper(m)->vocab * sizeof *a);
        model_close(m);
        model_close(again);
        free(a);
        free(b);
        folder_remove(path);
        folder_remove(out);
        folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_importances), cmocka_unit_test(test_folders)};
    return cmocka_run_group_tests_name("models/experts", tests, NULL, NULL);
}
