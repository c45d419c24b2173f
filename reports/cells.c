#include "reports/cells.h"
#include "engine/base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The place that is being read. Only the first problem is told: after it, every take_...() gives an empty value. */
struct source {
    const char *document;
    char where[128];
    struct error *e;
    int status;
};

static void wrong(struct source *s, const char *key, const json_t *found, const char *right)
{
    static const char *const types[] = {"an object",     "an array", "a string", "a whole number",
                                        "a real number", "true",     "false",    "null"};
    if (s->status) return;
    s->status = error_set(s->e, ERROR_INPUT, "%s: %s%s%s: %s%s; %s would be right", s->document, s->where,
                          *s->where && *key ? "." : "", key, found ? "is " : "is missing",
                          found ? types[json_typeof(found)] : "", right);
}

static const json_t *take(struct source *s, const json_t *object, const char *key, json_type type, const char *right)
{
    const json_t *v = json_object_get(object, key);
    if (v && json_typeof(v) == type) return v;
    wrong(s, key, v, right);
    return NULL;
}

static const json_t *take_object(struct source *s, const json_t *object, const char *key)
{
    return take(s, object, key, JSON_OBJECT, "an object");
}

static const json_t *take_array(struct source *s, const json_t *object, const char *key)
{
    return take(s, object, key, JSON_ARRAY, "an array");
}

static const char *take_text(struct source *s, const json_t *object, const char *key)
{
    const json_t *v = take(s, object, key, JSON_STRING, "a string");
    return v ? json_string_value(v) : "";
}

static double take_number(struct source *s, const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_number(v)) return json_number_value(v);
    if (!json_is_null(v)) wrong(s, key, v, "a number or null");
    return NAN;
}

static int64_t take_count(struct source *s, const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_integer(v) && json_integer_value(v) >= 0) return json_integer_value(v);
    if (json_is_integer(v)) wrong(s, key, v, "one that is not negative");
    if (!json_is_null(v)) wrong(s, key, v, "a whole number or null");
    return -1;
}

static bool take_choice(struct source *s, const json_t *object, const char *key, const char *yes, const char *no)
{
    const char *v = take_text(s, object, key);
    if (strcmp(v, yes) == 0) return true;
    if (strcmp(v, no) == 0 || s->status) return false;
    char right[64];
    snprintf(right, sizeof right, no[0] ? "\"%s\" or \"%s\"" : "\"%s\"", yes, no);
    wrong(s, key, json_object_get(object, key), right);
    return false;
}

static bool take_bool(struct source *s, const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_boolean(v) && !json_is_null(v)) wrong(s, key, v, "true, false or null");
    return json_is_true(v);
}

static struct figure take_figure(struct source *s, const json_t *object)
{
    struct figure f = {.value = take_number(s, object, "value"),
                       .standard_error = take_number(s, object, "stderr"),
                       .low = NAN,
                       .high = NAN,
                       .reason = json_string_value(json_object_get(object, "reason"))};
    const json_t *ci = json_object_get(object, "ci95");
    if (json_is_null(ci)) return f;
    const json_t *low = json_array_get(ci, 0), *high = json_array_get(ci, 1);
    if (json_array_size(ci) != 2 || !(json_is_number(low) || json_is_null(low)) ||
        !(json_is_number(high) || json_is_null(high))) {
        wrong(s, "ci95", ci, "null or [low, high]");
        return f;
    }
    if (json_is_number(low) && json_is_number(high)) f.low = json_number_value(low), f.high = json_number_value(high);
    return f;
}

