/* Allocation whose sizes cannot wrap and whose failure is an error with words.
 *
 *     float *x = memory_new(rows, sizeof *x, "activations", e);
 *     if (!x) return e->code;
 *
 * Everything allocated here is released with free(). */
#ifndef KERF_ENGINE_BASE_MEMORY_H
#define KERF_ENGINE_BASE_MEMORY_H

#include "engine/base/error.h"
#include <stddef.h>

/* count * size zeroed bytes, aligned to 64; NULL and ERROR_IO when there is no memory or the product wraps. A count of
 * 0 gives a valid pointer to nothing. */
void *memory_new(size_t count, size_t size, const char *what, struct error *e);
/* Makes room for `wanted` elements in *array, a malloc'd array of *capacity elements (grows by doubling; what is new is
 * not zeroed). On failure the old array stays valid. */
int memory_reserve(void **array, size_t *capacity, size_t wanted, size_t size, const char *what, struct error *e);
char *memory_string(const char *s, struct error *e);
char *memory_bytes(const void *data, size_t n, struct error *e); /* n bytes and a NUL after them */

/* Bytes that the machine can give without swapping, MemAvailable of /proc/meminfo; SIZE_MAX where it does not say. A
 * container's own limit is not seen. */
size_t memory_available(void);

#endif
