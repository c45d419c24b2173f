/* BLEU: clipped counts, the closest reference length, smoothing, brevity and options by hand; the worked example of
 * sacreBLEU's README. */
#include "tests/metrics/generation.h"

#include <math.h>

enum { WIDTH = 10 };

static const struct measure *count(const char *text, const char *const *references, size_t n, double *stats)
{
    static struct measure m;
    m = measure_with("bleu", "");
    assert_int_equal(m.metric->width, WIDTH);
    count_text(&m, text, references, n, stats);
    return &m;
}

static double value_of(const char *text, const char *reference) { return score_text("bleu", "", text, reference); }

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

static const struct {
    const char *text, *references[2];
} items[] = {
    {"The dog bit the man.", {"The dog bit the man.", "The dog had bit the man."}},
    {"It wasn't surprising.", {"It was not unexpected.", "No one was surprised."}},
    {"The man had just bitten him.", {"The man bit him first.", "The man had bitten the dog."}},
};

static void test_example(void **state)
{
    (void)state;
    double stats[3 * WIDTH], sums[WIDTH] = {0};
    const struct measure *m = NULL;
    for (size_t i = 0; i < 3; i++) m = count(items[i].text, items[i].references, 2, stats + i * WIDTH);
    for (size_t i = 0; i < 3 * WIDTH; i++) sums[i % WIDTH] += stats[i];
    const double expected[] = {17, 18, 14, 7, 5, 3, 17, 14, 11, 8};
    assert_memory_equal(sums, expected, sizeof expected);
    assert_close(measure_value(m, stats, 3), 48.530827, 1e-6);
}

/* The values that sacreBLEU's own tests have for the example. */
static void test_example_tokenized(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        double value;
    } cases[] = {{"tokenize=13a", 48.530827},
                 {"tokenize=none", 49.1919566},
                 {"tokenize=intl", 43.91623493},
                 {"smooth_method=none", 48.530827}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct measure m = measure_with("bleu", cases[i].settings);
        double stats[3 * WIDTH];
        for (size_t k = 0; k < 3; k++) count_text(&m, items[k].text, items[k].references, 2, stats + k * WIDTH);
        assert_near(measure_value(&m, stats, 3), cases[i].value, 1e-6, cases[i].settings);
    }
}

/* "a b c d" against "a x c y": 2 of 4 words, none of 3, 2 and 1 longer n-grams. */
static void test_smoothing(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        double product; /* of the four precisions */
    } cases[] = {
        {"smooth_method=exp", 2.0 / 4 * 1 / 6 * 1 / 8 * 1 / 8},
        {"smooth_method=exp smooth_value=7", 2.0 / 4 * 1 / 6 * 1 / 8 * 1 / 8},
        {"smooth_method=floor", 2.0 / 4 * 0.1 / 3 * 0.1 / 2 * 0.1 / 1},
        {"smooth_method=floor smooth_value=0.5", 2.0 / 4 * 0.5 / 3 * 0.5 / 2 * 0.5 / 1},
        {"smooth_value=0 smooth_method=floor", 0},
        {"smooth_method=add-k", 2.0 / 4 * 1 / 4 * 1 / 3 * 1 / 2},
        {"smooth_method=add-k smooth_value=2", 2.0 / 4 * 2 / 5 * 2 / 4 * 2 / 3},
        {"smooth_method=none", 0},
        {"smooth_method=none effective_order=true", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_near(score_text("bleu", cases[i].settings, "a b c d", "a x c y"), 100 * pow(cases[i].product, 0.25),
                    1e-10, cases[i].settings);
}

static void test_options(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *text, *reference;
        double value;
    } cases[] = {
        {"lowercase=true", "\u00c4 B c D", "\u00e4 b C d", 100},
        {"lowercase=false", "\u00c4 B c D", "\u00e4 b C d", 0},
        {"effective_order=true", "a b", "a b", 100},
        {"effective_order=false", "a b", "a b", 0},
        {"effective_order=true", "a", "b a", 100 * 0.36787944117144233},   /* brevity 1/e */
        {"effective_order=true", "a b", "b a", 100 * 0.70710678118654752}, /* sqrt(1 * 1/2) */
        {"tokenize=char", "abcd", "a b c d", 100},
        {"tokenize=zh", "\u65e5\u672c\u8a9e\u3002", "\u65e5\u672c\u8a9e\u3002", 100},
        {"tokenize=none", "\u65e5\u672c\u8a9e\u3002", "\u65e5\u672c\u8a9e\u3002", 0},
        {"smooth_method=add-k", "a", "a", 100 * 1}, /* orders without n-grams become k of k */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_near(score_text("bleu", cases[i].settings, cases[i].text, cases[i].reference), cases[i].value, 1e-10,
                    cases[i].settings);
}

/* The mean over the items of their own scores, each of the orders that it has. */
static void test_sentences(void **state)
{
    (void)state;
    const struct measure m = measure_with("sentence_bleu", "");
    static const char *const references[] = {"a b", "b a", "x", ""};
    static const char *const texts[] = {"a b", "a b", "a b", ""};
    double stats[8];
    for (size_t i = 0; i < 4; i++) count_text(&m, texts[i], references + i, 1, stats + 2 * i);
    assert_close(measure_value(&m, stats, 1), 100, 1e-10);
    assert_close(measure_value(&m, stats, 4), 100 * (1 + sqrt(0.5) + 0 + 0) / 4, 1e-10);
    assert_true(score_text("sentence_bleu", "effective_order=false", "a b", "a b") == 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const refused[][2] = {
        {"tokenize", "14"},      {"tokenize", "ja-mecab"}, {"smooth_method", "add"}, {"smooth_value", "-0.1"},
        {"smooth_value", "nan"}, {"lowercase", "1"},       {"effective_order", ""},  {"max_ngram_order", "2"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_refused("bleu", refused[i][0], refused[i][1]);
        assert_refused("sentence_bleu", refused[i][0], refused[i][1]);
    }
}

static void test_signatures(void **state)
{
    (void)state;
    assert_signature("bleu", "", 1, "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0");
    assert_signature("bleu", "lowercase=true tokenize=zh smooth_method=floor", 1,
                     "nrefs:1|case:lc|eff:no|tok:zh|smooth:floor[0.10]|version:2.6.0");
    assert_signature("bleu", "tokenize=intl smooth_method=add-k smooth_value=0.125 effective_order=true", 0,
                     "nrefs:var|case:mixed|eff:yes|tok:intl|smooth:add-k[0.12]|version:2.6.0");
    assert_signature("bleu", "smooth_method=none smooth_value=3", 2,
                     "nrefs:2|case:mixed|eff:no|tok:13a|smooth:none|version:2.6.0");
    assert_signature("sentence_bleu", "", 1, "nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:2.6.0");
    assert_signature("sentence_bleu", "tokenize=char effective_order=false smooth_method=add-k", 1,
                     "nrefs:1|case:mixed|eff:no|tok:char|smooth:add-k[1.00]|version:2.6.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_closest_length),
        cmocka_unit_test(test_smoothing_and_brevity),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_example_tokenized),
        cmocka_unit_test(test_smoothing),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_signatures),
    };
    return cmocka_run_group_tests_name("metrics/bleu", tests, NULL, NULL);
}
