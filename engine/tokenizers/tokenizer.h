/* Tokenizers: text to ids and back, one interface over the kinds in the registry.
 *
 *     struct tokenizer *t;
 *     if (tokenizer_open(&t, "model.gguf", e)) return e->code;     or a tokenizer.json, or a folder: docs/tokenizers.md
 *     struct ids ids = {0};
 *     if (tokenizer_encode(t, text, n, 0, &ids, e)) ...
 *     struct text out = {0};
 *     if (tokenizer_decode(t, ids.at, ids.count, 0, &out, e)) ...
 *     ids_free(&ids); text_free(&out); tokenizer_close(t);
 *
 * An open tokenizer is constant: any number of threads may use it at once. Encoding takes any bytes, UTF-8 or not, and
 * is linear or n log n in their number; decoding gives them back, but for what tokenizer_decode() says. */
#ifndef KERF_ENGINE_TOKENIZERS_TOKENIZER_H
#define KERF_ENGINE_TOKENIZERS_TOKENIZER_H

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/text.h"
#include "engine/formats/gguf.h"
#include <jansson.h>

struct ids {
    int32_t *at;
    size_t count, capacity;
};

int ids_add(struct ids *ids, int32_t id, struct error *e);
void ids_free(struct ids *ids);

enum token_type { TOKEN_NORMAL = 1, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER_DEFINED, TOKEN_UNUSED, TOKEN_BYTE };

enum {
    TOKENIZER_PLAIN = 1,     /* encode: control tokens spelled out in the text are text */
    TOKENIZER_CONTINUES = 2, /* the text continues other text: no space prefix is added, decode keeps a leading space */
};

struct tokenizer;

/* path: a GGUF file (with or without weights), a tokenizer.json, SentencePiece's tokenizer.model, or a folder that holds
 * one, or vocab.json and merges.txt. Beside the latter three are read added_tokens.json, tokenizer_config.json and
 * special_tokens_map.json for tokens, BOS and EOS, and config.json for what these leave open. */
int tokenizer_open(struct tokenizer **out, const char *path, struct error *e);
int tokenizer_open_gguf(struct tokenizer **out, const struct gguf *g, struct error *e);
void tokenizer_close(struct tokenizer *t);

/* Appends to *out. Never adds BOS or EOS.
 *
 * Special tokens in the text are found first, at each place the longest: user-defined ones always, control and unknown
 * ones unless TOKENIZER_PLAIN; some take the white space around them along. What is between is normalized as the
 * vocabulary says. One that asks for a space prefix gets it at the start of the text (unless TOKENIZER_CONTINUES) and
 * after each special token. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t n, unsigned flags, struct ids *out,
                     struct error *e);
/* From here on text with a token whose id is not below `rows` is ERROR_INPUT: an embedding has no row for it. */
void tokenizer_limit(struct tokenizer *t, int64_t rows);
/* BOS, or EOS where there is no BOS: what stands before a text that nothing stands before; -1 where there is neither.
 */
int32_t tokenizer_opening(const struct tokenizer *t);
/* Appends a prompt: BOS if the tokenizer says so, then the text; where that is nothing at all, the opening token. A
 * tokenizer without one is ERROR_INPUT for an empty prompt. */
int tokenizer_encode_prompt(const struct tokenizer *t, const char *text, size_t n, struct ids *out, struct error *e);
/* Appends to *out the bytes that the ids stand for; ids out of range are ERROR_INPUT.
 *
 * bpe: exact bytes, and pieces of any type but normal as they are spelled. sentencepiece: control and unknown tokens
 * stand for nothing, user-defined ones for their spelling, U+2581 for a space, and where encoding puts a space prefix
 * one leading space is left out; unigram the same; wordpiece: words with one space between. Encoding of text without
 * control tokens by bpe and sentencepiece is undone exactly, where nothing is normalized, except that sentencepiece
 * does not tell U+2581 from a space, bpe keeps a space prefix that it added, and a bpe without a piece for a byte drops
 * that. */
int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, unsigned flags, struct text *out,
                     struct error *e);

const char *tokenizer_kind_name(const struct tokenizer *t); /* "bpe", "sentencepiece", "wordpiece", "unigram" */
size_t tokenizer_size(const struct tokenizer *t);           /* ids are 0 .. size - 1 */
struct gguf_string tokenizer_piece(const struct tokenizer *t, int32_t id); /* as stored in the vocabulary */
enum token_type tokenizer_type(const struct tokenizer *t, int32_t id);
int32_t tokenizer_bos(const struct tokenizer *t); /* -1 where there is none */
int32_t tokenizer_eos(const struct tokenizer *t);
bool tokenizer_adds_bos(const struct tokenizer *t); /* a prompt starts with BOS */
/* Something about the vocabulary that its user must know, or "": pieces that are there twice. The file is the caller's
 * to name. */
const char *tokenizer_warning(const struct tokenizer *t);
/* SHA-256 of everything that decides the ids: kind, pieces, types, scores, merges, normalizer, pre-split, BOS rule. */
const char *tokenizer_hash(const struct tokenizer *t);
/* Whether every id stands for the same piece in both, as in a folder and a GGUF file of one model, whichever way text
 * becomes ids. */
bool tokenizer_pieces_agree(const struct tokenizer *a, const struct tokenizer *b);
/* ERROR_INPUT naming the field that GGUF has no words for; then tokenizer_write_gguf() makes the writer fail. */
int tokenizer_check_gguf(const struct tokenizer *t, struct error *e);
/* The tokenizer.ggml.* metadata that describe t, with unused pieces up to `rows`, those of the embedding, where that is
 * more than its size: llama.cpp needs one a row, reading leaves them out. Reading them back gives an equal tokenizer (same hash), but for the
 * NFC of a bpe, for which there is no key. What else GGUF has no words for makes the writer fail, with the field
 * that is missing. */
void tokenizer_write_gguf(const struct tokenizer *t, size_t rows, struct gguf_writer *w);

#endif
