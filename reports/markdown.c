/* report.md, a comment below a pull request: the answer, a line a candidate, then all numbers, folded away where they are
 * many. GitHub takes no comment of more than 65,536 characters: sections have shares of that, and what does not fit is
 * cut at a line and counted. */
#include "engine/base/memory.h"
#include "reports/answer.h"
#include "reports/board/rank.h"
#include "reports/layout.h"
#include "reports/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 65000,
    GLANCE = 20000,
    REMARKS = 8000,
    PROTOCOL = 8000
}; /* bytes, of which a character has at least one */
enum { NAME_WIDTH = 96, REASON_WIDTH = 300, FOLDED_FROM = 9 };

/* Lines that end where their share is used up. */
struct section {
    struct text text;
    size_t most, n, left_out;
};

/* Adds a line and empties it. After one that does not fit none is added. */
static void add_line(struct section *s, struct text *line)
{
    if (s->left_out || s->text.length + line->length > s->most)
        s->left_out++;
    else
        text_bytes(&s->text, text_c(line), line->length);
    s->n++;
    s->text.failed |= line->failed;
    text_clear(line);
}

static void close_section(struct text *out, struct section *s, const char *what)
{
    text_bytes(out, text_c(&s->text), s->text.length);
    if (s->left_out)
        text_printf(out,
                    "\n*%zu of %zu %s are left out, because a comment has no more than 65,536 characters. compare.json "
                    "has all of them.*\n",
                    s->left_out, s->n, what);
    out->failed |= s->text.failed;
    text_free(&s->text);
}

/* No more is escaped than can be shown: a code point takes at most four bytes and at least a column. */
static void write_cut(struct text *out, const char *s, size_t width)
{
    struct text visible = {0}, cut = {0};
    text_terminal(&visible, s, strnlen(s, 4 * (width + 1)));
    const size_t n = layout_width(text_c(&visible));
    layout_pad(&cut, text_c(&visible), n < width ? n : width, false);
    escape_markdown(out, text_c(&cut));
    out->failed |= visible.failed || cut.failed;
    text_free(&visible);
    text_free(&cut);
}

/* Names stand in <code>, where a "@name" is no mention of a person and a "#1" no link. */
static void write_code(struct text *out, const char *s)
{
    text_add(out, "<code>");
    write_cut(out, s, NAME_WIDTH);
    text_add(out, "</code>");
}

/* Suites, metrics and reasons, which rarely have such signs. */
static void write_words(struct text *out, const char *s)
{
    const bool code = strpbrk(s, "@#!") != NULL;
    if (code) text_add(out, "<code>");
    write_cut(out, s, REASON_WIDTH);
    if (code) text_add(out, "</code>");
}

static void write_subject(struct text *out, const struct report *r, size_t subject)
{
    struct text label = {0};
    subject_label(&label, r, subject);
    write_code(out, text_c(&label));
    text_free(&label);
    const char *source = r->subjects[subject].source;
    if (source) {
        text_add(out, " (");
        write_words(out, source);
        text_char(out, ')');
    }
    if (subject == 0) text_add(out, " (baseline)");
}

/* --- a line a candidate --- */

struct glance {
    const struct report *r;
    const struct standing *standings; /* [subjects] */
    size_t best;
    bool speed, divergence, flips; /* which of the columns there are */
};

static void write_losses(struct text *out, const struct report *r, size_t subject)
{
    enum { SHOWN = 3 };
    size_t suites = 0, shown = 0;
    const char *told = "";
    for (size_t i = 0; i < r->n_rows; i++)
        suites += row_opens_suite(r, i) && !r->rows[i].is_distance && !r->rows[i].cells->absent;
    const size_t losses = answer_losses(r, subject), doubts = answer_doubts(r, subject), n = losses ? losses : doubts;
    const bool comparable = answer_is_comparable(r, subject);
    if (!comparable || !n) {
        text_add(out, comparable ? "none" : "not comparable");
        return;
    }
    text_printf(out, "%s %zu of %zu: ", losses ? verdict_mark(VERDICT_WORSE) : "in doubt", n, suites);
    for (size_t i = 0; i < r->n_rows && shown < SHOWN; i++) {
        const char *suite = r->rows[i].suite;
        if (!(losses ? cell_is_loss : cell_is_doubt)(&r->rows[i], subject) || strcmp(told, suite) == 0) continue;
        if (shown++) text_add(out, ", ");
        write_words(out, suite);
        told = suite;
    }
    if (n > shown) text_add(out, ", …");
}

