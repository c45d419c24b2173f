/* The tables of kerf bench model, for a terminal and as Markdown: speeds, then where the time goes. */
#include "cli/bench_model.h"
#include "engine/base/memory.h"
#include "engine/kernels/kernels.h"
#include "reports/layout.h"
#include "reports/report.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAME = 48, MOST_COLUMNS = 24 };

/* What a row is about. */
struct view {
    const struct model_bench *b;
    const struct contender *c;
    size_t test;
    struct bench_figures f;
};

struct column {
    const char *name;
    bool right;
    void (*fill)(struct text *out, const struct view *v, size_t part);
    size_t part;
};

/* Nothing where it is not known. */
static void add(struct text *out, const char *format, double x)
{
    char s[64];
    snprintf(s, sizeof s, format, x);
    if (isfinite(x)) text_add(out, s);
}

/* --- cells --- */

static void model(struct text *out, const struct view *v, size_t part)
{
    text_terminal(out, v->c->model, strlen(v->c->model));
}

static void size(struct text *out, const struct view *v, size_t part)
{
    const double bytes = (double)model_facts(v->c->m)->weight_bytes;
    add(out, bytes < 0x1p30 ? "%.2f MiB" : "%.2f GiB", bytes * (bytes < 0x1p30 ? 0x1p-20 : 0x1p-30));
}

static void parameters(struct text *out, const struct view *v, size_t part)
{
    const double n = (double)model_facts(v->c->m)->parameters;
    add(out, n < 1e9 ? "%.2f M" : "%.2f B", n / (n < 1e9 ? 1e6 : 1e9));
}

static void backend(struct text *out, const struct view *v, size_t part)
{
    text_add(out, v->c->subject.stored ? v->c->work.weights : v->c->subject.how.spec);
}

static void arithmetic(struct text *out, const struct view *v, size_t part) { text_add(out, bench_math(v->c)); }

static void threads(struct text *out, const struct view *v, size_t part) { add(out, "%.0f", omp_get_max_threads()); }

static void test(struct text *out, const struct view *v, size_t part) { text_add(out, v->b->tests[v->test].name); }

static void speed(struct text *out, const struct view *v, size_t part)
{
    add(out, "%.2f", v->f.speed.mean);
    add(out, " ± %.2f", v->f.speed.deviation);
}

static void gflops(struct text *out, const struct view *v, size_t part) { add(out, "%.1f", v->f.gflops); }

static void per_sgemm(struct text *out, const struct view *v, size_t part) { add(out, "%.3f", v->f.per_sgemm); }

static void share(struct text *out, const struct view *v, size_t part)
{
    add(out, "%.1f ", 100 * v->f.share);
    if (isfinite(v->f.share)) text_add(out, v->f.limit->name);
}

static void peak(struct text *out, const struct view *v, size_t part)
{
    add(out, v->f.peak > v->f.allowed ? "%.1f (!)" : "%.1f", v->f.peak * 0x1p-20);
}

static void allowed(struct text *out, const struct view *v, size_t part) { add(out, "%.1f", v->f.allowed * 0x1p-20); }

static void peer(struct text *out, const struct view *v, size_t part)
{
    add(out, "%.1f ", v->f.peer.scaled);
    if (v->f.peer.name) text_terminal(out, v->f.peer.name, strlen(v->f.peer.name));
}

static void ratio(struct text *out, const struct view *v, size_t part) { add(out, "%.2f", v->f.peer.ratio); }

static void by_read(struct text *out, const struct view *v, size_t part)
{
    if (v->b->tests[v->test].kind == BENCH_TG) add(out, "%.2f", v->f.peer.by_read);
}

static void part_share(struct text *out, const struct view *v, size_t part)
{
    add(out, "%.1f", 100 * bench_part_share(v->c, v->test, &v->f, part));
}

static void cost(struct text *out, const struct view *v, size_t i)
{
    add(out, "%.3f", bench_cost_of(v->c, v->test, i) / bench_cost_at(i)->unit);
}

/* --- which columns --- */

struct grid {
    const struct model_bench *b;
    struct view *views;
    size_t n_views;
    bool terminal;
    struct column columns[MOST_COLUMNS];
    size_t widths[MOST_COLUMNS], n;
};

static void add_column(struct grid *g, bool is_shown, struct column c)
{
    if (is_shown) g->columns[g->n++] = c;
}

