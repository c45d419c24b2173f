/* Other tools' runs beside kerf's in one comparison. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "reports/foreign/build.h"
#include "reports/foreign/foreign.h"

#include <string.h>

/* What a page or a table can still show; files of any size give no more. */
enum { SUBJECTS_MOST = 256, CELLS_MOST = 1 << 18 };

struct joining {
    json_t *comparison, *subjects, *rows;
    const json_t *run;
    json_t *of;    /* {key of a suite and a metric: {"suite", "metric": as the run has them}} */
    json_t *fresh; /* {suite: rows that the comparison does not have}, in the run's order */
    size_t n;      /* subjects before this one */
    struct text why;
};

/* --- cells --- */

static json_t *make_cell(const json_t *metric)
{
    static const char *const keys[] = {"value", "stderr", "ci95", "reason"};
    json_t *cell = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(metric, keys[i]);
        if (v || i < 3) json_object_set_new(cell, keys[i], v ? json_incref(v) : json_null());
    }
    json_object_set_new(cell, "difference", json_null());
    json_object_set_new(cell, "fingerprint", json_null());
    return cell;
}

static json_t *make_absent(bool is_baseline)
{
    json_t *cell = make_cell(NULL);
    json_object_set_new(cell, "reason", json_string("not measured"));
    json_object_set_new(cell, "absent", json_true());
    if (!is_baseline) json_object_set_new(cell, "refused", json_string("not measured"));
    return cell;
}

/* This subject's value in a row; one whose direction is the other is another metric, whatever its name. */
static json_t *make_own(const struct joining *j, const json_t *metric, const char *better)
{
    if (strcmp(json_text_of(metric, "better"), better) != 0) {
        json_t *cell = make_absent(j->n == 0);
        json_object_set_new(cell, "reason", json_string("its metric of this name is better in the other direction"));
        return cell;
    }
    json_t *cell = make_cell(metric);
    if (j->n) json_object_set_new(cell, "refused", json_string(text_c(&j->why)));
    return cell;
}

/* --- rows --- */

/* The length keeps "a b" with "c" from "a" with "b c". */
static void row_key(struct text *key, const char *suite, const char *metric)
{
    text_clear(key);
    text_printf(key, "%zu %s %s", strlen(suite), suite, metric);
}

static int list_metrics(struct joining *j, struct error *e)
{
    struct text key = {0};
    const json_t *suite;
    json_t *metric;
    size_t s, m;
    json_array_foreach(json_object_get(j->run, "suites"), s, suite)
    {
        json_array_foreach(json_object_get(suite, "metrics"), m, metric)
        {
            row_key(&key, json_text_of(suite, "name"), json_text_of(metric, "name"));
            if (json_object_get(j->of, text_c(&key))) continue;
            json_t *both = json_pack("{s:O, s:O}", "suite", suite, "metric", metric);
            if (!both || key.failed || json_object_set_new(j->of, text_c(&key), both)) {
                text_free(&key);
                return error_set(e, ERROR_IO, "out of memory for a comparison");
            }
        }
    }
    text_free(&key);
    return 0;
}

/* Where no protocol says of how many items a row is, all of its subjects must say the same. */
static void agree_on_items(json_t *row, const json_t *suite)
{
    if (*json_text_of(row, "fingerprint")) return;
    if (!json_equal(json_object_get(row, "items"), json_object_get(suite, "items")))
        json_object_set_new(row, "items", json_null());
}

/* A cell for every row that is there; what found its row is no longer in j->of. */
static void fill_rows(struct joining *j)
{
    struct text key = {0};
    json_t *row;
    size_t i;
    json_array_foreach(j->rows, i, row)
    {
        row_key(&key, json_text_of(row, "suite"), json_text_of(row, "metric"));
        const bool distance = json_is_true(json_object_get(row, "divergence"));
        const json_t *both = distance ? NULL : json_object_get(j->of, text_c(&key));
        json_t *cell =
            both ? make_own(j, json_object_get(both, "metric"), json_text_of(row, "better")) : make_absent(j->n == 0);
        json_array_append_new(json_object_get(row, "cells"), cell);
        if (both) {
            agree_on_items(row, json_object_get(both, "suite"));
            json_object_del(j->of, text_c(&key));
        }
    }
    text_free(&key);
}

static json_t *make_row(const struct joining *j, const json_t *suite, json_t *metric)
{
    json_t *cells = json_array(), *items = json_object_get(suite, "items");
    for (size_t i = 0; i < j->n; i++) json_array_append_new(cells, make_absent(i == 0));
    json_array_append_new(cells, make_own(j, metric, json_text_of(metric, "better")));
    return json_pack("{s:s, s:s, s:s, s:s, s:O, s:s, s:o}", "suite", json_text_of(suite, "name"), "metric",
                     json_text_of(metric, "name"), "unit", json_text_of(metric, "unit"), "better",
                     json_text_of(metric, "better"), "items", items, "fingerprint", "", "cells", cells);
}

