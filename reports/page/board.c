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
    char s[CELL_TEXT] = DASH;
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
        text_add(p->out, DASH);
    text_add(p->out, "</td>");
}

static void write_verdict(struct page *p, size_t j)
{
    const size_t losses = answer_losses(p->r, j), doubts = answer_doubts(p->r, j);
    if (!j) {
        open_cell(p, -1, "");
        text_add(p->out, "<span class=\"pill\">baseline</span></td>");
    } else if (!answer_is_comparable(p->r, j)) {
        open_cell(p, NAN, "");
        text_add(p->out, "<span class=\"pill\">not comparable</span></td>");
    } else if (!losses && doubts) {
        open_cell(p, 0.5, "");
        text_printf(p->out, "<span class=\"pill doubt\">%zu in doubt</span></td>", doubts);
    } else if (!losses) {
        open_cell(p, 0, "");
        text_printf(p->out, "<span class=\"pill good\">no loss</span>%s</td>",
                    j == p->answer.best ? " <span class=\"diff\">smallest</span>" : "");
    } else {
        open_cell(p, (double)losses, "");
        text_printf(p->out, "<span class=\"pill bad\">%zu worse</span></td>", losses);
    }
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
    const int decimals = row->decimals;
    char value[CELL_TEXT] = DASH, difference[CELL_TEXT];
    if (!cell->absent) format_value(value, cell->figure.value, decimals);
    open_cell(p, cell->figure.value, verdict == VERDICT_WORSE ? "worse" : verdict == VERDICT_BETTER ? "better" : "");
    text_printf(p->out, "%s%s", value, cell->doubtful ? "!" : "");
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
    const bool clean = j && answer_is_comparable(p->r, j) && answer_losses(p->r, j) + answer_doubts(p->r, j) == 0;
    text_printf(p->out, "<tr data-clean=\"%d\"%s>", clean,
                !j                    ? " class=\"baseline\""
                : j == p->answer.best ? " class=\"best\""
                                      : "");
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
    if (has_distance(p->r, "kl_divergence")) write_number(p, subject_distance(p->r, j, "kl_divergence"), 4);
    if (has_distance(p->r, "same_top")) write_number(p, subject_distance(p->r, j, "same_top"), 3);
    if (has_flips(p->r)) write_flips(p, j);
    for (size_t i = 0; i < p->r->n_rows; i++)
        if (is_column(p->r, i)) write_suite(p, &p->r->rows[i], j);
    text_add(p->out, "</tr>\n");
}

/* What verdict and rank say, and why they need not agree. */
static void write_order(struct page *p)
{
    text_add(
        p->out,
        "<p class=\"about\"><b>Verdict</b> asks of every suite whether it is worse; the answer above goes by it. In "
        "doubt is what has p &lt; 0.05 only before it is adjusted for the other candidates. "
        "<b>Rank</b> goes by <a href=\"#score\">quality</a>, a mean in which gains in some suites, real or by "
        "chance, outweigh losses in others; = stands where ranks cannot be told apart.");
    for (size_t j = 1; j < p->r->n_subjects; j++) {
        const size_t losses = answer_losses(p->r, j);
        if (p->standings[j].rank != 1 || !losses) continue;
        text_add(p->out, " Here ");
        page_label(p, j);
        text_printf(p->out, " has rank 1 although %zu suite%s worse.", losses, losses > 1 ? "s are" : " is");
        break;
    }
    text_add(p->out, "</p>\n");
}

static bool comes_before(const struct report *r, size_t a, size_t b)
{
    const int64_t left = r->subjects[a].weight_bytes, right = r->subjects[b].weight_bytes;
    return left != right ? left > right : a < b;
}

/* The baseline, then the candidates from the largest to the smallest: those that are kept before those that lose, as a
 * rule. Of which the size is not known comes last. */
static size_t next_subject(const struct report *r, size_t before)
{
    size_t next = 0;
    for (size_t j = 1; j < r->n_subjects; j++)
        if ((!before || comes_before(r, before, j)) && (!next || comes_before(r, j, next))) next = j;
    return next;
}

void page_board(struct page *p)
{
    page_open(
        p, "board-section", "Leaderboard",
        p->r->n_subjects == 1
            ? "Every suite by its first metric. ↑ higher is better, ↓ lower is better."
            : "Every suite by its first metric, with the difference to the baseline. ✗ worse, ✓ better: the paired "
              "difference is significant. No mark: no difference was shown, which is not the same as none.");
    if (p->r->n_subjects > 1) write_order(p);
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
    write_subject(p, 0);
    for (size_t j = 0; (j = next_subject(p->r, j));) write_subject(p, j);
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
    page_close(p);
}
