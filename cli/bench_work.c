/* What a test has to do, and what came of it beside what the machine can do. */
#include "cli/bench_model.h"
#include "engine/kernels/kernels.h"

#include <math.h>
#include <string.h>

/* --- a model's matrices --- */

struct tally {
    double bytes[DTYPE_LIMIT + 1]; /* by type; the last: in a backend's own form */
    const struct backend *own;
};

/* Of a matrix that a token meets so many times: one of each expert that it chooses. */
static void count(struct bench_work *w, struct tally *t, const struct matrix *m, double times)
{
    if (!m) return;
    const double bytes = times * (double)m->bytes;
    const bool own = m->backend->tile; /* such backends have a form that is no type's */
    w->layers += times * (double)m->rows * (double)m->cols;
    w->layers_bytes += bytes;
    t->bytes[own ? DTYPE_LIMIT : (size_t)m->type] += bytes;
    if (own) t->own = m->backend;
}

/* The type of most of its bytes. */
static void name_weights(struct contender *c, const struct tally *t)
{
    struct bench_work *w = &c->work;
    size_t most = 0;
    for (size_t i = 0; i <= DTYPE_LIMIT; i++)
        if (t->bytes[i] > t->bytes[most]) most = i;
    if (most < DTYPE_LIMIT)
        dtype_lower_name((enum dtype_id)most, w->weights);
    else
        snprintf(w->weights, sizeof w->weights, "%s", c->subject.stored && t->own ? t->own->name : c->subject.how.spec);
    w->quantized = most != DTYPE_F32 && most != DTYPE_F16 && most != DTYPE_BF16;
}

void bench_work(struct contender *c)
{
    const struct hyper *h = model_hyper(c->m);
    const struct matrix *output = model_output(c->m);
    struct bench_work *w = &c->work;
    struct tally t = {0};
    for (int64_t layer = 0; layer < h->layers; layer++) {
        for (int role = 0; role < LINEARS; role++)
            count(w, &t, model_linear(c->m, layer, (enum linear_role)role, NULL), 1);
        for (int part = 0; part < EXPERT_PARTS; part++)
            count(w, &t, model_expert(c->m, layer, (enum expert_part)part), (double)h->experts_used);
    }
    name_weights(c, &t);
    w->output = (double)output->rows * (double)output->cols;
    w->output_bytes = (double)output->bytes;
}

/* --- figures --- */

static struct bench_spread spread_over(const double *x, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    return (struct bench_spread){mean, n > 1 ? sqrt(squares / (double)(n - 1)) : NAN};
}

double bench_speed(const struct bench_test *t, double seconds) { return (double)t->tokens / fmax(seconds, 1e-9); }

/* Mean and deviation of the repetitions' speeds, as llama-bench has them; not the speed of the mean time. */
static struct bench_spread speed_over(const struct bench_test *t, const double *seconds, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += bench_speed(t, seconds[i]);
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += pow(bench_speed(t, seconds[i]) - mean, 2);
    return (struct bench_spread){mean, n > 1 ? sqrt(squares / (double)(n - 1)) : NAN};
}

static double flop_of(const struct bench_work *w, const struct bench_test *t)
{
    const double tokens = (double)t->tokens, logits = t->kind == BENCH_PP ? 1 : tokens;
    return 2 * (w->layers * tokens + w->output * logits);
}

/* The instruction that the products run on: integers where fast math multiplies integers, else float32. */
static enum machine_kind kind_of(const struct contender *c)
{
    return c->subject.math == MATH_FAST && c->work.quantized ? MACHINE_INT8 : MACHINE_F32;
}

static void add_limits(const struct model_bench *b, const struct contender *c, const struct bench_test *t,
                       struct bench_figures *f)
{
    if (!b->measures_machine) return;
    f->per_sgemm = f->speed.mean / b->limits.sgemm.all;
    f->limit = t->kind == BENCH_TG ? &b->limits.read : machine_peak(&b->limits, kind_of(c), kernels_get()->name);
    f->reached = t->kind == BENCH_TG ? f->bytes * f->speed.mean / 1e9 : f->gflops;
    f->share = f->reached / f->limit->all;
}

static void add_memory(const struct contender *c, const struct bench_test *t, size_t peak, struct bench_figures *f)
{
    f->cache = (double)cache_position_bytes(c->m) * (double)(t->depth + t->tokens);
    if (!peak) return;
    f->peak = (double)(peak > c->load_peak ? peak : c->load_peak);
    f->allowed = 1.1 * ((double)c->file + f->cache);
}

struct bench_figures bench_figures_of(const struct model_bench *b, const struct contender *c, size_t test)
{
    const struct bench_test *t = &b->tests[test];
    const struct bench_cell *cell = &c->cells[test];
    struct bench_figures f = {
        .bytes = NAN, .per_sgemm = NAN, .reached = NAN, .share = NAN, .peak = NAN, .allowed = NAN};
    f.speed = speed_over(t, cell->seconds, b->how.repeat);
    f.seconds = spread_over(cell->seconds, b->how.repeat);
    f.total = f.seconds.mean * (double)b->how.repeat;
    f.flop = flop_of(&c->work, t);
    f.gflops = f.flop / (double)t->tokens * f.speed.mean / 1e9;
    if (t->kind == BENCH_TG) f.bytes = c->work.layers_bytes + c->work.output_bytes;
    add_limits(b, c, t, &f);
    add_memory(c, t, cell->peak, &f);
    f.peer = bench_peer_of(b, c, test, f.speed.mean);
    return f;
}

const char *bench_math(const struct contender *c) { return c->subject.math == MATH_FAST ? "fast" : "exact"; }

/* --- parts --- */

const char *bench_part(size_t i)
{
    return i == BENCH_REST ? "rest" : i == BENCH_SCORES ? "scores" : part_name((enum pass_part)i);
}

void bench_part_key(size_t i, char key[BENCH_KEY])
{
    snprintf(key, BENCH_KEY, "%s", bench_part(i));
    for (char *s = key; *s; s++)
        if (*s == ' ') *s = '_';
}

double bench_part_share(const struct contender *c, size_t test, const struct bench_figures *f, size_t i)
{
    const double *parts = c->cells[test].parts;
    if (i < BENCH_REST) return parts[i] / f->total;
    double known = 0;
    for (size_t k = 0; k < BENCH_REST; k++) known += parts[k];
    return (f->total - known) / f->total;
}
