#include "engine/base/json.h"
#include "tests/testing.h"

#include "engine/base/text.h"
#include "suites/suite.h"
#include "suites/yaml.h"

#include <stdlib.h>
#include <string.h>

/* Three good suites; a case changes one line of one of them. */
static const char generation[] = "task: t\n"
                                 "dataset_path: millbrook/questions.test.json\n"
                                 "dataset_format: squad\n"
                                 "output_type: generate_until\n"
                                 "doc_to_text: '{{question}}'\n"
                                 "doc_to_target: '{{answers}}'\n"
                                 "generation_kwargs:\n"
                                 "  until: [\"\\n\"]\n"
                                 "  max_gen_toks: 8\n"
                                 "metric_list:\n"
                                 "  - metric: f1\n";
static const char choice[] = "task: t\n"
                             "dataset_path: millbrook/reviews.test.tsv\n"
                             "dataset_format: sst2\n"
                             "output_type: multiple_choice\n"
                             "doc_to_text: '{{sentence}}'\n"
                             "doc_to_choice: [bad, good]\n"
                             "doc_to_target: '{{label}}'\n"
                             "metric_list:\n"
                             "  - metric: acc\n";
static const char rolling[] = "task: t\n"
                              "dataset_path: millbrook/stories.test.txt\n"
                              "dataset_format: text\n"
                              "output_type: loglikelihood_rolling\n"
                              "doc_to_target: '{{text}}'\n"
                              "protocol: chunked\n"
                              "context: 512\n"
                              "metric_list:\n"
                              "  - metric: perplexity\n";

/* Writes SOURCE with its line LINE (from 1; 0: none) replaced, or taken away where the replacement is NULL. */
static char *write_changed(const char *folder, const char *source, int line, const char *replacement)
{
    struct text t = {0};
    int number = 1;
    for (const char *at = source, *end; *at; at = end, number++) {
        end = strchr(at, '\n') + 1;
        if (number != line)
            text_bytes(&t, at, (size_t)(end - at));
        else if (replacement)
            text_printf(&t, "%s\n", replacement);
    }
    char *path = file_put(folder, "t.yaml", text_c(&t), t.length);
    text_free(&t);
    return path;
}

