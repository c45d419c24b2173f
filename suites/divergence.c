#include "suites/divergence.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/formats/json.h"
#include "engine/kernels/kernels.h"
#include "suites/outcomes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const double lockstep_quantiles[LOCKSTEP_QUANTILES] = {0.5, 0.9, 0.95, 0.99, 0.999};

/* --- the text as a suite --- */

static int make_scores(struct suite *s, struct error *e)
{
    /* a chunk is cut between tokens: words and bytes are known of whole documents alone */
    static const char *const names[] = {"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"};
    size_t n = s->protocol == PROTOCOL_CHUNKED ? 1 : sizeof names / sizeof *names;
    s->scores = memory_new(n, sizeof *s->scores, "metrics", e);
    if (!s->scores) return ERROR_IO;
    for (; s->n_scores < n; s->n_scores++) {
        struct score *x = &s->scores[s->n_scores];
        const char *name = names[s->n_scores];
        if (measure_open(&x->measure, name, OUTCOME_ROLLING, e) || !(x->name = memory_string(name, e)))
            return (int)e->code;
    }
    return 0;
}

/* What `suites/stories.yaml` and `suites/stories_chunked.yaml` say, for any file. */
static int make_suite(struct suite **out, const struct lockstep_options *o, struct error *e)
{
    static const char target[] = "{{text}}";
    struct suite *s = *out = memory_new(1, sizeof *s, "a suite", e);
    if (!s) return ERROR_IO;
    const char *format = o->protocol == PROTOCOL_CHUNKED ? "text" : "paragraphs";
    s->kind = OUTCOME_ROLLING;
    s->protocol = o->protocol;
    s->context = (int)o->context;
    s->reader = reader_find(format);
    s->name = memory_string("perplexity", e);
    s->path = memory_string(o->file, e);
    s->data_path = memory_string(o->file, e);
    s->delimiter = memory_string(" ", e);
    s->settings = json_pack("{s:s, s:s, s:s, s:s}", "dataset_format", format, "output_type", outcome_kind_name(s->kind),
                            "doc_to_text", "", "doc_to_target", target);
    if (!s->name || !s->path || !s->data_path || !s->delimiter) return ERROR_IO;
    if (!s->settings) return error_set(e, ERROR_IO, "out of memory for a suite");
    int status = template_parse(&s->text, "", "doc_to_text", e);
    if (!status) status = template_parse(&s->target, target, "doc_to_target", e);
    return status ? status : make_scores(s, e);
}

/* --- whether the models can be compared --- */

static int64_t shortest_context(const struct model *const *models, size_t n)
{
    int64_t least = model_hyper(models[0])->context;
    for (size_t i = 1; i < n; i++)
        if (model_hyper(models[i])->context < least) least = model_hyper(models[i])->context;
    return least;
}

static int check_models(const struct model *const *models, size_t n, int64_t context, struct error *e)
{
    const char *first = model_facts(models[0])->path;
    for (size_t i = 0; i < n; i++) {
        const char *path = model_facts(models[i])->path;
        const struct hyper *h = model_hyper(models[i]), *base = model_hyper(models[0]);
        if (context > h->context)
            return error_set(e, ERROR_USAGE, "%s: a window of %lld tokens exceeds the model's context of %lld", path,
                             (long long)context, (long long)h->context);
        if (strcmp(tokenizer_hash(model_tokenizer(models[i])), tokenizer_hash(model_tokenizer(models[0]))))
            return error_set(e, ERROR_INPUT,
                             "%s: its tokenizer is not that of the baseline %s: their tokens cannot be compared", path,
                             first);
        if (h->vocab != base->vocab)
            return error_set(e, ERROR_INPUT, "%s: it predicts %lld tokens, the baseline %s %lld", path,
                             (long long)h->vocab, first, (long long)base->vocab);
    }
    return 0;
}

/* --- the walk --- */

/* One subject at one position. */
struct position {
    double loglikelihood;
    struct divergence divergence; /* of a candidate */
};

