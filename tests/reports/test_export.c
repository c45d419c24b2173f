#include "tests/reports/edit.h"
#include "tests/reports/places.h"

#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/json.h"
#include "reports/export/export.h"
#include "reports/export/lm_eval.h"
#include "reports/foreign/foreign.h"

#define RUN "tests/goldens/run-small.json"

static json_t *export_whole(const json_t *run)
{
    struct error e;
    json_t *v = lm_results(run, &e);
    if (!v) fail_msg("%s", e.text);
    return v;
}

/* What the harness's tools look for, under their names and with their types. */
static void test_results(void **state)
{
    (void)state;
    static const char *const places[][2] = {
        {"results/stories/alias", "\"stories\""},
        {"results/stories/perplexity,none", "2.5108"},
        {"results/stories/perplexity_stderr,none", "0.0153"},
        {"results/reviews/mcc,none", "null"},
        {"results/reviews/mcc_stderr,none", "\"N/A\""}, /* null would end make_table() */
        {"group_subtasks/stories", "[]"},
        {"configs/stories/task", "\"stories\""},
        {"configs/stories/output_type", "\"loglikelihood_rolling\""},
        {"configs/stories/num_fewshot", "0"},
        {"configs/stories/metric_list/0/metric", "\"perplexity\""},
        {"configs/stories/metric_list/0/higher_is_better", "false"},
        {"configs/reviews/metric_list/0/aggregation", "\"mean\""},
        {"configs/reviews/metric_list/1/aggregation", "\"matthews_corrcoef\""},
        {"versions/stories", "\"N/A\""},
        {"n-shot/stories", "0"},
        {"n-samples/stories", "{\"original\":500,\"effective\":500}"},
        {"higher_is_better/stories/perplexity", "false"},
        {"higher_is_better/reviews/acc", "true"},
        {"config/model", "\"kerf\""},
        {"config/model_name", "\"millbrook-llama@f32\""},
        {"config/model_args", "\"pretrained=millbrook-llama,weights=f32\""},
        {"config/model_num_parameters", "5048576"},
        {"config/model_dtype", "\"float32\""},
        {"config/model_sha", "\"ab\""},
        {"git_hash", "null"},
        {"date", "1714564800.0"},
        {"start_time", "1714564800.0"},
        {"total_evaluation_time_seconds", "\"19.75\""}, /* the harness has a text there */
        {"model_source", "\"kerf\""},
        {"model_name", "\"millbrook-llama@f32\""},
        {"model_name_sanitized", "\"millbrook-llama@f32\""},
        {"kerf/version", "\"0.1.0\""},
        {"kerf/subject/bits_per_weight", "32"},
        {"kerf/machine/isa", "\"avx2\""},
        {"kerf/suites/stories/fingerprint", "\"73746f\""},
        {"kerf/suites/stories/ci95/perplexity", "[2.4812,2.5411]"},
    };
    json_t *run = golden(RUN), *v = export_whole(run);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) assert_at(v, places[i][0], places[i][1], 12);
    json_decref(v);
    json_decref(run);
}

static void test_protocol(void **state)
{
    (void)state;
    json_t *run = golden(RUN);
    edit(run, "suites/1/output_type", "\"generate_until\"");
    edit(run, "suites/1/metrics",
         "[{\"name\": \"exact_match,strict\", \"value\": 0.5, \"stderr\": 0.25, \"better\": \"higher\"},"
         " {\"name\": \"exact_match,vote\", \"value\": 0.75, \"stderr\": 0.25, \"better\": \"higher\"}]");
    edit(run, "suites/1/protocol",
         "{\"data_sha256\": \"abc\", \"doc_to_text\": \"Q: {{q}}\", \"generation_kwargs\": {\"max_gen_toks\": 8},"
         " \"decoding\": \"beam:4\", \"repeats\": 8, \"fewshot\": {\"num_fewshot\": 5, \"fewshot_delimiter\": \"\\n\"},"
         " \"metrics\": [{\"metric\": \"exact_match,strict\", \"options\": {\"ignore_case\": true}}]}");
    edit(run, "subject/name", "\"org/a:b|c\"");
    json_t *v = export_whole(run);
    assert_at(v, "model_name_sanitized", "\"org__a__b__c\"", 12);
    assert_at(v, "results/reviews/exact_match,strict", "0.5", 12);
    assert_at(v, "results/reviews/exact_match_stderr,vote", "0.25", 12);
    assert_at(v, "configs/reviews/metric_list",
              "[{\"metric\":\"exact_match\",\"aggregation\":\"mean\",\"higher_is_better\":true,\"ignore_case\":true}]",
              12);
    assert_at(v, "configs/reviews/dataset_path", "\"sha256:abc\"", 12);
    assert_at(v, "configs/reviews/doc_to_text", "\"Q: {{q}}\"", 12);
    assert_at(v, "configs/reviews/generation_kwargs", "{\"max_gen_toks\":8,\"do_sample\":false,\"num_beams\":4}", 12);
    assert_at(v, "configs/reviews/repeats", "8", 12);
    assert_at(v, "configs/reviews/fewshot_delimiter", "\"\\n\"", 12);
    assert_at(v, "n-shot/reviews", "5", 12);
    json_decref(v);
    json_decref(run);
}

