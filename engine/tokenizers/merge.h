/* Merging of neighbours, the part that all byte-pair encodings share.
 *
 * A pair (left id, right id) has a rank and an id that it becomes. Of all pairs of neighbours the one of the lowest
 * rank is merged first, of equal ranks the leftmost, until no pair is left (Sennrich, Haddow, Birch 2016; the order of
 * equal ranks is that of SentencePiece, Kudo and Richardson 2018). */
#ifndef KERF_ENGINE_TOKENIZERS_MERGE_H
#define KERF_ENGINE_TOKENIZERS_MERGE_H

#include "engine/base/error.h"
#include "engine/tokenizers/tokenizer.h"

struct pair {
    uint64_t key; /* 0: empty slot */
    uint32_t rank;
    int32_t into;
};

struct pairs {
    struct pair *slots;
    size_t capacity, count; /* capacity: 0 or a power of two, at most half full */
};

/* left, right >= 0. A pair that is there already stays as it is; *was_there (may be NULL) tells. */
int pairs_add(struct pairs *p, int32_t left, int32_t right, uint32_t rank, int32_t into, bool *was_there,
              struct error *e);
const struct pair *pairs_find(const struct pairs *p, int32_t left, int32_t right); /* NULL: none; -1 is in no pair */
void pairs_free(struct pairs *p);

struct symbol {
    int32_t id;     /* -1: takes part in no merge */
    uint32_t start; /* of its text, in bytes */
};

/* Memory for one thread's merges, used again from word to word. */
struct merge_work {
    struct symbol *symbols;
    struct merge_link *links;
    uint64_t *heap;
    size_t symbol_capacity, link_capacity, heap_capacity;
};

enum { MERGE_SCAN_MAX = 24 };

/* s[0 .. *n) in text order, *n < 2^32; merged in place, *n is what is left. */
int merge_symbols(const struct pairs *p, struct symbol *s, size_t *n, struct merge_work *work, struct error *e);
/* The two ways to do it: by looking at every pair each time (*n <= MERGE_SCAN_MAX), and by a heap in n log n. */
void merge_scan(const struct pairs *p, struct symbol *s, size_t *n);
int merge_heap(const struct pairs *p, struct symbol *s, size_t *n, struct merge_work *work, struct error *e);
void merge_work_free(struct merge_work *work);

/* Words that the same call has encoded before. A word is known by the text that it stood in and by where its ids stand
 * in the output, so nothing is copied; the number of slots is bounded, a newer word takes an older one's. */
struct known_word {
    const char *bytes;
    uint32_t length, count;
    size_t at; /* of its first id in the output */
};

struct known_words {
    struct known_word *slots;
    size_t capacity;
};

enum { KNOWN_WORD_MAX = 64 }; /* bytes; longer words seldom come again */

struct word_encoder {
    const void *state; /* the kind's */
    struct merge_work work;
    void *scratch; /* the kind's, freed by who made the encoder */
    size_t scratch_capacity;
    int (*encode)(struct word_encoder *w, const char *word, size_t n, struct ids *out, struct error *e);
};

int known_words_open(struct known_words *k, size_t text_length, struct error *e);
/* Appends the ids of a word: those that it had before, or what w->encode() appends. */
int known_words_encode(const struct known_words *k, struct word_encoder *w, const char *word, size_t n, struct ids *out,
                       struct error *e);
void known_words_free(struct known_words *k);

#endif
