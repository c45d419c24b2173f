/* The share of answers that equal a reference once both are prepared. As in lm-evaluation-harness, in this order:
 *   regexes_to_ignore   what these match is removed, one expression after the other
 *   ignore_case         lower case
 *   ignore_punctuation  ASCII punctuation is removed
 *   ignore_numbers      the digits 0 to 9 are removed
 * and then
 *   normalize           none | squad: as SQuAD's exact match (metrics/squad.h)
 * With several references one of them is enough. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/base/memory.h"
#include "metrics/lowercase.h"
#include "metrics/ngrams.h"
#include "metrics/squad.h"

#include <math.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

/* What one match may take to go back, and the steps that all may take in a text: PCRE2 counts them anew at each place
 * where a match may start, so each place gets its share. It does not count how far a repetition goes, only the ways
 * back from it, which therefore all stay (PCRE2_NO_AUTO_POSSESS). A search that goes to the end of the text from every
 * place has enough in texts of 22,000 characters. */
enum { HEAP_KIB = 1 << 16, STEPS = 500000000, STEPS_MOST = 10000000 };

struct exact {
    pcre2_code **ignored; /* [n_ignored] */
    size_t n_ignored, room;
    bool case_too, punctuation_too, numbers_too;
    int normalize;
};
_Static_assert(sizeof(struct exact) <= METRIC_SETTINGS, "the settings fit");

static int add_regex(struct exact *x, const char *pattern, struct error *e)
{
    const int status =
        memory_reserve((void **)&x->ignored, &x->room, x->n_ignored + 1, sizeof *x->ignored, "regexes", e);
    if (status) return status;
    int code;
    size_t at;
    pcre2_code *regex =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NO_AUTO_POSSESS, &code, &at, NULL);
    if (!regex) {
        if (code == PCRE2_ERROR_HEAP_FAILED) return error_set(e, ERROR_IO, "out of memory for a regular expression");
        PCRE2_UCHAR words[128];
        pcre2_get_error_message(code, words, sizeof words);
        return error_set(e, ERROR_INPUT, "\"%.60s\": at %zu: %s", pattern, at, (const char *)words);
    }
    x->ignored[x->n_ignored++] = regex;
    return 0;
}

static int configure(void *settings, const char *key, const char *value, struct error *e)
{
    static const char *const rules[] = {"none", "squad", NULL};
    struct exact *x = settings;
    if (strcmp(key, "normalize") == 0) return setting_is_word(value, rules, &x->normalize, e);
    if (strcmp(key, "ignore_case") == 0) return setting_is_flag(value, &x->case_too, e);
    if (strcmp(key, "ignore_punctuation") == 0) return setting_is_flag(value, &x->punctuation_too, e);
    if (strcmp(key, "ignore_numbers") == 0) return setting_is_flag(value, &x->numbers_too, e);
    return add_regex(x, value, e);
}

static void release(void *settings)
{
    struct exact *x = settings;
    for (size_t i = 0; i < x->n_ignored; i++) pcre2_code_free(x->ignored[i]);
    free(x->ignored);
}

/* One match after the other, as Python's re.sub() finds them; those that are empty would remove nothing. */
static int remove_matches(const pcre2_code *regex, struct text *text, struct error *e)
{
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(regex, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    if (!match || !limits) {
        pcre2_match_data_free(match);
        pcre2_match_context_free(limits);
        return error_set(e, ERROR_IO, "out of memory for a match");
    }
    const size_t steps = STEPS / (text->length + 1);
    pcre2_set_heap_limit(limits, HEAP_KIB);
    pcre2_set_match_limit(limits, steps < STEPS_MOST ? (uint32_t)steps : STEPS_MOST);
    const size_t *span = pcre2_get_ovector_pointer(match);
    struct text rest = {.failed = text->failed};
    size_t at = 0;
    int found;
    while ((found = pcre2_match(regex, (PCRE2_SPTR)text_c(text), text->length, at, PCRE2_NOTEMPTY, match, limits)) >
           0) {
        if (span[0] > at) text_bytes(&rest, text->bytes + at, span[0] - at);
        at = span[1];
    }
    if (at < text->length) text_bytes(&rest, text->bytes + at, text->length - at);
    pcre2_match_data_free(match);
    pcre2_match_context_free(limits);
    text_free(text);
    *text = rest;
    if (found == PCRE2_ERROR_NOMATCH) return 0;
    if (found == PCRE2_ERROR_NOMEMORY) return error_set(e, ERROR_IO, "out of memory for a match");
    PCRE2_UCHAR words[128];
    pcre2_get_error_message(found, words, sizeof words);
    return error_set(e, ERROR_INPUT, "regexes_to_ignore: %s", (const char *)words);
}

static void remove_bytes(struct text *t, bool (*unwanted)(char))
{
    size_t kept = 0;
    for (size_t i = 0; i < t->length; i++)
        if (!unwanted(t->bytes[i])) t->bytes[kept++] = t->bytes[i];
    if (t->bytes) t->bytes[t->length = kept] = '\0';
}

static bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

static int prepare(const struct exact *x, const char *s, struct text *out, struct error *e)
{
    text_add(out, s);
    int status = 0;
    for (size_t i = 0; !status && i < x->n_ignored; i++) status = remove_matches(x->ignored[i], out, e);
    if (x->case_too) {
        struct text lower = {.failed = out->failed};
        lowercase_add(&lower, text_c(out), out->length);
        text_free(out);
        *out = lower;
    }
    if (x->punctuation_too) remove_bytes(out, is_ascii_punctuation);
    if (x->numbers_too) remove_bytes(out, is_ascii_digit);
    if (!status && x->normalize) {
        struct text words = {.failed = out->failed};
        status = squad_normalize(&words, text_c(out), e);
        text_free(out);
        *out = words;
    }
    return !status && out->failed ? error_set(e, ERROR_IO, "out of memory for an answer") : status;
}

static int accumulate(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    int status = generation_check(o, e);
    if (status) return status;
    struct text answer = {0};
    status = prepare(settings, o->text, &answer, e);
    stats[0] = 0;
    stats[1] = 1;
    for (size_t i = 0; !status && i < o->n_references; i++) {
        struct text reference = {0};
        status = prepare(settings, o->references[i], &reference, e);
        if (!status && strcmp(text_c(&answer), text_c(&reference)) == 0) stats[0] = 1;
        text_free(&reference);
    }
    text_free(&answer);
    return status;
}

static double mean(const double *sums, const void *settings) { return sums[1] > 0 ? sums[0] / sums[1] : NAN; }

const struct metric metric_exact_match = {
    .name = "exact_match",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = 2,
    .is_mean = true,
    .unit = "",
    .options = (const char *const[]){"regexes_to_ignore", "ignore_case", "ignore_punctuation", "ignore_numbers",
                                     "normalize", NULL},
    .configure = configure,
    .release = release,
    .accumulate = accumulate,
    .finish = mean,
};
