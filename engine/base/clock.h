/* The time since some moment in the past, in seconds; it never goes back. */
#ifndef KERF_ENGINE_BASE_CLOCK_H
#define KERF_ENGINE_BASE_CLOCK_H

double seconds_now(void);
/* Processor time of this process, all threads together, in seconds. */
double cpu_seconds_now(void);

/* What a stretch of work took. */
struct cost {
    double seconds, cpu_seconds;
};

struct cost cost_now(void);                             /* both clocks */
void cost_add(struct cost *total, struct cost started); /* what has passed since */

#endif
