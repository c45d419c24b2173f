/* Perplexity: exp of the mean negative log-likelihood by token, word, byte, or given continuation, all items summed
 * before the division (as lm-evaluation-harness weighs documents); bits per byte: the same mean in bits. */
#include "metrics/metric.h"

#include <inttypes.h>
#include <math.h>

static int accumulate(const struct outcome *o, int64_t units, const char *what, double *stats, struct error *e)
{
    if (!isfinite(o->nll)) return error_set(e, ERROR_NUMBER, "the document's negative log-likelihood is %g", o->nll);
    if (units < 0) return error_set(e, ERROR_INPUT, "%s: %" PRId64 " is not a count", what, units);
    stats[0] = o->nll;
    stats[1] = (double)units;
    return 0;
}

static int by_tokens(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, o->tokens, "tokens", stats, e);
}

static int by_words(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, o->words, "words", stats, e);
}

static int by_bytes(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    return accumulate(o, o->bytes, "bytes", stats, e);
}

static int by_continuation(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    if (!isfinite(o->loglikelihood))
        return error_set(e, ERROR_NUMBER, "the continuation's log-likelihood is %g", o->loglikelihood);
    stats[0] = -o->loglikelihood;
    stats[1] = 1;
    return 0;
}

static double perplexity(const double *sums, const void *settings)
{
    return sums[1] > 0 ? exp(sums[0] / sums[1]) : NAN;
}
static double bits(const double *sums, const void *settings) { return sums[1] > 0 ? sums[0] / sums[1] / log(2) : NAN; }

const struct metric metric_perplexity = {
    .name = "perplexity",
    .kind = OUTCOME_ROLLING,
    .better = BETTER_LOWER,
    .width = 2,
    .unit = "",
    .accumulate = by_tokens,
    .finish = perplexity,
};
const struct metric metric_perplexity_likelihood = {
    .name = "perplexity",
    .kind = OUTCOME_LIKELIHOOD,
    .better = BETTER_LOWER,
    .width = 2,
    .unit = "",
    .accumulate = by_continuation,
    .finish = perplexity,
};
const struct metric metric_word_perplexity = {
    .name = "word_perplexity",
    .kind = OUTCOME_ROLLING,
    .better = BETTER_LOWER,
    .width = 2,
    .unit = "",
    .accumulate = by_words,
    .finish = perplexity,
};
const struct metric metric_byte_perplexity = {
    .name = "byte_perplexity",
    .kind = OUTCOME_ROLLING,
    .better = BETTER_LOWER,
    .width = 2,
    .unit = "",
    .accumulate = by_bytes,
    .finish = perplexity,
};
const struct metric metric_bits_per_byte = {
    .name = "bits_per_byte",
    .kind = OUTCOME_ROLLING,
    .better = BETTER_LOWER,
    .width = 2,
    .unit = "bit",
    .accumulate = by_bytes,
    .finish = bits,
};
