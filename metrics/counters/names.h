/* The counters that have names of our own, and by what each is counted.
 *
 *     for (const struct counter_name *n = counter_names; n->name; n++) ...
 *     const struct counter_name *n = counter_name_of("l3_misses");
 *
 * An event is a name that PAPI_event_name_to_code() takes, or a sum of some: "A + 4 B + 8 C". The first that a machine
 * has is taken. Presets are before native events but where a preset is known to mean something else. Native names are
 * libpfm's, which takes them from: Intel SDM and perfmon-events.intel.com (skx, icx, spr), AMD PPRs of families 17h and
 * 19h (Zen 2 to 4), Arm ARM chapter D "PMUv3 common events"; perf:: are the generic events of perf_event_open(2). */
#ifndef KERF_METRICS_COUNTERS_NAMES_H
#define KERF_METRICS_COUNTERS_NAMES_H

#include "metrics/counters/counters.h"

enum { COUNTER_EVENTS_MOST = 10 };

/* What a software or energy counter is read from. */
enum counter_meter {
    METER_NONE,
    METER_TASK_CLOCK,
    METER_FAULTS,
    METER_FAULTS_MAJOR,
    METER_SWITCHES,
    METER_SWITCHES_FORCED,
    METER_RESIDENT,
    METER_PACKAGE,
    METER_DRAM,
};

struct counter_name {
    const char *name, *what, *unit;
    enum counter_kind kind;
    enum counter_scope scope;
    enum counter_meter meter;
    const char *events[COUNTER_EVENTS_MOST]; /* of hardware; up to NULL */
};

extern const struct counter_name counter_names[]; /* up to one without a name */

const struct counter_name *counter_name_of(const char *name); /* NULL: none of ours */

#endif
