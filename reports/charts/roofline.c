/* The roofline (Williams, Waterman, Patterson 2009): what a kernel reaches, GFLOP/s, against its intensity, flop per byte.
 * It can reach no more than the lower of a peak of arithmetic and intensity x bandwidth. */
#include "engine/base/memory.h"
#include "reports/charts/charts.h"
#include "reports/charts/labels.h"
#include "reports/charts/scale.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SPOTS_MOST = 200, DESCRIBED = 8 };

/* A group, or a phase as a whole. */
struct spot {
    size_t subject;
    const char *phase;
    const struct report_group *group; /* NULL: a phase */
    double intensity, rate, seconds;  /* flop/byte, GFLOP/s */
    struct chart_point at;
    bool is_named;
};

struct roofline {
    const struct report *r;
    const struct report_profile *const *profiles;
    const struct report_profile *roofs; /* whose roofs are drawn; NULL: none has some */
    bool integers;                      /* whether the peak of integers is one of them */
    struct spot *spots;                 /* the longest first */
    size_t n, left_out;
    double seconds; /* of all spots */
    struct chart_scale x, y;
    struct chart chart;
};

/* Whether a subject multiplies integers: without that their peak is no roof. */
static bool has_integers(const struct report *r, const struct report_profile *const *profiles, size_t subject)
{
    const struct report_profile *p = profiles[subject];
    if (subject_is_fast(&r->subjects[subject])) return true;
    for (size_t i = 0; i < p->n_peaks; i++)
        for (size_t k = 0; strcmp(p->peaks[i].kind, "int8") == 0 && k < p->n_groups; k++)
            if (strcmp(p->groups[k].limit.name, p->peaks[i].name) == 0) return true;
    return false;
}

static bool is_roof(const struct report_peak *peak, bool integers)
{
    return peak->value > 0 && isfinite(peak->value) && (integers || strcmp(peak->kind, "int8") != 0);
}

static double highest_peak(const struct report_profile *p, bool integers)
{
    double highest = 0;
    for (size_t i = 0; i < p->n_peaks; i++)
        if (is_roof(&p->peaks[i], integers)) highest = fmax(highest, p->peaks[i].value);
    return highest;
}

static bool is_plotted(double intensity, double rate)
{
    return isfinite(intensity) && intensity > 0 && isfinite(rate) && rate > 0;
}

static int by_seconds(const void *a, const void *b)
{
    const struct spot *x = a, *y = b;
    return x->seconds != y->seconds ? (x->seconds > y->seconds ? -1 : 1)
           : x->group < y->group    ? -1
                                    : x->group > y->group;
}

static void sort_spots(struct roofline *f)
{
    qsort(f->spots, f->n, sizeof *f->spots, by_seconds);
    f->left_out = f->n > SPOTS_MOST ? f->n - SPOTS_MOST : 0;
    f->n -= f->left_out;
    for (size_t i = 0; i < f->n; i++) f->seconds += f->spots[i].seconds;
}

static int find_groups(struct roofline *f, size_t subject, struct error *e)
{
    const struct report_profile *p = f->profiles[subject];
    f->roofs = p;
    f->integers = has_integers(f->r, f->profiles, subject);
    if (!(f->spots = memory_new(p->n_groups, sizeof *f->spots, "chart", e))) return e->code;
    for (size_t i = 0; i < p->n_groups; i++) {
        const struct report_group *g = &p->groups[i];
        if (is_plotted(g->flop_per_byte, g->gflop_per_second))
            f->spots[f->n++] = (struct spot){.subject = subject,
                                             .phase = g->phase,
                                             .group = g,
                                             .intensity = g->flop_per_byte,
                                             .rate = g->gflop_per_second,
                                             .seconds = fmax(g->figures.seconds, 0)};
    }
    sort_spots(f);
    return 0;
}

