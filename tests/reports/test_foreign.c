#include "tests/reports/edit.h"
#include "tests/reports/places.h"

#include "reports/cells.h"
#include "reports/foreign/build.h"
#include "reports/foreign/foreign.h"
#include "reports/report.h"
#include <math.h>

/* --- files --- */

static const char lm_eval[] =
    "{\"results\": {"
    "\"hellaswag\": {\"alias\": \"hellaswag\", \"acc,none\": 0.5, \"acc_stderr,none\": 0.01, \"acc_norm,none\": 0.6,"
    " \"acc_norm_stderr,none\": \"N/A\", \"odd,none\": 3, \"told,none\": 4, \"words,none\": \"many\"},"
    "\"gsm8k\": {\"alias\": \" - gsm8k\", \"exact_match,strict-match\": 0.25, \"exact_match_stderr,strict-match\": "
    "0.02,"
    " \"exact_match,flexible-extract\": 0.3, \"exact_match_stderr,flexible-extract\": NaN},"
    "\"wikitext\": {\"alias\": \"wikitext\", \"word_perplexity,none\": Infinity, \"word_perplexity_stderr,none\": "
    "\"N/A\","
    " \"bits_per_byte,none\": 0.7, \"bits_per_byte_stderr,none\": \"N/A\"},"
    "\"mmlu\": {\"acc,none\": 0.4, \"acc_stderr,none\": 0.004, \"alias\": \"mmlu\"},"
    "\"pile\": {\" \": \" \", \"alias\": \"pile\"}},"
    "\"groups\": {\"mmlu\": {\"acc,none\": 0.4, \"acc_stderr,none\": 0.004, \"alias\": \"mmlu\"},"
    " \"nested\": {\"acc,none\": 0.45, \"acc_stderr,none\": 0.005}},"
    "\"group_subtasks\": {\"mmlu\": [\"mmlu_stem\"], \"hellaswag\": []},"
    "\"configs\": {\"hellaswag\": {\"task\": \"hellaswag\", \"output_type\": \"multiple_choice\","
    " \"metric_list\": [{\"metric\": \"told\", \"higher_is_better\": false}]}},"
    "\"versions\": {\"hellaswag\": 1.0}, \"n-shot\": {\"hellaswag\": 0},"
    "\"higher_is_better\": {\"hellaswag\": {\"acc\": true, \"acc_norm\": true, \"odd\": null}, \"gsm8k\": "
    "{\"exact_match\": true}},"
    "\"n-samples\": {\"hellaswag\": {\"original\": 10042, \"effective\": 100}},"
    "\"config\": {\"model\": \"hf\", \"model_args\": "
    "\"pretrained=EleutherAI/pythia-160m,dtype=float16,load_in_4bit=True\","
    " \"model_num_parameters\": 162322944, \"model_dtype\": \"torch.float16\", \"limit\": 100.0},"
    "\"git_hash\": \"8bc4afff\", \"date\": 1763971200.5, \"pretty_env_info\": \"PyTorch version: 2.6\\n\\nCPU:\\n"
    "Architecture: x86_64\\nModel name:            AMD EPYC 7R13 Processor \\nStepping: 1\","
    "\"transformers_version\": \"4.50.0\", \"lm_eval_version\": \"0.4.8\","
    "\"model_source\": \"hf\", \"model_name\": \"EleutherAI/pythia-160m\", \"total_evaluation_time_seconds\": "
    "\"812.5\"}";

static const char lm_eval_old[] = "{\"results\": {\"lambada\": {\"ppl\": 5.5, \"ppl_stderr\": 0.125, \"acc\": 0.6,"
                                  " \"acc_stderr\": 0.0625}}, \"versions\": {\"lambada\": 0}, \"config\": {\"model\": "
                                  "\"hf-causal\", \"model_args\": \"pretrained=gpt2,dtype=float32\"}}";

