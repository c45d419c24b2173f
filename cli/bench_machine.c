/* kerf bench machine: what this machine can do at most, to hold speeds against (cli/machine.h). */
#include "cli/command.h"
#include "cli/machine.h"
#include "engine/base/text.h"
#include "reports/layout.h"

#include <math.h>
#include <string.h>

enum { MOST_REPEATS = 10000, NAME = 11, FIGURE = 19 };

struct bench {
    int64_t repeat, round;
    struct machine_limits limits;
    struct progress progress;
};

static bool on_reading(void *user, size_t done, size_t total)
{
    struct bench *b = user;
    return progress_update(&b->progress, "readings", (size_t)b->round * total + done, (size_t)b->repeat * total);
}

static int measure(struct bench *b, struct error *e)
{
    struct machine *m;
    progress_open(&b->progress, "bench machine");
    progress_update(&b->progress, "preparing", 0, 1);
    int status = machine_open(&m, e);
    for (; b->round < b->repeat && !status; b->round++) status = machine_round(m, on_reading, b, e);
    progress_close(&b->progress);
    if (!status) machine_read(m, &b->limits);
    machine_close(m);
    return status;
}

/* --- telling --- */

static const char *plural(int64_t n) { return n == 1 ? "" : "s"; }

/* As many decimals as keep three digits. */
static int decimals(double x) { return x < 10 ? 2 : x < 100 ? 1 : 0; }

/* "1063 ± 4" */
static void figure(struct text *out, const struct machine_reading *r, double x)
{
    text_printf(out, "%.*f", decimals(x), x);
    if (!isnan(r->sd)) text_printf(out, " ± %.*f", decimals(x), r->sd);
}

static void add_figures(struct text *out, const struct machine_reading *r)
{
    struct text mean = {0}, best = {0};
    figure(&mean, r, r->mean);
    text_printf(&best, "%.*f", decimals(r->best), r->best);
    layout_pad(out, text_c(&mean), FIGURE, true);
    layout_pad(out, text_c(&best), 9, true);
    out->failed |= mean.failed || best.failed;
    text_free(&mean);
    text_free(&best);
}

static void add_size(struct text *out, const char *name, size_t bytes)
{
    if (!bytes) return;
    text_printf(out, "%s %s %.4g %s", out->length ? "," : "", name, (double)bytes / (bytes < 1 << 20 ? 1024 : 1 << 20),
                bytes < 1 << 20 ? "KiB" : "MiB");
}

/* "L1 48 KiB, L2 1 MiB, L3 32 MiB" */
static void add_caches(struct text *out, const struct machine_limits *l)
{
    struct text sizes = {0};
    add_size(&sizes, "L1", l->l1d);
    add_size(&sizes, "L2", l->l2);
    add_size(&sizes, "L3", l->l3);
    text_add(out, sizes.length ? text_c(&sizes) + 1 : "caches of sizes that the system does not say");
    out->failed |= sizes.failed;
    text_free(&sizes);
}

/* Loops of instructions alone take the same time again and again, unless something else wants the cores. */
static double widest_spread(const struct machine_limits *l)
{
    double most = 0;
    for (int i = 0; i < MACHINE_METERS; i++) {
        const struct machine_reading *r = &l->all[i].on_all;
        if (i != MACHINE_SGEMM && i != MACHINE_READ && r->sd > most * r->mean) most = r->sd / r->mean;
    }
    return most;
}