static void write_quality(struct text *out, const struct standing *s)
{
    if (isnan(s->score)) {
        text_add(out, " " DASH " |");
        return;
    }
    text_printf(out, " %.2f%%", s->score);
    if (!isnan(s->low) && s->low < s->high) text_printf(out, " [%.2f, %.2f]", s->low, s->high);
    text_add(out, " |");
}

static void write_flip_count(struct text *out, const struct report *r, size_t subject)
{
    int64_t gained, lost;
    if (subject && subject_flips(r, subject, &gained, &lost))
        text_printf(out, " +%" PRId64 " -%" PRId64 " |", gained, lost);
    else
        text_add(out, subject ? " " DASH " |" : " |");
}

static void write_candidate(struct text *out, const struct glance *g, size_t j)
{
    char cost[CELL_TEXT], change[CELL_TEXT];
    const struct report_subject *s = &g->r->subjects[j];
    const char *bold = j && j == g->best ? "**" : "";
    text_printf(out, "| %s", bold);
    write_subject(out, g->r, j);
    format_cost(cost, s, COST_MIB);
    format_cost_change(change, s, g->r->subjects, COST_MIB);
    text_printf(out, "%s | %s | %s |", bold, cost, j ? change : "");
    write_quality(out, &g->standings[j]);
    if (g->speed) {
        format_cost(cost, s, COST_TOKENS);
        text_printf(out, " %s |", cost);
    }
    if (g->divergence) {
        const double kl = subject_distance(g->r, j, "kl_divergence");
        format_value(cost, kl, 4);
        text_printf(out, " %s |", j == 0 ? "" : isnan(kl) ? DASH : cost);
    }
    if (g->flips) write_flip_count(out, g->r, j);
    text_char(out, ' ');
    if (j) write_losses(out, g->r, j);
    text_add(out, " |\n");
}

static void write_glance(struct text *out, struct glance *g)
{
    struct section s = {.most = GLANCE};
    struct text line = {0};
    int64_t gained, lost;
    g->speed = cost_is_known(g->r, COST_TOKENS);
    for (size_t j = 1; j < g->r->n_subjects; j++) {
        g->divergence |= !isnan(subject_distance(g->r, j, "kl_divergence"));
        g->flips |= subject_flips(g->r, j, &gained, &lost);
    }
    text_printf(
        out, "\n| candidate | weights MiB | vs. baseline | quality |%s%s%s losses |\n|---|---:|---:|---:|%s%s%s---|\n",
        g->speed ? " tokens/s |" : "", g->divergence ? " KL |" : "", g->flips ? " flips |" : "",
        g->speed ? "---:|" : "", g->divergence ? "---:|" : "", g->flips ? "---:|" : "");
    for (size_t j = 0; j < g->r->n_subjects; j++) {
        write_candidate(&line, g, j);
        add_line(&s, &line);
    }
    close_section(out, &s, "lines");
    text_free(&line);
}

/* --- all numbers --- */

static void write_head(struct text *out, const struct report *r)
{
    text_add(out, "\n| suite | metric |");
    for (size_t j = 0; j < r->n_subjects; j++) {
        text_char(out, ' ');
        write_subject(out, r, j);
        text_add(out, " |");
    }
    text_add(out, "\n|---|---|");
    for (size_t j = 0; j < r->n_subjects; j++) text_add(out, "---:|");
    text_char(out, '\n');
}

static void write_cell(struct text *out, const struct report_row *row, size_t subject, int decimals)
{
    const struct report_cell *cell = &row->cells[subject];
    const enum verdict verdict = cell_verdict(row, cell);
    const char *bold = verdict ? "**" : "";
    char value[CELL_TEXT], difference[CELL_TEXT], interval[CELL_TEXT];
    format_cell(value, cell, decimals);
    if (row->is_distance) {
        format_interval(interval, &cell->figure, decimals, false);
        text_printf(out, subject ? " %s%s%s |" : " |", value, *interval ? " " : "", interval);
        return;
    }
    text_printf(out, " %s%s%s", bold, value, cell->doubtful ? "!" : "");
    if (subject > 0 && !cell->absent && !row->cells->absent && cell->refused) {
        text_add(out, " (not comparable)");
    } else if (subject > 0 && !cell->absent && !row->cells->absent) {
        format_difference(difference, cell->difference.value, decimals);
        format_interval(interval, &cell->difference, decimals, true);
        text_printf(out, " (%s%s%s)", difference, *interval ? " " : "", interval);
    }
    text_printf(out, "%s%s%s |", verdict ? " " : "", verdict ? verdict_mark(verdict) : "", bold);
}

