#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/tokenizers/expression.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"
#include <pcre2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of all matches of a pattern, whoever's they are. */
struct effort {
    _Atomic int64_t spent; /* nanoseconds, beyond what every match may take */
    _Atomic int64_t bytes; /* matched */
};

struct expression {
    pcre2_code *code;
    struct effort *effort;
    char words[120]; /* the beginning of the pattern, for errors */
};

struct expression_match {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL until one is needed: few matches take more than the thread's has for them */
    size_t window;
    struct effort *effort; /* of the last pattern that took more than every match may; NULL: none did */
    int64_t bytes;         /* matched, that are not counted there yet */
};

enum {
    EXPRESSION_LENGTH_MAX = 8192,
    JIT_STACK_MAX = 16 << 20, /* bytes; what needs more is matched by the interpreter, in its own memory */
    HEAP_MAX = 64 << 10       /* KiB that the interpreter may take */
};

/* A match sees a window of the text and may take some steps, so what it costs is bounded. One that needs more gets more,
 * by and by, and its time counts, of which there is far more than patterns of real models take for hostile texts. It is
 * linear in all the text that the pattern has ever seen, so that none is waited for without end, into however many
 * texts and parts of texts it is cut. */
enum { FIRST_WINDOW = 256, FIRST_STEPS = 64, GROWTH = 4, STEPS_MAX = 1 << 30 };
enum { ALLOWED = 2000000000, ALLOWED_PER_BYTE = 2000 /* nanoseconds */ };

struct translation {
    const char *at, *end;
    struct text *out;
    int depth; /* of classes: a class in a class adds its members */
};

#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"

static const char word_class[] = WORD;
/* PCRE2's own \b knows other word characters. */
static const char boundary[] = "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))";

static void add_class(struct translation *t, const char *members, bool negated)
{
    text_printf(t->out, t->depth ? "%s" : negated ? "[^%s]" : "[%s]", members);
}

/* \uHHHH as \x{HHHH}. */
static int add_codepoint(struct translation *t, struct error *e)
{
    if (t->end - t->at < 4) return error_set(e, ERROR_INPUT, "\\u without four digits");
    text_printf(t->out, "\\x{%.4s}", t->at);
    t->at += 4;
    return 0;
}

static bool is_script(const char *name, size_t n)
{
    char words[48];
    int code;
    PCRE2_SIZE offset;
    snprintf(words, sizeof words, "\\p{sc:%.*s}", (int)n, name);
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)words, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &offset, NULL);
    pcre2_code_free(compiled);
    return compiled;
}

/* \p{Han} is the script: PCRE2 would take in what is also used with it, such as an ideographic full stop. */
static void add_property(struct translation *t, char p)
{
    const char *close = t->at < t->end && *t->at == '{' ? memchr(t->at, '}', (size_t)(t->end - t->at)) : NULL;
    text_printf(t->out, "\\%c", p);
    if (!close || close - t->at < 4 || close - t->at > 30) return;
    const bool negated = t->at[1] == '^';
    const char *name = t->at + 1 + negated;
    if (!is_script(name, (size_t)(close - name))) return;
    text_printf(t->out, "{%ssc:%.*s}", negated ? "^" : "", (int)(close - name), name);
    t->at = close + 1;
}

static int add_escape(struct translation *t, struct error *e)
{
    const char c = *t->at++;
    switch (c) {
    case 's':
        return add_class(t, EXPRESSION_SPACES, false), 0;
    case 'd':
        return text_add(t->out, "\\p{Nd}"), 0;
    case 'D':
        return text_add(t->out, "\\P{Nd}"), 0;
    case 'w':
        return add_class(t, word_class, false), 0;
    case 'S':
    case 'W':
        if (t->depth) return error_set(e, ERROR_INPUT, "\\%c in a class is not supported", c);
        return add_class(t, c == 'S' ? EXPRESSION_SPACES : word_class, true), 0;
    case 'b':
        if (t->depth) return error_set(e, ERROR_INPUT, "\\b in a class is not supported");
        return text_add(t->out, boundary), 0;
    case 'u':
        return add_codepoint(t, e);
    case 'p':
    case 'P':
        return add_property(t, c), 0;
    case 'h':
    case 'H':
    case 'C':
    case 'Q':
    case 'E':
        return error_set(e, ERROR_INPUT, "\\%c is not supported", c);
    default:
        text_char(t->out, '\\');
        text_char(t->out, c);
        return 0;
    }
}

