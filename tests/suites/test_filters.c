#include "tests/testing.h"

#include "engine/base/text.h"
#include "suites/filters.h"
#include "suites/pattern.h"

#include <stdlib.h>
#include <string.h>

/* A pipeline of these steps over these answers, each given as JSON; the answers come back as JSON. */
static int apply(const char *steps, const char *document, const char *answers, struct text *out, struct error *e)
{
    char place[FILTER_PLACE];
    struct pipeline p;
    struct answers a = {0};
    json_t *list = json_loads(steps, 0, NULL), *doc = json_loads(document, 0, NULL);
    json_t *given = json_loads(answers, 0, NULL), *entry = json_pack("{s:s, s:o}", "name", "p", "filter", list);
    assert_non_null(list);
    assert_non_null(doc);
    assert_non_null(given);
    assert_ok(pipeline_open(&p, entry, place, e), e);
    json_decref(entry); /* a pipeline keeps what it needs */
    for (size_t i = 0; i < json_array_size(given); i++)
        assert_ok(answers_add(&a, json_string_value(json_array_get(given, i)), e), e);
    int status = pipeline_apply(&p, doc, &a, e);
    for (size_t i = 0; i < a.n; i++) text_printf(out, "%s%s", i ? "|" : "", a.at[i]);
    answers_free(&a);
    pipeline_close(&p);
    json_decref(doc);
    json_decref(given);
    return status;
}

#define CHOICES "{\"choices\": [\"Red\", \"Green apple\", \"Blue\"]}"
#define LETTER "[{\"function\": \"multi_choice_regex\", \"regex_pattern\": \"(\\\\([A-Z]\\\\))\"" /* as in BBH */

static void answers_are_filtered(void **state)
{
    (void)state;
    static const struct {
        const char *steps, *document, *answers, *left;
    } cases[] = {
        {"[{\"function\": \"take_first\"}]", "{}", "[\"a\", \"b\"]", "a"},
        {"[{\"function\": \"take_first_k\", \"k\": 2}]", "{}", "[\"a\", \"b\", \"c\"]", "a|b"},
        {"[{\"function\": \"majority_vote\"}]", "{}", "[\"a\", \"b\", \"b\", \"a\", \"c\"]",
         "a"}, /* the first of equals */
        {"[{\"function\": \"majority_vote\"}]", "{}", "[\"a\", \"b\", \"b\"]", "b"},
        {"[{\"function\": \"remove_whitespace\"}]", "{}", "[\"  a\", \"b \", \"\", \" \\n\"]", "a|b ||"},
        {"[{\"function\": \"lowercase\"}]", "{}", "[\"ÉTÉ\", \"A\"]", "été|a"},
        {"[{\"function\": \"uppercase\"}]", "{}", "[\"été\", \"a\"]", "ÉTÉ|A"},
        {"[{\"function\": \"map\", \"mapping_dict\": {\"A\": \"one\", \"B\": 2}, \"default_value\": 0}]", "{}",
         "[\"A\", \"B\", \"C\"]", "one|2|0"},
        {"[{\"function\": \"regex\"}]", "{}", "[\"so\\n#### 1,234.\", \"none\"]", "1,234.|[invalid]"},
        {"[{\"function\": \"regex\", \"regex_pattern\": \"(-?[$0-9.,]{2,})|(-?[0-9]+)\", \"group_select\": -1}]", "{}",
         "[\"7 and 12 and 8\", \"12 8 99\", \"no\"]", "8|99|[invalid]"},
        {"[{\"function\": \"regex\", \"regex_pattern\": \"[a-z]+\", \"group_select\": 1, \"fallback\": \"?\"}]", "{}",
         "[\"ab cd ef\", \"ab\"]", "cd|?"},
        {"[{\"function\": \"regex\", \"regex_pattern\": \"is(.*)$\"}]", "{}", "[\"it is  so \"]", "so"},
        {"[{\"function\": \"regex\", \"regex_pattern\": \"\\\\w+$\"}]", "{}", "[\"la canción\"]", "canción"},
        {"[{\"function\": \"regex\", \"regex_pattern\": \"x*\", \"group_select\": 1}]", "{}", "[\"axb\"]", "x"},
        {"[{\"function\": \"regex\", \"regex_pattern\": \"(a)|b\", \"fallback\": 7}]", "{}", "[\"b\", \"a\"]", "|a"},
        /* lower case, then the number, then the vote */
        {"[{\"function\": \"lowercase\"}, {\"function\": \"regex\", \"regex_pattern\": \"answer is ([0-9]+)\"},"
         " {\"function\": \"majority_vote\"}, {\"function\": \"take_first\"}]",
         "{}", "[\"The answer is 3\", \"The Answer is 4\", \"THE ANSWER IS 4!\"]", "4"},
        {LETTER "}]", CHOICES, "[\"It is (B).\", \"Blue, I think\", \"Answer: A\", \"no idea\", \"Answer: D\"]",
         "(B)|(C)|(A)|[invalid]|[invalid]"},
        {LETTER ", \"ignore_case\": true, \"ignore_punctuation\": true}]", CHOICES,
         "[\"a green, apple\", \"RED or blue\"]", "(B)|(A)"},
        {LETTER ", \"regexes_to_ignore\": [\" apple\"], \"group_select\": -1, \"fallback\": \"none\"}]", CHOICES,
         "[\"Red or Green\", \"x\"]", "(B)|none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct text out = {0};
        assert_ok(apply(cases[i].steps, cases[i].document, cases[i].answers, &out, &e), &e);
        assert_string_equal(text_c(&out), cases[i].left);
        text_free(&out);
    }
}

static void says_what_cannot_be_filtered(void **state)
{
    (void)state;
    static const struct {
        const char *steps, *document, *words;
    } cases[] = {
        {"[{\"function\": \"take_first_k\", \"k\": 3}]", "{}",
         "p: take_first_k: k: 3 answers are due, and there are 1 (see repeats)"},
        {LETTER "}]", "{}", "p: multi_choice_regex: the document's choices must be a list of 1 to 26 texts"},
        {LETTER "}]", "{\"choices\": [1]}", "p: multi_choice_regex: the document's choices[0] is no text"},
        {"[{\"function\": \"regex\", \"regex_pattern\": \"(a|aa)+$\"}]", "{}",
         "p: regex: the regular expression runs away on this answer (match limit exceeded)"},
        {"[{\"function\": \"regex\", \"regex_pattern\": \"^(([a-z])+.)+[A-Z]([a-z])+$\"}]", "{}", "runs away"},
    };
    struct text answer = {0};
    text_add(&answer, "[\"");
    for (int i = 0; i < 400; i++) text_char(&answer, 'a');
    text_add(&answer, "!\"]");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct text out = {0};
        assert_error(apply(cases[i].steps, cases[i].document, text_c(&answer), &out, &e), &e, ERROR_INPUT,
                     cases[i].words);
        text_free(&out);
    }
    text_free(&answer);
}

