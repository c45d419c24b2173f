#include "reports/layout.h"

#include <string.h>

size_t layout_width(const char *s) { return utf8_length(s, strlen(s)); }

const char *layout_skip(const char *s, size_t columns)
{
    for (uint32_t c; columns > 0 && *s; columns--) {
        const size_t size = utf8_decode(s, strnlen(s, 4), &c);
        s += size ? size : 1;
    }
    return s;
}

static void add_spaces(struct text *out, size_t n)
{
    while (n-- > 0) text_char(out, ' ');
}

void layout_pad(struct text *out, const char *s, size_t width, bool right)
{
    const size_t n = layout_width(s);
    if (n > width) {
        text_bytes(out, s, (size_t)(layout_skip(s, width ? width - 1 : 0) - s));
        if (width) text_add(out, "…");
        return;
    }
    if (right) add_spaces(out, width - n);
    text_add(out, s);
    if (!right) add_spaces(out, width - n);
}

void layout_rule(struct text *out, size_t width)
{
    while (width-- > 0) text_add(out, "─");
    text_char(out, '\n');
}

void layout_end(struct text *out)
{
    while (out->length > 0 && out->bytes[out->length - 1] == ' ') out->length--;
    text_char(out, '\n');
}

void layout_wrap(struct text *out, const char *s, size_t width, size_t indent)
{
    size_t column = 0;
    bool is_first = true; /* word of its line */
    while (*s) {
        const size_t n = strcspn(s, " "), columns = utf8_length(s, n);
        if (!is_first && column + 1 + columns > width) {
            text_char(out, '\n');
            add_spaces(out, indent);
            column = indent;
        } else if (!is_first) {
            text_char(out, ' ');
            column++;
        }
        text_bytes(out, s, n);
        column += columns;
        is_first = false;
        s += n + (s[n] == ' ');
    }
    text_char(out, '\n');
}
