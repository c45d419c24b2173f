/* Inside the tokenizers: what a kind is, the vocabulary that it is built from, and who fills that.
 *
 *     from_json.c, from_gguf.c  ->  struct vocabulary  ->  kind->open()  ->  encode, decode
 *
 * A new kind is one file that defines a struct tokenizer_kind and one line in kinds.c. A new source is one file that
 * fills a vocabulary. Errors here name the field; the caller puts the file before it. */
#ifndef KERF_ENGINE_TOKENIZERS_TOKENIZER_KINDS_H
#define KERF_ENGINE_TOKENIZERS_TOKENIZER_KINDS_H

#include "engine/base/table.h"
#include "engine/tokenizers/normalize.h"
#include "engine/tokenizers/split.h"
#include "engine/tokenizers/tokenizer.h"

/* Longest piece, in bytes, that is matched or taken apart: keeps scanning linear whatever a file holds. Longer pieces
 * of types that do neither are allowed, and so are those that merges make, which takes no scanning. */
enum { PIECE_LENGTH_MAX = 512, MERGED_LENGTH_MAX = 4096 };
/* Pieces of a vocabulary, lines of merges.txt, bytes of that file and of tokenizer.model: the largest there are have
 * 900,000, 500,000 and 15 MB. */
enum { PIECES_MAX = 1 << 20, TOKENIZER_BYTES_MAX = 64 << 20 };

struct merge_rule {
    int32_t left, right, into;
};

struct vocabulary {
    const struct tokenizer_kind *kind;
    size_t size;
    struct text bytes;         /* the pieces, one after the other */
    size_t *starts;            /* [size + 1] into bytes */
    uint8_t *types;            /* [size], enum token_type */
    struct table ids;          /* piece to id, of those that vocabulary_indexes(); of equal ones the last */
    size_t repeats;            /* pieces in `ids` that are there again under a higher id */
    int32_t repeated;          /* the first of them; says nothing where there is none */
    float *scores;             /* [size], finite; NULL unless kind->has_scores */
    struct merge_rule *merges; /* first is first; none unless kind->has_merges */
    size_t merge_count, merge_capacity;
    const char *split;          /* a name of GGUF's for how text is cut; NULL: as the stages say */
    struct split_stage *stages; /* [SPLIT_STAGES_MAX], patterns owned; NULL: none were given */
    size_t stage_count;
    struct normalizer *normalizer; /* of text between special tokens; NULL: none */
    int32_t bos, eos, unknown;     /* -1: none */
    bool adds_bos;
    bool template_adds_bos;  /* a tokenizer.json's template does, where tokenizer_config.json cannot say otherwise */
    bool adds_space;         /* before the text, and after a special token in it */
    bool adds_space_once;    /* only before the text */
    bool adds_missing_space; /* only where there is none */
    bool characters;         /* bpe: pieces are spelled in characters, not in GPT-2's for bytes */
    bool ignores_merges;     /* a word that is a piece is that piece, whatever the merges */
    bool byte_fallback;      /* what is no piece is spelled in pieces <0x00> to <0xFF> */
    bool fuses_unknown;      /* unknown pieces next to each other are one */
    bool marks;              /* spaces of words are U+2581 in pieces: Metaspace */
    bool cuts_at_marks;      /* and words end before one */
    uint32_t word_max;       /* wordpiece: characters of the longest word that is not unknown */
    uint8_t *traits;         /* [size], bits of enum token_trait; NULL: none has any */
};

/* How a special token takes its surroundings. */
enum token_trait {
    TOKEN_LSTRIP = 1, /* white space before it goes with it */
    TOKEN_RSTRIP = 2,
    TOKEN_SINGLE_WORD = 4, /* it is none where a letter, digit or mark touches it */
    TOKEN_NORMALIZED = 8,  /* it is looked for in the normalized text */
    TOKEN_TRAITS = 15
};

static inline unsigned vocabulary_traits(const struct vocabulary *v, int32_t id)
{
    return v->traits ? v->traits[id] : 0;
}
int vocabulary_set_traits(struct vocabulary *v, int32_t id, unsigned traits, struct error *e);
/* Adds a stage, with a copy of the pattern. */
int vocabulary_add_stage(struct vocabulary *v, struct split_stage stage, struct error *e);
/* Words end at white space, which goes; a character of punctuation is a word. */
int vocabulary_add_bert_stages(struct vocabulary *v, struct error *e);

/* Pieces are added in the order of their ids, then indexed, then merges are added. */
int vocabulary_open(struct vocabulary *v, const struct tokenizer_kind *kind, size_t size, struct error *e);
void vocabulary_add(struct vocabulary *v, const char *piece, size_t n, enum token_type type);
int vocabulary_index(struct vocabulary *v, struct error *e); /* again, too, where pieces came or changed */
/* Merge number v->merge_count; all three pieces must be there. */
int vocabulary_add_merge(struct vocabulary *v, struct gguf_string left, struct gguf_string right, struct error *e);
/* The same from "LEFT RIGHT". */
int vocabulary_add_merge_words(struct vocabulary *v, struct gguf_string words, struct error *e);
/* What must hold whatever the source: BOS there if it is added, lengths. */
int vocabulary_check(const struct vocabulary *v, struct error *e);
void vocabulary_close(struct vocabulary *v);
/* ERROR_INPUT naming what GGUF has no words for. */
int vocabulary_check_gguf(const struct vocabulary *v, struct error *e);
/* rows: of the embedding; GGUF has a piece for each, and where there is no token one that says so. */
void vocabulary_write_gguf(const struct vocabulary *v, size_t rows, struct gguf_writer *w);
/* "[PAD7]" of type TOKEN_UNUSED, for id 7: what llama.cpp's converter calls a row of the embedding without a token. */
enum { PADDING_SIZE = 32 };
struct gguf_string padding_piece(size_t id, char piece[PADDING_SIZE]);
bool is_padding(enum token_type type, size_t id, struct gguf_string piece);
/* Whether text may be made of that piece: of its kind's types, and no padding. */
bool vocabulary_indexes(const struct vocabulary *v, int32_t id);
int vocabulary_hash(const struct vocabulary *v, char hex[HASH_HEX], struct error *e);

