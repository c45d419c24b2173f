/* junit.xml against its golden file, and well formed for any input. */
#include "reports/report.h"
#include "tests/reports/edit.h"

#include <ctype.h>

static char *junit_of(const json_t *comparison)
{
    struct text out = {0};
    struct error e;
    assert_ok(report_junit(comparison, &out, &e), &e);
    return out.bytes;
}

static bool contains(const char *text, const char *part)
{
    if (strstr(text, part)) return true;
    print_error("no %s in:\n%s\n", part, text);
    return false;
}

static size_t occurrences(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *s = text; (s = strstr(s, part)); s += strlen(part)) n++;
    return n;
}

/* --- XML 1.0, as far as this file uses it: elements, attributes in double quotes, numeric references --- */

static void check_text(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const size_t size = utf8_decode(s + i, n - i, &c);
        /* production [2] Char */
        const bool is_char = size && (c == 0x9 || c == 0xA || c == 0xD || (c >= 0x20 && (c & 0xFFFE) != 0xFFFE));
        if (!is_char || c == '<') fail_msg("byte %zu of \"%.*s\" is not allowed", i, (int)n, s);
        if (c == '&') {
            const size_t digits = strspn(s + i + 2, "0123456789");
            if (s[i + 1] != '#' || !digits || s[i + 2 + digits] != ';') fail_msg("no reference: %.12s", s + i);
        }
        i += size;
    }
}

/* What stands between the name and the end of a tag. */
static void check_attributes(const char *s, size_t n)
{
    while (n) {
        const size_t name = strspn(s + 1, "abcdefghijklmnopqrstuvwxyz");
        if (*s != ' ' || !name || strncmp(s + 1 + name, "=\"", 2)) fail_msg("no attribute: %.*s", (int)n, s);
        const char *value = s + name + 3, *end = strchr(value, '"');
        assert_true(end && end < s + n);
        check_text(value, (size_t)(end - value));
        n -= (size_t)(end + 1 - s);
        s = end + 1;
    }
}

static const char *tag_end(const char *s)
{
    bool quoted = false;
    while (*s && (quoted || *s != '>')) quoted ^= *s++ == '"';
    assert_true(*s == '>');
    return s;
}

static void assert_xml(const char *s)
{
    static const char head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    char open[8][32];
    size_t depth = 0, roots = 0;
    assert_true(strncmp(s, head, strlen(head)) == 0);
    for (s += strlen(head); *s;) {
        const size_t text = strcspn(s, "<");
        check_text(s, text);
        if (!*(s += text)) break;
        const char *name = s + 1 + (s[1] == '/'), *end = tag_end(s);
        const size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz-");
        assert_true(n && n < sizeof *open);
        if (s[1] == '/') {
            assert_true(depth > 0 && strlen(open[depth - 1]) == n && strncmp(open[--depth], name, n) == 0);
        } else {
            const bool empty = end[-1] == '/';
            roots += depth == 0;
            assert_true(depth < 8);
            check_attributes(name + n, (size_t)(end - empty - name) - n);
            snprintf(open[depth], sizeof *open, "%.*s", (int)n, name);
            depth += !empty;
        }
        s = end + 1;
    }
    assert_true(depth == 0 && roots == 1);
}

/* --- tests --- */

static void test_golden(void **state)
{
    json_t *comparison = golden(COMPARISON);
    char *xml = junit_of(comparison);
    assert_xml(xml);
    assert_golden_text("tests/goldens/report-junit.xml", xml);
    free(xml);
    json_decref(comparison);
}

