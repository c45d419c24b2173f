#include "reports/charts/draw.h"
#include "reports/charts/gnuplot.h"
#include "reports/report.h"

#include <math.h>

/* gnuplot's type of point, and how its size becomes our radius: the translation reads the type alone. */
static const int point_types[] = {
    [MARKER_NONE] = 0, [MARKER_CIRCLE] = 7, [MARKER_RING] = 6, [MARKER_UP] = 9, [MARKER_DOWN] = 11};
static const char *const dash_types[CHART_DASHES] = {
    [DASH_NONE] = "solid", [DASH_LONG] = "(7,4)", [DASH_SHORT] = "(2,4)", [DASH_MIXED] = "(9,4,2,4)"};

/* gnuplot draws in colours that are numbers: 1 + ours, and red where it is faint. */
static int pen_colour(const struct chart_pen *pen) { return (pen->faint ? 1 << 16 : 0) + (int)pen->colour + 1; }

static void pen_words(struct text *out, const struct chart_pen *pen)
{
    text_printf(out, " lc rgb %d lw %.2f dt %s", pen_colour(pen), pen->width, dash_types[pen->dash]);
}

void chart_open(struct chart *c, double height, struct chart_box frame)
{
    *c = (struct chart){.height = height, .frame = frame};
    text_printf(
        &c->settings,
        "set terminal svg size %.0f,%.0f noenhanced font 'sans,%.0f'\nset encoding utf8\nunset key\n"
        "set border 0\nset pointintervalbox 0\nset lmargin at screen %.6f\nset rmargin at screen %.6f\n"
        "set tmargin at screen %.6f\nset bmargin at screen %.6f\nset xrange [%.2f:%.2f]\nset yrange [%.2f:%.2f]\n",
        CHART_WIDTH, height, TEXT_SIZE, frame.left / CHART_WIDTH, frame.right / CHART_WIDTH, 1 - frame.top / height,
        1 - frame.bottom / height, frame.left, frame.right, frame.bottom, frame.top);
}

/* A text's element from its place on; returns its number, from 0. */
static size_t keep_words(struct chart *c, const struct chart_words *w)
{
    static const char *const anchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
    text_add(&c->words, anchors[w->anchor]);
    if (w->size > 0) text_printf(&c->words, " font-size=\"%g\"", w->size);
    if (w->bold) text_add(&c->words, " font-weight=\"600\"");
    if (w->halo)
        text_printf(&c->words, " stroke=\"%s\" stroke-width=\"4\" paint-order=\"stroke\"", chart_colour_css(PAPER));
    text_printf(&c->words, " fill=\"%s\">", chart_colour_css(w->colour));
    if (w->hint) {
        text_add(&c->words, "<title>");
        escape_html(&c->words, w->hint);
        text_add(&c->words, "</title>");
    }
    escape_html(&c->words, w->text);
    text_add(&c->words, "</text>\n");
    text_char(&c->words, 0);
    return c->n_words++;
}

void chart_text(struct chart *c, double x, double y, const struct chart_words *w)
{
    static const char *const anchors[] = {"left", "center", "right"};
    const size_t number = keep_words(c, w);
    text_printf(&c->settings, "set label '@%zu@' at first %.2f,%.2f %s front\n", number, x, y, anchors[w->anchor]);
}

void chart_tick(struct chart *c, int axis, double at, const char *text)
{
    const struct chart_words w = {text, .anchor = axis ? ANCHOR_END : ANCHOR_MIDDLE, .colour = MUTED};
    struct text *list = &c->ticks[axis];
    if (!axis && at + chart_text_width(text, TEXT_SIZE) / 2 > CHART_WIDTH + 1) return;
    text_printf(list, "%s'@%zu@' %.2f", list->length ? ", " : "", keep_words(c, &w), at);
}

