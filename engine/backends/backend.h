/* Backends: ways to store and multiply weight matrices.
 *
 *     struct backend_options how;
 *     if (backend_parse(&how, "int8:absmax,per=tensor", e)) return e->code;
 *     struct matrix m;
 *     if (matrix_pack(&m, &tensor, &how, NULL, e)) return e->code;  tensor: any decodable type, [rows, cols]
 *     if (matrix_make_tiles(&m, math, "w", e)) return e->code;      needed for fast math
 *     if (matrix_multiply(&m, x, n, y, e)) return e->code;          y [n, rows] = x [n, cols] times the transpose
 *     matrix_free(&m);
 *
 * To add a backend: one file engine/backends/NAME.c that defines a `const struct backend`, and its name in registry.c. */
#ifndef KERF_ENGINE_BACKENDS_BACKEND_H
#define KERF_ENGINE_BACKENDS_BACKEND_H

#include "engine/base/error.h"
#include "engine/tensor.h"

struct backend;
struct tiles;

/* How matrices are multiplied. EXACT: the stored weights in float32 arithmetic. FAST: as programs that serve such
 * weights do it, inputs in 8 bits and products of integers (engine/kernels/tiles.h); floats with inputs of their type. */
enum math { MATH_EXACT, MATH_FAST };

enum { BACKEND_SPEC = 256, BACKEND_SETTINGS = 16, BACKEND_PARSED = 512 };

/* A parsed "name:variant,key=value,flag". The strings point into the parsed text. */
struct backend_spec {
    const char *whole;   /* for error messages */
    const char *variant; /* NULL where there is none */
    struct {
        const char *key, *value; /* value NULL for a flag */
    } settings[BACKEND_SETTINGS];
    size_t n_settings;
};

/* May be copied. */
struct backend_options {
    const struct backend *backend;
    char spec[BACKEND_SPEC]; /* canonical form: the options that are not defaults, in a fixed order */
    _Alignas(8) unsigned char parsed[BACKEND_PARSED]; /* the backend's own form of them */
};

/* Where in its model a matrix stands: what presets and overrides go by, and what calibration found there. */
struct place {
    const char *name;        /* as in GGUF files, "blk.3.attn_v.weight" */
    int64_t layer, layers;   /* of so many; -1: outside of the layers (embeddings and output) */
    int64_t queries;         /* query heads to a key head */
    int64_t experts;         /* of the model's mixtures; 0: it has none */
    bool makes_logits;       /* the output matrix, tied to the embedding or not */
    const float *importance; /* [cols], weights of the columns' squared errors, or NULL: all alike */
};

/* A packed weight matrix. Zeroed is empty and safe to free. */
struct matrix {
    const struct backend *backend;
    int64_t rows, cols;
    size_t bytes;   /* everything that a multiplication reads */
    bool fell_back; /* the columns do not divide into the blocks that were asked for: another type took their place */
    /* Rows of a tensor's type as files have them (floats and the GGML family's blocks); else data is NULL and what
     * there is lies in `own`. */
    enum dtype_id type;
    const uint8_t *data; /* [rows, row_bytes] */
    size_t row_bytes;
    void *owned;         /* data's memory, where it is not a file's mapping */
    void *own;           /* the backend's */
    struct tiles *tiles; /* or NULL: what takes the place of data, and of what `own` had of the weights */
};

/* Mean products of a matrix's inputs: h[i, j] = sum over tokens of x_i x_j. */
struct hessian {
    const double *h; /* [cols, cols], symmetric */
    int64_t cols;
    int64_t tokens;
};

/* What a backend wants to be calibrated with. */
struct calibration_plan {
    int64_t samples; /* sequences at most; 0: all that the text has */
    int64_t length;  /* tokens of each, at most the model's context; 0: 2048 */
    bool
        sequential; /* matrices that share an input at a time, those behind them see what became of them; else a layer */
};

/* What calibrating a matrix came to. */
struct calibrated {
    double damping;         /* that was needed, as a share of the mean of the diagonal */
    bool raised;            /* it is more than was asked for: the Hessian was not positive definite */
    double error, baseline; /* sum over tokens of |(W - Q) x|^2, and of |W x|^2 */
};