static void take_cell(struct source *s, const json_t *v, struct report_cell *cell, bool is_baseline)
{
    *cell = (struct report_cell){.figure = take_figure(s, v), .p = NAN, .p_holm = NAN, .gained = -1, .lost = -1};
    cell->refused = json_string_value(json_object_get(v, "refused"));
    cell->difference = (struct figure){NAN, NAN, NAN, NAN, NULL};
    const json_t *d = json_object_get(v, "difference");
    if (json_is_null(d)) return;
    if (!json_is_object(d) || is_baseline) {
        wrong(s, "difference", d, is_baseline ? "null, for the baseline," : "an object or null");
        return;
    }
    strncat(s->where, ".difference", sizeof s->where - strlen(s->where) - 1);
    cell->has_difference = true;
    cell->difference = take_figure(s, d);
    cell->p = take_number(s, d, "p");
    if (json_object_get(d, "p_holm")) cell->p_holm = take_number(s, d, "p_holm");
    cell->significant = take_bool(s, d, "significant");
    cell->gained = take_count(s, d, "gained");
    cell->lost = take_count(s, d, "lost");
}

static void take_subject(struct source *s, const json_t *v, struct report_subject *out)
{
    *out = (struct report_subject){
        .name = take_text(s, v, "name"),
        .model = take_text(s, v, "model"),
        .backend = take_text(s, v, "backend"),
        .math = take_text(s, v, "math"),
        .sha256 = take_text(s, v, "sha256"),
        .bits_per_weight = take_number(s, v, "bits_per_weight"),
        .seconds = NAN,
        .parameters = take_count(s, v, "parameters"),
        .weight_bytes = take_count(s, v, "weight_bytes"),
        .peak_bytes = -1,
    };
}

/* The cells are counted before anything is allocated for them, so that memory stays proportional to the file. */
static void check_cells(struct source *s, const json_t *rows, size_t n_subjects)
{
    for (size_t i = 0; i < json_array_size(rows) && !s->status; i++) {
        snprintf(s->where, sizeof s->where, "rows[%zu]", i);
        const json_t *cells = take_array(s, json_array_get(rows, i), "cells");
        if (!s->status && json_array_size(cells) != n_subjects) wrong(s, "cells", cells, "one cell for every subject");
    }
    *s->where = 0;
}

static void take_header(struct source *s, struct report *r, const json_t *v, const char *schema)
{
    if (!json_is_object(v)) wrong(s, "", v, "an object");
    take_choice(s, v, "schema", schema, "");
    const json_t *kerf = take_object(s, v, "kerf"), *machine = take_object(s, v, "machine");
    if (s->status) return;
    snprintf(s->where, sizeof s->where, "kerf");
    r->version = take_text(s, kerf, "version");
    r->commit = take_text(s, kerf, "commit");
    snprintf(s->where, sizeof s->where, "machine");
    r->cpu = take_text(s, machine, "cpu");
    r->isa = take_text(s, machine, "isa");
    r->threads = take_count(s, machine, "threads");
    *s->where = 0;
}

static void allocate(struct source *s, struct report *r, size_t n_subjects, size_t n_rows)
{
    if (s->status) return;
    r->subjects = memory_new(n_subjects, sizeof *r->subjects, "subjects of a report", s->e);
    r->rows = memory_new(n_rows, sizeof *r->rows, "rows of a report", s->e);
    r->cells = n_rows <= SIZE_MAX / n_subjects
                   ? memory_new(n_rows * n_subjects, sizeof *r->cells, "cells of a report", s->e)
                   : NULL;
    if (!r->subjects || !r->rows || !r->cells) {
        s->status = ERROR_IO;
        return;
    }
    r->n_subjects = n_subjects;
    r->n_rows = n_rows;
    for (size_t i = 0; i < n_rows; i++) r->rows[i].cells = r->cells + i * n_subjects;
}

static int finish(struct source *s, struct report *r)
{
    if (s->status) report_close(r);
    return s->status;
}

