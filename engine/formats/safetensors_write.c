#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/formats/safetensors.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 8 }; /* of the data's begin, as the reference implementation pads its header */

struct safetensors_writer {
    struct output output;
    struct error error; /* the first failure */
    json_t *header;
    size_t *sizes; /* [count], bytes of each tensor */
    size_t count, capacity;
    size_t end; /* of the declared data */
    bool has_header;
    size_t current, written; /* the tensor whose data comes next, and how much of it has come */
};

static bool failed(const struct safetensors_writer *w) { return w->error.code != ERROR_NONE; }

bool safetensors_writer_failed(const struct safetensors_writer *w) { return failed(w); }

static void put(struct safetensors_writer *w, const void *data, size_t n)
{
    if (!failed(w) && n && fwrite(data, 1, n, w->output.stream) != n) error_errno(&w->error, w->output.path, "write");
}

/* The types that have a name in the format and in struct tensor. */
static const char *type_name(enum dtype_id type)
{
    switch (type) {
    case DTYPE_F64:
    case DTYPE_F32:
    case DTYPE_F16:
    case DTYPE_BF16:
    case DTYPE_I64:
    case DTYPE_I32:
    case DTYPE_I16:
    case DTYPE_I8:
        return dtype_of((int)type)->name;
    default:
        return NULL;
    }
}

static int refuse(struct safetensors_writer *w, const char *name, const char *why)
{
    return error_set(&w->error, ERROR_IO, "%s: tensor \"%.128s\": %s", w->output.path, name, why);
}

static int check_declared(struct safetensors_writer *w, const char *name, enum dtype_id type, int n_dims,
                          const int64_t *shape, size_t *bytes)
{
    if (failed(w)) return (int)w->error.code;
    if (w->has_header) return refuse(w, name, "comes after the first data");
    if (!*name || strcmp(name, "__metadata__") == 0 || json_object_get(w->header, name))
        return refuse(w, name, "is no name or is written twice");
    if (!type_name(type)) return refuse(w, name, "the format has no such type");
    if (n_dims > TENSOR_DIMS || !tensor_bytes(type, n_dims, shape, bytes) || *bytes > INT64_MAX - w->end)
        return refuse(w, name, "no file can have this shape");
    if (w->end % dtype_of((int)type)->block_bytes) return refuse(w, name, "its data would not be aligned");
    return 0;
}

void safetensors_write_tensor(struct safetensors_writer *w, const char *name, enum dtype_id type, int n_dims,
                              const int64_t *shape)
{
    size_t bytes;
    if (check_declared(w, name, type, n_dims, shape, &bytes)) return;
    if (memory_reserve((void **)&w->sizes, &w->capacity, w->count + 1, sizeof *w->sizes, "tensors", &w->error)) return;
    json_t *dims = json_array();
    for (int i = 0; i < n_dims; i++) json_array_append_new(dims, json_integer(shape[i]));
    json_t *info = json_pack("{s:s, s:o, s:[I, I]}", "dtype", type_name(type), "shape", dims, "data_offsets",
                             (json_int_t)w->end, (json_int_t)(w->end + bytes));
    if (json_object_set_new(w->header, name, info)) refuse(w, name, "is not UTF-8, or memory ran out");
    w->sizes[w->count++] = bytes;
    w->end += bytes;
}

/* Ends every tensor whose bytes have all come: of a tensor of size zero that is before any. */
static void end_tensors(struct safetensors_writer *w)
{
    while (w->current < w->count && w->written == w->sizes[w->current]) w->current++, w->written = 0;
}

static void write_header(struct safetensors_writer *w)
{
    if (w->has_header || failed(w)) return;
    w->has_header = true;
    char *text = json_dump_text(w->header, JSON_COMPACT, NULL);
    if (!text) {
        error_set(&w->error, ERROR_IO, "%s: out of memory for the header", w->output.path);
        return;
    }
    size_t n = strlen(text);
    uint64_t padded = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    put(w, &padded, sizeof padded);
    put(w, text, n);
    put(w, "        ", (size_t)padded - n);
    free(text);
    end_tensors(w);
}

void safetensors_write_data(struct safetensors_writer *w, const void *data, size_t n)
{
    const uint8_t *p = data;
    write_header(w);
    while (n && !failed(w)) {
        if (w->current == w->count) {
            error_set(&w->error, ERROR_IO, "%s: %zu bytes of data beyond the last declared tensor", w->output.path, n);
            return;
        }
        size_t piece = w->sizes[w->current] - w->written;
        if (piece > n) piece = n;
        put(w, p, piece);
        p += piece;
        n -= piece;
        w->written += piece;
        end_tensors(w);
    }
}

int safetensors_writer_open(struct safetensors_writer **out, const char *path, struct error *e)
{
    *out = NULL;
    struct safetensors_writer *w = memory_new(1, sizeof *w, "a safetensors writer", e);
    if (!w) return ERROR_IO;
    /* "pt": the tensors are as PyTorch has them, which is what transformers looks for */
    w->header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    int status = w->header ? output_open(&w->output, path, e) : error_set(e, ERROR_IO, "%s: out of memory", path);
    if (status) {
        json_decref(w->header);
        free(w);
        return status;
    }
    *out = w;
    return 0;
}

void safetensors_writer_abandon(struct safetensors_writer **w)
{
    if (!*w) return;
    output_abandon(&(*w)->output);
    json_decref((*w)->header);
    free((*w)->sizes);
    free(*w);
    *w = NULL;
}

int safetensors_writer_commit(struct safetensors_writer **out, struct error *e)
{
    struct safetensors_writer *w = *out;
    write_header(w);
    if (!failed(w) && w->current < w->count)
        error_set(&w->error, ERROR_IO, "%s: tensor %zu of %zu got %zu of its %zu bytes of data", w->output.path,
                  w->current, w->count, w->written, w->sizes[w->current]);
    int status = failed(w) ? error_set(e, w->error.code, "%s", w->error.text) : output_commit(&w->output, e);
    safetensors_writer_abandon(out);
    return status;
}
