#include "metrics/counters/counters.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "metrics/counters/energy.h"
#include "metrics/counters/papi.h"
#include "metrics/counters/software.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MOST = 128, WHAT_MOST = 160 };
static const double energy_every = 60; /* seconds: well before a package at full power wraps */

struct counters {
    struct counter *all; /* [n] */
    enum counter_meter *meters;
    char (*whats)[WHAT_MOST]; /* [n]: of names from the user */
    size_t n;
    struct thread_place *who; /* [threads] */
    int threads;
    uint64_t *values; /* [n][threads]: as read last */
    struct papi *papi;
    struct energy *energy;
    double energy_read; /* when */
    double seconds[2];
};

/* --- opening --- */

/* What is asked for: `names`, or all of ours. */
static int choose(const char *const *asked, const char *names[NAMES_MOST], size_t *n, struct error *e)
{
    *n = 0;
    for (const struct counter_name *c = counter_names; !asked && c->name; c++) names[(*n)++] = c->name;
    for (; asked && *asked; asked++) {
        bool twice = false;
        for (size_t i = 0; i < *n; i++) twice = twice || strcmp(names[i], *asked) == 0;
        if (twice) continue;
        if (*n == NAMES_MOST) return error_set(e, ERROR_USAGE, "more than %d counters", NAMES_MOST);
        names[(*n)++] = *asked;
    }
    return 0;
}

static int refuse(const char *name, struct error *e)
{
    const char *ours[NAMES_MOST];
    size_t n = 0;
    for (const struct counter_name *c = counter_names; c->name; c++) ours[n++] = c->name;
    const struct suggestion guess = suggest(name, ours, n);
    return error_set(e, ERROR_USAGE, "%s: no counter of this name%s", name,
                     guess.words[0] ? guess.words : " (kerf counters lists them; PAPI's own names do as well)");
}

/* One that is not ours: PAPI's, by its name there. */
static int add_foreign(struct counters *c, size_t i, struct error *e)
{
    struct counter *counter = &c->all[i];
    if (!papi_is_name(c->papi, counter->name)) return refuse(counter->name, e);
    counter->unit = "1";
    counter->kind = COUNTER_HARDWARE;
    counter->what = c->whats[i];
    papi_describe(counter->name, c->whats[i], WHAT_MOST);
    if (!c->whats[i][0]) snprintf(c->whats[i], WHAT_MOST, "as PAPI names it");
    papi_add(c->papi, counter, i, (const char *const[]){counter->name, NULL});
    return 0;
}

static int add(struct counters *c, size_t i, struct error *e)
{
    struct counter *counter = &c->all[i];
    const struct counter_name *ours = counter_name_of(counter->name);
    counter->group = -1;
    if (!ours) return add_foreign(c, i, e);
    counter->what = ours->what;
    counter->unit = ours->unit;
    counter->kind = ours->kind;
    counter->scope = ours->scope;
    c->meters[i] = ours->meter;
    if (ours->kind == COUNTER_HARDWARE) {
        papi_add(c->papi, counter, i, ours->events);
    } else if (ours->kind == COUNTER_ENERGY) {
        snprintf(counter->source, sizeof counter->source, "%s", energy_source(c->energy, ours->meter));
        snprintf(counter->reason, sizeof counter->reason, "%s", energy_reason(c->energy, ours->meter));
    } else {
        snprintf(counter->source, sizeof counter->source, "%s", software_source(ours->meter));
    }
    return 0;
}

static int make(struct counters *c, const char *const *names, size_t n, struct error *e)
{
    c->n = n;
    if (!(c->all = memory_new(n, sizeof *c->all, "counters", e)) ||
        !(c->meters = memory_new(n, sizeof *c->meters, "counters", e)) ||
        !(c->whats = memory_new(n, sizeof *c->whats, "counters", e)) ||
        !(c->who = memory_new((size_t)c->threads, sizeof *c->who, "threads", e)) ||
        !(c->values = memory_new(n * (size_t)c->threads, sizeof *c->values, "counters", e)))
        return e->code;
    for (size_t i = 0; i < n; i++) c->all[i].name = names[i];
    const int given = software_threads(c->who, c->threads);
    if (given == c->threads) return 0;
    return error_set(e, ERROR_IO, "counters: OpenMP gives %d of %d threads: unset OMP_DYNAMIC, or --threads %d", given,
                     c->threads, given);
}

/* The names that were given need not outlive the call. */
static int keep_names(struct counters *c, struct error *e)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct counter_name *ours = counter_name_of(c->all[i].name);
        c->all[i].name = ours ? ours->name : memory_string(c->all[i].name, e);
        if (c->all[i].name) continue;
        c->n = i; /* those that are ours to free */
        return e->code;
    }
    return 0;
}

static void measure_reading(struct counters *c)
{
    enum { TIMES = 8 };
    struct counter_values *v = counters_values(c);
    for (int extent = COUNTERS_HARDWARE; v && extent <= COUNTERS_ALL; extent++) {
        counters_read(c, (enum counters_extent)extent, v); /* the first takes longer */
        const double start = seconds_now();
        for (int i = 0; i < TIMES; i++) counters_read(c, (enum counters_extent)extent, v);
        c->seconds[extent] = (seconds_now() - start) / TIMES;
    }
    free(v);
}

