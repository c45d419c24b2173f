/* A comparison or a run from JSON, with every field checked. */
#include "engine/base/memory.h"
#include "engine/base/table.h"
#include "reports/cells.h"
#include "reports/fields.h"
#include "reports/profile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct figure take_figure(struct fields *s, const json_t *object)
{
    struct figure f = {.value = fields_number(s, object, "value"),
                       .standard_error = fields_number(s, object, "stderr"),
                       .low = NAN,
                       .high = NAN,
                       .reason = fields_maybe_text(s, object, "reason", NULL)};
    if (f.standard_error < 0) fields_wrong(s, "stderr", json_object_get(object, "stderr"), "one that is not negative");
    const json_t *ci = json_object_get(object, "ci95");
    if (json_is_null(ci)) return f;
    const json_t *low = json_array_get(ci, 0), *high = json_array_get(ci, 1);
    if (json_array_size(ci) != 2 || !(json_is_number(low) || json_is_null(low)) ||
        !(json_is_number(high) || json_is_null(high))) {
        fields_wrong(s, "ci95", ci, "null or [low, high]");
        return f;
    }
    if (json_is_number(low) && json_is_number(high)) f.low = json_number_value(low), f.high = json_number_value(high);
    if (f.low > f.high) fields_wrong(s, "ci95", ci, "null or [low, high], the lower one first");
    return f;
}

static void take_cell(struct fields *s, const json_t *v, struct report_cell *cell, bool is_baseline)
{
    *cell = (struct report_cell){.figure = take_figure(s, v), .p = NAN, .p_holm = NAN, .gained = -1, .lost = -1};
    cell->refused = fields_maybe_text(s, v, "refused", NULL);
    cell->absent = fields_maybe_bool(s, v, "absent");
    cell->difference = (struct figure){NAN, NAN, NAN, NAN, NULL};
    const json_t *d = json_object_get(v, "difference");
    if (json_is_null(d)) return;
    if (!json_is_object(d) || is_baseline) {
        fields_wrong(s, "difference", d, is_baseline ? "null, for the baseline," : "an object or null");
        return;
    }
    const size_t place = fields_enter(s, "difference");
    cell->has_difference = true;
    cell->difference = take_figure(s, d);
    cell->p = fields_number(s, d, "p");
    cell->p_holm = fields_maybe_number(s, d, "p_holm");
    cell->significant = fields_bool(s, d, "significant");
    cell->gained = fields_count(s, d, "gained");
    cell->lost = fields_count(s, d, "lost");
    fields_leave(s, place);
}

static const json_t *take_counters(struct fields *s, const json_t *v)
{
    const json_t *counters = fields_maybe_typed(s, v, "counters", JSON_OBJECT, "an object or null");
    const size_t place = fields_enter(s, "counters");
    for (void *at = json_object_iter((json_t *)counters); at; at = json_object_iter_next((json_t *)counters, at))
        fields_number(s, counters, json_object_iter_key(at));
    fields_leave(s, place);
    return counters;
}

/* Read once for its errors: who shows it reads it again. */
static const json_t *take_profile(struct fields *s, const json_t *v)
{
    const json_t *profile = fields_maybe_typed(s, v, "profile", JSON_OBJECT, "an object or null");
    struct report_profile p;
    char where[192];
    if (!profile || s->status) return NULL;
    snprintf(where, sizeof where, "%s: %s%sprofile", s->document, s->where, *s->where ? "." : "");
    s->status = report_profile_read(&p, profile, where, s->e);
    if (!s->status) report_profile_close(&p);
    return profile;
}

