/* Checkpoints of the shipped models with one thing wrong each. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/decoding/generate.h"
#include "engine/formats/safetensors.h"
#include "suites/scheduler.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"};

static char *source_path(const char *model, const char *file)
{
    struct error e;
    char folder[64], here[4096];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(folder, sizeof folder, "datasets/millbrook/%s/%s", model, file);
    char *path = path_join(here, folder, &e);
    assert_non_null(path);
    return path;
}

/* A copy of the model without `left_out`: links to the rest of its files. */
static char *copy_but(const char *model, const char *left_out)
{
    struct error e;
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (strcmp(files[i], left_out) == 0) continue;
        char *from = source_path(model, files[i]), *to = path_join(folder, files[i], &e);
        assert_int_equal(symlink(from, to), 0);
        free(from);
        free(to);
    }
    return folder;
}

static int open_folder(const char *folder, struct error *e)
{
    struct model *m;
    int status = model_open(&m, folder, NULL, e);
    assert_int_equal(m == NULL, status != 0);
    model_close(m);
    return status;
}

/* --- settings --- */

/* Writes the model's config.json with one key set to a JSON text (NULL: left out). */
static void put_config(const char *folder, const char *model, const char *key, const char *value)
{
    struct error e;
    char *path = source_path(model, "config.json");
    json_t *config = json_read_file(path, &e);
    assert_non_null(config);
    if (value)
        json_object_set_new(config, key, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(config, key);
    char *text = json_dump_text(config, 0, NULL);
    free(file_put(folder, "config.json", text, strlen(text)));
    free(text);
    free(path);
    json_decref(config);
}

static const struct setting {
    const char *model, *key, *value, *says; /* says NULL: the model opens */
} settings[] = {
    {"llama", "model_type", NULL, "config.json: model_type: a string must name the architecture"},
    {"llama", "model_type", "7", "config.json: model_type: a string must name the architecture"},
    {"llama", "model_type", "\"mamba\"",
     "architecture \"mamba\" is not one that this version knows (llama, mistral, mixtral, gpt2, "},
    {"llama", "num_attention_heads", "0", "num_attention_heads: 0 must be a whole number from 1"},
    {"llama", "num_attention_heads", "-4", "num_attention_heads: -4 must be a whole number from 1"},
    {"llama", "num_attention_heads", "4.5", "num_attention_heads: 4.5 must be a whole number from 1"},
    {"llama", "num_attention_heads", "\"4\"", "config.json: num_attention_heads: must be a finite number"},
    {"llama", "num_attention_heads", NULL, "config.json: num_attention_heads: is missing"},
    {"llama", "num_attention_heads", "1", "1 heads do not divide into 2 key heads"},
    {"llama", "num_attention_heads", "6", "hidden_size: 256 does not divide into 6 heads"},
    {"llama", "num_attention_heads", "1e300", "num_attention_heads: 1.0000000000000001e+300 must be a whole number"},
    {"llama", "num_attention_heads", "8", "k_proj.weight: shape [128, 256] must be [64, 256]"},
    {"llama", "num_key_value_heads", "0", "num_key_value_heads: 0 must be a whole number from 1"},
    {"llama", "num_key_value_heads", "3", "4 heads do not divide into 3 key heads"},
    {"llama", "num_key_value_heads", "4", "k_proj.weight: shape [128, 256] must be [256, 256]"},
    {"llama", "num_key_value_heads", NULL, "k_proj.weight: shape [128, 256] must be [256, 256]"},
    {"llama", "num_hidden_layers", "0", "num_hidden_layers: 0 must be a whole number from 1"},
    {"llama", "num_hidden_layers", "1000000000",
     "num_hidden_layers: 1000000000 must be a whole number from 1 to 1048576"},
    {"llama", "num_hidden_layers", "1048576", "num_hidden_layers: 1048576 layers cannot come from 56 tensors"},
    {"llama", "num_hidden_layers", "7", "tensor model.layers.6.input_layernorm.weight is missing"},
    {"llama", "num_hidden_layers", "5", "tensor model.layers.5."},
    {"llama", "hidden_size", "0", "hidden_size: 0 must be a whole number from 1"},
    {"llama", "hidden_size", "128", "embed_tokens.weight: shape [1280, 256] must be [any, 128]"},
    {"llama", "hidden_size", "1000000000", "hidden_size: 1000000000 must be a whole number from 1 to 262144"},
    {"llama", "intermediate_size", "512", "shape [768, 256] must be [512, 256] by the file's own settings"},
    {"llama", "intermediate_size", "1e9", "intermediate_size: 1000000000 must be a whole number from 1"},
    {"llama", "head_dim", "32", "q_proj.weight: shape [256, 256] must be [128, 256]"},
    {"llama", "head_dim", "63", "head_dim: dimensions that turn, 63, must be even, from 2 to the 63 of a head"},
    {"llama", "head_dim", "65536", "head_dim: 65536 must be a whole number from 2 to 1024"},
    {"llama", "max_position_embeddings", "0", "max_position_embeddings: 0 must be a whole number from 1"},
    {"llama", "max_position_embeddings", "1e12",
     "max_position_embeddings: 1000000000000 must be a whole number from 1"},
    {"llama", "rms_norm_eps", NULL, "config.json: rms_norm_eps: is missing"},
    {"llama", "rms_norm_eps", "-1e-5", "config.json: rms_norm_eps: must be positive"},
    {"llama", "rms_norm_eps", "\"small\"", "config.json: rms_norm_eps: must be a finite number"},
    {"llama", "rope_theta", "0", "config.json: rope_theta: must be positive"},
    {"llama", "rope_theta", NULL, NULL},
    {"llama", "rope_scaling", "null", NULL},
    {"llama", "rope_parameters", "{\"rope_type\":\"default\",\"rope_theta\":10000.0}", NULL},
    {"llama", "rope_parameters", "{\"rope_type\":\"yarn\",\"factor\":4}", NULL},
    {"llama", "rope_parameters", "{\"rope_type\":\"ntk\"}", "rope_parameters.rope_type: \"ntk\" is not supported"},
    {"llama", "partial_rotary_factor", "0.5", "partial_rotary_factor: 0.5 is not supported"},
    {"llama", "tie_word_embeddings", "false", "tensor lm_head.weight is missing"},
    {"llama", "tie_word_embeddings", NULL, "tensor lm_head.weight is missing"},
    {"gpt2", "tie_word_embeddings", NULL, NULL},
    {"llama", "intermediate_size", "0", "intermediate_size: 0 must be a whole number from 1"},
    {"llama", "rope_scaling", "{\"type\":\"linear\",\"factor\":2}", NULL},
    {"llama", "rope_scaling", "{\"type\":\"linear\"}", "config.json: rope_scaling.factor: is missing"},
    {"llama", "rope_scaling", "{\"type\":\"linear\",\"factor\":0}", "rope_scaling.factor: must be a positive number"},
    {"llama", "rope_scaling", "{\"type\":\"yarn\",\"factor\":\"4\"}", "factor: must be a positive number"},
    {"llama", "rope_scaling", "{\"type\":7}", "rope_scaling.rope_type: \"\" is not supported"},
    {"llama", "rope_scaling", "\"linear\"", "rope_scaling: must be an object or null"},
    {"llama", "rope_scaling", "{\"type\":\"linear\",\"factor\":2,\"alpha\":3}", "rope_scaling.alpha: is not supported"},
    {"llama", "rope_scaling", "{\"type\":\"dynamic\",\"factor\":2}", NULL},
    {"llama", "rope_scaling", "{\"type\":\"dynamic\",\"factor\":2,\"original_max_position_embeddings\":64}",
     "original_max_position_embeddings: 64: \"dynamic\" is supported by this version only where"},
    {"llama", "rope_scaling", "{\"type\":\"longrope\",\"short_factor\":[1,2]}",
     "rope_scaling.short_factor: must be an array of 32 numbers"},
    {"llama", "rope_scaling", "{\"type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":0.5}",
     "made for, 0.5, must be at least 1"},
    {"llama", "rope_scaling", "{\"type\":\"linear\",\"factor\":1e-300}", "rope_theta: its scaling gives no finite"},
    {"llama", "layer_types", "[\"sliding_attention\"]", "layer_types: must be a list of 6 strings"},
    {"llama", "layer_types", "[\"sliding_attention\", 1, 1, 1, 1, 1]",
     "layer_types: \"sliding_attention\" of layer 0 is not supported"},
    {"llama", "hidden_act", "\"gelu\"",
     "hidden_act: \"gelu\" is not supported by this version (only \"silu\"|\"swish\")"},
    {"llama", "hidden_act", "null", NULL},
    {"llama", "attention_bias", "true", "tensor model.layers.0.self_attn.q_proj.bias is missing"},
    {"llama", "mlp_bias", "true", "tensor model.layers.0.mlp.gate_proj.bias is missing"},
    {"llama", "sliding_window", "256", NULL},
    {"llama", "sliding_window", "-1", "sliding_window: -1 must be a whole number from 0"},
    {"llama", "sliding_window", "null", NULL},
    {"llama", "num_local_experts", "8", "num_experts_per_tok: 0 experts for each token must be from 1 to 8"},
    {"gpt2", "n_head", "0", "n_head: 0 must be a whole number from 1"},
    {"gpt2", "n_head", "5", "n_embd: 256 does not divide into 5 heads"},
    {"gpt2", "n_layer", "1000000000", "n_layer: 1000000000 must be a whole number from 1 to 1048576"},
    {"gpt2", "n_layer", "3", "tensor h.3."},
    {"gpt2", "n_layer", "5", "tensor h.4.ln_1.weight is missing"},
    {"gpt2", "n_positions", "256", "wpe.weight: shape [512, 256] must be [256, 256]"},
    {"gpt2", "n_embd", "255", "wte.weight: shape [1280, 256] must be [any, 255]"},
    {"gpt2", "n_inner", "1000", "mlp.c_fc.weight: shape [256, 1024] must be [256, 1000]"},
    {"gpt2", "n_inner", "null", NULL}, /* four times the width, as it is */
    {"gpt2", "layer_norm_epsilon", "true", "config.json: layer_norm_epsilon: must be a finite number"},
    {"gpt2", "activation_function", "\"relu\"", "activation_function: \"relu\" is not supported"},
    {"gpt2", "scale_attn_weights", "false", "scale_attn_weights: false is not supported"},
    {"gpt2", "scale_attn_by_inverse_layer_idx", "true", "scale_attn_by_inverse_layer_idx: true is not supported"},
};

