/* GPTQ folders with one thing wrong, opened as stored, packed another way and converted. */
#include "engine/backends/gptq.h"
#include "tests/models/gptq_edit.h"

#define EMBEDDING "model.embed_tokens"
#define M "model.layers.1.mlp.down_proj" /* [256, 768], 4 bits in groups of 128 */

static char *folder, *out; /* the good model, as good.safetensors beside its model.safetensors */

static int start(void **state)
{
    (void)state;
    struct error e;
    assert_ok(blas_open(&e), &e);
    folder = folder_temporary();
    out = quantized("datasets/millbrook/llama", "rtn:4", folder, "out");
    edit_weights(out, "model.safetensors", "good.safetensors", NULL, NULL, NULL, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(out);
    folder_remove(folder);
    return 0;
}

/* One tensor takes another type and shape, whose bytes are those that were there and zeros, or is left out; then an
 * element of `size` bytes is set. */
struct change {
    const char *name;
    bool dropped;
    enum dtype_id type;
    int n_dims; /* 0: as it was, -1: none */
    int64_t shape[3];
    size_t at, size;
    uint32_t value;
    const struct tensor *more; /* one that is added */
};

static bool apply(void *user, struct tensor *t)
{
    const struct change *c = user;
    if (strcmp(t->name, c->name) != 0) return true;
    if (c->dropped) return false;
    size_t old = t->bytes;
    if (c->n_dims) {
        t->type = c->type;
        t->n_dims = c->n_dims > 0 ? c->n_dims : 0;
        memcpy(t->shape, c->shape, sizeof c->shape);
        assert_true(tensor_bytes(t->type, t->n_dims, t->shape, &t->bytes));
    }
    uint8_t *bytes = calloc(t->bytes + 1, 1);
    assert_non_null(bytes);
    memcpy(bytes, t->data, old < t->bytes ? old : t->bytes);
    memcpy(bytes + c->at * c->size, &c->value, c->size);
    t->data = t->owned = bytes;
    return true;
}

/* By every way that reads it. */
static void assert_refused(enum error_code code, const char *says)
{
    struct error e;
    struct model *m;
    struct backend_options q8;
    assert_error(open_model(out, NULL, &m, &e), &e, code, says);
    assert_null(m);
    assert_error(open_model(out, "f32", &m, &e), &e, code, says);
    assert_ok(backend_parse(&q8, "gguf:q8_0", &e), &e);
    char *file = joined(folder, "x.gguf");
    assert_error(model_export(out, &(struct model_options){.how = &q8}, file, NULL, NULL, &e), &e, code, says);
    assert_false(path_exists(file));
    free(file);
}

static void test_tensors(void **state)
{
    (void)state;
    static const uint16_t zeros[768];
    static const struct tensor weight = {.name = M ".weight",
                                         .type = DTYPE_F16,
                                         .n_dims = 1,
                                         .shape = {768, 1, 1, 1},
                                         .data = zeros,
                                         .bytes = sizeof zeros};
    static const struct {
        struct change change;
        enum error_code code;
        const char *says;
    } cases[] = {
        {{M ".qzeros", .type = DTYPE_I32, .n_dims = 2, .shape = {6, 31, 1}}, ERROR_INPUT, M ".qzeros: shape [6, 31]"},
        {{M ".qzeros", .type = DTYPE_I32, .n_dims = 2, .shape = {5, 32, 1}}, ERROR_INPUT, M ".qzeros: shape [5, 32]"},
        {{M ".qzeros", .type = DTYPE_F32, .n_dims = 2, .shape = {6, 32, 1}}, ERROR_INPUT, M ".qzeros: type F32"},
        {{M ".qzeros", .dropped = true}, ERROR_INPUT, "tensor " M ".qzeros is missing beside " M ".qweight"},
        {{M ".qweight", .type = DTYPE_I32, .n_dims = 2, .shape = {95, 256, 1}}, ERROR_INPUT, M ".qweight: "},
        {{M ".qweight", .type = DTYPE_I32, .n_dims = 2, .shape = {120, 256, 1}},
         ERROR_INPUT,
         "is 5 bits for 768 columns, but quantize_config.json says bits 4"},
        {{M ".qweight", .type = DTYPE_I32, .n_dims = 2, .shape = {96, 255, 1}},
         ERROR_INPUT,
         M ".qweight: I32 [96, 255]"},
        {{M ".qweight", .type = DTYPE_I32, .n_dims = 2, .shape = {256, 96, 1}}, ERROR_INPUT, M ".qweight: "},
        {{M ".qweight", .type = DTYPE_I32, .n_dims = 3, .shape = {1, 96, 256}}, ERROR_INPUT, M ".qweight: "},
        {{M ".qweight", .type = DTYPE_I32, .n_dims = 2, .shape = {0, 256, 1}}, ERROR_INPUT, M ".qweight: "},
        {{M ".qweight", .type = DTYPE_I32, .n_dims = -1, .shape = {1, 1, 1}}, ERROR_INPUT, M ".qweight: "},
        {{M ".qweight", .type = DTYPE_F16, .n_dims = 2, .shape = {96, 512, 1}}, ERROR_INPUT, M ".qweight: "},
        {{M ".qweight", .dropped = true}, ERROR_INPUT, "tensor " M ".weight is missing"},
        {{M ".scales", .type = DTYPE_F32, .n_dims = 2, .shape = {6, 256, 1}}, ERROR_INPUT, M ".scales: type F32"},
        {{M ".scales", .type = DTYPE_BF16, .n_dims = 2, .shape = {6, 256, 1}}, ERROR_INPUT, M ".scales: type BF16"},
        {{M ".scales", .type = DTYPE_F16, .n_dims = 2, .shape = {6, 254, 1}}, ERROR_INPUT, M ".scales: shape [6, 254]"},
        {{M ".scales", .type = DTYPE_F16, .n_dims = 2, .shape = {12, 128, 1}},
         ERROR_INPUT,
         "12 groups for 768 columns, but quantize_config.json says group_size 128"},
        {{M ".scales", .type = DTYPE_F16, .n_dims = 2, .shape = {0, 256, 1}}, ERROR_INPUT, "0 groups for 768 columns"},
        {{M ".scales", .type = DTYPE_F16, .n_dims = 2, .shape = {INT64_MAX, 0, 1}},
         ERROR_INPUT,
         "9223372036854775807 groups for 768 columns, but quantize_config.json says group_size 128"},
        {{M ".scales", .type = DTYPE_F16, .n_dims = -1, .shape = {1, 1, 1}}, ERROR_INPUT, M ".scales: "},
        {{M ".scales", .dropped = true}, ERROR_INPUT, "tensor " M ".scales is missing"},
        {{M ".scales", .at = 300, .size = 2, .value = 0x7e00}, ERROR_NUMBER, M ".scales: element [1, 44] is"},
        {{M ".scales", .at = 300, .size = 2, .value = 0x7c00}, ERROR_NUMBER, M ".scales: element [1, 44] is inf"},
        {{M ".scales", .at = 300, .size = 2, .value = 0}, ERROR_INPUT, M ".scales: element [1, 44] is 0"},
        {{M ".scales", .at = 300, .size = 2, .value = 0xbc00}, ERROR_INPUT, M ".scales: element [1, 44] is -1"},
        {{M ".g_idx", .at = 767, .size = 4, .value = 6}, ERROR_INPUT, M ".g_idx: element 767: group 6 of 6"},
        {{M ".g_idx", .at = 0, .size = 4, .value = UINT32_MAX}, ERROR_INPUT, M ".g_idx: element 0: group -1"},
        {{M ".g_idx", .type = DTYPE_I32, .n_dims = 1, .shape = {766, 1, 1}},
         ERROR_INPUT,
         M ".g_idx: must be I32 [768]"},
        {{M ".g_idx", .type = DTYPE_I32, .n_dims = 2, .shape = {1, 768, 1}},
         ERROR_INPUT,
         M ".g_idx: must be I32 [768]"},
        {{M ".g_idx", .type = DTYPE_F32, .n_dims = 1, .shape = {768, 1, 1}},
         ERROR_INPUT,
         M ".g_idx: must be I32 [768]"},
        {{"none", .more = &weight}, ERROR_INPUT, M ".weight: shape [768] must be [256, 768]"},
        {{"model.norm.weight", .dropped = true}, ERROR_INPUT, "tensor model.norm.weight is missing"},
    };
    size_t n = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < n; i++) {
        struct change c = cases[i].change;
        edit_weights(out, "good.safetensors", "model.safetensors", apply, &c, c.more, c.more ? 1 : 0);
        assert_refused(cases[i].code, cases[i].says);
    }
    edit_weights(out, "good.safetensors", "model.safetensors", NULL, NULL, NULL, 0);
}

