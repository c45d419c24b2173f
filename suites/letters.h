/* What templates, filters and answers do to letters, as Python's str does: strip(), lower(), upper(). Case is mapped code
 * point by code point, as utf8proc has it; bytes that are not UTF-8 stay. */
#ifndef KERF_SUITES_LETTERS_H
#define KERF_SUITES_LETTERS_H

#include "engine/base/text.h"

enum letter_case { CASE_LOWER, CASE_UPPER, CASE_CAPITAL }; /* CAPITAL: the first upper, the others lower */

/* Appends s[0 .. n) in another case. */
void letters_case(struct text *out, const char *s, size_t n, enum letter_case how);
/* Appends s[0 .. n) without Unicode's punctuation, the categories that begin with P. */
void letters_without_punctuation(struct text *out, const char *s, size_t n);
/* The part of s[0 .. *n) without white space on these sides: where it begins, and its length in *n. */
const char *letters_strip(const char *s, size_t *n, bool left, bool right);

#endif