/* Of Markdown the first are llama-bench's in its order, but for math; a terminal has them in narrower tables. */
static void begin_columns(struct grid *g, bool wide)
{
    g->n = 0;
    add_column(g, true, (struct column){"model", false, model, 0});
    add_column(g, wide, (struct column){"size", true, size, 0});
    add_column(g, wide, (struct column){"params", true, parameters, 0});
    add_column(g, wide, (struct column){"backend", false, backend, 0});
    add_column(g, true, (struct column){"math", false, arithmetic, 0});
    add_column(g, wide, (struct column){"threads", true, threads, 0});
    add_column(g, true, (struct column){"test", true, test, 0});
}

static void speed_columns(struct grid *g)
{
    const bool measured = g->b->measures_machine;
    add_column(g, true, (struct column){"t/s", true, speed, 0});
    add_column(g, true, (struct column){"GFLOP/s", true, gflops, 0});
    add_column(g, measured, (struct column){g->terminal ? "per sgemm" : "t/s per sgemm GFLOP/s", true, per_sgemm, 0});
    add_column(g, measured, (struct column){"% of limit", true, share, 0});
}

static void other_columns(struct grid *g)
{
    const bool memory = g->b->measures_memory, peers = g->b->peers.file && g->b->measures_machine;
    add_column(g, memory, (struct column){"peak MiB", true, peak, 0});
    add_column(g, memory, (struct column){"allowed MiB", true, allowed, 0});
    add_column(g, peers, (struct column){"best peer, scaled", true, peer, 0});
    add_column(g, peers, (struct column){"ratio", true, ratio, 0});
    add_column(g, peers, (struct column){"ratio by read", true, by_read, 0});
}

static bool cost_is_known(const struct grid *g, size_t cost)
{
    size_t i = 0;
    while (i < g->n_views && isnan(bench_cost_of(g->views[i].c, g->views[i].test, cost))) i++;
    return i < g->n_views;
}

static void cost_columns(struct grid *g)
{
    begin_columns(g, false);
    for (size_t i = 0; i < BENCH_COSTS; i++)
        add_column(g, cost_is_known(g, i), (struct column){bench_cost_at(i)->name, true, cost, i});
}

static void part_columns(struct grid *g)
{
    begin_columns(g, false);
    for (size_t i = 0; i < BENCH_PARTS; i++) add_column(g, true, (struct column){bench_part(i), true, part_share, i});
}

/* --- a table --- */

/* The heading where `v` is NULL; escaped for its sink. */
static struct text cell_of(const struct grid *g, const struct view *v, size_t column)
{
    const struct column *c = &g->columns[column];
    struct text plain = {0}, safe = {0};
    if (v)
        c->fill(&plain, v, c->part);
    else
        text_add(&plain, c->name);
    if (g->terminal) return plain;
    escape_markdown(&safe, text_c(&plain));
    safe.failed |= plain.failed;
    text_free(&plain);
    return safe;
}

static void measure_row(struct grid *g, const struct view *v)
{
    for (size_t i = 0; i < g->n; i++) {
        struct text cell = cell_of(g, v, i);
        const size_t width = layout_width(text_c(&cell));
        if (width > g->widths[i]) g->widths[i] = width;
        if (g->terminal && i == 0 && g->widths[i] > MOST_NAME) g->widths[i] = MOST_NAME;
        text_free(&cell);
    }
}

static void add_row(const struct grid *g, const struct view *v, struct text *out)
{
    for (size_t i = 0; i < g->n; i++) {
        struct text cell = cell_of(g, v, i);
        text_add(out, !g->terminal ? "| " : i ? "  " : "");
        layout_pad(out, text_c(&cell), g->widths[i], g->columns[i].right);
        text_add(out, g->terminal ? "" : " ");
        out->failed |= cell.failed;
        text_free(&cell);
    }
    if (g->terminal)
        layout_end(out);
    else
        text_add(out, "|\n");
}

static void add_rule(const struct grid *g, struct text *out)
{
    size_t width = 2 * (g->n - 1);
    for (size_t i = 0; i < g->n; i++) width += g->widths[i];
    if (g->terminal) {
        layout_rule(out, width);
        return;
    }
    for (size_t i = 0; i < g->n; i++) {
        text_add(out, "| ");
        for (size_t k = 1; k < g->widths[i]; k++) text_char(out, '-');
        text_add(out, g->columns[i].right ? ": " : "- ");
    }
    text_add(out, "|\n");
}

