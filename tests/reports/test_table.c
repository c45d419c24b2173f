#include "tests/reports/edit.h"

#include "reports/report.h"

static char *table_of(json_t *document, int width, bool colour)
{
    struct text out = {0};
    struct error e;
    assert_ok(report_table(document, &(struct table_style){.width = width, .colour = colour}, &out, &e), &e);
    json_decref(document);
    return out.bytes;
}

static void assert_width(const char *text, size_t most)
{
    for (const char *s = text; *s; s += strcspn(s, "\n") + 1) {
        const size_t n = strcspn(s, "\n");
        if (utf8_length(s, n) > most) fail_msg("wider than %zu: %.*s", most, (int)n, s);
        if (n && s[n - 1] == ' ') fail_msg("space at the end of: %.*s|", (int)n, s);
    }
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *s = text; (s = strstr(s, part)); s += strlen(part)) n++;
    return n;
}

static void test_goldens(void **state)
{
    (void)state;
    static const struct {
        int width;
        const char *path;
    } cases[] = {{140, "tests/goldens/report-table-140.txt"},
                 {100, "tests/goldens/report-table-100.txt"},
                 {80, "tests/goldens/report-table-80.txt"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = table_of(golden(COMPARISON), cases[i].width, false);
        assert_golden_text(cases[i].path, text);
        assert_width(text, (size_t)cases[i].width);
        free(text);
    }
}

static void test_colour_only_adds(void **state)
{
    (void)state;
    char *plain = table_of(golden(COMPARISON), 140, false), *coloured = table_of(golden(COMPARISON), 140, true);
    assert_non_null(strstr(coloured, "\033[31m+0.0412 ✗\033[0m"));
    assert_non_null(strstr(coloured, "\033[32m  +0.12 ✓\033[0m"));
    char *to = coloured;
    for (const char *from = coloured; *from;) {
        if (*from == '\033')
            from = strchr(from, 'm') + 1;
        else
            *to++ = *from++;
    }
    *to = 0;
    assert_string_equal(coloured, plain);
    free(plain);
    free(coloured);
}

static void test_single_subject(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    resize_subjects(v, 1);
    char *text = table_of(v, 100, false);
    assert_golden_text("tests/goldens/report-table-single.txt", text);
    free(text);
}

static void test_twelve_subjects(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    resize_subjects(v, 12);
    char *text = table_of(v, 80, false);
    assert_width(text, 80);
    /* 11 candidates, two a block, and the baseline's column in every block */
    assert_int_equal(count(text, " baseline  "), 6);
    for (int j = 4; j < 12; j++) {
        char name[16];
        snprintf(name, sizeof name, "@copy:%d", j);
        assert_non_null(strstr(text, name));
    }
    /* as many missing correlations as candidates repeat, the first eight of them explained */
    assert_int_equal(count(text, "n/a: reviews mcc of "), 8);
    assert_non_null(strstr(text, "n/a: and 1 more\n"));
    free(text);
}

static void test_narrow(void **state)
{
    (void)state;
    for (int width = -1; width < 40; width += 8) {
        char *text = table_of(golden(COMPARISON), width, false);
        assert_non_null(strstr(text, "@gguf:q4_0"));
        free(text);
    }
}

static void test_hostile_names(void **state)
{
    (void)state;
    static const char *const places[] = {"subjects/0/name",
                                         "subjects/1/name",
                                         "subjects/1/math",
                                         "rows/0/suite",
                                         "rows/1/metric",
                                         "rows/6/cells/3/reason",
                                         "rows/6/cells/3/difference/reason",
                                         "machine/isa"};
    json_t *v = golden(COMPARISON);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) edit(v, places[i], HOSTILE);
    char *text = table_of(v, 100, false);
    assert_harmless(text);
    assert_width(text, 100);
    assert_non_null(strstr(text, "\\x1B"));
    free(text);
}

static void test_long_names(void **state)
{
    (void)state;
    char name[1003];
    memset(name, 'x', sizeof name);
    name[0] = name[1001] = '"';
    name[1002] = 0;
    json_t *v = golden(COMPARISON);
    edit(v, "subjects/2/name", name);
    edit(v, "rows/0/suite", name);
    edit(v, "rows/1/metric", name);
    char *text = table_of(v, 140, false);
    assert_non_null(strstr(text, "x…"));
    assert_true(strlen(text) < 20000);
    free(text);
}

static void test_run(void **state)
{
    (void)state;
    json_t *v = golden("tests/goldens/run-small.json");
    struct text out = {0};
    struct error e;
    assert_ok(report_run_table(v, &(struct table_style){.width = 100}, &out, &e), &e);
    assert_golden_text("tests/goldens/report-run.txt", text_c(&out));
    text_free(&out);
    json_decref(v);
}

/* What is done to a document and what the error then says. */
struct corruption {
    const char *path, *value, *words;
};

