#include "tests/testing.h"

#include "engine/base/file.h"
#include "suites/data.h"
#include "suites/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct suite *load(const char *name)
{
    struct error e = {0};
    struct suite *s;
    assert_ok(suite_load(&s, name, &e), &e);
    return s;
}

static void lists_the_suites_that_ship(void **state)
{
    (void)state;
    static const char *const shipped[] = {"endings", "lastword",        "questions",  "reviews",
                                          "stories", "stories_chunked", "translation"};
    struct error e = {0};
    char **names;
    assert_ok(suite_names(&names, &e), &e);
    size_t found = 0;
    for (size_t i = 0; names[i]; i++) {
        if (i) assert_true(strcmp(names[i - 1], names[i]) < 0);
        assert_string_not_equal(names[i], "millbrook"); /* a group */
        for (size_t k = 0; k < sizeof shipped / sizeof *shipped; k++) found += strcmp(names[i], shipped[k]) == 0;
        struct suite *s;
        assert_ok(suite_load_without_data(&s, names[i], &e), &e); /* the data of some is fetched, not shipped */
        suite_free(s);
    }
    assert_int_equal(found, sizeof shipped / sizeof *shipped);
    names_free(names);
}

static void every_key_is_read(void **state)
{
    (void)state;
    struct suite *s = load("questions");
    assert_string_equal(s->name, "questions");
    assert_string_equal(s->reader->name, "squad");
    assert_int_equal(s->kind, OUTCOME_GENERATION);
    assert_string_equal(s->text.source, "{{context}}\nQuestion: {{question}}\nAnswer:");
    assert_int_equal(s->n_until, 1);
    assert_string_equal(s->until[0], "\n");
    assert_int_equal(s->max_tokens, 8);
    assert_int_equal(s->n_scores, 2);
    assert_string_equal(s->scores[1].name, "f1");
    assert_int_equal(s->scores[1].measure.metric->kind, OUTCOME_GENERATION);
    assert_true(path_exists(s->data_path));
    assert_string_equal(json_string_value(json_object_get(s->settings, "task")), "questions");
    suite_free(s);

    s = load("stories_chunked");
    assert_int_equal(s->kind, OUTCOME_ROLLING);
    assert_int_equal(s->protocol, PROTOCOL_CHUNKED);
    assert_int_equal(s->context, 512);
    suite_free(s);

    s = load("reviews");
    assert_int_equal(s->n_choices, 2);
    assert_string_equal(s->choices[1].source, "good");
    assert_string_equal(s->delimiter, " ");
    suite_free(s);
}

static void a_group_expands_to_its_suites(void **state)
{
    (void)state;
    static const char *const six[] = {"stories", "endings", "lastword", "questions", "translation", "reviews"};
    struct error e = {0};
    char **names;
    assert_ok(suite_expand("millbrook", &names, &e), &e);
    for (size_t i = 0; i < 6; i++) assert_string_equal(names[i], six[i]);
    assert_null(names[6]);
    names_free(names);

    assert_ok(suite_expand("stories", &names, &e), &e);
    assert_string_equal(names[0], "stories");
    assert_null(names[1]);
    names_free(names);

    struct suite *s;
    assert_error(suite_load(&s, "millbrook", &e), &e, ERROR_INPUT, "line 1: group: this is a group of suites");
}

static void unknown_names_get_the_nearest(void **state)
{
    (void)state;
    struct error e = {0};
    struct suite *s;
    char **names;
    assert_error(suite_load(&s, "storis", &e), &e, ERROR_USAGE,
                 "suite \"storis\": no such suite, did you mean \"stories\"? (kerf suites lists them)");
    assert_error(suite_expand("milbrook", &names, &e), &e, ERROR_USAGE, "did you mean \"millbrook\"?");
    assert_error(suite_load(&s, "qqqqqqqq", &e), &e, ERROR_USAGE, "\"qqqqqqqq\": no such suite (kerf suites");
    assert_error(suite_load(&s, "", &e), &e, ERROR_USAGE, "no such suite");
    assert_error(suite_load(&s, "no/such.yaml", &e), &e, ERROR_IO, "no/such.yaml: open");
}

