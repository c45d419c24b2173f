#include "suites/walk.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/kernels/kernels.h"
#include "suites/journal.h"
#include "suites/outcomes.h"
#include "suites/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- whether the models can walk together --- */

int64_t walk_context(const struct model *const *models, size_t n)
{
    int64_t least = model_hyper(models[0])->context;
    for (size_t i = 1; i < n; i++)
        if (model_hyper(models[i])->context < least) least = model_hyper(models[i])->context;
    return least;
}

int walk_check(const struct model *const *models, size_t n, int64_t context, struct error *e)
{
    const char *first = model_facts(models[0])->path;
    for (size_t i = 0; i < n; i++) {
        const char *path = model_facts(models[i])->path;
        const struct hyper *h = model_hyper(models[i]), *base = model_hyper(models[0]);
        if (context > h->context)
            return error_set(e, ERROR_USAGE, "%s: a window of %lld tokens exceeds the model's context of %lld", path,
                             (long long)context, (long long)h->context);
        if (!tokenizer_pieces_agree(model_tokenizer(models[i]), model_tokenizer(models[0])))
            return error_set(e, ERROR_INPUT,
                             "%s: its tokenizer is not that of the baseline %s: their tokens cannot be compared", path,
                             first);
        if (h->vocab != base->vocab)
            return error_set(e, ERROR_INPUT, "%s: it predicts %lld tokens, the baseline %s %lld", path,
                             (long long)h->vocab, first, (long long)base->vocab);
    }
    return 0;
}

/* --- passes --- */

struct walker {
    struct walk *w;
    const struct model *const *models;
    size_t n_models, first; /* the first model's subject: 1 behind a reference, else 0 */
    const struct suite *suite;
    const struct requests *q;
    const struct walk_options *how;
    struct walk_past past;
    float *logits; /* [models, slice, vocab] */
    int64_t slice, vocab;
    struct summary *summaries; /* [slice] of the baseline, from the reference or for the output, or NULL */
    int32_t *kept_ids;         /* [slice, k] */
    float *kept_logs;
    size_t done; /* windows */
    /* of the pass at hand */
    size_t n_groups;
    struct span *spans;
    struct cache **caches; /* [most groups]; those of a lone model stay for windows of the same length, */
    int64_t *rooms;        /* which is this */
    size_t n_caches;
    int32_t *fed, *targets;
    float **hidden;             /* [models] of [rows, width] */
    struct position *positions; /* [rows, subjects] */
    int64_t n_fed, n_rows;
    int64_t scored; /* rows of the windows that are done */
    /* where the next row belongs */
    size_t group, outcome;
    int64_t row, position;
};

static int64_t fed_by(const struct group *g) { return g->n_context + g->parts->n - 1; }

/* The next windows that go through the models together, none where the first of them was done before. */
static void choose_groups(struct walker *x, size_t most, struct position *const *done)
{
    const struct requests *q = x->q;
    x->n_groups = 0;
    x->n_fed = x->n_rows = 0;
    while (x->done + x->n_groups < q->n_groups && x->n_groups < most) {
        const struct group *g = &q->groups[x->done + x->n_groups];
        if (x->n_groups && x->n_fed + fed_by(g) > PASS_TOKENS) break;
        if (done && done[x->done + x->n_groups]) break;
        x->n_fed += fed_by(g);
        x->n_rows += g->parts->n;
        x->n_groups++;
    }
}

/* Their tokens and targets; a window is the context and the part but for its last token. */
static void lay_out(struct walker *x)
{
    int32_t *fed = x->fed, *target = x->targets;
    for (size_t i = 0; i < x->n_groups; i++) {
        const struct group *g = &x->q->groups[x->done + i];
        const struct part *part = g->parts;
        x->spans[i] = (struct span){NULL, fed, fed_by(g), g->n_context - 1};
        memcpy(fed, g->context, (size_t)g->n_context * sizeof *fed);
        memcpy(fed + g->n_context, part->ids, (size_t)(part->n - 1) * sizeof *fed);
        memcpy(target, part->ids, (size_t)part->n * sizeof *target);
        fed += fed_by(g);
        target += part->n;
    }
}

