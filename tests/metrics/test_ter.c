/* TER: edits and shifts counted by hand, the limits of the search, several references, options, hostile texts. */
#include "tests/metrics/generation.h"

#include <math.h>
#include <stdlib.h>

enum { EDITS, LENGTH, ITEMS };

static double edits(const char *text, const char *reference)
{
    const struct measure m = measure_with("ter", "");
    double stats[3];
    count_text(&m, text, &reference, 1, stats);
    assert_true(stats[ITEMS] == 1);
    return stats[EDITS];
}

static void test_edits(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reference;
        double edits;
    } cases[] = {
        {"a b c d", "a b c d", 0},
        {"x y z", "a b c", 3},
        {"", "a b", 2},
        {"a b", "", 2},
        {"a x c", "a b c", 1},
        {"a c", "a b c", 1},
        {"a b b c", "a b c", 1},
        {"d e f g h a b c", "a b c d e f g h", 1}, /* one shift */
        {"b a", "a b", 1},
        {"c b a", "a b c", 2},
        {"a x b", "b a", 2},       /* a shift and a deletion */
        {"A B", "a b", 0},         /* case does not count */
        {"a. b", "a . b", 2},      /* nor are words cut */
        {"b c x y a", "a b c", 3}, /* shift and two deletions */
        {"1 2 3 4 x y z w", "x y z w 1 2 3 4", 1},
        /* a phrase of 11 words is shifted as two */
        {"a b c d e f g h i j k l m n o p q r s t u v w", "l m n o p q r s t u v w a b c d e f g h i j k", 2},
        {"\xff b", "\xff c", 1},
        {"\x01 \x02", "\x02 \x01", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_near(edits(cases[i].text, cases[i].reference), cases[i].edits, 0, cases[i].text);
}

static void test_value(void **state)
{
    (void)state;
    assert_close(score_text("ter", "", "a x c", "a b c"), 100.0 / 3, 1e-12);
    assert_close(score_text("ter", "", "a b c d", "x"), 400, 1e-12);
    assert_true(score_text("ter", "", "a b", "") == 100); /* as sacreBLEU has it where no reference has a word */
    assert_true(score_text("ter", "", "", "") == 0);
    assert_true(isnan(measure_value(&(struct measure){.metric = metric_find("ter", OUTCOME_GENERATION)}, NULL, 0)));
    assert_true(metric_find("ter", OUTCOME_GENERATION)->better == BETTER_LOWER);
}

/* The fewest edits to any of them, by their mean length; empty ones do not count; over items both are summed. */
static void test_references(void **state)
{
    (void)state;
    static const char *const references[] = {"a b c d e f", "", "a b", "x y z w"};
    const struct measure m = measure_with("ter", "");
    double stats[6];
    count_text(&m, "a b x", references, 4, stats);
    assert_true(stats[EDITS] == 1 && stats[LENGTH] == 4);
    count_text(&m, "q", references + 2, 1, stats + 3);
    assert_close(measure_value(&m, stats, 2), 100 * (1 + 2.0) / (4 + 2), 1e-12);
}

static void test_options(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *text, *reference;
        double value;
    } cases[] = {
        {"", "a.", "a", 100},
        {"no_punct=true", "a.", "A", 0},
        {"normalized=true", "a.", "a", 100},
        {"normalized=true", "a.", "a .", 0},
        {"case_sensitive=true", "A b", "a b", 50},
        {"asian_support=true", "\u6211\u7231", "\u6211", 100},
        {"normalized=true asian_support=true", "\u6211\u7231", "\u6211\u4f60", 50},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_near(score_text("ter", cases[i].settings, cases[i].text, cases[i].reference), cases[i].value, 1e-12,
                    cases[i].settings);
    assert_refused("ter", "normalized", "1");
    assert_refused("ter", "tokenize", "13a");
}

static void test_signatures(void **state)
{
    (void)state;
    assert_signature("ter", "", 1, "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2.6.0");
    assert_signature("ter", "case_sensitive=true normalized=true no_punct=true asian_support=true", 0,
                     "nrefs:var|case:mixed|tok:tercom|norm:yes|punct:no|asian:yes|version:2.6.0");
}

/* n words from a linear congruential generator, of `kinds` kinds. */
static char *words(size_t n, uint32_t kinds, uint32_t seed)
{
    char *s = test_malloc(8 * n + 1), *at = s;
    *s = 0;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        at += sprintf(at, "%u ", (seed >> 16) % kinds);
    }
    return s;
}

/* Values of a plain search without the shortcuts of this one, in the same order of tries: long texts go outside the
 * beam, reach 1000 tries, or differ much in length. */
static void test_search(void **state)
{
    (void)state;
    static const struct {
        size_t text, reference;
        uint32_t kinds;
        double edits;
    } cases[] = {{40, 40, 3, 19},  {60, 55, 10, 43},    {120, 110, 50, 112}, {90, 150, 4, 79}, {3, 200, 5, 197},
                 {200, 3, 5, 197}, {300, 300, 40, 281}, {2, 140, 2, 138},    {70, 70, 100, 70}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = words(cases[i].text, cases[i].kinds, 1), *reference = words(cases[i].reference, cases[i].kinds, 2);
        char what[64];
        snprintf(what, sizeof what, "%zu and %zu words of %u kinds", cases[i].text, cases[i].reference, cases[i].kinds);
        assert_near(edits(text, reference), cases[i].edits, 0, what);
        test_free(text);
        test_free(reference);
    }
}

/* As long as a text may be, time and memory grow with its length only. */
static void test_long(void **state)
{
    (void)state;
    const size_t n = test_items(10000);
    char *a = words(n, 1, 1), *b = words(n, 1000000, 2), *c = words(n, 1000000, 3);
    assert_true(edits(a, a) == 0);
    assert_true(edits(b, b) == 0);
    assert_true(edits(b, "1 2 3") >= (double)n - 3);
    assert_true(edits("1 2 3", b) >= (double)n - 3);
    assert_in_range((size_t)edits(b, c), n / 2, n);
    test_free(a);
    test_free(b);
    test_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edits),   cmocka_unit_test(test_value),  cmocka_unit_test(test_references),
        cmocka_unit_test(test_options), cmocka_unit_test(test_search), cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests_name("metrics/ter", tests, NULL, NULL);
}
