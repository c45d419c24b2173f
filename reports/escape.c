#include "reports/report.h"

#include <ctype.h>
#include <string.h>

/* A spreadsheet takes a cell for a formula by its first character (the OWASP list, after any white space that it
 * skips); an apostrophe before it makes it text. */
void escape_csv(struct text *out, const char *s)
{
    const char *first = s + strspn(s, " \n\v\f");
    if (*first && strchr("=+-@\t\r", *first)) text_char(out, '\'');
    text_add(out, s);
}

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
        const bool is_link = v[i] == ':' && v[i + 1] == '/';
        if ((strchr("&<>`|\\[]*~$\"'_", v[i]) && !in_word) || is_link)
            text_printf(out, "&#%d;", v[i]);
        else
            text_char(out, v[i]);
    }
    if (visible.failed) out->failed = true;
    text_free(&visible);
}
