/* The sortable table: a row a subject. Every cell that is sorted by a number has it in data-v, which is empty where there
 * is none. */
#include "reports/page/page.h"
#include "reports/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void write_column(struct page *p, const char *name, const char *unit, const char *help)
{
    text_add(p->out, "<th scope=\"col\" aria-sort=\"none\"");
    if (*help) text_printf(p->out, " title=\"%s\"", help);
    text_add(p->out, "><button type=\"button\">");
    page_text(p, name);
    if (*unit) {
        text_add(p->out, " <span class=\"unit\">");
        page_text(p, unit);
        text_add(p->out, "</span>");
    }
    text_add(p->out, "</button></th>");
}

/* The suite's first row, which stands for it here. */
static bool is_column(const struct report *r, size_t row)
{
    return row_opens_suite(r, row) && !r->rows[row].is_distance;
}

static bool has_distance(const struct report *r, const char *metric)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->rows[i].is_distance && strcmp(r->rows[i].metric, metric) == 0) return true;
    return false;
}

static bool has_flips(const struct report *r)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (row_has_flips(&r->rows[i], r->n_subjects)) return true;
    return false;
}

static void write_head(struct page *p)
{
    const struct report *r = p->r;
    text_add(p->out, "<thead><tr>");
    write_column(p, "Rank", "", "by quality; = where it cannot be told from the best of its group");
    write_column(p, "Subject", "", "");
    write_column(p, "Verdict", "", "against the baseline, p &lt; 0.05");
    write_column(p, "Bits", "per weight", "");
    write_column(p, "Weights", "MiB", "");
    write_column(p, "Speed", "tokens/s", "");
    write_column(p, "Quality", "% of baseline", "mean over the suites of the share of the baseline&#39;s quality");
    if (has_distance(r, "kl_divergence")) write_column(p, "KL", "nat", "mean divergence from the baseline, by token");
    if (has_distance(r, "same_top")) write_column(p, "Same top", "", "share of tokens with the same prediction");
    if (has_flips(r)) write_column(p, "Flips", "", "answers that turned right or wrong");
    for (size_t i = 0; i < r->n_rows; i++)
        if (is_column(r, i)) {
            struct text unit = {0};
            text_printf(&unit, "%s %s%s%s", r->rows[i].metric, r->rows[i].unit, *r->rows[i].unit ? " " : "",
                        r->rows[i].higher_is_better ? "↑" : "↓");
            write_column(p, r->rows[i].suite, text_c(&unit), "");
            text_free(&unit);
        }
    text_add(p->out, "</tr></thead>\n");
}

static void open_cell(struct page *p, double v, const char *class)
{
    text_add(p->out, "<td");
    if (*class) text_printf(p->out, " class=\"%s\"", class);
    if (isnan(v))
        text_add(p->out, " data-v=\"\">");
    else
        text_printf(p->out, " data-v=\"%.12g\">", v);
}

static void write_number(struct page *p, double v, int decimals)
{
    char s[CELL_TEXT] = "–";
    if (!isnan(v)) format_value(s, v, decimals);
    open_cell(p, v, "");
    text_printf(p->out, "%s</td>", s);
}

static void write_rank(struct page *p, size_t j)
{
    const struct standing *s = &p->standings[j];
    bool tied = false;
    for (size_t k = 0; k < p->r->n_subjects; k++) tied = tied || (k != j && s->tie && p->standings[k].tie == s->tie);
    open_cell(p, s->rank ? (double)s->rank : NAN, "");
    if (s->rank)
        text_printf(p->out, "%zu%s", s->rank, tied ? "<span class=\"tie\" title=\"tie\">=</span>" : "");
    else
        text_add(p->out, "–");
    text_add(p->out, "</td>");
}

static void write_verdict(struct page *p, size_t j)
{
    const size_t losses = answer_losses(p->r, j);
    if (!j) {
        open_cell(p, -1, "");
        text_add(p->out, "<span class=\"pill\">baseline</span></td>");
    } else if (!answer_is_comparable(p->r, j)) {
        open_cell(p, NAN, "");
        text_add(p->out, "<span class=\"pill\">not comparable</span></td>");
    } else if (!losses) {
        open_cell(p, 0, "");
        text_add(p->out, "<span class=\"pill good\">no loss</span></td>");
    } else {
        open_cell(p, (double)losses, "");
        text_printf(p->out, "<span class=\"pill bad\">%zu worse</span></td>", losses);
    }
}

