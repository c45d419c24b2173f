/* Metadata of GGUF files: what changes the arithmetic is computed or refused by name. */
#include "engine/formats/gguf.h"
#include "engine/models/internal.h"
#include "tests/models/tiny_models.h"

/* A setting as a writer has it; one of the values counts, by type. */
struct setting {
    const char *model, *key;
    enum gguf_type type;
    double number;
    const char *string;
    const char *says; /* NULL: the file opens */
};

static void write_setting(struct gguf_writer *w, const struct setting *s)
{
    if (s->type == GGUF_STRING) gguf_write_string(w, s->key, s->string);
    if (s->type == GGUF_U32) gguf_write_u32(w, s->key, (uint32_t)s->number);
    if (s->type == GGUF_F32) gguf_write_f32(w, s->key, (float)s->number);
    if (s->type == GGUF_BOOL) gguf_write_bool(w, s->key, s->number != 0);
    if (s->type == GGUF_ARRAY) gguf_write_i32s(w, s->key, (int32_t[]){1, 2}, 2);
}

static bool is_key(const struct gguf_value *v, const char *key)
{
    return v->key.length == strlen(key) && memcmp(v->key.bytes, key, v->key.length) == 0;
}

/* FOLDER/with.gguf: the file with this setting in the place of its own, or more than its own. */
static char *with_setting(const char *folder, const char *path, const struct setting *s)
{
    struct error e;
    struct gguf *g;
    struct gguf_writer *w;
    char *out = path_join(folder, "with.gguf", &e);
    assert_ok(gguf_open(&g, path, &e), &e);
    assert_ok(gguf_writer_open(&w, out, &e), &e);
    for (size_t i = 0; i < gguf_value_count(g); i++)
        if (!is_key(gguf_value(g, i), s->key)) gguf_write_value(w, gguf_value(g, i));
    write_setting(w, s);
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct tensor *t = gguf_tensor_at(g, i);
        gguf_write_tensor(w, t->name, t->type, t->n_dims, t->shape);
    }
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct tensor *t = gguf_tensor_at(g, i);
        gguf_write_data(w, t->data, t->bytes);
    }
    assert_ok(gguf_writer_commit(&w, &e), &e);
    gguf_close(g);
    return out;
}

static int open_with(const struct setting *s, struct model **m, struct error *e)
{
    char *from = tiny_folder(s->model, NULL), *folder = folder_temporary();
    char *path = path_join(folder, "model.gguf", e);
    assert_ok(model_export(from, NULL, path, NULL, NULL, e), e);
    char *with = with_setting(folder, path, s);
    const int status = model_open(m, with, NULL, e);
    free(with);
    free(path);
    folder_remove(from); /* the file stays mapped */
    folder_remove(folder);
    return status;
}

