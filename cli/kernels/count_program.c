/* Programs that count for this one: valgrind, and the kerf that a baseline is of. */
#include "cli/kernels/costs.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

int count_self(char path[4096], struct error *e)
{
    const ssize_t n = readlink("/proc/self/exe", path, 4095);
    if (n <= 0) return error_errno(e, "/proc/self/exe", "read link");
    path[n] = 0;
    if (access(path, X_OK) == 0) return 0;
    return error_set(e, ERROR_IO, "%s: this program's own file is gone or was replaced: start it again", path);
}

char *count_folder_make(struct error *e)
{
    const char *parent = getenv("TMPDIR");
    char *path = path_join(parent && *parent ? parent : "/tmp", "kerf-kernels-XXXXXX", e);
    if (path && !mkdtemp(path)) {
        error_errno(e, path, "make a temporary folder (TMPDIR names another place)");
        free(path);
        return NULL;
    }
    return path;
}

void count_folder_remove(char *folder)
{
    DIR *d = folder ? opendir(folder) : NULL;
    for (const struct dirent *entry; d && (entry = readdir(d)) != NULL;) {
        char *path =
            strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") ? path_join(folder, entry->d_name, NULL) : NULL;
        if (path) unlink(path);
        free(path);
    }
    if (d) closedir(d);
    if (folder) rmdir(folder);
    free(folder);
}

static size_t count_lines(const char *path)
{
    char buffer[1 << 14];
    size_t lines = 0;
    FILE *f = path ? fopen(path, "r") : NULL;
    for (size_t n; f && (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        for (const char *s = buffer; (s = memchr(s, '\n', (size_t)(buffer + n - s))) != NULL; s++) lines++;
    if (f) fclose(f);
    return lines;
}

static int spawn(const struct count_program *p, pid_t *child, struct error *e)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    if (posix_spawn_file_actions_init(&files)) return error_set(e, ERROR_IO, "out of memory");
    if (posix_spawnattr_init(&attributes)) {
        posix_spawn_file_actions_destroy(&files);
        return error_set(e, ERROR_IO, "out of memory");
    }
    int failed = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    failed |= posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, p->out ? p->out : "/dev/null", flags, 0600);
    failed |= posix_spawn_file_actions_addopen(&files, STDERR_FILENO, p->log, flags, 0600);
    /* A group of its own: what a terminal interrupts is this program, which ends the other. */
    failed |= posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    failed |= posix_spawnattr_setpgroup(&attributes, 0);
    if (!failed) failed = posix_spawn(child, p->argv[0], &files, &attributes, (char *const *)p->argv, p->envp);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return failed ? error_set(e, ERROR_IO, "%s: cannot be started: %s", p->argv[0], strerror(failed)) : 0;
}

/* A kerf that counts has a valgrind and a folder of its own to see to, so it is asked first, and has longer. */
static void end_program(const struct count_program *p, pid_t child)
{
    const double patience = p->what ? 2 : 5, asked = seconds_now(); /* seconds */
    int status;
    kill(-child, SIGTERM);
    while (waitpid(child, &status, WNOHANG) == 0 && seconds_now() - asked < patience)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    kill(-child, SIGKILL); /* what is left of its group */
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
}

static int wait_for(const struct count_program *p, pid_t child, int *status, struct error *e)
{
    for (;;) {
        const pid_t ended = waitpid(child, status, WNOHANG);
        if (ended == child) return 0;
        if (ended < 0 && errno != EINTR) return error_errno(e, p->argv[0], "wait for it");
        const size_t done = !p->what ? 1 : p->progress->shown ? count_lines(p->out) : 0; /* 1 of 0 draws nothing */
        const bool go_on = progress_update(p->progress, p->what ? p->what : "", done, p->what ? p->total : 0);
        if (!go_on) break;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    end_program(p, child);
    return error_set(e, ERROR_INTERRUPTED, "interrupted");
}

/* The last line of what it said, for an error. */
static void last_line(const char *log, char out[512])
{
    char line[512];
    FILE *f = fopen(log, "r");
    out[0] = 0;
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (*line) memcpy(out, line, sizeof line);
    }
    if (f) fclose(f);
}

