/* What architectures are built from. */
#ifndef KERF_ENGINE_MODELS_INTERNAL_H
#define KERF_ENGINE_MODELS_INTERNAL_H

#include "engine/formats/imatrix.h"
#include "engine/kernels/kernels.h"
#include "engine/models/model.h"
#include "engine/models/source.h"

enum { ROPE_DIMS = 1024, MODEL_NAME = 96 }; /* most dimensions of a head that turn; bytes of a tensor's name */

struct norm {
    float *weight, *bias; /* [width]; bias NULL: RMSNorm has none */
};

struct linear {
    struct matrix m;
    const char *name; /* "blk.%d.attn_q.weight" */
    float *bias;      /* [rows] or NULL */
};

/* What the layers of decoder.c are made of beyond what metadata says. */
enum qk_norms { QK_PLAIN, QK_BY_HEAD, QK_WHOLE }; /* RMSNorm of each head of q and k, or of all heads as one */
struct style {
    bool layer_norms;  /* LayerNorm with biases, else RMSNorm */
    bool no_pre_norms; /* blocks read the residual stream as it is */
    bool post_norms;   /* what blocks compute is normed before it is added */
    bool qkv_biases, all_biases;
    bool one_qkv;          /* q, k and v are one matrix */
    bool qkv_by_head;      /* whose rows a folder has head by head */
    bool one_gate_up;      /* so are gate and up */
    bool ungated;          /* down(activation(up)), else down(activation(gate) * up) */
    bool scaled_embedding; /* by the root of the width */
    bool every_other;      /* the window is that of layers 0, 2, ... alone */
    enum qk_norms qk_norms;
    enum activation activation;
};

struct layer {
    struct norm attn_norm, ffn_norm, attn_post_norm, ffn_post_norm; /* each MAY be empty */
    float *q_norm, *k_norm;                                         /* [head] or [heads, head], or NULL */
    struct linear w[LINEARS];
    struct matrix router;                 /* [experts, width], float32 under every backend; or empty */
    float *shared_gate;                   /* [width] or NULL */
    struct linear *experts[EXPERT_PARTS]; /* [experts] each, or NULL */
};

/* How fast the pairs of a head turn: rope.c. */
struct rope {
    float *frequencies;   /* [rope_dims / 2], radians from one position to the next */
    float *divisors;      /* [rope_dims / 2] of them, where the checkpoint brings some, or NULL */
    float *long_divisors; /* those of a model that is opened for more positions than the first are for; or NULL */
    float factor;         /* of cosines and sines */
    const char *scaling;  /* what GGUF's rope.scaling.type would be, or NULL */
    double by, original;  /* the scaling's factor, the context that it stretches */
    double attention;     /* what GGUF's rope.scaling.attn_factor is; 0: nothing to say */
    double fast, slow;    /* of yarn */
    bool ramps_between;   /* yarn's ramp begins and ends between pairs, for which GGUF has no key */
    int64_t claimed;      /* the context that the checkpoint claims */
};

/* Given instead of loading: is told every tensor that the architecture would load, shapes checked, in order. */
struct recorder {
    void *user;
    int (*add)(void *user, const char *name, int64_t layer, int n_dims, const int64_t *shape, bool multiplied,
               struct error *e);
};

/* What passes leave for the next one. */
struct work {
    void *memory; /* activations and scratch, kept since fresh memory costs a page fault for every 4 KiB */
    size_t bytes;
    struct model_times times;
    double last;      /* when the last part ended */
    enum phase phase; /* of the last pass: logits that follow belong to it */
};

struct model {
    struct source *source;
    const struct recorder *recorder;
    const struct architecture *architecture;
    const struct kernels *kernels;
    const struct model_options *options; /* during load only */
    struct imatrix *imatrix;             /* likewise; NULL: none is given, or the backend does not weigh errors */
    uint32_t picked;                     /* bit i: the i-th of the backend's patterns fits a matrix */
    int64_t weighed;                     /* matrices that the importances have an entry for */
    size_t matrices, loaded;             /* to be packed, and how many of them were, during load only */
    struct hyper hyper;
    struct facts facts;
    struct tokenizer *tokenizer;
    struct matrix embedding; /* [vocab, width] */
    struct matrix output;    /* [vocab, width]; empty: tied to the embedding */
    float *positions;        /* [context, width] or NULL */
    struct rope rope;
    struct norm final_norm;
    struct layer *layers;
    size_t most_scratch; /* bytes that the most demanding of its matrices takes for each thread */
    size_t most_inputs;  /* bytes that inputs of one token become, at most */
    struct work *work;
    const struct watch *watch; /* or NULL */
};

