/* Importance matrices: for each weight matrix the mean squares of its inputs, column by column, as llama.cpp's
 * quantizers use them to weigh errors. Two formats are read, the first is written:
 *
 * GGUF (llama.cpp's tools/imatrix): general.type "imatrix"; imatrix.datasets (strings), imatrix.chunk_count and
 *     imatrix.chunk_size (u32); for each matrix NAME the tensors NAME.in_sum2 (F32, [experts, cols], sums of squares)
 *     and NAME.counts (F32, [experts, 1], tokens that were summed). Other tensors (NAME.in_sum) are left alone.
 * The older binary one (little-endian): i32 entries, each { i32 length, name, i32 calls, i32 n, float[n] values }, where
 *     values / calls are the means; then optionally i32 chunk count, i32 length, dataset name.
 *
 *     struct imatrix *im;
 *     if (imatrix_open(&im, path, e)) return e->code;
 *     const float *importance;
 *     if (imatrix_find(im, "blk.0.attn_q.weight", cols, &importance, e)) ...     NULL: it has none for this matrix
 *     imatrix_close(im);
 *
 * The file is untrusted: every count is checked against the bytes that are there, values are finite and not negative;
 * every error names file and entry. */
#ifndef KERF_ENGINE_FORMATS_IMATRIX_H
#define KERF_ENGINE_FORMATS_IMATRIX_H

#include "engine/base/error.h"
#include "engine/base/hash.h"

#include <stddef.h>
#include <stdint.h>

struct imatrix;

int imatrix_open(struct imatrix **out, const char *path, struct error *e);
void imatrix_close(struct imatrix *im); /* NULL is fine */
const char *imatrix_path(const struct imatrix *im);
const char *imatrix_hash(const struct imatrix *im);    /* SHA-256 of the file */
size_t imatrix_count(const struct imatrix *im);        /* entries */
const char *imatrix_dataset(const struct imatrix *im); /* the first that the file names; "" where it names none */
uint32_t imatrix_chunks(const struct imatrix *im);     /* 0 where the file does not say */
/* The means of one matrix, [cols], as long as im lives; *out is NULL where the file has none for it or counted no token.
 * Other columns than the file's, and the several of a mixture of experts, are ERROR_INPUT. */
int imatrix_find(const struct imatrix *im, const char *name, int64_t cols, const float **out, struct error *e);

/* The same for one of the `experts` matrices of a mixture. */
int imatrix_find_expert(const struct imatrix *im, const char *name, int64_t expert, int64_t experts, int64_t cols,
                        const float **out, struct error *e);

/* What one matrix met, or those of all experts. */
struct imatrix_entry {
    const char *name; /* "blk.0.attn_q.weight" */
    int64_t cols, tokens;
    const float *sums;        /* [cols], of squares; of experts [experts, cols] */
    int64_t experts;          /* 0: it is one matrix */
    const int64_t *by_expert; /* [experts]: tokens of each */
};

/* Writes the GGUF form, the entries in this order; temp, fsync, rename. */
int imatrix_write(const char *path, const struct imatrix_entry *entries, size_t n, const char *dataset, int64_t chunks,
                  int64_t chunk_size, struct error *e);

#endif
