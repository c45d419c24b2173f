#include "suites/scheduler.h"
#include "engine/base/memory.h"
#include "engine/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOGITS = 4 * 1024 * 1024 }; /* logits that are held at a time */

/* A group as it is run: with its context cut to fit, or a single part of one whose context had to be cut for it. */
struct job {
    const int32_t *context;
    int64_t n_context;
    struct part *parts;
    size_t n_parts;
    size_t group;    /* where it came from */
    int64_t longest; /* tokens of the longest part */
    struct cache *cache;
};

/* One wanted row of hidden states: what it predicts and where the result goes. */
struct row {
    int32_t target;
    double loglikelihood;
    bool greedy;
};

struct batch {
    const struct model *m;
    struct job *jobs;
    size_t n_jobs;
    struct span *spans;
    size_t n_spans, span_capacity;
    struct cache **forks; /* caches of this batch's second pass */
    size_t n_forks, fork_capacity;
    int32_t *fed; /* tokens of the spans of single-part jobs, joined */
    size_t n_fed, fed_capacity;
    struct row *rows; /* of the whole batch, first pass first */
    size_t n_rows, row_capacity;
    float *hidden;
    size_t hidden_capacity;
    float *logits;
    int64_t logit_rows;
};

static int64_t job_tokens(const struct job *j) { return j->n_context + j->longest - 1; }

static int by_length(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    int64_t tx = job_tokens(x), ty = job_tokens(y);
    if (tx != ty) return tx < ty ? 1 : -1;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return x->parts < y->parts ? -1 : x->parts > y->parts;
}

static struct job make_job(const struct group *g, size_t index, struct part *parts, size_t n_parts, int64_t context)
{
    struct job j = {g->context, g->n_context, parts, n_parts, index, 0, NULL};
    for (size_t i = 0; i < n_parts; i++)
        if (parts[i].n > j.longest) j.longest = parts[i].n;
    int64_t over = job_tokens(&j) - context;
    if (over > 0) {
        j.context += over;
        j.n_context -= over;
    }
    return j;
}

/* A part that does not fit behind the whole context runs alone: its context is cut as if there were no others. */
static int make_jobs(const struct model *m, struct group *groups, size_t n, struct job **out, size_t *n_jobs,
                     struct tally *tally, struct error *e)
{
    size_t capacity = 0;
    int64_t context = model_hyper(m)->context;
    *n_jobs = 0;
    for (size_t i = 0; i < n; i++) {
        struct group *g = &groups[i];
        bool fits = true;
        for (size_t p = 0; p < g->n_parts; p++) {
            tally->asked += g->n_context + g->parts[p].n;
            tally->scored += g->parts[p].n;
            if (g->parts[p].n > context)
                return error_set(e, ERROR_INPUT,
                                 "a continuation of %lld tokens does not fit in the model's context of %lld",
                                 (long long)g->parts[p].n, (long long)context);
            fits = fits && g->n_context + g->parts[p].n - 1 <= context;
        }
        size_t jobs = fits ? 1 : g->n_parts;
        if (memory_reserve((void **)out, &capacity, *n_jobs + jobs, sizeof **out, "requests", e)) return ERROR_IO;
        for (size_t p = 0; p < jobs; p++)
            (*out)[(*n_jobs)++] = make_job(g, i, g->parts + p, fits ? g->n_parts : 1, context);
    }
    qsort(*out, *n_jobs, sizeof **out, by_length);
    return 0;
}

static int add_row(struct batch *b, int32_t target, struct error *e)
{
    if (memory_reserve((void **)&b->rows, &b->row_capacity, b->n_rows + 1, sizeof *b->rows, "results", e))
        return ERROR_IO;
    b->rows[b->n_rows++] = (struct row){.target = target};
    return 0;
}

static int add_span(struct batch *b, struct span s, struct error *e)
{
    if (memory_reserve((void **)&b->spans, &b->span_capacity, b->n_spans + 1, sizeof *b->spans, "a batch", e))
        return ERROR_IO;
    b->spans[b->n_spans++] = s;
    return 0;
}

/* Log-likelihoods of rows [first, n_rows) from their hidden states, some logits at a time. */
static int score_rows(struct batch *b, size_t first, struct error *e)
{
    const struct hyper *h = model_hyper(b->m);
    const struct kernels *k = kernels_get();
    int64_t n = (int64_t)(b->n_rows - first);
    struct row *rows = b->rows + first;
    bool finite = true;
    for (int64_t at = 0; at < n; at += b->logit_rows) {
        int64_t here = n - at < b->logit_rows ? n - at : b->logit_rows;
        int status = model_logits(b->m, b->hidden + at * h->width, here, b->logits, e);
        if (status) return status;
#pragma omp parallel for schedule(static) reduction(&& : finite)
        for (int64_t i = 0; i < here; i++) {
            const float *logits = b->logits + i * h->vocab;
            struct row *r = &rows[at + i];
            r->loglikelihood = (double)logits[r->target] - k->log_sum_exp(logits, h->vocab);
            r->greedy = k->argmax(logits, h->vocab) == r->target;
            finite = finite && isfinite(r->loglikelihood);
        }
    }
    if (finite) return 0;
    return error_set(e, ERROR_NUMBER, "%s: a log-likelihood is not finite", model_facts(b->m)->path);
}

