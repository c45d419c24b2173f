/* What commands share. */
#include "cli/command.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/suggest.h"
#include "engine/base/text.h"
#include "engine/kernels/kernels.h"
#include "suites/data.h"
#include "version.h"

#include <errno.h>
#include <omp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *folder;
} shipped[] = {
    {"millbrook-llama", "datasets/millbrook/llama"},
    {"millbrook-gpt2", "datasets/millbrook/gpt2"},
};
enum { SHIPPED = sizeof shipped / sizeof *shipped };

int model_path(const char *model, char **path, struct error *e)
{
    *path = NULL;
    if (path_exists(model)) return (*path = memory_string(model, e)) ? 0 : ERROR_IO;
    const char *names[SHIPPED];
    for (size_t i = 0; i < SHIPPED; i++) {
        names[i] = shipped[i].name;
        if (strcmp(model, names[i])) continue;
        *e = (struct error){0};
        *path = data_find(shipped[i].folder, e);
        if (*path) return 0;
        return e->code ? (int)e->code
                       : error_set(e, ERROR_IO,
                                   "%s: its folder %s was not found: set KERF_DATA to the folder that holds it", model,
                                   shipped[i].folder);
    }
    struct backend_options how;
    if (!backend_parse(&how, model, NULL))
        return error_set(e, ERROR_IO, "%s: no such file or folder; as a backend it is written @%s", model, model);
    struct suggestion guess = suggest(model, names, SHIPPED);
    if (strchr(model, '/'))
        return error_set(e, ERROR_IO, "%s: no such file or folder (nothing is downloaded: get it first)", model);
    return error_set(e, ERROR_IO, "%s: no such file or folder, and no model of this name ships%s", model,
                     guess.words[0] ? guess.words : " (those that do: millbrook-llama, millbrook-gpt2)");
}

/* The @ before a backend: the last one, unless it belongs to a path that exists or that goes on behind it. */
static const char *backend_mark(const char *text)
{
    const char *at = path_exists(text) ? NULL : strrchr(text, '@');
    return at && !strchr(at, '/') ? at : NULL;
}

/* What stands before the math, and the math. */
static int parse_plain(struct subject *s, const char *text, const struct subject *baseline, enum math math,
                       struct error *e)
{
    const char *at = backend_mark(text);
    const size_t length = at ? (size_t)(at - text) : strlen(text);
    s->stored = !at;
    s->math = math;
    if (!length && !(at && baseline))
        return error_set(e, ERROR_USAGE, "subject \"%s\": a model must stand before the @", text);
    if (at && backend_parse(&s->how, at + 1, e)) return (int)e->code;
    s->model = length ? memory_bytes(text, length, e) : memory_string(baseline->model, e);
    return s->model ? 0 : ERROR_IO;
}

static int parse_baseline(struct subject *s, const struct subject *baseline, enum math math, struct error *e)
{
    s->stored = baseline->stored;
    s->how = baseline->how;
    s->math = math;
    s->model = memory_string(baseline->model, e);
    return s->model ? 0 : ERROR_IO;
}

/* The + before a math; NULL where there is none. In a file's name, and in a model's that may be one, it is a letter like
 * any other unless a math stands behind it. */
static int math_mark(const char *text, const char **mark, enum math *math, struct error *e)
{
    *mark = path_exists(text) ? NULL : strrchr(text, '+');
    if (!*mark || !math_parse(*mark + 1, math, NULL)) return 0;
    const char *at = backend_mark(text);
    const bool meant = *mark == text || (at && at < *mark);
    if (meant) return error_set(e, ERROR_USAGE, "subject \"%s\": +%s: must be +exact or +fast", text, *mark + 1);
    *mark = NULL;
    return 0;
}

