#include "reports/charts/draw.h"

#include <string.h>

/* In thousandths of the font's size, after DejaVu Sans, which is the widest of the fonts that a page may be shown in. */
static int character_width(uint32_t c)
{
    if (c >= 0x1100 && (c <= 0x115F || (c >= 0x2E80 && c <= 0xD7A3) || c >= 0xF900)) return 1000; /* wide, as a rule */
    if (c < 0x80 && strchr("ijl.,:;'|![]() /\\", (int)c)) return 330;
    if (c < 0x80 && strchr("frt-", (int)c)) return 400;
    if (c < 0x80 && strchr("mwMW@%=+<>", (int)c)) return 900;
    return c >= 'A' && c <= 'Z' ? 690 : 620;
}

double chart_text_width(const char *s, double size)
{
    const size_t n = strlen(s);
    long sum = 0;
    for (size_t i = 0, k; i < n; i += k) {
        uint32_t c = 'x';
        k = utf8_decode(s + i, n - i, &c);
        if (!k) k = 1;
        sum += character_width(c);
    }
    return (double)sum / 1000 * size;
}

static bool starts_character(char byte) { return ((unsigned char)byte & 0xC0) != 0x80; }

static double width_at(const char *s, size_t n, double size)
{
    uint32_t c = 'x';
    utf8_decode(s, n, &c);
    return character_width(c) / 1000.0 * size;
}

/* Both ends are kept: names of one family differ at their end. */
void chart_shorten(struct text *out, const char *s, double width, double size)
{
    struct text whole = {0};
    text_terminal(&whole, s, strlen(s));
    const char *text = text_c(&whole);
    const size_t n = whole.length;
    if (chart_text_width(text, size) <= width) {
        text_add(out, text);
    } else {
        const double half = (width - chart_text_width("…", size)) / 2;
        double used = 0;
        size_t head = 0, tail = n;
        for (size_t i = 0; i < n && used <= half; i++) {
            if (!starts_character(text[i])) continue;
            head = i; /* what is before it fits */
            used += width_at(text + i, n - i, size);
        }
        used = 0;
        for (size_t i = n; i-- > head && used <= half;) {
            if (!starts_character(text[i])) continue;
            used += width_at(text + i, n - i, size);
            if (used <= half) tail = i;
        }
        text_bytes(out, text, head);
        text_add(out, "…");
        text_add(out, text + tail);
    }
    text_free(&whole);
}
