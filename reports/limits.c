#include "reports/limits.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "reports/limits_rule.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A rule while it is checked. */
struct checking {
    struct limits *l;
    bool *chosen; /* [subjects] */
    const char *rule;
    const json_t *asked;
    char *suite;        /* pattern */
    const char *metric; /* pattern, with today's name of a metric */
    enum limit_kind counted;
    struct text *place;
    struct error *e;
};

static bool is_run(const struct limits *l) { return l->report.n_subjects == 1; }

/* --- names --- */

/* The nearest of the names that rows have: of their suites, or of the metrics of the suites that fit. */
static struct suggestion suggest_name(const struct checking *c, const char *name, bool of_suite)
{
    static const char *const counts[] = {"flips", "lost"};
    const struct report *r = &c->l->report;
    const char **names = memory_new(r->n_rows + 2, sizeof *names, "names", NULL);
    size_t n = 0;
    for (size_t i = 0; names && i < r->n_rows; i++)
        if (of_suite || limit_pattern_fits(c->suite, r->rows[i].suite))
            names[n++] = of_suite ? r->rows[i].suite : r->rows[i].metric;
    for (size_t i = 0; names && !of_suite && i < 2; i++) names[n++] = counts[i];
    const struct suggestion guess = names ? suggest(name, names, n) : (struct suggestion){""};
    free(names);
    return guess;
}

static bool has_suite(const struct checking *c)
{
    const struct report *r = &c->l->report;
    for (size_t i = 0; i < r->n_rows; i++)
        if (limit_pattern_fits(c->suite, r->rows[i].suite)) return true;
    return false;
}

/* A rule that fits no row. */
static int tell_missing(const struct checking *c)
{
    const char *what = is_run(c->l) ? "run" : "comparison";
    if (!has_suite(c))
        return error_set(c->e, ERROR_INPUT, "the %s has no suite \"%s\"%s", what, c->suite,
                         suggest_name(c, c->suite, true).words);
    const bool distance = strcmp(c->metric, "kl_divergence") == 0 || strcmp(c->metric, "same_top") == 0;
    if (is_run(c->l) && (distance || c->counted != LIMIT_VALUE))
        return error_set(c->e, ERROR_INPUT,
                         "is measured against a baseline, which a run alone has not: give a "
                         "comparison");
    if (distance)
        return error_set(c->e, ERROR_INPUT,
                         "the comparison has no %s here: kerf compare measures it where texts are scored, unless "
                         "--no-divergence is given",
                         c->metric);
    if (c->counted != LIMIT_VALUE)
        return error_set(c->e, ERROR_INPUT, "no metric here has items that are right or wrong, and are compared");
    return error_set(c->e, ERROR_INPUT, "the %s has no metric \"%s\" here%s", what, c->metric,
                     suggest_name(c, c->metric, false).words);
}

/* --- verdicts --- */

/* The 95 % score interval of a share (Wilson 1927, "Probable inference, the law of succession, and statistical
 * inference"), as a count of n. */
static void score_interval(double count, double n, double *low, double *high)
{
    const double z = 1.959963984540054, p = count / n, z2 = z * z;
    const double middle = p + z2 / (2 * n), half = z * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    *low = count > 0 ? n * (middle - half) / (1 + z2 / n) : 0;
    *high = count < n ? n * (middle + half) / (1 + z2 / n) : n;
}

/* How many more items would bring the interval's end to the limit; a half-width shrinks with the root of n. */
static double items_missing(const struct limit_result *r, double low, double high, double value, double limit,
                            int64_t items)
{
    static const double most = 1e9;
    const double width = value > limit ? value - low : high - value, gap = fabs(value - limit);
    if (isnan(r->low) || isnan(r->high) || items < 1) return NAN;
    const double factor = width / gap, more = ceil((double)items * (factor * factor - 1));
    return more <= most ? fmax(more, 1) : INFINITY;
}

/* What is equal but for rounding is equal: 0.51 - 0.53 is not -0.02 to the last bit. */
static bool is_above(double x, double limit)
{
    return x > limit && (isinf(x) || x - limit > 1e-9 * fmax(fabs(x), fabs(limit)));
}

/* Whether the items are too few for an interval of 95 %: by chance all of n lie on the same side of a limit once in 2^n
 * times, and then resampling them gives no mean on the other. */
static bool is_few(int64_t items) { return items >= 0 && items < LIMITS_ITEMS; }

