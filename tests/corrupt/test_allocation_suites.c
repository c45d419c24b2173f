/* Memory that runs out while suite files, data of every format and finished runs are read. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/models/model.h"
#include "suites/finished.h"
#include "suites/run.h"
#include "suites/suite.h"
#include "tests/corrupt/failing.h"

#include <string.h>

static int load_suite(const char *path, struct error *e)
{
    struct suite *s;
    const int status = suite_load_without_data(&s, path, e);
    if (!status) suite_free(s);
    return status;
}

static int load_items(const char *path, struct error *e)
{
    struct suite *s;
    struct item *items;
    size_t n;
    int status = suite_load(&s, path, e);
    if (status) return status;
    status = suite_items(s, 0, NULL, &items, &n, e);
    if (!status) items_free(items, n);
    suite_free(s);
    return status;
}

static void test_corpus(void **state)
{
    (void)state;
    static const char *const names[] = {"rolling", "choice", "generation", "columns"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "tests/fuzz/corpus/suite/%s.yaml", names[i]);
        assert_fails(names[i], load_suite, path, 50, 0);
    }
}

/* Every key of a suite, and a few documents. */
static void test_every_key(void **state)
{
    (void)state;
    static const struct {
        const char *name, *keys;
    } suites[] = {
        {"choice", "output_type: multiple_choice\n"
                   "description: 'About {{x}}: '\n"
                   "doc_to_text: '{{x|trim|lower}} {{x.split(\" \")[0]}}: {{x.replace(\"a\", \"b\")}}'\n"
                   "doc_to_choice: ['{{y}}', \"b\", 'long {{x}}']\n"
                   "doc_to_target: 1\n"
                   "num_fewshot: 1\n"
                   "fewshot_config: {sampler: first_n, samples: [{x: a, y: b}, {x: c, y: d}]}\n"
                   "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}, {metric: acc_norm}]\n"},
        {"random", "output_type: loglikelihood\n"
                   "doc_to_text: '{{x}}'\n"
                   "doc_to_target: ' {{y}}'\n"
                   "target_delimiter: ''\n"
                   "fewshot_delimiter: '; '\n"
                   "num_fewshot: 1\n"
                   "fewshot_config: {sampler: default, seed: 7, dataset_path: t.tsv}\n"
                   "metric_list: [{metric: acc}, {metric: perplexity}]\n"},
        {"generation",
         "output_type: generate_until\n"
         "doc_to_text: '{{x}}'\n"
         "doc_to_target: '{{y}}'\n"
         "repeats: 2\n"
         "decode: [greedy, 'beam:2', 'beam:3']\n"
         "generation_kwargs: {until: [x, y], max_gen_toks: 8}\n"
         "filter_list:\n"
         "  - {name: a, filter: [{function: regex, regex_pattern: '(\\d+)', group_select: -1, fallback: 7},"
         " {function: take_first}]}\n"
         "  - {name: b, filter: [{function: map, mapping_dict: {a: b, c: 1.5}}, {function: lowercase},"
         " {function: majority_vote}]}\n"
         "  - {name: c, filter: [{function: multi_choice_regex, regexes_to_ignore: [a, b]},"
         " {function: take_first_k, k: 1}]}\n"
         "metric_list: [{metric: exact_match, ignore_case: true, regexes_to_ignore: [a, b]},"
         " {metric: bleu, tokenize: 13a, lowercase: false}, {metric: rouge1}, {metric: f1},"
         " {metric: chrf, word_order: 2}, {metric: ter}]\n"},
        {"sampling", "output_type: generate_until\n"
                     "doc_to_text: '{{x}}'\n"
                     "doc_to_target: '{{y}}'\n"
                     "generation_kwargs: {until: x, max_gen_toks: 8, do_sample: true, temperature: 0.5, top_k: 3}\n"
                     "metric_list: [{metric: exact_match}]\n"},
        {"rolling", "output_type: loglikelihood_rolling\n"
                    "doc_to_target: '{{x}} {{y}}'\n"
                    "doc_to_count: '{{y}}'\n"
                    "protocol: rolling\n"
                    "context: 64\n"
                    "metric_list: [{metric: word_perplexity, aggregation: weighted_perplexity}]\n"},
    };
    char *folder = folder_temporary();
    free(file_put(folder, "t.tsv", "a one\tb\nc d\te\nf\tg\n", 18));
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        char yaml[2000];
        const int n = snprintf(yaml, sizeof yaml,
                               "task: t\nabout: words\ntag: [x]\nmetadata: {version: 1.5, n: [0x1F, ~, true]}\n"
                               "dataset_path: t.tsv\ndataset_format: tsv\ndataset_kwargs: {columns: [x, y]}\n%s",
                               suites[i].keys);
        assert_in_range(n, 1, sizeof yaml - 1);
        char *path = file_put(folder, "t.yaml", yaml, (size_t)n);
        assert_fails(suites[i].name, load_items, path, 100, 0);
        free(path);
    }
    folder_remove(folder);
}

