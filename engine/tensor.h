/* Element types and tensors: every type of the GGML family with its block layout, and a view of n-dimensional data.
 *
 *     const struct dtype *q8 = dtype_of(DTYPE_Q8_0);      32 elements in 34 bytes
 *     size_t bytes;
 *     if (tensor_bytes(DTYPE_Q8_0, 2, (int64_t[]){rows, cols}, &bytes)) ...
 *
 * Shapes are row-major: shape[0] is the slowest dimension, shape[n_dims - 1] runs along memory. (GGUF files list them
 * the other way round; the reader turns them.) A weight matrix is [rows, cols] = [outputs, inputs]. Quantized blocks
 * lie along the last dimension. */
#ifndef KERF_ENGINE_TENSOR_H
#define KERF_ENGINE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, number in GGUF files (ggml.h, enum ggml_type), elements in a block, bytes of a block */
#define DTYPES(X)                                                                                                      \
    X(F32, 0, 1, 4)                                                                                                    \
    X(F16, 1, 1, 2)                                                                                                    \
    X(Q4_0, 2, 32, 18)                                                                                                 \
    X(Q4_1, 3, 32, 20)                                                                                                 \
    X(Q5_0, 6, 32, 22)                                                                                                 \
    X(Q5_1, 7, 32, 24)                                                                                                 \
    X(Q8_0, 8, 32, 34)                                                                                                 \
    X(Q8_1, 9, 32, 36)                                                                                                 \
    X(Q2_K, 10, 256, 84)                                                                                               \
    X(Q3_K, 11, 256, 110)                                                                                              \
    X(Q4_K, 12, 256, 144)                                                                                              \
    X(Q5_K, 13, 256, 176)                                                                                              \
    X(Q6_K, 14, 256, 210)                                                                                              \
    X(Q8_K, 15, 256, 292)                                                                                              \
    X(IQ2_XXS, 16, 256, 66)                                                                                            \
    X(IQ2_XS, 17, 256, 74)                                                                                             \
    X(IQ3_XXS, 18, 256, 98)                                                                                            \
    X(IQ1_S, 19, 256, 50)                                                                                              \
    X(IQ4_NL, 20, 32, 18)                                                                                              \
    X(IQ3_S, 21, 256, 110)                                                                                             \
    X(IQ2_S, 22, 256, 82)                                                                                              \
    X(IQ4_XS, 23, 256, 136)                                                                                            \
    X(I8, 24, 1, 1)                                                                                                    \
    X(I16, 25, 1, 2)                                                                                                   \
    X(I32, 26, 1, 4)                                                                                                   \
    X(I64, 27, 1, 8)                                                                                                   \
    X(F64, 28, 1, 8)                                                                                                   \
    X(IQ1_M, 29, 256, 56)                                                                                              \
    X(BF16, 30, 1, 2)                                                                                                  \
    X(TQ1_0, 34, 256, 54)                                                                                              \
    X(TQ2_0, 35, 256, 66)                                                                                              \
    X(MXFP4, 39, 32, 17)

enum dtype_id {
#define X(name, number, block, bytes) DTYPE_##name = number,
    DTYPES(X)
#undef X
        DTYPE_LIMIT = 40 /* one past the largest number */
};

struct dtype {
    const char *name;   /* "Q8_0" */
    int block;          /* elements in a block */
    size_t block_bytes; /* bytes of a block */
};

/* NULL for a number that is no type (retired or never given). */
const struct dtype *dtype_of(int id);
enum { DTYPE_NAME = 16 };
/* A type's name in small letters, as users write it: "q4_k". */
void dtype_lower_name(enum dtype_id type, char out[DTYPE_NAME]);
/* The number of the type with this name, in any case; -1 where there is none. */
int dtype_named(const char *name);

enum { TENSOR_DIMS = 4 };

struct tensor {
    const char *name; /* lives as long as the file that the tensor came from */
    enum dtype_id type;
    int n_dims;
    int64_t shape[TENSOR_DIMS]; /* row-major; 1 beyond n_dims */
    const void *data;           /* not necessarily aligned to more than the file aligns it */
    size_t bytes;
    void *owned; /* memory behind data that is not a file's mapping, or NULL: freed by whoever owns the tensor */
};

int64_t tensor_elements(const struct tensor *t);
/* The bytes of a tensor of this type and shape. False where the last dimension is no multiple of the block, a dimension
 * is negative or the product wraps. */
bool tensor_bytes(enum dtype_id type, int n_dims, const int64_t *shape, size_t *bytes);

#endif
