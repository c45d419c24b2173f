/* What eval and compare share: their options, and one subject through the suites. */
#ifndef KERF_CLI_EVALUATE_H
#define KERF_CLI_EVALUATE_H

#include "cli/command.h"
#include "reports/report.h"
#include "suites/run.h"

struct evaluate_options {
    const char *suites[OPTION_LIST_MOST]; /* as given; none: all that ship */
    int64_t limit, threads, batch, seed;
    const char *out;
    struct aids aids; /* aids_free() */
};

enum { EVALUATE_OPTIONS = 7 + AIDS_OPTIONS };

/* The option table, EVALUATE_OPTIONS rows with the end, pointing into o. */
void evaluate_table(struct evaluate_options *o, struct option table[EVALUATE_OPTIONS], const char *out_help);

/* Groups written out, every name checked: a NULL-terminated array, names_free(). */
int evaluate_suites(const struct evaluate_options *o, char ***names, size_t *n, struct error *e);

/* Makes the folder and checks that files can be made there: before the work, not after. */
int evaluate_folder(const char *folder, struct error *e);

struct evaluated {
    struct suite_result *results; /* [n_suites] */
    size_t n_suites;
    json_t *run; /* run.json, whole */
};

/* baseline may be NULL: what the subject will be compared with. */
int evaluate(const struct subject *s, char *const *suites, struct evaluate_options *o, const struct evaluated *baseline,
             struct evaluated *out, struct error *e);
void evaluated_free(struct evaluated *x);

struct resampling evaluate_resampling(const struct evaluate_options *o);
/* As wide as the terminal, else $COLUMNS, else 140; coloured on a terminal unless $NO_COLOR is set. */
struct table_style table_style(void);

#endif
