#include "engine/base/memory.h"
#include "reports/answer.h"
#include "reports/charts/charts.h"
#include "reports/charts/labels.h"
#include "reports/charts/scale.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DESCRIBED = 12 }; /* subjects that the description names */

/* What is drawn of a subject. */
struct spot {
    size_t subject;
    double mib, score, low, high; /* low and high are the score's where there is no interval */
    bool is_front, loses, is_answer;
    struct chart_point at;
    double at_low, at_high;
};

struct quality {
    const struct report *r;
    struct spot *spots; /* by size, then the better first */
    size_t n;
    struct chart_scale x, y;
    struct chart chart;
};

static int by_size(const void *left, const void *right)
{
    const struct spot *a = left, *b = right;
    if (a->mib != b->mib) return a->mib < b->mib ? -1 : 1;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->subject < b->subject ? -1 : a->subject > b->subject;
}

/* On the Pareto front is what nothing at most as large is better than, nor as good and smaller. */
static void mark_front(struct quality *q)
{
    double best = -INFINITY, its_size = NAN;
    for (size_t i = 0; i < q->n; i++) {
        struct spot *s = &q->spots[i];
        s->is_front = s->score > best || (s->score == best && s->mib == its_size);
        if (s->score > best) best = s->score, its_size = s->mib;
    }
}

static void find_spots(struct quality *q, const struct standing *standings)
{
    const size_t best = answer_find(q->r).best;
    for (size_t j = 0; j < q->r->n_subjects; j++) {
        const struct standing *s = &standings[j];
        const int64_t bytes = q->r->subjects[j].weight_bytes;
        if (bytes <= 0 || !isfinite(s->score)) continue;
        const bool known = isfinite(s->low) && isfinite(s->high);
        q->spots[q->n++] = (struct spot){.subject = j,
                                         .loses = answer_losses(q->r, j) > 0,
                                         .is_answer = j && j == best,
                                         .mib = (double)bytes / (1 << 20),
                                         .score = s->score,
                                         .low = known ? s->low : s->score,
                                         .high = known ? s->high : s->score};
    }
    qsort(q->spots, q->n, sizeof *q->spots, by_size);
    mark_front(q);
}

/* Room for the points' own size at the edges, and the baseline's 100 % always in sight. */
static void fit_scales(struct quality *q, struct chart_box frame)
{
    double low = 100, high = 100;
    for (size_t i = 0; i < q->n; i++) {
        low = fmin(low, q->spots[i].low);
        high = fmax(high, q->spots[i].high);
    }
    const double smallest = q->spots[0].mib, largest = q->spots[q->n - 1].mib;
    const bool logarithmic = largest > 4 * smallest;
    const double margin = (high - low) * 0.08;
    const double beside = logarithmic ? pow(largest / smallest, 0.08) : 1;
    const double around = logarithmic ? 0 : largest > smallest ? (largest - smallest) * 0.1 : largest * 0.05;
    q->x = chart_scale_fit(smallest / beside - around, largest * beside + around, logarithmic, frame.left, frame.right);
    q->y = chart_scale_fit(low - margin, high + margin, false, frame.bottom, frame.top);
    for (size_t i = 0; i < q->n; i++) {
        struct spot *s = &q->spots[i];
        s->at = (struct chart_point){chart_place(&q->x, s->mib), chart_place(&q->y, s->score)};
        s->at_low = chart_place(&q->y, s->low);
        s->at_high = chart_place(&q->y, s->high);
    }
}

static void draw_axes(struct quality *q)
{
    char text[32];
    const struct chart_box f = q->chart.frame;
    const struct chart_ticks across = chart_ticks(&q->x, 6), up = chart_ticks(&q->y, 5);
    for (size_t i = 0; i < up.n; i++) {
        chart_tick_text(text, sizeof text, &up, i, false);
        chart_tick(&q->chart, 1, chart_place(&q->y, up.at[i]), text);
    }
    for (size_t i = 0; i < across.n; i++) {
        chart_tick_text(text, sizeof text, &across, i, false);
        chart_tick(&q->chart, 0, chart_place(&q->x, across.at[i]), text);
    }
    chart_text(&q->chart, 0, 10,
               &(struct chart_words){"quality, % of the baseline, with 95 % interval", .colour = MUTED});
    chart_text(&q->chart, CHART_WIDTH, q->chart.height - 10,
               &(struct chart_words){q->x.logarithmic ? "weights, MiB (log scale)" : "weights, MiB",
                                     .anchor = ANCHOR_END, .colour = MUTED});
    const double whole = chart_place(&q->y, 100);
    chart_line(&q->chart, (struct chart_pen){.colour = MUTED, .width = 1, .dash = DASH_SHORT},
               (struct chart_point){f.left, whole}, (struct chart_point){f.right, whole});
}

