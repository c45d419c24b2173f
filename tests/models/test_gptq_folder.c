/* GPTQ folders: written and read back to the same bits, in every layout that is found on Hugging Face. */
#include "engine/backends/gptq.h"
#include "tests/models/gptq_edit.h"

#include <dirent.h>

static const char llama[] = "datasets/millbrook/llama", gpt2[] = "datasets/millbrook/gpt2";
enum { TOKENS = 24 };

static int start(void **state)
{
    (void)state;
    struct error e;
    assert_ok(blas_open(&e), &e);
    return 0;
}

/* Logits of every position of a short text, to be freed. */
static float *logits_of(const struct model *m)
{
    struct error e;
    int32_t ids[TOKENS];
    int64_t vocab = model_hyper(m)->vocab;
    for (int32_t i = 0; i < TOKENS; i++) ids[i] = i * 37 % 1280;
    float *hidden = calloc((size_t)(TOKENS * model_hyper(m)->width), sizeof *hidden);
    float *logits = calloc((size_t)(TOKENS * vocab), sizeof *logits);
    struct span s = {cache_new(m, NULL, 0, TOKENS, &e), ids, TOKENS, 0};
    assert_true(hidden && logits && s.cache);
    assert_ok(model_forward(m, &s, 1, hidden, NULL, &e), &e);
    assert_ok(model_logits(m, hidden, TOKENS, logits, &e), &e);
    cache_free(s.cache);
    free(hidden);
    return logits;
}

static bool same_logits(const struct model *a, const struct model *b)
{
    float *x = logits_of(a), *y = logits_of(b);
    bool same = memcmp(x, y, (size_t)(TOKENS * model_hyper(a)->vocab) * sizeof *x) == 0;
    free(x);
    free(y);
    return same;
}

static void assert_same_matrices(const struct model *a, const struct model *b)
{
    for (int64_t layer = 0; layer < model_hyper(a)->layers; layer++)
        for (int role = 0; role < LINEARS; role++) {
            const struct matrix *x = model_linear(a, layer, (enum linear_role)role, NULL);
            const struct matrix *y = model_linear(b, layer, (enum linear_role)role, NULL);
            assert_int_equal(x == NULL, y == NULL);
            if (!x) continue;
            size_t n = (size_t)(x->rows * x->cols);
            float *p = calloc(n, sizeof *p), *q = calloc(n, sizeof *q);
            assert_true(p && q);
            matrix_unpack(x, 0, x->rows, p);
            matrix_unpack(y, 0, y->rows, q);
            assert_memory_equal(p, q, n * sizeof *p);
            free(p);
            free(q);
        }
}

/* The folder opened by `spec` is the model to the bit. */
static void assert_reads_as(const char *folder, const char *spec, const struct model *m)
{
    struct error e;
    struct model *read;
    assert_ok(open_model(folder, spec, &read, &e), &e);
    if (!same_logits(m, read)) fail_msg("%s@%s has other logits", folder, spec ? spec : "stored");
    assert_string_equal(model_facts(read)->warning, "");
    assert_string_equal(model_facts(read)->backend, spec ? spec : "stored");
    model_close(read);
}

static void round_trip(const char *source, const char *spec)
{
    struct error e;
    struct model *made, *read;
    char *folder = folder_temporary(), *out = quantized(source, spec, folder, "out");
    assert_ok(open_model(source, spec, &made, &e), &e);
    assert_ok(open_model(out, NULL, &read, &e), &e);
    assert_same_matrices(made, read);
    if (!same_logits(made, read)) fail_msg("%s@%s: the folder has other logits", source, spec);
    assert_int_equal(model_facts(made)->parameters, model_facts(read)->parameters);
    assert_int_equal(model_facts(made)->weight_bytes, model_facts(read)->weight_bytes);
    assert_string_equal(tokenizer_hash(model_tokenizer(made)), tokenizer_hash(model_tokenizer(read)));
    assert_string_equal(model_facts(read)->warning, "");
    model_close(made);
    model_close(read);
    free(out);
    folder_remove(folder);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const specs[] = {"rtn:4",
                                        "rtn:3,group=64",
                                        "rtn:2,group=32",
                                        "rtn:8,group=-1",
                                        "rtn:4,sym",
                                        "rtn:3,sym,zero-points=v2",
                                        "rtn:4,group=96",
                                        "rtn:8,zero-points=v2",
                                        "gptq:4,group=64,act-order,samples=2,length=32"};
    size_t n = test_items(sizeof specs / sizeof *specs);
    for (size_t i = 0; i < n; i++) round_trip(llama, specs[i]);
    for (size_t i = 0; i < n; i += 4) round_trip(gpt2, specs[i]);
}