/* Source, architecture, hyper-parameters, importances and room for the layers; nothing is loaded. m->options is set. */
int model_prepare(struct model *m, const char *path, struct error *e);
/* Replaces the matrices of all layers by what the backend makes of them and of the calibration text, where it does. */
int model_calibrate(struct model *m, struct error *e);
/* Turns the matrices of layers that are not yet to fast math. */
int model_make_fast(struct model *m, struct error *e);
/* Counts a matrix that took its place in the model, or (-1) left it. */
void model_count(struct model *m, const struct matrix *w, int sign);

/* Where a matrix stands (no importance), its name written into `full`. */
struct place model_place(const struct model *m, const char *name, int64_t layer, char full[MODEL_NAME]);
/* Notes which of the backend's patterns fit this matrix, and finds its importance and counts whether it has one. */
int model_weigh(struct model *m, struct place *at, int64_t cols, struct error *e);
/* A matrix's importance, of experts that of the one that the source is at, of any where it is at none; NULL where it has
 * none. */
int model_importance(const struct model *m, const char *full, int64_t cols, const float **out, struct error *e);
/* Tells the recorder every tensor; it calls model_weigh() for matrices. Refuses a tensor that is not the architecture's
 * (ERROR_INPUT), a pattern that fits none of the matrices (ERROR_USAGE), importances for none of them (ERROR_INPUT). */
int model_list(struct model *m, const struct recorder *recorder, struct error *e);
/* "blk.%d.attn_q.weight" of layer 3 is "blk.3.attn_q.weight". */
void model_name(const char *pattern, int64_t layer, char full[MODEL_NAME]);

/* --- loading: each counts what it loads in m->facts --- */
int load_matrix(struct model *m, const char *name, int64_t layer, int64_t rows, int64_t cols, struct matrix *out,
                struct error *e);
/* A GPTQ matrix as it is stored; its zero points are looked at for warn_of_zeros(). */
int load_stored_parts(struct model *m, struct gptq_stored *w, int64_t rows, int64_t cols, struct matrix *out,
                      struct error *e);
/* The matrix, whose name ends in ".weight" and lives on, and where `bias` says so the vector ".bias" beside it. */
int load_linear(struct model *m, const char *name, bool bias, int64_t layer, int64_t rows, int64_t cols,
                struct linear *out, struct error *e);
int load_norm(struct model *m, const char *name, bool bias, int64_t layer, struct norm *out, struct error *e);
int load_vector(struct model *m, const char *name, int64_t layer, int64_t n, float **out, struct error *e);
/* A matrix that is looked up and never multiplied: float32 under every backend. */
int load_table(struct model *m, const char *name, int64_t rows, int64_t cols, float **out, struct error *e);
/* token_embd and, where it is there, output. */
int load_embeddings(struct model *m, struct error *e);
/* The same as a matrix of float32. */
int load_float_matrix(struct model *m, const char *name, int64_t layer, int64_t rows, int64_t cols, struct matrix *out,
                      struct error *e);
/* One matrix for each of hyper.experts: in new memory at *out, which model_close() frees. */
int load_experts(struct model *m, const char *name, int64_t layer, int64_t rows, int64_t cols, struct linear **out,
                 struct error *e);
/* Whether a name is that of the matrices of all experts. */
bool is_experts(const char *name);
/* block_count, embedding_length, heads, ... and their sanity; key names as in GGUF. */
int load_hyper(struct model *m, struct error *e);
/* All of them as a GGUF file has them, for a checkpoint that is none. */
void hyper_write(const struct model *m, struct gguf_writer *w);
/* What of a folder's settings GGUF has no key for, so that a file would compute something else; NULL: nothing. */
const char *hyper_lost(const struct model *m);
/* What scales the rotary positions, refused by name where it is not known; may lower hyper.context. */
int rope_load(struct model *m, struct error *e);
void rope_free(struct rope *r);
void rope_write(const struct model *m, struct gguf_writer *w);
/* Adds to facts.warning what llama.cpp takes as settled for the architecture and this model has otherwise: there its
 * GGUF file would give other logits. */
