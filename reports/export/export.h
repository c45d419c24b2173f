/* Runs in the formats of other tools (docs/interchange.md).
 *
 *     const struct exporter *format = exporter_find("lm-eval", e);
 *     struct text written = {0};
 *     if (!format || format->write("runs/f32", "kerf-export", &written, e)) return e->code;
 *     ... text_c(&written): the files, a line each, the one with the results last ...
 */
#ifndef KERF_REPORTS_EXPORT_EXPORT_H
#define KERF_REPORTS_EXPORT_EXPORT_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include <jansson.h>
#include <stddef.h>

struct exporter {
    const char *name, *summary; /* MUST */
    /* MUST: writes the run in a folder (run.json and its samples) as files below the folder `out`, each whole or not at
     * all; appends their paths to *written. */
    int (*write)(const char *run, const char *out, struct text *written, struct error *e);
};

const struct exporter *exporter_at(size_t i); /* NULL behind the last */
/* NULL with ERROR_USAGE, which says what was meant, where there is no such format. */
const struct exporter *exporter_find(const char *name, struct error *e);

/* One line of samples_TASK_DATE.jsonl for each filter of an item; `suite`: its entry in run.json; `sample`: a line of
 * samples_SUITE.jsonl. What identifies the items is appended to *hashes (the harness's "task_hashes"). */
int export_lm_eval_sample(const json_t *suite, const json_t *sample, struct text *lines, struct text *hashes,
                          struct error *e);

extern const struct exporter export_to_lm_eval;

#endif