static int find_phases(struct roofline *f, struct error *e)
{
    size_t n = 0;
    for (size_t j = 0; j < f->r->n_subjects; j++) n += f->profiles[j] ? f->profiles[j]->n_phases : 0;
    if (!(f->spots = memory_new(n, sizeof *f->spots, "chart", e))) return e->code;
    for (size_t j = 0; j < f->r->n_subjects; j++) {
        const struct report_profile *p = f->profiles[j];
        if (p && !f->roofs && p->read_gb_per_second > 0) f->roofs = p;
        f->integers = f->integers || (p && has_integers(f->r, f->profiles, j));
        for (size_t i = 0; p && i < p->n_phases; i++) {
            const struct report_figures *g = &p->phases[i].figures;
            const double intensity = g->flop / g->bytes, rate = 1e-9 * g->flop / g->seconds;
            if (is_plotted(intensity, rate))
                f->spots[f->n++] = (struct spot){.subject = j,
                                                 .phase = p->phases[i].phase,
                                                 .intensity = intensity,
                                                 .rate = rate,
                                                 .seconds = g->seconds};
        }
    }
    sort_spots(f);
    return 0;
}

struct range {
    double low, high;
};

static void widen(struct range *r, double v)
{
    r->low = fmin(r->low, v);
    r->high = fmax(r->high, v);
}

/* Of groups the same for all subjects, so that two charts can be laid beside one another. */
static void fit_scales(struct roofline *f, struct chart_box frame)
{
    struct range x = {INFINITY, 0}, y = {INFINITY, 0};
    for (size_t j = 0; j < f->r->n_subjects; j++) {
        const struct report_profile *p = f->profiles[j];
        for (size_t i = 0; p && f->spots->group && i < p->n_groups; i++) {
            const struct report_group *g = &p->groups[i];
            if (!is_plotted(g->flop_per_byte, g->gflop_per_second)) continue;
            widen(&x, g->flop_per_byte);
            widen(&y, g->gflop_per_second);
        }
        const double peak = p ? highest_peak(p, has_integers(f->r, f->profiles, j)) : 0;
        if (peak > 0) widen(&y, peak);
    }
    if (f->roofs && highest_peak(f->roofs, f->integers) > 0) widen(&y, highest_peak(f->roofs, f->integers));
    for (size_t i = 0; i < f->n; i++) {
        widen(&x, f->spots[i].intensity);
        widen(&y, f->spots[i].rate);
    }
    f->x = chart_scale_fit(x.low / 2.5, x.high * 2, true, frame.left, frame.right);
    f->y = chart_scale_fit(y.low / 1.6, y.high * 2, true, frame.bottom, frame.top);
    for (size_t i = 0; i < f->n; i++) {
        struct spot *s = &f->spots[i];
        s->at = (struct chart_point){chart_place(&f->x, s->intensity), chart_place(&f->y, s->rate)};
    }
}

static void draw_axes(struct roofline *f, const char *title, const char *hint)
{
    char text[32];
    struct text shown = {0};
    const struct chart_ticks across = chart_ticks(&f->x, 5), up = chart_ticks(&f->y, 4);
    for (size_t i = 0; i < up.n; i++) {
        chart_tick_text(text, sizeof text, &up, i, false);
        chart_tick(&f->chart, 1, chart_place(&f->y, up.at[i]), text);
    }
    for (size_t i = 0; i < across.n; i++) {
        chart_tick_text(text, sizeof text, &across, i, false);
        chart_tick(&f->chart, 0, chart_place(&f->x, across.at[i]), text);
    }
    chart_shorten(&shown, title, CHART_WIDTH, TITLE_SIZE * 1.05); /* bold is wider */
    chart_text(&f->chart, 0, 12, &(struct chart_words){text_c(&shown), hint, .size = TITLE_SIZE, .bold = true});
    chart_text(&f->chart, 0, 34, &(struct chart_words){"GFLOP/s (log scale)", .colour = MUTED});
    chart_text(&f->chart, CHART_WIDTH, f->chart.height - 10,
               &(struct chart_words){"flop per byte (log scale)", .anchor = ANCHOR_END, .colour = MUTED});
    if (shown.failed) f->chart.words.failed = true;
    text_free(&shown);
}

/* --- looks --- */

