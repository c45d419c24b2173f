/* CSV of kerf bench model: a line for each test, all lines with the same columns whatever was measured. */
#include "cli/bench_model.h"
#include "engine/kernels/kernels.h"
#include "reports/report.h"

#include <csv.h>
#include <math.h>
#include <omp.h>
#include <stdarg.h>

/* A line under way. */
struct line {
    size_t fields;
    bool failed;
};

static void add_field(struct line *l, const char *s)
{
    struct text safe = {0};
    escape_csv(&safe, s);
    if (l->fields++) l->failed |= putchar(',') == EOF;
    l->failed |= safe.failed || csv_fwrite(stdout, text_c(&safe), safe.length) == EOF;
    text_free(&safe);
}

/* Empty where it is not known. */
static void add_number(struct line *l, double x)
{
    char digits[40] = "";
    if (isfinite(x)) snprintf(digits, sizeof digits, "%.*g", x == floor(x) && fabs(x) < 1e15 ? 15 : 9, x);
    add_field(l, digits);
}

static void end_line(struct line *l)
{
    l->failed |= putchar('\n') == EOF;
    l->fields = 0;
}

/* The parts and what a profile has stand at the end, where more may follow. */
static void add_header(struct line *l)
{
    static const char *const names[] = {"model",
                                        "backend",
                                        "weights",
                                        "math",
                                        "isa",
                                        "model_size",
                                        "model_n_params",
                                        "n_threads",
                                        "n_prompt",
                                        "n_gen",
                                        "n_score",
                                        "n_depth",
                                        "n_batch",
                                        "repeat",
                                        "test",
                                        "tokens_per_second",
                                        "tokens_per_second_sd",
                                        "seconds",
                                        "seconds_sd",
                                        "gflop_per_second",
                                        "sgemm_gflops",
                                        "tokens_per_sgemm_gflop",
                                        "limit",
                                        "limit_unit",
                                        "limit_value",
                                        "limit_reached",
                                        "limit_share",
                                        "peak_bytes",
                                        "allowed_bytes",
                                        "test_peak_bytes",
                                        "load_peak_bytes",
                                        "before_bytes",
                                        "file_bytes",
                                        "cache_bytes",
                                        "peer",
                                        "peer_tokens_per_second",
                                        "peer_scaled",
                                        "peer_ratio",
                                        "peer_ratio_by_read"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) add_field(l, names[i]);
    for (size_t i = 0; i < BENCH_PARTS; i++) {
        char key[BENCH_KEY], name[BENCH_KEY + 8];
        bench_part_key(i, key);
        snprintf(name, sizeof name, "part_%s", key);
        add_field(l, name);
    }
    for (size_t i = 0; i < BENCH_COSTS; i++) {
        char name[BENCH_KEY];
        snprintf(name, sizeof name, "%s_per_token", bench_cost_at(i)->column);
        add_field(l, name);
    }
}

static void add_subject(struct line *l, const struct contender *c)
{
    const struct facts *f = model_facts(c->m);
    add_field(l, c->model);
    add_field(l, f->backend);
    add_field(l, c->work.weights);
    add_field(l, bench_math(c));
    add_field(l, kernels_get()->name);
    add_number(l, (double)f->weight_bytes);
    add_number(l, (double)f->parameters);
}

static void add_test(struct line *l, const struct model_bench *b, const struct bench_test *t)
{
    add_number(l, omp_get_max_threads());
    for (int kind = 0; kind < BENCH_KINDS; kind++)
        add_number(l, t->kind == (enum bench_kind)kind ? (double)t->tokens : 0);
    add_number(l, (double)t->depth);
    add_number(l, t->kind == BENCH_TG ? 1 : (double)b->how.batch);
    add_number(l, (double)b->how.repeat);
    add_field(l, t->name);
}

static void add_speed(struct line *l, const struct model_bench *b, const struct bench_figures *f)
{
    add_number(l, f->speed.mean);
    add_number(l, f->speed.deviation);
    add_number(l, f->seconds.mean);
    add_number(l, f->seconds.deviation);
    add_number(l, f->gflops);
    add_number(l, b->measures_machine ? b->limits.sgemm.all : NAN);
    add_number(l, f->per_sgemm);
    add_field(l, f->limit ? f->limit->name : "");
    add_field(l, f->limit ? f->limit->unit : "");
    add_number(l, f->limit ? f->limit->all : NAN);
    add_number(l, f->reached);
    add_number(l, f->share);
}

static void add_memory(struct line *l, const struct contender *c, size_t test, const struct bench_figures *f)
{
    const bool known = isfinite(f->peak);
    add_number(l, f->peak);
    add_number(l, floor(f->allowed));
    add_number(l, known ? (double)c->cells[test].peak : NAN);
    add_number(l, known ? (double)c->load_peak : NAN);
    add_number(l, known ? (double)c->before : NAN);
    add_number(l, known ? (double)c->file : NAN);
    add_number(l, f->cache);
}

static void add_peer(struct line *l, const struct bench_peer *p)
{
    add_field(l, p->name ? p->name : "");
    add_number(l, p->name ? p->speed : NAN);
    add_number(l, p->scaled);
    add_number(l, p->ratio);
    add_number(l, p->by_read);
}

static void add_result(struct line *l, const struct model_bench *b, const struct contender *c, size_t test)
{
    const struct bench_figures f = bench_figures_of(b, c, test);
    add_subject(l, c);
    add_test(l, b, &b->tests[test]);
    add_speed(l, b, &f);
    add_memory(l, c, test, &f);
    add_peer(l, &f.peer);
    for (size_t i = 0; i < BENCH_PARTS; i++) add_number(l, bench_part_share(c, test, &f, i));
    for (size_t i = 0; i < BENCH_COSTS; i++) add_number(l, bench_cost_of(c, test, i));
    end_line(l);
}

int bench_print_csv(const struct model_bench *b, struct error *e)
{
    struct line line = {0};
    add_header(&line);
    end_line(&line);
    for (size_t i = 0; i < b->n; i++)
        for (size_t t = 0; t < b->n_tests; t++) add_result(&line, b, &b->all[i], t);
    return line.failed ? error_set(e, ERROR_IO, "standard output: could not be written") : 0;
}
