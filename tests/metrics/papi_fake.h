/* PAPI's functions, to be defined in one test program, where they win over the library's: a PMU of four counters, with
 * events that get in each other's way, whose counts the tests choose. */
#ifndef KERF_TESTS_METRICS_PAPI_FAKE_H
#define KERF_TESTS_METRICS_PAPI_FAKE_H

#include <papi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* papi.h names codes by bits of an int; ours are small. */
enum { THREADS = 3, SETS = 256, COUNTERS = 4, CORE = 0, UNCORE = 1, PROCESS = 2, COMPONENTS = 3 };

struct fake_event {
    const char *name;
    int component;
    bool absent;      /* a preset that has a code and no event */
    int conflict;     /* with the event of this place, -1: none */
    int refuse_start; /* sets with it start with this code */
    int refuse_read;
    bool floating;             /* its values are doubles */
    uint64_t now[THREADS + 1]; /* what has happened on each thread; the last: of the process or machine */
    int counted[THREADS + 1];  /* sets that run with it */
};

static struct fake_event events[] = {
    {"PAPI_TOT_CYC", CORE, .conflict = -1},
    {"PAPI_TOT_INS", CORE, .conflict = -1},
    {"PAPI_BR_INS", CORE, .conflict = -1},
    {"PAPI_BR_MSP", CORE, .conflict = -1},
    {"PAPI_L1_DCM", CORE, .conflict = 5},
    {"PAPI_L1_ICM", CORE, .conflict = 4},
    {"PAPI_L3_TCM", CORE, .absent = true, .conflict = -1},
    {"LONGEST_LAT_CACHE:MISS", CORE, .conflict = -1},
    {"FP_ARITH_INST_RETIRED:SCALAR_SINGLE", CORE, .conflict = -1},
    {"FP_ARITH_INST_RETIRED:128B_PACKED_SINGLE", CORE, .conflict = -1},
    {"FP_ARITH_INST_RETIRED:256B_PACKED_SINGLE", CORE, .conflict = -1},
    {"FP_ARITH_INST_RETIRED:512B_PACKED_SINGLE", CORE, .conflict = -1},
    {"uncore:::READS", UNCORE, .conflict = 13},
    {"uncore:::WRITES", UNCORE, .conflict = 12},
    {"soft:::jobs", PROCESS, .conflict = -1},
    {"soft:::ratio", PROCESS, .conflict = -1, .floating = true},
};
enum { CYC, INS, BR, MSP, L1D, L1I, L3PRESET, L3, SCALAR, W128, W256, W512, READS, WRITES, JOBS, RATIO, EVENTS };

struct fake_set {
    bool live, running;
    int component, n, codes[16];
    unsigned long thread; /* 0: not attached */
    uint64_t at_start[16];
};

/* Threads must stay those of reset(): OpenMP ends those that a smaller team has no use for. */
static struct {
    PAPI_component_info_t components[COMPONENTS];
    struct fake_set sets[SETS];
    bool initialised;
    int init, attach; /* what these functions return where it is not success */
    unsigned long threads[THREADS];
    int refused; /* starts */
} fake;

/* --- the library --- */

static int place_of(const struct fake_set *s)
{
    for (int t = 0; t < THREADS; t++)
        if (s->thread && fake.threads[t] == s->thread) return t;
    return THREADS;
}

