/* Canaries: signs in a suite's outcomes that its number means nothing, whatever it is. A wrong prompt, a broken
 * tokenizer or a model that was destroyed still gives every item a score.
 *
 *     json_t *canaries;
 *     if (canaries_find(suite, &outcomes, &requests, &tally, model, &canaries, e)) return e->code;
 *     [{ "name": "chance_level", "reason": "the 95% interval of acc, 0.231 to 0.307, holds chance, which is 0.250" }]
 *
 *   chance_level           choices: the 95 % interval of acc (Clopper and Pearson's) holds chance, the mean of
 *                          1 / choices, or lies below it
 *   constant_choice        choices: all items pick the same one, though their right ones differ
 *   constant_likelihood    choices: no item prefers any of its choices; continuations: all are equally likely
 *   never_right            continuations: greedy decoding would produce none
 *   worse_than_chance      documents: perplexity is at or above the vocabulary's size, or no finite number
 *   empty_generations      more than 10 % of the texts are empty where their reference is not
 *   endless_generations    more than 50 % of the texts ended at the limit of new tokens
 *   repetitive_generations more than 10 % of the texts are loops: of at least 20 tokens, with fewer than 0.3 distinct
 *                          runs of 4 tokens for each run of 4
 *   identical_generations  all texts are the same, though their references differ
 *   cut_prompts            any prompt was cut on the left, to fit the context with what is scored behind it or with
 *                          the new tokens that it leaves room for; windows of documents always fit
 *
 * Below 8 items only worse_than_chance and cut_prompts are looked for. All are warnings: a hard suite or a small sample
 * may show one without anything being wrong. */
#ifndef KERF_SUITES_CANARIES_H
#define KERF_SUITES_CANARIES_H

#include "suites/outcomes.h"

struct canary {
    const char *name;
    char reason[160]; /* a clause with its numbers, without a full stop */
};

enum { CANARIES_MOST = 10 };

struct canaries {
    struct canary at[CANARIES_MOST];
    size_t n;
};

/* After outcomes_make(), with the tally of all the requests. *out is an array of { name, reason }, the caller's, also where it is empty. */
int canaries_find(const struct suite *s, const struct outcomes *o, const struct requests *q, const struct tally *t,
                  const struct model *m, json_t **out, struct error *e);

/* The same from plain arrays: outcomes of one kind; the generations behind them, or none; tokens of the vocabulary. */
int canaries_look(struct canaries *c, const struct outcome *o, size_t n, const struct generation *g,
                  size_t n_generations, int64_t vocab, struct error *e);
/* Adds to those: `cut` of n prompts did not fit the context. */
void canaries_look_at_prompts(struct canaries *c, int64_t cut, size_t n, int64_t context);
json_t *canaries_record(const struct canaries *c); /* NULL: no memory */

#endif
