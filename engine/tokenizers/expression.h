/* Regular expressions of tokenizers: written for Oniguruma, as tokenizer.json has them, matched by PCRE2.
 *
 *     struct expression *p;
 *     if (expression_open(&p, "\\p{N}{1,3}|\\s+", 15, e)) return e->code;
 *     size_t begin, end;
 *     if (expression_match(p, match, text, n, from, &begin, &end, e)) ...     begin = end = n: no match
 *     expression_close(p);
 *
 * What both spell alike and mean differently is rewritten: \s is the Unicode property White_Space, \d the category Nd,
 * \w what is alphabetic, marks, digits and connectors, ^ and $ stand at lines. What has no counterpart (\h, &&, a
 * negated class in a class) is ERROR_INPUT. Work is linear in all the text that a pattern is matched with, whatever the
 * pattern: one that asks for more is ERROR_INPUT, too. Any number of threads may use a struct expression at once, which
 * outlives what has matched it; a struct expression_match belongs to one thread. */
#ifndef KERF_ENGINE_TOKENIZERS_EXPRESSION_H
#define KERF_ENGINE_TOKENIZERS_EXPRESSION_H

#include "engine/base/error.h"
#include <stdbool.h>
#include <stddef.h>

/* The Unicode property White_Space, in a class. PCRE2's own \s takes in U+180E, which the property has not held since
 * Unicode 6.3. */
#define EXPRESSION_SPACES                                                                                              \
    "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

struct expression;
struct expression_match;

int expression_open(struct expression **out, const char *words, size_t length, struct error *e);
void expression_close(struct expression *p); /* NULL is fine */

int expression_match_open(struct expression_match **out, struct error *e);
void expression_match_close(struct expression_match *m); /* NULL is fine */

/* How many bytes a match sees at first; more where it asks for more. Any number gives the same matches: for tests. */
void expression_match_window(struct expression_match *m, size_t bytes);

/* The next match in text[from .. n), which must be UTF-8: never empty at `from`, but it may be empty further on. */
int expression_match(const struct expression *p, struct expression_match *m, const char *text, size_t n, size_t from,
                     size_t *begin, size_t *end, struct error *e);

#endif
