#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/tokenizers/split.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

/* The Unicode property White_Space, in a class. PCRE2's own \s takes in U+180E, which the property has not held since
 * Unicode 6.3. */
#define SPACES "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

struct split_rule {
    const char *name, *pattern;
};

static const struct split_rule rules[] = {
    /* Radford et al. 2019, as in GPT-2's encoder, with \s and \S spelled out */
    {"gpt-2", "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACES "\\p{L}\\p{N}]+|"
              "[" SPACES "]+(?![^" SPACES "])|[" SPACES "]+"},
};

struct split {
    pcre2_code *code;
};

static const struct split_rule *find_rule(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strlen(rules[i].name) == length && memcmp(rules[i].name, name, length) == 0) return rules + i;
    return NULL;
}

const char *split_known_name(const char *name, size_t length)
{
    const struct split_rule *rule = find_rule(name, length);
    return rule ? rule->name : NULL;
}

int split_open(struct split **out, const char *name, size_t length, struct error *e)
{
    const struct split_rule *rule = find_rule(name, length);
    if (!rule)
        return error_set(e, ERROR_INPUT, "pre-split \"%.*s\" is unknown", length < 100 ? (int)length : 100, name);
    struct split *s = memory_new(1, sizeof *s, "a pre-split", e);
    if (!s) return e->code;
    int code;
    PCRE2_SIZE offset;
    s->code = pcre2_compile((PCRE2_SPTR)rule->pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &offset, NULL);
    if (!s->code) {
        split_close(s);
        return error_set(e, ERROR_IO, "pre-split %s: pattern error %d at %zu", rule->name, code, offset);
    }
    /* Without a JIT for this processor, matching falls back to the interpreter by itself. */
    pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE);
    *out = s;
    return 0;
}

void split_close(struct split *s)
{
    if (!s) return;
    pcre2_code_free(s->code);
    free(s);
}

int split_words_open(struct split_words *w, const struct split *s, const char *text, size_t n, struct error *e)
{
    *w = (struct split_words){.split = s, .text = text, .n = n, .match = pcre2_match_data_create(1, NULL)};
    return w->match ? 0 : error_set(e, ERROR_IO, "out of memory for matching");
}

/* Moves on to the run of UTF-8 at w->at. Checking here, once, lets the matcher skip its own check of all that is left
 * of the text at every word. */
static void find_run(struct split_words *w)
{
    w->run = w->run_end = w->at;
    while (w->run_end < w->n) {
        uint32_t codepoint;
        const size_t length = (unsigned char)w->text[w->run_end] < 0x80
                                  ? 1
                                  : utf8_decode(w->text + w->run_end, w->n - w->run_end, &codepoint);
        if (!length) break;
        w->run_end += length;
    }
}

static size_t invalid_length(const struct split_words *w)
{
    size_t end = w->at;
    uint32_t codepoint;
    while (end < w->n && !utf8_decode(w->text + end, w->n - end, &codepoint)) end++;
    return end - w->at;
}

static int match(struct split_words *w, size_t *begin, size_t *end, struct error *e)
{
    const PCRE2_SPTR subject = (PCRE2_SPTR)w->text + w->run;
    const size_t length = w->run_end - w->run, from = w->at - w->run;
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int found = pcre2_match(w->split->code, subject, length, from, options, w->match, NULL);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(w->split->code, subject, length, from, options | PCRE2_NO_JIT, w->match, NULL);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH)
        return error_set(e, ERROR_IO, "text: offset 0x%zx: matching the pre-split failed with PCRE2's error %d", w->at,
                         found);
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(w->match);
    *begin = found < 0 ? w->run_end : w->run + v[0];
    *end = found < 0 ? w->run_end : w->run + v[1];
    return 0;
}

int split_words_next(struct split_words *w, const char **word, size_t *length, struct error *e)
{
    *word = NULL;
    if (w->at == w->n) return 0;
    if (w->at >= w->run_end) find_run(w);
    *word = w->text + w->at;
    if (w->at == w->run_end) {
        *length = invalid_length(w);
    } else {
        size_t begin = w->at, end = w->n;
        if (match(w, &begin, &end, e)) return e->code;
        *length = (begin > w->at ? begin : end) - w->at;
    }
    w->at += *length;
    return 0;
}

void split_words_close(struct split_words *w) { pcre2_match_data_free(w->match); }
