#include "engine/tokenizers/normalize.h"
#include <string.h>

enum { UNIT = 4, REPLACEMENT_MAX = 256 };

static uint32_t unit_at(const char *units, size_t i)
{
    const unsigned char *p = (const unsigned char *)units + UNIT * i;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int charsmap_check(const char *map, size_t length, struct error *e)
{
    if (length < 2 * UNIT) return error_set(e, ERROR_INPUT, "a map of characters of %zu bytes is too short", length);
    const size_t bytes = unit_at(map, 0);
    if (bytes < UNIT || bytes % UNIT || bytes > length - UNIT)
        return error_set(e, ERROR_INPUT, "a map of characters whose trie has %zu of %zu bytes", bytes, length - UNIT);
    if (bytes < length - UNIT && map[length - 1])
        return error_set(e, ERROR_INPUT, "a map of characters whose last replacement does not end");
    return 0;
}

/* Length in bytes of the longest key at text[0 .. n), 0 if there is none; *value is that of the key. A unit holds a
 * label, whether a value hangs below it, and the offset to its children. */
static size_t longest_key(const char *units, size_t count, const char *text, size_t n, uint32_t *value)
{
    size_t longest = 0;
    uint32_t unit = unit_at(units, 0), at = 0;
    for (size_t i = 0; i < n && text[i]; i++) {
        const unsigned char byte = (unsigned char)text[i];
        at ^= (unit >> 10 << ((unit & 1u << 9) >> 6)) ^ byte;
        if (at >= count) break;
        unit = unit_at(units, at);
        if ((unit & (1u << 31 | 0xFF)) != byte) break;
        const uint32_t leaf = at ^ (unit >> 10 << ((unit & 1u << 9) >> 6));
        if (!(unit >> 8 & 1) || leaf >= count) continue;
        *value = unit_at(units, leaf) & ~(1u << 31);
        longest = i + 1;
    }
    return longest;
}

void charsmap_apply(const char *map, size_t length, const char *text, size_t n, struct text *out)
{
    const size_t bytes = unit_at(map, 0), replaced = length - UNIT - bytes;
    const char *units = map + UNIT, *replacements = units + bytes;
    for (size_t i = 0; i < n;) {
        uint32_t value, codepoint;
        size_t step = longest_key(units, bytes / UNIT, text + i, n - i, &value);
        if (step && value < replaced) {
            text_bytes(out, replacements + value, strnlen(replacements + value, REPLACEMENT_MAX));
        } else {
            step = utf8_decode(text + i, n - i, &codepoint);
            if (step)
                text_bytes(out, text + i, step);
            else
                text_codepoint(out, 0xFFFD);
        }
        i += step ? step : 1;
    }
}
