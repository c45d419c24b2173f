/* --profile and --counters, what eval, compare and bench model share of them.
 *
 *     struct profiling_options o = {0};                   its two rows in the table: profiling_rows()
 *     struct profiling x;
 *     if (profiling_open(&x, &o, e)) return e->code;      counters; nothing where no profile was asked for
 *     if (profiling_start(&x, e)) ...                     the clock starts
 *     options.watch = profiling_watch(&x);
 *     ...
 *     profiling_stop(&x);
 *     json_t *record = profiling_record(&x, &what, e);
 *     profiling_close(&x);                                a model that is left must watch no more: model_watch(m, NULL)
 *
 * docs/profiles.md says what the record has. Per token means: of the phases prefill and decode together, by the tokens
 * that went through the model. */
#ifndef KERF_CLI_PROFILE_H
#define KERF_CLI_PROFILE_H

#include "cli/command.h"
#include "cli/machine.h"
#include "metrics/counters/profile.h"

struct profiling_options {
    bool on;
    const char *counters; /* "NAME,...", as given, or NULL: all that have a name */
};

enum { PROFILING_OPTIONS = 2 };
void profiling_rows(struct profiling_options *o, struct option rows[PROFILING_OPTIONS]);
/* To be called behind options_parse() and engine_open(): --counters implies --profile, and its names are checked before
 * the work. */
int profiling_check(struct profiling_options *o, struct error *e);

struct profiling {
    struct counters *counters; /* NULL: no profile was asked for */
    struct profile *profile;
    char *given;        /* the names, */
    const char **names; /* each */
};

int profiling_open(struct profiling *out, const struct profiling_options *o, struct error *e);
int profiling_start(struct profiling *x, struct error *e);
const struct watch *profiling_watch(struct profiling *x); /* NULL where no profile was asked for */
void profiling_stop(struct profiling *x);
void profiling_end(struct profiling *x);   /* forgets the profile: another one may start */
void profiling_close(struct profiling *x); /* also a zeroed one */

/* What a record says beside what was counted. */
struct profiled {
    const struct model *m;
    bool fast;                           /* its math */
    int64_t tokens;                      /* that went through it */
    bool resumed;                        /* not all of them in this process */
    double beside;                       /* seconds of PHASE_OTHER in which the baseline's model ran */
    double peak_resident;                /* bytes; NaN: not known */
    const struct machine_limits *limits; /* NULL: not measured, */
    const char *no_limits;               /* since */
    double limits_seconds;               /* that measuring took in this process; NaN: it was done before */
};

/* Two rounds of every meter, about 3 s. */
int profiling_limits(struct machine_limits *out, const char *label, struct error *e);
/* A profile's record, NULL with an error. */
json_t *profiling_record(const struct profiling *x, const struct profiled *what, struct error *e);
/* The flat ones, by name, into run.json's "counters"; false: no memory. */
bool profiling_counters(const struct profiling *x, const struct profiled *what, json_t *counters);

/* --- what is behind both --- */

/* A counter of all phases, or of those in `phases` (bit 1 << phase), by its name; NaN where it is not there. */
double profiling_value(const struct profiling *x, const char *name, unsigned phases);
enum { PROFILING_PASSES = 1 << PHASE_PREFILL | 1 << PHASE_DECODE, PROFILING_ALL = (1 << PHASES) - 1 };
double profiling_joules(const struct profiling *x, unsigned phases);
/* Operations and bytes of the passes; bytes of weights alone where asked. */
struct profile_figures profiling_passes(const struct profiling *x, bool weights_alone);

#endif
