/* Several models through the windows of one suite in lockstep: at each scored token the predictions of all of them stand
 * side by side, so that no logits are ever kept.
 *
 *     suite_load(&s, "stories", e); suite_items(s, ...); requests_make(&q, models[0], s, items, n_items, 0, e);
 *     struct walk w;
 *     if (lockstep_walk(&w, models, 2, s, &q, n_items, &(struct walk_options){.batch = 32}, e)) return e->code;
 *     struct divergences d;
 *     divergences_measure(&d, &w, 1, &resampling, e);           how far the second is (suites/divergence.h)
 *     walk_results(&w, 1, &q);                                  then outcomes_make(), as after score_groups()
 *     walk_free(&w);
 *
 * The suite is one of documents (loglikelihood_rolling). Log-likelihoods are those of score_groups() and everything is
 * the same bits for any batch and any number of threads. */
#ifndef KERF_SUITES_WALK_H
#define KERF_SUITES_WALK_H

#include "engine/base/clock.h"
#include "metrics/divergence.h"
#include "suites/requests.h"

struct journal;
struct reference;
struct reference_output;
struct walk;

enum { WALK_WORST_MOST = 1000 };

struct walk_options {
    size_t batch; /* windows in one pass, at least 1 */
    size_t worst; /* positions with the largest divergence to be kept of each candidate, at most WALK_WORST_MOST */
    /* MAY: the baseline's predictions from a file (suites/reference.h); all models are candidates then. */
    const struct reference *baseline;
    struct reference_output *save; /* MAY: gets the baseline's predictions; the caller commits it */
    /* MAY: gets every window as soon as it is whole; what it has is not computed again, and every number is the same bits
     * (suites/journal.h). Not beside `save`. */
    struct journal *journal;
    /* MAY: passes of models that it does not watch (model_watch()), and the noise floor, are PHASE_OTHER to it. */
    const struct watch *watch;
    void *user;
    /* MAY: windows as they get done; false stops with ERROR_INTERRUPTED. */
    bool (*progress)(void *user, size_t done, size_t total);
    /* MAY: told of every window, in order, as soon as its log-likelihoods are there; an error code ends the walk. */
    int (*whole)(void *user, const struct walk *w, size_t window, struct error *e);
};

/* One subject at one token. */
struct position {
    double loglikelihood;
    struct divergence divergence; /* of a candidate */
    int32_t top;                  /* the token it finds the most likely, */
    double chance_top;            /* and its probability; not where a single subject walks */
};

/* A token at which a candidate is far from the baseline. */
struct worst {
    double kl;        /* KL(baseline || candidate), nats */
    size_t outcome;   /* document or window, from 0 */
    int64_t position; /* of the token among those scored in it, from 0 */
    size_t group;     /* its window in the requests, and its place in that window's part */
    int64_t row;
    int32_t target; /* the token that came */
    struct {
        int32_t top;         /* the token found the most likely */
        double chance_top;   /* its probability */
        double chance_token; /* that of the token that came */
    } baseline, candidate;
};

struct walked {
    double *loglikelihoods; /* [n_groups] of the windows */
    double *nll;            /* [n, 2]: negative log-likelihood and tokens of each outcome */
    struct cost cost;       /* of this model's passes */
    /* Of candidates; NULL and 0 for the baseline. */
    double *kl, *reverse, *change; /* [tokens] in order: struct divergence */
    double *sums;                  /* [n, DIVERGENCE_WIDTH] */
    struct worst *worst;           /* the worst first */
    size_t n_worst;
};

/* The baseline against itself: its predictions for the first windows, each in a pass of its own, beside those of one
 * pass for all. In exact math and in fast math they are the same bits, and every number is exactly 0 (same_top: 1). */
struct noise_floor {
    size_t windows; /* 0: not measured, since there is no candidate or no baseline to run */
    int64_t tokens;
    double kl, largest, same_top; /* mean and maximum, nats; share */
};

/* What a walk's journal has of it. */
struct walk_past {
    struct noise_floor floor;
    struct position **windows; /* [n_groups] of [tokens of the window, subjects]; NULL: is not there */
};

struct walk {
    size_t n_subjects; /* models, and the reference before them */
    size_t n_groups;   /* windows */
    size_t n;          /* outcomes: documents or windows */
    int64_t tokens;    /* scored */
    int64_t computed;  /* tokens that went through each model */
    struct walked *subjects;
    struct noise_floor floor;
};

/* The shortest context of the models. */
int64_t walk_context(const struct model *const *models, size_t n);
/* ERROR_INPUT names the model whose pieces or vocabulary are not the first's, ERROR_USAGE one with a context shorter
 * than the requests'. */
int walk_check(const struct model *const *models, size_t n, int64_t context, struct error *e);
int lockstep_walk(struct walk *w, const struct model *const *models, size_t n_models, const struct suite *s,
                  const struct requests *q, size_t n_items, const struct walk_options *o, struct error *e);
/* A subject's log-likelihoods into the requests' parts, for outcomes_make(). */
void walk_results(const struct walk *w, size_t subject, struct requests *q);
void walk_free(struct walk *w);
void walk_past_free(struct walk_past *p, size_t n_groups);

#endif
