/* What settings files say, in the words of the programs that write them. */
#include "engine/backends/gptq.h"
#include "engine/base/json.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

static json_t *parse(const char *text)
{
    struct error e;
    json_t *json = json_read_bytes(text, strlen(text), "test", &e);
    if (!json) fail_msg("%s", e.text);
    return json;
}

static void test_reads(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        struct gptq_config wanted;
    } cases[] = {
        {"{}", {.zeros = GPTQ_V1, .symmetric = true}},
        /* AutoGPTQ before it named formats, and since */
        {"{\"bits\":4,\"group_size\":128,\"damp_percent\":0.01,\"desc_act\":false,\"sym\":true,\"true_sequential\":"
         "true,"
         "\"model_name_or_path\":null,\"model_file_base_name\":null}",
         {4, 128, .zeros = GPTQ_V1, .symmetric = true}},
        {"{\"bits\":3,\"group_size\":-1,\"desc_act\":true,\"sym\":false,\"quant_method\":\"gptq\","
         "\"checkpoint_format\":\"gptq\",\"is_marlin_format\":false}",
         {3, -1, .act_order = true, .zeros = GPTQ_V1}},
        /* GPTQModel */
        {"{\"bits\":4,\"dynamic\":{\"-:.*q_proj\":{}},\"group_size\":32,\"desc_act\":true,\"sym\":true,\"lm_head\":"
         "false,"
         "\"quant_method\":\"gptq\",\"checkpoint_format\":\"gptq_v2\",\"pack_dtype\":\"int32\","
         "\"meta\":{\"quantizer\":[\"gptqmodel:2.0.0\"]}}",
         {4, 32, .act_order = true, .symmetric = true, .zeros = GPTQ_V2, .mixed = true}},
        {"{\"bits\":8,\"format\":\"gptq_v2\",\"method\":\"gptq\",\"dynamic\":{}}",
         {.bits = 8, .symmetric = true, .zeros = GPTQ_V2}},
        {"{\"bits\":8,\"format\":\"GPTQ\",\"checkpoint_format\":\"GPTQ\",\"quant_method\":\"GPTQ\"}",
         {.bits = 8, .symmetric = true, .zeros = GPTQ_V1}},
        /* older tools */
        {"{\"wbits\":2,\"groupsize\":64,\"act_order\":true}",
         {2, 64, .act_order = true, .symmetric = true, .zeros = GPTQ_V1}},
        {"{\"w_bit\":4,\"q_group_size\":64}", {4, 64, .symmetric = true, .zeros = GPTQ_V1}},
        {"{\"bits\":4,\"wbits\":4,\"group_size\":null}", {4, .symmetric = true, .zeros = GPTQ_V1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        struct gptq_config c;
        json_t *json = parse(cases[i].json);
        const struct gptq_config *w = &cases[i].wanted;
        assert_ok(gptq_config_read(&c, json, "x.json", &e), &e);
        if (c.bits != w->bits || c.group_size != w->group_size || c.act_order != w->act_order || c.zeros != w->zeros ||
            c.symmetric != w->symmetric || c.mixed != w->mixed)
            fail_msg("%s", cases[i].json);
        json_decref(json);
    }
    struct gptq_config c;
    assert_int_equal(gptq_config_read(&c, NULL, "x.json", NULL), 0);
    assert_true(c.bits == 0 && c.group_size == 0 && c.zeros == GPTQ_V1);
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"[]", "x.json: must be an object"},
        {"\"gptq\"", "x.json: must be an object"},
        {"{\"bits\":5}", "x.json: bits: 5 must be 2, 3, 4 or 8"},
        {"{\"bits\":0}", "x.json: bits: 0 must be"},
        {"{\"bits\":\"4\"}", "x.json: bits: \"4\" must be"},
        {"{\"bits\":4.0}", "x.json: bits: 4.0 must be"},
        {"{\"wbits\":16}", "x.json: wbits: 16 must be"},
        {"{\"bits\":4,\"wbits\":3}", "x.json: bits and wbits contradict each other"},
        {"{\"group_size\":0}", "x.json: group_size: 0 must be -1 or a positive number"},
        {"{\"group_size\":-2}", "x.json: group_size: -2 must be"},
        {"{\"groupsize\":99999999999}", "x.json: groupsize: 99999999999 must be"},
        {"{\"desc_act\":1}", "x.json: desc_act: must be true or false"},
        {"{\"sym\":\"yes\"}", "x.json: sym: must be true or false"},
        {"{\"desc_act\":true,\"act_order\":false}", "x.json: desc_act and act_order contradict"},
        {"{\"quant_method\":3}", "x.json: quant_method: must be a string"},
        {"{\"quant_method\":\"awq\"}", "x.json: quant_method: \"awq\" is not read by this version"},
        {"{\"quant_method\":\"bitsandbytes\"}", "save the model dequantized"},
        {"{\"quant_method\":\"compressed-tensors\"}", "\"compressed-tensors\" is not read"},
        {"{\"quant_method\":\"auto-round\"}", "auto_gptq"},
        {"{\"quant_method\":\"fp8\"}", "\"fp8\" is not read"},
        {"{\"zero_point\":true,\"q_group_size\":128,\"w_bit\":4,\"version\":\"GEMM\"}", "\"awq\" is not read"},
        {"{\"checkpoint_format\":\"marlin\"}", "x.json: checkpoint_format: \"marlin\" is another order of the codes"},
        {"{\"format\":\"bitblas\"}", "x.json: format: \"bitblas\""},
        {"{\"checkpoint_format\":\"ipex\"}", "\"ipex\""},
        {"{\"is_marlin_format\":true}", "x.json: is_marlin_format: \"marlin\" is another order"},
        {"{\"checkpoint_format\":\"gptq\",\"format\":\"gptq_v2\"}", "checkpoint_format and format contradict"},
        {"{\"pack_dtype\":\"int64\"}", "x.json: pack_dtype: \"int64\" is not read"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        struct gptq_config c;
        json_t *json = parse(cases[i].json);
        assert_error(gptq_config_read(&c, json, "x.json", &e), &e, ERROR_INPUT, cases[i].says);
        json_decref(json);
    }
}

