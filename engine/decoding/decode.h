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
 *                                              a random draw from what the filters leave (filters.h)
 * and for all of them  repetition-penalty=1. A setting at its default is left out of the canonical form.
 *
 * Suites have the words of Hugging Face instead, one setting at a time:
 *
 *     struct decode d = decode_greedy();
 *     if (decode_set(&d, "do_sample", "true", e)) return e->code;
 *     if (decode_set(&d, "top_p", "0.9", e)) return e->code;
 *     if (decode_settle(&d, e)) return e->code;
 *     d.spec      canonical: "sample,top-k=50,top-p=0.9" */
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
    int64_t beams;         /* hypotheses, at least 1 */
    double length_penalty; /* the sum of log-probabilities is divided by length^this */
    enum early_stopping early_stopping;
    double temperature; /* > 0; logits are divided by it */
    int64_t top_k;      /* 0: all */
    double top_p, min_p, typical_p;
    double repetition_penalty; /* 1: none */
    int64_t seed;
    bool seeded;    /* it was named: decode_seed() leaves it */
    unsigned given; /* what decode_set() was told, for decode_settle() */
};

struct decode decode_greedy(void);
/* ERROR_USAGE names the setting and what would be right, for an unknown name the nearest. */
int decode_parse(struct decode *out, const char *spec, struct error *e);

/* The seed of samples whose strategy names none. ERROR_USAGE beyond 0 .. 2^53. */
int decode_seed(struct decode *d, int64_t seed, struct error *e);

/* True for the keys of decode_set(): do_sample, num_beams, length_penalty, early_stopping, temperature, top_k, top_p,
 * min_p, typical_p, repetition_penalty, seed. */
bool decode_knows(const char *key);
/* One setting of a *d that began as decode_greedy(); booleans are true or false in any case. ERROR_USAGE, without the
 * name of the file: "temperature: must be ...". */
int decode_set(struct decode *d, const char *key, const char *value, struct error *e);
/* After the last decode_set(): the strategy and the canonical spec, as lm-evaluation-harness and Hugging Face have it.
 * Without do_sample a temperature above 0 asks for samples; without samples (do_sample false, or a temperature of 0
 * and no do_sample) their settings do nothing; samples keep the 50 most likely tokens unless top_k is given. ERROR_USAGE
 * for do_sample at temperature 0 and for samples with several beams. */
int decode_settle(struct decode *d, struct error *e);

#endif
