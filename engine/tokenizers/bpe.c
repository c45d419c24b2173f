/* Byte-level BPE (Radford et al. 2019): every byte is a character of the vocabulary, text is cut into words by a
 * pre-split, and the merges of a list apply within each word, first in the list first. */
#include "engine/base/memory.h"
#include "engine/tokenizers/words.h"
#include <stdlib.h>
#include <string.h>

struct bpe {
    const struct vocabulary *vocabulary;
    struct pairs pairs;
    struct pairs characters; /* (0, code point) into its id, where pieces are spelled in characters */
    struct words words;
    char spelled[256][3]; /* each byte's character, where they are spelled in bytes */
    int32_t bytes[256];   /* id of each byte's piece, or -1 */
    bool joins[256];      /* of words.h, where pieces are spelled in characters */
};

/* Bytes that no text of UTF-8 has, and others that one who trains leaves out, may be missing; then they are dropped, as
 * tokenizer.json's reference does. Printable ASCII is in every vocabulary that is one of bytes. */
static int find_bytes(struct bpe *b, const struct vocabulary *v, struct error *e)
{
    uint32_t codepoints[256];
    byte_characters(codepoints);
    for (unsigned byte = 0; byte < 256; byte++) {
        struct text piece = {0};
        int64_t id = -1;
        text_codepoint(&piece, codepoints[byte]);
        const bool found = !piece.failed && table_find(&v->ids, piece.bytes, piece.length, &id);
        if (!piece.failed) memcpy(b->spelled[byte], piece.bytes, piece.length);
        b->bytes[byte] = found ? (int32_t)id : -1;
        const bool needed = (byte >= 0x20 && byte < 0x7F) || piece.failed;
        if (!found && needed)
            error_set(e, piece.failed ? ERROR_IO : ERROR_INPUT,
                      piece.failed ? "out of memory for \"%s\", the piece of byte 0x%02x"
                                   : "tokens: \"%s\", the piece of byte 0x%02x, is missing",
                      text_c(&piece), byte);
        text_free(&piece);
        if (!found && needed) return e->code;
    }
    return 0;
}

static int find_characters(struct bpe *b, const struct vocabulary *v, struct error *e)
{
    memset(b->bytes, -1, sizeof b->bytes);
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        const int byte = byte_of_piece(piece);
        uint32_t c;
        if (v->byte_fallback && byte >= 0) b->bytes[byte] = id;
        if (piece.length && utf8_decode(piece.bytes, piece.length, &c) == piece.length &&
            pairs_add(&b->characters, 0, (int32_t)c, 0, id, NULL, e))
            return e->code;
    }
    for (int byte = 0; v->byte_fallback && byte < 256; byte++)
        if (b->bytes[byte] < 0)
            return error_set(e, ERROR_INPUT, "tokens: the byte piece <0x%02X> is missing", (unsigned)byte);
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

/* Words are whole where a part may be what the whole is not: where what is unknown goes, so that its neighbours merge,
 * where the mark is unknown, and where merges are ignored. */
static void find_joins(struct bpe *b, const struct vocabulary *v)
{
    const bool goes = v->unknown < 0 && !v->byte_fallback;
    if (!v->characters || v->ignores_merges || goes || !pairs_find(&b->characters, 0, SPACE_MARK_CODEPOINT)) return;
    for (size_t i = 0; i < v->merge_count; i++) {
        const struct gguf_string left = vocabulary_piece(v, v->merges[i].left);
        const struct gguf_string right = vocabulary_piece(v, v->merges[i].right);
        const int byte = byte_of_piece(left);
        const size_t n = left.length;
        if (v->merges[i].left == v->unknown) return; /* which stands for anything */
        const bool marked =
            n >= SPACE_MARK_LENGTH && starts_with_mark(left.bytes + n - SPACE_MARK_LENGTH, SPACE_MARK_LENGTH);
        if (marked || !starts_with_mark(right.bytes, right.length)) continue;
        b->joins[(unsigned char)left.bytes[n - 1]] = true;
        if (byte >= 0) b->joins[byte] = true;
    }
    b->words.joins = b->joins;
}

static void bpe_close(void *state)
{
    struct bpe *b = state;
    if (!b) return;
    pairs_free(&b->pairs);
    pairs_free(&b->characters);
    words_close(&b->words);
    free(b);
}

static int bpe_open(void **state, const struct vocabulary *v, struct error *e)
{
    struct bpe *b = memory_new(1, sizeof *b, "a tokenizer", e);
    if (!b) return e->code;
    b->vocabulary = v;
    if ((v->characters ? find_characters(b, v, e) : find_bytes(b, v, e)) || find_pairs(b, v, e) ||
        words_open(&b->words, v, e)) {
        bpe_close(b);
        return e->code;
    }
    find_joins(b, v);
    *state = b;
    return 0;
}