/* The front as steps: with weights of that size or less this is what one gets. */
static int draw_front(struct quality *q, struct chart_room *room, struct error *e)
{
    struct chart_point *p = memory_new(q->n + 1, sizeof *p, "chart", e);
    size_t n = 0;
    if (!p) return e->code;
    for (size_t i = 0; i < q->n; i++)
        if (q->spots[i].is_front) p[n++] = q->spots[i].at;
    p[n] = (struct chart_point){q->chart.frame.right, p[n - 1].y};
    chart_plot(&q->chart, "steps", (struct chart_pen){.colour = SERIES_1, .width = 1.5}, p, n + 1);
    int status = 0;
    for (size_t i = 0; i < n && !status; i++) {
        const struct chart_point a = p[i], b = p[i + 1];
        status = chart_room_take(room, (struct chart_box){a.x, a.y - 1, b.x, a.y + 1}, 0.25, e);
        if (!status)
            status =
                chart_room_take(room, (struct chart_box){b.x - 1, fmin(a.y, b.y), b.x + 1, fmax(a.y, b.y)}, 0.25, e);
    }
    free(p);
    return status;
}

/* Whether something is lost is told by the shape too: a mean hides what one suite shows. */
static struct chart_pen spot_pen(const struct spot *s)
{
    if (s->subject == 0) return (struct chart_pen){.colour = INK, .width = 5, .marker = MARKER_RING};
    return (struct chart_pen){.colour = s->loses ? WORSE : SERIES_1,
                              .width = s->is_front || s->is_answer ? 5.5 : 4.5,
                              .marker = s->loses ? MARKER_DOWN : MARKER_CIRCLE,
                              .faint = !s->is_front && !s->is_answer};
}

static int draw_spots(struct quality *q, struct chart_room *room, struct error *e)
{
    int status = 0;
    const double cover = fmin(0.35, 1.5 / (double)q->n); /* many intervals leave no place that is free of them */
    for (size_t i = 0; i < q->n && !status; i++) {
        const struct spot *s = &q->spots[i];
        struct chart_pen bar = spot_pen(s);
        bar.marker = MARKER_NONE;
        bar.width = 3;
        bar.faint = true;
        if (s->low < s->high)
            chart_plot(&q->chart, "lines", bar,
                       (const struct chart_point[]){{s->at.x, s->at_low}, {s->at.x, s->at_high}}, 2);
        const double x = s->at.x, y = s->at.y;
        status = chart_room_take(room, (struct chart_box){x - 7, y - 7, x + 7, y + 7}, 1, e);
        if (!status) status = chart_room_take(room, (struct chart_box){x - 1, s->at_high, x + 1, s->at_low}, cover, e);
    }
    /* What matters lies above the rest. */
    for (int pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < q->n; i++) {
            const struct spot *s = &q->spots[i];
            if ((s->subject == 0 ? 2 : s->is_front || s->is_answer) == pass)
                chart_plot(&q->chart, "points", spot_pen(s), &s->at, 1);
        }
    return status;
}

/* "@gguf:q4_k: 2.72 MiB, 99.81 % [99.40, 100.20]" */
static void describe(struct text *out, const struct report *r, const struct spot *s)
{
    subject_label(out, r, s->subject);
    text_printf(out, ": %.2f MiB, %.2f %%", s->mib, s->score);
    if (s->low < s->high) text_printf(out, " [%.2f, %.2f]", s->low, s->high);
}

static bool stands_out(const struct spot *s) { return s->is_front || s->is_answer || s->subject == 0; }

