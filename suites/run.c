#include "suites/run.h"
#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "suites/requests.h"
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
    struct outcome *outcomes; /* [result->n] */
    struct choice *choices;   /* of all outcomes */
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

/* Python's str.strip(). */
static void strip(struct text *t)
{
    size_t begin = 0, end = t->length;
    uint32_t c;
    for (size_t n; begin < end && (n = utf8_decode(t->bytes + begin, end - begin, &c)) && codepoint_is_space(c);)
        begin += n;
    while (end > begin) {
        size_t at = end - 1;
        while (at > begin && ((unsigned char)t->bytes[at] & 0xC0) == 0x80) at--;
        if (utf8_decode(t->bytes + at, end - at, &c) != end - at || !codepoint_is_space(c)) break;
        end = at;
    }
    if (!t->bytes) return;
    memmove(t->bytes, t->bytes + begin, end - begin);
    t->length = end - begin;
    t->bytes[t->length] = 0;
}

static int64_t count_words(const char *s, size_t n)
{
    int64_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        size_t size = utf8_decode(s + i, n - i, &c);
        bool space = size && codepoint_is_space(c);
        words += !space && !inside;
        inside = !space;
        i += size ? size : 1;
    }
    return words;
}

static void choice_outcome(const struct item *item, const struct group *g, struct choice *choices, struct outcome *o)
{
    o->choices = choices;
    o->n_choices = g->n_parts;
    o->gold = item->gold;
    for (size_t i = 0; i < g->n_parts; i++) {
        size_t bytes = strlen(item->targets[i]);
        choices[i] = (struct choice){.loglikelihood = g->parts[i].loglikelihood,
                                     .characters = (int64_t)utf8_length(item->targets[i], bytes),
                                     .bytes = (int64_t)bytes,
                                     .tokens = g->parts[i].n};
    }
}

/* Windows of one document add up, in order; chunks stand for themselves. */
static void rolling_outcome(const struct suite *s, const struct item *item, const struct group *g, struct outcome *o)
{
    if (s->protocol == PROTOCOL_ROLLING && !o->tokens) {
        size_t bytes = strlen(item->targets[0]);
        o->bytes = (int64_t)bytes;
        o->words = count_words(item->targets[0], bytes);
    }
    o->nll -= g->parts->loglikelihood;
    o->tokens += g->parts->n;
}

static int make_outcomes(struct running *r, struct error *e)
{
    const struct requests *q = &r->requests;
    struct suite_result *result = r->result;
    bool chunked = result->suite->kind == OUTCOME_ROLLING && result->suite->protocol == PROTOCOL_CHUNKED;
    result->n = chunked ? q->n_groups : result->n_items;
    r->outcomes = memory_new(result->n, sizeof *r->outcomes, "outcomes", e);
    r->choices = memory_new(q->n_parts, sizeof *r->choices, "outcomes", e);
    if (!r->outcomes || !r->choices) return ERROR_IO;
    for (size_t i = 0; i < result->n; i++) r->outcomes[i].kind = result->suite->kind;
    struct choice *choices = r->choices;
    for (size_t i = 0; i < q->n_groups; i++) {
        const struct group *g = &q->groups[i];
        const struct item *item = &result->items[q->item_of[i]];
        struct outcome *o = &r->outcomes[chunked ? i : q->item_of[i]];
        if (o->kind == OUTCOME_CHOICE) {
            choice_outcome(item, g, choices, o);
            choices += g->n_parts;
        } else if (o->kind == OUTCOME_LIKELIHOOD) {
            o->loglikelihood = g->parts->loglikelihood;
            o->greedy = g->parts->greedy;
        } else {
            rolling_outcome(result->suite, item, g, o);
        }
    }
    for (size_t i = 0; i < q->n_generations; i++) {
        strip(&q->generations[i].text);
        r->outcomes[i].text = text_c(&q->generations[i].text);
        r->outcomes[i].references = (const char *const *)result->items[i].targets;
        r->outcomes[i].n_references = result->items[i].n_targets;
    }
    return 0;
}

