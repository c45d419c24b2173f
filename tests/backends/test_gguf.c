/* Which type the gguf backend gives to which matrix. The tables are written from llama.cpp's rules, not from ours. */
#include "engine/backends/backend.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum dtype_id type_at(const char *spec, const struct place *at, int64_t cols, bool *fell_back)
{
    struct backend_options how;
    struct error e;
    assert_ok(backend_parse(&how, spec, &e), &e);
    return how.backend->gguf_type(&how, at, cols, fell_back);
}

static void assert_type(const char *spec, const struct place *at, int64_t cols, enum dtype_id wanted, bool substitute)
{
    bool fell_back = !substitute;
    enum dtype_id got = type_at(spec, at, cols, &fell_back);
    if (got != wanted)
        fail_msg("%s: %s of %d columns is %s instead of %s", spec, at->name, (int)cols, dtype_of((int)got)->name,
                 dtype_of((int)wanted)->name);
    if (fell_back != substitute)
        fail_msg("%s: %s: substitute: %d instead of %d", spec, at->name, fell_back, substitute);
}

/* "5" is Q5_K. */
static enum dtype_id k_type(char digit)
{
    static const enum dtype_id types[] = {DTYPE_Q2_K, DTYPE_Q3_K, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
    return types[digit - '2'];
}

/* A digit for each layer; the last one stands for all that follow. */
static const char *const small = "446446";                           /* 6 layers: 2 and 5 */
static const char *const large = "66664464464464464464464464466666"; /* 32: 0-3, 28-31, and 6, 9, ... 27 */

static const struct expected {
    const char *preset, *part;
    const char *six, *thirty_two; /* 2 and 4 query heads to a key head */
} expected[] = {
    {"q2_k", "attn_q", "2", "2"},
    {"q2_k", "attn_k", "2", "2"},
    {"q2_k", "attn_v", "3", "4"},
    {"q2_k", "attn_output", "3", "3"},
    {"q2_k", "attn_qkv", "3", "4"},
    {"q2_k", "ffn_gate", "2", "2"},
    {"q2_k", "ffn_up", "2", "2"},
    {"q2_k", "ffn_down", "3", "3"},
    {"q3_k_s", "attn_q", "3", "3"},
    {"q3_k_s", "attn_v", "3", "3"},
    {"q3_k_s", "attn_output", "3", "3"},
    {"q3_k_s", "attn_qkv", "3", "3"},
    {"q3_k_s", "ffn_down", "3", "3"},
    {"q3_k_m", "attn_q", "3", "3"},
    {"q3_k_m", "attn_k", "3", "3"},
    {"q3_k_m", "attn_v", "554", "554"},
    {"q3_k_m", "attn_output", "4", "4"},
    {"q3_k_m", "attn_qkv", "554", "554"},
    {"q3_k_m", "ffn_gate", "3", "3"},
    {"q3_k_m", "ffn_up", "3", "3"},
    {"q3_k_m", "ffn_down", "4", "554"},
    {"q3_k_l", "attn_q", "3", "3"},
    {"q3_k_l", "attn_v", "5", "5"},
    {"q3_k_l", "attn_output", "5", "5"},
    {"q3_k_l", "attn_qkv", "5", "5"},
    {"q3_k_l", "ffn_up", "3", "3"},
    {"q3_k_l", "ffn_down", "5", "5"},
    {"q4_k_s", "attn_q", "4", "4"},
    {"q4_k_s", "attn_v", "55554", "55554"},
    {"q4_k_s", "attn_output", "4", "4"},
    {"q4_k_s", "attn_qkv", "55554", "55554"},
    {"q4_k_s", "ffn_up", "4", "4"},
    {"q4_k_s", "ffn_down", "4", "55554"},
    {"q4_k_m", "attn_q", "4", "4"},
    {"q4_k_m", "attn_k", "4", "4"},
    {"q4_k_m", "attn_output", "4", "4"},
    {"q4_k_m", "ffn_gate", "4", "4"},
    {"q4_k_m", "ffn_up", "4", "4"},
    {"q5_k_s", "attn_q", "5", "5"},
    {"q5_k_s", "attn_v", "5", "5"},
    {"q5_k_s", "attn_qkv", "5", "5"},
    {"q5_k_s", "ffn_down", "5", "5"},
    {"q5_k_m", "attn_k", "5", "5"},
    {"q5_k_m", "attn_output", "5", "5"},
    {"q5_k_m", "ffn_gate", "5", "5"},
    {"q6_k", "attn_v", "6", "6"},
    {"q6_k", "ffn_down", "6", "6"},
    {"q4_k", "attn_v", "4", "4"},
    {"q4_k", "ffn_down", "4", "4"},
    {"q2_k,pure", "attn_v", "2", "2"},
    {"q2_k,pure", "ffn_down", "2", "2"},
    {"q4_k_m,pure", "ffn_down", "4", "4"},
};

static void check_layers(const char *preset, const char *part, int64_t layers, int64_t queries, const char *digits)
{
    char spec[64], name[64];
    snprintf(spec, sizeof spec, "gguf:%s", preset);
    for (int64_t i = 0; i < layers; i++) {
        snprintf(name, sizeof name, "blk.%d.%s.weight", (int)i, part);
        struct place at = {.name = name, .layer = i, .layers = layers, .queries = queries};
        assert_type(spec, &at, 512, k_type(digits[i < (int64_t)strlen(digits) ? i : (int64_t)strlen(digits) - 1]),
                    false);
    }
}

static void test_presets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        check_layers(expected[i].preset, expected[i].part, 6, 2, expected[i].six);
        check_layers(expected[i].preset, expected[i].part, 32, 4, expected[i].thirty_two);
    }
    static const char *const parts[] = {"attn_v", "attn_qkv", "ffn_down"};
    for (size_t i = 0; i < 3; i++) { /* where more bits are used the two presets differ in the rest alone */
        char five[33] = {0};
        check_layers("q4_k_m", parts[i], 6, 2, small);
        check_layers("q4_k_m", parts[i], 32, 4, large);
        for (size_t k = 0; k < 32; k++) five[k] = large[k] == '4' ? '5' : '6';
        check_layers("q5_k_m", parts[i], 32, 4, five);
        check_layers("q5_k_m", parts[i], 6, 2, "556556");
    }
}

