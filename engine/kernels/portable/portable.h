/* The kernels in portable C. Every file of this folder is compiled once for each instruction set, with KERNELS_ISA
 * naming it: KERNEL(decode_q8_0) is decode_q8_0_avx2 in one of the objects. No sum is reordered and nothing contracted,
 * so that all give the same bits (see kernels.h).
 *
 * To add a type of block: its functions, and its row in DECODED and ENCODED. */
#ifndef KERF_ENGINE_KERNELS_PORTABLE_PORTABLE_H
#define KERF_ENGINE_KERNELS_PORTABLE_PORTABLE_H

#include "engine/kernels/half.h"
#include "engine/kernels/kernels.h"

#define KERNEL_NAME_(name, isa) name##_##isa
#define KERNEL_NAME(name, isa) KERNEL_NAME_(name, isa)
#define KERNEL(name) KERNEL_NAME(name, KERNELS_ISA)

/* the type's name, and that in the functions' names */
#define DECODED(X)                                                                                                     \
    X(F32, f32)                                                                                                        \
    X(F16, f16)                                                                                                        \
    X(BF16, bf16)                                                                                                      \
    X(Q8_0, q8_0)                                                                                                      \
    X(Q4_0, q4_0)
#define ENCODED(X) DECODED(X)

#define X(name, lower) void KERNEL(decode_##lower)(const void *blocks, float *restrict out, int64_t n);
DECODED(X)
#undef X
#define X(name, lower) void KERNEL(encode_##lower)(const float *x, const float *importance, uint8_t *out, int64_t n);
ENCODED(X)
#undef X

#endif
