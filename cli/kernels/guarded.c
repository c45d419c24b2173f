/* Buffers between pages that cannot be touched. What lies beside a buffer within its own pages holds UNTOUCHED. */
#include "cli/kernels/family.h"
#include "engine/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct buffer {
    uint8_t *map, *p;
    size_t inside, bytes; /* of the pages between, and of the buffer */
    bool sealed;
};

struct kernel_memory {
    enum buffer_place place;
    size_t page, count, capacity;
    struct buffer *buffers;
};

struct kernel_memory *kernel_memory_new(enum buffer_place place, struct error *e)
{
    struct kernel_memory *m = memory_new(1, sizeof *m, "guarded buffers", e);
    if (!m) return NULL;
    m->place = place;
    m->page = (size_t)sysconf(_SC_PAGESIZE);
    return m;
}

/* A mapping whose first and last page cannot be touched; NULL where there is none. */
static uint8_t *guarded_pages(size_t inside, size_t page)
{
    uint8_t *map = mmap(NULL, inside + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return NULL;
    if (mprotect(map, page, PROT_NONE) || mprotect(map + page + inside, page, PROT_NONE)) {
        munmap(map, inside + 2 * page);
        return NULL;
    }
    memset(map + page, UNTOUCHED, inside);
    return map;
}

void *kernel_buffer(struct kernel_memory *m, int64_t count, size_t size, struct error *e)
{
    size_t bytes;
    if (count < 0 || __builtin_mul_overflow((size_t)count, size, &bytes) || bytes > PTRDIFF_MAX / 2) {
        error_set(e, ERROR_IO, "out of memory: %lld x %zu bytes for a guarded buffer", (long long)count, size);
        return NULL;
    }
    if (memory_reserve((void **)&m->buffers, &m->capacity, m->count + 1, sizeof *m->buffers, "guarded buffers", e))
        return NULL;
    size_t inside = (bytes + size + m->page - 1) / m->page * m->page;
    uint8_t *map = guarded_pages(inside, m->page);
    if (!map) {
        error_errno(e, "a guarded buffer", "mapping it");
        return NULL;
    }
    uint8_t *first = map + m->page;
    uint8_t *p = m->place == BUFFER_AT_END      ? first + inside - bytes
                 : m->place == BUFFER_OFF_START ? first + size
                                                : first;
    m->buffers[m->count++] = (struct buffer){map, p, inside, bytes, false};
    return p;
}

void kernel_memory_seal(struct kernel_memory *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct buffer *b = &m->buffers[i];
        b->sealed = b->sealed || mprotect(b->map + m->page, b->inside, PROT_READ) == 0;
    }
}

void kernel_memory_reset(struct kernel_memory *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (!m->buffers[i].sealed) memset(m->buffers[i].map + m->page, UNTOUCHED, m->buffers[i].inside);
}

/* Where `at` lies beside a buffer, in words; false: within it. */
static bool say_beside(const struct buffer *b, size_t i, const uint8_t *at, const char *what, char *words, size_t size)
{
    const char *role = b->sealed ? ", an input" : "";
    if (at < b->p)
        snprintf(words, size, "%s %zu bytes before buffer %zu (%zu bytes%s)", what, (size_t)(b->p - at), i + 1,
                 b->bytes, role);
    else if (at >= b->p + b->bytes)
        snprintf(words, size, "%s %zu bytes past the end of buffer %zu (%zu bytes%s)", what,
                 (size_t)(at - b->p) - b->bytes, i + 1, b->bytes, role);
    else
        return false;
    return true;
}

bool kernel_memory_damaged(const struct kernel_memory *m, char *words, size_t size)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct buffer *b = &m->buffers[i];
        const uint8_t *first = b->map + m->page;
        if (b->sealed) continue;
        for (const uint8_t *at = first; at < first + b->inside; at++) {
            if (at == b->p) at += b->bytes; /* may be where the pages end */
            if (at < first + b->inside && *at != UNTOUCHED) return say_beside(b, i, at, "writes", words, size);
        }
    }
    return false;
}

void kernel_memory_touched(const struct kernel_memory *m, const void *address, char *words, size_t size)
{
    const uint8_t *at = address;
    for (size_t i = 0; i < m->count; i++) {
        const struct buffer *b = &m->buffers[i];
        if (at < b->map || at >= b->map + b->inside + 2 * m->page) continue;
        if (!say_beside(b, i, at, "touches memory", words, size))
            snprintf(words, size, "writes byte %zu of buffer %zu (%zu bytes), an input", (size_t)(at - b->p), i + 1,
                     b->bytes);
        return;
    }
    snprintf(words, size, "touches memory far from all buffers");
}

void kernel_memory_free(struct kernel_memory *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->count; i++) munmap(m->buffers[i].map, m->buffers[i].inside + 2 * m->page);
    free(m->buffers);
    free(m);
}
