/* The charts, each in a <figure> with what to read in it. */
#include "reports/page/page.h"
#include "reports/report.h"

#include <math.h>
#include <string.h>

static void say_no_charts(struct page *p)
{
    text_add(p->out, "<p class=\"missing\">No charts here: ");
    page_text(p, p->no_charts);
    text_add(p->out, "</p>\n");
}

/* The chart; its caption follows. */
static void open_figure(struct page *p, const struct text *svg)
{
    text_add(p->out, "<figure class=\"chart\">\n");
    text_bytes(p->out, svg->bytes, svg->length);
    text_add(p->out, "\n<figcaption>");
    if (svg->failed) p->out->failed = true;
}

/* Nothing where nothing was drawn. */
static void write_figure(struct page *p, const struct text *svg, const char *caption)
{
    if (!svg->length) return;
    open_figure(p, svg);
    text_printf(p->out, "%s</figcaption>\n</figure>\n", caption);
}

int page_quality(struct page *p)
{
    struct text svg = {0};
    page_open(p, "quality", "Quality against size",
              "Up is better, left is smaller. Nothing beats a point on the line (the Pareto front) in both.");
    int status = 0;
    if (p->no_charts)
        say_no_charts(p);
    else
        status = chart_quality(p->r, p->standings, NULL, &svg, p->e);
    if (!status)
        write_figure(
            p, &svg,
            "<span id=\"score\">Quality</span> is the mean over the suites of the share of the baseline&#39;s first "
            "metric that is kept, in percent (a smaller perplexity counts as more). The bars are 95% intervals of "
            "the paired difference.");
    text_free(&svg);
    page_close(p);
    return status;
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
int page_differences(struct page *p)
{
    enum { MOST = 40 };
    int status = 0;
    size_t n = 0;
    page_open(p, "differences", "Where it differs",
              "The difference to the baseline in each suite&#39;s first metric, paired over the items, with its 95% "
              "interval. An interval that holds 0 shows no difference.");
    if (p->no_charts) say_no_charts(p);
    text_add(p->out, "<div class=\"charts\">\n");
    for (size_t i = 0; i < p->r->n_rows && !status && !p->no_charts; i++) {
        const struct report_row *row = &p->r->rows[i];
        struct text svg = {0};
        if (!row_opens_suite(p->r, i) || row->is_distance || n == MOST) continue;
        status = chart_differences(p->r, i, &svg, p->e);
        if (!status && svg.length) {
            n++;
            open_figure(p, &svg);
            write_outcome(p, row);
            text_add(p->out, "</figcaption>\n</figure>\n");
        }
        text_free(&svg);
    }
    text_add(p->out, "</div>\n");
    if (n == MOST)
        text_printf(p->out, "<p class=\"missing\">The first %d suites; all numbers follow below.</p>\n", MOST);
    page_close(p);
    return status;
}

/* --- divergence --- */

static double quantile(const json_t *divergence, const char *q)
{
    const json_t *v = json_object_get(json_object_get(divergence, "kl_quantiles"), q);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void write_quantile(struct page *p, double v)
{
    char s[CELL_TEXT] = "–";
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

int page_divergence(struct page *p)
{
    enum { MOST = 10 };
    int status = 0;
    size_t n = 0;
    page_open(
        p, "divergence", "How far predictions moved",
        "The Kullback-Leibler divergence of each candidate&#39;s prediction from the baseline&#39;s, token by token: "
        "what quantization changed, whether or not an answer flipped.");
    for (size_t i = 0; i < p->r->n_rows && !status; i++) {
        const struct report_row *row = &p->r->rows[i];
        struct text svg = {0};
        if (!row_opens_suite(p->r, i) || n == MOST || !some_divergence(p, row->suite)) continue;
        n++;
        if (!p->no_charts) status = chart_divergence(p->r, p->v, row->suite, &svg, p->e);
        text_add(p->out, "<div class=\"pair\">\n");
        if (!status) write_figure(p, &svg, "Further left and lower is closer to the baseline.");
        text_free(&svg);
        write_quantiles(p, row->suite);
        text_add(p->out, "</div>\n");
    }
    if (!n)
        text_add(p->out,
                 "<p class=\"missing\">Not measured: it takes a suite of documents and the baseline&#39;s model "
                 "beside each candidate, as kerf compare has it without --no-divergence.</p>\n");
    page_close(p);
    return status;
}
