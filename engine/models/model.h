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
#include "engine/base/watch.h"
#include "engine/tokenizers/tokenizer.h"

struct model;

/* SiLU; GELU in its tanh form, and with the error function. */
enum activation { SILU, GELU_TANH, GELU_ERF };

struct hyper {
    int64_t layers, width, vocab, context;
    int64_t heads, kv_heads, head; /* head: dimensions of one head */
    int64_t ffn;
    int64_t rope_dims; /* dimensions of a head that turn; 0: none */
    double rope_base;
    float norm_eps;
    bool rope_interleaved;  /* pairs are (2i, 2i+1) as GGUF stores llama, else (i, i + dims/2) as Hugging Face does */
    bool gates_in_one;      /* gate and up are one matrix */
    bool qkv_by_head;       /* a matrix for q, k and v has them head by head, as Hugging Face stores GPT-NeoX */
    int64_t window;         /* most positions that attention sees, its own counted; 0: all */
    const uint8_t *windows; /* [layers], the model's: 1 where a layer has that window */
    float attn_scale;       /* of scores, 1 / sqrt(head) */
    float attn_cap;         /* scores are cap tanh(score / cap); 0: as they are */
    float logit_cap;        /* logits likewise */
    float embed_scale;      /* of embeddings, 1 */
    enum activation activation;
    bool attn_biases, ffn_biases; /* of Llamas whose metadata says so */
    bool parallel;                /* attention and the feed-forward part read the same input */
    int64_t experts;              /* feed-forward parts that a router chooses from; 0: there is one, without a router */
    int64_t experts_used;         /* by each token */
    int64_t expert_ffn;           /* rows of an expert's matrices */
    int64_t shared_ffn;           /* of the one that every token uses; 0: there is none */
    bool experts_norm;            /* what the router gives to those chosen is made to sum to 1 */
};

struct facts {
    const char *architecture; /* "llama" */
    const char *path;
    int64_t parameters;  /* elements of all weights; a tied output matrix counts once */
    size_t weight_bytes; /* what the packed weights take, vectors as float32 */
    int64_t fell_back;   /* matrices in another type, since their columns do not divide into the backend's blocks */
    char backend[BACKEND_SPEC]; /* "stored" or the backend's canonical spec */
    const char *math;           /* "exact", "fast", or what the backend's arithmetic is beyond exact; and longrope's
                                   divisors, where they are not the first */
    char hash[HASH_HEX];        /* of the checkpoint */
    struct {
        char hash[HASH_HEX]; /* of the text; "" where nothing was calibrated */
        int64_t sequences, length;
        int64_t matrices, raised; /* calibrated, and those that needed more damping than was asked for */
        int64_t rounded;          /* experts' that too few tokens met, among them: rounded to nearest */
        double damping;           /* the most that was needed */
        double error;             /* sum of |(W - Q) x|^2 over that of |W x|^2, over all matrices */
    } calibration;
    char imatrix_hash[HASH_HEX]; /* of the importance matrix; "" where none was used */
    int64_t unweighted;          /* matrices of layers that it has no entry for */
    char warning[1024];          /* what its user must know about the checkpoint, "FILE: WORDS" a line, or "" */
};

/* The matrices of a layer, one list for all architectures: what one has not stays empty. */
enum linear_role { LINEAR_Q, LINEAR_K, LINEAR_V, LINEAR_QKV, LINEAR_O, LINEAR_GATE, LINEAR_UP, LINEAR_DOWN, LINEARS };

/* Those of the experts of a mixture, one of each for every expert. */
enum expert_part { EXPERT_GATE, EXPERT_UP, EXPERT_DOWN, EXPERT_PARTS };

/* Needed only while a call lasts. */
struct model_options {
    const struct backend_options *how; /* NULL: as stored */
    enum math math;
    const char *calibration; /* text for backends that calibrate; NULL: ERROR_USAGE where one does */
    int64_t context;         /* positions that it is opened for, which only longrope asks about; 0: as few as it has */
    const char *imatrix;     /* a file of importances, or NULL; not opened for backends that do not weigh errors */
    const struct watch *watch; /* MAY: told of phases and passes; the model keeps it, see model_watch() */
    void *user;
    /* MAY: told what takes long, "packing" matrix by matrix and "calibrating"; false ends with ERROR_INTERRUPTED. */
    bool (*progress)(void *user, const char *what, size_t done, size_t total);
};

/* options == NULL: as stored. The tokenizer is opened with the model. */
int model_open(struct model **out, const char *path, const struct model_options *options, struct error *e);
void model_close(struct model *m);
const struct hyper *model_hyper(const struct model *m);
const struct facts *model_facts(const struct model *m);
const struct tokenizer *model_tokenizer(const struct model *m);
/* A matrix of a layer and its name in GGUF files; NULL where the architecture has none. */
const struct matrix *model_linear(const struct model *m, int64_t layer, enum linear_role role, const char **name);
/* A matrix of a mixture's first expert, the others have its shape; NULL where the layer has none. */
const struct matrix *model_expert(const struct model *m, int64_t layer, enum expert_part part);
/* The matrix that logits come from, [vocab, width]: the embedding where it is tied. */
const struct matrix *model_output(const struct model *m);
/* What int8:llm counted in a layer since the model was opened; false where no matrix of it counts. */
bool model_outliers(const struct model *m, int64_t layer, struct outliers *out);

