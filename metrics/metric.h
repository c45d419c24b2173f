/* Metrics. One idea carries them all: an item contributes a short vector of statistics, the vectors are summed, and the
 * metric is a function of the sums. Accuracy is (right, 1) -> right / n, perplexity (nll, tokens) -> exp(nll / tokens),
 * BLEU the n-gram counts, F1 the confusion counts. So one resampler gives every metric its standard error, its
 * confidence interval and its paired differences (metrics/resampling.h).
 *
 *     const struct metric *m = metric_find("acc", OUTCOME_CHOICE);
 *     double *stats = memory_new(n * m->width, sizeof *stats, ...);
 *     for (size_t i = 0; i < n; i++) m->accumulate(&outcomes[i], stats + i * m->width, e);
 *     double value = metric_value(m, stats, n);
 *
 * To add a metric: one file metrics/NAME.c that defines a `const struct metric`, and its line in metrics/registry.c. */
#ifndef KERF_METRICS_METRIC_H
#define KERF_METRICS_METRIC_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outcome_kind { OUTCOME_CHOICE, OUTCOME_LIKELIHOOD, OUTCOME_ROLLING, OUTCOME_GENERATION };

struct choice {
    double loglikelihood;              /* natural logarithm, summed over the choice's tokens */
    int64_t characters, bytes, tokens; /* of the choice's text, the delimiter before it not counted */
};

/* What one item produced. The pointers belong to the caller. */
struct outcome {
    enum outcome_kind kind;
    /* OUTCOME_CHOICE */
    const struct choice *choices;
    size_t n_choices;
    size_t gold; /* index of the right choice */
    /* OUTCOME_LIKELIHOOD: one given continuation */
    double loglikelihood;
    bool greedy; /* every token of it was the most likely one */
    /* OUTCOME_ROLLING: one document */
    double nll; /* negative log-likelihood, nats */
    int64_t tokens, words, bytes;
    /* OUTCOME_GENERATION */
    const char *text;
    const char *const *references;
    size_t n_references;
};

enum better { BETTER_HIGHER, BETTER_LOWER };

struct metric {
    const char *name;       /* MUST: as lm-evaluation-harness names it, where it does */
    enum outcome_kind kind; /* MUST: the outcomes it takes; a name may have a row for each kind */
    enum better better;     /* MUST */
    size_t width;           /* MUST: statistics of an item, at most METRIC_WIDTH */
    bool is_mean;           /* the value is stats[0] / stats[1] with stats[1] = 1: the standard error is the sample's */
    const char *unit; /* MUST: "" for a ratio, "%" for scores of 0 .. 100, "nat", "bit"; others are recorded, not shown */
    /* MUST in the registry: writes width statistics of one item. */
    int (*accumulate)(const struct outcome *o, double *stats /* [width] */, struct error *e);
    /* MUST: the value from the summed statistics; NAN where it is undefined (no items). */
    double (*finish)(const double *sums /* [width] */);
    /* MAY: the settings in the field's own notation (sacreBLEU's signature, for one reference an item: see
     * metric_signature()); NULL where there are none. */
    const char *signature;
};

enum { METRIC_WIDTH = 72 };

const struct metric *metric_find(const char *name, enum outcome_kind kind);
/* The registry, for lists and suggestions: row i, NULL past the end. */
const struct metric *metric_at(size_t i);
const char *outcome_kind_name(enum outcome_kind kind); /* "multiple_choice", "loglikelihood", ... */

/* NAN where n is 0. */
double metric_value(const struct metric *m, const double *stats /* [n, width] */, size_t n);
/* Appends the signature for a data set whose items have n_references references each (0: it varies), "" where the
 * metric has none. */
void metric_signature(const struct metric *m, size_t n_references, struct text *out);

/* Shared by the choice metrics: index of the first largest log-likelihood, divided by the given length if it is not
 * NULL (one of choice_characters, choice_bytes, choice_tokens; a length below 1 counts as 1). */
size_t choice_best(const struct outcome *o, int64_t (*length)(const struct choice *));
int64_t choice_characters(const struct choice *c);
int64_t choice_bytes(const struct choice *c);
int64_t choice_tokens(const struct choice *c);
/* ERROR_INPUT where there are no choices or gold is none of them, ERROR_NUMBER where a log-likelihood is not finite. */
int choice_check(const struct outcome *o, struct error *e);

#endif
