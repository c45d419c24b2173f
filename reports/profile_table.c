/* A profile for a terminal. */
#include "engine/base/memory.h"
#include "reports/cells.h"
#include "reports/layout.h"
#include "reports/profile.h"
#include "reports/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 12, ROWS = 48, SHOWN_TEXT = 39, CELL = 4 * (SHOWN_TEXT + 1), GAP = 2, REASONS = 6 };

struct column {
    const char *head;
    bool left; /* text, on the left */
    int spare; /* those with the highest are left out first where there is no room; 0: stays */
    size_t width;
};

struct sheet {
    struct column columns[COLUMNS];
    size_t n_columns, n_rows;
    char (*cells)[COLUMNS][CELL]; /* [ROWS] */
    double least;                 /* share that a shown value was scaled from, 1: none was */
};

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* --- cells --- */

static void set_text(char cell[CELL], const char *s)
{
    struct text visible = {0}, cut = {0};
    text_terminal(&visible, s, strnlen(s, CELL));
    const size_t n = layout_width(text_c(&visible));
    layout_pad(&cut, text_c(&visible), n < SHOWN_TEXT ? n : SHOWN_TEXT, false);
    snprintf(cell, CELL, "%s", text_c(&cut));
    text_free(&visible);
    text_free(&cut);
}

/* "~" before what was scaled, a dash where nothing was seen; with so many decimals or, below 0, three digits. */
static void set_counted(struct sheet *s, char cell[CELL], struct report_counted c, double unit, int decimals)
{
    char number[CELL_TEXT];
    if (decimals < 0 || isnan(c.value))
        format_measure(number, c.value / unit);
    else
        format_value(number, c.value / unit, decimals);
    const bool scaled = !isnan(c.value) && c.share < 1;
    if (scaled && c.share < s->least) s->least = c.share;
    snprintf(cell, CELL, "%s%s", scaled ? "~" : "", number);
}

static void set_seconds(char cell[CELL], double v)
{
    *cell = 0;
    if (!isnan(v)) format_value(cell, v, 3);
}

/* Nothing where there is nothing to tell of. */
static void set_rate(char cell[CELL], double v)
{
    char number[CELL_TEXT];
    *cell = 0;
    if (isnan(v)) return;
    format_measure(number, v);
    snprintf(cell, CELL, "%s", number);
}

static void set_percent(char cell[CELL], double share)
{
    char number[CELL_TEXT];
    *cell = 0;
    if (!isfinite(share)) return;
    format_value(number, 100 * share, 100 * share < 9.95 ? 1 : 0);
    snprintf(cell, CELL, "%s%%", number);
}

static double rate(double amount, double seconds) { return amount > 0 && seconds > 0 ? 1e-9 * amount / seconds : NAN; }

/* --- a sheet --- */

static int open_sheet(struct sheet *s, const struct column *columns, size_t n, struct error *e)
{
    s->n_columns = n;
    s->n_rows = 0;
    memcpy(s->columns, columns, n * sizeof *columns);
    free(s->cells);
    s->cells = memory_new(ROWS, sizeof *s->cells, "a table", e);
    return s->cells ? 0 : ERROR_IO;
}

/* As wide as their cells, 0 where they are empty. */
static void measure(struct sheet *s)
{
    for (size_t c = 0; c < s->n_columns; c++) {
        struct column *column = &s->columns[c];
        bool empty = true;
        for (size_t i = 0; i < s->n_rows; i++) {
            const char *cell = s->cells[i][c];
            empty &= !*cell || strcmp(cell, DASH) == 0;
            column->width = larger(column->width, layout_width(cell));
        }
        column->width = empty ? 0 : larger(column->width, layout_width(column->head));
    }
}

/* Takes columns in the order of `spare`, each that there is still room for; returns their width. */
static size_t lay_out(struct sheet *s, size_t width)
{
    size_t taken = 0;
    measure(s);
    for (int spare = 0; spare < COLUMNS; spare++)
        for (size_t c = 0; c < s->n_columns; c++) {
            struct column *column = &s->columns[c];
            const size_t more = column->width ? column->width + (taken ? GAP : 0) : 0;
            if (column->spare != spare) continue;
            if (spare && taken + more > width)
                column->width = 0;
            else
                taken += more;
        }
    return taken;
}

