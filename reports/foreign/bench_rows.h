/* The tests in a file that llama-bench wrote with -o json, jsonl or csv, as one list of JSON objects. In CSV every value is
 * a text. */
#ifndef KERF_REPORTS_FOREIGN_BENCH_ROWS_H
#define KERF_REPORTS_FOREIGN_BENCH_ROWS_H

#include "engine/base/error.h"
#include "engine/base/file.h"
#include <jansson.h>
#include <stdbool.h>

bool bench_rows_are(const struct file *f);
/* NULL with an error that names the line. */
json_t *bench_rows_read(const struct file *f, const char *path, struct error *e);

#endif