#define BENCH(threads, tests)                                                                                          \
    "{\"build_commit\": \"8cf427ff\", \"build_number\": 5163, \"cpu_info\": \"AMD Ryzen 7 7800X3D   \", "              \
    "\"gpu_info\": \"\","                                                                                              \
    " \"backends\": \"CPU\", \"model_filename\": \"models/7B/q4.gguf\", \"model_type\": \"qwen2 7B Q4_K - Medium\","   \
    " \"model_size\": 4000, \"model_n_params\": 8000, \"n_threads\": " threads ", \"type_k\": \"f16\", " tests "}"
#define PP512                                                                                                          \
    "\"n_prompt\": 512, \"n_gen\": 0, \"n_depth\": 0, \"test_time\": \"2025-04-24T11:58:50Z\", \"avg_ts\": 100.0,"     \
    " \"stddev_ts\": 2.0, \"samples_ts\": [98, 102, 99, 101]"
#define TG128 "\"n_prompt\": 0, \"n_gen\": 128, \"avg_ts\": 20.5, \"stddev_ts\": 0, \"samples_ts\": [20.5]"
#define PG "\"n_prompt\": 512, \"n_gen\": 128, \"n_depth\": 4096, \"avg_ts\": 50, \"stddev_ts\": 1"

static json_t *try_read(const char *bytes, size_t n, struct error *e)
{
    char *folder = folder_temporary(), *path = file_put(folder, "file", bytes, n);
    json_t *runs = foreign_read(path, e);
    free(path);
    folder_remove(folder);
    return runs;
}

static json_t *read_runs(const char *bytes)
{
    struct error e = {0};
    json_t *runs = try_read(bytes, strlen(bytes), &e);
    if (!runs) fail_msg("%s", e.text);
    return runs;
}

static void assert_refused(const char *bytes, const char *words)
{
    struct error e = {0};
    json_t *runs = try_read(bytes, strlen(bytes), &e);
    if (runs) fail_msg("was read: %s", bytes);
    assert_error((int)e.code, &e, ERROR_INPUT, words);
    if (strchr(e.text, '\n')) fail_msg("more than a line: %s", e.text);
}

/* --- lm-evaluation-harness --- */

static void test_lm_eval(void **state)
{
    (void)state;
    static const char *const places[][2] = {
        {"0/subject/name", "\"EleutherAI/pythia-160m\""},
        {"0/subject/backend", "\"dtype=float16,load_in_4bit=True\""},
        {"0/subject/parameters", "162322944"},
        {"0/subject/weight_bytes", "null"},
        {"0/subject/source/tool", "\"lm-evaluation-harness 0.4.8\""},
        {"0/subject/source/git_hash", "\"8bc4afff\""},
        {"0/machine/cpu", "\"AMD EPYC 7R13 Processor\""},
        {"0/started", "\"2025-11-24T08:00:00Z\""},
        {"0/seconds", "812.5"},
        {"0/suites/0/name", "\"hellaswag\""},
        {"0/suites/0/items", "100"},
        {"0/suites/0/output_type", "\"multiple_choice\""},
        {"0/suites/0/metrics/0/name", "\"acc\""},
        {"0/suites/0/metrics/0/value", "0.5"},
        {"0/suites/0/metrics/0/stderr", "0.01"},
        {"0/suites/0/metrics/0/ci95", "[0.4804,0.5196]"},
        {"0/suites/0/metrics/1/name", "\"acc_norm\""},
        {"0/suites/0/metrics/1/stderr", "null"},
        {"0/suites/0/metrics/1/ci95", "null"},
        /* the task's own file says which direction is better */
        {"0/suites/0/metrics/2/name", "\"told\""},
        {"0/suites/0/metrics/2/better", "\"lower\""},
        {"0/suites/1/items", "null"},
        {"0/suites/1/metrics/0/name", "\"exact_match,strict-match\""},
        {"0/suites/1/metrics/0/stderr", "0.02"},
        {"0/suites/1/metrics/1/name", "\"exact_match,flexible-extract\""},
        {"0/suites/1/metrics/1/stderr", "null"},
        {"0/suites/2/metrics/0/value", "null"},
        {"0/suites/2/metrics/0/reason", "\"Infinity in the file\""},
        {"0/suites/2/metrics/0/better", "\"lower\""},
        {"0/suites/2/metrics/1/unit", "\"bit\""},
        {"0/suites/3/name", "\"mmlu\""},
        {"0/suites/4/name", "\"nested\""},
        {"0/suites/4/metrics/0/value", "0.45"},
        {"0/subject/source/left_out", "[\"hellaswag odd,none: whether higher or lower is better is not told\","
                                      "\"hellaswag words,none: is no number\"]"},
    };
    json_t *runs = read_runs(lm_eval);
    assert_int_equal(json_array_size(runs), 1);
    assert_int_equal(json_array_size(at(runs, "0/suites")), 5); /* "pile" has no number */
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) assert_at(runs, places[i][0], places[i][1], 6);
    json_decref(runs);
}

