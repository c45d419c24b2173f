#include "engine/base/json.h"
#include "tests/testing.h"

#include "suites/run.h"
#include "suites/samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A suite of the file t.yaml with these keys over lines of x TAB y. */
static struct suite *make(const char *folder, const char *keys, const char *data)
{
    struct text yaml = {0};
    struct error e = {0};
    struct suite *s;
    text_printf(&yaml, "task: t\ndataset_path: t.tsv\ndataset_format: tsv\ndataset_kwargs: {columns: [x, y]}\n%s",
                keys);
    free(file_put(folder, "t.tsv", data, strlen(data)));
    char *path = file_put(folder, "t.yaml", text_c(&yaml), yaml.length);
    assert_ok(suite_load(&s, path, &e), &e);
    text_free(&yaml);
    free(path);
    return s;
}

/* Outcomes, statistics and samples of requests that were run. */
static void finish(const struct suite *s, const struct item *items, size_t n, const struct requests *q,
                   struct outcomes *o, struct suite_result *r)
{
    struct error e = {0};
    const struct resampling how = {.resamples = 100, .seed = 1};
    assert_ok(outcomes_make(o, s, items, n, q, &e), &e);
    r->n = o->n;
    assert_ok(outcomes_measure(o, s, &how, &r->stats, &r->estimates, &e), &e);
    assert_ok(samples_make(s, items, q, o, r, &r->samples, &e), &e);
}

static void release(struct suite *s, struct item *items, size_t n, struct outcomes *o, struct suite_result *r)
{
    for (size_t i = 0; i < s->n_scores; i++) free(r->stats[i]);
    free(r->stats);
    free(r->estimates);
    json_decref(r->samples);
    outcomes_free(o);
    items_free(items, n);
    suite_free(s);
}

static void assert_sample(const json_t *samples, size_t i, const char *key, const char *due)
{
    json_t *wanted = json_loads(due, JSON_DECODE_ANY, NULL), *got = json_object_get(json_array_get(samples, i), key);
    assert_non_null(wanted);
    if (!json_equal(wanted, got)) {
        char *words = json_dump_text(got, JSON_ENCODE_ANY, NULL);
        fail_msg("sample %zu: %s: %s, due is %s", i, key, words, due);
    }
    json_decref(wanted);
}

static void answers_are_scored_by_pipeline(void **state)
{
    (void)state;
    static const char keys[] = "output_type: generate_until\ndoc_to_text: '{{x}}'\ndoc_to_target: '{{y}}'\n"
                               "generation_kwargs: {max_gen_toks: 4}\nrepeats: 3\nfilter_list:\n"
                               "  - {name: raw, filter: [{function: take_first}]}\n"
                               "  - {name: vote, filter: [{function: regex, regex_pattern: '[a-z]+'}, "
                               "{function: majority_vote}]}\n"
                               "metric_list: [{metric: exact_match}]\n";
    static const char *const texts[] = {" cat ", "dog1", "dog", "3 ant", "ant\n", "fox"};
    struct error e = {0};
    struct generation generations[6] = {0};
    struct item *items;
    size_t n;
    char *folder = folder_temporary();
    struct suite *s = make(folder, keys, "q\tzebra\nq\tcat\nq\tant\n");
    json_t *indices = json_loads("[1, 2]", 0, NULL);
    assert_ok(suite_items(s, 0, indices, &items, &n, &e), &e);
    for (size_t i = 0; i < 6; i++) text_add(&generations[i].text, texts[i]);
    const struct requests q = {.generations = generations, .n_generations = 6};
    struct outcomes o;
    struct suite_result r = {0};
    finish(s, items, n, &q, &o, &r);

    assert_int_equal(o.n, 2);
    assert_string_equal(o.at[0].text, "cat");
    assert_string_equal(o.at[1].text, "3 ant");
    assert_string_equal(o.at[2].text, "dog");
    assert_string_equal(o.at[3].text, "ant");
    assert_near(r.estimates[0].value, 0.5, 0, "raw");
    assert_near(r.estimates[1].value, 0.5, 0, "vote");
    assert_sample(r.samples, 0, "doc_id", "1");
    assert_sample(r.samples, 1, "doc_id", "2");
    assert_sample(r.samples, 0, "resps", "[\" cat \", \"dog1\", \"dog\"]");
    assert_sample(r.samples, 0, "filtered_resps", "{\"raw\": [\"cat\"], \"vote\": [\"dog\"]}");
    assert_sample(r.samples, 1, "filtered_resps", "{\"raw\": [\"3 ant\"], \"vote\": [\"ant\"]}");
    assert_sample(r.samples, 0, "statistics", "{\"exact_match,raw\": [1, 1], \"exact_match,vote\": [0, 1]}");
    assert_sample(r.samples, 1, "metrics", "{\"exact_match,raw\": 0.0, \"exact_match,vote\": 1.0}");
    for (size_t i = 0; i < 6; i++) text_free(&generations[i].text);
    release(s, items, n, &o, &r);
    json_decref(indices);
    folder_remove(folder);
}

