/* Perplexities of two documents and of given continuations, worked by hand with powers of two. */
#include "tests/metrics/close.h"

#include "metrics/metric.h"

#include <math.h>

static double value_of(const char *name, const struct outcome *o, size_t n)
{
    const struct measure x = measure_of(metric_find(name, o->kind)), *m = &x;
    assert_non_null(m);
    assert_int_equal(m->metric->width, 2);
    assert_int_equal(m->metric->better, BETTER_LOWER);
    double stats[8];
    struct error e;
    for (size_t i = 0; i < n; i++) assert_ok(measure_accumulate(m, &o[i], stats + 2 * i, &e), &e);
    return measure_value(m, stats, n);
}

/* 24 bits over 8 tokens, 4 words, 48 bytes. The mean of the documents' own perplexities would be (2^2 + 2^4) / 2. */
static void test_rolling(void **state)
{
    (void)state;
    const struct outcome o[] = {
        {.kind = OUTCOME_ROLLING, .nll = 8 * log(2), .tokens = 4, .words = 2, .bytes = 24},
        {.kind = OUTCOME_ROLLING, .nll = 16 * log(2), .tokens = 4, .words = 2, .bytes = 24},
    };
    assert_close(value_of("perplexity", o, 2), 8, 1e-12);
    assert_close(value_of("word_perplexity", o, 2), 64, 1e-11);
    assert_close(value_of("byte_perplexity", o, 2), sqrt(2), 1e-12);
    assert_close(value_of("bits_per_byte", o, 2), 0.5, 1e-12);
}

/* The goldens' sums give the goldens' values. */
static void test_published_sums(void **state)
{
    (void)state;
    json_t *g = golden("tests/goldens/goldens-llama.json");
    json_t *s = json_object_get(g, "stories");
    const struct outcome o = {
        .kind = OUTCOME_ROLLING,
        .nll = json_real_value(json_object_get(s, "nll")),
        .tokens = json_integer_value(json_object_get(s, "tokens")),
        .words = json_integer_value(json_object_get(s, "words")),
        .bytes = json_integer_value(json_object_get(s, "bytes")),
    };
    static const char *const names[] = {"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"};
    for (size_t i = 0; i < 4; i++)
        assert_close(value_of(names[i], &o, 1), json_real_value(json_object_get(s, names[i])), 1e-12);
    json_decref(g);
}

static void test_continuations(void **state)
{
    (void)state;
    const struct outcome o[] = {
        {.kind = OUTCOME_LIKELIHOOD, .loglikelihood = -log(2)},
        {.kind = OUTCOME_LIKELIHOOD, .loglikelihood = -log(8)},
    };
    assert_close(value_of("perplexity", o, 2), 4, 1e-12);
}

static void test_refused_and_undefined(void **state)
{
    (void)state;
    struct error e;
    double stats[2];
    const struct measure x = measure_of(metric_find("word_perplexity", OUTCOME_ROLLING)), *m = &x;
    const struct outcome infinite = {.kind = OUTCOME_ROLLING, .nll = INFINITY, .words = 1};
    assert_error(measure_accumulate(m, &infinite, stats, &e), &e, ERROR_NUMBER, "inf");
    const struct outcome negative = {.kind = OUTCOME_ROLLING, .nll = 1, .words = -1};
    assert_error(measure_accumulate(m, &negative, stats, &e), &e, ERROR_INPUT, "words: -1");
    const struct outcome nan = {.kind = OUTCOME_LIKELIHOOD, .loglikelihood = NAN};
    assert_error(
        measure_accumulate(&(struct measure){.metric = metric_find("perplexity", OUTCOME_LIKELIHOOD)}, &nan, stats, &e),
        &e, ERROR_NUMBER, "nan");
    const struct outcome wordless = {.kind = OUTCOME_ROLLING, .nll = 1, .tokens = 1, .bytes = 1};
    assert_true(isnan(value_of("word_perplexity", &wordless, 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rolling),
        cmocka_unit_test(test_published_sums),
        cmocka_unit_test(test_continuations),
        cmocka_unit_test(test_refused_and_undefined),
    };
    return cmocka_run_group_tests_name("metrics/perplexity", tests, NULL, NULL);
}
