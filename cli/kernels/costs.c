#include "cli/kernels/costs.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "version.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *unit;
    enum cost_counter counter;
    bool exact;
} counters[] = {
    {"instructions", "instructions", COST_PAPI, true},
    {"cycles", "cycles", COST_PAPI, false},
    {"callgrind", "instructions", COST_CALLGRIND, true},
    {"time", "ns", COST_TIME, false},
};
enum { COUNTERS = sizeof counters / sizeof *counters };

static size_t find_counter(const char *name)
{
    size_t i = 0;
    while (i < COUNTERS && strcmp(counters[i].name, name)) i++;
    return i;
}

bool cost_is_exact(const char *counter)
{
    const size_t i = find_counter(counter);
    return i < COUNTERS && counters[i].exact;
}

const char *cost_unit(const char *counter)
{
    const size_t i = find_counter(counter);
    return i < COUNTERS ? counters[i].unit : NULL;
}

enum cost_counter cost_counter_of(const char *counter)
{
    const size_t i = find_counter(counter);
    return i < COUNTERS ? counters[i].counter : COST_NONE;
}

const char *cost_counter_name(const char *counter)
{
    const size_t i = find_counter(counter);
    return i < COUNTERS ? counters[i].name : NULL;
}

/* --- the list --- */

int costs_add(struct costs *c, const struct cost_row *row, struct error *e)
{
    if (memory_reserve((void **)&c->rows, &c->capacity, c->n + 1, sizeof *row, "kernels' costs", e)) return ERROR_IO;
    c->rows[c->n++] = *row;
    return 0;
}

static bool is_same(const struct cost_row *a, const struct cost_row *b)
{
    return strcmp(a->its.kernel, b->its.kernel) == 0 && strcmp(a->its.variant, b->its.variant) == 0 &&
           strcmp(a->its.shape, b->its.shape) == 0 && strcmp(a->isa, b->isa) == 0 &&
           strcmp(a->counter, b->counter) == 0;
}

const struct cost_row *costs_find(const struct costs *c, const struct cost_row *like)
{
    for (size_t i = 0; i < c->n; i++)
        if (is_same(&c->rows[i], like)) return &c->rows[i];
    return NULL;
}

void costs_free(struct costs *c)
{
    free(c->rows);
    *c = (struct costs){0};
}

void costs_sign(struct costs *c)
{
    json_t *record = json_object();
    const char *cpu = NULL;
    if (record && record_build(record))
        cpu = json_string_value(json_object_get(json_object_get(record, "machine"), "cpu"));
    snprintf(c->kerf, sizeof c->kerf, "%s %s", KERF_VERSION, KERF_COMMIT);
    snprintf(c->compiler, sizeof c->compiler, "%s %s", KERF_COMPILER, KERF_BUILD_TYPE);
    snprintf(c->cpu, sizeof c->cpu, "%s", cpu ? cpu : "unknown");
    json_decref(record);
}

/* --- medians --- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void cost_median(double *x, size_t n, double *median, double *low, double *high)
{
    qsort(x, n, sizeof *x, by_value);
    *median = n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
    size_t k = 0; /* values below the interval, and above it */
    double below = 0, log_choose = 0;
    for (size_t j = 0; j < n / 2; j++) {
        below += exp(log_choose - (double)n * log(2.0)); /* P(Binomial(n, 1/2) <= j) */
        if (below > 0.005) break;
        k = j;
        log_choose += log((double)(n - j)) - log((double)(j + 1));
    }
    *low = x[k];
    *high = x[n - 1 - k];
}

/* --- counting --- */

int cost_counter_parse(const char *name, struct cost_how *how, struct error *e)
{
    static const char *const names[] = {[COST_AUTO] = "auto",
                                        [COST_NONE] = "none",
                                        [COST_PAPI] = "papi",
                                        [COST_CALLGRIND] = "callgrind",
                                        [COST_TIME] = "time"};
    enum { NAMES = sizeof names / sizeof *names };
    for (size_t i = 0; i < NAMES; i++)
        if (strcmp(name, names[i]) == 0) return how->counter = (enum cost_counter)i, 0;
    for (size_t i = 0; i < COUNTERS; i++)
        if (counters[i].counter == COST_PAPI && strcmp(name, counters[i].name) == 0) {
            how->counter = COST_PAPI;
            how->papi = counters[i].name;
            return 0;
        }
    return error_set(e, ERROR_USAGE, "--count %s: must be auto, papi, instructions, cycles, callgrind, time or none%s",
                     name, suggest(name, names, NAMES).words);
}

int cost_counter_choose(struct cost_how *how, const struct kernel_plan *plan, struct error *e)
{
    struct error ignored;
    if (how->counter == COST_PAPI) return count_papi_check(&how->papi, e);
    if (how->counter == COST_CALLGRIND) return count_callgrind_check(plan, e);
    if (how->counter != COST_AUTO) return 0;
    if (!count_papi_check(&how->papi, &ignored))
        how->counter = COST_PAPI;
    else if (!count_callgrind_check(plan, &ignored))
        how->counter = COST_CALLGRIND;
    else
        how->counter = COST_TIME;
    return 0;
}

bool cost_how_noisy(const struct cost_how *how)
{
    return how->counter == COST_TIME || (how->counter == COST_PAPI && how->papi && !cost_is_exact(how->papi));
}

struct measuring {
    struct costs *out;
    const struct kernel_plan *plan;
    const struct cost_how *how;
};

static int measure(void *user, struct error *e)
{
    struct measuring *m = user;
    return (m->how->counter == COST_PAPI ? count_papi : count_time)(m->out, m->plan, m->how, e);
}

int costs_measure(struct costs *out, const struct kernel_plan *plan, const struct cost_how *how, struct error *e)
{
    struct measuring m = {out, plan, how};
    costs_sign(out);
    if (how->counter == COST_NONE) return 0;
    if (how->counter == COST_CALLGRIND) return count_callgrind(out, plan, how, e);
    if (how->processes > 1 && cost_how_noisy(how)) return count_processes(out, plan, how, e);
    return count_on_thread(measure, &m, e);
}
