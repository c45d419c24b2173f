/* A mixture's experts: importances of what each of them met, how files lay them out, calibration. */
#include "engine/formats/checkpoint.h"
#include "engine/formats/gguf.h"
#include "engine/formats/imatrix.h"
#include "engine/formats/safetensors.h"
#include "engine/models/imatrix.h"
#include "engine/models/internal.h"
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

/* Sums of the products of inputs of layer 0. */
struct met {
    double h[EXPERT_PARTS][EXPERTS][WIDTH * WIDTH];
    int64_t tokens[EXPERT_PARTS][EXPERTS];
};

static void meet(void *user, int64_t layer, enum expert_part part, int64_t expert, const float *x, int64_t n,
                 int64_t cols)
{
    struct met *m = user;
    if (layer) return;
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < cols * cols; i++)
            m->h[part][expert][i] += (double)x[t * cols + i / cols] * (double)x[t * cols + i % cols];
    m->tokens[part][expert] += n;
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

/* --- layouts --- */

enum { PARTS = 3 };

/* Where a tensor of an expert stands: its part (gate, up, down), layer and number; false: it is none of an expert. */
static bool is_of_expert(const char *name, int *layer, int *expert, int *part)
{
    static const char *const endings[2][PARTS] = {{"w1.weight", "w3.weight", "w2.weight"},
                                                  {"gate_proj.weight", "up_proj.weight", "down_proj.weight"}};
    const char *at = strstr(name, ".experts.");
    if (!at || sscanf(name, "model.layers.%d", layer) != 1 || sscanf(at, ".experts.%d", expert) != 1) return false;
    for (*part = 0; *part < PARTS; (*part)++)
        if (strcmp(strrchr(at, '.') - (strlen(endings[0][*part]) - 7), endings[0][*part]) == 0 ||
            strstr(at, endings[1][*part]))
            return true;
    return false;
}

/* The folder's weights as transformers holds them while it runs: gate above up, the matrices of all experts in one, and
 * Mixtral's router under another name. */
static char *fused_folder(const char *folder)
{
    enum { LAYERS = 2 };
    struct error e;
    struct checkpoint *c;
    struct safetensors_writer *w;
    const void *data[LAYERS][PARTS][EXPERTS] = {0};
    char *out = folder_temporary(), *path = path_join(out, "model.safetensors", &e), name[256];
    static const char *const copied[] = {"config.json", "tokenizer.json"};
    for (size_t i = 0; i < 2; i++) {
        struct file f;
        char *from = path_join(folder, copied[i], &e);
        assert_ok(file_map(&f, from, &e), &e);
        free(file_put(out, copied[i], (const char *)f.data, f.size));
        file_unmap(&f);
        free(from);
    }
    assert_ok(checkpoint_open(&c, folder, &e), &e);
    assert_ok(safetensors_writer_open(&w, path, &e), &e);
    for (int pass = 0; pass < 2; pass++) {
        int layer, expert, part;
        for (size_t i = 0; i < checkpoint_count(c); i++) {
            const struct tensor *t = checkpoint_at(c, i);
            if (is_of_expert(t->name, &layer, &expert, &part)) {
                data[layer][part][expert] = t->data;
                continue;
            }
            const char *router = strstr(t->name, "block_sparse_moe.gate");
            snprintf(name, sizeof name, router ? "%.*smlp.gate.weight" : "%.*s",
                     router ? (int)(router - t->name) : (int)strlen(t->name), t->name);
            if (pass)
                safetensors_write_data(w, t->data, t->bytes);
            else
                safetensors_write_tensor(w, name, t->type, t->n_dims, t->shape);
        }
        for (layer = 0; layer < LAYERS; layer++) {
            snprintf(name, sizeof name, "model.layers.%d.mlp.experts.gate_up_proj", layer);
            if (!pass) safetensors_write_tensor(w, name, DTYPE_F16, 3, (int64_t[]){EXPERTS, 2 * FFN, WIDTH});
            for (int i = 0; i < 2 * EXPERTS && pass; i++)
                safetensors_write_data(w, data[layer][i % 2][i / 2], FFN * WIDTH * 2);
            snprintf(name, sizeof name, "model.layers.%d.mlp.experts.down_proj", layer);
            if (!pass) safetensors_write_tensor(w, name, DTYPE_F16, 3, (int64_t[]){EXPERTS, WIDTH, FFN});
            for (int i = 0; i < EXPERTS && pass; i++) safetensors_write_data(w, data[layer][2][i], FFN * WIDTH * 2);
        }
    }
    assert_ok(safetensors_writer_commit(&w, &e), &e);
    checkpoint_close(c);
    free(path);
    return out;
}

