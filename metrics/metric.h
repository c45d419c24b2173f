/* Metrics. One idea carries them all: an item contributes a short vector of statistics, the vectors are summed, and the
 * metric is a function of the sums. Accuracy is (right, 1) -> right / n, perplexity (nll, tokens) -> exp(nll / tokens),
 * BLEU the n-gram counts, F1 the confusion counts. So one resampler gives every metric its standard error, its
 * confidence interval and its paired differences (metrics/resampling.h).
 *
 * A metric with its settings is a measure: "bleu" with tokenize=zh.
 *
 *     struct measure m;
 *     if (measure_open(&m, "bleu", OUTCOME_GENERATION, e)) return e->code;
 *     if (measure_set(&m, "tokenize", "zh", e)) ...
 *     double *stats = memory_new(n * m.metric->width, sizeof *stats, ...);
 *     for (size_t i = 0; i < n; i++) measure_accumulate(&m, &outcomes[i], stats + i * m.metric->width, e);
 *     measure_prepare(&m, stats, n, e);
 *     double value = measure_value(&m, stats, n);
 *     measure_close(&m);
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
    const char
        *unit; /* MUST: "" for a ratio, "%" for scores of 0 .. 100, "nat", "bit"; others are recorded, not shown */
    /* MAY: the keys that configure takes, NULL-terminated, and what it does with one of them: writes it into settings,
     * which are the metric's own type; zeroed settings are the defaults. A list is given entry by entry. ERROR_INPUT
     * for a value that is none, in words that follow "tokenize: ". */
    const char *const *options;
    int (*configure)(void *settings, const char *key, const char *value, struct error *e);
    void (*release)(void *settings); /* MAY: where settings hold memory; also of zeroed ones */
    /* MUST in the registry: writes width statistics of one item. May run on several threads. */
    int (*accumulate)(const struct outcome *o, const void *settings, double *stats /* [width] */, struct error *e);
    /* MAY: sees all items' statistics once before they are summed: what needs all of them, such as ranks. */
    int (*prepare)(const void *settings, double *stats /* [n, width] */, size_t n, struct error *e);
    /* MUST: the value from the summed statistics; NAN where it is undefined (no items). */
    double (*finish)(const double *sums /* [width] */, const void *settings);
    /* MAY: appends the settings in the field's own notation (sacreBLEU's signature) for items that have n_references
     * references each; 0: their number varies. */
    void (*signature)(const void *settings, size_t n_references, struct text *out);
};

enum { METRIC_WIDTH = 192, METRIC_SETTINGS = 64 };

const struct metric *metric_find(const char *name, enum outcome_kind kind);
/* The registry, for lists and suggestions: row i, NULL past the end. */
const struct metric *metric_at(size_t i);
const char *outcome_kind_name(enum outcome_kind kind); /* "multiple_choice", "loglikelihood", ... */

/* --- a metric with its settings --- */

struct measure {
    const struct metric *metric;
    _Alignas(16) unsigned char settings[METRIC_SETTINGS];
};

struct measure measure_of(const struct metric *m); /* with its defaults; needs no measure_close() */
/* ERROR_INPUT for a name that is no metric of this kind: says of which it is one, or the nearest there is. */
int measure_open(struct measure *m, const char *name, enum outcome_kind kind, struct error *e);
/* ERROR_INPUT names the key, and for an unknown one the nearest. */
int measure_set(struct measure *m, const char *key, const char *value, struct error *e);
void measure_close(struct measure *m);

int measure_accumulate(const struct measure *m, const struct outcome *o, double *stats /* [width] */, struct error *e);
int measure_prepare(const struct measure *m, double *stats /* [n, width] */, size_t n, struct error *e);
/* Of prepared statistics. NAN where n is 0. */
double measure_value(const struct measure *m, const double *stats /* [n, width] */, size_t n);
double measure_finish(const struct measure *m, const double *sums /* [width] */);
/* Appends the signature, nothing where the metric has none. */
void measure_signature(const struct measure *m, size_t n_references, struct text *out);

/* --- shared by metrics --- */

/* Shared by the choice metrics: index of the first largest log-likelihood, divided by the given length if it is not
 * NULL (one of choice_characters, choice_bytes, choice_tokens; a length below 1 counts as 1). */
size_t choice_best(const struct outcome *o, int64_t (*length)(const struct choice *));
int64_t choice_characters(const struct choice *c);
int64_t choice_bytes(const struct choice *c);
int64_t choice_tokens(const struct choice *c);
/* ERROR_INPUT where there are no choices or gold is none of them, ERROR_NUMBER where a log-likelihood is not finite. */
int choice_check(const struct outcome *o, struct error *e);
/* Shared by the metrics of generations: ERROR_INPUT where there is no text or no reference. */
int generation_check(const struct outcome *o, struct error *e);

/* Settings that are numbers, flags ("true", "false") or one of some words; for configure. `index` gets the word's. */
int setting_is_number(const char *value, double least, double most, double *out, struct error *e);
int setting_is_flag(const char *value, bool *out, struct error *e);
int setting_is_word(const char *value, const char *const *words /* NULL-terminated */, int *index, struct error *e);

#endif