static const char own_suite[] = "task: mine\n"
                                "dataset_path: mine.tsv\n"
                                "dataset_format: tsv\n"
                                "dataset_kwargs: {header: true}\n"
                                "output_type: multiple_choice\n"
                                "doc_to_text: '{{q}}'\n"
                                "doc_to_choice: ['{{a}}', '{{b}}', no]\n"
                                "doc_to_target: right\n"
                                "target_delimiter: ''\n"
                                "metric_list: [{metric: acc}]\n";

static void own_suites_lie_beside_their_data(void **state)
{
    (void)state;
    struct error e = {0};
    char *folder = folder_temporary();
    static const char data[] = "q\ta\tb\tright\n1+1=\t2\t3\t2\n2+1=\t2\t3\t1\n1+1=5?\tyes\tmaybe\tno\n";
    static const char group[] = "group: both\ntask: [mine, stories]\n";
    char *suite_file = file_put(folder, "mine.yaml", own_suite, sizeof own_suite - 1);
    char *data_file = file_put(folder, "mine.tsv", data, sizeof data - 1);
    char *group_file = file_put(folder, "both.yaml", group, sizeof group - 1);

    char **names;
    assert_ok(suite_expand(group_file, &names, &e), &e);
    assert_string_equal(names[0], suite_file);
    assert_string_equal(names[1], "stories");

    struct suite *s = load(names[0]);
    assert_string_equal(s->data_path, data_file);
    assert_string_equal(s->delimiter, "");
    struct item *items;
    size_t n;
    assert_ok(suite_items(s, 0, NULL, &items, &n, &e), &e);
    assert_int_equal(n, 3);
    static const size_t gold[] = {0, 1, 2}; /* by text, by index, by text */
    for (size_t i = 0; i < n; i++) assert_int_equal(items[i].gold, gold[i]);
    assert_string_equal(items[2].prompt, "1+1=5?");
    assert_string_equal(items[2].targets[1], "maybe");
    items_free(items, n);

    suite_free(s);
    names_free(names);
    free(group_file);
    free(data_file);
    free(suite_file);
    folder_remove(folder);
}

static const char swept[] = "task: swept\ndataset_path: millbrook/translation.test.tsv\ndataset_format: tsv\n"
                            "dataset_kwargs: {columns: [a, b]}\noutput_type: generate_until\ndoc_to_text: '{{a}}'\n"
                            "doc_to_target: '{{b}}'\ngeneration_kwargs: {max_gen_toks: 4, until: x}\n"
                            "decode: [greedy, 'beam:4,length-penalty=0.5']\nrepeats: 2\n"
                            "filter_list:\n  - {name: first, filter: [{function: take_first}]}\n"
                            "  - {name: vote, filter: [{function: majority_vote}, {function: take_first}]}\n"
                            "metric_list: [{metric: exact_match}, {metric: bleu, tokenize: zh, aggregation: bleu}]\n";

static void a_list_of_strategies_is_a_suite_each(void **state)
{
    (void)state;
    struct error e = {0};
    char *folder = folder_temporary(), **names, given[200];
    char *path = file_put(folder, "swept.yaml", swept, sizeof swept - 1);
    static const char group[] = "group: g\ntask: [swept, stories, translation@beam:2]\n";
    char *group_file = file_put(folder, "g.yaml", group, sizeof group - 1);
    static const char *const due[] = {"swept.greedy", "swept.beam-4-length-penalty-0.5", "stories",
                                      "translation.beam-2"};
    assert_ok(suite_expand(group_file, &names, &e), &e);
    for (size_t i = 0; i < 4; i++) {
        struct suite *s = load(names[i]);
        assert_string_equal(s->name, due[i]);
        if (i == 1) assert_string_equal(s->decode.spec, "beam:4,length-penalty=0.5");
        suite_free(s);
    }
    assert_null(names[4]);
    names_free(names);

    assert_ok(suite_expand(path, &names, &e), &e);
    assert_non_null(names[1]);
    assert_null(names[2]);
    names_free(names);

    struct suite *s = load(path); /* by itself it is the first */
    assert_string_equal(s->name, "swept.greedy");
    const struct decode beam = {.spec = "beam:3", .kind = DECODE_BEAM, .beams = 3};
    assert_ok(suite_decode(s, &beam, &e), &e);
    assert_string_equal(s->name, "swept.beam-3");
    assert_int_equal(s->decode.beams, 3);
    suite_free(s);
    s = load("stories"); /* nothing to decode */
    assert_ok(suite_decode(s, &beam, &e), &e);
    assert_string_equal(s->name, "stories");
    suite_free(s);

    snprintf(given, sizeof given, "%s@sample,top-p=0.9", path);
    s = load(given);
    assert_string_equal(s->name, "swept.sample-top-p-0.9");
    suite_free(s);
    assert_error(suite_load(&s, "stories@greedy", &e), &e, ERROR_USAGE, "stories generates no texts");
    assert_error(suite_load(&s, "translation@bean", &e), &e, ERROR_USAGE, "suite \"translation@bean\": ");
    assert_error(suite_expand("millbrook@greedy", &names, &e), &e, ERROR_USAGE, "a group has no decoding strategy");
    free(group_file);
    free(path);
    folder_remove(folder);
}

