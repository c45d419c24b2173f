/* Flips with their texts from the folders of runs, and what happens where files are gone, others, or broken. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "reports/evidence_item.h"
#include "tests/reports/edit.h"

#include <unistd.h>

/* --- run folders that fit a comparison --- */

struct night {
    char *folder;
    json_t *comparison;
};

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Item i of a suite, right or wrong by all of its rows: a choice of two. */
static json_t *line_of(const json_t *rows, const char *suite, size_t i, const bool *right)
{
    json_t *statistics = json_object(), *row;
    size_t k;
    json_array_foreach(rows, k, row) if (strcmp(text_of(row, "suite"), suite) == 0)
        json_object_set_new(statistics, text_of(row, "metric"), json_pack("[i, i]", right[k], 1));
    char prompt[32], hash[32];
    snprintf(prompt, sizeof prompt, "prompt %zu", i);
    snprintf(hash, sizeof hash, "%s %zu", suite, i);
    return json_pack("{s:I, s:s, s:i, s:[[s, s], [s, s]], s:[[f, b], [f, b]], s:o}", "doc_id", (json_int_t)(i + 1000),
                     "doc_hash", hash, "target", 1, "arguments", prompt, " no", prompt, " yes", "resps", -1.0, 0, -2.0,
                     0, "statistics", statistics);
}

/* By every row an item is right with the baseline where its number is even. Of a candidate the last `lost` of these are
 * wrong, and the first `gained` of the others right. */
static bool is_right(const json_t *row, size_t subject, size_t i, size_t n)
{
    const json_t *d = json_object_get(json_array_get(json_object_get(row, "cells"), subject), "difference");
    const size_t gained = (size_t)json_integer_value(json_object_get(d, "gained"));
    const size_t lost = (size_t)json_integer_value(json_object_get(d, "lost"));
    return i % 2 == 0 ? (n - i + 1) / 2 > lost : i / 2 < gained;
}

static void put_samples(const struct night *x, const char *folder, const char *suite, size_t subject, size_t n)
{
    const json_t *rows = json_object_get(x->comparison, "rows"), *row;
    struct text all = {0};
    for (size_t i = 0; i < n; i++) {
        bool right[16];
        size_t k;
        json_array_foreach(rows, k, row) right[k] = is_right(row, subject, i, n);
        json_t *line = line_of(rows, suite, i, right);
        char *dump = json_dump_text(line, JSON_COMPACT, NULL);
        text_printf(&all, "%s\n", dump);
        free(dump);
        json_decref(line);
    }
    char name[64];
    snprintf(name, sizeof name, "samples_%s.jsonl", suite);
    free(file_put(folder, name, text_c(&all), all.length));
    text_free(&all);
}

/* What run.json must say for these cells. */
static json_t *run_of(const json_t *comparison, size_t subject)
{
    json_t *suites = json_array(), *suite = NULL, *row;
    size_t i;
    json_array_foreach(json_object_get(comparison, "rows"), i, row)
    {
        const json_t *cell = json_array_get(json_object_get(row, "cells"), subject);
        if (!suite || strcmp(text_of(suite, "name"), text_of(row, "suite"))) {
            suite = json_pack("{s:O, s:s, s:[]}", "name", json_object_get(row, "suite"), "output_type",
                              "multiple_choice", "metrics");
            json_array_append_new(suites, suite);
        }
        json_array_append_new(
            json_object_get(suite, "metrics"),
            json_pack("{s:O, s:O}", "name", json_object_get(row, "metric"), "value", json_object_get(cell, "value")));
    }
    return json_pack("{s:s, s:O, s:o}", "schema", "kerf-run-1", "subject",
                     json_array_get(json_object_get(comparison, "subjects"), subject), "suites", suites);
}

static void put_run(const struct night *x, size_t subject, const char *folder)
{
    struct error e;
    json_t *run = run_of(x->comparison, subject);
    char *path = path_join(folder, "run.json", &e);
    assert_ok(json_write_file(path, run, &e), &e);
    free(path);
    json_decref(run);
}

static char *run_folder(const struct night *x, size_t subject)
{
    char name[32];
    snprintf(name, sizeof name, "runs/%zu", subject);
    return path_join(x->folder, name, NULL);
}

