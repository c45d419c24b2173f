/* Decoding strategies: how the next tokens are chosen, as a SPEC.
 *
 *     struct decode d;
 *     if (decode_parse(&d, "sample,temperature=0.7,top-p=0.9", e)) return e->code;
 *     d.spec      canonical: "sample,temperature=0.7,top-p=0.9"
 *
 * SPEC is a strategy and its settings after commas:
 *     greedy                                   the most likely token, the first of equals
 *     beam:N  length-penalty=1  early-stopping=false|true|never
 *                                              N hypotheses kept at each step (Sutskever, Vinyals and Le 2014)
 *     sample  temperature=1  top-k=0  top-p=1  min-p=0  typical-p=1  seed=1234
 *                                              a random draw from what the filters leave
 * and for all of them  repetition-penalty=1. A setting at its default is left out of the canonical form. */
#ifndef KERF_ENGINE_DECODING_DECODE_H
#define KERF_ENGINE_DECODING_DECODE_H

#include "engine/base/error.h"
#include <stdbool.h>
#include <stdint.h>

enum decode_kind { DECODE_GREEDY, DECODE_BEAM, DECODE_SAMPLE };
enum early_stopping { EARLY_STOPPING_HEURISTIC, EARLY_STOPPING_TRUE, EARLY_STOPPING_NEVER };
enum { DECODE_SPEC = 256 };

struct decode {
    char spec[DECODE_SPEC]; /* canonical */
    enum decode_kind kind;
    int beams;             /* hypotheses, at least 1 */
    double length_penalty; /* the sum of log-probabilities is divided by length^this */
    enum early_stopping early_stopping;
    double temperature; /* > 0; logits are divided by it */
    int64_t top_k;      /* 0: all */
    double top_p, min_p, typical_p;
    double repetition_penalty; /* 1: none */
    uint64_t seed;
};

struct decode decode_greedy(void);
/* ERROR_USAGE names the setting and what would be right, for an unknown name the nearest. */
int decode_parse(struct decode *out, const char *spec, struct error *e);

#endif
