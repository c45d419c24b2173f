/* config.json of models that people download (tests/goldens/configs.json), each with the sizes of a tiny checkpoint of its
 * architecture in the place of its own: all are understood, with the settings that they mean. */
#include "engine/base/json.h"
#include "engine/models/internal.h"
#include "tests/models/tiny_models.h"

#include <math.h>

/* What the tiny checkpoint decides. Of a longer layer_types its layers have the first. */
static const char *const sizes[] = {"hidden_size",
                                    "num_hidden_layers",
                                    "num_attention_heads",
                                    "num_key_value_heads",
                                    "intermediate_size",
                                    "vocab_size",
                                    "head_dim",
                                    "moe_intermediate_size",
                                    "shared_expert_intermediate_size",
                                    "num_local_experts",
                                    "num_experts",
                                    "num_experts_per_tok",
                                    "n_embd",
                                    "n_layer",
                                    "n_head",
                                    "n_inner",
                                    "n_positions",
                                    "n_ctx",
                                    "bos_token_id",
                                    "eos_token_id"};

static void link_to(const char *folder, const char *name, const char *from)
{
    struct error e;
    char here[2048], target[4096];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(target, sizeof target, "%s/%s", here, from);
    char *to = path_join(folder, name, &e);
    assert_int_equal(symlink(target, to), 0);
    free(to);
}

/* A folder of the tiny checkpoint under this configuration. */
static char *folder_like(const char *like, json_t *config)
{
    const bool gpt2 = strcmp(like, "gpt2") == 0;
    char path[128], model[256];
    snprintf(path, sizeof path, gpt2 ? "datasets/millbrook/%s" : "tests/goldens/models/%s", like);
    snprintf(model, sizeof model, "%s/model.safetensors", path);
    strcat(path, "/config.json");
    json_t *own = golden(path);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        json_t *v = json_object_get(own, sizes[i]);
        const bool local = json_object_get(config, "num_local_experts"), has = json_object_get(config, sizes[i]);
        if (strcmp(sizes[i], "num_experts") == 0 && local) continue; /* newer ones call it the other way */
        if (!v && has && strcmp(sizes[i], "num_local_experts") == 0) v = json_object_get(own, "num_experts");
        json_object_del(config, sizes[i]);
        if (v) json_object_set(config, sizes[i], v);
    }
    static const char *const biases[] = {"attention_bias", "mlp_bias"};
    for (size_t i = 0; i < 2 && strcmp(like, "biased") == 0; i++) json_object_set_new(config, biases[i], json_true());
    if (json_is_true(json_object_get(own, "tie_word_embeddings")) &&
        json_is_false(json_object_get(config, "tie_word_embeddings")))
        json_object_set_new(config, "tie_word_embeddings", json_true()); /* the tiny one has no other matrix */
    json_decref(own);
    char *folder = folder_temporary(), *text = json_dump_text(config, 0, NULL);
    assert_non_null(text);
    link_to(folder, "model.safetensors", model);
    link_to(folder, "tokenizer.json",
            gpt2 ? "datasets/millbrook/gpt2/tokenizer.json" : "tests/goldens/models/tokenizer.json");
    free(file_put(folder, "config.json", text, strlen(text)));
    free(text);
    return folder;
}

static double number(const json_t *expect, const char *key, double otherwise)
{
    const json_t *v = json_object_get(expect, key);
    return v ? json_number_value(v) : otherwise;
}

static void assert_setting(const char *name, const char *key, double is, double wanted)
{
    if (!(fabs(is - wanted) <= 1e-6 * fabs(wanted))) fail_msg("%s: %s is %.9g instead of %.9g", name, key, is, wanted);
}

static void assert_layers(const char *name, const struct hyper *h, const json_t *expect)
{
    const json_t *windows = json_object_get(expect, "windows"), *caps = json_object_get(expect, "caps");
    for (int64_t i = 0; i < h->layers; i++) {
        const double has = windows ? json_number_value(json_array_get(windows, (size_t)i)) : 1;
        const int64_t window = has != 0 && h->window ? h->window : INT64_MAX;
        if (window_of(h, i) != window)
            fail_msg("%s: layer %lld sees %lld positions", name, (long long)i, (long long)window_of(h, i));
    }
    assert_setting(name, "cap of scores", (double)h->attn_cap, json_number_value(json_array_get(caps, 0)));
    assert_setting(name, "cap of logits", (double)h->logit_cap, json_number_value(json_array_get(caps, 1)));
}

