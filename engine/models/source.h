/* A checkpoint under the models' own names: GGUF's tensor names and its keys without the architecture's prefix. For a
 * Hugging Face folder an architecture brings a table from these names to the folder's.
 *
 *     int64_t layers;
 *     if (source_i64(s, "block_count", 1, 1000, &layers, e)) return e->code;
 *     struct tensor w;
 *     if (source_tensor(s, "blk.%d.attn_q.weight", 3, 2, (int64_t[]){rows, cols}, &w, e)) return e->code; */
#ifndef KERF_ENGINE_MODELS_SOURCE_H
#define KERF_ENGINE_MODELS_SOURCE_H

#include "engine/backends/gptq.h"
#include "engine/formats/checkpoint.h"

enum name_change {
    AS_IS,
    TRANSPOSED,   /* the folder has [cols, rows] */
    ROPE_ROWS,    /* GGUF has the rows of each head in the order of interleaved pairs, where the architecture says so */
    ROWS_BY_HEAD, /* the folder has q, k and v of head 0, then of head 1, ...; GGUF all q, then k, then v */
    STACKED,      /* matrices of all experts stand in one tensor, [experts, rows, cols], as in most GGUF files */
    FIRST_HALF,   /* likewise, [experts, 2 rows, cols]: these are the first rows of each ... */
    SECOND_HALF,  /* ... or those behind them */
    LESS_ONE      /* the folder has one less than GGUF: norms that multiply by 1 + weight */
};

struct name_map {
    const char *name, *folder_name; /* the first %d: the layer, a second: the expert, all of which GGUF has in one. Of
                                       several rows with one name the first is what it is called where none is there */
    enum name_change change;
};

/* In a folder_key "a.b" is b in the object a, and "a|b" is a or, where that is absent or null, b. */
struct key_map {
    const char *key, *folder_key; /* NULL: folders have no such key */
    double fallback;              /* of a key that may be absent; NAN: it must be there */
    const char *like;             /* or the fallback is the value of this other key */
};

/* A setting that changes the arithmetic, and its values under which ours is right; null is as good as absent. */
struct guard {
    const char *key, *folder_key; /* either may be NULL */
    const char *allowed;          /* values as JSON or GGUF text, '|' between */
};

struct model;
struct hyper;
struct pass;
struct style;
struct architecture {
    const char *name;                /* MUST: GGUF's general.architecture */
    const char *folder_types;        /* MUST: values of config.json's model_type, '|' between */
    const char *eps_key;             /* MUST: the key of the norms' epsilon */
    const char *prefix;              /* MUST: what a folder's tensor names may begin with or lack ("transformer.") */
    const struct key_map *keys;      /* MUST: NULL key ends */
    const struct key_map *more_keys; /* MAY: likewise, beside a table that architectures share */
    const struct name_map *names;    /* MUST: NULL name ends */
    const struct guard *guards;      /* MUST: NULL allowed ends */
    const char *const *ignored;      /* MUST: endings of tensor names that carry no weights, NULL-terminated */
    const struct style *style;       /* MUST where decoder.c computes it: what its layers are made of */
    bool rope_interleaved_in_gguf;
    bool stores_output;   /* llama.cpp loads no GGUF file of it without output.weight, be it the embedding's */
    bool ties_by_default; /* tie_word_embeddings of a config.json that does not say */
    int (*load)(struct model *m, struct error *e); /* MUST: fills hyper-parameters and layers from m->source */
    int64_t (*room)(const struct hyper *h);        /* MUST: floats for each token that a layer needs in p->rooms */
    void (*layer)(struct pass *p, int64_t i);      /* MUST: p->x through layer i */
    void (*finish)(struct pass *p);                /* MUST: the last norm */
};
/* Of both tables; NULL: the architecture has no such key. */
const struct key_map *architecture_key(const struct architecture *a, const char *key);

struct source;
int source_open(struct source **out, const char *path, struct error *e);
void source_close(struct source *s);
const struct architecture *source_architecture(const struct source *s);
const struct checkpoint *source_checkpoint(const struct source *s);

