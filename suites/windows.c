#include "suites/windows.h"

#include <string.h>

static const char *const names[PROTOCOLS] = {"rolling", "chunked", "strided"};

const char *protocol_name(enum protocol p) { return names[p]; }

bool protocol_find(const char *name, enum protocol *out)
{
    for (int p = 0; p < PROTOCOLS; p++) {
        if (strcmp(name, names[p])) continue;
        *out = (enum protocol)p;
        return true;
    }
    return false;
}

const char *protocol_names(void) { return "rolling, chunked or strided"; }

static int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Scores stream[from, end) in a window that begins at `first`. */
static bool window_of(struct window *w, int64_t first, int64_t from, int64_t end, bool reopened)
{
    *w = (struct window){first, from - first, end - from, reopened};
    return end > from;
}

static bool rolling_window(const struct windowing *how, int64_t i, struct window *w)
{
    const int64_t from = 1 + i * how->context, end = lesser(from + how->context, how->tokens);
    return window_of(w, larger(end - 1 - how->context, 0), from, end, false);
}

static bool chunked_window(const struct windowing *how, int64_t i, struct window *w)
{
    const int64_t first = i * how->context, end = first + how->context;
    return end <= how->tokens && window_of(w, first, first + how->context / 2 + 1, end, how->reopens);
}

static bool strided_window(const struct windowing *how, int64_t i, struct window *w)
{
    const int64_t first = i * how->stride, end = lesser(first + how->context, how->tokens);
    const int64_t scored = i ? first - how->stride + how->context : 0; /* by the windows before */
    return window_of(w, first, larger(scored, first + 1), end, false);
}

bool window_at(const struct windowing *how, int64_t i, struct window *w)
{
    switch (how->protocol) {
    case PROTOCOL_CHUNKED:
        return chunked_window(how, i, w);
    case PROTOCOL_STRIDED:
        return strided_window(how, i, w);
    default:
        return rolling_window(how, i, w);
    }
}

int windowing_least(enum protocol protocol)
{
    static const int least[PROTOCOLS] = {1, 4, 2};
    return least[protocol];
}

int windowing_check(const struct windowing *how, struct error *e)
{
    const int least = windowing_least(how->protocol);
    if (how->context < least)
        return error_set(e, ERROR_INPUT, "a context of %lld is too short for the %s protocol: it needs %d tokens",
                         (long long)how->context, names[how->protocol], least);
    if (how->protocol == PROTOCOL_STRIDED && (how->stride < 1 || how->stride > how->context))
        return error_set(e, ERROR_INPUT, "stride: %lld is not between 1 and the window of %lld tokens",
                         (long long)how->stride, (long long)how->context);
    return 0;
}

int stream_encode(const struct tokenizer *t, enum protocol protocol, const char *text, struct ids *out, struct error *e)
{
    if (protocol == PROTOCOL_STRIDED) return tokenizer_encode_prompt(t, text, strlen(text), out, e);
    const bool chunked = protocol == PROTOCOL_CHUNKED, opens = !chunked || tokenizer_adds_bos(t);
    const int32_t opening = tokenizer_opening(t);
    if (opens && opening < 0)
        return error_set(e, ERROR_INPUT,
                         "scoring a document needs a BOS or EOS token, and the tokenizer has none: name one in "
                         "tokenizer_config.json, or take the chunked protocol");
    const int status = opens ? ids_add(out, opening, e) : 0;
    return status ? status : tokenizer_encode(t, text, strlen(text), chunked ? TOKENIZER_PLAIN : 0, out, e);
}

int64_t words_from(const char *s, size_t n, size_t from)
{
    int64_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        const size_t size = utf8_decode(s + i, n - i, &c);
        const bool space = size && codepoint_is_space(c);
        words += !space && !inside && i >= from;
        inside = !space;
        i += size ? size : 1;
    }
    return words;
}

int extent_of(const struct tokenizer *t, const int32_t *ids, int64_t given, int64_t n, struct extent *out,
              struct error *e)
{
    struct text text = {0};
    const int64_t first = ids[0] == tokenizer_opening(t); /* which is not of the text */
    int status = tokenizer_decode(t, ids + first, (size_t)(given - first), TOKENIZER_CONTINUES, &text, e);
    const size_t from = text.length;
    const unsigned flags = given > first ? TOKENIZER_CONTINUES : 0; /* else the scored tokens begin the text */
    if (!status) status = tokenizer_decode(t, ids + given, (size_t)(n - given), flags, &text, e);
    if (!status && text.failed) status = error_set(e, ERROR_IO, "out of memory for a text");
    *out = (struct extent){words_from(text_c(&text), text.length, from), (int64_t)(text.length - from)};
    text_free(&text);
    return status;
}