/* The program and the machine of each subject, the report's where it does not say. */
static void take_origin(struct fields *s, const struct report *r, const json_t *v, struct report_subject *out)
{
    const json_t *kerf = fields_maybe_typed(s, v, "kerf", JSON_OBJECT, "an object"),
                 *machine = fields_maybe_typed(s, v, "machine", JSON_OBJECT, "an object"),
                 *source = fields_maybe_typed(s, v, "source", JSON_OBJECT, "an object or null");
    size_t place = fields_enter(s, "kerf");
    out->version = fields_maybe_text(s, kerf, "version", source ? "" : r->version);
    out->commit = fields_maybe_text(s, kerf, "commit", source ? "" : r->commit);
    fields_leave(s, place);
    place = fields_enter(s, "machine");
    out->cpu = fields_maybe_text(s, machine, "cpu", source ? "" : r->cpu);
    out->isa = fields_maybe_text(s, machine, "isa", source ? "" : r->isa);
    out->threads = json_object_get(machine, "threads") ? fields_count(s, machine, "threads") : source ? -1 : r->threads;
    fields_leave(s, place);
    place = fields_enter(s, "source");
    out->source = source ? fields_text(s, source, "tool") : NULL;
    fields_leave(s, place);
    out->started = fields_maybe_text(s, v, "started", "");
    out->folder = fields_maybe_text(s, v, "run", NULL);
    out->tokens_per_second = fields_maybe_number(s, v, "tokens_per_second");
    out->counters = take_counters(s, v);
    out->profile = take_profile(s, v);
}

/* That of the row is everyone's who is compared in it; who is not has its own, if any. */
static void take_fingerprint(struct fields *s, const struct report_row *row, const json_t *v, size_t subject)
{
    struct report_cell *cell = &row->cells[subject];
    const char *own = fields_maybe_text(s, v, "fingerprint", NULL);
    if (cell->absent || row->is_distance) return;
    cell->fingerprint = own || cell->refused ? own : *row->fingerprint ? row->fingerprint : NULL;
}

static void take_subject(struct fields *s, const json_t *v, struct report_subject *out)
{
    *out = (struct report_subject){
        .name = fields_text(s, v, "name"),
        .model = fields_text(s, v, "model"),
        .backend = fields_text(s, v, "backend"),
        .math = fields_text(s, v, "math"),
        .sha256 = fields_text(s, v, "sha256"),
        .id = fields_maybe_text(s, v, "id", ""),
        .bits_per_weight = fields_number(s, v, "bits_per_weight"),
        .seconds = NAN,
        .parameters = fields_count(s, v, "parameters"),
        .weight_bytes = fields_count(s, v, "weight_bytes"),
        .peak_bytes = -1,
    };
}

/* The cells are counted before anything is allocated for them, so that memory stays proportional to the file. */
static void check_cells(struct fields *s, const json_t *rows, size_t n_subjects)
{
    for (size_t i = 0; i < json_array_size(rows) && !s->status; i++) {
        snprintf(s->where, sizeof s->where, "rows[%zu]", i);
        const json_t *cells = fields_array(s, json_array_get(rows, i), "cells");
        if (!s->status && json_array_size(cells) != n_subjects)
            fields_wrong(s, "cells", cells, "one cell for every subject");
    }
    *s->where = 0;
}

static void take_header(struct fields *s, struct report *r, const json_t *v, const char *schema)
{
    if (!json_is_object(v)) fields_wrong(s, "", v, "an object");
    fields_choice(s, v, "schema", schema, "");
    const json_t *kerf = fields_object(s, v, "kerf"), *machine = fields_object(s, v, "machine");
    if (s->status) return;
    snprintf(s->where, sizeof s->where, "kerf");
    r->version = fields_text(s, kerf, "version");
    r->commit = fields_text(s, kerf, "commit");
    snprintf(s->where, sizeof s->where, "machine");
    r->cpu = fields_text(s, machine, "cpu");
    r->isa = fields_text(s, machine, "isa");
    r->threads = fields_count(s, machine, "threads");
    *s->where = 0;
}

static void allocate(struct fields *s, struct report *r, size_t n_subjects, size_t n_rows)
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

/* Every cell of a suite in which a canary sings, each looked at once. */
static int mark_doubts(const struct report *r, struct error *e)
{
    struct table suites = {0};
    int status = 0;
    int64_t first;
    for (size_t i = 0; i < r->n_rows && r->n_canaries && !status; i++)
        status = table_add(&suites, r->rows[i].suite, strlen(r->rows[i].suite), (int64_t)i, NULL, e);
    for (size_t i = r->n_canaries; i-- > 0 && !status;) {
        struct report_canary *c = &r->canaries[i];
        if (!table_find(&suites, c->suite, strlen(c->suite), &first)) continue;
        struct report_cell *cell = &r->rows[first].cells[c->subject];
        c->next = cell->canaries;
        cell->canaries = c;
        cell->doubtful = true;
    }
    for (size_t i = 0; i < r->n_rows && r->n_canaries && !status; i++) {
        if (!table_find(&suites, r->rows[i].suite, strlen(r->rows[i].suite), &first)) continue;
        for (size_t j = 0; j < r->n_subjects; j++) r->rows[i].cells[j].doubtful = r->rows[first].cells[j].doubtful;
    }
    table_free(&suites);
    return status;
}

