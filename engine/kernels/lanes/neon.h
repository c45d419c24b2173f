/* Lanes of NEON (ARMv8.2 with the dot products of bytes): four registers each; see lanes.h. */
#ifndef KERF_ENGINE_KERNELS_LANES_NEON_H
#define KERF_ENGINE_KERNELS_LANES_NEON_H

#include <arm_neon.h>
#include <stdint.h>

typedef struct {
    int32x4_t a, b, c, d;
} ints;
typedef struct {
    float32x4_t a, b, c, d;
} floats;

/* Of 32 registers gemm takes 24 for sums, 4 for the tile and one for x. */
enum { WIDE_ZERO = 128, GEMM_ROWS = 6, GEMM_TILES = 1, DOT_ROWS = 4, DOT_TILES = 1 };

static inline int32x4_t bytes_load(const uint8_t *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
static inline ints ints_load(const void *p)
{
    const uint8_t *v = (const uint8_t *)p;
    return (ints){bytes_load(v), bytes_load(v + 16), bytes_load(v + 32), bytes_load(v + 48)};
}
static inline ints ints_all(int32_t x)
{
    int32x4_t v = vdupq_n_s32(x);
    return (ints){v, v, v, v};
}
static inline ints ints_load_all(const void *p)
{
    int32_t x;
    __builtin_memcpy(&x, p, sizeof x);
    return ints_all(x);
}
static inline ints ints_of_halves(const void *p)
{
    const uint8_t *v = (const uint8_t *)p;
    uint16x8_t low = vreinterpretq_u16_u8(vld1q_u8(v)), high = vreinterpretq_u16_u8(vld1q_u8(v + 16));
    return (ints){vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))), vreinterpretq_s32_u32(vmovl_high_u16(low)),
                  vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))), vreinterpretq_s32_u32(vmovl_high_u16(high))};
}
static inline void ints_store(void *p, ints v)
{
    uint8_t *to = (uint8_t *)p;
    vst1q_u8(to, vreinterpretq_u8_s32(v.a));
    vst1q_u8(to + 16, vreinterpretq_u8_s32(v.b));
    vst1q_u8(to + 32, vreinterpretq_u8_s32(v.c));
    vst1q_u8(to + 48, vreinterpretq_u8_s32(v.d));
}
static inline ints ints_and(ints x, ints y)
{
    return (ints){vandq_s32(x.a, y.a), vandq_s32(x.b, y.b), vandq_s32(x.c, y.c), vandq_s32(x.d, y.d)};
}
static inline ints ints_or(ints x, ints y)
{
    return (ints){vorrq_s32(x.a, y.a), vorrq_s32(x.b, y.b), vorrq_s32(x.c, y.c), vorrq_s32(x.d, y.d)};
}
static inline ints ints_xor(ints x, ints y)
{
    return (ints){veorq_s32(x.a, y.a), veorq_s32(x.b, y.b), veorq_s32(x.c, y.c), veorq_s32(x.d, y.d)};
}
static inline ints ints_add(ints x, ints y)
{
    return (ints){vaddq_s32(x.a, y.a), vaddq_s32(x.b, y.b), vaddq_s32(x.c, y.c), vaddq_s32(x.d, y.d)};
}
/* Shifts of the compiler's vectors become ones by an immediate where n is constant. */
static inline int32x4_t right_4(int32x4_t x, uint32_t n)
{
    return vreinterpretq_s32_u32(vreinterpretq_u32_s32(x) >> n);
}
static inline int32x4_t left_4(int32x4_t x, uint32_t n) { return vreinterpretq_s32_u32(vreinterpretq_u32_s32(x) << n); }
static inline ints ints_left(ints x, int n)
{
    const uint32_t by = (uint32_t)n;
    return (ints){left_4(x.a, by), left_4(x.b, by), left_4(x.c, by), left_4(x.d, by)};
}
static inline ints ints_right(ints x, int n)
{
    const uint32_t by = (uint32_t)n;
    return (ints){right_4(x.a, by), right_4(x.b, by), right_4(x.c, by), right_4(x.d, by)};
}
static inline ints ints_right_signed(ints x, int n) { return (ints){x.a >> n, x.b >> n, x.c >> n, x.d >> n}; }
static inline int32x4_t halves_times_4(int32x4_t x, uint16_t y)
{
    return vreinterpretq_s32_u16(vmulq_n_u16(vreinterpretq_u16_s32(x), y));
}
static inline ints ints_halves_times(ints x, int y)
{
    const uint16_t n = (uint16_t)y;
    return (ints){halves_times_4(x.a, n), halves_times_4(x.b, n), halves_times_4(x.c, n), halves_times_4(x.d, n)};
}
static inline int32x4_t lookup_4(uint8x16_t table, int32x4_t x)
{
    return vreinterpretq_s32_u8(vqtbl1q_u8(table, vreinterpretq_u8_s32(x)));
}
static inline ints ints_lookup(const uint8_t table[16], ints x)
{
    const uint8x16_t t = vld1q_u8(table);
    return (ints){lookup_4(t, x.a), lookup_4(t, x.b), lookup_4(t, x.c), lookup_4(t, x.d)};
}
static inline int32x4_t dot_4(int32x4_t sum, int32x4_t codes, int32x4_t x)
{
    return vdotq_s32(sum, vreinterpretq_s8_s32(codes), vreinterpretq_s8_s32(x));
}
static inline ints ints_dot(ints sum, ints codes, ints x)
{
    return (ints){dot_4(sum.a, codes.a, x.a), dot_4(sum.b, codes.b, x.b), dot_4(sum.c, codes.c, x.c),
                  dot_4(sum.d, codes.d, x.d)};
}
/* Both factors have a sign: codes less 128 have one too. */
static inline ints ints_dot_wide(ints sum, ints codes, ints x)
{
    return ints_dot(sum, ints_xor(codes, ints_all((int32_t)0x80808080)), x);
}

