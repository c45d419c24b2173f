#include "reports/board/rank.h"
#include "engine/base/memory.h"
#include "reports/answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The 97.5 % point of the normal distribution: beyond it a two-sided p is below 0.05. */
static const double critical = 1.959963984540054;

struct ranking {
    const struct rank_input *in;
    struct standing *out;
    size_t n_shares; /* suites that count */
    size_t *order;   /* [n_rows] */
};

static const struct rank_entry *entry(const struct rank_input *in, size_t row, size_t suite)
{
    return &in->entries[row * in->n_suites + suite];
}

/* --- scores --- */

static double unit(const struct rank_input *in, size_t suite)
{
    return in->plain ? 1 : entry(in, in->reference, suite)->value;
}

static bool suite_counts(const struct rank_input *in, size_t suite) { return in->plain || unit(in, suite) > 0; }

/* NAN where the value has none. */
static double share(const struct rank_input *in, size_t row, size_t suite)
{
    const double value = entry(in, row, suite)->value;
    if (in->plain || in->higher[suite]) return value / unit(in, suite);
    return value > 0 ? unit(in, suite) / value : NAN;
}

static double percent(const struct ranking *r) { return r->in->plain ? 1 : 100.0 / (double)r->n_shares; }

static double score(const struct ranking *r, size_t row)
{
    double sum = 0;
    for (size_t s = 0; s < r->in->n_suites; s++)
        if (suite_counts(r->in, s)) sum += share(r->in, row, s);
    return percent(r) * sum;
}

/* --- errors --- */

static bool same_id(const char *a, const char *b) { return *a && strcmp(a, b) == 0; }

/* Of the row's paired difference to its baseline; a baseline has none to itself. */
static double error_to_baseline(const struct rank_input *in, size_t row, size_t suite)
{
    return same_id(in->ids[row], in->baselines[row]) ? 0 : entry(in, row, suite)->difference_error;
}

/* Of the difference of two values: the smaller bound of those that are known. */
static double value_error(const struct rank_input *in, size_t a, size_t b, size_t suite)
{
    const double apart = hypot(entry(in, a, suite)->standard_error, entry(in, b, suite)->standard_error);
    if (!same_id(in->baselines[a], in->baselines[b])) return apart;
    return fmin(apart, error_to_baseline(in, a, suite) + error_to_baseline(in, b, suite)); /* the one that is no NAN */
}

/* What a difference of values comes to in shares. */
static double slope(const struct rank_input *in, size_t a, size_t b, size_t suite)
{
    if (in->plain || in->higher[suite]) return 1 / unit(in, suite);
    return unit(in, suite) / (entry(in, a, suite)->value * entry(in, b, suite)->value);
}

/* Of the difference of two scores; NAN where it is not known. */
static double score_error(const struct ranking *r, size_t a, size_t b)
{
    double sum = 0;
    for (size_t s = 0; s < r->in->n_suites; s++) {
        if (!suite_counts(r->in, s)) continue;
        const double e = slope(r->in, a, b, s) * value_error(r->in, a, b, s);
        sum += e * e;
    }
    return percent(r) * sqrt(sum);
}

static bool has_errors(const struct ranking *r, size_t row)
{
    for (size_t s = 0; s < r->in->n_suites; s++)
        if (suite_counts(r->in, s) && isnan(entry(r->in, row, s)->standard_error)) return false;
    return true;
}

static void set_interval(const struct ranking *r, size_t row)
{
    struct standing *x = &r->out[row];
    const double error = r->in->plain              ? entry(r->in, row, 0)->standard_error
                         : row == r->in->reference ? 0
                                                   : score_error(r, row, r->in->reference);
    x->low = x->score - critical * error;
    x->high = x->score + critical * error;
}

/* --- the order --- */

static int by_goodness(const void *a, const void *b, void *user)
{
    const struct ranking *r = user;
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const double sign = r->in->plain && !r->in->higher[0] ? -1 : 1;
    const double p = sign * r->out[x].score, q = sign * r->out[y].score;
    if (p != q) return p > q ? -1 : 1;
    return x < y ? -1 : 1;
}

static size_t choose(const struct ranking *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->in->n_rows; i++) {
        struct standing *x = &r->out[i];
        *x = (struct standing){0, 0, NAN, NAN, NAN};
        if (!r->in->counts[i] || !r->n_shares) continue;
        const double s = score(r, i);
        if (!isfinite(s)) continue;
        x->score = s;
        set_interval(r, i);
        r->order[n++] = i;
    }
    return n;
}

