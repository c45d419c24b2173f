#include "tests/reports/edit.h"

#include "reports/answer.h"
#include "reports/cells.h"
#include <math.h>

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        double v;
        int decimals;
        const char *value, *difference;
    } cases[] = {
        {0.5, 3, "0.500", "+0.500"},
        {-0.0124, 3, "-0.012", "-0.012"},
        {0, 3, "0.000", "0.000"},
        {-0.0, 2, "0.00", "0.00"},
        {0.0005001, 3, "0.001", "+0.001"},
        {0.0004, 3, "4.0e-4", "+4.0e-4"},
        {-2.13e-6, 4, "-2.1e-6", "-2.1e-6"},
        {1e-300, 3, "1.0e-300", "+1.0e-300"},
        {99.5, 2, "99.50", "+99.50"},
        {9999999, 1, "9999999.0", "+9999999.0"},
        {1e7, 1, "1.000e7", "+1.000e7"},
        {-1.7e308, 4, "-1.700e308", "-1.700e308"},
        {NAN, 3, "n/a", "n/a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[CELL_TEXT];
        format_value(out, cases[i].v, cases[i].decimals);
        assert_string_equal(out, cases[i].value);
        format_difference(out, cases[i].v, cases[i].decimals);
        assert_string_equal(out, cases[i].difference);
    }
}

static void test_intervals(void **state)
{
    (void)state;
    char out[CELL_TEXT];
    format_interval(out, &(struct figure){.low = -0.0301, .high = 0.006}, 3, true);
    assert_string_equal(out, "[-0.030, +0.006]");
    format_interval(out, &(struct figure){.low = 2.4812, .high = 2.5411}, 4, false);
    assert_string_equal(out, "[2.4812, 2.5411]");
    format_interval(out, &(struct figure){.low = NAN, .high = 1}, 3, true);
    assert_string_equal(out, "");
    format_interval(out, &(struct figure){.low = -1.7e308, .high = 1.7e308}, 3, true);
    assert_string_equal(out, "[-1.700e308, +1.700e308]");
}

static void test_decimals(void **state)
{
    (void)state;
    static const struct {
        const char *unit;
        double baseline, difference;
        int decimals;
    } cases[] = {
        {"", 0.51, -0.012, 3}, {"", 0.51, 0.0003, 4},  {"", 0.51, 0.00003, 3}, {"", 0.51, 0, 3},  {"", 1.0, 0, 3},
        {"", 2.51, 0.01, 4},   {"", 2.51, 0.00001, 4}, {"", 12.4, 0.5, 3},     {"", 124, 0.5, 2}, {"", 1240, 0.5, 1},
        {"%", 99.5, 0.12, 2},  {"%", 99.5, 0.004, 3},  {"bit", 0.42, 0.01, 4}, {"", NAN, NAN, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct report_cell cells[2] = {{.figure.value = cases[i].baseline, .difference.value = NAN},
                                       {.figure.value = cases[i].baseline, .difference.value = cases[i].difference}};
        const struct report_row row = {.unit = cases[i].unit, .cells = cells};
        assert_int_equal(row_decimals(&row, 2), cases[i].decimals);
    }
}

static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        bool higher, significant;
        double difference;
        enum verdict verdict;
    } cases[] = {
        {true, true, 0.1, VERDICT_BETTER},   {true, true, -0.1, VERDICT_WORSE}, {false, true, 0.1, VERDICT_WORSE},
        {false, true, -0.1, VERDICT_BETTER}, {true, false, -0.1, VERDICT_NONE}, {true, true, NAN, VERDICT_NONE},
        {true, true, 0, VERDICT_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct report_row row = {.higher_is_better = cases[i].higher};
        const struct report_cell cell = {
            .has_difference = true, .significant = cases[i].significant, .difference.value = cases[i].difference};
        assert_int_equal(cell_verdict(&row, &cell), cases[i].verdict);
    }
}

