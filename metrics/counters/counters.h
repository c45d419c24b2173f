/* Counters: what the machine can count while work is done, and why it cannot count the rest.
 *
 *     struct counters *c;
 *     if (counters_open(&c, &(struct counters_options){0}, e)) return e->code;
 *     for (size_t i = 0; i < counters_count(c); i++)
 *         if (!counters_at(c, i)->reason[0]) ...
 *     struct counter_values *before = counters_values(c), *after = counters_values(c);
 *     counters_read(c, COUNTERS_ALL, before);
 *     work();
 *     counters_read(c, COUNTERS_ALL, after);
 *     uint64_t n = counter_since(c, before, after, thread, i);      modulo 2^64: a counter may wrap
 *     counters_close(c);
 *
 * Hardware counters come through PAPI: of each the first of several names that this machine knows, as a rule presets
 * before native events (names.h). Counted is user code. One event set a thread, attached to it, so that the thread that
 * drives the work reads them all; it opens, reads, rotates and closes, never from within a parallel loop. The threads
 * must stay those that OpenMP had when they were opened: the time of one that ended is no longer counted, and the reason
 * says so. A CPU has few counters: events that do not fit together form several groups, of which one counts at a time;
 * counters_rotate() goes on to the next. What a group did not see is for the caller to scale, and to say so (profile.h).
 * Cycles and instructions are in every group where they fit. Values go on from group to group.
 *
 * Of software there are always task clock, page faults, context switches and peak resident memory. Energy is read from
 * RAPL (Linux powercap: /sys/class/powercap/intel-rapl:N/energy_uj) where it is readable; its counters wrap at
 * max_energy_range_uj, which counters_read() unwraps, if it comes as often as every few minutes.
 *
 * Sources: PAPI 7 (papi.h), powercap (Documentation/power/powercap), getrusage(2), clock_gettime(2). */
#ifndef KERF_METRICS_COUNTERS_COUNTERS_H
#define KERF_METRICS_COUNTERS_COUNTERS_H

#include "engine/base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum counter_scope {
    COUNTER_THREADS, /* counted for every thread: values [threads] */
    COUNTER_PROCESS, /* for the whole process: values [0], the rest 0 */
    COUNTER_MACHINE, /* for everything that runs on it (energy): values [0] */
};

enum counter_kind {
    COUNTER_HARDWARE, /* of one group at a time */
    COUNTER_SOFTWARE, /* always counted */
    COUNTER_ENERGY,   /* likewise */
    COUNTER_LEVEL,    /* a level, not a sum (peak_resident): its value at the end counts */
};

struct counter {
    const char *name; /* "instructions", "l3_misses", "task_clock", "energy_package"; one from the user: as given */
    const char *what; /* "instructions that retired" */
    const char *unit; /* "1", "ns", "bytes", "uJ" */
    char source[256]; /* "PAPI_TOT_INS", "perf::INSTRUCTIONS", "A + 4 B", "getrusage"; "" where there is none */
    enum counter_kind kind;
    enum counter_scope scope;
    int group;        /* of hardware: the first that has it (counter_in_group() tells all); -1: of none */
    char reason[160]; /* why it is not there, or is no longer; "" where it is */
};

struct counters;

struct counters_options {
    const char *const
        *names;           /* MAY: which, by our names or PAPI's, NULL-terminated; NULL: all that we have names for */
    const char *powercap; /* MAY: in place of /sys/class/powercap */
    int threads;          /* of OpenMP that count; 0: omp_get_max_threads(). To be opened where the work will run */
};

/* What a machine lacks is no error; a name that is neither ours nor can be PAPI's is ERROR_USAGE with the nearest one. */
int counters_open(struct counters **out, const struct counters_options *options, struct error *e);
void counters_close(struct counters *c); /* NULL is fine */
size_t counters_count(const struct counters *c);
const struct counter *counters_at(const struct counters *c, size_t i);
int counters_find(const struct counters *c, const char *name); /* -1: none of this name */
int counters_threads(const struct counters *c);
/* One line: why there are no hardware counters at all ("this machine has no performance counters that PAPI knows:
 * ..."); "" where there are. */
const char *counters_why_no_hardware(const struct counters *c);

/* [counters_count()][threads] values and which group they are of; free(). NULL when memory ran out. */
struct counter_values {
    int group;
    uint64_t at[];
};
struct counter_values *counters_values(const struct counters *c);

/* How much is read: what is cheap enough for every piece of a pass (hardware and task clock), or everything. What is not
 * read is in `out` as it was read last. */
enum counters_extent { COUNTERS_HARDWARE, COUNTERS_ALL };
void counters_read(struct counters *c, enum counters_extent extent, struct counter_values *out);
/* Whether counter i is there and counted by the active group of `v`; software and energy always. */
bool counter_active(const struct counters *c, const struct counter_values *v, size_t i);
bool counter_in_group(const struct counters *c, int group, size_t i);
/* after - before, modulo 2^64; of a level (peak_resident) that of `after`. Where both are of one group, it is what was
 * counted between them; else what was counted while a group with the counter was active. */
uint64_t counter_since(const struct counters *c, const struct counter_values *before,
                       const struct counter_values *after, int thread, size_t i);
int counters_groups(const struct counters *c); /* 0: no hardware counters */
/* The next group counts from here on. */
void counters_rotate(struct counters *c);
/* Seconds that a counters_read() takes, measured when it was opened. */
double counters_read_seconds(const struct counters *c, enum counters_extent extent);

#endif