int subject_parse_math(struct subject *s, const char *text, const struct subject *baseline, enum math math,
                       struct error *e)
{
    const char *mark;
    *s = (struct subject){0};
    int status = math_mark(text, &mark, &math, e);
    if (status) return status;
    if (mark == text && !baseline)
        return error_set(e, ERROR_USAGE, "subject \"%s\": a model must stand before the +", text);
    char *plain = memory_bytes(text, mark ? (size_t)(mark - text) : strlen(text), e);
    if (!plain) return ERROR_IO;
    status = mark == text ? parse_baseline(s, baseline, math, e) : parse_plain(s, plain, baseline, math, e);
    free(plain);
    if (!status) status = model_path(s->model, &s->path, e);
    if (status) return status;
    struct text name = {0};
    text_printf(&name, "%s%s%s%s", s->model, s->stored ? "" : "@", s->how.spec, s->math == MATH_FAST ? "+fast" : "");
    s->name = name.bytes;
    return name.failed ? error_set(e, ERROR_IO, "out of memory for a name") : 0;
}

int subject_parse(struct subject *s, const char *text, const struct subject *baseline, struct error *e)
{
    const char *mark;
    enum math math;
    *s = (struct subject){0};
    int status = math_mark(text, &mark, &math, e);
    if (!status && mark)
        status = error_set(e, ERROR_USAGE, "subject \"%s\": %s: this command takes no math with a subject", text, mark);
    return status ? status : subject_parse_math(s, text, baseline, MATH_EXACT, e);
}

void subject_free(struct subject *s)
{
    free(s->name);
    free(s->model);
    free(s->path);
    *s = (struct subject){0};
}

struct option math_option(const char **text)
{
    return (struct option){"--math", OPTION_TEXT, "NAME",
                           "exact (default): weights in float32 arithmetic; fast: inputs in 8 bits, as deployed",
                           .text = text};
}

int math_parse(const char *text, enum math *out, struct error *e)
{
    const bool fast = text && strcmp(text, "fast") == 0;
    if (text && !fast && strcmp(text, "exact") != 0)
        return error_set(e, ERROR_USAGE, "--math %s: must be exact or fast", text);
    *out = fast ? MATH_FAST : MATH_EXACT;
    return 0;
}

void aids_options(struct aids *a, struct option rows[AIDS_OPTIONS])
{
    rows[0] = (struct option){"--calibration", OPTION_TEXT, "FILE",
                              "text that gptq calibrates with (default: the calibration set that ships)",
                              .text = &a->calibration};
    rows[1] = (struct option){"--imatrix", OPTION_TEXT, "FILE",
                              "importance matrix for gguf's quantizers (kerf imatrix makes one)", .text = &a->imatrix};
    rows[2] =
        (struct option){"--max-context",
                        OPTION_NUMBER,
                        "N",
                        "positions that models with longrope are opened for (default: those of their first divisors)",
                        .number = &a->context,
                        .least = 1};
}

int aids_find(struct aids *a, const struct subject *s, struct error *e)
{
    struct calibration_plan plan;
    if (a->imatrix && (s->stored || !s->how.backend->weighs))
        note("note: %s: does not weigh errors, the importance matrix is not used for it", s->name);
    if (s->stored || !backend_calibrates(&s->how, &plan) || a->calibration || a->shipped) return 0;
    *e = (struct error){0};
    a->shipped = data_find("datasets/millbrook/calibration.txt", e);
    return (int)e->code; /* where it is not found the model says what is missing */
}

void aids_free(struct aids *a)
{
    free(a->shipped);
    *a = (struct aids){0};
}

static bool on_packing(void *user, const char *what, size_t done, size_t total)
{
    return progress_update(user, what, done, total);
}

struct model_options subject_options(const struct subject *s, const struct aids *a, struct progress *progress)
{
    return (struct model_options){.how = s->stored ? NULL : &s->how,
                                  .math = s->math,
                                  .calibration = a->calibration ? a->calibration : a->shipped,
                                  .imatrix = a->imatrix,
                                  .context = a->context,
                                  .user = progress,
                                  .progress = progress ? on_packing : NULL};
}

