/* The instructions on tiles, as products.c writes them. Numbers of tiles are literals.
 *
 *     tile_configure(&setup);                   64 bytes: struct tile_setup in products.c
 *     tile_zero(4);
 *     tile_load(0, q, stride);                  bytes from one row to the next
 *     tile_load(2, codes, 64);
 *     tile_dot_signed(4, 0, 2);                 tile 4 += tile 0 times tile 2, both with signs
 *     tile_dot_unsigned(4, 0, 2);               tile 2 without
 *     tile_store(4, sums, 64);
 *     tile_release();
 *
 * A build with KERNELS_AMX names another header with the same, which does it in C: tests/kernels/amx_unit.h. */
#ifndef KERF_ENGINE_KERNELS_AMX_INSTRUCTIONS_H
#define KERF_ENGINE_KERNELS_AMX_INSTRUCTIONS_H

#include <immintrin.h>

/* GCC's intrinsic says nothing of the memory that it reads, so what was written before is made to be there. */
#define tile_load(tile, p, stride)                                                                                     \
    do {                                                                                                               \
        __asm__ volatile("" : : "r"(p) : "memory");                                                                    \
        _tile_loadd(tile, p, stride);                                                                                  \
    } while (0)
#define tile_store(tile, p, stride) _tile_stored(tile, p, stride)
#define tile_zero(tile) _tile_zero(tile)
#define tile_dot_signed(sums, a, b) _tile_dpbssd(sums, a, b)
#define tile_dot_unsigned(sums, a, b) _tile_dpbsud(sums, a, b)
#define tile_configure(setup) _tile_loadconfig(setup)
#define tile_release() _tile_release()

#endif
