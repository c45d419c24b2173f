/* Pre-splits: how text is cut into words before a model sees it. A pre-split is a list of stages; each cuts every piece
 * that the one before it has left, as the pre-tokenizers of a tokenizer.json do and as the names of GGUF's
 * tokenizer.ggml.pre stand for.
 *
 *     struct split *s;
 *     const struct split_rule *rule = split_rule_find("gpt-2", 5);
 *     if (split_open(&s, rule->stages, split_rule_length(rule), e)) return e->code;
 *     struct split_words w;
 *     if (split_words_open(&w, s, text, n, e)) ...
 *     while ((status = split_words_next(&w, &word, &length, e)) == 0 && word) ...
 *     split_words_close(&w); split_close(s);
 *
 * But for what a stage removes, the words put together are the text, whatever its bytes: each run of bytes that is not
 * UTF-8 is a word. Linear time. A struct split is constant; split_words belong to one thread. */
#ifndef KERF_ENGINE_TOKENIZERS_SPLIT_H
#define KERF_ENGINE_TOKENIZERS_SPLIT_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include <stdbool.h>
#include <stddef.h>

struct split;

/* What becomes of a match, in the words of tokenizer.json. */
enum split_behavior {
    SPLIT_ISOLATED,      /* it is a word */
    SPLIT_REMOVED,       /* it goes */
    SPLIT_CONTIGUOUS,    /* it is a word together with the matches right after it */
    SPLIT_WITH_PREVIOUS, /* it ends the word before it */
    SPLIT_WITH_NEXT      /* it begins the word after it */
};

/* Numbers are cut into threes from their right end, in linear time, by the patterns in split.c's list, which do it in
 * quadratic time. */
struct split_stage {
    const char *pattern; /* as expression.h takes them */
    enum split_behavior behavior;
    bool invert; /* what does not match is the match */
    bool mapped; /* the pattern sees GPT-2's characters for bytes: a stage after ByteLevel */
};

enum { SPLIT_STAGES_MAX = 16, RULE_STAGES_MAX = 6 };

/* GPT-2's own pattern (Radford et al. 2019), which ByteLevel stands for. */
#define SPLIT_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* One character of punctuation, as BertPreTokenizer and Punctuation have it: category P, and the symbols of ASCII. */
#define SPLIT_PUNCTUATION "[\\p{P}$+<=>^`|~]"

/* A value of tokenizer.ggml.pre. */
struct split_rule {
    const char *name;
    bool ignores_merges, adds_bos; /* what the name says beside the cutting */
    const struct split_stage *stages;
};

const struct split_rule *split_rule_find(const char *name, size_t length); /* NULL: no such name */
/* The first rule with these stages and this rule of merging; NULL: none. */
const struct split_rule *split_rule_of(const struct split_stage *stages, size_t count, bool ignores_merges);
size_t split_rule_length(const struct split_rule *rule);
const struct split_rule *split_rule_at(size_t i); /* NULL after the last */

/* Copies what it needs of the stages. No stages: a text is one word. */
int split_open(struct split **out, const struct split_stage *stages, size_t count, struct error *e);
void split_close(struct split *s);

/* GPT-2's alphabet: the printable bytes of Latin-1 stand for themselves, the other 68 are U+0100 .. U+0143 in order. */
enum { BYTE_ALPHABET_END = 0x144 };
bool byte_stands_for_itself(unsigned byte);
void byte_characters(uint32_t codepoints[256]);

struct split_piece {
    const char *text; /* NULL: none */
    size_t length;
    bool is_utf8;
};

struct split_level {
    struct split_piece piece;                      /* that is being cut */
    size_t at;                                     /* in its bytes */
    const char *subject;                           /* what the pattern sees: the piece, or its mapping */
    size_t subject_length, subject_at, begin, end; /* the last match found, in subject's bytes */
    bool matched;
    struct text mapping;
};

struct split_words {
    const struct split *split;
    struct expression_match *match;
    const char *text;
    size_t n, at;
    struct split_level *levels; /* one for each stage */
    char characters[256][3];    /* of each byte, for stages that are mapped */
};

int split_words_open(struct split_words *w, const struct split *s, const char *text, size_t n, struct error *e);
int split_words_next(struct split_words *w, const char **word, size_t *length, struct error *e); /* NULL: no more */
void split_words_close(struct split_words *w);

#endif
