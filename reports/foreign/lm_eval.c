/* results_*.json of EleutherAI's lm-evaluation-harness: versions 0.4, whose keys are "METRIC,FILTER", and 0.3, whose keys
 * are "METRIC". Fields as its evaluator, its evaluation tracker and its environment loggers write them. */
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "reports/foreign/build.h"
#include "reports/foreign/foreign.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

struct reading {
    const char *path;
    const json_t *file;
    json_t *run;
    size_t taken; /* metrics */
    struct error *e;
    int status;
};

/* --- recognition: an object with an object "results" --- */

static size_t skip_space(const char *s, size_t n, size_t i)
{
    while (i < n && strchr(" \t\r\n", s[i]) && s[i]) i++;
    return i;
}

static bool recognise(const struct file *f)
{
    static const char key[] = "\"results\"";
    const char *s = (const char *)f->data;
    size_t i = skip_space(s, f->size, 0);
    if (i == f->size || s[i] != '{') return false;
    for (const char *at = s; (at = memmem(at, f->size - (size_t)(at - s), key, sizeof key - 1)); at++) {
        i = skip_space(s, f->size, (size_t)(at - s) + sizeof key - 1);
        if (i == f->size || s[i] != ':') continue;
        i = skip_space(s, f->size, i + 1);
        if (i < f->size && s[i] == '{') return true;
    }
    return false;
}

/* --- Python's JSON --- */

static const char *const not_finite[] = {"NaN", "Infinity", "-Infinity"};

/* One of them at s (n bytes left), or NULL. */
static const char *word_at(const char *s, size_t n)
{
    for (size_t w = 0; w < 3; w++) {
        const size_t length = strlen(not_finite[w]);
        if (length <= n && memcmp(s, not_finite[w], length) == 0) return not_finite[w];
    }
    return NULL;
}

/* Python writes numbers that are not finite as bare words, which JSON does not have. They become texts, which are told
 * apart from numbers later, so that what else is wrong with the file is still an error. */
static void quote_words(struct text *out, const char *s, size_t n)
{
    bool in_string = false;
    size_t copied = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"') in_string = !in_string;
        if (in_string && s[i] == '\\') i++;
        if (in_string || (s[i] != 'N' && s[i] != 'I' && s[i] != '-')) continue;
        const char *word = word_at(s + i, n - i);
        if (!word) continue;
        text_bytes(out, s + copied, i - copied);
        text_printf(out, "\"%s\"", word);
        copied = i + strlen(word);
        i = copied - 1;
    }
    text_bytes(out, s + copied, n - copied);
}

static json_t *read_python(const struct file *f, const char *path, struct error *e)
{
    struct text whole = {0};
    quote_words(&whole, (const char *)f->data, f->size);
    json_t *v = NULL;
    if (whole.failed)
        error_set(e, ERROR_IO, "%s: out of memory", path);
    else
        v = json_read_bytes(text_c(&whole), whole.length, path, e);
    text_free(&whole);
    return v;
}

static const char *word_of(const json_t *v)
{
    const char *s = json_string_value(v);
    for (size_t w = 0; s && w < 3; w++)
        if (strcmp(s, not_finite[w]) == 0) return s;
    return NULL;
}

/* --- fields --- */

/* NULL where it is absent or null; of another type it is an error. */
static json_t *take_object(struct reading *r, const json_t *in, const char *key, const char *where)
{
    json_t *v = json_object_get(in, key);
    if (!v || json_is_null(v)) return NULL;
    if (json_is_object(v)) return v;
    if (!r->status)
        r->status = error_set(r->e, ERROR_INPUT, "%s: %s%s%s: is no object", r->path, where, *where ? "." : "", key);
    return NULL;
}

static void set_text(json_t *object, const char *key, const char *s)
{
    json_object_set_new(object, key, json_text(s, strlen(s)));
}

/* --- who was measured, with what and when --- */

static void take_tool(struct reading *r, json_t *source)
{
    struct text tool = {0};
    const json_t *kerf = take_object(r, r->file, "kerf", "");
    if (kerf)
        text_printf(&tool, "kerf %s (exported)", json_text_of(kerf, "version"));
    else
        text_printf(&tool, "lm-evaluation-harness%s%s", *json_text_of(r->file, "lm_eval_version") ? " " : "",
                    json_text_of(r->file, "lm_eval_version"));
    set_text(source, "tool", text_c(&tool));
    text_free(&tool);
    static const char *const keys[] = {"git_hash", "transformers_version"};
    for (size_t i = 0; i < 2; i++)
        if (*json_text_of(r->file, keys[i])) set_text(source, keys[i], json_text_of(r->file, keys[i]));
}

