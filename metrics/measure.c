#include "engine/base/suggest.h"
#include "metrics/metric.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct measure measure_of(const struct metric *m) { return (struct measure){.metric = m}; }

int measure_open(struct measure *m, const char *name, enum outcome_kind kind, struct error *e)
{
    enum { MOST = 256 };
    *m = measure_of(metric_find(name, kind));
    if (m->metric) return 0;
    const char *names[MOST];
    size_t n = 0;
    const struct metric *row;
    for (size_t i = 0; n < MOST && (row = metric_at(i)); i++) {
        if (strcmp(row->name, name) == 0)
            return error_set(e, ERROR_INPUT, "\"%.60s\" is a metric of %s, not of %s", name,
                             outcome_kind_name(row->kind), outcome_kind_name(kind));
        if (row->kind == kind) names[n++] = row->name;
    }
    const struct suggestion s = suggest(name, names, n);
    return error_set(e, ERROR_INPUT, "\"%.60s\": no such metric of %s%s", name, outcome_kind_name(kind), s.words);
}

int measure_set(struct measure *m, const char *key, const char *value, struct error *e)
{
    size_t n = 0;
    while (m->metric->options && m->metric->options[n]) n++;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(key, m->metric->options[i])) continue;
        const int status = m->metric->configure(m->settings, key, value, e);
        return status ? error_prefix(e, "%s", key) : 0;
    }
    if (!n) return error_set(e, ERROR_INPUT, "%.60s: the metric %s takes no options", key, m->metric->name);
    const struct suggestion s = suggest(key, m->metric->options, n);
    return error_set(e, ERROR_INPUT, "%.60s: unknown option of the metric %s%s", key, m->metric->name, s.words);
}

void measure_close(struct measure *m)
{
    if (m->metric && m->metric->release) m->metric->release(m->settings);
    *m = (struct measure){0};
}

int measure_accumulate(const struct measure *m, const struct outcome *o, double *stats, struct error *e)
{
    return m->metric->accumulate(o, m->settings, stats, e);
}

int measure_prepare(const struct measure *m, double *stats, size_t n, struct error *e)
{
    return m->metric->prepare ? m->metric->prepare(m->settings, stats, n, e) : 0;
}

double measure_finish(const struct measure *m, const double *sums) { return m->metric->finish(sums, m->settings); }

double measure_value(const struct measure *m, const double *stats, size_t n)
{
    if (n == 0) return NAN;
    const size_t width = m->metric->width;
    double sums[METRIC_WIDTH] = {0};
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < width; c++) sums[c] += stats[i * width + c];
    return measure_finish(m, sums);
}

void measure_signature(const struct measure *m, size_t n_references, struct text *out)
{
    if (m->metric->signature) m->metric->signature(m->settings, n_references, out);
}

int generation_check(const struct outcome *o, struct error *e)
{
    if (!o->text) return error_set(e, ERROR_INPUT, "text: there is none");
    if (!o->n_references) return error_set(e, ERROR_INPUT, "references: there are none");
    return 0;
}

int setting_is_number(const char *value, double least, double most, double *out, struct error *e)
{
    char *end;
    errno = 0;
    const double v = strtod(value, &end);
    if (end == value || *end || errno || !(v >= least && v <= most))
        return error_set(e, ERROR_INPUT, "\"%.60s\" is not a number from %g to %g", value, least, most);
    *out = v;
    return 0;
}

int setting_is_flag(const char *value, bool *out, struct error *e)
{
    *out = strcmp(value, "true") == 0;
    if (*out || strcmp(value, "false") == 0) return 0;
    return error_set(e, ERROR_INPUT, "\"%.60s\" is neither true nor false", value);
}

int setting_is_word(const char *value, const char *const *words, int *index, struct error *e)
{
    struct text all = {0};
    int i = 0;
    while (words[i] && strcmp(words[i], value)) text_printf(&all, "%s%s", i ? ", " : "", words[i]), i++;
    *index = i;
    const int status = words[i] ? 0 : error_set(e, ERROR_INPUT, "\"%.60s\" is none of %s", value, text_c(&all));
    text_free(&all);
    return status;
}
