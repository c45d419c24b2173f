#include "cli/command.h"
#include "engine/base/text.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked;

static void on_signal(int signal)
{
    (void)signal;
    if (stop_asked) _exit(ERROR_INTERRUPTED);
    stop_asked = 1;
}

void progress_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void progress_open(struct progress *p, const char *label)
{
    *p = (struct progress){.shown = isatty(STDERR_FILENO) == 1};
    struct text safe = {0};
    text_terminal(&safe, label, strlen(label));
    snprintf(p->label, sizeof p->label, "%s", text_c(&safe));
    text_free(&safe);
}

static void draw(struct progress *p, const char *what, size_t done, size_t total, double now)
{
    double elapsed = now - p->started, rate = elapsed > 0 ? (double)(done - p->before) / elapsed : 0;
    fprintf(stderr, "\r\033[K%s  %s  %zu/%zu", p->label, what, done, total);
    if (rate > 0) fprintf(stderr, "  %.0f/s  %.0f s left", rate, (double)(total - done) / rate);
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
        p->drawn = 0;
    }
    if (now - p->drawn >= 0.1) draw(p, p->what, done, total, now);
    return !stop_asked;
}

void progress_close(struct progress *p)
{
    if (p->shown) fprintf(stderr, "\r\033[K");
    p->shown = false;
}