/* Matches of Python 3.12's re.findall(). */
static void matches_are_those_of_python(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text, *all[8];
    } cases[] = {
        {"x*", "axbxx", {"", "x", "", "xx", ""}},
        {"", "añb", {"", "", "", ""}},
        {"[0-9]+", "1 22 333", {"1", "22", "333"}},
        {"(a)(b)?", "abaab", {"a", "a", "a"}},
        {"\\bis\\b|\\s", "is this is", {"is", " ", " ", "is"}},
        {"^a$", "a\n", {"a"}},
        {"(?P<n>[a-c])(?=d)", "adbdcd", {"a", "b", "c"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct pattern *p;
        size_t n = 0;
        assert_ok(pattern_open(&p, cases[i].pattern, &e), &e);
        while (n < 8 && cases[i].all[n]) n++;
        for (size_t k = 0; k <= n; k++) {
            struct found f;
            assert_ok(pattern_find(p, cases[i].text, strlen(cases[i].text), (int64_t)k, &f, &e), &e);
            assert_int_equal(f.at != NULL, k < n);
            if (k == n) continue;
            assert_int_equal(f.n, strlen(cases[i].all[k]));
            assert_memory_equal(f.at, cases[i].all[k], f.n);
            struct found last;
            assert_ok(pattern_find(p, cases[i].text, strlen(cases[i].text), (int64_t)k - (int64_t)n, &last, &e), &e);
            assert_ptr_equal(last.at, f.at);
        }
        pattern_close(p);
    }
}

/* Texts of a model need not be UTF-8. */
static void any_bytes_are_searched(void **state)
{
    (void)state;
    struct error e = {0};
    struct pattern *p;
    struct found f;
    struct text out = {0};
    assert_ok(pattern_open(&p, "[a-z]+", &e), &e);
    assert_ok(pattern_find(p, "\xFF\xC3 ab\xE2\x82 cd", 10, 1, &f, &e), &e);
    assert_int_equal(f.n, 2);
    assert_memory_equal(f.at, "cd", 2);
    assert_ok(pattern_remove(p, "\xFF 1ab2\xE2 cd", 10, &out, &e), &e);
    assert_string_equal(text_c(&out), "\xFF 12\xE2 ");
    text_free(&out);
    pattern_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_filtered),
        cmocka_unit_test(says_what_cannot_be_filtered),
        cmocka_unit_test(matches_are_those_of_python),
        cmocka_unit_test(any_bytes_are_searched),
    };
    return cmocka_run_group_tests_name("suites/filters", tests, NULL, NULL);
}
