#include "suites/lockstep.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "suites/outcomes.h"
#include "suites/protocol.h"
#include "suites/run.h"

#include <stdlib.h>
#include <string.h>

/* --- the text as a suite --- */

static int make_scores(struct suite *s, struct error *e)
{
    static const char *const names[] = {"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"};
    const size_t n = sizeof names / sizeof *names;
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
static int make_suite(struct suite **out, const struct lockstep_options *o, int64_t context, struct error *e)
{
    static const char target[] = "{{text}}";
    struct suite *s = *out = memory_new(1, sizeof *s, "a suite", e);
    if (!s) return ERROR_IO;
    const char *format = o->protocol == PROTOCOL_ROLLING ? "paragraphs" : "text";
    s->kind = OUTCOME_ROLLING;
    s->protocol = o->protocol;
    s->context = (int)context;
    s->stride = (int)o->stride;
    s->repeats = 1;
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

/* --- the run --- */

/* What cannot be is the fault of the option given, or of a model whose whole context is too short. */
static int check_window(const struct lockstep_options *o, int64_t context, const char *model, struct error *e)
{
    const int64_t stride = o->stride ? o->stride : (context + 1) / 2;
    const int least = windowing_least(o->protocol);
    if (!windowing_check(&(struct windowing){.protocol = o->protocol, .context = context, .stride = stride}, e))
        return 0;
    if (context >= least)
        return error_set(e, ERROR_USAGE, "--stride %lld: must be 1 to the window of %lld tokens", (long long)stride,
                         (long long)context);
    if (o->context)
        return error_set(e, ERROR_USAGE, "--context %lld: is too short for the %s protocol: it needs %d tokens",
                         (long long)context, protocol_name(o->protocol), least);
    return error_prefix(e, "%s", model);
}

static int check_keep(const struct lockstep_options *o, const struct model *m, struct error *e)
{
    const int64_t vocab = model_hyper(m)->vocab;
    if (!o->save || o->keep <= vocab) return 0;
    return error_set(e, ERROR_USAGE, "--top %lld: must be 1 to the %lld tokens of the vocabulary of %s",
                     (long long)o->keep, (long long)vocab, model_facts(m)->path);
}

/* Tokenizers that have the same pieces may be told the text in other ways: by a file that has no word for a normalizer. */
static int check_tokens(const struct lockstep *l, const struct model *const *models, size_t n,
                        const struct lockstep_options *o, struct error *e)
{
    const char *const first = tokenizer_hash(model_tokenizer(models[0]));
    int status = 0;
    for (size_t i = 1; i < n && !status; i++) {
        if (strcmp(tokenizer_hash(model_tokenizer(models[i])), first) == 0) continue;
        struct requests own = {0};
        status = requests_make(&own, models[i], l->suite, l->items, l->n_items, o->limit, e);
        if (!status && strcmp(own.token_hash, l->requests.token_hash))
            status =
                error_set(e, ERROR_INPUT,
                          "%s: %s is other tokens to it than to the baseline %s: what they predict cannot be compared",
                          model_facts(models[i])->path, o->file, model_facts(models[0])->path);
        requests_free(&own);
    }
    return status;
}

static int prepare(struct lockstep *l, const struct model *const *models, size_t n, const struct lockstep_options *o,
                   struct error *e)
{
    const int64_t context = o->context ? o->context : walk_context(models, n);
    int status = walk_check(models, n, context, e);
    if (!status) status = check_window(o, context, model_facts(models[0])->path, e);
    if (!status) status = check_keep(o, models[0], e);
    if (!status) status = make_suite(&l->suite, o, context, e);
    if (!status)
        status = suite_items(l->suite, o->protocol == PROTOCOL_ROLLING ? o->limit : 0, NULL, &l->items, &l->n_items, e);
    if (!status) status = requests_make(&l->requests, models[0], l->suite, l->items, l->n_items, o->limit, e);
    if (!status) status = check_tokens(l, models, n, o, e);
    if (!status)
        status =
            protocol_make(&l->protocol, l->fingerprint, models[0], l->suite, l->items, l->n_items, &l->requests, e);
    return status;
}

static int64_t tokens_scored(const struct requests *q)
{
    int64_t tokens = 0;
    for (size_t i = 0; i < q->n_parts; i++) tokens += q->parts[i].n;
    return tokens;
}

static int open_reference(struct lockstep *l, const struct model *m, const char *path, struct error *e)
{
    int status = reference_open(&l->reference, path, e);
    if (!status)
        status =
            reference_check(&l->reference, tokenizer_hash(model_tokenizer(m)), model_hyper(m)->vocab, l->protocol, e);
    if (status) return status;
    if (l->reference.tokens == tokens_scored(&l->requests) && l->reference.windows == l->requests.n_groups) return 0;
    return error_set(e, ERROR_INPUT, "%s: tokens: %lld in %zu windows are not the %lld in %zu of its protocol", path,
                     (long long)l->reference.tokens, l->reference.windows, (long long)tokens_scored(&l->requests),
                     l->requests.n_groups);
}

static int create_reference(const struct lockstep *l, const struct model *m, const struct lockstep_options *o,
                            struct reference_output *out, struct error *e)
{
    json_t *about = json_pack("{s:o, s:s, s:O}", "subject",
                              subject_record(m, o->names ? o->names[0] : model_facts(m)->path,
                                             o->model_names ? o->model_names[0] : model_facts(m)->path),
                              "fingerprint", l->fingerprint, "protocol", l->protocol);
    int status = about ? 0 : error_set(e, ERROR_IO, "out of memory for a reference");
    if (!status)
        status = reference_create(out, o->save, o->keep ? o->keep : 64, model_hyper(m)->vocab,
                                  tokens_scored(&l->requests), l->requests.n_groups, about, e);
    json_decref(about);
    return status;
}

static int walk(struct lockstep *l, const struct model *const *models, size_t n, const struct lockstep_options *o,
                struct error *e)
{
    struct reference_output save;
    struct walk_options how = {.batch = o->batch, .worst = o->worst, .user = o->user, .progress = o->progress};
    int status = 0;
    if (o->reference) {
        status = open_reference(l, models[0], o->reference, e);
        how.baseline = &l->reference;
    } else if (o->save) {
        status = create_reference(l, models[0], o, &save, e);
        how.save = &save;
    }
    if (status) return status;
    status = lockstep_walk(&l->walk, models, n, l->suite, &l->requests, l->n_items, &how, e);
    if (how.save && status) reference_abandon(&save);
    if (how.save && !status) status = reference_commit(&save, e);
    return status;
}

static int measure_subject(struct lockstep *l, size_t i, const struct resampling *how, struct error *e)
{
    struct lockstep_subject *s = &l->subjects[i], *base = l->subjects;
    struct outcomes o;
    walk_results(&l->walk, i, &l->requests);
    int status = outcomes_make(&o, l->suite, l->items, l->n_items, &l->requests, e);
    if (!status) status = outcomes_measure(&o, l->suite, how, &s->stats, &s->estimates, e);
    outcomes_free(&o);
    if (status || !i) return status;
    s->differences = memory_new(l->suite->n_scores, sizeof *s->differences, "differences", e);
    if (!s->differences) return ERROR_IO;
    for (size_t k = 0; k < l->suite->n_scores && !status; k++)
        status = measure_compare(&l->suite->scores[k].measure, base->stats[k], s->stats[k], l->walk.n, how,
                                 &s->differences[k], e);
    return status ? status : divergences_measure(&s->divergences, &l->walk, i, how, e);
}

int lockstep_run(struct lockstep *l, const struct model *const *models, size_t n, const struct lockstep_options *o,
                 struct error *e)
{
    *l = (struct lockstep){0};
    int status = prepare(l, models, n, o, e);
    if (!status) status = walk(l, models, n, o, e);
    if (!status && !(l->subjects = memory_new(l->walk.n_subjects, sizeof *l->subjects, "subjects", e)))
        status = ERROR_IO;
    for (size_t i = 0; i < l->walk.n_subjects && !status; i++) status = measure_subject(l, i, &o->resampling, e);
    if (status) lockstep_free(l);
    return status;
}

static void subject_release(struct lockstep_subject *s, size_t n_scores)
{
    for (size_t i = 0; s->stats && i < n_scores; i++) free(s->stats[i]);
    free(s->stats);
    free(s->estimates);
    free(s->differences);
}

void lockstep_free(struct lockstep *l)
{
    for (size_t i = 0; l->subjects && i < l->walk.n_subjects; i++) subject_release(&l->subjects[i], l->suite->n_scores);
    free(l->subjects);
    walk_free(&l->walk);
    reference_close(&l->reference);
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
    json_t *divergences = i ? divergences_metrics(&s->divergences) : NULL;
    if (divergences) json_array_extend(all, divergences);
    json_decref(divergences);
    return all;
}

/* A reference is the subject that it was made of, without the seconds that were another run's. */
static json_t *lockstep_subject_record(const struct lockstep *l, const struct model *const *models,
                                       const struct lockstep_options *o, size_t i)
{
    const struct walked *walked = &l->walk.subjects[i];
    const size_t m = o->reference ? i - 1 : i;
    json_t *subject;
    if (o->reference && !i) {
        subject = json_copy(json_object_get(l->reference.about, "subject"));
        json_object_set_new(subject, "reference", json_text(o->reference, strlen(o->reference)));
    } else {
        subject = subject_record(models[m], o->names[m], o->model_names[m]);
        json_object_set_new(subject, "seconds", json_real(walked->cost.seconds));
    }
    json_object_set_new(subject, "metrics", subject_metrics(l, i));
    if (!i) return json_object_set_new(subject, "log_ratio", json_null()), subject;
    json_t *divergences = divergences_record(&l->subjects[i].divergences);
    json_object_update(subject, divergences);
    json_decref(divergences);
    if (o->worst) json_object_set_new(subject, "worst", worst_record(walked, &l->requests, model_tokenizer(models[0])));
    return subject;
}

json_t *lockstep_record(const struct lockstep *l, const struct model *const *models, const struct lockstep_options *o,
                        struct error *e)
{
    json_t *subjects = json_array();
    for (size_t i = 0; i < l->walk.n_subjects; i++)
        json_array_append_new(subjects, lockstep_subject_record(l, models, o, i));
    json_t *record = json_pack(
        "{s:s, s:o, s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:b, s:{s:I, s:I}}", "schema", "kerf-perplexity-1", "file",
        json_text(o->file, strlen(o->file)), "fingerprint", l->fingerprint, "protocol", json_incref(l->protocol),
        "items", (json_int_t)l->walk.n, "tokens", (json_int_t)l->walk.tokens, "computed", (json_int_t)l->walk.computed,
        "subjects", subjects, "noise_floor", noise_floor_record(&l->walk.floor), "bounded", o->reference != NULL,
        "resampling", "resamples", (json_int_t)(o->resampling.resamples ? o->resampling.resamples : 10000), "seed",
        (json_int_t)o->resampling.seed);
    if (!record) error_set(e, ERROR_IO, "out of memory for a record");
    return record;
}