static void test_broken(void **state)
{
    (void)state;
    static const struct {
        const char *path, *value, *words;
    } cases[] = {
        {"schema", "\"kerf-run-9\"", "schema"},
        {"subject", "7", "subject.name"},
        {"subject/name", "\"\"", "subject.name"},
        {"started", "\"yesterday\"", "started: \"yesterday\""},
        {"started", NULL, "started"},
        {"suites", "[]", "suites"},
        {"suites/0", "1", "suites[0].name"},
        {"suites/1/name", "{}", "suites[1].name"},
        {"suites/0/protocol", "[]", "suites[0].protocol"},
        {"suites/0/items", "\"5\"", "suites[0].items"},
        {"suites/0/metrics", "{}", "suites[0].metrics"},
        {"suites/0/metrics/1", "null", "suites[0].metrics"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *run = golden(RUN);
        struct error e;
        edit(run, cases[i].path, cases[i].value);
        assert_null(lm_results(run, &e));
        assert_error((int)e.code, &e, ERROR_INPUT, cases[i].words);
        json_decref(run);
    }
}

/* --- samples --- */

static json_t *export_sample(const char *suite_text, const char *sample_text, size_t n_lines)
{
    json_t *suite = json_loads(suite_text, 0, NULL), *sample = json_loads(sample_text, 0, NULL), *all = json_array();
    struct text lines = {0}, hashes = {0};
    struct error e;
    assert_non_null(suite);
    assert_non_null(sample);
    assert_ok(export_lm_eval_sample(suite, sample, &lines, &hashes, &e), &e);
    for (char *line = strtok(lines.bytes, "\n"); line; line = strtok(NULL, "\n"))
        json_array_append_new(all, json_loads(line, JSON_REJECT_DUPLICATES, NULL));
    assert_int_equal(json_array_size(all), n_lines);
    assert_int_equal(hashes.length, n_lines * (3 + 64 * 2)); /* "doc" and two hashes */
    text_free(&lines);
    text_free(&hashes);
    json_decref(suite);
    json_decref(sample);
    return all;
}

static void test_sample_choice(void **state)
{
    (void)state;
    json_t *v = export_sample(
        "{\"output_type\": \"multiple_choice\", \"metrics\": [{\"name\": \"acc\"}, {\"name\": \"mcc\"}]}",
        "{\"doc_id\": 7, \"doc_hash\": \"doc\", \"target\": 0, \"arguments\": [[\"p\", \" a\"], [\"p\", \" b\"]],"
        " \"resps\": [[-2.5, false], [-0.5, true]], \"filtered_resps\": [[-2.5, false], [-0.5, true]],"
        " \"metrics\": {\"acc\": 0.0}, \"statistics\": {\"acc\": [0, 1], \"mcc\": [1]}}",
        1);
    assert_at(v, "0/doc_id", "7", 12);
    assert_at(v, "0/target", "\"0\"", 12);
    assert_at(v, "0/arguments/gen_args_1", "{\"arg_0\":\"p\",\"arg_1\":\" b\"}", 12);
    assert_at(v, "0/resps", "[[[\"-2.5\",\"False\"]],[[\"-0.5\",\"True\"]]]", 12);
    assert_at(v, "0/filtered_resps", "[[\"-2.5\",\"False\"],[\"-0.5\",\"True\"]]", 12);
    assert_at(v, "0/filter", "\"none\"", 12);
    assert_at(v, "0/metrics", "[\"acc\",\"mcc\"]", 12);
    assert_at(v, "0/acc", "0.0", 12);
    assert_at(v, "0/mcc", "[0,1]", 12); /* right and chosen */
    char hex[HASH_HEX];
    hash_hex("p", 1, hex);
    assert_string_equal(json_string_value(at(v, "0/prompt_hash")), hex);
    hash_hex("0", 1, hex);
    assert_string_equal(json_string_value(at(v, "0/target_hash")), hex);
    json_decref(v);
}

static void test_sample_likelihood(void **state)
{
    (void)state;
    json_t *v = export_sample(
        "{\"output_type\": \"loglikelihood_rolling\", \"metrics\": [{\"name\": \"word_perplexity\"}]}",
        "{\"doc_id\": 0, \"doc_hash\": \"doc\", \"target\": \"text\", \"arguments\": [[\"text\"]], \"resps\": [-58.5],"
        " \"filtered_resps\": [-58.5], \"metrics\": {\"word_perplexity\": 2.7},"
        " \"statistics\": {\"word_perplexity\": [58.5, 59]}}",
        1);
    assert_at(v, "0/word_perplexity", "[-58.5,59.0]", 12);
    assert_at(v, "0/resps", "[[\"-58.5\"]]", 12);
    assert_at(v, "0/filtered_resps", "[\"-58.5\"]", 12);
    json_decref(v);
    v = export_sample("{\"output_type\": \"loglikelihood\", \"metrics\": [{\"name\": \"perplexity\"}]}",
                      "{\"doc_id\": 0, \"doc_hash\": \"doc\", \"target\": null, \"arguments\": [], \"resps\": "
                      "[[-1.25, true]], \"filtered_resps\": [[-1.25, true]], \"metrics\": {\"perplexity\": 3.5},"
                      " \"statistics\": {\"perplexity\": [1.25, 1]}}",
                      1);
    assert_at(v, "0/perplexity", "-1.25", 12);
    assert_at(v, "0/arguments/gen_args_0/arg_0", "\"\"", 12);
    json_decref(v);
}

/* Each filter has a line of its own, with its own metrics. */
static void test_sample_filters(void **state)
{
    (void)state;
    json_t *v =
        export_sample("{\"output_type\": \"generate_until\", \"metrics\": [{\"name\": \"exact_match,strict\"},"
                      " {\"name\": \"exact_match,vote\"}, {\"name\": \"bleu,vote\"}]}",
                      "{\"doc_id\": 3, \"doc_hash\": \"doc\", \"target\": \"b\", \"arguments\": [[\"p\"]], \"resps\": "
                      "[\" a\", \" b\"],"
                      " \"filtered_resps\": {\"strict\": [\"a\", \"b\"], \"vote\": [\"b\"]},"
                      " \"metrics\": {\"exact_match,strict\": 0.0, \"exact_match,vote\": 1.0}, \"statistics\": {}}",
                      2);
    assert_at(v, "0/filter", "\"strict\"", 12);
    assert_at(v, "0/exact_match", "0.0", 12);
    assert_at(v, "0/resps", "[[\" a\",\" b\"]]", 12);
    assert_at(v, "0/filtered_resps", "[[\"a\",\"b\"]]", 12);
    assert_at(v, "1/filter", "\"vote\"", 12);
    assert_at(v, "1/exact_match", "1.0", 12);
    assert_at(v, "1/filtered_resps", "[\"b\"]", 12);
    assert_at(v, "1/bleu", "[\"b\",\"b\"]", 12);
    assert_at(v, "1/metrics", "[\"exact_match\",\"bleu\"]", 12);
    json_decref(v);
}

/* --- files --- */

/* What was exported comes back with the same values. */
static void test_round_trip(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    json_t *run = golden(RUN), *v = export_whole(run);
    char *text = json_dump_text(v, JSON_REAL_PRECISION(17), NULL),
         *path = file_put(folder, "results_x.json", text, strlen(text));
    struct error e = {0};
    json_t *runs = foreign_read(path, &e);
    if (!runs) fail_msg("%s", e.text);
    static const char *const subject[] = {"name", "model", "backend", "math", "parameters", "weight_bytes"};
    for (size_t i = 0; i < sizeof subject / sizeof *subject; i++)
        assert_true(json_equal(json_object_get(at(runs, "0/subject"), subject[i]),
                               json_object_get(at(run, "subject"), subject[i])));
    assert_at(runs, "0/subject/source/tool", "\"kerf 0.1.0 (exported)\"", 12);
    assert_at(runs, "0/machine/cpu", "\"AMD EPYC 7B13\"", 12);
    assert_at(runs, "0/started", "\"2024-05-01T12:00:00Z\"", 12);
    assert_at(runs, "0/seconds", "19.75", 12);
    assert_int_equal(json_array_size(at(runs, "0/suites")), json_array_size(at(run, "suites")));
    static const char *const same[] = {"name", "value", "stderr", "better", "unit"};
    const json_t *suite, *m;
    size_t s, k;
    json_array_foreach(at(run, "suites"), s, suite)
    {
        const json_t *got = json_array_get(at(runs, "0/suites"), s);
        assert_true(json_equal(json_object_get(got, "items"), json_object_get(suite, "items")));
        assert_true(json_equal(json_object_get(got, "output_type"), json_object_get(suite, "output_type")));
        json_array_foreach(json_object_get(suite, "metrics"), k, m)
        {
            const json_t *back = json_array_get(json_object_get(got, "metrics"), k);
            for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
                const json_t *a = json_object_get(m, same[i]), *b = json_object_get(back, same[i]);
                if (json_is_number(a) ? json_number_value(a) != json_number_value(b) : !json_equal(a, b))
                    fail_msg("suite %zu, metric %zu: %s", s, k, same[i]);
            }
        }
    }
    json_decref(runs);
    json_decref(v);
    json_decref(run);
    free(text);
    free(path);
    folder_remove(folder);
}

