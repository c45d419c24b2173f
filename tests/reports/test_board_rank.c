/* Which rows of a leaderboard are ranked, against what, and how they look. */
#include "tests/reports/boards.h"

/* A comparison of one subject of so much acc in the suites of `suites`, a letter each; a digit behind a letter is part
 * of the fingerprint. */
static json_t *small(const char *name, const char *suites, double acc)
{
    json_t *v = json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:s, s:i}, s:[{s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:n, s:n, s:n,"
                          " s:n}], s:[], s:{s:n, s:n}}",
                          "schema", "kerf-compare-1", "kerf", "version", "1", "commit", "c", "machine", "cpu", "x",
                          "isa", "y", "threads", 1, "subjects", "name", name, "model", name, "backend", "f32", "math",
                          "exact", "sha256", "", "id", name, "parameters", "weight_bytes", "bits_per_weight", "seconds",
                          "peak_bytes", "rows", "resampling", "resamples", "seed");
    assert_non_null(v);
    for (const char *s = suites; *s; s++) {
        const char suite[] = {*s, 0}, fingerprint[] = {*s, s[1] >= '0' && s[1] <= '9' ? *++s : '0', 0};
        json_t *row =
            json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:[{s:f, s:f, s:[f, f], s:n}]}", "suite", suite, "metric", "acc",
                      "unit", "", "better", "higher", "items", 500, "fingerprint", fingerprint, "cells", "value", acc,
                      "stderr", 0.02, "ci95", acc - 0.04, acc + 0.04, "difference");
        json_array_append_new(json_object_get(v, "rows"), row);
    }
    return v;
}

static void add_small(struct board *b, const char *name, const char *suites, double acc)
{
    json_t *v = small(name, suites, acc);
    add(b, v);
    json_decref(v);
}

/* "b1 a2 c-": subjects in order with their ranks. */
static void assert_order(const struct board *b, const char *wanted)
{
    struct text t = {0};
    for (size_t i = 0; i < b->n_rows; i++) {
        const char *place = board_field(b, i, BOARD_RANK);
        text_printf(&t, "%s%s%s", i ? " " : "", board_field(b, i, BOARD_SUBJECT), *place ? place : "-");
        assert_int_equal(b->rows[i].unranked != NULL, !*place);
        assert_string_equal(*place ? board_field(b, 0, BOARD_RANKED_BY) : "", board_field(b, i, BOARD_RANKED_BY));
    }
    assert_string_equal(text_c(&t), wanted);
    text_free(&t);
}

static void test_who_is_ranked(void **state)
{
    (void)state;
    struct board b = {0};
    add_small(&b, "a", "xy", 0.5);
    add_small(&b, "b", "x1y", 0.9);
    add_small(&b, "c", "xyz", 0.7); /* has what most share, and more */
    add_small(&b, "d", "x", 0.8);
    add_small(&b, "e", "xy", 0.6);
    add_small(&b, "f", "", 0.6);
    rank(&b, NULL);
    assert_order(&b, "c1 e2 a3 b- d- f-");
    assert_string_equal(board_field(&b, 0, BOARD_SCORE), "140"); /* of a, the first of equal baselines */
    assert_settled(&b);
    rank(&b, "x/acc"); /* most have fingerprint x0 */
    assert_order(&b, "d1 c2 e3 a4 b- f-");
    assert_string_equal(board_field(&b, 0, BOARD_SCORE), "0.8");
    assert_string_equal(board_field(&b, 0, BOARD_SCORE_LOW), "0.76");
    assert_settled(&b); /* by what it was ranked before */
    rank(&b, "score");
    assert_order(&b, "c1 e2 a3 d- b- f-");
    struct error e;
    assert_error(board_rank(&b, "x/ac", &e), &e, ERROR_USAGE, "--by x/ac: is no metric of this leaderboard, did you");
    assert_error(board_rank(&b, "rank", &e), &e, ERROR_USAGE, "--by rank: is no metric");
    assert_error(board_rank(&b, "x/items", &e), &e, ERROR_USAGE, "--by x/items: is no metric");
    board_free(&b);
}

/* Of two groups of one row the one of more suites; of equal ones the earliest, also after sorting. */
static void test_equal_groups(void **state)
{
    (void)state;
    struct board b = {0};
    add_small(&b, "a", "x", 0.5);
    add_small(&b, "b", "xy", 0.6);
    rank(&b, NULL);
    assert_order(&b, "b1 a-");
    assert_settled(&b);
    add_small(&b, "c", "yz", 0.6);
    rank(&b, NULL);
    assert_order(&b, "b1 a- c-");
    assert_settled(&b);
    board_free(&b);
}

/* The reference is the baseline of most rows, wherever it stands. */
static void test_reference(void **state)
{
    (void)state;
    struct board b = board_of(comparison());
    assert_string_equal(field(&b, row_of(&b, "millbrook-llama@f32"), "score"), "100");
    assert_settled(&b);
    json_t *v = comparison();
    for (size_t j = 0; j < 4; j++) { /* measured elsewhere, later, and compared with another baseline */
        char path[64];
        snprintf(path, sizeof path, "subjects/%zu/machine", j);
        edit(v, path, "{\"cpu\": \"other\", \"isa\": \"c\"}");
        snprintf(path, sizeof path, "subjects/%zu/started", j);
        edit(v, path, "\"2026-11-25\"");
    }
    add(&b, v);
    rank(&b, NULL);
    assert_int_equal(b.n_rows, 8);
    assert_string_equal(field(&b, row_of(&b, "millbrook-llama@f32"), "score"), "100");
    assert_settled(&b);
    json_decref(v);
    board_free(&b);
}

static void test_table(void **state)
{
    (void)state;
    json_t *v = comparison();
    edit(v, "subjects/2/source", "{\"tool\": \"llama-bench b1\"}");
    struct board b = board_of(v);
    for (int width = 20; width < 160; width += 20) {
        struct text t = {0};
        struct error e;
        assert_ok(board_table(&b, &(struct table_style){.width = width}, &t, &e), &e);
        assert_non_null(strstr(t.bytes, "rank"));
        assert_non_null(strstr(t.bytes, "ranked by score"));
        if (width >= 100) assert_non_null(strstr(t.bytes, "  millbrook-llama@gguf:q8_0 (llama-bench b1)\n"));
        assert_harmless(t.bytes);
        text_free(&t);
    }
    board_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_ranked),
        cmocka_unit_test(test_equal_groups),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests_name("reports/board_rank", tests, NULL, NULL);
}
