/* Pre-splits: how text is cut into words before merging, by the names that GGUF's tokenizer.ggml.pre gives them.
 *
 *     struct split *s;
 *     if (split_open(&s, "gpt-2", e)) return e->code;
 *     struct split_words w;
 *     if (split_words_open(&w, s, text, n, e)) ...
 *     while ((status = split_words_next(&w, &word, &length, e)) == 0 && word) ...
 *     split_words_close(&w); split_close(s);
 *
 * The words put together are the text, whatever its bytes: what the rule's pattern leaves out is a word, and so is each
 * run of bytes that is not UTF-8. Linear time. A struct split is constant; split_words belong to one thread. */
#ifndef KERF_ENGINE_TOKENIZERS_SPLIT_H
#define KERF_ENGINE_TOKENIZERS_SPLIT_H

#include "engine/base/error.h"
#include <stddef.h>

struct split;

int split_open(struct split **out, const char *name, size_t length, struct error *e); /* unknown names: ERROR_INPUT */
const char *split_known_name(const char *name, size_t length); /* the rule's own string, NULL: no such rule */
void split_close(struct split *s);

struct split_words {
    const struct split *split;
    void *match;
    const char *text;
    size_t n, at;
    size_t run, run_end; /* the run of UTF-8 that `at` is in */
};

int split_words_open(struct split_words *w, const struct split *s, const char *text, size_t n, struct error *e);
int split_words_next(struct split_words *w, const char **word, size_t *length, struct error *e); /* NULL: no more */
void split_words_close(struct split_words *w);

#endif
