/* The files that compare and report leave behind. */
#ifndef KERF_CLI_REPORTS_H
#define KERF_CLI_REPORTS_H

#include "engine/base/error.h"
#include <jansson.h>

/* Writes every report of a comparison into the folder `out`: each is whole or is not there. `folder`: from which its runs
 * are found. What a report had to leave out is said on standard error. */
int reports_write(const json_t *comparison, const char *folder, const char *out, struct error *e);
/* "compare.json, leaderboard.csv, ...", for a note */
const char *reports_names(void);

#endif
