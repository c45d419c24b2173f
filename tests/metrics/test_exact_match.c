/* What the options of exact_match make equal, in lm-evaluation-harness's order. */
#include "tests/metrics/close.h"

#include "engine/base/memory.h"
#include "metrics/metric.h"

#include <string.h>

/* The options as "key=value", NULL-terminated; 1 where the texts match. */
static double match(const char *const *options, const char *text, const char *const *references, size_t n)
{
    struct measure m;
    struct error e;
    assert_ok(measure_open(&m, "exact_match", OUTCOME_GENERATION, &e), &e);
    for (; *options; options++) {
        char key[32];
        const size_t length = strcspn(*options, "=");
        memcpy(key, *options, length);
        key[length] = '\0';
        assert_ok(measure_set(&m, key, *options + length + 1, &e), &e);
    }
    const struct outcome o = {.kind = OUTCOME_GENERATION, .text = text, .references = references, .n_references = n};
    double stats[2];
    assert_ok(measure_accumulate(&m, &o, stats, &e), &e);
    const double value = measure_value(&m, stats, 1);
    measure_close(&m);
    return value;
}

static void test_options(void **state)
{
    (void)state;
    static const struct {
        const char *options[6];
        const char *text, *reference;
        double value;
    } cases[] = {
        {{NULL}, "Yes", "Yes", 1},
        {{NULL}, "Yes", "yes", 0},
        {{NULL}, "Yes", "Yes ", 0},
        {{NULL}, "", "", 1},
        {{"ignore_case=true"}, "\u00c9COLE", "\u00e9cole", 1},
        {{"ignore_case=false"}, "Yes", "yes", 0},
        {{"ignore_punctuation=true"}, "U.S.A!", "USA", 1},
        {{"ignore_punctuation=true"}, "a\u2014b", "ab", 0},
        {{"ignore_numbers=true"}, "agent 007", "agent 42", 1},
        {{"ignore_numbers=true"}, "x\u0663", "x", 0},
        /* Hugging Face's examples of exact_match */
        {{"regexes_to_ignore=the ", "ignore_case=true", "ignore_punctuation=true"}, "cat?", "the cat", 1},
        {{"regexes_to_ignore=the ", "regexes_to_ignore=yell", "ignore_case=true"}, "YELLING", "yelling", 0},
        {{"regexes_to_ignore=yell", "regexes_to_ignore=YELL", "ignore_case=true"}, "YELLING", "yelling", 1},
        {{"regexes_to_ignore=the ", "regexes_to_ignore=yell"}, "ing", "yelling", 1},
        {{"regexes_to_ignore=YELL", "ignore_case=true"}, "YELLING", "yelling", 0},
        /* as in the harness's gsm8k */
        {{"regexes_to_ignore=,", "regexes_to_ignore=\\$", "regexes_to_ignore=(?s).*#### ", "regexes_to_ignore=\\.$"},
         "So 5 * 3.\n#### $1,015.",
         "1015",
         1},
        /* what one removes the next no longer sees */
        {{"regexes_to_ignore=b", "regexes_to_ignore=ac"}, "abc!", "!", 1},
        {{"regexes_to_ignore=ac", "regexes_to_ignore=b"}, "abc!", "!", 0},
        /* empty matches remove nothing, and hide nothing */
        {{"regexes_to_ignore=x*"}, "axxb", "ab", 1},
        {{"regexes_to_ignore=|a"}, "abab", "bb", 1},
        {{"regexes_to_ignore=$"}, "a", "a", 1},
        {{"regexes_to_ignore=\\b"}, "a b", "a b", 1},
        {{"regexes_to_ignore=.*"}, "all gone", "", 1},
        /* classes are Unicode's, bytes that are no text are never matched */
        {{"regexes_to_ignore=\\w+"}, "\u0416\u0443\u043a!", "!", 1},
        {{"regexes_to_ignore=."},
         "a\xff\xc3"
         "b",
         "\xff\xc3",
         1},
        {{"normalize=squad"}, "The  Cat.", "cat", 1},
        {{"normalize=none"}, "The  Cat.", "cat", 0},
        {{"normalize=squad", "ignore_numbers=true"}, "The 3 cats", "cats", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_near(match(cases[i].options, cases[i].text, &cases[i].reference, 1), cases[i].value, 0, cases[i].text);
}

static void test_one_reference_is_enough(void **state)
{
    (void)state;
    static const char *const none[] = {NULL}, *const references[] = {"one", "two", "two"};
    assert_true(match(none, "two", references, 3) == 1);
    assert_true(match(none, "three", references, 3) == 0);
}

static void test_refused(void **state)
{
    (void)state;
    struct measure m;
    struct error e;
    assert_ok(measure_open(&m, "exact_match", OUTCOME_GENERATION, &e), &e);
    assert_error(measure_set(&m, "regexes_to_ignore", "a(b", &e), &e, ERROR_INPUT, "regexes_to_ignore: \"a(b\": at 3:");
    assert_error(measure_set(&m, "ignore_case", "1", &e), &e, ERROR_INPUT, "ignore_case: \"1\" is neither");
    assert_error(measure_set(&m, "normalize", "squad2", &e), &e, ERROR_INPUT,
                 "normalize: \"squad2\" is none of none, squad");
    assert_error(measure_set(&m, "ignore_cases", "true", &e), &e, ERROR_INPUT, "ignore_case");
    /* more ways to go back than there is patience for */
    assert_ok(measure_set(&m, "regexes_to_ignore", "(a|aa)+[bd]", &e), &e);
    const char *const reference = "x";
    const struct outcome o = {.kind = OUTCOME_GENERATION,
                              .text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac",
                              .references = &reference,
                              .n_references = 1};
    double stats[2];
    assert_error(measure_accumulate(&m, &o, stats, &e), &e, ERROR_INPUT, "regexes_to_ignore: match");
    measure_close(&m);
}

/* Few steps at each of very many places are many steps. */
static void test_steps_of_long_texts(void **state)
{
    (void)state;
    enum { LENGTH = 1000000 };
    struct measure m;
    struct error e;
    char *text = memory_new(LENGTH + 1, 1, "a text", &e);
    memset(text, 'x', LENGTH);
    const char *const reference = text;
    const struct outcome o = {.kind = OUTCOME_GENERATION, .text = text, .references = &reference, .n_references = 1};
    double stats[2];
    assert_ok(measure_open(&m, "exact_match", OUTCOME_GENERATION, &e), &e);
    assert_ok(measure_set(&m, "regexes_to_ignore", "x+$", &e), &e);
    assert_ok(measure_accumulate(&m, &o, stats, &e), &e);
    assert_ok(measure_set(&m, "regexes_to_ignore", "[^x]", &e), &e);
    assert_ok(measure_accumulate(&m, &o, stats, &e), &e);
    measure_close(&m);
    assert_ok(measure_open(&m, "exact_match", OUTCOME_GENERATION, &e), &e);
    assert_ok(measure_set(&m, "regexes_to_ignore", "x*[yz]", &e), &e);
    assert_error(measure_accumulate(&m, &o, stats, &e), &e, ERROR_INPUT, "regexes_to_ignore: match");
    measure_close(&m);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_one_reference_is_enough),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_steps_of_long_texts),
    };
    return cmocka_run_group_tests_name("metrics/exact_match", tests, NULL, NULL);
}
