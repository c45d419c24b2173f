/* Lanes of AVX-512 with VNNI; see lanes.h. */
#ifndef KERF_ENGINE_KERNELS_LANES_AVX512_H
#define KERF_ENGINE_KERNELS_LANES_AVX512_H

#include <immintrin.h>
#include <stdint.h>

typedef __m512i ints;
typedef __m512 floats;

enum { WIDE_ZERO = 0, GEMM_ROWS = 12, GEMM_TILES = 2, DOT_ROWS = 6, DOT_TILES = 2 };

static inline ints ints_load(const void *p) { return _mm512_loadu_si512(p); }
static inline ints ints_all(int32_t x) { return _mm512_set1_epi32(x); }
static inline ints ints_load_all(const void *p)
{
    int32_t x;
    __builtin_memcpy(&x, p, sizeof x);
    return _mm512_set1_epi32(x);
}
static inline ints ints_of_halves(const void *p)
{
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}
static inline void ints_store(void *p, ints a) { _mm512_storeu_si512(p, a); }
static inline ints ints_and(ints a, ints b) { return _mm512_and_si512(a, b); }
static inline ints ints_or(ints a, ints b) { return _mm512_or_si512(a, b); }
static inline ints ints_xor(ints a, ints b) { return _mm512_xor_si512(a, b); }
static inline ints ints_add(ints a, ints b) { return _mm512_add_epi32(a, b); }
static inline ints ints_left(ints a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
static inline ints ints_right(ints a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
static inline ints ints_right_signed(ints a, int n) { return _mm512_srai_epi32(a, (unsigned)n); }
static inline ints ints_halves_times(ints a, int b) { return _mm512_mullo_epi16(a, _mm512_set1_epi16((short)b)); }
static inline ints ints_lookup(const uint8_t table[16], ints a)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table)), a);
}
static inline ints ints_dot(ints sum, ints codes, ints x) { return _mm512_dpbusd_epi32(sum, codes, x); }
static inline ints ints_dot_wide(ints sum, ints codes, ints x) { return _mm512_dpbusd_epi32(sum, codes, x); }
static inline ints ints_most(ints a, ints b) { return _mm512_max_epi32(a, b); }
static inline int32_t ints_largest(ints a) { return _mm512_reduce_max_epi32(a); }
/* Sums of what was not finite wrap, which the last step of _mm512_reduce_add_epi32, in C's int, must not. */
static inline int32_t ints_sum(ints a)
{
    __m256i v = _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    __m128i w = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    w = _mm_add_epi32(w, _mm_shuffle_epi32(w, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(w, _mm_shuffle_epi32(w, 0xb1)));
}
static inline void ints_put_bytes(int8_t *p, ints a) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a)); }
static inline ints ints_of_floats(__m512 a) { return _mm512_cvtps_epi32(a); }

static inline floats floats_load(const float *p) { return _mm512_loadu_ps(p); }
static inline floats floats_all(float x) { return _mm512_set1_ps(x); }
static inline void floats_store(float *p, floats a) { _mm512_storeu_ps(p, a); }
static inline floats floats_of_ints(ints a) { return _mm512_cvtepi32_ps(a); }
static inline floats floats_of_halves(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline floats floats_of_bf16(const void *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
static inline floats floats_of_i8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline floats floats_of_u8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline floats floats_add(floats a, floats b) { return _mm512_add_ps(a, b); }
static inline floats floats_sub(floats a, floats b) { return _mm512_sub_ps(a, b); }
static inline floats floats_times(floats a, floats b) { return _mm512_mul_ps(a, b); }
static inline floats floats_fma(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }

#endif