/* The numbers on the suites are those of their cases. */
static void test_counts(void **state)
{
    json_t *comparison = golden(COMPARISON);
    edit(comparison, "rows/2/cells/3/absent", "true");
    edit(comparison, "subjects/1/seconds", "null"); /* another tool does not say */
    char *xml = junit_of(comparison);
    const size_t rows = json_array_size(json_object_get(comparison, "rows"));
    char whole[128];
    snprintf(whole, sizeof whole,
             "<testsuites name=\"kerf\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" time=\"79.950\">", 3 * rows,
             occurrences(xml, "<failure "));
    assert_true(contains(xml, whole));
    assert_int_equal(occurrences(xml, "<testcase "), 3 * rows);
    assert_int_equal(occurrences(xml, "<testsuite "), 3);
    const char *last = strstr(xml, "<testsuite name=\"millbrook-llama@gguf:q4_0\"");
    assert_non_null(last);
    char counts[96];
    snprintf(counts, sizeof counts, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" time=\"39.900\"",
             rows, occurrences(last, "<failure "), occurrences(last, "<skipped "));
    assert_true(contains(last, counts));
    assert_true(occurrences(last, "<failure ") > 0 && occurrences(last, "<skipped ") > 0);
    free(xml);
    json_decref(comparison);
}

/* p after the adjustment for several candidates is the one that decided. */
static void test_failure(void **state)
{
    json_t *comparison = golden(COMPARISON);
    edit(comparison, "rows/0/cells/3/difference/p_holm", "0.0006");
    char *xml = junit_of(comparison);
    static const char figures[] = "perplexity 2.5520, +0.0412 [+0.0371, +0.0455] to the baseline, p = 0.0006";
    char element[256];
    snprintf(element, sizeof element, "<failure type=\"worse\" message=\"%s\">%s</failure>", figures, figures);
    assert_true(contains(xml, element));
    free(xml);
    json_decref(comparison);
}

/* What is not defined any more is lost; what neither has, or who is no loser, is not. */
static void test_undefined(void **state)
{
    static const char mcc[] = "name=\"mcc\">\n   <failure type=\"worse\" message=\"mcc is not defined, the "
                              "baseline&#39;s is: every prediction is of one class\">";
    json_t *comparison = golden(COMPARISON);
    char *xml = junit_of(comparison);
    assert_true(contains(xml, mcc));
    free(xml);
    edit(comparison, "rows/6/cells/0/value", "null");
    xml = junit_of(comparison);
    assert_true(contains(xml, "name=\"mcc\">\n   <skipped message=\"every prediction is of one class\"/>"));
    free(xml);
    json_decref(comparison);
}

