#include "metrics/counters/sampler.h"

static const double horizon = 0.2; /* seconds in which what was saved is spent */

void sampler_open(struct sampler *s, double budget, double start, double cost, int64_t in_a_row, double now)
{
    if (cost < 1e-9) cost = 1e-9;
    *s = (struct sampler){
        .budget = budget, .start = start, .cost = cost, .given = cost, .in_a_row = in_a_row, .opened = now, .now = now};
}

static double saved(const struct sampler *s, double now) { return s->start + s->budget * (now - s->opened) - s->spent; }

bool sampler_affords(const struct sampler *s, double now, int64_t n) { return saved(s, now) >= (double)n * s->cost; }

/* Of all boundaries the share that can be afforded from here on. */
static double share(const struct sampler *s, double now)
{
    const double seconds = now - s->opened;
    if (!(seconds > 0)) return 1;
    return saved(s, now) / (horizon * s->cost * (double)s->asked / seconds);
}

bool sampler_due(struct sampler *s, struct random *random, double now)
{
    s->now = now;
    s->asked++;
    if (s->left) return s->left--, true;
    if (!sampler_affords(s, now, s->in_a_row + 1)) return false;
    /* A row is n + 1 boundaries of all; the gap before it has a geometric length of this mean. */
    const double p = share(s, now), row = (double)s->in_a_row + 1;
    const double gap = p < 1 ? row * (1 - p) / p : 0;
    if (gap > 0 && random_unit(random) * (1 + gap) >= 1) return false;
    s->left = s->in_a_row;
    return true;
}

void sampler_spend(struct sampler *s, double seconds)
{
    const double most = 20 * s->cost;
    s->spent += seconds < most ? seconds : most;
    s->times++;
    s->cost = (s->spent + s->given) / (double)(s->times + 1);
}

void sampler_extend(struct sampler *s, int64_t n)
{
    if (s->left < n) s->left = n;
}
