/* Where what ships is found: suites/ and datasets/ lie side by side in one of the data folders
 *     $KERF_DATA, the folder share/kerf beside the running program's bin/, the source tree, the installed one
 * in this order. */
#ifndef KERF_SUITES_DATA_H
#define KERF_SUITES_DATA_H

#include "engine/base/error.h"

/* The path of RELATIVE ("suites/stories.yaml", "datasets/millbrook/llama") in the first data folder that has it, to be
 * freed; NULL without an error where none has it, NULL with e->code set when memory ran out. */
char *data_find(const char *relative, struct error *e);
/* Data folder i (0, 1, ...) as a new string; NULL past the last. */
char *data_folder(int i, struct error *e);

#endif