static bool halves_to_floats(void *user, struct tensor *t)
{
    (void)user;
    struct error e;
    struct backend_options f32;
    struct matrix m;
    if (t->n_dims != 2) return true;
    assert_ok(backend_parse(&f32, "f32", &e), &e);
    assert_ok(matrix_pack(&m, t, &f32, NULL, &e), &e);
    /* a value that float16 has not */
    ((float *)m.owned)[0] += 1e-6f;
    t->type = DTYPE_F32;
    t->data = t->owned = m.owned;
    t->bytes = m.bytes;
    return true;
}

static bool without_prefix(void *user, struct tensor *t)
{
    const char *prefix = user;
    if (strncmp(t->name, prefix, strlen(prefix)) == 0) t->name += strlen(prefix);
    return true;
}

static void copy_file(const char *from, const char *to, const char *name)
{
    struct error e;
    struct file f;
    char *path = joined(from, name);
    assert_ok(file_map(&f, path, &e), &e);
    free(file_put(to, name, f.data, f.size));
    file_unmap(&f);
    free(path);
}

/* A copy of the shipped llama. */
static char *copy_llama(void)
{
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"};
    char *folder = folder_temporary();
    for (size_t i = 0; i < 4; i++) copy_file(llama, folder, names[i]);
    return folder;
}

/* Checkpoints whose weights are float32, of which the model takes float16 outside of the layers, and whose names lack
 * the prefix. */
static void test_other_sources(void **state)
{
    (void)state;
    char *source = copy_llama();
    edit_weights(source, "model.safetensors", "model.safetensors", halves_to_floats, NULL, NULL, 0);
    round_trip(source, "rtn:4");
    edit_weights(source, "model.safetensors", "model.safetensors", without_prefix, "model.", NULL, 0);
    round_trip(source, "rtn:4");
    folder_remove(source);
}

/* --- layouts that are found --- */

/* The feed-forward matrices of 768 with 760 instead; that their values are then nonsense does not matter. */
static bool narrower_down(void *user, struct tensor *t)
{
    (void)user;
    for (int i = 0; i < t->n_dims; i++)
        if (strstr(t->name, ".mlp.") && t->shape[i] == 768) {
            t->shape[i] = 760;
            t->bytes = t->bytes / 768 * 760;
        }
    return true;
}

/* The folder of the tests below, and its model. */
struct fixture {
    char *folder, *out;
    struct model *made;
};

static struct fixture make(const char *spec)
{
    struct error e;
    struct fixture f = {.folder = folder_temporary()};
    f.out = quantized(llama, spec, f.folder, "out");
    assert_ok(open_model(llama, spec, &f.made, &e), &e);
    return f;
}

static void unmake(struct fixture *f)
{
    model_close(f->made);
    free(f->out);
    folder_remove(f->folder);
}

static bool is_part(const struct tensor *t, const char *ending)
{
    size_t n = strlen(t->name), m = strlen(ending);
    return n > m && strcmp(t->name + n - m, ending) == 0;
}

static bool without_index(void *user, struct tensor *t)
{
    (void)user;
    return !is_part(t, ".g_idx");
}

/* One more in every field of 4 bits: what is v1 becomes v2. */
static bool next_zeros(void *user, struct tensor *t)
{
    (void)user;
    if (!is_part(t, ".qzeros")) return true;
    uint8_t *bytes = malloc(t->bytes);
    assert_non_null(bytes);
    for (size_t i = 0; i < t->bytes; i++) {
        uint8_t b = ((const uint8_t *)t->data)[i];
        bytes[i] = (uint8_t)(((b + 1) & 0x0f) | ((b + 0x10) & 0xf0));
    }
    t->data = t->owned = bytes;
    return true;
}

