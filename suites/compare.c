#include "suites/compare.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "metrics/significance.h"
#include "suites/protocol.h"
#include "suites/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct comparing {
    const struct contender *all;
    size_t n;
    const struct compare_options *how;
    json_t *rows, *canaries;
    struct error *e;
};

const struct measured *contender_suite(const struct contender *c, const char *name)
{
    for (size_t i = 0; i < c->n_suites; i++)
        if (strcmp(json_text_of(c->suites[i].record, "name"), name) == 0) return &c->suites[i];
    return NULL;
}

/* --- cells --- */

static const json_t *metric_of(const json_t *suite_record, const char *name)
{
    size_t i;
    const json_t *m, *metrics = json_object_get(suite_record, "metrics");
    json_array_foreach(metrics, i, m) if (strcmp(json_text_of(m, "name"), name) == 0) return m;
    return NULL;
}

/* The numbers of a metric's record, and a difference that is still to come. */
static json_t *make_cell(const json_t *metric)
{
    static const char *const keys[] = {"value", "stderr", "ci95", "reason"};
    json_t *cell = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(metric, keys[i]);
        if (v)
            json_object_set(cell, keys[i], v);
        else if (i < 3)
            json_object_set_new(cell, keys[i], json_null());
    }
    json_object_set_new(cell, "difference", json_null());
    return cell;
}

/* Of a subject that the row's metric was not measured of. */
static json_t *make_absent(void)
{
    json_t *cell = make_cell(NULL);
    json_object_set_new(cell, "reason", json_string("not measured"));
    json_object_set_new(cell, "absent", json_true());
    return cell;
}

static json_t *make_value(const struct measured *x, const char *name)
{
    const json_t *metric = x ? metric_of(x->record, name) : NULL;
    return metric ? make_cell(metric) : make_absent();
}

static size_t score_index(const struct measured *m, const char *name)
{
    size_t i = 0;
    while (i < m->n_scores && strcmp(m->scores[i].name, name)) i++;
    return i;
}

/* Why a candidate's suite cannot be compared with the baseline's, "" where it can. */
static void find_obstacle(const struct comparing *c, const struct measured *base, const struct measured *x,
                          const char *score, struct text *why)
{
    const char *except = c->how->decoding_differs ? "decoding" : NULL;
    if (!x)
        text_add(why, "the run has no such suite");
    else if (!protocols_match(json_object_get(x->record, "protocol"), json_object_get(base->record, "protocol"), except,
                              why))
        return;
    else if (x->n != base->n)
        text_printf(why, "it has %zu outcomes, the baseline %zu", x->n, base->n);
    else if (score_index(x, score) == x->n_scores)
        text_printf(why, "the run has no %s", score);
}

/* Fills the candidate's cell; its p into *p. */
static int add_difference(struct comparing *c, const struct measured *base, const struct measured *x, size_t score,
                          json_t *cell, double *p)
{
    struct difference d;
    const struct score *s = &base->scores[score];
    int status = measure_compare(&s->measure, base->stats[score], x->stats[score_index(x, s->name)], x->n,
                                 &c->how->resampling, &d, c->e);
    if (status) return status;
    json_object_set_new(cell, "difference", difference_record(&d));
    *p = d.p;
    return 0;
}

/* A value that stands by itself has a fingerprint of its own. */
static void refuse(json_t *cell, const struct measured *x, const char *why)
{
    json_object_set_new(cell, "refused", json_text(why, strlen(why))); /* it may be cut within a character */
    if (x) json_object_set(cell, "fingerprint", json_object_get(x->record, "fingerprint"));
}

static int make_candidate(struct comparing *c, const struct measured *base, size_t score, size_t subject, json_t *cells,
                          double *p)
{
    const char *suite = json_text_of(base->record, "name"), *name = base->scores[score].name;
    const struct measured *x = contender_suite(&c->all[subject], suite);
    json_t *cell = make_value(x, name);
    json_array_append_new(cells, cell);
    struct text why = {0};
    int status = 0;
    find_obstacle(c, base, x, name, &why);
    if (!why.length)
        status = add_difference(c, base, x, score, cell, p);
    else if (c->how->force)
        refuse(cell, x, text_c(&why));
    else
        status = error_set(c->e, ERROR_INPUT,
                           "suite %s: %s is not comparable with the baseline: %s; --force shows them side by side",
                           suite, json_text_of(json_object_get(c->all[subject].run, "subject"), "name"), text_c(&why));
    text_free(&why);
    return status;
}

