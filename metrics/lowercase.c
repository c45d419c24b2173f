#include "metrics/lowercase.h"

#include <utf8proc.h>

enum { SIGMA = 0x3A3, SIGMA_SMALL = 0x3C3, SIGMA_FINAL = 0x3C2, I_DOTTED = 0x130, DOT_ABOVE = 0x307 };

/* Letters of either case; the symbols that Unicode counts as cased too (circled letters, Roman numerals) are not asked
 * for, as only a sigma right beside one would tell. */
static bool is_cased(uint32_t c)
{
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT;
}

/* What the rule of the final sigma looks through (the property Case_Ignorable). */
static bool is_ignored(uint32_t c)
{
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x2018 || c == 0x2019 || c == 0x2024 || c == 0x2027 ||
           k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF ||
           k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_SK;
}

/* Whether a cased letter follows, from s on. */
static bool cased_follows(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const size_t size = utf8_decode(s + i, n - i, &c);
        if (!size) return false;
        if (is_cased(c)) return true;
        if (!is_ignored(c)) return false;
        i += size;
    }
    return false;
}

static void add_lower(struct text *out, uint32_t c, bool cased_before, const char *after, size_t n)
{
    if (c == I_DOTTED) {
        text_char(out, 'i');
        text_codepoint(out, DOT_ABOVE);
    } else if (c == SIGMA) {
        text_codepoint(out, cased_before && !cased_follows(after, n) ? SIGMA_FINAL : SIGMA_SMALL);
    } else {
        text_codepoint(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    }
}

void lowercase_add(struct text *out, const char *s, size_t n)
{
    bool cased = false; /* a cased letter stands before, seen through what is ignored */
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const size_t size = utf8_decode(s + i, n - i, &c);
        if (!size) {
            text_char(out, s[i++]);
            cased = false;
            continue;
        }
        i += size;
        add_lower(out, c, cased, s + i, n - i);
        if (is_cased(c) || !is_ignored(c)) cased = is_cased(c);
    }
}