static int run_pass(struct batch *b, size_t first_row, struct tally *tally, struct error *e)
{
    if (!b->n_spans) return 0;
    size_t width = (size_t)model_hyper(b->m)->width;
    if (memory_reserve((void **)&b->hidden, &b->hidden_capacity, b->n_rows - first_row, width * sizeof *b->hidden,
                       "hidden states", e))
        return ERROR_IO;
    for (size_t i = 0; i < b->n_spans; i++) tally->computed += b->spans[i].count;
    int status = model_forward(b->m, b->spans, b->n_spans, b->hidden, NULL, e);
    return status ? status : score_rows(b, first_row, e);
}

/* First pass: contexts, and whole sequences of single parts. Row order: for each job, the rows of its parts' first
 * tokens (one hidden state, wanted once for each part), or all rows of its single part. */
static int first_pass(struct batch *b, struct tally *tally, struct error *e)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < b->n_jobs; i++) total += (size_t)job_tokens(&b->jobs[i]);
    if (memory_reserve((void **)&b->fed, &b->fed_capacity, total, sizeof *b->fed, "tokens", e)) return ERROR_IO;
    b->n_spans = b->n_rows = 0;
    for (size_t i = 0; i < b->n_jobs; i++) {
        struct job *j = &b->jobs[i];
        int64_t count = j->n_parts == 1 ? job_tokens(j) : j->n_context;
        int32_t *ids = b->fed + at;
        memcpy(ids, j->context, (size_t)j->n_context * sizeof *ids);
        if (j->n_parts == 1) memcpy(ids + j->n_context, j->parts->ids, (size_t)(j->longest - 1) * sizeof *ids);
        at += (size_t)count;
        j->cache = cache_new(b->m, NULL, 0, count, e);
        if (!j->cache) return ERROR_IO;
        if (add_span(b, (struct span){j->cache, ids, count, j->n_context - 1}, e)) return ERROR_IO;
        for (int64_t t = 0; t < (j->n_parts == 1 ? j->longest : 1); t++)
            if (add_row(b, j->parts->ids[t], e)) return ERROR_IO;
    }
    return run_pass(b, 0, tally, e);
}

/* The first tokens of the second and later parts are predicted by the state that predicted the first part's: their
 * rows copy that hidden state. */
static int shared_rows(struct batch *b, struct error *e)
{
    size_t width = (size_t)model_hyper(b->m)->width, own = b->n_rows, at = 0, extra = 0;
    for (size_t i = 0; i < b->n_jobs; i++) extra += b->jobs[i].n_parts - 1;
    if (!extra) return 0;
    float *copies = memory_new(extra, width * sizeof *copies, "hidden states", e);
    if (!copies) return ERROR_IO;
    float *to = copies;
    int status = 0;
    for (size_t i = 0; i < b->n_jobs && !status; i++) {
        const struct job *j = &b->jobs[i];
        for (size_t p = 1; p < j->n_parts && !status; p++, to += width) {
            memcpy(to, b->hidden + at * width, width * sizeof *to);
            status = add_row(b, j->parts[p].ids[0], e);
        }
        at += j->n_parts == 1 ? (size_t)j->longest : 1;
    }
    float *held = b->hidden;
    b->hidden = copies;
    if (!status) status = score_rows(b, own, e);
    b->hidden = held;
    free(copies);
    return status;
}

static int flush_forks(struct batch *b, size_t *first_row, struct tally *tally, struct error *e)
{
    int status = run_pass(b, *first_row, tally, e);
    for (size_t i = 0; i < b->n_forks; i++) cache_free(b->forks[i]);
    b->n_forks = b->n_spans = 0;
    *first_row = b->n_rows;
    return status;
}

