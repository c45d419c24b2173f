#include "engine/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct text *t, size_t more)
{
    if (t->failed || more > SIZE_MAX / 4 || t->length > SIZE_MAX / 4) return !(t->failed = true);
    size_t wanted = t->length + more + 1;
    if (wanted <= t->capacity) return true;
    size_t capacity = t->capacity * 2 > wanted ? t->capacity * 2 : wanted + 32;
    char *bytes = realloc(t->bytes, capacity);
    if (!bytes) return !(t->failed = true);
    t->bytes = bytes;
    t->capacity = capacity;
    return true;
}

void text_bytes(struct text *t, const void *data, size_t n)
{
    if (!reserve(t, n)) return;
    if (n) memcpy(t->bytes + t->length, data, n);
    t->length += n;
    t->bytes[t->length] = 0;
}

void text_add(struct text *t, const char *s) { text_bytes(t, s, strlen(s)); }
void text_char(struct text *t, char c) { text_bytes(t, &c, 1); }

void text_codepoint(struct text *t, uint32_t c)
{
    char b[4];
    size_t n = 0;
    if (c < 0x80) {
        b[n++] = (char)c;
    } else if (c < 0x800) {
        b[n++] = (char)(0xC0 | c >> 6);
        b[n++] = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        b[n++] = (char)(0xE0 | c >> 12);
        b[n++] = (char)(0x80 | (c >> 6 & 0x3F));
        b[n++] = (char)(0x80 | (c & 0x3F));
    } else {
        b[n++] = (char)(0xF0 | c >> 18);
        b[n++] = (char)(0x80 | (c >> 12 & 0x3F));
        b[n++] = (char)(0x80 | (c >> 6 & 0x3F));
        b[n++] = (char)(0x80 | (c & 0x3F));
    }
    text_bytes(t, b, n);
}

void text_printf(struct text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0 && reserve(t, (size_t)n)) {
        vsnprintf(t->bytes + t->length, (size_t)n + 1, format, again);
        t->length += (size_t)n;
    }
    va_end(again);
}

const char *text_c(const struct text *t) { return t->bytes ? t->bytes : ""; }

void text_clear(struct text *t)
{
    t->length = 0;
    t->failed = false;
    if (t->bytes) t->bytes[0] = 0;
}

void text_free(struct text *t)
{
    free(t->bytes);
    *t = (struct text){0};
}

size_t utf8_decode(const char *s, size_t n, uint32_t *codepoint)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80) return *codepoint = p[0], 1;
    size_t size = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0xC2 || p[0] > 0xF4 || n < size) return 0;
    uint32_t c = p[0] & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3F);
    }
    if (c < least[size] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return 0;
    *codepoint = c;
    return size;
}

size_t utf8_length(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; count++) {
        uint32_t c;
        size_t step = utf8_decode(s + i, n - i, &c);
        i += step ? step : 1;
    }
    return count;
}

int text_check(const char *path, size_t line, const char *s, size_t n, struct error *e)
{
    size_t begin = 0, size;
    for (size_t i = 0; i < n; i += size) {
        uint32_t c;
        size = utf8_decode(s + i, n - i, &c);
        if (!size)
            return error_set(e, ERROR_INPUT, "%s: line %zu: byte %zu: 0x%02X: is not UTF-8", path, line, i - begin + 1,
                             (unsigned)(unsigned char)s[i]);
        if (!c)
            return error_set(e, ERROR_INPUT, "%s: line %zu: byte %zu: is a NUL byte, which no text has", path, line,
                             i - begin + 1);
        if (c == '\n') line++, begin = i + 1;
    }
    return 0;
}

bool text_ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

bool codepoint_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* What a terminal acts on and what nobody sees: controls, line separators, noncharacters, annotations, and the property
 * Default_Ignorable_Code_Point of the Unicode Character Database (joiners, marks of direction, fillers, variation
 * selectors, tags). */
static bool is_unsafe(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0x00, 0x1F},     {0x7F, 0x9F},     {0xAD, 0xAD},       {0x34F, 0x34F},     {0x61C, 0x61C},
        {0x115F, 0x1160}, {0x17B4, 0x17B5}, {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},
        {0x2060, 0x206F}, {0x3164, 0x3164}, {0xFDD0, 0xFDEF},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},
        {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
    };
    if (c >= 0x20 && c < 0x7F) return false;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1]) return true;
    return (c & 0xFFFE) == 0xFFFE;
}

void text_terminal(struct text *t, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t size = utf8_decode(s + i, n - i, &c);
        if (!size) {
            text_printf(t, "\\x%02X", (unsigned char)s[i]);
            size = 1;
        } else if (c == '\n') {
            text_add(t, "\\n");
        } else if (c == '\t') {
            text_add(t, "\\t");
        } else if (c < 0x20 || c == 0x7F) {
            text_printf(t, "\\x%02X", (unsigned)c);
        } else if (is_unsafe(c)) {
            text_printf(t, "\\u{%04X}", (unsigned)c);
        } else {
            text_bytes(t, s + i, size);
        }
        i += size;
    }
}
