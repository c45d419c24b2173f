/* Every tokenization is a list of rules that are applied one after the other: a rule looks for one character of a class,
 * or for two characters of two classes beside each other, and sets spaces around them. Its matches, from the left, do
 * not overlap; the next rule sees what it wrote. The words are what stands between white space at the end. */
#include "metrics/tokenize.h"
#include "metrics/lowercase.h"

#include <string.h>
#include <utf8proc.h>

const char *const tokenization_names[] = {"13a", "intl", "zh", "char", "none", NULL};

/* --- classes of characters --- */

enum { NO_CHARACTER = 0x110000 }; /* of a byte that is not UTF-8: in no class but the negated ones */

struct range {
    uint32_t first, last;
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].first && c <= ranges[i].last) return true;
    return false;
}

static bool is_digit(uint32_t c) { return c >= '0' && c <= '9'; }
static bool is_no_digit(uint32_t c) { return !is_digit(c); }
static bool is_stop(uint32_t c) { return c == '.' || c == ','; }
static bool is_dash(uint32_t c) { return c == '-'; }

/* What 13a and Tercom set apart wherever it stands: the space and ASCII's punctuation but for ' , - . */
static bool is_apart(uint32_t c)
{
    return c == ' ' || (c < 0x80 && is_ascii_punctuation((char)c) && !strchr("',-.", (int)c));
}

static bool is_number(uint32_t c)
{
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

static bool is_no_number(uint32_t c) { return !is_number(c); }

static bool is_punctuation(uint32_t c)
{
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}

static bool is_symbol(uint32_t c)
{
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k >= UTF8PROC_CATEGORY_SM && k <= UTF8PROC_CATEGORY_SO;
}

/* sacreBLEU's list. It means to name U+20000-2A6D6 and U+2F800-2FA1D, but writes them as strings of two characters, so
 * that its comparison takes U+2001-2A6D: general punctuation (quotation marks, dashes) and the mathematical symbols are
 * set apart, and the ideographs of extension B are not. Published scores contain this. */
static bool is_chinese(uint32_t c)
{
    static const struct range ranges[] = {{0x2001, 0x2A6D}, {0x2E80, 0x2FDF}, {0x2FF0, 0x303F}, {0x3100, 0x312F},
                                          {0x31A0, 0x31EF}, {0x3200, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D},
                                          {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F},
                                          {0xFF00, 0xFFEF}};
    return in_ranges(c, ranges, sizeof ranges / sizeof *ranges);
}

/* Tercom's Asian punctuation and full-width punctuation. */
static bool is_asian_punctuation(uint32_t c)
{
    static const struct range ranges[] = {{0x3001, 0x3002}, {0x3008, 0x3011}, {0x3014, 0x301F}, {0x30FB, 0x30FB},
                                          {0xFF01, 0xFF02}, {0xFF08, 0xFF09}, {0xFF0C, 0xFF0C}, {0xFF0E, 0xFF0E},
                                          {0xFF1A, 0xFF1B}, {0xFF1F, 0xFF1F}, {0xFF61, 0xFF65}};
    return in_ranges(c, ranges, sizeof ranges / sizeof *ranges);
}

/* What Tercom sets apart with Asian support: ideographs, radicals, strokes, compatibility forms and punctuation. Its
 * rules for Hiragana and Katakana want them at the very start of a text that starts with a space by then, and so never
 * apply. */
static bool is_asian(uint32_t c)
{
    static const struct range ranges[] = {{0x2E80, 0x2EFF}, {0x31C0, 0x31EF}, {0x3200, 0x4DBF},
                                          {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0xFE30, 0xFE4F}};
    return in_ranges(c, ranges, sizeof ranges / sizeof *ranges) || is_asian_punctuation(c);
}

static bool is_removed(uint32_t c) { return c < 0x80 && c && strchr(".,?:;!\"()", (int)c); }

/* --- rules --- */

struct rule {
    bool (*first)(uint32_t), (*second)(uint32_t); /* second: NULL for a rule of one character */
    bool before, after;                           /* where it sets a space; always one between first and second */
};

static const struct rule rules_13a[] = {{is_apart, NULL, true, true},
                                        {is_no_digit, is_stop, false, true},
                                        {is_stop, is_no_digit, true, false},
                                        {is_digit, is_dash, false, true}};
static const struct rule rules_intl[] = {{is_no_number, is_punctuation, false, true},
                                         {is_punctuation, is_no_number, true, false},
                                         {is_symbol, NULL, true, true}};
static const struct rule rule_chinese = {is_chinese, NULL, true, true};
static const struct rule rule_asian = {is_asian, NULL, true, true};

/* The character at s (n > 0 bytes left) and its bytes. */
static uint32_t character(const char *s, size_t n, size_t *size)
{
    uint32_t c;
    *size = utf8_decode(s, n, &c);
    if (*size) return c;
    *size = 1;
    return NO_CHARACTER;
}

static void take(struct text *t, struct text *out)
{
    text_free(t);
    *t = *out;
}

static void rewrite(struct text *t, const struct rule *rule)
{
    struct text out = {.failed = t->failed};
    for (size_t i = 0; i < t->length;) {
        const char *s = t->bytes + i;
        size_t size, next = 0;
        bool matched = rule->first(character(s, t->length - i, &size));
        if (matched && rule->second)
            matched = i + size < t->length && rule->second(character(s + size, t->length - i - size, &next));
        if (matched && rule->before) text_char(&out, ' ');
        text_bytes(&out, s, size);
        i += size;
        if (!matched) continue;
        if (rule->second) text_char(&out, ' ');
        text_bytes(&out, s + size, next);
        i += next;
        if (rule->after) text_char(&out, ' ');
    }
    take(t, &out);
}

static void rewrite_all(struct text *t, const struct rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++) rewrite(t, &rules[i]);
}

