#include "engine/formats/imatrix.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/table.h"
#include "engine/formats/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct means {
    char *name;
    int64_t experts, cols;
    float *at;   /* [experts, cols]; NULL: no token was counted */
    bool *there; /* [experts]: of those that met any */
};

struct imatrix {
    char *path, *dataset;
    char hash[HASH_HEX];
    uint32_t chunks;
    struct means *entries;
    size_t count, capacity;
    struct table names;
};

static const char sums_ending[] = ".in_sum2", counts_ending[] = ".counts";

/* --- entries --- */

/* What is wrong with a value that is negative or whose mean is not finite. */
static int bad_value(const struct imatrix *im, const char *name, int64_t i, float v, float divisor, struct error *e)
{
    if (!isfinite(v))
        return error_set(e, ERROR_NUMBER, "%s: %s: value %" PRId64 " is %g: must be a finite number", im->path, name, i,
                         (double)v);
    if (v < 0)
        return error_set(e, ERROR_INPUT, "%s: %s: value %" PRId64 " is %g: a sum of squares is not negative", im->path,
                         name, i, (double)v);
    return error_set(e, ERROR_INPUT,
                     "%s: %s: value %" PRId64 " is %g: divided by the count, %g, it is more than a float32 holds",
                     im->path, name, i, (double)v, (double)divisor);
}

/* Takes [experts, cols] values, any alignment, each expert's divided by its count. */
static int take_means(const struct imatrix *im, struct means *m, const uint8_t *values, const float *counts,
                      struct error *e)
{
    for (int64_t i = 0; i < m->experts * m->cols; i++) {
        const float divisor = counts[i / m->cols];
        float v;
        memcpy(&v, values + (size_t)i * sizeof v, sizeof v);
        float mean = divisor > 0 ? v / divisor : v;
        if (!isfinite(mean) || v < 0) return bad_value(im, m->name, i, v, divisor, e);
        if (m->at) m->at[i] = mean;
    }
    return 0;
}

static int add_entry(struct imatrix *im, const char *name, size_t length, int64_t experts, int64_t cols,
                     const uint8_t *values, const float *counts /* [experts] */, struct error *e)
{
    struct means m = {.name = memory_bytes(name, length, e), .experts = experts, .cols = cols};
    bool any = false;
    int status =
        m.name ? memory_reserve((void **)&im->entries, &im->capacity, im->count + 1, sizeof m, "entries", e) : ERROR_IO;
    if (!status && !(m.there = memory_new((size_t)experts, sizeof *m.there, m.name, e))) status = ERROR_IO;
    for (int64_t i = 0; i < experts && !status; i++) any |= m.there[i] = counts[i] > 0;
    if (any && !(m.at = memory_new((size_t)experts, (size_t)cols * sizeof *m.at, m.name, e))) status = ERROR_IO;
    if (status) {
        free(m.name);
        free(m.there);
        return status;
    }
    im->entries[im->count++] = m;
    status = take_means(im, &m, values, counts, e);
    if (status) return status;
    bool twice;
    status = table_add(&im->names, m.name, length, (int64_t)im->count - 1, &twice, e);
    if (!status && twice) status = error_set(e, ERROR_INPUT, "%s: %s: has two entries", im->path, m.name);
    return status;
}

/* --- GGUF --- */

static bool cut_ending(const char *name, const char *ending, size_t *stem)
{
    size_t n = strlen(name), m = strlen(ending);
    *stem = n > m ? n - m : 0;
    return n > m && strcmp(name + n - m, ending) == 0;
}

/* The counts of an entry: one for all experts or one for each. */
static int read_counts(const struct imatrix *im, const struct tensor *t, int64_t experts, float *counts,
                       struct error *e)
{
    int64_t n = tensor_elements(t);
    if (t->type != DTYPE_F32 || (n != 1 && n != experts))
        return error_set(e, ERROR_INPUT, "%s: %s: must be F32, one number for each of the %" PRId64 " rows of sums",
                         im->path, t->name, experts);
    for (int64_t i = 0; i < experts; i++) {
        memcpy(&counts[i], (const uint8_t *)t->data + (n > 1 ? (size_t)i * sizeof *counts : 0), sizeof *counts);
        if (!isfinite(counts[i]) || counts[i] < 0)
            return error_set(e, ERROR_INPUT, "%s: %s: %g is no number of tokens", im->path, t->name, (double)counts[i]);
    }
    return 0;
}