/* Frees the caches from i on. */
static void drop_caches(struct walker *x, size_t i)
{
    for (size_t k = i; k < x->n_caches; k++) cache_free(x->caches[k]);
    if (i < x->n_caches) x->n_caches = i;
}

/* Empty caches for spans [first, first + n): memory that is there already costs no new pages. */
static int make_caches(struct walker *x, const struct model *m, size_t first, size_t n, struct error *e)
{
    drop_caches(x, n);
    for (size_t i = 0; i < n; i++) {
        struct span *s = &x->spans[first + i];
        if (i < x->n_caches && x->rooms[i] != s->count) drop_caches(x, i);
        if (i == x->n_caches) {
            if (!(x->caches[i] = cache_new(m, NULL, 0, s->count, e))) return ERROR_IO;
            x->rooms[i] = s->count;
            x->n_caches++;
        }
        cache_truncate(x->caches[i], 0);
        s->cache = x->caches[i];
    }
    return 0;
}

/* A stretch of work that is a model's. */
struct stretch {
    struct cost started;
    const struct watch *watch; /* of a model that it does not watch */
    enum phase before;
};

static struct stretch begin(const struct walker *x, size_t model)
{
    struct stretch s = {.started = cost_now()};
    if (model_watched(x->models[model]) != x->how->watch) s.watch = x->how->watch;
    s.before = watch_enter(s.watch, PHASE_OTHER);
    return s;
}

static void end(const struct walker *x, size_t model, const struct stretch *s)
{
    watch_enter(s->watch, s->before);
    cost_add(&x->w->subjects[x->first + model].cost, s->started);
}

/* Spans [first, first + n) in one pass. */
static int forward(struct walker *x, size_t model, size_t first, size_t n, float *hidden, struct error *e)
{
    const struct stretch stretch = begin(x, model);
    const struct model *m = x->models[model];
    int status = make_caches(x, m, first, n, e);
    if (!status) status = model_forward(m, x->spans + first, n, hidden, NULL, e);
    if (x->n_models > 1) drop_caches(x, 0);
    end(x, model, &stretch);
    return status;
}

static float *logits_at(const struct walker *x, size_t model, int64_t row)
{
    return x->logits + ((int64_t)model * x->slice + row) * x->vocab;
}

static int logits_of(struct walker *x, size_t model, int64_t at, int64_t n, struct error *e)
{
    const struct stretch stretch = begin(x, model);
    const struct model *m = x->models[model];
    int status = model_logits(m, x->hidden[model] + at * model_hyper(m)->width, n, logits_at(x, model, 0), e);
    end(x, model, &stretch);
    return status;
}

/* --- a slice of rows --- */

/* Of baselines whose predictions come from a reference: everything that a row of logits would have said. */
static int recall(struct walker *x, int64_t at, int64_t n, struct error *e)
{
    int status = 0;
    for (int64_t i = 0; i < n && !status; i++) {
        struct position *to = &x->positions[(size_t)(at + i) * x->w->n_subjects];
        struct summary *s = &x->summaries[i];
        status = reference_row(x->how->baseline, x->scored + i, s, &to->loglikelihood, e);
        to->top = (int32_t)s->top;
        for (int64_t k = 0; k < s->k && !status; k++)
            if (s->ids[k] == s->top) to->chance_top = exp((double)s->logs[k]);
    }
    return status;
}

/* All subjects at row i of the slice from row `at` on. The log-likelihood is the scheduler's, to the bit: a perplexity is the same
 * whichever command takes it. */
static void score_row(const struct walker *x, int64_t at, int64_t i)
{
    const struct kernels *k = kernels_get();
    const int32_t target = x->targets[at + i];
    struct position *to = x->positions + (size_t)(at + i) * x->w->n_subjects;
    struct prediction baseline = {0};
    for (size_t m = 0; m < x->n_models; m++) {
        const size_t subject = x->first + m;
        const float *row = logits_at(x, m, i);
        to[subject].loglikelihood = (double)row[target] - k->log_sum_exp(row, x->vocab);
        if (x->w->n_subjects == 1 && !x->how->save) return;
        const struct prediction p = prediction_of(row, x->vocab);
        to[subject].top = (int32_t)p.top;
        to[subject].chance_top = exp(prediction_log(&p, p.top));
        if (!subject) {
            baseline = p;
            if (x->how->save) summary_fill(&x->summaries[i], &p);
        } else {
            const double before = exp(to[0].loglikelihood), now = exp(to[subject].loglikelihood);
            to[subject].divergence = x->how->baseline ? divergence_from_summary(&x->summaries[i], &p, before, now)
                                                      : divergence_of(&baseline, &p, before, now);
        }
    }
}

