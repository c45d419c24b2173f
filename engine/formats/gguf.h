/* GGUF, versions 2 and 3 (little-endian), read through a mapping and written as a stream.
 *
 * Layout (specification: ggml/docs/gguf.md):
 *     "GGUF"  u32 version  u64 tensor_count  u64 metadata_count
 *     metadata_count x { string key, u32 type, value }          string = u64 length, bytes (no NUL)
 *                                                               array  = u32 type, u64 count, values
 *     tensor_count x { string name, u32 n_dims, u64 dims[n_dims] (fastest first), u32 type, u64 offset }
 *     padding to general.alignment (32 by default), then the data; offsets count from here and are aligned
 *
 *     struct gguf *g;
 *     if (gguf_open(&g, path, e)) return e->code;
 *     const struct gguf_value *v = gguf_find(g, "llama.block_count");
 *     uint64_t layers;
 *     if (!v || !gguf_as_u64(v, &layers)) ...
 *     const struct tensor *w = gguf_tensor(g, "token_embd.weight");
 *     gguf_close(g);
 *
 * Everything that is returned points into the mapping or into g, and dies with gguf_close(). The file is untrusted:
 * every count, length, offset and shape is checked against the bytes that are there before it is used, and each error
 * names file, offset and field. Big-endian files, version 1 and arrays of arrays are refused by name. The specification
 * lets general.alignment be any multiple of 8; here it must be a power of two, as in ggml. */
#ifndef KERF_ENGINE_FORMATS_GGUF_H
#define KERF_ENGINE_FORMATS_GGUF_H

#include "engine/base/error.h"
#include "engine/tensor.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPES
};

struct gguf_string {
    const char *bytes; /* not NUL-terminated */
    size_t length;
};

struct gguf_value {
    struct gguf_string key;
    enum gguf_type type;
    enum gguf_type element; /* of an array, else type again */
    uint64_t count;         /* elements of an array, else 1 */
    const uint8_t *data;    /* the value as in the file: of an array its first element, of a string its length field */
    size_t bytes;           /* of data, all of it */
};

struct gguf;

int gguf_open(struct gguf **out, const char *path, struct error *e);
void gguf_close(struct gguf *g); /* NULL is fine */

const char *gguf_path(const struct gguf *g);
size_t gguf_size(const struct gguf *g); /* of the file, in bytes */
const uint8_t *gguf_bytes(const struct gguf *g);
uint32_t gguf_version(const struct gguf *g);
size_t gguf_value_count(const struct gguf *g);
const struct gguf_value *gguf_value(const struct gguf *g, size_t i); /* in file order */
const struct gguf_value *gguf_find(const struct gguf *g, const char *key);
size_t gguf_tensor_count(const struct gguf *g);
const struct tensor *gguf_tensor_at(const struct gguf *g, size_t i); /* in file order */
const struct tensor *gguf_tensor(const struct gguf *g, const char *name);

const char *gguf_type_name(enum gguf_type type);
size_t gguf_type_bytes(enum gguf_type type); /* of one value; of a string its length field, of an array 0 */
/* Conversions that lose nothing: any integer type that fits, any float type, bool. False otherwise. */
bool gguf_as_u64(const struct gguf_value *v, uint64_t *out);
bool gguf_as_f64(const struct gguf_value *v, double *out); /* integers too */
bool gguf_as_bool(const struct gguf_value *v, bool *out);
bool gguf_as_string(const struct gguf_value *v, struct gguf_string *out);
/* The elements of an array of strings, in a new array of v->count to be freed; NULL with an error where v is none. */
struct gguf_string *gguf_strings(const struct gguf *g, const struct gguf_value *v, struct error *e);
/* Element i (< count) of an array of numbers. */
bool gguf_element_f64(const struct gguf_value *v, uint64_t i, double *out);
bool gguf_element_i64(const struct gguf_value *v, uint64_t i, int64_t *out);

/* --- writing: metadata and tensor infos first, then the data of each tensor in the same order ---
 *
 *     struct gguf_writer *w;
 *     gguf_writer_open(&w, "out.gguf", e);
 *     gguf_write_string(w, "general.architecture", "llama");
 *     gguf_write_tensor(w, "token_embd.weight", DTYPE_F16, 2, shape);       declares
 *     ...
 *     gguf_write_data(w, bytes, n);         the tensors' bytes in the order declared, in pieces of any size
 *     if (gguf_writer_commit(&w, e)) ...    temp file, fsync, rename; w is gone either way
 *
 * The first failure is kept and returned by commit, so the calls between need no checks. What the reader would refuse
 * (a key or name given twice, a shape that wraps) and data that is not exactly what was declared are failures too.
 * Tensors are aligned to 32 bytes; general.alignment is written, and followed, where it is given and differs. */
struct gguf_writer;

int gguf_writer_open(struct gguf_writer **out, const char *path, struct error *e);
void gguf_write_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_write_f32(struct gguf_writer *w, const char *key, float v);
void gguf_write_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_write_string(struct gguf_writer *w, const char *key, const char *s);
void gguf_write_strings(struct gguf_writer *w, const char *key, const struct gguf_string *s, size_t n);
void gguf_write_i32s(struct gguf_writer *w, const char *key, const int32_t *v, size_t n);
void gguf_write_f32s(struct gguf_writer *w, const char *key, const float *v, size_t n);
void gguf_write_value(struct gguf_writer *w,
                      const struct gguf_value *v); /* copies one from another file, byte for byte */
void gguf_write_tensor(struct gguf_writer *w, const char *name, enum dtype_id type, int n_dims, const int64_t *shape);
void gguf_write_data(struct gguf_writer *w, const void *data, size_t n);
/* Whether there was a failure: what is written from then on goes nowhere, and who has much of it to make can stop. */
bool gguf_writer_failed(const struct gguf_writer *w);
/* Makes commit fail with this error, for a caller who could not make what should have been written. */
void gguf_writer_fail(struct gguf_writer *w, const struct error *why);
int gguf_writer_commit(struct gguf_writer **w, struct error *e);
void gguf_writer_abandon(struct gguf_writer **w);

#endif
