/* Small tokenizers, made by hand, and what tests of tokenizers do all the time. */
#ifndef KERF_TESTS_TOKENIZERS_SMALL_H
#define KERF_TESTS_TOKENIZERS_SMALL_H

#include "engine/base/json.h"
#include "engine/tokenizers/tokenizer.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tokenizer.json of 263 tokens: the 256 bytes (ids 0 .. 255), "he" (256), "ll" (257), "hell" (258), "hello" (259),
 * U+0120 "w" (260), the special "<s>" (261) and the added "<tool>" (262). */
static inline json_t *small_json(void)
{
    json_t *vocab = json_object();
    int next = 0x100;
    for (int byte = 0; byte < 256; byte++) {
        const bool itself = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
        struct text piece = {0};
        text_codepoint(&piece, (uint32_t)(itself ? byte : next++));
        json_object_set_new(vocab, piece.bytes, json_integer(byte));
        text_free(&piece);
    }
    static const char *const made[] = {"he", "ll", "hell", "hello", "\xC4\xA0w"};
    for (int i = 0; i < 5; i++) json_object_set_new(vocab, made[i], json_integer(256 + i));
    json_t *merges = json_pack("[s, s, s, s, s]", "h e", "l l", "he ll", "hell o", "\xC4\xA0 w");
    json_t *model = json_pack("{s:s, s:o, s:o}", "type", "BPE", "vocab", vocab, "merges", merges);
    json_t *pre = json_pack("{s:s, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "use_regex", 1);
    json_t *added = json_pack("[{s:i, s:s, s:b}, {s:i, s:s, s:b}]", "id", 261, "content", "<s>", "special", 1, "id",
                              262, "content", "<tool>", "special", 0);
    return json_pack("{s:o, s:n, s:o, s:o}", "model", model, "normalizer", "pre_tokenizer", pre, "added_tokens", added);
}

/* Writes `root` (taken over) as tokenizer.json and opens it. */
static inline int small_open(struct tokenizer **t, const char *folder, json_t *root, struct error *e)
{
    char *words = json_dump_text(root, 0, NULL);
    char *path = file_put(folder, "tokenizer.json", words, strlen(words));
    const int status = tokenizer_open(t, path, e);
    free(path);
    free(words);
    json_decref(root);
    return status;
}

/* Metadata of a SentencePiece vocabulary: <unk>, <s>, </s>, the 256 bytes (ids 3 .. 258), then pieces, types, scores
 * as given (ids from 259 on). */
static inline void small_sentencepiece(struct gguf_writer *w, const char *const *pieces, const int32_t *types,
                                       const float *scores, size_t n)
{
    struct gguf_string all[400];
    char bytes[256][8];
    int32_t all_types[400] = {TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_CONTROL};
    float all_scores[400] = {0};
    static const char *const first[] = {"<unk>", "<s>", "</s>"};
    for (size_t i = 0; i < 3; i++) all[i] = (struct gguf_string){first[i], strlen(first[i])};
    for (size_t i = 0; i < 256; i++) {
        snprintf(bytes[i], sizeof bytes[i], "<0x%02X>", (unsigned)i);
        all[3 + i] = (struct gguf_string){bytes[i], 6};
        all_types[3 + i] = TOKEN_BYTE;
    }
    for (size_t i = 0; i < n; i++) {
        all[259 + i] = (struct gguf_string){pieces[i], strlen(pieces[i])};
        all_types[259 + i] = types ? types[i] : TOKEN_NORMAL;
        all_scores[259 + i] = scores[i];
    }
    gguf_write_string(w, "general.architecture", "llama");
    gguf_write_string(w, "tokenizer.ggml.model", "llama");
    gguf_write_strings(w, "tokenizer.ggml.tokens", all, 259 + n);
    gguf_write_i32s(w, "tokenizer.ggml.token_type", all_types, 259 + n);
    gguf_write_f32s(w, "tokenizer.ggml.scores", all_scores, 259 + n);
    gguf_write_u32(w, "tokenizer.ggml.bos_token_id", 1);
    gguf_write_u32(w, "tokenizer.ggml.eos_token_id", 2);
}

static inline struct ids encode(const struct tokenizer *t, const char *text, size_t n, unsigned flags)
{
    struct error e;
    struct ids ids = {0};
    assert_ok(tokenizer_encode(t, text, n, flags, &ids, &e), &e);
    return ids;
}

static inline void assert_ids(const struct tokenizer *t, const char *text, unsigned flags, const int32_t *wanted,
                              size_t n)
{
    struct ids ids = encode(t, text, strlen(text), flags);
    for (size_t i = 0; i < ids.count || i < n; i++)
        if (i >= ids.count || i >= n || ids.at[i] != wanted[i])
            fail_msg("\"%s\": id %zu of %zu is %d, not %d (of %zu)", text, i, ids.count, i < ids.count ? ids.at[i] : -1,
                     i < n ? wanted[i] : -1, n);
    ids_free(&ids);
}

/* decode(encode(text)) is text. */
static inline void assert_round_trip(const struct tokenizer *t, const char *text, size_t n, unsigned flags)
{
    struct error e;
    struct ids ids = encode(t, text, n, flags);
    struct text back = {0};
    assert_ok(tokenizer_decode(t, ids.at, ids.count, flags, &back, &e), &e);
    assert_int_equal(back.length, n);
    assert_memory_equal(text_c(&back), text, n);
    text_free(&back);
    ids_free(&ids);
}

/* The file's pieces are as many as the embedding's rows, those of no token named as llama.cpp's converter names them. */
static inline void assert_pieces(const char *path, size_t size, size_t rows)
{
    struct error e;
    struct gguf *g;
    int64_t type;
    assert_ok(gguf_open(&g, path, &e), &e);
    const struct gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens"),
                            *types = gguf_find(g, "tokenizer.ggml.token_type"),
                            *scores = gguf_find(g, "tokenizer.ggml.scores");
    assert_int_equal(tokens->count, rows);
    assert_int_equal(types->count, rows);
    if (scores) assert_int_equal(scores->count, rows);
    struct gguf_string *pieces = gguf_strings(g, tokens, &e);
    for (size_t id = size; id < rows; id++) {
        char name[32];
        const size_t n = (size_t)snprintf(name, sizeof name, "[PAD%zu]", id);
        assert_int_equal(pieces[id].length, n);
        assert_memory_equal(pieces[id].bytes, name, n);
        assert_true(gguf_element_i64(types, id, &type) && type == TOKEN_UNUSED);
    }
    free(pieces);
    gguf_close(g);
}

/* What tokenizer_write_gguf() writes opens as an equal tokenizer. */
static inline void assert_written_equal(const struct tokenizer *t)
{
    const size_t size = tokenizer_size(t);
    for (size_t rows = size; rows < size + 20; rows += 11) {
        struct error e;
        struct gguf_writer *w;
        struct tokenizer *again;
        char *folder = folder_temporary();
        char *path = file_put(folder, "written.gguf", "", 0);
        assert_ok(gguf_writer_open(&w, path, &e), &e);
        tokenizer_write_gguf(t, rows, w);
        assert_ok(gguf_writer_commit(&w, &e), &e);
        assert_pieces(path, size, rows);
        assert_ok(tokenizer_open(&again, path, &e), &e);
        assert_int_equal(tokenizer_size(again), size);
        assert_string_equal(tokenizer_hash(again), tokenizer_hash(t));
        assert_string_equal(tokenizer_kind_name(again), tokenizer_kind_name(t));
        assert_int_equal(tokenizer_bos(again), tokenizer_bos(t));
        assert_int_equal(tokenizer_eos(again), tokenizer_eos(t));
        tokenizer_close(again);
        free(path);
        folder_remove(folder);
    }
}

#endif
