/* The loops of cli/machine.h: one file for each family of instructions, inline assembly for x86, nothing elsewhere.
 *
 *     const struct machine_loop *loop = machine_loop_of(MACHINE_VNNI_512);
 *     if (loop && !machine_lacks(MACHINE_VNNI_512)) loop->spin(1000);         1000 x loop->operations
 *
 * Instructions that are one step of sums run with as many sums as registers allow: more than latency times the
 * instructions that begin in a cycle on any CPU known (5 x 2). Operands are ordinary numbers: zeros would draw less
 * power than a model's, and the clock follows the power. */
#ifndef KERF_CLI_MACHINE_LOOPS_H
#define KERF_CLI_MACHINE_LOOPS_H

#include "cli/machine.h"

struct machine_loop {
    enum machine_meter meter;
    double operations;            /* of one round */
    void (*spin)(int64_t rounds); /* rounds > 0 */
};

/* Each ends with a row whose spin is NULL. */
extern const struct machine_loop machine_loops_avx2[], machine_loops_avx512[], machine_loops_amx[];

const struct machine_loop *machine_loop_of(enum machine_meter meter); /* NULL: none in this build */
/* Why this CPU, its system or this build cannot run a meter; NULL where it can. Asks Linux for the tiles of AMX where
 * these are what is missing. */
const char *machine_lacks(enum machine_meter meter);

/* Reads n bytes, a multiple of 1024, from p, aligned to 64: four places of the array in turn. */
typedef void machine_reader(const uint8_t *p, size_t n);
machine_reader machine_read_c;
#if defined(__x86_64__)
machine_reader machine_read_avx2, machine_read_avx512;
#endif
machine_reader *machine_reader_of(void); /* the widest that can run here */

#endif