/* The one reason for which a subject is not compared in any row that the baseline has, or NULL. */
static const char *common_refusal(const struct report *r, size_t subject)
{
    const char *reason = NULL;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_cell *cell = &r->rows[i].cells[subject];
        if (cell->absent || r->rows[i].is_distance || r->rows[i].cells->absent) continue;
        if (!cell->refused || (reason && strcmp(reason, cell->refused) != 0)) return NULL;
        reason = cell->refused;
    }
    return reason;
}

static int finish(struct fields *s, struct report *r)
{
    if (!s->status) s->status = mark_doubts(r, s->e);
    for (size_t j = 0; j < r->n_subjects && !s->status; j++) r->subjects[j].refused = common_refusal(r, j);
    for (size_t i = 0; i < r->n_rows && !s->status; i++) r->rows[i].decimals = row_decimals(&r->rows[i], r->n_subjects);
    if (s->status) report_close(r);
    return s->status;
}

/* Adds those of a list, where it is there; `suite` is that of all of them, or NULL where each names its own. */
static void take_canaries(struct fields *s, struct report *r, const json_t *list, const char *suite, size_t capacity)
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
        *to = (struct report_canary){.suite = suite ? suite : fields_text(s, v, "suite"),
                                     .name = fields_text(s, v, "name"),
                                     .reason = fields_text(s, v, "reason")};
        if (suite) continue;
        const int64_t subject = fields_count(s, v, "subject");
        if (subject < 0 || (uint64_t)subject >= r->n_subjects)
            fields_wrong(s, "subject", json_object_get(v, "subject"), "the index of a subject");
        else
            to->subject = (size_t)subject;
    }
    *s->where = 0;
}

/* A suite whose rows stand apart would be taken for several. */
static void check_order(struct fields *s, const struct report *r)
{
    struct table seen = {0};
    for (size_t i = 0; i < r->n_rows && !s->status; i++) {
        const char *suite = r->rows[i].suite;
        bool was_there = false;
        if (row_opens_suite(r, i)) s->status = table_add(&seen, suite, strlen(suite), 0, &was_there, s->e);
        if (!s->status && was_there)
            s->status = error_set(s->e, ERROR_INPUT,
                                  "%s: rows[%zu].suite: other rows of \"%.60s\" stand further up: put them together",
                                  s->document, i, suite);
    }
    table_free(&seen);
}