static const struct {
    const char *source;
    int line;
    const char *replacement, *words;
} broken_lines[] = {
    {generation, 0, NULL, NULL},
    {choice, 0, NULL, NULL},
    {rolling, 0, NULL, NULL},
    {choice, 8, "metrics:", "line 8: metrics: unknown key, did you mean \"metric_list\"?"},
    {choice, 5, "doc_to_txt: x", "line 5: doc_to_txt: unknown key, did you mean \"doc_to_text\"?"},
    {choice, 5, "zzz: x", "line 5: zzz: unknown key"},
    {choice, 5, "task: x", "line 5: task: the key is there twice"},
    {choice, 1, NULL, "task: missing key"},
    {choice, 2, NULL, "dataset_path: missing key"},
    {choice, 3, NULL, "dataset_format: missing key"},
    {choice, 4, NULL, "output_type: missing key"},
    {choice, 5, NULL, "doc_to_text: missing key: output_type multiple_choice needs it"},
    {choice, 6, NULL, "doc_to_choice: missing key: output_type multiple_choice needs it"},
    {choice, 7, NULL, "doc_to_target: missing key"},
    {rolling, 5, NULL, "doc_to_target: missing key"},
    {generation, 4, "output_type: generate", "line 4: output_type: must be one of"},
    {generation, 4, "output_type: multiple_choice", "line 7: generation_kwargs: does not belong to output_type"},
    {choice, 4, "output_type: loglikelihood", "line 6: doc_to_choice: does not belong to output_type loglikelihood"},
    {rolling, 4, "output_type: loglikelihood", "line 6: protocol: does not belong to output_type loglikelihood"},
    {choice, 1, "task: ../etc", "line 1: task: must be a name"},
    {choice, 1, "task: 7", "line 1: task: must be a name"},
    {choice, 2, "dataset_path: no/such.tsv", "line 2: dataset_path: no such file; looked at /tmp/"},
    {choice, 2, "dataset_path: /no/such.tsv", "line 2: dataset_path: no such file; looked at /no/such.tsv"},
    {choice, 2, "dataset_path: [a]", "line 2: dataset_path: must be the path of a data file"},
    {choice, 3, "dataset_format: sst", "line 3: dataset_format: \"sst\": no such format, did you mean \"sst2\"?"},
    {choice, 3, "dataset_format: true", "line 3: dataset_format: must be the name of a reader"},
    {choice, 3, "dataset_format: tsv", "dataset_kwargs: columns: is missing"},
    {choice, 3, "dataset_format: tsv\ndataset_kwargs: {colums: [a]}",
     "line 4: dataset_kwargs.colums: unknown key, did you mean \"columns\"?"},
    {choice, 3, "dataset_format: tsv\ndataset_kwargs: {columns: [a, a]}",
     "line 4: dataset_kwargs: columns: \"a\" is there twice"},
    {choice, 3, "dataset_format: sst2\ndataset_kwargs: {columns: [a, b]}",
     "line 4: dataset_kwargs: columns: must be sentence and label"},
    {choice, 3, "dataset_format: sst2\ndataset_kwargs: 3", "line 4: dataset_kwargs: must be a mapping"},
    {choice, 5, "doc_to_text: 7", "line 5: doc_to_text: must be a string"},
    {choice, 5, "doc_to_text: '{{x'", "line 5: doc_to_text: template: a {{ has no }} after it"},
    {choice, 6, "doc_to_choice: [bad]", "line 6: doc_to_choice: must be a list of at least 2"},
    {choice, 6, "doc_to_choice: [bad, 1]", "line 6: doc_to_choice[1]: must be a string"},
    {choice, 6, "doc_to_choice: 'bad {{x}}'", "line 6: doc_to_choice: must be a list of choices"},
    {choice, 9, "  - metric: acd",
     "line 9: metric_list[0]: \"acd\": no such metric of multiple_choice, did you "
     "mean \"acc\"?"},
    {choice, 9, "  - metric: bleu", "line 9: metric_list[0]: \"bleu\" is a metric of generate_until, not of multi"},
    {choice, 9, "  - metric: acc\n    aggregation: mean\n    higher_is_better: true", NULL},
    {choice, 9, "  - metric: mcc\n    aggregation: matthews_corrcoef", NULL},
    {choice, 9, "  - metric: acc\n    aggregation: median",
     "line 10: metric_list[0].aggregation: acc is aggregated by mean alone"},
    {choice, 9, "  - metric: acc\n    higher_is_better: false",
     "line 10: metric_list[0].higher_is_better: of acc the higher is better"},
    {choice, 9, "  - metric: acc\n    colour: red", "line 10: metric_list[0].colour: the metric acc takes no options"},
    {choice, 9, "  - metric: acc\n  - metric: acc", "line 10: metric_list[1]: \"acc\" is there twice"},
    {choice, 9, "  - acc", "line 9: metric_list[0]: must be a mapping"},
    {choice, 9, "  []", "line 8: metric_list: must be a list"},
    {rolling, 5, "doc_to_target: '{{text}}'\ndoc_to_text: x", "line 6: doc_to_text: must be \"\""},
    {rolling, 6, "protocol: stridden", "line 6: protocol: must be rolling, chunked or strided"},
    {rolling, 7, "context: 3", "line 7: context: must be a whole number from 4 to 16777216"},
    {rolling, 7, "context: 512.5", "line 7: context: must be a whole number"},
    {rolling, 7, "context: 99999999999999999999", "line 7: context: the number does not fit into 64 bits"},
    {generation, 9, NULL, "line 7: generation_kwargs: max_gen_toks: missing key"},
    {generation, 9, "  max_gen_toks: 0", "line 9: generation_kwargs.max_gen_toks: must be a whole number from 1"},
    {generation, 9, "  max_gen_toks: '8'", "line 9: generation_kwargs.max_gen_toks: must be a whole number"},
    {generation, 9, "  max_gen_tok: 8", "line 9: generation_kwargs.max_gen_tok: unknown key, did you mean"},
    {generation, 8, "  until: ['']", "line 8: generation_kwargs.until: string 1 must be a non-empty string"},
    {generation, 8, "  until: x", NULL},
    {generation, 8, "  until: 7", "line 8: generation_kwargs.until: must be a list"},
    {generation, 8, "  do_sample: true\n  temperature: 0.7", NULL},
    {generation, 8, "  temperature: warm", "line 8: generation_kwargs.temperature: must be"},
    {generation, 8, "  do_sample: true\n  num_beams: 4", "line 7: generation_kwargs: "},
    {generation, 8, "  temprature: 1",
     "line 8: generation_kwargs.temprature: unknown key, did you mean \"temperature\"?"},
    {generation, 9, "  max_gen_toks: 8\n  num_beams: 4\ndecode: greedy",
     "line 11: decode: generation_kwargs says how texts are decoded already"},
    {generation, 1, "task: t\ndecode: [greedy, 'beam:4']", NULL},
    {generation, 1, "task: t\ndecode: bean:4", "line 2: decode: "},
    {generation, 1, "task: t\ndecode: []", "line 2: decode: the list is empty"},
    {generation, 1, "task: t\ndecode: 7", "line 2: decode: must be a decoding strategy"},
    {generation, 1, "task: t\ndecode: [greedy, 'beam:2', 'beam:2,length-penalty=1']",
     "line 2: decode[2]: beam:2 is there twice"},
    {generation, 1, "task: t\nrepeats: 0", "line 2: repeats: must be a whole number from 1 to 1024"},
    {generation, 1, "task: t\nmetadata: {version: 1}\ntag: [a]\ndescription: 'Be brief. '", NULL},
    {generation, 1, "task: t\nnum_fewshot: -1", "line 2: num_fewshot: must be a whole number from 0 to 1000"},
    {generation, 1, "task: t\nfewshot_config: 3", "line 2: fewshot_config: must be a mapping"},
    {generation, 1, "task: t\nfewshot_config: {sampler: last_n}", "line 2: fewshot_config.sampler: must be default"},
    {generation, 1, "task: t\nfewshot_config: {split: train}", "line 2: fewshot_config.split: unknown key"},
    {generation, 1, "task: t\nfewshot_config: {seed: x}", "line 2: fewshot_config.seed: must be a whole number"},
    {generation, 1, "task: t\nfewshot_config: {dataset_path: none.json}",
     "line 2: fewshot_config.dataset_path: no such file; looked at /tmp/"},
    {generation, 1, "task: t\nfewshot_config: {samples: [7]}", "line 2: fewshot_config.samples: must be a list"},
    {rolling, 1, "task: t\nnum_fewshot: 1", "line 2: num_fewshot: does not belong to output_type"},
    {choice, 1, "task: t\nrepeats: 2", "line 2: repeats: does not belong to output_type multiple_choice"},
    {choice, 1, "task: t\nfilter_list: []", "line 2: filter_list: does not belong to output_type"},
    {generation, 1, "task: t\nfilter_list: [{name: a, filter: [{function: take_first}]}]", NULL},
    {generation, 1, "task: t\nfilter_list: {}", "line 2: filter_list: must be a list"},
    {generation, 1, "task: t\nfilter_list: [7]", "line 2: filter_list[0]: must be a mapping with name and filter"},
    {generation, 1, "task: t\nfilter_list: [{name: a}]", "filter_list[0].filter: must be a list of"},
    {generation, 1, "task: t\nfilter_list: [{name: 'a,b', filter: []}]", "line 2: filter_list[0].name: must be a name"},
    {generation, 1, "task: t\nfilter_list: [{nam: a}]",
     "line 2: filter_list[0].nam: unknown key, did you mean \"name\"?"},
    {generation, 1, "task: t\nfilter_list: [{name: a, filter: [{function: regx}]}]",
     "line 2: filter_list[0].filter[0].function: \"regx\": no such filter, did you mean \"regex\"?"},
    {generation, 1, "task: t\nfilter_list: [{name: a, filter: [{function: regex, regex_pattern: '(a'}]}]",
     "line 2: filter_list[0].filter[0].regex_pattern: character 2 of the regular expression: missing closing"},
    {generation, 1, "task: t\nfilter_list: [{name: a, filter: [{function: regex, regex_patern: a}]}]",
     "line 2: filter_list[0].filter[0].regex_patern: unknown key of regex, did you mean \"regex_pattern\"?"},
    {generation, 1, "task: t\nfilter_list: [{name: a, filter: [{function: regex, group_select: x}]}]",
     "line 2: filter_list[0].filter[0].group_select: must be a whole number"},
    {generation, 1, "task: t\nfilter_list: [{name: a, filter: [{function: take_first_k}]}]",
     "filter_list[0].filter[0].k: missing key"},
    {generation, 1, "task: t\nfilter_list: [{name: a, filter: [{function: map, mapping_dict: [a]}]}]",
     "line 2: filter_list[0].filter[0].mapping_dict: must be a mapping"},
    {generation, 1,
     "task: t\nfilter_list: [{name: a, filter: [{function: take_first}]}, {name: a, filter: [{function: "
     "take_first}]}]",
     "line 2: filter_list[1]: \"a\" is there twice"},
};

