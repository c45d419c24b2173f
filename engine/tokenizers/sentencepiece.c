/* SentencePiece's BPE (Kudo and Richardson 2018): spaces are U+2581, text starts as single characters, and of all
 * neighbours that are a piece together those of the highest score merge first. What is no piece in the end is spelled
 * in byte pieces. No normalization but the spaces: that is what GGUF's "llama" vocabularies ask for. */
#include "engine/base/memory.h"
#include "engine/tokenizers/words.h"
#include <stdlib.h>
#include <string.h>

struct sentencepiece {
    const struct vocabulary *vocabulary;
    struct pairs pairs;
    struct pairs characters; /* (0, code point) into its symbol: an id, or from `size` on for one that is no piece */
    int32_t ascii[128];      /* the same, in front: -1 where there is none; a space is U+2581 */
    int32_t next_symbol;
    int32_t mark;       /* the symbol of U+2581 */
    int32_t bytes[256]; /* ids of the byte pieces */
    bool joins[256]; /* last bytes of characters that merge with a U+2581 behind them: text may be cut after others */
};

static int32_t character(const struct sentencepiece *s, uint32_t codepoint)
{
    const struct pair *found = pairs_find(&s->characters, 0, (int32_t)codepoint);
    return found ? found->into : -1;
}

/* The symbol of a stretch of a piece: a piece, or a single character, which then becomes one; else -1. */
static int symbol_of(struct sentencepiece *s, const char *bytes, size_t n, int32_t *symbol, struct error *e)
{
    int64_t id;
    uint32_t codepoint;
    const bool single = utf8_decode(bytes, n, &codepoint) == n;
    *symbol = -1;
    if (table_find(&s->vocabulary->ids, bytes, n, &id)) {
        *symbol = (int32_t)id;
    } else if (single) {
        *symbol = character(s, codepoint);
        if (*symbol < 0) *symbol = s->next_symbol++;
    }
    return single ? pairs_add(&s->characters, 0, (int32_t)codepoint, 0, *symbol, NULL, e) : 0;
}

/* Higher scores first: the bits of a float, in the order of their values, turned round. */
static uint32_t rank_of(float score)
{
    uint32_t bits;
    score += 0.0f; /* minus zero is zero */
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

/* Every way in which a piece can come about from two symbols. */
static int add_pairs_of(struct sentencepiece *s, int32_t id, struct gguf_string piece, struct error *e)
{
    uint32_t codepoint = 0;
    int32_t left, right = -1;
    size_t length = utf8_decode(piece.bytes, piece.length, &codepoint);
    bool mark = codepoint == SPACE_MARK_CODEPOINT; /* the character before the place */
    if (length == piece.length) return symbol_of(s, piece.bytes, piece.length, &left, e);
    for (size_t at = length; at < piece.length; at += length) {
        const char *rest = piece.bytes + at;
        if (symbol_of(s, piece.bytes, at, &left, e)) return e->code;
        if (left >= 0 && symbol_of(s, rest, piece.length - at, &right, e)) return e->code;
        if (left >= 0 && right >= 0) {
            if (pairs_add(&s->pairs, left, right, rank_of(s->vocabulary->scores[id]), id, NULL, e)) return e->code;
            if (!mark && starts_with_mark(rest, piece.length - at)) s->joins[(unsigned char)rest[-1]] = true;
        }
        length = utf8_decode(rest, piece.length - at, &codepoint);
        mark = codepoint == SPACE_MARK_CODEPOINT;
    }
    return 0;
}

static bool is_utf8(struct gguf_string piece)
{
    size_t at = 0, length = 1;
    uint32_t codepoint;
    for (; at < piece.length && length; at += length)
        length = utf8_decode(piece.bytes + at, piece.length - at, &codepoint);
    return length;
}

static int find_pairs(struct sentencepiece *s, const struct vocabulary *v, struct error *e)
{
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        if (!vocabulary_indexes(v, id)) continue;
        if (!piece.length || piece.length > PIECE_LENGTH_MAX)
            return error_set(e, ERROR_INPUT, "tokens[%d]: a piece of %zu bytes; 1 to %d are allowed", id, piece.length,
                             PIECE_LENGTH_MAX);
        if (!is_utf8(piece))
            return error_set(e, ERROR_INPUT, "tokens[%d]: \"%.*s\" is not UTF-8", id, shown(piece), piece.bytes);
        int64_t last = id; /* of equal pieces the last counts */
        table_find(&v->ids, piece.bytes, piece.length, &last);
        if (last == id && add_pairs_of(s, id, piece, e)) return e->code;
    }
    return 0;
}

static int find_bytes(struct sentencepiece *s, const struct vocabulary *v, struct error *e)
{
    memset(s->bytes, -1, sizeof s->bytes);
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        if (v->types[id] != TOKEN_BYTE) continue;
        const int byte = byte_of_piece(piece);
        if (byte < 0)
            return error_set(e, ERROR_INPUT, "tokens[%d]: a byte piece is spelled <0x00> to <0xFF>, not \"%.*s\"", id,
                             shown(piece), piece.bytes);
        s->bytes[byte] = id;
    }
    for (int byte = 0; byte < 256; byte++)
        if (s->bytes[byte] < 0)
            return error_set(e, ERROR_INPUT, "tokens: the byte piece <0x%02X> is missing", (unsigned)byte);
    return 0;
}

