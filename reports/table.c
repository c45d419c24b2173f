#include "engine/base/memory.h"
#include "reports/answer.h"
#include "reports/layout.h"
#include "reports/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_WIDTH = 28, BASELINE_WIDTH = 16, GAP = 2, NAME_LINES = 3, NAME_WIDTH = 128, REASONS = 8, CANARIES = 12 };

/* What stands in one place of the table, in columns of their own so that numbers stay under numbers. */
struct entry {
    char value[CELL_TEXT], difference[CELL_TEXT], interval[CELL_TEXT];
    enum verdict verdict;
};

enum line_kind { LINE_HEADING, LINE_CELLS, LINE_RULE };

struct line {
    enum line_kind kind;
    struct text label;     /* escaped */
    struct entry *entries; /* [subjects]; of LINE_CELLS */
};

struct grid {
    const struct report *r;
    const struct table_style *style;
    struct text *names; /* [subjects], escaped */
    struct line *lines;
    size_t n_lines;
    struct entry *entries;                               /* [lines, subjects] */
    size_t label, baseline, value, difference, interval; /* widths */
    bool failed;                                         /* out of memory */
    bool stacked;                                        /* the interval stands on a line of its own */
};

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Adds s escaped and cut, so that a name of any length costs little however many blocks repeat it. */
static void add_name(struct grid *g, struct text *out, const char *s)
{
    struct text escaped = {0};
    text_terminal(&escaped, s, strnlen(s, 4 * (NAME_WIDTH + 1)));
    layout_pad(out, text_c(&escaped), smaller(NAME_WIDTH, layout_width(text_c(&escaped))), false);
    g->failed |= escaped.failed || out->failed;
    text_free(&escaped);
}

static struct line *add_line(struct grid *g, enum line_kind kind, const char *indent, const char *label)
{
    struct line *l = &g->lines[g->n_lines];
    l->kind = kind;
    l->entries = g->entries + g->n_lines++ * g->r->n_subjects;
    text_add(&l->label, indent);
    add_name(g, &l->label, label);
    return l;
}

static void fill_entry(struct entry *entry, const struct report *r, const struct report_row *row, size_t subject,
                       int decimals)
{
    const struct report_cell *cell = &row->cells[subject];
    if (subject || !row->is_distance) format_cell(entry->value, cell, decimals);
    if (r->n_canaries) strcat(entry->value, cell->doubtful && !row->is_distance ? "!" : " ");
    if (subject == 0 || cell->absent || row->cells->absent) return;
    if (row->is_distance) {
        format_interval(entry->interval, &cell->figure, decimals, false);
        return;
    }
    entry->verdict = cell_verdict(row, cell);
    if (cell->refused)
        strcpy(entry->difference, DASH);
    else
        format_difference(entry->difference, cell->difference.value, decimals);
    format_interval(entry->interval, &cell->difference, decimals, true);
}

static void add_row(struct grid *g, const struct report_row *row)
{
    const size_t n = g->r->n_subjects;
    const int decimals = row->decimals;
    struct line *l = add_line(g, LINE_CELLS, "  ", row->metric);
    for (size_t j = 0; j < n; j++) fill_entry(&l->entries[j], g->r, row, j, decimals);
    if (!row_has_flips(row, n)) return;
    l = add_line(g, LINE_CELLS, "    ", "flips");
    for (size_t j = 1; j < n; j++) format_flips(l->entries[j].difference, &row->cells[j]);
}

static void add_costs(struct grid *g)
{
    const struct report_subject *s = g->r->subjects;
    for (int k = 0; k < COSTS; k++) {
        if (!cost_is_known(g->r, k)) continue;
        struct line *l = add_line(g, LINE_CELLS, "", cost_name(k));
        for (size_t j = 0; j < g->r->n_subjects; j++) {
            format_cost(l->entries[j].value, &s[j], k);
            if (j > 0) format_cost_change(l->entries[j].difference, &s[j], s, k);
        }
    }
}

