/* Instructions, else cycles, that this thread's own counters count. */
#include "cli/kernels/costs.h"
#include "metrics/counters/counters.h"

#include <stdlib.h>
#include <string.h>

struct papi {
    struct counters *counters;
    struct counter_values *before, *after;
    size_t which;
};

/* The first of those allowed that is there. */
static int find(struct papi *p, const char *wanted, struct error *e)
{
    static const char *const names[] = {"instructions", "cycles"};
    const char *reason = counters_why_no_hardware(p->counters);
    for (size_t i = 0; i < 2; i++) {
        const int at = wanted && strcmp(wanted, names[i]) ? -1 : counters_find(p->counters, names[i]);
        if (at < 0) continue;
        p->which = (size_t)at;
        if (!counters_at(p->counters, p->which)->reason[0]) return 0;
        if (!reason[0]) reason = counters_at(p->counters, p->which)->reason;
    }
    return error_set(e, ERROR_INPUT, "papi: %s cannot be counted here: %s; count otherwise (--count callgrind)",
                     wanted ? wanted : "instructions and cycles", reason);
}

static void close_papi(struct papi *p)
{
    free(p->before);
    free(p->after);
    counters_close(p->counters);
}

static int open_papi(struct papi *p, const char *wanted, struct error *e)
{
    static const char *const names[] = {"instructions", "cycles", NULL};
    const char *const one[] = {wanted, NULL};
    *p = (struct papi){0};
    int status =
        counters_open(&p->counters, &(struct counters_options){.names = wanted ? one : names, .threads = 1}, e);
    if (status) return status;
    status = find(p, wanted, e);
    p->before = status ? NULL : counters_values(p->counters);
    p->after = status ? NULL : counters_values(p->counters);
    if (!status && (!p->before || !p->after)) status = error_set(e, ERROR_IO, "out of memory for counters");
    if (status) close_papi(p);
    return status;
}

static void start(void *user)
{
    struct papi *p = user;
    counters_read(p->counters, COUNTERS_HARDWARE, p->before);
}

static double stop(void *user)
{
    struct papi *p = user;
    counters_read(p->counters, COUNTERS_HARDWARE, p->after);
    return (double)counter_since(p->counters, p->before, p->after, 0, p->which);
}

int count_papi_check(const char **counter, struct error *e)
{
    struct papi p;
    const int status = open_papi(&p, *counter, e);
    if (status) return status;
    *counter = cost_counter_name(counters_at(p.counters, p.which)->name);
    close_papi(&p);
    return 0;
}

int count_papi(struct costs *out, const struct kernel_plan *plan, const struct cost_how *how, struct error *e)
{
    struct papi p;
    int status = open_papi(&p, how->papi, e);
    if (status) return status;
    const struct cost_meter meter = {counters_at(p.counters, p.which)->name, start, stop, &p};
    status = count_rounds(out, plan, &meter, how->rounds, how->progress, e);
    close_papi(&p);
    return status;
}
