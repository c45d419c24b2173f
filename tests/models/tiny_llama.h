/* A llama of one layer and one head in a GGUF file, in the sizes that a test needs; its tokenizer is a shipped one. */
#ifndef KERF_TESTS_MODELS_TINY_LLAMA_H
#define KERF_TESTS_MODELS_TINY_LLAMA_H

#include "engine/base/file.h"
#include "engine/formats/gguf.h"
#include "engine/tokenizers/tokenizer.h"
#include "tests/testing.h"

#include <stdlib.h>

enum { TINY_VOCAB = 1280, TINY_TENSORS = 11 };

struct tiny_tensor {
    const char *name;
    int64_t shape[2]; /* rows 0: a vector */
};

static inline void tiny_metadata(struct gguf_writer *w, int64_t width, int64_t ffn)
{
    struct error e;
    struct tokenizer *t;
    gguf_write_string(w, "general.architecture", "llama");
    gguf_write_u32(w, "llama.context_length", 64);
    gguf_write_u32(w, "llama.embedding_length", (uint32_t)width);
    gguf_write_u32(w, "llama.block_count", 1);
    gguf_write_u32(w, "llama.feed_forward_length", (uint32_t)ffn);
    gguf_write_u32(w, "llama.attention.head_count", 1);
    gguf_write_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    assert_ok(tokenizer_open(&t, "datasets/millbrook/llama", &e), &e);
    tokenizer_write_gguf(t, 0, w);
    tokenizer_close(t);
}

/* FOLDER/tiny.gguf, to be freed; all weights are float32. */
static inline char *tiny_llama(const char *folder, int64_t width, int64_t ffn)
{
    const struct tiny_tensor tensors[TINY_TENSORS] = {
        {"token_embd.weight", {TINY_VOCAB, width}},   {"output_norm.weight", {0, width}},
        {"blk.0.attn_norm.weight", {0, width}},       {"blk.0.attn_q.weight", {width, width}},
        {"blk.0.attn_k.weight", {width, width}},      {"blk.0.attn_v.weight", {width, width}},
        {"blk.0.attn_output.weight", {width, width}}, {"blk.0.ffn_norm.weight", {0, width}},
        {"blk.0.ffn_gate.weight", {ffn, width}},      {"blk.0.ffn_up.weight", {ffn, width}},
        {"blk.0.ffn_down.weight", {width, ffn}}};
    struct error e;
    struct gguf_writer *w;
    char *path = path_join(folder, "tiny.gguf", &e);
    assert_non_null(path);
    assert_ok(gguf_writer_open(&w, path, &e), &e);
    tiny_metadata(w, width, ffn);
    for (size_t i = 0; i < TINY_TENSORS; i++) {
        const struct tiny_tensor *t = &tensors[i];
        gguf_write_tensor(w, t->name, DTYPE_F32, t->shape[0] ? 2 : 1, t->shape + (t->shape[0] ? 0 : 1));
    }
    for (size_t i = 0; i < TINY_TENSORS; i++) {
        size_t n = (size_t)(tensors[i].shape[1] * (tensors[i].shape[0] ? tensors[i].shape[0] : 1));
        float *x = malloc(n * sizeof *x);
        assert_non_null(x);
        fill_random(x, n, 0.1f, i + 1);
        gguf_write_data(w, x, n * sizeof *x);
        free(x);
    }
    assert_ok(gguf_writer_commit(&w, &e), &e);
    return path;
}

#endif
