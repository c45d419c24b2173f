/* Tiles of codes whose scales stand apart: int8's and GPTQ's. A block is 32 columns. */
#include "engine/kernels/portable/tiles.h"

/* Scales float32, zero points with a sign or none; weight = scale (code - 128 - zero). */
static inline void scales_i8(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset)
{
    int64_t at = (int64_t)t->group_of[b] * TILE_ROWS;
    scale[0] = floats_load((const float *)t->scales + at);
    offset[0] = floats_all(0);
    if (t->zeros)
        offset[0] = floats_times(scale[0], floats_sub(floats_all(0), floats_of_i8((const int8_t *)t->zeros + at)));
}

/* Scales float16, zero points without a sign; weight = scale (code - zero). */
static inline void scales_u4(const struct tile *t, const uint8_t *p, int64_t b, floats *scale, floats *offset)
{
    int64_t at = (int64_t)t->group_of[b] * TILE_ROWS;
    scale[0] = floats_of_halves((const uint16_t *)t->scales + at);
    offset[0] = floats_times(scale[0], floats_sub(floats_all(0), floats_of_u8((const uint8_t *)t->zeros + at)));
}
#define scales_u8 scales_u4
#define scales_u3 scales_u4
#define scales_u2 scales_u4

static inline void codes_i8(const uint8_t *dwords, int s, ints c[8])
{
    for (int i = 0; i < 8; i++) c[i] = ints_xor(dword(dwords, i), ints_all((int32_t)0x80808080));
}

static inline void codes_u8(const uint8_t *dwords, int s, ints c[8])
{
    for (int i = 0; i < 8; i++) c[i] = dword(dwords, i);
}

/* Columns 4i .. of dword i in the low nibbles, 16 + 4i .. in the high ones. */
static inline void codes_u4(const uint8_t *dwords, int s, ints c[8])
{
    const ints low = ints_all(0x0f0f0f0f);
    for (int i = 0; i < 4; i++) {
        c[i] = ints_and(dword(dwords, i), low);
        c[i + 4] = ints_and(ints_right(dword(dwords, i), 4), low);
    }
}

/* Columns 8j + 4i .. in bits 2j, 2j + 1 of dword i. */
static inline void codes_u2(const uint8_t *dwords, int s, ints c[8])
{
    for (int i = 0; i < 8; i++) c[i] = ints_and(ints_right(dword(dwords, i % 2), 2 * (i / 2)), ints_all(0x03030303));
}

/* And after these, in bit i of the bytes of one dword, the third bit of columns 4i .. */
static inline void codes_u3(const uint8_t *dwords, int s, ints c[8])
{
    ints third = dword(dwords, 2);
    codes_u2(dwords, s, c);
    for (int i = 0; i < 8; i++)
        c[i] = ints_or(c[i], ints_left(ints_and(ints_right(third, i), ints_all(0x01010101)), 2));
}

/* name, inputs, block, bytes, halves and where, group, zero, wide, offset */
TILE_FORMAT(I8, i8, "int8", INPUT_Q8_0, 32, 32, 0, {0}, 32, 128, true, true)
TILE_FORMAT(U8, u8, "8-bit codes", INPUT_Q8_0, 32, 32, 0, {0}, 32, 0, true, true)
TILE_FORMAT(U4, u4, "4-bit codes", INPUT_Q8_0, 32, 16, 0, {0}, 32, 0, false, true)
TILE_FORMAT(U3, u3, "3-bit codes", INPUT_Q8_0, 32, 12, 0, {0}, 32, 0, false, true)
TILE_FORMAT(U2, u2, "2-bit codes", INPUT_Q8_0, 32, 8, 0, {0}, 32, 0, false, true)
