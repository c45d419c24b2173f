/* Perplexity of any text by one or several models, and how far the predictions of each are from the first's, the
 * baseline's: all models walk through the text in lockstep, so that no logits are ever kept.
 *
 *     struct lockstep_options o = {.file = "text.txt", .protocol = PROTOCOL_ROLLING, .batch = 32};
 *     struct lockstep l;
 *     if (lockstep_run(&l, models, 3, &o, e)) return e->code;
 *     l.subjects[0].estimates[0].value        perplexity of the baseline
 *     l.subjects[1].divergence[0].value       mean KL(baseline || second), nats
 *     lockstep_free(&l);
 *
 * Windows, perplexities and fingerprint are those of a suite of this text (suites/requests.h): `rolling` takes documents
 * with empty lines between them, `chunked` the file as a whole. Results are the same bits for any batch and any number
 * of threads. */
#ifndef KERF_SUITES_DIVERGENCE_H
#define KERF_SUITES_DIVERGENCE_H

#include "metrics/divergence.h"
#include "suites/protocol.h"
#include "suites/run.h"

struct lockstep_options {
    const char *file;
    enum protocol protocol;
    int64_t context; /* window in tokens; 0: the shortest context of the models */
    size_t chunks;   /* the first so many of a chunked text; 0: all */
    size_t batch;    /* windows in one pass, at least 1 */
    struct resampling resampling;
    void *user;
    /* May be NULL. Windows as they get done; false stops with ERROR_INTERRUPTED. */
    bool (*progress)(void *user, size_t done, size_t total);
};

enum { LOCKSTEP_METRICS = 4, LOCKSTEP_QUANTILES = 5 };
extern const double lockstep_quantiles[LOCKSTEP_QUANTILES]; /* 0.5, 0.9, 0.95, 0.99, 0.999 */

struct lockstep_subject {
    double **stats;             /* [suite's metrics] of [n, width] */
    struct estimate *estimates; /* [suite's metrics], the perplexity first */
    double seconds;             /* in this model's passes */
    /* Of candidates, 0 for the baseline: paired over the documents or chunks. */
    struct difference *differences; /* [suite's metrics] */
    struct difference log_ratio;    /* ln(perplexity / baseline's) */
    /* Of candidates, NULL and 0 for the baseline. */
    double *kl;                                   /* [tokens], nats, ascending */
    double *sums;                                 /* [n, DIVERGENCE_WIDTH] */
    struct estimate divergence[LOCKSTEP_METRICS]; /* of divergence_metric(i) */
    double quantiles[LOCKSTEP_QUANTILES], largest;
};

struct lockstep {
    struct suite *suite; /* made of the options */
    struct item *items;
    size_t n_items;
    struct requests requests;
    size_t n;       /* documents or chunks */
    int64_t tokens; /* scored */
    json_t *protocol;
    char fingerprint[HASH_HEX];
    struct lockstep_subject *subjects; /* [n_subjects] */
    size_t n_subjects;
};

/* All models need the same tokenizer and vocabulary; which of them differs from the first is ERROR_INPUT. */
int lockstep_run(struct lockstep *l, const struct model *const *models, size_t n, const struct lockstep_options *o,
                 struct error *e);
void lockstep_free(struct lockstep *l);

/* Schema "kerf-perplexity-1" (reports/report.h) without "kerf" and "machine", which the caller knows; the subjects'
 * names, and their models as given. */
json_t *lockstep_record(const struct lockstep *l, const struct model *const *models, const struct lockstep_options *o,
                        const char *const *names, const char *const *model_names, struct error *e);

#endif