static int read_tensor(struct imatrix *im, const struct gguf *g, const struct tensor *t, struct error *e)
{
    size_t stem;
    char other[512];
    if (cut_ending(t->name, counts_ending, &stem)) { /* must not stand alone; else it is read with its sums */
        snprintf(other, sizeof other, "%.*s%s", (int)stem, t->name, sums_ending);
        if (gguf_tensor(g, other)) return 0;
        return error_set(e, ERROR_INPUT, "%s: %s: has no %s beside it", im->path, t->name, other);
    }
    if (!cut_ending(t->name, sums_ending, &stem)) return 0;
    int64_t cols = t->n_dims ? t->shape[t->n_dims - 1] : 1, elements = tensor_elements(t);
    if (t->type != DTYPE_F32 || elements < 1)
        return error_set(e, ERROR_INPUT, "%s: %s: must be F32 and not empty", im->path, t->name);
    snprintf(other, sizeof other, "%.*s%s", (int)stem, t->name, counts_ending);
    const struct tensor *counts = gguf_tensor(g, other);
    if (!counts) return error_set(e, ERROR_INPUT, "%s: %s: has no %s beside it", im->path, t->name, other);
    const int64_t experts = elements / cols;
    float *numbers = memory_new((size_t)experts, sizeof *numbers, t->name, e);
    int status = numbers ? read_counts(im, counts, experts, numbers, e) : ERROR_IO;
    if (!status) status = add_entry(im, t->name, stem, experts, cols, t->data, numbers, e);
    free(numbers);
    return status;
}

static int read_dataset(struct imatrix *im, const struct gguf *g, struct error *e)
{
    const struct gguf_value *v = gguf_find(g, "imatrix.datasets");
    if (!v || v->type != GGUF_ARRAY || v->element != GGUF_STRING || !v->count) return 0;
    struct gguf_string *all = gguf_strings(g, v, e);
    if (!all) return (int)e->code;
    im->dataset = memory_bytes(all[0].bytes, all[0].length, e);
    free(all);
    return im->dataset ? 0 : ERROR_IO;
}

static int read_gguf(struct imatrix *im, struct error *e)
{
    struct gguf *g;
    int status = gguf_open(&g, im->path, e);
    if (status) return status;
    const struct gguf_value *chunks = gguf_find(g, "imatrix.chunk_count");
    uint64_t n = 0;
    if (chunks && gguf_as_u64(chunks, &n) && n <= UINT32_MAX) im->chunks = (uint32_t)n;
    status = read_dataset(im, g, e);
    for (size_t i = 0; i < gguf_tensor_count(g) && !status; i++) status = read_tensor(im, g, gguf_tensor_at(g, i), e);
    if (!status && !im->count)
        status = error_set(e, ERROR_INPUT, "%s: is no importance matrix: no tensor's name ends in %s", im->path,
                           sums_ending);
    gguf_close(g);
    return status;
}

/* --- the older binary format --- */

enum { LEAST_ENTRY = 17 }; /* bytes: three numbers, a name of one byte, one value */

struct cursor {
    const struct file *file;
    size_t at;
    struct error *e;
};

/* A number in [low, high]. */
static bool take_i32(struct cursor *c, const char *field, int32_t low, size_t high, int32_t *out)
{
    size_t left = c->file->size - c->at;
    if (left < sizeof *out) {
        error_set(c->e, ERROR_INPUT, "%s: offset 0x%zx: %s: the file ends", c->file->path, c->at, field);
        return false;
    }
    memcpy(out, c->file->data + c->at, sizeof *out);
    if (*out < low) {
        error_set(c->e, ERROR_INPUT, "%s: offset 0x%zx: %s: %" PRId32 " is less than %" PRId32, c->file->path, c->at,
                  field, *out, low);
        return false;
    }
    if (*out > 0 && (size_t)*out > high) {
        error_set(c->e, ERROR_INPUT, "%s: offset 0x%zx: %s: %" PRId32 " cannot be: %zu bytes are left", c->file->path,
                  c->at, field, *out, left - sizeof *out);
        return false;
    }
    c->at += sizeof *out;
    return true;
}