static int measure(struct running *r, struct error *e)
{
    struct suite_result *result = r->result;
    size_t n_metrics = result->suite->n_metrics;
    result->stats = memory_new(n_metrics, sizeof *result->stats, "statistics", e);
    result->estimates = memory_new(n_metrics, sizeof *result->estimates, "statistics", e);
    if (!result->stats || !result->estimates) return ERROR_IO;
    for (size_t i = 0; i < n_metrics; i++) {
        const struct metric *metric = result->suite->metrics[i];
        double *stats = result->stats[i] = memory_new(result->n, metric->width * sizeof *stats, "statistics", e);
        int status = stats ? 0 : ERROR_IO;
        for (size_t j = 0; j < result->n && !status; j++) {
            status = metric->accumulate(&r->outcomes[j], stats + j * metric->width, e);
            if (status) error_prefix(e, "%s: item %zu: %s", result->suite->name, j, metric->name);
        }
        if (!status)
            status = estimate_metric(metric, stats, result->n, &r->options->resampling, &result->estimates[i], e);
        if (status) return status;
    }
    return 0;
}

json_t *json_number_or_null(double v) { return isfinite(v) ? json_real(v) : json_null(); }

/* --- the record --- */

static const char *protocol_name(const struct suite *s)
{
    if (s->kind != OUTCOME_ROLLING) return NULL;
    return s->protocol == PROTOCOL_CHUNKED ? "chunked" : "rolling";
}

/* References of every item, 0 where their number varies. */
static size_t reference_count(const struct suite_result *r)
{
    for (size_t i = 1; i < r->n_items; i++)
        if (r->items[i].n_targets != r->items[0].n_targets) return 0;
    return r->items[0].n_targets;
}

static json_t *metric_protocol(const struct metric *m, size_t n_references)
{
    struct text signature = {0};
    metric_signature(m, n_references, &signature);
    json_t *j = json_pack("{s:s, s:s*}", "metric", m->name, "signature", signature.length ? signature.bytes : NULL);
    text_free(&signature);
    return j;
}

/* Everything that makes the numbers comparable, and its fingerprint. */
static int make_protocol(struct running *r, struct error *e)
{
    const struct suite *s = r->result->suite;
    struct file data;
    char hash[HASH_HEX];
    int status = file_map(&data, s->data_path, e);
    if (status) return status;
    hash_hex(data.data, data.size, hash);
    file_unmap(&data);
    json_t *metrics = json_array(), *p = r->protocol = json_object();
    for (size_t i = 0; i < s->n_metrics; i++)
        json_array_append_new(metrics, metric_protocol(s->metrics[i], reference_count(r->result)));
    json_object_set_new(p, "data_sha256", json_string(hash));
    static const char *const keys[] = {"dataset_format", "dataset_kwargs", "output_type",      "doc_to_text",
                                       "doc_to_target",  "doc_to_choice",  "target_delimiter", "generation_kwargs"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(s->settings, keys[i]);
        if (v) json_object_set(p, keys[i], v);
    }
    int64_t scored = 0;
    for (size_t i = 0; i < r->requests.n_parts; i++) scored += r->requests.parts[i].n;
    if (protocol_name(s)) json_object_set_new(p, "protocol", json_string(protocol_name(s)));
    json_object_set_new(p, "context", json_integer(r->requests.context));
    json_object_set_new(p, "bos", json_boolean(tokenizer_adds_bos(model_tokenizer(r->m))));
    json_object_set_new(p, "items", json_integer((json_int_t)r->result->n_items));
    json_object_set_new(p, "scored_tokens", json_integer(scored));
    json_object_set_new(p, "token_ids_sha256", json_string(r->requests.token_hash));
    if (s->kind == OUTCOME_GENERATION) json_object_set_new(p, "decoding", json_string(strategy_greedy.name));
    json_object_set_new(p, "metrics", metrics);
    char *text = json_dumps(p, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text) return error_set(e, ERROR_IO, "out of memory for a protocol");
    hash_hex(text, strlen(text), r->result->fingerprint);
    free(text);
    return 0;
}

