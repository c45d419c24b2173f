/* The samples of a suite: a JSON object an outcome, in the field names of lm-evaluation-harness. */
#ifndef KERF_SUITES_SAMPLES_H
#define KERF_SUITES_SAMPLES_H

#include "suites/outcomes.h"
#include "suites/run.h"

/* { doc_id, doc_hash, target, arguments, resps, filtered_resps, metrics, statistics } for each of result->n outcomes;
 * result has its statistics, from which every value and difference can be had again. */
int samples_make(const struct suite *s, const struct item *items, const struct requests *q,
                 const struct outcomes *outcomes, const struct suite_result *result, json_t **out, struct error *e);

#endif