static int check_position(const struct walker *x, const struct position *p, size_t subject, struct error *e)
{
    if (subject < x->first) return 0;
    const struct facts *f = model_facts(x->models[subject - x->first]);
    if (!isfinite(p->loglikelihood))
        return error_set(e, ERROR_NUMBER, "%s (%s): a log-likelihood is not finite", f->path, f->backend);
    if (subject && !(isfinite(p->divergence.kl) && isfinite(p->divergence.reverse)))
        return error_set(e, ERROR_NUMBER, "%s (%s): the divergence from the baseline is not finite at a token", f->path,
                         f->backend);
    return 0;
}

/* Into the list of the worst, which is descending; of equals the first stays before. */
static void keep_worst(const struct walker *x, size_t subject, const struct position *base, const struct position *p)
{
    struct walked *s = &x->w->subjects[subject];
    const double kl = p->divergence.kl;
    size_t at = s->n_worst;
    if (!(kl > 0)) return;
    if (at == x->how->worst && (!at || kl <= s->worst[at - 1].kl)) return;
    if (at < x->how->worst)
        s->n_worst++;
    else
        at--;
    for (; at && s->worst[at - 1].kl < kl; at--) s->worst[at] = s->worst[at - 1];
    s->worst[at] = (struct worst){.kl = kl,
                                  .outcome = x->outcome,
                                  .position = x->position,
                                  .group = x->group,
                                  .row = x->row,
                                  .target = x->q->groups[x->group].parts->ids[x->row],
                                  .baseline = {base->top, base->chance_top, exp(base->loglikelihood)},
                                  .candidate = {p->top, p->chance_top, exp(p->loglikelihood)}};
}

/* Moves on to the place of the next row. */
static void step(struct walker *x)
{
    x->position++;
    if (++x->row < x->q->groups[x->group].parts->n) return;
    x->row = 0;
    if (++x->group == x->q->n_groups) return;
    const size_t outcome = outcomes_index(x->suite, x->q, x->group);
    if (outcome != x->outcome) x->position = 0;
    x->outcome = outcome;
}

/* Adds the next n positions, in order, to the windows and outcomes they belong to. */
static int collect(struct walker *x, const struct position *positions, int64_t n, struct error *e)
{
    struct walk *w = x->w;
    for (int64_t i = 0; i < n; i++, step(x)) {
        const struct position *base = &positions[(size_t)i * w->n_subjects];
        const int64_t token = x->scored++;
        for (size_t s = 0; s < w->n_subjects; s++) {
            const struct position *p = base + s;
            int status = check_position(x, p, s, e);
            if (status) return status;
            w->subjects[s].loglikelihoods[x->group] += p->loglikelihood;
            if (!s) continue;
            w->subjects[s].kl[token] = p->divergence.kl;
            w->subjects[s].reverse[token] = p->divergence.reverse;
            w->subjects[s].change[token] = p->divergence.change;
            divergence_add(&p->divergence, w->subjects[s].sums + x->outcome * DIVERGENCE_WIDTH);
            keep_worst(x, s, base, p);
        }
        if (x->how->save) reference_add(x->how->save, &x->summaries[i], base->loglikelihood);
    }
    return 0;
}

static int score_pass(struct walker *x, struct error *e)
{
    int status = 0;
    for (int64_t at = 0; at < x->n_rows && !status; at += x->slice) {
        const int64_t n = x->n_rows - at < x->slice ? x->n_rows - at : x->slice;
        if (x->how->baseline) status = recall(x, at, n, e);
        for (size_t m = 0; m < x->n_models && !status; m++) status = logits_of(x, m, at, n, e);
        if (status) return status;
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < n; i++) score_row(x, at, i);
        status = collect(x, x->positions + (size_t)at * x->w->n_subjects, n, e);
    }
    return status;
}

