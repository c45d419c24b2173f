/* Classification: the choices are the classes, the most likely one is the prediction.
 *   precision  of the items predicted as a class, the share that is of it
 *   recall     of the items of a class, the share predicted as it
 *   f1         their harmonic mean, 2 hits / (gold + predicted)
 *   macro_f1   f1 with average=macro
 *   mcc        Matthews correlation, for K classes the R_K of Gorodkin (2004), of which two classes are a case
 * As in scikit-learn a score whose denominator is 0 is 0, and `average` is
 *   binary     of two classes, choice 1 the positive one (default)
 *   macro      the mean over the classes that occur, as gold or as prediction
 *   micro      of all classes' counts together
 *   weighted   the mean over the classes, weighted by their gold items */
#include "metrics/confusion.h"

#include <math.h>

enum average { AVERAGE_BINARY, AVERAGE_MACRO, AVERAGE_MICRO, AVERAGE_WEIGHTED };
enum { WIDTH = 3 * CLASSES };

struct classification {
    int average;
};

/* The items of a class, those predicted as it, and those that are both. */
struct counts {
    double gold, predicted, hits;
};

static int configure(void *settings, const char *key, const char *value, struct error *e)
{
    static const char *const averages[] = {[AVERAGE_BINARY] = "binary",
                                           [AVERAGE_MACRO] = "macro",
                                           [AVERAGE_MICRO] = "micro",
                                           [AVERAGE_WEIGHTED] = "weighted",
                                           NULL};
    struct classification *x = settings;
    return setting_is_word(value, averages, &x->average, e);
}

/* The counts of class k stand at stats[3 k]. */
static int accumulate(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const int status = choice_check(o, e);
    if (status) return status;
    if (o->n_choices > CLASSES)
        return error_set(e, ERROR_INPUT, "choices: %zu classes are more than the %d that F1 and MCC take", o->n_choices,
                         CLASSES);
    const size_t predicted = choice_best(o, NULL);
    for (size_t i = 0; i < WIDTH; i++) stats[i] = 0;
    stats[3 * o->gold]++;
    stats[3 * predicted + 1]++;
    stats[3 * predicted + 2] = predicted == o->gold;
    return 0;
}

static int accumulate_averaged(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const struct classification *x = settings;
    if (x->average == AVERAGE_BINARY && o->n_choices != 2)
        return error_set(e, ERROR_INPUT,
                         "choices: average=binary takes 2, not %zu; macro, micro and weighted take more", o->n_choices);
    return accumulate(o, settings, stats, e);
}

static struct counts counts_of(const double *sums, size_t k)
{
    return (struct counts){sums[3 * k], sums[3 * k + 1], sums[3 * k + 2]};
}

static struct counts counts_of_all(const double *sums)
{
    struct counts all = {0};
    for (size_t k = 0; k < CLASSES; k++) {
        const struct counts c = counts_of(sums, k);
        all.gold += c.gold, all.predicted += c.predicted, all.hits += c.hits;
    }
    return all;
}

static double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }
static double precision_of(struct counts c) { return ratio(c.hits, c.predicted); }
static double recall_of(struct counts c) { return ratio(c.hits, c.gold); }
static double f1_of(struct counts c) { return ratio(2 * c.hits, c.gold + c.predicted); }

static double averaged(const double *sums, int average, double (*score)(struct counts))
{
    const struct counts all = counts_of_all(sums);
    if (all.gold <= 0) return NAN;
    if (average == AVERAGE_BINARY) return score(counts_of(sums, 1));
    if (average == AVERAGE_MICRO) return score(all);
    double sum = 0, weights = 0;
    for (size_t k = 0; k < CLASSES; k++) {
        const struct counts c = counts_of(sums, k);
        const double weight = average == AVERAGE_WEIGHTED ? c.gold : c.gold + c.predicted > 0;
        sum += weight * score(c);
        weights += weight;
    }
    return sum / weights;
}

static double precision(const double *sums, const void *settings)
{
    return averaged(sums, ((const struct classification *)settings)->average, precision_of);
}

static double recall(const double *sums, const void *settings)
{
    return averaged(sums, ((const struct classification *)settings)->average, recall_of);
}

static double f1(const double *sums, const void *settings)
{
    return averaged(sums, ((const struct classification *)settings)->average, f1_of);
}

static double macro_f1(const double *sums, const void *settings) { return averaged(sums, AVERAGE_MACRO, f1_of); }

static double mcc(const double *sums, const void *settings)
{
    const double n = counts_of_all(sums).gold, hits = counts_of_all(sums).hits;
    double both = 0, squares_gold = 0, squares_predicted = 0;
    for (size_t k = 0; k < CLASSES; k++) {
        const struct counts c = counts_of(sums, k);
        both += c.gold * c.predicted;
        squares_gold += c.gold * c.gold;
        squares_predicted += c.predicted * c.predicted;
    }
    if (n <= 0) return NAN;
    const double spread = (n * n - squares_gold) * (n * n - squares_predicted);
    return spread > 0 ? (hits * n - both) / sqrt(spread) : 0;
}

const struct metric metric_precision = {
    .name = "precision",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "",
    .options = (const char *const[]){"average", NULL},
    .configure = configure,
    .accumulate = accumulate_averaged,
    .finish = precision,
};
const struct metric metric_recall = {
    .name = "recall",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "",
    .options = (const char *const[]){"average", NULL},
    .configure = configure,
    .accumulate = accumulate_averaged,
    .finish = recall,
};
const struct metric metric_f1 = {
    .name = "f1",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "",
    .options = (const char *const[]){"average", NULL},
    .configure = configure,
    .accumulate = accumulate_averaged,
    .finish = f1,
};
const struct metric metric_macro_f1 = {
    .name = "macro_f1",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "",
    .accumulate = accumulate,
    .finish = macro_f1,
};
const struct metric metric_mcc = {
    .name = "mcc",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "",
    .accumulate = accumulate,
    .finish = mcc,
};
