/* Commands: one file each, one row in main.c's table. */
#ifndef KERF_CLI_COMMAND_H
#define KERF_CLI_COMMAND_H

#include "cli/options.h"
#include "engine/backends/backend.h"
#include "engine/base/clock.h"
#include "engine/models/model.h"
#include <jansson.h>
#include <stdio.h>

struct command {
    const char *name, *summary;
    const char *usage;    /* what follows the name: "SUBJECT [options]" */
    const char *examples; /* whole lines, indented */
    /* argv[0] is the first word after the command's name. With `help` set it prints its options and returns. */
    int (*run)(int argc, char **argv, bool help, struct error *e);
};

/* --- subjects: MODEL[@BACKEND][+MATH] --- */

struct progress;

struct subject {
    char *name;  /* "millbrook-llama@int8:absmax+fast", canonical: exact math is not said */
    char *model; /* "millbrook-llama", as given */
    char *path;  /* of the model */
    bool stored; /* no backend was given: weights as they are */
    struct backend_options how;
    enum math math;
};

/* The row of --math: a text that math_parse() takes, NULL where it is not given. */
struct option math_option(const char **text);
int math_parse(const char *text, enum math *out, struct error *e);

/* What packing may draw on besides the weights, and what a model is opened for. */
struct aids {
    const char *calibration, *imatrix; /* as given, or NULL */
    int64_t context;                   /* 0: not given */
    char *shipped;                     /* the calibration text that ships, where none is given */
};

enum { AIDS_OPTIONS = 3 };
/* The rows of --calibration, --imatrix and --max-context. */
void aids_options(struct aids *a, struct option rows[AIDS_OPTIONS]);
/* The text that ships, where it is needed. */
int aids_find(struct aids *a, const struct subject *s, struct error *e);
void aids_free(struct aids *a);
/* What a subject's model is opened with; progress may be NULL. */
struct model_options subject_options(const struct subject *s, const struct aids *a, struct progress *progress);
/* What its user must know about how packing went, on standard error. */
void subject_notes(const struct subject *s, const struct facts *f);
/* Opens a subject's model with progress; what its user must know about how that went is said on standard error. */
int subject_open(const struct subject *s, struct aids *a, struct model **m, struct error *e);

/* The path of a model given by path or by the name of one that ships; to be freed. */
int model_path(const char *model, char **path, struct error *e);
/* baseline (may be NULL) gives the model to a subject that is "@BACKEND" alone. For commands that multiply in one way
 * alone, or are told which by an option: "+MATH" is ERROR_USAGE, and math is exact. */
int subject_parse(struct subject *s, const char *text, const struct subject *baseline, struct error *e);
/* With "+exact" or "+fast" at the end, else `math`; "+MATH" alone is the baseline, weights and all, in that math. */
int subject_parse_math(struct subject *s, const char *text, const struct subject *baseline, enum math math,
                       struct error *e);
void subject_free(struct subject *s);

/* --- what commands share --- */

/* Every command's --threads, 0: as OpenMP has it. Also checks the BLAS and KERF_CPU. */
int engine_open(int64_t threads, struct error *e);
/* "kerf" and "machine" of a record; false: no memory. */
bool record_build(json_t *record);
/* A line on standard error, escaped for a terminal. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints JSON on standard output, indented, with nothing that a terminal would act on. */
int json_print(const json_t *value, size_t digits, struct error *e);
/* Resident memory at its highest since the last call of peak_reset(), in bytes; 0 where the system does not say. */
size_t peak_bytes(void);
void peak_reset(void);

/* --- progress: one line on standard error, none where that is no terminal --- */

struct progress {
    bool shown;
    char label[80];
    char what[80];
    double started, drawn;
    size_t before;                 /* what was done when `what` began */
    int64_t tokens, tokens_before; /* MAY be set before an update: that went through the model */
};

void progress_open(struct progress *p, const char *label);
/* False once the user asked to stop. A new `what` starts a new clock. */
bool progress_update(struct progress *p, const char *what, size_t done, size_t total);
void progress_wipe(const struct progress *p); /* the line, which comes again with the next update */
void progress_close(struct progress *p);
/* From now on SIGINT and SIGTERM make progress_update() return false; a second one ends the program. */
void progress_catch_signals(void);

extern const struct command command_eval, command_compare, command_suites, command_backends, command_inspect,
    command_generate, command_tokenize, command_quantize, command_imatrix, command_bench, command_perplexity,
    command_score, command_report, command_leaderboard, command_export, command_synth, command_kernels,
    command_counters, command_check;

/* --- benchmarks: kerf bench NAME --- */

extern const struct command bench_quantize, bench_machine, bench_model;

#endif