static void test_settings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const struct setting *s = &settings[i];
        char *folder = copy_but(s->model, "config.json");
        put_config(folder, s->model, s->key, s->value);
        struct error e = {.text = ""};
        int status = open_folder(folder, &e);
        if (s->says) {
            assert_error(status, &e, ERROR_INPUT, s->says);
            assert_error(status, &e, ERROR_INPUT, folder); /* the error says where */
        } else {
            assert_ok(status, &e);
        }
        folder_remove(folder);
    }
}

/* --- weights --- */

/* How the weights are changed; one of these at a time. */
struct edit {
    const char *drop, *rename, *to; /* a tensor left out; a tensor under another name */
    const char *add;                /* one more tensor, [2] of F16 */
    const char *cut;                /* a tensor with the last of its rows left out */
    const char *huge;               /* a vector that becomes 3e38 everywhere, as F32 */
    const char *set;                /* a tensor whose element `at` gets the 16 bits `bits` */
    size_t at;
    uint16_t bits;
};

static bool is(const char *name, const struct tensor *t) { return name && strcmp(name, t->name) == 0; }

/* The tensor's entry in the header; its bytes go behind *data. */
static void put_tensor(json_t *header, const char *name, const struct tensor *t, const struct edit *edit,
                       struct text *data)
{
    int64_t rows = is(edit->cut, t) ? t->shape[0] - 1 : t->shape[0];
    size_t begin = data->length, bytes = t->bytes / (size_t)t->shape[0] * (size_t)rows;
    const float huge = 3e38f;
    if (is(edit->huge, t))
        for (int64_t i = 0; i < rows; i++) text_bytes(data, &huge, sizeof huge);
    else
        text_bytes(data, t->data, bytes);
    if (is(edit->set, t)) memcpy(data->bytes + begin + 2 * edit->at, &edit->bits, 2);
    json_t *shape = json_pack("[I]", (json_int_t)rows);
    if (t->n_dims == 2) json_array_append_new(shape, json_integer(t->shape[1]));
    json_object_set_new(header, name,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype", is(edit->huge, t) ? "F32" : "F16", "shape", shape,
                                  "data_offsets", (json_int_t)begin, (json_int_t)data->length));
}

