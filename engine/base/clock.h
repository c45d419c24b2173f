/* The time since some moment in the past, in seconds; it never goes back. */
#ifndef KERF_ENGINE_BASE_CLOCK_H
#define KERF_ENGINE_BASE_CLOCK_H

double seconds_now(void);

#endif
