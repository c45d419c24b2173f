/* Every number with its interval, and how they came about. */
#include "reports/page/page.h"
#include "reports/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void write_cell(struct page *p, const struct report_row *row, size_t j, int decimals)
{
    const struct report_cell *cell = &row->cells[j];
    const enum verdict verdict = cell_verdict(row, cell);
    char value[CELL_TEXT], difference[CELL_TEXT], interval[CELL_TEXT];
    if (cell->absent || (row->is_distance && !j)) {
        text_add(p->out, "<td>" DASH "</td>");
        return;
    }
    format_value(value, cell->figure.value, decimals);
    text_printf(p->out, "<td class=\"%s\"><b>%s%s</b>",
                verdict == VERDICT_WORSE    ? "worse"
                : verdict == VERDICT_BETTER ? "better"
                                            : "",
                value, cell->doubtful ? "!" : "");
    if (cell->has_difference) {
        format_difference(difference, cell->difference.value, decimals);
        format_interval(interval, &cell->difference, decimals, true);
        text_printf(p->out, " <span class=\"diff\">%s%s%s</span> <span class=\"interval\">%s</span>", difference,
                    verdict ? " " : "", verdict ? verdict_mark(verdict) : "", interval);
    } else {
        format_interval(interval, &cell->figure, decimals, false);
        text_printf(p->out, " <span class=\"interval\">%s</span>", interval);
    }
    text_add(p->out, "</td>");
}

static void write_row(struct page *p, size_t i)
{
    const struct report_row *row = &p->r->rows[i];
    const int decimals = row->decimals;
    text_printf(p->out, "<tr%s><th scope=\"row\">", row_opens_suite(p->r, i) ? " class=\"opens\"" : "");
    page_text(p, row->suite);
    text_add(p->out, " <b>");
    page_text(p, row->metric);
    text_printf(p->out, "</b> %s", row->higher_is_better ? "↑" : "↓");
    if (*row->unit) {
        text_add(p->out, " <span class=\"unit\">");
        page_text(p, row->unit);
        text_add(p->out, "</span>");
    }
    text_add(p->out, "</th>");
    for (size_t j = 0; j < p->r->n_subjects; j++) write_cell(p, row, j, decimals);
    text_add(p->out, "</tr>\n");
}

void page_numbers(struct page *p)
{
    page_open(p, "numbers", "All numbers",
              p->r->n_subjects > 1
                  ? "The value; then the difference to the baseline with its 95% interval, paired over "
                    "the items. ↑ higher is better, ↓ lower is better."
                  : "The value and its 95% interval. ↑ higher is better, ↓ lower is better.");
    page_scroll_open(p, "All numbers");
    text_add(p->out,
             "<table class=\"plain wide\"><caption class=\"hidden\">All metrics of all subjects</caption><thead>"
             "<tr><th scope=\"col\">Suite and metric</th>");
    for (size_t j = 0; j < p->r->n_subjects; j++) {
        text_add(p->out, "<th scope=\"col\">");
        page_label(p, j);
        text_add(p->out, "</th>");
    }
    text_add(p->out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < p->r->n_rows; i++) write_row(p, i);
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
    page_close(p);
}

/* --- method --- */

static void write_protocols(struct page *p)
{
    page_scroll_open(p, "Suites and their protocols");
    text_add(p->out, "<table class=\"plain\"><caption>Suites. Numbers compare where the fingerprint of the protocol is "
                     "the same.</caption><thead><tr><th scope=\"col\">Suite</th><th scope=\"col\">Items</th><th "
                     "scope=\"col\">Fingerprint</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < p->r->n_rows; i++) {
        const struct report_row *row = &p->r->rows[i];
        if (!row_opens_suite(p->r, i)) continue;
        text_add(p->out, "<tr><th scope=\"row\">");
        page_text(p, row->suite);
        if (row->items >= 0)
            text_printf(p->out, "</th><td>%" PRId64 "</td><td>", row->items);
        else
            text_add(p->out, "</th><td>" DASH "</td><td>");
        if (*row->fingerprint) {
            text_add(p->out, "<code class=\"fingerprint\">");
            page_text(p, row->fingerprint);
            text_add(p->out, "</code></td></tr>\n");
        } else {
            text_add(p->out, DASH "</td></tr>\n");
        }
    }
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
}