static void assert_model(const char *name, const struct model *m, const json_t *expect)
{
    const struct hyper *h = model_hyper(m);
    const double head = number(expect, "head", (double)(h->width / h->heads));
    assert_setting(name, "context", (double)h->context, number(expect, "context", 0));
    assert_setting(name, "base", h->rope_base, number(expect, "base", 10000));
    assert_setting(name, "epsilon", (double)h->norm_eps, number(expect, "eps", 0));
    assert_setting(name, "window", (double)h->window, number(expect, "window", 0));
    assert_setting(name, "head", (double)h->head, head);
    assert_setting(name, "scale", (double)h->attn_scale, number(expect, "scale", 1 / sqrt(head)));
    if (json_object_get(expect, "base"))
        assert_setting(name, "turning dimensions", (double)h->rope_dims, number(expect, "turned", head));
    assert_setting(name, "experts", (double)h->experts_used, number(expect, "experts", 0));
    if (h->experts) assert_int_equal(h->experts_norm, json_is_true(json_object_get(expect, "normed")));
    assert_int_equal(h->parallel, json_is_true(json_object_get(expect, "parallel")));
    const bool told = json_is_true(source_config(m->source, "tie_word_embeddings"));
    assert_int_equal(!m->output.backend, told || json_is_true(json_object_get(expect, "tied")));
    assert_int_equal(m->rope.divisors != NULL, json_is_true(json_object_get(expect, "divided")));
    const char *scaling = json_string_value(json_object_get(expect, "scaling"));
    assert_string_equal(m->rope.scaling ? m->rope.scaling : "none", scaling ? scaling : "none");
    const char *act = json_string_value(json_object_get(expect, "activation"));
    const enum activation wanted = !act ? SILU : strcmp(act, "tanh") == 0 ? GELU_TANH : GELU_ERF;
    assert_int_equal(h->activation, wanted);
    assert_layers(name, h, expect);
}

static void test_known(void **state)
{
    (void)state;
    json_t *all = golden("tests/goldens/configs.json"), *row;
    size_t i;
    assert_true(json_array_size(all) >= 40);
    json_array_foreach(all, i, row)
    {
        struct error e;
        struct model *m;
        const char *name = json_string_value(json_object_get(row, "name"));
        char *folder = folder_like(json_string_value(json_object_get(row, "like")), json_object_get(row, "config"));
        if (model_open(&m, folder, NULL, &e)) fail_msg("%s: %s", name, e.text);
        assert_model(name, m, json_object_get(row, "expect"));
        model_close(m);
        folder_remove(folder);
    }
    json_decref(all);
}

/* What changes the arithmetic and is not computed: by its name. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *like, *key, *value, *says;
    } rows[] = {
        {"llama", "hidden_act", "\"gelu\"", "hidden_act: \"gelu\" is not supported by this version (only \"silu\"|"},
        {"llama", "attention_bias", "true", "tensor model.layers.0.self_attn.q_proj.bias is missing"},
        {"llama", "attention_bias", "1", "attention_bias: must be true or false"},
        {"llama", "layer_types", "[\"chunked_attention\", \"full_attention\"]", "\"chunked_attention\" of layer 0"},
        {"llama", "layer_types", "[\"full_attention\", 3]", "layer_types: \"\" of layer 1 is not supported"},
        {"llama", "layer_types", "[\"full_attention\"]", "layer_types: must be a list of 2 strings"},
        {"llama", "layer_types", "\"full_attention\"", "layer_types: must be a list of 2 strings"},
        {"llama", "layer_types", "[\"full_attention\", \"sliding_attention\"]", "there is no sliding_window"},
        {"llama", "rope_interleaved", "true", "rope_interleaved: true is not supported"},
        {"llama", "partial_rotary_factor", "0.5", "partial_rotary_factor: 0.5 is not supported"},
        {"llama", "rope_scaling", "{\"rope_type\": \"proportional\"}", "\"proportional\" is not supported"},
        {"llama", "rope_parameters", "{\"full_attention\": {\"rope_theta\": 5}}",
         "rope_parameters.full_attention: is not supported"},
        {"llama", "rope_parameters", "\"default\"", "rope_parameters: must be an object or null"},
        {"llama", "rope_scaling", "{}", "rope_scaling.rope_type: \"\" is not supported"},
        {"llama", "tie_word_embeddings", "1", "tie_word_embeddings: must be true or false"},
        {"llama", "model_type", "\"gemma3_text\"", "architecture \"gemma3_text\" is not one that this version knows"},
        {"qwen2", "use_sliding_window", "\"yes\"", "use_sliding_window: must be true or false"},
        {"qwen3", "attention_bias", "true", "attention_bias: true is not supported"},
        {"qwen2moe", "decoder_sparse_step", "2", "decoder_sparse_step: 2 is not supported"},
        {"qwen2moe", "qkv_bias", "false", "qkv_bias: false is not supported"},
        {"qwen3moe", "mlp_only_layers", "[0]", "mlp_only_layers: [0] is not supported"},
        {"qwen3moe", "use_sliding_window", "true", "use_sliding_window: true is not supported"},
        {"phi3", "lm_head_bias", "true", "lm_head_bias: true is not supported"},
        {"gemma2", "hidden_activation", "\"gelu\"", "hidden_activation: \"gelu\" is not supported"},
        {"gemma2", "query_pre_attn_scalar", "0", "query_pre_attn_scalar: 0 must be positive"},
        {"gemma2", "use_bidirectional_attention", "true", "use_bidirectional_attention: true is not supported"},
        {"gptneox", "hidden_act", "\"relu\"", "hidden_act: \"relu\" is not supported by this version (only gelu, "},
        {"gptneox", "hidden_act", "3", "hidden_act: \"\" is not supported by this version (only gelu, "},
        {"gptneox", "rotary_pct", "0.1",
         "rotary_pct: dimensions that turn, 0, must be even, from 2 to the 8 of a head"},
        {"gptneox", "attention_bias", "false", "attention_bias: false is not supported"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error e;
        struct model *m;
        json_t *settings = json_object();
        json_object_set_new(settings, rows[i].key, json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
        char *folder = tiny_folder(rows[i].like, settings);
        assert_error(model_open(&m, folder, NULL, &e), &e, ERROR_INPUT, rows[i].says);
        json_decref(settings);
        folder_remove(folder);
    }
}

static struct model *open_tiny(const char *like, json_t *settings)
{
    struct error e;
    struct model *m;
    assert_non_null(settings);
    char *folder = tiny_folder(like, settings);
    assert_ok(model_open(&m, folder, NULL, &e), &e);
    json_decref(settings);
    folder_remove(folder);
    return m;
}

/* Where null is as good as absent what counts is what transformers has where nothing is said. */
static void test_absent(void **state)
{
    (void)state;
    struct model *const models[] = {
        open_tiny("qwen3moe", json_pack("{s:n}", "norm_topk_prob")),
        open_tiny("llama",
                  json_pack("{s:{s:n, s:s, s:f}}", "rope_scaling", "rope_type", "type", "linear", "factor", 2.)),
        open_tiny("llama", json_pack("{s:{s:n, s:f}}", "rope_parameters", "rope_type", "rope_theta", 5.))};
    assert_false(model_hyper(models[0])->experts_norm);
    assert_string_equal(models[1]->rope.scaling, "linear");
    assert_null(models[2]->rope.scaling);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) model_close(models[i]);
}

