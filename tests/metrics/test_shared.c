/* The published BLEU and chrF of WMT22 systems: German-English against each reference and both, English-Chinese. */
#include "tests/metrics/generation.h"

#include "engine/base/file.h"
#include "engine/base/memory.h"

#include <math.h>
#include <stdlib.h>

enum { LINES = 2037 };

struct lines {
    char *data;
    size_t n;
    char *line[LINES];
};

/* `name`: PAIR.hyp.SYSTEM or PAIR.ref.LETTER, and the language's suffix. */
static void lines_read(struct lines *l, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "data/wmt22/generaltest2022.%s", name);
    struct file f;
    struct error e;
    assert_ok(file_map(&f, shared_path(path), &e), &e);
    l->data = memory_bytes(f.data, f.size, &e);
    assert_non_null(l->data);
    file_unmap(&f);
    char *rest = l->data;
    for (l->n = 0; *rest; l->n++) {
        assert_in_range(l->n, 0, LINES - 1);
        l->line[l->n] = strsep(&rest, "\n");
        assert_non_null(rest);
    }
}

/* The published score of a system, `metric` as bleu-A, chrf-all. */
static double published(const char *wanted, const char *system, const char *metric)
{
    FILE *f = fopen(shared_path("data/wmt22/scores.tsv"), "r");
    assert_non_null(f);
    char line[256], pair[16], name[64], kind[32];
    double score = NAN, found = NAN;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%15s %63s %*s %*s %31s %lf", pair, name, kind, &score) == 4 && !strcmp(pair, wanted) &&
            !strcmp(name, system) && !strcmp(kind, metric))
            found = score;
    fclose(f);
    return found;
}

static double corpus_score(const struct measure *m, const struct lines *system, const struct lines *const *references,
                           size_t n_references)
{
    struct error e;
    double *stats = memory_new(system->n, m->metric->width * sizeof *stats, "statistics", &e);
    assert_non_null(stats);
    for (size_t i = 0; i < system->n; i++) {
        const char *texts[2];
        for (size_t r = 0; r < n_references; r++) assert_int_equal(references[r]->n, system->n);
        for (size_t r = 0; r < n_references; r++) texts[r] = references[r]->line[i];
        const struct outcome o = {
            .kind = OUTCOME_GENERATION, .text = system->line[i], .references = texts, .n_references = n_references};
        assert_ok(measure_accumulate(m, &o, stats + i * m->metric->width, &e), &e);
    }
    const double value = measure_value(m, stats, system->n);
    free(stats);
    return value;
}

static void assert_published(const char *pair, const char *system, const char *metric, const char *settings,
                             const struct lines *hypothesis, const struct lines *const *references, size_t n,
                             const char *set)
{
    char name[32];
    snprintf(name, sizeof name, "%s-%s", metric, set);
    const struct measure m = measure_with(metric, settings);
    const double value = corpus_score(&m, hypothesis, references, n), expected = published(pair, system, name);
    if (!(fabs(value - expected) < 1e-6))
        fail_msg("%s %s %s: %.9f, published %.9f", pair, system, name, value, expected);
}

static void test_german(void **state)
{
    (void)state;
    static const char *const systems[] = {"LT22", "Online-A", "Online-B"}, *const names[] = {"bleu", "chrf"};
    shared_path("data/wmt22/scores.tsv");
    struct lines *a = test_malloc(sizeof *a), *b = test_malloc(sizeof *b), *h = test_malloc(sizeof *h);
    lines_read(a, "de-en.ref.A.en");
    lines_read(b, "de-en.ref.B.en");
    const struct lines *const both[] = {a, b};
    for (size_t s = 0; s < 3; s++) {
        char file[64];
        snprintf(file, sizeof file, "de-en.hyp.%s.en", systems[s]);
        lines_read(h, file);
        for (size_t k = 0; k < 2; k++) {
            assert_published("de-en", systems[s], names[k], "", h, both, 1, "A");
            assert_published("de-en", systems[s], names[k], "", h, both + 1, 1, "B");
            assert_published("de-en", systems[s], names[k], "", h, both, 2, "all");
        }
        free(h->data);
    }
    free(a->data);
    free(b->data);
    test_free(a);
    test_free(b);
    test_free(h);
}

static void test_chinese(void **state)
{
    (void)state;
    shared_path("data/wmt22/scores.tsv");
    struct lines *a = test_malloc(sizeof *a), *h = test_malloc(sizeof *h);
    lines_read(a, "en-zh.ref.A.zh");
    lines_read(h, "en-zh.hyp.Online-A.zh");
    const struct lines *const references[] = {a};
    assert_published("en-zh", "Online-A", "bleu", "tokenize=zh", h, references, 1, "A");
    assert_published("en-zh", "Online-A", "chrf", "", h, references, 1, "A");
    free(a->data);
    free(h->data);
    test_free(a);
    test_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_german), cmocka_unit_test(test_chinese)};
    return cmocka_run_group_tests_name("metrics/shared", tests, NULL, NULL);
}