/* Prefill is filled and decode is a ring, whatever their colours. */
static struct chart_pen spot_pen(const struct roofline *f, const struct spot *s)
{
    static const char *const phases[] = {"prefill", "decode"};
    size_t k = 0;
    while (k < 2 && strcmp(s->phase, phases[k]) != 0) k++;
    static const enum chart_marker markers[] = {MARKER_CIRCLE, MARKER_RING, MARKER_UP};
    const size_t colour = s->group ? k : s->subject;
    const double share = f->seconds > 0 ? s->seconds / f->seconds : 0;
    return (struct chart_pen){.colour = SERIES_1 + (enum chart_colour)(colour % SERIES),
                              .width = s->group ? 3 + 9 * sqrt(share) : 6,
                              .marker = markers[k]};
}

/* Parts of one phase with several kinds of weights, as presets have them, are told apart by these. */
static bool has_namesake(const struct roofline *f, const struct spot *s)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct report_group *g = f->spots[i].group;
        if (g != s->group && !strcmp(g->part, s->group->part) && !strcmp(g->phase, s->group->phase)) return true;
    }
    return false;
}

static void spot_name(const struct roofline *f, struct text *out, const struct spot *s)
{
    if (!s->group) {
        subject_label(out, f->r, s->subject);
        return;
    }
    text_add(out, s->group->part);
    if (*s->group->weights && has_namesake(f, s)) text_printf(out, " %s", s->group->weights);
}

/* "prefill, gate and up q4_k 768x256: 349 flop/byte, 77.5 GFLOP/s, 77 % of fma-512, 0.128 s" */
static void describe(const struct roofline *f, struct text *out, const struct spot *s)
{
    const struct report_group *g = s->group;
    if (g) {
        text_printf(out, "%s, %s", s->phase, g->part);
        if (*g->weights) text_printf(out, " %s", g->weights);
        if (*g->shape) text_printf(out, " %s", g->shape);
    } else {
        subject_label(out, f->r, s->subject);
        text_printf(out, ", %s", s->phase);
    }
    text_printf(out, ": %.4g flop/byte, %.4g GFLOP/s", s->intensity, s->rate);
    if (g && *g->limit.name && isfinite(g->limit.share))
        text_printf(out, ", %.0f %% of %s", 100 * g->limit.share, g->limit.name);
    text_printf(out, ", %.3g s", s->seconds);
}

/* --- roofs --- */

/* Where a roof's name may stand. */
struct place {
    double x, y;
    enum chart_anchor anchor;
};

/* Wherever least is covered; nothing where everything is taken. */
static int name_roof(struct roofline *f, struct chart_room *room, const char *name, const struct place *places,
                     size_t n, struct error *e)
{
    struct text shown = {0};
    chart_shorten(&shown, name, 200, TEXT_SIZE);
    const double width = chart_text_width(text_c(&shown), TEXT_SIZE);
    size_t best = n;
    double least = 1;
    int status = 0;
    for (size_t i = 0; i < n; i++) {
        const double cost = chart_room_cost(room, chart_text_box(places[i].x, places[i].y, places[i].anchor, width));
        if (cost < least) best = i, least = cost;
    }
    if (best < n) {
        const struct place *at = &places[best];
        chart_text(&f->chart, at->x, at->y,
                   &(struct chart_words){text_c(&shown), name, .anchor = at->anchor, .colour = MUTED, .halo = true});
        status = chart_room_take(room, chart_text_box(at->x, at->y, at->anchor, width), 1, e);
    }
    if (shown.failed) f->chart.words.failed = true;
    text_free(&shown);
    return status;
}

/* From the ridge, where memory begins to bring enough, to the right. */
static struct chart_box peak_line(const struct roofline *f, double peak, double bandwidth)
{
    const struct chart_box frame = f->chart.frame;
    const double y = chart_place(&f->y, peak);
    const double ridge = bandwidth > 0 ? chart_place(&f->x, peak / bandwidth) : frame.left;
    return (struct chart_box){fmin(fmax(ridge, frame.left), frame.right), y, frame.right, y};
}