static void test_settings_files(void **state)
{
    (void)state;
    struct error e;
    struct fixture f = make("rtn:4");
    edit_weights(f.out, "model.safetensors", "model.safetensors", without_index, NULL, NULL, 0);
    assert_reads_as(f.out, NULL, f.made);
    /* names of older tools, and no format */
    edit_settings(f.out, "checkpoint_format", NULL);
    edit_settings(f.out, "bits", NULL);
    edit_settings(f.out, "wbits", "4");
    assert_reads_as(f.out, NULL, f.made);
    edit_settings(f.out, "group_size", NULL);
    assert_reads_as(f.out, NULL, f.made);
    /* either file alone, and neither: all follows from the shapes */
    char *path = joined(f.out, "config.json"), hash[2][HASH_HEX];
    struct checkpoint *c;
    for (size_t i = 0; i < 2; i++) {
        assert_ok(checkpoint_open(&c, f.out, &e), &e);
        assert_ok(checkpoint_hash(c, hash[i], &e), &e);
        checkpoint_close(c);
        if (!i) remove_file(f.out, "quantize_config.json");
    }
    assert_string_not_equal(hash[0], hash[1]);
    assert_reads_as(f.out, NULL, f.made);
    json_t *config = json_read_file(path, &e);
    json_object_del(config, "quantization_config");
    assert_ok(json_write_file(path, config, &e), &e);
    assert_reads_as(f.out, NULL, f.made);
    static const char settings[] = "{\"bits\": 4, \"group_size\": 128, \"damp_percent\": 0.01, \"desc_act\": false, "
                                   "\"model_file_base_name\": null, \"model_name_or_path\": null}";
    free(file_put(f.out, "quantize_config.json", settings, strlen(settings)));
    assert_reads_as(f.out, NULL, f.made);
    json_decref(config);
    free(path);
    unmake(&f);
}

static bool is_first(void *user, struct tensor *t)
{
    const bool *first = user;
    return (strstr(t->name, "layers.0.") != NULL) == *first;
}

static void write_index(const char *folder, const char *name, const char *const shards[2])
{
    struct error e;
    json_t *map = json_object();
    for (size_t i = 0; i < 2; i++) {
        struct safetensors *s;
        char *path = joined(folder, shards[i]);
        assert_ok(safetensors_open(&s, path, &e), &e);
        for (size_t k = 0; k < safetensors_count(s); k++)
            json_object_set_new(map, safetensors_at(s, k)->name, json_string(shards[i]));
        safetensors_close(s);
        free(path);
    }
    char *path = joined(folder, name);
    json_t *index = json_pack("{s:o}", "weight_map", map);
    assert_ok(json_write_file(path, index, &e), &e);
    json_decref(index);
    free(path);
}

static void test_weight_files(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    struct fixture f = make("rtn:4");
    static const char one[] = "gptq_model-4bit-128g.safetensors";
    static const char *const shards[] = {"gptq_model-4bit-128g-00001-of-00002.safetensors",
                                         "gptq_model-4bit-128g-00002-of-00002.safetensors"};
    edit_weights(f.out, "model.safetensors", one, NULL, NULL, NULL, 0);
    remove_file(f.out, "model.safetensors");
    assert_reads_as(f.out, NULL, f.made);
    edit_weights(f.out, one, shards[0], is_first, &(bool){true}, NULL, 0);
    edit_weights(f.out, one, shards[1], is_first, &(bool){false}, NULL, 0);
    remove_file(f.out, one);
    assert_error(open_model(f.out, NULL, &m, &e), &e, ERROR_INPUT, "has 2 files *.safetensors and none is model.");
    assert_true(strstr(e.text, shards[0]) && strstr(e.text, shards[1]));
    write_index(f.out, "gptq_model-4bit-128g.safetensors.index.json", shards);
    assert_reads_as(f.out, NULL, f.made);
    write_index(f.out, "other.safetensors.index.json", shards);
    assert_error(open_model(f.out, NULL, &m, &e), &e, ERROR_INPUT, "has 2 files *.safetensors.index.json");
    unmake(&f);
}

static void test_zero_points(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    static const char *const specs[] = {"rtn:4", "rtn:4,sym"};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f = make(specs[i]);
        assert_reads_as(f.out, "gptq", f.made);
        edit_weights(f.out, "model.safetensors", "model.safetensors", next_zeros, NULL, NULL, 0);
        /* not what the settings say: warned of, and the way out is right */
        assert_ok(open_model(f.out, NULL, &m, &e), &e);
        assert_non_null(strstr(model_facts(m)->warning, "zero points look like gptq_v2"));
        assert_non_null(strstr(model_facts(m)->warning, f.out));
        assert_non_null(strstr(model_facts(m)->warning, "try @gptq,zero-points=v2"));
        assert_false(same_logits(m, f.made));
        model_close(m);
        assert_ok(open_model(f.out, "f32", &m, &e), &e);
        assert_non_null(strstr(model_facts(m)->warning, "zero points look like gptq_v2"));
        model_close(m);
        assert_reads_as(f.out, "gptq,zero-points=v2", f.made);
        edit_settings(f.out, "checkpoint_format", "\"gptq_v2\"");
        assert_reads_as(f.out, NULL, f.made);
        assert_ok(open_model(f.out, "gptq,zero-points=v1", &m, &e), &e);
        assert_non_null(strstr(model_facts(m)->warning, "try @gptq,zero-points=v2"));
        model_close(m);
        unmake(&f);
    }
}

