/* What limits say, for a terminal, a pull request, a CI server and a program. */
#include "reports/layout.h"
#include "reports/limits.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_WIDTH = 96, REASON_WIDTH = 300, PAGE = 60000 };

/* --- words and figures --- */

static bool is_count(const struct limit_result *r)
{
    return r->bound.kind == LIMIT_FLIPS || r->bound.kind == LIMIT_LOST;
}

static const char *metric_of(const struct limits *l, const struct limit_result *r)
{
    return r->bound.kind == LIMIT_FLIPS  ? "flips"
           : r->bound.kind == LIMIT_LOST ? "lost"
                                         : l->report.rows[r->row].metric;
}

void limit_name(struct text *out, const struct limits *l, const struct limit_result *r)
{
    text_printf(out, "%s/%s", l->report.rows[r->row].suite, metric_of(l, r));
}

void limit_subject(struct text *out, const struct limits *l, const struct limit_result *r)
{
    if (r->subject)
        subject_label(out, &l->report, r->subject);
    else
        text_add(out, l->report.subjects->name); /* of a run alone */
}

static void format_percent(char out[CELL_TEXT], double share)
{
    format_difference(out, 100 * share, 2);
    if (!isnan(share)) strcat(out, "%");
}

static void format_limit(char out[CELL_TEXT], const struct limit_bound *b)
{
    const bool change = b->kind == LIMIT_DIFFERENCE || b->kind == LIMIT_RELATIVE, percent = b->kind == LIMIT_RELATIVE;
    const double shown = percent ? 100 * b->limit : b->limit;
    char number[40];
    snprintf(number, sizeof number, change && shown != 0 ? "%+.6g" : "%.6g", shown == 0 ? 0 : shown);
    snprintf(out, CELL_TEXT, "%s %s%s", b->at_least ? "≥" : "≤", number, percent ? "%" : "");
}

void limit_figures(const struct limits *l, const struct limit_result *r, char value[CELL_TEXT],
                   char interval[CELL_TEXT], char limit[CELL_TEXT])
{
    const struct figure f = {.value = r->value, .low = r->low, .high = r->high};
    const int decimals = l->report.rows[r->row].decimals;
    char low[CELL_TEXT], high[CELL_TEXT];
    format_limit(limit, &r->bound);
    *interval = 0;
    if (r->bound.kind == LIMIT_RELATIVE) {
        format_percent(value, r->value);
        format_percent(low, r->low);
        format_percent(high, r->high);
        if (!isnan(r->low) && !isnan(r->high)) snprintf(interval, CELL_TEXT, "[%.36s, %.36s]", low, high);
    } else if (is_count(r)) {
        snprintf(value, CELL_TEXT, "%.0f", r->value);
        format_interval(interval, &f, 1, false);
    } else {
        const bool change = r->bound.kind == LIMIT_DIFFERENCE;
        (change ? format_difference : format_value)(value, r->value, decimals);
        format_interval(interval, &f, decimals, change);
    }
}

static double two_digits(double x)
{
    const double unit = x < 100 ? 1 : pow(10, floor(log10(x)) - 1);
    return round(x / unit) * unit;
}

/* "within", "undecided: +1200 items", "beyond: not defined: why" */
static void add_verdict(struct text *out, const struct limit_result *r)
{
    if (r->verdict == LIMIT_WITHIN) text_add(out, "within");
    if (r->verdict == LIMIT_BEYOND) text_add(out, "beyond");
    if (r->reason) text_printf(out, ": not defined: %s", r->reason);
    if (r->verdict != LIMIT_UNDECIDED) return;
    if (isnan(r->more))
        text_add(out, "undecided: no interval");
    else if (isinf(r->more))
        text_add(out, "undecided: at any number");
    else
        text_printf(out, r->more < 1e9 ? "undecided: +%.0f %s" : "undecided: +%.1e %s", two_digits(r->more),
                    r->more < 2 ? "item" : "items");
}

static void add_summary(struct text *out, const struct limits *l, bool strict)
{
    text_printf(out, "%zu %s: %zu within, %zu undecided%s, %zu beyond", l->n, l->n == 1 ? "check" : "checks",
                l->counts[LIMIT_WITHIN], l->counts[LIMIT_UNDECIDED],
                strict && l->counts[LIMIT_UNDECIDED] ? " (which fails)" : "", l->counts[LIMIT_BEYOND]);
}