static void add_symbol(struct symbol *symbols, size_t *count, int32_t id, size_t start)
{
    if (id >= 0) symbols[(*count)++] = (struct symbol){id, (uint32_t)start};
}

/* A symbol for each byte; one for each character, or for the bytes or the unknown token in its place. What has none of
 * these is left out, and what stands around it may merge. */
static size_t read_symbols(const struct bpe *b, const char *word, size_t n, struct symbol *symbols)
{
    const struct vocabulary *v = b->vocabulary;
    size_t count = 0;
    for (size_t at = 0, length; at < n; at += length) {
        uint32_t c;
        length = v->characters ? utf8_decode(word + at, n - at, &c) : 0;
        const struct pair *character = length ? pairs_find(&b->characters, 0, (int32_t)c) : NULL;
        if (!length) length = 1;
        if (character)
            add_symbol(symbols, &count, character->into, at);
        else if (!v->characters || v->byte_fallback)
            for (size_t i = at; i < at + length; i++) add_symbol(symbols, &count, b->bytes[(unsigned char)word[i]], i);
        else if (!count || !v->fuses_unknown || symbols[count - 1].id != v->unknown)
            add_symbol(symbols, &count, v->unknown, at);
    }
    return count;
}

/* The id of a word that is a piece, or -1. */
static int32_t whole_word(const struct bpe *b, const char *word, size_t n)
{
    char piece[2 * MERGED_LENGTH_MAX];
    size_t length = 0;
    int64_t id;
    if (2 * n > sizeof piece) return -1;
    for (size_t i = 0; i < n && !b->vocabulary->characters; i++) {
        const char *spelled = b->spelled[(unsigned char)word[i]];
        for (size_t k = 0; spelled[k]; k++) piece[length++] = spelled[k];
    }
    const bool found = b->vocabulary->characters ? table_find(&b->vocabulary->ids, word, n, &id)
                                                 : table_find(&b->vocabulary->ids, piece, length, &id);
    return found ? (int32_t)id : -1;
}

static int encode_word(struct word_encoder *w, const char *word, size_t n, struct ids *out, struct error *e)
{
    const struct bpe *b = w->state;
    struct merge_work *work = &w->work;
    const int32_t whole = b->vocabulary->ignores_merges ? whole_word(b, word, n) : -1;
    if (whole >= 0) return ids_add(out, whole, e);
    if (n >= UINT32_MAX) return error_set(e, ERROR_INPUT, "text: a word of %zu bytes is too long", n);
    if (memory_reserve((void **)&work->symbols, &work->symbol_capacity, n, sizeof *work->symbols, "a word", e))
        return e->code;
    size_t count = read_symbols(b, word, n, work->symbols);
    if (merge_symbols(&b->pairs, work->symbols, &count, work, e) ||
        memory_reserve((void **)&out->at, &out->capacity, out->count + count, sizeof *out->at, "token ids", e))
        return e->code;
    for (size_t i = 0; i < count; i++) out->at[out->count++] = work->symbols[i].id;
    return 0;
}

static int encode_text(const struct bpe *b, const char *text, size_t n, bool space, struct ids *out, struct error *e)
{
    struct word_encoder encoder = {.state = b, .encode = encode_word};
    const int status = words_encode(&b->words, &encoder, text, n, space, out, e);
    merge_work_free(&encoder.work);
    return status;
}

static int bpe_encode(const void *state, const char *text, size_t n, bool space, struct ids *out, struct error *e)
{
    const struct bpe *b = state;
    const struct vocabulary *v = b->vocabulary;
    if (v->marks || !space || !v->adds_space || *text == ' ') return encode_text(b, text, n, space, out, e);
    char *spaced = memory_new(n + 1, 1, "text", e);
    if (!spaced) return e->code;
    *spaced = ' ';
    memcpy(spaced + 1, text, n);
    const int status = encode_text(b, spaced, n + 1, space, out, e);
    free(spaced);
    return status;
}

/* Adds the bytes that a piece's characters stand for; a piece with any other character stands for itself. */
static void decode_piece(const uint8_t bytes[BYTE_ALPHABET_END], struct gguf_string piece, struct text *out)
{
    const size_t before = out->length;
    for (size_t i = 0, length; i < piece.length; i += length) {
        uint32_t c;
        length = utf8_decode(piece.bytes + i, piece.length - i, &c);
        if (!length || c >= BYTE_ALPHABET_END || (c < 0x100 && !byte_stands_for_itself(c))) {
            out->length = before;
            text_bytes(out, piece.bytes, piece.length);
            return;
        }
        text_char(out, (char)bytes[c]);
    }
}

static void bpe_decode(const struct vocabulary *v, const int32_t *ids, size_t n, unsigned flags, struct text *out)
{
    if (v->characters) {
        marked_decode(v, ids, n, flags, out);
        return;
    }
    uint32_t codepoints[256];
    uint8_t bytes[BYTE_ALPHABET_END] = {0};
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