static void put_weights(const char *folder, const char *model, const struct edit *edit)
{
    struct error e;
    struct safetensors *s;
    char *path = source_path(model, "model.safetensors");
    assert_ok(safetensors_open(&s, path, &e), &e);
    json_t *header = json_object();
    struct text data = {0}, out = {0};
    for (size_t i = 0; i < safetensors_count(s); i++) {
        const struct tensor *t = safetensors_at(s, i);
        assert_int_equal(t->type, DTYPE_F16);
        if (!is(edit->drop, t)) put_tensor(header, is(edit->rename, t) ? edit->to : t->name, t, edit, &data);
    }
    static const uint16_t two[2] = {0};
    const struct tensor extra = {edit->add, DTYPE_F16, 1, {2, 1, 1, 1}, two, sizeof two, NULL};
    if (edit->add) put_tensor(header, edit->add, &extra, edit, &data);
    char *text = json_dump_text(header, JSON_COMPACT, NULL);
    uint64_t n = strlen(text);
    text_bytes(&out, &n, sizeof n);
    text_add(&out, text);
    text_bytes(&out, data.bytes, data.length);
    assert_false(out.failed || data.failed);
    free(file_put(folder, "model.safetensors", out.bytes, out.length));
    free(text);
    text_free(&data);
    text_free(&out);
    json_decref(header);
    safetensors_close(s);
    free(path);
}