/* The small golden comparison, cut to n items. */
static struct night night_new(size_t n, const char *edits[][2], size_t n_edits)
{
    struct night x = {folder_temporary(), golden(COMPARISON)};
    json_t *row;
    size_t k;
    json_array_foreach(json_object_get(x.comparison, "rows"), k, row)
        json_object_set_new(row, "items", json_integer((json_int_t)n));
    for (size_t i = 0; i < n_edits; i++) edit(x.comparison, edits[i][0], edits[i][1]);
    for (size_t j = 0; j < 4; j++) {
        struct error e;
        char *folder = run_folder(&x, j);
        assert_ok(folder_make(folder, &e), &e);
        put_run(&x, j, folder);
        static const char *const suites[] = {"endings", "lastword", "reviews"};
        for (size_t s = 0; s < 3; s++) put_samples(&x, folder, suites[s], j, n);
        free(folder);
    }
    return x;
}

static void night_free(struct night *x)
{
    folder_remove(x->folder);
    json_decref(x->comparison);
}

enum { ITEMS = 100 };

static int read_night(const struct night *x, struct evidence *v, struct error *e)
{
    struct report r;
    assert_ok(report_read_comparison(&r, x->comparison, e), e);
    const int status = evidence_read(v, &r, x->folder, e);
    report_close(&r);
    return status;
}

static const struct evidence_flips *flips_of(const struct evidence *v, size_t row, size_t subject)
{
    for (size_t i = 0; i < v->n_flips; i++)
        if (v->flips[i].row == row && v->flips[i].subject == subject) return &v->flips[i];
    return NULL;
}

/* --- lists --- */

static void test_lists(void **state)
{
    struct night x = night_new(ITEMS, NULL, 0);
    struct evidence v;
    struct error e;
    assert_ok(read_night(&x, &v, &e), &e);
    assert_int_equal(v.n_subjects, 4);
    assert_int_equal(v.n_flips, 3 * 3); /* three rows have flips */
    for (size_t i = 0; i < v.n_flips; i++) {
        const struct evidence_flips *f = &v.flips[i];
        assert_int_equal(f->subject, 1 + i / 3);
        const json_t *row = json_array_get(json_object_get(x.comparison, "rows"), f->row);
        const json_t *d = json_object_get(json_array_get(json_object_get(row, "cells"), f->subject), "difference");
        assert_int_equal(f->n_gained, json_integer_value(json_object_get(d, "gained")));
        assert_int_equal(f->n_lost, json_integer_value(json_object_get(d, "lost")));
        for (size_t k = 0; k < f->n; k++) {
            const bool was = (f->list[k].item - 1000) % 2 == 0;
            assert_true(f->list[k].gained == !was);
            if (k) assert_true(f->list[k].gained > f->list[k - 1].gained || f->list[k].item > f->list[k - 1].item);
        }
    }
    /* rows: endings acc, +7 -14, and lastword acc, +4 -21, of which one is not shown */
    const struct evidence_flips *endings = flips_of(&v, 2, 3), *lastword = flips_of(&v, 3, 3);
    assert_int_equal(endings->n, 21);
    assert_int_equal(endings->list[0].item, 1000 + ITEMS - 2 * 14);
    assert_int_equal(endings->list[14].item, 1001);
    assert_string_equal(endings->list[14].prompt, "prompt 1");
    assert_int_equal(lastword->n, FLIPS_SHOWN + 4);
    assert_false(lastword->list[FLIPS_SHOWN - 1].gained);
    assert_true(lastword->list[FLIPS_SHOWN].gained);
    for (size_t j = 0; j < 4; j++) assert_true(v.runs[j] && !v.missing[j]);
    evidence_free(&v);
    night_free(&x);
}

/* The rows reviews acc and mcc, the second with the flips of the first or with others. */
static void test_same_flips(void **state)
{
    for (int others = 0; others < 2; others++) {
        const char *edits[][2] = {{"rows/6/cells/3/difference/gained", others ? "2" : "1"},
                                  {"rows/6/cells/3/difference/lost", "1"},
                                  {"rows/5/cells/3/difference/gained", "1"},
                                  {"rows/5/cells/3/difference/lost", "1"}};
        struct night x = night_new(20 + ITEMS, edits, 4);
        struct evidence v;
        struct error e;
        assert_ok(read_night(&x, &v, &e), &e);
        const struct evidence_flips *first = flips_of(&v, 5, 3), *second = flips_of(&v, 6, 3);
        assert_int_equal(first->same_as, 5);
        assert_int_equal(first->n, 2);
        assert_int_equal(second->same_as, others ? 6 : 5);
        assert_int_equal(second->n, others ? 3 : 0);
        assert_int_equal(second->n_gained, others ? 2 : 1);
        assert_null(flips_of(&v, 6, 1));
        evidence_free(&v);
        night_free(&x);
    }
}