/* Keys and values of one sequence, behind the first prefix_length positions of `prefix` (or none), which must stay
 * alive and may be shared by many. Room for `capacity` positions beyond the prefix is made at once, more as it is
 * needed. */
struct cache;
struct cache *cache_new(const struct model *m, struct cache *prefix, int64_t prefix_length, int64_t capacity,
                        struct error *e);
/* Another with the same prefix and the same positions. */
struct cache *cache_copy(const struct cache *c, struct error *e);
void cache_free(struct cache *c);                     /* not its prefix; NULL is fine */
int64_t cache_length(const struct cache *c);          /* positions filled, the prefix counted */
void cache_truncate(struct cache *c, int64_t length); /* forgets what is behind; not below its prefix */
/* Bytes of keys and values that one position takes. */
size_t cache_position_bytes(const struct model *m);
/* Bytes of activations and scratch that model_forward() takes for so many tokens, the caches aside. */
size_t model_pass_bytes(const struct model *m, int64_t tokens);

/* New tokens of one sequence. */
struct span {
    struct cache *cache;  /* gets count positions more */
    const int32_t *ids;   /* [count] */
    int64_t count;        /* > 0 */
    int64_t first_output; /* hidden states are wanted after ids[first_output .. count); count: none */
};

/* MAY be given to watch; x is [n, width], the rows of all spans in order. Large batches run, and are told, in slices.
 * Each MAY be NULL. */
struct probe {
    void *user;
    void (*linear_input)(void *user, int64_t layer, enum linear_role role, const float *x, int64_t n, int64_t cols);
    /* Of the n tokens that chose one of a mixture's experts. */
    void (*expert_input)(void *user, int64_t layer, enum expert_part part, int64_t expert, const float *x, int64_t n,
                         int64_t cols);
    void (*layer_output)(void *user, int64_t layer, const float *x, int64_t n, int64_t width);
};

enum { PASS_TOKENS = 2048 }; /* most tokens in a slice; batches are best made about as large */

/* One pass at a time on a model. Final hidden states (after the last norm), the wanted rows of all spans in order; NULL
 * where none is wanted. No cache twice in one call. Runs in slices whose activations are bounded; after a failure caches
 * hold what slices before it have put there. */
int model_forward(const struct model *m, const struct span *spans, size_t n_spans, float *hidden /* [wanted, width] */,
                  const struct probe *probe, struct error *e);
int model_logits(const struct model *m, const float *hidden /* [n, width] */, int64_t n, float *logits /* [n, vocab] */,
                 struct error *e);

/* Where the time of forward passes went, in seconds on the clock. */
enum pass_part {
    PART_EMBED,
    PART_NORM,
    PART_INPUTS, /* what matrices make of their inputs: quantizing them, rounding them */
    PART_QKV,    /* products of matrices, by role */
    PART_O,
    PART_GATE_UP,
    PART_DOWN,
    PART_OUTPUT,
    PART_ROPE,
    PART_ATTENTION,
    PART_ACTIVATION,
    PART_REST, /* residual sums, memory, copies */
    PASS_PARTS
};
struct model_times {
    double seconds[PASS_PARTS];
};
const char *part_name(enum pass_part part);
/* Since the model was opened or the times were reset. */
void model_times(const struct model *m, struct model_times *out);
void model_times_reset(const struct model *m);

/* From here on this watch is told, and no other: of a pass with its logits the phase (PREFILL or DECODE; what was before
 * it is entered again behind it), and every piece. NULL: nobody. It must outlive the model, or its place be taken. */
void model_watch(struct model *m, const struct watch *watch);
const struct watch *model_watched(const struct model *m);
/* What a part multiplies with in a layer (-1 of PART_OUTPUT): the types of the matrices, each once, "q4_k, q6_k", a
 * backend's own form by its spec, "gptq:4"; and the shapes of all, "3072x768, 3072x768" (rows x columns), those of
 * experts with their number before, "8*14336x4096". Both "" where the part has no product. */
void model_part_matrices(const struct model *m, int64_t layer, enum pass_part part, char *weights, size_t weights_size,
                         char *shape, size_t shape_size);

/* Writes the checkpoint at `path` as a GGUF file with its matrices packed by `how` (NULL: as stored) and everything
 * else as float32. Backends that GGUF has no type for are ERROR_USAGE. Works tensor by tensor. `progress` may be NULL;
 * so may `facts`, which gets what an opened model's would say, but for the checkpoint's hash, with `path` as its path. */
struct export_progress {
    void *user;
    bool (*tensor)(void *user, size_t done, size_t total); /* false ends with ERROR_INTERRUPTED */
};
int model_export(const char *path, const struct model_options *options, const char *out_path,
                 const struct export_progress *progress, struct facts *facts, struct error *e);

/* Writes an open model whose matrices were packed by `how`, gptq or rtn with bits, as a Hugging Face folder in GPTQ's
 * format, which is read as stored to the same bits. The folder must be empty or absent: nothing that was there is
 * replaced or deleted. config.json comes last; after a failure the folder is as it was, and one that a killed run left
 * has no config.json. */
int model_export_folder(const struct model *m, const struct backend_options *how, const char *folder,
                        const struct export_progress *progress, struct error *e);
/* What model_export_folder() would refuse of a model at `path`, before it is opened and calibrated. */
int model_export_folder_check(const char *path, const struct backend_options *how, const char *folder, struct error *e);

#endif
