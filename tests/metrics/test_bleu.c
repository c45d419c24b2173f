/* BLEU: 13a's words, clipped counts, the closest reference length, smoothing and brevity by hand; the worked example of
 * sacreBLEU's README. */
#include "tests/metrics/close.h"

#include "metrics/metric.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 10 };

static const struct measure *count(const char *text, const char *const *references, size_t n, double *stats)
{
    static struct measure x;
    const struct measure *m = &x;
    x = measure_of(metric_find("bleu", OUTCOME_GENERATION));
    assert_non_null(m);
    assert_int_equal(m->metric->width, WIDTH);
    const struct outcome o = {.kind = OUTCOME_GENERATION, .text = text, .references = references, .n_references = n};
    struct error e;
    assert_ok(measure_accumulate(m, &o, stats, &e), &e);
    return m;
}

static double value_of(const char *text, const char *reference)
{
    double stats[WIDTH];
    const struct measure *m = count(text, &reference, 1, stats);
    return measure_value(m, stats, 1);
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words; /* the words apart, each of them left alone by 13a */
        size_t n;
    } cases[] = {
        {"Hello, world!", "Hello , world !", 4},
        {"It's 3.5% of $1,000.50.", "It's 3.5 % of $ 1,000.50 .", 7},
        {"2-3 well-known", "2 - 3 well-known", 4},
        {"&quot;a&quot; &amp;lt; b", "\" a \" < b", 5},
        {"a<skipped>b", "ab", 1},
        {"foo-\nbar\nbaz", "foobar baz", 2},
        {"foo-\n", "foo-", 1},
        {"U.S.A.", "U . S . A .", 6},
        {"\u00bfQu\u00e9? a\u00f1o.", "\u00bfQu\u00e9 ? a\u00f1o .", 4},
        {"3.a", "3 . a", 3},
        {".5", ". 5", 2},
        {"a..b", "a . . b", 4},
        {"...", ". . .", 3},
        {"x\u00a0y\u3000z\tw", "x y z w", 4},
        {"[a]{b}~`c", "[ a ] { b } ~ ` c", 9},
        {"", "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double s[WIDTH];
        count(cases[i].text, &cases[i].words, 1, s);
        const double n = (double)cases[i].n;
        if (s[0] != n || s[1] != n || s[2] != n) fail_msg("\"%s\": %g %g %g", cases[i].text, s[0], s[1], s[2]);
    }
}

/* Papineni et al. 2002, section 2.1: the second of "the" is the last one that counts. */
static void test_clipping(void **state)
{
    (void)state;
    static const char *const references[] = {"The cat is on the mat", "There is a cat on the mat"};
    double s[WIDTH];
    count("the the the the the the the", references, 2, s);
    const double clipped[] = {7, 7, 1, 0, 0, 0, 7, 6, 5, 4};
    assert_memory_equal(s, clipped, sizeof clipped);
    static const char *const lower[] = {"the cat the the", "the the"};
    count("the the the the the the the", lower, 2, s);
    assert_true(s[2] == 3 && s[3] == 1 && s[4] == 0);
}

static void test_closest_length(void **state)
{
    (void)state;
    static const char *const references[] = {"a b c d e", "", "a b c", "a b c d e f"};
    double s[WIDTH];
    count("w x y z", references, 4, s);
    assert_true(s[1] == 3);
    count("a b c d e f g", references, 4, s);
    assert_true(s[1] == 6);
    static const char *const empty[] = {"", ""};
    count("a", empty, 2, s);
    assert_true(s[0] == 1 && s[1] == 0);
}

static void test_smoothing_and_brevity(void **state)
{
    (void)state;
    assert_close(value_of("a b c d", "a b c d"), 100, 1e-12);
    assert_close(value_of("a b c d", "a x c y"), 100 * pow(2.0 / 4 / (2 * 3) / (4 * 2) / (8 * 1), 0.25), 1e-12);
    assert_close(value_of("this is a test", "this is a fest"), 100 * pow(0.75 * 2 / 3 / 2 / 2, 0.25), 1e-12);
    assert_close(value_of("a b c d", "a b c d e f"), 100 * exp(1 - 6.0 / 4), 1e-12);
    assert_true(value_of("a b c d", "w x y z") == 0);
    assert_true(value_of("a b c", "a b c") == 0); /* no 4-gram in the whole corpus */
    assert_true(value_of("", "a b c d") == 0);
    assert_true(isnan(value_of("", "")));
}

static void test_example(void **state)
{
    (void)state;
    static const struct {
        const char *text, *references[2];
    } items[] = {
        {"The dog bit the man.", {"The dog bit the man.", "The dog had bit the man."}},
        {"It wasn't surprising.", {"It was not unexpected.", "No one was surprised."}},
        {"The man had just bitten him.", {"The man bit him first.", "The man had bitten the dog."}},
    };
    double stats[3 * WIDTH], sums[WIDTH] = {0};
    const struct measure *m = NULL;
    for (size_t i = 0; i < 3; i++) m = count(items[i].text, items[i].references, 2, stats + i * WIDTH);
    for (size_t i = 0; i < 3 * WIDTH; i++) sums[i % WIDTH] += stats[i];
    const double expected[] = {17, 18, 14, 7, 5, 3, 17, 14, 11, 8};
    assert_memory_equal(sums, expected, sizeof expected);
    assert_close(measure_value(m, stats, 3), 48.530827, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),          cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_closest_length), cmocka_unit_test(test_smoothing_and_brevity),
        cmocka_unit_test(test_example),
    };
    return cmocka_run_group_tests_name("metrics/bleu", tests, NULL, NULL);
}