/* The keys of model_args that name the model, the first that is there first, as the harness itself looks for them. */
static const char *const model_keys[] = {"peft", "delta", "pretrained", "model", "path", "engine"};
enum { MODEL_KEYS = sizeof model_keys / sizeof *model_keys };

static size_t model_key(const char *arg, size_t n)
{
    size_t k = 0;
    while (k < MODEL_KEYS && (strlen(model_keys[k]) != n || memcmp(model_keys[k], arg, n) != 0)) k++;
    return k;
}

struct arguments {
    struct text model, rest; /* "gpt2", "dtype=float16,load_in_4bit=True" */
    size_t key;
};

static void take_argument(struct arguments *a, const char *key, size_t n_key, const char *value, size_t n_value)
{
    const size_t k = model_key(key, n_key);
    if (k < a->key) {
        a->key = k;
        text_clear(&a->model);
        text_bytes(&a->model, value, n_value);
    }
    if (k < MODEL_KEYS) return;
    if (a->rest.length) text_char(&a->rest, ',');
    text_bytes(&a->rest, key, n_key);
    text_char(&a->rest, '=');
    text_bytes(&a->rest, value, n_value);
}

/* "key=value,key=value", or from 0.4.9 on maybe an object. */
static void take_arguments(const json_t *args, struct arguments *a)
{
    a->key = MODEL_KEYS;
    const char *s = json_string_value(args), *key;
    while (s && *s) {
        const size_t n = strcspn(s, ","), n_key = strcspn(s, ",=");
        if (n_key < n) take_argument(a, s, n_key, s + n_key + 1, n - n_key - 1);
        s += n + (s[n] == ',');
    }
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)args, key, v)
    {
        char *text = json_is_string(v) ? NULL : json_dump_text(v, JSON_ENCODE_ANY | JSON_COMPACT, NULL);
        const char *value = json_is_string(v) ? json_string_value(v) : text;
        if (value && !json_is_null(v)) take_argument(a, key, strlen(key), value, strlen(value));
        free(text);
    }
}

/* What kerf's own export says besides (reports/export/export.h), as far as it has the types of a run. */
static void take_own(struct reading *r, json_t *subject)
{
    static const char *const texts[] = {"model", "backend", "math"};
    static const char *const counts[] = {"parameters", "weight_bytes"};
    const json_t *own = take_object(r, take_object(r, r->file, "kerf", ""), "subject", "kerf");
    for (size_t i = 0; i < 3; i++)
        if (*json_text_of(own, texts[i])) set_text(subject, texts[i], json_text_of(own, texts[i]));
    for (size_t i = 0; i < 2; i++) {
        const int64_t n = foreign_count(json_object_get(own, counts[i]));
        if (n >= 0) json_object_set_new(subject, counts[i], json_integer(n));
    }
    const double bits = foreign_number(json_object_get(own, "bits_per_weight"));
    if (isfinite(bits)) json_object_set_new(subject, "bits_per_weight", json_real(bits));
}

static void take_subject(struct reading *r, json_t *subject)
{
    const json_t *config = take_object(r, r->file, "config", "");
    struct arguments a = {0};
    take_arguments(json_object_get(config, "model_args"), &a);
    const char *names[] = {json_text_of(r->file, "model_name"), json_text_of(config, "model_name"), text_c(&a.model),
                           json_text_of(config, "model"), path_name(r->path)};
    size_t i = 0;
    while (!*names[i] && i < 4) i++;
    set_text(subject, "name", names[i]);
    set_text(subject, "model", names[i]);
    set_text(subject, "backend", text_c(&a.rest));
    text_free(&a.model);
    text_free(&a.rest);
    const int64_t parameters = foreign_count(json_object_get(config, "model_num_parameters"));
    if (parameters > 0) json_object_set_new(subject, "parameters", json_integer(parameters));
    take_own(r, subject);
}

/* What follows "Model name:" on its line in the output of lscpu, which is part of PyTorch's description of a system. */
static void take_machine(struct reading *r)
{
    static const char label[] = "Model name:";
    const char *at = strstr(json_text_of(r->file, "pretty_env_info"), label);
    if (!at) return;
    at += strlen(label);
    at += strspn(at, " \t");
    size_t n = strcspn(at, "\r\n");
    while (n && strchr(" \t", at[n - 1])) n--;
    json_object_set_new(json_object_get(r->run, "machine"), "cpu", json_text(at, n));
}

