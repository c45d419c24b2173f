/* The samples of a suite: a JSON object an outcome, in the field names of lm-evaluation-harness. */
#ifndef KERF_SUITES_SAMPLES_H
#define KERF_SUITES_SAMPLES_H

#include "suites/requests.h"
#include "suites/run.h"

/* { doc_id, doc_hash, target, arguments, resps, filtered_resps, metrics } for each of result->n outcomes; result has
 * its statistics. */
int samples_make(const struct suite *s, const struct item *items, const struct requests *q,
                 const struct outcome *outcomes, const struct suite_result *result, json_t **out, struct error *e);

#endif
