/* WikiText's files, as documents of a page each: a page begins with its title's line, " = Title = ". The document has
 * `page`, the lines as they are, and `text`, the page as lm-evaluation-harness scores it: with the spaces taken away
 * that WikiText's tokenization put between words and punctuation (lm_eval/tasks/wikitext/preprocess_wikitext.py, whose
 * rules are done here in its order).
 * Source: Merity and others, "Pointer Sentinel Mixture Models", 2016. */
#include "suites/letters.h"
#include "suites/readers/fields.h"
#include "suites/readers/lines.h"

#include <string.h>

/* Takes away the white space inside pairs of marks: "( a )" becomes "(a)". A pair ends at the first closing mark. */
static void tighten(struct text *t, char open, char close)
{
    struct text out = {0};
    const char *at = text_c(t), *end = at + t->length;
    for (const char *first, *last; at < end; at = last + 1) {
        first = memchr(at, open, (size_t)(end - at));
        last = first ? memchr(first + 1, close, (size_t)(end - first) - 1) : NULL;
        if (!last) break;
        const char *inner = first + 1;
        size_t n = (size_t)(last - inner);
        inner = letters_strip(inner, &n, true, true);
        text_bytes(&out, at, (size_t)(first + 1 - at));
        text_bytes(&out, inner, n);
        text_char(&out, close);
    }
    text_bytes(&out, at, (size_t)(end - at));
    out.failed = out.failed || t->failed;
    text_free(t);
    *t = out;
}

static void replace_all(struct text *t, const char *const (*pairs)[2])
{
    for (; (*pairs)[0]; pairs++) text_replace(t, (*pairs)[0], (*pairs)[1]);
}

/* (Its rule for "/' 5/" is left out: it would write the rule's own text into the page, and no page has it.) */
static void detokenize(struct text *t)
{
    static const char *const punctuation[][2] = {
        {"s '", "s'"}, {" @-@ ", "-"}, {" @,@ ", ","}, {" @.@ ", "."}, {" : ", ": "}, {" ; ", "; "},
        {" . ", ". "}, {" ! ", "! "},  {" ? ", "? "},  {" , ", ", "},  {NULL, NULL},
    };
    static const char *const rest[][2] = {
        {"= = = =", "===="}, {"= = =", "==="}, {"= =", "=="}, {" \xC2\xB0 ", "\xC2\xB0"}, {" \n", "\n"}, {"\n ", "\n"},
        {" N ", " 1 "},      {" 's", "'s"},    {NULL, NULL},
    };
    replace_all(t, punctuation);
    tighten(t, '(', ')');
    tighten(t, '[', ']');
    tighten(t, '{', '}');
    tighten(t, '"', '"');
    tighten(t, '\'', '\'');
    replace_all(t, rest);
}

/* " = Title = ", not " = = Section = = ". */
static bool is_title(const char *s, size_t n)
{
    s = letters_strip(s, &n, true, true);
    return n > 3 && strncmp(s, "= ", 2) == 0 && s[2] != '=' && strncmp(s + n - 2, " =", 2) == 0 && s[n - 3] != '=';
}

/* Emits and clears the page gathered so far; what is only white space is none. */
static int flush(struct text *page, reader_emit emit, void *user, struct error *e)
{
    const char *s = text_c(page);
    size_t n = page->length;
    s = letters_strip(s, &n, true, true);
    if (!n && !page->failed) {
        text_clear(page);
        return 0;
    }
    struct text t = {0};
    text_bytes(&t, page->bytes, page->length);
    detokenize(&t);
    json_t *doc = page->failed || t.failed
                      ? NULL
                      : json_pack("{s:s%, s:s%}", "page", page->bytes, page->length, "text", text_c(&t), t.length);
    text_clear(page);
    text_free(&t);
    int status = doc ? emit(user, doc, e) : error_set(e, ERROR_IO, "out of memory for a document");
    json_decref(doc);
    return status;
}

static int wikitext_read(const struct reader_source *source, reader_emit emit, void *user, struct error *e)
{
    struct text page = {0};
    struct lines l;
    bool between = false; /* a newline stands between two lines of a page, and at the end of the file's last one */
    lines_open_all(&l, source);
    while (lines_next(&l, e)) {
        int status = 0;
        if (is_title(l.text, l.length)) {
            status = flush(&page, emit, user, e);
            between = false;
        }
        if (between) text_char(&page, '\n');
        between = true;
        text_bytes(&page, l.text, l.length);
        if (l.at == l.end && source->data[source->size - 1] == '\n') text_char(&page, '\n');
        if (!status && l.at == l.end) status = flush(&page, emit, user, e);
        lines_end(&l, status, e);
    }
    text_free(&page);
    return l.status;
}

const struct reader reader_wikitext = {
    .name = "wikitext",
    .summary = "WikiText, a document a page, as lm-evaluation-harness prepares it",
    .fields = (const char *const[]){"page", "text", NULL},
    .read = wikitext_read,
};