static const char fine_print[] = "Intervals are 95 %, each limit is judged by itself: nothing is adjusted for their "
                                 "number. beyond: the whole interval is. undecided: the limit lies in the interval; "
                                 "so many more items would decide, or no number of them.";

/* Appends s, cut to a width, through a sink's escape; no more of a huge text is looked at than can be shown. */
static void add_cut(struct text *out, const char *s, size_t width, void (*escape)(struct text *, const char *))
{
    struct text visible = {0}, cut = {0};
    text_terminal(&visible, s, strnlen(s, 4 * (width + 1)));
    const size_t n = layout_width(text_c(&visible));
    layout_pad(&cut, text_c(&visible), n < width ? n : width, false);
    if (escape)
        escape(out, text_c(&cut));
    else
        text_add(out, text_c(&cut));
    out->failed |= visible.failed || cut.failed;
    text_free(&visible);
    text_free(&cut);
}

static int finish(const struct text *out, const char *what, struct error *e)
{
    return out->failed ? error_set(e, ERROR_IO, "%s: out of memory", what) : 0;
}

/* --- terminal --- */

enum { RULE, SUBJECT, VALUE, INTERVAL, BOUND, COLUMNS, GAP = 2, NAME_LEAST = 16 };

/* The cells of a line before the verdict, visible to a terminal. */
struct cells {
    struct text names[2];
    char figures[COLUMNS - VALUE][CELL_TEXT];
};

static const char *cell_at(const struct cells *c, int column)
{
    return column < VALUE ? text_c(&c->names[column]) : c->figures[column - VALUE];
}

static void fill_cells(struct cells *c, const struct limits *l, const struct limit_result *r)
{
    struct text name = {0}, subject = {0};
    limit_name(&name, l, r);
    limit_subject(&subject, l, r);
    add_cut(&c->names[RULE], text_c(&name), NAME_WIDTH, NULL);
    add_cut(&c->names[SUBJECT], text_c(&subject), NAME_WIDTH, NULL);
    limit_figures(l, r, c->figures[0], c->figures[1], c->figures[2]);
    c->names[RULE].failed |= name.failed || subject.failed;
    text_free(&name);
    text_free(&subject);
}

static void clear_cells(struct cells *c)
{
    text_free(&c->names[RULE]);
    text_free(&c->names[SUBJECT]);
}

static void add_cells(struct text *out, const char *const cells[COLUMNS], const size_t widths[COLUMNS])
{
    for (int k = 0; k < COLUMNS; k++) {
        layout_pad(out, cells[k], widths[k], k >= VALUE);
        layout_pad(out, "", GAP, false);
    }
}

static void add_result(struct text *out, const struct limits *l, const struct limit_result *r,
                       const size_t widths[COLUMNS], bool strict, bool colour)
{
    struct cells c = {0};
    const char *cells[COLUMNS];
    struct text verdict = {0};
    const bool fails = limit_fails(r->verdict, strict);
    fill_cells(&c, l, r);
    for (int k = 0; k < COLUMNS; k++) cells[k] = cell_at(&c, k);
    add_cells(out, cells, widths);
    add_verdict(&verdict, r);
    if (colour && fails) text_add(out, "\033[31m");
    add_cut(out, text_c(&verdict), REASON_WIDTH, NULL);
    if (fails) text_add(out, " ✗");
    if (colour && fails) text_add(out, "\033[0m");
    text_char(out, '\n');
    out->failed |= c.names[RULE].failed || c.names[SUBJECT].failed || verdict.failed;
    clear_cells(&c);
    text_free(&verdict);
}

/* As wide as the widest cell; where a line would be wider than the terminal, names give way. */
static size_t measure(const struct limits *l, const char *const headings[COLUMNS], size_t width, size_t widths[COLUMNS])
{
    size_t total = layout_width("undecided: +1000 items ✗");
    for (int k = 0; k < COLUMNS; k++) widths[k] = layout_width(headings[k]);
    for (size_t i = 0; i < l->n; i++) {
        struct cells c = {0};
        fill_cells(&c, l, &l->results[i]);
        for (int k = 0; k < COLUMNS; k++) {
            const size_t n = layout_width(cell_at(&c, k));
            if (n > widths[k]) widths[k] = n;
        }
        clear_cells(&c);
    }
    for (int k = 0; k < COLUMNS; k++) total += widths[k] + GAP;
    while (total > width && (widths[RULE] > NAME_LEAST || widths[SUBJECT] > NAME_LEAST)) {
        widths[widths[RULE] > widths[SUBJECT] ? RULE : SUBJECT]--;
        total--;
    }
    return total > width ? width : total;
}

