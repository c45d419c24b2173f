/* What the two files of an export to lm-evaluation-harness, results and samples, share. */
#ifndef KERF_REPORTS_EXPORT_LM_EVAL_H
#define KERF_REPORTS_EXPORT_LM_EVAL_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include <jansson.h>
#include <stddef.h>
#include <time.h>

enum { LM_DUMP = JSON_INDENT(2) | JSON_REAL_PRECISION(17), LM_LINE = JSON_COMPACT | JSON_REAL_PRECISION(17) };

/* results_DATE.json of a run, as lm-evaluation-harness 0.4 writes it; NULL with an error that names the field. */
json_t *lm_results(const json_t *run, struct error *e);
/* When a run began, UTC. */
int lm_started(const json_t *run, struct tm *utc, struct error *e);
/* A model's name as a folder, by the harness's own rule: each stretch of "<>:/|\?*[] becomes two underscores. */
void lm_model_name(struct text *out, const char *name);

#endif