static void broken_lines_are_named(void **state)
{
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof broken_lines / sizeof *broken_lines; i++) {
        struct error e = {0};
        struct suite *s;
        char *path = write_changed(folder, broken_lines[i].source, broken_lines[i].line, broken_lines[i].replacement);
        int status = suite_load(&s, path, &e);
        if (broken_lines[i].words) {
            assert_error(status, &e, ERROR_INPUT, broken_lines[i].words);
            assert_memory_equal(e.text, path, strlen(path));
            assert_null(s);
        } else {
            assert_ok(status, &e);
            suite_free(s);
        }
        free(path);
    }
    folder_remove(folder);
}

#define BYTES(s) s, sizeof(s) - 1

static void hostile_yaml_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t size;
        const char *words;
    } cases[] = {
        {BYTES(""), "t.yaml: is empty"},
        {BYTES("# only a comment\n"), "t.yaml: is empty"},
        {BYTES("- a\n- b\n"), "line 1: must be a mapping"},
        {BYTES("word\n"), "line 1: must be a mapping"},
        {BYTES("a: &x 1\nb: *x\n"), "line 1: a: anchors (&) are not accepted"},
        {BYTES("a: [*x]\n"), "line 1: a[0]: aliases (*) are not accepted"},
        {BYTES("a: &x {b: *x}\n"), "line 1: a: anchors (&) are not accepted"},
        {BYTES("a: 1\n&k b: 2\n"), "line 2: anchors (&) and tags (!) are not accepted"},
        {BYTES("a: !function utils.f\n"), "line 1: a: tags (!) are not accepted"},
        {BYTES("a: 1\n---\nb: 2\n"), "line 2: a second document is not accepted"},
        {BYTES("a: 1\nb: 2\na: 3\n"), "line 3: a: the key is there twice"},
        {BYTES("a: {b: 1, b: 2}\n"), "line 1: a.b: the key is there twice"},
        {BYTES("a: {[x]: 1}\n"), "line 1: a: a key must be a word"},
        {BYTES("a: [[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]\n"), "is nested too deeply"},
        {BYTES("a: .inf\n"), "line 1: a: is not a finite number"},
        {BYTES("a: 1e999\n"), "line 1: a: is not a finite number"},
        {BYTES("a: \"x\\0y\"\n"), "line 1: a: has a NUL character"},
        {BYTES("a: b\0c\n"), "offset 0x4: control characters are not allowed"},
        {BYTES("a: \xFF\n"), "offset 0x3: invalid leading UTF-8 octet"},
        {BYTES("a: [1, 2\nb: 3\n"), "line 2: column"},
        {BYTES("a: 'never closed\n"), "line 2: column"},
        {BYTES("a: b: c\n"), "line 1: column 5: mapping values are not allowed in this context"},
        {BYTES("a:\n\t- b\n"), "line 2: column"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct yaml y;
        char *path = file_put(folder, "t.yaml", cases[i].data, cases[i].size);
        assert_error(yaml_file_read(&y, path, &e), &e, ERROR_INPUT, cases[i].words);
        free(path);
    }
    folder_remove(folder);
}