static void test_skipped(void **state)
{
    static const struct {
        const char *path, *value, *words;
    } cases[] = {
        {"rows/2/cells/1/refused", "\"protocol.context: 512, 256\"",
         "not comparable with the baseline: protocol.context: 512, 256"},
        {"rows/2/cells/1/absent", "true", "not measured"},
        {"rows/2/cells/1/value", "null", "not a finite number"},
        {"rows/2/cells/1/difference", "null", "not compared with the baseline"},
        {"subjects/1/source", "{\"tool\": \"lm-evaluation-harness 0.4.9\"}", "measured by lm-evaluation-harness 0.4.9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *comparison = golden(COMPARISON);
        edit(comparison, cases[i].path, cases[i].value);
        char *xml = junit_of(comparison), element[160];
        snprintf(element, sizeof element, "name=\"acc\">\n   <skipped message=\"%s\"/>\n  </testcase>", cases[i].words);
        assert_xml(xml);
        assert_true(contains(xml, element));
        free(xml);
        json_decref(comparison);
    }
}

/* Nothing of another tool's run asserts anything. */
static void test_foreign(void **state)
{
    json_t *comparison = golden(COMPARISON);
    edit(comparison, "subjects/3/source", "{\"tool\": \"llama-bench\"}");
    edit(comparison, "rows/2/cells/3/absent", "true");
    resize_subjects(comparison, 4);
    char *xml = junit_of(comparison);
    const size_t rows = json_array_size(json_object_get(comparison, "rows"));
    assert_int_equal(occurrences(xml, "<skipped message=\"measured by llama-bench\"/>"), rows - 1);
    assert_int_equal(occurrences(xml, "<skipped message=\"not measured\"/>"), 1);
    assert_int_equal(occurrences(xml, "<failure "), 0);
    free(xml);
    json_decref(comparison);
}

static void test_run_alone(void **state)
{
    json_t *comparison = golden(COMPARISON);
    resize_subjects(comparison, 1);
    char *xml = junit_of(comparison);
    assert_xml(xml);
    assert_int_equal(occurrences(xml, "<testsuite "), 1);
    assert_int_equal(occurrences(xml, "<failure ") + occurrences(xml, "<skipped "), 0);
    assert_true(contains(xml, "<system-out>acc 0.510 [0.466, 0.554]</system-out>"));
    free(xml);
    json_decref(comparison);
}

static void test_canaries(void **state)
{
    json_t *comparison = golden(COMPARISON);
    edit(comparison, "canaries",
         "[{\"suite\": \"endings\", \"subject\": 1, \"name\": \"constant\", \"reason\": \"one choice & no other\"},"
         " {\"suite\": \"lastword\", \"subject\": 0, \"name\": \"cut\", \"reason\": \"3 prompts were cut\"}]");
    char *xml = junit_of(comparison);
    assert_xml(xml);
    assert_int_equal(occurrences(xml, "\n! one choice &#38; no other</system-out>"), 1);
    assert_int_equal(occurrences(xml, "! baseline: 3 prompts were cut</system-out>"), 3);
    free(xml);
    json_decref(comparison);
}

/* A suite's are told in its first row alone, and no more than a few of them, of the subject and of the baseline. */
static void test_many_canaries(void **state)
{
    enum { MANY = 2000 };
    json_t *comparison = golden(COMPARISON), *list = json_array();
    for (int i = 0; i < MANY; i++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:s}", "suite", "endings", "subject", i % 2, "name",
                                              "constant", "reason", "one choice"));
    json_object_set_new(comparison, "canaries", list);
    char *xml = junit_of(comparison);
    assert_xml(xml);
    assert_int_equal(occurrences(xml, "! one choice"), 8);
    assert_int_equal(occurrences(xml, "! baseline: one choice"), 3 * 8);
    assert_int_equal(occurrences(xml, "! and more: compare.json has all"), 1 + 3);
    free(xml);
    json_decref(comparison);
}

static void test_hostile(void **state)
{
    static const char *const paths[] = {"subjects/0/name", "subjects/3/name", "subjects/3/backend", "subjects/3/sha256",
                                        "rows/0/suite",    "rows/0/metric",   "machine/cpu",        "rows/1/suite"};
    static const char hostile[] = "\"]]><!--\\u001b[31m<script>\\u202e\\n'\\uFFFE\\uFFFF\\uFFFD&amp;\\u0001%s\"";
    json_t *comparison = golden(COMPARISON);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) edit(comparison, paths[i], hostile);
    edit(comparison, "rows/2/cells/1/refused", "\"<skipped/>\\uFFFF\"");
    edit(comparison, "subjects/3/started", "\"\\\"><x>\"");
    edit(comparison, "subjects/3/seconds", "1e300");
    edit(comparison, "canaries",
         "[{\"suite\": \"endings\", \"subject\": 1, \"name\": \"x\", \"reason\": \"]]></system-out>\"}]");
    char *xml = junit_of(comparison);
    assert_xml(xml);
    assert_harmless(xml);
    free(xml);
    json_decref(comparison);
}

static void test_broken(void **state)
{
    json_t *comparison = golden(COMPARISON);
    struct text out = {0};
    struct error e;
    edit(comparison, "rows/0/metric", "7");
    assert_error(report_junit(comparison, &out, &e), &e, ERROR_INPUT, "rows[0].metric");
    text_free(&out);
    json_decref(comparison);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),    cmocka_unit_test(test_counts),   cmocka_unit_test(test_failure),
        cmocka_unit_test(test_undefined), cmocka_unit_test(test_skipped),  cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_run_alone), cmocka_unit_test(test_canaries), cmocka_unit_test(test_many_canaries),
        cmocka_unit_test(test_hostile),   cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