static void write_as_it_is(struct gguf_writer *w, const struct tensor *t, int pass)
{
    if (pass)
        gguf_write_data(w, t->data, t->bytes);
    else
        gguf_write_tensor(w, t->name, t->type, t->n_dims, t->shape);
}

/* Each expert by itself; gate and up in one; and beside that gate once more, which is too much. */
enum layout { SPLIT, MERGED, TOO_MUCH, LAYOUTS };
static const char *const layouts[LAYOUTS] = {"a tensor for each expert", "gate and up in one", "and gate"};

/* Names and shapes (pass 0), then the data (1) of a GGUF file's tensor as others lay it out. */
static void write_other(struct gguf_writer *w, const struct gguf *g, const struct tensor *t, enum layout layout,
                        int pass)
{
    const bool merged = layout != SPLIT;
    char name[256];
    const char *exps = strstr(t->name, "_exps.weight");
    const size_t each = exps ? t->bytes / EXPERTS : t->bytes;
    const bool gate = exps && strstr(t->name, "gate"), up = exps && strstr(t->name, "up_exps");
    if (merged && up) return;
    if (!exps || (merged && !gate)) {
        write_as_it_is(w, t, pass);
        return;
    }
    if (layout == TOO_MUCH) write_as_it_is(w, t, pass);
    if (merged) {
        snprintf(name, sizeof name, "%.*sgate_up_exps.weight", (int)(strstr(t->name, "gate") - t->name), t->name);
        if (!pass) gguf_write_tensor(w, name, t->type, 3, (int64_t[]){EXPERTS, 2 * FFN, WIDTH});
        snprintf(name, sizeof name, "%.*sup_exps.weight", (int)(strstr(t->name, "gate") - t->name), t->name);
        const struct tensor *other = gguf_tensor(g, name);
        assert_non_null(other);
        for (size_t i = 0; i < EXPERTS && pass; i++) {
            gguf_write_data(w, (const char *)t->data + i * each, each);
            gguf_write_data(w, (const char *)other->data + i * each, each);
        }
        return;
    }
    for (size_t i = 0; i < EXPERTS; i++) {
        snprintf(name, sizeof name, "%.*s.%zu.weight", (int)(exps - t->name), t->name, i);
        if (pass)
            gguf_write_data(w, (const char *)t->data + i * each, each);
        else
            gguf_write_tensor(w, name, t->type, 2, t->shape + 1);
    }
}

static char *other_file(const char *folder, const char *path, enum layout layout)
{
    struct error e;
    struct gguf *g;
    struct gguf_writer *w;
    char *out = path_join(folder, layout ? "merged.gguf" : "split.gguf", &e);
    assert_ok(gguf_open(&g, path, &e), &e);
    assert_ok(gguf_writer_open(&w, out, &e), &e);
    for (size_t i = 0; i < gguf_value_count(g); i++) gguf_write_value(w, gguf_value(g, i));
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < gguf_tensor_count(g); i++) write_other(w, g, gguf_tensor_at(g, i), layout, pass);
    assert_ok(gguf_writer_commit(&w, &e), &e);
    gguf_close(g);
    return out;
}

static void assert_same_model(const char *a, const char *spec, const char *b, const char *what)
{
    int32_t ids[] = {70, 80, 90, 100, 110};
    struct model *x = open_tiny(a, spec, NULL), *y = open_tiny(b, spec, NULL);
    float *p = tiny_logits(x, ids, 5), *q = tiny_logits(y, ids, 5);
    if (memcmp(p, q, 5 * (size_t)model_hyper(x)->vocab * sizeof *p)) fail_msg("%s: other logits", what);
    assert_int_equal(model_facts(x)->parameters, model_facts(y)->parameters);
    model_close(x);
    model_close(y);
    free(p);
    free(q);
}

/* A tensor that is needed only in part. */
static void refuse_unused(const char *path, const char *name)
{
    struct error e;
    struct model *m;
    char says[128];
    snprintf(says, sizeof says, "tensor %s is not part of the", name);
    assert_error(model_open(&m, path, NULL, &e), &e, ERROR_INPUT, says);
}

