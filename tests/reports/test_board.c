/* The leaderboard's file: what is read, refused, kept and replaced. */
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "reports/board/columns.h"
#include "tests/reports/boards.h"

#include <sys/stat.h>
#include <unistd.h>

/* What text reads as, and is written as again. */
static struct board read_text(const char *text, size_t n)
{
    char *folder = folder_temporary(), *path = file_put(folder, "board.csv", text, n);
    struct board b;
    struct error e;
    assert_ok(board_read(&b, path, &e), &e);
    free(path);
    folder_remove(folder);
    return b;
}

static void assert_refused(const char *text, size_t n, const char *words)
{
    char *folder = folder_temporary(), *path = file_put(folder, "board.csv", text, n);
    struct board b;
    struct error e;
    assert_error(board_read(&b, path, &e), &e, ERROR_INPUT, words);
    assert_non_null(strstr(e.text, path));
    assert_null(strchr(e.text, '\n'));
    board_free(&b);
    free(path);
    folder_remove(folder);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const names[] = {"=1+1", "'=1",  "''=1", "'",    "''",     "'x", "-5",      "-5 ",
                                        " =1",  "' =1", "\t",   "\r\n", "a\r\nb", "\"", "\"\",\"", "\n\n",
                                        "@x",   ",",    " ",    "+0",   "1e9",    "-",  "'-5",     "\xC3\xA9"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *v = comparison();
        json_object_set_new(json_array_get(json_object_get(v, "subjects"), 1), "name", json_string(names[i]));
        json_object_set_new(json_array_get(json_object_get(v, "subjects"), 1), "model", json_string(names[i]));
        json_object_set_new(json_array_get(json_object_get(v, "rows"), 0), "suite", json_string(names[i]));
        struct board b = board_of(v);
        char *first = written(&b);
        struct board back = read_text(first, strlen(first));
        char *second = written(&back);
        assert_string_equal(first, second);
        assert_string_equal(board_field(&back, row_of(&back, names[i]), BOARD_MODEL), names[i]);
        rank(&back, NULL);
        char *third = written(&back);
        assert_string_equal(first, third);
        free(first);
        free(second);
        free(third);
        board_free(&b);
        board_free(&back);
    }
}

/* Names of parts never run into each other. */
static void test_names_of_columns(void **state)
{
    (void)state;
    json_t *v = comparison();
    edit(v, "rows/0/suite", "\"a/b\"");
    edit(v, "rows/0/metric", "\"c\"");
    edit(v, "rows/1/suite", "\"a\"");
    edit(v, "rows/1/metric", "\"b/c%\"");
    edit(v, "rows/2/suite", "\"counters\"");
    edit(v, "rows/2/metric", "\"fingerprint\"");
    edit(v, "subjects/0/counters", "{\"cpu_seconds\": 1.5, \"cycles\": 12, \"none\": null, \"items\": 0.5}");
    struct board b = board_of(v);
    const size_t base = row_of(&b, "millbrook-llama@f32");
    assert_string_equal(field(&b, base, "a%2Fb/c"), "2.5108");
    assert_string_equal(field(&b, base, "a/b%2Fc%25"), "0.4225");
    assert_string_equal(field(&b, base, "%63ounters/%66ingerprint"), "0.51");
    assert_string_equal(field(&b, base, "counters/cycles"), "12");
    assert_string_equal(field(&b, base, "counters/%69tems"), "0.5");
    assert_string_equal(field(&b, base, "cpu_seconds"), "1.5");
    char *text = written(&b);
    struct board back = read_text(text, strlen(text));
    board_free(&back);
    board_free(&b);
    free(text);
}

static void test_nothing_is_an_empty_board(void **state)
{
    (void)state;
    struct board b;
    struct error e;
    assert_ok(board_read(&b, "/nowhere/board.csv", &e), &e);
    assert_int_equal(b.n_rows + b.n_columns, 0);
    rank(&b, NULL);
    char *text = written(&b);
    assert_string_equal(text, "");
    free(text);
    board_free(&b);
    b = read_text("", 0);
    assert_int_equal(b.n_rows + b.n_columns, 0);
    board_free(&b);
    b = read_text("\n\r\n", 3);
    assert_int_equal(b.n_rows + b.n_columns, 0);
    board_free(&b);
}