static void test_lm_eval_old(void **state)
{
    (void)state;
    json_t *runs = read_runs(lm_eval_old);
    assert_at(runs, "0/subject/name", "\"gpt2\"", 6);
    assert_at(runs, "0/subject/source/tool", "\"lm-evaluation-harness\"", 6);
    assert_at(runs, "0/started", "\"\"", 6);
    assert_at(runs, "0/suites/0/metrics/0/name", "\"ppl\"", 6);
    assert_at(runs, "0/suites/0/metrics/0/better", "\"lower\"", 6);
    assert_at(runs, "0/suites/0/metrics/1/stderr", "0.0625", 6);
    json_decref(runs);
}

static void test_lm_eval_arguments(void **state)
{
    (void)state;
    static const struct {
        const char *args, *name, *backend;
    } cases[] = {
        {"\"pretrained=a/b,peft=c\"", "\"c\"", "\"\""},
        {"\"dtype=bfloat16,pretrained=x\"", "\"x\"", "\"dtype=bfloat16\""},
        {"{\"pretrained\": \"y\", \"load_in_8bit\": true, \"seed\": null}", "\"y\"", "\"load_in_8bit=true\""},
        {"\",,=,x\"", "\"gguf\"", "\"=\""},
        {"null", "\"gguf\"", "\"\""},
        {"7", "\"gguf\"", "\"\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text file = {0};
        text_printf(&file,
                    "{\"config\": {\"model\": \"gguf\", \"model_args\": %s}, \"results\": {\"t\": {\"acc\": 1}}}",
                    cases[i].args);
        json_t *runs = read_runs(text_c(&file));
        assert_at(runs, "0/subject/name", cases[i].name, 6);
        assert_at(runs, "0/subject/backend", cases[i].backend, 6);
        json_decref(runs);
        text_free(&file);
    }
}

/* Python's words for numbers that are not finite are read as such, but neither inside texts nor inside other words. */
static void test_python_numbers(void **state)
{
    (void)state;
    json_t *runs = read_runs("{\"results\": {\"a NaN \\\" NaN\": {\"acc\": -Infinity, \"f1\": NaN, \"em\": null}}}");
    assert_at(runs, "0/suites/0/name", "\"a NaN \\\" NaN\"", 6);
    assert_at(runs, "0/suites/0/metrics/0/reason", "\"-Infinity in the file\"", 6);
    assert_at(runs, "0/suites/0/metrics/1/reason", "\"NaN in the file\"", 6);
    assert_at(runs, "0/suites/0/metrics/2/reason", "\"null in the file\"", 6);
    json_decref(runs);
    /* NumPy's float32, which json.dumps() refuses, becomes its text */
    runs = read_runs("{\"results\": {\"a\\\\\": {\"acc\": \"0.5\", \"acc_stderr\": \"0.25\", \"f1\": \"nan\"}}}");
    assert_at(runs, "0/suites/0/name", "\"a\\\\\"", 6);
    assert_at(runs, "0/suites/0/metrics/0/value", "0.5", 6);
    assert_at(runs, "0/suites/0/metrics/0/stderr", "0.25", 6);
    assert_at(runs, "0/subject/source/left_out", "[\"a\\\\ f1: is no number\"]", 6);
    json_decref(runs);
    assert_refused("{\"results\": {\"a\": {\"acc\": Nan}}}", "line 1");
    assert_refused("{\"results\": {\"a\": {\"acc\": NaN7}}}", "line 1");
    assert_refused("{\"results\": {\"a\": {\"acc\": 1e999}}}", "line 1");
}

static void test_lm_eval_broken(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "no file of lm-evaluation-harness (results_*.json) or llama-bench (-o json, jsonl or csv)"},
        {"{\"results\": []}", "no file of lm-evaluation-harness"},
        {"{\"results\": {", "line 1"},
        {"{\"results\": {}}", "results: has no metric"},
        {"{\"results\": {\"a\": 1}}", "results.a: is no object"},
        {"{\"results\": {\"a\": {\"odd\": 1}}}", "results: has no metric"},
        {"{\"results\": {\"a\": {\"acc\": 1, \"acc_stderr\": []}}}", "results.a.acc_stderr: is no number"},
        {"{\"results\": {\"a\": {\"acc\": 1}}, \"groups\": {\"b\": []}}", "groups.b: is no object"},
        {"{\"results\": {\"a\": {\"acc\": 1}}, \"config\": 1}", "config: is no object"},
        {"{\"results\": {\"a\": {\"acc\": 1}}, \"configs\": {\"a\": 1}}", "configs.a: is no object"},
        {"{\"results\": {\"a\": {\"acc\": 1}}, \"n-samples\": {\"a\": 1}}", "n-samples.a: is no object"},
        {"{\"results\": {\"a\": {\"acc\": 1}}, \"higher_is_better\": []}", "higher_is_better: is no object"},
        {"{\"results\": {\"a\": {\"acc\": 1}, \"a\": {\"acc\": 1}}}", "duplicate"},
        {"{\"results\": {\"a\": {\"acc\": 1}}} x", "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_refused(cases[i][0], cases[i][1]);
    struct text deep = {0};
    text_add(&deep, "{\"results\": {\"a\": ");
    for (int i = 0; i < 100000; i++) text_char(&deep, '[');
    assert_refused(text_c(&deep), "depth");
    text_free(&deep);
}

/* --- llama-bench --- */

static void test_bench(void **state)
{
    (void)state;
    static const char *const files[] = {
        "[\n" BENCH("8", PP512) ",\n" BENCH("8", TG128) ",\n" BENCH("4", PG) "\n]\n",
        BENCH("8", PP512) "\n\n" BENCH("8", TG128) "\n" BENCH("4", PG), /* lines */
    };
    static const char *const places[][2] = {
        {"0/subject/name", "\"q4.gguf n_threads=8\""},
        {"0/subject/model", "\"q4.gguf\""},
        {"0/subject/backend", "\"Q4_K - Medium\""},
        {"0/subject/parameters", "8000"},
        {"0/subject/weight_bytes", "4000"},
        {"0/subject/bits_per_weight", "4.0"},
        {"0/subject/source/tool", "\"llama-bench b5163 (8cf427ff)\""},
        {"0/machine/cpu", "\"AMD Ryzen 7 7800X3D\""},
        {"0/machine/isa", "\"CPU\""},
        {"0/machine/threads", "8"},
        {"0/started", "\"2025-04-24T11:58:50Z\""},
        {"0/suites/0/name", "\"bench\""},
        {"0/suites/0/metrics/0/name", "\"pp512\""},
        {"0/suites/0/metrics/0/unit", "\"t/s\""},
        {"0/suites/0/metrics/0/better", "\"higher\""},
        {"0/suites/0/metrics/0/value", "100.0"},
        {"0/suites/0/metrics/0/stderr", "1.0"},
        {"0/suites/0/metrics/0/ci95", "[96.8176,103.182]"}, /* t of 3 degrees of freedom: 3.1824 */
        {"0/suites/0/metrics/1/name", "\"tg128\""},
        {"0/suites/0/metrics/1/value", "20.5"},
        {"0/suites/0/metrics/1/stderr", "null"}, /* one repetition says nothing of the spread */
        {"0/suites/0/items", "null"},            /* they differ */
        {"1/subject/name", "\"q4.gguf n_threads=4\""},
        {"1/suites/0/metrics/0/name", "\"pp512+tg128 @ d4096\""},
        {"1/suites/0/metrics/0/stderr", "null"},
        {"1/suites/0/metrics/0/ci95", "null"},
    };
    for (size_t f = 0; f < 2; f++) {
        json_t *runs = read_runs(files[f]);
        assert_int_equal(json_array_size(runs), 2);
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) assert_at(runs, places[i][0], places[i][1], 6);
        json_decref(runs);
    }
}