int limits_table(const struct limits *l, bool strict, const struct table_style *style, struct text *out,
                 struct error *e)
{
    static const char *const headings[COLUMNS] = {"rule", "subject", "value", "95% interval", "limit"};
    const size_t width = style->width > 0 ? (size_t)style->width : 100;
    size_t widths[COLUMNS];
    const size_t rule = measure(l, headings, width, widths);
    if (l->report.n_subjects > 1) {
        text_add(out, "baseline: ");
        add_cut(out, l->report.subjects->name, NAME_WIDTH, NULL);
        text_add(out, "\n\n");
    }
    add_cells(out, headings, widths);
    text_add(out, "verdict\n");
    layout_rule(out, rule);
    for (size_t i = 0; i < l->n; i++) add_result(out, l, &l->results[i], widths, strict, style->colour);
    layout_rule(out, rule);
    add_summary(out, l, strict);
    text_char(out, '\n');
    layout_wrap(out, fine_print, width < 100 ? width : 100, 0);
    return finish(out, "table", e);
}

/* --- Markdown --- */

static void add_code(struct text *out, const char *s)
{
    text_add(out, "<code>");
    add_cut(out, s, NAME_WIDTH, escape_markdown);
    text_add(out, "</code>");
}

static void add_line(struct text *out, const struct limits *l, const struct limit_result *r, bool strict)
{
    char value[CELL_TEXT], interval[CELL_TEXT], limit[CELL_TEXT];
    struct text name = {0}, subject = {0}, verdict = {0};
    limit_name(&name, l, r);
    limit_subject(&subject, l, r);
    limit_figures(l, r, value, interval, limit);
    add_verdict(&verdict, r);
    const char *bold = limit_fails(r->verdict, strict) ? "**" : "";
    text_add(out, "| ");
    add_code(out, text_c(&name));
    text_add(out, " | ");
    add_code(out, text_c(&subject));
    text_printf(out, " | %s | %s | %s | %s", value, interval, limit, bold);
    add_cut(out, text_c(&verdict), REASON_WIDTH, escape_markdown);
    text_printf(out, "%s |\n", bold);
    out->failed |= name.failed || subject.failed || verdict.failed;
    text_free(&name);
    text_free(&subject);
    text_free(&verdict);
}

int limits_markdown(const struct limits *l, bool strict, struct text *out, struct error *e)
{
    const size_t failed = limits_failed(l, strict);
    size_t left_out = 0;
    struct text line = {0};
    if (failed)
        text_printf(out, "# %zu of %zu %s failed\n\n", failed, l->n, l->n == 1 ? "check" : "checks");
    else
        text_add(out, "# No limit is exceeded\n\n");
    text_add(out, l->report.n_subjects > 1 ? "The baseline is " : "The run is of ");
    add_code(out, l->report.subjects->name);
    text_add(out, ".\n\n| rule | subject | value | 95% interval | limit | verdict |\n|---|---|---:|---:|---:|---|\n");
    for (int v = LIMIT_BEYOND; v >= LIMIT_WITHIN; v--)
        for (size_t i = 0; i < l->n; i++) {
            if (l->results[i].verdict != (enum limit_verdict)v) continue;
            if (!left_out) add_line(&line, l, &l->results[i], strict);
            if (left_out || out->length + line.length > PAGE)
                left_out++;
            else
                text_bytes(out, text_c(&line), line.length);
            out->failed |= line.failed;
            text_clear(&line);
        }
    text_char(out, '\n');
    add_summary(out, l, strict);
    text_add(out, ". ");
    if (left_out) text_printf(out, "%zu of them are left out here. ", left_out);
    text_add(out, fine_print);
    text_char(out, '\n');
    text_free(&line);
    return finish(out, "Markdown", e);
}

/* --- JUnit, see reports/junit.c --- */

static void add_attribute(struct text *out, const char *name, const char *value)
{
    text_printf(out, " %s=\"", name);
    escape_html(out, value);
    text_char(out, '"');
}

/* "stories/perplexity: +1.64% [+1.48%, +1.81%], limit ≤ +1%: beyond" */
static void add_words(struct text *out, const struct limits *l, const struct limit_result *r)
{
    char value[CELL_TEXT], interval[CELL_TEXT], limit[CELL_TEXT];
    limit_figures(l, r, value, interval, limit);
    limit_name(out, l, r);
    text_printf(out, ": %s%s%s, limit %s: ", value, *interval ? " " : "", interval, limit);
    add_verdict(out, r);
}

