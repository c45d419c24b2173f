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
    assert_has(t, "n/a: stories of millbrook-llama@gguf:q4_0: context is 256, the baseline's is 512");
    assert_has(t, "answer: @int8:absmax");
    assert_null(strstr(strstr(t, "answer: "), "q4_0"));
    free(t);
    t = markdown(copy);
    assert_has(t, "2.5520 (not comparable)");
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
        cmocka_unit_test(test_holm_is_a_column),      cmocka_unit_test(test_bad_canaries_are_refused),
    };
    return cmocka_run_group_tests_name("reports/flags", tests, NULL, NULL);
}