static void print_table(const struct machine_limits *l, struct text *out)
{
    const size_t width = NAME + 2 * (FIGURE + 9) + 44;
    text_printf(out, "machine: %d thread%s, %s, ", l->threads, plural(l->threads), l->blas);
    add_caches(out, l);
    text_printf(out, ", %lld repetition%s\n\n", (long long)l->rounds, plural(l->rounds));
    layout_pad(out, "", NAME + 9, false);
    layout_pad(out, "1 thread", FIGURE, true);
    layout_pad(out, "best", 9, true);
    struct text all = {0};
    text_printf(&all, "%d thread%s", l->threads, plural(l->threads));
    layout_pad(out, text_c(&all), FIGURE, true);
    text_free(&all);
    layout_pad(out, "best", 9, true);
    text_add(out, "\n");
    layout_rule(out, width);
    for (int i = 0; i < MACHINE_METERS; i++) {
        const struct machine_limit *m = &l->all[i];
        layout_pad(out, m->name, NAME + 1, false);
        if (*m->reason) {
            text_printf(out, " none: %s\n", m->reason);
            continue;
        }
        layout_pad(out, m->unit, 8, false);
        add_figures(out, &m->on_one);
        add_figures(out, &m->on_all);
        text_printf(out, "  %s\n", m->what);
    }
    layout_rule(out, width);
    text_printf(
        out,
        "Mean ± standard deviation of the repetitions, and the best of them, which is the limit. A multiplication\n"
        "and its addition are two operations; GB are 10^9 bytes, read from an array of %zu MiB.\n",
        l->read_bytes >> 20);
    if (widest_spread(l) > 0.1)
        text_printf(out,
                    "Readings spread by up to %.0f %%: something else was running, and the limits may be too low.\n",
                    100 * widest_spread(l));
}

static void print_markdown(const struct machine_limits *l, struct text *out)
{
    text_printf(out, "%s, ", l->blas);
    add_caches(out, l);
    text_printf(out, "; %lld repetition%s.\n\n", (long long)l->rounds, plural(l->rounds));
    text_printf(out, "| limit | what | unit | 1 thread | best | %d thread%s | best |\n", l->threads,
                plural(l->threads));
    text_add(out, "| --- | --- | --- | ---: | ---: | ---: | ---: |\n");
    for (int i = 0; i < MACHINE_METERS; i++) {
        const struct machine_limit *m = &l->all[i];
        text_printf(out, "| %s | %s | %s |", m->name, *m->reason ? m->reason : m->what, m->unit);
        const struct machine_reading *const readings[] = {&m->on_one, &m->on_all};
        for (int k = 0; k < 2; k++) {
            if (*m->reason) {
                text_add(out, " | |");
                continue;
            }
            text_char(out, ' ');
            figure(out, readings[k], readings[k]->mean);
            text_printf(out, " | %.*f |", decimals(readings[k]->best), readings[k]->best);
        }
        text_char(out, '\n');
    }
}

/* RFC 4180; what may hold a comma stands in quotes, and quotes are in none of them. */
static void print_csv(const struct machine_limits *l, struct text *out)
{
    text_add(out, "limit,what,unit,threads,repetitions,mean,sd,best,reason\n");
    for (int i = 0; i < MACHINE_METERS; i++)
        for (int k = 0; k < 2; k++) {
            const struct machine_limit *m = &l->all[i];
            const struct machine_reading *r = k ? &m->on_all : &m->on_one;
            text_printf(out, "%s,\"%s\",%s,%d,%lld,", m->name, m->what, m->unit, k ? l->threads : 1,
                        (long long)l->rounds);
            const double values[] = {r->mean, r->sd, r->best};
            for (int v = 0; v < 3; v++) {
                if (!isnan(values[v])) text_printf(out, "%.6g", values[v]);
                text_char(out, ',');
            }
            text_printf(out, *m->reason ? "\"%s\"\n" : "%s\n", m->reason);
        }
}

static json_t *number(double x) { return isnan(x) ? json_null() : json_real(x); }

static json_t *json_reading(const struct machine_reading *r, int threads)
{
    json_t *all = json_pack("{s:i, s:o, s:o, s:o}", "threads", threads, "mean", number(r->mean), "sd", number(r->sd),
                            "best", number(r->best));
    if (all && isnan(r->sd) && !isnan(r->mean))
        json_object_set_new(all, "reason", json_string("one repetition has no standard deviation"));
    return all;
}