/* Features of inputs that were too large for 8 bits (int8:llm). */
struct outliers {
    double threshold;
    int64_t values, large;     /* inputs seen, and those among them above the threshold */
    int64_t features, touched; /* columns, and those in which any input was above it */
};

struct backend {
    const char *name, *summary;  /* MUST */
    const char *const *variants; /* MAY: what may follow the colon, NULL-terminated; NULL: nothing may */
    const char *const *notes;    /* MAY: a few words on each variant, for lists */
    const char *const *keys;     /* MAY: settings it takes, NULL-terminated; NULL: none */
    const char *repeated_key;    /* MAY: the one among them that may stand more than once */
    const char *math;            /* MAY: what its arithmetic is beyond "exact", for run records */
    bool weighs;                 /* MAY: whether place.importance changes what it packs */
    /* MUST: fills what the spec says into o->parsed and the canonical o->spec; the rest is set. May put another backend
     * in o->backend, where a variant fills other slots (int8:llm). */
    int (*configure)(struct backend_options *o, const struct backend_spec *spec, struct error *e);
    /* MUST: packs w, any decodable type, [rows, cols]; values that are not finite are ERROR_NUMBER. May give the matrix
     * to another backend (matrix_pack() with its options), as for embeddings that are left in float16. After a failure
     * *out is freed by the caller; w->owned stays the caller's in any case. */
    int (*pack)(struct matrix *out, struct tensor *w, const struct backend_options *o, const struct place *at,
                struct error *e);
    /* MUST: exact dequantization of rows [row, row + n). */
    void (*unpack)(const struct matrix *m, int64_t row, int64_t n, float *out /* [n, cols] */);
    /* MUST where m->own is used: frees it, complete or not. */
    void (*release)(struct matrix *m);
    /* MAY: the type of a matrix with this many columns at this place, whose packed rows are then a GGUF tensor's bytes
     * as they are, and whether it is a substitute for columns that do not divide. */
    enum dtype_id (*gguf_type)(const struct backend_options *o, const struct place *at, int64_t cols, bool *fell_back);
    /* MAY: what general.file_type is of a file packed this way (llama.cpp's enum llama_ftype); else by what most of it
     * is. */
    uint32_t (*file_type)(const struct backend_options *o);
    /* MAY: the i-th of the patterns that pick matrices by name, NULL past the end. Models refuse one that picks none of
     * theirs. */
    const char *(*pattern)(const struct backend_options *o, size_t i);
    /* MUST where m->own is used: the matrix in tiles. What m->own still has of the weights is freed by it. */
    int (*tile)(struct matrix *m, struct tiles *out, const char *name, struct error *e);
    /* MAY: what the backend's arithmetic makes of inputs in exact math: y, [n, cols], is then multiplied in x's place.
     * Every row by itself; called from many threads. */
    void (*inputs)(const struct matrix *m, const float *x /* [n, cols] */, int64_t n, float *y /* [n, cols] */);
    /* MAY: is told every input that fast math meets, as inputs() would be. */
    void (*watch)(const struct matrix *m, const float *x /* [n, cols] */, int64_t n);
    /* MAY: what inputs() and watch() counted since the matrix was packed. */
    void (*count_outliers)(const struct matrix *m, struct outliers *out);
    /* MAY: the matrices of layers are first loaded as stored and then, layer by layer, replaced by what this makes of
     * them and the inputs they meet. `w` is a matrix of floats, or of any other backend. Sets out->backend, also when it
     * fails; the caller then frees *out. */
    int (*calibrate)(struct matrix *out, const struct matrix *w, const struct hessian *h,
                     const struct backend_options *o, const struct place *at, struct calibrated *report,
                     struct error *e);
    /* MUST with calibrate: what these options want; false: they calibrate nothing. */
    bool (*plan)(const struct backend_options *o, struct calibration_plan *plan);
};

