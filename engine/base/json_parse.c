#include "engine/base/json_parse.h"
#include "engine/base/text.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* --- jansson's allocator --- */

/* Before each piece of its memory. */
struct block {
    struct block *next, **link; /* in the list of what the text that is parsed has taken; link is NULL outside of it */
};

static _Thread_local struct {
    struct block *first;
    size_t used, most; /* bytes; most is 0 where there is no limit */
    bool parses, exceeds;
    jmp_buf give_up;
} parsing;

static void *take(size_t n)
{
    struct block *b = n < SIZE_MAX - sizeof *b ? malloc(sizeof *b + n) : NULL;
    if (!parsing.parses) {
        if (b) *b = (struct block){NULL, NULL};
        return b ? b + 1 : NULL;
    }
    if (!b) longjmp(parsing.give_up, 1);
    *b = (struct block){parsing.first, &parsing.first};
    if (b->next) b->next->link = &b->next;
    parsing.first = b;
    parsing.used += malloc_usable_size(b);
    parsing.exceeds = parsing.most && parsing.used > parsing.most;
    if (parsing.exceeds) longjmp(parsing.give_up, 1);
    return b + 1;
}

static void give_back(void *memory)
{
    if (!memory) return;
    struct block *b = (struct block *)memory - 1;
    if (b->link) {
        *b->link = b->next;
        if (b->next) b->next->link = b->link;
        parsing.used -= malloc_usable_size(b);
    }
    free(b);
}

/* Before main(), when there is no value yet. */
__attribute__((constructor)) static void set_allocator(void) { json_set_alloc_funcs(take, give_back); }

/* What the text has taken becomes the value's, or goes. */
static void end_list(bool keep)
{
    for (struct block *b = parsing.first, *next; b; b = next) {
        next = b->next;
        *b = (struct block){NULL, NULL};
        if (!keep) free(b);
    }
    parsing.first = NULL;
    parsing.parses = false;
}

/* NULL with words, or without words where memory ran out or there was more than there may be. */
static json_t *load(const char *text, size_t n, size_t most, json_error_t *words)
{
    parsing.used = 0, parsing.most = most;
    parsing.parses = true, parsing.exceeds = false;
    words->text[0] = 0;
    if (setjmp(parsing.give_up)) {
        end_list(false);
        words->text[0] = 0;
        return NULL;
    }
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, words);
    end_list(true);
    return value;
}

/* --- texts --- */

struct json_place json_place(const char *whole, const char *at, const char *end)
{
    struct json_place place = {1, 0};
    const char *begin = whole;
    for (const char *c = whole; c < at; c++)
        if (*c == '\n') place.line++, begin = c + 1;
    place.column = utf8_length(begin, (size_t)(at - begin)) + (at < end);
    return place;
}

static json_t *parse(const char *whole, const char *text, size_t n, bool line, size_t most, struct error *e)
{
    /* jansson skips a NUL byte after a number */
    const char *nul = n ? memchr(text, 0, n) : NULL;
    if (nul) {
        error_set(e, ERROR_INPUT, "byte %td: a NUL byte is no JSON", nul - text);
        return NULL;
    }
    json_error_t words;
    json_t *value = load(text, n, most, &words);
    if (value) return value;
    if (parsing.exceeds) {
        error_set(e, ERROR_INPUT, "takes more than the %zu MB of memory that are allowed for it", most >> 20);
        return NULL;
    }
    if (!words.text[0]) {
        error_set(e, ERROR_IO, "out of memory for %zu bytes of JSON", n);
        return NULL;
    }
    /* it quotes the text that it stopped at, line breaks included */
    for (char *p = words.text; *p; p++)
        if ((unsigned char)*p < 0x20) *p = ' ';
    const struct json_place before = json_place(whole, text, text + n);
    const size_t column = (size_t)words.column + (words.line == 1 && before.column ? before.column - 1 : 0);
    if (line)
        error_set(e, ERROR_INPUT, "line %zu, column %zu: %s", before.line - 1 + (size_t)words.line, column, words.text);
    else
        error_set(e, ERROR_INPUT, "column %zu: %s", column, words.text);
    return NULL;
}

json_t *json_parse(const char *text, size_t n, bool line, size_t most, struct error *e)
{
    return parse(text, text, n, line, most, e);
}

json_t *json_parse_part(const char *whole, const char *part, size_t n, size_t most, struct error *e)
{
    return parse(whole, part, n, true, most, e);
}
