/* Small files that the tests build byte by byte, so that readers are not tested against our own writers. */
#ifndef KERF_TESTS_FORMATS_SAMPLES_H
#define KERF_TESTS_FORMATS_SAMPLES_H

#include "engine/base/text.h"
#include "engine/formats/gguf.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

static inline void put_u32(struct text *t, uint32_t v) { text_bytes(t, &v, 4); }
static inline void put_u64(struct text *t, uint64_t v) { text_bytes(t, &v, 8); }

static inline void put_string(struct text *t, const char *s)
{
    put_u64(t, strlen(s));
    text_add(t, s);
}

/* A key and the type of its value. */
static inline void put_key(struct text *t, const char *key, enum gguf_type type)
{
    put_string(t, key);
    put_u32(t, type);
}

static inline void put_zeros(struct text *t, size_t n)
{
    while (n--) text_char(t, 0);
}

/* "GGUF", version and counts. */
static inline void put_gguf(struct text *t, uint32_t version, uint64_t tensors, uint64_t values)
{
    text_add(t, "GGUF");
    put_u32(t, version);
    put_u64(t, tensors);
    put_u64(t, values);
}

/* A tensor info; dims in the file's order, fastest first, ended by 0. */
static inline void put_tensor(struct text *t, const char *name, const uint64_t *dims, uint32_t type, uint64_t offset)
{
    uint32_t n = 0;
    while (dims[n]) n++;
    put_string(t, name);
    put_u32(t, n);
    for (uint32_t i = 0; i < n; i++) put_u64(t, dims[i]);
    put_u32(t, type);
    put_u64(t, offset);
}

/* A safetensors file of this header and `size` zeros. */
static inline void put_safetensors(struct text *t, const char *header, size_t size)
{
    put_string(t, header);
    put_zeros(t, size);
}

/* Writes the text to FOLDER/NAME; the path, to be freed. */
static inline char *put_file(const char *folder, const char *name, const struct text *t)
{
    assert_false(t->failed);
    return file_put(folder, name, text_c(t), t->length);
}

#endif
