/* Fingerprints: what changes a number changes it, and nothing else does. */
#include "engine/models/model.h"
#include "suites/protocol.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char data[] = "a\t0\nb\t1\nc\t0\nd\t1\n";

static const char choice[] = "task: t\n"
                             "dataset_path: t.tsv\n"
                             "dataset_format: tsv\n"
                             "dataset_kwargs: {columns: [x, y]}\n"
                             "output_type: multiple_choice\n"
                             "doc_to_text: '{{x}}'\n"
                             "doc_to_choice: [no, yes]\n"
                             "doc_to_target: '{{y}}'\n"
                             "num_fewshot: 1\n"
                             "metric_list: [{metric: f1}]\n";

static const char texts[] = "task: t\n"
                            "dataset_path: t.tsv\n"
                            "dataset_format: tsv\n"
                            "dataset_kwargs: {columns: [x, y]}\n"
                            "output_type: generate_until\n"
                            "doc_to_text: '{{x}}'\n"
                            "doc_to_target: '{{y}}'\n"
                            "generation_kwargs: {max_gen_toks: 4, until: z}\n"
                            "filter_list: [{name: p, filter: [{function: lowercase}]}]\n"
                            "metric_list: [{metric: bleu}]\n";

static const char documents[] = "task: t\n"
                                "dataset_path: t.tsv\n"
                                "dataset_format: tsv\n"
                                "dataset_kwargs: {columns: [x, y]}\n"
                                "output_type: loglikelihood_rolling\n"
                                "doc_to_text: ''\n"
                                "doc_to_target: '{{x}}'\n"
                                "metric_list: [{metric: word_perplexity}]\n";

/* The file with a line of it (where `old` is not "") in another form. */
static char *changed(const char *yaml, const char *old, const char *new)
{
    const char *at = strstr(yaml, old);
    char *out;
    assert_non_null(at);
    assert_true(asprintf(&out, "%.*s%s%s", (int)(at - yaml), yaml, new, at + strlen(old)) >= 0);
    return out;
}

static void fingerprint_of(const struct model *m, const char *folder, const char *yaml, size_t limit, char *out)
{
    struct error e = {0};
    struct suite *s;
    struct item *items;
    struct requests q;
    json_t *protocol;
    size_t n;
    char *path = file_put(folder, "t.yaml", yaml, strlen(yaml));
    assert_ok(suite_load(&s, path, &e), &e);
    assert_ok(suite_items(s, limit, NULL, &items, &n, &e), &e);
    assert_ok(requests_make(&q, m, s, items, n, 0, &e), &e);
    assert_ok(protocol_make(&protocol, out, m, s, items, n, &q, &e), &e);
    json_decref(protocol);
    requests_free(&q);
    items_free(items, n);
    suite_free(s);
    free(path);
}

static void what_changes_a_number_changes_the_fingerprint(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *old, *new;
        bool same;
    } cases[] = {
        {choice, "", "about: a line\ntag: x\nmetadata: {version: 2}\n", true},
        {choice, "task: t", "task: u", true},
        {choice, "t.tsv", "./t.tsv", true},
        {choice, "", "target_delimiter: ' '\n", true},
        {choice, "", "description: ''\n", true},
        {choice, "", "fewshot_delimiter: \"\\n\\n\"\n", true},
        {choice, "", "fewshot_config: {seed: 1234, sampler: default}\n", true},
        {choice, "metric: f1", "metric: f1, higher_is_better: true", true},
        {choice, "metric: f1", "metric: acc", false},
        {choice, "metric: f1", "metric: f1, average: macro", false},
        {choice, "", "target_delimiter: ''\n", false},
        {choice, "", "description: 'D '\n", false},
        {choice, "num_fewshot: 1", "num_fewshot: 0", false},
        {choice, "", "fewshot_config: {seed: 7}\n", false},
        {choice, "", "fewshot_config: {sampler: first_n}\n", false},
        {choice, "", "fewshot_config: {samples: [{x: q, y: 1}]}\n", false},
        {choice, "", "fewshot_delimiter: ' '\n", false},
        {choice, "doc_to_target: '{{y}}'", "doc_to_target: 1", false},
        {texts, "until: z", "until: [z]", true},
        {texts, "", "decode: greedy\n", true},
        {texts, "", "repeats: 1\n", true},
        {texts, "", "num_fewshot: 0\nfewshot_config: {seed: 7}\n", true},
        {texts, "until: z", "until: y", false},
        {texts, "max_gen_toks: 4", "max_gen_toks: 5", false},
        {texts, "", "decode: 'beam:2'\n", false},
        {texts, "", "repeats: 2\n", false},
        {texts, "function: lowercase", "function: uppercase", false},
        {texts, "metric: bleu", "metric: chrf", false},
        {texts, "doc_to_target: '{{y}}'", "doc_to_target: '{{y}}.'", false},
        {documents, "", "protocol: rolling\n", true},
        {documents, "", "doc_to_count: '{{x}}{{y}}'\n", false},
        {documents, "", "context: 16\n", false},
    };
    char *folder = folder_temporary();
    struct model *m = model_shipped("gpt2", NULL);
    free(file_put(folder, "t.tsv", data, sizeof data - 1));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char a[HASH_HEX], b[HASH_HEX], *yaml = changed(cases[i].yaml, cases[i].old, cases[i].new);
        fingerprint_of(m, folder, cases[i].yaml, 0, a);
        fingerprint_of(m, folder, yaml, 0, b);
        if ((strcmp(a, b) == 0) != cases[i].same) fail_msg("case %zu: %s", i, cases[i].new);
        fingerprint_of(m, folder, yaml, 3, a);
        assert_string_not_equal(a, b); /* fewer items */
        free(yaml);
    }
    model_close(m);
    folder_remove(folder);
}

static void assert_differs(const json_t *ours, const json_t *baseline, const char *except, const char *words)
{
    struct text why = {0};
    assert_int_equal(protocols_match(ours, baseline, except, &why), !*words);
    assert_string_equal(text_c(&why), words);
    assert_int_equal(protocols_match(ours, baseline, except, NULL), !*words);
    text_free(&why);
}

static void what_differs_is_named(void **state)
{
    json_t *ours = json_loads("{\"bos\": true, \"context\": 8, \"decoding\": \"greedy\"}", 0, NULL);
    json_t *others = json_loads("{\"bos\": false, \"context\": 9, \"decoding\": \"greedy\"}", 0, NULL);
    assert_differs(ours, ours, NULL, "");
    assert_differs(ours, others, NULL, "context is 8, the baseline's is 9"); /* says more than bos */
    json_object_set_new(others, "context", json_integer(8));
    assert_differs(ours, others, NULL, "bos is true, the baseline's is false");
    json_object_del(others, "bos");
    assert_differs(ours, others, NULL, "bos is true, the baseline's is absent");
    json_object_set_new(others, "bos", json_true());
    json_object_set_new(others, "decoding", json_string("beam:2"));
    assert_differs(ours, others, "decoding", "");
    assert_differs(ours, others, NULL, "decoding is \"greedy\", the baseline's is \"beam:2\"");
    assert_differs(ours, NULL, NULL, "a protocol is not known");
    json_decref(ours);
    json_decref(others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changes_a_number_changes_the_fingerprint),
        cmocka_unit_test(what_differs_is_named),
    };
    return cmocka_run_group_tests_name("suites/protocol", tests, NULL, NULL);
}