/* One file of models that stand in folders of Windows. */
static void test_bench_folders(void **state)
{
    (void)state;
    json_t *runs =
        read_runs("{\"model_filename\": \"C:\\\\models\\\\q4.gguf\", \"n_prompt\": 1, \"n_gen\": 0, \"avg_ts\": 1}\n"
                  "{\"model_filename\": \"C:\\\\models\\\\q8.gguf\", \"n_prompt\": 1, \"n_gen\": 0, \"avg_ts\": 1}\n");
    assert_at(runs, "0/subject/model", "\"q4.gguf\"", 6);
    assert_at(runs, "1/subject/name", "\"q8.gguf\"", 6);
    json_decref(runs);
}

/* The same test under the same settings again, as where two outputs were put into one file, is another run. */
static void test_bench_again(void **state)
{
    (void)state;
    json_t *runs = read_runs(BENCH("8", PP512) "\n" BENCH("8", TG128) "\n" BENCH("8", PP512) "\n");
    assert_int_equal(json_array_size(runs), 2);
    assert_at(runs, "0/subject/name", "\"q4.gguf\"", 6);
    assert_int_equal(json_array_size(at(runs, "0/suites/0/metrics")), 2);
    assert_int_equal(json_array_size(at(runs, "1/suites/0/metrics")), 1);
    json_decref(runs);
}

