#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"
#include "engine/base/text.h"
#include "engine/formats/gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 3, ALIGNMENT = 32 };

struct declared {
    const char *name; /* owned by the table of names */
    enum dtype_id type;
    int n_dims;
    int64_t shape[TENSOR_DIMS];
    size_t bytes;
};

struct gguf_writer {
    struct output output;
    struct error error; /* the first failure */
    uint32_t alignment;
    struct table keys, names; /* both own their strings */
    struct text metadata;
    struct declared *tensors;
    size_t count, capacity;
    bool has_header;
    size_t current, written; /* the tensor whose data comes next, and how much of it has come */
};

static bool failed(const struct gguf_writer *w) { return w->error.code != ERROR_NONE; }

bool gguf_writer_failed(const struct gguf_writer *w) { return failed(w); }

static void put(struct gguf_writer *w, const void *data, size_t n)
{
    if (!failed(w) && n && fwrite(data, 1, n, w->output.stream) != n) error_errno(&w->error, w->output.path, "write");
}

static void put_padding(struct gguf_writer *w, size_t n)
{
    static const uint8_t zeros[64];
    for (; n > sizeof zeros; n -= sizeof zeros) put(w, zeros, sizeof zeros);
    put(w, zeros, n);
}

static size_t padding_after(const struct gguf_writer *w, size_t n)
{
    return (w->alignment - n % w->alignment) % w->alignment;
}

/* --- metadata --- */

static void add_string(struct text *t, const void *bytes, size_t length)
{
    text_bytes(t, &(uint64_t){length}, 8);
    text_bytes(t, bytes, length);
}

/* Takes a key or name into a table that owns its strings; NULL where it is there already or nothing may come. */
static const char *register_name(struct gguf_writer *w, struct table *t, const char *what, const char *bytes, size_t n)
{
    if (failed(w)) return NULL;
    if (w->has_header || !n || memchr(bytes, 0, n)) {
        error_set(&w->error, ERROR_IO, "%s: %s \"%.*s\" %s", w->output.path, what, (int)(n < 128 ? n : 128), bytes,
                  w->has_header ? "comes after the first data" : "is no name");
        return NULL;
    }
    char *copy = memory_bytes(bytes, n, &w->error);
    bool twice = false;
    if (!copy || table_add(t, copy, n, (int64_t)t->count, &twice, &w->error) || twice) {
        if (twice) error_set(&w->error, ERROR_IO, "%s: %s \"%.128s\" is written twice", w->output.path, what, copy);
        free(copy);
        return NULL;
    }
    return copy;
}

/* The key and the type; false where no value may follow. */
static bool begin(struct gguf_writer *w, const char *key, size_t length, enum gguf_type type)
{
    if (!register_name(w, &w->keys, "key", key, length)) return false;
    add_string(&w->metadata, key, length);
    text_bytes(&w->metadata, &(uint32_t){type}, 4);
    return true;
}

static void write_scalar(struct gguf_writer *w, const char *key, enum gguf_type type, const void *v)
{
    if (begin(w, key, strlen(key), type)) text_bytes(&w->metadata, v, gguf_type_bytes(type));
}

static bool begin_array(struct gguf_writer *w, const char *key, size_t length, enum gguf_type element, uint64_t n)
{
    if (!begin(w, key, length, GGUF_ARRAY)) return false;
    text_bytes(&w->metadata, &(uint32_t){element}, 4);
    text_bytes(&w->metadata, &n, 8);
    return true;
}

/* Whether the key is general.alignment, which the writer follows and leaves out where it is the default. */
static bool is_alignment(struct gguf_writer *w, const char *key, size_t length, uint32_t v)
{
    static const char name[] = "general.alignment";
    if (length != sizeof name - 1 || memcmp(key, name, length) != 0) return false;
    if (failed(w)) return true;
    if (v < 8 || (v & (v - 1))) {
        error_set(&w->error, ERROR_IO, "%s: %s: %" PRIu32 " is not a power of two of at least 8", w->output.path, name,
                  v);
    } else if (v != ALIGNMENT && begin(w, key, length, GGUF_U32)) {
        text_bytes(&w->metadata, &v, 4);
        w->alignment = v;
    }
    return true;
}

void gguf_write_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    if (!is_alignment(w, key, strlen(key), v)) write_scalar(w, key, GGUF_U32, &v);
}

void gguf_write_f32(struct gguf_writer *w, const char *key, float v) { write_scalar(w, key, GGUF_F32, &v); }
void gguf_write_bool(struct gguf_writer *w, const char *key, bool v) { write_scalar(w, key, GGUF_BOOL, &(uint8_t){v}); }

void gguf_write_string(struct gguf_writer *w, const char *key, const char *s)
{
    if (begin(w, key, strlen(key), GGUF_STRING)) add_string(&w->metadata, s, strlen(s));
}

void gguf_write_strings(struct gguf_writer *w, const char *key, const struct gguf_string *s, size_t n)
{
    if (!begin_array(w, key, strlen(key), GGUF_STRING, n)) return;
    for (size_t i = 0; i < n; i++) add_string(&w->metadata, s[i].bytes, s[i].length);
}

void gguf_write_i32s(struct gguf_writer *w, const char *key, const int32_t *v, size_t n)
{
    if (begin_array(w, key, strlen(key), GGUF_I32, n)) text_bytes(&w->metadata, v, n * sizeof *v);
}

void gguf_write_f32s(struct gguf_writer *w, const char *key, const float *v, size_t n)
{
    if (begin_array(w, key, strlen(key), GGUF_F32, n)) text_bytes(&w->metadata, v, n * sizeof *v);
}

