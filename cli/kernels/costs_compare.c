/* Costs and those of a baseline: what became more, and what only seems so. */
#include "cli/kernels/costs.h"
#include "engine/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum cost_verdict judge(double low, double high, double tolerance)
{
    const double slack = 1e-9; /* of the rounding of the ratio: 1 % more of 100 is 1 % */
    if (low > 1 + tolerance / 100 + slack) return COST_REGRESSED;
    if (high < 1 - tolerance / 100 - slack) return COST_GAINED;
    return COST_SAME;
}

/* A kernel that cost nothing and now costs something is infinitely slower; nothing and nothing are the same. */
static double ratio_of(double now, double before) { return now == before ? 1 : now / before; }

static void count_verdicts(struct cost_changes *c)
{
    c->compared = c->regressed = c->gained = c->added = c->gone = 0;
    for (size_t i = 0; i < c->n; i++) {
        const enum cost_verdict v = c->all[i].verdict;
        c->compared += v != COST_NEW && v != COST_GONE;
        c->regressed += v == COST_REGRESSED;
        c->gained += v == COST_GAINED;
        c->added += v == COST_NEW;
        c->gone += v == COST_GONE;
    }
}

static struct cost_change change_of(const struct cost_row *before, const struct cost_row *now, double tolerance)
{
    struct cost_change c = {before, now, NAN, NAN, NAN, before ? COST_GONE : COST_NEW};
    if (!before || !now) return c;
    c.ratio = ratio_of(now->value, before->value);
    c.low = ratio_of(now->low, before->high);
    c.high = ratio_of(now->high, before->low);
    if (cost_is_exact(now->counter)) c.low = c.high = c.ratio;
    c.verdict = judge(c.low, c.high, tolerance);
    return c;
}

int costs_compare(struct cost_changes *out, const struct costs *before, const struct costs *now,
                  const struct kernel_plan *plan, double tolerance, struct error *e)
{
    *out = (struct cost_changes){.tolerance = tolerance};
    out->all = memory_new(before->n + now->n, sizeof *out->all, "changes of costs", e);
    if (!out->all) return ERROR_IO;
    for (size_t i = 0; i < now->n; i++)
        out->all[out->n++] = change_of(costs_find(before, &now->rows[i]), &now->rows[i], tolerance);
    for (size_t i = 0; i < before->n; i++) {
        const struct cost_row *row = &before->rows[i];
        const bool asked = !plan || kernel_plan_asks(plan, &row->its, row->isa);
        if (asked && !costs_find(now, row)) out->all[out->n++] = change_of(row, NULL, tolerance);
    }
    count_verdicts(out);
    return 0;
}

/* The ratio of a row over the pairs, as far as all of them have it. */
static void pair_up(struct cost_change *c, const struct costs *before, const struct costs *now, size_t n,
                    double *ratios, double tolerance)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        const struct cost_row *a = costs_find(&before[i], c->before), *b = costs_find(&now[i], c->now);
        if (a && b) ratios[m++] = ratio_of(b->value, a->value);
    }
    cost_median(ratios, m, &c->ratio, &c->low, &c->high);
    c->verdict = judge(c->low, c->high, tolerance);
}

int costs_compare_pairs(struct cost_changes *out, const struct costs *before, const struct costs *now, size_t n,
                        const struct kernel_plan *plan, double tolerance, struct error *e)
{
    int status = costs_compare(out, before, now, plan, tolerance, e);
    double *ratios = status ? NULL : memory_new(n, sizeof *ratios, "ratios of costs", e);
    if (!ratios) return (int)e->code;
    for (size_t i = 0; i < out->n; i++)
        if (out->all[i].before && out->all[i].now) pair_up(&out->all[i], before, now, n, ratios, tolerance);
    count_verdicts(out);
    free(ratios);
    return 0;
}

static const struct cost_change *find_change(const struct cost_changes *c, const struct cost_row *now)
{
    const struct costs one = {.rows = (struct cost_row *)(uintptr_t)now, .n = 1};
    for (size_t i = 0; i < c->n; i++)
        if (c->all[i].now && costs_find(&one, c->all[i].now)) return &c->all[i];
    return NULL;
}

void cost_changes_confirm(struct cost_changes *first, const struct cost_changes *second)
{
    for (size_t i = 0; i < first->n; i++) {
        struct cost_change *c = &first->all[i];
        const struct cost_change *again = c->verdict == COST_REGRESSED ? find_change(second, c->now) : NULL;
        if (c->verdict == COST_REGRESSED && (!again || again->verdict != COST_REGRESSED)) c->verdict = COST_SAME;
    }
    count_verdicts(first);
}

void cost_changes_free(struct cost_changes *c)
{
    free(c->all);
    *c = (struct cost_changes){0};
}