static void sentencepiece_close(void *state)
{
    struct sentencepiece *s = state;
    if (!s) return;
    pairs_free(&s->pairs);
    pairs_free(&s->characters);
    free(s);
}

static int sentencepiece_open(void **state, const struct vocabulary *v, struct error *e)
{
    struct sentencepiece *s = memory_new(1, sizeof *s, "a tokenizer", e);
    if (!s) return e->code;
    *s = (struct sentencepiece){.vocabulary = v, .next_symbol = (int32_t)v->size};
    int status = find_bytes(s, v, e);
    if (!status) status = find_pairs(s, v, e);
    s->mark = character(s, SPACE_MARK_CODEPOINT);
    if (!status && (s->mark < 0 || (size_t)s->mark >= v->size))
        status = error_set(e, ERROR_INPUT, "tokens: U+2581, the piece of the space, is missing");
    if (status) {
        sentencepiece_close(s);
        return status;
    }
    for (uint32_t c = 0; c < 128; c++) s->ascii[c] = c == ' ' ? s->mark : character(s, c);
    *state = s;
    return 0;
}

/* How long the character at bytes[0 .. n) is, and its symbol; a byte that is not UTF-8 is one without a symbol. */
static size_t read_character(const struct sentencepiece *s, const char *bytes, size_t n, int32_t *symbol)
{
    const unsigned char first = (unsigned char)*bytes;
    uint32_t codepoint;
    if (first < 128) {
        *symbol = s->ascii[first];
        return 1;
    }
    const size_t length = utf8_decode(bytes, n, &codepoint);
    *symbol = length ? character(s, codepoint) : -1;
    return length ? length : 1;
}

static int add_ids(const struct sentencepiece *s, const struct symbol *symbols, size_t count, const char *word,
                   size_t n, struct ids *out, struct error *e)
{
    for (size_t i = 0; i < count; i++) {
        if (symbols[i].id >= 0 && (size_t)symbols[i].id < s->vocabulary->size) {
            if (ids_add(out, symbols[i].id, e)) return e->code;
            continue;
        }
        const size_t end = i + 1 < count ? symbols[i + 1].start : n;
        for (size_t at = symbols[i].start; at < end; at++)
            if (ids_add(out, s->bytes[(unsigned char)word[at]], e)) return e->code;
    }
    return 0;
}

static int encode_symbols(struct word_encoder *w, bool space, const char *word, size_t n, struct ids *out,
                          struct error *e)
{
    const struct sentencepiece *s = w->state;
    struct merge_work *work = &w->work;
    if (n >= UINT32_MAX) return error_set(e, ERROR_INPUT, "text: a word of %zu bytes is too long", n);
    if (memory_reserve((void **)&work->symbols, &work->symbol_capacity, n + 1, sizeof *work->symbols, "a word", e))
        return e->code;
    size_t count = 0;
    if (space) work->symbols[count++] = (struct symbol){s->mark, 0};
    for (size_t at = 0; at < n; count++) {
        work->symbols[count].start = (uint32_t)at;
        at += read_character(s, word + at, n - at, &work->symbols[count].id);
    }
    if (merge_symbols(&s->pairs, work->symbols, &count, work, e)) return e->code;
    return add_ids(s, work->symbols, count, word, n, out, e);
}

static int encode_word(struct word_encoder *w, const char *word, size_t n, struct ids *out, struct error *e)
{
    return encode_symbols(w, false, word, n, out, e);
}

/* Where the word that starts text[0 .. n) ends: before the next space that follows something else and merges with none
 * of that. */
static size_t word_length(const struct sentencepiece *s, const char *text, size_t n)
{
    bool space = true;
    for (size_t i = 0; i < n;) {
        const size_t length = text[i] == ' ' ? 1 : starts_with_mark(text + i, n - i) ? SPACE_MARK_LENGTH : 0;
        if (length && !space && !s->joins[(unsigned char)text[i - 1]]) return i;
        space = length;
        i += length ? length : 1;
    }
    return n;
}

static int sentencepiece_encode(const void *state, const char *text, size_t n, bool space, struct ids *out,
                                struct error *e)
{
    const struct sentencepiece *s = state;
    struct word_encoder encoder = {.state = s, .encode = encode_word};
    struct known_words known;
    if (known_words_open(&known, n, e)) return e->code;
    const bool there = s->vocabulary->adds_missing_space && (*text == ' ' || starts_with_mark(text, n));
    space = space && s->vocabulary->adds_space && !there;
    int status = 0;
    for (size_t at = 0, length; !status && at < n; at += length) {
        length = word_length(s, text + at, n - at);
        status = at == 0 && space ? encode_symbols(&encoder, true, text, length, out, e)
                                  : known_words_encode(&known, &encoder, text + at, length, out, e);
    }
    known_words_free(&known);
    merge_work_free(&encoder.work);
    return status;
}

const struct tokenizer_kind sentencepiece_kind = {
    .name = "sentencepiece",
    .gguf_model = "llama",
    .has_scores = true,
    .adds_bos = true,
    .adds_space = true,
    .indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER_DEFINED | 1u << TOKEN_UNUSED,
    .open = sentencepiece_open,
    .encode = sentencepiece_encode,
    .decode = marked_decode,
    .close = sentencepiece_close,
};