struct walk {
    struct lockstep *l;
    const struct model *const *models;
    const struct lockstep_options *how;
    size_t done;                /* groups */
    double *loglikelihoods;     /* [subjects, groups] */
    struct position *positions; /* [slice, subjects] */
    float *logits;              /* [subjects, slice, vocab] */
    int64_t slice, vocab;
    /* of the pass at hand */
    size_t n_groups;
    struct span *spans;
    struct cache **caches; /* [most groups] */
    int32_t *fed, *targets;
    float **hidden; /* [subjects] of [rows, width] */
    int64_t n_fed, n_rows;
    int64_t scored; /* rows of earlier passes */
};

static int64_t fed_by(const struct group *g) { return g->n_context + g->parts->n - 1; }

/* The next groups that go through the models together. */
static void choose_groups(struct walk *w)
{
    const struct requests *q = &w->l->requests;
    w->n_groups = 0;
    w->n_fed = w->n_rows = 0;
    while (w->done + w->n_groups < q->n_groups && w->n_groups < w->how->batch) {
        const struct group *g = &q->groups[w->done + w->n_groups];
        if (w->n_groups && w->n_fed + fed_by(g) > PASS_TOKENS) break;
        w->n_fed += fed_by(g);
        w->n_rows += g->parts->n;
        w->n_groups++;
    }
}

/* Their tokens and targets; a window is the context and the part but for its last token. */
static void lay_out(struct walk *w)
{
    int32_t *fed = w->fed, *target = w->targets;
    for (size_t i = 0; i < w->n_groups; i++) {
        const struct group *g = &w->l->requests.groups[w->done + i];
        const struct part *part = g->parts;
        w->spans[i] = (struct span){NULL, fed, fed_by(g), g->n_context - 1};
        memcpy(fed, g->context, (size_t)g->n_context * sizeof *fed);
        memcpy(fed + g->n_context, part->ids, (size_t)(part->n - 1) * sizeof *fed);
        memcpy(target, part->ids, (size_t)part->n * sizeof *target);
        fed += fed_by(g);
        target += part->n;
    }
}

static int forward(struct walk *w, size_t subject, struct error *e)
{
    double start = seconds_now();
    const struct model *m = w->models[subject];
    int status = 0;
    for (size_t i = 0; i < w->n_groups && !status; i++) {
        w->spans[i].cache = w->caches[i] = cache_new(m, NULL, 0, w->spans[i].count, e);
        if (!w->caches[i]) status = ERROR_IO;
    }
    if (!status) status = model_forward(m, w->spans, w->n_groups, w->hidden[subject], NULL, e);
    for (size_t i = 0; i < w->n_groups; i++) {
        cache_free(w->caches[i]);
        w->caches[i] = NULL;
    }
    w->l->subjects[subject].seconds += seconds_now() - start;
    return status;
}

static int logits_of(struct walk *w, size_t subject, int64_t at, int64_t n, struct error *e)
{
    double start = seconds_now();
    const struct model *m = w->models[subject];
    int status = model_logits(m, w->hidden[subject] + at * model_hyper(m)->width, n,
                              w->logits + (int64_t)subject * w->slice * w->vocab, e);
    w->l->subjects[subject].seconds += seconds_now() - start;
    return status;
}

/* All subjects at row i of the slice. The log-likelihood is the scheduler's, to the bit: a perplexity is the same
 * whichever command takes it. */
static void score_row(const struct walk *w, int64_t i, int32_t target)
{
    const struct kernels *k = kernels_get();
    struct position *to = w->positions + (size_t)i * w->l->n_subjects;
    struct prediction baseline = {0};
    for (size_t s = 0; s < w->l->n_subjects; s++) {
        const float *row = w->logits + ((int64_t)s * w->slice + i) * w->vocab;
        to[s].loglikelihood = (double)row[target] - k->log_sum_exp(row, w->vocab);
        if (w->l->n_subjects == 1) return;
        const struct prediction p = prediction_of(row, w->vocab);
        if (s == 0)
            baseline = p;
        else
            to[s].divergence = divergence_of(&baseline, &p, target);
    }
}

static int check_position(const struct walk *w, const struct position *p, size_t subject, struct error *e)
{
    const char *path = model_facts(w->models[subject])->path, *backend = model_facts(w->models[subject])->backend;
    if (!isfinite(p->loglikelihood))
        return error_set(e, ERROR_NUMBER, "%s (%s): a log-likelihood is not finite", path, backend);
    if (subject && !isfinite(p->divergence.kl))
        return error_set(e, ERROR_NUMBER, "%s (%s): the divergence from the baseline is not finite at a token", path,
                         backend);
    return 0;
}