/* Where several candidates are tested at once, Holm's p decides. */
static void adjust(json_t *cells, double *p, size_t n)
{
    size_t tested = 0;
    for (size_t i = 1; i < n; i++) tested += isnan(p[i]) ? 0 : 1;
    if (tested < 2) return;
    holm(p + 1, n - 1);
    for (size_t i = 1; i < n; i++) {
        json_t *d = json_object_get(json_array_get(cells, i), "difference");
        if (!json_is_object(d)) continue;
        json_object_set_new(d, "p_holm", json_number_or_null(p[i]));
        json_object_set_new(d, "significant", json_boolean(p[i] < 0.05));
    }
}

static json_t *row_of(const json_t *suite, const char *name, const char *unit, const char *better, json_int_t items,
                      json_t *cells)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:o}", "suite", json_text_of(suite, "name"), "metric", name,
                     "unit", unit, "better", better, "items", items, "fingerprint", json_text_of(suite, "fingerprint"),
                     "cells", cells);
}

static int add_row(struct comparing *c, const struct measured *base, size_t score)
{
    const struct score *s = &base->scores[score];
    double *p = memory_new(c->n, sizeof *p, "a row", c->e);
    json_t *cells = json_array();
    json_array_append_new(cells, make_cell(metric_of(base->record, s->name)));
    int status = p ? 0 : ERROR_IO;
    for (size_t i = 1; i < c->n && !status; i++) {
        p[i] = NAN;
        status = make_candidate(c, base, score, i, cells, &p[i]);
    }
    if (!status) adjust(cells, p, c->n);
    free(p);
    const struct metric *m = s->measure.metric;
    json_array_append_new(c->rows, row_of(base->record, s->name, m->unit,
                                          m->better == BETTER_HIGHER ? "higher" : "lower", (json_int_t)base->n, cells));
    return status;
}

/* --- what the baseline has not been through --- */

static bool row_is_there(const struct comparing *c, const char *suite, const char *metric)
{
    size_t i;
    const json_t *row;
    json_array_foreach(c->rows, i, row)
    {
        if (strcmp(json_text_of(row, "suite"), suite) == 0 && strcmp(json_text_of(row, "metric"), metric) == 0)
            return true;
    }
    return false;
}

/* Behind the rows of a suite, which are neighbours; the end of all where it has none. */
static size_t rows_end(const struct comparing *c, const char *suite)
{
    const size_t n = json_array_size(c->rows);
    for (size_t i = n; i > 0; i--)
        if (strcmp(json_text_of(json_array_get(c->rows, i - 1), "suite"), suite) == 0) return i;
    return n;
}

/* Values side by side, without a difference. */
static void add_lone_row(struct comparing *c, const struct measured *first, size_t score)
{
    const struct score *s = &first->scores[score];
    const char *suite = json_text_of(first->record, "name");
    json_t *cells = json_array();
    for (size_t i = 0; i < c->n; i++) {
        const struct measured *x = contender_suite(&c->all[i], suite);
        json_t *cell = make_value(x, s->name);
        if (i) refuse(cell, x, x ? "the baseline was not measured" : "not measured");
        json_array_append_new(cells, cell);
    }
    const struct metric *m = s->measure.metric;
    json_array_insert_new(c->rows, rows_end(c, suite),
                          row_of(first->record, s->name, m->unit, m->better == BETTER_HIGHER ? "higher" : "lower",
                                 (json_int_t)first->n, cells));
}

static void add_lone_rows(struct comparing *c)
{
    for (size_t i = 1; i < c->n; i++)
        for (size_t s = 0; s < c->all[i].n_suites; s++) {
            const struct measured *x = &c->all[i].suites[s];
            if (contender_suite(&c->all[0], json_text_of(x->record, "name"))) continue;
            for (size_t k = 0; k < x->n_scores; k++)
                if (!row_is_there(c, json_text_of(x->record, "name"), x->scores[k].name)) add_lone_row(c, x, k);
        }
}

/* --- divergence from the baseline --- */