/* Adds those of a list, where it is there; `suite` is that of all of them, or NULL where each names its own. */
static void take_canaries(struct source *s, struct report *r, const json_t *list, const char *suite, size_t capacity)
{
    const size_t n = json_array_size(list);
    if (!r->canaries && !s->status && n + capacity) {
        r->canaries = memory_new(n + capacity, sizeof *r->canaries, "canaries of a report", s->e);
        if (!r->canaries) s->status = ERROR_IO;
    }
    for (size_t i = 0; i < n && !s->status; i++) {
        const json_t *v = json_array_get(list, i);
        snprintf(s->where, sizeof s->where, "canaries[%zu]", i);
        struct report_canary *to = &r->canaries[r->n_canaries++];
        *to = (struct report_canary){.suite = suite ? suite : take_text(s, v, "suite"),
                                     .name = take_text(s, v, "name"),
                                     .reason = take_text(s, v, "reason")};
        if (suite) continue;
        const int64_t subject = take_count(s, v, "subject");
        if (subject < 0 || (uint64_t)subject >= r->n_subjects)
            wrong(s, "subject", json_object_get(v, "subject"), "the index of a subject");
        else
            to->subject = (size_t)subject;
    }
    *s->where = 0;
}

int report_read_comparison(struct report *r, const json_t *comparison, struct error *e)
{
    struct source s = {.document = "comparison", .e = e};
    *r = (struct report){0};
    take_header(&s, r, comparison, "kerf-compare-1");
    const json_t *subjects = take_array(&s, comparison, "subjects"), *rows = take_array(&s, comparison, "rows");
    const json_t *resampling = take_object(&s, comparison, "resampling");
    if (!s.status && json_array_size(subjects) == 0) wrong(&s, "subjects", subjects, "one with at least the baseline");
    check_cells(&s, rows, json_array_size(subjects));
    allocate(&s, r, json_array_size(subjects), json_array_size(rows));
    for (size_t i = 0; i < r->n_subjects && !s.status; i++) {
        const json_t *v = json_array_get(subjects, i);
        snprintf(s.where, sizeof s.where, "subjects[%zu]", i);
        take_subject(&s, v, &r->subjects[i]);
        r->subjects[i].seconds = take_number(&s, v, "seconds");
        r->subjects[i].peak_bytes = take_count(&s, v, "peak_bytes");
    }
    for (size_t i = 0; i < r->n_rows && !s.status; i++) {
        const json_t *v = json_array_get(rows, i);
        struct report_row *row = &r->rows[i];
        snprintf(s.where, sizeof s.where, "rows[%zu]", i);
        row->suite = take_text(&s, v, "suite");
        row->metric = take_text(&s, v, "metric");
        row->unit = take_text(&s, v, "unit");
        row->fingerprint = take_text(&s, v, "fingerprint");
        row->higher_is_better = take_choice(&s, v, "better", "higher", "lower");
        row->items = take_count(&s, v, "items");
        row->is_distance = json_is_true(json_object_get(v, "divergence"));
        for (size_t j = 0; j < r->n_subjects && !s.status; j++) {
            snprintf(s.where, sizeof s.where, "rows[%zu].cells[%zu]", i, j);
            take_cell(&s, json_array_get(json_object_get(v, "cells"), j), &row->cells[j], j == 0);
        }
    }
    take_canaries(&s, r, json_object_get(comparison, "canaries"), NULL, 0);
    snprintf(s.where, sizeof s.where, "resampling");
    r->resamples = take_count(&s, resampling, "resamples");
    r->seed = take_count(&s, resampling, "seed");
    return finish(&s, r);
}

/* The metrics of suite i as rows from `row` on; returns the row after them. */
static struct report_row *take_suite(struct source *s, const json_t *suite, size_t i, struct report_row *row)
{
    snprintf(s->where, sizeof s->where, "suites[%zu]", i);
    const char *name = take_text(s, suite, "name"), *fingerprint = take_text(s, suite, "fingerprint");
    const int64_t items = take_count(s, suite, "items");
    const json_t *metrics = json_object_get(suite, "metrics");
    for (size_t j = 0; j < json_array_size(metrics) && !s->status; j++, row++) {
        const json_t *v = json_array_get(metrics, j);
        snprintf(s->where, sizeof s->where, "suites[%zu].metrics[%zu]", i, j);
        row->suite = name;
        row->fingerprint = fingerprint;
        row->items = items;
        row->metric = take_text(s, v, "name");
        row->unit = take_text(s, v, "unit");
        row->higher_is_better = take_choice(s, v, "better", "higher", "lower");
        *row->cells =
            (struct report_cell){.figure = take_figure(s, v), .p = NAN, .p_holm = NAN, .gained = -1, .lost = -1};
    }
    return row;
}