static void print_line(const struct sheet *s, struct text *out, const char (*cells)[CELL])
{
    size_t before = 0; /* columns on its left */
    for (size_t c = 0; c < s->n_columns; c++) {
        const struct column *column = &s->columns[c];
        if (!column->width) continue;
        layout_pad(out, "", before++ ? GAP : 0, false);
        layout_pad(out, cells ? cells[c] : column->head, column->width, !column->left);
    }
    layout_end(out);
}

static void print_sheet(struct sheet *s, size_t width, struct text *out)
{
    const size_t total = lay_out(s, width);
    print_line(s, out, NULL);
    layout_rule(out, total);
    for (size_t i = 0; i < s->n_rows; i++) print_line(s, out, (const char(*)[CELL])s->cells[i]);
}

/* --- phases --- */

static void fill_phase(struct sheet *s, const struct report_profile *p, const struct report_figures *f)
{
    static const char *const millions[] = {"instructions", "l1d_misses", "l2_misses", "l3_misses"};
    char(*cell)[CELL] = s->cells[s->n_rows];
    size_t c = 1;
    set_seconds(cell[c++], f->seconds);
    set_percent(cell[c++], p->seconds > 0 ? f->seconds / p->seconds : NAN);
    set_counted(s, cell[c++], report_counted_in(f, "task_clock"), 1e9, 3);
    set_counted(s, cell[c++], report_ipc(f), 1, 2);
    for (size_t i = 0; i < sizeof millions / sizeof *millions; i++)
        set_counted(s, cell[c++], report_counted_in(f, millions[i]), 1e6, -1);
    set_counted(s, cell[c++], report_counted_in(f, "energy_package"), 1e6, 2);
    set_rate(cell[c++], rate(f->flop, f->seconds));
    set_rate(cell[c++], rate(f->bytes, f->seconds));
}

static int print_phases(struct sheet *s, const struct report_profile *p, size_t width, struct text *out,
                        struct error *e)
{
    static const struct column columns[] = {
        {"phase", true, 0, 0},      {"seconds", false, 0, 0}, {"share", false, 0, 0},      {"CPU s", false, 3, 0},
        {"IPC", false, 2, 0},       {"M instr", false, 5, 0}, {"M L1D miss", false, 9, 0}, {"M L2 miss", false, 8, 0},
        {"M L3 miss", false, 6, 0}, {"J", false, 7, 0},       {"GFLOP/s", false, 1, 0},    {"GB/s", false, 4, 0}};
    if (open_sheet(s, columns, sizeof columns / sizeof *columns, e)) return ERROR_IO;
    for (; s->n_rows < p->n_phases && s->n_rows < ROWS; s->n_rows++) {
        const struct report_phase *phase = &p->phases[s->n_rows];
        set_text(s->cells[s->n_rows][0], phase->phase);
        fill_phase(s, p, &phase->figures);
    }
    print_sheet(s, width, out);
    if (p->n_phases > ROWS) text_printf(out, "and %zu more\n", p->n_phases - ROWS);
    return 0;
}

/* --- kernels --- */

static double phase_seconds(const struct report_profile *p, const char *phase)
{
    for (size_t i = 0; i < p->n_phases; i++)
        if (strcmp(p->phases[i].phase, phase) == 0) return p->phases[i].figures.seconds;
    return NAN;
}

struct ranked {
    const struct report_group *group;
    size_t phase; /* where its phase stands */
};

static int by_time(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->phase != y->phase) return x->phase < y->phase ? -1 : 1;
    const double s = x->group->figures.seconds, t = y->group->figures.seconds;
    if (s != t) return s > t ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

static size_t phase_place(const struct report_profile *p, const char *phase)
{
    size_t i = 0;
    while (i < p->n_phases && i < ROWS && strcmp(p->phases[i].phase, phase) != 0) i++;
    return i;
}

static void fill_group(struct sheet *s, const struct report_profile *p, const struct report_group *g, bool opens)
{
    char(*cell)[CELL] = s->cells[s->n_rows++];
    size_t c = 0;
    set_text(cell[c++], opens ? g->phase : "");
    set_text(cell[c++], g->part);
    set_text(cell[c++], g->weights);
    set_text(cell[c++], g->shape);
    set_percent(cell[c++], g->figures.seconds / phase_seconds(p, g->phase));
    set_counted(s, cell[c++], report_ipc(&g->figures), 1, 2);
    set_counted(s, cell[c++], report_counted_in(&g->figures, "l3_misses"), 1e6, -1);
    set_rate(cell[c++], g->gflop_per_second);
    set_rate(cell[c++], g->gb_per_second);
    set_rate(cell[c++], g->flop_per_byte);
    set_percent(cell[c++], g->limit.share);
    set_text(cell[c++], g->limit.name);
}