static void scalars_have_the_types_of_the_core_schema(void **state)
{
    (void)state;
    static const char data[] = "\xEF\xBB\xBF[a]: 1\n";
    static const char good[] =
        "\xEF\xBB\xBF"
        "n: [~, null, ]\nb: [true, False, yes, off]\ni: [0, -12, +7, 0x1F, 0o17, 010]\n"
        "f: [1.5, -2e3, .5, 3., 1e-2]\ns: ['1', \"true\", 1.2.3, 1e, 0x, +, v1]\nt: |\n  a\n  b\n";
    static const char due[] =
        "{\"n\": [null, null], \"b\": [true, false, \"yes\", \"off\"], "
        "\"i\": [0, -12, 7, 31, 15, 10], \"f\": [1.5, -2000.0, 0.5, 3.0, 0.01], "
        "\"s\": [\"1\", \"true\", \"1.2.3\", \"1e\", \"0x\", \"+\", \"v1\"], \"t\": \"a\\nb\\n\"}";
    struct error e = {0};
    struct yaml y;
    char *folder = folder_temporary(), *path = file_put(folder, "good.yaml", BYTES(good));
    assert_ok(yaml_file_read(&y, path, &e), &e);
    json_t *value = json_loads(due, 0, NULL);
    char *got = json_dump_text(y.root, 0, NULL);
    if (!json_equal(y.root, value)) fail_msg("%s", got);
    assert_int_equal(json_integer_value(json_object_get(y.lines, "s[3]")), 5);
    free(got);
    json_decref(value);
    yaml_file_free(&y);
    free(path);
    path = file_put(folder, "list.yaml", BYTES(data));
    assert_error(yaml_file_read(&y, path, &e), &e, ERROR_INPUT, "a key must be a word");
    free(path);
    folder_remove(folder);
}

