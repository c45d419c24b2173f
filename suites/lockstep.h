/* Perplexity of any text by one or several models, and how far the predictions of each are from the first's, the
 * baseline's: what kerf perplexity does.
 *
 *     struct lockstep_options o = {.file = "text.txt", .protocol = PROTOCOL_ROLLING, .batch = 32};
 *     struct lockstep l;
 *     if (lockstep_run(&l, models, 3, &o, e)) return e->code;
 *     l.subjects[0].estimates[0].value             perplexity of the baseline
 *     l.subjects[1].divergences.means[0].value     mean KL(baseline || second), nats
 *     lockstep_free(&l);
 *
 * Windows, perplexities and fingerprint are those of a suite of this text (suites/windows.h): `rolling` takes documents
 * with empty lines between them, other protocols the file as a whole. */
#ifndef KERF_SUITES_LOCKSTEP_H
#define KERF_SUITES_LOCKSTEP_H

#include "suites/divergence.h"
#include "suites/reference.h"

struct lockstep_options {
    const char *file;
    enum protocol protocol;
    int64_t context; /* window in tokens; 0: the shortest context of the models */
    int64_t stride;  /* of PROTOCOL_STRIDED; 0: half a window */
    size_t limit;    /* the first so many documents or windows; 0: all */
    size_t batch;    /* windows in one pass, at least 1 */
    size_t worst;    /* positions to be kept of each candidate */
    struct resampling resampling;
    const char *reference; /* MAY: file of the baseline's predictions; all models are candidates then */
    const char *save;      /* MAY: file for the first model's predictions, with `keep` tokens of each */
    int64_t keep;          /* 1 to the vocabulary; 0: 64, or the vocabulary if that is smaller */
    const char *const *names, *const *model_names; /* [n] of the subjects and their models as given; for records */
    void *user;
    /* May be NULL. Windows as they get done; false stops with ERROR_INTERRUPTED. */
    bool (*progress)(void *user, size_t done, size_t total);
};

struct lockstep_subject {
    double **stats;                 /* [suite's scores] of [n, width] */
    struct estimate *estimates;     /* [suite's scores], the perplexity first */
    struct difference *differences; /* [suite's scores], paired with the baseline's, which has NULL */
    struct divergences divergences; /* of candidates */
};

struct lockstep {
    struct suite *suite; /* made of the options */
    struct item *items;
    size_t n_items;
    struct requests requests;
    json_t *protocol;
    char fingerprint[HASH_HEX];
    struct reference reference; /* where the baseline is one */
    struct walk walk;
    struct lockstep_subject *subjects; /* [walk.n_subjects] */
};

/* All models need the same vocabulary, and the text must be the same tokens to all; which of them differs from the first is ERROR_INPUT. A context, stride
 * or keep that cannot be is ERROR_USAGE, in words that name the option. */
int lockstep_run(struct lockstep *l, const struct model *const *models, size_t n, const struct lockstep_options *o,
                 struct error *e);
void lockstep_free(struct lockstep *l);

/* Schema "kerf-perplexity-1" (reports/report.h) without "kerf" and "machine", which the caller knows. */
json_t *lockstep_record(const struct lockstep *l, const struct model *const *models, const struct lockstep_options *o,
                        struct error *e);

#endif