static void take_times(struct reading *r)
{
    const double date = foreign_number(json_object_get(r->file, "date"));
    const double seconds = foreign_number(json_object_get(r->file, "total_evaluation_time_seconds"));
    json_object_set_new(r->run, "seconds", foreign_real(seconds >= 0 ? seconds : NAN));
    if (!(date >= 0 && date < 253402300800.0)) return; /* the year 10000 */
    const time_t when = (time_t)date;
    struct tm utc;
    char text[32];
    if (gmtime_r(&when, &utc) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc))
        set_text(r->run, "started", text);
}

/* --- metrics --- */

/* Of metrics whose file does not say which direction is better, and their units: those of the harness's own registry
 * (lm_eval/api/metrics.py) and of its oldest tasks, in which lower or higher is part of what the metric is. */
static const struct known {
    const char *name, *unit;
    bool higher;
} known[] = {
    {"acc", "", true},
    {"acc_norm", "", true},
    {"acc_bytes", "", true},
    {"acc_mutual_info", "", true},
    {"exact_match", "", true},
    {"em", "", true},
    {"f1", "", true},
    {"macro_f1", "", true},
    {"mcc", "", true},
    {"mc1", "", true},
    {"mc2", "", true},
    {"bleu", "%", true},
    {"chrf", "%", true},
    {"ter", "%", false},
    {"brier_score", "", false},
    {"ppl", "", false},
    {"perplexity", "", false},
    {"word_perplexity", "", false},
    {"byte_perplexity", "", false},
    {"bits_per_byte", "bit", false},
};

static const struct known *find_known(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0) return &known[i];
    return NULL;
}

struct task {
    const char *name;
    const json_t *values;
    json_t *higher; /* {metric: is higher better}, as far as it is told */
    json_t *suite;  /* made with its first metric */
};

/* What the results say of a metric comes before what the task's own file says. */
static json_t *directions_of(const json_t *told, const json_t *metric_list)
{
    json_t *all = json_object(), *v;
    const json_t *entry;
    const char *metric;
    size_t i;
    json_array_foreach(metric_list, i, entry)
    {
        v = json_object_get(entry, "higher_is_better");
        if (json_is_boolean(v)) json_object_set(all, json_text_of(entry, "metric"), v);
    }
    json_object_foreach((json_t *)(uintptr_t)told, metric, v)
    {
        if (json_is_boolean(v)) json_object_set(all, metric, v);
    }
    return all;
}

static void leave_out(struct reading *r, const struct task *t, const char *key, const char *why)
{
    struct text what = {0};
    text_printf(&what, "%s %s: %s", t->name, key, why);
    foreign_left_out(r->run, text_c(&what));
    text_free(&what);
}

/* NAN for "N/A" and for what is not there or not finite. */
static double take_error(struct reading *r, const struct task *t, const char *metric, const char *filter)
{
    struct text key = {0};
    text_printf(&key, "%s_stderr%s", metric, filter);
    const json_t *v = json_object_get(t->values, text_c(&key));
    if (v && !json_is_number(v) && !json_is_string(v) && !json_is_null(v) && !r->status)
        r->status = error_set(r->e, ERROR_INPUT, "%s: results.%s.%s: is no number", r->path, t->name, text_c(&key));
    text_free(&key);
    return foreign_number(v);
}

static int64_t items_of(struct reading *r, const struct task *t)
{
    const json_t *all = take_object(r, r->file, "n-samples", "");
    const int64_t n = foreign_count(json_object_get(take_object(r, all, t->name, "n-samples"), "effective"));
    return n >= 0 ? n : foreign_count(json_object_get(t->values, "sample_len"));
}

static void open_suite(struct reading *r, struct task *t)
{
    const json_t *config = json_object_get(json_object_get(r->file, "configs"), t->name);
    t->suite = foreign_suite(r->run, t->name, items_of(r, t));
    if (*json_text_of(config, "output_type")) set_text(t->suite, "output_type", json_text_of(config, "output_type"));
}

