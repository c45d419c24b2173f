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

static int by_tokens(const struct outcome *o, double *stats, struct error *e)
{
    return accumulate(o, o->tokens, "tokens", stats, e);
}

static int by_words(const struct outcome *o, double *stats, struct error *e)
{
    return accumulate(o, o->words, "words", stats, e);
}

static int by_bytes(const struct outcome *o, double *stats, struct error *e)
{
    return accumulate(o, o->bytes, "bytes", stats, e);
}

static int by_continuation(const struct outcome *o, double *stats, struct error *e)
{
    if (!isfinite(o->loglikelihood))
        return error_set(e, ERROR_NUMBER, "the continuation's log-likelihood is %g", o->loglikelihood);
    stats[0] = -o->loglikelihood;
    stats[1] = 1;
    return 0;
}

static double perplexity(const double *sums) { return sums[1] > 0 ? exp(sums[0] / sums[1]) : NAN; }
static double bits(const double *sums) { return sums[1] > 0 ? sums[0] / sums[1] / log(2) : NAN; }

const struct metric metric_perplexity = {"perplexity", OUTCOME_ROLLING, BETTER_LOWER, 2,   false,
                                         "",           by_tokens,       perplexity,   NULL};
const struct metric metric_perplexity_likelihood = {"perplexity", OUTCOME_LIKELIHOOD, BETTER_LOWER, 2,   false,
                                                    "",           by_continuation,    perplexity,   NULL};
const struct metric metric_word_perplexity = {"word_perplexity", OUTCOME_ROLLING, BETTER_LOWER, 2, false, "",
                                              by_words,          perplexity,      NULL};
const struct metric metric_byte_perplexity = {"byte_perplexity", OUTCOME_ROLLING, BETTER_LOWER, 2, false, "",
                                              by_bytes,          perplexity,      NULL};
const struct metric metric_bits_per_byte = {"bits_per_byte", OUTCOME_ROLLING, BETTER_LOWER, 2,   false,
                                            "bit",           by_bytes,        bits,         NULL};