/* The value matrices of models with 80 layers and grouped queries have at least 5 bits. */
static void test_70b(void **state)
{
    (void)state;
    static const struct {
        const char *preset, *part, *digits;
        int64_t queries;
    } cases[] = {{"q2_k", "attn_v", "5", 8},
                 {"q3_k_s", "attn_v", "5", 8},
                 {"q3_k_m", "attn_v", "5", 8},
                 {"q4_k_s", "attn_v", "5", 8},
                 {"q4_k_m", "attn_v", "6666666666556", 8},
                 {"q4_k_s", "attn_v", "55554", 1},
                 {"q3_k_s", "attn_k", "3", 8},
                 {"q3_k_s", "ffn_down", "3", 8},
                 {"q4_k", "attn_v", "4", 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char spec[32];
        snprintf(spec, sizeof spec, "gguf:%s", cases[i].preset);
        size_t n = strlen(cases[i].digits);
        for (size_t l = 0; l < (n > 1 ? n : 80); l++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%zu.%s.weight", l, cases[i].part);
            struct place at = {.name = name, .layer = (int64_t)l, .layers = 80, .queries = cases[i].queries};
            assert_type(spec, &at, 512, k_type(cases[i].digits[l < n ? l : n - 1]), false);
        }
    }
}

/* Matrices of experts have the types of a dense model's; beside eight of them those of attention have more bits. */
static void test_mixtures(void **state)
{
    (void)state;
    static const struct {
        const char *preset, *part;
        int64_t experts, layer; /* of 6 */
        enum dtype_id type;
    } cases[] = {
        {"q4_k_m", "ffn_down_exps", 64, 1, DTYPE_Q4_K},
        {"q4_k_m", "ffn_down_exps", 64, 2, DTYPE_Q6_K},
        {"q4_k_m", "ffn_down_shexp", 60, 5, DTYPE_Q6_K},
        {"q2_k", "ffn_down_shexp", 60, 0, DTYPE_Q3_K},
        {"q3_k_m", "ffn_down_exps", 8, 0, DTYPE_Q4_K},
        {"q3_k_l", "ffn_down_exps", 8, 0, DTYPE_Q5_K},
        {"q3_k_l", "ffn_up_exps", 8, 0, DTYPE_Q3_K},
        {"q4_k_m", "attn_v", 64, 0, DTYPE_Q4_K},
        {"q4_k_m", "attn_v", 8, 0, DTYPE_Q8_0},
        {"q4_k_m", "attn_v", 8, 5, DTYPE_Q8_0},
        {"q2_k", "attn_k", 8, 0, DTYPE_Q8_0},
        {"q4_k_s", "attn_q", 8, 0, DTYPE_Q4_K},
        {"q2_k", "attn_output", 8, 0, DTYPE_Q5_K},
        {"q3_k_s", "attn_output", 8, 0, DTYPE_Q5_K},
        {"q3_k_l", "attn_output", 8, 0, DTYPE_Q3_K},
        {"q4_k_m", "attn_output", 8, 0, DTYPE_Q5_K},
        {"q5_k_m", "attn_output", 8, 0, DTYPE_Q5_K},
        {"q4_k", "attn_v", 8, 0, DTYPE_Q4_K},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char spec[32], name[64];
        snprintf(spec, sizeof spec, "gguf:%s", cases[i].preset);
        snprintf(name, sizeof name, "blk.%d.%s.weight", (int)cases[i].layer, cases[i].part);
        const struct place at = {
            .name = name, .layer = cases[i].layer, .layers = 6, .queries = 4, .experts = cases[i].experts};
        assert_type(spec, &at, 512, cases[i].type, false);
    }
}

static void test_outside_layers(void **state)
{
    (void)state;
    struct place tied = {.name = "token_embd.weight", .layer = -1, .layers = 32, .queries = 4, .makes_logits = true};
    struct place embedding = tied, output = tied;
    embedding.makes_logits = false;
    output.name = "output.weight";
    static const struct {
        const char *spec;
        enum dtype_id embedding, output;
    } cases[] = {
        {"gguf:q2_k", DTYPE_Q2_K, DTYPE_Q6_K},      {"gguf:q3_k_s", DTYPE_Q3_K, DTYPE_Q6_K},
        {"gguf:q3_k_l", DTYPE_Q3_K, DTYPE_Q6_K},    {"gguf:q4_k_m", DTYPE_Q4_K, DTYPE_Q6_K},
        {"gguf:q5_k_s", DTYPE_Q5_K, DTYPE_Q6_K},    {"gguf:q6_k", DTYPE_Q6_K, DTYPE_Q6_K},
        {"gguf:q8_0", DTYPE_Q8_0, DTYPE_Q8_0},      {"gguf:q4_k", DTYPE_Q4_K, DTYPE_Q4_K},
        {"gguf:q2_k,pure", DTYPE_Q2_K, DTYPE_Q2_K},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_type(cases[i].spec, &embedding, 256, cases[i].embedding, false);
        assert_type(cases[i].spec, &output, 256, cases[i].output, false);
        assert_type(cases[i].spec, &tied, 256, cases[i].output, false);
    }
    assert_type("gguf:q4_k_m", &output, 288, DTYPE_Q8_0, true);
}

/* Columns that do not divide: 288 = 9 * 32, 40 = 8 * 5. */
static void test_fallback(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        enum dtype_id by_256, by_32;
    } cases[] = {
        {"gguf:q2_k,pure", DTYPE_Q2_K, DTYPE_Q4_0},  {"gguf:q3_k", DTYPE_Q3_K, DTYPE_Q4_0},
        {"gguf:q4_k", DTYPE_Q4_K, DTYPE_Q5_0},       {"gguf:q5_k", DTYPE_Q5_K, DTYPE_Q5_1},
        {"gguf:q6_k", DTYPE_Q6_K, DTYPE_Q8_0},       {"gguf:iq4_xs", DTYPE_IQ4_XS, DTYPE_IQ4_NL},
        {"gguf:tq1_0", DTYPE_TQ1_0, DTYPE_Q4_0},     {"gguf:tq2_0", DTYPE_TQ2_0, DTYPE_Q4_0},
        {"gguf:q4_0", DTYPE_Q4_0, DTYPE_Q4_0},       {"gguf:q8_0", DTYPE_Q8_0, DTYPE_Q8_0},
        {"gguf:iq4_nl", DTYPE_IQ4_NL, DTYPE_IQ4_NL},
    };
    struct place at = {.name = "blk.0.ffn_up.weight", .layers = 1, .queries = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_type(cases[i].spec, &at, 256, cases[i].by_256, false);
        assert_type(cases[i].spec, &at, 288, cases[i].by_32, cases[i].by_32 != cases[i].by_256);
        assert_type(cases[i].spec, &at, 40, DTYPE_F16, true);
    }
    assert_type("gguf:q4_0,tensor=*:f32", &at, 40, DTYPE_F32, false);
    assert_type("gguf:q8_0,tensor=*ffn_up:q4_k", &at, 288, DTYPE_Q5_0, true);
}

