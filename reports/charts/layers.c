/* Time per layer and part of the model, stacked. */
#include "engine/base/memory.h"
#include "reports/charts/charts.h"
#include "reports/charts/draw.h"
#include "reports/charts/scale.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKS = 12, LONGEST = 8, KEY_LINE = 22 };

/* A part that has a colour of its own; the last one stands for all that have none. */
struct look {
    const char *part; /* NULL: other parts */
    double seconds;   /* in this phase of this subject */
};

struct layers {
    const struct report *r;
    const struct report_profile *const *profiles;
    size_t subject;
    const char *phase;
    struct look looks[LOOKS]; /* from the bottom of the stacks up */
    size_t n_looks;
    const struct report_layer **bars; /* [n], by layer, what is of no layer last */
    size_t n, n_layers;
    double seconds; /* of the phase here */
    double highest; /* of any subject's bars in this phase, seconds */
    struct chart_scale y;
    struct chart chart;
    double pitch, width; /* of the bars of layers */
};

/* --- what is drawn --- */

/* A part in a bar, or in all of them. */
struct portion {
    const char *part;
    double seconds, share; /* share: the largest that it has of any bar */
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct portion *)a)->part, ((const struct portion *)b)->part);
}

static int by_share(const void *a, const void *b)
{
    const struct portion *x = a, *y = b;
    return x->share != y->share ? (x->share > y->share ? -1 : 1) : by_name(a, b);
}

static int by_time(const void *a, const void *b)
{
    const struct portion *x = a, *y = b;
    return x->seconds != y->seconds ? (x->seconds > y->seconds ? -1 : 1) : by_name(a, b);
}

/* Bounded, so that sums are finite whatever a record says. */
static double time_of(const struct report_part *p) { return p->seconds > 0 ? fmin(p->seconds, 1e200) : 0; }

static double layer_time(const struct report_layer *l)
{
    double sum = 0;
    for (size_t k = 0; k < l->n_parts; k++) sum += time_of(&l->parts[k]);
    return sum;
}

static size_t count_portions(const struct layers *f)
{
    size_t n = 0;
    for (size_t j = 0; j < f->r->n_subjects; j++)
        for (size_t i = 0; f->profiles[j] && i < f->profiles[j]->n_layers; i++) n += f->profiles[j]->layers[i].n_parts;
    return n;
}

/* Every part of every bar of every subject; then each once. Returns how many there are. */
static size_t gather(const struct layers *f, struct portion *all)
{
    size_t n = 0, kept = 0;
    for (size_t j = 0; j < f->r->n_subjects; j++)
        for (size_t i = 0; f->profiles[j] && i < f->profiles[j]->n_layers; i++) {
            const struct report_layer *l = &f->profiles[j]->layers[i];
            const double whole = layer_time(l);
            for (size_t k = 0; k < l->n_parts; k++) {
                const double seconds = time_of(&l->parts[k]);
                if (seconds > 0) all[n++] = (struct portion){l->parts[k].part, seconds, seconds / whole};
            }
        }
    qsort(all, n, sizeof *all, by_name);
    for (size_t i = 0; i < n; i++) {
        struct portion *last = kept ? &all[kept - 1] : NULL;
        if (last && strcmp(last->part, all[i].part) == 0) {
            last->seconds += all[i].seconds;
            last->share = fmax(last->share, all[i].share);
        } else {
            all[kept++] = all[i];
        }
    }
    return kept;
}

/* Colours are for what takes longest, and for what is most of any bar, as the output is of the one of no layer; the
 * longest stands lowest. */
static int find_looks(struct layers *f, struct error *e)
{
    struct portion *all = memory_new(count_portions(f) + 1, sizeof *all, "chart", e);
    if (!all) return e->code;
    const size_t n = gather(f, all), own = n > LOOKS ? LOOKS - 1 : n;
    qsort(all, n, sizeof *all, by_time);
    if (n > own) qsort(all + LONGEST, n - LONGEST, sizeof *all, by_share);
    qsort(all, own, sizeof *all, by_time);
    for (size_t i = 0; i < own; i++) f->looks[i] = (struct look){all[i].part, 0};
    f->n_looks = own;
    if (n > own) f->looks[f->n_looks++] = (struct look){NULL, 0};
    free(all);
    return 0;
}

