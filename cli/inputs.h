/* What reports are made of: runs, comparisons and other tools' files, brought together as one comparison.
 *
 *     struct inputs in;
 *     if (inputs_read(&in, paths, n, 1234, e)) return e->code;
 *     report_markdown(in.comparison, ...)
 *     inputs_free(&in);
 *
 * One comparison is taken as it is; of several, and beside runs, their runs are compared anew, the first given being
 * the baseline. What is not comparable stands side by side, with the reason. Files of other tools come last. */
#ifndef KERF_CLI_INPUTS_H
#define KERF_CLI_INPUTS_H

#include "engine/base/error.h"
#include "suites/finished.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inputs {
    json_t *comparison; /* compare.json */
    char *folder;       /* from which the runs in it are found */
};

/* A path is a folder that holds run.json or compare.json, one of these files, or a file that another tool wrote. */
int inputs_read(struct inputs *in, char *const *paths, size_t n, int64_t seed, struct error *e);
void inputs_free(struct inputs *in);

/* The folder that a path stands for, to be freed: "night/run.json" and "night/compare.json" stand for "night", "run.json"
 * for ".", any other path for itself. */
char *record_folder(const char *path, struct error *e);
bool folder_holds(const char *folder, const char *name);

/* A finished run whose record has all that reports are made of; nothing is left to free after an error. */
int run_read(struct finished *f, const char *folder, struct error *e);
/* A finished run's record whose folder is known and whose name another one (taken) has too gets its folder into its
 * name. */
void run_tell_apart(json_t *run, const char *folder, const char *const *taken, size_t n);

#endif
