#include "engine/base/json.h"
#include "tests/testing.h"

#include "engine/base/file.h"
#include "engine/base/text.h"
#include "suites/suite.h"

#include <stdlib.h>
#include <string.h>

static void items_of(const char *name, size_t limit, struct item **items, size_t *n)
{
    struct error e = {0};
    struct suite *s;
    assert_ok(suite_load(&s, name, &e), &e);
    assert_ok(suite_items(s, limit, NULL, items, n, &e), &e);
    suite_free(s);
}

static void assert_starts(const char *s, const char *start)
{
    if (strncmp(s, start, strlen(start)) != 0) fail_msg("\"%.80s\" does not start with \"%s\"", s, start);
}

/* What every shipped suite begins with; the last string of the prompt and the texts are whole. */
static void shipped_suites_have_their_items(void **state)
{
    (void)state;
    static const struct {
        const char *suite;
        size_t items;
        const char *prompt, *prompt_end, *targets[4];
        size_t n_targets, gold;
    } cases[] = {
        {"endings",
         500,
         "In the evening it was quiet in Millbrook. Oscar was the carpenter of",
         "violin belonged to",
         {"Pablo.", "Hugo.", "Oscar.", "Bruno."},
         4,
         2},
        {"lastword", 500, "It was snowing. Simon was the shepherd", "the shovel belonged to", {"Nora"}, 1, 0},
        {"questions",
         500,
         "On Monday it was quiet in Millbrook. Elena",
         " at the river. Irene returned to the square.\nQuestion: Who is the weaver?\nAnswer:",
         {"Marta"},
         1,
         0},
        {"translation",
         500,
         "English: It was snowing. Victor went to the square.\nSpanish:",
         "\nSpanish:",
         {"Nevaba. Victor fue a la plaza."},
         1,
         0},
        {"reviews", 500, "Review: A gloomy doctor sold me a rude key.\nVerdict:", "\nVerdict:", {"bad", "good"}, 2, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct item *items;
        size_t n;
        items_of(cases[i].suite, 0, &items, &n);
        assert_int_equal(n, cases[i].items);
        assert_starts(items[0].prompt, cases[i].prompt);
        assert_string_equal(items[0].prompt + strlen(items[0].prompt) - strlen(cases[i].prompt_end),
                            cases[i].prompt_end);
        assert_int_equal(items[0].n_targets, cases[i].n_targets);
        for (size_t k = 0; k < cases[i].n_targets; k++) assert_string_equal(items[0].targets[k], cases[i].targets[k]);
        assert_int_equal(items[0].gold, cases[i].gold);
        items_free(items, n);
    }
}

static size_t count_words(const char *s)
{
    size_t words = 0, step;
    bool inside = false;
    for (size_t i = 0, n = strlen(s); i < n; i += step) {
        uint32_t c;
        step = utf8_decode(s + i, n - i, &c);
        words += !inside && !codepoint_is_space(c);
        inside = !codepoint_is_space(c);
    }
    return words;
}

static void stories_count_as_the_reference_does(void **state)
{
    (void)state;
    json_t *root = golden("tests/goldens/goldens-llama.json"), *g = json_object_get(root, "stories");
    struct item *items;
    size_t n, bytes = 0, words = 0;
    items_of("stories", 0, &items, &n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(items[i].prompt, "");
        assert_int_equal(items[i].n_targets, 1);
        bytes += strlen(items[i].targets[0]);
        words += count_words(items[i].targets[0]);
    }
    assert_int_equal(n, json_integer_value(json_object_get(g, "documents")));
    assert_int_equal(bytes, json_integer_value(json_object_get(g, "bytes")));
    assert_int_equal(words, json_integer_value(json_object_get(g, "words")));
    items_free(items, n);
    json_decref(root);

    struct file f;
    struct error e = {0};
    assert_ok(file_map(&f, "datasets/millbrook/stories.test.txt", &e), &e);
    items_of("stories_chunked", 0, &items, &n);
    assert_int_equal(n, 1);
    assert_int_equal(strlen(items[0].targets[0]), f.size - 1);
    assert_memory_equal(items[0].targets[0], f.data, f.size - 1);
    items_free(items, n);
    file_unmap(&f);
}

static void a_limit_takes_the_first_and_hashes_stay(void **state)
{
    (void)state;
    struct item *some, *all;
    size_t n, n_all;
    items_of("reviews", 3, &some, &n);
    items_of("reviews", 0, &all, &n_all);
    assert_int_equal(n, 3);
    char expected[HASH_HEX];
    static const char first[] = "{\"label\":0,\"sentence\":\"A gloomy doctor sold me a rude key.\"}";
    hash_hex(first, sizeof first - 1, expected);
    assert_string_equal(some[0].hash, expected);
    for (size_t i = 0; i < n; i++) assert_string_equal(some[i].hash, all[i].hash);
    items_free(some, n);
    items_free(all, n_all);
    static const char *const every[] = {"stories",  "stories_chunked", "endings",
                                        "lastword", "questions",       "translation"};
    for (size_t i = 0; i < sizeof every / sizeof *every; i++) {
        items_of(every[i], 1, &some, &n);
        assert_int_equal(n, 1);
        items_free(some, n);
    }
}

/* The documents of a reader, as one JSON list. */
static int gather(void *user, json_t *doc, struct error *e)
{
    (void)e;
    return json_array_append(user, doc);
}

static json_t *documents(const char *reader, const char *data, size_t size, const char *options)
{
    struct error e = {0};
    json_t *all = json_array(), *kwargs = options ? json_loads(options, 0, NULL) : NULL;
    const struct reader_source source = {"memory", data, size, kwargs};
    assert_ok(reader_find(reader)->read(&source, gather, all, &e), &e);
    json_decref(kwargs);
    return all;
}

static void small_files_read_as_they_should(void **state)
{
    (void)state;
    static const struct {
        const char *reader, *options, *data, *documents;
    } cases[] = {
        {"text", NULL, "", "[]"},
        {"text", NULL, "\xEF\xBB\xBF\n", "[]"},
        {"text", NULL,
         "\xEF\xBB\xBF"
         "a\r\nb\n\n",
         "[{\"text\": \"a\\r\\nb\\n\"}]"},
        {"paragraphs", NULL, "", "[]"},
        {"paragraphs", NULL, "\n\n\n", "[]"},
        {"paragraphs", NULL, "a\nb\n\nc", "[{\"text\": \"a\\nb\"}, {\"text\": \"c\"}]"},
        {"paragraphs", NULL, "\xEF\xBB\xBF\r\na\r\nb\r\n\r\n\r\n \r\n\r\nc\r\n\r\n",
         "[{\"text\": \"a\\nb\"}, {\"text\": \"c\"}]"},
        {"hellaswag", NULL, "{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": \"1\", \"ind\": 9}\r\n\n",
         "[{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": 1, \"ind\": 9}]"},
        {"lambada", NULL, "\xEF\xBB\xBF{\"text\": \"a b  c\"}",
         "[{\"text\": \"a b  c\", \"context\": \"a b \", \"target\": \"c\"}]"},
        {"squad", NULL,
         "\xEF\xBB\xBF{\"data\": [{\"paragraphs\": [{\"context\": \"c\", \"qas\": [{\"id\": \"1\", "
         "\"question\": \"q\", \"answers\": [{\"text\": \"a\"}, {\"text\": \"a\"}]}]}]}]}",
         "[{\"context\": \"c\", \"question\": \"q\", \"id\": \"1\", \"title\": \"\", \"answers\": [\"a\", \"a\"]}]"},
        {"tsv", "{\"columns\": [\"a\", \"b\"]}", "\"x\ty\"\r\n\t\n\n",
         "[{\"a\": \"\\\"x\", \"b\": \"y\\\"\"}, "
         "{\"a\": \"\", \"b\": \"\"}]"},
        {"tsv", "{\"columns\": [\"a\"], \"header\": true}", "z\nx", "[{\"a\": \"x\"}]"},
        {"tsv", "{\"header\": true}", "z\tw\nx\ty\n", "[{\"z\": \"x\", \"w\": \"y\"}]"},
        {"sst2", NULL, "label\tsentence\n1\tgood\n", "[{\"label\": 1, \"sentence\": \"good\"}]"},
        {"sst2", NULL, "sentence\tlabel\nbad \t0\n", "[{\"label\": 0, \"sentence\": \"bad \"}]"},
        {"sst2", "{\"columns\": [\"label\", \"sentence\"]}", "1\tgood", "[{\"label\": 1, \"sentence\": \"good\"}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *got = documents(cases[i].reader, cases[i].data, strlen(cases[i].data), cases[i].options);
        json_t *due = json_loads(cases[i].documents, 0, NULL);
        char *words = json_dump_text(got, 0, NULL);
        if (!due || !json_equal(got, due)) fail_msg("case %zu, %s: %s", i, cases[i].reader, words);
        free(words);
        json_decref(due);
        json_decref(got);
    }
}

/* Reading is linear in the bytes: a line of 8 MB takes a moment in every reader, else this test takes for ever. */
static void long_lines_are_no_trouble(void **state)
{
    (void)state;
    static const struct {
        const char *reader, *options, *start, *end;
    } cases[] = {
        {"text", NULL, "", ""},
        {"paragraphs", NULL, "", ""},
        {"lambada", NULL, "{\"text\": \"w ", "\"}"},
        {"tsv", "{\"columns\": [\"a\", \"b\"]}", "x\t", ""},
        {"csv", "{\"columns\": [\"a\", \"b\"]}", "x,\"", "\""},
        {"wikitext", NULL, " = T = \n( ", ") '"},
        {"conll", NULL, "t ", ""},
        {"jsonl", NULL, "{\"a\": \"", "\"}"},
    };
    const size_t middle = (8u << 20) - 64;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text t = {0};
        text_add(&t, cases[i].start);
        for (size_t k = 0; k < middle / 8; k++) text_bytes(&t, "abcdefgh", 8);
        text_add(&t, cases[i].end);
        json_t *got = documents(cases[i].reader, t.bytes, t.length, cases[i].options);
        assert_int_equal(json_array_size(got), 1);
        json_decref(got);
        text_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_suites_have_their_items),
        cmocka_unit_test(stories_count_as_the_reference_does),
        cmocka_unit_test(a_limit_takes_the_first_and_hashes_stay),
        cmocka_unit_test(small_files_read_as_they_should),
        cmocka_unit_test(long_lines_are_no_trouble),
    };
    return cmocka_run_group_tests_name("suites/readers", tests, NULL, NULL);
}
