#include "tests/reports/edit.h"

#include "reports/report.h"
#include <nettle/base64.h>
#include <nettle/sha2.h>

static char *page_of(const json_t *comparison, const char *folder)
{
    struct text page = {0}, notes = {0};
    struct error e;
    assert_ok(report_page(comparison, folder, &page, &notes, &e), &e);
    text_free(&notes);
    return page.bytes;
}

static size_t count(const char *page, const char *what)
{
    size_t n = 0;
    for (const char *s = page; (s = strstr(s, what)); s += strlen(what)) n++;
    return n;
}

static void assert_has(const char *page, const char *what)
{
    if (!strstr(page, what)) fail_msg("not in the page: %s", what);
}

static void test_parts(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    char *page = page_of(v, ".");
    static const char *const ids[] = {"answer-section", "board-section", "quality", "differences", "divergence",
                                      "flips",          "tokens",        "numbers", "method"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char id[64];
        snprintf(id, sizeof id, "<section id=\"%s\">", ids[i]);
        assert_int_equal(count(page, id), 1);
    }
    assert_int_equal(count(page, "<h1"), 1);
    assert_int_equal(count(page, "<tr data-clean="), json_array_size(json_object_get(v, "subjects")));
    assert_int_equal(count(page, "<section"), count(page, "</section>"));
    assert_int_equal(count(page, "<table"), count(page, "</table>"));
    assert_int_equal(count(page, "<div"), count(page, "</div>"));
    free(page);
    json_decref(v);
}

/* The same page from the same record, to the byte. */
static void test_repeats(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    char *one = page_of(v, "."), *two = page_of(v, ".");
    assert_string_equal(one, two);
    free(one);
    free(two);
    json_decref(v);
}

/* The policy lets the page's own script run and no other: its hash is that of what stands between the tags. */
static void test_policy(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    char *page = page_of(v, ".");
    const char *script = strstr(page, "<script>");
    assert_non_null(script);
    script += strlen("<script>");
    struct sha256_ctx sha;
    uint8_t hash[SHA256_DIGEST_SIZE];
    char said[128] = "script-src 'sha256-";
    sha256_init(&sha);
    sha256_update(&sha, (size_t)(strstr(script, "</script>") - script), (const uint8_t *)script);
    sha256_digest(&sha, sizeof hash, hash);
    base64_encode_raw(said + strlen(said), sizeof hash, hash);
    assert_has(page, said);
    assert_has(page, "default-src 'none'");
    assert_int_equal(count(page, "<script"), 1);
    free(page);
    json_decref(v);
}

/* Nothing is loaded: no address but those of namespaces, which are names. */
static void test_stands_alone(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    char *page = page_of(v, ".");
    assert_int_equal(count(page, "http"), count(page, "http://www.w3.org/") + count(page, "http-equiv"));
    assert_int_equal(count(page, "@import") + count(page, "url(") + count(page, " src="), 0);
    free(page);
    json_decref(v);
}

/* One subject has nothing to differ from. */
static void test_one_subject(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    resize_subjects(v, 1);
    char *page = page_of(v, ".");
    assert_has(page, "has no candidate beside it");
    assert_null(strstr(page, "id=\"differences\""));
    assert_null(strstr(page, "#quality"));
    assert_null(strstr(page, ">baseline <"));
    assert_null(strstr(page, "href=\"#flips\""));
    assert_int_equal(count(page, "<tr data-clean="), 1);
    free(page);
    json_decref(v);
}

/* The table goes from the largest to the smallest, however the candidates were given, and marks the answer. */
static void test_order(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    char *page = page_of(v, ".");
    const char *board = strstr(page, "<table id=\"board\">");
    const char *baseline = strstr(board, "@f32"), *larger = strstr(board, "@gguf:q8_0"),
               *smaller = strstr(board, "@int8:absmax"), *smallest = strstr(board, "@gguf:q4_0");
    assert_true(baseline < larger && larger < smaller && smaller < smallest);
    const char *best = strstr(board, " class=\"best\"");
    assert_true(best && larger < best && best < smaller);
    assert_int_equal(count(page, " class=\"best\""), 1);
    free(page);
    json_decref(v);
}

/* A mean may put a candidate first that loses in one suite; then the page says so. */
static void test_rank_beside_verdict(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    char *page = page_of(v, ".");
    assert_null(strstr(page, " has rank 1 although "));
    free(page);
    edit(v, "rows/2/cells/3/value", "0.9");
    page = page_of(v, ".");
    assert_has(page, "<code>@gguf:q4_0</code> has rank 1 although ");
    free(page);
    json_decref(v);
}

/* Candidates that are no smaller are no answer, but there is something to say of them. */
static void test_no_smaller(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    resize_subjects(v, 3);
    edit(v, "subjects/1/weight_bytes", "20194304");
    edit(v, "subjects/2/weight_bytes", "20194304");
    char *page = page_of(v, ".");
    assert_has(page, "2 of 2 candidates have no significant loss");
    assert_int_equal(count(page, " class=\"best\""), 0);
    free(page);
    json_decref(v);
}

/* Every column of a row is there, whatever is missing. */
static void test_cells(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    edit(v, "rows/0/cells/1/value", "null");
    edit(v, "rows/0/cells/1/difference", "null");
    edit(v, "subjects/1/bits_per_weight", "null");
    edit(v, "subjects/1/weight_bytes", "null");
    char *page = page_of(v, ".");
    const char *head = strstr(page, "<table id=\"board\">");
    const char *body = strstr(head, "<tbody>"), *end = strstr(body, "</tbody>");
    size_t columns = 0, cells = 0;
    for (const char *s = head; (s = strstr(s, "<th scope=\"col\"")) && s < body; s++) columns++;
    for (const char *s = body; (s = strstr(s, "<td")) && s < end; s++) cells++;
    const size_t rows = json_array_size(json_object_get(v, "subjects"));
    assert_int_equal(cells, rows * (columns - 1)); /* the subject's is a th */
    free(page);
    json_decref(v);
}

static void test_hostile(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    char *before = page_of(v, ".");
    edit(v, "subjects/1/name", HOSTILE);
    edit(v, "subjects/0/name", HOSTILE);
    edit(v, "subjects/0/machine", "{\"cpu\": " HOSTILE ", \"isa\": " HOSTILE ", \"threads\": 2}");
    edit(v, "subjects/1/source", "{\"tool\": " HOSTILE "}");
    edit(v, "rows/0/suite", HOSTILE);
    edit(v, "rows/0/metric", HOSTILE);
    edit(v, "rows/0/unit", HOSTILE);
    edit(v, "rows/0/fingerprint", HOSTILE);
    edit(v, "rows/0/cells/1/refused", HOSTILE);
    char *page = page_of(v, ".");
    assert_int_equal(count(page, "<script"), 1);
    assert_null(strchr(page, 27));
    assert_null(strstr(page, "\xE2\x80\xAE"));
    assert_has(page, "&#60;script&#62;");
    assert_int_equal(count(page, "<section"), count(before, "<section"));
    free(page);
    free(before);
    json_decref(v);
}

static void test_wrong_record(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    struct text page = {0}, notes = {0};
    struct error e;
    edit(v, "rows", "7");
    assert_error(report_page(v, ".", &page, &notes, &e), &e, ERROR_INPUT, "rows");
    text_free(&page);
    text_free(&notes);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_stands_alone),
        cmocka_unit_test(test_one_subject),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_rank_beside_verdict),
        cmocka_unit_test(test_no_smaller),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_wrong_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
