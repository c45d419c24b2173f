/* Regular expressions for filters: PCRE2's, in UTF-8 with Unicode's letters, digits and spaces, as Python's re has them.
 *
 *     struct pattern *p;
 *     if (pattern_open(&p, "#### (-?[0-9.,]+)", e)) ...
 *     struct found f;
 *     if (pattern_find(p, s, n, -1, &f, e)) ...      the last match: f.at NULL where there is none
 *     pattern_close(p);
 *
 * Matching is by compiled code and has limits: a pattern that backtracks beyond them on a text is ERROR_INPUT. */
#ifndef KERF_SUITES_PATTERN_H
#define KERF_SUITES_PATTERN_H

#include "engine/base/text.h"

struct pattern;

struct found {
    const char *at; /* in the text that was searched; NULL where nothing was found */
    size_t n;
};

/* ERROR_INPUT says what is wrong, and where in the pattern. */
int pattern_open(struct pattern **out, const char *source, struct error *e);
void pattern_close(struct pattern *p);
/* What re.findall()[which] is, from the end where `which` is negative: the match, its group, or of several groups the
 * first that is not empty. Matches do not overlap. */
int pattern_find(const struct pattern *p, const char *s, size_t n, int64_t which, struct found *out, struct error *e);
/* Appends the text without what the pattern matches. */
int pattern_remove(const struct pattern *p, const char *s, size_t n, struct text *out, struct error *e);

#endif
