/* The top of the page: the answer in a sentence, and the subjects that it is about, side by side. */
#include "reports/page/page.h"
#include "reports/report.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The baseline's bytes as a bar, of which so much is left; what the saw took stays as an outline. */
static void write_bar(struct page *p, size_t subject)
{
    const int64_t all = p->r->subjects->weight_bytes, own = p->r->subjects[subject].weight_bytes;
    if (all <= 0 || own < 0) return;
    const double share = fmin(100.0, 100.0 * (double)own / (double)all);
    text_printf(p->out,
                "<svg class=\"bar\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
                "<rect class=\"whole\" width=\"100\" height=\"4\"/><rect class=\"left\" width=\"%.1f\" height=\"4\"/>"
                "</svg>\n",
                share);
}

static void write_size(struct page *p, size_t j)
{
    char size[CELL_TEXT];
    const struct report_subject *s = &p->r->subjects[j], *base = p->r->subjects;
    if (s->weight_bytes < 0) return;
    format_cost(size, s, COST_MIB);
    text_printf(p->out, "<dt>Weights</dt><dd><b>%s MiB</b>", size);
    if (j && base->weight_bytes > 0)
        text_printf(p->out, ", %.1f%% of the baseline", 100.0 * (double)s->weight_bytes / (double)base->weight_bytes);
    text_add(p->out, "</dd>\n");
}

static void write_speed(struct page *p, size_t j)
{
    const double own = p->r->subjects[j].tokens_per_second, base = p->r->subjects->tokens_per_second;
    if (isnan(own)) return;
    text_printf(p->out, "<dt>Speed</dt><dd><b>%.0f tokens/s</b>", own);
    if (j && base > 0 && subjects_timed_alike(p->r->subjects, &p->r->subjects[j]))
        text_printf(p->out, ", %.2f× the baseline", own / base);
    text_add(p->out, "</dd>\n");
}

static void write_quality(struct page *p, size_t j)
{
    const struct standing *s = &p->standings[j];
    if (!j || isnan(s->score)) return;
    text_printf(p->out, "<dt><a href=\"#score\">Quality</a></dt><dd><b>%.2f%%</b> of the baseline", s->score);
    if (!isnan(s->low)) text_printf(p->out, " <span class=\"interval\">[%.2f, %.2f]</span>", s->low, s->high);
    text_add(p->out, "</dd>\n");
}

/* How far its predictions are from the baseline's. */
static void write_distance(struct page *p, size_t j)
{
    const double kl = subject_distance(p->r, j, "kl_divergence");
    char value[CELL_TEXT];
    if (isnan(kl)) return;
    format_value(value, kl, 4);
    text_printf(p->out, "<dt><a href=\"#divergence\">KL divergence</a></dt><dd><b>%s</b> nat by token</dd>\n", value);
}

static void write_flips(struct page *p, size_t j)
{
    int64_t gained, lost;
    if (!subject_flips(p->r, j, &gained, &lost)) return;
    if (gained + lost == 0)
        text_add(p->out, "<dt><a href=\"#flips\">Flips</a></dt><dd>no answer</dd>\n");
    else
        text_printf(p->out,
                    "<dt><a href=\"#flips\">Flips</a></dt><dd><b>%" PRId64 "</b> answers, %" PRId64
                    " of them turned wrong</dd>\n",
                    gained + lost, lost);
}

static void write_loss(struct page *p, const struct report_row *row, size_t j)
{
    char difference[CELL_TEXT] = "not known", interval[CELL_TEXT] = "";
    const struct report_cell *cell = &row->cells[j];
    const int decimals = row->decimals;
    if (!isnan(cell->difference.value)) {
        format_difference(difference, cell->difference.value, decimals);
        format_interval(interval, &cell->difference, decimals, true);
    }
    text_add(p->out, "<li>");
    page_text(p, row->suite);
    text_char(p->out, ' ');
    page_text(p, row->metric);
    if (!isnan(cell->difference.value)) {
        char from[CELL_TEXT], to[CELL_TEXT];
        format_value(from, row->cells[0].figure.value, decimals);
        format_value(to, cell->figure.value, decimals);
        text_printf(p->out, ", %s → %s:", from, to);
    }
    text_printf(p->out, " <b class=\"worse\">%s</b> <span class=\"interval\">%s</span></li>", difference, interval);
}

