/* How far the predictions of one model are from another's, from the logits of both at the same position.
 *
 *     struct prediction p = prediction_of(baseline_logits, vocab), q = prediction_of(candidate_logits, vocab);
 *     struct divergence d = divergence_of(&p, &q, exp(prediction_log(&p, next)), exp(prediction_log(&q, next)));
 *     d.kl ...
 *     divergence_add(&d, stats + document * DIVERGENCE_WIDTH);
 *     const struct measure kl = measure_of(divergence_metric(0));
 *     measure_estimate(&kl, stats, documents, &how, &mean_kl, e);
 *
 * With p_i = exp(x_i) / sum over j of exp(x_j), and q_i likewise from the candidate's logits:
 *
 *     KL(P || Q) = sum over i of p_i (ln p_i - ln q_i), nats     (Kullback and Leibler 1951)
 *
 * the information that is lost where Q stands in for P: 0 where they are equal, else more (Gibbs' inequality), and
 * infinite where P gives a chance to what Q excludes. Everything is double, over the whole vocabulary. */
#ifndef KERF_METRICS_DIVERGENCE_H
#define KERF_METRICS_DIVERGENCE_H

#include "metrics/metric.h"

/* A row of logits with what normalizes it. */
struct prediction {
    const float *logits; /* [n], the caller's; -INFINITY excludes a token */
    int64_t n;
    int64_t top;    /* the first of the largest */
    double log_sum; /* ln of the sum of exp(logits); NAN where a logit is NaN or infinite, or all tokens are excluded */
};

struct prediction prediction_of(const float *logits /* [n > 0] */, int64_t n);
double prediction_log(const struct prediction *p, int64_t i); /* ln p_i */
/* Both of the same n. Equal rows give exactly 0, no rows give less; NAN where either is not a prediction. */
double kl_divergence(const struct prediction *p, const struct prediction *q);

/* Of one position. */
struct divergence {
    double kl;      /* KL(baseline || candidate), nats */
    double reverse; /* KL(candidate || baseline), nats */
    double change;  /* of the true token's probability: candidate's - baseline's */
    bool same_top;  /* both find the same token the most likely */
};

/* The chances are what each gives to the token that came. */
struct divergence divergence_of(const struct prediction *baseline, const struct prediction *candidate,
                                double baseline_chance, double candidate_chance);

/* What is kept of a prediction: its k most likely tokens, and the chance of all others together.
 *
 *     summary_fill(&s, &p);                        s.ids and s.logs have room for k
 *     d = divergence_from_summary(&s, &q, baseline_chance, candidate_chance)
 *
 * To merge tokens into one never adds to a divergence (the log sum inequality: Cover and Thomas 2006, theorem 2.7.1):
 * the divergences from a summary are lower bounds, whose distance from the whole is what the merged tokens differ in
 * among themselves. `change` and `same_top` are what the whole prediction gives. */
struct summary {
    int64_t k, top;
    int32_t *ids; /* [k], ascending */
    float *logs;  /* [k], ln p of each */
    float rest;   /* ln of the chance of all others; -INFINITY: none */
};

void summary_fill(struct summary *s, const struct prediction *p); /* s->k is 1 .. p->n */
struct divergence divergence_from_summary(const struct summary *baseline, const struct prediction *candidate,
                                          double baseline_chance, double candidate_chance);

/* The statistics of a document or chunk, sums over its positions, and the metrics that are made of them. They are no
 * metrics of suites: what they accumulate takes two models, and divergence_add() does it. */
enum { DIVERGENCE_WIDTH = 6, DIVERGENCE_METRICS = 5 };
void divergence_add(const struct divergence *d, double *stats /* [DIVERGENCE_WIDTH] */);
/* kl_divergence, kl_reverse, same_top, probability_change, probability_change_rms; NULL past the end. */
const struct metric *divergence_metric(size_t i);

/* ln(perplexity), of the perplexity metric's own statistics: the difference of two subjects is the logarithm of the
 * ratio of their perplexities. */
extern const struct metric metric_log_perplexity;

#endif