static size_t look_of(const struct layers *f, const char *part)
{
    size_t k = 0;
    while (k + 1 < f->n_looks && f->looks[k].part && strcmp(f->looks[k].part, part) != 0) k++;
    return k;
}

static bool is_in_phase(const struct layers *f, const struct report_layer *l)
{
    return strcmp(l->phase, f->phase) == 0;
}

/* What is of no layer comes last. */
static int by_layer(const void *a, const void *b)
{
    const struct report_layer *x = *(const struct report_layer *const *)a, *y = *(const struct report_layer *const *)b;
    if ((x->layer < 0) != (y->layer < 0)) return x->layer < 0 ? 1 : -1;
    return x->layer != y->layer ? (x->layer < y->layer ? -1 : 1) : x < y ? -1 : x > y;
}

static int find_bars(struct layers *f, struct error *e)
{
    const struct report_profile *p = f->profiles[f->subject];
    if (!(f->bars = memory_new(p->n_layers + 1, sizeof *f->bars, "chart", e))) return e->code;
    for (size_t i = 0; i < p->n_layers; i++) {
        const struct report_layer *l = &p->layers[i];
        if (!is_in_phase(f, l)) continue;
        f->bars[f->n++] = l;
        f->n_layers += l->layer >= 0;
        f->seconds += layer_time(l);
        for (size_t k = 0; k < l->n_parts; k++) f->looks[look_of(f, l->parts[k].part)].seconds += time_of(&l->parts[k]);
    }
    qsort(f->bars, f->n, sizeof *f->bars, by_layer);
    for (size_t j = 0; j < f->r->n_subjects; j++)
        for (size_t i = 0; f->profiles[j] && i < f->profiles[j]->n_layers; i++)
            if (is_in_phase(f, &f->profiles[j]->layers[i]))
                f->highest = fmax(f->highest, layer_time(&f->profiles[j]->layers[i]));
    return 0;
}

/* --- drawing --- */

enum { APART = 22 }; /* between the layers and what is of none, and behind it: for the numbers of parts */

static void fit(struct layers *f, struct chart_box frame)
{
    const double room = frame.right - frame.left - APART, most = 46;
    const size_t ends = f->n - f->n_layers;
    const double places = (double)f->n + (ends && f->n_layers ? 0.5 : 0); /* the ends' bars stand apart */
    f->pitch = fmin(room - (ends ? APART : 0), (room - (ends && f->n_layers ? APART : 0)) / places);
    f->pitch = fmin(f->pitch, most);
    f->width = f->pitch * (f->pitch > 8 ? 0.8 : 0.9);
    f->y = chart_scale_fit(0, f->highest * 1.04, false, frame.bottom, frame.top);
}

/* The left edge of a bar. */
static double bar_left(const struct layers *f, size_t i)
{
    const double before = i >= f->n_layers && f->n_layers ? APART : 0;
    return f->chart.frame.left + before + f->pitch * (double)i + (f->pitch - f->width) / 2;
}

/* Up to the lower edge of a look's share of a bar, and that share. */
static void stack(const struct layers *f, size_t bar, double shares[LOOKS])
{
    const struct report_layer *l = f->bars[bar];
    for (size_t k = 0; k < LOOKS; k++) shares[k] = 0;
    for (size_t k = 0; k < l->n_parts; k++) shares[look_of(f, l->parts[k].part)] += time_of(&l->parts[k]);
}

/* Twice through the colours, the second time faint; the numbers tell parts apart without them. */
static struct chart_pen look_pen(size_t k)
{
    return (struct chart_pen){.colour = SERIES_1 + (enum chart_colour)(k % SERIES), .width = 9, .faint = k >= SERIES};
}