static int build(struct grid *g, struct error *e)
{
    const struct report *r = g->r;
    /* a row may bring its suite's heading and its flips; a rule stands before and after the costs */
    const size_t most = 3 * r->n_rows + COSTS + 2;
    g->names = memory_new(r->n_subjects, sizeof *g->names, "names of a table", e);
    g->lines = memory_new(most, sizeof *g->lines, "lines of a table", e);
    g->entries = memory_new(most, r->n_subjects * sizeof *g->entries, "cells of a table", e);
    if (!g->names || !g->lines || !g->entries) return ERROR_IO;
    for (size_t j = 0; j < r->n_subjects; j++) {
        struct text label = {0};
        subject_label(&label, r, j);
        add_name(g, &g->names[j], text_c(&label));
        if (r->subjects[j].source) text_add(&g->names[j], " †");
        g->failed |= label.failed;
        text_free(&label);
    }
    for (size_t i = 0; i < r->n_rows; i++) {
        if (row_opens_suite(r, i)) {
            struct line *l = add_line(g, LINE_HEADING, "", r->rows[i].suite);
            if (r->rows[i].items >= 0) text_printf(&l->label, " (%" PRId64 " items)", r->rows[i].items);
        }
        add_row(g, &r->rows[i]);
    }
    add_line(g, LINE_RULE, "", "");
    add_costs(g);
    add_line(g, LINE_RULE, "", "");
    return 0;
}

static void release(struct grid *g)
{
    for (size_t i = 0; g->lines && i < g->n_lines; i++) text_free(&g->lines[i].label);
    for (size_t j = 0; g->names && j < g->r->n_subjects; j++) text_free(&g->names[j]);
    free(g->lines);
    free(g->names);
    free(g->entries);
}

static void measure(struct grid *g)
{
    g->baseline = larger(strlen("baseline"), smaller(BASELINE_WIDTH, layout_width(text_c(&g->names[0]))));
    g->value = strlen("value");
    g->difference = strlen("diff");
    g->interval = strlen("95% interval");
    for (size_t i = 0; i < g->n_lines; i++) {
        const struct line *l = &g->lines[i];
        if (l->kind != LINE_CELLS) continue;
        g->label = larger(g->label, smaller(LABEL_WIDTH, layout_width(text_c(&l->label))));
        g->baseline = larger(g->baseline, layout_width(l->entries[0].value));
        for (size_t j = 1; j < g->r->n_subjects; j++) {
            g->value = larger(g->value, layout_width(l->entries[j].value));
            g->difference = larger(g->difference, layout_width(l->entries[j].difference));
            g->interval = larger(g->interval, layout_width(l->entries[j].interval));
        }
    }
}

static size_t candidate_width(const struct grid *g)
{
    const size_t marked = g->value + 1 + g->difference + 2; /* a space and the mark */
    return g->stacked ? larger(marked, g->interval) : marked + 1 + g->interval;
}

static size_t block_width(const struct grid *g, size_t candidates)
{
    return g->label + GAP + g->baseline + candidates * (GAP + candidate_width(g));
}

/* How many candidates fit beside the baseline; at least one, however narrow the terminal. */
static size_t block_size(const struct grid *g)
{
    const size_t width = g->style->width > 0 ? (size_t)g->style->width : 80;
    size_t n = 1;
    while (n + 1 < g->r->n_subjects && block_width(g, n + 1) <= width) n++;
    return n;
}

/* Intervals go below their differences where that saves a block. */
static size_t choose_layout(struct grid *g)
{
    const size_t candidates = g->r->n_subjects - 1;
    const size_t flat = block_size(g);
    g->stacked = true;
    const size_t stacked = block_size(g);
    if ((candidates + stacked - 1) / stacked < (candidates + flat - 1) / flat) return stacked;
    g->stacked = false;
    return flat;
}

static void print_name(struct text *out, const char *name, size_t width, size_t line)
{
    const char *s = layout_skip(name, line * width);
    const size_t n = line + 1 < NAME_LINES ? (size_t)(layout_skip(s, width) - s) : strlen(s);
    struct text part = {0};
    text_bytes(&part, s, n);
    layout_pad(out, text_c(&part), width, true);
    text_free(&part);
}

static void print_names(struct text *out, const struct grid *g, size_t first, size_t last)
{
    const size_t width = candidate_width(g);
    size_t lines = (layout_width(text_c(&g->names[0])) + g->baseline - 1) / g->baseline;
    for (size_t j = first; j < last; j++)
        lines = larger(lines, (layout_width(text_c(&g->names[j])) + width - 1) / width);
    for (size_t k = 0; k < smaller(lines, NAME_LINES); k++) {
        layout_pad(out, "", g->label + GAP, false);
        print_name(out, text_c(&g->names[0]), g->baseline, k);
        for (size_t j = first; j < last; j++) {
            layout_pad(out, "", GAP, false);
            print_name(out, text_c(&g->names[j]), width, k);
        }
        layout_end(out);
    }
}

