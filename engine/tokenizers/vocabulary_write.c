/* A vocabulary as GGUF's metadata, and the hash of what decides ids. */
#include "engine/base/memory.h"
#include "engine/tokenizers/tokenizer_kinds.h"
#include <stdlib.h>
#include <string.h>

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

static int write_pieces(const struct vocabulary *v, size_t rows, struct gguf_writer *w, struct error *e)
{
    struct gguf_string *pieces = memory_new(rows, sizeof *pieces, "pieces", e);
    int32_t *types = memory_new(rows, sizeof *types, "types of pieces", e);
    char(*paddings)[PADDING_SIZE] = memory_new(rows - v->size, sizeof *paddings, "pieces of no token", e);
    const bool ok = pieces && types && paddings;
    for (size_t id = 0; ok && id < v->size; id++) {
        pieces[id] = vocabulary_piece(v, (int32_t)id);
        types[id] = v->types[id];
    }
    for (size_t id = v->size; ok && id < rows; id++) {
        pieces[id] = padding_piece(id, paddings[id - v->size]);
        types[id] = TOKEN_UNUSED;
    }
    if (ok) gguf_write_strings(w, "tokenizer.ggml.tokens", pieces, rows);
    if (ok) gguf_write_i32s(w, "tokenizer.ggml.token_type", types, rows);
    free(pieces);
    free(types);
    free(paddings);
    return ok ? 0 : ERROR_IO;
}

static int write_scores(const struct vocabulary *v, size_t rows, struct gguf_writer *w, struct error *e)
{
    static const float none = -10000;
    float *scores = memory_new(rows, sizeof *scores, "scores", e);
    for (size_t id = 0; scores && id < rows; id++) scores[id] = id < v->size ? v->scores[id] : none;
    if (scores) gguf_write_f32s(w, "tokenizer.ggml.scores", scores, rows);
    free(scores);
    return scores ? 0 : ERROR_IO;
}

/* Whether text is prepared as every program that reads "bert" in GGUF does it. */
static bool is_usual_bert(const struct vocabulary *v)
{
    const struct text *a, *b;
    unsigned flags = 0;
    return normalizer_length(v->normalizer) == 1 && normalizer_step(v->normalizer, 0, &flags, &a, &b) == NORMAL_BERT &&
           flags & BERT_CLEAN && flags & BERT_CHINESE && v->stage_count == 2 &&
           strcmp(v->stages[1].pattern, SPLIT_PUNCTUATION) == 0 && v->stages[1].behavior == SPLIT_ISOLATED &&
           v->word_max == 100;
}

/* The map of characters, and spaces joined: what "t5" in GGUF has keys for. */
static bool is_usual_unigram(const struct vocabulary *v)
{
    const struct text *a, *b;
    unsigned flags = 0;
    for (size_t i = 0; i < normalizer_length(v->normalizer); i++) {
        const enum normal_type type = normalizer_step(v->normalizer, i, &flags, &a, &b);
        if (flags || type != (i ? NORMAL_SPACES : NORMAL_CHARSMAP)) {
            if (i || type != NORMAL_SPACES) return false;
        }
    }
    return !v->stage_count && !v->byte_fallback && !v->cuts_at_marks && !v->adds_space_once;
}

/* BPE of either kind has no normalizer in GGUF. NFC is the one that is left out: most texts are in that form. */
static bool is_normalized(const struct vocabulary *v)
{
    const struct text *a, *b;
    unsigned flags;
    for (size_t i = 0; i < normalizer_length(v->normalizer); i++)
        if (v->kind != &bpe_kind || normalizer_step(v->normalizer, i, &flags, &a, &b) != NORMAL_NFC) return true;
    return false;
}

int vocabulary_check_gguf(const struct vocabulary *v, struct error *e)
{
    if (v->characters)
        return error_set(e, ERROR_INPUT, "tokenizer.ggml.model: GGUF has no name for BPE over characters");
    if ((v->kind->has_split && !v->split) || (v->kind == &wordpiece_kind && !is_usual_bert(v)) ||
        (v->kind == &unigram_kind && !is_usual_unigram(v)))
        return error_set(e, ERROR_INPUT,
                         "tokenizer.ggml.pre: GGUF has no name for the way in which this tokenizer prepares text");
    if ((v->kind == &bpe_kind || v->kind == &sentencepiece_kind) && is_normalized(v))
        return error_set(e, ERROR_INPUT,
                         "tokenizer.ggml.model: GGUF has no name for the normalizer of this tokenizer's texts");
    return 0;
}

/* GGUF has no words for traits, so they get words of ours, where there are any. */
static void write_traits(const struct vocabulary *v, struct gguf_writer *w, struct error *e)
{
    int32_t *traits = memory_new(v->size, sizeof *traits, "traits of tokens", e);
    for (size_t id = 0; traits && id < v->size; id++) traits[id] = v->traits[id];
    if (traits)
        gguf_write_i32s(w, "kerf.tokenizer.token_traits", traits, v->size);
    else
        gguf_writer_fail(w, e);
    free(traits);
}