/* The text of a board with one part of it replaced. */
static char *changed(const char *text, const char *part, const char *by, size_t *n)
{
    const char *at = strstr(text, part);
    struct text t = {0};
    assert_non_null(at);
    text_bytes(&t, text, (size_t)(at - text));
    text_add(&t, by);
    text_add(&t, at + strlen(part));
    *n = t.length;
    return t.bytes;
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *part, *by, *words;
    } cases[] = {
        {"\"score\"", "\"x\"", ": column 3: is \"x\", \"score\" is expected: this is no leaderboard of this version"},
        {"\"rank\",", "", ": column 1: is \"tie_group\", \"rank\" is expected"},
        {"\"stories/items\"", "\"stories/fingerprint\"", ": line 1: columns 31 and 32 are both called \"stories/f"},
        {"\"20194304\"", "\"1e999\"", ": line 4: column 15 (weight_bytes): is \"1e999\", a whole number from 0"},
        {"\"20194304\"", "\"-1\"", "is \"-1\", a whole number from 0 on is expected"},
        {"\"38.21\"", "\"1e999\"", ": line 4: column 21 (seconds): is \"1e999\", a finite number is expected"},
        {"\"38.21\"", "\"nan\"", "is \"nan\", a finite number is expected"},
        {"\"38.21\"", "\"0x10\"", "is \"0x10\", a finite number is expected"},
        {"\"2.5108\"", "\"\033[31m\"", "column 33 (stories/perplexity): is \"\\x1B[31m\", a finite number"},
        {"\"0.77\"", "\"-0.77\"",
         ": line 2: column 34 (stories/perplexity/stderr): is \"-0.77\", a finite number from 0"},
        {"\"0.77\"", "\"nan\"", "(stories/perplexity/stderr): is \"nan\", a finite number from 0 on is expected"},
        {"\"0.77\"", "\"inf\"", "(stories/perplexity/stderr): is \"inf\", a finite number from 0 on is expected"},
        {"\"0.77\"", "\"1e999\"", "(stories/perplexity/stderr): is \"1e999\", a finite number from 0 on"},
        {"\"0.78\"", "\"-1e-9\"", ": line 3: column 66 (endings/acc/difference_stderr): is \"-1e-9\", a finite number"},
        {"\"lower\"", "\"up\"", "(stories/perplexity/better): is \"up\", \"higher\" or \"lower\" is expected"},
        {"\"higher\"\n", "\"higher\",\"\"\n", ": line 2: has "},
        {",\"higher\"\n", "\n", ": line 2: has "},
        {"\"38.21\",", "", ": line 4: column 24 (cpu_seconds): is \"AMD EPYC 7B13\", a finite"},
        {"\"38.21\"", "3\"8.21\"", ": line 4: a quotation mark"},
        {"\"38.21\"", "\"38.21", ": line 4: a quotation mark"},
        {"\"38.21\"", "\"38.21\xFF\"", ": line 4: "},
    };
    struct board b = board_of(comparison());
    struct error e;
    assert_ok(board_set(&b, 0, column(&b, "stories/perplexity/stderr"), "0.77", 4, &e), &e);
    assert_ok(board_set(&b, 1, column(&b, "endings/acc/difference_stderr"), "0.78", 4, &e), &e);
    char *text = written(&b);
    board_free(&b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        char *other = changed(text, cases[i].part, cases[i].by, &n);
        assert_refused(other, n, cases[i].words);
        free(other);
    }
    size_t n = strlen(text);
    char *zero = memory_bytes(text, n, NULL);
    zero[n - 10] = 0;
    assert_refused(zero, n, ": line 5");
    for (size_t cut = 1; cut < n; cut += n / 97) { /* cut anywhere it is read or refused, never worse */
        char *folder = folder_temporary(), *path = file_put(folder, "board.csv", text, cut);
        struct board part;
        const int status = board_read(&part, path, &e);
        assert_true(status == 0 || status == ERROR_INPUT);
        board_free(&part);
        free(path);
        folder_remove(folder);
    }
    assert_refused("rank,tie_group", 14, ": column 3: is missing, \"score\" is expected");
    free(zero);
    free(text);
}

