/* Tiles of the blocks of 32 (see decode.c for what the bytes are). */
#include "engine/kernels/portable/tiles.h"

/* Codes in nibbles: low ones of 16 bytes, then high ones. */
static inline void nibbles(const uint8_t *dwords, ints c[8])
{
    const ints low = ints_all(0x0f0f0f0f);
    for (int i = 0; i < 4; i++) {
        ints v = dword(dwords, i);
        c[i] = ints_and(v, low);
        c[i + 4] = ints_and(ints_right(v, 4), low);
    }
}

/* Bits 4i .. 4i + 3 of a number become bit `to` of four bytes. */
static inline ints bits_to_bytes(ints bits, int i, int to)
{
    ints four = ints_and(ints_right(bits, 4 * i), ints_all(15));
    /* Bit j moves by 7j to 8j; what lands elsewhere is masked. */
    ints spread = ints_or(ints_or(four, ints_left(four, 7)), ints_or(ints_left(four, 14), ints_left(four, 21)));
    return ints_left(ints_and(spread, ints_all(0x01010101)), to);
}

static inline void scales_of_d(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset)
{
    scale[0] = half_field(p, 0);
    offset[0] = floats_all(0);
}

static inline void scales_of_d_and_m(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset)
{
    scale[0] = half_field(p, 0);
    offset[0] = half_field(p, 1);
}

static inline void codes_q8_0(const uint8_t *dwords, int s, ints c[8])
{
    for (int i = 0; i < 8; i++) c[i] = ints_xor(dword(dwords, i), ints_all((int32_t)0x80808080));
}

static inline void codes_q4_0(const uint8_t *dwords, int s, ints c[8]) { nibbles(dwords, c); }
static inline void codes_q4_1(const uint8_t *dwords, int s, ints c[8]) { nibbles(dwords, c); }

/* The first dword has the fifth bits. */
static inline void codes_q5_0(const uint8_t *dwords, int s, ints c[8])
{
    ints fifth = dword(dwords, 0);
    nibbles(dwords + 64, c);
    for (int i = 0; i < 8; i++) c[i] = ints_or(c[i], bits_to_bytes(fifth, i, 4));
}
static inline void codes_q5_1(const uint8_t *dwords, int s, ints c[8]) { codes_q5_0(dwords, s, c); }

static inline void codes_iq4_nl(const uint8_t *dwords, int s, ints c[8])
{
    nibbles(dwords, c);
    for (int i = 0; i < 8; i++) c[i] = ints_lookup(iq4_codes, c[i]);
}

#define scales_q8_0 scales_of_d
#define scales_q4_0 scales_of_d
#define scales_q5_0 scales_of_d
#define scales_iq4_nl scales_of_d
#define scales_q4_1 scales_of_d_and_m
#define scales_q5_1 scales_of_d_and_m

/* name, inputs, block, bytes, halves and where, group, zero, wide, offset */
TILE_FORMAT(Q8_0, q8_0, "Q8_0", INPUT_Q8_0, 32, 34, 1, {0}, 32, 128, true, false)
TILE_FORMAT(Q4_0, q4_0, "Q4_0", INPUT_Q8_0, 32, 18, 1, {0}, 32, 8, false, false)
TILE_FORMAT(Q4_1, q4_1, "Q4_1", INPUT_Q8_0, 32, 20, 2, {0, 2}, 32, 0, false, true)
TILE_FORMAT(Q5_0, q5_0, "Q5_0", INPUT_Q8_0, 32, 22, 1, {0}, 32, 16, false, false)
TILE_FORMAT(Q5_1, q5_1, "Q5_1", INPUT_Q8_0, 32, 24, 2, {0, 2}, 32, 0, false, true)
TILE_FORMAT(IQ4_NL, iq4_nl, "IQ4_NL", INPUT_Q8_0, 32, 18, 1, {0}, 32, 128, true, false)
