#include "reports/charts/gnuplot.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const struct gnuplot_limits gnuplot_usual = {20, 8 << 20};

enum { WORDS_KEPT = 1 << 16 };

/* Our ends; -1 once closed. `in` is a socket and not a pipe because writing to a socket whose reader is gone can be told
 * not to raise SIGPIPE. */
struct child {
    pid_t id;
    int in, out, words;
};

static void close_end(int *end)
{
    if (*end >= 0) close(*end);
    *end = -1;
}

/* The environment without what would change how gnuplot draws; the strings stay the environment's. */
static char **environment(struct error *e)
{
    static const char *const dropped[] = {"GNUPLOT", "GNUTERM=", "LC_", "LANG=", "LANGUAGE="};
    size_t n = 0, kept = 0;
    while (environ[n]) n++;
    char **list = memory_new(n + 2, sizeof *list, "environment", e);
    for (size_t i = 0; list && i < n; i++) {
        bool drop = false;
        for (size_t k = 0; k < sizeof dropped / sizeof *dropped; k++)
            drop = drop || strncmp(environ[i], dropped[k], strlen(dropped[k])) == 0;
        if (!drop) list[kept++] = environ[i];
    }
    static char plain[] = "LC_ALL=C";
    if (list) list[kept] = plain;
    return list;
}

/* In a process group of its own, so that all of it can be ended; with the usual signals. */
static int spawn(struct child *c, const int ends[3], char *const *variables)
{
    static char name[] = "gnuplot", settings[] = "-d";
    char *const arguments[] = {name, settings, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGINT);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int i = 0; i < 3; i++) posix_spawn_file_actions_adddup2(&actions, ends[i], i);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    const int failed = posix_spawnp(&c->id, name, &actions, &attributes, arguments, variables);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static int start(struct child *c, struct error *e)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, words[2] = {-1, -1}, failed = 0;
    *c = (struct child){.id = -1, .in = -1, .out = -1, .words = -1};
    char **variables = environment(e);
    if (!variables) return e->code;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) || pipe2(out, O_CLOEXEC) || pipe2(words, O_CLOEXEC))
        failed = errno;
    else
        failed = spawn(c, (const int[]){in[1], out[1], words[1]}, variables);
    free(variables);
    close_end(&in[1]);
    close_end(&out[1]);
    close_end(&words[1]);
    c->in = in[0], c->out = out[0], c->words = words[0];
    if (failed) {
        c->id = -1; /* what posix_spawn() leaves there is not said */
        return error_set(e, ERROR_IO,
                         "gnuplot: cannot be started: %s (charts need it; Debian: apt install gnuplot-nox)",
                         strerror(failed));
    }
    return 0;
}

static void feed(struct child *c, const char *script, size_t n, size_t *sent)
{
    const ssize_t k = send(c->in, script + *sent, n - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (k > 0) *sent += (size_t)k;
    if (*sent == n || (k < 0 && errno != EAGAIN && errno != EINTR)) close_end(&c->in);
}

/* Appends what is there to read, as far as `limit` goes; false where there was more. */
static bool drain(int *end, struct text *out, size_t limit)
{
    char buffer[1 << 14];
    const ssize_t n = read(*end, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0) {
        close_end(end);
        return true;
    }
    const size_t room = limit > out->length ? limit - out->length : 0;
    text_bytes(out, buffer, (size_t)n < room ? (size_t)n : room);
    return (size_t)n <= room;
}

/* All three ends at once, so that neither side waits for the other for ever. */
static int talk(struct child *c, const char *script, struct gnuplot_limits limits, double deadline, struct text *out,
                struct text *words, struct error *e)
{
    const size_t n = strlen(script), room = out->length + limits.bytes;
    size_t sent = 0;
    while (c->out >= 0 || c->words >= 0) {
        struct pollfd p[3] = {{c->in, POLLOUT, 0}, {c->out, POLLIN, 0}, {c->words, POLLIN, 0}};
        const double left = deadline - seconds_now();
        if (left <= 0) return error_set(e, ERROR_IO, "gnuplot: not finished after %g seconds", limits.seconds);
        const int ready = poll(p, 3, (int)(left * 1000) + 1);
        if (ready < 0 && errno != EINTR) return error_errno(e, "gnuplot", "waiting");
        if (ready <= 0) continue;
        if (p[0].revents) feed(c, script, n, &sent);
        if (p[1].revents && !drain(&c->out, out, room))
            return error_set(e, ERROR_IO, "gnuplot: draws more than %zu bytes", limits.bytes);
        if (p[2].revents) drain(&c->words, words, WORDS_KEPT);
    }
    return 0;
}

/* Its exit status as waitpid() has it, or -1 where it goes on. */
static int finish(struct child *c, double deadline)
{
    int status = 0;
    while (c->id > 0) {
        const pid_t id = waitpid(c->id, &status, WNOHANG);
        if (id == c->id || (id < 0 && errno != EINTR)) {
            c->id = -1;
            return status;
        }
        if (seconds_now() > deadline) return -1;
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return status;
}

static void stop(struct child *c)
{
    close_end(&c->in);
    close_end(&c->out);
    close_end(&c->words);
    if (c->id <= 0) return;
    kill(-c->id, SIGKILL);
    while (waitpid(c->id, NULL, 0) < 0 && errno == EINTR) {
    }
    c->id = -1;
}

/* The last line that says something: gnuplot repeats the command first. */
static const char *last_line(struct text *words)
{
    char *s = words->bytes, *last = NULL;
    for (char *line = s ? strtok_r(s, "\r\n", &s) : NULL; line; line = strtok_r(NULL, "\r\n", &s)) {
        line += strspn(line, " \t");
        if (*line) last = line;
    }
    return last ? last : "it says nothing";
}

int gnuplot_run(const char *script, struct gnuplot_limits limits, struct text *out, struct error *e)
{
    struct child c;
    struct text words = {0};
    const double deadline = seconds_now() + limits.seconds;
    if (start(&c, e) == 0 && talk(&c, script, limits, deadline, out, &words, e) == 0) {
        const int status = finish(&c, deadline);
        if (status < 0)
            error_set(e, ERROR_IO, "gnuplot: not finished after %g seconds", limits.seconds);
        else if (status)
            error_set(e, ERROR_IO, "gnuplot: failed: %.200s", last_line(&words));
        else if (out->failed)
            error_set(e, ERROR_IO, "gnuplot: out of memory for what it draws");
        else {
            stop(&c);
            text_free(&words);
            return 0;
        }
    }
    stop(&c);
    text_free(&words);
    return e->code;
}
