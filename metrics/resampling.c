#include "metrics/resampling.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "metrics/significance.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1024, LANES = 8, SIDES = 2, MOST = SIDES * METRIC_WIDTH, DEFAULT_RESAMPLES = 10000 };

/* The statistics as the resampler reads them: of the one or two sides, column by column, only those that differ between
 * items (a confusion matrix is mostly empty, a mean's count is always 1); the others' sums are always n times theirs. */
struct packed {
    const struct measure *measure;
    size_t n, sides, columns;
    size_t place[MOST]; /* column -> side * width + statistic */
    double base[MOST];  /* [sides, width]: the sums without the columns */
    double *values;     /* [columns, n] */
    uint32_t *weights;  /* [threads, n]: how often an item was drawn */
    uint64_t seed;
};

static bool is_constant(const double *stats, size_t n, size_t stride)
{
    for (size_t i = 1; i < n; i++)
        if (stats[i * stride] != stats[0]) return false;
    return true;
}

static void packed_close(struct packed *p)
{
    free(p->values);
    free(p->weights);
}

/* `drawn`: the weights will add up to n. */
static int packed_open(struct packed *p, const struct measure *m, const double *const sides[SIDES], size_t n,
                       uint64_t seed, bool drawn, struct error *e)
{
    *p = (struct packed){.measure = m, .n = n, .sides = sides[1] ? 2 : 1, .seed = seed};
    if (n > UINT32_MAX) return error_set(e, ERROR_INPUT, "%zu items are more than resampling takes", n);
    const size_t width = m->metric->width;
    for (size_t k = 0; k < p->sides * width; k++) {
        const double *from = sides[k / width] + k % width;
        if (is_constant(from, n, width) && (drawn || from[0] == 0))
            p->base[k] = (double)n * from[0];
        else
            p->place[p->columns++] = k;
    }
    p->values = memory_new(n, p->columns * sizeof *p->values, "statistics to resample", e);
    p->weights = memory_new(n, (size_t)omp_get_max_threads() * sizeof *p->weights, "draws", e);
    if (!p->values || !p->weights) return ERROR_IO;
    for (size_t c = 0; c < p->columns; c++) {
        const double *from = sides[p->place[c] / width] + p->place[c] % width;
        for (size_t i = 0; i < n; i++) p->values[c * n + i] = from[i * width];
    }
    return 0;
}

/* Adds weight times value to the lanes: item i to lane i % LANES, so that the order of additions is one and the same
 * whatever the compiler makes of the loop. */
static void add_weighted(const double *values, const double *weights, size_t n, double *lanes /* [LANES] */)
{
    double sums[LANES];
    memcpy(sums, lanes, sizeof sums);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++) sums[k] += weights[i + k] * values[i + k];
    for (; i < n; i++) sums[i % LANES] += weights[i] * values[i];
    memcpy(lanes, sums, sizeof sums);
}

/* The weighted sums of all columns. */
static void sum_weighted(const struct packed *p, const uint32_t *weights /* [n] */, double *sums /* [columns] */)
{
    double lanes[MOST * LANES], wide[CHUNK];
    for (size_t k = 0; k < p->columns * LANES; k++) lanes[k] = 0;
    for (size_t start = 0; start < p->n; start += CHUNK) {
        const size_t count = p->n - start < CHUNK ? p->n - start : CHUNK;
        for (size_t i = 0; i < count; i++) wide[i] = (double)weights[start + i];
        for (size_t c = 0; c < p->columns; c++)
            add_weighted(p->values + c * p->n + start, wide, count, lanes + c * LANES);
    }
    for (size_t c = 0; c < p->columns; c++) {
        const double *l = lanes + c * LANES;
        sums[c] = ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7]));
    }
}

/* The generator of resample r. */
static struct random stream(uint64_t seed, uint64_t r)
{
    struct random g = {seed};
    g.state = random_next(&g) + r * 0xd1b54a32d192ed03u;
    return (struct random){random_next(&g)};
}

/* The value of one resample of as many items, drawn with replacement; of two sides their difference. */
static double value_of_draw(const struct packed *p, size_t r, uint32_t *weights /* [n] */)
{
    struct random g = stream(p->seed, r);
    memset(weights, 0, p->n * sizeof *weights);
    for (size_t i = 0; i < p->n; i++) weights[random_below(&g, (uint32_t)p->n)]++;
    double sums[MOST], all[MOST];
    sum_weighted(p, weights, sums);
    memcpy(all, p->base, p->sides * p->measure->metric->width * sizeof *all);
    for (size_t c = 0; c < p->columns; c++) all[p->place[c]] = sums[c];
    const double first = measure_finish(p->measure, all);
    return p->sides == 1 ? first : measure_finish(p->measure, all + p->measure->metric->width) - first;
}

