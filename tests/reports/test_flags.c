/* What stands beside the numbers: canaries, cells that were not compared, distances from the baseline, Holm's p. */
#include "tests/reports/edit.h"

#include "reports/report.h"

static const char distance[] =
    "{\"suite\": \"stories\", \"metric\": \"kl_divergence\", \"unit\": \"nat\", \"better\": \"lower\", \"items\": 500,"
    " \"fingerprint\": \"73\", \"divergence\": true, \"cells\": ["
    "{\"value\": null, \"stderr\": null, \"ci95\": null, \"difference\": null},"
    "{\"value\": 0.0123, \"stderr\": 0.001, \"ci95\": [0.011, 0.014], \"difference\": null},"
    "{\"value\": 0.0004, \"stderr\": 0.0001, \"ci95\": [0.0003, 0.0005], \"difference\": null},"
    "{\"value\": 0.25, \"stderr\": 0.01, \"ci95\": [0.23, 0.27], \"difference\": null}]}";

static const char canaries[] = "[{\"suite\": \"endings\", \"subject\": 3, \"name\": \"chance\","
                               " \"reason\": \"acc 0.26 is \\u001b[31mno better than chance (0.25)\"}]";

static json_t *comparison(void)
{
    json_t *c = golden(COMPARISON);
    edit(c, "canaries", canaries);
    json_array_insert_new(json_object_get(c, "rows"), 2, json_loads(distance, 0, NULL));
    return c;
}

static char *terminal(json_t *document)
{
    struct text out = {0};
    struct error e;
    assert_ok(report_table(document, &(struct table_style){.width = 200}, &out, &e), &e);
    json_decref(document);
    return out.bytes;
}

static char *markdown(json_t *document)
{
    struct text out = {0};
    struct error e;
    assert_ok(report_markdown(document, &out, &e), &e);
    json_decref(document);
    return out.bytes;
}

static char *csv(json_t *document)
{
    char *bytes = NULL;
    size_t n;
    struct error e;
    FILE *out = open_memstream(&bytes, &n);
    assert_ok(report_leaderboard(document, out, &e), &e);
    fclose(out);
    json_decref(document);
    return bytes;
}

static void assert_has(char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("no \"%s\" in:\n%s", part, text);
}

static void test_canaries_are_flagged(void **state)
{
    char *t = terminal(comparison());
    assert_has(t, "0.496!"); /* the doubtful value and no other */
    assert_null(strstr(strstr(t, "0.496!") + 6, "!  "));
    assert_has(t, "! endings of millbrook-llama@gguf:q4_0: acc 0.26 is ");
    assert_null(strchr(t, '\033'));
    assert_null(strstr(t, "mean little")); /* it is neither the baseline's nor the answer's */
    free(t);
    json_t *c = comparison();
    edit(c, "canaries/0/subject", "0");
    t = terminal(c);
    assert_has(t, "no significant loss in 500 items a suite; but values marked ! mean little");
    free(t);
    t = markdown(comparison());
    assert_has(t, "0.496!");
    assert_has(t, "- ! endings of <code>millbrook-llama@gguf:q4_0</code>: acc 0.26 is ");
    assert_null(strchr(t, '\033'));
    free(t);
    t = csv(comparison());
    assert_has(t, "\"endings: chance\"");
    free(t);
}

static void test_a_run_shows_its_own(void **state)
{
    json_t *run = golden("tests/goldens/run-small.json");
    edit(run, "suites/1/canaries", "[{\"name\": \"chance\", \"reason\": \"every answer is the first choice\"}]");
    struct text out = {0};
    struct error e;
    assert_ok(report_run_table(run, &(struct table_style){.width = 80}, &out, &e), &e);
    assert_has(out.bytes, "0.998!");
    assert_has(out.bytes, "! reviews: every answer is the first choice");
    text_free(&out);
    json_decref(run);
}

/* A distance has no difference, and is no loss that the answer would count. */
static void test_distances_stand_alone(void **state)
{
    json_t *c = comparison();
    json_object_del(c, "canaries");
    char *with = terminal(c), *without = terminal(golden(COMPARISON));
    assert_has(with, "kl_divergence");
    assert_has(with, "0.0123");
    assert_has(with, "[0.0110, 0.0140]");
    assert_string_equal(strstr(with, "answer: "), strstr(without, "answer: "));
    free(with);
    free(without);
    char *page = markdown(comparison());
    assert_has(page, "| kl_divergence ↓ | | 0.0123 [0.0110, 0.0140] |");
    free(page);
}

static void test_what_is_not_compared_says_why(void **state)
{
    json_t *c = golden(COMPARISON);
    edit(c, "rows/0/cells/3/difference", "null");
    edit(c, "rows/0/cells/3/refused", "\"context is 256, the baseline's is 512\"");
    json_t *copy = json_deep_copy(c);
    char *t = terminal(c);
    assert_has(t, "not compared: stories of millbrook-llama@gguf:q4_0: context is 256, the baseline's is 512");
    assert_has(t, "answer: @int8:absmax");
    assert_null(strstr(strstr(t, "answer: "), "q4_0"));
    free(t);
    t = markdown(copy);
    assert_has(t, "2.5520 (not comparable)");
    assert_has(t, "- not compared: stories of <code>millbrook-llama@gguf:q4_0</code>: context is 256");
    free(t);
}