static void write_origins(struct page *p)
{
    page_scroll_open(p, "Subjects, programs and machines");
    text_add(p->out,
             "<table class=\"plain\"><caption>Where the numbers come from</caption><thead><tr><th scope=\"col\">"
             "Subject</th><th scope=\"col\">Measured by</th><th scope=\"col\">Math</th><th scope=\"col\">Machine"
             "</th><th scope=\"col\">Peak memory</th></tr></thead><tbody>\n");
    for (size_t j = 0; j < p->r->n_subjects; j++) {
        const struct report_subject *s = &p->r->subjects[j];
        text_add(p->out, "<tr><th scope=\"row\">");
        page_label(p, j);
        text_add(p->out, "</th><td>");
        if (s->source)
            page_text(p, s->source);
        else {
            text_add(p->out, "kerf ");
            page_text(p, s->version);
            text_char(p->out, ' ');
            struct text brief = {0};
            text_bytes(&brief, s->commit, strnlen(s->commit, 12));
            page_text(p, text_c(&brief));
            text_free(&brief);
        }
        text_add(p->out, "</td><td>");
        page_text(p, *s->math ? s->math : DASH);
        text_add(p->out, "</td><td>");
        page_text(p, *s->cpu ? s->cpu : DASH);
        if (*s->isa) {
            text_add(p->out, ", ");
            page_text(p, s->isa);
        }
        if (s->threads >= 0) text_printf(p->out, ", %" PRId64 " threads", s->threads);
        if (s->peak_bytes >= 0)
            text_printf(p->out, "</td><td>%.0f MiB</td></tr>\n", (double)s->peak_bytes / (1 << 20));
        else
            text_add(p->out, "</td><td>" DASH "</td></tr>\n");
    }
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
}

static void write_doubts(struct page *p)
{
    struct text list = {0}, *whole = p->out;
    p->out = &list;
    for (size_t i = 0; i < p->r->n_canaries; i++) {
        const struct report_canary *c = &p->r->canaries[i];
        text_add(p->out, "<li>! ");
        page_text(p, c->suite);
        text_add(p->out, " of ");
        page_label(p, c->subject);
        text_add(p->out, ": ");
        page_text(p, c->reason);
        text_add(p->out, "</li>\n");
    }
    for (size_t i = 0; i < p->r->n_rows; i++)
        for (size_t j = 0; j < p->r->n_subjects; j++) {
            struct text of = {0};
            const char *reason = cell_reason(p->r, i, j, &of);
            if (reason) {
                text_add(p->out, "<li>");
                page_text(p, text_c(&of));
                text_add(p->out, " of ");
                page_label(p, j);
                text_add(p->out, ": ");
                page_text(p, reason);
                text_add(p->out, "</li>\n");
            }
            text_free(&of);
        }
    p->out = whole;
    if (list.length) {
        text_add(p->out, "<h3>Read with care</h3>\n<ul class=\"doubts\">\n");
        text_bytes(p->out, list.bytes, list.length);
        text_add(p->out, "</ul>\n");
    }
    if (list.failed) p->out->failed = true;
    text_free(&list);
}

static bool has_fast(const struct report *r)
{
    for (size_t j = 0; j < r->n_subjects; j++)
        if (subject_is_fast(&r->subjects[j])) return true;
    return false;
}

void page_method(struct page *p)
{
    const struct report *r = p->r;
    page_open(p, "method", "Method", "");
    write_doubts(p);
    text_add(p->out, "<p>Differences are paired: every item is scored by both subjects. Where items are right or wrong "
                     "the test is the exact McNemar test, else the paired bootstrap over items or documents");
    if (r->resamples > 0) text_printf(p->out, " (%" PRId64 " resamples, seed %" PRId64 ")", r->resamples, r->seed);
    const size_t compared = candidates_compared(r);
    if (compared > 1)
        text_printf(p->out, ". p is adjusted by Holm&#39;s method for the %zu candidates of a row", compared);
    text_add(p->out, ". A difference is called significant where p &lt; 0.05; where nothing changed, 1 row in 20 still "
                     "is. Exact math: stored weights in float32 arithmetic, so what is measured is what the weights "
                     "lost.");
    if (has_fast(r))
        text_add(p->out, " Fast math: inputs in 8 bits and products of integers, as programs that serve such weights "
                         "have them, so what is measured is what the weights and the kernels lost.");
    text_add(p->out, "</p>\n");
    write_protocols(p);
    write_origins(p);
    page_close(p);
}