static void write_small(const char *folder, const json_t *run)
{
    static const char samples[] =
        "{\"doc_id\": 0, \"doc_hash\": \"d\", \"target\": 0, \"arguments\": [[\"p\", \" a\"]], "
        "\"resps\": [[-1, true]], \"filtered_resps\": [[-1, true]], \"metrics\": {}, "
        "\"statistics\": {}}\n";
    char *text = json_dump_text(run, 0, NULL);
    free(file_put(folder, "run.json", text, strlen(text)));
    free(file_put(folder, "samples_stories.jsonl", samples, sizeof samples - 1));
    free(file_put(folder, "samples_reviews.jsonl", samples, sizeof samples - 1));
    free(text);
}

static int write_edited(const char *key, const char *value, char *const *more, struct error *e)
{
    char *folder = folder_temporary();
    json_t *run = golden(RUN);
    struct text written = {0}, out = {0};
    edit(run, "suites/0/items", "1");
    edit(run, "suites/1/items", "1");
    if (key) edit(run, key, value);
    write_small(folder, run);
    if (more) free(file_put(folder, more[0], more[1], strlen(more[1])));
    text_printf(&out, "%s/out", folder);
    int status = exporter_find("lm-eval", e)->write(folder, text_c(&out), &written, e);
    if (!status && !path_is_folder(text_c(&out))) fail_msg("nothing in %s", text_c(&out));
    if (!status) {
        const char *last = strrchr(written.bytes, '/');
        assert_string_equal(last, "/results_2024-05-01T12-00-00.000000.json\n");
        assert_non_null(strstr(written.bytes, "/samples_stories_2024-05-01T12-00-00.000000.jsonl\n"));
    }
    char *command = NULL;
    if (asprintf(&command, "rm -rf '%s/out'", folder) > 0 && system(command)) fail_msg("%s", command);
    free(command);
    text_free(&written);
    text_free(&out);
    json_decref(run);
    folder_remove(folder);
    return status;
}