static void groups_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *data, *words;
    } cases[] = {
        {"group: g\n", "task: must be a list of the group's suites"},
        {"group: g\ntask: []\n", "line 2: task: must be a list"},
        {"group: [g]\ntask: [stories]\n", "line 1: group: must be a name"},
        {"group: g\ntask:\n  - stories\n  - storis\n",
         "line 4: task[1]: suite \"storis\": no such suite, did you mean"},
        {"group: g\ntask: [7]\n", "line 2: task[0]: must be the name of a suite"},
        {"group: g\ntask: [stories, stories]\n", "line 2: task[1]: \"stories\" is there twice"},
        {"group: g\ntask: [millbrook]\n", "line 2: task[0]: \"millbrook\" is a group itself"},
        {"group: g\ntask: [t.yaml]\n", "line 2: task[0]: \"t.yaml\" is a group itself"},
        {"group: g\ntask: [none/t.yaml]\n", "line 2: task[0]: none/t.yaml: no such file"},
        {"group: g\ntasks: [stories]\n", "line 2: tasks: unknown key of a group, did you mean \"task\"?"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        char **names, *path = file_put(folder, "t.yaml", cases[i].data, strlen(cases[i].data));
        assert_error(suite_expand(path, &names, &e), &e, ERROR_INPUT, cases[i].words);
        assert_null(names);
        free(path);
    }
    folder_remove(folder);
}

static void huge_files_are_refused(void **state)
{
    (void)state;
    struct error e = {0};
    struct yaml y;
    const size_t n = YAML_BYTES + 1;
    char *folder = folder_temporary(), *data = malloc(n);
    assert_non_null(data);
    memset(data, '[', n);
    char *path = file_put(folder, "t.yaml", data, n);
    assert_error(yaml_file_read(&y, path, &e), &e, ERROR_INPUT, "has 262145 bytes, more than the 262144");
    free(path);
    path = file_put(folder, "t.yaml", data, n - 1);
    assert_error(yaml_file_read(&y, path, &e), &e, ERROR_INPUT, "t.yaml: line 1");
    free(path);
    free(data);
    folder_remove(folder);
}

/* The line of every place is kept, but not of every entry of a list whose place is as long as a page. */
static void long_places_are_not_kept(void **state)
{
    (void)state;
    struct error e = {0};
    struct yaml y;
    struct text t = {0};
    for (int i = 0; i < 10; i++) text_printf(&t, "%s%0120d: ", i ? "{" : "", i);
    text_add(&t, "[");
    for (int i = 0; i < 5000; i++) text_add(&t, "1, ");
    text_add(&t, "1]}}}}}}}}}\n");
    char *folder = folder_temporary(), *path = file_put(folder, "t.yaml", text_c(&t), t.length);
    assert_ok(yaml_file_read(&y, path, &e), &e);
    assert_int_equal(json_object_size(y.lines), 2);
    yaml_file_free(&y);
    text_free(&t);
    free(path);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_lines_are_named),
        cmocka_unit_test(hostile_yaml_is_refused),
        cmocka_unit_test(scalars_have_the_types_of_the_core_schema),
        cmocka_unit_test(groups_are_checked),
        cmocka_unit_test(huge_files_are_refused),
        cmocka_unit_test(long_places_are_not_kept),
    };
    return cmocka_run_group_tests_name("corrupt/suite_file", tests, NULL, NULL);
}
