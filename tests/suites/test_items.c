#include "tests/testing.h"

#include "suites/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A suite over lines of x TAB y, with these keys more. */
static struct suite *make(const char *folder, const char *kind, const char *keys, const char *metric, const char *data)
{
    char yaml[1000];
    struct error e = {0};
    struct suite *s;
    int n = snprintf(yaml, sizeof yaml,
                     "task: t\ndataset_path: t.tsv\ndataset_format: tsv\ndataset_kwargs: {columns: [x, y]}\n"
                     "output_type: %s\n%smetric_list: [{metric: %s}]\n",
                     kind, keys, metric);
    free(file_put(folder, "t.tsv", data, strlen(data)));
    char *path = file_put(folder, "t.yaml", yaml, (size_t)n);
    assert_ok(suite_load(&s, path, &e), &e);
    free(path);
    return s;
}

static const char lines[] = "a\t0\nb\t1\nc\t0\nd\t1\n";
static const char choice[] = "doc_to_text: '{{x}}'\ndoc_to_choice: ['no', 'yes']\ndoc_to_target: '{{y}}'\n";

static void indices_and_limits_choose_documents(void **state)
{
    (void)state;
    static const struct {
        size_t limit;
        const char *indices, *prompts; /* of the items, one after the other */
        size_t last;                   /* the index of the last item */
    } cases[] = {
        {0, NULL, "abcd", 3},       {2, NULL, "ab", 1},        {9, NULL, "abcd", 3},
        {0, "[2]", "c", 2},         {0, "[3, 0, 3]", "ad", 3}, /* in the file's order, each once */
        {1, "[1, 2, 3]", "bcd", 3},
    };
    char *folder = folder_temporary();
    struct suite *s = make(folder, "multiple_choice", choice, "acc", lines);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct item *items;
        size_t n;
        json_t *indices = cases[i].indices ? json_loads(cases[i].indices, 0, NULL) : NULL;
        assert_ok(suite_items(s, cases[i].limit, indices, &items, &n, &e), &e);
        assert_int_equal(n, strlen(cases[i].prompts));
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(*items[k].prompt, cases[i].prompts[k]);
            assert_int_equal(items[k].index, cases[i].prompts[k] - 'a');
        }
        assert_int_equal(items[n - 1].index, cases[i].last);
        items_free(items, n);
        json_decref(indices);
    }
    suite_free(s);
    folder_remove(folder);
}

static void indices_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *indices, *words;
    } cases[] = {
        {"[]", "t: a list of the indices of documents is due"},
        {"{}", "t: a list of the indices of documents is due"},
        {"[1, -1]", "t: entry 1 of the indices is no whole number from 0 on"},
        {"[1.5]", "t: entry 0 of the indices is no whole number"},
        {"[\"1\"]", "t: entry 0 of the indices is no whole number"},
        {"[0, 4]", "t.tsv: there is no document 4: suite t has 4, counted from 0"},
        {"[9223372036854775807]", "there is no document 9223372036854775807"},
    };
    char *folder = folder_temporary();
    struct suite *s = make(folder, "multiple_choice", choice, "acc", lines);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct item *items;
        size_t n;
        json_t *indices = json_loads(cases[i].indices, 0, NULL);
        assert_error(suite_items(s, 0, indices, &items, &n, &e), &e, ERROR_INPUT, cases[i].words);
        assert_null(items);
        json_decref(indices);
    }
    suite_free(s);
    folder_remove(folder);
}