void export_warn(struct model *m);
/* The folder's chat template, where it has one, as the key that other programs look for. */
int export_chat_template(const char *folder, struct gguf_writer *w, struct error *e);
/* The i-th tensor of divisors, as GGUF has them; NULL past the end. */
const float *rope_tensor(const struct model *m, size_t i, const char **name);
/* Positions that a query of this layer sees, its own counted. */
static inline int64_t window_of(const struct hyper *h, int64_t layer)
{
    return h->window && h->windows[layer] ? h->window : INT64_MAX;
}

/* --- warn.c: each adds lines to facts.warning --- */
void model_warn(struct model *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A general.file_type that is not known. */
void warn_of_file_type(struct model *m);
/* What the zero points of all GPTQ matrices that were loaded look like. */
void warn_of_zeros(struct model *m);
void warn_of_tokenizer(struct model *m, const struct tokenizer *t);

/* --- decoder.c --- */
extern const struct key_map decoder_keys[]; /* what most of its architectures are told by */
int decoder_load(struct model *m, struct error *e);
int64_t decoder_room(const struct hyper *h);
void decoder_layer(struct pass *p, int64_t i);
void decoder_finish(struct pass *p);
/* --- experts.c: a layer's feed-forward part where it is a mixture --- */
int experts_load(struct model *m, int64_t i, struct error *e);
int64_t experts_room(const struct hyper *h); /* floats for each token */
void experts_forward(struct pass *p, int64_t i, const float *x /* [n, width] */, float *rooms,
                     float *y /* [n, width], may be x */);

/* --- one pass --- */
enum { KEY_TILE = 16 };

struct cache {
    struct cache *prefix;
    int64_t start;               /* positions that lie in the prefix */
    int64_t length;              /* positions filled, from 0 */
    int64_t capacity;            /* positions held here: [start, start + capacity) */
    int64_t first_layer, layers; /* those whose keys and values are held */
    int64_t width;               /* kv_heads * head */
    /* Keys lie in tiles of KEY_TILE positions, counted from position 0 of the sequence, so that a query meets as many at
     * a time: [layers, kv_heads, key_tiles, head, KEY_TILE]. Values: [layers, capacity, width]. */
    float *k, *v;
    int64_t head, key_tiles;
};

/* Where keys of a layer and key head begin, and the first position of their first tile. */
float *cache_keys(const struct cache *c, int64_t layer, int64_t kv_head);
float *cache_values(const struct cache *c, int64_t layer);
static inline int64_t cache_base(const struct cache *c) { return c->start / KEY_TILE * KEY_TILE; }

/* Room for positions up to so many behind the prefix. */
int cache_reserve(struct cache *c, int64_t positions, struct error *e);
/* Without a prefix, of one layer alone. */
struct cache *cache_of_layer(const struct model *m, int64_t layer, int64_t capacity, struct error *e);

struct pass {
    const struct model *m;
    const struct span *spans;
    size_t n_spans;
    const struct probe *probe;
    int64_t layer;             /* that is run; -1: none */
    int64_t n;                 /* tokens of all spans */
    int32_t *ids;              /* [n] */
    int32_t *position;         /* [n] */
    int32_t *span_of;          /* [n] */
    int32_t *first;            /* [n_spans]: the first of each span's tokens */
    int32_t *blocks;           /* [n_blocks + 1]: the first token of each block of queries; attend.c */
    int64_t n_blocks, longest; /* most positions of a sequence */
    float *x;                  /* [n, width], the residual stream */
    float *rooms;              /* architecture.room(hyper) floats for each of the n tokens, for what a layer computes */
    void *inputs;              /* room for what matrices make of their inputs */
    enum linear_role last;     /* where `stops`: the layer ends once its input was told, what follows does nothing */
    bool stops, stopped;
    float *turn;      /* [n, 2, rope_dims / 2]: cosines and sines */
    uint8_t *scratch; /* for products and attention, a part for each thread */
    size_t scratch_each;
};

/* The model's memory for one pass at a time, `bytes` of it, with anything in it. */
void *model_memory(const struct model *m, size_t bytes, struct error *e);
/* The part that a matrix's products are. */
enum pass_part part_of(enum linear_role role);
/* Adds the time since the last part ended to this one, and tells the watch. */
void pass_took(const struct pass *p, enum pass_part part);
/* The same of a part whose work is counted, as struct pass_piece has it. */
void pass_worked(const struct pass *p, enum pass_part part, double flop, double bytes);
/* The time from here on is the next part's. */
void pass_begins(const struct model *m);
/* The time since then, or since the last part, was this one's. */
void pass_tell(const struct model *m, int64_t layer, enum pass_part part, double flop, double bytes);

/* Tokens that go through the layers at a time, so that activations stay within bounds whatever the shapes. */
int64_t pass_room(const struct model *m);
/* Bytes that so many of them take where the longest sequence has `longest` positions, the caches aside. */
size_t pass_bytes(const struct model *m, int64_t tokens, int64_t longest);
/* Memory for the tokens of p->spans, which the caller has set with m and probe; every cache gets room for them. */
int pass_open(struct pass *p, struct error *e);
/* x = embeddings of the ids, plus positions where the model has them. */
void pass_embed(struct pass *p);
void pass_rms_norm(const struct pass *p, const struct norm *w, const float *x, float *y /* [n, width] */);
void pass_layer_norm(const struct pass *p, const struct norm *w, const float *x, float *y /* [n, width] */);
/* The one that w->bias says. */
void pass_norm(const struct pass *p, const struct norm *w, const float *x, float *y /* [n, width] */);
/* RMSNorm in place of `count` pieces of `width` in each of the rows, which lie `stride` floats apart. */
void pass_norm_pieces(const struct pass *p, const float *weight /* [width] */, float *rows, int64_t stride,
                      int64_t count, int64_t width);
/* Products of one input with matrices of a layer. */
struct linear_output {
    enum linear_role role;
    float *y; /* [n, rows] */
};
void pass_linears(struct pass *p, int64_t layer, const float *x /* [n, cols] */, const struct linear_output *outputs,
                  size_t count);
static inline void pass_linear(struct pass *p, int64_t layer, enum linear_role role, const float *x, float *y)
{
    pass_linears(p, layer, x, &(struct linear_output){role, y}, 1);
}
/* Products of n rows with any matrices that have the same columns; biases are not added. */
void pass_products(const struct pass *p, const struct product *products, size_t count, const float *x /* [n, cols] */,
                   int64_t n, enum pass_part part);
void pass_add(const struct pass *p, const float *y /* [n, width] */); /* x += y */
/* Turns every head of rows [n, heads * head] that lie `stride` floats apart, in place. Pairs come as the hyper-
 * parameters say and always leave as (i, i + dims/2): both layouts give the same bits from here on. */
void pass_rope(const struct pass *p, float *rows, int64_t stride, int64_t heads);
/* Floats of scratch that attention takes where the longest sequence has so many positions. */
size_t attend_scratch(const struct model *m, int64_t longest);
/* What pass_attend() does in one layer, as struct pass_piece has it: scores and sums over the positions that each query
 * sees, 2 * 2 * head for each query head; and the keys and values that there are, float32. */
double attend_flop(const struct pass *p);
double attend_bytes(const struct pass *p);
/* Cuts the tokens of all spans into blocks of queries, [at most n + 1]; returns how many. */
int64_t attend_blocks(const struct pass *p, int32_t *blocks);
/* Stores keys and values of this layer and attends: causal, softmax(cap(attn_scale q k)) v (Vaswani et al. 2017), query
 * heads sharing key heads in groups (Ainslie et al. 2023), within the layer's window (Beltagy et al. 2020); cap() is
 * soft_cap() where the model has one. */
void pass_attend(const struct pass *p, int64_t layer, const float *q, int64_t q_stride, const float *k, const float *v,
                 int64_t kv_stride, float *out /* [n, heads * head] */);
/* y = activation(gate) * up for n rows of width; gate and up, rows `stride` floats apart, are written over. */
void pass_gate(const struct pass *p, enum activation f, float *gate, const float *up, int64_t stride, int64_t n,
               int64_t width, float *y /* [n, width], may be gate */);
void pass_activate(const struct pass *p, enum activation f, float *x /* [n, width] */, int64_t width);
/* x = cap tanh(x / cap) */
void soft_cap(float *x, float cap, int64_t n);
void pass_layer_done(const struct pass *p, int64_t layer);

#endif
