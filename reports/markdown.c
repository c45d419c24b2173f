#include "reports/answer.h"
#include "reports/report.h"

#include <inttypes.h>
#include <string.h>

/* Names stand in <code>, where a "@name" is no mention of a person and a "#1" no link. */
static void write_code(struct text *out, const char *s)
{
    text_add(out, "<code>");
    escape_markdown(out, s);
    text_add(out, "</code>");
}

static void write_head(struct text *out, const struct report *r)
{
    text_add(out, "\n| suite | metric |");
    for (size_t j = 0; j < r->n_subjects; j++) {
        struct text label = {0};
        subject_label(&label, r, j);
        text_char(out, ' ');
        write_code(out, text_c(&label));
        text_add(out, j ? " |" : " (baseline) |");
        text_free(&label);
    }
    text_add(out, "\n|---|---|");
    for (size_t j = 0; j < r->n_subjects; j++) text_add(out, "---:|");
    text_char(out, '\n');
}

static void write_cell(struct text *out, const struct report *r, const struct report_row *row, size_t subject,
                       int decimals)
{
    const struct report_cell *cell = &row->cells[subject];
    const enum verdict verdict = cell_verdict(row, cell);
    const char *bold = verdict ? "**" : "";
    char value[CELL_TEXT], difference[CELL_TEXT], interval[CELL_TEXT];
    format_value(value, cell->figure.value, decimals);
    if (row->is_distance) {
        format_interval(interval, &cell->figure, decimals, false);
        text_printf(out, subject ? " %s%s%s |" : " |", value, *interval ? " " : "", interval);
        return;
    }
    text_printf(out, " %s%s%s", bold, value, cell_is_doubtful(r, row, subject) ? "!" : "");
    if (subject > 0 && cell->refused) {
        text_add(out, " (not comparable)");
    } else if (subject > 0) {
        format_difference(difference, cell->difference.value, decimals);
        format_interval(interval, &cell->difference, decimals, true);
        text_printf(out, " (%s%s%s)", difference, *interval ? " " : "", interval);
    }
    text_printf(out, "%s%s%s |", verdict ? " " : "", verdict ? verdict_mark(verdict) : "", bold);
}

static void write_rows(struct text *out, const struct report *r)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        const int decimals = row_decimals(row, r->n_subjects);
        text_add(out, "| ");
        if (row_opens_suite(r, i)) escape_markdown(out, row->suite);
        text_add(out, " | ");
        escape_markdown(out, row->metric);
        text_add(out, row->higher_is_better ? " ↑ |" : " ↓ |");
        for (size_t j = 0; j < r->n_subjects; j++) write_cell(out, r, row, j, decimals);
        text_char(out, '\n');
    }
}

static void write_costs(struct text *out, const struct report *r)
{
    for (int k = 0; k < COSTS; k++) {
        text_printf(out, "| | %s |", cost_name(k));
        for (size_t j = 0; j < r->n_subjects; j++) {
            char cost[CELL_TEXT], change[CELL_TEXT] = "";
            format_cost(cost, &r->subjects[j], k);
            if (j > 0) format_cost_change(change, &r->subjects[j], r->subjects, k);
            text_printf(out, *change ? " %s (%s) |" : " %s |", cost, change);
        }
        text_char(out, '\n');
    }
}

static void write_flips(struct text *out, const struct report *r)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        if (!row_has_flips(row, r->n_subjects)) continue;
        text_add(out, "| ");
        escape_markdown(out, row->suite);
        text_add(out, " | flips of ");
        escape_markdown(out, row->metric);
        text_add(out, " |");
        for (size_t j = 0; j < r->n_subjects; j++) {
            char flips[CELL_TEXT];
            format_flips(flips, &row->cells[j]);
            text_printf(out, " %s |", flips);
        }
        text_char(out, '\n');
    }
}