/* A subject of another tool: its values stand beside the baseline's, and the reason is told once. */
static json_t *with_foreign(void)
{
    json_t *c = golden(COMPARISON), *row;
    size_t i;
    edit(c, "subjects/3/source", "{\"tool\": \"lm-evaluation-harness 0.4.8\", \"file\": \"x.json\"}");
    edit(c, "subjects/3/tokens_per_second", "131.4");
    edit(c, "subjects/3/weight_bytes", "5");
    edit(c, "subjects/0/tokens_per_second", "100");
    json_array_foreach(json_object_get(c, "rows"), i, row)
    {
        json_t *cell = json_array_get(json_object_get(row, "cells"), 3);
        json_object_set_new(cell, "difference", json_null());
        json_object_set_new(cell, "refused", json_string("its protocol is not known"));
        if (i % 2) json_object_set_new(cell, "absent", json_true());
        if (i % 2) json_object_set_new(cell, "value", json_null());
    }
    row = json_deep_copy(json_array_get(json_object_get(c, "rows"), 2));
    json_array_append_new(json_object_get(c, "rows"), row);
    edit(c, "rows/7/suite", "\"bench\"");
    edit(c, "rows/7/metric", "\"pp512\"");
    edit(c, "rows/7/unit", "\"t/s\"");
    edit(c, "rows/7/items", "null");
    edit(c, "rows/7/cells/3/value", "131.4");
    for (int j = 0; j < 3; j++) {
        char path[32];
        snprintf(path, sizeof path, "rows/7/cells/%d", j);
        edit(c, path,
             "{\"value\": null, \"stderr\": null, \"ci95\": null, \"difference\": null, \"absent\": true,"
             " \"reason\": \"not measured\"}");
    }
    return c;
}

static void test_other_tools(void **state)
{
    char *t = terminal(with_foreign());
    assert_has(t, "@gguf:q4_0 †\n");
    assert_has(t, "† millbrook-llama@gguf:q4_0: measured by lm-evaluation-harness 0.4.8; not compared: its protocol is "
                  "not known\n");
    assert_null(strstr(strstr(t, "not compared") + 1, "not compared"));
    assert_null(strstr(t, "not measured of"));
    assert_has(t, "\n  pp512                 –       –");
    assert_has(t, "tokens/s              100       –                                    –                              "
                  "    131\n");
    assert_has(t, "the 2 candidates of a row");
    /* the smallest of all, but nothing is known of what it lost */
    assert_has(t,
               "answer: @int8:absmax (4.89 MiB, 25.4% of the baseline) is the smallest candidate with no significant "
               "loss in 500 items a suite.");
    assert_null(strstr(strstr(t, "answer: "), "q4_0"));
    free(t);
    t = markdown(with_foreign());
    assert_has(t, "<code>millbrook-llama@gguf:q4_0</code> (lm-evaluation-harness 0.4.8) | 4.8e-6 |  |");
    assert_has(t, "| not comparable |");
    assert_has(t, "| bench | pp512 ↑ | – | – | – | 131.40 |");
    assert_has(t, "- not compared: <code>millbrook-llama@gguf:q4_0</code>: its protocol is not known\n");
    assert_null(strstr(strstr(t, "- not compared") + 1, "- not compared"));
    assert_has(t, "–: not measured.");
    free(t);
}

/* A comparison in which nothing can be compared has an answer too. */
static void test_other_tools_alone(void **state)
{
    json_t *c = with_foreign(), *row;
    size_t i;
    json_array_foreach(json_object_get(c, "rows"), i, row)
    {
        json_t *cells = json_object_get(row, "cells");
        json_array_set(cells, 0, json_array_get(cells, 3));
    }
    json_array_set(json_object_get(c, "subjects"), 0, json_array_get(json_object_get(c, "subjects"), 3));
    resize_subjects(c, 1);
    json_t *copy = json_deep_copy(c);
    char *t = terminal(c);
    assert_has(t, "† millbrook-llama@gguf:q4_0: measured by lm-evaluation-harness 0.4.8;");
    free(t);
    t = markdown(copy);
    assert_has(t, " has no candidate beside it\n");
    free(t);
}

static void test_holm_is_a_column(void **state)
{
    json_t *c = golden(COMPARISON);
    edit(c, "rows/0/cells/3/difference/p_holm", "0.003");
    char *t = csv(c);
    assert_has(t, "\"stories/perplexity/p_holm\"");
    assert_has(t, "\"0.001\",\"0.003\"");
    free(t);
}

static void test_bad_canaries_are_refused(void **state)
{
    struct text out = {0};
    struct error e;
    json_t *c = comparison();
    edit(c, "canaries/0/subject", "4");
    assert_error(report_table(c, &(struct table_style){.width = 100}, &out, &e), &e, ERROR_INPUT,
                 "canaries[0].subject");
    edit(c, "canaries/0/subject", "1");
    edit(c, "canaries/0/reason", "7");
    assert_error(report_table(c, &(struct table_style){.width = 100}, &out, &e), &e, ERROR_INPUT, "canaries[0].reason");
    json_decref(c);
    text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canaries_are_flagged),  cmocka_unit_test(test_a_run_shows_its_own),
        cmocka_unit_test(test_distances_stand_alone), cmocka_unit_test(test_what_is_not_compared_says_why),
        cmocka_unit_test(test_other_tools),           cmocka_unit_test(test_other_tools_alone),
        cmocka_unit_test(test_holm_is_a_column),      cmocka_unit_test(test_bad_canaries_are_refused),
    };
    return cmocka_run_group_tests_name("reports/flags", tests, NULL, NULL);
}