/* The difference of one trial of randomization. The one side packed is candidate - baseline: what an item that is
 * swapped adds to the baseline's sums and takes from the candidate's, which are the base. */
static double value_of_swaps(const struct packed *p, size_t r, uint32_t *weights /* [n] */)
{
    struct random g = stream(p->seed, r);
    uint64_t bits = 0;
    for (size_t i = 0; i < p->n; i++, bits >>= 1) {
        if (i % 64 == 0) bits = random_next(&g);
        weights[i] = bits & 1;
    }
    const size_t width = p->measure->metric->width;
    double sums[MOST], all[MOST];
    sum_weighted(p, weights, sums);
    memcpy(all, p->base, SIDES * width * sizeof *all);
    for (size_t c = 0; c < p->columns; c++) {
        all[p->place[c]] += sums[c];
        all[p->place[c] + width] -= sums[c];
    }
    return measure_finish(p->measure, all + width) - measure_finish(p->measure, all);
}

/* The values of all resamples. */
static void resample(const struct packed *p, double (*value)(const struct packed *, size_t, uint32_t *), double *values,
                     size_t resamples)
{
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < resamples; r++) values[r] = value(p, r, p->weights + (size_t)omp_get_thread_num() * p->n);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile_of(const double *sorted, size_t n, double q)
{
    if (!n) return NAN;
    const double at = (double)(n - 1) * q;
    const size_t below = (size_t)at;
    if (below + 1 >= n) return sorted[n - 1];
    const double part = at - (double)below;
    return part > 0 ? sorted[below] + part * (sorted[below + 1] - sorted[below]) : sorted[below];
}

/* The sample standard deviation; a, then b taken off where it is given, with that stride. */
static double deviation(const double *a, const double *b, size_t stride, size_t n)
{
    if (n < 2) return NAN;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += a[i * stride] - (b ? b[i * stride] : 0);
    const double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        const double d = a[i * stride] - (b ? b[i * stride] : 0) - mean;
        squares += d * d;
    }
    return sqrt(squares / (double)(n - 1));
}

/* What the resampled values say. */
struct spread {
    double deviation, low, high, p;
};

static struct spread spread_of(double *values, size_t resamples)
{
    size_t n = 0, not_above = 0, not_below = 0;
    for (size_t r = 0; r < resamples; r++) {
        if (isnan(values[r])) continue;
        not_above += values[r] <= 0;
        not_below += values[r] >= 0;
        values[n++] = values[r];
    }
    if (!n) return (struct spread){NAN, NAN, NAN, NAN};
    qsort(values, n, sizeof *values, ascending);
    const size_t rarer = not_above < not_below ? not_above : not_below;
    return (struct spread){
        .deviation = deviation(values, NULL, 1, n),
        .low = quantile_of(values, n, 0.025),
        .high = quantile_of(values, n, 0.975),
        .p = fmin(1, 2 * ((double)rarer + 1) / ((double)n + 1)),
    };
}

static int spread_by_resampling(const struct measure *m, const double *const sides[SIDES], size_t n,
                                const struct resampling *how, struct spread *out, struct error *e)
{
    *out = (struct spread){NAN, NAN, NAN, NAN};
    if (n < 2) return 0;
    const size_t resamples = how->resamples ? how->resamples : DEFAULT_RESAMPLES;
    struct packed packed;
    int status = packed_open(&packed, m, sides, n, how->seed, true, e);
    double *values = status ? NULL : memory_new(resamples, sizeof *values, "resampled values", e);
    if (!status && !values) status = ERROR_IO;
    if (!status) {
        resample(&packed, value_of_draw, values, resamples);
        *out = spread_of(values, resamples);
    }
    free(values);
    packed_close(&packed);
    return status;
}

static bool is_right_or_wrong(const struct measure *m, const double *stats, size_t n)
{
    if (!m->metric->is_mean || m->metric->better != BETTER_HIGHER) return false;
    for (size_t i = 0; i < n; i++) {
        const double *s = stats + i * m->metric->width;
        if ((s[0] != 0 && s[0] != 1) || s[1] != 1) return false;
    }
    return true;
}

/* The interval of a share that needs no resampling. */
static struct spread spread_of_share(const double *stats, size_t n, size_t width)
{
    int64_t right = 0;
    for (size_t i = 0; i < n; i++) right += stats[i * width] > 0;
    struct spread s = {.deviation = NAN, .p = NAN};
    clopper_pearson(right, (int64_t)n, 0.95, &s.low, &s.high);
    return s;
}

