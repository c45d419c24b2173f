/* What a contender takes of memory. Each is measured in a process of its own, made before any thread is: nothing
 * that another model left behind, and nothing that this command needs for itself, counts. The peak is VmHWM
 * (proc(5)), all resident pages, those of the mapped file and of the program among them; it is set back before each
 * test, so that it is the test's own, with the model's pages as loading left them. */
#include "cli/bench_model.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child says; a pipe takes as little as one piece. */
struct message {
    int status;
    struct error error;
    size_t before, load_peak, file, peaks[BENCH_TESTS];
};

static size_t regular_bytes(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) ? (size_t)s.st_size : 0;
}

static size_t folder_bytes(const char *path)
{
    size_t sum = 0;
    DIR *folder = opendir(path);
    for (const struct dirent *d; folder && (d = readdir(folder));) {
        char file[4096];
        const int n = snprintf(file, sizeof file, "%s/%s", path, d->d_name);
        if (text_ends_with(d->d_name, ".safetensors") && n > 0 && (size_t)n < sizeof file) sum += regular_bytes(file);
    }
    if (folder) closedir(folder);
    return sum;
}

/* Of weights that are packed on loading the bytes that a file of them would have. */
static size_t file_bytes(const struct contender *c)
{
    const char *path = c->subject.path;
    if (!c->subject.stored) return model_facts(c->m)->weight_bytes;
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode) ? folder_bytes(path) : regular_bytes(path);
}

/* What was freed and kept for later is not this test's. */
static void give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static int run_alone(struct contender *c, const struct bench_test *t, const struct bench_how *how, size_t *peak,
                     struct error *e)
{
    struct bench_room room;
    struct bench_run ignored;
    give_back();
    peak_reset();
    int status = bench_check(c, t, e);
    if (!status) status = bench_room_open(&room, c, t, e);
    if (status) return status;
    status = bench_run(c, t, how, t->tokens, &room, &ignored, e);
    bench_room_close(&room);
    cache_free(c->cache); /* the next one's may be smaller */
    c->cache = NULL;
    *peak = peak_bytes();
    return status;
}

static void measure(const struct model_bench *b, struct contender *c, const struct aids *aids, struct message *out)
{
    struct progress quiet = {0};
    struct error *e = &out->error;
    out->status = engine_open(b->how.threads, e);
    peak_reset();
    out->before = peak_bytes();
    if (!out->status) out->status = bench_open(c, aids, &quiet, e);
    out->load_peak = peak_bytes();
    if (!out->status) out->file = file_bytes(c);
    for (size_t i = 0; i < b->n_tests && !out->status; i++) {
        out->status = run_alone(c, &b->tests[i], &b->how, &out->peaks[i], e);
        if (!out->status && !progress_update(&quiet, "", i, b->n_tests))
            out->status = error_set(e, ERROR_INTERRUPTED, "interrupted");
    }
}

/* The whole message; false where the child ended without one. */
static bool receive(struct model_bench *b, int from, pid_t child, struct message *out)
{
    size_t have = 0;
    while (have < sizeof *out) {
        const ssize_t n = read(from, (char *)out + have, sizeof *out - have);
        if (n == 0 || (n < 0 && errno != EINTR)) return false;
        if (n > 0) have += (size_t)n;
        if (n < 0 && !progress_update(&b->progress, "memory", 0, 0)) kill(child, SIGTERM); /* it was this one's alone */
    }
    return true;
}

static void be_the_child(const struct model_bench *b, struct contender *c, const struct aids *aids, int to)
{
    struct message out = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    measure(b, c, aids, &out);
    for (size_t sent = 0; sent < sizeof out;) {
        const ssize_t n = write(to, (const char *)&out + sent, sizeof out - sent);
        if (n < 0 && errno != EINTR) break;
        if (n > 0) sent += (size_t)n;
    }
    _exit(0); /* nothing of what the parent has buffered is written twice */
}

int bench_memory(struct model_bench *b, struct contender *c, const struct aids *aids, struct error *e)
{
    struct message in;
    int ends[2], how;
    if (pipe(ends)) return error_errno(e, "memory", "make a pipe");
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        be_the_child(b, c, aids, ends[1]);
    }
    close(ends[1]);
    const bool whole = child > 0 && receive(b, ends[0], child, &in);
    close(ends[0]);
    if (child < 0) return error_errno(e, "memory", "start a process");
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) continue;
    if (!whole)
        return error_set(e, ERROR_IO,
                         "%s: the process that measures its memory ended early (%s "
                         "%d): try --no-memory",
                         c->subject.name, WIFSIGNALED(how) ? "signal" : "status",
                         WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
    if (in.status) {
        *e = in.error;
        return in.status;
    }
    c->before = in.before;
    c->load_peak = in.load_peak;
    c->file = in.file;
    for (size_t i = 0; i < b->n_tests; i++) c->cells[i].peak = in.peaks[i];
    return 0;
}
