#include "reports/report.h"

#include <ctype.h>
#include <string.h>

/* A spreadsheet takes a cell for a formula by its first character (the OWASP list, with the full-width forms that some
 * locales take too), after any white space that it skips and what has no width. */
static bool opens_formula(const char *s)
{
    static const uint32_t first[] = {'=', '+', '-', '@', '\t', '\r', 0xFF1D, 0xFF0B, 0xFF0D, 0xFF20};
    uint32_t c = 0;
    for (size_t size; (size = utf8_decode(s, strnlen(s, 4), &c)) && *s; s += size) {
        for (size_t i = 0; i < sizeof first / sizeof *first; i++)
            if (c == first[i]) return true;
        if (!codepoint_is_space(c) && c != 0xFEFF && (c < 0x200B || c > 0x200F)) return false;
    }
    return false;
}

/* An apostrophe before it makes it text; one that was there gets another, so that it can be told apart. */
void escape_csv(struct text *out, const char *s)
{
    if (opens_formula(s + strspn(s, "'"))) text_char(out, '\'');
    text_add(out, s);
}

const char *unescape_csv(const char *s) { return s + (*s == '\'' && opens_formula(s + strspn(s, "'"))); }

void escape_terminal(struct text *out, const char *s) { text_terminal(out, s, strlen(s)); }

static bool is_word(char c) { return isalnum((unsigned char)c) || (unsigned char)c >= 0x80; }

/* Character references rather than backslashes: they mean the same in a table cell, where a backslash before a pipe
 * belongs to the table. What a terminal would act on is made visible first. An underscore inside a word marks nothing
 * and stays, so that names stay legible in the source. */
void escape_markdown(struct text *out, const char *s)
{
    struct text visible = {0};
    text_terminal(&visible, s, strlen(s));
    const char *v = text_c(&visible);
    for (size_t i = 0; v[i]; i++) {
        const bool in_word = v[i] == '_' && i > 0 && is_word(v[i - 1]) && is_word(v[i + 1]);
        const bool is_link =
            (v[i] == ':' && v[i + 1] == '/') || (v[i] == '.' && i > 2 && strncmp(v + i - 3, "www", 3) == 0);
        if ((strchr("&<>`|\\[]*~$\"'_", v[i]) && !in_word) || is_link)
            text_printf(out, "&#%d;", v[i]);
        else
            text_char(out, v[i]);
    }
    if (visible.failed) out->failed = true;
    text_free(&visible);
}

void escape_html(struct text *out, const char *s)
{
    struct text visible = {0};
    text_terminal(&visible, s, strlen(s));
    for (const char *v = text_c(&visible); *v; v++) {
        if (strchr("&<>\"'", *v))
            text_printf(out, "&#%d;", *v);
        else
            text_char(out, *v);
    }
    if (visible.failed) out->failed = true;
    text_free(&visible);
}