static void write_losses(struct page *p, size_t j)
{
    enum { SHOWN = 5 };
    const size_t losses = answer_losses(p->r, j), doubts = answer_doubts(p->r, j), n = losses ? losses : doubts;
    bool (*const is_told)(const struct report_row *, size_t) = losses ? cell_is_loss : cell_is_doubt;
    if (!j) return;
    if (!n) {
        text_add(p->out, "<p class=\"verdict good\">No significant loss</p>\n");
        return;
    }
    text_printf(p->out, "<p class=\"verdict bad\">%s in %zu suite%s</p>\n<ul class=\"losses\">",
                losses ? "Worse" : "May be worse", n, n > 1 ? "s" : "");
    const char *suite = NULL;
    size_t shown = 0;
    for (size_t i = 0; i < p->r->n_rows && shown < SHOWN; i++) {
        const struct report_row *row = &p->r->rows[i];
        if (!is_told(row, j) || (suite && strcmp(suite, row->suite) == 0)) continue;
        suite = row->suite;
        shown++;
        write_loss(p, row, j);
    }
    text_add(p->out, "</ul>\n");
    if (n > shown) text_printf(p->out, "<p>and in %zu more</p>\n", n - shown);
}

/* On how much it all stands. */
static void write_extent(struct page *p)
{
    size_t suites = 0;
    int64_t items = 0;
    for (size_t i = 0; i < p->r->n_rows; i++) {
        const struct report_row *row = &p->r->rows[i];
        if (!row_opens_suite(p->r, i) || row->cells[0].absent) continue;
        suites++;
        items = row->items < 0 || items < 0 ? -1 : items + row->items;
    }
    if (!suites) return;
    text_printf(p->out, "<dt>Measured</dt><dd><b>%zu suite%s</b>", suites, suites > 1 ? "s" : "");
    if (items >= 0) text_printf(p->out, ", %" PRId64 " items in all", items);
    text_add(p->out, "</dd>\n");
}

static void write_card(struct page *p, size_t j, const char *title)
{
    text_printf(p->out, "<article class=\"card%s\">\n<h2>%s</h2>\n<p class=\"name\">", j ? "" : " plain", title);
    page_label(p, j);
    text_add(p->out, "</p>\n");
    write_bar(p, j);
    text_add(p->out, "<dl>\n");
    write_size(p, j);
    write_speed(p, j);
    write_quality(p, j);
    write_distance(p, j);
    write_flips(p, j);
    if (!j) write_extent(p);
    text_add(p->out, "</dl>\n");
    write_losses(p, j);
    text_add(p->out, "</article>\n");
}

/* Where nothing is smaller, what is left to tell of those that compare. */
static void write_others(struct page *p)
{
    size_t n = 0, clean = 0;
    for (size_t j = 1; j < p->r->n_subjects; j++) {
        if (!answer_is_comparable(p->r, j)) continue;
        n++;
        clean += answer_losses(p->r, j) + answer_doubts(p->r, j) == 0;
    }
    if (n)
        text_printf(p->out, "%zu of %zu candidate%s %s no significant loss: the table says which.", clean, n,
                    n > 1 ? "s" : "", clean == 1 ? "has" : "have");
}

void page_answer(struct page *p)
{
    const struct answer *a = &p->answer;
    struct text headline = {0};
    answer_headline(&headline, p->r, a, page_name);
    text_add(p->out, "<section id=\"answer-section\">\n<h1 id=\"answer\">");
    if (headline.length)
        text_char(p->out, (char)toupper((unsigned char)*headline.bytes)); /* a name begins with a tag */
    if (headline.length) text_add(p->out, headline.bytes + 1);
    text_free(&headline);
    text_add(p->out, ".</h1>\n");
    text_add(p->out, "<p class=\"next\">");
    answer_gain(p->out, p->r, a);
    if (a->best && a->next) text_char(p->out, ' ');
    answer_next(p->out, p->r, a, page_name);
    if (!a->best && !a->next) write_others(p);
    text_add(p->out, "</p>\n");
    text_add(p->out, "<div class=\"cards\">\n");
    if (a->best) write_card(p, a->best, "Smallest without a loss");
    if (a->next) write_card(p, a->next, a->best ? "The next one down" : "The least loss");
    write_card(p, 0, p->r->n_subjects > 1 ? "Baseline" : "This run");
    text_add(p->out, "</div>\n");
    page_close(p);
}
