#include "suites/distance.h"
#include "engine/base/json.h"
#include "suites/journal.h"

#include <string.h>

bool distance_applies(const struct suite *s) { return s->kind == OUTCOME_ROLLING; }

static json_t *baseline_record(const struct distance_options *o)
{
    const struct facts *f = model_facts(o->baseline);
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s}", "name", json_text(o->name, strlen(o->name)), "sha256", f->hash,
                     "backend", f->backend, "math", f->math, "calibration_sha256", f->calibration.hash,
                     "imatrix_sha256", f->imatrix_hash);
}

/* Where windows are kept: under what the candidate's results depend on, and the baseline. */
static int open_journal(struct journal **out, const struct suite *s, const json_t *parts, const json_t *baseline,
                        const struct distance_options *o, struct error *e)
{
    *out = NULL;
    if (!o->folder) return 0;
    char blas[64]; /* may have changed what a calibration made of the baseline; `parts` has the candidate's */
    blas_name(blas, sizeof blas);
    const bool calibrated = model_facts(o->baseline)->calibration.hash[0];
    json_t *key = json_pack("{s:s, s:O, s:O, s:s*}", "schema", "kerf-walk-1", "candidate", parts, "baseline", baseline,
                            "blas", calibrated ? blas : NULL);
    int status = key ? journal_open(out, o->folder, s->name, key, o->fresh, e)
                     : error_set(e, ERROR_IO, "out of memory for a journal");
    json_decref(key);
    return status;
}

/* NULL where memory ran out. */
static json_t *make_record(const struct walk *w, const struct divergences *d, const struct requests *q,
                           const struct model *m, const json_t *baseline)
{
    json_t *record = divergences_record(d);
    json_object_set(record, "baseline", (json_t *)(uintptr_t)baseline);
    json_object_set_new(record, "tokens", json_integer((json_int_t)w->tokens));
    json_object_set_new(record, "metrics", divergences_metrics(d));
    json_object_set_new(record, "worst", worst_record(&w->subjects[1], q, model_tokenizer(m)));
    json_object_set_new(record, "noise_floor", noise_floor_record(&w->floor));
    return record;
}

static int walk(json_t **out, struct cost *beside, const struct model *m, const struct suite *s,
                const struct requests *q, size_t n_items, const json_t *baseline, const struct distance_options *o,
                struct journal *j, struct error *e)
{
    const struct model *both[] = {o->baseline, m};
    struct walk_options how = o->walk;
    struct walk w;
    struct divergences d;
    how.journal = j;
    int status = lockstep_walk(&w, both, 2, s, q, n_items, &how, e);
    if (status) return status;
    const enum phase before = watch_enter(how.watch, PHASE_STATISTICS);
    status = divergences_measure(&d, &w, 1, &o->resampling, e);
    if (!status) {
        *beside = w.subjects[0].cost;
        *out = make_record(&w, &d, q, m, baseline);
        if (!*out) status = error_set(e, ERROR_IO, "out of memory for a record");
    }
    walk_free(&w);
    watch_enter(how.watch, before);
    return status;
}

int distance_measure(json_t **out, struct cost *beside, const struct model *m, const struct suite *s,
                     const struct requests *q, size_t n_items, const json_t *parts, const struct distance_options *o,
                     struct error *e)
{
    struct journal *j = NULL;
    *out = NULL;
    *beside = (struct cost){0};
    json_t *baseline = baseline_record(o);
    int status =
        baseline ? open_journal(&j, s, parts, baseline, o, e) : error_set(e, ERROR_IO, "out of memory for a record");
    if (!status) status = walk(out, beside, m, s, q, n_items, baseline, o, j, e);
    const int closed = journal_close(j, status ? NULL : e);
    json_decref(baseline);
    return status ? status : closed;
}
