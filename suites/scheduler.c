#include "suites/scheduler.h"
#include "engine/base/memory.h"
#include "engine/kernels/kernels.h"
#include "engine/models/prefixes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOGITS = 8 * 1024 * 1024 }; /* logits that are held at a time, at most */

/* A group as it is run: with its context cut to fit, or a single part of one whose context had to be cut for it. */
struct job {
    const int32_t *context;
    int64_t n_context;
    struct part *parts;
    size_t n_parts;
    size_t group;    /* where it came from */
    size_t sequence; /* its number among the prefixes */
    int64_t longest; /* tokens of the longest part */
    int64_t shared;  /* tokens of the context that a prefix holds */
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
    const struct schedule *how;
    struct group *groups;
    size_t *left; /* [n groups]: jobs that are not done */
    size_t n_groups, n_done;
    struct prefixes *prefixes;
    struct tally *tally;
    struct job *jobs;
    size_t n_jobs;
    struct span *spans;
    size_t n_spans, span_capacity;
    struct cache **forks; /* caches of this batch's second pass */
    size_t n_forks, fork_capacity;
    int64_t fork_room; /* positions that forks may hold at a time */
    int32_t *fed;      /* tokens of the spans of single-part jobs, joined */
    size_t fed_capacity;
    struct row *rows; /* of the whole batch, first pass first */
    size_t n_rows, row_capacity;
    float *hidden;
    size_t hidden_capacity;
    float *logits;
    int64_t logit_rows;
};

/* What a batch takes. */
struct load {
    int64_t positions; /* of keys and values, but for forks */
    int64_t forks;     /* positions of those */
    int64_t rows;      /* of hidden states */
    int64_t tokens;    /* through the model */
};

size_t schedule_memory(const struct schedule *how) { return how->memory ? how->memory : (size_t)SCHEDULE_MEMORY; }

int schedule_refuse(const struct schedule *how, size_t request, size_t need, struct error *e)
{
    const double mib = 1 << 20;
    return error_set(e, ERROR_USAGE,
                     "--memory: item %zu needs %.1f MiB for keys and values, activations and logits, and %.1f MiB are "
                     "allowed: give more",
                     how->item_of ? how->item_of[request] : request, (double)need / mib,
                     (double)schedule_memory(how) / mib);
}

/* --- jobs --- */

static int64_t job_tokens(const struct job *j) { return j->n_context + j->longest - 1; }

/* Tokens that go through the model in the first pass. */
static int64_t job_own(const struct job *j) { return (j->n_parts == 1 ? job_tokens(j) : j->n_context) - j->shared; }

/* Tokens of the second pass: behind the context, each part but its last token, whose successor nobody asks for. */
static int64_t job_forks(const struct job *j)
{
    int64_t n = 0;
    for (size_t p = 0; j->n_parts > 1 && p < j->n_parts; p++) n += j->parts[p].n - 1;
    return n;
}

