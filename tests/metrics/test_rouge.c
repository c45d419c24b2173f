/* ROUGE: shared words, pairs and subsequences counted by hand, lines, several references, and the choice among longest
 * common subsequences. */
#include "tests/metrics/generation.h"

#include <math.h>
#include <stdlib.h>

static double f_score(double shared, double hypothesis, double reference)
{
    const double precision = shared / hypothesis, recall = shared / reference;
    return 2 * precision * recall / (precision + recall);
}

struct expected {
    const char *text, *reference;
    double value;
};

static void assert_values(const char *name, const struct expected *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_near(score_text(name, "", cases[i].text, cases[i].reference), cases[i].value, 1e-12, cases[i].text);
}

static void test_words(void **state)
{
    (void)state;
    const struct expected cases[] = {
        {"one", "one two three", 0.5},
        {"the cat the", "the the the dog", f_score(2, 3, 4)},
        {"It's 3.5", "it S 3 5", 1},
        {"a_b-c", "a b c", 1},
        {"x", "y", 0},
        {"", "y", 0},
        {"x", "", 0},
        {"", "", 0},
        {"/ !", "x", 0},
        {"na\u00efve", "na ve", 1},          /* other letters part words */
        {"\u212aelvin", "kelvin", 1},        /* but for those whose lower case is one of a-z */
        {"\u65e5\u672c", "\u65e5\u672c", 0}, /* so nothing is left of some languages */
        {"a\xff"
         "b",
         "a b", 1},
        {"a\x01"
         "b",
         "a b", 1},
    };
    assert_values("rouge1", cases, sizeof cases / sizeof *cases);
}

static void test_pairs(void **state)
{
    (void)state;
    const struct expected cases[] = {
        {"one two", "one two three", f_score(1, 1, 2)},
        {"a b a b", "b a b a", f_score(2, 3, 3)},
        {"a b", "b a", 0},
        {"a", "a", 0},
        {"a b", "a", 0},
    };
    assert_values("rouge2", cases, sizeof cases / sizeof *cases);
}

static void test_subsequence(void **state)
{
    (void)state;
    const struct expected cases[] = {
        {"one three", "one two three", f_score(2, 2, 3)},
        {"c b a", "a b c", f_score(1, 3, 3)},
        {"b e c d", "a b c d e", f_score(3, 4, 5)},
        {"a b\nc", "a\nb c", 1}, /* lines do not count */
        {"a b a b a b", "b a b a b a", f_score(5, 6, 6)},
        {"", "a", 0},
        {"x", "a", 0},
    };
    assert_values("rougeL", cases, sizeof cases / sizeof *cases);
}

static void test_lines(void **state)
{
    (void)state;
    const struct expected cases[] = {
        /* Lin 2004, section 3.2: the union of w1 w2 and w1 w3 w5 */
        {"w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5", f_score(4, 10, 5)},
        {"a b\nc", "c\na b", 1},
        {"a\n\n\nb\n", "\na\nb", 1},
        {"a", "a\na", f_score(1, 1, 2)}, /* a word counts no more often than the hypothesis has it */
        {"a a", "a\na", 1},
        {"a\na", "a", f_score(1, 2, 1)},
        {"!\n?", "a\nb", 0},
        {"", "a", 0},
        /* Of the reference's two longest common subsequences with "y x" and "x y" the later words are read out. */
        {"y x", "x y x", f_score(2, 2, 3)},
        {"b a\na c", "a b c a", f_score(4, 4, 4)},
    };
    assert_values("rougeLsum", cases, sizeof cases / sizeof *cases);
}

static void test_references(void **state)
{
    (void)state;
    static const char *const names[] = {"rouge1", "rouge2", "rougeL", "rougeLsum"};
    static const char *const references[] = {"x y", "", "a b", "a b c d"};
    for (size_t i = 0; i < 4; i++) {
        const struct measure m = measure_with(names[i], "use_stemmer=false");
        double stats[4];
        assert_true(m.metric->is_mean);
        count_text(&m, "a b", references, 4, stats);
        count_text(&m, "a b", references, 1, stats + 2);
        assert_true(stats[0] == 1 && stats[1] == 1 && stats[2] == 0 && stats[3] == 1);
        assert_true(measure_value(&m, stats, 2) == 0.5);
        assert_refused(names[i], "use_stemmer", "true");
        assert_signature(names[i], "", 1, "");
    }
}

/* n words of `kinds` kinds, with a new line before every line-th. */
static char *words(size_t n, uint32_t kinds, size_t line, uint32_t seed)
{
    char *s = test_malloc(8 * n + 1), *at = s;
    *s = 0;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        at += sprintf(at, "%c%u", i % line == 0 ? '\n' : ' ', (seed >> 16) % kinds);
    }
    return s;
}

/* Values of the plain table of lengths, for lines of more than 64 words and words more and less frequent. */
static void test_tables(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t text, reference, line;
        uint32_t kinds;
        double value;
    } cases[] = {
        {"rougeL", 64, 65, 999, 2, 0.7441860465116279},      {"rougeL", 300, 200, 999, 3, 0.67200000000000015},
        {"rougeL", 200, 300, 999, 40, 0.23999999999999999},  {"rougeLsum", 300, 200, 70, 3, 0.78799999999999992},
        {"rougeLsum", 200, 300, 9, 12, 0.77199999999999991}, {"rougeLsum", 400, 400, 130, 80, 0.4425},
        {"rougeLsum", 129, 64, 64, 5, 0.52849740932642486}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = words(cases[i].text, cases[i].kinds, cases[i].line, 1);
        char *reference = words(cases[i].reference, cases[i].kinds, cases[i].line, 2);
        assert_near(score_text(cases[i].name, "", text, reference), cases[i].value, 1e-12, cases[i].name);
        test_free(text);
        test_free(reference);
    }
}

/* The table of lengths is bounded: lines that would need more are refused. */
static void test_long(void **state)
{
    (void)state;
    const size_t n = 100000;
    char *a = words(n, 1, n, 1);
    const char *const references[] = {a};
    double stats[2];
    struct error e;
    const struct measure l = measure_with("rougeL", ""), two = measure_with("rouge2", "");
    const struct outcome o = {.kind = OUTCOME_GENERATION, .text = a, .references = references, .n_references = 1};
    assert_error(measure_accumulate(&l, &o, stats, &e), &e, ERROR_INPUT, "100000 words");
    assert_ok(measure_accumulate(&two, &o, stats, &e), &e);
    assert_true(stats[0] == 1);
    assert_close(score_text("rougeL", "", a, "0 1"), f_score(1, n, 2), 1e-12);
    test_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words), cmocka_unit_test(test_pairs),  cmocka_unit_test(test_subsequence),
        cmocka_unit_test(test_lines), cmocka_unit_test(test_tables), cmocka_unit_test(test_references),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests_name("metrics/rouge", tests, NULL, NULL);
}