static json_t *json_limit(const struct machine_limits *l, const struct machine_limit *m)
{
    json_t *all = json_pack("{s:s, s:s, s:s}", "limit", m->name, "what", m->what, "unit", m->unit);
    if (!all) return NULL;
    int failed = json_object_set_new(all, "one", *m->reason ? json_null() : json_reading(&m->on_one, 1));
    failed |= json_object_set_new(all, "all", *m->reason ? json_null() : json_reading(&m->on_all, l->threads));
    if (*m->reason) failed |= json_object_set_new(all, "reason", json_string(m->reason));
    if (failed) json_decref(all);
    return failed ? NULL : all;
}

static int print_json(const struct machine_limits *l, struct error *e)
{
    json_t *record = json_pack("{s:s, s:s}", "schema", "kerf-bench-1", "benchmark", "machine"), *list = json_array();
    bool failed = !record || !list || !record_build(record);
    failed |=
        json_object_update_new(record, json_pack("{s:I, s:{s:I, s:I, s:I}, s:I}", "repeat", (json_int_t)l->rounds,
                                                 "caches", "l1d", (json_int_t)l->l1d, "l2", (json_int_t)l->l2, "l3",
                                                 (json_int_t)l->l3, "read_bytes", (json_int_t)l->read_bytes)) != 0;
    for (int i = 0; i < MACHINE_METERS; i++) failed |= json_array_append_new(list, json_limit(l, &l->all[i])) != 0;
    failed |= json_object_set_new(record, "results", list) != 0;
    int status = failed ? error_set(e, ERROR_IO, "out of memory for a report") : json_print(record, 9, e);
    json_decref(record);
    return status;
}

static int print_text(const struct machine_limits *l, void (*print)(const struct machine_limits *, struct text *),
                      struct error *e)
{
    struct text out = {0};
    print(l, &out);
    int status = out.failed ? error_set(e, ERROR_IO, "out of memory for a table") : 0;
    if (!status) fputs(text_c(&out), stdout);
    text_free(&out);
    return status;
}

/* --- the command --- */

static int run(int argc, char **argv, bool help, struct error *e)
{
    struct bench b = {.repeat = 5};
    int64_t threads = 0;
    bool json = false, csv = false, markdown = false;
    const struct option options[] = {
        {"--repeat", OPTION_NUMBER, "N", "repetitions, after one that warms up (default: 5)", .number = &b.repeat,
         .least = 1},
        {"--threads", OPTION_NUMBER, "N", "all threads are so many (default: all cores)", .number = &threads,
         .least = 1},
        {"--json", OPTION_FLAG, NULL, "as JSON", .flag = &json},
        {"--csv", OPTION_FLAG, NULL, "as CSV, a row for each limit and number of threads", .flag = &csv},
        {"--markdown", OPTION_FLAG, NULL, "as a table in Markdown", .flag = &markdown},
        {0}};
    if (help) return options_print(options), 0;
    char **operands;
    size_t n;
    int status = options_parse(options, argc, argv, &operands, &n, e);
    if (!status && n)
        status = error_set(e, ERROR_USAGE, "bench machine takes no operands, but got \"%s\"", operands[0]);
    if (!status && json + csv + markdown > 1)
        status = error_set(e, ERROR_USAGE, "--json, --csv and --markdown: give one of them");
    if (!status && b.repeat > MOST_REPEATS)
        status = error_set(e, ERROR_USAGE, "--repeat: %lld is more than %d", (long long)b.repeat, MOST_REPEATS);
    progress_catch_signals();
    if (!status) status = engine_open(threads, e);
    if (!status) status = measure(&b, e);
    if (status) return status;
    if (json) return print_json(&b.limits, e);
    return print_text(&b.limits, csv ? print_csv : markdown ? print_markdown : print_table, e);
}

const struct command bench_machine = {
    .name = "machine",
    .summary = "measures what this machine can do at most: sgemm, peaks of its instructions, reading memory",
    .usage = "[options]",
    .run = run,
};
