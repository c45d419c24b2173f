/* Accuracy: of choices the share where the most likely one is right, of given continuations the share that greedy
 * decoding would have produced. */
#include "metrics/metric.h"

#include <math.h>

int64_t choice_characters(const struct choice *c) { return c->characters; }
int64_t choice_bytes(const struct choice *c) { return c->bytes; }
int64_t choice_tokens(const struct choice *c) { return c->tokens; }

int choice_check(const struct outcome *o, struct error *e)
{
    if (!o->n_choices) return error_set(e, ERROR_INPUT, "choices: there are none");
    if (o->gold >= o->n_choices)
        return error_set(e, ERROR_INPUT, "gold: %zu is not the index of one of the %zu choices", o->gold, o->n_choices);
    for (size_t i = 0; i < o->n_choices; i++)
        if (!isfinite(o->choices[i].loglikelihood))
            return error_set(e, ERROR_NUMBER, "choice %zu: the log-likelihood is %g", i, o->choices[i].loglikelihood);
    return 0;
}

size_t choice_best(const struct outcome *o, int64_t (*length)(const struct choice *))
{
    size_t best = 0;
    double most = -INFINITY;
    for (size_t i = 0; i < o->n_choices; i++) {
        const int64_t units = length ? length(&o->choices[i]) : 1;
        const double value = o->choices[i].loglikelihood / (double)(units > 0 ? units : 1);
        if (value > most) most = value, best = i;
    }
    return best;
}

static int accumulate(const struct outcome *o, double *stats, int64_t (*length)(const struct choice *), struct error *e)
{
    const int status = choice_check(o, e);
    if (status) return status;
    stats[0] = choice_best(o, length) == o->gold;
    stats[1] = 1;
    return 0;
}

static int by_sum(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, stats, NULL, e);
}

static int by_characters(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, stats, choice_characters, e);
}

static int by_bytes(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, stats, choice_bytes, e);
}

static int by_tokens(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, stats, choice_tokens, e);
}

static int by_greedy(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    (void)e;
    stats[0] = o->greedy;
    stats[1] = 1;
    return 0;
}

static double share(const double *sums, const void *settings) { return sums[1] > 0 ? sums[0] / sums[1] : NAN; }

const struct metric metric_acc = {
    .name = "acc",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .accumulate = by_sum,
    .finish = share,
};
const struct metric metric_acc_norm = {
    .name = "acc_norm",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .accumulate = by_characters,
    .finish = share,
};
const struct metric metric_acc_bytes = {
    .name = "acc_bytes",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .accumulate = by_bytes,
    .finish = share,
};
const struct metric metric_acc_tokens = {
    .name = "acc_tokens",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .accumulate = by_tokens,
    .finish = share,
};
const struct metric metric_acc_greedy = {
    .name = "acc",
    .kind = OUTCOME_LIKELIHOOD,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .accumulate = by_greedy,
    .finish = share,
};
