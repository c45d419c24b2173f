/* Corpus BLEU (Papineni, Roukos, Ward and Zhu 2002) as sacreBLEU 2.6.0 defines it with its defaults (Post 2018): words
 * of mteval-v13a, case kept, 4 orders, counts clipped by the largest count in one reference, brevity penalty against
 * the reference length closest to the hypothesis (of two the shorter), and for orders without a match the exponential
 * smoothing of mteval (Chen and Cherry 2014, method 3). In points, 0 .. 100. */
#include "engine/base/memory.h"
#include "metrics/ngrams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ORDERS = 4, HYPOTHESIS = 0, REFERENCE = 1, MATCHED = 2, TOTAL = MATCHED + ORDERS, WIDTH = TOTAL + ORDERS };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_stop(char c) { return c == '.' || c == ','; }

/* What 13a sets apart wherever it stands: the space and ASCII's punctuation but for ' , - . */
static bool is_apart(char c) { return c == ' ' || (is_ascii_punctuation(c) && !strchr("',-.", c)); }

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
    text_free(t);
    *t = out;
}

/* The four rewriting rules of mteval-v13a, in its order; each sees what the one before wrote, and its matches, of one
 * or two characters from the left, do not overlap. Bytes do for characters: no rule tells a multibyte one from another.
 */
enum rule { RULE_APART, RULE_STOP_AFTER, RULE_STOP_BEFORE, RULE_DASH_AFTER_DIGIT, RULES };

static size_t rule_matches(enum rule rule, const char *s, size_t left)
{
    if (rule == RULE_APART) return is_apart(s[0]);
    if (left < 2) return 0;
    if (rule == RULE_STOP_AFTER) return !is_digit(s[0]) && is_stop(s[1]) ? 2 : 0;
    if (rule == RULE_STOP_BEFORE) return is_stop(s[0]) && !is_digit(s[1]) ? 2 : 0;
    return is_digit(s[0]) && s[1] == '-' ? 2 : 0;
}

static void rewrite(struct text *t, enum rule rule)
{
    struct text out = {.failed = t->failed};
    for (size_t i = 0; i < t->length;) {
        const size_t matched = rule_matches(rule, t->bytes + i, t->length - i);
        const bool space_before = matched && (rule == RULE_APART || rule == RULE_STOP_BEFORE);
        const bool space_after = matched && rule != RULE_STOP_BEFORE;
        if (space_before) text_char(&out, ' ');
        text_char(&out, t->bytes[i++]);
        if (matched == 2) text_char(&out, ' ');
        if (matched == 2) text_char(&out, t->bytes[i++]);
        if (space_after) text_char(&out, ' ');
    }
    text_free(t);
    *t = out;
}

static size_t length_stripped(const char *s)
{
    size_t end = 0, n = strlen(s);
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const size_t size = utf8_decode(s + i, n - i, &c);
        i += size ? size : 1;
        if (!size || !codepoint_is_space(c)) end = i;
    }
    return end;
}

/* The words of a text as 13a cuts them, indexed. */
static int words_13a(struct sequence *s, const char *text, struct error *e)
{
    static const char *const replaced[][2] = {{"<skipped>", ""}, {"-\n", ""},   {"\n", " "},  {"&quot;", "\""},
                                              {"&amp;", "&"},    {"&lt;", "<"}, {"&gt;", ">"}};
    struct text *t = &s->text;
    text_bytes(t, text, length_stripped(text));
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++) replace(t, replaced[i][0], replaced[i][1]);
    struct text padded = {.failed = t->failed};
    text_printf(&padded, " %s ", text_c(t));
    text_free(t);
    *t = padded;
    for (int rule = 0; rule < RULES; rule++) rewrite(t, (enum rule)rule);
    if (t->failed) return error_set(e, ERROR_IO, "out of memory for the words of a text");
    const int status = sequence_words(s, t->bytes, t->length, e);
    return status ? status : sequence_index(s, ORDERS, e);
}

static size_t distance(size_t a, size_t b) { return a > b ? a - b : b - a; }

static void count(const struct sequence *h, struct sequence *references, size_t n, double *stats)
{
    size_t closest = references[0].length;
    for (size_t r = 1; r < n; r++) {
        const size_t length = references[r].length, d = distance(length, h->length);
        const size_t least = distance(closest, h->length);
        if (d < least || (d == least && length < closest)) closest = length;
    }
    stats[HYPOTHESIS] = (double)h->length;
    stats[REFERENCE] = (double)closest;
    for (size_t i = 0; i < ORDERS; i++) {
        stats[MATCHED + i] = (double)sequence_matches(h, references, n, i + 1);
        stats[TOTAL + i] = (double)sequence_grams(h, i + 1);
    }
}

static int accumulate(const struct outcome *o, const void *settings, double *stats, struct error *e)
{
    const char **texts;
    size_t n;
    int status = references_used(o, &texts, &n, e);
    if (status) return status;
    struct sequence hypothesis = {0}, *references = memory_new(n, sizeof *references, "references", e);
    status = references ? words_13a(&hypothesis, o->text, e) : ERROR_IO;
    for (size_t r = 0; !status && r < n; r++) status = words_13a(&references[r], texts[r], e);
    if (!status) count(&hypothesis, references, n, stats);
    sequence_free(&hypothesis);
    sequences_free(references, n);
    free(texts);
    return status;
}

static double finish(const double *sums, const void *settings)
{
    const double hypothesis = sums[HYPOTHESIS], reference = sums[REFERENCE];
    if (hypothesis + reference <= 0) return NAN;
    double logs = 0, smooth = 1;
    bool any = false;
    for (size_t i = 0; i < ORDERS; i++) {
        double matched = sums[MATCHED + i];
        if (matched > 0) any = true;
        if (sums[TOTAL + i] <= 0) return 0;
        if (matched <= 0) matched = 1 / (smooth *= 2);
        logs += log(matched / sums[TOTAL + i]);
    }
    if (!any) return 0;
    const double brevity = hypothesis < reference ? exp(1 - reference / hypothesis) : 1;
    return 100 * brevity * exp(logs / ORDERS);
}

static void signature(const void *settings, size_t n_references, struct text *out)
{
    signature_references(n_references, out);
    text_add(out, "case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0");
}

const struct metric metric_bleu = {
    .name = "bleu",
    .kind = OUTCOME_GENERATION,
    .better = BETTER_HIGHER,
    .width = WIDTH,
    .unit = "%",
    .accumulate = accumulate,
    .finish = finish,
    .signature = signature,
};
