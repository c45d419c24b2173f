#include "tests/testing.h"

#include "suites/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCUMENTS = 12 };

static const char questions[] = "doc_to_text: 'Q{{x}}'\ndoc_to_target: 'A{{x}}'\n"
                                "generation_kwargs: {max_gen_toks: 1}\noutput_type: generate_until\n"
                                "metric_list: [{metric: f1}]\n";

static struct suite *make(const char *folder, const char *keys)
{
    char yaml[2000];
    struct error e = {0};
    struct suite *s;
    int n = snprintf(yaml, sizeof yaml,
                     "task: t\ndataset_path: t.tsv\ndataset_format: tsv\ndataset_kwargs: {columns: [x, y]}\n%s", keys);
    char *path = file_put(folder, "t.yaml", yaml, (size_t)n);
    assert_ok(suite_load(&s, path, &e), &e);
    free(path);
    return s;
}

/* Documents of a number and whether it is odd. */
static void put_data(const char *folder, const char *name, int from, int n)
{
    struct text data = {0};
    for (int i = 0; i < n; i++) text_printf(&data, "%d\t%d\n", from + i, (from + i) % 2);
    free(file_put(folder, name, text_c(&data), data.length));
    text_free(&data);
}

/* The prompts of a suite with these keys, of all documents. */
static struct item *prompts(const char *folder, const char *keys, size_t limit, const char *indices, size_t *n)
{
    struct error e = {0};
    struct item *items;
    struct suite *s = make(folder, keys);
    json_t *list = indices ? json_loads(indices, 0, NULL) : NULL;
    assert_ok(suite_items(s, limit, list, &items, n, &e), &e);
    json_decref(list);
    suite_free(s);
    return items;
}

static struct item *with(const char *folder, const char *keys, size_t limit, const char *indices, size_t *n)
{
    char all[1000];
    snprintf(all, sizeof all, "%s%s", questions, keys);
    return prompts(folder, all, limit, indices, n);
}

/* As lm-evaluation-harness joins them. */
static void examples_are_joined(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        size_t item;
        const char *prompt;
    } cases[] = {
        {"output_type: generate_until\ndoc_to_text: \"Q: {{x}}\\nA:\"\ndoc_to_target: '{{y}}'\n"
         "generation_kwargs: {max_gen_toks: 1}\nmetric_list: [{metric: f1}]\ndescription: \"Answer {{x}}.\\n\\n\"\n",
         3, "Answer 3.\n\nQ: 0\nA: 0\n\nQ: 1\nA: 1\n\nQ: 3\nA:"},
        {"output_type: multiple_choice\ndoc_to_text: '{{x}}'\ndoc_to_choice: ['no', 'yes']\ndoc_to_target: '{{y}}'\n"
         "metric_list: [{metric: acc}]\ntarget_delimiter: '='\nfewshot_delimiter: '; '\n",
         0, "1=yes; 2=no; 0"}, /* never the item itself */
        {"output_type: multiple_choice\ndoc_to_text: '{{y.replace(\"1\", \"0\").split(\"1\").index(\"0\")}}'\n"
         "doc_to_choice: ['{{x}}', '-']\ndoc_to_target: so\nmetric_list: [{metric: acc}]\n",
         3, "0 so\n\n1 so\n\n"}, /* a choice between contexts: the prompt is what all have before them */
        {"output_type: loglikelihood\ndoc_to_text: '{{x}}'\ndoc_to_target: 'a b'\nmetric_list: [{metric: acc}]\n", 1,
         "0 a b\n\n2 a b\n\n1"},
        {"output_type: generate_until\ndoc_to_text: '{{x}}. '\ndoc_to_target: '{{x.split(\"0\")[0]}}'\n"
         "generation_kwargs: {max_gen_toks: 1}\nmetric_list: [{metric: f1}]\n",
         3, "0. 1.  1\n\n3. "}, /* nothing after an empty target */
    };
    char *folder = folder_temporary();
    put_data(folder, "t.tsv", 0, DOCUMENTS);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char keys[1000];
        size_t n;
        snprintf(keys, sizeof keys, "%snum_fewshot: 2\nfewshot_config: {sampler: first_n}\n", cases[i].keys);
        struct item *items = prompts(folder, keys, 0, NULL, &n);
        assert_string_equal(items[cases[i].item].prompt, cases[i].prompt);
        items_free(items, n);
    }
    folder_remove(folder);
}

/* The numbers of the examples in a prompt "Q1 A1\n\nQ4 A4\n\nQ0". */
static size_t numbers(const char *prompt, long out[DOCUMENTS])
{
    size_t n = 0;
    for (const char *at = prompt; (at = strchr(at, 'A')); at++) out[n++] = strtol(at + 1, NULL, 10);
    return n;
}