static void make_rows(struct joining *j)
{
    const char *key;
    json_t *both;
    json_object_foreach(j->of, key, both)
    {
        const json_t *suite = json_object_get(both, "suite");
        const char *name = json_text_of(suite, "name");
        json_t *list = json_object_get(j->fresh, name);
        if (!list) json_object_set_new(j->fresh, name, list = json_array());
        json_array_append_new(list, make_row(j, suite, json_object_get(both, "metric")));
    }
}

static void move_fresh(struct joining *j, json_t *to, const char *suite)
{
    json_array_extend(to, json_object_get(j->fresh, suite));
    json_object_del(j->fresh, suite);
}

/* New rows follow those of their suite, since rows of one suite are neighbours; new suites come last. */
static int place_rows(struct joining *j, struct error *e)
{
    json_t *all = json_array(), *row, *list;
    const char *suite;
    size_t i;
    json_array_foreach(j->rows, i, row)
    {
        const char *name = json_text_of(row, "suite");
        const json_t *next = json_array_get(j->rows, i + 1);
        json_array_append(all, row);
        if (!next || strcmp(json_text_of(next, "suite"), name) != 0) move_fresh(j, all, name);
    }
    json_object_foreach(j->fresh, suite, list) json_array_extend(all, list);
    if (json_object_set_new(j->comparison, "rows", all))
        return error_set(e, ERROR_IO, "out of memory for a comparison");
    return 0;
}

/* --- the subject --- */

static bool name_is_taken(const struct joining *j, const char *name)
{
    size_t i;
    const json_t *subject;
    json_array_foreach(j->subjects, i, subject)
    {
        if (strcmp(json_text_of(subject, "name"), name) == 0) return true;
    }
    return false;
}

/* A name that another subject has gets the name of its file, and a number where that does not help. */
static void tell_apart(const struct joining *j, json_t *subject)
{
    const char *name = json_text_of(subject, "name");
    const char *file = path_name(json_text_of(json_object_get(subject, "source"), "file"));
    struct text other = {0};
    text_add(&other, name);
    if (name_is_taken(j, name)) text_printf(&other, " (%s)", file);
    const size_t length = other.length;
    for (size_t k = 2; name_is_taken(j, text_c(&other)) && !other.failed; k++) {
        other.bytes[other.length = length] = 0;
        text_printf(&other, " (%zu)", k);
    }
    json_object_set_new(subject, "name", json_text(text_c(&other), other.length));
    text_free(&other);
}

static int add_subject(const struct joining *j, struct error *e)
{
    static const char *const keys[] = {"seconds", "tokens_per_second", "peak_bytes", "started", "machine"};
    json_t *subject = json_copy(json_object_get(j->run, "subject"));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(j->run, keys[i]);
        json_object_set_new(subject, keys[i], v ? json_incref(v) : json_null());
    }
    tell_apart(j, subject);
    if (json_array_append_new(j->subjects, subject)) return error_set(e, ERROR_IO, "out of memory for a subject");
    return 0;
}

/* --- the whole --- */

static int check(const struct joining *j, struct error *e)
{
    if (!json_is_array(j->subjects) || !json_is_array(j->rows))
        return error_set(e, ERROR_INPUT, "comparison: subjects and rows must be lists, as kerf compare writes them");
    const size_t rows = json_array_size(j->rows) + json_object_size(j->of);
    if (j->n >= SUBJECTS_MOST || rows > CELLS_MOST / (j->n + 1))
        return error_set(
            e, ERROR_INPUT, "%s: a comparison of %zu subjects in %zu rows is too large: give fewer of them",
            json_text_of(json_object_get(json_object_get(j->run, "subject"), "source"), "file"), j->n + 1, rows);
    return 0;
}

int comparison_add(json_t *comparison, const json_t *run, struct error *e)
{
    struct joining j = {.comparison = comparison,
                        .subjects = json_object_get(comparison, "subjects"),
                        .rows = json_object_get(comparison, "rows"),
                        .run = run,
                        .of = json_object(),
                        .fresh = json_object()};
    j.n = json_array_size(j.subjects);
    text_printf(&j.why, "measured by %s, whose protocol is not known",
                json_text_of(json_object_get(json_object_get(run, "subject"), "source"), "tool"));
    int status = list_metrics(&j, e);
    if (!status) status = check(&j, e);
    if (!status) {
        fill_rows(&j);
        make_rows(&j);
        status = add_subject(&j, e);
    }
    if (!status) status = place_rows(&j, e);
    text_free(&j.why);
    json_decref(j.of);
    json_decref(j.fresh);
    return status;
}