static const struct setting settings[] = {
    {"llama", "llama.rope.scaling.type", GGUF_STRING, 0, "ntk", "llama.rope.scaling.type: \"ntk\" is not supported"},
    {"llama", "llama.rope.scaling.type", GGUF_U32, 1, NULL, "llama.rope.scaling.type: \"\" is not supported"},
    {"llama", "llama.rope.scaling.factor", GGUF_F32, -1, NULL, "rope.scaling.factor: must be a positive number"},
    {"llama", "llama.rope.scaling.original_context_length", GGUF_F32, 1e30, NULL, "must be at least 1 and below 2^31"},
    {"llama", "llama.rope.scaling.yarn_ext_factor", GGUF_F32, 0.5, NULL, "yarn_ext_factor: is not supported"},
    {"llama", "llama.rope.scaling.alpha", GGUF_F32, 1000, NULL, "rope.scaling.alpha: 1000 is not supported"},
    {"llama", "llama.rope.dimension_sections", GGUF_ARRAY, 0, NULL, "dimension_sections: of another type is not"},
    {"llama", "llama.attention.value_length", GGUF_U32, 16, NULL, "value_length: 16 is not supported: values must be"},
    {"llama", "llama.attention.sliding_window", GGUF_U32, 5, NULL, NULL},
    {"llama", "llama.attention.causal", GGUF_BOOL, 0, NULL, "attention.causal: false is not supported"},
    {"llama", "llama.attention.causal", GGUF_BOOL, 1, NULL, NULL},
    {"llama", "llama.logit_scale", GGUF_F32, 8, NULL, "logit_scale: 8 is not supported by this version (only 0|1)"},
    {"llama", "llama.residual_scale", GGUF_F32, 0.22, NULL, "residual_scale: 0.22 is not supported"},
    {"llama", "llama.final_logit_softcapping", GGUF_F32, 30, NULL, "final_logit_softcapping: 30 is not supported"},
    {"llama", "llama.expert_count", GGUF_U32, 4, NULL,
     "expert_used_count: 0 experts for each token must be from 1 to 4"},
    {"mixtral", "llama.expert_count", GGUF_U32, 3, NULL, "must be [3, 32]"},
    {"mixtral", "llama.expert_used_count", GGUF_U32, 5, NULL, "5 experts for each token must be from 1 to 4"},
    {"mixtral", "llama.expert_gating_func", GGUF_U32, 2, NULL, "expert_gating_func: 2 is not supported"},
    {"qwen3moe", "qwen3moe.expert_weights_scale", GGUF_F32, 2.5, NULL, "expert_weights_scale: 2.5 is not supported"},
    {"qwen3moe", "qwen3moe.expert_weights_norm", GGUF_U32, 1, NULL, "expert_weights_norm: must be true or false"},
    {"qwen3moe", "qwen3moe.leading_dense_block_count", GGUF_U32, 1, NULL, "leading_dense_block_count: 1 is not"},
    {"olmo2", "olmo2.attention.sliding_window", GGUF_U32, 5, NULL, "sliding_window: 5 is not supported"},
    {"gemma2", "gemma2.attn_logit_softcapping", GGUF_F32, -5, NULL, "attn_logit_softcapping: -5 must not be negative"},
    {"gemma2", "gemma2.attention.scale", GGUF_F32, -0.5, NULL, "attention.scale: -0.5 must not be negative"},
    {"gemma2", "gemma2.attention.sliding_window_pattern", GGUF_U32, 6, NULL, "sliding_window_pattern: 6 is not"},
    {"qwen2", "qwen2.expert_count", GGUF_U32, 4, NULL, "expert_count: 4 is not supported"},
};

static void test_settings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct error e = {.text = ""};
        struct model *m;
        const int status = open_with(&settings[i], &m, &e);
        if (settings[i].says)
            assert_error(status, &e, ERROR_INPUT, settings[i].says);
        else
            assert_ok(status, &e);
        model_close(m);
    }
}

/* A factor counts where the type is not "none" and 0 is none, one of cosines counts always, as in llama.cpp. */
static void test_scaling_types(void **state)
{
    (void)state;
    const struct setting plain = {"llama", "llama.rope.scaling.type", GGUF_STRING, 0, "none", NULL};
    const struct setting linear = {"llama", "llama.rope.scaling.factor", GGUF_F32, 2.5, NULL, NULL};
    const struct setting older = {"llama", "llama.rope.scale_linear", GGUF_F32, 2.5, NULL, NULL};
    const struct setting nothing = {"llama", "llama.rope.scaling.factor", GGUF_F32, 0, NULL, NULL};
    const struct setting cosines = {"llama", "llama.rope.scaling.attn_factor", GGUF_F32, 1.5, NULL, NULL};
    const struct setting *const rows[] = {&plain, &linear, &older, &nothing, &cosines};
    enum { ROWS = sizeof rows / sizeof *rows };
    float *logits[ROWS];
    int64_t n, vocab = 0;
    json_t *expected = tiny_expected("llama");
    int32_t *ids = tiny_ids(expected, &n);
    for (size_t i = 0; i < ROWS; i++) {
        struct error e;
        struct model *m;
        assert_ok(open_with(rows[i], &m, &e), &e);
        vocab = model_hyper(m)->vocab;
        logits[i] = tiny_logits(m, ids, n);
        model_close(m);
    }
    assert_memory_not_equal(logits[0], logits[1], (size_t)(n * vocab) * sizeof **logits);
    assert_memory_equal(logits[1], logits[2], (size_t)(n * vocab) * sizeof **logits);
    assert_memory_equal(logits[0], logits[3], (size_t)(n * vocab) * sizeof **logits);
    assert_memory_not_equal(logits[0], logits[4], (size_t)(n * vocab) * sizeof **logits);
    for (size_t i = 0; i < ROWS; i++) free(logits[i]);
    free(ids);
    json_decref(expected);
}