static int draw_bars(struct layers *f, struct error *e)
{
    struct chart_box *boxes = memory_new(f->n + 1, sizeof *boxes, "chart", e);
    if (!boxes) return e->code;
    for (size_t k = 0; k < f->n_looks; k++) {
        size_t n = 0;
        for (size_t i = 0; i < f->n; i++) {
            double shares[LOOKS], below = 0;
            stack(f, i, shares);
            for (size_t under = 0; under < k; under++) below += shares[under];
            if (!(shares[k] > 0)) continue;
            const double bottom = chart_place(&f->y, below), top = chart_place(&f->y, below + shares[k]);
            const double gap = bottom - top > 3 ? 1 : 0; /* tells neighbours apart without their colours */
            boxes[n++] = (struct chart_box){bar_left(f, i), top + gap, bar_left(f, i) + f->width, bottom};
        }
        chart_boxes(&f->chart, look_pen(k), boxes, n);
    }
    free(boxes);
    return 0;
}

/* Behind the last layer and behind what is of none: the number of each part at its place, as far as there is room. */
static void draw_numbers(struct layers *f, size_t bar)
{
    double shares[LOOKS], below = 0, taken = INFINITY;
    char number[24];
    stack(f, bar, shares);
    for (size_t k = 0; k < f->n_looks; k++) {
        const double y = chart_place(&f->y, below + shares[k] / 2);
        below += shares[k];
        const double height = chart_place(&f->y, 0) - chart_place(&f->y, shares[k]);
        if (height < 3 || taken - y < TEXT_SIZE) continue;
        snprintf(number, sizeof number, "%zu", k + 1);
        chart_text(&f->chart, bar_left(f, bar) + f->width + 5, y,
                   &(struct chart_words){number, .colour = look_pen(k).colour, .bold = true});
        taken = y;
    }
}

/* The numbers of layers, as many as there is room for. */
static void draw_layer_ticks(struct layers *f)
{
    char text[32];
    const double ends = f->n > f->n_layers ? bar_left(f, f->n_layers) + f->width / 2 : INFINITY;
    double taken = -INFINITY;
    for (size_t i = 0; i < f->n_layers; i++) {
        const double x = bar_left(f, i) + f->width / 2;
        snprintf(text, sizeof text, "%" PRId64, f->bars[i]->layer);
        const double half = chart_text_width(text, TEXT_SIZE) / 2 + 3;
        const size_t step = f->pitch > 22 ? 1 : f->pitch > 13 ? 2 : f->pitch > 5 ? 5 : f->pitch > 2.6 ? 10 : 20;
        if (i % step || x - half < taken || x + half > ends - 28) continue;
        chart_tick(&f->chart, 0, x, text);
        taken = x + half;
    }
    if (f->n > f->n_layers) chart_tick(&f->chart, 0, ends, "ends");
}

static void draw_axes(struct layers *f, const char *title)
{
    const bool small = f->highest < 1;
    const double unit = small ? 1000 : 1;
    char text[32];
    struct text shown = {0};
    const struct chart_scale scaled =
        chart_scale_fit(0, f->y.high * unit, false, f->chart.frame.bottom, f->chart.frame.top);
    const struct chart_ticks up = chart_ticks(&scaled, 5);
    for (size_t i = 0; i < up.n; i++) {
        chart_tick_text(text, sizeof text, &up, i, false);
        chart_tick(&f->chart, 1, chart_place(&scaled, up.at[i]), text);
    }
    draw_layer_ticks(f);
    chart_shorten(&shown, title, CHART_WIDTH, TITLE_SIZE * 1.05); /* bold is wider */
    chart_text(&f->chart, 0, 12, &(struct chart_words){text_c(&shown), title, .size = TITLE_SIZE, .bold = true});
    chart_text(&f->chart, 0, 34,
               &(struct chart_words){small ? "milliseconds, all passes together" : "seconds, all passes together",
                                     .colour = MUTED});
    chart_text(
        &f->chart, CHART_WIDTH, f->chart.frame.bottom + 34,
        &(struct chart_words){"layer (ends: embedding, last norm, output)", .anchor = ANCHOR_END, .colour = MUTED});
    if (shown.failed) f->chart.words.failed = true;
    text_free(&shown);
}

static const char *look_name(const struct layers *f, size_t k) { return f->looks[k].part ? f->looks[k].part : "other"; }

