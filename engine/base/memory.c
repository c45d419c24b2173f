#include "engine/base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *out_of_memory(size_t count, size_t size, const char *what, struct error *e)
{
    error_set(e, ERROR_IO, "out of memory: %zu x %zu bytes for %s", count, size, what);
    return NULL;
}

void *memory_new(size_t count, size_t size, const char *what, struct error *e)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - 64)
        return out_of_memory(count, size, what, e);
    bytes = (bytes + 63) / 64 * 64;
    void *p = aligned_alloc(64, bytes ? bytes : 64);
    if (!p) return out_of_memory(count, size, what, e);
    return memset(p, 0, bytes ? bytes : 64);
}

int memory_reserve(void **array, size_t *capacity, size_t wanted, size_t size, const char *what, struct error *e)
{
    if (wanted <= *capacity) return 0;
    size_t more = *capacity > SIZE_MAX / 2 ? wanted : *capacity * 2, bytes;
    if (more < wanted) more = wanted;
    if (more < 16) more = 16;
    void *p = __builtin_mul_overflow(more, size, &bytes) ? NULL : realloc(*array, bytes);
    if (!p) {
        out_of_memory(more, size, what, e);
        return ERROR_IO;
    }
    *array = p;
    *capacity = more;
    return 0;
}

char *memory_bytes(const void *data, size_t n, struct error *e)
{
    char *copy = memory_new(n + 1, 1, "a string", e);
    if (copy && n) memcpy(copy, data, n);
    return copy;
}

char *memory_string(const char *s, struct error *e) { return memory_bytes(s, strlen(s), e); }

size_t memory_available(void)
{
    FILE *f = fopen("/proc/meminfo", "r"); /* proc(5) */
    char line[256];
    unsigned long long kib;
    bool said = false;
    while (f && !said && fgets(line, sizeof line, f)) said = sscanf(line, "MemAvailable: %llu kB", &kib) == 1;
    if (f) fclose(f);
    return said && kib <= SIZE_MAX / 1024 ? (size_t)kib * 1024 : SIZE_MAX;
}
