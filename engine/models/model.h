/* Models: weights in a backend's matrices, and one forward pass over a batch of sequences.
 *
 *     struct model *m;
 *     if (model_open(&m, "datasets/millbrook/llama", NULL, e)) return e->code;         NULL: weights as stored
 *     struct cache *c = cache_new(m, NULL, 0, 64, e);
 *     struct span s = {.cache = c, .ids = ids, .count = n, .first_output = n - 1};     logits after the last token
 *     if (model_forward(m, &s, 1, hidden, NULL, e)) ...                                hidden [1, width]
 *     if (model_logits(m, hidden, 1, logits, e)) ...                                   logits [1, vocab]
 *     cache_free(c); model_close(m);
 *
 * A sequence's results are the same bits whatever else is in the batch, however it is cut into passes, and for any
 * number of threads. */
#ifndef KERF_ENGINE_MODELS_MODEL_H
#define KERF_ENGINE_MODELS_MODEL_H

#include "engine/backends/backend.h"
#include "engine/base/hash.h"
#include "engine/tokenizers/tokenizer.h"

struct model;

struct hyper {
    int64_t layers, width, vocab, context;
    int64_t heads, kv_heads, head; /* head: dimensions of one head */
    int64_t ffn;
    int64_t rope_dims; /* dimensions of a head that turn; 0: none */
    double rope_base;
    float norm_eps;
    bool rope_interleaved; /* pairs are (2i, 2i+1) as GGUF stores llama, else (i, i + dims/2) as Hugging Face does */
};

struct facts {
    const char *architecture; /* "llama" */
    const char *path;
    int64_t parameters;         /* elements of all weights; a tied output matrix counts once */
    size_t weight_bytes;        /* what the packed weights take, vectors as float32 */
    int64_t unpackable;         /* matrices kept as F16 since their columns do not divide into the backend's blocks */
    char backend[BACKEND_SPEC]; /* "stored" or the backend's canonical spec */
    char hash[HASH_HEX];        /* of the checkpoint */
};

/* how == NULL: as stored. The tokenizer is opened with the model. */
int model_open(struct model **out, const char *path, const struct backend_options *how, struct error *e);
void model_close(struct model *m);
const struct hyper *model_hyper(const struct model *m);
const struct facts *model_facts(const struct model *m);
const struct tokenizer *model_tokenizer(const struct model *m);

/* Keys and values of one sequence, behind the first prefix_length positions of `prefix` (or none), which must stay
 * alive and may be shared by many. Room for `capacity` positions beyond the prefix is made at once, more as it is
 * needed. */
struct cache;
struct cache *cache_new(const struct model *m, struct cache *prefix, int64_t prefix_length, int64_t capacity,
                        struct error *e);
void cache_free(struct cache *c);                     /* not its prefix; NULL is fine */
int64_t cache_length(const struct cache *c);          /* positions filled, the prefix counted */
void cache_truncate(struct cache *c, int64_t length); /* forgets what is behind; not below its prefix */
/* Bytes of keys and values that one position takes. */
size_t cache_position_bytes(const struct model *m);

/* New tokens of one sequence. */
struct span {
    struct cache *cache;  /* gets count positions more */
    const int32_t *ids;   /* [count] */
    int64_t count;        /* > 0 */
    int64_t first_output; /* hidden states are wanted after ids[first_output .. count); count: none */
};

/* MAY be given to watch; x is [n, width], the rows of all spans in order. Large batches run, and are told, in slices.
 */
struct probe {
    void *user;
    void (*layer_output)(void *user, int64_t layer, const float *x, int64_t n, int64_t width);
};

enum { PASS_TOKENS = 2048 }; /* most tokens in a slice; batches are best made about as large */

/* Final hidden states (after the last norm), the wanted rows of all spans in order. No cache twice in one call. Runs in
 * slices whose activations are bounded. After a failure the caches' lengths are not those from before. */
int model_forward(const struct model *m, const struct span *spans, size_t n_spans, float *hidden /* [wanted, width] */,
                  const struct probe *probe, struct error *e);
int model_logits(const struct model *m, const float *hidden /* [n, width] */, int64_t n, float *logits /* [n, vocab] */,
                 struct error *e);

/* Writes the checkpoint at `path` as a GGUF file with its matrices packed by `how` (NULL: as stored) and everything
 * else as float32. Backends that GGUF has no type for are ERROR_USAGE. Works tensor by tensor. `progress` may be
 * NULL. */
struct export_progress {
    void *user;
    bool (*tensor)(void *user, size_t done, size_t total); /* false ends with ERROR_INTERRUPTED */
};
int model_export(const char *path, const struct backend_options *how, const char *out_path,
                 const struct export_progress *progress, struct error *e);

#endif
