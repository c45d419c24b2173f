#include "tests/reports/edit.h"

#include "reports/report.h"

static char *markdown_of(json_t *document)
{
    struct text out = {0};
    struct error e;
    assert_ok(report_markdown(document, &out, &e), &e);
    json_decref(document);
    return out.bytes;
}

static void test_golden(void **state)
{
    (void)state;
    char *text = markdown_of(golden(COMPARISON));
    assert_golden_text("tests/goldens/report-markdown.md", text);
    free(text);
}

static void test_single_subject(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    resize_subjects(v, 1);
    char *text = markdown_of(v);
    assert_golden_text("tests/goldens/report-single.md", text);
    free(text);
}

/* Columns of a table line: the pipes, since none stands in a cell. */
static size_t pipes(const char *line, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += line[i] == '|';
    return count;
}

static void test_hostile_names(void **state)
{
    (void)state;
    static const char *const places[] = {"subjects/0/name", "subjects/1/name",       "subjects/3/math",
                                         "rows/0/suite",    "rows/1/metric",         "rows/0/fingerprint",
                                         "machine/cpu",     "rows/6/cells/3/reason", "kerf/commit"};
    json_t *v = golden(COMPARISON);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) edit(v, places[i], HOSTILE);
    char *text = markdown_of(v);
    assert_harmless(text);
    assert_null(strstr(text, "<script"));
    assert_null(strchr(text, '`'));
    assert_null(strstr(text, "](b"));
    assert_non_null(strstr(text,
                           "=cmd()&#124;&#92;x1B&#91;31m&#60;script&#62;&#96;x&#96;&#92;u{202E}&#91;a&#93;(b)&#92;n"
                           "&#38;&#92;"));
    const char *head = strstr(text, "\n| suite | metric |") + 1;
    const size_t wanted = pipes(head, strcspn(head, "\n"));
    assert_int_equal(wanted, 7);
    for (const char *s = head; *s == '|'; s += strcspn(s, "\n") + 1)
        assert_int_equal(pipes(s, strcspn(s, "\n")), wanted);
    free(text);
}

/* GitHub takes 65,536 characters and no more. */
static void test_many_candidates(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON), *rows = json_object_get(v, "rows");
    resize_subjects(v, 61);
    for (size_t i = json_array_size(rows); i < 40; i++) {
        json_t *row = json_deep_copy(json_array_get(rows, i % 7));
        char name[32];
        snprintf(name, sizeof name, "suite-%zu", i);
        json_object_set_new(row, "suite", json_string(name));
        json_array_append_new(rows, row);
    }
    char *text = markdown_of(v);
    const size_t n = strlen(text);
    if (n > 65536 || n < 50000) fail_msg("%zu bytes", n);
    assert_non_null(strstr(text, "<code>@copy:60</code> | 2.76 |")); /* the glance has them all */
    assert_non_null(strstr(text, "<summary>All 40 rows</summary>"));
    const char *cut = strstr(text, " rows are left out, because a comment has no more than 65,536 characters.");
    assert_non_null(cut);
    assert_non_null(strstr(cut, "</details>"));
    assert_non_null(strstr(cut, "Protocol and machine"));
    assert_non_null(strstr(cut, "- resampling: 10000 resamples, seed 1234\n\n</details>\n"));
    free(text);
}

/* Names and reasons as long as they like, as many as they like. */
static void test_long_words(void **state)
{
    (void)state;
    enum { LONG = 100000 };
    char *name = malloc(LONG + 3);
    assert_non_null(name);
    memset(name, '|', LONG + 2);
    name[0] = name[LONG + 1] = '"';
    name[LONG + 2] = 0;
    static const char *const places[] = {"subjects/0/name",       "subjects/0/model", "subjects/1/name",
                                         "subjects/1/math",       "rows/0/suite",     "rows/1/metric",
                                         "machine/cpu",           "kerf/commit",      "machine/isa",
                                         "rows/6/cells/3/reason", "kerf/version"};
    json_t *v = golden(COMPARISON),
           *canary = json_pack("{s:s, s:i, s:s, s:s}", "suite", "reviews", "subject", 1, "name", "x", "reason", "much");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) edit(v, places[i], name);
    json_object_set_new(v, "canaries", json_array());
    for (int i = 0; i < 1000; i++) json_array_append(json_object_get(v, "canaries"), canary);
    json_decref(canary);
    free(name);
    char *text = markdown_of(v);
    if (strlen(text) > 65536) fail_msg("%zu bytes", strlen(text));
    assert_non_null(strstr(text, " of 1001 remarks are left out"));
    assert_non_null(strstr(text, "\n\n</details>\n"));
    free(text);
}

