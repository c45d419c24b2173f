/* Byte-level BPE (Radford et al. 2019): every byte is a character of the vocabulary, text is cut into words by a
 * pre-split, and the merges of a list apply within each word, first in the list first. */
#include "engine/base/memory.h"
#include "engine/tokenizers/merge.h"
#include "engine/tokenizers/split.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <stdlib.h>
#include <string.h>

struct bpe {
    struct pairs pairs;
    struct split *split;
    int32_t bytes[256]; /* id of each byte's piece */
    bool adds_space;
};

/* GPT-2's alphabet: the printable bytes of Latin-1 stand for themselves, the other 68 are U+0100 .. U+0143 in order. */
enum { ALPHABET_END = 0x144 };

static bool stands_for_itself(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

static void byte_characters(uint32_t codepoints[256])
{
    uint32_t next = 0x100;
    for (unsigned byte = 0; byte < 256; byte++) codepoints[byte] = stands_for_itself(byte) ? byte : next++;
}

static int find_bytes(struct bpe *b, const struct vocabulary *v, struct error *e)
{
    uint32_t codepoints[256];
    byte_characters(codepoints);
    for (unsigned byte = 0; byte < 256; byte++) {
        struct text piece = {0};
        int64_t id = -1;
        text_codepoint(&piece, codepoints[byte]);
        const bool found = !piece.failed && table_find(&v->ids, piece.bytes, piece.length, &id);
        b->bytes[byte] = (int32_t)id;
        if (!found)
            error_set(e, ERROR_INPUT, "tokens: \"%s\", the piece of byte 0x%02x, is missing", text_c(&piece), byte);
        text_free(&piece);
        if (!found) return e->code;
    }
    return 0;
}

static int find_pairs(struct bpe *b, const struct vocabulary *v, struct error *e)
{
    for (size_t i = 0; i < v->merge_count; i++) {
        const struct merge_rule *m = v->merges + i;
        bool was_there;
        if (pairs_add(&b->pairs, m->left, m->right, (uint32_t)i, m->into, &was_there, e)) return e->code;
        if (was_there) return error_set(e, ERROR_INPUT, "merges[%zu]: the same pair is there before", i);
    }
    return 0;
}

static void bpe_close(void *state)
{
    struct bpe *b = state;
    if (!b) return;
    pairs_free(&b->pairs);
    split_close(b->split);
    free(b);
}

static int bpe_open(void **state, const struct vocabulary *v, struct error *e)
{
    struct bpe *b = memory_new(1, sizeof *b, "a tokenizer", e);
    if (!b) return e->code;
    b->adds_space = v->adds_space;
    if (find_bytes(b, v, e) || find_pairs(b, v, e) || split_open(&b->split, v->split, strlen(v->split), e)) {
        bpe_close(b);
        return e->code;
    }
    *state = b;
    return 0;
}

static int encode_word(struct word_encoder *w, const char *word, size_t n, struct ids *out, struct error *e)
{
    const struct bpe *b = w->state;
    struct merge_work *work = &w->work;
    if (memory_reserve((void **)&work->symbols, &work->symbol_capacity, n, sizeof *work->symbols, "a word", e))
        return e->code;
    for (size_t i = 0; i < n; i++) work->symbols[i] = (struct symbol){b->bytes[(unsigned char)word[i]], (uint32_t)i};
    size_t count = n;
    if (merge_symbols(&b->pairs, work->symbols, &count, work, e) ||
        memory_reserve((void **)&out->at, &out->capacity, out->count + count, sizeof *out->at, "token ids", e))
        return e->code;
    for (size_t i = 0; i < count; i++) out->at[out->count++] = work->symbols[i].id;
    return 0;
}

static int encode_text(const struct bpe *b, const char *text, size_t n, struct ids *out, struct error *e)
{
    struct known_words known;
    struct split_words words;
    struct word_encoder encoder = {.state = b, .encode = encode_word};
    if (known_words_open(&known, n, e)) return e->code;
    int status = split_words_open(&words, b->split, text, n, e);
    for (const char *word = text; !status && word;) {
        size_t length;
        status = split_words_next(&words, &word, &length, e);
        if (!status && word) status = known_words_encode(&known, &encoder, word, length, out, e);
    }
    split_words_close(&words);
    known_words_free(&known);
    merge_work_free(&encoder.work);
    return status;
}

static int bpe_encode(const void *state, const char *text, size_t n, bool space, struct ids *out, struct error *e)
{
    const struct bpe *b = state;
    if (!space || !b->adds_space || *text == ' ') return encode_text(b, text, n, out, e);
    char *spaced = memory_new(n + 1, 1, "text", e);
    if (!spaced) return e->code;
    *spaced = ' ';
    memcpy(spaced + 1, text, n);
    const int status = encode_text(b, spaced, n + 1, out, e);
    free(spaced);
    return status;
}

/* Adds the bytes that a piece's characters stand for; a piece with any other character stands for itself. */
static void decode_piece(const uint8_t bytes[ALPHABET_END], struct gguf_string piece, struct text *out)
{
    const size_t before = out->length;
    for (size_t i = 0, length; i < piece.length; i += length) {
        uint32_t c;
        length = utf8_decode(piece.bytes + i, piece.length - i, &c);
        if (!length || c >= ALPHABET_END || (c < 0x100 && !stands_for_itself(c))) {
            out->length = before;
            text_bytes(out, piece.bytes, piece.length);
            return;
        }
        text_char(out, (char)bytes[c]);
    }
}

static void bpe_decode(const struct vocabulary *v, const int32_t *ids, size_t n, unsigned flags, struct text *out)
{
    (void)flags;
    uint32_t codepoints[256];
    uint8_t bytes[ALPHABET_END] = {0};
    byte_characters(codepoints);
    for (unsigned byte = 0; byte < 256; byte++) bytes[codepoints[byte]] = (uint8_t)byte;
    for (size_t i = 0; i < n; i++) {
        const struct gguf_string piece = vocabulary_piece(v, ids[i]);
        if (v->types[ids[i]] == TOKEN_NORMAL)
            decode_piece(bytes, piece, out);
        else
            text_bytes(out, piece.bytes, piece.length);
    }
}

const struct tokenizer_kind bpe_kind = {
    .name = "bpe",
    .gguf_model = "gpt2",
    .has_merges = true,
    .has_split = true,
    .indexed = ~0u,
    .open = bpe_open,
    .encode = bpe_encode,
    .decode = bpe_decode,
    .close = bpe_close,
};
