/* The files that compare and report leave behind. */
#ifndef KERF_CLI_REPORTS_H
#define KERF_CLI_REPORTS_H

#include "engine/base/error.h"
#include <jansson.h>

/* Before the work: whether each of them can be written into the folder, which is there. ERROR_IO names the first that cannot. */
int reports_check(const char *out, struct error *e);
/* Writes compare.json and every report of it into the folder `out`: each is whole or, if it fails, is not there; the others
 * are. `folder`: from which its runs are found. What a report had to leave out is said on standard error. */
int reports_write(const json_t *comparison, const char *folder, const char *out, struct error *e);
/* The note "wrote OUT/{compare.json, leaderboard.csv, ...}"; `also`: what else is there (", runs/"). */
void reports_tell(const char *out, const char *also);

#endif
