/* Keys of a suite: what stands before the answer, and what the answers may be. */
#include "engine/base/memory.h"
#include "suites/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_EXAMPLES = 1000 };

int take_template(struct loading *l, const char *place, const json_t *v, struct template *t)
{
    const char *s = json_string_value(v);
    if (!s) return yaml_file_error(&l->y, l->e, place, "must be a string (quoted, where it looks like something else)");
    struct error x = {0};
    return template_parse(t, s, "template", &x) ? yaml_file_pass(&l->y, l->e, place, &x) : 0;
}

/* A template, or the index of a choice that is the same in every document. */
static int take_template_or_index(struct loading *l, const char *place, const json_t *v, struct template *t)
{
    if (l->s->kind != OUTCOME_CHOICE || !json_is_integer(v)) return take_template(l, place, v, t);
    char digits[32];
    snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    return template_parse(t, digits, place, l->e);
}

int take_description(struct loading *l, const char *place, const json_t *v)
{
    return take_template(l, place, v, &l->s->description);
}

int take_text(struct loading *l, const char *place, const json_t *v)
{
    if (l->s->kind == OUTCOME_ROLLING && json_string_length(v))
        return yaml_file_error(&l->y, l->e, place,
                               "must be \"\" for loglikelihood_rolling: doc_to_target is the text that is scored");
    return take_template(l, place, v, &l->s->text);
}

int take_target(struct loading *l, const char *place, const json_t *v)
{
    return take_template_or_index(l, place, v, &l->s->target);
}

int take_counted(struct loading *l, const char *place, const json_t *v)
{
    if (l->s->protocol != PROTOCOL_ROLLING)
        return yaml_file_error(&l->y, l->e, place, "does not belong to protocol %s, whose windows are counted",
                               protocol_name(l->s->protocol));
    return take_template(l, place, v, &l->s->counted);
}

int take_choices(struct loading *l, const char *place, const json_t *v)
{
    struct suite *s = l->s;
    if (json_is_string(v)) {
        int status = take_template(l, place, v, &s->choice_field);
        if (status) return status;
        return s->choice_field.n_parts == 1
                   ? 0
                   : yaml_file_error(&l->y, l->e, place,
                                     "must be a list of choices, or \"{{field}}\" with the field that has them");
    }
    size_t n = json_array_size(v);
    if (n < 2)
        return yaml_file_error(&l->y, l->e, place, "must be a list of at least 2 choices, or a field that has them");
    if (!(s->choices = memory_new(n, sizeof *s->choices, "choices", l->e))) return ERROR_IO;
    for (size_t i = 0; i < n; i++) {
        char inner[64];
        snprintf(inner, sizeof inner, "%s[%zu]", place, i);
        int status = take_template(l, inner, json_array_get(v, i), &s->choices[i]);
        if (status) return status;
        s->n_choices++;
    }
    return 0;
}

int take_delimiter(struct loading *l, const char *place, const json_t *v)
{
    return take_string(l, place, v, &l->s->delimiter);
}

/* --- examples --- */

int take_fewshot_count(struct loading *l, const char *place, const json_t *v)
{
    int64_t n;
    int status = take_integer(l, place, v, 0, MOST_EXAMPLES, &n);
    if (!status) l->s->fewshot.n = (int)n;
    return status;
}

int take_fewshot_delimiter(struct loading *l, const char *place, const json_t *v)
{
    return take_string(l, place, v, &l->s->fewshot.delimiter);
}

static int take_sampler(struct loading *l, const char *place, const json_t *v)
{
    const char *name = json_string_value(v);
    if (!name || (strcmp(name, "default") != 0 && strcmp(name, "first_n") != 0))
        return yaml_file_error(&l->y, l->e, place, "must be default (a random draw) or first_n");
    l->s->fewshot.first = *name == 'f';
    return 0;
}

static int take_seed(struct loading *l, const char *place, const json_t *v)
{
    int64_t seed;
    int status = take_integer(l, place, v, 0, INT64_MAX, &seed);
    if (!status) l->s->fewshot.seed = (uint64_t)seed;
    return status;
}

static int take_fewshot_path(struct loading *l, const char *place, const json_t *v)
{
    const char *name = json_string_value(v);
    if (!name || !*name) return yaml_file_error(&l->y, l->e, place, "must be the path of a data file");
    return find_data(l, place, name, &l->s->fewshot.data_path);
}

static int take_samples(struct loading *l, const char *place, const json_t *v)
{
    size_t n = json_array_size(v), good = 0;
    while (good < n && json_is_object(json_array_get(v, good))) good++;
    if (!n || good < n) return yaml_file_error(&l->y, l->e, place, "must be a list of documents (field: value)");
    if (l->s->fewshot.data_path)
        return yaml_file_error(&l->y, l->e, place, "examples come from samples or from dataset_path, not from both");
    l->s->fewshot.samples = (json_t *)(uintptr_t)v;
    return 0;
}

int take_fewshot_config(struct loading *l, const char *place, const json_t *v)
{
    static const struct {
        const char *name;
        take_key take;
    } inner[] = {
        {"sampler", take_sampler}, {"seed", take_seed}, {"dataset_path", take_fewshot_path}, {"samples", take_samples}};
    enum { INNER = sizeof inner / sizeof *inner };
    const char *names[INNER];
    for (size_t i = 0; i < INNER; i++) names[i] = inner[i].name;
    if (!json_is_object(v)) return yaml_file_error(&l->y, l->e, place, "must be a mapping (key: value)");
    int status = check_keys(l, place, v, names, INNER);
    for (size_t i = 0; i < INNER && !status; i++) {
        char at[64];
        snprintf(at, sizeof at, "%s.%s", place, names[i]);
        const json_t *value = json_object_get(v, names[i]);
        if (value) status = inner[i].take(l, at, value);
    }
    return status;
}
