/* gnuplot's SVG, read and written again: a flat list of paths, markers and texts in place of nested groups, without its
 * definitions, black and fonts. */
#include "reports/charts/draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS_DEEP = 16 };

/* A piece of what was read. */
struct piece {
    const char *at;
    size_t n;
};

struct tag {
    struct piece name, rest; /* rest: its attributes */
    bool closes, is_empty;   /* </name>, <name/> */
};

/* What a group says of all that is in it. */
struct group {
    double x, y, width; /* where its texts stand; of its lines */
};

struct reader {
    const struct chart *chart;
    const char *start, *at;
    struct group groups[GROUPS_DEEP];
    size_t depth; /* of the group we are in */
    struct text *out;
    struct error *e;
};

const char *chart_colour_css(enum chart_colour colour)
{
    static const char *const names[CHART_COLOURS] = {
        [INK] = "var(--ink,#1b1d21)",
        [MUTED] = "var(--muted,#595e66)",
        [GRID] = "var(--grid,#e4e1da)",
        [PAPER] = "var(--raised,#ffffff)",
        [WORSE] = "var(--bad,#a8231b)",
        [BETTER] = "var(--good,#17693f)",
        [SERIES_1] = "var(--series-1,#1f6fc4)",
        "var(--series-2,#b5500b)",
        "var(--series-3,#127a58)",
        "var(--series-4,#9a3fb0)",
        "var(--series-5,#806b00)",
        "var(--series-6,#0b7f92)",
        "var(--series-7,#cb3066)",
        "var(--series-8,#666c75)",
    };
    return names[colour];
}

static int unknown(struct reader *r, const char *what)
{
    return error_set(r->e, ERROR_IO, "gnuplot: offset %zu of its SVG: %s (gnuplot 5.4 is known to draw well)",
                     (size_t)(r->at - r->start), what);
}

static bool piece_is(struct piece p, const char *s) { return p.n == strlen(s) && memcmp(p.at, s, p.n) == 0; }

/* The next tag, and in *before what stands before it; false at the end. */
static bool next_tag(struct reader *r, struct piece *before, struct tag *tag)
{
    const char *open = strchr(r->at, '<'), *close = open ? strchr(open, '>') : NULL;
    if (!close) return false;
    *before = (struct piece){r->at, (size_t)(open - r->at)};
    *tag = (struct tag){.closes = open[1] == '/', .is_empty = close[-1] == '/' && close - open > 2};
    const char *name = open + 1 + tag->closes;
    tag->name = (struct piece){name, strcspn(name, " \t\r\n/>")};
    const char *rest = name + tag->name.n;
    if (rest < close) tag->rest = (struct piece){rest, (size_t)(close - rest)};
    r->at = close + 1;
    return true;
}

/* The value of an attribute, in quotes of either kind; n is 0 where there is none. */
static struct piece attribute(const struct tag *tag, const char *name)
{
    const char *s = tag->rest.at, *end = s + tag->rest.n;
    const size_t n = strlen(name);
    for (; s && s + n + 2 < end; s++) {
        if (!strchr(" \t\r\n", *s) || memcmp(s + 1, name, n) != 0) continue;
        const char *value = s + 1 + n;
        while (value < end && *value == ' ') value++;
        if (value == end || *value++ != '=') continue;
        while (value < end && *value == ' ') value++;
        if (value == end || (*value != '"' && *value != '\'')) continue;
        const char *last = memchr(value + 1, *value, (size_t)(end - value - 1));
        if (last) return (struct piece){value + 1, (size_t)(last - value - 1)};
    }
    return (struct piece){0};
}

/* Skips all up to the end of the element that was just opened; elements of its name are not in it. */
static bool skip_element(struct reader *r, struct piece name)
{
    struct piece before;
    struct tag tag;
    while (next_tag(r, &before, &tag))
        if (tag.closes && tag.name.n == name.n && memcmp(tag.name.at, name.at, name.n) == 0) return true;
    return false;
}

/* The numbers that follow `word`; how many there are. A piece lies in a text that ends with a NUL. */
static size_t numbers_after(struct piece p, const char *word, double *out, size_t n)
{
    const char *s = p.at, *end = p.at + p.n;
    while (s && s + strlen(word) <= end && strncmp(s, word, strlen(word)) != 0) s++;
    if (!s || s + strlen(word) > end) return 0;
    s += strlen(word);
    for (size_t i = 0; i < n; i++) {
        char *after;
        out[i] = strtod(s, &after);
        if (after == s || after > end || !isfinite(out[i])) return i;
        s = after + strspn(after, " ,");
    }
    return n;
}

