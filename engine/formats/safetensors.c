#include "engine/formats/safetensors.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* As in the reference implementation: more is an attack, not a model. */
static const uint64_t header_limit = 100 * 1000 * 1000;

struct safetensors {
    struct file file;
    json_t *header; /* owns the names */
    const uint8_t *data;
    size_t size; /* of the data */
    struct tensor *tensors;
    size_t count;
    struct table names;
};

/* "FILE: tensor "NAME": field: what"; false */
__attribute__((format(printf, 5, 6))) static bool bad(const struct safetensors *s, const char *name, const char *field,
                                                      struct error *e, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    error_set(e, ERROR_INPUT, "%s: tensor \"%.128s\": %s: %s", s->file.path, name, field, what);
    return false;
}

static bool read_header(struct safetensors *s, struct error *e)
{
    const struct file *f = &s->file;
    uint64_t n;
    if (f->size < sizeof n) {
        error_set(e, ERROR_INPUT, "%s: offset 0x0: header length: takes 8 bytes, but the file has %zu", f->path,
                  f->size);
        return false;
    }
    memcpy(&n, f->data, sizeof n);
    size_t left = f->size - sizeof n;
    if (n > header_limit || n > left) {
        error_set(e, ERROR_INPUT, "%s: offset 0x0: header length: %" PRIu64 " is more than %s, %" PRIu64, f->path, n,
                  n > left ? "the bytes that follow" : "is allowed", n > left ? left : header_limit);
        return false;
    }
    char where[512];
    snprintf(where, sizeof where, "%.480s: offset 0x8: header", f->path);
    if (!n || f->data[sizeof n] != '{') {
        error_set(e, ERROR_INPUT, "%s: must be a JSON object that begins with {", where);
        return false;
    }
    s->header = json_read_bytes((const char *)f->data + sizeof n, n, where, e);
    s->data = f->data + sizeof n + n;
    s->size = left - n;
    return s->header != NULL;
}

static bool check_metadata(const struct safetensors *s, const json_t *metadata, struct error *e)
{
    const char *key;
    json_t *value;
    bool good = json_is_object(metadata);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) good = good && json_is_string(value);
    if (!good) error_set(e, ERROR_INPUT, "%s: __metadata__: must be an object of strings", s->file.path);
    return good;
}

static bool read_dtype(const struct safetensors *s, struct tensor *t, const json_t *info, struct error *e)
{
    /* U8 and BOOL have no type of their own here: they hold masks and packed bits, which only their owner can read. */
    static const struct {
        const char *name;
        enum dtype_id type;
    } names[] = {{"F64", DTYPE_F64}, {"F32", DTYPE_F32}, {"F16", DTYPE_F16}, {"BF16", DTYPE_BF16}, {"I64", DTYPE_I64},
                 {"I32", DTYPE_I32}, {"I16", DTYPE_I16}, {"I8", DTYPE_I8},   {"U8", DTYPE_I8},     {"BOOL", DTYPE_I8}};
    const char *name = json_string_value(json_object_get(info, "dtype"));
    if (!name) return bad(s, t->name, "dtype", e, "must be a string");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i].name) != 0) continue;
        t->type = names[i].type;
        return true;
    }
    return bad(s, t->name, "dtype", e, "\"%.64s\" is not supported (F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL are)",
               name);
}

static bool read_shape(const struct safetensors *s, struct tensor *t, const json_t *info, struct error *e)
{
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape)) return bad(s, t->name, "shape", e, "must be an array");
    size_t n = json_array_size(shape);
    if (n > TENSOR_DIMS) return bad(s, t->name, "shape", e, "%zu dimensions are more than %d", n, TENSOR_DIMS);
    t->n_dims = (int)n;
    for (size_t i = 0; i < TENSOR_DIMS; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (i < n && (!json_is_integer(dim) || json_integer_value(dim) < 0))
            return bad(s, t->name, "shape", e, "dimension %zu is no integer of at least 0", i);
        t->shape[i] = i < n ? json_integer_value(dim) : 1;
    }
    if (!tensor_bytes(t->type, t->n_dims, t->shape, &t->bytes))
        return bad(s, t->name, "shape", e, "the product of the dimensions is more than 2^63 - 1");
    return true;
}

