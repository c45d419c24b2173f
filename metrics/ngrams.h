/* Sequences of words or characters, and how many n-grams two of them share. Shared by BLEU, chrF, TER,
 * ROUGE and the F1 of answers.
 *
 *     struct sequence s = {0};
 *     if (sequence_words(&s, text, strlen(text), e) || sequence_index(&s, 4, e)) ...
 *     size_t shared = sequence_matches(&s, references, n_references, 2);
 *     sequence_free(&s);
 *
 * The n-grams of all orders are counted from one sorted array of the sequence's suffixes: no hashing, and
 * O(length log length) for any text. */
#ifndef KERF_METRICS_NGRAMS_H
#define KERF_METRICS_NGRAMS_H

#include "metrics/metric.h"

struct span {
    const char *bytes;
    size_t length;
};

struct sequence {
    struct span *symbols; /* [length]; they point into the text that they were taken from */
    size_t length, capacity;
    struct text text; /* that text, where it had to be rewritten first; empty otherwise */
    size_t *suffixes; /* [length], sorted by their first `depth` symbols */
    size_t depth;
    size_t cursor; /* scratch of sequence_matches() */
};

int sequence_add(struct sequence *s, const char *bytes, size_t length, struct error *e);
int sequence_words(struct sequence *s, const char *text, size_t n, struct error *e); /* split at white space */
/* Every character, white space only where asked for. */
int sequence_characters(struct sequence *s, const char *text, size_t n, bool white_space, struct error *e);
/* Sorts, for n-grams of at most `depth` symbols. Once all symbols are added. */
int sequence_index(struct sequence *s, size_t depth, struct error *e);
size_t sequence_grams(const struct sequence *s, size_t order); /* n-grams of this order, each occurrence counted */
/* Sum over the distinct n-grams of the hypothesis of min(its count, its largest count in one reference). All indexed
 * at least to `order`. */
size_t sequence_matches(const struct sequence *hypothesis, struct sequence *references, size_t n_references,
                        size_t order);
/* Gives the symbols of two sequences numbers from 0, equal ones the same; *distinct gets how many there are. */
int sequences_number(const struct sequence *a, const struct sequence *b, uint32_t *of_a /* [a->length] */,
                     uint32_t *of_b /* [b->length] */, size_t *distinct, struct error *e);
void sequence_free(struct sequence *s);
void sequences_free(struct sequence *s, size_t n); /* an array and its sequences; s may be NULL */

/* The references that an item is scored against: all that are not empty, or one empty one. *used is to be freed.
 * ERROR_INPUT where there is no reference or no text. */
int references_used(const struct outcome *o, const char ***used, size_t *n, struct error *e);

/* The first field of sacreBLEU's signatures, "nrefs:1|", "nrefs:var|" for 0; and the last, "|version:2.6.0". */
void signature_references(size_t n_references, struct text *out);
void signature_version(struct text *out);

bool is_ascii_punctuation(char c); /* string.punctuation of Python */

#endif
