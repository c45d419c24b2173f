/* What a broken file may cost: a reader in a process of its own, whose time and memory are told when it ends.
 *
 *     static int open_it(const char *path, struct error *e) { ... }
 *     assert_cheap(open_it, path, ERROR_INPUT, "x.gguf: offset 0x8: ");
 */
#ifndef KERF_TESTS_CORRUPT_LIMITS_H
#define KERF_TESTS_CORRUPT_LIMITS_H

#include "tests/testing.h"

#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
enum { LIMIT_SLOWER = 20, LIMIT_LARGER = 1 << 10 }; /* what it adds is not ours to count */
#else
enum { LIMIT_SLOWER = 1, LIMIT_LARGER = 1 };
#endif

typedef int limited(const char *path, struct error *e);

/* The reader ends by itself with this code (0: it reads the file), with words that have `says` in them, in less than so
 * many seconds of processor time and MB of memory, those of this program included. */
static inline void assert_costs(limited *open, const char *path, enum error_code code, const char *says,
                                double most_seconds, long most_mb)
{
    struct error e = {0};
    struct rusage used;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        status = open(path, &e);
        _exit(write(ends[1], e.text, strlen(e.text)) < 0 ? 99 : status);
    }
    close(ends[1]);
    const ssize_t n = read(ends[0], e.text, sizeof e.text - 1);
    close(ends[0]);
    assert_true(n >= 0);
    e.text[n] = 0;
    assert_int_equal(wait4(child, &status, 0, &used), child);
    if (WIFSIGNALED(status)) fail_msg("%s: signal %d", path, WTERMSIG(status));
    if (code && !WEXITSTATUS(status)) fail_msg("%s: was read, but is due: %s", path, says);
    if (code)
        assert_error(WEXITSTATUS(status), &e, code, says);
    else
        assert_ok(WEXITSTATUS(status), &e);
    const double seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    const long mb = used.ru_maxrss / 1024;
    if (seconds >= most_seconds * LIMIT_SLOWER) fail_msg("%s: %g seconds: %s", path, seconds, e.text);
    if (mb >= most_mb * LIMIT_LARGER) fail_msg("%s: %ld MB: %s", path, mb, e.text);
}

static inline void assert_cheap(limited *open, const char *path, enum error_code code, const char *says)
{
    assert_costs(open, path, code, says, 1, 64);
}

#endif
