/* Faults that a build is given on purpose (cmake -DKERF_FAULT=lane), to see that checks find them; docs/ci.md shows how.
 *
 *     if (KERNELS_FAULT == FAULT_SLOW) ...        nothing of it is left in a build without
 */
#ifndef KERF_ENGINE_KERNELS_PORTABLE_FAULT_H
#define KERF_ENGINE_KERNELS_PORTABLE_FAULT_H

enum {
    FAULT_NONE,
    FAULT_LANE,  /* products: one of the sixteen lanes is 1/64 too large */
    FAULT_SLOW,  /* products: the first row is computed twice */
    FAULT_COARSE /* quantizers of 4 and 5 bits in blocks of 32: every second code is not used */
};

#ifndef KERNELS_FAULT
#define KERNELS_FAULT FAULT_NONE
#endif

#endif
