/* A run as lm-evaluation-harness 0.4 writes its results: what its evaluator and evaluation tracker put into
 * results_*.json, for its make_table(), its loggers, its scripts and the leaderboards that read the file. */
#include "reports/export/lm_eval.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Every item of a suite gets a value for each of its metrics. */
enum { METRICS_MOST = 1000 };

struct results {
    const json_t *run;
    json_t *all;
    struct error *e;
    int status;
};

void lm_model_name(struct text *out, const char *name)
{
    static const char replaced[] = "\"<>:/|\\?*[]";
    for (const char *s = name; *s;) {
        const size_t n = strspn(s, replaced);
        if (n)
            text_add(out, "__");
        else
            text_char(out, *s);
        s += n ? n : 1;
    }
    if (!out->length || strcmp(text_c(out), ".") == 0 || strcmp(text_c(out), "..") == 0) text_add(out, "__");
}

int lm_started(const json_t *run, struct tm *utc, struct error *e)
{
    const char *started = json_text_of(run, "started"), *end;
    *utc = (struct tm){0};
    end = strptime(started, "%Y-%m-%dT%H:%M:%SZ", utc);
    if (end && !*end) return 0;
    return error_set(e, ERROR_INPUT, "run: started: \"%.40s\" is no time like 2026-11-24T08:00:00Z", started);
}

/* --- names --- */

/* "exact_match,strict" is exact_match after the filter "strict"; without a filter the harness says "none". */
static void split_name(const char *name, struct text *metric, const char **filter)
{
    const size_t n = strcspn(name, ",");
    text_bytes(metric, name, n);
    *filter = name[n] ? name + n : ",none";
}

/* How the harness puts items together, which its readers go by: Zeno shows what is a mean. */
static const char *aggregation_of(const char *metric, const char *output_type)
{
    static const struct {
        const char *metric, *output_type, *name; /* output_type NULL: any */
    } rows[] = {
        {"word_perplexity", NULL, "weighted_perplexity"},
        {"byte_perplexity", NULL, "weighted_perplexity"},
        {"perplexity", "loglikelihood_rolling", "weighted_perplexity"},
        {"perplexity", NULL, "perplexity"},
        {"bits_per_byte", NULL, "bits_per_byte"},
        {"f1", "multiple_choice", "f1"},
        {"macro_f1", NULL, "f1"},
        {"mcc", NULL, "matthews_corrcoef"},
        {"bleu", NULL, "bleu"},
        {"chrf", NULL, "chrf"},
        {"ter", NULL, "ter"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].metric, metric) == 0 &&
            (!rows[i].output_type || strcmp(rows[i].output_type, output_type) == 0))
            return rows[i].name;
    return "mean";
}

static json_t *section(struct results *r, const char *key)
{
    json_t *v = json_object_get(r->all, key);
    if (!v) json_object_set_new(r->all, key, v = json_object());
    return v;
}

/* --- a suite --- */

/* A standard error that is not known is "N/A": make_table() formats everything else as a number. */
static int add_values(struct results *r, const json_t *suite, const char *task)
{
    json_t *values = json_pack("{s:s}", "alias", task), *higher = json_object();
    const json_t *m;
    size_t i;
    json_array_foreach(json_object_get(suite, "metrics"), i, m)
    {
        struct text metric = {0}, key = {0};
        const char *filter;
        json_t *value = json_object_get(m, "value"), *error = json_object_get(m, "stderr");
        split_name(json_text_of(m, "name"), &metric, &filter);
        text_printf(&key, "%s%s", text_c(&metric), filter);
        json_object_set_new(values, text_c(&key),
                            json_is_number(value) ? json_real(json_number_value(value)) : json_null());
        text_clear(&key);
        text_printf(&key, "%s_stderr%s", text_c(&metric), filter);
        json_object_set_new(values, text_c(&key),
                            json_is_number(error) ? json_real(json_number_value(error)) : json_string("N/A"));
        json_object_set_new(higher, text_c(&metric), json_boolean(strcmp(json_text_of(m, "better"), "lower") != 0));
        text_free(&key);
        text_free(&metric);
    }
    json_object_set_new(section(r, "results"), task, values);
    return json_object_set_new(section(r, "higher_is_better"), task, higher);
}

