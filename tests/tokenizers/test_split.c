/* Every pre-split that GGUF names, against what Python's `regex` makes of the models' own patterns (pre_splits.py). */
#include "engine/base/json.h"
#include "tests/tokenizers/small.h"

#include "engine/base/random.h"
#include "engine/tokenizers/expression.h"
#include "engine/tokenizers/split.h"

#include <time.h>

/* Lengths of the words of a text, in bytes; window: what matches see at first, 0 for the usual. */
static json_t *lengths_through(const struct split *s, size_t window, const char *text, size_t n)
{
    struct error e;
    struct split_words w;
    json_t *lengths = json_array();
    assert_ok(split_words_open(&w, s, text, n, &e), &e);
    if (window) expression_match_window(w.match, window);
    for (;;) {
        const char *word;
        size_t length;
        assert_ok(split_words_next(&w, &word, &length, &e), &e);
        if (!word) break;
        assert_true(length > 0);
        json_array_append_new(lengths, json_integer((json_int_t)length));
    }
    split_words_close(&w);
    return lengths;
}

static json_t *lengths_of(const struct split *s, const char *text, size_t n) { return lengths_through(s, 0, text, n); }

static struct split *open_rule(const char *name)
{
    struct error e;
    struct split *s;
    const struct split_rule *rule = split_rule_find(name, strlen(name));
    assert_non_null(rule);
    assert_ok(split_open(&s, rule->stages, split_rule_length(rule), &e), &e);
    return s;
}

static void as_python_cuts(void **state)
{
    (void)state;
    json_t *root = golden("tests/tokenizers/pre_splits.json"), *texts = json_object_get(root, "texts"), *all;
    const char *name;
    json_object_foreach(json_object_get(root, "words"), name, all)
    {
        struct split *s = open_rule(name);
        for (size_t i = 0; i < json_array_size(texts); i++) {
            const json_t *text = json_array_get(texts, i);
            json_t *got = lengths_of(s, json_string_value(text), json_string_length(text));
            if (!json_equal(got, json_array_get(all, i))) {
                char *is = json_dump_text(got, JSON_COMPACT, NULL),
                     *should = json_dump_text(json_array_get(all, i), JSON_COMPACT, NULL);
                fail_msg("%s: \"%s\": %s, not %s", name, json_string_value(text), is, should);
            }
            json_decref(got);
        }
        split_close(s);
    }
    assert_int_equal(json_object_size(json_object_get(root, "words")), 28);
    json_decref(root);
}

