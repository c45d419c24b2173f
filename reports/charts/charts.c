#include "reports/charts/charts.h"
#include "reports/charts/draw.h"
#include "reports/charts/gnuplot.h"
#include "reports/charts/scale.h"

#include <math.h>
#include <string.h>

enum { LINE = 26, DESCRIBED = 12 }; /* height of a candidate's line; candidates that the description names */

int charts_try(struct error *e)
{
    struct text drawn = {0};
    int status = gnuplot_run("set terminal svg\nplot [0:1] 0\n", gnuplot_usual, &drawn, e);
    if (!status && !strstr(text_c(&drawn), "<svg"))
        status = error_set(e, ERROR_IO, "gnuplot: draws no SVG (Debian: apt install gnuplot-nox)");
    text_free(&drawn);
    return status;
}

/* What is drawn of a row: names on the left, the intervals, the differences as numbers on the right. */
struct forest {
    const struct report *r;
    const struct report_row *row;
    int decimals;
    struct text baseline, about;
    struct chart_scale x;
    struct chart chart;
};

static bool is_listed(const struct report_cell *cell) { return !cell->absent; }

static bool is_drawn(const struct report_cell *cell)
{
    return is_listed(cell) && cell->has_difference && isfinite(cell->difference.value);
}

static double name_width(const struct forest *f)
{
    double widest = 0;
    for (size_t j = 1; j < f->r->n_subjects; j++) {
        struct text name = {0};
        if (is_listed(&f->row->cells[j])) subject_label(&name, f->r, j);
        widest = fmax(widest, chart_text_width(text_c(&name), TEXT_SIZE));
        text_free(&name);
    }
    return fmin(fmax(widest, 50), 150);
}

static double value_width(const struct forest *f)
{
    double widest = 0;
    char value[CELL_TEXT];
    for (size_t j = 1; j < f->r->n_subjects; j++) {
        format_difference(value, f->row->cells[j].difference.value, f->decimals);
        widest = fmax(widest, chart_text_width(value, TEXT_SIZE));
    }
    return fmin(widest, 90);
}

static void fit_scale(struct forest *f)
{
    double low = 0, high = 0;
    for (size_t j = 1; j < f->r->n_subjects; j++) {
        const struct report_cell *cell = &f->row->cells[j];
        const struct figure *d = &cell->difference;
        if (!is_drawn(cell)) continue;
        low = fmin(low, isfinite(d->low) ? fmin(d->low, d->value) : d->value);
        high = fmax(high, isfinite(d->high) ? fmax(d->high, d->value) : d->value);
    }
    const double value = fabs(f->row->cells[0].figure.value), still = isfinite(value) ? 0.05 * value : 1;
    if (low == high) low = -still, high = still; /* nothing changed: an axis of changes that would be worth a look */
    const double margin = (high - low) * 0.06;   /* both are finite, their difference need not be */
    f->x = chart_scale_fit(low - margin, high + margin, false, f->chart.frame.left, f->chart.frame.right);
}

/* Which way is better, over the two sides of the zero line, as far as there is room. */
static void draw_directions(struct forest *f, double zero)
{
    const bool higher = f->row->higher_is_better;
    const struct chart_box frame = f->chart.frame;
    const double y = frame.top - 13;
    const struct chart_words left = {higher ? "← worse" : "← better", .anchor = ANCHOR_END,
                                     .colour = higher ? WORSE : BETTER};
    const struct chart_words right = {higher ? "better →" : "worse →", .colour = higher ? BETTER : WORSE};
    const double names = chart_text_width(left.text, TEXT_SIZE), room = 8;
    chart_text(&f->chart, fmax(zero - room, names), y, &left);
    chart_text(&f->chart, fmin(zero + room, CHART_WIDTH - chart_text_width(right.text, TEXT_SIZE)), y, &right);
}

static void draw_axes(struct forest *f)
{
    char text[32];
    struct text title = {0}, about = {0}, shown = {0};
    const struct chart_box frame = f->chart.frame;
    const struct chart_ticks ticks = chart_ticks_across(&f->x, true, TEXT_SIZE);
    for (size_t i = 0; i < ticks.n; i++) {
        chart_tick_text(text, sizeof text, &ticks, i, true);
        chart_tick(&f->chart, 0, chart_place(&f->x, ticks.at[i]), text);
    }
    text_printf(&title, "%s %s", f->row->suite, f->row->metric);
    chart_shorten(&shown, text_c(&title), CHART_WIDTH, TITLE_SIZE * 1.05); /* bold is wider */
    chart_text(&f->chart, 0, 12,
               &(struct chart_words){text_c(&shown), text_c(&title), .size = TITLE_SIZE, .bold = true});
    text_clear(&shown);
    const char *direction = f->row->higher_is_better ? "higher" : "lower";
    text_add(&about, "difference in ");
    chart_shorten(&about, f->row->metric, 80, TEXT_SIZE);
    text_add(&about, " to ");
    chart_shorten(&about, text_c(&f->baseline), 80, TEXT_SIZE);
    text_printf(&about, " (%s is better)", direction);
    chart_text(&f->chart, CHART_WIDTH, f->chart.height - 10,
               &(struct chart_words){text_c(&about), .anchor = ANCHOR_END, .colour = MUTED});
    const double zero = chart_place(&f->x, 0);
    chart_line(&f->chart, (struct chart_pen){.colour = INK, .width = 1}, (struct chart_point){zero, frame.top - 4},
               (struct chart_point){zero, frame.bottom});
    draw_directions(f, zero);
    text_free(&title);
    text_free(&about);
    text_free(&shown);
}