static void test_overrides(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *name;
        enum dtype_id type; /* of 256 columns */
    } cases[] = {
        {"tensor=blk.*.ffn_down:q6_k", "blk.3.ffn_down.weight", DTYPE_Q6_K},
        {"tensor=blk.*.ffn_down.weight:q6_k", "blk.3.ffn_down.weight", DTYPE_Q6_K},
        {"tensor=blk.*.ffn_down:q6_k", "blk.3.ffn_up.weight", DTYPE_Q4_K},
        {"tensor=ffn_down:q6_k", "blk.3.ffn_down.weight", DTYPE_Q4_K}, /* the whole name, not a part of it */
        {"tensor=*ffn_down:q6_k", "blk.3.ffn_down.weight", DTYPE_Q6_K},
        {"tensor=blk.?.attn_v:f16", "blk.9.attn_v.weight", DTYPE_F16},
        {"tensor=blk.?.attn_v:f16", "blk.19.attn_v.weight", DTYPE_Q4_K},
        {"tensor=blk.[0-3].attn_v:bf16", "blk.3.attn_v.weight", DTYPE_BF16},
        {"tensor=blk.[0-3].attn_v:bf16", "blk.4.attn_v.weight", DTYPE_Q4_K},
        {"tensor=*:q8_0,tensor=*.attn_v:f32", "blk.4.attn_v.weight", DTYPE_F32}, /* the last that fits */
        {"tensor=*.attn_v:f32,tensor=*:q8_0", "blk.4.attn_v.weight", DTYPE_Q8_0},
        {"tensor=*.attn_v:f32,tensor=*:q8_0,tensor=output:q3_k", "blk.4.attn_v.weight", DTYPE_Q8_0},
        {"tensor=output:iq4_nl", "output.weight", DTYPE_IQ4_NL},
        {"tensor=token_embd:tq1_0", "token_embd.weight", DTYPE_TQ1_0},
        {"tensor=token_embd:tq1_0", "output.weight", DTYPE_Q6_K},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char spec[160];
        snprintf(spec, sizeof spec, "gguf:q4_k_s,%s", cases[i].settings);
        struct place at = {.name = cases[i].name,
                           .layer = 10,
                           .layers = 32,
                           .queries = 4,
                           .makes_logits = strcmp(cases[i].name, "output.weight") == 0};
        assert_type(spec, &at, 256, cases[i].type, false);
    }
}