static void add_grid(struct grid *g, struct text *out)
{
    memset(g->widths, 0, sizeof g->widths);
    measure_row(g, NULL);
    for (size_t i = 0; i < g->n_views; i++) measure_row(g, &g->views[i]);
    add_row(g, NULL, out);
    add_rule(g, out);
    for (size_t i = 0; i < g->n_views; i++) add_row(g, &g->views[i], out);
    if (g->terminal) add_rule(g, out);
}

/* --- everything --- */

static void add_machine(const struct model_bench *b, struct text *out)
{
    const int n = omp_get_max_threads();
    text_printf(out, "kernels %s, %d thread%s, %lld repetition%s", kernels_get()->name, n, n > 1 ? "s" : "",
                (long long)b->how.repeat, b->how.repeat > 1 ? "s" : "");
    if (b->measures_machine) {
        add(out, "; sgemm %.1f GFLOP/s", b->limits.sgemm.all);
        add(out, ", read %.1f GB/s", b->limits.read.all);
    }
    text_add(out, "\n\n");
}

static void add_speeds(struct grid *g, struct text *out)
{
    add_machine(g->b, out);
    begin_columns(g, false);
    speed_columns(g);
    add_grid(g, out);
    text_add(out, "t/s: tokens a second, mean ± standard deviation of the repetitions. GFLOP/s: of the matrices.\n");
    if (g->b->measures_machine)
        text_add(out,
                 "per sgemm: t/s for each GFLOP/s of OpenBLAS. limit: of pp and ppl the best instruction that the\n"
                 "path may use, of tg reading its weights.\n");
}

static void add_others(struct grid *g, struct text *out)
{
    begin_columns(g, false);
    const size_t before = g->n;
    other_columns(g);
    if (g->n == before) return;
    text_char(out, '\n');
    add_grid(g, out);
    if (g->b->measures_memory)
        text_add(out, "peak: resident at most, in a process of its own. allowed: the file, keys and values, and 10 %;\n"
                      "(!): above that.\n");
    if (g->b->peers.file && g->b->measures_machine)
        text_add(out, "ratio: to the fastest peer by sgemm here over sgemm there; by read: by bandwidths instead.\n");
}

static void add_parts(struct grid *g, struct text *out)
{
    text_add(out, g->terminal ? "\nwhere the time goes, %\n\n" : "\n");
    part_columns(g);
    add_grid(g, out);
}

static void add_costs(struct grid *g, struct text *out)
{
    const json_t *note = json_object_get(g->views[0].c->cells[0].profile, "note");
    text_add(out, g->terminal ? "\nwhat a token costs\n\n" : "\n");
    cost_columns(g);
    add_grid(g, out);
    if (!note || !g->terminal) return;
    text_terminal(out, json_string_value(note), json_string_length(note));
    text_char(out, '\n');
}

static int make(const struct model_bench *b, bool terminal, struct text *out, struct error *e)
{
    struct grid g = {.b = b, .terminal = terminal, .n_views = b->n * b->n_tests};
    g.views = memory_new(g.n_views, sizeof *g.views, "a table", e);
    if (!g.views) return ERROR_IO;
    for (size_t i = 0; i < g.n_views; i++) {
        const struct contender *c = &b->all[i / b->n_tests];
        const size_t t = i % b->n_tests;
        g.views[i] = (struct view){b, c, t, bench_figures_of(b, c, t)};
    }
    if (terminal) {
        add_speeds(&g, out);
        add_others(&g, out);
    } else {
        begin_columns(&g, true);
        speed_columns(&g);
        other_columns(&g);
        add_grid(&g, out);
    }
    if (b->shows_parts) add_parts(&g, out);
    if (b->profiling.on) add_costs(&g, out);
    free(g.views);
    return out->failed ? error_set(e, ERROR_IO, "out of memory for a table") : 0;
}

static int print(const struct model_bench *b, bool terminal, struct error *e)
{
    struct text out = {0};
    int status = make(b, terminal, &out, e);
    if (!status) fputs(text_c(&out), stdout);
    text_free(&out);
    return status;
}

int bench_print_table(const struct model_bench *b, struct error *e) { return print(b, true, e); }

int bench_print_markdown(const struct model_bench *b, struct error *e) { return print(b, false, e); }
