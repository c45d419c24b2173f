/* A profile read from its record (docs/profiles.md), with every field checked: for the table and the page.
 *
 *     struct report_profile p;
 *     if (report_profile_read(&p, record, "profile", e)) return e->code;
 *     for (size_t i = 0; i < p.n_groups; i++)
 *         ... p.groups[i].figures.seconds, report_counted_in(&p.groups[i].figures, "instructions").value ...
 *     report_profile_close(&p);
 *
 * Strings and values belong to the JSON, which must outlive the profile. A number that is null is NAN, a count -1, a text
 * "". Times are seconds, rates 1e9 a second. */
#ifndef KERF_REPORTS_PROFILE_H
#define KERF_REPORTS_PROFILE_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a counter says of a phase or a group: the sum of the threads, scaled by 1 / share where the counter saw only that
 * share of the time. NAN and 0: it is not there, or was never seen in it. */
struct report_counted {
    double value, share;
};

struct report_counter {
    const char *name, *what, *unit, *source, *scope; /* scope: "threads", "process" or "machine" */
    const char *reason;                              /* why it is not there; NULL where it is */
};

struct report_figures {
    double seconds, flop, bytes;
    int64_t times;
    const json_t *values; /* {name: {"value", "share", "threads"}}, checked: for report_counted_in() */
};

struct report_phase {
    const char *phase; /* "load", "pack", "prefill", "decode", ... */
    struct report_figures figures;
};

/* What a group could reach on this machine: the lower of a peak of arithmetic and what memory brings. */
struct report_limit {
    const char *name, *unit; /* "" where it is not known */
    double value, share;     /* share: what was reached of it */
};

/* One kernel: the same part with the same weights and shape, in as many layers. */
struct report_group {
    const char *phase, *part, *weights, *shape; /* weights and shape: "" where nothing is multiplied */
    int64_t layers;
    struct report_figures figures;
    double flop_per_byte, gflop_per_second, gb_per_second;
    struct report_limit limit;
};

struct report_part {
    const char *part;
    double seconds;
};

struct report_layer {
    const char *phase;
    int64_t layer; /* -1: of none (embedding, output) */
    const struct report_part *parts;
    size_t n_parts;
};

struct report_peak {
    const char *name, *kind, *unit; /* kind: "float32" or "int8" */
    double value;
};

struct report_per_token {
    double instructions, l1d_misses, l2_misses, l3_misses, energy_joules, task_clock_seconds, bytes;
};

struct report_profile {
    double seconds, overhead; /* overhead: share of the seconds that reading counters took */
    int64_t threads, tokens;
    bool resumed;            /* only what this process did: nothing per token */
    double beside;           /* seconds of it in which the baseline's model ran; NAN: none */
    const char *note;        /* why there are no hardware counters; NULL where there are */
    const char *no_roofline; /* why the machine was not measured; NULL where it was */
    double read_gb_per_second;
    struct report_counter *counters;
    size_t n_counters;
    struct report_phase *phases;
    size_t n_phases;
    struct report_group *groups;
    size_t n_groups;
    struct report_layer *layers;
    size_t n_layers;
    struct report_part *parts; /* of all layers */
    struct report_peak *peaks; /* of the roofline */
    size_t n_peaks;
    struct report_per_token per_token;
};

/* `where` stands before the field that is wrong: "profile", "comparison: subjects[1].profile". ERROR_INPUT names the
 * first field that is missing or of another type. After failure nothing is held. */
int report_profile_read(struct report_profile *p, const json_t *profile, const char *where, struct error *e);
void report_profile_close(struct report_profile *p); /* also of a zeroed one */

struct report_counted report_counted_in(const struct report_figures *f, const char *counter);
/* Instructions a cycle; of the two counters the smaller share. */
struct report_counted report_ipc(const struct report_figures *f);
/* The counter of this name, NULL where the record does not know it. */
const struct report_counter *report_counter_find(const struct report_profile *p, const char *name);
/* The smallest share of a counter in prefill and decode, from which figures by token are; 1 where it was not scaled. */
double report_passes_share(const struct report_profile *p, const char *counter);
/* The smallest share above 0 of all values that are there, 1 where none was scaled. */
double report_profile_least_share(const struct report_profile *p);

#endif