static void test_biases(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    struct fixture f = make("rtn:4");
    uint16_t bias[256] = {0};
    const struct tensor more = {.name = "model.layers.3.self_attn.q_proj.bias",
                                .type = DTYPE_F16,
                                .n_dims = 1,
                                .shape = {256, 1, 1, 1},
                                .data = bias,
                                .bytes = sizeof bias};
    edit_weights(f.out, "model.safetensors", "zeros.safetensors", NULL, NULL, &more, 1);
    bias[200] = 1;
    edit_weights(f.out, "model.safetensors", "ones.safetensors", NULL, NULL, &more, 1);
    remove_file(f.out, "model.safetensors");
    edit_weights(f.out, "ones.safetensors", "model.safetensors", NULL, NULL, NULL, 0);
    assert_error(open_model(f.out, NULL, &m, &e), &e, ERROR_INPUT,
                 "tensor model.layers.3.self_attn.q_proj.bias is not part of the llama");
    edit_weights(f.out, "zeros.safetensors", "model.safetensors", NULL, NULL, NULL, 0);
    assert_reads_as(f.out, NULL, f.made);
    unmake(&f);
}

/* Settings of single modules are what their shapes say. */
static void test_dynamic(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    struct fixture f = make("rtn:4");
    edit_settings(f.out, "bits", "8");
    assert_error(open_model(f.out, NULL, &m, &e), &e, ERROR_INPUT,
                 "is 4 bits for 256 columns, but quantize_config.json");
    edit_settings(f.out, "bits", "4");
    edit_settings(f.out, "group_size", "64");
    assert_error(open_model(f.out, NULL, &m, &e), &e, ERROR_INPUT,
                 "2 groups for 256 columns, but quantize_config.json");
    edit_settings(f.out, "bits", "8");
    edit_settings(f.out, "dynamic", "{\"+:.*\": {\"bits\": 4, \"group_size\": 128}}");
    assert_reads_as(f.out, NULL, f.made);
    unmake(&f);
}

/* --- what is made from such folders --- */

static void test_other_backends(void **state)
{
    (void)state;
    struct error e;
    struct model *m, *again;
    struct backend_options how;
    struct fixture f = make("rtn:4,group=64");
    assert_reads_as(f.out, "f32", f.made);
    /* to GGUF: the rows of q and k are put into its order */
    char *file = joined(f.folder, "model.gguf");
    assert_ok(backend_parse(&how, "f32", &e), &e);
    assert_ok(model_export(f.out, &(struct model_options){.how = &how}, file, NULL, NULL, &e), &e);
    assert_reads_as(file, NULL, f.made);
    assert_error(model_export(f.out, &(struct model_options){0}, file, NULL, NULL, &e), &e, ERROR_USAGE,
                 "GGUF has no type for GPTQ matrices as they are stored");
    /* and on to other bits */
    char *out = quantized(f.out, "rtn:8", f.folder, "again");
    assert_ok(open_model(f.out, "rtn:8", &m, &e), &e);
    assert_ok(open_model(out, NULL, &again, &e), &e);
    assert_same_matrices(m, again);
    assert_true(same_logits(m, again));
    model_close(m);
    model_close(again);
    free(out);
    free(file);
    unmake(&f);
}

/* --- the folder --- */

static size_t files_in(const char *folder)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static bool stop_at(void *user, size_t done, size_t total)
{
    (void)total;
    return done < *(const size_t *)user;
}