static void test_divergence(void **state)
{
    for (int shown = 0; shown < 2; shown++) {
        struct night x = night_new(ITEMS, NULL, 0);
        struct error e;
        if (shown) edit(x.comparison, "rows/0/divergence", "true");
        char *folder = run_folder(&x, 1), *path = path_join(folder, "run.json", &e);
        json_t *run = json_read_file(path, &e);
        edit(run, "suites/0/divergence", "{\"tokens\": 7}");
        assert_ok(json_write_file(path, run, &e), &e);
        json_decref(run);
        free(path);
        free(folder);
        struct evidence v;
        assert_ok(read_night(&x, &v, &e), &e);
        assert_true(!evidence_divergence(&v, 1, "stories") == !shown); /* another baseline's is not shown */
        assert_null(evidence_divergence(&v, 2, "stories"));
        assert_null(evidence_divergence(&v, 1, "nothing"));
        evidence_free(&v);
        night_free(&x);
    }
}

/* Suites and metrics are found by name, not searched for: searching would take minutes. */
static void test_many_suites(void **state)
{
    const size_t n = test_items(20000);
    struct night x = night_new(2, NULL, 0);
    struct evidence v;
    struct error e;
    json_t *rows = json_object_get(x.comparison, "rows"), *one = json_deep_copy(json_array_get(rows, 0));
    json_array_clear(rows);
    for (size_t i = 0; i < 2 * n; i++) { /* a metric each, then one suite of as many metrics */
        char name[32];
        snprintf(name, sizeof name, "n%zu", i);
        json_t *row = json_copy(one);
        json_object_set_new(row, i < n ? "suite" : "metric", json_string(name));
        json_array_append_new(rows, row);
    }
    json_decref(one);
    for (size_t j = 0; j < 4; j++) {
        char *folder = run_folder(&x, j), *path = path_join(folder, "run.json", &e);
        json_t *run = run_of(x.comparison, j), *suite;
        size_t i;
        json_array_foreach(json_object_get(run, "suites"), i, suite)
            json_object_set_new(suite, "divergence", json_object());
        assert_ok(json_write_file(path, run, &e), &e);
        json_decref(run);
        free(path);
        free(folder);
    }
    assert_ok(read_night(&x, &v, &e), &e);
    for (size_t j = 0; j < 4; j++) assert_true(v.runs[j] && !v.missing[j]);
    assert_null(evidence_divergence(&v, 1, "n0")); /* no row is a distance */
    evidence_free(&v);
    night_free(&x);
}

/* --- what is not there --- */

