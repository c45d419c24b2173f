/* The tests: one repetition each. What is timed is the engine alone, as in llama-bench: no tokenizing, no sampling. */
#include "cli/bench_model.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "engine/kernels/kernels.h"

#include <stdlib.h>

struct bench_test bench_test_of(enum bench_kind kind, int64_t tokens, int64_t depth)
{
    static const char *const names[BENCH_KINDS] = {"pp", "tg", "ppl"};
    struct bench_test t = {.kind = kind, .tokens = tokens, .depth = depth};
    char behind[32] = "";
    if (depth) snprintf(behind, sizeof behind, " @ d%lld", (long long)depth);
    snprintf(t.name, sizeof t.name, "%s%lld%s", names[kind], (long long)tokens, behind);
    return t;
}

int bench_check(const struct contender *c, const struct bench_test *t, struct error *e)
{
    const int64_t context = model_hyper(c->m)->context;
    if (t->tokens <= context && t->depth <= context - t->tokens) return 0;
    return error_set(e, ERROR_USAGE, "%s: %s: does not fit in the model's context of %lld: give a smaller %s",
                     c->subject.name, t->name, (long long)context,
                     t->depth              ? "-d"
                     : t->kind == BENCH_PP ? "-p"
                     : t->kind == BENCH_TG ? "-n"
                                           : "--ppl");
}

/* Rows of logits that ppl holds at a time: as many as kerf perplexity does (suites/walk.c). */
static int64_t slice_of(const struct contender *c, const struct bench_test *t)
{
    enum { LOGITS = 4 * 1024 * 1024, LEAST = 8 };
    if (t->kind != BENCH_PPL) return 1;
    const int64_t rows = LOGITS / model_hyper(c->m)->vocab;
    return rows < LEAST ? LEAST : rows < t->tokens ? rows : t->tokens;
}

int bench_room_open(struct bench_room *r, const struct contender *c, const struct bench_test *t, struct error *e)
{
    const struct hyper *h = model_hyper(c->m);
    const int64_t wanted = t->kind == BENCH_PPL ? t->tokens : 1;
    *r = (struct bench_room){.slice = slice_of(c, t)};
    r->ids = memory_new((size_t)(t->depth + t->tokens), sizeof *r->ids, "tokens", e);
    r->hidden = memory_new((size_t)wanted, (size_t)h->width * sizeof *r->hidden, "hidden states", e);
    r->logits = memory_new((size_t)r->slice, (size_t)h->vocab * sizeof *r->logits, "logits", e);
    return r->ids && r->hidden && r->logits ? 0 : ERROR_IO;
}

void bench_room_close(struct bench_room *r)
{
    free(r->ids);
    free(r->hidden);
    free(r->logits);
    *r = (struct bench_room){0};
}

/* n tokens behind what the cache has, `batch` at a time; hidden states of those from first_output on. */
static int feed(struct contender *c, const int32_t *ids, int64_t n, int64_t batch, int64_t first_output, float *hidden,
                struct error *e)
{
    const int64_t width = model_hyper(c->m)->width;
    int status = 0;
    for (int64_t at = 0; at < n && !status; at += batch) {
        const int64_t here = n - at < batch ? n - at : batch, first = first_output - at;
        struct span s = {c->cache, ids + at, here, first < 0 ? 0 : first > here ? here : first};
        status = model_forward(c->m, &s, 1, s.first_output < here ? hidden : NULL, NULL, e);
        hidden += (here - s.first_output) * width;
    }
    return status;
}

static int prompt(struct contender *c, const struct bench_how *how, int64_t n, const struct bench_room *room,
                  const int32_t *ids, struct error *e)
{
    int status = feed(c, ids, n, how->batch, n - 1, room->hidden, e);
    return status ? status : model_logits(c->m, room->hidden, 1, room->logits, e);
}

static int generate(struct contender *c, int64_t n, const struct bench_room *room, const int32_t *ids, struct error *e)
{
    int status = 0;
    for (int64_t i = 0; i < n && !status; i++) {
        status = feed(c, ids + i, 1, 1, 0, room->hidden, e);
        if (!status) status = model_logits(c->m, room->hidden, 1, room->logits, e);
    }
    return status;
}

/* The log-likelihoods of the tokens behind each position; behind the last it is the first one. Adds the time of what
 * follows the logits to *scores. */
static int score(struct contender *c, const struct bench_how *how, int64_t n, const struct bench_room *room,
                 const int32_t *ids, double *scores, struct error *e)
{
    const int64_t width = model_hyper(c->m)->width, vocab = model_hyper(c->m)->vocab;
    double sum = 0;
    int status = feed(c, ids, n, how->batch, 0, room->hidden, e);
    for (int64_t at = 0; at < n && !status; at += room->slice) {
        const int64_t rows = n - at < room->slice ? n - at : room->slice;
        status = model_logits(c->m, room->hidden + at * width, rows, room->logits, e);
        const double start = seconds_now();
        const enum phase before = watch_enter(model_watched(c->m), PHASE_SCORING);
#pragma omp parallel for schedule(static) reduction(+ : sum)
        for (int64_t i = 0; i < rows; i++) {
            const float *row = room->logits + i * vocab;
            sum += (double)row[ids[(at + i + 1) % n]] - kernels_get()->log_sum_exp(row, vocab);
        }
        watch_enter(model_watched(c->m), before);
        *scores += seconds_now() - start;
    }
    if (!status && !(sum <= 0)) /* also that the compiler may not drop it */
        status = error_set(e, ERROR_NUMBER, "%s: a log-likelihood is not finite", c->subject.name);
    return status;
}

int bench_prepare(struct contender *c, const struct bench_test *t, const struct bench_how *how,
                  const struct bench_room *room, struct error *e)
{
    struct random random = {(uint64_t)how->seed};
    const uint32_t vocab = (uint32_t)model_hyper(c->m)->vocab;
    for (int64_t i = 0; i < t->depth + t->tokens; i++) room->ids[i] = (int32_t)random_below(&random, vocab);
    if (!c->cache) c->cache = cache_new(c->m, NULL, 0, t->depth + t->tokens, e);
    if (!c->cache) return ERROR_IO;
    cache_truncate(c->cache, t->depth);
    const int64_t there = cache_length(c->cache);
    return feed(c, room->ids + there, t->depth - there, PASS_TOKENS, t->depth, NULL, e);
}

int bench_run(struct contender *c, const struct bench_test *t, const struct bench_how *how, int64_t tokens,
              const struct bench_room *room, struct bench_run *out, struct error *e)
{
    *out = (struct bench_run){0};
    const int32_t *ids = room->ids + t->depth;
    int status = bench_prepare(c, t, how, room, e);
    if (status) return status;
    model_times_reset(c->m);
    const double start = seconds_now();
    if (t->kind == BENCH_PP) status = prompt(c, how, tokens, room, ids, e);
    if (t->kind == BENCH_TG) status = generate(c, tokens, room, ids, e);
    if (t->kind == BENCH_PPL) status = score(c, how, tokens, room, ids, &out->parts[BENCH_SCORES], e);
    out->seconds = seconds_now() - start;
    struct model_times times;
    model_times(c->m, &times);
    for (size_t i = 0; i < BENCH_SCORES; i++) out->parts[i] = times.seconds[i];
    return status;
}
