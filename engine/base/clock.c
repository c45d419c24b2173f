#include "engine/base/clock.h"

#include <time.h>

static double read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double seconds_now(void) { return read_clock(CLOCK_MONOTONIC); }

double cpu_seconds_now(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

struct cost cost_now(void) { return (struct cost){seconds_now(), cpu_seconds_now()}; }

void cost_add(struct cost *total, struct cost started)
{
    total->seconds += seconds_now() - started.seconds;
    total->cpu_seconds += cpu_seconds_now() - started.cpu_seconds;
}