int report_read_run(struct report *r, const json_t *run, struct error *e)
{
    struct source s = {.document = "run", .e = e};
    *r = (struct report){0};
    take_header(&s, r, run, "kerf-run-1");
    const json_t *subject = take_object(&s, run, "subject"), *suites = take_array(&s, run, "suites");
    size_t n_rows = 0, n_canaries = 0;
    for (size_t i = 0; i < json_array_size(suites) && !s.status; i++) {
        snprintf(s.where, sizeof s.where, "suites[%zu]", i);
        n_rows += json_array_size(take_array(&s, json_array_get(suites, i), "metrics"));
        n_canaries += json_array_size(json_object_get(json_array_get(suites, i), "canaries"));
    }
    allocate(&s, r, 1, n_rows);
    if (s.status) return finish(&s, r);
    snprintf(s.where, sizeof s.where, "subject");
    take_subject(&s, subject, r->subjects);
    *s.where = 0;
    r->subjects->seconds = take_number(&s, run, "seconds");
    struct report_row *row = r->rows;
    for (size_t i = 0; i < json_array_size(suites) && !s.status; i++) {
        const json_t *suite = json_array_get(suites, i);
        row = take_suite(&s, suite, i, row);
        take_canaries(&s, r, json_object_get(suite, "canaries"), json_string_value(json_object_get(suite, "name")),
                      n_canaries);
    }
    return finish(&s, r);
}

void report_close(struct report *r)
{
    free(r->subjects);
    free(r->rows);
    free(r->cells);
    free(r->canaries);
    *r = (struct report){0};
}

enum verdict cell_verdict(const struct report_row *row, const struct report_cell *cell)
{
    const double d = cell->difference.value;
    if (!cell->has_difference || !cell->significant || isnan(d) || d == 0) return VERDICT_NONE;
    return (d > 0) == row->higher_is_better ? VERDICT_BETTER : VERDICT_WORSE;
}

const char *verdict_mark(enum verdict v) { return v == VERDICT_WORSE ? "✗" : v == VERDICT_BETTER ? "✓" : " "; }

const char *cell_reason(const struct report *r, size_t row, size_t subject, struct text *of)
{
    const struct report_row *x = &r->rows[row];
    const struct report_cell *cell = &x->cells[subject];
    if (cell->refused && !row_opens_suite(r, row) && r->rows[row - 1].cells[subject].refused) return NULL;
    text_add(of, x->suite);
    if (!cell->refused) text_printf(of, " %s", x->metric);
    return cell->refused ? cell->refused : cell->figure.reason ? cell->figure.reason : cell->difference.reason;
}

bool cell_is_doubtful(const struct report *r, const struct report_row *row, size_t subject)
{
    for (size_t i = 0; i < r->n_canaries; i++)
        if (r->canaries[i].subject == subject && strcmp(r->canaries[i].suite, row->suite) == 0) return true;
    return false;
}

bool row_has_flips(const struct report_row *row, size_t n_subjects)
{
    for (size_t j = 1; j < n_subjects; j++)
        if (row->cells[j].gained >= 0 && row->cells[j].lost >= 0) return true;
    return false;
}

bool row_opens_suite(const struct report *r, size_t row)
{
    return row == 0 || strcmp(r->rows[row].suite, r->rows[row - 1].suite) != 0;
}

static bool vanishes(double v, int decimals) { return v != 0 && fabs(v) < 0.5 * pow(10, -decimals); }

int row_decimals(const struct report_row *row, size_t n_subjects)
{
    double largest = 0;
    for (size_t j = 0; j < n_subjects; j++) largest = fmax(largest, fabs(row->cells[j].figure.value));
    const bool is_ratio = row->unit[0] == 0 && largest <= 1;
    const int decimals = strcmp(row->unit, "%") == 0 ? 2
                         : is_ratio                  ? 3
                         : largest < 10              ? 4
                         : largest < 100             ? 3
                         : largest < 1000            ? 2
                                                     : 1;
    for (size_t j = 1; j < n_subjects; j++) {
        const double d = row->cells[j].difference.value;
        if (decimals < 4 && vanishes(d, decimals) && !vanishes(d, decimals + 1)) return decimals + 1;
    }
    return decimals;
}