/* Adds a slice's positions, in order, to the groups and outcomes they belong to. `group` and `left`, the rows of it
 * that are still to come, go on from slice to slice. */
static int collect(struct walk *w, int64_t at, int64_t n, size_t *group, int64_t *left, struct error *e)
{
    struct lockstep *l = w->l;
    for (int64_t i = 0; i < n; i++) {
        if (!*left) *left = l->requests.groups[++*group].parts->n;
        --*left;
        const size_t outcome = outcomes_index(l->suite, &l->requests, *group);
        for (size_t s = 0; s < l->n_subjects; s++) {
            const struct position *p = &w->positions[(size_t)i * l->n_subjects + s];
            int status = check_position(w, p, s, e);
            if (status) return status;
            w->loglikelihoods[s * l->requests.n_groups + *group] += p->loglikelihood;
            if (!s) continue;
            l->subjects[s].kl[w->scored + at + i] = p->divergence.kl;
            divergence_add(&p->divergence, l->subjects[s].sums + outcome * DIVERGENCE_WIDTH);
        }
    }
    return 0;
}

static int score_pass(struct walk *w, struct error *e)
{
    size_t group = w->done;
    int64_t left = w->l->requests.groups[group].parts->n;
    int status = 0;
    for (int64_t at = 0; at < w->n_rows && !status; at += w->slice) {
        const int64_t n = w->n_rows - at < w->slice ? w->n_rows - at : w->slice;
        for (size_t s = 0; s < w->l->n_subjects && !status; s++) status = logits_of(w, s, at, n, e);
        if (status) return status;
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < n; i++) score_row(w, i, w->targets[at + i]);
        status = collect(w, at, n, &group, &left, e);
    }
    return status;
}

/* Room for the largest pass. */
static int walk_open(struct walk *w, struct error *e)
{
    enum { LOGITS = 4 * 1024 * 1024 }; /* that are held at a time, of all models */
    const struct lockstep *l = w->l;
    size_t groups = 1, subjects = l->n_subjects;
    int64_t fed = 1, rows = 1;
    for (choose_groups(w); w->n_groups; w->done += w->n_groups, choose_groups(w)) {
        if (w->n_groups > groups) groups = w->n_groups;
        if (w->n_fed > fed) fed = w->n_fed;
        if (w->n_rows > rows) rows = w->n_rows;
    }
    w->done = 0;
    w->vocab = model_hyper(w->models[0])->vocab;
    w->slice = LOGITS / w->vocab / (int64_t)subjects;
    if (w->slice < 8) w->slice = 8;
    w->loglikelihoods = memory_new(l->requests.n_groups, subjects * sizeof *w->loglikelihoods, "results", e);
    w->positions = memory_new((size_t)w->slice, subjects * sizeof *w->positions, "results", e);
    w->logits = memory_new((size_t)w->slice * subjects, (size_t)w->vocab * sizeof *w->logits, "logits", e);
    w->spans = memory_new(groups, sizeof *w->spans, "a batch", e);
    w->caches = memory_new(groups, sizeof(struct cache *), "a batch", e);
    w->fed = memory_new((size_t)fed, sizeof *w->fed, "tokens", e);
    w->targets = memory_new((size_t)rows, sizeof *w->targets, "tokens", e);
    w->hidden = memory_new(subjects, sizeof *w->hidden, "hidden states", e);
    bool whole = w->loglikelihoods && w->positions && w->logits && w->spans && w->caches && w->fed && w->targets;
    for (size_t s = 0; s < subjects && w->hidden; s++) {
        w->hidden[s] =
            memory_new((size_t)rows, (size_t)model_hyper(w->models[s])->width * sizeof(float), "hidden states", e);
        whole = whole && w->hidden[s];
    }
    return whole && w->hidden ? 0 : ERROR_IO;
}

