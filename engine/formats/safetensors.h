/* safetensors: one file of named tensors, read through a mapping.
 *
 * Layout (specification: huggingface/safetensors, README "Format"):
 *     u64 little-endian n     n bytes of UTF-8 JSON, padded with spaces:
 *         { "__metadata__": { string: string }, NAME: { "dtype": "F16", "shape": [..], "data_offsets": [begin, end] } }
 *     data; offsets count from here, tensors cover it without gaps or overlaps
 *
 *     struct safetensors *s;
 *     if (safetensors_open(&s, path, e)) return e->code;
 *     const struct tensor *w = safetensors_tensor(s, "model.norm.weight");
 *     safetensors_close(s);
 *
 * Read are F64, F32, F16, BF16, I64, I32, I16 and I8; U8 and BOOL come as I8 of the same bits. Tensors have at most
 * four dimensions. What is returned points into the mapping or into s. The file is untrusted; each error names file and
 * field. */
#ifndef KERF_ENGINE_FORMATS_SAFETENSORS_H
#define KERF_ENGINE_FORMATS_SAFETENSORS_H

#include "engine/base/error.h"
#include "engine/tensor.h"

struct safetensors;

int safetensors_open(struct safetensors **out, const char *path, struct error *e);
void safetensors_close(struct safetensors *s); /* NULL is fine */
const char *safetensors_path(const struct safetensors *s);
size_t safetensors_size(const struct safetensors *s); /* of the file, in bytes */
const uint8_t *safetensors_bytes(const struct safetensors *s);
size_t safetensors_count(const struct safetensors *s);
const struct tensor *safetensors_at(const struct safetensors *s, size_t i); /* in the order of their offsets */
const struct tensor *safetensors_tensor(const struct safetensors *s, const char *name);

/* Writing: all tensors are declared, then their data come in the same order, in pieces of any size; the file appears
 * under its name once it is whole.
 *
 *     struct safetensors_writer *w;
 *     if (safetensors_writer_open(&w, path, e)) return e->code;
 *     safetensors_write_tensor(w, "a", DTYPE_F16, 2, (int64_t[]){rows, cols});      failures are kept
 *     safetensors_write_data(w, data, bytes);
 *     return safetensors_writer_commit(&w, e);                                      and come out here
 *
 * A tensor's data must begin at a multiple of its element's size, as PyTorch's reader needs it: declare wide elements
 * before narrow ones. */
struct safetensors_writer;

int safetensors_writer_open(struct safetensors_writer **out, const char *path, struct error *e);
void safetensors_write_tensor(struct safetensors_writer *w, const char *name, enum dtype_id type, int n_dims,
                              const int64_t *shape);
void safetensors_write_data(struct safetensors_writer *w, const void *data, size_t n);
/* Whether there was a failure: what is written from then on goes nowhere, and who has much of it to make can stop. */
bool safetensors_writer_failed(const struct safetensors_writer *w);
/* Both free the writer and set it to NULL; abandoning NULL is fine. */
int safetensors_writer_commit(struct safetensors_writer **w, struct error *e);
void safetensors_writer_abandon(struct safetensors_writer **w);

#endif
