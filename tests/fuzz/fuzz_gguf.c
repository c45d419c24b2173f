#include "engine/formats/imatrix.h"
#include "engine/tokenizers/tokenizer.h"
#include "tests/fuzz/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int fuzz_open(const uint8_t *data, size_t size, char path[FUZZ_PATH])
{
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    fuzz_demand(file >= 0 && write(file, data, size) == (ssize_t)size, "a file in memory");
    snprintf(path, FUZZ_PATH, "/proc/self/fd/%d", file);
    return file;
}

void fuzz_close(int file) { close(file); }

void fuzz_demand(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "fuzz: not so: %s\n", what);
    abort();
}

void fuzz_check(int status, const struct error *e, const char *path)
{
    if (!status) return;
    fuzz_demand(status == (int)e->code, "the status is the error's");
    if (status != ERROR_INPUT && status != ERROR_NUMBER) fprintf(stderr, "status %d: %s\n", status, e->text);
    fuzz_demand(status == ERROR_INPUT || status == ERROR_NUMBER, "the file is to blame");
    fuzz_demand(e->text[0] != 0, "an error has words"); /* those of the file may be anything: error.h */
    if (path && strncmp(e->text, path, strlen(path)) != 0) fprintf(stderr, "%s\n", e->text);
    fuzz_demand(!path || strncmp(e->text, path, strlen(path)) == 0, "an error begins with the file");
}

/* Reads every byte: one outside of the file is found. */
static uint64_t sum_of(const void *data, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) sum = sum * 31 + ((const uint8_t *)data)[i];
    return sum;
}

static uint64_t look_at_value(const struct gguf *g, const struct gguf_value *v)
{
    struct error e;
    struct gguf_string s;
    uint64_t sum = sum_of(v->data, v->bytes) + sum_of(v->key.bytes, v->key.length), n;
    int64_t integer;
    double real;
    bool flag;
    if (v->type != GGUF_ARRAY) {
        sum += gguf_as_u64(v, &n) + (uint64_t)gguf_as_f64(v, &real) + gguf_as_bool(v, &flag);
        return sum + (gguf_as_string(v, &s) ? sum_of(s.bytes, s.length) : 0);
    }
    for (uint64_t i = 0; i < v->count && v->element != GGUF_STRING; i++)
        sum += (uint64_t)gguf_element_f64(v, i, &real) + gguf_element_i64(v, i, &integer);
    fuzz_demand(!gguf_element_f64(v, v->count, &real), "no element follows the last");
    struct gguf_string *all = gguf_strings(g, v, &e);
    for (uint64_t i = 0; all && i < v->count; i++) sum += sum_of(all[i].bytes, all[i].length);
    free(all);
    return sum;
}

static uint64_t look_at(const struct gguf *g)
{
    uint64_t sum = gguf_version(g);
    for (size_t i = 0; i < gguf_value_count(g); i++) sum += look_at_value(g, gguf_value(g, i));
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct tensor *t = gguf_tensor_at(g, i);
        const uint8_t *data = t->data, *file = gguf_bytes(g);
        fuzz_demand(gguf_tensor(g, t->name) == t, "a tensor is found by its name");
        fuzz_demand(data >= file && data + t->bytes <= file + gguf_size(g), "a tensor lies within its file");
        sum += sum_of(t->data, t->bytes) + (uint64_t)tensor_elements(t);
    }
    return sum;
}

void fuzz_gguf(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    struct error e = {0};
    struct gguf *g;
    struct imatrix *im;
    struct tokenizer *t;
    int file = fuzz_open(data, size, path), status = gguf_open(&g, path, &e);
    fuzz_check(status, &e, path);
    if (!status) {
        volatile uint64_t kept = look_at(g); /* else the compiler may leave the reading out */
        (void)kept;
        status = tokenizer_open_gguf(&t, g, &e);
        fuzz_check(status, &e, path);
        if (!status) tokenizer_close(t);
        gguf_close(g);
    }
    fuzz_check(imatrix_open(&im, path, &e), &e, path);
    imatrix_close(im);
    fuzz_close(file);
}