/* Groups that take less than this of their phase are told together. */
static bool is_small(const struct report_profile *p, const struct report_group *g)
{
    return g->figures.seconds < 0.005 * phase_seconds(p, g->phase);
}

static int print_groups(struct sheet *s, const struct report_profile *p, size_t width, struct text *out,
                        struct error *e)
{
    static const struct column columns[] = {
        {"phase", true, 0, 0},     {"kernel", true, 0, 0},  {"weights", true, 5, 0},    {"shape", true, 6, 0},
        {"of phase", false, 0, 0}, {"IPC", false, 7, 0},    {"M L3 miss", false, 8, 0}, {"GFLOP/s", false, 1, 0},
        {"GB/s", false, 3, 0},     {"flop/B", false, 4, 0}, {"of limit", false, 0, 0},  {"limit", true, 2, 0}};
    if (open_sheet(s, columns, sizeof columns / sizeof *columns, e)) return ERROR_IO;
    struct ranked *order = memory_new(p->n_groups + 1, sizeof *order, "a table", e);
    if (!order) return ERROR_IO;
    size_t left_out = 0, before = SIZE_MAX;
    double seconds = 0;
    for (size_t i = 0; i < p->n_groups; i++)
        order[i] = (struct ranked){&p->groups[i], phase_place(p, p->groups[i].phase)};
    qsort(order, p->n_groups, sizeof *order, by_time);
    for (size_t i = 0; i < p->n_groups; i++) {
        if (s->n_rows == ROWS || is_small(p, order[i].group)) {
            left_out++;
            seconds += order[i].group->figures.seconds;
            continue;
        }
        fill_group(s, p, order[i].group, order[i].phase != before);
        before = order[i].phase;
    }
    free(order);
    text_char(out, '\n');
    print_sheet(s, width, out);
    if (left_out) {
        char number[CELL_TEXT];
        format_measure(number, seconds);
        text_printf(out, "and %zu smaller, %s s together\n", left_out, number);
    }
    return 0;
}

/* --- what is said around it --- */

/* "9.19 M instructions", "~36.8 k L2 misses", "18.6 mJ" */
static void add_amount(struct text *out, double v, double share, const char *between, const char *what)
{
    static const struct {
        double unit;
        const char *prefix;
    } units[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}, {1e-3, "m"}, {1e-6, "µ"}};
    enum { ONE = 3 };
    char number[CELL_TEXT];
    if (isnan(v)) return;
    size_t k = 0;
    while (k + 1 < sizeof units / sizeof *units && v < 0.9995 * units[k].unit) k++;
    if (v == 0) k = ONE;
    format_measure(number, v / units[k].unit);
    if (out->length) text_add(out, ", ");
    text_printf(out, "%s%s %s%s%s", share < 1 ? "~" : "", number, units[k].prefix, k == ONE ? "" : between, what);
}

static void print_per_token(struct sheet *s, const struct report_profile *p, size_t width, struct text *out)
{
    const struct report_per_token *t = &p->per_token;
    const struct {
        double v;
        const char *counter, *between, *what;
    } all[] = {{t->instructions, "instructions", " ", "instructions"},
               {t->l1d_misses, "l1d_misses", " ", "L1D misses"},
               {t->l2_misses, "l2_misses", " ", "L2 misses"},
               {t->l3_misses, "l3_misses", " ", "L3 misses"},
               {t->energy_joules, "energy_package", "", "J"},
               {t->task_clock_seconds, "task_clock", "", "s of processors"},
               {t->bytes, "", "", "B read"}};
    struct text amounts = {0}, line = {0};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const double share = report_passes_share(p, all[i].counter);
        if (!isnan(all[i].v) && share < s->least) s->least = share;
        add_amount(&amounts, all[i].v, share, all[i].between, all[i].what);
    }
    if (amounts.length)
        text_printf(&line, "per token: %s", text_c(&amounts));
    else if (p->resumed)
        text_add(&line, "per token: not known, since the run goes on from one that was interrupted");
    if (line.length) {
        text_char(out, '\n');
        layout_wrap(out, text_c(&line), width, 2);
    }
    out->failed |= amounts.failed || line.failed;
    text_free(&amounts);
    text_free(&line);
}