static void test_too_wide(void **state)
{
    (void)state;
    struct board b = board_of(comparison());
    struct text t = {0};
    for (size_t j = 0; j < b.n_columns; j++) text_printf(&t, "%s,", b.columns[j]);
    for (int i = 0; i < 1000000; i++) text_printf(&t, "%x,", (unsigned)i);
    assert_refused(t.bytes, t.length,
                   "board.csv: would have more than 1000000 columns, the most that a leaderboard holds: take");
    text_free(&t);
    board_free(&b);
}

static void test_too_large(void **state)
{
    (void)state;
    char *folder = folder_temporary(), *path = file_put(folder, "board.csv", "", 0);
    assert_int_equal(truncate(path, (off_t)1 << 40), 0);
    struct board b;
    struct error e;
    assert_error(board_read(&b, path, &e), &e, ERROR_INPUT, ": is larger than 128 MiB");
    board_free(&b);
    free(path);
    folder_remove(folder);
}

/* As a spreadsheet leaves it: a byte order mark, no quotation marks, carriage returns, a column of one's own. */
static void test_from_a_spreadsheet(void **state)
{
    (void)state;
    struct board b = board_of(comparison());
    struct text t = {0};
    text_add(&t, "\xEF\xBB\xBF");
    for (size_t i = 0; i <= b.n_rows; i++) {
        for (size_t j = 0; j < b.n_columns; j++) text_printf(&t, "%s,", i ? board_field(&b, i - 1, j) : b.columns[j]);
        text_add(&t, i ? "-3\r\n" : "note\r\n");
    }
    struct board back = read_text(t.bytes, t.length);
    assert_int_equal(back.n_rows, 4);
    assert_string_equal(field(&back, 3, "note"), "-3");
    json_t *v = comparison();
    const struct board_added n = add(&back, v);
    assert_int_equal(n.replaced, 4);
    assert_string_equal(field(&back, 3, "note"), "-3");
    json_decref(v);
    board_free(&b);
    board_free(&back);
    text_free(&t);
}

static void test_replaced(void **state)
{
    (void)state;
    struct board b = board_of(comparison());
    json_t *v = comparison();
    edit(v, "subjects/2/seconds", "1.25");
    struct board_added n = add(&b, v);
    assert_int_equal(n.added, 0);
    assert_int_equal(n.replaced, 4);
    assert_string_equal(field(&b, row_of(&b, "millbrook-llama@gguf:q8_0"), "seconds"), "1.25");

    static const char *const changes[][2] = {{"subjects/2/id", "\"other\""},
                                             {"subjects/2/name", "\"other\""},
                                             {"subjects/2/kerf", "{\"version\": \"0.2\", \"commit\": \"1\"}"},
                                             {"subjects/2/machine", "{\"cpu\": \"other\", \"isa\": \"c\"}"},
                                             {"rows/3/cells/2/fingerprint", "\"other\""}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        json_t *other = comparison();
        edit(other, changes[i][0], changes[i][1]);
        n = add(&b, other);
        assert_int_equal(n.added, 1);
        assert_int_equal(n.replaced, 3);
        json_decref(other);
    }
    json_decref(v);
    board_free(&b);
}

/* What another tool measured at another time may be with other settings, of which its file says nothing. */
static void test_times_of_another_tool(void **state)
{
    (void)state;
    json_t *v = comparison();
    edit(v, "subjects/2/source", "{\"tool\": \"llama-bench b1\"}");
    struct board b = board_of(json_deep_copy(v));
    struct board_added n = add(&b, v);
    assert_int_equal(n.added, 0);
    edit(v, "subjects/1/started", "\"2026-11-25T10:00:00Z\""); /* kerf's own row is still replaced */
    edit(v, "subjects/2/started", "\"2026-11-25T10:00:00Z\"");
    n = add(&b, v);
    assert_int_equal(n.added, 1);
    assert_int_equal(n.replaced, 3);
    n = add(&b, v);
    assert_int_equal(n.added, 0);
    assert_int_equal(b.n_rows, 5);
    json_decref(v);
    board_free(&b);
}