/* Values of general.file_type that nobody knows are told and change nothing. */
static void unknown_file_types(void **state)
{
    (void)state;
    static const struct {
        struct setting setting;
        const char *says; /* NULL: nothing */
    } cases[] = {
        {{"llama", "general.file_type", GGUF_U32, 15, NULL, NULL}, NULL},
        {{"llama", "general.file_type", GGUF_U32, 1024 + 2, NULL, NULL}, NULL},
        {{"llama", "general.file_type", GGUF_U32, 999, NULL, NULL}, "/with.gguf: general.file_type: 999 is not known"},
        {{"llama", "general.file_type", GGUF_STRING, 0, "Q4", NULL}, "general.file_type: is no integer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        struct model *m;
        assert_ok(open_with(&cases[i].setting, &m, &e), &e);
        const char *warning = model_facts(m)->warning;
        if (cases[i].says)
            assert_non_null(strstr(warning, cases[i].says));
        else
            assert_string_equal(warning, "");
        model_close(m);
    }
}

/* Several warnings are a line each, whatever bytes are in them. */
static void lines_of_warnings(void **state)
{
    (void)state;
    struct error e;
    char *folder = tiny_folder("llama", NULL);
    struct model *m;
    assert_ok(model_open(&m, folder, NULL, &e), &e);
    assert_string_equal(m->facts.warning, "");
    model_warn(m, "tokens: \"%s\"", "a\nb");
    model_warn(m, "%s", "more");
    char wanted[1024];
    snprintf(wanted, sizeof wanted, "%s: tokens: \"a\\nb\"\n%s: more", m->facts.path, m->facts.path);
    assert_string_equal(m->facts.warning, wanted);
    for (int i = 0; i < 100; i++) model_warn(m, "again"); /* what has no room is cut */
    model_close(m);
    folder_remove(folder);
}

/* A Gemma 2 file that says no caps has those that all of them were made with, as in llama.cpp: 50 and 30. */
static void test_caps(void **state)
{
    (void)state;
    struct error e;
    json_t *capped = json_pack("{s:f, s:f}", "attn_logit_softcapping", 50., "final_logit_softcapping", 30.);
    const struct setting dropped[] = {{"gemma2", "gemma2.attn_logit_softcapping", GGUF_U8, 0, NULL, NULL},
                                      {"gemma2", "gemma2.final_logit_softcapping", GGUF_U8, 0, NULL, NULL}};
    char *folder = tiny_folder("gemma2", capped), *out = folder_temporary();
    char *path = path_join(out, "model.gguf", &e);
    assert_ok(model_export(folder, NULL, path, NULL, NULL, &e), &e);
    int64_t n;
    json_t *expected = tiny_expected("gemma2");
    int32_t *ids = tiny_ids(expected, &n);
    struct model *m;
    float *logits[3];
    size_t bytes = 0;
    for (size_t i = 0; i < 3; i++) {
        char *with = i ? with_setting(out, path, &dropped[i - 1]) : NULL;
        assert_ok(model_open(&m, with ? with : path, NULL, &e), &e);
        bytes = (size_t)(n * model_hyper(m)->vocab) * sizeof **logits;
        logits[i] = tiny_logits(m, ids, n);
        model_close(m);
        free(with);
    }
    assert_memory_equal(logits[0], logits[1], bytes);
    assert_memory_equal(logits[0], logits[2], bytes);
    for (size_t i = 0; i < 3; i++) free(logits[i]);
    free(ids);
    free(path);
    folder_remove(folder);
    folder_remove(out);
    json_decref(expected);
    json_decref(capped);
}

/* A file that does not say how much of a head turns means all of it, as in llama.cpp: folders of GPT-NeoX a quarter. */
static void test_turned(void **state)
{
    (void)state;
    static const char *const names[] = {"gptneox", "phi3"};
    for (size_t i = 0; i < 2; i++) {
        struct error e;
        struct model *m;
        char key[64];
        snprintf(key, sizeof key, "%s.rope.dimension_count", names[i]);
        const struct setting dropped = {names[i], key, GGUF_U8, 0, NULL, NULL};
        assert_ok(open_with(&dropped, &m, &e), &e);
        assert_int_equal(model_hyper(m)->rope_dims, model_hyper(m)->head);
        model_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings),      cmocka_unit_test(test_scaling_types),
                                       cmocka_unit_test(unknown_file_types), cmocka_unit_test(lines_of_warnings),
                                       cmocka_unit_test(test_caps),          cmocka_unit_test(test_turned)};
    return cmocka_run_group_tests_name("models/metadata", tests, NULL, NULL);
}
