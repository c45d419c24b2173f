/* What kernels cost, and whether it is more than it was: baselines, and how costs are counted and compared.
 *
 *     struct costs now = {0}, before = {0};
 *     if (costs_measure(&now, &plan, &how, e) || costs_read(&before, "kernels.csv", e)) return e->code;
 *     struct cost_changes changes = {0};
 *     if (costs_compare(&changes, &before, &now, &plan, tolerance, e)) return e->code;
 *     if (changes.regressed) return ERROR_CHECK;
 *     cost_changes_free(&changes);              before the costs, whose rows it points to
 *
 * The best counter that the machine has, in this order unless one is asked for:
 *     instructions, cycles   PAPI's, of the thread that runs the kernel
 *     callgrind              exact counts of instructions from valgrind: the same in every run, needs no counters, takes
 *                            some 50 times as long. Valgrind knows no AVX-512: rows up to avx2
 *     time                   nanoseconds: the median over rounds that take turns, with a 99 % interval; of several
 *                            processes, because one has its buffers where it has them
 *
 * Of instructions 1 % more is a regression. Cycles and time are noisy: they regress where the whole interval of the
 * ratio to the baseline lies above the tolerance, and do so again when those suspected are measured a second time. With
 * the baseline's own program at hand (--against), both run in turns on this machine, and the ratio is one of pairs.
 *
 * Intervals of a median are order statistics (David and Nagaraja 2003, section 7.1): of n sorted values the k-th from
 * both ends, k the largest with P(Binomial(n, 1/2) < k) <= 0.005. From 8 values on there is one of 99 %. */
#ifndef KERF_CLI_KERNELS_COSTS_H
#define KERF_CLI_KERNELS_COSTS_H

#include "cli/command.h"
#include "cli/kernels/plan.h"

enum cost_counter { COST_AUTO, COST_NONE, COST_PAPI, COST_CALLGRIND, COST_TIME };

enum {
    COST_ROUNDS = 15, /* of time and cycles in each process, by default */
    COST_PROCESSES = 5,
    COST_LEAST_ROUNDS = 8, /* fewer have no interval of 99 % */
    COST_MOST_ROUNDS = 10000,
};
#define COST_TOLERANCE_EXACT 1.0  /* percent */
#define COST_TOLERANCE_NOISY 10.0 /* percent */

/* A line of the baseline: kernel,variant,shape,isa,counter,value,low,high,unit,work,error,kerf,compiler,cpu */
struct cost_row {
    struct kernel_case its; /* content is not part of a file */
    char isa[16];
    char counter[16];        /* "instructions", "cycles", "callgrind", "time" */
    double value, low, high; /* of one run of the kernel; low = high = value where it is exact */
    double error;            /* of the case, in units of its bound; NaN: not checked */
};

struct costs {
    struct cost_row *rows; /* [n] */
    size_t n, capacity;
    char kerf[96], compiler[64], cpu[128]; /* where they are from */
};

struct cost_how {
    enum cost_counter counter;
    const char *papi; /* "instructions" or "cycles" where it must be this one; NULL: the better one that is there */
    int64_t rounds;
    int processes; /* of what is noisy; 1: this one */
    struct progress *progress;
};

/* --- the list --- */

int costs_add(struct costs *c, const struct cost_row *row, struct error *e);
const struct cost_row *costs_find(const struct costs *c, const struct cost_row *like); /* NULL: none */
void costs_free(struct costs *c);
void costs_sign(struct costs *c); /* this program, its compiler and this CPU */
bool cost_is_exact(const char *counter);
const char *cost_unit(const char *counter); /* "instructions", "cycles", "ns" */
enum cost_counter cost_counter_of(const char *counter);
const char *cost_counter_name(const char *counter); /* the same, to be kept; NULL: none of this name */
/* Sorts x; low and high: a 99 % interval of its median, its ends where n < 8. */
void cost_median(double *x, size_t n, double *median, double *low, double *high);

/* --- counting --- */

/* --count: ERROR_USAGE where the name is unknown. */
int cost_counter_parse(const char *name, struct cost_how *how, struct error *e);
/* What auto, and what papi, stands for here. Of a counter that is not there ERROR_INPUT says why, and the remedy. */
int cost_counter_choose(struct cost_how *how, const struct kernel_plan *plan, struct error *e);
/* All measured cases of the plan, on a thread whose stack begins at a page. */
int costs_measure(struct costs *out, const struct kernel_plan *plan, const struct cost_how *how, struct error *e);

