#include "tests/testing.h"

#include "suites/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(s) s, sizeof(s) - 1
#define HELLASWAG(rest) BYTES("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": 0}\n" rest "\n")
#define SQUAD(rest) BYTES("{\"data\": [{\"paragraphs\": [{\"context\": \"c\", \"qas\": [" rest "]}]}]}")

static int count(void *user, json_t *doc, struct error *e)
{
    (void)e;
    assert_true(json_is_object(doc));
    ++*(size_t *)user;
    return 0;
}

static void broken_data_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *reader, *options, *data;
        size_t size;
        const char *words;
    } cases[] = {
        {"text", NULL, BYTES("a\nb\0c\n"), "F: line 2: byte 2: is a NUL byte"},
        {"text", NULL, BYTES("a\n\nb\xC0\xAF\n"), "F: line 3: byte 2: 0xC0: is not UTF-8"},
        {"text", NULL, BYTES("\xED\xA0\x80"), "F: line 1: byte 1: 0xED: is not UTF-8"},
        {"paragraphs", NULL, BYTES("a\n\nb\n\xFF"), "F: line 4: byte 1: 0xFF: is not UTF-8"},
        {"paragraphs", NULL, BYTES("\xE2\x82"), "F: line 1: byte 1: 0xE2: is not UTF-8"},
        {"hellaswag", NULL, HELLASWAG("{"), "F: line 2: JSON: line 1, column 1"},
        {"hellaswag", NULL, HELLASWAG("[]"), "F: line 2: is not a JSON object"},
        {"hellaswag", NULL, HELLASWAG("{} {}"), "F: line 2: JSON: line 1, column 4: end of file expected"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"ctx\": \"d\"}"), "F: line 2: JSON: "},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"\\u0000\"}"), "F: line 2: JSON: "},
        {"hellaswag", NULL, HELLASWAG("\n{}"), "F: line 2: is empty: a JSON object is due"},
        {"hellaswag", NULL, HELLASWAG("{}"), "F: line 2: ctx: is missing"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"\"}"), "F: line 2: ctx: is empty"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": 7}"), "F: line 2: ctx: must be a string"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\"}"), "F: line 2: endings: is missing"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": []}"),
         "F: line 2: endings: has 0, a choice needs"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": \"x\"}"), "F: line 2: endings: must be a list"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"\"]}"),
         "F: line 2: endings[1]: is empty"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", 1]}"), "F: line 2: endings[1]: must be"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"]}"), "F: line 2: label: is missing"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": 2}"),
         "F: line 2: label: 2 is not one of the endings 0 to 1"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": -1}"),
         "F: line 2: label: -1 is not one"},
        {"hellaswag", NULL, HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": \"\"}"),
         "F: line 2: label: must be the number of an ending"},
        {"hellaswag", NULL,
         HELLASWAG("{\"ctx\": \"c\", \"endings\": [\"x\", \"y\"], \"label\": "
                   "\"99999999999999999999999\"}"),
         "is not one of the endings 0 to 1"},
        {"lambada", NULL, BYTES("{\"text\": \"a b\"}\n{\"text\": \"ab\"}"), "F: line 2: text: has no space before"},
        {"lambada", NULL, BYTES("{\"text\": \"a b \"}"), "F: line 1: text: ends with a space"},
        {"lambada", NULL, BYTES("{\"text\": \" b\"}"), "F: line 1: text: has nothing before"},
        {"lambada", NULL, BYTES("{\"txt\": \"a b\"}"), "F: line 1: text: is missing"},
        {"squad", NULL, BYTES("{\"data\":\n [,]}"), "F: line 2, column"},
        {"squad", NULL, BYTES("[]"), "F: data: is missing"},
        {"squad", NULL, BYTES("{\"data\": {}}"), "F: data: must be a list"},
        {"squad", NULL, BYTES("{\"data\": [{}]}"), "F: data[0]: paragraphs: is missing"},
        {"squad", NULL, BYTES("{\"data\": [{\"paragraphs\": [7]}]}"), "F: data[0]: paragraphs[0]: qas: is missing"},
        {"squad", NULL, SQUAD("7"), "F: data[0]: paragraphs[0]: qas[0]: question: is missing"},
        {"squad", NULL, SQUAD("{\"question\": \"q\"}"), "qas[0]: id: is missing"},
        {"squad", NULL, SQUAD("{\"question\": \"q\", \"id\": \"1\"}"), "qas[0]: answers: is missing"},
        {"squad", NULL, SQUAD("{\"question\": \"q\", \"id\": \"1\", \"answers\": []}"), "qas[0]: answers: is empty"},
        {"squad", NULL, SQUAD("{\"question\": \"q\", \"id\": \"1\", \"answers\": [{\"text\": \"a\"}, {}]}"),
         "F: data[0]: paragraphs[0]: qas[0]: answers[1]: text: is missing"},
        {"tsv", "{\"columns\": [\"a\", \"b\"]}", BYTES("x\ty\nx\n"),
         "F: line 2: has 1 column, not 2 with tabs between: "
         "a, b"},
        {"tsv", "{\"columns\": [\"a\", \"b\"]}", BYTES("x\ty\n\nx\ty\n"), "F: line 2: has 1 column, not 2"},
        {"tsv", "{\"columns\": [\"a\", \"b\"]}", BYTES("x\ty\tz\n"), "F: line 1: has 3 columns, not 2"},
        {"tsv", "{\"header\": true}", BYTES("a\ta\nx\ty\n"), "F: line 1: columns: \"a\" is there twice"},
        {"tsv", NULL, BYTES("a\n"), "F: dataset_kwargs: columns: is missing"},
        {"sst2", NULL, BYTES("0\tbad\n"), "F: line 1: header: must name the columns sentence and label"},
        {"sst2", NULL, BYTES("sentence\tlabel\nx\t2\n"), "F: line 2: label: \"2\" is neither 0 nor 1"},
        {"sst2", NULL, BYTES("sentence\tlabel\nx\t\n"), "F: line 2: label: \"\" is neither 0 nor 1"},
        {"sst2", NULL, BYTES("sentence\tlabel\n\t1\n"), "F: line 2: sentence: is empty"},
        {"sst2", NULL, BYTES("sentence\tlabel\nx y 1\n"), "F: line 2: has 1 column, not 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        size_t n = 0;
        json_t *options = cases[i].options ? json_loads(cases[i].options, 0, NULL) : NULL;
        /* an exact copy, so that the address sanitizer sees a read past the end */
        char *data = malloc(cases[i].size);
        assert_non_null(data);
        memcpy(data, cases[i].data, cases[i].size);
        const struct reader_source source = {"F", data, cases[i].size, options};
        int status = reader_find(cases[i].reader)->read(&source, count, &n, &e);
        assert_error(status, &e, ERROR_INPUT, cases[i].words);
        free(data);
        json_decref(options);
    }
}

