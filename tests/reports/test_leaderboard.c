#include "tests/reports/edit.h"

#include "reports/report.h"
#include <csv.h>
#include <math.h>

enum { LINES = 16, FIELDS = 192 };

struct sheet {
    char *fields[LINES][FIELDS];
    size_t lines, columns[LINES];
};

static void take_field(void *field, size_t n, void *data)
{
    struct sheet *s = data;
    assert_true(s->lines < LINES && s->columns[s->lines] < FIELDS);
    s->fields[s->lines][s->columns[s->lines]++] = strndup(field ? field : "", n);
}

static void take_line(int c, void *data)
{
    (void)c;
    ((struct sheet *)data)->lines++;
}

static char *leaderboard_of(json_t *document)
{
    char *bytes = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&bytes, &n);
    struct error e;
    assert_ok(report_leaderboard(document, f, &e), &e);
    fclose(f);
    return bytes;
}

static struct sheet *read_back(const char *csv)
{
    static struct sheet s;
    memset(&s, 0, sizeof s);
    struct csv_parser p;
    assert_int_equal(csv_init(&p, CSV_STRICT | CSV_STRICT_FINI), 0);
    assert_int_equal(csv_parse(&p, csv, strlen(csv), take_field, take_line, &s), strlen(csv));
    assert_int_equal(csv_fini(&p, take_field, take_line, &s), 0);
    csv_free(&p);
    for (size_t i = 0; i < s.lines; i++) assert_int_equal(s.columns[i], s.columns[0]);
    return &s;
}

static void sheet_free(struct sheet *s)
{
    for (size_t i = 0; i < s->lines; i++)
        for (size_t j = 0; j < s->columns[i]; j++) free(s->fields[i][j]);
}

static size_t column_of(const struct sheet *s, const char *column)
{
    for (size_t j = 0; j < s->columns[0]; j++)
        if (strcmp(s->fields[0][j], column) == 0) return j;
    fail_msg("no column %s", column);
    return 0;
}

/* Of the subject at this place in the comparison: rows are ranked. */
static const char *field(const struct sheet *s, size_t subject, const char *column)
{
    static const char *const backends[] = {"f32", "int8:absmax", "gguf:q8_0", "gguf:q4_0"};
    const size_t j = column_of(s, column), backend = column_of(s, "backend");
    for (size_t i = 1; i < s->lines; i++)
        if (strcmp(s->fields[i][backend], backends[subject]) == 0) return s->fields[i][j];
    fail_msg("no row of %s", backends[subject]);
    return NULL;
}

static void test_golden(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    char *csv = leaderboard_of(v);
    assert_golden_text("tests/goldens/report-leaderboard.csv", csv);
    free(csv);
    json_decref(v);
}

/* An empty field where the JSON says null, else the same number to nine digits. */
static void assert_number(const char *text, const json_t *v)
{
    if (json_is_null(v)) {
        assert_string_equal(text, "");
        return;
    }
    char *end;
    const double wanted = json_number_value(v), found = strtod(text, &end);
    assert_true(*text && !*end);
    assert_true(fabs(found - wanted) <= 5e-9 * fabs(wanted));
}

static void test_every_number_comes_back(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON), *row;
    char *csv = leaderboard_of(v);
    struct sheet *s = read_back(csv);
    assert_int_equal(s->lines, 5);
    size_t i, checked = 0;
    json_array_foreach(json_object_get(v, "rows"), i, row)
    {
        for (size_t j = 0; j < 4; j++) {
            const json_t *cell = json_array_get(json_object_get(row, "cells"), j);
            const json_t *difference = json_object_get(cell, "difference");
            char name[128];
            const int n = snprintf(name, sizeof name, "%s/%s", json_string_value(json_object_get(row, "suite")),
                                   json_string_value(json_object_get(row, "metric")));
            assert_number(field(s, j, name), json_object_get(cell, "value"));
            snprintf(name + n, sizeof name - (size_t)n, "/stderr");
            assert_number(field(s, j, name), json_object_get(cell, "stderr"));
            snprintf(name + n, sizeof name - (size_t)n, "/difference");
            assert_number(field(s, j, name), j ? json_object_get(difference, "value") : difference);
            snprintf(name + n, sizeof name - (size_t)n, "/p");
            assert_number(field(s, j, name), j ? json_object_get(difference, "p") : difference);
            snprintf(name + n, sizeof name - (size_t)n, "/difference_stderr");
            assert_number(field(s, j, name), j ? json_object_get(difference, "stderr") : difference);
            snprintf(name + n, sizeof name - (size_t)n, "/gained");
            assert_number(field(s, j, name), j ? json_object_get(difference, "gained") : difference);
            checked++;
        }
    }
    assert_int_equal(checked, 28);
    assert_string_equal(field(s, 0, "score"), "100");
    assert_string_equal(field(s, 3, "rank"), "4");
    assert_string_equal(field(s, 3, "ranked_by"), "score");
    assert_string_equal(field(s, 3, "endings/acc/better"), "higher");
    assert_string_equal(field(s, 2, "translation/bleu/difference_low"), "0.01");
    assert_string_equal(field(s, 2, "translation/bleu/difference_high"), "0.24");
    assert_string_equal(field(s, 3, "peak_bytes"), "");
    assert_string_equal(field(s, 3, "kerf_commit"), "0123456789ab");
    sheet_free(s);
    free(csv);
    json_decref(v);
}

static void test_large_counts_are_whole(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    edit(v, "subjects/1/weight_bytes", "140737488355329");
    edit(v, "subjects/1/parameters", "9223372036854775807");
    char *csv = leaderboard_of(v);
    struct sheet *s = read_back(csv);
    assert_string_equal(field(s, 1, "weight_bytes"), "140737488355329");
    assert_string_equal(field(s, 1, "parameters"), "9223372036854775807");
    sheet_free(s);
    free(csv);
    json_decref(v);
}

static void test_hostile_names(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    edit(v, "subjects/0/name", HOSTILE);
    edit(v, "subjects/1/name", "\"a,\\\"b\\\"\\r\\nc\"");
    edit(v, "subjects/2/name", "\"-1+1\"");
    edit(v, "subjects/3/name", "\"  padded  \"");
    edit(v, "subjects/1/model", "\"\\t=1\"");
    edit(v, "machine/cpu", "\"@SUM(1)\"");
    edit(v, "rows/0/suite", "\"=evil\"");
    char *csv = leaderboard_of(v);
    struct sheet *s = read_back(csv);
    assert_string_equal(field(s, 0, "subject"), "'=cmd()|\033[31m<script>`x`\xE2\x80\xAE[a](b)\n&\\");
    assert_string_equal(field(s, 1, "subject"), "a,\"b\"\r\nc");
    assert_string_equal(field(s, 2, "subject"), "'-1+1");
    assert_string_equal(field(s, 3, "subject"), "  padded  ");
    assert_string_equal(field(s, 1, "model"), "'\t=1");
    assert_string_equal(field(s, 0, "cpu"), "'@SUM(1)");
    assert_string_equal(field(s, 0, "'=evil/perplexity"), "2.5108");
    /* a number stays a number, whatever it starts with */
    assert_string_equal(field(s, 1, "translation/bleu/difference"), "-0.02");
    sheet_free(s);
    free(csv);
    json_decref(v);
}

static void test_full_disk(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    struct error e;
    assert_error(report_leaderboard(v, full, &e), &e, ERROR_IO, "leaderboard: writing: ");
    fclose(full);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_every_number_comes_back),
        cmocka_unit_test(test_large_counts_are_whole),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests_name("reports/leaderboard", tests, NULL, NULL);
}
