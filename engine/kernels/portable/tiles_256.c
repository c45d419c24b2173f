/* Tiles of the K-quants, IQ4_XS and the ternary types, blocks of 256 (see decode_k.c for what the bytes are). */
#include "engine/kernels/portable/tiles.h"

/* Bits [shift, shift + width) of the 8 dwords from `first` on. */
static inline void planes(const uint8_t *dwords, int first, int shift, int mask, ints c[8])
{
    for (int i = 0; i < 8; i++) c[i] = ints_and(ints_right(dword(dwords, first + i), shift), ints_all(mask));
}

/* Adds bit `bit` of the bytes of 8 dwords as bit `to`. */
static inline void add_plane(const uint8_t *dwords, int first, int bit, int width_mask, int to, ints c[8])
{
    for (int i = 0; i < 8; i++) {
        ints v = ints_and(ints_right(dword(dwords, first + i), bit), ints_all(width_mask));
        c[i] = ints_or(c[i], ints_left(v, to));
    }
}

enum { BITS_1 = 0x01010101, BITS_2 = 0x03030303, BITS_4 = 0x0f0f0f0f };

/* --- Q2_K: dwords 0..3 scales and minima, 4..19 codes --- */

static inline void codes_q2_k(const uint8_t *dwords, int s, ints c[8])
{
    planes(dwords, 4 + 8 * (s / 4), 2 * (s % 4), BITS_2, c);
}

static inline void scales_q2_k(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset)
{
    floats d = half_field(p, 0), minus = floats_times(half_field(p, 1), floats_all(-1));
    for (int g = 0; g < 16; g++) {
        ints v = dword(p + 64, g / 4);
        scale[g] = floats_times(d, byte_field(v, 8 * (g % 4), 15));
        offset[g] = floats_times(minus, byte_field(v, 8 * (g % 4) + 4, 15));
    }
}

/* --- Q3_K: dwords 0..7 third bits, 8..23 codes, 24..26 scales --- */

static inline void codes_q3_k(const uint8_t *dwords, int s, ints c[8])
{
    planes(dwords, 8 + 8 * (s / 4), 2 * (s % 4), BITS_2, c);
    add_plane(dwords, 0, s, BITS_1, 2, c);
}

static inline void scales_q3_k(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset)
{
    floats d = half_field(p, 0);
    ints high = dword(p + 32, 26);
    for (int g = 0; g < 16; g++) {
        ints low = ints_and(ints_right(dword(p + 32, 24 + g / 4 % 2), 8 * (g % 4) + 4 * (g / 8)), ints_all(15));
        ints two = ints_and(ints_right(high, 8 * (g % 4) + 2 * (g / 4)), ints_all(3));
        ints whole = ints_add(ints_or(low, ints_left(two, 4)), ints_all(-32));
        scale[g] = floats_times(d, floats_of_ints(whole));
    }
}

/* --- Q4_K and Q5_K: dwords 0..2 scales and minima --- */

/* See scale_of() in decode_k.c: the first word has the first scales, the second the first minima, the third both low
 * halves of the others. */
static inline void scales_q4_k(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset)
{
    floats d = half_field(p, 0), minus = floats_times(half_field(p, 1), floats_all(-1));
    ints a = dword(p + 64, 0), m = dword(p + 64, 1), rest = dword(p + 64, 2);
    const ints six = ints_all(0x3f3f3f3f), four = ints_all(0x0f0f0f0f), two = ints_all(0x30303030);
    ints scales[2] = {ints_and(a, six), ints_or(ints_and(rest, four), ints_and(ints_right(a, 2), two))};
    ints minima[2] = {ints_and(m, six), ints_or(ints_and(ints_right(rest, 4), four), ints_and(ints_right(m, 2), two))};
    for (int g = 0; g < 8; g++) {
        scale[g] = floats_times(d, byte_field(scales[g / 4], 8 * (g % 4), 63));
        offset[g] = floats_times(minus, byte_field(minima[g / 4], 8 * (g % 4), 63));
    }
}
#define scales_q5_k scales_q4_k

static inline void codes_q4_k(const uint8_t *dwords, int s, ints c[8])
{
    planes(dwords, 3 + 8 * (s / 2), 4 * (s % 2), BITS_4, c);
}

/* Dwords 3..10 fifth bits, 11..42 codes. */
static inline void codes_q5_k(const uint8_t *dwords, int s, ints c[8])
{
    planes(dwords, 11 + 8 * (s / 2), 4 * (s % 2), BITS_4, c);
    add_plane(dwords, 3, s, BITS_1, 4, c);
}

/* --- Q6_K: dwords 0..31 low nibbles, 32..47 high 2 bits, 48..51 scales --- */

static inline void codes_q6_k(const uint8_t *dwords, int s, ints c[8])
{
    planes(dwords, 16 * (s / 4) + 8 * (s % 2), 4 * (s % 4 / 2), BITS_4, c);
    add_plane(dwords, 32 + 8 * (s / 4), 2 * (s % 4), BITS_2, 4, c);
}