static void test_nothing_replaced(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    struct backend_options how, stored;
    char *folder = folder_temporary(), *fresh = joined(folder, "deep/new"), *deep = joined(folder, "deep");
    assert_ok(backend_parse(&how, "rtn:4", &e), &e);
    assert_ok(backend_parse(&stored, "gptq", &e), &e);
    assert_ok(open_model(llama, "rtn:4", &m, &e), &e);
    const struct export_progress watch = {&(size_t){20}, stop_at};
    assert_error(model_export_folder(m, &how, fresh, &watch, &e), &e, ERROR_INTERRUPTED, "interrupted");
    assert_false(path_exists(fresh) || path_exists(deep));
    assert_ok(model_export_folder(m, &how, fresh, NULL, &e), &e);
    assert_int_equal(files_in(fresh), 5);
    assert_error(model_export_folder(m, &how, fresh, NULL, &e), &e, ERROR_USAGE, "is not empty (it has ");
    assert_error(model_export_folder(m, &how, deep, NULL, &e), &e, ERROR_USAGE, "is not empty (it has new)");
    free(file_put(folder, "file", "x", 1));
    char *file = joined(folder, "file"), *below = joined(folder, "file/below");
    assert_error(model_export_folder(m, &how, file, NULL, &e), &e, ERROR_USAGE, "is a file");
    assert_error(model_export_folder(m, &how, below, NULL, &e), &e, ERROR_IO, "file");
    assert_error(model_export_folder(m, &how, "x.gguf", NULL, &e), &e, ERROR_USAGE, "GGUF has no type for \"rtn:4\"");
    assert_error(model_export_folder(m, &stored, fresh, NULL, &e), &e, ERROR_USAGE, "is not written as a folder");
    assert_error(model_export_folder_check(file, &how, deep, &e), &e, ERROR_USAGE,
                 "is made from a Hugging Face folder");
    assert_int_equal(files_in(fresh), 5);
    model_close(m);
    free(file);
    free(below);
    free(fresh);
    free(deep);
    folder_remove(folder);
}

/* Before the model is opened: shapes that the words do not divide, and a place where nothing can be. */
static void test_checked_before(void **state)
{
    (void)state;
    struct error e;
    struct backend_options how;
    char *source = copy_llama(), *config = joined(source, "config.json"), *out = joined(source, "out/put"),
         *parent = joined(source, "out");
    assert_ok(backend_parse(&how, "gptq:3", &e), &e);
    assert_ok(model_export_folder_check(source, &how, out, &e), &e);
    assert_false(path_exists(parent));
    edit_weights(source, "model.safetensors", "model.safetensors", narrower_down, NULL, NULL, 0);
    json_t *json = json_read_file(config, &e);
    json_object_set_new(json, "intermediate_size", json_integer(760));
    assert_ok(json_write_file(config, json, &e), &e);
    assert_error(model_export_folder_check(source, &how, out, &e), &e, ERROR_INPUT, source);
    assert_non_null(strstr(e.text, ": model.layers.0.mlp."));
    assert_non_null(strstr(e.text, "does not divide into words of 32 codes of 3 bits"));
    assert_false(path_exists(parent));
    assert_ok(backend_parse(&how, "gptq:8", &e), &e);
    assert_ok(model_export_folder_check(source, &how, out, &e), &e);
    assert_error(model_export_folder_check(source, &how, "", &e), &e, ERROR_USAGE, "an empty name is no folder");
    json_decref(json);
    free(config);
    free(out);
    free(parent);
    folder_remove(source);
}

static void test_refused(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    assert_error(open_model(llama, "gptq", &m, &e), &e, ERROR_USAGE, "is no GPTQ checkpoint: bits must follow");
    assert_error(open_model(llama, "gptq,zero-points=v2", &m, &e), &e, ERROR_USAGE, "is no GPTQ checkpoint");
    char *source = copy_llama(), *config = joined(source, "config.json");
    json_t *json = json_read_file(config, &e);
    json_object_set_new(json, "quantization_config", json_pack("{s:s}", "quant_method", "bitsandbytes"));
    assert_ok(json_write_file(config, json, &e), &e);
    assert_error(open_model(source, NULL, &m, &e), &e, ERROR_INPUT,
                 "config.json: quantization_config: quant_method: \"bitsandbytes\" is not read by this version");
    json_decref(json);
    free(config);
    folder_remove(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_other_sources),
        cmocka_unit_test(test_settings_files),   cmocka_unit_test(test_weight_files),
        cmocka_unit_test(test_zero_points),      cmocka_unit_test(test_biases),
        cmocka_unit_test(test_dynamic),          cmocka_unit_test(test_other_backends),
        cmocka_unit_test(test_nothing_replaced), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_checked_before),
    };
    return cmocka_run_group_tests_name("models/gptq_folder", tests, start, NULL);
}
