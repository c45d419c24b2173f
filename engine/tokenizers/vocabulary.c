#include "engine/base/memory.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int vocabulary_open(struct vocabulary *v, const struct tokenizer_kind *kind, size_t size, struct error *e)
{
    *v = (struct vocabulary){.kind = kind, .bos = -1, .eos = -1, .unknown = -1};
    if (!size || size > PIECES_MAX)
        return error_set(e, ERROR_INPUT, "tokens: %zu pieces; a vocabulary has 1 to %d", size, (int)PIECES_MAX);
    v->starts = memory_new(size + 1, sizeof *v->starts, "pieces", e);
    v->types = memory_new(size, sizeof *v->types, "types of pieces", e);
    if (v->starts && v->types && kind->has_scores) v->scores = memory_new(size, sizeof *v->scores, "scores", e);
    if (v->starts && v->types && (v->scores || !kind->has_scores)) return 0;
    vocabulary_close(v);
    return e->code;
}

void vocabulary_add(struct vocabulary *v, const char *piece, size_t n, enum token_type type)
{
    text_bytes(&v->bytes, piece, n);
    v->types[v->size++] = (uint8_t)type;
    v->starts[v->size] = v->bytes.length;
}

struct gguf_string padding_piece(size_t id, char piece[PADDING_SIZE])
{
    return (struct gguf_string){piece, (size_t)snprintf(piece, PADDING_SIZE, "[PAD%zu]", id)};
}

bool is_padding(enum token_type type, size_t id, struct gguf_string piece)
{
    char bytes[PADDING_SIZE];
    if (type != TOKEN_UNUSED) return false;
    const struct gguf_string padding = padding_piece(id, bytes);
    return piece.length == padding.length && memcmp(piece.bytes, bytes, padding.length) == 0;
}

bool vocabulary_indexes(const struct vocabulary *v, int32_t id)
{
    const enum token_type type = (enum token_type)v->types[id];
    return v->kind->indexed >> type & 1 && !is_padding(type, (size_t)id, vocabulary_piece(v, id));
}

int vocabulary_index(struct vocabulary *v, struct error *e)
{
    if (v->bytes.failed) return error_set(e, ERROR_IO, "out of memory for the pieces");
    table_free(&v->ids); /* of fewer pieces */
    v->repeats = 0;
    for (int32_t id = (int32_t)v->size - 1; id >= 0; id--) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        if (!piece.length || !vocabulary_indexes(v, id)) continue;
        bool was_there;
        if (table_add(&v->ids, piece.bytes, piece.length, id, &was_there, e)) return e->code;
        if (!was_there) continue;
        v->repeated = id;
        v->repeats++;
    }
    return 0;
}

static int find_piece(const struct vocabulary *v, const char *what, struct gguf_string piece, int32_t *id,
                      struct error *e)
{
    int64_t found;
    if (!table_find(&v->ids, piece.bytes, piece.length, &found))
        return error_set(e, ERROR_INPUT, "merges[%zu]: %s \"%.*s\" is not in the vocabulary", v->merge_count, what,
                         shown(piece), piece.bytes);
    *id = (int32_t)found;
    return 0;
}

int vocabulary_add_merge(struct vocabulary *v, struct gguf_string left, struct gguf_string right, struct error *e)
{
    struct merge_rule m;
    char joined[2 * MERGED_LENGTH_MAX];
    if (!left.length || !right.length) return error_set(e, ERROR_INPUT, "merges[%zu]: an empty piece", v->merge_count);
    if (left.length > MERGED_LENGTH_MAX || right.length > MERGED_LENGTH_MAX)
        return error_set(e, ERROR_INPUT, "merges[%zu]: a piece of more than %d bytes", v->merge_count,
                         MERGED_LENGTH_MAX);
    memcpy(joined, left.bytes, left.length);
    memcpy(joined + left.length, right.bytes, right.length);
    const struct gguf_string both = {joined, left.length + right.length};
    if (find_piece(v, "left", left, &m.left, e) || find_piece(v, "right", right, &m.right, e) ||
        find_piece(v, "what it makes,", both, &m.into, e) ||
        memory_reserve((void **)&v->merges, &v->merge_capacity, v->merge_count + 1, sizeof m, "merges", e))
        return e->code;
    v->merges[v->merge_count++] = m;
    return 0;
}