/* "NAME[:VARIANT][,KEY=VALUE|,FLAG]..."; an unknown part is ERROR_USAGE with the nearest name. */
int backend_parse(struct backend_options *o, const char *spec, struct error *e);
/* Whether a model packed this way is calibrated, and how; o may be NULL. */
bool backend_calibrates(const struct backend_options *o, struct calibration_plan *plan);
const struct backend *backend_at(size_t i); /* the registry's row i; NULL past the end */
/* Whether a pattern with *, ? and [...] is the name of a matrix, with the ".weight" at its end or without. */
bool pattern_fits(const char *pattern, const char *name);

/* Packs a tensor; how == NULL: as stored; at == NULL: an ordinary matrix of a layer. A tensor already stored the way
 * that `how` asks for is adopted. Where the columns do not divide into the type's blocks another type takes its place,
 * and the matrix says so. NaN and infinite values are ERROR_NUMBER with their place. The tensor's `owned` memory passes
 * to the matrix or is freed; its data must outlive the matrix otherwise. */
int matrix_pack(struct matrix *out, struct tensor *w, const struct backend_options *how, const struct place *at,
                struct error *e);
void matrix_free(struct matrix *m);
void matrix_unpack(const struct matrix *m, int64_t row, int64_t n, float *out /* [n, cols] */);
/* Row r of a matrix of a tensor's type, m->row_bytes as files have them, wherever they lie now. */
void matrix_row_bytes(const struct matrix *m, int64_t row, uint8_t *out);
/* The whole matrix as a tensor of float32 with memory of its own, to be packed another way. */
int matrix_to_f32(const struct matrix *m, const char *name, struct tensor *out, struct error *e);

/* Puts a packed matrix into tiles, which are multiplied faster: its bytes in another order take the place of what there
 * was. Fast math needs it; exact math keeps codes whose scales stand apart (int8, gptq) as they are, and the same bits
 * come out either way. */
int matrix_make_tiles(struct matrix *m, enum math math, const char *name, struct error *e);

/* y = x times the transpose of m. A row of y does not depend on the other rows of x, on its place among them, on the
 * number of threads or on the instruction set, bit for bit: every element is summed in one order. Exact math: fused
 * multiply-adds in the order of the columns, in chunks of GEMM_CHUNK; fast math: engine/kernels/tiles.h. */
int matrix_multiply(const struct matrix *m, const float *x /* [n, cols] */, int64_t n, float *y /* [n, rows] */,
                    struct error *e);

/* The same in its parts, for matrices that share inputs and for callers that have the room. */

/* What x becomes before it is multiplied: memory of the caller's. */
struct matrix_inputs {
    int64_t n, cols;
    const float *x;    /* [n, cols] */
    const float *seen; /* [n, cols], exact math and floats: what is multiplied */
    int8_t *q;         /* [n, padded], and the rest of struct quantized (engine/kernels/tiles.h) */
    float *d, *sum;
    int32_t *fix;
    int32_t *large; /* [n, 1 + cols]: how many inputs are multiplied as they are, and which; NULL: none */
};

/* Bytes of room that one row takes. */
size_t matrix_inputs_bytes(const struct matrix *m);
/* In parallel; x and room must outlive *out. */
void matrix_inputs(const struct matrix *m, const float *x /* [n, cols] */, int64_t n, void *room,
                   struct matrix_inputs *out);
/* Whether what was made for one serves the other. */
bool matrix_shares_inputs(const struct matrix *a, const struct matrix *b);

struct product {
    const struct matrix *m;
    float *y; /* [n, rows] */
};

/* Bytes of scratch that each of omp_get_max_threads() threads takes. */
size_t matrix_scratch(const struct matrix *m);
/* Several matrices in one parallel loop; scratch is as large as the most demanding of them wants. */
void matrix_products(const struct product *products, size_t count, const struct matrix_inputs *x, void *scratch);

/* Checks at start that the BLAS is the OpenMP build, whose calls within parallel regions run on the calling thread
 * alone. */
int blas_open(struct error *e);
/* "OpenBLAS 0.3.21 SkylakeX" */
void blas_name(char *out, size_t size);

#endif