/* Names the first part of two protocols that differs, with both values. */
static int refuse(const json_t *ours, const json_t *baseline, const char *suite, struct error *e)
{
    const char *key;
    json_t *value;
    json_t *both = json_copy((json_t *)(uintptr_t)baseline); /* every key of either */
    json_object_update(both, (json_t *)(uintptr_t)ours);
    json_object_foreach(both, key, value)
    {
        const json_t *a = json_object_get(ours, key), *b = json_object_get(baseline, key);
        if (json_equal(a, b)) continue;
        char *ta = json_dumps(a, JSON_ENCODE_ANY | JSON_COMPACT), *tb = json_dumps(b, JSON_ENCODE_ANY | JSON_COMPACT);
        error_set(e, ERROR_INPUT, "suite %s: not comparable with the baseline: %s is %.80s, the baseline's is %.80s",
                  suite, key, ta ? ta : "absent", tb ? tb : "absent");
        free(ta);
        free(tb);
        break;
    }
    json_decref(both);
    return ERROR_INPUT;
}

/* Before any work: a number that cannot be compared is not worth computing. */
static int check_baseline(const struct running *r, const struct suite_result *baseline, struct error *e)
{
    if (!baseline || strcmp(baseline->fingerprint, r->result->fingerprint) == 0) return 0;
    return refuse(r->protocol, json_object_get(baseline->record, "protocol"), r->result->suite->name, e);
}

static json_t *metric_record(const struct metric *m, const struct estimate *x)
{
    json_t *j = json_pack("{s:s, s:o, s:o, s:[o, o], s:s, s:s}", "name", m->name, "value",
                          json_number_or_null(x->value), "stderr", json_number_or_null(x->standard_error), "ci95",
                          json_number_or_null(x->low), json_number_or_null(x->high), "better",
                          m->better == BETTER_HIGHER ? "higher" : "lower", "unit", m->unit);
    if (j && !isfinite(x->value)) json_object_set_new(j, "reason", json_string("undefined for these items"));
    return j;
}

static int make_record(struct running *r, struct error *e)
{
    struct suite_result *result = r->result;
    json_t *metrics = json_array();
    for (size_t i = 0; i < result->suite->n_metrics; i++)
        json_array_append_new(metrics, metric_record(result->suite->metrics[i], &result->estimates[i]));
    result->record =
        json_pack("{s:s, s:s, s:s, s:o, s:I, s:o, s:{s:I, s:I}, s:f}", "name", result->suite->name, "output_type",
                  outcome_kind_name(result->suite->kind), "fingerprint", result->fingerprint, "protocol",
                  json_incref(r->protocol), "items", (json_int_t)result->n, "metrics", metrics, "tokens", "asked",
                  (json_int_t)r->tally.asked, "computed", (json_int_t)r->tally.computed, "seconds", r->seconds);
    if (!result->record) return error_set(e, ERROR_IO, "out of memory for a record");
    return samples_make(result->suite, result->items, &r->requests, r->outcomes, result, &result->samples, e);
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
        status = generate(r->m, &strategy_greedy, q->generations, q->n_generations,
                          &(struct generate_options){r->options->batch, r, report_texts, &r->tally.computed}, e);
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
    if (!status) status = make_protocol(&r, e);
    if (!status) status = check_baseline(&r, baseline, e);
    if (!status) status = execute(&r, e);
    if (!status) status = make_outcomes(&r, e);
    if (!status) status = measure(&r, e);
    if (!status) status = make_record(&r, e);
    requests_free(&r.requests);
    json_decref(r.protocol);
    free(r.outcomes);
    free(r.choices);
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
    for (size_t i = 0; r->stats && i < r->suite->n_metrics; i++) free(r->stats[i]);
    free(r->stats);
    free(r->estimates);
    json_decref(r->record);
    suite_result_forget_items(r);
    suite_free(r->suite);
    *r = (struct suite_result){0};
}