/* The same subject measured twice differs by its machines alone. */
static bool is_tied(const struct ranking *r, size_t leader, size_t row)
{
    const double difference = fabs(r->out[leader].score - r->out[row].score);
    if (difference == 0 || same_id(r->in->ids[leader], r->in->ids[row])) return true;
    return difference <= critical * score_error(r, leader, row);
}

static void place(const struct ranking *r, size_t n)
{
    size_t best = SIZE_MAX, leader = SIZE_MAX, group = 0;
    for (size_t k = 0; k < n; k++) {
        const size_t i = r->order[k];
        struct standing *x = &r->out[i];
        const struct standing *before = k ? &r->out[r->order[k - 1]] : NULL;
        x->rank = before && before->score == x->score ? before->rank : k + 1;
        if (!has_errors(r, i)) continue;
        if (!group) best = leader = i, group = 1;
        const bool with_best = is_tied(r, best, i);
        if (!with_best && !is_tied(r, leader, i)) leader = i, group++;
        x->tie = with_best ? 1 : group;
    }
}

int rank_rows(const struct rank_input *in, struct standing *out, struct error *e)
{
    struct ranking r = {.in = in, .out = out};
    if (!in->n_rows) return 0; /* not even a reference */
    r.order = memory_new(in->n_rows, sizeof *r.order, "a ranking", e);
    if (!r.order) return ERROR_IO;
    for (size_t s = 0; s < in->n_suites; s++) r.n_shares += suite_counts(in, s);
    const size_t n = choose(&r);
    qsort_r(r.order, n, sizeof *r.order, by_goodness, &r);
    place(&r, n);
    free(r.order);
    return 0;
}

int rank_input_open(struct rank_input *in, size_t n_rows, size_t n_suites, struct error *e)
{
    const char *what = "a ranking";
    *in = (struct rank_input){.n_rows = n_rows, .n_suites = n_suites};
    in->entries = memory_new(n_rows, n_suites * sizeof *in->entries, what, e);
    in->higher = memory_new(n_suites, sizeof *in->higher, what, e);
    in->counts = memory_new(n_rows, sizeof *in->counts, what, e);
    in->ids = memory_new(n_rows, sizeof *in->ids, what, e);
    in->baselines = memory_new(n_rows, sizeof *in->baselines, what, e);
    if (!in->entries || !in->higher || !in->counts || !in->ids || !in->baselines) {
        rank_input_close(in);
        return ERROR_IO;
    }
    for (size_t i = 0; i < n_rows; i++) in->ids[i] = in->baselines[i] = "";
    return 0;
}

void rank_input_close(struct rank_input *in)
{
    free(in->entries);
    free(in->higher);
    free(in->counts);
    free(in->ids);
    free(in->baselines);
    *in = (struct rank_input){0};
}

/* --- of a comparison --- */

/* The row that stands for its suite: the first, where the baseline has a value. */
static bool is_first_metric(const struct report *r, size_t row)
{
    return row_opens_suite(r, row) && !r->rows[row].is_distance && !r->rows[row].cells->absent;
}

static void take_suite(struct rank_input *in, const struct report_row *row, size_t suite)
{
    in->higher[suite] = row->higher_is_better;
    for (size_t j = 0; j < in->n_rows; j++) {
        const struct report_cell *c = &row->cells[j];
        in->entries[j * in->n_suites + suite] =
            (struct rank_entry){c->figure.value, c->figure.standard_error, c->difference.standard_error};
    }
}

int report_standings(const struct report *r, struct standing *out, struct error *e)
{
    struct rank_input in;
    size_t n = 0, suite = 0;
    for (size_t i = 0; i < r->n_rows; i++) n += is_first_metric(r, i);
    int status = rank_input_open(&in, r->n_subjects, n, e);
    if (status) return status;
    for (size_t j = 0; j < r->n_subjects; j++) {
        in.counts[j] = j == 0 || answer_is_comparable(r, j);
        in.baselines[j] = "baseline";
    }
    in.ids[0] = "baseline";
    for (size_t i = 0; i < r->n_rows; i++)
        if (is_first_metric(r, i)) take_suite(&in, &r->rows[i], suite++);
    status = rank_rows(&in, out, e);
    rank_input_close(&in);
    return status;
}
