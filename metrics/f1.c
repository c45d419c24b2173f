/* Classification scores from the confusion counts; the choices are the classes, the most likely one is the prediction.
 *   f1        2 tp / (2 tp + fp + fn) of two classes, choice 1 the positive one
 *   macro_f1  the mean of every class's F1 against the rest
 *   mcc       Matthews correlation, for K classes the R_K of Gorodkin (2004), of which two classes are a case
 * As in scikit-learn a score whose denominator is 0 is 0. */
#include "metrics/metric.h"

#include <math.h>

enum { CLASSES = 8, CONFUSIONS = CLASSES * CLASSES, WIDTH = CONFUSIONS + CLASSES };

/* stats[8 gold + predicted] counts the pairs, stats[64 + k - 1] the items of k choices: so the sums know how many
 * classes there are, also where one is neither right nor predicted. */
static int accumulate(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const int status = choice_check(o, e);
    if (status) return status;
    if (o->n_choices > CLASSES)
        return error_set(e, ERROR_INPUT, "choices: %zu classes are more than the %d that F1 and MCC take", o->n_choices,
                         CLASSES);
    for (size_t i = 0; i < WIDTH; i++) stats[i] = 0;
    stats[CLASSES * o->gold + choice_best(o, NULL)] = 1;
    stats[CONFUSIONS + o->n_choices - 1] = 1;
    return 0;
}

static int accumulate_binary(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const int status = choice_check(o, e);
    if (status) return status;
    if (o->n_choices != 2)
        return error_set(e, ERROR_INPUT, "choices: f1 takes 2, not %zu; macro_f1 takes more", o->n_choices);
    for (size_t i = 0; i < 4; i++) stats[i] = 0;
    stats[2 * o->gold + choice_best(o, NULL)] = 1;
    return 0;
}

/* 2 tp / (right + predicted), where right and predicted count the class's items by either. */
static double f1_of(double tp, double right, double predicted)
{
    return right + predicted > 0 ? 2 * tp / (right + predicted) : 0;
}

static double f1(const double *sums, const void *settings)
{
    if (sums[0] + sums[1] + sums[2] + sums[3] <= 0) return NAN;
    return f1_of(sums[3], sums[2] + sums[3], sums[1] + sums[3]);
}

static void margins(const double *sums, double *right /* [CLASSES] */, double *predicted /* [CLASSES] */)
{
    for (size_t k = 0; k < CLASSES; k++) {
        right[k] = predicted[k] = 0;
        for (size_t j = 0; j < CLASSES; j++) {
            right[k] += sums[CLASSES * k + j];
            predicted[k] += sums[CLASSES * j + k];
        }
    }
}

static double macro_f1(const double *sums, const void *settings)
{
    size_t classes = CLASSES;
    while (classes && sums[CONFUSIONS + classes - 1] <= 0) classes--;
    if (!classes) return NAN;
    double right[CLASSES], predicted[CLASSES], sum = 0;
    margins(sums, right, predicted);
    for (size_t k = 0; k < classes; k++) sum += f1_of(sums[CLASSES * k + k], right[k], predicted[k]);
    return sum / (double)classes;
}

static double mcc(const double *sums, const void *settings)
{
    double right[CLASSES], predicted[CLASSES], n = 0, correct = 0, both = 0, squares_right = 0, squares_predicted = 0;
    margins(sums, right, predicted);
    for (size_t k = 0; k < CLASSES; k++) {
        n += right[k];
        correct += sums[CLASSES * k + k];
        both += right[k] * predicted[k];
        squares_right += right[k] * right[k];
        squares_predicted += predicted[k] * predicted[k];
    }
    if (n <= 0) return NAN;
    const double spread = (n * n - squares_right) * (n * n - squares_predicted);
    return spread > 0 ? (correct * n - both) / sqrt(spread) : 0;
}

const struct metric metric_f1 = {
    .name = "f1",
    .kind = OUTCOME_CHOICE,
    .better = BETTER_HIGHER,
    .width = 4,
    .unit = "",
    .accumulate = accumulate_binary,
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
