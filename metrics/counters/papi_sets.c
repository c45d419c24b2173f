#include "metrics/counters/papi_sets.h"
#include "engine/base/memory.h"

#include <papi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void papi_words(int code, char *out, size_t size)
{
    int level = 0;
    FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "r");
    if (f) {
        if (fscanf(f, "%d", &level) != 1) level = 0;
        fclose(f);
    }
    if (code == PAPI_EPERM)
        snprintf(out, size,
                 "Linux refused it: root, CAP_PERFMON or kernel.perf_event_paranoid=2 (it is %d), and in a container "
                 "perf_event_open must be allowed",
                 level);
    else if (code == PAPI_EISRUN)
        snprintf(out, size, "PAPI is counting for something else on this thread");
    else
        snprintf(out, size, "PAPI: %s", PAPI_strerror(code));
}

/* --- building groups --- */

static int group_place_of(const struct group *g, int code)
{
    int i = 0;
    while (i < g->n && g->codes[i] != code) i++;
    return i < g->n ? i : -1;
}

static void group_free(struct group *g, int threads)
{
    for (int t = 0; g->sets && t < threads; t++) {
        if (g->sets[t] == PAPI_NULL) continue;
        PAPI_cleanup_eventset(g->sets[t]);
        PAPI_destroy_eventset(&g->sets[t]);
    }
    free(g->sets);
    *g = (struct group){0};
}

static int set_new(const struct part *p, int thread, int *set)
{
    int code = PAPI_create_eventset(set);
    if (code == PAPI_OK) code = PAPI_assign_eventset_component(*set, p->component);
    /* Before events are added, which are opened for the thread that the set belongs to. */
    if (code == PAPI_OK && p->attach) code = PAPI_attach(*set, p->who[thread].id);
    return code;
}

static int group_new(const struct part *p, struct group *g)
{
    *g = (struct group){.sets = memory_new((size_t)p->threads, sizeof *g->sets, "counters", NULL)};
    if (!g->sets) return PAPI_ENOMEM;
    for (int t = 0; t < p->threads; t++) g->sets[t] = PAPI_NULL;
    int code = PAPI_OK;
    for (int t = 0; t < p->threads && code == PAPI_OK; t++) code = set_new(p, t, &g->sets[t]);
    if (code != PAPI_OK) group_free(g, p->threads);
    return code;
}

/* One code on all threads, or on none. */
static int group_add_code(struct group *g, int threads, int event)
{
    if (group_place_of(g, event) >= 0) return PAPI_OK;
    if (g->n == CODES_MOST) return PAPI_ECOUNT;
    for (int t = 0; t < threads; t++) {
        const int code = PAPI_add_event(g->sets[t], event);
        if (code == PAPI_OK) continue;
        while (t-- > 0) PAPI_remove_event(g->sets[t], event);
        return code;
    }
    g->codes[g->n++] = event;
    return PAPI_OK;
}

/* All terms, or none. */
static int group_add(struct group *g, int threads, const struct event *event)
{
    const int before = g->n;
    int code = PAPI_OK;
    for (int i = 0; i < event->n && code == PAPI_OK; i++) code = group_add_code(g, threads, event->codes[i]);
    while (code != PAPI_OK && g->n > before) {
        g->n--;
        for (int t = 0; t < threads; t++) PAPI_remove_event(g->sets[t], g->codes[g->n]);
    }
    return code;
}

static int part_new_group(struct part *p, struct event *event, struct event *const *first, size_t n_first)
{
    if (p->n == GROUPS_MOST) return PAPI_ECOUNT;
    struct group *g = &p->groups[p->n];
    int code = group_new(p, g);
    uint64_t with = 0;
    for (size_t i = 0; i < n_first && code == PAPI_OK; i++)
        if (group_add(g, p->threads, first[i]) == PAPI_OK) with |= (uint64_t)1 << i;
    if (code == PAPI_OK) code = group_add(g, p->threads, event);
    if (code != PAPI_OK && with) { /* not with these: alone */
        group_free(g, p->threads);
        return part_new_group(p, event, NULL, 0);
    }
    if (code != PAPI_OK) {
        group_free(g, p->threads);
        return code;
    }
    const uint64_t bit = (uint64_t)1 << p->n++;
    event->groups |= bit;
    for (size_t i = 0; i < n_first; i++)
        if (with >> i & 1) first[i]->groups |= bit;
    return PAPI_OK;
}