static void judge(struct limit_result *r, int64_t items)
{
    const bool counted = r->bound.kind == LIMIT_FLIPS || r->bound.kind == LIMIT_LOST;
    const double sign = r->bound.at_least ? -1 : 1; /* from here on the limit is an upper one */
    const double value = sign * r->value, limit = sign * r->bound.limit;
    const double low = sign * (r->bound.at_least ? r->high : r->low),
                 high = sign * (r->bound.at_least ? r->low : r->high);
    r->more = NAN;
    if (!isnan(value) && !counted && is_few(items))
        r->verdict = LIMIT_UNDECIDED, r->more = (double)(LIMITS_ITEMS - items);
    else if (isnan(value) || is_above(low, limit))
        r->verdict = LIMIT_BEYOND;
    else if (counted ? !is_above(value, limit) : !isnan(high) && !is_above(high, limit))
        r->verdict = LIMIT_WITHIN;
    else
        r->verdict = LIMIT_UNDECIDED, r->more = items_missing(r, low, high, value, limit, items);
}

/* --- cells --- */

static const char *subject_name(const struct checking *c, size_t subject)
{
    return c->l->report.subjects[subject].name;
}

/* Why a limit cannot be asked of a cell: a cell that is there, has its numbers or a reason for having none, and was
 * compared as far as the limit is about a comparison. */
static int check_cell(const struct checking *c, const struct report_row *row, size_t subject,
                      const struct limit_bound *b)
{
    const struct report_cell *cell = &row->cells[subject];
    const bool of_value = b->kind == LIMIT_VALUE;
    const char *name = subject_name(c, subject);
    if (is_run(c->l) && !of_value)
        return error_set(c->e, ERROR_INPUT,
                         "is measured against a baseline, which a run alone has not: give a comparison, or a mapping "
                         "of at_least or at_most");
    if (cell->absent || (row->is_distance && isnan(cell->figure.value) && !cell->figure.reason))
        return error_set(c->e, ERROR_INPUT, "%s was not measured for %s %s", name, row->suite, row->metric);
    if (cell->refused)
        return error_set(c->e, ERROR_INPUT, "%s is not compared in %s: %s", name, row->suite, cell->refused);
    if (!of_value && !cell->has_difference)
        return error_set(c->e, ERROR_INPUT, "%s is not compared with the baseline in %s %s", name, row->suite,
                         row->metric);
    if (!of_value && isnan(row->cells->figure.value))
        return error_set(c->e, ERROR_INPUT, "the baseline's %s %s has no value to compare with%s%s", row->suite,
                         row->metric, row->cells->figure.reason ? ": " : "",
                         row->cells->figure.reason ? row->cells->figure.reason : "");
    if (b->kind == LIMIT_RELATIVE && !(row->cells->figure.value > 0))
        return error_set(c->e, ERROR_INPUT,
                         "a percentage is relative to the baseline, whose %s %s is not above 0: write a number for the "
                         "difference itself",
                         row->suite, row->metric);
    return 0;
}

static const char *reason_of(const struct report_cell *cell)
{
    const char *reason = cell->figure.reason ? cell->figure.reason : cell->difference.reason;
    return reason ? reason : "not a finite number";
}

static int count_flips(const struct checking *c, const struct report_row *row, const struct report_cell *cell,
                       struct limit_result *out)
{
    const bool both = out->bound.kind == LIMIT_FLIPS;
    const double n = (double)row->items, count = (double)cell->lost + (both ? (double)cell->gained : 0);
    if (cell->gained < 0 || cell->lost < 0)
        return error_set(c->e, ERROR_INPUT, "%s has no flips in %s %s", subject_name(c, out->subject), row->suite,
                         row->metric);
    if (row->items < 1 || count > n)
        return error_set(c->e, ERROR_INPUT, "%s %s has %.0f flips of %.0f items: the comparison is damaged", row->suite,
                         row->metric, count, fmax(n, 0));
    if (out->bound.share) out->bound.limit *= n;
    out->value = count;
    score_interval(count, n, &out->low, &out->high);
    return 0;
}

static void take_figure(const struct report_row *row, const struct report_cell *cell, struct limit_result *out)
{
    const struct figure *f = out->bound.kind == LIMIT_VALUE ? &cell->figure : &cell->difference;
    const double scale = out->bound.kind == LIMIT_RELATIVE ? row->cells->figure.value : 1;
    out->value = f->value / scale;
    out->low = f->low / scale;
    out->high = f->high / scale;
    if (isnan(out->value)) out->reason = reason_of(cell);
}

