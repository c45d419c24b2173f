/* GGUF files of every architecture beside llama.cpp itself: what it makes of files that kerf writes, and of the same
 * with the keys that its own converter writes instead, is kept in tests/goldens/llamacpp-models.json, which
 * make_llamacpp.sh makes with the files that this program writes where it is given a folder:
 *
 *     test_models_llamacpp FOLDER      prints a line for each file: its name, a tab, what it is of */
#include "engine/base/text.h"
#include "engine/formats/gguf.h"
#include "tests/models/grown_models.h"

#include <math.h>

enum { TOKENS = 160, STEP = 4 };

/* A row of llamacpp.json. */
struct row {
    const char *model, *name; /* of the tiny model, and what the row tries */
    const char *spec;         /* or NULL: f32; else the model is a grown one */
    const char *unread;       /* what llama.cpp does not go by, or NULL */
    const json_t *settings, *instead;
    const json_t *without, *with; /* keys of the file */
    int64_t context;              /* that the model is opened for; 0: as little as it has */
    bool fused;                   /* its q, k and v are one tensor */
    bool and_q;                   /* and q is there once more */
    bool rows;                    /* whose biases are matrices of one row */
    enum { WHOLE, ZERO, NONE } o; /* what becomes of the biases behind attention */
};

static struct row row_of(const json_t *o)
{
    return (struct row){.model = json_string_value(json_object_get(o, "model")),
                        .name = json_string_value(json_object_get(o, "name")),
                        .spec = json_string_value(json_object_get(o, "spec")),
                        .unread = json_string_value(json_object_get(o, "unread")),
                        .settings = json_object_get(o, "settings"),
                        .instead = json_object_get(o, "instead"),
                        .without = json_object_get(o, "without"),
                        .with = json_object_get(o, "with"),
                        .context = json_integer_value(json_object_get(o, "context")),
                        .fused = json_is_true(json_object_get(o, "fused"))};
}

/* Root mean square that log-likelihoods may be off by, in nats. llama.cpp looks GELU up in a table of float16, and takes
 * its tanh form for GPT-NeoX: with both done the same way differences are those of other models, 1e-5. Where inputs are
 * quantized a last bit of one may change what follows, and which expert comes next. */
static double most_off(const struct row *r)
{
    if (r->spec && strcmp(r->spec, "f32")) return 0.1;
    return strstr(r->model, "gemma") || strcmp(r->model, "gptneox") == 0 ? 2e-3 : 4e-5;
}

static int32_t id_of(int64_t i) { return (int32_t)((7 * i * i + 3 * i + i / 7 + 1) % 256); }

/* --- files --- */

static char *folder_of(const struct row *r, const json_t *settings)
{
    json_t *all = json_pack("{s:i}", "max_position_embeddings", 256);
    json_object_update(all, (json_t *)(uintptr_t)settings);
    char *folder = (r->spec ? grown_folder : tiny_folder)(r->model, all);
    json_decref(all);
    return folder;
}

static bool left_out(const struct row *r, const struct gguf_value *v)
{
    for (size_t i = 0; i < json_array_size(r->without); i++) {
        const char *key = json_string_value(json_array_get(r->without, i));
        const size_t n = strlen(key);
        if (v->key.length > n && v->key.bytes[v->key.length - n - 1] != '_' &&
            memcmp(v->key.bytes + v->key.length - n, key, n) == 0)
            return true;
    }
    return false;
}

/* Declares a tensor or writes its data; of a fused file's q, k and v the one that they become. */
static void write_tensor(const struct row *r, const struct gguf *g, const struct tensor *t, struct gguf_writer *w,
                         bool declares)
{
    static const char *const parts[] = {"attn_q.", "attn_k.", "attn_v."};
    char *at = NULL, name[128], one[128];
    const bool o = strstr(t->name, "attn_output.bias") != NULL;
    static const float zeros[256];
    snprintf(name, sizeof name, "%s", t->name);
    if (o && r->o == NONE) return;
    if (r->fused && (strstr(name, parts[1]) || strstr(name, parts[2]))) return;
    if (r->fused) at = strstr(name, parts[0]);
    if (at && r->and_q && declares) gguf_write_tensor(w, t->name, t->type, t->n_dims, t->shape);
    if (at && r->and_q && !declares) gguf_write_data(w, t->data, t->bytes);
    int64_t shape[3] = {at ? 0 : t->shape[0], t->shape[1], t->shape[2]};
    for (size_t i = 0; i < (at ? 3 : 1); i++) {
        if (at) memcpy(at, parts[i], strlen(parts[i]));
        const struct tensor *part = gguf_tensor(g, name);
        assert_non_null(part);
        if (at) shape[0] += part->shape[0];
        assert_true(part->bytes <= sizeof zeros || !o);
        if (!declares) gguf_write_data(w, o && r->o == ZERO ? zeros : part->data, part->bytes);
    }
    if (at)
        snprintf(one, sizeof one, "%.*sattn_qkv.%s", (int)(at - name), name, at + strlen(parts[0]));
    else
        snprintf(one, sizeof one, "%s", name);
    const bool row = r->rows && at && t->n_dims == 1;
    if (row) shape[1] = shape[0], shape[0] = 1;
    if (declares) gguf_write_tensor(w, one, t->type, row ? 2 : t->n_dims, shape);
}

