/* Normalizers: what is done to a text before it is cut into words, in the words of tokenizer.json.
 *
 *     struct normalizer *n;
 *     if (normalizer_open(&n, e)) return e->code;
 *     if (normalizer_add(n, NORMAL_NFC, 0, "", 0, "", 0, e)) ...
 *     struct text out = {0};
 *     if (normalizer_apply(n, text, length, true, &out, e)) ...
 *     normalizer_close(n);
 *
 * Steps apply in the order in which they were added. Bytes that are not UTF-8 stay as they are, but for the charsmap,
 * which makes them U+FFFD. Linear or n log n in the length of the text. A struct normalizer is constant once steps
 * are no longer added. */
#ifndef KERF_ENGINE_TOKENIZERS_NORMALIZE_H
#define KERF_ENGINE_TOKENIZERS_NORMALIZE_H

#include "engine/base/error.h"
#include "engine/base/text.h"

enum normal_type {
    NORMAL_NFC,
    NORMAL_NFD,
    NORMAL_NFKC,
    NORMAL_NFKD,
    NORMAL_LOWERCASE,     /* each character by itself */
    NORMAL_STRIP_ACCENTS, /* marks go */
    NORMAL_BERT,          /* flags: enum normal_bert */
    NORMAL_REPLACE,       /* string a by b */
    NORMAL_REPLACE_REGEX, /* matches of pattern a by b */
    NORMAL_PREPEND,       /* a before a text that is not empty and begins where a space prefix belongs */
    NORMAL_STRIP,         /* white space at the ends; flags: 1 left, 2 right */
    NORMAL_CHARSMAP,      /* a: SentencePiece's precompiled map of characters; flags: 1 by grapheme clusters */
    NORMAL_SPACES         /* runs of spaces become one, none at the ends: SentencePiece's remove_extra_whitespaces */
};

enum normal_bert { BERT_CLEAN = 1, BERT_CHINESE = 2, BERT_ACCENTS = 4, BERT_LOWERCASE = 8 };

struct normalizer;

int normalizer_open(struct normalizer **out, struct error *e);
/* Copies a and b. ERROR_INPUT for a pattern or a map that is broken. */
int normalizer_add(struct normalizer *n, enum normal_type type, unsigned flags, const char *a, size_t a_length,
                   const char *b, size_t b_length, struct error *e);
void normalizer_close(struct normalizer *n);          /* NULL is fine */
size_t normalizer_length(const struct normalizer *n); /* steps; 0 for NULL */
/* Of step i what was added. */
enum normal_type normalizer_step(const struct normalizer *n, size_t i, unsigned *flags, const struct text **a,
                                 const struct text **b);
/* Appends to *out. `prefix`: the text begins where a space prefix belongs. */
int normalizer_apply(const struct normalizer *n, const char *text, size_t length, bool prefix, struct text *out,
                     struct error *e);

/* --- its parts --- */

/* Appends the normalization form `type`, NORMAL_NFC to NORMAL_NFKD. */
int normal_form(enum normal_type type, const char *text, size_t length, struct text *out, struct error *e);

/* SentencePiece's map (Kudo and Richardson 2018): u32 n, n bytes of a double array of u32 units (darts-clone), then
 * replacements, each ended by a NUL. The longest key at each place is replaced. */
int charsmap_check(const char *map, size_t length, struct error *e);
/* Both stop where *out is longer than `most`. */
void charsmap_apply(const char *map, size_t length, const char *text, size_t n, size_t most, struct text *out);
/* As Hugging Face's tokenizers do it: a grapheme cluster of at most 5 bytes that begins with a key is replaced by what
 * replaces the shortest such key, other clusters character by character. */
void charsmap_apply_graphemes(const char *map, size_t length, const char *text, size_t n, size_t most,
                              struct text *out);

bool codepoint_is_mark(uint32_t c);
bool codepoint_is_punctuation(uint32_t c); /* of category P, or ASCII and neither letter, digit, space nor control */

#endif