static int add_result(const struct checking *c, size_t row, size_t subject, const struct limit_bound *b)
{
    struct limits *l = c->l;
    const struct report_row *at = &l->report.rows[row];
    int status = check_cell(c, at, subject, b);
    if (status) return status;
    if (l->n == LIMITS_MOST)
        return error_set(c->e, ERROR_INPUT, "makes more than %d checks with those before", LIMITS_MOST);
    if (memory_reserve((void **)&l->results, &l->capacity, l->n + 1, sizeof *l->results, "results", c->e))
        return ERROR_IO;
    struct limit_result *r = &l->results[l->n];
    *r = (struct limit_result){.rule = c->rule, .row = row, .subject = subject, .bound = *b};
    if (b->kind == LIMIT_FLIPS || b->kind == LIMIT_LOST)
        status = count_flips(c, at, &at->cells[subject], r);
    else
        take_figure(at, &at->cells[subject], r);
    if (status) return status;
    judge(r, at->items);
    l->counts[r->verdict]++;
    l->n++;
    return 0;
}

/* --- rules --- */

/* Of a rule for flips that is a suite's first row with some; of any other rule each row that fits. */
static bool row_is_meant(const struct checking *c, size_t row)
{
    const struct report *r = &c->l->report;
    const struct report_row *at = &r->rows[row];
    if (!limit_pattern_fits(c->suite, at->suite)) return false;
    if (c->counted == LIMIT_VALUE) return limit_pattern_fits(c->metric, at->metric);
    if (!row_has_flips(at, r->n_subjects)) return false;
    for (size_t i = row; i-- > 0 && strcmp(r->rows[i].suite, at->suite) == 0;)
        if (row_has_flips(&r->rows[i], r->n_subjects)) return false;
    return true;
}

static int check_row(const struct checking *c, size_t row)
{
    const struct report *r = &c->l->report;
    struct limit_bound bounds[LIMIT_BOUNDS];
    const int n = limit_rule_read(bounds, &r->rows[row], c->counted, c->asked, c->place, c->e);
    int status = n < 0 ? -n : 0;
    for (size_t j = is_run(c->l) ? 0 : 1; j < r->n_subjects && !status; j++)
        for (int i = 0; i < n && !status && c->chosen[j]; i++) status = add_result(c, row, j, &bounds[i]);
    return status;
}

static int check_rows(const struct checking *c)
{
    const struct report *r = &c->l->report;
    bool found = false;
    int status = 0;
    for (size_t i = 0; i < r->n_rows && !status; i++) {
        if (!row_is_meant(c, i)) continue;
        found = true;
        status = check_row(c, i);
    }
    return status || found ? status : tell_missing(c);
}

/* "SUITE/METRIC", or "METRIC" of every suite that has it. */
static int check_rule(struct checking *c)
{
    const char *slash = strchr(c->rule, '/'), *metric = slash ? slash + 1 : c->rule;
    if (!*metric || slash == c->rule)
        return error_set(c->e, ERROR_INPUT, "must be SUITE/METRIC, or METRIC for every suite that has it");
    c->suite = slash ? memory_bytes(c->rule, (size_t)(slash - c->rule), c->e) : memory_string("*", c->e);
    if (!c->suite) return ERROR_IO;
    c->metric = strcmp(metric, "kl_mean") == 0 ? "kl_divergence" : metric;
    c->counted = strcmp(metric, "flips") == 0 ? LIMIT_FLIPS : strcmp(metric, "lost") == 0 ? LIMIT_LOST : LIMIT_VALUE;
    const int status = check_rows(c);
    free(c->suite);
    return status;
}

/* --- the file --- */

