/* What llama.cpp's llama-bench prints with -o json, jsonl or csv: one test a row, each with all settings it ran under.
 * Tests under the same settings are one run, as llama-bench's own table has a line for each test. */
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "reports/foreign/bench_rows.h"
#include "reports/foreign/build.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    const char *path;
    struct error *e;
    int status;
    json_t *runs;
    json_t *settings; /* [runs]: what a run's tests have in common */
    json_t *run_of;   /* {settings and how often its test was seen under them: index of the run} */
    json_t *seen;     /* {settings and test: how often} */
};

/* --- one test --- */

struct test {
    const json_t *row;
    int64_t prompt, generated, depth;
    double mean, deviation; /* tokens a second; the deviation is the sample's */
    int64_t repetitions;    /* -1 where not told: CSV */
};

static int wrong(struct reading *r, size_t i, const char *key, const char *right)
{
    return r->status = error_set(r->e, ERROR_INPUT, "%s: test %zu: %s: %s", r->path, i + 1, key, right);
}

static int take_test(struct reading *r, const json_t *row, size_t i, struct test *t)
{
    if (!json_is_object(row))
        return r->status = error_set(r->e, ERROR_INPUT, "%s: test %zu: is no object", r->path, i + 1);
    const json_t *depth = json_object_get(row, "n_depth"), *samples = json_object_get(row, "samples_ts");
    *t = (struct test){.row = row,
                       .prompt = foreign_count(json_object_get(row, "n_prompt")),
                       .generated = foreign_count(json_object_get(row, "n_gen")),
                       .depth = depth ? foreign_count(depth) : 0, /* older versions have none */
                       .mean = foreign_number(json_object_get(row, "avg_ts")),
                       .deviation = foreign_number(json_object_get(row, "stddev_ts")),
                       .repetitions = json_is_array(samples) ? (int64_t)json_array_size(samples) : -1};
    if (t->prompt < 0) return wrong(r, i, "n_prompt", "a whole number must be there");
    if (t->generated < 0) return wrong(r, i, "n_gen", "a whole number must be there");
    if (t->depth < 0) return wrong(r, i, "n_depth", "a whole number is meant");
    if (!(t->mean >= 0)) return wrong(r, i, "avg_ts", "a number of tokens a second must be there");
    if (!*json_text_of(row, "model_filename")) return wrong(r, i, "model_filename", "a text must be there");
    return 0;
}

/* As in the column "test" of llama-bench's own table: "pp512", "tg128", "pp512+tg128", "tg32 @ d4096". */
static void name_test(struct text *out, const struct test *t)
{
    if (t->prompt || !t->generated) text_printf(out, "pp%" PRId64, t->prompt);
    if (t->prompt && t->generated) text_char(out, '+');
    if (t->generated) text_printf(out, "tg%" PRId64, t->generated);
    if (t->depth) text_printf(out, " @ d%" PRId64, t->depth);
}

/* The mean of the repetitions, the error of a mean, and its interval by Student's t, since they are few. */
static int add_test(json_t *suite, const struct test *t)
{
    struct text name = {0};
    name_test(&name, t);
    const int64_t n = t->repetitions;
    const double error = n > 1 && t->deviation >= 0 ? t->deviation / sqrt((double)n) : NAN;
    const double half = n > 1 ? student_t(n - 1) * error : NAN;
    const struct foreign_value v = {.name = text_c(&name),
                                    .unit = "t/s",
                                    .value = t->mean,
                                    .standard_error = error,
                                    .low = t->mean - half,
                                    .high = t->mean + half,
                                    .higher = true};
    int status = name.failed ? -1 : foreign_metric(suite, &v);
    text_free(&name);
    return status;
}

/* --- settings --- */

/* All but what was tested and what came out. */
static json_t *settings_of(const json_t *row)
{
    static const char *const results[] = {"n_prompt",  "n_gen",  "n_depth",   "test_time",  "avg_ns",
                                          "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts"};
    json_t *settings = json_copy((json_t *)(uintptr_t)row);
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) json_object_del(settings, results[i]);
    return settings;
}