static int name_peak(struct roofline *f, struct chart_room *room, const struct report_peak *peak, double bandwidth,
                     struct error *e)
{
    const struct chart_box line = peak_line(f, peak->value, bandwidth);
    const double middle = (line.left + line.right) / 2, above = line.top - 10, below = line.top + 11;
    const struct place places[] = {
        {line.left + 4, above, ANCHOR_START},  {middle, above, ANCHOR_MIDDLE},
        {line.right - 2, above, ANCHOR_END},   {f->chart.frame.left + 4, above, ANCHOR_START},
        {line.left + 10, below, ANCHOR_START}, {middle, below, ANCHOR_MIDDLE},
        {line.right - 2, below, ANCHOR_END}};
    struct text name = {0};
    text_printf(&name, "%s %.*f %s", peak->name, peak->value < 100 ? 1 : 0, peak->value, peak->unit);
    const int status = name_roof(f, room, text_c(&name), places, sizeof places / sizeof *places, e);
    if (name.failed) f->chart.words.failed = true;
    text_free(&name);
    return status;
}

/* Rises by one power of ten of GFLOP/s for each of intensity, up to the highest peak; right is left where none of it is
 * in sight. */
static struct chart_box bandwidth_line(const struct roofline *f, double bandwidth, double peak)
{
    const double most = fmin(peak > 0 ? peak : INFINITY, pow(10, f->y.high)), least = pow(10, f->y.low);
    const double from = fmax(pow(10, f->x.low), least / bandwidth), to = fmin(pow(10, f->x.high), most / bandwidth);
    if (!(from < to)) return (struct chart_box){0};
    return (struct chart_box){chart_place(&f->x, from), chart_place(&f->y, to * bandwidth), chart_place(&f->x, to),
                              chart_place(&f->y, from * bandwidth)};
}

enum { PIECES = 24 };

/* A place on a line that rises from its lower left to its upper right corner. */
static struct chart_point along(struct chart_box line, int piece)
{
    return (struct chart_point){line.left + (line.right - line.left) * piece / PIECES,
                                line.bottom + (line.top - line.bottom) * piece / PIECES};
}

static int name_bandwidth(struct roofline *f, struct chart_room *room, struct chart_box line, double bandwidth,
                          struct error *e)
{
    char name[48];
    struct place places[2 * PIECES];
    snprintf(name, sizeof name, "memory %.3g GB/s", bandwidth);
    for (int i = 0; i < PIECES; i++) { /* above it, from the middle up, then from there down; below it as well */
        const struct chart_point at = along(line, i < PIECES / 2 ? PIECES / 2 + i : PIECES - 1 - i);
        places[i] = (struct place){at.x - 8, at.y - 8, ANCHOR_END};
        places[PIECES + i] = (struct place){at.x + 10, at.y + 8, ANCHOR_START};
    }
    return name_roof(f, room, name, places, 2 * PIECES, e);
}

/* All lines before all names, which keep off them. */
static int draw_roofs(struct roofline *f, struct chart_room *room, struct error *e)
{
    const struct report_profile *p = f->roofs;
    const struct chart_pen pen = {.colour = MUTED, .width = 1.5};
    const double cover = 0.3;
    int status = 0;
    if (!p) return 0;
    const double bandwidth = isfinite(p->read_gb_per_second) && p->read_gb_per_second > 0 ? p->read_gb_per_second : 0;
    const struct chart_box slope =
        bandwidth > 0 ? bandwidth_line(f, bandwidth, highest_peak(p, f->integers)) : (struct chart_box){0};
    const bool rises = slope.left < slope.right;
    const size_t n = p->n_peaks < SERIES ? p->n_peaks : SERIES;
    if (rises) chart_line(&f->chart, pen, along(slope, 0), along(slope, PIECES));
    for (int i = 0; i < PIECES && rises && !status; i++) {
        const struct chart_point a = along(slope, i), b = along(slope, i + 1);
        status = chart_room_take(room, (struct chart_box){a.x, b.y, b.x, a.y}, cover, e);
    }
    for (size_t i = 0; i < n && !status; i++) {
        if (!is_roof(&p->peaks[i], f->integers)) continue;
        const struct chart_box line = peak_line(f, p->peaks[i].value, bandwidth);
        chart_line(&f->chart, pen, (struct chart_point){line.left, line.top},
                   (struct chart_point){line.right, line.top});
        status = chart_room_take(room, (struct chart_box){line.left, line.top - 1, line.right, line.top + 1}, cover, e);
    }
    for (size_t i = 0; i < n && !status; i++)
        if (is_roof(&p->peaks[i], f->integers)) status = name_peak(f, room, &p->peaks[i], bandwidth, e);
    return status || !rises ? status : name_bandwidth(f, room, slope, bandwidth, e);
}

