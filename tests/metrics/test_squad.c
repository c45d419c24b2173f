/* SQuAD: what the normalisation makes equal, and the overlap of the bags of words. */
#include "tests/metrics/close.h"

#include "metrics/metric.h"

static double value_of(const char *name, const char *text, const char *const *references, size_t n)
{
    struct measure m;
    struct error e;
    assert_ok(measure_open(&m, name, OUTCOME_GENERATION, &e), &e);
    if (*name == 'e') assert_ok(measure_set(&m, "normalize", "squad", &e), &e);
    const struct outcome o = {.kind = OUTCOME_GENERATION, .text = text, .references = references, .n_references = n};
    double stats[2];
    assert_ok(measure_accumulate(&m, &o, stats, &e), &e);
    assert_true(stats[1] == 1);
    const double value = measure_value(&m, stats, 1);
    measure_close(&m);
    return value;
}

static void test_pairs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reference;
        double exact, f1;
    } cases[] = {
        {"The Eiffel Tower!", "eiffel  tower", 1, 1},
        {"a cat sat", "cat sat down", 0, 0.8},
        {"cat cat", "the cat", 0, 2.0 / 3},
        {"cat cat dog", "dog cat cat", 0, 1},
        {"U.S.", "US", 1, 1},
        {"well-known", "wellknown", 1, 1},
        {"a_b", "ab", 1, 1},
        {"snake_the_case", "snakethecase", 1, 1},
        {"Theatre and Anna", "atre and na", 0, 1.0 / 3},
        {"", "x", 0, 0},
        {"an", "the a", 1, 0},
        /* SQuAD 2.0: the empty reference is that of a question without an answer. */
        {"", "", 1, 1},
        {"the.", "", 1, 1},
        {"unknown", "", 0, 0},
        /* Articles are found after the punctuation is gone, and only ASCII's goes. */
        {"the-cat", "thecat", 1, 1},
        {"the-cat", "cat", 0, 0},
        {"\u201cthe\u201d cat", "\u201c \u201d cat", 1, 1},
        /* Word boundaries are Unicode's: a letter or a number joins a word, a combining mark does not. */
        {"\u00e9a b", "\u00e9 b", 0, 0.5},
        {"the\u00b2 b", "\u00b2 b", 0, 0.5},
        {"the\u0301 b", "\u0301 b", 1, 1},
        {"a\u65e5", "\u65e5", 0, 0},
        /* White space and case are Unicode's. */
        {"x\u00a0y\u3000z", "x y z", 1, 1},
        {"\u00c9COLE \u0414\u0410", "\u00e9cole \u0434\u0430", 1, 1},
        {"\u0130stanbul", "i\u0307stanbul", 1, 1},
        {"\u039f\u0394\u039f\u03a3 \u03a3\u0391\u03a3", "\u03bf\u03b4\u03bf\u03c2 \u03c3\u03b1\u03c2", 1, 1},
        {"\u0391\u03a3'\u0391 \u03a3", "\u03b1\u03c3\u03b1 \u03c3", 1, 1},
        /* Bytes that are not UTF-8 are kept. */
        {"\xff the \xc3", "\xff \xc3", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double exact = value_of("exact_match", cases[i].text, &cases[i].reference, 1);
        const double f1 = value_of("f1", cases[i].text, &cases[i].reference, 1);
        if (exact != cases[i].exact || f1 < cases[i].f1 - 1e-12 || f1 > cases[i].f1 + 1e-12)
            fail_msg("\"%s\" against \"%s\": %g %g", cases[i].text, cases[i].reference, exact, f1);
    }
}

static void test_best_reference(void **state)
{
    (void)state;
    static const char *const references[] = {"blue whale", "", "a whale", "the big blue whale"};
    assert_close(value_of("f1", "big whale", references, 4), 0.8, 1e-12);
    assert_true(value_of("exact_match", "Whale.", references, 4) == 1);
    assert_true(value_of("exact_match", "the", references, 4) == 1);
}

static void test_refused(void **state)
{
    (void)state;
    struct error e;
    double stats[2];
    const struct measure x = measure_of(metric_find("f1", OUTCOME_GENERATION)), *m = &x;
    const struct outcome no_reference = {.kind = OUTCOME_GENERATION, .text = "x"};
    assert_error(measure_accumulate(m, &no_reference, stats, &e), &e, ERROR_INPUT, "references");
    const char *const reference = "x";
    const struct outcome no_text = {.kind = OUTCOME_GENERATION, .references = &reference, .n_references = 1};
    assert_error(measure_accumulate(m, &no_text, stats, &e), &e, ERROR_INPUT, "text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_best_reference),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("metrics/squad", tests, NULL, NULL);
}
