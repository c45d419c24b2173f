/* The protocol of a suite: everything that makes its numbers comparable, as a JSON object, and its fingerprint.
 *
 *     char fingerprint[HASH_HEX];
 *     json_t *protocol;
 *     if (protocol_make(&protocol, fingerprint, model, suite, items, n, &requests, e)) return e->code;
 *     if (!protocols_match(protocol, other, NULL, &why)) ...
 */
#ifndef KERF_SUITES_PROTOCOL_H
#define KERF_SUITES_PROTOCOL_H

#include "suites/requests.h"

/* Reads the data file once more, for its hash. *out is the caller's. */
int protocol_make(json_t **out, char fingerprint[HASH_HEX], const struct model *m, const struct suite *s,
                  const struct item *items, size_t n_items, const struct requests *q, struct error *e);
/* Whether two protocols are the same but for `except` (a key or NULL); where they are not, *why (may be NULL) gets the
 * first part that differs with both values: `num_fewshot is 5, the baseline's is absent`. */
bool protocols_match(const json_t *ours, const json_t *baseline, const char *except, struct text *why);

#endif