static inline void scales_q6_k(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset)
{
    floats d = half_field(p, 0);
    for (int g = 0; g < 16; g++) {
        ints v = ints_right_signed(ints_left(dword(p + 32, 48 + g / 4), 24 - 8 * (g % 4)), 24);
        scale[g] = floats_times(d, floats_of_ints(v));
    }
}

/* --- IQ4_XS: halves d and the high bits of scales; dword 0 their low bits, 1..32 codes --- */

static inline void codes_iq4_xs(const uint8_t *dwords, int s, ints c[8])
{
    for (int i = 0; i < 4; i++) {
        ints v = dword(dwords, 1 + 4 * s + i);
        c[i] = ints_lookup(iq4_codes, ints_and(v, ints_all(BITS_4)));
        c[i + 4] = ints_lookup(iq4_codes, ints_and(ints_right(v, 4), ints_all(BITS_4)));
    }
}

static inline void scales_iq4_xs(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset)
{
    floats d = half_field(p, 0);
    ints high = ints_of_halves(p + 32), low = dword(p + 64, 0);
    for (int g = 0; g < 8; g++) {
        ints four = ints_and(ints_right(low, 4 * g), ints_all(15));
        ints two = ints_and(ints_right(high, 2 * g), ints_all(3));
        ints whole = ints_add(ints_or(four, ints_left(two, 4)), ints_all(-32));
        scale[g] = floats_times(d, floats_of_ints(whole));
    }
}

/* --- the ternary types: one scale; codes 0..2 --- */

static inline void scales_of_block(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset)
{
    floats d = half_field(p, 0);
    for (int g = 0; g < 8; g++) scale[g] = d;
}
#define scales_tq1_0 scales_of_block
#define scales_tq2_0 scales_of_block

/* Digit j of the bytes of a dword (see decode_trits() in decode_k.c), bytes 0 and 2 by themselves, 1 and 3 likewise. */
static inline ints trits(ints v, int j)
{
    static const int powers[5] = {1, 3, 9, 27, 81};
    const ints even = ints_all(0x00ff00ff);
    ints a = ints_and(v, even), b = ints_and(ints_right(v, 8), even);
    a = ints_right(ints_halves_times(ints_and(ints_halves_times(a, powers[j]), even), 3), 8);
    b = ints_right(ints_halves_times(ints_and(ints_halves_times(b, powers[j]), even), 3), 8);
    const ints digit = ints_all(0x00030003);
    return ints_or(ints_and(a, digit), ints_left(ints_and(b, digit), 8));
}

/* Dwords 0..7: 32 bytes of 5 digits, columns 0..159; 8..11: 16 of 5, 160..239; 12: 4 of 4, 240..255. */
static inline void codes_tq1_0(const uint8_t *dwords, int s, ints c[8])
{
    for (int i = 0; i < 8; i++) {
        int at = 8 * s + i; /* columns 4 at .. 4 at + 3 */
        if (at < 40)
            c[i] = trits(dword(dwords, at % 8), at / 8);
        else if (at < 60)
            c[i] = trits(dword(dwords, 8 + (at - 40) % 4), (at - 40) / 4);
        else
            c[i] = trits(dword(dwords, 12), at - 60);
    }
}

static inline void codes_tq2_0(const uint8_t *dwords, int s, ints c[8])
{
    planes(dwords, 8 * (s / 4), 2 * (s % 4), BITS_2, c);
}

/* name, inputs, block, bytes, halves and where, group, zero, wide, offset */
TILE_FORMAT(Q2_K, q2_k, "Q2_K", INPUT_Q8_K, 256, 84, 2, {80, 82}, 16, 0, false, true)
TILE_FORMAT(Q3_K, q3_k, "Q3_K", INPUT_Q8_K, 256, 110, 1, {108}, 16, 4, false, false)
TILE_FORMAT(Q4_K, q4_k, "Q4_K", INPUT_Q8_K, 256, 144, 2, {0, 2}, 32, 0, false, true)
TILE_FORMAT(Q5_K, q5_k, "Q5_K", INPUT_Q8_K, 256, 176, 2, {0, 2}, 32, 0, false, true)
TILE_FORMAT(Q6_K, q6_k, "Q6_K", INPUT_Q8_K, 256, 210, 1, {208}, 16, 32, false, false)
TILE_FORMAT(IQ4_XS, iq4_xs, "IQ4_XS", INPUT_Q8_K, 256, 136, 2, {0, 2}, 32, 128, true, false)
TILE_FORMAT(TQ1_0, tq1_0, "TQ1_0", INPUT_Q8_K, 256, 54, 1, {52}, 32, 1, false, false)
TILE_FORMAT(TQ2_0, tq2_0, "TQ2_0", INPUT_Q8_K, 256, 66, 1, {64}, 32, 1, false, false)