static const json_t *options_of(const json_t *protocol, const char *name)
{
    const json_t *m;
    size_t i;
    json_array_foreach(json_object_get(protocol, "metrics"), i, m)
    {
        if (strcmp(json_text_of(m, "metric"), name) == 0) return json_object_get(m, "options");
    }
    return NULL;
}

static json_t *metric_list(const json_t *suite, const json_t *protocol)
{
    json_t *list = json_array(), *seen = json_object();
    const json_t *m;
    size_t i;
    json_array_foreach(json_object_get(suite, "metrics"), i, m)
    {
        struct text metric = {0};
        const char *filter, *name = json_text_of(m, "name");
        split_name(name, &metric, &filter);
        if (!json_object_get(seen, text_c(&metric))) {
            json_t *entry = json_pack("{s:s, s:s, s:b}", "metric", text_c(&metric), "aggregation",
                                      aggregation_of(text_c(&metric), json_text_of(suite, "output_type")),
                                      "higher_is_better", strcmp(json_text_of(m, "better"), "lower") != 0);
            json_object_update_missing(entry, (json_t *)(uintptr_t)options_of(protocol, name));
            json_array_append_new(list, entry);
            json_object_set_new(seen, text_c(&metric), json_true());
        }
        text_free(&metric);
    }
    json_decref(seen);
    return list;
}

/* "beam:4", "sample,temperature=0.7": the whole of it stands in the protocol. */
static json_t *generation_kwargs(const json_t *protocol)
{
    json_t *kwargs = json_copy(json_object_get(protocol, "generation_kwargs"));
    const char *decoding = json_text_of(protocol, "decoding");
    const bool beam = strncmp(decoding, "beam:", 5) == 0;
    json_object_set_new(kwargs, "do_sample", json_boolean(strncmp(decoding, "sample", 6) == 0));
    if (beam) json_object_set_new(kwargs, "num_beams", json_integer(strtol(decoding + 5, NULL, 10)));
    return kwargs;
}

/* What a protocol has, under the harness's own keys, and its defaults where the protocol leaves them out. The data are
 * named by what they are: a path would say nothing elsewhere. */
static json_t *config_of(const json_t *suite, const char *task, const json_t *protocol, json_int_t shots)
{
    static const char *const keys[] = {"dataset_kwargs", "description", "doc_to_text", "doc_to_target",
                                       "doc_to_choice",  "repeats",     "filter_list", "target_delimiter"};
    const json_t *fewshot = json_object_get(protocol, "fewshot"), *delimiter;
    struct text data = {0};
    text_printf(&data, "sha256:%s", json_text_of(protocol, "data_sha256"));
    json_t *c =
        json_pack("{s:s, s:s, s:s, s:I, s:o, s:b, s:s, s:s, s:i, s:{s:s, s:n}}", "task", task, "dataset_path",
                  text_c(&data), "output_type", json_text_of(suite, "output_type"), "num_fewshot", shots, "metric_list",
                  metric_list(suite, protocol), "should_decontaminate", 0, "description", "", "target_delimiter", " ",
                  "repeats", 1, "metadata", "dataset_format", json_text_of(protocol, "dataset_format"), "version");
    text_free(&data);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(protocol, keys[i])) json_object_set(c, keys[i], json_object_get(protocol, keys[i]));
    delimiter = json_object_get(fewshot, "fewshot_delimiter");
    json_object_set_new(c, "fewshot_delimiter", json_string(delimiter ? json_string_value(delimiter) : "\n\n"));
    if (json_object_get(protocol, "generation_kwargs"))
        json_object_set_new(c, "generation_kwargs", generation_kwargs(protocol));
    return c;
}

