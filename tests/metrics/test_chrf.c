/* chrF and chrF++ of strings short enough to count by hand; their options and signatures. */
#include "tests/metrics/generation.h"

#include <math.h>

static const struct measure *count(const char *name, const char *text, const char *const *references, size_t n,
                                   double *stats)
{
    static struct measure m;
    m = measure_with(name, "");
    count_text(&m, text, references, n, stats);
    return &m;
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
    double stats[METRIC_WIDTH];
    count("chrf++", "a (a) ?", references, 1, stats);
    /* a(a)? against (a,a).: bigrams "(a" and "a)"; words a ( a) -> "a" "(a" ")" "?" against "(a" "," "a)" "." */
    const double expected[] = {5, 6, 4, 4, 5, 2, 3, 4, 0, 2, 3, 0, 1, 2, 0, 0, 1, 0, 4, 4, 1, 3, 3, 0};
    assert_memory_equal(stats, expected, sizeof expected);
}

static void test_orders_without_reference(void **state)
{
    (void)state;
    static const char *const references[] = {"ab"};
    double stats[METRIC_WIDTH];
    count("chrf", "abcd", references, 1, stats);
    const double expected[] = {4, 2, 2, 3, 1, 1};
    assert_memory_equal(stats, expected, sizeof expected);
    for (size_t i = 6; i < metric_find("chrf", OUTCOME_GENERATION)->width; i++) assert_true(stats[i] == 0);
}

static void test_best_reference(void **state)
{
    (void)state;
    static const char *const references[] = {"xyz", "", "abd", "abc", "abcd"};
    double stats[METRIC_WIDTH];
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
    double stats[2 * METRIC_WIDTH];
    const size_t width = count("chrf", "a", references, 1, stats)->metric->width;
    const struct measure *m = count("chrf", "bb", references + 1, 1, stats + width);
    /* hypotheses 3, references 2, both 1; no bigram in the references: precision 1/3, recall 1/2 */
    assert_close(measure_value(m, stats, 2), 100 * 5.0 / 6 / (4.0 / 3 + 0.5), 1e-12);
}

static double f_score(double precision, double recall, double beta)
{
    return 100 * (1 + beta * beta) * precision * recall / (beta * beta * precision + recall);
}

static void test_options(void **state)
{
    (void)state;
    static const char eps[] = "eps_smoothing=true beta=3";
    const struct {
        const char *name, *settings, *text, *reference;
        double value;
    } cases[] = {
        {"chrf", "beta=1", "ab", "abc", f_score(1, 7.0 / 12, 1)},
        {"chrf", "beta=0.5", "ab", "abc", f_score(1, 7.0 / 12, 0.5)},
        {"chrf", "char_order=1", "ab", "abc", f_score(1, 2.0 / 3, 2)},
        {"chrf", "char_order=1 word_order=1", "ab", "abc", f_score(0.5, 1.0 / 3, 2)},
        {"chrf++", "word_order=0", "a b", "a c", 25},
        {"chrf++", "word_order=1 char_order=1", "a b b", "a c c", 100.0 / 3},
        {"chrf", "lowercase=true", "\u00c4B\u03a3", "\u00e4b\u03c2", 100},
        {"chrf++", "lowercase=true", "Hi!", "hI !", 100},
        /* a, space, b; "a ", " b"; "a b", against ab: 2/3 of 2/2; 0 of both */
        {"chrf", "whitespace=true", "a b", "ab", f_score(1.0 / 3, 0.5, 2)},
        {"chrf", "whitespace=true", "a b", "a b", 100},
        /* with all six orders counted, as in sacreBLEU's own tests */
        {"chrf", eps, "a", "a", 100.0 / 6},
        {"chrf", eps, "aa", "ab", 50.0 / 6},
        {"chrf", eps, "a b c", "abc", 50},
        {"chrf", eps, "", "ref", 0},
        {"chrf", eps, "a", "b", 0},
        {"chrf", eps, "abcdef", "abcdef", 100},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_near(score_text(cases[i].name, cases[i].settings, cases[i].text, cases[i].reference), cases[i].value,
                    1e-10, cases[i].settings);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const refused[][2] = {{"char_order", "0"},    {"char_order", "11"}, {"char_order", "2.5"},
                                             {"word_order", "-1"},   {"word_order", "5"},  {"beta", "0"},
                                             {"whitespace", "yes"},  {"lowercase", ""},    {"beta", "2x"},
                                             {"eps_smoothing", "1"}, {"order", "2"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) assert_refused("chrf", refused[i][0], refused[i][1]);
}

static void test_signatures(void **state)
{
    (void)state;
    assert_signature("chrf", "", 1, "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0");
    assert_signature("chrf++", "lowercase=true", 0, "nrefs:var|case:lc|eff:yes|nc:6|nw:2|space:no|version:2.6.0");
    assert_signature("chrf", "eps_smoothing=true whitespace=true char_order=4 word_order=1", 2,
                     "nrefs:2|case:mixed|eff:no|nc:4|nw:1|space:yes|version:2.6.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_orders_without_reference),
        cmocka_unit_test(test_best_reference),
        cmocka_unit_test(test_corpus),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_signatures),
    };
    return cmocka_run_group_tests_name("metrics/chrf", tests, NULL, NULL);
}