static void test_corrupt_comparisons(void **state)
{
    (void)state;
    static const struct corruption cases[] = {
        {"schema", NULL, "comparison: schema: is missing; a string would be right"},
        {"schema", "7", "schema: is a whole number; a string would be right"},
        {"schema", "\"kerf-run-1\"", "schema: is a string; \"kerf-compare-1\" would be right"},
        {"kerf", "[]", "kerf: is an array; an object"},
        {"kerf/version", NULL, "kerf.version: is missing"},
        {"kerf/commit", "null", "kerf.commit: is null"},
        {"machine", NULL, "machine: is missing"},
        {"machine/cpu", "{}", "machine.cpu: is an object"},
        {"machine/isa", NULL, "machine.isa"},
        {"machine/threads", "2.5", "machine.threads: is a real number; a whole number or null"},
        {"subjects", "{}", "subjects: is an object; an array"},
        {"subjects", "[]", "subjects: is an array; one with at least the baseline"},
        {"subjects/1", "3", "subjects[1].name: is missing"},
        {"subjects/1", NULL, "rows[0].cells: is an array; one cell for every subject"},
        {"subjects/0/name", "true", "subjects[0].name: is true"},
        {"subjects/0/model", NULL, "subjects[0].model"},
        {"subjects/0/backend", NULL, "subjects[0].backend"},
        {"subjects/0/math", NULL, "subjects[0].math"},
        {"subjects/0/sha256", NULL, "subjects[0].sha256"},
        {"subjects/2/parameters", "-1", "subjects[2].parameters: is a whole number; one that is not negative"},
        {"subjects/2/weight_bytes", "\"9\"", "subjects[2].weight_bytes: is a string"},
        {"subjects/2/bits_per_weight", "false", "subjects[2].bits_per_weight: is false; a number or null"},
        {"subjects/2/seconds", NULL, "subjects[2].seconds: is missing"},
        {"subjects/2/peak_bytes", "1.5", "subjects[2].peak_bytes"},
        {"rows", NULL, "rows: is missing"},
        {"rows/3", "null", "rows[3].cells: is missing"},
        {"rows/3/suite", NULL, "rows[3].suite"},
        {"rows/3/metric", "[]", "rows[3].metric"},
        {"rows/3/unit", "null", "rows[3].unit"},
        {"rows/3/fingerprint", NULL, "rows[3].fingerprint"},
        {"rows/3/better", "\"more\"", "rows[3].better: is a string; \"higher\" or \"lower\""},
        {"rows/3/items", "-5", "rows[3].items"},
        {"rows/3/cells", "[]", "rows[3].cells: is an array; one cell for every subject"},
        {"rows/3/cells/1", "\"x\"", "rows[3].cells[1].value: is missing"},
        {"rows/3/cells/1/value", "\"nan\"", "rows[3].cells[1].value: is a string; a number or null"},
        {"rows/3/cells/1/stderr", NULL, "rows[3].cells[1].stderr"},
        {"rows/3/cells/1/ci95", NULL, "rows[3].cells[1].ci95: is missing; null or [low, high]"},
        {"rows/3/cells/1/ci95", "[1]", "rows[3].cells[1].ci95: is an array; null or [low, high]"},
        {"rows/3/cells/1/ci95", "[\"a\", \"b\"]", "rows[3].cells[1].ci95"},
        {"rows/3/cells/0/difference", "{}", "rows[3].cells[0].difference: is an object; null, for the baseline,"},
        {"rows/3/cells/1/difference", NULL, "rows[3].cells[1].difference: is missing"},
        {"rows/3/cells/1/difference", "[]", "rows[3].cells[1].difference: is an array; an object or null"},
        {"rows/3/cells/1/difference/value", NULL, "rows[3].cells[1].difference.value"},
        {"rows/3/cells/1/difference/ci95", "[1, 2, 3]", "rows[3].cells[1].difference.ci95"},
        {"rows/3/cells/1/difference/p", "\"\"", "rows[3].cells[1].difference.p"},
        {"rows/3/cells/1/difference/significant", "1", "rows[3].cells[1].difference.significant: is a whole number"},
        {"rows/3/cells/1/difference/gained", "-2", "rows[3].cells[1].difference.gained"},
        {"rows/3/cells/1/difference/lost", "0.5", "rows[3].cells[1].difference.lost"},
        {"subjects/2/id", "7", "subjects[2].id: is a whole number; a string or null"},
        {"subjects/2/run", "[]", "subjects[2].run: is an array; a string or null"},
        {"subjects/2/started", "1", "subjects[2].started: is a whole number; a string or null"},
        {"subjects/2/kerf", "\"0.1\"", "subjects[2].kerf: is a string; an object"},
        {"subjects/2/kerf", "{\"version\": 1}", "subjects[2].kerf.version: is a whole number; a string or null"},
        {"subjects/2/machine", "[]", "subjects[2].machine: is an array; an object"},
        {"subjects/2/machine", "{\"threads\": -1}", "subjects[2].machine.threads: is a whole number; one that is not"},
        {"subjects/2/source", "true", "subjects[2].source: is true; an object or null"},
        {"subjects/2/source", "{}", "subjects[2].source.tool: is missing; a string"},
        {"subjects/2/tokens_per_second", "\"9\"", "subjects[2].tokens_per_second: is a string; a number or null"},
        {"subjects/2/counters", "3", "subjects[2].counters: is a whole number; an object or null"},
        {"subjects/2/counters", "{\"cpu_seconds\": \"x\"}", "subjects[2].counters.cpu_seconds: is a string; a number"},
        {"rows/3/divergence", "1", "rows[3].divergence: is a whole number; true, false or null"},
        {"rows/3/cells/1/absent", "\"yes\"", "rows[3].cells[1].absent: is a string; true, false or null"},
        {"rows/3/cells/1/refused", "true", "rows[3].cells[1].refused: is true; a string or null"},
        {"rows/3/cells/1/reason", "{}", "rows[3].cells[1].reason: is an object; a string or null"},
        {"rows/3/cells/1/fingerprint", "12", "rows[3].cells[1].fingerprint: is a whole number; a string or null"},
        {"rows/3/cells/1/difference/p_holm", "\"0\"",
         "rows[3].cells[1].difference.p_holm: is a string; a number or null"},
        {"canaries", "{}", "canaries: is an object; an array or null"},
        {"canaries", "[3]", "canaries[0].suite: is missing"},
        {"resampling", "null", "resampling: is null; an object"},
        {"resampling/resamples", NULL, "resampling.resamples"},
        {"resampling/seed", "\"1\"", "resampling.seed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *v = golden(COMPARISON);
        edit(v, cases[i].path, cases[i].value);
        struct text out = {0};
        struct error e;
        FILE *nowhere = fopen("/dev/null", "w");
        assert_error(report_table(v, &(struct table_style){.width = 100}, &out, &e), &e, ERROR_INPUT, cases[i].words);
        assert_error(report_markdown(v, &out, &e), &e, ERROR_INPUT, cases[i].words);
        assert_error(report_leaderboard(v, nowhere, &e), &e, ERROR_INPUT, cases[i].words);
        assert_int_equal(out.length, 0);
        fclose(nowhere);
        json_decref(v);
    }
}

static void test_corrupt_runs(void **state)
{
    (void)state;
    static const struct corruption cases[] = {
        {"schema", "\"kerf-compare-1\"", "run: schema: is a string; \"kerf-run-1\" would be right"},
        {"subject", NULL, "run: subject: is missing; an object"},
        {"subject/name", "null", "subject.name: is null"},
        {"subject/weight_bytes", "-1", "subject.weight_bytes"},
        {"seconds", NULL, "run: seconds: is missing"},
        {"suites", "{}", "suites: is an object; an array"},
        {"suites/1", "[]", "suites[1].metrics: is missing"},
        {"suites/1/metrics", "7", "suites[1].metrics: is a whole number; an array"},
        {"suites/1/name", NULL, "suites[1].name"},
        {"suites/1/items", "\"500\"", "suites[1].items"},
        {"suites/1/fingerprint", NULL, "suites[1].fingerprint"},
        {"suites/0/canaries", "\"x\"", "suites[0].canaries: is a string; an array or null"},
        {"machine/threads", "\"2\"", "machine.threads: is a string"},
        {"tokens_per_second", "[]", "run: tokens_per_second: is an array; a number or null"},
        {"suites/0/metrics/1/better", "\"\"", "suites[0].metrics[1].better"},
        {"suites/0/metrics/1/ci95", "{}", "suites[0].metrics[1].ci95"},
        {"suites/0/metrics/1", "null", "suites[0].metrics[1].name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *v = golden("tests/goldens/run-small.json");
        edit(v, cases[i].path, cases[i].value);
        struct text out = {0};
        struct error e;
        assert_error(report_run_table(v, &(struct table_style){.width = 100}, &out, &e), &e, ERROR_INPUT,
                     cases[i].words);
        json_decref(v);
    }
}

static void test_not_an_object(void **state)
{
    (void)state;
    static const char *const documents[] = {"[]", "null", "7", "\"x\"", "{}"};
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        json_t *v = json_loads(documents[i], JSON_DECODE_ANY, NULL);
        struct text out = {0};
        struct error e;
        assert_error(report_table(v, &(struct table_style){.width = 100}, &out, &e), &e, ERROR_INPUT, "comparison: ");
        assert_error(report_run_table(v, &(struct table_style){.width = 100}, &out, &e), &e, ERROR_INPUT, "run: ");
        json_decref(v);
    }
    struct error e;
    assert_error(report_markdown(NULL, &(struct text){0}, &e), &e, ERROR_INPUT, "is missing; an object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_colour_only_adds),
        cmocka_unit_test(test_single_subject),
        cmocka_unit_test(test_twelve_subjects),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_corrupt_comparisons),
        cmocka_unit_test(test_corrupt_runs),
        cmocka_unit_test(test_not_an_object),
    };
    return cmocka_run_group_tests_name("reports/table", tests, NULL, NULL);
}
