/* The Unigram model of SentencePiece (Kudo 2018): of all ways to take a word apart into pieces, the one whose scores
 * (log-probabilities) have the largest sum, found by Viterbi's algorithm. A character that is no piece is unknown, at
 * the lowest score less 10; unknown characters next to each other are one token. */
#include "engine/base/memory.h"
#include "engine/tokenizers/words.h"
#include <float.h>
#include <stdlib.h>
#include <string.h>

static const double unknown_penalty = 10.0;

/* The best way to get to a place in a word: the token that ends there, and where that begins. */
struct step {
    double score;
    size_t from;
    int32_t id;
};

struct unigram {
    const struct vocabulary *vocabulary;
    struct words words;
    struct pairs children; /* (node, byte) into node; the root is 0 */
    int32_t *ids;          /* of each node: the piece that ends there, or -1 */
    size_t node_capacity;
    int32_t nodes;
    int32_t bytes[256]; /* pieces of bytes, where they are the fallback */
    double unknown_score;
};

static int add_node(struct unigram *u, struct error *e)
{
    if (memory_reserve((void **)&u->ids, &u->node_capacity, (size_t)u->nodes + 1, sizeof *u->ids, "a trie", e))
        return e->code;
    u->ids[u->nodes++] = -1;
    return 0;
}

static int add_piece(struct unigram *u, int32_t id, struct gguf_string piece, struct error *e)
{
    int32_t node = 0;
    if (piece.length > PIECE_LENGTH_MAX)
        return error_set(e, ERROR_INPUT, "tokens[%d]: a piece of %zu bytes; %d are the limit", id, piece.length,
                         PIECE_LENGTH_MAX);
    for (size_t i = 0; i < piece.length; i++) {
        const int32_t byte = (unsigned char)piece.bytes[i];
        const struct pair *child = pairs_find(&u->children, node, byte);
        if (child) {
            node = child->into;
            continue;
        }
        const int32_t next = u->nodes;
        if (next == INT32_MAX - 1) return error_set(e, ERROR_INPUT, "tokens: too many bytes in pieces");
        if (add_node(u, e) || pairs_add(&u->children, node, byte, 0, next, NULL, e)) return e->code;
        node = next;
    }
    u->ids[node] = id;
    return 0;
}

static void unigram_close(void *state)
{
    struct unigram *u = state;
    if (!u) return;
    words_close(&u->words);
    pairs_free(&u->children);
    free(u->ids);
    free(u);
}

static int fill(struct unigram *u, const struct vocabulary *v, struct error *e)
{
    double lowest = 0;
    memset(u->bytes, -1, sizeof u->bytes);
    if (words_open(&u->words, v, e) || add_node(u, e)) return e->code;
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        const int byte = byte_of_piece(piece);
        if (byte >= 0 && (v->types[id] == TOKEN_BYTE || v->byte_fallback)) u->bytes[byte] = id;
        if (!piece.length || !vocabulary_indexes(v, id)) continue;
        if (add_piece(u, id, piece, e)) return e->code;
        if (v->scores[id] < lowest) lowest = v->scores[id];
    }
    for (int byte = 0; v->byte_fallback && byte < 256; byte++)
        if (u->bytes[byte] < 0)
            return error_set(e, ERROR_INPUT, "tokens: the byte piece <0x%02X> is missing", (unsigned)byte);
    u->unknown_score = lowest - unknown_penalty;
    return 0;
}

static int unigram_open(void **state, const struct vocabulary *v, struct error *e)
{
    struct unigram *u = memory_new(1, sizeof *u, "a tokenizer", e);
    if (!u) return e->code;
    u->vocabulary = v;
    if (fill(u, v, e)) {
        unigram_close(u);
        return e->code;
    }
    *state = u;
    return 0;
}

/* Goes on from a place by every piece that begins there. */
static void extend(const struct unigram *u, struct step *steps, const char *word, size_t n, size_t at)
{
    const struct vocabulary *v = u->vocabulary;
    uint32_t c;
    const size_t length = utf8_decode(word + at, n - at, &c), character = at + (length ? length : 1);
    bool known = false;
    int32_t node = 0;
    for (size_t end = at; end < n;) {
        const struct pair *child = pairs_find(&u->children, node, (unsigned char)word[end++]);
        if (!child) break;
        node = child->into;
        const int32_t id = u->ids[node];
        if (id < 0) continue;
        known = known || end == character;
        const double score = steps[at].score + (v->types[id] == TOKEN_USER_DEFINED ? 0.0 : (double)v->scores[id]);
        if (score > steps[end].score) steps[end] = (struct step){score, at, id};
    }
    const double score = steps[at].score + u->unknown_score;
    if (!known && score > steps[character].score) steps[character] = (struct step){score, at, -1};
}

static int add_unknown(const struct unigram *u, const char *text, size_t n, struct ids *out, struct error *e)
{
    if (!u->vocabulary->byte_fallback) return ids_add(out, u->vocabulary->unknown, e);
    for (size_t i = 0; i < n; i++)
        if (ids_add(out, u->bytes[(unsigned char)text[i]], e)) return e->code;
    return 0;
}

static int encode_word(struct word_encoder *w, const char *word, size_t n, struct ids *out, struct error *e)
{
    const struct unigram *u = w->state;
    if (memory_reserve(&w->scratch, &w->scratch_capacity, n + 1, sizeof(struct step), "a word", e)) return e->code;
    struct step *steps = w->scratch;
    for (size_t i = 0; i <= n; i++) steps[i] = (struct step){i ? -DBL_MAX : 0, 0, -1};
    for (size_t at = 0; at < n;) {
        uint32_t c;
        const size_t length = utf8_decode(word + at, n - at, &c);
        extend(u, steps, word, n, at);
        at += length ? length : 1;
    }
    /* the way back turns `from` round, so that it leads forwards */
    for (size_t at = n, next = 0; at;) {
        const size_t from = steps[at].from;
        steps[at].from = next;
        next = at;
        at = from;
        if (!at) steps[0].from = next;
    }
    for (size_t at = 0; at < n;) {
        size_t end = steps[at].from;
        int status;
        if (steps[end].id >= 0) {
            status = ids_add(out, steps[end].id, e);
        } else {
            while (end < n && steps[steps[end].from].id < 0) end = steps[end].from;
            status = add_unknown(u, word + at, end - at, out, e);
        }
        if (status) return status;
        at = end;
    }
    return 0;
}

static int unigram_encode(const void *state, const char *text, size_t n, bool space, struct ids *out, struct error *e)
{
    const struct unigram *u = state;
    struct word_encoder encoder = {.state = u, .encode = encode_word};
    const int status = words_encode(&u->words, &encoder, text, n, space, out, e);
    merge_work_free(&encoder.work);
    free(encoder.scratch);
    return status;
}

const struct tokenizer_kind unigram_kind = {
    .name = "unigram",
    .gguf_model = "t5",
    .has_scores = true,
    .adds_space = true,
    .has_unknown = true,
    .indexed = 1u << TOKEN_NORMAL | 1u << TOKEN_USER_DEFINED | 1u << TOKEN_UNUSED,
    .open = unigram_open,
    .encode = unigram_encode,
    .decode = marked_decode,
    .close = unigram_close,
};
