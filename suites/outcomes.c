#include "suites/outcomes.h"
#include "engine/base/memory.h"
#include "suites/letters.h"

#include <stdlib.h>
#include <string.h>

/* Choices are continuations of one context, or contexts of one continuation: then groups of their own. */
static void choice_outcome(const struct item *item, const struct group *g, struct choice *choices, struct outcome *o)
{
    if (!o->choices) o->choices = choices;
    o->gold = item->gold;
    for (size_t i = 0; i < g->n_parts; i++, o->n_choices++) {
        const char *text = (item->n_contexts ? item->contexts : item->targets)[o->n_choices];
        const size_t bytes = strlen(text);
        choices[i] = (struct choice){.loglikelihood = g->parts[i].loglikelihood,
                                     .characters = (int64_t)utf8_length(text, bytes),
                                     .bytes = (int64_t)bytes,
                                     .tokens = g->parts[i].n};
    }
}

/* Windows of one document add up, in order; other windows stand for themselves. */
static void rolling_outcome(const struct item *item, const struct group *g, const struct extent *window,
                            struct outcome *o)
{
    if (window) {
        o->bytes = window->bytes;
        o->words = window->words;
    } else if (!o->tokens) {
        const char *text = item->counted ? item->counted : item->targets[0];
        const size_t bytes = strlen(text);
        o->bytes = (int64_t)bytes;
        o->words = words_from(text, bytes, 0);
    }
    o->nll -= g->parts->loglikelihood;
    o->tokens += g->parts->n;
}

bool outcomes_are_windows(const struct suite *s)
{
    return s->kind == OUTCOME_ROLLING && s->protocol != PROTOCOL_ROLLING;
}

size_t outcomes_count(const struct suite *s, const struct requests *q, size_t n_items)
{
    return outcomes_are_windows(s) ? q->n_groups : n_items;
}

size_t outcomes_index(const struct suite *s, const struct requests *q, size_t group)
{
    return outcomes_are_windows(s) ? group : q->item_of[group];
}

static void score_outcomes(struct outcomes *o, const struct suite *s, const struct item *items,
                           const struct requests *q)
{
    struct choice *choices = o->choices;
    for (size_t i = 0; i < q->n_groups; i++) {
        const struct group *g = &q->groups[i];
        const struct item *item = &items[q->item_of[i]];
        struct outcome *to = &o->at[outcomes_index(s, q, i)];
        if (to->kind == OUTCOME_CHOICE) {
            choice_outcome(item, g, choices, to);
            choices += g->n_parts;
        } else if (to->kind == OUTCOME_LIKELIHOOD) {
            to->loglikelihood = g->parts->loglikelihood;
            to->greedy = g->parts->greedy;
        } else {
            rolling_outcome(item, g, q->extents ? &q->extents[i] : NULL, to);
        }
    }
}

/* --- texts --- */

static void strip_answers(struct answers *a)
{
    for (size_t i = 0; i < a->n; i++) {
        size_t n = strlen(a->at[i]);
        const char *s = letters_strip(a->at[i], &n, true, true);
        memmove(a->at[i], s, n);
        a->at[i][n] = 0;
    }
}

/* What a pipeline makes of an item's texts. */
static int filter_answers(const struct pipeline *p, const struct item *item, const struct generation *texts, size_t n,
                          struct answers *a, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < (p ? n : 1) && !status; i++) status = answers_add(a, text_c(&texts[i].text), e);
    if (!status && p) status = pipeline_apply(p, item->doc, a, e);
    strip_answers(a);
    return status;
}

static int generation_outcomes(struct outcomes *o, const struct suite *s, const struct item *items,
                               const struct requests *q, struct error *e)
{
    const size_t repeats = q->n_generations / o->n;
    if (!(o->answers = memory_new(o->n_pipelines * o->n, sizeof *o->answers, "answers", e))) return ERROR_IO;
    for (size_t i = 0; i < o->n_pipelines * o->n; i++) {
        const struct item *item = &items[i % o->n];
        const struct pipeline *p = s->n_pipelines ? &s->pipelines[i / o->n] : NULL;
        int status = filter_answers(p, item, q->generations + i % o->n * repeats, repeats, &o->answers[i], e);
        if (status) return error_prefix(e, "%s: item %zu", s->name, item->index);
        o->at[i].text = o->answers[i].at[0];
        o->at[i].references = (const char *const *)item->targets;
        o->at[i].n_references = item->n_targets;
    }
    return 0;
}

int outcomes_make(struct outcomes *o, const struct suite *s, const struct item *items, size_t n_items,
                  const struct requests *q, struct error *e)
{
    *o = (struct outcomes){.n = outcomes_count(s, q, n_items), .n_pipelines = s->n_pipelines ? s->n_pipelines : 1};
    o->at = memory_new(o->n_pipelines * o->n, sizeof *o->at, "outcomes", e);
    o->choices = memory_new(q->n_parts, sizeof *o->choices, "outcomes", e);
    if (!o->at || !o->choices) return ERROR_IO;
    for (size_t i = 0; i < o->n_pipelines * o->n; i++) o->at[i].kind = s->kind;
    if (s->kind == OUTCOME_GENERATION) return generation_outcomes(o, s, items, q, e);
    score_outcomes(o, s, items, q);
    return 0;
}

void outcomes_free(struct outcomes *o)
{
    for (size_t i = 0; o->answers && i < o->n_pipelines * o->n; i++) answers_free(&o->answers[i]);
    free(o->answers);
    free(o->at);
    free(o->choices);
    *o = (struct outcomes){0};
}

int outcomes_measure(const struct outcomes *o, const struct suite *s, const struct resampling *how, double ***stats,
                     struct estimate **estimates, struct error *e)
{
    *stats = memory_new(s->n_scores, sizeof **stats, "statistics", e);
    *estimates = memory_new(s->n_scores, sizeof **estimates, "statistics", e);
    if (!*stats || !*estimates) return ERROR_IO;
    for (size_t i = 0; i < s->n_scores; i++) {
        const struct score *x = &s->scores[i];
        const struct outcome *outcomes = o->at + x->pipeline * o->n;
        const size_t width = x->measure.metric->width;
        double *rows = (*stats)[i] = memory_new(o->n, width * sizeof *rows, "statistics", e);
        int status = rows ? 0 : ERROR_IO;
        for (size_t j = 0; j < o->n && !status; j++) {
            status = measure_accumulate(&x->measure, &outcomes[j], rows + j * width, e);
            if (status) error_prefix(e, "%s: item %zu: %s", s->name, j, x->name);
        }
        if (!status) status = measure_prepare(&x->measure, rows, o->n, e);
        if (!status) status = measure_estimate(&x->measure, rows, o->n, how, &(*estimates)[i], e);
        if (status) return status;
    }
    return 0;
}