/* The names of processors are padded. */
static int trimmed(const char *s)
{
    size_t n = strlen(s);
    while (n && s[n - 1] == ' ') n--;
    return (int)n;
}

static void set_text(json_t *object, const char *key, const char *s)
{
    json_object_set_new(object, key, json_text(s, (size_t)trimmed(s)));
}

/* "b5163 (8cf427ff)": llama.cpp's releases are named after their build number. */
static void take_tool(json_t *source, const json_t *row)
{
    struct text tool = {0};
    const int64_t number = foreign_count(json_object_get(row, "build_number"));
    const char *commit = json_text_of(row, "build_commit");
    text_add(&tool, "llama-bench");
    if (number >= 0) text_printf(&tool, " b%" PRId64, number);
    if (*commit) text_printf(&tool, number >= 0 ? " (%s)" : " %s", commit);
    set_text(source, "tool", text_c(&tool));
    text_free(&tool);
}

/* model_type is "ARCHITECTURE SIZE TYPE": the type of the weights is what a backend is here. */
static const char *weights_of(const char *model_type)
{
    for (int words = 0; words < 2; words++) {
        const char *space = strchr(model_type, ' ');
        if (!space) return "";
        model_type = space + 1;
    }
    return strncmp(model_type, "mostly ", 7) == 0 ? model_type + 7 : model_type;
}

/* The model's file without its folder, also where that is Windows' way to write it. */
static const char *model_of(const json_t *row)
{
    const char *name = path_name(json_text_of(row, "model_filename")), *back = strrchr(name, '\\');
    return back && back[1] ? back + 1 : name;
}

static void take_subject(json_t *run, const json_t *row)
{
    json_t *subject = json_object_get(run, "subject"), *machine = json_object_get(run, "machine");
    const int64_t parameters = foreign_count(json_object_get(row, "model_n_params"));
    const int64_t bytes = foreign_count(json_object_get(row, "model_size"));
    const int64_t threads = foreign_count(json_object_get(row, "n_threads"));
    const char *model = model_of(row);
    take_tool(json_object_get(subject, "source"), row);
    set_text(subject, "name", model);
    set_text(subject, "model", model);
    set_text(subject, "backend", weights_of(json_text_of(row, "model_type")));
    if (parameters > 0) json_object_set_new(subject, "parameters", json_integer(parameters));
    if (bytes > 0) json_object_set_new(subject, "weight_bytes", json_integer(bytes));
    if (parameters > 0 && bytes > 0)
        json_object_set_new(subject, "bits_per_weight", json_real(8 * (double)bytes / (double)parameters));
    set_text(machine, "cpu", json_text_of(row, "cpu_info"));
    set_text(machine, "isa", json_text_of(row, "backends"));
    if (*json_text_of(row, "gpu_info")) set_text(machine, "gpu", json_text_of(row, "gpu_info"));
    if (threads > 0) json_object_set_new(machine, "threads", json_integer(threads));
    set_text(run, "started", json_text_of(row, "test_time"));
}

/* --- tests to runs --- */

/* How often this test was seen under these settings: the second time it belongs to another run. */
static json_int_t count_test(struct reading *r, const char *settings, const struct test *t)
{
    struct text key = {0};
    name_test(&key, t);
    text_printf(&key, " %s", settings);
    const json_int_t n = json_integer_value(json_object_get(r->seen, text_c(&key)));
    json_object_set_new(r->seen, text_c(&key), json_integer(n + 1));
    text_free(&key);
    return n;
}

static json_t *open_run(struct reading *r, const struct test *t, json_t *settings)
{
    json_t *run = foreign_run("", r->path);
    if (json_array_append_new(r->runs, run)) return NULL;
    json_array_append(r->settings, settings);
    take_subject(run, t->row);
    return foreign_suite(run, "bench", t->repetitions) ? run : NULL;
}