/* Each name opens, and keeps every byte. */
static void every_rule_keeps_the_text(void **state)
{
    (void)state;
    struct random r = {4};
    char text[300];
    for (size_t i = 0; split_rule_at(i); i++) {
        struct split *s = open_rule(split_rule_at(i)->name);
        for (int round = 0; round < 40; round++) {
            const size_t n = random_below(&r, sizeof text);
            for (size_t k = 0; k < n; k++)
                text[k] = round % 2 ? (char)random_below(&r, 256) : "aB1 \n'\xC3\xA9."[random_below(&r, 9)];
            json_t *lengths = lengths_of(s, text, n), *length;
            for (size_t window = 1; window < 40; window = 2 * window + 1) {
                json_t *again = lengths_through(s, window, text, n);
                if (!json_equal(again, lengths))
                    fail_msg("%s: through windows of %zu bytes \"%.*s\" is cut otherwise", split_rule_at(i)->name,
                             window, (int)n, text);
                json_decref(again);
            }
            size_t k, sum = 0;
            json_array_foreach(lengths, k, length) sum += (size_t)json_integer_value(length);
            assert_int_equal(sum, n);
            json_decref(lengths);
        }
        split_close(s);
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A million of the same character, and of pairs, is cut in time: nothing is quadratic. */
static void every_rule_is_linear(void **state)
{
    (void)state;
    static const char *const units[] = {" ",  "a",  "A",   "1",        "\n", "'",   "\xC3\xA9", "\xE4\xBD\xA0",
                                        "a ", "1 ", " \n", "\xCC\x81", "aA", "\xFF"};
    enum { SIZE = 200000 };
    char *text = malloc(SIZE);
    const double start = seconds();
    for (size_t i = 0; split_rule_at(i); i++) {
        bool before = false; /* the same stages under another name */
        for (size_t k = 0; k < i; k++) before = before || split_rule_at(k)->stages == split_rule_at(i)->stages;
        struct split *s = before ? NULL : open_rule(split_rule_at(i)->name);
        for (size_t u = 0; s && u < sizeof units / sizeof *units; u++) {
            const size_t n = strlen(units[u]);
            for (size_t k = 0; k < SIZE; k++) text[k] = units[u][k % n];
            text[SIZE - 1] = u % 2 ? 'x' : '!';
            const double begun = seconds();
            json_decref(lengths_of(s, text, SIZE));
            if (seconds() - begun > 2)
                fail_msg("%s: %g s for \"%s\" repeated", split_rule_at(i)->name, seconds() - begun, units[u]);
        }
        split_close(s);
    }
    print_message("%g s\n", seconds() - start);
    free(text);
}

/* A pattern of a file may ask for any work: it gets what is linear in the text, and is refused by name then. */
static void hostile_patterns(void **state)
{
    (void)state;
    static const char *const patterns[] = {"\\s+$",        "(?:a+)+b",    "(\\s*\\s*)*x",    "a(?=.*z)",
                                           "(?=(a|aa)+$)", "a*a*a*a*a*z", "(?:a|\\s|aa)*?z", "(?<![^a]a)(?=a*[^a])"};
    enum { SIZE = 1000000 };
    char *text = malloc(SIZE);
    size_t refused = 0;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        for (const char *c = "a "; *c; c++) {
            struct error e = {0};
            struct split *s;
            struct split_words w;
            const struct split_stage stage = {patterns[i], SPLIT_ISOLATED, false, false};
            const double start = seconds();
            memset(text, *c, SIZE);
            text[SIZE - 1] = '.';
            assert_ok(split_open(&s, &stage, 1, &e), &e);
            assert_ok(split_words_open(&w, s, text, SIZE, &e), &e);
            const char *word = text;
            size_t length;
            int status = 0;
            while (!status && word) status = split_words_next(&w, &word, &length, &e);
            if (status) {
                refused++;
                assert_error(status, &e, ERROR_INPUT, patterns[i]);
            }
            if (seconds() - start > 20) fail_msg("%s: %g s", patterns[i], seconds() - start);
            print_message("%s of '%c': %.2f s%s\n", patterns[i], *c, seconds() - start, status ? ", refused" : "");
            split_words_close(&w);
            split_close(s);
        }
    }
    assert_true(refused >= 4);
    free(text);
}

/* Nor is it had by many short texts: each takes little, all together too much. */
static void hostile_pattern_of_short_texts(void **state)
{
    (void)state;
    struct error e = {0};
    struct split *s;
    const struct split_stage stage = {"(?:a{0,6}a{0,6}a{0,6}a{0,6}){0,4}(?:#|[+])", SPLIT_ISOLATED, false, false};
    const double start = seconds();
    int status = 0, texts = 0;
    assert_ok(split_open(&s, &stage, 1, &e), &e);
    for (; !status && seconds() - start < 60; texts++) {
        struct split_words w;
        const char *word = "";
        size_t length;
        assert_ok(split_words_open(&w, s, "aaaaaaa.", 8, &e), &e);
        while (!status && word) status = split_words_next(&w, &word, &length, &e);
        split_words_close(&w);
    }
    print_message("%d texts in %.2f s\n", texts, seconds() - start);
    assert_true(texts > 4);
    assert_error(status, &e, ERROR_INPUT, "takes too much work");
    split_close(s);
}

static void assert_cut(const char *pattern, enum split_behavior behavior, bool invert, const char *text,
                       const char *wanted)
{
    struct error e;
    struct split *s;
    struct split_words w;
    struct text got = {0};
    const struct split_stage stage = {pattern, behavior, invert, false};
    assert_ok(split_open(&s, &stage, 1, &e), &e);
    assert_ok(split_words_open(&w, s, text, strlen(text), &e), &e);
    for (;;) {
        const char *word;
        size_t n;
        assert_ok(split_words_next(&w, &word, &n, &e), &e);
        if (!word) break;
        if (got.length) text_char(&got, '|');
        text_bytes(&got, word, n);
    }
    assert_string_equal(text_c(&got), wanted);
    text_free(&got);
    split_words_close(&w);
    split_close(s);
}

/* The example of Hugging Face's documentation. */
static void behaviors(void **state)
{
    (void)state;
    const char *text = "the-final--countdown";
    assert_cut("-", SPLIT_ISOLATED, false, text, "the|-|final|-|-|countdown");
    assert_cut("-", SPLIT_REMOVED, false, text, "the|final|countdown");
    assert_cut("-", SPLIT_WITH_PREVIOUS, false, text, "the-|final-|-|countdown");
    assert_cut("-", SPLIT_WITH_NEXT, false, text, "the|-final|-|-countdown");
    assert_cut("-", SPLIT_CONTIGUOUS, false, text, "the|-|final|--|countdown");
    assert_cut("[a-z]+", SPLIT_REMOVED, true, text, "the|final|countdown");
    assert_cut("[a-z]+", SPLIT_ISOLATED, true, text, "the|-|final|--|countdown");
    assert_cut("-", SPLIT_REMOVED, false, "--a-", "a");
    assert_cut("(?=b)", SPLIT_ISOLATED, false, "abab", "a|ba|b");
    assert_cut("(?=(\\d{3})+(?!\\d))", SPLIT_ISOLATED, false, "x1234567y123456", "x1|234|567y|123|456");
}

static void patterns_that_are_refused(void **state)
{
    (void)state;
    static const char *const patterns[] = {"",     "(",           "[a&&b]", "[a[^b]]",  "\\h+",
                                           "\\Qx", "a{99999999}", "[z-a]",  "\\p{Nope}"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct error e;
        struct split *s;
        const struct split_stage stage = {patterns[i], SPLIT_ISOLATED, false, false};
        assert_error(split_open(&s, &stage, 1, &e), &e, ERROR_INPUT, "pattern");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_python_cuts),
        cmocka_unit_test(every_rule_keeps_the_text),
        cmocka_unit_test(every_rule_is_linear),
        cmocka_unit_test(hostile_patterns),
        cmocka_unit_test(hostile_pattern_of_short_texts),
        cmocka_unit_test(behaviors),
        cmocka_unit_test(patterns_that_are_refused),
    };
    return cmocka_run_group_tests_name("tokenizers/split", tests, NULL, NULL);
}