/* --- points --- */

static int draw_spots(struct roofline *f, struct chart_room *room, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < f->n && !status; i++) {
        const struct spot *s = &f->spots[i];
        const struct chart_pen pen = spot_pen(f, s);
        const double half = pen.width + 1;
        chart_plot(&f->chart, "points", pen, &s->at, 1);
        status = chart_room_take(
            room, (struct chart_box){s->at.x - half, s->at.y - half, s->at.x + half, s->at.y + half}, 1, e);
    }
    return status;
}

enum { BUNCH = 6 };

/* Points of one colour that lie on each other have one name together, "down, gate and up". */
struct bunch {
    struct spot *spots[BUNCH];
    size_t n;
    struct chart_box box;
    struct text name, hint;
};

static void bunch_add(const struct roofline *f, struct bunch *b, struct spot *s)
{
    const double half = spot_pen(f, s).width + 1;
    const struct chart_box box = {s->at.x - half, s->at.y - half, s->at.x + half, s->at.y + half};
    b->box = b->n ? (struct chart_box){fmin(b->box.left, box.left), fmin(b->box.top, box.top),
                                       fmax(b->box.right, box.right), fmax(b->box.bottom, box.bottom)}
                  : box;
    if (b->n) text_add(&b->name, ", "), text_add(&b->hint, "; ");
    spot_name(f, &b->name, s);
    describe(f, &b->hint, s);
    b->spots[b->n++] = s;
}

/* The first point and, up to `most` of them, those on it whose names still have room. */
static void bunch_find(const struct roofline *f, struct bunch *b, struct spot *first, size_t most)
{
    const double near = 11, widest = 200;
    bunch_add(f, b, first);
    for (struct spot *s = first + 1; s < f->spots + f->n && b->n < most; s++) {
        struct text name = {0};
        const bool on_it = !s->is_named && fabs(s->at.x - first->at.x) < near && fabs(s->at.y - first->at.y) < near &&
                           spot_pen(f, s).colour == spot_pen(f, first).colour;
        if (on_it) spot_name(f, &name, s);
        if (on_it &&
            chart_text_width(text_c(&b->name), TEXT_SIZE) + chart_text_width(text_c(&name), TEXT_SIZE) < widest)
            bunch_add(f, b, s);
        text_free(&name);
    }
}

/* Beside any edge of the bunch, best without a line to it. */
static bool bunch_place(const struct bunch *b, const struct chart_room *room, double width, struct chart_point *at,
                        struct chart_label *label)
{
    const double inside = 8, x = (b->box.left + b->box.right) / 2, y = (b->box.top + b->box.bottom) / 2;
    const struct chart_point edges[] = {
        {b->box.right - inside, y}, {b->box.left + inside, y}, {x, b->box.bottom - inside}, {x, b->box.top + inside}};
    bool placed = false;
    for (size_t i = 0; i < 4 && !(placed && !label->is_led); i++) {
        struct chart_label found;
        if (!chart_label_place(room, edges[i], width, 90, &found) || (placed && found.is_led)) continue;
        *label = found;
        *at = edges[i];
        placed = true;
    }
    return placed;
}

