/* Predictions of a baseline in a file, so that candidates can be held against a model that is not there: of each scored
 * token the k most likely tokens, the chance of all others together, and the log-likelihood of the token that came.
 *
 *     struct reference_output out;                              the first subject of a walk writes it
 *     if (reference_create(&out, "base.kref", 64, vocab, tokens, windows, about, e)) return e->code;
 *     options.save = &out; ... lockstep_walk(...) ...
 *     if (reference_commit(&out, e)) ...                        or reference_abandon(&out)
 *
 *     struct reference r;
 *     if (reference_open(&r, "base.kref", e)) return e->code;
 *     options.baseline = &r; ... lockstep_walk(...) ...
 *     reference_close(&r);
 *
 * Layout, little-endian, nothing between the fields:
 *
 *     offset  bytes
 *          0      8  magic "KERFREF\n"
 *          8      4  version, 1
 *         12      4  k: tokens kept of a prediction, 1 to vocab
 *         16      4  vocab: tokens that the model predicts
 *         20      4  m: bytes of the description
 *         24      8  tokens: scored, the rows below
 *         32      8  windows
 *         40      m  description, JSON: {"subject": the model, as in run.json, "fingerprint", "protocol"}
 *     40 + m      r  a row of r = 16 + 8 k bytes for every scored token, in the order of windows and tokens:
 *                      8  log-likelihood of the token that came, float64, nats
 *                      4  ln of the chance of all tokens that are not kept, float32; -inf: none
 *                      4  the most likely token
 *                     4k  the tokens kept, ascending
 *                     4k  ln of the chance of each, float32
 *        end     64  SHA-256 of all bytes before, in hexadecimal digits
 *
 * That is 528 bytes a token with k = 64, whatever the vocabulary. The base file of llama.cpp's perplexity tool takes
 * 2 vocab + 8 bytes (64,008 for a vocabulary of 32,000), and its 16 bits a token have a floor at 16 nats.
 *
 * On 16 kB of Millbrook's stories, millbrook-llama@f32 beside its own file is at a mean KL of 7e-9 nats, and the mean KL
 * of @gguf:q8_0 (5.7e-5), q6_k, q4_k and q3_k comes out 0.03 to 0.07 % too small (0.9 to 3.3 % with k = 16). With
 * float16 in place of float32 the file is a third smaller, but the model is 2e-5 from itself and q8_0 off by 24 %. */
#ifndef KERF_SUITES_REFERENCE_H
#define KERF_SUITES_REFERENCE_H

#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "metrics/divergence.h"
#include <jansson.h>

struct reference {
    struct file file;
    int64_t k, vocab, tokens;
    size_t windows;
    json_t *about; /* the description */
    const uint8_t *rows;
};

/* ERROR_INPUT names the file, the field and what would be right. */
int reference_open(struct reference *r, const char *path, struct error *e);
void reference_close(struct reference *r);
/* Row i: *s points to ids and logs, [r->k] each, of the caller's. */
int reference_row(const struct reference *r, int64_t i, struct summary *s, double *loglikelihood, struct error *e);
/* ERROR_INPUT where the predictions are of another tokenizer, text or protocol than these. */
int reference_check(const struct reference *r, const char *tokenizer_hash, int64_t vocab, const json_t *protocol,
                    struct error *e);

struct reference_output {
    struct output out;
    struct hash hash;
    int64_t k, row; /* tokens kept; bytes of a row */
};

int reference_create(struct reference_output *o, const char *path, int64_t k, int64_t vocab, int64_t tokens,
                     size_t windows, const json_t *about, struct error *e);
/* The next row: s->k is o->k. */
void reference_add(struct reference_output *o, const struct summary *s, double loglikelihood);
int reference_commit(struct reference_output *o, struct error *e);
void reference_abandon(struct reference_output *o);

#endif
