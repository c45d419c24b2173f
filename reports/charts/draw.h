/* A drawing that gnuplot makes and that becomes an <svg> element of a page. All coordinates are those of the element's
 * viewBox, x to the right and y down, so that whoever draws knows where everything will stand.
 *
 *     struct chart c;
 *     chart_open(&c, 300, (struct chart_box){50, 40, 430, 250});                   the plot's frame
 *     chart_text(&c, 0, 16, &(struct chart_words){"Quality", .size = TITLE_SIZE, .bold = true});
 *     chart_plot(&c, "lines", (struct chart_pen){.colour = SERIES_1, .width = 2}, points, n);
 *     status = chart_close(&c, "chart-quality", "Quality", "A sentence.", &svg, e);
 *     chart_free(&c);
 *
 * Texts never reach gnuplot, which is given their numbers; chart_close() puts them, escaped, where it has put those. */
#ifndef KERF_REPORTS_CHARTS_DRAW_H
#define KERF_REPORTS_CHARTS_DRAW_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include <stdbool.h>
#include <stddef.h>

enum { SERIES = 8 };
enum chart_colour { INK, MUTED, GRID, PAPER, WORSE, BETTER, SERIES_1, CHART_COLOURS = SERIES_1 + SERIES };

/* The width of every chart is that of a phone's column: its text is 12 pixels high where 360 are left for it. */
#define CHART_WIDTH 420.0
#define TEXT_SIZE 14.0
#define TITLE_SIZE 16.0

enum chart_anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END };
enum chart_marker { MARKER_NONE, MARKER_CIRCLE, MARKER_RING, MARKER_UP, MARKER_DOWN };
enum chart_dash { DASH_NONE, DASH_LONG, DASH_SHORT, DASH_MIXED, CHART_DASHES };

struct chart_point {
    double x, y;
};

struct chart_box {
    double left, top, right, bottom;
};

struct chart_words {
    const char *text, *hint; /* hint: what a pointer that rests on it is told; MAY be NULL */
    double size;             /* 0: TEXT_SIZE */
    enum chart_anchor anchor;
    enum chart_colour colour;
    bool bold, halo; /* halo: stands out from lines behind it */
};

struct chart_pen {
    enum chart_colour colour;
    double width; /* of a line; of a marker its radius */
    enum chart_dash dash;
    enum chart_marker marker;
    bool faint;
};

struct chart {
    double height;
    struct chart_box frame;
    struct text settings, data, plots, ticks[2]; /* of gnuplot's script */
    struct text words;                           /* the <text> elements from their place on, each ended by a NUL */
    size_t n_words, n_plots;
};

void chart_open(struct chart *c, double height, struct chart_box frame);
/* x, y: of the line of writing's middle. Nothing of `w` is kept. */
void chart_text(struct chart *c, double x, double y, const struct chart_words *w);
/* On the lower edge (axis 0) or the left one (1); nothing where its text would be cut off on the right. */
void chart_tick(struct chart *c, int axis, double at, const char *text);
/* style: "lines", "steps" or, with a marker, "points". Clipped to the frame. */
void chart_plot(struct chart *c, const char *style, struct chart_pen pen, const struct chart_point *p, size_t n);
/* Filled boxes in the pen's colour, above the grid and below all texts. Clipped to the frame. */
void chart_boxes(struct chart *c, struct chart_pen pen, const struct chart_box *boxes, size_t n);
/* From a to b, wherever that is. */
void chart_line(struct chart *c, struct chart_pen pen, struct chart_point a, struct chart_point b);
/* Appends one <svg> element. `id` is the prefix of every id in it; title and description are those that a reader's
 * voice says. */
int chart_close(struct chart *c, const char *id, const char *title, const char *description, struct text *svg,
                struct error *e);
void chart_free(struct chart *c);

/* --- what gnuplot has drawn (svg.c) --- */

/* Appends what gnuplot's SVG shows as a flat list of elements in our colours, with the texts of c->words. ERROR_IO where
 * it is not what gnuplot draws. */
int chart_translate(const struct chart *c, const char *drawn, struct text *svg, struct error *e);
/* "var(--ink,#1b1d21)": of the page, and what stands in where it has none. */
const char *chart_colour_css(enum chart_colour colour);

/* --- texts (words.c) --- */

/* About as wide as a page's font makes it, rather more than less. */
double chart_text_width(const char *s, double size);
/* s on one line, harmless to look at, and with "..." as one character in its middle where it is wider than `width`. */
void chart_shorten(struct text *out, const char *s, double width, double size);

#endif
