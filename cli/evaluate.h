/* What eval and compare share: their options, and one subject through the suites. */
#ifndef KERF_CLI_EVALUATE_H
#define KERF_CLI_EVALUATE_H

#include "cli/command.h"
#include "cli/profile.h"
#include "reports/report.h"
#include "suites/run.h"

struct evaluate_options {
    const char *suites[OPTION_LIST_MOST]; /* as given; none: all that ship */
    int64_t limit, threads, batch, memory, seed;
    const char *samples; /* JSON, or a file of it, or NULL */
    const char *decode;  /* SPEC or NULL */
    const char *math;    /* as given, or NULL */
    const char *out;
    bool fresh;
    bool chat_template;                 /* asked for, which is refused */
    struct profiling_options profiling; /* profiling_check() */
    struct aids aids;                   /* aids_free() */
    /* Of the machine, where there is a profile: measured behind the first subject's run. */
    struct machine_limits limits;
    bool limits_known;
};

enum { EVALUATE_OPTIONS = 13 + PROFILING_OPTIONS + AIDS_OPTIONS };

/* The option table, EVALUATE_OPTIONS rows with the end, pointing into o. */
void evaluate_table(struct evaluate_options *o, struct option table[EVALUATE_OPTIONS], const char *out_help);

/* Groups written out, every name checked, and --samples and --decode with them: a NULL-terminated array, names_free(). */
int evaluate_suites(const struct evaluate_options *o, char ***names, size_t *n, struct error *e);

/* Makes the folder, locks it until the process ends, and checks that files can be made there: before the work, not
 * after. */
int evaluate_folder(const char *folder, struct error *e);

struct evaluated {
    struct suite_result *results; /* [n_suites] */
    size_t n_suites;
    json_t *run;         /* run.json, whole */
    struct model *model; /* where it was to be kept */
};

/* What a subject will be compared with; zeroed: nothing. See suites/run.h. */
struct evaluate_beside {
    const json_t *run;
    const struct model *model;
    const char *name;
    bool decoding_differs;
    bool keep_model; /* the subject is the baseline */
};

int evaluate(const struct subject *s, char *const *suites, struct evaluate_options *o,
             const struct evaluate_beside *beside, struct evaluated *out, struct error *e);
void evaluated_free(struct evaluated *x);

struct resampling evaluate_resampling(const struct evaluate_options *o);
/* As wide as the terminal, else $COLUMNS, else 140; coloured on a terminal unless $NO_COLOR is set. */
struct table_style table_style(void);

#endif