static void write_rows(struct section *s, const struct report *r)
{
    struct text line = {0};
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        const int decimals = row->decimals;
        text_add(&line, "| ");
        if (row_opens_suite(r, i)) write_words(&line, row->suite);
        text_add(&line, " | ");
        write_words(&line, row->metric);
        text_add(&line, row->higher_is_better ? " ↑ |" : " ↓ |");
        for (size_t j = 0; j < r->n_subjects; j++) write_cell(&line, row, j, decimals);
        text_char(&line, '\n');
        add_line(s, &line);
    }
    text_free(&line);
}

static void write_costs(struct section *s, const struct report *r)
{
    struct text line = {0};
    for (int k = 0; k < COSTS; k++) {
        if (!cost_is_known(r, k)) continue;
        text_printf(&line, "| | %s |", cost_name(k));
        for (size_t j = 0; j < r->n_subjects; j++) {
            char cost[CELL_TEXT], change[CELL_TEXT] = "";
            format_cost(cost, &r->subjects[j], k);
            if (j > 0) format_cost_change(change, &r->subjects[j], r->subjects, k);
            text_printf(&line, *change ? " %s (%s) |" : " %s |", cost, change);
        }
        text_char(&line, '\n');
        add_line(s, &line);
    }
    text_free(&line);
}

static void write_flips(struct section *s, const struct report *r)
{
    struct text line = {0};
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        if (!row_has_flips(row, r->n_subjects)) continue;
        text_add(&line, "| ");
        write_words(&line, row->suite);
        text_add(&line, " | flips of ");
        write_words(&line, row->metric);
        text_add(&line, " |");
        for (size_t j = 0; j < r->n_subjects; j++) {
            char flips[CELL_TEXT];
            format_flips(flips, &row->cells[j]);
            text_printf(&line, " %s |", flips);
        }
        text_char(&line, '\n');
        add_line(s, &line);
    }
    text_free(&line);
}

/* `room`: bytes that are left for it. */
static void write_table(struct text *out, const struct report *r, size_t room)
{
    const bool folded = r->n_rows >= FOLDED_FROM && r->n_subjects > 1;
    struct section s = {.most = room};
    struct text head = {0};
    if (folded) text_printf(out, "\n<details><summary>All %zu rows</summary>\n", r->n_rows);
    write_head(&head, r);
    add_line(&s, &head);
    s.n = 0; /* it is none of the rows, but takes them all with it */
    write_rows(&s, r);
    write_costs(&s, r);
    write_flips(&s, r);
    if (s.left_out > s.n) s.left_out = s.n;
    close_section(out, &s, "rows");
    if (folded) text_add(out, "\n</details>\n");
    text_free(&head);
}

/* --- what the numbers mean --- */

static void write_legend(struct text *out, const struct report *r)
{
    bool absent = false;
    for (size_t i = 0; i < r->n_rows * r->n_subjects; i++) absent |= r->cells[i].absent;
    text_printf(out,
                "\nQuality: each suite's first metric as a share of the baseline's, the mean over the suites. In "
                "brackets: the difference to the baseline and its 95%% interval, paired over the items. Bold, %s "
                "worse or %s better: p < 0.05 by the paired bootstrap or, where items are right or wrong, the exact "
                "McNemar test",
                verdict_mark(VERDICT_WORSE), verdict_mark(VERDICT_BETTER));
    const size_t compared = candidates_compared(r);
    if (compared > 1) text_printf(out, ", adjusted by Holm's method for the %zu candidates of a row", compared);
    text_add(out,
             ". ↑ higher is better, ↓ lower is better. Flips: +items that turned right, -items that turned wrong.");
    text_add(out, absent ? " " DASH ": not measured.\n" : "\n");
}

static void write_remark(struct section *s, struct text *line, const char *kind, const char *of, const char *name,
                         const char *reason)
{
    text_printf(line, "- %s ", kind);
    if (of) {
        write_words(line, of);
        text_add(line, " of ");
    }
    write_code(line, name);
    text_add(line, ": ");
    write_words(line, reason);
    text_char(line, '\n');
    add_line(s, line);
}

