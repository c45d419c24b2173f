/* The charts, each in a <figure> with what to read in it. */
#include "reports/page/page.h"
#include "reports/report.h"

#include <math.h>
#include <string.h>

/* A page without charts is better than none: after one that failed no other is tried. */
void page_no_charts(struct page *p)
{
    if (!p->charts.code) return;
    text_add(p->out, "<p class=\"missing\">Charts are missing here: ");
    page_text(p, p->charts.text);
    text_add(p->out, "</p>\n");
}

/* The chart; its caption and the end of the figure follow. */
static void open_figure(struct page *p, const struct text *svg)
{
    text_add(p->out, "<figure class=\"chart\">\n");
    text_bytes(p->out, svg->bytes, svg->length);
    text_char(p->out, '\n');
    if (svg->failed) p->out->failed = true;
}

void page_figure(struct page *p, const struct text *svg, const char *caption)
{
    if (!svg->length) return;
    open_figure(p, svg);
    text_printf(p->out, "<figcaption>%s</figcaption>\n</figure>\n", caption);
}

/* What quality is, which the table and the cards speak of too. */
static void write_score(struct page *p)
{
    text_add(p->out,
             "<div class=\"words\">\n<p id=\"score\"><b>Quality</b> is one number for all suites: the mean of the "
             "shares of the baseline&#39;s first metrics that are kept (baseline by candidate for a perplexity, where "
             "less is better). 100% is the baseline; bars are 95% intervals of the paired difference.</p>\n"
             "<p>A mean can hide a loss: gains in other suites, which may be chance, outweigh it. So the answer does "
             "not go by quality, it asks of every suite whether something is lost.</p>\n</div>\n");
}

void page_quality(struct page *p)
{
    static const char marks[] =
        "<span class=\"fine\">●</span> no significant loss in any suite, "
        "<span class=\"worse\">▼</span> a significant loss in one or more, "
        "○ the baseline, <span class=\"fine\">━</span> the Pareto front, <b>bold</b> the answer";
    struct text svg = {0};
    page_open(p, "quality", "Quality against size",
              "Up is better, left is smaller. Nothing beats a point on the line (the Pareto front) in both.");
    if (!p->charts.code) chart_quality(p->r, p->standings, NULL, &svg, &p->charts);
    page_no_charts(p);
    text_add(p->out, "<div class=\"pair\">\n");
    if (!p->charts.code) page_figure(p, &svg, marks);
    if (!p->charts.code && !svg.length)
        text_add(p->out, "<p class=\"missing\">Nothing to draw: it takes two subjects whose size and quality are "
                         "known.</p>\n");
    write_score(p);
    text_add(p->out, "</div>\n");
    text_free(&svg);
    page_close(p);
}

/* "worse: @gptq:4, @gguf:q4_k" */
static void write_verdicts(struct page *p, const struct report_row *row, enum verdict verdict, const char *word)
{
    bool some = false;
    for (size_t j = 1; j < p->r->n_subjects; j++) {
        if (cell_verdict(row, &row->cells[j]) != verdict) continue;
        text_add(p->out, some ? ", " : word);
        page_label(p, j);
        some = true;
    }
    if (some) text_add(p->out, ". ");
}

/* What the chart shows, in words. */
static void write_outcome(struct page *p, const struct report_row *row)
{
    bool some = false;
    for (size_t j = 1; j < p->r->n_subjects; j++) some = some || cell_verdict(row, &row->cells[j]) != VERDICT_NONE;
    if (!some) text_add(p->out, "No difference shown.");
    write_verdicts(p, row, VERDICT_WORSE, "Worse: ");
    write_verdicts(p, row, VERDICT_BETTER, "Better: ");
}

/* A chart for the first metric of each suite, of so many suites: what is longer nobody looks at, and all numbers follow
 * below. */
