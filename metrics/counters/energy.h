/* Energy by RAPL, as Linux's powercap shows it.
 *
 *     struct energy *r;
 *     if (energy_open(&r, NULL, e)) return e->code;           that nothing is there is no error
 *     const char *why = energy_reason(r, METER_PACKAGE);      "" where it is there
 *     uint64_t uj = energy_read(r, METER_PACKAGE);            since it was opened, all sockets together
 *     energy_close(r);
 *
 * The folder (/sys/class/powercap) has one of a zone: intel-rapl:N (a socket: its file `name` says "package-N") and
 * intel-rapl:N:M (a part of it: "core", "uncore", "dram"), on AMD under the same names. energy_uj counts up and begins
 * anew at 0 past max_energy_range_uj: it must be read at least once in that time, which is minutes at full power.
 * intel-rapl-mmio:N shows the same packages by another way and is left out.
 * Source: Documentation/power/powercap/powercap.rst of Linux. */
#ifndef KERF_METRICS_COUNTERS_ENERGY_H
#define KERF_METRICS_COUNTERS_ENERGY_H

#include "metrics/counters/names.h"

struct energy;

int energy_open(struct energy **out, const char *folder, struct error *e);
void energy_close(struct energy *r); /* NULL is fine */
/* Microjoules of every zone of this kind since energy_open(); once one of them can no longer be read it stays as it is,
 * and energy_reason() says why. */
uint64_t energy_read(struct energy *r, enum counter_meter meter);
const char *energy_reason(const struct energy *r, enum counter_meter meter);
const char *energy_source(const struct energy *r, enum counter_meter meter); /* "intel-rapl:0, intel-rapl:1" */

#endif