enum { WARNING = sizeof((struct facts *)0)->warning };

/* The file again, with other keys. */
static void rewrite(const struct row *r, const char *path)
{
    struct error e;
    struct gguf *g;
    struct gguf_writer *w;
    const char *key;
    json_t *value;
    size_t left = 0;
    assert_ok(gguf_open(&g, path, &e), &e);
    assert_ok(gguf_writer_open(&w, path, &e), &e);
    for (size_t i = 0; i < gguf_value_count(g); i++)
        if (left_out(r, gguf_value(g, i)))
            left++;
        else
            gguf_write_value(w, gguf_value(g, i));
    if (left != json_array_size(r->without)) fail_msg("%s %s: a key to be left out is not there", r->model, r->name);
    json_object_foreach((json_t *)(uintptr_t)r->with, key, value)
    {
        char full[128];
        snprintf(full, sizeof full, "%s.%s", r->model, key);
        gguf_write_u32(w, full, (uint32_t)json_integer_value(value));
    }
    for (size_t i = 0; i < gguf_tensor_count(g); i++) write_tensor(r, g, gguf_tensor_at(g, i), w, true);
    for (size_t i = 0; i < gguf_tensor_count(g); i++) write_tensor(r, g, gguf_tensor_at(g, i), w, false);
    assert_ok(gguf_writer_commit(&w, &e), &e);
    gguf_close(g);
}

static void write_file(const struct row *r, const json_t *settings, const char *path, char warning[WARNING])
{
    struct error e;
    struct facts facts;
    struct backend_options how;
    const struct model_options o = {.how = &how};
    char *folder = folder_of(r, settings);
    assert_ok(backend_parse(&how, r->spec ? r->spec : "f32", &e), &e);
    assert_ok(model_export(folder, &o, path, NULL, &facts, &e), &e);
    snprintf(warning, WARNING, "%s", facts.warning);
    if (r->without || r->fused || r->o) rewrite(r, path);
    folder_remove(folder);
}

/* --- what kerf makes of them --- */

static double log_likelihood(const float *logits, int64_t n, int32_t target)
{
    double most = (double)logits[0], sum = 0;
    for (int64_t i = 1; i < n; i++) most = fmax(most, (double)logits[i]);
    for (int64_t i = 0; i < n; i++) sum += exp((double)logits[i] - most);
    return (double)logits[target] - most - log(sum);
}

/* The root mean square of the differences. */
static double distance(const char *path, enum math math, int64_t context, const json_t *wanted)
{
    struct error e;
    struct model *m;
    int32_t ids[TOKENS];
    double squares = 0;
    for (int64_t i = 0; i < TOKENS; i++) ids[i] = id_of(i);
    assert_ok(model_open(&m, path, &(struct model_options){.math = math, .context = context}, &e), &e);
    const int64_t vocab = model_hyper(m)->vocab;
    float *logits = tiny_logits(m, ids, TOKENS);
    size_t n = 0;
    for (int64_t i = STEP - 1; i + 1 < TOKENS; i += STEP) {
        const double got = log_likelihood(logits + i * vocab, vocab, ids[i + 1]);
        squares += pow(got - json_number_value(json_array_get(wanted, n++)), 2);
    }
    assert_int_equal(n, json_array_size(wanted));
    free(logits);
    model_close(m);
    return sqrt(squares / (double)n);
}

static void assert_row(const struct row *r, const json_t *results, const char *path)
{
    char warning[WARNING], name[128];
    const double most = most_off(r);
    const enum math math = r->spec && strcmp(r->spec, "f32") ? MATH_FAST : MATH_EXACT;
    snprintf(name, sizeof name, "%s %s", r->model, r->name);
    const json_t *wanted = json_object_get(results, name);
    if (!wanted) fail_msg("%s: is not in the golden", name);
    write_file(r, r->settings, path, warning);
    double off = distance(path, math, r->context, wanted);
    if (r->unread) {
        if (!(off > 10 * most)) fail_msg("%s: llama.cpp reads it: only %.1e nats between", name, off);
        if (!strstr(warning, r->unread)) fail_msg("%s: \"%s\" does not warn of it", name, warning);
        write_file(r, r->instead, path, warning);
        off = distance(path, math, r->context, wanted);
    }
    print_message("%-32s %.1e nats%s%s\n", name, off, r->unread ? "; unread: " : "", r->unread ? r->unread : "");
    if (strstr(warning, "llama.cpp")) fail_msg("%s: warns: %s", name, warning);
    if (!(off <= most)) fail_msg("%s: log-likelihoods differ by %g nats", name, off);
}