static int draw_label(struct quality *q, const struct spot *s, struct chart_room *room, bool *placed, struct error *e)
{
    struct text whole = {0}, name = {0}, hint = {0};
    struct chart_label label;
    int status = 0;
    subject_label(&whole, q->r, s->subject);
    chart_shorten(&name, text_c(&whole), 190, TEXT_SIZE);
    describe(&hint, q->r, s);
    const double width = chart_text_width(text_c(&name), TEXT_SIZE * (s->is_answer ? 1.05 : 1)); /* bold is wider */
    *placed = chart_label_place(room, s->at, width, stands_out(s) ? 90 : 52, &label);
    if (*placed) {
        if (label.is_led) chart_line(&q->chart, (struct chart_pen){.colour = MUTED, .width = 0.8}, s->at, label.leads);
        chart_text(&q->chart, label.x, label.y,
                   &(struct chart_words){text_c(&name), text_c(&hint), .anchor = label.anchor,
                                         .colour = stands_out(s) ? INK : MUTED, .bold = s->is_answer, .halo = true});
        status = chart_room_take(room, chart_text_box(label.x, label.y, label.anchor, width), 1, e);
    }
    if (whole.failed || name.failed || hint.failed) status = error_set(e, ERROR_IO, "chart: out of memory for a name");
    text_free(&whole);
    text_free(&name);
    text_free(&hint);
    return status;
}

/* The answer's name first, then the front's, then the baseline's, then whichever of the others find room; how many do not is said. */
static int draw_labels(struct quality *q, struct chart_room *room, struct error *e)
{
    enum { TRIED = 250 }; /* there is no room for more, and looking for it takes long */
    int status = 0;
    size_t unnamed = 0, tried = 0;
    for (int pass = 0; pass < 4; pass++)
        for (size_t i = 0; i < q->n && !status; i++) {
            const struct spot *s = &q->spots[i];
            bool placed = false;
            if ((s->is_answer ? 0 : s->subject == 0 ? 2 : s->is_front ? 1 : 3) != pass) continue;
            if (tried++ < TRIED) status = draw_label(q, s, room, &placed, e);
            unnamed += !placed;
        }
    char text[64];
    snprintf(text, sizeof text, "%zu unnamed, see the table", unnamed);
    if (unnamed) chart_text(&q->chart, 0, q->chart.height - 10, &(struct chart_words){text, .colour = MUTED});
    return status;
}

static void describe_all(struct text *out, const struct quality *q)
{
    text_add(out,
             "The quality over all suites in percent of the baseline's, against the MiB of the weights, by size: ");
    for (size_t i = 0; i < q->n && i < DESCRIBED; i++) {
        if (i) text_add(out, "; ");
        describe(out, q->r, &q->spots[i]);
        if (q->spots[i].is_front) text_add(out, ", best for its size");
        if (q->spots[i].loses) text_add(out, ", with a significant loss");
    }
    if (q->n > DESCRIBED) text_printf(out, "; and %zu more", q->n - DESCRIBED);
    text_char(out, '.');
}

static int draw(struct quality *q, struct text *svg, struct error *e)
{
    const double height = q->n > 8 ? 420 : 310;
    const struct chart_box frame = {46, 32, CHART_WIDTH - 6, height - 44};
    struct chart_room room = {.frame = {frame.left, frame.top - 6, CHART_WIDTH, frame.bottom}};
    struct text about = {0};
    chart_open(&q->chart, height, frame);
    fit_scales(q, frame);
    draw_axes(q);
    int status = draw_front(q, &room, e);
    if (!status) status = draw_spots(q, &room, e);
    if (!status) status = draw_labels(q, &room, e);
    chart_room_free(&room);
    describe_all(&about, q);
    if (!status) status = chart_close(&q->chart, "chart-quality", "Quality against size", text_c(&about), svg, e);
    chart_free(&q->chart);
    text_free(&about);
    return status;
}

int chart_quality(const struct report *r, const struct standing *s, bool *pareto, struct text *svg, struct error *e)
{
    struct quality q = {.r = r};
    int status = 0;
    if (!(q.spots = memory_new(r->n_subjects, sizeof *q.spots, "chart", e))) return e->code;
    find_spots(&q, s);
    for (size_t j = 0; pareto && j < r->n_subjects; j++) pareto[j] = false;
    for (size_t i = 0; pareto && i < q.n; i++) pareto[q.spots[i].subject] = q.spots[i].is_front;
    if (q.n > 1) status = draw(&q, svg, e);
    free(q.spots);
    return status;
}
