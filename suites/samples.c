#include "suites/samples.h"
#include "engine/formats/json.h"

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

static json_t *arguments_of(const struct suite *s, const struct item *item)
{
    json_t *all = json_array();
    if (s->kind == OUTCOME_GENERATION) {
        json_array_append_new(all, json_pack("[o]", string_of(item->prompt)));
    } else if (s->kind == OUTCOME_ROLLING && s->protocol == PROTOCOL_ROLLING) {
        json_array_append_new(all, json_pack("[o]", string_of(item->targets[0])));
    } else if (s->kind != OUTCOME_ROLLING) {
        for (size_t i = 0; i < item->n_targets; i++)
            json_array_append_new(all,
                                  json_pack("[o, o]", string_of(item->prompt), continuation_of(s, item->targets[i])));
    }
    return all;
}

static json_t *responses_of(const struct outcome *o, const struct group *g)
{
    json_t *all = json_array();
    switch (o->kind) {
    case OUTCOME_CHOICE:
        for (size_t i = 0; i < o->n_choices; i++)
            json_array_append_new(all, json_pack("[f, b]", o->choices[i].loglikelihood, (int)g->parts[i].greedy));
        break;
    case OUTCOME_LIKELIHOOD:
        json_array_append_new(all, json_pack("[f, b]", o->loglikelihood, (int)o->greedy));
        break;
    case OUTCOME_ROLLING:
        json_array_append_new(all, json_real(-o->nll));
        break;
    case OUTCOME_GENERATION:
        json_array_append_new(all, string_of(o->text));
        break;
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
                 const struct outcome *outcomes, const struct suite_result *result, json_t **out, struct error *e)
{
    bool chunked = s->kind == OUTCOME_ROLLING && s->protocol == PROTOCOL_CHUNKED;
    json_t *all = json_array();
    for (size_t i = 0; i < result->n; i++) {
        const struct item *item = &items[chunked ? q->item_of[i] : i];
        json_t *line = json_pack("{s:I, s:s, s:o, s:o, s:o}", "doc_id", (json_int_t)i, "doc_hash", item->hash, "target",
                                 chunked ? json_null() : target_of(s, item), "arguments", arguments_of(s, item),
                                 "resps", responses_of(&outcomes[i], q->n_groups > i ? &q->groups[i] : NULL));
        if (line) json_object_set(line, "filtered_resps", json_object_get(line, "resps"));
        if (line) json_object_set_new(line, "metrics", metrics_of(s, result, i));
        if (!line || json_array_append_new(all, line)) {
            json_decref(all);
            return error_set(e, ERROR_IO, "out of memory for the samples");
        }
    }
    *out = all;
    return 0;
}
