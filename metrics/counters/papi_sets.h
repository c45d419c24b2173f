/* Event sets of one component: what papi.c is made of.
 *
 *     struct part *part = ...;                          a component with its groups
 *     int why = part_place(part, event);                into the first group where it fits, else a new one
 *     part_start(part, group), part_stop(part), part_read(part, totals)
 *
 * Codes returned are PAPI's (PAPI_OK, PAPI_ECNFLCT, ...). */
#ifndef KERF_METRICS_COUNTERS_PAPI_SETS_H
#define KERF_METRICS_COUNTERS_PAPI_SETS_H

#include "metrics/counters/papi.h"

enum { TERMS_MOST = 4, GROUPS_MOST = 64, CODES_MOST = 40 };

/* An event as we name it: a sum of PAPI's. */
struct event {
    struct counter *counter;
    size_t index; /* of the values */
    int n;        /* terms; 0: not counted by PAPI */
    int codes[TERMS_MOST];
    unsigned weights[TERMS_MOST];
    uint64_t groups; /* of its part: bit g */
    const struct part *part;
    uint64_t *base; /* [threads]: what groups that were stopped have counted */
    uint64_t *seen; /* [threads]: the total that was read last, where a total stays that can be read no more */
};

/* A group of events that are counted together. */
struct group {
    int *sets; /* [part's threads] */
    int codes[CODES_MOST];
    int n;
    bool dead;
};

struct part {
    int component;
    bool attach, cores, machine; /* sets are attached to threads; it is the CPU's; it counts the whole machine */
    int threads;                 /* sets of a group */
    const struct thread_place *who;
    struct group groups[GROUPS_MOST];
    int n;
    int running;           /* the group that counts, -1: none */
    struct event **events; /* of this part */
    size_t n_events;
};

/* PAPI_OK, or why no group can take it. `first`: events that go into each new group before it, where all fit. */
int part_place(struct part *p, struct event *event, struct event *const *first, size_t n_first);
/* Starts a group on all threads, or on none: then it is dead, and its events are told why. */
bool part_start(struct part *p, int group);
void part_stop(struct part *p); /* what counted is added to the events' base */
void part_read(struct part *p, uint64_t *totals /* [index][threads] */, int threads);
void part_free(struct part *p);
/* PAPI's words for a code, with the remedy where there is one. */
void papi_words(int code, char *out, size_t size);

#endif
