/* Loops of AVX-512 and what came with it: VNNI of 512 and 256 bits, bfloat16. The operands lie in zmm16 and zmm17. */
#include "cli/machine_loops.h"

#if defined(__x86_64__)

#ifdef __AVX512F__
#define OPERANDS , "xmm16", "xmm17" /* a compiler that may use them must know */
#else
#define OPERANDS
#endif
#define CLOBBERED                                                                                                      \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",         \
        "xmm13", "xmm14", "xmm15" OPERANDS

enum { SUMS = 16 };

static const float factors[2][16] = {
    {1.5f, 1.25f, 1.75f, 1.125f, 1.5f, 1.25f, 1.75f, 1.125f, 1.5f, 1.25f, 1.75f, 1.125f, 1.5f, 1.25f, 1.75f, 1.125f},
    {0.001f, -0.002f, 0.003f, -0.004f, 0.005f, -0.006f, 0.007f, -0.008f, 0.001f, -0.002f, 0.003f, -0.004f, 0.005f,
     -0.006f, 0.007f, -0.008f}};
/* As bytes and, in pairs of two, as bfloat16 between 1 and 2 and between 2^-9 and 2^-7. */
static const uint16_t halves[2][32] = {
    {0x3f9d, 0x3fc4, 0x3f83, 0x3fe9, 0x3fb2, 0x3f97, 0x3fd1, 0x3fac, 0x3f8e, 0x3ff3, 0x3fbb,
     0x3fa1, 0x3fcd, 0x3f88, 0x3fde, 0x3f95, 0x3fe2, 0x3fa6, 0x3f91, 0x3fc8, 0x3ff8, 0x3fb9,
     0x3f84, 0x3fd6, 0x3f9b, 0x3fed, 0x3fc1, 0x3fa9, 0x3f8c, 0x3fd9, 0x3fb5, 0x3fe6},
    {0x3b1d, 0xbb44, 0x3b83, 0xbb69, 0x3bb2, 0xbb17, 0x3b51, 0xbbac, 0x3b0e, 0xbb73, 0x3bbb,
     0xbb21, 0x3b4d, 0xbb88, 0x3b5e, 0xbb15, 0x3b62, 0xbba6, 0x3b11, 0xbb48, 0x3b78, 0xbbb9,
     0x3b04, 0xbb56, 0x3b9b, 0xbb6d, 0x3b41, 0xbba9, 0x3b0c, 0xbb59, 0x3bb5, 0xbb66}};

/* The same loop around any instruction that adds a product of zmm16 and zmm17, or of ymm16 and ymm17, to a sum. */
#define SPIN(instruction, width, operands, rounds)                                                                     \
    __asm__ volatile("vmovdqu32 %[a], %%" width "16\n"                                                                 \
                     "vmovdqu32 %[b], %%" width "17\n"                                                                 \
                     ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"                                  \
                     "vpxord %%zmm\\r, %%zmm\\r, %%zmm\\r\n"                                                           \
                     ".endr\n"                                                                                         \
                     "1:\n"                                                                                            \
                     ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n" instruction " %%" width          \
                     "17, %%" width "16, %%" width "\\r\n"                                                             \
                     ".endr\n"                                                                                         \
                     "dec %[n]\n"                                                                                      \
                     "jnz 1b\n"                                                                                        \
                     "vzeroupper\n"                                                                                    \
                     : [n] "+r"(rounds)                                                                                \
                     : [a] "m"(operands[0]), [b] "m"(operands[1])                                                      \
                     : "cc", CLOBBERED)

static void spin_fma(int64_t rounds) { SPIN("vfmadd231ps", "zmm", factors, rounds); }
static void spin_vnni_256(int64_t rounds) { SPIN("vpdpbusd", "ymm", halves, rounds); }
static void spin_vnni_512(int64_t rounds) { SPIN("vpdpbusd", "zmm", halves, rounds); }
static void spin_bf16(int64_t rounds) { SPIN("vdpbf16ps", "zmm", halves, rounds); }

const struct machine_loop machine_loops_avx512[] = {{MACHINE_FMA_512, SUMS * 2 * 16, spin_fma},
                                                    {MACHINE_VNNI_256, SUMS * 2 * 32, spin_vnni_256},
                                                    {MACHINE_VNNI_512, SUMS * 2 * 64, spin_vnni_512},
                                                    {MACHINE_BF16_512, SUMS * 2 * 32, spin_bf16},
                                                    {.spin = NULL}};

void machine_read_avx512(const uint8_t *p, size_t n)
{
    const size_t step = n / 4;
    const uint8_t *end = p + step, *last = p + 3 * step;
    __asm__ volatile("1:\n"
                     "vpord (%[p]), %%zmm0, %%zmm0\n"
                     "vpord (%[p], %[step]), %%zmm1, %%zmm1\n"
                     "vpord (%[p], %[step], 2), %%zmm2, %%zmm2\n"
                     "vpord (%[last]), %%zmm3, %%zmm3\n"
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

const struct machine_loop machine_loops_avx512[] = {{.spin = NULL}};

#endif