enum { HALF_NAN = 0x7e00, HALF_INFINITY = 0x7c00 };

static const struct weights {
    const char *model;
    struct edit edit;
    enum error_code code;
    const char *says;
} weights[] = {
    {"llama", {0}, ERROR_NONE, NULL},
    {"llama",
     {.drop = "model.layers.3.mlp.up_proj.weight"},
     ERROR_INPUT,
     "tensor model.layers.3.mlp.up_proj.weight is missing"},
    {"llama", {.drop = "model.norm.weight"}, ERROR_INPUT, "tensor model.norm.weight is missing"},
    {"llama", {.drop = "model.embed_tokens.weight"}, ERROR_INPUT, "tensor model.embed_tokens.weight is missing"},
    {"llama",
     {.add = "model.layers.0.self_attn.q_proj.bias"},
     ERROR_INPUT,
     "tensor model.layers.0.self_attn.q_proj.bias is not part of the llama that this version computes"},
    {"llama", {.add = "model.layers.0.self_attn.rotary_emb.inv_freq"}, ERROR_NONE, NULL},
    {"llama", {.add = "lm_head.weight"}, ERROR_NONE, NULL}, /* tied: left unused */
    {"llama",                                               /* the prefix may be left out */
     {.rename = "model.norm.weight", .to = "norm.weight"},
     ERROR_NONE,
     NULL},
    {"llama",
     {.rename = "model.norm.weight", .to = "decoder.norm.weight"},
     ERROR_INPUT,
     "tensor model.norm.weight is missing"},
    {"llama",
     {.cut = "model.layers.2.self_attn.q_proj.weight"},
     ERROR_INPUT,
     "q_proj.weight: shape [255, 256] must be [256, 256] by the file's own settings"},
    {"llama", {.cut = "model.norm.weight"}, ERROR_INPUT, "model.norm.weight: shape [255] must be [256]"},
    {"llama",
     {.cut = "model.embed_tokens.weight"},
     ERROR_INPUT,
     "the tokenizer has 1280 tokens, the embedding only 1279 rows"},
    {"llama",
     {.set = "model.layers.4.mlp.down_proj.weight", .at = 3 * 768 + 5, .bits = HALF_NAN},
     ERROR_NUMBER,
     "model.layers.4.mlp.down_proj.weight: element [3, 5] is not a number: weights must be finite"},
    {"llama",
     {.set = "model.layers.4.mlp.down_proj.weight", .at = 0, .bits = HALF_INFINITY},
     ERROR_NUMBER,
     "model.layers.4.mlp.down_proj.weight: element [0, 0] is infinite"},
    {"llama",
     {.set = "model.layers.1.input_layernorm.weight", .at = 255, .bits = HALF_NAN},
     ERROR_NUMBER,
     "model.layers.1.input_layernorm.weight: element [255] is not finite"},
    {"gpt2", {0}, ERROR_NONE, NULL},
    {"gpt2", {.drop = "h.2.attn.c_attn.bias"}, ERROR_INPUT, "tensor h.2.attn.c_attn.bias is missing"},
    {"gpt2", {.add = "h.0.attn.bias"}, ERROR_NONE, NULL},
    {"gpt2",
     {.add = "h.9.ln_1.weight"},
     ERROR_INPUT,
     "tensor h.9.ln_1.weight is not part of the gpt2 that this version computes"},
    {"gpt2", {.cut = "wpe.weight"}, ERROR_INPUT, "wpe.weight: shape [511, 256] must be [512, 256]"},
    {"gpt2", {.set = "wpe.weight", .at = 257, .bits = HALF_NAN}, ERROR_NUMBER, "wpe.weight: element [1, 1] is not a"},
    {"gpt2", {.set = "h.0.ln_1.bias", .at = 9, .bits = HALF_INFINITY}, ERROR_NUMBER, "element [9] is not finite"},
};