static void write_settings(const struct vocabulary *v, struct gguf_writer *w)
{
    const struct text *map = NULL, *unused = NULL;
    unsigned flags;
    for (size_t i = 0; i < normalizer_length(v->normalizer); i++) {
        const enum normal_type type = normalizer_step(v->normalizer, i, &flags, &map, &unused);
        if (type == NORMAL_SPACES) gguf_write_bool(w, "tokenizer.ggml.remove_extra_whitespaces", true);
        if (type == NORMAL_BERT) {
            gguf_write_bool(w, "tokenizer.ggml.normalizer.lowercase", flags & BERT_LOWERCASE);
            gguf_write_bool(w, "tokenizer.ggml.normalizer.strip_accents", flags & BERT_ACCENTS);
        }
        if (type != NORMAL_CHARSMAP) continue;
        static const char key[] = "tokenizer.ggml.precompiled_charsmap";
        const struct gguf_value value = {{key, sizeof key - 1},       GGUF_ARRAY, GGUF_U8, map->length,
                                         (const uint8_t *)map->bytes, map->length};
        gguf_write_value(w, &value);
    }
    if (v->bos >= 0) gguf_write_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)v->bos);
    if (v->eos >= 0) gguf_write_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)v->eos);
    if (v->unknown >= 0) gguf_write_u32(w, "tokenizer.ggml.unknown_token_id", (uint32_t)v->unknown);
    if (v->kind == &wordpiece_kind && v->bos >= 0) gguf_write_u32(w, "tokenizer.ggml.cls_token_id", (uint32_t)v->bos);
    if (v->kind == &wordpiece_kind && v->eos >= 0)
        gguf_write_u32(w, "tokenizer.ggml.seperator_token_id", (uint32_t)v->eos);
    gguf_write_bool(w, "tokenizer.ggml.add_bos_token", v->adds_bos);
    gguf_write_bool(w, "tokenizer.ggml.add_space_prefix", v->adds_space);
}

void vocabulary_write_gguf(const struct vocabulary *v, size_t rows, struct gguf_writer *w)
{
    struct error e = {0};
    if (rows < v->size) rows = v->size;
    if (vocabulary_check_gguf(v, &e)) {
        gguf_writer_fail(w, &e);
        return;
    }
    gguf_write_string(w, "tokenizer.ggml.model", v->kind->gguf_model);
    gguf_write_string(w, "tokenizer.ggml.pre", v->split ? v->split : "default");
    if (write_pieces(v, rows, w, &e) || (v->kind->has_merges && write_merges(v, w, &e)) ||
        (v->kind->has_scores && write_scores(v, rows, w, &e)))
        gguf_writer_fail(w, &e);
    write_settings(v, w);
    if (v->traits) write_traits(v, w, &e);
    if (v->adds_space_once) gguf_write_bool(w, "kerf.tokenizer.space_once", true);
    if (v->adds_missing_space) gguf_write_bool(w, "kerf.tokenizer.missing_space", true);
}

/* Stages, normalizer and what is set beside them; nothing for what a name of GGUF's says. */
static void add_settings(const struct vocabulary *v, struct text *t)
{
    for (size_t i = 0; i < v->stage_count && !v->split; i++)
        text_printf(t, "stage %d %d %d %s\n", v->stages[i].behavior, v->stages[i].invert, v->stages[i].mapped,
                    v->stages[i].pattern);
    for (size_t i = 0; i < normalizer_length(v->normalizer); i++) {
        const struct text *a = NULL, *b = NULL;
        unsigned step;
        text_printf(t, "normalizer %d ", (int)normalizer_step(v->normalizer, i, &step, &a, &b));
        text_printf(t, "%u %zu %zu ", step, a->length, b->length);
        text_bytes(t, text_c(a), a->length);
        text_bytes(t, text_c(b), b->length);
    }
    const unsigned flags = v->adds_space_once * 1u | v->characters * 2u | v->ignores_merges * 4u |
                           v->byte_fallback * 8u | v->fuses_unknown * 16u | v->marks * 32u | v->cuts_at_marks * 64u |
                           v->adds_missing_space * 128u;
    if (flags || v->word_max) text_printf(t, "flags %u %u unknown %d\n", flags, (unsigned)v->word_max, v->unknown);
    for (int32_t id = 0; v->traits && (size_t)id < v->size; id++)
        if (v->traits[id]) text_printf(t, "traits %d %u\n", id, v->traits[id]);
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
    add_settings(v, &t);
    if (!t.failed) hash_hex(t.bytes, t.length, hex);
    const bool failed = t.failed;
    text_free(&t);
    return failed ? error_set(e, ERROR_IO, "out of memory for the hash of the vocabulary") : 0;
}