static double same_top(const struct report *r, size_t j)
{
    double sum = 0;
    int n = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        if (!row->is_distance || strcmp(row->metric, "same_top") || isnan(row->cells[j].figure.value)) continue;
        sum += row->cells[j].figure.value;
        n++;
    }
    return n ? sum / n : NAN;
}

static void write_flips(struct page *p, size_t j)
{
    int64_t gained, lost;
    if (!subject_flips(p->r, j, &gained, &lost)) {
        write_number(p, NAN, 0);
        return;
    }
    open_cell(p, (double)(gained + lost), "");
    text_printf(p->out, "+%" PRId64 " −%" PRId64 "</td>", gained, lost);
}

static void write_suite(struct page *p, const struct report_row *row, size_t j)
{
    const struct report_cell *cell = &row->cells[j];
    const enum verdict verdict = cell_verdict(row, cell);
    const int decimals = row_decimals(row, p->r->n_subjects);
    char value[CELL_TEXT] = "–", difference[CELL_TEXT];
    if (!cell->absent) format_value(value, cell->figure.value, decimals);
    open_cell(p, cell->figure.value, verdict == VERDICT_WORSE ? "worse" : verdict == VERDICT_BETTER ? "better" : "");
    text_printf(p->out, "%s%s", value, cell_is_doubtful(p->r, row, j) ? "!" : "");
    if (j && cell->has_difference && !isnan(cell->difference.value)) {
        format_difference(difference, cell->difference.value, decimals);
        text_printf(p->out, " <span class=\"diff\">%s%s%s</span>", difference, verdict ? " " : "",
                    verdict ? verdict_mark(verdict) : "");
    }
    text_add(p->out, "</td>");
}

static void write_subject(struct page *p, size_t j)
{
    const struct report_subject *s = &p->r->subjects[j];
    const bool clean = j && answer_is_comparable(p->r, j) && !answer_losses(p->r, j);
    text_printf(p->out, "<tr data-clean=\"%d\"%s>", clean, j ? "" : " class=\"baseline\"");
    write_rank(p, j);
    text_add(p->out, "<th scope=\"row\">");
    page_label(p, j);
    if (s->source) {
        text_add(p->out, " <span class=\"source\">");
        page_text(p, s->source);
        text_add(p->out, "</span>");
    }
    text_add(p->out, "</th>");
    write_verdict(p, j);
    write_number(p, s->bits_per_weight, 2);
    write_number(p, s->weight_bytes < 0 ? NAN : (double)s->weight_bytes / (1 << 20), s->weight_bytes < 1 << 30 ? 2 : 1);
    write_number(p, s->tokens_per_second, s->tokens_per_second < 100 ? 1 : 0);
    write_number(p, p->standings[j].score, 2);
    if (has_distance(p->r, "kl_divergence")) write_number(p, subject_divergence(p->r, j), 4);
    if (has_distance(p->r, "same_top")) write_number(p, same_top(p->r, j), 3);
    if (has_flips(p->r)) write_flips(p, j);
    for (size_t i = 0; i < p->r->n_rows; i++)
        if (is_column(p->r, i)) write_suite(p, &p->r->rows[i], j);
    text_add(p->out, "</tr>\n");
}

void page_board(struct page *p)
{
    page_open(p, "board-section", "Leaderboard",
              "Every suite by its first metric, with the difference to the baseline. ✗ worse, ✓ better: the paired "
              "difference is significant. No mark: no difference was shown, which is not the same as none.");
    text_printf(p->out,
                "<div class=\"controls\" hidden><label>Filter <input id=\"filter\" type=\"search\" "
                "placeholder=\"name or backend\" autocomplete=\"off\"></label> <label><input id=\"filter-clean\" "
                "type=\"checkbox\"> only without a significant loss</label> <span id=\"shown\" role=\"status\">%zu of "
                "%zu</span></div>\n",
                p->r->n_subjects, p->r->n_subjects);
    page_scroll_open(p, "Leaderboard");
    text_add(p->out, "<table id=\"board\"><caption class=\"hidden\">Subjects, what they cost and what they lose"
                     "</caption>\n");
    write_head(p);
    text_add(p->out, "<tbody>\n");
    for (size_t j = 0; j < p->r->n_subjects; j++) write_subject(p, j);
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
    page_close(p);
}