int count_program_run(const struct count_program *p, struct error *e)
{
    pid_t child;
    int status;
    char line[512];
    signal(SIGCHLD, SIG_DFL); /* who started this one may have had it ignored, and then nothing can be waited for */
    if (spawn(p, &child, e) || wait_for(p, child, &status, e)) return (int)e->code;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    last_line(p->log, line);
    if (WIFSIGNALED(status))
        return error_set(e, ERROR_INPUT, "%s: was ended by signal %d: %s", p->argv[0], WTERMSIG(status), line);
    return error_set(e, ERROR_INPUT, "%s: ended with status %d: %s", p->argv[0], WEXITSTATUS(status), line);
}

/* --- the other kerf --- */

static char **environment_with(const char *more, struct error *e)
{
    size_t n = 0;
    while (environ[n]) n++;
    char **all = memory_new(n + 2, sizeof *all, "an environment", e);
    size_t kept = 0;
    for (size_t i = 0; all && i < n; i++)
        if (strncmp(environ[i], COUNT_MODE "=", strlen(COUNT_MODE "="))) all[kept++] = environ[i];
    if (all) all[kept] = (char *)(uintptr_t)more;
    return all;
}

size_t count_add_choice(const char **argv, size_t n, const struct kernel_plan *plan)
{
    for (size_t i = 0; plan->only && plan->only[i]; i++) argv[n++] = "--only", argv[n++] = plan->only[i];
    if (plan->isa) argv[n++] = "--isa", argv[n++] = plan->isa;
    return n;
}

static const char *counter_option(const struct cost_how *how)
{
    if (how->papi) return how->papi;
    return how->counter == COST_PAPI ? "papi" : how->counter == COST_CALLGRIND ? "callgrind" : "time";
}

int count_other(struct costs *out, const char *program, const struct kernel_plan *plan, const struct cost_how *how,
                const char *folder, struct error *e)
{
    char rounds[24], seed[24];
    char *save = path_join(folder, "costs.csv", e), *log = path_join(folder, "log", e);
    char **envp = save && log ? environment_with(COUNT_MODE "=" COUNT_MODE_COSTS, e) : NULL;
    snprintf(rounds, sizeof rounds, "%lld", (long long)how->rounds);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)plan->seed);
    const char *argv[COUNT_WORDS] = {program, "kernels", "--count", counter_option(how), "--save", save, "--rounds",
                                     rounds,  "--seed",  seed};
    count_add_choice(argv, 10, plan);
    const struct count_program p = {.argv = argv, .envp = envp, .log = log, .progress = how->progress};
    int status = envp ? count_program_run(&p, e) : ERROR_IO;
    if (!status && !path_exists(save))
        status = error_set(e, ERROR_INPUT, "%s: saved no costs: it is no kerf that knows `kernels`", program);
    if (!status) status = costs_read(out, save, e);
    unlink(save ? save : "");
    free(envp);
    free(save);
    free(log);
    return status;
}

/* --- several processes of this one --- */

static int join(struct costs *out, const struct costs *all, size_t n, struct error *e)
{
    int status = 0;
    for (size_t i = 0; i < all->n && !status; i++) {
        double values[COST_PROCESSES], low, high;
        struct cost_row row = all->rows[i];
        size_t m = 0;
        for (size_t j = 0; j < n; j++) {
            const struct cost_row *one = costs_find(&all[j], &row);
            if (!one) continue;
            values[m++] = one->value;
            row.low = fmin(row.low, one->low);
            row.high = fmax(row.high, one->high);
        }
        cost_median(values, m, &row.value, &low, &high);
        status = costs_add(out, &row, e);
    }
    return status;
}

int count_processes(struct costs *out, const struct kernel_plan *plan, const struct cost_how *how, struct error *e)
{
    struct costs all[COST_PROCESSES] = {{0}};
    char self[4096];
    const size_t n = how->processes < COST_PROCESSES ? (size_t)how->processes : COST_PROCESSES;
    if (count_self(self, e)) return (int)e->code;
    char *folder = count_folder_make(e);
    int status = folder ? 0 : (int)e->code;
    for (size_t i = 0; i < n && !status; i++) {
        if (!progress_update(how->progress, "measuring", i, n))
            status = error_set(e, ERROR_INTERRUPTED, "interrupted");
        else
            status = count_other(&all[i], self, plan, how, folder, e);
    }
    if (!status) status = join(out, all, n, e);
    for (size_t i = 0; i < n; i++) costs_free(&all[i]);
    count_folder_remove(folder);
    return status;
}
