#include "engine/kernels/kernels.h"
#include "engine/kernels/amx/amx.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__) && defined(__clang__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

extern const struct kernels kernels_c;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2, kernels_avx512;
#elif defined(__aarch64__)
extern const struct kernels kernels_neon;
#endif

static bool always(void) { return true; }
#if defined(__x86_64__)
#if defined(__clang__)
/* Clang 14 has no name for it: CPUID leaf 1, ECX bit 29 (Intel SDM, CPUID). Asked once, as a virtual machine is slow to
 * answer. */
static bool f16c;
static void ask_for_f16c(void)
{
    unsigned eax, ebx, ecx, edx;
    f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx >> 29 & 1);
}
static bool has_f16c(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ask_for_f16c);
    return f16c;
}
#else
static bool has_f16c(void) { return __builtin_cpu_supports("f16c"); }
#endif
static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c(); }
static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

/* The row of AVX-512 with its products on tiles; filled, where the tiles can be had, when it is first asked for. */
static struct kernels kernels_amx = {.name = "amx"};
static void fill_amx(void)
{
    if (!has_avx512() || !amx_usable()) return;
    kernels_amx = kernels_avx512;
    kernels_amx.name = "amx";
    kernels_amx.products = products_amx_avx512;
}
static bool has_amx(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_amx);
    return kernels_amx.products;
}
#elif defined(__aarch64__)
static bool has_neon(void) { return getauxval(AT_HWCAP) & HWCAP_ASIMDDP; }
#endif

/* From plain to wide: the last that the CPU has wins. */
static const struct {
    const struct kernels *table;
    bool (*supported)(void);
} rows[] = {
    {&kernels_c, always},
#if defined(__x86_64__)
    {&kernels_avx2, has_avx2},
    {&kernels_avx512, has_avx512},
    {&kernels_amx, has_amx},
#elif defined(__aarch64__)
    {&kernels_neon, has_neon},
#endif
};
enum { ROWS = sizeof rows / sizeof *rows };

static const struct kernels *chosen;

static void choose(void)
{
    const char *mask = getenv("KERF_CPU");
    for (size_t i = 0; i < ROWS && rows[i].supported(); i++) {
        chosen = rows[i].table;
        if (mask && strcmp(mask, chosen->name) == 0) break;
    }
}

const struct kernels *kernels_get(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
    return chosen;
}

int kernels_check(struct error *e)
{
    const char *mask = getenv("KERF_CPU");
    if (!mask || !*mask) return 0;
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(mask, rows[i].table->name)) continue;
        if (rows[i].supported()) return 0;
        return error_set(e, ERROR_USAGE, "KERF_CPU: %s: this CPU does not have it", mask);
    }
    char names[64] = "";
    for (size_t i = 0, n = 0; i < ROWS && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s",
                              i == 0         ? ""
                              : i + 1 < ROWS ? ", "
                                             : " or ",
                              rows[i].table->name);
    return error_set(e, ERROR_USAGE, "KERF_CPU: \"%s\" is no instruction set: use %s", mask, names);
}

const struct kernels *kernels_at(size_t i) { return i < ROWS && rows[i].supported() ? rows[i].table : NULL; }
