/* A leaderboard for a terminal. */
#include "engine/base/memory.h"
#include "reports/board/columns.h"
#include "reports/layout.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANK, TIE, SCORE, INTERVAL, BITS, MIB, SPEED, SUBJECT, COLUMNS, NARROWEST = 20 };

static const char *const heads[COLUMNS] = {"rank",        "tie", "",         "95% interval",
                                           "bits/weight", "MiB", "tokens/s", "subject"};

struct line {
    char cells[SUBJECT][CELL_TEXT];
};

struct sheet {
    const struct board *b;
    struct line *lines; /* [n_rows] */
    size_t widths[COLUMNS];
    int decimals; /* of the figure that is ranked by */
};

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* The subject's name, and who measured it where it was not kerf. */
static void add_name(const struct board *b, size_t row, struct text *out)
{
    const char *source = board_field(b, row, BOARD_SOURCE);
    escape_terminal(out, board_field(b, row, BOARD_SUBJECT));
    if (!*source) return;
    text_add(out, " (");
    escape_terminal(out, source);
    text_char(out, ')');
}

static const char *ranked_by(const struct board *b) { return b->n_rows ? board_field(b, 0, BOARD_RANKED_BY) : ""; }

/* Ties: "=2" where another row is in the group too. */
static void format_tie(const struct sheet *s, const size_t *sizes, size_t row, char out[CELL_TEXT])
{
    const double group = board_number(s->b, row, BOARD_TIE_GROUP);
    *out = 0;
    if (group >= 1 && group <= (double)s->b->n_rows && sizes[(size_t)group] > 1)
        snprintf(out, CELL_TEXT, "=%.0f", group);
}

static void format_field(const struct board *b, size_t row, enum board_column c, double unit, int decimals,
                         char out[CELL_TEXT])
{
    const double v = board_number(b, row, c);
    *out = 0;
    if (!isnan(v)) format_value(out, v / unit, decimals);
}

static void fill(struct sheet *s, const size_t *sizes, size_t row)
{
    const struct board *b = s->b;
    char(*cells)[CELL_TEXT] = s->lines[row].cells;
    const struct figure interval = {.low = board_number(b, row, BOARD_SCORE_LOW),
                                    .high = board_number(b, row, BOARD_SCORE_HIGH)};
    format_field(b, row, BOARD_RANK, 1, 0, cells[RANK]);
    if (!*cells[RANK]) snprintf(cells[RANK], CELL_TEXT, "-");
    format_tie(s, sizes, row, cells[TIE]);
    format_field(b, row, BOARD_SCORE, 1, s->decimals, cells[SCORE]);
    format_interval(cells[INTERVAL], &interval, s->decimals, false);
    format_field(b, row, BOARD_BITS_PER_WEIGHT, 1, 2, cells[BITS]);
    format_field(b, row, BOARD_WEIGHT_BYTES, 1 << 20, 2, cells[MIB]);
    format_field(b, row, BOARD_TOKENS_PER_SECOND, 1, 0, cells[SPEED]);
    for (size_t c = 0; c < SUBJECT; c++) s->widths[c] = larger(s->widths[c], layout_width(cells[c]));
}

/* Two digits of the smallest figure, as far as that goes. */
static int find_decimals(const struct board *b)
{
    double largest = 0, smallest = INFINITY;
    if (strcmp(ranked_by(b), "score") == 0) return 2;
    for (size_t i = 0; i < b->n_rows; i++) {
        const double v = fabs(board_number(b, i, BOARD_SCORE));
        largest = fmax(largest, v);
        if (v > 0) smallest = fmin(smallest, v);
    }
    const int needed = smallest < 1 ? (int)fmin(6, 1 - floor(log10(smallest))) : 0;
    const int usual = largest < 10 ? 4 : largest < 100 ? 3 : largest < 1000 ? 2 : 1;
    return needed > usual ? needed : usual;
}

static void draw(const struct sheet *s, const char *const cells[COLUMNS], struct text *out)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        if (!s->widths[c]) continue; /* nobody has it */
        layout_pad(out, cells[c], s->widths[c], c != TIE && c != SUBJECT);
        if (c != SUBJECT) text_add(out, "  ");
    }
    layout_end(out);
}

