/* The products of int8 on AMX tiles (Sapphire Rapids and later), for the row "amx" of the kernel table: the row of
 * AVX-512 with this in the place of products().
 *
 *     if (amx_usable()) products_amx_avx512(format, panels, 2, &x, n, cols, y, stride);      as in kernels.h
 *
 * Any thread may call it: the tiles are configured when a call begins and given back before it ends. */
#ifndef KERF_ENGINE_KERNELS_AMX_AMX_H
#define KERF_ENGINE_KERNELS_AMX_AMX_H

#include "engine/kernels/tiles.h"

/* Whether the CPU has tiles with int8, the system saves them, and Linux gives them to this process, which is asked for
 * here. */
bool amx_usable(void);

void products_amx_avx512(const struct tile_format *f, const struct panel *w, int tiles, const struct quantized *x,
                         int64_t n, int64_t cols, float *y, int64_t stride);

#endif
