#include "suites/run.h"
#include "engine/base/clock.h"
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
    struct tally tally;
    struct outcomes outcomes;
    double seconds;
};

static bool report(void *user, size_t done, size_t total)
{
    const struct running *r = user;
    return !r->options->progress || r->options->progress(r->options->user, r->result->suite->name, done, total);
}

static bool report_texts(void *user, size_t done)
{
    const struct running *r = user;
    return report(user, done, r->requests.n_generations);
}

/* Before any work: a number that cannot be compared is not worth computing. */
static int check_baseline(const struct running *r, const struct suite_result *baseline, struct error *e)
{
    if (!baseline || strcmp(baseline->fingerprint, r->result->fingerprint) == 0) return 0;
    return protocol_refuse(r->protocol, json_object_get(baseline->record, "protocol"), r->result->suite->name, e);
}

json_t *json_number_or_null(double v) { return isfinite(v) ? json_real(v) : json_null(); }

/* --- the record --- */

json_t *metric_record(const char *name, const struct metric *m, const struct estimate *x)
{
    json_t *j = json_pack("{s:s, s:o, s:o, s:[o, o], s:s, s:s}", "name", name, "value", json_number_or_null(x->value),
                          "stderr", json_number_or_null(x->standard_error), "ci95", json_number_or_null(x->low),
                          json_number_or_null(x->high), "better", m->better == BETTER_HIGHER ? "higher" : "lower",
                          "unit", m->unit);
    if (j && !isfinite(x->value)) json_object_set_new(j, "reason", json_string("undefined for these items"));
    return j;
}

static int make_record(struct running *r, struct error *e)
{
    struct suite_result *result = r->result;
    json_t *metrics = json_array();
    for (size_t i = 0; i < result->suite->n_scores; i++) {
        const struct score *x = &result->suite->scores[i];
        json_array_append_new(metrics, metric_record(x->name, x->measure.metric, &result->estimates[i]));
    }
    result->record =
        json_pack("{s:s, s:s, s:s, s:o, s:I, s:o, s:{s:I, s:I}, s:f}", "name", result->suite->name, "output_type",
                  outcome_kind_name(result->suite->kind), "fingerprint", result->fingerprint, "protocol",
                  json_incref(r->protocol), "items", (json_int_t)result->n, "metrics", metrics, "tokens", "asked",
                  (json_int_t)r->tally.asked, "computed", (json_int_t)r->tally.computed, "seconds", r->seconds);
    if (!result->record) return error_set(e, ERROR_IO, "out of memory for a record");
    return samples_make(result->suite, result->items, &r->requests, r->outcomes.at, result, &result->samples, e);
}

static int execute(struct running *r, struct error *e)
{
    struct requests *q = &r->requests;
    double start = seconds_now();
    int status = 0;
    if (q->n_groups)
        status =
            score_groups(r->m, q->groups, q->n_groups,
                         &(struct schedule){.batch = r->options->batch, .user = r, .progress = report}, &r->tally, e);
    if (!status && q->n_generations)
        status = generate(
            r->m, &r->result->suite->decode, q->generations, q->n_generations,
            &(struct generate_options){
                .batch = r->options->batch, .user = r, .progress = report_texts, .computed = &r->tally.computed},
            e);
    for (size_t i = 0; i < q->n_generations; i++)
        r->tally.asked += q->generations[i].n_prompt + (int64_t)q->generations[i].ids.count;
    r->seconds = seconds_now() - start;
    if (status && status != ERROR_INTERRUPTED) error_prefix(e, "suite %s", r->result->suite->name);
    return status;
}

int suite_run(const struct model *m, const char *suite, const struct run_options *options,
              const struct suite_result *baseline, struct suite_result *out, struct error *e)
{
    *out = (struct suite_result){0};
    struct running r = {.m = m, .options = options, .result = out};
    int status = suite_load(&out->suite, suite, e);
    if (!status) status = suite_items(out->suite, options->limit, &out->items, &out->n_items, e);
    if (!status) status = requests_make(&r.requests, m, out->suite, out->items, out->n_items, options->limit, e);
    if (!status)
        status = protocol_make(&r.protocol, out->fingerprint, m, out->suite, out->items, out->n_items, &r.requests, e);
    if (!status) status = check_baseline(&r, baseline, e);
    if (!status) status = execute(&r, e);
    if (!status) status = outcomes_make(&r.outcomes, out->suite, out->items, out->n_items, &r.requests, e);
    out->n = r.outcomes.n;
    if (!status)
        status = outcomes_measure(&r.outcomes, out->suite, &options->resampling, &out->stats, &out->estimates, e);
    if (!status) status = make_record(&r, e);
    requests_free(&r.requests);
    json_decref(r.protocol);
    outcomes_free(&r.outcomes);
    if (status) suite_result_free(out);
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