static void replace(struct text *t, const char *from, const char *to)
{
    if (t->failed || !strstr(text_c(t), from)) return;
    struct text out = {0};
    const char *at = t->bytes;
    for (const char *hit; (hit = strstr(at, from)); at = hit + strlen(from)) {
        text_bytes(&out, at, (size_t)(hit - at));
        text_add(&out, to);
    }
    text_add(&out, at);
    take(t, &out);
}

static void replace_entities(struct text *t)
{
    replace(t, "&quot;", "\"");
    replace(t, "&amp;", "&");
    replace(t, "&lt;", "<");
    replace(t, "&gt;", ">");
}

static void drop(struct text *t, bool (*class)(uint32_t))
{
    struct text out = {.failed = t->failed};
    for (size_t i = 0, size; i < t->length; i += size)
        if (!class(character(t->bytes + i, t->length - i, &size))) text_bytes(&out, t->bytes + i, size);
    take(t, &out);
}

/* --- texts --- */

/* Adds the text without the white space at its end. */
static void add_stripped(struct text *t, const char *s, bool lowercase)
{
    size_t end = 0;
    const size_t n = strlen(s);
    for (size_t i = 0, size; i < n; i += size)
        if (!codepoint_is_space(character(s + i, n - i, &size))) end = i + size;
    if (lowercase)
        lowercase_add(t, s, end);
    else
        text_bytes(t, s, end);
}

static const char *skip_space(const char *s)
{
    const char *end = s + strlen(s);
    for (size_t size; s < end && codepoint_is_space(character(s, (size_t)(end - s), &size));) s += size;
    return s;
}

int tokenize(struct sequence *s, const char *text, enum tokenization how, bool lowercase, struct error *e)
{
    struct text *t = &s->text;
    if (how == TOKENIZE_13A) text_char(t, ' ');
    add_stripped(t, how == TOKENIZE_ZH ? skip_space(text) : text, lowercase);
    if (how == TOKENIZE_13A) {
        text_char(t, ' ');
        replace(t, "<skipped>", "");
        replace(t, "-\n", "");
        replace(t, "\n", " ");
        replace_entities(t);
    }
    if (how == TOKENIZE_ZH) rewrite(t, &rule_chinese);
    if (how == TOKENIZE_13A || how == TOKENIZE_ZH) rewrite_all(t, rules_13a, sizeof rules_13a / sizeof *rules_13a);
    if (how == TOKENIZE_INTL) rewrite_all(t, rules_intl, sizeof rules_intl / sizeof *rules_intl);
    if (t->failed) return error_set(e, ERROR_IO, "out of memory for the words of a text");
    return how == TOKENIZE_CHAR ? sequence_characters(s, t->bytes, t->length, false, e)
                                : sequence_words(s, t->bytes, t->length, e);
}

static void normalize(struct text *t)
{
    replace(t, "\n-", "");
    replace(t, "\n", " ");
    replace_entities(t);
    rewrite(t, &rules_13a[0]);
    replace(t, "'s ", " 's ");
    rewrite_all(t, rules_13a + 1, sizeof rules_13a / sizeof *rules_13a - 1);
}

int tokenize_tercom(struct sequence *s, const char *text, const struct tercom *how, struct error *e)
{
    struct text *t = &s->text;
    text_char(t, ' ');
    add_stripped(t, text, !how->case_sensitive);
    text_char(t, ' ');
    if (how->normalized) normalize(t);
    if (how->normalized && how->asian_support) rewrite(t, &rule_asian);
    if (how->no_punct) drop(t, is_removed);
    if (how->no_punct && how->asian_support) drop(t, is_asian_punctuation);
    if (t->failed) return error_set(e, ERROR_IO, "out of memory for the words of a text");
    return sequence_words(s, t->bytes, t->length, e);
}
