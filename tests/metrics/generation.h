/* Metrics of generations on short texts. Settings are written KEY=VALUE, parted by a space. */
#ifndef KERF_TESTS_METRICS_GENERATION_H
#define KERF_TESTS_METRICS_GENERATION_H

#include "tests/metrics/close.h"

#include "metrics/metric.h"

#include <stdio.h>
#include <string.h>

static inline struct measure measure_with(const char *name, const char *settings)
{
    struct measure m;
    struct error e;
    char list[128], *rest = list, *key;
    snprintf(list, sizeof list, "%s", settings);
    assert_ok(measure_open(&m, name, OUTCOME_GENERATION, &e), &e);
    while ((key = strsep(&rest, " ")) && *key) {
        char *value = strchr(key, '=');
        assert_non_null(value);
        *value = 0;
        assert_ok(measure_set(&m, key, value + 1, &e), &e);
    }
    return m;
}

static inline void count_text(const struct measure *m, const char *text, const char *const *references, size_t n,
                              double *stats)
{
    const struct outcome o = {.kind = OUTCOME_GENERATION, .text = text, .references = references, .n_references = n};
    struct error e;
    assert_ok(measure_accumulate(m, &o, stats, &e), &e);
}

static inline double score_text(const char *name, const char *settings, const char *text, const char *reference)
{
    const struct measure m = measure_with(name, settings);
    double stats[METRIC_WIDTH];
    count_text(&m, text, &reference, 1, stats);
    return measure_value(&m, stats, 1);
}

static inline void assert_signature(const char *name, const char *settings, size_t n_references, const char *signature)
{
    const struct measure m = measure_with(name, settings);
    struct text t = {0};
    measure_signature(&m, n_references, &t);
    assert_string_equal(text_c(&t), signature);
    text_free(&t);
}

static inline void assert_refused(const char *name, const char *key, const char *value)
{
    struct measure m = measure_with(name, "");
    struct error e;
    assert_error(measure_set(&m, key, value, &e), &e, ERROR_INPUT, key);
}

#endif
