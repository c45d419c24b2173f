#include "suites/letters.h"

#include <utf8proc.h>

void letters_case(struct text *out, const char *s, size_t n, enum letter_case how)
{
    for (size_t i = 0, size; i < n; i += size) {
        uint32_t c;
        const bool upper = how == CASE_UPPER || (how == CASE_CAPITAL && i == 0);
        if (!(size = utf8_decode(s + i, n - i, &c)))
            text_char(out, s[i]), size = 1;
        else
            text_codepoint(out, (uint32_t)(upper ? utf8proc_toupper : utf8proc_tolower)((utf8proc_int32_t)c));
    }
}

void letters_without_punctuation(struct text *out, const char *s, size_t n)
{
    for (size_t i = 0, size; i < n; i += size) {
        uint32_t c = 0;
        if (!(size = utf8_decode(s + i, n - i, &c))) size = 1;
        const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
        if (k < UTF8PROC_CATEGORY_PC || k > UTF8PROC_CATEGORY_PO) text_bytes(out, s + i, size);
    }
}

/* The length of the white space that ends s[0 .. n), of one code point. */
static size_t last_space(const char *s, size_t n)
{
    size_t at = n - 1;
    uint32_t c;
    while (at > 0 && ((unsigned char)s[at] & 0xC0) == 0x80) at--;
    return utf8_decode(s + at, n - at, &c) == n - at && codepoint_is_space(c) ? n - at : 0;
}

const char *letters_strip(const char *s, size_t *n, bool left, bool right)
{
    uint32_t c;
    for (size_t size; left && *n && (size = utf8_decode(s, *n, &c)) && codepoint_is_space(c); s += size) *n -= size;
    for (size_t size; right && *n && (size = last_space(s, *n));) *n -= size;
    return s;
}