static void test_settings(void **state)
{
    (void)state;
    static const struct {
        const char *key, *wrong, *right; /* right NULL: absent */
        const char *says;
    } cases[] = {
        {"bits", "5", "4", "quantize_config.json: bits: 5 must be 2, 3, 4 or 8"},
        {"bits", "3", "4", "is 4 bits for 256 columns, but quantize_config.json says bits 3"},
        {"group_size", "32", "128", "2 groups for 256 columns, but quantize_config.json says group_size 32"},
        {"group_size", "-1", "128", "2 groups for 256 columns, but quantize_config.json says group_size -1"},
        {"checkpoint_format", "\"marlin\"", "\"gptq\"", "\"marlin\" is another order of the codes"},
        {"quant_method", "\"awq\"", "\"gptq\"", "\"awq\" is not read by this version"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        edit_settings(out, cases[i].key, cases[i].wrong);
        assert_refused(ERROR_INPUT, cases[i].says);
        edit_settings(out, cases[i].key, cases[i].right);
    }
    edit_settings(out, "desc_act", "true");
    edit_weights(out, "good.safetensors", "model.safetensors", apply, &(struct change){M ".g_idx", .dropped = true},
                 NULL, 0);
    assert_refused(ERROR_INPUT, M ".g_idx is missing, but quantize_config.json says desc_act");
    edit_settings(out, "desc_act", "false");
    /* groups that nothing places: three for 256 columns */
    edit_settings(out, "group_size", NULL);
    struct change three = {"model.layers.0.self_attn.q_proj.scales", .type = DTYPE_F16, .n_dims = 2,
                           .shape = {3, 256, 1}};
    edit_weights(out, "good.safetensors", "model.safetensors", apply, &three, NULL, 0);
    assert_refused(ERROR_INPUT, "model.layers.0.self_attn.q_proj");
    struct change endless = {M ".scales", .type = DTYPE_F16, .n_dims = 2, .shape = {INT64_MAX, 0, 1}};
    edit_weights(out, "good.safetensors", "model.safetensors", apply, &endless, NULL, 0); /* beside a g_idx */
    assert_refused(ERROR_INPUT, M ".scales: 9223372036854775807 groups for 768 columns");
    edit_settings(out, "group_size", "128");
    edit_weights(out, "good.safetensors", "model.safetensors", NULL, NULL, NULL, 0);
    static const struct {
        const char *settings, *says;
    } against[] = {
        {"{\"bits\": 8}", "quantize_config.json: bits: 8 contradicts 4 of config.json: quantization_config: bits"},
        {"{\"group_size\": 64}", "quantize_config.json: group_size: 64 contradicts 128 of config.json"},
        {"{\"quant_method\": \"awq\"}",
         "quantize_config.json: quant_method: \"awq\" contradicts \"gptq\" of config.json"},
        {"{\"format\": \"gptq_v2\"}", "quantize_config.json: format: \"gptq_v2\" contradicts \"gptq\" of config.json"},
    };
    for (size_t i = 0; i < sizeof against / sizeof *against; i++) {
        free(file_put(out, "quantize_config.json", against[i].settings, strlen(against[i].settings)));
        assert_refused(ERROR_INPUT, against[i].says);
    }
    /* what only config.json says is its word */
    free(file_put(out, "quantize_config.json", "{}", 2));
    struct change twelve = {M ".scales", .type = DTYPE_F16, .n_dims = 2, .shape = {12, 128, 1}};
    edit_weights(out, "good.safetensors", "model.safetensors", apply, &twelve, NULL, 0);
    assert_refused(ERROR_INPUT, "but config.json: quantization_config says group_size 128");
    edit_weights(out, "good.safetensors", "model.safetensors", NULL, NULL, NULL, 0);
    free(file_put(out, "quantize_config.json", "[]", 2));
    assert_refused(ERROR_INPUT, "quantize_config.json: must be a JSON object");
    free(file_put(out, "quantize_config.json", "{\"bits\": ", 9));
    assert_refused(ERROR_INPUT, "quantize_config.json: line 1");
}

/* An embedding in parts: its rows follow from them. */
static void test_embedding(void **state)
{
    (void)state;
    struct error e;
    struct model *m;
    struct checkpoint *c;
    struct backend_options how;
    struct matrix packed;
    struct gptq_parts p;
    assert_ok(checkpoint_open(&c, out, &e), &e);
    struct tensor t = *checkpoint_tensor(c, EMBEDDING ".weight");
    const int64_t rows = t.shape[0], cols = t.shape[1];
    assert_ok(backend_parse(&how, "rtn:4", &e), &e);
    assert_ok(matrix_pack(&packed, &t, &how, NULL, &e), &e);
    assert_ok(gptq_unadopt(&packed, GPTQ_V1, &p, &e), &e);
    struct tensor parts[] = {
        {.name = EMBEDDING ".qweight", .type = DTYPE_I32, .n_dims = 2, .shape = {p.words, rows, 1, 1}},
        {.name = EMBEDDING ".qzeros", .type = DTYPE_I32, .n_dims = 2, .shape = {p.groups, p.zero_words, 1, 1}},
        {.name = EMBEDDING ".scales", .type = DTYPE_F16, .n_dims = 2, .shape = {p.groups, rows, 1, 1}}};
    const void *data[] = {p.qweight, p.qzeros, p.scales};
    struct change dropped = {EMBEDDING ".weight", .dropped = true};
    static const struct {
        int n_dims;
        int64_t shape[2]; /* of qweight */
        const char *says; /* NULL: opens */
    } cases[] = {
        {2, {32, 1280}, NULL},
        {1, {32 * 1280, 1}, EMBEDDING ".qweight: must have two dimensions, has 1"},
        {2, {32, 0}, EMBEDDING ".qweight: 0 rows: must be from 1"},
        {2, {0, INT64_MAX}, EMBEDDING ".qweight: 9223372036854775807 rows: must be from 1"},
        {2, {32, 1279}, "1279 "}}; /* which its zero points do not fill words with, nor the tokenizer's tokens */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parts[0].n_dims = cases[i].n_dims;
        memcpy(parts[0].shape, cases[i].shape, sizeof cases[i].shape);
        for (size_t k = 0; k < 3; k++) {
            assert_true(tensor_bytes(parts[k].type, parts[k].n_dims, parts[k].shape, &parts[k].bytes));
            parts[k].data = data[k];
        }
        edit_weights(out, "good.safetensors", "model.safetensors", apply, &dropped, parts, 3);
        if (cases[i].says) {
            assert_refused(ERROR_INPUT, cases[i].says);
            continue;
        }
        assert_ok(open_model(out, NULL, &m, &e), &e);
        assert_int_equal(model_hyper(m)->vocab, rows);
        assert_int_equal(model_hyper(m)->width, cols);
        model_close(m);
    }
    edit_weights(out, "good.safetensors", "model.safetensors", NULL, NULL, NULL, 0);
    gptq_parts_free(&p);
    matrix_free(&packed);
    checkpoint_close(c);
}

static void test_cut(void **state)
{
    (void)state;
    struct error e;
    struct file f;
    struct model *m;
    char *path = joined(out, "good.safetensors");
    remove_file(out, "quantize_config.json");
    assert_ok(file_map(&f, path, &e), &e);
    for (size_t i = 0; i < 16; i++) {
        free(file_put(out, "model.safetensors", f.data, f.size * i / 16));
        assert_int_equal(open_model(out, NULL, &m, &e), ERROR_INPUT);
        assert_non_null(strstr(e.text, "model.safetensors: "));
    }
    free(file_put(out, "model.safetensors", f.data, f.size));
    assert_ok(open_model(out, NULL, &m, &e), &e);
    model_close(m);
    file_unmap(&f);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests_name("corrupt/gptq", tests, start, end);
}
