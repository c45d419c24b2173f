#include "engine/tokenizers/split.h"

#include "engine/base/memory.h"
#include "engine/tokenizers/expression.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Digits in threes from the right: for one match the pattern looks at all digits that are left of a number. */
struct threes {
    const char *pattern;
    bool numbers; /* of category N, else Nd */
    bool bounded; /* only where a number ends at a word's end */
    bool empty;   /* it matches the places between, not the digits */
};

static const struct threes all_threes[] = {
    {"(?=(\\d{3})+(?!\\d))", false, false, true},
    {"\\d{1,3}(?=(?:\\d{3})*(?!\\d))", false, false, false},
    {"\\d{1,3}(?=(?:\\d{3})*\\b)", false, true, false},
    {"\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))", true, false, false},
};

struct split_part {
    struct expression *pattern; /* NULL: threes */
    const struct threes *threes;
    enum split_behavior behavior;
    bool invert, mapped;
};

struct split {
    size_t count;
    struct split_part parts[SPLIT_STAGES_MAX];
};

bool byte_stands_for_itself(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

void byte_characters(uint32_t codepoints[256])
{
    uint32_t next = 0x100;
    for (unsigned byte = 0; byte < 256; byte++) codepoints[byte] = byte_stands_for_itself(byte) ? byte : next++;
}

static const struct threes *find_threes(const char *pattern)
{
    for (size_t i = 0; i < sizeof all_threes / sizeof *all_threes; i++)
        if (strcmp(all_threes[i].pattern, pattern) == 0) return all_threes + i;
    return NULL;
}

int split_open(struct split **out, const struct split_stage *stages, size_t count, struct error *e)
{
    if (count > SPLIT_STAGES_MAX)
        return error_set(e, ERROR_INPUT, "%zu stages of pre-splitting; %d are the limit", count, SPLIT_STAGES_MAX);
    struct split *s = memory_new(1, sizeof *s, "a pre-split", e);
    if (!s) return e->code;
    for (; s->count < count; s->count++) {
        const struct split_stage *stage = stages + s->count;
        struct split_part *part = s->parts + s->count;
        *part = (struct split_part){NULL, find_threes(stage->pattern), stage->behavior, stage->invert, stage->mapped};
        if (!part->threes && expression_open(&part->pattern, stage->pattern, strlen(stage->pattern), e)) {
            split_close(s);
            return e->code;
        }
    }
    *out = s;
    return 0;
}

void split_close(struct split *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->count; i++) expression_close(s->parts[i].pattern);
    free(s);
}

int split_words_open(struct split_words *w, const struct split *s, const char *text, size_t n, struct error *e)
{
    *w = (struct split_words){.split = s, .text = text, .n = n};
    w->levels = memory_new(s->count, sizeof *w->levels, "pre-splitting", e);
    if (!w->levels || expression_match_open(&w->match, e)) {
        split_words_close(w);
        return e->code;
    }
    uint32_t codepoints[256];
    byte_characters(codepoints);
    for (size_t byte = 0; byte < 256; byte++) {
        const uint32_t c = codepoints[byte];
        w->characters[byte][0] = (char)(c < 0x80 ? c : 0xC0 | c >> 6);
        w->characters[byte][1] = (char)(c < 0x80 ? 0 : 0x80 | (c & 0x3F));
    }
    return 0;
}

void split_words_close(struct split_words *w)
{
    for (size_t i = 0; w->levels && i < w->split->count; i++) text_free(&w->levels[i].mapping);
    free(w->levels);
    expression_match_close(w->match);
    *w = (struct split_words){0};
}

/* The next run of UTF-8, or of bytes that are not. Checking here, once, lets matchers skip their own check of all that
 * is left of the text at every word. */
static void next_run(struct split_words *w, struct split_piece *piece)
{
    *piece = (struct split_piece){w->at < w->n ? w->text + w->at : NULL, 0, false};
    uint32_t codepoint;
    const size_t from = w->at;
    while (w->at < w->n) {
        const bool ascii = (unsigned char)w->text[w->at] < 0x80;
        const size_t length = ascii ? 1 : utf8_decode(w->text + w->at, w->n - w->at, &codepoint);
        if (w->at == from) piece->is_utf8 = length;
        if (piece->is_utf8 != (length > 0)) break;
        w->at += length ? length : 1;
    }
    piece->length = w->at - from;
}

static int map_piece(const struct split_words *w, struct split_level *l, struct error *e)
{
    text_clear(&l->mapping);
    for (size_t i = 0; i < l->piece.length; i++) {
        const char *c = w->characters[(unsigned char)l->piece.text[i]];
        text_bytes(&l->mapping, c, c[1] ? 2 : 1);
    }
    l->subject = text_c(&l->mapping);
    l->subject_length = l->mapping.length;
    return l->mapping.failed ? error_set(e, ERROR_IO, "out of memory for a word") : 0;
}

/* Whether the code point at `at` may stand in a number; its length. */
static size_t number_length(const struct split_level *l, size_t at, bool numbers)
{
    uint32_t c;
    if (at >= l->subject_length) return 0;
    const size_t length = utf8_decode(l->subject + at, l->subject_length - at, &c);
    const utf8proc_category_t category = length ? utf8proc_category((utf8proc_int32_t)c) : UTF8PROC_CATEGORY_CN;
    const bool is = category == UTF8PROC_CATEGORY_ND ||
                    (numbers && (category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO));
    return is ? length : 0;
}

static bool is_word_character(const struct split_level *l, size_t at)
{
    uint32_t c;
    if (at >= l->subject_length || !utf8_decode(l->subject + at, l->subject_length - at, &c)) return false;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return false;
    }
}