static int add_in_class(struct translation *t, char c, struct error *e)
{
    if (c == '[' && t->at < t->end && *t->at == ':') {
        const char *close = memmem(t->at, (size_t)(t->end - t->at), ":]", 2);
        if (!close) return error_set(e, ERROR_INPUT, "[: without :]");
        text_char(t->out, '[');
        text_bytes(t->out, t->at, (size_t)(close + 2 - t->at));
        t->at = close + 2;
        return 0;
    }
    if (c == '[' && (t->at == t->end || *t->at == '^'))
        return error_set(e, ERROR_INPUT, "a negated class in a class is not supported");
    if (c == '&' && t->at < t->end && *t->at == '&') return error_set(e, ERROR_INPUT, "&& in a class is not supported");
    t->depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (t->depth > 1 || (c == ']' && t->depth == 1)) {
        if (c != '[' && c != ']') text_char(t->out, c);
        return 0;
    }
    text_char(t->out, c);
    return 0;
}

static int translate(const char *words, size_t length, struct text *out, struct error *e)
{
    struct translation t = {words, words + length, out, 0};
    while (t.at < t.end) {
        const char c = *t.at++;
        int status = 0;
        if (c == '\\' && t.at < t.end) {
            status = add_escape(&t, e);
        } else if (t.depth) {
            status = add_in_class(&t, c, e);
        } else {
            text_char(out, c);
            t.depth = c == '[';
            /* a bracket that closes right after the opening one is a member */
            for (int i = 0; i < 2 && t.depth && t.at < t.end && *t.at == "^]"[i]; i++) text_char(out, *t.at++);
        }
        if (status) return status;
    }
    return out->failed ? error_set(e, ERROR_IO, "out of memory for a pattern") : 0;
}

static int compile(struct expression *p, const struct text *words, struct error *e)
{
    int code;
    PCRE2_SIZE offset;
    const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    p->code = pcre2_compile((PCRE2_SPTR)text_c(words), words->length, options, &code, &offset, NULL);
    if (!p->code && code == PCRE2_ERROR_HEAP_FAILED) return error_set(e, ERROR_IO, "out of memory for a pattern");
    if (!p->code) {
        PCRE2_UCHAR why[160] = "";
        pcre2_get_error_message(code, why, sizeof why);
        return error_set(e, ERROR_INPUT, "pattern \"%.*s\": %s at byte %zu",
                         words->length < 200 ? (int)words->length : 200, text_c(words), (const char *)why, offset);
    }
    /* Without a JIT for this processor, matching falls back to the interpreter by itself. */
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
    return 0;
}

int expression_open(struct expression **out, const char *words, size_t length, struct error *e)
{
    if (!length || length > EXPRESSION_LENGTH_MAX)
        return error_set(e, ERROR_INPUT, "a pattern of %zu bytes; 1 to %d are allowed", length, EXPRESSION_LENGTH_MAX);
    struct expression *p = memory_new(1, sizeof *p, "a pattern", e);
    if (p) p->effort = memory_new(1, sizeof *p->effort, "a pattern", e);
    if (!p || !p->effort) {
        expression_close(p);
        return e->code;
    }
    struct text translated = {0};
    snprintf(p->words, sizeof p->words, "%.*s", (int)(length < sizeof p->words ? length : sizeof p->words), words);
    int status = translate(words, length, &translated, e);
    if (status == ERROR_INPUT) error_prefix(e, "pattern \"%.*s\"", length < 200 ? (int)length : 200, words);
    if (!status) status = compile(p, &translated, e);
    text_free(&translated);
    if (status) {
        expression_close(p);
        return status;
    }
    *out = p;
    return 0;
}

void expression_close(struct expression *p)
{
    if (!p) return;
    pcre2_code_free(p->code);
    free(p->effort);
    free(p);
}

int expression_match_open(struct expression_match **out, struct error *e)
{
    struct expression_match *m = memory_new(1, sizeof *m, "matching", e);
    if (!m) return e->code;
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    if (!m->data || !m->context) {
        expression_match_close(m);
        return error_set(e, ERROR_IO, "out of memory for matching");
    }
    m->window = FIRST_WINDOW;
    pcre2_set_heap_limit(m->context, HEAP_MAX);
    *out = m;
    return 0;
}

static int64_t add_to(_Atomic int64_t *sum, int64_t n)
{
    return atomic_fetch_add_explicit(sum, n, memory_order_relaxed) + n;
}

void expression_match_close(struct expression_match *m)
{
    if (!m) return;
    if (m->effort) add_to(&m->effort->bytes, m->bytes);
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    free(m);
}