static void every_pipeline_has_every_metric(void **state)
{
    (void)state;
    static const char *const due[] = {"exact_match,first", "exact_match,vote", "bleu,first", "bleu,vote"};
    char *folder = folder_temporary(), *path = file_put(folder, "swept.yaml", swept, sizeof swept - 1);
    struct suite *s = load(path);
    assert_int_equal(s->n_pipelines, 2);
    assert_int_equal(s->repeats, 2);
    assert_int_equal(s->n_scores, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(s->scores[i].name, due[i]);
        assert_int_equal(s->scores[i].pipeline, i % 2);
    }
    struct text signature = {0};
    measure_signature(&s->scores[3].measure, 1, &signature);
    assert_non_null(strstr(text_c(&signature), "tok:zh"));
    text_free(&signature);
    suite_free(s);
    free(path);
    folder_remove(folder);
}

static void lists_do_without_data(void **state)
{
    (void)state;
    static const char missing[] = "task: m\ndataset_path: none.txt\ndataset_format: text\n"
                                  "output_type: loglikelihood_rolling\ndoc_to_target: '{{text}}'\n"
                                  "metric_list: [{metric: perplexity}]\n";
    struct error e = {0};
    struct suite *s;
    char *folder = folder_temporary(), *path = file_put(folder, "m.yaml", missing, sizeof missing - 1);
    assert_error(suite_load(&s, path, &e), &e, ERROR_INPUT, "line 2: dataset_path: no such file");
    assert_ok(suite_load_without_data(&s, path, &e), &e);
    assert_null(s->data_path);
    suite_free(s);
    free(path);
    folder_remove(folder);
}

static void data_folders_come_in_order(void **state)
{
    (void)state;
    struct error e = {0};
    char *before = getenv("KERF_DATA") ? strdup(getenv("KERF_DATA")) : NULL, *folder = folder_temporary();
    assert_int_equal(setenv("KERF_DATA", folder, 1), 0);
    char *path = file_put(folder, "thing", "x", 1), *first = data_folder(0, &e), *found = data_find("thing", &e);
    assert_string_equal(first, folder);
    assert_string_equal(found, path);
    free(found);
    found = data_find("suites/stories.yaml", &e); /* not in the first: a later one has it */
    assert_non_null(found);
    e.code = ERROR_IO;
    assert_null(data_find("no such thing", &e));
    assert_int_equal(e.code, ERROR_NONE);
    before ? setenv("KERF_DATA", before, 1) : unsetenv("KERF_DATA");
    free(before);
    free(found);
    free(first);
    free(path);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_the_suites_that_ship),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(a_group_expands_to_its_suites),
        cmocka_unit_test(unknown_names_get_the_nearest),
        cmocka_unit_test(a_list_of_strategies_is_a_suite_each),
        cmocka_unit_test(every_pipeline_has_every_metric),
        cmocka_unit_test(lists_do_without_data),
        cmocka_unit_test(own_suites_lie_beside_their_data),
        cmocka_unit_test(data_folders_come_in_order),
    };
    return cmocka_run_group_tests_name("suites/suite", tests, NULL, NULL);
}