/* The same model however its experts are laid out: from folders, from files, and in what is written from them. */
static void test_layouts(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        struct error e;
        struct backend_options rtn;
        char *folder = tiny_folder(mixtures[i], NULL), *fused = fused_folder(folder), *out = folder_temporary();
        char *file = path_join(out, "model.gguf", &e), *again = path_join(out, "fused.gguf", &e);
        char *gptq = path_join(out, "gptq", &e);
        assert_same_model(folder, NULL, fused, "a fused folder");
        assert_same_model(folder, "gguf:q4_0", fused, "a fused folder, quantized");
        assert_ok(model_export(folder, NULL, file, NULL, NULL, &e), &e);
        assert_ok(model_export(fused, NULL, again, NULL, NULL, &e), &e);
        assert_same_model(file, NULL, again, "a file of a fused folder");
        for (enum layout layout = SPLIT; layout < LAYOUTS; layout++) {
            char *other = other_file(out, file, layout);
            if (layout == TOO_MUCH) {
                refuse_unused(other, "blk.0.ffn_gate_up_exps.weight");
                free(other);
                continue;
            }
            assert_same_model(file, NULL, other, layouts[layout]);
            assert_ok(model_export(other, NULL, again, NULL, NULL, &e), &e);
            assert_same_model(file, NULL, again, "what is written from such a file");
            free(other);
        }
        assert_ok(backend_parse(&rtn, "rtn:8", &e), &e);
        struct model *m = open_tiny(fused, "rtn:8", NULL);
        assert_ok(model_export_folder_check(fused, &rtn, gptq, &e), &e);
        assert_ok(model_export_folder(m, &rtn, gptq, NULL, &e), &e);
        model_close(m);
        struct model *a = open_tiny(folder, "rtn:8", NULL), *b = open_tiny(gptq, NULL, NULL);
        int32_t ids[] = {70, 80, 90};
        float *p = tiny_logits(a, ids, 3), *q = tiny_logits(b, ids, 3);
        assert_memory_equal(p, q, 3 * (size_t)model_hyper(a)->vocab * sizeof *p);
        model_close(a);
        model_close(b);
        free(p);
        free(q);
        folder_remove(gptq);
        folder_remove(out);
        folder_remove(fused);
        folder_remove(folder);
        free(file);
        free(again);
    }
}

/* --- calibration --- */

static struct model *calibrated(const char *folder, const char *spec, const char *text, enum math math)
{
    struct error e;
    struct model *m;
    struct backend_options how;
    assert_ok(backend_parse(&how, spec, &e), &e);
    assert_ok(model_open(&m, folder, &(struct model_options){.how = &how, .calibration = text, .math = math}, &e), &e);
    return m;
}

/* How many of the experts' matrices are the same in both. */
static int64_t count_same(const struct model *a, const struct model *b)
{
    int64_t same = 0;
    float x[FFN * WIDTH], y[FFN * WIDTH];
    for (int64_t layer = 0; layer < 2; layer++)
        for (int part = 0; part < EXPERT_PARTS; part++)
            for (int64_t i = 0; i < EXPERTS; i++) {
                const struct matrix *p = &a->layers[layer].experts[part][i].m,
                                    *q = &b->layers[layer].experts[part][i].m;
                matrix_unpack(p, 0, p->rows, x);
                matrix_unpack(q, 0, q->rows, y);
                same += memcmp(x, y, sizeof x) == 0;
            }
    return same;
}

/* Experts that no token met, or too few, are what rounding makes of them, and counted; the others are not. */
static void test_few_tokens(void **state)
{
    (void)state;
    char *folder = tiny_folder("mixtral", NULL), *out = folder_temporary(), *text = put_text(out);
    struct model *rtn = calibrated(folder, "rtn:4", NULL, MATH_EXACT);
    struct model *few = calibrated(folder, "gptq:4,samples=1,length=2", text, MATH_EXACT);
    struct model *many = calibrated(folder, "gptq:4", "datasets/millbrook/calibration.txt", MATH_EXACT);
    const int64_t rounded = model_facts(few)->calibration.rounded;
    assert_true(rounded > 0 && rounded < 2 * EXPERT_PARTS * EXPERTS && rounded % EXPERT_PARTS == 0);
    assert_int_equal(count_same(few, rtn), rounded);
    assert_int_equal(model_facts(few)->calibration.matrices, 2 * (4 + EXPERT_PARTS * EXPERTS));
    assert_int_equal(model_facts(many)->calibration.rounded, 0);
    assert_int_equal(count_same(many, rtn), 0);
    struct model *const all[] = {rtn, few, many};
    for (size_t i = 0; i < 3; i++) model_close(all[i]);
    free(text);
    folder_remove(out);
    folder_remove(folder);
}