static struct chart_pen verdict_pen(enum verdict v)
{
    if (v == VERDICT_WORSE) return (struct chart_pen){.colour = WORSE, .width = 5.5, .marker = MARKER_DOWN};
    if (v == VERDICT_BETTER) return (struct chart_pen){.colour = BETTER, .width = 5.5, .marker = MARKER_UP};
    return (struct chart_pen){.colour = MUTED, .width = 4, .marker = MARKER_RING};
}

/* "+0.032 [+0.006, +0.060], worse" */
static void describe(struct forest *f, struct text *out, const struct report_cell *cell)
{
    static const char *const verdicts[] = {", worse", ", no difference shown", ", better"};
    char value[CELL_TEXT], interval[CELL_TEXT];
    format_difference(value, cell->difference.value, f->decimals);
    format_interval(interval, &cell->difference, f->decimals, true);
    text_printf(out, "%s%s%s%s", value, *interval ? " " : "", interval, verdicts[cell_verdict(f->row, cell) + 1]);
}

static void draw_candidate(struct forest *f, size_t subject, double y)
{
    const struct report_cell *cell = &f->row->cells[subject];
    const struct figure *d = &cell->difference;
    const enum verdict verdict = cell_verdict(f->row, cell);
    struct chart_pen pen = verdict_pen(verdict), bar = pen;
    struct text name = {0}, shown = {0}, hint = {0};
    char value[CELL_TEXT];
    subject_label(&name, f->r, subject);
    chart_shorten(&shown, text_c(&name), f->chart.frame.left - 10, TEXT_SIZE);
    text_printf(&hint, "%s: ", text_c(&name));
    describe(f, &hint, cell);
    chart_text(&f->chart, 0, y, &(struct chart_words){text_c(&shown), text_c(&hint), .colour = INK});
    format_difference(value, is_drawn(cell) ? d->value : NAN, f->decimals);
    chart_text(&f->chart, CHART_WIDTH, y,
               &(struct chart_words){value, text_c(&hint), .anchor = ANCHOR_END, .colour = verdict ? pen.colour : MUTED,
                                     .bold = verdict != VERDICT_NONE});
    chart_line(&f->chart, (struct chart_pen){.colour = GRID, .width = 1}, (struct chart_point){0, y + LINE / 2.0},
               (struct chart_point){CHART_WIDTH, y + LINE / 2.0});
    if (is_drawn(cell)) {
        const double x = chart_place(&f->x, d->value);
        bar.marker = MARKER_NONE;
        bar.width = 2;
        if (isfinite(d->low) && isfinite(d->high))
            chart_line(&f->chart, bar, (struct chart_point){chart_place(&f->x, d->low), y},
                       (struct chart_point){chart_place(&f->x, d->high), y});
        chart_plot(&f->chart, "points", pen, &(struct chart_point){x, y}, 1);
    }
    f->about.failed = f->about.failed || name.failed || shown.failed || hint.failed;
    text_free(&name);
    text_free(&shown);
    text_free(&hint);
}

static void describe_all(struct forest *f)
{
    size_t n = 0;
    text_printf(&f->about, "%s %s, difference to ", f->row->suite, f->row->metric);
    text_printf(&f->about, "%s with its 95 %% interval, %s is better: ", text_c(&f->baseline),
                f->row->higher_is_better ? "higher" : "lower");
    for (size_t j = 1; j < f->r->n_subjects; j++) {
        if (!is_drawn(&f->row->cells[j]) || n++ >= DESCRIBED) continue;
        if (n > 1) text_add(&f->about, "; ");
        subject_label(&f->about, f->r, j);
        text_char(&f->about, ' ');
        describe(f, &f->about, &f->row->cells[j]);
    }
    if (n > DESCRIBED) text_printf(&f->about, "; and %zu more", n - DESCRIBED);
    text_char(&f->about, '.');
}

static int draw(struct forest *f, size_t row, size_t listed, struct text *svg, struct error *e)
{
    char id[64];
    struct text title = {0};
    const double top = 50, bottom = top + (double)listed * LINE + 4;
    f->decimals = f->row->decimals;
    subject_label(&f->baseline, f->r, 0);
    chart_open(&f->chart, bottom + 44,
               (struct chart_box){name_width(f) + 12, top, CHART_WIDTH - value_width(f) - 12, bottom});
    fit_scale(f);
    draw_axes(f);
    double y = top + 2 + LINE / 2.0;
    for (size_t j = 1; j < f->r->n_subjects; j++) {
        if (!is_listed(&f->row->cells[j])) continue;
        draw_candidate(f, j, y);
        y += LINE;
    }
    describe_all(f);
    text_printf(&title, "%s %s: differences to the baseline", f->row->suite, f->row->metric);
    snprintf(id, sizeof id, "chart-differences-%zu", row);
    const int status = f->about.failed || title.failed || f->baseline.failed
                           ? error_set(e, ERROR_IO, "%s: out of memory for the chart", id)
                           : chart_close(&f->chart, id, text_c(&title), text_c(&f->about), svg, e);
    chart_free(&f->chart);
    text_free(&f->baseline);
    text_free(&f->about);
    text_free(&title);
    return status;
}

int chart_differences(const struct report *r, size_t row, struct text *svg, struct error *e)
{
    struct forest f = {.r = r, .row = &r->rows[row]};
    size_t drawn = 0, listed = 0;
    for (size_t j = 1; j < r->n_subjects; j++) {
        drawn += is_drawn(&f.row->cells[j]);
        listed += is_listed(&f.row->cells[j]);
    }
    return drawn ? draw(&f, row, listed, svg, e) : 0;
}