static void print_head(const struct report_profile *p, size_t width, struct text *out)
{
    char number[CELL_TEXT];
    struct text line = {0};
    format_measure(number, p->seconds);
    text_printf(&line, "profile: %s s", number);
    if (p->threads >= 0) text_printf(&line, ", %" PRId64 " thread%s", p->threads, p->threads == 1 ? "" : "s");
    if (p->tokens >= 0) text_printf(&line, ", %" PRId64 " tokens", p->tokens);
    if (p->resumed) text_add(&line, ", of a run that goes on from one that was interrupted");
    if (p->beside > 0) {
        format_measure(number, p->beside);
        text_printf(&line, ", %s s of them the baseline's model beside (in \"other\")", number);
    }
    if (!isnan(p->overhead)) {
        format_value(number, 100 * p->overhead, 2);
        text_printf(&line, "; reading counters took %s%%", number);
    }
    layout_wrap(out, text_c(&line), width, 2);
    text_char(out, '\n');
    out->failed |= line.failed;
    text_free(&line);
}

static void print_escaped(struct text *plain, size_t width, struct text *out)
{
    struct text line = {0};
    escape_terminal(&line, text_c(plain));
    layout_wrap(out, text_c(&line), width, 2);
    out->failed |= line.failed || plain->failed;
    text_free(&line);
    text_clear(plain);
}

static void print_roofline(const struct report_profile *p, size_t width, struct text *out)
{
    enum { PEAKS = 4 };
    struct text line = {0};
    char number[CELL_TEXT];
    if (p->no_roofline) {
        text_printf(&line, "limits not known: %s", p->no_roofline);
    } else {
        text_add(&line, "limit: the lower of a peak and flop/B times what memory brings, measured here:");
        format_measure(number, p->read_gb_per_second);
        text_printf(&line, " read %s GB/s", number);
        for (size_t i = 0; i < p->n_peaks && i < PEAKS; i++) {
            format_measure(number, p->peaks[i].value);
            text_printf(&line, ", %s %s %s", p->peaks[i].name, number, p->peaks[i].unit);
        }
        bool above = false;
        for (size_t i = 0; i < p->n_groups; i++) above |= p->groups[i].limit.share > 1.005;
        if (above)
            text_add(&line, "; above 100%: what was read lay in a cache, or the machine was faster than when measured");
    }
    print_escaped(&line, width, out);
    text_free(&line);
}

/* Why there are no hardware counters, and of others that are not there each reason once. */
static void print_absent(const struct report_profile *p, size_t width, struct text *out)
{
    struct text line = {0};
    size_t n = 0;
    if (p->note) {
        text_printf(&line, "no hardware counters: %s", p->note);
        print_escaped(&line, width, out);
    }
    for (size_t i = 0; i < p->n_counters && n < REASONS; i++) {
        const struct report_counter *c = &p->counters[i];
        if (!c->reason || (p->note && strncmp(p->note, c->reason, strlen(c->reason)) == 0)) continue;
        const bool told = i && p->counters[i - 1].reason && strcmp(p->counters[i - 1].reason, c->reason) == 0;
        if (told) continue;
        n++;
        text_printf(&line, "no %s", c->name);
        for (size_t k = i + 1; k < p->n_counters && p->counters[k].reason; k++) {
            if (strcmp(p->counters[k].reason, c->reason) != 0) break;
            text_printf(&line, ", %s", p->counters[k].name);
        }
        text_printf(&line, ": %s", c->reason);
        print_escaped(&line, width, out);
    }
    text_free(&line);
}

static void print_scaled(const struct sheet *s, size_t width, struct text *out)
{
    struct text line = {0};
    if (!(s->least < 1)) return;
    scaled_write(&line, s->least);
    layout_wrap(out, text_c(&line), width, 2);
    text_free(&line);
}

int report_profile(const json_t *profile, const struct table_style *style, struct text *out, struct error *e)
{
    struct report_profile p;
    struct sheet s = {.least = 1};
    const size_t width = style->width > 0 ? (size_t)style->width : 80;
    int status = report_profile_read(&p, profile, "profile", e);
    if (status) return status;
    print_head(&p, width, out);
    status = print_phases(&s, &p, width, out, e);
    if (!status && p.n_groups) status = print_groups(&s, &p, width, out, e);
    if (!status) {
        print_per_token(&s, &p, width, out);
        print_scaled(&s, width, out);
        print_roofline(&p, width, out);
        print_absent(&p, width, out);
    }
    free(s.cells);
    report_profile_close(&p);
    return !status && out->failed ? error_set(e, ERROR_IO, "profile: out of memory") : status;
}
