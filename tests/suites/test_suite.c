#include "tests/testing.h"

#include "engine/base/file.h"
#include "suites/data.h"
#include "suites/suite.h"

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
        suite_free(load(names[i]));
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
                                "doc_to_target: '{{right}}'\n"
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
    assert_ok(suite_items(s, 0, &items, &n, &e), &e);
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
        cmocka_unit_test(lists_the_suites_that_ship),       cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(a_group_expands_to_its_suites),    cmocka_unit_test(unknown_names_get_the_nearest),
        cmocka_unit_test(own_suites_lie_beside_their_data), cmocka_unit_test(data_folders_come_in_order),
    };
    return cmocka_run_group_tests_name("suites/suite", tests, NULL, NULL);
}
