/* Every suite, in other batches and by other numbers of threads: the same bits in every sample and every statistic. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "suites/run.h"
#include "tests/testing.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 50, CHUNKED_BYTES = 16000 };

static void run(const struct model *m, const char *suite, int threads, size_t batch, struct suite_result *out)
{
    struct error e;
    int before = omp_get_max_threads();
    struct run_options options = {.limit = test_items(ITEMS), .batch = batch, .resampling = {.resamples = 50}};
    omp_set_num_threads(threads);
    assert_ok(suite_run(m, suite, &options, out, &e), &e);
    omp_set_num_threads(before);
}

static void assert_same(const struct suite_result *a, const struct suite_result *b)
{
    char *x = json_dump_text(a->samples, JSON_REAL_PRECISION(17), NULL),
         *y = json_dump_text(b->samples, JSON_REAL_PRECISION(17), NULL);
    assert_true(x && y);
    assert_string_equal(x, y);
    free(x);
    free(y);
    assert_int_equal(a->n, b->n);
    assert_string_equal(a->fingerprint, b->fingerprint);
    for (size_t i = 0; i < a->suite->n_scores; i++)
        assert_memory_equal(a->stats[i], b->stats[i],
                            a->n * a->suite->scores[i].measure.metric->width * sizeof(double));
    for (size_t i = 0; i < a->suite->n_scores; i++)
        assert_memory_equal(&a->estimates[i], &b->estimates[i], sizeof *a->estimates);
    assert_true(json_equal(json_object_get(a->record, "metrics"), json_object_get(b->record, "metrics")));
    assert_true(json_equal(json_object_get(a->record, "tokens"), json_object_get(b->record, "tokens")));
}

static void assert_suite(const struct model *m, const char *suite)
{
    static const struct {
        int threads;
        size_t batch;
    } ways[] = {{2, 32}, {1, 5}};
    const size_t n_ways = test_items(ITEMS) < ITEMS ? 1 : sizeof ways / sizeof *ways;
    struct suite_result first, other;
    run(m, suite, 1, 1, &first);
    assert_true(first.n > 0);
    for (size_t i = 0; i < n_ways; i++) {
        run(m, suite, ways[i].threads, ways[i].batch, &other);
        assert_same(&first, &other);
        suite_result_free(&other);
    }
    suite_result_free(&first);
}

static void test_suites(void **state)
{
    static const char *const suites[] = {"stories", "endings", "lastword", "questions", "translation", "reviews"};
    struct model *m = model_shipped(*state, NULL);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) assert_suite(m, suites[i]);
    model_close(m);
}

/* Half of the suites each: together all of them in fast math. */
static void test_suites_fast(void **state)
{
    static const struct {
        const char *model, *spec, *suites[3];
    } halves[] = {{"llama", "gguf:q4_k+fast", {"stories", "endings", "questions"}},
                  {"gpt2", "gguf:q8_0+fast", {"lastword", "translation", "reviews"}}};
    for (size_t i = 0; i < 2; i++) {
        if (strcmp(*state, halves[i].model)) continue;
        struct model *m = model_shipped(*state, halves[i].spec);
        for (size_t k = 0; k < 3; k++) assert_suite(m, halves[i].suites[k]);
        model_close(m);
    }
}

/* The rule of llama.cpp has no items to limit: the beginning of its text instead. */
static void test_chunked(void **state)
{
    struct error e;
    struct file text;
    char *folder = folder_temporary();
    assert_ok(file_map(&text, "datasets/millbrook/stories.test.txt", &e), &e);
    assert_true(text.size > CHUNKED_BYTES);
    free(file_put(folder, "text.txt", text.data, test_items(ITEMS) < ITEMS ? CHUNKED_BYTES / 4 : CHUNKED_BYTES));
    file_unmap(&text);
    static const char suite[] = "task: beginning\n"
                                "dataset_path: text.txt\n"
                                "dataset_format: text\n"
                                "output_type: loglikelihood_rolling\n"
                                "doc_to_text: \"\"\n"
                                "doc_to_target: \"{{text}}\"\n"
                                "protocol: chunked\n"
                                "context: 256\n"
                                "metric_list: [{metric: perplexity}]\n";
    char *path = file_put(folder, "beginning.yaml", suite, strlen(suite));
    struct model *m = model_shipped(*state, "gguf:q8_0");
    assert_suite(m, path);
    model_close(m);
    free(path);
    folder_remove(folder);
}

#define BOTH(test)                                                                                                     \
    {#test " llama", test, NULL, NULL, "llama"}, { #test " gpt2", test, NULL, NULL, "gpt2" }

int main(void)
{
    const struct CMUnitTest tests[] = {BOTH(test_suites), BOTH(test_suites_fast), BOTH(test_chunked)};
    return cmocka_run_group_tests_name("suites/identity", tests, NULL, NULL);
}