static size_t left_after(const struct cursor *c, size_t n)
{
    size_t left = c->file->size - c->at;
    return left > n ? left - n : 0;
}

static int read_entry(struct imatrix *im, struct cursor *c, struct error *e)
{
    int32_t length, calls, n;
    if (!take_i32(c, "length of a name", 1, left_after(c, 12), &length)) return ERROR_INPUT;
    const char *name = (const char *)c->file->data + c->at;
    if (memchr(name, 0, (size_t)length))
        return error_set(e, ERROR_INPUT, "%s: offset 0x%zx: a name has a NUL in it", im->path, c->at);
    c->at += (size_t)length;
    if (!take_i32(c, "calls", 0, INT32_MAX, &calls)) return ERROR_INPUT;
    if (!take_i32(c, "number of values", 1, left_after(c, 4) / sizeof(float), &n)) return ERROR_INPUT;
    const uint8_t *values = c->file->data + c->at;
    c->at += (size_t)n * sizeof(float);
    return add_entry(im, name, (size_t)length, 1, n, values, &(float){(float)calls}, e);
}

/* The format has no signature: whether the number of entries and the first name can be. */
static bool begins_well(const struct file *f)
{
    int32_t first[2];
    if (f->size < sizeof first) return false;
    memcpy(first, f->data, sizeof first);
    size_t left = f->size - sizeof first;
    bool counts = first[0] > 0 && (size_t)first[0] <= f->size / LEAST_ENTRY && first[1] > 0 && (size_t)first[1] <= left;
    return counts && !memchr(f->data + sizeof first, 0, (size_t)first[1]);
}

static int read_binary(struct imatrix *im, const struct file *f, struct error *e)
{
    struct cursor c = {f, 0, e};
    int32_t entries, chunks, length;
    if (!begins_well(f))
        return error_set(e, ERROR_INPUT, "%s: is no importance matrix: kerf imatrix makes one", im->path);
    if (!take_i32(&c, "number of entries", 1, left_after(&c, 4) / LEAST_ENTRY, &entries)) return ERROR_INPUT;
    int status = 0;
    for (int32_t i = 0; i < entries && !status; i++) status = read_entry(im, &c, e);
    if (status || c.at == f->size) return status;
    if (!take_i32(&c, "number of chunks", 0, INT32_MAX, &chunks)) return ERROR_INPUT;
    im->chunks = (uint32_t)chunks;
    if (c.at == f->size) return 0;
    if (!take_i32(&c, "length of the dataset's name", 0, left_after(&c, 4), &length)) return ERROR_INPUT;
    im->dataset = memory_bytes(f->data + c.at, (size_t)length, e);
    return im->dataset ? 0 : ERROR_IO;
}

/* --- the file --- */

int imatrix_open(struct imatrix **out, const char *path, struct error *e)
{
    *out = NULL;
    struct file f;
    int status = file_map(&f, path, e);
    if (status) return status;
    struct imatrix *im = memory_new(1, sizeof *im, "an importance matrix", e);
    if (!im || !(im->path = memory_string(path, e))) status = ERROR_IO;
    if (!status) {
        hash_hex(f.data, f.size, im->hash);
        bool gguf = f.size >= 4 && memcmp(f.data, "GGUF", 4) == 0;
        status = gguf ? read_gguf(im, e) : read_binary(im, &f, e);
    }
    file_unmap(&f);
    if (status) {
        imatrix_close(im);
        return status;
    }
    *out = im;
    return 0;
}