/* The answer after up to three edits of the small comparison. */
static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *edits[3][2];
        size_t best, next;
    } cases[] = {
        {{{NULL}}, 1, 3},
        /* a loss takes the place away */
        {{{"rows/0/cells/1/difference/significant", "true"}}, 2, 1},
        /* a gain does not */
        {{{"rows/0/cells/1/difference/significant", "true"}, {"rows/0/cells/1/difference/value", "-0.1"}}, 1, 3},
        /* nothing shows that it lost nothing */
        {{{"rows/0/cells/1/difference/value", "null"}}, 2, 1},
        {{{"rows/0/cells/1/difference", "null"}}, 2, 1},
        /* where the baseline has no value either, the row says nothing */
        {{{"rows/0/cells/1/difference", "null"}, {"rows/0/cells/0/value", "null"}}, 1, 3},
        {{{"subjects/2/weight_bytes", "5"}}, 2, 0},
        /* a size that is not known is not the smallest */
        {{{"subjects/1/weight_bytes", "null"}}, 2, 3},
        /* what is no smaller than the baseline saves nothing */
        {{{"subjects/1/weight_bytes", "99999999999"}, {"subjects/2/weight_bytes", "99999999999"}}, 0, 3},
        /* nobody is without a loss: the one with losses in the fewest suites */
        {{{"rows/0/cells/1/difference/significant", "true"},
          {"rows/4/cells/1/difference/significant", "true"},
          {"rows/0/cells/2/difference/significant", "true"}},
         0,
         2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *v = golden(COMPARISON);
        for (size_t k = 0; k < 3 && cases[i].edits[k][0]; k++) edit(v, cases[i].edits[k][0], cases[i].edits[k][1]);
        struct report r;
        struct error e;
        assert_ok(report_read_comparison(&r, v, &e), &e);
        const struct answer a = answer_find(&r);
        if (a.best != cases[i].best || a.next != cases[i].next)
            fail_msg("case %zu: best %zu, next %zu", i, a.best, a.next);
        report_close(&r);
        json_decref(v);
    }
}

/* What the best one saves: speed only where both were measured on one machine. */
static void test_gains(void **state)
{
    (void)state;
    static const struct {
        const char *edits[3][2], *gain;
    } cases[] = {
        {{{NULL}}, "It saves 74.6% of the weights' memory (14.37 MiB)."},
        {{{"subjects/0/tokens_per_second", "100"}, {"subjects/1/tokens_per_second", "212"}},
         "It saves 74.6% of the weights' memory (14.37 MiB) at 2.12 times the baseline's tokens/s."},
        {{{"subjects/0/tokens_per_second", "null"}, {"subjects/1/tokens_per_second", "212"}},
         "It saves 74.6% of the weights' memory (14.37 MiB)."},
        {{{"subjects/0/tokens_per_second", "100"},
          {"subjects/1/tokens_per_second", "212"},
          {"subjects/1/machine", "{\"cpu\": \"another\"}"}},
         "It saves 74.6% of the weights' memory (14.37 MiB)."},
        {{{"subjects/0/weight_bytes", "null"}}, ""},
        {{{"subjects/1/weight_bytes", "null"}, {"subjects/2/weight_bytes", "null"}}, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *v = golden(COMPARISON);
        for (size_t k = 0; k < 3 && cases[i].edits[k][0]; k++) edit(v, cases[i].edits[k][0], cases[i].edits[k][1]);
        struct report r;
        struct error e;
        struct text gain = {0};
        assert_ok(report_read_comparison(&r, v, &e), &e);
        const struct answer a = answer_find(&r);
        answer_gain(&gain, &r, &a);
        assert_string_equal(text_c(&gain), cases[i].gain);
        text_free(&gain);
        report_close(&r);
        json_decref(v);
    }
}

/* A canary marks its suite wherever that stands, and nothing else. */
static void test_doubts(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON), *rows = json_object_get(v, "rows");
    edit(v, "canaries",
         "[{\"suite\": \"stories\", \"subject\": 2, \"name\": \"x\", \"reason\": \"y\"},"
         " {\"suite\": \"elsewhere\", \"subject\": 1, \"name\": \"x\", \"reason\": \"y\"}]");
    struct report r;
    struct error e;
    assert_ok(report_read_comparison(&r, v, &e), &e);
    for (size_t i = 0; i < r.n_rows; i++)
        for (size_t j = 0; j < r.n_subjects; j++) assert_int_equal(r.rows[i].cells[j].doubtful, j == 2 && i < 2);
    report_close(&r);
    json_array_append(rows, json_array_get(rows, 0)); /* stories once more, apart from its other rows */
    assert_error(report_read_comparison(&r, v, &e), &e, ERROR_INPUT,
                 "comparison: rows[7].suite: other rows of \"stories\" stand further up");
    json_decref(v);
}

