#include "cli/command.h"
#include "engine/base/text.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked;
static struct timespec stop_time;

/* A second signal ends the program at once. Not one within a second of the first: timeout(1) and terminals send theirs
 * to a process and then to its group. */
static void on_signal(int signal)
{
    (void)signal;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!stop_asked) {
        stop_time = now;
        stop_asked = 1;
    } else if (now.tv_sec - stop_time.tv_sec > 1) {
        _exit(ERROR_INTERRUPTED);
    }
}

void progress_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void set_word(char *out, size_t size, const char *s)
{
    struct text safe = {0};
    text_terminal(&safe, s, strlen(s));
    snprintf(out, size, "%s", text_c(&safe));
    text_free(&safe);
}

void progress_open(struct progress *p, const char *label)
{
    *p = (struct progress){.shown = isatty(STDERR_FILENO) == 1};
    set_word(p->label, sizeof p->label, label);
}

static int columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

/* One row of the terminal and no more: what wraps cannot be wiped. */
static void draw(struct progress *p, const char *what, size_t done, size_t total, double now)
{
    double elapsed = now - p->started, rate = elapsed > 0 ? (double)(done - p->before) / elapsed : 0;
    char line[256], left[64] = "", speed[40] = "", word[sizeof p->what];
    set_word(word, sizeof word, what);
    if (p->tokens > p->tokens_before && elapsed > 0)
        snprintf(speed, sizeof speed, "  %.0f tokens/s", (double)(p->tokens - p->tokens_before) / elapsed);
    if (rate > 0) snprintf(left, sizeof left, "  %.0f/s  %.0f s left", rate, (double)(total - done) / rate);
    snprintf(line, sizeof line, "%s  %s  %zu/%zu%s%s", p->label, word, done, total, speed, left);
    size_t end = 0;
    for (int width = columns() - 1; line[end] && width > 0; width--) {
        uint32_t ignored;
        size_t size = utf8_decode(line + end, strlen(line + end), &ignored);
        end += size ? size : 1;
    }
    fprintf(stderr, "\r\033[K%.*s", (int)end, line);
    fflush(stderr);
    p->drawn = now;
}

bool progress_update(struct progress *p, const char *what, size_t done, size_t total)
{
    if (!p->shown || done > total) return !stop_asked;
    double now = seconds_now();
    if (strcmp(what, p->what)) {
        snprintf(p->what, sizeof p->what, "%s", what);
        p->started = now;
        p->before = done;
        p->tokens_before = p->tokens;
        p->drawn = 0;
    }
    if (now - p->drawn >= 0.1) draw(p, p->what, done, total, now);
    return !stop_asked;
}

void progress_wipe(const struct progress *p)
{
    if (p->shown) fprintf(stderr, "\r\033[K");
}

void progress_close(struct progress *p)
{
    progress_wipe(p);
    p->shown = false;
}
