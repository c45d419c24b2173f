/* The published BLEU and chrF of WMT22 German-English systems, against each reference and both. */
#include "tests/testing.h"

#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "metrics/metric.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 1984 };

struct lines {
    char *data;
    char *line[LINES];
};

static void lines_read(struct lines *l, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "data/wmt22/generaltest2022.de-en.%s.en", name);
    struct file f;
    struct error e;
    assert_ok(file_map(&f, shared_path(path), &e), &e);
    l->data = memory_bytes(f.data, f.size, &e);
    assert_non_null(l->data);
    file_unmap(&f);
    char *rest = l->data;
    for (size_t i = 0; i < LINES; i++) {
        l->line[i] = strsep(&rest, "\n");
        assert_non_null(l->line[i]);
    }
    assert_string_equal(rest, "");
}

/* The published score of a system, `metric` as bleu-A, chrf-all. */
static double published(const char *system, const char *metric)
{
    FILE *f = fopen(shared_path("data/wmt22/scores.tsv"), "r");
    assert_non_null(f);
    char line[256], pair[16], name[64], kind[32];
    double score = NAN, found = NAN;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%15s %63s %*s %*s %31s %lf", pair, name, kind, &score) == 4 && !strcmp(pair, "de-en") &&
            !strcmp(name, system) && !strcmp(kind, metric))
            found = score;
    fclose(f);
    return found;
}

static double corpus_score(const struct measure *m, const struct lines *system, const struct lines *const *references,
                           size_t n_references)
{
    struct error e;
    double *stats = memory_new(LINES, m->metric->width * sizeof *stats, "statistics", &e);
    assert_non_null(stats);
    for (size_t i = 0; i < LINES; i++) {
        const char *texts[2];
        for (size_t r = 0; r < n_references; r++) texts[r] = references[r]->line[i];
        const struct outcome o = {
            .kind = OUTCOME_GENERATION, .text = system->line[i], .references = texts, .n_references = n_references};
        assert_ok(measure_accumulate(m, &o, stats + i * m->metric->width, &e), &e);
    }
    const double value = measure_value(m, stats, LINES);
    free(stats);
    return value;
}

static void test_wmt22(void **state)
{
    (void)state;
    static const char *const systems[] = {"LT22", "Online-A", "Online-B"}, *const names[] = {"bleu", "chrf"};
    shared_path("data/wmt22/scores.tsv");
    struct lines *a = test_malloc(sizeof *a), *b = test_malloc(sizeof *b), *h = test_malloc(sizeof *h);
    lines_read(a, "ref.A");
    lines_read(b, "ref.B");
    const struct {
        const char *name;
        const struct lines *lines[2];
        size_t n;
    } references[] = {{"A", {a}, 1}, {"B", {b}, 1}, {"all", {a, b}, 2}};
    for (size_t s = 0; s < 3; s++) {
        char file[64], metric[32];
        snprintf(file, sizeof file, "hyp.%s", systems[s]);
        lines_read(h, file);
        for (size_t k = 0; k < 2; k++)
            for (size_t r = 0; r < 3; r++) {
                snprintf(metric, sizeof metric, "%s-%s", names[k], references[r].name);
                const struct measure x = measure_of(metric_find(names[k], OUTCOME_GENERATION)), *m = &x;
                const double value = corpus_score(m, h, references[r].lines, references[r].n);
                const double expected = published(systems[s], metric);
                if (!(fabs(value - expected) < 1e-6))
                    fail_msg("%s %s: %.9f, published %.9f", systems[s], metric, value, expected);
            }
        free(h->data);
    }
    free(a->data);
    free(b->data);
    test_free(a);
    test_free(b);
    test_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wmt22)};
    return cmocka_run_group_tests_name("metrics/shared", tests, NULL, NULL);
}