void gguf_write_value(struct gguf_writer *w, const struct gguf_value *v)
{
    uint64_t number = 0;
    gguf_as_u64(v, &number);
    if (v->type == GGUF_U32 && is_alignment(w, v->key.bytes, v->key.length, (uint32_t)number)) return;
    bool good = v->type == GGUF_ARRAY ? begin_array(w, v->key.bytes, v->key.length, v->element, v->count)
                                      : begin(w, v->key.bytes, v->key.length, v->type);
    if (good) text_bytes(&w->metadata, v->data, v->bytes);
}

/* --- tensors --- */

void gguf_write_tensor(struct gguf_writer *w, const char *name, enum dtype_id type, int n_dims, const int64_t *shape)
{
    struct declared d = {.type = type, .n_dims = n_dims};
    d.name = register_name(w, &w->names, "tensor", name, strlen(name));
    if (!d.name) return;
    if (!tensor_bytes(type, n_dims, shape, &d.bytes)) {
        error_set(&w->error, ERROR_IO, "%s: tensor \"%.128s\": no file can have this type and shape", w->output.path,
                  name);
        return;
    }
    if (memory_reserve((void **)&w->tensors, &w->capacity, w->count + 1, sizeof d, "tensor infos", &w->error)) return;
    for (int i = 0; i < n_dims; i++) d.shape[i] = shape[i];
    w->tensors[w->count++] = d;
}

static void add_infos(const struct gguf_writer *w, struct text *t)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct declared *d = &w->tensors[i];
        add_string(t, d->name, strlen(d->name));
        text_bytes(t, &(uint32_t){(uint32_t)d->n_dims}, 4);
        for (int k = d->n_dims - 1; k >= 0; k--) text_bytes(t, &d->shape[k], 8);
        text_bytes(t, &(uint32_t){(uint32_t)d->type}, 4);
        text_bytes(t, &offset, 8);
        offset += d->bytes + padding_after(w, d->bytes);
    }
}

/* Ends every tensor whose bytes have all come: of a tensor of size zero that is before any. */
static void end_tensors(struct gguf_writer *w)
{
    while (w->current < w->count && w->written == w->tensors[w->current].bytes) {
        put_padding(w, padding_after(w, w->written));
        w->written = 0;
        w->current++;
    }
}

static void write_header(struct gguf_writer *w)
{
    if (w->has_header || failed(w)) return;
    w->has_header = true;
    struct text head = {0}, infos = {0};
    text_add(&head, "GGUF");
    text_bytes(&head, &(uint32_t){VERSION}, 4);
    text_bytes(&head, &(uint64_t){w->count}, 8);
    text_bytes(&head, &(uint64_t){w->keys.count}, 8);
    add_infos(w, &infos);
    if (head.failed || infos.failed || w->metadata.failed)
        error_set(&w->error, ERROR_IO, "%s: out of memory for the header", w->output.path);
    put(w, head.bytes, head.length);
    put(w, w->metadata.bytes, w->metadata.length);
    put(w, infos.bytes, infos.length);
    put_padding(w, padding_after(w, head.length + w->metadata.length + infos.length));
    text_free(&head);
    text_free(&infos);
    end_tensors(w);
}

void gguf_write_data(struct gguf_writer *w, const void *data, size_t n)
{
    const uint8_t *p = data;
    write_header(w);
    while (n && !failed(w)) {
        if (w->current == w->count) {
            error_set(&w->error, ERROR_IO, "%s: %zu bytes of data beyond the last declared tensor", w->output.path, n);
            return;
        }
        size_t piece = w->tensors[w->current].bytes - w->written;
        if (piece > n) piece = n;
        put(w, p, piece);
        p += piece;
        n -= piece;
        w->written += piece;
        end_tensors(w);
    }
}

/* --- the file --- */

int gguf_writer_open(struct gguf_writer **out, const char *path, struct error *e)
{
    *out = NULL;
    struct gguf_writer *w = memory_new(1, sizeof *w, "a GGUF writer", e);
    if (!w) return ERROR_IO;
    w->alignment = ALIGNMENT;
    if (output_open(&w->output, path, e)) {
        free(w);
        return ERROR_IO;
    }
    *out = w;
    return 0;
}

static void free_names(struct table *t)
{
    for (size_t i = 0; i < t->capacity; i++) free((void *)(uintptr_t)t->slots[i].key);
    table_free(t);
}

void gguf_writer_abandon(struct gguf_writer **w)
{
    if (!*w) return;
    output_abandon(&(*w)->output);
    free_names(&(*w)->keys);
    free_names(&(*w)->names);
    text_free(&(*w)->metadata);
    free((*w)->tensors);
    free(*w);
    *w = NULL;
}

void gguf_writer_fail(struct gguf_writer *w, const struct error *why)
{
    if (!failed(w)) w->error = *why;
}

int gguf_writer_commit(struct gguf_writer **out, struct error *e)
{
    struct gguf_writer *w = *out;
    write_header(w);
    if (!failed(w) && w->current < w->count)
        error_set(&w->error, ERROR_IO, "%s: tensor \"%.128s\" got %zu of its %zu bytes of data", w->output.path,
                  w->tensors[w->current].name, w->written, w->tensors[w->current].bytes);
    int status = failed(w) ? error_set(e, w->error.code, "%s", w->error.text) : output_commit(&w->output, e);
    gguf_writer_abandon(out);
    return status;
}