/* Everything that is offered can be packed and read again, and is what general.file_type says. */
static void test_variants(void **state)
{
    (void)state;
    static const struct {
        const char *variant;
        uint32_t file_type;
        double most; /* root mean square error of uniform weights, in their own */
    } known[] = {
        {"q4_0", 2, .09},     {"q4_1", 3, .07},    {"q5_0", 8, .05},    {"q5_1", 9, .035},   {"q8_0", 7, .006},
        {"q2_k", 10, .25},    {"q3_k", 11, .15},   {"q4_k", 14, .07},   {"q5_k", 16, .035},  {"q6_k", 18, .03},
        {"iq4_nl", 25, .12},  {"iq4_xs", 30, .12}, {"tq1_0", 36, .55},  {"tq2_0", 37, .55},  {"q3_k_s", 11, .15},
        {"q3_k_m", 12, .15},  {"q3_k_l", 13, .15}, {"q4_k_s", 14, .07}, {"q4_k_m", 15, .07}, {"q5_k_s", 16, .035},
        {"q5_k_m", 17, .035},
    };
    enum { ROWS = 3, COLS = 512 };
    static float w[ROWS * COLS], back[ROWS * COLS];
    fill_random(w, ROWS * COLS, 1.f, 3);
    size_t n = 0;
    for (; n < sizeof known / sizeof *known; n++) {
        struct backend_options how;
        struct error e;
        char spec[32];
        snprintf(spec, sizeof spec, "gguf:%s", known[n].variant);
        assert_ok(backend_parse(&how, spec, &e), &e);
        assert_int_equal(how.backend->file_type(&how), known[n].file_type);
        struct tensor t = {.name = "w", .n_dims = 2, .shape = {ROWS, COLS, 1, 1}, .data = w, .bytes = sizeof w};
        struct matrix m;
        assert_ok(matrix_pack(&m, &t, &how, NULL, &e), &e);
        matrix_unpack(&m, 0, ROWS, back);
        double error = 0, own = 0;
        for (size_t i = 0; i < ROWS * COLS; i++) {
            error += ((double)back[i] - (double)w[i]) * ((double)back[i] - (double)w[i]);
            own += (double)w[i] * (double)w[i];
        }
        if (sqrt(error / own) > known[n].most) fail_msg("%s: an error of %g", spec, sqrt(error / own));
        matrix_free(&m);
        assert_string_equal(how.backend->variants[n], known[n].variant);
        if (n + 1 == sizeof known / sizeof *known) assert_null(how.backend->variants[n + 1]);
    }
}