int counters_open(struct counters **out, const struct counters_options *options, struct error *e)
{
    struct error own;
    if (!e) e = &own;
    const char *names[NAMES_MOST];
    size_t n;
    struct counters *c = *out = NULL;
    int status = choose(options->names, names, &n, e);
    if (status) return status;
    if (!(c = memory_new(1, sizeof *c, "counters", e))) return e->code;
    c->threads = options->threads > 0 ? options->threads : omp_get_max_threads();
    status = make(c, names, n, e);
    if (status) c->n = 0; /* no name is ours yet */
    if (!status) status = keep_names(c, e);
    if (!status) status = energy_open(&c->energy, options->powercap, e);
    if (!status) status = papi_open(&c->papi, c->who, c->threads, n, e);
    for (size_t i = 0; i < n && !status; i++) status = add(c, i, e);
    if (status) {
        counters_close(c);
        return status;
    }
    papi_start(c->papi);
    measure_reading(c);
    *out = c;
    return 0;
}

void counters_close(struct counters *c)
{
    if (!c) return;
    papi_close(c->papi);
    energy_close(c->energy);
    for (size_t i = 0; i < c->n; i++)
        if (!counter_name_of(c->all[i].name)) free((void *)(uintptr_t)c->all[i].name);
    free(c->all);
    free(c->meters);
    free(c->whats);
    free(c->who);
    free(c->values);
    free(c);
}

/* --- what there is --- */

size_t counters_count(const struct counters *c) { return c->n; }
const struct counter *counters_at(const struct counters *c, size_t i) { return &c->all[i]; }
int counters_threads(const struct counters *c) { return c->threads; }
const char *counters_why_no_hardware(const struct counters *c) { return papi_why_no_hardware(c->papi); }
int counters_groups(const struct counters *c) { return papi_groups(c->papi); }
double counters_read_seconds(const struct counters *c, enum counters_extent extent) { return c->seconds[extent]; }

int counters_find(const struct counters *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->all[i].name, name) == 0) return (int)i;
    return -1;
}

bool counter_in_group(const struct counters *c, int group, size_t i)
{
    if (c->all[i].reason[0]) return false;
    return c->all[i].kind != COUNTER_HARDWARE || papi_group_has(c->papi, group, i);
}

bool counter_active(const struct counters *c, const struct counter_values *v, size_t i)
{
    return counter_in_group(c, v->group, i);
}

/* --- reading --- */

struct counter_values *counters_values(const struct counters *c)
{
    const size_t n = c->n * (size_t)c->threads;
    return memory_new(1, sizeof(struct counter_values) + n * sizeof(uint64_t), "counters", NULL);
}

/* Its hardware counters stand still as well as its clock. */
static void tell_ended(struct counters *c, int thread)
{
    for (size_t k = 0; k < c->n; k++)
        if (c->all[k].scope == COUNTER_THREADS && !c->all[k].reason[0])
            snprintf(c->all[k].reason, sizeof c->all[k].reason,
                     "thread %d ended while it was counted, and another works in its place", thread);
}

static void read_task_clock(struct counters *c, size_t i)
{
    for (int t = 0; t < c->threads; t++) {
        uint64_t *value = &c->values[i * (size_t)c->threads + (size_t)t];
        if (!c->all[i].reason[0] && !software_task_clock(&c->who[t], value)) tell_ended(c, t);
    }
}

/* Where task_clock, which would show it, is not among the counters. */
static void find_ended(struct counters *c)
{
    uint64_t unused;
    for (int t = 0; t < c->threads; t++)
        if (!software_task_clock(&c->who[t], &unused)) tell_ended(c, t);
}

static void read_energy(struct counters *c, size_t i)
{
    struct counter *counter = &c->all[i];
    c->values[i * (size_t)c->threads] = energy_read(c->energy, c->meters[i]);
    if (!counter->reason[0])
        snprintf(counter->reason, sizeof counter->reason, "%s", energy_reason(c->energy, c->meters[i]));
}

void counters_read(struct counters *c, enum counters_extent extent, struct counter_values *out)
{
    uint64_t usage[METER_PACKAGE] = {0};
    const double now = seconds_now();
    const bool all = extent == COUNTERS_ALL, energy = all || now - c->energy_read > energy_every;
    papi_read(c->papi, c->values);
    if (all) software_usage(usage);
    if (all && counters_find(c, "task_clock") < 0) find_ended(c);
    if (energy) c->energy_read = now;
    for (size_t i = 0; i < c->n; i++) {
        const enum counter_meter meter = c->meters[i];
        if (meter == METER_TASK_CLOCK)
            read_task_clock(c, i);
        else if (energy && c->all[i].kind == COUNTER_ENERGY)
            read_energy(c, i);
        else if (all && (c->all[i].kind == COUNTER_SOFTWARE || c->all[i].kind == COUNTER_LEVEL))
            c->values[i * (size_t)c->threads] = usage[meter];
    }
    out->group = papi_group(c->papi);
    memcpy(out->at, c->values, c->n * (size_t)c->threads * sizeof *c->values);
}

uint64_t counter_since(const struct counters *c, const struct counter_values *before,
                       const struct counter_values *after, int thread, size_t i)
{
    const size_t at = i * (size_t)c->threads + (size_t)thread;
    return c->all[i].kind == COUNTER_LEVEL ? after->at[at] : after->at[at] - before->at[at];
}

void counters_rotate(struct counters *c) { papi_rotate(c->papi); }
