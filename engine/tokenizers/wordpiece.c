/* WordPiece (Schuster and Nakajima 2012, as BERT has it): a word is taken apart from its front, each time by the longest
 * piece that fits; a word that cannot be taken apart to its end is unknown as a whole. Pieces are spelled as in GGUF: one
 * that begins a word has U+2581 before it, one that goes on has nothing. */
#include "engine/base/memory.h"
#include "engine/tokenizers/words.h"
#include <stdlib.h>
#include <string.h>

struct wordpiece {
    const struct vocabulary *vocabulary;
    struct words words;
    size_t longest; /* piece, in bytes */
};

static void wordpiece_close(void *state)
{
    struct wordpiece *p = state;
    if (!p) return;
    words_close(&p->words);
    free(p);
}

static int wordpiece_open(void **state, const struct vocabulary *v, struct error *e)
{
    struct wordpiece *p = memory_new(1, sizeof *p, "a tokenizer", e);
    if (!p) return e->code;
    p->vocabulary = v;
    int status = words_open(&p->words, v, e);
    for (int32_t id = 0; !status && (size_t)id < v->size; id++) {
        const size_t length = vocabulary_piece(v, id).length;
        if (length > PIECE_LENGTH_MAX)
            status = error_set(e, ERROR_INPUT, "tokens[%d]: a piece of %zu bytes; %d are the limit", id, length,
                               PIECE_LENGTH_MAX);
        if (length > p->longest) p->longest = length;
    }
    if (status) {
        wordpiece_close(p);
        return status;
    }
    *state = p;
    return 0;
}

/* Length of the longest piece at the front of text[0 .. n), 0: none. */
static size_t longest_piece(const struct wordpiece *p, const char *text, size_t n, int32_t *id)
{
    int64_t found;
    for (size_t length = n < p->longest ? n : p->longest; length; length--)
        if (table_find(&p->vocabulary->ids, text, length, &found)) {
            *id = (int32_t)found;
            return length;
        }
    return 0;
}

static int encode_word(struct word_encoder *w, const char *word, size_t n, struct ids *out, struct error *e)
{
    const struct wordpiece *p = w->state;
    const size_t before = out->count, length = n + SPACE_MARK_LENGTH;
    if (memory_reserve(&w->scratch, &w->scratch_capacity, length, 1, "a word", e)) return e->code;
    char *marked = w->scratch;
    memcpy(marked, SPACE_MARK, SPACE_MARK_LENGTH);
    memcpy(marked + SPACE_MARK_LENGTH, word, n);
    bool known = n <= 4 * (size_t)p->vocabulary->word_max && utf8_length(word, n) <= p->vocabulary->word_max;
    for (size_t at = 0; known && at < length;) {
        int32_t id = 0;
        const size_t step = longest_piece(p, marked + at, length - at, &id);
        /* the mark alone begins no word */
        known = step && !(at == 0 && step <= SPACE_MARK_LENGTH && length > SPACE_MARK_LENGTH);
        at += step;
        if (known && ids_add(out, id, e)) return e->code;
    }
    if (known) return 0;
    out->count = before;
    return ids_add(out, p->vocabulary->unknown, e);
}

static int wordpiece_encode(const void *state, const char *text, size_t n, bool space, struct ids *out, struct error *e)
{
    const struct wordpiece *p = state;
    struct word_encoder encoder = {.state = p, .encode = encode_word};
    const int status = words_encode(&p->words, &encoder, text, n, space, out, e);
    merge_work_free(&encoder.work);
    free(encoder.scratch);
    return status;
}

static void wordpiece_decode(const struct vocabulary *v, const int32_t *ids, size_t n, unsigned flags, struct text *out)
{
    bool start = !(flags & TOKENIZER_CONTINUES);
    for (size_t i = 0; i < n; i++) {
        const struct gguf_string piece = vocabulary_piece(v, ids[i]);
        if (v->types[ids[i]] == TOKEN_CONTROL || v->types[ids[i]] == TOKEN_UNKNOWN) continue;
        const bool begins = starts_with_mark(piece.bytes, piece.length);
        const size_t skipped = begins ? SPACE_MARK_LENGTH : 0;
        if (begins && !start) text_char(out, ' ');
        text_bytes(out, piece.bytes + skipped, piece.length - skipped);
        start = false;
    }
}

const struct tokenizer_kind wordpiece_kind = {
    .name = "wordpiece",
    .gguf_model = "bert",
    .adds_bos = true,
    .has_unknown = true,
    .indexed = ~0u,
    .open = wordpiece_open,
    .encode = wordpiece_encode,
    .decode = wordpiece_decode,
    .close = wordpiece_close,
};