static bool read_offsets(const struct safetensors *s, struct tensor *t, const json_t *info, struct error *e)
{
    const json_t *offsets = json_object_get(info, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return bad(s, t->name, "data_offsets", e, "must be two integers");
    json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || begin > end)
        return bad(s, t->name, "data_offsets", e, "[%lld, %lld] is no range", (long long)begin, (long long)end);
    if ((uint64_t)end > s->size)
        return bad(s, t->name, "data_offsets", e, "[%lld, %lld] exceeds the data, %zu bytes", (long long)begin,
                   (long long)end, s->size);
    if ((uint64_t)(end - begin) != t->bytes)
        return bad(s, t->name, "data_offsets", e, "[%lld, %lld] is %lld bytes, but dtype and shape take %zu",
                   (long long)begin, (long long)end, (long long)(end - begin), t->bytes);
    t->data = s->data + begin;
    return true;
}

static bool read_tensors(struct safetensors *s, struct error *e)
{
    const char *name;
    json_t *info;
    s->tensors = memory_new(json_object_size(s->header), sizeof *s->tensors, "tensors", e);
    if (!s->tensors) return false;
    json_object_foreach(s->header, name, info)
    {
        if (strcmp(name, "__metadata__") == 0) {
            if (!check_metadata(s, info, e)) return false;
            continue;
        }
        struct tensor *t = &s->tensors[s->count];
        *t = (struct tensor){.name = name};
        if (!*name) return bad(s, name, "name", e, "is empty");
        if (!json_is_object(info)) return bad(s, name, "value", e, "must be an object");
        if (!read_dtype(s, t, info, e) || !read_shape(s, t, info, e) || !read_offsets(s, t, info, e)) return false;
        s->count++;
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    if (p != q) return p > q ? 1 : -1;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? 1 : -1; /* an empty one comes before what begins there */
    return strcmp(x->name, y->name);
}

/* Puts the tensors in order and checks that they cover the data. */
static bool place_tensors(struct safetensors *s, struct error *e)
{
    qsort(s->tensors, s->count, sizeof *s->tensors, by_place);
    size_t end = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct tensor *t = &s->tensors[i];
        size_t begin = (size_t)((const uint8_t *)t->data - s->data);
        if (begin != end)
            return bad(s, t->name, "data_offsets", e, "%s: begins at %zu, but %s ends at %zu",
                       begin < end ? "overlap" : "gap", begin, i ? "the tensor before it" : "the header", end);
        end += t->bytes;
        if (table_add(&s->names, t->name, strlen(t->name), (int64_t)i, NULL, e)) return false;
    }
    if (end == s->size) return true;
    error_set(e, ERROR_INPUT, "%s: data: %zu bytes follow the last tensor", s->file.path, s->size - end);
    return false;
}

int safetensors_open(struct safetensors **out, const char *path, struct error *e)
{
    struct error ours;
    if (!e) e = &ours;
    *out = NULL;
    struct safetensors *s = memory_new(1, sizeof *s, "a safetensors file", e);
    if (!s) return ERROR_IO;
    if (file_map(&s->file, path, e) || !read_header(s, e) || !read_tensors(s, e) || !place_tensors(s, e)) {
        safetensors_close(s);
        return (int)e->code;
    }
    *out = s;
    return 0;
}

void safetensors_close(struct safetensors *s)
{
    if (!s) return;
    table_free(&s->names);
    free(s->tensors);
    json_decref(s->header);
    file_unmap(&s->file);
    free(s);
}

const char *safetensors_path(const struct safetensors *s) { return s->file.path; }
size_t safetensors_size(const struct safetensors *s) { return s->file.size; }
const uint8_t *safetensors_bytes(const struct safetensors *s) { return s->file.data; }
size_t safetensors_count(const struct safetensors *s) { return s->count; }
const struct tensor *safetensors_at(const struct safetensors *s, size_t i) { return &s->tensors[i]; }

const struct tensor *safetensors_tensor(const struct safetensors *s, const char *name)
{
    int64_t i;
    return table_find(&s->names, name, strlen(name), &i) ? &s->tensors[i] : NULL;
}