static void draws_leave_the_item_out_and_repeat_nothing(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    put_data(folder, "t.tsv", 0, DOCUMENTS);
    size_t n;
    int counts[DOCUMENTS] = {0};
    bool differ = false;
    struct item *items = with(folder, "num_fewshot: 5\n", 0, NULL, &n);
    for (size_t i = 0; i < n; i++) {
        long drawn[DOCUMENTS];
        assert_int_equal(numbers(items[i].prompt, drawn), 5);
        for (size_t a = 0; a < 5; a++) {
            assert_int_not_equal(drawn[a], items[i].index);
            for (size_t b = 0; b < a; b++) assert_int_not_equal(drawn[a], drawn[b]);
            counts[drawn[a]]++;
        }
        differ = differ || strncmp(items[i].prompt, items[0].prompt, 12) != 0;
    }
    assert_true(differ);
    for (size_t i = 0; i < DOCUMENTS; i++) assert_true(counts[i] > 0); /* 60 draws of 12 */
    items_free(items, n);

    items = with(folder, "num_fewshot: 11\n", 0, NULL, &n); /* all others */
    long drawn[DOCUMENTS];
    assert_int_equal(numbers(items[4].prompt, drawn), 11);
    items_free(items, n);
    folder_remove(folder);
}

static void a_draw_depends_on_seed_and_index_alone(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    put_data(folder, "t.tsv", 0, DOCUMENTS);
    size_t n, m, k;
    struct item *all = with(folder, "num_fewshot: 3\n", 0, NULL, &n);
    struct item *first = with(folder, "num_fewshot: 3\n", 2, NULL, &m);
    struct item *one = with(folder, "num_fewshot: 3\n", 0, "[7]", &k);
    assert_int_equal(n, DOCUMENTS);
    assert_int_equal(m, 2);
    assert_int_equal(k, 1);
    for (size_t i = 0; i < m; i++) assert_string_equal(first[i].prompt, all[i].prompt);
    assert_string_equal(one->prompt, all[7].prompt);
    items_free(first, m);
    items_free(one, k);

    first = with(folder, "num_fewshot: 3\nfewshot_config: {seed: 1234}\n", 0, NULL, &m);
    one = with(folder, "num_fewshot: 3\nfewshot_config: {seed: 1}\n", 0, NULL, &k);
    size_t same = 0;
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(first[i].prompt, all[i].prompt); /* the seed where none is given */
        same += strcmp(one[i].prompt, all[i].prompt) == 0;
    }
    assert_true(same < n / 2);
    items_free(first, m);
    items_free(one, k);
    items_free(all, n);
    folder_remove(folder);
}

static void examples_come_from_elsewhere(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    put_data(folder, "t.tsv", 0, DOCUMENTS);
    put_data(folder, "train.tsv", 100, 2);
    size_t n;
    struct item *items =
        with(folder, "num_fewshot: 2\nfewshot_config: {dataset_path: train.tsv, sampler: first_n}\n", 1, NULL, &n);
    assert_string_equal(items->prompt, "Q100 A100\n\nQ101 A101\n\nQ0");
    items_free(items, n);
    items =
        with(folder, "num_fewshot: 1\nfewshot_config: {samples: [{x: 7}, {x: 8}], sampler: first_n}\n", 1, NULL, &n);
    assert_string_equal(items->prompt, "Q7 A7\n\nQ0");
    items_free(items, n);
    items = with(folder, "num_fewshot: 0\nfewshot_config: {dataset_path: train.tsv}\n", 1, NULL, &n);
    assert_string_equal(items->prompt, "Q0");
    items_free(items, n);

    struct error e = {0};
    char keys[1000];
    snprintf(keys, sizeof keys, "%snum_fewshot: 3\nfewshot_config: {dataset_path: train.tsv}\n", questions);
    struct suite *s = make(folder, keys);
    assert_error(suite_items(s, 0, NULL, &items, &n, &e), &e, ERROR_INPUT,
                 "train.tsv: num_fewshot: document 0 is due 3 examples, and there are 2");
    suite_free(s);
    folder_remove(folder);
}

/* A set of copies of one document is refused, where a search for others would take the square of their number. */
static void copies_without_end_are_refused(void **state)
{
    (void)state;
    struct error e = {0};
    struct text data = {0}, keys = {0};
    struct item *items;
    size_t n;
    char *folder = folder_temporary();
    for (int i = 0; i < 20000; i++) text_add(&data, "7\t1\n");
    text_add(&data, "8\t0\n");
    free(file_put(folder, "t.tsv", text_c(&data), data.length));
    text_printf(&keys, "%snum_fewshot: 1\nfewshot_config: {sampler: first_n}\n", questions);
    struct suite *s = make(folder, text_c(&keys));
    assert_error(suite_items(s, 1, NULL, &items, &n, &e), &e, ERROR_INPUT,
                 "t.tsv: num_fewshot: document 0 is due 1 examples, and more than 10000 documents equal it");
    suite_free(s);
    text_free(&data);
    text_free(&keys);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_are_joined),
        cmocka_unit_test(draws_leave_the_item_out_and_repeat_nothing),
        cmocka_unit_test(a_draw_depends_on_seed_and_index_alone),
        cmocka_unit_test(examples_come_from_elsewhere),
        cmocka_unit_test(copies_without_end_are_refused),
    };
    return cmocka_run_group_tests_name("suites/fewshot", tests, NULL, NULL);
}