/* A tenth of a unit is less than a pixel of any screen. */
static void add_number(struct text *out, double v)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%.1f", fabs(v) < 0.05 ? 0 : fmin(fmax(v, -1e6), 1e6));
    const size_t n = strlen(digits);
    if (digits[n - 1] == '0') digits[n - 2] = 0;
    text_add(out, digits);
}

static void add_attribute(struct text *out, const char *name, double v)
{
    text_printf(out, " %s=\"", name);
    add_number(out, v);
    text_char(out, '"');
}

/* Our colour from "rgb(red, 0, number)", see draw.c; ink for any other. */
static enum chart_colour read_colour(struct piece value, bool *faint)
{
    double rgb[3] = {0};
    *faint = false;
    if (numbers_after(value, "rgb(", rgb, 3) < 3 || rgb[2] < 1 || rgb[2] > CHART_COLOURS) return INK;
    *faint = rgb[0] > 0;
    return (enum chart_colour)(rgb[2] - 1);
}

/* "M1,2 L3,4 L5,6" with the numbers shortened; subpaths of no length vanish. False where it is not made of these. */
static bool translate_steps(struct piece d, struct text *out)
{
    const char *s = d.at, *end = d.at + d.n;
    double from[2] = {0}, to[2];
    bool drawn = false; /* whether the last place is written */
    if (!s) return false;
    while ((s += strspn(s, " \t\r\n")) < end) {
        const bool moves = *s == 'M';
        if (!moves && *s != 'L') return false;
        if (numbers_after((struct piece){s + 1, (size_t)(end - s - 1)}, "", to, 2) < 2) return false;
        s += 1 + strspn(s + 1, "0123456789.,+-e"); /* what is left of them is no step */
        if (moves) {
            drawn = false;
        } else if (to[0] != from[0] || to[1] != from[1]) {
            for (int k = drawn; k < 2; k++) {
                const double *p = k ? to : from;
                text_char(out, k ? 'L' : 'M');
                add_number(out, p[0]);
                text_char(out, ' ');
                add_number(out, p[1]);
            }
            drawn = true;
        }
        from[0] = to[0], from[1] = to[1];
    }
    return true;
}

static int add_path(struct reader *r, const struct tag *tag)
{
    struct text steps = {0};
    bool faint;
    const enum chart_colour colour = read_colour(attribute(tag, "stroke"), &faint);
    if (!translate_steps(attribute(tag, "d"), &steps)) {
        text_free(&steps);
        return unknown(r, "a path of other steps than M and L");
    }
    if (steps.length) {
        double dashes[4];
        const size_t n = numbers_after(attribute(tag, "stroke-dasharray"), "", dashes, 4);
        text_printf(r->out, "<path d=\"%s\" stroke=\"%s\"", text_c(&steps), chart_colour_css(colour));
        if (r->groups[r->depth].width != 1) add_attribute(r->out, "stroke-width", r->groups[r->depth].width);
        for (size_t i = 0; i < n; i++) {
            text_add(r->out, i ? " " : " stroke-dasharray=\"");
            add_number(r->out, dashes[i]);
        }
        text_add(r->out, n ? "\"" : "");
        text_add(r->out, faint ? " opacity=\".45\"/>\n" : "/>\n");
    }
    r->out->failed = r->out->failed || steps.failed;
    text_free(&steps);
    return 0;
}

/* A filled box; one without an area vanishes. */
static int add_box(struct reader *r, const struct tag *tag)
{
    enum { CORNERS = 4 };
    const struct piece points = attribute(tag, "points");
    double p[2 * CORNERS], left, right, top, bottom;
    bool faint;
    if (numbers_after(points, "", p, 2 * CORNERS) < 2 * CORNERS) return unknown(r, "a shape without four corners");
    left = right = p[0];
    top = bottom = p[1];
    for (size_t i = 0; i < CORNERS; i++) {
        left = fmin(left, p[2 * i]);
        right = fmax(right, p[2 * i]);
        top = fmin(top, p[2 * i + 1]);
        bottom = fmax(bottom, p[2 * i + 1]);
    }
    if (right - left < 0.05 || bottom - top < 0.05) return 0;
    static const char *const steps[] = {"<path d=\"M", " ", "H", "V", "H"};
    const double to[] = {left, top, right, bottom, left};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        text_add(r->out, steps[i]);
        add_number(r->out, to[i]);
    }
    text_printf(r->out, "Z\" fill=\"%s\"", chart_colour_css(read_colour(attribute(tag, "fill"), &faint)));
    text_add(r->out, faint ? " opacity=\".45\"/>\n" : "/>\n");
    return 0;
}

