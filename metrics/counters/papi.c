#include "engine/base/memory.h"
#include "metrics/counters/papi_sets.h"

#include <ctype.h>
#include <dirent.h>
#include <papi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PARTS_MOST = 16, FIRST_MOST = 2 };

struct papi {
    const struct thread_place *who;
    int threads;
    struct part parts[PARTS_MOST];
    int n;
    struct event *events; /* [most] */
    size_t most;
    uint64_t *base;                  /* of all events: [most][2][threads] */
    struct event *first[FIRST_MOST]; /* cycles and instructions, as far as they are there */
    size_t n_first;
    int group, groups;
    bool ready;          /* PAPI itself can be used */
    const char *refusal; /* of the first event of the CPU that was refused: a counter's reason */
    bool counts;         /* an event of the CPU is in a group */
    char why[320];       /* there are no hardware counters */
    char lacks[96];      /* the same in short, for each of them */
};

/* --- what this machine has --- */

static unsigned long thread_id(void) { return (unsigned long)syscall(SYS_gettid); }

/* Whether Linux has counters of a CPU, whatever PAPI knows of it. */
static bool linux_has_counters(void)
{
    DIR *d = opendir("/sys/bus/event_source/devices");
    bool found = false;
    for (const struct dirent *f; d && (f = readdir(d)) != NULL;)
        found = found || strncmp(f->d_name, "cpu", 3) == 0 || strncmp(f->d_name, "armv", 4) == 0;
    if (d) closedir(d);
    return found;
}

/* PAPI's reason without the "Error" at its beginning and what a line does not end with. */
static void clean(const char *reason, char *out, size_t size)
{
    if (strncmp(reason, "Error ", 6) == 0) reason += 6;
    snprintf(out, size, "%s", reason);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ') *c = ' ';
    size_t n = strlen(out);
    while (n && (out[n - 1] == ' ' || out[n - 1] == '.')) out[--n] = 0;
}

static void explain(struct papi *p, const PAPI_component_info_t *cpu)
{
    if (!cpu) {
        snprintf(p->lacks, sizeof p->lacks, "PAPI was built without the CPU's counters (perf_event)");
        snprintf(p->why, sizeof p->why, "%s", p->lacks);
        return;
    }
    char reason[96];
    clean(cpu->disabled_reason, reason, sizeof reason);
    if (strstr(reason, "paranoid")) {
        snprintf(p->lacks, sizeof p->lacks, "Linux refuses counters: kernel.perf_event_paranoid");
        snprintf(p->why, sizeof p->why,
                 "Linux refuses hardware counters to this user (PAPI: %s): sysctl kernel.perf_event_paranoid=2 allows "
                 "them, as do root and CAP_PERFMON",
                 reason);
    } else if (linux_has_counters()) {
        snprintf(p->lacks, sizeof p->lacks, "PAPI does not know this CPU's counters");
        snprintf(p->why, sizeof p->why,
                 "PAPI does not know this machine's performance counters (%s), which Linux has: a newer libpapi or "
                 "libpfm may",
                 reason);
    } else {
        snprintf(p->lacks, sizeof p->lacks, "this machine has no performance counters");
        snprintf(p->why, sizeof p->why,
                 "this machine has no performance counters: Linux shows none in /sys/bus/event_source/devices, as in "
                 "virtual machines without a PMU (PAPI: %s)",
                 reason);
    }
}

static const PAPI_component_info_t *component_named(const char *name, size_t n)
{
    for (int i = 0; i < PAPI_num_components(); i++) {
        const PAPI_component_info_t *c = PAPI_get_component_info(i);
        if (!c) continue;
        if (strlen(c->name) == n && strncmp(c->name, name, n) == 0) return c;
        if (strlen(c->short_name) == n && strncmp(c->short_name, name, n) == 0) return c;
    }
    return NULL;
}

static const PAPI_component_info_t *component_cpu(void) { return component_named("perf_event", 10); }