/* What an expert was calibrated with is what its tokens were: in the first layer, whose attention is not packed yet
 * where all sets of a layer are seen at once, the Hessian of the inputs that a probe is told gives the same codes. */
static void test_by_its_tokens(void **state)
{
    (void)state;
    enum { N = 40 };
    struct error e;
    struct backend_options how;
    char *folder = tiny_folder("qwen3moe", NULL), *out = folder_temporary(), text[N];
    for (int i = 0; i < N; i++) text[i] = (char)('A' + i * i % 50);
    char *path = file_put(out, "text", text, N);
    const char *spec = "gptq:4,true-sequential=no,samples=1,length=40";
    struct model *m = calibrated(folder, spec, path, MATH_EXACT), *stored = open_tiny(folder, NULL, NULL);
    assert_ok(backend_parse(&how, spec, &e), &e);
    struct met met = {0};
    int32_t ids[N];
    for (int i = 0; i < N; i++) ids[i] = text[i];
    struct cache *c = cache_new(stored, NULL, 0, N, &e);
    const struct span span = {c, ids, N, N};
    assert_ok(model_forward(stored, &span, 1, NULL, &(struct probe){.user = &met, .expert_input = meet}, &e), &e);
    cache_free(c);
    int checked = 0;
    for (int part = 0; part < EXPERT_PARTS; part++)
        for (int64_t i = 0; i < EXPERTS; i++) {
            struct hessian h = {.h = met.h[part][i], .cols = WIDTH, .tokens = met.tokens[part][i]};
            if (!h.tokens) continue;
            for (int k = 0; k < WIDTH * WIDTH; k++) met.h[part][i][k] /= (double)h.tokens;
            struct calibrated report;
            struct matrix packed = {0};
            struct place at = {.name = "expert", .layer = 0, .layers = 2};
            assert_ok(
                how.backend->calibrate(&packed, &stored->layers[0].experts[part][i].m, &h, &how, &at, &report, &e), &e);
            float x[FFN * WIDTH], y[FFN * WIDTH];
            matrix_unpack(&packed, 0, packed.rows, x);
            matrix_unpack(&m->layers[0].experts[part][i].m, 0, packed.rows, y);
            int off = 0;
            for (int k = 0; k < FFN * WIDTH; k++) off += x[k] != y[k];
            if (off > FFN * WIDTH / 50) fail_msg("part %d of expert %d: %d codes differ", part, (int)i, off);
            matrix_free(&packed);
            checked++;
        }
    assert_true(checked > 6);
    model_close(m);
    model_close(stored);
    free(path);
    folder_remove(out);
    folder_remove(folder);
}

/* Fast math of a calibrated mixture, and the folder that is written of it. */
static void test_calibrated_mixture(void **state)
{
    (void)state;
    struct error e;
    struct backend_options how;
    int32_t ids[] = {70, 80, 90};
    char *folder = tiny_folder("qwen2moe", NULL), *out = folder_temporary(), *path = path_join(out, "gptq", &e);
    const char *text = "datasets/millbrook/calibration.txt", *spec = "gptq:4,group=16,act-order";
    struct model *m = calibrated(folder, spec, text, MATH_EXACT), *fast = calibrated(folder, spec, text, MATH_FAST);
    assert_ok(backend_parse(&how, spec, &e), &e);
    assert_ok(model_export_folder(m, &how, path, NULL, &e), &e);
    struct model *again = open_tiny(path, NULL, NULL);
    const size_t n = 3 * (size_t)model_hyper(m)->vocab;
    float *a = tiny_logits(m, ids, 3), *b = tiny_logits(again, ids, 3), *c = tiny_logits(fast, ids, 3);
    double off = 0, size = 0;
    assert_memory_equal(a, b, n * sizeof *a);
    for (size_t i = 0; i < n; i++) off += fabs((double)(a[i] - c[i])), size += fabs((double)a[i]);
    assert_true(off > 0 && off < 0.05 * size);
    struct model *const all[] = {m, fast, again};
    for (size_t i = 0; i < 3; i++) model_close(all[i]);
    free(a);
    free(b);
    free(c);
    folder_remove(path);
    folder_remove(out);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_importances),   cmocka_unit_test(test_folders),
                                       cmocka_unit_test(test_layouts),       cmocka_unit_test(test_few_tokens),
                                       cmocka_unit_test(test_by_its_tokens), cmocka_unit_test(test_calibrated_mixture)};
    return cmocka_run_group_tests_name("models/experts", tests, NULL, NULL);
}
