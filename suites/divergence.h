/* What a walk says about a candidate: how far its predictions are from the baseline's.
 *
 *     struct divergences d;
 *     if (divergences_measure(&d, &walk, 1, &resampling, e)) return e->code;
 *     d.means[0].value             mean KL(baseline || candidate), nats, with its interval over documents or windows
 *     json_t *rows = divergences_metrics(&d);                   as metrics of run.json
 *     json_t *j = divergences_record(&d);                       quantiles and the ratio of perplexities
 */
#ifndef KERF_SUITES_DIVERGENCE_H
#define KERF_SUITES_DIVERGENCE_H

#include "metrics/resampling.h"
#include "suites/walk.h"

/* Thresholds of the distribution, in nats: 10^(k / 4 - 8) for k from 0 on. */
enum { KL_QUANTILES = 6, CHANGE_QUANTILES = 9, KL_THRESHOLDS = 41 };
extern const double kl_quantiles[KL_QUANTILES];         /* 0.5, 0.9, 0.95, 0.99, 0.999, 1 */
extern const double change_quantiles[CHANGE_QUANTILES]; /* 0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1 */

struct divergences {
    struct estimate means[DIVERGENCE_METRICS];                                /* of divergence_metric(i) */
    double kl[KL_QUANTILES], reverse[KL_QUANTILES], change[CHANGE_QUANTILES]; /* over all tokens */
    double above[KL_THRESHOLDS]; /* share of the tokens with a larger divergence */
    struct difference log_ratio; /* ln(perplexity / the baseline's), paired over documents or windows */
};

int divergences_measure(struct divergences *d, const struct walk *w, size_t subject, const struct resampling *how,
                        struct error *e);

/* [{name, value, stderr, ci95, better, unit}]: kl_divergence, kl_reverse, same_top, probability_change(_rms). */
json_t *divergences_metrics(const struct divergences *d);
/* {"log_ratio", "kl_quantiles", "kl_reverse_quantiles", "change_quantiles", "kl_above"}, a quantile's name its q:
 * {"0.5": ...}; kl_above: [[nats, share of the tokens above], ...] up to the first share of 0. */
json_t *divergences_record(const struct divergences *d);
/* [{kl, item, position, token, before, baseline: {top, p_top, p_token}, candidate: {...}}], the worst first; item and
 * position count from 0, texts are as the tokenizer decodes them. */
json_t *worst_record(const struct walked *subject, const struct requests *q, const struct tokenizer *t);
json_t *noise_floor_record(const struct noise_floor *f); /* null where it was not measured */

#endif
