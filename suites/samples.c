#include "suites/samples.h"
#include "engine/base/json.h"

#include <math.h>
#include <string.h>

static json_t *string_of(const char *s) { return json_text(s, strlen(s)); }

static json_t *continuation_of(const struct suite *s, const char *target)
{
    struct text t = {0};
    text_add(&t, s->delimiter);
    text_add(&t, target);
    json_t *j = string_of(text_c(&t));
    text_free(&t);
    return j;
}

static json_t *target_of(const struct suite *s, const struct item *item)
{
    if (s->kind == OUTCOME_CHOICE) return json_integer((json_int_t)item->gold);
    if (s->kind != OUTCOME_GENERATION || item->n_targets == 1) return string_of(item->targets[0]);
    json_t *all = json_array();
    for (size_t i = 0; i < item->n_targets; i++) json_array_append_new(all, string_of(item->targets[i]));
    return all;
}

static void add_pair(json_t *all, const struct suite *s, const char *prompt, const char *more, const char *target)
{
    struct text context = {0};
    text_add(&context, prompt);
    text_add(&context, more);
    json_array_append_new(all, json_pack("[o, o]", string_of(text_c(&context)), continuation_of(s, target)));
    text_free(&context);
}

static json_t *arguments_of(const struct suite *s, const struct item *item)
{
    json_t *all = json_array();
    if (s->kind == OUTCOME_GENERATION) {
        json_array_append_new(all, json_pack("[o]", string_of(item->prompt)));
    } else if (s->kind == OUTCOME_ROLLING && s->protocol == PROTOCOL_ROLLING) {
        json_array_append_new(all, json_pack("[o]", string_of(item->targets[0])));
    } else if (s->kind != OUTCOME_ROLLING) {
        for (size_t i = 0; i < item->n_contexts; i++)
            add_pair(all, s, item->prompt, item->contexts[i], item->targets[0]);
        for (size_t i = 0; i < item->n_targets && !item->n_contexts; i++)
            add_pair(all, s, item->prompt, "", item->targets[i]);
    }
    return all;
}

/* Outcome i's answers; its parts begin at *part, which moves behind them. */
static json_t *responses_of(const struct outcomes *o, size_t i, const struct requests *q, const struct part **part)
{
    const struct outcome *x = &o->at[i];
    const size_t repeats = q->n_generations / o->n;
    json_t *all = json_array();
    switch (x->kind) {
    case OUTCOME_CHOICE:
        for (size_t k = 0; k < x->n_choices; k++, ++*part)
            json_array_append_new(all, json_pack("[f, b]", x->choices[k].loglikelihood, (int)(*part)->greedy));
        break;
    case OUTCOME_LIKELIHOOD:
        json_array_append_new(all, json_pack("[f, b]", x->loglikelihood, (int)x->greedy));
        break;
    case OUTCOME_ROLLING:
        json_array_append_new(all, json_real(-x->nll));
        break;
    case OUTCOME_GENERATION:
        for (size_t k = 0; k < repeats; k++)
            json_array_append_new(all, string_of(text_c(&q->generations[i * repeats + k].text)));
        break;
    }
    return all;
}

static json_t *strings_of(const struct answers *a)
{
    json_t *all = json_array();
    for (size_t i = 0; i < a->n; i++) json_array_append_new(all, string_of(a->at[i]));
    return all;
}

/* What is scored: the responses, or what is left of texts, for each pipeline by its name. */
static json_t *filtered_of(const struct suite *s, const struct outcomes *o, size_t i, json_t *responses)
{
    if (!o->answers) return json_incref(responses);
    if (!s->n_pipelines) return strings_of(&o->answers[i]);
    json_t *all = json_object();
    for (size_t p = 0; p < s->n_pipelines; p++)
        json_object_set_new(all, s->pipelines[p].name, strings_of(&o->answers[p * o->n + i]));
    return all;
}

/* Numbers of an item; zeros at the end are left out. */
static json_t *numbers_of(const double *x, size_t n)
{
    json_t *all = json_array();
    while (n && x[n - 1] == 0) n--;
    for (size_t i = 0; i < n; i++) {
        const bool whole = fabs(x[i]) < 0x1p53 && x[i] == floor(x[i]);
        json_array_append_new(all, whole ? json_integer((json_int_t)x[i]) : json_number_or_null(x[i]));
    }
    return all;
}

static json_t *statistics_of(const struct suite *s, const struct suite_result *r, size_t i)
{
    json_t *all = json_object();
    for (size_t k = 0; k < s->n_scores; k++) {
        const size_t width = s->scores[k].measure.metric->width;
        json_object_set_new(all, s->scores[k].name, numbers_of(r->stats[k] + i * width, width));
    }
    return all;
}

static json_t *metrics_of(const struct suite *s, const struct suite_result *r, size_t i)
{
    json_t *all = json_object();
    for (size_t k = 0; k < s->n_scores; k++) {
        const struct measure *x = &s->scores[k].measure;
        const struct metric *m = x->metric;
        bool of_items = m->is_mean || s->kind == OUTCOME_ROLLING || s->kind == OUTCOME_LIKELIHOOD;
        if (!of_items) continue; /* BLEU, F1 of classes: of the whole set alone */
        json_object_set_new(all, s->scores[k].name, json_number_or_null(measure_finish(x, r->stats[k] + i * m->width)));
    }
    return all;
}

int samples_make(const struct suite *s, const struct item *items, const struct requests *q,
                 const struct outcomes *outcomes, const struct suite_result *result, json_t **out, struct error *e)
{
    const bool windows = outcomes_are_windows(s);
    const struct part *part = q->parts;
    json_t *all = json_array();
    for (size_t i = 0; i < result->n; i++) {
        const struct item *item = &items[windows ? q->item_of[i] : i];
        json_t *responses = responses_of(outcomes, i, q, &part);
        json_t *line = json_pack("{s:I, s:s, s:o, s:o, s:O, s:o, s:o, s:o}", "doc_id",
                                 (json_int_t)(windows ? i : item->index), "doc_hash", item->hash, "target",
                                 windows ? json_null() : target_of(s, item), "arguments", arguments_of(s, item),
                                 "resps", responses, "filtered_resps", filtered_of(s, outcomes, i, responses),
                                 "metrics", metrics_of(s, result, i), "statistics", statistics_of(s, result, i));
        json_decref(responses);
        if (!line || json_array_append_new(all, line)) {
            json_decref(all);
            return error_set(e, ERROR_IO, "out of memory for the samples");
        }
    }
    *out = all;
    return 0;
}
