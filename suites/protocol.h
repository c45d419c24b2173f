/* The protocol of a suite: everything that makes its numbers comparable, as a JSON object, and its fingerprint.
 *
 *     char fingerprint[HASH_HEX];
 *     json_t *protocol;
 *     if (protocol_make(&protocol, fingerprint, model, suite, items, n, &requests, e)) return e->code;
 *     if (strcmp(fingerprint, other_fingerprint)) return protocol_refuse(protocol, other, suite->name, e);
 */
#ifndef KERF_SUITES_PROTOCOL_H
#define KERF_SUITES_PROTOCOL_H

#include "suites/requests.h"

/* Reads the data file once more, for its hash. *out is the caller's. */
int protocol_make(json_t **out, char fingerprint[HASH_HEX], const struct model *m, const struct suite *s,
                  const struct item *items, size_t n_items, const struct requests *q, struct error *e);
/* ERROR_INPUT that names the first part in which two protocols differ, with both values. */
int protocol_refuse(const json_t *ours, const json_t *baseline, const char *suite, struct error *e);

#endif
