/* Lanes of AVX2 with FMA and F16C: two registers each; see lanes.h. */
#ifndef KERF_ENGINE_KERNELS_LANES_AVX2_H
#define KERF_ENGINE_KERNELS_LANES_AVX2_H

#include <immintrin.h>
#include <stdint.h>

typedef struct {
    __m256i low, high;
} ints;
typedef struct {
    __m256 low, high;
} floats;

enum { WIDE_ZERO = 128, GEMM_ROWS = 6, GEMM_TILES = 1, DOT_ROWS = 2, DOT_TILES = 1 };

static inline ints ints_load(const void *p)
{
    const __m256i *v = (const __m256i *)p;
    return (ints){_mm256_loadu_si256(v), _mm256_loadu_si256(v + 1)};
}
static inline ints ints_all(int32_t x)
{
    __m256i v = _mm256_set1_epi32(x);
    return (ints){v, v};
}
static inline ints ints_load_all(const void *p)
{
    int32_t x;
    __builtin_memcpy(&x, p, sizeof x);
    return ints_all(x);
}
static inline ints ints_of_halves(const void *p)
{
    const __m128i *v = (const __m128i *)p;
    return (ints){_mm256_cvtepu16_epi32(_mm_loadu_si128(v)), _mm256_cvtepu16_epi32(_mm_loadu_si128(v + 1))};
}
static inline void ints_store(void *p, ints a)
{
    _mm256_storeu_si256((__m256i *)p, a.low);
    _mm256_storeu_si256((__m256i *)p + 1, a.high);
}
static inline ints ints_and(ints a, ints b)
{
    return (ints){_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}
static inline ints ints_or(ints a, ints b)
{
    return (ints){_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
static inline ints ints_xor(ints a, ints b)
{
    return (ints){_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)};
}
static inline ints ints_add(ints a, ints b)
{
    return (ints){_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
static inline ints ints_left(ints a, int n)
{
    return (ints){_mm256_slli_epi32(a.low, n), _mm256_slli_epi32(a.high, n)};
}
static inline ints ints_right(ints a, int n)
{
    return (ints){_mm256_srli_epi32(a.low, n), _mm256_srli_epi32(a.high, n)};
}
static inline ints ints_right_signed(ints a, int n)
{
    return (ints){_mm256_srai_epi32(a.low, n), _mm256_srai_epi32(a.high, n)};
}
static inline ints ints_halves_times(ints a, int b)
{
    __m256i v = _mm256_set1_epi16((short)b);
    return (ints){_mm256_mullo_epi16(a.low, v), _mm256_mullo_epi16(a.high, v)};
}
static inline ints ints_lookup(const uint8_t table[16], ints a)
{
    __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
    return (ints){_mm256_shuffle_epi8(v, a.low), _mm256_shuffle_epi8(v, a.high)};
}
/* Two products of 127 and 128 fit in 16 bits, so that the sums of pairs do not saturate. */
static inline __m256i dot_256(__m256i sum, __m256i codes, __m256i x)
{
    __m256i pairs = _mm256_maddubs_epi16(codes, x);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
static inline ints ints_dot(ints sum, ints codes, ints x)
{
    return (ints){dot_256(sum.low, codes.low, x.low), dot_256(sum.high, codes.high, x.high)};
}
/* Codes less 128 have a sign, which goes to the other factor; that is no -128, whose negative has no byte. */
static inline __m256i dot_wide_256(__m256i sum, __m256i codes, __m256i x)
{
    __m256i w = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
    return dot_256(sum, _mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}
static inline ints ints_dot_wide(ints sum, ints codes, ints x)
{
    return (ints){dot_wide_256(sum.low, codes.low, x.low), dot_wide_256(sum.high, codes.high, x.high)};
}
static inline ints ints_most(ints a, ints b)
{
    return (ints){_mm256_max_epi32(a.low, b.low), _mm256_max_epi32(a.high, b.high)};
}
static inline int32_t ints_largest(ints a)
{
    __m256i v = _mm256_max_epi32(a.low, a.high);
    __m128i w = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    w = _mm_max_epi32(w, _mm_shuffle_epi32(w, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(w, _mm_shuffle_epi32(w, 0xb1)));
}
static inline int32_t ints_sum(ints a)
{
    __m256i v = _mm256_add_epi32(a.low, a.high);
    __m128i w = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    w = _mm_add_epi32(w, _mm_shuffle_epi32(w, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(w, _mm_shuffle_epi32(w, 0xb1)));
}
/* Numbers of -128 .. 127, which no packing changes; it works on 128 bits at a time. */
static inline void ints_put_bytes(int8_t *p, ints a)
{
    __m256i v = _mm256_packs_epi32(a.low, a.high);
    v = _mm256_permute4x64_epi64(v, 0xd8);
    v = _mm256_permute4x64_epi64(_mm256_packs_epi16(v, v), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(v));
}
static inline ints ints_of_floats(floats a) { return (ints){_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)}; }

static inline floats floats_load(const float *p) { return (floats){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline floats floats_all(float x)
{
    __m256 v = _mm256_set1_ps(x);
    return (floats){v, v};
}
static inline void floats_store(float *p, floats a)
{
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
}
static inline floats floats_of_ints(ints a) { return (floats){_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
static inline floats floats_of_halves(const void *p)
{
    const __m128i *v = (const __m128i *)p;
    return (floats){_mm256_cvtph_ps(_mm_loadu_si128(v)), _mm256_cvtph_ps(_mm_loadu_si128(v + 1))};
}
static inline __m256 of_bf16_256(__m128i v)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}
static inline floats floats_of_bf16(const void *p)
{
    const __m128i *v = (const __m128i *)p;
    return (floats){of_bf16_256(_mm_loadu_si128(v)), of_bf16_256(_mm_loadu_si128(v + 1))};
}
static inline floats floats_of_i8(const int8_t *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    return floats_of_ints((ints){_mm256_cvtepi8_epi32(v), _mm256_cvtepi8_epi32(_mm_srli_si128(v, 8))});
}
static inline floats floats_of_u8(const uint8_t *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    return floats_of_ints((ints){_mm256_cvtepu8_epi32(v), _mm256_cvtepu8_epi32(_mm_srli_si128(v, 8))});
}
static inline floats floats_add(floats a, floats b)
{
    return (floats){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
static inline floats floats_sub(floats a, floats b)
{
    return (floats){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
static inline floats floats_times(floats a, floats b)
{
    return (floats){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
static inline floats floats_fma(floats a, floats b, floats c)
{
    return (floats){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

#endif
