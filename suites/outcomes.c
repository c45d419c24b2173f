#include "suites/outcomes.h"
#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

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

static bool is_chunked(const struct suite *s) { return s->kind == OUTCOME_ROLLING && s->protocol == PROTOCOL_CHUNKED; }

size_t outcomes_count(const struct suite *s, const struct requests *q, size_t n_items)
{
    return is_chunked(s) ? q->n_groups : n_items;
}

size_t outcomes_index(const struct suite *s, const struct requests *q, size_t group)
{
    return is_chunked(s) ? group : q->item_of[group];
}

int outcomes_make(struct outcomes *o, const struct suite *s, const struct item *items, size_t n_items,
                  struct requests *q, struct error *e)
{
    *o = (struct outcomes){.n = outcomes_count(s, q, n_items)};
    o->at = memory_new(o->n, sizeof *o->at, "outcomes", e);
    o->choices = memory_new(q->n_parts, sizeof *o->choices, "outcomes", e);
    if (!o->at || !o->choices) return ERROR_IO;
    for (size_t i = 0; i < o->n; i++) o->at[i].kind = s->kind;
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
            rolling_outcome(s, item, g, to);
        }
    }
    for (size_t i = 0; i < q->n_generations; i++) {
        strip(&q->generations[i].text);
        o->at[i].text = text_c(&q->generations[i].text);
        o->at[i].references = (const char *const *)items[i].targets;
        o->at[i].n_references = items[i].n_targets;
    }
    return 0;
}

void outcomes_free(struct outcomes *o)
{
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
        const size_t width = x->measure.metric->width;
        double *rows = (*stats)[i] = memory_new(o->n, width * sizeof *rows, "statistics", e);
        int status = rows ? 0 : ERROR_IO;
        for (size_t j = 0; j < o->n && !status; j++) {
            status = measure_accumulate(&x->measure, &o->at[j], rows + j * width, e);
            if (status) error_prefix(e, "%s: item %zu: %s", s->name, j, x->name);
        }
        if (!status) status = measure_prepare(&x->measure, rows, o->n, e);
        if (!status) status = measure_estimate(&x->measure, rows, o->n, how, &(*estimates)[i], e);
        if (status) return status;
    }
    return 0;
}