void page_differences(struct page *p)
{
    enum { MOST = 40 };
    size_t n = 0;
    page_open(p, "differences", "Where it differs",
              candidates_compared(p->r) > 1
                  ? "The difference to the baseline in each suite&#39;s first metric, paired over the items, with its "
                    "95% interval. An interval that holds 0 shows no difference; nor may one that just misses it, "
                    "since several candidates have as many chances to differ by luck, which the test allows for."
                  : "The difference to the baseline in each suite&#39;s first metric, paired over the items, with its "
                    "95% interval. An interval that holds 0 shows no difference.");
    text_add(p->out, "<div class=\"charts\">\n");
    for (size_t i = 0; i < p->r->n_rows && !p->charts.code; i++) {
        const struct report_row *row = &p->r->rows[i];
        struct text svg = {0};
        if (!row_opens_suite(p->r, i) || row->is_distance || n == MOST) continue;
        if (chart_differences(p->r, i, &svg, &p->charts) == 0 && svg.length) {
            n++;
            open_figure(p, &svg);
            text_add(p->out, "<figcaption>");
            write_outcome(p, row);
            text_add(p->out, "</figcaption>\n</figure>\n");
        }
        text_free(&svg);
    }
    text_add(p->out, "</div>\n");
    page_no_charts(p);
    if (n == MOST)
        text_printf(p->out, "<p class=\"missing\">The first %d suites; all numbers follow below.</p>\n", MOST);
    page_close(p);
}

/* --- divergence --- */

static double quantile(const json_t *divergence, const char *q)
{
    const json_t *v = json_object_get(json_object_get(divergence, "kl_quantiles"), q);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void write_quantile(struct page *p, double v)
{
    char s[CELL_TEXT] = DASH;
    if (!isnan(v)) format_value(s, v, 4);
    text_printf(p->out, "<td>%s</td>", s);
}

static void write_quantiles(struct page *p, const char *suite)
{
    static const char *const quantiles[][2] = {{"0.5", "median"}, {"0.9", "90%"},     {"0.95", "95%"},
                                               {"0.99", "99%"},   {"0.999", "99.9%"}, {"1", "largest"}};
    enum { QUANTILES = sizeof quantiles / sizeof *quantiles };
    page_scroll_open(p, "Quantiles of the divergence");
    text_add(p->out, "<table class=\"plain\"><caption>KL divergence by token, in nat</caption><thead><tr><th "
                     "scope=\"col\">Candidate</th>");
    for (int k = 0; k < QUANTILES; k++) text_printf(p->out, "<th scope=\"col\">%s</th>", quantiles[k][1]);
    text_add(p->out, "</tr></thead>\n<tbody>\n");
    for (size_t j = 1; j < p->r->n_subjects; j++) {
        const json_t *d = evidence_divergence(p->v, j, suite);
        if (!d) continue;
        text_add(p->out, "<tr><th scope=\"row\">");
        page_label(p, j);
        text_add(p->out, "</th>");
        for (int k = 0; k < QUANTILES; k++) write_quantile(p, quantile(d, quantiles[k][0]));
        text_add(p->out, "</tr>\n");
    }
    text_add(p->out, "</tbody></table>\n");
    page_scroll_close(p);
}

static bool some_divergence(const struct page *p, const char *suite)
{
    for (size_t j = 1; j < p->r->n_subjects; j++)
        if (evidence_divergence(p->v, j, suite)) return true;
    return false;
}

void page_divergence(struct page *p)
{
    enum { MOST = 10 };
    size_t n = 0;
    page_open(
        p, "divergence", "How far predictions moved",
        "The Kullback-Leibler divergence of each candidate&#39;s prediction from the baseline&#39;s, token by token: "
        "what quantization changed, whether or not an answer flipped. 0 is the same prediction.");
    for (size_t i = 0; i < p->r->n_rows; i++) {
        const struct report_row *row = &p->r->rows[i];
        struct text svg = {0};
        if (!row_opens_suite(p->r, i) || n == MOST || !some_divergence(p, row->suite)) continue;
        n++;
        if (!p->charts.code) chart_divergence(p->r, p->v, row->suite, &svg, &p->charts);
        text_add(p->out, "<div class=\"pair\">\n");
        if (!p->charts.code) page_figure(p, &svg, "Further left and lower is closer to the baseline.");
        text_free(&svg);
        write_quantiles(p, row->suite);
        text_add(p->out, "</div>\n");
    }
    if (!n)
        text_add(p->out,
                 "<p class=\"missing\">Not measured: it takes a suite of documents and the baseline&#39;s model "
                 "beside each candidate, as kerf compare has it without --no-divergence.</p>\n");
    page_close(p);
}