/* Two places of one checkpoint: what both say must be the same, what one says holds. */
static void test_two_places(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other, *says; /* says NULL: they agree */
    } cases[] = {
        {"{\"bits\":4}", "{\"bits\":4}", NULL},
        {"{\"bits\":4}", "{}", NULL},
        {"{\"wbits\":4,\"quant_method\":\"GPTQ\"}", "{\"bits\":4,\"method\":\"gptq\",\"format\":\"gptq_v2\"}", NULL},
        {"{\"sym\":true,\"damp_percent\":0.1}", "{\"sym\":false,\"damp_percent\":0.01}", NULL},
        {"{\"bits\":4}", "{\"bits\":3}", "a.json: bits: 4 contradicts 3 of b.json: bits: correct the one"},
        {"{\"bits\":4}", "{\"wbits\":8}", "a.json: bits: 4 contradicts 8 of b.json: wbits"},
        {"{\"group_size\":-1}", "{\"group_size\":128}", "a.json: group_size: -1 contradicts 128 of b.json: group_size"},
        {"{\"desc_act\":false}", "{\"desc_act\":true}", NULL}, /* the matrices' g_idx says how it is */
        {"{\"quant_method\":\"gptq\"}", "{\"quant_method\":\"awq\"}",
         "a.json: quant_method: \"gptq\" contradicts \"awq\" of b.json: quant_method"},
        {"{\"checkpoint_format\":\"gptq\"}", "{\"format\":\"gptq_v2\"}",
         "a.json: checkpoint_format: \"gptq\" contradicts \"gptq_v2\" of b.json: format"},
        {"{\"bits\":4}", "{\"bits\":4,\"wbits\":3}", "b.json: bits and wbits contradict each other"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e;
        json_t *one = parse(cases[i].one), *other = parse(cases[i].other);
        int status = gptq_config_agree(one, "a.json", other, "b.json", &e);
        if (cases[i].says)
            assert_error(status, &e, ERROR_INPUT, cases[i].says);
        else
            assert_ok(status, &e);
        json_decref(one);
        json_decref(other);
    }
    struct gptq_config c = {.bits = 4, .zeros = GPTQ_V1, .symmetric = true};
    gptq_config_merge(&c, &(struct gptq_config){3, 64, .act_order = true, .zeros = GPTQ_V2, .mixed = true});
    assert_true(c.bits == 4 && c.group_size == 64 && c.act_order && !c.symmetric && c.zeros == GPTQ_V2 && c.mixed);
}

static void assert_written(const char *spec, enum gptq_zeros zeros, const char *wanted)
{
    struct error e;
    struct backend_options how;
    struct gptq_config c;
    assert_ok(backend_parse(&how, spec, &e), &e);
    json_t *got = gptq_config_write(&how, zeros, "kerf:1.2.3"), *all = parse(wanted);
    char *text = json_dump_text(got, JSON_COMPACT, NULL);
    if (!json_equal(got, all)) fail_msg("%s: %s", spec, text);
    assert_ok(gptq_config_read(&c, got, spec, &e), &e);
    assert_int_equal(c.zeros, zeros);
    free(text);
    json_decref(got);
    json_decref(all);
}

static void test_writes(void **state)
{
    (void)state;
    assert_written("gptq:4,act-order", GPTQ_V1,
                   "{\"bits\":4,\"group_size\":128,\"desc_act\":true,\"sym\":false,\"lm_head\":false,"
                   "\"quant_method\":\"gptq\",\"checkpoint_format\":\"gptq\",\"pack_dtype\":\"int32\",\"meta\":{"
                   "\"quantizer\":\"kerf:1.2.3\",\"backend\":\"gptq:4,act-order\"},\"static_groups\":false,"
                   "\"true_sequential\":true,\"damp_percent\":0.01}");
    assert_written("gptq:3,group=-1,sym,static-groups,true-sequential=no,damping=0", GPTQ_V2,
                   "{\"bits\":3,\"group_size\":-1,\"desc_act\":false,\"sym\":true,\"lm_head\":false,"
                   "\"quant_method\":\"gptq\",\"checkpoint_format\":\"gptq_v2\",\"pack_dtype\":\"int32\",\"meta\":{"
                   "\"quantizer\":\"kerf:1.2.3\",\"backend\":\"gptq:3,group=-1,static-groups,sym,damping=0,"
                   "true-sequential=no\"},\"static_groups\":true,\"true_sequential\":false}");
    assert_written("rtn:8,group=32", GPTQ_V1,
                   "{\"bits\":8,\"group_size\":32,\"desc_act\":false,\"sym\":false,\"lm_head\":false,"
                   "\"quant_method\":\"gptq\",\"checkpoint_format\":\"gptq\",\"pack_dtype\":\"int32\",\"meta\":{"
                   "\"quantizer\":\"kerf:1.2.3\",\"backend\":\"rtn:8,group=32\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_two_places),
        cmocka_unit_test(test_writes),
    };
    return cmocka_run_group_tests_name("formats/gptq_config", tests, NULL, NULL);
}