static struct job make_job(const struct group *g, size_t index, struct part *parts, size_t n_parts, int64_t context)
{
    struct job j = {.context = g->context, .n_context = g->n_context, .parts = parts, .n_parts = n_parts};
    j.group = index;
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
static int make_jobs(struct batch *b, struct job **out, size_t *n_jobs, struct error *e)
{
    size_t capacity = 0;
    int64_t context = model_hyper(b->m)->context;
    *n_jobs = 0;
    for (size_t i = 0; i < b->n_groups; i++) {
        struct group *g = &b->groups[i];
        bool fits = true;
        for (size_t p = 0; p < g->n_parts; p++) {
            b->tally->asked += g->n_context + g->parts[p].n;
            b->tally->scored += g->parts[p].n;
            if (g->parts[p].n > context)
                return error_set(e, ERROR_INPUT,
                                 "a continuation of %lld tokens does not fit in the model's context of %lld",
                                 (long long)g->parts[p].n, (long long)context);
            fits = fits && g->n_context + g->parts[p].n - 1 <= context;
        }
        b->tally->cut += !fits;
        b->left[i] = fits ? 1 : g->n_parts;
        if (memory_reserve((void **)out, &capacity, *n_jobs + b->left[i], sizeof **out, "requests", e)) return ERROR_IO;
        for (size_t p = 0; p < b->left[i]; p++)
            (*out)[(*n_jobs)++] = make_job(g, i, g->parts + p, fits ? g->n_parts : 1, context);
    }
    return 0;
}

/* What all jobs share, whether they are done or not, and the jobs that are not, in the order of the prefixes. The last
 * token of a context is never shared: the state behind it is wanted. */
static int plan(struct batch *b, struct job **jobs, size_t *n, struct sequence *sequences, struct error *e)
{
    struct job *ordered = memory_new(*n, sizeof *ordered, "requests", e);
    if (!ordered) return ERROR_IO;
    for (size_t i = 0; i < *n; i++) sequences[i] = (struct sequence){(*jobs)[i].context, (*jobs)[i].n_context - 1};
    int status = prefixes_new(&b->prefixes, b->m, sequences, *n, PREFIX_LEAST, e);
    size_t kept = 0;
    for (size_t k = 0; k < *n && !status; k++) {
        size_t i = prefixes_order(b->prefixes)[k];
        struct job *j = &(*jobs)[i];
        b->tally->computed += job_own(j) + job_forks(j);
        j->sequence = i;
        j->shared = prefixes_length(b->prefixes, i);
        if (b->groups[j->group].done)
            prefixes_release(b->prefixes, i);
        else
            ordered[kept++] = *j;
    }
    if (!status) b->tally->computed -= prefixes_saved(b->prefixes);
    free(*jobs);
    *jobs = ordered;
    *n = kept;
    return status;
}

/* --- passes --- */

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

static int run_pass(struct batch *b, size_t first_row, struct error *e)
{
    if (!b->n_spans) return 0;
    size_t width = (size_t)model_hyper(b->m)->width;
    if (memory_reserve((void **)&b->hidden, &b->hidden_capacity, b->n_rows - first_row, width * sizeof *b->hidden,
                       "hidden states", e))
        return ERROR_IO;
    for (size_t i = 0; i < b->n_spans; i++) b->tally->fed += b->spans[i].count;
    int status = model_forward(b->m, b->spans, b->n_spans, b->hidden, NULL, e);
    return status ? status : score_rows(b, first_row, e);
}

/* First pass: contexts behind what they share, and whole sequences of single parts. Row order: for each job, the row of
 * its parts' first tokens (one hidden state, wanted once for each part), or all rows of its single part. */
static int first_pass(struct batch *b, struct error *e)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < b->n_jobs; i++) total += (size_t)job_own(&b->jobs[i]);
    if (memory_reserve((void **)&b->fed, &b->fed_capacity, total, sizeof *b->fed, "tokens", e)) return ERROR_IO;
    b->n_spans = b->n_rows = 0;
    for (size_t i = 0; i < b->n_jobs; i++) {
        struct job *j = &b->jobs[i];
        int64_t count = job_own(j), rest = j->n_context - j->shared, shared;
        int32_t *ids = b->fed + at;
        memcpy(ids, j->context + j->shared, (size_t)rest * sizeof *ids);
        if (j->n_parts == 1) memcpy(ids + rest, j->parts->ids, (size_t)(j->longest - 1) * sizeof *ids);
        at += (size_t)count;
        struct cache *prefix = prefixes_cache(b->prefixes, j->sequence, &shared);
        j->cache = cache_new(b->m, prefix, shared, count, e);
        if (!j->cache) return ERROR_IO;
        if (add_span(b, (struct span){j->cache, ids, count, rest - 1}, e)) return ERROR_IO;
        for (int64_t t = 0; t < (j->n_parts == 1 ? j->longest : 1); t++)
            if (add_row(b, j->parts->ids[t], e)) return ERROR_IO;
    }
    return run_pass(b, 0, e);
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

static int flush_forks(struct batch *b, size_t *first_row, struct error *e)
{
    int status = run_pass(b, *first_row, e);
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
static int second_pass(struct batch *b, struct error *e)
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
            if (b->n_forks && (b->n_forks == b->how->batch || tokens + part->n - 1 > b->fork_room)) {
                status = flush_forks(b, &first_row, e);
                tokens = 0;
            }
            tokens += part->n - 1;
            if (!status) status = add_fork(b, j, part, e);
        }
    }
    return status ? status : flush_forks(b, &first_row, e);
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

static int run_batch(struct batch *b, struct error *e)
{
    int status = prefixes_compute(b->prefixes, &b->tally->fed, e);
    if (!status) status = first_pass(b, e);
    if (!status) status = shared_rows(b, e);
    if (!status) status = second_pass(b, e);
    if (!status) collect(b);
    for (size_t i = 0; i < b->n_forks; i++) cache_free(b->forks[i]);
    b->n_forks = 0;
    for (size_t i = 0; i < b->n_jobs; i++) {
        cache_free(b->jobs[i].cache);
        b->jobs[i].cache = NULL;
        if (!status) prefixes_release(b->prefixes, b->jobs[i].sequence);
    }
    return status;
}

/* --- batches --- */

/* Counts a job in; `shared` are positions of its prefix that are not there yet. */
static void add_load(struct load *l, const struct job *j, int64_t shared)
{
    l->positions += job_own(j) + shared;
    l->forks += job_forks(j);
    l->rows += j->n_parts == 1 ? j->longest : job_forks(j) + (int64_t)j->n_parts;
    l->tokens += job_own(j) + shared + job_forks(j);
}

