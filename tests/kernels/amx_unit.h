/* The tile unit of AMX in C: the instructions of engine/kernels/amx/instructions.h by the letter of Intel's manual
 * (SDM volume 2: LDTILECFG, TILELOADD, TILESTORED, TILEZERO, TDPBSSD, TDPBSUD), faults too.
 *
 *     #define KERNELS_AMX "tests/kernels/amx_unit.h"
 *     #include "engine/kernels/amx/products.c"
 *     ...
 *     assert_string_equal(amx_unit.fault, "");         the first thing that hardware would have ended the process for
 *     assert_int_equal(amx_unit.products, 24);
 *
 * A load reads the bytes of its rows and no others, so that memory that must not be touched is not. */
#ifndef KERF_TESTS_KERNELS_AMX_UNIT_H
#define KERF_TESTS_KERNELS_AMX_UNIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { AMX_TILES = 8, AMX_ROWS = 16, AMX_ROW_BYTES = 64 };

struct amx_unit {
    bool configured;
    int rows[AMX_TILES], row_bytes[AMX_TILES]; /* 0: the tile is not configured */
    uint8_t tile[AMX_TILES][AMX_ROWS][AMX_ROW_BYTES];
    int64_t configurations, loads, stores, products;
    char fault[120]; /* of the first that occurred */
};

/* As the hardware's, a thread's own. */
static _Thread_local struct amx_unit amx_unit;

static inline bool amx_fault(const char *instruction, const char *why)
{
    if (!amx_unit.fault[0]) snprintf(amx_unit.fault, sizeof amx_unit.fault, "%s: %s", instruction, why);
    return false;
}

/* Everything as at the start; `fault` and the counts too. */
static inline void amx_reset(void) { memset(&amx_unit, 0, sizeof amx_unit); }

static inline void amx_release(void)
{
    amx_unit.configured = false;
    memset(amx_unit.rows, 0, sizeof amx_unit.rows);
    memset(amx_unit.row_bytes, 0, sizeof amx_unit.row_bytes);
    memset(amx_unit.tile, 0, sizeof amx_unit.tile);
}

/* Byte 0 the palette, 1 the first row, 2..15 zeros, 16..31 bytes of a row by tile, 32..47 zeros, 48..55 rows by tile,
 * 56..63 zeros. */
static inline void amx_configure(const void *setup)
{
    const char *name = "ldtilecfg";
    uint8_t m[64];
    memcpy(m, setup, sizeof m);
    amx_release();
    amx_unit.configurations++;
    if (m[0] == 0) return;
    if (m[0] != 1) {
        amx_fault(name, "there are palettes 0 and 1");
        return;
    }
    for (int i = 2; i < 64; i++)
        if ((i < 16 || (i >= 32 && i < 48) || i >= 56) && m[i]) {
            amx_fault(name, "a reserved byte is not 0");
            return;
        }
    for (int t = 0; t < AMX_TILES; t++) {
        int row_bytes = m[16 + 2 * t] | m[17 + 2 * t] << 8, rows = m[48 + t];
        if (row_bytes > AMX_ROW_BYTES || rows > AMX_ROWS || !row_bytes != !rows) {
            amx_fault(name, "rows of 1 to 64 bytes, 1 to 16 of them");
            return;
        }
    }
    if (m[1]) {
        amx_fault(name, "starts within a tile"); /* what only a load or store that was interrupted needs */
        return;
    }
    for (int t = 0; t < AMX_TILES; t++) amx_unit.row_bytes[t] = m[16 + 2 * t], amx_unit.rows[t] = m[48 + t];
    amx_unit.configured = true;
}

static inline bool amx_has(const char *instruction, int tile)
{
    if (!amx_unit.configured) return amx_fault(instruction, "tiles are not configured");
    if (!amx_unit.rows[tile]) return amx_fault(instruction, "no such tile");
    return true;
}

static inline void amx_zero(int tile)
{
    if (amx_has("tilezero", tile)) memset(amx_unit.tile[tile], 0, sizeof amx_unit.tile[tile]);
}

/* Rows and bytes beyond those that are configured become 0. */
static inline void amx_load(int tile, const void *p, int64_t stride)
{
    if (!amx_has("tileloadd", tile)) return;
    amx_unit.loads++;
    memset(amx_unit.tile[tile], 0, sizeof amx_unit.tile[tile]);
    for (int r = 0; r < amx_unit.rows[tile]; r++)
        memcpy(amx_unit.tile[tile][r], (const uint8_t *)p + r * stride, (size_t)amx_unit.row_bytes[tile]);
}

static inline void amx_store(int tile, void *p, int64_t stride)
{
    if (!amx_has("tilestored", tile)) return;
    amx_unit.stores++;
    for (int r = 0; r < amx_unit.rows[tile]; r++)
        memcpy((uint8_t *)p + r * stride, amx_unit.tile[tile][r], (size_t)amx_unit.row_bytes[tile]);
}

/* sums[m][n] += a[m][4 k + i] b[k][4 n + i]: bytes of a with their sign, of b with it or without; sums wrap around. */
static inline void amx_dot(const char *name, int sums, int a, int b, bool b_sign)
{
    if (!amx_has(name, sums) || !amx_has(name, a) || !amx_has(name, b)) return;
    const struct amx_unit *u = &amx_unit;
    if (sums == a || sums == b || a == b) {
        amx_fault(name, "the three tiles must differ");
        return;
    }
    if (u->row_bytes[sums] % 4 || u->row_bytes[a] % 4 || u->row_bytes[b] % 4) {
        amx_fault(name, "rows must be whole dwords");
        return;
    }
    if (u->rows[sums] != u->rows[a] || u->row_bytes[a] / 4 != u->rows[b] || u->row_bytes[sums] != u->row_bytes[b]) {
        amx_fault(name, "the tiles' shapes do not fit");
        return;
    }
    amx_unit.products++;
    for (int m = 0; m < u->rows[sums]; m++) {
        uint32_t sum[AMX_ROW_BYTES / 4];
        memcpy(sum, u->tile[sums][m], sizeof sum);
        for (int k = 0; k < u->row_bytes[a] / 4; k++)
            for (int n = 0; n < u->row_bytes[b] / 4; n++)
                for (int i = 0; i < 4; i++) {
                    int code = u->tile[b][k][4 * n + i];
                    sum[n] += (uint32_t)((int8_t)u->tile[a][m][4 * k + i] * (b_sign ? (int8_t)code : code));
                }
        memcpy(amx_unit.tile[sums][m], sum, (size_t)u->row_bytes[sums]);
        memset(amx_unit.tile[sums][m] + u->row_bytes[sums], 0, (size_t)(AMX_ROW_BYTES - u->row_bytes[sums]));
    }
    for (int m = u->rows[sums]; m < AMX_ROWS; m++) memset(amx_unit.tile[sums][m], 0, AMX_ROW_BYTES);
}

static inline void amx_dot_signed(int sums, int a, int b) { amx_dot("tdpbssd", sums, a, b, true); }
static inline void amx_dot_unsigned(int sums, int a, int b) { amx_dot("tdpbsud", sums, a, b, false); }

#define tile_load amx_load
#define tile_store amx_store
#define tile_zero amx_zero
#define tile_dot_signed amx_dot_signed
#define tile_dot_unsigned amx_dot_unsigned
#define tile_configure amx_configure
#define tile_release amx_release

#endif