/* "+2.1e-06" becomes "+2.1e-6": no wider than the zeros that it stands for. */
static void format_scientific(char *out, double v, int digits, bool sign)
{
    snprintf(out, CELL_TEXT, sign ? "%+.*e" : "%.*e", digits, v);
    char *exponent = strchr(out, 'e');
    if (!exponent) return;
    const int power = atoi(exponent + 1);
    snprintf(exponent + 1, 8, "%d", power);
}

static void format_number(char *out, double v, int decimals, bool sign)
{
    if (isnan(v))
        snprintf(out, CELL_TEXT, "n/a");
    else if (v == 0)
        snprintf(out, CELL_TEXT, "%.*f", decimals, 0.0);
    else if (fabs(v) >= 1e7)
        format_scientific(out, v, 3, sign);
    else if (vanishes(v, decimals))
        format_scientific(out, v, 1, sign);
    else
        snprintf(out, CELL_TEXT, sign ? "%+.*f" : "%.*f", decimals, v);
}

void format_value(char out[CELL_TEXT], double v, int decimals) { format_number(out, v, decimals, false); }

void format_difference(char out[CELL_TEXT], double v, int decimals) { format_number(out, v, decimals, true); }

void format_interval(char out[CELL_TEXT], const struct figure *f, int decimals, bool sign)
{
    *out = 0;
    if (isnan(f->low) || isnan(f->high)) return;
    char low[CELL_TEXT], high[CELL_TEXT];
    format_number(low, f->low, decimals, sign);
    format_number(high, f->high, decimals, sign);
    snprintf(out, CELL_TEXT, "[%.36s, %.36s]", low, high);
}

void format_flips(char out[CELL_TEXT], const struct report_cell *cell)
{
    *out = 0;
    if (cell->gained >= 0 && cell->lost >= 0)
        snprintf(out, CELL_TEXT, "+%" PRId64 " -%" PRId64, cell->gained, cell->lost);
}

static double cost_value(const struct report_subject *s, int cost)
{
    if (cost == 0) return s->bits_per_weight;
    if (cost == 2) return s->seconds;
    return s->weight_bytes < 0 ? NAN : (double)s->weight_bytes / (1 << 20);
}

const char *cost_name(int cost)
{
    static const char *const names[COSTS] = {"bits/weight", "weights MiB", "seconds"};
    return names[cost];
}

void format_cost(char out[CELL_TEXT], const struct report_subject *s, int cost)
{
    const double v = cost_value(s, cost);
    if (cost == 2 && v < 10)
        snprintf(out, CELL_TEXT, "%.2f", v);
    else
        format_value(out, v, cost == 2 || v >= 1000 ? 1 : 2);
}

void format_cost_change(char out[CELL_TEXT], const struct report_subject *s, const struct report_subject *baseline,
                        int cost)
{
    const double percent = 100 * (cost_value(s, cost) / cost_value(baseline, cost) - 1);
    *out = 0;
    if (fabs(percent) < 1e5) snprintf(out, CELL_TEXT, fabs(percent) < 0.05 ? "0.0%%" : "%+.1f%%", percent);
}

void subject_label(struct text *out, const struct report *r, size_t subject)
{
    const struct report_subject *s = &r->subjects[subject];
    const size_t n = strlen(r->subjects->model);
    const bool same_model = strcmp(s->model, r->subjects->model) == 0 && strncmp(s->name, s->model, n) == 0;
    const bool brief = same_model && (s->name[n] == '@' || s->name[n] == ' ');
    text_add(out, brief ? s->name + n + (s->name[n] == ' ') : s->name);
    if (strcmp(s->math, "exact") != 0) text_printf(out, " (%s)", s->math);
}