enum { SOURCE_KEY = 256 };
/* What a key is called in the file: "config.json: num_hidden_layers", "llama.block_count". Returns shown. */
const char *source_key(const struct source *s, const char *key, char shown[SOURCE_KEY]);
/* The value of a key in a GGUF file, and the value of a folder_key in config.json; NULL where it is absent, and for the
 * other kind of checkpoint. */
const struct gguf_value *source_gguf(const struct source *s, const char *key);
const json_t *source_config(const struct source *s, const char *folder_keys);
/* Whether the file itself has this key of the architecture's table, and not null. */
bool source_has(const struct source *s, const char *key);
/* Whether config.json has the key, and as null: for settings whose absence means something else. */
bool source_null(const struct source *s, const char *key);
int source_bool(const struct source *s, const char *key, bool *out, struct error *e);
int source_f64(const struct source *s, const char *key, double *out, struct error *e);
/* A whole number in [low, high], or the fallback. */
int source_i64(const struct source *s, const char *key, int64_t low, int64_t high, int64_t *out, struct error *e);
/* Whether the output matrix is the embedding: in a GGUF file, where there is no output.weight; in a folder, as
 * tie_word_embeddings says, and then a stored output matrix is left unused. */
bool source_ties(struct source *s);
/* How many rows q has, and k and v each: a GGUF file may have the three in one tensor, attn_qkv, of architectures that ask
 * for them apart. */
void source_heads(struct source *s, int64_t q_rows, int64_t kv_rows);
/* Whether there is such a tensor. */
bool source_there(const struct source *s, const char *name, int64_t layer);
/* From here on names of tensors of all experts mean the matrix of this one, [rows, cols]; -1: of all, [experts, rows,
 * cols], which can be checked, in a folder expert by expert, but not be read. */
void source_expert(struct source *s, int64_t expert);
int64_t source_which_expert(const struct source *s);
/* Finds a tensor and checks its shape in the models' orientation (-1: any), without touching its data. */
int source_check(struct source *s, const char *name, int64_t layer, int n_dims, const int64_t *shape,
                 enum dtype_id *type, enum name_change *change, struct error *e);
/* The tensor in the models' orientation with its shape checked (-1: any, but not of a matrix in parts); t->name is the
 * file's. t->owned is set where the data had to be turned. */
int source_tensor(struct source *s, const char *name, int64_t layer, int n_dims, const int64_t *shape, struct tensor *t,
                  struct error *e);
/* How many rows a matrix of this many columns has, from 1 to INT32_MAX. */
int source_rows(struct source *s, const char *name, int64_t cols, int64_t *rows, struct error *e);
/* Gives back the memory that a tensor's part of its file takes, once nothing points there. */
void source_forget(const struct source *s, const char *name, int64_t layer);
/* The file's own NAME.weight, or NAME.qweight of a matrix in parts; NULL where neither is there. */
const struct tensor *source_stored(const struct source *s, const char *name, int64_t layer);
/* What a folder of one's own would call the matrix, without an ending: as this one does, or by its expert where this one
 * has the matrices of all in one tensor. False: there is none, or no room for its name. */
bool source_base(const struct source *s, const char *name, int64_t layer, char *out, size_t size);
/* Whether matrices of this checkpoint are GPTQ's: in parts, where NAME.weight is absent and NAME.qweight is there.
 * source_check() and source_tensor() give them as float32. */
bool source_has_parts(const struct source *s);
/* The parts of a matrix with this many columns, checked against the checkpoint's settings. What *out points to is the
 * source's, its name only until the next call. */
int source_parts(struct source *s, const char *name, int64_t layer, int64_t cols, bool *there, struct gptq_stored *out,
                 struct error *e);
/* Looks at the zero points of a matrix that was adopted. */
void source_look(struct source *s, const struct gptq_stored *w, const struct matrix *m);
/* What the user must know of all that were looked at, or "". */
enum { SOURCE_WARNING = 256 };
void source_warning(const struct source *s, char warning[SOURCE_WARNING]);
/* A vector of n finite floats in new memory. */
float *source_vector(struct source *s, const char *name, int64_t layer, int64_t n, struct error *e);
/* ERROR_INPUT naming a tensor that nobody asked for: the model would not be the one in the file. */
int source_all_used(const struct source *s, struct error *e);

#endif