/* Of `key` "acc,none": metric "acc", filter ",none". */
static void add_metric(struct reading *r, struct task *t, const char *key, const char *metric, const char *filter,
                       const json_t *value)
{
    const struct known *k = find_known(metric);
    const bool plain = !*filter || strcmp(filter, ",none") == 0;
    const json_t *told = json_object_get(t->higher, metric);
    if (!told && !k) {
        leave_out(r, t, key, "whether higher or lower is better is not told");
        return;
    }
    if (*filter && plain && json_object_get(t->values, metric)) {
        leave_out(r, t, key, "is there twice");
        return;
    }
    const double error = take_error(r, t, metric, filter), x = foreign_number(value), half = 1.96 * error;
    struct text reason = {0};
    if (!isfinite(x)) text_printf(&reason, "%s in the file", word_of(value) ? word_of(value) : "null");
    if (!t->suite) open_suite(r, t);
    const struct foreign_value v = {.name = plain ? metric : key,
                                    .unit = k ? k->unit : "",
                                    .value = x,
                                    .standard_error = error,
                                    .low = x - half,
                                    .high = x + half,
                                    .higher = told ? json_is_true(told) : k->higher,
                                    .reason = reason.length ? text_c(&reason) : NULL};
    if (foreign_metric(t->suite, &v) && !r->status)
        r->status = error_set(r->e, ERROR_IO, "%s: out of memory for its metrics", r->path);
    text_free(&reason);
    r->taken++;
}

static void take_value(struct reading *r, struct task *t, const char *key, const json_t *value)
{
    static const char *const labels[] = {"alias", "name", "samples", "sample_len", "sample_count", " "};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (strncmp(key, labels[i], strlen(labels[i])) == 0 && strchr(",", key[strlen(labels[i])])) return;
    struct text metric = {0};
    const size_t n = strcspn(key, ",");
    text_bytes(&metric, key, n);
    if (text_ends_with(text_c(&metric), "_stderr")) {
        text_free(&metric);
        return;
    }
    /* a number that Python's JSON does not know, such as NumPy's float32, is there as its text */
    if (isfinite(foreign_number(value)) || json_is_null(value) || word_of(value))
        add_metric(r, t, key, text_c(&metric), key + n, value);
    else
        leave_out(r, t, key, "is no number");
    text_free(&metric);
}

static void take_task(struct reading *r, const char *name, const json_t *values, const char *where)
{
    if (!json_is_object(values)) {
        if (!r->status) r->status = error_set(r->e, ERROR_INPUT, "%s: %s.%s: is no object", r->path, where, name);
        return;
    }
    const json_t *higher = take_object(r, r->file, "higher_is_better", ""),
                 *all = take_object(r, r->file, "configs", "");
    const json_t *config = take_object(r, all, name, "configs");
    struct task t = {.name = name, .values = values};
    t.higher = directions_of(take_object(r, higher, name, "higher_is_better"), json_object_get(config, "metric_list"));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        if (!r->status) take_value(r, &t, key, value);
    }
    json_decref(t.higher);
}

/* Groups stand among the results; some versions list those that are no task only under "groups". */
static void take_results(struct reading *r)
{
    json_t *results = take_object(r, r->file, "results", ""), *groups = take_object(r, r->file, "groups", ""), *values;
    const char *name;
    json_object_foreach(results, name, values)
    {
        if (!r->status) take_task(r, name, values, "results");
    }
    json_object_foreach(groups, name, values)
    {
        if (!r->status && !json_object_get(results, name)) take_task(r, name, values, "groups");
    }
    if (!r->status && !r->taken)
        r->status = error_set(r->e, ERROR_INPUT,
                              "%s: results: has no metric that is known to be better higher or lower", r->path);
}

static json_t *read(const struct file *f, const char *path, struct error *e)
{
    json_t *file = read_python(f, path, e), *runs = json_array();
    struct reading r = {.path = path, .file = file, .e = e, .run = file ? foreign_run("", path) : NULL};
    json_t *subject = json_object_get(r.run, "subject");
    if (file && (!r.run || !runs)) r.status = error_set(e, ERROR_IO, "%s: out of memory", path);
    if (file && !r.status) {
        take_tool(&r, json_object_get(subject, "source"));
        take_subject(&r, subject);
        take_machine(&r);
        take_times(&r);
        take_results(&r);
    }
    json_array_append_new(runs, r.run);
    json_decref(file);
    if (file && !r.status) return runs;
    json_decref(runs);
    return NULL;
}

const struct foreign foreign_lm_eval = {
    .name = "lm-evaluation-harness", .summary = "results_*.json", .recognise = recognise, .read = read};