/* A point, which gnuplot draws by the number of its type; its radius came as the width of its line. */
static int add_marker(struct reader *r, const struct tag *tag)
{
    enum { CIRCLE_OPEN = 5, CIRCLE = 6, UP = 8, DOWN = 10 };
    const double radius = r->groups[r->depth].width;
    double type, at[2];
    bool faint;
    const char *colour = chart_colour_css(read_colour(attribute(tag, "color"), &faint));
    if (!numbers_after(attribute(tag, "xlink:href"), "#gpPt", &type, 1) ||
        numbers_after(attribute(tag, "transform"), "translate(", at, 2) < 2)
        return unknown(r, "a point without a type or place");
    if (type == UP || type == DOWN) {
        /* An equilateral triangle of about the circle's weight, its centre of gravity on the point. */
        const double toward = type == UP ? -1 : 1, tip = toward * 1.35 * radius, side = 1.17 * radius;
        text_add(r->out, "<path d=\"M");
        const double corners[] = {at[0], at[1] + tip, at[0] + side, at[1] - tip / 2, at[0] - side, at[1] - tip / 2};
        for (size_t i = 0; i < 6; i++) {
            if (i) text_char(r->out, ' ');
            add_number(r->out, corners[i]);
        }
        text_add(r->out, "Z\"");
    } else if (type == CIRCLE || type == CIRCLE_OPEN) {
        text_add(r->out, "<circle");
        add_attribute(r->out, "cx", at[0]);
        add_attribute(r->out, "cy", at[1]);
        add_attribute(r->out, "r", radius);
    } else {
        return unknown(r, "a point of another type");
    }
    if (type == CIRCLE_OPEN)
        text_printf(r->out, " fill=\"%s\" stroke=\"%s\" stroke-width=\"2\"", chart_colour_css(PAPER), colour);
    else
        text_printf(r->out, " fill=\"%s\" stroke=\"%s\"", colour, chart_colour_css(PAPER));
    text_add(r->out, faint ? " opacity=\".45\"/>\n" : "/>\n");
    return 0;
}

/* "@7@": the seventh of the chart's texts, where the group around it says. */
static int add_text(struct reader *r)
{
    struct piece number;
    struct tag tag;
    double n;
    if (!next_tag(r, &number, &tag) || !tag.closes || !numbers_after(number, "@", &n, 1) || n < 0 ||
        n >= (double)r->chart->n_words)
        return unknown(r, "a text that was not given to it");
    const char *words = text_c(&r->chart->words);
    for (size_t i = 0; i < (size_t)n; i++) words += strlen(words) + 1;
    text_add(r->out, "<text");
    add_attribute(r->out, "x", r->groups[r->depth].x);
    add_attribute(r->out, "y", r->groups[r->depth].y);
    text_add(r->out, words);
    return 0;
}

static int open_group(struct reader *r, const struct tag *tag)
{
    if (r->depth + 1 == GROUPS_DEEP) return unknown(r, "groups in groups, too deep");
    struct group g = r->groups[r->depth];
    double at[2];
    if (numbers_after(attribute(tag, "transform"), "translate(", at, 2) == 2) g.x = at[0], g.y = at[1];
    numbers_after(attribute(tag, "stroke-width"), "", &g.width, 1);
    r->groups[++r->depth] = g;
    return 0;
}

static int translate_tag(struct reader *r, const struct tag *tag)
{
    if (tag->name.at[0] == '?' || tag->name.at[0] == '!') return 0;
    if (piece_is(tag->name, "g") || piece_is(tag->name, "svg")) {
        if (!tag->closes) return tag->is_empty ? 0 : open_group(r, tag);
        if (r->depth == 0) return unknown(r, "the end of a group that was not opened");
        r->depth--;
        return 0;
    }
    if (tag->closes) return unknown(r, "the end of what was not opened");
    if (piece_is(tag->name, "path")) return add_path(r, tag);
    if (piece_is(tag->name, "polygon")) return add_box(r, tag);
    if (piece_is(tag->name, "use")) return add_marker(r, tag);
    if (piece_is(tag->name, "text")) return add_text(r);
    static const char *const skipped[] = {"title", "desc", "defs", "rect"}; /* rect: the paper */
    for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++)
        if (piece_is(tag->name, skipped[i]) && (tag->is_empty || skip_element(r, tag->name))) return 0;
    return unknown(r, "an element of another kind");
}

int chart_translate(const struct chart *c, const char *drawn, struct text *svg, struct error *e)
{
    struct reader r = {.chart = c, .start = drawn, .at = drawn, .groups = {{.width = 1}}, .out = svg, .e = e};
    struct piece before;
    struct tag tag;
    bool is_svg = false;
    while (next_tag(&r, &before, &tag)) {
        is_svg = is_svg || piece_is(tag.name, "svg");
        if (translate_tag(&r, &tag)) return e->code;
    }
    return is_svg && r.depth == 0 ? 0 : unknown(&r, "it ends too early");
}