static void walk_close(struct walk *w)
{
    for (size_t s = 0; w->hidden && s < w->l->n_subjects; s++) free(w->hidden[s]);
    free(w->hidden);
    free(w->loglikelihoods);
    free(w->positions);
    free(w->logits);
    free(w->spans);
    free(w->caches);
    free(w->fed);
    free(w->targets);
}

static int walk_through(struct walk *w, struct error *e)
{
    const size_t total = w->l->requests.n_groups;
    int status = 0;
    for (choose_groups(w); w->n_groups && !status; choose_groups(w)) {
        lay_out(w);
        for (size_t s = 0; s < w->l->n_subjects && !status; s++) status = forward(w, s, e);
        if (!status) status = score_pass(w, e);
        w->done += w->n_groups;
        w->scored += w->n_rows;
        if (!status && w->how->progress && !w->how->progress(w->how->user, w->done, total))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
    }
    return status;
}

/* --- what it says --- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure_candidate(struct lockstep *l, struct lockstep_subject *s, const struct resampling *how,
                             struct error *e)
{
    const struct lockstep_subject *base = l->subjects;
    const struct suite *suite = l->suite;
    s->differences = memory_new(suite->n_scores, sizeof *s->differences, "differences", e);
    int status = s->differences ? 0 : ERROR_IO;
    for (size_t i = 0; i < suite->n_scores && !status; i++)
        status =
            measure_compare(&suite->scores[i].measure, base->stats[i], s->stats[i], l->n, how, &s->differences[i], e);
    const struct measure log_perplexity = measure_of(&metric_log_perplexity);
    if (!status) status = measure_compare(&log_perplexity, base->stats[0], s->stats[0], l->n, how, &s->log_ratio, e);
    for (size_t i = 0; i < LOCKSTEP_METRICS && !status; i++) {
        const struct measure m = measure_of(divergence_metric(i));
        status = measure_estimate(&m, s->sums, l->n, how, &s->divergence[i], e);
    }
    if (status) return status;
    const size_t n = (size_t)l->tokens;
    qsort(s->kl, n, sizeof *s->kl, ascending);
    for (size_t i = 0; i < LOCKSTEP_QUANTILES; i++) s->quantiles[i] = quantile_of(s->kl, n, lockstep_quantiles[i]);
    s->largest = quantile_of(s->kl, n, 1);
    return 0;
}

static int measure(struct lockstep *l, const double *loglikelihoods, const struct resampling *how, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < l->n_subjects && !status; i++) {
        struct lockstep_subject *s = &l->subjects[i];
        struct outcomes o;
        for (size_t g = 0; g < l->requests.n_groups; g++)
            l->requests.groups[g].parts->loglikelihood = loglikelihoods[i * l->requests.n_groups + g];
        status = outcomes_make(&o, l->suite, l->items, l->n_items, &l->requests, e);
        if (!status) status = outcomes_measure(&o, l->suite, how, &s->stats, &s->estimates, e);
        outcomes_free(&o);
        if (!status && i) status = measure_candidate(l, s, how, e);
    }
    return status;
}

static int prepare(struct lockstep *l, const struct model *const *models, const struct lockstep_options *o,
                   struct error *e)
{
    struct lockstep_options how = *o;
    if (!how.context) how.context = shortest_context(models, l->n_subjects);
    int status = check_models(models, l->n_subjects, how.context, e);
    if (!status) status = make_suite(&l->suite, &how, e);
    if (!status) status = suite_items(l->suite, 0, &l->items, &l->n_items, e);
    if (!status) status = requests_make(&l->requests, models[0], l->suite, l->items, l->n_items, o->chunks, e);
    if (!status)
        status =
            protocol_make(&l->protocol, l->fingerprint, models[0], l->suite, l->items, l->n_items, &l->requests, e);
    if (status) return status;
    l->n = outcomes_count(l->suite, &l->requests, l->n_items);
    for (size_t i = 0; i < l->requests.n_parts; i++) l->tokens += l->requests.parts[i].n;
    for (size_t i = 1; i < l->n_subjects; i++) {
        l->subjects[i].kl = memory_new((size_t)l->tokens, sizeof(double), "divergences", e);
        l->subjects[i].sums = memory_new(l->n, DIVERGENCE_WIDTH * sizeof(double), "divergences", e);
        if (!l->subjects[i].kl || !l->subjects[i].sums) return ERROR_IO;
    }
    return 0;
}

int lockstep_run(struct lockstep *l, const struct model *const *models, size_t n, const struct lockstep_options *o,
                 struct error *e)
{
    *l = (struct lockstep){.n_subjects = n};
    struct walk w = {.l = l, .models = models, .how = o};
    l->subjects = memory_new(n, sizeof *l->subjects, "subjects", e);
    int status = l->subjects ? prepare(l, models, o, e) : ERROR_IO;
    if (!status) status = walk_open(&w, e);
    if (!status) status = walk_through(&w, e);
    if (!status) status = measure(l, w.loglikelihoods, &o->resampling, e);
    walk_close(&w);
    if (status) lockstep_free(l);
    return status;
}

static void subject_release(struct lockstep_subject *s, size_t n_metrics)
{
    for (size_t i = 0; s->stats && i < n_metrics; i++) free(s->stats[i]);
    free(s->stats);
    free(s->estimates);
    free(s->differences);
    free(s->kl);
    free(s->sums);
}

void lockstep_free(struct lockstep *l)
{
    for (size_t i = 0; l->subjects && i < l->n_subjects; i++)
        subject_release(&l->subjects[i], l->suite ? l->suite->n_scores : 0);
    free(l->subjects);
    items_free(l->items, l->n_items);
    requests_free(&l->requests);
    json_decref(l->protocol);
    suite_free(l->suite);
    *l = (struct lockstep){0};
}

/* --- the record --- */