void expression_match_window(struct expression_match *m, size_t bytes) { m->window = bytes; }

static int64_t time_of_thread(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Counts the time since `start`: false where it is too much. */
static bool may_go_on(struct effort *effort, struct expression_match *m, int64_t start)
{
    const int64_t bytes = add_to(&effort->bytes, m->bytes), spent = add_to(&effort->spent, time_of_thread() - start);
    m->effort = effort;
    m->bytes = 0;
    return spent <= ALLOWED + ALLOWED_PER_BYTE * bytes;
}

static int match_once(const struct expression *p, struct expression_match *m, const char *text, size_t n, size_t from,
                      uint32_t options, uint32_t steps)
{
    pcre2_set_match_limit(m->context, steps);
    int found = pcre2_match(p->code, (PCRE2_SPTR)text, n, from, options, m->data, m->context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT && !m->stack) {
        m->stack = pcre2_jit_stack_create(32768, JIT_STACK_MAX, NULL);
        if (m->stack) pcre2_jit_stack_assign(m->context, NULL, m->stack);
        if (m->stack) found = pcre2_match(p->code, (PCRE2_SPTR)text, n, from, options, m->data, m->context);
    }
    if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
    return pcre2_match(p->code, (PCRE2_SPTR)text, n, from, options | PCRE2_NO_JIT, m->data, m->context);
}

/* Where a window ends that begins at `at`: not within a character. */
static size_t window_end(const char *text, size_t n, size_t at, size_t window)
{
    if (window >= n - at) return n;
    size_t end = at + window;
    while (end < n && ((unsigned char)text[end] & 0xC0) == 0x80) end++;
    return end;
}

static int refuse(const struct expression *p, int code, struct error *e)
{
    if (code == PCRE2_ERROR_NOMEMORY) return error_set(e, ERROR_IO, "out of memory for matching");
    return error_set(e, ERROR_INPUT,
                     "text: the tokenizer's pattern \"%s\" takes too much work or memory (error %d of PCRE2)", p->words,
                     code);
}

/* A match that begins at `at`, whatever it takes. */
static int match_here(const struct expression *p, struct expression_match *m, const char *text, size_t n, size_t at,
                      uint32_t options)
{
    size_t window = m->window;
    uint32_t steps = FIRST_STEPS;
    for (;;) {
        const size_t stop = window_end(text, n, at, window);
        const uint32_t partial = stop < n ? PCRE2_PARTIAL_HARD : 0;
        const int64_t start = time_of_thread();
        const int found = match_once(p, m, text, stop, at, options | PCRE2_ANCHORED | partial, steps);
        if (!may_go_on(p->effort, m, start)) return PCRE2_ERROR_MATCHLIMIT;
        if (found == PCRE2_ERROR_MATCHLIMIT && steps < STEPS_MAX) {
            steps *= GROWTH;
        } else if (found == PCRE2_ERROR_PARTIAL) {
            window *= GROWTH;
            steps = FIRST_STEPS;
        } else {
            return found;
        }
    }
}

int expression_match(const struct expression *p, struct expression_match *m, const char *text, size_t n, size_t from,
                     size_t *begin, size_t *end, struct error *e)
{
    int found = PCRE2_ERROR_NOMATCH;
    for (size_t at = from; found == PCRE2_ERROR_NOMATCH && at <= n;) {
        const size_t stop = window_end(text, n, at, m->window);
        uint32_t options = PCRE2_NO_UTF_CHECK | (at == from ? PCRE2_NOTEMPTY_ATSTART : 0);
        found = match_once(p, m, text, stop, at, options | (stop < n ? PCRE2_PARTIAL_HARD : 0), FIRST_STEPS);
        if (found == PCRE2_ERROR_PARTIAL || found == PCRE2_ERROR_MATCHLIMIT) {
            /* None begins before where it was partial. The places from there on are tried one by one. */
            const size_t place = pcre2_get_ovector_pointer(m->data)[0];
            if (found == PCRE2_ERROR_PARTIAL && place > at && place < n) {
                at = place;
                options &= ~(uint32_t)PCRE2_NOTEMPTY_ATSTART;
            }
            found = match_here(p, m, text, n, at, options);
            at = at < n ? window_end(text, n, at, 1) : n + 1;
        } else {
            at = stop < n ? stop : n + 1;
        }
    }
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) return refuse(p, found, e);
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->data);
    *begin = found < 0 ? n : v[0];
    *end = found < 0 ? n : v[1];
    m->bytes += (int64_t)(*end - from);
    return 0;
}