int measure_estimate(const struct measure *m, const double *stats, size_t n, const struct resampling *how,
                     struct estimate *out, struct error *e)
{
    struct spread s;
    const size_t width = m->metric->width;
    const bool exact = n > 1 && n <= UINT32_MAX && is_right_or_wrong(m, stats, n);
    if (exact) s = spread_of_share(stats, n, width);
    const int status = exact ? 0 : spread_by_resampling(m, (const double *const[SIDES]){stats, NULL}, n, how, &s, e);
    if (status) return status;
    *out = (struct estimate){.value = measure_value(m, stats, n), .low = s.low, .high = s.high, .n = n, .exact = exact};
    out->standard_error = m->metric->is_mean ? deviation(stats, NULL, width, n) / sqrt((double)n) : s.deviation;
    return 0;
}

static void count_flips(const struct measure *m, const double *baseline, const double *candidate, size_t n,
                        struct difference *out)
{
    out->gained = out->lost = 0;
    for (size_t i = 0; i < n; i++) {
        const double was = baseline[i * m->metric->width], is = candidate[i * m->metric->width];
        out->gained += is > was;
        out->lost += is < was;
    }
    out->mcnemar = true;
    out->p = mcnemar_exact(out->gained, out->lost);
}

int measure_compare(const struct measure *m, const double *baseline, const double *candidate, size_t n,
                    const struct resampling *how, struct difference *out, struct error *e)
{
    struct spread s;
    const int status = spread_by_resampling(m, (const double *const[SIDES]){baseline, candidate}, n, how, &s, e);
    if (status) return status;
    const double least = ldexp(1, n < 1024 ? 1 - (int)n : -1024); /* all of n on one side, by chance: NAN stays */
    if (s.p < least) s.p = least;
    *out = (struct difference){.value = measure_value(m, candidate, n) - measure_value(m, baseline, n),
                               .standard_error = s.deviation,
                               .low = s.low,
                               .high = s.high,
                               .p = s.p,
                               .gained = -1,
                               .lost = -1};
    if (m->metric->is_mean) out->standard_error = deviation(candidate, baseline, m->metric->width, n) / sqrt((double)n);
    if (n && is_right_or_wrong(m, baseline, n) && is_right_or_wrong(m, candidate, n))
        count_flips(m, baseline, candidate, n, out);
    return 0;
}

/* Candidate - baseline of each statistic of each item, and both sums one after the other. */
static double *differences_new(const struct measure *m, const double *baseline, const double *candidate, size_t n,
                               double *sums /* [2, width] */, struct error *e)
{
    const size_t width = m->metric->width;
    double *d = memory_new(n, width * sizeof *d, "differences of statistics", e);
    for (size_t k = 0; d && k < n * width; k++) {
        d[k] = candidate[k] - baseline[k];
        sums[k % width] += baseline[k];
        sums[width + k % width] += candidate[k];
    }
    return d;
}

/* Differences that are equal but for rounding are equal. */
static double share_at_least(const double *values, size_t n, double found, double slack)
{
    size_t defined = 0, larger = 0;
    for (size_t r = 0; r < n; r++) {
        if (isnan(values[r])) continue;
        defined++;
        larger += fabs(values[r]) >= fabs(found) - slack;
    }
    return ((double)larger + 1) / ((double)defined + 1);
}

int measure_randomize(const struct measure *m, const double *baseline, const double *candidate, size_t n,
                      const struct resampling *how, double *p, struct error *e)
{
    *p = NAN;
    if (n == 0) return 0;
    const size_t trials = how->resamples ? how->resamples : DEFAULT_RESAMPLES;
    struct packed packed = {0};
    double sums[MOST] = {0};
    double *d = differences_new(m, baseline, candidate, n, sums, e);
    int status = d ? packed_open(&packed, m, (const double *const[SIDES]){d, NULL}, n, how->seed, false, e) : ERROR_IO;
    double *values = status ? NULL : memory_new(trials, sizeof *values, "differences of trials", e);
    if (!status && !values) status = ERROR_IO;
    const double was = measure_finish(m, sums), is = measure_finish(m, sums + m->metric->width);
    if (!status && !isnan(is - was)) {
        memcpy(packed.base, sums, sizeof sums);
        resample(&packed, value_of_swaps, values, trials);
        *p = share_at_least(values, trials, is - was, 1e-12 * (fabs(was) + fabs(is)));
    }
    free(values);
    packed_close(&packed);
    free(d);
    return status;
}