static void add_case(struct text *out, const struct limits *l, const struct limit_result *r, bool strict)
{
    char value[CELL_TEXT], interval[CELL_TEXT], limit[CELL_TEXT];
    struct text class = {0}, name = {0}, words = {0};
    limit_figures(l, r, value, interval, limit);
    text_printf(&class, "%s.%s", l->report.subjects[r->subject].name, l->report.rows[r->row].suite);
    text_printf(&name, "%s %s", metric_of(l, r), limit);
    add_words(&words, l, r);
    text_add(out, "  <testcase");
    add_attribute(out, "classname", text_c(&class));
    add_attribute(out, "name", text_c(&name));
    text_add(out, ">\n");
    if (limit_fails(r->verdict, strict)) {
        text_printf(out, "   <failure type=\"%s\"", r->verdict == LIMIT_BEYOND ? "beyond" : "undecided");
        add_attribute(out, "message", text_c(&words));
        text_char(out, '>');
        escape_html(out, text_c(&words));
        text_add(out, "</failure>\n");
    } else {
        text_add(out, "   <system-out>");
        escape_html(out, text_c(&words));
        text_add(out, "</system-out>\n");
    }
    text_add(out, "  </testcase>\n");
    out->failed |= class.failed || name.failed || words.failed;
    text_free(&class);
    text_free(&name);
    text_free(&words);
}

static void add_suite(struct text *out, const struct limits *l, size_t subject, bool strict)
{
    size_t n = 0, failures = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (l->results[i].subject != subject) continue;
        n++;
        failures += limit_fails(l->results[i].verdict, strict);
    }
    if (!n) return;
    text_add(out, " <testsuite");
    add_attribute(out, "name", l->report.subjects[subject].name);
    text_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\">\n", n, failures);
    for (size_t i = 0; i < l->n; i++)
        if (l->results[i].subject == subject) add_case(out, l, &l->results[i], strict);
    text_add(out, " </testsuite>\n");
}

int limits_junit(const struct limits *l, bool strict, struct text *out, struct error *e)
{
    text_printf(out,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kerf check\" tests=\"%zu\" "
                "failures=\"%zu\" errors=\"0\">\n",
                l->n, limits_failed(l, strict));
    for (size_t j = 0; j < l->report.n_subjects; j++) add_suite(out, l, j, strict);
    text_add(out, "</testsuites>\n");
    return finish(out, "JUnit XML", e);
}

/* --- JSON --- */

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static json_t *result_record(const struct limits *l, const struct limit_result *r)
{
    static const char *const kinds[] = {"value", "difference", "relative", "flips", "lost"};
    static const char *const verdicts[] = {"within", "undecided", "beyond"};
    const struct report_row *row = &l->report.rows[r->row];
    const bool interval = !isnan(r->low) && !isnan(r->high);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:s*, s:o, s:s, s:o}", "rule", r->rule, "suite",
                     row->suite, "metric", row->metric, "of", kinds[r->bound.kind], "subject",
                     l->report.subjects[r->subject].name, "items", (json_int_t)row->items, "value", number(r->value),
                     "ci95", interval ? json_pack("[o, o]", number(r->low), number(r->high)) : json_null(), "reason",
                     r->reason, r->bound.at_least ? "at_least" : "at_most", number(r->bound.limit), "verdict",
                     verdicts[r->verdict], "more_items", number(r->more));
}

json_t *limits_record(const struct limits *l, bool strict)
{
    json_t *list = json_array();
    bool failed = !list;
    for (size_t i = 0; i < l->n && !failed; i++) {
        json_t *record = result_record(l, &l->results[i]);
        failed = !record || json_array_append_new(list, record);
    }
    const char *baseline = l->report.n_subjects > 1 ? l->report.subjects->name : NULL;
    json_t *all = json_pack("{s:s, s:s?, s:b, s:b, s:I, s:I, s:I, s:o}", "schema", "kerf-check-1", "baseline", baseline,
                            "passed", limits_failed(l, strict) == 0, "strict", strict, "within",
                            (json_int_t)l->counts[LIMIT_WITHIN], "undecided", (json_int_t)l->counts[LIMIT_UNDECIDED],
                            "beyond", (json_int_t)l->counts[LIMIT_BEYOND], "limits", list);
    if (!failed) return all;
    json_decref(all);
    return NULL;
}
