/* What other tools measured, as runs that can stand in a report: one file for each tool, one row in registry.c.
 *
 *     json_t *runs = foreign_read("results_2026-11-24.json", e);
 *
 * A run is what run.json has (reports/report.h), as far as the tool tells: "subject" with "source": {"tool": name and
 * version, "file": path}, "name", "model", and null or "" for what is not known; "suites" with their metrics and without
 * "fingerprint", since the protocol behind the numbers is not known to the last token; "tokens_per_second", "started" and
 * "machine" where told. Nothing is guessed: a standard error that the file does not have is null. */
#ifndef KERF_REPORTS_FOREIGN_FOREIGN_H
#define KERF_REPORTS_FOREIGN_FOREIGN_H

#include "engine/base/error.h"
#include "engine/base/file.h"
#include <jansson.h>
#include <stdbool.h>

struct foreign {
    const char *name, *summary;              /* MUST: "lm-evaluation-harness" */
    bool (*recognise)(const struct file *f); /* MUST: by the file's first bytes or keys */
    json_t *(*read)(const struct file *f, const char *path, struct error *e); /* MUST: an array of runs */
};

/* The runs of a file by whichever tool wrote it; ERROR_INPUT lists the tools where none did. */
json_t *foreign_read(const char *path, struct error *e);

/* Puts a run into a comparison as one more subject. Its values get the reason why they are not compared, rows that the
 * comparison does not have are added at the end, and what was not measured is "absent". A comparison without subjects
 * (schema and header alone) takes the run as its first. */
int comparison_add(json_t *comparison, const json_t *run, struct error *e);

#endif