int vocabulary_add_merge_words(struct vocabulary *v, struct gguf_string words, struct error *e)
{
    const char *space = words.length ? memchr(words.bytes, ' ', words.length) : NULL;
    const char *end = words.bytes + words.length;
    if (!space || memchr(space + 1, ' ', (size_t)(end - space - 1)))
        return error_set(e, ERROR_INPUT, "merges[%zu]: \"%.*s\" is not two pieces with one space between",
                         v->merge_count, shown(words), words.length ? words.bytes : "");
    const struct gguf_string left = {words.bytes, (size_t)(space - words.bytes)};
    const struct gguf_string right = {space + 1, (size_t)(end - space - 1)};
    return vocabulary_add_merge(v, left, right, e);
}

int vocabulary_set_traits(struct vocabulary *v, int32_t id, unsigned traits, struct error *e)
{
    if (!v->traits) v->traits = memory_new(v->size, 1, "traits of tokens", e);
    if (!v->traits) return e->code;
    v->traits[id] = (uint8_t)traits;
    return 0;
}

int vocabulary_add_stage(struct vocabulary *v, struct split_stage stage, struct error *e)
{
    if (!v->stages) v->stages = memory_new(SPLIT_STAGES_MAX, sizeof *v->stages, "stages", e);
    if (!v->stages) return e->code;
    if (v->stage_count == SPLIT_STAGES_MAX)
        return error_set(e, ERROR_INPUT, "more than %d stages of pre-splitting", SPLIT_STAGES_MAX);
    stage.pattern = memory_string(stage.pattern, e);
    if (!stage.pattern) return e->code;
    v->stages[v->stage_count++] = stage;
    return 0;
}

int vocabulary_add_bert_stages(struct vocabulary *v, struct error *e)
{
    const struct split_stage spaces = {"\\s+", SPLIT_REMOVED, false, false};
    const struct split_stage punctuation = {SPLIT_PUNCTUATION, SPLIT_ISOLATED, false, false};
    const int status = vocabulary_add_stage(v, spaces, e);
    return status ? status : vocabulary_add_stage(v, punctuation, e);
}

int vocabulary_check(const struct vocabulary *v, struct error *e)
{
    if (v->adds_bos && v->bos < 0)
        return error_set(e, ERROR_INPUT,
                         "bos: a BOS is to be added, but there is none: set its id, or add_bos to false");
    if (v->kind->has_unknown && v->unknown < 0 && !v->byte_fallback)
        return error_set(e, ERROR_INPUT, "unknown: a vocabulary of this kind needs an unknown token");
    return 0;
}

void vocabulary_close(struct vocabulary *v)
{
    text_free(&v->bytes);
    table_free(&v->ids);
    normalizer_close(v->normalizer);
    for (size_t i = 0; i < v->stage_count; i++) free((char *)v->stages[i].pattern);
    free(v->stages);
    free(v->starts);
    free(v->types);
    free(v->traits);
    free(v->scores);
    free(v->merges);
    *v = (struct vocabulary){0};
}

void text_unmarked(struct text *out, struct gguf_string piece)
{
    for (size_t i = 0; i < piece.length;) {
        const bool mark = starts_with_mark(piece.bytes + i, piece.length - i);
        text_char(out, mark ? ' ' : piece.bytes[i]);
        i += mark ? SPACE_MARK_LENGTH : 1;
    }
}

static int hexadecimal(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int byte_of_piece(struct gguf_string piece)
{
    if (piece.length != 6 || memcmp(piece.bytes, "<0x", 3) != 0 || piece.bytes[5] != '>') return -1;
    const int high = hexadecimal(piece.bytes[3]), low = hexadecimal(piece.bytes[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}