/* Every event of every thread and group is an open file. */
static void allow_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Before 7.1, PAPI reads sets that are attached to other threads by rdpmc as well, which has the counters of the processor
 * that reads (icl-utk-edu/papi#29). It has no option against that, but what it looks at is what it shows here. */
static void read_by_kernel(const PAPI_component_info_t *cpu)
{
    ((PAPI_component_info_t *)(uintptr_t)cpu)->fast_counter_read = 0;
}

static void open_library(struct papi *p)
{
    const int version = (int)PAPI_VER_CURRENT;
    int code = PAPI_is_initialized() ? version : PAPI_library_init(version);
    if (code == version) {
        code = PAPI_thread_init(thread_id);
        /* Its look-ups read what it keeps of the calling thread, which need not be the one that began. */
        if (code == PAPI_OK) code = PAPI_register_thread();
        p->ready = code == PAPI_OK;
    }
    if (!p->ready) {
        snprintf(p->lacks, sizeof p->lacks, "PAPI does not start: %.60s",
                 code > 0 ? "it is another version than kerf was built with" : PAPI_strerror(code));
        snprintf(p->why, sizeof p->why, "%s", p->lacks);
        return;
    }
    const PAPI_component_info_t *cpu = component_cpu();
    if (!cpu || cpu->disabled) {
        explain(p, cpu);
        return;
    }
    read_by_kernel(cpu);
    allow_files();
}

int papi_open(struct papi **out, const struct thread_place *who, int threads, size_t events, struct error *e)
{
    struct papi *p = *out = memory_new(1, sizeof *p, "counters", e);
    if (!p) return e->code;
    *p = (struct papi){.who = who, .threads = threads, .most = events};
    p->events = memory_new(events, sizeof *p->events, "counters", e);
    p->base = p->events ? memory_new(events * (size_t)threads, 2 * sizeof *p->base, "counters", e) : NULL;
    if (!p->base) {
        papi_close(p);
        *out = NULL;
        return e->code;
    }
    open_library(p);
    return 0;
}

void papi_close(struct papi *p)
{
    if (!p) return;
    for (int i = 0; i < p->n; i++) part_free(&p->parts[i]);
    free(p->events);
    free(p->base);
    free(p);
}

const char *papi_why_no_hardware(const struct papi *p) { return p->why; }

/* --- names --- */

/* Natives, and sums, are in capitals or have a PMU's or component's name before "::". */
bool papi_is_name(const struct papi *p, const char *name)
{
    if (strstr(name, "::")) return true;
    int code;
    if (strncmp(name, "PAPI_", 5) == 0 && !strchr(name, ' '))
        return !p->ready || PAPI_event_name_to_code(name, &code) == PAPI_OK;
    for (const char *c = name; *c; c++)
        if (islower((unsigned char)*c)) return false;
    return *name != 0;
}

void papi_describe(const char *name, char *out, size_t size)
{
    int code;
    PAPI_event_info_t info;
    *out = 0;
    if (PAPI_is_initialized() && PAPI_event_name_to_code(name, &code) == PAPI_OK &&
        PAPI_get_event_info(code, &info) == PAPI_OK)
        clean(info.long_descr, out, size);
}

/* A preset has a code on every machine, whether that has the event or not. */
static int find_code(const char *name, int *out)
{
    const int code = PAPI_event_name_to_code(name, out);
    return code == PAPI_OK ? PAPI_query_event(*out) : code;
}

/* The terms of "A + 4 B"; PAPI_OK or why one of them is not there. */
static int find_terms(const char *words, struct event *event)
{
    event->n = 0;
    for (const char *next = words; *next;) {
        char name[PAPI_MAX_STR_LEN];
        const char *end = strstr(next, " + ");
        const size_t n = end ? (size_t)(end - next) : strlen(next);
        unsigned weight = 1;
        int skip = 0;
        if (sscanf(next, "%u %n", &weight, &skip) != 1 || !skip || next[skip - 1] != ' ') weight = 1, skip = 0;
        if (event->n == TERMS_MOST || n >= sizeof name) return PAPI_EINVAL;
        snprintf(name, sizeof name, "%.*s", (int)(n - (size_t)skip), next + skip);
        const int code = find_code(name, &event->codes[event->n]);
        if (code != PAPI_OK) return code;
        event->weights[event->n++] = weight;
        next += end ? n + 3 : n;
    }
    return event->n ? PAPI_OK : PAPI_EINVAL;
}

/* Whose event it is, by its name: "sde:::x" is of a component, everything else of the CPU. */
static const PAPI_component_info_t *component_of_name(const char *name)
{
    const char *colons = strstr(name, ":::");
    return colons ? component_named(name, (size_t)(colons - name)) : component_cpu();
}

static void say_absent(const struct papi *p, struct counter *counter, const char *name)
{
    const PAPI_component_info_t *c = component_of_name(name);
    char reason[96];
    if (!p->ready || (c && c == component_cpu() && c->disabled)) {
        snprintf(counter->reason, sizeof counter->reason, "%s", p->lacks);
    } else if (!c) {
        snprintf(counter->reason, sizeof counter->reason, "PAPI has no component of this name here");
    } else if (c->disabled && c->disabled_reason[0]) {
        clean(c->disabled_reason, reason, sizeof reason);
        snprintf(counter->reason, sizeof counter->reason, "PAPI's component %.24s is off: %s", c->name, reason);
    } else if (counter_name_of(counter->name)) {
        snprintf(counter->reason, sizeof counter->reason, "PAPI knows no event of this CPU for it");
    } else {
        snprintf(counter->reason, sizeof counter->reason, "PAPI knows no such event on this machine");
    }
}

/* --- groups --- */

static struct part *part_of(struct papi *p, int component)
{
    for (int i = 0; i < p->n; i++)
        if (p->parts[i].component == component) return &p->parts[i];
    const PAPI_component_info_t *c = PAPI_get_component_info(component);
    if (!c || p->n == PARTS_MOST) return NULL;
    struct part *part = &p->parts[p->n];
    *part = (struct part){.component = component, .running = -1, .who = p->who, .threads = 1};
    part->cores = c == component_cpu();
    part->machine = !(c->available_granularities & PAPI_GRN_THR);
    part->attach = c->attach && !part->machine;
    if (part->attach) part->threads = p->threads;
    part->events = memory_new(p->most, sizeof *part->events, "counters", NULL);
    if (!part->events) return NULL;
    p->n++;
    return part;
}

static bool counts_whole(const struct event *event)
{
    for (int i = 0; i < event->n; i++) {
        PAPI_event_info_t info;
        if (PAPI_get_event_info(event->codes[i], &info) == PAPI_OK && info.data_type != PAPI_DATATYPE_INT64 &&
            info.data_type != PAPI_DATATYPE_UINT64)
            return false;
    }
    return true;
}

/* True where it is in a group from here on. */
static bool place(struct papi *p, struct event *event, const char *name)
{
    struct counter *counter = event->counter;
    struct part *part = part_of(p, PAPI_get_event_component(event->codes[0]));
    for (int i = 1; i < event->n; i++)
        if (part && PAPI_get_event_component(event->codes[i]) != part->component) part = NULL;
    if (!part || !counts_whole(event)) {
        snprintf(counter->reason, sizeof counter->reason, "its values are no whole numbers that are counted");
        return false;
    }
    const int code = part_place(part, event, p->first, part->cores ? p->n_first : 0);
    if (code != PAPI_OK) {
        if (code == PAPI_ENOEVNT)
            snprintf(counter->reason, sizeof counter->reason, "Linux counts no %.100s here, which PAPI knows", name);
        else
            papi_words(code, counter->reason, sizeof counter->reason);
        if (part->cores && !p->refusal) p->refusal = counter->reason;
        return false;
    }
    p->counts = p->counts || part->cores;
    part->events[part->n_events++] = event;
    event->part = part;
    snprintf(counter->source, sizeof counter->source, "%s", name);
    counter->scope = part->attach ? COUNTER_THREADS : part->machine ? COUNTER_MACHINE : COUNTER_PROCESS;
    counter->reason[0] = 0;
    const bool everywhere = strcmp(counter->name, "cycles") == 0 || strcmp(counter->name, "instructions") == 0;
    if (part->cores && everywhere && p->n_first < FIRST_MOST) p->first[p->n_first++] = event;
    return true;
}

void papi_add(struct papi *p, struct counter *counter, size_t i, const char *const *alternatives)
{
    struct event *event = &p->events[i];
    bool refused = false; /* an event that is known here was: its reason says more than that others are not known */
    *event = (struct event){.counter = counter, .index = i, .base = &p->base[2 * i * (size_t)p->threads]};
    event->seen = event->base + p->threads;
    counter->group = -1;
    for (const char *const *name = alternatives; p->ready && *name; name++) {
        char kept[sizeof counter->reason];
        memcpy(kept, counter->reason, sizeof kept);
        if (find_terms(*name, event) != PAPI_OK) continue;
        if (place(p, event, *name)) return;
        if (refused) memcpy(counter->reason, kept, sizeof kept);
        refused = true;
    }
    event->n = 0;
    event->groups = 0;
    if (!refused) say_absent(p, counter, alternatives[0]);
}

/* --- turns --- */

/* The group of a part that counts in one of all: those with fewer groups go round sooner. */
static int group_of(const struct part *part, int group) { return part->n ? group % part->n : -1; }

/* Starts what is not dead in this group; false where nothing is left of it. */
static bool start_group(struct papi *p, int group)
{
    bool any = false;
    for (int i = 0; i < p->n; i++) {
        struct part *part = &p->parts[i];
        const int own = group_of(part, group);
        if (own < 0 || part->groups[own].dead) continue;
        any = part_start(part, own) || any;
    }
    p->group = group;
    return any;
}

static void stop_group(struct papi *p)
{
    for (int i = 0; i < p->n; i++) part_stop(&p->parts[i]);
}

void papi_start(struct papi *p)
{
    if (!p->why[0] && !p->counts && p->refusal)
        snprintf(p->why, sizeof p->why, "PAPI knows this CPU's counters, but none can be counted: %s", p->refusal);
    for (int i = 0; i < p->n; i++)
        if (p->parts[i].n > p->groups) p->groups = p->parts[i].n;
    bool first = false, any = false;
    for (int g = p->groups - 1; g >= 0; g--) { /* each for a moment, to know which can be started */
        stop_group(p);
        first = start_group(p, g);
        any = any || first;
    }
    if (!any) p->groups = 0;
    for (size_t i = 0; i < p->most; i++) {
        struct event *event = &p->events[i];
        if (!event->n) continue;
        if (!event->groups) event->counter->source[0] = 0;
        event->counter->group = event->groups ? __builtin_ctzll(event->groups) : -1;
    }
    if (!first) papi_rotate(p);
}

void papi_rotate(struct papi *p)
{
    if (p->groups < 2) return;
    stop_group(p);
    for (int tries = 0, group = p->group; tries < p->groups; tries++) {
        group = (group + 1) % p->groups;
        if (start_group(p, group)) return;
    }
}

void papi_read(struct papi *p, uint64_t *totals)
{
    for (int i = 0; i < p->n; i++) part_read(&p->parts[i], totals, p->threads);
}

int papi_groups(const struct papi *p) { return p->groups; }
int papi_group(const struct papi *p) { return p->group; }

bool papi_group_has(const struct papi *p, int group, size_t i)
{
    if (i >= p->most || !p->events[i].n || group < 0 || group >= p->groups) return false;
    return p->events[i].groups >> group_of(p->events[i].part, group) & 1;
}