static void test_weights(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        char *folder = copy_but(weights[i].model, "model.safetensors");
        put_weights(folder, weights[i].model, &weights[i].edit);
        struct error e = {.text = ""};
        int status = open_folder(folder, &e);
        if (weights[i].code) {
            assert_error(status, &e, weights[i].code, weights[i].says);
            assert_error(status, &e, weights[i].code, folder);
        } else {
            assert_ok(status, &e);
        }
        folder_remove(folder);
    }
}

/* Of a matrix that the folder has as [inputs, outputs] the place is [output, input], as in all messages. */
static void test_transposed_place(void **state)
{
    (void)state;
    char *folder = copy_but("gpt2", "model.safetensors");
    struct edit edit = {.set = "h.1.mlp.c_fc.weight", .at = 7 * 1024 + 2, .bits = HALF_NAN};
    put_weights(folder, "gpt2", &edit);
    struct error e;
    assert_error(open_folder(folder, &e), &e, ERROR_NUMBER, "h.1.mlp.c_fc.weight: element [2, 7] is not a number");
    folder_remove(folder);
}

/* Weights that are finite, and results that are not: an error, never a score or a text. */
static void test_results_not_finite(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    char *folder = copy_but("llama", "model.safetensors");
    put_weights(folder, "llama", &(struct edit){.huge = "model.norm.weight"});
    assert_ok(blas_open(&e), &e);
    assert_ok(model_open(&m, folder, NULL, &e), &e);
    int32_t ids[] = {0, 627};
    struct part part = {.ids = ids + 1, .n = 1};
    struct group group = {.context = ids, .n_context = 1, .parts = &part, .n_parts = 1};
    assert_error(score_groups(m, &group, 1, &(struct schedule){.batch = 1}, &(struct tally){0}, &e), &e, ERROR_NUMBER,
                 "a log-likelihood is not finite");
    struct generation g = {.prompt = ids, .n_prompt = 2, .limit = 3};
    const struct decode how = decode_greedy();
    assert_error(generate(m, &how, &g, 1, &(struct generate_options){.batch = 1}, &e), &e, ERROR_NUMBER,
                 "the logits of a generation are not finite");
    generation_free(&g);
    model_close(m);
    folder_remove(folder);
}

static void test_tokenizer_missing(void **state)
{
    (void)state;
    char *folder = copy_but("llama", "tokenizer.json");
    struct error e;
    assert_error(open_folder(folder, &e), &e, ERROR_INPUT, "the folder holds no tokenizer.json");
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),          cmocka_unit_test(test_weights),
        cmocka_unit_test(test_transposed_place),  cmocka_unit_test(test_results_not_finite),
        cmocka_unit_test(test_tokenizer_missing),
    };
    return cmocka_run_group_tests_name("corrupt/model", tests, NULL, NULL);
}