#define CSV_NAMES                                                                                                      \
    "build_commit,build_number,cpu_info,model_filename,model_type,model_size,model_n_params,n_threads,f16_kv,n_"       \
    "prompt,n_gen,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts\n"

static void test_bench_csv(void **state)
{
    (void)state;
    static const char row[] =
        "\"3469684\",\"1275\",\"a \"\"fast\"\" one, it says\",\"/m/x.gguf\",\"llama 7B mostly Q4_0\","
        "\"3825065984\",\"6738415616\",\"16\",\"1\",\"%s\",\"%s\",\"2023-09-23T12:09:01Z\",\"1\",\"2\",\"%s\",\"8."
        "3\"\r\n";
    struct text file = {0};
    text_add(&file, CSV_NAMES);
    for (int i = 0; i < 2; i++) {
        char line[512];
        snprintf(line, sizeof line, row, i ? "0" : "512", i ? "128" : "0", i ? "132.052051" : "2413.341687");
        text_add(&file, i ? CSV_NAMES : ""); /* outputs one after the other */
        text_add(&file, line);
    }
    json_t *runs = read_runs(text_c(&file));
    assert_int_equal(json_array_size(runs), 1);
    assert_at(runs, "0/subject/name", "\"x.gguf\"", 6);
    assert_at(runs, "0/subject/backend", "\"Q4_0\"", 6);
    assert_at(runs, "0/subject/bits_per_weight", "4.54121", 6);
    assert_at(runs, "0/machine/cpu", "\"a \\\"fast\\\" one, it says\"", 6);
    assert_at(runs, "0/suites/0/metrics/0/value", "2413.34", 6);
    assert_at(runs, "0/suites/0/metrics/0/stderr", "null", 6); /* of how many repetitions is not told */
    assert_at(runs, "0/suites/0/metrics/1/name", "\"tg128\"", 6);
    json_decref(runs);
    text_add(&file, "\"1\",\"2\"\n");
    assert_refused(text_c(&file), "row 5: has 2 fields, the first row names 16");
    text_free(&file);
    assert_refused(CSV_NAMES, "has no test");
    assert_refused(CSV_NAMES "\"open", "row 2: ");
}

