/* The vocabulary of a synthetic model, see synth.h. */
#include "engine/models/synth_parts.h"

#include <string.h>

static const char end_of_text[] = "<|endoftext|>", space[] = "\xc4\xa0"; /* U+0120, GPT-2's character of a space */
enum { LETTERS = 26, BYTES = 256, MOST_PIECE = 16 };

/* A piece of `letters` letters, the number-th of its length, after a space or not. */
struct word {
    bool spaced;
    int letters;
    int64_t number;
};

/* Of the words of two characters and more, shorter ones first, those without a space before those with one. */
static struct word word_at(int64_t i)
{
    int64_t plain = (int64_t)LETTERS * LETTERS;
    int characters = 2;
    for (; i >= plain + plain / LETTERS; characters++) {
        i -= plain + plain / LETTERS;
        plain *= LETTERS;
    }
    if (i < plain) return (struct word){false, characters, i};
    return (struct word){true, characters - 1, i - plain};
}

/* Its bytes; what is before the last letter and that letter are pieces that come before. */
static size_t spell(struct word w, char out[MOST_PIECE])
{
    size_t n = w.spaced ? sizeof space - 1 : 0;
    memcpy(out, space, n);
    int64_t left = w.number;
    for (int k = w.letters; k-- > 0; left /= LETTERS) out[n + (size_t)k] = (char)('a' + left % LETTERS);
    return n + (size_t)w.letters;
}

/* GPT-2's alphabet in its own order: bytes that are printable in Latin-1 as themselves, then the others as U+0100 and
 * on (Radford et al. 2019). */
static void add_bytes(struct vocabulary *v)
{
    uint32_t other = 0x100;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t b = 0; b < BYTES; b++) {
            const bool itself = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
            struct text piece = {0};
            if (itself != (pass == 0)) continue;
            text_codepoint(&piece, itself ? b : other++);
            vocabulary_add(v, text_c(&piece), piece.length, TOKEN_NORMAL);
            v->bytes.failed |= piece.failed;
            text_free(&piece);
        }
}

static int add_merge(struct vocabulary *v, int64_t i, struct error *e)
{
    char piece[MOST_PIECE];
    const size_t n = spell(word_at(i), piece);
    return vocabulary_add_merge(v, (struct gguf_string){piece, n - 1}, (struct gguf_string){piece + n - 1, 1}, e);
}

int synth_vocabulary(struct vocabulary *v, int64_t size, struct error *e)
{
    const int64_t merges = size - BYTES - 1;
    int status = vocabulary_open(v, &bpe_kind, (size_t)size, e);
    if (status) return status;
    add_bytes(v);
    for (int64_t i = 0; i < merges; i++) {
        char piece[MOST_PIECE];
        vocabulary_add(v, piece, spell(word_at(i), piece), TOKEN_NORMAL);
    }
    vocabulary_add(v, end_of_text, sizeof end_of_text - 1, TOKEN_CONTROL);
    v->split = "gpt-2";
    v->bos = v->eos = (int32_t)(size - 1);
    v->adds_bos = true;
    status = vocabulary_index(v, e);
    for (int64_t i = 0; i < merges && !status; i++) status = add_merge(v, i, e);
    return status;
}

/* --- tokenizer.json --- */

static json_t *byte_level(void)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex",
                     1);
}

static json_t *added_token(int32_t id)
{
    return json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", end_of_text, "single_word", 0,
                     "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1);
}

/* BOS before every text, as the other end of the file says it too. */
static json_t *template(int32_t id)
{
    return json_pack("{s:s, s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}], s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}, {s:{s:s, s:i}}, "
                     "{s:{s:s, s:i}}], s:{s:{s:s, s:[i], s:[s]}}}",
                     "type", "TemplateProcessing", "single", "SpecialToken", "id", end_of_text, "type_id", 0,
                     "Sequence", "id", "A", "type_id", 0, "pair", "SpecialToken", "id", end_of_text, "type_id", 0,
                     "Sequence", "id", "A", "type_id", 0, "SpecialToken", "id", end_of_text, "type_id", 1, "Sequence",
                     "id", "B", "type_id", 1, "special_tokens", end_of_text, "id", end_of_text, "ids", id, "tokens",
                     end_of_text);
}

static json_t *model(const struct vocabulary *v)
{
    json_t *ids = json_object(), *merges = json_array();
    int failed = 0;
    for (int32_t id = 0; (size_t)id < v->size; id++) {
        const struct gguf_string piece = vocabulary_piece(v, id);
        failed |= json_object_setn_new(ids, piece.bytes, piece.length, json_integer(id));
    }
    for (size_t i = 0; i < v->merge_count; i++) {
        const struct gguf_string left = vocabulary_piece(v, v->merges[i].left);
        const struct gguf_string right = vocabulary_piece(v, v->merges[i].right);
        failed |= json_array_append_new(
            merges, json_sprintf("%.*s %.*s", (int)left.length, left.bytes, (int)right.length, right.bytes));
    }
    json_t *all = json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout", "unk_token",
                            "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0,
                            "vocab", ids, "merges", merges);
    if (failed) json_decref(all);
    return failed ? NULL : all;
}

json_t *synth_tokenizer(const struct vocabulary *v)
{
    return json_pack("{s:s, s:n, s:n, s:[o], s:n, s:o, s:o, s:o, s:o}", "version", "1.0", "truncation", "padding",
                     "added_tokens", added_token(v->bos), "normalizer", "pre_tokenizer", byte_level(), "post_processor",
                     template(v->bos), "decoder", byte_level(), "model", model(v));
}