/* --- the noise floor --- */

static void compare_rows(struct noise_floor *f, const float *a, const float *b, int64_t n, int64_t vocab)
{
    for (int64_t i = 0; i < n; i++) {
        const struct prediction p = prediction_of(a + i * vocab, vocab), q = prediction_of(b + i * vocab, vocab);
        const double kl = kl_divergence(&p, &q);
        f->kl += kl;
        f->largest = fmax(f->largest, kl);
        f->same_top += p.top == q.top;
    }
}

enum { FLOOR_WINDOWS = 4 };

/* The pass at hand, laid out: the baseline once together, which it leaves in hidden[0], and once window by window. */
static int measure_floor(struct walker *x, float *alone, struct error *e)
{
    struct noise_floor *f = &x->w->floor;
    const struct model *m = x->models[0];
    const int64_t width = model_hyper(m)->width;
    int status = forward(x, 0, 0, x->n_groups, x->hidden[0], e);
    for (size_t i = 0, row = 0; i < x->n_groups && !status; i++) {
        status = forward(x, 0, i, 1, alone + (int64_t)row * width, e);
        row += (size_t)x->q->groups[x->done + i].parts->n;
    }
    for (int64_t at = 0; at < x->n_rows && !status; at += x->slice) {
        const int64_t n = x->n_rows - at < x->slice ? x->n_rows - at : x->slice;
        status = logits_of(x, 0, at, n, e);
        if (!status) status = model_logits(m, alone + at * width, n, logits_at(x, 1, 0), e);
        if (!status) compare_rows(f, logits_at(x, 0, 0), logits_at(x, 1, 0), n, x->vocab);
    }
    f->windows = x->n_groups;
    f->tokens = x->n_rows;
    f->kl /= (double)f->tokens;
    f->same_top /= (double)f->tokens;
    return status;
}

static int find_floor(struct walker *x, struct error *e)
{
    if (x->n_models < 2 || x->first) return 0;
    if (x->past.floor.windows) return x->w->floor = x->past.floor, 0;
    choose_groups(x, FLOOR_WINDOWS, NULL);
    lay_out(x);
    const struct cost cost = x->w->subjects[0].cost;
    float *alone =
        memory_new((size_t)x->n_rows, (size_t)model_hyper(x->models[0])->width * sizeof *alone, "hidden states", e);
    int status = alone ? measure_floor(x, alone, e) : ERROR_IO;
    free(alone);
    x->w->subjects[0].cost = cost; /* no part of what the baseline costs */
    return !status && x->how->journal ? journal_floor(x->how->journal, &x->w->floor, e) : status;
}

/* --- room --- */

static int open_results(struct walker *x, size_t n_items, struct error *e)
{
    struct walk *w = x->w;
    w->n_groups = x->q->n_groups;
    w->n = outcomes_count(x->suite, x->q, n_items);
    for (size_t i = 0; i < x->q->n_groups; i++) {
        w->tokens += x->q->groups[i].parts->n;
        w->computed += fed_by(&x->q->groups[i]);
    }
    const size_t tokens = (size_t)w->tokens;
    w->subjects = memory_new(w->n_subjects, sizeof *w->subjects, "subjects", e);
    if (!w->subjects) return ERROR_IO;
    for (size_t i = 0; i < w->n_subjects; i++) {
        struct walked *s = &w->subjects[i];
        s->loglikelihoods = memory_new(w->n_groups, sizeof *s->loglikelihoods, "results", e);
        s->nll = memory_new(w->n, 2 * sizeof *s->nll, "results", e);
        if (!s->loglikelihoods || !s->nll) return ERROR_IO;
        if (!i) continue;
        s->kl = memory_new(tokens, sizeof *s->kl, "divergences", e);
        s->reverse = memory_new(tokens, sizeof *s->reverse, "divergences", e);
        s->change = memory_new(tokens, sizeof *s->change, "divergences", e);
        s->sums = memory_new(w->n, DIVERGENCE_WIDTH * sizeof *s->sums, "divergences", e);
        s->worst = memory_new(x->how->worst, sizeof *s->worst, "divergences", e);
        if (!s->kl || !s->reverse || !s->change || !s->sums || !s->worst) return ERROR_IO;
    }
    return 0;
}