static void test_bench_broken(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[{\"avg_ts\": 1, \"n_prompt\": 1", "line 1"},
        {"[\"avg_ts\", \"n_prompt\"]", "test 1: is no object"},
        {"{\"avg_ts\": 1, \"n_prompt\": 1}\n{\"avg_ts\"", "line 2: column 9: "},
        {"[{\"avg_ts\": 1, \"n_prompt\": -1, \"n_gen\": 0, \"model_filename\": \"m\"}]", "test 1: n_prompt: "},
        {"[{\"avg_ts\": 1, \"n_prompt\": 1.5, \"n_gen\": 0, \"model_filename\": \"m\"}]", "test 1: n_prompt: "},
        {"[{\"avg_ts\": 1, \"n_prompt\": 1, \"model_filename\": \"m\"}]", "test 1: n_gen: "},
        {"[{\"avg_ts\": \"fast\", \"n_prompt\": 1, \"n_gen\": 0, \"model_filename\": \"m\"}]", "test 1: avg_ts: "},
        {"[{\"avg_ts\": 1, \"n_prompt\": 1, \"n_gen\": 0, \"n_depth\": {}, \"model_filename\": \"m\"}]", "n_depth: "},
        {"[{\"avg_ts\": 1, \"n_prompt\": 1, \"n_gen\": 0}]", "test 1: model_filename: "},
        {"| model | size | test |    t/s |\n| --- | ---: | ---: | ---: |\n", "table: give what it prints with -o json"},
        {"[{\"avg_ts\": 1, \"n_prompt\": 1, \"n_gen\": 0, \"model_filename\": 7}]", "test 1: model_filename: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_refused(cases[i][0], cases[i][1]);
}

/* Files cut short or with a byte changed are read or refused, never more. */
static void test_torn(void **state)
{
    (void)state;
    static const char *const files[] = {lm_eval, "[" BENCH("8", PP512) "," BENCH("4", PG) "]",
                                        CSV_NAMES "\"a\",\"1\"\n"};
    char bytes[4096];
    for (size_t f = 0; f < 3; f++) {
        const size_t n = strlen(files[f]), step = n / test_items(150) + 1;
        assert_true(n < sizeof bytes);
        for (size_t i = 0; i < n; i += step) {
            struct error e = {0};
            memcpy(bytes, files[f], n);
            json_decref(try_read(bytes, i, &e));
            bytes[i] = (char)(i % 3 == 0 ? '"' : i % 3 == 1 ? 0 : 0xFF);
            json_decref(try_read(bytes, n, &e));
        }
    }
}

static void test_student(void **state)
{
    (void)state;
    static const struct {
        int64_t freedom;
        double t; /* of printed tables */
    } rows[] = {{1, 12.706}, {2, 4.303},  {3, 3.182},   {4, 2.776},
                {9, 2.262},  {30, 2.042}, {120, 1.980}, {100000, 1.960}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_near(student_t(rows[i].freedom), rows[i].t, 5e-4, "Student's t");
}

/* --- joining --- */

static json_t *empty(void)
{
    return json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:s, s:i}, s:[], s:[], s:[], s:{s:n, s:n}}", "schema",
                     "kerf-compare-1", "kerf", "version", "1", "commit", "c", "machine", "cpu", "here", "isa", "c",
                     "threads", 1, "subjects", "rows", "canaries", "resampling", "resamples", "seed");
}

static void add_all(json_t *comparison, const char *file)
{
    struct error e = {0};
    json_t *runs = read_runs(file), *run;
    size_t i;
    json_array_foreach(runs, i, run) assert_ok(comparison_add(comparison, run, &e), &e);
    json_decref(runs);
}

static const struct report_row *row_of(const struct report *r, const char *suite, const char *metric)
{
    const struct report_row *found = NULL;
    for (size_t i = 0; i < r->n_rows; i++) {
        if (strcmp(r->rows[i].suite, suite) || strcmp(r->rows[i].metric, metric)) continue;
        if (found) fail_msg("%s %s is there twice", suite, metric);
        found = &r->rows[i];
    }
    if (!found) fail_msg("no row %s %s", suite, metric);
    return found;
}

