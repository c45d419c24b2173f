#include "metrics/resampling.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 4, CHUNK = 1024, SIDES = 2, MOST = SIDES * METRIC_WIDTH, DEFAULT_RESAMPLES = 10000 };
_Static_assert(MOST % BLOCK == 0, "the packed sums fill whole blocks");

/* The statistics as the resampler reads them: of the one or two sides, only the columns that are not 0 for every item
 * (a confusion matrix is mostly empty), four of them at a time so that an item's are one load. */
struct packed {
    const struct measure *measure;
    size_t n, sides, columns;
    size_t place[MOST]; /* column -> side * width + statistic */
    double *rows;       /* [blocks, n, BLOCK] */
    uint64_t seed;
};

static size_t blocks_of(size_t columns) { return (columns + BLOCK - 1) / BLOCK; }

static bool is_used(const double *stats, size_t n, size_t width, size_t column)
{
    for (size_t i = 0; i < n; i++)
        if (stats[i * width + column] != 0) return true;
    return false;
}

static int packed_open(struct packed *p, const struct measure *m, const double *const sides[SIDES], size_t n,
                       uint64_t seed, struct error *e)
{
    *p = (struct packed){.measure = m, .n = n, .sides = sides[1] ? 2 : 1, .seed = seed};
    if (n > UINT32_MAX) return error_set(e, ERROR_INPUT, "%zu items are more than resampling takes", n);
    const size_t width = m->metric->width;
    for (size_t k = 0; k < p->sides * width; k++)
        if (is_used(sides[k / width], n, width, k % width)) p->place[p->columns++] = k;
    const size_t blocks = blocks_of(p->columns);
    p->rows = memory_new(n, blocks * BLOCK * sizeof *p->rows, "statistics to resample", e);
    if (!p->rows) return ERROR_IO;
    for (size_t c = 0; c < p->columns; c++) {
        const double *from = sides[p->place[c] / width] + p->place[c] % width;
        double *to = p->rows + c / BLOCK * n * BLOCK + c % BLOCK;
        for (size_t i = 0; i < n; i++) to[i * BLOCK] = from[i * width];
    }
    return 0;
}

/* Adds the drawn rows of one block, in the order of the draw. */
static void add_rows(const double *rows /* [n, BLOCK] */, const uint32_t *drawn, size_t count,
                     double *sums /* [BLOCK] */)
{
    double a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    for (size_t i = 0; i < count; i++) {
        const double *row = rows + (size_t)drawn[i] * BLOCK;
        a += row[0], b += row[1], c += row[2], d += row[3];
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

/* The generator of resample r. */
static struct random stream(uint64_t seed, uint64_t r)
{
    struct random g = {seed};
    g.state = random_next(&g) + r * 0xd1b54a32d192ed03u;
    return (struct random){random_next(&g)};
}

static void sum_resample(const struct packed *p, size_t r, double *sums /* [sides, width] */)
{
    double packed[MOST] = {0};
    uint32_t drawn[CHUNK];
    struct random g = stream(p->seed, r);
    for (size_t done = 0; done < p->n;) {
        const size_t count = p->n - done < CHUNK ? p->n - done : CHUNK;
        for (size_t i = 0; i < count; i++) drawn[i] = random_below(&g, (uint32_t)p->n);
        for (size_t b = 0; b < blocks_of(p->columns); b++)
            add_rows(p->rows + b * p->n * BLOCK, drawn, count, packed + b * BLOCK);
        done += count;
    }
    for (size_t k = 0; k < p->sides * p->measure->metric->width; k++) sums[k] = 0;
    for (size_t c = 0; c < p->columns; c++) sums[p->place[c]] = packed[c];
}

/* The values of all resamples, of two sides their differences. */
static void resample(const struct packed *p, double *values, size_t resamples)
{
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < resamples; r++) {
        double sums[MOST];
        sum_resample(p, r, sums);
        const double first = measure_finish(p->measure, sums);
        values[r] = p->sides == 1 ? first : measure_finish(p->measure, sums + p->measure->metric->width) - first;
    }
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
    int status = packed_open(&packed, m, sides, n, how->seed, e);
    double *values = status ? NULL : memory_new(resamples, sizeof *values, "resampled values", e);
    if (!status && !values) status = ERROR_IO;
    if (!status) {
        resample(&packed, values, resamples);
        *out = spread_of(values, resamples);
    }
    free(values);
    free(packed.rows);
    return status;
}

int measure_estimate(const struct measure *m, const double *stats, size_t n, const struct resampling *how,
                     struct estimate *out, struct error *e)
{
    struct spread s;
    const int status = spread_by_resampling(m, (const double *const[SIDES]){stats, NULL}, n, how, &s, e);
    if (status) return status;
    *out = (struct estimate){.value = measure_value(m, stats, n), .low = s.low, .high = s.high, .n = n};
    out->standard_error =
        m->metric->is_mean ? deviation(stats, NULL, m->metric->width, n) / sqrt((double)n) : s.deviation;
    return 0;
}

static bool is_right_or_wrong(const struct measure *m, const double *stats, size_t n)
{
    if (!m->metric->is_mean) return false;
    for (size_t i = 0; i < n; i++) {
        const double *s = stats + i * m->metric->width;
        if ((s[0] != 0 && s[0] != 1) || s[1] != 1) return false;
    }
    return true;
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

/* Binomial terms relative to the one at k: the tail below and the rest above, each summed by the ratio of neighbours
 * until nothing changes. No factorials, so nothing is lost for large n; where the rest overflows p is below 1e-307. */
double mcnemar_exact(int64_t gained, int64_t lost)
{
    if (gained < 0 || lost < 0) return NAN;
    const int64_t k = gained < lost ? gained : lost;
    const double n = (double)gained + (double)lost;
    double below = 1, above = 0, term = 1;
    for (int64_t i = k; i > 0 && term > below * 0x1p-60; i--) below += term *= (double)i / (n - (double)i + 1);
    term = 1;
    for (double i = (double)k + 1; i <= n; i++) {
        term *= (n - i + 1) / i;
        above += term;
        if ((2 * i > n && term < above * 0x1p-60) || isinf(above)) break;
    }
    return fmin(1, 2 * below / (below + above));
}
