/* Exact counts of instructions from valgrind's callgrind (the manual of valgrind 3.19, chapter 6). This program runs
 * itself under it; there, the kernel at hand is called through one function, at whose entry callgrind begins to count and
 * at whose end it writes down what it counted. Nothing else is counted: of a kernel that runs twice the count is the
 * same. The environment is one of its own, and the stack that of a thread that begins at a page, so neither variables nor
 * the lengths of paths move anything. */
#include "cli/kernels/costs.h"
#include "engine/base/file.h"
#include "engine/base/number.h"
#include "engine/base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if !defined(__clang__) /* which makes no clones */
__attribute__((noclone))
#endif
/* Found by its name also where symbols were stripped: CMakeLists.txt exports it. */
__attribute__((noinline, visibility("default"))) void
kernel_counted_run(struct kernel_fixture *x, const struct kernels *k);
void kernel_counted_run(struct kernel_fixture *x, const struct kernels *k)
{
    kernel_fixture_run(x, k);
    __asm__ volatile("" ::: "memory"); /* so that the call above is no jump, which would end elsewhere */
}

/* --- inside --- */

static int run_all(void *user, struct error *e)
{
    const struct kernel_plan *plan = user;
    for (size_t i = 0; i < plan->n; i++) {
        struct kernel_fixture x;
        if (!plan->picks[i].its.measured) continue;
        if (kernel_fixture_open(&x, plan->picks[i].family, plan->picks[i].i, BUFFER_AT_END, plan->seed, e))
            return (int)e->code;
        for (size_t j = 0; j < plan->n_isas; j++) {
            if (!kernel_plan_has(plan, i, j)) continue;
            kernel_fixture_run(&x, plan->isas[j]); /* lazy binding, and what is made once */
            kernel_counted_run(&x, plan->isas[j]);
            if (printf("%zu %s\n", i, plan->isas[j]->name) < 0 || fflush(stdout)) {
                kernel_fixture_close(&x);
                return error_errno(e, "standard output", "write");
            }
        }
        kernel_fixture_close(&x);
    }
    return 0;
}

int count_callgrind_inside(const struct kernel_plan *plan, struct error *e)
{
    return count_on_thread(run_all, (void *)(uintptr_t)plan, e);
}

/* --- outside --- */

/* Callgrind counts a string instruction once for every step of it, which would let a copy cost by the byte: glibc is to
 * copy by vectors (its manual, section "Hardware Capability Tunables"). */
#define COUNT_TUNABLES                                                                                                 \
    "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824"

static bool find_valgrind(char *path, size_t size)
{
    const char *s = getenv("PATH");
    while (s && *s) {
        const size_t n = strcspn(s, ":");
        const int length = snprintf(path, size, "%.*s/valgrind", (int)n, s);
        if (n && length > 0 && (size_t)length < size && access(path, X_OK) == 0 && !path_is_folder(path)) return true;
        s += n + (s[n] == ':');
    }
    return false;
}

/* What valgrind emulates. */
static bool is_known(const char *isa) { return strcmp(isa, "avx512") && strcmp(isa, "amx"); }

static size_t count_expected(const struct kernel_plan *plan)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->n; i++)
        for (size_t j = 0; j < plan->n_isas; j++)
            n += plan->picks[i].its.measured && is_known(plan->isas[j]->name) && kernel_plan_has(plan, i, j);
    return n;
}

int count_callgrind_check(const struct kernel_plan *plan, struct error *e)
{
    char path[4096];
    if (!find_valgrind(path, sizeof path))
        return error_set(e, ERROR_INPUT,
                         "callgrind: no valgrind in PATH: apt-get install valgrind, or count otherwise (--count time)");
#if defined(__SANITIZE_ADDRESS__)
    return error_set(e, ERROR_INPUT, "callgrind: valgrind cannot run a program built with a sanitizer: --count time");
#endif
    bool known = false;
    for (size_t j = 0; j < plan->n_isas; j++) known |= is_known(plan->isas[j]->name);
    return known ? 0
                 : error_set(e, ERROR_INPUT, "callgrind: valgrind does not know %s: give --isa avx2, or --count time",
                             plan->isas[0]->name);
}

static void count_one(struct costs *out, const struct kernel_plan *plan, size_t i, const char *isa, double value,
                      struct error *e)
{
    struct cost_row row = {
        .its = plan->picks[i].its, .counter = "callgrind", .value = value, .low = value, .high = value, .error = NAN};
    snprintf(row.isa, sizeof row.isa, "%s", isa);
    if (kernel_plan_isa(plan, isa) >= 0) costs_add(out, &row, e);
}