static int wrong_suite(struct results *r, size_t i, const char *what)
{
    return r->status = error_set(r->e, ERROR_INPUT, "run: suites[%zu].%s", i, what);
}

static int add_suite(struct results *r, const json_t *suite, size_t i)
{
    const char *task = json_text_of(suite, "name");
    const json_t *protocol = json_object_get(suite, "protocol"), *items = json_object_get(suite, "items"), *m;
    size_t k;
    if (!*task) return wrong_suite(r, i, "name: must be a text");
    if (!json_is_object(protocol)) return wrong_suite(r, i, "protocol: must be an object");
    if (!json_is_integer(items)) return wrong_suite(r, i, "items: must be a whole number");
    if (!json_is_array(json_object_get(suite, "metrics"))) return wrong_suite(r, i, "metrics: must be a list");
    if (json_array_size(json_object_get(suite, "metrics")) > METRICS_MOST)
        return wrong_suite(r, i, "metrics: are more than any suite has");
    json_array_foreach(json_object_get(suite, "metrics"), k, m)
    {
        if (!*json_text_of(m, "name")) return wrong_suite(r, i, "metrics: each must have a name");
    }
    const json_int_t shots = json_integer_value(json_object_get(json_object_get(protocol, "fewshot"), "num_fewshot"));
    int failed = add_values(r, suite, task);
    failed |= json_object_set_new(section(r, "group_subtasks"), task, json_array());
    failed |= json_object_set_new(section(r, "configs"), task, config_of(suite, task, protocol, shots));
    failed |= json_object_set_new(section(r, "versions"), task, json_string("N/A"));
    failed |= json_object_set_new(section(r, "n-shot"), task, json_integer(shots));
    failed |= json_object_set_new(section(r, "n-samples"), task,
                                  json_pack("{s:O, s:O}", "original", items, "effective", items));
    if (failed) r->status = error_set(r->e, ERROR_IO, "out of memory for results");
    return r->status;
}

/* --- the rest --- */

/* PyTorch's names, which leaderboards map to a precision. */
static const char *dtype_of(const char *backend)
{
    static const char *const names[][2] = {{"f32", "float32"}, {"f16", "float16"}, {"bf16", "bfloat16"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], backend) == 0) return names[i][1];
    return backend;
}

static void add_config(struct results *r, const json_t *subject)
{
    struct text args = {0};
    text_printf(&args, "pretrained=%s,weights=%s", json_text_of(subject, "model"), json_text_of(subject, "backend"));
    json_t *parameters = json_object_get(subject, "parameters");
    json_t *c = json_pack("{s:s, s:s, s:s, s:O*, s:s, s:s, s:s, s:n, s:[], s:s, s:n, s:n, s:n, s:n}", "model", "kerf",
                          "model_name", json_text_of(subject, "name"), "model_args", text_c(&args),
                          "model_num_parameters", parameters, "model_dtype", dtype_of(json_text_of(subject, "backend")),
                          "model_revision", "main", "model_sha", json_text_of(subject, "sha256"), "batch_size",
                          "batch_sizes", "device", "cpu", "use_cache", "limit", "bootstrap_iters", "gen_kwargs");
    json_object_set_new(r->all, "config", c);
    text_free(&args);
}

/* In the words of PyTorch's description of a system, as far as kerf knows them. */
static void add_machine(struct results *r)
{
    const json_t *machine = json_object_get(r->run, "machine"), *kerf = json_object_get(r->run, "kerf");
    const json_t *threads = json_object_get(machine, "threads");
    struct text info = {0};
    text_printf(&info,
                "kerf %s (%s, %s)\nOpenMP threads: %" JSON_INTEGER_FORMAT "\nBLAS: %s\n\nCPU:\nModel name: %s\n"
                "Kernels: %s",
                json_text_of(kerf, "version"), json_text_of(kerf, "commit"), json_text_of(kerf, "compiler"),
                json_integer_value(threads), json_text_of(machine, "blas"), json_text_of(machine, "cpu"),
                json_text_of(machine, "isa"));
    json_object_set_new(r->all, "pretty_env_info", json_string(text_c(&info)));
    text_free(&info);
}

