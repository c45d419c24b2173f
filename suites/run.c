#include "suites/run.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "metrics/confusion.h"
#include "suites/canaries.h"
#include "suites/compare.h"
#include "suites/distance.h"
#include "suites/journal.h"
#include "suites/outcomes.h"
#include "suites/protocol.h"
#include "suites/samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is being run, on its way from items to metrics. */
struct running {
    const struct model *m;
    const struct run_options *options;
    struct suite_result *result;
    struct requests requests;
    json_t *protocol;
    json_t *parts;           /* what the results depend on */
    struct journal *journal; /* or NULL */
    json_t *divergence;      /* from the baseline, or NULL */
    struct tally tally;
    struct outcomes outcomes;
    json_t *canaries;
    double seconds;
};

/* --- before the work --- */

/* Another strategy or seed, where there is one and the suite has texts. */
static int choose_decoding(const struct running *r, struct error *e)
{
    struct suite *s = r->result->suite;
    const struct run_options *o = r->options;
    if (s->kind != OUTCOME_GENERATION) return 0;
    int status = o->decode ? suite_override(s, o->decode, e) : 0;
    return !status && o->seed ? decode_seed(&s->decode, *o->seed, e) : status;
}

/* The documents that are asked for by the suite's name, or by its task's. */
static const json_t *chosen_samples(const struct running *r)
{
    const struct suite *s = r->result->suite;
    const json_t *chosen = json_object_get(r->options->samples, s->name);
    const char *task = json_string_value(json_object_get(s->settings, "task"));
    return chosen || !task ? chosen : json_object_get(r->options->samples, task);
}

/* Before any work: a number that cannot be compared is not worth computing. */
static int check_baseline(const struct running *r, struct error *e)
{
    const struct run_options *o = r->options;
    const char *name = r->result->suite->name;
    const json_t *suites = json_object_get(o->baseline.run, "suites"), *theirs = NULL;
    for (size_t i = 0; i < json_array_size(suites) && !theirs; i++) {
        const json_t *suite = json_array_get(suites, i);
        const char *other = json_string_value(json_object_get(suite, "name"));
        if (other && strcmp(other, name) == 0) theirs = json_object_get(suite, "protocol");
    }
    struct text why = {0};
    bool same = !theirs || protocols_match(r->protocol, theirs, o->baseline.decoding_differs ? "decoding" : NULL, &why);
    if (!same) error_set(e, ERROR_INPUT, "suite %s: not comparable with the baseline: %s", name, text_c(&why));
    text_free(&why);
    return same ? 0 : ERROR_INPUT;
}

/* --- the journal --- */

/* Everything that results depend on. The instruction set changes no bit of either math; the BLAS may change what a
 * calibration makes of the weights. */
static json_t *journal_parts(const struct running *r)
{
    const struct facts *f = model_facts(r->m);
    char blas[64];
    blas_name(blas, sizeof blas);
    const bool calibrated = f->calibration.hash[0], texts = r->requests.n_generations;
    return json_pack("{s:s, s:s*, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s*, s:s*}", "schema", "kerf-journal-1",
                     "kerf", r->options->build, "model", f->hash, "backend", f->backend, "math", f->math, "calibration",
                     f->calibration.hash, "imatrix", f->imatrix_hash, "tokenizer",
                     tokenizer_hash(model_tokenizer(r->m)), "suite", r->result->suite->name, "fingerprint",
                     r->result->fingerprint, "decoding", texts ? r->result->suite->decode.spec : NULL, "blas",
                     calibrated ? blas : NULL);
}

/* Items (or windows) all of whose requests are done, and whether any request is. */
static int count_done(const struct running *r, size_t *done, size_t *total, bool *any, struct error *e)
{
    const struct requests *q = &r->requests;
    *total = outcomes_count(r->result->suite, q, r->result->n_items);
    bool *left = memory_new(*total, sizeof *left, "items", e);
    if (!left) return ERROR_IO;
    *any = false;
    for (size_t i = 0; i < q->n_groups; i++) {
        *any = *any || q->groups[i].done;
        if (!q->groups[i].done) left[outcomes_index(r->result->suite, q, i)] = true;
    }
    for (size_t i = 0; i < q->n_generations; i++) {
        *any = *any || q->generations[i].ended;
        if (!q->generations[i].ended) left[q->item_of[i]] = true;
    }
    *done = *total;
    for (size_t i = 0; i < *total; i++) *done -= left[i];
    free(left);
    return 0;
}