/* A run that is added by itself after it was compared keeps its differences, unless its values are others. */
static void test_differences_stay(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        struct board b = board_of(comparison());
        json_t *v = comparison(), *row;
        json_array_remove(json_object_get(v, "subjects"), 0);
        size_t i;
        json_array_foreach(json_object_get(v, "rows"), i, row) { json_array_remove(json_object_get(row, "cells"), 0); }
        resize_subjects(v, 1);
        json_array_foreach(json_object_get(v, "rows"), i, row)
        {
            json_object_set_new(json_array_get(json_object_get(row, "cells"), 0), "difference", json_null());
        }
        if (!same) edit(v, "rows/2/cells/0/value", "0.75");
        const struct board_added n = add(&b, v);
        assert_int_equal(n.replaced, 1);
        const size_t at = row_of(&b, "millbrook-llama@int8:absmax");
        assert_string_equal(board_field(&b, at, BOARD_BASELINE), same ? "id0" : "id1");
        assert_int_equal(*field(&b, at, "endings/acc/difference") != 0, same);
        json_decref(v);
        board_free(&b);
    }
}

static void test_figures_in_the_front(void **state)
{
    (void)state;
    json_t *v = comparison();
    edit(v, "subjects/1/source", "{\"tool\": \"another 1.0\"}");
    json_t *distance = json_deep_copy(json_array_get(json_object_get(v, "rows"), 0));
    json_array_insert_new(json_object_get(v, "rows"), 2, distance);
    edit(v, "rows/2/metric", "\"kl_divergence\"");
    edit(v, "rows/2/divergence", "true");
    for (size_t j = 0; j < 4; j++) {
        char path[64];
        snprintf(path, sizeof path, "rows/2/cells/%zu/difference", j);
        edit(v, path, "null");
        snprintf(path, sizeof path, "rows/2/cells/%zu/value", j);
        edit(v, path, j ? "0.25" : "null");
    }
    int64_t flips = 0;
    static const size_t firsts[] = {3, 4, 6};
    for (size_t i = 0; i < 3; i++) {
        const json_t *cell =
            json_array_get(json_object_get(json_array_get(json_object_get(v, "rows"), firsts[i]), "cells"), 3);
        const json_t *d = json_object_get(cell, "difference");
        flips += json_integer_value(json_object_get(d, "gained")) + json_integer_value(json_object_get(d, "lost"));
    }
    struct board b = board_of(v);
    const size_t base = row_of(&b, "millbrook-llama@f32"), other = row_of(&b, "millbrook-llama@gguf:q4_0");
    char wanted[32];
    snprintf(wanted, sizeof wanted, "%d", (int)flips);
    assert_string_equal(board_field(&b, other, BOARD_FLIPS), wanted);
    assert_string_equal(board_field(&b, base, BOARD_FLIPS), "");
    assert_string_equal(board_field(&b, other, BOARD_KL_DIVERGENCE), "0.25");
    assert_string_equal(board_field(&b, base, BOARD_KL_DIVERGENCE), "");
    assert_string_equal(board_field(&b, base, BOARD_BASELINE), "id0");
    assert_string_equal(board_field(&b, other, BOARD_BASELINE), "id0");
    for (size_t j = 0; j < b.n_columns; j++) assert_string_not_equal(b.columns[j], "stories/kl_divergence/difference");
    /* another tool's row is last and without a rank; distances can be ranked by, the baseline has none */
    assert_string_equal(board_field(&b, 3, BOARD_SOURCE), "another 1.0");
    assert_string_equal(board_field(&b, 3, BOARD_RANK), "");
    assert_non_null(strstr(b.rows[3].unranked, "another tool"));
    rank(&b, "stories/kl_divergence");
    assert_string_equal(board_field(&b, 0, BOARD_RANK), "1");
    assert_string_equal(board_field(&b, 1, BOARD_RANK), "1");
    assert_string_equal(board_field(&b, 2, BOARD_RANK), "");
    board_free(&b);
}