static void print_entry(struct text *out, const struct grid *g, const struct entry *entry)
{
    const char *colour = entry->verdict == VERDICT_WORSE ? "\033[31m" : "\033[32m";
    const bool coloured = g->style->colour && entry->verdict != VERDICT_NONE;
    const size_t marked = g->value + 1 + g->difference + 2;
    layout_pad(out, "", GAP + (g->stacked ? candidate_width(g) - marked : 0), false);
    layout_pad(out, entry->value, g->value, true);
    text_char(out, ' ');
    if (coloured) text_add(out, colour);
    layout_pad(out, entry->difference, g->difference, true);
    text_printf(out, " %s", verdict_mark(entry->verdict));
    if (coloured) text_add(out, "\033[0m");
    if (g->stacked) return;
    text_char(out, ' ');
    layout_pad(out, entry->interval, g->interval, false);
}

static void print_cells(struct text *out, const struct grid *g, const char *label, const char *baseline,
                        const struct entry *entries, size_t step, size_t n)
{
    layout_pad(out, label, g->label + GAP, false);
    layout_pad(out, baseline, g->baseline, true);
    bool has_interval = false;
    for (size_t j = 0; j < n; j++) {
        print_entry(out, g, &entries[j * step]);
        has_interval |= *entries[j * step].interval != 0;
    }
    layout_end(out);
    if (!g->stacked || !has_interval) return;
    layout_pad(out, "", g->label + GAP + g->baseline, false);
    for (size_t j = 0; j < n; j++) {
        layout_pad(out, "", GAP, false);
        layout_pad(out, entries[j * step].interval, candidate_width(g), true);
    }
    layout_end(out);
}

/* The baseline and the candidates first..last-1. */
static void print_block(struct text *out, const struct grid *g, size_t first, size_t last)
{
    static const struct entry header = {.value = "value", .difference = "diff", .interval = "95% interval"};
    const size_t width = block_width(g, last - first);
    print_names(out, g, first, last);
    print_cells(out, g, "", "baseline", &header, 0, last - first);
    layout_rule(out, width);
    for (size_t i = 0; i < g->n_lines; i++) {
        const struct line *l = &g->lines[i];
        const char *label = text_c(&l->label);
        if (l->kind == LINE_RULE) {
            layout_rule(out, width);
        } else if (l->kind == LINE_HEADING) {
            layout_pad(out, label, smaller(width, layout_width(label)), false);
            layout_end(out);
        } else {
            struct text cut = {0};
            layout_pad(&cut, label, g->label, false);
            print_cells(out, g, text_c(&cut), l->entries[0].value, l->entries + first, 1, last - first);
            text_free(&cut);
        }
    }
}

/* Escapes and wraps a line, and frees it. */
static void print_remark(struct text *out, struct text *plain, size_t width)
{
    struct text line = {0};
    escape_terminal(&line, text_c(plain));
    layout_wrap(out, text_c(&line), width, 2);
    text_free(plain);
    text_free(&line);
}

/* Why numbers mean little. */
static void print_canaries(struct text *out, const struct report *r, size_t width)
{
    for (size_t i = 0; i < r->n_canaries; i++) {
        const struct report_canary *c = &r->canaries[i];
        struct text plain = {0};
        if (i == CANARIES) {
            text_printf(out, "!: and %zu more\n", r->n_canaries - CANARIES);
            return;
        }
        text_printf(&plain, "! %s of %s: %s", c->suite, r->subjects[c->subject].name, c->reason);
        print_remark(out, &plain, width);
    }
}

/* Who was measured by another tool, and who is not compared at all. */
static void print_outsiders(struct text *out, const struct report *r, size_t width)
{
    size_t n = 0;
    for (size_t j = 0; j < r->n_subjects; j++) {
        const struct report_subject *s = &r->subjects[j];
        struct text plain = {0};
        if ((!s->source && !s->refused) || n++ >= REASONS) continue;
        text_printf(&plain, "%s%s:", s->source ? "† " : "", s->name);
        const bool told = s->source && s->refused && strstr(s->refused, s->source);
        if (s->source && !told) text_printf(&plain, " measured by %s%s", s->source, s->refused ? ";" : "");
        if (s->refused) text_printf(&plain, " not compared: %s", s->refused);
        print_remark(out, &plain, width);
    }
    if (n > REASONS) text_printf(out, "†: and %zu more\n", n - REASONS);
}