static inline struct gguf_string vocabulary_piece(const struct vocabulary *v, int32_t id)
{
    return (struct gguf_string){v->bytes.bytes + v->starts[id], v->starts[id + 1] - v->starts[id]};
}

/* For "%.*s": enough of a piece to know it by. */
static inline int shown(struct gguf_string s) { return s.length < 100 ? (int)s.length : 100; }

int vocabulary_from_gguf(struct vocabulary *v, const struct gguf *g, struct error *e);
/* The root of a tokenizer.json; then, where there is one, that of tokenizer_config.json. */
int vocabulary_from_json(struct vocabulary *v, const json_t *root, struct error *e);
int vocabulary_configure(struct vocabulary *v, const json_t *config, struct error *e);
/* The root of added_tokens.json, {TOKEN: ID}: what is not in the vocabulary follows its last id. */
int vocabulary_configure_added(struct vocabulary *v, const json_t *added, struct error *e);
/* The root of special_tokens_map.json, {"bos_token": TOKEN, ...}: these are special. */
int vocabulary_configure_specials(struct vocabulary *v, const json_t *names, struct error *e);
/* The root of the model's config.json: ids of BOS and EOS where nothing else gave them. */
int vocabulary_configure_model(struct vocabulary *v, const json_t *config, struct error *e);
/* The bytes of SentencePiece's tokenizer.model. */
int vocabulary_from_proto(struct vocabulary *v, const uint8_t *data, size_t n, struct error *e);
/* GPT-2's pair of files: the root of vocab.json and the bytes of merges.txt. */
int vocabulary_from_pair(struct vocabulary *v, const json_t *vocab, const char *merges, size_t n, struct error *e);

struct tokenizer_kind {
    const char *name;                       /* MUST */
    const char *gguf_model;                 /* MUST: the value of tokenizer.ggml.model */
    bool has_scores, has_merges, has_split; /* what of a vocabulary it needs */
    bool adds_bos, adds_space;              /* where GGUF does not say */
    bool has_unknown;                       /* it needs an unknown token */
    unsigned indexed;                       /* MUST: bit 1 << type for the types of pieces that text may be made of */
    /* MUST: *state is what encoding needs; it may point into v, which outlives it. */
    int (*open)(void **state, const struct vocabulary *v, struct error *e);
    /* MUST: text without special tokens, n > 0; space: the text stands where a space prefix belongs. */
    int (*encode)(const void *state, const char *text, size_t n, bool space, struct ids *out, struct error *e);
    /* MUST: ids are in range. */
    void (*decode)(const struct vocabulary *v, const int32_t *ids, size_t n, unsigned flags, struct text *out);
    void (*close)(void *state); /* MUST: NULL is fine */
};

extern const struct tokenizer_kind bpe_kind, sentencepiece_kind, wordpiece_kind, unigram_kind;
extern const struct tokenizer_kind *const tokenizer_kinds[];
extern const size_t tokenizer_kind_count;

/* Special tokens in text: at each place the longest wins, and the search goes on behind it, also where it is a single
 * word that does not stand alone and so is none. */
struct special {
    struct gguf_string piece; /* in the vocabulary, or in `bytes` of struct specials */
    int32_t id;
    bool always; /* also in plain text */
    uint8_t traits;
};

struct specials {
    struct special *at; /* sorted by bytes */
    size_t count;
    size_t first[257]; /* those that start with byte b are first[b] .. first[b + 1] - 1 */
    struct text bytes;
};

bool token_is_special(enum token_type type);
/* normalized: those that are looked for in normalized text, themselves normalized; else the others. */
int specials_open(struct specials *s, const struct vocabulary *v, bool normalized, struct error *e);
void specials_close(struct specials *s);

struct special_match {
    const struct special *special; /* NULL: none */
    size_t begin, end;             /* n where there is none */
};

/* The next one in text[from .. n). */
struct special_match specials_next(const struct specials *s, const char *text, size_t n, size_t from, bool plain);

/* The byte that a piece <0x00> to <0xFF> spells, or -1. */
int byte_of_piece(struct gguf_string piece);

#define SPACE_MARK "\xE2\x96\x81" /* U+2581 */
enum { SPACE_MARK_LENGTH = 3, SPACE_MARK_CODEPOINT = 0x2581 };
static inline bool starts_with_mark(const char *bytes, size_t n)
{
    return n >= SPACE_MARK_LENGTH && __builtin_memcmp(bytes, SPACE_MARK, SPACE_MARK_LENGTH) == 0;
}
/* Adds a piece with spaces for its marks. */
void text_unmarked(struct text *out, struct gguf_string piece);

#endif