static json_t *find_run(struct reading *r, const struct test *t)
{
    json_t *settings = settings_of(t->row), *run = NULL;
    char *all = json_dump_text(settings, JSON_COMPACT | JSON_SORT_KEYS, NULL);
    if (all) {
        struct text key = {0};
        text_printf(&key, "%" JSON_INTEGER_FORMAT " %s", count_test(r, all, t), all);
        const json_t *index = json_object_get(r->run_of, text_c(&key));
        if (index) {
            run = json_array_get(r->runs, (size_t)json_integer_value(index));
        } else {
            json_object_set_new(r->run_of, text_c(&key), json_integer((json_int_t)json_array_size(r->runs)));
            run = open_run(r, t, settings);
        }
        text_free(&key);
    }
    free(all);
    json_decref(settings);
    return run;
}

static int take_row(struct reading *r, const json_t *row, size_t i)
{
    struct test t = {0};
    if (take_test(r, row, i, &t)) return r->status;
    json_t *run = find_run(r, &t), *suite = json_array_get(json_object_get(run, "suites"), 0);
    if (!run || add_test(suite, &t)) return r->status = error_set(r->e, ERROR_IO, "%s: out of memory", r->path);
    if (foreign_count(json_object_get(suite, "items")) != t.repetitions)
        json_object_set_new(suite, "items", json_null());
    return 0;
}

/* --- names --- */

/* Follow from the model's file, or from the commit. */
static bool is_derived(const char *key)
{
    static const char *const keys[] = {"model_type", "model_size", "model_n_params", "build_number"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

/* For every model the settings in which its runs differ from its first one: {model: {"first": settings, "differ": {}}} */
static json_t *find_differences(const struct reading *r)
{
    json_t *models = json_object(), *settings, *v;
    const char *key;
    size_t i;
    json_array_foreach(r->settings, i, settings)
    {
        const char *name = model_of(settings);
        json_t *known = json_object_get(models, name);
        if (!known) json_object_set_new(models, name, known = json_pack("{s:O, s:{}}", "first", settings, "differ"));
        const json_t *first = json_object_get(known, "first");
        json_object_foreach(settings, key, v)
        {
            if (!is_derived(key) && !json_equal(v, json_object_get(first, key)))
                json_object_set_new(json_object_get(known, "differ"), key, json_true());
        }
    }
    return models;
}

static void add_setting(struct text *name, const char *key, const json_t *v)
{
    char *text = json_is_string(v) ? NULL : json_dump_text(v, JSON_ENCODE_ANY | JSON_COMPACT, NULL);
    const char *s = json_is_string(v) ? json_string_value(v) : text;
    if (s) text_printf(name, " %s=%.*s", key, trimmed(s), s);
    free(text);
}

/* A run is called after its model's file, and after those settings in which the runs of that model differ. */
static void name_runs(const struct reading *r)
{
    json_t *models = find_differences(r), *settings, *v;
    const char *key;
    size_t i;
    json_array_foreach(r->settings, i, settings)
    {
        struct text name = {0};
        text_add(&name, model_of(settings));
        const json_t *differ = json_object_get(json_object_get(models, text_c(&name)), "differ");
        json_object_foreach(settings, key, v)
        {
            if (json_object_get(differ, key)) add_setting(&name, key, v);
        }
        json_object_set_new(json_object_get(json_array_get(r->runs, i), "subject"), "name",
                            json_text(text_c(&name), name.length));
        text_free(&name);
    }
    json_decref(models);
}

static bool recognise(const struct file *f) { return bench_rows_are(f); }

static json_t *read(const struct file *f, const char *path, struct error *e)
{
    json_t *rows = bench_rows_read(f, path, e), *row;
    if (!rows) return NULL;
    struct reading r = {path, e, 0, json_array(), json_array(), json_object(), json_object()};
    size_t i;
    json_array_foreach(rows, i, row)
    {
        if (!r.status) take_row(&r, row, i);
    }
    if (!r.status && !json_array_size(r.runs)) r.status = error_set(e, ERROR_INPUT, "%s: has no test", path);
    if (!r.status) name_runs(&r);
    json_decref(rows);
    json_decref(r.settings);
    json_decref(r.run_of);
    json_decref(r.seen);
    if (!r.status) return r.runs;
    json_decref(r.runs);
    return NULL;
}

const struct foreign foreign_llama_bench = {
    .name = "llama-bench", .summary = "-o json, jsonl or csv", .recognise = recognise, .read = read};
