#include "suites/canaries.h"
#include "engine/base/table.h"
#include "metrics/significance.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The limits that canaries.h names. */
enum { FEWEST = 8, GRAM = 4, LOOP_TOKENS = 20 };
static const double MANY_EMPTY = 0.1, MANY_ENDLESS = 0.5, MANY_LOOPS = 0.1, LOOP_DISTINCT = 0.3;

static void __attribute__((format(printf, 3, 4))) add(struct canaries *c, const char *name, const char *format, ...)
{
    struct canary *to = &c->at[c->n++];
    va_list args;
    va_start(args, format);
    vsnprintf(to->reason, sizeof to->reason, format, args);
    va_end(args);
    to->name = name;
}

/* --- choices and continuations --- */

static bool prefers_one(const struct outcome *o)
{
    for (size_t i = 1; i < o->n_choices; i++)
        if (o->choices[i].loglikelihood != o->choices[0].loglikelihood) return true;
    return false;
}

static void look_at_choices(struct canaries *c, const struct outcome *o, size_t n)
{
    int64_t right = 0;
    double chance = 0, low, high;
    bool prefers = false, picks_differ = false, gold_differs = false;
    const size_t pick = choice_best(&o[0], NULL);
    for (size_t i = 0; i < n; i++) {
        const size_t best = choice_best(&o[i], NULL);
        right += best == o[i].gold;
        chance += 1 / (double)o[i].n_choices / (double)n;
        prefers |= prefers_one(&o[i]);
        picks_differ |= best != pick;
        gold_differs |= o[i].gold != o[0].gold;
    }
    clopper_pearson(right, (int64_t)n, 0.95, &low, &high);
    if (low <= chance)
        add(c, "chance_level", "the 95%% interval of acc, %.3f to %.3f, %s chance, which is %.3f", low, high,
            high < chance ? "lies below" : "holds", chance);
    if (!prefers)
        add(c, "constant_likelihood", "in all %zu items all choices have the same log-likelihood", n);
    else if (!picks_differ && gold_differs)
        add(c, "constant_choice", "all %zu items pick choice %zu, though their right ones differ", n, pick);
}

static void look_at_continuations(struct canaries *c, const struct outcome *o, size_t n)
{
    bool greedy = false, differ = false;
    for (size_t i = 0; i < n; i++) {
        greedy |= o[i].greedy;
        differ |= o[i].loglikelihood != o[0].loglikelihood;
    }
    if (!differ)
        add(c, "constant_likelihood", "all %zu continuations have the log-likelihood %g", n, o[0].loglikelihood);
    if (!greedy) add(c, "never_right", "greedy decoding would produce none of the %zu continuations", n);
}

static void look_at_documents(struct canaries *c, const struct outcome *o, size_t n, int64_t vocab)
{
    double nll = 0, tokens = 0;
    for (size_t i = 0; i < n; i++) {
        nll += o[i].nll;
        tokens += (double)o[i].tokens;
    }
    const double perplexity = exp(nll / tokens);
    if (!isfinite(perplexity))
        add(c, "worse_than_chance", "perplexity is not a finite number");
    else if (perplexity >= (double)vocab)
        add(c, "worse_than_chance", "perplexity is %g, a guess among the vocabulary's %lld tokens is no worse",
            perplexity, (long long)vocab);
}

/* --- generations --- */

static int is_loop(const struct ids *ids, bool *out, struct error *e)
{
    *out = false;
    if (ids->count < LOOP_TOKENS) return 0;
    struct table seen = {0};
    const size_t grams = ids->count - GRAM + 1;
    int status = 0;
    for (size_t i = 0; i < grams && !status; i++)
        status = table_add(&seen, (const char *)(ids->at + i), GRAM * sizeof *ids->at, 0, NULL, e);
    *out = (double)seen.count < LOOP_DISTINCT * (double)grams;
    table_free(&seen);
    return status;
}

/* Whether outcome i asks for a text: the right answer may be none. */
static bool asks_text(const struct outcome *o, size_t n, size_t i)
{
    return i >= n || !o[i].n_references || o[i].references[0][0];
}

static bool references_differ(const struct outcome *o, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (o[i].n_references && o[0].n_references && strcmp(o[i].references[0], o[0].references[0])) return true;
    return false;
}

static int look_at_texts(struct canaries *c, const struct outcome *o, size_t n, const struct generation *g,
                         size_t n_texts, struct error *e)
{
    size_t empty = 0, endless = 0, loops = 0, same = 0;
    for (size_t i = 0; i < n_texts; i++) {
        bool loop;
        if (is_loop(&g[i].ids, &loop, e)) return (int)e->code;
        loops += loop;
        empty += !g[i].text.length && asks_text(o, n_texts == n ? n : 0, i);
        endless += g[i].ended && strcmp(g[i].ended, "limit") == 0;
        same += strcmp(text_c(&g[i].text), text_c(&g[0].text)) == 0;
    }
    const double all = (double)n_texts;
    if ((double)empty > MANY_EMPTY * all) add(c, "empty_generations", "%zu of %zu texts are empty", empty, n_texts);
    if ((double)endless > MANY_ENDLESS * all)
        add(c, "endless_generations", "%zu of %zu texts ended at the limit of new tokens", endless, n_texts);
    if ((double)loops > MANY_LOOPS * all)
        add(c, "repetitive_generations", "%zu of %zu texts say the same few tokens again and again", loops, n_texts);
    if (same == n_texts && g[0].text.length && references_differ(o, n))
        add(c, "identical_generations", "all %zu texts are the same, though their references differ", n_texts);
    return 0;
}

/* --- all of them --- */

int canaries_look(struct canaries *c, const struct outcome *o, size_t n, const struct generation *g, size_t n_texts,
                  int64_t vocab, struct error *e)
{
    c->n = 0;
    if (!n) return 0;
    if (o->kind == OUTCOME_ROLLING) look_at_documents(c, o, n, vocab);
    if (n < FEWEST) return 0;
    if (o->kind == OUTCOME_CHOICE) look_at_choices(c, o, n);
    if (o->kind == OUTCOME_LIKELIHOOD) look_at_continuations(c, o, n);
    return o->kind == OUTCOME_GENERATION && n_texts ? look_at_texts(c, o, n, g, n_texts, e) : 0;
}

void canaries_look_at_prompts(struct canaries *c, int64_t cut, size_t n, int64_t context)
{
    if (cut)
        add(c, "cut_prompts", "%lld of %zu prompts were cut on the left to fit the context of %lld tokens",
            (long long)cut, n, (long long)context);
}

json_t *canaries_record(const struct canaries *c)
{
    json_t *all = json_array();
    for (size_t i = 0; i < c->n; i++)
        if (json_array_append_new(all, json_pack("{s:s, s:s}", "name", c->at[i].name, "reason", c->at[i].reason))) {
            json_decref(all);
            return NULL;
        }
    return all;
}

int canaries_find(const struct suite *s, const struct outcomes *o, const struct requests *q, const struct tally *t,
                  const struct model *m, json_t **out, struct error *e)
{
    const struct hyper *h = model_hyper(m);
    struct canaries c;
    *out = NULL;
    const int status = canaries_look(&c, o->at, o->n, q->generations, q->n_generations, h->vocab, e);
    if (status) return error_prefix(e, "%s", s->name);
    canaries_look_at_prompts(&c, t->cut, q->n_groups + q->n_generations, h->context);
    *out = canaries_record(&c);
    return *out ? 0 : error_set(e, ERROR_IO, "out of memory for a record");
}
