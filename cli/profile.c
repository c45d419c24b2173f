#include "cli/profile.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void profiling_rows(struct profiling_options *o, struct option rows[PROFILING_OPTIONS])
{
    rows[0] = (struct option){"--profile", OPTION_FLAG, NULL,
                              "also what it costs the hardware, by phase and kernel (kerf counters: what there is)",
                              .flag = &o->on};
    rows[1] = (struct option){"--counters", OPTION_TEXT, "NAME,...",
                              "a profile of these counters alone, by kerf's names or PAPI's", .text = &o->counters};
}

/* --- opening and closing --- */

/* Splits the names at their commas. */
static int take_names(struct profiling *x, const char *given, struct error *e)
{
    if (!given) return 0;
    size_t most = 2, n = 0;
    for (const char *s = given; *s; s++) most += *s == ',';
    x->given = memory_string(given, e);
    x->names = memory_new(most, sizeof *x->names, "names", e);
    if (!x->given || !x->names) return ERROR_IO;
    for (char *s = x->given, *next; s; s = next) {
        next = strchr(s, ',');
        if (next) *next++ = 0;
        if (!*s) return error_set(e, ERROR_USAGE, "--counters \"%s\": must be names with commas between them", given);
        x->names[n++] = s;
    }
    return 0;
}

int profiling_open(struct profiling *out, const struct profiling_options *o, struct error *e)
{
    *out = (struct profiling){0};
    if (!o->on) return 0;
    int status = take_names(out, o->counters, e);
    const struct counters_options options = {.names = out->names};
    if (!status && counters_open(&out->counters, &options, e)) {
        status = e->code;
        out->counters = NULL;
        if (o->counters) error_prefix(e, "--counters");
    }
    if (status) profiling_close(out);
    return status;
}

int profiling_check(struct profiling_options *o, struct error *e)
{
    if (!o->counters) return 0;
    struct profiling x;
    o->on = true;
    const int status = profiling_open(&x, o, e);
    if (!status) profiling_close(&x);
    return status;
}

int profiling_start(struct profiling *x, struct error *e)
{
    return x->counters ? profile_open(&x->profile, x->counters, e) : 0;
}

const struct watch *profiling_watch(struct profiling *x) { return x->profile ? profile_watch(x->profile) : NULL; }

void profiling_stop(struct profiling *x)
{
    if (x->profile) profile_stop(x->profile);
}

void profiling_end(struct profiling *x)
{
    profile_close(x->profile);
    x->profile = NULL;
}

void profiling_close(struct profiling *x)
{
    profiling_end(x);
    counters_close(x->counters);
    free(x->names);
    free(x->given);
    *x = (struct profiling){0};
}

/* --- the machine --- */

static bool on_meter(void *user, size_t done, size_t total) { return progress_update(user, "machine", done, total); }

int profiling_limits(struct machine_limits *out, const char *label, struct error *e)
{
    enum { ROUNDS = 2 };
    struct progress progress;
    progress_open(&progress, label);
    const int status = machine_measure(out, ROUNDS, on_meter, &progress, e);
    progress_close(&progress);
    return status;
}

/* --- flat --- */

double profiling_value(const struct profiling *x, const char *name, unsigned phases)
{
    const int i = counters_find(x->counters, name);
    if (i < 0 || counters_at(x->counters, (size_t)i)->reason[0]) return NAN;
    return phases == PROFILING_ALL ? profile_run_value(x->profile, (size_t)i, -1).value
                                   : profile_phases_value(x->profile, phases, (size_t)i, -1).value;
}

double profiling_joules(const struct profiling *x, unsigned phases)
{
    const double package = profiling_value(x, "energy_package", phases);
    const double memory = profiling_value(x, "energy_dram", phases);
    return 1e-6 * (package + (isnan(memory) ? 0 : memory));
}

struct profile_figures profiling_passes(const struct profiling *x, bool weights_alone)
{
    const struct profile *p = x->profile;
    struct profile_figures all = {0};
    for (int i = PHASE_PREFILL; i <= PHASE_DECODE; i++) {
        const struct profile_figures f = profile_phase(p, (enum phase)i);
        all.seconds += f.seconds;
        all.flop += f.flop;
        all.bytes += f.bytes;
    }
    for (size_t i = 0; weights_alone && i < profile_places(p); i++) {
        const struct profile_place at = profile_place_at(p, i);
        const bool passes = at.phase == PHASE_PREFILL || at.phase == PHASE_DECODE; /* calibrating has pieces as well */
        if (passes && at.part == PART_ATTENTION) all.bytes -= profile_piece(p, i).bytes;
    }
    return all;
}

/* What a subject took itself: what the baseline's model took beside it, in PHASE_OTHER, is not its cost. */
static double own(const struct profiling *x, const struct profiled *what, const char *name)
{
    const double all = profiling_value(x, name, PROFILING_ALL);
    const double other = what->beside > 0 ? profiling_value(x, name, 1u << PHASE_OTHER) : 0;
    return what->resumed ? NAN : all - (isnan(other) ? 0 : other);
}

static bool set(json_t *counters, const char *key, double value)
{
    return json_object_set_new(counters, key, isfinite(value) ? json_real(value) : json_null()) == 0;
}

bool profiling_counters(const struct profiling *x, const struct profiled *what, json_t *counters)
{
    static const char *const names[] = {"instructions", "l1d_misses", "l2_misses", "l3_misses", "branch_misses"};
    const double tokens = what->resumed || !what->tokens ? NAN : (double)what->tokens;
    bool good = set(counters, "task_clock_seconds", 1e-9 * own(x, what, "task_clock"));
    good &= set(counters, "page_faults", own(x, what, "page_faults"));
    good &= set(counters, "context_switches", own(x, what, "context_switches"));
    good &= set(counters, "peak_resident_bytes", what->peak_resident);
    const double cycles = profiling_value(x, "cycles", PROFILING_PASSES);
    good &= set(counters, "ipc", profiling_value(x, "instructions", PROFILING_PASSES) / cycles);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s_per_token", names[i]);
        good &= set(counters, key, profiling_value(x, names[i], PROFILING_PASSES) / tokens);
    }
    good &= set(counters, "joules_per_token", profiling_joules(x, PROFILING_PASSES) / tokens);
    const struct profile_figures f = profiling_passes(x, false);
    good &= set(counters, "weight_bytes_per_token", profiling_passes(x, true).bytes / tokens);
    good &= set(counters, "gflop_per_second", 1e-9 * f.flop / f.seconds);
    good &= set(counters, "gb_per_second", 1e-9 * f.bytes / f.seconds);
    return good & set(counters, "flop_per_byte", f.flop / f.bytes);
}
