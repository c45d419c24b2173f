#include "engine/base/memory.h"
#include "reports/charts/charts.h"
#include "reports/charts/labels.h"
#include "reports/charts/scale.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MOST = 512, DESCRIBED = 12, KEY_LINE = 22 };

/* Divergence below this is of no weight, and rounding; nats. */
#define LEAST_SHOWN 1e-6

/* Of one candidate: which share of tokens is above which divergence. */
struct curve {
    size_t subject;
    const json_t *steps;   /* [[nats, share], ...] */
    struct chart_point *p; /* [n], inside the frame */
    size_t n;
};

struct survival {
    const struct report *r;
    const char *suite;
    struct curve *curves; /* from left to right as they end: the nearest to the baseline first */
    size_t n;
    struct chart_scale x, y;
    struct chart chart;
};

static bool read_step(const struct curve *c, size_t i, double *nats, double *share)
{
    const json_t *step = json_array_get(c->steps, i);
    *nats = json_number_value(json_array_get(step, 0));
    *share = json_number_value(json_array_get(step, 1));
    return isfinite(*nats) && isfinite(*share) && *nats > 0 && *share > 0 && *share <= 1;
}

static size_t n_steps(const struct curve *c)
{
    const size_t n = json_array_size(c->steps);
    return n < STEPS_MOST ? n : STEPS_MOST;
}

static bool has_steps(const struct curve *c)
{
    double nats, share;
    for (size_t i = 0; i < n_steps(c); i++)
        if (read_step(c, i, &nats, &share)) return true;
    return false;
}

static void find_curves(struct survival *s, const struct evidence *v)
{
    for (size_t j = 1; j < s->r->n_subjects; j++) {
        struct curve c = {.subject = j};
        c.steps = json_object_get(evidence_divergence(v, j, s->suite), "kl_above");
        if (has_steps(&c)) s->curves[s->n++] = c;
    }
}

/* Whole powers of ten around what there is, of the divergence from LEAST_SHOWN on where there is something; below the
 * rarest share room for the lines' numbers. */
static void fit_scales(struct survival *s, struct chart_box frame)
{
    double low = INFINITY, high = 0, rarest = 1, nats, share;
    for (size_t k = 0; k < s->n; k++)
        for (size_t i = 0; i < n_steps(&s->curves[k]); i++) {
            if (!read_step(&s->curves[k], i, &nats, &share)) continue;
            low = fmin(low, nats);
            high = fmax(high, nats);
            rarest = fmin(rarest, share);
        }
    if (high > 100 * LEAST_SHOWN) low = fmax(low, LEAST_SHOWN);
    s->x = chart_scale_fit(pow(10, floor(log10(low) + 1e-6)), pow(10, ceil(log10(high) - 1e-6)), true, frame.left,
                           frame.right);
    s->y = chart_scale_fit(fmin(0.1, rarest / 10), 1, true, frame.bottom, frame.top);
}

static int place_curve(struct survival *s, struct curve *c, struct error *e)
{
    double nats, share;
    if (!(c->p = memory_new(n_steps(c), sizeof *c->p, "chart", e))) return e->code;
    for (size_t i = 0; i < n_steps(c); i++) {
        if (!read_step(c, i, &nats, &share)) continue;
        const struct chart_point p = {chart_place(&s->x, nats), chart_place(&s->y, share)};
        if (p.x >= s->x.from - 0.01 && p.y <= s->y.from + 0.01) c->p[c->n++] = p;
    }
    return 0;
}

/* 10 with a raised power for what would have many zeros. */
static void power_text(struct text *out, double v)
{
    static const char *const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    const int power = (int)lround(log10(v));
    if (power >= -3 && power <= 3) {
        text_printf(out, "%g", v);
        return;
    }
    text_add(out, power < 0 ? "10⁻" : "10");
    const int size = abs(power) % 1000;
    if (size >= 100) text_add(out, digits[size / 100]);
    if (size >= 10) text_add(out, digits[size / 10 % 10]);
    text_add(out, digits[size % 10]);
}

static void draw_axes(struct survival *s)
{
    struct text text = {0};
    const struct chart_ticks across = chart_ticks(&s->x, 7), up = chart_ticks(&s->y, 6);
    for (size_t i = 0; i < across.n; i++) {
        text_clear(&text);
        power_text(&text, across.at[i]);
        chart_tick(&s->chart, 0, chart_place(&s->x, across.at[i]), text_c(&text));
    }
    for (size_t i = 0; i < up.n; i++) {
        text_clear(&text);
        text_printf(&text, "%g %%", up.at[i] * 100);
        chart_tick(&s->chart, 1, chart_place(&s->y, up.at[i]), text_c(&text));
    }
    text_clear(&text);
    chart_shorten(&text, s->suite, CHART_WIDTH, TITLE_SIZE * 1.05); /* bold is wider */
    chart_text(&s->chart, 0, 12, &(struct chart_words){text_c(&text), .size = TITLE_SIZE, .bold = true});
    chart_text(&s->chart, 0, 33,
               &(struct chart_words){"share of tokens that moved further; left is closer", .colour = MUTED});
    chart_text(&s->chart, CHART_WIDTH, s->chart.frame.bottom + 34,
               &(struct chart_words){"KL divergence from the baseline, nats", .anchor = ANCHOR_END, .colour = MUTED});
    text_free(&text);
}

/* Thirty-two looks; the numbers tell lines apart without their colours. */
static struct chart_pen curve_pen(size_t k)
{
    return (struct chart_pen){.colour = SERIES_1 + (enum chart_colour)(k % SERIES),
                              .width = 2,
                              .dash = (enum chart_dash)(k / SERIES % CHART_DASHES)};
}