static void add_times(struct results *r, const struct tm *utc)
{
    struct tm copy = *utc;
    const double start = (double)timegm(&copy);
    const json_t *seconds = json_object_get(r->run, "seconds");
    json_object_set_new(r->all, "date", json_real(start));
    json_object_set_new(r->all, "start_time", json_real(start));
    const bool known = json_is_number(seconds);
    json_object_set_new(r->all, "end_time", known ? json_real(start + json_number_value(seconds)) : json_null());
    json_object_set_new(r->all, "total_evaluation_time_seconds",
                        known ? json_string(number_shortest(json_number_value(seconds)).digits) : json_null());
}

/* What the harness has no field for. */
static void add_own(struct results *r, const json_t *subject)
{
    json_t *own = json_copy(json_object_get(r->run, "kerf")), *suites = json_object(), *intervals, *machine;
    const json_t *suite, *m;
    size_t i, k;
    if (!own) own = json_object();
    machine = json_object_get(r->run, "machine");
    json_object_set(own, "subject", (json_t *)(uintptr_t)subject);
    if (machine) json_object_set(own, "machine", machine);
    json_array_foreach(json_object_get(r->run, "suites"), i, suite)
    {
        intervals = json_object();
        json_array_foreach(json_object_get(suite, "metrics"), k, m)
        {
            if (json_object_get(m, "ci95"))
                json_object_set(intervals, json_text_of(m, "name"), json_object_get(m, "ci95"));
        }
        json_object_set_new(suites, json_text_of(suite, "name"),
                            json_pack("{s:O*, s:O*, s:o, s:O*}", "fingerprint", json_object_get(suite, "fingerprint"),
                                      "protocol", json_object_get(suite, "protocol"), "ci95", intervals, "canaries",
                                      json_object_get(suite, "canaries")));
    }
    json_object_set_new(own, "suites", suites);
    json_object_set_new(r->all, "kerf", own);
}

static void add_names(struct results *r, const json_t *subject)
{
    static const char *const nulls[] = {"git_hash",       "transformers_version", "lm_eval_version",
                                        "upper_git_hash", "system_instruction",   "system_instruction_sha",
                                        "chat_template",  "chat_template_sha",    "fewshot_as_multiturn"};
    struct text name = {0};
    lm_model_name(&name, json_text_of(subject, "name"));
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++) json_object_set_new(r->all, nulls[i], json_null());
    json_object_set_new(r->all, "task_hashes", json_object());
    json_object_set_new(r->all, "model_source", json_string("kerf"));
    json_object_set_new(r->all, "model_name", json_string(json_text_of(subject, "name")));
    json_object_set_new(r->all, "model_name_sanitized", json_string(text_c(&name)));
    text_free(&name);
}

json_t *lm_results(const json_t *run, struct error *e)
{
    struct results r = {.run = run, .all = json_object(), .e = e};
    const json_t *subject = json_object_get(run, "subject"), *suites = json_object_get(run, "suites"), *suite;
    struct tm utc;
    size_t i;
    if (strcmp(json_text_of(run, "schema"), "kerf-run-1") != 0)
        r.status = error_set(e, ERROR_INPUT, "run: schema: must be \"kerf-run-1\"");
    else if (!json_is_object(subject) || !*json_text_of(subject, "name"))
        r.status = error_set(e, ERROR_INPUT, "run: subject.name: must be a text");
    else if (!json_array_size(suites))
        r.status = error_set(e, ERROR_INPUT, "run: suites: must be a list with at least one");
    else
        r.status = lm_started(run, &utc, e);
    json_array_foreach(suites, i, suite)
    {
        if (!r.status) add_suite(&r, suite, i);
    }
    if (!r.status) {
        add_config(&r, subject);
        add_machine(&r);
        add_times(&r, &utc);
        add_names(&r, subject);
        add_own(&r, subject);
        return r.all;
    }
    json_decref(r.all);
    return NULL;
}