/* Sums over suites: each once. */
static void test_sums(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON), *rows = json_object_get(v, "rows");
    json_array_insert(rows, 3, json_array_get(rows, 2)); /* endings has a second metric with the same flips */
    struct report r;
    struct error e;
    int64_t gained, lost;
    assert_ok(report_read_comparison(&r, v, &e), &e);
    assert_true(subject_flips(&r, 3, &gained, &lost));
    assert_int_equal(gained, 7 + 4 + 0);
    assert_int_equal(lost, 14 + 21 + 1);
    assert_false(subject_flips(&r, 0, &gained, &lost));
    assert_true(isnan(subject_distance(&r, 3, "kl_divergence")));
    report_close(&r);
    for (int i = 0; i < 2; i++) {
        char path[32];
        snprintf(path, sizeof path, "rows/%d/metric", i);
        edit(v, path, "\"kl_divergence\"");
        snprintf(path, sizeof path, "rows/%d/divergence", i);
        edit(v, path, "true");
    }
    assert_ok(report_read_comparison(&r, v, &e), &e);
    assert_near(subject_distance(&r, 3, "kl_divergence"), (2.5520 + 0.4310) / 2, 1e-4, "mean of two suites");
    report_close(&r);
    edit(v, "rows/2/cells/3/difference/gained", "9223372036854775807");
    assert_ok(report_read_comparison(&r, v, &e), &e);
    assert_false(subject_flips(&r, 3, &gained, &lost)); /* both together are more than a number holds */
    report_close(&r);
    json_decref(v);
}

static void test_labels(void **state)
{
    (void)state;
    static const struct {
        const char *name, *model, *math, *label;
    } cases[] = {
        {"\"millbrook-llama@f16\"", "\"millbrook-llama\"", "\"exact\"", "@f16"},
        {"\"millbrook-llama@f16\"", "\"millbrook-llama\"", "\"fast\"", "@f16 (fast)"},
        {"\"millbrook-llama@f16+fast\"", "\"millbrook-llama\"", "\"fast\"", "@f16+fast"},
        {"\"millbrook-llama@f16+fast beam:4\"", "\"millbrook-llama\"", "\"fast\"", "@f16+fast beam:4"},
        {"\"millbrook-llama+fast\"", "\"millbrook-llama\"", "\"fast\"", "+fast"},
        {"\"millbrook-llama+faster\"", "\"millbrook-llama\"", "\"fast\"", "+faster (fast)"},
        {"\"a+fast/b\"", "\"a+fast/b\"", "\"fast\"", "a+fast/b (fast)"},
        {"\"millbrook-gpt2@f16+fast\"", "\"millbrook-gpt2\"", "\"fast\"", "millbrook-gpt2@f16+fast"},
        {"\"millbrook-gpt2@f16\"", "\"millbrook-gpt2\"", "\"exact\"", "millbrook-gpt2@f16"},
        {"\"millbrook-llama\"", "\"millbrook-llama\"", "\"exact\"", "millbrook-llama"},
        {"\"\"", "\"millbrook-llama\"", "\"exact\"", ""},
        {"\"other\"", "\"other\"", "\"\"", "other"}, /* another tool does not say */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *v = golden(COMPARISON);
        edit(v, "subjects/1/name", cases[i].name);
        edit(v, "subjects/1/model", cases[i].model);
        edit(v, "subjects/1/math", cases[i].math);
        struct report r;
        struct error e;
        struct text label = {0};
        assert_ok(report_read_comparison(&r, v, &e), &e);
        subject_label(&label, &r, 1);
        assert_string_equal(text_c(&label), cases[i].label);
        text_free(&label);
        report_close(&r);
        json_decref(v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_intervals), cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_verdicts), cmocka_unit_test(test_answers),   cmocka_unit_test(test_labels),
        cmocka_unit_test(test_gains),    cmocka_unit_test(test_doubts),    cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests_name("reports/cells", tests, NULL, NULL);
}
