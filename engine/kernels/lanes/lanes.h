/* Sixteen lanes of 32 bits: what the products of the engine are written in, once for all instruction sets.
 *
 *     ints sum = ints_all(0);
 *     sum = ints_dot(sum, ints_load(codes), ints_load_all(x));     four products of bytes in each lane
 *     floats_store(y, floats_fma(floats_of_ints(sum), floats_all(scale), floats_load(y)));
 *
 * One of avx512.h, avx2.h, neon.h and c.h defines the two types and these functions; KERNELS_LANES names it when a file
 * is compiled. All give the same bits: a product of bytes is exact, and a fused multiply-add rounds once everywhere.
 *
 *     ints   ints_load(p) ints_all(x)             64 bytes; one number in all lanes
 *            ints_load_all(p)                     4 bytes at p in all lanes
 *            ints_of_halves(p)                    16 numbers of 16 bits, without a sign
 *            ints_store(p, a)
 *            ints_and ints_or ints_xor ints_add (a, b)
 *            ints_left ints_right ints_right_signed (a, n)        shifts, n constant
 *            ints_halves_times(a, b)              low 16 bits of the products of 16-bit halves with b
 *            ints_lookup(table, a)                every byte of a, 0..15, becomes table[a]
 *            ints_dot(sum, codes, x)              sum + codes of 0..127 times signed bytes, by fours
 *            ints_dot_wide(sum, codes, x)         the same for codes of 0..255, each less WIDE_ZERO
 *            ints_most(a, b)                      the larger, with a sign
 *     int    ints_largest(a) ints_sum(a)          over all lanes
 *            ints_put_bytes(p, a)                 16 bytes, for numbers of -128 .. 127
 *            ints_of_floats(a)                    to the nearest of -127 .. 127, halves to even; anything for others
 *     floats floats_load(p) floats_all(x) floats_store(p, a)
 *            floats_of_ints(a) floats_of_halves(p) floats_of_bf16(p)      p: 32 bytes
 *            floats_of_i8(p) floats_of_u8(p)                              p: 16 bytes
 *            floats_add floats_sub floats_times (a, b), floats_fma(a, b, c)      a b + c, rounded once
 *
 * WIDE_ZERO is 0 where bytes without a sign can be multiplied, and 128 where they cannot. GEMM_ROWS, GEMM_TILES,
 * DOT_ROWS and DOT_TILES say how many rows of inputs and tiles of weights fit in the registers at a time. */
#ifndef KERF_ENGINE_KERNELS_LANES_LANES_H
#define KERF_ENGINE_KERNELS_LANES_LANES_H

#include <stdint.h>

enum { LANES = 16 };

#include KERNELS_LANES

#endif
