/* chrF and chrF++ of strings short enough to count by hand. */
#include "tests/metrics/close.h"

#include "metrics/metric.h"

#include <math.h>

static const struct measure *count(const char *name, const char *text, const char *const *references, size_t n,
                                   double *stats)
{
    static struct measure x;
    const struct measure *m = &x;
    x = measure_of(metric_find(name, OUTCOME_GENERATION));
    assert_non_null(m);
    const struct outcome o = {.kind = OUTCOME_GENERATION, .text = text, .references = references, .n_references = n};
    struct error e;
    assert_ok(measure_accumulate(m, &o, stats, &e), &e);
    return m;
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *reference;
        double value;
    } cases[] = {
        {"chrf", "abcdefg", "hijklmnop", 0},
        {"chrf", "a", "a", 100},
        {"chrf", "aa", "ab", 25}, /* orders 1 and 2: 1/2 and 0, both ways */
        {"chrf", " a b c", "abc\u00a0", 100},
        {"chrf", "", "c", 0},
        /* precision (1 + 1) / 2, recall (2/3 + 1/2) / 2; order 3 is of the reference only */
        {"chrf", "ab", "abc", 100 * 5 * (7.0 / 12) / (4 + 7.0 / 12)},
        {"chrf", "abc", "ab", 100 * 5 * (7.0 / 12) / (4 * 7.0 / 12 + 1)},
        {"chrf", "aaa", "aa", 100 * 5 * (7.0 / 12) / (4 * 7.0 / 12 + 1)},
        {"chrf", "\u65e5\u672c", "\u65e5\u5149", 25}, /* characters, not bytes */
        {"chrf", "Ab", "ab", 25},
        {"chrf++", "a b", "a c", 25},
        {"chrf++", "abcdefg b", "abcdefg b", 100},
        {"chrf++", "hi!", "hi !", 100},
        {"chrf++", "!hi", "! hi", 100},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double stats[METRIC_WIDTH];
        const struct measure *m = count(cases[i].name, cases[i].text, &cases[i].reference, 1, stats);
        const double value = measure_value(m, stats, 1);
        if (!(fabs(value - cases[i].value) < 1e-12))
            fail_msg("%s of \"%s\" against \"%s\": %.17g", cases[i].name, cases[i].text, cases[i].reference, value);
    }
}

/* hypothesis, reference, both; of characters 1 .. 6 and of words 1 and 2. */
static void test_statistics(void **state)
{
    (void)state;
    static const char *const references[] = {"(a, a)."};
    double stats[24];
    count("chrf++", "a (a) ?", references, 1, stats);
    /* a(a)? against (a,a).: bigrams "(a" and "a)"; words a ( a) -> "a" "(a" ")" "?" against "(a" "," "a)" "." */
    const double expected[] = {5, 6, 4, 4, 5, 2, 3, 4, 0, 2, 3, 0, 1, 2, 0, 0, 1, 0, 4, 4, 1, 3, 3, 0};
    assert_memory_equal(stats, expected, sizeof expected);
}

static void test_orders_without_reference(void **state)
{
    (void)state;
    static const char *const references[] = {"ab"};
    double stats[18];
    count("chrf", "abcd", references, 1, stats);
    const double expected[] = {4, 2, 2, 3, 1, 1};
    assert_memory_equal(stats, expected, sizeof expected);
    for (size_t i = 6; i < 18; i++) assert_true(stats[i] == 0);
}

static void test_best_reference(void **state)
{
    (void)state;
    static const char *const references[] = {"xyz", "", "abd", "abc", "abcd"};
    double stats[18];
    const struct measure *m = count("chrf", "abc", references, 5, stats);
    assert_close(measure_value(m, stats, 1), 100, 1e-12);
    static const char *const none[] = {"xyz", "uvwx"};
    count("chrf", "abc", none, 2, stats);
    assert_true(stats[1] == 3); /* both score 0: the first */
    static const char *const empty[] = {""};
    m = count("chrf", "abc", empty, 1, stats);
    assert_true(isnan(measure_value(m, stats, 1)));
}

/* Over a corpus the counts are summed, not the scores. */
static void test_corpus(void **state)
{
    (void)state;
    static const char *const references[] = {"a", "c"};
    double stats[36];
    count("chrf", "a", references, 1, stats);
    const struct measure *m = count("chrf", "bb", references + 1, 1, stats + 18);
    /* hypotheses 3, references 2, both 1; no bigram in the references: precision 1/3, recall 1/2 */
    assert_close(measure_value(m, stats, 2), 100 * 5.0 / 6 / (4.0 / 3 + 0.5), 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_orders_without_reference),
        cmocka_unit_test(test_best_reference),
        cmocka_unit_test(test_corpus),
    };
    return cmocka_run_group_tests_name("metrics/chrf", tests, NULL, NULL);
}