static void without_filters_the_first_answer_counts(void **state)
{
    (void)state;
    static const char keys[] =
        "output_type: generate_until\ndoc_to_text: '{{x}}'\ndoc_to_target: '{{y}}'\n"
        "generation_kwargs: {max_gen_toks: 4}\nrepeats: 2\nmetric_list: [{metric: exact_match}]\n";
    struct error e = {0};
    struct generation generations[2] = {0};
    struct item *items;
    size_t n;
    char *folder = folder_temporary();
    struct suite *s = make(folder, keys, "q\tcat\n");
    assert_ok(suite_items(s, 0, NULL, &items, &n, &e), &e);
    text_add(&generations[0].text, "\tcat\n");
    const struct requests q = {.generations = generations, .n_generations = 2};
    struct outcomes o;
    struct suite_result r = {0};
    finish(s, items, n, &q, &o, &r);
    assert_sample(r.samples, 0, "resps", "[\"\\tcat\\n\", \"\"]");
    assert_sample(r.samples, 0, "filtered_resps", "[\"cat\"]");
    assert_sample(r.samples, 0, "statistics", "{\"exact_match\": [1, 1]}");
    text_free(&generations[0].text);
    release(s, items, n, &o, &r);
    folder_remove(folder);
}

/* Choices behind one context are parts of one group, contexts of one continuation are groups. */
static void choices_come_from_parts_and_from_groups(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *statistics[2];
    } cases[] = {
        {"doc_to_text: q\ndoc_to_choice: ['{{x}}', '{{y}}']\ndoc_to_target: 0\n",
         {"{\"acc\": [0, 1], \"acc_norm\": [1, 1]}", "{\"acc\": [1, 1], \"acc_norm\": [1, 1]}"}},
        {"doc_to_text: '{{x.split(\"x\").index(x)}}'\ndoc_to_choice: ['{{x}}', '{{y}}']\ndoc_to_target: so\n",
         {"{\"acc\": [0, 1], \"acc_norm\": [1, 1]}", "{\"acc\": [1, 1], \"acc_norm\": [1, 1]}"}},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < 2; i++) {
        char keys[400];
        struct error e = {0};
        struct item *items;
        size_t n, item_of[4] = {0, i ? 0 : 1, 1, 1};
        struct part parts[4] = {{.loglikelihood = -4, .n = 1},
                                {.loglikelihood = -3, .n = 1},
                                {.loglikelihood = -1, .n = 1, .greedy = true},
                                {.loglikelihood = -2, .n = 1}};
        struct group groups[4] = {0};
        snprintf(keys, sizeof keys,
                 "output_type: multiple_choice\n%smetric_list: [{metric: acc}, {metric: acc_norm}]\n", cases[i].keys);
        struct suite *s = make(folder, keys, "long\tb\na\tb\n");
        assert_ok(suite_items(s, 0, NULL, &items, &n, &e), &e);
        assert_int_equal(items->n_contexts, i ? 2 : 0);
        for (size_t g = 0; g < 4; g++) {
            groups[g].parts = i ? &parts[g] : &parts[2 * (g % 2)];
            groups[g].n_parts = i ? 1 : 2;
        }
        const struct requests q = {
            .groups = groups, .n_groups = i ? 4 : 2, .parts = parts, .n_parts = 4, .item_of = item_of};
        struct outcomes o;
        struct suite_result r = {0};
        finish(s, items, n, &q, &o, &r);
        for (size_t k = 0; k < 2; k++) assert_sample(r.samples, k, "statistics", cases[i].statistics[k]);
        assert_sample(r.samples, 1, "resps", "[[-1.0, true], [-2.0, false]]");
        assert_sample(r.samples, 1, "arguments",
                      i ? "[[\"a\", \" so\"], [\"b\", \" so\"]]" : "[[\"q\", \" a\"], [\"q\", \" b\"]]");
        release(s, items, n, &o, &r);
    }
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_scored_by_pipeline),
        cmocka_unit_test(without_filters_the_first_answer_counts),
        cmocka_unit_test(choices_come_from_parts_and_from_groups),
    };
    return cmocka_run_group_tests_name("suites/outcomes", tests, NULL, NULL);
}
