#include "engine/kernels/amx/amx.h"

#if defined(__x86_64__) && defined(__linux__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

struct leaf {
    unsigned eax, ebx, ecx, edx;
};

/* Zeros where the CPU has no such leaf. */
static struct leaf leaf_of(unsigned number, unsigned part)
{
    struct leaf l = {0};
    __get_cpuid_count(number, part, &l.eax, &l.ebx, &l.ecx, &l.edx);
    return l;
}

/* CPUID leaf 7: AMX-TILE and AMX-INT8; leaf 1DH, part 1: 8 tiles or more of 16 rows of 64 bytes (Intel SDM, CPUID). */
static bool cpu_has_tiles(void)
{
    struct leaf features = leaf_of(7, 0), palette = leaf_of(0x1d, 1);
    return (features.edx >> 24 & 1) && (features.edx >> 25 & 1) && palette.ebx >> 16 >= 8 &&
           (palette.ebx & 0xffff) == 64 && (palette.ecx & 0xffff) == 16;
}

/* XCR0 bits 17 and 18: configuration and data of tiles (Intel SDM 13.3). */
static bool system_saves_tiles(void)
{
    enum { OSXSAVE = 27, TILES = 3 << 17 };
    if (!(leaf_of(1, 0).ecx >> OSXSAVE & 1)) return false;
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & TILES) == TILES;
}

/* arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), for all threads (Linux, Documentation/arch/x86/xstate.rst).
 * Without it the first instruction on tiles ends the process. */
static bool system_gives_tiles(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

bool amx_usable(void) { return cpu_has_tiles() && system_saves_tiles() && system_gives_tiles(); }

#else

bool amx_usable(void) { return false; }

#endif