void imatrix_close(struct imatrix *im)
{
    if (!im) return;
    table_free(&im->names);
    for (size_t i = 0; i < im->count; i++) {
        free(im->entries[i].name);
        free(im->entries[i].at);
        free(im->entries[i].there);
    }
    free(im->entries);
    free(im->dataset);
    free(im->path);
    free(im);
}

const char *imatrix_path(const struct imatrix *im) { return im->path; }
const char *imatrix_hash(const struct imatrix *im) { return im->hash; }
size_t imatrix_count(const struct imatrix *im) { return im->count; }
const char *imatrix_dataset(const struct imatrix *im) { return im->dataset ? im->dataset : ""; }
uint32_t imatrix_chunks(const struct imatrix *im) { return im->chunks; }

int imatrix_find(const struct imatrix *im, const char *name, int64_t cols, const float **out, struct error *e)
{
    *out = NULL;
    int64_t at;
    if (!table_find(&im->names, name, strlen(name), &at)) return 0;
    const struct means *m = &im->entries[at];
    if (m->experts != 1)
        return error_set(e, ERROR_INPUT, "%s: %s: is of %" PRId64 " experts, the model's matrix is one", im->path, name,
                         m->experts);
    if (m->cols != cols)
        return error_set(e, ERROR_INPUT,
                         "%s: %s: has %" PRId64 " columns, the model's has %" PRId64 ": it was made for another model",
                         im->path, name, m->cols, cols);
    *out = m->at;
    return 0;
}

int imatrix_find_expert(const struct imatrix *im, const char *name, int64_t expert, int64_t experts, int64_t cols,
                        const float **out, struct error *e)
{
    *out = NULL;
    int64_t at;
    if (!table_find(&im->names, name, strlen(name), &at)) return 0;
    const struct means *m = &im->entries[at];
    const bool one = m->experts == 1 && m->cols == experts * cols; /* the older format does not tell them apart */
    if (!one && (m->experts != experts || m->cols != cols))
        return error_set(e, ERROR_INPUT,
                         "%s: %s: has %" PRId64 " experts of %" PRId64 " columns, the model's has %" PRId64
                         " of %" PRId64 ": it was made for another model",
                         im->path, name, m->experts, m->cols, experts, cols);
    if (m->at && m->there[one ? 0 : expert]) *out = m->at + expert * cols;
    return 0;
}

/* --- writing --- */

static const char *ended(char out[256], const char *name, const char *ending)
{
    snprintf(out, 256, "%s%s", name, ending);
    return out;
}

static int64_t experts_of(const struct imatrix_entry *t) { return t->experts ? t->experts : 1; }

int imatrix_write(const char *path, const struct imatrix_entry *entries, size_t n, const char *dataset, int64_t chunks,
                  int64_t chunk_size, struct error *e)
{
    struct gguf_writer *w;
    char name[256];
    int status = gguf_writer_open(&w, path, e);
    if (status) return status;
    gguf_write_string(w, "general.type", "imatrix");
    gguf_write_strings(w, "imatrix.datasets", &(struct gguf_string){dataset, strlen(dataset)}, 1);
    gguf_write_u32(w, "imatrix.chunk_count", (uint32_t)chunks);
    gguf_write_u32(w, "imatrix.chunk_size", (uint32_t)chunk_size);
    for (size_t i = 0; i < n; i++) {
        const struct imatrix_entry *t = &entries[i];
        gguf_write_tensor(w, ended(name, t->name, sums_ending), DTYPE_F32, 2, (int64_t[]){experts_of(t), t->cols});
        gguf_write_tensor(w, ended(name, t->name, counts_ending), DTYPE_F32, 2, (int64_t[]){experts_of(t), 1});
    }
    for (size_t i = 0; i < n; i++) {
        const struct imatrix_entry *t = &entries[i];
        gguf_write_data(w, t->sums, (size_t)(experts_of(t) * t->cols) * sizeof *t->sums);
        for (int64_t k = 0; k < experts_of(t); k++)
            gguf_write_data(w, &(float){(float)(t->experts ? t->by_expert[k] : t->tokens)}, sizeof(float));
    }
    return gguf_writer_commit(&w, e);
}