int part_place(struct part *p, struct event *event, struct event *const *first, size_t n_first)
{
    for (int g = 0; g < p->n; g++)
        if (group_add(&p->groups[g], p->threads, event) == PAPI_OK) {
            event->groups |= (uint64_t)1 << g;
            return PAPI_OK;
        }
    return part_new_group(p, event, first, n_first);
}

void part_free(struct part *p)
{
    part_stop(p);
    for (int g = 0; g < p->n; g++) group_free(&p->groups[g], p->threads);
    free(p->events);
    p->events = NULL;
    p->n = 0;
}

/* --- counting --- */

static void group_die(struct part *p, int group, const char *doing, int code)
{
    char words[160];
    papi_words(code, words, sizeof words);
    p->groups[group].dead = true;
    for (size_t i = 0; i < p->n_events; i++) {
        struct event *event = p->events[i];
        if (!(event->groups >> group & 1)) continue;
        event->groups &= ~((uint64_t)1 << group);
        if (!event->groups) snprintf(event->counter->reason, sizeof event->counter->reason, "%s: %.120s", doing, words);
    }
}

bool part_start(struct part *p, int group)
{
    struct group *g = &p->groups[group];
    p->running = -1;
    for (int t = 0; t < p->threads; t++) {
        const int code = PAPI_start(g->sets[t]);
        if (code == PAPI_OK) continue;
        long long unused[CODES_MOST];
        while (t-- > 0) PAPI_stop(g->sets[t], unused);
        group_die(p, group, "could not be started", code);
        return false;
    }
    p->running = group;
    return true;
}

static uint64_t event_value(const struct event *event, const struct group *g, const long long *values)
{
    uint64_t sum = 0;
    for (int i = 0; i < event->n; i++) {
        const int place = group_place_of(g, event->codes[i]);
        if (place >= 0) sum += event->weights[i] * (uint64_t)values[place];
    }
    return sum;
}

/* Adds up what a thread's set has counted; where it can no longer be read, its totals stay as they were. */
static void group_settle(struct part *p, int group, int thread, const long long *values, int code)
{
    for (size_t i = 0; i < p->n_events; i++) {
        struct event *event = p->events[i];
        if (!(event->groups >> group & 1)) continue;
        if (code == PAPI_OK)
            event->base[thread] += event_value(event, &p->groups[group], values);
        else
            event->base[thread] = event->seen[thread];
        event->seen[thread] = event->base[thread];
    }
}

void part_stop(struct part *p)
{
    if (p->running < 0) return;
    const int group = p->running;
    int failed = PAPI_OK;
    p->running = -1;
    for (int t = 0; t < p->threads; t++) {
        long long values[CODES_MOST] = {0};
        const int code = PAPI_stop(p->groups[group].sets[t], values);
        if (code != PAPI_OK) failed = code;
        group_settle(p, group, t, values, code);
    }
    if (failed != PAPI_OK) group_die(p, group, "could be read no more", failed);
}

/* PAPI_OK, or what PAPI said of the first thread that cannot be read. */
static int group_read(struct part *p, int group)
{
    for (int t = 0; t < p->threads; t++) {
        long long values[CODES_MOST] = {0};
        const int code = PAPI_read(p->groups[group].sets[t], values);
        if (code != PAPI_OK) return code;
        for (size_t i = 0; i < p->n_events; i++) {
            struct event *event = p->events[i];
            if (event->groups >> group & 1)
                event->seen[t] = event->base[t] + event_value(event, &p->groups[group], values);
        }
    }
    return PAPI_OK;
}

void part_read(struct part *p, uint64_t *totals, int threads)
{
    const int group = p->running;
    const int code = group < 0 ? PAPI_OK : group_read(p, group);
    if (code != PAPI_OK) {
        part_stop(p);
        if (!p->groups[group].dead) group_die(p, group, "could be read no more", code);
    }
    for (size_t i = 0; i < p->n_events; i++)
        memcpy(&totals[p->events[i]->index * (size_t)threads], p->events[i]->seen, (size_t)threads * sizeof *totals);
}