void subject_notes(const struct subject *s, const struct facts *f)
{
    for (const char *line = f->warning; *line; line += strcspn(line, "\n"), line += *line == '\n')
        note("warning: %.*s", (int)strcspn(line, "\n"), line);
    if (f->fell_back)
        note("note: %s: %lld matrices have columns that do not divide into the type's blocks and took another type",
             s->name, (long long)f->fell_back);
    if (f->unweighted)
        note("note: %s: %lld matrices have no entry in the importance matrix and were packed without weights", s->name,
             (long long)f->unweighted);
    if (f->calibration.rounded)
        note("note: %s: %lld of %lld matrices are of experts that less than 0.5%% of the calibration text's tokens "
             "met: they were rounded to nearest",
             s->name, (long long)f->calibration.rounded, (long long)f->calibration.matrices);
    if (f->calibration.raised)
        note("note: %s: %lld of %lld matrices needed more damping than was asked for, up to %g of the mean diagonal: "
             "the calibration text says too little about their inputs",
             s->name, (long long)f->calibration.raised, (long long)f->calibration.matrices, f->calibration.damping);
}

int subject_open(const struct subject *s, struct aids *aids, struct model **m, struct error *e)
{
    *m = NULL;
    int status = aids_find(aids, s, e);
    if (status) return status;
    struct progress progress;
    progress_open(&progress, s->name);
    struct model_options options = subject_options(s, aids, &progress);
    status = model_open(m, s->path, &options, e);
    progress_close(&progress);
    if (status) return status;
    subject_notes(s, model_facts(*m));
    return 0;
}

int engine_open(int64_t threads, struct error *e)
{
    if (threads > 1024) return error_set(e, ERROR_USAGE, "--threads: %lld is more than 1024", (long long)threads);
    if (threads) omp_set_num_threads((int)threads);
    /* More than OMP_THREAD_LIMIT never come, and OpenBLAS would wait for them. */
    if (omp_get_max_threads() > omp_get_thread_limit()) omp_set_num_threads(omp_get_thread_limit());
    int status = kernels_check(e);
    return status ? status : blas_open(e);
}

static void cpu_name(char *out, size_t size)
{
    snprintf(out, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!colon) continue;
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, size, "%s", colon + 2);
        break;
    }
    if (f) fclose(f);
}

bool record_build(json_t *record)
{
    char cpu[128], blas[64];
    cpu_name(cpu, sizeof cpu);
    blas_name(blas, sizeof blas);
    int failed = json_object_set_new(record, "kerf",
                                     json_pack("{s:s, s:s, s:s, s:s}", "version", KERF_VERSION, "commit", KERF_COMMIT,
                                               "compiler", KERF_COMPILER, "build", KERF_BUILD_TYPE));
    failed |= json_object_set_new(record, "machine",
                                  json_pack("{s:s, s:s, s:i, s:s}", "cpu", cpu, "isa", kernels_get()->name, "threads",
                                            omp_get_max_threads(), "blas", blas));
    return !failed;
}

void note(const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    struct text safe = {0};
    if (n > 0) text_terminal(&safe, line, strlen(line));
    fflush(stdout); /* what was printed before stands before, also where both go to one file */
    fprintf(stderr, "%s\n", text_c(&safe));
    text_free(&safe);
}

/* DEL is the one control character that jansson leaves as it is. */
static int print_part(const char *bytes, size_t n, void *user)
{
    (void)user;
    for (const char *del; (del = memchr(bytes, 0x7F, n)) != NULL;) {
        size_t before = (size_t)(del - bytes);
        fwrite(bytes, 1, before, stdout);
        fputs("\\u007f", stdout);
        bytes = del + 1;
        n -= before + 1;
    }
    return fwrite(bytes, 1, n, stdout) == n ? 0 : -1;
}

int json_print(const json_t *value, size_t digits, struct error *e)
{
    errno = 0;
    int status =
        json_dump_callback(value, print_part, NULL, JSON_INDENT(1) | JSON_REAL_PRECISION(digits) | JSON_ENSURE_ASCII);
    puts("");
    return status ? error_errno(e, "standard output", "write") : 0;
}

size_t peak_bytes(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kib = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1) break;
    if (f) fclose(f);
    return (size_t)kib * 1024;
}

void peak_reset(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f) return;
    fputs("5", f); /* proc(5): resets the peak resident set size */
    fclose(f);
}
