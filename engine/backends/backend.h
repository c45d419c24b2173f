/* Backends: ways to store and multiply weight matrices.
 *
 *     struct backend_options how;
 *     if (backend_parse(&how, "int8:absmax,per=tensor", e)) return e->code;
 *     struct matrix m;
 *     if (matrix_pack(&m, &tensor, &how, e)) return e->code;      tensor: any float or decodable type, [rows, cols]
 *     matrix_multiply(&m, x, n, y, scratch);                      y [n, rows] = x [n, cols] times the transpose
 *     matrix_free(&m);
 *
 * To add a backend: one file engine/backends/NAME.c that defines a `const struct backend`, and its name in registry.c. */
#ifndef KERF_ENGINE_BACKENDS_BACKEND_H
#define KERF_ENGINE_BACKENDS_BACKEND_H

#include "engine/base/error.h"
#include "engine/tensor.h"

struct backend;

enum { BACKEND_SPEC = 64, BACKEND_SETTINGS = 8 };

/* A parsed "name:variant,key=value,flag". The strings point into the parsed text. */
struct backend_spec {
    const char *whole;   /* for error messages */
    const char *variant; /* NULL where there is none */
    struct {
        const char *key, *value; /* value NULL for a flag */
    } settings[BACKEND_SETTINGS];
    size_t n_settings;
};

struct backend_options {
    const struct backend *backend;
    char spec[BACKEND_SPEC]; /* canonical form: the options that are not defaults, in a fixed order */
    enum dtype_id type;      /* what a matrix's elements become */
    bool per_tensor;         /* one scale for the matrix instead of one a row */
};

/* A packed weight matrix. Zeroed is empty and safe to free. */
struct matrix {
    const struct backend *backend;
    int64_t rows, cols;
    enum dtype_id type;  /* of the elements in data */
    const uint8_t *data; /* [rows, row_bytes] */
    size_t row_bytes;
    const float *scales; /* int8: [rows] or [1] */
    int64_t scale_step;  /* 1: a scale a row; 0: one for all */
    size_t bytes;        /* everything that a multiplication reads: elements and scales */
    void *owned, *owned_scales;
};

struct backend {
    const char *name, *summary;  /* MUST */
    const char *const *variants; /* MAY: what may follow the colon, NULL-terminated; NULL: nothing may */
    const char *const *keys;     /* MAY: settings it takes, NULL-terminated; NULL: none */
    /* MUST: fills what the spec says into *o: type, settings and the canonical spec; backend is set. */
    int (*configure)(struct backend_options *o, const struct backend_spec *spec, struct error *e);
    /* MUST: packs w, any decodable type, [rows, cols]; values that are not finite are ERROR_NUMBER. */
    int (*pack)(struct matrix *out, const struct tensor *w, const struct backend_options *o, struct error *e);
    /* MAY: whether tensors of this stored type can be used as they are, without a copy. */
    bool (*adopts)(enum dtype_id type);
    /* MUST: exact dequantization of rows [row, row + n). */
    void (*unpack)(const struct matrix *m, int64_t row, int64_t n, float *out /* [n, cols] */);
    /* MAY: the type of matrices with this many columns, whose packed rows are then a GGUF tensor's bytes as they are;
     * NULL where GGUF has no type for them. */
    enum dtype_id (*gguf_type)(const struct backend_options *o, int64_t cols);
};

/* "NAME[:VARIANT][,KEY=VALUE|,FLAG]..."; an unknown part is ERROR_USAGE with the nearest name. */
int backend_parse(struct backend_options *o, const char *spec, struct error *e);
const struct backend *backend_at(size_t i); /* the registry's row i; NULL past the end */

/* Packs a tensor; how == NULL: as stored. A tensor already stored the way that `how` asks for is adopted. Where the
 * columns do not divide into the type's blocks the matrix is kept as float16 (its type says so). NaN and infinite
 * values are ERROR_NUMBER with their place. The tensor's `owned` memory passes to the matrix or is freed; its data must
 * outlive the matrix otherwise. */
int matrix_pack(struct matrix *out, struct tensor *w, const struct backend_options *how, struct error *e);
void matrix_free(struct matrix *m);
void matrix_unpack(const struct matrix *m, int64_t row, int64_t n, float *out /* [n, cols] */);

/* Exact math: y = x times the transpose of m, the stored weights in float32 arithmetic. One code for all backends:
 * panels of rows are unpacked and multiplied by OpenBLAS's sgemm in blocks of one fixed shape, so that a row of y does
 * not depend on the other rows of x, on its place among them, or on the number of threads, bit for bit. scratch must
 * hold matrix_scratch(m) floats for each of omp_get_max_threads() threads. */
void matrix_multiply(const struct matrix *m, const float *x /* [n, cols] */, int64_t n, float *y /* [n, rows] */,
                     float *scratch);
size_t matrix_scratch(const struct matrix *m);

/* Checks at start that the BLAS is the OpenMP build and takes its own threads away (ours call it, one block each). */
int blas_open(struct error *e);
/* "OpenBLAS 0.3.21 SkylakeX" */
void blas_name(char *out, size_t size);

#endif