/* One document, rendered in the ways of the output types. */
static void documents_become_items(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *keys, *metric;
        const char *prompt, *targets; /* with a bar between them */
        const char *contexts;
        size_t gold;
    } cases[] = {
        {"multiple_choice", "doc_to_text: '{{x}}?'\ndoc_to_choice: ['{{y}}', z]\ndoc_to_target: z\n", "acc", "a?",
         "1|z", "", 1},
        {"multiple_choice", "doc_to_text: x\ndoc_to_choice: [a, b]\ndoc_to_target: y\n", "acc", "a", "a|b", "", 1},
        {"multiple_choice",
         "doc_to_text: x\ndoc_to_choice: '{{y.replace(\"1\", \"p q\").split(\" \")}}'\ndoc_to_target: q\n", "acc", "a",
         "p|q", "", 1},
        /* digits are an index, of a bare field's text first the choice */
        {"multiple_choice", "doc_to_text: x\ndoc_to_choice: ['1', '{{x}}']\ndoc_to_target: '{{y}}'\n", "acc", "a",
         "1|a", "", 1},
        {"multiple_choice", "doc_to_text: x\ndoc_to_choice: ['1', '0']\ndoc_to_target: 0\n", "acc", "a", "1|0", "", 0},
        {"multiple_choice", "doc_to_text: x\ndoc_to_choice: ['1', '{{x}}']\ndoc_to_target: y\n", "acc", "a", "1|a", "",
         0},
        /* doc_to_text is an index, a number: the choices are contexts */
        {"multiple_choice",
         "description: 'D. '\ndoc_to_text: '{{y.split(\"|\").index(\"1\")}}'\ndoc_to_choice: ['{{x}} p', 'q']\n"
         "doc_to_target: 'so {{x}}'\n",
         "acc", "D. ", "so a", "a p|q", 0},
        {"loglikelihood", "description: '{{x}}: '\ndoc_to_text: '{{x}}'\ndoc_to_target: '{{y}}'\n", "acc", "a: a", "1",
         "", 0},
        {"generate_until", "doc_to_text: ''\ndoc_to_target: '{{y}}'\ngeneration_kwargs: {max_gen_toks: 1}\n", "f1", "",
         "1", "", 0},
        {"generate_until",
         "doc_to_text: ''\ndoc_to_target: '{{x.split(\"-\")}}'\ngeneration_kwargs: {max_gen_toks: 1}\n", "f1", "", "a",
         "", 0},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct item *items;
        size_t n;
        struct text targets = {0}, contexts = {0};
        struct suite *s = make(folder, cases[i].kind, cases[i].keys, cases[i].metric, "a\t1\n");
        assert_ok(suite_items(s, 0, NULL, &items, &n, &e), &e);
        for (size_t k = 0; k < items->n_targets; k++) text_printf(&targets, "%s%s", k ? "|" : "", items->targets[k]);
        for (size_t k = 0; k < items->n_contexts; k++) text_printf(&contexts, "%s%s", k ? "|" : "", items->contexts[k]);
        assert_string_equal(items->prompt, cases[i].prompt);
        assert_string_equal(text_c(&targets), cases[i].targets);
        assert_string_equal(text_c(&contexts), cases[i].contexts);
        assert_int_equal(items->gold, cases[i].gold);
        text_free(&targets);
        text_free(&contexts);
        items_free(items, n);
        suite_free(s);
    }
    folder_remove(folder);
}

static void an_index_of_no_context_is_refused(void **state)
{
    (void)state;
    struct error e = {0};
    struct item *items;
    size_t n;
    char *folder = folder_temporary();
    struct suite *s = make(folder, "multiple_choice",
                           "doc_to_text: '{{x.split(\",\").index(y)}}'\ndoc_to_choice: [p, q]\ndoc_to_target: t\n",
                           "acc", "a,b,c\tc\n");
    assert_error(suite_items(s, 0, NULL, &items, &n, &e), &e, ERROR_INPUT,
                 "t.tsv: line 1: doc_to_text: 2 is not the index (0 to 1) of a choice");
    suite_free(s);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indices_and_limits_choose_documents),
        cmocka_unit_test(indices_that_are_none_are_refused),
        cmocka_unit_test(documents_become_items),
        cmocka_unit_test(an_index_of_no_context_is_refused),
    };
    return cmocka_run_group_tests_name("suites/items", tests, NULL, NULL);
}