/* What was scaled among the costs of a profile, and why there are dashes or no rows. */
static void print_cost_notes(struct text *out, const struct report *r, size_t width)
{
    struct cost_note notes[COST_NOTES];
    const size_t n = cost_notes(r, notes);
    struct text scaled = {0};
    if (costs_scaled(r, &scaled)) print_remark(out, &scaled, width);
    for (size_t i = 0; i < n; i++) {
        struct text plain = {0};
        text_add(&plain, "n/a: ");
        cost_note_write(&plain, r, &notes[i]);
        print_remark(out, &plain, width);
    }
}

/* Why numbers are missing; the first few, the rest counted. */
static void print_reasons(struct text *out, const struct grid *g, size_t width)
{
    size_t n = 0;
    for (size_t i = 0; i < g->r->n_rows; i++)
        for (size_t j = 0; j < g->r->n_subjects; j++) {
            struct text of = {0}, plain = {0};
            const char *reason = cell_reason(g->r, i, j, &of);
            if (reason && n++ < REASONS) {
                text_printf(&plain, "%s: %s of %s: %s", g->r->rows[i].cells[j].refused ? "not compared" : "n/a",
                            text_c(&of), g->r->subjects[j].name, reason);
                print_remark(out, &plain, width);
            }
            text_free(&of);
        }
    if (n > REASONS) text_printf(out, "n/a: and %zu more\n", n - REASONS);
}

static void print_legend(struct text *out, const struct grid *g, size_t width)
{
    struct text t = {0};
    bool has_flips = false, has_distances = false;
    for (size_t i = 0; i < g->r->n_rows; i++) {
        has_flips |= row_has_flips(&g->r->rows[i], g->r->n_subjects);
        has_distances |= g->r->rows[i].is_distance;
    }
    text_printf(&t, "%s worse, %s better than the baseline: p < 0.05 for the paired difference (bootstrap",
                verdict_mark(VERDICT_WORSE), verdict_mark(VERDICT_BETTER));
    if (g->r->resamples > 0) text_printf(&t, ", %" PRId64 " resamples of the items", g->r->resamples);
    text_add(&t, "; the exact McNemar test where items are right or wrong)");
    const size_t compared = candidates_compared(g->r);
    if (compared > 1) text_printf(&t, ", adjusted by Holm's method for the %zu candidates of a row", compared);
    text_add(&t, ". No mark: no difference shown. Where nothing changed, 1 row in 20 is still marked.");
    if (has_flips) text_add(&t, " flips: +items that turned right, -items that turned wrong.");
    if (has_distances) text_add(&t, " kl_divergence and below: how far predictions are from the baseline's, by token.");
    layout_wrap(out, text_c(&t), width, 0);
    text_clear(&t);

    const struct answer a = answer_find(g->r);
    text_add(&t, "answer: ");
    answer_write(&t, g->r, &a, escape_terminal);
    layout_wrap(out, text_c(&t), width, 8);
    if (t.failed) out->failed = true;
    text_free(&t);
}

static void print(struct text *out, struct grid *g)
{
    const size_t width = g->style->width > 0 ? (size_t)g->style->width : 80, n = g->r->n_subjects;
    const struct report_subject *base = g->r->subjects;
    struct text title = {0};
    text_add(&title, "baseline: ");
    escape_terminal(&title, base->name);
    if (*base->isa) {
        text_add(&title, " (kernels ");
        escape_terminal(&title, base->isa);
        if (base->threads >= 0) text_printf(&title, ", %" PRId64 " threads", base->threads);
        text_char(&title, ')');
    }
    layout_pad(out, text_c(&title), smaller(width, layout_width(text_c(&title))), false);
    text_add(out, "\n\n");
    text_free(&title);
    measure(g);
    const size_t size = choose_layout(g);
    size_t first = 1;
    do {
        const size_t last = smaller(first + size, n);
        if (first > 1) text_char(out, '\n');
        print_block(out, g, first, last);
        first = last;
    } while (first < n);
    print_outsiders(out, g->r, width);
    print_reasons(out, g, width);
    print_cost_notes(out, g->r, width);
    print_canaries(out, g->r, width);
    if (n > 1) print_legend(out, g, width);
}

int report_table(const json_t *comparison, const struct table_style *style, struct text *out, struct error *e)
{
    struct report r;
    int status = report_read_comparison(&r, comparison, e);
    if (status) return status;
    struct grid g = {.r = &r, .style = style};
    status = build(&g, e);
    if (!status) print(out, &g);
    release(&g);
    report_close(&r);
    if (!status && (g.failed || out->failed)) return error_set(e, ERROR_IO, "table: out of memory");
    return status;
}
