/* Where suite files are: the names that ship, and what a name on the command line stands for. */
#ifndef KERF_SUITES_CATALOG_H
#define KERF_SUITES_CATALOG_H

#include "engine/base/error.h"
#include <stdbool.h>

/* Whether an argument is a path (it has a slash or ends in .yaml or .yml) and not a name. */
bool suite_is_path(const char *name_or_path);
/* The file of a suite or group, and what stands behind the last @ of NAME@SPEC, else NULL; both to be freed, also after
 * failure. A name that does not exist is ERROR_USAGE with the nearest one. */
int suite_locate(const char *given, char **path, char **spec, struct error *e);

#endif
