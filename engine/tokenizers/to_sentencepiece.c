/* Hugging Face writes SentencePiece's BPE models as merges: for each piece, in order of scores, every way to put it
 * together. A file that holds just that is read as the model that it came from, which is faster to encode with, and has
 * a form in GGUF. */
#include "engine/base/memory.h"
#include "engine/tokenizers/json_fields.h"
#include "engine/tokenizers/merge.h"
#include <stdlib.h>
#include <string.h>

/* A normalizer that only puts marks for spaces, and maybe one in front. */
static bool normalizer_is_plain(const struct normalizer *n, bool *adds_space)
{
    const struct text *a = NULL, *b = NULL;
    bool marks = false;
    unsigned flags;
    for (size_t i = 0; i < normalizer_length(n); i++) {
        switch (normalizer_step(n, i, &flags, &a, &b)) {
        case NORMAL_PREPEND:
            if (*adds_space || marks || strcmp(text_c(a), SPACE_MARK) != 0) return false;
            *adds_space = true;
            break;
        case NORMAL_REPLACE:
            if (marks || strcmp(text_c(a), " ") != 0 || strcmp(text_c(b), SPACE_MARK) != 0) return false;
            marks = true;
            break;
        default:
            return false;
        }
    }
    return marks;
}

/* Whether text is cut nowhere: not at all, or at spaces, of which marks leave none. */
static bool is_uncut(const struct vocabulary *v)
{
    for (size_t i = 0; i < v->stage_count; i++) {
        const char *pattern = v->stages[i].pattern;
        if (strcmp(pattern, " ") != 0 || v->marks) return false;
    }
    return true;
}

/* Scores by the order of merges: false where the merges of a piece do not stand together. */
static bool score_pieces(const struct vocabulary *v, float *scores)
{
    float score = 0;
    for (size_t id = 0; id < v->size; id++) scores[id] = 1;
    for (size_t i = 0; i < v->merge_count; i++) {
        const int32_t into = v->merges[i].into;
        if (i && into == v->merges[i - 1].into) continue;
        if (scores[into] <= 0) return false;
        scores[into] = score--;
    }
    for (size_t id = 0; id < v->size; id++)
        if (scores[id] > 0) scores[id] = score;
    return score > -(1 << 24);
}

static bool find_normal(const struct vocabulary *v, const char *bytes, size_t n, int32_t *id)
{
    int64_t found;
    if (!table_find(&v->ids, bytes, n, &found) || v->types[found] != TOKEN_NORMAL) return false;
    *id = (int32_t)found;
    return true;
}

/* Whether every way to put a piece together from two is a merge, and each of its characters a piece. */
static bool is_complete(const struct vocabulary *v, const struct pairs *merges, struct gguf_string piece)
{
    uint32_t c;
    int32_t left, right;
    for (size_t at = 0, length; at < piece.length; at += length) {
        length = utf8_decode(piece.bytes + at, piece.length - at, &c);
        if (!length || !find_normal(v, piece.bytes + at, length, &left)) return false;
        if (at && find_normal(v, piece.bytes, at, &left) &&
            find_normal(v, piece.bytes + at, piece.length - at, &right) && !pairs_find(merges, left, right))
            return false;
    }
    return true;
}

static int check_pieces(const struct vocabulary *v, bool *complete, struct error *e)
{
    struct pairs merges = {0};
    int status = 0;
    for (size_t i = 0; !status && i < v->merge_count; i++)
        status = pairs_add(&merges, v->merges[i].left, v->merges[i].right, 0, 0, NULL, e);
    for (int32_t id = 0; !status && *complete && (size_t)id < v->size; id++) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        if ((v->types[id] != TOKEN_NORMAL && v->types[id] != TOKEN_UNUSED) || byte_of_piece(piece) >= 0) continue;
        *complete = v->types[id] == TOKEN_NORMAL && piece.length && piece.length <= PIECE_LENGTH_MAX &&
                    is_complete(v, &merges, piece);
    }
    pairs_free(&merges);
    return status;
}

static bool has_bytes(const struct vocabulary *v)
{
    bool there[256] = {false};
    int count = 0;
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const int byte = byte_of_piece(vocabulary_piece(v, id));
        if (byte < 0 || there[byte]) continue;
        there[byte] = true;
        count++;
    }
    return count == 256;
}

static int convert(struct vocabulary *v, float *scores, bool adds_space, struct error *e)
{
    v->kind = &sentencepiece_kind;
    v->scores = scores;
    for (int32_t id = 0; (size_t)id < v->size; id++)
        if (byte_of_piece(vocabulary_piece(v, id)) >= 0) v->types[id] = TOKEN_BYTE;
    if (!v->marks) v->adds_space = adds_space;
    normalizer_close(v->normalizer);
    v->normalizer = NULL;
    for (size_t i = 0; i < v->stage_count; i++) free((char *)v->stages[i].pattern);
    v->stage_count = 0;
    free(v->merges);
    v->merges = NULL;
    v->merge_count = v->merge_capacity = 0;
    v->characters = v->byte_fallback = v->fuses_unknown = v->marks = v->cuts_at_marks = false;
    return vocabulary_index(v, e);
}

int vocabulary_to_sentencepiece(struct vocabulary *v, struct error *e)
{
    bool adds_space = false;
    int64_t mark;
    const bool marked = v->marks ? !normalizer_length(v->normalizer) && !v->cuts_at_marks
                                 : normalizer_is_plain(v->normalizer, &adds_space);
    if (!marked || !is_uncut(v) || v->ignores_merges || !v->byte_fallback || !has_bytes(v) ||
        !table_find(&v->ids, SPACE_MARK, SPACE_MARK_LENGTH, &mark))
        return 0;
    float *scores = memory_new(v->size, sizeof *scores, "scores", e);
    if (!scores) return e->code;
    bool complete = score_pieces(v, scores);
    const int status = complete ? check_pieces(v, &complete, e) : 0;
    if (!status && complete) return convert(v, scores, adds_space, e);
    free(scores);
    return status;
}