/* Names from a run never leave the folder; what is wrong with an item is told with its line. */
static void test_files(void **state)
{
    (void)state;
    struct error e = {0};
    assert_ok(write_edited(NULL, NULL, NULL, &e), &e);
    assert_ok(write_edited("subject/name", "\"..\"", NULL, &e), &e);
    assert_ok(write_edited("subject/name", "\"../../x\"", NULL, &e), &e);
    assert_error(write_edited("suites/0/name", "\"../x\"", NULL, &e), &e, ERROR_INPUT, "no suite's name");
    assert_error(write_edited("suites/0/name", "\"absent\"", NULL, &e), &e, ERROR_IO, "samples_absent.jsonl");
    assert_error(write_edited("started", "\"\"", NULL, &e), &e, ERROR_INPUT, "run.json: run: started");
    assert_error(write_edited(NULL, NULL, (char *[]){"samples_reviews.jsonl", "{}\n"}, &e), &e, ERROR_INPUT,
                 "samples_reviews.jsonl: line 1: resps");
    assert_error(write_edited(NULL, NULL, (char *[]){"samples_reviews.jsonl", "\n"}, &e), &e, ERROR_INPUT, "line 1");
    assert_error(write_edited(NULL, NULL, (char *[]){"samples_reviews.jsonl", ""}, &e), &e, ERROR_INPUT,
                 "samples_reviews.jsonl: has 0 items, its run 1");
    assert_error(write_edited("suites/0/items", "2", NULL, &e), &e, ERROR_INPUT, "has 1 items, its run 2");
}

static void test_formats(void **state)
{
    (void)state;
    struct error e = {0};
    assert_ptr_equal(exporter_find("lm-eval", &e), exporter_at(0));
    assert_null(exporter_at(1));
    assert_null(exporter_find("lm-evel", &e));
    assert_error((int)e.code, &e, ERROR_USAGE, "lm-evel: unknown format, did you mean \"lm-eval\"?");
    assert_null(exporter_find("helm", &e));
    assert_error((int)e.code, &e, ERROR_USAGE, "helm: unknown format; there is: lm-eval");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_protocol),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_sample_choice),
        cmocka_unit_test(test_sample_likelihood),
        cmocka_unit_test(test_sample_filters),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests_name("reports/export", tests, NULL, NULL);
}