int PAPI_is_initialized(void) { return fake.initialised; }
int PAPI_library_init(int version)
{
    if (fake.init) return fake.init;
    fake.initialised = true;
    return version;
}
int PAPI_thread_init(unsigned long (*id)(void))
{
    return id() == (unsigned long)syscall(SYS_gettid) ? PAPI_OK : PAPI_EINVAL;
}
int PAPI_register_thread(void) { return PAPI_OK; }
int PAPI_num_components(void) { return COMPONENTS; }
const PAPI_component_info_t *PAPI_get_component_info(int i)
{
    return i >= 0 && i < COMPONENTS ? &fake.components[i] : NULL;
}
char *PAPI_strerror(int code)
{
    static char conflict[] = "conflict", other[] = "other";
    return code == PAPI_ECNFLCT ? conflict : other;
}
int PAPI_event_name_to_code(const char *name, int *code)
{
    for (int i = 0; i < EVENTS; i++)
        if (strcmp(events[i].name, name) == 0 && !fake.components[events[i].component].disabled)
            return *code = i, PAPI_OK;
    return PAPI_ENOEVNT;
}
int PAPI_query_event(int code) { return events[code].absent ? PAPI_ENOEVNT : PAPI_OK; }
int PAPI_get_event_component(int code) { return events[code].component; }
int PAPI_get_event_info(int code, PAPI_event_info_t *info)
{
    memset(info, 0, sizeof *info);
    info->data_type = events[code].floating ? PAPI_DATATYPE_FP64 : PAPI_DATATYPE_INT64;
    snprintf(info->long_descr, sizeof info->long_descr, "Jobs done.\n");
    return PAPI_OK;
}
int PAPI_create_eventset(int *set)
{
    for (int i = 0; i < SETS; i++)
        if (!fake.sets[i].live) {
            fake.sets[i] = (struct fake_set){.live = true, .component = -1};
            return *set = i, PAPI_OK;
        }
    return PAPI_ENOMEM;
}
int PAPI_assign_eventset_component(int set, int component) { return fake.sets[set].component = component, PAPI_OK; }
int PAPI_attach(int set, unsigned long thread)
{
    struct fake_set *s = &fake.sets[set];
    if (fake.attach) return fake.attach;
    if (s->n || !fake.components[s->component].attach) return PAPI_EINVAL;
    s->thread = thread;
    return place_of(s) < THREADS ? PAPI_OK : PAPI_ESYS;
}
int PAPI_add_event(int set, int code)
{
    struct fake_set *s = &fake.sets[set];
    if (s->component != events[code].component || s->running) return PAPI_EINVAL;
    if (s->component == CORE && s->n == COUNTERS) return PAPI_ECNFLCT;
    for (int i = 0; i < s->n; i++)
        if (s->codes[i] == code || events[code].conflict == s->codes[i]) return PAPI_ECNFLCT;
    s->codes[s->n++] = code;
    return PAPI_OK;
}
int PAPI_remove_event(int set, int code)
{
    struct fake_set *s = &fake.sets[set];
    if (!s->n || s->codes[s->n - 1] != code) return PAPI_EINVAL;
    s->n--;
    return PAPI_OK;
}
int PAPI_cleanup_eventset(int set) { return fake.sets[set].running ? PAPI_EISRUN : (fake.sets[set].n = 0, PAPI_OK); }
int PAPI_destroy_eventset(int *set)
{
    if (fake.sets[*set].n) return PAPI_EINVAL;
    fake.sets[*set].live = false;
    return *set = PAPI_NULL, PAPI_OK;
}
int PAPI_start(int set)
{
    struct fake_set *s = &fake.sets[set];
    for (int i = 0; i < SETS; i++)
        if (fake.sets[i].live && fake.sets[i].running && fake.sets[i].component == s->component &&
            fake.sets[i].thread == s->thread)
            return PAPI_EISRUN;
    const int t = place_of(s);
    for (int i = 0; i < s->n; i++)
        if (events[s->codes[i]].refuse_start) return fake.refused++, events[s->codes[i]].refuse_start;
    for (int i = 0; i < s->n; i++) {
        s->at_start[i] = events[s->codes[i]].now[t];
        events[s->codes[i]].counted[t]++;
    }
    s->running = true;
    return PAPI_OK;
}
int PAPI_read(int set, long long *values)
{
    const struct fake_set *s = &fake.sets[set];
    if (!s->running) return PAPI_ENOTRUN;
    if (fake.components[s->component].fast_counter_read && place_of(s) != 0) /* of the processor that reads */
        return memset(values, 0x55, (size_t)s->n * sizeof *values), PAPI_OK;
    for (int i = 0; i < s->n; i++)
        if (events[s->codes[i]].refuse_read) return events[s->codes[i]].refuse_read;
    for (int i = 0; i < s->n; i++) values[i] = (long long)(events[s->codes[i]].now[place_of(s)] - s->at_start[i]);
    return PAPI_OK;
}
int PAPI_stop(int set, long long *values)
{
    struct fake_set *s = &fake.sets[set];
    const int code = PAPI_read(set, values);
    for (int i = 0; i < s->n && s->running; i++) events[s->codes[i]].counted[place_of(s)]--;
    s->running = false;
    return code;
}

#endif