/* The next "totals: N" of the counts; NaN: none. */
static double next_total(FILE *counts)
{
    char line[4096];
    int64_t value;
    while (fgets(line, sizeof line, counts)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "totals: ", 8) == 0) return number_whole(line + 8, &value) ? (double)value : NAN;
    }
    return NAN;
}

/* The n-th line of what ran belongs to the n-th part of the counts. */
static int read_counts(struct costs *out, const struct kernel_plan *plan, const char *ran, const char *counts,
                       struct error *e)
{
    char isa[16];
    size_t i;
    FILE *names = fopen(ran, "r"), *values = fopen(counts, "r");
    int status = names && values ? 0 : error_errno(e, names ? counts : ran, "open");
    while (!status && fscanf(names, "%zu %15s", &i, isa) == 2) {
        const double value = next_total(values);
        if (i >= plan->n || !(value > 0))
            status = error_set(e, ERROR_IO,
                               "callgrind: counted nothing of %s under %s: is there room for %s, is "
                               "kernel_counted_run exported by this program, and is this valgrind 3.15 or later?",
                               i < plan->n ? plan->picks[i].its.kernel : "an unknown kernel", isa, counts);
        else
            count_one(out, plan, i, isa, value, e);
        if (!status) status = (int)e->code;
    }
    if (names) fclose(names);
    if (values) fclose(values);
    return status;
}

/* A variable of this environment that the program needs to be found or to find its libraries. */
static char *add_variable(struct text *t, const char *name)
{
    const char *value = getenv(name);
    text_printf(t, "%s=%s", name, value ? value : "");
    return value && !t->failed ? t->bytes : NULL;
}

static int run_valgrind(const struct kernel_plan *plan, const char *folder, struct progress *progress, struct error *e)
{
    static const char *const passed[] = {"PATH", "TMPDIR", "LD_LIBRARY_PATH", "VALGRIND_LIB"};
    enum { PASSED = sizeof passed / sizeof *passed };
    char valgrind[4096], self[4096], ran[4096], log[4096], seed[24];
    struct text out = {0};
    struct text variables[PASSED] = {{0}};
    char *envp[PASSED + 5] = {(char[]){COUNT_TUNABLES}, (char[]){COUNT_MODE "=" COUNT_MODE_INSIDE},
                              (char[]){"GOMP_SPINCOUNT=1000"}, (char[]){"OMP_NUM_THREADS=1"}};
    size_t n = 4, a = 9;
    if (count_self(self, e)) return (int)e->code;
    if (!find_valgrind(valgrind, sizeof valgrind)) return count_callgrind_check(plan, e);
    for (size_t i = 0; i < PASSED; i++) {
        char *variable = add_variable(&variables[i], passed[i]);
        if (variable) envp[n++] = variable;
    }
    text_add(&out, "--callgrind-out-file=");
    for (const char *s = folder; *s; s++) text_add(&out, *s == '%' ? "%%" : (char[]){*s, 0}); /* it expands %p */
    text_add(&out, "/counts");
    snprintf(ran, sizeof ran, "%s/ran", folder);
    snprintf(log, sizeof log, "%s/log", folder);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)plan->seed);
    const char *argv[COUNT_WORDS] = {valgrind,
                                     "--tool=callgrind",
                                     "--command-line-only=yes",
                                     "-q",
                                     "--vgdb=no", /* whose pipes would stay behind it */
                                     "--combine-dumps=yes",
                                     "--toggle-collect=kernel_counted_run",
                                     "--dump-after=kernel_counted_run",
                                     text_c(&out)};
    argv[a++] = self, argv[a++] = "kernels", argv[a++] = "--seed", argv[a++] = seed;
    count_add_choice(argv, a, plan);
    const struct count_program p = {argv, envp, ran, log, "counting under valgrind", count_expected(plan), progress};
    int status = out.failed ? error_set(e, ERROR_IO, "out of memory for a command") : count_program_run(&p, e);
    text_free(&out);
    for (size_t i = 0; i < PASSED; i++) text_free(&variables[i]);
    return status;
}

int count_callgrind(struct costs *out, const struct kernel_plan *plan, const struct cost_how *how, struct error *e)
{
    char ran[4096], counts[4096];
    char *folder = count_folder_make(e);
    if (!folder) return (int)e->code;
    *e = (struct error){0};
    int status = run_valgrind(plan, folder, how->progress, e);
    snprintf(ran, sizeof ran, "%s/ran", folder);
    snprintf(counts, sizeof counts, "%s/counts", folder);
    if (!status) status = read_counts(out, plan, ran, counts, e);
    count_folder_remove(folder);
    return status;
}