static void test_missing(void **state)
{
    static const struct {
        const char *gone; /* a file, or a place in the comparison and what it becomes */
        const char *place, *value, *words;
        size_t subject, flips;
    } cases[] = {
        {"runs/2/run.json", NULL, NULL, "runs/2/run.json is not there", 2, 6},
        {"runs/2/samples_endings.jsonl", NULL, NULL, "runs/2/samples_endings.jsonl is not there", 2, 8},
        {"runs/0/run.json", NULL, NULL, "runs/0/run.json is not there", 0, 0},
        {"runs/0/samples_lastword.jsonl", NULL, NULL, "samples_lastword.jsonl is not there", 0, 6},
        {NULL, "subjects/3/source", "{\"tool\": \"llama-bench b1\"}", "measured by llama-bench b1", 3, 6},
        {NULL, "subjects/3/run", NULL, "does not say where its run is", 3, 6},
        {NULL, "subjects/3/run", "\"elsewhere\"", "elsewhere/run.json is not there", 3, 6},
        {NULL, "subjects/3/sha256", "\"00\"", "runs/3 holds another run by now", 3, 6},
        {NULL, "rows/4/cells/1/value", "99.1", "runs/1 holds another run by now", 1, 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct night x = night_new(ITEMS, NULL, 0);
        struct evidence v;
        struct error e;
        char *path = path_join(x.folder, cases[i].gone ? cases[i].gone : "", &e);
        if (cases[i].gone) assert_int_equal(unlink(path), 0);
        free(path);
        if (cases[i].place) edit(x.comparison, cases[i].place, cases[i].value);
        assert_ok(read_night(&x, &v, &e), &e);
        for (size_t j = 0; j < 4; j++) assert_true(!v.missing[j] == (j != cases[i].subject));
        if (!strstr(v.missing[cases[i].subject], cases[i].words)) fail_msg("%zu: %s", i, v.missing[cases[i].subject]);
        assert_int_equal(v.n_flips, cases[i].flips);
        evidence_free(&v);
        night_free(&x);
    }
}

static void test_whole_path(void **state)
{
    struct night x = night_new(ITEMS, NULL, 0);
    struct evidence v;
    struct error e;
    char *folder = run_folder(&x, 1), json[512];
    snprintf(json, sizeof json, "\"%s\"", folder);
    edit(x.comparison, "subjects/1/run", json);
    assert_ok(read_night(&x, &v, &e), &e);
    assert_null(v.missing[1]);
    evidence_free(&v);
    free(folder);
    night_free(&x);
}

/* --- what does not fit --- */

/* Replaces the first `old` in a file, or what follows it to the end where `to_end`. */
static void replace(const char *path, const char *old, const char *new, bool to_end)
{
    struct file f;
    struct error e;
    assert_ok(file_map(&f, path, &e), &e);
    char *all = strndup((const char *)f.data, f.size), *at = strstr(all, old);
    file_unmap(&f);
    if (!at) fail_msg("no %s in %s", old, path);
    struct text out = {0};
    text_bytes(&out, all, (size_t)(at - all));
    text_add(&out, new);
    if (!to_end) text_add(&out, at + strlen(old));
    assert_ok(file_write(path, text_c(&out), out.length, &e), &e);
    text_free(&out);
    free(all);
}

static void test_broken_files(void **state)
{
    static const struct {
        const char *file, *old, *new;
        bool to_end;
        const char *words;
    } cases[] = {
        {"runs/1/samples_endings.jsonl", "prompt 99", "", true, "runs/1/samples_endings.jsonl: line 100: column "},
        {"runs/0/samples_endings.jsonl", "prompt 99", "", true, "runs/0/samples_endings.jsonl: line 100: column "},
        {"runs/1/samples_endings.jsonl", "{\"doc_id\":1099", "", true,
         "runs/1/samples_endings.jsonl: ends after 99 items, "},
        {"runs/0/samples_endings.jsonl", "{\"doc_id\":1099", "", true,
         "runs/0/samples_endings.jsonl: ends after 99 items, "},
        {"runs/2/samples_endings.jsonl", "{", "", true, "runs/2/samples_endings.jsonl: ends after 0 items"},
        {"runs/2/samples_endings.jsonl", "\n", "\n\n", false, "samples_endings.jsonl: line 2: column "},
        {"runs/1/samples_lastword.jsonl", "1007", "1008", false, "samples_lastword.jsonl: line 8: doc_id"},
        {"runs/1/samples_lastword.jsonl", "1007", "\"7\"", false, "samples_lastword.jsonl: line 8: doc_id"},
        {"runs/3/samples_lastword.jsonl", "lastword 7", "", false, "samples_lastword.jsonl: line 8: doc_hash"},
        {"runs/3/samples_lastword.jsonl", "doc_hash", "hash", false, "samples_lastword.jsonl: line 1: doc_hash"},
        {"runs/3/samples_lastword.jsonl", "[1,1]}", "[0.5,1]}", false, "statistics.acc: must begin with 0 or 1"},
        {"runs/3/samples_lastword.jsonl", "[1,1]}", "7}", false, "line 1: statistics.acc: must begin with 0 or 1"},
        {"runs/0/samples_lastword.jsonl", "statistics", "s", false, "line 1: statistics.acc: must begin with 0 or 1"},
        {"runs/3/samples_lastword.jsonl", "[1,1]}", "[0,1]}", false,
         "flips of acc: the items have +4 -22, the comparison +4 -21"},
        {"runs/3/run.json", "{", "", true, "runs/3/run.json: "},
        {"runs/3/samples_reviews.jsonl", "{\"doc_id\":1000", "\xFF", false, "samples_reviews.jsonl: line 1: column "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct night x = night_new(ITEMS, NULL, 0);
        struct evidence v;
        struct error e = {0};
        char *path = path_join(x.folder, cases[i].file, &e);
        replace(path, cases[i].old, cases[i].new, cases[i].to_end);
        assert_error(read_night(&x, &v, &e), &e, ERROR_INPUT, cases[i].words);
        assert_true(!v.runs && !v.flips && !v.n_flips);
        free(path);
        night_free(&x);
    }
}

static void test_broken_comparison(void **state)
{
    static const struct {
        const char *place, *value, *words;
    } cases[] = {
        {"rows/2/cells/3/difference/gained", "8", "the items have +7 -14, the comparison +8 -14"},
        {"rows/2/cells/3/difference/lost", "9007199254740993", "the comparison +7 -9007199254740993"},
        {"rows/3/items", "99", "samples_lastword.jsonl: has 100 items, the comparison 99"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct night x = night_new(ITEMS, NULL, 0);
        struct evidence v;
        struct error e;
        edit(x.comparison, cases[i].place, cases[i].value);
        assert_error(read_night(&x, &v, &e), &e, ERROR_INPUT, cases[i].words);
        night_free(&x);
    }
}

/* A suite's name becomes a file's: none leads out of the folder. */
static void test_suite_names(void **state)
{
    static const char *const names[] = {"\"../0/x\"", "\"/etc/passwd\"", "\"\"", "\".hidden\"", "\"a b\""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *edits[][2] = {{"rows/2/suite", names[i]}};
        struct night x = night_new(10 + ITEMS, edits, 1);
        struct evidence v;
        struct error e;
        assert_error(read_night(&x, &v, &e), &e, ERROR_INPUT, "rows[2].suite: is no suite's name");
        night_free(&x);
    }
}

/* --- texts --- */

static void assert_described(const char *output_type, const char *metric, bool gained, const char *base,
                             const char *candidate, const char *expected)
{
    struct error e;
    struct describing d = {.output_type = output_type, .delimiter = " ", .texts = json_array()};
    struct evidence_flip f = {.gained = gained};
    json_t *a = json_loads(base, 0, NULL), *b = json_loads(candidate, 0, NULL);
    assert_true(a && b);
    assert_ok(evidence_describe(&f, &d, metric, a, b, &e), &e);
    json_decref(a);
    json_decref(b);
    char found[256];
    snprintf(found, sizeof found, "%s > %s: %s -> %s (%zu)", f.prompt, f.target, f.before, f.after, f.n_choices);
    assert_string_equal(found, expected);
    assert_false(d.failed);
    free(f.choices);
    json_decref(d.texts);
}

#define ARGUMENTS "\"arguments\": [[\"A\", \" red\"], [\"A\", \" green\"], [\"A\", \"blue-green\"]]"

static void test_choices(void **state)
{
    static const char type[] = "multiple_choice";
    /* by the sum red (-1) is the best, by characters (3, 5, 10) blue-green: -1/3, -2/5, -3/10 */
    static const char base[] =
        "{\"doc_id\": 1, \"target\": 1, " ARGUMENTS ", \"resps\": [[-1, true], [-2, false], [-3, false]]}";
    static const char better[] = "{" ARGUMENTS ", \"resps\": [[-5, true], [-1, false], [-9, false]]}";
    assert_described(type, "acc", true, base, better, "A > green: red -> green (3)");
    assert_described(type, "acc_norm", true, base, better, "A > green: blue-green -> green (3)");
    assert_described(type, "acc_bytes", true, base, better, "A > green: blue-green -> green (3)");
    assert_described(type, "acc_norm,none", true, base, better, "A > green: blue-green -> green (3)");
    assert_described(type, "acc", false, better, base, "A > :  ->  (0)"); /* has no target */
    /* how many tokens a choice has is not known, so neither is which wrong one was chosen */
    assert_described(type, "acc_tokens", true, base, better, "A > green:  -> green (3)");
    /* the first of equal ones */
    static const char tie[] = "{\"target\": 2, " ARGUMENTS ", \"resps\": [[-1, true], [-1, true], [-1, false]]}";
    assert_described(type, "acc", true, tie, tie, "A > blue-green: red -> blue-green (3)");
    /* numbers that contradict the statistics name no answer */
    static const char odd[] = "{\"target\": 0, " ARGUMENTS ", \"resps\": [[-1, true], [-2, true], [-3, false]]}";
    assert_described(type, "acc", true, odd, odd, "A > red:  -> red (3)");
    static const char none[] = "{\"target\": 0, " ARGUMENTS ", \"resps\": [null, 7]}";
    assert_described(type, "acc", true, none, none, "A > red:  -> red (3)");
}

/* One continuation of several prompts: they are told apart by where they part. */
static void test_contexts(void **state)
{
    static const char line[] =
        "{\"doc_id\": 1, \"target\": 1, \"arguments\": [[\"The cup hit the cart, so the cup\", \" broke.\"],"
        " [\"The cup hit the cart, so the cart\", \" broke.\"]], \"resps\": [[-1, true], [-2, true]]}";
    assert_described("multiple_choice", "acc", true, line, line,
                     "The cup hit the cart, so the cup > cart: cup -> cart (2)");
    assert_described("multiple_choice", "acc_norm", false, line, line,
                     "The cup hit the cart, so the cup > cart: cart -> cup (2)");
}

static void test_likelihood(void **state)
{
    static const char base[] = "{\"doc_id\": 1, \"target\": \"Nora\", \"arguments\": [[\"belongs to\", \" Nora\"]],"
                               " \"resps\": [[-0.6931471805599453, true]]}";
    static const char candidate[] = "{\"resps\": [[-1.3862943611198906, false]]}";
    assert_described("loglikelihood", "acc", false, base, candidate,
                     "belongs to > Nora: the likeliest (p = 0.5) -> not the likeliest (p = 0.25) (0)");
}

static void test_generated(void **state)
{
    static const char base[] =
        "{\"target\": [\"4\", \"4\", \"four\"], \"arguments\": [[\"2 + 2?\"]], \"filtered_resps\": "
        "{\"strict\": [\"5\", \"6\"], \"last\": [\"4\"]}}";
    static const char candidate[] = "{\"filtered_resps\": {\"strict\": [\"four\"]}}";
    assert_described("generate_until", "exact_match,strict", true, base, candidate, "2 + 2? > 4 | four: 5 -> four (0)");
    assert_described("generate_until", "exact_match,last", false, base, candidate, "2 + 2? > 4 | four: 4 ->  (0)");
    static const char plain[] = "{\"target\": \"4\", \"arguments\": [[\"2 + 2?\"]], \"filtered_resps\": [\"4\"]}";
    assert_described("generate_until", "exact_match", false, plain, "{\"filtered_resps\": [7]}",
                     "2 + 2? > 4: 4 ->  (0)");
}

/* Whatever shape a line has, nothing is read that is not there. */
static void test_odd_lines(void **state)
{
    static const char *const types[] = {"multiple_choice", "loglikelihood", "generate_until", ""};
    static const char *const lines[] = {"{}",
                                        "[]",
                                        "{\"target\": 5, \"arguments\": [[\"A\"]], \"resps\": {}}",
                                        "{\"target\": 0, \"arguments\": [7, {}, null], \"resps\": [[], [\"x\"]]}",
                                        "{\"target\": -1, \"arguments\": \"A\", \"filtered_resps\": \"x\"}",
                                        "{\"target\": [1, null, \"\"], \"filtered_resps\": {\"\": 3}}"};
    for (size_t t = 0; t < 4; t++)
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
            struct error e;
            struct describing d = {.output_type = types[t], .delimiter = "", .texts = json_array()};
            struct evidence_flip f = {.gained = i % 2};
            json_t *line = json_loads(lines[i], 0, NULL);
            assert_ok(evidence_describe(&f, &d, "acc,x", line, line, &e), &e);
            assert_true(f.prompt && f.target && f.before && f.after && !d.failed);
            free(f.choices);
            json_decref(line);
            json_decref(d.texts);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),        cmocka_unit_test(test_same_flips),
        cmocka_unit_test(test_divergence),   cmocka_unit_test(test_many_suites),
        cmocka_unit_test(test_missing),      cmocka_unit_test(test_whole_path),
        cmocka_unit_test(test_broken_files), cmocka_unit_test(test_broken_comparison),
        cmocka_unit_test(test_suite_names),  cmocka_unit_test(test_choices),
        cmocka_unit_test(test_contexts),     cmocka_unit_test(test_likelihood),
        cmocka_unit_test(test_generated),    cmocka_unit_test(test_odd_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
