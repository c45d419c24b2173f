#include "engine/tokenizers/normalize.h"
#include <string.h>
#include <utf8proc.h>

/* KEY_MAX: bytes of a key; a trie that leads back into itself would be followed to the end of the text. */
enum { UNIT = 4, REPLACEMENT_MAX = 256, KEY_MAX = 256 };

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

/* Length in bytes of the longest key at text[0 .. n), or of the shortest; 0 if there is none; *value is that of the key.
 * A unit holds a label, whether a value hangs below it, and the offset to its children. */
static size_t find_key(const char *units, size_t count, bool longest, const char *text, size_t n, uint32_t *value)
{
    size_t found = 0;
    uint32_t unit = unit_at(units, 0), at = 0;
    for (size_t i = 0; i < n && i < KEY_MAX && text[i] && (longest || !found); i++) {
        const unsigned char byte = (unsigned char)text[i];
        at ^= (unit >> 10 << ((unit & 1u << 9) >> 6)) ^ byte;
        if (at >= count) break;
        unit = unit_at(units, at);
        if ((unit & (1u << 31 | 0xFF)) != byte) break;
        const uint32_t leaf = at ^ (unit >> 10 << ((unit & 1u << 9) >> 6));
        if (!(unit >> 8 & 1) || leaf >= count) continue;
        *value = unit_at(units, leaf) & ~(1u << 31);
        found = i + 1;
    }
    return found;
}

/* A map taken apart. */
struct charsmap {
    const char *units, *replacements;
    size_t count, length; /* of units, of the bytes of replacements */
};

static struct charsmap charsmap_of(const char *map, size_t length)
{
    const size_t bytes = unit_at(map, 0);
    return (struct charsmap){map + UNIT, map + UNIT + bytes, bytes / UNIT, length - UNIT - bytes};
}

/* Adds what replaces a key at text[0 .. n): the key's length, 0 if there is none. */
static size_t replace_key(const struct charsmap *m, bool longest, const char *text, size_t n, struct text *out)
{
    uint32_t value;
    const size_t step = find_key(m->units, m->count, longest, text, n, &value);
    if (!step || value >= m->length) return 0;
    text_bytes(out, m->replacements + value, strnlen(m->replacements + value, REPLACEMENT_MAX));
    return step;
}

/* Adds one character as it is; its length. */
static size_t copy_character(const char *text, size_t n, struct text *out)
{
    uint32_t c;
    const size_t step = utf8_decode(text, n, &c);
    if (step)
        text_bytes(out, text, step);
    else
        text_codepoint(out, 0xFFFD);
    return step ? step : 1;
}

void charsmap_apply(const char *map, size_t length, const char *text, size_t n, size_t most, struct text *out)
{
    const struct charsmap m = charsmap_of(map, length);
    for (size_t i = 0, step; i < n && out->length <= most; i += step) {
        step = replace_key(&m, true, text + i, n - i, out);
        if (!step) step = copy_character(text + i, n - i, out);
    }
}

/* Length in bytes of the grapheme cluster (UAX 29) at the front of text[0 .. n). */
static size_t grapheme_length(const char *text, size_t n)
{
    uint32_t c, next;
    utf8proc_int32_t state = 0;
    size_t length = utf8_decode(text, n, &c), step;
    if (!length) return 1;
    while (length < n && (step = utf8_decode(text + length, n - length, &next)) > 0 &&
           !utf8proc_grapheme_break_stateful((utf8proc_int32_t)c, (utf8proc_int32_t)next, &state)) {
        length += step;
        c = next;
    }
    return length;
}

void charsmap_apply_graphemes(const char *map, size_t length, const char *text, size_t n, size_t most, struct text *out)
{
    enum { WHOLE_MAX = 5 /* bytes of a cluster that is looked up as a whole */ };
    const struct charsmap m = charsmap_of(map, length);
    for (size_t i = 0, cluster; i < n && out->length <= most; i += cluster) {
        cluster = grapheme_length(text + i, n - i);
        if (cluster <= WHOLE_MAX && replace_key(&m, false, text + i, cluster, out)) continue;
        for (size_t k = 0, step; k < cluster; k += step) {
            uint32_t c;
            step = utf8_decode(text + i + k, cluster - k, &c);
            if (!step || !replace_key(&m, false, text + i + k, step, out))
                step = copy_character(text + i + k, cluster - k, out);
        }
    }
}