/* Columns that weigh more are kept better. */
static void test_importance(void **state)
{
    (void)state;
    enum { ROWS = 8, COLS = 512 };
    static float w[ROWS * COLS], back[2][ROWS * COLS], importance[COLS];
    fill_random(w, ROWS * COLS, 1.f, 9);
    for (size_t i = 0; i < COLS; i++) importance[i] = i % 8 ? 1e-3f : 1.f;
    static const char *const specs[] = {"gguf:q4_0", "gguf:q5_1", "gguf:q2_k,pure",
                                        "gguf:q3_k", "gguf:q4_k", "gguf:iq4_xs"};
    for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) {
        struct backend_options how;
        struct error e;
        double error[2] = {0};
        assert_ok(backend_parse(&how, specs[k], &e), &e);
        for (int weighed = 0; weighed < 2; weighed++) {
            struct tensor t = {.name = "w", .n_dims = 2, .shape = {ROWS, COLS, 1, 1}, .data = w, .bytes = sizeof w};
            struct place at = {.name = "w", .layers = 1, .queries = 1, .importance = weighed ? importance : NULL};
            struct matrix m;
            assert_ok(matrix_pack(&m, &t, &how, &at, &e), &e);
            matrix_unpack(&m, 0, ROWS, back[weighed]);
            matrix_free(&m);
            for (size_t i = 0; i < ROWS * COLS; i++)
                error[weighed] += (double)importance[i % COLS] * pow((double)back[weighed][i] - (double)w[i], 2);
        }
        if (!(error[1] < .8 * error[0])) fail_msg("%s: %g with weights, %g without", specs[k], error[1], error[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_presets),  cmocka_unit_test(test_70b),
                                       cmocka_unit_test(test_mixtures), cmocka_unit_test(test_outside_layers),
                                       cmocka_unit_test(test_fallback), cmocka_unit_test(test_overrides),
                                       cmocka_unit_test(test_variants), cmocka_unit_test(test_importance)};
    return cmocka_run_group_tests_name("backends/gguf", tests, NULL, NULL);
}
