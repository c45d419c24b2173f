/* Memory that runs out: every allocation of a reader fails in turn, alone and with all that follow it. Nothing ends in a
 * signal, nothing stays behind, and the reader says what happened, which is ERROR_IO.
 *
 *     static int open_it(const char *path, struct error *e) { ... opens and, if that went well, closes ... }
 *     assert_fails("x.gguf", open_it, path, 10, 0);
 *
 * For one file of a program, whose allocator this becomes; under sanitizers the linker has to lead it here (see
 * tests/CMakeLists.txt). */
#ifndef KERF_TESTS_CORRUPT_FAILING_H
#define KERF_TESTS_CORRUPT_FAILING_H

#include "tests/testing.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* --- an allocator that fails --- */

static _Thread_local long due;     /* allocations until one fails; 0: none does */
static _Thread_local bool goes_on; /* then all fail */
static _Thread_local long failed;  /* how many have */
static long held;                  /* blocks that are allocated and not freed */

static bool fails(void)
{
    if (!due || (due > 1 && --due)) return false;
    if (!goes_on) due = 0;
    failed++;
    errno = ENOMEM;
    return true;
}

static void *counted(void *p)
{
    if (p) __atomic_add_fetch(&held, 1, __ATOMIC_RELAXED);
    return p;
}

#if defined(                                                                                                           \
    __SANITIZE_ADDRESS__) /* the linker leads our own calls here, no library's; leaks are the sanitizer's to find */
enum { ALL_COME_HERE = 0 };
#define OURS(name) __wrap_##name
#define THEIRS(name) __real_##name
#define MEMALIGN(alignment, n) __real_aligned_alloc(alignment, n)
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void __real_free(void *p);
#else /* what a program defines goes before the C library's, for libraries, too */
enum { ALL_COME_HERE = 1 };
#define OURS(name) name
#define THEIRS(name) __libc_##name
#define MEMALIGN(alignment, n) __libc_memalign(alignment, n)
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);
#endif
void *OURS(malloc)(size_t n);
void *OURS(calloc)(size_t n, size_t size);
void *OURS(realloc)(void *p, size_t n);
void *OURS(aligned_alloc)(size_t alignment, size_t n);
void OURS(free)(void *p);

void *OURS(malloc)(size_t n) { return fails() ? NULL : counted(THEIRS(malloc)(n)); }
void *OURS(calloc)(size_t n, size_t size) { return fails() ? NULL : counted(THEIRS(calloc)(n, size)); }
void *OURS(aligned_alloc)(size_t alignment, size_t n) { return fails() ? NULL : counted(MEMALIGN(alignment, n)); }

void *OURS(realloc)(void *p, size_t n)
{
    if (fails()) return NULL;
    return p ? THEIRS(realloc)(p, n) : counted(THEIRS(malloc)(n));
}

void OURS(free)(void *p)
{
    if (p) __atomic_sub_fetch(&held, 1, __ATOMIC_RELAXED);
    THEIRS(free)(p);
}

/* Where memory is short, a pattern stays without machine code and is interpreted: no failure. */
int pcre2_jit_compile_8(void *code, uint32_t options);

int pcre2_jit_compile_8(void *code, uint32_t options)
{
    int (*real)(void *, uint32_t);
    *(void **)&real = dlsym(RTLD_NEXT, "pcre2_jit_compile_8"); /* POSIX.1-2017, dlsym() */
    const long saved = due;
    due = 0;
    const int status = real(code, options);
    due = saved;
    return status;
}

/* --- every allocation of a reader --- */

typedef int failing(const char *path, struct error *e); /* opens and, if that went well, closes */

/* The number of allocations that the reader makes of a file that it reads. */
static long fail_in_turn(const char *name, failing *read, const char *path, bool on, long retried)
{
    struct error e = {0};
    assert_ok(read(path, &e), &e); /* what is kept from the first time on, by libraries too, is there now */
    for (long n = 1;; n++) {
        e = (struct error){0};
        const long before = held;
        due = n, goes_on = on, failed = 0;
        const int status = read(path, &e);
        due = 0;
        if (!failed) {
            assert_ok(status, &e);
            return n - 1;
        }
        const bool told = status == ERROR_IO && e.code == ERROR_IO && e.text[0];
        if (!status && !on && retried-- > 0) continue;
        if (!told)
            fail_msg("%s: allocation %ld%s: status %d: %s", name, n, on ? " and all after it" : "", status, e.text);
        if (ALL_COME_HERE && held != before)
            fail_msg("%s: allocation %ld: %ld blocks stay behind", name, n, held - before);
    }
}

/* There are at least so many allocations, and each that fails is told; but for `retried` of them, of libraries that try
 * again with less, where it is one alone that fails. */
static inline void assert_fails(const char *name, failing *read, const char *path, long least, long retried)
{
    const long n = fail_in_turn(name, read, path, false, retried);
    if (ALL_COME_HERE && n < least) fail_msg("%s: only %ld allocations", name, n);
    fail_in_turn(name, read, path, true, 0);
}

#endif