static void write_legend(struct text *out, const struct report *r)
{
    text_printf(out,
                "\nIn brackets: the difference to the baseline and its 95%% interval, paired over the items. Bold, %s "
                "worse or %s better: p < 0.05 by the paired bootstrap or, where items are right or wrong, the exact "
                "McNemar test",
                verdict_mark(VERDICT_WORSE), verdict_mark(VERDICT_BETTER));
    if (r->n_subjects > 2)
        text_printf(out, ", adjusted by Holm's method for the %zu candidates of a row", r->n_subjects - 1);
    text_add(out,
             ". ↑ higher is better, ↓ lower is better. Flips: +items that turned right, -items that turned wrong.\n");
}

static void write_canaries(struct text *out, const struct report *r)
{
    for (size_t i = 0; i < r->n_canaries; i++) {
        const struct report_canary *c = &r->canaries[i];
        text_add(out, "- ! ");
        escape_markdown(out, c->suite);
        text_add(out, " of ");
        write_code(out, r->subjects[c->subject].name);
        text_add(out, ": ");
        escape_markdown(out, c->reason);
        text_char(out, '\n');
    }
}

static void write_reasons(struct text *out, const struct report *r)
{
    for (size_t i = 0; i < r->n_rows; i++)
        for (size_t j = 0; j < r->n_subjects; j++) {
            struct text of = {0};
            const char *reason = cell_reason(r, i, j, &of);
            if (reason) {
                text_add(out, "- n/a: ");
                escape_markdown(out, text_c(&of));
                text_add(out, " of ");
                write_code(out, r->subjects[j].name);
                text_add(out, ": ");
                escape_markdown(out, reason);
                text_char(out, '\n');
            }
            text_free(&of);
        }
}

static void write_details(struct text *out, const struct report *r)
{
    text_add(out,
             "\n<details><summary>Protocol and machine</summary>\n\n| suite | items | fingerprint |\n|---|---:|---|\n");
    for (size_t i = 0; i < r->n_rows; i++) {
        if (!row_opens_suite(r, i)) continue;
        text_add(out, "| ");
        escape_markdown(out, r->rows[i].suite);
        text_add(out, " | ");
        if (r->rows[i].items >= 0) text_printf(out, "%" PRId64, r->rows[i].items);
        text_add(out, " | ");
        struct text brief = {0};
        text_bytes(&brief, r->rows[i].fingerprint, strnlen(r->rows[i].fingerprint, 12));
        write_code(out, text_c(&brief));
        text_free(&brief);
        text_add(out, " |\n");
    }
    text_add(out, "\n- kerf ");
    escape_markdown(out, r->version);
    text_add(out, ", commit ");
    write_code(out, r->commit);
    text_add(out, "\n- machine: ");
    escape_markdown(out, r->cpu);
    text_add(out, ", kernels ");
    escape_markdown(out, r->isa);
    if (r->threads >= 0) text_printf(out, ", %" PRId64 " threads", r->threads);
    if (r->resamples >= 0) text_printf(out, "\n- resampling: %" PRId64 " resamples", r->resamples);
    if (r->resamples >= 0 && r->seed >= 0) text_printf(out, ", seed %" PRId64, r->seed);
    text_add(out, "\n\n</details>\n");
}

int report_markdown(const json_t *comparison, struct text *out, struct error *e)
{
    struct report r;
    const int status = report_read_comparison(&r, comparison, e);
    if (status) return status;
    const struct answer a = answer_find(&r);
    text_add(out, "# ");
    answer_headline(out, &r, &a, write_code);
    text_add(out, "\n\n");
    answer_next(out, &r, &a, write_code);
    text_add(out, a.next ? " The baseline is " : "The baseline is ");
    write_code(out, r.subjects->name);
    text_add(out, ".\n");
    write_head(out, &r);
    write_rows(out, &r);
    write_costs(out, &r);
    write_flips(out, &r);
    if (r.n_subjects > 1) write_legend(out, &r);
    write_reasons(out, &r);
    write_canaries(out, &r);
    write_details(out, &r);
    report_close(&r);
    return out->failed ? error_set(e, ERROR_IO, "report: out of memory") : 0;
}