static json_t *subject_metrics(const struct lockstep *l, size_t i)
{
    const struct lockstep_subject *s = &l->subjects[i];
    json_t *all = json_array();
    for (size_t k = 0; k < l->suite->n_scores; k++) {
        const struct score *x = &l->suite->scores[k];
        json_t *m = metric_record(x->name, x->measure.metric, &s->estimates[k]);
        json_object_set_new(m, "difference", i ? difference_record(&s->differences[k]) : json_null());
        json_array_append_new(all, m);
    }
    for (size_t k = 0; i && k < LOCKSTEP_METRICS; k++) {
        const struct metric *m = divergence_metric(k);
        json_array_append_new(all, metric_record(m->name, m, &s->divergence[k]));
    }
    return all;
}

static json_t *quantiles_record(const struct lockstep_subject *s)
{
    json_t *all = json_object();
    for (size_t i = 0; i < LOCKSTEP_QUANTILES; i++) {
        char key[16];
        snprintf(key, sizeof key, "%g", lockstep_quantiles[i]);
        json_object_set_new(all, key, json_number_or_null(s->quantiles[i]));
    }
    json_object_set_new(all, "1", json_number_or_null(s->largest));
    return all;
}

json_t *lockstep_record(const struct lockstep *l, const struct model *const *models, const struct lockstep_options *o,
                        const char *const *names, const char *const *model_names, struct error *e)
{
    json_t *subjects = json_array();
    for (size_t i = 0; i < l->n_subjects; i++) {
        const struct lockstep_subject *s = &l->subjects[i];
        json_t *subject = subject_record(models[i], names[i], model_names[i]);
        json_object_set_new(subject, "seconds", json_real(s->seconds));
        json_object_set_new(subject, "metrics", subject_metrics(l, i));
        json_object_set_new(subject, "log_ratio", i ? difference_record(&s->log_ratio) : json_null());
        json_object_set_new(subject, "kl_quantiles", i ? quantiles_record(s) : json_null());
        json_array_append_new(subjects, subject);
    }
    json_t *record = json_pack("{s:s, s:o, s:s, s:o, s:I, s:I, s:o, s:{s:I, s:I}}", "schema", "kerf-perplexity-1",
                               "file", json_text(o->file, strlen(o->file)), "fingerprint", l->fingerprint, "protocol",
                               json_incref(l->protocol), "items", (json_int_t)l->n, "tokens", (json_int_t)l->tokens,
                               "subjects", subjects, "resampling", "resamples",
                               (json_int_t)(o->resampling.resamples ? o->resampling.resamples : 10000), "seed",
                               (json_int_t)o->resampling.seed);
    if (!record) error_set(e, ERROR_IO, "out of memory for a record");
    return record;
}
