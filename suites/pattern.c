#define PCRE2_CODE_UNIT_WIDTH 8
#include "suites/pattern.h"
#include "engine/base/memory.h"

#include <pcre2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Far beyond what a search in an answer takes, and a fraction of a second. */
enum { MATCH_LIMIT = 500000, DEPTH_LIMIT = 10000, HEAP_KIB = 65536 };

struct pattern {
    pcre2_code *code;
    pcre2_match_context *limits;
    uint32_t groups;
};

int pattern_open(struct pattern **out, const char *source, struct error *e)
{
    struct pattern *p = *out = memory_new(1, sizeof *p, "a regular expression", e);
    if (!p) return ERROR_IO;
    int code = 0;
    PCRE2_SIZE place = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF); /* what "." and "$" are about, whatever PCRE2's build */
        p->code = pcre2_compile((PCRE2_SPTR)source, PCRE2_ZERO_TERMINATED,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &code,
                                &place, context);
        pcre2_compile_context_free(context);
        p->limits = pcre2_match_context_create(NULL);
    }
    if (p->code && p->limits) {
        pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* where it cannot be, the pattern is interpreted */
        pcre2_set_match_limit(p->limits, MATCH_LIMIT);
        pcre2_set_depth_limit(p->limits, DEPTH_LIMIT);
        pcre2_set_heap_limit(p->limits, HEAP_KIB);
        pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &p->groups);
        return 0;
    }
    PCRE2_UCHAR words[160] = "";
    const bool memory = !context || p->code || code == PCRE2_ERROR_HEAP_FAILED;
    if (!memory) pcre2_get_error_message(code, words, sizeof words);
    pattern_close(p);
    *out = NULL;
    if (memory) return error_set(e, ERROR_IO, "out of memory for a regular expression");
    return error_set(e, ERROR_INPUT, "character %zu of the regular expression: %s", (size_t)place, (const char *)words);
}

void pattern_close(struct pattern *p)
{
    if (!p) return;
    pcre2_code_free(p->code);
    pcre2_match_context_free(p->limits);
    free(p);
}

struct search {
    const struct pattern *p;
    const char *s;
    size_t n, from;
    uint32_t options; /* behind an empty match */
    pcre2_match_data *data;
};

/* The next match at or behind `from`: 1, 0, or -1 with an error. */
static int match(const struct search *x, struct error *e)
{
    const PCRE2_SPTR s = (PCRE2_SPTR)x->s;
    int found = pcre2_match(x->p->code, s, x->n, x->from, x->options, x->data, x->p->limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(x->p->code, s, x->n, x->from, x->options | PCRE2_NO_JIT, x->data, x->p->limits);
    if (found >= 0) return 1;
    if (found == PCRE2_ERROR_NOMATCH) return 0;
    PCRE2_UCHAR words[160] = "";
    pcre2_get_error_message(found, words, sizeof words);
    if (found == PCRE2_ERROR_NOMEMORY)
        error_set(e, ERROR_IO, "out of memory for a regular expression");
    else
        error_set(e, ERROR_INPUT, "the regular expression runs away on this answer (%s)", (const char *)words);
    return -1;
}

/* The next of the matches that do not overlap, as Python's re.finditer() has them: an empty match may stand where the
 * one before it ended, and what is not empty may begin where an empty one was. */
static int next_match(struct search *x, size_t *start, size_t *end, struct error *e)
{
    const int found = match(x, e);
    if (found <= 0) return found;
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(x->data);
    *start = ends[0] < ends[1] ? ends[0] : ends[1]; /* \K may put the start behind the end */
    *end = x->from = ends[1] > x->from ? ends[1] : x->from;
    x->options = *start == *end ? PCRE2_NOTEMPTY_ATSTART : 0;
    return 1;
}

static int search_open(struct search *x, const struct pattern *p, const char *s, size_t n, struct error *e)
{
    *x = (struct search){.p = p, .s = s, .n = n, .data = pcre2_match_data_create_from_pattern(p->code, NULL)};
    return x->data ? 0 : error_set(e, ERROR_IO, "out of memory for a regular expression");
}

/* The part of the current match that counts. */
static struct found chosen(const struct search *x)
{
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(x->data);
    const uint32_t groups = x->p->groups;
    for (uint32_t g = groups ? 1 : 0; g <= groups; g++) {
        const size_t start = ends[2 * g], end = ends[2 * g + 1];
        const bool set = start != PCRE2_UNSET && start < end;
        if (set || groups < 2) return (struct found){x->s + (set ? start : 0), set ? end - start : 0};
    }
    return (struct found){NULL, 0};
}

int pattern_find(const struct pattern *p, const char *s, size_t n, int64_t which, struct found *out, struct error *e)
{
    *out = (struct found){NULL, 0};
    for (int round = 0; round < 2; round++) { /* one from the end is counted first */
        struct search x;
        int64_t hits = 0;
        size_t start, end;
        int found = 0, status = search_open(&x, p, s, n, e);
        while (!status && (found = next_match(&x, &start, &end, e)) > 0)
            if (hits++ == which) break;
        if (found > 0) *out = chosen(&x);
        pcre2_match_data_free(x.data);
        if (status || found < 0) return status ? status : e ? (int)e->code : ERROR_INPUT;
        if (found > 0 || which >= 0 || (which += hits) < 0) return 0;
    }
    return 0;
}

int pattern_remove(const struct pattern *p, const char *s, size_t n, struct text *out, struct error *e)
{
    struct search x;
    size_t start, end, done = 0;
    int found = 0, status = search_open(&x, p, s, n, e);
    while (!status && (found = next_match(&x, &start, &end, e)) > 0) {
        if (start > done) text_bytes(out, s + done, start - done);
        done = end;
    }
    text_bytes(out, s + done, n - done);
    pcre2_match_data_free(x.data);
    return status ? status : found < 0 ? e ? (int)e->code : ERROR_INPUT : 0;
}