static void test_no_candidate_without_loss(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    for (int j = 1; j < 3; j++) {
        char path[64];
        snprintf(path, sizeof path, "rows/0/cells/%d/difference/significant", j);
        edit(v, path, "true");
    }
    char *text = markdown_of(v);
    assert_ptr_equal(
        strstr(text, "# every smaller candidate has a significant loss in 500 items a suite\n\nThe fewest losses has "
                     "<code>@int8:absmax</code> (4.89 MiB, 25.4% of the baseline): "
                     "<code>stories</code> <code>perplexity</code> (+0.0003, +0.012%)."),
        text);
    free(text);
}

/* A loss that only the adjustment for other candidates takes away: no mark, and no answer. */
static void test_doubt(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    edit(v, "rows/0/cells/1/difference/p", "0.03");
    edit(v, "rows/0/cells/1/difference/p_holm", "0.09");
    edit(v, "rows/0/cells/1/difference/significant", "false");
    char *text = markdown_of(v);
    assert_ptr_equal(strstr(text, "# <code>@gguf:q8_0</code> "), text);
    assert_non_null(strstr(text,
                           " The next smaller one, <code>@int8:absmax</code> (4.89 MiB, 25.4% of the baseline), may be "
                           "worse in <code>stories</code> <code>perplexity</code> (+0.0003, +0.012%): p < 0.05 before "
                           "it is adjusted for the other candidates."));
    assert_non_null(strstr(text, "| in doubt 1 of 5: stories |"));
    free(text);
    v = golden(COMPARISON); /* a gain is no doubt */
    edit(v, "rows/0/cells/1/difference/p", "0.03");
    edit(v, "rows/0/cells/1/difference/value", "-0.0003");
    text = markdown_of(v);
    assert_ptr_equal(strstr(text, "# <code>@int8:absmax</code> "), text);
    free(text);
    v = golden(COMPARISON); /* and where nothing is left but doubts, not everything is lost */
    resize_subjects(v, 2);
    edit(v, "rows/0/cells/1/difference/p", "0.03");
    text = markdown_of(v);
    assert_ptr_equal(strstr(text, "# no smaller candidate is free of signs of a loss"), text);
    free(text);
}

/* Where nothing was compared nothing is said of losses, and a loss of some is not one of all. */
static void test_not_comparable(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    edit(v, "rows", "[]");
    char *text = markdown_of(v);
    assert_null(strstr(text, "| none |"));
    assert_non_null(strstr(text, "| not comparable |"));
    free(text);
    v = golden(COMPARISON);
    for (int j = 1; j < 3; j++) {
        char path[64];
        snprintf(path, sizeof path, j < 2 ? "rows/0/cells/%d/difference/significant" : "rows/0/cells/%d/refused", j);
        edit(v, path, j < 2 ? "true" : "\"another protocol\"");
    }
    text = markdown_of(v);
    assert_ptr_equal(
        strstr(text, "# every smaller candidate that is comparable has a significant loss in 500 items a suite\n"),
        text);
    free(text);
}

/* The machine is that of the measurement, not of whoever makes the report. */
static void test_machine(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    edit(v, "subjects/0/machine", "{\"cpu\": \"Cortex\", \"isa\": \"neon\", \"threads\": 8}");
    char *text = markdown_of(v);
    assert_non_null(strstr(text, "\n- machine: Cortex, kernels neon, 8 threads\n"));
    free(text);
    v = golden(COMPARISON);
    edit(v, "subjects/0/source", "{\"tool\": \"llama-bench\"}");
    text = markdown_of(v);
    assert_null(strstr(text, "- machine:"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_single_subject),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_many_candidates),
        cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_no_candidate_without_loss),
        cmocka_unit_test(test_not_comparable),
        cmocka_unit_test(test_machine),
    };
    return cmocka_run_group_tests_name("reports/markdown", tests, NULL, NULL);
}