/* A window that GGUF has no key for keeps a folder from being written only where something lies outside it. */
static void test_wide_window(void **state)
{
    (void)state;
    for (int window = 63; window < 65; window++) {
        struct error e;
        json_t *settings = json_pack("{s:b, s:i, s:i}", "use_sliding_window", 1, "sliding_window", window,
                                     "max_window_layers", 1); /* of 64 positions */
        char *folder = tiny_folder("qwen2", settings), *out = folder_temporary(), *path = path_join(out, "x.gguf", &e);
        const int status = model_export(folder, NULL, path, NULL, NULL, &e);
        if (window < 64)
            assert_error(status, &e, ERROR_INPUT, "use_sliding_window: true: GGUF has no key for it");
        else
            assert_ok(status, &e);
        json_decref(settings);
        free(path);
        folder_remove(out);
        folder_remove(folder);
    }
}

/* The context that longrope begins with, beside the object: no number is no number of positions. */
static void test_original(void **state)
{
    (void)state;
    static const char *const values[] = {"\"32\"", "0", "-1"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct error e;
        struct model *m;
        json_t *settings =
            json_pack("{s:o, s:{s:s, s:f}}", "original_max_position_embeddings",
                      json_loads(values[i], JSON_DECODE_ANY, NULL), "rope_scaling", "type", "linear", "factor", 2.);
        char *folder = tiny_folder("llama", settings);
        assert_error(model_open(&m, folder, NULL, &e), &e, ERROR_INPUT,
                     "config.json: original_max_position_embeddings: must be a positive number");
        json_decref(settings);
        folder_remove(folder);
    }
}

/* A token that was added without a row in the embedding: known from the start, an error where text has it. */
static void test_token_without_row(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    struct ids ids = {0};
    json_t *tokenizer = golden("tests/goldens/models/tokenizer.json");
    json_array_append_new(json_object_get(tokenizer, "added_tokens"),
                          json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", 256, "content", "[PAD]", "single_word",
                                    0, "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1));
    char *folder = tiny_folder("llama", NULL), *text = json_dump_text(tokenizer, 0, NULL),
         *file = path_join(folder, "x.gguf", &e);
    char *path = path_join(folder, "tokenizer.json", &e);
    assert_int_equal(unlink(path), 0);
    free(file_put(folder, "tokenizer.json", text, strlen(text)));
    assert_ok(model_open(&m, folder, NULL, &e), &e);
    assert_non_null(strstr(model_facts(m)->warning, "the tokenizer has 257 tokens, the embedding 256 rows: text with"));
    assert_ok(tokenizer_encode(model_tokenizer(m), "plain", 5, 0, &ids, &e), &e);
    assert_error(tokenizer_encode(model_tokenizer(m), "a [PAD]", 7, 0, &ids, &e), &e, ERROR_INPUT,
                 "the text has the token \"[PAD]\" (256), for which the model has no embedding");
    model_close(m);
    assert_error(model_export(folder, NULL, file, NULL, NULL, &e), &e, ERROR_INPUT, "GGUF files need a row for each");
    ids_free(&ids);
    free(file);
    free(path);
    free(text);
    json_decref(tokenizer);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known),       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_absent),      cmocka_unit_test(test_original),
                                       cmocka_unit_test(test_wide_window), cmocka_unit_test(test_token_without_row)};
    return cmocka_run_group_tests_name("models/configs", tests, NULL, NULL);
}