/* Beside kerf's own: a suite that both have, with a metric that one has, and a suite that only the other has. */
static void test_join(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    const size_t before = json_array_size(at(v, "subjects")), rows = json_array_size(at(v, "rows"));
    add_all(v, "{\"lm_eval_version\": \"0.4.8\", \"model_name\": \"other\", \"results\": {"
               "\"hellaswag\": {\"acc\": 0.25}, \"endings\": {\"acc\": 0.5, \"acc_stderr\": 0.1, \"em\": 0.5},"
               " \"stories\": {\"perplexity\": 3.5}}}");
    struct report r;
    struct error e;
    assert_ok(report_read_comparison(&r, v, &e), &e);
    assert_int_equal(r.n_subjects, before + 1);
    assert_int_equal(r.n_rows, rows + 2);
    const size_t j = before;
    assert_string_equal(r.subjects[j].name, "other");
    assert_string_equal(r.subjects[j].source, "lm-evaluation-harness 0.4.8");
    assert_string_equal(r.subjects[j].version, "");
    assert_string_equal(r.subjects[j].cpu, "");
    assert_null(r.subjects[0].source);

    const struct report_row *row = row_of(&r, "endings", "acc");
    assert_near(row->cells[j].figure.value, 0.5, 0, "value");
    assert_near(row->cells[j].figure.low, 0.5 - 0.196, 1e-12, "low");
    assert_false(row->cells[j].has_difference);
    assert_false(row->cells[j].absent);
    assert_string_equal(row->cells[j].refused, "measured by lm-evaluation-harness 0.4.8, whose protocol is not known");
    assert_true(row->cells[1].has_difference);

    for (size_t i = 0; i < r.n_rows; i++) assert_null(r.rows[i].cells[j].fingerprint);
    row = row_of(&r, "hellaswag", "acc");
    assert_ptr_equal(row, &r.rows[r.n_rows - 1]); /* a new suite is the last */
    assert_true(row->cells[0].absent && row->cells[1].absent && !row->cells[j].absent);
    assert_true(isnan(row->cells[0].figure.value));
    row = row_of(&r, "endings", "em"); /* a new metric stands with its suite */
    assert_string_equal(row[-1].suite, "endings");
    assert_true(row->cells[0].absent);
    size_t absent = 0;
    for (size_t i = 0; i < r.n_rows; i++) absent += r.rows[i].cells[j].absent;
    assert_int_equal(absent, r.n_rows - 4);

    /* every report can be made of it */
    struct text out = {0};
    assert_ok(report_table(v, &(struct table_style){.width = 100}, &out, &e), &e);
    assert_ok(report_markdown(v, &out, &e), &e);
    text_free(&out);
    report_close(&r);
    json_decref(v);
}

static void test_join_alone(void **state)
{
    (void)state;
    json_t *v = empty();
    add_all(v, lm_eval);
    add_all(v, "[" BENCH("8", PP512) "," BENCH("4", PP512) "]");
    add_all(v, lm_eval);
    add_all(v, lm_eval);
    struct report r;
    struct error e;
    assert_ok(report_read_comparison(&r, v, &e), &e);
    assert_int_equal(r.n_subjects, 5);
    assert_string_equal(r.subjects[0].name, "EleutherAI/pythia-160m");
    assert_string_equal(r.subjects[3].name, "EleutherAI/pythia-160m (file)");
    assert_string_equal(r.subjects[4].name, "EleutherAI/pythia-160m (file) (2)");
    const struct report_row *row = row_of(&r, "hellaswag", "acc");
    assert_null(row->cells[0].refused);
    assert_true(row->cells[1].absent);
    assert_near(row->cells[3].figure.value, 0.5, 0, "value");
    assert_non_null(row->cells[3].refused);
    row = row_of(&r, "bench", "pp512");
    assert_true(row->cells[0].absent);
    assert_string_equal(row->cells[1].refused, "measured by llama-bench b5163 (8cf427ff), whose protocol is not known");
    for (size_t i = 0; i < r.n_rows; i++)
        for (size_t k = 0; k < r.n_subjects; k++) assert_null(r.rows[i].cells[k].fingerprint);
    report_close(&r);
    json_decref(v);
}

