#include "engine/formats/safetensors.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/json_walk.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"
#include "engine/base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* The reference implementation has a limit of 100 MB, which would cost a second. The largest models there are have 100,000
 * tensors in 160 files, and a tensor takes some 100 bytes: more is an attack, not a model. */
static const uint64_t header_limit = 16 * 1000 * 1000;
enum { MOST_TENSORS = 200000, ENTRY_BYTES = 1 << 16 };

struct safetensors {
    struct file file;
    const char *header;
    size_t header_size;
    struct text all_names; /* one after the other, each with a NUL, in the file's order */
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
    if (file_check_pointer(f, e)) return false;
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
    if (!n || f->data[sizeof n] != '{') {
        error_set(e, ERROR_INPUT, "%s: offset 0x8: header: must be a JSON object that begins with {", f->path);
        return false;
    }
    s->header = (const char *)f->data + sizeof n;
    s->header_size = n;
    s->data = f->data + sizeof n + n;
    s->size = left - n;
    return true;
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

/* The entry of the walk, to be freed; NULL with an error. */
static json_t *entry(const struct safetensors *s, const struct json_walk *w, struct error *e)
{
    json_t *v = json_walk_value(w, e);
    if (!v) error_prefix(e, "%s: offset 0x8: header: \"%.128s\"", s->file.path, w->key);
    return v;
}

static bool read_tensor(struct safetensors *s, struct tensor *t, const struct json_walk *w, struct error *e)
{
    *t = (struct tensor){.name = w->key};
    if (!*t->name) return bad(s, t->name, "name", e, "is empty");
    if (w->size > ENTRY_BYTES) return bad(s, t->name, "value", e, "has more than %d bytes", (int)ENTRY_BYTES);
    json_t *info = entry(s, w, e);
    if (!info) return false;
    const bool good = (json_is_object(info) || bad(s, t->name, "value", e, "must be an object")) &&
                      read_dtype(s, t, info, e) && read_shape(s, t, info, e) && read_offsets(s, t, info, e);
    json_decref(info);
    text_bytes(&s->all_names, t->name, strlen(t->name) + 1);
    if (!s->all_names.failed) return good;
    error_set(e, ERROR_IO, "%s: out of memory for names", s->file.path);
    return false;
}

/* Keys of the header, the metadata among them; false with an error. */
static bool count_entries(const struct safetensors *s, size_t *n, struct error *e)
{
    struct json_walk w;
    *n = 0;
    if (!json_walk_open(&w, s->header, s->header, s->header_size, '{', e))
        while (*n <= MOST_TENSORS && json_walk_next(&w, e)) ++*n;
    json_walk_close(&w);
    if (!w.status && *n > MOST_TENSORS) w.status = error_set(e, ERROR_INPUT, "has more than %d keys", MOST_TENSORS);
    if (w.status) error_prefix(e, "%s: offset 0x8: header", s->file.path);
    return !w.status;
}

static bool read_metadata(const struct safetensors *s, const struct json_walk *w, bool *there, struct error *e)
{
    if (*there) {
        error_set(e, ERROR_INPUT, "%s: __metadata__: is there twice", s->file.path);
        return false;
    }
    json_t *metadata = entry(s, w, e);
    const bool good = metadata && check_metadata(s, metadata, e);
    json_decref(metadata);
    return *there = good;
}

static bool read_tensors(struct safetensors *s, struct error *e)
{
    struct json_walk w;
    size_t n;
    bool good = true, metadata = false;
    if (!count_entries(s, &n, e) || !(s->tensors = memory_new(n, sizeof *s->tensors, "tensors", e))) return false;
    json_walk_open(&w, s->header, s->header, s->header_size, '{', e);
    while (good && json_walk_next(&w, e)) {
        if (strcmp(w.key, "__metadata__") == 0)
            good = read_metadata(s, &w, &metadata, e);
        else if ((good = read_tensor(s, &s->tensors[s->count], &w, e)))
            s->count++;
    }
    json_walk_close(&w);
    if (good && w.status) error_prefix(e, "%s: offset 0x8: header", s->file.path);
    const char *name = text_c(&s->all_names);
    for (size_t i = 0; i < s->count; name += strlen(name) + 1, i++) s->tensors[i].name = name;
    return good && !w.status;
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
    bool twice;
    for (size_t i = 0; i < s->count; i++) {
        const struct tensor *t = &s->tensors[i];
        if (table_add(&s->names, t->name, strlen(t->name), (int64_t)i, &twice, e)) return false;
        if (twice) return bad(s, t->name, "name", e, "is there twice");
    }
    for (size_t i = 0; i < s->count; i++) {
        const struct tensor *t = &s->tensors[i];
        size_t begin = (size_t)((const uint8_t *)t->data - s->data);
        if (begin != end)
            return bad(s, t->name, "data_offsets", e, "%s: begins at %zu, but %s ends at %zu",
                       begin < end ? "overlap" : "gap", begin, i ? "the tensor before it" : "the header", end);
        end += t->bytes;
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
    text_free(&s->all_names);
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
