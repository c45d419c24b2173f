/* What this CPU has, by CPUID and XGETBV, and what Linux lets a program use of it. */
#include "cli/machine_loops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct machine_loop *machine_loop_of(enum machine_meter meter)
{
    const struct machine_loop *const families[] = {machine_loops_avx2, machine_loops_avx512, machine_loops_amx};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const struct machine_loop *loop = families[i]; loop->spin; loop++)
            if (loop->meter == meter) return loop;
    return NULL;
}

#if defined(__x86_64__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Registers by their names, as cpuid gives them; zero where the leaf is not there. */
struct leaf {
    unsigned eax, ebx, ecx, edx;
};

static struct leaf leaf_of(unsigned number, unsigned part)
{
    struct leaf l = {0};
    __get_cpuid_count(number, part, &l.eax, &l.ebx, &l.ecx, &l.edx);
    return l;
}

/* The register states that the system saves, XCR0; 0 where it does not say. */
static uint64_t saved_states(void)
{
    if (!(leaf_of(1, 0).ecx >> 27 & 1)) return 0; /* OSXSAVE */
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool saves(uint64_t states) { return (saved_states() & states) == states; }

/* XCR0 (Intel SDM 13.3): the halves of ymm; opmasks and the parts of zmm; configuration and data of tiles. */
enum { YMM = 0x6, ZMM = 0xe6, TILES = 0x60000, TILE_DATA = 18 };

/* Linux gives tiles to processes that ask for them (Documentation/arch/x86/xstate.rst). */
static const char *ask_for_tiles(void)
{
    enum { REQUEST_PERMISSION = 0x1023 };
    if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0) return NULL;
    return errno == EINVAL ? "Linux here is too old to give permission for AMX (5.16 is not)"
                           : "Linux gave no permission for AMX (arch_prctl ARCH_REQ_XCOMP_PERM)";
}

static const char *lacks_256(bool has, const char *reason)
{
    if (!has) return reason;
    return saves(YMM) ? NULL : "the system does not save registers of 256 bits (XGETBV)";
}

static const char *lacks_512(bool has, const char *reason)
{
    if (!has) return reason;
    return saves(ZMM) ? NULL : "the system does not save registers of 512 bits (XGETBV)";
}

static const char *lacks_amx(bool has, const char *reason)
{
    if (!has) return reason;
    return saves(TILES) ? ask_for_tiles() : "the system does not save tiles (XGETBV)";
}

/* Bits of CPUID leaf 7 (Intel SDM, CPUID): part 0 and part 1. */
const char *machine_lacks(enum machine_meter meter)
{
    const struct leaf seven = leaf_of(7, 0), more = leaf_of(7, 1);
    const bool avx2 = seven.ebx >> 5 & 1, avx512 = seven.ebx >> 16 & 1, vl = seven.ebx >> 31 & 1;
    const bool vnni = avx512 && (seven.ecx >> 11 & 1);
    switch (meter) {
    case MACHINE_FMA_256:
        return lacks_256(avx2 && (leaf_of(1, 0).ecx >> 12 & 1), "the CPU has no AVX2 with FMA");
    case MACHINE_MADDUBS_256:
        return lacks_256(avx2, "the CPU has no AVX2");
    case MACHINE_AVX_VNNI:
        return lacks_256(more.eax >> 4 & 1, "the CPU has no AVX-VNNI");
    case MACHINE_FMA_512:
        return lacks_512(avx512, "the CPU has no AVX-512");
    case MACHINE_VNNI_256:
        return lacks_512(vnni && vl, vnni ? "the CPU has no AVX512VL" : "the CPU has no AVX512_VNNI");
    case MACHINE_VNNI_512:
        return lacks_512(vnni, "the CPU has no AVX512_VNNI");
    case MACHINE_BF16_512:
        return lacks_512(avx512 && (more.eax >> 5 & 1), "the CPU has no AVX512_BF16");
    case MACHINE_AMX_INT8:
        return lacks_amx((seven.edx >> 24 & 1) && (seven.edx >> 25 & 1), "the CPU has no AMX with int8");
    case MACHINE_AMX_BF16:
        return lacks_amx((seven.edx >> 24 & 1) && (seven.edx >> 22 & 1), "the CPU has no AMX with bfloat16");
    default:
        return NULL;
    }
}

machine_reader *machine_reader_of(void)
{
    if (!machine_lacks(MACHINE_FMA_512)) return machine_read_avx512;
    return machine_lacks(MACHINE_MADDUBS_256) ? machine_read_c : machine_read_avx2;
}

#else

const char *machine_lacks(enum machine_meter meter)
{
    return meter == MACHINE_SGEMM || meter == MACHINE_READ ? NULL
                                                           : "the CPU is no x86-64, and its peaks are not measured";
}

machine_reader *machine_reader_of(void) { return machine_read_c; }

#endif

void machine_read_c(const uint8_t *p, size_t n)
{
    const size_t words = n / 4 / sizeof(uint64_t);
    uint64_t all[8] = {0};
    for (size_t i = 0; i < words; i += 8)
        for (size_t k = 0; k < 8; k++)
            for (size_t part = 0; part < 4; part++) {
                uint64_t w;
                memcpy(&w, p + (part * words + i + k) * sizeof w, sizeof w);
                all[k] |= w;
            }
    __asm__ volatile("" : : "r"(all) : "memory"); /* the sums count as used */
}