static inline ints ints_most(ints x, ints y)
{
    return (ints){vmaxq_s32(x.a, y.a), vmaxq_s32(x.b, y.b), vmaxq_s32(x.c, y.c), vmaxq_s32(x.d, y.d)};
}
static inline int32_t ints_largest(ints x) { return vmaxvq_s32(vmaxq_s32(vmaxq_s32(x.a, x.b), vmaxq_s32(x.c, x.d))); }
static inline int32_t ints_sum(ints x) { return vaddvq_s32(vaddq_s32(vaddq_s32(x.a, x.b), vaddq_s32(x.c, x.d))); }
static inline void ints_put_bytes(int8_t *p, ints x)
{
    int16x8_t low = vmovn_high_s32(vmovn_s32(x.a), x.b), high = vmovn_high_s32(vmovn_s32(x.c), x.d);
    vst1q_s8(p, vmovn_high_s16(vmovn_s16(low), high));
}
static inline ints ints_of_floats(floats x)
{
    return (ints){vcvtnq_s32_f32(x.a), vcvtnq_s32_f32(x.b), vcvtnq_s32_f32(x.c), vcvtnq_s32_f32(x.d)};
}

static inline floats floats_load(const float *p)
{
    return (floats){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}
static inline floats floats_all(float x)
{
    float32x4_t v = vdupq_n_f32(x);
    return (floats){v, v, v, v};
}
static inline void floats_store(float *p, floats x)
{
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
    vst1q_f32(p + 8, x.c);
    vst1q_f32(p + 12, x.d);
}
static inline floats floats_of_ints(ints x)
{
    return (floats){vcvtq_f32_s32(x.a), vcvtq_f32_s32(x.b), vcvtq_f32_s32(x.c), vcvtq_f32_s32(x.d)};
}
static inline floats floats_of_halves(const void *p)
{
    const uint8_t *v = (const uint8_t *)p;
    float16x8_t low = vreinterpretq_f16_u8(vld1q_u8(v)), high = vreinterpretq_f16_u8(vld1q_u8(v + 16));
    return (floats){vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low), vcvt_f32_f16(vget_low_f16(high)),
                    vcvt_high_f32_f16(high)};
}
static inline floats floats_of_bf16(const void *p)
{
    ints x = ints_left(ints_of_halves(p), 16);
    return (floats){vreinterpretq_f32_s32(x.a), vreinterpretq_f32_s32(x.b), vreinterpretq_f32_s32(x.c),
                    vreinterpretq_f32_s32(x.d)};
}
static inline floats floats_of_i8(const int8_t *p)
{
    int8x16_t v = vld1q_s8(p);
    int16x8_t low = vmovl_s8(vget_low_s8(v)), high = vmovl_high_s8(v);
    return floats_of_ints(
        (ints){vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)});
}
static inline floats floats_of_u8(const uint8_t *p)
{
    uint8x16_t v = vld1q_u8(p);
    uint16x8_t low = vmovl_u8(vget_low_u8(v)), high = vmovl_high_u8(v);
    return (floats){vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_high_u16(low)),
                    vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), vcvtq_f32_u32(vmovl_high_u16(high))};
}
static inline floats floats_add(floats x, floats y)
{
    return (floats){vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b), vaddq_f32(x.c, y.c), vaddq_f32(x.d, y.d)};
}
static inline floats floats_sub(floats x, floats y)
{
    return (floats){vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b), vsubq_f32(x.c, y.c), vsubq_f32(x.d, y.d)};
}
static inline floats floats_times(floats x, floats y)
{
    return (floats){vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b), vmulq_f32(x.c, y.c), vmulq_f32(x.d, y.d)};
}
static inline floats floats_fma(floats x, floats y, floats z)
{
    return (floats){vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c),
                    vfmaq_f32(z.d, x.d, y.d)};
}

#endif
