/* CoNLL's columns: a token a line with its tag, columns separated by a tab or spaces, an empty line after a sentence.
 * The first column is the token, the last its tag. The document is a sentence: `tokens` and `tags` are lists, `text`
 * and `tag_text` the same joined by spaces; a sentence has at most MOST_TOKENS, and LINE_BYTES of them. Lines that begin with -DOCSTART-
 * (CoNLL-2003) are no tokens.
 * Source: Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 Shared Task", 2003. */
#include "suites/letters.h"
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

#include <string.h>

enum { MOST_TOKENS = 100000 }; /* of a sentence; more is a file without empty lines */

struct sentence {
    json_t *tokens, *tags;
    struct text text, tag_text;
};

static int add(json_t *list, struct text *joined, const char *s, size_t n, struct error *e)
{
    if (json_array_size(list)) text_char(joined, ' ');
    text_bytes(joined, s, n);
    return json_array_append_new(list, json_stringn(s, n)) ? error_set(e, ERROR_IO, "out of memory for a document") : 0;
}

static int add_line(struct sentence *x, const char *s, size_t n, struct error *e)
{
    const char *tab = memchr(s, '\t', n), separator = tab ? '\t' : ' ';
    const char *first = memchr(s, separator, n), *last = memrchr(s, separator, n);
    if (memchr(s, '\r', n))
        return error_set(e, ERROR_INPUT, "has a \"\\r\" in it; lines end with \"\\n\" or \"\\r\\n\"");
    if (!first) return error_set(e, ERROR_INPUT, "has one column, where a token and its tag are due");
    size_t token = (size_t)(first - s), tag = n - (size_t)(last + 1 - s);
    if (!token || !tag) return error_set(e, ERROR_INPUT, "%s", token ? "has no tag" : "has no token");
    int status = add(x->tokens, &x->text, s, token, e);
    return status ? status : add(x->tags, &x->tag_text, last + 1, tag, e);
}

/* Emits and clears what is gathered. */
static int flush(struct sentence *x, reader_emit emit, void *user, struct error *e)
{
    if (!json_array_size(x->tokens)) return 0;
    json_t *doc = x->text.failed || x->tag_text.failed
                      ? NULL
                      : json_pack("{s:O, s:O, s:s%, s:s%}", "tokens", x->tokens, "tags", x->tags, "text", x->text.bytes,
                                  x->text.length, "tag_text", x->tag_text.bytes, x->tag_text.length);
    json_decref(x->tokens);
    json_decref(x->tags);
    x->tokens = json_array();
    x->tags = json_array();
    text_clear(&x->text);
    text_clear(&x->tag_text);
    const bool ready = doc && x->tokens && x->tags;
    int status = ready ? emit(user, doc, e) : error_set(e, ERROR_IO, "out of memory for a document");
    json_decref(doc);
    return status;
}

static int one_line(struct sentence *x, const struct lines *l, reader_emit emit, void *user, struct error *e)
{
    static const char mark[] = "\xEF\xBB\xBF", start[] = "-DOCSTART-";
    const char *s = l->text;
    size_t n = l->length;
    s = letters_strip(s, &n, true, true);
    /* a byte order mark alone is what joining files leaves (WNUT 2017) */
    bool nothing = !n || (n == sizeof mark - 1 && memcmp(s, mark, n) == 0) ||
                   (n >= sizeof start - 1 && memcmp(s, start, sizeof start - 1) == 0);
    if (!nothing && json_array_size(x->tokens) == MOST_TOKENS)
        return error_set(e, ERROR_INPUT, "has more than %d tokens before it, and no empty line between", MOST_TOKENS);
    if (!nothing && x->text.length + x->tag_text.length + n > LINE_BYTES)
        return error_set(e, ERROR_INPUT, "is within a sentence of more than %d bytes, the most that one may have",
                         (int)LINE_BYTES);
    int status = nothing ? flush(x, emit, user, e) : add_line(x, s, n, e);
    return status || l->at != l->end ? status : flush(x, emit, user, e);
}

static int conll_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    struct sentence x = {.tokens = json_array(), .tags = json_array()};
    struct lines l;
    lines_open(&l, source);
    while (lines_next(&l, e)) lines_end(&l, one_line(&x, &l, emit, user, e), e);
    json_decref(x.tokens);
    json_decref(x.tags);
    text_free(&x.text);
    text_free(&x.tag_text);
    return l.status;
}

const struct reader reader_conll = {
    .name = "conll",
    .summary = "CoNLL columns: a token and its tag a line, an empty line between sentences",
    .fields = (const char *const[]){"tokens", "tags", "text", "tag_text", NULL},
    .read = conll_read,
};