/* --- readers --- */

static int pass_by(void *user, json_t *doc, struct error *e) { return 0; }

/* Which reader, and with what. */
static const struct reading {
    const char *reader, *options, *data;
    long least;
} readings[] = {
    {"text", NULL, "a\nb\n", 3},
    {"paragraphs", NULL, "a\n\nb\nc\n", 5},
    {"wikitext", NULL, " = T = \n( x ) ' y '\n = U = \nz\n", 10},
    {"lambada", NULL, "{\"text\": \"a b\"}\n{\"text\": \"c d\"}\n", 10},
    {"hellaswag", NULL,
     "{\"ctx\": \"c\", \"activity_label\": \"a\", \"ctx_a\": \"[a] b\", \"ctx_b\": \"b\", \"endings\": [\"x [y] z\", "
     "\"y\"], \"label\": 0}\n",
     20},
    {"hellaswag_text", NULL, "c\n0\na\nb\nc\nd\n", 10},
    {"winogrande", NULL, "{\"sentence\": \"a _ b\", \"option1\": \"x\", \"option2\": \"y\", \"answer\": \"1\"}", 10},
    {"arc", NULL,
     "{\"question\": {\"stem\": \"q\", \"choices\": [{\"text\": \"x\", \"label\": \"A\"}, {\"text\": \"y\", \"label\": "
     "\"B\"}]}, \"answerKey\": \"B\"}",
     20},
    {"boolq", NULL, "{\"question\": \"q\", \"passage\": \"p\", \"answer\": true}", 5},
    {"gsm8k", NULL, "{\"question\": \"q\", \"answer\": \"#### 7\"}", 5},
    {"piqa", NULL, "{\"goal\": \"g\", \"sol1\": \"x\", \"sol2\": \"y\", \"label\": \"1\"}", 10},
    {"piqa", "{\"labels\": \"labels\"}", "{\"goal\": \"g\", \"sol1\": \"x\", \"sol2\": \"y\"}", 10},
    {"parallel", "{\"target\": [\"labels\", \"labels\"]}", "a\n", 10},
    {"mmlu", NULL, "\"a, \"\"q\"\"\",1,2,3,4,A\nq,1,2,3,4,D", 20},
    {"csv", "{\"header\": true}", "a,b\r\nc,\"d\ne\"\r\n", 10},
    {"csv", "{\"columns\": [\"a\", \"b\"], \"delimiter\": \";\"}", "c;d\n", 8},
    {"tsv", "{\"columns\": [\"a\", \"b\"]}", "a\tb\nc\td", 8},
    {"sst2", NULL, "sentence\tlabel\na\t1\n", 8},
    {"cola", NULL, "s\t1\t*\ta\n", 8},
    {"mrpc", NULL, "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\ta\tb\n", 20},
    {"conll", NULL, "a O\nb\tB-X\n\nc O\n", 12},
    {"jsonl", NULL, "{\"a\": [1, \"text that is longer than the first room for one\", 2.5]}\n{}\n", 8},
    {"json", "{\"field\": \"a.b\"}",
     "{\"a\": {\"b\": [{\"c\": \"text that is longer than the first room for one\"}, {}]}}", 8},
    {"squad", NULL,
     "{\"data\": [{\"title\": \"t\", \"paragraphs\": [{\"context\": \"c\", \"qas\": [{\"id\": \"1\", \"question\": "
     "\"q\", "
     "\"answers\": [{\"text\": \"a\"}, {\"text\": \"b\"}]}, {\"id\": \"2\", \"question\": \"q\", \"is_impossible\": "
     "true, "
     "\"answers\": []}]}]}]}",
     30},
};

