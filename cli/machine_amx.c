/* Loops of AMX: tiles of 16 rows of 64 bytes. tdpbusd and tdpbf16ps begin every 16 cycles and end after some 52
 * (Intel's optimization manual, "Intel AMX instruction throughput and latency"), so six sums keep the unit busy. Linux
 * gives the tiles to whoever asks (machine_cpu.c does). */
#include "cli/machine_loops.h"

#if defined(__x86_64__)

enum { TILES = 8, SUMS = 6, ROWS = 16, ROW_BYTES = 64 };

/* What ldtilecfg reads (Intel SDM, LDTILECFG). */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_config) == 64, "as the instruction has it");

/* Any bytes: as int8 whatever they are, as bfloat16 with exponents from around 2^-8 to 2. */
static void fill(uint8_t *tile /* [ROWS * ROW_BYTES] */)
{
    for (int i = 0; i < ROWS * ROW_BYTES / 2; i++) {
        tile[2 * i] = (uint8_t)(i * 37 + 11);
        tile[2 * i + 1] = (uint8_t)((i & 1) ? 0x3b + i % 5 : 0xbb + i % 5);
    }
}

#define SPIN(instruction, rounds, config, tile)                                                                        \
    __asm__ volatile("ldtilecfg %[config]\n"                                                                           \
                     ".irp r, 0, 1, 2, 3, 4, 5\n"                                                                      \
                     "tilezero %%tmm\\r\n"                                                                             \
                     ".endr\n"                                                                                         \
                     "tileloadd (%[tile], %[stride]), %%tmm6\n"                                                        \
                     "tileloadd (%[tile], %[stride]), %%tmm7\n"                                                        \
                     "1:\n"                                                                                            \
                     ".irp r, 0, 1, 2, 3, 4, 5\n" instruction " %%tmm7, %%tmm6, %%tmm\\r\n"                            \
                     ".endr\n"                                                                                         \
                     "dec %[n]\n"                                                                                      \
                     "jnz 1b\n"                                                                                        \
                     "tilerelease\n"                                                                                   \
                     : [n] "+r"(rounds)                                                                                \
                     : [config] "m"(config), [tile] "r"(tile), [stride] "r"((int64_t)ROW_BYTES)                        \
                     : "cc", "memory")

static struct tile_config all_full(void)
{
    struct tile_config config = {.palette = 1};
    for (int i = 0; i < TILES; i++) config.row_bytes[i] = ROW_BYTES, config.rows[i] = ROWS;
    return config;
}

static void spin_int8(int64_t rounds)
{
    _Alignas(64) uint8_t tile[ROWS * ROW_BYTES];
    const struct tile_config config = all_full();
    fill(tile);
    SPIN("tdpbusd", rounds, config, tile);
}

static void spin_bf16(int64_t rounds)
{
    _Alignas(64) uint8_t tile[ROWS * ROW_BYTES];
    const struct tile_config config = all_full();
    fill(tile);
    SPIN("tdpbf16ps", rounds, config, tile);
}

const struct machine_loop machine_loops_amx[] = {{MACHINE_AMX_INT8, SUMS * 2.0 * 16 * 16 * 64, spin_int8},
                                                 {MACHINE_AMX_BF16, SUMS * 2.0 * 16 * 16 * 32, spin_bf16},
                                                 {.spin = NULL}};

#else

const struct machine_loop machine_loops_amx[] = {{.spin = NULL}};

#endif