static int resume(struct running *r, struct error *e)
{
    const struct run_options *o = r->options;
    size_t done = 0, total = 0;
    if (!(r->parts = journal_parts(r))) return error_set(e, ERROR_IO, "out of memory for a journal");
    if (!o->folder) return 0;
    int status = journal_open(&r->journal, o->folder, r->result->suite->name, r->parts, o->fresh, e);
    if (!status) status = journal_resume(r->journal, &r->requests, model_hyper(r->m)->vocab, e);
    if (!status) status = count_done(r, &done, &total, &r->result->resumed, e);
    if (!status && done && o->resumed) o->resumed(o->user, r->result->suite->name, done, total);
    return status;
}

static int keep(void *user, size_t request, struct error *e)
{
    const struct running *r = user;
    const struct requests *q = &r->requests;
    if (!r->journal) return 0;
    return q->n_generations ? journal_generation(r->journal, request, &q->generations[request], e)
                            : journal_group(r->journal, request, &q->groups[request], e);
}

/* --- the work --- */

static bool report(void *user, size_t done, size_t total, int64_t tokens)
{
    const struct running *r = user;
    const struct run_options *o = r->options;
    return !o->progress || o->progress(o->user, r->result->suite->name, done, total, tokens);
}

static bool report_windows(void *user, size_t done, size_t total) { return report(user, done, total, 0); }

/* Of a window that is done beside the baseline: as if the scheduler had done it. */
static int keep_window(void *user, const struct walk *w, size_t window, struct error *e)
{
    struct running *r = user;
    struct group *g = &r->requests.groups[window];
    g->parts->loglikelihood = w->subjects[1].loglikelihoods[window];
    if (g->done) return 0;
    g->done = true;
    return keep(r, window, e);
}

/* Beside the baseline's model a suite of documents runs in lockstep with it; to the scheduler it is done then. */
static int run_beside(struct running *r, struct error *e)
{
    const struct run_options *o = r->options;
    if (!o->baseline.model || !distance_applies(r->result->suite)) return 0;
    const struct model *const both[] = {o->baseline.model, r->m};
    struct error ignored; /* protocols that need not be the same (--force) may be of models that cannot walk together */
    if (!o->baseline.run && walk_check(both, 2, r->requests.context, &ignored)) return 0;
    const struct distance_options how = {.baseline = o->baseline.model,
                                         .name = o->baseline.name,
                                         .folder = o->folder,
                                         .fresh = o->fresh,
                                         .walk = {.batch = o->batch,
                                                  .worst = 10,
                                                  .watch = o->watch,
                                                  .user = r,
                                                  .progress = report_windows,
                                                  .whole = keep_window},
                                         .resampling = o->resampling};
    const double start = seconds_now();
    int status = distance_measure(&r->divergence, &r->result->beside, r->m, r->result->suite, &r->requests,
                                  r->result->n_items, r->parts, &how, e);
    r->seconds += seconds_now() - start - r->result->beside.seconds;
    return status;
}

static int execute(struct running *r, struct error *e)
{
    struct requests *q = &r->requests;
    const struct schedule how = {.batch = r->options->batch,
                                 .memory = r->options->memory,
                                 .item_of = q->item_of,
                                 .user = r,
                                 .progress = report,
                                 .whole = keep};
    int status = run_beside(r, e);
    const double start = seconds_now();
    if (!status)
        status = q->n_generations ? generate_texts(r->m, &r->result->suite->decode, q->generations, q->n_generations,
                                                   &how, &r->tally, e)
                                  : score_groups(r->m, q->groups, q->n_groups, &how, &r->tally, e);
    r->seconds += seconds_now() - start;
    if (status && status != ERROR_INTERRUPTED) error_prefix(e, "suite %s", r->result->suite->name);
    int closed = journal_close(r->journal, status ? NULL : e);
    r->journal = NULL;
    return status ? status : closed;
}

/* --- the record --- */

json_t *json_number_or_null(double v) { return isfinite(v) ? json_real(v) : json_null(); }

json_t *metric_record(const char *name, const struct metric *m, const struct estimate *x)
{
    json_t *j = json_pack("{s:s, s:o, s:o, s:[o, o], s:s, s:s}", "name", name, "value", json_number_or_null(x->value),
                          "stderr", json_number_or_null(x->standard_error), "ci95", json_number_or_null(x->low),
                          json_number_or_null(x->high), "better", m->better == BETTER_HIGHER ? "higher" : "lower",
                          "unit", m->unit);
    if (j && !isfinite(x->value)) json_object_set_new(j, "reason", json_string("undefined for these items"));
    return j;
}

