/* The prompt, the answers and what was right of an item, from its lines in two samples files. What a line does not have,
 * or has in another form, stays empty: only counts are checked (evidence.c). */
#include "reports/evidence_item.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <math.h>
#include <string.h>

static const char *keep(struct describing *d, json_t *string)
{
    if (!json_is_string(string)) return "";
    if (json_array_append(d->texts, string)) return d->failed = true, "";
    return json_string_value(string);
}

static const char *keep_new(struct describing *d, json_t *string)
{
    const char *s = keep(d, string);
    if (!string) d->failed = true;
    json_decref(string);
    return s;
}

/* Part k, 0 the prompt and 1 its continuation, of request i. */
static json_t *argument(const json_t *item, size_t i, size_t k)
{
    return json_array_get(json_array_get(json_object_get(item, "arguments"), i), k);
}

static double likelihood(const json_t *item, size_t i)
{
    const json_t *v = json_array_get(json_array_get(json_object_get(item, "resps"), i), 0);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* Where the prompts of n requests part, at the beginning of a word. */
static size_t parting(const json_t *item, size_t n)
{
    const char *first = json_string_value(argument(item, 0, 0));
    size_t same = first ? strlen(first) : 0;
    for (size_t i = 1; i < n; i++) {
        const char *s = json_string_value(argument(item, i, 0));
        size_t k = 0;
        while (s && k < same && s[k] == first[k]) k++;
        same = k;
    }
    while (same && first[same - 1] != ' ' && first[same - 1] != '\n') same--;
    return same;
}

/* What a log-likelihood is divided by; no tokens are in the samples. */
enum unit { UNIT_NONE, UNIT_CHARACTERS, UNIT_BYTES, UNIT_UNKNOWN };

static enum unit unit_of(const char *metric, bool is_continuation)
{
    static const char *const names[] = {"acc", "acc_norm", "acc_bytes"};
    const size_t n = strcspn(metric, ",");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && strncmp(metric, names[i], n) == 0)
            return i == 0 || is_continuation ? (enum unit)i : UNIT_UNKNOWN;
    return UNIT_UNKNOWN;
}

/* The text of the answer that was chosen, as metrics/acc.c chooses: the first of the best. Whether it was right is known;
 * where nothing more is, it stays empty. */
static const char *chosen(const struct evidence_flip *f, bool after, enum unit unit)
{
    size_t best = f->n_choices, gold = 0;
    double most = -INFINITY;
    for (size_t i = 0; i < f->n_choices; i++) {
        const struct evidence_choice *c = &f->choices[i];
        const size_t bytes = strlen(c->text);
        const size_t length = unit == UNIT_CHARACTERS ? utf8_length(c->text, bytes) : unit == UNIT_BYTES ? bytes : 1;
        const double value = (after ? c->after : c->before) / (double)(length ? length : 1);
        if (value > most) most = value, best = i;
        if (c->right) gold = i;
    }
    if (after == f->gained) return f->choices[gold].text;
    if (f->n_choices == 2) return f->choices[1 - gold].text;
    return unit == UNIT_UNKNOWN || best == f->n_choices || best == gold ? "" : f->choices[best].text;
}

static int describe_choices(struct evidence_flip *f, struct describing *d, const char *metric, const json_t *base,
                            const json_t *candidate, struct error *e)
{
    const size_t n = json_array_size(json_object_get(base, "arguments"));
    const json_t *target = json_object_get(base, "target");
    const json_int_t gold = json_is_integer(target) ? json_integer_value(target) : -1;
    if (gold < 0 || (uint64_t)gold >= n) return 0;
    if (!(f->choices = memory_new(n, sizeof *f->choices, "choices", e))) return ERROR_IO;
    f->n_choices = n;
    /* either continuations of one prompt, or prompts that part before one continuation */
    const bool is_continuation = n < 2 || !json_equal(argument(base, 0, 1), argument(base, 1, 1));
    const size_t skip = is_continuation ? strlen(d->delimiter) : parting(base, n);
    for (size_t i = 0; i < n; i++) {
        const char *text = keep(d, argument(base, i, is_continuation));
        const bool skips = is_continuation ? strncmp(text, d->delimiter, skip) == 0 : strlen(text) >= skip;
        f->choices[i] = (struct evidence_choice){skips ? text + skip : text, likelihood(base, i),
                                                 likelihood(candidate, i), i == (size_t)gold};
    }
    f->target = f->choices[gold].text;
    f->before = chosen(f, false, unit_of(metric, is_continuation));
    f->after = chosen(f, true, unit_of(metric, is_continuation));
    return 0;
}

static const char *describe_likelihood(struct describing *d, const json_t *item, bool is_likeliest)
{
    const char *words = is_likeliest ? "the likeliest" : "not the likeliest";
    return keep_new(d, json_sprintf("%s (p = %.3g)", words, exp(likelihood(item, 0))));
}

/* What was scored of a generated text: filtered by the pipeline that stands behind the metric's comma. */
static const char *scored_text(struct describing *d, const json_t *item, const char *metric)
{
    const char *comma = strchr(metric, ',');
    const json_t *texts = json_object_get(item, "filtered_resps");
    if (json_is_object(texts)) texts = json_object_get(texts, comma ? comma + 1 : metric);
    return keep(d, json_array_get(texts, 0));
}

/* "a | b" where there are several that would be right. */
static const char *target_text(struct describing *d, const json_t *item)
{
    json_t *target = json_object_get(item, "target"), *one;
    if (!json_is_array(target)) return keep(d, target);
    struct text all = {0};
    size_t i;
    json_array_foreach(target, i, one)
    {
        if (i && json_equal(one, json_array_get(target, i - 1))) continue;
        if (all.length) text_add(&all, " | ");
        text_add(&all, json_is_string(one) ? json_string_value(one) : "");
    }
    if (all.failed) d->failed = true;
    const char *s = keep_new(d, json_text(text_c(&all), all.length));
    text_free(&all);
    return s;
}

int evidence_describe(struct evidence_flip *f, struct describing *d, const char *metric, const json_t *base,
                      const json_t *candidate, struct error *e)
{
    f->item = json_integer_value(json_object_get(base, "doc_id"));
    f->prompt = keep(d, argument(base, 0, 0));
    f->target = f->before = f->after = "";
    if (strcmp(d->output_type, "multiple_choice") == 0) return describe_choices(f, d, metric, base, candidate, e);
    f->target = target_text(d, base);
    const bool is_likelihood = strcmp(d->output_type, "loglikelihood") == 0;
    f->before = is_likelihood ? describe_likelihood(d, base, !f->gained) : scored_text(d, base, metric);
    f->after = is_likelihood ? describe_likelihood(d, candidate, f->gained) : scored_text(d, candidate, metric);
    return 0;
}