static size_t load_bytes(const struct batch *b, const struct load *l)
{
    const struct hyper *h = model_hyper(b->m);
    return (size_t)(l->positions + l->forks) * cache_position_bytes(b->m) +
           (size_t)l->rows * (size_t)h->width * sizeof(float) + model_pass_bytes(b->m, l->tokens) +
           (size_t)(b->logit_rows * h->vocab) * sizeof(float);
}

/* The first job of a batch by itself, its forks one after the other if need be. */
static int take_alone(struct batch *b, const struct load *held, int64_t shared, struct error *e)
{
    const struct job *j = b->jobs;
    struct load least = *held;
    add_load(&least, j, shared);
    least.forks = j->n_parts > 1 ? j->longest - 1 : 0;
    size_t need = load_bytes(b, &least), memory = schedule_memory(b->how);
    if (need > memory) return schedule_refuse(b->how, j->group, need, e);
    b->fork_room = least.forks + (int64_t)((memory - need) / cache_position_bytes(b->m));
    return 0;
}

/* As many of the next jobs as a batch holds, and their prefixes. */
static int fill_batch(struct batch *b, struct job *jobs, size_t n, struct error *e)
{
    struct load all = {.positions = prefixes_held(b->prefixes)};
    size_t sequences = 0;
    int status = 0;
    b->jobs = jobs;
    b->fork_room = PASS_TOKENS;
    for (b->n_jobs = 0; b->n_jobs < n && !status; b->n_jobs++) {
        const struct job *j = &jobs[b->n_jobs];
        struct load with = all;
        int64_t shared = prefixes_cost(b->prefixes, j->sequence);
        add_load(&with, j, shared);
        sequences += j->n_parts;
        bool fits = load_bytes(b, &with) <= schedule_memory(b->how);
        if (b->n_jobs && (sequences > b->how->batch || with.tokens > PASS_TOKENS || !fits)) break;
        if (!fits) status = take_alone(b, &all, shared, e);
        all = with;
        if (!status) prefixes_want(b->prefixes, j->sequence);
    }
    if (b->fork_room > PASS_TOKENS) b->fork_room = PASS_TOKENS;
    return status;
}

/* Says of groups that became whole with this batch. */
static int tell(struct batch *b, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < b->n_jobs && !status; i++) {
        size_t g = b->jobs[i].group;
        if (--b->left[g]) continue;
        b->groups[g].done = true;
        b->n_done++;
        if (b->how->whole) status = b->how->whole(b->how->user, g, e);
    }
    if (!status && b->how->progress && !b->how->progress(b->how->user, b->n_done, b->n_groups, b->tally->fed))
        status = error_set(e, ERROR_INTERRUPTED, "interrupted");
    return status;
}

static int run_jobs(struct batch *b, struct job *jobs, size_t n, struct error *e)
{
    const struct hyper *h = model_hyper(b->m);
    int64_t rows = LOGITS / h->vocab, fair = (int64_t)(schedule_memory(b->how) / 8 / sizeof(float)) / h->vocab;
    rows = rows < 8 ? 8 : rows;
    b->logit_rows = fair < 1 ? 1 : fair < rows ? fair : rows;
    b->logits = memory_new((size_t)b->logit_rows, (size_t)h->vocab * sizeof *b->logits, "logits", e);
    int status = b->logits ? 0 : ERROR_IO;
    for (size_t at = 0; at < n && !status; at += b->n_jobs) {
        status = fill_batch(b, jobs + at, n - at, e);
        if (!status) status = run_batch(b, e);
        if (!status) status = tell(b, e);
    }
    return status;
}

int score_groups(const struct model *m, struct group *groups, size_t n, const struct schedule *how, struct tally *tally,
                 struct error *e)
{
    struct batch b = {.m = m, .how = how, .groups = groups, .n_groups = n, .tally = tally};
    struct job *jobs = NULL;
    size_t n_jobs = 0;
    for (size_t i = 0; i < n; i++) b.n_done += groups[i].done;
    b.left = memory_new(n, sizeof *b.left, "requests", e);
    int status = b.left ? make_jobs(&b, &jobs, &n_jobs, e) : ERROR_IO;
    struct sequence *sequences = status ? NULL : memory_new(n_jobs, sizeof *sequences, "requests", e);
    if (!status) status = sequences ? plan(&b, &jobs, &n_jobs, sequences, e) : ERROR_IO;
    if (!status) status = run_jobs(&b, jobs, n_jobs, e);
    prefixes_free(b.prefixes);
    free(sequences);
    free(b.left);
    free(jobs);
    free(b.spans);
    free(b.forks);
    free(b.fed);
    free(b.rows);
    free(b.hidden);
    free(b.logits);
    return status;
}