/* Of a suite that scores classes: rows of what was right, columns of what was taken for it. */
static int add_confusion(const struct running *r, struct error *e)
{
    static const char *const names[] = {"f1", "macro_f1", "mcc", "precision", "recall"};
    const struct suite *s = r->result->suite;
    bool classifies = false;
    for (size_t i = 0; i < s->n_scores; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            classifies |= s->kind == OUTCOME_CHOICE && strcmp(s->scores[i].measure.metric->name, names[k]) == 0;
    if (!classifies) return 0;
    size_t classes;
    double *counts;
    int status = confusion_count(r->outcomes.at, r->outcomes.n, &classes, &counts, e);
    if (status) return status;
    json_t *matrix = json_array();
    for (size_t gold = 0; gold < classes; gold++) {
        json_t *row = json_array();
        for (size_t k = 0; k < classes; k++)
            json_array_append_new(row, json_integer((json_int_t)counts[gold * classes + k]));
        json_array_append_new(matrix, row);
    }
    free(counts);
    return json_object_set_new(r->result->record, "confusion", matrix)
               ? error_set(e, ERROR_IO, "out of memory for a record")
               : 0;
}

static int make_record(struct running *r, struct error *e)
{
    struct suite_result *result = r->result;
    const struct tally *t = &r->tally;
    json_t *metrics = json_array();
    for (size_t i = 0; i < result->suite->n_scores; i++) {
        const struct score *x = &result->suite->scores[i];
        json_array_append_new(metrics, metric_record(x->name, x->measure.metric, &result->estimates[i]));
    }
    result->record =
        json_pack("{s:s, s:s, s:s, s:O, s:I, s:o, s:O, s:{s:I, s:I, s:I, s:I, s:I}, s:o}", "name", result->suite->name,
                  "output_type", outcome_kind_name(result->suite->kind), "fingerprint", result->fingerprint, "protocol",
                  r->protocol, "items", (json_int_t)result->n, "metrics", metrics, "canaries", r->canaries, "tokens",
                  "asked", (json_int_t)t->asked, "computed", (json_int_t)t->computed, "saved",
                  (json_int_t)(t->asked - t->computed), "scored", (json_int_t)t->scored, "cut", (json_int_t)t->cut,
                  "seconds", result->resumed ? json_null() : json_real(r->seconds));
    if (!result->record) return error_set(e, ERROR_IO, "out of memory for a record");
    if (r->divergence) json_object_set(result->record, "divergence", r->divergence);
    if (add_confusion(r, e)) return (int)e->code;
    return samples_make(result->suite, result->items, &r->requests, &r->outcomes, result, &result->samples, e);
}

static int measure(struct running *r, struct error *e)
{
    struct suite_result *out = r->result;
    int status = outcomes_make(&r->outcomes, out->suite, out->items, out->n_items, &r->requests, e);
    out->n = r->outcomes.n;
    if (!status) status = canaries_find(out->suite, &r->outcomes, &r->requests, &r->tally, r->m, &r->canaries, e);
    if (!status)
        status = outcomes_measure(&r->outcomes, out->suite, &r->options->resampling, &out->stats, &out->estimates, e);
    return status ? status : make_record(r, e);
}

int suite_run(const struct model *m, const char *suite, const struct run_options *options, struct suite_result *out,
              struct error *e)
{
    *out = (struct suite_result){0};
    struct running r = {.m = m, .options = options, .result = out};
    const enum phase before = watch_enter(options->watch, PHASE_PROMPTS);
    int status = suite_load(&out->suite, suite, e);
    if (!status) status = choose_decoding(&r, e);
    if (!status) status = suite_items(out->suite, options->limit, chosen_samples(&r), &out->items, &out->n_items, e);
    if (!status) status = requests_make(&r.requests, m, out->suite, out->items, out->n_items, options->limit, e);
    if (!status)
        status = protocol_make(&r.protocol, out->fingerprint, m, out->suite, out->items, out->n_items, &r.requests, e);
    if (!status) status = check_baseline(&r, e);
    watch_enter(options->watch, PHASE_SCORING); /* all of it but the model's passes */
    if (!status) status = resume(&r, e);
    if (!status) status = execute(&r, e);
    watch_enter(options->watch, PHASE_STATISTICS);
    if (!status) status = measure(&r, e);
    journal_close(r.journal, NULL);
    requests_free(&r.requests);
    json_decref(r.protocol);
    json_decref(r.canaries);
    json_decref(r.parts);
    json_decref(r.divergence);
    outcomes_free(&r.outcomes);
    if (status) suite_result_free(out);
    watch_enter(options->watch, before);
    return status;
}

void suite_result_forget_items(struct suite_result *r)
{
    items_free(r->items, r->n_items);
    json_decref(r->samples);
    r->items = NULL;
    r->n_items = 0;
    r->samples = NULL;
}

void suite_result_free(struct suite_result *r)
{
    for (size_t i = 0; r->stats && i < r->suite->n_scores; i++) free(r->stats[i]);
    free(r->stats);
    free(r->estimates);
    json_decref(r->record);
    suite_result_forget_items(r);
    suite_free(r->suite);
    *r = (struct suite_result){0};
}