static const struct reading *current; /* what read_data() reads with */
static json_t *current_options;

static int read_data(const char *path, struct error *e)
{
    struct file f;
    int status = file_map(&f, path, e);
    if (status) return status;
    const struct reader_source source = {path, (const char *)f.data, f.size, current_options};
    status = reader_find(current->reader)->read(&source, pass_by, NULL, e);
    file_unmap(&f);
    return status;
}

static void test_readers(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    free(file_put(folder, "labels", "1\n", 2));
    size_t readers = 0, found = 0;
    while (reader_at(readers)) readers++;
    for (size_t r = 0; r < readers; r++) {
        size_t i = 0;
        while (i < sizeof readings / sizeof *readings && strcmp(readings[i].reader, reader_at(r)->name) != 0) i++;
        if (i == sizeof readings / sizeof *readings) fail_msg("%s: there is no case of it", reader_at(r)->name);
        found++;
    }
    assert_int_equal(found, readers);
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        current = &readings[i];
        current_options = current->options ? json_loads(current->options, 0, NULL) : NULL;
        char *path = file_put(folder, "data", current->data, strlen(current->data));
        const bool by_libcsv = strcmp(current->reader, "csv") == 0 || strcmp(current->reader, "mmlu") == 0;
        assert_fails(current->reader, read_data, path, current->least, by_libcsv);
        free(path);
        json_decref(current_options);
    }
    folder_remove(folder);
}

/* --- runs --- */

static int read_run(const char *path, struct error *e)
{
    struct finished f;
    const int status = finished_read(&f, path, e);
    if (!status) finished_free(&f);
    return status;
}

static void test_runs(void **state)
{
    (void)state;
    struct error e;
    struct model *m = model_shipped("gpt2", NULL);
    const struct run_options options = {.limit = 2, .batch = 2, .resampling = {.resamples = 10}};
    struct suite_result result;
    char *folder = folder_temporary();
    assert_ok(suite_run(m, "endings", &options, &result, &e), &e);
    json_t *run = run_record(m, "a@b", "a", 1.5, &result, 1, &e);
    assert_non_null(run);
    assert_ok(run_write(folder, run, &result, 1, &e), &e);
    json_decref(run);
    suite_result_free(&result);
    model_close(m);
    assert_fails("a run", read_run, folder, 100, 0);
    folder_remove(folder);
}

/* Settings of metrics are read back, too. */
static void test_run_with_settings(void **state)
{
    (void)state;
    static const char yaml[] = "task: t\ndataset_path: t.tsv\ndataset_format: tsv\ndataset_kwargs: {columns: [x, y]}\n"
                               "output_type: generate_until\ndoc_to_text: '{{x}}'\ndoc_to_target: '{{y}}'\n"
                               "generation_kwargs: {until: [x], max_gen_toks: 1}\n"
                               "metric_list: [{metric: exact_match, ignore_case: true}]\n";
    struct error e;
    struct suite_result result;
    struct model *m = model_shipped("gpt2", NULL);
    const struct run_options options = {.batch = 2, .resampling = {.resamples = 10}};
    char *folder = folder_temporary(), *path = file_put(folder, "t.yaml", yaml, sizeof yaml - 1);
    free(file_put(folder, "t.tsv", "a\tb\nc\td\n", 8));
    assert_ok(suite_run(m, path, &options, &result, &e), &e);
    json_t *run = run_record(m, "a@b", "a", 1.5, &result, 1, &e);
    assert_non_null(run);
    assert_ok(run_write(folder, run, &result, 1, &e), &e);
    json_decref(run);
    suite_result_free(&result);
    model_close(m);
    assert_fails("a run with settings", read_run, folder, 100, 0);
    free(path);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus), cmocka_unit_test(test_every_key),
                                       cmocka_unit_test(test_readers), cmocka_unit_test(test_runs),
                                       cmocka_unit_test(test_run_with_settings)};
    return cmocka_run_group_tests_name("corrupt/allocation_suites", tests, NULL, NULL);
}