/* One of PAPI's or the clock, read around batches of runs: `start`, the runs, `stop`, which says how much it was. */
struct cost_meter {
    const char *counter;
    void (*start)(void *user);
    double (*stop)(void *user);
    void *user;
};
int count_rounds(struct costs *out, const struct kernel_plan *plan, const struct cost_meter *meter, int64_t rounds,
                 struct progress *progress, struct error *e);
int count_time(struct costs *out, const struct kernel_plan *plan, const struct cost_how *how, struct error *e);
int count_papi(struct costs *out, const struct kernel_plan *plan, const struct cost_how *how, struct error *e);
/* Whether PAPI has it; where *counter is NULL it becomes the better one that it has. ERROR_INPUT says why not. */
int count_papi_check(const char **counter, struct error *e);
int count_callgrind(struct costs *out, const struct kernel_plan *plan, const struct cost_how *how, struct error *e);
/* ERROR_INPUT where there is no valgrind, or nothing of the plan that it could run. */
int count_callgrind_check(const struct kernel_plan *plan, struct error *e);
/* In the program that valgrind runs: runs all once where it is counted, and prints which, a line each. */
int count_callgrind_inside(const struct kernel_plan *plan, struct error *e);
/* Runs work(user) on a thread whose stack begins at a page: what is on the stack of main() moves with the environment. */
int count_on_thread(int (*work)(void *user, struct error *e), void *user, struct error *e);

/* --- programs that count --- */

#define COUNT_MODE "KERF_KERNELS"     /* in the environment of a kerf that another one started: */
#define COUNT_MODE_INSIDE "callgrind" /* under valgrind: count_callgrind_inside() */
#define COUNT_MODE_COSTS "costs"      /* nothing is checked: who started it has done so */

struct count_program {
    const char *const *argv; /* [0]: a path */
    char *const *envp;
    const char *out, *log; /* files for what it prints; out may be NULL */
    const char *what;      /* "counting under valgrind", of the progress; NULL: none is shown */
    size_t total;          /* lines that `out` will have; 0: not known */
    struct progress *progress;
};
/* Runs it to its end. ERROR_INTERRUPTED ends it, too; a status other than 0 is ERROR_INPUT with its last line. */
int count_program_run(const struct count_program *p, struct error *e);
/* A fresh folder for what they leave, to be removed with all files in it. */
char *count_folder_make(struct error *e);
void count_folder_remove(char *folder); /* and freed; NULL is fine */
int count_self(char path[4096], struct error *e);
bool cost_how_noisy(const struct cost_how *how);
/* This program, started so often: the median of their medians, and an interval that spans all of theirs. */
int count_processes(struct costs *out, const struct kernel_plan *plan, const struct cost_how *how, struct error *e);
enum { COUNT_WORDS = 20 + 2 * OPTION_LIST_MOST }; /* of a command */
/* Adds --only and --isa, as they were given, to a command of n words; how many it has then. */
size_t count_add_choice(const char **argv, size_t n, const struct kernel_plan *plan);
/* What another kerf measures, by its own `kernels --save`. */
int count_other(struct costs *out, const char *program, const struct kernel_plan *plan, const struct cost_how *how,
                const char *folder, struct error *e);

/* --- files --- */

/* ERROR_INPUT with the line, where it is no baseline. */
int costs_read(struct costs *c, const char *path, struct error *e);
int costs_write(const struct costs *c, const char *path, struct error *e);

/* --- comparing --- */

enum cost_verdict { COST_SAME, COST_REGRESSED, COST_GAINED, COST_NEW, COST_GONE };

struct cost_change {
    const struct cost_row *before, *now; /* NULL: of COST_NEW, of COST_GONE */
    double ratio, low, high;             /* now / before with its interval; NaN where one is missing */
    enum cost_verdict verdict;
};

struct cost_changes {
    struct cost_change *all; /* [n], in the order of now, then those that are gone */
    size_t n;
    size_t compared, regressed, gained, added, gone;
    double tolerance; /* percent */
};

/* Rows of `before` that the plan does not ask for are passed over; plan NULL: all are asked for. `now` must outlive the
 * changes. */
int costs_compare(struct cost_changes *out, const struct costs *before, const struct costs *now,
                  const struct kernel_plan *plan, double tolerance, struct error *e);
/* The same from n pairs of measurements, made in turns: the ratio is the median of the pairs' ratios. Rows are those of
 * the first pair. */
int costs_compare_pairs(struct cost_changes *out, const struct costs *before /* [n] */,
                        const struct costs *now /* [n] */, size_t n, const struct kernel_plan *plan, double tolerance,
                        struct error *e);
/* Those that a second look does not find regressed again are not: they become COST_SAME. Others stay as they are. */
void cost_changes_confirm(struct cost_changes *first, const struct cost_changes *second);
void cost_changes_free(struct cost_changes *c);

#endif