static int open_summaries(struct walker *x, struct error *e)
{
    const int64_t k = x->how->baseline ? x->how->baseline->k : x->how->save ? x->how->save->k : 0;
    if (!k) return 0;
    x->summaries = memory_new((size_t)x->slice, sizeof *x->summaries, "predictions", e);
    x->kept_ids = memory_new((size_t)x->slice, (size_t)k * sizeof *x->kept_ids, "predictions", e);
    x->kept_logs = memory_new((size_t)x->slice, (size_t)k * sizeof *x->kept_logs, "predictions", e);
    if (!x->summaries || !x->kept_ids || !x->kept_logs) return ERROR_IO;
    for (int64_t i = 0; i < x->slice; i++)
        x->summaries[i] = (struct summary){.k = k, .ids = x->kept_ids + i * k, .logs = x->kept_logs + i * k};
    return 0;
}

/* Room for the largest pass. */
static int open_passes(struct walker *x, struct error *e)
{
    enum { LOGITS = 8 * 1024 * 1024 }; /* that are held at a time, of all models */
    choose_groups(x, FLOOR_WINDOWS, NULL);
    size_t groups = x->n_groups;
    int64_t fed = x->n_fed, rows = x->n_rows;
    for (; x->done < x->q->n_groups; x->done += x->n_groups ? x->n_groups : 1) {
        choose_groups(x, x->how->batch, x->past.windows);
        if (x->n_groups > groups) groups = x->n_groups;
        if (x->n_fed > fed) fed = x->n_fed;
        if (x->n_rows > rows) rows = x->n_rows;
    }
    x->done = 0;
    x->vocab = model_hyper(x->models[0])->vocab;
    x->slice = LOGITS / x->vocab / (int64_t)x->n_models;
    if (x->slice < 8) x->slice = 8;
    x->positions = memory_new((size_t)rows, x->w->n_subjects * sizeof *x->positions, "results", e);
    x->logits = memory_new((size_t)x->slice * x->n_models, (size_t)x->vocab * sizeof *x->logits, "logits", e);
    x->spans = memory_new(groups, sizeof *x->spans, "a batch", e);
    x->caches = memory_new(groups, sizeof(struct cache *), "a batch", e);
    x->rooms = memory_new(groups, sizeof *x->rooms, "a batch", e);
    x->fed = memory_new((size_t)fed, sizeof *x->fed, "tokens", e);
    x->targets = memory_new((size_t)rows, sizeof *x->targets, "tokens", e);
    x->hidden = memory_new(x->n_models, sizeof *x->hidden, "hidden states", e);
    bool whole = x->positions && x->logits && x->spans && x->caches && x->rooms && x->fed && x->targets && x->hidden;
    for (size_t m = 0; m < x->n_models && whole; m++) {
        const size_t width = (size_t)model_hyper(x->models[m])->width;
        x->hidden[m] = memory_new((size_t)rows, width * sizeof(float), "hidden states", e);
        whole = x->hidden[m] != NULL;
    }
    return whole ? open_summaries(x, e) : ERROR_IO;
}

static void close_passes(struct walker *x)
{
    for (size_t m = 0; x->hidden && m < x->n_models; m++) free(x->hidden[m]);
    free(x->hidden);
    free(x->positions);
    free(x->logits);
    free(x->summaries);
    free(x->kept_ids);
    free(x->kept_logs);
    free(x->spans);
    drop_caches(x, 0);
    free(x->caches);
    free(x->rooms);
    free(x->fed);
    free(x->targets);
}

/* --- the walk --- */

