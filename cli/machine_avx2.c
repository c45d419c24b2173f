/* Loops of 256 bits in VEX encoding: AVX2, FMA, AVX-VNNI. */
#include "cli/machine_loops.h"

#if defined(__x86_64__)

#define CLOBBERED                                                                                                      \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",         \
        "xmm13", "xmm14", "xmm15"

enum { SUMS = 12, CHAINS = 6 };

static const float factors[2][8] = {{1.5f, 1.25f, 1.75f, 1.125f, 1.5f, 1.25f, 1.75f, 1.125f},
                                    {0.001f, -0.002f, 0.003f, -0.004f, 0.005f, -0.006f, 0.007f, -0.008f}};
static const uint8_t bytes[2][32] = {{201, 17,  93, 250, 5,  111, 64, 39, 180, 77, 222, 9,  143, 31,  86,  199,
                                      12,  240, 55, 133, 68, 171, 27, 99, 210, 3,  156, 81, 47,  190, 119, 62},
                                     {13,  203, 88, 41,  167, 240, 5,   122, 71,  190, 36,  215, 99,  58, 144, 27,
                                      230, 81,  19, 173, 60,  208, 112, 45,  151, 9,   187, 74,  238, 33, 128, 95}};
static const int16_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static void spin_fma(int64_t rounds)
{
    __asm__ volatile("vmovups %[a], %%ymm14\n"
                     "vmovups %[b], %%ymm15\n"
                     ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     "vxorps %%ymm\\r, %%ymm\\r, %%ymm\\r\n"
                     ".endr\n"
                     "1:\n"
                     ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     "vfmadd231ps %%ymm15, %%ymm14, %%ymm\\r\n"
                     ".endr\n"
                     "dec %[n]\n"
                     "jnz 1b\n"
                     "vzeroupper\n"
                     : [n] "+r"(rounds)
                     : [a] "m"(factors[0]), [b] "m"(factors[1])
                     : "cc", CLOBBERED);
}

/* What multiplies bytes where there is no VNNI: products to 16 bits, pairs of them to 32, and a sum. */
static void spin_maddubs(int64_t rounds)
{
    __asm__ volatile("vmovdqu %[a], %%ymm12\n"
                     "vmovdqu %[b], %%ymm13\n"
                     "vmovdqu %[ones], %%ymm14\n"
                     ".irp r, 0, 1, 2, 3, 4, 5\n"
                     "vpxor %%ymm\\r, %%ymm\\r, %%ymm\\r\n"
                     ".endr\n"
                     "1:\n"
                     "vpmaddubsw %%ymm13, %%ymm12, %%ymm6\n"
                     "vpmaddubsw %%ymm13, %%ymm12, %%ymm7\n"
                     "vpmaddubsw %%ymm13, %%ymm12, %%ymm8\n"
                     "vpmaddubsw %%ymm13, %%ymm12, %%ymm9\n"
                     "vpmaddubsw %%ymm13, %%ymm12, %%ymm10\n"
                     "vpmaddubsw %%ymm13, %%ymm12, %%ymm11\n"
                     ".irp r, 6, 7, 8, 9, 10, 11\n"
                     "vpmaddwd %%ymm14, %%ymm\\r, %%ymm\\r\n"
                     ".endr\n"
                     "vpaddd %%ymm6, %%ymm0, %%ymm0\n"
                     "vpaddd %%ymm7, %%ymm1, %%ymm1\n"
                     "vpaddd %%ymm8, %%ymm2, %%ymm2\n"
                     "vpaddd %%ymm9, %%ymm3, %%ymm3\n"
                     "vpaddd %%ymm10, %%ymm4, %%ymm4\n"
                     "vpaddd %%ymm11, %%ymm5, %%ymm5\n"
                     "dec %[n]\n"
                     "jnz 1b\n"
                     "vzeroupper\n"
                     : [n] "+r"(rounds)
                     : [a] "m"(bytes[0]), [b] "m"(bytes[1]), [ones] "m"(ones)
                     : "cc", CLOBBERED);
}

static void spin_vnni(int64_t rounds)
{
    __asm__ volatile("vmovdqu %[a], %%ymm14\n"
                     "vmovdqu %[b], %%ymm15\n"
                     ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     "vpxor %%ymm\\r, %%ymm\\r, %%ymm\\r\n"
                     ".endr\n"
                     "1:\n"
                     ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     "%{vex%} vpdpbusd %%ymm15, %%ymm14, %%ymm\\r\n"
                     ".endr\n"
                     "dec %[n]\n"
                     "jnz 1b\n"
                     "vzeroupper\n"
                     : [n] "+r"(rounds)
                     : [a] "m"(bytes[0]), [b] "m"(bytes[1])
                     : "cc", CLOBBERED);
}

const struct machine_loop machine_loops_avx2[] = {{MACHINE_FMA_256, SUMS * 2 * 8, spin_fma},
                                                  {MACHINE_MADDUBS_256, CHAINS * 2 * 32, spin_maddubs},
                                                  {MACHINE_AVX_VNNI, SUMS * 2 * 32, spin_vnni},
                                                  {.spin = NULL}};

void machine_read_avx2(const uint8_t *p, size_t n)
{
    const size_t step = n / 4;
    const uint8_t *end = p + step, *last = p + 3 * step;
    __asm__ volatile("1:\n"
                     "vpor (%[p]), %%ymm0, %%ymm0\n"
                     "vpor (%[p], %[step]), %%ymm1, %%ymm1\n"
                     "vpor (%[p], %[step], 2), %%ymm2, %%ymm2\n"
                     "vpor (%[last]), %%ymm3, %%ymm3\n"
                     "vpor 32(%[p]), %%ymm4, %%ymm4\n"
                     "vpor 32(%[p], %[step]), %%ymm5, %%ymm5\n"
                     "vpor 32(%[p], %[step], 2), %%ymm6, %%ymm6\n"
                     "vpor 32(%[last]), %%ymm7, %%ymm7\n"
                     "add $64, %[last]\n"
                     "add $64, %[p]\n"
                     "cmp %[end], %[p]\n"
                     "jne 1b\n"
                     "vzeroupper\n"
                     : [p] "+r"(p), [last] "+r"(last)
                     : [step] "r"(step), [end] "r"(end)
                     : "cc", "memory", CLOBBERED);
}

#else

const struct machine_loop machine_loops_avx2[] = {{.spin = NULL}};

#endif