int report_read_comparison(struct report *r, const json_t *comparison, struct error *e)
{
    struct fields s = {.document = "comparison", .e = e};
    *r = (struct report){0};
    take_header(&s, r, comparison, "kerf-compare-1");
    const json_t *subjects = fields_array(&s, comparison, "subjects"), *rows = fields_array(&s, comparison, "rows");
    const json_t *resampling = fields_object(&s, comparison, "resampling");
    if (!s.status && json_array_size(subjects) == 0)
        fields_wrong(&s, "subjects", subjects, "one with at least the baseline");
    check_cells(&s, rows, json_array_size(subjects));
    allocate(&s, r, json_array_size(subjects), json_array_size(rows));
    for (size_t i = 0; i < r->n_subjects && !s.status; i++) {
        const json_t *v = json_array_get(subjects, i);
        snprintf(s.where, sizeof s.where, "subjects[%zu]", i);
        take_subject(&s, v, &r->subjects[i]);
        r->subjects[i].seconds = fields_number(&s, v, "seconds");
        r->subjects[i].peak_bytes = fields_count(&s, v, "peak_bytes");
        take_origin(&s, r, v, &r->subjects[i]);
    }
    for (size_t i = 0; i < r->n_rows && !s.status; i++) {
        const json_t *v = json_array_get(rows, i);
        struct report_row *row = &r->rows[i];
        snprintf(s.where, sizeof s.where, "rows[%zu]", i);
        row->suite = fields_text(&s, v, "suite");
        row->metric = fields_text(&s, v, "metric");
        row->unit = fields_text(&s, v, "unit");
        row->fingerprint = fields_text(&s, v, "fingerprint");
        row->higher_is_better = fields_choice(&s, v, "better", "higher", "lower");
        row->items = fields_count(&s, v, "items");
        row->is_distance = fields_maybe_bool(&s, v, "divergence");
        for (size_t j = 0; j < r->n_subjects && !s.status; j++) {
            snprintf(s.where, sizeof s.where, "rows[%zu].cells[%zu]", i, j);
            const json_t *cell = json_array_get(json_object_get(v, "cells"), j);
            take_cell(&s, cell, &row->cells[j], j == 0);
            take_fingerprint(&s, row, cell, j);
        }
    }
    check_order(&s, r);
    take_canaries(&s, r, fields_maybe_typed(&s, comparison, "canaries", JSON_ARRAY, "an array or null"), NULL, 0);
    snprintf(s.where, sizeof s.where, "resampling");
    r->resamples = fields_count(&s, resampling, "resamples");
    r->seed = fields_count(&s, resampling, "seed");
    return finish(&s, r);
}

/* The metrics of suite i as rows from `row` on; returns the row after them. */
static struct report_row *take_suite(struct fields *s, const json_t *suite, size_t i, struct report_row *row)
{
    snprintf(s->where, sizeof s->where, "suites[%zu]", i);
    const char *name = fields_text(s, suite, "name"), *fingerprint = fields_text(s, suite, "fingerprint");
    const int64_t items = fields_count(s, suite, "items");
    const json_t *metrics = json_object_get(suite, "metrics");
    for (size_t j = 0; j < json_array_size(metrics) && !s->status; j++, row++) {
        const json_t *v = json_array_get(metrics, j);
        snprintf(s->where, sizeof s->where, "suites[%zu].metrics[%zu]", i, j);
        row->suite = name;
        row->fingerprint = fingerprint;
        row->items = items;
        row->metric = fields_text(s, v, "name");
        row->unit = fields_text(s, v, "unit");
        row->higher_is_better = fields_choice(s, v, "better", "higher", "lower");
        *row->cells = (struct report_cell){
            .figure = take_figure(s, v), .p = NAN, .p_holm = NAN, .gained = -1, .lost = -1, .fingerprint = fingerprint};
    }
    return row;
}

int report_read_run(struct report *r, const json_t *run, struct error *e)
{
    struct fields s = {.document = "run", .e = e};
    *r = (struct report){0};
    take_header(&s, r, run, "kerf-run-1");
    const json_t *subject = fields_object(&s, run, "subject"), *suites = fields_array(&s, run, "suites");
    size_t n_rows = 0, n_canaries = 0;
    for (size_t i = 0; i < json_array_size(suites) && !s.status; i++) {
        snprintf(s.where, sizeof s.where, "suites[%zu]", i);
        n_rows += json_array_size(fields_array(&s, json_array_get(suites, i), "metrics"));
        n_canaries += json_array_size(
            fields_maybe_typed(&s, json_array_get(suites, i), "canaries", JSON_ARRAY, "an array or null"));
    }
    allocate(&s, r, 1, n_rows);
    if (s.status) return finish(&s, r);
    snprintf(s.where, sizeof s.where, "subject");
    take_subject(&s, subject, r->subjects);
    *s.where = 0;
    take_origin(&s, r, run, r->subjects);
    r->subjects->seconds = fields_number(&s, run, "seconds");
    struct report_row *row = r->rows;
    for (size_t i = 0; i < json_array_size(suites) && !s.status; i++) {
        const json_t *suite = json_array_get(suites, i);
        row = take_suite(&s, suite, i, row);
        take_canaries(&s, r, json_object_get(suite, "canaries"), json_string_value(json_object_get(suite, "name")),
                      n_canaries);
    }
    return finish(&s, r);
}
