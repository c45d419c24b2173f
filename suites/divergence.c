#include "suites/divergence.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "suites/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const double kl_quantiles[KL_QUANTILES] = {0.5, 0.9, 0.95, 0.99, 0.999, 1};
const double change_quantiles[CHANGE_QUANTILES] = {0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1};

static double kl_threshold(int k) { return pow(10, k / 4.0 - 8); }

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int take_quantiles(const double *values, size_t n, const double *q, size_t n_q, double *out, struct error *e)
{
    double *sorted = memory_new(n, sizeof *sorted, "divergences", e);
    if (!sorted) return ERROR_IO;
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    for (size_t i = 0; i < n_q; i++) out[i] = quantile_of(sorted, n, q[i]);
    free(sorted);
    return 0;
}

static void take_shares(const double *values, size_t n, double out[KL_THRESHOLDS])
{
    for (int k = 0; k < KL_THRESHOLDS; k++) {
        const double threshold = kl_threshold(k);
        size_t above = 0;
        for (size_t i = 0; i < n; i++) above += values[i] > threshold;
        out[k] = (double)above / (double)n;
    }
}

int divergences_measure(struct divergences *d, const struct walk *w, size_t subject, const struct resampling *how,
                        struct error *e)
{
    const struct walked *s = &w->subjects[subject];
    const struct measure log_perplexity = measure_of(&metric_log_perplexity);
    const size_t n = (size_t)w->tokens;
    int status = measure_compare(&log_perplexity, w->subjects[0].nll, s->nll, w->n, how, &d->log_ratio, e);
    for (size_t i = 0; i < DIVERGENCE_METRICS && !status; i++) {
        const struct measure m = measure_of(divergence_metric(i));
        status = measure_estimate(&m, s->sums, w->n, how, &d->means[i], e);
    }
    if (!status) status = take_quantiles(s->kl, n, kl_quantiles, KL_QUANTILES, d->kl, e);
    if (!status) status = take_quantiles(s->reverse, n, kl_quantiles, KL_QUANTILES, d->reverse, e);
    if (!status) status = take_quantiles(s->change, n, change_quantiles, CHANGE_QUANTILES, d->change, e);
    if (!status) take_shares(s->kl, n, d->above);
    return status;
}

/* --- records --- */

json_t *divergences_metrics(const struct divergences *d)
{
    json_t *all = json_array();
    for (size_t i = 0; i < DIVERGENCE_METRICS; i++) {
        const struct metric *m = divergence_metric(i);
        json_array_append_new(all, metric_record(m->name, m, &d->means[i]));
    }
    return all;
}

static json_t *quantiles_record(const double *q, size_t n, const double *values)
{
    json_t *all = json_object();
    for (size_t i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof key, "%g", q[i]);
        json_object_set_new(all, key, json_number_or_null(values[i]));
    }
    return all;
}

static json_t *shares_record(const double above[KL_THRESHOLDS])
{
    json_t *all = json_array();
    for (int k = 0; k < KL_THRESHOLDS && (k == 0 || above[k - 1] > 0); k++)
        json_array_append_new(all, json_pack("[f, o]", kl_threshold(k), json_number_or_null(above[k])));
    return all;
}

json_t *divergences_record(const struct divergences *d)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "log_ratio", difference_record(&d->log_ratio), "kl_quantiles",
                     quantiles_record(kl_quantiles, KL_QUANTILES, d->kl), "kl_reverse_quantiles",
                     quantiles_record(kl_quantiles, KL_QUANTILES, d->reverse), "change_quantiles",
                     quantiles_record(change_quantiles, CHANGE_QUANTILES, d->change), "kl_above",
                     shares_record(d->above));
}

json_t *noise_floor_record(const struct noise_floor *f)
{
    if (!f->windows) return json_null();
    return json_pack("{s:I, s:I, s:f, s:f, s:f}", "windows", (json_int_t)f->windows, "tokens", (json_int_t)f->tokens,
                     "kl_divergence", f->kl, "kl_largest", f->largest, "same_top", f->same_top);
}

static json_t *text_of(const struct tokenizer *t, const int32_t *ids, int64_t n)
{
    struct error e;
    struct text text = {0};
    json_t *j = NULL;
    if (!tokenizer_decode(t, ids, (size_t)n, TOKENIZER_CONTINUES, &text, &e) && !text.failed)
        j = json_text(text_c(&text), text.length);
    text_free(&text);
    return j ? j : json_null();
}

/* What stands before the token in its window: the last tokens of what the models were given. */
static json_t *before(const struct worst *x, const struct requests *q, const struct tokenizer *t)
{
    enum { SHOWN = 24 };
    const struct group *g = &q->groups[x->group];
    int32_t ids[SHOWN];
    int64_t n = g->n_context + x->row, from = n > SHOWN ? n - SHOWN : 0;
    if (!from && g->context[0] == tokenizer_opening(t)) from = 1; /* which is not of the text */
    for (int64_t i = from; i < n; i++)
        ids[i - from] = i < g->n_context ? g->context[i] : g->parts->ids[i - g->n_context];
    return text_of(t, ids, n - from);
}

json_t *worst_record(const struct walked *subject, const struct requests *q, const struct tokenizer *t)
{
    json_t *all = json_array();
    for (size_t i = 0; i < subject->n_worst; i++) {
        const struct worst *x = &subject->worst[i];
        json_array_append_new(all,
                              json_pack("{s:f, s:I, s:I, s:o, s:o, s:{s:o, s:f, s:f}, s:{s:o, s:f, s:f}}", "kl", x->kl,
                                        "item", (json_int_t)x->outcome, "position", (json_int_t)x->position, "token",
                                        text_of(t, &x->target, 1), "before", before(x, q, t), "baseline", "top",
                                        text_of(t, &x->baseline.top, 1), "p_top", x->baseline.chance_top, "p_token",
                                        x->baseline.chance_token, "candidate", "top", text_of(t, &x->candidate.top, 1),
                                        "p_top", x->candidate.chance_top, "p_token", x->candidate.chance_token));
    }
    return all;
}