/* Whether a divergence's "baseline" is this subject: the same weights, made in the same way. */
static bool same_subject(const json_t *baseline, const json_t *subject)
{
    static const char *const keys[] = {"sha256", "backend", "math", "imatrix_sha256"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(json_text_of(baseline, keys[i]), json_text_of(subject, keys[i]))) return false;
    return strcmp(json_text_of(baseline, "calibration_sha256"),
                  json_text_of(json_object_get(subject, "calibration"), "sha256")) == 0;
}

/* What a candidate's run says of its distance from this baseline in a suite, or NULL. */
static const json_t *divergence_from(const struct comparing *c, const struct measured *base, size_t subject)
{
    const struct measured *x = contender_suite(&c->all[subject], json_text_of(base->record, "name"));
    const json_t *d = x ? json_object_get(x->record, "divergence") : NULL;
    const json_t *baseline = json_object_get(c->all[0].run, "subject");
    bool ours = d && same_subject(json_object_get(d, "baseline"), baseline) &&
                strcmp(json_text_of(x->record, "fingerprint"), json_text_of(base->record, "fingerprint")) == 0;
    return ours ? d : NULL;
}

/* Rows whose values are distances from the baseline: it has none itself. The runs have the whole divergence. */
static void add_divergence(struct comparing *c, const struct measured *base)
{
    static const char *const names[] = {"kl_divergence", "same_top"};
    const json_t *first = NULL;
    for (size_t i = 1; i < c->n && !first; i++) first = divergence_from(c, base, i);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const char *name = names[k];
        const json_t *m = first ? metric_of(first, name) : NULL;
        if (!m) continue;
        json_t *cells = json_array();
        json_array_append_new(cells, make_cell(NULL));
        for (size_t i = 1; i < c->n; i++) {
            const json_t *d = divergence_from(c, base, i);
            json_array_append_new(cells, make_cell(d ? metric_of(d, name) : NULL));
        }
        json_t *row =
            row_of(base->record, name, json_text_of(m, "unit"), json_text_of(m, "better"), (json_int_t)base->n, cells);
        json_object_set_new(row, "divergence", json_true());
        json_array_append_new(c->rows, row);
    }
}

/* --- the whole --- */

static json_t *subject_of(const json_t *run)
{
    json_t *s = json_copy(json_object_get(run, "subject"));
    static const char *const keys[] = {"seconds", "tokens_per_second", "peak_bytes", "counters",
                                       "profile", "started",           "kerf",       "machine"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(run, keys[i]);
        if (v) json_object_set(s, keys[i], v);
    }
    if (json_object_get(run, "folder")) json_object_set(s, "run", json_object_get(run, "folder"));
    return s;
}

static void add_canaries(struct comparing *c, size_t subject)
{
    for (size_t s = 0; s < c->all[subject].n_suites; s++) {
        const json_t *record = c->all[subject].suites[s].record, *canary;
        size_t i;
        json_array_foreach(json_object_get(record, "canaries"), i, canary)
        {
            json_t *flag = json_deep_copy(canary);
            json_object_set_new(flag, "suite", json_string(json_text_of(record, "name")));
            json_object_set_new(flag, "subject", json_integer((json_int_t)subject));
            json_array_append_new(c->canaries, flag);
        }
    }
}

json_t *compare_record(const struct contender *all, size_t n, const struct compare_options *how, struct error *e)
{
    struct comparing c = {all, n, how, json_array(), json_array(), e};
    json_t *subjects = json_array();
    int status = 0;
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(subjects, subject_of(all[i].run));
        add_canaries(&c, i);
    }
    for (size_t s = 0; s < all[0].n_suites && !status; s++) {
        const struct measured *base = &all[0].suites[s];
        for (size_t k = 0; k < base->n_scores && !status; k++) status = add_row(&c, base, k);
        if (!status) add_divergence(&c, base);
    }
    if (!status && how->force) add_lone_rows(&c);
    json_t *record = json_pack("{s:s, s:o, s:o, s:o, s:{s:I, s:I}}", "schema", "kerf-compare-1", "subjects", subjects,
                               "rows", c.rows, "canaries", c.canaries, "resampling", "resamples",
                               (json_int_t)(how->resampling.resamples ? how->resampling.resamples : 10000), "seed",
                               (json_int_t)how->resampling.seed);
    if (!record && !status) error_set(e, ERROR_IO, "out of memory for a comparison");
    if (!status) return record;
    json_decref(record);
    return NULL;
}
