#include "engine/base/memory.h"
#include "engine/tokenizers/split.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <stdlib.h>
#include <string.h>

int vocabulary_open(struct vocabulary *v, const struct tokenizer_kind *kind, size_t size, struct error *e)
{
    *v = (struct vocabulary){.kind = kind, .bos = -1, .eos = -1};
    if (!size || size > INT32_MAX / 2)
        return error_set(e, ERROR_INPUT, "tokens: %zu pieces; a vocabulary has 1 to 2^30 - 1", size);
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

int vocabulary_index(struct vocabulary *v, struct error *e)
{
    if (v->bytes.failed) return error_set(e, ERROR_IO, "out of memory for the pieces");
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        if (!(v->kind->indexed >> v->types[id] & 1) || !piece.length) continue;
        bool was_there;
        if (table_add(&v->ids, piece.bytes, piece.length, id, &was_there, e)) return e->code;
        int64_t other = 0;
        if (was_there && table_find(&v->ids, piece.bytes, piece.length, &other))
            return error_set(e, ERROR_INPUT, "tokens: \"%.*s\" is there twice, as %d and as %d", shown(piece),
                             piece.bytes, (int)other, id);
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
    char joined[2 * PIECE_LENGTH_MAX];
    if (!left.length || !right.length) return error_set(e, ERROR_INPUT, "merges[%zu]: an empty piece", v->merge_count);
    if (left.length > PIECE_LENGTH_MAX || right.length > PIECE_LENGTH_MAX)
        return error_set(e, ERROR_INPUT, "merges[%zu]: a piece of more than %d bytes", v->merge_count,
                         PIECE_LENGTH_MAX);
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

int vocabulary_check(const struct vocabulary *v, struct error *e)
{
    if (v->adds_bos && v->bos < 0)
        return error_set(e, ERROR_INPUT,
                         "bos: a BOS is to be added, but there is none: set its id, or add_bos to false");
    return 0;
}

void vocabulary_close(struct vocabulary *v)
{
    text_free(&v->bytes);
    table_free(&v->ids);
    free(v->starts);
    free(v->types);
    free(v->scores);
    free(v->merges);
    *v = (struct vocabulary){0};
}

/* "LEFT RIGHT" for each merge, as GGUF has them. */
static int write_merges(const struct vocabulary *v, struct gguf_writer *w, struct error *e)
{
    struct gguf_string *rows = memory_new(v->merge_count, sizeof *rows, "merges", e);
    struct text all = {0};
    for (size_t i = 0; rows && i < v->merge_count; i++) {
        const struct gguf_string left = vocabulary_piece(v, v->merges[i].left);
        const struct gguf_string right = vocabulary_piece(v, v->merges[i].right);
        text_bytes(&all, left.bytes, left.length);
        text_char(&all, ' ');
        text_bytes(&all, right.bytes, right.length);
        rows[i].length = left.length + 1 + right.length;
    }
    const bool ok = rows && !all.failed;
    for (size_t i = 0, at = 0; ok && i < v->merge_count; at += rows[i++].length) rows[i].bytes = all.bytes + at;
    if (ok) gguf_write_strings(w, "tokenizer.ggml.merges", rows, v->merge_count);
    text_free(&all);
    free(rows);
    return ok ? 0 : ERROR_IO;
}

static int write_pieces(const struct vocabulary *v, struct gguf_writer *w, struct error *e)
{
    struct gguf_string *pieces = memory_new(v->size, sizeof *pieces, "pieces", e);
    int32_t *types = memory_new(v->size, sizeof *types, "types of pieces", e);
    const bool ok = pieces && types;
    for (int32_t id = 0; ok && (size_t)id < v->size; id++) {
        pieces[id] = vocabulary_piece(v, id);
        types[id] = v->types[id];
    }
    if (ok) gguf_write_strings(w, "tokenizer.ggml.tokens", pieces, v->size);
    if (ok) gguf_write_i32s(w, "tokenizer.ggml.token_type", types, v->size);
    free(pieces);
    free(types);
    return ok ? 0 : ERROR_IO;
}

void vocabulary_write_gguf(const struct vocabulary *v, struct gguf_writer *w)
{
    struct error e = {0};
    gguf_write_string(w, "tokenizer.ggml.model", v->kind->gguf_model);
    gguf_write_string(w, "tokenizer.ggml.pre", v->split ? v->split : "default");
    if (write_pieces(v, w, &e) || (v->kind->has_merges && write_merges(v, w, &e))) gguf_writer_fail(w, &e);
    if (v->kind->has_scores) gguf_write_f32s(w, "tokenizer.ggml.scores", v->scores, v->size);
    if (v->bos >= 0) gguf_write_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)v->bos);
    if (v->eos >= 0) gguf_write_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)v->eos);
    gguf_write_bool(w, "tokenizer.ggml.add_bos_token", v->adds_bos);
    gguf_write_bool(w, "tokenizer.ggml.add_space_prefix", v->adds_space);
}

int vocabulary_hash(const struct vocabulary *v, char hex[HASH_HEX], struct error *e)
{
    struct text t = {0};
    text_printf(&t, "%s %s bos %d eos %d add %d space %d pieces %zu merges %zu\n", v->kind->name,
                v->split ? v->split : "-", v->bos, v->eos, v->adds_bos, v->adds_space, v->size, v->merge_count);
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        text_printf(&t, "%d %zu ", v->types[id], piece.length);
        text_bytes(&t, piece.bytes, piece.length);
    }
    for (size_t id = 0; v->scores && id < v->size; id++) {
        const float score = v->scores[id] + 0.0f; /* minus zero is zero */
        uint32_t bits;
        memcpy(&bits, &score, sizeof bits);
        text_printf(&t, "%08x", (unsigned)bits);
    }
    for (size_t i = 0; i < v->merge_count; i++) text_printf(&t, "%d %d ", v->merges[i].left, v->merges[i].right);
    if (!t.failed) hash_hex(t.bytes, t.length, hex);
    const bool failed = t.failed;
    text_free(&t);
    return failed ? error_set(e, ERROR_IO, "out of memory for the hash of the vocabulary") : 0;
}
