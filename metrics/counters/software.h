/* What Linux counts by itself: time of threads, page faults, context switches, memory.
 *
 *     struct thread_place *who = memory_new(threads, sizeof *who, "threads", e);
 *     software_threads(who, threads);                the threads of OpenMP that will work, in their order
 *     uint64_t ns;
 *     if (software_task_clock(&who[t], &ns)) ...     false: the thread has ended
 *
 * Sources: clock_gettime(2) of pthread_getcpuclockid(3), getrusage(2). */
#ifndef KERF_METRICS_COUNTERS_SOFTWARE_H
#define KERF_METRICS_COUNTERS_SOFTWARE_H

#include "metrics/counters/names.h"
#include <time.h>

struct thread_place {
    unsigned long id; /* gettid() */
    clockid_t clock;
};

/* Fills who[threads]; how many of them OpenMP gave. */
int software_threads(struct thread_place *who, int threads);
bool software_task_clock(const struct thread_place *who, uint64_t *ns);
/* Of the whole process, for every meter of getrusage() at once; [meter], in the unit of its name. */
void software_usage(uint64_t out[METER_PACKAGE]);
const char *software_source(enum counter_meter meter);

#endif