/* The next number from `at` on: where it begins, how many digits it has and where it ends. */
static size_t next_number(const struct split_level *l, const struct threes *t, size_t *at, size_t *end)
{
    size_t digits = 0, length;
    while (*at < l->subject_length && !number_length(l, *at, t->numbers)) {
        uint32_t c;
        *at += utf8_decode(l->subject + *at, l->subject_length - *at, &c);
    }
    for (*end = *at; (length = number_length(l, *end, t->numbers)) > 0; *end += length) digits++;
    return digits;
}

static size_t past_digits(const struct split_level *l, const struct threes *t, size_t at, size_t digits)
{
    for (; digits; digits--) at += number_length(l, at, t->numbers);
    return at;
}

/* Finds a number's first group, or the next one of the number whose group ended here. Each number is counted once:
 * behind its first group as many digits are left as make whole groups. */
static void match_threes(struct split_level *l, const struct threes *t, size_t from)
{
    size_t end, digits;
    const bool inside = l->end == from && number_length(l, from, t->numbers);
    l->begin = from;
    if (inside) {
        l->end = past_digits(l, t, from, 3);
        if (t->empty) l->begin = l->end;
        if (!t->empty || number_length(l, l->end, t->numbers)) return;
    }
    for (;; l->begin = end) {
        digits = next_number(l, t, &l->begin, &end);
        if (t->bounded && is_word_character(l, end)) continue;
        l->end = past_digits(l, t, l->begin, digits % 3 || !digits ? digits % 3 : 3);
        if (!t->empty || !digits) return;
        /* between the groups: not before the first digit of the text, nor behind the last of the number */
        if (digits % 3 == 0 && l->begin > from) l->end = l->begin;
        l->begin = l->end;
        if (l->end < end) return;
    }
}

/* Makes begin .. end the next match from `from` on, both subject_length where there is none. */
static int find_match(struct split_words *w, size_t i, size_t from, struct error *e)
{
    struct split_level *l = w->levels + i;
    const struct split_part *part = w->split->parts + i;
    if (l->matched && l->begin >= from && (l->end > from || l->begin == l->subject_length)) return 0;
    if (part->threes)
        match_threes(l, part->threes, from);
    else if (expression_match(part->pattern, w->match, l->subject, l->subject_length, from, &l->begin, &l->end, e))
        return e->code;
    l->matched = true;
    return 0;
}

/* Where the word that begins at the level's place ends. */
static int find_stop(struct split_words *w, size_t i, size_t *stop, bool *removed, struct error *e)
{
    struct split_level *l = w->levels + i;
    const struct split_part *part = w->split->parts + i;
    const enum split_behavior behavior = part->behavior;
    if (find_match(w, i, l->subject_at, e)) return e->code;
    const bool gap = l->begin > l->subject_at;
    *removed = behavior == SPLIT_REMOVED && gap == part->invert;
    *stop = gap ? l->begin : l->end;
    if (gap) {
        if (behavior == (part->invert ? SPLIT_WITH_NEXT : SPLIT_WITH_PREVIOUS)) *stop = l->end;
        return 0;
    }
    const bool joins = behavior == (part->invert ? SPLIT_WITH_PREVIOUS : SPLIT_WITH_NEXT);
    while ((joins || behavior == SPLIT_CONTIGUOUS) && *stop < l->subject_length) {
        if (find_match(w, i, *stop, e)) return e->code;
        if (joins) {
            *stop = l->begin;
            return 0;
        }
        if (l->begin > *stop) return 0;
        *stop = l->end;
    }
    return 0;
}

/* The next word of the level's piece; empty where it was removed. */
static int cut(struct split_words *w, size_t i, struct split_piece *word, struct error *e)
{
    struct split_level *l = w->levels + i;
    size_t stop = 0;
    bool removed = false;
    if (find_stop(w, i, &stop, &removed, e)) return e->code;
    size_t length = stop - l->subject_at;
    if (w->split->parts[i].mapped) {
        length = 0;
        for (size_t k = l->subject_at; k < stop; k++) length += ((unsigned char)l->subject[k] & 0xC0) != 0x80;
    }
    *word = (struct split_piece){l->piece.text + l->at, removed ? 0 : length, true};
    l->at += length;
    l->subject_at = stop;
    return 0;
}

static int begin_piece(struct split_words *w, size_t i, struct error *e)
{
    struct split_level *l = w->levels + i;
    l->at = l->subject_at = 0;
    l->matched = false;
    l->end = SIZE_MAX;
    if (w->split->parts[i].mapped && l->piece.text) return map_piece(w, l, e);
    l->subject = l->piece.text;
    l->subject_length = l->piece.length;
    return 0;
}

/* The next piece that the stages before number i leave. */
static int next_piece(struct split_words *w, size_t i, struct split_piece *piece, struct error *e)
{
    if (i == 0) return next_run(w, piece), 0;
    struct split_level *l = w->levels + --i;
    do {
        if (!l->piece.text || l->at == l->piece.length) {
            if (next_piece(w, i, &l->piece, e) || begin_piece(w, i, e)) return e->code;
            if (!l->piece.text || !l->piece.is_utf8) {
                *piece = l->piece;
                l->at = l->piece.length;
                return 0;
            }
        }
        if (cut(w, i, piece, e)) return e->code;
    } while (!piece->length);
    return 0;
}

int split_words_next(struct split_words *w, const char **word, size_t *length, struct error *e)
{
    struct split_piece piece;
    if (next_piece(w, w->split->count, &piece, e)) return e->code;
    *word = piece.text;
    *length = piece.length;
    return 0;
}