static int refuse(const struct checking *c, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int refuse(const struct checking *c, const char *place, const char *format, ...)
{
    char words[512];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    text_clear(c->place);
    text_add(c->place, place);
    return error_set(c->e, ERROR_INPUT, "%s", words);
}

static bool is_label(const struct report *r, size_t subject, const char *name)
{
    struct text label = {0};
    subject_label(&label, r, subject);
    const bool same = strcmp(text_c(&label), name) == 0;
    text_free(&label);
    return same || strcmp(r->subjects[subject].name, name) == 0;
}

static int tell_stranger(const struct checking *c, const char *place, const char *name)
{
    const struct report *r = &c->l->report;
    if (is_label(r, 0, name)) return refuse(c, place, "\"%s\" is the baseline: name candidates", name);
    const char **names = memory_new(r->n_subjects, sizeof *names, "names", NULL);
    for (size_t i = 0; names && i < r->n_subjects; i++) names[i] = r->subjects[i].name;
    const struct suggestion guess = names ? suggest(name, names, r->n_subjects) : (struct suggestion){""};
    free(names);
    return refuse(c, place, "no subject here is \"%s\"%s", name, guess.words);
}

/* All that have the name: none of them goes unchecked. */
static int choose(const struct checking *c, const char *place, const char *name)
{
    const struct report *r = &c->l->report;
    size_t n = 0;
    for (size_t j = is_run(c->l) ? 0 : 1; j < r->n_subjects; j++) {
        if (!is_label(r, j, name)) continue;
        if (c->chosen[j]) return refuse(c, place, "\"%s\" is there twice", name);
        c->chosen[j] = true;
        n++;
    }
    return n ? 0 : tell_stranger(c, place, name);
}

static int choose_subjects(const struct checking *c, const json_t *names)
{
    size_t i;
    const json_t *v;
    char place[64];
    for (size_t j = 0; !names && j < c->l->report.n_subjects; j++) c->chosen[j] = true;
    if (names && !json_array_size(names)) return refuse(c, "subjects", "must be a list of one candidate or more");
    int status = 0;
    json_array_foreach(names, i, v)
    {
        snprintf(place, sizeof place, "subjects[%zu]", i);
        if (!status && !json_is_string(v)) status = refuse(c, place, "must be a subject's name");
        if (!status) status = choose(c, place, json_string_value(v));
    }
    return status;
}

static int check_keys(const struct checking *c, const json_t *rules)
{
    static const char *const keys[] = {"limits", "subjects"};
    for (void *at = json_object_iter((json_t *)rules); at; at = json_object_iter_next((json_t *)rules, at)) {
        const char *key = json_object_iter_key(at);
        if (strcmp(key, keys[0]) == 0 || strcmp(key, keys[1]) == 0) continue;
        const struct suggestion guess = suggest(key, keys, 2);
        return refuse(c, key, "unknown key%s",
                      *guess.words ? guess.words : " (known: limits, subjects; rules stand below limits)");
    }
    const json_t *limits = json_object_get(rules, "limits");
    if (!json_object_size(limits))
        return refuse(c, "limits", limits ? "must be a mapping of one rule or more" : "is missing");
    return 0;
}

static int check_all(struct checking *c, const json_t *rules)
{
    int status = check_keys(c, rules);
    if (!status) status = choose_subjects(c, json_object_get(rules, "subjects"));
    json_t *limits = json_object_get(rules, "limits");
    for (void *at = json_object_iter(limits); at && !status; at = json_object_iter_next(limits, at)) {
        c->rule = json_object_iter_key(at);
        c->asked = json_object_iter_value(at);
        text_clear(c->place);
        text_printf(c->place, "limits.%s", c->rule);
        status = check_rule(c);
    }
    if (!status) text_clear(c->place);
    return status;
}

int limits_check(struct limits *l, const json_t *rules, const json_t *comparison, struct text *place, struct error *e)
{
    *l = (struct limits){0};
    text_clear(place);
    int status = report_read_comparison(&l->report, comparison, e);
    if (status) return status;
    struct checking c = {.l = l, .place = place, .e = e};
    c.chosen = memory_new(l->report.n_subjects, sizeof *c.chosen, "subjects", e);
    status = c.chosen ? check_all(&c, rules) : ERROR_IO;
    free(c.chosen);
    if (status) limits_close(l);
    return status;
}

void limits_close(struct limits *l)
{
    report_close(&l->report);
    free(l->results);
    *l = (struct limits){0};
}

bool limit_fails(enum limit_verdict v, bool strict) { return v == LIMIT_BEYOND || (strict && v == LIMIT_UNDECIDED); }

size_t limits_failed(const struct limits *l, bool strict)
{
    return l->counts[LIMIT_BEYOND] + (strict ? l->counts[LIMIT_UNDECIDED] : 0);
}

const struct limit_result *limits_first_failure(const struct limits *l, bool strict)
{
    for (size_t i = 0; i < l->n; i++)
        if (limit_fails(l->results[i].verdict, strict)) return &l->results[i];
    return NULL;
}