/* The windows at hand, whose positions lie one behind the other, are done. */
static int keep_windows(struct walker *x, const struct position *positions, size_t n, struct error *e)
{
    const struct walk_options *how = x->how;
    int status = 0;
    for (const size_t end = x->done + n; x->done < end && !status; x->done++) {
        const int64_t tokens = x->q->groups[x->done].parts->n;
        if (how->journal && !x->past.windows[x->done])
            status = journal_window(how->journal, x->done, positions, tokens, x->w->n_subjects, e);
        if (!status && how->whole) status = how->whole(how->user, x->w, x->done, e);
        positions += (size_t)tokens * x->w->n_subjects;
    }
    return status;
}

static int compute_windows(struct walker *x, struct error *e)
{
    int status = 0;
    choose_groups(x, x->how->batch, x->past.windows);
    lay_out(x);
    for (size_t m = 0; m < x->n_models && !status; m++) status = forward(x, m, 0, x->n_groups, x->hidden[m], e);
    if (!status) status = score_pass(x, e);
    if (!status) status = keep_windows(x, x->positions, x->n_groups, e);
    if (!status && x->how->progress && !x->how->progress(x->how->user, x->done, x->q->n_groups))
        status = error_set(e, ERROR_INTERRUPTED, "interrupted");
    return status;
}

/* A window that was done before goes the way of one that was computed just now, so that all sums are the same bits. */
static int walk_through(struct walker *x, struct error *e)
{
    int status = 0;
    x->outcome = outcomes_index(x->suite, x->q, 0);
    while (x->done < x->q->n_groups && !status) {
        const struct position *before = x->past.windows ? x->past.windows[x->done] : NULL;
        if (before) {
            status = collect(x, before, x->q->groups[x->done].parts->n, e);
            if (!status) status = keep_windows(x, before, 1, e);
        } else {
            status = compute_windows(x, e);
        }
    }
    return status;
}

/* As outcomes_make() sums them. */
static void sum_outcomes(struct walk *w, const struct suite *s, const struct requests *q)
{
    for (size_t i = 0; i < w->n_subjects; i++) {
        for (size_t g = 0; g < w->n_groups; g++) {
            double *to = w->subjects[i].nll + 2 * outcomes_index(s, q, g);
            to[0] -= w->subjects[i].loglikelihoods[g];
            to[1] += (double)q->groups[g].parts->n;
        }
    }
}

int lockstep_walk(struct walk *w, const struct model *const *models, size_t n_models, const struct suite *s,
                  const struct requests *q, size_t n_items, const struct walk_options *o, struct error *e)
{
    const size_t first = o->baseline ? 1 : 0;
    *w = (struct walk){.n_subjects = n_models + first};
    struct walker x = {.w = w, .models = models, .n_models = n_models, .first = first, .suite = s, .q = q, .how = o};
    int status = walk_check(models, n_models, q->context, e);
    if (!status) status = open_results(&x, n_items, e);
    if (!status && o->journal)
        status = journal_walk(o->journal, q, w->n_subjects, model_hyper(models[0])->vocab, &x.past, e);
    if (!status) status = open_passes(&x, e);
    const enum phase before = watch_enter(o->watch, PHASE_OTHER);
    if (!status) status = find_floor(&x, e);
    watch_enter(o->watch, before);
    if (!status) status = walk_through(&x, e);
    if (!status) sum_outcomes(w, s, q);
    close_passes(&x);
    walk_past_free(&x.past, q->n_groups);
    if (status) walk_free(w);
    return status;
}

void walk_results(const struct walk *w, size_t subject, struct requests *q)
{
    for (size_t g = 0; g < w->n_groups; g++) q->groups[g].parts->loglikelihood = w->subjects[subject].loglikelihoods[g];
}

void walk_past_free(struct walk_past *p, size_t n_groups)
{
    for (size_t i = 0; p->windows && i < n_groups; i++) free(p->windows[i]);
    free(p->windows);
    *p = (struct walk_past){0};
}

void walk_free(struct walk *w)
{
    for (size_t i = 0; w->subjects && i < w->n_subjects; i++) {
        struct walked *s = &w->subjects[i];
        free(s->loglikelihoods);
        free(s->nll);
        free(s->kl);
        free(s->reverse);
        free(s->change);
        free(s->sums);
        free(s->worst);
    }
    free(w->subjects);
    *w = (struct walk){0};
}
