/* A run: one subject through one suite after the other, each with its outcomes, metrics and record.
 *
 *     struct suite_result r;
 *     if (suite_run(model, "endings", &(struct run_options){.batch = 32}, &r, e)) return e->code;
 *     r.estimates[0].value ...
 *     json_t *run = run_record(model, "millbrook-llama@f32", "millbrook-llama", 1.5, &r, 1, e);
 *     suite_result_free(&r);
 */
#ifndef KERF_SUITES_RUN_H
#define KERF_SUITES_RUN_H

#include "engine/base/clock.h"
#include "engine/models/model.h"
#include "metrics/resampling.h"
#include "suites/suite.h"

struct run_options {
    size_t limit;          /* items (or windows) of each suite; 0: all */
    const json_t *samples; /* MAY: { "task": [documents] }: of these suites those items alone, whatever the limit */
    size_t batch;          /* sequences in one pass, at least 1 */
    size_t memory;         /* bytes beyond the weights, see suites/scheduler.h; 0: 1 GiB */
    struct resampling resampling;
    const struct decode *decode; /* MAY: in place of the suites' strategies */
    struct {
        const json_t *run;         /* MAY: the baseline's run.json: other protocols than its are refused */
        bool decoding_differs;     /* but for the strategy, which is what is compared */
        const struct model *model; /* MAY: its model, for the divergence in suites of documents, */
        const char *name;          /* and its name as a subject */
    } baseline;
    const int64_t *seed; /* MAY: of draws of texts, where the strategy names none */
    const char
        *folder;       /* MAY: where a journal lies by which a run that was stopped goes on; NULL: nothing is written */
    const char *build; /* version and commit: results of another one do not count */
    bool fresh;        /* what was done before is done again */
    /* MAY: told the phases: PROMPTS, SCORING with the passes of a model that it watches as well (model_watch()) within,
     * STATISTICS. What the baseline's model takes beside it is PHASE_OTHER; it must not be watched by the same. */
    const struct watch *watch;
    void *user;
    /* May be NULL. Called as work gets done, with the tokens that went through the model by now; false stops the run
     * with ERROR_INTERRUPTED. */
    bool (*progress)(void *user, const char *suite, size_t done, size_t total, int64_t tokens);
    /* May be NULL. Called before the work where `done` of a suite's `total` items were done before. */
    void (*resumed)(void *user, const char *suite, size_t done, size_t total);
};

struct suite_result {
    struct suite *suite;
    struct item *items;
    size_t n_items;
    size_t n;                   /* outcomes: one an item, or one a chunk */
    double **stats;             /* [n_scores] of [n, width] */
    struct estimate *estimates; /* [n_scores] */
    char fingerprint[HASH_HEX];
    bool resumed;       /* some of it was done before: how long all of it takes is not known */
    struct cost beside; /* what the baseline's model took beside this one */
    json_t *record;     /* its entry in run.json */
    json_t *samples;    /* array of the lines of samples_SUITE.jsonl */
};

/* Where the protocol is not the baseline's it is ERROR_INPUT, which names the part, before anything is computed. */
int suite_run(const struct model *m, const char *suite, const struct run_options *options, struct suite_result *out,
              struct error *e);
/* Frees items and samples, which are not needed any more once they are written; statistics stay. */
void suite_result_forget_items(struct suite_result *r);
void suite_result_free(struct suite_result *r);

/* run.json without "kerf" and "machine", which the caller knows. `name` is the subject and `model` its model, as given.
 */
json_t *run_record(const struct model *m, const char *name, const char *model, double seconds,
                   const struct suite_result *results, size_t n, struct error *e);
/* run.json and a samples_SUITE.jsonl for each suite, in `folder` (made if need be). */
int run_write(const char *folder, const json_t *run, const struct suite_result *results, size_t n, struct error *e);

/* { name, value, stderr, ci95, better, unit }, with a reason where the value is undefined. */
json_t *metric_record(const char *name, const struct metric *m, const struct estimate *x);
/* { value, stderr, ci95, p, test, significant, gained, lost } */
json_t *difference_record(const struct difference *d);
/* What run.json says of a subject: facts of the model, and its name and model as given. NULL when memory ran out. */
json_t *subject_record(const struct model *m, const char *name, const char *model);
/* A finite number as it is, any other as null. */
json_t *json_number_or_null(double v);

#endif