static int by_end(const void *left, const void *right)
{
    const struct curve *a = left, *b = right;
    const double x = a->n ? a->p[a->n - 1].x : 0, y = b->n ? b->p[b->n - 1].x : 0;
    return x != y ? (x < y ? -1 : 1) : a->subject < b->subject ? -1 : a->subject > b->subject;
}

/* Under the end of each line its number, in a second line of writing where the first is taken; left out in a crowd. */
static int draw_numbers(struct survival *s, struct error *e)
{
    const struct chart_box f = s->chart.frame;
    struct chart_room room = {.frame = {f.left, f.top, CHART_WIDTH, f.bottom + 4}};
    int status = 0;
    for (size_t k = 0; k < s->n && !status; k++) {
        const struct curve *c = &s->curves[k];
        if (c->n == 0) continue;
        char number[32];
        snprintf(number, sizeof number, "%zu", k + 1);
        for (double below = 10; below < 30; below += 17) {
            const double x = c->p[c->n - 1].x, y = c->p[c->n - 1].y + below,
                         width = chart_text_width(number, TEXT_SIZE);
            const struct chart_box box = chart_text_box(x, y, ANCHOR_MIDDLE, width - 4);
            if (chart_room_cost(&room, box) > 0) continue;
            const enum chart_colour colour = curve_pen(k).colour;
            chart_text(&s->chart, x, y,
                       &(struct chart_words){number, .anchor = ANCHOR_MIDDLE, .colour = colour, .bold = true});
            status = chart_room_take(&room, box, 1, e);
            break;
        }
    }
    chart_room_free(&room);
    return status;
}

/* Under the chart, in two columns, down the first and then the second. */
static void draw_key(struct survival *s)
{
    const size_t rows = (s->n + 1) / 2;
    for (size_t k = 0; k < s->n; k++) {
        const double x = k < rows ? 0 : CHART_WIDTH / 2, room = CHART_WIDTH / 2 - 62;
        const double y = s->chart.frame.bottom + 62 + (double)(k % rows) * KEY_LINE;
        struct text name = {0}, whole = {0};
        char number[32];
        snprintf(number, sizeof number, "%zu", k + 1);
        subject_label(&whole, s->r, s->curves[k].subject);
        chart_shorten(&name, text_c(&whole), s->n > 1 ? room : CHART_WIDTH - 62, TEXT_SIZE);
        chart_line(&s->chart, curve_pen(k), (struct chart_point){x + 22, y}, (struct chart_point){x + 48, y});
        chart_text(&s->chart, x + 17, y,
                   &(struct chart_words){number, .anchor = ANCHOR_END, .colour = curve_pen(k).colour, .bold = true});
        chart_text(&s->chart, x + 55, y, &(struct chart_words){text_c(&name), text_c(&whole), .colour = INK});
        text_free(&name);
        text_free(&whole);
    }
}

/* The share above a hundredth of a nat, which is where a reader of the curves would begin. */
static double share_above(const struct curve *c, double wanted)
{
    double nats, share, found = 0;
    for (size_t i = 0; i < n_steps(c); i++) {
        if (!read_step(c, i, &nats, &share)) continue;
        if (nats > wanted * 1.0001) break;
        found = share;
    }
    return found;
}

static void describe_all(struct text *out, const struct survival *s)
{
    text_printf(out, "%s: the share of tokens whose KL divergence from the baseline is above 0.01 nats: ", s->suite);
    for (size_t k = 0; k < s->n && k < DESCRIBED; k++) {
        if (k) text_add(out, "; ");
        subject_label(out, s->r, s->curves[k].subject);
        text_printf(out, " %.3g %%", 100 * share_above(&s->curves[k], 0.01));
    }
    if (s->n > DESCRIBED) text_printf(out, "; and %zu more", s->n - DESCRIBED);
    text_char(out, '.');
}

/* The number of the suite's first row: it tells the charts of a page apart. */
static size_t suite_number(const struct report *r, const char *suite)
{
    size_t i = 0;
    while (i < r->n_rows && strcmp(r->rows[i].suite, suite) != 0) i++;
    return i;
}

static int draw(struct survival *s, struct text *svg, struct error *e)
{
    const struct chart_box frame = {62, 54, CHART_WIDTH - 10, 300};
    char id[64];
    struct text about = {0};
    int status = 0;
    fit_scales(s, frame);
    for (size_t k = 0; k < s->n && !status; k++) status = place_curve(s, &s->curves[k], e);
    qsort(s->curves, s->n, sizeof *s->curves, by_end);
    chart_open(&s->chart, frame.bottom + 54 + KEY_LINE * (double)((s->n + 1) / 2), frame);
    draw_axes(s);
    for (size_t k = s->n; k-- > 0;) chart_plot(&s->chart, "lines", curve_pen(k), s->curves[k].p, s->curves[k].n);
    if (!status) status = draw_numbers(s, e);
    draw_key(s);
    describe_all(&about, s);
    snprintf(id, sizeof id, "chart-divergence-%zu", suite_number(s->r, s->suite));
    if (!status) status = chart_close(&s->chart, id, "How far predictions move", text_c(&about), svg, e);
    chart_free(&s->chart);
    text_free(&about);
    return status;
}

int chart_divergence(const struct report *r, const struct evidence *v, const char *suite, struct text *svg,
                     struct error *e)
{
    struct survival s = {.r = r, .suite = suite};
    int status = 0;
    if (!(s.curves = memory_new(r->n_subjects, sizeof *s.curves, "chart", e))) return e->code;
    find_curves(&s, v);
    if (s.n) status = draw(&s, svg, e);
    for (size_t k = 0; k < s.n; k++) free(s.curves[k].p);
    free(s.curves);
    return status;
}