/* What follows the first token of a part, behind the context that it shares. */
static int add_fork(struct batch *b, const struct job *j, const struct part *part, struct error *e)
{
    if (memory_reserve((void **)&b->forks, &b->fork_capacity, b->n_forks + 1, sizeof(struct cache *), "caches", e))
        return ERROR_IO;
    struct cache *fork = cache_new(b->m, j->cache, j->n_context, part->n - 1, e);
    if (!fork) return ERROR_IO;
    b->forks[b->n_forks++] = fork;
    if (add_span(b, (struct span){fork, part->ids, part->n - 1, 0}, e)) return ERROR_IO;
    for (int64_t t = 1; t < part->n; t++)
        if (add_row(b, part->ids[t], e)) return ERROR_IO;
    return 0;
}

/* Second pass, in slices no larger than a batch: an item may have any number of choices. */
static int second_pass(struct batch *b, const struct schedule *how, struct tally *tally, struct error *e)
{
    size_t first_row = b->n_rows;
    int64_t tokens = 0;
    int status = 0;
    b->n_spans = 0;
    for (size_t i = 0; i < b->n_jobs; i++) {
        const struct job *j = &b->jobs[i];
        for (size_t p = 0; j->n_parts > 1 && p < j->n_parts && !status; p++) {
            const struct part *part = &j->parts[p];
            if (part->n == 1) continue;
            if (b->n_forks && (b->n_forks == how->batch || tokens + part->n > PASS_TOKENS)) {
                status = flush_forks(b, &first_row, tally, e);
                tokens = 0;
            }
            tokens += part->n;
            if (!status) status = add_fork(b, j, part, e);
        }
    }
    return status ? status : flush_forks(b, &first_row, tally, e);
}

/* Walks the rows in the order in which the passes made them. */
static void collect(struct batch *b)
{
    const struct row *first = b->rows, *shared = first, *second;
    for (size_t i = 0; i < b->n_jobs; i++) shared += b->jobs[i].n_parts == 1 ? b->jobs[i].longest : 1;
    second = shared;
    for (size_t i = 0; i < b->n_jobs; i++) second += b->jobs[i].n_parts - 1;
    for (size_t i = 0; i < b->n_jobs; i++) {
        struct job *j = &b->jobs[i];
        for (size_t p = 0; p < j->n_parts; p++) {
            struct part *part = &j->parts[p];
            const struct row *r = p == 0 ? first++ : shared++;
            part->loglikelihood = r->loglikelihood;
            part->greedy = r->greedy;
            const struct row **rest = j->n_parts == 1 ? &first : &second;
            for (int64_t t = 1; t < part->n; t++, (*rest)++) {
                part->loglikelihood += (*rest)->loglikelihood;
                part->greedy = part->greedy && (*rest)->greedy;
            }
        }
    }
}

static int run_batch(struct batch *b, const struct schedule *how, struct tally *tally, struct error *e)
{
    int status = first_pass(b, tally, e);
    if (!status) status = shared_rows(b, e);
    if (!status) status = second_pass(b, how, tally, e);
    if (!status) collect(b);
    for (size_t i = 0; i < b->n_forks; i++) cache_free(b->forks[i]);
    b->n_forks = 0;
    for (size_t i = 0; i < b->n_jobs; i++) {
        cache_free(b->jobs[i].cache);
        b->jobs[i].cache = NULL;
    }
    return status;
}

static int run_jobs(struct batch *b, struct job *jobs, size_t n, const struct schedule *how, struct tally *tally,
                    struct error *e)
{
    int status = 0;
    for (size_t at = 0; at < n && !status;) {
        size_t sequences = 0;
        int64_t tokens = 0;
        b->jobs = jobs + at;
        for (b->n_jobs = 0; at < n; at++, b->n_jobs++) {
            sequences += jobs[at].n_parts;
            tokens += jobs[at].n_context + jobs[at].longest * (int64_t)jobs[at].n_parts;
            if (b->n_jobs && (sequences > how->batch || tokens > PASS_TOKENS)) break;
        }
        status = run_batch(b, how, tally, e);
        if (!status && how->progress && !how->progress(how->user, at, n))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
    }
    return status;
}

int score_groups(const struct model *m, struct group *groups, size_t n, const struct schedule *how, struct tally *tally,
                 struct error *e)
{
    struct job *jobs = NULL;
    size_t n_jobs;
    struct batch b = {.m = m};
    int64_t vocab = model_hyper(m)->vocab;
    b.logit_rows = LOGITS / vocab > 8 ? LOGITS / vocab : 8;
    b.logits = memory_new((size_t)b.logit_rows, (size_t)vocab * sizeof *b.logits, "logits", e);
    int status = b.logits ? make_jobs(m, groups, n, &jobs, &n_jobs, tally, e) : ERROR_IO;
    if (!status) status = run_jobs(&b, jobs, n_jobs, how, tally, e);
    free(jobs);
    free(b.spans);
    free(b.forks);
    free(b.fed);
    free(b.rows);
    free(b.hidden);
    free(b.logits);
    return status;
}