static void test_rows(void **state)
{
    (void)state;
    struct error e;
    json_t *all = golden("tests/models/llamacpp.json"), *results = golden("tests/goldens/llamacpp-models.json");
    const json_t *rows = json_object_get(all, "rows");
    char *folder = folder_temporary(), *path = path_join(folder, "model.gguf", &e);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const struct row r = row_of(json_array_get(rows, i));
        assert_row(&r, json_object_get(results, "files"), path);
    }
    assert_int_equal(json_array_size(rows), json_object_size(json_object_get(results, "files")));
    free(path);
    folder_remove(folder);
    json_decref(all);
    json_decref(results);
}

/* A tensor of q, k and v whose rows are not those of all heads, and one beside a q of its own. */
static void test_fused(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    char warning[WARNING];
    json_t *without = json_pack("[s]", "attention.head_count_kv"),
           *with = json_pack("{s:i}", "attention.head_count_kv", 1);
    const struct row r = {.model = "llama", .name = "fused", .without = without, .with = with, .fused = true};
    char *folder = folder_temporary(), *path = path_join(folder, "model.gguf", &e);
    write_file(&r, NULL, path, warning);
    assert_error(model_open(&m, path, NULL, &e), &e, ERROR_INPUT,
                 "blk.0.attn_qkv.weight: shape [64, 32] must be [48, 32] by the file's own settings");
    write_file(&(struct row){.model = "llama", .name = "twice", .fused = true, .and_q = true}, NULL, path, warning);
    assert_error(model_open(&m, path, NULL, &e), &e, ERROR_INPUT, "tensor blk.0.attn_qkv.weight is not part of the");
    free(path);
    folder_remove(folder);
    json_decref(without);
    json_decref(with);
}

/* Both give the same logits. */
static void assert_alike(const struct row rows[2])
{
    enum { N = 5 };
    struct error e;
    struct model *m;
    float *logits[2];
    size_t bytes = 0;
    char *folder = folder_temporary(), *path = path_join(folder, "model.gguf", &e), warning[WARNING];
    for (int i = 0; i < 2; i++) {
        write_file(&rows[i], NULL, path, warning);
        assert_ok(model_open(&m, path, NULL, &e), &e);
        bytes = N * (size_t)model_hyper(m)->vocab * sizeof **logits;
        logits[i] = tiny_logits(m, (int32_t[N]){70, 80, 90, 100, 110}, N);
        model_close(m);
    }
    assert_memory_equal(logits[0], logits[1], bytes);
    for (int i = 0; i < 2; i++) free(logits[i]);
    free(path);
    folder_remove(folder);
}

/* A vector may be a matrix of one row, of q, k and v in one too. */
static void test_fused_rows(void **state)
{
    (void)state;
    assert_alike((struct row[2]){{.model = "biased", .name = "vectors", .fused = true},
                                 {.model = "biased", .name = "rows", .fused = true, .rows = true}});
}

/* A llama file may have biases of q, k and v alone. */
static void test_no_output_bias(void **state)
{
    (void)state;
    assert_alike((struct row[2]){{.model = "biased", .name = "zeros", .o = ZERO},
                                 {.model = "biased", .name = "none", .o = NONE}});
}

static void write_all(const char *folder)
{
    struct error e;
    struct text ids = {0};
    json_t *all = golden("tests/models/llamacpp.json"), *rows = json_object_get(all, "rows");
    for (int64_t i = 0; i < TOKENS; i++) text_printf(&ids, "%d ", id_of(i));
    free(file_put(folder, "ids", text_c(&ids), ids.length));
    text_free(&ids);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const struct row r = row_of(json_array_get(rows, i));
        char warning[WARNING], name[32];
        snprintf(name, sizeof name, "%zu.gguf", i);
        char *path = path_join(folder, name, &e);
        write_file(&r, r.settings, path, warning);
        printf("%s\t%s %s\n", name, r.model, r.name);
        free(path);
    }
    json_decref(all);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_fused),
                                       cmocka_unit_test(test_fused_rows), cmocka_unit_test(test_no_output_bias)};
    if (argc > 1) return write_all(argv[1]), 0;
    return cmocka_run_group_tests_name("models/llamacpp", tests, NULL, NULL);
}