/* Bytes changed anywhere: read and ranked, or refused. */
static void test_damaged(void **state)
{
    (void)state;
    static const char bytes[] = "\",\n\r\0\xFF-=/%0e";
    struct random r = {5};
    struct board b = board_of(comparison());
    char *text = written(&b);
    const size_t n = strlen(text);
    char *folder = folder_temporary();
    for (size_t i = 0; i < test_items(1000); i++) {
        char *other = memory_bytes(text, n, NULL);
        for (uint32_t k = random_below(&r, 3) + 1; k > 0; k--)
            other[random_below(&r, (uint32_t)n)] = bytes[random_below(&r, sizeof bytes - 1)];
        char *path = file_put(folder, "board.csv", other, n);
        struct board back;
        struct error e;
        const int status = board_read(&back, path, &e);
        assert_true(status == 0 || status == ERROR_INPUT);
        if (!status) rank(&back, NULL);
        board_free(&back);
        free(path);
        free(other);
    }
    folder_remove(folder);
    free(text);
    board_free(&b);
}

/* Thousands of rows are added, ranked, written, read and ranked again. */
static void test_many_rows(void **state)
{
    (void)state;
    const size_t n = test_items(2000);
    json_t *v = comparison(), *cell;
    size_t j;
    resize_subjects(v, n);
    json_array_foreach(json_object_get(json_array_get(json_object_get(v, "rows"), 2), "cells"), j, cell)
    {
        json_object_set_new(cell, "value", json_real(0.3 + 0.0001 * (double)(j * 7919 % 2000)));
    }
    struct board b = board_of(v);
    assert_int_equal(b.n_rows, n);
    char *text = written(&b);
    struct board back = read_text(text, strlen(text));
    assert_settled(&back);
    free(text);
    board_free(&back);
    board_free(&b);
}

/* --- the file --- */

static int edit_rank(struct board *b, void *user, struct error *e)
{
    if (user) add(b, user);
    return board_rank(b, NULL, e);
}

static int edit_fails(struct board *b, void *user, struct error *e)
{
    board_rank(b, NULL, e);
    return error_set(e, ERROR_CHECK, "no");
}

static void test_update(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct text path = {0}, link = {0};
    struct error e;
    struct stat st;
    text_printf(&path, "%s/board.csv", folder);
    text_printf(&link, "%s/link.csv", folder);
    assert_error(board_update(path.bytes, edit_fails, NULL, &e), &e, ERROR_CHECK, "no");
    assert_int_equal(stat(path.bytes, &st), -1); /* what was not there is not there now */
    json_t *v = comparison();
    assert_int_equal(symlink("board.csv", link.bytes), 0);
    assert_ok(board_update(link.bytes, edit_rank, v, &e), &e); /* through a link that points nowhere yet */
    assert_int_equal(lstat(link.bytes, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    struct board b;
    assert_ok(board_read(&b, path.bytes, &e), &e);
    assert_int_equal(b.n_rows, 4);
    board_free(&b);
    assert_error(board_update(path.bytes, edit_fails, NULL, &e), &e, ERROR_CHECK, "no");
    assert_ok(board_update(path.bytes, edit_rank, v, &e), &e);
    assert_ok(board_read(&b, path.bytes, &e), &e);
    assert_int_equal(b.n_rows, 4);
    board_free(&b);
    assert_error(board_update(folder, edit_rank, NULL, &e), &e, ERROR_IO, folder);
    assert_error(board_update("/dev/null", edit_rank, NULL, &e), &e, ERROR_INPUT, "/dev/null: is a device");
    assert_error(board_update("", edit_rank, NULL, &e), &e, ERROR_USAGE, "empty name");
    json_decref(v);
    text_free(&path);
    text_free(&link);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_names_of_columns),
        cmocka_unit_test(test_nothing_is_an_empty_board),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_too_wide),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_from_a_spreadsheet),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_times_of_another_tool),
        cmocka_unit_test(test_differences_stay),
        cmocka_unit_test(test_figures_in_the_front),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_update),
    };
    return cmocka_run_group_tests_name("reports/board", tests, NULL, NULL);
}
