/* Events that PAPI counts, in groups that fit the hardware.
 *
 *     struct papi *p;
 *     if (papi_open(&p, who, threads, events, e)) return e->code;     that PAPI or a PMU is missing is no error
 *     papi_add(p, &counter, i, "cycles", alternatives);               sets source, scope and reason of the counter
 *     papi_start(p);                                                  every group for a moment, then the first
 *     papi_read(p, totals);                                           [events][threads], those that PAPI counts
 *     papi_rotate(p);                                                 the next group
 *     papi_close(p);
 *
 * Every component of PAPI (the CPU's is perf_event) has groups of its own, which count at the same time as those of the
 * others; of its groups one counts at a time. A group is an event set for each thread, attached to it, where the
 * component can attach; else one that counts for the process.
 *
 * Totals go on from group to group, modulo 2^64: what a set has counted is added up when it stops. Papi's own
 * multiplexing is not used, since it scales without saying so.
 *
 * Source: papi.h of PAPI 7, and its wiki on event sets, PAPI_attach and components. */
#ifndef KERF_METRICS_COUNTERS_PAPI_H
#define KERF_METRICS_COUNTERS_PAPI_H

#include "metrics/counters/software.h"

struct papi;

int papi_open(struct papi **out, const struct thread_place *who, int threads, size_t events, struct error *e);
void papi_close(struct papi *p); /* NULL is fine */
/* Why the CPU's counters cannot be had; "" where they can. */
const char *papi_why_no_hardware(const struct papi *p);
/* Puts the first of the alternatives (up to NULL) that this machine has and can count into the groups, as event i.
 * `counter` must live as long as p: what goes wrong later is told in its reason. */
void papi_add(struct papi *p, struct counter *counter, size_t i, const char *const *alternatives);
/* Whether a name can be one of PAPI's: of a preset, or as native events are written. */
bool papi_is_name(const struct papi *p, const char *name);
/* PAPI's description of an event, "" where it has none. */
void papi_describe(const char *name, char *out, size_t size);

void papi_start(struct papi *p);
void papi_read(struct papi *p, uint64_t *totals);
void papi_rotate(struct papi *p);
int papi_groups(const struct papi *p);
int papi_group(const struct papi *p); /* the one that counts */
/* Whether a group counts event i. */
bool papi_group_has(const struct papi *p, int group, size_t i);

#endif
