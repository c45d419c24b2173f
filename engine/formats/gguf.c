#include "engine/formats/gguf.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are taken from the file as they are");

enum {
    ALIGNMENT = 32,                   /* where general.alignment is not given */
    KEY_LIMIT = 65535,                /* bytes, by the specification */
    VALUE_LEAST = 8 + 1 + 4 + 1,      /* bytes of the smallest key and value: length, key, type, value */
    TENSOR_LEAST = 8 + 1 + 4 + 4 + 8, /* and of the smallest tensor info: length, name, n_dims, type, offset */
    MOST_ENTRIES = 200000             /* keys, and tensors: as in a header of safetensors */
};

static const struct {
    const char *name;
    size_t bytes; /* of one; of a string its length field, of an array nothing that could be known */
} types[GGUF_TYPES] = {
    [GGUF_U8] = {"u8", 1},         [GGUF_I8] = {"i8", 1},       [GGUF_U16] = {"u16", 2}, [GGUF_I16] = {"i16", 2},
    [GGUF_U32] = {"u32", 4},       [GGUF_I32] = {"i32", 4},     [GGUF_F32] = {"f32", 4}, [GGUF_BOOL] = {"bool", 1},
    [GGUF_STRING] = {"string", 8}, [GGUF_ARRAY] = {"array", 0}, [GGUF_U64] = {"u64", 8}, [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

struct entry {
    struct tensor tensor;
    uint64_t offset; /* from the start of the data */
    size_t at;       /* of the offset field, for errors */
};

struct gguf {
    struct file file;
    uint32_t version;
    uint32_t alignment;
    struct gguf_value *values;
    struct entry *entries;
    size_t value_count, value_capacity, entry_count, entry_capacity;
    struct table keys, names;
};

/* --- the cursor: where we read, and how an error there is worded --- */

struct cursor {
    const struct file *file;
    size_t at;
    const char *part; /* "metadata" or "tensor"; NULL in the header */
    uint64_t index;
    struct gguf_string name; /* of the entry, once it was read */
    struct error *e;
};

__attribute__((format(printf, 4, 5))) static bool bad(const struct cursor *c, size_t at, const char *field,
                                                      const char *format, ...)
{
    char place[160] = "", what[400];
    if (c->name.bytes) {
        int n = c->name.length < 128 ? (int)c->name.length : 128;
        snprintf(place, sizeof place, "%s \"%.*s\": ", c->part, n, c->name.bytes);
    } else if (c->part) {
        snprintf(place, sizeof place, "%s %" PRIu64 ": ", c->part, c->index);
    }
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    error_set(c->e, ERROR_INPUT, "%s: offset 0x%zx: %s%s: %s", c->file->path, at, place, field, what);
    return false;
}

static size_t left(const struct cursor *c) { return c->file->size - c->at; }

/* The next n bytes; NULL where the file ends before. */
static const uint8_t *take(struct cursor *c, size_t n, const char *field)
{
    if (n > left(c)) {
        bad(c, c->at, field, "takes %zu bytes, but only %zu are left in the file", n, left(c));
        return NULL;
    }
    c->at += n;
    return c->file->data + c->at - n;
}

static bool take_u32(struct cursor *c, const char *field, uint32_t *v)
{
    const uint8_t *p = take(c, sizeof *v, field);
    if (p) memcpy(v, p, sizeof *v);
    return p != NULL;
}

static bool take_u64(struct cursor *c, const char *field, uint64_t *v)
{
    const uint8_t *p = take(c, sizeof *v, field);
    if (p) memcpy(v, p, sizeof *v);
    return p != NULL;
}

/* A count of things that take at least `least` bytes each, all of which must still come. */
static bool take_count(struct cursor *c, const char *field, size_t least, uint64_t *n)
{
    size_t start = c->at;
    if (!take_u64(c, field, n)) return false;
    if (*n > left(c) / least)
        return bad(c, start, field, "%" PRIu64 " does not fit in the remaining %zu bytes", *n, left(c));
    return true;
}

static bool take_string(struct cursor *c, const char *field, struct gguf_string *s)
{
    uint64_t n;
    if (!take_count(c, field, 1, &n)) return false;
    *s = (struct gguf_string){(const char *)take(c, n, field), n};
    return s->bytes != NULL;
}

/* A key or a tensor's name: what errors call the entry from here on. */
static bool take_name(struct cursor *c, const char *field, struct gguf_string *s)
{
    size_t start = c->at;
    if (!take_string(c, field, s)) return false;
    if (!s->length) return bad(c, start, field, "is empty");
    if (s->length > KEY_LIMIT)
        return bad(c, start, field, "is %zu bytes long; at most %d are allowed", s->length, KEY_LIMIT);
    if (memchr(s->bytes, 0, s->length)) return bad(c, start, field, "has a NUL byte in it");
    c->name = *s;
    return true;
}

/* --- metadata --- */

static bool take_type(struct cursor *c, const char *field, enum gguf_type *type)
{
    size_t start = c->at;
    uint32_t number;
    if (!take_u32(c, field, &number)) return false;
    if (number >= GGUF_TYPES)
        return bad(c, start, field, "%" PRIu32 " is no value type (0 to %d are)", number, GGUF_TYPES - 1);
    *type = (enum gguf_type)number;
    return true;
}

static bool take_elements(struct cursor *c, struct gguf_value *v)
{
    size_t start = c->at;
    v->data = c->file->data + start;
    if (v->element == GGUF_STRING) {
        struct gguf_string s;
        for (uint64_t i = 0; i < v->count; i++)
            if (!take_string(c, "string length", &s)) return false;
    } else if (!take(c, v->count * types[v->element].bytes, "value")) {
        return false;
    }
    v->bytes = c->at - start;
    for (size_t i = 0; v->element == GGUF_BOOL && i < v->bytes; i++)
        if (v->data[i] > 1) return bad(c, start + i, "bool", "%d is neither 0 nor 1", v->data[i]);
    return true;
}

static bool take_value(struct cursor *c, struct gguf_value *v)
{
    c->name = (struct gguf_string){0};
    if (!take_name(c, "key", &v->key) || !take_type(c, "type", &v->type)) return false;
    v->element = v->type;
    v->count = 1;
    if (v->type == GGUF_ARRAY) {
        size_t start = c->at;
        if (!take_type(c, "array type", &v->element)) return false;
        if (v->element == GGUF_ARRAY) return bad(c, start, "array type", "arrays of arrays are not supported");
        if (!take_count(c, "array count", types[v->element].bytes, &v->count)) return false;
    }
    return take_elements(c, v);
}

static bool read_metadata(struct gguf *g, struct cursor *c, uint64_t count)
{
    c->part = "metadata";
    for (c->index = 0; c->index < count; c->index++) {
        size_t start = c->at;
        if (memory_reserve((void **)&g->values, &g->value_capacity, g->value_count + 1, sizeof *g->values, "metadata",
                           c->e))
            return false;
        struct gguf_value *v = &g->values[g->value_count];
        bool twice;
        if (!take_value(c, v)) return false;
        if (table_add(&g->keys, v->key.bytes, v->key.length, (int64_t)g->value_count, &twice, c->e)) return false;
        if (twice) return bad(c, start, "key", "is there twice");
        g->value_count++;
    }
    return true;
}

static bool read_alignment(struct gguf *g, struct cursor *c)
{
    const struct gguf_value *v = gguf_find(g, "general.alignment");
    g->alignment = ALIGNMENT;
    if (!v) return true;
    size_t at = (size_t)(v->data - g->file.data);
    c->name = v->key;
    if (v->type != GGUF_U32) return bad(c, at, "type", "is %s, but must be u32", types[v->type].name);
    memcpy(&g->alignment, v->data, sizeof g->alignment);
    if (g->alignment < 8 || (g->alignment & (g->alignment - 1)))
        return bad(c, at, "value", "%" PRIu32 " is not a power of two of at least 8", g->alignment);
    return true;
}

/* --- tensor infos --- */

/* Types that files once had and that their makers withdrew (ggml.h, enum ggml_type). */
static const char *retired_type(uint32_t number)
{
    static const char *const names[] = {
        [4] = "Q4_2",      [5] = "Q4_3",        [31] = "Q4_0_4_4",   [32] = "Q4_0_4_8",
        [33] = "Q4_0_8_8", [36] = "IQ4_NL_4_4", [37] = "IQ4_NL_4_8", [38] = "IQ4_NL_8_8"};
    return number < sizeof names / sizeof *names ? names[number] : NULL;
}

static bool take_shape(struct cursor *c, struct tensor *t)
{
    size_t start = c->at;
    uint32_t n_dims;
    if (!take_u32(c, "n_dims", &n_dims)) return false;
    if (n_dims > TENSOR_DIMS) return bad(c, start, "n_dims", "%" PRIu32 " is more than %d", n_dims, TENSOR_DIMS);
    t->n_dims = (int)n_dims;
    for (int i = 0; i < TENSOR_DIMS; i++) t->shape[i] = 1;
    for (int i = t->n_dims - 1; i >= 0; i--) { /* the file begins with the fastest */
        uint64_t dim;
        start = c->at;
        if (!take_u64(c, "dims", &dim)) return false;
        if (dim > INT64_MAX) return bad(c, start, "dims", "%" PRIu64 " is more than 2^63 - 1", dim);
        t->shape[i] = (int64_t)dim;
    }
    return true;
}

static bool take_tensor_type(struct cursor *c, struct tensor *t)
{
    size_t start = c->at;
    uint32_t number;
    if (!take_u32(c, "type", &number)) return false;
    const struct dtype *d = number < DTYPE_LIMIT ? dtype_of((int)number) : NULL;
    if (!d && retired_type(number))
        return bad(c, start, "type", "%" PRIu32 " (%s) was withdrawn from the format: convert the model again", number,
                   retired_type(number));
    if (!d) return bad(c, start, "type", "%" PRIu32 " is no known tensor type", number);
    t->type = (enum dtype_id)number;
    if (tensor_bytes(t->type, t->n_dims, t->shape, &t->bytes)) return true;
    int64_t row = t->n_dims ? t->shape[t->n_dims - 1] : 1;
    if (row % d->block)
        return bad(c, start, "dims", "rows of %" PRId64 " elements are no multiple of the %d in a block of %s", row,
                   d->block, d->name);
    return bad(c, start, "dims", "their product is more than 2^63 - 1 elements or bytes");
}

static bool take_tensor(struct cursor *c, const struct gguf *g, struct entry *entry)
{
    struct gguf_string name;
    c->name = (struct gguf_string){0};
    *entry = (struct entry){0};
    if (!take_name(c, "name", &name) || !take_shape(c, &entry->tensor) || !take_tensor_type(c, &entry->tensor))
        return false;
    entry->at = c->at;
    if (!take_u64(c, "offset", &entry->offset)) return false;
    if (entry->offset % g->alignment)
        return bad(c, entry->at, "offset", "%" PRIu64 " is no multiple of the alignment, %" PRIu32, entry->offset,
                   g->alignment);
    return (entry->tensor.name = memory_bytes(name.bytes, name.length, c->e)) != NULL;
}

static bool read_tensors(struct gguf *g, struct cursor *c, uint64_t count)
{
    c->part = "tensor";
    for (c->index = 0; c->index < count; c->index++) {
        size_t start = c->at;
        if (memory_reserve((void **)&g->entries, &g->entry_capacity, g->entry_count + 1, sizeof *g->entries,
                           "tensor infos", c->e))
            return false;
        struct entry *entry = &g->entries[g->entry_count];
        bool twice;
        if (!take_tensor(c, g, entry)) return false;
        g->entry_count++; /* from here on gguf_close() frees the name */
        if (table_add(&g->names, c->name.bytes, c->name.length, (int64_t)g->entry_count - 1, &twice, c->e))
            return false;
        if (twice) return bad(c, start, "name", "is there twice");
    }
    return true;
}

static int by_offset(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static bool check_overlaps(struct gguf *g, struct cursor *c)
{
    const struct entry **sorted = memory_new(g->entry_count, sizeof *sorted, "tensor infos", c->e);
    if (!sorted) return false;
    size_t n = 0;
    for (size_t i = 0; i < g->entry_count; i++)
        if (g->entries[i].tensor.bytes) sorted[n++] = &g->entries[i];
    qsort(sorted, n, sizeof *sorted, by_offset);
    bool good = true;
    for (size_t i = 1; good && i < n; i++) {
        const struct entry *before = sorted[i - 1], *entry = sorted[i];
        c->name = (struct gguf_string){entry->tensor.name, strlen(entry->tensor.name)};
        if (before->offset + before->tensor.bytes > entry->offset)
            good = bad(c, entry->at, "offset", "%" PRIu64 " is within tensor \"%.128s\"", entry->offset,
                       before->tensor.name);
    }
    free(sorted);
    return good;
}

static bool place_tensors(struct gguf *g, struct cursor *c)
{
    const struct file *f = &g->file;
    size_t padding = (g->alignment - c->at % g->alignment) % g->alignment;
    size_t start = padding > left(c) ? f->size : c->at + padding; /* without data there may be no padding either */
    size_t size = f->size - start;
    for (size_t i = 0; i < g->entry_count; i++) {
        struct entry *entry = &g->entries[i];
        struct tensor *t = &entry->tensor;
        c->name = (struct gguf_string){t->name, strlen(t->name)};
        if (entry->offset > size || t->bytes > size - entry->offset)
            return bad(c, entry->at, "offset", "%" PRIu64 " and %zu bytes from there exceed the data, %zu bytes",
                       entry->offset, t->bytes, size);
        t->data = f->data + start + entry->offset;
    }
    return check_overlaps(g, c);
}

/* --- the file --- */

static bool read_version(struct gguf *g, struct cursor *c)
{
    const uint8_t *magic = take(c, 4, "magic");
    if (!magic) return false;
    if (memcmp(magic, "GGUF", 4) != 0)
        return bad(c, 0, "magic", "the bytes %02x %02x %02x %02x are not \"GGUF\"", magic[0], magic[1], magic[2],
                   magic[3]);
    if (!take_u32(c, "version", &g->version)) return false;
    if (g->version && !(g->version & 0xffff))
        return bad(c, 4, "version", "0x%08" PRIx32 ": the file is big-endian; only little-endian files are read",
                   g->version);
    if (g->version == 1) return bad(c, 4, "version", "1 is not supported (2 and 3 are): convert the model again");
    if (g->version != 2 && g->version != 3)
        return bad(c, 4, "version", "%" PRIu32 " is not supported (2 and 3 are)", g->version);
    return true;
}

/* Models have a few dozen keys, and tensors by the layer. */
static bool check_count(struct cursor *c, size_t at, const char *field, uint64_t n)
{
    return n <= MOST_ENTRIES || bad(c, at, field, "%" PRIu64 " is more than the %d that are accepted", n, MOST_ENTRIES);
}

static bool read_all(struct gguf *g, struct error *e)
{
    struct cursor c = {.file = &g->file, .e = e};
    uint64_t tensor_count, value_count;
    return read_version(g, &c) && take_count(&c, "tensor_count", TENSOR_LEAST, &tensor_count) &&
           take_count(&c, "metadata_count", VALUE_LEAST, &value_count) &&
           check_count(&c, 8, "tensor_count", tensor_count) && check_count(&c, 16, "metadata_count", value_count) &&
           read_metadata(g, &c, value_count) && read_alignment(g, &c) && read_tensors(g, &c, tensor_count) &&
           place_tensors(g, &c);
}

int gguf_open(struct gguf **out, const char *path, struct error *e)
{
    struct error ours;
    if (!e) e = &ours;
    *out = NULL;
    struct gguf *g = memory_new(1, sizeof *g, "a GGUF file", e);
    if (!g) return ERROR_IO;
    if (file_map(&g->file, path, e) || !read_all(g, e)) {
        gguf_close(g);
        return (int)e->code;
    }
    *out = g;
    return 0;
}

void gguf_close(struct gguf *g)
{
    if (!g) return;
    for (size_t i = 0; i < g->entry_count; i++) free((void *)(uintptr_t)g->entries[i].tensor.name);
    free(g->entries);
    free(g->values);
    table_free(&g->keys);
    table_free(&g->names);
    file_unmap(&g->file);
    free(g);
}

const char *gguf_path(const struct gguf *g) { return g->file.path; }
size_t gguf_size(const struct gguf *g) { return g->file.size; }
const uint8_t *gguf_bytes(const struct gguf *g) { return g->file.data; }
uint32_t gguf_version(const struct gguf *g) { return g->version; }
size_t gguf_value_count(const struct gguf *g) { return g->value_count; }
const struct gguf_value *gguf_value(const struct gguf *g, size_t i) { return &g->values[i]; }

const struct gguf_value *gguf_find(const struct gguf *g, const char *key)
{
    int64_t i;
    return table_find(&g->keys, key, strlen(key), &i) ? &g->values[i] : NULL;
}

size_t gguf_tensor_count(const struct gguf *g) { return g->entry_count; }
const struct tensor *gguf_tensor_at(const struct gguf *g, size_t i) { return &g->entries[i].tensor; }

const struct tensor *gguf_tensor(const struct gguf *g, const char *name)
{
    int64_t i;
    return table_find(&g->names, name, strlen(name), &i) ? &g->entries[i].tensor : NULL;
}

const char *gguf_type_name(enum gguf_type type) { return (unsigned)type < GGUF_TYPES ? types[type].name : "unknown"; }
size_t gguf_type_bytes(enum gguf_type type) { return types[type].bytes; }