/* Why numbers are missing, or mean little. */
static void write_remarks(struct section *s, const struct report *r)
{
    struct text line = {0}, of = {0};
    for (size_t j = 0; j < r->n_subjects; j++)
        if (r->subjects[j].refused)
            write_remark(s, &line, "not compared:", NULL, r->subjects[j].name, r->subjects[j].refused);
    for (size_t i = 0; i < r->n_rows; i++)
        for (size_t j = 0; j < r->n_subjects; j++) {
            const char *reason = cell_reason(r, i, j, &of);
            const char *kind = r->rows[i].cells[j].refused ? "not compared:" : "n/a:";
            if (reason) write_remark(s, &line, kind, text_c(&of), r->subjects[j].name, reason);
            text_clear(&of);
        }
    struct cost_note notes[COST_NOTES];
    const size_t n = cost_notes(r, notes);
    text_add(&line, "- ");
    const bool scaled = costs_scaled(r, &line);
    text_add(&line, "\n");
    if (scaled) add_line(s, &line);
    text_clear(&line);
    for (size_t i = 0; i < n; i++) {
        text_add(&line, "- n/a: ");
        cost_note_write(&of, r, &notes[i]);
        write_words(&line, text_c(&of));
        text_char(&line, '\n');
        add_line(s, &line);
        text_clear(&of);
    }
    for (size_t i = 0; i < r->n_canaries; i++) {
        const struct report_canary *c = &r->canaries[i];
        write_remark(s, &line, "!", c->suite, r->subjects[c->subject].name, c->reason);
    }
    text_free(&line);
    text_free(&of);
}

static void write_protocols(struct section *s, const struct report *r)
{
    struct text line = {0}, brief = {0};
    for (size_t i = 0; i < r->n_rows; i++) {
        const char *fingerprint = r->rows[i].fingerprint;
        if (!row_opens_suite(r, i)) continue;
        text_add(&line, "| ");
        write_words(&line, r->rows[i].suite);
        text_add(&line, " | ");
        if (r->rows[i].items >= 0) text_printf(&line, "%" PRId64, r->rows[i].items);
        text_add(&line, " | ");
        text_bytes(&brief, fingerprint, strnlen(fingerprint, 12));
        if (brief.length) write_code(&line, text_c(&brief));
        text_clear(&brief);
        text_add(&line, " |\n");
        add_line(s, &line);
    }
    text_free(&line);
    text_free(&brief);
}

static void write_details(struct text *out, const struct report *r)
{
    struct section suites = {.most = PROTOCOL};
    const struct report_subject *base = r->subjects; /* measured where it was, which need not be here */
    text_add(out,
             "\n<details><summary>Protocol and machine</summary>\n\n| suite | items | fingerprint |\n|---|---:|---|\n");
    write_protocols(&suites, r);
    close_section(out, &suites, "suites");
    text_add(out, "\n- kerf ");
    write_words(out, r->version);
    text_add(out, ", commit ");
    write_code(out, r->commit);
    if (*base->cpu) {
        text_add(out, "\n- machine: ");
        write_words(out, base->cpu);
        text_add(out, ", kernels ");
        write_words(out, base->isa);
        if (base->threads >= 0) text_printf(out, ", %" PRId64 " threads", base->threads);
    }
    if (r->resamples >= 0) text_printf(out, "\n- resampling: %" PRId64 " resamples", r->resamples);
    if (r->resamples >= 0 && r->seed >= 0) text_printf(out, ", seed %" PRId64, r->seed);
    text_add(out, "\n\n</details>\n");
}

static void write_answer(struct text *out, const struct report *r, const struct answer *a)
{
    text_add(out, "# ");
    answer_headline(out, r, a, write_code);
    text_add(out, "\n\n");
    const size_t start = out->length;
    answer_gain(out, r, a);
    if (out->length > start && a->next) text_char(out, ' ');
    answer_next(out, r, a, write_code);
    text_add(out, out->length > start ? " The baseline is " : "The baseline is ");
    write_code(out, r->subjects->name);
    text_add(out, ".\n");
}

static void write_page(struct text *out, const struct report *r, const struct standing *standings)
{
    struct text end = {0};
    struct section remarks = {.most = REMARKS};
    const struct answer a = answer_find(r);
    struct glance glance = {.r = r, .standings = standings, .best = a.best};
    write_remarks(&remarks, r);
    if (r->n_subjects > 1) write_legend(&end, r);
    if (remarks.n) text_char(&end, '\n');
    close_section(&end, &remarks, "remarks");
    write_details(&end, r);
    write_answer(out, r, &a);
    if (r->n_subjects > 1) write_glance(out, &glance);
    const size_t used = out->length + end.length;
    write_table(out, r, used < PAGE ? PAGE - used : 0);
    text_bytes(out, text_c(&end), end.length);
    out->failed |= end.failed;
    text_free(&end);
}

int report_markdown(const json_t *comparison, struct text *out, struct error *e)
{
    struct report r;
    int status = report_read_comparison(&r, comparison, e);
    if (status) return status;
    struct standing *standings = memory_new(r.n_subjects, sizeof *standings, "a ranking", e);
    status = standings ? report_standings(&r, standings, e) : ERROR_IO;
    if (!status) write_page(out, &r, standings);
    free(standings);
    report_close(&r);
    return !status && out->failed ? error_set(e, ERROR_IO, "report: out of memory") : status;
}
