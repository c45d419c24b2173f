/* Profiles on the page: what is shown of them, what is said where there is nothing, and strangers' texts. */
#include "tests/reports/drawings.h"
#include "tests/reports/profile.h"

#include "reports/report.h"

static char *page_of(const json_t *comparison)
{
    struct text page = {0}, notes = {0};
    struct error e;
    assert_ok(report_page(comparison, ".", &page, &notes, &e), &e);
    text_free(&notes);
    return page.bytes;
}

static size_t count(const char *page, const char *what)
{
    size_t n = 0;
    for (const char *s = page; (s = strstr(s, what)); s += strlen(what)) n++;
    return n;
}

/* The profile's part of a page; to be freed. */
static char *section_of(const char *page)
{
    const char *from = strstr(page, "<section id=\"profile\">"), *to = from ? strstr(from, "</section>") : NULL;
    if (!to) fail_msg("no profile in the page");
    return strndup(from, (size_t)(to - from));
}

static void assert_part(const char *page, const char *what)
{
    if (!strstr(page, what)) fail_msg("not in the page: %s", what);
}

static void test_parts(void **state)
{
    need_gnuplot();
    json_t *v = profiled_comparison();
    char *page = page_of(v), *again = page_of(v), *section = section_of(page);
    assert_string_equal(page, again);
    assert_int_equal(count(page, "<section id=\"profile\">"), 1);
    assert_int_equal(count(page, "<a href=\"#profile\">"), 1);
    assert_int_equal(count(section, "<figure"), 1 + 2 + 4); /* phases; a roofline, prefill and decode each */
    assert_int_equal(count(section, "<details>"), 2);
    assert_int_equal(count(section, "<table"), 2 + 4);
    static const char *const pairs[][2] = {
        {"<div", "</div>"}, {"<table", "</table>"}, {"<td", "</td>"}, {"<th ", "</th>"}, {"<details", "</details>"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_int_equal(count(section, pairs[i][0]), count(section, pairs[i][1]));
    assert_part(section, "can be opened in index.html; they are not printed");
    free(section);
    free(again);
    free(page);
    json_decref(v);
}

/* Nothing of it where there is none, and a null is none. */
static void test_no_profile(void **state)
{
    json_t *v = golden(COMPARISON);
    char *plain = page_of(v);
    assert_null(strstr(plain, "id=\"profile\""));
    assert_null(strstr(plain, "#profile"));
    for (size_t j = 0; j < 4; j++) {
        char path[64];
        snprintf(path, sizeof path, "subjects/%zu/profile", j);
        edit(v, path, "null");
    }
    char *page = page_of(v);
    assert_string_equal(page, plain);
    free(page);
    free(plain);
    json_decref(v);
}

static void test_numbers(void **state)
{
    json_t *v = profiled_comparison();
    char *page = page_of(v), *section = section_of(page);
    assert_part(section, "<tr><th scope=\"row\">prefill</th><td>4.200 <span class=\"diff\">59.4%</span></td>"
                         "<td>2.520 <span class=\"diff\">54.1%</span></td></tr>");
    assert_part(section, "<td><b>7.070</b></td><td><b>4.660</b></td>");
    /* tokens, task clock, bytes, instructions; a dash where nothing was counted */
    assert_part(section, "<td>9944</td><td>1.27</td><td>8.21 M</td><td>9.19 M</td>");
    assert_part(section, "<td>9944</td><td>0.764</td><td>1.24 M</td><td>–</td><td>–</td>");
    assert_part(section, "prefill <b>gate and up</b></th><td>f32</td><td>1408x512, 1408x512</td><td>6</td><td>450</td>"
                         "<td>1.512</td><td>21.4%</td><td>60</td><td>103</td><td>1.72</td><td>57% of fma-512</td>");
    assert_part(section, "\">~</span>44 M</td>"); /* scaled L3 misses */
    assert_part(section, "<td>73.3 G</td>");      /* instructions that were all seen */
    assert_part(section, "0.42% of it</span></summary>");
    assert_int_equal(count(section, ">Instructions</th>"), 1 + 2); /* not in the other subject's tables */
    assert_int_equal(count(section, ">Bytes read</th>"), 1);       /* with keys and values: not of weights alone */
    free(section);
    free(page);
    json_decref(v);
}

/* What is not counted is told once, by reason, and of whom. */
static void test_absent_counters(void **state)
{
    json_t *v = profiled_comparison();
    char *page = page_of(v), *section = section_of(page);
    assert_part(section,
                "No hardware counters for <code>@int8:absmax</code>: this machine has no performance counters");
    assert_int_equal(count(section, "Counters that are not there"), 2);
    assert_int_equal(count(section, "this machine has no performance counters"), 1 + 1);
    assert_part(section, "<li><code>cycles</code>, <code>instructions</code>, ");
    free(section);
    free(page);
    const char *note = "\"no counters here\"";
    edit(v, "subjects/0/profile/note", note);
    edit(v, "subjects/1/profile/note", note);
    edit(v, "subjects/1/profile/roofline", "null");
    edit(v, "subjects/1/profile/roofline_reason", "\"the machine was not measured\"");
    edit(v, "subjects/1/profile/resumed", "true");
    edit(v, "subjects/1/profile/beside", "0.25");
    page = page_of(v);
    section = section_of(page);
    assert_int_equal(count(section, "No hardware counters: no counters here."), 1);
    assert_part(section, "No roofs for <code>@int8:absmax</code>: the machine was not measured.");
    assert_part(section, "<code>@int8:absmax</code> was resumed");
    assert_part(section, "0.25 s of <code>@int8:absmax</code>");
    free(section);
    free(page);
    json_decref(v);
}

static void test_absent_fields(void **state)
{
    json_t *v = profiled_comparison();
    edit(v, "subjects/0/profile/per_token",
         "{\"instructions\": null, \"l1d_misses\": null, \"l2_misses\": null, "
         "\"l3_misses\": null, \"energy_joules\": null, \"task_clock_seconds\": null, "
         "\"bytes\": null}");
    json_t *subjects = json_object_get(v, "subjects");
    json_object_set(json_object_get(json_array_get(subjects, 1), "profile"), "per_token",
                    json_object_get(json_object_get(json_array_get(subjects, 0), "profile"), "per_token"));
    edit(v, "subjects/0/profile/groups/0/limit", "null");
    edit(v, "subjects/0/profile/groups/0/flop_per_byte", "null");
    edit(v, "subjects/0/profile/groups/0/gflop_per_second", "null");
    edit(v, "subjects/0/profile/groups/0/gb_per_second", "null");
    edit(v, "subjects/0/profile/groups/0/values", "{}");
    edit(v, "subjects/1/profile/groups", "[]");
    edit(v, "subjects/1/profile/layers", "[]");
    char *page = page_of(v), *section = section_of(page);
    assert_null(strstr(section, "Cost of a token"));
    assert_part(section, "<td>10.1%</td><td>–</td><td>–</td><td>–</td><td>–</td><td>–</td><td>–</td>");
    assert_int_equal(count(section, "<caption>Kernels"), 1);
    assert_int_equal(count(section, "<details>"), 2);
    free(section);
    free(page);
    json_decref(v);
}

/* Every row has as many cells as its table's head. */
static void test_cells(void **state)
{
    json_t *v = profiled_comparison();
    char *page = page_of(v), *section = section_of(page);
    size_t rows = 0;
    for (char *table = section; (table = strstr(table, "<table")); table++) {
        char *end = strstr(table, "</table>"), *body = strstr(table, "<tbody>");
        size_t columns = 0;
        for (char *s = table; (s = strstr(s, "<th scope=\"col\"")) && s < body; s++) columns++;
        for (char *row = body; (row = strstr(row, "<tr")) && row < end; row++, rows++) {
            char *close = strstr(row, "</tr>");
            size_t cells = 0;
            for (char *s = row; s < close; s++) cells += strncmp(s, "<td", 3) == 0 || strncmp(s, "<th ", 4) == 0;
            assert_int_equal(cells, columns);
        }
    }
    assert_true(rows > 60);
    free(section);
    free(page);
    json_decref(v);
}

static void test_hostile(void **state)
{
    static const char *const places[] = {
        "groups/0/part",         "groups/0/weights",     "groups/0/shape",  "groups/1/phase",
        "groups/0/limit/name",   "groups/0/limit/unit",  "phases/4/phase",  "note",
        "counters/0/name",       "counters/0/reason",    "counters/0/what", "layers/0/phase",
        "roofline/peaks/0/name", "roofline/peaks/0/unit"};
    json_t *v = profiled_comparison();
    char *before = page_of(v);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[128];
        snprintf(path, sizeof path, "subjects/1/profile/%s", places[i]);
        edit(v, path, HOSTILE);
    }
    edit(v, "subjects/0/profile/roofline", "null");
    edit(v, "subjects/0/profile/roofline_reason", HOSTILE);
    edit(v, "subjects/1/name", HOSTILE);
    char *page = page_of(v), *section = section_of(page);
    assert_int_equal(count(page, "<script"), 1);
    assert_harmless(section);
    assert_true(count(section, "&#60;script&#62;") >= 10);
    assert_int_equal(count(page, "<section"), count(before, "<section"));
    assert_int_equal(count(page, "<table"), count(page, "</table>"));
    free(section);
    free(page);
    free(before);
    json_decref(v);
}

/* Tables stay, and why there are no charts is said where they would be and in the notes. */
static void test_no_gnuplot(void **state)
{
    json_t *v = profiled_comparison();
    struct text page = {0}, notes = {0};
    struct error e;
    put_gnuplot(NULL);
    assert_ok(report_page(v, ".", &page, &notes, &e), &e);
    char *section = section_of(text_c(&page));
    assert_int_equal(count(section, "<figure"), 0);
    assert_int_equal(count(section, "Charts are missing here: gnuplot: cannot be started"), 1);
    assert_int_equal(count(section, "<table"), 2 + 4);
    assert_null(strstr(section, "<h3>Kernels under the roofline"));
    assert_part(text_c(&notes), "index.html lacks charts: gnuplot");
    free(section);
    text_free(&page);
    text_free(&notes);
    json_decref(v);
}

/* A run alone has its profile, too: with a roofline, though nothing to compare phases of others with. */
static void test_one_subject(void **state)
{
    need_gnuplot();
    json_t *v = profiled_comparison();
    resize_subjects(v, 1);
    char *page = page_of(v), *section = section_of(page);
    assert_int_equal(count(section, "<figure"), 1 + 1 + 2);
    assert_int_equal(count(section, "<details>"), 1);
    free(section);
    free(page);
    json_decref(v);
}

static void test_wrong_record(void **state)
{
    json_t *v = profiled_comparison();
    struct text page = {0}, notes = {0};
    struct error e;
    edit(v, "subjects/1/profile/groups", "7");
    assert_error(report_page(v, ".", &page, &notes, &e), &e, ERROR_INPUT, "groups");
    text_free(&page);
    text_free(&notes);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),         cmocka_unit_test(test_no_profile),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_absent_counters),
        cmocka_unit_test(test_absent_fields), cmocka_unit_test(test_cells),
        cmocka_unit_test(test_hostile),       cmocka_unit_test_teardown(test_no_gnuplot, restore),
        cmocka_unit_test(test_one_subject),   cmocka_unit_test(test_wrong_record),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