/* The widths of the columns, the least needed of which are left out where there is no room. */
static size_t lay_out(struct sheet *s, const char *const names[COLUMNS], int width)
{
    static const int dispensable[] = {SPEED, BITS, INTERVAL, MIB};
    const size_t n = sizeof dispensable / sizeof *dispensable;
    size_t used = 0, longest = layout_width(heads[SUBJECT]);
    for (size_t c = 0; c < SUBJECT; c++) {
        if (s->widths[c]) s->widths[c] = larger(s->widths[c], layout_width(names[c]));
        used += s->widths[c] ? s->widths[c] + 2 : 0;
    }
    for (size_t k = 0; k < n && width > 0 && used + NARROWEST > (size_t)width; k++) {
        used -= s->widths[dispensable[k]] ? s->widths[dispensable[k]] + 2 : 0;
        s->widths[dispensable[k]] = 0;
    }
    for (size_t i = 0; i < s->b->n_rows; i++) {
        struct text name = {0};
        add_name(s->b, i, &name);
        longest = larger(longest, layout_width(text_c(&name)));
        text_free(&name);
    }
    const size_t room = width > 0 && (size_t)width > used + NARROWEST ? (size_t)width - used : NARROWEST;
    s->widths[SUBJECT] = longest < room ? longest : room;
    return used + s->widths[SUBJECT];
}

static void draw_all(struct sheet *s, int width, struct text *out)
{
    const char *cells[COLUMNS];
    const char *slash = strrchr(ranked_by(s->b), '/');
    struct text figure = {0};
    escape_terminal(&figure, slash ? slash + 1 : "score");
    memcpy(cells, heads, sizeof cells);
    cells[SCORE] = text_c(&figure);
    const size_t total = lay_out(s, cells, width);
    draw(s, cells, out);
    text_free(&figure);
    layout_rule(out, total);
    for (size_t i = 0; i < s->b->n_rows; i++) {
        struct text name = {0};
        add_name(s->b, i, &name);
        for (size_t c = 0; c < SUBJECT; c++) cells[c] = s->lines[i].cells[c];
        cells[SUBJECT] = text_c(&name);
        draw(s, cells, out);
        text_free(&name);
    }
    layout_rule(out, total);
}

/* --- what it says below --- */

static void say_basis(const struct board *b, bool ties, int width, struct text *out)
{
    struct text line = {0};
    if (b->basis.length) {
        text_add(&line, "ranked by ");
        escape_terminal(&line, text_c(&b->basis));
        text_add(&line, ties ? "; =: no significant difference (p >= 0.05) to the first of the same mark" : "");
        layout_wrap(out, text_c(&line), width > 0 ? (size_t)width : 80, 2);
    }
    text_free(&line);
}

/* "3 rows are not ranked: by another protocol than most (measure them again with the same suite, ...)" */
static void say_unranked(const struct board *b, int width, struct text *out)
{
    enum { REASONS = 8 }; /* there are fewer */
    const char *reasons[REASONS];
    size_t rows[REASONS], n = 0;
    for (size_t i = 0; i < b->n_rows; i++) {
        const char *why = b->rows[i].unranked;
        size_t k = 0;
        while (why && k < n && strcmp(reasons[k], why) != 0) k++;
        if (!why || k == REASONS) continue;
        if (k == n) reasons[n] = why, rows[n++] = 0;
        rows[k]++;
    }
    for (size_t k = 0; k < n; k++) {
        struct text line = {0};
        text_printf(&line, "%zu row%s not ranked: %s", rows[k], rows[k] == 1 ? " is" : "s are", reasons[k]);
        layout_wrap(out, text_c(&line), width > 0 ? (size_t)width : 80, 2);
        text_free(&line);
    }
}

int board_table(const struct board *b, const struct table_style *style, struct text *out, struct error *e)
{
    struct sheet s = {.b = b, .decimals = find_decimals(b)};
    size_t *sizes = memory_new(b->n_rows + 1, sizeof *sizes, "a table", e); /* of the tie groups */
    s.lines = memory_new(b->n_rows, sizeof *s.lines, "a table", e);
    const bool good = sizes && s.lines;
    bool ties = false;
    for (size_t i = 0; i < b->n_rows && good; i++) {
        const double group = board_number(b, i, BOARD_TIE_GROUP);
        if (group >= 1 && group <= (double)b->n_rows && ++sizes[(size_t)group] > 1) ties = true;
    }
    for (size_t i = 0; i < b->n_rows && good; i++) fill(&s, sizes, i);
    if (!b->n_rows) {
        text_add(out, "no rows\n");
    } else if (good) {
        draw_all(&s, style->width, out);
        say_basis(b, ties, style->width, out);
        say_unranked(b, style->width, out);
    }
    free(s.lines);
    free(sizes);
    if (!good) return ERROR_IO;
    return out->failed ? error_set(e, ERROR_IO, "out of memory for a table") : 0;
}