/* In two columns, down the first and then the second: from the bottom of the stacks up. */
static void draw_key(struct layers *f)
{
    const size_t rows = (f->n_looks + 1) / 2;
    for (size_t k = 0; k < f->n_looks; k++) {
        const double x = k < rows ? 0 : CHART_WIDTH / 2, y = f->chart.frame.bottom + 62 + (double)(k % rows) * KEY_LINE;
        struct text name = {0};
        char number[24], share[32];
        snprintf(number, sizeof number, "%zu", k + 1);
        snprintf(share, sizeof share, "%.0f %%", f->seconds > 0 ? 100 * f->looks[k].seconds / f->seconds : 0);
        const double end = CHART_WIDTH / 2 - 12;
        chart_shorten(&name, look_name(f, k), end - chart_text_width(share, TEXT_SIZE) - 10 - 36, TEXT_SIZE);
        chart_line(&f->chart, look_pen(k), (struct chart_point){x + 20, y}, (struct chart_point){x + 26, y});
        chart_text(&f->chart, x + 12, y,
                   &(struct chart_words){number, .anchor = ANCHOR_END, .colour = look_pen(k).colour, .bold = true});
        chart_text(&f->chart, x + 36, y, &(struct chart_words){text_c(&name), look_name(f, k), .colour = INK});
        chart_text(&f->chart, x + end, y, &(struct chart_words){share, .anchor = ANCHOR_END, .colour = MUTED});
        if (name.failed) f->chart.words.failed = true;
        text_free(&name);
    }
}

static void describe_all(const struct layers *f, struct text *out)
{
    size_t slowest = 0;
    text_printf(out, "%.3g seconds in %zu layers: ", f->seconds, f->n_layers);
    for (size_t k = 0; k < f->n_looks; k++)
        text_printf(out, "%s%s %.0f %%", k ? "; " : "", look_name(f, k),
                    f->seconds > 0 ? 100 * f->looks[k].seconds / f->seconds : 0);
    for (size_t i = 1; i < f->n_layers; i++)
        if (layer_time(f->bars[i]) > layer_time(f->bars[slowest])) slowest = i;
    if (f->n_layers)
        text_printf(out, ". Layer %" PRId64 " takes longest, %.3g seconds", f->bars[slowest]->layer,
                    layer_time(f->bars[slowest]));
    text_char(out, '.');
}

static int draw(struct layers *f, struct text *svg, struct error *e)
{
    const struct chart_box frame = {50, 52, CHART_WIDTH - 4, 262};
    struct text title = {0}, about = {0};
    char id[64];
    chart_open(&f->chart, frame.bottom + 54 + KEY_LINE * (double)((f->n_looks + 1) / 2), frame);
    fit(f, frame);
    subject_label(&title, f->r, f->subject);
    text_printf(&title, ", %s", f->phase);
    draw_axes(f, text_c(&title));
    int status = draw_bars(f, e);
    if (f->n_layers) draw_numbers(f, f->n_layers - 1);
    if (f->n > f->n_layers) draw_numbers(f, f->n - 1);
    draw_key(f);
    describe_all(f, &about);
    /* The phase is of the record: it may hold anything, an id may not. */
    snprintf(id, sizeof id, "chart-layers-%zu-%zu", f->subject, (size_t)(f->bars[0] - f->profiles[f->subject]->layers));
    if (!status && (title.failed || about.failed))
        status = error_set(e, ERROR_IO, "%s: out of memory for the chart", id);
    if (!status) status = chart_close(&f->chart, id, text_c(&title), text_c(&about), svg, e);
    chart_free(&f->chart);
    text_free(&title);
    text_free(&about);
    return status;
}

int chart_layers(const struct report *r, const struct report_profile *const *profiles, size_t subject,
                 const char *phase, struct text *svg, struct error *e)
{
    struct layers f = {.r = r, .profiles = profiles, .subject = subject, .phase = phase};
    if (!profiles[subject]) return 0;
    int status = find_looks(&f, e);
    if (!status) status = find_bars(&f, e);
    if (!status && f.n && f.n <= LAYERS_DRAWN && f.seconds > 0) status = draw(&f, svg, e);
    free(f.bars);
    return status;
}
