/* Correlation of the numbers that texts are with those that their references are.
 *   pearson    of the numbers
 *   spearman   of their ranks, equal numbers sharing the mean of theirs: Pearson's of the ranks
 * Option default: the number that a text stands for which is none; without it such a text is an error. Undefined where
 * either side is the same for all items.
 *
 * Resamples of a rank correlation draw items with the ranks they have among all items. */
#include "engine/base/memory.h"
#include "engine/base/number.h"
#include "metrics/ngrams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* X and Y are the two numbers, after prepare() what became of them; the products are filled then. */
enum { N, X, Y, XX, YY, XY, WIDTH };

struct correlation {
    bool has_default;
    double otherwise;
};

static int configure(void *settings, const char *key, const char *value, struct error *e)
{
    struct correlation *x = settings;
    x->has_default = true;
    return setting_is_number(value, -1e300, 1e300, &x->otherwise, e);
}

/* The one word of a text as a number. */
static bool number_of(const char *text, double *out)
{
    struct sequence words = {0};
    struct error e;
    char digits[64];
    bool good = sequence_words(&words, text, strlen(text), &e) == 0 && words.length == 1 &&
                words.symbols[0].length < sizeof digits;
    if (good) {
        memcpy(digits, words.symbols[0].bytes, words.symbols[0].length);
        digits[words.symbols[0].length] = '\0';
        good = number_real(digits, out) && fabs(*out) <= 1e300;
    }
    sequence_free(&words);
    return good;
}

static int accumulate(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const struct correlation *x = settings;
    const int status = generation_check(o, e);
    if (status) return status;
    for (size_t k = 0; k < WIDTH; k++) stats[k] = 0;
    stats[N] = 1;
    if (!number_of(o->references[0], &stats[Y]))
        return error_set(e, ERROR_INPUT, "references: \"%.60s\" is not a number", o->references[0]);
    if (number_of(o->text, &stats[X])) return 0;
    if (!x->has_default) return error_set(e, ERROR_INPUT, "text: \"%.60s\" is not a number; see default", o->text);
    stats[X] = x->otherwise;
    return 0;
}

/* Shifts and scales both numbers of all items so that the references have a mean of 0 and are at most 1 away from it,
 * then multiplies. No correlation changes, and sums of products lose no digits to what all have in common. The map is
 * the same for every subject, so that items of two can be swapped. */
static int moments(const void *settings, double *stats, size_t n, struct error *e)
{
    double mean = 0, widest = 0;
    for (size_t i = 0; i < n; i++) mean += stats[i * WIDTH + Y] / (double)n;
    for (size_t i = 0; i < n; i++) widest = fmax(widest, fabs(stats[i * WIDTH + Y] - mean));
    for (size_t i = 0; i < n; i++) {
        double *s = stats + i * WIDTH;
        s[X] = widest > 0 ? (s[X] - mean) / widest : 0;
        s[Y] = widest > 0 ? (s[Y] - mean) / widest : 0;
        s[XX] = s[X] * s[X];
        s[YY] = s[Y] * s[Y];
        s[XY] = s[X] * s[Y];
    }
    return 0;
}

struct placed {
    double value, *place;
};

static int by_value(const void *a, const void *b)
{
    const double x = ((const struct placed *)a)->value, y = ((const struct placed *)b)->value;
    return (x > y) - (x < y);
}

/* Puts ranks from 1 in the place of values, the mean rank of each run of equals. */
static void rank(double *values /* [n], WIDTH apart */, size_t n, struct placed *sorted /* [n] */)
{
    for (size_t i = 0; i < n; i++) sorted[i] = (struct placed){values[i * WIDTH], &values[i * WIDTH]};
    qsort(sorted, n, sizeof *sorted, by_value);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && sorted[end].value == sorted[i].value;) end++;
        for (size_t k = i; k < end; k++) *sorted[k].place = (double)(i + 1 + end) / 2;
    }
}

static int moments_of_ranks(const void *settings, double *stats, size_t n, struct error *e)
{
    struct placed *sorted = memory_new(n, sizeof *sorted, "ranks", e);
    if (!sorted) return ERROR_IO;
    rank(stats + X, n, sorted);
    rank(stats + Y, n, sorted);
    free(sorted);
    return moments(settings, stats, n, e);
}

static double correlation(const double *sums, const void *settings)
{
    const double n = sums[N];
    if (n <= 0) return NAN;
    const double xx = sums[XX] - sums[X] * sums[X] / n, yy = sums[YY] - sums[Y] * sums[Y] / n;
    /* no more than rounding leaves where all are equal; or too large to be squared */
    if (!(xx > 1e-12 * sums[XX] && yy > 1e-12 * sums[YY])) return NAN;
    return fmax(-1, fmin(1, (sums[XY] - sums[X] * sums[Y] / n) / sqrt(xx * yy)));
}

const struct metric metric_pearson = {
    .name = "pearson",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "",
    .options = (const char *const[]){"default", NULL},
    .configure = configure,
    .accumulate = accumulate,
    .prepare = moments,
    .finish = correlation,
};
const struct metric metric_spearman = {
    .name = "spearman",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "",
    .options = (const char *const[]){"default", NULL},
    .configure = configure,
    .accumulate = accumulate,
    .prepare = moments_of_ranks,
    .finish = correlation,
};