/* Every file cut short anywhere: an error or fewer documents, nothing worse. */
static void files_cut_short_do_no_harm(void **state)
{
    (void)state;
    static const struct {
        const char *reader, *data;
    } cases[] = {
        {"hellaswag", "\xEF\xBB\xBF{\"ctx\": \"é\", \"endings\": [\"x\", \"y\"], \"label\": 0}\r\n"},
        {"lambada", "{\"text\": \"a ü b\"}\n{\"text\": \"c d\"}\n"},
        {"squad", "{\"data\": [{\"paragraphs\": [{\"context\": \"c\", \"qas\": [{\"id\": \"1\", \"question\": \"q\", "
                  "\"answers\": [{\"text\": \"a\"}]}]}]}]}"},
        {"sst2", "sentence\tlabel\r\nbueño\t1\r\n"},
        {"paragraphs", "ñ\n\nb\n"},
        {"text", "日本\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t whole = strlen(cases[i].data), most = 0;
        for (size_t n = 0; n <= whole; n++) {
            struct error e = {0};
            size_t documents = 0;
            char *data = malloc(n ? n : 1);
            assert_non_null(data);
            memcpy(data, cases[i].data, n);
            const struct reader_source source = {"F", data, n, NULL};
            int status = reader_find(cases[i].reader)->read(&source, count, &documents, &e);
            assert_true(status == 0 || status == ERROR_INPUT);
            assert_int_equal(status, e.code);
            if (n == whole) most = documents;
            free(data);
        }
        assert_true(most > 0);
    }
}

static void items_say_which_document(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *data, *words;
    } cases[] = {
        {"doc_to_text: '{{x}}'\ndoc_to_choice: ['{{y}}', b]\ndoc_to_target: b\n", "", "t.tsv: has no documents"},
        {"doc_to_text: '{{z}}'\ndoc_to_choice: [a, b]\ndoc_to_target: b\n", "1\t2\n",
         "t.tsv: line 1: doc_to_text: {{z}}: the document has no such field"},
        {"doc_to_text: ''\ndoc_to_choice: ['{{x}}', b]\ndoc_to_target: b\n", "1\t2\n\t2\n",
         "t.tsv: line 2: doc_to_choice: choice 0 is empty"},
        {"doc_to_text: ''\ndoc_to_choice: '{{x}}'\ndoc_to_target: b\n", "1\t2\n",
         "t.tsv: line 1: doc_to_choice: {{x}} is not a list"},
        {"doc_to_text: ''\ndoc_to_choice: '{{z}}'\ndoc_to_target: b\n", "1\t2\n",
         "t.tsv: line 1: doc_to_choice: {{z}} is not a field"},
        {"doc_to_text: ''\ndoc_to_choice: [a, b]\ndoc_to_target: '{{x}}'\n", "1\t2\n2\t2\n",
         "t.tsv: line 2: doc_to_target: \"2\" is neither the text nor the index (0 to 1) of a choice"},
        {"doc_to_text: ''\ndoc_to_choice: [a, b]\ndoc_to_target: x\n", "1\t2\n",
         "line 1: doc_to_target: \"x\" is neither the text nor the index (0 to 1) of a choice; a field is written"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[1000];
        int length = snprintf(yaml, sizeof yaml,
                              "task: t\ndataset_path: t.tsv\ndataset_format: tsv\ndataset_kwargs: {columns: [x, y]}\n"
                              "output_type: multiple_choice\n%smetric_list: [{metric: acc}]\n",
                              cases[i].keys);
        char *data = file_put(folder, "t.tsv", cases[i].data, strlen(cases[i].data));
        char *path = file_put(folder, "t.yaml", yaml, (size_t)length);
        struct error e = {0};
        struct suite *s;
        struct item *items;
        size_t n;
        assert_ok(suite_load(&s, path, &e), &e);
        assert_error(suite_items(s, 0, &items, &n, &e), &e, ERROR_INPUT, cases[i].words);
        assert_null(items);
        suite_free(s);
        free(path);
        free(data);
    }
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_data_is_named_with_its_line),
        cmocka_unit_test(files_cut_short_do_no_harm),
        cmocka_unit_test(items_say_which_document),
    };
    return cmocka_run_group_tests_name("corrupt/data", tests, NULL, NULL);
}