static int draw_label(struct roofline *f, struct spot *first, size_t most, struct chart_room *room, struct error *e)
{
    struct bunch b = {.n = 0};
    struct text shown = {0};
    struct chart_label label;
    struct chart_point at;
    int status = 0;
    const enum chart_colour colour = spot_pen(f, first).colour;
    bunch_find(f, &b, first, most);
    chart_shorten(&shown, text_c(&b.name), 210, TEXT_SIZE);
    const double width = chart_text_width(text_c(&shown), TEXT_SIZE);
    if (bunch_place(&b, room, width, &at, &label)) {
        const struct chart_pen lead = {.colour = colour, .width = 0.8};
        if (label.is_led) chart_line(&f->chart, lead, at, label.leads);
        chart_text(&f->chart, label.x, label.y,
                   &(struct chart_words){text_c(&shown), text_c(&b.hint), .anchor = label.anchor, .colour = colour,
                                         .halo = true});
        status = chart_room_take(room, chart_text_box(label.x, label.y, label.anchor, width), 1, e);
        for (size_t k = 0; k < b.n; k++) b.spots[k]->is_named = true;
    }
    if (shown.failed || b.name.failed || b.hint.failed)
        status = error_set(e, ERROR_IO, "chart: out of memory for a name");
    text_free(&shown);
    text_free(&b.name);
    text_free(&b.hint);
    return status;
}

static int draw_labels(struct roofline *f, struct chart_room *room, struct error *e)
{
    enum { TRIED = 40 }; /* there is no room for more */
    size_t unnamed = f->left_out;
    int status = 0;
    for (size_t i = 0; i < f->n && i < TRIED && !status; i++) {
        if (!f->spots[i].is_named) status = draw_label(f, &f->spots[i], BUNCH, room, e);
        if (!f->spots[i].is_named && !status) status = draw_label(f, &f->spots[i], 1, room, e);
    }
    for (size_t i = 0; i < f->n; i++) unnamed += !f->spots[i].is_named;
    char text[64];
    snprintf(text, sizeof text, "%zu unnamed, see below", unnamed);
    if (unnamed) chart_text(&f->chart, 0, f->chart.height - 10, &(struct chart_words){text, .colour = MUTED});
    return status;
}

static void describe_all(const struct roofline *f, struct text *out)
{
    const struct report_profile *p = f->roofs;
    text_add(out, "GFLOP/s against flop per byte, the longest first: ");
    for (size_t i = 0; i < f->n && i < DESCRIBED; i++) {
        if (i) text_add(out, "; ");
        describe(f, out, &f->spots[i]);
    }
    if (f->n + f->left_out > DESCRIBED) text_printf(out, "; and %zu more", f->n + f->left_out - DESCRIBED);
    text_char(out, '.');
    if (p && p->read_gb_per_second > 0) text_printf(out, " Memory is read at %.3g GB/s.", p->read_gb_per_second);
}

static int draw(struct roofline *f, const char *id, const char *title, struct text *svg, struct error *e)
{
    const double height = 390;
    const struct chart_box frame = {50, 52, CHART_WIDTH - 6, height - 44};
    struct chart_room room = {.frame = {frame.left, frame.top - 4, frame.right, frame.bottom}};
    struct text about = {0};
    chart_open(&f->chart, height, frame);
    fit_scales(f, frame);
    draw_axes(f, title, title);
    int status = draw_spots(f, &room, e);
    if (!status) status = draw_roofs(f, &room, e);
    if (!status) status = draw_labels(f, &room, e);
    chart_room_free(&room);
    describe_all(f, &about);
    if (!status && about.failed) status = error_set(e, ERROR_IO, "%s: out of memory for the chart", id);
    if (!status) status = chart_close(&f->chart, id, title, text_c(&about), svg, e);
    chart_free(&f->chart);
    text_free(&about);
    return status;
}

int chart_roofline(const struct report *r, const struct report_profile *const *profiles, size_t subject,
                   struct text *svg, struct error *e)
{
    struct roofline f = {.r = r, .profiles = profiles};
    struct text title = {0};
    char id[64];
    if (!profiles[subject]) return 0;
    int status = find_groups(&f, subject, e);
    snprintf(id, sizeof id, "chart-roofline-%zu", subject);
    subject_label(&title, r, subject);
    if (!status && f.n) status = draw(&f, id, text_c(&title), svg, e);
    free(f.spots);
    text_free(&title);
    return status;
}

int chart_phases(const struct report *r, const struct report_profile *const *profiles, struct text *svg,
                 struct error *e)
{
    struct roofline f = {.r = r, .profiles = profiles};
    int status = find_phases(&f, e);
    if (!status && f.n > 1) status = draw(&f, "chart-phases", "Phases as a whole", svg, e);
    free(f.spots);
    return status;
}