void chart_plot(struct chart *c, const char *style, struct chart_pen pen, const struct chart_point *p, size_t n)
{
    if (n == 0) return;
    text_printf(&c->data, "$d%zu << E\n", c->n_plots);
    for (size_t i = 0; i < n; i++) text_printf(&c->data, "%.2f %.2f\n", p[i].x, p[i].y);
    text_add(&c->data, "E\n");
    text_printf(&c->plots, "%s$d%zu using 1:2 with %s", c->n_plots ? ", " : "plot ", c->n_plots, style);
    pen_words(&c->plots, &pen);
    if (pen.marker) text_printf(&c->plots, " pt %d ps 1", point_types[pen.marker]);
    c->n_plots++;
}

void chart_boxes(struct chart *c, struct chart_pen pen, const struct chart_box *boxes, size_t n)
{
    if (n == 0) return;
    text_printf(&c->data, "$d%zu << E\n", c->n_plots);
    for (size_t i = 0; i < n; i++) {
        const struct chart_box b = boxes[i];
        text_printf(&c->data, "%.2f %.2f %.2f %.2f %.2f %.2f\n", b.left, b.top, b.left, b.right, b.top, b.bottom);
    }
    text_add(&c->data, "E\n");
    text_printf(&c->plots, "%s$d%zu using 1:2:3:4:5:6 with boxxyerror fc rgb %d fs solid noborder",
                c->n_plots ? ", " : "plot ", c->n_plots, pen_colour(&pen));
    c->n_plots++;
}

void chart_line(struct chart *c, struct chart_pen pen, struct chart_point a, struct chart_point b)
{
    text_printf(&c->settings, "set arrow from first %.2f,%.2f to first %.2f,%.2f nohead", a.x, a.y, b.x, b.y);
    pen_words(&c->settings, &pen);
    text_char(&c->settings, '\n');
}

/* Ticks without lines have no length: the grid says where they are. */
static void add_ticks(struct chart *c)
{
    static const char axes[] = "xy";
    for (int axis = 0; axis < 2; axis++) {
        if (c->ticks[axis].length == 0)
            text_printf(&c->settings, "unset %ctics\n", axes[axis]);
        else
            text_printf(&c->settings, "set %ctics scale 0 offset %s (%s)\nset grid %ctics lt 1 lc rgb %d lw 1\n",
                        axes[axis], axis ? "0.6,0" : "0,0.2", text_c(&c->ticks[axis]), axes[axis], GRID + 1);
    }
}

static void add_opening(const struct chart *c, const char *id, const char *title, const char *description,
                        struct text *svg)
{
    text_printf(svg,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
                "aria-labelledby=\"%s-title %s-text\" font-size=\"%.0f\" fill=\"none\" stroke-linecap=\"round\" "
                "stroke-linejoin=\"round\">\n<title id=\"%s-title\">",
                CHART_WIDTH, c->height, id, id, TEXT_SIZE, id);
    escape_html(svg, title);
    text_printf(svg, "</title>\n<desc id=\"%s-text\">", id);
    escape_html(svg, description);
    text_add(svg, "</desc>\n");
}

int chart_close(struct chart *c, const char *id, const char *title, const char *description, struct text *svg,
                struct error *e)
{
    struct text script = {0}, drawn = {0};
    add_ticks(c);
    text_printf(&script, "%s%s%s\n", text_c(&c->settings), text_c(&c->data), text_c(&c->plots));
    int status = 0;
    if (script.failed || c->settings.failed || c->data.failed || c->plots.failed || c->words.failed)
        status = error_set(e, ERROR_IO, "%s: out of memory for the chart", id);
    if (!status) status = gnuplot_run(text_c(&script), gnuplot_usual, &drawn, e);
    if (!status) {
        add_opening(c, id, title, description, svg);
        status = chart_translate(c, text_c(&drawn), svg, e);
        text_add(svg, "</svg>\n");
    }
    if (!status && svg->failed) status = error_set(e, ERROR_IO, "%s: out of memory for the chart", id);
    text_free(&script);
    text_free(&drawn);
    return status;
}

void chart_free(struct chart *c)
{
    struct text *const held[] = {&c->settings, &c->data, &c->plots, &c->ticks[0], &c->ticks[1], &c->words};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) text_free(held[i]);
}