/* A name alone does not make two metrics one. */
static void test_join_other_direction(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    add_all(v, "{\"results\": {\"endings\": {\"acc\": 0.5}}, \"higher_is_better\": {\"endings\": {\"acc\": false}}}");
    struct report r;
    struct error e;
    assert_ok(report_read_comparison(&r, v, &e), &e);
    const struct report_cell *cell = &row_of(&r, "endings", "acc")->cells[r.n_subjects - 1];
    assert_true(isnan(cell->figure.value));
    report_close(&r);
    json_decref(v);
}

/* Of how many items a value is, is told where all values of a row are of as many. */
static void test_join_items(void **state)
{
    (void)state;
    static const char file[] = "{\"results\": {\"t\": {\"acc\": 0.5}, \"endings\": {\"acc\": 0.5}}, "
                               "\"n-samples\": {\"t\": {\"effective\": %d}, \"endings\": {\"effective\": %d}}}";
    json_t *v = golden(COMPARISON);
    for (int i = 0; i < 3; i++) {
        struct text other = {0};
        struct report r;
        struct error e;
        text_printf(&other, file, i < 2 ? 100 : 200, i);
        add_all(v, text_c(&other));
        assert_ok(report_read_comparison(&r, v, &e), &e);
        assert_int_equal(row_of(&r, "t", "acc")->items, i < 2 ? 100 : -1);
        assert_int_equal(row_of(&r, "endings", "acc")->items, 500); /* of kerf's protocol */
        report_close(&r);
        text_free(&other);
    }
    json_decref(v);
}

/* What would fill the memory with cells is refused. */
static void test_join_many(void **state)
{
    (void)state;
    struct text file = {0};
    for (int i = 0; i < 600; i++)
        text_printf(&file,
                    "{\"model_filename\": \"m\", \"n_threads\": %d, \"n_prompt\": %d, \"n_gen\": 0, \"avg_ts\": 1}\n",
                    i, i + 1);
    json_t *runs = read_runs(text_c(&file)), *v = empty(), *run;
    assert_int_equal(json_array_size(runs), 600);
    struct error e = {0};
    int status = 0;
    size_t i;
    json_array_foreach(runs, i, run)
    {
        if (!status) status = comparison_add(v, run, &e);
    }
    assert_error(status, &e, ERROR_INPUT, "too large");
    json_decref(runs);
    json_decref(v);
    text_free(&file);
}

static void test_join_hostile(void **state)
{
    (void)state;
    json_t *v = golden(COMPARISON);
    add_all(v, "{\"model_name\": " HOSTILE ", \"lm_eval_version\": " HOSTILE ", \"results\": {" HOSTILE
               ": {\"acc\": 0.25}, \"\": {\"acc\": 1}}}");
    struct text out = {0};
    struct error e;
    assert_ok(report_table(v, &(struct table_style){.width = 100}, &out, &e), &e);
    assert_ok(report_markdown(v, &out, &e), &e);
    assert_harmless(text_c(&out));
    text_free(&out);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lm_eval),
        cmocka_unit_test(test_lm_eval_old),
        cmocka_unit_test(test_lm_eval_arguments),
        cmocka_unit_test(test_python_numbers),
        cmocka_unit_test(test_lm_eval_broken),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_bench_folders),
        cmocka_unit_test(test_bench_again),
        cmocka_unit_test(test_bench_csv),
        cmocka_unit_test(test_bench_broken),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_student),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_join_alone),
        cmocka_unit_test(test_join_other_direction),
        cmocka_unit_test(test_join_items),
        cmocka_unit_test(test_join_many),
        cmocka_unit_test(test_join_hostile),
    };
    return cmocka_run_group_tests_name("reports/foreign", tests, NULL, NULL);
}
