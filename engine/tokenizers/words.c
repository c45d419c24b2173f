#include "engine/tokenizers/words.h"

#include "engine/base/memory.h"
#include <stdlib.h>
#include <string.h>

int words_open(struct words *w, const struct vocabulary *v, struct error *e)
{
    const struct split_rule *rule = v->split ? split_rule_find(v->split, strlen(v->split)) : NULL;
    *w = (struct words){.vocabulary = v};
    if (rule) return split_open(&w->split, rule->stages, split_rule_length(rule), e);
    return split_open(&w->split, v->stages, v->stage_count, e);
}

void words_close(struct words *w)
{
    split_close(w->split);
    *w = (struct words){0};
}

/* Where the part that starts a word ends: before a mark that merges with nothing before it. */
static size_t part_length(const bool joins[256], const char *word, size_t n)
{
    const char *found;
    for (size_t at = 1; at < n && (found = memmem(word + at, n - at, SPACE_MARK, SPACE_MARK_LENGTH)) != NULL;) {
        const size_t i = (size_t)(found - word);
        const bool after_mark =
            i >= SPACE_MARK_LENGTH && starts_with_mark(found - SPACE_MARK_LENGTH, SPACE_MARK_LENGTH);
        if (!after_mark && !joins[(unsigned char)word[i - 1]]) return i;
        at = i + SPACE_MARK_LENGTH;
    }
    return n;
}

static int encode_parts(const struct words *w, const struct known_words *known, struct word_encoder *encoder,
                        const char *word, size_t n, struct ids *out, struct error *e)
{
    if (!w->joins) return known_words_encode(known, encoder, word, n, out, e);
    for (size_t at = 0, length; at < n; at += length) {
        length = part_length(w->joins, word + at, n - at);
        if (known_words_encode(known, encoder, word + at, length, out, e)) return e->code;
    }
    return 0;
}

static int encode_plain(const struct words *w, const struct known_words *known, struct word_encoder *encoder,
                        const char *text, size_t n, struct ids *out, struct error *e)
{
    struct split_words words;
    if (split_words_open(&words, w->split, text, n, e)) return e->code;
    int status = 0;
    for (const char *word = text; !status && word;) {
        size_t length;
        status = split_words_next(&words, &word, &length, e);
        if (!status && word) status = encode_parts(w, known, encoder, word, length, out, e);
    }
    split_words_close(&words);
    return status;
}

/* --- words with marks --- */

struct marked {
    struct text bytes;
    size_t *ends; /* of each word, in bytes */
    size_t count, capacity;
};

static int add_marked(struct marked *m, const char *word, size_t n, bool prefix, struct error *e)
{
    if (memory_reserve((void **)&m->ends, &m->capacity, m->count + 1, sizeof *m->ends, "words", e)) return e->code;
    if (prefix) text_add(&m->bytes, SPACE_MARK);
    for (size_t i = 0; i < n;) {
        const char *space = memchr(word + i, ' ', n - i);
        const size_t end = space ? (size_t)(space - word) : n;
        text_bytes(&m->bytes, word + i, end - i);
        if (space) text_add(&m->bytes, SPACE_MARK);
        i = end + 1;
    }
    m->ends[m->count++] = m->bytes.length;
    return m->bytes.failed ? error_set(e, ERROR_IO, "out of memory for words") : 0;
}

static int mark_words(const struct words *w, struct marked *m, const char *text, size_t n, bool space, struct error *e)
{
    const struct vocabulary *v = w->vocabulary;
    struct split_words words;
    if (split_words_open(&words, w->split, text, n, e)) return e->code;
    int status = 0;
    for (const char *word = text; !status && word;) {
        size_t length;
        status = split_words_next(&words, &word, &length, e);
        const bool there = v->adds_missing_space && word && (*word == ' ' || starts_with_mark(word, length));
        const bool prefix = v->adds_space && !there && (word == text ? space : !v->adds_space_once);
        if (!status && word) status = add_marked(m, word, length, prefix, e);
    }
    split_words_close(&words);
    return status;
}

/* Where the word that starts text[0 .. n) ends: before the next mark. */
static size_t to_next_mark(const char *text, size_t n)
{
    const char *found = n > 1 ? memmem(text + 1, n - 1, SPACE_MARK, SPACE_MARK_LENGTH) : NULL;
    return found ? (size_t)(found - text) : n;
}

static int encode_marked(const struct words *w, const struct known_words *known, struct word_encoder *encoder,
                         const char *text, size_t n, bool space, struct ids *out, struct error *e)
{
    struct marked m = {0};
    int status = mark_words(w, &m, text, n, space, e);
    for (size_t i = 0, at = 0; !status && i < m.count; i++) {
        while (!status && at < m.ends[i]) {
            const size_t left = m.ends[i] - at;
            const size_t length = w->vocabulary->cuts_at_marks ? to_next_mark(m.bytes.bytes + at, left) : left;
            status = encode_parts(w, known, encoder, m.bytes.bytes + at, length, out, e);
            at += length;
        }
    }
    text_free(&m.bytes);
    free(m.ends);
    return status;
}

int words_encode(const struct words *w, struct word_encoder *encoder, const char *text, size_t n, bool space,
                 struct ids *out, struct error *e)
{
    struct known_words known;
    if (known_words_open(&known, n, e)) return e->code;
    const int status = w->vocabulary->marks ? encode_marked(w, &known, encoder, text, n, space, out, e)
                                            : encode_plain(w, &known, encoder, text, n, out, e);
    known_words_free(&known);
    return status;
}

void marked_decode(const struct vocabulary *v, const int32_t *ids, size_t n, unsigned flags, struct text *out)
{
    bool start = !(flags & TOKENIZER_CONTINUES); /* here encoding has added a space */
    for (size_t i = 0; i < n; i++) {
        struct gguf_string piece = vocabulary_piece(v, ids[i]);
        switch ((enum token_type)v->types[ids[i]]) {
        case TOKEN_CONTROL:
        case TOKEN_UNKNOWN:
            start = start || !v->adds_space_once;
            break;
        case TOKEN_USER_DEFINED:
            text_bytes(out, piece.bytes, piece.length);
            start = !v->adds_space_once;
            break;
        case TOKEN_BYTE:
            text_char(out, (char)byte_of_piece(piece));
            start = false;
            break;
        case TOKEN_NORMAL:
        case TOKEN_UNUSED:
            if (start && v->adds_space && starts_with_mark(piece.bytes, piece.length)) {
                piece.bytes += SPACE_MARK_LENGTH;
                piece.length -= SPACE_MARK_LENGTH;
            }
            text_unmarked(out, piece);
            start = false;
            break;
        }
    }
}
