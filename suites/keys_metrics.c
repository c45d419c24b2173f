/* Keys of a suite: what is measured. */
#include "engine/base/memory.h"
#include "suites/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What lm-evaluation-harness calls the way from items to the value. */
static const char *aggregation_name(const struct metric *m)
{
    static const struct {
        const char *metric, *name;
    } others[] = {{"word_perplexity", "weighted_perplexity"},
                  {"byte_perplexity", "weighted_perplexity"},
                  {"mcc", "matthews_corrcoef"}};
    if (m->is_mean) return "mean";
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(m->name, others[i].metric) == 0) return others[i].name;
    return m->name;
}

/* Keys that say what the metric does anyway; *known is false for others. */
static int check_remark(struct loading *l, const char *place, const struct metric *m, const char *key, const json_t *v,
                        bool *known)
{
    *known = true;
    if (strcmp(key, "metric") == 0) return 0;
    if (strcmp(key, "aggregation") == 0) {
        const char *name = json_string_value(v), *due = aggregation_name(m);
        return name && strcmp(name, due) == 0
                   ? 0
                   : yaml_file_error(&l->y, l->e, place, "%s is aggregated by %s alone", m->name, due);
    }
    if (strcmp(key, "higher_is_better") == 0) {
        bool higher = m->better == BETTER_HIGHER;
        return json_is_boolean(v) && json_is_true(v) == higher
                   ? 0
                   : yaml_file_error(&l->y, l->e, place, "of %s the %s is better", m->name,
                                     higher ? "higher" : "lower");
    }
    *known = false;
    return 0;
}

/* An option of a metric; a list is given entry by entry. */
static int take_setting(struct loading *l, const char *place, struct measure *m, const char *key, const json_t *v)
{
    if (json_is_array(v)) {
        int status = 0;
        for (size_t i = 0; !status && i < json_array_size(v); i++)
            status = take_setting(l, place, m, key, json_array_get(v, i));
        return status;
    }
    char *other;
    const char *value = setting_value(v, &other, l->e);
    struct error x = {0};
    if (!value) return ERROR_IO;
    int status = measure_set(m, key, value, &x);
    free(other);
    return status ? setting_error(l, place, key, &x) : 0;
}

static int take_settings(struct loading *l, const char *place, struct measure *m, const json_t *entry)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)entry, key, v)
    {
        char inner[2 * YAML_KEY_BYTES];
        bool known;
        snprintf(inner, sizeof inner, "%s.%s", place, key);
        int status = check_remark(l, inner, m->metric, key, v, &known);
        if (!status && !known) status = take_setting(l, inner, m, key, v);
        if (status) return status;
    }
    return 0;
}

static char *score_name(const struct suite *s, const char *metric, size_t pipeline, struct error *e)
{
    if (!s->n_pipelines) return memory_string(metric, e);
    struct text t = {0};
    text_printf(&t, "%s,%s", metric, s->pipelines[pipeline].name);
    if (!t.failed) return t.bytes;
    text_free(&t);
    error_set(e, ERROR_IO, "out of memory for a name");
    return NULL;
}

/* A metric for one of the pipelines. */
static int add_score(struct loading *l, const char *place, const char *name, const json_t *entry, size_t pipeline)
{
    struct suite *s = l->s;
    struct score *to = &s->scores[s->n_scores];
    struct error x = {0};
    if (measure_open(&to->measure, name, s->kind, &x)) return yaml_file_pass(&l->y, l->e, place, &x);
    s->n_scores++;
    to->pipeline = pipeline;
    if (!(to->name = score_name(s, name, pipeline, l->e))) return ERROR_IO;
    for (size_t k = 0; k + 1 < s->n_scores; k++)
        if (strcmp(s->scores[k].name, to->name) == 0)
            return yaml_file_error(&l->y, l->e, place, "\"%s\" is there twice", name);
    return take_settings(l, place, &to->measure, entry);
}

int take_metrics(struct loading *l, const char *place, const json_t *v)
{
    struct suite *s = l->s;
    size_t n = json_array_size(v), pipelines = s->n_pipelines ? s->n_pipelines : 1;
    if (!n) return yaml_file_error(&l->y, l->e, place, "must be a list of - metric: NAME");
    if (!(s->scores = memory_new(n * pipelines, sizeof *s->scores, "metrics", l->e))) return ERROR_IO;
    int status = 0;
    for (size_t i = 0; !status && i < n; i++) {
        char at[64];
        snprintf(at, sizeof at, "%s[%zu]", place, i);
        const json_t *entry = json_array_get(v, i);
        const char *name = json_string_value(json_object_get(entry, "metric"));
        if (!json_is_object(entry)) return yaml_file_error(&l->y, l->e, at, "must be a mapping (metric: NAME)");
        if (!name) return yaml_file_error(&l->y, l->e, at, "metric: must be the name of a metric");
        for (size_t p = 0; !status && p < pipelines; p++) status = add_score(l, at, name, entry, p);
    }
    return status;
}
