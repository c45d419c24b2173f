#include "metrics/counters/software.h"

#include <omp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int software_threads(struct thread_place *who, int threads)
{
    int found = 0;
#pragma omp parallel num_threads(threads) reduction(+ : found)
    {
        struct thread_place *w = &who[omp_get_thread_num()];
        w->id = (unsigned long)syscall(SYS_gettid);
        found = pthread_getcpuclockid(pthread_self(), &w->clock) == 0;
    }
    return found;
}

bool software_task_clock(const struct thread_place *who, uint64_t *ns)
{
    struct timespec t;
    if (clock_gettime(who->clock, &t)) return false;
    *ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    return true;
}

void software_usage(uint64_t out[METER_PACKAGE])
{
    struct rusage u = {0};
    getrusage(RUSAGE_SELF, &u);
    out[METER_FAULTS] = (uint64_t)u.ru_minflt + (uint64_t)u.ru_majflt;
    out[METER_FAULTS_MAJOR] = (uint64_t)u.ru_majflt;
    out[METER_SWITCHES] = (uint64_t)u.ru_nvcsw + (uint64_t)u.ru_nivcsw;
    out[METER_SWITCHES_FORCED] = (uint64_t)u.ru_nivcsw;
    out[METER_RESIDENT] = (uint64_t)u.ru_maxrss * 1024;
}

const char *software_source(enum counter_meter meter)
{
    return meter == METER_TASK_CLOCK ? "CLOCK_THREAD_CPUTIME_ID" : "getrusage";
}
